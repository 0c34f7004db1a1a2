//! One report of a run, and its renderings.
//!
//! [`static_row`] makes a row of an example's findings, [`Report::new`] a report of rows. [`console`], [`json`], [`junit`] and
//! [`summary`] render it, [`progress`] prints rows as they are known, [`output`] writes the files. [`read_all`] and [`merge`] make one report of several. Everything but
//! [`output`] and [`read_all`] is pure.

pub mod annotations;
pub mod comment;
pub mod console;
mod details;
mod health;
pub mod html;
pub mod json;
pub mod junit;
mod log;
pub mod markdown;
pub mod merge;
pub mod output;
pub mod progress;
mod read;
mod resources;
mod row;
mod run_wide;
#[cfg(test)]
pub(crate) mod sample;
pub mod summary;
pub mod timeline;
mod verdict;
mod words;

pub use details::Details;
pub use health::{FirstBad, Group, Health, Overall, PAST, Part, Past, SLOW, SLOW_MS};
pub use log::LogTail;
pub use read::read_all;
pub use resources::{Advice, CURVE, ContainerUse, Curve, Resources};
pub use row::{Judged, static_row};
pub use verdict::exit_code;
pub(crate) use words::duration as time_in_words;
pub use words::plural;

use serde::{Deserialize, Serialize};

use crate::diagnostic::Severity;
use crate::model::{Cause, Conclusion, ExampleId, Outcome, Tier};

/// Everything that a run found out: `report.json`, `schemaVersion` 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// 1.
    pub schema_version: u32,
    /// This program.
    pub tool: Tool,
    /// The run.
    pub run: Run,
    /// The clusters that were used.
    pub clusters: Vec<Cluster>,
    /// The images that were built.
    pub images: Vec<Image>,
    /// One row an example and version; a row without a version for an example that was judged statically alone.
    pub results: Vec<Row>,
    /// How the examples have been doing; `None` without a history.
    #[serde(default)]
    pub health: Option<Overall>,
    /// The counts, and what they come to.
    pub summary: Summary,
}

/// This program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    pub version: String,
    /// The Kubernetes version whose schemas are built in, by which built-in kinds were checked; `None` if none were.
    #[serde(default)]
    pub schemas: Option<String>,
}

/// The run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    pub id: String,
    /// RFC 3339.
    pub started_at: String,
    pub duration_ms: u64,
    /// `owner/name`; empty outside a repository.
    pub repository: String,
    pub commit: String,
    pub event: String,
    pub pull_request: Option<u64>,
    pub simulated: bool,
    /// `1/4`, if this run is a shard.
    pub shard: Option<String>,
}

/// A cluster of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    pub kubernetes: String,
    pub provider: String,
    pub outcome: String,
    pub cause: Option<Cause>,
    /// When its creation began, RFC 3339; empty if it never did.
    #[serde(default)]
    pub started_at: String,
    /// When the deployment of the operator began, RFC 3339; empty if it never did.
    #[serde(default)]
    pub operator_started_at: String,
    /// How long each took: `createMs`, `operatorMs`, `pullMs`; `cleanupMs` is what was waited, after the last example, for namespaces to be
    /// deleted.
    pub phases: serde_json::Map<String, serde_json::Value>,
    /// The run-wide checks: what was expected of the operator over all examples.
    #[serde(default)]
    pub checks: Vec<CheckResult>,
}

impl Cluster {
    /// Whether it was there before the run, so that what `createMs` says was no creation.
    pub(crate) fn is_found(&self) -> bool {
        self.provider == "existing"
    }
}

/// An image that was built, or taken from the cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    pub name: String,
    pub digest: String,
    pub cache_key: String,
    pub cache: String,
    /// When its build began, RFC 3339; empty if it was not built.
    #[serde(default)]
    pub started_at: String,
    pub build_ms: u64,
}

/// What became of one example on one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub example: ExampleId,
    /// The framework of its first judged object.
    pub framework: Option<String>,
    /// The judged objects, `Kind/name`.
    pub objects: Vec<String>,
    /// Whether it is there for other examples: it has nothing to judge, or was named or marked as such.
    #[serde(default)]
    pub support: bool,
    pub tier: Tier,
    /// The version; `None` if it was judged statically alone.
    pub kubernetes: Option<String>,
    pub outcome: Outcome,
    pub quarantined: bool,
    pub duration_ms: u64,
    pub cause: Option<Cause>,
    /// Why it was selected or skipped.
    pub reason: String,
    pub attempts: Vec<Attempt>,
    pub checks: Vec<CheckResult>,
    pub diagnostics: Vec<Finding>,
    /// What its pods used; `None` of one that had none.
    pub resources: Option<Resources>,
    /// The end of the log of who is to blame; `None` where nobody is, or nothing was logged.
    #[serde(default)]
    pub log: Option<LogTail>,
    /// How it has been doing; `None` without a history.
    pub health: Option<Health>,
    /// The path inside the evidence archive.
    pub evidence: Option<String>,
}

/// One try at a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    pub outcome: Outcome,
    pub namespace: String,
    pub started_at: String,
    /// Milliseconds since `started_at`.
    pub phases: serde_json::Map<String, serde_json::Value>,
}

/// What became of one check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    pub check: String,
    /// `passed`, `failed` or `inconclusive`.
    pub outcome: String,
    pub message: String,
    pub value: Option<f64>,
}

/// A diagnostic as the report has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub code: String,
    pub severity: Severity,
    pub message: String,
    pub help: String,
    pub file: String,
    pub line: u32,
    pub column: u32,
}

/// The counts, and what they come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub passed: u64,
    pub failed: u64,
    pub timed_out: u64,
    pub flaky: u64,
    pub skipped: u64,
    pub errored: u64,
    pub conclusion: Conclusion,
}
