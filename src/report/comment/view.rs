//! The pieces of a comment, each as Markdown of its own.

use std::collections::{BTreeMap, HashMap};

use askama::Template;

use super::changes::{Fixed, named};
use super::rest;
use crate::model::Outcome;
use crate::report::details::{cause_name, place};
use crate::report::markdown::Markdown;
use crate::report::summary::failure::{Frame, change_mark, failing, failure, on, quarantined, told};
use crate::report::summary::{health, parts, view};
use crate::report::{Row, words};

/// From how many examples on that failed alike they are told together.
const TOGETHER: usize = 3;
/// Most examples of those that have a line of their own.
const LISTED: usize = 12;

/// The comment as its template has it.
#[derive(Template)]
#[template(path = "comment.md")]
pub(super) struct Comment {
    pub(super) marker: String,
    pub(super) icon: &'static str,
    pub(super) verdict: String,
    pub(super) banner: String,
    pub(super) notices: Vec<Markdown>,
    pub(super) counts: String,
    pub(super) health: String,
    pub(super) changes: String,
    pub(super) sections: Vec<String>,
    pub(super) left_out: String,
    pub(super) footer: String,
    pub(super) state: String,
}

/// One failure, or several examples that failed alike.
#[derive(Template)]
#[template(path = "comment_failure.md")]
struct Failure {
    title: String,
    facts: Vec<(&'static str, Markdown)>,
    folded: Vec<(Markdown, String)>,
    /// What the command does, if it is not plain.
    note: &'static str,
    command: Option<Markdown>,
}

/// What is told under one heading: rows of one example that are alike, or of several examples for the very same cause.
pub(super) struct Entry<'a> {
    pub(super) groups: Vec<Vec<&'a Row>>,
}

/// The failures, what counts and what is new first; flaky ones are not among them.
pub(super) fn entries<'a>(frame: Frame<'a>) -> Vec<Entry<'a>> {
    let groups = failing(&frame.report.results).into_iter().filter(|group| group[0].is_bad());
    let mut entries: Vec<Entry<'a>> = Vec::new();
    let mut known = HashMap::new();
    let groups: Vec<_> = groups.collect();
    let key = |group: &[&'a Row]| {
        let row = group[0];
        let cause = row.cause.as_ref()?;
        let versions: Vec<_> = group.iter().map(|row| row.kubernetes.as_deref()).collect();
        Some((row.outcome, row.quarantined, cause.class, cause.reason.as_str(), cause.message.as_str(), versions))
    };
    let mut counts = HashMap::new();
    for group in &groups {
        *counts.entry(key(group)).or_insert(0) += 1;
    }
    for group in groups {
        let key = key(&group);
        let is_shared = key.is_some() && counts.get(&key).is_some_and(|count| *count >= TOGETHER);
        if let Some(at) = known.get(&key).filter(|_| is_shared) {
            let entry: &mut Entry<'a> = &mut entries[*at];
            entry.groups.push(group);
        } else {
            known.insert(key, entries.len());
            entries.push(Entry { groups: vec![group] });
        }
    }
    let is_new = |entry: &Entry<'_>| entry.groups.iter().any(|group| !change_mark(group, frame.changes).is_empty());
    entries.sort_by_cached_key(|entry| {
        let row = entry.groups[0][0];
        (row.quarantined, row.outcome == Outcome::Errored, !is_new(entry))
    });
    entries
}

/// An entry under its heading.
pub(super) fn entry(entry: &Entry<'_>, frame: Frame<'_>, with_blocks: bool) -> Result<String, askama::Error> {
    let first = &entry.groups[0];
    let shown = failure(first, frame, with_blocks && entry.groups.len() == 1);
    let mut facts = shown.facts;
    if let Some(before) = frame.changes.and_then(|changes| changes.other_cause(first[0], &cause_name(first[0]))) {
        facts.push(("before", Markdown::text(before)));
    }
    let mut folded = Vec::new();
    if let Some(block) = shown.block {
        folded.push((Markdown::html("The lines in question"), block.to_string()));
    }
    if let Some(log) = shown.log {
        folded.push((Markdown::html(&log.title), log.text.to_string()));
    }
    let failure = match entry.groups.len() {
        1 => Failure { title: shown.title, facts, folded, note: "", command: shown.command },
        _ => shared(entry, frame, shown.command),
    };
    failure.render()
}

