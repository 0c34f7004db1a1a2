//! All cells of one cluster: whose turn it is, tries and retries, and the rows that come of them.
//!
//! What an attempt does is the caller's: [`run`] starts it, tells it of its neighbours, bounds it, and makes a row of what it
//! comes to. What fits where is in [`packing`], the order in [`schedule`]; both are pure.
//!
//! A run ends early in three ways. `--max-fail` lets running cells end and skips the rest. Cancellation and `--deadline` also
//! tell running attempts to stop ([`Turn::stop`]): one that comes to a verdict nevertheless keeps it, one that does not is
//! `errored` (`Cancelled`) or, at the deadline, `timed-out` (class `timeout`, `DeadlineReached`). A cell that had failed and
//! waited for its retry keeps its failure. Whatever had not begun is `skipped`, with the reason.

mod ending;
mod gate;
pub mod packing;
mod row;
pub mod schedule;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::future::Future;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use futures::{FutureExt, future};
use jiff::Timestamp;
use jiff::civil::Date;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::catalog::Example;
use crate::cluster::Node;
use crate::config::Resources;
use crate::model::{Cause, Outcome, Tier};
use crate::report::{Finding, Row};
use crate::trial::Attempted;
use ending::Ending;
pub use gate::{Blocked, Gate};
use packing::{Demand, Packing, auto_parallel};
use schedule::{Schedule, Task};

/// One example on one version.
#[derive(Clone, Debug)]
pub struct Cell<'a> {
    /// The example.
    pub example: &'a Example,
    /// The version, as plan and report name it.
    pub kubernetes: &'a str,
    /// How far the plan takes it.
    pub tier: Tier,
    /// Why the plan chose it.
    pub reason: String,
    /// How long it is expected to take.
    pub expected: Duration,
    /// What the basic tier found.
    pub diagnostics: Vec<Finding>,
    /// What only one cell at a time may have: objects of the whole cluster, ports of nodes, addresses, hosts and paths.
    pub locks: BTreeSet<String>,
    /// No other cell may run beside it on its cluster: its checks ask for metrics that any of them would move.
    pub alone: bool,
    /// What its pods request, all together.
    pub request: Resources,
    /// How many pods it has at once.
    pub pods: u64,
    /// What has to be there before its turn can come.
    pub gates: Vec<Gate>,
}

/// What bounds the cells of a run.
#[derive(Clone, Debug)]
pub struct Limits<'a> {
    /// Cells at once; `None` is `auto` ([`auto_parallel`]).
    pub parallel: Option<NonZeroUsize>,
    /// After so many results that count as failures no other cell is begun.
    pub max_fail: Option<NonZeroUsize>,
    /// The results that counted so far, of all clusters of the run: clones share it.
    pub failures: Arc<AtomicUsize>,
    /// The outcomes that count.
    pub fail_on: &'a [Outcome],
    /// When the whole run has to end.
    pub deadline: Option<Instant>,
    /// The day on which it is judged, by which a quarantine holds or has run out.
    pub today: Date,
}

/// What an attempt is told.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Which try at the cell it is, from 1.
    pub number: u32,
    /// Whether other cells of ours hold room on the nodes now: a pod that finds none may then wait.
    pub others_hold_room: watch::Receiver<bool>,
    /// Cancelled when the attempt has to end, with the run or at its deadline: it stops judging, collects its evidence and
    /// deletes what it created. What it then returns as errored, of class `internal` or without a cause, is told as what
    /// stopped it; any other outcome holds.
    pub stop: CancellationToken,
}

/// Runs the cells on a cluster with these nodes, each by `attempt`, again where the rules say so; `finished` is called with
/// each row as it is known. The rows are in the order of the cells, one each.
///
/// Attempts run in the task that awaits this. One that panics is errored and stops nothing else. An attempt holds its room
/// until its future ends; this waits for every attempt that it began, so that an attempt that is told to stop must end.
pub async fn run<'c, 'a, F>(
    cells: &'c [Cell<'a>],
    nodes: &[Node],
    limits: &Limits<'_>,
    cancel: &CancellationToken,
    attempt: impl Fn(&'c Cell<'a>, Turn) -> F,
    finished: impl FnMut(&Row),
) -> Vec<Row>
where
    F: Future<Output = Attempted>,
{
    let stop = cancel.child_token();
    let (crowded, others_hold_room) = watch::channel(false);
    let mut course = Course::new(cells, nodes, limits, finished);
    let mut running = FuturesUnordered::new();
    let opening = |place: &usize| {
        let (place, gates) = (*place, cells[*place].gates.clone());
        async move { (place, gate::open(gates).await) }
    };
    let mut gates: FuturesUnordered<_> = course.held.iter().map(opening).collect();
    loop {
        course.end_if_due(cancel);
        while let Some(place) = course.schedule.start() {
            let number = u32::try_from(course.tries[place].len() + 1).unwrap_or(u32::MAX);
            let turn = Turn { number, others_hold_room: others_hold_room.clone(), stop: stop.clone() };
            let started = Instant::now();
            let at = Timestamp::now();
            let (cell, attempt) = (&cells[place], &attempt);
            // A future that panicked is dropped at once: nothing of it is looked at again.
            let tried = AssertUnwindSafe(async move { attempt(cell, turn).await }).catch_unwind();
            running.push(tried.map(move |tried| {
                (place, tried.map_err(|panic| ending::panicked(panic.as_ref(), at, started.elapsed())))
            }));
        }
        let others = course.schedule.running() > 1;
        crowded.send_if_modified(|before| std::mem::replace(before, others) != others);
        if running.is_empty() && course.held.is_empty() {
            return course.rows();
        }
        tokio::select! {
            biased;
            () = cancel.cancelled(), if course.ending != Some(Ending::Cancelled) => {}
            () = reached(limits.deadline), if !stop.is_cancelled() => stop.cancel(),
            Some((place, opened)) = gates.next() => course.open(place, opened),
            Some((place, tried)) = running.next() => {
                // It may have been told to stop before this loop has seen that.
                course.end_if_due(cancel);
                let tried = tried.map_or_else(|panicked| panicked, |tried| course.explained(tried));
                course.record(place, tried);
            }
        }
    }
}

