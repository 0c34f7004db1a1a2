//! What would be a verdict, and when, if nothing else came.

use super::finding::{Cure, Key, Slot, Trouble};
use super::pod::{Pod, Role, containers};
use super::read::{group, key, selects, text};
use super::time::{API_LIMIT, CATCH_UP, NODE_LIMIT, PULL_LIMIT, READY_SETTLE, SETTLE, SIDECAR_SETTLE};
use super::{Judge, Judged};
use crate::framework::State;
use crate::model::Expect;
use crate::trial::Moment;

/// What is due. Of two at the same moment the first goes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// A judged object ended badly.
    Ended(usize),
    /// All judged objects did what was expected.
    Passed,
    /// A trouble outlived its grace.
    Trouble(Key),
    /// A container's image is pulled for too long.
    Pulling { pod: usize, container: String },
    /// The API server does not answer.
    ApiGone,
    /// A node on which something of the example runs is not ready.
    NodeIll(String),
    /// The driver says that the nodes are in trouble.
    NodesIll,
    /// The time is up.
    TimeUp,
}

impl Judge {
    /// The first thing that is due, and its moment.
    pub(super) fn agenda(&self) -> Option<(Moment, Due)> {
        let mut first: Option<(Moment, Due)> = None;
        let mut add = |at: Moment, due: Due| {
            let earlier = first.as_ref().is_none_or(|(first_at, first_due)| (at, &due) < (*first_at, first_due));
            if earlier {
                first = Some((at, due));
            }
        };
        for (index, judged) in self.judged.iter().enumerate() {
            if judged.failed_child.is_some() || judged.state == State::Failed {
                let known = self.ending(index).1;
                add(if known { judged.since } else { judged.since.saturating_add(SETTLE) }, Due::Ended(index));
            }
        }
        if let Some(at) = self.passes_at() {
            add(at, Due::Passed);
        }
        if !self.around.api_reachable {
            // Silence is no sign while nobody can speak.
            add(self.clock.reach.saturating_add(API_LIMIT), Due::ApiGone);
            return first;
        }
        let settled =
            if self.clock.reach > Moment::ZERO { self.clock.reach.saturating_add(CATCH_UP) } else { Moment::ZERO };
        for (key, trouble) in self.troubles.iter() {
            if let Some(at) = self.due(key, trouble) {
                add(at.max(settled), Due::Trouble(key.clone()));
            }
        }
        for index in self.awaited_pulls() {
            for (container, since) in &self.pods[index].pulling {
                add(since.saturating_add(PULL_LIMIT), Due::Pulling { pod: index, container: container.clone() });
            }
        }
        for (node, (since, _)) in &self.ill_nodes {
            if self.own_pods().any(|pod| !pod.is_over() && text(&pod.object, "/spec/nodeName") == node) {
                add(since.saturating_add(NODE_LIMIT), Due::NodeIll(node.clone()));
            }
        }
        if let Some(since) = self.clock.nodes {
            add(since.saturating_add(NODE_LIMIT), Due::NodesIll);
        }
        if let Some(at) = self.clock.end(self.subject.timeout).filter(|_| !self.subject.companion) {
            add(at.max(settled), Due::TimeUp);
        }
        first
    }

    /// When a trouble is a verdict; `None` while something else may cure it, or where it does not count.
    fn due(&self, (id, slot): &Key, trouble: &Trouble) -> Option<Moment> {
        let index = self.counts(id, slot)?;
        let mut since = trouble.since;
        match trouble.cure {
            Cure::Room | Cure::Queue if self.around.others_hold_room || self.own_job_may_leave(id) => return None,
            Cure::Room | Cure::Queue => since = since.max(self.clock.room),
            Cure::OwnPods if self.own_pods().any(|pod| pod.stays() && pod.is_scheduled() && !pod.is_over()) => {
                return None;
            }
            Cure::Controller => return None,
            Cure::None | Cure::OwnPods => {}
        }
        if let Slot::Crash(place) = slot {
            return Some(since.saturating_add(trouble.grace).max(self.crash_counts_from(id, place, index)?));
        }
        // The next try at a pull that may succeed is under way, with a bound of its own.
        if let Slot::Image(container) = slot
            && trouble.grace >= self.subject.graces.image_transient
            && self.pod_index.get(id).is_some_and(|&pod| self.pods[pod].pulling.contains_key(container))
        {
            return None;
        }
        if *slot == Slot::Warned {
            let busy = self.judged[index].state != State::Pending || self.own_pods().any(|pod| !pod.gone);
            since = since.max(self.judged[index].progress);
            if busy {
                return None;
            }
        }
        Some(since.saturating_add(trouble.grace))
    }

