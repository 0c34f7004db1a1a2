//! Items of lists that server-side apply can't tell apart, which it refuses and a POST does not.
//!
//! Source of the words: `sigs.k8s.io/structured-merge-diff/v6/typed/validate.go`.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::lists::{Merge, Shape};

/// A line for each item of an applied object that has the keys of one before it.
pub fn twins(applied: &Json, shape: Shape<'_>) -> Vec<String> {
    let mut found = Vec::new();
    walk(applied, shape, "", "", &mut found);
    found
}

fn walk(value: &Json, shape: Shape<'_>, field: &str, path: &str, found: &mut Vec<String>) {
    match value {
        Json::Object(fields) if !shape.is_atomic_map(field) => {
            for (key, value) in fields {
                walk(value, shape.field(key), key, &format!("{path}.{key}"), found);
            }
        }
        Json::Array(items) => {
            let Merge::Keys(keys) = shape.merge(field, items) else { return };
            let mut seen = HashSet::new();
            for item in items {
                let element = element(item, shape.item(), &keys);
                walk(item, shape.item(), "", &format!("{path}{element}"), found);
                if !seen.insert(element.clone()) {
                    found.push(format!("{path}: duplicate entries for key {element}"));
                }
            }
        }
        _ => {}
    }
}

/// An item as paths name it: `[containerPort=8080,protocol="TCP"]`.
fn element(item: &Json, shape: Shape<'_>, keys: &[String]) -> String {
    let mut keys: Vec<_> = keys.iter().collect();
    keys.sort();
    let fields = keys.into_iter().filter_map(|key| Some(format!("{key}={}", shape.key_value(item, key)?)));
    format!("[{}]", fields.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_and_variables_that_stand_twice_are_found_in_templates() {
        let ports = json!([{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 8080}, {"containerPort": 8080, "protocol": "UDP"}]);
        let env = json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}, {"name": "B"}]);
        let containers = json!([{"name": "web", "ports": ports, "env": env, "args": ["a", "a"]}]);
        let object = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        let at = ".spec.template.spec.containers[name=\"web\"]";
        let expected = [
            format!("{at}.ports: duplicate entries for key [containerPort=8080,protocol=\"TCP\"]"),
            format!("{at}.env: duplicate entries for key [name=\"A\"]"),
        ];
        assert_eq!(twins(&object, Shape::BuiltIn), expected);
        assert!(twins(&object, Shape::Unknown).is_empty());
    }
}
