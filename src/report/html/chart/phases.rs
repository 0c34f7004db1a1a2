//! The phases of attempts: from the moment that the example was applied to its end.

use super::super::text::Html;
use super::svg::{Drawing, share};
use crate::report::{Attempt, words};

/// The phases in their order: the key under which an attempt says when one ended, its class, and what went on in it.
pub(in crate::report::html) const PHASES: [(&str, &str, &str); 4] = [
    ("applyMs", "apply", "applied"),
    ("scheduledMs", "schedule", "waited for a node"),
    ("runningMs", "start", "started"),
    ("finishedMs", "run", "ran"),
];

/// Milliseconds from the attempt's start to the last that is known of it.
pub(in crate::report::html) fn length(attempt: &Attempt) -> u64 {
    PHASES.iter().filter_map(|(key, ..)| ended(attempt, key)).max().unwrap_or(0)
}

fn ended(attempt: &Attempt, key: &str) -> Option<u64> {
    attempt.phases.get(key).and_then(serde_json::Value::as_u64)
}

/// What went on after these phases.
fn after(parts: &[(&'static str, &'static str, u64, u64)]) -> (&'static str, &'static str) {
    match parts.last() {
        Some((_, "started", ..)) => ("run", "ran"),
        Some((_, "waited for a node", ..)) => ("start", "started"),
        Some((_, "applied", ..)) => ("schedule", "waited for a node"),
        _ => ("rest", "went on"),
    }
}

/// One attempt, on a scale that ends at `whole` milliseconds. `took` is when it ended, where no phase says so.
pub(in crate::report::html) fn phases(attempt: &Attempt, took: Option<u64>, whole: u64) -> Html {
    let mut parts = Vec::new();
    let mut from = 0;
    for (key, class, what) in PHASES {
        if let Some(end) = ended(attempt, key) {
            // The end of the attempt is that of whatever was going on.
            let (class, what) = if class == "run" { after(&parts) } else { (class, what) };
            parts.push((class, what, from, end.max(from)));
            from = end.max(from);
        }
    }
    if let Some(took) = took.filter(|took| *took > from) {
        let (class, what) = after(&parts);
        parts.push((class, what, from, took));
    }
    let said: Vec<_> =
        parts.iter().map(|(_, what, from, to)| format!("{what} {}", words::duration(to - from))).collect();
    let mut drawing = Drawing::wide("phases", 14, &said.join(", "));
    for (class, what, from, to) in parts {
        let (x, end) = (share(from, whole) * 100.0, share(to, whole) * 100.0);
        let title = format!("{what} {}", words::duration(to - from));
        drawing.bar(class, x, (end - x).max(0.15), (2, 10), &title);
    }
    drawing.done()
}
