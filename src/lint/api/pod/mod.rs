//! Pods and pod templates.
//!
//! Source: `pkg/apis/core/validation/validation.go` of Kubernetes (`ValidatePodSpec` and what it calls), after the
//! defaults of `pkg/apis/core/v1/defaults.go`.

mod container;
mod env;
mod mounts;
mod probe;
pub(super) mod resources;
pub(super) mod scheduling;
mod security;
pub(super) mod sources;
mod volumes;

use std::collections::HashSet;

use super::forms;
use super::meta;
use super::read::{entries, flag, get, int, is_missing, list, strings, structs, text};
use super::report::{
    allowed_value, each_has_form, expect, forbid, has_form, has_form_if_set, in_range, one_of, one_of_if_set, repeated,
    require, require_form, require_map, required,
};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

/// The three lists of containers of a pod.
const CONTAINER_LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// What the rules for the parts of a pod need to know about its whole.
struct Pod<'n> {
    /// The pod's spec.
    spec: &'n Node,
    /// A pod itself, not a template.
    alone: bool,
    /// Volumes by name, without those that are themselves wrong.
    volumes: Vec<(&'n str, &'n Node)>,
    /// Volumes that are not in the spec: a StatefulSet's claim templates.
    claims: &'n [&'n str],
}

/// A Pod.
pub(super) fn check(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = require_map(out, root, "spec") else { return };
    pod_annotations(root.get("metadata"), spec, out);
    check_spec(spec, true, &[], out);
    forbid(out, spec, "ephemeralContainers", "when a pod is created");
    priority(spec, out);
    if !is_missing(spec, "schedulingGates") && !is_missing(spec, "nodeName") {
        forbid(out, spec, "nodeName", "while there are `schedulingGates`");
    }
}

/// The server itself gives a pod the numbers of its priority class; without a class they are those of no class.
fn priority(spec: &Node, out: &mut Findings<'_>) {
    const WHY: &str = "to another value than that of the pod's priority class";
    if !is_missing(spec, "priorityClassName") {
        return;
    }
    if int(spec, "priority").is_some_and(|priority| priority != 0) {
        forbid(out, spec, "priority", WHY);
    }
    if text(spec, "preemptionPolicy") == "Never" {
        forbid(out, spec, "preemptionPolicy", WHY);
    }
}

/// A PodTemplate.
pub(super) fn check_pod_template(root: &Node, out: &mut Findings<'_>) {
    template(root, &[], out);
}

/// The pod template under `template` of `node`; `claims` are the names of volumes that it need not have itself.
pub(super) fn template(node: &Node, claims: &[&str], out: &mut Findings<'_>) {
    let Some(template) = require_map(out, node, "template") else { return };
    let Some(spec) = require_map(out, template, "spec") else { return };
    template_spec(get(template, "metadata"), spec, claims, out);
}

/// A pod template whose metadata and spec are known.
pub(super) fn template_spec(metadata: Option<&Node>, spec: &Node, claims: &[&str], out: &mut Findings<'_>) {
    meta::template(metadata, out);
    pod_annotations(metadata, spec, out);
    check_spec(spec, false, claims, out);
    forbid(out, spec, "ephemeralContainers", "in a pod template");
}

fn check_spec(spec: &Node, alone: bool, claims: &[&str], out: &mut Findings<'_>) {
    let volumes = volumes::check(spec, claims, out);
    let pod = Pod { spec, alone, volumes, claims };
    container::check_all(&pod, out);
    resource_claims(spec, out);
    resources::check_pod(spec, out);
    policies(spec, out);
    names(spec, out);
    dns_config(spec, out);
    host_namespaces(spec, out);
    security::check_pod(spec, out);
    scheduling::check(spec, out);
    if let Some(overhead) = get(spec, "overhead") {
        resources::check_list(overhead, overhead, out);
    }
    operating_system(spec, out);
}

