//! The file `.github/example-validator.yml`: its validated form. `raw` is what it may hold, `load` turns one into the other.

mod differs;
mod forms;
mod load;
mod place;
mod raw;
mod schema;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

pub use differs::differences;
pub use forms::glob;
pub(crate) use forms::{branch_name, http_url, time};
pub use load::{DEFAULT_PATH, load, read};
pub use schema::json_schema;
pub use validate::MAX_RETRIES;

use crate::framework::Framework;
use crate::image_reference::normalised_name;
use crate::model::{Expect, Outcome, Tier};
use crate::quantity::Quantity;

/// Everything that a config can say, with the defaults filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// The versions to judge on; empty means kind's own default.
    pub kubernetes: Vec<KubernetesVersion>,
    /// Where the schemas of custom resources are: files, folders or kustomize folders, relative to the root.
    pub crds: Vec<PathBuf>,
    /// The entries of `examples`, in their order; the last one that matches an example wins, key by key.
    pub examples: Vec<ExampleRule>,
    /// The images that the project builds.
    pub images: Vec<ImageBuild>,
    /// Mirrors and credentials of registries.
    pub registries: Registries,
    /// How the operator is deployed.
    pub operator: Vec<OperatorStep>,
    /// When the operator is ready.
    pub operator_ready: OperatorReady,
    /// Where metrics are read, if anywhere.
    pub metrics: Option<MetricsSource>,
    /// The user's own frameworks; they go before the built-in ones.
    pub frameworks: Vec<Framework>,
    /// What an event runs: event name, then tier. Holds the design's defaults, with the user's events put over them.
    pub tiers: BTreeMap<String, BTreeMap<Tier, Selection>>,
    /// Run-wide checks.
    pub checks: Vec<Check>,
    /// How long each bad sign may last.
    pub graces: Graces,
    /// Names of pull secrets.
    pub pull_secrets: Vec<String>,
    /// Where clusters come from.
    pub cluster: ClusterKind,
    /// How often a periodic example is due.
    pub periodic_every: Duration,
    /// Tries after the first.
    pub retries: u32,
    /// Cells at once; `None` is `auto`.
    pub parallel: Option<NonZeroUsize>,
    /// The outcomes that count against the run.
    pub fail_on: Vec<Outcome>,
    /// kind's own config file and version.
    pub kind: Kind,
    /// Where the history is kept, if anywhere.
    pub history: Option<History>,
    /// Whether the cache is also saved on pull requests.
    pub cache_on_pull_request: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kubernetes: Vec::new(),
            crds: Vec::new(),
            examples: Vec::new(),
            images: Vec::new(),
            registries: Registries::default(),
            operator: Vec::new(),
            operator_ready: OperatorReady::default(),
            metrics: None,
            frameworks: Vec::new(),
            tiers: validate::default_tiers(),
            checks: Vec::new(),
            graces: Graces::default(),
            pull_secrets: Vec::new(),
            cluster: ClusterKind::default(),
            periodic_every: Duration::from_secs(7 * 86_400),
            retries: 1,
            parallel: None,
            fail_on: vec![Outcome::Failed, Outcome::TimedOut, Outcome::Errored],
            kind: Kind::default(),
            history: None,
            cache_on_pull_request: false,
        }
    }
}

impl Config {
    /// Which examples of a tier an event runs. An event without an entry counts as `workflow_dispatch`, a tier without
    /// one runs nothing.
    #[must_use]
    pub fn selection(&self, event: &str, tier: Tier) -> Selection {
        let tiers = self.tiers.get(event).or_else(|| self.tiers.get("workflow_dispatch"));
        tiers.and_then(|tiers| tiers.get(&tier)).copied().unwrap_or(Selection::None)
    }
}

/// A Kubernetes version as the user gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesVersion {
    /// `v1.34.0`, or `v1.34` for the newest patch that the tool knows.
    pub version: String,
    /// The node image, where the user named one.
    pub image: Option<String>,
}

impl KubernetesVersion {
    /// Major and minor number, `(1, 34)`; `None` where the version does not say.
    #[must_use]
    pub fn minor(&self) -> Option<(u32, u32)> {
        let mut parts = self.version.strip_prefix('v')?.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

/// One entry of `examples`: which paths, and what holds for them. `None` leaves a setting to weaker sources.
#[derive(Clone, Debug, Default)]
pub struct ExampleRule {
    /// Globs relative to the root.
    pub paths: Vec<String>,
    /// Globs that are left out.
    pub exclude: Vec<String>,
    /// The tier up to which it is taken.
    pub tier: Option<Tier>,
    /// How long an attempt may take.
    pub timeout: Option<Duration>,
    /// Tries after the first.
    pub retries: Option<u32>,
    /// What it has to do to pass.
    pub expect: Option<Expect>,
    /// Ids of the examples that are applied first.
    pub needs: Option<Vec<String>>,
    /// What it needs of a node, instead of the sum over its manifests.
    pub resources: Option<Resources>,
    /// A support file: applied when needed, never judged.
    pub support: Option<bool>,
    /// Chosen for its framework instead of the cheapest.
    pub representative: Option<bool>,
    /// Runs and is reported, but does not fail the run.
    pub quarantine: Option<Quarantine>,
    /// What must hold besides its success.
    pub checks: Option<Vec<Check>>,
    /// How a script example is run.
    pub run: Option<Run>,
}

/// Amounts that an example requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Cores.
    pub cpu: Quantity,
    /// Bytes.
    pub memory: Quantity,
}

/// An example that is known to be broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// The last day on which it holds, `YYYY-MM-DD`.
    pub until: jiff::civil::Date,
    /// Why.
    pub reason: String,
}

