//! Clusters: where examples are judged.

mod beside;
pub mod discovery;
pub mod existing;
pub mod kind;
pub mod nodes;
pub mod own;
pub mod preflight;
pub mod simulated;
pub mod tools;

use kube::Client;

use crate::quantity::Quantity;

/// A cluster that answers.
#[derive(Clone)]
pub struct Cluster {
    /// The version by which the plan and the report name it: `v1.34.0`.
    pub kubernetes: String,
    /// `kind`, `existing` or `simulated`.
    pub provider: &'static str,
    /// A client whose identity may do everything that a run needs.
    pub client: Client,
    /// A kubeconfig for child processes (`kubectl`, scripts of examples).
    pub kubeconfig: std::path::PathBuf,
    /// What its nodes have to offer.
    pub nodes: Vec<Node>,
}

/// A node, as far as packing is concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Allocatable cores, less what pods that are not ours request there.
    pub cpu: Quantity,
    /// Allocatable bytes, less the same.
    pub memory: Quantity,
    /// Allocatable pods, less the same.
    pub pods: u64,
}
