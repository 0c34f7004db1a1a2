//! A blob is read from where the last answer broke off.

use std::io;
use std::path::Path;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _};
use http::header::{CONTENT_RANGE, ETAG, HeaderValue, IF_MATCH, RANGE};
use reqwest::{Response, StatusCode};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::{BlobError, Blobs, SILENCE, SignedUrl, broken, refused};
use crate::github::retry::Failed;
use crate::hex::hex;

/// The bytes that came are not those that were asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what came has the digest sha256:{found}, not {expected}")]
pub struct BadDigest {
    /// `sha256:` and hexadecimal digits.
    pub expected: String,
    /// The digits alone.
    pub found: String,
}

/// What may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Download<'a> {
    /// Most bytes.
    pub limit: u64,
    /// `sha256:` and hexadecimal digits, where they are known.
    pub digest: Option<&'a str>,
}

/// Where a blob is being read.
struct Reading<'a> {
    blobs: &'a Blobs,
    url: &'a SignedUrl,
    limit: u64,
    /// How many bytes have been handed over.
    at: u64,
    /// The blob's version, so that its parts are of one.
    version: Option<HeaderValue>,
    response: Option<Response>,
    /// Bytes of a whole answer that have been handed over before.
    skip: u64,
    failed: u32,
}

impl Blobs {
    /// The bytes of a blob. An answer that breaks off is continued, as often as patience lasts for the whole of it.
    ///
    /// The stream's only error is its last item: the storage's, or [`BlobError::TooBig`] before anything of it is handed over
    /// that is beyond the limit.
    pub fn read<'a>(
        &'a self,
        url: &'a SignedUrl,
        limit: u64,
    ) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'a {
        let reading = Reading { blobs: self, url, limit, at: 0, version: None, response: None, skip: 0, failed: 0 };
        stream::unfold(Some(reading), |reading| async move {
            let mut reading = reading?;
            match reading.next().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(reading))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    /// Fetches a blob into a file, which appears whole, or not at all. Gives its size in bytes.
    ///
    /// # Errors
    /// The storage's, too many bytes, other bytes than the digest says, or those of the file.
    pub async fn download(&self, url: &SignedUrl, target: &Path, what: &Download<'_>) -> Result<u64, BlobError> {
        let io = BlobError::Target;
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (file, path) = tempfile::Builder::new().prefix(".blob-").tempfile_in(folder).map_err(io)?.into_parts();
        let mut file = tokio::fs::File::from_std(file);
        let (mut hasher, mut size) = (Sha256::new(), 0);
        let mut bytes = std::pin::pin!(self.read(url, what.limit));
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk?;
            hasher.update(&chunk);
            size += chunk.len() as u64;
            file.write_all(&chunk).await.map_err(io)?;
        }
        file.flush().await.map_err(io)?;
        let found = hex(&hasher.finalize());
        if let Some(expected) = what.digest.filter(|expected| !is_digest(expected, &found)) {
            return Err(BadDigest { expected: expected.to_owned(), found }.into());
        }
        path.persist(target).map_err(|error| io(error.error))?;
        Ok(size)
    }
}

/// Whether a digest says these hexadecimal digits. One of another algorithm is none that could be checked.
fn is_digest(expected: &str, found: &str) -> bool {
    expected.strip_prefix("sha256:").unwrap_or(expected).eq_ignore_ascii_case(found)
}

