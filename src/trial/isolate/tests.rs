use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::catalog::{ExampleKind, ExampleSettings, objects_of};
use crate::config::Resources;
use crate::model::{Expect, Tier};

/// An example of these documents; none of its objects is judged.
pub(crate) fn example(id: &str, text: &str) -> Example {
    let source = Source::new(id, text);
    Example {
        id: ExampleId::new(id),
        kind: ExampleKind::Manifest,
        path: PathBuf::from(id),
        objects: objects_of(&source),
        source,
        diagnostics: Vec::new(),
        framework: None,
        judged: Vec::new(),
        settings: ExampleSettings {
            tier: Tier::Full,
            timeout: Duration::from_secs(60),
            retries: 0,
            expect: Expect::Succeeded,
            needs: Vec::new(),
            resources: Resources::default(),
            support: false,
            representative: false,
            quarantine: None,
            checks: Vec::new(),
            run: None,
        },
    }
}

pub(crate) fn identity(example: &Example) -> Identity<'_> {
    Identity { run: "42", example: &example.id, kubernetes: Some("v1.34.0"), attempt: 1 }
}

pub(crate) fn scopes() -> Scopes {
    let mut scopes = Scopes::default();
    for (api_version, kind) in [
        ("v1", "Namespace"),
        ("v1", "PersistentVolume"),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
        ("scheduling.k8s.io/v1", "PriorityClass"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ] {
        scopes.insert(api_version, kind, false);
    }
    scopes
}

fn of<'a>(example: &'a Example, needs: &[&'a Example]) -> Isolated<'a> {
    isolate(example, needs, &identity(example), &scopes()).unwrap()
}

fn names(isolated: &Isolated<'_>) -> Vec<String> {
    isolated.objects.iter().map(|object| object.object.reference()).collect()
}

fn notes(isolated: &Isolated<'_>) -> Vec<String> {
    isolated.notes.iter().map(|note| format!("{}:{} {}", note.file, note.line, note.message)).collect()
}

#[test]
fn what_is_needed_comes_first_then_what_others_depend_on() {
    let need = example(
        "etcd.yaml",
        "{apiVersion: v1, kind: Pod, metadata: {name: etcd}}\n---\n{apiVersion: v1, kind: Service, metadata: {name: etcd}}\n",
    );
    let text = "{apiVersion: batch/v1, kind: Job, metadata: {name: b}}\n---\n{apiVersion: batch/v1, kind: Job, metadata: {name: a}}\n---\n\
        {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n---\n{apiVersion: v1, kind: ServiceAccount, metadata: {name: s}}\n---\n\
        {apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: p}}\n---\n\
        {apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: w}}\n---\n\
        {apiVersion: apps/v1, kind: Deployment, metadata: {name: d}}\n";
    let example = example("a.yaml", text);
    let isolated = of(&example, &[&need]);
    assert_eq!(
        names(&isolated),
        [
            "Service/etcd",
            "Pod/etcd",
            "PriorityClass/p",
            "ServiceAccount/s",
            "ConfigMap/c",
            "Job/b",
            "Job/a",
            "Deployment/d",
            "ValidatingWebhookConfiguration/w"
        ]
    );
    let indices: Vec<_> = isolated.objects.iter().map(|object| object.indices.clone()).collect();
    assert_eq!(indices, [vec![], vec![], vec![4], vec![3], vec![2], vec![0], vec![1], vec![6], vec![5]]);
    assert_eq!(isolated.objects.iter().filter(|object| object.cluster_scoped).count(), 2);
}

#[test]
fn objects_carry_our_labels_and_keep_their_own() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  namespace: other\n  labels: {app.kubernetes.io/managed-by: helm, app: x}\n";
    let example = example("examples/a.yaml", text);
    let isolated = of(&example, &[]);
    let metadata = &isolated.objects[0].json["metadata"];
    assert_eq!(metadata["namespace"], Json::Null);
    assert_eq!(metadata["labels"][MANAGED_BY], "helm");
    assert_eq!((&metadata["labels"][RUN], &metadata["labels"]["app"]), (&json!("42"), &json!("x")));
    assert_eq!(metadata["annotations"][EXAMPLE], "examples/a.yaml");
    assert_eq!(metadata["annotations"][NAMESPACE], isolated.namespace.as_str());
    assert_eq!(isolated.namespace_labels[MANAGED_BY], "example-validator");
    assert_eq!(notes(&isolated), [format!("examples/a.yaml:5 the namespace `other` becomes `{}`", isolated.namespace)]);
}

#[test]
fn an_own_namespace_gives_its_labels_and_is_not_created() {
    let text = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: secure\n  labels: {pod-security.kubernetes.io/enforce: restricted}\n---\n\
        apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: secure}\n";
    let example = example("a.yaml", text);
    let isolated = of(&example, &[]);
    assert_eq!(names(&isolated), ["Pod/a"]);
    assert_eq!(isolated.namespace_labels["pod-security.kubernetes.io/enforce"], "restricted");
    assert!(notes(&isolated)[0].starts_with("a.yaml:2 Namespace/secure is not created"), "{:?}", notes(&isolated));
}

