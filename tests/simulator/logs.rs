//! The log endpoint: what a real API server said of the pods of the recordings, and following.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use example_validator::simulator::store::{Key, Store, text};
use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use serde_json::{Value as Json, json};

use super::{client, namespace, shared, simulator};

/// The last state of each pod of a recorded scenario; none for one that was deleted.
fn pods(folder: &Path) -> BTreeMap<String, Json> {
    let mut pods = BTreeMap::new();
    for line in std::fs::read_to_string(folder.join("watch.jsonl")).unwrap().lines() {
        let event: Json = serde_json::from_str(line).unwrap();
        if event["watch"] != "pods" || event["type"] == "BOOKMARK" {
            continue;
        }
        let name = event["object"]["metadata"]["name"].as_str().unwrap().to_owned();
        if event["type"] == "DELETED" {
            pods.remove(&name);
        } else {
            pods.insert(name, event["object"].clone());
        }
    }
    pods
}

/// Puts a pod into the store as it is, with no controllers to change it.
fn put(store: &Store, pod: &Json) {
    let mut pod = pod.clone();
    let fields = pod["metadata"].as_object_mut().unwrap();
    fields.retain(|key, _| ["name", "namespace", "annotations"].contains(&key.as_str()));
    store.create(pod).unwrap();
}

#[tokio::test]
async fn logs_are_refused_as_a_real_api_server_refuses_them() {
    let Some(recordings) = shared("recordings") else { return };
    let (mut compared, mut wrong) = (0, Vec::new());
    for entry in std::fs::read_dir(recordings).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(recorded) = std::fs::read_to_string(folder.join("logs.json")) else { continue };
        let recorded: BTreeMap<String, Json> = serde_json::from_str(&recorded).unwrap();
        let pods = pods(&folder);
        let simulator = simulator().await;
        for pod in pods.values() {
            let place = text(pod, "/metadata/namespace");
            if simulator.store().get(&Key::cluster("", "namespaces", place)).is_none() {
                namespace(&simulator, place).await;
            }
            put(simulator.store(), pod);
        }
        for (key, answer) in &recorded {
            let parts: Vec<_> = key.split('/').collect();
            let (Some(pod), [name, container, rest @ ..]) = (pods.get(parts[0]), parts.as_slice()) else { continue };
            let place = text(pod, "/metadata/namespace");
            let query = format!("container={container}&timestamps=true&previous={}", !rest.is_empty());
            let url = format!("{}/api/v1/namespaces/{place}/pods/{name}/log?{query}", simulator.url());
            let response = reqwest::get(url).await.unwrap();
            let (status, body) = (response.status().as_u16(), response.text().await.unwrap());
            compared += 1;
            let same =
                status == answer["status"] && (status == 200 || json(&body) == json(answer["body"].as_str().unwrap()));
            if !same {
                wrong.push(format!("{} {key}: {status} {body} instead of {answer}", folder.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 100, "only {compared} answers were compared");
}

/// A JSON text as a value; any other as text.
fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// A pod that no kubelet touches, since it is said to have ended.
fn pod(containers: &[&str], state: &Json) -> Json {
    let containers: Vec<_> = containers.iter().map(|name| json!({"name": name, "image": "x"})).collect();
    let status = |container: &Json| {
        let mut status = state.clone();
        status["name"] = container["name"].clone();
        status
    };
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"},
        "spec": {"containers": containers, "nodeName": "simulated-control-plane"},
        "status": {"phase": "Succeeded", "containerStatuses": containers.iter().map(status).collect::<Vec<_>>()},
    })
}

#[tokio::test]
async fn a_log_is_cut_as_it_is_asked_for() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    let store = simulator.store();
    let running = json!({"restartCount": 1, "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}});
    store.create(pod(&["a"], &running)).unwrap();
    store.logs().append("n", "p", "a", 0, b"old\n");
    store.logs().append("n", "p", "a", 1, b"one\ntwo\nthr");
    store.logs().append("n", "p", "a", 1, b"ee\n");
    let api: Api<Pod> = Api::namespaced(client(&simulator), "n");
    let log = async |params: LogParams| api.logs("p", &params).await.unwrap();
    assert_eq!(log(LogParams::default()).await, "one\ntwo\nthree\n");
    assert_eq!(log(LogParams { previous: true, ..LogParams::default() }).await, "old\n");
    assert_eq!(log(LogParams { tail_lines: Some(1), ..LogParams::default() }).await, "three\n");
    assert_eq!(log(LogParams { limit_bytes: Some(5), ..LogParams::default() }).await, "one\nt");
    assert_eq!(log(LogParams { since_seconds: Some(60), ..LogParams::default() }).await, "one\ntwo\nthree\n");
    let stamped = log(LogParams { timestamps: true, tail_lines: Some(1), ..LogParams::default() }).await;
    let (time, rest) = stamped.split_once(' ').unwrap();
    assert_eq!((time.len(), rest), ("2026-11-23T16:18:13.244683996Z".len(), "three\n"));
}

#[tokio::test]
async fn the_container_of_several_must_be_named() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    simulator.store().create(pod(&["a", "b"], &json!({"state": {"running": {}}}))).unwrap();
    let api: Api<Pod> = Api::namespaced(client(&simulator), "n");
    let refused = async |container: Option<&str>| {
        let params = LogParams { container: container.map(str::to_owned), ..LogParams::default() };
        api.logs("p", &params).await.unwrap_err().to_string()
    };
    assert!(refused(None).await.contains("a container name must be specified for pod p, choose one of: [a b]"));
    assert!(refused(Some("c")).await.contains("container c is not valid for pod p"));
}

#[tokio::test]
async fn a_followed_log_ends_with_its_container() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    let store = simulator.store().clone();
    store.create(pod(&["a"], &json!({"restartCount": 0, "state": {"running": {}}}))).unwrap();
    let api: Api<Pod> = Api::namespaced(client(&simulator), "n");
    let params = LogParams { follow: true, ..LogParams::default() };
    let mut lines = api.log_stream("p", &params).await.unwrap().lines();
    store.logs().append("n", "p", "a", 0, b"one\n");
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("one"));
    store.logs().append("n", "p", "a", 0, b"two\nlast");
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("two"));
    store.logs().end("n", "p", "a", 0);
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("last"));
    let end = tokio::time::timeout(Duration::from_secs(60), lines.try_next()).await.unwrap().unwrap();
    assert_eq!(end, None);
}

#[tokio::test]
async fn the_logs_of_a_deleted_pod_are_freed() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    let store = simulator.store();
    store.create(pod(&["a"], &json!({"state": {"running": {}}}))).unwrap();
    store.logs().append("n", "p", "a", 0, b"one\n");
    let mut reader = store.logs().read("n", "p", "a", 0).unwrap();
    store.delete_now(&Key::namespaced("", "pods", "n", "p")).unwrap();
    assert_eq!(reader.next().await.map(|lines| lines.len()), Some(1));
    assert_eq!(reader.next().await, None);
    store.logs().append("n", "p", "a", 0, b"late\n");
    assert!(store.logs().read("n", "p", "a", 0).is_none());
}
