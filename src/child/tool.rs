//! A program that is asked short questions: docker, kind, kubectl, helm.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

use super::{Group, Program, Variable};

/// Most bytes that are kept of each of its streams.
const MAX_OUTPUT: u64 = 64 << 20;

/// A program of others, with the environment and the folder in which it is started.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    program: PathBuf,
    environment: Vec<Variable>,
    folder: PathBuf,
}

/// Why a program could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildError {
    /// It is not on this machine.
    #[error("`{0}` is not on the PATH")]
    NotFound(String),
    /// It can't be started, or not be waited for.
    #[error("can't run `{program}`: {source}")]
    Io {
        /// The program.
        program: String,
        /// What the system answered.
        source: io::Error,
    },
}

/// What a program answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Whether it ended with exit code 0.
    pub(crate) succeeded: bool,
    /// Its exit code; `None` where a signal ended it, or its time was up.
    pub(crate) code: Option<i32>,
    /// What it wrote to standard output.
    pub(crate) out: String,
    /// What it wrote to standard error; that its time was up, if it was.
    pub(crate) err: String,
}

impl Answer {
    /// Its reason for a failure: the last line of standard error that is not empty.
    pub(crate) fn last_line(&self) -> &str {
        self.err.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it gave no reason")
    }
}

impl Tool {
    /// A program: a name to look for on the PATH, or a file.
    pub(crate) fn new(program: impl Into<PathBuf>, environment: Vec<Variable>, folder: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), environment, folder: folder.into() }
    }

    /// The same program with one more variable in its environment.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.retain(|(known, _)| known != OsStr::new(name));
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Its environment.
    pub(crate) fn environment(&self) -> &[Variable] {
        &self.environment
    }

    /// A variable of its environment.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment.iter().find(|(known, _)| known == OsStr::new(name)).map(|(_, value)| value.as_os_str())
    }

    /// The program with these arguments, not started yet.
    pub(crate) fn program(&self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Program {
        let argv = std::iter::once(self.program.clone().into()).chain(arguments.into_iter().map(Into::into)).collect();
        Program { argv, environment: self.environment.clone(), folder: self.folder.clone() }
    }

    /// A question that is answered within `bound`; one that is not failed, says so, and its process group is killed, as it is when
    /// this is dropped.
    pub(crate) async fn ask(&self, arguments: &[&str], bound: Duration) -> Result<Answer, ChildError> {
        self.ask_with(arguments, &[], bound).await
    }

    /// The same, with `input` on its standard input.
    pub(crate) async fn ask_with(
        &self,
        arguments: &[&str],
        input: &[u8],
        bound: Duration,
    ) -> Result<Answer, ChildError> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        self.asked(&arguments, input, bound).await
    }

    /// The same, with arguments that need not be text: paths.
    pub(crate) async fn ask_os(&self, arguments: &[OsString], bound: Duration) -> Result<Answer, ChildError> {
        self.asked(arguments, &[], bound).await
    }

    async fn asked(&self, arguments: &[OsString], input: &[u8], bound: Duration) -> Result<Answer, ChildError> {
        let mut command = self.program(arguments).command();
        if !input.is_empty() {
            command.stdin(Stdio::piped());
        }
        if let Ok(answer) = timeout(bound, self.answer(command, input)).await {
            return answer;
        }
        let (program, first) = (self.name(), arguments.first().cloned().unwrap_or_default());
        let err = format!("`{program} {}` timed out after {} s", first.display(), bound.as_secs());
        Ok(Answer { err, ..Answer::default() })
    }

    async fn answer(&self, mut command: Command, input: &[u8]) -> Result<Answer, ChildError> {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| self.failed(error))?;
        let _group = Group::of(&child);
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read all of it says why, or does not mind.
                let _ = stdin.write_all(input).await;
            }
        };
        let ((), out, err, status) = tokio::join!(feed, text(stdout), text(stderr), child.wait());
        let status = status.map_err(|error| self.failed(error))?;
        Ok(Answer { succeeded: status.success(), code: status.code(), out, err })
    }

    /// An error of the system that is not about where the program is.
    pub(super) fn failed_io(&self, source: io::Error) -> ChildError {
        ChildError::Io { program: self.name(), source }
    }

    /// What an error of starting it means.
    pub(crate) fn failed(&self, source: io::Error) -> ChildError {
        match source.kind() {
            ErrorKind::NotFound => ChildError::NotFound(self.name()),
            _ => self.failed_io(source),
        }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> String {
        let name = Path::new(&self.program).file_name().unwrap_or(self.program.as_os_str());
        name.to_string_lossy().into_owned()
    }
}

/// A stream to its end; what is more than can be kept is read, and thrown away.
async fn text(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        // What came before a read error is still worth showing.
        let _ = (&mut stream).take(MAX_OUTPUT).read_to_end(&mut bytes).await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh() -> Tool {
        Tool::new("sh", vec![("PATH".into(), std::env::var_os("PATH").unwrap())], "/")
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn an_answer_has_its_code_and_both_streams() {
        let answer = sh().with("X", "1").ask(&["-c", "echo out $X; echo err >&2; exit 3"], LONG).await.unwrap();
        assert_eq!((answer.succeeded, answer.code), (false, Some(3)));
        assert_eq!((answer.out.as_str(), answer.last_line()), ("out 1\n", "err"));
    }

    #[tokio::test]
    async fn what_is_put_in_is_read_and_much_of_it_stops_nothing() {
        let input = vec![b'x'; 1 << 20];
        let answer = sh().ask_with(&["-c", "cat"], &input, LONG).await.unwrap();
        assert_eq!(answer.out.len(), input.len());
        let answer = sh().ask_with(&["-c", "exit 0"], &input, LONG).await.unwrap();
        assert!(answer.succeeded);
    }

    #[tokio::test]
    async fn a_question_without_an_answer_says_so_and_its_group_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let line = format!("(sleep 1000; touch {}) & sleep 1000", mark.display());
        let answer = sh().ask(&["-c", &line], Duration::from_millis(200)).await.unwrap();
        assert_eq!((answer.succeeded, answer.code), (false, None));
        assert!(answer.err.contains("timed out"), "{}", answer.err);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = Tool::new("no-such-program", Vec::new(), "/").ask(&[], LONG).await.unwrap_err();
        assert_eq!(error.to_string(), "`no-such-program` is not on the PATH");
    }
}
