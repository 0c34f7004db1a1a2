//! Finds the references of an object, wherever they stand: pods are described in many places of custom resources.

use crate::catalog::Object;
use crate::yaml::{Entry, Node};

/// A reference to another object by its name.
#[derive(Clone, Debug)]
pub(super) struct Reference<'a> {
    /// The kind that is meant.
    pub kind: &'a str,
    /// The name that is meant.
    pub name: &'a str,
    /// Where the name stands.
    pub node: &'a Node,
    /// The keys of a ConfigMap or Secret that must be there.
    pub keys: Vec<&'a Node>,
    /// Whether the pod does without it.
    pub optional: bool,
}

/// Keys whose string names an object.
const NAMES: [(&str, &str); 5] = [
    ("serviceAccountName", "ServiceAccount"),
    ("serviceAccount", "ServiceAccount"),
    ("priorityClassName", "PriorityClass"),
    ("runtimeClassName", "RuntimeClass"),
    ("storageClassName", "StorageClass"),
];
/// Keys whose mapping names a key of an object.
const KEYS: [(&str, &str); 2] = [("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")];
/// Keys of an item of `envFrom` whose mapping names an object.
const ENVIRONMENTS: [(&str, &str); 2] = [("configMapRef", "ConfigMap"), ("secretRef", "Secret")];
/// Keys of a volume (or of a source of a projected volume), the kind, and the key of the name.
const VOLUMES: [(&str, &str, &str); 4] = [
    ("configMap", "ConfigMap", "name"),
    ("secret", "Secret", "secretName"),
    ("secret", "Secret", "name"),
    ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName"),
];
/// The label by which Kueue finds a job's queue.
const QUEUE_LABEL: &str = "kueue.x-k8s.io/queue-name";

/// Every reference of `object`, in the order of the source. Definitions of kinds, and volumes, which name the class that
/// they belong to, have none.
pub(super) fn references(object: &Object) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    if matches!(object.kind.as_str(), "CustomResourceDefinition" | "PersistentVolume") {
        return found;
    }
    if let Some(queue) = object.root.at(&["metadata", "labels", QUEUE_LABEL]) {
        push("LocalQueue", Some(queue), None, &mut found);
    }
    walk(&object.root, &mut found);
    found
}

fn walk<'a>(node: &'a Node, found: &mut Vec<Reference<'a>>) {
    for entry in node.entries() {
        of_entry(entry, found);
        walk(&entry.value, found);
    }
    node.items().for_each(|item| walk(item, found));
}

fn of_entry<'a>(entry: &'a Entry, found: &mut Vec<Reference<'a>>) {
    let (key, value) = (&*entry.key, &entry.value);
    for (_, kind) in NAMES.iter().filter(|(known, _)| *known == key) {
        push(kind, Some(value), None, found);
    }
    for (_, kind) in KEYS.iter().filter(|(known, _)| *known == key) {
        push(kind, value.get("name"), Some(value), found);
    }
    match key {
        "envFrom" => {
            for (part, kind) in ENVIRONMENTS {
                value.items().filter_map(|item| item.get(part)).for_each(|source| {
                    push(kind, source.get("name"), Some(source), found);
                });
            }
        }
        "imagePullSecrets" => value.items().for_each(|item| push("Secret", item.get("name"), None, found)),
        "volumes" => value.items().for_each(|volume| of_volume(volume, found)),
        "runtimeRef" => {
            let kind = value.get("kind").and_then(Node::as_str).unwrap_or("ClusterTrainingRuntime");
            push(kind, value.get("name"), None, found);
        }
        _ => {}
    }
}

fn of_volume<'a>(volume: &'a Node, found: &mut Vec<Reference<'a>>) {
    let projected = volume.at(&["projected", "sources"]).into_iter().flat_map(Node::items);
    for source in std::iter::once(volume).chain(projected) {
        for (part, kind, name) in VOLUMES {
            if let Some(part) = source.get(part) {
                push(kind, part.get(name), Some(part), found);
            }
        }
    }
}

/// Adds a reference if there is a name; `source` is the mapping that may say `optional` and name keys.
fn push<'a>(kind: &'a str, name: Option<&'a Node>, source: Option<&'a Node>, found: &mut Vec<Reference<'a>>) {
    let Some(node) = name else { return };
    let Some(name) = node.as_str() else { return };
    let optional = source.and_then(|source| source.get("optional")).and_then(Node::as_bool).unwrap_or(false);
    let mut keys = Vec::new();
    if let Some(source) = source {
        keys.extend(source.get("key"));
        keys.extend(source.get("items").into_iter().flat_map(Node::items).filter_map(|item| item.get("key")));
    }
    found.push(Reference { kind, name, node, keys, optional });
}
