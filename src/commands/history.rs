//! The history of a command: where it is kept, what is read of it before the work, and who adds to it afterwards.
//!
//! That it can't be read or written is a warning, and changes no verdict.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::gather::warning;
use crate::config::{self, Config};
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::{Error, Result, chain};
use crate::git;
use crate::github::api::{self, Api};
use crate::github::branch::{Branch, Change, Commit};
use crate::github::cache::policy::is_of_default_branch;
use crate::history::health::{self, Scope};
use crate::history::{self, History, Record, lines, store};
use crate::report::comment::About;
use crate::report::{Report, Run, plural};
use crate::settings::{Command, HistorySetting, RunContext, Settings};

/// The history on its branch.
const FILE: &str = "history.jsonl";
/// The badge beside it.
const BADGE: &str = "badge.json";
/// What tells a visitor of the branch what it is.
const README: &str = "# What became of the examples\n\nexample-validator adds a line of JSON for each example of each run on the default branch to `history.jsonl`, and plans and \
                      judges later runs by it. Delete the branch to begin anew; nothing else is lost.\n";
/// The most that a branch keeps, in bytes: a file has to fit into one request.
const MOST: usize = 24 << 20;
/// How long GitHub may take in all.
const PATIENCE: Duration = Duration::from_secs(4 * 60);

/// Where a history is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Branch(String),
}

/// The history that a command was given.
#[derive(Debug, Default)]
pub struct Kept {
    place: Option<Place>,
    /// What was read; `None` where no history is kept, and in a shard, whose results are judged by it when they are merged.
    history: Option<History>,
    /// The runs whose reports are merged; none where the run is the command's own.
    merged: Vec<Run>,
    /// Whether the command looks at a part of the examples alone.
    is_narrowed: bool,
    /// Whether it could not be read: what is judged without it is no news of the badge.
    is_unread: bool,
    /// What became of reading it.
    pub told: Vec<Diagnostic>,
}

impl Kept {
    /// Finds out where the history is kept, and reads it. The run of a shard does not: it obeys its plan, and shards without one have to come to
    /// the same plan whatever is written meanwhile. Call it within the asynchronous runtime.
    ///
    /// # Errors
    /// Its place can't be one.
    pub async fn read(settings: &Settings, context: &RunContext, config: &Config) -> Result<Self> {
        let Some(place) = place(settings, config)? else { return Ok(Self::default()) };
        // To a plan it is only how many shards there are.
        if settings.selection.shard.is_some() && matches!(settings.command, Command::Run(_)) {
            return Ok(Self { place: Some(place), ..Self::default() });
        }
        let (mut told, mut is_unread) = (Vec::new(), false);
        let history = match stored(&place, settings, context).await {
            Ok(Some(text)) => {
                let (history, skipped) = History::read(&text, Timestamp::now());
                told.extend(skipped.map(|skipped| warning(format!("the history in {}: {skipped}", name(&place)))));
                history
            }
            Ok(None) => {
                let message = format!("there is no history in {} yet", name(&place));
                told.push(Diagnostic::error(message).with_severity(Severity::Note));
                History::default()
            }
            Err(why) => {
                is_unread = true;
                let help = "durations are estimated, and what is `due` runs whenever its event comes";
                told.push(warning(format!("the history in {} is not read: {why}", name(&place))).with_help(help));
                History::default()
            }
        };
        let is_narrowed = !settings.selection.examples.is_empty();
        Ok(Self { place: Some(place), history: Some(history), is_narrowed, is_unread, told, ..Self::default() })
    }

    /// Says which reports are merged: all have to be of this run, lest another's enter as this one's.
    pub fn merges(&mut self, reports: &[Report]) {
        self.merged = reports.iter().map(|report| report.run.clone()).collect();
    }

    /// Whether a history is kept anywhere.
    pub fn is_kept(&self) -> bool {
        self.place.is_some()
    }

    /// What was read; `None` where no history is kept or this is a shard.
    pub fn history(&self) -> Option<&History> {
        self.history.as_ref()
    }

    /// Says of each row how its example has been doing. A shard leaves that to the report that merges its own.
    pub fn assess(&self, report: &mut Report, now: Timestamp) {
        if let Some(history) = &self.history {
            let scope = if self.is_narrowed { Scope::Part } else { Scope::Whole };
            health::assess_within(scope, report, history, now);
        }
    }

