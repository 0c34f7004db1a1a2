//! What a pod's state, and the events about it, say of its troubles.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use super::Judge;
use super::ending;
use super::finding::{Cure, Finding, Slot, Trouble};
use super::ownership::Named;
use super::pod::{Container, Pod, Role, container_spec, containers};
use super::read::{Event, key, list, text};
use super::scheduling::{self, Unfit};
use super::starting::{self, Said};
use super::time::SETTLE;
use crate::model::CauseClass;
use crate::trial::{Change, Moment};

/// The reason of an event that says why a claim gets no volume.
const UNPROVIDED: &str = "ProvisioningFailed";

/// What a provisioner says that fails for want of something of the cluster's.
const PASSING: [&str; 4] = ["timeout", "timed out", "deadline exceeded", "connection refused"];

impl Judge {
    pub(super) fn pod(&mut self, at: Moment, change: &Change) {
        let object = change.object();
        let id = super::read::identity(object);
        let next = self.pods.len();
        let index = *self.pod_index.entry(id.clone()).or_insert(next);
        if index == next {
            self.pods.push(Pod::new(at, object));
        }
        let pod = &mut self.pods[index];
        pod.see(at, object);
        pod.gone = matches!(change, Change::Gone(_));
        if pod.gone {
            pod.pulling.clear();
            self.troubles.clear_where(&id, |slot, _| *slot != Slot::Ended);
        } else {
            self.placing(at, index);
            self.containers_of(at, index);
        }
        self.count_failures(at, index, index == next);
        if self.phases.scheduled.is_none() && self.pods[index].is_scheduled() && self.whose_pod(index).is_some() {
            self.phases.scheduled = Some(at);
            self.clock.restart(at);
        }
        for event in self.early.remove(&id).unwrap_or_default() {
            self.event(at, &event);
        }
    }

    /// Whether it has a node, and why not.
    fn placing(&mut self, at: Moment, index: usize) {
        let pod = &self.pods[index];
        let id = pod.identity.clone();
        if pod.is_scheduled() || pod.is_over() {
            self.troubles.clear(&id, &Slot::Schedule);
            return;
        }
        let object = pod.object.clone();
        let condition = list(&object, "/status/conditions")
            .iter()
            .find(|condition| key(condition, "type") == "PodScheduled" && key(condition, "status") == "False");
        match condition.map(|condition| (key(condition, "reason"), key(condition, "message"))) {
            Some(("SchedulingGated", message)) => {
                let text = format!(
                    "{} is held back by its scheduling gates, and nobody lifts them: {message}",
                    pod.reference()
                );
                let hint = "remove schedulingGates, or run what lifts them";
                let found = Finding::failed(CauseClass::Scheduling, "SchedulingGated", text, hint).of(pod.reference());
                let cure = if super::read::is_queued(&object) { Cure::Queue } else { Cure::None };
                self.troubles.set(&id, Slot::Schedule, at, self.subject.graces.suspended, cure, found);
            }
            Some((_, message)) if !message.is_empty() => self.unschedulable(at, index, message),
            _ => self.unprovided(at, index),
        }
    }

    /// A pod for which a node was found, and whose claim gets no volume there: until then the scheduler says nothing of it.
    fn unprovided(&mut self, at: Moment, index: usize) {
        let pod = &self.pods[index];
        let known = self.troubles.get(&pod.identity, Slot::Schedule);
        if self.claims.is_empty() || known.is_some_and(|known| known.finding.reason != UNPROVIDED) {
            return;
        }
        let failing = claims(&pod.object).into_iter().find_map(|claim| self.claims.get_key_value(&claim));
        let Some((claim, why)) = failing else { return };
        let text = format!("no volume is provided for claim `{claim}` of {}: {why}", pod.reference());
        let found = if PASSING.iter().any(|text| why.contains(text)) {
            let hint = "the cluster's provisioner, not the example, is at fault: read its log";
            Finding::errored(CauseClass::Cluster, UNPROVIDED, text, hint)
        } else {
            let hint = "use a storage class of the cluster, and an access mode and a size that it offers";
            Finding::failed(CauseClass::Scheduling, UNPROVIDED, text, hint)
        };
        let (id, found) = (pod.identity.clone(), found.of(pod.reference()));
        self.troubles.set(&id, Slot::Schedule, at, self.subject.graces.claim_unbound, Cure::None, found);
    }

    /// An event says why a claim has no volume.
    pub(super) fn claim_waits(&mut self, at: Moment, claim: &str) {
        for index in self.users_of(claim) {
            self.placing(at, index);
        }
    }

