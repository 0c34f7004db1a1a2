//! The operator under test: what its steps bring. Deploying it is not part of this version.

mod offline;

pub use offline::{Offline, crds, offline};
