//! Cancellation by signals: the first one ends the run in good order, only a second SIGINT ends it at once.
//!
//! A runner of GitHub Actions that cancels a job sends SIGINT, 7.5 s later SIGTERM, 2.5 s later SIGKILL, so that a SIGTERM after
//! a SIGINT says nothing new. A person who presses Ctrl-C again does not want to wait.

use std::sync::{Arc, OnceLock};

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

/// A signal that ends a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Signal {
    /// The exit code of a run that it ended: 128 and the signal's number, as shells have it.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Listens for SIGINT and SIGTERM, also as the first process of a container, which takes no signal that it does not handle.
#[derive(Clone, Debug)]
pub struct Signals {
    /// Cancelled by the first signal.
    pub cancel: CancellationToken,
    first: Arc<OnceLock<Signal>>,
}

impl Signals {
    /// Listens from now on, in a thread of its own: whatever the rest of the program does, a second SIGINT ends it. From here
    /// on the signals no longer end the process by themselves.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system refuses the handlers or the thread.
    pub fn install() -> Result<Self> {
        let failed = |error: std::io::Error| Error::Internal(format!("can't listen for signals: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
        let guard = runtime.enter();
        let interrupts = signal(SignalKind::interrupt()).map_err(failed)?;
        let terminations = signal(SignalKind::terminate()).map_err(failed)?;
        drop(guard);
        let signals = Self { cancel: CancellationToken::new(), first: Arc::default() };
        let listening = signals.clone();
        let listen = move || runtime.block_on(listening.listen(interrupts, terminations));
        std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(failed)?;
        Ok(signals)
    }

    /// The first signal, once there was one.
    #[must_use]
    pub fn received(&self) -> Option<Signal> {
        self.first.get().copied()
    }

    async fn listen(self, mut interrupts: Stream, mut terminations: Stream) {
        let mut interrupted = false;
        loop {
            let received = tokio::select! {
                Some(()) = interrupts.recv() => Signal::Interrupt,
                Some(()) = terminations.recv() => Signal::Terminate,
                else => return,
            };
            let first = *self.first.get_or_init(|| received);
            self.cancel.cancel();
            if received == Signal::Interrupt && std::mem::replace(&mut interrupted, true) {
                eprintln!("interrupted again: leaving at once; `example-validator clean` deletes what is left");
                std::process::exit(i32::from(first.exit_code()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Lines, Read, Write};
    use std::process::{Child, ChildStdout, Command, Stdio};

    use super::*;

    const IS_CHILD: &str = "EXAMPLE_VALIDATOR_TEST_SIGNALS";

    /// Not a test by itself: the process that the tests send signals to. It tells when it listens and when it is cancelled,
    /// and ends with the first signal's exit code when its input does.
    #[test]
    fn child() {
        if std::env::var_os(IS_CHILD).is_none() {
            return;
        }
        let signals = Signals::install().unwrap();
        println!("\nready");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(signals.cancel.cancelled());
        println!("cancelled");
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(signals.received().map_or(0, Signal::exit_code).into());
    }

    struct Listener {
        child: Child,
        lines: Lines<BufReader<ChildStdout>>,
    }

    impl Listener {
        fn start() -> Self {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["cancel::tests::child", "--exact", "--nocapture"]).env(IS_CHILD, "1");
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut listener = Self { child, lines };
            listener.wait_for("ready");
            listener
        }

        fn wait_for(&mut self, line: &str) {
            assert!(self.lines.any(|read| read.unwrap() == line), "the child ended without `{line}`");
        }

        fn send(&self, signal: &str) {
            let kill = format!("kill -{signal} {}", self.child.id());
            assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        }

        /// Lets the child come to its end; its exit code and what it said on standard error.
        fn end(mut self) -> (Option<i32>, String) {
            drop(self.child.stdin.take());
            self.exit()
        }

        fn exit(self) -> (Option<i32>, String) {
            let output = self.child.wait_with_output().unwrap();
            (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    #[test]
    fn the_first_signal_cancels_and_is_remembered() {
        for (signal, code) in [("INT", 130), ("TERM", 143)] {
            let mut listener = Listener::start();
            listener.send(signal);
            listener.wait_for("cancelled");
            assert_eq!(listener.end().0, Some(code), "{signal}");
        }
    }

    #[test]
    fn a_sigterm_after_a_sigint_changes_nothing() {
        for (first, then, code) in [("INT", "TERM", 130), ("TERM", "TERM", 143), ("TERM", "INT", 143)] {
            let mut listener = Listener::start();
            listener.send(first);
            listener.wait_for("cancelled");
            listener.send(then);
            // The child is in the middle of its work: it ends when that does.
            listener.child.stdin.as_mut().unwrap().write_all(b"work").unwrap();
            assert_eq!(listener.child.try_wait().unwrap(), None, "{first}, {then}");
            assert_eq!(listener.end(), (Some(code), String::new()), "{first}, {then}");
        }
    }

    #[test]
    fn a_second_sigint_ends_it_at_once() {
        let mut listener = Listener::start();
        let input = listener.child.stdin.take();
        listener.send("INT");
        // Two signals of one kind that come together are one to the system.
        listener.wait_for("cancelled");
        listener.send("INT");
        let (code, said) = listener.exit();
        assert_eq!(code, Some(130));
        assert!(said.contains("leaving at once"), "{said}");
        drop(input);
    }
}
