//! `run`: the plan, the basic tier of what it selects, its cells on clusters, the reports.

mod builds;
mod chosen;
mod ground;
mod on_clusters;
mod on_kind;
mod operator_checks;
mod outputs;
mod place;
mod pulls;
pub mod scratch;
mod version;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio::runtime::Runtime;

use super::changes;
use super::history::Kept;
use super::judge::{self, Results, Start};
use super::planning;
use super::publish::{self, Finished};
use super::workspace::Workspace;
use crate::cancel::{Signal, Signals};
use crate::config;
use crate::error::Result;
use crate::image::Store;
use crate::kustomize;
use crate::model::Tier;
use crate::plan::Plan;
use crate::report::{self, Row};
use crate::settings::{Format, RunContext, Settings};
use chosen::{Choice, Chosen};
use on_clusters::{Judged, Work};
use outputs::Outputs;
use place::{Place, Reached};
use scratch::Scratch;

/// Everything; the exit code is the design's.
pub fn run(settings: &Settings, context: &RunContext, format: Format) -> Result<u8> {
    report::output::check_place(&settings.output, &settings.root)?;
    let start = Start::now();
    let signals = Signals::install()?;
    let runtime = super::runtime()?;
    let scratch = Scratch::new(context.runner_temp.as_deref())?;
    let world = Found::look(settings, context, &start, &signals, &runtime, scratch.path())?;
    let Found { mut workspace, kept, plan, place, helm } = world;
    let chosen = Chosen::new(&plan, settings, &place);
    let Results { mut rows, details, settled } =
        judge::judge(&mut workspace, settings, &start, |id| chosen.judged(id))?;
    rows.extend(skipped(&workspace, &chosen, &start));
    let mut run = judge::run_of(context, settings, &start, place.is_simulated());
    if (place.has_clusters() || kept.is_kept()) && run.id.is_empty() {
        run.id = local_id(start.at);
    }
    if kept.is_kept() && run.commit.is_empty() && !context.github_actions {
        run.commit = crate::git::unchanged_head(&settings.root).unwrap_or_default();
    }
    let prefix = judge::prefix(settings, context);
    let sensitive = changes::sensitive(settings, context);
    let outputs = Outputs::open(settings, context, format, &run, &prefix, &chosen.cells())?;
    let id = context.unique_id(settings.selection.shard).unwrap_or_else(|| run.id.clone());
    let work = Work {
        settings,
        workspace: &workspace,
        chosen: &chosen,
        start: &start,
        settled: &settled,
        place: &place,
        run_id: &id,
        scratch: scratch.path(),
        outputs: &outputs,
        store: Store::new(&settings.cache, context, workspace.config.cache_on_pull_request, scratch.path()),
        helm,
        signals: &signals,
        environment: &context.environment,
    };
    let Judged { rows, clusters, images, mut remarks } = runtime.block_on(work.judge(rows))?;
    remarks.extend(runtime.block_on(place.leave()));
    // What a simulator says proves nothing, wherever it runs.
    run.simulated |= clusters.iter().any(|cluster| cluster.provider == "simulated");
    let mut report = judge::report_of(run, clusters, images, rows, &workspace, &start);
    // A signal that comes later finds a run that is done.
    let signal = signals.received();
    if signal.is_some() {
        report = report.cancelled();
    }
    kept.assess(&mut report, Timestamp::now());
    // A folder that can't be written must not take the results along, and evidence may be large.
    let written = outputs.write(&report, &details, &plan);
    let general: Vec<_> = workspace.diagnostics.iter().cloned().chain(remarks).collect();
    outputs.show(&report, &details, &general)?;
    let closed = outputs.close(&report);
    // Only now that everything is on disk: GitHub may take its time.
    let addressee = runtime.block_on(publish::addressee(settings, context, &signals.cancel));
    let mut about = publish::about(settings, context, &prefix, &sensitive);
    if let Some(found) = addressee.pull_request() {
        publish::address(&mut about, context.event(), found);
    }
    let cancel = &signals.cancel;
    runtime.block_on(kept.remember(&report, settings, context, &mut about, cancel));
    let finished = Finished {
        settings,
        context,
        report: &report,
        details: &details,
        addressee: &addressee,
        is_merged: false,
        about,
        cancel,
    };
    super::tell(&runtime.block_on(finished.publish()), context);
    written?;
    closed?;
    let code = report::exit_code(&report, &workspace.config.fail_on);
    Ok(signal.map_or(code, Signal::exit_code))
}

/// What a run finds before it does anything.
struct Found {
    workspace: Workspace,
    kept: Kept,
    plan: Plan,
    place: Place,
    helm: PathBuf,
}

impl Found {
    fn look(
        settings: &Settings,
        context: &RunContext,
        start: &Start,
        signals: &Signals,
        runtime: &Runtime,
        scratch: &Path,
    ) -> Result<Self> {
        let config = settings.over(config::read(&settings.root, settings.config.as_deref())?)?;
        let reached = runtime.block_on(Reached::find(settings, context, &config, scratch, &signals.cancel))?;
        if let Reached::Machine(machine) = &reached
            && let Some(kubectl) = runtime.block_on(unless_cancelled(signals, machine.kubectl())).flatten()
        {
            kustomize::render_with(kubectl);
        }
        let mut workspace = Workspace::open(settings)?;
        let reading = unless_cancelled(signals, Kept::read(settings, context, &workspace.config));
        let mut kept = runtime.block_on(reading).transpose()?.unwrap_or_default();
        workspace.diagnostics.append(&mut kept.told);
        workspace.diagnostics.extend(reached.unlike(settings, &config)?);
        let version = reached.version(&config);
        let plan = planning::plan_of(settings, context, &workspace, kept.history(), start.at, version)?;
        let (place, remarks) = runtime.block_on(reached.settle(settings, &workspace, &plan, &signals.cancel))?;
        workspace.diagnostics.extend(remarks);
        let is_deployed = match &place {
            Place::Kind(ground) => ground.is_ok(),
            Place::Existing(cluster) => cluster.is_ok() && settings.cluster.install_operator,
            _ => false,
        };
        let helm = is_deployed
            .then(|| runtime.block_on(unless_cancelled(signals, ground::helm(settings, context, &config, scratch))));
        let helm = helm.flatten().unwrap_or_else(|| PathBuf::from("helm"));
        Ok(Self { workspace, kept, plan, place, helm })
    }
}

/// What comes of it, unless the run is cancelled before.
async fn unless_cancelled<T>(signals: &Signals, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = signals.cancel.cancelled() => None,
    }
}

/// A row for each example that the plan leaves out.
fn skipped(workspace: &Workspace, chosen: &Chosen, start: &Start) -> impl Iterator<Item = Row> {
    workspace.catalog.examples.iter().filter_map(|example| match chosen.of(&example.id) {
        Some(Choice::Skipped(reason)) => Some(Row::skipped(example, Tier::Basic, start.today(), reason)),
        _ => None,
    })
}

/// What identifies a run outside GitHub Actions.
fn local_id(at: Timestamp) -> String {
    format!("local-{:x}-{:x}", at.as_millisecond(), std::process::id())
}
