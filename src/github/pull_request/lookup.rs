//! What an event says about its pull request. Pure.

use std::fmt;

use serde_json::Value;

use super::{PullRequest, from_payload};

/// How to come to the pull request of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// There is none, and why.
    None(&'static str),
    /// The payload holds it.
    Known(Box<PullRequest>),
    /// By its number, which GitHub itself told.
    Number(u64),
    /// One of several, by its head.
    Numbers {
        /// Their numbers.
        numbers: Vec<u64>,
        /// The head of the right one.
        head: Head,
    },
    /// By its branch, in a repository that may be a fork, and its head.
    Branch {
        /// Whose repository the branch is in.
        owner: String,
        /// The branch.
        branch: String,
        /// The head of the right one.
        head: Head,
    },
    /// By the commit that is at the end of its branch.
    Commit(String),
}

/// What a pull request must be at, to be the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The newest commit of its branch.
    pub sha: String,
    /// The repository that the branch is in, `owner/name`; `None` if any will do.
    pub repository: Option<String>,
}

impl Head {
    /// Whether a pull request is at it.
    pub fn is_of(&self, found: &PullRequest) -> bool {
        let here = |name: &String| found.head_repository.as_ref().is_some_and(|other| other.eq_ignore_ascii_case(name));
        found.head_sha == self.sha && self.repository.as_ref().is_none_or(here)
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "commit {}", self.sha)?;
        self.repository.iter().try_for_each(|repository| write!(f, " of {repository}"))
    }
}

/// How to come to the pull request of an event. `sha` is the commit of the run (`GITHUB_SHA`), for events that name none.
pub fn lookup(event: &str, payload: &Value, sha: Option<&str>) -> Lookup {
    match event {
        "issue_comment" | "issues" => of_issue(payload),
        "merge_group" => text(payload, "/merge_group/head_ref")
            .and_then(number_in_queue)
            .map_or(Lookup::None("the merge group's branch names no pull request"), Lookup::Number),
        "workflow_run" => of_workflow_run(payload),
        "check_run" => of_check(payload, "/check_run/pull_requests", "/check_run/head_sha"),
        "check_suite" => of_check(payload, "/check_suite/pull_requests", "/check_suite/head_sha"),
        // Their payloads' `after`, `sha` and the like are the run's commit.
        _ => match payload.get("pull_request").filter(|pull_request| pull_request.is_object()) {
            Some(pull_request) => of_pull_request(pull_request),
            None => of_commit(sha),
        },
    }
}

/// Events that bring their pull request: `pull_request`, `pull_request_target`, the reviews.
fn of_pull_request(pull_request: &Value) -> Lookup {
    match (from_payload(pull_request), pull_request["number"].as_u64()) {
        (Some(found), _) => Lookup::Known(Box::new(found)),
        (None, Some(number)) => Lookup::Number(number),
        (None, None) => Lookup::None("the event's pull request has no number"),
    }
}

fn of_issue(payload: &Value) -> Lookup {
    let issue = &payload["issue"];
    match issue["number"].as_u64().filter(|_| issue["pull_request"].is_object()) {
        Some(number) => Lookup::Number(number),
        None => Lookup::None("the issue is no pull request"),
    }
}

/// The number in a branch of the merge queue: `refs/heads/gh-readonly-queue/<base>/pr-<number>-<sha>`.
fn number_in_queue(reference: &str) -> Option<u64> {
    let branch = reference.strip_prefix("refs/heads/").unwrap_or(reference).strip_prefix("gh-readonly-queue/")?;
    let (number, sha) = branch.rsplit_once('/')?.1.strip_prefix("pr-")?.split_once('-')?;
    number.parse().ok().filter(|_| is_sha(sha))
}

/// A run that follows another one: its pull request is the other one's. The payload lists none for forks.
fn of_workflow_run(payload: &Value) -> Lookup {
    let run = &payload["workflow_run"];
    let (Some(sha), branch) = (text(run, "/head_sha").filter(|sha| is_sha(sha)), text(run, "/head_branch")) else {
        return Lookup::None("the workflow run has no commit");
    };
    let head = Head { sha: sha.to_owned(), repository: text(run, "/head_repository/full_name").map(str::to_owned) };
    let numbers = numbers_of_this_repository(&run["pull_requests"], payload);
    let event = text(run, "/event").unwrap_or_default();
    let owner = text(run, "/head_repository/owner/login");
    match (event, branch, owner) {
        ("merge_group", Some(branch), _) if number_in_queue(branch).is_some() => {
            number_in_queue(branch).map_or(Lookup::None(""), Lookup::Number)
        }
        _ if !numbers.is_empty() => Lookup::Numbers { numbers, head },
        (event, Some(branch), Some(owner)) if event.starts_with("pull_request") => {
            Lookup::Branch { owner: owner.to_owned(), branch: branch.to_owned(), head }
        }
        (event, ..) if event.starts_with("pull_request") => {
            Lookup::None("the repository that the workflow run's commit came from is gone")
        }
        _ => Lookup::Commit(sha.to_owned()),
    }
}

fn of_check(payload: &Value, pull_requests: &str, sha: &str) -> Lookup {
    let Some(sha) = text(payload, sha).filter(|sha| is_sha(sha)) else {
        return Lookup::None("the check has no commit");
    };
    let all = payload.pointer(pull_requests).unwrap_or(&Value::Null);
    match numbers_of_this_repository(all, payload) {
        numbers if numbers.is_empty() => Lookup::Commit(sha.to_owned()),
        numbers => Lookup::Numbers { numbers, head: Head { sha: sha.to_owned(), repository: None } },
    }
}

fn of_commit(sha: Option<&str>) -> Lookup {
    match sha.filter(|sha| is_sha(sha)) {
        Some(sha) => Lookup::Commit(sha.to_owned()),
        None => Lookup::None("the event names neither a pull request nor a commit"),
    }
}

/// The numbers in a payload's list. It may hold pull requests of the same branch into other repositories: a fork's into its origin.
fn numbers_of_this_repository(pull_requests: &Value, payload: &Value) -> Vec<u64> {
    let here = payload.pointer("/repository/id");
    let all = pull_requests.as_array().into_iter().flatten();
    all.filter(|listed| listed.pointer("/base/repo/id") == here)
        .filter_map(|listed| listed["number"].as_u64())
        .collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
}

/// Whether a text is the whole id of a commit: nothing else gets into a route.
pub(in crate::github) fn is_sha(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
