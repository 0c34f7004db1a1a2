//! Child processes: programs of others, each in a process group of its own, with an allow-listed environment, never through a shell.

pub(crate) mod environment;
mod logged;
#[cfg(test)]
pub(crate) mod testing;
mod tool;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::Instant;

pub(crate) use environment::Variable;
pub(crate) use logged::Logged;
pub(crate) use tool::{Answer, ChildError, Tool};

/// What to start.
pub(crate) struct Program {
    /// The program and its arguments; never empty.
    pub(crate) argv: Vec<OsString>,
    /// Its whole environment.
    pub(crate) environment: Vec<Variable>,
    /// Where it starts; a program with a `/` in its name is looked for from here.
    pub(crate) folder: PathBuf,
}

impl Program {
    /// The file to start, or a name to look for on the PATH.
    pub(crate) fn file(&self) -> PathBuf {
        let name = Path::new(&self.argv[0]);
        // `join` leaves an absolute path as it is.
        if name.components().count() > 1 || self.argv[0].to_string_lossy().contains('/') {
            self.folder.join(name)
        } else {
            name.to_owned()
        }
    }

    /// The command, with no input, and without what it writes to.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.file());
        command.args(&self.argv[1..]).env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.folder).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        command
    }
}

/// The process group that a child leads, as [`Program::command`] starts it. When it is dropped, what is left of it is killed.
pub(crate) struct Group(Option<Pid>);

impl Group {
    /// The group of a child that was just started: its id is the child's.
    pub(crate) fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id.cast_signed())))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // A group without a process left is no group: then there is nobody to tell.
        let _ = self.0.map(|group| kill_process_group(group, signal));
    }

    /// Waits until no process of the group runs, for at most `bound`: killed ones need a moment.
    async fn gone(&self, bound: Duration) {
        let end = Instant::now() + bound;
        while self.0.is_some_and(runs) && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Whether a process of the group runs. Zombies do not: nobody may ever wait for them where we are a container's first process.
fn runs(group: Pid) -> bool {
    let member = |stat: &str| {
        // `PID (name) STATE PARENT GROUP ...`; the name may hold anything.
        let mut fields = stat.rsplit(')').next()?.split_whitespace();
        let (state, group_id) = (fields.next()?, fields.nth(1)?);
        Some(!matches!(state, "Z" | "X") && group_id == group.as_raw_nonzero().to_string())
    };
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    let stats = processes.flatten().filter_map(|process| std::fs::read_to_string(process.path().join("stat")).ok());
    rustix::process::test_kill_process_group(group).is_ok() && stats.into_iter().any(|stat| member(&stat) == Some(true))
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
