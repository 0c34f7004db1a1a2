//! The first version of the protocol, which GitHub Enterprise Server and act have.
//!
//! <https://github.com/actions/toolkit/blob/main/packages/cache/src/internal/cacheHttpClient.ts>.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::header::{ACCEPT, CONTENT_RANGE, CONTENT_TYPE};
use reqwest::{Method, StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::error::CacheError;
use super::http::{Http, answer, is_known};
use super::packed::Packed;
use super::{Entry, Saved};
use crate::github::retry::patiently;
use crate::settings::Secret;

const JSON: &str = "application/json;api-version=6.0-preview.1";
/// Bytes of a part, and how many parts are on their way at once.
const PART: u64 = 32 << 20;
const AT_ONCE: usize = 4;

/// Where it answers.
#[derive(Debug)]
pub(super) struct V1 {
    /// With a slash at its end.
    base: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hit {
    cache_key: String,
    archive_location: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reserve<'a> {
    key: &'a str,
    version: &'a str,
    cache_size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reserved {
    cache_id: i64,
}

#[derive(Serialize)]
struct Commit {
    size: u64,
}

impl V1 {
    /// At `ACTIONS_CACHE_URL`.
    pub(super) fn new(url: &str) -> Self {
        Self { base: format!("{}/_apis/artifactcache/", url.trim_end_matches('/')) }
    }

    /// The first of the keys that is there, or that begins the key of an entry.
    pub(super) async fn look_up(&self, http: &Http, keys: &[&str], version: &str) -> Result<Option<Entry>, CacheError> {
        let mut url = self.url("cache")?;
        url.query_pairs_mut().append_pair("keys", &keys.join(",")).append_pair("version", version);
        patiently(&http.patience, "asking the cache", |_| async {
            let answer = answer(http.call(Method::GET, url.clone()).header(ACCEPT, JSON)).await?;
            if answer.status == StatusCode::NO_CONTENT {
                return Ok(None);
            }
            let Hit { cache_key, archive_location } = answer.json()?;
            Ok(Some(Entry { key: cache_key, url: Secret::new(archive_location) }))
        })
        .await
    }

    /// Reserves the key, sends the parts, commits.
    pub(super) async fn save(
        &self,
        http: &Http,
        key: &str,
        version: &str,
        packed: &Packed,
    ) -> Result<Saved, CacheError> {
        let size = packed.size();
        let Some(id) = self.reserve(http, &Reserve { key, version, cache_size: size }).await? else {
            return Ok(Saved::Known);
        };
        let url = self.url(&format!("caches/{id}"))?;
        let parts = (0..size.div_ceil(PART)).map(|part| part * PART);
        stream::iter(parts)
            .map(|start| send(http, &url, packed, start))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        patiently(&http.patience, "committing an entry of the cache", |_| async {
            let request = http.call(Method::POST, url.clone()).header(ACCEPT, JSON).json(&Commit { size });
            answer(request).await?.done()
        })
        .await?;
        Ok(Saved::New)
    }

    /// The id of the new entry; `None` if there is one with this key.
    async fn reserve(&self, http: &Http, wanted: &Reserve<'_>) -> Result<Option<i64>, CacheError> {
        let url = self.url("caches")?;
        patiently(&http.patience, "reserving an entry of the cache", |_| async {
            let answer = answer(http.call(Method::POST, url.clone()).header(ACCEPT, JSON).json(wanted)).await?;
            if answer.status == StatusCode::CONFLICT || (answer.status.is_client_error() && is_known(&answer.said())) {
                return Ok(None);
            }
            answer.json::<Reserved>().map(|reserved| Some(reserved.cache_id))
        })
        .await
    }

    fn url(&self, resource: &str) -> Result<Url, CacheError> {
        Url::parse(&format!("{}{resource}", self.base))
            .map_err(|error| CacheError::Failed(format!("its address is none: {error}")))
    }
}

async fn send(http: &Http, url: &Url, packed: &Packed, start: u64) -> Result<(), CacheError> {
    let length = PART.min(packed.size() - start);
    let range = format!("bytes {start}-{}/*", start + length - 1);
    patiently(&http.patience, "saving a part of an entry of the cache", |_| async {
        let request = http
            .call(Method::PATCH, url.clone())
            .header(ACCEPT, JSON)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_RANGE, &range);
        answer(Http::part(request, packed, start, length)).await?.done()
    })
    .await
}
