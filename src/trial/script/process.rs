//! A child process in a process group of its own: its output as it comes, and an end for it and for what it started.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::Child;
use tokio::time::{Instant, timeout};

use super::{Limits, ScriptEnd};
use crate::child::{Group, Program};

/// How long a process may take to end when it is asked to; a cancelled run has 8 s for everything.
pub(super) const GRACE: Duration = Duration::from_secs(2);
/// How long the output may be silent, once the process has ended, before what others may still write to it is given up.
const QUIET: Duration = Duration::from_millis(250);
/// How long it is read at most, once the process has ended.
const DRAIN: Duration = Duration::from_secs(2);
/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// A process that was started, with its group.
pub(super) struct Running {
    child: Child,
    group: Group,
    /// What it and its children write, in the order in which they write it; `None` once it was closed.
    output: Option<Receiver>,
    buffer: Vec<u8>,
}

impl Running {
    /// Starts the program. Standard output and standard error are one pipe: the order of lines is kept, as in a pod's log.
    pub(super) fn start(program: &Program) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let child = {
            let mut command = program.command();
            // The command holds our ends of the pipe: it goes before anyone waits for the pipe to be closed.
            command.stdout(writer.try_clone()?).stderr(writer).spawn()?
        };
        let group = Group::of(&child);
        let output = Some(Receiver::from_owned_fd(OwnedFd::from(reader))?);
        Ok(Self { child, group, output, buffer: vec![0; CHUNK] })
    }

    /// Waits for its end or for what comes before; hands out its output meanwhile.
    pub(super) async fn watch(
        &mut self,
        limits: &Limits,
        sink: &mut (impl FnMut(&[u8]) + Send),
    ) -> io::Result<ScriptEnd> {
        // A timeout too long for the clock is none.
        let deadline = Instant::now().checked_add(limits.timeout);
        let time_is_up = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = limits.cancel.cancelled() => Ok(ScriptEnd::Cancelled),
            () = limits.stop.cancelled() => Ok(ScriptEnd::Stopped),
            // Before the output: one that never ends uses up the task's share, and would starve the clock.
            () = time_is_up => Ok(ScriptEnd::TimedOut),
            status = self.exit(sink) => Ok(end(status?)),
        }
    }

    /// Waits for its end; hands out its output meanwhile. May be given up and begun again.
    pub(super) async fn exit(&mut self, sink: &mut (impl FnMut(&[u8]) + Send)) -> io::Result<ExitStatus> {
        loop {
            tokio::select! {
                status = self.child.wait() => return status,
                count = read(&mut self.output, &mut self.buffer), if self.output.is_some() => sink(&self.buffer[..count]),
            }
        }
    }

    /// Asks the group to end, kills it after the grace, and waits for the child.
    pub(super) async fn terminate(&mut self, sink: &mut (impl FnMut(&[u8]) + Send)) -> io::Result<()> {
        self.group.signal(Signal::TERM);
        // Its last words are read too: a child that waits for room in the pipe never ends.
        if timeout(GRACE, self.exit(sink)).await.is_err() {
            self.group.signal(Signal::KILL);
            self.exit(sink).await?;
        }
        Ok(())
    }

    /// Ends what an ended child left running, and hands out the rest of the output. A process that left the group and still holds
    /// the pipe is not waited for.
    pub(super) async fn sweep(mut self, sink: &mut (impl FnMut(&[u8]) + Send)) {
        self.group.signal(Signal::TERM);
        let end = Instant::now() + DRAIN;
        while self.output.is_some() && Instant::now() < end {
            match timeout(QUIET, read(&mut self.output, &mut self.buffer)).await {
                Ok(count) => sink(&self.buffer[..count]),
                Err(_) => self.output = None,
            }
        }
    }
}

/// Reads what there is; 0 bytes, and no output from then on, at its end.
async fn read(output: &mut Option<Receiver>, buffer: &mut [u8]) -> usize {
    let count = match output {
        Some(pipe) => pipe.read(buffer).await.unwrap_or(0),
        None => 0,
    };
    if count == 0 {
        *output = None;
    }
    count
}

/// How a process ended.
fn end(status: ExitStatus) -> ScriptEnd {
    match (status.code(), status.signal()) {
        (Some(code), _) => ScriptEnd::Exited { code },
        (None, signal) => ScriptEnd::Signalled { signal: signal.unwrap_or_default() },
    }
}
