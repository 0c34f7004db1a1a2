//! Creating and deleting objects; what is asked of every object that is written.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Response};
use serde_json::{Map, Value as Json, json};

use super::Server;
use super::answer;
use super::definitions::{Definition, fill_defaults};
use super::patch::{Shape, apply};
use super::read::absent;
use super::request::{Request, Target};
use super::validate::{self, Unknown};
use super::webhooks;
use crate::simulator::store::{DeleteOptions, Key, Propagation, Status, child, metadata, text};

/// A kind's definition, as far as one version of it goes.
pub struct Rules {
    definition: Arc<Definition>,
    target: Target,
}

impl Rules {
    /// The rules for what a request writes.
    pub fn of(server: &Server, target: &Target) -> Self {
        Self { definition: server.definitions.of(&target.kind, &server.store), target: target.clone() }
    }

    /// What is known of the fields.
    pub fn shape(&self) -> Shape<'_> {
        match self.definition.schema(&self.target.version) {
            Some(schema) => Shape::Schema(schema),
            None if self.target.kind.custom => Shape::Unknown,
            None => Shape::BuiltIn,
        }
    }

    /// Checks what was sent as a whole object, in place of what was there `before`; returns warnings.
    ///
    /// # Errors
    /// 400 for what can't be decoded, 422 for what is invalid.
    pub fn decode(&self, object: &mut Json, before: Option<&Json>, unknown: Unknown) -> Result<Vec<String>, Status> {
        drop_nulls(object);
        let (kind, version) = (&self.target.kind, &self.target.version);
        let warnings = validate::decoded(kind, version, &self.definition, object, before, unknown)?;
        self.fill(object);
        Ok(warnings)
    }

    /// Checks what a manager applies.
    ///
    /// # Errors
    /// 500 for what can't be typed.
    pub fn type_check(&self, applied: &Json) -> Result<(), Status> {
        validate::typed(&self.target.kind, &self.definition, applied, self.shape())
    }

    /// Checks an object as it would be kept, in place of what was there `before`.
    ///
    /// # Errors
    /// 422 for what is invalid.
    pub fn validate(&self, object: &Json, before: Option<&Json>) -> Result<(), Status> {
        validate::valid(&self.target.kind, &self.definition, object, before)
    }

    /// Fills in the defaults of a custom resource's schema.
    pub fn fill(&self, object: &mut Json) {
        if let Some(schema) = self.definition.schema(&self.target.version) {
            fill_defaults(schema, object);
        }
    }
}

/// Takes fields without a value away, as Go's decoder does.
pub fn drop_nulls(value: &mut Json) {
    match value {
        Json::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Json::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Checks that an object is what its path says it is, and puts the path's namespace into it.
///
/// # Errors
/// 400 if it is another.
pub fn match_path(object: &mut Json, target: &Target) -> Result<(), Status> {
    if !object.is_object() {
        return Err(Status::bad_request("the object provided is unrecognized (must be of type Object)"));
    }
    let found = (text(object, "/apiVersion").to_owned(), text(object, "/kind").to_owned());
    let expected = (target.api_version(), target.kind.kind.clone());
    if found.1 != expected.1 && !found.1.is_empty() {
        let (kind, expected) = (&found.1, &expected.1);
        let message = format!(
            "{kind} in version \"{}\" cannot be handled as a {expected}: converting (v1.{kind}) to (v1.{expected}): unknown conversion",
            target.version
        );
        return Err(Status::bad_request(message));
    }
    if found.0 != expected.0 && !found.0.is_empty() {
        let message = format!(
            "the API version in the data ({}) does not match the expected API version ({})",
            found.0, expected.0
        );
        return Err(Status::bad_request(message));
    }
    if found.0.is_empty() || found.1.is_empty() {
        return Err(Status::bad_request("Object 'Kind' is missing in the body of the request"));
    }
    let Some(namespace) = &target.namespace else { return Ok(()) };
    match text(object, "/metadata/namespace") {
        "" => {
            metadata(object).insert("namespace".to_owned(), namespace.clone().into());
            Ok(())
        }
        own if own == namespace => Ok(()),
        own => Err(Status::bad_request(format!(
            "the namespace of the provided object does not match the namespace sent on the request: {own} is not {namespace}"
        ))),
    }
}

impl Server {
    /// Answers a POST to a collection.
    ///
    /// # Errors
    /// What keeps the object from being created.
    pub fn create(&self, request: &Request, target: &Target, body: &[u8]) -> Result<Response<Body>, Status> {
        if target.kind.namespaced && target.namespace.is_none() {
            return Err(Status::bad_request("an empty namespace may not be set during creation"));
        }
        let mut object = request.body(body)?;
        match_path(&mut object, target)?;
        if !text(&object, "/metadata/resourceVersion").is_empty() {
            return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
        }
        let rules = Rules::of(self, target);
        let unknown = Unknown::parse(request.param("fieldValidation"))?;
        let warnings = rules.decode(&mut object, None, unknown)?;
        self.admit(&object, target)?;
        begin(&mut object, target);
        metadata(&mut object).shift_remove("managedFields");
        apply::track(&json!({}), &mut object, &request.manager(), &target.api_version(), rules.shape());
        let created = self.store.create_with(object, request.dry_run()?)?;
        Ok(with_warnings(answer::object(201, &created, target), &warnings))
    }

    /// Asks whether a new object is let in.
    ///
    /// # Errors
    /// 403 if it is not, 500 if a webhook can't be asked.
    pub fn admit(&self, object: &Json, target: &Target) -> Result<(), Status> {
        webhooks::call(&self.store, target, "CREATE", object)?;
        let why = if target.kind.is("", "Pod") { (self.admission.refusal)(object, &self.store) } else { None };
        why.map_or(Ok(()), |message| {
            let named = Status::forbidden(&target.kind, text(object, "/metadata/name"), "");
            Err(Status { message, ..named })
        })
    }

    /// Answers a DELETE of one object.
    ///
    /// # Errors
    /// 404 if it is not there, 409 if it is another one than is meant.
    pub fn delete(&self, request: &Request, target: &Target, body: &[u8]) -> Result<Response<Body>, Status> {
        let deletion = self.store.delete_with(&target.key(), &delete_options(request, body)?)?;
        if deletion.gone && !target.kind.is("", "Pod") {
            Ok(answer::deleted(&target.kind, &deletion.object))
        } else {
            Ok(answer::object(200, &deletion.object, target))
        }
    }

    /// Answers a DELETE of a collection: every object that is selected.
    ///
    /// # Errors
    /// 400 for a selector that can't be read, 405 for namespaces.
    pub fn delete_collection(&self, request: &Request, target: &Target, body: &[u8]) -> Result<Response<Body>, Status> {
        if target.kind.is("", "Namespace") {
            return Err(super::not_allowed());
        }
        let (selector, options) = (request.selector()?, delete_options(request, body)?);
        let (objects, version) = self.store.list(&target.kind.group, &target.kind.plural, target.namespace.as_deref());
        let mut deleted = Vec::new();
        for object in objects.iter().filter(|object| selector.matches(object)) {
            // What is gone meanwhile needs no deleting.
            if let Ok(deletion) = self.store.delete_with(&Key::of(&target.kind, object), &options) {
                deleted.push(answer::in_version(&deletion.object, target));
            }
        }
        let list = json!({
            "kind": format!("{}List", target.kind.kind), "apiVersion": target.api_version(),
            "metadata": {"resourceVersion": version.to_string()}, "items": deleted,
        });
        Ok(answer::value(200, &list))
    }

    /// Answers a POST to a subresource.
    ///
    /// # Errors
    /// 404 if the object is not there, or has no such subresource.
    pub fn create_sub(&self, request: &Request, target: &Target, body: &[u8]) -> Result<Response<Body>, Status> {
        let found = self.store.get(&target.key()).ok_or_else(|| absent(target))?;
        match (target.kind.plural.as_str(), target.subresource.as_str()) {
            ("pods", "eviction") => {
                self.store.delete_with(&target.key(), &delete_options(request, body)?)?;
                Ok(answer::value(
                    201,
                    &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
                ))
            }
            ("serviceaccounts", "token") => {
                let mut review = request.body(body)?;
                let name = text(&found, "/metadata/name");
                review["status"] =
                    json!({"token": format!("simulated-{name}"), "expirationTimestamp": "2099-01-01T00:00:00Z"});
                Ok(answer::value(201, &review))
            }
            _ => Err(super::nowhere()),
        }
    }
}

/// Gives a new object the status that it starts with: none, where status is written apart from it.
pub fn begin(object: &mut Json, target: &Target) {
    if target.kind.status
        && let Some(fields) = object.as_object_mut()
    {
        fields.shift_remove("status");
    }
}

/// Adds what has to be told besides the answer (RFC 7234, code 299).
pub fn with_warnings(mut response: Response<Body>, warnings: &[String]) -> Response<Body> {
    for warning in warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append("Warning", value);
        }
    }
    response
}

