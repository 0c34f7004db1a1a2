//! What became of an example on one version, and why: cause, attempts, resources, log, checks, history, health.

use askama::Template;

use super::Told;
use super::chart::{phases, ring, spark};
use super::example::Example;
use super::fit::Level;
use super::grid::version;
use super::look;
use super::text::{Html, Link, Text};
use super::usage;
use crate::model::Outcome;
use crate::report::comment::Artifact;
use crate::report::details::{cause_name, facts, place};
use crate::report::{Health, PAST, Row, words};

/// Most attempts and checks that are shown, and most parts of a score.
const ATTEMPTS: usize = 10;
const CHECKS: usize = 24;
const PARTS: usize = 12;
/// Lines of a log where space is short.
const FEW_LINES: usize = 6;
/// Characters of a cause where space is short.
const FEW_CHARACTERS: usize = 300;

#[derive(Template)]
#[template(path = "report_cell.html")]
struct Cell {
    letter: &'static str,
    anchor: String,
    open: bool,
    version: Text,
    outcome: &'static str,
    quarantined: bool,
    took: String,
    cause: Option<Cause>,
    reason: Text,
    facts: Vec<Fact>,
    attempts: Vec<Try>,
    log: Option<(Text, Text)>,
    checks: Vec<Check>,
    more_checks: usize,
    usage: Option<usage::Usage>,
    health: Option<Score>,
}

struct Cause {
    name: Text,
    message: Text,
    hint: Text,
}

struct Fact {
    label: &'static str,
    is_code: bool,
    link: Link,
}

struct Try {
    number: usize,
    letter: &'static str,
    outcome: &'static str,
    took: String,
    namespace: Text,
    chart: Html,
}

struct Check {
    name: Text,
    outcome: Text,
    letter: &'static str,
    message: Text,
    value: Option<String>,
}

struct Score {
    ring: Html,
    trend: Option<(&'static str, &'static str)>,
    rates: Vec<String>,
    parts: Vec<Part>,
    durations: Html,
    /// How many runs these are, and whether this one is among them.
    runs: usize,
    has_now: bool,
}

struct Part {
    name: Text,
    points: String,
    why: Text,
    chart: Html,
}

impl Cell {
    /// Whether there is nothing to unfold.
    fn is_flat(&self) -> bool {
        self.cause.is_none()
            && self.facts.is_empty()
            && self.attempts.is_empty()
            && self.log.is_none()
            && self.checks.is_empty()
            && self.usage.is_none()
            && self.health.is_none()
    }
}

/// A row at this level of detail.
pub(super) fn cell(example: &Example<'_>, row: &Row, told: Told<'_>, level: Level) -> Result<Html, askama::Error> {
    let rich = level > Level::Bare;
    let cell = Cell {
        letter: look::letter(row.outcome),
        anchor: example.anchor_of(row),
        open: row.is_bad() || row.outcome == Outcome::Flaky || example.rows.len() == 1,
        version: version(row.kubernetes.as_deref()),
        outcome: words::past(row.outcome),
        quarantined: row.quarantined && row.is_bad(),
        took: words::duration(row.duration_ms),
        cause: cause(row, level),
        reason: Text::clipped(&row.reason, FEW_CHARACTERS),
        facts: if rich || (row.is_bad() && level == Level::Bare) { told_facts(row, told) } else { Vec::new() },
        attempts: if rich { attempts(row) } else { Vec::new() },
        log: log(row, level),
        more_checks: row.checks.len().saturating_sub(CHECKS),
        checks: if rich { row.checks.iter().take(CHECKS).map(check).collect() } else { Vec::new() },
        usage: row.resources.as_ref().filter(|_| rich).and_then(|resources| usage::usage(resources, level)),
        health: row.health.as_ref().filter(|_| rich).map(|health| score(example.now(row), health, level)),
    };
    Ok(Html::made(cell.render()?))
}

fn cause(row: &Row, level: Level) -> Option<Cause> {
    let cause = row.cause.as_ref()?;
    let shown = |text: &str| match level {
        Level::Named | Level::Bare => Text::clipped(text, FEW_CHARACTERS),
        _ => Text::new(text),
    };
    Some(Cause { name: Text::new(&cause_name(row)), message: shown(&cause.message), hint: shown(&cause.hint) })
}