#[test]
fn references_follow_the_objects_that_they_mean() {
    let text = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: runner}\n---\n\
        apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: b}\nsubjects:\n\
        - {kind: ServiceAccount, name: runner, namespace: default}\n- {kind: ServiceAccount, name: default, namespace: default}\n\
        - {kind: ServiceAccount, name: operator, namespace: kubeflow}\n---\n\
        apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: v}\nspec: {claimRef: {namespace: default, name: data}}\n---\n\
        apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\n---\n\
        apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: w}\nwebhooks:\n\
        - clientConfig: {service: {name: hook, namespace: default}}\n  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: default}}\n---\n\
        apiVersion: v1\nkind: Service\nmetadata: {name: hook}\n---\n\
        apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {name: data, namespace: default}\n";
    let example = example("a.yaml", text);
    let isolated = of(&example, &[]);
    let json = |kind: &str| &isolated.objects.iter().find(|object| object.object.kind == kind).unwrap().json;
    let namespaces = |path: &str, kind: &str| json(kind).pointer(path).unwrap().clone();
    let target = json!(isolated.namespace);
    assert_eq!(namespaces("/subjects/0/namespace", "ClusterRoleBinding"), target);
    assert_eq!(namespaces("/subjects/1/namespace", "ClusterRoleBinding"), target);
    assert_eq!(namespaces("/subjects/2/namespace", "ClusterRoleBinding"), "kubeflow");
    assert_eq!(namespaces("/spec/claimRef/namespace", "PersistentVolume"), target);
    assert_eq!(namespaces("/webhooks/0/clientConfig/service/namespace", "ValidatingWebhookConfiguration"), target);
    let selector = "/webhooks/0/namespaceSelector/matchLabels/kubernetes.io~1metadata.name";
    assert_eq!(namespaces(selector, "ValidatingWebhookConfiguration"), target);
    assert_eq!(namespaces("/data/namespace", "ConfigMap"), "default");
    assert_eq!(
        notes(&isolated),
        ["a.yaml:11 ServiceAccount/operator in the namespace `kubeflow` is not the example's: the reference stays"]
    );
}

