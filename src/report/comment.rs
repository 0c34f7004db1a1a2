//! The comment on a pull request: what a reviewer reads.
//!
//! Its first line is a hidden mark by which the comment is found again ([`marker`]), its last one holds what the run found out
//! ([`State`]), so that the next can say what changed. Between them is as much of the report as fits ([`LIMIT`]).

pub(super) mod about;
pub(super) mod changes;
mod fit;
pub(super) mod reproduce;
mod rest;
mod state;
#[cfg(test)]
mod tests;
pub(super) mod view;

use askama::Template as _;

pub use about::{About, Artifact, RunPage};
pub use state::State;

use self::changes::Changes;
use super::details::Details;
use super::markdown::Markdown;
use super::summary::failure::Frame;
use super::summary::{health, parts};
use super::{Report, words};
use crate::error::{Error, Result};

/// Most bytes of a comment. GitHub refuses a body of more than 65,536 *characters*; bytes are never fewer than those,
/// whichever way they are counted.
pub const LIMIT: usize = 65_536;

/// The comment as Markdown of at most [`LIMIT`] bytes. `details` holds the findings with their sources and the ends of logs,
/// `about` what is known of the run's place, `before` the state in the comment that this one replaces.
///
/// The name of every failed example is in it as far as all names fit, however little else does; if not even those do, it says
/// how many more there are.
///
/// # Errors
/// [`Error::Internal`] if a template can't be filled in, which text in memory does not meet.
pub fn render(report: &Report, details: &Details, about: &About, before: Option<&State>) -> Result<String> {
    render_within(report, details, about, before, LIMIT)
}

/// The hidden line, without its end, that a comment of this key starts with. What a key can't hold is left out.
#[must_use]
pub fn marker(key: &str) -> String {
    let mut safe = String::new();
    for c in key.chars().filter(|c| c.is_ascii_alphanumeric() || "-_./".contains(*c)) {
        if !(c == '-' && safe.ends_with('-')) {
            safe.push(c);
        }
    }
    format!("<!-- example-validator: {safe} -->")
}

fn render_within(
    report: &Report,
    details: &Details,
    about: &About,
    before: Option<&State>,
    limit: usize,
) -> Result<String> {
    let about = about.of_report(report);
    let changes = Changes::since(before, report, Some(&about));
    let frame = Frame::new(report, details, Some(&about), changes.as_ref());
    let internal = |error: askama::Error| Error::Internal(error.to_string());
    let comment = fit::sections(head(frame, &about), frame, limit).map_err(internal)?;
    Ok(comment.render().map_err(internal)? + "\n")
}

/// What is always there.
fn head(frame: Frame<'_>, about: &About) -> view::Comment {
    let report = frame.report;
    let (icon, verdict) = parts::verdict(report);
    view::Comment {
        marker: marker(&about.key),
        icon,
        verdict,
        banner: if report.run.simulated { format!("{} {}", words::SIMULATED, words::FOR_REAL) } else { String::new() },
        notices: parts::notices(Some(about)),
        counts: parts::counts(report),
        health: health::sentence(report),
        changes: frame.changes.map(Changes::sentence).unwrap_or_default(),
        sections: Vec::new(),
        left_out: String::new(),
        footer: footer(report, about),
        state: State::of(report, &about.commit).line(),
    }
}

/// Which commit, how long it took, where the run and its evidence are, and by what it was judged.
fn footer(report: &Report, about: &About) -> String {
    let mut parts = Vec::new();
    if !about.commit.is_empty() {
        parts.push(format!("Commit {}", parts::commit(&about.commit, Some(about))));
    }
    parts.extend(report.run.shard.as_ref().map(|shard| format!("shard {}", Markdown::code(shard))));
    parts.push(words::duration(report.run.duration_ms));
    parts.extend(Some(parts::pages(about)).filter(|pages| !pages.is_empty()));
    parts.push(parts::footer(report));
    parts.join(" · ")
}
