//! What the environment says about where the program runs: read here once, passed on as values.
//!
//! Source of the variables: <https://docs.github.com/en/actions/reference/workflows-and-actions/variables>.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::values::{self, Secret, Shard};
use crate::diagnostic::Diagnostic;
use crate::error::{Error, Result};
use crate::hex::hex;

/// The event that a run outside GitHub Actions counts as.
const LOCAL_EVENT: &str = "workflow_dispatch";

/// Which of the standard streams are terminals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terminals {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// GitHub's own addresses, where no variable names those of an Enterprise Server.
const API_URL: &str = "https://api.github.com";
const SERVER_URL: &str = "https://github.com";

/// What the runner gives to reach the services behind artifacts and cache. All `None` outside GitHub Actions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Services {
    /// `ACTIONS_RUNTIME_TOKEN`, a JSON Web Token.
    pub token: Option<Secret>,
    /// `ACTIONS_RESULTS_URL`: artifacts v4, and the cache's second version.
    pub results_url: Option<String>,
    /// `ACTIONS_CACHE_URL`: the cache's first version.
    pub cache_url: Option<String>,
    /// `ACTIONS_CACHE_MODE`: what the runner lets a job do with the cache.
    pub cache_mode: Option<String>,
}

/// Where the program runs. The fields of GitHub are empty outside its Actions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunContext {
    /// Under GitHub Actions.
    pub github_actions: bool,
    /// On any CI.
    pub ci: bool,
    /// The workflow was started with debug logging.
    pub debug: bool,
    /// The event's name; see [`RunContext::event`].
    pub event_name: Option<String>,
    /// The file with the event's payload.
    pub event_path: Option<PathBuf>,
    /// The event's payload; `null` without one.
    pub event_payload: Value,
    /// `owner/name`.
    pub repository: Option<String>,
    /// The commit that is judged.
    pub sha: Option<String>,
    /// `refs/heads/main`, `refs/pull/1/merge`.
    pub reference: Option<String>,
    /// The branch that a pull request goes into.
    pub base_ref: Option<String>,
    /// The branch that a pull request comes from.
    pub head_ref: Option<String>,
    /// The REST API's address, without a slash at its end; GitHub's own outside Actions.
    pub api_url: String,
    /// The site's address, without a slash at its end.
    pub server_url: String,
    /// The workflow's name.
    pub workflow: Option<String>,
    /// The job's id in its workflow.
    pub job: Option<String>,
    /// The runner's name: two of them may share one machine.
    pub runner: Option<String>,
    /// The services behind artifacts and cache.
    pub services: Services,
    /// How many days the repository keeps artifacts at most.
    pub retention_days: Option<u32>,
    /// The workflow run.
    pub run_id: Option<String>,
    /// Which attempt at it, from 1.
    pub run_attempt: Option<u32>,
    /// The checked-out repository.
    pub workspace: Option<PathBuf>,
    /// The job's folder for temporary files. An action's container shares it with the runner, unlike its own `/tmp`.
    pub runner_temp: Option<PathBuf>,
    /// The file that takes the job's summary.
    pub step_summary: Option<PathBuf>,
    /// The file that takes the step's outputs.
    pub output_file: Option<PathBuf>,
    /// The file that takes what the action's post step is told.
    pub state_file: Option<PathBuf>,
    /// The whole environment, of which child processes get what an allow-list leaves.
    pub environment: Vec<(OsString, OsString)>,
    /// Where colours are shown.
    pub color: Terminals,
}

