//! Lists of checks.

use std::collections::BTreeSet;

use regex::Regex;

use super::super::place::Place;
use super::super::raw::{RawCheck, RawLogs, RawMetricCheck, RawValue};
use super::super::{Check, MetricsSource, forms};
use super::budget::budget;
use super::examples::command;
use super::time;
use crate::framework::expression::Expression;
use crate::metric_selector::NAMESPACE;

/// What the checks of a list are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// An example.
    Example,
    /// The operator, over a whole run.
    Run {
        /// Whether the config says where it is.
        knows_operator: bool,
    },
}

/// The checks of one list. A `value` must be caught by a `logs` check of the same list.
pub(super) fn list(raw: Vec<RawCheck>, metrics: Option<&MetricsSource>, scope: Scope, at: &Place<'_>) -> Vec<Check> {
    let caught: BTreeSet<String> = raw
        .iter()
        .filter_map(|check| Regex::new(check.logs.as_ref()?.matches.as_ref()?).ok())
        .flat_map(|regex| regex.capture_names().flatten().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let checks = at.items(raw).filter_map(|(at, check)| {
        let check = self::check(check, metrics, &caught, &at)?;
        if let Scope::Run { knows_operator } = scope {
            run_wide(&check, knows_operator, &at);
        }
        Some(check)
    });
    checks.collect()
}

/// Whether a check means something of a whole run.
fn run_wide(check: &Check, knows_operator: bool, at: &Place<'_>) {
    const OPERATOR: &str = "add `operator` steps, or `operator-ready: {deployments: [namespace/name]}`";
    match check {
        Check::Resources { .. } => {
            at.key("resources").error("means nothing here: budgets are for the pods of an example");
        }
        Check::Metrics { query, .. } if query.contains(NAMESPACE) => at.key("metrics").key("query").error_with_help(
            format!("`{NAMESPACE}` means nothing here: a run-wide check is about no single example"),
            "leave it out: the sum of all series is compared",
        ),
        Check::Logs { .. } if !knows_operator => at.key("logs").error_with_help(NO_OPERATOR, OPERATOR),
        Check::Event { .. } if !knows_operator => at.key("event").error_with_help(NO_OPERATOR, OPERATOR),
        Check::Cel(_) if !knows_operator => at.key("cel").error_with_help(NO_OPERATOR, OPERATOR),
        _ => {}
    }
}

const NO_OPERATOR: &str = "is about the operator here, and the config does not say where that is";

fn check(raw: RawCheck, metrics: Option<&MetricsSource>, caught: &BTreeSet<String>, at: &Place<'_>) -> Option<Check> {
    let event = |event: super::super::raw::RawEvent| {
        at.key("event").key("reason").ok(forms::text(&event.reason));
        Check::Event { reason: event.reason, absent: event.absent.unwrap_or_default() }
    };
    let forms = [
        raw.logs.map(|raw| logs(raw, &at.key("logs"))),
        raw.value.map(|raw| value(raw, caught, &at.key("value"))),
        raw.cel.map(|expression| Check::Cel(cel(expression, &at.key("cel")))),
        raw.event.map(event),
        raw.metrics.map(|raw| metric(raw, metrics, &at.key("metrics"))),
        raw.resources.map(|raw| budget(&raw, &at.key("resources"))),
        raw.run.map(|raw| Check::Run(command(raw, &at.key("run")))),
    ];
    let mut given = forms.into_iter().flatten();
    let (first, second) = (given.next(), given.next());
    if first.is_none() || second.is_some() {
        at.error("expected exactly one of logs, value, cel, event, metrics, resources and run");
    }
    first
}

fn logs(raw: RawLogs, at: &Place<'_>) -> Check {
    for (key, pattern) in [("matches", &raw.matches), ("absent", &raw.absent)] {
        if let Some(Err(error)) = pattern.as_ref().map(|pattern| Regex::new(pattern)) {
            at.key(key).error(format!("not a regular expression: {}", last_line(&error.to_string())));
        }
    }
    if raw.matches.is_none() && raw.absent.is_none() {
        at.error("expected `matches` or `absent`, a regular expression");
    }
    Check::Logs { container: raw.container, matches: raw.matches, absent: raw.absent }
}

/// What is wrong, without the drawing above it.
fn last_line(message: &str) -> &str {
    let last = message.lines().last().unwrap_or(message).trim();
    last.strip_prefix("error: ").unwrap_or(last)
}

fn value(raw: RawValue, caught: &BTreeSet<String>, at: &Place<'_>) -> Check {
    if !caught.contains(&raw.name) {
        let help = format!("add `logs: {{matches: '...(?P<{}>...)'}}` to this list", raw.name);
        at.key("name").error_with_help(format!("no logs check of this list has a group named `{}`", raw.name), help);
    }
    bounds(&[("min", raw.min), ("max", raw.max), ("equals", raw.equals)], at);
    Check::Value { name: raw.name, min: raw.min, max: raw.max, equals: raw.equals }
}

fn metric(raw: RawMetricCheck, source: Option<&MetricsSource>, at: &Place<'_>) -> Check {
    let query = at.key("query");
    match source {
        None => query.error_with_help(
            "there is nowhere to ask for metrics",
            "add `metrics: {service: namespace/name:port}` to the config",
        ),
        Some(MetricsSource::Service { .. }) if !forms::is_plain_metric(&raw.query) => query.error_with_help(
            format!("`{}` is PromQL, which needs a Prometheus", raw.query),
            "add `metrics: {prometheus: namespace/name:port}`, or ask for `name{label=\"value\"}` alone",
        ),
        Some(_) => {
            query.ok(forms::text(&raw.query));
        }
    }
    let rise = [("increase", raw.increase), ("max-increase", raw.max_increase)];
    bounds(&[&[("min", raw.min), ("max", raw.max), ("equals", raw.equals)], &rise[..]].concat(), at);
    if let (Some(least), Some(most)) = (raw.increase, raw.max_increase)
        && least > most
    {
        at.key("increase").error(format!("{least} is more than `max-increase`, {most}: no value can pass"));
    }
    Check::Metrics {
        query: raw.query,
        min: raw.min,
        max: raw.max,
        equals: raw.equals,
        increase: raw.increase,
        max_increase: raw.max_increase,
        wait: time(raw.wait, &at.key("wait")),
    }
}

/// Some bound must be given, and a value must be able to meet them all.
fn bounds(bounds: &[(&str, Option<f64>)], at: &Place<'_>) {
    let get = |name: &str| bounds.iter().find(|(key, _)| *key == name).and_then(|(_, value)| *value);
    if bounds.iter().all(|(_, value)| value.is_none()) {
        let names: Vec<_> = bounds.iter().map(|(name, _)| *name).collect();
        at.error(format!("compares with nothing: expected one of {}", names.join(", ")));
    }
    let (low, high) = (get("min"), get("max"));
    if let (Some(low), Some(high)) = (low, high)
        && low > high
    {
        at.key("min").error(format!("{low} is more than `max`, {high}: no value can pass"));
    }
    if let Some(equals) = get("equals")
        && (low.is_some_and(|low| equals < low) || high.is_some_and(|high| equals > high))
    {
        at.key("equals").error(format!("{equals} is outside of `min` and `max`: no value can pass"));
    }
}

/// A CEL expression over `object`, that can be read.
fn cel(expression: String, at: &Place<'_>) -> String {
    if let Err(error) = Expression::compile(&expression) {
        at.error(error.to_string());
    }
    expression
}
