//! Containers: what one must have, and what they must not share.

use std::collections::HashSet;

use super::super::forms;
use super::super::read::{flag, get, int, list, structs, text};
use super::super::report::{
    PROTOCOLS, allowed_value, duplicate, forbid, in_range, one_of, optional_port, repeated, require, require_form,
    require_map, require_one_of, required,
};
use super::{Pod, env, mounts, probe, resources, security};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];

/// All containers of a pod.
pub(super) fn check_all(pod: &Pod<'_>, out: &mut Findings<'_>) {
    if list(pod.spec, "containers").is_empty() {
        required(out, pod.spec, "containers", ": a pod needs at least one");
    }
    let mut names = HashSet::new();
    for container in structs(pod.spec, "containers") {
        check(pod, container, out);
        unique_name(container, &mut names, out);
        lifecycle_and_probes(pod, container, out);
        restart_policy(container, out);
        host_network_ports(pod, container, out);
    }
    let mut ports = HashSet::new();
    for container in structs(pod.spec, "containers") {
        unique_host_ports(container, &mut ports, out);
    }
    for container in structs(pod.spec, "initContainers") {
        check(pod, container, out);
        unique_name(container, &mut names, out);
        // Init containers run one after the other, so that each may use a port that another uses too.
        unique_host_ports(container, &mut HashSet::new(), out);
        restart_policy(container, out);
        if text(container, "restartPolicy") == "Always" {
            lifecycle_and_probes(pod, container, out);
        } else {
            for key in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
                forbid(out, container, key, "for an init container without `restartPolicy: Always`");
            }
        }
    }
}

fn check<'n>(pod: &Pod<'n>, container: &'n Node, out: &mut Findings<'_>) {
    require_form(out, container, "name", forms::dns_label);
    image(pod, container, out);
    one_of(out, container, "imagePullPolicy", &PULL_POLICIES);
    one_of(out, container, "terminationMessagePolicy", &["File", "FallbackToLogsOnError"]);
    ports(container, out);
    env::check(container, out);
    mounts::check(pod, container, out);
    if let Some(requirements) = get(container, "resources") {
        resources::check_container(pod.spec, requirements, out);
    }
    resize_policy(pod, container, out);
    if let Some(context) = get(container, "securityContext") {
        security::check_container(pod.spec, context, out);
    }
}

fn image(pod: &Pod<'_>, container: &Node, out: &mut Findings<'_>) {
    if require(out, container, "image")
        && let Some(value) = get(container, "image").filter(|_| pod.alone)
        && value.as_str().is_some_and(|image| image.trim() != image)
    {
        out.error(code::FORMAT, value, "must not start or end with white space");
    }
}

fn unique_name<'n>(container: &'n Node, names: &mut HashSet<&'n str>, out: &mut Findings<'_>) {
    let name = text(container, "name");
    if !name.is_empty() && !names.insert(name) {
        repeated(out, container, "name", "name");
    }
}

fn ports(container: &Node, out: &mut Findings<'_>) {
    let mut names = HashSet::new();
    for port in structs(container, "ports") {
        let name = text(port, "name");
        if let Some(value) = port.get("name").filter(|_| !name.is_empty()) {
            if let Some(complaint) = forms::port_name(name) {
                out.error(code::FORMAT, value, format!("`{name}` {complaint}"));
            } else if !names.insert(name) {
                duplicate(out, value, "name", name);
            }
        }
        match int(port, "containerPort") {
            Some(0) => required(out, port, "containerPort", ": a port between 1 and 65535"),
            Some(_) => in_range(out, port, "containerPort", (1, 65_535)),
            None if get(port, "containerPort").is_none() => required(out, port, "containerPort", ""),
            None => {}
        }
        optional_port(out, port, "hostPort");
        one_of(out, port, "protocol", &PROTOCOLS);
    }
}

/// Ports of the node that another container of the pod has already.
fn unique_host_ports(container: &Node, seen: &mut HashSet<String>, out: &mut Findings<'_>) {
    for port in structs(container, "ports") {
        let Some(number) = int(port, "hostPort").filter(|number| *number != 0) else { continue };
        let protocol = Some(text(port, "protocol")).filter(|name| !name.is_empty()).unwrap_or("TCP");
        let key = format!("{protocol}/{}/{number}", text(port, "hostIP"));
        if !seen.insert(key) {
            duplicate(out, port.get("hostPort").unwrap_or(port), "port of the node", &format!("{number}/{protocol}"));
        }
    }
}

/// On the node's network a container's port is the node's.
fn host_network_ports(pod: &Pod<'_>, container: &Node, out: &mut Findings<'_>) {
    if !flag(pod.spec, "hostNetwork") {
        return;
    }
    for port in structs(container, "ports") {
        let (host, own) = (int(port, "hostPort").unwrap_or(0), int(port, "containerPort").unwrap_or(0));
        if host != 0 && host != own {
            let value = port.get("hostPort").unwrap_or(port);
            out.error(code::INVALID, value, format!("must be {own}, as `containerPort`, when `hostNetwork` is true"));
        }
    }
}

fn lifecycle_and_probes(pod: &Pod<'_>, container: &Node, out: &mut Findings<'_>) {
    let grace = pod.grace_period();
    if let Some(lifecycle) = get(container, "lifecycle") {
        for key in ["postStart", "preStop"] {
            if let Some(handler) = get(lifecycle, key) {
                probe::handler(handler, grace, out);
            }
        }
        probe::stop_signal(lifecycle, get(pod.spec, "os").map(|os| text(os, "name")), out);
    }
    for key in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(found) = get(container, key) {
            probe::check(found, key, grace, out);
        }
    }
}

/// A container's own restart policy and its rules.
fn restart_policy(container: &Node, out: &mut Findings<'_>) {
    if let Some(value) = get(container, "restartPolicy")
        && let Some(found) = value.as_str()
    {
        allowed_value(out, value, found, &["Always", "OnFailure", "Never"]);
    }
    let rules = list(container, "restartPolicyRules").len();
    if rules > 0 && get(container, "restartPolicy").is_none() {
        required(out, container, "restartPolicy", " when there are `restartPolicyRules`");
    }
    if let Some(value) = container.get("restartPolicyRules").filter(|_| rules > 20) {
        out.error(code::RANGE, value, "at most 20 rules are allowed");
    }
    for rule in structs(container, "restartPolicyRules") {
        require_one_of(out, rule, "action", &["Restart", "RestartAllContainers"]);
        if let Some(codes) = require_map(out, rule, "exitCodes") {
            require_one_of(out, codes, "operator", &["In", "NotIn"]);
            if let Some(values) = codes.get("values").filter(|_| list(codes, "values").len() > 255) {
                out.error(code::RANGE, values, "at most 255 values are allowed");
            }
        }
    }
}

fn resize_policy(pod: &Pod<'_>, container: &Node, out: &mut Findings<'_>) {
    let mut seen = HashSet::new();
    for policy in structs(container, "resizePolicy") {
        let name = text(policy, "resourceName");
        if !seen.insert(name) {
            repeated(out, policy, "resourceName", "resource");
        }
        require_one_of(out, policy, "resourceName", &["cpu", "memory"]);
        require_one_of(out, policy, "restartPolicy", &["NotRequired", "RestartContainer"]);
        if text(pod.spec, "restartPolicy") == "Never" && text(policy, "restartPolicy") == "RestartContainer" {
            let message = "must be `NotRequired` when the pod's `restartPolicy` is `Never`";
            out.error(code::INVALID, policy.get("restartPolicy").unwrap_or(policy), message);
        }
    }
}
