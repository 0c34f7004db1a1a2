//! What Deployments, ReplicaSets, StatefulSets and DaemonSets have in common.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::super::object::{has_ended, is_deleting, is_ready, name, namespace, now, number, owner_reference, text};

/// A pod made of the template of `owner`, with its labels; the name is left to the caller.
#[must_use]
pub fn pod_of(owner: &Json) -> Json {
    let template = &owner["spec"]["template"];
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": template["spec"]});
    if template["metadata"].is_object() {
        pod["metadata"] = template["metadata"].clone();
    }
    pod["metadata"]["namespace"] = namespace(owner).into();
    pod["metadata"]["generateName"] = format!("{}-", name(owner)).into();
    pod["metadata"]["ownerReferences"] = json!([owner_reference(owner)]);
    pod
}

/// How many pods a workload asks for.
#[must_use]
pub fn wanted(object: &Json) -> usize {
    number(object, "/spec/replicas").and_then(|number| usize::try_from(number).ok()).unwrap_or(1)
}

/// The pods that are not on their way out.
#[must_use]
pub fn alive(pods: &[Arc<Json>]) -> Vec<&Json> {
    pods.iter().map(Arc::as_ref).filter(|pod| !has_ended(pod) && !is_deleting(pod)).collect()
}

/// How many of them are ready.
#[must_use]
pub fn ready(pods: &[&Json]) -> usize {
    pods.iter().filter(|pod| is_ready(pod)).count()
}

/// Counts as a status shows them: none where they are zero, unless `always` names them.
pub fn set_counts(status: &mut Json, counts: &[(&str, usize)], always: &[&str]) {
    for (field, count) in counts {
        match (*count, status.as_object_mut()) {
            (0, Some(status)) if !always.contains(field) => drop(status.shift_remove(*field)),
            _ => status[*field] = (*count).into(),
        }
    }
}

/// Sets a condition; its times are kept where nothing changed, and a condition whose text changed goes to the end.
pub fn set_condition(status: &mut Json, kind: &str, holds: &str, reason: &str, message: &str) {
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(list) = status["conditions"].as_array_mut() else { return };
    let old = list.iter().position(|condition| text(condition, "/type") == kind);
    let mut since = Json::from(now());
    if let Some(at) = old {
        if text(&list[at], "/status") == holds
            && text(&list[at], "/reason") == reason
            && text(&list[at], "/message") == message
        {
            return;
        }
        let old = list.remove(at);
        if text(&old, "/status") == holds {
            since = old["lastTransitionTime"].clone();
        }
    }
    list.push(json!({"type": kind, "status": holds, "lastUpdateTime": now(), "lastTransitionTime": since,
        "reason": reason, "message": message}));
}
