//! A small shell that plays what a container's command would do: what it prints, how long it takes, how it ends.
//!
//! No process is started and no real time passes: `sleep` moves a clock of its own. A command that is not known succeeds,
//! and says so in one line: `simulated: python train.py`.

mod builtin;
mod expand;
mod run;
mod syntax;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use super::play::{End, Play};
use run::{Shell, Stop};

/// What a command finds when it is started.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Its environment.
    pub variables: BTreeMap<String, String>,
    /// The files that it can read, by path: those of its mounted ConfigMaps and Secrets.
    pub files: BTreeMap<String, String>,
    /// Whether a command that is not known is a server, which does not end by itself.
    pub serves: bool,
}

/// Plays a command that is started without a shell.
#[must_use]
pub fn play_command(argv: &[String], surroundings: &Surroundings) -> Play {
    let mut shell = Shell::new(surroundings);
    let stop = shell.call(argv);
    finish(shell, stop)
}

fn finish(shell: Shell, stop: Result<i32, Stop>) -> Play {
    let after = shell.clock;
    let end = match stop {
        Ok(code) | Err(Stop::Exit(code)) => End::Exit { code, after },
        Err(Stop::OutOfMemory) => End::OutOfMemory { after },
        Err(Stop::Break | Stop::Continue) => End::Exit { code: 0, after },
        Err(Stop::Hang) => End::Never,
    };
    Play { output: shell.printed, end }
}
