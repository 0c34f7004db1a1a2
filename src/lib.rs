//! Do the examples that a Kubernetes project ships still work, on every Kubernetes version that it supports?

pub mod catalog;
pub mod config;
pub mod diagnostic;
pub mod duration;
pub mod error;
pub mod framework;
pub mod image_reference;
pub mod git;
pub mod lint;
pub mod model;
pub mod plan;
pub mod pod_template;
pub mod quantity;
pub mod report;
pub mod schema;
pub mod settings;
pub mod yaml;
