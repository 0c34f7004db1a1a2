//! Kubeflow Trainer v2: a TrainJob becomes a JobSet by the runtime that it names (or Jobs at once, where JobSets are not
//! served).

use serde_json::{Value as Json, json};

use super::super::action::Action;
use super::super::controllers::workload::set_condition;
use super::super::object::{condition, is_deleting, is_true, list, name, namespace, number, owner_reference, text};
use super::super::world::World;
use super::jobset;
use crate::simulator::store::Key;

/// The group of JobSets.
const JOB_SETS: &str = "jobset.x-k8s.io";

/// What becomes of a TrainJob.
#[must_use]
pub(super) fn reconcile(job: &Json, key: &Key, world: World<'_>) -> Vec<Action> {
    let is_over = ["Complete", "Failed"].iter().any(|kind| condition(job, kind) == "True");
    if is_deleting(job) || is_over {
        return Vec::new();
    }
    let suspended = is_true(job, "/spec/suspend");
    let mut status = job.get("status").filter(|status| status.is_object()).cloned().unwrap_or_else(|| json!({}));
    let mut actions = Vec::new();
    let was_suspended = condition(job, "Suspended");
    if suspended && was_suspended != "True" {
        set_condition(&mut status, "Suspended", "True", "Suspended", "TrainJob is suspended");
    } else if !suspended && was_suspended == "True" {
        set_condition(&mut status, "Suspended", "False", "Resumed", "TrainJob is resumed");
    }
    let sets = world.owned(JOB_SETS, "jobsets", job);
    let is_served = world.store.kind(JOB_SETS, "jobsets").is_some();
    match sets.first() {
        None if is_served => actions.push(Action::Create(job_set(job, world))),
        None => {
            // The set is only thought of: the TrainJob owns its Jobs.
            let mut set = job_set(job, world);
            for field in ["apiVersion", "kind", "metadata"] {
                set[field] = job[field].clone();
            }
            let jobs = world.owned("batch", "jobs", job);
            actions.extend(jobset::create_missing(&set, &jobs));
            set["status"] = jobset::status(&set, &jobs);
            follow(&set, &mut status);
        }
        Some(set) => {
            if is_true(set, "/spec/suspend") != suspended {
                let edit = move |set: &mut Json| set["spec"]["suspend"] = suspended.into();
                let key = Key::namespaced(JOB_SETS, "jobsets", namespace(set), name(set));
                actions.push(Action::Edit(key, Box::new(edit)));
            }
            follow(set, &mut status);
        }
    }
    if status.as_object().is_some_and(|status| !status.is_empty()) {
        actions.push(Action::Status(key.clone(), status));
    }
    actions
}

/// Shows what its JobSet shows.
fn follow(set: &Json, status: &mut Json) {
    let jobs = list(set, "/status/replicatedJobsStatus");
    if !jobs.is_empty() {
        status["jobsStatus"] = jobs.to_vec().into();
    }
    for (theirs, own) in [("Completed", "Complete"), ("Failed", "Failed")] {
        let conditions = list(set, "/status/conditions").iter();
        let found = conditions
            .into_iter()
            .find(|condition| text(condition, "/type") == theirs && text(condition, "/status") == "True");
        if let Some(found) = found {
            set_condition(status, own, "True", text(found, "/reason"), text(found, "/message"));
        }
    }
}

/// The JobSet of a TrainJob.
fn job_set(job: &Json, world: World<'_>) -> Json {
    let mut spec = runtime(job, world).unwrap_or_else(|| {
        json!({"replicatedJobs": [{"name": "node", "replicas": 1, "template":
            {"spec": {"template": {"spec": {"containers": [{"name": "node"}]}}}}}]})
    });
    let nodes = number(job, "/spec/trainer/numNodes").unwrap_or(1);
    for kind in spec["replicatedJobs"].as_array_mut().into_iter().flatten() {
        if text(kind, "/name") == "node" {
            fill(kind, job, nodes);
        }
        kind["groupName"] = "default".into();
    }
    spec["network"] = json!({"enableDNSHostnames": true, "publishNotReadyAddresses": true});
    spec["successPolicy"] = json!({"operator": "All"});
    spec["startupPolicy"] = json!({"startupPolicyOrder": "AnyOrder"});
    spec["suspend"] = is_true(job, "/spec/suspend").into();
    let mut metadata =
        json!({"name": name(job), "namespace": namespace(job), "ownerReferences": [owner_reference(job)]});
    for field in ["labels", "annotations"] {
        if let Some(own) = job.pointer(&format!("/spec/{field}")) {
            metadata[field] = own.clone();
        }
    }
    json!({"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "metadata": metadata, "spec": spec})
}

/// The JobSet's spec of the runtime that a TrainJob names.
fn runtime(job: &Json, world: World<'_>) -> Option<Json> {
    let own = text(job, "/spec/runtimeRef/name");
    let key = match text(job, "/spec/runtimeRef/kind") {
        "TrainingRuntime" => Key::namespaced("trainer.kubeflow.org", "trainingruntimes", namespace(job), own),
        _ => Key::cluster("trainer.kubeflow.org", "clustertrainingruntimes", own),
    };
    world.store.get(&key)?.pointer("/spec/template/spec").cloned()
}

/// Gives the trainer's replicas what the TrainJob says.
fn fill(kind: &mut Json, job: &Json, nodes: i64) {
    let spec = &mut kind["template"]["spec"];
    spec["completionMode"] = "Indexed".into();
    spec["completions"] = nodes.into();
    spec["parallelism"] = nodes.into();
    let pod = &mut spec["template"]["spec"];
    if pod.get("restartPolicy").is_none() {
        pod["restartPolicy"] = "OnFailure".into();
    }
    let master = format!("{}-node-0-0.{}", name(job), name(job));
    let processes = job
        .pointer("/spec/trainer/numProcPerNode")
        .map_or_else(|| "1".to_owned(), |count| count.to_string().replace('"', ""));
    let rank = "metadata.annotations['batch.kubernetes.io/job-completion-index']";
    let mut env = list(job, "/spec/trainer/env").to_vec();
    env.extend([
        json!({"name": "PET_NNODES", "value": nodes.to_string()}),
        json!({"name": "PET_NPROC_PER_NODE", "value": processes}),
        json!({"name": "PET_NODE_RANK", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": rank}}}),
        json!({"name": "PET_MASTER_ADDR", "value": master}),
        json!({"name": "PET_MASTER_PORT", "value": "29500"}),
    ]);
    let containers = pod["containers"].as_array_mut().into_iter().flatten();
    for container in containers.filter(|container| text(container, "/name") == "node") {
        for field in ["image", "command", "args"] {
            if let Some(own) = job.pointer(&format!("/spec/trainer/{field}")) {
                container[field] = own.clone();
            }
        }
        if let Some(own) = job.pointer("/spec/trainer/resourcesPerNode") {
            container["resources"] = own.clone();
        }
        let mut all = list(container, "/env").to_vec();
        all.extend(env.iter().cloned());
        container["env"] = all.into();
        container["ports"] = json!([{"containerPort": 29500, "protocol": "TCP"}]);
    }
}
