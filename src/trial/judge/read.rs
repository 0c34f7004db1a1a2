//! Reading objects whose fields may be missing or of another type: what can't be read is empty, never an error.

use serde_json::Value as Json;

/// The text at a JSON pointer; empty if there is none.
pub fn text<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

/// The text of a key; empty if there is none.
pub fn key<'a>(object: &'a Json, key: &str) -> &'a str {
    object.get(key).and_then(Json::as_str).unwrap_or_default()
}

/// The items at a JSON pointer; none if it is no list.
pub fn list<'a>(object: &'a Json, pointer: &str) -> &'a [Json] {
    object.pointer(pointer).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// The group of an `apiVersion`; empty for the core group.
pub fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// The version of an `apiVersion`.
pub fn version(api_version: &str) -> &str {
    api_version.split_once('/').map_or(api_version, |(_, version)| version)
}

/// An object's identity: its uid, else its kind and name, so that one that has none can be told from others.
pub fn identity(object: &Json) -> String {
    let uid = text(object, "/metadata/uid");
    if uid.is_empty() { reference(object) } else { uid.to_owned() }
}

/// `Kind/name`.
pub fn reference(object: &Json) -> String {
    format!("{}/{}", key(object, "kind"), text(object, "/metadata/name"))
}

/// Whether somebody asked for its deletion.
pub fn is_going(object: &Json) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

/// Whether Kueue holds it back until its queue has room: it lifts its gate from pods, and resumes everything else.
pub fn is_queued(object: &Json) -> bool {
    if key(object, "kind") == "Pod" {
        return list(object, "/spec/schedulingGates")
            .iter()
            .any(|gate| key(gate, "name").starts_with("kueue.x-k8s.io/"));
    }
    !text(object, "/metadata/labels/kueue.x-k8s.io~1queue-name").is_empty()
}

/// The condition of this type, if it is `True`.
pub fn holds<'a>(object: &'a Json, condition: &str) -> Option<&'a Json> {
    list(object, "/status/conditions")
        .iter()
        .find(|found| key(found, "type") == condition && key(found, "status") == "True")
}

/// Text on one line, of a length that a person reads; what is cut off is told by an ellipsis.
pub fn one_line(text: &str) -> String {
    const LONGEST: usize = 1000;
    let mut line = String::with_capacity(text.len().min(LONGEST));
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The labels that a selector of equalities asks for (`a=b,c!=d,e,!f`) are those of `object`. An expression of sets is
/// not understood, and matches nothing.
pub fn selects(selector: &str, object: &Json) -> bool {
    let labels = object.pointer("/metadata/labels");
    let label = |key: &str| labels.and_then(|labels| labels.get(key.trim())).and_then(Json::as_str);
    !selector.trim().is_empty()
        && selector.split(',').all(|term| {
            if let Some((key, value)) = term.split_once("!=") {
                label(key) != Some(value.trim())
            } else if let Some((key, value)) = term.split_once('=') {
                label(key) == Some(value.trim_start_matches('=').trim())
            } else if let Some(key) = term.trim().strip_prefix('!') {
                label(key).is_none()
            } else {
                label(term).is_some()
            }
        })
}

/// A core/v1 or events.k8s.io/v1 Event, as far as it is read.
pub struct Event<'a> {
    /// What it is about: the reference of `involvedObject` or `regarding`.
    pub about: &'a Json,
    /// `FailedMount`.
    pub reason: &'a str,
    /// Its text.
    pub message: &'a str,
    /// Whether its type is `Warning`.
    pub warning: bool,
}

impl<'a> Event<'a> {
    /// The event that this object is, if it is one.
    pub fn read(object: &'a Json) -> Option<Self> {
        let about = object.get("involvedObject").or_else(|| object.get("regarding"))?;
        let message = [key(object, "message"), key(object, "note")].into_iter().find(|text| !text.is_empty());
        Some(Self {
            about,
            reason: key(object, "reason"),
            message: message.unwrap_or_default(),
            warning: key(object, "type") == "Warning",
        })
    }

    /// The container that it is about: `spec.initContainers{setup}` gives `setup`.
    pub fn container(&self) -> Option<&'a str> {
        let path = key(self.about, "fieldPath");
        path.split_once('{').map(|(_, rest)| rest.trim_end_matches('}')).filter(|name| !name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_shapes_of_events_are_read_alike() {
        let core = json!({"involvedObject": {"kind": "Pod", "fieldPath": "spec.initContainers{setup}"}, "reason": "Failed",
            "message": "m", "type": "Warning", "count": 3});
        let new = json!({"regarding": {"kind": "Pod", "fieldPath": "spec.initContainers{setup}"}, "reason": "Failed",
            "note": "m", "type": "Warning", "series": {"count": 3}});
        for object in [core, new] {
            let event = Event::read(&object).unwrap();
            assert_eq!((event.reason, event.message, event.warning), ("Failed", "m", true));
            assert_eq!(event.container(), Some("setup"));
        }
        assert!(Event::read(&json!({"kind": "Pod"})).is_none());
    }

    #[test]
    fn a_selector_of_equalities_selects_by_labels() {
        let pod = json!({"metadata": {"labels": {"a": "1", "b": "2"}}});
        for (selector, expected) in [
            ("a=1", true),
            ("a==1,b=2", true),
            ("a=2", false),
            ("a!=2,b", true),
            ("!c", true),
            ("c", false),
            ("", false),
        ] {
            assert_eq!(selects(selector, &pod), expected, "{selector}");
        }
    }

    #[test]
    fn a_long_text_of_many_lines_becomes_one_line() {
        assert_eq!(one_line(" a\n  b\t c "), "a b c");
        assert_eq!(one_line(&"é".repeat(1200)).chars().count(), 1001);
    }
}