/// Several examples that failed for the very same cause.
fn shared(entry: &Entry<'_>, frame: Frame<'_>, command: Option<Markdown>) -> Failure {
    let first = &entry.groups[0];
    let row = first[0];
    let count = entry.groups.len();
    let new = entry.groups.iter().filter(|group| !change_mark(group, frame.changes).is_empty()).count();
    let new = if new > 0 { format!(" · 🆕 {new} newly failing") } else { String::new() };
    let mut facts: Vec<_> =
        told(first, frame).into_iter().filter(|(label, _)| matches!(*label, "cause" | "hint")).collect();
    let mut folded = Vec::new();
    if count <= LISTED {
        facts.extend(entry.groups.iter().map(|group| ("example", linked(group[0], frame))));
    } else {
        let mut names: Vec<_> = entry.groups.iter().map(|group| group[0].example.as_str()).collect();
        names.sort_unstable();
        let names: Vec<_> = rest::compact(&names).iter().map(|line| format!("- {line}")).collect();
        folded.push((Markdown::html(&format!("The {count} examples")), names.join("\n")));
    }
    let title = format!(
        "{} {} {}{}{}{new}",
        parts::icon(row.outcome),
        words::plural(count, "example"),
        words::past(row.outcome),
        on(first, frame),
        quarantined(row)
    );
    Failure { title, facts, folded, note: "The first of them again:", command }
}

/// The name of an example, which leads to its file, at the line of its cause if that is in it.
fn linked(row: &Row, frame: Frame<'_>) -> Markdown {
    let line = row.cause.as_ref().filter(|cause| cause.file == row.example.as_str()).map_or(0, |cause| cause.line);
    let address = frame.about.map(|about| about.file_url(row.example.as_str(), line)).unwrap_or_default();
    Markdown::link(&Markdown::code(&place(row.example.as_str(), line)), &address)
}

/// The flaky ones, a line each.
pub(in crate::report) fn flaky(frame: Frame<'_>) -> Vec<String> {
    let groups = failing(&frame.report.results).into_iter().filter(|group| group[0].outcome == Outcome::Flaky);
    let line = |group: Vec<&Row>| {
        let row = group[0];
        let told = told(&group, frame);
        let wanted = |(label, text): &(&'static str, Markdown)| match *label {
            "cause" => Some(text.to_string()),
            "attempts" => Some(format!("({text})")),
            "evidence" => Some(format!("· {text}")),
            _ => None,
        };
        let mut facts: Vec<_> = told.iter().filter_map(wanted).collect();
        let often = health::flakiness(row, frame.report);
        facts.extend((!often.is_empty()).then(|| format!("· {often}")));
        format!("{}{}{}: {}", linked(row, frame), on(&group, frame), quarantined(row), facts.join(" "))
    };
    groups.map(line).collect()
}

/// What was bad before and is not any more, a line each.
pub(in crate::report) fn fixed(frame: Frame<'_>) -> Vec<String> {
    let line = |Fixed { rows, than }: Fixed<'_>| {
        let than = if than.is_empty() { String::new() } else { format!(" · {than}") };
        format!("{}{than}", named(&rows, frame))
    };
    frame.changes.map(|changes| changes.fixed().into_iter().map(line).collect()).unwrap_or_default()
}

/// What passed and took much longer than it used to, a line each.
pub(super) fn slower(frame: Frame<'_>) -> Vec<String> {
    let line = |row| format!("{}{}: {}", linked(row, frame), on(&[row], frame), health::pace(row));
    health::slower(&frame.report.results).into_iter().map(line).collect()
}

