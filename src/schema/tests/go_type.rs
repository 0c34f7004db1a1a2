use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::*;
use crate::schema::ViolationKind::{Format, Quantity, Range, Required, UnknownField, WrongType};

/// What is wrong with a container, written in flow style.
fn container(fields: &str) -> Vec<ViolationKind> {
    let text = format!("apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - {{{fields}}}\n");
    kinds(&Schema::of_go_type::<Pod>(), Dialect::GoType, &text)
}

#[test]
fn null_is_nothing_anywhere() {
    assert_eq!(container("name: null, args: [null], env: [null], resources: {limits: {cpu: null}}, ports: null"), []);
}

#[test]
fn required_fields_are_left_to_validation_in_code() {
    assert_eq!(container("image: a"), []);
    assert_eq!(kinds(&Schema::of_go_type::<Deployment>(), Dialect::GoType, "kind: Deployment\n"), []);
}

#[test]
fn unknown_fields_are_refused_and_their_case_counts() {
    assert_eq!(container("name: a, Image: b"), [UnknownField]);
    assert_eq!(container("name: a, securityContext: {capabilities: {ad: []}}"), [UnknownField]);
}

#[test]
fn scalars_have_the_type_of_their_field() {
    for bad in
        ["name: 1", "args: [1]", "tty: 'true'", "ports: [{containerPort: '80'}]", "ports: [{containerPort: 1.5}]"]
    {
        assert_eq!(container(bad), [WrongType], "{bad}");
    }
    assert_eq!(container("ports: [{containerPort: 2147483648}]"), [Range]);
}

#[test]
fn quantities_are_texts_or_numbers() {
    for good in ["cpu: 1", "cpu: 0.5", "cpu: 500m", "memory: 1e3", "memory: ' 1Gi '"] {
        assert_eq!(container(&format!("resources: {{limits: {{{good}}}}}")), [], "{good}");
    }
    for (bad, kind) in
        [("cpu: half", Quantity), ("cpu: ''", Quantity), ("cpu: true", WrongType), ("cpu: []", WrongType)]
    {
        assert_eq!(container(&format!("resources: {{limits: {{{bad}}}}}")), [kind], "{bad}");
    }
}

#[test]
fn a_port_is_a_number_or_a_name() {
    for (value, expected) in [("80", vec![]), ("http", vec![]), ("1.5", vec![WrongType]), ("3000000000", vec![Range])] {
        assert_eq!(container(&format!("livenessProbe: {{tcpSocket: {{port: {value}}}}}")), expected, "{value}");
    }
}

#[test]
fn bytes_are_base64_and_times_are_rfc_3339() {
    let schema = Schema::of_go_type::<Secret>();
    assert_eq!(kinds(&schema, Dialect::GoType, "data: {a: aGk=}\nstringData: {b: 'plain text'}\n"), []);
    assert_eq!(kinds(&schema, Dialect::GoType, "data: {a: 'plain text'}\n"), [Format]);
    assert_eq!(kinds(&schema, Dialect::GoType, "metadata: {deletionTimestamp: 2026-01-31T12:00:00Z}\n"), []);
    assert_eq!(kinds(&schema, Dialect::GoType, "metadata: {deletionTimestamp: tomorrow}\n"), [Format]);
}

#[test]
fn a_kind_without_validation_in_code_still_needs_its_texts() {
    let schema = Schema::of_go_type::<StorageClass>();
    assert_eq!(kinds(&schema, Dialect::GoTypeRequired, "kind: StorageClass\n"), [Required]);
    assert_eq!(kinds(&schema, Dialect::GoTypeRequired, "provisioner: a\n"), []);
}

#[test]
fn schemas_inside_a_crd_are_recursive_and_of_several_forms() {
    let schema = Schema::of_go_type::<CustomResourceDefinition>();
    let told = |open_api: &str| {
        let text = format!(
            "spec: {{group: a, names: {{kind: A, plural: as}}, scope: Cluster, versions: [{{name: v1, schema: {{openAPIV3Schema: {open_api}}}}}]}}\n"
        );
        kinds(&schema, Dialect::GoTypeRequired, &text)
    };
    assert_eq!(
        told("{type: object, additionalProperties: {type: string, default: {any: [thing]}}, items: {type: string}}"),
        []
    );
    assert_eq!(
        told(
            "{type: object, additionalProperties: true, enum: [1, a], properties: {a: {properties: {b: {type: string}}}}}"
        ),
        []
    );
    assert_eq!(told("{properties: {a: {properties: {b: {tpye: string}}}}}"), [UnknownField]);
    assert_eq!(told("{additionalProperties: text}"), [WrongType]);
}