    /// A claim is seen: one that is bound, or gone, is in nobody's way.
    pub(super) fn claim(&mut self, change: &Change) {
        let object = change.object();
        let name = text(object, "/metadata/name");
        let passed = text(object, "/status/phase") == "Bound" || matches!(change, Change::Gone(_));
        if !passed || self.claims.remove(name).is_none() {
            return;
        }
        for index in self.users_of(name) {
            let of_claim =
                |slot: &Slot, trouble: &Trouble| *slot == Slot::Schedule && trouble.finding.reason == UNPROVIDED;
            self.troubles.clear_where(&self.pods[index].identity, of_claim);
        }
    }

    fn users_of(&self, claim: &str) -> Vec<usize> {
        let uses = |pod: &Pod| claims(&pod.object).iter().any(|used| used == claim);
        (0..self.pods.len()).filter(|index| uses(&self.pods[*index])).collect()
    }

    fn unschedulable(&mut self, at: Moment, index: usize, message: &str) {
        let pod = &self.pods[index];
        let unfit = scheduling::classify(message, !self.unfit_nodes.is_empty());
        let graces = &self.subject.graces;
        let (grace, cure) = match unfit {
            Unfit::ClaimMissing => (graces.config_missing, Cure::None),
            Unfit::ClaimUnbound => (graces.claim_unbound, Cure::None),
            Unfit::Room => (graces.unschedulable, Cure::Room),
            Unfit::Nodes | Unfit::Never => (graces.unschedulable, Cure::None),
        };
        let mut text = format!("no node takes {}: {message}", pod.reference());
        if unfit == Unfit::ClaimUnbound {
            for claim in claims(&pod.object) {
                let why = self.claims.get(&claim).map_or("is not bound", String::as_str);
                text.push_str(&format!(" (claim `{claim}`: {why})"));
            }
        }
        let hint = scheduling::hint(message, unfit);
        let found = match unfit {
            Unfit::Nodes => Finding::errored(CauseClass::Cluster, "Unschedulable", text, hint),
            _ => Finding::failed(CauseClass::Scheduling, "Unschedulable", text, hint),
        };
        let (id, found) = (pod.identity.clone(), found.of(pod.reference()));
        self.troubles.set(&id, Slot::Schedule, at, grace, cure, found);
    }

    fn containers_of(&mut self, at: Moment, index: usize) {
        let (object, id) = (self.pods[index].object.clone(), self.pods[index].identity.clone());
        let mut started = false;
        let mut works = false;
        for container in containers(&object) {
            let refused = container.ended.as_ref().is_some_and(|end| starting::is_start_reason(&end.reason));
            let runs = container.running || container.ended.as_ref().is_some_and(|end| end.code == 0);
            works |= runs && container.role == Role::Main;
            started |= container.running || (container.ended.is_some() && !refused);
            if container.running || (container.ended.is_some() && !refused) {
                self.troubles.clear(&id, &Slot::Image(container.name.to_owned()));
                self.troubles.clear(&id, &Slot::Start(container.name.to_owned()));
            }
            self.waits(at, index, &container);
        }
        if started || is_set_up(&object) {
            self.troubles.clear(&id, &Slot::Mount);
            self.troubles.clear(&id, &Slot::Sandbox);
        }
        for container in containers(&object) {
            self.restarts(at, index, &container, works);
        }
        self.half_dead(at, index);
    }

    /// A pod that restarts nothing, in which one container ended badly and others run on: it can only fail, and may never get
    /// to it. That is a verdict where nothing would replace it.
    fn half_dead(&mut self, at: Moment, index: usize) {
        let pod = &self.pods[index];
        let mains = || containers(&pod.object).filter(|container| container.role == Role::Main);
        if text(&pod.object, "/spec/restartPolicy") != "Never"
            || pod.is_over()
            || !mains().any(|container| container.running)
        {
            return;
        }
        let Some(dead) = mains().find(|container| container.ended.as_ref().is_some_and(|end| end.code != 0)) else {
            return;
        };
        if !self.is_last_try(index) {
            return;
        }
        let found = ending::half_dead(pod, dead.name);
        let (id, slot) = (pod.identity.clone(), Slot::Crash(dead.name.to_owned()));
        self.troubles.set(&id, slot, at, self.subject.graces.running_stable, Cure::None, found);
    }

