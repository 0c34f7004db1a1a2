//! Requests that were sent to a real API server, sent to the simulator: the answers must be the same.

use example_validator::simulator::Simulator;
use reqwest::{Client, Method};
use serde_json::{Value as Json, json};

use super::{shared, simulator};

/// Recorded pairs that the simulator does not play: it has no kubelet to ask.
const NOT_PLAYED: &[&str] = &["kubelet", "a kind node"];

/// Fields whose values differ from one server, and one moment, to the next.
const VOLATILE: &[&str] = &[
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "lastTransitionTime",
    "serverAddress",
    "continue",
];

struct Answer {
    status: u16,
    body: Json,
    warning: Option<String>,
}

async fn ask(simulator: &Simulator, pair: &Json) -> Answer {
    let text = |key: &str| pair[key].as_str().unwrap_or_default();
    let method = Method::from_bytes(text("method").as_bytes()).unwrap();
    let mut request = Client::new().request(method, format!("{}{}", simulator.url(), text("path")));
    if !text("contentType").is_empty() {
        request = request.header("content-type", text("contentType")).body(pair["requestBody"].to_string());
    }
    let response = request.send().await.unwrap();
    let warning = response.headers().get("warning").map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = response.text().await.unwrap();
    Answer { status, body: serde_json::from_str(&body).unwrap_or(Json::String(body)), warning }
}

/// Where `ours` lacks something of `theirs`, or has another value.
fn differences(theirs: &Json, ours: &Json, path: &str, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Json::Object(theirs), Json::Object(ours)) => {
            for (key, value) in theirs {
                let path = format!("{path}.{key}");
                match ours.get(key) {
                    // How objects are stored is told by real servers alone.
                    None if key == "storageVersionHash" => {}
                    None => found.push(format!("{path} is missing: {value}")),
                    Some(_) if VOLATILE.contains(&key.as_str()) => {}
                    Some(own) => differences(value, own, &path, found),
                }
            }
        }
        (Json::Array(theirs), Json::Array(ours)) if theirs.len() == ours.len() => {
            for (index, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
                differences(theirs, ours, &format!("{path}[{index}]"), found);
            }
        }
        (theirs, ours) if theirs == ours => {}
        (theirs, ours) => found.push(format!("{path}: {ours} instead of {theirs}")),
    }
}

/// What both servers have, in an order of its own: the simulator has no more resources than it needs.
fn comparable(name: &str, theirs: &mut Json, ours: &mut Json) {
    let (list, key) = match name {
        "discovery /apis" => ("groups", "name"),
        _ if name.starts_with("discovery") => ("resources", "name"),
        _ => return,
    };
    let names = |answer: &Json| -> Vec<String> {
        answer[list].as_array().into_iter().flatten().map(|one| one[key].as_str().unwrap().to_owned()).collect()
    };
    let (own, recorded) = (names(ours), names(theirs));
    for (answer, others) in [(theirs, own), (ours, recorded)] {
        let Some(items) = answer[list].as_array_mut() else { continue };
        items.retain(|item| others.contains(&item[key].as_str().unwrap().to_owned()));
        items.sort_by_key(|item| item[key].as_str().unwrap().to_owned());
        for item in items {
            if let Some(verbs) = item["verbs"].as_array_mut() {
                verbs.sort_by_key(|verb| verb.as_str().unwrap().to_owned());
            }
            if let Some(versions) = item["versions"].as_array_mut() {
                // One version of each group is enough here.
                versions.truncate(1);
            }
        }
    }
}

/// The texts that name a moment of the recorded server, or its Go types, brought to what both can say.
fn told_alike(body: &mut Json) {
    let mut text = body.to_string();
    if let Some((start, end)) = text.find("too old resource version: 1 (").zip(text.find(")\"")) {
        text.replace_range(start + 29..end, "N");
    }
    for field in ["spec.template.spec: Invalid value: ", "\"message\":\"Invalid value: {"] {
        if let Some(start) = text.find(field)
            && let Some(length) = text[start..].find(": field is immutable")
        {
            text.replace_range(start + field.len()..start + length, "...");
        }
    }
    *body = serde_json::from_str(&text).unwrap();
}

/// Puts the cluster into the state in which it was when a pair was recorded.
fn prepare(simulator: &Simulator, name: &str) {
    let store = simulator.store();
    match name {
        "watch from a version long gone" | "expired continue token (410)" => store.compact(),
        "list with limit and continue" => {
            for index in 0..7 {
                let metadata = json!({"name": format!("coredns-{index}"), "namespace": "kube-system"});
                let spec = json!({"containers": [{"name": "a", "image": "x"}]});
                store.create(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})).unwrap();
            }
        }
        "failed calling webhook: no endpoints" => {
            let metadata = json!({"name": "hook", "namespace": "dryrun"});
            let spec = json!({"clusterIP": "10.96.94.89", "ports": [{"port": 443}]});
            store.create(json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})).unwrap();
        }
        // Something that holds the namespace, so that it is still there, and going, for the next pair.
        "namespace deleting" => {
            let metadata = json!({"name": "held", "namespace": "dryrun", "finalizers": ["example.com/held"]});
            store.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})).unwrap();
        }
        _ => {}
    }
}

/// The kinds that the recorded server had.
async fn furnish(simulator: &Simulator) -> Option<()> {
    let folder = shared("kubeflow-v1/manifests/base/crds")?;
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.file_name().unwrap() != "kustomization.yaml") {
        let parsed = example_validator::yaml::parse(&std::fs::read_to_string(file).unwrap());
        simulator.store().create(parsed.documents[0].root.to_json()).unwrap();
    }
    super::namespace(simulator, "dryrun").await;
    Some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answers_are_those_of_a_real_api_server() {
    let Some(recording) = shared("recordings/protocol.json") else { return };
    let pairs: Vec<Json> = serde_json::from_str(&std::fs::read_to_string(recording).unwrap()).unwrap();
    let simulator = simulator().await;
    if furnish(&simulator).await.is_none() {
        return;
    }
    let (mut played, mut wrong) = (0, Vec::new());
    for pair in &pairs {
        let name = pair["name"].as_str().unwrap();
        if NOT_PLAYED.iter().any(|word| name.contains(word)) {
            continue;
        }
        played += 1;
        prepare(&simulator, name);
        let mut answer = ask(&simulator, pair).await;
        let (mut theirs, ours) = (pair["body"].clone(), &mut answer.body);
        if name == "CRD established" {
            theirs.as_object_mut().unwrap().remove("note");
        }
        comparable(name, &mut theirs, ours);
        told_alike(&mut theirs);
        told_alike(ours);
        let mut found = Vec::new();
        if json!(answer.status) != pair["status"] {
            found.push(format!("status {} instead of {}", answer.status, pair["status"]));
        }
        if pair["headers"]["Warning"].as_str() != answer.warning.as_deref() {
            found.push(format!("warning {:?}", answer.warning));
        }
        differences(&theirs, ours, "", &mut found);
        // What the server has by itself, and this one does not claim to be.
        found.retain(|line| name != "discovery /version" || !line.starts_with('.'));
        wrong.extend(found.into_iter().map(|line| format!("{name}: {line}")));
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    assert!(played >= 32, "only {played} pairs were played");
}
