//! Frameworks: which kinds of object can be judged, in data, and their evaluation as pure functions of an object.

use std::time::Duration;

/// A description of one kind of object that can be judged.
#[derive(Clone, Debug)]
pub struct Framework {
    /// Its name in reports: `pytorchjob`.
    pub name: String,
    /// The objects that it describes.
    pub matches: Match,
    /// Whether such an object finishes (a batch kind), or only becomes ready.
    pub finishes: bool,
    /// A selector of pods besides those that the object owns; `{status.x}` is taken from the object.
    pub pods: Option<String>,
    /// The main container's name.
    pub container: Option<String>,
    /// Whether the operator refuses a pod template without that container.
    pub container_required: bool,
    /// How long an attempt may take.
    pub timeout: Duration,
}

/// Which objects: a group (empty for the core group), a version, a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// `kubeflow.org`; empty for the core group.
    pub group: String,
    /// `v1`; `None` for any.
    pub version: Option<String>,
    /// `PyTorchJob`.
    pub kind: String,
}