fn policies(spec: &Node, out: &mut Findings<'_>) {
    one_of(out, spec, "restartPolicy", &["Always", "OnFailure", "Never"]);
    one_of(out, spec, "dnsPolicy", &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]);
    one_of_if_set(out, spec, "preemptionPolicy", &["PreemptLowerPriority", "Never"]);
    in_range(out, spec, "activeDeadlineSeconds", (1, i64::from(i32::MAX)));
    for gate in structs(spec, "readinessGates") {
        require_form(out, gate, "conditionType", forms::qualified_name);
    }
    let mut seen = HashSet::new();
    for gate in structs(spec, "schedulingGates") {
        require_form(out, gate, "name", forms::qualified_name);
        if !seen.insert(text(gate, "name")) {
            repeated(out, gate, "name", "scheduling gate");
        }
    }
}

fn names(spec: &Node, out: &mut Findings<'_>) {
    meta::labels(spec, "nodeSelector", out);
    for key in ["serviceAccountName", "nodeName", "priorityClassName"] {
        has_form(out, spec, key, forms::dns_subdomain);
    }
    if let Some(class) = get(spec, "runtimeClassName") {
        expect(out, class, class.as_str().unwrap_or("a"), forms::dns_subdomain);
    }
    has_form(out, spec, "hostname", forms::dns_label);
    has_form(out, spec, "subdomain", forms::dns_label);
    if let Some(name) = get(spec, "hostnameOverride") {
        has_form_if_set(out, spec, "hostnameOverride", forms::dns_subdomain);
        if name.as_str().is_some_and(|name| name.len() > 64) {
            out.error(code::FORMAT, name, "is longer than 64 characters");
        }
        for key in ["setHostnameAsFQDN", "hostNetwork"] {
            if flag(spec, key) {
                forbid(out, spec, "hostnameOverride", &format!("when `{key}` is true"));
            }
        }
    }
    for alias in structs(spec, "hostAliases") {
        require_form(out, alias, "ip", forms::ip);
        each_has_form(out, alias, "hostnames", forms::dns_subdomain);
    }
}

fn dns_config(spec: &Node, out: &mut Findings<'_>) {
    let config = get(spec, "dnsConfig");
    if text(spec, "dnsPolicy") == "None" {
        let Some(config) = config else {
            return required(out, spec, "dnsConfig", " when `dnsPolicy` is `None`");
        };
        if is_missing(config, "nameservers") {
            return required(out, config, "nameservers", " when `dnsPolicy` is `None`");
        }
    }
    let Some(config) = config else { return };
    for (key, most) in [("nameservers", 3), ("searches", 32)] {
        let found = list(config, key).len();
        if let Some(value) = config.get(key).filter(|_| found > most) {
            out.error(code::RANGE, value, format!("{found} are too many, at most {most} are allowed"));
        }
    }
    each_has_form(out, config, "nameservers", forms::ip);
    each_has_form(out, config, "searches", forms::search_domain);
    let characters: usize = strings(config, "searches").map(|(_, search)| search.len() + 1).sum();
    if let Some(value) = config.get("searches").filter(|_| characters > 2049) {
        out.error(code::RANGE, value, "must not have more than 2048 characters in all");
    }
    for option in structs(config, "options") {
        require(out, option, "name");
    }
}

fn host_namespaces(spec: &Node, out: &mut Findings<'_>) {
    if get(spec, "hostUsers").and_then(Node::as_bool) == Some(false) {
        for key in ["hostNetwork", "hostPID", "hostIPC"] {
            if flag(spec, key) {
                forbid(out, spec, key, "when `hostUsers` is false");
            }
        }
        for container in CONTAINER_LISTS.iter().flat_map(|list| structs(spec, list)) {
            if !is_missing(container, "volumeDevices") {
                forbid(out, container, "volumeDevices", "when `hostUsers` is false");
            }
        }
    }
    if flag(spec, "shareProcessNamespace") && flag(spec, "hostPID") {
        forbid(out, spec, "shareProcessNamespace", "together with `hostPID`");
    }
}

