//! The one comment that a pull request gets: found, created, kept up to date.
//!
//! It is known by a marker in its first line **and** by its author: anybody can write a marker. Its text is made elsewhere, see
//! `report::comment`.
//!
//! Source: <https://docs.github.com/en/rest/issues/comments>.

mod author;
mod decide;
#[cfg(test)]
mod tests;

use crate::report::comment::marker;
use serde::Deserialize;
use serde_json::json;

use super::api::{self, Api, repository_route};
use author::{Author, User};
pub use decide::{Action, decide};

/// The most characters that GitHub takes.
pub const MAX_CHARACTERS: usize = 65_536;
/// How many pages of a hundred comments are looked through: more than a pull request can have, which is 2,500 comments.
const MOST_PAGES: usize = 30;
/// How often a comment is posted whose posting went wrong and which was not found afterwards.
const POSTS: u32 = 3;

/// Why there is no comment, or an old one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The token may not comment: that of a fork's or Dependabot's pull request, or of a job without `pull-requests: write`.
    #[error("the token may not comment: {message}")]
    Denied {
        /// GitHub's words.
        message: String,
    },
    /// The conversation is locked.
    #[error("the conversation is locked: {message}")]
    Locked {
        /// GitHub's words.
        message: String,
    },
    /// Comments are switched off, or the conversation was deleted.
    #[error("there are no comments any more: {message}")]
    Gone {
        /// GitHub's words.
        message: String,
    },
    /// GitHub takes the pull request but not this comment.
    #[error("GitHub refuses the comment: {message}")]
    Refused {
        /// GitHub's words.
        message: String,
    },
    /// There is no such pull request, or the token may not see it.
    #[error("there is no pull request {number} in {repository}, or the token may not see it")]
    Absent {
        /// The repository.
        repository: String,
        /// The number.
        number: u64,
    },
    /// The text is longer than GitHub takes.
    #[error("the comment has {characters} characters: GitHub takes {MAX_CHARACTERS}")]
    TooLong {
        /// How long it is.
        characters: usize,
    },
    /// The text has no marker in its first line: it would never be found again.
    #[error("the comment's first line is not its marker")]
    Unmarked,
    /// There are more comments than GitHub allows; ours may be among those that were not seen.
    #[error("there are too many comments to find ours among them")]
    TooMany,
    /// Anything else.
    #[error(transparent)]
    Api(api::Error),
}

impl Error {
    /// What an answer about the comments of pull request `number` means.
    fn of(error: api::Error, repository: &str, number: u64) -> Self {
        let is_locked = |message: &str| message.to_lowercase().contains("locked");
        match error {
            api::Error::Denied { message } | api::Error::Answered { status: 422, message } if is_locked(&message) => {
                Self::Locked { message }
            }
            api::Error::Denied { message } => Self::Denied { message },
            api::Error::Gone { message } => Self::Gone { message },
            api::Error::Answered { status: 422, message } => Self::Refused { message },
            api::Error::NotFound { .. } => Self::Absent { repository: repository.to_owned(), number },
            other => Self::Api(other),
        }
    }
}

/// A text that GitHub takes and that is found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    key: String,
    text: String,
}

impl Body {
    /// Takes a text whose first line is `marker(key)`.
    ///
    /// # Errors
    /// [`Error::TooLong`], [`Error::Unmarked`].
    pub fn new(key: &str, text: String) -> Result<Self, Error> {
        let characters = text.chars().count();
        match () {
            () if characters > MAX_CHARACTERS => Err(Error::TooLong { characters }),
            () if !is_marked(&text, key) => Err(Error::Unmarked),
            () => Ok(Self { key: key.to_owned(), text }),
        }
    }

    /// Whether a comment says just this. GitHub may have other line ends and no white space at the end.
    fn is(&self, text: &str) -> bool {
        self.text.trim_end().lines().eq(text.trim_end().lines())
    }
}

fn is_marked(text: &str, key: &str) -> bool {
    text.lines().next().is_some_and(|line| line.trim_end() == marker(key))
}

/// A comment of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Existing {
    /// Its id.
    pub id: u64,
    /// Its text, as GitHub has it.
    pub body: String,
    /// Its address.
    pub url: String,
    /// How many younger ones of ours with the same key there are: two runs at once may have made them. They are left alone.
    pub others: usize,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// There is a new comment.
    Created,
    /// The one that was there has a new text.
    Updated,
    /// It says just this already.
    Unchanged,
}

