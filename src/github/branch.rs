//! Files at the root of a branch that holds nothing but what runs leave there. Several runs may write at once, and lose nothing: who comes
//! too late reads again, and adds to what is there now.
//!
//! Whatever a run writes is one commit, made through the git database: blobs, a tree over the one of the branch's head, a commit whose parent is
//! that head, and the branch moved to it without force. The head plays the part that a file's stale `sha` has in the contents API, which
//! takes one file a commit, and refuses whenever the *branch* has moved meanwhile, by whatever file: several files would be several chances to
//! come too late.
//!
//! Sources: <https://docs.github.com/en/rest/git/refs>, <https://docs.github.com/en/rest/git/commits>,
//! <https://docs.github.com/en/rest/git/trees>, <https://docs.github.com/en/rest/git/blobs>.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::time::Instant;

use super::api::{Api, Error, Result, query, repository_route};

/// How often writing may fail over the same head: GitHub shows a new head a moment later than it has it. After that it is refused for another
/// reason. So often in a row reading may fail, too.
const TRIES_A_HEAD: u32 = 5;
/// How long it is tried while others move the head.
const WHILE_IT_MOVES: Duration = Duration::from_secs(3 * 60);
/// After so many tries pauses don't grow any more.
const LONGEST_PAUSE: u32 = 3;
/// The largest file that is read, in bytes; GitHub's own bound for blobs is 100 MB.
const MOST: u64 = 60 << 20;
/// A file is not made smaller than this because GitHub finds it too large, in bytes.
const LEAST: usize = 1 << 20;

/// A branch of a repository, which may not be there yet.
#[derive(Clone, Copy, Debug)]
pub struct Branch<'a> {
    api: &'a Api,
    repository: &'a str,
    name: &'a str,
}

/// What a commit is of: files at the root, by their names.
#[derive(Clone, Copy, Debug)]
pub struct Commit<'c> {
    /// Its message.
    pub message: &'c str,
    /// The file that is changed.
    pub file: &'c str,
    /// Names and texts of what is written beside it, whatever is there.
    pub beside: &'c [(&'c str, &'c str)],
    /// Names and texts of what a new branch begins with, too.
    pub first: &'c [(&'c str, &'c str)],
}

/// What becomes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its new content.
    To(Vec<u8>),
    /// Its new content, and nothing is written beside it.
    Alone(Vec<u8>),
    /// It is right as it is.
    Same,
    /// Nothing on the branch is written.
    Leave,
}

/// The branch at one moment.
#[derive(Debug)]
struct Head {
    commit: String,
    tree: String,
    files: Vec<Entry>,
}

/// What is at the root.
#[derive(Debug, Deserialize)]
struct Entry {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    sha: String,
    #[serde(default)]
    size: u64,
}

#[derive(Deserialize)]
struct Tree {
    tree: Vec<Entry>,
}

#[derive(Deserialize)]
struct Reference {
    object: Made,
}

#[derive(Deserialize)]
struct OfCommit {
    tree: Made,
}

/// The id of what is there, or was made.
#[derive(Deserialize)]
struct Made {
    sha: String,
}

impl<'a> Branch<'a> {
    /// The branch of this name.
    #[must_use]
    pub fn new(api: &'a Api, repository: &'a str, name: &'a str) -> Self {
        Self { api, repository, name }
    }

    /// What a file holds; `None` if there is none, or no branch.
    ///
    /// # Errors
    /// As [`Error`] tells them. [`Error::Denied`]: the token may not read.
    pub async fn read(&self, file: &str) -> Result<Option<Vec<u8>>> {
        self.content(self.head().await?.as_ref(), file).await
    }

