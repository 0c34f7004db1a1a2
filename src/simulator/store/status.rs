//! What an API server answers when it does not do what it was asked for.

use serde_json::{Value as Json, json};

use super::kind::Kind;

/// A `Status` of failure (`meta/v1`), with the texts of a real API server.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// The HTTP status code.
    pub code: u16,
    /// A word for programs, such as `NotFound`; empty where a real server gives none.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
    /// What it is about: `name`, `group`, `kind`, `causes`.
    pub details: Option<Box<Json>>,
    /// A token with which a list may go on all the same.
    pub next: Option<String>,
}

/// One entry of a status's causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusCause {
    /// A word for programs, such as `FieldValueRequired`.
    pub reason: &'static str,
    /// What is wrong, without the field.
    pub message: String,
    /// The field's path.
    pub field: String,
}

impl Status {
    /// A status without details.
    #[must_use]
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None, next: None }
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = Some(Box::new(details(name, &kind.group, &kind.plural)));
        self
    }

    /// 404: there is no such object.
    #[must_use]
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", kind.resource())).about(kind, name)
    }

    /// 409: there is one already.
    #[must_use]
    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} \"{name}\" already exists", kind.resource())).about(kind, name)
    }

    /// 409: it is not what the caller takes it for.
    #[must_use]
    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.resource());
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// 403: an admission rule is against it.
    #[must_use]
    pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        Self::new(403, "Forbidden", format!("{} \"{name}\" is forbidden: {why}", kind.resource())).about(kind, name)
    }

    /// 403: its namespace is going.
    #[must_use]
    pub fn namespace_terminating(kind: &Kind, name: &str, namespace: &str) -> Self {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let message = format!("namespace {namespace} is being terminated");
        let cause = StatusCause { reason: "NamespaceTerminating", message, field: "metadata.namespace".to_owned() };
        Self::forbidden(kind, name, &why).with_causes(&[cause])
    }

    /// 422: the object is wrong, for these causes.
    #[must_use]
    pub fn invalid(kind: &Kind, name: &str, causes: &[StatusCause]) -> Self {
        let mut told: Vec<String> = Vec::new();
        for cause in causes {
            let line = format!("{}: {}", cause.field, cause.message);
            if !told.contains(&line) {
                told.push(line);
            }
        }
        let list = if told.len() == 1 { told.concat() } else { format!("[{}]", told.join(", ")) };
        let mut status = Self::new(422, "Invalid", format!("{} \"{name}\" is invalid: {list}", kind.group_kind()));
        status.details = Some(Box::new(details(name, &kind.group, &kind.kind)));
        status.with_causes(causes)
    }

    /// 400: the request makes no sense.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 410: that version is no longer known.
    #[must_use]
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// The same with causes.
    #[must_use]
    pub fn with_causes(mut self, causes: &[StatusCause]) -> Self {
        let causes: Vec<_> = causes
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect();
        self.details.get_or_insert_with(|| Box::new(json!({})))["causes"] = causes.into();
        self
    }

    /// The object that stands in the answer.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut json =
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message});
        if !self.reason.is_empty() {
            json["reason"] = self.reason.into();
        }
        if let Some(next) = &self.next {
            json["metadata"]["continue"] = next.clone().into();
        }
        if let Some(details) = &self.details {
            json["details"] = Json::clone(details);
        }
        json["code"] = self.code.into();
        json
    }
}

fn details(name: &str, group: &str, kind: &str) -> Json {
    let mut details = json!({});
    for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            details[key] = value.into();
        }
    }
    details
}
