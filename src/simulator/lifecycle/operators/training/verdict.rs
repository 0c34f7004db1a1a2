//! What a job's pods make of it.

use serde_json::{Value as Json, json};

use crate::simulator::store::Propagation;

use super::super::super::action::{Action, Cue, pod_key};
use super::super::super::object::{condition, is_deleting, list, name, namespace, now, number, text, uid};
use super::super::super::pace::{Delay, Step};
use super::super::super::world::World;
use super::super::replicas::{Replica, in_phase};
use super::Sync;

impl Sync<'_> {
    /// Replicas with `restartPolicy: ExitCode` are made anew after an exit code of 128 and more.
    pub(super) fn restart_retryable(&mut self) {
        for replica in self.replicas.iter().filter(|replica| text(replica.spec, "/restartPolicy") == "ExitCode") {
            for pod in replica.pods(self.pods) {
                let codes = list(pod, "/status/containerStatuses").iter();
                let mut codes = codes.filter_map(|status| number(status, "/state/terminated/exitCode"));
                if text(pod, "/status/phase") == "Failed" && codes.any(|code| code > 127) && !is_deleting(pod) {
                    self.actions.push(Action::Delete(pod_key(pod), Propagation::Background));
                    let message = format!(
                        "{} {} is restarting because 1 {} replica(s) failed.",
                        self.training.kind,
                        name(self.job),
                        replica.kind
                    );
                    self.end_running();
                    self.condition("Restarting", "True", "Restarting", &message);
                }
            }
        }
    }

    fn is_retried(replica: &Replica<'_>, pod: &Json) -> bool {
        let codes = list(pod, "/status/containerStatuses").iter();
        let mut codes = codes.filter_map(|status| number(status, "/state/terminated/exitCode"));
        text(replica.spec, "/restartPolicy") == "ExitCode" && codes.any(|code| code > 127)
    }

    pub(super) fn count(&mut self) {
        for replica in self.replicas {
            let pods = replica.pods(self.pods);
            let mut counts = json!({});
            for (field, phase) in [("active", "Running"), ("failed", "Failed")] {
                let count = in_phase(&pods, phase);
                if count > 0 {
                    counts[field] = count.into();
                }
            }
            if self.training.selectors {
                counts["selector"] = format!(
                    "training.kubeflow.org/job-name={},training.kubeflow.org/operator-name={},training.kubeflow.org/replica-type={}",
                    name(self.job),
                    self.training.by,
                    replica.lower()
                )
                .into();
            }
            if in_phase(&pods, "Succeeded") > 0 {
                counts["succeeded"] = in_phase(&pods, "Succeeded").into();
            }
            self.status["replicaStatuses"][replica.kind] = counts;
        }
    }

    /// What the pods' phases make of the job.
    pub(super) fn decide(&mut self, cue: &Cue, world: World<'_>) {
        let kind = self.training.kind;
        let is_settled = *cue == Cue::Settled;
        let has_chief = self.has_chief();
        let is_full = self.training.full_names || !has_chief;
        let own =
            if is_full { format!("{}/{}", namespace(self.job), name(self.job)) } else { name(self.job).to_owned() };
        let is_elastic = self.job.pointer("/spec/elasticPolicy").is_some();
        for replica in self.replicas {
            let pods = replica.pods(self.pods);
            let (running, succeeded) = (in_phase(&pods, "Running"), in_phase(&pods, "Succeeded"));
            let decides =
                if has_chief { self.training.chiefs.contains(&replica.kind) } else { replica.kind == "Worker" };
            let first_done = kind == "TFJob"
                && !has_chief
                && pods.iter().any(|pod| name(pod).ends_with("-worker-0") && text(pod, "/status/phase") == "Succeeded");
            let is_done = succeeded == replica.count() || first_done || (is_elastic && !has_chief && succeeded > 0);
            if decides && running > 0 && !self.is_over() {
                self.condition("Running", "True", "Running", &format!("{kind} {own} is running."));
            }
            if decides && is_done && replica.count() > 0 && self.may_finish(is_settled, world) {
                self.finish();
                let is = if is_full { "" } else { "is " };
                self.condition("Succeeded", "True", "Succeeded", &format!("{kind} {own} {is}successfully completed."));
            }
            let failed = pods
                .iter()
                .filter(|pod| text(pod, "/status/phase") == "Failed" && !Self::is_retried(replica, pod))
                .count();
            let is_succeeded = condition(self.job, "Succeeded") == "True";
            if failed > 0 && !is_succeeded && self.may_finish(is_settled, world) {
                self.finish();
                let failed_name = if self.training.full_names { own.clone() } else { name(self.job).to_owned() };
                let message = format!(
                    "{kind} {failed_name} {} because {failed} {} replica(s) failed.",
                    self.training.failed, replica.kind
                );
                self.condition("Failed", "True", "Failed", &message);
            }
        }
    }

    /// Whether the end may be written down: not before everything that happens at the same moment was seen.
    fn may_finish(&mut self, is_settled: bool, world: World<'_>) -> bool {
        if !is_settled && !world.is_marked(self.job, "settling") {
            self.actions.push(Action::Mark(uid(self.job).to_owned(), "settling".to_owned()));
            self.later(Delay::Step(Step::See), Cue::Settled);
        }
        is_settled
    }

    pub(super) fn finish(&mut self) {
        if self.status.get("completionTime").is_none() {
            self.status["completionTime"] = now().into();
        }
        self.end_running();
    }
}
