//! The basic tier: what can be said about an example without a cluster.

pub mod api;
pub mod capacity;
pub mod code;
pub mod findings;
#[cfg(test)]
mod fixture;
pub mod images;
pub mod isolation;
pub mod placeholders;
pub mod pod_templates;
pub mod schemas;
pub mod references;
pub mod versions;
