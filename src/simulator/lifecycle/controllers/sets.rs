//! StatefulSets and DaemonSets (`pkg/controller/statefulset`, `pkg/controller/daemon`).

use serde_json::{Value as Json, json};

use super::super::action::{Action, CreatePod, Cue, Happening, pod_key};
use super::super::object::{has_ended, hash, is_deleting, is_ready, list, name, namespace, number, text};
use super::super::world::World;
use super::workload::{alive, pod_of, ready, set_counts, wanted};
use crate::simulator::store::{Key, Propagation};

/// What the controllers call themselves in events.
const STATEFUL_SETS: &str = "statefulset-controller";
const DAEMON_SETS: &str = "daemonset-controller";

/// What becomes of a StatefulSet.
#[must_use]
pub fn stateful(object: &Json, cue: &Cue, world: World<'_>) -> Vec<Action> {
    if is_deleting(object) {
        return Vec::new();
    }
    let key = Key::namespaced("apps", "statefulsets", namespace(object), name(object));
    let revision = format!("{}-{}", name(object), hash(&object["spec"]["template"]));
    let pods = world.pods(object);
    let turn = if let Cue::Again(turn) = cue { *turn } else { 0 };
    let in_parallel = text(object, "/spec/podManagementPolicy") == "Parallel";
    let mut actions = Vec::new();
    for ordinal in 0..wanted(object) {
        let own = format!("{}-{ordinal}", name(object));
        match pods.iter().find(|pod| name(pod) == own) {
            None => {
                actions.extend(claims(object, ordinal));
                actions.push(create_ordinal(object, &own, ordinal, &revision, turn));
                if !in_parallel {
                    break;
                }
            }
            Some(pod) if has_ended(pod) => actions.push(Action::Delete(pod_key(pod), Propagation::Background)),
            Some(pod) if !is_ready(pod) && !in_parallel => break,
            Some(_) => {}
        }
    }
    for pod in pods.iter().filter(|pod| ordinal(pod).is_some_and(|ordinal| ordinal >= wanted(object))) {
        if !is_deleting(pod) {
            let message = format!("Delete Pod {} in StatefulSet {} successful", name(pod), name(object));
            actions.push(Action::Delete(pod_key(pod), Propagation::Background));
            actions.push(Happening::normal(object, STATEFUL_SETS, "SuccessfulDelete", message).into());
        }
    }
    let alive = alive(&pods);
    let ready = ready(&alive);
    let mut status = object.get("status").filter(|status| status.is_object()).cloned().unwrap_or_else(|| json!({}));
    status["observedGeneration"] = number(object, "/metadata/generation").unwrap_or(1).into();
    let counts = [
        ("replicas", alive.len()),
        ("readyReplicas", ready),
        ("currentReplicas", alive.len()),
        ("updatedReplicas", alive.len()),
        ("availableReplicas", ready),
    ];
    set_counts(&mut status, &counts, &["replicas", "availableReplicas"]);
    status["currentRevision"] = revision.clone().into();
    status["updateRevision"] = revision.into();
    status["collisionCount"] = 0.into();
    actions.push(Action::Status(key, status));
    actions
}

fn ordinal(pod: &Json) -> Option<usize> {
    name(pod).rsplit('-').next()?.parse().ok()
}

fn create_ordinal(object: &Json, own: &str, ordinal: usize, revision: &str, turn: u32) -> Action {
    let mut pod = pod_of(object);
    pod["metadata"]["name"] = own.into();
    for (label, value) in [
        ("apps.kubernetes.io/pod-index", ordinal.to_string()),
        ("controller-revision-hash", revision.to_owned()),
        ("statefulset.kubernetes.io/pod-name", own.to_owned()),
    ] {
        pod["metadata"]["labels"][label] = value.into();
    }
    pod["spec"]["hostname"] = own.into();
    pod["spec"]["subdomain"] = text(object, "/spec/serviceName").into();
    for claim in list(object, "/spec/volumeClaimTemplates") {
        let volume =
            json!({"name": name(claim), "persistentVolumeClaim": {"claimName": format!("{}-{own}", name(claim))}});
        match pod["spec"]["volumes"].as_array_mut() {
            Some(volumes) => volumes.push(volume),
            None => pod["spec"]["volumes"] = json!([volume]),
        }
    }
    let done = ("SuccessfulCreate", "Create Pod {} in StatefulSet {owner} successful");
    Action::CreatePod(pod, CreatePod { owner: object.clone(), by: STATEFUL_SETS, done, turn })
}

