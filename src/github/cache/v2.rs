//! The second version of the protocol: Twirp for the entries, Azure's block blobs for what is in them.
//!
//! <https://github.com/actions/toolkit/blob/main/packages/cache/src/internal/shared/cacheTwirpClient.ts>.

use serde_json::{Value as Json, json};

use super::error::CacheError;
use super::http::{is_denied, is_known, meaning};
use super::packed::Packed;
use super::{Entry, Saved};
use crate::github::results::{BlobError, CallError, Order, Results, SignedUrl, Upload, text};
use crate::settings::Secret;

const SERVICE: &str = "CacheService";
/// Four blocks of this length are on their way at once, and two more in memory.
const UPLOAD: Upload =
    Upload { block: 16 << 20, in_flight: 4, order: Order::ById, content_type: "application/octet-stream" };

/// Where it answers.
#[derive(Debug)]
pub(super) struct V2 {
    results: Results,
}

impl V2 {
    pub(super) fn new(results: Results) -> Self {
        Self { results }
    }

    /// The first of the keys that is there, or that begins the key of an entry.
    pub(super) async fn look_up(&self, keys: &[&str], version: &str) -> Result<Option<Entry>, CacheError> {
        let (key, restore_keys) = keys.split_first().unwrap_or((&"", &[]));
        let mut request = json!({"key": key, "version": version});
        if !restore_keys.is_empty() {
            request["restore_keys"] = json!(restore_keys);
        }
        let answer = self.call("GetCacheEntryDownloadURL", &request).await?;
        if answer["ok"] != true {
            return Ok(None);
        }
        let (Some(url), Some(key)) = (text(&answer["signed_download_url"]), text(&answer["matched_key"])) else {
            return Err(CacheError::Failed("its answer has no address, or no key".to_owned()));
        };
        Ok(Some(Entry { key: key.to_owned(), url: Secret::new(url.to_owned()) }))
    }

    /// Creates the entry, sends what is in it, says that it is whole.
    pub(super) async fn save(&self, key: &str, version: &str, packed: &Packed) -> Result<Saved, CacheError> {
        let Some(url) = self.create(key, version).await? else { return Ok(Saved::Known) };
        let sent =
            self.results.blobs().upload(&url, packed.stream(), &UPLOAD).await.map_err(|error| sending(&error))?;
        let request = json!({"key": key, "version": version, "size_bytes": sent.size.to_string()});
        let answer = self.call("FinalizeCacheEntryUpload", &request).await?;
        if answer["ok"] == true { Ok(Saved::New) } else { Err(refusal(&answer)) }
    }

    /// Where the entry's content goes; `None` if there is one with this key.
    async fn create(&self, key: &str, version: &str) -> Result<Option<SignedUrl>, CacheError> {
        let created = self.results.call(SERVICE, "CreateCacheEntry", &json!({"key": key, "version": version})).await;
        let answer = match created {
            Err(error) if error.is_conflict() => return Ok(None),
            Err(error) => return Err(calling(&error)),
            Ok(answer) => answer,
        };
        if answer["ok"] != true {
            return if is_known(message(&answer)) { Ok(None) } else { Err(refusal(&answer)) };
        }
        let url = text(&answer["signed_upload_url"]).unwrap_or_default();
        SignedUrl::parse(url).map(Some).map_err(|why| CacheError::Failed(why.to_owned()))
    }

    async fn call(&self, method: &str, request: &Json) -> Result<Json, CacheError> {
        self.results.call(SERVICE, method, request).await.map_err(|error| calling(&error))
    }
}

fn message(answer: &Json) -> &str {
    text(&answer["message"]).unwrap_or_default()
}

/// What an answer means that is not `ok`.
fn refusal(answer: &Json) -> CacheError {
    let said = message(answer);
    if is_denied(said) {
        return CacheError::Denied(said.to_owned());
    }
    CacheError::Failed(if said.is_empty() { "it refuses".to_owned() } else { format!("it refuses: {said}") })
}

fn calling(error: &CallError) -> CacheError {
    if error.is_absent() {
        return CacheError::Absent;
    }
    match error.status.and_then(|status| reqwest::StatusCode::from_u16(status).ok()) {
        Some(status) if !status.is_success() => meaning(status, &error.message),
        _ => CacheError::Failed(error.message.clone()),
    }
}

fn sending(error: &BlobError) -> CacheError {
    CacheError::Failed(crate::error::chain(error))
}
