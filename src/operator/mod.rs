//! The operator under test: what its steps bring, how they get onto a cluster, when it is ready, and whether it stays up.
//!
//! ```text
//! steps -> install (kustomize, manifests: server-side apply; Helm) -> ready (watches) -> restarts
//!                       lookout: watches beside all of it, syncs Secrets, follows logs
//! ```
//!
//! [`deploy`] does all of it, and returns an [`Operator`] that is to be kept while cells run. No example is ever called failed for
//! what goes wrong here: it is a [`Cause`](crate::model::Cause) of the class `operator`, and the cells are `errored`.

mod deploy;
mod install;
mod installed;
mod lookout;
mod offline;
mod ready;
mod restarts;

pub use deploy::{Deployment, Operator, deploy};
pub use install::{Helm, post_render};
pub use installed::{Installed, Reference};
pub use offline::{Offline, crds, offline};
pub use restarts::Restarts;
