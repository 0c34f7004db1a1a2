//! What containers print: kept by pod, container and restart, read while it is written.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;

use super::{Key, Store};

/// How much of one run of a container is kept: as much as a kubelet keeps before it rotates the file
/// (`containerLogMaxSize`).
const KEPT_BYTES: usize = 10 * 1024 * 1024;

/// How many runs of a container are kept: the present one and the one before it.
const KEPT_RUNS: usize = 2;

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was printed.
    pub at: Timestamp,
    /// What was printed, with its line feed if it had one.
    pub text: Bytes,
}

/// The logs of a store's containers.
#[derive(Clone, Debug)]
pub struct Logs<'a> {
    store: &'a Store,
}

/// One run of one container.
#[derive(Debug)]
pub(super) struct Run {
    restart: u32,
    state: Mutex<RunState>,
    grown: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct RunState {
    lines: VecDeque<Line>,
    bytes: usize,
    /// How many lines were dropped at the front.
    dropped: u64,
    /// What was printed since the last line feed, and when that began.
    rest: Vec<u8>,
    rest_at: Timestamp,
    ended: bool,
}

/// The runs of the containers of each pod, by namespace and pod, then by container.
pub(super) type PodLogs = HashMap<(String, String), HashMap<String, Vec<Arc<Run>>>>;

impl Logs<'_> {
    /// Adds what a container printed now. It is told to readers line by line. What comes from a pod that is gone is dropped.
    pub fn append(&self, namespace: &str, pod: &str, container: &str, restart: u32, bytes: &[u8]) {
        if let Some(run) = self.run(namespace, pod, container, restart) {
            run.change(|state| state.append(Timestamp::now(), bytes));
        }
    }

    /// Says that a run of a container is over: those who follow its log have it all. What is told of it later is still kept.
    pub fn end(&self, namespace: &str, pod: &str, container: &str, restart: u32) {
        if let Some(run) = self.run(namespace, pod, container, restart) {
            run.change(RunState::end);
        }
    }

    /// Opens the log of one run of a container, from its first line on; `None` if the pod is gone.
    #[must_use]
    pub fn read(&self, namespace: &str, pod: &str, container: &str, restart: u32) -> Option<LogReader> {
        let run = self.run(namespace, pod, container, restart)?;
        Some(LogReader { grown: run.grown.subscribe(), run, next: 0 })
    }

    /// Finds a run, or makes room for it.
    fn run(&self, namespace: &str, pod: &str, container: &str, restart: u32) -> Option<Arc<Run>> {
        let mut state = self.store.lock();
        state.stored(&Key::namespaced("", "pods", namespace, pod))?;
        let containers = state.logs.entry((namespace.to_owned(), pod.to_owned())).or_default();
        let runs = containers.entry(container.to_owned()).or_default();
        if let Some(run) = runs.iter().find(|run| run.restart == restart) {
            return Some(Arc::clone(run));
        }
        let run = Arc::new(Run { restart, state: Mutex::default(), grown: watch::Sender::new(()) });
        runs.push(Arc::clone(&run));
        runs.sort_by_key(|run| run.restart);
        if runs.len() > KEPT_RUNS {
            runs.remove(0).change(RunState::end);
        }
        Some(run)
    }
}

/// Ends the logs of a pod that is gone.
pub(super) fn forget_pod(logs: &mut PodLogs, namespace: &str, pod: &str) {
    let gone = logs.remove(&(namespace.to_owned(), pod.to_owned()));
    for run in gone.into_iter().flatten().flat_map(|(_, runs)| runs) {
        run.change(RunState::end);
    }
}

impl Run {
    fn change(&self, edit: impl FnOnce(&mut RunState)) {
        edit(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.grown.send_replace(());
    }
}

impl RunState {
    fn append(&mut self, now: Timestamp, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.rest.is_empty() {
                self.rest_at = now;
            }
            self.rest.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.flush();
            }
        }
        if self.ended {
            // It came late: there will be no end to wait for.
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.rest.is_empty() {
            return;
        }
        let text = Bytes::from(std::mem::take(&mut self.rest));
        self.bytes += text.len();
        self.lines.push_back(Line { at: self.rest_at, text });
        while self.bytes > KEPT_BYTES && self.lines.len() > 1 {
            let Some(line) = self.lines.pop_front() else { break };
            self.bytes -= line.text.len();
            self.dropped += 1;
        }
    }

    fn end(&mut self) {
        self.flush();
        self.ended = true;
    }

    /// The lines from number `next` on.
    fn from(&self, next: u64) -> Vec<Line> {
        let skipped = usize::try_from(next.saturating_sub(self.dropped)).unwrap_or(usize::MAX);
        self.lines.iter().skip(skipped).cloned().collect()
    }

    fn end_number(&self) -> u64 {
        self.dropped + self.lines.len() as u64
    }
}

/// Reads the log of one run of a container.
#[derive(Debug)]
pub struct LogReader {
    run: Arc<Run>,
    grown: watch::Receiver<()>,
    next: u64,
}

impl LogReader {
    /// The lines that are there and were not read before.
    pub fn lines(&mut self) -> Vec<Line> {
        self.grown.mark_unchanged();
        let state = self.run.state.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = state.from(self.next);
        self.next = state.end_number();
        lines
    }

    /// Waits for lines that were not read before; `None` when the run is over and all was read.
    pub async fn next(&mut self) -> Option<Vec<Line>> {
        loop {
            let has_ended = self.has_ended();
            let lines = self.lines();
            if !lines.is_empty() {
                return Some(lines);
            }
            if has_ended || self.grown.changed().await.is_err() {
                return None;
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.run.state.lock().unwrap_or_else(PoisonError::into_inner).ended
    }
}

impl Store {
    /// The logs of the containers.
    #[must_use]
    pub fn logs(&self) -> Logs<'_> {
        Logs { store: self }
    }
}
