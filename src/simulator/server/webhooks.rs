//! Admission webhooks, as far as they can be called: nobody in here answers for them, so one that could be called lets everything
//! pass; one that could not refuses, in a real server's words (recorded: `protocol.json`, `operator-startup.jsonl`).

use serde_json::{Value as Json, json};

use super::request::Target;
use crate::simulator::lifecycle::selects;
use crate::simulator::store::{Key, Status, Store, text};

const PLURALS: [&str; 2] = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"];

/// Why a webhook that has to be asked can't be.
///
/// # Errors
/// 500, with what the first of them lacks.
pub fn call(store: &Store, target: &Target, operation: &str, object: &Json) -> Result<(), Status> {
    if !target.subresource.is_empty() || target.kind.group == "admissionregistration.k8s.io" {
        return Ok(());
    }
    for plural in PLURALS {
        for configuration in store.list("admissionregistration.k8s.io", plural, None).0 {
            let webhooks = configuration["webhooks"].as_array().into_iter().flatten();
            let meant = webhooks.filter(|webhook| text(webhook, "/failurePolicy") != "Ignore");
            for webhook in meant.filter(|webhook| is_meant(webhook, store, target, operation, object)) {
                if let Some(why) = missing(webhook, store) {
                    return Err(uncalled(webhook, &why));
                }
            }
        }
    }
    Ok(())
}

fn is_meant(webhook: &Json, store: &Store, target: &Target, operation: &str, object: &Json) -> bool {
    let has = |rule: &Json, key: &str, wanted: &str| {
        let mut listed = rule[key].as_array().into_iter().flatten().filter_map(Json::as_str);
        listed.any(|listed| listed == "*" || listed == wanted)
    };
    let mut rules = webhook["rules"].as_array().into_iter().flatten();
    let by_rule = rules.any(|rule| {
        has(rule, "operations", operation)
            && has(rule, "apiGroups", &target.kind.group)
            && has(rule, "apiVersions", &target.version)
            && (has(rule, "resources", &target.kind.plural) || has(rule, "resources", "*/*"))
    });
    let namespace = target.namespace.as_deref().and_then(|name| store.get(&Key::cluster("", "namespaces", name)));
    let labels = namespace.as_deref().and_then(|namespace| namespace.pointer("/metadata/labels"));
    by_rule
        && (target.namespace.is_none() || selects(&webhook["namespaceSelector"], labels))
        && selects(&webhook["objectSelector"], object.pointer("/metadata/labels"))
}

/// What a webhook's server lacks, in the words of Go's client.
fn missing(webhook: &Json, store: &Store) -> Option<String> {
    let service = &webhook["clientConfig"]["service"];
    if service.is_null() {
        return None;
    }
    let (namespace, name) = (text(service, "/namespace"), text(service, "/name"));
    let Some(found) = store.get(&Key::namespaced("", "services", namespace, name)) else {
        return Some(format!("service \"{name}\" not found"));
    };
    let slices = store.list("discovery.k8s.io", "endpointslices", Some(namespace)).0;
    let of_it = slices.iter().filter(|slice| text(slice, "/metadata/labels/kubernetes.io~1service-name") == name);
    let mut endpoints = of_it.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
    if !endpoints.any(|endpoint| endpoint.pointer("/conditions/ready") == Some(&Json::Bool(true))) {
        let address = match text(&found, "/spec/clusterIP") {
            "" => "10.96.0.10",
            address => address,
        };
        let port = service["port"].as_u64().unwrap_or(443);
        return Some(format!("dial tcp {address}:{port}: connect: connection refused"));
    }
    let has_authority = !text(webhook, "/clientConfig/caBundle").is_empty();
    let unknown = "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    (!has_authority).then(|| unknown.to_owned())
}

fn uncalled(webhook: &Json, why: &str) -> Status {
    let service = &webhook["clientConfig"]["service"];
    let (name, seconds) = (text(webhook, "/name"), webhook["timeoutSeconds"].as_u64().unwrap_or(10));
    let url = format!(
        "https://{}.{}.svc:{}{}?timeout={seconds}s",
        text(service, "/name"),
        text(service, "/namespace"),
        service["port"].as_u64().unwrap_or(443),
        text(service, "/path"),
    );
    let message = format!("failed calling webhook \"{name}\": failed to call webhook: Post \"{url}\": {why}");
    let mut status = Status::new(500, "InternalError", format!("Internal error occurred: {message}"));
    status.details = Some(Box::new(json!({"causes": [{"message": message}]})));
    status
}
