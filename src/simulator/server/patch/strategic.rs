//! Strategic merge patches, as `kubectl apply` sends them for Kubernetes' own kinds.
//!
//! Source: `k8s.io/apimachinery/pkg/util/strategicpatch`. Maps are merged, `null` takes a field away; lists with a merge
//! key are merged item by item, others replaced. Directives: `$patch: delete|replace|merge`, `$retainKeys`,
//! `$deleteFromPrimitiveList/F`, `$setElementOrder/F`.

use serde_json::{Map, Value as Json};

use super::lists::{Merge, Shape};

/// Patches an object.
pub fn patch(target: &mut Json, patch: &Json) {
    patch_value(target, patch, "");
}

fn patch_value(target: &mut Json, patch: &Json, name: &str) {
    match (&mut *target, patch) {
        (Json::Object(fields), Json::Object(patch)) => patch_map(fields, patch),
        (Json::Array(items), Json::Array(patch)) => patch_list(items, patch, name),
        _ => *target = without_directives(patch),
    }
}

fn patch_map(fields: &mut Map<String, Json>, patch: &Map<String, Json>) {
    match patch.get("$patch").and_then(Json::as_str) {
        Some("replace") => {
            fields.clear();
        }
        Some("delete") => {
            fields.clear();
            return;
        }
        _ => {}
    }
    if let Some(kept) = patch.get("$retainKeys").and_then(Json::as_array) {
        fields.retain(|key, _| kept.iter().any(|kept| kept == key));
    }
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Json::Array(items)), Some(gone)) = (fields.get_mut(list), value.as_array()) {
                items.retain(|item| !gone.contains(item));
            }
        } else if !key.starts_with('$') {
            patch_field(fields, key, value);
        }
    }
    for (key, order) in patch {
        if let Some(list) = key.strip_prefix("$setElementOrder/")
            && let (Some(Json::Array(items)), Some(order)) = (fields.get_mut(list), order.as_array())
        {
            set_order(items, order, list);
        }
    }
}

fn patch_field(fields: &mut Map<String, Json>, key: &str, value: &Json) {
    if value.is_null() {
        fields.shift_remove(key);
        return;
    }
    let slot = fields.entry(key).or_insert_with(|| match value {
        Json::Object(_) => Json::Object(Map::new()),
        Json::Array(_) => Json::Array(Vec::new()),
        _ => Json::Null,
    });
    patch_value(slot, value, key);
}

/// The field by which strategic patches tell the items of a list apart.
fn merge_key(name: &str, items: &[Json]) -> Option<String> {
    let is_directive = |item: &Json| item.get("$patch").is_some();
    let plain: Vec<_> = items.iter().filter(|item| !is_directive(item)).cloned().collect();
    match Shape::BuiltIn.merge(name, if plain.is_empty() { items } else { &plain }) {
        Merge::Keys(keys) => keys.into_iter().next(),
        Merge::Atomic | Merge::Set => None,
    }
}

fn patch_list(items: &mut Vec<Json>, patch: &[Json], name: &str) {
    if name == "finalizers" {
        items.extend(patch.iter().filter(|item| !items.contains(item)).cloned().collect::<Vec<_>>());
        return;
    }
    let Some(key) = merge_key(name, patch) else {
        *items = patch.iter().map(without_directives).collect();
        return;
    };
    if patch.iter().any(|item| item["$patch"] == "replace") {
        *items = patch.iter().filter(|item| item.get("$patch").is_none()).map(without_directives).collect();
        return;
    }
    for item in patch {
        let position = items.iter().position(|known| known.get(&key) == item.get(&key));
        match (position, item["$patch"] == "delete") {
            (Some(position), true) => {
                items.remove(position);
            }
            (Some(position), false) => patch_value(&mut items[position], item, ""),
            (None, true) => {}
            (None, false) => items.push(without_directives(item)),
        }
    }
}

/// Puts the items into the order of a directive; those that it does not name keep their places behind.
fn set_order(items: &mut [Json], order: &[Json], name: &str) {
    let key = merge_key(name, order);
    let same = |item: &Json, wanted: &Json| match &key {
        Some(key) => item.get(key) == wanted.get(key),
        None => item == wanted,
    };
    items.sort_by_key(|item| order.iter().position(|wanted| same(item, wanted)).unwrap_or(usize::MAX));
}

fn without_directives(value: &Json) -> Json {
    match value {
        Json::Object(fields) => {
            let kept = fields.iter().filter(|(key, value)| !key.starts_with('$') && !value.is_null());
            Json::Object(kept.map(|(key, value)| (key.clone(), without_directives(value))).collect())
        }
        Json::Array(items) => items.iter().map(without_directives).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn patched(target: &Json, with: &Json) -> Json {
        let mut target = target.clone();
        patch(&mut target, with);
        target
    }

    #[test]
    fn lists_with_a_key_are_merged_and_others_replaced() {
        let target = json!({"containers": [{"name": "a", "image": "x", "args": ["1"]}, {"name": "b"}]});
        let with = json!({"containers": [{"name": "a", "args": ["2"]}, {"name": "c"}]});
        assert_eq!(
            patched(&target, &with),
            json!({"containers": [{"name": "a", "image": "x", "args": ["2"]}, {"name": "b"}, {"name": "c"}]})
        );
    }

    #[test]
    fn directives_delete_replace_and_order() {
        let target =
            json!({"containers": [{"name": "a"}, {"name": "b"}], "m": {"x": 1, "y": 2}, "finalizers": ["p", "q"]});
        let with = json!({
            "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}],
            "containers": [{"name": "a", "$patch": "delete"}, {"name": "c"}],
            "m": {"$retainKeys": ["y"], "y": 3},
            "$deleteFromPrimitiveList/finalizers": ["p"],
        });
        assert_eq!(
            patched(&target, &with),
            json!({"containers": [{"name": "c"}, {"name": "b"}], "m": {"y": 3}, "finalizers": ["q"]})
        );
        assert_eq!(
            patched(&json!({"m": {"x": 1}}), &json!({"m": {"$patch": "replace", "y": 1}})),
            json!({"m": {"y": 1}})
        );
    }

    #[test]
    fn null_takes_a_field_away() {
        assert_eq!(
            patched(&json!({"a": 1, "b": {"c": 1, "d": 1}}), &json!({"a": null, "b": {"c": null}})),
            json!({"b": {"d": 1}})
        );
    }

    proptest! {
        #[test]
        fn a_patch_of_plain_values_is_a_merge_patch(
            target in prop::collection::btree_map("[a-d]", 0..3i64, 0..4),
            with in prop::collection::btree_map("[a-d]", prop::option::of(0..3i64), 0..4),
        ) {
            let (target, with) = (json!(target), json!(with));
            let mut merged = target.clone();
            json_patch::merge(&mut merged, &with);
            let once = patched(&target, &with);
            prop_assert_eq!(&once, &merged);
            prop_assert_eq!(patched(&once, &with), once);
        }
    }
}
