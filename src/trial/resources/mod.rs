//! What the pods of examples use while they run.
//!
//! One task a cluster asks the kubelets of the nodes on which pods of running attempts are ([`Sampler`]), through the API server's
//! node proxy (`/api/v1/nodes/NODE/proxy/stats/summary`), or `metrics.k8s.io` where that is refused, and gives each attempt the
//! samples of its namespace. An attempt takes part with a [`Share`]; the rest is pure:
//!
//! ```text
//! answer -> summary (samples) -> room (an attempt's pods, their series, the sum at one moment) -> figures -> advice
//! ```
//!
//! Sampling changes no verdict and delays none. What can't be had is missing, and the report says so.

mod advice;
mod ask;
mod desk;
mod doors;
mod figures;
mod pods;
mod room;
mod sampler;
mod series;
pub mod summary;
#[cfg(test)]
mod tests;

pub use desk::Share;
pub use room::Room;
pub use sampler::{Rhythm, Sampler};

/// The fewest samples that a budget can be held to, and advice that something is too much.
pub const ENOUGH: u32 = 3;
