//! Artifacts, by version 4 of their protocol.
//!
//! An artifact is one zip, made while it is sent: see [`Contents`]. Protocol:
//! <https://github.com/actions/toolkit/tree/main/packages/artifact/src/internal>.

mod listed;
#[cfg(test)]
mod tests;
mod zipped;

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

pub use listed::Listed;
pub use zipped::Contents;

use super::results::{self, BackendIds, BlobError, CallError, Download, Order, Results, SignedUrl, Upload};
use crate::settings::artifact_name;

/// The service.
const SERVICE: &str = "ArtifactService";
/// The version of artifacts that GitHub and its stand-ins all know. Later ones only add that an artifact may be no zip.
const VERSION: u32 = 4;

/// An artifact that is to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewArtifact<'a> {
    /// Its name: one of a run. Jobs of a matrix need names of their own.
    pub name: &'a str,
    /// How many days it is kept; as long as the repository says if it is left out.
    pub retention_days: Option<u32>,
    /// How many days the repository keeps artifacts at most: `GITHUB_RETENTION_DAYS`.
    pub longest_days: Option<u32>,
    /// Whether it takes the place of one of the same name.
    pub overwrite: bool,
}

/// An artifact that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Its id at the REST API.
    pub id: u64,
    /// The zip's size in bytes.
    pub size: u64,
    /// The zip's digest: `sha256:` and hexadecimal digits.
    pub digest: String,
}

/// Why there is no artifact.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// A name that GitHub refuses.
    #[error("{0}")]
    Name(String),
    /// The name is taken.
    #[error("this run has an artifact `{0}` already: give it another name, or let it be overwritten")]
    Taken(String),
    /// The storage is used up.
    #[error("the account's storage for artifacts is used up; GitHub counts it anew every 6 to 12 hours")]
    Quota,
    /// A call failed.
    #[error(transparent)]
    Call(CallError),
    /// An answer makes no sense.
    #[error("{method} gave an answer without {what}")]
    Answer { method: &'static str, what: &'static str },
    /// The zip could not be sent or fetched.
    #[error("artifact `{name}`: {source}")]
    Blob { name: String, source: BlobError },
}

impl From<CallError> for ArtifactError {
    fn from(error: CallError) -> Self {
        if error.is_quota() { Self::Quota } else { Self::Call(error) }
    }
}

/// Makes an artifact and sends its contents.
///
/// # Errors
/// Why there is none. What was begun is nowhere listed then.
pub async fn upload(results: &Results, new: &NewArtifact<'_>, contents: Contents) -> Result<Uploaded, ArtifactError> {
    artifact_name(new.name).map_err(ArtifactError::Name)?;
    let url = create(results, new).await?;
    let how = Upload::artifact(results.order());
    let sent = results.blobs().upload(&url, contents.stream(how.block), &how).await;
    let sent = sent.map_err(|source| ArtifactError::Blob { name: new.name.to_owned(), source })?;
    let digest = format!("sha256:{}", sent.sha256);
    let id = finalize(results, new.name, sent.size, &digest).await?;
    Ok(Uploaded { id, size: sent.size, digest })
}

/// The artifacts of this run whose names begin with `prefix`, those of its other jobs included: of each name the newest, in the
/// order of the names.
///
/// # Errors
/// The call failed, or its answer makes no sense.
pub async fn list(results: &Results, prefix: &str) -> Result<Vec<Listed>, ArtifactError> {
    let answer = results.call(SERVICE, "ListArtifacts", &of(results.ids(), [])).await?;
    let mut found = listed::newest(&answer)?;
    found.retain(|artifact| artifact.name.starts_with(prefix));
    Ok(found)
}

/// Fetches an artifact's zip into a file, which appears whole and checked, or not at all. Gives its size in bytes.
///
/// # Errors
/// It can't be had, has more than `limit` bytes, or is not what was sent.
pub async fn download(results: &Results, artifact: &Listed, target: &Path, limit: u64) -> Result<u64, ArtifactError> {
    let url = address(results, artifact).await?;
    let what = Download { limit, digest: artifact.digest.as_deref() };
    let fetched = results.blobs().download(&url, target, &what).await;
    fetched.map_err(|source| ArtifactError::Blob { name: artifact.name.clone(), source })
}

/// The address of an artifact's zip, for who needs a part of it.
///
/// # Errors
/// The call failed, or its answer makes no sense.
pub async fn address(results: &Results, artifact: &Listed) -> Result<SignedUrl, ArtifactError> {
    const METHOD: &str = "GetSignedArtifactURL";
    let request = of(&artifact.ids, [("name", json!(artifact.name))]);
    let answer = results.call(SERVICE, METHOD, &request).await?;
    signed(&answer, "signed_url", METHOD)
}

/// Deletes an artifact. One that is gone is deleted.
///
/// # Errors
/// The call failed.
pub async fn delete(results: &Results, artifact: &Listed) -> Result<(), ArtifactError> {
    delete_named(results, &artifact.ids, &artifact.name).await
}

