//! From the attempts at a cell to its row of the report.

use std::time::Duration;

use jiff::civil::Date;

use super::{Blocked, Cell};
use crate::catalog::{Example, Object};
use crate::model::{Cause, CauseClass, Outcome};
use crate::report::Row;
use crate::trial::Attempted;

/// The classes of failure that a retry may mend; what could not be judged is tried again whatever the class.
const RETRIED: &[CauseClass] = &[CauseClass::Runtime, CauseClass::Timeout, CauseClass::Assertion];

/// Whether another try may end otherwise: after `runtime`, `timeout`, `assertion`, and everything errored.
#[must_use]
pub(super) fn is_worth_a_retry(tried: &Attempted) -> bool {
    match tried.attempt.outcome {
        Outcome::Errored => true,
        Outcome::Failed | Outcome::TimedOut => tried.cause.as_ref().is_some_and(|cause| RETRIED.contains(&cause.class)),
        Outcome::Passed | Outcome::Flaky | Outcome::Skipped => false,
    }
}

/// The row of a cell that was not tried.
pub(super) fn skipped(cell: &Cell<'_>, today: Date, reason: impl Into<String>) -> Row {
    let mut row = Row::skipped(cell.example, cell.tier, today, reason);
    row.kubernetes = Some(cell.kubernetes.to_owned());
    row.diagnostics.clone_from(&cell.diagnostics);
    row
}

/// The row of a cell that could not be tried, for want of what it needs.
pub(super) fn blocked(cell: &Cell<'_>, today: Date, why: &Blocked) -> Row {
    let cause = Some(why.cause.clone());
    Row { outcome: why.outcome, cause, ..skipped(cell, today, cell.reason.clone()) }
}

/// The row of a cell that was tried (`tries` is not empty).
///
/// An attempt that could not be judged says nothing of the example, so the last one that could stands; only if there is none
/// is the cell errored. It is flaky if it passed after it had failed. Cause and evidence are those of the attempt that
/// stands, of a flaky cell those of its first failure; the checks, and what the pods used, are those of the attempt that stands. The duration is that
/// of all attempts.
pub(super) fn tried(cell: &Cell<'_>, tries: Vec<Attempted>, today: Date) -> Row {
    let mut row = skipped(cell, today, cell.reason.clone());
    let outcome = |place: usize| tries[place].attempt.outcome;
    let last = tries.len().saturating_sub(1);
    let stands = (0..tries.len()).rev().find(|place| outcome(*place) != Outcome::Errored).unwrap_or(last);
    let failed = (0..stands).find(|place| matches!(outcome(*place), Outcome::Failed | Outcome::TimedOut));
    let (verdict, told) = match (outcome(stands), failed) {
        (Outcome::Passed, Some(failed)) => (Outcome::Flaky, failed),
        (verdict, _) => (verdict, stands),
    };
    row.outcome = verdict;
    row.duration_ms = millis(tries.iter().map(|tried| tried.duration).sum());
    for (place, tried) in tries.into_iter().enumerate() {
        if place == stands {
            row.checks = tried.checks;
            row.resources = tried.resources;
        }
        if place == told {
            row.cause = tried.cause.map(|cause| located(cell.example, cause));
            row.evidence = tried.evidence;
        }
        row.attempts.push(tried.attempt);
    }
    row
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The cause with the place of the object that was judged, if it has none of its own. What the operator, the cluster or this
/// program is to blame for has no place in a manifest.
fn located(example: &Example, mut cause: Cause) -> Cause {
    let elsewhere = matches!(cause.class, CauseClass::Operator | CauseClass::Cluster | CauseClass::Internal);
    if !cause.file.is_empty() || elsewhere {
        return cause;
    }
    match object_of(example, &cause.object) {
        Some(object) => {
            cause.file.clone_from(&example.source.path);
            cause.line = example.source.position(object.root.span.start).0;
        }
        None => cause.file = example.id.to_string(),
    }
    cause
}

/// The object of the manifest that `reference` (`Pod/x-worker-0`) names or came from: that object itself, else the judged one
/// whose name it begins with, else the first judged one.
fn object_of<'a>(example: &'a Example, reference: &str) -> Option<&'a Object> {
    let judged = || example.judged.iter().filter_map(|index| example.objects.get(*index));
    let name = reference.split_once('/').map_or("", |(_, name)| name);
    let is_of = |object: &&Object| {
        let rest = (!object.name.is_empty()).then(|| name.strip_prefix(&object.name)).flatten();
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-') || object.name.ends_with('-'))
    };
    let itself = example.objects.iter().find(|object| object.reference() == reference);
    itself.or_else(|| judged().filter(is_of).max_by_key(|object| object.name.len())).or_else(|| judged().next())
}
