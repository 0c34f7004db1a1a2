//! A Kubernetes API server in memory, for rehearsals, demonstrations and tests. Used only by name: what it says is never published as
//! a pass.

pub mod store;
