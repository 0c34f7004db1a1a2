//! JobSet (`jobset.x-k8s.io/v1alpha2`): Jobs, as many of each kind as it says.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::super::action::{Action, Happening};
use super::super::controllers::workload::set_condition;
use super::super::object::{
    condition, is_deleting, is_true, list, name, namespace, number, owner_reference, text, uid,
};
use super::super::world::World;
use crate::simulator::store::{Key, Propagation};

/// What the controller calls itself in events.
const CONTROLLER: &str = "jobset";

/// Where a Job says of which kind it is.
const KIND: &str = "jobset.sigs.k8s.io/replicatedjob-name";

/// What becomes of a JobSet.
#[must_use]
pub(super) fn reconcile(set: &Json, key: &Key, world: World<'_>) -> Vec<Action> {
    let is_over = ["Completed", "Failed"].iter().any(|kind| condition(set, kind) == "True");
    if is_deleting(set) || is_over {
        return Vec::new();
    }
    let jobs = world.owned("batch", "jobs", set);
    let mut actions = create_missing(set, &jobs);
    let mut status = set.get("status").filter(|status| status.is_object()).cloned().unwrap_or_else(|| json!({}));
    status["restarts"] = number(set, "/status/restarts").unwrap_or(0).into();
    status["replicatedJobsStatus"] = list(set, "/spec/replicatedJobs").iter().map(|kind| counts(kind, &jobs)).collect();
    if let Some((kind, reason, message)) = outcome(set, &jobs) {
        if condition(set, kind) != "True" {
            set_condition(&mut status, kind, "True", reason, &message);
            if kind != "Suspended" {
                status["terminalState"] = kind.into();
            }
            let mut happening = Happening::normal(set, CONTROLLER, reason, message);
            happening.warning = kind == "Failed";
            actions.push(Action::Status(key.clone(), status));
            actions.push(happening.into());
            if kind == "Failed" {
                actions.extend(stop(&jobs));
            }
            return actions;
        }
    } else if condition(set, "Suspended") == "True" {
        set_condition(&mut status, "Suspended", "False", "ResumeJobs", "jobset is resumed");
    }
    actions.push(Action::Status(key.clone(), status));
    actions
}

/// What the Jobs make of a set that is not served: the counts, and its end.
pub(super) fn status(set: &Json, jobs: &[Arc<Json>]) -> Json {
    let kinds = list(set, "/spec/replicatedJobs").iter();
    let mut status = json!({"replicatedJobsStatus": kinds.map(|kind| counts(kind, jobs)).collect::<Json>()});
    if let Some((kind, reason, message)) = outcome(set, jobs) {
        set_condition(&mut status, kind, "True", reason, &message);
    }
    status
}

/// A finished JobSet deletes the Jobs that are still at work.
fn stop(jobs: &[Arc<Json>]) -> Vec<Action> {
    let active = jobs.iter().filter(|job| !is_over(job) && !is_deleting(job));
    let key = |job: &Json| Key::namespaced("batch", "jobs", namespace(job), name(job));
    active.map(|job| Action::Delete(key(job), Propagation::Foreground)).collect()
}

fn is_over(job: &Json) -> bool {
    ["Complete", "Failed"].iter().any(|kind| condition(job, kind) == "True")
}

fn outcome(set: &Json, jobs: &[Arc<Json>]) -> Option<(&'static str, &'static str, String)> {
    if let Some(failed) = jobs.iter().find(|job| condition(job, "Failed") == "True") {
        let message = format!("jobset failed due to one or more job failures (first failed job: {})", name(failed));
        return Some(("Failed", "FailedJobs", message));
    }
    let wanted: i64 = list(set, "/spec/replicatedJobs").iter().map(|kind| number(kind, "/replicas").unwrap_or(1)).sum();
    let done = jobs.iter().filter(|job| condition(job, "Complete") == "True").count();
    if i64::try_from(done).unwrap_or(0) >= wanted {
        return Some(("Completed", "AllJobsCompleted", "jobset completed successfully".to_owned()));
    }
    is_true(set, "/spec/suspend").then(|| ("Suspended", "SuspendedJobs", "jobset is suspended".to_owned()))
}

