//! How much of a history is kept: the newest runs of each example, and no more than fits. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;

use super::{RUNS, Record, lines, number};
use crate::model::ExampleId;

/// How many static checks of an example stay, however many runs it had on clusters. Where pushes check everything statically and run a few
/// examples, such lines would else drive out what is known of the rest.
const STATIC: usize = 10;

/// Two histories as one, ordered by time. Of an attempt at a run, an example and a version one record stays, the one that was written last,
/// whenever it says that the run started: a report was made again, or that of several jobs which had written their own.
fn merge(old: Vec<Record>, new: impl IntoIterator<Item = Record>) -> Vec<Record> {
    let mut all = old;
    all.extend(new);
    let mut seen = HashSet::with_capacity(all.len());
    let mut is_last: Vec<bool> = all.iter().rev().map(|record| seen.insert(key(record))).collect();
    all.retain(|_| is_last.pop().unwrap_or(true));
    all.sort_by(|a, b| (a.at, key(a)).cmp(&(b.at, key(b))));
    all
}

fn key(record: &Record) -> (&str, u32, &str, Option<&str>) {
    (&record.run, record.attempt, record.example.as_str(), record.kubernetes.as_deref())
}

/// What is kept of records: of each example the newest [`RUNS`] runs, on all versions. Runs on clusters are kept before static checks, of
/// which the newest 10 stay in any case. The order stays.
fn keep(records: Vec<Record>) -> Vec<Record> {
    let mut examples: HashMap<&ExampleId, Vec<&Record>> = HashMap::new();
    for record in &records {
        examples.entry(&record.example).or_default().push(record);
    }
    let is_small = |records: &Vec<&Record>| records.len() <= RUNS;
    if examples.values().all(is_small) {
        return records;
    }
    let dropped: HashSet<(ExampleId, bool, String)> = examples
        .iter()
        .filter(|(_, records)| !is_small(records))
        .flat_map(|(example, records)| {
            dropped(records).into_iter().map(|(on_cluster, run)| ((*example).clone(), on_cluster, run.to_owned()))
        })
        .collect();
    let is_kept =
        |record: &Record| !dropped.contains(&(record.example.clone(), record.kubernetes.is_some(), record.run.clone()));
    records.into_iter().filter(is_kept).collect()
}

/// The runs of an example that are one too many, each as whether it was on a cluster and its id.
fn dropped<'a>(records: &[&'a Record]) -> Vec<(bool, &'a str)> {
    // As in `History::new`: a run that is tried again later is no newer for that.
    let are_numbers = records.iter().all(|record| number(&record.run).is_some());
    let runs = |on_cluster: bool| {
        let of_kind = records.iter().filter(|record| record.kubernetes.is_some() == on_cluster);
        let mut newest: HashMap<&str, Timestamp> = HashMap::new();
        for record in of_kind {
            let at = newest.entry(&record.run).or_insert(record.at);
            *at = record.at.max(*at);
        }
        let rank = |run| if are_numbers { number(run) } else { None };
        let mut runs: Vec<_> = newest.into_iter().map(|(run, at)| (rank(run), at, run)).collect();
        runs.sort_unstable_by_key(|run| Reverse(*run));
        runs
    };
    let (on_clusters, checks) = (runs(true), runs(false));
    let clusters_kept = on_clusters.len().min(RUNS - checks.len().min(STATIC));
    let checks_kept = RUNS - clusters_kept;
    let beyond = |runs: Vec<(Option<u64>, Timestamp, &'a str)>, kept: usize, on_cluster: bool| {
        runs.into_iter().skip(kept).map(move |(_, _, run)| (on_cluster, run))
    };
    beyond(on_clusters, clusters_kept, true).chain(beyond(checks, checks_kept, false)).collect()
}

/// The text of the newest of the records, which are ordered by time, that has no more than `most` bytes, and how many runs are not whole in
/// it.
fn bounded(records: &[Record], most: usize) -> (String, usize) {
    let lines: Vec<String> = records.iter().map(lines::line).collect();
    let mut size = 0;
    let fitting = lines.iter().rev().take_while(|line| {
        size += line.len();
        size <= most
    });
    let first = lines.len() - fitting.count();
    let left_out: BTreeSet<&str> = records[..first].iter().map(|record| record.run.as_str()).collect();
    (lines[first..].concat(), left_out.len())
}

/// A history's new text, and what became of the old one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    pub text: String,
    /// How many runs are not whole in it, for want of room.
    pub left_out: usize,
}

