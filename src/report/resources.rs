//! What the pods of an example used, as `report.json` has it.

use serde::{Deserialize, Serialize};

/// What a cell's pods used while its last attempt ran, as it was sampled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// Who was asked: `kubelet` (the summary API, through the node proxy), `metrics.k8s.io`, or empty if neither answered.
    pub source: String,
    /// Milliseconds between two samples of the same container, as a median; 0 with fewer than two.
    pub resolution_ms: u64,
    /// The fewest samples that any container has that ran to its end: what budgets stand on.
    pub samples: u32,
    /// Why there are none, or fewer than there could be; empty if nothing is to be said.
    pub note: String,
    /// More ran than can be kept apart: the sums lack something, and no maximum is kept for certain.
    pub truncated: bool,
    /// One entry a container of a pod, in the order of their names: at most 100, those that were killed for their memory first.
    pub pods: Vec<ContainerUse>,
    /// Average CPU use divided by what was requested, over all containers that request some; `None` if none does or nothing was measured.
    pub cpu_efficiency: Option<f64>,
    /// Peak memory divided by what was requested, likewise.
    pub memory_efficiency: Option<f64>,
    /// The most that its pods used together at one moment: thousandths of a core.
    pub cpu_peak_milli: u64,
    /// The same of memory, in bytes.
    pub memory_peak_bytes: u64,
    /// For how long a container of it ran, as far as it was watched: milliseconds.
    pub ran_ms: u64,
}

/// What one container used. Amounts of 0 in requests and limits: none was set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerUse {
    pub pod: String,
    pub container: String,
    /// Distinct samples.
    pub samples: u32,
    /// Thousandths of a core.
    pub cpu_avg_milli: u64,
    pub cpu_peak_milli: u64,
    /// Working set, in bytes.
    pub memory_avg_bytes: u64,
    pub memory_peak_bytes: u64,
    pub cpu_request_milli: u64,
    pub cpu_limit_milli: u64,
    pub memory_request_bytes: u64,
    pub memory_limit_bytes: u64,
    /// Whether the kernel killed it for its memory.
    pub oom_killed: bool,
    /// What its requests and limits should be instead.
    pub advice: Vec<Advice>,
    /// Its use over time, thinned out to at most [`CURVE`] points; `None` with fewer than two samples.
    pub curve: Option<Curve>,
}

/// The most points of a curve.
pub const CURVE: usize = 40;

/// A container's use over time: three lists of one length.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Curve {
    /// Milliseconds since the attempt's `startedAt`.
    pub at_ms: Vec<u64>,
    pub cpu_milli: Vec<u64>,
    pub memory_bytes: Vec<u64>,
}

/// One thing to change about a container's requests or limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// `over-provisioned`, `near-limit` or `oom-killed`.
    pub kind: String,
    /// `cpu` or `memory`.
    pub resource: String,
    /// One sentence, with the figures.
    pub message: String,
    /// A quantity to set instead, `200m` or `512Mi`; empty if none can be told.
    pub suggested: String,
}
