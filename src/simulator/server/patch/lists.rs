//! How lists are merged: by keys, as sets, or not at all.
//!
//! Custom resources say it in their schema (`x-kubernetes-list-type`); of Kubernetes' own kinds it is in a table.
//! Source: the markers `+listType`, `+listMapKey`, `+patchMergeKey` of `k8s.io/api` v1.36.

use serde_json::Value as Json;

/// How a list is merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merge {
    /// It is replaced as a whole.
    Atomic,
    /// Its items are told apart by these fields.
    Keys(Vec<String>),
    /// Its items are values, each once.
    Set,
}

/// What is known of the value at hand: its schema, if it is (part of) a custom resource.
#[derive(Clone, Copy, Debug)]
pub enum Shape<'a> {
    /// Part of a built-in kind, or metadata.
    BuiltIn,
    /// Part of a custom resource.
    Schema(&'a Json),
    /// Part of a custom resource that its schema says nothing of.
    Unknown,
}

/// Lists of built-in kinds that are merged: the field, the key, and a further key that server-side apply looks at; empty for
/// none.
const LISTS: &[(&str, &str, &str)] = &[
    ("addresses", "type", ""),
    ("conditions", "type", ""),
    ("containers", "name", ""),
    ("containerStatuses", "name", ""),
    ("env", "name", ""),
    ("ephemeralContainers", "name", ""),
    ("hostAliases", "ip", ""),
    ("imagePullSecrets", "name", ""),
    ("initContainers", "name", ""),
    ("initContainerStatuses", "name", ""),
    ("matchConditions", "name", ""),
    ("ownerReferences", "uid", ""),
    ("podIPs", "ip", ""),
    ("ports", "containerPort", "protocol"),
    ("ports", "port", "protocol"),
    ("resizePolicy", "resourceName", ""),
    ("resourceClaims", "name", ""),
    ("schedulingGates", "name", ""),
    ("secrets", "name", ""),
    ("topologySpreadConstraints", "topologyKey", "whenUnsatisfiable"),
    ("validations", "expression", ""),
    ("variables", "name", ""),
    ("volumeDevices", "devicePath", ""),
    ("volumeMounts", "mountPath", ""),
    ("volumes", "name", ""),
    ("webhooks", "name", ""),
];

/// Maps of built-in kinds that are replaced as a whole.
const ATOMIC_MAPS: [&str; 9] = [
    "configMapKeyRef",
    "fieldRef",
    "labelSelector",
    "nodeSelectorTerms",
    "resourceFieldRef",
    "roleRef",
    "secretKeyRef",
    "secretRef",
    "selector",
];

impl Shape<'_> {
    /// What is known of a field of a map.
    pub fn field(self, name: &str) -> Self {
        match self {
            Self::Schema(schema) => {
                if name == "metadata"
                    && schema.get("properties").is_none_or(|known| known["metadata"].get("properties").is_none())
                {
                    return Self::BuiltIn;
                }
                let known = schema.pointer("/properties").and_then(|known| known.get(name));
                let known = known.or_else(|| schema.get("additionalProperties").filter(|known| known.is_object()));
                known.map_or(Self::Unknown, Self::Schema)
            }
            Self::BuiltIn => Self::BuiltIn,
            Self::Unknown => Self::Unknown,
        }
    }

    /// What is known of the items of a list.
    pub fn item(self) -> Self {
        match self {
            Self::Schema(schema) => schema.get("items").map_or(Self::Unknown, Self::Schema),
            other => other,
        }
    }

    /// Whether a map that is the value of `field` is replaced as a whole.
    pub fn is_atomic_map(self, field: &str) -> bool {
        match self {
            Self::BuiltIn => ATOMIC_MAPS.contains(&field),
            Self::Schema(schema) => schema["x-kubernetes-map-type"] == "atomic",
            Self::Unknown => false,
        }
    }

    /// How a list that is the value of `field` is merged.
    pub fn merge(self, field: &str, items: &[Json]) -> Merge {
        match self {
            Self::Schema(schema) => match schema["x-kubernetes-list-type"].as_str() {
                Some("map") => {
                    let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
                    Merge::Keys(keys.filter_map(Json::as_str).map(str::to_owned).collect())
                }
                Some("set") => Merge::Set,
                _ => Merge::Atomic,
            },
            Self::BuiltIn if field == "finalizers" => Merge::Set,
            Self::BuiltIn => {
                let fits = |key: &str| items.iter().all(|item| item.get(key).is_some());
                let known = LISTS.iter().find(|(name, key, _)| *name == field && fits(key));
                known.map_or(Merge::Atomic, |(_, key, more)| {
                    let keys = [*key, *more].into_iter().filter(|key| !key.is_empty());
                    Merge::Keys(keys.map(str::to_owned).collect())
                })
            }
            Self::Unknown => Merge::Atomic,
        }
    }

    /// The value of an item's key; what stands for it where the item has none.
    pub fn key_value(self, item: &Json, key: &str) -> Option<Json> {
        if let Some(value) = item.get(key) {
            return Some(value.clone());
        }
        match self {
            Self::Schema(schema) => schema.pointer(&format!("/properties/{key}/default")).cloned(),
            Self::BuiltIn if key == "protocol" => Some("TCP".into()),
            _ => None,
        }
    }

    /// The keys of an item with their values, as JSON text, in the order of the alphabet: what field sets call it.
    pub fn identity(self, item: &Json, keys: &[String]) -> String {
        let mut keys: Vec<_> = keys.iter().collect();
        keys.sort();
        let fields: serde_json::Map<String, Json> =
            keys.into_iter().filter_map(|key| Some((key.clone(), self.key_value(item, key)?))).collect();
        Json::Object(fields).to_string()
    }
}
