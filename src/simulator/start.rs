//! Starting and stopping a simulator.

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::faults::{Faults, Mischief};
use super::lifecycle::{self, Lifecycle};
use super::server::usage::Measuring;
use super::server::{Admission, Server};
use super::store::Store;
use crate::error::{Error, Result};

/// How a simulator is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port on loopback; 0 for any that is free.
    pub port: u16,
    /// What goes wrong from the start.
    pub faults: Faults,
    /// The Kubernetes version that it claims to be.
    pub kubernetes: String,
    /// Whether it has a metrics server.
    pub metrics_server: bool,
    /// What lives in it, and how fast.
    pub lifecycle: lifecycle::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            faults: Faults::default(),
            kubernetes: "v1.36.2".to_owned(),
            metrics_server: false,
            lifecycle: lifecycle::Options::default(),
        }
    }
}

/// What the lifecycle says of new objects.
const ADMISSION: Admission =
    Admission { complete: lifecycle::admission::complete, refusal: lifecycle::admission::refusal };

/// A running simulator. It ends when it is dropped, or in order with [`Simulator::shutdown`].
#[derive(Debug)]
pub struct Simulator {
    server: Arc<Server>,
    serving: JoinHandle<std::io::Result<()>>,
    _lifecycle: Lifecycle,
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
        let measuring = Measuring::of(&options);
        let lifecycle = lifecycle::start(store.clone(), options.lifecycle);
        let faults = Mischief::new(options.faults);
        let stores = (store, lifecycle.counters());
        let mut server = Server::new(stores, faults, options.kubernetes, address.to_string(), ADMISSION);
        server.measuring = measuring;
        let server = Arc::new(server);
        let serving = tokio::spawn(Arc::clone(&server).serve(listener));
        Ok(Self { server, serving, _lifecycle: lifecycle })
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
