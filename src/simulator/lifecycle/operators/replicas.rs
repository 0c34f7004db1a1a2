//! The replicas that a training job asks for.

use std::sync::Arc;

use serde_json::Value as Json;

use super::super::object::{number, text};

/// One type of replicas of a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replica<'a> {
    /// `Worker`.
    pub kind: &'a str,
    /// Its entry in the replica specs.
    pub spec: &'a Json,
}

impl Replica<'_> {
    /// How many there are.
    pub fn count(&self) -> usize {
        number(self.spec, "/replicas").and_then(|count| usize::try_from(count).ok()).unwrap_or(1)
    }

    /// The type as labels and names have it.
    pub fn lower(&self) -> String {
        self.kind.to_lowercase()
    }

    /// The pods of this type.
    pub fn pods<'p>(&self, pods: &'p [Arc<Json>]) -> Vec<&'p Json> {
        let label = "/metadata/labels/training.kubeflow.org~1replica-type";
        pods.iter().map(Arc::as_ref).filter(|pod| text(pod, label) == self.lower()).collect()
    }
}

/// The pods in a phase.
pub(super) fn in_phase(pods: &[&Json], phase: &str) -> usize {
    pods.iter().filter(|pod| text(pod, "/status/phase") == phase).count()
}
