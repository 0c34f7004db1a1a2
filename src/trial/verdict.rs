//! The words that the rooms of a trial share.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use crate::model::{Cause, Outcome};
use crate::report::{Attempt, CheckResult, Resources};

/// A moment of an attempt: the time since it started (its first request to the cluster).
pub type Moment = Duration;

/// What a watch says of one object. The object is whole, as the API server sends it, `managedFields` left out.
#[derive(Clone, Debug)]
pub enum Change {
    /// It is there, in this state: new, changed, or listed again after a watch was cut. The same state may come twice.
    Seen(Arc<Json>),
    /// It is gone; this is the last state that was seen.
    Gone(Arc<Json>),
}

impl Change {
    /// The object.
    #[must_use]
    pub fn object(&self) -> &Arc<Json> {
        match self {
            Self::Seen(object) | Self::Gone(object) => object,
        }
    }
}

/// What an attempt comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The outcome; never `flaky` or `skipped`, which are a cell's.
    pub outcome: Outcome,
    /// Why; `None` where it passed.
    pub cause: Option<Cause>,
    /// The container whose log is worth reading, where one is to blame.
    pub culprit: Option<Culprit>,
    /// When it was known.
    pub at: Moment,
}

/// A container that is to blame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Culprit {
    /// The pod's name.
    pub pod: String,
    /// The container's name.
    pub container: String,
    /// How often it had restarted when it ended as the cause says: its log is that of this run.
    pub restart: u32,
}

/// When an attempt's phases were reached; `None` for one that was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Its objects were all accepted.
    pub applied: Option<Moment>,
    /// The first of its pods had a node.
    pub scheduled: Option<Moment>,
    /// The first of its judged objects was running.
    pub running: Option<Moment>,
    /// It was judged.
    pub finished: Option<Moment>,
}

/// One attempt, finished and ready to be reported: everything in it is redacted.
#[derive(Clone, Debug)]
pub struct Attempted {
    /// The attempt's part of the report.
    pub attempt: Attempt,
    /// Why it did not pass.
    pub cause: Option<Cause>,
    /// What became of the checks.
    pub checks: Vec<CheckResult>,
    /// What its pods used; `None` if nothing of them ran.
    pub resources: Option<Resources>,
    /// How long it took, its cleaning up left out.
    pub duration: Duration,
    /// Its folder inside the evidence archive.
    pub evidence: Option<String>,
}
