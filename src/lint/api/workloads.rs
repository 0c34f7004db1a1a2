//! Deployments and the other kinds that keep pods running.
//!
//! Source: `pkg/apis/apps/validation/validation.go` of Kubernetes.

use super::read::{IntOrString, at, get, int, is_missing, structs, text};
use super::report::{allowed_value, expect, forbid, has_form, non_negative, one_of, require, require_map, within};
use super::{claims, forms, meta, pod};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

/// A Deployment.
pub(super) fn deployment(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = require_map(out, root, "spec") else { return };
    let counts = ["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"];
    rollout_counts(spec, &counts, out);
    meta::workload_selector(spec, out);
    always_running(spec, &[], out);
    let Some(strategy) = get(spec, "strategy") else { return };
    one_of(out, strategy, "type", &["Recreate", "RollingUpdate"]);
    if text(strategy, "type") == "Recreate" {
        forbid(out, strategy, "rollingUpdate", "when `type` is `Recreate`");
    } else if let Some(update) = get(strategy, "rollingUpdate") {
        let unavailable = share(update, "maxUnavailable", true, out).unwrap_or(25);
        let surge = share(update, "maxSurge", false, out).unwrap_or(25);
        if unavailable == 0 && surge == 0 {
            out.error(code::RANGE, update, "`maxUnavailable` and `maxSurge` must not both be 0");
        }
    }
}

/// A ReplicaSet.
pub(super) fn replica_set(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = require_map(out, root, "spec") else { return };
    rollout_counts(spec, &["replicas", "minReadySeconds"], out);
    meta::workload_selector(spec, out);
    always_running(spec, &[], out);
}

/// A ReplicationController, whose selector defaults to the labels of its template.
pub(super) fn replication_controller(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = require_map(out, root, "spec") else { return };
    non_negative(out, spec, &["replicas", "minReadySeconds"]);
    let labels = at(spec, &["template", "metadata", "labels"]);
    if is_missing(spec, "selector") {
        if labels.is_none_or(|labels| labels.entries().next().is_none()) {
            require(out, spec, "selector");
        }
    } else if let Some(selector) = get(spec, "selector")
        && let Some(wrong) = selector.entries().find(|entry| {
            labels.and_then(|labels| labels.get(&entry.key)).and_then(Node::as_str) != entry.value.as_str()
        })
    {
        out.error(code::SELECTOR, wrong, "does not match the labels of `template`");
    }
    always_running(spec, &[], out);
}

/// A DaemonSet.
pub(super) fn daemon_set(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = require_map(out, root, "spec") else { return };
    rollout_counts(spec, &["minReadySeconds", "revisionHistoryLimit"], out);
    meta::workload_selector(spec, out);
    always_running(spec, &[], out);
    let Some(strategy) = get(spec, "updateStrategy") else { return };
    one_of(out, strategy, "type", &["RollingUpdate", "OnDelete"]);
    let Some(update) = get(strategy, "rollingUpdate").filter(|_| text(strategy, "type") != "OnDelete") else { return };
    let unavailable = share(update, "maxUnavailable", true, out).unwrap_or(1);
    let surge = share(update, "maxSurge", true, out).unwrap_or(0);
    if (unavailable == 0) == (surge == 0) {
        let message = "exactly one of `maxUnavailable` (1 if it is not set) and `maxSurge` must be other than 0";
        out.error(code::RANGE, update, message);
    }
}

/// A StatefulSet.
pub(super) fn stateful_set(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = require_map(out, root, "spec") else { return };
    rollout_counts(spec, &["replicas", "minReadySeconds", "revisionHistoryLimit"], out);
    meta::workload_selector(spec, out);
    has_form(out, spec, "serviceName", forms::dns_label);
    one_of(out, spec, "podManagementPolicy", &["OrderedReady", "Parallel"]);
    if let Some(ordinals) = get(spec, "ordinals") {
        non_negative(out, ordinals, &["start"]);
    }
    if let Some(policy) = get(spec, "persistentVolumeClaimRetentionPolicy") {
        one_of(out, policy, "whenDeleted", &["Retain", "Delete"]);
        one_of(out, policy, "whenScaled", &["Retain", "Delete"]);
    }
    stateful_set_update(spec, out);
    let mut names = Vec::new();
    for claim in structs(spec, "volumeClaimTemplates") {
        if let Some(metadata) = require_map(out, claim, "metadata")
            && require(out, metadata, "name")
        {
            has_form(out, metadata, "name", forms::dns_label);
            names.push(text(metadata, "name"));
        }
        if let Some(claim) = require_map(out, claim, "spec") {
            claims::check_spec(claim, out);
        }
    }
    always_running(spec, &names, out);
}

fn stateful_set_update(spec: &Node, out: &mut Findings<'_>) {
    let Some(strategy) = get(spec, "updateStrategy") else { return };
    one_of(out, strategy, "type", &["RollingUpdate", "OnDelete"]);
    if text(strategy, "type") == "OnDelete" {
        forbid(out, strategy, "rollingUpdate", "when `type` is `OnDelete`");
    } else if let Some(update) = get(strategy, "rollingUpdate") {
        non_negative(out, update, &["partition"]);
        if share(update, "maxUnavailable", true, out) == Some(0) {
            let value = update.get("maxUnavailable").unwrap_or(update);
            out.error(code::RANGE, value, "must not be 0");
        }
    }
}

/// Replicas and the like: counts that must not be negative, under `keys` of `spec`; and `progressDeadlineSeconds` must
/// exceed `minReadySeconds`.
fn rollout_counts(spec: &Node, keys: &[&str], out: &mut Findings<'_>) {
    non_negative(out, spec, keys);
    let ready = int(spec, "minReadySeconds").unwrap_or(0);
    let deadline = int(spec, "progressDeadlineSeconds").unwrap_or(600);
    if keys.contains(&"progressDeadlineSeconds") && deadline <= ready {
        let key =
            if get(spec, "progressDeadlineSeconds").is_some() { "progressDeadlineSeconds" } else { "minReadySeconds" };
        let value = spec.get(key).unwrap_or(spec);
        let message = format!("`progressDeadlineSeconds` ({deadline}) must be more than `minReadySeconds` ({ready})");
        out.error(code::RANGE, value, message);
    }
}

/// The template of a workload whose pods always run again.
fn always_running(spec: &Node, claims: &[&str], out: &mut Findings<'_>) {
    pod::template(spec, claims, out);
    let Some(pod) = at(spec, &["template", "spec"]) else { return };
    if let Some(policy) = get(pod, "restartPolicy")
        && matches!(text(pod, "restartPolicy"), "OnFailure" | "Never")
    {
        allowed_value(out, policy, text(pod, "restartPolicy"), &["Always"]);
    }
    forbid(out, pod, "activeDeadlineSeconds", "for pods that always run");
}

/// A count of pods, or a percentage of them, which may be bounded to 100 %; returns its number if it is well formed.
pub(super) fn share(node: &Node, key: &str, bounded: bool, out: &mut Findings<'_>) -> Option<i64> {
    let value = get(node, key)?;
    let found = IntOrString::of(value)?;
    match found {
        IntOrString::Int(number) => within(out, value, number, (0, i64::MAX)),
        IntOrString::Text(text) => {
            if expect(out, value, text, forms::percent) && bounded && found.amount() > 100 {
                out.error(code::RANGE, value, format!("`{text}` is more than 100%"));
            }
        }
    }
    Some(found.amount())
}
