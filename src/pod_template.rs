//! Where, in any object, pods are described: `spec.template` of a Job, `replicaSpecs.Worker.template` of a PyTorchJob,
//! the spec of a Pod itself.

use crate::yaml::{Node, Value};

/// A pod description inside an object.
#[derive(Clone, Debug)]
pub struct PodTemplate<'a> {
    /// The pod's spec: the mapping that has `containers`.
    pub spec: &'a Node,
    /// The pod's metadata, where it has any.
    pub metadata: Option<&'a Node>,
    /// How many such pods the object asks for at once (1 if it does not say).
    pub replicas: u64,
    /// The field path of `spec` from the object's root, `spec.pytorchReplicaSpecs.Worker.template.spec`.
    pub path: String,
    /// Whether the object is the pod itself.
    pub is_pod: bool,
}

impl<'a> PodTemplate<'a> {
    /// The containers that run side by side.
    pub fn containers(&self) -> impl Iterator<Item = &'a Node> + use<'a> {
        items(self.spec, "containers")
    }

    /// The containers that run before them; with `restartPolicy: Always` they are sidecars.
    pub fn init_containers(&self) -> impl Iterator<Item = &'a Node> + use<'a> {
        items(self.spec, "initContainers")
    }

    /// All of them, init containers first.
    pub fn all_containers(&self) -> impl Iterator<Item = &'a Node> + use<'a> {
        self.init_containers().chain(self.containers())
    }
}

fn items<'a>(spec: &'a Node, key: &str) -> std::slice::Iter<'a, Node> {
    spec.get(key).and_then(Node::as_seq).unwrap_or_default().iter()
}

/// The pod descriptions of an object, in the order of the source.
#[must_use]
pub fn pod_templates(object: &Node) -> Vec<PodTemplate<'_>> {
    let mut found = Vec::new();
    walk(object, 1, &mut Vec::new(), &mut found);
    found
}

fn walk<'a>(node: &'a Node, replicas: u64, path: &mut Vec<String>, found: &mut Vec<PodTemplate<'a>>) {
    match &node.value {
        Value::Map(mapping) => {
            let replicas = replicas.saturating_mul(copies(node));
            if let Some(spec) = mapping.get("spec")
                && spec.get("containers").is_some_and(|containers| containers.as_seq().is_some())
            {
                let mut full = path.clone();
                full.push("spec".to_owned());
                found.push(PodTemplate {
                    spec,
                    metadata: mapping.get("metadata"),
                    replicas,
                    path: full.join("."),
                    is_pod: path.is_empty(),
                });
                return;
            }
            for entry in mapping {
                path.push(entry.key.to_string());
                walk(&entry.value, replicas, path, found);
                path.pop();
            }
        }
        Value::Seq(items) => {
            for (index, item) in items.iter().enumerate() {
                let last = path.last_mut().map(|segment| {
                    let plain = segment.clone();
                    segment.push_str(&format!("[{index}]"));
                    plain
                });
                walk(item, replicas, path, found);
                if let (Some(plain), Some(segment)) = (last, path.last_mut()) {
                    *segment = plain;
                }
            }
        }
        _ => {}
    }
}

/// How many copies of what is below `node` it asks for at once: `replicas`, a Job's `parallelism` (bounded by its
/// `completions`), a TrainJob's `numNodes`, a JobSet's `replicas`.
fn copies(node: &Node) -> u64 {
    let count = |key: &str| node.get(key).and_then(Node::as_i64).and_then(|number| u64::try_from(number).ok());
    if let Some(parallelism) = count("parallelism") {
        return count("completions").map_or(parallelism, |completions| parallelism.min(completions));
    }
    count("replicas").or_else(|| count("numNodes")).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    #[test]
    fn templates_are_found_at_any_depth_with_their_replicas() {
        let text = "kind: PyTorchJob\nspec:\n  pytorchReplicaSpecs:\n    Master:\n      replicas: 1\n      template:\n        spec:\n          containers: [{name: pytorch}]\n    Worker:\n      replicas: 3\n      template:\n        spec:\n          containers: [{name: pytorch}]\n";
        let parsed = parse(text);
        let templates = pod_templates(&parsed.documents[0].root);
        let seen: Vec<_> = templates.iter().map(|template| (template.path.as_str(), template.replicas)).collect();
        assert_eq!(
            seen,
            [
                ("spec.pytorchReplicaSpecs.Master.template.spec", 1),
                ("spec.pytorchReplicaSpecs.Worker.template.spec", 3)
            ]
        );
    }

    #[test]
    fn a_pod_is_its_own_template() {
        let parsed = parse("kind: Pod\nspec: {containers: [{name: a}], initContainers: [{name: b}]}\n");
        let templates = pod_templates(&parsed.documents[0].root);
        assert!(templates[0].is_pod);
        assert_eq!(templates[0].all_containers().count(), 2);
    }

    #[test]
    fn templates_in_lists_carry_their_index() {
        let parsed = parse("spec:\n  tasks:\n  - replicas: 2\n    template: {spec: {containers: []}}\n");
        let templates = pod_templates(&parsed.documents[0].root);
        assert_eq!((templates[0].path.as_str(), templates[0].replicas), ("spec.tasks[0].template.spec", 2));
    }
}
