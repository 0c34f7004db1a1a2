//! Metrics of the operator: read before and after an example, or asked of a Prometheus.
//!
//! ```text
//! Before (the values, before anything is applied) -> the example -> ask (again and again, until it holds or the wait is over)
//! ```
//!
//! [`Meter`] reads, through the API server's service proxy ([`proxy`]): an operator's own endpoint ([`exposition`]) or a Prometheus
//! ([`prometheus`]). What the values come to is pure ([`judge`]). What can't be read is `inconclusive`: never passed, and never the
//! example's failure. So is a bound that may only seem to hold, or only seem not to: where a program restarted, a line could not be read, or
//! the last scrape is too old.

mod absent;
pub mod exposition;
mod judge;
mod prometheus;
#[cfg(test)]
mod prometheus_tests;
mod proxy;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::config::{Check, MetricsSource};
use crate::metric_selector::names_namespace;
use crate::trial::diagnosis::clean::one_line;
use judge::{Bounds, Standing};
use proxy::REQUEST;
use read::Query;
pub use read::{Meter, Reading, Scrape, Unread};

/// How long a value is waited for if the check says nothing: an operator counts a little after the status that it writes.
pub const WAIT: Duration = Duration::from_secs(5);
/// How long a bound from above has to hold then.
pub const SETTLE: Duration = Duration::from_secs(2);
/// Both with a Prometheus, which learns of a value only at its next scrape.
pub const WAIT_PROMETHEUS: Duration = Duration::from_secs(30);
/// The pause between two readings.
const PAUSE: Duration = Duration::from_secs(1);
/// Most characters of a query in a message that tells more after it.
const LONGEST: usize = 160;

/// What a query comes to: the value of each series, by its pod (if that is known), name and labels.
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
    query: Query,
    bounds: Bounds,
    wait: Option<Duration>,
}

impl Question {
    /// What a check asks; `None` of any other check.
    fn of(check: &Check, namespace: &str) -> Option<Self> {
        let Check::Metrics { query, min, max, equals, increase, max_increase, wait } = check else { return None };
        let bounds = Bounds { min: *min, max: *max, equals: *equals, increase: *increase, max_increase: *max_increase };
        Some(Self { query: Query::new(query, namespace), bounds, wait: *wait })
    }

    /// How long it may take to hold, and how long a bound from above has to hold then; `None`: until that time is over.
    fn patience(&self, source: &MetricsSource) -> (Duration, Option<Duration>) {
        match (self.wait, source) {
            (Some(wait), _) => (wait, None),
            (None, MetricsSource::Prometheus(_)) => (WAIT_PROMETHEUS, None),
            (None, MetricsSource::Service { .. }) if self.bounds.has_lower() => (WAIT, Some(SETTLE)),
            (None, MetricsSource::Service { .. }) => (SETTLE, Some(SETTLE)),
        }
    }
}

/// Whether some of the checks ask for a metric that other examples may move too: such an example runs alone.
#[must_use]
pub fn are_shared(checks: &[Check]) -> bool {
    checks.iter().any(|check| matches!(check, Check::Metrics { query, .. } if !names_namespace(query)))
}

/// What queries came to before an example.
#[derive(Debug, Default)]
pub struct Before(BTreeMap<String, Result<Reading, Unread>>);

impl Before {
    /// Reads what the checks compare with, and who was there to count: at most about ten seconds for a source that does not answer. What
    /// others may have moved is waited for, until a Prometheus has scraped it.
    pub async fn read(meter: &Meter, checks: &[Check], namespace: &str) -> Self {
        let questions: Vec<_> = checks.iter().filter_map(|check| Question::of(check, namespace)).collect();
        let queries: Vec<_> = questions.iter().map(|asked| &asked.query).collect();
        let readings = meter.read(&queries).await;
        let mut before = BTreeMap::new();
        for (asked, reading) in questions.iter().zip(readings) {
            let text = asked.query.text.clone();
            if asked.bounds.compares() && !asked.query.names_namespace {
                before.insert(text, fresh(meter, &asked.query, reading).await);
            } else {
                // Another check may have had it read anew.
                before.entry(text).or_insert(reading);
            }
        }
        Self(before)
    }
}

