//! Metrics checks: against a real Prometheus, and through the real program on a cluster.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "../common/program.rs"]
mod program;
mod prometheus;
#[path = "../common/repository.rs"]
#[expect(dead_code, reason = "what other suites use of it")]
mod repository;
mod whole;
