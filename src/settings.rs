//! Flags, action inputs and environment: this room alone reads them, and turns them into validated values.
//!
//! A flag wins over the input of the same name. Both are optional here; the config fills what neither says
//! (see [`Settings::over`]).

mod cli;
mod context;
mod inputs;
mod outputs_table;
mod parse;
mod reader;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{ClusterKind, Config, KubernetesVersion};
use crate::diagnostic::Diagnostic;
use crate::error::{Error, Result};
use crate::model::{Outcome, Tier};
pub use context::{RunContext, Services, Terminals};
pub use inputs::{Input, inputs, inputs_markdown, inputs_yaml};
pub use outputs_table::{OUTPUTS, Output, outputs_markdown, outputs_yaml};
pub(crate) use values::artifact_name;
pub use values::{ChangedFiles, HistorySetting, Parallel, PlanSource, Secret, Shard};

/// What the arguments ask for.
#[derive(Debug)]
pub enum Parsed {
    /// To do something.
    Work(Box<Settings>, Box<RunContext>),
    /// To print a text, and end with this exit code: help, version.
    Print {
        /// The text, with its last line break.
        text: String,
        /// 0, or 2 when help is shown because nothing was asked for; that goes to standard error.
        exit_code: u8,
    },
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Everything.
    Run(Format),
    /// The basic tier alone.
    Lint(Format),
    /// Print the plan.
    Plan(PlanFormat),
    /// Merge the results of several shards.
    Report {
        /// How the merged report is printed.
        format: Format,
        /// The workflow run whose artifacts are taken.
        from_run: Option<u64>,
    },
    /// Write a starter config and workflow.
    Init {
        /// Overwrite what is there.
        force: bool,
    },
    /// Delete leftovers.
    Clean {
        /// Of this very run alone, as the action's post step does; others may be at work on the same machine.
        own: bool,
    },
    /// Print the config's JSON Schema.
    Schema,
    /// Document a diagnostic.
    Explain {
        /// Its code.
        code: String,
    },
    /// Serve the simulator's API.
    Simulate,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// `report.json`.
    Json,
    /// For people, with annotations as workflow commands.
    Github,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanFormat {
    /// For people.
    Table,
    /// `plan.json`.
    Json,
    /// `{"include": [...]}`, for a job's `strategy.matrix`.
    GithubMatrix,
}

/// How much the program says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Failures and the summary.
    Quiet,
    /// The results.
    #[default]
    Normal,
    /// What it does, too.
    Verbose,
    /// Every detail.
    Trace,
}

/// How the cache of built images is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheMode {
    /// Read and written.
    #[default]
    On,
    /// Read.
    Read,
    /// Not at all.
    Off,
}

/// Whether clusters outlive the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepCluster {
    /// They are deleted.
    #[default]
    Never,
    /// They stay when an example failed on them.
    OnFailure,
    /// They stay.
    Always,
}

/// When the pull request gets a comment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommentWhen {
    /// After each run.
    #[default]
    Always,
    /// After a run that failed.
    OnFailure,
    /// When the results differ from the last comment's.
    OnChange,
    /// Never.
    Never,
}

/// Everything that flags and inputs say, validated. `None` leaves a setting to the config and its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What to do.
    pub command: Command,
    /// Examples (for `report`: folders with results) that were named as arguments; empty if none were.
    pub paths: Vec<PathBuf>,
    /// The folder that the config's paths are relative to.
    pub root: PathBuf,
    /// The config file that was asked for; see [`crate::config::read`] for the one that is read otherwise.
    pub config: Option<PathBuf>,
    /// The folder that receives plan, reports and evidence.
    pub output: PathBuf,
    /// How much the program says.
    pub verbosity: Verbosity,
    /// What is judged.
    pub selection: SelectionSettings,
    /// Where it is judged.
    pub cluster: ClusterSettings,
    /// How long, how often, and what counts.
    pub limits: Limits,
    /// Images and tools.
    pub cache: CacheSettings,
    /// What only the action has.
    pub github: GithubSettings,
    /// Where the history is kept.
    pub history: Option<HistorySetting>,
}

/// What is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectionSettings {
    /// The highest tier; `None` is by the event.
    pub tier: Option<Tier>,
    /// The Kubernetes versions.
    pub kubernetes: Option<Vec<KubernetesVersion>>,
    /// Where CRDs are.
    pub crds: Option<Vec<PathBuf>>,
    /// Globs that narrow the catalog; empty means all.
    pub examples: Vec<String>,
    /// How changed files are found.
    pub changed_files: ChangedFiles,
    /// Which part of the plan.
    pub shard: Option<Shard>,
    /// The plan that is obeyed.
    pub plan: Option<PlanSource>,
    /// Whether registries are asked for the images.
    pub check_registries: bool,
}

