//! Taking in changes: who they are about, and what they say of the judged objects and of what those own.

use std::sync::Arc;

use serde_json::Value as Json;

use super::finding::{Cure, Finding, Slot};
use super::ownership::Named;
use super::read::{self, Event, group, holds, identity, key, list, text, version};
use super::time::REAPPEAR;
use super::{Events, Judge, JudgedObject, creating, scheduling};
use crate::framework::State;
use crate::model::CauseClass;
use crate::trial::{Change, Moment};

/// Where an object says that nothing of it shall run for now, besides what its framework calls suspended.
const HELD: [(&str, &str, &str, &str); 2] = [
    ("apps", "Deployment", "/spec/paused", "DeploymentPaused"),
    ("batch", "Job", "/spec/parallelism", "NoParallelism"),
];

/// The `backoffLimit` of a Job that has none.
const DEFAULT_BACKOFF: u64 = 6;

impl Judge {
    pub(super) fn take_in(&mut self, at: Moment, change: &Change) {
        let object = change.object();
        match (group(key(object, "apiVersion")), key(object, "kind")) {
            ("" | "events.k8s.io", "Event") => {
                self.events.note(object);
                if matches!(change, Change::Seen(_)) {
                    self.event(at, object);
                }
            }
            ("", "Node") => self.node(at, change),
            (group, kind) => {
                let first = self.ownership.note(object);
                self.accompany(object);
                let target = |target: &super::Target| {
                    target.kind == kind && target.group == group && target.name == text(object, "/metadata/name")
                };
                let index = self.targets.iter().position(target);
                if let Some(index) = index {
                    self.judged_object(at, index, change);
                }
                if kind == "Pod" && group.is_empty() {
                    self.pod(at, change);
                } else if kind == "PersistentVolumeClaim" && group.is_empty() {
                    self.claim(change);
                } else if kind == "Job" && group == "batch" && self.is_patient(object) {
                    self.patient_jobs.insert(identity(object));
                }
                if index.is_none() {
                    self.child(at, object, first);
                }
            }
        }
    }

    /// Whether a Job says itself how often it may fail, and that more often than what counts as a crash loop. Such a number is
    /// finite, and where it is reached the Job says so. (A Job that says nothing gets 6 from the API server.)
    fn is_patient(&self, job: &Json) -> bool {
        let limit = job.pointer("/spec/backoffLimit").and_then(Json::as_u64);
        let more = |limit: u64| limit > u64::from(self.subject.graces.crash_loop_restarts) && limit != DEFAULT_BACKOFF;
        let says = |field: &str| job.pointer(field).is_some_and(|value| !value.is_null());
        limit.is_some_and(more) || says("/spec/backoffLimitPerIndex") || says("/spec/podFailurePolicy")
    }

    /// Judges an object that a script made.
    fn accompany(&mut self, object: &Json) {
        let (api_version, kind, name) =
            (key(object, "apiVersion"), key(object, "kind"), text(object, "/metadata/name"));
        if !self.subject.companion || name.is_empty() || !list(object, "/metadata/ownerReferences").is_empty() {
            return;
        }
        let known =
            |target: &super::Target| target.kind == kind && target.name == name && target.group == group(api_version);
        if self.targets.iter().any(known) {
            return;
        }
        if let Some(framework) = self.subject.frameworks.describe(group(api_version), version(api_version), kind) {
            let (api_version, kind, name) = (api_version.to_owned(), kind.to_owned(), name.to_owned());
            self.add(JudgedObject { api_version, kind, name, framework });
        }
    }

    fn judged_object(&mut self, at: Moment, index: usize, change: &Change) {
        let object = change.object();
        let id = identity(object);
        let state = self.judged[index].object.framework.state(object);
        match &state {
            Ok(_) => self.troubles.clear(&id, &Slot::Unreadable),
            Err(error) => {
                let message = format!("the state of {} can't be told: {error}", read::reference(object));
                let hint = "correct the expression in the framework's description";
                let found = Finding::errored(CauseClass::Internal, "FrameworkExpression", message, hint);
                let grace = self.subject.graces.create_failed;
                self.troubles.set(&id, Slot::Unreadable, at, grace, Cure::None, found.of(read::reference(object)));
            }
        }
        let mut state = state.unwrap_or(State::Pending);
        let held = held(object);
        if held.is_some() && !matches!(state, State::Succeeded | State::Failed) {
            state = State::Suspended;
        }
        self.targets[index].uid.clone_from(&id);
        let gone = matches!(change, Change::Gone(_));
        self.hold(at, object, state == State::Suspended && !gone, held);
        let judged = &mut self.judged[index];
        let finishes = judged.object.framework.finishes;
        let ended = matches!(state, State::Succeeded | State::Failed);
        if judged.seen.is_none() || judged.state != state {
            (judged.state, judged.since) = (state, at);
        }
        let runs = state == State::Succeeded || (state == State::Running && (finishes || runs_by_phase(object)));
        judged.runs = if runs { judged.runs.or(Some(at)) } else { None };
        judged.progress = at;
        judged.gone = gone;
        judged.selector = judged.object.framework.pod_selector(object);
        judged.seen = Some(object.clone());
        if matches!(state, State::Running | State::Succeeded) {
            self.phases.running.get_or_insert(at);
        }
        self.ended_early(at, object, &id, gone && !self.subject.companion && !ended);
        self.signs_of_controllers(at, object, &id);
    }

