//! Small readers and writers of an object's metadata.

use jiff::{Timestamp, Unit};
use serde_json::{Map, Value as Json, json};

/// The text at a JSON pointer; empty if there is none.
#[must_use]
pub fn text<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

/// The object's metadata as a map, made if it is missing or something else.
pub fn metadata(object: &mut Json) -> &mut Map<String, Json> {
    child(object, "metadata")
}

/// The map under `key`, made if it is missing or something else.
pub fn child<'a>(object: &'a mut Json, key: &str) -> &'a mut Map<String, Json> {
    let slot = map(object).entry(key).or_insert(Json::Null);
    map(slot)
}

fn map(slot: &mut Json) -> &mut Map<String, Json> {
    if !slot.is_object() {
        *slot = json!({});
    }
    match slot {
        Json::Object(map) => map,
        _ => unreachable!("it was made a map above"),
    }
}

/// Now, as metadata tells times: RFC 3339 in UTC, to the second.
#[must_use]
pub fn now() -> String {
    at(Timestamp::now())
}

/// A moment as metadata tells times.
#[must_use]
pub fn at(moment: Timestamp) -> String {
    // Rounding to seconds fails only at the very end of time.
    moment
        .round(jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Trunc))
        .unwrap_or(moment)
        .to_string()
}

/// Whether its deletion was asked for.
#[must_use]
pub fn is_deleting(object: &Json) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null())
}

/// Whether something still has to be done before it may go: finalizers, and a namespace's own.
#[must_use]
pub fn has_finalizers(object: &Json) -> bool {
    let is_filled = |pointer| object.pointer(pointer).and_then(Json::as_array).is_some_and(|list| !list.is_empty());
    is_filled("/metadata/finalizers") || (text(object, "/kind") == "Namespace" && is_filled("/spec/finalizers"))
}

/// Whether it is a pod that has still time to end by itself.
#[must_use]
pub fn has_grace(object: &Json) -> bool {
    object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Json::as_i64).is_some_and(|seconds| seconds > 0)
}
