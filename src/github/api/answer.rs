//! What GitHub answers: read whole, and told apart.

use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::{Error, Result};

/// The largest answer in JSON that is read, in bytes: a page of a hundred files with their patches stays well below.
const MAX_ANSWER: usize = 64 << 20;
/// How long to wait where a limit does not say. Source: the documentation of secondary rate limits ("at least one minute").
const UNSAID_LIMIT: SignedDuration = SignedDuration::from_secs(60);
/// The most of a message that is repeated, in characters.
const MAX_MESSAGE: usize = 300;

/// An answer, its body read.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// The body of an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Complaint {
    message: String,
    /// Objects with a code and maybe a message, or texts.
    errors: Vec<serde_json::Value>,
}

impl Answer {
    /// Reads it to its end.
    pub async fn read(mut response: reqwest::Response) -> Result<Self> {
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| Error::line(&error))? {
            if body.len() + piece.len() > MAX_ANSWER {
                return Err(Error::TooLarge { what: "GitHub's answer".to_owned(), limit: MAX_ANSWER as u64 });
            }
            body.extend_from_slice(&piece);
        }
        Ok(Self { status: response.status(), headers: response.headers().clone(), body })
    }

    /// The address to which it sends the request on, if that is one of the server at `base`: what belongs to the token goes nowhere else.
    pub fn moved_to(&self, base: &Url) -> Option<String> {
        let is_move = matches!(self.status.as_u16(), 301 | 302 | 307 | 308);
        let address = base.join(self.header(LOCATION.as_str()).filter(|_| is_move)?).ok()?;
        (address.origin() == base.origin()).then(|| address.into())
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Itself if it is a success, else what it means. `now` is what a pause is counted from.
    pub fn good(self, route: &str, now: Timestamp) -> Result<Self> {
        if self.status.is_success() {
            return Ok(self);
        }
        let message = self.message();
        Err(match (self.status.as_u16(), self.limit(&message, now)) {
            (_, Some(until)) => Error::Limited { until, message },
            (401 | 403, None) => Error::Denied { message },
            (404, None) => Error::NotFound { route: route.split('?').next().unwrap_or_default().to_owned() },
            (410, None) => Error::Gone { message },
            (status, None) => Error::Answered { status, message },
        })
    }

    /// Its body as a value.
    pub fn json<T: DeserializeOwned>(&self, route: &str) -> Result<T> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::Unreadable { route: route.to_owned(), message: error.to_string() })
    }

    /// Until when a limit lasts, if it is one.
    fn limit(&self, message: &str, now: Timestamp) -> Option<Timestamp> {
        let status = self.status.as_u16();
        // The last request that a limit permits has the same headers as one beyond it.
        if !matches!(status, 403 | 429) || message.contains("not accessible") {
            return None;
        }
        let seconds = |name: &str| self.header(name)?.trim().parse::<i64>().ok();
        let reset = || seconds("x-ratelimit-reset").and_then(|reset| Timestamp::from_second(reset).ok());
        if let Some(pause) = seconds(RETRY_AFTER.as_str()) {
            return now.checked_add(SignedDuration::from_secs(pause.max(0))).ok();
        }
        if seconds("x-ratelimit-remaining") == Some(0)
            && let Some(reset) = reset()
        {
            return Some(reset);
        }
        let is_said = status == 429 || message.to_lowercase().contains("rate limit");
        is_said.then(|| now.checked_add(UNSAID_LIMIT).unwrap_or(now))
    }

    /// GitHub's words, in one line.
    fn message(&self) -> String {
        let complaint: Complaint = serde_json::from_slice(&self.body).unwrap_or_default();
        let mut parts = vec![complaint.message];
        parts.extend(complaint.errors.iter().map(|error| match (error.as_str(), error["message"].as_str()) {
            (Some(text), _) | (None, Some(text)) => text.to_owned(),
            (None, None) => error.to_string(),
        }));
        parts.retain(|part| !part.trim().is_empty());
        let text = parts.join("; ");
        let words: Vec<_> = text.split_whitespace().collect();
        if words.is_empty() {
            return self.status.canonical_reason().unwrap_or("no reason is given").to_owned();
        }
        words.join(" ").chars().take(MAX_MESSAGE).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let pairs = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_str(value).unwrap()));
        Answer { status: StatusCode::from_u16(status).unwrap(), headers: pairs.collect(), body: body.into() }
    }

    fn meaning(status: u16, headers: &[(&'static str, &str)], body: &str) -> Error {
        answer(status, headers, body).good("/repos/o/r/issues?page=2", NOW).unwrap_err()
    }

    fn until(seconds: i64, message: &str) -> Error {
        Error::Limited { until: Timestamp::from_second(seconds).unwrap(), message: message.to_owned() }
    }

    #[test]
    fn each_answer_has_its_meaning() {
        let denied = r#"{"message": "Resource not accessible by integration", "documentation_url": "https://docs"}"#;
        let denied_error = Error::Denied { message: "Resource not accessible by integration".to_owned() };
        assert_eq!(meaning(403, &[], denied), denied_error);
        let last = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "900")];
        assert_eq!(meaning(403, &last, denied), denied_error);
        assert_eq!(meaning(401, &[], "{}"), Error::Denied { message: "Unauthorized".to_owned() });
        assert_eq!(meaning(404, &[], "{}"), Error::NotFound { route: "/repos/o/r/issues".to_owned() });
        assert_eq!(meaning(410, &[], "x"), Error::Gone { message: "Gone".to_owned() });
        assert_eq!(meaning(502, &[], "<html>"), Error::Answered { status: 502, message: "Bad Gateway".to_owned() });
    }

    #[test]
    fn limits_say_when_they_end() {
        let primary = r#"{"message": "API rate limit exceeded for installation"}"#;
        let secondary = r#"{"message": "You have exceeded a secondary rate limit."}"#;
        let gone = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "900")];
        assert_eq!(meaning(403, &gone, primary), until(900, "API rate limit exceeded for installation"));
        assert_eq!(meaning(429, &gone, "{}"), until(900, "Too Many Requests"));
        assert_eq!(meaning(403, &[("retry-after", "7")], "{}"), until(7, "Forbidden"));
        assert_eq!(meaning(403, &[], secondary), until(60, "You have exceeded a secondary rate limit."));
        assert_eq!(meaning(429, &[("retry-after", "soon")], "{}"), until(60, "Too Many Requests"));
    }

    #[test]
    fn what_is_wrong_with_a_request_is_said_in_one_line() {
        let body = r#"{"message": "Validation Failed", "errors": [{"code": "unprocessable", "message": "Body is too\n long"}, "x", {"code": "y"}]}"#;
        let message = r#"Validation Failed; Body is too long; x; {"code":"y"}"#.to_owned();
        assert_eq!(meaning(422, &[], body), Error::Answered { status: 422, message });
    }

    #[test]
    fn a_request_is_sent_on_within_its_server_only() {
        let base = Url::parse("https://host/api/v3").unwrap();
        let to = |status, place| answer(status, &[("location", place)], "").moved_to(&base);
        assert_eq!(
            to(301, "https://host/api/v3/repositories/1").as_deref(),
            Some("https://host/api/v3/repositories/1")
        );
        assert_eq!(to(307, "/api/v3/x?y=1").as_deref(), Some("https://host/api/v3/x?y=1"));
        for (status, place) in
            [(302, "https://other/x"), (302, "http://host/x"), (302, "https://host:8/x"), (200, "/x")]
        {
            assert_eq!(to(status, place), None, "{status} {place}");
        }
    }
}
