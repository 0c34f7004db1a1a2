//! Kubeflow's Training Operator v1 (`pkg/controller.v1/*`; held to recordings of v1.9.4).

mod ending;
mod kinds;
mod pods;
mod telling;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::super::action::{Action, Cue, Happening, pod_key};
use super::super::controllers::workload::set_condition;
use super::super::object::{condition, is_deleting, is_true, list, name, now, number, text, uid};
use super::super::pace::Delay;
use super::super::world::World;
use super::mpi;
use super::replicas::Replica;
use crate::simulator::store::{Key, Propagation};
use kinds::Training;
pub(super) use kinds::{controllers, find};

/// What becomes of a job.
#[must_use]
pub(super) fn reconcile(job: &Json, key: &Key, cue: &Cue, world: World<'_>) -> Vec<Action> {
    let Some(training) = find(text(job, "/kind")).filter(|_| !is_deleting(job)) else { return Vec::new() };
    let specs = job.pointer(&format!("/spec/{}", training.specs)).and_then(Json::as_object);
    let mut replicas: Vec<_> =
        specs.into_iter().flatten().map(|(kind, spec)| Replica { kind: kind.as_str(), spec }).collect();
    // Chiefs first, as the operator decides.
    replicas.sort_by_key(|replica| !training.chiefs.contains(&replica.kind));
    if training.kind == "MPIJob" && !replicas.iter().any(|replica| replica.kind == "Launcher") {
        return mpi::refuse(job, key, cue, world);
    }
    let pods = world.pods(job);
    let status = job.get("status").filter(|status| status.is_object()).cloned().unwrap_or_else(|| json!({}));
    let mut sync = Sync { training, job, key, replicas: &replicas, pods: &pods, status, actions: Vec::new() };
    sync.look(cue, world);
    sync.actions
}

/// One look at a job and its pods.
struct Sync<'a> {
    training: &'static Training,
    job: &'a Json,
    key: &'a Key,
    replicas: &'a [Replica<'a>],
    pods: &'a [Arc<Json>],
    status: Json,
    actions: Vec<Action>,
}

impl Sync<'_> {
    fn look(&mut self, cue: &Cue, world: World<'_>) {
        if self.is_over() {
            return self.after(cue, world);
        }
        if condition(self.job, "Created").is_empty() {
            let message = format!("{} {} is created.", self.training.kind, name(self.job));
            self.condition("Created", "True", "Created", &message);
        }
        if is_true(self.job, "/spec/runPolicy/suspend") {
            return self.suspend();
        }
        self.resume();
        let late = matches!(cue, Cue::Deadline(start) if start == text(self.job, "/status/startTime"));
        if late {
            return self.fail_whole("it was active longer than specified deadline");
        }
        if self.is_past_limit() {
            return self.fail_whole("it has reached the specified backoff limit");
        }
        let is_whole = self.create_missing(cue, world);
        self.tell_pods(world);
        if !is_whole {
            return;
        }
        self.begin();
        self.restart_retryable();
        self.count();
        self.decide(cue, world);
        self.commit();
        for kind in ["Succeeded", "Failed"] {
            let found = list(&self.status, "/conditions").iter().find(|condition| text(condition, "/type") == kind);
            // The controller of MPIJobs tells of no end.
            if let Some(found) = found.cloned().filter(|_| self.training.kind != "MPIJob") {
                let reason = text(&found, "/reason").to_owned();
                self.tell(&reason, text(&found, "/message"));
            }
        }
        if self.is_over() {
            self.clean();
        }
    }

    fn is_over(&self) -> bool {
        ["Succeeded", "Failed"].iter().any(|kind| {
            list(&self.status, "/conditions")
                .iter()
                .any(|condition| text(condition, "/type") == *kind && text(condition, "/status") == "True")
        })
    }

    fn tell(&mut self, reason: &str, message: &str) {
        self.actions.push(Happening::normal(self.job, self.training.by, reason, message).into());
    }

    fn condition(&mut self, kind: &str, holds: &str, reason: &str, message: &str) {
        let reason = format!("{}{reason}", self.training.kind);
        let known = list(&self.status, "/conditions").iter().any(|condition| {
            text(condition, "/type") == kind
                && text(condition, "/status") == holds
                && text(condition, "/reason") == reason
        });
        if !known {
            set_condition(&mut self.status, kind, holds, &reason, message);
        }
    }

    fn commit(&mut self) {
        self.actions.push(Action::Status(self.key.clone(), self.status.clone()));
    }

    fn later(&mut self, delay: Delay, cue: Cue) {
        self.actions.push(Action::Later(delay, self.key.clone(), uid(self.job).to_owned(), cue));
    }

    fn suspend(&mut self) {
        for pod in self.pods.iter().filter(|pod| !is_deleting(pod)) {
            self.actions.push(Action::Delete(pod_key(pod), Propagation::Background));
        }
        if condition(self.job, "Suspended") == "True" {
            return;
        }
        let message = format!("{} {} is suspended.", self.training.kind, name(self.job));
        let running = condition(self.job, "Running") == "True";
        if running {
            self.stop_running("Suspended", &message);
        }
        self.condition("Suspended", "True", "Suspended", &message);
        self.tell(&format!("{}Suspended", self.training.kind), &message);
        if let Some(status) = self.status.as_object_mut() {
            status.shift_remove("startTime");
            status.shift_remove("replicaStatuses");
        }
        self.commit();
    }

    fn stop_running(&mut self, reason: &str, message: &str) {
        self.condition("Running", "False", reason, message);
    }

    fn resume(&mut self) {
        if condition(self.job, "Suspended") == "True" {
            let message = format!("{} {} is resumed.", self.training.kind, name(self.job));
            self.condition("Suspended", "False", "Resumed", &message);
            self.tell(&format!("{}Resumed", self.training.kind), &message);
        }
    }

    /// The job has all its pods: its time begins.
    fn begin(&mut self) {
        if !text(&self.status, "/startTime").is_empty() {
            return;
        }
        let start = now();
        self.status["startTime"] = start.clone().into();
        if let Some(seconds) = number(self.job, "/spec/runPolicy/activeDeadlineSeconds") {
            let time = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            self.later(Delay::Run(time), Cue::Deadline(start));
        }
    }

    /// Whether its pods restarted too often.
    fn is_past_limit(&self) -> bool {
        let Some(limit) = number(self.job, "/spec/runPolicy/backoffLimit") else { return false };
        let statuses = self.pods.iter().flat_map(|pod| list(pod, "/status/containerStatuses"));
        let restarts: i64 = statuses.filter_map(|status| number(status, "/restartCount")).sum();
        let failed = self.pods.iter().filter(|pod| text(pod, "/status/phase") == "Failed").count();
        restarts > 0 && restarts + i64::try_from(failed).unwrap_or(0) >= limit
    }

    fn fail_whole(&mut self, why: &str) {
        let message = format!("Job {} has failed because {why}", name(self.job));
        self.status["completionTime"] = now().into();
        self.end_running();
        self.condition("Failed", "True", "Failed", &message);
        self.tell(&format!("{}Failed", self.training.kind), &message);
        self.commit();
        self.clean();
    }

    /// Running is over; its reason and message stay, as the operator leaves them.
    fn end_running(&mut self) {
        let conditions = self.status["conditions"].as_array_mut().into_iter().flatten();
        for running in conditions.filter(|condition| text(condition, "/type") == "Running") {
            running["status"] = "False".into();
        }
    }
}
