//! What is particular to an MPIJob: a launcher that reaches its workers through `kubectl exec`.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::super::action::{Action, Cue, Happening};
use super::super::object::{list, name, namespace, owner_reference, uid};
use super::super::pace::Delay;
use super::super::world::World;
use super::Counted;
use super::replicas::Replica;
use crate::simulator::store::Key;

/// What the controller calls itself in events.
const CONTROLLER: &str = "mpijob-controller";

/// A job without a launcher gets events, and nothing else ever.
pub(super) fn refuse(job: &Json, key: &Key, cue: &Cue, world: World<'_>) -> Vec<Action> {
    let turn = match cue {
        Cue::Again(turn) => *turn,
        _ if world.is_marked(job, "refused") => return Vec::new(),
        _ => 0,
    };
    let why = "MPIJob failed validation because MPIReplicaSpec is not valid: Master ReplicaSpec must be present";
    let wait = Duration::from_millis(200 << turn.min(10));
    vec![
        Action::Mark(uid(job).to_owned(), "refused".to_owned()),
        Happening::warning(job, CONTROLLER, "MPIJobFailedValidation", why).into(),
        Action::Count(Counted::ReconcileError(CONTROLLER), job.clone()),
        Action::Later(Delay::Again(wait, turn), key.clone(), uid(job).to_owned(), Cue::Again(turn + 1)),
    ]
}

/// What the launcher needs before it is created.
pub(super) fn prepare(job: &Json, replicas: &[Replica<'_>], world: World<'_>) -> Vec<Action> {
    let config = format!("{}-config", name(job));
    if world.store.get(&Key::namespaced("", "configmaps", namespace(job), &config)).is_some() {
        return again(job, world);
    }
    let slots = super::super::object::number(job, "/spec/slotsPerWorker").unwrap_or(1);
    let workers = replicas.iter().find(|replica| replica.kind == "Worker").map_or(0, Replica::count);
    let hosts: String = (0..workers).map(|index| format!("{}-worker-{index} slots={slots}\n", name(job))).collect();
    let script = "#!/bin/sh\nset -x\nPOD_NAME=$1\nshift\n/opt/kube/kubectl exec ${POD_NAME} -- /bin/sh -c \"$*\"\n";
    let launcher = format!("{}-launcher", name(job));
    let metadata =
        |own: &str| json!({"name": own, "namespace": namespace(job), "ownerReferences": [owner_reference(job)]});
    vec![
        Action::Create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(&config),
            "data": {"hostfile": hosts, "kubexec.sh": script}})),
        Action::Create(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(&launcher)})),
        Action::Create(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": metadata(&launcher),
            "rules": [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}]})),
        Action::Create(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": metadata(&launcher),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": launcher},
            "subjects": [{"kind": "ServiceAccount", "name": launcher, "namespace": namespace(job)}]})),
    ]
}

/// The operator tells, at its second look, that everything is there; and that the launcher is, as if that were a fault.
fn again(job: &Json, world: World<'_>) -> Vec<Action> {
    if world.is_marked(job, "looked again") {
        return Vec::new();
    }
    let launcher = format!("{}-launcher", name(job));
    let mut actions = vec![Action::Mark(uid(job).to_owned(), "looked again".to_owned())];
    for what in ["ServiceAccount", "LauncherRole", "RoleBinding"] {
        let message = format!("{what}: {launcher}");
        actions.push(Happening::normal(job, CONTROLLER, &format!("{what} is exist"), message).into());
    }
    let message = format!("launcher pod created failed: pods \"{launcher}\" already exists");
    actions.push(Happening::warning(job, CONTROLLER, "MPIJobFailed", message).into());
    actions
}

/// Gives a pod what launchers and workers have.
pub(super) fn adapt(pod: &mut Json, job: &Json, replica: &Replica<'_>) {
    let spec = &mut pod["spec"];
    let config = json!({"name": "mpi-job-config", "configMap": {"name": format!("{}-config", name(job))}});
    let mount = json!({"name": "mpi-job-config", "mountPath": "/etc/mpi"});
    add(spec, "volumes", config);
    for container in spec["containers"].as_array_mut().into_iter().flatten() {
        add(container, "volumeMounts", mount.clone());
        if replica.kind == "Worker" && list(container, "/command").is_empty() && list(container, "/args").is_empty() {
            container["command"] = json!(["sleep"]);
            container["args"] = json!(["365d"]);
        }
    }
    if replica.kind == "Launcher" {
        spec["serviceAccountName"] = format!("{}-launcher", name(job)).into();
        let amounts = json!({"cpu": "100m", "ephemeral-storage": "5Gi", "memory": "512Mi"});
        add(
            spec,
            "initContainers",
            json!({"name": "kubectl-delivery", "image": "ghcr.io/kubeflow/training-v1/kubectl-delivery:latest",
                "imagePullPolicy": "IfNotPresent", "command": ["true"],
                "env": [{"name": "TARGET_DIR", "value": "/opt/kube"}, {"name": "NAMESPACE", "value": namespace(job)}],
                "resources": {"limits": amounts, "requests": amounts}}),
        );
    }
}

fn add(object: &mut Json, field: &str, item: Json) {
    match object.get_mut(field).and_then(Json::as_array_mut) {
        Some(items) => items.push(item),
        None => object[field] = json!([item]),
    }
}
