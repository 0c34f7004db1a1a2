//! Do the examples that a Kubernetes project ships still work, on every Kubernetes version that it supports?
//!
//! ```text
//! Settings -> Config -> Catalog -> Lint -> Plan -> Images || Cluster -> Operator -> Trials -> Report -> outputs
//! ```
//!
//! One direction: each stage is a function from values to values, with effects at the edges. `ARCHITECTURE.md` shows the
//! rooms and the invariants.

pub mod cancel;
pub mod catalog;
mod child;
pub mod cluster;
pub mod commands;
pub mod config;
pub mod diagnostic;
pub mod duration;
pub mod error;
pub mod evidence;
pub mod framework;
pub mod git;
pub mod github;
mod hex;
pub mod history;
mod http_client;
pub mod image;
pub mod image_reference;
pub mod kustomize;
pub mod lint;
pub mod metric_selector;
pub mod model;
pub mod operator;
pub mod pid_one;
pub mod plan;
pub mod pod_template;
pub mod quantity;
mod registry;
pub mod report;
pub mod schema;
pub mod settings;
pub mod simulator;
pub mod trace;
pub mod trial;
pub mod yaml;

use error::Result;
use settings::{RunContext, Settings, Verbosity};
use tracing::level_filters::LevelFilter;

/// Keeps other processes of this user from reading this one's environment and memory (`PR_SET_DUMPABLE`), unless they may trace any.
pub(crate) fn hide_environment() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::debug!("the environment stays readable: {error}");
    }
}

/// Does what `settings` ask for; returns the exit code.
///
/// # Errors
/// What kept it from being done. A failing example is no error: it is a row of the report.
pub fn run(settings: &Settings, context: &RunContext) -> Result<u8> {
    let level = match settings.verbosity {
        Verbosity::Quiet => LevelFilter::ERROR,
        Verbosity::Normal => LevelFilter::WARN,
        Verbosity::Verbose => LevelFilter::DEBUG,
        Verbosity::Trace => LevelFilter::TRACE,
    };
    trace::start(level, context.github_actions);
    if context.github_actions {
        // Its environment holds tokens, which programs of examples in the same container could else read.
        hide_environment();
    }
    let done = commands::dispatch(settings, context);
    if let Err(error) = &done {
        commands::tell_failure(error, context);
    }
    done
}
