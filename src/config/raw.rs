//! What the file may hold, as it is written. The comments here are the descriptions in `dist/config.schema.json`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Number;

use super::{ClusterKind, Selection};
use crate::framework::RawFramework;
use crate::model::{Expect, Tier};

/// The config of example-validator. Every key is optional; paths are relative to the repository's root.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(title = "example-validator")]
pub(super) struct RawConfig {
    /// The version of this file's form.
    #[schemars(extend("enum" = [1, null], "default" = 1))]
    pub version: Option<u32>,
    /// The Kubernetes versions to judge on. Default: kind's own.
    pub kubernetes: Option<Vec<RawKubernetes>>,
    /// Where CRDs are: files, folders or kustomize folders. Default: those that the operator's steps render.
    pub crds: Option<Vec<String>>,
    /// Which files are examples, and what holds for them. The last entry that matches wins, key by key.
    pub examples: Option<Vec<RawExample>>,
    /// The images that the project builds.
    pub images: Option<Vec<RawImage>>,
    /// Mirrors and credentials of registries.
    pub registries: Option<RawRegistries>,
    /// How the operator under test is deployed, step by step.
    pub operator: Option<Vec<RawOperatorStep>>,
    /// When the operator is ready.
    pub operator_ready: Option<RawOperatorReady>,
    /// Where metrics are read: the operator's own endpoint, or a Prometheus.
    pub metrics: Option<RawMetrics>,
    /// Kinds of objects that can be judged, besides the built-in ones.
    pub frameworks: Option<Vec<RawFramework>>,
    /// What an event runs, by tier. An event that is given here replaces its default as a whole.
    pub tiers: Option<BTreeMap<String, RawTiers>>,
    /// Checks of the whole run, on the operator.
    pub checks: Option<Vec<RawCheck>>,
    /// How long each bad sign may last before it is a verdict.
    pub graces: Option<RawGraces>,
    /// Names of pull secrets, copied from the namespace `default` of the cluster or made from the Docker config.
    pub pull_secrets: Option<Vec<String>>,
    /// Where clusters come from.
    #[schemars(extend("default" = "auto"))]
    pub cluster: Option<ClusterKind>,
    /// Examples of the tier `periodic`.
    pub periodic: Option<RawPeriodic>,
    /// Tries after the first.
    #[schemars(range(min = 0, max = 10), extend("default" = 1))]
    pub retries: Option<u32>,
    /// Examples at once on a cluster: a number or auto.
    #[schemars(extend("default" = "auto"))]
    pub parallel: Option<RawParallel>,
    /// The outcomes that fail the run.
    #[schemars(extend("default" = ["failed", "timed-out", "errored"]))]
    pub fail_on: Option<Vec<RawOutcome>>,
    /// kind's own config and version.
    pub kind: Option<RawKind>,
    /// Where durations and outcomes of earlier runs are kept: a branch or a file.
    pub history: Option<RawHistory>,
    /// The cache of built images.
    pub cache: Option<RawCache>,
}

