//! The Docker engine, as this room uses it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Child;

use super::archive::{self, Written};
use crate::child::{Answer, ChildError, Group, Tool, environment};
use crate::model::{Cause, CauseClass};

/// The label of every image that this program builds: it alone says which images may be pruned.
pub const LABEL: &str = "example-validator.dev/image";
/// How long the engine may take to answer a short question.
const ANSWER: Duration = Duration::from_secs(20);
/// Most letters that are kept of what a program says beside its data.
const MAX_WORDS: u64 = 64 << 10;

/// A Docker engine, by its CLI.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) docker: Tool,
}

impl Engine {
    /// The engine that the Docker CLI finds with this environment; of it the CLI is given what it may see. `folder` is where
    /// it is started.
    #[must_use]
    pub fn new(environment: &[(OsString, OsString)], folder: impl Into<PathBuf>) -> Self {
        Self { docker: Tool::new("docker", environment::for_docker(environment), folder) }
    }

    /// The platform that it builds for and that kind's nodes on it have: `linux/amd64`.
    ///
    /// # Errors
    /// The cause of an `errored`: no engine answers.
    pub async fn platform(&self) -> Result<String, Box<Cause>> {
        let answer = self.docker.ask(&["version", "--format", "{{.Server.Os}}/{{.Server.Arch}}"], ANSWER).await;
        let answer = answer.map_err(|error| Box::new(missing(&error)))?;
        if answer.succeeded { Ok(answer.out.trim().to_owned()) } else { Err(Box::new(unavailable(answer.last_line()))) }
    }

    /// Takes an archive in, so that containers of the engine (script examples) can use the image.
    ///
    /// # Errors
    /// The cause of an `errored`.
    pub async fn import(&self, archive: &Path, bound: Duration) -> Result<(), Box<Cause>> {
        self.feed(archive, &["load", "--quiet"], bound).await.map_err(|said| {
            let message = format!("the Docker engine did not take {}: {said}", archive.display());
            Box::new(Cause::new(CauseClass::Internal, "ImageImportFailed", message))
        })
    }

    /// Takes the tag of a build out of the engine; its layers stay in the build cache, as those of any build do. What is not
    /// there is no error, and one that a container still uses stays.
    pub async fn forget(&self, tag: &str) {
        let _ = self.docker.ask(&["image", "rm", tag], ANSWER).await;
    }

    /// Runs the CLI and feeds it the content of an archive. `Err` is why it failed, in one line.
    pub(super) async fn feed(&self, archive: &Path, arguments: &[&str], bound: Duration) -> Result<(), String> {
        let mut command = self.docker.program(arguments.iter().copied()).command();
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| self.docker.failed(error).to_string())?;
        let _group = Group::of(&child);
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let source = File::open(archive).map_err(|error| format!("{} can't be read: {error}", archive.display()))?;
        let pump = async {
            let stdin = stdin.ok_or_else(|| io::Error::other("it has no standard input"))?.into_owned_fd()?;
            blocking(move || archive::decompress(source, File::from(stdin))).await
        };
        let all = async { tokio::join!(pump, words(stderr), child.wait()) };
        match tokio::time::timeout(bound, all).await {
            Err(_) => Err(format!("it was not done after {} s", bound.as_secs())),
            // Its own words go before the broken pipe that it leaves.
            Ok((_, said, Ok(status))) if !status.success() => Err(said),
            Ok((pumped, _, status)) => pumped.and(status).map(drop).map_err(|error| error.to_string()),
        }
    }

    /// Saves an image as an archive. `Err` is why it failed, in one line.
    pub(super) async fn save(&self, tag: &str, archive: &Path) -> Result<Written, String> {
        let mut command = self.docker.program(["save", tag]).command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| self.docker.failed(error).to_string())?;
        let _group = Group::of(&child);
        let stderr = child.stderr.take();
        let (packed, said) = tokio::join!(packed(&mut child, archive), words(stderr));
        let status = child.wait().await.map_err(|error| error.to_string())?;
        finished(packed, status, archive).await.map_err(|error| if said.is_empty() { error } else { said })
    }

    /// A question to the CLI, within the time for short ones.
    pub(super) async fn ask(&self, arguments: &[&str]) -> Result<Answer, ChildError> {
        self.docker.ask(arguments, ANSWER).await
    }

    /// The same, with input.
    pub(super) async fn ask_with(&self, arguments: &[&str], input: &[u8]) -> Result<Answer, ChildError> {
        self.docker.ask_with(arguments, input, ANSWER).await
    }
}

/// Packs what a child writes to its standard output, until that ends, into an archive beside its place.
pub(super) async fn packed(child: &mut Child, archive: &Path) -> io::Result<archive::Packed> {
    let stdout = child.stdout.take().ok_or_else(|| io::Error::other("it has no standard output"))?.into_owned_fd()?;
    let archive = archive.to_owned();
    blocking(move || archive::compress(File::from(stdout), &archive)).await
}

/// The archive appears at its place if the child that wrote it succeeded.
pub(super) async fn finished(
    packed: io::Result<archive::Packed>,
    status: ExitStatus,
    archive: &Path,
) -> Result<Written, String> {
    if !status.success() {
        return Err(format!("it ended with {status}"));
    }
    let failed = |error| format!("{} can't be written: {error}", archive.display());
    let packed = packed.map_err(failed)?;
    let archive = archive.to_owned();
    blocking(move || packed.keep(&archive)).await.map_err(failed)
}

/// Work that waits for files and pipes, on a thread for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// The last line of a stream that is not empty.
async fn words(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        let _ = (&mut stream).take(MAX_WORDS).read_to_end(&mut bytes).await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
    let text = String::from_utf8_lossy(&bytes);
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

/// The cause where there is no CLI.
pub(super) fn missing(error: &ChildError) -> Cause {
    let hint = "install Docker, or use a cluster that is there (`--cluster existing`)".to_owned();
    Cause { hint, ..Cause::new(CauseClass::Cluster, "DockerNotFound", error.to_string()) }
}

/// The cause where no engine answers.
pub(super) fn unavailable(said: &str) -> Cause {
    let hint = "start Docker, or set DOCKER_HOST".to_owned();
    Cause { hint, ..Cause::new(CauseClass::Cluster, "DockerUnavailable", format!("no Docker engine answers: {said}")) }
}
