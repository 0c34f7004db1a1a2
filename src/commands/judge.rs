//! `lint` and `run`: check the examples, report.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;

use super::planning;
use super::workspace::Workspace;
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::Result;
use crate::lint::{self, Checked};
use crate::model::{ExampleId, Tier};
use crate::plan::{self, Plan, PlanRow};
use crate::report::{self, Details, Judged, Report, Row};
use crate::settings::{Format, RunContext, Settings, Verbosity};

/// When a command began.
struct Start {
    at: Timestamp,
    clock: Instant,
}

impl Start {
    fn now() -> Self {
        Self { at: Timestamp::now(), clock: Instant::now() }
    }

    fn today(&self) -> jiff::civil::Date {
        self.at.to_zoned(jiff::tz::TimeZone::UTC).date()
    }
}

/// The basic tier alone, on every example; nothing is written but the report on standard output.
pub fn lint(settings: &Settings, context: &RunContext, format: Format) -> Result<u8> {
    let start = Start::now();
    let mut workspace = Workspace::open(settings)?;
    let Results { rows, details } =
        judge(&mut workspace, settings, &start, |_| Some("the basic tier alone".to_owned()))?;
    let report = report_of(rows, context, settings, &workspace, &start);
    show(&report, &details, &workspace.diagnostics, context, settings, format)?;
    Ok(report::exit_code(&report, &workspace.config.fail_on))
}

/// Everything that this version can do of a run: the plan, the basic tier of what it selects, the reports.
pub fn run(settings: &Settings, context: &RunContext, format: Format) -> Result<u8> {
    let start = Start::now();
    let mut workspace = Workspace::open(settings)?;
    let plan = planning::plan_of(settings, context, &workspace, start.at)?;
    workspace.diagnostics.extend(without_clusters(&plan));
    let chosen = choices(&plan, settings);
    let Results { mut rows, details } = judge(&mut workspace, settings, &start, |id| match chosen.get(id) {
        Some(Choice::Judged(reason)) => Some(reason.clone()),
        _ => None,
    })?;
    rows.extend(skipped(&workspace, &chosen, &start));
    let report = report_of(rows, context, settings, &workspace, &start);
    // A folder that can't be written must not take the results along.
    let written = write_reports(settings, context, &report, &details, Some(&plan));
    show(&report, &details, &workspace.diagnostics, context, settings, format)?;
    written?;
    Ok(report::exit_code(&report, &workspace.config.fail_on))
}

/// That the plan wants more than this version does: a static pass must not be taken for a run.
fn without_clusters(plan: &Plan) -> Option<Diagnostic> {
    let cells: Vec<_> = plan.selected().filter(|row| row.kubernetes.is_some()).collect();
    let versions: BTreeSet<_> = cells.iter().filter_map(|row| row.kubernetes.as_deref()).collect();
    let examples: BTreeSet<_> = cells.iter().map(|row| &row.example).collect();
    (!cells.is_empty()).then(|| {
        let versions: Vec<_> = versions.into_iter().collect();
        let message = format!(
            "this version judges without a cluster: {} planned for {} are checked statically alone",
            report::plural(examples.len(), "example"),
            versions.join(", ")
        );
        Diagnostic::error(message).with_severity(Severity::Note)
    })
}

/// What a run does with an example, and why.
enum Choice {
    Judged(String),
    Skipped(String),
}

/// What the plan (or the shard of it that was asked for) comes to for each example, in a version without clusters.
fn choices(plan: &Plan, settings: &Settings) -> HashMap<ExampleId, Choice> {
    let mut rows: HashMap<ExampleId, Vec<&PlanRow>> = HashMap::new();
    let of_shard: Vec<&PlanRow> = match settings.selection.shard {
        // What the plan takes nowhere is told once, by the first shard.
        Some(shard) => {
            let left_out = plan.rows.iter().filter(|row| !row.selected && shard.number.get() == 1);
            plan.shard(shard.number.get(), shard.count.get()).into_iter().chain(left_out).collect()
        }
        None => plan.rows.iter().collect(),
    };
    for row in of_shard {
        rows.entry(row.example.clone()).or_default().push(row);
    }
    rows.into_iter().map(|(id, rows)| (id, choice(&rows))).collect()
}

fn choice(rows: &[&PlanRow]) -> Choice {
    let reason = rows.first().map(|row| row.reason.clone()).unwrap_or_default();
    if !rows.iter().any(|row| row.basic) {
        return Choice::Skipped(reason);
    }
    let versions: Vec<_> = rows.iter().filter(|row| row.selected).filter_map(|row| row.kubernetes.as_deref()).collect();
    if versions.is_empty() {
        return Choice::Judged(reason);
    }
    Choice::Judged(format!("{reason}; planned for {}, but this version judges without a cluster", versions.join(", ")))
}

