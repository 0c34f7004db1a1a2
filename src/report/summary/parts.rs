//! The sentences of the summary.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Severity;
use crate::diagnostic::render::label;
use crate::model::{Conclusion, Outcome};
use crate::report::comment::about::About;
use crate::report::markdown::Markdown;
use crate::report::{CheckResult, Finding, Report, Row, run_wide, words};

/// Most characters of a message that are shown.
const MAX_MESSAGE: usize = 1_000;
/// How much of a commit's hash is shown.
pub(super) const COMMIT: usize = 12;

/// The run in one line, and an icon for it.
pub(in crate::report) fn verdict(report: &Report) -> (&'static str, String) {
    verdict_of(report, &|version| Markdown::text(version).to_string())
}

/// As [`verdict`], with versions written as `shown` writes them.
pub(in crate::report) fn verdict_of(report: &Report, shown: &dyn Fn(&str) -> String) -> (&'static str, String) {
    let rows = &report.results;
    let all = words::examples(rows);
    let counting = |outcomes: &[Outcome]| {
        let rows = rows.iter().filter(|row| !row.quarantined && outcomes.contains(&row.outcome));
        words::examples(rows)
    };
    let failing = counting(&[Outcome::Failed, Outcome::TimedOut]);
    let of = |count: usize| format!("{count} of {}", words::plural(all, "example"));
    let where_failed = where_failed(rows, shown);
    match report.summary.conclusion {
        Conclusion::Cancelled => ("🚫", format!("Cancelled; until then {} failed{where_failed}", of(failing))),
        Conclusion::Simulated => {
            ("🧪", format!("Simulated, without a real cluster: {} failed{where_failed}", of(failing)))
        }
        Conclusion::Failure if failing == 0 && run_wide::has_failed(&report.clusters) => {
            ("❌", format!("A run-wide check failed; {} passed", of(counting(&[Outcome::Passed, Outcome::Flaky]))))
        }
        Conclusion::Failure if failing == 0 => {
            ("❌", format!("{} did not pass at once", of(counting(&[Outcome::Flaky]))))
        }
        Conclusion::Failure => {
            let errored = counting(&[Outcome::Errored]);
            let besides = if errored > 0 { format!(", {errored} could not be judged") } else { String::new() };
            ("❌", format!("{} failed{where_failed}{besides}", of(failing)))
        }
        Conclusion::Error => ("⚠️", format!("{} could not be judged", of(counting(&[Outcome::Errored])))),
        Conclusion::Success if all == 0 => ("⚠️", "No examples were found".to_owned()),
        Conclusion::Success => {
            let other = rows.iter().filter(|row| !matches!(row.outcome, Outcome::Passed | Outcome::Flaky));
            let other = words::examples(other);
            let text = if other == 0 {
                format!("All {} passed", words::plural(all, "example"))
            } else {
                format!("{} passed", of(all - other))
            };
            ("✅", if all == 1 && other == 0 { "The example passed".to_owned() } else { text })
        }
    }
}

/// What was judged, how many there are of each outcome, and run-wide checks that did not pass.
pub(in crate::report) fn counts(report: &Report) -> String {
    let (scope, counts) = (Markdown::text(&words::scope(report)), words::counts(&report.results));
    format!("{scope}: {counts}.{}", run_wide::paragraphs(report))
}

/// Of several versions those that failures are confined to: `, only on v1.34.0`. Nothing where examples failed on all.
fn where_failed(rows: &[Row], shown: &dyn Fn(&str) -> String) -> String {
    let failed = |row: &&Row| !row.quarantined && matches!(row.outcome, Outcome::Failed | Outcome::TimedOut);
    let failed: BTreeSet<_> = rows.iter().filter(failed).map(|row| row.kubernetes.as_deref()).collect();
    let versions = words::versions(rows);
    let only: Vec<_> = versions.iter().filter(|version| failed.contains(&Some(**version))).collect();
    if only.is_empty() || only.len() == versions.len() || failed.contains(&None) {
        return String::new();
    }
    let only: Vec<_> = only.iter().map(|version| shown(version)).collect();
    format!(", only on {}", words::list(&only))
}

