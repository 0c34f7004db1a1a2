//! Changing objects: PUT, PATCH and server-side apply, of objects and of their subresources.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value as Json, json};

use super::patch::apply::{self, Applier};
use super::patch::{APPLY, Patch};
use super::read::absent;
use super::request::{Request, Target, yaml};
use super::validate::Unknown;
use super::write::{Rules, begin, drop_nulls, fields, match_path, with_warnings};
use super::{Server, answer, immutable};
use crate::simulator::store::{Status, metadata, text};

/// How often a change is tried again because somebody else was faster.
const TRIES: usize = 16;

const MODIFIED: &str = "the object has been modified; please apply your changes to the latest version and try again";

impl Server {
    /// Answers a PUT.
    ///
    /// # Errors
    /// What keeps the object from being replaced.
    pub fn replace(&self, request: &Request, target: &Target, body: &[u8]) -> Result<Response<Body>, Status> {
        let mut sent = request.body(body)?;
        if target.subresource == "scale" {
            let sent = sent["spec"]["replicas"].clone();
            return self.change(request, target, |object| set_replicas(object, sent.clone()));
        }
        match_path(&mut sent, target)?;
        if text(&sent, "/metadata/name") != target.key().name {
            return Err(Status::bad_request(format!(
                "the name of the object ({}) does not match the name on the URL ({})",
                text(&sent, "/metadata/name"),
                target.key().name
            )));
        }
        let rules = Rules::of(self, target);
        let unknown = Unknown::parse(request.param("fieldValidation"))?;
        let mut warnings = Vec::new();
        let expected = text(&sent, "/metadata/resourceVersion").to_owned();
        let response = self.change(request, target, |object| {
            check_identity(object, &sent, &expected, target)?;
            let before = std::mem::replace(object, sent.clone());
            warnings = rules.decode(object, Some(&before), unknown)?;
            Ok(())
        })?;
        Ok(with_warnings(response, &warnings))
    }

    /// Answers a PATCH.
    ///
    /// # Errors
    /// What keeps the object from being patched.
    pub fn patch(&self, request: &Request, target: &Target, body: &[u8]) -> Result<Response<Body>, Status> {
        if request.content_type() == APPLY {
            return self.apply(request, target, &yaml(body)?);
        }
        let patch = Patch::read(request.content_type(), body, target.kind.custom)?;
        if target.subresource == "scale" {
            return self.change(request, target, |object| {
                let mut scale = scale_of(object);
                patch.apply_to(&mut scale)?;
                set_replicas(object, scale["spec"]["replicas"].clone())
            });
        }
        let rules = Rules::of(self, target);
        let unknown = Unknown::parse(request.param("fieldValidation"))?;
        let mut warnings = Vec::new();
        let response = self.change(request, target, |object| {
            let before = object.clone();
            patch.apply_to(object)?;
            match_path(object, target)?;
            check_identity(&before, object, patch.resource_version(), target)?;
            warnings = rules.decode(object, Some(&before), unknown)?;
            Ok(())
        })?;
        Ok(with_warnings(response, &warnings))
    }

    fn apply(&self, request: &Request, target: &Target, applied: &Json) -> Result<Response<Body>, Status> {
        let mut applied = applied.clone();
        drop_nulls(&mut applied);
        let rules = Rules::of(self, target);
        check_applied(request, target, &applied)?;
        rules.type_check(&applied)?;
        match_path(&mut applied, target)?;
        metadata(&mut applied).insert("name".to_owned(), target.key().name.into());
        let (manager, api_version) = (request.manager(), target.api_version());
        let force = request.flag("force");
        let who = Applier { manager: &manager, force, api_version: &api_version, shape: rules.shape() };
        for _ in 0..TRIES {
            if self.store.get(&target.key()).is_some() {
                return self.change(request, target, |object| {
                    check_identity(object, &applied, text(&applied, "/metadata/resourceVersion"), target)?;
                    let before = object.clone();
                    apply::apply(object, &applied, who)?;
                    rules.fill(object);
                    rules.validate(object, Some(&before))
                });
            }
            if !target.subresource.is_empty() {
                break;
            }
            let mut object = applied.clone();
            begin(&mut object, target);
            let mut object = apply::begin(&object, who);
            rules.fill(&mut object);
            rules.validate(&object, None)?;
            self.admit(&object, target)?;
            match self.store.create_with(object, request.dry_run()?) {
                Err(status) if status.reason == "AlreadyExists" => {}
                created => return Ok(answer::object(201, &*created?, target)),
            }
        }
        Err(absent(target))
    }

    /// Changes an object as far as the target reaches: a subresource leaves the rest as it is. What somebody else wrote
    /// meanwhile is not lost: the change is made again on top of it.
    fn change(
        &self,
        request: &Request,
        target: &Target,
        mut edit: impl FnMut(&mut Json) -> Result<(), Status>,
    ) -> Result<Response<Body>, Status> {
        let (key, dry_run) = (target.key(), request.dry_run()?);
        for _ in 0..TRIES {
            let old = self.store.get(&key).ok_or_else(|| absent(target))?;
            let new = self.changed(request, target, &old, &mut edit)?;
            let written = self.store.try_update(&key, dry_run, |object| {
                if object["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"] {
                    return Err(Status::conflict(&target.kind, &key.name, MODIFIED));
                }
                *object = new;
                Ok(())
            });
            match written {
                Err(status) if status.reason == "Conflict" => {}
                Ok(object) if target.subresource == "scale" => return Ok(answer::value(200, &scale_of(&object))),
                object => return Ok(answer::object(200, &*object?, target)),
            }
        }
        Err(Status::conflict(&target.kind, &key.name, MODIFIED))
    }