    /// Whether nothing would replace a pod: it is judged itself, or the last that its Job may try.
    fn is_last_try(&self, index: usize) -> bool {
        let pod = &self.pods[index];
        let Some(judged) = self.whose_pod(index).map(|judged| &self.judged[judged]) else { return false };
        match (judged.object.kind.as_str(), &judged.seen, self.ownership.owner(&pod.identity)) {
            ("Pod", ..) => true,
            ("Job", Some(job), Some(owner)) => {
                let number = |pointer: &str| job.pointer(pointer).and_then(Json::as_u64);
                let failed = number("/status/failed").unwrap_or_default();
                owner.kind == "Job"
                    && number("/spec/backoffLimitPerIndex").is_none()
                    && number("/spec/backoffLimit").is_some_and(|limit| failed >= limit)
            }
            _ => false,
        }
    }

    /// Why a container does not start.
    fn waits(&mut self, at: Moment, index: usize, container: &Container<'_>) {
        let refused = container.ended.as_ref().filter(|end| starting::is_start_reason(&end.reason));
        let (reason, message) = match (container.waiting, refused) {
            (Some(waiting), _) => waiting,
            (None, Some(end)) => (end.reason.as_str(), end.message.as_str()),
            (None, None) => return,
        };
        if starting::is_image_reason(reason) {
            self.image(at, index, container.name, reason, message);
        } else if starting::is_start_reason(reason) {
            let pod = &self.pods[index];
            let reference = pod.reference();
            let said = Said { container: container.name, pod: &reference, image: "", reason, message };
            let (grace, found) = starting::start(&said, &self.subject.graces);
            let (id, found) = (pod.identity.clone(), found.by(Some(pod.culprit(container.name))));
            self.troubles.set(&id, Slot::Start(container.name.to_owned()), at, grace, Cure::None, found);
        }
    }

    fn image(&mut self, at: Moment, index: usize, container: &str, reason: &str, message: &str) {
        let pod = &mut self.pods[index];
        pod.pulling.remove(container);
        let slot = Slot::Image(container.to_owned());
        // While it backs off, older kubelets don't say why any more.
        let silent = reason == "ImagePullBackOff" && !message.contains(": ");
        if silent && self.troubles.get(&pod.identity, slot.clone()).is_some() {
            return;
        }
        let image = container_spec(&pod.object, container).map_or("", |spec| key(spec, "image"));
        let reference = pod.reference();
        let said = Said { container, pod: &reference, image, reason, message };
        let (grace, found) = starting::image(&said, &self.subject.graces);
        self.troubles.set(&pod.identity, slot, at, grace, Cure::None, found);
    }

    /// Whether a container restarts too often. `works`: a container that does the work runs, or ended well.
    fn restarts(&mut self, at: Moment, index: usize, container: &Container<'_>, works: bool) {
        let pod = &self.pods[index];
        let slot = Slot::Crash(container.name.to_owned());
        let id = pod.identity.clone();
        // Where nothing is restarted, `half_dead` keeps the slot.
        if text(&pod.object, "/spec/restartPolicy") == "Never" && container.role == Role::Main {
            return;
        }
        let ended_well = container.ended.as_ref().is_some_and(|end| end.code == 0) && !pod.restarts_always();
        let beside_the_work = container.role == Role::Sidecar && works;
        if container.restarts < self.subject.graces.crash_loop_restarts.max(1) || ended_well || beside_the_work {
            self.troubles.clear(&id, &slot);
            return;
        }
        // One that was just started again gets the chance to end well at once.
        let grace = if container.running { SETTLE } else { Duration::ZERO };
        let found = ending::crashes(pod, container, &self.subject.graces);
        // A Job counts the restarts of its pods, too.
        let owner = self.ownership.owner(&id).filter(|_| text(&pod.object, "/spec/restartPolicy") == "OnFailure");
        let cure = match owner {
            Some(owner) if self.patient_jobs.contains(&owner.uid) => Cure::Controller,
            _ => Cure::None,
        };
        self.troubles.set(&id, slot, at, grace, cure, found);
    }

    /// What makes a pod again when it is over, and which of its pods it then is: pods of one owner and place follow each other.
    pub(super) fn succession(&self, pod: &Pod) -> Option<(Named, String)> {
        let owner = self.ownership.owner(&pod.identity)?.clone();
        let place = match owner.kind.as_str() {
            "Job" => text(&pod.object, "/metadata/labels/batch.kubernetes.io~1job-completion-index"),
            "ReplicaSet" | "DaemonSet" | "ReplicationController" => "",
            _ => pod.name(),
        };
        Some((owner, place.to_owned()))
    }

