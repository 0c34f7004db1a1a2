//! `lint` and `run`: check the examples, report.

use std::collections::HashSet;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{publish, workspace::Workspace};
use crate::diagnostic::Diagnostic;
use crate::error::Result;
use crate::lint::{self, Checked};
use crate::model::ExampleId;
use crate::plan::{self, Plan};
use crate::report::annotations::neutral_json;
use crate::report::comment::About;
use crate::report::{self, Details, Judged, Report, Row};
use crate::settings::{Format, RunContext, Settings, Verbosity};

/// When a command began.
pub struct Start {
    pub at: Timestamp,
    pub clock: Instant,
}

/// When something was done, and how long it took.
#[derive(Clone, Copy)]
pub struct Span {
    pub began: Timestamp,
    pub took: Duration,
}

impl Span {
    /// How long it took, in milliseconds.
    pub fn millis(&self) -> u64 {
        u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Start {
    pub fn now() -> Self {
        Self { at: Timestamp::now(), clock: Instant::now() }
    }

    /// What began then, up to now, by the clock of the run.
    pub fn span(&self, began: Instant) -> Span {
        let after = began.saturating_duration_since(self.clock);
        let after =
            i64::try_from(after.as_millis()).map_or(jiff::SignedDuration::MAX, jiff::SignedDuration::from_millis);
        Span { began: self.at.checked_add(after).unwrap_or(self.at), took: began.elapsed() }
    }

    pub fn today(&self) -> jiff::civil::Date {
        self.at.to_zoned(jiff::tz::TimeZone::UTC).date()
    }
}

/// The basic tier alone, on every example; nothing is written but the report on standard output.
pub fn lint(settings: &Settings, context: &RunContext, format: Format) -> Result<u8> {
    let start = Start::now();
    let mut workspace = Workspace::open(settings)?;
    let Results { rows, details, .. } =
        judge(&mut workspace, settings, &start, |_| Some("the basic tier alone".to_owned()))?;
    let run = run_of(context, settings, &start, false);
    let report = report_of(run, Vec::new(), Vec::new(), rows, &workspace, &start);
    show(&report, &details, &workspace.diagnostics, context, settings, Shown { format, rows_are: false })?;
    let about = publish::about(settings, context, &prefix(settings, context), &[]);
    super::tell(&publish::tell_step(settings, context, &report, &details, &about), context);
    Ok(report::exit_code(&report, &workspace.config.fail_on))
}

/// The rows of a run, and the findings with their sources.
pub struct Results {
    /// One row an example.
    pub rows: Vec<Row>,
    pub details: Details,
    /// The examples that no cluster has to be asked about: an API server would refuse them, their own settings are wrong, or they
    /// can't be judged at all.
    pub settled: HashSet<ExampleId>,
}

/// Checks the examples for which `reason` gives one; registries, if they are to be asked, are asked for the images of those
/// alone.
pub fn judge(
    workspace: &mut Workspace,
    settings: &Settings,
    start: &Start,
    reason: impl Fn(&ExampleId) -> Option<String>,
) -> Result<Results> {
    if settings.selection.check_registries {
        workspace.ask_registries(|id| reason(id).is_some())?;
    }
    let checked = lint::check(&workspace.catalog, &workspace.lint_context());
    let mut results = Results { rows: Vec::new(), details: Details::default(), settled: HashSet::new() };
    for (example, Checked { diagnostics, duration }) in workspace.catalog.examples.iter().zip(checked) {
        let Some(reason) = reason(&example.id) else { continue };
        let judged = Judged { example, diagnostics: &diagnostics, reason: &reason, duration, today: start.today() };
        let is_settled = |diagnostic: &Diagnostic| diagnostic.is_refusal() || diagnostic.is_mistake();
        if example.unrendered().is_some() || diagnostics.iter().any(is_settled) {
            results.settled.insert(example.id.clone());
        }
        results.rows.push(report::static_row(&judged));
        results.details.add(example.id.clone(), diagnostics);
    }
    Ok(results)
}

/// The run, as the report has it. Its duration is known at its end.
pub fn run_of(context: &RunContext, settings: &Settings, start: &Start, simulated: bool) -> report::Run {
    report::Run {
        id: context.run_id.clone().unwrap_or_default(),
        started_at: start.at.to_string(),
        duration_ms: 0,
        repository: context.repository.clone().unwrap_or_default(),
        commit: context.sha.clone().unwrap_or_default(),
        event: context.event().to_owned(),
        pull_request: context.event_payload.pointer("/pull_request/number").and_then(serde_json::Value::as_u64),
        simulated,
        shard: settings.selection.shard.map(|shard| shard.to_string()),
    }
}

/// The report of a run that ends now.
pub fn report_of(
    run: report::Run,
    clusters: Vec<report::Cluster>,
    images: Vec<report::Image>,
    rows: Vec<Row>,
    workspace: &Workspace,
    start: &Start,
) -> Report {
    let duration_ms = u64::try_from(start.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
    let run = report::Run { duration_ms, ..run };
    Report::new(run, clusters, images, rows, &workspace.config.fail_on)
        .with_schemas(lint::schemas::Schemas::BUILTIN_VERSION)
}

/// Writes the output folder, whole or not at all. `about` is what the page's links are made of.
pub fn write_reports(
    settings: &Settings,
    report: &Report,
    details: &Details,
    plan: Option<&Plan>,
    about: &About,
) -> Result<()> {
    let json = report::json::render(report)?;
    let junit = report::junit::render(report, details)?;
    let summary = report::summary::render(report, details, report::summary::STEP_LIMIT)?;
    let page = report::html::render(report, details, about)?;
    let plan = plan.map(plan::json);
    let mut files = vec![
        ("report.json", json.as_bytes()),
        ("report.html", page.as_bytes()),
        ("junit.xml", junit.as_bytes()),
        ("summary.md", summary.as_bytes()),
    ];
    files.extend(plan.iter().map(|plan| ("plan.json", plan.as_bytes())));
    report::output::write_all(&settings.output, &files)?;
    Ok(())
}

/// Prints the report as it was asked for. What concerns no single example goes to standard error, before it.
pub fn show(
    report: &Report,
    details: &Details,
    general: &[Diagnostic],
    context: &RunContext,
    settings: &Settings,
    Shown { format, rows_are }: Shown,
) -> Result<()> {
    super::tell(general, context);
    let prefix = prefix(settings, context);
    let options = console_options(settings, context, format, &prefix);
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = match format {
        Format::Json => out.write_all(neutral_json(&report::json::render(report)?).as_bytes()),
        Format::Text | Format::Github if rows_are => report::console::write_rest(&mut out, report, details, options),
        Format::Text | Format::Github => report::console::write(&mut out, report, details, options),
    };
    super::unless_closed(written.and_then(|()| out.flush()))
}

/// How a report is shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub format: Format,
    /// Whether the rows of cells were shown when they ended.
    pub rows_are: bool,
}

/// What the console has to know.
pub fn console_options<'a>(
    settings: &Settings,
    context: &RunContext,
    format: Format,
    prefix: &'a str,
) -> report::console::Options<'a> {
    report::console::Options {
        colored: context.color.stdout,
        quiet: settings.verbosity == Verbosity::Quiet,
        github: (format == Format::Github).then_some(prefix),
        is_runners: context.github_actions,
    }
}

/// What leads from the workspace of a workflow to the root, for annotations: `services/a/`, or nothing.
pub fn prefix(settings: &Settings, context: &RunContext) -> String {
    let inside = || {
        let workspace = context.workspace.as_ref()?.canonicalize().ok()?;
        let root = settings.root.canonicalize().ok()?;
        Some(root.strip_prefix(workspace).ok()?.to_str()?.to_owned())
    };
    match inside() {
        Some(path) if !path.is_empty() => format!("{path}/"),
        _ => String::new(),
    }
}