/// Reads until the metric was scraped after the first reading, or is not to be had.
async fn fresh(meter: &Meter, query: &Query, first: Result<Reading, Unread>) -> Result<Reading, Unread> {
    let mut reading = first?;
    let Some(Scrape { asked, .. }) = reading.scrape else { return Ok(reading) };
    let deadline = Instant::now() + WAIT_PROMETHEUS;
    while reading.scrape.is_some_and(|scrape| scrape.scraped.is_some_and(|at| at <= asked)) {
        if Instant::now() >= deadline {
            return Err(Unread::new("the last scrape is older than that"));
        }
        sleep(PAUSE).await;
        reading = meter.read_one(query).await?;
    }
    Ok(reading)
}

/// Asks until the check holds, or its wait is over. A bound from above has to hold until then.
pub async fn ask(meter: &Meter, check: &Check, namespace: &str, before: &Before, cancel: &CancellationToken) -> Answer {
    let Some(question) = Question::of(check, namespace) else {
        return Answer::Inconclusive("it is no metrics check".to_owned());
    };
    let earlier = match before.0.get(&question.query.text) {
        Some(Ok(reading)) if question.bounds.compares() && is_unknown(&question.query, reading) => {
            let why = "the metric was not there before the example: nothing of it had been scraped yet";
            return Answer::Inconclusive(why.to_owned());
        }
        Some(Ok(reading)) => Some(reading),
        Some(Err(unread)) if question.bounds.compares() => {
            return Answer::Inconclusive(format!("the metric could not be read before the example: {unread}"));
        }
        None if question.bounds.compares() => {
            return Answer::Inconclusive("the metric was not read before the example".to_owned());
        }
        _ => None,
    };
    tokio::select! {
        biased;
        answer = asked(meter, &question, earlier) => answer,
        () = cancel.cancelled() => Answer::Inconclusive("the run was cancelled, or its deadline came".to_owned()),
    }
}

/// Whether what a Prometheus had of a metric is nothing, and not 0. Of a namespace that was not there yet it is 0.
fn is_unknown(query: &Query, reading: &Reading) -> bool {
    let never = reading.scrape.is_some_and(|scrape| scrape.scraped.is_none());
    never && reading.values.is_empty() && !query.names_namespace
}

async fn asked(meter: &Meter, question: &Question, before: Option<&Reading>) -> Answer {
    let (wait, settle) = question.patience(meter.source());
    let deadline = Instant::now() + wait;
    let (mut held, mut example_ended) = (None, None);
    loop {
        // A first reading is worth its time even if the wait is short.
        let read =
            tokio::time::timeout_at(deadline.max(Instant::now()) + REQUEST, meter.read_one(&question.query)).await;
        let read =
            read.unwrap_or_else(|_| Err(Unread::new(format!("no answer within {}", crate::duration::format(wait)))));
        let now = Instant::now();
        let mut until = deadline;
        match read {
            Err(unread) if now >= deadline || unread.is_final => return Answer::Inconclusive(unread.to_string()),
            Err(_) => {}
            Ok(reading) => {
                let ended = *example_ended.get_or_insert(reading.scrape.map(|scrape| scrape.asked));
                let standing = judge::judge(&question.query.text, &question.bounds, before, &reading);
                let doubt = doubt(question, &reading, before, ended);
                let is_certain = is_certain(question, &standing, before, &reading, is_old(&reading, ended));
                let holds = matches!(standing, Standing::Holds { .. });
                held = if holds { held.or(Some(now)) } else { None };
                if let (Some(held), Some(settle)) = (held, settle) {
                    until = held + settle;
                }
                let is_met = holds && !question.bounds.has_upper();
                let is_settled = is_certain && (is_met || matches!(standing, Standing::Exceeds { .. }));
                if now >= until || is_settled {
                    let doubt = doubt.as_deref().map(|why| Doubt { why, is_certain });
                    return concluded(meter, question, standing, doubt, wait).await;
                }
            }
        }
        sleep(PAUSE.min(until.saturating_duration_since(Instant::now()))).await;
    }
}

