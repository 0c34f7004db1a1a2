//! Everything that is known of one example: what all its versions share, then each version.

use askama::Template;

use super::Told;
use super::cell;
use super::example::Example;
use super::fit::Level;
use super::grid::tone;
use super::text::{Html, Link, Text};
use crate::diagnostic::Severity;
use crate::report::comment::reproduce;
use crate::report::details::one_line;
use crate::report::{Row, words};

/// Most lines of errors, warnings and notes, objects.
const ERROR_LINES: usize = 160;
const REMARKS: usize = 20;
const OBJECTS: usize = 12;

#[derive(Template)]
#[template(path = "report_example.html")]
struct Article {
    tone: &'static str,
    anchor: String,
    folder: Text,
    file: Text,
    facts: Vec<Text>,
    source: Option<Link>,
    errors: Text,
    remarks: Vec<Text>,
    more_remarks: usize,
    again: Text,
    cells: Vec<Html>,
    /// How many more versions it has.
    more_cells: usize,
}

/// The article of an example at this level of detail.
pub(super) fn article(example: &Example<'_>, told: Told<'_>, level: Level) -> Result<Html, askama::Error> {
    let row = example.worst();
    let (folder, file) = example.parts();
    let remarks: Vec<_> = row.diagnostics.iter().filter(|finding| finding.severity != Severity::Error).collect();
    let most = if level <= Level::Bare { 0 } else { REMARKS };
    let alike: Vec<&Row> = example.rows.iter().filter(|row| row.is_bad()).collect();
    let again = match alike.as_slice() {
        [] => String::new(),
        _ if level == Level::Named => String::new(),
        alike => reproduce::command(alike, told.report.run.simulated, &told.report.clusters, &told.about.arguments),
    };
    let shown = if level == Level::Named { std::slice::from_ref(row) } else { example.rows };
    let cells = shown.iter().map(|row| cell::cell(example, row, told, level));
    let article = Article {
        tone: tone(example),
        anchor: example.anchor(),
        folder: Text::new(folder),
        file: Text::new(file),
        facts: if level == Level::Named { Vec::new() } else { facts(row) },
        source: Some(Link::new("view the file", &told.about.file_url(example.name(), 0)))
            .filter(|link| link.href.is_some() && level > Level::Named),
        errors: match level {
            Level::Named | Level::Bare => Text::default(),
            _ => Text::lines(told.details.errors(row, false).trim_end().lines(), ERROR_LINES),
        },
        more_remarks: remarks.len().saturating_sub(most),
        remarks: remarks.iter().take(most).map(|finding| Text::new(&one_line(finding))).collect(),
        again: Text::clipped(&again, 8_000),
        cells: cells.collect::<Result<_, _>>()?,
        more_cells: example.rows.len() - shown.len(),
    };
    Ok(Html::made(article.render()?))
}

/// What it is: its framework, tier, objects.
fn facts(row: &Row) -> Vec<Text> {
    let mut facts = vec![words::role(row), format!("{} tier", row.tier)];
    let shown = row.objects.iter().take(OBJECTS).cloned().collect::<Vec<_>>();
    let more = row.objects.len().saturating_sub(OBJECTS);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    facts.push(format!("{}{more}", shown.join(", ")));
    facts.iter().filter(|fact| !fact.is_empty()).map(|fact| Text::new(fact)).collect()
}
