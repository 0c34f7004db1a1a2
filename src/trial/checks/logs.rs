//! `logs`: a line that must, or must not, be there.
//!
//! Without `container` any container of any pod of the attempt counts: init containers, sidecars, and every run of one that was
//! restarted. With it, those of that name in any pod.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as Json;

use super::scan::{Place, Seen};
use super::value::number;
use super::{Facts, Finding};
use crate::config::Check;
use crate::report::plural;
use crate::schema::closest;

/// Evaluates a `logs` check by what the scan has seen for it.
pub(super) fn evaluate(check: &Check, seen: &Seen, facts: &Facts<'_>) -> Finding {
    let Check::Logs { container, matches, absent } = check else { return Finding::passed("") };
    if let Some(unknown) = container.as_deref().and_then(|name| unknown_container(name, seen, facts.pods)) {
        return unknown;
    }
    if let (Some(pattern), Some(place)) = (absent, &seen.forbidden) {
        let message = format!("{} logged `{}`, which `absent: {pattern}` forbids", named(place), place.line);
        return Finding::failed("LogsForbidden", message, "");
    }
    if let (Some(pattern), None) = (matches, &seen.matched) {
        return facts.logs_lost.map_or_else(
            || not_matched(pattern, seen),
            |lost| Finding::Inconclusive(format!("no line matched `{pattern}`, but the logs are not whole: {lost}")),
        );
    }
    if let (Some(pattern), None, Some(lost)) = (absent, matches, facts.logs_lost) {
        return Finding::Inconclusive(format!("no line matched `{pattern}`, but the logs are not whole: {lost}"));
    }
    match &seen.matched {
        Some(place) => Finding::Passed {
            message: format!("{} logged `{}`", named(place), place.line),
            value: place.value.as_ref().and_then(|(_, text)| number(text)),
        },
        None => Finding::passed(format!("not in {}", searched(seen))),
    }
}

fn not_matched(pattern: &str, seen: &Seen) -> Finding {
    let near = seen.near.as_ref().map(|place| format!("; the nearest is `{}`", place.line)).unwrap_or_default();
    let message = format!("no line matched `{pattern}` in {}{near}", searched(seen));
    let hint = match (&seen.near, seen.lines.values().sum::<u64>()) {
        (Some(_), _) => "the pattern does not fit what is logged",
        (None, 0) => "nothing was logged; Python holds its output back unless PYTHONUNBUFFERED is set",
        _ => "",
    };
    Finding::failed("LogsDidNotMatch", message, hint)
}

/// How much was searched, and whose it is.
fn searched(seen: &Seen) -> String {
    let lines = usize::try_from(seen.lines.values().sum::<u64>()).unwrap_or(usize::MAX);
    let names: Vec<_> = seen.lines.keys().take(5).map(|name| format!("`{name}`")).collect();
    let more = if seen.lines.len() > names.len() { ", ..." } else { "" };
    let of = if names.is_empty() { String::new() } else { format!(" of {}{more}", names.join(", ")) };
    format!("{}{of}", plural(lines, "line"))
}

/// A container that no pod has: nothing was searched, whatever the check wants.
fn unknown_container(name: &str, seen: &Seen, pods: &[Arc<Json>]) -> Option<Finding> {
    let lists = ["containers", "initContainers", "ephemeralContainers"];
    let spec = pods.iter().filter_map(|pod| pod.get("spec"));
    let all = spec.flat_map(|spec| lists.iter().filter_map(|list| spec.get(list)?.as_array()).flatten());
    let names: BTreeSet<&str> = all.filter_map(|container| container.get("name")?.as_str()).collect();
    if names.is_empty() || names.contains(name) || !seen.lines.is_empty() {
        return None;
    }
    let listed: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    let hint = closest(name, names.iter().copied()).map(|near| format!("did you mean `{near}`?"));
    let message = format!("no pod has a container `{name}`; there are {}", listed.join(", "));
    Some(Finding::failed("ContainerNotFound", message, hint.unwrap_or_default()))
}

fn named(place: &Place) -> String {
    format!("container `{}` of Pod/{}", place.container, place.pod)
}
