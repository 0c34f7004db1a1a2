//! The service proxy, and what the operators serve behind it.

use std::time::Duration;

use example_validator::simulator::Simulator;
use serde_json::{Value as Json, json};

use crate::{namespace, shared, simulator};

/// The answer to a GET: its code and its text.
async fn get(simulator: &Simulator, service: &str, path: &str) -> (u16, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (namespace, name) = service.split_once('/').unwrap();
    let url = format!("{}/api/v1/namespaces/{namespace}/services/{name}/proxy/{path}", simulator.url());
    let answer = reqwest::get(url).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// The message of a refusal.
async fn refused(simulator: &Simulator, service: &str, code: u16) -> String {
    let (found, text) = get(simulator, service, "metrics").await;
    assert_eq!(found, code, "{text}");
    let status: Json = serde_json::from_str(&text).unwrap();
    assert_eq!((&status["kind"], &status["code"]), (&json!("Status"), &json!(code)));
    status["message"].as_str().unwrap().to_owned()
}

fn service(name: &str, app: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "ns"},
        "spec": {"selector": {"app": app}, "ports": [{"name": "web", "port": 80}, {"name": "https", "port": 8443}]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_leads_to_its_ready_pods_and_refuses_as_a_real_one_does() {
    let simulator = simulator().await;
    namespace(&simulator, "ns").await;
    let store = simulator.store();
    store.create(service("op", "op")).unwrap();
    store.create(service("nobody", "none")).unwrap();
    store
        .create(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "op", "namespace": "ns", "labels": {"app": "op"}},
            "spec": {"containers": [{"name": "main", "image": "docker.io/library/busybox:1.37.0", "command": ["sleep", "100000"]}]}}))
        .unwrap();
    for _ in 0..1000 {
        if get(&simulator, "ns/op:80", "metrics").await.0 == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for port in ["op:80", "op:web", "http:op:web", "https:op:8443", "https:op:https"] {
        let (code, text) = get(&simulator, &format!("ns/{port}"), "metrics").await;
        assert_eq!(code, 200, "{port}: {text}");
    }
    assert_eq!(get(&simulator, "ns/op:80", "else").await.0, 404);
    let tls = (400, "Client sent an HTTP request to an HTTPS server.\n".to_owned());
    assert_eq!(get(&simulator, "ns/op:https", "metrics").await, tls);
    let no_tls = "error trying to reach service: http: server gave HTTP response to HTTPS client";
    assert_eq!(refused(&simulator, "ns/https:op:80", 503).await, no_tls);
    assert_eq!(refused(&simulator, "ns/absent:80", 404).await, "services \"absent\" not found");
    assert_eq!(refused(&simulator, "ns/nobody:80", 503).await, "no endpoints available for service \"nobody\"");
    assert_eq!(refused(&simulator, "ns/op:81", 503).await, "no service port 81 found for service \"op\"");
    assert_eq!(refused(&simulator, "ns/a:b:c:d", 400).await, "invalid service request \"a:b:c:d\"");
    let pod = async |id: &str| {
        let answer = reqwest::get(format!("{}/api/v1/namespaces/ns/pods/{id}/proxy/metrics", simulator.url())).await;
        answer.unwrap().status().as_u16()
    };
    let asked = [pod("op:80").await, pod("https:op:8443").await, pod("op:8443").await, pod("absent:80").await];
    assert_eq!(asked, [200, 200, 400, 404]);
    simulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_that_nobody_has_to_deploy_counts_as_the_recorded_one_does() {
    let simulator = simulator().await;
    let definition = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/crds/pytorchjobs.yaml");
    let definition = example_validator::yaml::parse(&std::fs::read_to_string(definition).unwrap());
    simulator.store().create(definition.documents[0].root.to_json()).unwrap();
    namespace(&simulator, "ns").await;
    let metrics = async || {
        let (code, text) = get(&simulator, "kubeflow/training-operator:8080", "metrics").await;
        assert_eq!(code, 200, "{text}");
        text
    };
    let before = metrics().await;
    assert!(
        before.contains("controller_runtime_reconcile_errors_total{controller=\"pytorchjob-controller\"} 0\n"),
        "{before}"
    );
    assert!(!before.contains("training_operator_jobs"), "a series is there from its first event on: {before}");
    let pod = json!({"containers": [{"name": "pytorch", "image": "example.com/a:1", "command": ["sh", "-c", "echo trained"]}]});
    let job = json!({"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": "a", "namespace": "ns"},
        "spec": {"pytorchReplicaSpecs": {"Master": {"replicas": 1, "template": {"spec": pod}}}}});
    simulator.store().create(job).unwrap();
    let mut after = metrics().await;
    for _ in 0..1000 {
        if after.contains("jobs_successful_total") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        after = metrics().await;
    }
    for what in ["created", "successful"] {
        let line = format!("training_operator_jobs_{what}_total{{framework=\"pytorch\",job_namespace=\"ns\"}} 1\n");
        assert!(after.contains(&line), "{after}");
    }
    assert!(!after.contains("jobs_failed_total"), "{after}");
    let Some(recording) = shared("recordings/operator-metrics-after.txt") else { return };
    let recorded = std::fs::read_to_string(recording).unwrap();
    for line in after.lines().filter(|line| line.starts_with('#')) {
        assert!(recorded.lines().any(|other| other == line), "the recorded operator does not say `{line}`");
    }
    simulator.shutdown().await;
}
