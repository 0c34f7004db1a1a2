//! Which pods are the operator's. Pure.

use serde_json::Value as Json;

use super::super::ready::{Expected, World};
use crate::trial::apply::request::text;

/// Whether a pod is selected by one of the workloads that are expected, as they are seen.
pub(super) fn is_of_operator(pod: &Json, world: &World, expected: &Expected) -> bool {
    let namespace = text(pod, "/metadata/namespace");
    let here = expected.workloads.iter().filter(|workload| workload.namespace.as_deref() == Some(namespace));
    let mut selectors = here.filter_map(|workload| world.get(workload)?.pointer("/spec/selector"));
    selectors.any(|selector| selects(selector, &pod["metadata"]["labels"]))
}

/// Whether labels have what a selector (`matchLabels`, `matchExpressions`) asks for; one that asks for nothing selects nothing.
fn selects(selector: &Json, labels: &Json) -> bool {
    let label = |key: &str| labels.get(key).and_then(Json::as_str);
    let equal = || selector["matchLabels"].as_object().into_iter().flatten();
    let expressions = || selector["matchExpressions"].as_array().into_iter().flatten();
    let meets = |expression: &Json| {
        let value = label(text(expression, "/key"));
        let mut listed = expression["values"].as_array().into_iter().flatten();
        match text(expression, "/operator") {
            "In" => value.is_some() && listed.any(|listed| listed.as_str() == value),
            "NotIn" => !listed.any(|listed| listed.as_str() == value),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    };
    equal().count() + expressions().count() > 0
        && equal().all(|(key, value)| label(key) == value.as_str())
        && expressions().all(meets)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_selector_is_met_by_labels_that_have_all_that_it_asks_for() {
        let labels = json!({"app": "op", "tier": "a"});
        let expression = |operator: &str, values: &Json| json!({"matchExpressions": [{"key": "tier", "operator": operator, "values": values}]});
        for (selector, expected) in [
            (json!({}), false),
            (json!({"matchLabels": {"app": "op"}}), true),
            (json!({"matchLabels": {"app": "op", "tier": "b"}}), false),
            (expression("In", &json!(["a", "b"])), true),
            (expression("NotIn", &json!(["a"])), false),
            (expression("Exists", &json!(null)), true),
            (expression("DoesNotExist", &json!(null)), false),
        ] {
            assert_eq!(selects(&selector, &labels), expected, "{selector}");
        }
    }
}