/// The row of a cell that could not be tried: there is no cluster for it.
#[must_use]
pub fn errored(cell: &Cell<'_>, cause: Cause, today: Date) -> Row {
    row::blocked(cell, today, &Blocked { outcome: Outcome::Errored, cause })
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => future::pending().await,
    }
}

/// The state of a run.
struct Course<'c, 'a, 'l, N> {
    cells: &'c [Cell<'a>],
    limits: &'l Limits<'l>,
    schedule: Schedule,
    /// Those whose turn can't come yet.
    held: BTreeSet<usize>,
    /// The attempts at each cell so far.
    tries: Vec<Vec<Attempted>>,
    rows: Vec<Option<Row>>,
    /// Why no other cell is begun.
    ending: Option<Ending>,
    finished: N,
}

impl<'c, 'a, 'l, N: FnMut(&Row)> Course<'c, 'a, 'l, N> {
    fn new(cells: &'c [Cell<'a>], nodes: &[Node], limits: &'l Limits<'l>, finished: N) -> Self {
        let task = |cell: &Cell<'_>| Task {
            expected: cell.expected,
            demand: Demand::of(cell.example, cell.request, cell.pods),
            locks: cell.locks.clone(),
            alone: cell.alone,
            held: !cell.gates.is_empty(),
        };
        let parallel = limits.parallel.map_or_else(|| auto_parallel(nodes), NonZeroUsize::get);
        Self {
            cells,
            limits,
            schedule: Schedule::new(cells.iter().map(task), Packing::new(nodes), parallel),
            held: (0..cells.len()).filter(|place| !cells[*place].gates.is_empty()).collect(),
            tries: cells.iter().map(|_| Vec::new()).collect(),
            rows: cells.iter().map(|_| None).collect(),
            ending: None,
            finished,
        }
    }

    /// Gives up what has not begun, if there is a reason to.
    fn end_if_due(&mut self, cancel: &CancellationToken) {
        let failures = self.limits.failures.load(Ordering::Relaxed);
        let ending = if cancel.is_cancelled() {
            Ending::Cancelled
        } else if self.limits.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            Ending::Deadline
        } else if let Some(most) = self.limits.max_fail.filter(|most| failures >= most.get()) {
            Ending::MaxFail(most)
        } else {
            return;
        };
        self.ending = Some(ending);
        for place in self.schedule.drain().into_iter().chain(std::mem::take(&mut self.held)) {
            self.finish(place, Some(ending));
        }
    }

    /// What a cell waited for is there, or never will be.
    fn open(&mut self, place: usize, opened: Result<(), Arc<Blocked>>) {
        if !self.held.remove(&place) {
            return;
        }
        match opened {
            Ok(()) => self.schedule.push(place),
            Err(blocked) => self.conclude(place, row::blocked(&self.cells[place], self.limits.today, &blocked)),
        }
    }

    /// The attempt, with what stopped it if that is why it could not be judged.
    fn explained(&self, mut tried: Attempted) -> Attempted {
        if let Some(ending) = self.ending {
            ending.explain(&mut tried);
        }
        tried
    }

    /// Takes note of an attempt that has ended: the cell waits for its retry, or is finished.
    fn record(&mut self, place: usize, tried: Attempted) {
        let retries = usize::try_from(self.cells[place].example.settings.retries).unwrap_or(usize::MAX);
        let again = row::is_worth_a_retry(&tried) && self.tries[place].len() < retries;
        self.tries[place].push(tried);
        self.schedule.finish(place);
        if again && self.ending.is_none() {
            self.schedule.push(place);
        } else {
            self.finish(place, self.ending.filter(|_| again));
        }
    }

    /// Makes the cell's row of its attempts; of one that had its turn taken away (`ending`), of that.
    fn finish(&mut self, place: usize, ending: Option<Ending>) {
        let (cell, tries) = (&self.cells[place], std::mem::take(&mut self.tries[place]));
        let today = self.limits.today;
        let row = match ending.map(Ending::before_its_turn) {
            Some(why) if tries.is_empty() => row::skipped(cell, today, why),
            Some(why) => {
                Row { reason: format!("{}; not tried again: {why}", cell.reason), ..row::tried(cell, tries, today) }
            }
            None => row::tried(cell, tries, today),
        };
        self.conclude(place, row);
    }

    fn conclude(&mut self, place: usize, row: Row) {
        if !row.quarantined && self.limits.fail_on.contains(&row.outcome) {
            self.limits.failures.fetch_add(1, Ordering::Relaxed);
        }
        (self.finished)(&row);
        self.rows[place] = Some(row);
    }

    fn rows(self) -> Vec<Row> {
        self.rows.into_iter().flatten().collect()
    }
}