#[test]
fn dns_names_of_own_services_follow_and_others_are_told() {
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: prod}\n---\n\
        apiVersion: batch/v1\nkind: Job\nmetadata: {name: j, namespace: prod}\nspec:\n  template:\n    spec:\n      containers:\n      - name: a\n        \
        args: [--db=db.prod.svc.cluster.local:1, 'j-master-0.prod.svc', db.prod, plain.prod]\n        env:\n        - name: X\n          \
        value: http://minio.kubeflow.svc:9000 db.prod.svc\n        - {name: Y, value: https://kubernetes.default.svc}\n";
    let example = example("a.yaml", text);
    let isolated = of(&example, &[]);
    let container = isolated.objects[1].json.pointer("/spec/template/spec/containers/0").unwrap();
    let target = &isolated.namespace;
    let args = json!([
        format!("--db=db.{target}.svc.cluster.local:1"),
        format!("j-master-0.{target}.svc"),
        format!("db.{target}"),
        "plain.prod"
    ]);
    assert_eq!(container["args"], args);
    assert_eq!(container["env"][0]["value"], format!("http://minio.kubeflow.svc:9000 db.{target}.svc"));
    assert_eq!(container["env"][1]["value"], "https://kubernetes.default.svc");
    let told = notes(&isolated);
    assert!(
        told.contains(
            &"a.yaml:16 the Service `minio.kubeflow` is outside of the attempt's namespace, and none of the example's"
                .to_owned()
        ),
        "{told:?}"
    );
    assert!(
        told.iter().any(|note| note.starts_with("a.yaml:13 the Service `db.prod` is the example's own")),
        "{told:?}"
    );
}

#[test]
fn the_same_object_of_two_namespaces_is_one_if_it_is_equal_and_a_clash_if_not() {
    let account = |namespace: &str, extra: &str| {
        format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: a, namespace: {namespace}}}\n{extra}---\n")
    };
    let equal = example("a.yaml", &(account("one", "") + &account("two", "")));
    let isolated = of(&equal, &[]);
    assert_eq!(isolated.objects.len(), 1);
    assert_eq!(isolated.objects[0].indices, [0, 1]);

    let different = example("a.yaml", &(account("one", "") + &account("two", "automountServiceAccountToken: false\n")));
    let cause = isolate(&different, &[], &identity(&different), &scopes()).unwrap_err();
    assert_eq!((cause.class, cause.line), (CauseClass::Internal, 7));
    assert!(cause.message.contains("`one` and `two`"), "{}", cause.message);
}

#[test]
fn the_same_object_twice_in_one_namespace_is_applied_twice() {
    let text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {b: c}}\n";
    assert_eq!(of(&example("a.yaml", text), &[]).objects.len(), 2);
}

#[test]
fn a_kind_that_the_example_defines_has_the_scope_of_its_definition() {
    let text = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: queues.a.b}\n\
        spec: {group: a.b, scope: Cluster, names: {kind: Queue, plural: queues}, versions: [{name: v1}]}\n---\n\
        {apiVersion: a.b/v1, kind: Queue, metadata: {name: q}}\n---\n{apiVersion: a.b/v2, kind: ClusterThing, metadata: {generateName: g-}}\n";
    let example = example("a.yaml", text);
    assert!(of(&example, &[]).objects.iter().all(|object| object.cluster_scoped));
}

#[test]
fn metadata_that_is_no_mapping_is_left_for_the_server() {
    let example = example(
        "a.yaml",
        "{apiVersion: v1, kind: Pod, metadata: {name: a, labels: [b]}}\n---\n{apiVersion: v1, kind: Pod, metadata: x}\n",
    );
    let isolated = of(&example, &[]);
    assert_eq!(isolated.objects[0].json["metadata"]["labels"], json!(["b"]));
    assert_eq!(isolated.objects[1].json["metadata"], "x");
}

#[test]
fn needs_come_after_those_that_they_need_and_circles_end() {
    let with = |id: &str, needs: &[&str]| {
        let mut example = example(id, "");
        example.settings.needs = needs.iter().map(|id| ExampleId::new(*id)).collect();
        example
    };
    let catalog = Catalog {
        examples: vec![with("a", &["c", "b"]), with("b", &["d", "a"]), with("c", &["d"]), with("d", &[])],
        diagnostics: Vec::new(),
    };
    let found: Vec<_> = needs(&catalog.examples[0], &catalog).iter().map(|need| need.id.as_str()).collect();
    assert_eq!(found, ["d", "c", "b"]);
}

const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: db, namespace: prod}}\n---\n";

