//! The report for a terminal or a log, in the manner of nextest: a line an example, failures with their cause last, one line
//! of counts.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::annotations::{annotations, neutral};
use super::details::{Details, errors, facts};
use super::{Finding, Report, Row, run_wide, words};
use crate::diagnostic::Severity;
use crate::diagnostic::inert::inert;
use crate::diagnostic::render::label;
use crate::model::{Cause, Conclusion, Outcome, Tier};

/// How the report is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// With colours, for a terminal.
    pub colored: bool,
    /// Only failures and the summary.
    pub quiet: bool,
    /// For the log of a GitHub Actions step: with groups and annotations. The text leads from the workspace to the root, for
    /// the annotations (`services/a/`; empty if they are the same).
    pub github: Option<&'a str>,
    /// Whether a runner reads it and looks for commands.
    pub is_runners: bool,
}

/// Writes the report. `details` holds the findings with their sources, for the source lines of failures.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, report: &Report, details: &Details, options: Options<'_>) -> io::Result<()> {
    if report.run.simulated {
        Console { out, options }.simulated()?;
    }
    write_rows(out, report, details, options, |_| true)
}

/// Writes what is left of a report whose cells were told as they ended ([`super::progress::Progress`]).
///
/// # Errors
/// Those of `out`.
pub fn write_rest(out: &mut dyn Write, report: &Report, details: &Details, options: Options<'_>) -> io::Result<()> {
    write_rows(out, report, details, options, |row| row.kubernetes.is_none() || row.outcome == Outcome::Skipped)
}

/// Writes the report, of its list the rows that `is_listed` takes.
fn write_rows(
    out: &mut dyn Write,
    report: &Report,
    details: &Details,
    options: Options<'_>,
    is_listed: fn(&Row) -> bool,
) -> io::Result<()> {
    let mut console = Console { out, options };
    let columns = Columns::of(report.results.iter().map(|row| (row.tier, row.kubernetes.as_deref())));
    let listed: Vec<_> = report.results.iter().filter(|row| is_listed(row)).collect();
    if !options.quiet && !listed.is_empty() {
        console.list(&listed, columns)?;
    }
    let mut bad: Vec<_> = report.results.iter().filter(|row| row.is_bad()).collect();
    // The worst last, next to the summary, where a terminal is read first.
    bad.sort_by_key(|row| (!row.quarantined, row.outcome != Outcome::Errored));
    let flaky = report.results.iter().filter(|row| row.outcome == Outcome::Flaky);
    let told: Vec<_> = flaky.chain(bad.iter().copied()).collect();
    for same in told.chunk_by(|one, other| fails_alike(one, other)) {
        console.failure(same, report, details, columns)?;
    }
    if let Some(prefix) = options.github {
        for annotation in annotations(report, prefix) {
            writeln!(console.out, "{}", annotation.command())?;
        }
    }
    console.summary(report, &bad)
}

/// The widths of the columns whose contents vary from run to run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Columns {
    tier: usize,
    version: usize,
}

impl Columns {
    /// For rows of these tiers and versions.
    pub(super) fn of<'a>(rows: impl IntoIterator<Item = (Tier, Option<&'a str>)>) -> Self {
        rows.into_iter().fold(Self::default(), |widths, (tier, version)| Self {
            tier: widths.tier.max(tier.as_str().len()),
            version: widths.version.max(version.map_or(0, |version| version.chars().count())),
        })
    }
}

pub(super) struct Console<'o, 'a> {
    pub(super) out: &'o mut dyn Write,
    pub(super) options: Options<'a>,
}

