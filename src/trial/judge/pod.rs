//! A pod as it is seen, and what is remembered of it.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::ownership::Named;
use super::read::{identity, is_going, key, list, text};
use crate::trial::{Culprit, Moment};

/// What a container is to its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// One of those that do the work.
    Main,
    /// One that has to end before they start.
    Init,
    /// An init container that goes on beside them (`restartPolicy: Always`), and whose end says nothing of the pod's.
    Sidecar,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub code: i64,
    /// `Error`, `OOMKilled`, `StartError`, `Completed`.
    pub reason: String,
    pub message: String,
}

impl End {
    fn read(state: &Json, which: &str) -> Option<Self> {
        let ended = state.get(which)?.get("terminated").filter(|ended| ended.is_object())?;
        Some(Self {
            code: ended.get("exitCode").and_then(Json::as_i64).unwrap_or_default(),
            reason: key(ended, "reason").to_owned(),
            message: key(ended, "message").to_owned(),
        })
    }
}

/// A container's status, as far as it is read.
pub struct Container<'a> {
    pub name: &'a str,
    pub role: Role,
    pub restarts: u32,
    /// Why it waits, and the text to it.
    pub waiting: Option<(&'a str, &'a str)>,
    pub running: bool,
    pub ready: bool,
    /// How it ended, unless it was started again.
    pub ended: Option<End>,
    /// How it ended the time before.
    pub ended_before: Option<End>,
}

impl Container<'_> {
    /// Whether the kubelet holds its next start back, because it ended so often.
    pub fn crashes(&self) -> bool {
        self.waiting.is_some_and(|(reason, _)| reason == "CrashLoopBackOff")
    }
}

/// The containers of a pod that have a status: first the init containers, in their order.
pub fn containers(pod: &Json) -> impl Iterator<Item = Container<'_>> {
    let of = |statuses: &'static str, specs: &'static str| {
        list(pod, statuses).iter().map(move |status| {
            let name = key(status, "name");
            let state = status.get("state").unwrap_or(&Json::Null);
            let waiting = state.get("waiting").filter(|waiting| waiting.is_object());
            let restarts = status.get("restartCount").and_then(Json::as_u64).unwrap_or_default();
            Container {
                name,
                role: match spec(pod, specs, name) {
                    _ if specs == "/spec/containers" => Role::Main,
                    Some(spec) if key(spec, "restartPolicy") == "Always" => Role::Sidecar,
                    _ => Role::Init,
                },
                restarts: u32::try_from(restarts).unwrap_or(u32::MAX),
                waiting: waiting.map(|waiting| (key(waiting, "reason"), key(waiting, "message"))),
                running: state.get("running").is_some_and(Json::is_object),
                ready: status.get("ready").and_then(Json::as_bool).unwrap_or_default(),
                ended: End::read(status, "state"),
                ended_before: End::read(status, "lastState"),
            }
        })
    };
    of("/status/initContainerStatuses", "/spec/initContainers")
        .chain(of("/status/containerStatuses", "/spec/containers"))
}

fn spec<'a>(pod: &'a Json, specs: &str, name: &str) -> Option<&'a Json> {
    list(pod, specs).iter().find(|spec| key(spec, "name") == name)
}

/// The specification of a container, init containers among them.
pub fn container_spec<'a>(pod: &'a Json, name: &str) -> Option<&'a Json> {
    spec(pod, "/spec/containers", name).or_else(|| spec(pod, "/spec/initContainers", name))
}

/// A container's bad end, kept after the pod is gone.
#[derive(Clone, Debug)]
pub struct BadEnd {
    pub role: Role,
    pub end: End,
    /// The run that ended so: 0 is the first.
    pub restart: u32,
    /// When a bad end of this container was seen first.
    pub first: Moment,
    /// Whether the pod was being deleted by then: it did not fail by itself.
    pub killed: bool,
}

/// The runs of a container: each of its starts begins one.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    /// The last one: 0 is the first.
    last: u32,
    /// Whether it still goes on.
    pub running: bool,
    /// When the last one was seen first.
    began: Moment,
    /// The same of the one before it.
    before: Option<Moment>,
    /// When one of them was first seen to have ended.
    pub first_end: Option<Moment>,
}

impl Runs {
    /// When the last of those that have ended began.
    pub fn ended_began(&self) -> Moment {
        self.before.filter(|_| self.running).unwrap_or(self.began)
    }
}

/// A pod, and what is remembered of it.
#[derive(Debug)]
pub struct Pod {
    pub object: Arc<Json>,
    pub identity: String,
    /// As a reference would name it.
    pub named: Named,
    pub first_seen: Moment,
    pub gone: bool,
    pub bad_ends: HashMap<String, BadEnd>,
    /// When a container last ended badly, or was last restarted.
    pub unrest: Option<Moment>,
    /// Whether a container of it ever ran.
    pub ran: bool,
    /// Since when all containers that do the work have ended well.
    pub work_done: Option<Moment>,
    /// The containers whose images are being pulled, and since when.
    pub pulling: HashMap<String, Moment>,
    /// The last message that said why a probe failed, by container.
    pub probes: HashMap<String, String>,
    /// By container, of those that were started.
    pub runs: HashMap<String, Runs>,
    /// When a container of it was last started.
    pub started: Option<Moment>,
    /// When it was first seen to be ready, or to have succeeded.
    pub up: Option<Moment>,
    /// When it was first seen to have succeeded.
    pub succeeded: Option<Moment>,
    restarts: u32,
}

