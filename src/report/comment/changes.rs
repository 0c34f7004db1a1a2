//! What changed: against the default branch, as far as a history tells of it, and since the run that wrote the last comment.

use std::collections::BTreeSet;

use super::about::About;
use super::state::{State, Was};
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
    /// It was bad, and could not be judged now, or was not to be.
    Gone,
}

/// What an outcome says of the example. What was skipped or could not be judged says nothing of it, then as now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Good,
    Bad,
    Nothing,
}

fn says(outcome: Outcome) -> Says {
    match outcome {
        Outcome::Passed | Outcome::Flaky => Says::Good,
        Outcome::Failed | Outcome::TimedOut => Says::Bad,
        Outcome::Skipped | Outcome::Errored => Says::Nothing,
    }
}

/// What was bad and is good, of one example.
pub(in crate::report) struct Fixed<'a> {
    pub(in crate::report) rows: Vec<&'a Row>,
    /// In comparison with what; empty where there is only one comparison.
    pub(in crate::report) than: String,
}

/// How a report differs from the default branch, if there is a history, else from the state of the run before.
pub(in crate::report) struct Changes<'a> {
    before: Option<&'a State>,
    is_based: bool,
    /// Whether it is a run of the default branch that was judged, and not a change to it.
    is_default_branch: bool,
    report: &'a Report,
}

impl<'a> Changes<'a> {
    /// The changes; `None` where there is nothing to compare with. A simulated run and a real one say nothing about each other.
    /// Without `about` it is taken for a change, unless it was no run on GitHub, which is compared with the one before.
    pub(in crate::report) fn since(
        before: Option<&'a State>,
        report: &'a Report,
        about: Option<&About>,
    ) -> Option<Self> {
        let before = before.filter(|before| before.simulated == report.run.simulated);
        let is_based = !report.run.simulated && report.results.iter().any(|row| row.health.is_some());
        let is_default_branch = match about {
            Some(about) => about.is_default_branch,
            None => report.run.event == "schedule" || report.run.repository.is_empty(),
        };
        let is_default_branch = is_default_branch && report.run.pull_request.is_none();
        (is_based || before.is_some()).then_some(Self { before, is_based, is_default_branch, report })
    }

    /// How the cell of a row changed; `None` if it did not, or if that is not known.
    pub(in crate::report) fn of(&self, row: &Row) -> Option<Change> {
        if self.is_based { against_base(row) } else { self.since_before(row) }
    }

    fn since_before(&self, row: &Row) -> Option<Change> {
        let was = match self.before?.was(row) {
            Was::Known(was, _) => says(was),
            Was::NotBad => Says::Good,
            Was::Absent => return (says(row.outcome) == Says::Bad).then_some(Change::First),
            Was::Unknown => return None,
        };
        match (was, says(row.outcome)) {
            (Says::Good, Says::Bad) => Some(Change::Newly),
            (Says::Bad, Says::Bad) => Some(Change::Still),
            (Says::Bad, Says::Good) => Some(Change::Fixed),
            (Says::Bad, Says::Nothing) => Some(Change::Gone),
            // What was not known then may be known of the default branch.
            (Says::Nothing, Says::Bad) => against_base(row).filter(|change| *change == Change::Newly),
            (Says::Good | Says::Nothing, _) => None,
        }
    }