    /// Makes a commit: `change` makes of the file's present content, which is empty where there is no file, what it becomes, in no more than the
    /// bytes that it is given. These are `most` at first, and fewer when GitHub finds the file too large. It is asked again whenever another has
    /// written meanwhile, and where reading failed. Where there is no branch, it begins with this commit. There is no commit if nothing differs.
    ///
    /// # Errors
    /// As [`Error`] tells them. [`Error::Denied`]: the token may not write.
    pub async fn update(
        &self,
        commit: &Commit<'_>,
        mut most: usize,
        mut change: impl FnMut(&[u8], usize) -> Change,
    ) -> Result<()> {
        let until = Instant::now() + WHILE_IT_MOVES;
        let (mut tried, mut failed, mut unread) = (0, (None, 0), 1);
        loop {
            let (head, stored) = match self.now(commit.file).await {
                Ok(read) => read,
                Err(error) if may_be_read(&error) && unread < TRIES_A_HEAD && Instant::now() < until => {
                    (unread, tried) = (unread + 1, tried + 1);
                    self.pause(commit.file, &error, tried).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            unread = 1;
            let (content, beside) = match change(&stored, most) {
                Change::To(content) => (Some(content), commit.beside),
                Change::Alone(content) => (Some(content), &[][..]),
                Change::Same => (None, commit.beside),
                Change::Leave => return Ok(()),
            };
            let made = self.commit(&Commit { beside, ..*commit }, head.as_ref(), content.as_deref()).await;
            let Err(error) = made else { return Ok(()) };
            let size = content.map_or(0, |content| content.len());
            if is_too_large(&error) {
                if size <= LEAST {
                    return Err(error);
                }
                most = (most.min(size) / 2).max(LEAST);
                tracing::debug!("{} on {}: {error}; trying {most} bytes", commit.file, self.name);
                continue;
            }
            let over = head.map(|head| head.commit);
            let times = if failed.0 == over { failed.1 + 1 } else { 1 };
            if !may_pass(&error, over.is_some()) || times >= TRIES_A_HEAD || Instant::now() >= until {
                return Err(error);
            }
            failed = (over, times);
            tried += 1;
            self.pause(commit.file, &error, tried).await;
        }
    }

    /// The head, and what it has of a file.
    async fn now(&self, file: &str) -> Result<(Option<Head>, Vec<u8>)> {
        let head = self.head().await?;
        let stored = self.content(head.as_ref(), file).await?.unwrap_or_default();
        Ok((head, stored))
    }

    async fn pause(&self, file: &str, error: &Error, tried: u32) {
        tracing::debug!("{file} on {}: {error}; reading it again", self.name);
        let pause = self.api.patience().growing(tried.min(LONGEST_PAUSE));
        tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>())).await;
    }

    /// The newest commit, and what is at its root; `None` without a branch.
    async fn head(&self) -> Result<Option<Head>> {
        let reference: Reference = match self.api.get(&self.route(&format!("/git/ref{}", self.heads()?))?).await {
            Ok(reference) => reference,
            Err(Error::NotFound { .. }) => return self.is_readable().await.map(|()| None),
            Err(error) => return Err(error),
        };
        let commit = reference.object.sha;
        let OfCommit { tree } = self.api.get(&self.route(&format!("/git/commits/{commit}"))?).await?;
        let Tree { tree: files } = self.api.get(&self.route(&format!("/git/trees/{}", tree.sha))?).await?;
        Ok(Some(Head { commit, tree: tree.sha, files }))
    }

    /// Whether the token can read branches at all: to one that can't, GitHub shows none. What anybody's token may know, that the repository is
    /// there, would not tell.
    async fn is_readable(&self) -> Result<()> {
        let route = self.route(&format!("/branches{}", query(&[("per_page", "1")])))?;
        match self.api.get::<IgnoredAny>(&route).await {
            Err(Error::NotFound { .. } | Error::Denied { .. }) => {
                let message = format!("the token can't read {}, it needs `contents: read`", self.repository);
                Err(Error::Denied { message })
            }
            answer => answer.map(drop),
        }
    }

