//! Calls: a service, a method, a message.

use std::time::Duration;

use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE};
use serde::Serialize;
use serde_json::Value as Json;

use super::{Results, answer, brief};
use crate::github::retry::{self, Failed};
use crate::registry::chain;

/// How long an answer may take.
const TIME: Duration = Duration::from_secs(60);
/// Most bytes of an answer: a thousand artifacts are listed in a few hundred thousand.
const MOST: usize = 16 << 20;

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{method} failed: {}", said(*.status, .code.as_deref(), .message))]
pub struct CallError {
    /// The method that was called.
    pub method: String,
    /// The answer's status; `None` without an answer.
    pub status: Option<u16>,
    /// Twirp's code: `not_found`, `already_exists`.
    pub code: Option<String>,
    /// What the server says, or what kept us from hearing it.
    pub message: String,
    /// How many times it was tried. After the first, the server may have done already what it was asked for.
    pub tries: u32,
}

impl CallError {
    /// Whether there is no such service.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        // Of a thing that it does not have, a Twirp service says `not_found`.
        self.status == Some(404) && self.code.as_deref() != Some("not_found")
    }

    /// Whether there is already what was to be created.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.status == Some(409) || self.code.as_deref() == Some("already_exists")
    }

    /// Whether the account's storage is used up.
    #[must_use]
    pub fn is_quota(&self) -> bool {
        retry::is_quota(&self.message)
    }

    /// Whether the token does not allow it.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self.status, Some(401 | 403))
    }
}

fn said(status: Option<u16>, code: Option<&str>, message: &str) -> String {
    let status = status.map(|status| format!("status {status}"));
    let parts = [status.as_deref(), code, Some(message).filter(|message| !message.is_empty())];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

impl Results {
    /// Calls a method of a service (`ArtifactService`, `CacheService`), with patience. The answer is an object with field names
    /// in snake case; see [`number`](super::number) and [`text`](super::text) for its fields.
    ///
    /// # Errors
    /// What the last try came to.
    pub async fn call(&self, service: &str, method: &str, request: &impl Serialize) -> Result<Json, CallError> {
        let error = |tries, status: Option<StatusCode>, code, message| CallError {
            method: method.to_owned(),
            status: status.map(|status| status.as_u16()),
            code,
            message,
            tries,
        };
        let body = serde_json::to_vec(request).map_err(|failed| error(0, None, None, failed.to_string()))?;
        let mut url = self.origin.clone();
        url.set_path(&format!("/twirp/github.actions.results.api.v1.{service}/{method}"));
        let (url, body, error) = (&url, &bytes::Bytes::from(body), &error);
        retry::patiently(&self.patience, method, |failed| async move {
            let tries = failed + 1;
            let broken = |failed: &reqwest::Error| Failed::passing(error(tries, None, None, chain(failed)));
            let request = self.http.post(url.clone()).bearer_auth(self.token.reveal()).timeout(TIME);
            let request = request.header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/json");
            let mut response = request.body(body.clone()).send().await.map_err(|failed| broken(&failed))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut text = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|failed| broken(&failed))? {
                if text.len() + chunk.len() > MOST {
                    return Err(Failed::Final(error(tries, Some(status), None, "the answer is too long".to_owned())));
                }
                text.extend_from_slice(&chunk);
            }
            let answer = serde_json::from_slice(&text).ok().filter(Json::is_object).map(answer::in_snake_case);
            if status.is_success() {
                let unreadable = || error(tries, Some(status), None, "the answer is no JSON object".to_owned());
                return answer.ok_or_else(|| Failed::passing(unreadable()));
            }
            let field = |name| answer.as_ref().and_then(|answer| answer[name].as_str()).map(brief);
            let message = field("msg").unwrap_or_default();
            let failed = error(tries, Some(status), field("code"), message.clone());
            Err(Failed::of_answer(status, &headers, &message, failed))
        })
        .await
    }
}
