//! Deployments and their ReplicaSets (`pkg/controller/deployment`, `pkg/controller/replicaset`).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::super::action::{Action, CreatePod, Cue, Happening, pod_key};
use super::super::object::{hash, is_deleting, is_true, name, namespace, number, owner_reference, text, uid};
use super::super::pace::Delay;
use super::super::world::World;
use super::workload::{alive, pod_of, ready, set_condition, set_counts, wanted};
use crate::simulator::store::{Key, Propagation};

/// What the controllers call themselves in events.
const DEPLOYMENTS: &str = "deployment-controller";
const REPLICA_SETS: &str = "replicaset-controller";

fn key(object: &Json) -> Key {
    Key::namespaced("apps", "deployments", namespace(object), name(object))
}

/// What becomes of a Deployment.
#[must_use]
pub fn reconcile(object: &Json, cue: &Cue, world: World<'_>) -> Vec<Action> {
    if is_deleting(object) {
        return Vec::new();
    }
    let hash = hash(&object["spec"]["template"]);
    let set_name = format!("{}-{hash}", name(object));
    let sets = world.owned("apps", "replicasets", object);
    let mut status = object.get("status").filter(|status| status.is_object()).cloned().unwrap_or_else(|| json!({}));
    let Some(set) = sets.iter().find(|set| name(set) == set_name) else {
        return if is_true(object, "/spec/paused") { Vec::new() } else { begin(object, &hash, &set_name, status) };
    };
    let mut actions = scale(object, set, &sets);
    count(object, set, &sets, &mut status);
    progress(object, set, &mut status, cue, world);
    actions.push(Action::Status(key(object), status));
    actions
}

/// Makes the ReplicaSet of a new template.
fn begin(object: &Json, hash: &str, set_name: &str, mut status: Json) -> Vec<Action> {
    let replicas = wanted(object);
    let mut template = object["spec"]["template"].clone();
    let mut selector = object["spec"]["selector"].clone();
    template["metadata"]["labels"]["pod-template-hash"] = hash.into();
    selector["matchLabels"]["pod-template-hash"] = hash.into();
    let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": set_name, "namespace": namespace(object), "labels": template["metadata"]["labels"],
            "annotations": {"deployment.kubernetes.io/desired-replicas": replicas.to_string(),
                "deployment.kubernetes.io/revision": "1"},
            "ownerReferences": [owner_reference(object)]},
        "spec": {"replicas": replicas, "selector": selector, "template": template}, "status": {"replicas": 0}});
    let message = format!("Scaled up replica set {set_name} from 0 to {replicas}");
    set_condition(
        &mut status,
        "Progressing",
        "True",
        "NewReplicaSetCreated",
        &format!("Created new replica set \"{set_name}\""),
    );
    let mut actions = vec![
        Action::Create(set),
        Happening::normal(object, DEPLOYMENTS, "ScalingReplicaSet", message).into(),
        Action::Status(key(object), status),
    ];
    if let Some(seconds) = number(object, "/spec/progressDeadlineSeconds") {
        let delay = Delay::Wait(Duration::from_secs(u64::try_from(seconds).unwrap_or(600)));
        let cue = Cue::Deadline(set_name.to_owned());
        actions.push(Action::Later(delay, key(object), uid(object).to_owned(), cue));
    }
    actions
}

/// Gives the new set its size, and takes the old ones theirs once the new one is ready.
fn scale(object: &Json, set: &Json, sets: &[Arc<Json>]) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut resize = |set: &Json, replicas: usize| {
        let from = wanted(set);
        if from == replicas {
            return;
        }
        let way = if from < replicas { "up" } else { "down" };
        let message = format!("Scaled {way} replica set {} from {from} to {replicas}", name(set));
        let key = Key::namespaced("apps", "replicasets", namespace(set), name(set));
        actions.push(Action::Edit(key, Box::new(move |set| set["spec"]["replicas"] = replicas.into())));
        actions.push(Happening::normal(object, DEPLOYMENTS, "ScalingReplicaSet", message).into());
    };
    resize(set, wanted(object));
    let is_ready = number(set, "/status/availableReplicas").unwrap_or(0) >= i64::try_from(wanted(object)).unwrap_or(0);
    let recreates = text(object, "/spec/strategy/type") == "Recreate";
    for old in sets.iter().filter(|old| name(old) != name(set)) {
        if is_ready || recreates {
            resize(old, 0);
        }
    }
    actions
}

