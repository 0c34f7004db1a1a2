//! One cell of one run, as a line of the history.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::{Cause, CauseClass, ExampleId, Outcome, Tier};
use crate::report::{Report, Row, Run};

/// The most of a reason that is remembered, in characters: it is a word.
const LONGEST_REASON: usize = 100;

/// One cell of one run. The texts that many share are kept once.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// When the run started.
    pub at: Timestamp,
    /// The run's id: the records of one run share it.
    pub run: Arc<str>,
    /// Which attempt at it, from 1; left out of the first.
    #[serde(skip_serializing_if = "is_first")]
    pub attempt: u32,
    /// The commit that was tried.
    pub commit: Arc<str>,
    pub example: ExampleId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub framework: Option<Arc<str>>,
    /// The version; left out if it was judged statically alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<Arc<str>>,
    pub tier: Tier,
    pub outcome: Outcome,
    /// Of the cause, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<CauseClass>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    pub duration_ms: u64,
    /// As in [`crate::report::Resources`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_efficiency: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_efficiency: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_first(attempt: &u32) -> bool {
    *attempt == 1
}

impl Record {
    /// What a row of a run's first attempt is remembered by.
    #[must_use]
    pub fn of(row: &Row, run: &Run, at: Timestamp) -> Self {
        let resources = row.resources.as_ref();
        Self {
            at,
            run: run.id.as_str().into(),
            attempt: 1,
            commit: run.commit.as_str().into(),
            example: row.example.clone(),
            framework: row.framework.as_deref().map(Arc::from),
            kubernetes: row.kubernetes.as_deref().map(Arc::from),
            tier: row.tier,
            outcome: row.outcome,
            class: row.cause.as_ref().map(|cause| cause.class),
            reason: row
                .cause
                .as_ref()
                .map(|cause| cause.reason.chars().take(LONGEST_REASON).collect())
                .unwrap_or_default(),
            duration_ms: row.duration_ms,
            cpu_efficiency: resources.and_then(|resources| resources.cpu_efficiency).and_then(share),
            memory_efficiency: resources.and_then(|resources| resources.memory_efficiency).and_then(share),
        }
    }
}

impl Record {
    /// Whether it was taken to a cluster. What its own manifest settled has the version that it was meant for, and was on none.
    #[must_use]
    pub fn was_on_cluster(&self) -> bool {
        self.kubernetes.is_some() && self.class != Some(CauseClass::Manifest)
    }
}

/// A share with as many digits as are worth a line's room.
fn share(share: f64) -> Option<f64> {
    share.is_finite().then(|| (share * 10_000.0).round() / 10_000.0)
}

/// What a report of an attempt at a run, from 1, is remembered by: a record of each row that was judged, and of each that could not be for another reason than that the
/// run ended before. What was lost with its shard is remembered where its example was judged on another version: it is not judged on all.
/// `None` if the report does not say when its run started.
#[must_use]
pub fn records(report: &Report, attempt: u32) -> Option<Vec<Record>> {
    let mut run = report.run.clone();
    let at = Timestamp::from_millisecond(run.started_at.parse::<Timestamp>().ok()?.as_millisecond()).ok()?;
    if run.id.is_empty() {
        // Without a cluster a run on a person's machine has no id. The report that is made of it again has to find the same.
        run.id = format!("local-{}", at.as_millisecond());
    }
    let on_clusters = report.results.iter().filter(|row| row.kubernetes.is_some() && is_remembered(row));
    let judged: HashSet<&ExampleId> = on_clusters.map(|row| &row.example).collect();
    let is_half =
        |row: &Row| row.kubernetes.is_some() && is_cut_off(row, &["NoResult"]) && judged.contains(&row.example);
    let record = |row| Record { attempt, ..Record::of(row, &run, at) };
    Some(report.results.iter().filter(|row| is_remembered(row) || is_half(row)).map(record).collect())
}

fn is_remembered(row: &Row) -> bool {
    match row.outcome {
        Outcome::Skipped => false,
        Outcome::Errored => !is_cut_off(row, &["Cancelled", "NoResult"]),
        Outcome::Passed | Outcome::Failed | Outcome::TimedOut | Outcome::Flaky => true,
    }
}