    /// Adds what the report says to the history, if this run may. What a person should know of it is told, warnings in the summary (`about`)
    /// too. Call it within the asynchronous runtime, when the report is on disk.
    pub async fn remember(
        &self,
        report: &Report,
        settings: &Settings,
        context: &RunContext,
        about: &mut About,
        cancel: &CancellationToken,
    ) {
        let remarks = self.append(report, settings, context, cancel).await;
        let warnings = remarks.iter().filter(|remark| remark.severity == Severity::Warning);
        about.notices.extend(warnings.map(|warning| match &warning.help {
            Some(help) => format!("{}: {help}", warning.message),
            None => warning.message.clone(),
        }));
        super::tell(&remarks, context);
    }

    /// The same; gives what a person should know.
    async fn append(
        &self,
        report: &Report,
        settings: &Settings,
        context: &RunContext,
        cancel: &CancellationToken,
    ) -> Vec<Diagnostic> {
        let Some(place) = &self.place else { return Vec::new() };
        let name = name(place);
        let checked_out = || git::head(&settings.root).filter(|_| context.github_actions);
        let may_write = may_write(place, &report.run, context);
        if let Err(why) = may_write.and_then(|()| is_this_run(&self.merged, checked_out().as_deref(), context)) {
            tracing::debug!("the history in {name} stays as it is: {}", why.reason());
            return why.told(&name).into_iter().collect();
        }
        let Some(records) = history::records(report, context.run_attempt.unwrap_or(1)) else {
            return vec![warning(format!(
                "the history in {name} is not written: the report does not say when its run began"
            ))];
        };
        if records.is_empty() {
            tracing::debug!("the history in {name} stays as it is: nothing was judged");
            return Vec::new();
        }
        let badge = (!self.is_unread).then(|| history::badge(report));
        let written = match place {
            Place::File(file) => store::append(file, &records, badge.as_deref(), Timestamp::now())
                .map(|()| Vec::new())
                .map_err(|error| not_written(&name, &chain(&error))),
            Place::Branch(branch) => {
                let new = New { records: &records, badge: badge.as_deref(), message: message(&report.run) };
                let writing = tokio::time::timeout(PATIENCE, on_branch(branch, &new, settings, context));
                match cancel.run_until_cancelled(writing).await {
                    None => Err(not_written(&name, "the run was cancelled")),
                    Some(Err(_)) => Err(not_written(&name, "GitHub takes too long")),
                    Some(Ok(written)) => written.map_err(|error| refused(&name, &error)),
                }
            }
        };
        written.unwrap_or_else(|warning| vec![warning])
    }
}

/// Where the history is kept. A flag's path is relative to the current folder, one of the config to the root.
fn place(settings: &Settings, config: &Config) -> Result<Option<Place>> {
    let place = match (&settings.history, &config.history) {
        (Some(HistorySetting::Keep(config::History::File(file))), _) => Place::File(file.clone()),
        (_, Some(config::History::File(file))) => Place::File(settings.root.join(file)),
        (_, Some(config::History::Branch(name))) => Place::Branch(name.clone()),
        (_, None) => return Ok(None),
    };
    if let Place::File(file) = &place
        && file.is_dir()
    {
        let message = format!("the history can't be kept in `{}`: it is a folder", file.display());
        return Err(Error::usage(Diagnostic::error(message).with_help("name a file in it, such as history.jsonl")));
    }
    Ok(Some(place))
}

fn name(place: &Place) -> String {
    match place {
        Place::File(file) => file.display().to_string(),
        Place::Branch(name) => format!("the branch {name}"),
    }
}

/// The text of the history; `None` if there is none yet.
async fn stored(place: &Place, settings: &Settings, context: &RunContext) -> Result<Option<Vec<u8>>, String> {
    let branch = match place {
        Place::File(file) => return store::read(file).map_err(|error| chain(&error)),
        Place::Branch(name) => name,
    };
    let reading = async {
        let (api, repository) = api(settings, context)?;
        Branch::new(&api, repository, branch).read(FILE).await
    };
    let read = tokio::time::timeout(PATIENCE, reading).await.map_err(|_| "GitHub takes too long".to_owned())?;
    read.map_err(|error| error.to_string())
}

