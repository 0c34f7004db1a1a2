#![expect(clippy::needless_pass_by_value, reason = "schemas are written where they are passed")]

use serde_json::{Value as Json, json};

use super::*;
use crate::schema::ViolationKind::{
    Alternative, Duplicate, Format, NotAllowed, Range, Required, Rule, RuleUnknown, UnknownField, WrongType,
};

/// A schema of `spec` alone.
fn spec(schema: Json) -> Schema {
    let root = json!({"type": "object", "properties": {"spec": schema}});
    Schema::of_custom_resource(&root, true)
}

/// What is wrong with a `spec`, written in flow style.
fn wrong(schema: Json, value: &str) -> Vec<ViolationKind> {
    kinds(&spec(schema), Dialect::CustomResource, &format!("kind: A\nspec: {value}\n"))
}

fn object(properties: Json) -> Json {
    json!({"type": "object", "properties": properties})
}

#[test]
fn unknown_fields_are_refused_at_any_depth() {
    let schema = spec(object(json!({"template": object(json!({"name": {"type": "string"}}))})));
    assert_eq!(
        told(&schema, Dialect::CustomResource, "spec: {template: {nmae: a}}\n"),
        [(UnknownField, "spec.template.nmae".to_owned(), "unknown field `nmae`, did you mean `name`?".to_owned())]
    );
    assert_eq!(kinds(&schema, Dialect::CustomResource, "spce: {}\n"), [UnknownField]);
}

#[test]
fn unknown_fields_are_kept_where_the_schema_says_so() {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "properties": {"known": object(json!({"a": {"type": "string"}}))}});
    assert_eq!(wrong(schema.clone(), "{any: {thing: [1]}, known: {a: x}}"), []);
    assert_eq!(wrong(schema, "{known: {b: x}}"), [UnknownField]);
}

#[test]
fn a_map_takes_any_key_but_checks_each_value() {
    let schema = json!({"type": "object", "additionalProperties": {"type": "string"}});
    assert_eq!(wrong(schema.clone(), "{a: x, b/c: z}"), []);
    assert_eq!(wrong(schema, "{a: 1}"), [WrongType]);
}

#[test]
fn a_map_of_anything_holds_scalars_but_no_fields() {
    let schema = json!({"type": "object", "additionalProperties": true});
    assert_eq!(wrong(schema.clone(), "{a: 1, b: [x]}"), []);
    assert_eq!(wrong(schema, "{a: {b: 1}}"), [UnknownField]);
}

#[test]
fn types_are_those_of_json() {
    for (name, good, bad) in [
        ("string", "'1'", "1"),
        ("integer", "1.0", "1.5"),
        ("integer", "1", "1e30"),
        ("number", "1", "'1'"),
        ("boolean", "yes", "'yes'"),
        ("array", "[]", "{}"),
        ("object", "{}", "[]"),
    ] {
        assert_eq!(wrong(json!({"type": name}), good), [], "{name} {good}");
        assert_eq!(wrong(json!({"type": name}), bad), [WrongType], "{name} {bad}");
    }
}

#[test]
fn an_integer_or_a_string_may_be_either() {
    let schema = json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}],
        "pattern": "^[0-9]+%?$"});
    assert_eq!(wrong(schema.clone(), "5"), []);
    assert_eq!(wrong(schema.clone(), "'5%'"), []);
    assert_eq!(wrong(schema.clone(), "five"), [Format]);
    assert_eq!(wrong(schema.clone(), "1.5"), [WrongType]);
    assert_eq!(wrong(schema, "{a: 1}"), [WrongType]);
}

#[test]
fn a_null_that_is_not_allowed_is_dropped() {
    let schema = json!({"type": "object", "required": ["name"], "minProperties": 1,
        "properties": {"name": {"type": "string"}, "other": {"type": "string"}}});
    assert_eq!(wrong(schema.clone(), "{name: a, other: null}"), []);
    assert_eq!(wrong(schema.clone(), "{name: null, other: b}"), [Required]);
    assert_eq!(wrong(schema, "{name: null}"), [Required, Range]);
}

