//! Field paths as Kubernetes writes them: `spec.containers[0].name`, `metadata.labels[example.com/x]`.

use serde_json::Value as Json;

/// The segments of a path: names and indices alike, without brackets.
fn segments(path: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let Some((segment, after)) = inner.split_once(']') else { break };
            found.push(segment);
            rest = after;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            found.push(&rest[..end]);
            rest = &rest[end..];
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
    }
    found
}

/// The value at a path.
pub fn get<'a>(root: &'a Json, path: &str) -> Option<&'a Json> {
    segments(path).into_iter().try_fold(root, |value, segment| match value {
        Json::Object(fields) => fields.get(segment),
        Json::Array(items) => items.get(segment.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Takes the field at a path away.
pub fn remove(root: &mut Json, path: &str) {
    let all = segments(path);
    let Some((last, parents)) = all.split_last() else { return };
    let parent = parents.iter().try_fold(root, |value, segment| match value {
        Json::Object(fields) => fields.get_mut(*segment),
        Json::Array(items) => items.get_mut(segment.parse::<usize>().ok()?),
        _ => None,
    });
    if let Some(Json::Object(fields)) = parent {
        fields.shift_remove(*last);
    }
}

/// The path at the start of a message of the basic tier, and the rest; an empty path if it has none. `root` is the object
/// that the message is about: a path begins with one of its fields.
pub fn split<'m>(message: &'m str, root: &Json) -> (&'m str, &'m str) {
    match message.split_once(": ") {
        Some((path, rest)) if segments(path).first().is_some_and(|first| root.get(first).is_some()) => (path, rest),
        _ => ("", message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_leads_to_its_value() {
        let root = json!({"a": {"b": [{"c": 1}]}, "labels": {"example.com/x": "y"}});
        assert_eq!(get(&root, "a.b[0].c"), Some(&json!(1)));
        assert_eq!(get(&root, "labels[example.com/x]"), Some(&json!("y")));
        assert_eq!(get(&root, "a.b[1]"), None);
        assert_eq!(get(&root, ""), Some(&root));
    }

    #[test]
    fn a_field_is_taken_away_where_the_path_leads() {
        let mut root = json!({"a": [{"b": 1, "c": 2}]});
        remove(&mut root, "a[0].b");
        remove(&mut root, "a[7].b");
        remove(&mut root, "");
        assert_eq!(root, json!({"a": [{"c": 2}]}));
    }

    #[test]
    fn a_message_is_split_where_its_path_ends() {
        let root = json!({"spec": {}});
        assert_eq!(split("spec.a[0]: not so: at all", &root), ("spec.a[0]", "not so: at all"));
        assert_eq!(split("the rule: is broken", &root), ("", "the rule: is broken"));
    }
}
