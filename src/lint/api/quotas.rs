//! ResourceQuotas and LimitRanges.
//!
//! Source: `pkg/apis/core/validation/validation.go` of Kubernetes.

use std::collections::{BTreeMap, HashSet};

use super::forms;
use super::pod::resources;
use super::read::{entries, get, is_missing, list, quantity, strings, structs, text};
use super::report::{allowed_value, expect, forbid, repeated, require_one_of, required};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::quantity::Quantity;
use crate::yaml::{Entry, Node};

const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];
/// Scopes of which a quota may have only one.
const OPPOSITES: [(&str, &str); 2] = [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")];
/// The resources that a quota of pods counts; for best-effort pods only the first.
const OF_PODS: [&str; 7] = ["pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
const LIMIT_TYPES: [&str; 3] = ["Pod", "Container", "PersistentVolumeClaim"];

/// A ResourceQuota.
pub(super) fn resource_quota(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = get(root, "spec") else { return };
    for entry in entries(spec, "hard") {
        resources::check_known_name(entry, &[], out);
        resources::check_amount(entry, out);
    }
    let mut scopes: Vec<(&Node, &str)> = strings(spec, "scopes").collect();
    for (value, scope) in &scopes {
        allowed_value(out, value, scope, &SCOPES);
    }
    for requirement in get(spec, "scopeSelector").into_iter().flat_map(|selector| structs(selector, "matchExpressions"))
    {
        scope_requirement(requirement, out);
        scopes.push((requirement, text(requirement, "scopeName")));
    }
    for (value, scope) in &scopes {
        scope_of_resources(spec, value, scope, out);
        let clash =
            OPPOSITES.iter().find(|(first, second)| scope == second && scopes.iter().any(|(_, other)| other == first));
        if let Some((first, second)) = clash {
            out.error(code::FORBIDDEN, *value, format!("`{second}` must not be used together with `{first}`"));
        }
    }
}

fn scope_requirement(requirement: &Node, out: &mut Findings<'_>) {
    require_one_of(out, requirement, "scopeName", &SCOPES);
    require_one_of(out, requirement, "operator", &["In", "NotIn", "Exists", "DoesNotExist"]);
    let (scope, operator) = (text(requirement, "scopeName"), text(requirement, "operator"));
    let valued = matches!(scope, "PriorityClass" | "VolumeAttributesClass");
    if !valued && SCOPES.contains(&scope) && operator != "Exists" {
        let value = requirement.get("operator").unwrap_or(requirement);
        out.error(code::INVALID, value, format!("must be `Exists` for the scope `{scope}`"));
    }
    match operator {
        "In" | "NotIn" if list(requirement, "values").is_empty() => {
            required(out, requirement, "values", " when `operator` is `In` or `NotIn`");
        }
        "Exists" | "DoesNotExist" if !is_missing(requirement, "values") => {
            forbid(out, requirement, "values", "when `operator` is `Exists` or `DoesNotExist`");
        }
        _ => {}
    }
}

/// A scope narrows what the standard resources count; not all of them can be narrowed.
fn scope_of_resources(spec: &Node, value: &Node, scope: &str, out: &mut Findings<'_>) {
    let allowed: &[&str] = match scope {
        "BestEffort" => &OF_PODS[..1],
        "Terminating" | "NotTerminating" | "NotBestEffort" | "PriorityClass" | "CrossNamespacePodAffinity" => &OF_PODS,
        _ => return,
    };
    let standard = |name: &str| resources::QUOTA.contains(&name) || resources::is_huge_page(name);
    if let Some(other) = entries(spec, "hard").find(|entry| standard(&entry.key) && !allowed.contains(&&*entry.key)) {
        let message = format!("the scope `{scope}` can't be applied to `{}`", other.key);
        out.error(code::INVALID, value, message);
    }
}

/// A LimitRange.
pub(super) fn limit_range(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = get(root, "spec") else { return };
    let mut types = HashSet::new();
    for limit in structs(spec, "limits") {
        let kind = text(limit, "type");
        if is_missing(limit, "type") {
            required(out, limit, "type", "");
        } else if let Some(value) = limit.get("type").filter(|_| !kind.is_empty() && !LIMIT_TYPES.contains(&kind)) {
            if kind.contains('/') {
                expect(out, value, kind, forms::qualified_name);
            } else {
                allowed_value(out, value, kind, &LIMIT_TYPES);
            }
        }
        if !types.insert(kind) {
            repeated(out, limit, "type", "type");
        }
        limit_names(limit, kind, out);
        limit_order(limit, kind, out);
    }
}

fn limit_names(limit: &Node, kind: &str, out: &mut Findings<'_>) {
    for key in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
        if kind == "Pod" && key.starts_with("default") {
            if !is_missing(limit, key) {
                forbid(out, limit, key, "when `type` is `Pod`");
            }
            continue;
        }
        for entry in entries(limit, key) {
            if matches!(kind, "Pod" | "Container") {
                resources::check_container_name(entry, out);
            } else {
                resources::check_known_name(entry, &["storage"], out);
            }
        }
    }
    let storage = ["min", "max"].iter().any(|key| entries(limit, key).any(|entry| &*entry.key == "storage"));
    if kind == "PersistentVolumeClaim" && !storage {
        out.error(code::REQUIRED, limit, "`min` or `max` of `storage` is required");
    }
}

/// `min <= defaultRequest <= default <= max`, as far as they are set or follow from one another.
fn limit_order(limit: &Node, kind: &str, out: &mut Findings<'_>) {
    let bag = |key: &str| -> BTreeMap<&str, (&Entry, Quantity)> {
        entries(limit, key).filter_map(|entry| Some((&*entry.key, (entry, quantity(&entry.value)?)))).collect()
    };
    let (min, max, mut default, mut request) = (bag("min"), bag("max"), bag("default"), bag("defaultRequest"));
    let ratio = bag("maxLimitRequestRatio");
    if kind == "Container" {
        for (name, found) in &max {
            default.entry(name).or_insert(*found);
        }
        for (name, found) in default.iter().chain(&min) {
            request.entry(name).or_insert(*found);
        }
    }
    let bags = [("min", &min), ("defaultRequest", &request), ("default", &default), ("max", &max)];
    for (index, (low_name, lows)) in bags.iter().enumerate() {
        for (high_name, highs) in &bags[index + 1..] {
            for (name, (entry, low)) in *lows {
                if highs.get(name).is_some_and(|(_, high)| low > high) {
                    let message = format!("`{low_name}` of `{name}` is more than its `{high_name}`");
                    out.error(code::QUANTITY, &entry.value, message);
                }
            }
        }
    }
    for (name, (entry, found)) in &ratio {
        if *found < Quantity::from_units(1) {
            out.error(code::QUANTITY, &entry.value, "must be at least 1");
        }
        if let (Some((_, low)), Some((_, high))) = (min.get(name), max.get(name))
            && found.milli() > 1_000
            && low.times(u64::try_from(found.milli()).unwrap_or(0)) > high.times(1_000)
        {
            out.error(code::QUANTITY, &entry.value, "is more than `max` divided by `min`");
        }
    }
    for (name, (entry, found)) in &request {
        if !resources::may_overcommit(name) && default.get(name).is_some_and(|(_, default)| default != found) {
            out.error(code::QUANTITY, &entry.value, format!("must be equal to the `default` of `{name}`"));
        }
    }
}
