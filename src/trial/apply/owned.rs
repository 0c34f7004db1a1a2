//! Objects of the whole cluster: made if they are not there, never forced onto what is not ours.

use std::time::Duration;

use serde_json::Value as Json;
use tokio::time::Instant;

use super::answer::{is_already_there, is_gone};
use super::refused::{Refused, of_object};
use super::request::{Objects, text};
use super::retry::{Limits, pauses, persist};
use crate::cluster::discovery::Discovery;
use crate::model::CauseClass;
use crate::trial::isolate::{Isolated, IsolatedObject, NAMESPACE, RUN};

/// How long a leftover of this run may take to be gone, and a CRD to be served.
const SETTLE: Duration = Duration::from_secs(60);

/// What became of an object of the whole cluster.
pub(super) enum Made {
    /// It was made; it is ours.
    Ours(Json),
    /// A CRD that was there already.
    Theirs(Json),
}

/// Makes an object of the whole cluster.
pub(super) async fn create(
    objects: &Objects,
    item: &IsolatedObject<'_>,
    isolated: &Isolated<'_>,
    limits: Limits,
    is_definition: bool,
) -> Result<Made, Refused> {
    let until = Instant::now() + SETTLE;
    let mut pauses = pauses();
    loop {
        let error = match persist(limits, || objects.create(&item.json)).await {
            Ok(made) => return Ok(Made::Ours(made)),
            Err(error) if is_already_there(&error) => error,
            Err(error) => return Err(of_object(item, &error)),
        };
        let found = match persist(limits, || present(objects, &item.object.name)).await {
            Ok(Some(found)) => found,
            // It went away in between.
            Ok(None) if Instant::now() < until => {
                tokio::time::sleep(pauses.next().unwrap_or(SETTLE)).await;
                continue;
            }
            Ok(None) => return Err(of_object(item, &error)),
            Err(error) => return Err(of_object(item, &error)),
        };
        match standing(&found, isolated) {
            Standing::This => return Ok(Made::Ours(found)),
            _ if is_definition => return Ok(Made::Theirs(found)),
            Standing::Leftover if Instant::now() < until => {
                remove(objects, &found, limits).await.map_err(|error| of_object(item, &error))?;
                tokio::time::sleep(pauses.next().unwrap_or(SETTLE)).await;
            }
            standing => {
                tracing::debug!("{error}");
                return Err(in_the_way(item, &found, &standing));
            }
        }
    }
}

async fn present(objects: &Objects, name: &str) -> Result<Option<Json>, kube::Error> {
    match objects.get(name).await {
        Err(error) if is_gone(&error) => Ok(None),
        answer => answer.map(Some),
    }
}

async fn remove(objects: &Objects, found: &Json, limits: Limits) -> Result<(), kube::Error> {
    let (name, uid) = (text(found, "/metadata/name"), text(found, "/metadata/uid"));
    let deleted = persist(limits, || async {
        match objects.delete(name, Some(uid)).await {
            Err(error) if is_gone(&error) => Ok(()),
            answer => answer.map(|_| ()),
        }
    });
    deleted.await
}

/// Whose an object is that was there before.
enum Standing {
    /// This attempt's: the answer to its request was lost.
    This,
    /// An earlier attempt's of this run, or on its way out: it may be deleted.
    Leftover,
    /// Another run's.
    Run(String),
    /// Nobody's of ours.
    Foreign,
}

fn standing(found: &Json, isolated: &Isolated<'_>) -> Standing {
    let run = found["metadata"]["labels"].get(RUN).and_then(Json::as_str);
    let namespace = found["metadata"]["annotations"].get(NAMESPACE).and_then(Json::as_str);
    let deleting = !found["metadata"]["deletionTimestamp"].is_null();
    match (run, namespace) {
        (Some(_), Some(_)) if deleting => Standing::Leftover,
        (Some(run), Some(namespace)) if Some(run) == isolated.labels.get(RUN).map(String::as_str) => {
            if namespace == isolated.namespace { Standing::This } else { Standing::Leftover }
        }
        (Some(run), Some(_)) => Standing::Run(run.to_owned()),
        _ => Standing::Foreign,
    }
}

fn in_the_way(item: &IsolatedObject<'_>, found: &Json, standing: &Standing) -> Refused {
    let reference = item.object.reference();
    let (message, hint) = match standing {
        Standing::Run(run) => (
            format!("{reference} belongs to the whole cluster, and the run {run} has made it"),
            "wait for that run; if it is dead, `example-validator clean` deletes what it left behind",
        ),
        Standing::Leftover | Standing::This => (
            format!(
                "{reference} of an earlier attempt is still being deleted (finalizers: {})",
                found["metadata"]["finalizers"]
            ),
            "see which controller has to take its finalizer away, and whether it is running",
        ),
        Standing::Foreign => (
            format!("{reference} belongs to the whole cluster, and is there already"),
            "it is not ours, so it is neither changed nor deleted: use a cluster without it, or give the example's another name",
        ),
    };
    Refused::errored(CauseClass::Cluster, "AlreadyExists", message, hint, reference)
}

/// Waits until the kinds of a CRD that was just made are served.
pub(crate) async fn established(
    objects: &Objects,
    discovery: &Discovery,
    item: &IsolatedObject<'_>,
    limits: Limits,
) -> Result<(), Refused> {
    let until = Instant::now() + SETTLE;
    for pause in pauses() {
        let found =
            persist(limits, || objects.get(&item.object.name)).await.map_err(|error| of_object(item, &error))?;
        let conditions = found.pointer("/status/conditions").and_then(Json::as_array).into_iter().flatten();
        let is = |condition: &Json, kind: &str, status: &str| {
            text(condition, "/type") == kind && text(condition, "/status") == status
        };
        let conditions: Vec<_> = conditions.collect();
        if conditions.iter().any(|condition| is(condition, "Established", "True")) {
            for api_version in served_versions(&found) {
                discovery.expect(&api_version).await;
            }
            return Ok(());
        }
        let conflict = conditions.iter().find(|condition| is(condition, "NamesAccepted", "False"));
        if conflict.is_some() || Instant::now() + pause > until {
            let why = conflict.map_or("it was not established in time", |condition| text(condition, "/message"));
            let message = format!("{} is not served: {why}", item.object.reference());
            return Err(Refused::errored(CauseClass::Cluster, "NotEstablished", message, "", item.object.reference()));
        }
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// The `apiVersion`s that a CRD defines.
fn served_versions(definition: &Json) -> Vec<String> {
    let group = text(definition, "/spec/group");
    let versions = definition.pointer("/spec/versions").and_then(Json::as_array).into_iter().flatten();
    versions.map(|version| format!("{group}/{}", text(version, "/name"))).collect()
}
