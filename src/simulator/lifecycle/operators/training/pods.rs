//! The pods and services of a job.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::super::super::action::{Action, CreatePod, Cue, Happening};
use super::super::super::object::{list, name, namespace, owner_reference, text, uid};
use super::super::super::pace::Delay;
use super::super::super::world::World;
use super::super::mpi;
use super::super::replicas::Replica;
use super::super::surroundings::Place;
use super::Sync;
use crate::simulator::store::Key;

/// The longest name of a Service.
const LONGEST_NAME: usize = 63;

impl Sync<'_> {
    /// Creates the pods and services that are missing; false if a service cannot be.
    pub(super) fn create_missing(&mut self, cue: &Cue, world: World<'_>) -> bool {
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
        let refused = super::super::super::admission::refusal(&pod, world.store).is_some();
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

    pub(super) fn has_chief(&self) -> bool {
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
