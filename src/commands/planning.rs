//! `plan`, and the plan of a `run`: the one that was given, or one made from the event and the changed files.

use std::path::Path;

use jiff::Timestamp;

use super::{changes, for_log, gather, history::Kept, say, tell, workspace::Workspace};
use crate::diagnostic::Diagnostic;
use crate::error::{Error, Result, chain};
use crate::github::artifact::{self, Contents, NewArtifact};
use crate::github::collect::plan_name;
use crate::github::outputs;
use crate::github::results::{Absent, Results};
use crate::history::{self, History};
use crate::plan::{self, Changes, Plan, PlanInputs, kustomize_deps, workflows};
use crate::report;
use crate::report::annotations::neutral_json;
use crate::settings::{ChangedFiles, PlanFormat, PlanSource, RunContext, Settings};

/// The plan's file in the output folder.
pub const PLAN_FILE: &str = "plan.json";

/// Prints the plan. Under GitHub Actions it is kept, too, for the jobs that obey it; and what of the change a reviewer should
/// see is told.
pub fn plan(settings: &Settings, context: &RunContext, format: PlanFormat) -> Result<u8> {
    let workspace = Workspace::open(settings)?;
    let kept = super::runtime()?.block_on(Kept::read(settings, context, &workspace.config))?;
    tell(&workspace.diagnostics, context);
    tell(&kept.told, context);
    let plan = plan_of(settings, context, &workspace, kept.history(), Timestamp::now(), None)?;
    if context.github_actions {
        keep(settings, &plan)?;
        hand_over(settings, context, &plan)?;
        let sensitive = changes::sensitive(settings, context).into_iter().map(|what| format!("this change {what}"));
        tell(&sensitive.map(gather::warning).collect::<Vec<_>>(), context);
    }
    // The process is about to end: to free a long history's lines one by one would be a quarter of the time.
    std::mem::forget(kept);
    say(&match format {
        PlanFormat::Table => for_log(&plan::table(&plan, context.event_name.is_none()), context).into_owned(),
        PlanFormat::Json => neutral_json(&plan::json(&plan)),
        PlanFormat::GithubMatrix => neutral_json(&plan::github_matrix(&plan)?) + "\n",
    })
}

/// Writes the plan into the output folder, whole or not at all. The jobs that obey it are as many as its matrix has: one that would be too
/// large is refused before.
fn keep(settings: &Settings, plan: &Plan) -> Result<()> {
    plan::github_matrix(plan)?;
    report::output::write_all(&settings.output, &[(PLAN_FILE, plan::json(plan).as_bytes())])
}

/// Gives the plan to the jobs that will obey it: as an artifact, with the matrix as an output.
fn hand_over(settings: &Settings, context: &RunContext, plan: &Plan) -> Result<()> {
    let mut outputs = vec![("matrix", plan::github_matrix(plan)?)];
    match share(settings, context, plan) {
        Ok(Some(id)) => {
            let repository = context.repository.as_deref().unwrap_or_default();
            let run = context.run_id.as_deref().unwrap_or_default();
            let url = artifact::page(&context.server_url, repository, run, id);
            outputs.extend([("artifact-id", id.to_string()), ("artifact-url", url)]);
        }
        Ok(None) => {}
        Err(why) => tell(&[why], context),
    }
    let Some(file) = &context.output_file else { return Ok(()) };
    outputs::append(file, &outputs).map_err(|error| Error::io("write", file, error))
}

/// Leaves the plan among the run's artifacts, where its shards find it by its digest. That it can't be left there is told: with its file
/// passed on by other means the shards can obey it all the same.
fn share(settings: &Settings, context: &RunContext, plan: &Plan) -> Result<Option<u64>, Diagnostic> {
    let results = match Results::new(&context.services, &context.server_url) {
        Ok(results) => results,
        Err(Absent::Outside) => return Ok(None),
        Err(why) => return Err(not_shared(&why)),
    };
    let name = plan_name(&plan.digest);
    let new = NewArtifact {
        name: &name,
        retention_days: settings.github.retention_days,
        longest_days: context.retention_days,
        overwrite: true,
    };
    let contents = Contents::of_file(&settings.output.join(PLAN_FILE));
    let uploaded = super::runtime().map(|runtime| runtime.block_on(artifact::upload(&results, &new, contents)));
    match uploaded {
        Ok(Ok(uploaded)) => Ok(Some(uploaded.id)),
        Ok(Err(why)) => Err(not_shared(&why)),
        Err(why) => Err(not_shared(&why)),
    }
}