/// Whether it could not be judged for one of these reasons: `trial::cells` and `report::merge` call so what had no turn, or no report.
fn is_cut_off(row: &Row, reasons: &[&str]) -> bool {
    let is_one = |cause: &Cause| cause.class == CauseClass::Internal && reasons.contains(&cause.reason.as_str());
    row.outcome == Outcome::Errored && row.cause.as_ref().is_some_and(is_one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn report(id: &str, rows: Vec<Row>) -> Report {
        let run = Run { id: id.to_owned(), started_at: "2026-11-20T12:00:00.123456Z".to_owned(), ..Run::default() };
        Report::new(run, vec![], vec![], rows, &[])
    }

    #[test]
    fn what_was_judged_is_remembered_and_what_had_no_turn_is_not() {
        let mut rows: Vec<_> = Outcome::ALL.iter().map(|outcome| sample::row(outcome.as_str(), *outcome)).collect();
        for reason in ["Cancelled", "NoResult"] {
            let mut row = sample::row(reason, Outcome::Errored);
            row.cause = Some(Cause::new(CauseClass::Internal, reason, ""));
            rows.push(row);
        }
        let records = records(&report("7", rows), 2).unwrap();
        let ids: Vec<_> = records.iter().map(|record| record.example.as_str()).collect();
        assert_eq!(ids, ["errored", "failed", "flaky", "passed", "timed-out"]);
        assert!(records.iter().all(|record| record.at.to_string() == "2026-11-20T12:00:00.123Z"
            && &*record.run == "7"
            && record.attempt == 2));
    }

    #[test]
    fn what_was_lost_of_an_example_that_was_judged_elsewhere_is_remembered() {
        let on = |example: &str, version: &str, outcome, reason: &str| {
            let mut row = sample::slow(example, version);
            row.outcome = outcome;
            row.cause = (!reason.is_empty()).then(|| Cause::new(CauseClass::Internal, reason, ""));
            row
        };
        let rows = vec![
            on("cut", "v1", Outcome::Passed, ""),
            on("cut", "v2", Outcome::Errored, "Cancelled"),
            on("half", "v1", Outcome::Passed, ""),
            on("half", "v2", Outcome::Errored, "NoResult"),
            on("lost", "v1", Outcome::Errored, "NoResult"),
            on("lost", "v2", Outcome::Errored, "NoResult"),
        ];
        let records = records(&report("7", rows), 1).unwrap();
        let told: Vec<_> =
            records.iter().map(|record| (record.example.as_str(), record.kubernetes.as_deref())).collect();
        assert_eq!(told, [("cut", Some("v1")), ("half", Some("v1")), ("half", Some("v2"))]);
        let due = crate::history::last_on_cluster(&crate::history::History::new(records));
        assert!(!due.contains_key(&ExampleId::new("half")));
    }

    #[test]
    fn a_run_without_an_id_gets_the_same_one_each_time() {
        let id = || records(&report("", vec![sample::row("a", Outcome::Passed)]), 1).unwrap()[0].run.clone();
        assert_eq!((id(), id()), ("local-1795176000123".into(), "local-1795176000123".into()));
    }

    #[test]
    fn a_run_that_does_not_say_when_it_was_is_not_remembered() {
        let mut report = report("7", vec![sample::row("a", Outcome::Passed)]);
        report.run.started_at = "yesterday".to_owned();
        assert_eq!(records(&report, 1), None);
    }

    #[test]
    fn what_a_line_says_of_a_failure_is_bounded() {
        let mut row = sample::row("a", Outcome::Failed);
        row.cause = Some(Cause::new(CauseClass::Runtime, "x".repeat(5_000), ""));
        let one = &records(&report("7", vec![row]), 1).unwrap()[0];
        assert_eq!((one.class, one.reason.len()), (Some(CauseClass::Runtime), 100));
        assert_eq!((share(0.123_456), share(f64::NAN)), (Some(0.1235), None));
    }
}
