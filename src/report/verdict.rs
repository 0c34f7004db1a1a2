//! What the rows of a run come to: the counts, the conclusion, the exit code.

use super::{Cluster, Image, Overall, Report, Row, Run, Summary, Tool, json, run_wide, words};
use crate::error;
use crate::model::{Conclusion, Outcome};

impl Report {
    /// The report of a run: rows in the order of example and version, counted, with the conclusion of the design's table.
    /// `fail_on` names the outcomes that count.
    #[must_use]
    pub fn new(
        run: Run,
        clusters: Vec<Cluster>,
        images: Vec<Image>,
        mut results: Vec<Row>,
        fail_on: &[Outcome],
    ) -> Self {
        results.sort_by(|a, b| (&a.example, version_key(a)).cmp(&(&b.example, version_key(b))));
        let conclusion = if run.simulated { Conclusion::Simulated } else { verdict(&results, &clusters, fail_on) };
        let summary = summary(&results, conclusion);
        Self {
            schema_version: json::SCHEMA_VERSION,
            tool: Tool::this(),
            run,
            clusters,
            images,
            health: Overall::of(&results),
            results,
            summary,
        }
    }

    /// The same report, of a run that checked built-in kinds by the schemas of this Kubernetes version.
    #[must_use]
    pub fn with_schemas(mut self, kubernetes: impl Into<String>) -> Self {
        self.tool.schemas = Some(kubernetes.into());
        self
    }

    /// The same report, of a run that was cancelled. That goes over everything else: what is missing from such a report
    /// is not known to be good.
    #[must_use]
    pub fn cancelled(mut self) -> Self {
        self.summary.conclusion = Conclusion::Cancelled;
        self
    }

    /// The report of a run that was killed before it could write one: of the rows that it had come to, and cancelled.
    #[must_use]
    pub fn of_killed(run: Run, clusters: Vec<Cluster>, rows: Vec<Row>, fail_on: &[Outcome]) -> Self {
        Self::new(run, clusters, Vec::new(), rows, fail_on).cancelled()
    }

    /// The same report, of a run of which a part is missing: where it would be a success it is an error.
    #[must_use]
    pub fn incomplete(mut self) -> Self {
        if self.summary.conclusion == Conclusion::Success {
            self.summary.conclusion = Conclusion::Error;
        }
        self
    }
}

impl Run {
    /// Whether it began after another: the report of an earlier run says nothing of one that was killed later.
    #[must_use]
    pub fn began_after(&self, other: &Self) -> bool {
        let at = |run: &Self| run.started_at.parse::<jiff::Timestamp>().ok();
        at(self) > at(other)
    }
}

impl Tool {
    /// This program, with no schemas.
    #[must_use]
    pub fn this() -> Self {
        Self { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), schemas: None }
    }
}

impl Row {
    /// Whether the example is not known to work here: it failed, ran out of time, or could not be judged.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        matches!(self.outcome, Outcome::Failed | Outcome::TimedOut | Outcome::Errored)
    }
}

/// The exit code of a run. A simulated run has the code that the same run would have on a real cluster. A cancelled one has
/// 130; its caller knows the signal, and turns that into 143 for SIGTERM.
#[must_use]
pub fn exit_code(report: &Report, fail_on: &[Outcome]) -> u8 {
    error::exit_code(match (report.summary.conclusion, verdict(&report.results, &report.clusters, fail_on)) {
        (Conclusion::Cancelled, _) => Conclusion::Cancelled,
        // A part is missing, which no row shows.
        (Conclusion::Error, Conclusion::Success) => Conclusion::Error,
        (_, verdict) => verdict,
    })
}

/// The conclusion of rows and run-wide checks: a failure goes over what could not be judged, and a quarantined row never counts.
fn verdict(rows: &[Row], clusters: &[Cluster], fail_on: &[Outcome]) -> Conclusion {
    let of_operator = fail_on.contains(&Outcome::Failed) && run_wide::has_failed(clusters);
    let counting = || rows.iter().filter(|row| !row.quarantined && fail_on.contains(&row.outcome));
    if of_operator || counting().any(|row| !matches!(row.outcome, Outcome::Passed | Outcome::Errored)) {
        Conclusion::Failure
    } else if counting().any(|row| row.outcome == Outcome::Errored) {
        Conclusion::Error
    } else {
        Conclusion::Success
    }
}

/// Each row counted under its own outcome, quarantined ones too: the counts add up to the number of rows.
fn summary(rows: &[Row], conclusion: Conclusion) -> Summary {
    let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count() as u64;
    Summary {
        passed: count(Outcome::Passed),
        failed: count(Outcome::Failed),
        timed_out: count(Outcome::TimedOut),
        flaky: count(Outcome::Flaky),
        skipped: count(Outcome::Skipped),
        errored: count(Outcome::Errored),
        conclusion,
    }
}

