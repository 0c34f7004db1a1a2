//! The health of the repository: of each example on each version that is in use, whatever this run tried of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::{Known, health};
use crate::history::{History, Record, are_by_number, number};
use crate::model::{ExampleId, Outcome, Tier};
use crate::report::{Finding, Health, Overall, Row, Run};

/// A version on which none of so many newest runs on clusters tried anything is in use no more.
const NEWEST: usize = 20;

/// For how long the history alone tells how an example does on clusters: after that no part of a score is fresh any more.
const TELLS: SignedDuration = SignedDuration::from_hours(60 * 24);

/// What a report tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All examples: one that it does not name is gone.
    Whole,
    /// Those that somebody chose: others are as the history knows them.
    Part,
}

/// The health of the repository. Where this run has a row of an example on a version that is its health, else what the history tells
/// alone, for as long as it [`TELLS`]. That a static check passes counts only for an example that was on no cluster meanwhile.
pub(super) fn overall(scope: Scope, rows: &[Row], history: &History, now: Timestamp) -> Overall {
    let in_use = in_use(rows, history);
    let mut examples: BTreeMap<&ExampleId, Of<'_>> = BTreeMap::new();
    for row in rows {
        let of = examples.entry(&row.example).or_default();
        of.framework = of.framework.or(row.framework.as_deref());
        of.is_left_out |= row.quarantined || row.support;
        of.findings = of.findings.or(Some(&row.diagnostics));
        if let Some(health) = &row.health {
            of.told.insert(row.kubernetes.as_deref(), health);
        }
    }
    if scope == Scope::Part {
        for (example, records) in history.examples() {
            let of = examples.entry(example).or_default();
            of.framework = of.framework.or_else(|| records.last()?.framework.as_deref());
        }
    }
    examples.retain(|_, of| !of.is_left_out);
    let untold: Vec<_> = examples.iter().map(|(example, of)| of.untold(example, &in_use, history, now)).collect();
    Overall::of_examples(examples.values().zip(&untold).map(|(of, untold)| {
        let is_on_cluster = !untold.is_static || of.told.keys().any(Option::is_some);
        let told = of.told.iter().filter(|(version, _)| version.is_some() || !is_on_cluster).map(|(_, health)| *health);
        (of.framework, told.chain(&untold.health).collect())
    }))
}

/// What a report tells of an example.
#[derive(Default)]
struct Of<'a> {
    framework: Option<&'a str>,
    /// Whether it is quarantined, or there for others.
    is_left_out: bool,
    findings: Option<&'a Vec<Finding>>,
    told: BTreeMap<Option<&'a str>, &'a Health>,
}

/// What the history alone tells of an example.
struct Untold {
    health: Vec<Health>,
    /// Whether it was on no cluster of late.
    is_static: bool,
}

impl Of<'_> {
    fn untold(&self, example: &ExampleId, in_use: &BTreeSet<&str>, history: &History, now: Timestamp) -> Untold {
        let records = history.of(example);
        let tells = |record: &&Record| record.kubernetes.is_none() || now.duration_since(record.at) < TELLS;
        let known: BTreeSet<Option<&str>> =
            records.iter().filter(tells).map(|record| record.kubernetes.as_deref()).collect();
        let is_static = !known.iter().any(Option::is_some);
        let counts = |version: Option<&str>| match version {
            Some(version) => in_use.contains(version),
            None => is_static && self.told.is_empty(),
        };
        let untold = known.into_iter().filter(|version| counts(*version) && !self.told.contains_key(version));
        let of = |version: Option<&str>| {
            let row = unseen(example, version, self.findings);
            // Whatever another job of this run wrote of it counts, too.
            health(&row, &Known::of(&row, &Run::default(), history, now))
        };
        Untold { health: untold.map(of).collect(), is_static }
    }
}

/// An example on a version on which this run did not try it.
fn unseen(example: &ExampleId, kubernetes: Option<&str>, findings: Option<&Vec<Finding>>) -> Row {
    Row {
        example: example.clone(),
        framework: None,
        objects: Vec::new(),
        support: false,
        tier: Tier::Full,
        kubernetes: kubernetes.map(str::to_owned),
        outcome: Outcome::Skipped,
        quarantined: false,
        duration_ms: 0,
        cause: None,
        reason: String::new(),
        attempts: Vec::new(),
        checks: Vec::new(),
        diagnostics: findings.cloned().unwrap_or_default(),
        resources: None,
        log: None,
        health: None,
        evidence: None,
    }
}

/// The versions that this run or one of the [`NEWEST`] before it on clusters tried something on.
fn in_use<'a>(rows: &'a [Row], history: &'a History) -> BTreeSet<&'a str> {
    let mut runs: HashMap<&str, (Timestamp, BTreeSet<&str>)> = HashMap::new();
    for (_, records) in history.examples() {
        // What an example knows of the newest runs of all is among the newest of its own.
        let (mut last, mut count) = ("", 0);
        for record in records.iter().rev() {
            let Some(version) = &record.kubernetes else { continue };
            if *record.run != *last {
                (last, count) = (&record.run, count + 1);
            }
            if count > NEWEST {
                break;
            }
            let run = runs.entry(&record.run).or_insert_with(|| (record.at, BTreeSet::new()));
            run.0 = run.0.max(record.at);
            run.1.insert(version);
        }
    }
    let are_numbers = are_by_number(runs.iter().map(|(run, (at, _))| (*run, *at)));
    let mut runs: Vec<_> = runs.into_iter().collect();
    runs.sort_unstable_by_key(|(run, (at, _))| std::cmp::Reverse((number(run).filter(|_| are_numbers), *at, *run)));
    let before = runs.into_iter().take(NEWEST).flat_map(|(_, (_, versions))| versions);
    before.chain(rows.iter().filter_map(|row| row.kubernetes.as_deref())).collect()
}
