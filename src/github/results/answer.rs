//! Answers in the JSON form of protocol buffers, in either spelling.
//!
//! <https://protobuf.dev/programming-guides/json/>

use serde_json::{Map, Value as Json};

/// The same answer with all field names in snake case. No message of the service has a map, whose keys were data.
pub(super) fn in_snake_case(answer: Json) -> Json {
    match answer {
        Json::Object(fields) => Json::Object(
            fields.into_iter().map(|(name, value)| (snake_case(&name), in_snake_case(value))).collect::<Map<_, _>>(),
        ),
        Json::Array(items) => Json::Array(items.into_iter().map(in_snake_case).collect()),
        other => other,
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

/// A 64-bit number, which is a text in this form; a plain one will do. A field that has its default may be left out: 0.
#[must_use]
pub fn number(field: &Json) -> Option<u64> {
    match field {
        Json::Null => Some(0),
        Json::String(text) => text.parse().ok(),
        other => other.as_u64(),
    }
}

/// A text, also one in a wrapper (`StringValue`), which has another form only where a server is not exact. `None` if it is
/// left out or empty.
#[must_use]
pub fn text(field: &Json) -> Option<&str> {
    field.as_str().or_else(|| field.get("value")?.as_str()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_spellings_are_one() {
        let camel = json!({"ok": true, "signedUploadUrl": "u", "artifacts": [{"databaseId": "7", "createdAt": "t"}]});
        let snake =
            json!({"ok": true, "signed_upload_url": "u", "artifacts": [{"database_id": "7", "created_at": "t"}]});
        assert_eq!(in_snake_case(camel), snake);
        assert_eq!(in_snake_case(snake.clone()), snake);
    }

    #[test]
    fn numbers_come_as_text_and_defaults_are_left_out() {
        assert_eq!(number(&json!("9007199254740993")), Some(9_007_199_254_740_993));
        assert_eq!((number(&json!(7)), number(&json!(null)), number(&json!("x"))), (Some(7), Some(0), None));
        assert_eq!((text(&json!("a")), text(&json!({"value": "a"})), text(&json!(""))), (Some("a"), Some("a"), None));
    }
}
