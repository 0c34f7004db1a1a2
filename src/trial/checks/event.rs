//! `event`: an event of the namespace that must, or must not, be there. Its reason is compared as it is.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as Json;

use super::Finding;
use crate::schema::closest;

/// Most reasons that a message lists.
const SHOWN: usize = 10;

/// Whether an event of this reason was seen.
pub(super) fn is_seen(reason: &str, events: &[Arc<Json>]) -> bool {
    events.iter().any(|event| text(event, "reason") == reason)
}

/// Evaluates an `event` check by all events that were seen.
pub(super) fn evaluate(reason: &str, absent: bool, events: &[Arc<Json>]) -> Finding {
    let found = events.iter().find(|event| text(event, "reason") == reason);
    match (found, absent) {
        (Some(event), false) => Finding::passed(describe(event)),
        (Some(event), true) => {
            Finding::failed("EventForbidden", format!("there was an event that must not be: {}", describe(event)), "")
        }
        (None, true) => Finding::passed(format!("no event `{reason}` among {}", events.len())),
        (None, false) => missing(reason, events),
    }
}

fn missing(reason: &str, events: &[Arc<Json>]) -> Finding {
    let reasons: BTreeSet<&str> =
        events.iter().map(|event| text(event, "reason")).filter(|text| !text.is_empty()).collect();
    let listed: Vec<_> = reasons.iter().take(SHOWN).copied().collect();
    let more = if reasons.len() > SHOWN { ", ..." } else { "" };
    let seen =
        if listed.is_empty() { "none was seen".to_owned() } else { format!("seen were {}{more}", listed.join(", ")) };
    let hint =
        closest(reason, reasons.iter().copied()).map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
    Finding::failed("EventMissing", format!("no event has the reason `{reason}`; {seen}"), hint)
}

/// An event in one line. In core/v1 it has `involvedObject` and `message`, in events.k8s.io/v1 `regarding` and `note`.
fn describe(event: &Json) -> String {
    let of = event.get("involvedObject").or_else(|| event.get("regarding")).unwrap_or(&Json::Null);
    let message = if text(event, "message").is_empty() { text(event, "note") } else { text(event, "message") };
    format!("`{}` of {}/{}: {message}", text(event, "reason"), text(of, "kind"), text(of, "name"))
}

fn text<'a>(value: &'a Json, key: &str) -> &'a str {
    value.get(key).and_then(Json::as_str).unwrap_or_default()
}
