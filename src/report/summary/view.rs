//! What the template of the summary shows. Texts of others are in it as [`Markdown`] alone.

use askama::Template;

use super::parts;
use super::{Detail, Remarks};
use crate::model::Outcome;
use crate::report::details::{Details, Fact, errors, facts};
use crate::report::markdown::Markdown;
use crate::report::{Report, Row, words};

/// Most bytes of source lines that are shown of one example.
const MAX_BLOCK: usize = 16_000;

#[derive(Template)]
#[template(path = "summary.md")]
pub(super) struct Summary {
    icon: &'static str,
    verdict: String,
    banner: String,
    counts: String,
    context: String,
    failures: Vec<Failure>,
    columns: Vec<Markdown>,
    others: Vec<Line>,
    skipped_title: String,
    skipped: Vec<String>,
    remarks_title: String,
    remarks: Vec<String>,
    passed_title: String,
    passed: Vec<Line>,
    left_out: String,
    footer: String,
}

/// An example that is not good, on one version or on several alike.
struct Failure {
    title: String,
    facts: Vec<(&'static str, Markdown)>,
    block: Option<Markdown>,
    /// Whose log it is, and its end.
    log: Option<(Markdown, Markdown)>,
}

/// A line of a table: an example with what became of it in each column.
struct Line {
    example: Markdown,
    framework: Markdown,
    cells: Vec<String>,
}

/// What the template shows of a report at this level of detail.
pub(super) fn summary(report: &Report, details: &Details, detail: Detail) -> Summary {
    let rows = &report.results;
    let (icon, verdict) = parts::verdict(report);
    // Rows are in the order of their examples.
    let examples: Vec<&[Row]> = rows.chunk_by(|a, b| a.example == b.example).collect();
    let (passed, others): (Vec<_>, Vec<_>) =
        examples.iter().partition(|rows| rows.iter().all(|row| row.outcome == Outcome::Passed));
    let columns = columns(rows);
    let lines = |examples: &[&[Row]], most: usize| -> Vec<Line> {
        examples.iter().take(most).map(|rows| line(rows, &columns)).collect()
    };
    let failures = failing(rows);
    let skipped: Vec<_> = rows.iter().filter(|row| row.outcome == Outcome::Skipped).collect();
    Summary {
        icon,
        verdict,
        banner: if report.run.simulated { format!("{} {}", words::SIMULATED, words::FOR_REAL) } else { String::new() },
        counts: format!("{}: {}.", Markdown::text(&words::scope(report)), words::counts(rows)),
        context: parts::context(report),
        failures: failures
            .iter()
            .take(detail.rows)
            .map(|alike| failure(alike, report, details, detail.blocks))
            .collect(),
        others: lines(&others, detail.rows),
        skipped_title: format!("{} skipped", words::plural(skipped.len(), "result")),
        skipped: skipped.iter().filter(|_| detail.quiet_rows).map(|row| skip(row)).collect(),
        remarks_title: parts::remarks_title(&examples),
        remarks: match detail.remarks {
            Remarks::Each => parts::each_remark(&examples),
            Remarks::ByCode => parts::remarks_by_code(&examples),
            Remarks::None => Vec::new(),
        },
        passed_title: format!("{} passed", words::plural(passed.len(), "example")),
        passed: lines(&passed, if detail.quiet_rows { usize::MAX } else { 0 }),
        left_out: left_out(detail, failures.len().max(others.len())),
        columns: columns.iter().map(|version| Markdown::cell(version.unwrap_or("basic"))).collect(),
        footer: parts::footer(report),
    }
}

/// The columns of the tables: `None` for what was judged statically alone, then the versions in order.
fn columns(rows: &[Row]) -> Vec<Option<&str>> {
    let statically = rows.iter().any(|row| row.kubernetes.is_none()).then_some(None);
    statically.into_iter().chain(words::versions(rows).into_iter().map(Some)).collect()
}

fn line(rows: &[Row], columns: &[Option<&str>]) -> Line {
    let cell = |column: Option<&str>| {
        let row = rows.iter().find(|row| row.kubernetes.as_deref() == column);
        row.map_or_else(String::new, |row| match row.outcome {
            Outcome::Passed => parts::icon(row.outcome).to_owned(),
            outcome => format!("{} {}{}", parts::icon(outcome), words::past(outcome), quarantined(row)),
        })
    };
    Line {
        example: Markdown::cell(rows[0].example.as_str()),
        framework: Markdown::cell(&words::role(&rows[0])),
        cells: columns.iter().copied().map(cell).collect(),
    }
}

fn quarantined(row: &Row) -> &'static str {
    if row.quarantined { " (quarantined)" } else { "" }
}

/// The rows that are not good, and the flaky ones, those of one example that failed alike together; what counts comes first.
fn failing(rows: &[Row]) -> Vec<Vec<&Row>> {
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    for row in rows.iter().filter(|row| row.is_bad() || row.outcome == Outcome::Flaky) {
        let alike =
            |other: &Row| other.example == row.example && other.outcome == row.outcome && other.cause == row.cause;
        match groups.last_mut() {
            Some(group) if alike(group[0]) => group.push(row),
            _ => groups.push(vec![row]),
        }
    }
    let rank = |row: &Row| (row.outcome == Outcome::Flaky, row.quarantined, row.outcome == Outcome::Errored);
    groups.sort_by_key(|group| rank(group[0]));
    groups
}

fn failure(alike: &[&Row], report: &Report, details: &Details, with_block: bool) -> Failure {
    let row = alike[0];
    let versions: Vec<_> = alike.iter().filter_map(|row| row.kubernetes.as_deref()).map(Markdown::code).collect();
    let versions: Vec<_> = versions.iter().map(ToString::to_string).collect();
    let on = if versions.is_empty() { String::new() } else { format!(" on {}", words::list(&versions)) };
    let has_block = with_block && errors(row).next().is_some();
    let block = has_block.then(|| details.errors(row, false)).filter(|block| block.len() <= MAX_BLOCK);
    Failure {
        title: format!(
            "{} {} {}{on}{}",
            parts::icon(row.outcome),
            Markdown::code(row.example.as_str()),
            words::past(row.outcome),
            quarantined(row)
        ),
        facts: facts(row, report, false).iter().map(|fact| (fact.label, shown(fact))).collect(),
        block: block.as_deref().map(Markdown::block),
        log: details
            .log(row)
            .filter(|_| with_block)
            .map(|(title, lines)| (Markdown::text(&capitalised(&title)), Markdown::block(&lines.join("\n")))),
    }
}

/// The text as the start of a line.
fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn shown(fact: &Fact) -> Markdown {
    if fact.verbatim { Markdown::code(&fact.text) } else { parts::clipped(&fact.text) }
}

fn skip(row: &Row) -> String {
    let on = row.kubernetes.as_deref().map_or_else(String::new, |version| format!(" on {}", Markdown::code(version)));
    format!("{}{on}: {}", Markdown::code(row.example.as_str()), parts::clipped(&row.reason))
}

/// What this level of detail does not tell of a report with so many lines.
fn left_out(detail: Detail, lines: usize) -> String {
    let mut left_out = Vec::new();
    if lines > detail.rows {
        left_out.push(words::plural(lines - detail.rows, "more example"));
    }
    for (is_shown, what) in [
        (detail.blocks, "source lines and logs"),
        (detail.quiet_rows, "the examples that passed or were skipped"),
        (detail.remarks == Remarks::Each, "the lines of warnings and notes"),
    ] {
        if !is_shown {
            left_out.push(what.to_owned());
        }
    }
    words::list(&left_out)
}
