//! The JSON Schema of the config: what `schema` prints, what editors read, and what a config is held to.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::raw::RawConfig;

/// The config's JSON Schema (draft 2020-12), without references.
#[must_use]
pub fn json_schema() -> Value {
    schema_of::<RawConfig>()
}

fn schema_of<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.with_transform(Plain).into_generator().into_root_schema_for::<T>().to_value()
}

/// Says the same with fewer words, so that editors and messages can name what is expected: alternatives of different
/// types become one list of types, a choice of constants becomes an `enum`.
#[derive(Clone, Debug)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        if object.get("default").is_some_and(Value::is_null) {
            object.remove("default");
        }
        // Rust's widths, `uint32` and `double`, are no formats of JSON Schema.
        if object.get("format").is_some_and(|format| format != "date") {
            object.remove("format");
        }
        constants_to_enum(object);
        merge_alternatives(object);
        put_first(object, &["$schema", "title", "description", "type"]);
    }
}

/// Moves these keys to the front, where a reader looks for them.
fn put_first(object: &mut Map<String, Value>, keys: &[&str]) {
    let mut rest = std::mem::take(object);
    let first = keys.iter().filter_map(|key| Some(((*key).to_owned(), rest.shift_remove(*key)?))).collect::<Vec<_>>();
    object.extend(first);
    object.extend(rest);
}

/// `oneOf` constants, each with its description, to one `enum`.
fn constants_to_enum(object: &mut Map<String, Value>) {
    let Some(choices) = object.get("oneOf").and_then(Value::as_array) else { return };
    let mut words = Vec::new();
    let mut descriptions = Vec::new();
    for choice in choices {
        let word = choice.get("const").cloned().map(|word| vec![word]);
        let Some(found) = word.or_else(|| choice.get("enum")?.as_array().cloned()) else { return };
        descriptions.extend(found.iter().map(|_| choice.get("description").cloned().unwrap_or(json!(""))));
        words.extend(found);
    }
    object.remove("oneOf");
    object.insert("type".to_owned(), json!("string"));
    object.insert("enum".to_owned(), Value::Array(words));
    object.insert("enumDescriptions".to_owned(), Value::Array(descriptions));
}

/// `anyOf` schemas of different types, which say nothing else in common, to one schema with a list of types.
fn merge_alternatives(object: &mut Map<String, Value>) {
    let Some(choices) = object.get("anyOf").and_then(Value::as_array) else { return };
    let mut merged = Map::new();
    let mut types = Vec::new();
    for choice in choices {
        let Some(choice) = choice.as_object() else { return };
        match choice.get("type") {
            Some(Value::Array(several)) => types.extend(several.iter().cloned()),
            Some(one) => types.push(one.clone()),
            None => return,
        }
        for (key, value) in choice.iter().filter(|(key, _)| *key != "type") {
            let collides = merged.insert(key.clone(), value.clone()).is_some();
            if collides && key != "description" {
                return;
            }
        }
    }
    if let Some(Value::Array(words)) = merged.get_mut("enum")
        && types.contains(&json!("null"))
    {
        words.push(Value::Null);
    }
    object.remove("anyOf");
    merged.insert("type".to_owned(), Value::Array(types));
    for (key, value) in merged {
        object.entry(key).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_of_types_is_one_list_of_types() {
        let schema = json_schema();
        assert_eq!(
            schema.pointer("/properties/kubernetes/items/type"),
            Some(&json!(["string", "object"])),
            "{schema:#}"
        );
        assert_eq!(schema.pointer("/properties/parallel/type"), Some(&json!(["integer", "string", "null"])));
        assert_eq!(schema.pointer("/properties/parallel/pattern"), Some(&json!("^auto$")));
    }

    #[test]
    fn words_are_listed_with_what_they_mean() {
        let tier = json_schema().pointer("/properties/examples/items/properties/tier").cloned().unwrap();
        assert_eq!(tier["enum"], json!(["basic", "full", "periodic", null]));
        assert_eq!(tier["enumDescriptions"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn nothing_is_left_that_only_rust_knows() {
        let text = json_schema().to_string();
        for noise in ["$ref", "anyOf", "oneOf", "uint32", "double", "\"default\":null"] {
            assert!(!text.contains(noise), "{noise}");
        }
    }
}