/// Where to look.
fn told_facts(row: &Row, told: Told<'_>) -> Vec<Fact> {
    let mut shown = Vec::new();
    let mut add = |label, is_code, link: Link| {
        if !link.text.is_empty() {
            shown.push(Fact { label, is_code, link });
        }
    };
    if let Some(cause) = &row.cause {
        add("Object", true, Link::new(&cause.object, ""));
        let at = if cause.file.is_empty() { String::new() } else { place(&cause.file, cause.line) };
        add("At", true, Link::new(&at, &told.about.file_url(&cause.file, cause.line)));
    }
    for fact in facts(row, told.report, false).iter().filter(|fact| fact.label == "versions") {
        add("Versions", false, Link::new(&fact.text, ""));
    }
    if let Some(bad) = row.health.as_ref().and_then(|health| health.first_bad.as_ref()) {
        // The commit of a pull request's run is a merge that nobody made.
        if bad.is_this_run(told.report) {
            add("First bad", false, Link::new("with this change", ""));
        } else {
            let commit: String = bad.commit.chars().take(12).collect();
            add("First bad commit", true, Link::new(&commit, &told.about.commit_url(&bad.commit)));
            let since = format!("{}, bad in {} in a row", look::day(&bad.at), words::plural(bad.runs as usize, "run"));
            add("Since", false, Link::new(&since, ""));
        }
        let good: String = bad.last_good.chars().take(12).collect();
        add("Last good commit", true, Link::new(&good, &told.about.commit_url(&bad.last_good)));
    }
    if let Some(evidence) = &row.evidence {
        let artifact = told.about.artifact_of(row).and_then(|Artifact { url, .. }| url.as_deref()).unwrap_or_default();
        // The page lies beside a folder in an artifact, and beside an archive where the run wrote it.
        let beside = if told.about.run.is_some() || !artifact.is_empty() { "evidence/" } else { "evidence.zip: " };
        add("Evidence", true, Link::new(&format!("{beside}{evidence}"), artifact));
    }
    shown
}

fn attempts(row: &Row) -> Vec<Try> {
    let alone = (row.attempts.len() == 1).then_some(row.duration_ms);
    let all = row.attempts.iter().take(ATTEMPTS);
    let length = |attempt| phases::length(attempt).max(alone.unwrap_or(0));
    let whole = all.clone().map(length).max().unwrap_or(0);
    let shown = all.enumerate().map(|(index, attempt)| Try {
        number: index + 1,
        letter: look::letter(attempt.outcome),
        outcome: words::past(attempt.outcome),
        took: words::duration(length(attempt)),
        namespace: Text::new(&attempt.namespace),
        chart: phases::phases(attempt, alone, whole),
    });
    shown.collect()
}

fn log(row: &Row, level: Level) -> Option<(Text, Text)> {
    let mut log = row.log.clone().filter(|_| level > Level::Bare)?;
    if level == Level::Short {
        log.lines.drain(..log.lines.len().saturating_sub(FEW_LINES));
    }
    let (title, lines) = log.shown()?;
    let title = title.strip_prefix("the ").map_or_else(|| title.clone(), |rest| format!("The {rest}"));
    Some((Text::new(&title), Text::lines(lines.iter().map(String::as_str), lines.len())))
}

fn check(check: &crate::report::CheckResult) -> Check {
    Check {
        name: Text::new(&check.check),
        letter: match check.outcome.as_str() {
            "passed" => "p",
            "failed" => "f",
            _ => "y",
        },
        outcome: Text::clipped(&check.outcome, 40),
        message: Text::new(&check.message),
        value: check.value.filter(|value| value.is_finite()).map(|value| value.to_string()),
    }
}

/// `now` is what this run adds to the history.
fn score(now: Option<(Outcome, u64)>, health: &Health, level: Level) -> Score {
    let rate = |rate: Option<f64>, what: &str| rate.map(|rate| format!("{} {what}", look::percent(rate)));
    let slow = health.slowdown.filter(|slow| slow.is_finite() && *slow >= 1.5);
    let rates = [
        rate(health.pass_rate, "pass"),
        rate(health.flake_rate, "flake"),
        slow.map(|slow| format!("{slow:.1}x slower than its median")),
    ];
    let parts = health.parts.iter().take(if level == Level::Full { PARTS } else { 0 });
    let past = &health.past[health.past.len().saturating_sub(PAST)..];
    let is_told = !past.is_empty() && level == Level::Full;
    Score {
        ring: ring::ring(health.score),
        trend: look::trend(&health.trend),
        rates: rates.into_iter().flatten().collect(),
        parts: parts.map(part).collect(),
        durations: if is_told { spark::durations(past, now) } else { Html::default() },
        runs: past.len() + usize::from(now.is_some()),
        has_now: now.is_some(),
    }
}

fn part(part: &crate::report::Part) -> Part {
    let share = if part.of > 0.0 { (part.points / part.of).clamp(0.0, 1.0) } else { 0.0 };
    Part {
        name: Text::clipped(&part.name.replace('-', " "), 40),
        points: format!("{:.0} of {:.0}", part.points, part.of),
        why: Text::new(&part.why),
        chart: super::chart::spark::level(share),
    }
}
