//! The report for a terminal or a log, in the manner of nextest: a line an example, failures with their cause last, one line
//! of counts.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::annotations::{annotations, neutral};
use super::details::{Details, errors, facts};
use super::{Finding, Report, Row, words};
use crate::diagnostic::Severity;
use crate::diagnostic::inert::inert;
use crate::diagnostic::render::label;
use crate::model::{Conclusion, Outcome, Tier};

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
    for row in report.results.iter().filter(|row| row.outcome == Outcome::Flaky).chain(bad.iter().copied()) {
        console.failure(row, report, details, columns)?;
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
            let line = if self.options.github.is_some() { neutral(line) } else { line.into() };
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
                self.remarks(row)?;
            }
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

    /// The reason of a skip, then warnings and notes, a line a code.
    pub(super) fn remarks(&mut self, row: &Row) -> io::Result<()> {
        if row.outcome == Outcome::Skipped && !row.reason.is_empty() {
            self.indented(&inert(&row.reason))?;
        }
        for (severity, style) in [(Severity::Warning, YELLOW), (Severity::Note, DIM)] {
            for findings in by_code(row, severity) {
                let name = self.paint(style, &label(severity, &findings[0].code));
                self.text(&format!("{INDENT}{name} {}", folded(&findings)))?;
            }
        }
        Ok(())
    }

    /// A row that is not good with all that helps to mend it.
    fn failure(&mut self, row: &Row, report: &Report, details: &Details, columns: Columns) -> io::Result<()> {
        writeln!(self.out)?;
        self.row(row, columns)?;
        for fact in facts(row, report, true) {
            let name = self.paint(Style::new().bold(), &format!("{:>8}", fact.label));
            self.text(&format!("{name}: {}", inert(&fact.text)))?;
        }
        if let Some((title, lines)) = details.log(row) {
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

/// The findings of one severity, by code, in the order in which the codes first occur.
fn by_code(row: &Row, severity: Severity) -> Vec<Vec<&Finding>> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for finding in row.diagnostics.iter().filter(|finding| finding.severity == severity) {
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
    let mut codes: Vec<_> = bad.iter().flat_map(|row| errors(row)).map(|finding| inert(&finding.code)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Diagnostic, Source};
    use crate::model::{ExampleId, Tier};
    use crate::report::{LogTail, Run, sample};
    use crate::yaml::Span;
    use insta::assert_snapshot;

    fn shown(rows: Vec<Row>, details: &Details, options: Options<'_>) -> String {
        let run = Run { duration_ms: 21, ..Run::default() };
        let report = Report::new(run, vec![], vec![], rows, &[Outcome::Failed, Outcome::TimedOut]);
        let mut out = Vec::new();
        write(&mut out, &report.with_schemas("v1.37"), details, options).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn rows() -> Vec<Row> {
        let mut remarked = sample::row("examples/remarked.yaml", Outcome::Passed);
        let warning = |line| sample::finding("EV302", Severity::Warning, "examples/remarked.yaml", line, "no tag");
        let note = sample::finding("EV501", Severity::Note, "examples/remarked.yaml", 4, "namespace is rewritten");
        remarked.diagnostics = vec![warning(12), note, warning(30), warning(48)];
        let mut support = sample::row("examples/etcd.yaml", Outcome::Passed);
        support.objects.clear();
        support.support = true;
        let mut spared = sample::broken("examples/spared.yaml");
        spared.quarantined = true;
        let mut skipped = sample::row("examples/gpu.yaml", Outcome::Skipped);
        skipped.reason = "needs nvidia.com/gpu, which no node of this run has".to_owned();
        vec![sample::broken("examples/broken.yaml"), remarked, support, spared, skipped]
    }

    fn details() -> Details {
        let source = Source::new("examples/broken.yaml", "kind: X\nspec:\n    x: 1\n");
        let mut error =
            Diagnostic::error("spec.x: unknown field").at(&source, Span::new(18, 19)).with_help("remove it");
        error.code = Some("EV105");
        let mut details = Details::default();
        details.add(ExampleId::new("examples/broken.yaml"), vec![error]);
        details
    }

    #[test]
    fn a_static_run_reads_from_the_list_to_what_is_to_be_done() {
        assert_snapshot!(shown(rows(), &details(), Options::default()), @"
            FAIL [   0.005s] basic  examples/broken.yaml (PyTorchJob/x)
            PASS [   0.005s] basic  examples/etcd.yaml (support file)
            SKIP [   0.005s] basic  examples/gpu.yaml (PyTorchJob/x)
                 needs nvidia.com/gpu, which no node of this run has
            PASS [   0.005s] basic  examples/remarked.yaml (PyTorchJob/x)  3 warnings, 1 note
                 warning[EV302] line 12: no tag (and 2 more, at lines 30 and 48)
                 note[EV501] line 4: namespace is rewritten
            FAIL [   0.005s] basic  examples/spared.yaml (PyTorchJob/x) [quarantined]

            FAIL [   0.005s] basic  examples/spared.yaml (PyTorchJob/x) [quarantined]
        error[EV105]: examples/spared.yaml:3:5: spec.x: unknown field (help: remove it)

            FAIL [   0.005s] basic  examples/broken.yaml (PyTorchJob/x)
        error[EV105]: spec.x: unknown field
         --> examples/broken.yaml:3:5
          |
        3 |     x: 1
          |     ^
          |
          = help: remove it
        ────────────
         Summary [   0.021s] 5 examples: 2 passed, 2 failed (1 quarantined), 1 skipped
                 1 quarantined failure does not count.
                 What it means and how to mend it: example-validator explain EV105
                 Built-in kinds were checked by the schemas of Kubernetes v1.37.
        ");
    }

    #[test]
    fn quiet_leaves_failures_and_the_summary() {
        let options = Options { quiet: true, ..Options::default() };
        assert_snapshot!(shown(rows(), &Details::default(), options), @"
            FAIL [   0.005s] basic  examples/spared.yaml (PyTorchJob/x) [quarantined]
        error[EV105]: examples/spared.yaml:3:5: spec.x: unknown field (help: remove it)

            FAIL [   0.005s] basic  examples/broken.yaml (PyTorchJob/x)
        error[EV105]: examples/broken.yaml:3:5: spec.x: unknown field (help: remove it)
        ────────────
         Summary [   0.021s] 5 examples: 2 passed, 2 failed (1 quarantined), 1 skipped
                 1 quarantined failure does not count.
                 What it means and how to mend it: example-validator explain EV105
                 Built-in kinds were checked by the schemas of Kubernetes v1.37.
        ");
    }

    #[test]
    fn cells_show_their_version_and_what_holds_for_all_versions_once() {
        let mut basic = sample::row("examples/a.yaml", Outcome::Passed);
        basic.objects.push("Job/y".to_owned());
        basic.support = true;
        let mut flaky = sample::slow("examples/slow.yaml", "v1.34.0");
        (flaky.outcome, flaky.attempts[1].outcome) = (Outcome::Flaky, Outcome::Passed);
        flaky.tier = Tier::Periodic;
        let rows = vec![basic, sample::slow("examples/slow.yaml", "v1.9.0"), flaky];
        assert_snapshot!(shown(rows, &Details::default(), Options::default()), @"
            PASS [   0.005s] basic     -        examples/a.yaml (PyTorchJob/x and 1 more, support file)
         TIMEOUT [ 900.120s] full      v1.9.0   examples/slow.yaml (PyTorchJob/x)  2 attempts, 1 warning
                 warning[EV302] line 9: image `x` has no tag
           FLAKY [ 900.120s] periodic  v1.34.0  examples/slow.yaml (PyTorchJob/x)  2 attempts, 1 warning

           FLAKY [ 900.120s] periodic  v1.34.0  examples/slow.yaml (PyTorchJob/x)  2 attempts, 1 warning
           cause: timeout/Timeout: not finished after 15m
            hint: raise `timeout`
          object: Pod/x-worker-0
              at: examples/slow.yaml:1
        attempts: timed out, then passed
           check: logs failed: no line matches
        evidence: v1.34.0/examples/slow.yaml

         TIMEOUT [ 900.120s] full      v1.9.0   examples/slow.yaml (PyTorchJob/x)  2 attempts, 1 warning
           cause: timeout/Timeout: not finished after 15m
            hint: raise `timeout`
          object: Pod/x-worker-0
              at: examples/slow.yaml:1
        attempts: timed out, then timed out
        versions: timed out on v1.9.0 alone, passed on v1.34.0
           check: logs failed: no line matches
        evidence: v1.9.0/examples/slow.yaml
        ────────────
         Summary [   0.021s] 2 examples on v1.9.0 and v1.34.0 (3 results): 1 passed, 1 flaky, 0 failed, 1 timed out, 0 skipped
                 Logs, events and objects are in evidence.zip of the output folder, under the paths named above.
                 Built-in kinds were checked by the schemas of Kubernetes v1.37.
        ");
    }

    #[test]
    fn a_log_has_groups_and_annotations_and_obeys_no_text_of_others() {
        let mut row = sample::broken("examples/##[group]x.yaml");
        row.diagnostics[0].message = "\u{1b}[31m\n::error::x".to_owned();
        let options = Options { github: Some(""), ..Options::default() };
        assert_snapshot!(shown(vec![row], &Details::default(), options), @"
        ::group::1 example
            FAIL [   0.005s] basic  examples/## [group]x.yaml (PyTorchJob/x)
        ::endgroup::

            FAIL [   0.005s] basic  examples/## [group]x.yaml (PyTorchJob/x)
           cause: manifest/EV105: spec.x: unknown field
            hint: remove it
          object: PyTorchJob/x
              at: examples/## [group]x.yaml:3
        error[EV105]: examples/## [group]x.yaml:3:5: ␛[31m␊::error::x (help: remove it)
        ::error file=examples/##[group]x.yaml,line=3,endLine=3,col=5,title=EV105::␛[31m␊::error::x%0Ahelp: remove it
        ────────────
         Summary [   0.021s] 1 example: 0 passed, 1 failed, 0 skipped
                 What it means and how to mend it: example-validator explain EV105
                 Built-in kinds were checked by the schemas of Kubernetes v1.37.
        ");
    }

    fn on_two_versions() -> Vec<Row> {
        let mut passed = sample::slow("examples/slow.yaml", "v1.9.0");
        (passed.outcome, passed.cause) = (Outcome::Passed, None);
        let mut flaky = sample::slow("examples/flaky.yaml", "v1.34.0");
        (flaky.outcome, flaky.attempts[1].outcome) = (Outcome::Flaky, Outcome::Passed);
        flaky.checks.clear();
        let mut cancelled = sample::slow("examples/z.yaml", "v1.34.0");
        (cancelled.outcome, cancelled.reason) = (Outcome::Skipped, "cancelled before its turn".to_owned());
        (cancelled.cause, cancelled.evidence) = (None, None);
        cancelled.attempts.clear();
        vec![passed, sample::slow("examples/slow.yaml", "v1.34.0"), flaky, cancelled]
    }

    #[test]
    fn a_simulated_run_of_cells_that_were_told_leaves_the_rest_with_logs_and_says_what_it_is() {
        let run = Run { duration_ms: 21, simulated: true, ..Run::default() };
        let report = Report::new(run, vec![], vec![], on_two_versions(), &[Outcome::TimedOut]).cancelled();
        let mut details = Details::default();
        let lines = vec!["Traceback (most recent call last):".to_owned(), "::error::\u{1b}[31mboom".to_owned()];
        let log = LogTail { of: "Pod/x-worker-0, container pytorch".to_owned(), lines };
        details.add_log(ExampleId::new("examples/slow.yaml"), "v1.34.0", log);
        let mut out = Vec::new();
        write_rest(&mut out, &report, &details, Options::default()).unwrap();
        assert_snapshot!(String::from_utf8(out).unwrap(), @"
            SKIP [ 900.120s] full  v1.34.0  examples/z.yaml (PyTorchJob/x)  1 warning
                 cancelled before its turn
                 warning[EV302] line 9: image `x` has no tag

           FLAKY [ 900.120s] full  v1.34.0  examples/flaky.yaml (PyTorchJob/x)  2 attempts, 1 warning
           cause: timeout/Timeout: not finished after 15m
            hint: raise `timeout`
          object: Pod/x-worker-0
              at: examples/flaky.yaml:1
        attempts: timed out, then passed
        evidence: v1.34.0/examples/flaky.yaml

         TIMEOUT [ 900.120s] full  v1.34.0  examples/slow.yaml (PyTorchJob/x)  2 attempts, 1 warning
           cause: timeout/Timeout: not finished after 15m
            hint: raise `timeout`
          object: Pod/x-worker-0
              at: examples/slow.yaml:1
        attempts: timed out, then timed out
        versions: timed out on v1.34.0 alone, passed on v1.9.0
           check: logs failed: no line matches
        evidence: v1.34.0/examples/slow.yaml
             log: the last 2 lines of Pod/x-worker-0, container pytorch
                 | Traceback (most recent call last):
                 | ::error::␛[31mboom
        ────────────
         Summary [   0.021s] 3 examples on v1.9.0 and v1.34.0 (4 results): 1 passed, 1 flaky, 0 failed, 1 timed out, 1 skipped
                 The run was cancelled: what is missing here was not judged.
                 Simulated: no real cluster was used, so that nothing here says whether the examples work.
                 For real: `--cluster kind` (needs a Docker engine), or `--cluster existing` (needs a kubeconfig).
                 Logs, events and objects are in evidence.zip of the output folder, under the paths named above.
        ");
        let mut out = Vec::new();
        write(&mut out, &report, &details, Options { quiet: true, ..Options::default() }).unwrap();
        assert!(String::from_utf8(out).unwrap().starts_with("Simulated: no real cluster was used"));
    }

    #[test]
    fn no_examples_are_told_with_what_to_do() {
        assert_snapshot!(shown(vec![], &Details::default(), Options::default()), @"
        ────────────
         Summary [   0.021s] 0 examples: 0 passed, 0 failed, 0 skipped
                 No examples were found: see `examples` in the config, or name files and folders as arguments.
                 Built-in kinds were checked by the schemas of Kubernetes v1.37.
        ");
    }

    #[test]
    fn colours_are_only_there_when_asked_for() {
        let options = Options { colored: true, ..Options::default() };
        assert!(shown(rows(), &details(), options).contains("\u{1b}[1m\u{1b}[31m    FAIL\u{1b}[0m ["));
        assert!(!shown(rows(), &details(), Options::default()).contains('\u{1b}'));
    }
}
