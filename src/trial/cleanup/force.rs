//! What keeps a deletion from ending: who holds it, and how to end it all the same.

use kube::api::ListParams;
use serde_json::{Value as Json, json};

use super::{Doomed, POD_GRACE};
use crate::error::chain;
use crate::trial::apply::Target;
use crate::trial::apply::answer::is_gone;
use crate::trial::apply::request::{Objects, text};

/// An object that keeps a namespace from being gone.
struct Holder {
    objects: Objects,
    kind: String,
    /// As `kubectl` calls its kind: `jobs.batch`.
    resource: String,
    name: String,
    finalizers: Vec<String>,
}

/// Who holds a namespace that is still there, a line each.
pub(in crate::trial) async fn holding(target: &Target, namespace: &str) -> Vec<String> {
    let objects = Objects::core(&target.client, "namespaces", None);
    let stuck = Doomed { objects, kind: "Namespace".to_owned(), name: namespace.to_owned(), uid: String::new() };
    holders(target, &stuck, &|_, _| true).await
}

/// Whether something of this kind with these finalizers is left as it is.
type Leaves<'l> = &'l (dyn Fn(&str, &[String]) -> bool + Sync);

/// Who holds what is stuck, a line each; where that stays, with the command that lets it go.
pub(super) async fn holders(target: &Target, stuck: &Doomed, leaves: Leaves<'_>) -> Vec<String> {
    let command = |kind: &str, resource: &str, name: &str, namespace: &str, finalizers: &[String]| {
        if finalizers.is_empty() || !leaves(kind, finalizers) {
            return String::new();
        }
        let within = if namespace.is_empty() { String::new() } else { format!(" -n {namespace}") };
        format!(
            "; if nobody is left to do that: kubectl patch{within} {resource} {name} --type=merge \
             -p '{{\"metadata\":{{\"finalizers\":null}}}}'"
        )
    };
    if stuck.kind != "Namespace" {
        let found = stuck.objects.get(&stuck.name).await.ok();
        let finalizers = found.as_ref().map(finalizers).unwrap_or_default();
        return vec![format!(
            "{} is not gone: it waits for {}{}",
            stuck.reference(),
            named(&finalizers),
            command(&stuck.kind, &stuck.kind.to_lowercase(), &stuck.name, "", &finalizers)
        )];
    }
    let held = match content(target, &stuck.name).await {
        Ok(held) => held,
        Err(error) => {
            return vec![format!("{} is not gone, and it can't be seen why: {}", stuck.reference(), chain(&error))];
        }
    };
    let mut lines: Vec<_> = held
        .iter()
        .map(|holder| {
            format!(
                "{} is not gone: {}/{} in it waits for {}{}",
                stuck.reference(),
                holder.kind,
                holder.name,
                named(&holder.finalizers),
                command(&holder.kind, &holder.resource, &holder.name, &stuck.name, &holder.finalizers)
            )
        })
        .collect();
    if lines.is_empty() {
        lines.push(format!("{} is not gone, though nothing is in it{}", stuck.reference(), conditions(stuck).await));
    }
    lines
}

/// What the namespace's controller says of it: an aggregated API server that is down holds every namespace.
async fn conditions(stuck: &Doomed) -> String {
    let Ok(found) = stuck.objects.get(&stuck.name).await else { return String::new() };
    let all = found.pointer("/status/conditions").and_then(Json::as_array).into_iter().flatten();
    let told: Vec<_> = all
        .filter(|condition| text(condition, "/status") == "True")
        .map(|condition| format!(": {} ({})", text(condition, "/message"), text(condition, "/reason")))
        .collect();
    told.concat()
}

/// Takes the finalizers of what is stuck away; in a namespace those of everything in it but what is left, and no pod is waited for any
/// more.
pub(super) async fn force(target: &Target, stuck: &Doomed, leaves: Leaves<'_>) -> Vec<String> {
    if stuck.kind != "Namespace" {
        let found = stuck.objects.get(&stuck.name).await.ok();
        if found.as_ref().is_some_and(|found| leaves(&stuck.kind, &finalizers(found))) {
            return Vec::new();
        }
        return without_finalizers(&stuck.objects, &stuck.name, &stuck.reference()).await.into_iter().collect();
    }
    let mut told = Vec::new();
    if let Ok(held) = content(target, &stuck.name).await {
        for holder in held {
            let reference = format!("{}/{} in {}", holder.kind, holder.name, stuck.name);
            if !holder.finalizers.is_empty() && !leaves(&holder.kind, &holder.finalizers) {
                told.extend(without_finalizers(&holder.objects, &holder.name, &reference).await);
            }
        }
    }
    let pods = Objects::core(&target.client, "pods", Some(&stuck.name));
    if let Err(error) = pods.delete_all(0).await {
        told.push(format!("the pods in {} could not be ended: {}", stuck.name, chain(&error)));
    }
    told
}

