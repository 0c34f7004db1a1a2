//! What became of examples in earlier runs: one line of JSON a cell a run.
//!
//! It is read before the plan (durations, when periodic examples last ran) and appended after the report, on the default branch
//! alone. Simulated runs never enter it. Everything here but [`store`] is pure; on a branch it is kept by `github::branch`.

mod badge;
mod feeds;
pub mod health;
mod keep;
pub mod lines;
mod record;
pub mod store;
#[cfg(test)]
mod testing;

pub use badge::badge;
pub use feeds::{durations, last_on_cluster};
pub use keep::{Added, add};
pub use record::{Record, records};

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use rayon::prelude::*;

use crate::model::ExampleId;

/// How many of an example's runs are kept, the newest.
pub const RUNS: usize = 200;

/// What is known of earlier runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The records of each example, of all versions, the oldest first: of each run and version the last attempt.
    examples: BTreeMap<ExampleId, Vec<Record>>,
}

impl History {
    /// A history of these records, in whatever order. Of several of one run and version the last attempt stays, of the same attempt the
    /// last of them.
    ///
    /// Where every run of an example has a number (GitHub gives each a higher one) they are ordered by it: a run that is tried again a
    /// week later is of an old commit still. Else by time, and where their times show that numbers began anew.
    #[must_use]
    pub fn new(records: impl IntoIterator<Item = Record>) -> Self {
        // Paths that begin alike are slow to compare: they are ordered once each.
        let mut examples: HashMap<ExampleId, Vec<Record>> = HashMap::new();
        for record in records {
            let known = match examples.get_mut(&record.example) {
                Some(known) => known,
                // Most examples have as many: to make room for more again and again takes long.
                None => examples.entry(record.example.clone()).or_insert_with(|| Vec::with_capacity(RUNS)),
            };
            known.push(record);
        }
        examples.par_iter_mut().for_each(|(_, records)| {
            order(records);
            keep_last_words(records);
        });
        Self { examples: examples.into_iter().collect() }
    }

    /// The history that a text holds, as [`lines::read`] reads it, and what was no record of it.
    #[must_use]
    pub fn read(text: &[u8], now: Timestamp) -> (Self, Option<lines::Skipped>) {
        let (records, skipped) = lines::read_pieces(text, now);
        (Self::new(records.into_iter().flatten()), skipped)
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }

    /// The examples of which something is known, with their records, the oldest first.
    pub fn examples(&self) -> impl Iterator<Item = (&ExampleId, &[Record])> {
        self.examples.iter().map(|(id, records)| (id, records.as_slice()))
    }

    /// The records of an example, of all versions, the oldest first.
    #[must_use]
    pub fn of(&self, example: &ExampleId) -> &[Record] {
        self.examples.get(example).map_or(&[], Vec::as_slice)
    }

    /// The records of an example on one version (`None`: judged statically alone), the oldest first.
    pub fn on<'h>(
        &'h self,
        example: &ExampleId,
        kubernetes: Option<&'h str>,
    ) -> impl DoubleEndedIterator<Item = &'h Record> {
        self.of(example).iter().filter(move |record| record.kubernetes.as_deref() == kubernetes)
    }
}

/// The number of a run whose id is one.
fn number(run: &str) -> Option<u64> {
    // What is parsed may have a sign.
    run.starts_with(|first: char| first.is_ascii_digit()).then(|| run.parse().ok())?
}

/// How much earlier than a run of a lower number one may have started, in seconds. GitHub lets a run be tried again within 30 days.
const OUT_OF_ORDER: i64 = 31 * 24 * 60 * 60;

/// Whether runs, each with its time, are in the order of their numbers: each has one, and their times do not contradict it. On another server numbers begin
/// anew, and what is new would be the oldest for ever.
fn are_by_number<'a>(runs: impl Iterator<Item = (&'a str, Timestamp)>) -> bool {
    let numbered = runs.map(|(run, at)| Some((number(run)?, at.as_second())));
    let Some(mut runs) = numbered.collect::<Option<Vec<_>>>() else { return false };
    runs.sort_unstable();
    let mut latest = i64::MIN;
    runs.into_iter().all(|(_, at)| {
        latest = latest.max(at);
        latest - at <= OUT_OF_ORDER
    })
}

/// Orders an example's records, the oldest first. Stable: else equal ones stay in the order in which they were written.
fn order(records: &mut [Record]) {
    if are_by_number(records.iter().map(|record| (&*record.run, record.at))) {
        records.sort_by_cached_key(|record| (number(&record.run), record.attempt));
    } else {
        records.sort_by_key(|record| (record.at, record.attempt));
    }
}

/// Leaves of an example's records, which are ordered, the last of each run and version.
fn keep_last_words(records: &mut Vec<Record>) {
    let mut seen = HashSet::with_capacity(records.len());
    let cells = records.iter().rev().map(|record| (&*record.run, record.kubernetes.as_deref()));
    let mut is_last: Vec<bool> = cells.map(|cell| seen.insert(cell)).collect();
    if is_last.iter().all(|is_last| *is_last) {
        return;
    }
    records.retain(|_| is_last.pop().unwrap_or(true));
}

#[cfg(test)]
mod tests {
    use super::testing::record;
    use super::*;
    use crate::model::Outcome;

    fn told(records: Vec<Record>) -> Vec<(String, u32)> {
        let history = History::new(records);
        history.of(&ExampleId::new("a")).iter().map(|record| (record.run.to_string(), record.attempt)).collect()
    }

    #[test]
    fn of_a_run_that_was_tried_again_the_last_word_counts() {
        let one = record("a", "7", "2026-11-20T12:00:00Z");
        let again =
            Record { attempt: 2, outcome: Outcome::Failed, at: "2026-11-20T13:00:00Z".parse().unwrap(), ..one.clone() };
        let elsewhere = Record { kubernetes: Some("v1.33.4".into()), ..one.clone() };
        let history = History::new([again.clone(), elsewhere.clone(), one]);
        assert_eq!(history.of(&ExampleId::new("a")), [elsewhere, again]);
    }

    #[test]
    fn runs_with_numbers_are_in_their_order_and_others_in_that_of_time() {
        let old = Record { attempt: 2, ..record("a", "9", "2026-11-27T12:00:00Z") };
        let new = record("a", "10", "2026-11-20T12:00:00Z");
        let local = record("a", "local-1", "2026-11-21T12:00:00Z");
        let of = |run: &str, attempt| (run.to_owned(), attempt);
        assert_eq!(told(vec![old.clone(), new.clone()]), [of("9", 2), of("10", 1)]);
        assert_eq!(told(vec![old, local, new]), [of("10", 1), of("local-1", 1), of("9", 2)]);
    }

    #[test]
    fn numbers_that_began_anew_give_way_to_time() {
        let here = |run, at| record("a", run, at);
        let elsewhere = [here("9000", "2026-10-01T12:00:00Z"), here("9001", "2026-11-19T12:00:00Z")];
        let moved = [here("1", "2026-11-20T12:00:00Z"), here("2", "2026-11-21T12:00:00Z")];
        let runs: Vec<_> = told([elsewhere, moved].concat()).into_iter().map(|(run, _)| run).collect();
        assert_eq!(runs, ["9000", "9001", "1", "2"]);
    }
}