    /// The judged object whose trouble it is, unless it does not matter any more.
    pub(super) fn counts(&self, id: &str, slot: &Slot) -> Option<usize> {
        let index = match self.pod_index.get(id) {
            Some(&pod) => {
                let there = self.pods[pod].stays() || matches!(slot, Slot::Ended);
                self.whose_pod(pod).filter(|_| there && !self.is_superseded(pod))?
            }
            None => self.whose(id)?,
        };
        let judged = &self.judged[index];
        let done = judged.state == State::Succeeded && judged.object.framework.finishes;
        let forgotten = judged.gone && self.subject.companion;
        (!done && !forgotten).then_some(index)
    }

    fn whose(&self, id: &str) -> Option<usize> {
        let named = self.mentioned.get(id).or_else(|| self.ownership.named(id));
        let by_uid = || self.targets.iter().position(|target| target.uid == id);
        by_uid().or_else(|| self.ownership.judged(named?, &self.targets))
    }

    /// The judged object that a pod belongs to.
    pub(super) fn whose_pod(&self, index: usize) -> Option<usize> {
        let pod = &self.pods[index];
        self.ownership.judged(&pod.named, &self.targets).or_else(|| {
            let selected =
                |judged: &Judged| judged.selector.as_deref().is_some_and(|selector| selects(selector, &pod.object));
            self.judged.iter().position(selected)
        })
    }