/// Takes the finalizers of an object away that is being deleted.
async fn without_finalizers(objects: &Objects, name: &str, reference: &str) -> Option<String> {
    match objects.merge(name, &json!({"metadata": {"finalizers": null}})).await {
        Ok(_) => Some(format!("{reference} was forced: its finalizers were taken away")),
        Err(error) if is_gone(&error) => None,
        Err(error) => Some(format!("{reference} could not be forced: {}", chain(&error))),
    }
}

/// The last resort: the namespace itself is let go, if nothing is in it any more. What is in one that is let go stays for ever, pods
/// that run among it.
pub(super) async fn finalize(target: &Target, stuck: &Doomed) -> Option<String> {
    if !is_empty(target, &stuck.name).await {
        return None;
    }
    let mut namespace = match stuck.objects.get(&stuck.name).await {
        Ok(found) if !found["metadata"]["deletionTimestamp"].is_null() => found,
        _ => return None,
    };
    namespace["spec"] = json!({"finalizers": []});
    match stuck.objects.finalize(&namespace).await {
        Ok(_) => Some(format!("{} was forced: it was finalized", stuck.reference())),
        Err(error) if is_gone(&error) => None,
        Err(error) => Some(format!("{} could not be finalized: {}", stuck.reference(), chain(&error))),
    }
}

/// Whatever is left in a namespace that is being deleted, of every kind that the cluster serves.
async fn content(target: &Target, namespace: &str) -> Result<Vec<Holder>, kube::Error> {
    let kinds = target.discovery.listable().await?;
    let mut found = Vec::new();
    for served in kinds.into_iter().filter(|served| served.namespaced && served.resource.kind != "Event") {
        let objects = Objects::new(&target.client, &served.resource, Some(namespace));
        // A kind that can't be listed holds nothing that we could see.
        let Ok(items) = objects.list(&ListParams::default()).await else { continue };
        found.extend(items.iter().filter(|item| !item["metadata"]["deletionTimestamp"].is_null()).map(|item| Holder {
            objects: objects.clone(),
            kind: served.resource.kind.clone(),
            resource: match served.resource.group.as_str() {
                "" => served.resource.plural.clone(),
                group => format!("{}.{group}", served.resource.plural),
            },
            name: text(item, "/metadata/name").to_owned(),
            finalizers: finalizers(item),
        }));
    }
    Ok(found)
}

/// Whether nothing is left in a namespace, as far as can be seen.
async fn is_empty(target: &Target, namespace: &str) -> bool {
    let Ok(kinds) = target.discovery.listable().await else { return false };
    for served in kinds.into_iter().filter(|served| served.namespaced && served.resource.kind != "Event") {
        let objects = Objects::new(&target.client, &served.resource, Some(namespace));
        if objects.list(&ListParams::default().limit(1)).await.is_ok_and(|items| !items.is_empty()) {
            return false;
        }
    }
    true
}

/// Asks the pods of a namespace that is being deleted to end soon: many ignore SIGTERM, and would take their whole grace. A wish
/// that is not granted costs time alone.
pub(super) async fn hurry(target: &Target, namespace: &str) {
    if let Err(error) = Objects::core(&target.client, "pods", Some(namespace)).delete_all(POD_GRACE).await {
        tracing::debug!("the pods of {namespace} are not hurried: {}", chain(&error));
    }
}

fn finalizers(object: &Json) -> Vec<String> {
    let all = object.pointer("/metadata/finalizers").and_then(Json::as_array).into_iter().flatten();
    all.filter_map(Json::as_str).map(str::to_owned).collect()
}

fn named(finalizers: &[String]) -> String {
    if finalizers.is_empty() { "its end".to_owned() } else { format!("the finalizer {}", finalizers.join(", ")) }
}
