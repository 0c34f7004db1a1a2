//! The command line as clap reads it: texts only. What they mean is decided in one place, for flags and inputs alike.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::inputs;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const FILES: &str = "Files";
const SELECTION: &str = "What is judged";
const CLUSTER: &str = "Clusters";
const LIMITS: &str = "Limits and verdict";
const CACHE: &str = "Images and tools";
const TERMINAL: &str = "Terminal";

/// The option groups that a command's help shows; a command that is not here shows all. Every flag is accepted everywhere.
const SHOWN: &[(&str, &[&str])] = &[
    ("init", &[FILES, TERMINAL]),
    ("clean", &[FILES, CLUSTER, TERMINAL]),
    ("schema", &[TERMINAL]),
    ("explain", &[TERMINAL]),
    ("simulate", &[SELECTION, TERMINAL]),
];

/// Do the examples that a Kubernetes project ships still work, on every Kubernetes version that it supports?
#[derive(Debug, Parser)]
#[command(
    name = "example-validator",
    bin_name = "example-validator",
    version,
    styles = STYLES,
    max_term_width = 120,
    subcommand_help_heading = "Commands",
    after_help = "Exit codes: 0 all is well, 1 an example failed, 2 bad flags or config, 3 could not be judged."
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub verb: Option<Verb>,
    #[command(flatten)]
    pub options: Options,
    #[command(flatten)]
    pub terminal: Terminal,
}

/// The commands, with what only they take.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Judge the examples: static checks, clusters, the report
    Run(Paths),
    /// Judge them statically alone: no cluster, seconds
    Lint(Paths),
    /// Print which examples would run where, and why
    Plan(Paths),
    /// Merge the results of several shards, or of a run that was killed
    Report(Folders),
    /// Write a starter config and workflow for this repository
    Init {
        /// Overwrite what is already there
        #[arg(long)]
        force: bool,
    },
    /// Delete what earlier runs left behind
    Clean,
    /// Print the JSON Schema of the config
    Schema,
    /// Explain a diagnostic: what it means, why, a bad and a good example
    Explain {
        /// A diagnostic's code, like EV105
        #[arg(value_name = "CODE")]
        code: String,
    },
    /// Serve a simulated Kubernetes API, for demonstrations and tests
    Simulate,
}

/// Examples by path.
#[derive(Args, Debug, Default)]
pub(super) struct Paths {
    /// Files, folders or globs to judge, instead of the config's `examples`
    #[arg(value_name = "PATHS")]
    pub paths: Vec<PathBuf>,
}

/// Results by folder.
#[derive(Args, Debug, Default)]
pub(super) struct Folders {
    /// Folders with the results of shards; without any, the `--output` folder
    #[arg(value_name = "DIR")]
    pub folders: Vec<PathBuf>,
}

