//! The images of a run: those that the project builds, and those of others.

pub mod replace;
