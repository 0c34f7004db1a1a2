//! One cell of one run, as a line of the history.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{CauseClass, ExampleId, Outcome, Tier};
use crate::report::{Row, Run};

/// One cell of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// When the run started.
    pub at: Timestamp,
    /// The run's id: the records of one run share it.
    pub run: String,
    /// The commit that was tried.
    #[serde(default)]
    pub commit: String,
    pub example: ExampleId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework: Option<String>,
    /// The version; left out if it was judged statically alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<String>,
    pub tier: Tier,
    pub outcome: Outcome,
    /// Of the cause, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<CauseClass>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    pub duration_ms: u64,
    /// As in [`crate::report::Resources`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_efficiency: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_efficiency: Option<f64>,
}

impl Record {
    /// What a row of a run is remembered by.
    #[must_use]
    pub fn of(row: &Row, run: &Run, at: Timestamp) -> Self {
        let resources = row.resources.as_ref();
        Self {
            at,
            run: run.id.clone(),
            commit: run.commit.clone(),
            example: row.example.clone(),
            framework: row.framework.clone(),
            kubernetes: row.kubernetes.clone(),
            tier: row.tier,
            outcome: row.outcome,
            class: row.cause.as_ref().map(|cause| cause.class),
            reason: row.cause.as_ref().map(|cause| cause.reason.clone()).unwrap_or_default(),
            duration_ms: row.duration_ms,
            cpu_efficiency: resources.and_then(|resources| resources.cpu_efficiency),
            memory_efficiency: resources.and_then(|resources| resources.memory_efficiency),
        }
    }
}