/// A Kubernetes version: `v1.34` (its newest patch), `v1.34.0`, a node image, or a version with its node image.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RawKubernetes {
    Text(String),
    Pinned(RawPinned),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawPinned {
    /// The version that the image holds, `v1.34.0`.
    pub version: String,
    /// The node image, `repo/name@sha256:...`.
    pub image: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawExample {
    /// Globs of the files that this entry is for; `**` stands for any folders.
    pub paths: Vec<String>,
    /// Globs of files that are left out.
    pub exclude: Option<Vec<String>>,
    /// How far the example is taken: basic (no cluster), full (on a cluster), periodic (too heavy for every change).
    pub tier: Option<Tier>,
    /// How long an attempt may take, like 15m. Default: the framework's.
    pub timeout: Option<String>,
    /// Tries after the first.
    #[schemars(range(min = 0, max = 10))]
    pub retries: Option<u32>,
    /// What the example has to do to pass.
    #[schemars(extend("default" = "succeeded"))]
    pub expect: Option<Expect>,
    /// Examples that are applied first.
    pub needs: Option<Vec<String>>,
    /// What it requests of the nodes. Default: the sum over its manifests.
    pub resources: Option<RawResources>,
    /// A support file: checked statically, applied when needed, never judged.
    pub support: Option<bool>,
    /// Chosen for its framework instead of the cheapest.
    pub representative: Option<bool>,
    /// Known to be broken: runs, is reported, does not fail the run.
    pub quarantine: Option<RawQuarantine>,
    /// What must hold besides its success.
    pub checks: Option<Vec<RawCheck>>,
    /// How a script or notebook is run; exit code 0 passes.
    pub run: Option<RawRun>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawResources {
    /// Cores, like 2 or 500m.
    pub cpu: Option<RawQuantity>,
    /// Bytes, like 4Gi.
    pub memory: Option<RawQuantity>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawQuarantine {
    /// The last day on which it holds, like 2027-01-31.
    #[schemars(extend("format" = "date"))]
    pub until: String,
    /// Why, best with a link to an issue.
    #[schemars(length(min = 1))]
    pub reason: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawRun {
    /// The container to run it in, on the cluster's network; without one it runs on this machine.
    pub image: Option<String>,
    /// A list of arguments, in which `{path}` and `{evidence}` are filled in, or a line for `sh -c`.
    pub command: RawCommand,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RawCommand {
    Line(String),
    Argv(Vec<String>),
}

/// One assertion: exactly one of these keys.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(super) struct RawCheck {
    /// A line that must, or must not, be in the logs.
    pub logs: Option<RawLogs>,
    /// Bounds of a value that a named group of a logs check caught.
    pub value: Option<RawValue>,
    /// A CEL expression over `object`.
    pub cel: Option<String>,
    /// An event that must, or must not, be there.
    pub event: Option<RawEvent>,
    /// A metric of the operator.
    pub metrics: Option<RawMetricCheck>,
    /// Budgets for what the pods use.
    pub resources: Option<RawBudget>,
    /// A program, with KUBECONFIG, NAMESPACE, EXAMPLE and EVIDENCE_DIR in its environment; exit code 0 passes.
    pub run: Option<RawCommand>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawLogs {
    /// The container. Default: all.
    pub container: Option<String>,
    /// A regular expression that a line must match; a named group, `(?P<name>...)`, catches a value.
    pub matches: Option<String>,
    /// A regular expression that no line may match.
    pub absent: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawValue {
    /// The group's name.
    pub name: String,
    /// At least this.
    pub min: Option<f64>,
    /// At most this.
    pub max: Option<f64>,
    /// Exactly this.
    pub equals: Option<f64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawEvent {
    /// The event's reason, like PyTorchJobSucceeded.
    pub reason: String,
    /// Whether it must be absent.
    #[schemars(extend("default" = false))]
    pub absent: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawMetricCheck {
    /// A metric, `name{label="value"}`, all its series together; PromQL with `metrics.prometheus`. `{namespace}` is filled in.
    pub query: String,
    /// At least this.
    pub min: Option<f64>,
    /// At most this.
    pub max: Option<f64>,
    /// Exactly this.
    pub equals: Option<f64>,
    /// It grew by at least this since before the example.
    pub increase: Option<f64>,
    /// It grew by at most this since before the example.
    pub max_increase: Option<f64>,
    /// How long to wait until it holds, and how long `max`, `max-increase` and `equals` have to hold, like 30s. Default: 5s and 2s, with
    /// `metrics.prometheus` 30s.
    pub wait: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct RawBudget {
    /// The most memory that all pods of the example may use together at one moment, like 2Gi.
    pub max_memory: Option<RawQuantity>,
    /// The most CPU that all pods of the example may use together at one moment, like 500m.
    pub max_cpu: Option<RawQuantity>,
    /// The least part of the CPU that is requested, from 0 to 1, that has to be used on average.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_cpu_efficiency: Option<f64>,
    /// The least part of the memory that is requested, from 0 to 1, that has to be used at the peak.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_memory_efficiency: Option<f64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawImage {
    /// The name that examples use, without a tag.
    pub name: String,
    /// The build context.
    pub context: String,
    /// The Dockerfile, relative to the context.
    #[schemars(extend("default" = "Dockerfile"))]
    pub dockerfile: Option<String>,
    /// Build arguments.
    pub args: Option<BTreeMap<String, RawScalar>>,
    /// The stage to build.
    pub target: Option<String>,
    /// Globs of what the image depends on. Default: the whole context.
    pub inputs: Option<Vec<String>>,
    /// Other references, in examples and in operator steps, that mean this image.
    pub replaces: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct RawRegistries {
    /// Registry to the address of its mirror.
    pub mirrors: Option<BTreeMap<String, String>>,
    /// The environment variable that names the folder of the Docker config with credentials.
    pub auth: Option<String>,
}

/// One step: exactly one of kustomize, helm and manifests.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 2))]
pub(super) struct RawOperatorStep {
    /// A kustomize folder.
    pub kustomize: Option<String>,
    /// A Helm chart.
    pub helm: Option<RawHelm>,
    /// Manifest files.
    pub manifests: Option<Vec<String>>,
    /// Images to put in place of others.
    pub images: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawHelm {
    /// A chart's folder, or its reference.
    pub chart: String,
    /// The release's name.
    pub release: String,
    /// The namespace, which is created.
    pub namespace: String,
    /// Files with values.
    pub values: Option<Vec<String>>,
    /// Single values.
    pub set: Option<BTreeMap<String, RawScalar>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct RawOperatorReady {
    /// How long it may take.
    #[schemars(extend("default" = "5m"))]
    pub timeout: Option<String>,
    /// The Deployments that count, `namespace/name`. Default: every one that was installed.
    pub deployments: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct RawMetrics {
    /// A Service that serves metrics, `namespace/name:port`.
    pub service: Option<String>,
    /// Its path.
    #[schemars(extend("default" = "/metrics"))]
    pub path: Option<String>,
    /// The Service of a Prometheus, `namespace/name:port`, for PromQL.
    pub prometheus: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct RawGraces {
    /// An image that its registry does not have.
    #[schemars(extend("default" = "10s"))]
    pub image_not_found: Option<String>,
    /// A registry that does not answer.
    #[schemars(extend("default" = "2m"))]
    pub image_transient: Option<String>,
    /// Restarts of a container before it counts as crash-looping.
    #[schemars(extend("default" = 3))]
    pub crash_loop_restarts: Option<u32>,
    /// A pod that no node takes.
    #[schemars(extend("default" = "30s"))]
    pub unschedulable: Option<String>,
    /// A pod that can't be created.
    #[schemars(extend("default" = "15s"))]
    pub create_failed: Option<String>,
    /// A ConfigMap or Secret that is missing.
    #[schemars(extend("default" = "10s"))]
    pub config_missing: Option<String>,
    /// A claim without a volume.
    #[schemars(extend("default" = "60s"))]
    pub claim_unbound: Option<String>,
    /// How long an example that is expected to run must go on running.
    #[schemars(extend("default" = "20s"))]
    pub running_stable: Option<String>,
    /// A job that is suspended.
    #[schemars(extend("default" = "30s"))]
    pub suspended: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct RawPeriodic {
    /// How long a periodic example may go without a run, like 7d.
    #[schemars(extend("default" = "7d"))]
    pub every: Option<String>,
}

/// Which examples of each tier run. A tier that is left out runs nothing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct RawTiers {
    /// Static, no cluster.
    pub basic: Option<Selection>,
    /// End to end on a cluster.
    pub full: Option<Selection>,
    /// End to end, too heavy for every change.
    pub periodic: Option<Selection>,
}

/// An outcome that can fail a run.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawOutcome {
    Failed,
    TimedOut,
    Flaky,
    Errored,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct RawKind {
    /// kind's config file.
    pub config: Option<String>,
    /// The version of kind, like v0.30.0. Default: the one that is found, else the newest known.
    pub version: Option<String>,
}

/// Exactly one of branch and file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(super) struct RawHistory {
    /// A branch of the repository.
    pub branch: Option<String>,
    /// A file.
    pub file: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct RawCache {
    /// Whether pull requests save to the Actions cache too, not only the default branch.
    #[schemars(extend("default" = false))]
    pub on_pull_request: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RawQuantity {
    Text(String),
    Number(Number),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RawScalar {
    Text(String),
    Number(Number),
    Bool(bool),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RawParallel {
    Number(#[schemars(range(min = 1))] u32),
    Word(#[schemars(regex(pattern = "^auto$"))] String),
}
