//! Checks: assertions about an attempt that did what it was to do. An example that succeeds while a check fails is failed.
//!
//! `logs` checks are evaluated on the lines as they stream by ([`LogScan`]); everything else, once the attempt has been judged
//! ([`Checks::evaluate`]). A check that can't be decided is `inconclusive`: it fails nothing, and never passes in silence.

mod budget;
mod cel;
mod event;
mod logs;
mod metrics;
mod run;
mod scan;
#[cfg(test)]
mod tests;
mod value;

use std::sync::Arc;

use serde_json::Value as Json;

pub use metrics::Metering;
pub use run::RunContext;
pub use scan::LogScan;

use crate::config::Check;
use crate::error::{Error, Result};
use crate::framework::expression::Expression;
use crate::model::{Cause, CauseClass};
use crate::report::{CheckResult, Resources};
use crate::trial::diagnosis::clean::one_line;

/// Most characters of a result's message.
const LONGEST: usize = 400;

/// The checks of one attempt, ready to be evaluated.
#[derive(Debug)]
pub struct Checks {
    /// In the order of the config.
    list: Vec<Check>,
    /// The expression of each `cel` check, at its place.
    expressions: Vec<Option<Expression>>,
    scan: Arc<LogScan>,
}

/// What is known once an attempt has been judged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// The first judged object's last state.
    pub object: Option<&'a Json>,
    /// All events of the namespace that were seen (core/v1 or events.k8s.io/v1).
    pub events: &'a [Arc<Json>],
    /// The last states of the attempt's pods: which containers there were.
    pub pods: &'a [Arc<Json>],
    /// Why the logs that were scanned are not whole, if they are not: then what was not found may have been there.
    pub logs_lost: Option<&'a str>,
    /// Why less happened than was planned, if so: then what did not happen says nothing.
    pub incomplete: Option<&'a str>,
    /// What the pods used; `None` if nothing of them ran.
    pub resources: Option<&'a Resources>,
}

/// What became of a check.
#[derive(Clone, Debug, PartialEq)]
enum Finding {
    Passed { message: String, value: Option<f64> },
    Failed(Failure),
    Inconclusive(String),
}

/// Why a check failed.
#[derive(Clone, Debug, PartialEq)]
struct Failure {
    /// A word to search for: `LogsDidNotMatch`.
    reason: &'static str,
    message: String,
    /// What to do about it; empty if nothing is known.
    hint: String,
    value: Option<f64>,
}

impl Finding {
    fn passed(message: impl Into<String>) -> Self {
        Self::Passed { message: message.into(), value: None }
    }

    fn failed(reason: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Failed(Failure { reason, message: message.into(), hint: hint.into(), value: None })
    }
}

impl Finding {
    /// A finding of which only what happened counts, where not everything could happen.
    fn excused(self, incomplete: Option<&str>) -> Self {
        const DID_NOT_HAPPEN: [&str; 6] =
            ["MetricTooLow", "MetricDidNotRise", "MetricAbsent", "LogsDidNotMatch", "ValueMissing", "EventMissing"];
        match (self, incomplete) {
            (Self::Failed(failure), Some(why)) if DID_NOT_HAPPEN.contains(&failure.reason) => {
                Self::Inconclusive(format!("{why}; {}", failure.message))
            }
            (finding, _) => finding,
        }
    }
}

impl Checks {
    /// Whether a `logs` check looked for a line in the logs of this container, and found none anywhere.
    pub fn searches_in_vain(&self, container: &str) -> bool {
        let is_meant = |check: &Check| match check {
            Check::Logs { container: own, matches: Some(_), .. } => own.as_deref().is_none_or(|own| own == container),
            _ => false,
        };
        let mut checks = self.list.iter().enumerate();
        checks.any(|(place, check)| is_meant(check) && self.scan.seen(place).matched.is_none())
    }

    /// Compiles the checks of a validated config.
    ///
    /// # Errors
    /// A regular expression or a CEL expression is not one, which the config should have refused.
    pub fn new(checks: &[Check]) -> Result<Self> {
        let expression = |check: &Check| match check {
            Check::Cel(text) => Expression::compile(text).map(Some).map_err(|error| Error::Internal(error.to_string())),
            _ => Ok(None),
        };
        Ok(Self {
            list: checks.to_vec(),
            expressions: checks.iter().map(expression).collect::<Result<_>>()?,
            scan: Arc::new(LogScan::new(checks)?),
        })
    }

