//! Nodes from JSON that was not read from a file.

use serde_json::Value as Json;

use super::{Entry, Mapping, Node, Span, Value};

impl Node {
    /// The node of a JSON value; all of it stands at `span`. A number beyond `i64` becomes a float.
    #[must_use]
    pub fn from_json(json: &Json, span: Span) -> Self {
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) => {
                number.as_i64().map_or_else(|| Value::Float(number.as_f64().unwrap_or(f64::NAN)), Value::Int)
            }
            Json::String(text) => Value::String(text.as_str().into()),
            Json::Array(items) => Value::Seq(items.iter().map(|item| Self::from_json(item, span)).collect()),
            Json::Object(fields) => {
                let entries = fields.iter().map(|(key, value)| Entry {
                    key: key.as_str().into(),
                    key_span: span,
                    value: Self::from_json(value, span),
                });
                Value::Map(Mapping { entries: entries.collect() })
            }
        };
        Self { span, value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_from_json_is_the_same_json_again() {
        let json = serde_json::json!({"a": [1, 1.5, "x", null, true], "b": {}});
        assert_eq!(Node::from_json(&json, Span::default()).to_json(), json);
    }
}