impl Console<'_, '_> {
    /// Writes text of one or many lines, none of which the runner obeys.
    fn text(&mut self, text: &str) -> io::Result<()> {
        for line in text.lines() {
            let line =
                if self.options.github.is_some() || self.options.is_runners { neutral(line) } else { line.into() };
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.options.colored { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// A line under another one, less bright than it.
    pub(super) fn indented(&mut self, text: &str) -> io::Result<()> {
        self.text(&self.paint(DIM, &format!("{INDENT}{text}")))
    }

    /// That nothing of this is real.
    pub(super) fn simulated(&mut self) -> io::Result<()> {
        self.text(&self.paint(YELLOW, words::SIMULATED))?;
        self.text(words::FOR_REAL)?;
        writeln!(self.out)
    }

    /// The rows with their remarks; in a log as a group that is folded.
    fn list(&mut self, rows: &[&Row], columns: Columns) -> io::Result<()> {
        if self.options.github.is_some() {
            writeln!(self.out, "::group::{}", words::plural(words::examples(rows.iter().copied()), "example"))?;
        }
        let mut before: Option<&Row> = None;
        for row in rows.iter().copied() {
            self.row(row, columns)?;
            // What holds for every version of an example is said once.
            let said = before.is_some_and(|other| other.example == row.example && other.diagnostics == row.diagnostics);
            if !said {
                self.remarks(row, false)?;
            }
            self.undecided(row)?;
            before = Some(row);
        }
        if self.options.github.is_some() {
            writeln!(self.out, "::endgroup::")?;
        }
        Ok(())
    }

    /// `    PASS [   0.005s] basic  examples/a.yaml (PyTorchJob/x) 1 warning`.
    pub(super) fn row(&mut self, row: &Row, columns: Columns) -> io::Result<()> {
        let (word, style) = status(row.outcome);
        let mut text = format!(
            "{} [{:>8}s] {:<width$}  ",
            self.paint(style, &format!("{word:>8}")),
            words::seconds(row.duration_ms),
            row.tier,
            width = columns.tier
        );
        if columns.version > 0 {
            let version = inert(row.kubernetes.as_deref().unwrap_or("-")).into_owned();
            text.push_str(&format!("{version:<width$}  ", width = columns.version));
        }
        text.push_str(&self.paint(Style::new().bold(), &inert(row.example.as_str())));
        text.push_str(&inert(&objects(row)));
        let mark = if row.quarantined { " [quarantined]" } else { "" };
        text.push_str(&self.paint(YELLOW, mark));
        let remarks = words::remarks(row);
        if !remarks.is_empty() {
            text.push_str(&self.paint(DIM, &format!("  {remarks}")));
        }
        self.text(&text)
    }

    /// The reason of a skip, then errors, warnings and notes, a line a code. With `cause_told` without the error that is the row's cause.
    pub(super) fn remarks(&mut self, row: &Row, cause_told: bool) -> io::Result<()> {
        if row.outcome == Outcome::Skipped && !row.reason.is_empty() {
            self.indented(&inert(&row.reason))?;
        }
        for (severity, style) in [(Severity::Error, RED), (Severity::Warning, YELLOW), (Severity::Note, DIM)] {
            for findings in by_code(row, severity, cause_told) {
                let name = self.paint(style, &label(severity, &inert(&findings[0].code)));
                self.text(&format!("{INDENT}{name} {}", folded(&findings)))?;
            }
        }
        Ok(())
    }

    /// The checks that came to no result, where nothing else tells them.
    pub(super) fn undecided(&mut self, row: &Row) -> io::Result<()> {
        if row.is_bad() {
            return Ok(());
        }
        for check in words::undecided(row) {
            let name = self.paint(YELLOW, "inconclusive");
            let text = format!("{}: {}", check.check, words::first_line(&check.message));
            self.text(&format!("{INDENT}{name} {}", inert(&text)))?;
        }
        Ok(())
    }

    /// Rows that are not good, for the same reason, with all that helps to mend it.
    fn failure(&mut self, rows: &[&Row], report: &Report, details: &Details, columns: Columns) -> io::Result<()> {
        let Some(row) = rows.first() else { return Ok(()) };
        writeln!(self.out)?;
        for row in rows {
            self.row(row, columns)?;
        }
        for fact in facts(row, report, true) {
            let name = self.paint(Style::new().bold(), &format!("{:>8}", fact.label));
            self.text(&format!("{name}: {}", inert(&fact.text)))?;
        }
        if let Some((title, lines)) = row.shown_log() {
            let name = self.paint(Style::new().bold(), &format!("{:>8}", "log"));
            self.text(&format!("{name}: {title}"))?;
            for line in lines {
                self.indented(&format!("| {line}"))?;
            }
        }
        let errors = details.errors(row, self.options.colored);
        self.text(&errors)
    }

    /// The line of counts, and what to do next.
    fn summary(&mut self, report: &Report, bad: &[&Row]) -> io::Result<()> {
        let style = match report.summary.conclusion {
            Conclusion::Success => GREEN,
            Conclusion::Failure => RED,
            Conclusion::Error | Conclusion::Cancelled | Conclusion::Simulated => YELLOW,
        };
        self.text(&self.paint(DIM, RULE))?;
        let counts = words::counts(&report.results);
        let seconds = words::seconds(report.run.duration_ms);
        let scope = words::scope(report);
        self.text(&format!("{} [{seconds:>8}s] {scope}: {counts}", self.paint(style, " Summary")))?;
        for line in cleanup(report).into_iter().chain(run_wide::lines(report)) {
            self.text(&format!("{INDENT}{line}"))?;
        }
        for line in next_steps(report, bad) {
            self.text(&format!("{INDENT}{line}"))?;
        }
        Ok(())
    }
}

const RULE: &str = "────────────";
const INDENT: &str = "         ";
const GREEN: Style = AnsiColor::Green.on_default().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const DIM: Style = Style::new().dimmed();

fn status(outcome: Outcome) -> (&'static str, Style) {
    match outcome {
        Outcome::Passed => ("PASS", GREEN),
        Outcome::Failed => ("FAIL", RED),
        Outcome::TimedOut => ("TIMEOUT", RED),
        Outcome::Flaky => ("FLAKY", YELLOW),
        Outcome::Skipped => ("SKIP", YELLOW),
        Outcome::Errored => ("ERROR", YELLOW),
    }
}

/// ` (PyTorchJob/x)`, ` (PyTorchJob/x and 2 more)`, ` (support file)`, ` (Deployment/x, support file)`; nothing for an example
/// without judged objects, such as a script.
fn objects(row: &Row) -> String {
    let objects = match row.objects.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        [first, rest @ ..] => Some(format!("{first} and {} more", rest.len())),
    };
    let support = row.support.then(|| "support file".to_owned());
    let parts: Vec<_> = objects.into_iter().chain(support).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// Whether what is wrong stands in the manifest, so that it is the same on every version.
fn fails_alike(one: &Row, other: &Row) -> bool {
    let is_static = one.attempts.is_empty() && errors(one).next().is_some();
    is_static && one.example == other.example && one.cause == other.cause && one.diagnostics == other.diagnostics
}

/// The findings of one severity, by code, in the order in which the codes first occur; without that which is the cause, if that is told.
fn by_code(row: &Row, severity: Severity, cause_told: bool) -> Vec<Vec<&Finding>> {
    let is_told = |finding: &&Finding| {
        let is_cause = |cause: &Cause| cause.reason == finding.code && cause.message == finding.message;
        cause_told && row.cause.as_ref().is_some_and(is_cause)
    };
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for finding in row.remarks().filter(|finding| finding.severity == severity && !is_told(finding)) {
        let place = *places.entry(&finding.code).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        groups[place].push(finding);
    }
    groups
}

/// Findings of one code in one line: `line 12: image ... has no tag (and 2 more, at lines 30 and 48)`.
fn folded(findings: &[&Finding]) -> String {
    const MAX_LINES: usize = 5;
    let first = findings[0];
    let mut text = if first.line > 0 { format!("line {}: ", first.line) } else { String::new() };
    text.push_str(&inert(&first.message));
    let mut lines: Vec<u32> = findings[1..].iter().map(|finding| finding.line).filter(|line| *line > 0).collect();
    lines.dedup();
    let more = findings.len() - 1;
    if more > 0 {
        let places = match lines.len() {
            0 => String::new(),
            1 => format!(", at line {}", lines[0]),
            count if count <= MAX_LINES => {
                format!(", at lines {}", words::list(&lines.iter().map(u32::to_string).collect::<Vec<_>>()))
            }
            _ => format!(", up to line {}", lines[lines.len() - 1]),
        };
        text.push_str(&format!(" (and {more} more{places})"));
    }
    text
}

/// How much of the time went into waiting for namespaces to be deleted, if that is worth a word.
fn cleanup(report: &Report) -> Option<String> {
    const LONG: u64 = 5_000;
    let waited = report.clusters.iter().filter_map(|cluster| cluster.phases.get("cleanupMs")?.as_u64()).max()?;
    (waited >= LONG).then(|| format!("{} of it waiting for namespaces to be deleted.", words::duration(waited)))
}

/// That nothing of what was meant for a cluster was tried on one, and why.
fn nowhere(report: &Report) -> Option<String> {
    let mut cells = report.results.iter().filter(|row| row.kubernetes.is_some()).peekable();
    cells.peek()?;
    if !report.clusters.is_empty() || report.results.iter().any(|row| !row.attempts.is_empty()) {
        return None;
    }
    let why = cells.find(|row| row.outcome == Outcome::Skipped).filter(|row| !row.reason.is_empty())?;
    Some(format!("Nothing ran on a cluster: {}", inert(words::first_line(&why.reason))))
}

/// What the counts alone do not say, and what to do about it, in a line each.
fn next_steps(report: &Report, bad: &[&Row]) -> Vec<String> {
    let mut lines = Vec::new();
    if report.summary.conclusion == Conclusion::Cancelled {
        lines.push("The run was cancelled: what is missing here was not judged.".to_owned());
    }
    if report.run.simulated {
        lines.extend([words::SIMULATED.to_owned(), words::FOR_REAL.to_owned()]);
    }
    if report.results.is_empty() {
        lines.push(
            "No examples were found: see `examples` in the config, or name files and folders as arguments.".to_owned(),
        );
    }
    lines.extend(nowhere(report));
    let quarantined = bad.iter().filter(|row| row.quarantined).count();
    if quarantined > 0 {
        let verb = if quarantined == 1 { "does" } else { "do" };
        lines.push(format!("{} {verb} not count.", words::plural(quarantined, "quarantined failure")));
    }
    if report.results.iter().any(|row| row.evidence.is_some() && (row.is_bad() || row.outcome == Outcome::Flaky)) {
        lines.push(
            "Logs, events and objects are in evidence.zip of the output folder, under the paths named above."
                .to_owned(),
        );
    }
    let is_error = |finding: &&Finding| finding.severity == Severity::Error;
    let mut codes: Vec<_> =
        report.results.iter().flat_map(Row::remarks).filter(is_error).map(|finding| inert(&finding.code)).collect();
    codes.retain(|code| !code.is_empty());
    codes.sort();
    codes.dedup();
    if let Some((first, others)) = codes.split_first() {
        let others = if others.is_empty() { String::new() } else { format!(" (or {})", others.join(", ")) };
        lines.push(format!("What it means and how to mend it: example-validator explain {first}{others}"));
    }
    if let Some(schemas) = &report.tool.schemas {
        lines.push(format!("Built-in kinds were checked by the schemas of Kubernetes {}.", inert(schemas)));
    }
    lines
}
