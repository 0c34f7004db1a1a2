//! Answers: objects, lists, and statuses as HTTP responses.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value as Json, json};

use super::request::Target;
use crate::simulator::store::{Kind, Status, Stored, text};

/// An answer of JSON.
pub fn answer(code: u16, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer of a JSON value.
pub fn value(code: u16, value: &Json) -> Response<Body> {
    answer(code, value.to_string())
}

/// An answer of an object, in the version that was asked for.
pub fn object(code: u16, object: &Json, target: &Target) -> Response<Body> {
    if target.is_stored_version() { value(code, object) } else { value(code, &in_version(object, target)) }
}

/// The object under the version that was asked for: no version here differs from another in anything else.
pub fn in_version(object: &Json, target: &Target) -> Json {
    let mut object = object.clone();
    object["apiVersion"] = target.api_version().into();
    object
}

/// The text of an object, in the version that was asked for.
pub fn encoded(stored: &Stored, target: &Target) -> Bytes {
    if target.is_stored_version() { stored.encoded() } else { in_version(stored.object(), target).to_string().into() }
}

/// A status of failure as an answer.
pub fn refusal(status: &Status) -> Response<Body> {
    let mut response = value(status.code, &status.to_json());
    if status.code == 429 || status.code == 503 {
        let seconds = status.details.as_ref().and_then(|details| details["retryAfterSeconds"].as_u64()).unwrap_or(1);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A status of success, as deletions are answered.
pub fn deleted(kind: &Kind, object: &Json) -> Response<Body> {
    let mut details = json!({"name": text(object, "/metadata/name")});
    if !kind.group.is_empty() {
        details["group"] = kind.group.clone().into();
    }
    details["kind"] = kind.plural.clone().into();
    details["uid"] = object["metadata"]["uid"].clone();
    value(200, &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}))
}

/// Nothing is served at this path.
pub fn no_page() -> Response<Body> {
    plain(404, "404 page not found\n")
}

/// An answer of text.
pub fn plain(code: u16, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
