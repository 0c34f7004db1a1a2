//! The runs of containers that go on: since when, and for how long. What they use follows from that.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::{Key, Store};

/// A run of a container that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// How often the container was started before.
    pub restart: u32,
    /// When it started.
    pub since: Instant,
    /// How long it takes; `None` for one that does not end by itself.
    pub length: Option<Duration>,
    /// Whether it takes all the memory that it may have.
    pub takes_all: bool,
}

/// By namespace and pod, then by container.
pub(super) type PodRuns = HashMap<(String, String), HashMap<String, Run>>;

impl Store {
    /// Notes that a run of a container begins. What is told of a pod that is gone is dropped.
    pub fn began(&self, key: &Key, container: &str, run: Run) {
        let mut state = self.lock();
        if state.stored(key).is_some() {
            let runs = state.runs.entry((key.part().to_owned(), key.name.clone())).or_default();
            runs.insert(container.to_owned(), run);
        }
    }

    /// Notes that a run of a container is over.
    pub fn ended(&self, key: &Key, container: &str, restart: u32) {
        let mut state = self.lock();
        let Some(runs) = state.runs.get_mut(&(key.part().to_owned(), key.name.clone())) else { return };
        if runs.get(container).is_some_and(|run| run.restart == restart) {
            runs.remove(container);
        }
    }

    /// The present run of a container; `None` while it does not run.
    #[must_use]
    pub fn run_of(&self, namespace: &str, pod: &str, container: &str) -> Option<Run> {
        self.lock().runs.get(&(namespace.to_owned(), pod.to_owned()))?.get(container).copied()
    }
}