#[test]
fn a_null_that_is_allowed_is_a_value() {
    let schema = json!({"type": "object", "required": ["name"],
        "properties": {"name": {"type": "string", "nullable": true}}});
    assert_eq!(wrong(schema, "{name: null}"), []);
}

#[test]
fn a_null_item_is_no_item_of_another_type() {
    assert_eq!(wrong(json!({"type": "array", "items": {"type": "string"}}), "[a, null]"), [WrongType]);
    assert_eq!(wrong(json!({"type": "array", "items": {"type": "string", "default": "x"}}), "[null]"), []);
    assert_eq!(wrong(json!({"type": "array", "items": {"type": "string", "nullable": true}}), "[null]"), []);
}

#[test]
fn defaults_are_filled_in_before_required_fields_are_looked_for() {
    let schema = json!({"type": "object", "required": ["mode"], "minProperties": 1,
        "properties": {"mode": {"type": "string", "default": "auto"}}});
    assert_eq!(wrong(schema.clone(), "{}"), []);
    assert_eq!(wrong(schema, "{mode: null}"), []);
}

#[test]
fn numbers_keep_to_their_bounds() {
    let schema = json!({"type": "integer", "minimum": 1, "maximum": 10, "exclusiveMaximum": true, "multipleOf": 2});
    assert_eq!(wrong(schema.clone(), "2"), []);
    for bad in ["0", "10", "3"] {
        assert_eq!(wrong(schema.clone(), bad), [Range], "{bad}");
    }
    assert_eq!(wrong(json!({"type": "number", "minimum": 0.5}), "0.25"), [Range]);
    assert_eq!(wrong(json!({"type": "integer", "format": "int32"}), "2147483648"), [Range]);
    assert_eq!(wrong(json!({"type": "integer", "format": "int64"}), "2147483648"), []);
    assert_eq!(wrong(json!({"type": "integer", "format": "uint8"}), "300"), [], "an API server does not know it");
}

#[test]
fn a_bound_that_the_type_cannot_hold_refuses_every_number() {
    let schema = json!({"type": "integer", "format": "int32", "maximum": 4_294_967_295_u32});
    assert_eq!(wrong(schema, "1"), [Range]);
}

#[test]
fn texts_keep_to_length_pattern_and_format() {
    let schema = json!({"type": "string", "minLength": 2, "maxLength": 3, "pattern": "^[a-zé]+$"});
    assert_eq!(wrong(schema.clone(), "ééé"), []);
    for bad in ["a", "abcd", "'12'"] {
        assert_eq!(wrong(schema.clone(), bad), [Format], "{bad}");
    }
    assert_eq!(wrong(json!({"type": "string", "format": "date-time"}), "yesterday"), [Format]);
    assert_eq!(wrong(json!({"type": "string", "format": "fancy"}), "anything"), []);
}

#[test]
fn an_enumeration_lists_what_is_allowed() {
    let schema = spec(json!({"type": "string", "enum": ["Never", "OnFailure"]}));
    let parsed = parse("spec: Nver\n");
    let found = schema.check(&parsed.documents[0].root, Dialect::CustomResource);
    assert_eq!(found[0].kind, NotAllowed);
    assert_eq!(found[0].message, "`Nver` is not allowed, did you mean `Never`?");
    assert_eq!(found[0].help.as_deref(), Some("allowed: Never, OnFailure"));
    assert_eq!(wrong(json!({"type": "integer", "enum": [1, 2]}), "2"), []);
}

