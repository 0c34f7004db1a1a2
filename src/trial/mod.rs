//! Trials: one attempt at a cell, from its namespace to its verdict, and all the cells of a run.
//!
//! ```text
//! isolate -> apply -> hub (watches) -> judge -> diagnosis -> checks -> cleanup
//! ```
//!
//! What an example is and what is said of it is pure ([`judge`]); what touches the cluster stands apart. A failing
//! example is a [`Verdict`], never an error: an error means that the attempt could not be judged, and becomes a verdict with the
//! outcome `errored`.

pub mod apply;
pub mod attempt;
pub mod cells;
pub mod checks;
pub mod cleanup;
pub mod diagnosis;
pub mod hub;
pub mod isolate;
pub mod janitor;
pub mod judge;
pub mod metrics;
pub mod resources;
pub mod script;
mod verdict;

pub use verdict::{Attempted, Change, Culprit, Moment, Phases, Verdict};
