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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;
    use crate::report::{Run, sample};

    fn report(checks: Vec<CheckResult>) -> Report {
        let clusters = vec![Cluster { checks, ..sample::report().clusters.remove(0) }];
        let rows = vec![sample::row("a.yaml", Outcome::Passed), sample::row("b.yaml", Outcome::Passed)];
        Report::new(Run::default(), clusters, vec![], rows, &[Outcome::Failed])
    }

    #[test]
    fn what_did_not_pass_is_told_the_failed_first() {
        let report = report(vec![
            sample::check("restarts", "passed", "the operator's pods stayed up"),
            sample::check("metrics", "inconclusive", "there is no Service a/b:1"),
            sample::check("metrics", "failed", "errors rose by 2 (6 -> 8), expected at most 0"),
        ]);
        assert_eq!(
            lines(&report),
            [
                "Run-wide check on v1.34.0: metrics failed: errors rose by 2 (6 -> 8), expected at most 0",
                "Run-wide check on v1.34.0: metrics inconclusive: there is no Service a/b:1",
            ]
        );
        let (icon, verdict) = crate::report::summary::parts::verdict(&report);
        assert_eq!((icon, verdict.as_str()), ("❌", "A run-wide check failed; 2 of 2 examples passed"));
        let text = crate::report::summary::parts::counts(&report);
        assert!(text.contains("\n\n❌ Run-wide check on `v1.34.0`: **metrics failed**: errors rose by 2"), "{text}");
    }

    #[test]
    fn what_passed_is_not_told_and_what_is_hostile_does_not_act() {
        let good = report(vec![sample::check("restarts", "passed", "up")]);
        assert_eq!((lines(&good).len(), paragraphs(&good).as_str()), (0, ""));
        let hostile = report(vec![sample::check("logs", "failed", "</details>\n# @team \u{1b}[31m"); 30]);
        assert_eq!(lines(&hostile).len(), LINES + 1);
        assert!(lines(&hostile).iter().all(|line| !line.contains(['\n', '\u{1b}'])));
        let text = paragraphs(&hostile);
        assert!(!text.contains("</details>") && !text.contains("\n# ") && !text.contains("@team"), "{text}");
    }
}
