//! The simulator as its clients see it: against what a real API server answered, and with real clients.

#![expect(clippy::unwrap_used, reason = "what can't be set up is a failure of the test")]

mod clients;
mod faults;
mod kubectl;
mod logs;
mod protocol;
mod service_proxy;

use std::path::{Path, PathBuf};
use std::time::Duration;

use example_validator::simulator::store::Key;
use example_validator::simulator::{Options, Simulator};
use serde_json::{Value as Json, json};

/// A file or folder of the recordings; `None`, said aloud, if it is not there.
fn shared(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    if found.exists() {
        return Some(found);
    }
    println!("skipped: {path} is not there");
    None
}

async fn simulator() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

/// A client of the simulator.
fn client(simulator: &Simulator) -> kube::Client {
    kube::Client::try_from(kube::Config::new(simulator.url().parse().unwrap())).unwrap()
}

/// A namespace that has all that the controllers put into each.
async fn namespace(simulator: &Simulator, name: &str) {
    let store = simulator.store();
    store.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).unwrap();
    let own = [("serviceaccounts", "default"), ("configmaps", "kube-root-ca.crt")];
    let is_whole = || own.iter().all(|(plural, own)| store.get(&Key::namespaced("", plural, name, own)).is_some());
    for _ in 0..1000 {
        if is_whole() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody furnished the namespace {name}");
}

fn config_map(namespace: &str, name: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": {"a": "b"}})
}

/// A definition of `things.example.com` with one field that has a default.
fn definition() -> Json {
    let version = |name: &str| {
        json!({
            "name": name, "served": true, "storage": name == "v1", "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "required": ["size"], "properties": {
                    "size": {"type": "integer", "minimum": 1},
                    "color": {"type": "string", "default": "red"},
                }},
                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            }}},
        })
    };
    let versions = ["v1", "v1beta1"].map(version);
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing", "shortNames": ["th"]},
            "versions": versions,
        },
    })
}