    /// What the tasks that follow logs give every line to.
    #[must_use]
    pub fn scan(&self) -> Arc<LogScan> {
        Arc::clone(&self.scan)
    }

    /// Whether an event that must be there has not been seen yet. Events come a little later than the status that they tell
    /// of: it is worth a moment's wait.
    #[must_use]
    pub fn awaits_event(&self, events: &[Arc<Json>]) -> bool {
        self.list.iter().any(|check| match check {
            Check::Event { reason, absent: false } => !event::is_seen(reason, events),
            _ => false,
        })
    }

    /// Evaluates every check, in the order of the config. The cause is that of the first one that failed.
    pub async fn evaluate(&self, facts: &Facts<'_>, context: &RunContext<'_>) -> (Vec<CheckResult>, Option<Cause>) {
        let mut results = Vec::with_capacity(self.list.len());
        let cause = self.evaluate_each(facts, context, |result| results.push(result)).await;
        (results, cause)
    }

    /// The same, and tells of each result as soon as it is decided: what is dropped before the end has told what it could.
    pub async fn evaluate_each(
        &self,
        facts: &Facts<'_>,
        context: &RunContext<'_>,
        mut decided: impl FnMut(CheckResult),
    ) -> Option<Cause> {
        let mut cause = None;
        for (place, check) in self.list.iter().enumerate() {
            let finding = self.decide(check, place, facts, context).await.excused(facts.incomplete);
            if let (Finding::Failed(failure), None) = (&finding, &cause) {
                cause = Some(self::cause(failure, facts, context));
            }
            decided(result(kind(check), finding, context));
        }
        cause
    }

    async fn decide(&self, check: &Check, place: usize, facts: &Facts<'_>, context: &RunContext<'_>) -> Finding {
        match check {
            Check::Logs { .. } => logs::evaluate(check, &self.scan.seen(place), facts),
            Check::Value { name, min, max, equals } => {
                value::evaluate(name, (*min, *max, *equals), &self.scan.caught(), facts)
            }
            Check::Cel(_) => match &self.expressions[place] {
                Some(expression) => cel::evaluate(expression, facts.object),
                None => Finding::Inconclusive("the expression could not be compiled".to_owned()),
            },
            Check::Event { reason, absent } => event::evaluate(reason, *absent, facts.events),
            Check::Resources { .. } => budget::evaluate(check, facts.resources),
            Check::Metrics { .. } => metrics::evaluate(check, context).await,
            Check::Run(command) => run::evaluate(command, place, context).await,
        }
    }
}

/// The key of a check in the config.
#[must_use]
pub fn kind(check: &Check) -> &'static str {
    match check {
        Check::Logs { .. } => "logs",
        Check::Value { .. } => "value",
        Check::Cel(_) => "cel",
        Check::Event { .. } => "event",
        Check::Metrics { .. } => "metrics",
        Check::Resources { .. } => "resources",
        Check::Run(_) => "run",
    }
}

fn result(check: &str, finding: Finding, context: &RunContext<'_>) -> CheckResult {
    let (outcome, message, value) = match finding {
        Finding::Passed { message, value } => ("passed", message, value),
        Finding::Failed(failure) => ("failed", failure.message, failure.value),
        Finding::Inconclusive(message) => ("inconclusive", message, None),
    };
    let message = one_line(&(context.redact)(&message), LONGEST);
    CheckResult { check: check.to_owned(), outcome: outcome.to_owned(), message, value }
}

fn cause(failure: &Failure, facts: &Facts<'_>, context: &RunContext<'_>) -> Cause {
    let text = |key: &str| facts.object?.pointer(key)?.as_str();
    let object = match (text("/kind"), text("/metadata/name")) {
        (Some(kind), Some(name)) => format!("{kind}/{name}"),
        _ => String::new(),
    };
    Cause {
        class: CauseClass::Assertion,
        reason: failure.reason.to_owned(),
        message: one_line(&(context.redact)(&failure.message), LONGEST),
        hint: one_line(&(context.redact)(&failure.hint), LONGEST),
        object,
        file: context.example.as_str().to_owned(),
        line: 0,
    }
}
