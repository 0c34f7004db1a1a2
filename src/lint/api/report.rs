//! The findings that many kinds share, each in one wording.

use super::forms::{self, Form};
use super::read::{IntOrString, entry, get, int, is_missing, quantity, strings, text};
use crate::lint::code;
use crate::lint::findings::{Anchor, Findings};
use crate::yaml::Node;

/// The numbers that a port can have.
pub(super) const PORTS: (i64, i64) = (1, 65_535);
/// The protocols that a port can have.
pub(super) const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// `key` of `node` is missing. `why` is empty or says in which case it is required: ` when ...`.
pub(super) fn required(out: &mut Findings<'_>, node: &Node, key: &str, why: &str) {
    match node.entry(key) {
        Some(entry) => out.error(code::REQUIRED, entry, format!("a value is required{why}")),
        None => out.error(code::REQUIRED, node, format!("`{key}` is required{why}")),
    };
}

/// Reports `key` if nothing stands there; returns whether something does.
pub(super) fn require(out: &mut Findings<'_>, node: &Node, key: &str) -> bool {
    let missing = is_missing(node, key);
    if missing {
        required(out, node, key, "");
    }
    !missing
}

/// The mapping under `key`, which is required.
pub(super) fn require_map<'n>(out: &mut Findings<'_>, node: &'n Node, key: &str) -> Option<&'n Node> {
    let found = get(node, key);
    if found.is_none() {
        required(out, node, key, "");
    }
    found.filter(|value| value.as_map().is_some())
}

/// Each of `keys` is required.
pub(super) fn require_all(out: &mut Findings<'_>, node: &Node, keys: &[&str]) {
    for key in keys {
        require(out, node, key);
    }
}

/// The string under `key` is required and must have a form.
pub(super) fn require_form(out: &mut Findings<'_>, node: &Node, key: &str, form: Form) {
    if require(out, node, key) {
        has_form(out, node, key, form);
    }
}

/// The string under `key`, if there is a non-empty one, must have a form.
pub(super) fn has_form(out: &mut Findings<'_>, node: &Node, key: &str, form: Form) {
    if let Some(value) = get(node, key)
        && let Some(found) = value.as_str().filter(|found| !found.is_empty())
    {
        expect(out, value, found, form);
    }
}

/// The string under `key`, if there is one, must have a form; an empty one hasn't. For fields that Kubernetes keeps apart
/// from absent ones even when they are empty.
pub(super) fn has_form_if_set(out: &mut Findings<'_>, node: &Node, key: &str, form: Form) {
    if let Some(value) = get(node, key)
        && let Some(found) = value.as_str()
    {
        expect(out, value, found, form);
    }
}

/// Each string listed under `key` must have a form.
pub(super) fn each_has_form(out: &mut Findings<'_>, node: &Node, key: &str, form: Form) {
    for (item, found) in strings(node, key) {
        expect(out, item, found, form);
    }
}

/// `found`, which stands at `anchor`, must have a form; returns whether it has.
pub(super) fn expect<'n>(out: &mut Findings<'_>, anchor: impl Into<Anchor<'n>>, found: &str, form: Form) -> bool {
    let complaint = form(found);
    if let Some(complaint) = complaint {
        out.error(complaint.code, anchor, format!("`{}` {complaint}", shorten(found)));
    }
    complaint.is_none()
}

/// The string under `key` must be one of `allowed`; nothing is asked of an absent or empty one, which is defaulted.
pub(super) fn one_of(out: &mut Findings<'_>, node: &Node, key: &str, allowed: &[&str]) {
    if !text(node, key).is_empty() {
        one_of_if_set(out, node, key, allowed);
    }
}

/// The string under `key` must be one of `allowed`, an empty string not among the exceptions.
pub(super) fn one_of_if_set(out: &mut Findings<'_>, node: &Node, key: &str, allowed: &[&str]) {
    if let Some(value) = get(node, key)
        && let Some(found) = value.as_str()
    {
        allowed_value(out, value, found, allowed);
    }
}

/// The string under `key` is required and must be one of `allowed`.
pub(super) fn require_one_of(out: &mut Findings<'_>, node: &Node, key: &str, allowed: &[&str]) {
    if require(out, node, key) {
        one_of(out, node, key, allowed);
    }
}