fn not_shared(why: &dyn std::error::Error) -> Diagnostic {
    gather::warning(format!("the plan is no artifact of this run, and can't be found by its digest: {}", chain(why)))
        .with_help(format!("pass {PLAN_FILE} on by actions/upload-artifact, and name the file with `plan`"))
}

/// The plan that this command obeys, given or made with what the history knows. Where there is one cluster, `only` is its version, whatever the config asks for.
pub fn plan_of(
    settings: &Settings,
    context: &RunContext,
    workspace: &Workspace,
    history: Option<&History>,
    now: Timestamp,
    only: Option<&str>,
) -> Result<Plan> {
    if let Some(plan) = given_plan(settings, context)? {
        plan.check(&workspace.catalog)?;
        return Ok(plan);
    }
    let files = changed_files(settings, context)?;
    let root = settings.root.canonicalize().map_err(|error| Error::io("find", &settings.root, error))?;
    let config = &workspace.config;
    let kubernetes: Vec<_> = match only {
        Some(version) => vec![version.to_owned()],
        None => config.kubernetes.iter().map(|version| version.version.clone()).collect(),
    };
    let config_path = config_path(settings);
    let changes = match &files {
        Ok(known) => Changes::Known(known),
        Err(reason) => Changes::Unknown(reason),
    };
    Ok(plan::make(&PlanInputs {
        catalog: &workspace.catalog,
        config,
        config_path: config_path.as_deref(),
        root: &root,
        tier: settings.selection.tier,
        event: context.event(),
        is_local: context.event_name.is_none(),
        kubernetes: &kubernetes,
        cluster: config.cluster,
        shards: settings.selection.shard.map(|shard| shard.count.get()),
        changes,
        dependencies: &kustomize_deps::read_all(&root, &workspace.catalog, config),
        workflows: &workflows::using_this_action(&root, files.as_deref().unwrap_or_default()),
        durations: &history.map(history::durations).unwrap_or_default(),
        last_periodic: &history.map(history::last_on_cluster).unwrap_or_default(),
        now,
    }))
}

/// The changed files, or why they can't be known; then everything runs.
fn changed_files(settings: &Settings, context: &RunContext) -> Result<Result<Vec<String>, String>> {
    match &settings.selection.changed_files {
        ChangedFiles::Off => Ok(Err("--changed-files off".to_owned())),
        ChangedFiles::File(path) => listed(path).map(Ok),
        ChangedFiles::Auto => Ok(changes::changed_files(settings, context)),
    }
}

/// The paths of a file with one a line.
fn listed(path: &Path) -> Result<Vec<String>> {
    let text = read_named("--changed-files", path)?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// A file that a flag names: that it can't be read is the user's mistake.
fn read_named(flag: &str, path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        let message = format!("{flag}: can't read `{}`: {error}", path.display());
        Error::usage(Diagnostic::error(message).with_help("paths of flags are relative to the current directory"))
    })
}

/// The plan that `--plan` names: a file, or one of this run's artifacts.
pub fn given_plan(settings: &Settings, context: &RunContext) -> Result<Option<Plan>> {
    match &settings.selection.plan {
        None => Ok(None),
        Some(PlanSource::File(path)) => Plan::read(&read_named("--plan", path)?).map(Some),
        Some(PlanSource::Digest(digest)) => gather::plan_of_this_run(settings, context, digest).map(Some),
    }
}

/// The config's path relative to the root, whether it is there or not: a change to it means everything.
pub fn config_path(settings: &Settings) -> Option<String> {
    let Some(path) = &settings.config else { return Some(crate::config::DEFAULT_PATH.to_owned()) };
    let (path, root) = (path.canonicalize().ok()?, settings.root.canonicalize().ok()?);
    Some(path.strip_prefix(root).ok()?.to_str()?.to_owned())
}
