//! What changed: against the default branch, as far as a history tells of it, and since the run that wrote the last comment.

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

/// How a report differs from the default branch, if there is a history, else from the state of the run before.
pub(in crate::report) struct Changes<'a> {
    before: Option<&'a State>,
    is_based: bool,
    report: &'a Report,
}

impl<'a> Changes<'a> {
    /// The changes; `None` where there is nothing to compare with. A simulated run and a real one say nothing about each other.
    pub(in crate::report) fn since(before: Option<&'a State>, report: &'a Report) -> Option<Self> {
        let before = before.filter(|before| before.simulated == report.run.simulated);
        let is_based = !report.run.simulated && report.results.iter().any(|row| row.health.is_some());
        (is_based || before.is_some()).then_some(Self { before, is_based, report })
    }

    /// How the cell of a row changed; `None` if it did not, or if that is not known.
    pub(in crate::report) fn of(&self, row: &Row) -> Option<Change> {
        if self.is_based { against_base(row) } else { self.since_before(row) }
    }

    fn since_before(&self, row: &Row) -> Option<Change> {
        match (self.before?.was(row), row.outcome) {
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
        match self.before?.was(row) {
            Was::Known(was, cause) if is_bad(was) && row.is_bad() && !cause.is_empty() && !now.starts_with(cause) => {
                Some(cause)
            }
            _ => None,
        }
    }

    /// What was bad and is good, by example.
    pub(super) fn fixed(&self) -> Vec<Vec<&'a Row>> {
        let fixed = self.report.results.iter().filter(|row| self.of(row) == Some(Change::Fixed));
        let mut groups: Vec<Vec<&Row>> = Vec::new();
        for row in fixed {
            match groups.last_mut() {
                Some(group) if group[0].example == row.example => group.push(row),
                _ => groups.push(vec![row]),
            }
        }
        groups
    }

    /// What is to be said of failures that are none of this change's.
    pub(in crate::report) fn old_mark(&self, alike: &[&Row]) -> &'static str {
        let is_old =
            self.is_based && self.is_of_change() && alike.iter().all(|row| self.of(row) == Some(Change::Still));
        if is_old { " · on the default branch, too" } else { "" }
    }

    /// The changes in one line, counted by example: against the default branch first, then since the last comment, where what
    /// goes on failing is not told again.
    pub(in crate::report) fn sentence(&self) -> String {
        let base = self.is_based.then(|| {
            let than = if self.is_of_change() { "Against the default branch" } else { "Since the run before" };
            format!("{than}: {}.", self.told(against_base, true))
        });
        let since = self.before.map(|before| {
            let told = self.told(|row| self.since_before(row), !self.is_based);
            format!("Since the last comment{}: {told}.", commit(before))
        });
        base.into_iter().chain(since).collect::<Vec<_>>().join(" ")
    }

    /// How many examples changed in which way, the first time that it is told in full.
    fn told(&self, of: impl Fn(&Row) -> Option<Change>, in_full: bool) -> String {
        let rows = &self.report.results;
        let changes: Vec<_> = rows.iter().filter_map(|row| Some((of(row)?, &row.example))).collect();
        let count = |wanted: Change| {
            let examples = changes.iter().filter(|(change, _)| *change == wanted).map(|(_, example)| *example);
            examples.collect::<BTreeSet<_>>().len()
        };
        let parts = [
            (in_full, count(Change::Newly), "newly failing"),
            (in_full, count(Change::First), "failing that had not been judged"),
            (false, if in_full { count(Change::Still) } else { 0 }, "still failing"),
            (false, count(Change::Fixed), "fixed"),
            (false, count(Change::Gone), "failing then and skipped now"),
        ];
        let part = |(is_bold, count, what): &(bool, usize, &str)| {
            let bold = if *is_bold { "**" } else { "" };
            (*count > 0).then(|| format!("{bold}{count} {what}{bold}"))
        };
        let parts: Vec<_> = parts.iter().filter_map(part).collect();
        if parts.is_empty() { "nothing has changed".to_owned() } else { words::list(&parts) }
    }

    /// Whether it is a change that was judged, and not the default branch itself.
    fn is_of_change(&self) -> bool {
        self.report.run.pull_request.is_some()
    }
}

