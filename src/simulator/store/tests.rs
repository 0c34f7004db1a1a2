use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn store() -> Store {
    let store = Store::with(1, 100);
    store.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})).unwrap();
    store
}

fn config_map(name: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n"}})
}

fn key(name: &str) -> Key {
    Key::namespaced("", "configmaps", "n", name)
}

fn pod(metadata: &Json) -> Json {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": "node"}})
}

#[test]
fn a_new_object_gets_what_a_server_adds() {
    let store = store();
    let made = store.create(pod(&json!({"generateName": "p-", "namespace": "n", "uid": "mine"}))).unwrap();
    assert_eq!(text(&made, "/metadata/name").len(), "p-".len() + 5);
    assert_eq!(text(&made, "/metadata/resourceVersion"), store.version().to_string());
    assert_eq!(made["metadata"]["generation"], 1);
    assert_eq!(text(&made, "/metadata/uid").len(), 36);
    assert_eq!(text(&made, "/metadata/creationTimestamp").len(), "2026-11-23T16:16:49Z".len());
}

#[test]
fn only_what_is_more_than_metadata_and_status_makes_a_generation() {
    let store = store();
    store.create(pod(&json!({"name": "p", "namespace": "n"}))).unwrap();
    let key = Key::namespaced("", "pods", "n", "p");
    let update = |edit: fn(&mut Json)| store.update(&key, edit).unwrap()["metadata"]["generation"].clone();
    assert_eq!(update(|pod| pod["status"]["phase"] = "Running".into()), 1);
    assert_eq!(update(|pod| pod["metadata"]["labels"] = json!({"a": "b"})), 1);
    assert_eq!(update(|pod| pod["spec"]["priority"] = 1.into()), 2);
    let version = store.version();
    assert_eq!(update(|pod| pod["spec"]["priority"] = 1.into()), 2);
    assert_eq!(store.version(), version);
}

#[test]
fn nobody_changes_who_an_object_is() {
    let store = store();
    let made = store.create(config_map("c")).unwrap();
    let changed = store.update(&key("c"), |object| *object = json!({"data": {"a": "b"}})).unwrap();
    for field in ["uid", "name", "namespace", "creationTimestamp"] {
        assert_eq!(changed["metadata"][field], made["metadata"][field]);
    }
    assert_eq!(changed["kind"], "ConfigMap");
}

#[test]
fn what_cannot_be_created_is_refused_as_a_real_server_refuses_it() {
    let store = store();
    store.create(config_map("c")).unwrap();
    let told = |object: Json| store.create(object).unwrap_err().to_string();
    assert_eq!(told(config_map("c")), "configmaps \"c\" already exists");
    let mut elsewhere = config_map("c");
    elsewhere["metadata"]["namespace"] = "m".into();
    assert_eq!(told(elsewhere), "namespaces \"m\" not found");
    store.delete(&Key::cluster("", "namespaces", "n"), Propagation::Background).unwrap();
    let going =
        "configmaps \"d\" is forbidden: unable to create new content in namespace n because it is being terminated";
    assert_eq!(told(config_map("d")), going);
    assert_eq!(store.update(&key("x"), |_| {}).unwrap_err().code, 404);
}

#[test]
fn a_namespace_goes_when_its_finalizer_is_taken_away() {
    let store = store();
    let key = Key::cluster("", "namespaces", "n");
    let waiting = store.delete(&key, Propagation::Background).unwrap();
    assert_eq!(text(&waiting, "/status/phase"), "Terminating");
    store.update(&key, |namespace| namespace["spec"]["finalizers"] = json!([])).unwrap();
    assert!(store.get(&key).is_none());
}

#[test]
fn a_pod_keeps_its_grace_until_the_kubelet_ends_it() {
    let store = store();
    let mut sent = pod(&json!({"name": "p", "namespace": "n", "finalizers": ["example.com/f"]}));
    sent["spec"]["terminationGracePeriodSeconds"] = 5.into();
    store.create(sent).unwrap();
    let key = Key::namespaced("", "pods", "n", "p");
    let waiting = store.delete(&key, Propagation::Background).unwrap();
    assert_eq!(waiting["metadata"]["deletionGracePeriodSeconds"], 5);
    store.update(&key, |pod| pod["metadata"]["finalizers"] = json!([])).unwrap();
    assert!(store.get(&key).is_some(), "its containers may still run");
    store.delete_now(&key).unwrap();
    assert!(store.get(&key).is_none());
}

#[test]
fn a_pod_that_has_ended_goes_at_once() {
    let store = store();
    let mut sent = pod(&json!({"name": "p", "namespace": "n"}));
    sent["status"] = json!({"phase": "Succeeded"});
    store.create(sent).unwrap();
    let key = Key::namespaced("", "pods", "n", "p");
    assert!(store.delete_with(&key, &DeleteOptions::default()).unwrap().gone);
}

#[test]
fn what_a_container_printed_is_kept_even_if_it_is_told_after_its_end() {
    let store = store();
    store.create(pod(&json!({"name": "p", "namespace": "n"}))).unwrap();
    store.logs().end("n", "p", "a", 0);
    store.logs().append("n", "p", "a", 0, b"late");
    let lines = store.logs().read("n", "p", "a", 0).unwrap().lines();
    assert_eq!(lines.iter().map(|line| &line.text[..]).collect::<Vec<_>>(), [b"late"]);
}

