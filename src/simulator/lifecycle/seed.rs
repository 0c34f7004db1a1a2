//! What a new cluster has.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::Options;
use super::object::now;
use crate::simulator::store::Store;

/// A node of the simulated cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What pods may use of it, by resource: `cpu`, `memory`, `pods`, `nvidia.com/gpu`.
    pub allocatable: BTreeMap<String, String>,
    /// Its labels, besides those that every node has.
    pub labels: BTreeMap<String, String>,
}

impl Default for Node {
    fn default() -> Self {
        let allocatable = [("cpu", "32"), ("memory", "128Gi"), ("pods", "1000"), ("ephemeral-storage", "500Gi")];
        Self {
            name: "simulated-control-plane".to_owned(),
            allocatable: allocatable.map(|(what, amount)| (what.to_owned(), amount.to_owned())).into(),
            labels: BTreeMap::new(),
        }
    }
}

/// Creates what is not there yet.
pub(super) fn plant(store: &Store, options: &Options) {
    let namespaces = ["default", "kube-system", "kube-public", "kube-node-lease"].map(|name| {
        json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
    });
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "rancher.io/local-path", "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer"});
    let nodes = options.nodes.iter().map(node);
    for object in namespaces.into_iter().chain([class]).chain(nodes) {
        // What is there already stays as it is.
        drop(store.create(object));
    }
}

fn node(node: &Node) -> Json {
    let mut labels = node.labels.clone();
    for (label, value) in [
        ("kubernetes.io/hostname", node.name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", "amd64"),
        ("node-role.kubernetes.io/control-plane", ""),
    ] {
        labels.insert(label.to_owned(), value.to_owned());
    }
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": status, "lastHeartbeatTime": now(), "lastTransitionTime": now(),
            "reason": reason, "message": message})
    };
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name, "labels": labels}, "spec": {},
        "status": {"capacity": node.allocatable, "allocatable": node.allocatable,
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.2"}, {"type": "Hostname", "address": node.name}],
            "nodeInfo": {"kubeletVersion": "v1.36.2", "containerRuntimeVersion": "simulated://1", "osImage": "simulated",
                "operatingSystem": "linux", "architecture": "amd64", "kernelVersion": "simulated", "kubeProxyVersion": "",
                "machineID": "", "systemUUID": "", "bootID": ""}}})
}
