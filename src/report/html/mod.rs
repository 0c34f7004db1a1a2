//! `report.html`: one self-contained page, in which a maintainer sees at a glance what works and what does not.
//!
//! It loads nothing, and works without its script: everything is in it then, folded. What comes of others is a [`text::Text`], which the
//! template escapes; charts escape what they hold by themselves; and a policy in the page's head lets no script and no style act but
//! those of this room, whatever got into it. Where a report is large, [`fit`] tells less of what is good.

mod article;
mod cell;
mod chart;
mod example;
mod fit;
mod grid;
mod insight;
mod look;
mod page;
mod run_wide;
#[cfg(test)]
mod tests;
mod text;
mod usage;

use askama::Template as _;
use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::Report;
use super::comment::About;
use super::details::Details;
use crate::error::{Error, Result};

/// Most bytes of a page, which has to be opened by a browser, often from an artifact.
pub const LIMIT: usize = 5_000_000;

/// What style and script the page has; a policy names them by their digests.
const STYLE: &str = include_str!("../../../templates/report.css");
const SCRIPT: &str = include_str!("../../../templates/report.js");

/// What is told.
#[derive(Clone, Copy)]
struct Told<'a> {
    report: &'a Report,
    details: &'a Details,
    about: &'a About,
}

/// The page, of at most [`LIMIT`] bytes. `details` holds the findings with their sources, `about` what links are made of.
///
/// Where not everything fits, what is good is told in short, then what is bad; where not even that fits, the good examples are left out
/// first, and counted.
///
/// # Errors
/// [`Error::Internal`] if a template can't be filled in, which text in memory does not meet.
pub fn render(report: &Report, details: &Details, about: &About) -> Result<String> {
    render_within(report, details, about, LIMIT)
}

fn render_within(report: &Report, details: &Details, about: &About, limit: usize) -> Result<String> {
    let about = about.of_report(report);
    let told = Told { report, details, about: &about };
    let internal = |error: askama::Error| Error::Internal(error.to_string());
    let mut page = page::page(told);
    // What surrounds the examples is measured before they are put in.
    let room = limit.saturating_sub(page.render().map_err(internal)?.len()).saturating_sub(page::NOTICE);
    page.hold(fit::fit(told, room).map_err(internal)?);
    page.render().map_err(internal)
}

/// The page's style, with as many columns of versions.
fn style(columns: usize) -> String {
    let width = if columns > 0 { format!("#grid{{--os:repeat({columns},var(--o))}}\n") } else { String::new() };
    format!("{STYLE}{width}")
}

/// The page's policy: nothing is loaded, and nothing acts but its own style and script.
///
/// Source: Content Security Policy Level 3, <https://www.w3.org/TR/CSP3/>.
fn policy(style: &str) -> String {
    let digest = |text: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
        digest(style),
        digest(SCRIPT)
    )
}
