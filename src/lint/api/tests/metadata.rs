//! The rules for metadata, labels and selectors.

use super::{accepts, check, refuses};

const CONFIG_MAP: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {@}}";
const CUSTOM: &str = "{apiVersion: example.com/v1, kind: Widget, metadata: {@}}";

#[test]
fn an_object_needs_a_name_or_a_prefix_of_one() {
    refuses(
        CONFIG_MAP,
        &[
            ("", "EV107", "metadata: `name`"),
            ("name: ''", "EV107", "metadata.name"),
            ("name: null", "EV107", "metadata.name"),
            ("name: UPPER", "EV111", "metadata.name"),
            ("generateName: a_b-", "EV111", "metadata.generateName"),
        ],
    );
    accepts(CONFIG_MAP, &["name: a.b", "generateName: a-", "generateName: a"]);
    refuses("{apiVersion: v1, kind: ConfigMap}", &[("", "EV107", "`metadata`")]);
}

#[test]
fn the_form_of_names_depends_on_the_kind() {
    for (kind, good, bad) in [
        ("v1, kind: Namespace", "a-b", "a.b"),
        ("v1, kind: ServiceAccount", "a.b", "A"),
        ("rbac.authorization.k8s.io/v1, kind: Role", "system:Node_x", "a/b"),
        ("scheduling.k8s.io/v1, kind: PriorityClass", "high", "system-high"),
        ("example.com/v1, kind: Widget", "a.b", "a_b"),
    ] {
        accepts(&format!("{{apiVersion: {kind}, metadata: {{name: '@'}}}}"), &[good]);
        assert!(!check(&format!("{{apiVersion: {kind}, metadata: {{name: '{bad}'}}}}")).is_empty(), "{kind} {bad}");
    }
}

#[test]
fn labels_and_annotations_have_forms() {
    refuses(
        CUSTOM,
        &[
            ("name: a, labels: {'a b': x}", "EV111", "metadata.labels"),
            ("name: a, labels: {a: -x}", "EV111", "metadata.labels.a"),
            ("name: a, labels: {pre/fix/x: x}", "EV111", "metadata.labels[pre/fix/x]"),
            ("name: a, annotations: {'a b': x}", "EV111", "metadata.annotations"),
        ],
    );
    accepts(
        CUSTOM,
        &["name: a, labels: {a: null, example.com/b: ''}", "name: a, annotations: {Example.com/B: 'any text'}"],
    );
    let large = format!("name: a, annotations: {{a: {}}}", "x".repeat(256 * 1024));
    refuses(CUSTOM, &[(&large, "EV110", "metadata.annotations")]);
}

#[test]
fn finalizers_owners_and_versions_are_checked() {
    refuses(
        CUSTOM,
        &[
            ("name: a, finalizers: ['a b']", "EV111", "metadata.finalizers[0]"),
            ("name: a, finalizers: [orphan, foregroundDeletion]", "EV115", "metadata.finalizers"),
            ("name: a, namespace: A", "EV111", "metadata.namespace"),
            ("name: a, resourceVersion: '7'", "EV115", "metadata.resourceVersion"),
            (
                "name: a, ownerReferences: [{apiVersion: v1, kind: Pod, name: b}]",
                "EV107",
                "metadata.ownerReferences[0]",
            ),
            ("name: a, ownerReferences: [{apiVersion: a/b/c, kind: P, name: b, uid: u}]", "EV107", "metadata.ownerRef"),
            ("name: a, managedFields: [{operation: Other}]", "EV108", "metadata.managedFields[0].operation"),
        ],
    );
    refuses(CONFIG_MAP, &[("name: a, finalizers: [mine]", "EV111", "metadata.finalizers[0]")]);
    accepts(
        CUSTOM,
        &[
            "name: a, finalizers: [mine], resourceVersion: '0'",
            "name: a, ownerReferences: [{apiVersion: v1, kind: Pod, name: b, uid: u, controller: true}]",
        ],
    );
}

#[test]
fn two_owners_must_not_both_control() {
    let owner = "{apiVersion: v1, kind: Pod, name: b, uid: u, controller: true}";
    let two = format!("name: a, ownerReferences: [{owner}, {owner}]");
    refuses(CUSTOM, &[(&two, "EV115", "metadata.ownerReferences[1]")]);
}

#[test]
fn selectors_are_well_formed() {
    let budget = "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: a}, spec: {selector: {@}}}";
    refuses(
        budget,
        &[
            ("matchLabels: {a: -b}", "EV111", "spec.selector.matchLabels.a"),
            ("matchExpressions: [{operator: Exists}]", "EV107", "spec.selector.matchExpressions[0]: `key`"),
            ("matchExpressions: [{key: a}]", "EV107", "spec.selector.matchExpressions[0]: `operator`"),
            ("matchExpressions: [{key: a, operator: Gt}]", "EV108", "spec.selector.matchExpressions[0].operator"),
            ("matchExpressions: [{key: a, operator: In}]", "EV107", "spec.selector.matchExpressions[0]: `values`"),
            (
                "matchExpressions: [{key: a, operator: Exists, values: [b]}]",
                "EV115",
                "spec.selector.matchExpressions[0]",
            ),
        ],
    );
    accepts(budget, &["", "matchLabels: {a: b}, matchExpressions: [{key: a, operator: In, values: [b]}]"]);
}

#[test]
fn what_has_the_wrong_type_is_left_to_the_schema() {
    accepts(CUSTOM, &["name: 1", "name: a, labels: [a]", "name: a, labels: {a: 1}", "name: a, finalizers: x"]);
    accepts("{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: @}", &["[]", "text", "7"]);
}