/// What a reader must know besides: at most twenty of them, and 8,000 bytes.
pub(in crate::report) fn notices(about: Option<&About>) -> Vec<Markdown> {
    const MOST: usize = 20;
    const CHARACTERS: usize = 400;
    const BYTES: usize = 8_000;
    let notices = about.map_or(&[][..], |about| &about.notices);
    let mut size = 0;
    let shown =
        notices.iter().take(MOST).map(|notice| Markdown::text(&clip(notice, CHARACTERS)).at_start()).take_while(
            |notice| {
                size += notice.len();
                size <= BYTES
            },
        );
    let mut shown: Vec<_> = shown.collect();
    if shown.len() < notices.len() {
        let more = words::plural(notices.len() - shown.len(), "more notice");
        shown.push(Markdown::text(&format!("and {more}, too long to be shown")));
    }
    shown
}

/// Which commit, pull request and shard, and how long it took.
pub(in crate::report) fn context(report: &Report, about: Option<&About>) -> String {
    let run = &report.run;
    let mut parts = Vec::new();
    let (commit, repository) = (commit(&run.commit, about), Markdown::code(&run.repository));
    match (run.commit.is_empty(), run.repository.is_empty()) {
        (false, false) => parts.push(format!("Commit {commit} of {repository}")),
        (false, true) => parts.push(format!("Commit {commit}")),
        (true, false) => parts.push(format!("Repository {repository}")),
        (true, true) => {}
    }
    parts.extend(run.pull_request.map(|number| format!("pull request {number}")));
    parts.extend(run.shard.as_ref().map(|shard| format!("shard {}", Markdown::code(shard))));
    parts.push(format!("{} s", words::seconds(run.duration_ms)));
    parts.extend(about.map(pages).filter(|pages| !pages.is_empty()));
    parts.join(" · ")
}

/// A commit by the start of its hash, linked if it is known where to.
pub(in crate::report) fn commit(hash: &str, about: Option<&About>) -> Markdown {
    let short: String = hash.chars().take(COMMIT).collect();
    Markdown::link(&Markdown::code(&short), &about.map(|about| about.commit_url(hash)).unwrap_or_default())
}

/// Where the run and the evidence are.
pub(in crate::report) fn pages(about: &About) -> String {
    let run = about.run_url();
    let run = (!run.is_empty()).then(|| Markdown::link(&Markdown::text("the run"), &run).to_string());
    let artifact = about.artifact.as_ref().map(|artifact| format!("artifact {}", artifact.link()));
    run.into_iter().chain(artifact).collect::<Vec<_>>().join(" · ")
}

/// `1 error, 12 warnings and 3 notes in 9 examples`; what is an error, and checks without a result, are told elsewhere of an example that is
/// not good.
pub(in crate::report) fn remarks_title(examples: &[&[Row]]) -> String {
    let of =
        |severity| examples.iter().flat_map(|rows| remarks(rows)).filter(|found| found.severity == severity).count();
    let no_result = examples.iter().flat_map(|rows| undecided(rows)).count();
    let counts = [
        (of(Severity::Error), "error"),
        (of(Severity::Warning), "warning"),
        (of(Severity::Note), "note"),
        (no_result, "inconclusive check"),
    ];
    let counts: Vec<_> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, noun)| words::plural(*count, noun)).collect();
    let has_some = |rows: &&&[Row]| remarks(rows).next().is_some() || undecided(rows).next().is_some();
    let with = examples.iter().filter(has_some).count();
    format!("{} in {}", words::list(&counts), words::plural(with, "example"))
}

/// Every remark with its line, under its example.
pub(in crate::report) fn each_remark(examples: &[&[Row]]) -> Vec<String> {
    let mut lines = Vec::new();
    for rows in examples {
        let undecided = undecided(rows).map(|(row, check)| no_result(row, check));
        let found: Vec<_> = remarks(rows).map(remark).chain(undecided).collect();
        if !found.is_empty() {
            let name = Markdown::code(rows[0].example.as_str());
            lines.push(format!("{name}\n  - {}", found.join("\n  - ")));
        }
    }
    lines
}

