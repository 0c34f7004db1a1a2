//! Attempts that came to no verdict of their own: the run ended before, or they panicked.

use std::any::Any;
use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::Timestamp;

use crate::duration;
use crate::model::{Cause, CauseClass, Outcome};
use crate::report::Attempt;
use crate::trial::Attempted;

/// Why no other cell is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// So many results count as failures.
    MaxFail(NonZeroUsize),
    /// The run's time is up.
    Deadline,
    /// The run was cancelled.
    Cancelled,
}

impl Ending {
    /// Why a cell that had not begun is skipped.
    pub(super) fn before_its_turn(self) -> String {
        match self {
            Self::MaxFail(most) => format!("not begun: {most} failed before its turn (--max-fail {most})"),
            Self::Deadline => "the run's deadline was reached before its turn".to_owned(),
            Self::Cancelled => "cancelled before its turn".to_owned(),
        }
    }

    /// Tells what stopped an attempt that was told to stop and could not be judged. What is known to be somebody else's fault
    /// stays that.
    pub(super) fn explain(self, tried: &mut Attempted) {
        let is_ours = tried.cause.as_ref().is_none_or(|cause| cause.class == CauseClass::Internal);
        if tried.attempt.outcome != Outcome::Errored || !is_ours {
            return;
        }
        let ran = duration::format(tried.duration);
        match self {
            Self::MaxFail(_) => {}
            Self::Deadline => {
                tried.attempt.outcome = Outcome::TimedOut;
                tried.cause = Some(Cause {
                    hint: "raise `--deadline`, or let fewer examples run: `--shard`, `--examples`".to_owned(),
                    ..Cause::new(
                        CauseClass::Timeout,
                        "DeadlineReached",
                        format!("the run's deadline was reached after it had run for {ran}"),
                    )
                });
            }
            Self::Cancelled => {
                let message = format!("the run was cancelled after it had run for {ran}");
                tried.cause = Some(Cause::new(CauseClass::Internal, "Cancelled", message));
            }
        }
    }
}

/// What an attempt that panicked comes to.
pub(super) fn panicked(panic: &(dyn Any + Send), started_at: Timestamp, took: Duration) -> Attempted {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let message = format!("this program panicked while it judged the example: {}", text.unwrap_or("without a message"));
    Attempted {
        attempt: Attempt {
            outcome: Outcome::Errored,
            namespace: String::new(),
            started_at: started_at.to_string(),
            phases: serde_json::Map::new(),
        },
        cause: Some(Cause {
            hint: "report it as a bug of example-validator, with the example".to_owned(),
            ..Cause::new(CauseClass::Internal, "Panic", message)
        }),
        checks: Vec::new(),
        resources: None,
        duration: took,
        evidence: None,
    }
}