/// The page of an artifact, from the addresses and ids that the runner gives.
#[must_use]
pub fn page(server_url: &str, repository: &str, run_id: &str, artifact_id: u64) -> String {
    format!("{server_url}/{repository}/actions/runs/{run_id}/artifacts/{artifact_id}")
}

async fn create(results: &Results, new: &NewArtifact<'_>) -> Result<SignedUrl, ArtifactError> {
    const METHOD: &str = "CreateArtifact";
    let mut fields = vec![("name", json!(new.name)), ("version", json!(VERSION))];
    if let Some(expiry) = expiry(Timestamp::now(), new.retention_days, new.longest_days) {
        fields.push(("expires_at", json!(expiry)));
    }
    let request = of(results.ids(), fields);
    // Where blocks count by arrival, an artifact is a file that is begun anew, and a listing of none is an error.
    if new.overwrite && results.order() == Order::ById {
        for old in listed(results, new.name).await? {
            delete(results, &old).await?;
        }
    }
    let answer = match results.call(SERVICE, METHOD, &request).await {
        Err(error) if error.is_conflict() => {
            let taken = || ArtifactError::Taken(new.name.to_owned());
            // A try whose answer was lost may have made it: then it is ours, and nothing is in it yet.
            // Without `overwrite` it may as well be another job's that is still on its way: there are other names.
            if !new.overwrite || error.tries < 2 || !listed(results, new.name).await?.is_empty() {
                return Err(taken());
            }
            delete_named(results, results.ids(), new.name).await?;
            let again = results.call(SERVICE, METHOD, &request).await;
            again.map_err(|error| if error.is_conflict() { taken() } else { error.into() })?
        }
        answer => answer?,
    };
    accepted(&answer, METHOD)?;
    signed(&answer, "signed_upload_url", METHOD)
}

async fn finalize(results: &Results, name: &str, size: u64, digest: &str) -> Result<u64, ArtifactError> {
    const METHOD: &str = "FinalizeArtifact";
    let fields = [("name", json!(name)), ("size", json!(size.to_string())), ("hash", json!(digest))];
    match results.call(SERVICE, METHOD, &of(results.ids(), fields)).await {
        // A try whose answer was lost may have done it.
        Err(error) if error.tries > 1 && error.status.is_some_and(|status| (400..500).contains(&status)) => {
            let found = listed(results, name).await.unwrap_or_default();
            let ours = found.into_iter().find(|found| found.digest.as_deref() == Some(digest));
            ours.map(|ours| ours.id).ok_or_else(|| error.into())
        }
        answer => {
            let answer = answer?;
            accepted(&answer, METHOD)?;
            let id = results::number(&answer["artifact_id"]).filter(|id| *id > 0);
            id.ok_or(ArtifactError::Answer { method: METHOD, what: "an id" })
        }
    }
}

/// The artifact of this name, if there is one.
async fn listed(results: &Results, name: &str) -> Result<Vec<Listed>, ArtifactError> {
    let request = of(results.ids(), [("name_filter", json!(name))]);
    let answer = results.call(SERVICE, "ListArtifacts", &request).await?;
    // A server need not know filters.
    Ok(listed::newest(&answer)?.into_iter().filter(|found| found.name == name).collect())
}

async fn delete_named(results: &Results, ids: &BackendIds, name: &str) -> Result<(), ArtifactError> {
    match results.call(SERVICE, "DeleteArtifact", &of(ids, [("name", json!(name))])).await {
        Err(error) if error.code.as_deref() == Some("not_found") => Ok(()),
        answer => accepted(&answer?, "DeleteArtifact"),
    }
}

/// A request: the ids, and more.
fn of(ids: &BackendIds, more: impl IntoIterator<Item = (&'static str, Json)>) -> Json {
    let ids = [("workflow_run_backend_id", json!(ids.run)), ("workflow_job_run_backend_id", json!(ids.job))];
    Json::Object(ids.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

fn accepted(answer: &Json, method: &'static str) -> Result<(), ArtifactError> {
    if answer["ok"] == true { Ok(()) } else { Err(ArtifactError::Answer { method, what: "an `ok`" }) }
}

fn signed(answer: &Json, field: &str, method: &'static str) -> Result<SignedUrl, ArtifactError> {
    let text = results::text(&answer[field]).unwrap_or_default();
    SignedUrl::parse(text).map_err(|_| ArtifactError::Answer { method, what: "a signed address" })
}

/// When an artifact goes that is kept for so many days, but no more than the repository allows. In whole seconds: some readers of
/// this form of JSON take no fraction but one of three, six or nine digits.
fn expiry(now: Timestamp, days: Option<u32>, longest: Option<u32>) -> Option<Timestamp> {
    let days = days?.min(longest.filter(|longest| *longest > 0).unwrap_or(u32::MAX));
    let seconds = now.as_second().checked_add(i64::from(days).checked_mul(24 * 60 * 60)?)?;
    Timestamp::from_second(seconds).ok()
}