fn version_key(row: &Row) -> impl Ord + '_ {
    row.kubernetes.as_deref().map(words::version_key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    const DEFAULT: &[Outcome] = &[Outcome::Failed, Outcome::TimedOut, Outcome::Errored];

    fn report(outcomes: &[Outcome]) -> Report {
        let rows = outcomes.iter().enumerate().map(|(index, outcome)| sample::row(&format!("{index}.yaml"), *outcome));
        Report::new(Run::default(), vec![], vec![], rows.collect(), DEFAULT)
    }

    #[test]
    fn a_run_wide_check_that_fails_fails_the_run_and_one_that_nobody_can_tell_does_not() {
        for (outcome, conclusion, code) in [
            ("passed", Conclusion::Success, 0),
            ("inconclusive", Conclusion::Success, 0),
            ("failed", Conclusion::Failure, 1),
        ] {
            let mut cluster = sample::report().clusters.remove(0);
            cluster.checks = vec![sample::check("metrics", outcome, "errors rose by 2 (6 -> 8), expected at most 0")];
            let rows = vec![sample::row("a.yaml", Outcome::Passed)];
            let report = Report::new(Run::default(), vec![cluster], vec![], rows, DEFAULT);
            assert_eq!((report.summary.conclusion, exit_code(&report, DEFAULT)), (conclusion, code), "{outcome}");
            assert_eq!(exit_code(&report, &[Outcome::Errored]), 0, "as `fail-on` says");
        }
    }

    #[test]
    fn the_conclusion_and_the_exit_code_follow_the_table() {
        use Outcome::{Errored, Failed, Flaky, Passed, Skipped, TimedOut};
        for (outcomes, conclusion, code) in [
            (&[][..], Conclusion::Success, 0),
            (&[Passed, Skipped, Flaky], Conclusion::Success, 0),
            (&[Passed, Failed], Conclusion::Failure, 1),
            (&[TimedOut], Conclusion::Failure, 1),
            (&[Passed, Errored], Conclusion::Error, 3),
            (&[Errored, Failed, Errored], Conclusion::Failure, 1),
        ] {
            let report = report(outcomes);
            assert_eq!((report.summary.conclusion, exit_code(&report, DEFAULT)), (conclusion, code), "{outcomes:?}");
        }
    }

    #[test]
    fn only_the_outcomes_of_fail_on_count() {
        let rows = || vec![sample::row("a", Outcome::Flaky), sample::row("b", Outcome::Errored)];
        for (fail_on, conclusion) in [
            (&[Outcome::Flaky][..], Conclusion::Failure),
            (&[Outcome::Errored], Conclusion::Error),
            (&[Outcome::Failed], Conclusion::Success),
            (&[], Conclusion::Success),
        ] {
            let report = Report::new(Run::default(), vec![], vec![], rows(), fail_on);
            assert_eq!(report.summary.conclusion, conclusion, "{fail_on:?}");
        }
    }

    #[test]
    fn a_quarantined_row_is_counted_but_does_not_count() {
        let mut row = sample::row("a", Outcome::Failed);
        row.quarantined = true;
        let report = Report::new(Run::default(), vec![], vec![], vec![row], DEFAULT);
        assert_eq!((report.summary.failed, report.summary.conclusion), (1, Conclusion::Success));
        assert_eq!(exit_code(&report, DEFAULT), 0);
    }

    #[test]
    fn a_simulated_run_says_so_and_keeps_its_exit_code() {
        let run = Run { simulated: true, ..Run::default() };
        let report = Report::new(run, vec![], vec![], vec![sample::row("a", Outcome::Failed)], DEFAULT);
        assert_eq!((report.summary.conclusion, exit_code(&report, DEFAULT)), (Conclusion::Simulated, 1));
    }

    #[test]
    fn a_cancelled_run_is_cancelled_whatever_it_found() {
        let report = report(&[Outcome::Failed]).cancelled();
        assert_eq!((report.summary.conclusion, exit_code(&report, DEFAULT)), (Conclusion::Cancelled, 130));
    }

    #[test]
    fn rows_are_in_the_order_of_example_and_version() {
        let on = |example: &str, version: &str| {
            let mut row = sample::row(example, Outcome::Passed);
            row.kubernetes = Some(version.to_owned());
            row
        };
        let rows = vec![on("b", "v1.9.0"), on("a", "v1.34.0"), on("a", "v1.9.0")];
        let report = Report::new(Run::default(), vec![], vec![], rows, DEFAULT);
        let order: Vec<_> =
            report.results.iter().map(|row| (row.example.as_str(), row.kubernetes.as_deref())).collect();
        assert_eq!(order, [("a", Some("v1.9.0")), ("a", Some("v1.34.0")), ("b", Some("v1.9.0"))]);
    }
}
