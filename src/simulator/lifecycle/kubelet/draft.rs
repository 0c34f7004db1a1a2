//! A pod's next status, and what is told of the way to it.

use serde_json::{Value as Json, json};

use super::super::action::{Action, Cue, Happening, PodCue, pod_key};
use super::super::object::{is_true, list, name, namespace, now, number, text, uid};
use super::super::pace::Delay;

/// What the kubelet calls itself in events.
const KUBELET: &str = "kubelet";

/// A pod's next status, and what is told of the way to it.
pub(super) struct Draft<'a> {
    pub pod: &'a Json,
    status: Json,
    pub actions: Vec<Action>,
}

/// How far a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has no sandbox yet.
    Early,
    /// It is at work.
    Alive,
    /// All its containers have ended, well or not; the sandbox is still there.
    Ended { well: bool },
    /// It is over.
    Over { well: bool },
}

impl<'a> Draft<'a> {
    pub fn new(pod: &'a Json) -> Self {
        let status = pod.get("status").cloned().unwrap_or_else(|| json!({}));
        Self { pod, status, actions: Vec::new() }
    }

    /// Tells of something, about a container or the whole pod.
    pub fn tell(&mut self, warning: bool, reason: &str, message: impl Into<String>, container: Option<&str>) {
        let mut happening = Happening::normal(self.pod, KUBELET, reason, message);
        happening.warning = warning;
        text(self.pod, "/spec/nodeName").clone_into(&mut happening.host);
        if let Some(container) = container {
            let field = if is_init(self.pod, container) { "initContainers" } else { "containers" };
            happening.about["fieldPath"] = format!("spec.{field}{{{container}}}").into();
        }
        self.actions.push(Action::Tell(happening));
    }

    /// Takes the next step later.
    pub fn later(&mut self, delay: Delay, cue: PodCue) {
        self.actions.push(Action::Later(delay, pod_key(self.pod), uid(self.pod).to_owned(), Cue::Pod(cue)));
    }

    /// Remembers something.
    pub fn mark(&mut self, mark: impl Into<String>) {
        self.actions.push(Action::Mark(uid(self.pod).to_owned(), mark.into()));
    }

    /// The first status of a pod on a node: every container waits.
    pub fn arrive(&mut self) {
        let has_inits = !list(self.pod, "/spec/initContainers").is_empty();
        let reason = if has_inits { "PodInitializing" } else { "ContainerCreating" };
        let waiting = |container: &Json| {
            json!({"name": text(container, "/name"), "state": {"waiting": {"reason": reason}}, "lastState": {},
                "ready": false, "restartCount": 0, "image": text(container, "/image"), "imageID": "", "started": false})
        };
        let mut mains: Vec<_> = list(self.pod, "/spec/containers").iter().map(waiting).collect();
        mains.sort_by(|a, b| text(a, "/name").cmp(text(b, "/name")));
        self.status["observedGeneration"] = number(self.pod, "/metadata/generation").unwrap_or(1).into();
        self.status["hostIP"] = "10.0.0.2".into();
        self.status["hostIPs"] = json!([{"ip": "10.0.0.2"}]);
        self.status["startTime"] = now().into();
        if has_inits {
            self.status["initContainerStatuses"] = list(self.pod, "/spec/initContainers").iter().map(waiting).collect();
        }
        self.status["containerStatuses"] = mains.into();
    }

    /// Gives the pod an address.
    pub fn address(&mut self) {
        let bytes = uid(self.pod).as_bytes();
        let part = |at: usize| bytes.get(at).copied().map_or(1, |byte| u16::from(byte) * 7 % 250 + 2);
        let ip = format!("10.244.{}.{}", part(0).wrapping_add(part(2)) % 250, part(1).wrapping_add(part(3)) % 250 + 2);
        self.status["podIPs"] = json!([{"ip": &ip}]);
        self.status["podIP"] = ip.into();
    }

    /// A container's status.
    pub fn container(&self, name: &str) -> Option<&Json> {
        ["/initContainerStatuses", "/containerStatuses"]
            .iter()
            .flat_map(|place| list(&self.status, place))
            .find(|status| text(status, "/name") == name)
    }

    fn container_mut(&mut self, name: &str) -> Option<&mut Json> {
        let place = if is_init(self.pod, name) { "initContainerStatuses" } else { "containerStatuses" };
        self.status.get_mut(place)?.as_array_mut()?.iter_mut().find(|status| text(status, "/name") == name)
    }

