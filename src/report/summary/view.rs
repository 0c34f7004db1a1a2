//! What the template of the summary shows. Texts of others are in it as [`Markdown`] alone.

use std::collections::BTreeSet;

use askama::Template;

use super::failure::{Failure, Frame, change_mark, failing, failure, on, quarantined};
use super::{Detail, Remarks};
use super::{gantt, health, parts};
use crate::model::Outcome;
use crate::report::comment::{self, changes::Changes};
use crate::report::markdown::Markdown;
use crate::report::timeline::bars;
use crate::report::{Report, Row, words};

/// Most examples that are told to be slower than they were.
const SLOWER: usize = 20;

#[derive(Template)]
#[template(path = "summary.md")]
pub(super) struct Summary {
    icon: &'static str,
    verdict: String,
    banner: String,
    counts: String,
    context: String,
    notices: Vec<Markdown>,
    health: String,
    changes: String,
    failures: Vec<Failure>,
    flaky_title: String,
    flaky: Vec<String>,
    fixed_title: String,
    fixed: Vec<String>,
    columns: Vec<Markdown>,
    others: Vec<Line>,
    slower: Vec<String>,
    gantt: String,
    skipped_title: String,
    skipped: Vec<String>,
    remarks_title: String,
    remarks: Vec<String>,
    passed_title: String,
    passed: Vec<Line>,
    left_out: String,
    footer: String,
}

/// A line of a table: an example with what became of it in each column.
struct Line {
    example: Markdown,
    framework: Markdown,
    cells: Vec<String>,
}

/// What the template shows of a report at this level of detail.
pub(super) fn summary(frame: Frame<'_>, detail: Detail) -> Summary {
    let report = frame.report;
    let rows = &report.results;
    let (icon, verdict) = parts::verdict(report);
    // Rows are in the order of their examples.
    let examples: Vec<&[Row]> = rows.chunk_by(|a, b| a.example == b.example).collect();
    let (passed, others): (Vec<_>, Vec<_>) =
        examples.iter().partition(|rows| rows.iter().all(|row| row.outcome == Outcome::Passed));
    let columns = columns(rows);
    let has_health = health::is_known(rows);
    let lines = |examples: &[&[Row]], most: usize| -> Vec<Line> {
        examples.iter().take(most).map(|rows| line(rows, &columns, has_health, report)).collect()
    };
    let failures = failures(frame);
    let (flaky, fixed) = (comment::view::flaky(frame), comment::view::fixed(frame));
    let are = |count: usize, are: &str, is: &str| {
        format!("{} {}", words::plural(count, "example"), if count == 1 { is } else { are })
    };
    let skipped: Vec<_> = rows.iter().filter(|row| row.outcome == Outcome::Skipped).collect();
    Summary {
        icon,
        verdict,
        banner: if report.run.simulated { format!("{} {}", words::SIMULATED, words::FOR_REAL) } else { String::new() },
        counts: parts::counts(report),
        context: parts::context(report, frame.about),
        notices: parts::notices(frame.about),
        health: health::sentence(report),
        changes: frame.changes.map(Changes::sentence).unwrap_or_default(),
        failures: failures.iter().take(detail.rows).map(|alike| failure(alike, frame, detail.blocks)).collect(),
        others: lines(&others, detail.rows),
        flaky_title: {
            let names: BTreeSet<_> =
                rows.iter().filter(|row| row.outcome == Outcome::Flaky).map(|row| &row.example).collect();
            are(names.len(), "are flaky: they passed when tried again", "is flaky: it passed when tried again")
        },
        fixed_title: are(fixed.len(), "were fixed", "was fixed"),
        flaky: some(&flaky, detail.lists),
        fixed: some(&fixed, detail.lists),
        slower: health::slower(rows).into_iter().take(detail.rows.min(SLOWER)).map(|row| slow(row, frame)).collect(),
        gantt: if detail.gantt { gantt::chart(report) } else { String::new() },
        skipped_title: format!("{} skipped", words::plural(skipped.len(), "result")),
        skipped: skipped.iter().filter(|_| detail.quiet_rows).map(|row| skip(row, frame)).collect(),
        remarks_title: parts::remarks_title(&examples),
        remarks: match detail.remarks {
            Remarks::Each => parts::each_remark(&examples),
            Remarks::ByCode => parts::remarks_by_code(&examples),
            Remarks::None => Vec::new(),
        },
        passed_title: format!("{} passed", words::plural(passed.len(), "example")),
        passed: lines(&passed, if detail.quiet_rows { usize::MAX } else { 0 }),
        left_out: left_out(detail, failures.len().max(others.len()), !(flaky.is_empty() && fixed.is_empty()), report),
        columns: {
            let versions = columns.iter().map(|version| Markdown::cell(version.unwrap_or("basic")));
            versions.chain(has_health.then(|| Markdown::text("Health"))).collect()
        },
        footer: parts::footer(report),
    }
}