/// The remarks, counted by code.
pub(in crate::report) fn remarks_by_code(examples: &[&[Row]]) -> Vec<String> {
    let mut counts: BTreeMap<(Severity, &str), (usize, usize)> = BTreeMap::new();
    for rows in examples {
        let mut here: BTreeMap<(Severity, &str), usize> = BTreeMap::new();
        for finding in remarks(rows) {
            *here.entry((finding.severity, &finding.code)).or_default() += 1;
        }
        for (key, count) in here {
            let total = counts.entry(key).or_default();
            *total = (total.0 + count, total.1 + 1);
        }
    }
    let line = |((severity, code), (count, examples)): ((Severity, &str), (usize, usize))| {
        let (name, examples) = (label(severity, code), words::plural(examples, "example"));
        format!("{}: {count} in {examples}", Markdown::code(&name))
    };
    let mut lines: Vec<_> = counts.into_iter().map(line).collect();
    let checks = examples.iter().flat_map(|rows| undecided(rows)).count();
    if checks > 0 {
        lines.push(words::plural(checks, "inconclusive check"));
    }
    lines
}

/// The remarks on an example; what holds for every version is found in each row, and taken from the first.
fn remarks(rows: &[Row]) -> impl Iterator<Item = &Finding> {
    let is_bad = rows.iter().any(Row::is_bad);
    rows[0].remarks().filter(move |finding| finding.severity != Severity::Error || !is_bad)
}

/// The checks of an example that came to no result, on the versions on which nothing else is wrong.
fn undecided(rows: &[Row]) -> impl Iterator<Item = (&Row, &CheckResult)> {
    let good = rows.iter().filter(|row| !row.is_bad());
    good.flat_map(|row| words::undecided(row).map(move |check| (row, check)))
}

fn no_result(row: &Row, check: &CheckResult) -> String {
    let on = row.kubernetes.as_deref().map(|version| format!(" on {}", Markdown::code(version))).unwrap_or_default();
    let text = format!("{}: {}", check.check, words::first_line(&check.message));
    format!("inconclusive{on}: {}", clipped(&text))
}

fn remark(finding: &Finding) -> String {
    let name = Markdown::code(&label(finding.severity, &finding.code));
    let line = if finding.line > 0 { format!(" line {}", finding.line) } else { String::new() };
    let help = if finding.help.is_empty() { String::new() } else { format!(" ({})", clipped(&finding.help)) };
    format!("{name}{line}: {}{help}", clipped(&finding.message))
}

/// By what the examples were judged, and where to read on.
pub(in crate::report) fn footer(report: &Report) -> String {
    let tool = &report.tool;
    let mut text = format!("{} {}", Markdown::text(&tool.name), Markdown::text(&tool.version));
    if let Some(schemas) = &tool.schemas {
        text.push_str(&format!(
            " · built-in kinds were checked by the schemas of Kubernetes {}",
            Markdown::code(schemas)
        ));
    }
    text + " · `example-validator explain CODE` says more about a code"
}

/// Prose that is not longer than a person would read.
pub(in crate::report) fn clipped(text: &str) -> Markdown {
    Markdown::text(&clip(text, MAX_MESSAGE))
}

fn clip(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{} ...", &text[..end]).into(),
        None => text.into(),
    }
}

/// The sign of an outcome in this report: what passed is green only where that says something.
pub(in crate::report) fn sign(outcome: Outcome, report: &Report) -> &'static str {
    if report.run.simulated && outcome == Outcome::Passed { "🧪" } else { icon(outcome) }
}

pub(in crate::report) fn icon(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "✅",
        Outcome::Failed => "❌",
        Outcome::TimedOut => "⏰",
        Outcome::Flaky => "🔁",
        Outcome::Skipped => "⏭️",
        Outcome::Errored => "⚠️",
    }
}
