//! Evidence: logs, events and objects of an attempt on disk, redacted; the archive of a run; the journal of its finished cells.
//!
//! [`Evidence`] gives each attempt a [`Folder`]. A [`follow::LogFollower`] brings the logs of a namespace's containers into
//! it. Everything goes through the run's [`Redactor`] on its way to disk, and again on its way into the archive
//! ([`archive::archive`]): a Secret may have been seen only after its value was printed. [`journal::Journal`] keeps what has been
//! judged.

pub mod archive;
mod folder;
pub mod follow;
pub mod journal;
mod log;
pub mod names;
pub mod redact;

pub use folder::{Evidence, Folder, Limits};
pub use follow::{FollowContext, LogFollower, LogLine, LogSummary, OnLine};
pub use journal::Journal;
pub use log::{Kept, LogFile};
pub use redact::Redactor;
