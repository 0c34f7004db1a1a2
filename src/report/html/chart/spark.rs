//! A history as a row of sticks, one a run. Height and colour both tell the outcome, so that neither is needed.

use super::super::look;
use super::super::text::Html;
use super::svg::{Drawing, Path, number, share};
use crate::model::Outcome;
use crate::report::{Past, words};

/// Runs in the small form, the newest.
const SMALL: usize = 16;
/// Pixels from one stick to the next.
const STEP: u32 = 4;
const HEIGHT: u32 = 14;

/// The outcomes of the newest runs and, if it was tried, of this one: good is low, flaky is half, bad is high.
pub(in crate::report::html) fn small(past: &[Past], now: Option<Outcome>) -> Html {
    let shown = &past[past.len().saturating_sub(SMALL)..];
    let outcomes: Vec<_> = shown.iter().map(|run| run.outcome).chain(now).collect();
    if outcomes.is_empty() {
        return Html::default();
    }
    let width = u32::try_from(outcomes.len()).unwrap_or(0) * STEP;
    let mut drawing = Drawing::sized("spark", width, HEIGHT, &said(&outcomes));
    for outcome in Outcome::ALL {
        let mut path = Path::default();
        for (place, _) in outcomes.iter().enumerate().filter(|(_, own)| *own == outcome) {
            path.stick(at(place), f64::from(HEIGHT), height(*outcome));
        }
        drawing.path(look::letter(*outcome), &path);
    }
    drawing.done()
}

fn at(place: usize) -> f64 {
    f64::from(u32::try_from(place).unwrap_or(0) * STEP) + 2.0
}

fn height(outcome: Outcome) -> f64 {
    match outcome {
        Outcome::Passed => 6.0,
        Outcome::Skipped => 2.0,
        Outcome::Flaky => 10.0,
        Outcome::Failed | Outcome::TimedOut | Outcome::Errored => 14.0,
    }
}

/// `the last 17 runs: 15 passed, 2 failed`.
fn said(outcomes: &[Outcome]) -> String {
    let count = |outcome: &Outcome| outcomes.iter().filter(|own| *own == outcome).count();
    let counts = Outcome::ALL.iter().map(|outcome| (outcome, count(outcome))).filter(|(_, count)| *count > 0);
    let counts: Vec<_> = counts.map(|(outcome, count)| format!("{count} {}", words::past(*outcome))).collect();
    format!("the last {}: {}", words::plural(outcomes.len(), "run"), counts.join(", "))
}

/// The durations of past runs and, if it counts, of this one, as columns in the colour of their outcomes; a mark below says
/// which did not pass at once.
pub(in crate::report::html) fn durations(past: &[Past], now: Option<(Outcome, u64)>) -> Html {
    /// Units of the drawing, which is stretched to its box: a column has ten.
    const COLUMN: u32 = 10;
    const TALL: u32 = 48;
    const FEWEST: usize = 20;
    let runs: Vec<_> = past.iter().map(|run| (run.outcome, run.duration_ms)).chain(now).collect();
    let outcomes: Vec<_> = runs.iter().map(|(outcome, _)| *outcome).collect();
    let longest = runs.iter().map(|(_, took)| *took).max().unwrap_or(0);
    let width = u32::try_from(runs.len().max(FEWEST)).unwrap_or(0) * COLUMN;
    let mut drawing = Drawing::stretched("durations", width, TALL + 8, &said(&outcomes));
    for outcome in Outcome::ALL {
        let (mut columns, mut x) = (Path::default(), 0.0);
        for (own, took) in &runs {
            if own == outcome {
                let height = (share(*took, longest) * f64::from(TALL)).max(2.0).round();
                columns.column(x, f64::from(TALL), 7.0, height);
                if !matches!(outcome, Outcome::Passed | Outcome::Skipped) {
                    columns.column(x, f64::from(TALL + 7), 7.0, 3.0);
                }
            }
            x += f64::from(COLUMN);
        }
        drawing.path(look::letter(*outcome), &columns);
    }
    drawing.done()
}

/// Counts as the parts of one bar, each with its class and word.
pub(in crate::report::html) fn share_of(parts: &[(&'static str, &'static str, usize)]) -> Html {
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let whole: u64 = parts.iter().map(|(.., part)| count(*part)).sum();
    let said: Vec<_> = parts.iter().map(|(_, word, count)| format!("{count} {word}")).collect();
    let mut drawing = Drawing::wide("share", 10, &said.join(", "));
    let mut x = 0.0;
    for (class, word, part) in parts {
        let width = share(count(*part), whole) * 100.0;
        drawing.bar(class, x, width, (0, 10), &format!("{part} {word}"));
        x += width;
    }
    drawing.done()
}

/// A share from 0 to 1 as a bar that is filled as far.
pub(in crate::report::html) fn level(part: f64) -> Html {
    let mut drawing = Drawing::wide("level", 6, "");
    drawing.raw(&format!(
        r#"<rect width="100%" height="6" rx="3"/><rect class="v" width="{}%" height="6" rx="3"/>"#,
        number(part * 100.0)
    ));
    drawing.done()
}
