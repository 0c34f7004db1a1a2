//! Where artifacts are listed and fetched: the results service for those of this run, the REST API for those of any.
//!
//! Sources: <https://docs.github.com/en/rest/actions/artifacts>; for the results service see [`crate::github::results`].

use std::fs::File;
use std::io;

use bytes::Bytes;
use serde::Deserialize;
use tokio::runtime::Handle;

use super::names::Listed;
use super::remote::{PART, Remote};
use super::unpack::{Refused, Unpacked, unpack};
use crate::github::api::{self, Api, repository_route};
use crate::github::artifact;
use crate::github::results::{Blobs, Download, Part, Results, SignedUrl};

/// The most pages of a hundred artifacts that are looked through.
const MOST_PAGES: usize = 30;
/// The largest archive that is fetched where it can't be read in parts, in bytes: the most evidence of a run, and as much again.
const MOST_BYTES: u64 = 5 << 30;

/// Where artifacts are.
#[derive(Clone, Debug)]
pub enum Source {
    /// At the results service: those of this run.
    Own(Results),
    /// At the REST API: those of any run of a repository.
    Rest {
        /// The API.
        api: Api,
        /// Fetches what it sends on to.
        blobs: Blobs,
        /// `owner/name`.
        repository: String,
        /// The run.
        run: u64,
    },
}

/// An artifact that can be fetched.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub listed: Listed,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Own(artifact::Listed),
    Rest(String),
}

/// An artifact in the API's answers.
#[derive(Deserialize)]
struct Raw {
    id: u64,
    name: String,
    #[serde(default)]
    size_in_bytes: u64,
    #[serde(default)]
    expired: bool,
}

/// Why an artifact is not used, or none could be found.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it has expired")]
    Expired,
    #[error("it can't be fetched: {0}")]
    Unreachable(String),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("{0}")]
    Unfit(String),
}

impl Source {
    /// The artifacts of the run, and whether these are all that there are.
    ///
    /// # Errors
    /// Why they can't be listed, in one line.
    pub(super) async fn list(&self) -> Result<(Vec<Entry>, bool), String> {
        match self {
            Self::Own(results) => list_own(results).await.map(|entries| (entries, true)),
            Self::Rest { api, repository, run, .. } => {
                let rest = format!("/actions/runs/{run}/artifacts");
                let route = repository_route(repository, &rest).map_err(|error| error.to_string())?;
                let pages = api.pages::<Raw>(&route, Some("artifacts"), MOST_PAGES).await;
                let pages = pages.map_err(|error| unlisted(&error))?;
                let entry = |raw: Raw| Entry {
                    place: Place::Rest(format!("/repos/{repository}/actions/artifacts/{}/zip", raw.id)),
                    listed: Listed { id: raw.id, name: raw.name, size: raw.size_in_bytes, expired: raw.expired },
                };
                Ok((pages.items.into_iter().map(entry).collect(), pages.complete))
            }
        }
    }

    /// What is wanted of an artifact's archive. Only the parts that hold it are fetched, where the storage knows parts.
    pub(super) async fn fetch(&self, entry: &Entry) -> Result<Unpacked, Unusable> {
        if entry.listed.expired {
            return Err(Unusable::Expired);
        }
        let (blobs, url) = match (self, &entry.place) {
            (Self::Own(results), Place::Own(found)) => {
                (results.blobs(), artifact::address(results, found).await.map_err(unreachable)?)
            }
            (Self::Rest { api, blobs, .. }, Place::Rest(route)) => match api.location(route).await.map_err(of_api)? {
                Some(url) => (blobs, SignedUrl::parse(url.as_str()).map_err(unreachable)?),
                None => {
                    return whole(|file| async move { api.download(route, MOST_BYTES, &file).await.map_err(of_api) })
                        .await;
                }
            },
            _ => return Err(unreachable("it is listed elsewhere")),
        };
        match blobs.part(&url, 0, PART, None).await {
            Ok(Some(first)) => in_parts(blobs, &url, first).await,
            Ok(None) => {
                let download = Download { limit: MOST_BYTES, digest: None };
                whole(|file| async move { blobs.download(&url, &file, &download).await.map_err(unreachable) }).await
            }
            Err(error) => match (self, &entry.place) {
                // It may send on once more, or its address has run out: the API's own way knows both.
                (Self::Rest { api, .. }, Place::Rest(route)) => {
                    whole(|file| async move { api.download(route, MOST_BYTES, &file).await.map_err(of_api) }).await
                }
                _ => Err(unreachable(error)),
            },
        }
    }
}

async fn list_own(results: &Results) -> Result<Vec<Entry>, String> {
    let all = artifact::list(results, "").await.map_err(|error| error.to_string())?;
    let entry = |found: artifact::Listed| Entry {
        listed: Listed { id: found.id, name: found.name.clone(), size: found.size, expired: false },
        place: Place::Own(found),
    };
    Ok(all.into_iter().map(entry).collect())
}

/// Unpacks an archive whose first part is there, fetching others as they are needed.
async fn in_parts(blobs: &Blobs, url: &SignedUrl, first: Part) -> Result<Unpacked, Unusable> {
    let (blobs, url, handle) = (blobs.clone(), url.clone(), Handle::current());
    let version = first.version;
    let fetch = move |start, length| -> io::Result<Bytes> {
        let part = handle.block_on(blobs.part(&url, start, length, version.as_ref()))?;
        part.map(|part| part.bytes).ok_or_else(|| io::Error::other("the storage knows no parts any more"))
    };
    let remote = Remote::new(first.bytes, first.whole, fetch);
    let unpacked = tokio::task::spawn_blocking(move || unpack(remote)).await;
    Ok(unpacked.map_err(unreachable)??)
}

/// Unpacks an archive that comes as one, by way of a file that is gone after.
async fn whole<F, T>(download: impl FnOnce(std::path::PathBuf) -> F) -> Result<Unpacked, Unusable>
where
    F: Future<Output = Result<T, Unusable>>,
{
    let folder = tempfile::tempdir().map_err(unreachable)?;
    let path = folder.path().join("artifact.zip");
    download(path.clone()).await?;
    let unpacked = tokio::task::spawn_blocking(move || {
        let file = File::open(&path).map_err(unreachable)?;
        Ok::<_, Unusable>(unpack(io::BufReader::new(file))?)
    });
    unpacked.await.map_err(unreachable)?
}

/// Why the REST API lists nothing, and what may be missing.
fn unlisted(error: &api::Error) -> String {
    match error {
        api::Error::Denied { .. } | api::Error::NotFound { .. } => {
            format!("{error}: the job needs the permission `actions: read`")
        }
        other => other.to_string(),
    }
}

fn unreachable(why: impl std::fmt::Display) -> Unusable {
    Unusable::Unreachable(why.to_string())
}

fn of_api(error: api::Error) -> Unusable {
    match error {
        api::Error::Gone { .. } => Unusable::Expired,
        other => unreachable(other),
    }
}