/// The rows of a run, and the findings with their sources.
struct Results {
    rows: Vec<Row>,
    details: Details,
}

/// Checks the examples for which `reason` gives one; registries, if they are to be asked, are asked for the images of those
/// alone.
fn judge(
    workspace: &mut Workspace,
    settings: &Settings,
    start: &Start,
    reason: impl Fn(&ExampleId) -> Option<String>,
) -> Result<Results> {
    if settings.selection.check_registries {
        workspace.ask_registries(|id| reason(id).is_some())?;
    }
    let checked = lint::check(&workspace.catalog, &workspace.lint_context());
    let mut results = Results { rows: Vec::new(), details: Details::default() };
    for (example, Checked { diagnostics, duration }) in workspace.catalog.examples.iter().zip(checked) {
        let Some(reason) = reason(&example.id) else { continue };
        let judged = Judged { example, diagnostics: &diagnostics, reason: &reason, duration, today: start.today() };
        results.rows.push(report::static_row(&judged));
        results.details.add(example.id.clone(), diagnostics);
    }
    Ok(results)
}

/// A row for each example that the plan leaves out.
fn skipped(workspace: &Workspace, chosen: &HashMap<ExampleId, Choice>, start: &Start) -> impl Iterator<Item = Row> {
    workspace.catalog.examples.iter().filter_map(|example| match chosen.get(&example.id) {
        Some(Choice::Skipped(reason)) => Some(Row::skipped(example, Tier::Basic, start.today(), reason)),
        _ => None,
    })
}

fn report_of(
    rows: Vec<Row>,
    context: &RunContext,
    settings: &Settings,
    workspace: &Workspace,
    start: &Start,
) -> Report {
    let run = report::Run {
        id: context.run_id.clone().unwrap_or_default(),
        started_at: start.at.to_string(),
        duration_ms: u64::try_from(start.clock.elapsed().as_millis()).unwrap_or(u64::MAX),
        repository: context.repository.clone().unwrap_or_default(),
        commit: context.sha.clone().unwrap_or_default(),
        event: context.event().to_owned(),
        pull_request: context.event_payload.pointer("/pull_request/number").and_then(serde_json::Value::as_u64),
        simulated: false,
        shard: settings.selection.shard.map(|shard| shard.to_string()),
    };
    Report::new(run, Vec::new(), Vec::new(), rows, &workspace.config.fail_on)
        .with_schemas(lint::schemas::Schemas::BUILTIN_VERSION)
}

/// Writes the output folder, whole or not at all, and under GitHub Actions the step's summary.
pub fn write_reports(
    settings: &Settings,
    context: &RunContext,
    report: &Report,
    details: &Details,
    plan: Option<&Plan>,
) -> Result<()> {
    let json = report::json::render(report)?;
    let junit = report::junit::render(report, details)?;
    let summary = report::summary::render(report, details, report::summary::STEP_LIMIT)?;
    let plan = plan.map(plan::json);
    let mut files =
        vec![("report.json", json.as_bytes()), ("junit.xml", junit.as_bytes()), ("summary.md", summary.as_bytes())];
    files.extend(plan.iter().map(|plan| ("plan.json", plan.as_bytes())));
    report::output::write_all(&settings.output, &files)?;
    if let Some(path) = &context.step_summary
        && let Err(error) = append(path, &summary)
    {
        // The report on disk is there; a summary that can't be shown changes no verdict.
        tracing::warn!("can't write the step's summary: {error}");
    }
    Ok(())
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// Prints the report as it was asked for. What concerns no single example goes to standard error, before it.
pub fn show(
    report: &Report,
    details: &Details,
    general: &[Diagnostic],
    context: &RunContext,
    settings: &Settings,
    format: Format,
) -> Result<()> {
    super::tell(general, context);
    let prefix = prefix(settings, context);
    let options = report::console::Options {
        colored: context.color.stdout,
        quiet: settings.verbosity == Verbosity::Quiet,
        github: (format == Format::Github).then_some(prefix.as_str()),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = match format {
        Format::Json => out.write_all(report::json::render(report)?.as_bytes()),
        Format::Text | Format::Github => report::console::write(&mut out, report, details, options),
    };
    super::unless_closed(written.and_then(|()| out.flush()))
}

/// What leads from the workspace of a workflow to the root, for annotations: `services/a/`, or nothing.
fn prefix(settings: &Settings, context: &RunContext) -> String {
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
