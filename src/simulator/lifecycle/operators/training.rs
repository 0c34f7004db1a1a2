//! Kubeflow's Training Operator v1 (`pkg/controller.v1/*`; held to recordings of v1.9.4).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::super::action::{Action, CreatePod, Cue, Happening, pod_key};
use super::super::controllers::workload::set_condition;
use super::super::object::{
    condition, has_ended, is_deleting, is_true, list, name, namespace, now, number, owner_reference, text, uid,
};
use super::super::pace::{Delay, Step};
use super::super::world::World;
use super::mpi;
use super::replicas::{Replica, in_phase};
use super::surroundings::{self, Place};
use crate::simulator::store::{Key, Propagation};

/// A kind of job of the Training Operator.
pub(super) struct Training {
    /// The kind.
    pub kind: &'static str,
    /// Where its replicas are.
    pub specs: &'static str,
    /// Its main container.
    pub container: &'static str,
    /// The port of its services; none if it has no services.
    pub port: Option<(&'static str, u16)>,
    /// What its controller calls itself in events.
    pub by: &'static str,
    /// The replicas that decide, if it has one of them; else the workers do.
    pub chiefs: &'static [&'static str],
    /// The restart policy where none is given.
    pub restart: &'static str,
    /// Whether messages name the namespace even where a chief decides.
    pub full_names: bool,
    /// What a failure is called.
    pub failed: &'static str,
    /// Whether its replica statuses have selectors.
    pub selectors: bool,
    /// What each replica finds in its environment.
    pub env: fn(&Place<'_>) -> Vec<Json>,
}

const KINDS: &[Training] = &[
    Training {
        kind: "PyTorchJob",
        specs: "pytorchReplicaSpecs",
        container: "pytorch",
        port: Some(("pytorchjob-port", 23456)),
        by: "pytorchjob-controller",
        chiefs: &["Master"],
        restart: "OnFailure",
        full_names: false,
        failed: "is failed",
        selectors: true,
        env: surroundings::pytorch,
    },
    Training {
        kind: "TFJob",
        specs: "tfReplicaSpecs",
        container: "tensorflow",
        port: Some(("tfjob-port", 2222)),
        by: "tfjob-controller",
        chiefs: &["Chief", "Master"],
        restart: "Never",
        full_names: true,
        failed: "has failed",
        selectors: false,
        env: surroundings::tensorflow,
    },
    Training {
        kind: "XGBoostJob",
        specs: "xgbReplicaSpecs",
        container: "xgboost",
        port: Some(("xgboostjob-port", 9999)),
        by: "xgboostjob-controller",
        chiefs: &["Master"],
        restart: "Never",
        full_names: false,
        failed: "is failed",
        selectors: false,
        env: surroundings::xgboost,
    },
    Training {
        kind: "PaddleJob",
        specs: "paddleReplicaSpecs",
        container: "paddle",
        port: Some(("master", 36543)),
        by: "paddlejob-controller",
        chiefs: &["Master"],
        restart: "OnFailure",
        full_names: false,
        failed: "is failed",
        selectors: true,
        env: surroundings::paddle,
    },
    Training {
        kind: "JAXJob",
        specs: "jaxReplicaSpecs",
        container: "jax",
        port: Some(("jaxjob-port", 6666)),
        by: "jaxjob-controller",
        chiefs: &[],
        restart: "OnFailure",
        full_names: false,
        failed: "is failed",
        selectors: true,
        env: surroundings::jax,
    },
    Training {
        kind: "MPIJob",
        specs: "mpiReplicaSpecs",
        container: "mpi",
        port: None,
        by: "mpijob-controller",
        chiefs: &["Launcher"],
        restart: "Never",
        full_names: false,
        failed: "is failed",
        selectors: false,
        env: surroundings::mpi,
    },
];

/// The longest name of a Service.
const LONGEST_NAME: usize = 63;

/// The kind of this name.
pub(super) fn find(kind: &str) -> Option<&'static Training> {
    KINDS.iter().find(|known| known.kind == kind)
}

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

    /// Creates the pods and services that are missing; false if a service cannot be.
    fn create_missing(&mut self, cue: &Cue, world: World<'_>) -> bool {
        let turn = if let Cue::Again(turn) = cue { *turn } else { 0 };
        let mut is_whole = true;
        if self.training.kind == "MPIJob" {
            self.actions.extend(mpi::prepare(self.job, self.replicas, world));
        }
        for replica in self.replicas {
            for index in 0..replica.count() {
                let own = self.pod_name(replica, index);
                if !self.pods.iter().any(|pod| name(pod) == own) {
                    self.create_pod(replica, index, &own, turn, world);
                }
                is_whole &= self.create_service(replica, index, &own, cue, world);
            }
        }
        is_whole
    }

    fn pod_name(&self, replica: &Replica<'_>, index: usize) -> String {
        match replica.kind {
            "Launcher" => format!("{}-launcher", name(self.job)),
            _ => format!("{}-{}-{index}", name(self.job), replica.lower()),
        }
    }

    fn labels(&self, replica: &Replica<'_>, index: usize) -> Json {
        let mut labels = json!({
            "training.kubeflow.org/job-name": name(self.job),
            "training.kubeflow.org/operator-name": self.training.by,
            "training.kubeflow.org/replica-type": replica.lower(),
        });
        if replica.kind != "Launcher" {
            labels["training.kubeflow.org/replica-index"] = index.to_string().into();
        }
        labels
    }

    fn create_pod(&mut self, replica: &Replica<'_>, index: usize, own: &str, turn: u32, world: World<'_>) {
        if turn == 0 && world.is_marked(self.job, &format!("refused {own}")) {
            return;
        }
        let template = &replica.spec["template"];
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": template["spec"]});
        if template["metadata"].is_object() {
            pod["metadata"] = template["metadata"].clone();
        }
        pod["metadata"]["name"] = own.into();
        pod["metadata"]["namespace"] = namespace(self.job).into();
        pod["metadata"]["ownerReferences"] = json!([owner_reference(self.job)]);
        for (label, value) in self.labels(replica, index).as_object().into_iter().flatten() {
            pod["metadata"]["labels"][label] = value.clone();
        }
        let is_chief = self.training.chiefs.contains(&replica.kind)
            || (self.training.chiefs.is_empty() || !self.has_chief()) && self.training.kind == "JAXJob" && index == 0;
        if is_chief {
            pod["metadata"]["labels"]["training.kubeflow.org/job-role"] = "master".into();
        }
        let policy = match text(replica.spec, "/restartPolicy") {
            "" => self.training.restart,
            "ExitCode" => "Never",
            policy => policy,
        };
        pod["spec"]["restartPolicy"] = policy.into();
        self.set_environment(&mut pod, replica, index);
        if self.training.kind == "PyTorchJob" && replica.kind == "Worker" && self.has_chief() {
            pod["spec"]["initContainers"] = with(&pod["spec"]["initContainers"], wait_for_master(name(self.job)));
        }
        if self.training.kind == "MPIJob" {
            mpi::adapt(&mut pod, self.job, replica);
        }
        let refused = super::super::admission::refusal(&pod, world.store).is_some();
        if refused {
            self.actions.push(Action::Mark(uid(self.job).to_owned(), format!("refused {own}")));
        }
        let done = match (self.training.kind, replica.kind) {
            ("MPIJob", "Launcher") => ("MPIJobRunning", "launcher pod created success: {}"),
            ("MPIJob", _) => ("SuccessfulCreatePod", "Created worker pod: {}"),
            _ => ("SuccessfulCreatePod", "Created pod: {}"),
        };
        self.actions
            .push(Action::CreatePod(pod, CreatePod { owner: self.job.clone(), by: self.training.by, done, turn }));
    }

    fn has_chief(&self) -> bool {
        self.replicas.iter().any(|replica| self.training.chiefs.contains(&replica.kind))
    }

    fn set_environment(&self, pod: &mut Json, replica: &Replica<'_>, index: usize) {
        let place = Place { job: self.job, all: self.replicas, own: *replica, index };
        let env = (self.training.env)(&place);
        let containers = pod["spec"]["containers"].as_array_mut().into_iter().flatten();
        let is_main = |container: &&mut Json| {
            text(container, "/name") == self.training.container || self.training.kind == "MPIJob"
        };
        for container in containers.filter(is_main) {
            if let Some((port_name, port)) = self.training.port
                && container.get("ports").is_none()
            {
                container["ports"] = json!([{"name": port_name, "containerPort": port, "protocol": "TCP"}]);
            }
            for variable in &env {
                let own = text(variable, "/name");
                if !list(container, "/env").iter().any(|known| text(known, "/name") == own) {
                    container["env"] = with(&container["env"], variable.clone());
                }
            }
        }
    }

    /// Creates a replica's Service; false if its name is too long for one.
    fn create_service(&mut self, replica: &Replica<'_>, index: usize, own: &str, cue: &Cue, world: World<'_>) -> bool {
        let Some((port_name, port)) = self.training.port else { return true };
        if own.len() > LONGEST_NAME {
            let mark = format!("refused service {own}");
            let is_first = !world.is_marked(self.job, &mark);
            if is_first || matches!(cue, Cue::Again(_)) {
                let message = format!(
                    "Error creating: Service \"{own}\" is invalid: metadata.name: Invalid value: \"{own}\": must be no more than 63 characters"
                );
                self.actions
                    .push(Happening::warning(self.job, self.training.by, "FailedCreateService", message).into());
                let turn = if let Cue::Again(turn) = cue { *turn } else { 0 };
                self.actions.push(Action::Mark(uid(self.job).to_owned(), mark));
                self.later(Delay::Again(Duration::from_secs(2 << turn.min(6)), turn), Cue::Again(turn + 1));
            }
            return false;
        }
        let key = Key::namespaced("", "services", namespace(self.job), own);
        if world.store.get(&key).is_none() {
            let labels = self.labels(replica, index);
            self.actions.push(Action::Create(json!({"apiVersion": "v1", "kind": "Service",
                "metadata": {"name": own, "namespace": namespace(self.job), "labels": labels,
                    "ownerReferences": [owner_reference(self.job)]},
                "spec": {"ports": [{"name": port_name, "protocol": "TCP", "port": port, "targetPort": port}],
                    "selector": labels, "clusterIP": "None", "clusterIPs": ["None"], "type": "ClusterIP"},
                "status": {"loadBalancer": {}}})));
            self.tell("SuccessfulCreateService", &format!("Created service: {own}"));
        }
        true
    }

    /// Tells of pods that wait or fail, and of exit codes.
    fn tell_pods(&mut self, world: World<'_>) {
        if self.training.kind == "MPIJob" {
            return;
        }
        for pod in self.pods.iter().filter(|pod| !is_deleting(pod)) {
            for status in list(pod, "/status/containerStatuses") {
                let (container, restart) = (text(status, "/name"), number(status, "/restartCount").unwrap_or(0));
                let about = format!("Error pod {} container {container}", name(pod));
                let (reason, message, warning) = if let Some(ended) = status.pointer("/state/terminated") {
                    let code = number(ended, "/exitCode").unwrap_or(0);
                    if code != 0 && !has_ended(pod) {
                        let message =
                            format!("{about} exitCode: {code} terminated message: {}", text(ended, "/message"));
                        self.tell_once(
                            world,
                            &format!("{} error {restart}", uid(pod)),
                            text(ended, "/reason"),
                            message,
                            true,
                        );
                    }
                    if container != self.training.container {
                        continue;
                    }
                    let message = format!("Pod: {}.{} exited with code {code}", namespace(pod), name(pod));
                    ("ExitedWithCode".to_owned(), message, false)
                } else {
                    let (why, message) =
                        (text(status, "/state/waiting/reason"), text(status, "/state/waiting/message"));
                    if message.is_empty() {
                        continue;
                    }
                    (why.to_owned(), format!("{about} waiting message: {message}"), true)
                };
                let mark = format!("{} {reason} {restart} {}", uid(pod), text(pod, "/status/phase"));
                self.tell_once(world, &mark, &reason, message, warning);
            }
        }
    }

    fn tell_once(&mut self, world: World<'_>, mark: &str, reason: &str, message: String, warning: bool) {
        if world.is_marked(self.job, mark) {
            return;
        }
        let mut happening = Happening::normal(self.job, self.training.by, reason, message);
        happening.warning = warning;
        self.actions.push(Action::Mark(uid(self.job).to_owned(), mark.to_owned()));
        self.actions.push(happening.into());
    }

    /// Replicas with `restartPolicy: ExitCode` are made anew after an exit code of 128 and more.
    fn restart_retryable(&mut self) {
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

    fn count(&mut self) {
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
    fn decide(&mut self, cue: &Cue, world: World<'_>) {
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

    fn finish(&mut self) {
        if self.status.get("completionTime").is_none() {
            self.status["completionTime"] = now().into();
        }
        self.end_running();
    }

    /// Deletes pods at the end, as the policy says.
    fn clean(&mut self) {
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
    fn after(&mut self, cue: &Cue, world: World<'_>) {
        if *cue == Cue::Expired {
            self.actions.push(Action::Delete(self.key.clone(), Propagation::Background));
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

/// A list with one more.
fn with(list: &Json, more: Json) -> Json {
    let mut longer = list.as_array().cloned().unwrap_or_default();
    longer.push(more);
    longer.into()
}

/// The init container with which a worker waits for its master's name.
fn wait_for_master(job: &str) -> Json {
    let script = format!(
        "err=1;for i in $(seq 100); do if nslookup {job}-master-0; then err=0 && break; fi;echo waiting for master; sleep 2; done; exit $err"
    );
    json!({"name": "init-pytorch", "image": "alpine:3.10", "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        "resources": {"limits": {"cpu": "100m", "memory": "20Mi"}, "requests": {"cpu": "50m", "memory": "10Mi"}}})
}
