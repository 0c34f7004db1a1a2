//! A program whose output goes to a file: one that takes long, and must leave nothing running when it is given up.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tokio_util::sync::CancellationToken;

use super::{ChildError, Group, Tool};

/// How long a killed group may take to be gone.
const GONE: Duration = Duration::from_secs(2);

/// How a program with a log ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logged {
    /// By itself, with this exit code; `None` if a signal of others ended it.
    Exited(Option<i32>),
    /// It was given up, since the run was cancelled. Nothing of its process group is left.
    Cancelled,
    /// It was given up, since its time was up. Nothing of its process group is left.
    TimedOut,
}

impl Tool {
    /// Runs it to its end, both its streams appended to `log`, for at most `bound`. Whatever ends it, no process of its group
    /// is left: a program like kind dies at once when it is told to, and its own children live on.
    pub(crate) async fn run_logged(
        &self,
        arguments: &[&str],
        log: &Path,
        bound: Duration,
        cancel: &CancellationToken,
    ) -> Result<Logged, ChildError> {
        let io = |error| self.failed_io(error);
        let file = open(log).map_err(io)?;
        let mut command = self.program(arguments.iter().copied()).command();
        command.stdout(file.try_clone().map_err(io)?).stderr(file);
        let mut child = command.spawn().map_err(|error| self.failed(error))?;
        let group = Group::of(&child);
        let end = tokio::select! {
            biased;
            () = cancel.cancelled() => Logged::Cancelled,
            status = child.wait() => Logged::Exited(status.map_err(io)?.code()),
            () = tokio::time::sleep(bound) => Logged::TimedOut,
        };
        group.signal(Signal::KILL);
        if !matches!(end, Logged::Exited(_)) {
            child.wait().await.map_err(io)?;
        }
        group.gone(GONE).await;
        Ok(end)
    }
}

fn open(log: &Path) -> std::io::Result<File> {
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).open(log)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn sh() -> Tool {
        Tool::new("sh", vec![("PATH".into(), std::env::var_os("PATH").unwrap())], "/")
    }

    #[tokio::test]
    async fn both_streams_are_in_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a/log");
        let cancel = CancellationToken::new();
        let end = sh().run_logged(&["-c", "echo out; echo err >&2; exit 3"], &log, LONG, &cancel).await.unwrap();
        assert_eq!(end, Logged::Exited(Some(3)));
        assert_eq!(std::fs::read_to_string(log).unwrap(), "out\nerr\n");
    }

    #[tokio::test]
    async fn nothing_of_a_program_that_is_given_up_is_left() {
        for is_cancelled in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let (log, cancel) = (folder.path().join("log"), CancellationToken::new());
            // What it started does not hear what it hears.
            let line = "sh -c 'trap \"\" TERM INT; echo $$; while :; do sleep 0.1; done' & wait";
            let bound = if is_cancelled { LONG } else { Duration::from_millis(500) };
            let watch = async {
                while is_cancelled && !std::fs::read_to_string(&log).is_ok_and(|text| text.ends_with('\n')) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                if is_cancelled {
                    cancel.cancel();
                }
            };
            let (tool, arguments) = (sh(), ["-c", line]);
            let (end, ()) = tokio::join!(tool.run_logged(&arguments, &log, bound, &cancel), watch);
            assert_eq!(end.unwrap(), if is_cancelled { Logged::Cancelled } else { Logged::TimedOut });
            let child = std::fs::read_to_string(&log).unwrap();
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
            assert!(child.trim().is_empty() || stat.is_empty() || stat.contains(") Z "), "{stat}");
        }
    }
}