fn api<'a>(settings: &Settings, context: &'a RunContext) -> api::Result<(Api, &'a str)> {
    let unusable = |why: &str| api::Error::Unusable(why.to_owned());
    if !context.github_actions {
        return Err(unusable("a branch is read and written under GitHub Actions"));
    }
    let token = settings.github.token.as_ref().ok_or_else(|| unusable("the input `github-token` is empty"))?;
    let repository = context.repository.as_deref().ok_or_else(|| unusable("GITHUB_REPOSITORY is not set"))?;
    Ok((Api::new(context, token)?, repository))
}

/// Why a run does not enter the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stays {
    /// What a simulator says proves nothing.
    Simulated,
    /// Its results are merged with others, and enter with them.
    Shard,
    /// What runs is a pull request, a topic, a tag: not what the default branch is.
    OffDefaultBranch,
    /// Outside GitHub Actions there is no branch to write to.
    Outside,
    /// The history would be written into the code.
    IsDefaultBranch,
    /// What was judged is not what the event is of.
    AnotherCommit,
    /// What is merged was found by another run, or of another commit.
    AnotherRun,
}

impl Stays {
    fn reason(self) -> &'static str {
        match self {
            Self::Simulated => "a simulated run never enters it",
            Self::Shard => "what a shard finds enters it when the shards are merged (`report`)",
            Self::OffDefaultBranch => "only runs of the default branch enter it",
            Self::Outside => "a branch is written under GitHub Actions alone",
            Self::IsDefaultBranch => "that is the default branch",
            Self::AnotherCommit => "what is checked out is not the event's commit (GITHUB_SHA)",
            Self::AnotherRun => {
                "a report that is merged is of another workflow run, commit or repository than this one"
            }
        }
    }

    /// What a person should know. Pull requests and shards are no surprise.
    fn told(self, name: &str) -> Option<Diagnostic> {
        let what = match self {
            // Which may not be there yet.
            Self::Simulated => "gets no line",
            _ => "stays as it is",
        };
        let text = format!("the history in {name} {what}: {}", self.reason());
        match self {
            Self::Simulated => Some(Diagnostic::error(text).with_severity(Severity::Note)),
            Self::IsDefaultBranch => {
                Some(warning(text).with_help("name a branch of its own, such as example-validator-history"))
            }
            Self::AnotherCommit => {
                let help = "lines are recorded under the event's commit, which actions/checkout checks out unless it is given a `ref`";
                Some(Diagnostic::error(text).with_severity(Severity::Note).with_help(help))
            }
            Self::AnotherRun => {
                Some(warning(text).with_help("merge what the jobs of this workflow run left, and nothing older"))
            }
            Self::Shard | Self::OffDefaultBranch | Self::Outside => None,
        }
    }
}

/// Whether a run enters the history: one of the repository's own code on its default branch, and outside GitHub Actions whatever a person
/// keeps in a file. Never a simulated one.
fn may_write(place: &Place, run: &Run, context: &RunContext) -> Result<(), Stays> {
    match place {
        _ if run.simulated => Err(Stays::Simulated),
        _ if run.shard.is_some() => Err(Stays::Shard),
        Place::File(_) if !context.github_actions => Ok(()),
        Place::Branch(_) if !context.github_actions => Err(Stays::Outside),
        _ if !is_of_default_branch(context) => Err(Stays::OffDefaultBranch),
        Place::Branch(name) if is_default(name, context) => Err(Stays::IsDefaultBranch),
        Place::File(_) | Place::Branch(_) => Ok(()),
    }
}

/// Whether under GitHub Actions what was judged is what the context speaks of: the commit that is checked out, if it is known, and the runs
/// whose reports are merged.
fn is_this_run(merged: &[Run], checked_out: Option<&str>, context: &RunContext) -> Result<(), Stays> {
    if !context.github_actions {
        return Ok(());
    }
    if checked_out.zip(context.sha.as_deref()).is_some_and(|(there, expected)| there != expected) {
        return Err(Stays::AnotherCommit);
    }
    let own = [&context.run_id, &context.sha, &context.repository].map(|own| own.as_deref().unwrap_or_default());
    let is_own = |run: &Run| [run.id.as_str(), run.commit.as_str(), run.repository.as_str()] == own;
    if merged.iter().all(is_own) { Ok(()) } else { Err(Stays::AnotherRun) }
}