fn count(object: &Json, set: &Json, sets: &[Arc<Json>], status: &mut Json) {
    let sum = |field: &str| -> usize {
        let counts = sets.iter().filter_map(|set| number(set, &format!("/status/{field}")));
        counts.filter_map(|count| usize::try_from(count).ok()).sum()
    };
    let available = sum("availableReplicas");
    let updated = number(set, "/status/replicas").and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    status["observedGeneration"] = number(object, "/metadata/generation").unwrap_or(1).into();
    let counts = [
        ("replicas", sum("replicas")),
        ("updatedReplicas", updated),
        ("readyReplicas", sum("readyReplicas")),
        ("availableReplicas", available),
        ("unavailableReplicas", wanted(object).saturating_sub(available)),
        ("terminatingReplicas", sum("terminatingReplicas")),
    ];
    set_counts(status, &counts, &["terminatingReplicas"]);
    // At most a quarter may be missing, rounded down.
    let is_available = available >= wanted(object) - wanted(object) / 4;
    let (holds, reason, message) = if is_available {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    set_condition(status, "Available", holds, reason, message);
}

fn progress(object: &Json, set: &Json, status: &mut Json, cue: &Cue, world: World<'_>) {
    let set_name = name(set);
    let has =
        |field: &str| number(status, &format!("/{field}")).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let is_complete = has("updatedReplicas") == wanted(object) && has("availableReplicas") == wanted(object);
    let is_late = matches!(cue, Cue::Deadline(of) if of == set_name);
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let before = conditions.into_iter().find(|condition| text(condition, "/type") == "Progressing");
    let was = before.map_or("", |condition| text(condition, "/reason")).to_owned();
    if is_complete {
        let message = format!("ReplicaSet \"{set_name}\" has successfully progressed.");
        set_condition(status, "Progressing", "True", "NewReplicaSetAvailable", &message);
    } else if is_late && was != "NewReplicaSetAvailable" {
        let message = format!("ReplicaSet \"{set_name}\" has timed out progressing.");
        set_condition(status, "Progressing", "False", "ProgressDeadlineExceeded", &message);
    } else if has("replicas") > 0 && !matches!(was.as_str(), "ProgressDeadlineExceeded" | "NewReplicaSetAvailable") {
        let message = format!("ReplicaSet \"{set_name}\" is progressing.");
        set_condition(status, "Progressing", "True", "ReplicaSetUpdated", &message);
    }
    if world.is_marked(set, "refused") {
        let message = "A pod of the ReplicaSet was refused.";
        set_condition(status, "ReplicaFailure", "True", "FailedCreate", message);
    }
}

/// What becomes of a ReplicaSet, or of a ReplicationController.
#[must_use]
pub fn reconcile_set(object: &Json, key: &Key, cue: &Cue, world: World<'_>) -> Vec<Action> {
    if is_deleting(object) {
        return Vec::new();
    }
    let pods = world.pods(object);
    let alive = alive(&pods);
    let mut actions = Vec::new();
    let wanted = wanted(object);
    let turn = if let Cue::Again(turn) = cue { *turn } else { 0 };
    if turn > 0 || !world.is_marked(object, "refused") {
        for _ in alive.len()..wanted {
            let pod = pod_of(object);
            let refused = super::super::admission::refusal(&pod, world.store).is_some();
            let done = ("SuccessfulCreate", "Created pod: {}");
            actions.push(Action::CreatePod(pod, CreatePod { owner: object.clone(), by: REPLICA_SETS, done, turn }));
            if refused {
                actions.push(Action::Mark(uid(object).to_owned(), "refused".to_owned()));
                break;
            }
        }
    }
    for pod in alive.iter().skip(wanted) {
        let message = format!("Deleted pod: {}", name(pod));
        actions.push(Action::Delete(pod_key(pod), Propagation::Background));
        actions.push(Happening::normal(object, REPLICA_SETS, "SuccessfulDelete", message).into());
    }
    let mut status = object.get("status").cloned().unwrap_or_else(|| json!({}));
    let ready = ready(&alive);
    let counts = [
        ("replicas", alive.len()),
        ("fullyLabeledReplicas", alive.len()),
        ("readyReplicas", ready),
        ("availableReplicas", ready),
        ("terminatingReplicas", pods.iter().filter(|pod| is_deleting(pod)).count()),
    ];
    set_counts(&mut status, &counts, &["replicas", "terminatingReplicas"]);
    status["observedGeneration"] = number(object, "/metadata/generation").unwrap_or(1).into();
    actions.push(Action::Status(key.clone(), status));
    actions
}
