//! HorizontalPodAutoscalers.
//!
//! Source: `pkg/apis/autoscaling/validation/validation.go` of Kubernetes.

use super::forms;
use super::pod::resources;
use super::read::{entry, get, int, is_missing, list, quantity, structs, text};
use super::report::{
    forbid, in_range, one_of_if_set, positive_quantity, require, require_form, require_map, require_one_of, required,
    within,
};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::quantity::Quantity;
use crate::yaml::Node;

/// The types of metrics, each with the field that describes it.
const METRICS: [(&str, &str); 5] = [
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
    ("External", "external"),
];
/// Longest period of a policy, and longest window to settle, in seconds.
const MAX_PERIOD: i64 = 1_800;
const MAX_WINDOW: i64 = 3_600;

/// A HorizontalPodAutoscaler of `autoscaling/v1` or `v2`.
pub(super) fn check(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = require_map(out, root, "spec") else { return };
    in_range(out, spec, "minReplicas", (1, i64::MAX));
    match (int(spec, "maxReplicas"), spec.get("maxReplicas")) {
        (Some(most), Some(value)) => {
            within(out, value, most, (1, i64::MAX));
            if int(spec, "minReplicas").is_some_and(|least| least > most) {
                out.error(code::RANGE, value, "must be at least `minReplicas`");
            }
        }
        _ if get(spec, "maxReplicas").is_none() => required(out, spec, "maxReplicas", ": at least 1"),
        _ => {}
    }
    if let Some(target) = require_map(out, spec, "scaleTargetRef") {
        object_reference(target, out);
        let grouped = text(target, "apiVersion").contains('/') || text(target, "kind") == "ReplicationController";
        if !grouped && (is_missing(target, "apiVersion") || !text(target, "apiVersion").is_empty()) {
            required(out, target, "apiVersion", " with a group, as in `apps/v1`");
        }
    }
    in_range(out, spec, "targetCPUUtilizationPercentage", (1, i64::MAX));
    for metric in structs(spec, "metrics") {
        check_metric(metric, out);
    }
    let Some(behavior) = get(spec, "behavior") else { return };
    for key in ["scaleUp", "scaleDown"] {
        if let Some(rules) = get(behavior, key) {
            scaling_rules(rules, out);
        }
    }
}

fn object_reference(reference: &Node, out: &mut Findings<'_>) {
    if let Some(version) =
        get(reference, "apiVersion").filter(|_| text(reference, "apiVersion").matches('/').count() > 1)
    {
        out.error(code::FORMAT, version, "must be a group and a version, as in `apps/v1`");
    }
    require_form(out, reference, "kind", forms::path_segment);
    require_form(out, reference, "name", forms::path_segment);
}

fn check_metric(metric: &Node, out: &mut Findings<'_>) {
    let types = METRICS.map(|(name, _)| name);
    require_one_of(out, metric, "type", &types);
    let expected = METRICS.iter().find(|(name, _)| *name == text(metric, "type")).map(|(_, key)| *key);
    if let Some(key) = expected.filter(|key| get(metric, key).is_none()) {
        required(out, metric, key, &format!(" for a metric of the type `{}`", text(metric, "type")));
    }
    for (_, key) in METRICS {
        let Some(source) = get(metric, key) else { continue };
        if expected.is_some_and(|expected| expected != key) {
            forbid(out, metric, key, &format!("for a metric of the type `{}`", text(metric, "type")));
            continue;
        }
        match key {
            "object" => {
                if let Some(object) = require_map(out, source, "describedObject") {
                    object_reference(object, out);
                }
                named_metric(source, out);
            }
            "pods" | "external" => named_metric(source, out),
            "containerResource" => {
                if require(out, source, "name")
                    && let Some(name) = get(source, "name")
                {
                    resources::check_container_resource(name, name.as_str().unwrap_or("cpu"), out);
                }
                require_form(out, source, "container", forms::dns_label);
            }
            _ => drop(require(out, source, "name")),
        }
        if let Some(target) = require_map(out, source, "target") {
            check_target(target, key, out);
        }
    }
}

fn named_metric(source: &Node, out: &mut Findings<'_>) {
    if let Some(metric) = require_map(out, source, "metric") {
        require_form(out, metric, "name", forms::path_segment);
    }
}

fn check_target(target: &Node, of: &str, out: &mut Findings<'_>) {
    require_one_of(out, target, "type", &["Utilization", "Value", "AverageValue"]);
    positive_quantity(out, target, "value");
    positive_quantity(out, target, "averageValue");
    in_range(out, target, "averageUtilization", (1, i64::MAX));
    let (allowed, exclusive): (&[&str], bool) = match of {
        "object" => (&["value", "averageValue"], false),
        "external" => (&["value", "averageValue"], true),
        "pods" => (&["averageValue"], false),
        _ => (&["averageUtilization", "averageValue"], true),
    };
    let found = allowed.iter().filter(|key| get(target, key).is_some()).count();
    let names = allowed.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" or ");
    if found == 0 {
        out.error(code::REQUIRED, target, format!("{names} is required"));
    } else if exclusive && found > 1 {
        out.error(code::FORBIDDEN, target, format!("only one of {names} may be set"));
    }
}

fn scaling_rules(rules: &Node, out: &mut Findings<'_>) {
    in_range(out, rules, "stabilizationWindowSeconds", (0, MAX_WINDOW));
    one_of_if_set(out, rules, "selectPolicy", &["Max", "Min", "Disabled"]);
    tolerance(rules, out);
    if let Some(entry) = entry(rules, "policies").filter(|_| list(rules, "policies").is_empty()) {
        out.error(code::REQUIRED, entry, "at least one policy is required");
    }
    for policy in structs(rules, "policies") {
        require_one_of(out, policy, "type", &["Pods", "Percent"]);
        for (key, most) in [("value", i64::MAX), ("periodSeconds", MAX_PERIOD)] {
            match get(policy, key) {
                Some(_) => in_range(out, policy, key, (1, most)),
                None => required(out, policy, key, ": at least 1"),
            }
        }
    }
}

fn tolerance(rules: &Node, out: &mut Findings<'_>) {
    if let Some(value) = get(rules, "tolerance")
        && quantity(value).is_some_and(Quantity::is_negative)
    {
        out.error(code::QUANTITY, value, "must not be negative");
    }
}