fn is_default(name: &str, context: &RunContext) -> bool {
    let reference = context.reference.as_deref().and_then(|reference| reference.strip_prefix("refs/heads/"));
    context.default_branch().or(reference) == Some(name)
}

/// What a run adds to a branch.
struct New<'a> {
    records: &'a [Record],
    /// None where too little is known for one.
    badge: Option<&'a str>,
    message: String,
}

/// Adds to the branch, which is made if it is missing; gives what does not fit any more.
async fn on_branch(
    name: &str,
    new: &New<'_>,
    settings: &Settings,
    context: &RunContext,
) -> api::Result<Vec<Diagnostic>> {
    let (api, repository) = api(settings, context)?;
    let (mut kept, mut gone, mut is_another_s) = (MOST, (0, 0), false);
    let beside: Vec<_> = new.badge.map(|badge| (BADGE, badge)).into_iter().collect();
    let commit = Commit { message: &new.message, file: FILE, beside: &beside, first: &[("README.md", README)] };
    let change = |stored: &[u8], most: usize| {
        is_another_s = lines::is_something_else(stored);
        if is_another_s {
            return Change::Leave;
        }
        let added = history::add(stored, new.records, most, Timestamp::now());
        (kept, gone) = (most, (added.checks, added.left_out));
        match (added.text.as_bytes() == stored, added.is_newest) {
            (true, true) => Change::Same,
            // The badge is a newer run's.
            (true, false) => Change::Leave,
            (false, true) => Change::To(added.text.into_bytes()),
            (false, false) => Change::Alone(added.text.into_bytes()),
        }
    };
    Branch::new(&api, repository, name).update(&commit, MOST, change).await?;
    if is_another_s {
        let why = format!("its {FILE} holds something else, and no line of a history");
        let help = "name a branch of its own, such as example-validator-history";
        return Ok(vec![not_written(&format!("the branch {name}"), &why).with_help(help)]);
    }
    Ok(left(name, kept, gone).into_iter().collect())
}

/// What left a branch that keeps so many bytes: static checks, and whole runs.
fn left(name: &str, kept: usize, (checks, runs): (usize, usize)) -> Option<Diagnostic> {
    let why = if kept < MOST { " (GitHub takes no more)" } else { "" };
    let checks = (checks > 0).then(|| format!("{} that newer ones replace", plural(checks, "static check")));
    let runs = (runs > 0).then(|| format!("{}, the oldest,", plural(runs, "run")));
    let gone: Vec<_> = checks.into_iter().chain(runs).collect();
    let text = format!("the branch {name} keeps {} MiB{why}: {} left the history", kept >> 20, gone.join(" and "));
    (!gone.is_empty()).then(|| Diagnostic::error(text).with_severity(Severity::Note))
}

/// `Record run 123 of kubeflow/trainer at abc1234 [skip ci]`: other CI systems build whatever branch moves.
fn message(run: &Run) -> String {
    let commit: String = run.commit.chars().take(7).collect();
    format!("Record run {} of {} at {commit} [skip ci]", run.id, run.repository)
}

fn not_written(name: &str, why: &str) -> Diagnostic {
    warning(format!("the history in {name} is not written: {why}"))
}

