//! Follows the logs of every container of a namespace's pods, from their start, into the attempt's folder.
//!
//! Each run of a container (init, sidecar, ordinary, ephemeral; each restart) gets one reader. It follows the log while the
//! container runs, goes on where a connection was cut, and asks for a run that was missed as the previous one.

mod lines;
mod position;
mod runs;
mod task;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::{Api, Client};
use serde_json::Value as Json;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::folder::Folder;
use super::log::{Kept, last_bytes};
use lines::Lines;
use position::Position;
use runs::{Phase, Run, Runs};
use task::{Shared, Task};

/// How many requests for logs of containers that have ended run at once in a run.
const FETCHES: usize = 32;

/// How long closing the files may take once time is up.
const CLOSING: Duration = Duration::from_secs(2);

/// A complete line of a container's log: as it was printed, not redacted; without its end, and at most 16 KiB of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    pub pod: &'a str,
    pub container: &'a str,
    /// How often the container had been restarted.
    pub restart: u32,
    pub text: &'a str,
}

/// Is told every line, from several threads at once, in the order of each log.
pub type OnLine = Arc<dyn Fn(&LogLine<'_>) + Send + Sync>;

/// What all followers of a run share: the client, and how many logs are read at once.
#[derive(Clone)]
pub struct FollowContext {
    client: Client,
    follows: Arc<Semaphore>,
    fetches: Arc<Semaphore>,
}

impl FollowContext {
    /// At most `most` logs are followed at once, each over a connection of its own; the others are fetched once their
    /// containers have ended.
    #[must_use]
    pub fn new(client: Client, most: usize) -> Self {
        Self { client, follows: Arc::new(Semaphore::new(most)), fetches: Arc::new(Semaphore::new(FETCHES)) }
    }
}

/// What became of a run's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSummary {
    pub pod: String,
    pub container: String,
    /// How often the container had been restarted.
    pub restart: u32,
    /// The file.
    pub path: PathBuf,
    /// The same inside the evidence.
    pub relative: String,
    /// How much there was, and is.
    pub kept: Kept,
    /// Whether the container ended and its log was read to the end.
    pub complete: bool,
    /// Why it may not be whole.
    pub note: Option<String>,
}

impl LogSummary {
    /// The last bytes that were kept, at most `count`, redacted.
    ///
    /// # Errors
    /// What the disk answered.
    pub fn tail(&self, count: u64) -> io::Result<String> {
        let bytes = last_bytes(&mut std::fs::File::open(&self.path)?, count)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Follows the logs of one namespace. Dropping it leaves the logs as they are then.
pub struct LogFollower {
    shared: Arc<Shared>,
    folder: Folder,
    finishing: watch::Sender<bool>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    runs: Runs,
    phases: BTreeMap<Run, watch::Sender<Phase>>,
    tasks: JoinSet<LogSummary>,
    /// Logs that could not even be started.
    failed: Vec<LogSummary>,
    /// The first uid of each pod's name: another pod of that name gets a folder of its own.
    uids: BTreeMap<String, String>,
}

impl LogFollower {
    /// One for a namespace, whose logs go to the folder. Lines are told to `on_line`.
    #[must_use]
    pub fn new(context: &FollowContext, namespace: &str, folder: Folder, on_line: Option<OnLine>) -> Self {
        let (finishing, receiver) = watch::channel(false);
        let shared = Arc::new(Shared {
            api: Api::namespaced(context.client.clone(), namespace),
            follows: Arc::clone(&context.follows),
            fetches: Arc::clone(&context.fetches),
            on_line,
            finishing: receiver,
            stop: CancellationToken::new(),
        });
        Self { shared, folder, finishing, state: Mutex::default() }
    }

    /// Takes a state of a pod: to be called for each, the last one before it is gone too. The same state may come again.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn pod(&self, pod: &Json) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (run, phase) in state.runs.see(pod) {
            match state.phases.get(&run) {
                Some(sender) => {
                    sender.send_replace(phase);
                }
                None if phase != Phase::Lost => self.start(&mut state, run, phase),
                None => {}
            }
        }
    }

    fn start(&self, state: &mut State, run: Run, phase: Phase) {
        let first = state.uids.entry(run.pod.clone()).or_insert_with(|| run.uid.clone());
        let name = if *first == run.uid { run.pod.clone() } else { format!("{}~{}", run.pod, run.uid) };
        match self.folder.log(&name, &run.container, run.restart) {
            Ok(file) => {
                let (sender, phase) = watch::channel(phase);
                state.phases.insert(run.clone(), sender);
                let shared = Arc::clone(&self.shared);
                let (lines, position, note) = (Lines::default(), Position::default(), None);
                state.tasks.spawn(Task { shared, run, phase, file, lines, position, note }.run());
            }
            Err(error) => {
                let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                state.failed.push(LogSummary {
                    pod: run.pod,
                    container: run.container,
                    restart: run.restart,
                    path: self.folder.path().to_owned(),
                    relative: self.folder.relative().to_owned(),
                    kept: Kept::default(),
                    complete: false,
                    note: Some(format!("{error}: {why}")),
                });
            }
        }
    }

    /// The attempt is over: waits until the logs of the containers that have ended are read, those that were never followed
    /// among them, and leaves the others as soon as they are silent. Takes at most `deadline`, and a moment to close the
    /// files. One summary a run of a container, in the order of pods, containers and restarts.
    pub async fn finish(self, deadline: Duration) -> Vec<LogSummary> {
        self.finishing.send_replace(true);
        let state = std::mem::take(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner));
        let (mut tasks, mut logs) = (state.tasks, state.failed);
        let drain = async |tasks: &mut JoinSet<LogSummary>, logs: &mut Vec<LogSummary>| {
            while let Some(log) = tasks.join_next().await {
                logs.extend(log);
            }
        };
        if tokio::time::timeout(deadline, drain(&mut tasks, &mut logs)).await.is_err() {
            self.shared.stop.cancel();
            // What does not even close is aborted when the set is dropped.
            let _ = tokio::time::timeout(CLOSING, drain(&mut tasks, &mut logs)).await;
        }
        logs.sort_by(|a, b| (&a.pod, &a.container, a.restart).cmp(&(&b.pod, &b.container, b.restart)));
        logs
    }
}
