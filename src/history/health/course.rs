//! Whether it is getting better or worse, and since when it is broken.

use super::{Seen, score};
use crate::model::Outcome;
use crate::report::FirstBad;

/// How many of the newest runs a trend is read from.
const WINDOW: usize = 20;
/// The fewest runs that a trend stands on: three in each half.
const FEWEST: usize = 6;

/// How far the newer half may differ from the older one and still be called steady: one run of ten more or less is chance.
const CHANCE: f64 = 0.15;

/// How much better the newer half of the newest runs is than the older one, from -1 to 1; the middle one of an odd number is in
/// neither. A run is worth 1 if it passed, half of that if it was flaky, nothing else. `None` with too few runs.
fn leaning(runs: &[Seen<'_>]) -> Option<f64> {
    let window = &runs[runs.len().saturating_sub(WINDOW)..];
    if window.len() < FEWEST {
        return None;
    }
    let half = window.len() / 2;
    let worth = |runs: &[Seen<'_>]| {
        score::mean(runs.iter().map(|run| match run.outcome {
            Outcome::Passed => 1.0,
            Outcome::Flaky => 0.5,
            _ => 0.0,
        }))
    };
    Some(worth(&window[window.len() - half..])? - worth(&window[..half])?)
}

/// The trend in a word.
pub(super) fn trend(runs: &[Seen<'_>]) -> &'static str {
    match leaning(runs) {
        None => "unknown",
        Some(leaning) if leaning > CHANCE => "improving",
        Some(leaning) if leaning < -CHANCE => "declining",
        Some(_) => "steady",
    }
}

/// The start of the series of bad runs that ends with the newest one, and the last good run before it. `None` if the newest is good,
/// or if none before the series is known to have been.
pub(super) fn first_bad(runs: &[Seen<'_>]) -> Option<FirstBad> {
    let good = runs.iter().rposition(Seen::is_good)?;
    let series = &runs[good + 1..];
    let first = series.first()?;
    Some(FirstBad {
        commit: first.commit.to_owned(),
        at: first.at.to_string(),
        last_good: runs[good].commit.to_owned(),
        runs: u32::try_from(series.len()).unwrap_or(u32::MAX),
    })
}
