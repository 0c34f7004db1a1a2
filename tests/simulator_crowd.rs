//! Many cells on the simulator's store at once: what a change costs, and what stays in memory. A program of its own, since it
//! measures itself.

#![expect(clippy::unwrap_used, reason = "what can't be set up is a failure of the test")]

use std::path::Path;
use std::sync::Arc;

use example_validator::simulator::store::{Key, Propagation, Store};
use serde_json::{Value as Json, json};
use tokio::task::JoinHandle;

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// The objects of a recorded scenario, in the order of their changes.
fn scenario() -> Option<Vec<Json>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings/job-succeeds/watch.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: the shared recordings are not here");
        return None;
    };
    let events = text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    Some(events.filter(|event| event["type"] != "BOOKMARK").map(|event| event["object"].clone()).collect())
}

fn watch(store: &Store, group: &'static str, plural: &'static str, namespace: &str) -> JoinHandle<usize> {
    let mut watch = store.watch_from(group, plural, Some(namespace), store.version()).unwrap();
    tokio::spawn(async move {
        let mut bytes = 0;
        while let Some(change) = watch.next().await {
            bytes += change.encoded().len();
        }
        bytes
    })
}

/// A cell: its namespace, three watches, every change of the scenario, then all of it deleted.
async fn cell(store: Store, scenario: Arc<Vec<Json>>, namespace: String) {
    store.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})).unwrap();
    let watches = [("", "pods"), ("", "events"), ("batch", "jobs")]
        .map(|(group, plural)| watch(&store, group, plural, &namespace));
    let mut keys: Vec<Key> = Vec::new();
    for object in scenario.iter() {
        let mut object = object.clone();
        object["metadata"]["namespace"] = namespace.clone().into();
        object["metadata"]["finalizers"] = json!([]);
        let key = store.key_of(&object).unwrap();
        if keys.contains(&key) {
            store.update(&key, |known| *known = object).unwrap();
        } else {
            store.create(object).unwrap();
            store.logs().append(&namespace, &key.name, "main", 0, &[b'x'; 2000]);
            keys.push(key);
        }
        tokio::task::yield_now().await;
    }
    for key in &keys {
        let _ = store.delete(key, Propagation::Background);
        let _ = store.delete_now(key);
    }
    let key = Key::cluster("", "namespaces", &namespace);
    store.delete(&key, Propagation::Background).unwrap();
    store.update(&key, |namespace| namespace["spec"]["finalizers"] = json!([])).unwrap();
    for watch in watches {
        watch.abort();
    }
}

/// The processor time of this process, in ticks.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields.get(11..13).unwrap_or_default().iter().filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Plays cells, a hundred at a time; returns the processor time that it took.
async fn crowd(store: &Store, scenario: &Arc<Vec<Json>>, cells: usize) -> u64 {
    let started = ticks();
    let room = Arc::new(tokio::sync::Semaphore::new(100));
    let played = (0..cells).map(|index| {
        let (store, scenario, room) = (store.clone(), Arc::clone(scenario), Arc::clone(&room));
        tokio::spawn(async move {
            let _place = room.acquire_owned().await.unwrap();
            cell(store, scenario, format!("ev-{cells}-{index}")).await;
        })
    });
    futures::future::join_all(played).await.into_iter().for_each(|done| done.unwrap());
    ticks() - started
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_cells_costs_each_what_one_costs_and_leaves_nothing() {
    let Some(scenario) = scenario() else { return };
    let (store, scenario) = (Store::new(), Arc::new(scenario));
    let first = crowd(&store, &scenario, 100).await;
    let after_first = resident();
    let many = crowd(&store, &scenario, 600).await;
    let after_many = resident();
    println!("100 cells: {first} ticks, {after_first} bytes; 600 cells: {many} ticks, {after_many} bytes");
    for kind in store.kinds() {
        let (left, _) = store.list(&kind.group, &kind.plural, None);
        assert!(left.is_empty(), "{} {} are left", left.len(), kind.plural);
    }
    assert!(after_many < after_first + 40 * 1024 * 1024, "memory grew from {after_first} to {after_many} bytes");
    // A few ticks are too coarse to be compared with.
    assert!(many < first.max(20) * 15, "100 cells took {first} ticks, 600 took {many}");
}
