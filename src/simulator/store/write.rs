//! Creating, changing and deleting objects.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use super::custom;
use super::history::{Change, Event, Stored};
use super::logs::forget_pod;
use super::object::{at, child, has_finalizers, has_grace, is_deleting, metadata, now, text};
use super::{Key, Kind, State, Status, StatusCause, Store};

/// What becomes of the objects that an object owns, when it is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted after it, by the garbage collector.
    #[default]
    Background,
    /// They are deleted before it: it waits with the finalizer `foregroundDeletion`.
    Foreground,
    /// They stay: it waits with the finalizer `orphan` until their references to it are taken away.
    Orphan,
}

/// How an object is to be deleted (`DeleteOptions` of `meta/v1`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// What becomes of what it owns.
    pub propagation: Propagation,
    /// How many seconds a pod has to end by itself; `None` for its own time.
    pub grace_seconds: Option<i64>,
    /// The uid that it must have.
    pub uid: Option<String>,
    /// The version that it must have.
    pub resource_version: Option<String>,
    /// Only say what would happen.
    pub dry_run: bool,
}

/// What a deletion did.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// The object: its last state if it is gone, else as it waits for its end.
    pub object: Arc<Json>,
    /// Whether it is gone.
    pub gone: bool,
}

/// Metadata that nobody may change.
const KEPT: [&str; 6] =
    ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"];

impl Store {
    /// Creates an object: fills in its name from `generateName`, uid, version, time and generation.
    ///
    /// # Errors
    /// What a real API server answers: 409 if it exists, 404 without its namespace, 403 if that is being terminated.
    pub fn create(&self, object: Json) -> Result<Arc<Json>, Status> {
        self.create_with(object, false)
    }

    /// As [`Store::create`]; with `dry_run` nothing is kept.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create_with(&self, object: Json, dry_run: bool) -> Result<Arc<Json>, Status> {
        self.lock().create(object, dry_run)
    }

    /// Changes an object. The version rises if something changed, and the generation if it was something other than
    /// metadata and status. An object that waits for its end and has nothing left to wait for is removed.
    ///
    /// `edit` must not call the store.
    ///
    /// # Errors
    /// 404 if there is no such object.
    pub fn update<F: FnOnce(&mut Json)>(&self, key: &Key, edit: F) -> Result<Arc<Json>, Status> {
        self.try_update(key, false, |object| {
            edit(object);
            Ok(())
        })
    }

    /// As [`Store::update`], for an edit that may refuse; with `dry_run` nothing is kept.
    ///
    /// # Errors
    /// 404 if there is no such object, or what `edit` answers.
    pub fn try_update<F>(&self, key: &Key, dry_run: bool, edit: F) -> Result<Arc<Json>, Status>
    where
        F: FnOnce(&mut Json) -> Result<(), Status>,
    {
        self.lock().update(key, dry_run, edit)
    }

    /// Deletes an object: at once if nothing holds it, else it gets its `deletionTimestamp`. Returns its last state.
    ///
    /// # Errors
    /// 404 if there is no such object.
    pub fn delete(&self, key: &Key, propagation: Propagation) -> Result<Arc<Json>, Status> {
        let options = DeleteOptions { propagation, ..DeleteOptions::default() };
        self.delete_with(key, &options).map(|deletion| deletion.object)
    }

    /// Ends a pod's grace: it is removed, unless finalizers hold it.
    ///
    /// # Errors
    /// 404 if there is no such object.
    pub fn delete_now(&self, key: &Key) -> Result<Arc<Json>, Status> {
        let options = DeleteOptions { grace_seconds: Some(0), ..DeleteOptions::default() };
        self.delete_with(key, &options).map(|deletion| deletion.object)
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// 404 if there is no such object, 409 if it is not the one that the options mean.
    pub fn delete_with(&self, key: &Key, options: &DeleteOptions) -> Result<Deletion, Status> {
        self.lock().delete(key, options)
    }
}