#[test]
fn lists_and_objects_keep_to_their_size() {
    let list = json!({"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "integer"}});
    assert_eq!(wrong(list.clone(), "[1]"), []);
    assert_eq!(wrong(list.clone(), "[]"), [Range]);
    assert_eq!(wrong(list, "[1, 2, 3]"), [Range]);
    let map = json!({"type": "object", "maxProperties": 1, "additionalProperties": {"type": "integer"}});
    assert_eq!(wrong(map, "{a: 1, b: 2}"), [Range]);
}

#[test]
fn a_list_map_has_each_key_once_defaults_included() {
    let schema = json!({"type": "array", "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["port", "protocol"],
        "items": object(json!({"port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}}))});
    assert_eq!(wrong(schema.clone(), "[{port: 1}, {port: 1, protocol: UDP}]"), []);
    assert_eq!(wrong(schema.clone(), "[{port: 1}, {port: 1, protocol: TCP}]"), [Duplicate]);
    assert_eq!(wrong(schema, "[{port: 1}, {port: 1}, {port: 1}]"), [Duplicate], "told once a key");
}

#[test]
fn a_set_has_each_item_once_and_an_atomic_list_may_repeat() {
    let items = json!({"type": "string"});
    let set = json!({"type": "array", "x-kubernetes-list-type": "set", "items": items});
    assert_eq!(wrong(set.clone(), "[a, b]"), []);
    assert_eq!(wrong(set, "[a, b, a]"), [Duplicate]);
    assert_eq!(wrong(json!({"type": "array", "items": items}), "[a, a]"), []);
}

#[test]
fn combinations_are_about_values_not_about_fields() {
    let fields = json!({"a": {"type": "string"}, "b": {"type": "string"}});
    let one_of = json!({"type": "object", "properties": fields, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]});
    assert_eq!(wrong(one_of.clone(), "{a: x}"), []);
    assert_eq!(wrong(one_of.clone(), "{a: x, b: z}"), [Alternative]);
    assert_eq!(wrong(one_of, "{}"), [Required]);
    let not = json!({"type": "object", "properties": fields, "not": {"required": ["a", "b"]}});
    assert_eq!(wrong(not.clone(), "{a: x}"), []);
    assert_eq!(wrong(not, "{a: x, b: z}"), [Alternative]);
    let all = json!({"type": "string", "allOf": [{"pattern": "^a"}, {"maxLength": 2}]});
    assert_eq!(wrong(all.clone(), "ab"), []);
    assert_eq!(wrong(all, "bcd"), [Format, Format]);
    let any = json!({"type": "object", "properties": fields, "anyOf": [{"properties": {"a": {"enum": ["x"]}}},
        {"required": ["b"]}]});
    assert_eq!(wrong(any.clone(), "{a: x}"), []);
    assert_eq!(wrong(any, "{a: z}").len(), 1);
}

#[test]
fn a_status_is_dropped_but_its_unknown_fields_are_not() {
    let root = json!({"type": "object", "properties": {"status": object(json!({"ready": {"type": "boolean"}}))}});
    let dropped = Schema::of_custom_resource(&root, true);
    let kept = Schema::of_custom_resource(&root, false);
    assert_eq!(kinds(&dropped, Dialect::CustomResource, "status: {ready: maybe}\n"), []);
    assert_eq!(kinds(&dropped, Dialect::CustomResource, "status: {redy: true}\n"), [UnknownField]);
    assert_eq!(kinds(&dropped, Dialect::CustomResource, "status: text\n"), []);
    assert_eq!(kinds(&dropped, Dialect::CustomResource, "status: [{ready: true}]\n"), [UnknownField]);
    assert_eq!(kinds(&dropped, Dialect::CustomResource, "status: {ready: {a: b}}\n"), [UnknownField]);
    assert_eq!(kinds(&kept, Dialect::CustomResource, "status: {ready: maybe}\n"), [WrongType]);
}

#[test]
fn metadata_is_decoded_whatever_the_schema_says() {
    let schema =
        Schema::of_custom_resource(&json!({"type": "object", "properties": {"metadata": {"type": "object"}}}), true);
    let told = |text: &str| kinds(&schema, Dialect::CustomResource, text);
    assert_eq!(told("metadata: {name: a, labels: {b: c}, creationTimestamp: null}\n"), []);
    assert_eq!(told("metadata: {nmae: a}\n"), [UnknownField]);
    assert_eq!(told("metadata: {labels: {b: 1}}\n"), [WrongType]);
    assert_eq!(told("metadata: text\n"), [WrongType]);
}

#[test]
fn a_name_can_be_restricted_by_the_schema() {
    let schema = json!({"type": "object", "properties": {"metadata": object(json!({"name": {"type": "string",
        "maxLength": 3}}))}});
    let schema = Schema::of_custom_resource(&schema, true);
    assert_eq!(kinds(&schema, Dialect::CustomResource, "metadata: {name: abc, labels: {}}\n"), []);
    assert_eq!(kinds(&schema, Dialect::CustomResource, "metadata: {name: abcd}\n"), [Format]);
}

#[test]
fn an_embedded_resource_needs_a_version_and_a_kind() {
    let schema = json!({"type": "object", "x-kubernetes-embedded-resource": true,
        "x-kubernetes-preserve-unknown-fields": true});
    assert_eq!(wrong(schema.clone(), "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {any: thing}}"), []);
    assert_eq!(wrong(schema.clone(), "{kind: Pod}"), [Required]);
    assert_eq!(wrong(schema, "{apiVersion: v1, kind: Pod, metadata: {nmae: a}}"), [UnknownField]);
}

#[test]
fn rules_are_evaluated_on_every_item_and_map_value() {
    let rule = json!([{"rule": "self > 0", "message": "must be positive"}]);
    let item = json!({"type": "integer", "x-kubernetes-validations": rule});
    assert_eq!(wrong(json!({"type": "array", "items": item}), "[1, 0, -1]"), [Rule, Rule]);
    assert_eq!(wrong(json!({"type": "object", "additionalProperties": item}), "{a: 1, b: 0}"), [Rule]);
}

#[test]
fn rules_see_defaults_and_no_dropped_nulls() {
    let schema = json!({"type": "object",
        "properties": {"min": {"type": "integer", "default": 3}, "name": {"type": "string"},
            "inner": {"type": "object", "default": {}, "properties": {"mode": {"type": "string", "default": "a"}}}},
        "x-kubernetes-validations": [{"rule": "self.min == 3 && !has(self.name) && self.inner.mode == 'a'"}]});
    assert_eq!(wrong(schema.clone(), "{name: null}"), []);
    assert_eq!(wrong(schema, "{min: 4}"), [Rule]);
}

#[test]
fn rules_wait_until_the_structure_is_right() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"],
        "x-kubernetes-validations": [{"rule": "self.a > 0"}]});
    assert_eq!(wrong(schema, "{}"), [Required]);
}

#[test]
fn a_rule_that_cannot_be_evaluated_does_not_refuse() {
    let schema = json!({"type": "string", "x-kubernetes-validations": [{"rule": "nobody.knows(self)"}]});
    assert_eq!(wrong(schema, "a"), [RuleUnknown]);
}

#[test]
fn rules_at_the_root_see_the_name_but_no_status() {
    let root = json!({"type": "object", "properties": {"status": {"type": "object",
        "x-kubernetes-preserve-unknown-fields": true}},
        "x-kubernetes-validations": [{"rule": "self.metadata.name == 'a' && !has(self.status)"}]});
    let schema = Schema::of_custom_resource(&root, true);
    assert_eq!(kinds(&schema, Dialect::CustomResource, "metadata: {name: a}\nstatus: {x: 1}\n"), []);
    assert_eq!(kinds(&schema, Dialect::CustomResource, "metadata: {name: b}\n"), [Rule]);
}

#[test]
fn defaults_count_in_combinations() {
    let schema = json!({"type": "object",
        "properties": {"type": {"type": "string", "default": "A"}, "value": {"type": "string"}},
        "oneOf": [{"properties": {"type": {"enum": ["A"]}, "value": {"format": "ipv4"}}},
            {"properties": {"type": {"not": {"enum": ["A"]}}}}]});
    assert_eq!(wrong(schema.clone(), "{value: 10.0.0.1}"), []);
    assert_eq!(wrong(schema.clone(), "{type: B, value: any}"), []);
    assert_eq!(wrong(schema, "{value: any}").len(), 1);
}

#[test]
fn a_default_can_break_a_combination() {
    let properties = json!({"type": {"type": "string", "default": "A"}, "value": {"type": "string"}});
    let branch = json!({"properties": {"type": {"enum": ["B"]}}});
    for key in ["allOf", "anyOf", "oneOf"] {
        let schema = json!({"type": "object", "properties": properties, key: [branch]});
        assert_eq!(wrong(schema.clone(), "{value: a}"), [Alternative], "{key}");
        assert_eq!(wrong(schema, "{type: B}"), [], "{key}");
    }
}
