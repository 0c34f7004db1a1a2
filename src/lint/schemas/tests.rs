use super::*;
use crate::yaml::{Node, parse};

const CRDS: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Train, plural: trains}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            description: not part of what is kept
            properties:
              description: {type: string}
              replicas: {type: integer}
              mode: {type: string, enum: [a, b], x-kubernetes-validations: [{rule: unknown.thing(self)}]}
    subresources:
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
  - name: v1alpha1
    served: false
    storage: false
---
kind: ConfigMap
apiVersion: v1
---
apiVersion: v1
kind: List
items:
- apiVersion: apiextensions.k8s.io/v1
  kind: CustomResourceDefinition
  spec:
    group: example.com
    scope: Cluster
    names: {kind: Station, plural: stations}
    versions: [{name: v1, served: true, storage: true}]
";

fn schemas() -> Schemas {
    let (schemas, diagnostics) = Schemas::load(vec![Source::new("crds.yaml", CRDS)]);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    schemas
}

fn object(text: &str) -> Object {
    let root = parse(text).documents.remove(0).root;
    let field = |key: &str| root.get(key).and_then(Node::as_str).unwrap_or_default().to_owned();
    Object { api_version: field("apiVersion"), kind: field("kind"), name: String::new(), namespace: None, root }
}

/// What is known of the kind, and what was found: code and message.
fn check(text: &str) -> (Known, Vec<(&'static str, String)>) {
    let object = object(text);
    let source = Source::new("a.yaml", text);
    let mut findings = Findings::new(&source, &object.root);
    let known = schemas().check(&object, &mut findings);
    let told = findings.diagnostics.iter().map(|found| (found.code.unwrap(), found.message.clone())).collect();
    (known, told)
}

fn codes(text: &str) -> Vec<&'static str> {
    check(text).1.into_iter().map(|(code, _)| code).collect()
}

#[test]
fn a_custom_resource_is_checked_by_its_crd() {
    let (known, told) = check("apiVersion: example.com/v1\nkind: Train\nspec: {description: a, replicas: two}\n");
    assert_eq!(known, Known::Custom);
    assert_eq!(told, [(code::WRONG_TYPE, "spec.replicas: expected integer, found string `two`".to_owned())]);
}

#[test]
fn a_field_named_like_prose_is_a_field() {
    assert_eq!(codes("apiVersion: example.com/v1\nkind: Train\nspec: {description: 1}\n"), [code::WRONG_TYPE]);
}

#[test]
fn the_count_of_the_scale_subresource_is_not_negative() {
    assert_eq!(codes("apiVersion: example.com/v1\nkind: Train\nspec: {replicas: 0}\n"), [] as [&str; 0]);
    assert_eq!(codes("apiVersion: example.com/v1\nkind: Train\nspec: {replicas: -1}\n"), [code::RANGE]);
    assert_eq!(codes("apiVersion: example.com/v1\nkind: Train\nspec: {replicas: 3000000000}\n"), [code::RANGE]);
}

#[test]
fn a_rule_that_cannot_be_evaluated_is_a_warning() {
    let object = object("apiVersion: example.com/v1\nkind: Train\nspec: {mode: a}\n");
    let source = Source::new("a.yaml", "");
    let mut findings = Findings::new(&source, &object.root);
    schemas().check(&object, &mut findings);
    assert_eq!(findings.diagnostics[0].code, Some(code::CEL_RULE));
    assert_eq!(findings.diagnostics[0].severity, Severity::Warning);
}

#[test]
fn a_version_that_is_not_served_is_refused() {
    for version in ["v1alpha1", "v2"] {
        let (known, told) = check(&format!("apiVersion: example.com/{version}\nkind: Train\n"));
        assert_eq!(known, Known::NotServed(vec!["example.com/v1".to_owned()]));
        assert_eq!(told[0].0, code::NOT_SERVED);
    }
}

