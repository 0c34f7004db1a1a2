//! The files that a pull request or a push changes, as the API tells them.
//!
//! A clone of one commit, which is what `actions/checkout` makes, can't tell them; the API can, within its limits. Where it can't tell all of
//! them it is as good as if it told none, and the reason is said.
//!
//! Sources: <https://docs.github.com/en/rest/pulls/pulls#list-pull-requests-files>,
//! <https://docs.github.com/en/rest/commits/commits#compare-two-commits>.

mod question;

use std::collections::BTreeSet;

use serde::Deserialize;

use super::api::{Api, Error, query, repository_route};
use crate::git::ChangedLines;
pub use question::{Question, question};

/// How many files of a pull request GitHub tells at most.
const MOST_OF_PULL_REQUEST: usize = 3_000;
/// How many files of a comparison GitHub tells at most.
const MOST_OF_COMPARISON: usize = 300;
const PER_PAGE: usize = 100;

#[derive(Deserialize)]
struct File {
    filename: String,
    previous_filename: Option<String>,
    /// What changed in it; left out of files that are large or no text.
    patch: Option<String>,
}

#[derive(Deserialize)]
struct PullRequest {
    changed_files: usize,
    head: Commit,
    base: Commit,
}

#[derive(Deserialize)]
struct Commit {
    sha: String,
}

#[derive(Deserialize)]
struct Comparison {
    /// `ahead`, `behind`, `diverged`, `identical`.
    status: String,
    #[serde(default)]
    files: Vec<File>,
}

/// The changed files, as paths from the repository's top in order; of one that was renamed both names.
///
/// # Errors
/// Says in one line why they can't be known, or not all of them.
pub async fn files(api: &Api, repository: &str, question: &Question) -> Result<Vec<String>, String> {
    let files = asked(api, repository, question).await?;
    let names = files.into_iter().flat_map(|file| [Some(file.filename), file.previous_filename]).flatten();
    Ok(names.collect::<BTreeSet<_>>().into_iter().collect())
}

/// The changed lines that hold `text`, by file, as paths from the repository's top. Those of files that are large, or no text, are not told.
///
/// # Errors
/// As [`files`].
pub async fn lines(api: &Api, repository: &str, question: &Question, text: &str) -> Result<Vec<ChangedLines>, String> {
    let files = asked(api, repository, question).await?;
    let of = |file: File| {
        let patch = file.patch?;
        let side = |sign: char| {
            let lines = patch.lines().filter_map(|line| line.strip_prefix(sign));
            lines.filter(|line| line.contains(text)).map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
        };
        let (before, after) = (side('-'), side('+'));
        let is_told = !before.is_empty() || !after.is_empty();
        is_told.then_some(ChangedLines { file: file.filename, before, after })
    };
    Ok(files.into_iter().filter_map(of).collect())
}

async fn asked(api: &Api, repository: &str, question: &Question) -> Result<Vec<File>, String> {
    match question {
        Question::PullRequest { number, head } => of_pull_request(api, repository, *number, head).await,
        Question::Compare { base, head } => between(api, repository, base, head).await,
    }
}

async fn of_pull_request(api: &Api, repository: &str, number: u64, head: &str) -> Result<Vec<File>, String> {
    let route = |rest: &str| repository_route(repository, &format!("/pulls/{number}{rest}"));
    let found: PullRequest =
        api.get(&route("").map_err(said)?).await.map_err(|error| lacking("pull-requests: read", &error))?;
    // The run is about the event's commit. What the branch has become since is another run's.
    if found.head.sha != head {
        return compare(api, repository, &found.base.sha, head).await.map(|comparison| comparison.files);
    }
    if found.changed_files > MOST_OF_PULL_REQUEST {
        let count = found.changed_files;
        return Err(format!(
            "pull request {number} changes {count} files, GitHub tells {MOST_OF_PULL_REQUEST} of them"
        ));
    }
    let pages = MOST_OF_PULL_REQUEST / PER_PAGE;
    let listed = api.pages::<File>(&route("/files").map_err(said)?, None, pages).await.map_err(said)?;
    match listed.items.len() {
        all if listed.complete && all >= found.changed_files => Ok(listed.items),
        some => {
            Err(format!("pull request {number} changes {} files, GitHub tells {some} of them", found.changed_files))
        }
    }
}

/// The files that differ between two commits, and maybe some that don't: those that changed on either side since both parted. (After a
/// forced push the old commits are no ancestors of the new ones, and what they changed is changed back.)
async fn between(api: &Api, repository: &str, base: &str, head: &str) -> Result<Vec<File>, String> {
    let mut forth = compare(api, repository, base, head).await?;
    if matches!(forth.status.as_str(), "diverged" | "behind") {
        forth.files.extend(compare(api, repository, head, base).await?.files);
    }
    Ok(forth.files)
}

/// What `head` changed since it left `base`.
async fn compare(api: &Api, repository: &str, base: &str, head: &str) -> Result<Comparison, String> {
    // The files come with the first page, whole; one commit on it is the least that there is to ask for.
    // A branch's name may have slashes.
    let rest = format!("/compare/{}...{head}{}", base.replace('/', "%2F"), query(&[("per_page", "1")]));
    let route = repository_route(repository, &rest).map_err(said)?;
    let comparison: Comparison = match api.get(&route).await {
        Err(Error::NotFound { .. }) => {
            return Err(format!(
                "GitHub can't compare {base} with {head}: one of them is gone, or the token lacks `contents: read`"
            ));
        }
        answer => answer.map_err(|error| lacking("contents: read", &error))?,
    };
    match comparison.files.len() {
        files if files < MOST_OF_COMPARISON => Ok(comparison),
        _ => {
            Err(format!("{base}...{head} changes {MOST_OF_COMPARISON} files or more: GitHub tells no more than these"))
        }
    }
}

/// An error, with the permission without which it is to be expected.
fn lacking(permission: &str, error: &Error) -> String {
    match error {
        Error::Denied { .. } | Error::NotFound { .. } => format!("{error}; does the job have `{permission}`?"),
        _ => error.to_string(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn said(error: Error) -> String {
    error.to_string()
}