/// The comment, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its address.
    pub url: String,
    /// What was done.
    pub what: What,
}

/// A comment in the API's answers.
#[derive(Deserialize)]
struct Raw {
    id: u64,
    body: Option<String>,
    #[serde(default)]
    html_url: String,
    user: Option<User>,
}

/// The comment of ours on a pull request: the oldest with the marker of `key` that the token's own account wrote.
///
/// # Errors
/// As [`enum@Error`] tells them.
pub async fn find(api: &Api, repository: &str, number: u64, key: &str) -> Result<Option<Existing>, Error> {
    let mean = |error| Error::of(error, repository, number);
    let route = repository_route(repository, &format!("/issues/{number}/comments")).map_err(mean)?;
    let pages = api.pages::<Raw>(&route, None, MOST_PAGES).await.map_err(mean)?;
    let is_marked = |comment: &Raw| comment.body.as_deref().is_some_and(|body| is_marked(body, key));
    let marked: Vec<_> = pages.items.into_iter().filter(is_marked).collect();
    let ours = if marked.is_empty() { marked } else { by(&Author::of(api).await.map_err(mean)?, marked) };
    let others = ours.len().saturating_sub(1);
    match ours.into_iter().min_by_key(|comment| comment.id) {
        None if !pages.complete => Err(Error::TooMany),
        oldest => Ok(oldest.map(|comment| Existing {
            id: comment.id,
            body: comment.body.unwrap_or_default(),
            url: comment.html_url,
            others,
        })),
    }
}

fn by(author: &Author, comments: Vec<Raw>) -> Vec<Raw> {
    comments.into_iter().filter(|comment| comment.user.as_ref().is_some_and(|user| author.is(user))).collect()
}

/// Makes `body` the text of the comment on a pull request: of `existing`, which [`find`] found, or of a new one.
///
/// A comment is never made twice: when GitHub's answer to a new one is lost, ours is looked for before another try.
///
/// # Errors
/// As [`enum@Error`] tells them.
pub async fn publish(
    api: &Api,
    repository: &str,
    number: u64,
    existing: Option<&Existing>,
    body: &Body,
) -> Result<Published, Error> {
    if let Some(existing) = existing
        && let Some(published) = update(api, repository, number, existing, body).await?
    {
        return Ok(published);
    }
    create(api, repository, number, body).await
}

/// Gives a comment its new text; `None` if it is not there any more.
async fn update(
    api: &Api,
    repository: &str,
    number: u64,
    existing: &Existing,
    body: &Body,
) -> Result<Option<Published>, Error> {
    if body.is(&existing.body) {
        return Ok(Some(Published { url: existing.url.clone(), what: What::Unchanged }));
    }
    let mean = |error| Error::of(error, repository, number);
    let route = repository_route(repository, &format!("/issues/comments/{}", existing.id)).map_err(mean)?;
    match api.patch::<_, Raw>(&route, &json!({"body": body.text})).await {
        Ok(comment) => Ok(Some(Published { url: comment.html_url, what: What::Updated })),
        Err(api::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(mean(error)),
    }
}

async fn create(api: &Api, repository: &str, number: u64, body: &Body) -> Result<Published, Error> {
    let mean = |error| Error::of(error, repository, number);
    let route = repository_route(repository, &format!("/issues/{number}/comments")).map_err(mean)?;
    let mut tried = 0;
    loop {
        let error = match api.post::<_, Raw>(&route, &json!({"body": body.text})).await {
            Ok(comment) => return Ok(Published { url: comment.html_url, what: What::Created }),
            Err(error) => error,
        };
        if !error.may_have_been_done() {
            return Err(mean(error));
        }
        tried += 1;
        // What was written a moment ago is not in every listing at once.
        tokio::time::sleep(api.patience().growing(tried)).await;
        if let Some(made) = find(api, repository, number, &body.key).await?
            && let Some(published) = update(api, repository, number, &made, body).await?
        {
            return Ok(Published { what: What::Created, ..published });
        }
        if tried >= POSTS {
            return Err(mean(error));
        }
    }
}
