//! The Actions cache, by both versions of its protocol.
//!
//! What is kept is what `actions/cache` keeps for `path: .example-validator-cache` (see [`FOLDER`]), so that a workflow can share it.
//! A key names one content for ever: an entry is never changed, only evicted. Every failure here is a [`CacheError`], of which a
//! caller makes a warning at most.
//!
//! Protocols: <https://github.com/actions/toolkit/tree/main/packages/cache/src> (version 2: Twirp; version 1, which GitHub Enterprise
//! Server and act have: REST).

mod download;
mod error;
mod http;
pub mod packed;
pub mod policy;
pub mod unpack;
mod v1;
mod v2;

use std::io;
use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

pub use download::Incoming;
pub use error::{CacheError, Kind};
use http::Http;
use packed::Packed;

use super::results::Results;
use super::retry::Patience;
use crate::hex::hex;
use crate::settings::{Secret, Services};

/// The folder that an entry holds: what a workflow gives `actions/cache` as its `path`.
pub const FOLDER: &str = ".example-validator-cache";
/// How the official client calls the compression that it uses where the runner has a `zstd`.
const COMPRESSION: &str = "zstd-without-long";
/// What it puts last of all under the hash.
const SALT: &str = "1.0";
/// Longest key.
pub const MAX_KEY: usize = 512;
/// Most keys of one question, the first included.
const MAX_KEYS: usize = 10;

/// A cache that is there. Nothing is asked before the first question.
#[derive(Debug)]
pub struct Cache {
    http: Http,
    v1: Option<v1::V1>,
    v2: Option<v2::V2>,
    /// Set once the second version turned out not to be there.
    is_old: OnceLock<()>,
}

/// An entry that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its whole key: where the question was by a restore key, longer than that.
    pub key: String,
    /// Where it is downloaded, without any token. It is a secret as long as it works.
    url: Secret,
}

/// What became of saving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It is there now.
    New,
    /// It was there already, or somebody else is saving it.
    Known,
}

impl Cache {
    /// The cache that the runner offers, if it offers one. `server_url` is the site's: an Enterprise Server has the first version
    /// alone.
    #[must_use]
    pub fn find(services: &Services, server_url: &str, patience: Patience) -> Option<Self> {
        let token = services.token.clone()?;
        let http = Http::new(token, patience)?;
        let v2 = match Results::new(services, server_url) {
            Ok(results) => Some(v2::V2::new(results.with_patience(patience))),
            Err(why) => {
                tracing::debug!("no second version of the cache: {why}");
                None
            }
        };
        let v1 = services.cache_url.as_deref().map(v1::V1::new);
        (v1.is_some() || v2.is_some()).then(|| Self { http, v1, v2, is_old: OnceLock::new() })
    }

    /// Looks for `key`, then for the newest entry whose key begins with one of `restore_keys`, in their order.
    ///
    /// # Errors
    /// The cache could not be asked.
    pub async fn look_up(&self, key: &str, restore_keys: &[&str]) -> Result<Option<Entry>, CacheError> {
        check(key)?;
        for key in restore_keys {
            check(key)?;
        }
        let keys: Vec<&str> = std::iter::once(key).chain(restore_keys.iter().copied()).take(MAX_KEYS).collect();
        if let Some(v2) = self.v2() {
            match v2.look_up(&keys, &version()).await {
                Err(CacheError::Absent) if self.fall_back() => {}
                other => return other,
            }
        }
        match &self.v1 {
            Some(v1) => v1.look_up(&self.http, &keys, &version()).await,
            None => Ok(None),
        }
    }

    /// Downloads an entry of at most `most` bytes, while `reading` (on a thread of its own) makes of it what it is for: see
    /// [`unpack::files`].
    ///
    /// # Errors
    /// It is larger, or could not be downloaded, or `reading` failed.
    pub async fn read<T: Send + 'static>(
        &self,
        entry: &Entry,
        most: u64,
        reading: impl FnOnce(Incoming) -> io::Result<T> + Send + 'static,
    ) -> Result<T, CacheError> {
        let (into, incoming) = download::pipe();
        let reading = tokio::task::spawn_blocking(move || reading(incoming));
        let (downloaded, read) = tokio::join!(download::download(&self.http, entry.url.reveal(), most, into), reading);
        let read = read.map_err(|error| CacheError::Failed(error.to_string()))?;
        // What was broken off is no entry either, but that is not why.
        downloaded?;
        read.map_err(|error| CacheError::Broken(error.to_string()))
    }

    /// Saves an entry under `key`, in several parts at once.
    ///
    /// # Errors
    /// It could not be saved.
    pub async fn save(&self, key: &str, packed: &Packed) -> Result<Saved, CacheError> {
        check(key)?;
        if let Some(v2) = self.v2() {
            match v2.save(key, &version(), packed).await {
                Err(CacheError::Absent) if self.fall_back() => {}
                other => return other,
            }
        }
        match &self.v1 {
            Some(v1) => v1.save(&self.http, key, &version(), packed).await,
            None => Err(CacheError::Absent),
        }
    }

    fn v2(&self) -> Option<&v2::V2> {
        self.v2.as_ref().filter(|_| self.is_old.get().is_none())
    }

    /// Whether there is a first version to use from now on.
    fn fall_back(&self) -> bool {
        if self.is_old.set(()).is_ok() {
            tracing::debug!("the service has no second version of the cache: using the first");
        }
        true
    }
}

/// The version under which the official client finds our entries: a hash of the path, the compression and a salt.
///
/// <https://github.com/actions/toolkit/blob/main/packages/cache/src/internal/cacheUtils.ts>, `getCacheVersion`.
#[must_use]
pub fn version() -> String {
    let hash = Sha256::digest(format!("{FOLDER}|{COMPRESSION}|{SALT}"));
    hex(&hash)
}

fn check(key: &str) -> Result<(), CacheError> {
    let is_good = !key.is_empty() && key.chars().count() <= MAX_KEY && !key.contains(',');
    if is_good { Ok(()) } else { Err(CacheError::Failed(format!("`{key}` can't be a key"))) }
}