    /// A judged object that was deleted before it ended.
    fn ended_early(&mut self, at: Moment, object: &Json, id: &str, early: bool) {
        if !early {
            self.troubles.clear(id, &Slot::Ended);
            return;
        }
        let reference = read::reference(object);
        let message = format!("{reference} was deleted before it said how it ended");
        let hint =
            "something outside of this run deleted it: look at the operator's log, and at its ttlSecondsAfterFinished";
        let found = Finding::errored(CauseClass::Cluster, "Deleted", message, hint).of(reference);
        self.troubles.set(id, Slot::Ended, at, REAPPEAR, Cure::None, found);
    }

    /// A judged object that somebody has to resume.
    fn hold(&mut self, at: Moment, object: &Json, suspended: bool, held: Option<&str>) {
        let id = identity(object);
        if !suspended {
            self.troubles.clear(&id, &Slot::Held);
            return;
        }
        let reference = read::reference(object);
        let queued = held.is_none() && read::is_queued(object);
        let (reason, message, hint) = match held {
            Some(reason @ "DeploymentPaused") => (reason, "is paused, and nobody resumes it", "remove spec.paused"),
            Some(reason) => (reason, "is suspended: its parallelism is 0", "give it a parallelism of 1 or more"),
            None if key(object, "kind") == "Pod" => (
                "SchedulingGated",
                "is suspended by its scheduling gates, and nobody lifts them",
                "remove spec.schedulingGates",
            ),
            None if queued => (
                "Suspended",
                "is suspended: it waits for its Kueue queue, which does not admit it",
                "give the queue the quota it needs",
            ),
            None => (
                "Suspended",
                "is suspended, and nobody resumes it",
                "remove suspend, or mark the example `support: true`",
            ),
        };
        let found =
            Finding::failed(CauseClass::Scheduling, reason, format!("{reference} {message}"), hint).of(reference);
        let cure = if queued { Cure::Queue } else { Cure::None };
        self.troubles.set(&id, Slot::Held, at, self.subject.graces.suspended, cure, found);
    }

    /// What built-in controllers say in an object's status.
    fn signs_of_controllers(&mut self, at: Moment, object: &Json, id: &str) {
        let slot = Slot::Create("ReplicaFailure".to_owned());
        match holds(object, "ReplicaFailure") {
            Some(condition) => {
                let (found, cure) =
                    creating::create(&read::reference(object), key(condition, "reason"), key(condition, "message"));
                self.troubles.set(id, slot, at, self.subject.graces.create_failed, cure, found);
            }
            None => self.troubles.clear(id, &slot),
        }
        let status = |field: &str| object.pointer(&format!("/status/{field}")).and_then(Json::as_i64);
        if key(object, "kind") == "DaemonSet"
            && status("observedGeneration") > Some(0)
            && status("desiredNumberScheduled") == Some(0)
        {
            let reference = read::reference(object);
            let message = format!("{reference} is meant for no node of this cluster");
            let hint = "no node has the labels that its nodeSelector or affinity asks for, or all have taints that it does not tolerate";
            let found = Finding::failed(CauseClass::Scheduling, "Unschedulable", message, hint).of(reference);
            self.troubles.set(id, Slot::Schedule, at, self.subject.graces.unschedulable, Cure::None, found);
        } else if key(object, "kind") != "Pod" {
            self.troubles.clear(id, &Slot::Schedule);
        }
    }

