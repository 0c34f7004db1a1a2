//! How examples have been doing, as `report.json` has it. What it is computed from: [`crate::history`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Report, Row};
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

/// From how many times its median on an example is said to be slower than that.
pub const SLOW: f64 = 2.0;
/// What it has to be slower by besides, in milliseconds: a second more or less is the machine's.
pub const SLOW_MS: u64 = 5_000;

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

impl FirstBad {
    /// Whether the report's own run is the whole of the series, and that of a pull request or of a merge queue: its commit is then GitHub's
    /// test merge, which is in no log.
    #[must_use]
    pub fn is_this_run(&self, report: &Report) -> bool {
        let run = &report.run;
        self.runs == 1
            && self.commit == run.commit
            && (run.pull_request.is_some() || run.event.starts_with("pull_request") || run.event == "merge_group")
    }

    /// Whether it passed on the very commit on which it is broken: what changed is not in the repository.
    #[must_use]
    pub fn is_on_good_commit(&self) -> bool {
        !self.commit.is_empty() && self.commit == self.last_good
    }
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

impl Overall {
    /// The health of several examples, whose rows are in their order; `None` if no row has any. What is quarantined, or there for other
    /// examples alone, is not among them.
    #[must_use]
    pub fn of(rows: &[Row]) -> Option<Self> {
        rows.iter().any(|row| row.health.is_some()).then(|| {
            let examples = rows.chunk_by(|a, b| a.example == b.example).filter_map(|rows| {
                let rows: Vec<_> = rows.iter().filter(|row| !row.quarantined && !row.support).collect();
                let framework = rows.first()?.framework.as_deref();
                Some((framework, rows.iter().filter_map(|row| row.health.as_ref()).collect()))
            });
            Self::of_examples(examples)
        })
    }

    /// The health of several examples, each given by its framework and its health on each version.
    ///
    /// An example is as healthy as on its worst version, several as their mean. They are improving where more of them improve than
    /// decline, by more than a tenth of those whose trend is known; an example's is that of its worst version.
    pub fn of_examples<'a>(examples: impl Iterator<Item = (Option<&'a str>, Vec<&'a Health>)>) -> Self {
        let mut all = Sum::default();
        let mut frameworks: BTreeMap<&str, Sum> = BTreeMap::new();
        for (framework, versions) in examples {
            all.add(&versions);
            if let Some(framework) = framework {
                frameworks.entry(framework).or_default().add(&versions);
            }
        }
        let group = |(name, sum): (&str, Sum)| Group {
            name: name.to_owned(),
            score: sum.mean(),
            examples: sum.scored.saturating_add(sum.unknown),
        };
        Self {
            score: all.mean(),
            trend: all.trend().to_owned(),
            scored: all.scored,
            unknown: all.unknown,
            frameworks: frameworks.into_iter().map(group).collect(),
        }
    }
}

/// The examples that were added up.
#[derive(Default)]
struct Sum {
    points: u64,
    scored: u32,
    unknown: u32,
    /// How many examples have a trend, and how many more of them improve than decline.
    leaning: (i64, i64),
}

impl Sum {
    /// Adds an example, given by its health on each version.
    fn add(&mut self, versions: &[&Health]) {
        let scored = versions.iter().filter_map(|health| Some((health.score?, *health)));
        let Some((score, worst)) = scored.min_by_key(|(score, _)| *score) else {
            self.unknown += 1;
            return;
        };
        self.points += u64::from(score);
        self.scored += 1;
        let leaning = match worst.trend.as_str() {
            "improving" => 1,
            "declining" => -1,
            "steady" => 0,
            _ => return,
        };
        self.leaning = (self.leaning.0 + 1, self.leaning.1 + leaning);
    }

    fn mean(&self) -> Option<u8> {
        let count = u64::from(self.scored);
        u8::try_from((self.points + count / 2).checked_div(count)?).ok()
    }

    fn trend(&self) -> &'static str {
        match self.leaning {
            (0, _) => "unknown",
            (known, more) if more * 10 > known => "improving",
            (known, more) if more * 10 < -known => "declining",
            _ => "steady",
        }
    }
}

impl Row {
    /// How many times its median it took in this run, where that is worth a word: twice or more, and by some seconds.
    #[must_use]
    pub fn is_slower(&self) -> Option<f64> {
        let times = self.health.as_ref()?.slowdown.filter(|times| times.is_finite() && *times >= SLOW)?;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds; beyond 2^53 of them nobody counts")]
        let (took, enough) = (self.attempt_ms() as f64, SLOW_MS as f64);
        (took - took / times >= enough).then_some(times)
    }

    /// How long an attempt took on average, in milliseconds: what is held against the median.
    #[must_use]
    pub fn attempt_ms(&self) -> u64 {
        self.duration_ms / u64::try_from(self.attempts.len()).unwrap_or(1).max(1)
    }
}

impl Health {
    /// What became of it in the last run before that says something of it; `None` if none did.
    #[must_use]
    pub fn before(&self) -> Option<Outcome> {
        let said = |past: &&Past| !matches!(past.outcome, Outcome::Skipped | Outcome::Errored);
        self.past.iter().rev().find(said).map(|past| past.outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_counts_examples_and_not_their_versions() {
        let of = |score, trend: &str| Health { score: Some(score), trend: trend.to_owned(), ..Health::default() };
        let (up, down) = (of(90, "improving"), of(40, "declining"));
        let many = (Some("job"), vec![&up; 8]);
        let overall = Overall::of_examples([many, (None, vec![&down, &up]), (None, vec![&down])].into_iter());
        assert_eq!((overall.trend.as_str(), overall.scored, overall.score), ("declining", 3, Some(57)));
    }
}
