//! What the jobs of a fan-out left: the plan, and the results of shards, from artifacts of this run or another.

mod names;
mod unpack;
mod vetted;

pub use names::{DEFAULT_NAME, Kind, PLAN_NAME, artifact_name};
