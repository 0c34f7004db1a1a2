//! Where pods may run: affinity, tolerations, topology spread.

use std::collections::HashSet;

use super::super::read::{entries, get, int, is_missing, list, strings, structs, text};
use super::super::report::{
    allowed_value, duplicate, each_has_form, expect, forbid, has_form, in_range, one_of_if_set, require, require_form,
    require_map, require_one_of, required, within,
};
use super::super::{forms, meta};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const NODE_OPERATORS: [&str; 6] = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(super) fn check(spec: &Node, out: &mut Findings<'_>) {
    if let Some(affinity) = get(spec, "affinity") {
        if let Some(node) = get(affinity, "nodeAffinity") {
            node_affinity(node, out);
        }
        for key in ["podAffinity", "podAntiAffinity"] {
            if let Some(pods) = get(affinity, key) {
                pod_affinity(pods, out);
            }
        }
    }
    tolerations(spec, out);
    topology_spread(spec, out);
}

fn node_affinity(affinity: &Node, out: &mut Findings<'_>) {
    if let Some(selector) = get(affinity, REQUIRED) {
        node_selector(selector, out);
    }
    for term in structs(affinity, PREFERRED) {
        weight(term, out);
        if let Some(preference) = get(term, "preference") {
            node_selector_term(preference, false, out);
        }
    }
}

/// Terms of which a node has to meet one.
pub(in super::super) fn node_selector(selector: &Node, out: &mut Findings<'_>) {
    if is_missing(selector, "nodeSelectorTerms") {
        required(out, selector, "nodeSelectorTerms", ": at least one term");
    }
    for term in structs(selector, "nodeSelectorTerms") {
        node_selector_term(term, true, out);
    }
}

fn node_selector_term(term: &Node, strict: bool, out: &mut Findings<'_>) {
    for requirement in structs(term, "matchExpressions") {
        require_form(out, requirement, "key", forms::qualified_name);
        let count = list(requirement, "values").len();
        match text(requirement, "operator") {
            "In" | "NotIn" if count == 0 => {
                required(out, requirement, "values", " when `operator` is `In` or `NotIn`");
            }
            "Exists" | "DoesNotExist" if count > 0 => {
                forbid(out, requirement, "values", "when `operator` is `Exists` or `DoesNotExist`");
            }
            "Gt" | "Lt" if count != 1 => {
                required(out, requirement, "values", ": exactly one when `operator` is `Gt` or `Lt`");
            }
            _ => require_operator(requirement, &NODE_OPERATORS, out),
        }
        if strict {
            each_has_form(out, requirement, "values", forms::label_value);
        }
    }
    for requirement in structs(term, "matchFields") {
        require_one_of(out, requirement, "key", &["metadata.name"]);
        require_operator(requirement, &["In", "NotIn"], out);
        if list(requirement, "values").len() != 1 {
            required(out, requirement, "values", ": exactly one for a field");
        }
        each_has_form(out, requirement, "values", forms::dns_subdomain);
    }
}

fn require_operator(requirement: &Node, allowed: &[&str], out: &mut Findings<'_>) {
    if require(out, requirement, "operator")
        && let Some(value) = get(requirement, "operator")
        && let Some(found) = value.as_str()
    {
        allowed_value(out, value, found, allowed);
    }
}

fn weight(term: &Node, out: &mut Findings<'_>) {
    match term.get("weight").filter(|value| !value.is_null()) {
        Some(_) => in_range(out, term, "weight", (1, 100)),
        None => required(out, term, "weight", ": a number between 1 and 100"),
    }
}

fn pod_affinity(affinity: &Node, out: &mut Findings<'_>) {
    for term in structs(affinity, REQUIRED) {
        pod_affinity_term(term, out);
    }
    for term in structs(affinity, PREFERRED) {
        weight(term, out);
        if let Some(term) = require_map(out, term, "podAffinityTerm") {
            pod_affinity_term(term, out);
        }
    }
}

