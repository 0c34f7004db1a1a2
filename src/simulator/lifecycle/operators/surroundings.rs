//! The environment that the Training Operator gives each replica (recordings of v1.9.4).

use serde_json::{Map, Value as Json, json};

use super::super::object::{name, namespace, number};
use super::replicas::Replica;

/// Which replica of which job.
pub(super) struct Place<'a> {
    pub job: &'a Json,
    pub all: &'a [Replica<'a>],
    pub own: Replica<'a>,
    pub index: usize,
}

impl Place<'_> {
    fn count(&self, kind: &str) -> usize {
        self.all.iter().find(|replica| replica.kind == kind).map_or(0, Replica::count)
    }

    fn total(&self) -> usize {
        self.all.iter().map(Replica::count).sum()
    }

    fn has_master(&self) -> bool {
        self.count("Master") > 0
    }

    /// Its number among all, masters first.
    fn rank(&self) -> usize {
        if self.own.kind == "Master" { self.index } else { self.index + self.count("Master") }
    }

    fn host(&self, kind: &str, index: usize) -> String {
        format!("{}-{kind}-{index}", name(self.job))
    }
}

fn variable(name: &str, value: impl std::fmt::Display) -> Json {
    json!({"name": name, "value": format!("{value}")})
}

/// `PyTorchJob`: rendezvous through the master, or elastic.
pub(super) fn pytorch(place: &Place<'_>) -> Vec<Json> {
    let nodes = match number(place.job, "/spec/elasticPolicy/maxReplicas") {
        Some(most) => format!("{}:{most}", number(place.job, "/spec/elasticPolicy/minReplicas").unwrap_or(1)),
        None => place.total().to_string(),
    };
    let mut env = vec![variable("PYTHONUNBUFFERED", 1)];
    if place.job.pointer("/spec/elasticPolicy").is_some() {
        let backend = super::super::object::text(place.job, "/spec/elasticPolicy/rdzvBackend");
        env.push(variable("PET_RDZV_BACKEND", if backend.is_empty() { "c10d" } else { backend }));
        env.push(variable("PET_RDZV_ENDPOINT", format!("{}:23456", place.host("worker", 0))));
    } else {
        let master = place.host(if place.has_master() { "master" } else { "worker" }, 0);
        for (key, value) in [("PORT", "23456"), ("ADDR", master.as_str())] {
            env.push(variable(&format!("MASTER_{key}"), value));
            env.push(variable(&format!("PET_MASTER_{key}"), value));
        }
        env.push(variable("WORLD_SIZE", place.total()));
        env.push(variable("RANK", place.rank()));
        env.push(variable("PET_NODE_RANK", place.rank()));
        env.push(variable("PET_NPROC_PER_NODE", "auto"));
    }
    env.push(variable("PET_NNODES", nodes));
    env
}

/// `TFJob`: the cluster as JSON.
pub(super) fn tensorflow(place: &Place<'_>) -> Vec<Json> {
    if place.total() < 2 {
        return Vec::new();
    }
    let mut cluster = Map::new();
    let mut all: Vec<_> = place.all.iter().filter(|replica| replica.kind != "Evaluator").collect();
    all.sort_by_key(|replica| replica.lower());
    for replica in all {
        let host = |index| format!("{}.{}.svc:2222", place.host(&replica.lower(), index), namespace(place.job));
        cluster.insert(replica.lower(), (0..replica.count()).map(host).collect());
    }
    let config =
        json!({"cluster": cluster, "task": {"type": place.own.lower(), "index": place.index}, "environment": "cloud"});
    vec![variable("TF_CONFIG", config)]
}

/// `XGBoostJob`: a tracker at the master.
pub(super) fn xgboost(place: &Place<'_>) -> Vec<Json> {
    let workers: Vec<_> = (0..place.count("Worker")).map(|index| place.host("worker", index)).collect();
    let mut env = vec![
        variable("MASTER_PORT", 9999),
        variable("MASTER_ADDR", place.host("master", 0)),
        variable("WORLD_SIZE", place.total()),
        variable("RANK", place.rank()),
        variable("PYTHONUNBUFFERED", 1),
    ];
    if !workers.is_empty() {
        env.push(variable("WORKER_PORT", 9999));
        env.push(variable("WORKER_ADDRS", workers.join(",")));
    }
    env
}

/// `PaddleJob`.
pub(super) fn paddle(place: &Place<'_>) -> Vec<Json> {
    vec![
        variable("PYTHONUNBUFFERED", 1),
        variable("PADDLE_JOB_ID", name(place.job)),
        variable("PADDLE_NNODES", place.total()),
        json!({"name": "POD_IP_DUMMY", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}),
        variable("PADDLE_MASTER", "$(POD_IP_DUMMY):36543"),
    ]
}

/// `JAXJob`: a coordinator at the first worker.
pub(super) fn jax(place: &Place<'_>) -> Vec<Json> {
    vec![
        variable("PYTHONUNBUFFERED", 1),
        variable("COORDINATOR_PORT", 6666),
        variable("COORDINATOR_ADDRESS", place.host("worker", 0)),
        variable("NUM_PROCESSES", place.total()),
        variable("PROCESS_ID", place.index),
    ]
}

/// `MPIJob`: how the launcher reaches the workers.
pub(super) fn mpi(place: &Place<'_>) -> Vec<Json> {
    if place.own.kind != "Launcher" {
        return Vec::new();
    }
    [
        ("OMPI_MCA_plm_rsh_agent", "/etc/mpi/kubexec.sh"),
        ("OMPI_MCA_orte_default_hostfile", "/etc/mpi/hostfile"),
        ("NVIDIA_VISIBLE_DEVICES", ""),
        ("NVIDIA_DRIVER_CAPABILITIES", ""),
        ("I_MPI_HYDRA_BOOTSTRAP", "rsh"),
        ("I_MPI_HYDRA_BOOTSTRAP_EXEC", "/etc/mpi/kubexec.sh"),
    ]
    .map(|(key, value)| variable(key, value))
    .into()
}