#[test]
fn names_that_can_be_nothing_else_follow_in_every_text() {
    let text = SERVICE.to_owned()
        + "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: prod, annotations: {at: 'http://db.prod.svc'}}\n\
           data:\n  ETCD: http://db.prod.svc.cluster.local:2379\n  HOST: db.prod\n  script: |\n    import x.prod\n    \
           connect('db.prod.svc', db.prod)\n  far: minio.kubeflow.svc\n---\n\
           apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: prod}\ndata: {a: db.prod.svc}\nstringData: {b: db.prod.svc}\n---\n\
           apiVersion: ray.io/v1\nkind: RayJob\nmetadata: {name: r, namespace: prod}\nspec:\n  entrypoint: python a.py --db db.prod.svc:1\n  \
           elasticPolicy: {rdzvHost: db.prod, rdzvEndpoint: 'db.prod:29400', hosts: [db.prod]}\n  \
           template: {script: {source: 'x.prod db.prod.svc'}, selector: {matchLabels: {a: db.prod}}}\n  secretName: db.prod\n";
    let example = example("a.yaml", &text);
    let isolated = of(&example, &[]);
    let target = &isolated.namespace;
    let json = |kind: &str| &isolated.objects.iter().find(|object| object.object.kind == kind).unwrap().json;
    let config = json("ConfigMap");
    assert_eq!(config["metadata"]["annotations"]["at"], format!("http://db.{target}.svc"));
    let data = json!({
        "ETCD": format!("http://db.{target}.svc.cluster.local:2379"),
        "HOST": format!("db.{target}"),
        "script": format!("import x.prod\nconnect('db.{target}.svc', db.prod)\n"),
        "far": "minio.kubeflow.svc",
    });
    assert_eq!(config["data"], data);
    assert_eq!(json("Secret")["data"]["a"], "db.prod.svc");
    assert_eq!(json("Secret")["stringData"]["b"], format!("db.{target}.svc"));
    let spec = &json("RayJob")["spec"];
    assert_eq!(spec["entrypoint"], format!("python a.py --db db.{target}.svc:1"));
    let policy = json!({"rdzvHost": format!("db.{target}"), "rdzvEndpoint": format!("db.{target}:29400"), "hosts": [format!("db.{target}")]});
    assert_eq!(spec["elasticPolicy"], policy);
    assert_eq!(spec["template"]["script"]["source"], format!("x.prod db.{target}.svc"));
    assert_eq!(
        (&spec["secretName"], &spec["template"]["selector"]["matchLabels"]["a"]),
        (&json!("db.prod"), &json!("db.prod"))
    );
    let told = notes(&isolated);
    assert!(
        told.iter().any(|note| note.contains("`minio.kubeflow` is outside of the attempt's namespace")),
        "{told:?}"
    );
}

proptest! {
    #[test]
    fn a_text_without_the_name_of_an_own_service_is_never_touched(
        text in "[ -~\\n]{0,60}|([a-c.:/ -]|db|prod|svc){0,12}",
        key in "[a-z]{1,8}",
    ) {
        // `db-0.prod.svc` is made for `db`; a short name counts where it is all of the text.
        prop_assume!(!text.contains("prod.svc") && !text.starts_with("db.prod"));
        let quoted = serde_json::to_string(&text).unwrap();
        let manifest = format!(
            "{SERVICE}{{apiVersion: v1, kind: ConfigMap, metadata: {{name: c, namespace: prod}}, data: {{{key:?}: {quoted}}}}}\n---\n\
             {{apiVersion: a.b/v1, kind: Thing, metadata: {{name: t, namespace: prod}}, spec: {{{key:?}: {quoted}, x: [{quoted}]}}}}\n"
        );
        let example = example("a.yaml", &manifest);
        let isolated = of(&example, &[]);
        prop_assert_eq!(isolated.objects.len(), 3);
        for item in &isolated.objects {
            let manifest = item.object.root.to_json();
            for field in ["data", "spec"] {
                prop_assert_eq!(&item.json[field], &manifest[field]);
            }
        }
    }
}