impl Quarantine {
    /// Whether it no longer holds on the day `today`.
    #[must_use]
    pub fn is_expired(&self, today: jiff::civil::Date) -> bool {
        today > self.until
    }
}

/// How a script example is run: in a container if it names an image, else on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The container's image.
    pub image: Option<String>,
    /// The argument list; `{path}` and `{evidence}` are filled in.
    pub command: Command,
}

/// A program to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// An argument list, started as it is.
    Argv(Vec<String>),
    /// A line that its author gave to `sh -c` knowingly.
    Shell(String),
}

/// One assertion about a finished example.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// A line of a log that must (or must not) be there.
    Logs { container: Option<String>, matches: Option<String>, absent: Option<String> },
    /// Bounds of a value that a named group caught.
    Value { name: String, min: Option<f64>, max: Option<f64>, equals: Option<f64> },
    /// A CEL expression over `object`.
    Cel(String),
    /// An event that must (or must not) be there.
    Event { reason: String, absent: bool },
    /// A metric of the operator.
    Metrics {
        query: String,
        min: Option<f64>,
        max: Option<f64>,
        equals: Option<f64>,
        increase: Option<f64>,
        max_increase: Option<f64>,
        wait: Option<Duration>,
    },
    /// Budgets.
    Resources {
        max_memory: Option<Quantity>,
        max_cpu: Option<Quantity>,
        min_cpu_efficiency: Option<f64>,
        min_memory_efficiency: Option<f64>,
    },
    /// A program of the project's own.
    Run(Command),
}

/// An image that the project builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageBuild {
    /// The name that examples use, without a tag.
    pub name: String,
    /// The build context, relative to the root.
    pub context: PathBuf,
    /// The Dockerfile, relative to the context.
    pub dockerfile: PathBuf,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// The stage that is built.
    pub target: Option<String>,
    /// Globs of what the digest and the selection depend on; empty means the whole context.
    pub inputs: Vec<String>,
    /// Other references that mean this image.
    pub replaces: Vec<String>,
}

impl ImageBuild {
    /// Whether a normalised name ([`normalised_name`]) means this image.
    #[must_use]
    pub fn is_meant_by(&self, name: &str) -> bool {
        let mut names = std::iter::once(&self.name).chain(&self.replaces);
        names.any(|own| normalised_name(own).is_some_and(|own| own == name))
    }
}

/// Mirrors and credentials of registries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registries {
    /// Registry host to mirror URL.
    pub mirrors: BTreeMap<String, String>,
    /// The environment variable that names the Docker config folder with credentials.
    pub auth: Option<String>,
}

/// One step of the operator's deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorStep {
    /// A kustomize folder, with image overrides.
    Kustomize { path: PathBuf, images: BTreeMap<String, String> },
    /// A Helm chart.
    Helm {
        chart: String,
        release: String,
        namespace: String,
        values: Vec<PathBuf>,
        set: BTreeMap<String, String>,
        images: BTreeMap<String, String>,
    },
    /// Plain manifests.
    Manifests { paths: Vec<PathBuf>, images: BTreeMap<String, String> },
}

/// When the operator is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorReady {
    /// How long it may take.
    pub timeout: Duration,
    /// `namespace/name` of the Deployments that count; empty means every one that was installed.
    pub deployments: Vec<String>,
}

impl Default for OperatorReady {
    /// Five minutes: Kubeflow's operator was seen to take up to 133 s, its webhook's certificate included.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(300), deployments: Vec::new() }
    }
}

/// Where metrics are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsSource {
    /// A Service's own endpoint, `namespace/name:port`, and its path.
    Service { service: String, path: String },
    /// A Prometheus, `namespace/name:port`.
    Prometheus(String),
}

/// Which examples of a tier an event runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// Every one.
    All,
    /// Those that a change touches.
    Changed,
    /// One of each framework.
    Representative,
    /// Those whose last periodic run is too long ago.
    Due,
    /// None.
    None,
}

/// How long each bad sign may last before it is a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graces {
    pub image_not_found: Duration,
    pub image_transient: Duration,
    /// Restarts, not a time.
    pub crash_loop_restarts: u32,
    pub unschedulable: Duration,
    pub create_failed: Duration,
    pub config_missing: Duration,
    pub claim_unbound: Duration,
    pub running_stable: Duration,
    pub suspended: Duration,
}

impl Default for Graces {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            image_not_found: seconds(10),
            image_transient: seconds(120),
            crash_loop_restarts: 3,
            unschedulable: seconds(30),
            create_failed: seconds(15),
            config_missing: seconds(10),
            claim_unbound: seconds(60),
            running_stable: seconds(20),
            suspended: seconds(30),
        }
    }
}

/// Where clusters come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterKind {
    /// kind, if there is a Docker engine.
    #[default]
    Auto,
    /// kind.
    Kind,
    /// A cluster that is there.
    Existing,
    /// The simulator.
    Simulated,
}

impl ClusterKind {
    /// Its name in the config and in flags.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Kind => "kind",
            Self::Existing => "existing",
            Self::Simulated => "simulated",
        }
    }
}

/// kind's own config file and version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    pub config: Option<PathBuf>,
    pub version: Option<String>,
}

/// Where the history is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum History {
    File(PathBuf),
    Branch(String),
}
