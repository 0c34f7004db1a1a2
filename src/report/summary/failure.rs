//! What became of an example that is not good, as the summary and the comment tell it.

use super::{health, parts};
use crate::diagnostic::inert::inert;
use crate::model::Outcome;
use crate::report::comment::about::About;
use crate::report::comment::changes::{Change, Changes};
use crate::report::comment::reproduce;
use crate::report::details::{Details, Fact, errors, facts, place};
use crate::report::markdown::Markdown;
use crate::report::{Report, Row, words};

/// Most bytes of source lines that are shown of one example.
const MAX_BLOCK: usize = 16_000;

/// A report with all that is known of it.
#[derive(Clone, Copy)]
pub(in crate::report) struct Frame<'a> {
    pub(in crate::report) report: &'a Report,
    pub(in crate::report) details: &'a Details,
    /// Without it nothing is linked, and no command is shown.
    pub(in crate::report) about: Option<&'a About>,
    pub(in crate::report) changes: Option<&'a Changes<'a>>,
    /// How many versions there are.
    versions: usize,
}

impl<'a> Frame<'a> {
    pub(in crate::report) fn new(
        report: &'a Report,
        details: &'a Details,
        about: Option<&'a About>,
        changes: Option<&'a Changes<'a>>,
    ) -> Self {
        Self { report, details, about, changes, versions: words::versions(&report.results).len() }
    }
}

/// An example that is not good, on one version or on several alike.
pub(in crate::report) struct Failure {
    pub(in crate::report) title: String,
    pub(in crate::report) facts: Vec<(&'static str, Markdown)>,
    /// The source lines of its errors.
    pub(in crate::report) block: Option<Markdown>,
    pub(in crate::report) log: Option<Log>,
    /// The command that judges it again.
    pub(in crate::report) command: Option<Markdown>,
}

/// The end of a log.
pub(in crate::report) struct Log {
    /// Whose it is, as the start of a sentence, not escaped.
    pub(in crate::report) title: String,
    pub(in crate::report) text: Markdown,
}

/// The rows that are not good, and the flaky ones, those of one example that failed alike together; what counts comes first.
pub(in crate::report) fn failing(rows: &[Row]) -> Vec<Vec<&Row>> {
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    for row in rows.iter().filter(|row| row.is_bad() || row.outcome == Outcome::Flaky) {
        let alike =
            |other: &Row| other.example == row.example && other.outcome == row.outcome && other.cause == row.cause;
        match groups.last_mut() {
            Some(group) if alike(group[0]) => group.push(row),
            _ => groups.push(vec![row]),
        }
    }
    let rank = |row: &Row| (row.outcome == Outcome::Flaky, row.quarantined, row.outcome == Outcome::Errored);
    groups.sort_by_key(|group| rank(group[0]));
    groups
}

/// What there is to tell of rows of one example that are alike, with source lines and log if they are asked for.
pub(in crate::report) fn failure(alike: &[&Row], frame: Frame<'_>, with_block: bool) -> Failure {
    let row = alike[0];
    let has_block = with_block && errors(row).next().is_some();
    let block = has_block.then(|| frame.details.errors(row, false)).filter(|block| block.len() <= MAX_BLOCK);
    let log = row.shown_log().filter(|_| with_block);
    Failure {
        title: format!(
            "{} {} {}{}{}{}{}",
            parts::icon(row.outcome),
            Markdown::code(row.example.as_str()),
            words::past(row.outcome),
            on(alike, frame),
            quarantined(row),
            change_mark(alike, frame.changes),
            frame.changes.map_or("", |changes| changes.old_mark(alike))
        ),
        facts: told(alike, frame),
        block: block.as_deref().map(Markdown::block),
        log: log.map(|(title, lines)| Log { title: capitalised(&title), text: Markdown::block(&lines.join("\n")) }),
        command: frame.about.map(|about| {
            let report = frame.report;
            Markdown::shell(&reproduce::command(alike, report.run.simulated, &report.clusters, &about.arguments))
        }),
    }
}

/// The versions of rows: ` on v1.33.4 and v1.34.0`, or ` on all 3 versions`; nothing for what was judged statically.
pub(in crate::report) fn on(alike: &[&Row], frame: Frame<'_>) -> String {
    const MANY: usize = 3;
    let versions = alike.iter().filter_map(|row| row.kubernetes.as_deref());
    let versions: Vec<_> = versions.map(|version| Markdown::code(version).to_string()).collect();
    match versions.len() {
        0 => String::new(),
        count if count >= MANY && count == frame.versions => format!(" on all {count} versions"),
        _ => format!(" on {}", words::list(&versions)),
    }
}

pub(in crate::report) fn quarantined(row: &Row) -> &'static str {
    if row.quarantined { " (quarantined)" } else { "" }
}

