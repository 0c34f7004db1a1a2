//! Sets of fields: what a manager owns, as `managedFields` tell it (`FieldsV1`).
//!
//! Source: `sigs.k8s.io/structured-merge-diff/v6/fieldpath`. A segment is `f:name` for a field, `k:{...}` for an item of a
//! list by its keys, `v:...` for an item of a set.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::lists::{Merge, Shape};

/// A set of fields, as a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Whether the field at this place itself is in the set.
    pub own: bool,
    /// What is below it, by segment.
    pub below: BTreeMap<String, Fields>,
}

impl Fields {
    fn leaf() -> Self {
        Self { own: true, below: BTreeMap::new() }
    }

    /// The fields that an applied object sets.
    pub fn of(value: &Json, shape: Shape<'_>) -> Self {
        Self::of_field(value, shape, "")
    }

    /// As [`Fields::of`], for the value of a field.
    pub fn of_field(value: &Json, shape: Shape<'_>, name: &str) -> Self {
        match value {
            Json::Object(fields) if !fields.is_empty() && !shape.is_atomic_map(name) => {
                let below = fields
                    .iter()
                    .map(|(key, value)| (format!("f:{key}"), Self::of_field(value, shape.field(key), key)));
                Self { own: false, below: below.collect() }
            }
            Json::Array(items) if !items.is_empty() => match shape.merge(name, items) {
                Merge::Atomic => Self::leaf(),
                Merge::Set => {
                    let below = items.iter().map(|item| (format!("v:{item}"), Self::leaf()));
                    Self { own: false, below: below.collect() }
                }
                Merge::Keys(keys) => {
                    let below = items.iter().map(|item| {
                        let fields = Self::of_field(item, shape.item(), "");
                        (format!("k:{}", shape.item().identity(item, &keys)), Self { own: true, ..fields })
                    });
                    Self { own: false, below: below.collect() }
                }
            },
            _ => Self::leaf(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        !self.own && self.below.values().all(Self::is_empty)
    }

    /// What is in this set and not in the other. A field below which the other has something is in it too.
    pub fn without(&self, other: &Self) -> Self {
        let below = self.below.iter().map(|(segment, fields)| {
            let kept = other.below.get(segment).map_or_else(|| fields.clone(), |other| fields.without(other));
            (segment.clone(), kept)
        });
        Self {
            own: self.own && !other.own && other.below.is_empty(),
            below: below.filter(|(_, fields)| !fields.is_empty()).collect(),
        }
    }

    /// What is in both.
    pub fn shared(&self, other: &Self) -> Self {
        let below = self
            .below
            .iter()
            .filter_map(|(segment, fields)| Some((segment.clone(), fields.shared(other.below.get(segment)?))));
        Self { own: self.own && other.own, below: below.filter(|(_, fields)| !fields.is_empty()).collect() }
    }

    /// What is in either.
    pub fn and(mut self, other: &Self) -> Self {
        self.own |= other.own;
        for (segment, fields) in &other.below {
            let mine = self.below.remove(segment).unwrap_or_default();
            self.below.insert(segment.clone(), mine.and(fields));
        }
        self
    }

    /// Takes a field of the root away, with what is below it.
    pub fn drop_path(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else { return };
        let segment = format!("f:{first}");
        if rest.is_empty() {
            self.below.remove(&segment);
        } else if let Some(fields) = self.below.get_mut(&segment) {
            fields.drop_path(rest);
            if fields.is_empty() {
                self.below.remove(&segment);
            }
        }
    }

    /// The leaves of the set as paths: `.spec.template.spec.containers[name="main"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect(&mut String::new(), &mut found);
        found
    }

    fn collect(&self, path: &mut String, found: &mut Vec<String>) {
        if self.own {
            found.push(path.clone());
        }
        for (segment, fields) in &self.below {
            let length = path.len();
            path.push_str(&shown(segment));
            fields.collect(path, found);
            path.truncate(length);
        }
    }

    /// As `FieldsV1`.
    pub fn to_json(&self) -> Json {
        let mut map = Map::new();
        if self.own && !self.below.is_empty() {
            map.insert(".".to_owned(), Json::Object(Map::new()));
        }
        map.extend(self.below.iter().map(|(segment, fields)| (segment.clone(), fields.to_json())));
        Json::Object(map)
    }

    /// From `FieldsV1`.
    pub fn from_json(json: &Json) -> Self {
        let Some(map) = json.as_object() else { return Self::default() };
        let below: BTreeMap<_, _> = map
            .iter()
            .filter(|(segment, _)| *segment != ".")
            .map(|(segment, fields)| (segment.clone(), Self::from_json(fields)))
            .collect();
        Self { own: below.is_empty() || map.contains_key("."), below }
    }
}

/// A segment as messages write it.
fn shown(segment: &str) -> String {
    match segment.split_at_checked(2) {
        Some(("f:", name)) => format!(".{name}"),
        Some(("k:", keys)) => {
            let keys: Map<String, Json> = serde_json::from_str(keys).unwrap_or_default();
            let keys: Vec<_> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", keys.join(","))
        }
        Some(("v:", value)) => format!("[={value}]"),
        _ => segment.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Json {
        json!({"spec": {
            "containers": [{"name": "a", "image": "x", "args": ["1", "2"], "ports": [{"containerPort": 80}]}],
            "nodeSelector": {},
        }, "metadata": {"finalizers": ["f"]}})
    }

    #[test]
    fn the_fields_of_an_object_are_told_as_a_real_server_tells_them() {
        let fields = Fields::of(&pod(), Shape::BuiltIn).to_json();
        assert_eq!(
            fields,
            json!({
                "f:metadata": {"f:finalizers": {"v:\"f\"": {}}},
                "f:spec": {
                    "f:containers": {"k:{\"name\":\"a\"}": {
                        ".": {}, "f:args": {}, "f:image": {}, "f:name": {},
                        "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
                    }},
                    "f:nodeSelector": {},
                },
            })
        );
    }

    #[test]
    fn sets_survive_their_json() {
        let fields = Fields::of(&pod(), Shape::BuiltIn);
        assert_eq!(Fields::from_json(&fields.to_json()), fields);
    }

    #[test]
    fn sets_are_added_and_taken_apart() {
        let (a, b) = (json!({"x": 1, "y": {"z": 1}}), json!({"y": {"z": 2, "w": 3}}));
        let (a, b) = (Fields::of(&a, Shape::Unknown), Fields::of(&b, Shape::Unknown));
        assert_eq!(a.shared(&b).paths(), [".y.z"]);
        assert_eq!(a.without(&b).paths(), [".x"]);
        assert_eq!(a.clone().and(&b).paths(), [".x", ".y.w", ".y.z"]);
        assert!(a.without(&a).is_empty());
    }

    #[test]
    fn paths_name_items_by_their_keys() {
        let fields = Fields::of(&pod(), Shape::BuiltIn);
        assert!(fields.paths().contains(&".spec.containers[name=\"a\"].image".to_owned()));
    }
}