    /// A container waits.
    pub fn wait(&mut self, name: &str, reason: &str, message: &str) {
        let Some(status) = self.container_mut(name) else { return };
        if status.pointer("/state/terminated").is_some() {
            status["lastState"] = status["state"].clone();
        }
        status["state"] = json!({"waiting": {"reason": reason, "message": message}});
        status["ready"] = false.into();
        status["started"] = false.into();
    }

    /// A container runs.
    pub fn run(&mut self, name: &str, restart: u32, ready: bool) {
        let id = container_id(self.pod, name, restart);
        let Some(status) = self.container_mut(name) else { return };
        if status.pointer("/state/terminated").is_some() {
            status["lastState"] = status["state"].clone();
        }
        status["state"] = json!({"running": {"startedAt": now()}});
        status["restartCount"] = restart.into();
        status["ready"] = ready.into();
        status["started"] = true.into();
        status["imageID"] = format!("sha256:{:0<64}", hex(text(status, "/image"))).into();
        status["containerID"] = id.into();
    }

    /// A container becomes ready.
    pub fn ready(&mut self, name: &str) {
        if let Some(status) = self.container_mut(name) {
            status["ready"] = true.into();
        }
    }

    /// A container has ended.
    pub fn end(&mut self, name: &str, restart: u32, code: i32, reason: &str, message: Option<&str>) {
        let (id, is_init) = (container_id(self.pod, name, restart), is_init(self.pod, name));
        let Some(status) = self.container_mut(name) else { return };
        let started = match status.pointer("/state/running/startedAt") {
            Some(started) => started.clone(),
            None => "1970-01-01T00:00:00Z".into(),
        };
        let mut ended = json!({"exitCode": code, "reason": reason});
        if let Some(message) = message {
            ended["message"] = message.into();
        }
        ended["startedAt"] = started;
        ended["finishedAt"] = now().into();
        ended["containerID"] = id.clone().into();
        if status.pointer("/state/terminated").is_some() {
            status["lastState"] = status["state"].clone();
        }
        status["state"] = json!({"terminated": ended});
        status["ready"] = (is_init && code == 0).into();
        status["started"] = false.into();
        status["restartCount"] = restart.into();
        status["containerID"] = id.into();
    }

    /// Whether every init container has done its part.
    pub fn is_initialized(&self) -> bool {
        list(self.pod, "/spec/initContainers").iter().all(|container| {
            let Some(status) = self.container(text(container, "/name")) else { return false };
            number(status, "/state/terminated/exitCode") == Some(0)
                || (is_sidecar(container) && is_true(status, "/started"))
                || (is_sidecar(container) && status.pointer("/state/terminated").is_some())
        })
    }

    /// How the pod ends, if all its containers have ended for good.
    pub fn ending(&self) -> Option<bool> {
        let policy = restart_policy(self.pod);
        let codes = |place| list(&self.status, place).iter();
        let code = |status: &Json| number(status, "/state/terminated/exitCode");
        let is_plain = |status: &&Json| {
            let container = find_container(self.pod, text(status, "/name"));
            container.is_none_or(|container| !is_sidecar(container))
        };
        let init_failed =
            codes("/initContainerStatuses").filter(is_plain).any(|status| code(status).is_some_and(|code| code != 0));
        if init_failed && policy == "Never" {
            return Some(false);
        }
        let mut well = true;
        for status in codes("/containerStatuses") {
            match (code(status), policy) {
                (Some(0), "Never" | "OnFailure") => {}
                (Some(_), "Never") => well = false,
                _ => return None,
            }
        }
        Some(well)
    }

    /// Writes the status down, with the phase and conditions of this stage.
    pub fn commit(&mut self, stage: Stage) {
        let before = self.status["conditions"].clone();
        self.status["phase"] = self.phase(stage).into();
        let mut conditions = Vec::new();
        for (kind, state) in self.conditions(stage) {
            conditions.push(settle(&before, self.pod, kind, &state));
        }
        self.status["conditions"] = conditions.into();
        self.actions.push(Action::Status(pod_key(self.pod), self.status.clone()));
    }