/// Why a reading may not show everything that was counted.
#[derive(Clone, Copy)]
struct Doubt<'a> {
    why: &'a str,
    /// What holds, or is too high, is so all the same.
    is_certain: bool,
}

fn doubt(question: &Question, reading: &Reading, before: Option<&Reading>, ended: Option<f64>) -> Option<String> {
    let compared = before.filter(|_| question.bounds.compares()).and_then(|before| before.doubt.as_ref());
    let earlier = || compared.map(|why| format!("before the example: {why}"));
    let lost = || before.and_then(|before| judge::lost(before, reading)).map(str::to_owned);
    let old = || is_old(reading, ended).then(|| "the last scrape is older than the example's end".to_owned());
    reading.doubt.clone().or_else(earlier).or_else(lost).or_else(old)
}

/// Whether the last scrape was not after the example's end.
fn is_old(reading: &Reading, ended: Option<f64>) -> bool {
    reading.scrape.zip(ended).is_some_and(|(scrape, ended)| scrape.scraped.is_some_and(|at| at <= ended))
}

/// Whether what holds, or is too high, is so whatever else there may be. What may fall may have fallen since its last scrape, and of
/// what PromQL makes of a part nobody can tell what it makes of the whole.
fn is_certain(
    question: &Question,
    standing: &Standing,
    before: Option<&Reading>,
    reading: &Reading,
    is_old: bool,
) -> bool {
    let may_fall = reading.may_fall && is_old;
    let is_partial = reading.doubt.is_some() && question.query.selector.is_err();
    !may_fall && !is_partial && judge::is_certain(&question.bounds, before, reading, standing)
}

/// What it comes to in the end. What nobody can be sure of is neither a bound from above that holds nor one from below that does not,
/// and where not even that is certain what was seen, neither the other way round.
async fn concluded(
    meter: &Meter,
    question: &Question,
    standing: Standing,
    doubt: Option<Doubt<'_>>,
    wait: Duration,
) -> Answer {
    let waited = crate::duration::format(wait);
    match (standing, doubt) {
        (Standing::Holds { message, .. }, Some(doubt)) if question.bounds.has_upper() || !doubt.is_certain => {
            Answer::Inconclusive(format!("{}; {message}", doubt.why))
        }
        (Standing::Exceeds { message, .. }, Some(doubt)) if !doubt.is_certain => {
            Answer::Inconclusive(format!("{}; {message}", doubt.why))
        }
        (Standing::Holds { message, value }, _) => Answer::Passed { message, value },
        (Standing::Exceeds { reason, message, value }, _) => {
            Answer::Failed { reason, message, hint: String::new(), value }
        }
        (Standing::Misses { message, .. }, Some(doubt)) => Answer::Inconclusive(format!("{}; {message}", doubt.why)),
        (Standing::Misses { reason, message, value }, None) => {
            let hint = String::new();
            Answer::Failed { reason, message: format!("waited {waited}: {message}"), hint, value }
        }
        (Standing::Unknown(why), _) => Answer::Inconclusive(why),
        (Standing::Absent, doubt) => absent(meter, question, doubt.map(|doubt| doubt.why), &waited).await,
    }
}

/// What it means that there is no such series.
async fn absent(meter: &Meter, question: &Question, doubt: Option<&str>, waited: &str) -> Answer {
    let none = format!("no series {}", one_line(&question.query.text, LONGEST));
    if let Some(doubt) = doubt {
        return Answer::Inconclusive(format!("{doubt}; {none}"));
    }
    let absent = match tokio::time::timeout(REQUEST, meter.others(&question.query)).await {
        Ok(Ok(absent)) => absent,
        Ok(Err(unread)) => return Answer::Inconclusive(unread.to_string()),
        Err(_) => return Answer::Inconclusive(format!("{none}; no answer to what there is")),
    };
    let message = format!("{none}{} (waited {waited})", absent.there_are);
    if !question.bounds.take_nothing() {
        Answer::Failed { reason: "MetricAbsent", message, hint: absent.hint, value: None }
    } else if absent.is_known {
        Answer::Passed { message: format!("counted as 0: {message}"), value: Some(0.0) }
    } else {
        Answer::Inconclusive(format!("it may have counted nothing yet, or be misspelt: {message}"))
    }
}
