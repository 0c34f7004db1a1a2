//! Where `report` takes results from: folders, or the artifacts of a workflow run.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::changes;
use crate::config::Config;
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::{Error, Result};
use crate::evidence::archive::{self, ARCHIVE, COLLECTED};
use crate::evidence::{Journal, Limits};
use crate::github::api::Api;
use crate::github::collect::{self, Collected, DEFAULT_NAME, Source, Uncollected, Wanted, WorkflowRun};
use crate::github::pull_request::PullRequest;
use crate::github::results::{self, Blobs, Results};
use crate::github::trust::{self, Notice};
use crate::plan::Plan;
use crate::report::{self, Report};
use crate::settings::{RunContext, Settings};

/// What was gathered.
#[derive(Debug, Default)]
pub struct Gathered {
    pub reports: Vec<Report>,
    /// The plan that came along; of artifacts the one that was asked for, if one was.
    pub plan: Option<Plan>,
    /// What concerns no single example.
    pub remarks: Vec<Diagnostic>,
    /// Of results that are artifacts.
    pub artifacts: Option<Artifacts>,
}

/// Where results that are artifacts come from.
#[derive(Debug)]
pub struct Artifacts {
    /// The artifacts; what they held is in [`Gathered`].
    pub collected: Collected,
    /// The workflow run, if it is another one than this, and what GitHub says of its change.
    pub another: Option<Another>,
}

/// Another workflow run than this.
#[derive(Debug)]
pub struct Another {
    pub run: WorkflowRun,
    /// The pull request that its results are published on, or why there is none.
    pub pull_request: Result<PullRequest, Notice>,
    /// What of the pull request a reviewer should see: sentences that go on after `this change`.
    pub sensitive: Vec<String>,
}

/// What `report` has to do.
#[derive(Debug)]
pub enum Found {
    /// To merge this.
    Results(Box<Gathered>),
    /// Nothing, and why: the workflow run never ran.
    Nothing(String),
}

/// Gathers results: of the folders that were named; of the workflow run that was; under GitHub Actions of this run; else of the
/// output folder. Of a workflow run with several fan-outs those of the plan with the digest `plan`, if one is given.
pub fn gather(
    settings: &Settings,
    context: &RunContext,
    config: &Config,
    from_run: Option<u64>,
    plan: Option<&str>,
) -> Result<Found> {
    let own = context.run_id.as_deref().and_then(|id| id.parse::<u64>().ok());
    if let Some(id) = from_run.filter(|_| !settings.paths.is_empty()) {
        let message = format!("--from-run {id} and folders can't be merged: results are of one run");
        return Err(Error::usage(Diagnostic::error(message).with_help("name either a workflow run or folders")));
    }
    let runtime = super::runtime()?;
    match from_run {
        Some(id) if Some(id) != own => runtime.block_on(of_another(settings, context, config, id, plan)),
        None if !settings.paths.is_empty() => of_folders(&settings.paths, config).map(found),
        None if !has_artifacts(settings, context) => {
            of_folders(std::slice::from_ref(&settings.output), config).map(found)
        }
        _ => runtime.block_on(of_this(settings, context, config, plan)).map(found),
    }
}

fn found(gathered: Gathered) -> Found {
    Found::Results(Box::new(gathered))
}

/// Whether this run has artifacts that could be asked for.
fn has_artifacts(settings: &Settings, context: &RunContext) -> bool {
    // What an Enterprise Server has can't be asked: there the results were downloaded before.
    let is_asked = context.github_actions && results::enterprise_server(&context.server_url).is_none();
    is_asked && (context.services.results_url.is_some() || settings.github.token.is_some())
}

