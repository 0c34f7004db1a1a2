//! How much of a history is kept: the newest runs of each example, and no more than fits. Pure.

use std::borrow::{Borrow, Cow};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::lines::Strange;
use super::{RUNS, Record, are_by_number, lines, number};
use crate::model::ExampleId;

/// How many static checks of an example stay, however many runs it had on clusters. Where pushes check everything statically and run a few
/// examples, such lines would else drive out what is known of the rest.
const STATIC: usize = 10;

/// A line: its record, and its text without the end of the line.
struct Line<'t> {
    record: Record,
    text: Cow<'t, str>,
}

impl Borrow<Record> for Line<'_> {
    fn borrow(&self) -> &Record {
        &self.record
    }
}

impl<'t> Line<'t> {
    /// The line of a record, as it is stored or as it is written now.
    fn new(record: Record, stored: Option<&'t str>) -> Self {
        let text = stored.map_or_else(|| Cow::Owned(lines::line(&record).trim_end().to_owned()), Cow::Borrowed);
        Self { record, text }
    }
}

/// Two histories as one, ordered by time. Of an attempt at a run, an example and a version one record stays, the one that was written last,
/// whenever it says that the run started: a report was made again, or that of several jobs which had written their own.
fn merge<R: Borrow<Record>>(old: Vec<R>, new: impl IntoIterator<Item = R>) -> Vec<R> {
    let mut all = old;
    all.extend(new);
    let mut seen = HashSet::with_capacity(all.len());
    let mut is_last: Vec<bool> = all.iter().rev().map(|record| seen.insert(key(record.borrow()))).collect();
    all.retain(|_| is_last.pop().unwrap_or(true));
    all.sort_by(|a, b| {
        let (a, b) = (a.borrow(), b.borrow());
        (a.at, key(a)).cmp(&(b.at, key(b)))
    });
    all
}

fn key(record: &Record) -> (&str, u32, &str, Option<&str>) {
    (&record.run, record.attempt, record.example.as_str(), record.kubernetes.as_deref())
}

/// What is kept of records: of each example the newest [`RUNS`] runs, on all versions. Runs on clusters are kept before static checks, of
/// which the newest 10 stay in any case. The order stays.
fn keep<R: Borrow<Record>>(records: Vec<R>) -> Vec<R> {
    let mut examples: HashMap<&ExampleId, Vec<&Record>> = HashMap::new();
    for record in records.iter().map(Borrow::borrow) {
        examples.entry(&record.example).or_default().push(record);
    }
    let is_small = |records: &Vec<&Record>| records.len() <= RUNS;
    if examples.values().all(is_small) {
        return records;
    }
    let dropped: HashSet<(ExampleId, bool, Arc<str>)> = examples
        .iter()
        .filter(|(_, records)| !is_small(records))
        .flat_map(|(example, records)| {
            dropped(records).into_iter().map(|(on_cluster, run)| ((*example).clone(), on_cluster, Arc::from(run)))
        })
        .collect();
    let is_kept =
        |record: &Record| !dropped.contains(&(record.example.clone(), record.kubernetes.is_some(), record.run.clone()));
    records.into_iter().filter(|record| is_kept(record.borrow())).collect()
}

/// The runs of an example that are one too many, each as whether it was on a cluster and its id.
fn dropped<'a>(records: &[&'a Record]) -> Vec<(bool, &'a str)> {
    // As in `History::new`: a run that is tried again later is no newer for that.
    let are_numbers = are_by_number(records.iter().map(|record| (&*record.run, record.at)));
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

/// Of lines, the oldest first, all but the static checks that are not among the newest [`STATIC`] of their example.
fn thinned<'l, 't>(lines: &'l [Line<'t>]) -> Vec<&'l Line<'t>> {
    let mut checks: HashMap<&ExampleId, usize> = HashMap::new();
    let is_kept = |line: &&'l Line<'t>| {
        let count = checks.entry(&line.record.example).or_default();
        *count += usize::from(line.record.kubernetes.is_none());
        line.record.kubernetes.is_some() || *count <= STATIC
    };
    let mut kept: Vec<_> = lines.iter().rev().filter(is_kept).collect();
    kept.reverse();
    kept
}