#[test]
fn only_the_last_two_runs_of_a_container_are_kept() {
    let store = store();
    store.create(pod(&json!({"name": "p", "namespace": "n"}))).unwrap();
    for restart in 0..4 {
        store.logs().append("n", "p", "a", restart, format!("{restart}\n").as_bytes());
    }
    let lines = |restart| store.logs().read("n", "p", "a", restart).unwrap().lines().len();
    assert_eq!([3, 2, 0].map(lines), [1, 1, 0]);
}

#[test]
fn a_deletion_of_another_object_of_that_name_is_refused() {
    let store = store();
    store.create(config_map("c")).unwrap();
    let options = DeleteOptions { uid: Some("another".to_owned()), ..DeleteOptions::default() };
    assert_eq!(store.delete_with(&key("c"), &options).unwrap_err().code, 409);
}

#[test]
fn a_watch_begins_where_it_is_told_to_or_says_that_it_cannot() {
    let store = Store::with(1, 3);
    store.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})).unwrap();
    let start = store.version();
    (0..3).for_each(|index| drop(store.create(config_map(&format!("c{index}"))).unwrap()));
    assert_eq!(store.watch_from("", "configmaps", Some("n"), start).unwrap().backlog.len(), 3);
    store.create(config_map("c3")).unwrap();
    let refused = store.watch_from("", "configmaps", Some("n"), start).unwrap_err();
    assert_eq!(
        (refused.code, refused.message),
        (410, format!("too old resource version: {start} ({})", store.version()))
    );
    assert_eq!(store.watch("", "configmaps", None, Start::Existing).unwrap().backlog.len(), 4);
}

#[test]
fn a_watch_that_is_not_read_is_ended_and_the_others_go_on() {
    let store = store();
    store.create(config_map("c")).unwrap();
    let mut slow = store.watch_from("", "configmaps", None, store.version()).unwrap();
    let mut read = 0;
    let mut fast = store.watch_from("", "configmaps", Some("n"), store.version()).unwrap();
    for index in 0..5000 {
        store.update(&key("c"), |object| object["data"] = json!({"i": index})).unwrap();
        read += usize::from(fast.try_next().is_some());
    }
    assert_eq!(read, 5000);
    let told = std::iter::from_fn(|| slow.try_next()).count();
    assert!((1..5000).contains(&told), "{told}");
}

#[test]
fn a_watch_that_is_dropped_leaves_nothing() {
    let store = store();
    drop(store.watch("", "configmaps", Some("n"), Start::Existing).unwrap());
    drop(store.watch("", "configmaps", None, Start::Existing).unwrap());
    let state = store.lock();
    assert!(state.resource("", "configmaps").unwrap().history.is_unwatched());
}

/// What happens to one of a few objects.
#[derive(Clone, Debug)]
enum Step {
    Create(u8),
    Update(u8, i64),
    Delete(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4u8).prop_map(Step::Create),
        (0..4u8, 0..3i64).prop_map(|(name, value)| Step::Update(name, value)),
        (0..4u8).prop_map(Step::Delete),
    ]
}

fn take(store: &Store, step: &Step) {
    // What can't be done is refused, and changes nothing.
    match step {
        Step::Create(name) => drop(store.create(config_map(&format!("c{name}")))),
        Step::Update(name, value) => {
            drop(store.update(&key(&format!("c{name}")), |object| object["data"] = json!({"v": value})));
        }
        Step::Delete(name) => drop(store.delete(&key(&format!("c{name}")), Propagation::Background)),
    }
}

proptest! {
    #[test]
    fn who_follows_the_changes_knows_what_is_there(before in prop::collection::vec(step(), 0..20), after in prop::collection::vec(step(), 0..60)) {
        let store = store();
        for step in &before {
            take(&store, step);
        }
        let (listed, version) = store.list("", "configmaps", Some("n"));
        let mut known: HashMap<String, Json> =
            listed.iter().map(|object| (text(object, "/metadata/name").to_owned(), Json::clone(object))).collect();
        let mut changes = store.changes();
        for step in &after {
            take(&store, step);
        }
        let mut watch = store.watch_from("", "configmaps", Some("n"), version).unwrap();
        let mut last = version;
        while let Some(change) = watch.try_next() {
            prop_assert!(change.resource_version > last);
            last = change.resource_version;
            prop_assert_eq!(changes.try_next().map(|change| change.resource_version), Some(last));
            let name = text(&change.object, "/metadata/name").to_owned();
            let previous = match change.event {
                Event::Deleted => known.remove(&name),
                _ => known.insert(name, Json::clone(&change.object)),
            };
            prop_assert_eq!(previous.is_some(), change.event != Event::Added);
            prop_assert_eq!(previous.as_ref(), change.previous.as_deref());
        }
        prop_assert!(changes.try_next().is_none());
        let now: HashMap<String, Json> = store.list("", "configmaps", None).0.iter()
            .map(|object| (text(object, "/metadata/name").to_owned(), Json::clone(object))).collect();
        prop_assert_eq!(known, now);
    }
}
