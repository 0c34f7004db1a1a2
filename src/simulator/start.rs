//! Starting and stopping a simulator.

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::faults::{Faults, Mischief};
use super::server::Server;
use super::store::{Status, Store, now};
use crate::error::{Error, Result};

/// How a simulator is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The port on loopback; 0 for any that is free.
    pub port: u16,
    /// What goes wrong from the start.
    pub faults: Faults,
    /// How fast pods live: 1 as recorded on a real cluster, 0 without any waiting.
    pub pace: f64,
    /// The Kubernetes version that it claims to be.
    pub kubernetes: String,
    /// Its nodes.
    pub nodes: Vec<NodeSize>,
}

/// A node and what it has to offer, as quantities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSize {
    /// Its name.
    pub name: String,
    /// Cores.
    pub cpu: String,
    /// Bytes.
    pub memory: String,
    /// Pods.
    pub pods: u32,
}

impl Default for NodeSize {
    fn default() -> Self {
        Self { name: "simulated-control-plane".to_owned(), cpu: "8".to_owned(), memory: "16Gi".to_owned(), pods: 110 }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            faults: Faults::default(),
            pace: 1.0,
            kubernetes: "v1.36.2".to_owned(),
            nodes: vec![NodeSize::default()],
        }
    }
}

/// A running simulator. It ends when it is dropped, or in order with [`Simulator::shutdown`].
#[derive(Debug)]
pub struct Simulator {
    server: Arc<Server>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Simulator {
    /// Starts serving. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// A port that can't be listened on.
    pub async fn start(options: Options) -> Result<Self> {
        let failed = |error| Error::io("listen on", format!("port {}", options.port), error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let store = Store::new();
        furnish(&store, &options).map_err(|status| Error::Internal(status.message))?;
        let closing = CancellationToken::new();
        let faults = Mischief::new(options.faults);
        let server = Server::new(store, faults, options.kubernetes, address.to_string(), closing);
        let server = Arc::new(server);
        let serving = tokio::spawn(Arc::clone(&server).serve(listener));
        Ok(Self { server, serving })
    }

    /// Where it is served: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// A kubeconfig that leads here, for `kubectl` and child processes.
    #[must_use]
    pub fn kubeconfig_yaml(&self) -> String {
        let named = |kind: &str, value: &Json| json!([{"name": "simulated", kind: value}]);
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "simulated",
            "clusters": named("cluster", &json!({"server": self.url()})),
            "contexts": named("context", &json!({"cluster": "simulated", "user": "simulated"})),
            "users": named("user", &json!({})),
        });
        // JSON is YAML.
        format!("{config:#}\n")
    }

    /// What the cluster holds.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.server.store
    }

    /// What goes wrong; can be changed at any time.
    #[must_use]
    pub fn faults(&self) -> &Mischief {
        &self.server.faults
    }

    /// Ends watches and followed logs, lets running requests finish, and stops serving.
    pub async fn shutdown(mut self) {
        self.server.closing.cancel();
        // A connection that does not end by itself is cut when this is dropped.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), &mut self.serving).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.closing.cancel();
        self.serving.abort();
    }
}

/// What every cluster has from its start.
fn furnish(store: &Store, options: &Options) -> Result<(), Status> {
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        store.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))?;
    }
    for node in &options.nodes {
        store.create(node_object(node, &options.kubernetes))?;
    }
    Ok(())
}

fn node_object(node: &NodeSize, kubernetes: &str) -> Json {
    let capacity = json!({
        "cpu": node.cpu, "ephemeral-storage": "100Gi", "hugepages-1Gi": "0", "hugepages-2Mi": "0",
        "memory": node.memory, "pods": node.pods.to_string(),
    });
    let condition = |kind: &str, status: &str, reason: &str, message: &str| json!({"type": kind, "status": status, "reason": reason, "message": message, "lastHeartbeatTime": now(), "lastTransitionTime": now()});
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": {
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": node.name,
            "kubernetes.io/os": "linux",
            "node-role.kubernetes.io/control-plane": "",
        }},
        "spec": {"providerID": format!("simulated://{}", node.name)},
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
            "addresses": [
                {"type": "InternalIP", "address": Ipv4Addr::LOCALHOST.to_string()},
                {"type": "Hostname", "address": node.name},
            ],
            "nodeInfo": {
                "machineID": "simulated", "systemUUID": "simulated", "bootID": "simulated", "kernelVersion": "simulated",
                "osImage": "simulated", "containerRuntimeVersion": "simulated://1", "kubeletVersion": kubernetes,
                "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": "amd64",
            },
        },
    })
}
