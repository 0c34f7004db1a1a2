//! Small readers and makers of objects.

use serde_json::{Value as Json, json};

pub use crate::simulator::store::{is_deleting, now, text};

/// The whole number at a JSON pointer.
#[must_use]
pub fn number(object: &Json, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Json::as_i64)
}

/// Whether `true` stands at a JSON pointer.
#[must_use]
pub fn is_true(object: &Json, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Json::as_bool).unwrap_or(false)
}

/// The list at a JSON pointer; empty if there is none.
#[must_use]
pub fn list<'a>(object: &'a Json, pointer: &str) -> &'a [Json] {
    object.pointer(pointer).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// An object's name.
#[must_use]
pub fn name(object: &Json) -> &str {
    text(object, "/metadata/name")
}

/// An object's namespace; empty if it has none.
#[must_use]
pub fn namespace(object: &Json) -> &str {
    text(object, "/metadata/namespace")
}

/// An object's uid.
#[must_use]
pub fn uid(object: &Json) -> &str {
    text(object, "/metadata/uid")
}

/// The reference with which what `owner` owns names it.
#[must_use]
pub fn owner_reference(owner: &Json) -> Json {
    json!({"apiVersion": text(owner, "/apiVersion"), "kind": text(owner, "/kind"), "name": name(owner),
        "uid": uid(owner), "controller": true, "blockOwnerDeletion": true})
}

/// The owner that controls an object.
#[must_use]
pub fn controller(object: &Json) -> Option<&Json> {
    list(object, "/metadata/ownerReferences").iter().find(|owner| is_true(owner, "/controller"))
}

/// Whether `owner` controls `object`.
#[must_use]
pub fn is_controlled_by(object: &Json, owner: &Json) -> bool {
    controller(object).is_some_and(|reference| text(reference, "/uid") == uid(owner))
}

/// Whether a pod has ended.
#[must_use]
pub fn has_ended(pod: &Json) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// The status of a condition.
#[must_use]
pub fn condition<'a>(object: &'a Json, kind: &str) -> &'a str {
    let found = list(object, "/status/conditions").iter().find(|condition| text(condition, "/type") == kind);
    found.map_or("", |condition| text(condition, "/status"))
}

/// Whether a pod is ready.
#[must_use]
pub fn is_ready(pod: &Json) -> bool {
    condition(pod, "Ready") == "True"
}

/// Whether `labels` has everything that a label selector asks for (`matchLabels` and `matchExpressions`).
#[must_use]
pub fn selects(selector: &Json, labels: Option<&Json>) -> bool {
    let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Json::as_str);
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    equal.into_iter().all(|(key, value)| label(key) == value.as_str())
        && expressions.into_iter().all(|expression| meets(expression, label(text(expression, "/key"))))
}

/// Whether a value meets one expression of a selector.
#[must_use]
pub fn meets(expression: &Json, value: Option<&str>) -> bool {
    let is_listed = || list(expression, "/values").iter().any(|listed| listed.as_str() == value);
    match text(expression, "/operator") {
        "In" => value.is_some() && is_listed(),
        "NotIn" => value.is_none() || !is_listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

/// A short hash of a value, in the letters of generated names.
#[must_use]
pub fn hash(value: &Json) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    let mut rest = hasher.finish();
    let letters = b"bcdfghjklmnpqrstvwxz2456789";
    (0..10)
        .map(|_| {
            let letter = letters[usize::try_from(rest % 27).unwrap_or(0)];
            rest /= 27;
            char::from(letter)
        })
        .collect()
}
