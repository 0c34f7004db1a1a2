//! The grid: a line an example, a column a version.

use askama::Template;

use super::chart::spark;
use super::example::Example;
use super::look;
use super::text::{Html, Text};
use crate::model::Outcome;
use crate::report::details::{cause_name, errors};
use crate::report::{Row, words};

/// Most columns; a run has ten versions at most.
pub(super) const COLUMNS: usize = 12;
/// Most characters of a cause in a line, and of its reason in a cell.
const CAUSE: usize = 140;
const REASON: usize = 24;

#[derive(Template)]
#[template(path = "report_row.html")]
struct Line {
    tone: &'static str,
    anchor: String,
    folder: Text,
    file: Text,
    cause: Text,
    role: Text,
    cells: Vec<Option<Cell>>,
    duration_ms: u64,
    duration: String,
    score: Option<u8>,
    grade: &'static str,
    trend: Option<(&'static str, &'static str)>,
    spark: Html,
}

struct Cell {
    letter: &'static str,
    anchor: String,
    version: Text,
    outcome: &'static str,
    quarantined: bool,
    told: Text,
}

/// The line of an example, with a cell for each of the columns.
pub(super) fn line(example: &Example<'_>, columns: &[Option<&str>]) -> Result<Html, askama::Error> {
    let worst = example.worst();
    let (folder, file) = example.parts();
    let cells = columns.iter().map(|column| {
        let row = example.rows.iter().find(|row| row.kubernetes.as_deref() == *column)?;
        Some(cell(example, row))
    });
    let health = example.health();
    let scored = health.map(|(_, health)| health);
    let line = Line {
        tone: tone(example),
        anchor: example.anchor(),
        folder: Text::new(folder),
        file: Text::new(file),
        cause: Text::clipped(&why(worst), CAUSE),
        role: Text::clipped(&words::role(worst), CAUSE),
        cells: cells.collect(),
        duration_ms: example.duration_ms(),
        duration: look::short(example.duration_ms()),
        score: scored.and_then(|health| health.score),
        grade: look::grade(scored.and_then(|health| health.score)),
        trend: scored.and_then(|health| look::trend(&health.trend)),
        spark: health.map(|(row, health)| spark::small(&health.past, Some(row.outcome))).unwrap_or_default(),
    };
    Ok(Html::made(line.render()?))
}

/// Whether an example needs somebody: `bad`, `spared` if its failures do not count, `warn` if it passed only in the end, `ok`.
pub(super) fn tone(example: &Example<'_>) -> &'static str {
    match (example.rows.iter().any(|row| row.is_bad() && !row.quarantined), example.is_bad(), example.is_flaky()) {
        (true, ..) => "bad",
        (false, true, _) => "spared",
        (false, false, true) => "warn",
        _ => "ok",
    }
}

fn cell(example: &Example<'_>, row: &Row) -> Cell {
    Cell {
        letter: look::letter(row.outcome),
        anchor: example.anchor_of(row),
        version: version(row.kubernetes.as_deref()),
        outcome: words::past(row.outcome),
        quarantined: row.quarantined && row.is_bad(),
        told: Text::clipped(&told(row), REASON),
    }
}

/// A version, or what stands for judging without a cluster.
pub(super) fn version(kubernetes: Option<&str>) -> Text {
    Text::clipped(kubernetes.unwrap_or("static"), 64)
}

/// What a cell says besides its sign: why it is bad, how long it took if it is good.
fn told(row: &Row) -> String {
    match (row.outcome, &row.cause) {
        (Outcome::Skipped, _) => "skipped".to_owned(),
        (Outcome::Passed, _) => look::short(row.duration_ms),
        (Outcome::Flaky, _) => format!("flaky, {} tries", row.attempts.len()),
        (_, Some(cause)) if !cause.reason.is_empty() => cause.reason.clone(),
        (_, Some(cause)) => cause.class.to_string(),
        (outcome, None) => words::past(outcome).to_owned(),
    }
}

/// Why an example is not good, in a line.
fn why(row: &Row) -> String {
    match row.outcome {
        Outcome::Passed => String::new(),
        Outcome::Skipped => row.reason.clone(),
        _ => match (&row.cause, errors(row).next()) {
            (Some(cause), _) => {
                let line = cause.message.lines().find(|line| !line.trim().is_empty());
                line.unwrap_or(&cause.message).to_owned()
            }
            (None, Some(error)) => error.message.clone(),
            (None, None) => cause_name(row),
        },
    }
}