impl Reading<'_> {
    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        loop {
            let failed = match self.one().await {
                Ok(chunk) => return Ok(chunk),
                Err(Failed::Final(error)) => return Err(error),
                Err(failed) => failed,
            };
            self.response = None;
            self.failed += 1;
            let (error, asked) = match failed {
                Failed::Passing(error, asked) => (error, asked),
                Failed::Final(error) => (error, None),
            };
            let Some(pause) = self.blobs.patience.next(self.failed, asked, rand::random()) else { return Err(error) };
            tracing::debug!("{} broke off after {} bytes: {error}; once more in {pause:?}", self.url, self.at);
            tokio::time::sleep(pause).await;
        }
    }

    async fn one(&mut self) -> Result<Option<Bytes>, Failed<BlobError>> {
        loop {
            let mut response = match self.response.take() {
                Some(response) => response,
                None => match self.ask().await? {
                    Some(response) => response,
                    None => return Ok(None),
                },
            };
            let silent = |_| Failed::passing(BlobError::Broken("no answer in time".to_owned()));
            let chunk = tokio::time::timeout(SILENCE, response.chunk()).await.map_err(silent)?;
            let Some(mut chunk) = chunk.map_err(|error| broken(&error))? else {
                return if self.skip == 0 { Ok(None) } else { Err(Failed::Final(changed())) };
            };
            self.response = Some(response);
            let skipped = self.skip.min(chunk.len() as u64);
            self.skip -= skipped;
            let chunk = chunk.split_off(usize::try_from(skipped).unwrap_or(usize::MAX));
            if chunk.is_empty() {
                continue;
            }
            self.at += chunk.len() as u64;
            if self.at > self.limit {
                return Err(Failed::Final(BlobError::TooBig { limit: self.limit }));
            }
            return Ok(Some(chunk));
        }
    }

    /// Asks for what is missing; `None` if nothing is.
    async fn ask(&mut self) -> Result<Option<Response>, Failed<BlobError>> {
        let mut request = self.blobs.http.get(self.url.0.clone());
        if self.at > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.at));
            if let Some(version) = &self.version {
                request = request.header(IF_MATCH, version);
            }
        }
        let silent = |_| Failed::passing(BlobError::Broken("no answer in time".to_owned()));
        let response = tokio::time::timeout(SILENCE, request.send()).await.map_err(silent)?;
        let response = response.map_err(|error| broken(&error))?;
        let status = response.status();
        if status == StatusCode::RANGE_NOT_SATISFIABLE && length(&response) == Some(self.at) {
            return Ok(None);
        }
        if matches!(status, StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE) {
            return Err(Failed::Final(changed()));
        }
        if !status.is_success() {
            return Err(refused(status, response.headers()));
        }
        let version = response.headers().get(ETAG).filter(|version| !version.as_bytes().starts_with(b"W/"));
        if self.at == 0 {
            self.version = version.cloned();
        } else if self.version.as_ref().is_some_and(|before| version != Some(before)) {
            return Err(Failed::Final(changed()));
        }
        self.skip = match starts_at(&response) {
            // A server that knows no ranges begins anew.
            None => self.at,
            Some(start) if start == self.at => 0,
            Some(_) => return Err(Failed::Final(changed())),
        };
        let whole = response.content_length().map(|rest| self.at - self.skip + rest);
        if whole.is_some_and(|whole| whole > self.limit) {
            return Err(Failed::Final(BlobError::TooBig { limit: self.limit }));
        }
        Ok(Some(response))
    }
}

/// Where a partial answer starts; `None` if it is a whole one.
fn starts_at(response: &Response) -> Option<u64> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return None;
    }
    // `bytes 100-199/200`; one that can't be read starts nowhere.
    let start = range(response).strip_prefix("bytes ").and_then(|range| range.split('-').next()?.trim().parse().ok());
    Some(start.unwrap_or(u64::MAX))
}

/// The whole length, as an answer says that has nothing of it: `bytes */200`.
fn length(response: &Response) -> Option<u64> {
    range(response).strip_prefix("bytes */")?.trim().parse().ok()
}

pub(super) fn range(response: &Response) -> &str {
    response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default()
}

fn changed() -> BlobError {
    BlobError::Broken("the blob is another than before".to_owned())
}

impl From<BlobError> for io::Error {
    fn from(error: BlobError) -> Self {
        io::Error::other(error)
    }
}