    /// The pods of the judged objects, in the order in which they were seen first.
    pub(super) fn own_pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().enumerate().filter(|(index, _)| self.whose_pod(*index).is_some()).map(|(_, pod)| pod)
    }

    /// The pods of one judged object.
    pub(super) fn pods_of(&self, index: usize) -> impl Iterator<Item = &Pod> {
        self.pods.iter().enumerate().filter(move |(pod, _)| self.whose_pod(*pod) == Some(index)).map(|(_, pod)| pod)
    }

    /// Whether a pod that is over was replaced by one that does better.
    fn is_superseded(&self, index: usize) -> bool {
        let pod = &self.pods[index];
        let owner = |pod: &Pod| self.ownership.owner(&pod.identity).map(|owner| owner.uid.clone());
        let mine = owner(pod);
        pod.is_over()
            && mine.is_some()
            && self.pods.iter().any(|other| {
                other.first_seen > pod.first_seen
                    && matches!(other.phase(), "Running" | "Succeeded")
                    && owner(other) == mine
            })
    }

    /// Whether pods of the same Job run, which will make room when they end.
    fn own_job_may_leave(&self, id: &str) -> bool {
        let Some(job) = self.ownership.owner(id).filter(|owner| owner.kind == "Job") else { return false };
        let same = |pod: &Pod| self.ownership.owner(&pod.identity).is_some_and(|owner| owner.uid == job.uid);
        self.pods
            .iter()
            .any(|pod| pod.identity != id && pod.stays() && pod.is_scheduled() && !pod.is_over() && same(pod))
    }

    /// Whether the attempt's time stands still: its pods wait for room that others hold, for images, or nobody can tell.
    pub(super) fn is_paused(&self) -> bool {
        let pulls = self.awaited_pulls().next().is_some();
        let queues = self.phases.scheduled.is_none()
            && self.around.others_hold_room
            && self
                .troubles
                .iter()
                .any(|((id, slot), trouble)| trouble.cure == Cure::Room && self.counts(id, slot).is_some());
        !self.around.api_reachable || pulls || queues
    }

    /// When all judged objects have done what was expected of them, as long as nothing changes.
    fn passes_at(&self) -> Option<Moment> {
        if self.subject.companion || self.judged.is_empty() {
            return None;
        }
        let running = self.subject.expect == Expect::Running;
        let all = self.judged.iter().enumerate().try_fold(Moment::ZERO, |latest, (index, _)| {
            let succeeded = self.succeeds_at(index);
            let at = if running { succeeded.or_else(|| self.runs_at(index)) } else { succeeded };
            at.map(|at| latest.max(at))
        })?;
        let ready =
            self.judged.iter().any(|judged| judged.state != State::Succeeded || !judged.object.framework.finishes);
        Some(if running && ready { self.stable_at()?.max(all) } else { all })
    }

    /// When a judged object has succeeded.
    fn succeeds_at(&self, index: usize) -> Option<Moment> {
        let judged = &self.judged[index];
        let ends = judged.object.framework.finishes
            || judged.seen.as_ref().is_some_and(|object| text(object, "/status/phase") == "Succeeded");
        match judged.state {
            State::Failed => None,
            State::Succeeded if ends => Some(judged.since),
            State::Succeeded if judged.gone => None,
            // What was restarted has to show that it stays this time.
            State::Succeeded => {
                let calm = self.pods_of(index).filter(|pod| pod.stays()).filter_map(|pod| pod.unrest).max();
                let calm = calm.map(|at| at.saturating_add(self.subject.graces.running_stable));
                Some(judged.since.saturating_add(READY_SETTLE).max(calm.unwrap_or_default()))
            }
            _ => self.work_done_at(index),
        }
    }

    fn runs_at(&self, index: usize) -> Option<Moment> {
        self.judged[index].runs.filter(|_| !self.judged[index].gone)
    }

    /// When everything has run long enough for `expect: running`.
    fn stable_at(&self) -> Option<Moment> {
        let since =
            (0..self.judged.len()).try_fold(Moment::ZERO, |latest, index| Some(latest.max(self.runs_at(index)?)))?;
        let calm = self.own_pods().filter(|pod| pod.stays()).filter_map(|pod| pod.unrest).max().unwrap_or_default();
        Some(since.max(calm).saturating_add(self.subject.graces.running_stable))
    }

    /// When the work of a Job (or of a pod that ends) counts as done though sidecars still run: what remains is only their
    /// termination grace period.
    fn work_done_at(&self, index: usize) -> Option<Moment> {
        let judged = &self.judged[index];
        let object = judged.seen.as_ref().filter(|_| !judged.gone)?;
        let needed = match (group(&judged.object.api_version), judged.object.kind.as_str()) {
            ("batch", "Job") => object.pointer("/spec/completions").map_or(Some(1), serde_json::Value::as_u64)?,
            ("", "Pod")
                if text(object, "/spec/restartPolicy") == "Never"
                    || text(object, "/spec/restartPolicy") == "OnFailure" =>
            {
                1
            }
            _ => return None,
        };
        let mut done: Vec<(String, Moment)> = Vec::new();
        let mut sidecars = false;
        for (pod_index, pod) in self.pods.iter().enumerate() {
            let Some(at) = pod.work_done.filter(|_| pod.phase() != "Failed") else { continue };
            if self.whose_pod(pod_index) != Some(index) {
                continue;
            }
            sidecars |= !pod.is_over()
                && containers(&pod.object).any(|container| container.role == Role::Sidecar && container.running);
            let place = text(&pod.object, "/metadata/labels/batch.kubernetes.io~1job-completion-index");
            let place = if place.is_empty() { pod.identity.clone() } else { place.to_owned() };
            if !done.iter().any(|(known, _)| *known == place) {
                done.push((place, at));
            }
        }
        done.sort_by_key(|(_, at)| *at);
        let last = usize::try_from(needed).ok()?.checked_sub(1)?;
        done.get(last).filter(|_| sidecars).map(|(_, at)| at.saturating_add(SIDECAR_SETTLE))
    }

    /// The trouble of a judged object (of any, if `index` is `None`) that is nearest to being a verdict.
    pub(super) fn worst_trouble(&self, index: Option<usize>) -> Option<&Trouble> {
        let counted = self.troubles.iter().filter(|((id, slot), _)| {
            let of = self.counts(id, slot);
            of.is_some() && (index.is_none() || of == index) && *slot != Slot::Warned
        });
        counted
            .min_by_key(|(key, trouble)| (trouble.since.saturating_add(trouble.grace), (*key).clone()))
            .map(|(_, trouble)| trouble)
    }

    /// What is wrong with pods that are not judged: what the example needs.
    pub(super) fn support_trouble(&self) -> Option<&Trouble> {
        let foreign = self.troubles.iter().filter(|((id, _), _)| {
            self.pod_index.get(id).is_some_and(|&pod| self.whose_pod(pod).is_none() && self.pods[pod].stays())
        });
        foreign.min_by_key(|(key, trouble)| (trouble.since, (*key).clone())).map(|(_, trouble)| trouble)
    }

    /// Why a node is not ready, if one of the example's pods is on it.
    pub(super) fn ill_node_of_pods(&self) -> Option<(&str, &str)> {
        let of = |pod: &Pod| self.ill_nodes.get_key_value(text(&pod.object, "/spec/nodeName"));
        let found = self.own_pods().find_map(|pod| if pod.gone { None } else { of(pod) })?;
        Some((found.0.as_str(), found.1.1.as_str()))
    }

    /// The framework's own container, of the judged object that a pod belongs to.
    pub(super) fn main_container(&self, index: usize) -> &str {
        self.judged[index].object.framework.container.as_deref().unwrap_or_default()
    }

    /// `Kind/name` of a judged object.
    pub(super) fn reference(&self, index: usize) -> String {
        let object = &self.judged[index].object;
        format!("{}/{}", object.kind, object.name)
    }

    /// The object to explain a judged object's end by: itself, or the one that failed for it.
    pub(super) fn explaining(&self, index: usize) -> Option<&serde_json::Value> {
        let judged = &self.judged[index];
        judged.failed_child.as_deref().or(judged.seen.as_deref()).filter(|object| !key(object, "kind").is_empty())
    }
}
