//! The operators whose jobs examples ask for: Kubeflow's Training Operator and Trainer, JobSet; and any other custom
//! resource with pod templates.

mod counters;
mod generic;
mod jobset;
mod mpi;
mod replicas;
mod surroundings;
mod trainer;
mod training;

use serde_json::Value as Json;

pub use counters::{Counted, Counters};

use super::action::{Action, Cue};
use super::object::text;
use super::world::World;
use crate::simulator::store::Key;

/// What becomes of a custom resource.
#[must_use]
pub fn reconcile(object: &Json, key: &Key, cue: &Cue, world: World<'_>) -> Vec<Action> {
    match (key.group.as_str(), text(object, "/kind")) {
        ("trainer.kubeflow.org", "TrainJob") => trainer::reconcile(object, key, world),
        ("jobset.x-k8s.io", "JobSet") => jobset::reconcile(object, key, world),
        ("kubeflow.org", kind)
            if text(object, "/apiVersion") == "kubeflow.org/v1" && training::find(kind).is_some() =>
        {
            training::reconcile(object, key, cue, world)
        }
        _ => generic::reconcile(object, key, cue, world),
    }
}
