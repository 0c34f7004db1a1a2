//! Files at the root of a branch that holds nothing but what runs leave there. Several runs may write at once, and lose nothing: who comes
//! too late reads again, and adds to what is there now.
//!
//! Sources: <https://docs.github.com/en/rest/repos/contents>, <https://docs.github.com/en/rest/git/blobs>,
//! <https://docs.github.com/en/rest/git/trees>, <https://docs.github.com/en/rest/git/commits>, <https://docs.github.com/en/rest/git/refs>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::api::{Api, Error, Result, query, repository_route};

/// How often a file is written that others write meanwhile.
const TRIES: u32 = 10;
/// After so many tries pauses don't grow any more.
const LONGEST_PAUSE: u32 = 4;
/// How often GitHub may refuse to replace a version that it shows as the newest: it shows the new one a moment later than it has it. After
/// that it is refused for another reason.
const REFUSALS: u32 = 4;
/// The largest file that is read, in bytes; GitHub's own bound for blobs is 100 MB.
const MOST: u64 = 60 << 20;

/// A branch of a repository, which may not be there yet.
#[derive(Clone, Copy, Debug)]
pub struct Branch<'a> {
    api: &'a Api,
    repository: &'a str,
    name: &'a str,
}

/// A file in the listing of the root.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Entry {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    sha: String,
    #[serde(default)]
    size: u64,
}

/// The id of what was made.
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
    /// As [`Error`] tells them.
    pub async fn read(&self, file: &str) -> Result<Option<Vec<u8>>> {
        match self.list().await?.as_deref().and_then(|root| find(root, file)) {
            Some(entry) => self.content(entry).await.map(Some),
            None => Ok(None),
        }
    }

    /// Changes a file by a commit with this message: `change` makes the new content of the present one, which is empty where there is no file,
    /// or says by `None` that it is right. It is asked again whenever another has written meanwhile. Where there is no branch it begins with this
    /// file and those that `first` names.
    ///
    /// # Errors
    /// As [`Error`] tells them. [`Error::Denied`]: the token may not write.
    pub async fn update(
        &self,
        file: &str,
        message: &str,
        first: &[(&str, &str)],
        mut change: impl FnMut(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<()> {
        let (mut tried, mut refused) = (0, (None, 0));
        loop {
            let root = self.list().await?;
            let entry = root.as_deref().and_then(|root| find(root, file));
            let stored = match entry {
                Some(entry) => self.content(entry).await?,
                None => Vec::new(),
            };
            let Some(content) = change(&stored) else { return Ok(()) };
            let sha = entry.map(|entry| entry.sha.as_str());
            let written = match &root {
                Some(_) => self.put(file, message, &content, sha).await,
                None => self.begin(file, message, &content, first).await,
            };
            let Err(error) = written else { return Ok(()) };
            tried += 1;
            match &error {
                Error::Answered { status: 409 | 422, .. } => {
                    let times = if refused.0.as_deref() == sha { refused.1 + 1 } else { 1 };
                    refused = (sha.map(str::to_owned), times);
                    if times >= REFUSALS && root.is_some() {
                        return Err(error);
                    }
                }
                // Another may have deleted the branch.
                Error::NotFound { .. } if root.is_some() => {}
                error if error.may_have_been_done() => {}
                _ => return Err(error),
            }
            if tried >= TRIES {
                return Err(error);
            }
            tracing::debug!("{file} on {}: {error}; reading it again", self.name);
            let pause = self.api.patience().growing(tried.min(LONGEST_PAUSE));
            tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>())).await;
        }
    }

    /// The files at the root; `None` without a branch.
    async fn list(&self) -> Result<Option<Vec<Entry>>> {
        let route = self.route(&format!("/contents/{}", query(&[("ref", self.name)])))?;
        match self.api.get(&route).await {
            Ok(root) => Ok(Some(root)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// By its id: whatever is written meanwhile, it is the content of this version.
    async fn content(&self, Entry { name, sha, size, .. }: &Entry) -> Result<Vec<u8>> {
        if *size > MOST {
            return Err(Error::TooLarge { what: format!("{name} on the branch {}", self.name), limit: MOST });
        }
        self.api.raw(&self.route(&format!("/git/blobs/{sha}"))?).await
    }

    async fn put(&self, file: &str, message: &str, content: &[u8], sha: Option<&str>) -> Result<()> {
        let mut body = json!({"message": message, "content": STANDARD.encode(content), "branch": self.name});
        if let Some(sha) = sha {
            body["sha"] = json!(sha);
        }
        let route = self.route(&format!("/contents/{file}"))?;
        self.api.put::<_, IgnoredAny>(&route, &body).await.map(drop)
    }

    /// Makes the branch, whose first commit has no parent.
    async fn begin(&self, file: &str, message: &str, content: &[u8], first: &[(&str, &str)]) -> Result<()> {
        let content = String::from_utf8_lossy(content);
        let all = first.iter().copied().chain([(file, &*content)]);
        let entry = |(path, content)| json!({"path": path, "mode": "100644", "type": "blob", "content": content});
        let tree = json!({"tree": all.map(entry).collect::<Vec<_>>()});
        let tree: Made = self.api.post(&self.route("/git/trees")?, &tree).await?;
        let commit = json!({"message": message, "tree": tree.sha, "parents": []});
        let commit: Made = self.api.post(&self.route("/git/commits")?, &commit).await?;
        let reference = json!({"ref": format!("refs/heads/{}", self.name), "sha": commit.sha});
        self.api.post::<_, IgnoredAny>(&self.route("/git/refs")?, &reference).await.map(drop)
    }

    fn route(&self, rest: &str) -> Result<String> {
        repository_route(self.repository, rest)
    }
}

fn find<'e>(root: &'e [Entry], file: &str) -> Option<&'e Entry> {
    root.iter().find(|entry| entry.name == file && entry.kind == "file")
}
