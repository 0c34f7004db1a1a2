//! The first process of a container: it passes signals on, and takes leave of every process that lost its parent. Nobody else would, and
//! what kind and Docker's CLI leave behind would stay in the process table until the container ends.
//!
//! The work is done by a child, this program again: who waits for every process would take the ends of its own children away from whoever
//! waits for them.

use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitCode, ExitStatus};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Error, Result};

/// Does the first process's part if this is one, with the exit code of the child that did the work; `None` in every other process.
///
/// # Errors
/// The system refuses the child, or the handlers of signals.
pub fn supervise() -> Option<Result<ExitCode>> {
    (std::process::id() == 1).then(|| {
        let failed = |error| Error::Internal(format!("can't do the part of a container's first process: {error}"));
        run().map(ExitCode::from).map_err(failed)
    })
}

fn run() -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut ended = signal(SignalKind::child())?;
        let mut interrupts = signal(SignalKind::interrupt())?;
        let mut terminations = signal(SignalKind::terminate())?;
        let child = start()?;
        crate::hide_environment();
        loop {
            tokio::select! {
                _ = ended.recv() => {
                    if let Some(code) = reap(child) {
                        return Ok(code);
                    }
                }
                // One that has just ended takes no signal; its end is about to be told.
                _ = interrupts.recv() => drop(kill_process(child, Signal::INT)),
                _ = terminations.recv() => drop(kill_process(child, Signal::TERM)),
            }
        }
    })
}

/// This program again, with the same arguments under the same name.
fn start() -> io::Result<Pid> {
    let mut arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let child = command.args(arguments).spawn()?;
    Pid::from_raw(child.id().cast_signed()).ok_or_else(|| io::Error::other("the child has no number"))
}

/// Takes leave of every process that has ended; the exit code if `child` is among them.
fn reap(child: Pid) -> Option<u8> {
    let mut code = None;
    while let Ok(Some((process, status))) = wait(WaitOptions::NOHANG) {
        if process == child {
            code = Some(exit_code(status));
        }
    }
    code
}

/// The exit code as shells have it: 128 and the number of the signal that ended it.
fn exit_code(status: WaitStatus) -> u8 {
    let status = ExitStatus::from_raw(status.as_raw());
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
