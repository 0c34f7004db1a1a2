mod custom_resource;
mod document;
mod go_type;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::yaml::parse;

/// Kind, place and message of everything that is wrong with a document.
fn told(schema: &Schema, dialect: Dialect, text: &str) -> Vec<(ViolationKind, String, String)> {
    let parsed = parse(text);
    assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
    let root = &parsed.documents[0].root;
    let found = schema.check(root, dialect);
    found
        .into_iter()
        .map(|violation| (violation.kind, root.path_to(violation.anchor.node()), violation.message))
        .collect()
}

/// The kinds alone.
fn kinds(schema: &Schema, dialect: Dialect, text: &str) -> Vec<ViolationKind> {
    told(schema, dialect, text).into_iter().map(|(kind, ..)| kind).collect()
}

/// Any value: nested up to three levels, with the keys that the schemas of these tests know.
fn any_json() -> impl Strategy<Value = Json> {
    let key = prop::sample::select(vec!["a", "b", "spec", "status", "metadata", "kind", "apiVersion", "name", "items"]);
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[a-z0-9:.TZ=-]{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::hash_map(key.clone(), inner, 0..5)
                .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_value_and_no_schema_make_it_panic(schema in any_json(), value in any_json()) {
        let wrapped = json!({"type": "object", "properties": {"a": schema, "spec": schema}, "required": ["b"],
            "additionalProperties": schema, "items": schema, "anyOf": [schema, {"type": "null"}], "not": schema});
        let text = value.to_string();
        for document in parse(&text).documents {
            for schema in [
                Schema::of_custom_resource(&wrapped, true),
                Schema::of_json_schema(&wrapped),
                Schema::of_custom_resource(&value, false),
            ] {
                for dialect in [Dialect::CustomResource, Dialect::GoTypeRequired, Dialect::Document] {
                    let _ = schema.check(&document.root, dialect);
                }
            }
        }
    }
}

#[test]
fn equal_shapes_are_stored_once() {
    let leaf = json!({"type": "string", "maxLength": 5});
    let properties: serde_json::Map<_, _> = (0..50).map(|index| (format!("f{index}"), leaf.clone())).collect();
    let schema = Schema::of_custom_resource(&json!({"type": "object", "properties": properties}), false);
    assert_eq!(schema.shapes.len(), 2);
}
