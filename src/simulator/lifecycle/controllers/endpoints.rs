//! EndpointSlices of Services (`pkg/controller/endpointslice`), and what the certificate rotator of an operator does for its webhooks
//! once their server runs (recorded: `operator-startup.jsonl`): it fills the Secret that its pods mount, and injects the CA.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::super::action::Action;
use super::super::object::{has_ended, is_deleting, is_ready, list, name, namespace, owner_reference, selects, text};
use super::super::world::World;
use crate::simulator::store::Key;

/// What stands for certificates, in base64.
const SIMULATED: &str = "c2ltdWxhdGVkLWNlcnRpZmljYXRlCg==";

/// Certificates that stand for none: the placeholder of kubebuilder's scaffold is a line break.
const PLACEHOLDERS: [&str; 2] = ["", "Cg=="];

/// Keeps the one slice of a Service. Headless ones get none: nobody in here looks names up.
#[must_use]
pub fn reconcile(service: &Json, world: World<'_>) -> Vec<Action> {
    if is_deleting(service) || text(service, "/spec/clusterIP") == "None" || !service["spec"]["selector"].is_object() {
        return Vec::new();
    }
    let pods = pods_of(service, world);
    let with_address = pods.iter().filter(|pod| !text(pod, "/status/podIP").is_empty());
    let endpoints: Json = with_address.map(|pod| endpoint(pod)).collect();
    let ports: Json = list(service, "/spec/ports").iter().map(port).collect();
    let slice_name = format!("{}-simulated", name(service));
    let key = Key::namespaced("discovery.k8s.io", "endpointslices", namespace(service), &slice_name);
    match world.store.get(&key) {
        Some(slice) if slice["endpoints"] == endpoints && slice["ports"] == ports => Vec::new(),
        Some(_) => vec![Action::Edit(
            key,
            Box::new(move |slice| {
                slice["endpoints"] = endpoints;
                slice["ports"] = ports;
            }),
        )],
        None => {
            let mut owner = owner_reference(service);
            owner["apiVersion"] = "v1".into();
            vec![Action::Create(json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {"name": slice_name, "namespace": namespace(service), "ownerReferences": [owner],
                    "labels": {"kubernetes.io/service-name": name(service),
                        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}},
                "addressType": "IPv4", "endpoints": endpoints, "ports": ports}))]
        }
    }
}

/// The pods that a Service leads to.
fn pods_of(service: &Json, world: World<'_>) -> Vec<Arc<Json>> {
    let selector = json!({"matchLabels": service["spec"]["selector"]});
    let mut pods = world.list("", "pods", namespace(service));
    pods.retain(|pod| selects(&selector, pod.pointer("/metadata/labels")) && !has_ended(pod) && !is_deleting(pod));
    pods
}

fn endpoint(pod: &Json) -> Json {
    let ready = is_ready(pod);
    json!({"addresses": [text(pod, "/status/podIP")],
        "conditions": {"ready": ready, "serving": ready, "terminating": false},
        "nodeName": text(pod, "/spec/nodeName"),
        "targetRef": {"kind": "Pod", "namespace": namespace(pod), "name": name(pod), "uid": text(pod, "/metadata/uid")}})
}

fn port(port: &Json) -> Json {
    let number = if port["targetPort"].is_number() { &port["targetPort"] } else { &port["port"] };
    let protocol = Some(text(port, "/protocol")).filter(|protocol| !protocol.is_empty()).unwrap_or("TCP");
    json!({"name": text(port, "/name"), "port": number, "protocol": protocol})
}

/// Does the rotator's part for the webhooks of a configuration whose servers run.
#[must_use]
pub fn certify(configuration: &Json, key: &Key, world: World<'_>) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut certified = Vec::new();
    for (index, webhook) in list(configuration, "/webhooks").iter().enumerate() {
        let (place, service) =
            (text(webhook, "/clientConfig/service/namespace"), text(webhook, "/clientConfig/service/name"));
        let Some(service) = world.store.get(&Key::namespaced("", "services", place, service)) else { continue };
        let pods = pods_of(&service, world);
        let runs = |pod: &Arc<Json>| text(pod, "/status/phase") == "Running";
        if PLACEHOLDERS.contains(&text(webhook, "/clientConfig/caBundle")) && pods.iter().any(runs) {
            certified.push(index);
            actions.extend(pods.iter().filter(|pod| runs(pod)).flat_map(|pod| fill(pod, world)));
        }
    }
    if !certified.is_empty() {
        let edit = move |configuration: &mut Json| {
            for index in certified {
                configuration["webhooks"][index]["clientConfig"]["caBundle"] = SIMULATED.into();
            }
        };
        actions.push(Action::Edit(key.clone(), Box::new(edit)));
    }
    actions
}

fn is_empty(secret: &Json) -> bool {
    secret["data"].as_object().is_none_or(serde_json::Map::is_empty)
}

/// Fills the empty Secrets among a pod's volumes.
fn fill(pod: &Json, world: World<'_>) -> Vec<Action> {
    let names = list(pod, "/spec/volumes").iter().map(|volume| text(volume, "/secret/secretName"));
    let keys = names.filter(|name| !name.is_empty()).map(|name| Key::namespaced("", "secrets", namespace(pod), name));
    keys.filter(|key| world.store.get(key).is_some_and(|secret| is_empty(&secret)))
        .map(|key| {
            let edit = |secret: &mut Json| {
                if is_empty(secret) {
                    secret["data"] = json!({"ca.crt": SIMULATED, "tls.crt": SIMULATED, "tls.key": SIMULATED});
                }
            };
            Action::Edit(key, Box::new(edit))
        })
        .collect()
}