/// How many of the lines, the oldest of which are first, have to go lest they have more than `most` bytes, and how many those have that
/// stay.
fn surplus<'t>(lines: impl DoubleEndedIterator<Item = &'t str> + ExactSizeIterator, most: usize) -> (usize, usize) {
    let (count, mut size, mut fitting) = (lines.len(), 0_usize, 0);
    for line in lines.rev() {
        let more = size + line.len() + 1;
        if more > most {
            break;
        }
        (size, fitting) = (more, fitting + 1);
    }
    (count - fitting, size)
}

/// The text of lines, which are ordered by time, that has no more than `most` bytes. Where there is no room static checks go first, then the
/// oldest lines. What is strange has half of the room at most.
fn bounded(lines: &[Line<'_>], strange: &[Strange<'_>], most: usize) -> Added {
    let (old, size) = surplus(strange.iter().map(|strange| strange.text), most / 2);
    let (older, strange) = strange.split_at(old);
    let room = most - size;
    let mut kept: Vec<_> = lines.iter().collect();
    if surplus(kept.iter().map(|line| &*line.text), room).0 > 0 {
        kept = thinned(lines);
    }
    let checks = lines.len() - kept.len();
    let (old, _) = surplus(kept.iter().map(|line| &*line.text), room);
    let (oldest, kept) = kept.split_at(old);
    let left_out: BTreeSet<&str> =
        oldest.iter().map(|line| &*line.record.run).chain(older.iter().map(|strange| strange.run.as_str())).collect();
    let mut all: Vec<(Timestamp, &str)> = kept.iter().map(|line| (line.record.at, &*line.text)).collect();
    if !strange.is_empty() {
        all.extend(strange.iter().map(|strange| (strange.at, strange.text)));
        all.sort_by_key(|(at, _)| *at);
    }
    let text = all.into_iter().flat_map(|(_, text)| [text, "\n"]).collect();
    Added { text, left_out: left_out.len(), checks, is_newest: true }
}

/// Whether no run or attempt of these lines is newer than that of a record. What is tried again long after is no newer for that.
fn is_newest(lines: &[Line<'_>], new: &Record) -> bool {
    let of = |record: &Record| (number(&record.run), record.at);
    let are_numbers = are_by_number(lines.iter().map(|line| (&*line.record.run, line.record.at)));
    let is_newer = |record: &Record| {
        if record.run == new.run {
            return record.attempt > new.attempt;
        }
        if are_numbers { of(record) > of(new) } else { record.at > new.at }
    };
    !lines.iter().any(|line| is_newer(&line.record))
}

/// A history's new text, and what became of the old one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    pub text: String,
    /// How many runs are not whole in it, for want of room.
    pub left_out: usize,
    /// How many static checks left it before, for want of room.
    pub checks: usize,
    /// Whether no run in it is newer than what was added.
    pub is_newest: bool,
}