impl State {
    fn create(&mut self, mut object: Json, dry_run: bool) -> Result<Arc<Json>, Status> {
        let (group, name) = (super::split_api_version(text(&object, "/apiVersion")).0, text(&object, "/kind"));
        let Some(kind) = self.kinds.by_kind(group, name).cloned() else {
            return Err(Status::new(404, "NotFound", "the server could not find the requested resource"));
        };
        self.name(&kind, &mut object)?;
        let key = Key::of(&kind, &object);
        self.check_namespace(&kind, &key)?;
        if self.stored(&key).is_some() {
            return Err(Status::already_exists(&kind, &key.name));
        }
        self.stamp(&kind, &mut object);
        (self.complete)(&mut object);
        if kind.status && !kind.custom {
            // Go's types always have one.
            child(&mut object, "status");
        }
        if custom::is_definition(&kind) {
            custom::establish(&mut object);
        }
        if dry_run {
            return Ok(Arc::new(object));
        }
        Ok(self.put(&kind, &key, object))
    }

    /// Gives an object without a name one from its `generateName`.
    fn name(&mut self, kind: &Kind, object: &mut Json) -> Result<(), Status> {
        if !text(object, "/metadata/name").is_empty() {
            return Ok(());
        }
        let prefix = text(object, "/metadata/generateName").to_owned();
        if prefix.is_empty() {
            let message = "Required value: name or generateName is required".to_owned();
            let field = "metadata.name".to_owned();
            return Err(Status::invalid(kind, "", &[StatusCause { reason: "FieldValueRequired", message, field }]));
        }
        // A name that is taken is drawn again, as since Kubernetes 1.32.
        for _ in 0..8 {
            let start: String = prefix.chars().take(58).collect();
            metadata(object).insert("name".to_owned(), (start + &self.random.suffix(5)).into());
            if self.stored(&Key::of(kind, object)).is_none() {
                break;
            }
        }
        Ok(())
    }

    fn check_namespace(&self, kind: &Kind, key: &Key) -> Result<(), Status> {
        let Some(namespace) = &key.namespace else { return Ok(()) };
        let found = self.stored(&Key::cluster("", "namespaces", namespace));
        match found {
            None => {
                let namespaces = self.kinds.by_kind("", "Namespace").cloned().unwrap_or_default();
                Err(Status::not_found(&namespaces, namespace))
            }
            Some(found) if is_deleting(found.object()) => {
                Err(Status::namespace_terminating(kind, &key.name, namespace))
            }
            Some(_) => Ok(()),
        }
    }

    /// Fills in what an API server adds to every new object.
    fn stamp(&mut self, kind: &Kind, object: &mut Json) {
        let uid = self.random.uuid();
        let metadata = metadata(object);
        for server_owned in ["deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "selfLink"] {
            metadata.shift_remove(server_owned);
        }
        if !kind.namespaced {
            metadata.shift_remove("namespace");
        }
        metadata.insert("uid".to_owned(), uid.into());
        metadata.insert("creationTimestamp".to_owned(), now().into());
        if kind.generation {
            metadata.insert("generation".to_owned(), 1.into());
        } else {
            metadata.shift_remove("generation");
        }
        object["apiVersion"] = kind.api_version().into();
        if kind.is("", "Namespace") {
            begin_namespace(object);
        }
    }

    fn update<F>(&mut self, key: &Key, dry_run: bool, edit: F) -> Result<Arc<Json>, Status>
    where
        F: FnOnce(&mut Json) -> Result<(), Status>,
    {
        let (kind, old) = self.find(key)?;
        let mut object = Json::clone(&old);
        edit(&mut object)?;
        keep_metadata(&old, &mut object);
        if object == *old {
            return Ok(old);
        }
        if custom::is_definition(&kind) {
            custom::establish(&mut object);
        }
        if kind.generation && is_respecified(&old, &object) {
            raise_generation(&mut object);
        }
        if dry_run {
            return Ok(Arc::new(object));
        }
        if is_deleting(&object) && !has_grace(&object) && !has_finalizers(&object) {
            return Ok(self.remove(&kind, key, object));
        }
        Ok(self.put(&kind, key, object))
    }

