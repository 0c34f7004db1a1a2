//! What a request asks for: its path, query and body.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::Query;
use axum::http::{HeaderMap, Method, Uri, header};
use serde_json::Value as Json;

use super::protobuf::{self, PROTOBUF};
use super::select::Selector;
use crate::simulator::store::{Key, Kind, Status, Store};
use crate::yaml;

/// A request that was read as far as its path and query go.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The segments of the path.
    pub path: Vec<String>,
    query: HashMap<String, String>,
    /// The headers.
    pub headers: HeaderMap,
}

/// The resource that a path means.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its kind.
    pub kind: Arc<Kind>,
    /// The version that was asked for.
    pub version: String,
    /// The namespace, if the path has one.
    pub namespace: Option<String>,
    /// The object's name, if the path has one.
    pub name: Option<String>,
    /// The subresource; empty for the object itself.
    pub subresource: String,
}

impl Request {
    /// Reads a path and a query.
    pub fn new(method: Method, uri: &Uri, headers: HeaderMap) -> Self {
        let query = Query::<HashMap<String, String>>::try_from_uri(uri).map(|Query(query)| query).unwrap_or_default();
        let path = uri.path().split('/').filter(|segment| !segment.is_empty()).map(decoded).collect();
        Self { method, path, query, headers }
    }

    /// A parameter of the query; empty if it is not given.
    pub fn param(&self, name: &str) -> &str {
        self.query.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Whether a parameter is given and true.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.param(name), "true" | "1")
    }

    /// A parameter that is a number; `None` if it is not given or none.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.param(name).parse().ok()
    }

    /// Whether nothing is to be kept.
    ///
    /// # Errors
    /// 400 for anything but `All`.
    pub fn dry_run(&self) -> Result<bool, Status> {
        match self.param("dryRun") {
            "" => Ok(false),
            "All" => Ok(true),
            other => Err(Status::bad_request(format!(
                "Invalid value: \"{other}\": dryRun: Unsupported value: \"{other}\": supported values: \"All\""
            ))),
        }
    }

    /// The selector of the query.
    ///
    /// # Errors
    /// 400 if it can't be read.
    pub fn selector(&self) -> Result<Selector, Status> {
        Selector::parse(self.param("labelSelector"), self.param("fieldSelector"))
    }

    /// A version of the store in the query; `None` if it is not given.
    ///
    /// # Errors
    /// 500, as a real API server answers, if it is no number.
    pub fn resource_version(&self) -> Result<Option<u64>, Status> {
        let text = self.param("resourceVersion");
        if text.is_empty() {
            return Ok(None);
        }
        let why = "strconv.ParseUint: parsing";
        let refused = || format!("resourceVersion: Invalid value: \"{text}\": {why} \"{text}\": invalid syntax");
        text.parse().map(Some).map_err(|_| Status::new(500, "", refused()))
    }

    /// Who writes: the field manager that was named, else the program.
    pub fn manager(&self) -> String {
        let named = self.param("fieldManager");
        if !named.is_empty() {
            return named.to_owned();
        }
        let agent = self.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        agent.split('/').next().filter(|name| !name.is_empty()).unwrap_or("unknown").to_owned()
    }

    /// The media type of the body, without its parameters.
    pub fn content_type(&self) -> &str {
        let whole = self.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        whole.split(';').next().unwrap_or_default().trim()
    }

    /// What the path means; `None` if nothing is served there.
    pub fn target(&self, store: &Store) -> Option<Target> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let (group, version, rest) = match path.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", _] => (None, rest),
            ["namespaces", _, "status" | "finalize"] if group.is_empty() => (None, rest),
            ["namespaces", namespace, rest @ ..] => (Some((*namespace).to_owned()), rest),
            _ => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, None, ""),
            [plural, name] => (*plural, Some(*name), ""),
            [plural, name, subresource] => (*plural, Some(*name), *subresource),
            _ => return None,
        };
        let kind = store.kind(group, plural)?;
        let is_served = kind.served.iter().any(|served| served == version);
        let is_placed = kind.namespaced || namespace.is_none();
        (is_served && is_placed).then(|| Target {
            kind,
            version: version.to_owned(),
            namespace,
            name: name.map(str::to_owned),
            subresource: subresource.to_owned(),
        })
    }

    /// The body as an object.
    ///
    /// # Errors
    /// 400 if it can't be read, 415 for what is neither JSON nor YAML.
    pub fn body(&self, bytes: &[u8]) -> Result<Json, Status> {
        match self.content_type() {
            "" | "application/json" => json(bytes),
            "application/yaml" => yaml(bytes),
            PROTOBUF => protobuf::object(bytes),
            other => Err(unsupported(other, "application/json, application/yaml")),
        }
    }
}

impl Target {
    /// The key of the object that is meant.
    pub fn key(&self) -> Key {
        Key {
            group: self.kind.group.clone(),
            plural: self.kind.plural.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone().unwrap_or_default(),
        }
    }

    /// The version that was asked for, with its group: `batch/v1`.
    pub fn api_version(&self) -> String {
        crate::simulator::store::group_version(&self.kind.group, &self.version)
    }

    /// Whether objects are stored in the version that was asked for.
    pub fn is_stored_version(&self) -> bool {
        self.version == self.kind.version
    }
}

/// 415: a body that nobody here reads.
pub fn unsupported(found: &str, accepted: &str) -> Status {
    let message = format!(
        "the body of the request was in an unknown format - accepted media types include: {accepted}, not {found}"
    );
    Status::new(415, "UnsupportedMediaType", message)
}

/// A JSON text.
///
/// # Errors
/// 400 if it is none.
pub fn json(bytes: &[u8]) -> Result<Json, Status> {
    serde_json::from_slice(bytes).map_err(|error| {
        Status::bad_request(format!("the object provided is unrecognized (must be of type Object): couldn't get version/kind; json parse error: {error}"))
    })
}

/// A YAML text of one document.
///
/// # Errors
/// 400 if it is none.
pub fn yaml(bytes: &[u8]) -> Result<Json, Status> {
    let parsed = yaml::parse(&String::from_utf8_lossy(bytes));
    match (parsed.errors.first(), parsed.documents.as_slice()) {
        (Some(error), _) => Err(Status::bad_request(format!("error decoding YAML: {}", error.message))),
        (None, [document]) => Ok(document.root.to_json()),
        (None, _) => Err(Status::bad_request("error decoding YAML: expected one document")),
    }
}

/// A segment of a path without its `%XX`.
fn decoded(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (byte, length) = match escaped {
            Some(byte) if *first == b'%' => (byte, 3),
            _ => (*first, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