/// The text of a history of at most `most` bytes to which records were added: what it held, what is new, within the bounds of [`keep`]. What
/// was stored stays word for word: also what is of the future of `now`, as [`lines::read`] has it, or of a later version of this program.
#[must_use]
pub fn add(stored: &[u8], new: &[Record], most: usize, now: Timestamp) -> Added {
    let lines::Stored { records, mut strange } = lines::stored(stored, now);
    strange.retain(|strange| !new.iter().any(|record| strange.is_of(record)));
    strange.sort_by_key(|strange| strange.at);
    let old = records.into_iter().map(|(record, text)| Line::new(record, text)).collect();
    let lines = keep(merge(old, new.iter().map(|record| Line::new(record.clone(), None))));
    let is_newest = new.first().is_none_or(|new| is_newest(&lines, new));
    Added { is_newest, ..bounded(&lines, &strange, most) }
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
        let kubernetes = version.map(Into::into);
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
        records[1].run = "local-1".into();
        let kept = keep(records);
        assert!(kept.iter().any(|record| &*record.run == "0") && kept.iter().all(|record| &*record.run != "local-1"));
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

    fn within(records: &[Record], most: usize) -> Added {
        let lines: Vec<_> = records.iter().map(|record| Line::new(record.clone(), None)).collect();
        bounded(&lines, &[], most)
    }

    #[test]
    fn what_does_not_fit_is_dropped_the_oldest_first_and_its_runs_are_counted() {
        let records: Vec<_> = (0..6).map(|run| on_version("a", run / 2, Some(["v1", "v2"][run % 2]))).collect();
        let size = lines::line(&records[0]).len();
        assert!(records.iter().all(|record| lines::line(record).len() == size));
        let told = |most| {
            let added = within(&records, most);
            (added.text, added.left_out, added.checks)
        };
        assert_eq!(told(size * 6), (lines::text(&records), 0, 0));
        assert_eq!(told(size * 4 - 1), (lines::text(&records[3..]), 2, 0));
        assert_eq!(told(0), (String::new(), 3, 0));
    }

    #[test]
    fn where_room_is_short_static_checks_go_before_any_run_on_a_cluster() {
        let mut records = vec![on_version("weekly", 0, Some("v1"))];
        records.extend((1..=50).flat_map(|run| [on_version("weekly", run, None), on_version("b", run, None)]));
        let size = lines::text(&records).len();
        assert_eq!(within(&records, size).checks, 0);
        let added = within(&records, size - 1);
        let read = lines::read(added.text.as_bytes(), Timestamp::MAX).records;
        assert_eq!((runs(&read, "weekly", true), added.left_out, added.checks), (BTreeSet::from([0]), 0, 80));
        assert!(["weekly", "b"].iter().all(|example| runs(&read, example, false) == (41..=50).collect()));
    }

    #[test]
    fn what_this_version_can_not_read_stays_word_for_word_and_what_is_none_of_ours_goes() {
        let one = lines::line(&record("a", "7", &at(1)));
        let more = one.replace("\"run\"", "\"new\":[1],\"run\"");
        let later = lines::line(&record("b", "7", &at(2))).replace("passed", "splendid");
        let stored = ["<<<<<<< HEAD\n", &more, &later, "{\"at\":1}\n", &one[..40], "\n"].concat();
        let new = record("c", "8", &at(3));
        let added = add(stored.as_bytes(), std::slice::from_ref(&new), usize::MAX, Timestamp::MAX);
        assert_eq!(added.text, [&*more, &*later, &*lines::line(&new)].concat());
        assert_eq!(add(added.text.as_bytes(), &[new], usize::MAX, Timestamp::MAX), added);
        // What is told again is told by us.
        let again = record("b", "7", &at(2));
        let text = add(later.as_bytes(), std::slice::from_ref(&again), usize::MAX, Timestamp::MAX).text;
        assert_eq!(text, lines::line(&again));
    }

    #[test]
    fn a_clock_of_the_past_costs_nothing_but_half_of_the_room() {
        let records: Vec<_> = (0..6).map(|run| record("a", &run.to_string(), &at(run))).collect();
        let (stored, size) = (lines::text(&records), lines::line(&records[0]).len());
        let past: Timestamp = "2001-01-01T00:00:00Z".parse().unwrap();
        let new = Record { at: past, ..record("a", "9", &at(0)) };
        let text = |most| add(stored.as_bytes(), std::slice::from_ref(&new), most, past).text;
        assert_eq!(text(usize::MAX), lines::line(&new) + &stored);
        assert_eq!(text(size * 6), lines::line(&new) + &lines::text(&records[3..]));
    }

    #[test]
    fn a_run_is_the_newest_unless_another_has_a_higher_number() {
        let stored = lines::text(&[record("a", "8", &at(8)), Record { attempt: 2, ..record("a", "9", &at(9)) }]);
        let is_newest = |run: &str, attempt, minute| {
            let new = Record { attempt, ..record("a", run, &at(minute)) };
            add(stored.as_bytes(), &[new], usize::MAX, Timestamp::MAX).is_newest
        };
        assert!(is_newest("10", 1, 7) && is_newest("9", 2, 9) && is_newest("local-1", 1, 99));
        assert!(!is_newest("8", 2, 99) && !is_newest("9", 1, 9) && !is_newest("local-1", 1, 7));
        // On another server numbers begin anew.
        assert!(is_newest("1", 1, 60 * 24 * 40));
        assert!(add(b"", &[record("a", "1", &at(1))], usize::MAX, Timestamp::MAX).is_newest);
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
