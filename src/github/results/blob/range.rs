//! A part of a blob, for who needs little of much.

use bytes::Bytes;
use http::header::{ETAG, IF_MATCH, RANGE};
use http::{HeaderValue, StatusCode};

use super::{BlobError, Blobs, SILENCE, SignedUrl, broken, refused};
use crate::github::retry::{self, Failed};

/// A part of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its bytes.
    pub bytes: Bytes,
    /// How long the blob is as a whole.
    pub whole: u64,
    /// Which version of the blob it is of; `None` where the storage does not say.
    pub version: Option<HeaderValue>,
}

impl Blobs {
    /// The bytes of a blob from `start` on, at most `length` of them; of this `version`, if one is named. `None` if the storage
    /// knows no parts.
    ///
    /// # Errors
    /// The storage's, also if there is nothing at `start` or the blob is of another version.
    pub async fn part(
        &self,
        url: &SignedUrl,
        start: u64,
        length: u64,
        version: Option<&HeaderValue>,
    ) -> Result<Option<Part>, BlobError> {
        retry::patiently(&self.patience, "a part of a blob", |_| async move {
            let last = start + length.max(1) - 1;
            let mut request = self.http.get(url.0.clone()).header(RANGE, format!("bytes={start}-{last}"));
            if let Some(version) = version {
                request = request.header(IF_MATCH, version);
            }
            let silent = |_| Failed::passing(BlobError::Broken("no answer in time".to_owned()));
            let response = tokio::time::timeout(SILENCE, request.send()).await.map_err(silent)?;
            let mut response = response.map_err(|error| broken(&error))?;
            match response.status() {
                StatusCode::PARTIAL_CONTENT => {}
                StatusCode::OK => return Ok(None),
                status => return Err(refused(status, response.headers())),
            }
            let wrong = |what: &str| Failed::Final(BlobError::Broken(what.to_owned()));
            let range = super::download::range(&response);
            let whole = whole(range, start).ok_or_else(|| wrong("it sends another part than it was asked for"))?;
            let version =
                response.headers().get(ETAG).filter(|version| !version.as_bytes().starts_with(b"W/")).cloned();
            let expected = length.min(whole.saturating_sub(start));
            let mut bytes = Vec::new();
            while let Some(chunk) = tokio::time::timeout(SILENCE, response.chunk())
                .await
                .map_err(silent)?
                .map_err(|error| broken(&error))?
            {
                bytes.extend_from_slice(&chunk);
                if bytes.len() as u64 > expected {
                    return Err(wrong("it sends more than it was asked for"));
                }
            }
            if bytes.len() as u64 != expected {
                return Err(Failed::passing(BlobError::Broken("the part is cut short".to_owned())));
            }
            Ok(Some(Part { bytes: bytes.into(), whole, version }))
        })
        .await
    }
}

/// The length of the whole, of a part that starts where it should: `bytes 100-199/200`.
fn whole(range: &str, start: u64) -> Option<u64> {
    let (part, whole) = range.strip_prefix("bytes ")?.split_once('/')?;
    let from: u64 = part.split('-').next()?.trim().parse().ok()?;
    whole.trim().parse().ok().filter(|_| from == start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_the_whole_is_read_from_a_part_at_its_place() {
        assert_eq!(whole("bytes 100-199/200", 100), Some(200));
        assert_eq!(whole("bytes 0-9/10", 0), Some(10));
        for range in ["", "bytes 99-199/200", "bytes */200", "bytes 100-199/*", "items 100-199/200"] {
            assert_eq!(whole(range, 100), None, "{range}");
        }
    }
}