    fn changed(
        &self,
        request: &Request,
        target: &Target,
        old: &Arc<Json>,
        edit: &mut impl FnMut(&mut Json) -> Result<(), Status>,
    ) -> Result<Json, Status> {
        let mut new = answer::in_version(old, target);
        edit(&mut new)?;
        keep_the_rest(old, &mut new, target);
        let causes = immutable::check(&target.kind, old, &new);
        if !causes.is_empty() {
            return Err(Status::invalid(&target.kind, &target.key().name, &causes));
        }
        if request.content_type() != APPLY && target.subresource.is_empty() {
            let kept = old.pointer("/metadata/managedFields").cloned();
            match kept {
                Some(kept) => metadata(&mut new).insert("managedFields".to_owned(), kept),
                None => metadata(&mut new).shift_remove("managedFields"),
            };
            let rules = Rules::of(self, target);
            apply::track(old, &mut new, &request.manager(), &target.api_version(), rules.shape());
        }
        Ok(new)
    }

    /// Answers a GET of a subresource.
    ///
    /// # Errors
    /// 404 if the object is not there, or has no such subresource.
    pub fn get_sub(&self, target: &Target) -> Result<Response<Body>, Status> {
        let object = self.store.get(&target.key()).ok_or_else(|| absent(target))?;
        match target.subresource.as_str() {
            "status" if target.kind.status => Ok(answer::object(200, &object, target)),
            "scale" if target.kind.scale => Ok(answer::value(200, &scale_of(&object))),
            _ => Err(super::nowhere()),
        }
    }
}

/// Puts back what the target does not reach: all but the status, or the status itself.
fn keep_the_rest(old: &Json, new: &mut Json, target: &Target) {
    let has_part = target.kind.status || !target.subresource.is_empty();
    if !has_part || target.subresource == "scale" {
        return;
    }
    let only_status = target.subresource == "status";
    if target.subresource == "finalize" {
        return;
    }
    let mut kept = fields(if only_status { old } else { new });
    let status = if only_status { new.get("status") } else { old.get("status") };
    match status {
        Some(status) => kept.insert("status".to_owned(), status.clone()),
        None => kept.shift_remove("status"),
    };
    *new = Json::Object(kept);
}

/// The object must be the one that is meant, in the version that is meant.
fn check_identity(old: &Json, new: &Json, expected: &str, target: &Target) -> Result<(), Status> {
    let (kind, name) = (&target.kind, target.key().name);
    let (found, asked) = (text(old, "/metadata/uid"), text(new, "/metadata/uid"));
    if !asked.is_empty() && asked != found {
        let why = format!("Precondition failed: UID in precondition: {asked}, UID in object meta: {found}");
        return Err(Status::conflict(kind, &name, &why));
    }
    if !expected.is_empty() && expected != text(old, "/metadata/resourceVersion") {
        return Err(Status::conflict(kind, &name, MODIFIED));
    }
    if text(new, "/metadata/name") != name && !text(new, "/metadata/name").is_empty() {
        let message = format!(
            "the name of the object ({}) does not match the name on the URL ({name})",
            text(new, "/metadata/name")
        );
        return Err(Status::bad_request(message));
    }
    Ok(())
}

fn check_applied(request: &Request, target: &Target, applied: &Json) -> Result<(), Status> {
    if request.param("fieldManager").is_empty() {
        let message =
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
        return Err(Status::new(422, "Invalid", message));
    }
    if applied.pointer("/metadata/managedFields").is_some() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let name = text(applied, "/metadata/name");
    if !name.is_empty() && name != target.key().name {
        let message =
            format!("the name of the object ({name}) does not match the name on the URL ({})", target.key().name);
        return Err(Status::bad_request(message));
    }
    Ok(())
}

/// The scale of an object (`autoscaling/v1`).
fn scale_of(object: &Json) -> Json {
    let keep = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"];
    let metadata: serde_json::Map<_, _> =
        fields(&object["metadata"]).into_iter().filter(|(key, _)| keep.contains(&key.as_str())).collect();
    let labels = object.pointer("/spec/selector/matchLabels").map(fields).unwrap_or_default();
    let selector: Vec<_> =
        labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": object["spec"]["replicas"].as_i64().unwrap_or(0)},
        "status": {"replicas": object["status"]["replicas"].as_i64().unwrap_or(0), "selector": selector.join(",")},
    })
}

fn set_replicas(object: &mut Json, replicas: Json) -> Result<(), Status> {
    if replicas.as_i64().is_none_or(|count| count < 0) {
        return Err(Status::bad_request("spec.replicas of a Scale must be a number that is not negative"));
    }
    object["spec"]["replicas"] = replicas;
    Ok(())
}
