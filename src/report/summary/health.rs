//! How examples have been doing, in words and cells.

use jiff::Timestamp;

use super::parts;
use crate::model::Outcome;
use crate::report::comment::About;
use crate::report::markdown::Markdown;
use crate::report::{Health, Report, Row, words};

/// Most frameworks that are named.
const FRAMEWORKS: usize = 6;
/// Most characters of a framework's name.
const NAME: usize = 40;
/// From one flaky run of so many on it is told of an example that failed for good.
const FLAKY: usize = 10;

/// Whether any example has a score; where none has, nothing is shown of them.
pub(in crate::report) fn is_known(rows: &[Row]) -> bool {
    rows.iter().any(|row| row.health.as_ref().is_some_and(|health| health.score.is_some()))
}

/// The health of an example, that of its worst version: `92 ↗`, `–` while it is unknown.
pub(in crate::report) fn cell(rows: &[Row]) -> String {
    let health = rows.iter().filter_map(|row| row.health.as_ref());
    let worst = health.filter_map(|health| Some((health.score?, health))).min_by_key(|(score, _)| *score);
    worst.map_or_else(|| "–".to_owned(), |(score, health)| format!("{score}{}", arrow(&health.trend)))
}

fn arrow(trend: &str) -> &'static str {
    match trend {
        "improving" => " ↗",
        "declining" => " ↘",
        "steady" => " →",
        _ => "",
    }
}

/// The health of the repository, and of its frameworks where there are several, the worst first; empty while it is unknown.
pub(in crate::report) fn sentence(report: &Report) -> String {
    let Some((health, score)) = report.health.as_ref().and_then(|health| Some((health, health.score?))) else {
        return String::new();
    };
    let mut frameworks: Vec<_> =
        health.frameworks.iter().filter_map(|group| Some((group.score?, &group.name))).collect();
    frameworks.sort_unstable();
    let named = frameworks.iter().take(FRAMEWORKS).map(|(score, name)| {
        let name: String = name.chars().take(NAME).collect();
        format!("{} {score}", Markdown::code(&name))
    });
    let mut told: Vec<_> = named.filter(|_| frameworks.len() > 1).collect();
    if !told.is_empty() && frameworks.len() > FRAMEWORKS {
        told.push(format!(
            "{} at {} or more",
            words::plural(frameworks.len() - FRAMEWORKS, "other"),
            frameworks[FRAMEWORKS].0
        ));
    }
    if health.unknown > 0 {
        let unknown = words::plural(usize::try_from(health.unknown).unwrap_or(usize::MAX), "example");
        told.push(format!("of {unknown} too little is known"));
    }
    let told = if told.is_empty() { String::new() } else { format!(" · {}", told.join(", ")) };
    format!("Health: **{score}**{}{told}", arrow(&health.trend))
}

/// The examples that passed and took much longer than they used to, the worst first.
pub(in crate::report) fn slower(rows: &[Row]) -> Vec<&Row> {
    let slow = rows.iter().filter(|row| !row.is_bad() && row.outcome != Outcome::Flaky);
    let mut slow: Vec<_> = slow.filter_map(|row| Some((row.is_slower()?, row))).collect();
    slow.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    slow.into_iter().map(|(_, row)| row).collect()
}

/// How long it took, if that is much longer than it used to; else empty.
pub(in crate::report) fn pace(row: &Row) -> String {
    let Some(times) = row.is_slower() else { return String::new() };
    format!("{times:.1}x slower than its median ({})", words::duration(row.attempt_ms()))
}

/// How often it was flaky of late, if that is worth a word; else empty.
pub(in crate::report) fn flakiness(row: &Row, report: &Report) -> String {
    let Some(health) = &row.health else { return String::new() };
    let own = (!report.run.simulated).then_some(row.outcome);
    let outcomes = health.past.iter().map(|past| past.outcome).chain(own);
    // As in the rates: the others say nothing of it.
    let outcomes: Vec<_> = outcomes.filter(|outcome| !matches!(outcome, Outcome::Skipped | Outcome::Errored)).collect();
    let (flaky, all) = (outcomes.iter().filter(|outcome| **outcome == Outcome::Flaky).count(), outcomes.len());
    let is_seldom = row.is_bad() && flaky * FLAKY < all;
    if flaky == 0 || all < 2 || is_seldom {
        return String::new();
    }
    format!("flaky in {flaky} of its last {all} runs")
}