    fn phase(&self, stage: Stage) -> &'static str {
        let has_run = |status: &Json| {
            let is_start_error = text(status, "/state/terminated/reason") == "StartError";
            status.pointer("/state/running").is_some()
                || (status.pointer("/state/terminated").is_some() && !is_start_error)
                || status.pointer("/lastState/terminated").is_some()
        };
        match stage {
            Stage::Over { well: true } => "Succeeded",
            Stage::Over { well: false } => "Failed",
            _ if self.is_initialized() && list(&self.status, "/containerStatuses").iter().any(has_run) => "Running",
            _ => "Pending",
        }
    }

    fn conditions(&self, stage: Stage) -> Vec<(&'static str, State)> {
        let over = match stage {
            Stage::Ended { well } | Stage::Over { well } => Some(well),
            _ => None,
        };
        let names =
            |statuses: Vec<&Json>| statuses.iter().map(|status| text(status, "/name")).collect::<Vec<_>>().join(" ");
        let is_initialized = self.is_initialized();
        let initialized = match over {
            Some(true) => State::new(true, "PodCompleted", String::new()),
            _ if is_initialized => State::new(true, "", String::new()),
            _ => {
                let open = list(&self.status, "/initContainerStatuses")
                    .iter()
                    .filter(|status| !is_true(status, "/ready"))
                    .collect();
                State::new(
                    false,
                    "ContainersNotInitialized",
                    format!("containers with incomplete status: [{}]", names(open)),
                )
            }
        };
        let unready: Vec<_> =
            list(&self.status, "/containerStatuses").iter().filter(|status| !is_true(status, "/ready")).collect();
        let ready = match over {
            Some(true) => State::new(false, "PodCompleted", String::new()),
            Some(false) => State::new(false, "PodFailed", String::new()),
            None if unready.is_empty() => State::new(true, "", String::new()),
            None => {
                State::new(false, "ContainersNotReady", format!("containers with unready status: [{}]", names(unready)))
            }
        };
        let has_sandbox = matches!(stage, Stage::Alive | Stage::Ended { .. });
        vec![
            ("PodReadyToStartContainers", State::new(has_sandbox, "", String::new())),
            ("Initialized", initialized),
            ("Ready", ready.clone()),
            ("ContainersReady", ready),
            ("PodScheduled", State::new(true, "", String::new())),
        ]
    }
}

/// What a condition says.
#[derive(Clone, Debug)]
pub(in super::super) struct State {
    holds: bool,
    reason: &'static str,
    message: String,
}

impl State {
    pub fn new(holds: bool, reason: &'static str, message: String) -> Self {
        Self { holds, reason, message }
    }
}

/// A pod's condition; its time is kept where its status did not change.
pub(in super::super) fn settle(before: &Json, pod: &Json, kind: &str, state: &State) -> Json {
    let status = if state.holds { "True" } else { "False" };
    let old = before.as_array().into_iter().flatten().find(|condition| text(condition, "/type") == kind);
    let since = old.filter(|old| text(old, "/status") == status).map(|old| old["lastTransitionTime"].clone());
    let mut condition = json!({"type": kind, "observedGeneration": number(pod, "/metadata/generation").unwrap_or(1),
        "status": status, "lastProbeTime": null, "lastTransitionTime": since.unwrap_or_else(|| now().into())});
    for (field, value) in [("reason", state.reason), ("message", state.message.as_str())] {
        if !value.is_empty() {
            condition[field] = value.into();
        }
    }
    condition
}

/// A pod's restart policy.
pub(super) fn restart_policy(pod: &Json) -> &str {
    match text(pod, "/spec/restartPolicy") {
        "" => "Always",
        policy => policy,
    }
}

/// A container of a pod.
pub(super) fn find_container<'a>(pod: &'a Json, name: &str) -> Option<&'a Json> {
    let all = list(pod, "/spec/initContainers").iter().chain(list(pod, "/spec/containers"));
    all.into_iter().find(|container| text(container, "/name") == name)
}

pub(super) fn is_init(pod: &Json, name: &str) -> bool {
    list(pod, "/spec/initContainers").iter().any(|container| text(container, "/name") == name)
}

/// Whether an init container runs beside the others.
pub(super) fn is_sidecar(container: &Json) -> bool {
    text(container, "/restartPolicy") == "Always"
}

/// How the kubelet names a pod in messages.
pub(super) fn pod_id(pod: &Json) -> String {
    format!("{}_{}({})", name(pod), namespace(pod), uid(pod))
}

fn container_id(pod: &Json, container: &str, restart: u32) -> String {
    format!("containerd://{:0<64}", hex(&format!("{restart}{container}{}", uid(pod))))
}

/// The first bytes of a text in hexadecimal, at most 64 digits.
fn hex(text: &str) -> String {
    text.bytes().take(32).map(|byte| format!("{byte:02x}")).collect()
}