    fn find(&self, key: &Key) -> Result<(Arc<Kind>, Arc<Json>), Status> {
        let kind = self.kinds.by_plural(&key.group, &key.plural).cloned();
        let Some(kind) = kind else {
            return Err(Status::new(404, "NotFound", "the server could not find the requested resource"));
        };
        match self.stored(key) {
            Some(stored) => Ok((kind, Arc::clone(stored.object()))),
            None => Err(Status::not_found(&kind, &key.name)),
        }
    }

    fn delete(&mut self, key: &Key, options: &DeleteOptions) -> Result<Deletion, Status> {
        let (kind, old) = self.find(key)?;
        check_preconditions(&kind, &old, options)?;
        let mut object = Json::clone(&old);
        let grace = (kind.is("", "Pod")).then(|| grace_of(&object, options.grace_seconds));
        let is_new = !is_deleting(&object);
        let is_shorter = grace.is_some_and(|grace| {
            old.pointer("/metadata/deletionGracePeriodSeconds").and_then(Json::as_i64).is_some_and(|was| grace < was)
        });
        if is_new || is_shorter {
            mark_deleted(&mut object, grace);
        }
        if is_new {
            hold(&mut object, options.propagation);
        }
        let gone = !has_grace(&object) && !has_finalizers(&object);
        let object = match (gone, options.dry_run) {
            (_, true) => Arc::new(object),
            (true, false) => self.remove(&kind, key, object),
            (false, false) if object == *old => old,
            (false, false) => self.put(&kind, key, object),
        };
        Ok(Deletion { object, gone })
    }

    /// Keeps a new state of an object, and tells of it.
    fn put(&mut self, kind: &Arc<Kind>, key: &Key, object: Json) -> Arc<Json> {
        if custom::is_definition(kind) {
            self.serve(&object);
        }
        let stored = self.versioned(object);
        let resource = self.resource_mut(&key.group, &key.plural);
        let part = resource.objects.entry(key.part().to_owned()).or_default();
        let previous = part.insert(key.name.clone(), Arc::clone(&stored));
        let event = if previous.is_some() { Event::Modified } else { Event::Added };
        self.tell(event, kind, &stored, previous.as_deref())
    }

    /// Removes an object whose last state is this one, and tells of it.
    pub(super) fn remove(&mut self, kind: &Arc<Kind>, key: &Key, object: Json) -> Arc<Json> {
        if custom::is_definition(kind) {
            self.withdraw(&object);
        }
        if kind.is("", "Pod") {
            forget_pod(&mut self.logs, key.part(), &key.name);
            self.runs.remove(&(key.part().to_owned(), key.name.clone()));
        }
        let stored = self.versioned(object);
        let resource = self.resource_mut(&key.group, &key.plural);
        let mut previous = None;
        if let Some(part) = resource.objects.get_mut(key.part()) {
            previous = part.remove(&key.name);
            if part.is_empty() {
                resource.objects.remove(key.part());
            }
        }
        self.tell(Event::Deleted, kind, &stored, previous.as_deref())
    }

    fn versioned(&mut self, mut object: Json) -> Arc<Stored> {
        self.version += 1;
        metadata(&mut object).insert("resourceVersion".to_owned(), self.version.to_string().into());
        Stored::new(object)
    }

    fn tell(&mut self, event: Event, kind: &Arc<Kind>, stored: &Arc<Stored>, previous: Option<&Stored>) -> Arc<Json> {
        let before = previous.map(|stored| Arc::clone(stored.object()));
        let change = Change::new(self.version, event, kind, stored, before);
        let kept = self.kept;
        self.resource_mut(&kind.group, &kind.plural).history.push(&change, previous, kept);
        self.changes.retain(|changes| changes.send(Arc::clone(&change)).is_ok());
        Arc::clone(stored.object())
    }
}