/// `found`, which stands at `value`, must be one of `allowed`.
pub(super) fn allowed_value(out: &mut Findings<'_>, value: &Node, found: &str, allowed: &[&str]) {
    if allowed.contains(&found) {
        return;
    }
    let names = allowed.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let what = if found.is_empty() { "an empty string".to_owned() } else { format!("`{}`", shorten(found)) };
    let message = format!("{what} is not supported, expected one of {names}");
    let close = allowed.iter().find(|name| strsim::jaro_winkler(&name.to_lowercase(), &found.to_lowercase()) > 0.85);
    out.error(code::NOT_ALLOWED, value, message).help = close.map(|name| format!("did you mean `{name}`?"));
}

/// The numbers under `keys` must not be negative.
pub(super) fn non_negative(out: &mut Findings<'_>, node: &Node, keys: &[&str]) {
    for key in keys {
        in_range(out, node, key, (0, i64::MAX));
    }
}

/// The number under `key`, if there is one, must be within `range`, both ends included.
pub(super) fn in_range(out: &mut Findings<'_>, node: &Node, key: &str, range: (i64, i64)) {
    if let (Some(value), Some(found)) = (node.get(key), int(node, key)) {
        within(out, value, found, range);
    }
}

/// `found`, which stands at `value`, must be within `range`, both ends included.
pub(super) fn within(out: &mut Findings<'_>, value: &Node, found: i64, range: (i64, i64)) {
    let (low, high) = range;
    if found < low || found > high {
        let expected = match range {
            (low, i64::MAX) => format!("at least {low}"),
            (low, high) => format!("between {low} and {high}"),
        };
        out.error(code::RANGE, value, format!("{found} is out of range, expected {expected}"));
    }
}

/// The port number under `key` is required and must be one.
pub(super) fn require_port(out: &mut Findings<'_>, node: &Node, key: &str) {
    match node.get(key).filter(|value| !value.is_null()) {
        Some(value) if value.as_i64().is_some() => in_range(out, node, key, PORTS),
        Some(_) => {}
        None => required(out, node, key, ": a port between 1 and 65535"),
    }
}

/// The port number or name under `key` is required and must be one.
pub(super) fn require_port_or_name(out: &mut Findings<'_>, node: &Node, key: &str) {
    let Some(value) = get(node, key) else { return required(out, node, key, ": the number or name of a port") };
    port_or_name(out, value);
}

/// `value` must be a port's number or name.
pub(super) fn port_or_name(out: &mut Findings<'_>, value: &Node) {
    match IntOrString::of(value) {
        Some(IntOrString::Int(number)) => within(out, value, number, PORTS),
        Some(IntOrString::Text(name)) => {
            expect(out, value, name, forms::port_name);
        }
        None => {}
    }
}

/// The port number under `key`, if it is set and not 0, must be one.
pub(super) fn optional_port(out: &mut Findings<'_>, node: &Node, key: &str) {
    if int(node, key) != Some(0) {
        in_range(out, node, key, PORTS);
    }
}

/// The quantity under `key`, if there is one, must be more than zero.
pub(super) fn positive_quantity(out: &mut Findings<'_>, node: &Node, key: &str) {
    if let Some(value) = get(node, key)
        && quantity(value).is_some_and(|amount| amount.is_negative() || amount.is_zero())
    {
        out.error(code::QUANTITY, value, "must be greater than zero");
    }
}

/// `key` must not be set, for the reason given.
pub(super) fn forbid(out: &mut Findings<'_>, node: &Node, key: &str, why: &str) {
    if let Some(entry) = entry(node, key) {
        out.error(code::FORBIDDEN, entry, format!("must not be set {why}"));
    }
}

/// The string under `key` stands a second time where each may stand once.
pub(super) fn repeated(out: &mut Findings<'_>, node: &Node, key: &str, what: &str) {
    duplicate(out, node.get(key).unwrap_or(node), what, text(node, key));
}

/// A value stands a second time where each may stand once.
pub(super) fn duplicate<'n>(out: &mut Findings<'_>, anchor: impl Into<Anchor<'n>>, what: &str, found: &str) {
    out.error(code::DUPLICATE, anchor, format!("the {what} `{}` is used twice", shorten(found)));
}

/// Strings listed under `key` that stand there a second time.
pub(super) fn duplicates<'n>(node: &'n Node, key: &str) -> Vec<(&'n Node, &'n str)> {
    let mut seen = std::collections::HashSet::new();
    strings(node, key).filter(|(_, found)| !seen.insert(*found)).collect()
}

/// A value as messages quote it: one line, not longer than a line of a terminal.
pub(super) fn shorten(found: &str) -> String {
    let mut short: String = found.chars().take(64).collect();
    if short.len() < found.len() {
        short.push('…');
    }
    short.replace('\n', " ")
}
