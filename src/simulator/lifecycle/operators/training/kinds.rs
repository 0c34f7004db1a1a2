//! The kinds of jobs of the Training Operator, in data.

use serde_json::Value as Json;

use super::super::surroundings::{self, Place};

/// A kind of job of the Training Operator.
pub(in super::super) struct Training {
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

/// What the controllers are called.
pub(in super::super) fn controllers() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|training| training.by)
}

/// The kind of this name.
pub(in super::super) fn find(kind: &str) -> Option<&'static Training> {
    KINDS.iter().find(|known| known.kind == kind)
}
