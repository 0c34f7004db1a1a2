//! What a run of a container does: known before it starts, played when its time comes.

use std::time::Duration;

/// A run of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// What it prints, and how long after its start.
    pub output: Vec<(Duration, String)>,
    /// How it ends.
    pub end: End,
}

/// How a run of a container ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It exits.
    Exit { code: i32, after: Duration },
    /// The kernel kills it, since it needs more memory than its limit.
    OutOfMemory { after: Duration },
    /// It cannot be started, for this reason.
    StartError { message: String },
    /// It never ends by itself.
    Never,
}