/// What there is to say of the course of a row that is not good: since when, how slow, how flaky. Plain text.
pub(in crate::report) fn history(row: &Row, report: &Report) -> String {
    let short = |commit: &str| commit.chars().take(parts::COMMIT).collect::<String>();
    let good = |commit: &str| if commit.is_empty() { String::new() } else { format!("last good {}", short(commit)) };
    let since = since(row, report).map(|since| match since {
        Since::ThisChange(last) => joined([THIS_CHANGE.to_owned(), good(last)], "; "),
        Since::Commit(commit, runs, last) => {
            joined([format!("broken since {} ({runs})", short(commit)), good(last)], ", ")
        }
        Since::Time(at, runs, last) => joined([format!("broken since {at} ({runs})"), good(last)], ", "),
        Since::Good(commit, runs, why) => format!("broken on {} ({runs}), {why}", short(commit)),
    });
    joined(since.into_iter().chain([pace(row), flakiness(row, report)]), "; ")
}

fn joined(texts: impl IntoIterator<Item = String>, between: &str) -> String {
    texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(between)
}

/// The same with links to the commits.
pub(in crate::report) fn linked_history(row: &Row, report: &Report, about: Option<&About>) -> Markdown {
    let linked = |commit: &str| if commit.is_empty() { Markdown::default() } else { parts::commit(commit, about) };
    let in_runs = |runs: &str| Markdown::text(&format!("({runs})"));
    let since = since(row, report).map_or_else(Markdown::default, |since| match since {
        Since::ThisChange(good) => Markdown::text(THIS_CHANGE).and("; last good ", &linked(good)),
        Since::Commit(commit, runs, good) => {
            let since = Markdown::text("broken since").and(" ", &linked(commit));
            since.and(" ", &in_runs(&runs)).and(", last good ", &linked(good))
        }
        Since::Time(at, runs, good) => {
            Markdown::text(&format!("broken since {at}")).and(" ", &in_runs(&runs)).and(", last good ", &linked(good))
        }
        Since::Good(commit, runs, why) => {
            let on = Markdown::text("broken on").and(" ", &linked(commit));
            on.and(" ", &in_runs(&runs)).and(", ", &Markdown::text(why))
        }
    });
    since.and("; ", &Markdown::text(&pace(row))).and("; ", &Markdown::text(&flakiness(row, report)))
}

const THIS_CHANGE: &str = "broken by this change";
const GOOD_BEFORE: &str = "on which it passed before";
const NO_CHANGE: &str = "on which it passed before: no change to this repository broke it";