    /// Something that is not judged itself, and may belong to what is.
    fn child(&mut self, at: Moment, object: &Arc<Json>, first: bool) {
        let named = Named::of(object);
        if first && let Some(owner) = self.ownership.owner(&named.uid).map(|owner| owner.uid.clone()) {
            // What could not be made is there now.
            let made = |reason: &str| match reason.strip_prefix("FailedCreate") {
                Some("") => named.kind == "Pod",
                Some(kind) => kind == named.kind && kind != "Service",
                None => reason.contains("Creat"),
            };
            self.troubles.clear_where(&owner, |slot, _| matches!(slot, Slot::Create(reason) if made(reason)));
        }
        let Some(index) = self.ownership.judged(&named, &self.targets) else { return };
        self.judged[index].progress = at;
        let is_job = named.kind == "Job" && group(&named.api_version) == "batch";
        if is_job && self.targets[index].kind == "CronJob" && self.targets[index].group == "batch" {
            let failed = holds(object, "Failed").or_else(|| holds(object, "FailureTarget")).is_some();
            if failed && self.judged[index].failed_child.is_none() && self.judged[index].state != State::Succeeded {
                self.judged[index].failed_child = Some(object.clone());
                self.judged[index].since = at;
            }
        }
    }

    pub(super) fn event(&mut self, at: Moment, object: &Arc<Json>) {
        let Some(event) = Event::read(object) else { return };
        let mut about = Named::read(event.about);
        if about.uid.is_empty() {
            about.uid = format!("{}/{}", about.kind, about.name);
        }
        match about.kind.as_str() {
            "Pod" if group(&about.api_version).is_empty() => match self.pod_index.get(&about.uid) {
                Some(&pod) => self.pod_event(at, pod, &event),
                None => self.early.entry(about.uid).or_default().push(object.clone()),
            },
            "PersistentVolumeClaim" => {
                if ["ProvisioningFailed", "FailedBinding", "VolumeMismatch"].contains(&event.reason) {
                    self.claims.insert(about.name.clone(), event.message.to_owned());
                    self.claim_waits(at, &about.name);
                }
            }
            _ => self.controller_event(at, about, &event),
        }
    }

    /// What a controller says of an object that is judged, or that such a one owns.
    fn controller_event(&mut self, at: Moment, about: Named, event: &Event<'_>) {
        if !event.warning {
            self.troubles.clear_where(&about.uid, |slot, trouble| {
                matches!(slot, Slot::Create(failure)
                    if creating::ends(failure, &trouble.finding.message, event.reason, event.message))
            });
            return;
        }
        if self.ownership.judged(&about, &self.targets).is_none() {
            return;
        }
        let reference = format!("{}/{}", about.kind, about.name);
        let grace = self.subject.graces.create_failed;
        match creating::read(&reference, event.reason, event.message) {
            creating::Warning::Idle => {}
            creating::Warning::Create(found, cure) => {
                self.troubles.set(&about.uid, Slot::Create(event.reason.to_owned()), at, grace, cure, *found);
            }
            creating::Warning::Other(found) => {
                self.troubles.set(&about.uid, Slot::Warned, at, grace, Cure::None, *found);
            }
        }
        self.mentioned.insert(about.uid.clone(), about);
    }

    fn node(&mut self, at: Moment, change: &Change) {
        let object = change.object();
        let name = text(object, "/metadata/name");
        let ready = list(object, "/status/conditions").iter().find(|condition| key(condition, "type") == "Ready");
        let tainted = |taint: &Json| scheduling::is_of_cluster(key(taint, "key"));
        if matches!(change, Change::Seen(_)) && list(object, "/spec/taints").iter().any(tainted) {
            self.unfit_nodes.insert(name.to_owned());
        } else {
            self.unfit_nodes.remove(name);
        }
        let why = match (change, ready) {
            (Change::Gone(_), _) => Some("it was removed from the cluster"),
            (Change::Seen(_), Some(condition)) if key(condition, "status") != "True" => Some(key(condition, "message")),
            _ => None,
        };
        match why {
            Some(why) => {
                self.ill_nodes.entry(name.to_owned()).or_insert_with(|| (at, why.to_owned()));
            }
            None => {
                self.ill_nodes.remove(name);
            }
        }
    }
}

impl Events {
    fn note(&mut self, object: &Arc<Json>) {
        let next = self.all.len();
        let index = *self.index.entry(identity(object)).or_insert(next);
        match self.all.get_mut(index) {
            Some(known) => known.clone_from(object),
            None => self.all.push(object.clone()),
        }
    }
}

/// Why nothing of the object shall run, by one of its own fields.
fn held(object: &Json) -> Option<&'static str> {
    let of = (group(key(object, "apiVersion")), key(object, "kind"));
    let (_, _, pointer, reason) = HELD.iter().find(|(group, kind, ..)| (*group, *kind) == of)?;
    let value = object.pointer(pointer)?;
    (value == &Json::Bool(true) || value.as_i64() == Some(0)).then_some(*reason)
}

/// A pod that ends is running while it runs; one that restarts for ever is not ready yet.
fn runs_by_phase(object: &Json) -> bool {
    key(object, "kind") == "Pod" && !matches!(text(object, "/spec/restartPolicy"), "" | "Always")
}