fn pod_affinity_term(term: &Node, out: &mut Findings<'_>) {
    require_form(out, term, "topologyKey", forms::qualified_name);
    meta::selector(term, "labelSelector", out);
    meta::selector(term, "namespaceSelector", out);
    each_has_form(out, term, "namespaces", forms::dns_label);
    label_keys(term, "matchLabelKeys", true, out);
    label_keys(term, "mismatchLabelKeys", false, out);
    for (value, key) in strings(term, "matchLabelKeys") {
        if strings(term, "mismatchLabelKeys").any(|(_, other)| other == key) {
            out.error(code::FORBIDDEN, value, format!("`{key}` is also among `mismatchLabelKeys`"));
        }
    }
}

/// Keys of labels whose values are taken from the pod itself; with `apart` the selector must not ask for them too.
fn label_keys(node: &Node, list_key: &str, apart: bool, out: &mut Findings<'_>) {
    if is_missing(node, list_key) {
        return;
    }
    let Some(selector) = get(node, "labelSelector") else {
        return forbid(out, node, list_key, "without a `labelSelector`");
    };
    for (value, key) in strings(node, list_key) {
        expect(out, value, key, forms::qualified_name);
        let labelled = entries(selector, "matchLabels").any(|entry| &*entry.key == key)
            || structs(selector, "matchExpressions").any(|requirement| text(requirement, "key") == key);
        if apart && labelled {
            out.error(code::FORBIDDEN, value, format!("`{key}` is also in `labelSelector`"));
        }
    }
}

/// The tolerations of a pod or a runtime class.
pub(in super::super) fn tolerations(spec: &Node, out: &mut Findings<'_>) {
    for toleration in structs(spec, "tolerations") {
        has_form(out, toleration, "key", forms::qualified_name);
        let operator = text(toleration, "operator");
        if is_missing(toleration, "key") && operator != "Exists" {
            let anchor = get(toleration, "operator").unwrap_or(toleration);
            let message = "`operator` must be `Exists` when `key` is empty, which tolerates every taint";
            out.error(code::INVALID, anchor, message);
        }
        match operator {
            "" | "Equal" => has_form(out, toleration, "value", forms::label_value),
            "Exists" if !is_missing(toleration, "value") => {
                forbid(out, toleration, "value", "when `operator` is `Exists`");
            }
            _ => one_of_if_set(out, toleration, "operator", &["Equal", "Exists"]),
        }
        let effect = text(toleration, "effect");
        if let Some(value) = toleration.get("effect").filter(|_| !effect.is_empty()) {
            allowed_value(out, value, effect, &EFFECTS);
        }
        if get(toleration, "tolerationSeconds").is_some() && effect != "NoExecute" {
            forbid(out, toleration, "tolerationSeconds", "unless `effect` is `NoExecute`");
        }
    }
}

fn topology_spread(spec: &Node, out: &mut Findings<'_>) {
    let mut seen = HashSet::new();
    for constraint in structs(spec, "topologySpreadConstraints") {
        match int(constraint, "maxSkew") {
            Some(_) => in_range(out, constraint, "maxSkew", (1, i64::MAX)),
            None if get(constraint, "maxSkew").is_none() => required(out, constraint, "maxSkew", ": at least 1"),
            None => {}
        }
        require(out, constraint, "topologyKey");
        require_one_of(out, constraint, "whenUnsatisfiable", &["DoNotSchedule", "ScheduleAnyway"]);
        let (key, action) = (text(constraint, "topologyKey"), text(constraint, "whenUnsatisfiable"));
        if !seen.insert((key, action)) {
            duplicate(out, constraint, "pair of `topologyKey` and `whenUnsatisfiable`", &format!("{key}, {action}"));
        }
        if let (Some(value), Some(domains)) = (constraint.get("minDomains"), int(constraint, "minDomains")) {
            within(out, value, domains, (1, i64::MAX));
            if action != "DoNotSchedule" {
                forbid(out, constraint, "minDomains", "unless `whenUnsatisfiable` is `DoNotSchedule`");
            }
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            one_of_if_set(out, constraint, policy, &["Ignore", "Honor"]);
        }
        label_keys(constraint, "matchLabelKeys", true, out);
        meta::selector(constraint, "labelSelector", out);
    }
}