/// Since when it is broken, in how many runs, with the last good commit.
enum Since<'a> {
    /// Since the change that was judged.
    ThisChange(&'a str),
    Commit(&'a str, String, &'a str),
    /// Since a moment, in words, where no commit is known.
    Time(String, String, &'a str),
    /// On the last good commit itself, and what that says.
    Good(&'a str, String, &'static str),
}

fn since<'a>(row: &'a Row, report: &Report) -> Option<Since<'a>> {
    let first = row.health.as_ref().and_then(|health: &Health| health.first_bad.as_ref())?;
    if first.is_this_run(report) {
        return Some(Since::ThisChange(&first.last_good));
    }
    let runs = words::plural(usize::try_from(first.runs).unwrap_or(usize::MAX), "run");
    if first.commit.is_empty() {
        let at: Timestamp = first.at.parse().ok()?;
        return Some(Since::Time(at.strftime("%Y-%m-%d %H:%M UTC").to_string(), runs, &first.last_good));
    }
    if first.is_on_good_commit() {
        // On a person's machine files may be there that are in no commit.
        let why = if report.run.repository.is_empty() { GOOD_BEFORE } else { NO_CHANGE };
        return Some(Since::Good(&first.commit, runs, why));
    }
    Some(Since::Commit(&first.commit, runs, &first.last_good))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{FirstBad, Group, Overall, Past, sample};

    fn health(score: u8, trend: &str) -> Health {
        Health { score: Some(score), trend: trend.to_owned(), ..Health::default() }
    }

    fn row(version: &str, health: Option<Health>) -> Row {
        Row { health, ..sample::slow("a.yaml", version) }
    }

    #[test]
    fn the_worst_version_is_shown_and_what_is_unknown_says_so() {
        let rows = [row("v1.33.4", Some(health(92, "improving"))), row("v1.34.0", Some(health(41, "declining")))];
        assert_eq!((cell(&rows).as_str(), cell(&rows[..1]).as_str(), is_known(&rows)), ("41 ↘", "92 ↗", true));
        let rows = [row("v1.33.4", Some(Health::default())), row("v1.34.0", None)];
        assert_eq!((cell(&rows).as_str(), is_known(&rows)), ("–", false));
        assert_eq!(cell(&[row("v1", Some(health(7, "<script>")))]), "7");
    }

    #[test]
    fn the_repository_is_told_with_its_frameworks() {
        let group = |name: &str, score| Group { name: name.to_owned(), score, examples: 1 };
        let mut report = sample::report();
        let told = |frameworks, report: &mut Report| {
            report.health = Some(Overall {
                score: Some(87),
                trend: "steady".to_owned(),
                unknown: 2,
                frameworks,
                ..Overall::default()
            });
            sentence(report)
        };
        assert_eq!(
            told(vec![group("pytorchjob", Some(92)), group("a|b@x", Some(70)), group("new", None)], &mut report),
            "Health: **87** → · `a|b@x` 70, `pytorchjob` 92, of 2 examples too little is known"
        );
        assert_eq!(
            told(vec![group("job", Some(87))], &mut report),
            "Health: **87** → · of 2 examples too little is known"
        );
        let many = (0..9_u8).map(|index| group(&format!("f{index}"), Some(80 + index))).collect();
        assert!(told(many, &mut report).contains("`f5` 85, 3 others at 86 or more, "), "{}", sentence(&report));
        report.health = None;
        assert_eq!(sentence(&report), "");
    }

    #[test]
    fn the_course_of_a_failure_is_told_with_links() {
        let report = sample::report();
        let mut row = row("v1.34.0", None);
        assert_eq!(history(&row, &report), "");
        let first_bad =
            FirstBad { commit: "abc1234".to_owned(), last_good: "def5678".to_owned(), runs: 3, ..FirstBad::default() };
        let past = |outcome| Past { at: String::new(), commit: String::new(), outcome, duration_ms: 1 };
        row.health = Some(Health {
            first_bad: Some(first_bad),
            slowdown: Some(2.4),
            flake_rate: Some(0.99),
            past: [Outcome::Flaky, Outcome::Errored, Outcome::Passed, Outcome::Skipped, Outcome::Failed]
                .map(past)
                .into(),
            ..Health::default()
        });
        row.duration_ms = 1_440_000;
        row.attempts = vec![row.attempts.remove(0); 2];
        let rest = "2.4x slower than its median (12 min 0 s); flaky in 1 of its last 4 runs";
        assert_eq!(history(&row, &report), format!("broken since abc1234 (3 runs), last good def5678; {rest}"));
        let about = About { server_url: "https://h".to_owned(), repository: "o/r".to_owned(), ..About::default() };
        assert_eq!(
            linked_history(&row, &report, Some(&about)).to_string(),
            format!(
                "broken since [`abc1234`](<https://h/o/r/commit/abc1234>) (3 runs), last good \
                 [`def5678`](<https://h/o/r/commit/def5678>); {rest}"
            )
        );
    }

    #[test]
    fn what_a_pull_request_broke_is_its_own_and_not_a_commit_that_is_in_no_log() {
        let mut report = sample::report();
        let row = |commit: &str, runs| {
            let commit = commit.to_owned();
            let first_bad = FirstBad { commit, last_good: "def5678".to_owned(), runs, ..FirstBad::default() };
            row("v1.34.0", Some(Health { first_bad: Some(first_bad), ..Health::default() }))
        };
        let own = row(&report.run.commit, 1);
        let told = |row: &Row, report: &Report| (history(row, report), linked_history(row, report, None).to_string());
        let by_change = "broken by this change; last good";
        assert_eq!(told(&own, &report), (format!("{by_change} def5678"), format!("{by_change} `def5678`")));
        // The default branch broke it: the first run there was bad already, or this one says nothing.
        assert_eq!(history(&row("abc1234", 1), &report), "broken since abc1234 (1 run), last good def5678");
        assert_eq!(history(&row("abc1234", 2), &report), "broken since abc1234 (2 runs), last good def5678");
        (report.run.pull_request, report.run.event) = (None, "pull_request_target".to_owned());
        assert!(history(&own, &report).starts_with(by_change));
        report.run.event = "push".to_owned();
        assert_eq!(history(&own, &report), "broken since 0123456789ab (1 run), last good def5678");
        report.run.event = "merge_group".to_owned();
        assert!(history(&own, &report).starts_with(by_change));
    }

    #[test]
    fn a_run_without_a_commit_is_told_by_its_time() {
        let told = |at: &str| {
            let first_bad = FirstBad { at: at.to_owned(), runs: 1, ..FirstBad::default() };
            let row = row("v1.34.0", Some(Health { first_bad: Some(first_bad), ..Health::default() }));
            let about = About { server_url: "https://h".to_owned(), repository: "o/r".to_owned(), ..About::default() };
            let report = sample::report();
            (history(&row, &report), linked_history(&row, &report, Some(&about)).to_string())
        };
        let expected = "broken since 2026-11-28 20:09 UTC (1 run)";
        assert_eq!(told("2026-11-28T20:09:12.5Z"), (expected.to_owned(), expected.to_owned()));
        assert_eq!(told("<script>"), (String::new(), String::new()));
    }

    #[test]
    fn what_broke_on_a_commit_on_which_it_passed_is_no_commit_s_fault() {
        let mut report = sample::report();
        let [commit, last_good] = ["abc1234", "abc1234"].map(str::to_owned);
        let first_bad = FirstBad { commit, last_good, runs: 3, ..FirstBad::default() };
        let row = row("v1.34.0", Some(Health { first_bad: Some(first_bad), ..Health::default() }));
        report.run.repository = "o/r".to_owned();
        let rest = "(3 runs), on which it passed before: no change to this repository broke it";
        assert_eq!(history(&row, &report), format!("broken on abc1234 {rest}"));
        assert_eq!(linked_history(&row, &report, None).to_string(), format!("broken on `abc1234` {rest}"));
        report.run.repository.clear();
        assert_eq!(history(&row, &report), "broken on abc1234 (3 runs), on which it passed before");
    }

    #[test]
    fn how_often_it_is_flaky_is_counted_in_runs() {
        let told = |past: &[Outcome], now, simulated| {
            let past = past.iter().map(|outcome| Past {
                at: String::new(),
                commit: String::new(),
                outcome: *outcome,
                duration_ms: 1,
            });
            let health = Health { past: past.collect(), flake_rate: Some(0.07), ..Health::default() };
            let mut report = sample::report();
            report.run.simulated = simulated;
            flakiness(&Row { outcome: now, ..row("v1", Some(health)) }, &report)
        };
        let mut fifty = [Outcome::Passed; 50];
        assert_eq!(told(&fifty, Outcome::Flaky, false), "flaky in 1 of its last 51 runs");
        assert_eq!(told(&fifty, Outcome::Flaky, true), "");
        fifty[9] = Outcome::Flaky;
        assert_eq!(told(&fifty, Outcome::Failed, false), "", "too seldom to explain a failure");
        assert_eq!(told(&[Outcome::Errored], Outcome::Flaky, false), "");
    }

    #[test]
    fn only_what_is_slower_by_seconds_is_told() {
        let slow = |duration_ms, slowdown| {
            let health = Health { slowdown: Some(slowdown), ..Health::default() };
            Row { outcome: Outcome::Passed, duration_ms, attempts: vec![], health: Some(health), ..row("v1", None) }
        };
        let rows = [slow(60_000, 1.9), slow(900, 9.0), slow(60_000, 2.0), slow(60_000, f64::NAN), slow(600_000, 3.0)];
        let told: Vec<_> = slower(&rows).into_iter().map(pace).collect();
        assert_eq!(told, ["3.0x slower than its median (10 min 0 s)", "2.0x slower than its median (1 min 0 s)"]);
    }
}
