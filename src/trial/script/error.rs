//! Why a script could not be judged.

use std::path::{Path, PathBuf};

use crate::model::{Cause, CauseClass, ExampleId};

/// Why a script could not be judged: nothing that its author did wrong. It becomes the outcome `errored`.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The program that the config names is not on this machine.
    #[error("`{0}` is not on the PATH")]
    ProgramNotFound(String),
    /// There is no Docker CLI.
    #[error("it runs in a container, and `docker` is not on the PATH")]
    DockerNotFound,
    /// No Docker engine answers; the CLI's words.
    #[error("it runs in a container, and no Docker engine answers: {0}")]
    EngineNotFound(String),
    /// The image's registry does not answer as it should; the engine's words.
    #[error("{image} could not be pulled: {message}")]
    ImageUnavailable {
        /// The image.
        image: String,
        /// What the engine said.
        message: String,
    },
    /// Docker could not start the container, or lost it; the engine's words.
    #[error("Docker could not run the container: {0}")]
    Container(String),
    /// A folder that the engine does not see: this program is in a container itself.
    #[error("{} can't be mounted: it is on no volume that the Docker engine shares with this container", .0.display())]
    NotShared(PathBuf),
    /// The kubeconfig can't be copied.
    #[error("the kubeconfig can't be used: {0}")]
    Kubeconfig(String),
    /// A file, a folder or a process.
    #[error("can't {action} {}: {source}", .path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
}

impl ScriptError {
    pub(super) fn io(action: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { action, path: path.as_ref().to_owned(), source }
    }

    /// The cause of a row, with what to do about it.
    #[must_use]
    pub fn cause(&self, example: &ExampleId) -> Cause {
        let (class, reason, hint) = self.words();
        Cause {
            class,
            reason: reason.to_owned(),
            message: self.to_string(),
            hint: hint.to_owned(),
            object: String::new(),
            file: example.as_str().to_owned(),
            line: 0,
        }
    }

    /// Class, reason and hint.
    fn words(&self) -> (CauseClass, &'static str, &'static str) {
        use CauseClass::{Image, Internal};
        match self {
            Self::ProgramNotFound(_) => (
                Internal,
                "ProgramNotFound",
                "give the example's `run:` an `image:` that has it; without one it runs where example-validator does, which for the action is a \
                 container of its own: what a step before installs is not there",
            ),
            Self::DockerNotFound => (
                Internal,
                "DockerNotFound",
                "install Docker, or leave out `image:` in the example's `run:` and install what it needs on this machine",
            ),
            Self::EngineNotFound(_) => (
                Internal,
                "DockerUnavailable",
                "start Docker or set DOCKER_HOST; or leave out `image:` in the example's `run:` and install what it needs here",
            ),
            Self::ImageUnavailable { .. } => {
                (Image, "ErrImagePull", "try again later, or pull from a mirror: `registries: {mirrors: ...}`")
            }
            Self::Container(_) => (Internal, "ContainerError", "`docker run` by hand shows whether the engine is well"),
            Self::NotShared(_) => {
                (Internal, "NotShared", "keep the workspace and the output folder on a volume of the host")
            }
            Self::Kubeconfig(_) => (Internal, "Kubeconfig", ""),
            Self::Io { .. } => (Internal, "IoError", ""),
        }
    }
}
