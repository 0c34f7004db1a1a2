//! What is printed while cells run: a line a cell as it ends, with what is worth knowing at once.

use std::collections::HashSet;
use std::io::{self, Write};

use super::console::{Columns, Console, Options};
use super::details::cause_name;
use super::{Row, words};
use crate::diagnostic::inert::inert;
use crate::model::{ExampleId, Outcome, Tier};

/// Prints rows as they are known. The report at the end is then written by [`super::console::write_rest`].
#[derive(Debug)]
pub struct Progress<'a> {
    options: Options<'a>,
    columns: Columns,
    simulated: bool,
    /// The examples whose remarks were printed: they hold for every version.
    remarked: HashSet<ExampleId>,
}

impl<'a> Progress<'a> {
    /// Of a run of cells of these tiers on these versions.
    #[must_use]
    pub fn new<'c>(options: Options<'a>, cells: impl IntoIterator<Item = (Tier, &'c str)>, simulated: bool) -> Self {
        let columns = Columns::of(cells.into_iter().map(|(tier, version)| (tier, Some(version))));
        Self { options, columns, simulated, remarked: HashSet::new() }
    }

    /// Says before the first cell what kind of run it is.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.simulated { Console { out, options: self.options }.simulated() } else { Ok(()) }
    }

    /// Prints a row: its line, its cause in one line, and what was remarked of its example, once. What was not tried is left
    /// to the report; a quiet run prints what is not good alone.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn row(&mut self, out: &mut dyn Write, row: &Row) -> io::Result<()> {
        if row.outcome == Outcome::Skipped || self.options.quiet && !row.is_bad() {
            return Ok(());
        }
        let mut console = Console { out, options: self.options };
        console.row(row, self.columns)?;
        if let Some(cause) = &row.cause {
            console.indented(&inert(&format!("{}: {}", cause_name(row), words::first_line(&cause.message))))?;
        }
        if !self.options.quiet && self.remarked.insert(row.example.clone()) {
            console.remarks(row, row.cause.is_some())?;
        }
        if !self.options.quiet {
            console.undecided(row)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Severity;
    use crate::report::sample;
    use insta::assert_snapshot;

    fn shown(options: Options<'_>, rows: &[Row]) -> String {
        let cells = rows.iter().map(|row| (row.tier, row.kubernetes.as_deref().unwrap()));
        let mut progress = Progress::new(options, cells, true);
        let mut out = Vec::new();
        progress.begin(&mut out).unwrap();
        for row in rows {
            progress.row(&mut out, row).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    fn rows() -> Vec<Row> {
        let mut passed = sample::slow("examples/a.yaml", "v1.9.0");
        (passed.outcome, passed.cause, passed.duration_ms) = (Outcome::Passed, None, 12_345);
        passed.attempts.truncate(1);
        let mut hostile = sample::slow("examples/##[group]b.yaml", "v1.34.0");
        hostile.cause.as_mut().unwrap().message = "::error::\u{1b}[31m\nsecond line".to_owned();
        let mut skipped = passed.clone();
        skipped.outcome = Outcome::Skipped;
        vec![passed, sample::slow("examples/a.yaml", "v1.34.0"), hostile, skipped]
    }

    #[test]
    fn a_cell_is_told_with_its_cause_and_its_example_with_its_remarks() {
        assert_snapshot!(shown(Options::default(), &rows()), @"
        Simulated: no real cluster was used, so that nothing here says whether the examples work.
        For real: `--cluster kind` (needs a Docker engine), or `--cluster existing` (needs a kubeconfig).

            PASS [  12.345s] full  v1.9.0   examples/a.yaml (PyTorchJob/x)  1 warning
                 warning[EV302] line 9: image `x` has no tag
         TIMEOUT [ 900.120s] full  v1.34.0  examples/a.yaml (PyTorchJob/x)  2 attempts, 1 warning
                 timeout/Timeout: not finished after 15m
         TIMEOUT [ 900.120s] full  v1.34.0  examples/##[group]b.yaml (PyTorchJob/x)  2 attempts, 1 warning
                 timeout/Timeout: ::error::␛[31m
                 warning[EV302] line 9: image `x` has no tag
        ");
    }

    #[test]
    fn errors_and_checks_without_a_result_are_told_of_what_passed_and_a_cause_once() {
        let mut row = rows().remove(0);
        row.diagnostics =
            vec![sample::finding("EV202", Severity::Error, "examples/a.yaml", 9, "no container `pytorch`")];
        row.checks = vec![sample::check("logs", "inconclusive", "the logs are not whole: cut\nsecond line")];
        let mut broken = sample::broken("examples/b.yaml");
        broken.kubernetes = Some("v1.9.0".to_owned());
        broken.diagnostics.insert(0, sample::finding("EV302", Severity::Warning, "examples/b.yaml", 9, "no tag"));
        assert_snapshot!(shown(Options::default(), &[row, broken]), @"
        Simulated: no real cluster was used, so that nothing here says whether the examples work.
        For real: `--cluster kind` (needs a Docker engine), or `--cluster existing` (needs a kubeconfig).

            PASS [  12.345s] full   v1.9.0  examples/a.yaml (PyTorchJob/x)  1 error, 1 check inconclusive
                 error[EV202] line 9: no container `pytorch`
                 inconclusive logs: the logs are not whole: cut
            FAIL [   0.005s] basic  v1.9.0  examples/b.yaml (PyTorchJob/x)  1 error, 1 warning
                 manifest/EV105: spec.x: unknown field
                 warning[EV302] line 9: no tag
        ");
    }

    #[test]
    fn quiet_tells_what_is_not_good_and_a_log_obeys_nothing() {
        let options = Options { quiet: true, github: Some(""), ..Options::default() };
        assert_snapshot!(shown(options, &rows()), @"
        Simulated: no real cluster was used, so that nothing here says whether the examples work.
        For real: `--cluster kind` (needs a Docker engine), or `--cluster existing` (needs a kubeconfig).

         TIMEOUT [ 900.120s] full  v1.34.0  examples/a.yaml (PyTorchJob/x)  2 attempts, 1 warning
                 timeout/Timeout: not finished after 15m
         TIMEOUT [ 900.120s] full  v1.34.0  examples/## [group]b.yaml (PyTorchJob/x)  2 attempts, 1 warning
                 timeout/Timeout: ::error::␛[31m
        ");
    }
}
