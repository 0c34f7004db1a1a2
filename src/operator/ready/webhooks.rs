//! Whether the servers of a webhook configuration are there. Pure.

use serde_json::Value as Json;

use super::World;
use crate::trial::apply::request::text;

/// Certificates that stand for none: the placeholder of kubebuilder's scaffold is a line break.
const PLACEHOLDERS: [&str; 3] = ["", "Cg==", "\n"];

/// What a configuration misses; `None` if every webhook of it has a server and a certificate to know it by. One without which the
/// API server goes on (`failurePolicy: Ignore`) needs neither.
pub(super) fn missing(configuration: &Json, world: &World) -> Option<String> {
    let mut needed = webhooks(configuration).filter(|webhook| is_needed(webhook));
    needed.find_map(|webhook| {
        let (namespace, service) = service(webhook)?;
        let why = if !has_endpoints(world, namespace, service) {
            format!("Service {namespace}/{service} has no ready endpoints")
        } else if PLACEHOLDERS.contains(&text(webhook, "/clientConfig/caBundle")) {
            "no caBundle has been injected".to_owned()
        } else {
            return None;
        };
        Some(format!("webhook {}: {why}", text(webhook, "/name")))
    })
}

/// The webhooks of a configuration.
pub(super) fn webhooks(configuration: &Json) -> impl Iterator<Item = &Json> {
    configuration["webhooks"].as_array().into_iter().flatten()
}

/// Whether what a webhook guards is refused while it can't be called.
pub(super) fn is_needed(webhook: &Json) -> bool {
    text(webhook, "/failurePolicy") != "Ignore"
}

/// The namespace and the name of a webhook's Service, unless it is called by an address.
pub(super) fn service(webhook: &Json) -> Option<(&str, &str)> {
    let field = |key: &str| webhook.pointer(&format!("/clientConfig/service/{key}")).and_then(Json::as_str);
    Some((field("namespace")?, field("name")?))
}

fn has_endpoints(world: &World, namespace: &str, service: &str) -> bool {
    let slices = world
        .list("EndpointSlice", namespace)
        .filter(|slice| text(slice, "/metadata/labels/kubernetes.io~1service-name") == service);
    let mut endpoints = slices.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
    endpoints.any(|endpoint| {
        let has_address = endpoint["addresses"].as_array().is_some_and(|addresses| !addresses.is_empty());
        // What is not said is to be taken for ready.
        has_address && endpoint.pointer("/conditions/ready").and_then(Json::as_bool) != Some(false)
    })
}
