//! The images of a run: those that the project builds, and those of others.

mod archive;
pub mod build;
pub mod digest;
pub mod disk;
mod engine;
pub mod external;
pub(crate) mod inputs;
mod load;
mod needed;
pub mod replace;
mod store;

pub use archive::Written;
pub use build::base_of_ours;
pub use engine::{Engine, LABEL};
pub use load::load;
pub use needed::{needed_by, needed_by_object, replacements};
pub use store::{Actions, Kept, Store};
