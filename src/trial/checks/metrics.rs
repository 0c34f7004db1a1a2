//! `metrics`: bounds of a metric, and of how much it rose.

use super::run::RunContext;
use super::{Failure, Finding};
use crate::config::Check;
use crate::trial::metrics::{self, Answer, Before, Meter};

/// What metrics checks are evaluated with.
#[derive(Clone, Copy)]
pub struct Metering<'a> {
    /// Reads them.
    pub meter: &'a Meter,
    /// What they were before.
    pub before: &'a Before,
}

/// Evaluates a `metrics` check: asks until it holds or its wait is over.
pub(super) async fn evaluate(check: &Check, context: &RunContext<'_>) -> Finding {
    let Some(Metering { meter, before }) = context.metrics else {
        return Finding::Inconclusive("there is nowhere to ask for metrics".to_owned());
    };
    match metrics::ask(meter, check, context.namespace, before, context.cancel).await {
        Answer::Passed { message, value } => Finding::Passed { message, value },
        Answer::Failed { reason, message, hint, value } => Finding::Failed(Failure { reason, message, hint, value }),
        Answer::Inconclusive(why) => Finding::Inconclusive(why),
    }
}
