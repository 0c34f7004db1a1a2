//! JSON with its secrets hidden.

use serde_json::{Map, Value as Json};

use super::patterns::{is_sensitive, no_plain_word};
use super::{MASK, Redactor};

/// Holds what was applied as text, a Secret's data among it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

pub(super) fn redact(redactor: &Redactor, value: &Json) -> Json {
    inside(redactor, value, "")
}

/// `kind` is what the items of a list are, where they don't say it themselves.
fn inside(redactor: &Redactor, value: &Json, kind: &str) -> Json {
    match value {
        Json::String(text) => Json::String(redactor.text(text).into_owned()),
        Json::Array(items) => Json::Array(items.iter().map(|item| inside(redactor, item, kind)).collect()),
        Json::Object(fields) => object(redactor, fields, kind),
        other => other.clone(),
    }
}

fn object(redactor: &Redactor, fields: &Map<String, Json>, kind: &str) -> Json {
    let text = |key: &str| fields.get(key).and_then(Json::as_str);
    let kind = text("kind").unwrap_or(kind);
    let is_secret = kind == "Secret";
    let is_sensitive_variable = text("name").is_some_and(is_sensitive);
    let redacted = fields.iter().map(|(key, value)| {
        let hidden = match key.as_str() {
            "data" | "stringData" if is_secret => values(value),
            LAST_APPLIED => applied(redactor, value),
            "value" if is_sensitive_variable => scalar(value),
            "items" => inside(redactor, value, kind.strip_suffix("List").unwrap_or_default()),
            _ if is_sensitive(key) && is_scalar(value) => scalar(value),
            _ => inside(redactor, value, ""),
        };
        (redactor.text(key).into_owned(), hidden)
    });
    Json::Object(redacted.collect())
}

/// The values of a Secret's data: the keys stay.
fn values(data: &Json) -> Json {
    match data {
        Json::Object(fields) => fields.keys().map(|key| (key.clone(), Json::from(MASK))).collect::<Map<_, _>>().into(),
        Json::Null => Json::Null,
        _ => MASK.into(),
    }
}

/// What was applied, redacted as the object that it is.
fn applied(redactor: &Redactor, value: &Json) -> Json {
    match value.as_str().map(serde_json::from_str::<Json>) {
        Some(Ok(object)) => Json::String(redact(redactor, &object).to_string()),
        _ => inside(redactor, value, ""),
    }
}

fn is_scalar(value: &Json) -> bool {
    matches!(value, Json::String(_) | Json::Number(_))
}

fn scalar(value: &Json) -> Json {
    match value {
        Json::String(text) if text.is_empty() || !no_plain_word(text.as_bytes()) => value.clone(),
        Json::String(_) | Json::Number(_) => MASK.into(),
        other => other.clone(),
    }
}