    /// What the cause was, of a cell that is bad as before but for another reason.
    pub(super) fn other_cause(&self, row: &Row, now: &str) -> Option<&'a str> {
        match self.before?.was(row) {
            Was::Known(was, cause) if !cause.is_empty() && !now.starts_with(cause) => {
                (says(was) == Says::Bad && says(row.outcome) == Says::Bad).then_some(cause)
            }
            _ => None,
        }
    }

    /// What was bad and is good, each example once: on the default branch, or when the last comment was written.
    pub(in crate::report) fn fixed(&self) -> Vec<Fixed<'a>> {
        let is_fixed = |change: Option<Change>| change == Some(Change::Fixed);
        let based = |row: &Row| self.is_based && is_fixed(against_base(row));
        let since = |row: &Row| is_fixed(self.since_before(row));
        let fixed: Vec<_> = self.report.results.iter().filter(|row| based(row) || since(row)).collect();
        let are_two = self.is_based && self.before.is_some();
        let base = if self.is_default_branch { "since the run before" } else { "against the default branch" };
        let than = |rows: &[&Row]| {
            let based = rows.iter().any(|row| based(row)).then_some(base);
            let since = rows.iter().any(|row| since(row)).then_some("since the last comment");
            let both: Vec<_> = based.into_iter().chain(since).filter(|_| are_two).collect();
            words::list(&both)
        };
        let groups = fixed.chunk_by(|a, b| a.example == b.example);
        groups.map(|rows| Fixed { rows: rows.to_vec(), than: than(rows) }).collect()
    }

    /// What is to be said of failures that are none of this change's.
    pub(in crate::report) fn old_mark(&self, alike: &[&Row]) -> &'static str {
        let is_old =
            self.is_based && !self.is_default_branch && alike.iter().all(|row| self.of(row) == Some(Change::Still));
        if is_old { " · on the default branch, too" } else { "" }
    }

    /// The changes in one line, counted by example: against the default branch first, then since the last comment, where what
    /// goes on failing is not told again.
    pub(in crate::report) fn sentence(&self) -> String {
        let base = self.is_based.then(|| {
            let than = if self.is_default_branch { "Since the run before" } else { "Against the default branch" };
            format!("{than}: {}.", self.told(against_base, is_unknown_to_base, true))
        });
        let since = self.before.map(|before| {
            let told = self.told(|row| self.since_before(row), |row| self.is_in_the_dark(row), !self.is_based);
            format!("Since the last comment{}: {told}.", commit(before))
        });
        base.into_iter().chain(since).collect::<Vec<_>>().join(" ")
    }

    /// How many examples changed in which way, the first time that it is told in full. Of what `is_dark` nothing is known.
    fn told(&self, of: impl Fn(&Row) -> Option<Change>, is_dark: impl Fn(&Row) -> bool, in_full: bool) -> String {
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
            (false, count(Change::Gone), "failing then and not judged now"),
        ];
        let part = |(is_bold, count, what): &(bool, usize, &str)| {
            let bold = if *is_bold { "**" } else { "" };
            (*count > 0).then(|| format!("{bold}{count} {what}{bold}"))
        };
        let parts: Vec<_> = parts.iter().filter_map(part).collect();
        match parts.as_slice() {
            [] if rows.iter().any(is_dark) => "nothing is known to have changed".to_owned(),
            [] => "nothing has changed".to_owned(),
            parts => words::list(parts),
        }
    }

    /// Whether it could not be judged, now or when the last comment was written.
    fn is_in_the_dark(&self, row: &Row) -> bool {
        let was = self.before.map(|before| before.was(row));
        row.outcome == Outcome::Errored || matches!(was, Some(Was::Known(Outcome::Errored, _)))
    }
}

/// Whether it could not be judged now, or was judged and never on the default branch.
fn is_unknown_to_base(row: &Row) -> bool {
    let is_known = row.health.as_ref().is_some_and(|health| health.before().is_some());
    row.outcome == Outcome::Errored || (says(row.outcome) != Says::Nothing && !is_known)
}