impl RunContext {
    /// What `env` says. The payload is left for [`RunContext::read_event`].
    #[must_use]
    pub fn new(env: &BTreeMap<String, String>, terminals: Terminals) -> Self {
        let get = |name: &str| env.get(name).filter(|value| !value.is_empty());
        let is = |name: &str| get(name).is_some_and(|value| values::boolean(value) == Ok(true));
        let github_actions = is("GITHUB_ACTIONS");
        let github = |name: &str| get(name).filter(|_| github_actions).cloned();
        let path = |name: &str| github(name).map(PathBuf::from);
        let url = |name: &str, usual: &str| {
            github(name).map_or_else(|| usual.to_owned(), |url| url.trim_end_matches('/').to_owned())
        };
        Self {
            github_actions,
            // Some systems set `CI` to their name.
            ci: github_actions || get("CI").is_some_and(|value| values::boolean(value) != Ok(false)),
            debug: is("RUNNER_DEBUG"),
            event_name: github("GITHUB_EVENT_NAME"),
            event_path: path("GITHUB_EVENT_PATH"),
            event_payload: Value::Null,
            repository: github("GITHUB_REPOSITORY"),
            sha: github("GITHUB_SHA"),
            reference: github("GITHUB_REF"),
            base_ref: github("GITHUB_BASE_REF"),
            head_ref: github("GITHUB_HEAD_REF"),
            api_url: url("GITHUB_API_URL", API_URL),
            server_url: url("GITHUB_SERVER_URL", SERVER_URL),
            workflow: github("GITHUB_WORKFLOW"),
            job: github("GITHUB_JOB"),
            runner: get("RUNNER_NAME").filter(|_| github_actions).cloned(),
            services: Services {
                token: github("ACTIONS_RUNTIME_TOKEN").map(Secret::new),
                results_url: github("ACTIONS_RESULTS_URL"),
                cache_url: github("ACTIONS_CACHE_URL"),
                cache_mode: github("ACTIONS_CACHE_MODE"),
            },
            retention_days: github("GITHUB_RETENTION_DAYS").and_then(|days| days.parse().ok()),
            run_id: github("GITHUB_RUN_ID"),
            run_attempt: github("GITHUB_RUN_ATTEMPT").and_then(|attempt| attempt.parse().ok()),
            workspace: path("GITHUB_WORKSPACE"),
            runner_temp: path("RUNNER_TEMP"),
            step_summary: path("GITHUB_STEP_SUMMARY"),
            output_file: path("GITHUB_OUTPUT"),
            state_file: path("GITHUB_STATE"),
            environment: Vec::new(),
            color: Terminals { stdout: colored(env, terminals.stdout), stderr: colored(env, terminals.stderr) },
        }
    }

    /// What this process's environment says, where its arguments and inputs could not be made sense of. The payload is left out.
    #[must_use]
    pub fn of_process() -> Self {
        Self::new(&super::environment(), Terminals::default())
    }

    /// The event that decides what runs; outside GitHub Actions `workflow_dispatch`.
    #[must_use]
    pub fn event(&self) -> &str {
        self.event_name.as_deref().unwrap_or(LOCAL_EVENT)
    }

    /// What tells this run from every other on one machine or cluster: attempts, shards, jobs and runners of one workflow run, too.
    /// `None` outside a workflow run.
    #[must_use]
    pub fn unique_id(&self, shard: Option<Shard>) -> Option<String> {
        let run = self.run_id.as_ref()?;
        let attempt = self.run_attempt.map(|attempt| format!("-{attempt}")).unwrap_or_default();
        let shard = shard.map(|shard| format!("-{}", shard.number)).unwrap_or_default();
        // Two jobs, or two legs of a matrix on runners of their own, may meet on one engine.
        let place = [self.job.as_deref(), self.runner.as_deref()].map(Option::unwrap_or_default).join("\0");
        let place = hex(&Sha256::digest(place)[..3]);
        Some(format!("{run}{attempt}{shard}-{place}"))
    }

    /// The repository's default branch, as the payload has it.
    #[must_use]
    pub fn default_branch(&self) -> Option<&str> {
        self.event_payload.pointer("/repository/default_branch")?.as_str()
    }