/// What every namespace has from its start.
fn begin_namespace(namespace: &mut Json) {
    let name = text(namespace, "/metadata/name").to_owned();
    child(&mut namespace["metadata"], "labels").insert("kubernetes.io/metadata.name".to_owned(), name.into());
    child(namespace, "spec").insert("finalizers".to_owned(), json!(["kubernetes"]));
    child(namespace, "status").insert("phase".to_owned(), "Active".into());
}

/// Undoes what an edit did to metadata that is the server's own.
fn keep_metadata(old: &Json, object: &mut Json) {
    for field in ["apiVersion", "kind"] {
        object[field] = old[field].clone();
    }
    let kept = KEPT.iter().chain(&["resourceVersion", "generation"]);
    for field in kept {
        match old["metadata"].get(field) {
            Some(value) => metadata(object).insert((*field).to_owned(), value.clone()),
            None => metadata(object).shift_remove(*field),
        };
    }
}

/// Whether something other than metadata and status differs.
fn is_respecified(old: &Json, new: &Json) -> bool {
    let fields =
        |object: &Json| object.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    fields(old)
        .iter()
        .chain(&fields(new))
        .any(|key| !["metadata", "status"].contains(&key.as_str()) && old.get(key) != new.get(key))
}

fn raise_generation(object: &mut Json) {
    let generation = object.pointer("/metadata/generation").and_then(Json::as_i64);
    if let Some(generation) = generation {
        metadata(object).insert("generation".to_owned(), (generation + 1).into());
    }
}

fn check_preconditions(kind: &Kind, object: &Json, options: &DeleteOptions) -> Result<(), Status> {
    let name = text(object, "/metadata/name");
    for (what, asked, pointer) in [
        ("UID", &options.uid, "/metadata/uid"),
        ("ResourceVersion", &options.resource_version, "/metadata/resourceVersion"),
    ] {
        let found = text(object, pointer);
        if let Some(asked) = asked
            && asked != found
        {
            let why = format!(
                "the {what} in the precondition ({asked}) does not match the {what} in record ({found}). The object might have been deleted and then recreated"
            );
            return Err(Status::conflict(kind, name, &why));
        }
    }
    Ok(())
}

/// How many seconds a pod gets: none if it never had a node, or has ended (`pkg/registry/core/pod/strategy.go`).
fn grace_of(pod: &Json, asked: Option<i64>) -> i64 {
    let has_ended = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
    if has_ended || text(pod, "/spec/nodeName").is_empty() {
        return 0;
    }
    let own = pod.pointer("/spec/terminationGracePeriodSeconds").and_then(Json::as_i64);
    asked.or(own).unwrap_or(30).max(0)
}

fn mark_deleted(object: &mut Json, grace: Option<i64>) {
    let ends = Timestamp::now().saturating_add(SignedDuration::from_secs(grace.unwrap_or(0)));
    let metadata = metadata(object);
    metadata.insert("deletionTimestamp".to_owned(), ends.map_or_else(|_| now(), at).into());
    if let Some(grace) = grace {
        metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
    }
    raise_generation(object);
    if text(object, "/kind") == "Namespace" && text(object, "/apiVersion") == "v1" {
        object["status"]["phase"] = "Terminating".into();
    }
}

/// Adds the finalizer with which an object waits for what it owns.
fn hold(object: &mut Json, propagation: Propagation) {
    let finalizer = match propagation {
        Propagation::Background => return,
        Propagation::Foreground => "foregroundDeletion",
        Propagation::Orphan => "orphan",
    };
    let slot = metadata(object).entry("finalizers").or_insert(Json::Null);
    match slot.as_array_mut() {
        Some(list) => list.push(finalizer.into()),
        None => *slot = json!([finalizer]),
    }
}
