//! The controllers that every cluster has.

pub mod claims;
pub mod cron;
pub mod deployment;
pub mod endpoints;
pub mod job;
pub mod namespace;
pub mod sets;
pub mod workload;