/// The claims that come with a pod of a StatefulSet.
fn claims(object: &Json, ordinal: usize) -> Vec<Action> {
    let templates = list(object, "/spec/volumeClaimTemplates").iter();
    let claim = |template: &Json| {
        let mut claim = template.clone();
        claim["apiVersion"] = "v1".into();
        claim["kind"] = "PersistentVolumeClaim".into();
        claim["metadata"]["name"] = format!("{}-{}-{ordinal}", name(template), name(object)).into();
        claim["metadata"]["namespace"] = namespace(object).into();
        Action::Create(claim)
    };
    templates.map(claim).collect()
}

/// What becomes of a DaemonSet.
#[must_use]
pub fn daemon(object: &Json, cue: &Cue, world: World<'_>) -> Vec<Action> {
    if is_deleting(object) {
        return Vec::new();
    }
    let key = Key::namespaced("apps", "daemonsets", namespace(object), name(object));
    let pods = world.pods(object);
    let (nodes, _) = world.store.list("", "nodes", None);
    let turn = if let Cue::Again(turn) = cue { *turn } else { 0 };
    let selector =
        json!({"matchLabels": object.pointer("/spec/template/spec/nodeSelector").cloned().unwrap_or_default()});
    let fits =
        |node: &&std::sync::Arc<Json>| super::super::object::selects(&selector, node.pointer("/metadata/labels"));
    let nodes: Vec<_> = nodes.iter().filter(fits).collect();
    let mut actions = Vec::new();
    let mut here = 0;
    for node in &nodes {
        let on_node = |pod: &Json| text(pod, TARGET) == name(node);
        if pods.iter().any(|pod| on_node(pod) && !has_ended(pod) && !is_deleting(pod)) {
            here += 1;
            continue;
        }
        let pod = daemon_pod(object, node);
        let done = ("SuccessfulCreate", "Created pod: {}");
        let is_refused = super::super::admission::refusal(&pod, world.store).is_some();
        here += usize::from(!is_refused);
        if is_refused && turn == 0 && world.is_marked(object, "refused") {
            continue;
        }
        if is_refused {
            actions.push(Action::Mark(super::super::object::uid(object).to_owned(), "refused".to_owned()));
        }
        actions.push(Action::CreatePod(pod, CreatePod { owner: object.clone(), by: DAEMON_SETS, done, turn }));
    }
    let ready = ready(&alive(&pods));
    let mut status = object.get("status").filter(|status| status.is_object()).cloned().unwrap_or_else(|| json!({}));
    let counts = [
        ("currentNumberScheduled", here),
        ("numberMisscheduled", 0),
        ("desiredNumberScheduled", nodes.len()),
        ("numberReady", ready),
        ("updatedNumberScheduled", here),
        ("numberAvailable", ready),
        ("numberUnavailable", nodes.len().saturating_sub(ready)),
    ];
    let always = ["currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"];
    set_counts(&mut status, &counts, &always);
    status["observedGeneration"] = number(object, "/metadata/generation").unwrap_or(1).into();
    actions.push(Action::Status(key, status));
    actions
}

/// Where a daemon's pod says which node it is for.
const TARGET: &str = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0";

fn daemon_pod(object: &Json, node: &Json) -> Json {
    let mut pod = pod_of(object);
    pod["metadata"]["labels"]["controller-revision-hash"] = hash(&object["spec"]["template"]).into();
    pod["metadata"]["labels"]["pod-template-generation"] = "1".into();
    pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!({"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name(node)]}]}]});
    pod
}
