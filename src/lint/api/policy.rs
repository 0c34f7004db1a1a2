//! Disruption budgets, priorities, runtime classes, leases, service accounts and namespaces.
//!
//! Source: `pkg/apis/{policy,scheduling,node,coordination}/validation/validation.go` of Kubernetes.

use super::pod::{resources, scheduling};
use super::read::{get, int, is_missing};
use super::report::{each_has_form, forbid, in_range, non_negative, one_of_if_set, require_form};
use super::{forms, meta, workloads};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

/// The highest priority that is not Kubernetes' own.
const MAX_PRIORITY: i64 = 1_000_000_000;
/// Kubernetes' own priority classes.
const SYSTEM_PRIORITIES: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

/// A PodDisruptionBudget.
pub(super) fn disruption_budget(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = get(root, "spec") else { return };
    if get(spec, "minAvailable").is_some() {
        forbid(out, spec, "maxUnavailable", "together with `minAvailable`");
    }
    workloads::share(spec, "minAvailable", true, out);
    workloads::share(spec, "maxUnavailable", true, out);
    meta::selector(spec, "selector", out);
    one_of_if_set(out, spec, "unhealthyPodEvictionPolicy", &["IfHealthyBudget", "AlwaysAllow"]);
}

/// A PriorityClass.
pub(super) fn priority_class(root: &Node, out: &mut Findings<'_>) {
    one_of_if_set(out, root, "preemptionPolicy", &["PreemptLowerPriority", "Never"]);
    let name = get(root, "metadata").and_then(|metadata| get(metadata, "name"));
    let value = int(root, "value").unwrap_or(0);
    let system = name.and_then(Node::as_str).filter(|name| name.starts_with("system-"));
    if let (Some(found), Some(name)) = (system, name) {
        if !SYSTEM_PRIORITIES.contains(&(found, value)) {
            out.error(code::FORBIDDEN, name, "the prefix `system-` is reserved for Kubernetes' own priority classes");
        }
    } else if let Some(node) = root.get("value").filter(|_| value > MAX_PRIORITY) {
        out.error(
            code::RANGE,
            node,
            format!("is more than {MAX_PRIORITY}, the highest priority that a user may define"),
        );
    }
}

/// A RuntimeClass.
pub(super) fn runtime_class(root: &Node, out: &mut Findings<'_>) {
    require_form(out, root, "handler", forms::dns_label);
    if let Some(overhead) = get(root, "overhead").and_then(|overhead| get(overhead, "podFixed")) {
        for entry in overhead.entries() {
            resources::check_container_name(entry, out);
            resources::check_amount(entry, out);
        }
    }
    if let Some(placement) = get(root, "scheduling") {
        meta::labels(placement, "nodeSelector", out);
        scheduling::tolerations(placement, out);
    }
}

/// A Lease.
pub(super) fn lease(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = get(root, "spec") else { return };
    in_range(out, spec, "leaseDurationSeconds", (1, i64::MAX));
    non_negative(out, spec, &["leaseTransitions"]);
    if let Some(value) = get(spec, "holderIdentity").filter(|_| is_missing(spec, "holderIdentity")) {
        out.error(code::FORMAT, value, "must not be empty");
    }
}

/// A Namespace.
pub(super) fn namespace(root: &Node, out: &mut Findings<'_>) {
    if let Some(spec) = get(root, "spec") {
        each_has_form(out, spec, "finalizers", forms::kube_finalizer);
    }
}

/// A kind of which only the metadata is looked at.
pub(super) fn nothing_more(_: &Node, _: &mut Findings<'_>) {}
