//! kind, kubectl and Helm: those of the PATH where they will do, else official releases, checked against sums in the source.
//!
//! A release is downloaded once, into the tool cache: `<cache>/<tool>/<version>/<arch>/`. `--tool-mirror URL` takes the place of the
//! official URL's scheme and host, its path stays: `https://dl.k8s.io/release/v1.37.1/bin/linux/amd64/kubectl` becomes
//! `URL/release/v1.37.1/bin/linux/amd64/kubectl`.

mod download;
mod error;
mod sums;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::child::{Tool, Variable, environment};
use crate::cluster::kind::node_image::numbers;

pub use error::ToolError;
pub use sums::Sums;

/// How long a program may take to say its version.
const ANSWER: Duration = Duration::from_secs(10);

/// A tool of others that a run needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wanted {
    /// Creates clusters.
    Kind,
    /// Renders kustomize folders.
    Kubectl,
    /// Renders and installs charts.
    Helm,
}

/// A tool that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The program.
    pub path: PathBuf,
    /// Its version: `v0.33.0`.
    pub version: String,
    /// Where it is from.
    pub origin: Origin,
}

/// Where a tool is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The PATH.
    Path,
    /// The tool cache, checked.
    Cache,
    /// It was downloaded, and is in the tool cache now.
    Download,
}

/// Where a tool will come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreseen {
    /// The PATH.
    OnPath(Found),
    /// The release of this version, from the tool cache or its server.
    Release(String),
}

/// Where tools are looked for, and where they are downloaded from and to.
pub struct Toolbox {
    environment: Vec<Variable>,
    cache: PathBuf,
    mirror: Option<String>,
    sums: Sums,
    arch: &'static str,
}

impl Wanted {
    /// What the program is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Kubectl => "kubectl",
            Self::Helm => "helm",
        }
    }

    /// The oldest version that is used.
    fn oldest(self) -> &'static str {
        match self {
            // Its nodes are the first whose containerd (2.0) reads archives that are compressed with zstd, and mirrors.
            Self::Kind => "v0.27.0",
            // The first with kustomize 5.
            Self::Kubectl => "v1.27.0",
            // The first with charts in OCI registries.
            Self::Helm => "v3.8.0",
        }
    }

    /// The official URL of a release.
    fn url(self, version: &str, arch: &str) -> String {
        match self {
            Self::Kind => {
                format!("https://github.com/kubernetes-sigs/kind/releases/download/{version}/kind-linux-{arch}")
            }
            Self::Kubectl => format!("https://dl.k8s.io/release/{version}/bin/linux/{arch}/kubectl"),
            Self::Helm => format!("https://get.helm.sh/helm-{version}-linux-{arch}.tar.gz"),
        }
    }

    /// How the program is asked for its version.
    fn question(self) -> &'static [&'static str] {
        match self {
            Self::Kind => &["version"],
            Self::Kubectl => &["version", "--client"],
            Self::Helm => &["version", "--template", "{{.Version}}"],
        }
    }
}

impl Toolbox {
    /// The tools of our `environment`'s PATH, and of a cache; `mirror` is as `--tool-mirror` has it.
    #[must_use]
    pub fn new(environment: &[Variable], cache: PathBuf, mirror: Option<String>) -> Self {
        Self { environment: environment.to_vec(), cache, mirror, sums: Sums::official(), arch: architecture() }
    }

    /// The same toolbox with other sums: those of another table of releases.
    #[must_use]
    pub fn with_sums(self, sums: Sums) -> Self {
        Self { sums, ..self }
    }

    /// A tool that can be used: of `exactly` this version if one is asked for; else the one of the PATH, if it is not too old, else the
    /// newest that is known.
    ///
    /// # Errors
    /// There is none: what to do about it is in [`ToolError::hint`].
    pub async fn find(&self, wanted: Wanted, exactly: Option<&str>) -> Result<Found, ToolError> {
        match self.foresee(wanted, exactly).await? {
            Foreseen::OnPath(found) => Ok(found),
            Foreseen::Release(version) => self.of_release(wanted, &version).await,
        }
    }

