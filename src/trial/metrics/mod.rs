//! Metrics of the operator: read before and after an example, or asked of a Prometheus.
//!
//! ```text
//! Before (the values, before anything is applied) -> the example -> ask (again and again, until it holds or the wait is over)
//! ```
//!
//! [`Meter`] reads, through the API server's service proxy ([`proxy`]): an operator's own endpoint ([`exposition`]) or a Prometheus
//! ([`prometheus`]). What the values come to is pure ([`judge`]). What can't be read is `inconclusive`: never passed, and never the
//! example's failure.

mod absent;
pub mod exposition;
mod judge;
mod prometheus;
mod proxy;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::config::{Check, MetricsSource};
use crate::metric_selector::{NAMESPACE, filled};
use judge::{Bounds, Standing};
pub use read::{Meter, Unread};

/// How long a value is waited for if the check says nothing: an operator counts a little after the status that it writes.
pub const WAIT: Duration = Duration::from_secs(5);
/// The same with a Prometheus, which learns of a value only at its next scrape.
pub const WAIT_PROMETHEUS: Duration = Duration::from_secs(30);
/// The pause between two readings.
const PAUSE: Duration = Duration::from_secs(1);

/// What a query comes to: the value of each series, by its name and labels.
pub type Values = BTreeMap<String, f64>;

/// What became of a metrics check.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It holds.
    Passed { message: String, value: Option<f64> },
    /// It does not.
    Failed { reason: &'static str, message: String, hint: String, value: Option<f64> },
    /// Nobody can tell.
    Inconclusive(String),
}

/// A metrics check about one namespace.
#[derive(Clone, Debug)]
struct Question {
    query: String,
    bounds: Bounds,
    wait: Option<Duration>,
}

impl Question {
    /// What a check asks; `None` of any other check.
    fn of(check: &Check, namespace: &str) -> Option<Self> {
        let Check::Metrics { query, min, max, equals, increase, max_increase, wait } = check else { return None };
        let bounds = Bounds { min: *min, max: *max, equals: *equals, increase: *increase, max_increase: *max_increase };
        Some(Self { query: filled(query, namespace), bounds, wait: *wait })
    }
}

/// Whether some of the checks ask for a metric that other examples may move too: such an example runs alone.
#[must_use]
pub fn are_shared(checks: &[Check]) -> bool {
    checks.iter().any(|check| matches!(check, Check::Metrics { query, .. } if !query.contains(NAMESPACE)))
}

/// What queries came to before an example.
#[derive(Debug, Default)]
pub struct Before(BTreeMap<String, Result<Values, Unread>>);

impl Before {
    /// Reads what the checks compare with, if anything: at most about ten seconds for a source that does not answer.
    pub async fn read(meter: &Meter, checks: &[Check], namespace: &str) -> Self {
        let questions = checks.iter().filter_map(|check| Question::of(check, namespace));
        let queries: Vec<_> = questions.filter(|asked| asked.bounds.compares()).map(|asked| asked.query).collect();
        let values = meter.read(&queries).await;
        let values = values.into_iter().map(|read| read.map(|reading| reading.values));
        Self(queries.into_iter().zip(values).collect())
    }
}

/// Asks until the check holds, or its wait is over.
pub async fn ask(meter: &Meter, check: &Check, namespace: &str, before: &Before, cancel: &CancellationToken) -> Answer {
    let Some(question) = Question::of(check, namespace) else {
        return Answer::Inconclusive("it is no metrics check".to_owned());
    };
    let values_before = match before.0.get(&question.query) {
        Some(Err(unread)) => {
            return Answer::Inconclusive(format!("the metric could not be read before the example: {unread}"));
        }
        Some(Ok(values)) => Some(values),
        None if question.bounds.compares() => {
            return Answer::Inconclusive("the metric was not read before the example".to_owned());
        }
        None => None,
    };
    let wait = question.wait.unwrap_or(match meter.source() {
        MetricsSource::Service { .. } => WAIT,
        MetricsSource::Prometheus(_) => WAIT_PROMETHEUS,
    });
    let deadline = Instant::now() + wait;
    loop {
        let read = meter.read_one(&question.query).await;
        let standing = read.map(|reading| judge::judge(&question.query, &question.bounds, values_before, &reading));
        let is_last = Instant::now() >= deadline;
        match standing {
            Ok(Standing::Holds { message, value }) => return Answer::Passed { message, value },
            Err(unread) if is_last || unread.is_final => return Answer::Inconclusive(unread.to_string()),
            Ok(standing) if is_last => return fallen(meter, &question, standing, wait).await,
            Ok(_) | Err(_) if cancel.is_cancelled() => return Answer::Inconclusive("the run was cancelled".to_owned()),
            Ok(_) | Err(_) => {}
        }
        tokio::select! {
            () = sleep(PAUSE.min(deadline.saturating_duration_since(Instant::now()))) => {}
            () = cancel.cancelled() => {}
        }
    }
}

/// What did not come to hold in time.
async fn fallen(meter: &Meter, question: &Question, standing: Standing, wait: Duration) -> Answer {
    let waited = crate::duration::format(wait);
    match standing {
        Standing::Holds { message, value } => Answer::Passed { message, value },
        Standing::Falls { reason, message, value } => {
            let hint = String::new();
            Answer::Failed { reason, message: format!("{message} (waited {waited})"), hint, value }
        }
        Standing::Absent => {
            let absent = match meter.others(&question.query).await {
                Ok(absent) => absent,
                Err(unread) => return Answer::Inconclusive(unread.to_string()),
            };
            let message = format!("no series {}{} (waited {waited})", question.query, absent.there_are);
            if !question.bounds.take_nothing() {
                Answer::Failed { reason: "MetricAbsent", message, hint: absent.hint, value: None }
            } else if absent.is_known {
                Answer::Passed { message: format!("{message}: counted as 0"), value: Some(0.0) }
            } else {
                let why = "it may have counted nothing yet, or be misspelt";
                Answer::Inconclusive(format!("{message}: {why}"))
            }
        }
    }
}
