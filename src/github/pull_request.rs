//! Which pull request a run belongs to.
//!
//! [`lookup`] reads what the event says; [`find`] asks GitHub for what it leaves open. Of an event of another repository's branch (a fork's
//! `workflow_run`) the event names no number, and a number that came along in an artifact is whatever the fork wrote there:
//! [`confirm`] checks it.
//!
//! Sources: <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>,
//! <https://docs.github.com/en/webhooks/webhook-events-and-payloads>.

mod lookup;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::Value;

use super::api::{self, Api, query, repository_route};
pub(super) use lookup::is_sha;
pub use lookup::{Head, Lookup, lookup};

/// The login under which Dependabot opens pull requests; what they start is as read-only as what forks start.
const DEPENDABOT: &str = "dependabot[bot]";
/// How many pages of a branch's pull requests are looked through.
const MOST_PAGES: usize = 3;

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// The newest commit of its branch, as far as is known: the event's or the API's.
    pub head_sha: String,
    /// The repository that the branch is in, `owner/name`; `None` if it was deleted.
    pub head_repository: Option<String>,
    /// The branch that it goes into.
    pub base_ref: String,
    /// Whether its branch is in another repository, whose code is not trusted and whose runs get a token that can't write.
    pub is_fork: bool,
    /// Whether Dependabot opened it: its runs get a token that can't write either.
    pub is_dependabot: bool,
    /// Whether it is open.
    pub is_open: bool,
    /// Its page.
    pub url: String,
}

impl PullRequest {
    /// Whether runs that it starts get a token that can't write, whatever permissions their workflow asks for
    /// (`pull_request_target` and `workflow_run` excepted).
    pub fn is_read_only(&self) -> bool {
        self.is_fork || self.is_dependabot
    }
}

/// Why a number is not that of the run's pull request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unconfirmed {
    /// GitHub can't tell.
    #[error(transparent)]
    Api(#[from] api::Error),
    /// There is no such pull request.
    #[error("there is no pull request {number}")]
    Absent {
        /// The number.
        number: u64,
    },
    /// It is another branch's: the number is a lie, or the branch has moved since.
    #[error("pull request {number} is at {found}, the run was for {expected}")]
    OtherHead {
        /// The number.
        number: u64,
        /// What it is at.
        found: Head,
        /// What the run was for.
        expected: Head,
    },
}

/// A pull request in the API's answers and in payloads, as much as is needed of it.
#[derive(Deserialize)]
struct Raw {
    number: u64,
    #[serde(default)]
    state: String,
    #[serde(default)]
    html_url: String,
    head: Side,
    base: Side,
    user: Option<Named>,
}

#[derive(Deserialize)]
struct Side {
    #[serde(default, rename = "ref")]
    reference: String,
    #[serde(default)]
    sha: String,
    repo: Option<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    full_name: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    login: String,
}

impl From<Raw> for PullRequest {
    fn from(raw: Raw) -> Self {
        let id = |side: &Side| side.repo.as_ref().map(|repository| repository.id);
        Self {
            number: raw.number,
            // A repository that was deleted was not this one.
            is_fork: id(&raw.head).is_none() || id(&raw.head) != id(&raw.base),
            is_dependabot: raw.user.is_some_and(|user| user.login == DEPENDABOT),
            is_open: raw.state == "open",
            head_sha: raw.head.sha,
            head_repository: raw.head.repo.and_then(|repository| repository.full_name),
            base_ref: raw.base.reference,
            url: raw.html_url,
        }
    }
}

/// The pull request that a payload holds whole.
fn from_payload(pull_request: &Value) -> Option<PullRequest> {
    Raw::deserialize(pull_request).ok().map(PullRequest::from)
}

/// Asks for what the event left open. `None`: the run belongs to no pull request.
///
/// # Errors
/// What keeps the API from answering; that there is no such pull request or commit is an answer.
pub async fn find(api: &Api, repository: &str, lookup: Lookup) -> api::Result<Option<PullRequest>> {
    match lookup {
        Lookup::None(_) => Ok(None),
        Lookup::Known(found) => Ok(Some(*found)),
        Lookup::Number(number) => get(api, repository, number).await,
        Lookup::Numbers { numbers, head } => {
            for number in numbers {
                let found = get(api, repository, number).await?;
                if let Some(found) = found.filter(|found| head.is_of(found)) {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        }
        Lookup::Branch { owner, branch, head } => {
            let filter = format!("{owner}:{branch}");
            let pairs = [("state", "all"), ("head", filter.as_str()), ("sort", "updated"), ("direction", "desc")];
            let route = repository_route(repository, &format!("/pulls{}", query(&pairs)))?;
            Ok(best(list(api, &route).await?, |found| head.is_of(found)))
        }
        Lookup::Commit(sha) => {
            let route = repository_route(repository, &format!("/commits/{sha}/pulls"))?;
            let all = match list(api, &route).await {
                // 422 is what GitHub answers for a commit that it does not have.
                Err(api::Error::NotFound { .. } | api::Error::Answered { status: 422, .. }) => return Ok(None),
                answer => answer?,
            };
            // Those that were merged with this commit are not what the run is about.
            Ok(best(all, |found| found.is_open && found.head_sha == sha))
        }
    }
}

/// The pull request of a number that is not trusted: checked to be at commit `head_sha`, and to come from `head_repository`
/// (`owner/name`) where that is known.
///
/// # Errors
/// [`Unconfirmed`]: never believe the number then.
pub async fn confirm(
    api: &Api,
    repository: &str,
    number: u64,
    head_sha: &str,
    head_repository: Option<&str>,
) -> Result<PullRequest, Unconfirmed> {
    let found = get(api, repository, number).await?.ok_or(Unconfirmed::Absent { number })?;
    let head = Head { sha: head_sha.to_owned(), repository: head_repository.map(str::to_owned) };
    if head.is_of(&found) {
        return Ok(found);
    }
    let found = Head { sha: found.head_sha, repository: found.head_repository };
    Err(Unconfirmed::OtherHead { number, found, expected: head })
}

async fn get(api: &Api, repository: &str, number: u64) -> api::Result<Option<PullRequest>> {
    match api.get::<Raw>(&repository_route(repository, &format!("/pulls/{number}"))?).await {
        Err(api::Error::NotFound { .. }) => Ok(None),
        answer => Ok(Some(answer?.into())),
    }
}

async fn list(api: &Api, route: &str) -> api::Result<Vec<PullRequest>> {
    let pages = api.pages::<Raw>(route, None, MOST_PAGES).await?;
    Ok(pages.items.into_iter().map(PullRequest::from).collect())
}

/// An open one rather than a closed one, and the first of them in GitHub's order.
fn best(all: Vec<PullRequest>, fits: impl Fn(&PullRequest) -> bool) -> Option<PullRequest> {
    let mut fitting: Vec<_> = all.into_iter().filter(fits).collect();
    fitting.sort_by_key(|found| !found.is_open);
    fitting.into_iter().next()
}
