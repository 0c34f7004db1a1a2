//! Names and amounts of resources.
//!
//! Source of the names: `pkg/apis/core/helper/helpers.go` of Kubernetes.

use std::collections::BTreeMap;
use std::collections::HashSet;

use super::super::forms;
use super::super::read::{entries, get, quantity, structs, text};
use super::super::report::{expect, forbid, has_form, repeated, require};
use crate::lint::code;
use crate::lint::findings::{Anchor, Findings};
use crate::quantity::Quantity;
use crate::yaml::{Entry, Node};

/// Resources that a container can ask for by a name without a domain, besides huge pages.
const CONTAINER: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Names without a domain that mean something to a quota.
pub(in super::super) const QUOTA: [&str; 19] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];

/// Names without a domain that are counted in whole numbers.
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

/// Huge pages of some size.
pub(in super::super) fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// Kubernetes' own resources, not those of a device plugin.
fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Whether requests may be lower than limits.
pub(in super::super) fn may_overcommit(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

fn is_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with("requests.") && forms::qualified_name(&format!("requests.{name}")).is_none()
}

/// The amount of an entry, after its own rules: not negative, and whole where devices or objects are counted.
pub(in super::super) fn check_amount(entry: &Entry, out: &mut Findings<'_>) {
    let Some(amount) = quantity(&entry.value) else { return };
    if amount.is_negative() {
        out.error(code::QUANTITY, &entry.value, "must not be negative");
    }
    if (COUNTED.contains(&&*entry.key) || is_extended(&entry.key)) && !amount.is_whole() {
        out.error(code::QUANTITY, &entry.value, format!("`{}` is counted: expected a whole number", entry.key));
    }
}

/// The name of a resource of a container, as a key.
pub(in super::super) fn check_container_name(entry: &Entry, out: &mut Findings<'_>) {
    check_container_resource(entry, &entry.key, out);
}

/// The name of a resource of a container, which stands at `anchor`.
pub(in super::super) fn check_container_resource<'n>(
    anchor: impl Into<Anchor<'n>>,
    name: &str,
    out: &mut Findings<'_>,
) {
    let anchor = anchor.into();
    if !expect(out, anchor, name, forms::qualified_name) {
        return;
    }
    if !name.contains('/') && !CONTAINER.contains(&name) && !is_huge_page(name) {
        let close = CONTAINER.iter().find(|known| strsim::jaro_winkler(known, name) > 0.8);
        let message = format!(
            "`{name}` is not a resource of containers: expected cpu, memory, ephemeral-storage, hugepages-<size> or a name with a domain"
        );
        out.error(code::NAME, anchor, message).help = close.map(|known| format!("did you mean `{known}`?"));
    } else if !is_native(name) && !is_extended(name) {
        out.error(code::NAME, anchor, format!("`{name}` is not a valid name of an extended resource"));
    }
}

/// A name that means something to a quota or to a claim; any name with a domain does.
pub(in super::super) fn check_known_name(entry: &Entry, more: &[&str], out: &mut Findings<'_>) {
    let name = &*entry.key;
    let huge = is_huge_page(name) || name.starts_with("requests.hugepages-");
    if expect(out, entry, name, forms::qualified_name)
        && !name.contains('/')
        && !huge
        && !QUOTA.contains(&name)
        && !more.contains(&name)
    {
        out.error(code::NAME, entry, format!("`{name}` is not a known resource"));
    }
}

/// Requests and limits of a container.
pub(super) fn check_container(spec: &Node, resources: &Node, out: &mut Findings<'_>) {
    for key in ["limits", "requests"] {
        if let Some(list) = get(resources, key) {
            check_list(list, resources, out);
        }
    }
    requests_within_limits(resources, out);
    let mut seen = HashSet::new();
    for claim in structs(resources, "claims") {
        if !require(out, claim, "name") {
            continue;
        }
        has_form(out, claim, "request", forms::dns_label);
        let name = text(claim, "name");
        if !seen.insert((name, text(claim, "request"))) {
            repeated(out, claim, "name", "claim");
        }
        if !structs(spec, "resourceClaims").any(|known| text(known, "name") == name) {
            out.error(code::NOT_FOUND, claim, format!("the pod has no `resourceClaims` entry `{name}`"));
        }
    }
}

