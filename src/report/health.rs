//! How examples have been doing, as `report.json` has it. What it is computed from: [`crate::history`].

use serde::{Deserialize, Serialize};

use crate::model::Outcome;

/// The health of one example on one version, from its history and this run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Health {
    /// From 0 to 100; `None` while too little is known.
    pub score: Option<u8>,
    /// The recency-weighted share of runs that passed, from 0 to 1; `None` without any.
    pub pass_rate: Option<f64>,
    /// The recency-weighted share of runs that passed only when they were tried again.
    pub flake_rate: Option<f64>,
    /// `improving`, `steady`, `declining`, or `unknown`.
    pub trend: String,
    /// What the score is made of; empty while there is none.
    pub parts: Vec<Part>,
    /// Since which commit it has been broken, if it is broken and was not always.
    pub first_bad: Option<FirstBad>,
    /// How long it took in this run, divided by its own median; `None` while that is unknown.
    pub slowdown: Option<f64>,
    /// What became of it before this run, the oldest first, at most [`PAST`].
    pub past: Vec<Past>,
}

/// The most past runs that a report tells of.
pub const PAST: usize = 50;

/// One part of a score.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Part {
    /// `pass-rate`, `flake-rate`, `duration`, `efficiency`, `freshness` or `pinning`.
    pub name: String,
    /// Points that it has, and could have.
    pub points: f64,
    pub of: f64,
    /// The figures behind it, in one short sentence.
    pub why: String,
}

/// Since when an example has been broken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FirstBad {
    /// The first commit on which it failed, of those that were tried.
    pub commit: String,
    /// When that was, RFC 3339.
    pub at: String,
    /// The last commit before on which it passed.
    pub last_good: String,
    /// How many runs in a row have been bad, this one included.
    pub runs: u32,
}

/// A past run of an example, on the default branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// RFC 3339.
    pub at: String,
    pub commit: String,
    pub outcome: Outcome,
    pub duration_ms: u64,
}

/// The health of more than one example.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Overall {
    /// Of the repository, from 0 to 100; `None` while no example has a score.
    pub score: Option<u8>,
    /// As in [`Health`].
    pub trend: String,
    /// How many examples have a score, and how many have none yet.
    pub scored: u32,
    pub unknown: u32,
    /// By framework, in the order of their names.
    pub frameworks: Vec<Group>,
}

/// The health of the examples of one framework.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Group {
    pub name: String,
    pub score: Option<u8>,
    pub examples: u32,
}