impl Pod {
    /// A pod that is seen for the first time.
    pub fn new(at: Moment, object: &Arc<Json>) -> Self {
        Self {
            object: object.clone(),
            identity: identity(object),
            named: Named::of(object),
            first_seen: at,
            gone: false,
            bad_ends: HashMap::new(),
            unrest: None,
            ran: false,
            work_done: None,
            pulling: HashMap::new(),
            probes: HashMap::new(),
            runs: HashMap::new(),
            started: None,
            up: None,
            succeeded: None,
            restarts: 0,
        }
    }

    /// Its state is this now.
    pub fn see(&mut self, at: Moment, object: &Arc<Json>) {
        self.object = object.clone();
        let (mut works, mut done, mut restarts) = (0, 0, 0_u32);
        for container in containers(object) {
            restarts = restarts.saturating_add(container.restarts);
            let started = container.running || container.ended.is_some() || container.ended_before.is_some();
            if started {
                self.pulling.remove(container.name);
            }
            if started && container.role == Role::Main {
                self.ran = true;
            }
            if container.role == Role::Main {
                works += 1;
                done += usize::from(container.ended.as_ref().is_some_and(|end| end.code == 0));
            }
            self.remember(at, &container, is_going(object));
            self.note_run(at, &container);
        }
        if restarts > self.restarts {
            self.restarts = restarts;
            self.unrest = Some(at);
        }
        self.work_done = if works > 0 && works == done { self.work_done.or(Some(at)) } else { None };
        if self.is_over() {
            self.pulling.clear();
        }
        if self.phase() == "Succeeded" {
            self.succeeded.get_or_insert(at);
        }
        if self.succeeded.is_some() || super::read::holds(object, "Ready").is_some() {
            self.up.get_or_insert(at);
        }
    }

    fn note_run(&mut self, at: Moment, container: &Container<'_>) {
        // One that waits for its next start counts as many restarts as when its last run ended.
        let ended = container.ended.is_some() || container.ended_before.is_some();
        if !container.running && !ended {
            return;
        }
        let (last, running) = (container.restarts, container.running);
        let runs = if let Some(runs) = self.runs.get_mut(container.name) {
            runs
        } else {
            self.started = Some(at);
            let first = Runs { last, running, began: at, before: None, first_end: None };
            self.runs.entry(container.name.to_owned()).or_insert(first)
        };
        if last > runs.last {
            self.started = Some(at);
            (runs.last, runs.before, runs.began) = (last, Some(runs.began), at);
        }
        runs.running = running;
        if ended {
            runs.first_end.get_or_insert(at);
        }
    }

    fn remember(&mut self, at: Moment, container: &Container<'_>, going: bool) {
        let now = container.ended.as_ref().map(|end| (end, container.restarts));
        let before = container.ended_before.as_ref().map(|end| (end, container.restarts.saturating_sub(1)));
        let Some((end, restart)) = [now, before].into_iter().flatten().find(|(end, _)| end.code != 0) else { return };
        match self.bad_ends.get_mut(container.name) {
            Some(known) if known.restart == restart && known.end == *end => {}
            Some(known) => {
                (known.end, known.restart) = (end.clone(), restart);
                self.unrest = Some(at);
            }
            None => {
                let bad = BadEnd { role: container.role, end: end.clone(), restart, first: at, killed: going };
                self.bad_ends.insert(container.name.to_owned(), bad);
                self.unrest = Some(at);
            }
        }
    }

    pub fn name(&self) -> &str {
        text(&self.object, "/metadata/name")
    }

    /// `Pod/name`.
    pub fn reference(&self) -> String {
        format!("Pod/{}", self.name())
    }

    pub fn phase(&self) -> &str {
        text(&self.object, "/status/phase")
    }

    /// Whether nothing of it runs, or will.
    pub fn is_over(&self) -> bool {
        self.gone || matches!(self.phase(), "Succeeded" | "Failed")
    }

    /// Whether it has a node.
    pub fn is_scheduled(&self) -> bool {
        !text(&self.object, "/spec/nodeName").is_empty() || super::read::holds(&self.object, "PodScheduled").is_some()
    }

    /// Whether it is there for good: neither gone nor being deleted.
    pub fn stays(&self) -> bool {
        !self.gone && !is_going(&self.object)
    }

    /// Whether it restarts whatever ends.
    pub fn restarts_always(&self) -> bool {
        matches!(text(&self.object, "/spec/restartPolicy"), "" | "Always")
    }

    /// Whether a container of it ended badly, or was restarted.
    pub fn has_crashed(&self) -> bool {
        self.restarts > 0 || !self.bad_ends.is_empty()
    }

    /// Whether each of its containers has a probe that says when it is ready; without one it is as soon as it is started.
    pub fn is_probed(&self) -> bool {
        let probed = |spec: &Json| spec.get("readinessProbe").is_some_and(Json::is_object);
        list(&self.object, "/spec/containers").iter().all(probed)
    }

    /// The condition that says that something else than the pod itself ends it: an eviction, a preemption, a lost node.
    pub fn disruption(&self) -> Option<&Json> {
        super::read::holds(&self.object, "DisruptionTarget")
    }

    /// A container of it, to blame, in the run that ended badly (else in the one that runs).
    pub fn culprit(&self, container: &str) -> Culprit {
        let status = containers(&self.object).find(|status| status.name == container);
        let now = status.map_or(0, |status| status.restarts);
        let restart = self.bad_ends.get(container).map_or(now, |bad| bad.restart);
        Culprit { pod: self.name().to_owned(), container: container.to_owned(), restart }
    }
}
