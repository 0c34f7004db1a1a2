//! How much is told of each example, so that the page stays small: failures before what is good, and names before details.

use super::Told;
use super::article::article;
use super::example::{Example, examples};
use super::grid::{COLUMNS, line};
use super::text::Html;
use crate::report::summary::view::columns;

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Outcomes, causes and where to look.
    Bare,
    /// Figures too, and the ends of logs, but no curves and no parts of a score.
    Short,
    /// Everything.
    Full,
}

/// What the page's template puts around a line and an article, in bytes.
const WRAPPING: usize = 64;

/// What fits.
#[derive(Default)]
pub(super) struct Fitted {
    /// The lines of the grid and the articles, in one order.
    pub(super) lines: Vec<Html>,
    pub(super) articles: Vec<Html>,
    /// How many examples are not told in full.
    pub(super) shortened: usize,
    /// How many examples are not on the page at all.
    pub(super) left_out: usize,
}

/// As much of the examples as fits into `room` bytes.
pub(super) fn fit(told: Told<'_>, room: usize) -> Result<Fitted, askama::Error> {
    let columns = columns(&told.report.results);
    let columns = &columns[..columns.len().min(COLUMNS)];
    let examples = examples(told.report);
    let mut fitted = Fitted::default();
    let mut spare = room;
    for example in &examples {
        let (line, bare) = (line(example, columns)?, article(example, told, Level::Bare)?);
        let Some(left) = spare.checked_sub(line.len() + bare.len() + WRAPPING) else { break };
        spare = left;
        fitted.lines.push(line);
        fitted.articles.push(bare);
    }
    let shown = &examples[..fitted.lines.len()];
    fitted.left_out = examples.len() - shown.len();
    let mut levels = vec![Level::Bare; shown.len()];
    let needs_care = |example: &Example<'_>| example.is_bad() || example.is_flaky();
    for (is_bad, level) in [(true, Level::Short), (true, Level::Full), (false, Level::Short), (false, Level::Full)] {
        for (place, example) in shown.iter().enumerate().filter(|(_, example)| needs_care(example) == is_bad) {
            let richer = article(example, told, level)?;
            let own = fitted.articles[place].len();
            if let Some(left) = (spare + own).checked_sub(richer.len()) {
                spare = left;
                fitted.articles[place] = richer;
                levels[place] = level;
            }
        }
    }
    fitted.shortened = levels.iter().filter(|level| **level != Level::Full).count();
    Ok(fitted)
}
