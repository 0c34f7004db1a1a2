//! What follows a job's end.

use std::time::Duration;

use serde_json::Value as Json;

use super::super::super::action::{Action, Cue, pod_key};
use super::super::super::object::{condition, has_ended, is_deleting, name, namespace, number, text};
use super::super::super::pace::Delay;
use super::super::super::world::World;
use super::super::Counted;
use super::Sync;
use crate::simulator::store::{Key, Propagation};

impl Sync<'_> {
    /// Deletes pods at the end, as the policy says.
    pub(super) fn clean(&mut self) {
        let policy = text(self.job, "/spec/runPolicy/cleanPodPolicy");
        if matches!(policy, "Running" | "All") {
            self.later(Delay::After(Duration::ZERO), Cue::Again(0));
        }
        if let Some(seconds) = number(self.job, "/spec/runPolicy/ttlSecondsAfterFinished") {
            let time = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            self.later(Delay::After(time), Cue::Expired);
        }
    }

    /// What follows a job's end.
    pub(super) fn after(&mut self, cue: &Cue, world: World<'_>) {
        if *cue == Cue::Expired {
            self.actions.push(Action::Delete(self.key.clone(), Propagation::Background));
            self.actions.push(Action::Count(Counted::JobDeleted, self.job.clone()));
            return self.tell("SuccessfulDeletePod", &format!("Deleted job: {}", name(self.job)));
        }
        if condition(self.job, "Succeeded") == "True" {
            // From here on what is active counts as succeeded.
            for counts in self.status["replicaStatuses"].as_object_mut().into_iter().flat_map(|all| all.values_mut()) {
                let active = number(counts, "/active").unwrap_or(0);
                if let Some(counts) = counts.as_object_mut().filter(|_| active > 0) {
                    counts.shift_remove("active");
                    let before = counts.get("succeeded").and_then(Json::as_i64).unwrap_or(0);
                    counts.insert("succeeded".to_owned(), (before + active).into());
                }
            }
            self.commit();
        }
        if !matches!(cue, Cue::Again(_)) {
            return;
        }
        let policy = text(self.job, "/spec/runPolicy/cleanPodPolicy").to_owned();
        for pod in self.pods.iter().filter(|pod| !is_deleting(pod) && (policy == "All" || !has_ended(pod))) {
            self.actions.push(Action::Delete(pod_key(pod), Propagation::Background));
            self.tell("SuccessfulDeletePod", &format!("Deleted pod: {}", name(pod)));
            let service = Key::namespaced("", "services", namespace(pod), name(pod));
            if world.store.get(&service).is_some() {
                self.actions.push(Action::Delete(service, Propagation::Background));
                self.tell("SuccessfulDeleteService", &format!("Deleted service: {}", name(pod)));
            }
        }
    }
}
