//! What a plan takes from the history. Pure.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::{History, Record};
use crate::model::{ExampleId, Outcome};

/// Of how many records a duration is the median: few enough to follow a change, enough to bear an odd one.
const RECENT: usize = 10;

/// How long each example takes on a cluster, in milliseconds: the median of its newest ten records that passed there, on whatever version.
/// What failed or needed a second attempt took another time.
#[must_use]
pub fn durations(history: &History) -> BTreeMap<ExampleId, u64> {
    let median = |records: &[Record]| {
        let passed = |record: &&Record| record.kubernetes.is_some() && record.outcome == Outcome::Passed;
        let mut recent: Vec<u64> =
            records.iter().rev().filter(passed).take(RECENT).map(|record| record.duration_ms).collect();
        recent.sort_unstable();
        recent.get(recent.len() / 2).copied()
    };
    history.examples().filter_map(|(id, records)| Some((id.clone(), median(records)?))).collect()
}

/// When each example was last judged on a cluster: the start of its newest run there that came to a verdict on every version it was tried
/// on, a pass or not. A run in which one was `errored` does not count: what could not be judged is still due.
#[must_use]
pub fn last_on_cluster(history: &History) -> BTreeMap<ExampleId, Timestamp> {
    let last = |records: &[Record]| {
        // The jobs of a matrix, one a version, start at moments of their own and are one run.
        let mut runs: HashMap<&str, (usize, Timestamp, bool)> = HashMap::new();
        for (place, record) in records.iter().enumerate().filter(|(_, record)| record.was_on_cluster()) {
            let run = runs.entry(&record.run).or_insert((place, record.at, true));
            *run = (place, run.1.max(record.at), run.2 && is_verdict(record.outcome));
        }
        let judged = runs.into_values().filter(|(_, _, is_judged)| *is_judged);
        judged.max_by_key(|(place, ..)| *place).map(|(_, at, _)| at)
    };
    history.examples().filter_map(|(id, records)| Some((id.clone(), last(records)?))).collect()
}

fn is_verdict(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Passed | Outcome::Failed | Outcome::TimedOut | Outcome::Flaky => true,
        Outcome::Skipped | Outcome::Errored => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::record;
    use crate::model::CauseClass;

    fn took(example: &str, day: u32, outcome: Outcome, duration_ms: u64) -> Record {
        let at = format!("2026-11-{day:02}T12:00:00Z");
        Record { outcome, duration_ms, ..record(example, &day.to_string(), &at) }
    }

    fn durations_of(records: Vec<Record>) -> Vec<(String, u64)> {
        durations(&History::new(records)).into_iter().map(|(id, ms)| (id.to_string(), ms)).collect()
    }

    #[test]
    fn a_duration_is_the_median_of_what_recently_passed_on_a_cluster() {
        // The oldest were slow: only the newest ten count.
        let mut records: Vec<_> = (1..=5).map(|day| took("a", day, Outcome::Passed, 90_000)).collect();
        records.extend((6..=15).map(|day| took("a", day, Outcome::Passed, u64::from(day) * 100)));
        records.push(took("a", 16, Outcome::Failed, 1));
        records.push(took("a", 17, Outcome::TimedOut, 900_000));
        records.push(took("a", 18, Outcome::Flaky, 50_000));
        records.push(Record { kubernetes: None, ..took("a", 19, Outcome::Passed, 2) });
        assert_eq!(durations_of(records), [("a".to_owned(), 1_100)]);
    }

    #[test]
    fn what_never_passed_on_a_cluster_has_no_duration() {
        let failed = took("a", 1, Outcome::Failed, 5);
        let checked = Record { kubernetes: None, ..took("b", 1, Outcome::Passed, 5) };
        assert_eq!(durations_of(vec![failed, checked]), []);
    }

    #[test]
    fn the_jobs_of_a_matrix_are_one_run_and_what_was_tried_again_is_judged_by_its_last_word() {
        let job = |version: &str, hour: u32, outcome| Record {
            at: format!("2026-11-08T{hour:02}:00:00Z").parse().unwrap(),
            kubernetes: Some(version.into()),
            ..took("a", 8, outcome, 1)
        };
        let errored = [job("v1", 1, Outcome::Errored), job("v2", 2, Outcome::Passed)];
        let last = |records: Vec<Record>| last_on_cluster(&History::new(records)).into_values().next();
        assert_eq!(last(errored.to_vec()), None);
        let again = Record { attempt: 2, ..job("v1", 3, Outcome::Failed) };
        let at = again.at;
        assert_eq!(last([&errored[..], &[again]].concat()), Some(at));
    }

    #[test]
    fn a_run_counts_when_every_version_came_to_a_verdict() {
        let on = |version: &str, record: Record| Record { kubernetes: Some(version.into()), ..record };
        let history = History::new([
            took("failed", 3, Outcome::Passed, 1),
            took("failed", 9, Outcome::Failed, 1),
            on("v1", took("half", 2, Outcome::Passed, 1)),
            on("v2", took("half", 2, Outcome::Flaky, 1)),
            on("v1", took("half", 8, Outcome::Passed, 1)),
            on("v2", took("half", 8, Outcome::Errored, 1)),
            took("never", 8, Outcome::Errored, 1),
            Record { kubernetes: None, ..took("static", 8, Outcome::Passed, 1) },
            took("bad", 3, Outcome::Passed, 1),
            Record { class: Some(CauseClass::Manifest), ..took("bad", 8, Outcome::Failed, 1) },
        ]);
        let last: Vec<_> =
            last_on_cluster(&history).into_iter().map(|(id, at)| (id.to_string(), at.to_string())).collect();
        let expected =
            [("bad", "2026-11-03T12:00:00Z"), ("failed", "2026-11-09T12:00:00Z"), ("half", "2026-11-02T12:00:00Z")];
        assert_eq!(last, expected.map(|(id, at)| (id.to_owned(), at.to_owned())));
    }
}
