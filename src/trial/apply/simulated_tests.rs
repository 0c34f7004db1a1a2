//! Applies to a simulated cluster: what it holds afterwards.

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value as Json, json};

use super::*;
use crate::model::{CauseClass, Outcome};
use crate::simulator::store::Key;
use crate::simulator::{Options, Simulator};
use crate::trial::isolate::isolate;
use crate::trial::isolate::tests::{example, identity, scopes};

async fn simulated() -> (Simulator, Target) {
    crate::http_client::choose_cryptography();
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let file = Kubeconfig::from_yaml(&simulator.kubeconfig_yaml()).unwrap();
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    let target = Target::new(Client::try_from(config).unwrap());
    (simulator, target)
}

/// A Deployment one of whose containers has a port and a variable twice.
fn twins(more: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    \
         metadata: {{labels: {{app: web}}}}\n    spec:\n      containers:\n      - name: web\n        image: docker.io/library/busybox:1.37.0\n        \
         ports: [{{name: http, containerPort: 8080}}, {{name: metrics, containerPort: 8080}}]\n        \
         env: [{{name: A, value: '1'}}, {{name: A, value: '2'}}]\n{more}"
    )
}

#[tokio::test]
async fn what_server_side_apply_can_t_tell_apart_is_created_as_kubectl_would() {
    let (simulator, target) = simulated().await;
    let example = example("a.yaml", &twins(""));
    let isolated = isolate(&example, &[], &identity(&example), &scopes()).unwrap();
    // The rule is the simulated API server's too.
    let refused = {
        let served = ApiResource::erase::<k8s_openapi::api::apps::v1::Deployment>(&());
        let objects = Objects::new(&target.client, &served, Some("default"));
        let mut json = isolated.objects[0].json.clone();
        json["metadata"]["namespace"] = json!("default");
        objects.apply("web", &json, FIELD_MANAGER).await.unwrap_err()
    };
    assert!(
        refused.to_string().contains(".spec.template.spec.containers[name=\"web\"].ports: duplicate entries for key [containerPort=8080,protocol=\"TCP\"]"),
        "{refused}"
    );
    let applied = apply(&target, &isolated).await.unwrap();
    let key = Key::namespaced("apps", "deployments", &isolated.namespace, "web");
    let kept = simulator.store().get(&key).unwrap();
    let container = kept.pointer("/spec/template/spec/containers/0").unwrap();
    assert_eq!((container["ports"].as_array().unwrap().len(), container["env"].as_array().unwrap().len()), (2, 2));
    assert_eq!(applied.objects[0].uid, kept["metadata"]["uid"].as_str().unwrap());
}

#[tokio::test]
async fn what_is_created_is_still_checked_strictly_and_forces_nothing() {
    let (_simulator, target) = simulated().await;
    let unknown = example("a.yaml", &twins("        colour: red\n"));
    let isolated = isolate(&unknown, &[], &identity(&unknown), &scopes()).unwrap();
    let refused = apply(&target, &isolated).await.unwrap_err();
    assert_eq!((refused.outcome, refused.cause.class), (Outcome::Failed, CauseClass::Admission));
    assert!(refused.cause.message.contains("colour"), "{}", refused.cause.message);

    let first = twins("")
        .replace("ports: [{name: http, containerPort: 8080}, ", "ports: [")
        .replace("{name: A, value: '1'}, ", "");
    let twice = example("b.yaml", &format!("{first}---\n{}", twins("")));
    let isolated = isolate(&twice, &[], &identity(&twice), &scopes()).unwrap();
    let refused = apply(&target, &isolated).await.unwrap_err();
    assert_eq!(refused.cause.reason, "AlreadyExists");
}

#[tokio::test]
async fn the_namespace_has_the_labels_of_the_one_that_the_example_was_written_for() {
    let (simulator, target) = simulated().await;
    let labels =
        json!({"katib.kubeflow.org/metrics-collector-injection": "enabled", "app.kubernetes.io/part-of": "kubeflow"});
    let home = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kubeflow", "labels": labels}});
    simulator.store().create(home).unwrap();
    let of = |namespace: &str| {
        let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: {namespace}\n");
        example(&format!("{namespace}.yaml"), &text)
    };
    let injected = |labels: &Json| labels.get("katib.kubeflow.org/metrics-collector-injection").cloned();
    for (namespace, expected) in [("kubeflow", Some(json!("enabled"))), ("nowhere", None)] {
        let example = of(namespace);
        let mut isolated = isolate(&example, &[], &identity(&example), &scopes()).unwrap();
        adopt_labels(&target, &mut isolated).await;
        apply(&target, &isolated).await.unwrap();
        let made = simulator.store().get(&Key::cluster("", "namespaces", &isolated.namespace)).unwrap();
        let labels = &made["metadata"]["labels"];
        assert_eq!(injected(labels), expected, "{labels}");
        assert_eq!(labels.get("app.kubernetes.io/part-of"), None);
        assert_eq!(isolated.notes.iter().any(|note| note.message.contains("takes the labels")), expected.is_some());
    }
}

#[tokio::test]
async fn every_service_account_of_the_example_uses_the_pull_secrets() {
    let (simulator, mut target) = simulated().await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "regcred", "namespace": "default"},
        "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30="}});
    simulator.store().create(secret).unwrap();
    let names = ["regcred".to_owned()];
    target.pull_secrets = super::pull_secrets(&target.client, &names, None, target.limits).await.unwrap().into();
    let example = example(
        "a.yaml",
        "{apiVersion: v1, kind: ServiceAccount, metadata: {name: spark}}\n---\n\
         {apiVersion: v1, kind: ServiceAccount, metadata: {name: default}, imagePullSecrets: [{name: own}]}\n",
    );
    let isolated = isolate(&example, &[], &identity(&example), &scopes()).unwrap();
    apply(&target, &isolated).await.unwrap();
    let secrets = |name: &str| {
        let key = Key::namespaced("", "serviceaccounts", &isolated.namespace, name);
        simulator.store().get(&key).unwrap()["imagePullSecrets"].clone()
    };
    assert_eq!(secrets("spark"), json!([{"name": "regcred"}]));
    let both = secrets("default");
    assert!(["own", "regcred"].iter().all(|name| both.as_array().unwrap().contains(&json!({"name": name}))), "{both}");
}