fn counts(kind: &Json, jobs: &[Arc<Json>]) -> Json {
    let own: Vec<_> = jobs
        .iter()
        .filter(|job| {
            job.pointer("/metadata/labels")
                .is_some_and(|labels| text(labels, &format!("/{}", KIND.replace('/', "~1"))) == text(kind, "/name"))
        })
        .collect();
    let count = |holds: &dyn Fn(&Json) -> bool| own.iter().filter(|job| holds(job)).count();
    let pods = |job: &Json| number(job, "/spec/parallelism").unwrap_or(1);
    let active = |job: &Json| number(job, "/status/active").unwrap_or(0) > 0 && !is_over(job);
    let ready = |job: &Json| {
        let ready = number(job, "/status/ready").unwrap_or(0) + number(job, "/status/succeeded").unwrap_or(0);
        active(job) && number(job, "/status/ready").unwrap_or(0) > 0 && ready >= pods(job)
    };
    json!({"active": count(&active), "failed": count(&|job| condition(job, "Failed") == "True"),
        "name": text(kind, "/name"), "ready": count(&ready),
        "succeeded": count(&|job| condition(job, "Complete") == "True"),
        "suspended": count(&|job| condition(job, "Suspended") == "True")})
}

/// Creates the Jobs that are missing, and suspends or resumes those that are there.
pub(super) fn create_missing(set: &Json, jobs: &[Arc<Json>]) -> Vec<Action> {
    let suspended = is_true(set, "/spec/suspend");
    let mut actions = Vec::new();
    for kind in list(set, "/spec/replicatedJobs") {
        for index in 0..number(kind, "/replicas").unwrap_or(1) {
            let own = format!("{}-{}-{index}", name(set), text(kind, "/name"));
            match jobs.iter().find(|job| name(job) == own) {
                None => actions.push(Action::Create(job(set, kind, &own, index, suspended))),
                Some(job) if is_true(job, "/spec/suspend") != suspended && !is_over(job) => {
                    let key = Key::namespaced("batch", "jobs", namespace(job), name(job));
                    let edit = move |job: &mut Json| job["spec"]["suspend"] = suspended.into();
                    actions.push(Action::Edit(key, Box::new(edit)));
                }
                Some(_) => {}
            }
        }
    }
    if !actions.is_empty() && jobs.is_empty() {
        actions.push(Action::Create(json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name(set), "namespace": namespace(set), "ownerReferences": [owner_reference(set)]},
            "spec": {"clusterIP": "None", "clusterIPs": ["None"], "type": "ClusterIP",
                "selector": {"jobset.sigs.k8s.io/jobset-name": name(set)}}, "status": {"loadBalancer": {}}})));
    }
    actions
}

fn job(set: &Json, kind: &Json, own: &str, index: i64, suspended: bool) -> Json {
    let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {}, "spec": kind["template"]["spec"]});
    if kind["template"]["metadata"].is_object() {
        job["metadata"] = kind["template"]["metadata"].clone();
    }
    job["metadata"]["name"] = own.into();
    job["metadata"]["namespace"] = namespace(set).into();
    job["metadata"]["ownerReferences"] = json!([owner_reference(set)]);
    for (label, value) in [
        ("jobset.sigs.k8s.io/jobset-name", name(set).to_owned()),
        ("jobset.sigs.k8s.io/jobset-uid", uid(set).to_owned()),
        (KIND, text(kind, "/name").to_owned()),
        ("jobset.sigs.k8s.io/replicatedjob-replicas", number(kind, "/replicas").unwrap_or(1).to_string()),
        ("jobset.sigs.k8s.io/job-index", index.to_string()),
        ("jobset.sigs.k8s.io/restart-attempt", "0".to_owned()),
    ] {
        job["metadata"]["labels"][label] = value.clone().into();
        job["spec"]["template"]["metadata"]["labels"][label] = value.clone().into();
        job["spec"]["template"]["metadata"]["annotations"][label] = value.into();
    }
    job["spec"]["template"]["spec"]["subdomain"] = name(set).into();
    job["spec"]["suspend"] = suspended.into();
    job
}
