//! What changed since the run that wrote the last comment.

use std::collections::BTreeSet;

use super::state::{State, Was, is_bad};
use crate::model::Outcome;
use crate::report::summary::{failure, parts};
use crate::report::{Report, Row, words};

/// How a cell differs from the run before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Change {
    /// It is bad, and was not.
    Newly,
    /// It is bad, and was not judged.
    First,
    /// It is bad, and was.
    Still,
    /// It is good, and was bad.
    Fixed,
    /// It was bad, and was not judged now.
    Gone,
}

/// How a report differs from the state of the run before.
pub(in crate::report) struct Changes<'a> {
    before: &'a State,
    rows: &'a [Row],
}

impl<'a> Changes<'a> {
    /// The changes; `None` where one of both was simulated: that says nothing about the other.
    pub(in crate::report) fn since(before: &'a State, report: &'a Report) -> Option<Self> {
        (before.simulated == report.run.simulated).then_some(Self { before, rows: &report.results })
    }

    /// How the cell of a row changed; `None` if it did not, or if that is not known.
    pub(in crate::report) fn of(&self, row: &Row) -> Option<Change> {
        match (self.before.was(row), row.outcome) {
            (Was::Known(was, _), Outcome::Skipped) => is_bad(was).then_some(Change::Gone),
            (Was::Known(was, _), now) => match (is_bad(was), is_bad(now)) {
                (true, true) => Some(Change::Still),
                (true, false) => Some(Change::Fixed),
                (false, true) if was == Outcome::Skipped => Some(Change::First),
                (false, true) => Some(Change::Newly),
                (false, false) => None,
            },
            (Was::Absent, _) => row.is_bad().then_some(Change::First),
            (Was::NotBad, _) => row.is_bad().then_some(Change::Newly),
            (Was::Unknown, _) => None,
        }
    }

    /// What the cause was, of a cell that is bad as before but for another reason.
    pub(super) fn other_cause(&self, row: &Row, now: &str) -> Option<&'a str> {
        match self.before.was(row) {
            Was::Known(was, cause) if is_bad(was) && row.is_bad() && !cause.is_empty() && !now.starts_with(cause) => {
                Some(cause)
            }
            _ => None,
        }
    }

    /// What was bad and is good, by example.
    pub(super) fn fixed(&self) -> Vec<Vec<&'a Row>> {
        let fixed = self.rows.iter().filter(|row| self.of(row) == Some(Change::Fixed));
        let mut groups: Vec<Vec<&Row>> = Vec::new();
        for row in fixed {
            match groups.last_mut() {
                Some(group) if group[0].example == row.example => group.push(row),
                _ => groups.push(vec![row]),
            }
        }
        groups
    }

    /// The changes in one line, counted by example.
    pub(in crate::report) fn sentence(&self) -> String {
        let changes: Vec<_> = self.rows.iter().filter_map(|row| Some((self.of(row)?, &row.example))).collect();
        let count = |wanted: &[Change]| {
            let examples = changes.iter().filter(|(change, _)| wanted.contains(change)).map(|(_, example)| *example);
            examples.collect::<BTreeSet<_>>().len()
        };
        let parts = [
            ("**", count(&[Change::Newly]), "newly failing**"),
            ("**", count(&[Change::First]), "failing that had not been judged**"),
            ("", count(&[Change::Still]), "still failing"),
            ("", count(&[Change::Fixed]), "fixed"),
            ("", count(&[Change::Gone]), "failing then and skipped now"),
        ];
        let parts: Vec<_> = parts
            .iter()
            .filter(|(_, count, _)| *count > 0)
            .map(|(open, count, what)| format!("{open}{count} {what}"))
            .collect();
        let told = if parts.is_empty() { "nothing has changed".to_owned() } else { words::list(&parts) };
        format!("Since the last comment{}: {told}.", self.commit())
    }

    fn commit(&self) -> String {
        let is_hash = self.before.commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        let commit = if is_hash { self.before.commit.as_str() } else { "" };
        if commit.is_empty() { String::new() } else { format!(" ({})", parts::commit(commit, None)) }
    }
}

/// An example with its versions: `` `a.yaml` on `v1.34.0` ``.
pub(super) fn named(rows: &[&Row], frame: failure::Frame<'_>) -> String {
    let example = crate::report::markdown::Markdown::code(rows[0].example.as_str());
    format!("{example}{}{}", failure::on(rows, frame), failure::quarantined(rows[0]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Run, sample};

    fn on(example: &str, outcome: Outcome) -> Row {
        let mut row = sample::slow(example, "v1.34.0");
        row.outcome = outcome;
        row
    }

    fn report(rows: Vec<Row>) -> Report {
        Report::new(Run::default(), vec![], vec![], rows, &[])
    }

    #[test]
    fn a_failure_is_new_or_not_and_what_passes_again_is_fixed() {
        use Outcome::{Errored, Failed, Flaky, Passed, Skipped, TimedOut};
        let table = [
            (Some(Passed), Failed, Some(Change::Newly)),
            (Some(Flaky), TimedOut, Some(Change::Newly)),
            (Some(Failed), Errored, Some(Change::Still)),
            (Some(Failed), Passed, Some(Change::Fixed)),
            (Some(TimedOut), Flaky, Some(Change::Fixed)),
            (Some(Failed), Skipped, Some(Change::Gone)),
            (Some(Skipped), Failed, Some(Change::First)),
            (Some(Passed), Skipped, None),
            (Some(Passed), Flaky, None),
            (None, Failed, Some(Change::First)),
            (None, Passed, None),
        ];
        let rows = |now: bool| {
            let named = table
                .iter()
                .enumerate()
                .map(|(index, (was, is, _))| (format!("{index:02}.yaml"), if now { Some(*is) } else { *was }));
            named.filter_map(|(name, outcome)| Some(on(&name, outcome?))).collect::<Vec<_>>()
        };
        let before = State::of(&report(rows(false)), "0123456789abcdef");
        let report = report(rows(true));
        let changes = Changes::since(&before, &report).unwrap();
        let found: Vec<_> = report.results.iter().map(|row| changes.of(row)).collect();
        assert_eq!(found, table.map(|(.., change)| change));
        assert_eq!(
            changes.sentence(),
            "Since the last comment (`0123456789ab`): **2 newly failing**, **2 failing that had not been judged**, 1 \
             still failing, 2 fixed and 1 failing then and skipped now."
        );
        let details = crate::report::Details::default();
        let frame = failure::Frame::new(&report, &details, None, Some(&changes));
        let fixed: Vec<_> = changes.fixed().iter().map(|rows| named(rows, frame)).collect();
        assert_eq!(fixed, ["`03.yaml` on `v1.34.0`", "`04.yaml` on `v1.34.0`"]);
    }

    #[test]
    fn a_simulated_run_is_not_compared_with_a_real_one() {
        let before = State::of(&report(vec![on("a", Outcome::Passed)]), "x");
        let run = Run { simulated: true, ..Run::default() };
        let simulated = Report::new(run, vec![], vec![], vec![on("a", Outcome::Failed)], &[]);
        assert!(Changes::since(&before, &simulated).is_none());
    }

    #[test]
    fn nothing_new_is_said_too_and_a_forged_commit_is_not_shown() {
        let report = report(vec![on("a", Outcome::Passed)]);
        let before = State::of(&report, "@team");
        let changes = Changes::since(&before, &report).unwrap();
        assert_eq!(changes.sentence(), "Since the last comment: nothing has changed.");
    }
}