/// The text of a history of at most `most` bytes to which records were added: what it held, what is new, within the bounds of [`keep`]. What
/// is of the future of `now`, as [`lines::read`] has it, does not stay.
#[must_use]
pub fn add(stored: &[u8], new: &[Record], most: usize, now: Timestamp) -> Added {
    let records = keep(merge(lines::read(stored, now).records, new.iter().cloned()));
    let (text, left_out) = bounded(&records, most);
    Added { text, left_out }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::testing::{any_records, record};
    use crate::model::Outcome;

    fn at(minute: usize) -> String {
        Timestamp::from_second(1_800_000_000 + i64::try_from(minute).unwrap() * 60).unwrap().to_string()
    }

    fn on_version(example: &str, run: usize, version: Option<&str>) -> Record {
        let kubernetes = version.map(str::to_owned);
        Record { kubernetes, ..record(example, &run.to_string(), &at(run)) }
    }

    fn runs(records: &[Record], example: &str, on_cluster: bool) -> BTreeSet<usize> {
        let wanted = |record: &&Record| record.example.as_str() == example && record.kubernetes.is_some() == on_cluster;
        records.iter().filter(wanted).map(|record| record.run.parse().unwrap()).collect()
    }

    #[test]
    fn of_what_is_written_again_the_last_stays_and_another_attempt_adds_some() {
        let first = record("a", "7", &at(3));
        let again = Record { outcome: Outcome::Failed, ..first.clone() };
        let attempt = Record { at: at(9).parse().unwrap(), attempt: 2, ..first.clone() };
        let other = record("b", "7", &at(3));
        assert_eq!(
            merge(vec![first.clone(), other.clone()], [attempt.clone(), again.clone()]),
            [again.clone(), other.clone(), attempt]
        );
        assert_eq!(merge(vec![again.clone(), other.clone()], [again.clone(), other.clone()]), [again, other.clone()]);
        // The report of several jobs starts with the first of them.
        let merged = Record { at: at(1).parse().unwrap(), ..first.clone() };
        assert_eq!(merge(vec![first, other.clone()], [merged.clone()]), [merged, other]);
    }

    #[test]
    fn an_old_run_that_is_tried_again_is_no_newer_for_that() {
        let mut records: Vec<_> = (0..=RUNS).map(|run| on_version("a", run, Some("v1"))).collect();
        records.push(Record { attempt: 2, at: at(5_000).parse().unwrap(), ..records[0].clone() });
        assert_eq!(runs(&keep(records.clone()), "a", true), (1..=RUNS).collect());
        // One id that is no number, and time decides.
        records[1].run = "local-1".to_owned();
        let kept = keep(records);
        assert!(kept.iter().any(|record| record.run == "0") && kept.iter().all(|record| record.run != "local-1"));
    }

    #[test]
    fn the_newest_runs_of_each_example_are_kept_on_all_versions() {
        let both = |run| [on_version("a", run, Some("v1.33.4")), on_version("a", run, Some("v1.34.0"))];
        let mut records: Vec<_> = (0..RUNS + 5).flat_map(both).collect();
        records.insert(0, on_version("rare", 0, Some("v1.34.0")));
        let kept = keep(records);
        assert_eq!(kept.len(), RUNS * 2 + 1);
        assert_eq!(runs(&kept, "a", true), (5..RUNS + 5).collect());
        assert_eq!(runs(&kept, "rare", true), BTreeSet::from([0]));
    }

    #[test]
    fn static_checks_do_not_drive_out_runs_on_clusters() {
        let mut records: Vec<_> = (0..50).map(|run| on_version("weekly", run, Some("v1.34.0"))).collect();
        records.extend((50..1_000).map(|run| on_version("weekly", run, None)));
        let kept = keep(records);
        assert_eq!(runs(&kept, "weekly", true), (0..50).collect());
        assert_eq!(runs(&kept, "weekly", false), (1_000 - (RUNS - 50)..1_000).collect());
    }

    #[test]
    fn the_newest_static_checks_stay_beside_any_number_of_runs_on_clusters() {
        let mut records: Vec<_> = (0..20).map(|run| on_version("a", run, None)).collect();
        records.extend((100..500).map(|run| on_version("a", run, Some("v1.34.0"))));
        let kept = keep(records);
        assert_eq!(runs(&kept, "a", false), (10..20).collect());
        assert_eq!(runs(&kept, "a", true), (500 - (RUNS - STATIC)..500).collect());
    }

    #[test]
    fn what_does_not_fit_is_dropped_the_oldest_first_and_its_runs_are_counted() {
        let records: Vec<_> = (0..6).map(|run| on_version("a", run / 2, Some(["v1", "v2"][run % 2]))).collect();
        let size = lines::line(&records[0]).len();
        assert!(records.iter().all(|record| lines::line(record).len() == size));
        assert_eq!(bounded(&records, size * 6), (lines::text(&records), 0));
        assert_eq!(bounded(&records, size * 4 - 1), (lines::text(&records[3..]), 2));
        assert_eq!(bounded(&records, 0), (String::new(), 3));
    }

    proptest! {
        #[test]
        fn histories_add_up_in_any_order_and_nothing_is_lost(a in any_records(), b in any_records()) {
            let keys = |records: &[Record]| -> BTreeSet<String> { records.iter().map(|record| format!("{:?}", key(record))).collect() };
            let merged = merge(a.clone(), b.clone());
            prop_assert_eq!(keys(&merged), keys(&[a.clone(), b.clone()].concat()));
            prop_assert_eq!(keys(&merged).len(), merged.len());
            prop_assert_eq!(keys(&merge(b.clone(), a)), keys(&merged));
            prop_assert_eq!(merge(merged.clone(), b), merged.clone());
            prop_assert!(merged.is_sorted_by_key(|record| record.at));
        }

        #[test]
        fn what_is_kept_is_the_newest_and_no_more_than_the_bound(on_cluster in proptest::collection::vec(any::<bool>(), 0..600)) {
            let one = |(run, on_cluster): (usize, &bool)| on_version("a", run, on_cluster.then_some("v1"));
            let records: Vec<_> = on_cluster.iter().enumerate().map(one).collect();
            let kept = keep(records.clone());
            prop_assert_eq!(kept.len(), records.len().min(RUNS));
            prop_assert_eq!(keep(kept.clone()), kept.clone());
            for lane in [true, false] {
                let (all, left) = (runs(&records, "a", lane), runs(&kept, "a", lane));
                prop_assert!(left.iter().rev().eq(all.iter().rev().take(left.len())));
            }
        }
    }
}
