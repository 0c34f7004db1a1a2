//! What an example requests of the nodes, summed over its pods.

use super::Object;
use crate::config::Resources;
use crate::framework::Frameworks;
use crate::pod_template::{PodTemplate, pod_templates};
use crate::quantity::Quantity;
use crate::yaml::Node;

/// The sum over the pods that the objects ask for at once. A TrainJob names its resources without a pod template.
#[must_use]
pub fn requested(objects: &[Object]) -> Resources {
    let of = |resource: &str| {
        objects.iter().filter(|object| !Frameworks::is_template(object)).fold(Quantity::default(), |sum, object| {
            let pods = pod_templates(&object.root);
            let pods = pods.iter().map(|pod| of_pod(pod, resource).times(pod.replicas));
            pods.chain([of_trainer(object, resource)]).fold(sum, Quantity::plus)
        })
    };
    Resources { cpu: of("cpu"), memory: of("memory") }
}

/// What the scheduler reserves for one pod.
#[must_use]
pub fn pod_request(pod: &PodTemplate<'_>) -> Resources {
    Resources { cpu: of_pod(pod, "cpu"), memory: of_pod(pod, "memory") }
}

/// One resource of a pod: the larger of what runs at once in the end (containers and sidecars) and what
/// any init container needs beside the sidecars that started before it; the pod's own `resources` go before both, its
/// `overhead` is added. Source: Kubernetes, "Resource sharing within containers" of the sidecar documentation.
fn of_pod(pod: &PodTemplate<'_>, resource: &str) -> Quantity {
    let overhead = pod.spec.at(&["overhead", resource]).and_then(quantity).unwrap_or_default();
    if let Some(own) = amount(pod.spec.get("resources"), resource) {
        return own.plus(overhead);
    }
    let of = |container: &Node| amount(container.get("resources"), resource).unwrap_or_default();
    let (mut sidecars, mut starting) = (Quantity::default(), Quantity::default());
    for container in pod.init_containers() {
        if container.get("restartPolicy").and_then(Node::as_str) == Some("Always") {
            sidecars = sidecars.plus(of(container));
            starting = starting.max(sidecars);
        } else {
            starting = starting.max(sidecars.plus(of(container)));
        }
    }
    pod.containers().map(of).fold(sidecars, Quantity::plus).max(starting).plus(overhead)
}

/// A TrainJob's `spec.trainer.resourcesPerNode`, once a node.
fn of_trainer(object: &Object, resource: &str) -> Quantity {
    let Some(trainer) = object.root.at(&["spec", "trainer"]) else { return Quantity::default() };
    let nodes = trainer.get("numNodes").and_then(Node::as_i64).and_then(|nodes| u64::try_from(nodes).ok()).unwrap_or(1);
    amount(trainer.get("resourcesPerNode"), resource).unwrap_or_default().times(nodes)
}

/// The request, else the limit (which the API server takes for the request).
fn amount(resources: Option<&Node>, resource: &str) -> Option<Quantity> {
    ["requests", "limits"].into_iter().find_map(|key| resources?.at(&[key, resource]).and_then(quantity))
}

/// A quantity as manifests write it: a string, or a bare number. Bad or negative ones count as none; rules tell them.
fn quantity(node: &Node) -> Option<Quantity> {
    let text = match node.to_json() {
        serde_json::Value::String(text) => text,
        serde_json::Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Quantity::parse(&text).filter(|quantity| !quantity.is_negative())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::objects::objects;
    use crate::diagnostic::Source;
    use crate::yaml::parse;

    fn sum(text: &str) -> (i64, i64) {
        let (objects, _) = objects(parse(text).documents, &Source::new("a.yaml", text));
        let found = requested(&objects);
        (found.cpu.milli(), found.memory.units())
    }

    #[test]
    fn replicas_multiply_requests_and_limits_stand_in_for_them() {
        let text = "apiVersion: kubeflow.org/v1\nkind: PyTorchJob\nspec:\n  pytorchReplicaSpecs:\n    \
                    Master: {template: {spec: {containers: [{resources: {limits: {cpu: 1, memory: 1Ki}}}]}}}\n    \
                    Worker: {replicas: 3, template: {spec: {containers: [{resources: {requests: {cpu: 500m}, limits: {cpu: 9, memory: 2Ki}}}]}}}\n";
        assert_eq!(sum(text), (2_500, 7 * 1024));
    }

    #[test]
    fn init_containers_count_where_they_need_more_and_sidecars_always() {
        let text = "apiVersion: v1\nkind: Pod\nspec:\n  overhead: {cpu: 100m}\n  initContainers:\n  \
                    - {restartPolicy: Always, resources: {requests: {cpu: 1}}}\n  - {resources: {requests: {cpu: 4, memory: 1}}}\n  \
                    containers: [{resources: {requests: {cpu: 2, memory: 3}}}, {resources: {requests: {memory: 4}}}]\n";
        assert_eq!(sum(text), (5_100, 7));
    }

    #[test]
    fn a_train_job_names_its_resources_per_node_and_a_runtime_runs_nothing() {
        let train = "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: TrainJob\nspec: {trainer: {numNodes: 2, resourcesPerNode: {requests: {cpu: 3}}}}\n";
        let runtime = "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: ClusterTrainingRuntime\nspec: {template: {spec: {containers: [{resources: {requests: {cpu: 3}}}]}}}\n";
        assert_eq!(sum(train), (6_000, 0));
        assert_eq!(sum(runtime), (0, 0));
    }
}