    /// By its id: whatever is written meanwhile, it is the content of this version.
    async fn content(&self, head: Option<&Head>, file: &str) -> Result<Option<Vec<u8>>> {
        let entry = head.and_then(|head| head.files.iter().find(|entry| entry.path == file));
        let Some(Entry { kind, sha, size, .. }) = entry else { return Ok(None) };
        let what = format!("{file} on the branch {}", self.name);
        if kind != "blob" {
            return Err(Error::Unusable(format!("{what} is no file")));
        }
        if *size > MOST {
            return Err(Error::TooLarge { what, limit: MOST });
        }
        self.api.raw(&self.route(&format!("/git/blobs/{sha}"))?).await.map(Some)
    }

    /// Adds a commit to a head; without one it makes the branch, whose first commit has no parent.
    async fn commit(&self, commit: &Commit<'_>, head: Option<&Head>, content: Option<&[u8]>) -> Result<()> {
        let mut entries = Vec::new();
        if let Some(content) = content {
            let blob = json!({"content": STANDARD.encode(content), "encoding": "base64"});
            let blob: Made = self.api.post(&self.route("/git/blobs")?, &blob).await?;
            entries.push(json!({"path": commit.file, "mode": "100644", "type": "blob", "sha": blob.sha}));
        }
        let first = if head.is_none() { commit.first } else { &[] };
        let text = |(path, content): &(&str, &str)| json!({"path": path, "mode": "100644", "type": "blob", "content": content});
        entries.extend(first.iter().chain(commit.beside).map(text));
        if entries.is_empty() {
            return Ok(());
        }
        let mut tree = json!({"tree": entries});
        if let Some(head) = head {
            tree["base_tree"] = json!(head.tree);
        }
        let tree: Made = self.api.post(&self.route("/git/trees")?, &tree).await?;
        if head.is_some_and(|head| head.tree == tree.sha) {
            return Ok(());
        }
        let parents: Vec<_> = head.iter().map(|head| &head.commit).collect();
        let made = json!({"message": commit.message, "tree": tree.sha, "parents": parents});
        let made: Made = self.api.post(&self.route("/git/commits")?, &made).await?;
        let moved: Result<IgnoredAny> = if head.is_some() {
            let body = json!({"sha": made.sha, "force": false});
            self.api.patch(&self.route(&format!("/git/refs{}", self.heads()?))?, &body).await
        } else {
            let body = json!({"ref": format!("refs/heads/{}", self.name), "sha": made.sha});
            self.api.post(&self.route("/git/refs")?, &body).await
        };
        moved.map(drop)
    }

    /// Its name in a route: `/heads/a/b`.
    fn heads(&self) -> Result<String> {
        let unusable = || Error::Unusable(format!("`{}` is not the name of a branch", self.name));
        // The host stands for any: the library encodes paths of whole addresses alone.
        let mut url = Url::parse("http://host/heads").map_err(|_| unusable())?;
        url.path_segments_mut().map_err(|()| unusable())?.extend(self.name.split('/'));
        Ok(url.path().to_owned())
    }

    fn route(&self, rest: &str) -> Result<String> {
        repository_route(self.repository, rest)
    }
}

/// Whether GitHub would take a smaller file.
fn is_too_large(error: &Error) -> bool {
    match error {
        Error::Answered { status: 413, .. } => true,
        Error::Answered { status: 422, message } => {
            let message = message.to_lowercase();
            message.contains("too large") || message.contains("too big")
        }
        _ => false,
    }
}

/// Whether what could not be read may be read in another round: a head that moved away meanwhile, and what is GitHub's own fault.
fn may_be_read(error: &Error) -> bool {
    match error {
        Error::NotFound { .. } | Error::Unreachable { .. } => true,
        Error::Answered { status, .. } => *status >= 500,
        _ => false,
    }
}

/// Whether another round may end better. Over a head any refusal may mean that it moved; a branch that may not be made is refused for good.
fn may_pass(error: &Error, over_a_head: bool) -> bool {
    match error {
        Error::Answered { status: 409 | 422, message } => over_a_head || message.contains("already exists"),
        // Another may have deleted the branch.
        Error::NotFound { .. } => over_a_head,
        error => error.may_have_been_done(),
    }
}
