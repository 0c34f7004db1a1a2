//! What a judge tells besides the verdict: what is being waited for, and what was seen.

use std::sync::Arc;

use serde_json::Value as Json;

use super::Judge;
use super::pod::{Pod, containers};
use super::read::one_line;
use crate::framework::State;

impl Judge {
    /// What is being waited for now, on one line.
    #[must_use]
    pub fn waiting_for(&self) -> String {
        if let Some(trouble) = self.worst_trouble(None) {
            return one_line(&trouble.finding.message);
        }
        if let Some(pod) = self.own_pods().find(|pod| !pod.pulling.is_empty()) {
            let containers: Vec<_> = pod.pulling.keys().map(|name| format!("`{name}`")).collect();
            return format!("{} pulls the image of {}", pod.reference(), containers.join(", "));
        }
        if self.clock_pauses_for_room() {
            return "waiting for room, which other examples hold".to_owned();
        }
        let open: Vec<_> =
            (0..self.judged.len()).filter(|index| self.judged[*index].state != State::Succeeded).collect();
        if open.is_empty() {
            return if self.judged.is_empty() { "nothing is judged" } else { "it has to stay as it is" }.to_owned();
        }
        let described: Vec<_> = open.iter().take(3).map(|index| self.describe(*index)).collect();
        let more = open.len().saturating_sub(3);
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        format!("waiting for {}{more}", described.join(", "))
    }

    fn clock_pauses_for_room(&self) -> bool {
        self.around.others_hold_room && self.phases.scheduled.is_none() && self.is_paused()
    }

    /// A judged object that is not done, and how far its pods are.
    fn describe(&self, index: usize) -> String {
        let reference = self.reference(index);
        let judged = &self.judged[index];
        if judged.seen.is_none() {
            return format!("{reference} to appear");
        }
        let aim = if judged.object.framework.finishes { "to end" } else { "to be ready" };
        let pods: Vec<_> = self.pods_of(index).filter(|pod| !pod.gone).collect();
        if pods.is_empty() {
            return format!("{reference} {aim} (it has no pods)");
        }
        let of = |phase: &str| pods.iter().filter(|pod| pod.phase() == phase).count();
        // Such a pod is still in its phase `Running`.
        let crashes = |pod: &&&Pod| pod.phase() == "Running" && containers(&pod.object).any(|of| of.crashes());
        let crashing = pods.iter().filter(crashes).count();
        let mut text = format!("{reference} {aim} ({} of {} pods run", of("Running") - crashing, pods.len());
        if crashing > 0 {
            text.push_str(&format!(", {crashing} in a crash loop"));
        }
        for (phase, word) in [("Pending", "pending"), ("Succeeded", "succeeded"), ("Failed", "failed")] {
            if of(phase) > 0 {
                text.push_str(&format!(", {} {word}", of(phase)));
            }
        }
        if let Some(why) = pods.iter().find_map(|pod| unready(pod)) {
            text.push_str(&format!("; {why}"));
        }
        text.push(')');
        text
    }

    /// The judged objects as they were last seen, in their order; one that was never seen is left out.
    #[must_use]
    pub fn judged(&self) -> Vec<Arc<Json>> {
        self.judged.iter().filter_map(|judged| judged.seen.clone()).collect()
    }

    /// The pods of the judged objects as they were last seen, in the order in which they appeared; deleted ones too.
    #[must_use]
    pub fn pods(&self) -> Vec<Arc<Json>> {
        self.own_pods().map(|pod| pod.object.clone()).collect()
    }

    /// All events that were seen in the namespace, each in its latest state, in the order in which they appeared.
    #[must_use]
    pub fn events(&self) -> &[Arc<Json>] {
        &self.events.all
    }

    /// The kinds of the owners that objects named, as (`apiVersion`, kind), sorted. Watching those that are not watched yet
    /// links pods to judged objects where operators put something between (TrainJob, JobSet, Job, Pod).
    #[must_use]
    pub fn kinds_to_watch(&self) -> Vec<(String, String)> {
        self.ownership.referenced().iter().cloned().collect()
    }
}

/// Why a pod is not ready, if that is known.
fn unready(pod: &Pod) -> Option<String> {
    if let Some((container, why)) = pod.probes.iter().min() {
        let ready = super::read::holds(&pod.object, "Ready").is_some();
        if !ready && !pod.is_over() {
            return Some(format!("container `{container}` of {} is not ready: {}", pod.reference(), one_line(why)));
        }
    }
    let waits = containers(&pod.object).find_map(|container| Some((container.name, container.waiting?.0)));
    waits.map(|(name, reason)| format!("container `{name}` of {} waits: {reason}", pod.reference()))
}
