//! Getting the objects of an attempt onto a cluster.
//!
//! ```text
//! namespace -> its default ServiceAccount, pull secrets -> each object in its order (server-side apply, strict)
//! ```
//!
//! Namespaced objects are applied with `force`: in a namespace that is minutes old only controllers could own their fields, and
//! `kubectl apply` asks them neither. Those with twins in their lists can't be applied so, and are created. Objects of the whole
//! cluster are created, and never forced ([`owned`]). What an answer means is in one table ([`answer`]); what it says of the manifest
//! is found by its field paths ([`locate`]).

pub mod answer;
pub mod cron;
mod home;
pub mod locate;
mod namespace;
mod owned;
mod pull_secrets;
mod refused;
pub(crate) mod request;
mod retry;
#[cfg(test)]
mod simulated_tests;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::api::{ApiResource, ListParams};
use serde_json::Value as Json;
use tokio::time::Instant;

use super::isolate::{Isolated, IsolatedObject, OBJECT, clashes, is_definition};
use crate::cluster::discovery::{Discovery, Lookup, Served};
pub use home::adopt_labels;
pub(crate) use owned::established;
pub use pull_secrets::{PullSecret, find as pull_secrets};
use refused::of_clash;
pub use refused::{Refused, of_object, of_request, unserved};
pub use request::FIELD_MANAGER;
use request::{Objects, text};
pub(crate) use retry::pauses;
pub use retry::{Limits, persist};

/// How long a kind may take to be served that a CRD of the example itself defines.
const DEFINED: Duration = Duration::from_secs(30);
/// How long one may take that is expected of the cluster: a CRD may have been installed a moment ago.
const EXPECTED: Duration = Duration::from_secs(2);

/// An object that the API server accepted.
#[derive(Clone, Debug)]
pub struct AppliedObject {
    /// The indices into the example's `objects` that it stands for; none where it is of something that the example needs.
    pub indices: Vec<usize>,
    /// Its group, version, kind and plural.
    pub resource: ApiResource,
    /// Whether it lives in the attempt's namespace.
    pub namespaced: bool,
    /// Whether it was made for this attempt; a CRD may have been there before.
    pub ours: bool,
    /// The name that the server gave it.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// When it was accepted.
    pub at: Instant,
    /// The object as the server answered, `managedFields` left out.
    pub object: Arc<Json>,
}

/// What was applied.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The objects in the order in which they were applied.
    pub objects: Vec<AppliedObject>,
    /// When the first request was sent.
    pub started: Instant,
    /// When the last object was accepted.
    pub finished: Instant,
}

/// A cluster to apply to.
#[derive(Clone)]
pub struct Target {
    /// Its client.
    pub client: Client,
    /// What it serves; shared by all cells of the cluster.
    pub discovery: Discovery,
    /// The pull secrets that each namespace gets.
    pub pull_secrets: Arc<[PullSecret]>,
    /// How long answers may take to change.
    pub limits: Limits,
}

impl Target {
    /// A cluster without pull secrets, with the usual limits.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            discovery: Discovery::new(client.clone()),
            client,
            pull_secrets: Arc::new([]),
            limits: Limits::default(),
        }
    }
}

/// Creates the namespace and applies the objects, one after the other. May be dropped at any time; what it has made until then
/// [`cleanup`](super::cleanup) finds.
///
/// # Errors
/// Why it could not be applied whole: the API server refused it, or could not be brought to answer.
pub async fn apply(target: &Target, isolated: &Isolated<'_>) -> Result<Applied, Box<Refused>> {
    let started = Instant::now();
    namespace::create(&target.client, isolated, &target.pull_secrets, target.limits).await?;
    let mut objects = Vec::with_capacity(isolated.objects.len());
    for (index, item) in isolated.objects.iter().enumerate() {
        objects.push(one(target, isolated, item, index).await?);
    }
    Ok(Applied { objects, started, finished: Instant::now() })
}

async fn one(
    target: &Target,
    isolated: &Isolated<'_>,
    item: &IsolatedObject<'_>,
    index: usize,
) -> Result<AppliedObject, Refused> {
    let served = kind(target, isolated, item).await?;
    let namespace = served.namespaced.then_some(isolated.namespace.as_str());
    let objects = Objects::new(&target.client, &served.resource, namespace);
    let (answer, ours) = if served.namespaced {
        (namespaced(&objects, item, index, isolated, &served, target).await?, true)
    } else {
        whole(target, &objects, item, index, isolated).await?
    };
    Ok(accepted(item, served, ours, answer))
}

