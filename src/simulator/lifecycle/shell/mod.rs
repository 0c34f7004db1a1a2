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

use std::collections::BTreeMap;
use std::time::Duration;

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

/// Plays `sh -c script name arguments...`.
#[must_use]
pub fn play_script(script: &str, arguments: &[String], surroundings: &Surroundings) -> Play {
    let Some(node) = syntax::parse(script) else {
        let mut argv = vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()];
        argv.extend_from_slice(arguments);
        return simulated(&argv);
    };
    let mut shell = Shell::new(surroundings, arguments);
    let stop = shell.script(&node);
    finish(shell, stop)
}

/// Plays a command that is started without a shell.
#[must_use]
pub fn play_command(argv: &[String], surroundings: &Surroundings) -> Play {
    let mut shell = Shell::new(surroundings, &[]);
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

fn simulated(argv: &[String]) -> Play {
    Play {
        output: vec![(Duration::ZERO, format!("simulated: {}\n", argv.join(" ")))],
        end: End::Exit { code: 0, after: Duration::ZERO },
    }
}