/// How to delete, by the body (`DeleteOptions`) and the query; the body is stronger.
fn delete_options(request: &Request, body: &[u8]) -> Result<DeleteOptions, Status> {
    let mut sent = if body.is_empty() { json!({}) } else { request.body(body)? };
    // An Eviction has its options inside.
    if let Some(inner) = sent.get_mut("deleteOptions") {
        sent = inner.take();
    }
    let policy = Some(text(&sent, "/propagationPolicy")).filter(|policy| !policy.is_empty());
    let propagation = match policy.unwrap_or_else(|| request.param("propagationPolicy")) {
        "" | "Background" => Propagation::Background,
        "Foreground" => Propagation::Foreground,
        "Orphan" => Propagation::Orphan,
        other => {
            let message = format!(
                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"{other}\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
            );
            return Err(Status::new(422, "Invalid", message));
        }
    };
    let precondition = |pointer: &str| Some(text(&sent, pointer).to_owned()).filter(|text| !text.is_empty());
    let is_dry = sent["dryRun"].as_array().is_some_and(|list| list.iter().any(|word| word == "All"));
    Ok(DeleteOptions {
        propagation,
        grace_seconds: sent["gracePeriodSeconds"].as_i64().or_else(|| request.number("gracePeriodSeconds")),
        uid: precondition("/preconditions/uid"),
        resource_version: precondition("/preconditions/resourceVersion"),
        dry_run: is_dry || request.dry_run()?,
    })
}

/// The answer to a review: everything is allowed in here.
pub fn review(mut review: Json) -> Json {
    let kind = text(&review, "/kind").to_owned();
    let status = match kind.as_str() {
        "SelfSubjectRulesReview" => {
            let all = json!(["*"]);
            json!({
                "resourceRules": [{"verbs": all, "apiGroups": all, "resources": all}],
                "nonResourceRules": [{"verbs": all, "nonResourceURLs": all}],
                "incomplete": false,
            })
        }
        "SelfSubjectReview" => json!({"userInfo": {"username": "simulated-admin", "groups": ["system:masters"]}}),
        _ => json!({"allowed": true}),
    };
    if let Some(fields) = review.as_object_mut() {
        fields.insert("status".to_owned(), status);
    }
    child(&mut review, "metadata").insert("creationTimestamp".to_owned(), Json::Null);
    review
}

/// The fields of an object, none if it is none.
pub fn fields(object: &Json) -> Map<String, Json> {
    object.as_object().cloned().unwrap_or_default()
}
