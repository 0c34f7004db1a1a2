//! A Kubernetes API server in memory, for rehearsals, demonstrations and tests. Used only by name: what it says is never
//! published as a pass.
//!
//! ```text
//! server (HTTP) -> store <- lifecycle (controllers, kubelet)
//! ```

pub mod faults;
pub mod lifecycle;
mod server;
mod start;
pub mod store;

pub use start::{Options, Simulator};

/// What `/version` says as `gitTreeState`: by it a simulated cluster is known behind any kubeconfig.
pub const TREE_STATE: &str = "simulated";
