//! What both versions of the protocol share: clients, answers and what they mean, bodies that are read as they are sent.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;

use super::error::CacheError;
use super::packed::Packed;
use crate::github::retry::{Failed, Patience, is_quota};
use crate::http_client;
use crate::registry::chain;
use crate::settings::Secret;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a call may take, answer included.
const CALL: Duration = Duration::from_secs(30);
/// How long one part may take on its way up.
const PART: Duration = Duration::from_secs(5 * 60);
/// Longest answer to a call.
const MAX_ANSWER: usize = 1 << 20;
/// How much of what a service says is told.
const MAX_SAID: usize = 300;
/// How the service begins to say that a token only reads, or can't even do that.
///
/// <https://github.com/actions/toolkit/blob/main/packages/cache/src/cache.ts>
const DENIED: [&str; 2] = ["cache write denied:", "cache read denied:"];

/// Why a request came to nothing, and whether it may succeed later.
pub(super) type Try<T> = Result<T, Failed<CacheError>>;

/// The clients.
#[derive(Debug)]
pub(super) struct Http {
    /// For calls, with the token. It follows no redirect: the token is for that service alone.
    calls: reqwest::Client,
    /// For blobs, without it.
    pub(super) blobs: reqwest::Client,
    token: Secret,
    pub(super) patience: Patience,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Http {
    /// `None` where this machine can't make a client at all.
    pub(super) fn new(token: Secret, patience: Patience) -> Option<Self> {
        let client = || http_client::builder().connect_timeout(CONNECT);
        let calls = client().redirect(Policy::none()).build();
        let blobs = client().redirect(Policy::limited(5)).referer(false).build();
        match (calls, blobs) {
            (Ok(calls), Ok(blobs)) => Some(Self { calls, blobs, token, patience }),
            (Err(error), _) | (_, Err(error)) => {
                tracing::debug!("no cache: {}", chain(&error));
                None
            }
        }
    }

    /// A call of the service.
    pub(super) fn call(&self, method: reqwest::Method, url: Url) -> RequestBuilder {
        let token = format!("Bearer {}", self.token.reveal());
        self.calls.request(method, url).header(AUTHORIZATION, token).timeout(CALL)
    }

    /// A part of an entry on its way to a service, which may take longer.
    pub(super) fn part(request: RequestBuilder, packed: &Packed, start: u64, length: u64) -> RequestBuilder {
        request
            .timeout(PART)
            .header(CONTENT_LENGTH, length)
            .body(reqwest::Body::wrap_stream(packed.part(start, length)))
    }
}

/// Sends a request and reads its answer, whatever it says.
pub(super) async fn answer(request: RequestBuilder) -> Try<Answer> {
    let failed = |error: &reqwest::Error| Failed::passing(CacheError::Failed(chain(error)));
    let mut response = request.send().await.map_err(|error| failed(&error))?;
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let body = bounded(response, MAX_ANSWER).await?;
    Ok(Answer { status, headers, body })
}

/// The body of an answer that may only be so long.
pub(super) async fn bounded(mut response: Response, most: usize) -> Try<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| Failed::passing(CacheError::Failed(chain(&error))))?;
        let Some(chunk) = chunk else { return Ok(body) };
        if body.len() + chunk.len() > most {
            return Err(Failed::Final(CacheError::Failed("its answer is too long".to_owned())));
        }
        body.extend_from_slice(&chunk);
    }
}

impl Answer {
    /// The answer of a call that succeeded.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Try<T> {
        if !self.status.is_success() {
            return Err(self.refusal());
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Failed::passing(CacheError::Failed(format!("its answer can't be read: {error}"))))
    }

    /// That it succeeded.
    pub(super) fn done(&self) -> Try<()> {
        if self.status.is_success() { Ok(()) } else { Err(self.refusal()) }
    }

    /// Why it did not.
    pub(super) fn refusal(&self) -> Failed<CacheError> {
        let said = self.said();
        let error = meaning(self.status, &said);
        Failed::of_answer(self.status, &self.headers, &said, error)
    }

    /// What the service says of it: the message of its JSON, or its text.
    pub(super) fn said(&self) -> String {
        let json: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let message =
            json.as_ref().and_then(|json| ["message", "msg", "error"].iter().find_map(|key| json[key].as_str()));
        let text = message.map_or_else(|| String::from_utf8_lossy(&self.body), std::borrow::Cow::Borrowed);
        let line: Vec<&str> = text.split_whitespace().collect();
        line.join(" ").chars().filter(|letter| !letter.is_control()).take(MAX_SAID).collect()
    }
}

/// What an answer that is no success means.
pub(super) fn meaning(status: StatusCode, said: &str) -> CacheError {
    let told = if said.is_empty() { format!("it answers {status}") } else { format!("it answers {status}: {said}") };
    if is_quota(said) {
        CacheError::Quota(told)
    } else if status == StatusCode::FORBIDDEN || is_denied(said) {
        CacheError::Denied(told)
    } else if status == StatusCode::TOO_MANY_REQUESTS {
        CacheError::Busy(told)
    } else {
        CacheError::Failed(told)
    }
}

/// Whether a service says that the token may not.
pub(super) fn is_denied(said: &str) -> bool {
    let said = said.to_lowercase();
    DENIED.iter().any(|denied| said.contains(denied)) || said.contains("read-only")
}

/// Whether a service says that the entry is there, or on its way.
pub(super) fn is_known(said: &str) -> bool {
    said.to_lowercase().contains("already exists")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_says_decides_what_it_means() {
        let said = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, headers: HeaderMap::new(), body: body.as_bytes().to_owned() };
            answer.refusal().into_error()
        };
        let text = |text: &str| text.to_owned();
        assert_eq!(said(403, "no"), CacheError::Denied(text("it answers 403 Forbidden: no")));
        assert_eq!(
            said(400, r#"{"msg": "cache write denied: token is read only"}"#),
            CacheError::Denied(text("it answers 400 Bad Request: cache write denied: token is read only"))
        );
        assert_eq!(
            said(429, r#"{"msg": "insufficient usage"}"#),
            CacheError::Quota(text("it answers 429 Too Many Requests: insufficient usage"))
        );
        assert_eq!(said(429, ""), CacheError::Busy(text("it answers 429 Too Many Requests")));
        assert_eq!(
            said(500, "a\n\x1b[31mb"),
            CacheError::Failed(text("it answers 500 Internal Server Error: a [31mb"))
        );
    }
}
