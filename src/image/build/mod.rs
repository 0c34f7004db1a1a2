//! Builds an image of the project's, and saves it once as an archive.
//!
//! With buildx the builder decides how the image gets into the archive. The `docker` driver builds inside of the engine: the
//! image is there when it is done, `docker save` writes it, and the engine's own layer cache is all the cache there is. Every
//! other driver builds outside: the image goes straight into the archive without ever being in the engine, and layers are kept in a
//! folder between runs. Without buildx the engine's old builder is used, which is told beforehand from what it can't do.

mod diagnose;
mod output;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use self::output::{Tail, follow};
use super::archive::{self, Written};
use super::digest::{Dockerfile, Identity, Places};
use super::engine::{self, Engine, LABEL};
use crate::child::{Group, Program};
use crate::config::ImageBuild;
use crate::model::{Cause, CauseClass, Outcome};

/// What builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// `docker build` without BuildKit.
    Plain,
    /// buildx, inside of the engine.
    Engine,
    /// buildx, with a builder outside of the engine: a container, a cluster, another machine.
    Outside,
}

/// Builds images.
#[derive(Clone, Debug)]
pub struct Builder {
    engine: Engine,
    driver: Driver,
}

/// One build.
#[derive(Clone, Copy, Debug)]
pub struct Build<'a> {
    /// What the config says of it.
    pub image: &'a ImageBuild,
    /// The root, absolute.
    pub root: &'a Path,
    /// What it is called.
    pub identity: &'a Identity,
    /// Where the archive goes.
    pub archive: &'a Path,
    /// The folder where layers are kept between runs, if there is one.
    pub layers: Option<&'a Path>,
    /// How long it may take.
    pub bound: Duration,
}

/// How a build ended.
#[derive(Clone, Debug)]
pub enum Built {
    /// The archive is there.
    Ready {
        /// It.
        archive: Written,
        /// How long the build took.
        build: Duration,
        /// How long it took to save it.
        save: Duration,
    },
    /// It is not.
    Not {
        /// `Failed`: the build's own fault. `Errored`: the engine's, a registry's, this machine's.
        outcome: Outcome,
        /// Why, for the cells that need the image.
        cause: Box<Cause>,
        /// The last lines of its log.
        tail: Vec<String>,
    },
}

impl Builder {
    /// Finds out how this engine builds.
    pub async fn find(engine: &Engine) -> Self {
        let is_there = engine.ask(&["buildx", "version"]).await.is_ok_and(|answer| answer.succeeded);
        let driver = if is_there {
            let builder = engine.ask(&["buildx", "inspect"]).await.map(|answer| answer.out).unwrap_or_default();
            driver_of(&builder)
        } else {
            Driver::Plain
        };
        Self { engine: engine.clone(), driver }
    }

    /// How it builds.
    #[must_use]
    pub fn driver(&self) -> Driver {
        self.driver
    }

    /// Builds, and hands out what the build writes as it comes. The child and what it started are ended when this is dropped.
    pub async fn build(&self, build: &Build<'_>, sink: &mut (impl FnMut(&[u8]) + Send)) -> Built {
        let places = match Places::of(build.image, build.root) {
            Ok(places) => places,
            Err(error) => return not(Outcome::Failed, error.cause(), &Tail::default()),
        };
        if let Some(cause) = self.refused(build, &places) {
            return not(Outcome::Failed, cause, &Tail::default());
        }
        let start = Instant::now();
        let mut tail = Tail::default();
        let run = self.run(build, &places, &mut tail, sink);
        let Ok(ended) = tokio::time::timeout(build.bound, run).await else {
            let message = format!("building {} was not done after {} s", build.image.name, build.bound.as_secs());
            return not(Outcome::Errored, Cause::new(CauseClass::Image, "BuildTimedOut", message), &tail);
        };
        let (status, packed) = match ended {
            Ok(ended) => ended,
            Err(error) => return not(Outcome::Errored, engine::missing(&self.engine.docker.failed(error)), &tail),
        };
        if !status.success() {
            let (outcome, cause) = diagnose::cause(build, status.code(), &tail);
            return not(outcome, cause, &tail);
        }
        let took = start.elapsed();
        let archive = match packed {
            Some(packed) => engine::finished(Ok(packed), status, build.archive).await,
            None => self.engine.save(&build.identity.tag, build.archive).await,
        };
        match archive {
            Ok(archive) => Built::Ready { archive, build: took, save: start.elapsed().saturating_sub(took) },
            Err(said) => {
                let message = format!("the image {} was built, and could not be saved: {said}", build.image.name);
                not(Outcome::Errored, Cause::new(CauseClass::Internal, "ImageSaveFailed", message), &tail)
            }
        }
    }