/// How the cell of a row differs from the default branch, as its history tells.
fn against_base(row: &Row) -> Option<Change> {
    let health = row.health.as_ref()?;
    match (health.before().map(says), says(row.outcome)) {
        (Some(Says::Bad), Says::Bad) => Some(Change::Still),
        (Some(Says::Bad), Says::Good) => Some(Change::Fixed),
        (Some(Says::Good), Says::Bad) => Some(Change::Newly),
        // Where it was tried in vain nothing is known; where it was not, it is new.
        (None, Says::Bad) => health.past.is_empty().then_some(Change::First),
        _ => None,
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

    /// The change of each pair of outcomes, before and now, in the order of `Outcome::ALL`; `-` for none.
    fn pairs(change: impl Fn(Outcome, Outcome) -> Option<Change>) -> String {
        let letter = |was, now| match change(was, now) {
            None => "-",
            Some(Change::Newly) => "new",
            Some(Change::First) => "first",
            Some(Change::Still) => "still",
            Some(Change::Fixed) => "fixed",
            Some(Change::Gone) => "gone",
        };
        let line = |was: &Outcome| {
            let now: Vec<_> = Outcome::ALL.iter().map(|now| format!("{now}: {}", letter(*was, *now))).collect();
            format!("{was} -> {}", now.join(", "))
        };
        Outcome::ALL.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_pair_of_outcomes_since_the_last_comment_has_its_word() {
        let table = pairs(|was, now| {
            let (before, report) = (State::of(&report(vec![on("a", was)]), "x"), report(vec![on("a", now)]));
            Changes::since(Some(&before), &report, None).unwrap().of(&report.results[0])
        });
        insta::assert_snapshot!(table, @"
        passed -> passed: -, failed: new, timed-out: new, flaky: -, skipped: -, errored: -
        failed -> passed: fixed, failed: still, timed-out: still, flaky: fixed, skipped: gone, errored: gone
        timed-out -> passed: fixed, failed: still, timed-out: still, flaky: fixed, skipped: gone, errored: gone
        flaky -> passed: -, failed: new, timed-out: new, flaky: -, skipped: -, errored: -
        skipped -> passed: -, failed: -, timed-out: -, flaky: -, skipped: -, errored: -
        errored -> passed: -, failed: -, timed-out: -, flaky: -, skipped: -, errored: -
        ");
        let absent = State::of(&report(vec![]), "x");
        let first = |now| {
            let report = report(vec![on("a", now)]);
            Changes::since(Some(&absent), &report, None).unwrap().of(&report.results[0])
        };
        let found = Outcome::ALL.iter().map(|now| (*now, first(*now))).filter(|(_, change)| change.is_some());
        let expected = [Outcome::Failed, Outcome::TimedOut].map(|now| (now, Some(Change::First)));
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_pair_of_outcomes_against_the_default_branch_has_its_word() {
        let table = pairs(|was, now| {
            let report = report(vec![with_past("a", &[was], now)]);
            Changes::since(None, &report, None).unwrap().of(&report.results[0])
        });
        insta::assert_snapshot!(table, @"
        passed -> passed: -, failed: new, timed-out: new, flaky: -, skipped: -, errored: -
        failed -> passed: fixed, failed: still, timed-out: still, flaky: fixed, skipped: -, errored: -
        timed-out -> passed: fixed, failed: still, timed-out: still, flaky: fixed, skipped: -, errored: -
        flaky -> passed: -, failed: new, timed-out: new, flaky: -, skipped: -, errored: -
        skipped -> passed: -, failed: -, timed-out: -, flaky: -, skipped: -, errored: -
        errored -> passed: -, failed: -, timed-out: -, flaky: -, skipped: -, errored: -
        ");
    }

    #[test]
    fn what_the_last_run_could_not_tell_the_default_branch_may_know() {
        use Outcome::{Errored, Failed, Passed, Skipped};
        for (was, past, expected) in [
            (Errored, &[Passed][..], Some(Change::Newly)),
            (Skipped, &[Passed, Errored], Some(Change::Newly)),
            (Errored, &[Failed], None),
            (Errored, &[], None),
        ] {
            let before = State::of(&report(vec![on("a", was)]), "x");
            let report = report(vec![with_past("a", past, Failed)]);
            let changes = Changes::since(Some(&before), &report, None).unwrap();
            assert_eq!(changes.since_before(&report.results[0]), expected, "{was} {past:?}");
        }
    }

    #[test]
    fn an_outage_makes_nothing_new_and_its_end_mends_nothing() {
        let all = |outcome| report((0..9).map(|index| on(&format!("{index}.yaml"), outcome)).collect());
        let told = |was: Outcome, now: Outcome| {
            let (before, report) = (State::of(&all(was), ""), all(now));
            Changes::since(Some(&before), &report, None).unwrap().sentence()
        };
        for (was, now) in [
            (Outcome::Passed, Outcome::Errored),
            (Outcome::Errored, Outcome::Passed),
            (Outcome::Errored, Outcome::Failed),
        ] {
            assert_eq!(told(was, now), "Since the last comment: nothing is known to have changed.");
        }
    }

    #[test]
    fn the_changes_are_counted_and_what_was_fixed_is_named() {
        use Outcome::{Errored, Failed, Flaky, Passed, Skipped, TimedOut};
        let table = [
            (Some(Passed), Failed),
            (Some(Flaky), TimedOut),
            (Some(Failed), Failed),
            (Some(Failed), Passed),
            (Some(TimedOut), Flaky),
            (Some(Failed), Skipped),
            (Some(Failed), Errored),
            (Some(Skipped), Failed),
            (None, Failed),
        ];
        let rows = |now: bool| {
            let named = table.iter().enumerate();
            let named =
                named.map(|(index, (was, is))| (format!("{index:02}.yaml"), if now { Some(*is) } else { *was }));
            named.filter_map(|(name, outcome)| Some(on(&name, outcome?))).collect::<Vec<_>>()
        };
        let before = State::of(&report(rows(false)), "0123456789abcdef");
        let report = report(rows(true));
        let changes = Changes::since(Some(&before), &report, None).unwrap();
        assert_eq!(
            changes.sentence(),
            "Since the last comment (`0123456789ab`): **2 newly failing**, **1 failing that had not been judged**, 1 \
             still failing, 2 fixed and 2 failing then and not judged now."
        );
        assert_eq!(named_fixed(&changes, &report), ["`03.yaml` on `v1.34.0`", "`04.yaml` on `v1.34.0`"]);
    }

    fn named_fixed(changes: &Changes<'_>, report: &Report) -> Vec<String> {
        let details = crate::report::Details::default();
        let frame = failure::Frame::new(report, &details, None, Some(changes));
        crate::report::comment::view::fixed(frame)
    }

    #[test]
    fn what_was_fixed_in_either_comparison_is_named_once_and_with_it() {
        use Outcome::{Failed, Passed};
        let rows = |now: bool| {
            [("a", Failed, Passed), ("b", Passed, Failed), ("c", Failed, Failed), ("d", Passed, Passed)]
                .map(|(name, past, was)| with_past(name, &[past], if now { Passed } else { was }))
                .to_vec()
        };
        let before = State::of(&report(rows(false)), "");
        let mut report = report(rows(true));
        report.run.repository = "o/r".to_owned();
        let changes = Changes::since(Some(&before), &report, None).unwrap();
        assert!(changes.sentence().ends_with("2 fixed. Since the last comment: 2 fixed."), "{}", changes.sentence());
        assert_eq!(
            named_fixed(&changes, &report),
            [
                "`a` on `v1.34.0` · against the default branch",
                "`b` on `v1.34.0` · since the last comment",
                "`c` on `v1.34.0` · against the default branch and since the last comment",
            ]
        );
    }

    #[test]
    fn only_a_run_of_the_default_branch_is_compared_with_the_run_before() {
        let mut report = report(vec![with_past("a", &[Outcome::Failed], Outcome::Failed)]);
        report.run.repository = "o/r".to_owned();
        let told = |report: &Report, about: Option<&About>| {
            let changes = Changes::since(None, report, about).unwrap();
            let sentence = changes.sentence();
            (sentence[..sentence.find(':').unwrap()].to_owned(), changes.old_mark(&[&report.results[0]]))
        };
        let base = ("Against the default branch".to_owned(), " · on the default branch, too");
        let before = ("Since the run before".to_owned(), "");
        for event in ["push", "merge_group", "workflow_dispatch"] {
            report.run.event = event.to_owned();
            assert_eq!((told(&report, Some(&About::default())), told(&report, None)), (base.clone(), base.clone()));
        }
        let default_branch = About { is_default_branch: true, ..About::default() };
        assert_eq!(told(&report, Some(&default_branch)), before);
        report.run.event = "schedule".to_owned();
        assert_eq!(told(&report, None), before);
        report.run.pull_request = Some(1);
        assert_eq!(told(&report, Some(&default_branch)), base);
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
            (&[Errored], Failed, None),
            (&[], Failed, Some(Change::First)),
            (&[Passed], Flaky, None),
        ];
        let rows = table.iter().enumerate();
        let rows = rows.map(|(index, (past, now, _))| with_past(&format!("{index}.yaml"), past, *now)).collect();
        let mut report = report(rows);
        let changes = Changes::since(None, &report, None).unwrap();
        assert_eq!(
            report.results.iter().map(|row| changes.of(row)).collect::<Vec<_>>(),
            table.map(|(.., change)| change)
        );
        let base = "**2 newly failing**, **1 failing that had not been judged**, 1 still failing and 1 fixed.";
        assert_eq!(changes.sentence(), format!("Since the run before: {base}"));
        assert_eq!(changes.old_mark(&[&report.results[2]]), "");

        report.run.pull_request = Some(12);
        let before = State::of(&report, "0123456789abcdef");
        let changes = Changes::since(Some(&before), &report, None).unwrap();
        assert_eq!(
            changes.sentence(),
            format!("Against the default branch: {base} Since the last comment (`0123456789ab`): nothing has changed.")
        );
        let marks = [&report.results[0], &report.results[2]].map(|row| changes.old_mark(&[row]));
        assert_eq!(marks, ["", " · on the default branch, too"]);

        report.run.simulated = true;
        assert!(Changes::since(None, &report, None).is_none());
    }

    #[test]
    fn of_what_the_default_branch_never_judged_nothing_is_known_to_have_changed() {
        use Outcome::{Errored, Failed, Passed, Skipped};
        let told = |rows: Vec<Row>| Changes::since(None, &report(rows), None).unwrap().sentence();
        let nothing = "Since the run before: nothing has changed.";
        let unknown = "Since the run before: nothing is known to have changed.";
        assert_eq!(told(vec![with_past("a", &[Passed], Passed), with_past("b", &[], Skipped)]), nothing);
        for (past, now) in [(&[][..], Passed), (&[Errored], Passed), (&[Errored], Failed), (&[Passed], Errored)] {
            assert_eq!(told(vec![with_past("a", &[Passed], Passed), with_past("b", past, now)]), unknown);
        }
    }

    #[test]
    fn a_simulated_run_is_not_compared_with_a_real_one() {
        let before = State::of(&report(vec![on("a", Outcome::Passed)]), "x");
        let run = Run { simulated: true, ..Run::default() };
        let simulated = Report::new(run, vec![], vec![], vec![on("a", Outcome::Failed)], &[]);
        assert!(Changes::since(Some(&before), &simulated, None).is_none());
    }

    #[test]
    fn nothing_new_is_said_too_and_a_forged_commit_is_not_shown() {
        let report = report(vec![on("a", Outcome::Passed)]);
        let before = State::of(&report, "@team");
        let changes = Changes::since(Some(&before), &report, None).unwrap();
        assert_eq!(changes.sentence(), "Since the last comment: nothing has changed.");
    }
}