/// Every option that is a flag and an action input of the same name, as text.
#[derive(Args, Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Options {
    /// The config file
    #[arg(long, global = true, value_name = "FILE", help_heading = FILES)]
    #[schemars(extend("default" = ".github/example-validator.yml"))]
    config: Option<String>,
    /// The folder that paths in the config are relative to
    #[arg(long, global = true, value_name = "DIR", help_heading = FILES)]
    #[schemars(extend("default" = "."))]
    root: Option<String>,
    /// The folder that receives the plan, the reports and the evidence
    #[arg(long, global = true, value_name = "DIR", help_heading = FILES)]
    #[schemars(extend("default" = "example-validator-report"))]
    output: Option<String>,
    /// Where durations and outcomes of earlier runs are kept: FILE, branch:NAME or off
    #[arg(long, global = true, value_name = "WHERE", help_heading = FILES)]
    history: Option<String>,
    /// Where CRDs are: files, folders or kustomize folders
    #[arg(long, global = true, value_name = "PATH,...", help_heading = FILES)]
    #[serde(deserialize_with = "whole")]
    crds: Vec<String>,

    /// The highest tier to run: auto (by the event), basic, full or periodic
    #[arg(long, global = true, value_name = "TIER", help_heading = SELECTION)]
    #[schemars(extend("default" = "auto"))]
    tier: Option<String>,
    /// Kubernetes versions: v1.34 (its newest patch), v1.34.0 or node images
    #[arg(long, global = true, value_name = "V,...", help_heading = SELECTION)]
    #[serde(deserialize_with = "whole")]
    kubernetes: Vec<String>,
    /// Judge only the examples that these globs match
    #[arg(long, global = true, value_name = "GLOB,...", help_heading = SELECTION)]
    #[serde(deserialize_with = "whole")]
    examples: Vec<String>,
    /// How changed files are found: auto, off, or a FILE with a path a line
    #[arg(long, global = true, value_name = "HOW", help_heading = SELECTION)]
    #[schemars(extend("default" = "auto"))]
    changed_files: Option<String>,
    /// Run the M-th of N equal parts of the plan
    #[arg(long, global = true, value_name = "M/N", help_heading = SELECTION)]
    shard: Option<String>,
    /// Obey a plan made before: its file, or under Actions its digest
    #[arg(long, global = true, value_name = "PLAN", help_heading = SELECTION)]
    plan: Option<String>,
    /// Take results from the artifacts of this workflow run (`report`)
    #[arg(long, global = true, value_name = "ID", help_heading = SELECTION)]
    from_run: Option<String>,
    /// Ask registries whether the images exist: off or on
    #[arg(long, global = true, value_name = "off|on", help_heading = SELECTION)]
    #[schemars(extend("default" = "off"))]
    check_registries: Option<String>,

    /// Where clusters come from: auto, kind, existing or simulated
    #[arg(long, global = true, value_name = "KIND", help_heading = CLUSTER)]
    #[schemars(extend("default" = "auto"))]
    cluster: Option<String>,
    /// The kubeconfig of an existing cluster
    #[arg(long, global = true, value_name = "FILE", help_heading = CLUSTER)]
    kubeconfig: Option<String>,
    /// The kubeconfig's context
    #[arg(long, global = true, value_name = "NAME", help_heading = CLUSTER)]
    context: Option<String>,
    /// Deploy the operator on an existing cluster too
    #[arg(long, global = true, value_name = "BOOL", help_heading = CLUSTER,
          num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    #[schemars(extend("default" = "false"))]
    install_operator: Option<String>,
    /// Clusters at once: N or auto
    #[arg(long, global = true, value_name = "N", help_heading = CLUSTER, allow_negative_numbers = true)]
    #[schemars(extend("default" = "auto"))]
    cluster_parallel: Option<String>,
    /// Whether clusters outlive the run: never, on-failure or always
    #[arg(long, global = true, value_name = "WHEN", help_heading = CLUSTER)]
    #[schemars(extend("default" = "never"))]
    keep_cluster: Option<String>,

    /// Examples at once on a cluster: N or auto
    #[arg(long, global = true, value_name = "N", help_heading = LIMITS, allow_negative_numbers = true)]
    #[schemars(extend("default" = "auto"))]
    parallel: Option<String>,
    /// Tries after the first
    #[arg(long, global = true, value_name = "N", help_heading = LIMITS, allow_negative_numbers = true)]
    #[schemars(extend("default" = "1"))]
    retries: Option<String>,
    /// How long one attempt may take, like 15m
    #[arg(long, global = true, value_name = "TIME", help_heading = LIMITS, allow_negative_numbers = true)]
    #[schemars(extend("default" = "the framework's"))]
    timeout: Option<String>,
    /// How long the whole run may take, like 1h30m
    #[arg(long, global = true, value_name = "TIME", help_heading = LIMITS, allow_negative_numbers = true)]
    #[schemars(extend("default" = "none"))]
    deadline: Option<String>,
    /// Stop after this many failed examples
    #[arg(long, global = true, value_name = "N", help_heading = LIMITS, allow_negative_numbers = true)]
    #[schemars(extend("default" = "none"))]
    max_fail: Option<String>,
    /// The outcomes that fail the run: failed, timed-out, flaky, errored
    #[arg(long, global = true, value_name = "OUTCOME,...", help_heading = LIMITS)]
    #[serde(deserialize_with = "whole")]
    #[schemars(extend("default" = "failed,timed-out,errored"))]
    fail_on: Vec<String>,

    /// Keep archives of built images here
    #[arg(long, global = true, value_name = "DIR", help_heading = CACHE)]
    #[schemars(extend("default" = "none"))]
    cache_dir: Option<String>,
    /// How the cache of built images is used: on, read or off
    #[arg(long, global = true, value_name = "HOW", help_heading = CACHE)]
    #[schemars(extend("default" = "on"))]
    cache: Option<String>,
    /// Download kind, kubectl and Helm from here
    #[arg(long, global = true, value_name = "URL", help_heading = CACHE)]
    #[schemars(extend("default" = "their official releases"))]
    tool_mirror: Option<String>,
    /// Keep the downloaded tools here
    #[arg(long, global = true, value_name = "DIR", help_heading = CACHE)]
    #[schemars(extend("default" = "the runner's tool cache"))]
    tool_dir: Option<String>,
}

/// What only the command line has.
#[derive(Args, Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Terminal {
    /// text, json or github; for `plan`: table, json or github-matrix
    #[arg(long, global = true, value_name = "FMT", help_heading = TERMINAL)]
    pub format: Option<String>,
    /// Print without colours
    #[arg(long, global = true, help_heading = TERMINAL)]
    #[serde(skip)]
    pub no_color: bool,
    /// Tell what the program does; twice for every detail
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = TERMINAL)]
    #[serde(skip)]
    pub verbose: u8,
    /// Print failures and the summary alone
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = TERMINAL)]
    #[serde(skip)]
    pub quiet: bool,
}

/// Keeps a list as the one text that was given: where it is split is decided once, for flags and inputs.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    String::deserialize(deserializer).map(|text| vec![text])
}

/// The command line's description, with the defaults in its help.
pub(super) fn command() -> clap::Command {
    let defaults = inputs::defaults();
    let mut command = Cli::command().mut_args(|arg| {
        let Some(default) = arg.get_long().and_then(|name| defaults.get(name)) else { return arg };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        arg.help(format!("{help} [default: {default}]"))
    });
    command.build();
    for (name, headings) in SHOWN {
        command = command.mut_subcommand(name, |verb| {
            verb.mut_args(|arg| {
                let hidden = arg.get_help_heading().is_some_and(|heading| !headings.contains(&heading));
                arg.hide(hidden)
            })
        });
    }
    command
}

/// Reads the arguments, the program's own name included.
///
/// # Errors
/// What clap has to say, requests for help and version among it.
pub(super) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let matches = command().try_get_matches_from(args)?;
    Cli::from_arg_matches(&matches)
}