/// The examples that are not good on some version, by version, and their health. Empty where there is but one column and no health, which tells nothing more,
/// and where there are more than `most` lines.
pub(super) fn grid(frame: Frame<'_>, most: usize) -> String {
    let rows = &frame.report.results;
    let columns = view::columns(rows);
    let examples = rows.chunk_by(|a, b| a.example == b.example);
    let examples: Vec<_> =
        examples.filter(|rows| rows.iter().any(|row| row.is_bad() || row.outcome == Outcome::Flaky)).collect();
    let has_health = health::is_known(rows);
    if (columns.len() < 2 && !has_health) || examples.is_empty() || examples.len() > most {
        return String::new();
    }
    // A quarantine is mostly that of an example, and told once then.
    let is_spared = |rows: &[Row]| rows.iter().filter(|row| row.is_bad()).all(|row| row.quarantined);
    let cell = |rows: &[Row], column: Option<&str>| {
        let row = rows.iter().find(|row| row.kubernetes.as_deref() == column);
        row.map_or_else(String::new, |row| match row.outcome {
            Outcome::Passed => parts::sign(row.outcome, frame.report).to_owned(),
            outcome => {
                let new = if change_mark(&[row], frame.changes).is_empty() { "" } else { " 🆕" };
                let spared = if is_spared(rows) { "" } else { quarantined(row) };
                format!("{} {}{spared}{new}", parts::icon(outcome), words::past(outcome))
            }
        })
    };
    let lines = examples.iter().map(|rows| {
        let cells = columns.iter().map(|column| cell(rows, *column));
        let bad = rows.iter().find(|row| row.is_bad()).filter(|_| is_spared(rows));
        let name = format!("{}{}", Markdown::cell(rows[0].example.as_str()), bad.map_or("", quarantined));
        [name].into_iter().chain(cells).chain(has_health.then(|| health::cell(rows))).collect()
    });
    table("Example", &columns, has_health.then_some("Health"), lines)
}

/// How many results of each outcome there are, by version; empty where there is but one.
pub(super) fn counts(frame: Frame<'_>) -> String {
    let rows = &frame.report.results;
    let columns = view::columns(rows);
    if columns.len() < 2 {
        return String::new();
    }
    let count = |outcome: Outcome, column: Option<&str>| {
        rows.iter().filter(|row| row.outcome == outcome && row.kubernetes.as_deref() == column).count()
    };
    let there = Outcome::ALL.iter().filter(|outcome| rows.iter().any(|row| row.outcome == **outcome));
    let lines = there.map(|outcome| {
        let counts = columns.iter().map(|column| count(*outcome, *column).to_string());
        let sign = parts::sign(*outcome, frame.report);
        [format!("{sign} {}", words::past(*outcome))].into_iter().chain(counts).collect()
    });
    table("Results", &columns, None, lines)
}

fn table(
    corner: &str,
    columns: &[Option<&str>],
    more: Option<&str>,
    lines: impl Iterator<Item = Vec<String>>,
) -> String {
    let heads = columns.iter().map(|version| Markdown::cell(version.unwrap_or("basic")).to_string());
    let heads: Vec<_> = [corner.to_owned()].into_iter().chain(heads).chain(more.map(str::to_owned)).collect();
    let rule = vec!["---".to_owned(); heads.len()];
    let lines: Vec<_> =
        [heads, rule].into_iter().chain(lines).map(|cells| format!("| {} |", cells.join(" | "))).collect();
    lines.join("\n")
}

/// The examples that passed everywhere, by name.
pub(super) fn good(frame: Frame<'_>) -> (String, String) {
    let examples = frame.report.results.chunk_by(|a, b| a.example == b.example);
    let passed = examples.filter(|rows| rows.iter().all(|row| row.outcome == Outcome::Passed));
    let names: Vec<_> = passed.map(|rows| rows[0].example.as_str()).collect();
    (format!("{} passed", words::plural(names.len(), "example")), list(&rest::compact(&names)))
}

/// What was skipped and why, those with one reason together.
pub(super) fn skipped(frame: Frame<'_>) -> (String, String) {
    let skipped: Vec<_> = frame.report.results.iter().filter(|row| row.outcome == Outcome::Skipped).collect();
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in &skipped {
        reasons.entry(&row.reason).or_default().push(row.example.as_str());
    }
    let line = |(reason, mut names): (&str, Vec<&str>)| {
        names.dedup();
        let reason = if reason.is_empty() { "no reason is known" } else { reason };
        format!("{}: {}", parts::clipped(reason).at_start(), rest::compact(&names).join("; "))
    };
    let lines: Vec<_> = reasons.into_iter().map(line).collect();
    (format!("{} skipped", words::plural(skipped.len(), "result")), list(&lines))
}

/// Lines as a list; empty if there are none.
pub(super) fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n")
}

/// What is folded under a title, which is a text of ours; empty if there is nothing.
pub(super) fn folded(title: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("<details><summary>{title}</summary>\n\n{text}\n\n</details>") }
}

/// What stands under a heading; empty if there is nothing.
pub(super) fn headed(title: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("### {title}\n\n{text}") }
}
