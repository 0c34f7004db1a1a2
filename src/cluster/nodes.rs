//! What the nodes of a cluster have to offer.

use std::collections::{HashMap, HashSet};

use kube::Client;
use kube::api::ListParams;
use serde_json::Value as Json;

use super::Node;
use crate::catalog::pod_request;
use crate::config::Resources;
use crate::pod_template::pod_templates;
use crate::quantity::Quantity;
use crate::trial::apply::request::{Objects, text};
use crate::trial::isolate::RUN;
use crate::yaml::{self, Span};

/// Phases in which a pod holds nothing of its node.
const ENDED: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// What is free on each node that takes pods, ours not counted: allocatable less what other pods request.
///
/// # Errors
/// The API server could not be asked, or does not let us list nodes, pods or namespaces.
pub async fn capacity(client: &Client) -> Result<Vec<Node>, kube::Error> {
    let list = |plural: &'static str, selector: ListParams| {
        let objects = Objects::core(client, plural, None);
        async move { objects.list(&selector).await }
    };
    let (nodes, pods, ours) = tokio::try_join!(
        list("nodes", ListParams::default()),
        list("pods", ListParams::default().fields(ENDED)),
        list("namespaces", ListParams::default().labels(RUN)),
    )?;
    let ours: HashSet<&str> = ours.iter().map(|namespace| text(namespace, "/metadata/name")).collect();
    Ok(free(&nodes, &pods, &ours))
}

/// What is free on `nodes`, given the `pods` of the cluster and the namespaces that are `ours`. Pure.
fn free(nodes: &[Json], pods: &[Json], ours: &HashSet<&str>) -> Vec<Node> {
    let mut used: HashMap<&str, (Resources, u64)> = HashMap::new();
    for pod in pods.iter().filter(|pod| !ours.contains(text(pod, "/metadata/namespace"))) {
        let (held, count) = used.entry(text(pod, "/spec/nodeName")).or_default();
        let request = request(pod);
        *held = Resources { cpu: held.cpu.plus(request.cpu), memory: held.memory.plus(request.memory) };
        *count += 1;
    }
    let takes_pods = nodes.iter().filter(|node| takes_pods(node));
    takes_pods
        .map(|node| {
            let name = text(node, "/metadata/name");
            let (held, count) = used.get(name).copied().unwrap_or_default();
            let milli = allocatable(node, "cpu").milli().saturating_sub(held.cpu.milli()).max(0);
            let bytes = allocatable(node, "memory").units().saturating_sub(held.memory.units()).max(0);
            Node {
                name: name.to_owned(),
                cpu: Quantity::parse(&format!("{milli}m")).unwrap_or_default(),
                memory: Quantity::from_units(bytes),
                pods: u64::try_from(allocatable(node, "pods").units()).unwrap_or(0).saturating_sub(count),
            }
        })
        .collect()
}

/// Whether pods without tolerations go there: ready, not cordoned, not tainted.
fn takes_pods(node: &Json) -> bool {
    let list = |pointer: &str| node.pointer(pointer).and_then(Json::as_array).into_iter().flatten();
    let ready = list("/status/conditions")
        .any(|condition| text(condition, "/type") == "Ready" && text(condition, "/status") == "True");
    let tainted = list("/spec/taints").any(|taint| ["NoSchedule", "NoExecute"].contains(&text(taint, "/effect")));
    ready && !tainted && node["spec"]["unschedulable"] != Json::Bool(true)
}

fn allocatable(node: &Json, resource: &str) -> Quantity {
    Quantity::parse(text(node, &format!("/status/allocatable/{resource}"))).unwrap_or_default()
}

/// What the scheduler reserves for a pod.
fn request(pod: &Json) -> Resources {
    let node = yaml::Node::from_json(pod, Span::default());
    pod_templates(&node).first().map(pod_request).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, more: &Json) -> Json {
        let mut node = json!({"metadata": {"name": name}, "spec": {}, "status": {"allocatable": {"cpu": "2", "memory": "1Gi", "pods": "10"},
            "conditions": [{"type": "Ready", "status": "True"}]}});
        for (key, value) in more.as_object().unwrap() {
            node[key] = value.clone();
        }
        node
    }

    fn pod(namespace: &str, node: &str) -> Json {
        json!({"metadata": {"namespace": namespace}, "spec": {"nodeName": node,
            "containers": [{"resources": {"requests": {"cpu": "250m", "memory": "24Mi"}}}]}})
    }

    #[test]
    fn pods_of_others_take_room_and_ours_do_not() {
        let pods = [pod("kube-system", "a"), pod("kube-system", "a"), pod("ev-x", "a"), pod("other", "")];
        let found = free(&[node("a", &json!({}))], &pods, &HashSet::from(["ev-x"]));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].cpu.milli(), found[0].memory.units(), found[0].pods), (1_500, (1024 - 48) << 20, 8));
    }

    #[test]
    fn nodes_that_take_no_pods_do_not_count() {
        let nodes = [
            node("cordoned", &json!({"spec": {"unschedulable": true}})),
            node(
                "control-plane",
                &json!({"spec": {"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]}}),
            ),
            node("down", &json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}})),
            node("good", &json!({"spec": {"taints": [{"key": "x", "effect": "PreferNoSchedule"}]}})),
        ];
        let names: Vec<_> = free(&nodes, &[], &HashSet::new()).into_iter().map(|node| node.name).collect();
        assert_eq!(names, ["good"]);
    }
}