/// Where examples are judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSettings {
    /// Where clusters come from.
    pub kind: Option<ClusterKind>,
    /// The kubeconfig of an existing cluster.
    pub kubeconfig: Option<PathBuf>,
    /// Its context.
    pub context: Option<String>,
    /// Whether the operator is deployed there.
    pub install_operator: bool,
    /// Clusters at once; `None` is auto.
    pub parallel: Option<NonZeroUsize>,
    /// Whether they outlive the run.
    pub keep: KeepCluster,
}

/// How long, how often, and what counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Cells at once.
    pub parallel: Option<Parallel>,
    /// Tries after the first.
    pub retries: Option<u32>,
    /// How long an attempt may take.
    pub timeout: Option<Duration>,
    /// How long the run may take.
    pub deadline: Option<Duration>,
    /// Failed examples after which no other is started.
    pub max_fail: Option<NonZeroUsize>,
    /// The outcomes that count against the run.
    pub fail_on: Option<Vec<Outcome>>,
}

/// Images and tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// Where archives of built images are kept.
    pub dir: Option<PathBuf>,
    /// How they are used.
    pub mode: CacheMode,
    /// Where tools are downloaded from instead of their official releases.
    pub tool_mirror: Option<String>,
    /// Where they are kept.
    pub tool_dir: Option<PathBuf>,
}

/// What only the action has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GithubSettings {
    /// The token.
    pub token: Option<Secret>,
    /// When the pull request gets a comment.
    pub comment: CommentWhen,
    /// Which comment is this workflow's.
    pub comment_key: Option<String>,
    /// The artifact's name.
    pub artifact_name: Option<String>,
    /// How many days it is kept.
    pub retention_days: Option<u32>,
    /// Whether code of forks runs where the token can write.
    pub allow_untrusted: bool,
}

impl Settings {
    /// Reads the process's arguments, environment and event: the one place where the program does.
    ///
    /// # Errors
    /// See [`Settings::parse`]; and an event that cannot be read.
    pub fn from_process() -> Result<Parsed> {
        let env = environment();
        let terminals = Terminals { stdout: std::io::stdout().is_terminal(), stderr: std::io::stderr().is_terminal() };
        let mut parsed = Self::parse(std::env::args_os(), &env, terminals)?;
        if let Parsed::Work(_, context) = &mut parsed {
            context.environment = std::env::vars_os().collect();
            context.read_event()?;
        }
        Ok(parsed)
    }

    /// What `args` (the program's name first) and `env` ask for. Inputs are read under GitHub Actions alone.
    ///
    /// # Errors
    /// [`Error::Usage`] with everything that is wrong.
    pub fn parse(
        args: impl Iterator<Item = OsString>,
        env: &BTreeMap<String, String>,
        terminals: Terminals,
    ) -> Result<Parsed> {
        parse::parse(args.collect(), env, terminals)
    }

    /// The config with what flags and inputs say put over it.
    ///
    /// # Errors
    /// [`Error::Usage`] for what only the two together show to be wrong.
    pub fn over(&self, mut config: Config) -> Result<Config> {
        let Settings { selection, cluster, limits, .. } = self;
        put(&mut config.kubernetes, selection.kubernetes.clone());
        put(&mut config.crds, selection.crds.clone());
        put(&mut config.cluster, cluster.kind);
        put(&mut config.retries, limits.retries);
        put(&mut config.parallel, limits.parallel.map(Parallel::number));
        put(&mut config.fail_on, limits.fail_on.clone());
        match &self.history {
            None => {}
            Some(HistorySetting::Off) => config.history = None,
            Some(HistorySetting::Keep(history)) => config.history = Some(history.clone()),
        }
        if config.cluster == ClusterKind::Existing || !cluster.is_for_existing() {
            return Ok(config);
        }
        Err(Error::usage(
            Diagnostic::error("kubeconfig, context and install-operator are for an existing cluster")
                .with_help("add `--cluster existing`, or `cluster: existing` in the config"),
        ))
    }
}

impl ClusterSettings {
    /// Whether something was given that has a meaning for an existing cluster alone.
    fn is_for_existing(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some() || self.install_operator
    }
}

/// The variables that are text.
fn environment() -> BTreeMap<String, String> {
    let variables = std::env::vars_os();
    variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

fn put<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}
