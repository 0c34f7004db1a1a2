//! Whether a Deployment, a StatefulSet or a DaemonSet is available. Pure.

use serde_json::Value as Json;

use crate::trial::apply::request::text;

/// What a workload misses, to be read after its name; `None` if it is available, all of it, in its newest version.
pub(super) fn missing(object: Option<&Json>) -> Option<String> {
    let Some(object) = object else { return Some(" is not there yet".to_owned()) };
    let number = |pointer: &str| object.pointer(pointer).and_then(Json::as_i64);
    let status = |field: &str| number(&format!("/status/{field}")).unwrap_or(0);
    if status("observedGeneration") < number("/metadata/generation").unwrap_or(1) {
        return Some(" has not been looked at by its controller".to_owned());
    }
    let is_daemon = text(object, "/kind") == "DaemonSet";
    let [wanted, updated, available] = if is_daemon {
        ["desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable"].map(status)
    } else {
        let wanted = number("/spec/replicas").unwrap_or(1);
        [wanted, status("updatedReplicas"), status("availableReplicas")]
    };
    // With this strategy pods of the version before are replaced by hand.
    let by_hand = text(object, "/spec/updateStrategy/type") == "OnDelete";
    if updated < wanted && !by_hand {
        return Some(format!(": {updated} of {wanted} pods are of its newest version"));
    }
    let old = status("replicas") - updated;
    if text(object, "/kind") == "Deployment" && old > 0 {
        return Some(format!(": {old} pods of the version before are still there"));
    }
    let mut conditions = object.pointer("/status/conditions").and_then(Json::as_array).into_iter().flatten();
    let is_unavailable =
        conditions.any(|found| text(found, "/type") == "Available" && text(found, "/status") != "True");
    (available < wanted || is_unavailable).then(|| format!(": {available} of {wanted} available"))
}
