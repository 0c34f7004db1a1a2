//! Blobs by signed addresses, which are all the permission that it takes: no token goes there.
//!
//! Protocol: Azure's block blobs, <https://learn.microsoft.com/rest/api/storageservices/put-block>.

mod blocks;
mod download;
mod range;
mod upload;

use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use reqwest::{StatusCode, Url};

pub use download::{BadDigest, Download};
pub use range::Part;
pub use upload::{Sent, Upload};

use super::{brief, client};
use crate::github::retry::{Failed, Patience};
use crate::registry::chain;

/// How long a server may be silent while we read.
const SILENCE: Duration = Duration::from_secs(60);

/// An address that is its own permission. Neither of its forms shows the signature.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedUrl(Url);

impl SignedUrl {
    /// Reads an address as a service gives it. `Err` says what is wrong, and nothing of the address.
    ///
    /// # Errors
    /// It is none, or has no host to ask.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "the service gave an address that is none")?;
        if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() {
            Ok(Self(url))
        } else {
            Err("the service gave an address that is neither http nor https")
        }
    }

    /// The address with more in its query, which stays as it was otherwise: it is signed.
    fn with(&self, pairs: &[(&str, &str)]) -> Url {
        let mut url = self.0.clone();
        url.query_pairs_mut().extend_pairs(pairs);
        url
    }
}

impl fmt::Display for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.origin().ascii_serialization(), self.0.path())
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}?***")
    }
}

/// Why a blob was not sent or fetched.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The storage's answer.
    #[error("the storage answers with status {status}{}", .code.as_ref().map(|code| format!(", {code}")).unwrap_or_default())]
    Refused {
        status: u16,
        /// Azure's code: `AuthenticationFailed`, `BlobNotFound`.
        code: Option<String>,
    },
    /// There is no answer, or it is broken off, or it contradicts an earlier one.
    #[error("the storage can't be heard: {0}")]
    Broken(String),
    /// What was to be sent can't be read.
    #[error("what is to be sent can't be read")]
    Source(#[source] std::io::Error),
    /// What came can't be written.
    #[error("what came can't be written")]
    Target(#[source] std::io::Error),
    /// More than was asked for.
    #[error("it has more than {limit} bytes")]
    TooBig { limit: u64 },
    /// Something else than was asked for.
    #[error(transparent)]
    Digest(#[from] BadDigest),
}

/// No client could be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no client could be made: {0}")]
pub struct BlobsError(String);

/// Sends and fetches blobs.
#[derive(Clone, Debug)]
pub struct Blobs {
    http: reqwest::Client,
    patience: Patience,
}

impl Blobs {
    /// With this patience for each request.
    ///
    /// # Errors
    /// No client could be made.
    pub fn new(patience: Patience) -> Result<Self, BlobsError> {
        // No limit to silence: while a block is being sent there is nothing to hear.
        let http = client().build().map_err(|error| BlobsError(chain(&error)))?;
        Ok(Self { http, patience })
    }

    /// The same with another patience.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }
}

/// What an answer that is no success means.
fn refused(status: StatusCode, headers: &HeaderMap) -> Failed<BlobError> {
    // The body repeats it, and may repeat what was signed.
    let code = headers.get("x-ms-error-code").and_then(|code| code.to_str().ok()).map(brief);
    Failed::of_answer(status, headers, "", BlobError::Refused { status: status.as_u16(), code })
}

fn broken(error: &reqwest::Error) -> Failed<BlobError> {
    Failed::passing(BlobError::Broken(chain(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_stays_as_it_is_and_out_of_sight() {
        let url = SignedUrl::parse("https://a.blob.example/c/b.zip?sv=2026&sig=a%2Bb%3D&se=2026-01-01T00%3A00%3A00Z")
            .unwrap();
        assert_eq!(url.to_string(), "https://a.blob.example/c/b.zip");
        assert_eq!(format!("{url:?}"), "https://a.blob.example/c/b.zip?***");
        assert_eq!(
            url.with(&[("comp", "block"), ("blockid", "MDA=")]).as_str(),
            "https://a.blob.example/c/b.zip?sv=2026&sig=a%2Bb%3D&se=2026-01-01T00%3A00%3A00Z&comp=block&blockid=MDA%3D"
        );
        for bad in ["", "/c/b.zip?sig=x", "file:///etc/passwd"] {
            assert!(!SignedUrl::parse(bad).unwrap_err().contains("sig"), "{bad}");
        }
    }
}