    /// Reads the event's payload.
    ///
    /// # Errors
    /// The file is missing, or not JSON.
    pub fn read_event(&mut self) -> Result<()> {
        let Some(path) = &self.event_path else { return Ok(()) };
        let bad = |what: String| {
            Error::usage(
                Diagnostic::error(format!("can't read the event in {}: {what}", path.display()))
                    .with_help("GITHUB_EVENT_PATH must name the event's JSON, as the runner sets it"),
            )
        };
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        self.event_payload = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        Ok(())
    }
}

/// Whether a stream shows colours. Sources: <https://no-color.org>, <https://bixense.com/clicolors/>.
fn colored(env: &BTreeMap<String, String>, terminal: bool) -> bool {
    let get = |name: &str| env.get(name).map_or("", String::as_str);
    if !get("NO_COLOR").is_empty() {
        return false;
    }
    if !matches!(get("CLICOLOR_FORCE"), "" | "0") {
        return true;
    }
    terminal && get("CLICOLOR") != "0" && get("TERM") != "dumb"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn outside_actions_the_variables_of_github_are_not_read() {
        let context = RunContext::new(&env(&[("GITHUB_EVENT_NAME", "push"), ("CI", "true")]), Terminals::default());
        assert_eq!((context.event(), context.event_name.as_deref(), context.ci), ("workflow_dispatch", None, true));
    }

    #[test]
    fn under_actions_they_are() {
        let variables = env(&[
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "pull_request"),
            ("GITHUB_BASE_REF", "main"),
            ("GITHUB_REF", ""),
            ("GITHUB_RUN_ATTEMPT", "2"),
            ("RUNNER_DEBUG", "1"),
        ]);
        let context = RunContext::new(&variables, Terminals::default());
        assert!(context.github_actions && context.ci && context.debug);
        assert_eq!(context.event(), "pull_request");
        assert_eq!(
            (context.base_ref.as_deref(), context.reference, context.run_attempt),
            (Some("main"), None, Some(2))
        );
    }

    #[test]
    fn attempts_shards_jobs_and_runners_of_one_run_are_told_apart() {
        let id = |job: &str, runner: &str, attempt: u32, shard: Option<&str>| {
            let [run, job, runner] = ["7", job, runner].map(|text| Some(text.to_owned()));
            let context = RunContext { run_id: run, run_attempt: Some(attempt), job, runner, ..RunContext::default() };
            context.unique_id(shard.map(|shard| shard.parse().unwrap())).unwrap()
        };
        let one = id("a", "r", 1, None);
        assert!(one.starts_with("7-1-"), "{one}");
        assert_eq!(one, id("a", "r", 1, None));
        for other in [id("b", "r", 1, None), id("a", "s", 1, None), id("a", "r", 2, None), id("a", "r", 1, Some("1/2"))]
        {
            assert_ne!(one, other);
        }
        assert_eq!(RunContext::default().unique_id(None), None);
    }

    #[test]
    fn colours_follow_the_terminal_unless_the_user_says_otherwise() {
        let shown = |pairs: &[(&str, &str)], terminal| {
            RunContext::new(&env(pairs), Terminals { stdout: terminal, stderr: false }).color.stdout
        };
        assert!(shown(&[], true) && !shown(&[], false));
        assert!(!shown(&[("NO_COLOR", "1")], true) && shown(&[("NO_COLOR", "")], true));
        assert!(!shown(&[("CLICOLOR", "0")], true) && !shown(&[("TERM", "dumb")], true));
        assert!(shown(&[("CLICOLOR_FORCE", "1")], false));
    }

    #[test]
    fn the_default_branch_comes_from_the_payload() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("event.json");
        std::fs::write(&path, r#"{"repository": {"default_branch": "trunk"}}"#).unwrap();
        let mut context = RunContext { event_path: Some(path.clone()), ..RunContext::default() };
        context.read_event().unwrap();
        assert_eq!(context.default_branch(), Some("trunk"));

        std::fs::write(&path, "{").unwrap();
        let error = context.read_event().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("event.json"), "{error}");
    }
}
