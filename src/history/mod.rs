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

use std::collections::{BTreeMap, HashMap};

use crate::model::ExampleId;

/// How many of an example's runs are kept, the newest.
pub const RUNS: usize = 200;

/// What is known of earlier runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The records of each example, of all versions, the oldest first.
    examples: BTreeMap<ExampleId, Vec<Record>>,
}

impl History {
    /// A history of these records, in whatever order.
    #[must_use]
    pub fn new(records: impl IntoIterator<Item = Record>) -> Self {
        // Paths that begin alike are slow to compare: they are ordered once each.
        let mut examples: HashMap<ExampleId, Vec<Record>> = HashMap::new();
        for record in records {
            match examples.get_mut(&record.example) {
                Some(known) => known.push(record),
                None => drop(examples.insert(record.example.clone(), vec![record])),
            }
        }
        // Stable: records of the same moment stay in the order in which they were written.
        for records in examples.values_mut() {
            records.sort_by_key(|record| record.at);
        }
        Self { examples: examples.into_iter().collect() }
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
