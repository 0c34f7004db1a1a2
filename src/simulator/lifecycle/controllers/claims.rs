//! PersistentVolumeClaims and their volumes (`pkg/controller/volume/persistentvolume`).

use serde_json::{Value as Json, json};

use super::super::action::{Action, Cue, Happening};
use super::super::object::{has_ended, is_deleting, list, name, namespace, text, uid};
use super::super::pace::{Delay, Step};
use super::super::world::World;
use crate::simulator::store::Key;

/// What the controller calls itself in events.
const CONTROLLER: &str = "persistentvolume-controller";

/// What becomes of a claim.
#[must_use]
pub fn reconcile(claim: &Json, cue: &Cue, world: World<'_>) -> Vec<Action> {
    let key = Key::namespaced("", "persistentvolumeclaims", namespace(claim), name(claim));
    let user = user(claim, world);
    if is_deleting(claim) {
        // Whoever uses it keeps it.
        let release = |claim: &mut Json| {
            if let Some(finalizers) = claim["metadata"]["finalizers"].as_array_mut() {
                finalizers.retain(|finalizer| finalizer != "kubernetes.io/pvc-protection");
            }
        };
        return if user.is_none() { vec![Action::Edit(key, Box::new(release))] } else { Vec::new() };
    }
    if text(claim, "/status/phase") == "Bound" {
        return Vec::new();
    }
    let volume = text(claim, "/spec/volumeName");
    if let Some(found) = fitting(claim, volume, world) {
        return bind(claim, key, name(&found));
    }
    let class = text(claim, "/spec/storageClassName");
    let Some(found) = world.store.get(&Key::cluster("storage.k8s.io", "storageclasses", class)) else {
        let (reason, why) = match class {
            "" => (
                "FailedBinding",
                "no persistent volumes available for this claim and no storage class is set".to_owned(),
            ),
            _ => ("ProvisioningFailed", format!("storageclass.storage.k8s.io \"{class}\" not found")),
        };
        return once(claim, reason, why, reason == "ProvisioningFailed", world);
    };
    let waits = text(&found, "/volumeBindingMode") == "WaitForFirstConsumer";
    match user {
        None if waits => {
            let why = "waiting for first consumer to be created before binding".to_owned();
            once(claim, "WaitForFirstConsumer", why, false, world)
        }
        _ if world.options.provisions => provision(claim, key, cue),
        Some(pod) => {
            let why = format!("waiting for pod {pod} to be scheduled");
            let reason = "WaitForPodScheduled";
            let mut actions = once(
                claim,
                "WaitForFirstConsumer",
                "waiting for first consumer to be created before binding".to_owned(),
                false,
                world,
            );
            actions.extend(once(claim, reason, why, false, world));
            actions
        }
        None => Vec::new(),
    }
}

/// A pod that uses the claim.
fn user(claim: &Json, world: World<'_>) -> Option<String> {
    let uses = |pod: &Json| {
        let volumes = list(pod, "/spec/volumes").iter();
        !has_ended(pod)
            && volumes.into_iter().any(|volume| text(volume, "/persistentVolumeClaim/claimName") == name(claim))
    };
    world.list("", "pods", namespace(claim)).iter().find(|pod| uses(pod)).map(|pod| name(pod).to_owned())
}

/// A volume that is there, free, of the claim's class, or named by it.
fn fitting(claim: &Json, named: &str, world: World<'_>) -> Option<std::sync::Arc<Json>> {
    let (volumes, _) = world.store.list("", "persistentvolumes", None);
    volumes.into_iter().find(|volume| {
        let owner = text(volume, "/spec/claimRef/name");
        let is_free =
            owner.is_empty() || (owner == name(claim) && text(volume, "/spec/claimRef/namespace") == namespace(claim));
        let is_meant = if named.is_empty() {
            text(volume, "/spec/storageClassName") == text(claim, "/spec/storageClassName")
        } else {
            name(volume) == named
        };
        is_free && is_meant
    })
}

fn bind(claim: &Json, key: Key, volume: &str) -> Vec<Action> {
    let reference = json!({"kind": "PersistentVolumeClaim", "namespace": namespace(claim), "name": name(claim),
        "uid": uid(claim), "apiVersion": "v1"});
    let own = volume.to_owned();
    let take = move |object: &mut Json| {
        object["spec"]["claimRef"] = reference;
        object["status"]["phase"] = "Bound".into();
    };
    let bound = move |claim: &mut Json| {
        claim["spec"]["volumeName"] = own.into();
        let amount = claim.pointer("/spec/resources/requests").cloned().unwrap_or_default();
        let modes = claim.pointer("/spec/accessModes").cloned().unwrap_or_default();
        claim["status"] = json!({"phase": "Bound", "accessModes": modes, "capacity": amount});
    };
    vec![
        Action::Edit(Key::cluster("", "persistentvolumes", volume), Box::new(take)),
        Action::Edit(key, Box::new(bound)),
    ]
}

/// Makes a volume as the class `standard` does.
fn provision(claim: &Json, key: Key, cue: &Cue) -> Vec<Action> {
    let volume = format!("pvc-{}", uid(claim));
    if !matches!(cue, Cue::Again(_)) {
        return vec![Action::Later(Delay::Step(Step::Pull), key, uid(claim).to_owned(), Cue::Again(0))];
    }
    let object = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume},
        "spec": {"capacity": claim.pointer("/spec/resources/requests").cloned().unwrap_or_default(),
            "accessModes": claim.pointer("/spec/accessModes").cloned().unwrap_or_default(),
            "persistentVolumeReclaimPolicy": "Delete", "storageClassName": text(claim, "/spec/storageClassName"),
            "volumeMode": "Filesystem", "hostPath": {"path": format!("/var/local-path-provisioner/{volume}")}},
        "status": {"phase": "Available"}});
    let message = format!("Successfully provisioned volume {volume}");
    let mut actions = vec![Action::Create(object)];
    actions.extend(bind(claim, key, &volume));
    actions.push(Happening::normal(claim, "rancher.io/local-path", "ProvisioningSucceeded", message).into());
    actions
}

/// Takes back the volume of a claim that is gone.
#[must_use]
pub fn reclaim(volume: &Json, world: World<'_>) -> Vec<Action> {
    let owner = text(volume, "/spec/claimRef/uid");
    if owner.is_empty() || is_deleting(volume) {
        return Vec::new();
    }
    let claim = Key::namespaced(
        "",
        "persistentvolumeclaims",
        text(volume, "/spec/claimRef/namespace"),
        text(volume, "/spec/claimRef/name"),
    );
    if world.store.get(&claim).is_some_and(|claim| uid(&claim) == owner) {
        return Vec::new();
    }
    let key = Key::cluster("", "persistentvolumes", name(volume));
    match text(volume, "/spec/persistentVolumeReclaimPolicy") {
        "Delete" => vec![Action::Delete(key, crate::simulator::store::Propagation::Background)],
        _ => vec![Action::Edit(key, Box::new(|volume| volume["status"]["phase"] = "Released".into()))],
    }
}

/// Tells of something once for each claim.
fn once(claim: &Json, reason: &str, why: String, warning: bool, world: World<'_>) -> Vec<Action> {
    let mark = format!("told {reason} {why}");
    if world.is_marked(claim, &mark) {
        return Vec::new();
    }
    let mut happening = Happening::normal(claim, CONTROLLER, reason, why);
    happening.warning = warning;
    vec![Action::Mark(uid(claim).to_owned(), mark), happening.into()]
}
