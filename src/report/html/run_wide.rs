//! What was expected of the operator over all examples, on each cluster.

use super::grid::version;
use super::text::Text;
use crate::report::{CheckResult, Cluster, Report};

/// Most checks that are told, and most that are named in the verdict.
const MOST: usize = 24;
const NAMED: usize = 5;

/// The run-wide checks.
pub(super) struct RunWide {
    /// Those that did not pass, the failed ones first.
    pub(super) told: Vec<Check>,
    /// How many more there are of those.
    pub(super) more: usize,
    pub(super) passed: usize,
    pub(super) all: usize,
}

pub(super) struct Check {
    pub(super) letter: &'static str,
    pub(super) outcome: Text,
    pub(super) name: Text,
    pub(super) version: Text,
    pub(super) message: Text,
}

impl RunWide {
    /// What the verdict names: those that failed, a few of them.
    pub(super) fn failed(&self) -> impl Iterator<Item = &Check> {
        self.told.iter().filter(|check| check.letter == "f").take(NAMED)
    }
}

/// The run-wide checks of all clusters.
pub(super) fn run_wide(report: &Report) -> RunWide {
    let all: Vec<_> =
        report.clusters.iter().flat_map(|cluster| cluster.checks.iter().map(move |check| (cluster, check))).collect();
    let mut told: Vec<_> = all.iter().filter(|(_, check)| check.outcome != "passed").collect();
    told.sort_by_key(|(_, check)| check.outcome != "failed");
    RunWide {
        more: told.len().saturating_sub(MOST),
        passed: all.len() - told.len(),
        all: all.len(),
        told: told.into_iter().take(MOST).map(|(cluster, check)| line(cluster, check)).collect(),
    }
}

fn line(cluster: &Cluster, check: &CheckResult) -> Check {
    Check {
        letter: if check.outcome == "failed" { "f" } else { "y" },
        outcome: Text::clipped(&check.outcome, 40),
        name: Text::clipped(&check.check, 60),
        version: version(Some(&cluster.kubernetes)),
        message: Text::clipped(&check.message, 500),
    }
}
