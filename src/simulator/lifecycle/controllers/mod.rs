//! The controllers that every cluster has.

pub mod job;
pub mod namespace;
