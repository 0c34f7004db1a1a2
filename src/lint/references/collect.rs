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
    /// What it is for.
    pub purpose: Purpose,
}

/// What an object is referred to for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The pods can't do without it.
    Use,
    /// Credentials of a registry, without which the kubelet pulls anonymously.
    Pull,
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
    let replaced = replaced_claims(object);
    found.retain(|reference| !replaced.iter().any(|node| std::ptr::eq(*node, reference.node)));
    found
}

/// The names of claims in volumes of a StatefulSet that its controller replaces: it puts the claim of a template in the place
/// of the volume of the same name.
fn replaced_claims(object: &Object) -> Vec<&Node> {
    if object.kind != "StatefulSet" {
        return Vec::new();
    }
    let items = |path: &[&str]| object.root.at(path).into_iter().flat_map(Node::items);
    let templates: Vec<_> = items(&["spec", "volumeClaimTemplates"])
        .filter_map(|claim| claim.at(&["metadata", "name"])?.as_str())
        .collect();
    let volumes = items(&["spec", "template", "spec", "volumes"]);
    volumes
        .filter(|volume| volume.get("name").and_then(Node::as_str).is_some_and(|name| templates.contains(&name)))
        .filter_map(|volume| volume.at(&["persistentVolumeClaim", "claimName"]))
        .collect()
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
        "imagePullSecrets" => {
            let before = found.len();
            value.items().for_each(|item| push("Secret", item.get("name"), None, found));
            found[before..].iter_mut().for_each(|reference| reference.purpose = Purpose::Pull);
        }
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
    found.push(Reference { kind, name, node, keys, optional, purpose: Purpose::Use });
}