fn refused(name: &str, error: &api::Error) -> Diagnostic {
    let told = not_written(name, &error.to_string());
    let help = "give the job that writes `permissions: {contents: write}`, and let no ruleset keep it from making or moving the branch; see \
                docs/history.md";
    match error {
        api::Error::Denied { .. } | api::Error::NotFound { .. } | api::Error::Answered { status: 409 | 422, .. } => {
            told.with_help(help)
        }
        _ => told,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn context(event: &str, reference: &str) -> RunContext {
        RunContext {
            github_actions: true,
            event_name: Some(event.to_owned()),
            reference: Some(reference.to_owned()),
            event_payload: json!({"repository": {"default_branch": "trunk"}}),
            ..RunContext::default()
        }
    }

    fn file() -> Place {
        Place::File(PathBuf::from("h.jsonl"))
    }

    fn branch() -> Place {
        Place::Branch("h".to_owned())
    }

    #[test]
    fn only_the_default_branch_writes_under_actions() {
        let trunk = "refs/heads/trunk";
        for place in [file(), branch()] {
            let may = |event, reference| may_write(&place, &Run::default(), &context(event, reference));
            for event in ["push", "schedule", "workflow_dispatch", "repository_dispatch"] {
                assert_eq!(may(event, trunk), Ok(()), "{event}");
            }
            for (event, reference) in [
                ("push", "refs/heads/topic"),
                ("push", "refs/tags/trunk"),
                ("workflow_dispatch", "refs/heads/topic"),
                ("repository_dispatch", "refs/heads/topic"),
                ("pull_request", "refs/pull/7/merge"),
                ("pull_request_target", trunk),
                ("merge_group", "refs/heads/gh-readonly-queue/trunk/pr-7-abc"),
                ("workflow_run", trunk),
            ] {
                assert_eq!(may(event, reference), Err(Stays::OffDefaultBranch), "{event} {reference}");
            }
        }
    }

    #[test]
    fn a_person_s_file_is_written_and_a_branch_is_not() {
        let context = RunContext::default();
        assert_eq!(may_write(&file(), &Run::default(), &context), Ok(()));
        assert_eq!(may_write(&branch(), &Run::default(), &context), Err(Stays::Outside));
    }

    #[test]
    fn neither_simulated_runs_nor_shards_nor_the_code_itself_are_written() {
        let push = context("push", "refs/heads/trunk");
        let simulated = Run { simulated: true, ..Run::default() };
        let shard = Run { shard: Some("1/2".to_owned()), ..Run::default() };
        for place in [file(), branch()] {
            for context in [&push, &RunContext::default()] {
                assert_eq!(may_write(&place, &simulated, context), Err(Stays::Simulated));
                assert_eq!(may_write(&place, &shard, context), Err(Stays::Shard));
            }
        }
        let code = Place::Branch("trunk".to_owned());
        assert_eq!(may_write(&code, &Run::default(), &push), Err(Stays::IsDefaultBranch));
        // The payload of a schedule does not name the default branch.
        let schedule = RunContext { event_payload: json!({}), ..context("schedule", "refs/heads/trunk") };
        assert_eq!(may_write(&code, &Run::default(), &schedule), Err(Stays::IsDefaultBranch));
        assert_eq!(may_write(&branch(), &Run::default(), &schedule), Ok(()));
    }

    #[test]
    fn what_was_judged_is_what_the_context_speaks_of() {
        let sha = Some("abc".to_owned());
        let ours = RunContext { sha, run_id: Some("7".to_owned()), ..context("push", "refs/heads/trunk") };
        assert_eq!(is_this_run(&[], None, &ours), Ok(()));
        assert_eq!(is_this_run(&[], Some("abc"), &ours), Ok(()));
        assert_eq!(is_this_run(&[], Some("abd"), &ours), Err(Stays::AnotherCommit));
        let run = Run { id: "7".to_owned(), commit: "abc".to_owned(), ..Run::default() };
        assert_eq!(is_this_run(&[run.clone(), run.clone()], None, &ours), Ok(()));
        for other in [
            Run { id: "6".to_owned(), ..run.clone() },
            Run { commit: "abd".to_owned(), ..run.clone() },
            Run { repository: "o/r".to_owned(), ..run.clone() },
        ] {
            let merged = [run.clone(), other];
            assert_eq!(is_this_run(&merged, None, &ours), Err(Stays::AnotherRun), "{merged:?}");
            assert_eq!(is_this_run(&merged, Some("abd"), &RunContext::default()), Ok(()));
        }
    }

    #[test]
    fn what_left_a_full_branch_is_told() {
        let told = |kept, gone| left("h", kept, gone).map(|told| told.message);
        assert_eq!(told(MOST, (0, 0)), None);
        let text = "the branch h keeps 24 MiB: 2 static checks that newer ones replace and 1 run, the oldest, left the history";
        assert_eq!(told(MOST, (2, 1)).as_deref(), Some(text));
        let text = "the branch h keeps 12 MiB (GitHub takes no more): 3 runs, the oldest, left the history";
        assert_eq!(told(12 << 20, (0, 3)).as_deref(), Some(text));
    }

    #[test]
    fn a_commit_says_which_run_it_is_of() {
        let run = Run {
            id: "123".to_owned(),
            repository: "kubeflow/trainer".to_owned(),
            commit: "abc1234def".to_owned(),
            ..Run::default()
        };
        assert_eq!(message(&run), "Record run 123 of kubeflow/trainer at abc1234 [skip ci]");
    }
}
