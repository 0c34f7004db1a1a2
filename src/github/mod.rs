//! What the action has to do with GitHub: the results service (artifacts, cache), the REST API (pull requests, comments, changed
//! files, artifacts of other runs), and the files by which a step tells its outputs.
//!
//! Nothing here decides a verdict, and nothing that fails here changes one.

pub mod api;
pub mod artifact;
pub mod branch;
pub mod cache;
pub mod changed;
pub mod collect;
pub mod comment;
pub mod outputs;
pub mod pull_request;
pub mod results;
pub mod retry;
pub mod trust;