/// Names and amounts of one list of resources, which stands in `resources`.
pub(super) fn check_list(list: &Node, resources: &Node, out: &mut Findings<'_>) {
    for entry in list.entries() {
        check_container_name(entry, out);
        check_amount(entry, out);
        if let Some(size) = entry.key.strip_prefix("hugepages-") {
            check_huge_page(entry, size, out);
        }
    }
    let named =
        |name: &str| ["limits", "requests"].iter().any(|key| entries(resources, key).any(|entry| &*entry.key == name));
    let huge = list.entries().find(|entry| is_huge_page(&entry.key));
    if let Some(entry) = huge.filter(|_| !named("cpu") && !named("memory")) {
        out.error(code::FORBIDDEN, entry, "huge pages need `cpu` or `memory` beside them");
    }
}

fn check_huge_page(entry: &Entry, size: &str, out: &mut Findings<'_>) {
    let size = Quantity::parse(size).filter(|size| size.is_whole() && !size.is_negative() && !size.is_zero());
    let whole = quantity(&entry.value).zip(size).is_none_or(|(amount, size)| amount.units() % size.units() == 0);
    if size.is_none() || !whole {
        out.error(code::QUANTITY, &entry.value, "must be a multiple of the size of the pages");
    }
}

fn requests_within_limits(resources: &Node, out: &mut Findings<'_>) {
    for entry in entries(resources, "requests") {
        let name = &*entry.key;
        let limit = entries(resources, "limits").find(|limit| *limit.key == *entry.key);
        match (quantity(&entry.value), limit.and_then(|limit| quantity(&limit.value))) {
            (Some(request), Some(limit)) if request != limit && !may_overcommit(name) => {
                out.error(code::QUANTITY, &entry.value, format!("must be equal to the limit of `{name}`"));
            }
            (Some(request), Some(limit)) if request > limit => {
                out.error(code::QUANTITY, &entry.value, format!("is more than the limit of `{name}`"));
            }
            (_, None) if limit.is_none() && !may_overcommit(name) => {
                let message = format!("`{name}` needs a limit that is equal to its request");
                out.error(code::REQUIRED, entry, message);
            }
            _ => {}
        }
    }
}

/// Resources of the pod as a whole.
pub(super) fn check_pod(spec: &Node, out: &mut Findings<'_>) {
    let Some(resources) = get(spec, "resources") else { return };
    forbid(out, resources, "claims", "for a pod as a whole");
    for key in ["limits", "requests"] {
        for entry in entries(resources, key) {
            if !matches!(&*entry.key, "cpu" | "memory") && !is_huge_page(&entry.key) {
                let message =
                    format!("`{}` is not a resource of pods: expected cpu, memory or hugepages-<size>", entry.key);
                out.error(code::NAME, entry, message);
            }
            check_amount(entry, out);
        }
    }
    requests_within_limits(resources, out);
    let total = total_requests(spec);
    for entry in entries(resources, "requests") {
        if let (Some(pod), Some(all)) = (quantity(&entry.value), total.get(&*entry.key))
            && *all > pod
        {
            out.error(
                code::QUANTITY,
                &entry.value,
                format!("is less than what the containers request of `{}`", entry.key),
            );
        }
    }
    for container in structs(spec, "containers") {
        for entry in get(container, "resources").into_iter().flat_map(|own| entries(own, "limits")) {
            let pod = entries(resources, "limits").find(|limit| limit.key == entry.key);
            let pod = pod.and_then(|limit| quantity(&limit.value));
            if quantity(&entry.value).zip(pod).is_some_and(|(own, pod)| own > pod) {
                out.error(code::QUANTITY, &entry.value, format!("is more than the pod's limit of `{}`", entry.key));
            }
        }
    }
}

/// What the containers that run side by side request together.
fn total_requests(spec: &Node) -> BTreeMap<&str, Quantity> {
    let sidecars = structs(spec, "initContainers").filter(|container| text(container, "restartPolicy") == "Always");
    let mut total: BTreeMap<&str, Quantity> = BTreeMap::new();
    for container in structs(spec, "containers").chain(sidecars) {
        let Some(resources) = get(container, "resources") else { continue };
        let mut own: BTreeMap<&str, Quantity> = BTreeMap::new();
        // Limits stand in for requests that are not there.
        for entry in entries(resources, "limits").chain(entries(resources, "requests")) {
            own.extend(quantity(&entry.value).map(|amount| (&*entry.key, amount)));
        }
        for (name, amount) in own {
            let sum = total.entry(name).or_default();
            *sum = sum.plus(amount);
        }
    }
    total
}
