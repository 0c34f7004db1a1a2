//! A workflow run, as GitHub itself tells of it: what the artifacts of the run are held to.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::github::api::{self, Api, repository_route};
use crate::github::pull_request::{Lookup, lookup};
use crate::settings::RunContext;

/// A workflow run.
///
/// Source: <https://docs.github.com/en/rest/actions/workflow-runs#get-a-workflow-run>; payloads of `workflow_run` hold the same.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowRun {
    /// Its number.
    pub id: u64,
    /// Which attempt at it, from 1.
    pub attempt: u32,
    /// The repository that it belongs to, `owner/name`.
    pub repository: String,
    /// The commit at the end of the branch that it is for.
    pub head_sha: String,
    /// What triggered it.
    pub event: String,
    /// `completed`, or how far it is.
    pub status: Option<String>,
    /// `success`, `failure`, `cancelled`, ...; `None` while it runs.
    pub conclusion: Option<String>,
    /// Whether its commit comes from another repository (or from one that is gone): its results say what a stranger wants.
    pub is_of_fork: bool,
    /// Its page.
    pub url: String,
    raw: Value,
}

/// As much as is needed of the API's form.
#[derive(Deserialize)]
struct Raw {
    id: u64,
    #[serde(default = "first")]
    run_attempt: u32,
    head_sha: String,
    event: String,
    status: Option<String>,
    conclusion: Option<String>,
    #[serde(default)]
    html_url: String,
    repository: Option<Repository>,
    head_repository: Option<Repository>,
}

fn first() -> u32 {
    1
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

impl WorkflowRun {
    /// The run in an answer or a payload. `repository` is where it was asked for, if it does not say.
    fn read(raw: &Value, repository: &str) -> Option<Self> {
        let run = Raw::deserialize(raw).ok()?;
        let repository = run.repository.map_or_else(|| repository.to_owned(), |repository| repository.full_name);
        let head = run.head_repository.map(|repository| repository.full_name);
        Some(Self {
            id: run.id,
            attempt: run.run_attempt,
            head_sha: run.head_sha,
            event: run.event,
            status: run.status,
            conclusion: run.conclusion,
            is_of_fork: head.is_none_or(|head| !head.eq_ignore_ascii_case(&repository)),
            url: run.html_url,
            repository,
            raw: raw.clone(),
        })
    }

    /// The run that triggered this one, if it has this number.
    #[must_use]
    pub fn of_event(context: &RunContext, id: u64) -> Option<Self> {
        let repository = context.repository.as_deref()?;
        let raw = context.event_payload.get("workflow_run")?;
        Self::read(raw, repository).filter(|run| run.id == id)
    }

    /// The run, as the API tells of it.
    ///
    /// # Errors
    /// The API's.
    pub async fn fetch(api: &Api, repository: &str, id: u64) -> api::Result<Self> {
        let route = repository_route(repository, &format!("/actions/runs/{id}"))?;
        let raw: Value = api.get(&route).await?;
        let unreadable = || api::Error::Unreadable { route, message: "it is no workflow run".to_owned() };
        Self::read(&raw, repository).ok_or_else(unreadable)
    }

    /// How to come to its pull request.
    #[must_use]
    pub fn lookup(&self) -> Lookup {
        let repository = self.raw.get("repository").cloned().unwrap_or_default();
        lookup("workflow_run", &json!({"workflow_run": self.raw, "repository": repository}), None)
    }

    /// Why it has no results, if it can't have any: it never ran.
    #[must_use]
    pub fn never_ran(&self) -> Option<&'static str> {
        match self.conclusion.as_deref() {
            Some("skipped") => Some("all of its jobs were skipped"),
            Some("action_required") => Some("it waits for somebody's approval"),
            Some("startup_failure") => Some("its workflow file could not be used"),
            _ => None,
        }
    }

    /// Whether somebody, or a newer run, ended it before its time.
    #[must_use]
    pub fn was_cancelled(&self) -> bool {
        self.conclusion.as_deref() == Some("cancelled")
    }

    /// The commit that its reports must be of; `None` where that can't be known: for a pull request it is a merge commit, which
    /// is gone when the branch moves.
    #[must_use]
    pub fn commit(&self) -> Option<&str> {
        (!self.event.starts_with("pull_request")).then_some(self.head_sha.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(head: &Value) -> Value {
        json!({
            "id": 7, "head_sha": "0123456789abcdef0123456789abcdef01234567", "head_branch": "topic", "event": "pull_request",
            "status": "completed", "conclusion": "cancelled", "html_url": "u", "pull_requests": [],
            "repository": {"id": 1, "full_name": "o/r"}, "head_repository": head
        })
    }

    #[test]
    fn a_run_of_a_fork_is_known_as_such() {
        let of = |head: &Value| WorkflowRun::read(&raw(head), "x/y").unwrap();
        let fork = of(&json!({"id": 2, "full_name": "f/r", "owner": {"login": "f"}}));
        assert_eq!((fork.repository.as_str(), fork.is_of_fork, fork.commit()), ("o/r", true, None));
        assert!(matches!(fork.lookup(), Lookup::Branch { owner, branch, .. } if owner == "f" && branch == "topic"));
        assert!(of(&Value::Null).is_of_fork, "a fork that is gone");
        assert!(!of(&json!({"id": 1, "full_name": "O/R"})).is_of_fork);
    }

    #[test]
    fn the_event_brings_the_run_that_triggered_it_and_no_other() {
        let context = RunContext {
            repository: Some("o/r".to_owned()),
            event_payload: json!({"workflow_run": raw(&Value::Null)}),
            ..RunContext::default()
        };
        assert_eq!(WorkflowRun::of_event(&context, 7).map(|run| run.id), Some(7));
        assert_eq!(WorkflowRun::of_event(&context, 8), None);
        assert_eq!(WorkflowRun::of_event(&RunContext::default(), 7), None);
    }

    #[test]
    fn how_a_run_ended_says_whether_there_can_be_results() {
        let ended = |conclusion: &str| {
            let mut raw = raw(&Value::Null);
            raw["conclusion"] = json!(conclusion);
            raw["event"] = json!("push");
            WorkflowRun::read(&raw, "o/r").unwrap()
        };
        for conclusion in ["skipped", "action_required", "startup_failure"] {
            assert!(ended(conclusion).never_ran().is_some(), "{conclusion}");
        }
        for conclusion in ["success", "failure", "timed_out", "cancelled"] {
            assert_eq!(ended(conclusion).never_ran(), None, "{conclusion}");
        }
        assert!(ended("cancelled").was_cancelled() && !ended("failure").was_cancelled());
        assert_eq!(ended("success").commit(), Some("0123456789abcdef0123456789abcdef01234567"));
    }
}