/// How the cell of a row differs from the default branch, as its history tells; what was not judged now says nothing.
fn against_base(row: &Row) -> Option<Change> {
    let was = row.health.as_ref()?.before();
    match (was.map(is_bad), row.is_bad()) {
        _ if row.outcome == Outcome::Skipped => None,
        (Some(true), true) => Some(Change::Still),
        (Some(true), false) => Some(Change::Fixed),
        (Some(false), true) => Some(Change::Newly),
        (None, true) => Some(Change::First),
        (_, false) => None,
    }
}

/// The commit of the last comment.
fn commit(before: &State) -> String {
    let is_hash = before.commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let commit = if is_hash { before.commit.as_str() } else { "" };
    if commit.is_empty() { String::new() } else { format!(" ({})", parts::commit(commit, None)) }
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
        let changes = Changes::since(Some(&before), &report).unwrap();
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

    fn with_past(example: &str, past: &[Outcome], outcome: Outcome) -> Row {
        let past = past.iter().map(|outcome| crate::report::Past {
            at: "2026-11-23T20:00:00Z".to_owned(),
            commit: "c".to_owned(),
            outcome: *outcome,
            duration_ms: 1,
        });
        let health = crate::report::Health { past: past.collect(), ..crate::report::Health::default() };
        Row { health: Some(health), ..on(example, outcome) }
    }

    #[test]
    fn with_a_history_the_default_branch_comes_first_and_nothing_is_told_twice() {
        use Outcome::{Errored, Failed, Flaky, Passed, Skipped, TimedOut};
        let table = [
            (&[Failed, Passed][..], Failed, Some(Change::Newly)),
            (&[Flaky, Errored, Skipped], TimedOut, Some(Change::Newly)),
            (&[Passed, Failed], Failed, Some(Change::Still)),
            (&[TimedOut], Passed, Some(Change::Fixed)),
            (&[Failed], Skipped, None),
            (&[Errored], Failed, Some(Change::First)),
            (&[Passed], Flaky, None),
        ];
        let rows = table.iter().enumerate();
        let rows = rows.map(|(index, (past, now, _))| with_past(&format!("{index}.yaml"), past, *now)).collect();
        let mut report = report(rows);
        let changes = Changes::since(None, &report).unwrap();
        assert_eq!(
            report.results.iter().map(|row| changes.of(row)).collect::<Vec<_>>(),
            table.map(|(.., change)| change)
        );
        let base = "**2 newly failing**, **1 failing that had not been judged**, 1 still failing and 1 fixed.";
        assert_eq!(changes.sentence(), format!("Since the run before: {base}"));
        assert_eq!(changes.old_mark(&[&report.results[2]]), "");

        report.run.pull_request = Some(12);
        let before = State::of(&report, "0123456789abcdef");
        let changes = Changes::since(Some(&before), &report).unwrap();
        assert_eq!(
            changes.sentence(),
            format!("Against the default branch: {base} Since the last comment (`0123456789ab`): nothing has changed.")
        );
        let marks = [&report.results[0], &report.results[2]].map(|row| changes.old_mark(&[row]));
        assert_eq!(marks, ["", " · on the default branch, too"]);

        report.run.simulated = true;
        assert!(Changes::since(None, &report).is_none());
    }

    #[test]
    fn a_simulated_run_is_not_compared_with_a_real_one() {
        let before = State::of(&report(vec![on("a", Outcome::Passed)]), "x");
        let run = Run { simulated: true, ..Run::default() };
        let simulated = Report::new(run, vec![], vec![], vec![on("a", Outcome::Failed)], &[]);
        assert!(Changes::since(Some(&before), &simulated).is_none());
    }

    #[test]
    fn nothing_new_is_said_too_and_a_forged_commit_is_not_shown() {
        let report = report(vec![on("a", Outcome::Passed)]);
        let before = State::of(&report, "@team");
        let changes = Changes::since(Some(&before), &report).unwrap();
        assert_eq!(changes.sentence(), "Since the last comment: nothing has changed.");
    }
}
