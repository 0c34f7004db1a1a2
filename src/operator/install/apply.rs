//! Server-side apply of a step's objects: in order, and again what may only be early, until the deadline.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use serde_json::Value as Json;
use tokio::time::Instant;

use super::super::installed::Reference;
use super::load::Item;
use crate::cluster::discovery::Lookup;
use crate::model::{Cause, CauseClass};
use crate::trial::apply::answer::{Meaning, meaning};
use crate::trial::apply::request::Objects;
use crate::trial::apply::{FIELD_MANAGER, Limits, Refused, Target, established, of_object, pauses, unserved};
use crate::trial::isolate::{is_definition, rank};

/// How many CRDs are applied at once: they are large, and an API server takes seconds for some of them.
const AT_ONCE: usize = 4;
/// How long one request may take; a webhook has at most 30 s of it.
const REQUEST: Duration = Duration::from_secs(40);

/// What became of one try.
enum Tried {
    Accepted(Reference),
    /// It may pass once something else is there.
    Early(Refused),
}

/// Applies the objects: CRDs first, until they are established; then namespaces, then the rest in the order of their kinds. What is
/// refused for something that may still come (a kind, a namespace, a webhook's server) does not keep back what follows.
///
/// # Errors
/// What is refused for good, at once; what is still refused at the deadline.
pub(super) async fn apply(target: &Target, items: &[Item], deadline: Instant) -> Result<Vec<Reference>, Box<Cause>> {
    let mut open: Vec<&Item> = items.iter().collect();
    open.sort_by_key(|item| place(item));
    let mut accepted = Vec::new();
    for pause in pauses() {
        let mut early: Vec<(&Item, Refused)> = Vec::new();
        let definitions = open.iter().filter(|item| is_definition(&item.object)).count();
        let (first, rest) = open.split_at(definitions);
        let mut tries = stream::iter(first.to_vec()).map(|item| one(target, item, deadline)).buffered(AT_ONCE);
        let mut index = 0;
        while let Some(tried) = tries.next().await {
            sort(first[index], tried?, &mut accepted, &mut early);
            index += 1;
        }
        for item in rest {
            sort(item, one(target, item, deadline).await?, &mut accepted, &mut early);
        }
        let Some((_, refused)) = early.first() else { break };
        if Instant::now() + pause >= deadline {
            return Err(blame(refused, " (until the time was up)").into());
        }
        tracing::debug!("{} objects of the operator are early: {}", early.len(), refused.cause.message);
        open = early.into_iter().map(|(item, _)| item).collect();
        tokio::time::sleep(pause).await;
    }
    Ok(accepted)
}

fn sort<'a>(item: &'a Item, tried: Tried, accepted: &mut Vec<Reference>, early: &mut Vec<(&'a Item, Refused)>) {
    match tried {
        Tried::Accepted(reference) => accepted.push(reference),
        Tried::Early(refused) => early.push((item, refused)),
    }
}

/// The place of an object in the order, from 0.
fn place(item: &Item) -> usize {
    match (item.object.group(), item.object.kind.as_str()) {
        _ if is_definition(&item.object) => 0,
        ("", "Namespace") => 1,
        _ => 2 + rank(&item.object),
    }
}

/// Tries one object once.
async fn one(target: &Target, item: &Item, deadline: Instant) -> Result<Tried, Box<Cause>> {
    if item.stays {
        return Ok(Tried::Accepted(item.reference()));
    }
    let (api_version, kind) = (&item.object.api_version, &item.object.kind);
    let served = match target.discovery.find(api_version, kind).await {
        Ok(Lookup::Found(served)) => served,
        Ok(Lookup::Absent { versions }) => return Ok(Tried::Early(unserved(&item.placed(), &versions))),
        Err(error) => return judged(item, &error),
    };
    let (body, namespace) = item.body(served.namespaced);
    let objects = Objects::new(&target.client, &served.resource, namespace.as_deref());
    let name = body.pointer("/metadata/name").and_then(Json::as_str).unwrap_or_default();
    let request = async {
        if name.is_empty() { objects.create(&body).await } else { objects.apply(name, &body, FIELD_MANAGER).await }
    };
    let answer = match tokio::time::timeout(REQUEST, request).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return judged(item, &error),
        Err(_) => {
            let error = kube::Error::Service(format!("no answer in {} s", REQUEST.as_secs()).into());
            return judged(item, &error);
        }
    };
    if is_definition(&item.object) {
        let patience = deadline.saturating_duration_since(Instant::now());
        let limits = Limits { transient: patience, lagging: patience };
        let served = established(&objects, &target.discovery, &item.placed(), limits).await;
        served.map_err(|refused| blame(&refused, ""))?;
    }
    Ok(Tried::Accepted(Reference::of(&answer)))
}

fn judged(item: &Item, error: &kube::Error) -> Result<Tried, Box<Cause>> {
    let refused = of_object(&item.placed(), error);
    match meaning(error) {
        Meaning::Transient(_) | Meaning::Lagging => Ok(Tried::Early(refused)),
        Meaning::Refused | Meaning::Fault(_) => Err(blame(&refused, "").into()),
    }
}

/// An object of the operator was refused: the operator is to blame, unless it is the cluster.
pub(super) fn blame(refused: &Refused, more: &str) -> Cause {
    let cause = refused.cause.clone();
    let class = if cause.class == CauseClass::Cluster { CauseClass::Cluster } else { CauseClass::Operator };
    let message = format!("the operator can't be installed: {} is refused{more}: {}", cause.object, cause.message);
    Cause { class, message, ..cause }
}