/// The plan of this run, which must have this digest.
pub fn plan_of_this_run(settings: &Settings, context: &RunContext, digest: &str) -> Result<Plan> {
    let usage =
        |why: &str, help: &str| Error::usage(Diagnostic::error(format!("--plan {digest}: {why}")).with_help(help));
    if !context.github_actions {
        let why = "a plan is found by its digest among the artifacts of a workflow run, and this is none";
        return Err(usage(why, "name the plan's file instead"));
    }
    let plan = super::runtime()?.block_on(async {
        let sources = sources_of_this(settings, context)?;
        collect::plan(&sources, digest).await
    });
    plan.map_err(|why| usage(&why, "take the digest from the output `matrix` of the job `plan` of this run"))
}

/// The results service, and the REST API where it can be asked. `Err` says why there is neither.
fn sources_of_this(settings: &Settings, context: &RunContext) -> Result<Vec<Source>, String> {
    let mut failed = Vec::new();
    let mut sources = Vec::new();
    match Results::new(&context.services, &context.server_url) {
        Ok(results) => sources.push(Source::Own(results)),
        Err(why) => failed.push(why.to_string()),
    }
    match context.run_id.as_deref().and_then(|id| id.parse().ok()) {
        Some(run) => match rest(settings, context, run) {
            Ok(source) => sources.push(source),
            Err(why) => failed.push(why),
        },
        None => failed.push("GITHUB_RUN_ID is not set".to_owned()),
    }
    if sources.is_empty() { Err(failed.join("; ")) } else { Ok(sources) }
}

fn rest(settings: &Settings, context: &RunContext, run: u64) -> Result<Source, String> {
    let token = settings.github.token.as_ref().ok_or("the input `github-token` is empty")?;
    let repository = context.repository.clone().ok_or("GITHUB_REPOSITORY is not set")?;
    let api = Api::new(context, token).map_err(|error| error.to_string())?;
    let blobs = Blobs::new(crate::github::retry::Patience::default()).map_err(|error| error.to_string())?;
    Ok(Source::Rest { api, blobs, repository, run })
}

/// The artifacts of this run.
async fn of_this(settings: &Settings, context: &RunContext, config: &Config, plan: Option<&str>) -> Result<Gathered> {
    let cant = |why| uncollected(why, "this run");
    let sources = sources_of_this(settings, context).map_err(|why| cant(Uncollected::Unlisted(why)))?;
    let wanted = Wanted {
        base: settings.github.artifact_name.as_deref().unwrap_or(DEFAULT_NAME),
        plan,
        run: context.run_id.as_deref().unwrap_or_default(),
        repository: context.repository.as_deref().unwrap_or_default(),
        commit: context.sha.as_deref(),
        fail_on: &config.fail_on,
        server_url: &context.server_url,
    };
    let collected = collect::collect(&sources, &wanted).await.map_err(cant)?;
    Ok(gathered(collected, None))
}

/// The artifacts of another run.
async fn of_another(
    settings: &Settings,
    context: &RunContext,
    config: &Config,
    id: u64,
    plan: Option<&str>,
) -> Result<Found> {
    let usage = |why: String| {
        let help = "it needs GITHUB_REPOSITORY and the input `github-token` with the permission `actions: read`";
        Error::usage(Diagnostic::error(format!("--from-run {id}: {why}")).with_help(help))
    };
    let cant = |why: String| Error::Internal(format!("can't collect the artifacts of workflow run {id}: {why}"));
    let source = rest(settings, context, id).map_err(usage)?;
    let Source::Rest { api, repository, .. } = &source else { return Err(cant("no API".to_owned())) };
    let run = match WorkflowRun::of_event(context, id) {
        Some(run) => run,
        None => WorkflowRun::fetch(api, repository, id).await.map_err(|error| cant(error.to_string()))?,
    };
    if !run.repository.eq_ignore_ascii_case(repository) {
        return Err(usage(format!("it is a run of {}, and not of {repository}", run.repository)));
    }
    if let Some(why) = run.never_ran() {
        return Ok(Found::Nothing(format!("workflow run {id} has no results: {why}")));
    }
    let wanted = Wanted {
        base: settings.github.artifact_name.as_deref().unwrap_or(DEFAULT_NAME),
        plan,
        run: &id.to_string(),
        repository,
        commit: run.commit(),
        fail_on: &config.fail_on,
        server_url: &context.server_url,
    };
    let collected = collect::collect(std::slice::from_ref(&source), &wanted).await;
    let collected = collected.map_err(|why| uncollected(why, &format!("workflow run {id}")))?;
    let pull_request = trust::published_for(api, repository, &run).await;
    let sensitive = match &pull_request {
        Ok(found) => changes::sensitive_of(settings, context, api, repository, found).await,
        Err(_) => Vec::new(),
    };
    let is_unfinished = run.status.as_deref().is_some_and(|status| status != "completed");
    let notice = pull_request.as_ref().err().map(|Notice(why)| Diagnostic::error(why).with_severity(Severity::Note));
    let mut gathered = gathered(collected, Some(Another { run, pull_request, sensitive }));
    gathered.remarks.extend(notice);
    if is_unfinished {
        gathered.remarks.push(warning(format!("workflow run {id} has not ended yet: results may be missing")));
    }
    Ok(found(gathered))
}