    /// Pods that fail and are replaced come and go like containers that restart; one that succeeds begins the count anew.
    fn count_failures(&mut self, at: Moment, index: usize, first: bool) {
        let pod = &self.pods[index];
        let Some((owner, place)) = self.succession(pod) else { return };
        let same_name = place == pod.name();
        let slot = format!("{} {place}", owner.uid);
        let limit = self.subject.graces.crash_loop_restarts.max(1) as usize;
        let failed_by_itself = pod.disruption().is_none()
            && pod.bad_ends.values().any(|bad| !bad.killed && bad.role != Role::Sidecar)
            && (pod.phase() == "Failed" || (pod.gone && pod.phase() != "Succeeded" && same_name));
        if failed_by_itself {
            self.failures.entry(slot.clone()).or_default().entry(pod.identity.clone()).or_insert(at);
        }
        if let Some(at) = pod.succeeded {
            let last = self.successes.entry(slot.clone()).or_insert(at);
            *last = at.max(*last);
        }
        let Some(failed) = self.failures.get(&slot) else { return };
        let success = self.successes.get(&slot);
        let failures = failed.values().filter(|at| success.is_none_or(|success| *at > success)).count();
        if failures > limit || (first && same_name && failures >= limit) {
            let last = self.pods.iter().rev().find(|pod| failed.contains_key(&pod.identity)).unwrap_or(pod);
            let found = ending::replaced(last, failures);
            let cure = if self.patient_jobs.contains(&owner.uid) { Cure::Controller } else { Cure::None };
            self.troubles.set(&owner.uid, Slot::Crash(place), at, Duration::ZERO, cure, found);
            self.mentioned.insert(owner.uid.clone(), owner);
        } else if failures == 0 {
            self.troubles.clear(&owner.uid, &Slot::Crash(place));
        }
    }

    pub(super) fn pod_event(&mut self, at: Moment, index: usize, event: &Event<'_>) {
        let pod = &mut self.pods[index];
        if pod.is_over() {
            return;
        }
        let id = pod.identity.clone();
        let object: Arc<Json> = pod.object.clone();
        let started = |name: &str| {
            containers(&object).any(|container| {
                container.name == name && (container.running || container.ended.is_some() || container.restarts > 0)
            })
        };
        let set_up = is_set_up(&object) || containers(&object).any(|container| started(container.name));
        let container = event.container().unwrap_or_default();
        let graces = &self.subject.graces;
        // Images come after volumes and sandbox, and may take minutes.
        if ["Pulling", "Pulled", "Created", "Started"].contains(&event.reason) {
            self.troubles.clear(&id, &Slot::Mount);
            self.troubles.clear(&id, &Slot::Sandbox);
        }
        match event.reason {
            "Pulling" if !started(container) => {
                pod.pulling.entry(container.to_owned()).or_insert(at);
            }
            "Pulled" => {
                pod.pulling.remove(container);
                self.troubles.clear(&id, &Slot::Image(container.to_owned()));
            }
            "BackOff" => {
                pod.pulling.remove(container);
            }
            "Failed" if event.message.starts_with("Failed to pull image") && !started(container) => {
                // Failed to pull image "a:1": the cause
                let cause = event.message.split_once("\": ").map_or(event.message, |(_, cause)| cause);
                self.image(at, index, container, "ErrImagePull", cause);
            }
            "Unhealthy" => {
                pod.probes.insert(container.to_owned(), event.message.trim().trim_end_matches(':').to_owned());
            }
            "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" if !set_up => {
                let (grace, found) = starting::mount(&pod.reference(), event.reason, event.message, graces);
                // That it timed out says less than what was said before.
                let known = self.troubles.get(&id, Slot::Mount);
                if !known.is_some_and(|known| known.finding.outcome != found.outcome && grace >= known.grace) {
                    self.troubles.set(&id, Slot::Mount, at, grace, Cure::None, found);
                }
            }
            "FailedCreatePodSandBox" if !set_up => {
                let (grace, found) = starting::sandbox(&pod.reference(), event.reason, event.message, graces);
                self.troubles.set(&id, Slot::Sandbox, at, grace, Cure::None, found);
            }
            "FailedScheduling" if !pod.is_scheduled() => self.unschedulable(at, index, event.message),
            _ => {}
        }
    }
}

/// Whether a pod has its volumes and its sandbox, so that only images and containers are missing.
fn is_set_up(pod: &Json) -> bool {
    super::read::holds(pod, "PodReadyToStartContainers").is_some()
}

/// The names of the claims that a pod uses.
fn claims(pod: &Json) -> Vec<String> {
    let volumes = list(pod, "/spec/volumes").iter();
    let claim = |volume: &Json| match text(volume, "/persistentVolumeClaim/claimName") {
        "" if volume.get("ephemeral").is_some() => {
            Some(format!("{}-{}", text(pod, "/metadata/name"), key(volume, "name")))
        }
        "" => None,
        name => Some(name.to_owned()),
    };
    volumes.filter_map(claim).collect()
}