#[test]
fn a_version_that_kubernetes_never_had_is_refused_and_an_old_one_is_left_to_the_plan() {
    let (known, told) = check("apiVersion: apps/v2\nkind: Deployment\n");
    assert_eq!(known, Known::NotServed(vec!["apps/v1".to_owned()]));
    assert_eq!(told[0].0, code::NOT_SERVED);
    let (known, told) = check("apiVersion: apps/v1beta2\nkind: Deployment\n");
    assert_eq!(known, Known::NotServed(vec!["apps/v1".to_owned()]));
    assert_eq!(told, []);
}

#[test]
fn a_misspelt_built_in_kind_is_refused() {
    let (known, told) = check("apiVersion: apps/v1\nkind: Deploymnet\n");
    assert_eq!(known, Known::Unknown);
    let message = "kind: apps/v1 has no kind `Deploymnet`, did you mean `Deployment`?";
    assert_eq!(told, [(code::NOT_SERVED, message.to_owned())]);
    assert_eq!(check("apiVersion: v1\nkind: PodList\n"), (Known::Unknown, vec![]));
}

#[test]
fn a_kind_that_nobody_knows_is_not_judged() {
    assert_eq!(check("apiVersion: example.org/v1\nkind: Train\nspec: {a: b}\n"), (Known::Unknown, vec![]));
}

#[test]
fn built_in_kinds_are_checked() {
    let (known, told) = check("apiVersion: v1\nkind: Pod\nspec: {containers: [{nmae: a}]}\n");
    assert_eq!(known, Known::BuiltIn);
    let message = "spec.containers[0].nmae: unknown field `nmae`, did you mean `name`?";
    assert_eq!(told, [(code::UNKNOWN_FIELD, message.to_owned())]);
}

#[test]
fn kinds_know_their_scope() {
    let scope = |text: &str| schemas().scope(&object(text));
    assert_eq!(scope("apiVersion: example.com/v1\nkind: Train\n"), Some(Scope::Namespaced));
    assert_eq!(scope("apiVersion: example.com/v1\nkind: Station\n"), Some(Scope::Cluster));
    assert_eq!(scope("apiVersion: v1\nkind: Namespace\n"), Some(Scope::Cluster));
    assert_eq!(scope("apiVersion: extensions.example/v1\nkind: Thing\n"), None);
}

#[test]
fn the_built_in_version_is_the_one_that_the_schemas_have() {
    // `check-version` of k8s-openapi is not public: its newest module is named here once more, so that an upgrade is seen.
    assert_eq!(Schemas::BUILTIN_VERSION, "v1.37");
    assert!(builtin::find("scheduling.k8s.io", "v1beta1", "PodGroup").is_some());
}

#[test]
fn every_built_in_kind_has_a_schema_that_takes_its_own_name() {
    for kind in builtin::all() {
        let text = format!("apiVersion: {}\nkind: {}\nmetadata: {{name: a}}\n", kind.api_version(), kind.kind);
        let parsed = parse(&text);
        let found = kind.schema().check(&parsed.documents[0].root, Dialect::GoType);
        assert!(found.is_empty(), "{text}{found:?}");
    }
}

#[test]
fn a_broken_crd_is_told_and_the_others_are_kept() {
    let broken =
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {group: example.com}\n---\n";
    let (schemas, diagnostics) = Schemas::load(vec![Source::new("crds.yaml", format!("{broken}{CRDS}"))]);
    assert_eq!(diagnostics[0].message, "the CustomResourceDefinition has no `spec.versions`");
    assert_eq!(diagnostics[0].severity, Severity::Error);
    assert!(schemas.scope(&object("apiVersion: example.com/v1\nkind: Train\n")).is_some());
}

#[test]
fn a_crd_of_an_old_api_is_left_out_with_a_warning() {
    let old = "apiVersion: apiextensions.k8s.io/v1beta1\nkind: CustomResourceDefinition\nspec: {}\n";
    let (_, diagnostics) = Schemas::load(vec![Source::new("crds.yaml", old)]);
    assert_eq!(diagnostics[0].severity, Severity::Warning);
}
