//! How an example has been doing: a score from its history and this run, with its parts. Pure. `docs/health.md` explains it to
//! its readers.
//!
//! What counts are the runs of an example on one version that passed, were flaky, failed or ran out of time: those of the
//! history, and this run, which is the newest, unless it was simulated. What was skipped or could not be judged says nothing of an
//! example, and counts nowhere. Of `n` runs the `k`th before the newest weighs `2^(-k / HALVED)`.
//!
//! ```text
//! score = 100 * sum(share of a part * its points) / sum(points of the parts that are known)
//! ```
//!
//! The parts and their points are in [`PARTS`], a part's share, from 0 to 1, in [`score`]; the trend and the first bad commit
//! are in [`course`]. With fewer than [`ENOUGH`] runs there is no score.

mod course;
mod repository;
mod score;
#[cfg(test)]
mod tests;

pub use repository::Scope;
pub use score::PARTS;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{History, Record};
use crate::model::{CauseClass, Outcome, Tier};
use crate::report::{Health, PAST, Past, Report, Row, Run};

/// The fewest runs that a score stands on.
pub const ENOUGH: usize = 3;
/// After how many runs the weight of a run is half of what it was.
pub const HALVED: u32 = 10;

/// Fills in the health of every row, and that of the report: from the history of earlier runs and this one, as of `now`.
///
/// Records of this very run (its id and commit) are no past of it: of a run that was tried again only the last word holds. An
/// empty history tells nothing, and leaves the report as it is.
pub fn assess(report: &mut Report, history: &History, now: Timestamp) {
    assess_within(Scope::Whole, report, history, now);
}

/// The same, of a report on all examples of the repository or on a part of them.
pub fn assess_within(scope: Scope, report: &mut Report, history: &History, now: Timestamp) {
    if history.is_empty() {
        return;
    }
    let run = &report.run;
    for row in &mut report.results {
        let known = Known::of(row, run, history, now);
        row.health = Some(health(row, &known));
    }
    report.health = Some(repository::overall(scope, &report.results, history, now));
}

/// A run that counts.
#[derive(Clone, Copy, Debug)]
struct Seen<'a> {
    outcome: Outcome,
    duration_ms: u64,
    commit: &'a str,
    at: Timestamp,
}

impl Seen<'_> {
    /// Whether it says that the example works, at once or when it was tried again.
    fn is_good(&self) -> bool {
        matches!(self.outcome, Outcome::Passed | Outcome::Flaky)
    }
}

/// Whether an outcome says something of the example.
fn counts(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Skipped | Outcome::Errored)
}

/// What is known of an example on one version.
struct Known<'a> {
    /// The runs that count, the oldest first, this one included if it does.
    runs: Vec<Seen<'a>>,
    /// Whether this one does.
    is_counted: bool,
    /// The earlier runs, whatever became of them, the oldest first.
    earlier: Vec<&'a Record>,
    /// How long ago it was last taken to a cluster, in hours, by how far it was taken; that of all versions for a row without one.
    age: Vec<(Tier, f64)>,
}

impl<'a> Known<'a> {
    fn of(row: &Row, run: &'a Run, history: &'a History, now: Timestamp) -> Self {
        let is_own = |record: &Record| !run.id.is_empty() && *record.run == run.id && *record.commit == run.commit;
        let kubernetes = row.kubernetes.as_deref();
        let all = history.of(&row.example).iter().filter(|record| !is_own(record));
        let earlier: Vec<_> = all.clone().filter(|record| record.kubernetes.as_deref() == kubernetes).collect();
        let seen = |record: &&'a Record| Seen {
            outcome: record.outcome,
            duration_ms: record.duration_ms,
            commit: &record.commit,
            at: record.at,
        };
        let mut runs: Vec<_> = earlier.iter().map(seen).filter(|seen| counts(seen.outcome)).collect();
        let is_counted = counts(row.outcome) && !run.simulated;
        if is_counted {
            let at = run.started_at.parse().unwrap_or(now);
            runs.push(Seen { outcome: row.outcome, duration_ms: row.duration_ms, commit: &run.commit, at });
        }
        let here: Vec<_> = if kubernetes.is_none() { all.collect() } else { earlier.clone() };
        let on_clusters = here.iter().filter(|record| counts(record.outcome) && record.was_on_cluster());
        let mut newest: BTreeMap<Tier, Timestamp> = on_clusters.map(|record| (record.tier, record.at)).collect();
        // As in `Record::was_on_cluster`.
        let is_settled = row.cause.as_ref().is_some_and(|cause| cause.class == CauseClass::Manifest);
        if is_counted && kubernetes.is_some() && !is_settled {
            newest.insert(row.tier, now);
        }
        let age = newest.into_iter().map(|(tier, at)| (tier, now.duration_since(at).as_secs_f64().max(0.0) / 3600.0));
        Self { runs, is_counted, earlier, age: age.collect() }
    }

    /// How long it took when it passed, the oldest first, in milliseconds.
    fn passed(&self) -> Vec<u64> {
        self.runs.iter().filter(|run| run.outcome == Outcome::Passed).map(|run| run.duration_ms).collect()
    }
}

fn health(row: &Row, known: &Known<'_>) -> Health {
    let rates = score::rates(&known.runs);
    let parts = if known.runs.len() < ENOUGH { Vec::new() } else { score::parts(row, known) };
    Health {
        score: score::total(&parts),
        pass_rate: rates.map(|rates| score::rounded(rates.passed)),
        flake_rate: rates.map(|rates| score::rounded(rates.flaky)),
        trend: course::trend(&known.runs).to_owned(),
        parts,
        first_bad: course::first_bad(&known.runs),
        slowdown: slowdown(row, known),
        past: past(&known.earlier),
    }
}

/// How much longer than its median it took in this run, whatever became of it; of what was tried again an attempt on average.
fn slowdown(row: &Row, known: &Known<'_>) -> Option<f64> {
    let mut passed = known.passed();
    if row.outcome == Outcome::Passed && known.is_counted {
        passed.pop();
    }
    let median = score::median(&passed).filter(|_| known.is_counted)?;
    Some(score::rounded(score::ratio(row.attempt_ms(), median)))
}

/// What became of it before, the oldest first; where it was skipped it was not there.
fn past(earlier: &[&Record]) -> Vec<Past> {
    let tried = earlier.iter().rev().filter(|record| record.outcome != Outcome::Skipped).take(PAST);
    let past = |record: &&Record| Past {
        at: record.at.to_string(),
        commit: record.commit.to_string(),
        outcome: record.outcome,
        duration_ms: record.duration_ms,
    };
    let mut past: Vec<_> = tried.map(past).collect();
    past.reverse();
    past
}