    /// Why the builder can't build this at all.
    fn refused(&self, build: &Build<'_>, places: &Places) -> Option<Cause> {
        if self.driver != Driver::Plain {
            return None;
        }
        let text = std::fs::read(&places.dockerfile).unwrap_or_default();
        let needs = Dockerfile::parse(&String::from_utf8_lossy(&text)).needs_buildkit()?;
        let message = format!("building {} needs BuildKit, which is not here: {}", build.image.name, needs.what);
        let hint = "install Docker's buildx plugin (`docker buildx version` finds it)".to_owned();
        let cause = Cause::new(CauseClass::Image, "BuildKitRequired", message);
        Some(Cause { hint, file: shown_dockerfile(build.image), line: needs.line, ..cause })
    }

    /// Runs the build to its end; with a builder outside, the archive is packed meanwhile.
    async fn run(
        &self,
        build: &Build<'_>,
        places: &Places,
        tail: &mut Tail,
        sink: &mut (impl FnMut(&[u8]) + Send),
    ) -> std::io::Result<(ExitStatus, Option<archive::Packed>)> {
        let layers = build.layers.filter(|_| self.driver == Driver::Outside).map(Layers::new);
        let mut command = self.program(build, places, layers.as_ref()).command();
        let (reader, writer) = std::io::pipe()?;
        let is_packed = self.driver == Driver::Outside;
        command.stdout(if is_packed { Stdio::piped() } else { writer.try_clone()?.into() }).stderr(writer);
        let mut child = command.spawn()?;
        // It holds our end of the pipe, which must be closed before anyone waits for its end.
        drop(command);
        let _group = Group::of(&child);
        let packed =
            async { if is_packed { engine::packed(&mut child, build.archive).await.map(Some) } else { Ok(None) } };
        let (packed, followed) = tokio::join!(packed, follow(reader, tail, sink));
        followed?;
        let status = child.wait().await?;
        if let Some(layers) = layers.filter(|_| status.success()) {
            layers.renewed();
        }
        // What can't be packed breaks the build's pipe: its own end tells less.
        if status.success() { Ok((status, packed?)) } else { Ok((status, packed.ok().flatten())) }
    }

    fn program(&self, build: &Build<'_>, places: &Places, layers: Option<&Layers>) -> Program {
        let image = build.image;
        let mut arguments: Vec<OsString> = match self.driver {
            Driver::Plain => vec!["build".into()],
            Driver::Engine => ["buildx", "build", "--progress", "plain", "--load"].map(OsString::from).into(),
            Driver::Outside => {
                let output = ["--output", "type=docker,dest=-"];
                ["buildx", "build", "--progress", "plain"].into_iter().chain(output).map(OsString::from).collect()
            }
        };
        let mut option = |name: &str, value: OsString| arguments.extend([name.into(), value]);
        option("--tag", build.identity.tag.clone().into());
        option("--label", format!("{LABEL}={}", image.name).into());
        option("--file", places.dockerfile.clone().into());
        for (name, value) in &image.args {
            option("--build-arg", format!("{name}={value}").into());
        }
        if let Some(target) = &image.target {
            option("--target", target.into());
        }
        for (name, value) in layers.iter().flat_map(|layers| layers.options()) {
            option(name, value.into());
        }
        arguments.push(places.context.clone().into());
        // One image and no index: attestations would make one, with parts that `ctr images import` looks for in vain.
        self.engine.docker.clone().with("BUILDX_NO_DEFAULT_ATTESTATIONS", "1").program(arguments)
    }
}

/// A folder of layers. What is exported goes beside it and takes its place, since buildx only ever adds to one.
struct Layers {
    path: PathBuf,
    next: PathBuf,
}

impl Layers {
    fn new(path: &Path) -> Self {
        let mut next = path.as_os_str().to_owned();
        next.push(".next");
        Self { path: path.to_owned(), next: next.into() }
    }

    fn options(&self) -> Vec<(&'static str, String)> {
        let quoted = |key: &str, path: &Path| format!("\"{key}={}\"", path.display().to_string().replace('"', "\"\""));
        let mut options = vec![("--cache-to", format!("type=local,mode=max,{}", quoted("dest", &self.next)))];
        if self.path.join("index.json").is_file() {
            options.push(("--cache-from", format!("type=local,{}", quoted("src", &self.path))));
        }
        options
    }

    /// The new layers take the place of the old. Where they can't, the next build is slower, and nothing else.
    fn renewed(&self) {
        if self.next.is_dir() {
            let _ = std::fs::remove_dir_all(&self.path);
            let _ = std::fs::rename(&self.next, &self.path);
        }
    }
}

/// The driver that `docker buildx inspect` names; where it names none, the engine's.
fn driver_of(inspected: &str) -> Driver {
    let driver = inspected.lines().find_map(|line| line.strip_prefix("Driver:")).map(str::trim);
    match driver {
        None | Some("docker" | "") => Driver::Engine,
        Some(_) => Driver::Outside,
    }
}

/// The Dockerfile, relative to the root, as causes name files.
fn shown_dockerfile(image: &ImageBuild) -> String {
    crate::plan::paths::normal(&image.context.join(&image.dockerfile).to_string_lossy())
}

fn not(outcome: Outcome, cause: Cause, tail: &Tail) -> Built {
    Built::Not { outcome, cause: Box::new(cause), tail: tail.last_lines() }
}

#[cfg(test)]
mod tests;
