//! Script examples and notebooks: a program of the project's own, started in the namespace of an attempt. Exit code 0 passes,
//! unless a judged object in its namespace failed.
//!
//! Without an image it is a child process on this machine, with an image a container of the Docker CLI, the workspace mounted.
//! Both start in the repository's root (`/workspace` in a container) with these in their environment:
//!
//! | Variable | Value |
//! |---|---|
//! | `KUBECONFIG` | the cluster, with the attempt's namespace as the default |
//! | `NAMESPACE` | the attempt's namespace |
//! | `EXAMPLE` | the example's path, as seen from the folder in which it starts |
//! | `EVIDENCE_DIR` | a folder for files that are kept |
//!
//! [`run`] says how it ended, [`verdict`] what that means.

mod command;
mod container;
mod docker;
mod error;
mod kubeconfig;
pub(crate) mod leftovers;
mod local;
mod process;
mod pull;
mod tail;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verdict;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

pub(crate) use container::{host_path, is_loopback};
pub use error::ScriptError;
pub use tail::last_line;
pub use verdict::{Seen, verdict};

use crate::config::Run;
use crate::model::{CauseClass, ExampleId};

/// A script example of an attempt whose namespace is there.
#[derive(Clone, Copy)]
pub struct Script<'a> {
    /// How it is run.
    pub run: &'a Run,
    /// Its id.
    pub example: &'a ExampleId,
    /// Its file on disk.
    pub path: &'a Path,
    /// The repository's root.
    pub root: &'a Path,
    /// The attempt's namespace.
    pub namespace: &'a str,
    /// A kubeconfig whose current context is the cluster.
    pub kubeconfig: &'a Path,
    /// The folder for files that are kept; it is created if it is missing. What the script leaves there is as it wrote it, secrets
    /// and symbolic links included.
    pub evidence: &'a Path,
    /// A folder for private files (the kubeconfig's copy), which are deleted at the end. Not part of the evidence.
    pub scratch: &'a Path,
    /// This program's environment ([`std::env::vars_os`]); an allow-list decides what the script gets of it.
    pub environment: &'a [(OsString, OsString)],
    /// What matters if it names an image.
    pub containers: &'a Containers,
}

/// How containers are started beside a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Containers {
    /// The Docker network on which the API server of the kubeconfig is reached (`kind`, `container:ID`); `None` is Docker's default.
    /// A server on loopback is always reached through the host's network.
    pub network: Option<String>,
    /// Labels, so that `clean` finds what a killed run left.
    pub labels: Vec<(String, String)>,
    /// Where folders of ours are for the Docker engine, if this program is in a container itself: our path, the engine's path.
    /// Empty: both see the same files.
    pub host_paths: Vec<(PathBuf, PathBuf)>,
}

/// What ends a script that does not end by itself.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long it may run, from its start; pulling its image does not count.
    pub timeout: Duration,
    /// The run was cancelled.
    pub cancel: CancellationToken,
    /// What it waits for can't come any more: an object in its namespace has failed, or is stuck.
    pub stop: CancellationToken,
}

/// How a script ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptEnd {
    /// By itself, with this exit code.
    Exited {
        /// The code; in a container 128 and more may stand for a signal.
        code: i32,
    },
    /// By a signal that was not ours.
    Signalled {
        /// The signal's number.
        signal: i32,
    },
    /// Its time was up.
    TimedOut,
    /// The run was cancelled.
    Cancelled,
    /// The caller stopped it.
    Stopped,
    /// It could not be started, by a fault of the example's own: an image that does not exist, a program that is not executable.
    NotStarted {
        /// `image` or `runtime`.
        class: CauseClass,
        /// A word to search for: `ErrImagePull`, `StartError`.
        reason: &'static str,
        /// What happened, in one line.
        message: String,
        /// What to do about it.
        hint: &'static str,
    },
}

impl ScriptEnd {
    /// The exit code as a shell would tell it: that of a signal is 128 and its number. `None` if it did not end by itself.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Exited { code } => Some(*code),
            Self::Signalled { signal } => Some(128 + signal),
            Self::TimedOut | Self::Cancelled | Self::Stopped | Self::NotStarted { .. } => None,
        }
    }
}

/// A script that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub end: ScriptEnd,
    /// The last 64 KiB of its output, from the beginning of a line: what a diagnosis reads. As the script wrote it: to be redacted
    /// before any of it is shown.
    pub tail: String,
    /// How long it took, pulling its image included.
    pub took: Duration,
}

/// Runs a script to its end, or to the end that `limits` set for it, and leaves no process and no container behind. `output` gets
/// what it writes to standard output and standard error, in that order, as it comes; no more than 64 KiB of it are held.
///
/// # Errors
/// The script could not be judged: a program or Docker is missing, the image's registry does not answer, a file can't be written.
pub async fn run(
    script: &Script<'_>,
    limits: &Limits,
    mut output: impl FnMut(&[u8]) + Send,
) -> Result<Ended, ScriptError> {
    let began = Instant::now();
    std::fs::create_dir_all(script.evidence).map_err(|error| ScriptError::io("write", script.evidence, error))?;
    let mut tail = tail::Tail::default();
    let mut sink = |chunk: &[u8]| {
        tail.push(chunk);
        output(chunk);
    };
    let end = match &script.run.image {
        None => local::run(script, limits, &mut sink).await?,
        Some(image) => docker::run(script, image, limits, &mut sink).await?,
    };
    // What Docker itself says of a container that it could not start is in its output.
    let end = if script.run.image.is_some() { docker::judged(end, &tail.text())? } else { end };
    Ok(Ended { end, tail: tail.text(), took: began.elapsed() })
}

/// An absolute path without a look at the disk: nothing that begins with `-`, and no symbolic link is resolved.
fn absolute(path: &Path) -> Result<PathBuf, ScriptError> {
    std::path::absolute(path).map_err(|error| ScriptError::io("find", path, error))
}

/// The example's path for `EXAMPLE`: never one that a program takes for an option.
fn example_variable(id: &ExampleId) -> String {
    let id = id.as_str();
    if id.starts_with('-') { format!("./{id}") } else { id.to_owned() }
}