/// What is new about a failure.
pub(in crate::report) fn change_mark(alike: &[&Row], changes: Option<&Changes<'_>>) -> &'static str {
    let of = |change: Change| changes.is_some_and(|changes| alike.iter().any(|row| changes.of(row) == Some(change)));
    match (of(Change::Newly), of(Change::First)) {
        (true, _) => " · 🆕 newly failing",
        (false, true) => " · 🆕 not judged before",
        (false, false) => "",
    }
}

/// The facts of rows that are alike, with links where it is known where things are.
pub(in crate::report) fn told(alike: &[&Row], frame: Frame<'_>) -> Vec<(&'static str, Markdown)> {
    let row = alike[0];
    let facts = facts(row, frame.report, false);
    let told = |fact: &Fact| match fact.label {
        "history" => Some((fact.label, course(alike, frame))),
        _ => frame.about.map_or_else(|| Some((fact.label, shown(fact))), |about| placed(fact, alike, about)),
    };
    facts.iter().filter_map(told).collect()
}

/// A fact with links to where things are, unless another one tells it.
fn placed(fact: &Fact, alike: &[&Row], about: &About) -> Option<(&'static str, Markdown)> {
    let row = alike[0];
    match (fact.label, &row.cause) {
        // The object is told with its place.
        ("object", Some(cause)) if !cause.file.is_empty() => None,
        ("at", Some(cause)) => {
            let at = Markdown::code(&place(&cause.file, cause.line));
            let at = Markdown::link(&at, &about.file_url(&cause.file, cause.line));
            Some((fact.label, at.and(" · ", &Markdown::code(&cause.object))))
        }
        ("evidence", _) => Some((fact.label, evidence(alike, about))),
        _ => Some((fact.label, shown(fact))),
    }
}

/// The course of the first row, and of which version that is, if it is not that of all.
fn course(alike: &[&Row], frame: Frame<'_>) -> Markdown {
    let told = health::linked_history(alike[0], frame.report, frame.about);
    let history = |row: &Row| health::history(row, frame.report);
    let same = alike.iter().all(|row| history(row) == history(alike[0]));
    match alike[0].kubernetes.as_deref().filter(|_| !same) {
        Some(version) => told.and(" on ", &Markdown::code(version)),
        None => told,
    }
}

/// Where the evidence of rows is: in which folder of which artifact, or of the output folder's archive where there is none. The folders of one example differ by their version alone.
fn evidence(alike: &[&Row], about: &About) -> Markdown {
    const MOST: usize = 3;
    let folder = |row: &&Row| {
        let path = row.evidence.as_ref()?;
        Some(match about.artifact_of(row) {
            Some(artifact) => (Markdown::code(&format!("evidence/{path}")), artifact.link()),
            None => (Markdown::code(path), Markdown::code("evidence.zip")),
        })
    };
    let folders: Vec<_> = alike.iter().filter_map(folder).collect();
    let Some(((first, artifact), others)) = folders.split_first() else { return Markdown::default() };
    if others.iter().all(|(_, other)| other == artifact) {
        let others = if others.is_empty() { "" } else { "those of the other versions" };
        return first.clone().and(" and ", &Markdown::text(others)).and(" in ", artifact);
    }
    // Shards keep what they collected.
    let each = folders.iter().take(MOST).map(|(folder, artifact)| folder.clone().and(" in ", artifact));
    each.reduce(|all, next| all.and(", ", &next)).unwrap_or_default()
}

fn shown(fact: &Fact) -> Markdown {
    if fact.verbatim { Markdown::code(&fact.text) } else { parts::clipped(&fact.text) }
}

/// The text as the start of a line.
fn capitalised(text: &str) -> String {
    let text = inert(text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
