//! Faults on request.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use example_validator::simulator::faults::Faults;
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, ListParams, PostParams, WatchParams};
use kube::runtime::{WatchStreamExt, watcher};

use super::{client, config_map, namespace, simulator};

#[tokio::test]
async fn requests_are_slow_and_refused_as_often_as_is_asked_for() {
    let simulator = simulator().await;
    simulator.faults().set(Faults {
        latency_ms: 20,
        errors: 500,
        codes: vec![429],
        retry_after: 3,
        ..Faults::default()
    });
    let url = format!("{}/api/v1/namespaces", simulator.url());
    let (started, mut refused) = (Instant::now(), 0);
    for _ in 0..20 {
        let response = reqwest::get(&url).await.unwrap();
        if response.status() == 429 {
            assert_eq!(response.headers()["retry-after"], "3");
            refused += 1;
        }
    }
    assert!(started.elapsed() >= Duration::from_millis(400));
    assert!((3..=17).contains(&refused), "{refused} of 20");
}

#[tokio::test]
async fn a_lost_answer_was_done_all_the_same() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    simulator.faults().set(Faults { lost: 1000, codes: vec![500], ..Faults::default() });
    let api: Api<ConfigMap> = Api::namespaced(client(&simulator), "n");
    let object = serde_json::from_value(config_map("n", "c")).unwrap();
    assert!(api.create(&PostParams::default(), &object).await.is_err());
    simulator.faults().set(Faults::default());
    assert!(api.get("c").await.is_ok());
}

#[tokio::test]
async fn faults_are_set_over_http_too() {
    let simulator = simulator().await;
    let url = format!("{}/simulator/faults", simulator.url());
    let http = reqwest::Client::new();
    let answer = http.put(&url).body(r#"{"errors": 1000, "codes": [500]}"#).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let api: Api<ConfigMap> = Api::all(client(&simulator));
    assert!(api.list(&ListParams::default()).await.is_err());
    assert_eq!(http.put(&url).body(r#"{"erors": 1}"#).send().await.unwrap().status(), 400);
    assert_eq!(http.put(&url).body("{}").send().await.unwrap().status(), 200);
    assert!(api.list(&ListParams::default()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_survive_watches_that_are_cut_and_expired() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    let faults = Faults { cut_after_events: Some(3), gone: 300, errors: 50, ..Faults::default() };
    simulator.faults().set(faults);
    let api: Api<ConfigMap> = Api::namespaced(client(&simulator), "n");
    let store = simulator.store().clone();
    let writing = tokio::spawn(async move {
        for index in 0..60 {
            store.create(config_map("n", &format!("c{index}"))).unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mut seen = BTreeSet::new();
    let mut objects = watcher(api, watcher::Config::default()).default_backoff().applied_objects().boxed();
    let all = async {
        while seen.len() < 60 {
            if let Some(Ok(object)) = objects.next().await
                && object.name_any().starts_with('c')
            {
                seen.insert(object.name_any());
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
    writing.await.unwrap();
}

#[tokio::test]
async fn a_stalled_watch_says_nothing_and_a_cut_one_ends() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    let api: Api<ConfigMap> = Api::namespaced(client(&simulator), "n");
    let version = simulator.store().version().to_string();
    simulator.store().create(config_map("n", "c")).unwrap();
    simulator.faults().set(Faults { stalled: 1000, ..Faults::default() });
    let mut events = api.watch(&WatchParams::default(), &version).await.unwrap().boxed();
    assert!(tokio::time::timeout(Duration::from_millis(300), events.next()).await.is_err());
    simulator.faults().set(Faults { cut_after_ms: Some(2_000), ..Faults::default() });
    let events = api.watch(&WatchParams::default(), &version).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(60), events.collect::<Vec<_>>()).await.unwrap();
    assert_eq!(told.len(), 1);
}
