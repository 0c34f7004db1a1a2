//! The grid: a line an example, a column a version.

use std::collections::{BTreeSet, HashSet};

use askama::Template;

use super::chart::spark;
use super::example::Example;
use super::look;
use super::text::{Html, Text};
use crate::model::Outcome;
use crate::report::details::{cause_name, errors};
use crate::report::summary::view;
use crate::report::{Report, Row, words};

/// Most columns where nothing is bad in some; and most at all, so that a hostile report has an end.
const COLUMNS: usize = 30;
const BAD_COLUMNS: usize = 60;
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
    /// The letters of all its outcomes, those of columns that are left out too.
    outcomes: String,
}

/// The columns of the grid.
pub(super) struct Columns<'a> {
    /// In the order of their versions.
    pub(super) shown: Vec<Option<&'a str>>,
    /// How many versions have no column, and on how many of those something is bad.
    pub(super) left_out: usize,
    pub(super) bad_left_out: usize,
}

/// The versions that get a column. Where there are too many, those stay on which something is bad, and the newest of the others.
pub(super) fn columns(report: &Report) -> Columns<'_> {
    let all = view::columns(&report.results);
    let bad: HashSet<_> =
        report.results.iter().filter(|row| row.is_bad()).map(|row| row.kubernetes.as_deref()).collect();
    let is_bad = |column: &_| bad.contains(column);
    let count = all.len();
    let shown = first(&all, COLUMNS.max(bad.len().min(BAD_COLUMNS)), is_bad);
    let bad_left_out = bad.len() - shown.iter().filter(|column| is_bad(column)).count();
    Columns { left_out: count - shown.len(), bad_left_out, shown }
}

/// At most so many, in the order in which they are: those that are bad before the others, of each kind the last.
pub(super) fn first<T: Clone>(all: &[T], most: usize, is_bad: impl Fn(&T) -> bool) -> Vec<T> {
    let mut places: Vec<_> = (0..all.len()).collect();
    places.sort_by_key(|place| (!is_bad(&all[*place]), std::cmp::Reverse(*place)));
    places.truncate(most);
    places.sort_unstable();
    places.into_iter().map(|place| all[place].clone()).collect()
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
        spark: health
            .map(|(row, health)| spark::small(&health.past, example.now(row).map(|(outcome, _)| outcome)))
            .unwrap_or_default(),
        outcomes: outcomes(example),
    };
    Ok(Html::made(line.render()?))
}

fn outcomes(example: &Example<'_>) -> String {
    let letters: BTreeSet<_> = example.rows.iter().map(|row| look::letter(row.outcome)).collect();
    letters.into_iter().collect()
}

/// Whether an example needs somebody: `bad`, `spared` if its failures do not count, `warn` if it passed only in the end, `ok`.
pub(super) fn tone(example: &Example<'_>) -> &'static str {
    ["bad", "spared", "warn"].get(usize::from(example.weight())).unwrap_or(&"ok")
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
