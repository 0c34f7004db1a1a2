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
use crate::image_reference::{ImageReference, normalised_name};
use crate::model::{Cause, CauseClass, Outcome};

/// No build that still runs has begun so long ago.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// The reason where a disk is full, and what to do.
const DISK_FULL: &str = "DiskFull";
const DISK_HINT: &str = "free disk space: `docker system df` shows what takes it";

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
    /// Where layers are kept between runs, if anywhere.
    pub layers: Option<&'a LayerFolder>,
    /// How long it may take.
    pub bound: Duration,
}

/// A folder with the layers of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerFolder {
    /// Which. Nothing need be there yet.
    pub path: PathBuf,
    /// Whether the layers of this build go there. Otherwise those that are there are used, and that is all.
    pub is_written: bool,
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
        if let Some(Err(error)) = &packed {
            // It broke the build's pipe, of which alone the build would speak.
            let said = format!("{} can't be written: {error}", build.archive.display());
            return not(Outcome::Errored, unsaved(build, &said), &tail);
        }
        if !status.success() {
            let (outcome, cause) = diagnose::cause(build, status.code(), &tail);
            return not(outcome, cause, &tail);
        }
        let took = start.elapsed();
        let archive = match packed {
            Some(packed) => engine::finished(packed, status, build.archive).await,
            None => self.engine.save(&build.identity.tag, build.archive).await,
        };
        match archive {
            Ok(archive) => Built::Ready { archive, build: took, save: start.elapsed().saturating_sub(took) },
            Err(said) => not(Outcome::Errored, unsaved(build, &said), &tail),
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
    ) -> std::io::Result<(ExitStatus, Option<std::io::Result<archive::Packed>>)> {
        let layers = build.layers.filter(|_| self.driver == Driver::Outside).map(Layers::new);
        layers.iter().for_each(Layers::prepared);
        let mut command = self.program(build, places, layers.as_ref()).command();
        let (reader, writer) = std::io::pipe()?;
        let is_packed = self.driver == Driver::Outside;
        command.stdout(if is_packed { Stdio::piped() } else { writer.try_clone()?.into() }).stderr(writer);
        let mut child = command.spawn()?;
        // It holds our end of the pipe, which must be closed before anyone waits for its end.
        drop(command);
        let _group = Group::of(&child);
        let packed = async { if is_packed { Some(engine::packed(&mut child, build.archive).await) } else { None } };
        let (packed, followed) = tokio::join!(packed, follow(reader, tail, sink));
        followed?;
        let status = child.wait().await?;
        if let Some(layers) = layers {
            if status.success() {
                layers.renewed();
            } else {
                layers.prepared();
            }
        }
        Ok((status, packed))
    }

    fn program(&self, build: &Build<'_>, places: &Places, layers: Option<&Layers>) -> Program {
        let image = build.image;
        let mut arguments: Vec<OsString> = match self.driver {
            // Without it the container of a step that failed stays.
            Driver::Plain => vec!["build".into(), "--force-rm".into()],
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

/// Why a build has no archive: this machine is at fault.
fn unsaved(build: &Build<'_>, said: &str) -> Cause {
    let message = format!("the image {} could not be saved: {said}", build.image.name);
    if diagnose::is_disk_full(said) {
        return Cause { hint: DISK_HINT.to_owned(), ..Cause::new(CauseClass::Cluster, DISK_FULL, message) };
    }
    Cause::new(CauseClass::Internal, "ImageSaveFailed", message)
}

/// A folder of layers, of this image alone. What is exported goes beside it and takes its place, since buildx only ever adds to one.
/// Each process has a place of its own for that: another run may build the same image.
struct Layers {
    path: PathBuf,
    next: PathBuf,
    is_written: bool,
}

impl Layers {
    fn new(folder: &LayerFolder) -> Self {
        let mut next = folder.path.as_os_str().to_owned();
        next.push(format!(".next-{}", std::process::id()));
        Self { path: folder.path.clone(), next: next.into(), is_written: folder.is_written }
    }

    fn options(&self) -> Vec<(&'static str, String)> {
        let quoted = |key: &str, path: &Path| format!("\"{key}={}\"", path.display().to_string().replace('"', "\"\""));
        let mut options = Vec::new();
        if self.is_written {
            options.push(("--cache-to", format!("type=local,mode=max,{}", quoted("dest", &self.next))));
        }
        if self.path.join("index.json").is_file() {
            options.push(("--cache-from", format!("type=local,{}", quoted("src", &self.path))));
        }
        options
    }

    /// Nothing is where the new layers go, and what killed runs left there long ago is gone.
    fn prepared(&self) {
        let _ = std::fs::remove_dir_all(&self.next);
        let (Some(folder), Some(name)) = (self.path.parent(), self.path.file_name()) else { return };
        let begin = format!("{}.next", name.to_string_lossy());
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let age = entry.metadata().and_then(|about| about.modified()).ok().and_then(|time| time.elapsed().ok());
            if entry.file_name().to_string_lossy().starts_with(&begin) && age.is_some_and(|age| age > STALE) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }

    /// The new layers take the place of the old. Where they can't, the next build is slower, and nothing else.
    fn renewed(&self) {
        if self.next.is_dir() {
            let _ = std::fs::remove_dir_all(&self.path);
            if std::fs::rename(&self.next, &self.path).is_err() {
                self.prepared();
            }
        }
    }
}

/// Why an image can't be built by itself: it stands on another one of the config's, of which a builder knows nothing. One that is
/// named by its digest was published; and what another only `replaces` is somebody else's, and is there to be built upon.
#[must_use]
pub fn base_of_ours(image: &ImageBuild, root: &Path, images: &[ImageBuild]) -> Option<Cause> {
    let places = Places::of(image, root).ok()?;
    let text = std::fs::read(&places.dockerfile).ok()?;
    let bases = Dockerfile::parse(&String::from_utf8_lossy(&text)).bases_with_lines(&image.args);
    let (base, line) = bases.into_iter().find(|(base, _)| {
        let Ok(base) = ImageReference::parse(base) else { return false };
        let is_base = |other: &ImageBuild| normalised_name(&other.name).is_some_and(|name| name == base.name());
        base.digest.is_none() && !is_base(image) && images.iter().any(is_base)
    })?;
    let message = format!("{} is built from {base}, which is an image of this config's too", image.name);
    let hint = "build it in one Dockerfile with stages, or push the base and name it by its digest".to_owned();
    let cause = Cause::new(CauseClass::Image, "BaseIsBuilt", message);
    Some(Cause { hint, file: shown_dockerfile(image), line, ..cause })
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