    /// What [`Toolbox::find`] will do, without a download.
    ///
    /// # Errors
    /// There is no such tool, and no release of it is known.
    pub async fn foresee(&self, wanted: Wanted, exactly: Option<&str>) -> Result<Foreseen, ToolError> {
        if let Some(found) = self.on_path(wanted).await
            && exactly.map_or(numbers(&found.version) >= numbers(wanted.oldest()), |exactly| found.version == exactly)
        {
            return Ok(Foreseen::OnPath(found));
        }
        let newest = self.sums.newest(wanted, self.arch);
        let version = exactly.or(newest).filter(|version| self.sums.of(wanted, version, self.arch).is_some());
        version.map(|version| Foreseen::Release(version.to_owned())).ok_or_else(|| self.unknown(wanted, exactly))
    }

    /// The tool of the PATH, whatever its version; `None` if there is none that says its version.
    async fn on_path(&self, wanted: Wanted) -> Option<Found> {
        let path = self.environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value)?;
        let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
        let file = folders.map(|folder| folder.join(wanted.name())).find(|file| is_program(file))?;
        let tool = Tool::new(&file, environment::for_script(&self.environment), "/");
        let answer = tool.ask(wanted.question(), ANSWER).await.ok().filter(|answer| answer.succeeded)?;
        let version = version_in(&answer.out)?;
        Some(Found { path: file, version, origin: Origin::Path })
    }

    async fn of_release(&self, wanted: Wanted, version: &str) -> Result<Found, ToolError> {
        let sum = self.sums.of(wanted, version, self.arch).ok_or_else(|| self.unknown(wanted, Some(version)))?;
        let folder = self.cache.join(wanted.name()).join(version).join(self.arch);
        let release = download::Release { wanted, url: self.url(wanted, version), sum, folder };
        let (path, origin) = release.get().await?;
        Ok(Found { path, version: version.to_owned(), origin })
    }

    fn url(&self, wanted: Wanted, version: &str) -> String {
        let official = wanted.url(version, self.arch);
        let path = official.splitn(4, '/').nth(3).unwrap_or_default();
        match &self.mirror {
            Some(mirror) => format!("{}/{path}", mirror.trim_end_matches('/')),
            None => official,
        }
    }

    fn unknown(&self, wanted: Wanted, version: Option<&str>) -> ToolError {
        ToolError::NoSum {
            tool: wanted.name(),
            version: version.unwrap_or("of any version").to_owned(),
            arch: self.arch,
            known: self.sums.newest(wanted, self.arch).map(str::to_owned),
        }
    }
}

/// Where tools are kept: `--tool-dir`; else a folder of the runner's tool cache, if that can be written; else one of the user's cache;
/// else one of `scratch`, which lives as long as the run.
#[must_use]
pub fn cache_dir(tool_dir: Option<&Path>, environment: &[Variable], scratch: &Path) -> PathBuf {
    if let Some(folder) = tool_dir {
        return folder.to_owned();
    }
    let variable = |name: &str| {
        let value = environment.iter().find(|(known, _)| known == name).map(|(_, value)| PathBuf::from(value));
        value.filter(|path| path.is_absolute())
    };
    let runner = variable("RUNNER_TOOL_CACHE").filter(|folder| folder.is_dir()).map(|it| it.join("example-validator"));
    let user = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    let user = user.map(|folder| folder.join("example-validator/tools"));
    let writable = |folder: &PathBuf| std::fs::create_dir_all(folder).is_ok() && tempfile::tempfile_in(folder).is_ok();
    [runner, user].into_iter().flatten().find(writable).unwrap_or_else(|| scratch.join("tools"))
}

/// What releases call this machine's architecture.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The first word that is a version: of `kind v0.27.0 go1.24.4 linux/amd64`, `Client Version: v1.32.4-dispatcher`, `v3.19.0`.
fn version_in(text: &str) -> Option<String> {
    let is_version = |word: &&str| word.starts_with('v') && numbers(word).len() >= 3;
    let word = text.split_whitespace().find(is_version)?;
    Some(word.split('+').next().unwrap_or(word).to_owned())
}
