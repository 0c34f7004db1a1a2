//! Label and field selectors.
//!
//! Source: `k8s.io/apimachinery/pkg/labels` and `pkg/fields`.

use serde_json::Value as Json;

use crate::simulator::store::{Status, text};

/// Which objects of a list are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

/// What is asked of one label.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    More(i64),
    Less(i64),
}

impl Selector {
    /// Reads a `labelSelector` and a `fieldSelector`; empty ones select everything.
    ///
    /// # Errors
    /// 400 with what can't be read.
    pub fn parse(labels: &str, fields: &str) -> Result<Self, Status> {
        let labels = split_outside_brackets(labels).into_iter().map(requirement).collect::<Result<_, _>>();
        let fields =
            fields.split(',').map(str::trim).filter(|part| !part.is_empty()).map(field).collect::<Result<_, _>>();
        Ok(Self { labels: labels.map_err(Status::bad_request)?, fields: fields.map_err(Status::bad_request)? })
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether the object is selected.
    pub fn matches(&self, object: &Json) -> bool {
        self.labels.iter().all(|requirement| requirement.matches(object))
            && self.fields.iter().all(|(path, equal, wanted)| (value_at(object, path) == *wanted) == *equal)
    }
}

impl Requirement {
    fn matches(&self, object: &Json) -> bool {
        let label = object["metadata"]["labels"].get(&self.key).and_then(Json::as_str);
        let number = || label.and_then(|label| label.parse::<i64>().ok());
        match &self.test {
            Test::In(values) => label.is_some_and(|label| values.iter().any(|value| value == label)),
            Test::NotIn(values) => label.is_none_or(|label| values.iter().all(|value| value != label)),
            Test::Exists => label.is_some(),
            Test::Absent => label.is_none(),
            Test::More(bound) => number().is_some_and(|number| number > *bound),
            Test::Less(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

/// The parts between the commas that are in no brackets.
fn split_outside_brackets(selector: &str) -> Vec<&str> {
    let mut depth = 0usize;
    let parts = selector.split(|letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn requirement(part: &str) -> Result<Requirement, String> {
    let found = |key: &str, test| {
        let key = key.trim();
        let is_key = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
        if key.is_empty() || !key.chars().all(is_key) {
            return Err(format!(
                "unable to parse requirement: <nil>: Invalid value: \"{key}\": a valid label key is expected"
            ));
        }
        Ok(Requirement { key: key.to_owned(), test })
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some(key) = part.strip_prefix('!') {
        return found(key, Test::Absent);
    }
    if let Some((key, value)) = part.split_once("!=") {
        return found(key, Test::NotIn(one(value)));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return found(key, Test::In(one(value)));
    }
    if let Some((key, value)) = part.split_once('>') {
        return found(key, Test::More(number(value)?));
    }
    if let Some((key, value)) = part.split_once('<') {
        return found(key, Test::Less(number(value)?));
    }
    let Some((head, values)) = part.split_once('(') else { return found(part, Test::Exists) };
    let values = values
        .trim_end()
        .strip_suffix(')')
        .ok_or_else(|| format!("unable to parse requirement: found '{part}', expected: ')'"))?;
    let values = values.split(',').map(|value| value.trim().to_owned()).collect();
    match head.split_whitespace().collect::<Vec<_>>()[..] {
        [key, "in"] => found(key, Test::In(values)),
        [key, "notin"] => found(key, Test::NotIn(values)),
        _ => Err(format!("unable to parse requirement: found '{part}', expected: in, notin, =, ==, !=, gt, lt")),
    }
}

fn number(text: &str) -> Result<i64, String> {
    text.trim().parse().map_err(|_| {
        format!("unable to parse requirement: for 'Gt', 'Lt' operators, the value must be an integer, found '{text}'")
    })
}

fn field(part: &str) -> Result<(String, bool, String), String> {
    let found = |(path, value): (&str, &str), equal| (path.trim().to_owned(), equal, value.trim().to_owned());
    if let Some(split) = part.split_once("!=") {
        return Ok(found(split, false));
    }
    let split = part.split_once("==").or_else(|| part.split_once('='));
    split
        .map(|split| found(split, true))
        .ok_or_else(|| format!("invalid selector: '{part}'; can't understand '{part}'"))
}

/// The value at a dotted path, as text; empty if there is none. Events are found by `source` under the name of their
/// component too.
fn value_at(object: &Json, path: &str) -> String {
    let pointer = match path {
        "source" => "/source/component".to_owned(),
        _ => format!("/{}", path.replace('.', "/")),
    };
    match object.pointer(&pointer) {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(_)) => text(object, &pointer).to_owned(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn selects(labels: &str, object: &Json) -> bool {
        Selector::parse(labels, "").unwrap().matches(object)
    }

    #[test]
    fn labels_are_selected_by_equality_sets_and_presence() {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "2"}}});
        for selector in
            ["app=web", "app==web,tier", "app in (web, db)", "app notin (db),!gone", "tier>1,tier<3", "x!=1"]
        {
            assert!(selects(selector, &object), "{selector}");
        }
        for selector in ["app=db", "!app", "gone", "app notin (web,db)", "app!=web", "tier>2", "x in (web)"] {
            assert!(!selects(selector, &object), "{selector}");
        }
    }

    #[test]
    fn fields_are_selected_by_their_path() {
        let object =
            json!({"metadata": {"name": "p"}, "status": {"phase": "Running"}, "spec": {"unschedulable": true}});
        let selects = |fields: &str| Selector::parse("", fields).unwrap().matches(&object);
        assert!(selects("metadata.name=p,status.phase!=Failed,spec.nodeName=,spec.unschedulable=true"));
        assert!(!selects("metadata.name=q"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for labels in ["a in (b", "a b c", "=x", "a within (b)", "a>x"] {
            assert_eq!(Selector::parse(labels, "").unwrap_err().code, 400, "{labels}");
        }
        assert_eq!(Selector::parse("", "metadata.name").unwrap_err().code, 400);
    }

    proptest! {
        #[test]
        fn a_selector_never_panics_and_its_negation_selects_the_rest(text in ".{0,40}", key in "[a-z]{1,4}", value in "[a-z]{0,4}") {
            let _ = Selector::parse(&text, &text);
            let object = json!({"metadata": {"labels": {"a": "b"}}});
            let one = selects(&format!("{key}={value}"), &object);
            prop_assert_eq!(one, !selects(&format!("{key}!={value}"), &object));
            prop_assert_eq!(one, selects(&format!("{key} in ({value})"), &object));
        }
    }
}