fn accepted(item: &IsolatedObject<'_>, served: Served, ours: bool, mut answer: Json) -> AppliedObject {
    if let Some(metadata) = answer.get_mut("metadata").and_then(Json::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
    AppliedObject {
        indices: item.indices.clone(),
        resource: served.resource,
        namespaced: served.namespaced,
        ours,
        name: text(&answer, "/metadata/name").to_owned(),
        uid: text(&answer, "/metadata/uid").to_owned(),
        at: Instant::now(),
        object: Arc::new(answer),
    }
}

/// Finds the object's kind, and waits a little for one that is not served yet.
async fn kind(target: &Target, isolated: &Isolated<'_>, item: &IsolatedObject<'_>) -> Result<Served, Refused> {
    let defines = |other: &IsolatedObject<'_>| {
        let text = |keys: &[&str]| other.object.root.at(keys).and_then(crate::yaml::Node::as_str);
        is_definition(other.object)
            && text(&["spec", "group"]) == Some(item.object.group())
            && text(&["spec", "names", "kind"]) == Some(item.object.kind.as_str())
    };
    let patience = if isolated.objects.iter().any(defines) { DEFINED } else { EXPECTED };
    let until = Instant::now() + patience;
    loop {
        let (api_version, kind) = (&item.object.api_version, &item.object.kind);
        let found = persist(target.limits, || target.discovery.find(api_version, kind)).await;
        match found.map_err(|error| of_object(item, &error))? {
            Lookup::Found(served) => return Ok(served),
            Lookup::Absent { versions } if Instant::now() >= until => return Err(unserved(item, &versions)),
            Lookup::Absent { .. } => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

/// Applies an object of the attempt's namespace; one without a name of its own is created, so that the server makes one up.
async fn namespaced(
    objects: &Objects,
    item: &IsolatedObject<'_>,
    index: usize,
    isolated: &Isolated<'_>,
    served: &Served,
    target: &Target,
) -> Result<Json, Refused> {
    let (mut json, mut limits) = (item.json.clone(), target.limits);
    // Another object of the attempt has what this one asks for: no time changes that.
    let clashes = clashes(item.object, isolated.objects[..index].iter().map(|before| before.object));
    if clashes {
        limits.transient = Duration::ZERO;
    }
    if let Some(metadata) = json.get_mut("metadata").and_then(Json::as_object_mut) {
        metadata.insert("namespace".to_owned(), Json::from(isolated.namespace.as_str()));
    }
    if item.object.kind == "ServiceAccount" && item.object.api_version == "v1" {
        pull_secrets::give(&target.pull_secrets, &mut json);
    }
    let answer = match name_of(&json).map(str::to_owned) {
        Some(name) if served.allows("patch") => {
            match persist(limits, || objects.apply(&name, &json, FIELD_MANAGER)).await {
                Err(error) if answer::has_twins(&error) => created(objects, &name, &json, limits).await,
                answer => answer,
            }
        }
        Some(name) => created(objects, &name, &json, limits).await,
        None => unnamed(objects, json, index, limits).await,
    };
    answer.map_err(
        |error| if clashes && answer::is_taken(&error) { of_clash(item, &error) } else { of_object(item, &error) },
    )
}

/// Creates an object of the attempt's namespace; what is there already stays as it is, and refuses it. Only where the answer to a try
/// before may have been lost, it may be that try's.
async fn created(objects: &Objects, name: &str, json: &Json, limits: Limits) -> Result<Json, kube::Error> {
    let tried = std::sync::atomic::AtomicBool::new(false);
    let tried = &tried;
    persist(limits, || async move {
        let again = tried.swap(true, std::sync::atomic::Ordering::Relaxed);
        match objects.create(json).await {
            Err(error) if again && answer::is_already_there(&error) => objects.get(name).await,
            answer => answer,
        }
    })
    .await
}

/// Makes an object of the whole cluster; says whether it is ours.
async fn whole(
    target: &Target,
    objects: &Objects,
    item: &IsolatedObject<'_>,
    index: usize,
    isolated: &Isolated<'_>,
) -> Result<(Json, bool), Refused> {
    if name_of(&item.json).is_none() {
        let made = unnamed(objects, item.json.clone(), index, target.limits).await;
        return made.map(|made| (made, true)).map_err(|error| of_object(item, &error));
    }
    let is_definition = is_definition(item.object);
    match owned::create(objects, item, isolated, target.limits, is_definition).await? {
        owned::Made::Ours(made) => {
            if is_definition {
                owned::established(objects, &target.discovery, item, target.limits).await?;
            }
            Ok((made, true))
        }
        owned::Made::Theirs(found) => Ok((found, false)),
    }
}

/// Creates an object whose name the server makes up (or finds fault with). The answer to a request may be lost, so each try after the
/// first looks for what the one before may have made.
async fn unnamed(objects: &Objects, mut json: Json, index: usize, limits: Limits) -> Result<Json, kube::Error> {
    let mark = format!("{}-{index}", text(&json, "/metadata/annotations/example-validator.dev~1namespace"));
    if let Some(labels) = json.pointer_mut("/metadata/labels").and_then(Json::as_object_mut) {
        labels.insert(OBJECT.to_owned(), Json::from(super::isolate::label_value(&mark)));
    }
    let selector = ListParams::default().labels(&format!("{OBJECT}={}", super::isolate::label_value(&mark)));
    let tried = std::sync::atomic::AtomicBool::new(false);
    let (json, selector, tried) = (&json, &selector, &tried);
    persist(limits, || async move {
        if tried.swap(true, std::sync::atomic::Ordering::Relaxed)
            && let Some(made) = objects.list(selector).await?.into_iter().next()
        {
            return Ok(made);
        }
        objects.create(json).await
    })
    .await
}

/// The object's name, if it has one that can be part of a path; any other is for the server to refuse.
fn name_of(json: &Json) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    json.pointer("/metadata/name")?
        .as_str()
        .filter(|name| !name.is_empty() && name.chars().all(plain) && ![".", ".."].contains(name))
}
