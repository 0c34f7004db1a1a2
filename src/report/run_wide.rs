//! Run-wide checks in words, a line each: those that failed, and those of which nobody can tell.

use super::markdown::Markdown;
use super::summary::parts::clipped;
use super::{CheckResult, Cluster, Report};
use crate::diagnostic::inert::inert;

/// Most lines.
const LINES: usize = 10;

/// Whether one failed on some cluster.
pub(super) fn has_failed(clusters: &[Cluster]) -> bool {
    clusters.iter().flat_map(|cluster| &cluster.checks).any(|check| check.outcome == "failed")
}

/// Those that did not pass, each with its cluster; the failed ones first.
fn told(report: &Report) -> Vec<(&Cluster, &CheckResult)> {
    let all = report.clusters.iter().flat_map(|cluster| cluster.checks.iter().map(move |check| (cluster, check)));
    let mut told: Vec<_> = all.filter(|(_, check)| check.outcome != "passed").collect();
    told.sort_by_key(|(_, check)| check.outcome != "failed");
    told
}

fn more(count: usize) -> Option<String> {
    (count > LINES).then(|| format!("and {} more run-wide checks that did not pass", count - LINES))
}

/// For a terminal: `run-wide check on v1.34.0: metrics failed: ...`.
pub(super) fn lines(report: &Report) -> Vec<String> {
    let told = told(report);
    let line = |(cluster, check): &(&Cluster, &CheckResult)| {
        let (version, message) = (inert(&cluster.kubernetes), inert(&check.message));
        format!("Run-wide check on {version}: {} {}: {message}", inert(&check.check), inert(&check.outcome))
    };
    told.iter().take(LINES).map(line).chain(more(told.len())).collect()
}

/// The same as paragraphs of Markdown, with what parts them from the text before; empty if all passed.
pub(super) fn paragraphs(report: &Report) -> String {
    let told = told(report);
    let line = |(cluster, check): &(&Cluster, &CheckResult)| {
        let icon = if check.outcome == "failed" { "❌" } else { "❔" };
        let version = Markdown::code(&cluster.kubernetes);
        let what = Markdown::text(&format!("{} {}", check.check, check.outcome));
        format!("{icon} Run-wide check on {version}: **{what}**: {}", clipped(&check.message))
    };
    let lines = told.iter().take(LINES).map(line).chain(more(told.len()));
    lines.map(|line| format!("\n\n{line}")).collect()
}
