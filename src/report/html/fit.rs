//! How much is told of each example, so that the page stays small: failures before what is good, and names before details.

use super::Told;
use super::article::article;
use super::example::examples;
use super::grid::{columns, line};
use super::text::Html;

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// What it is called, and the cause of its worst outcome.
    Named,
    /// Outcomes, causes and where to look.
    Bare,
    /// Figures too, and the ends of logs, but no curves and no parts of a score.
    Short,
    /// Everything.
    Full,
}

/// What the page's template puts around a line and an article, in bytes.
const WRAPPING: usize = 64;

/// What gets more room first, once everything is named: what needs somebody (it failed or is flaky), or what is good.
const STEPS: [(bool, Level); 6] = [
    (true, Level::Bare),
    (false, Level::Bare),
    (true, Level::Short),
    (true, Level::Full),
    (false, Level::Short),
    (false, Level::Full),
];

/// An example that has its place.
struct Held {
    line: Html,
    article: Html,
    level: Level,
}

/// What fits.
#[derive(Default)]
pub(super) struct Fitted {
    /// The lines of the grid and the articles, in one order.
    pub(super) lines: Vec<Html>,
    pub(super) articles: Vec<Html>,
    /// How many examples are not told in full.
    pub(super) shortened: usize,
    /// How many examples are not on the page at all, and how many of them failed, in quarantine or not.
    pub(super) left_out: usize,
    pub(super) failures_left_out: usize,
}

/// As much of the examples as fits into `room` bytes, in their order. Names and causes of failures have precedence over all that is good:
/// where one of them has no place, no good example has one.
pub(super) fn fit(told: Told<'_>, room: usize) -> Result<Fitted, askama::Error> {
    let columns = columns(told.report).shown;
    let examples = examples(told.report);
    let mut order: Vec<_> = (0..examples.len()).collect();
    order.sort_by_key(|place| examples[*place].weight());
    let mut held: Vec<Option<Held>> = examples.iter().map(|_| None).collect();
    let (mut spare, mut fitted) = (room, Fitted::default());
    for place in &order {
        let example = &examples[*place];
        if !example.is_bad() && fitted.failures_left_out > 0 {
            fitted.left_out += 1;
            continue;
        }
        let (line, article) = (line(example, &columns)?, article(example, told, Level::Named)?);
        if let Some(left) = spare.checked_sub(line.len() + article.len() + WRAPPING) {
            spare = left;
            held[*place] = Some(Held { line, article, level: Level::Named });
        } else {
            fitted.left_out += 1;
            fitted.failures_left_out += usize::from(example.is_bad());
        }
    }
    for (needs_care, level) in STEPS {
        for place in &order {
            let example = &examples[*place];
            let Some(own) = held[*place].as_mut().filter(|_| needs_care == (example.weight() < 3)) else { continue };
            let richer = article(example, told, level)?;
            if let Some(left) = (spare + own.article.len()).checked_sub(richer.len()) {
                spare = left;
                (own.article, own.level) = (richer, level);
            }
        }
    }
    let held: Vec<_> = held.into_iter().flatten().collect();
    fitted.shortened = held.iter().filter(|one| one.level != Level::Full).count();
    (fitted.lines, fitted.articles) = held.into_iter().map(|one| (one.line, one.article)).unzip();
    Ok(fitted)
}