/// The columns of tables: `None` for what was judged statically alone, then the versions in order.
pub(in crate::report) fn columns(rows: &[Row]) -> Vec<Option<&str>> {
    let statically = rows.iter().any(|row| row.kubernetes.is_none()).then_some(None);
    statically.into_iter().chain(words::versions(rows).into_iter().map(Some)).collect()
}

/// The rows that are not good, those of one example that failed alike together: what counts comes first, and of that what is new.
fn failures(frame: Frame<'_>) -> Vec<Vec<&Row>> {
    let mut failures = failing(&frame.report.results);
    failures.retain(|alike| alike[0].outcome != Outcome::Flaky);
    failures.sort_by_cached_key(|alike| {
        let row = alike[0];
        (row.quarantined, row.outcome == Outcome::Errored, change_mark(alike, frame.changes).is_empty())
    });
    failures
}

/// At most so many of the lines, and how many there are besides; nothing of none.
fn some(lines: &[String], most: usize) -> Vec<String> {
    let mut shown: Vec<_> = lines.iter().take(most).cloned().collect();
    if most > 0 && lines.len() > most {
        shown.push(format!("... and {} more", lines.len() - most));
    }
    shown
}

fn line(rows: &[Row], columns: &[Option<&str>], has_health: bool, report: &Report) -> Line {
    let cell = |column: Option<&str>| {
        let row = rows.iter().find(|row| row.kubernetes.as_deref() == column);
        row.map_or_else(String::new, |row| match row.outcome {
            Outcome::Passed => {
                let undecided = words::inconclusive(row).map(|text| format!(" {text}")).unwrap_or_default();
                format!("{}{undecided}", parts::sign(row.outcome, report))
            }
            outcome => format!("{} {}{}", parts::icon(outcome), words::past(outcome), quarantined(row)),
        })
    };
    Line {
        example: Markdown::cell(rows[0].example.as_str()),
        framework: Markdown::cell(&words::role(&rows[0])),
        cells: columns.iter().copied().map(cell).chain(has_health.then(|| health::cell(rows))).collect(),
    }
}

fn slow(row: &Row, frame: Frame<'_>) -> String {
    format!("{}{}: {}", Markdown::code(row.example.as_str()), on(&[row], frame), health::pace(row))
}

fn skip(row: &Row, frame: Frame<'_>) -> String {
    format!("{}{}: {}", Markdown::code(row.example.as_str()), on(&[row], frame), parts::clipped(&row.reason))
}

/// What this level of detail does not tell of a report with so many lines.
fn left_out(detail: Detail, lines: usize, has_lists: bool, report: &Report) -> String {
    let mut left_out = Vec::new();
    if lines > detail.rows {
        left_out.push(words::plural(lines - detail.rows, "more example"));
    }
    for (is_shown, what) in [
        (detail.blocks, "source lines and logs"),
        (detail.quiet_rows, "the examples that passed or were skipped"),
        (detail.remarks == Remarks::Each, "the lines of errors, warnings and notes"),
        (detail.lists > 0 || !has_lists, "the lists of what is flaky and of what was fixed"),
        (detail.gantt || bars(report).is_empty(), "the chart of where the time went"),
    ] {
        if !is_shown {
            left_out.push(what.to_owned());
        }
    }
    words::list(&left_out)
}