fn uncollected(why: Uncollected, run: &str) -> Error {
    match why {
        Uncollected::Unlisted(why) => Error::Internal(format!("can't collect the artifacts of {run}: {why}")),
        several @ Uncollected::SeveralPlans(_) => Error::usage(
            Diagnostic::error(format!("can't collect the artifacts of {run}: {several}")).with_help(
                "name the plan by its digest (`plan: ${{ needs.plan.outputs.plan }}`), and give each fan-out of a workflow an \
                 `artifact-name` of its own",
            ),
        ),
    }
}

fn gathered(mut collected: Collected, another: Option<Another>) -> Gathered {
    Gathered {
        reports: std::mem::take(&mut collected.reports),
        plan: collected.plan.take(),
        remarks: collected.remarks.iter().map(warning).collect(),
        artifacts: Some(Artifacts { collected, another }),
    }
}

/// The results in folders, and what killed runs left there; evidence beside a journal is archived.
fn of_folders(folders: &[PathBuf], config: &Config) -> Result<Gathered> {
    let left = RefCell::new(Vec::new());
    let reports = report::read_all(folders, |folder, there| {
        let journal = Journal::read(folder);
        let journal = journal.filter(|journal| there.is_none_or(|there| journal.header.run.began_after(&there.run)));
        Ok(journal.map(|journal| {
            left.borrow_mut().push((folder.to_owned(), journal.warnings));
            Report::of_killed(journal.header.run, journal.clusters, journal.rows, &config.fail_on)
        }))
    })?;
    let mut remarks = Vec::new();
    for (folder, warnings) in left.into_inner() {
        remarks.push(killed(&folder));
        remarks.extend(warnings.iter().map(warning));
        remarks.extend(archived(&folder));
    }
    Ok(Gathered { reports, remarks, ..Gathered::default() })
}

pub fn warning(text: impl AsRef<str>) -> Diagnostic {
    Diagnostic::error(text.as_ref()).with_severity(Severity::Warning)
}

fn killed(folder: &Path) -> Diagnostic {
    warning(format!("{}: the run was killed before it could report: this is what its journal holds", folder.display()))
        .with_help("`example-validator clean` deletes what it left on an existing cluster")
}

/// Archives the evidence that a killed run left beside its journal. What can't be archived is told, and stays where it is.
fn archived(folder: &Path) -> Vec<Diagnostic> {
    match archive::archive_left(folder, &folder.join(COLLECTED), &folder.join(ARCHIVE), Limits::default()) {
        Ok(archived) => archived
            .into_iter()
            .flat_map(|archived| archived.left_out)
            .map(|left| warning(format!("not in {ARCHIVE}: {}: {}", left.file, left.why)))
            .collect(),
        Err(error) => vec![warning(format!("the evidence is not archived: {error}"))],
    }
}