fn resource_claims(spec: &Node, out: &mut Findings<'_>) {
    let mut seen = HashSet::new();
    for claim in structs(spec, "resourceClaims") {
        require_form(out, claim, "name", forms::dns_label);
        let name = text(claim, "name");
        if !name.is_empty() && !seen.insert(name) {
            repeated(out, claim, "name", "name");
        }
        let sources = ["resourceClaimName", "resourceClaimTemplateName"];
        if sources.iter().filter(|key| get(claim, key).is_some()).count() != 1 {
            let message = "exactly one of `resourceClaimName` and `resourceClaimTemplateName` must be set";
            out.error(code::FORBIDDEN, claim, message);
        }
        for key in sources {
            has_form_if_set(out, claim, key, forms::dns_subdomain);
        }
    }
}

/// What only holds for Linux, or for Windows.
fn operating_system(spec: &Node, out: &mut Findings<'_>) {
    let Some(os) = get(spec, "os") else { return };
    if !require(out, os, "name") {
        return;
    }
    let name = text(os, "name");
    if !matches!(name, "linux" | "windows") {
        return allowed_value(out, os.get("name").unwrap_or(os), name, &["linux", "windows"]);
    }
    let (pod, container): (&[&str], &[&str]) = if name == "linux" {
        (&["windowsOptions"], &["windowsOptions"])
    } else {
        for key in ["hostUsers", "shareProcessNamespace"] {
            forbid(out, spec, key, "for a Windows pod");
        }
        for key in ["hostPID", "hostIPC"] {
            if flag(spec, key) {
                forbid(out, spec, key, "for a Windows pod");
            }
        }
        (&security::LINUX_POD_FIELDS, &security::LINUX_CONTAINER_FIELDS)
    };
    let why = if name == "linux" { "for a Linux pod" } else { "for a Windows pod" };
    let contexts = |node: &'_ Node, keys: &[&str], out: &mut Findings<'_>| {
        if let Some(context) = get(node, "securityContext") {
            for key in keys {
                forbid(out, context, key, why);
            }
        }
    };
    contexts(spec, pod, out);
    for node in CONTAINER_LISTS.iter().flat_map(|list| structs(spec, list)) {
        contexts(node, container, out);
    }
}

/// Annotations that mean something to pods.
fn pod_annotations(metadata: Option<&Node>, spec: &Node, out: &mut Findings<'_>) {
    const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
    const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
    let Some(metadata) = metadata else { return };
    if let Some(cost) = meta::annotation(metadata, COST)
        && let Some(value) = cost.as_str()
        && (value.parse::<i32>().is_err() || value.starts_with('+') || (value.len() > 1 && value.starts_with('0')))
    {
        out.error(code::FORMAT, cost, "must be a whole number of 32 bits");
    }
    for entry in entries(metadata, "annotations") {
        let Some(container) = entry.key.strip_prefix(APPARMOR) else { continue };
        let known =
            CONTAINER_LISTS.iter().flat_map(|list| structs(spec, list)).any(|node| text(node, "name") == container);
        if !known {
            out.error(code::NOT_FOUND, entry, format!("the pod has no container `{container}`"));
        }
        let profile = entry.value.as_str().unwrap_or_default();
        if !matches!(profile, "" | "runtime/default" | "unconfined") && !profile.starts_with("localhost/") {
            out.error(code::FORMAT, &entry.value, format!("`{profile}` is not a valid AppArmor profile"));
        }
    }
}

impl<'n> Pod<'n> {
    /// The volume of this name.
    fn volume(&self, name: &str) -> Option<&'n Node> {
        self.volumes.iter().find(|(known, _)| *known == name).map(|(_, volume)| *volume)
    }

    /// Whether the pod has a volume of this name.
    fn has_volume(&self, name: &str) -> bool {
        self.claims.contains(&name) || self.volume(name).is_some()
    }

    /// The time that containers have to stop, in seconds.
    fn grace_period(&self) -> i64 {
        // A negative time is read as one second.
        int(self.spec, "terminationGracePeriodSeconds").map_or(30, |seconds| if seconds < 0 { 1 } else { seconds })
    }
}
