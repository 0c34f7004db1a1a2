//! kube's own clients and watchers.

use std::collections::BTreeSet;
use std::time::Duration;

use example_validator::simulator::store::{Key, Propagation};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, PropagationPolicy,
    WatchEvent, WatchParams,
};
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use serde_json::{Value as Json, json};

use super::{client, config_map, definition, namespace, simulator};

fn things(client: Client, version: &str) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "example.com".into(),
        version: version.into(),
        api_version: format!("example.com/{version}"),
        kind: "Thing".into(),
        plural: "things".into(),
    };
    Api::namespaced_with(client, "n", &resource)
}

fn thing(spec: &Json) -> DynamicObject {
    serde_json::from_value(
        json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec}),
    )
    .unwrap()
}

fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_custom_kind_is_served_as_soon_as_it_is_defined() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    let api = things(client(&simulator), "v1");
    assert_eq!(code(&api.list(&ListParams::default()).await.unwrap_err()), 404);
    simulator.store().create(definition()).unwrap();
    let created = api.create(&PostParams::default(), &thing(&json!({"size": 1}))).await.unwrap();
    assert_eq!(created.data["spec"], json!({"size": 1, "color": "red"}));
    let old = things(client(&simulator), "v1beta1").get("t").await.unwrap();
    assert_eq!(old.types.unwrap().api_version, "example.com/v1beta1");
    let refused = api.create(&PostParams::default(), &thing(&json!({"size": 0}))).await.unwrap_err();
    assert_eq!(code(&refused), 422);
    simulator
        .store()
        .delete(
            &Key::cluster("apiextensions.k8s.io", "customresourcedefinitions", "things.example.com"),
            Propagation::default(),
        )
        .unwrap();
    assert_eq!(code(&api.get("t").await.unwrap_err()), 404);
}

#[tokio::test]
async fn status_is_written_through_its_subresource_alone() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    simulator.store().create(definition()).unwrap();
    let api = things(client(&simulator), "v1");
    let mut sent = thing(&json!({"size": 1}));
    sent.data["status"] = json!({"phase": "Done"});
    let created = api.create(&PostParams::default(), &sent).await.unwrap();
    assert_eq!(created.data.get("status"), None);
    let patch = Patch::Merge(json!({"spec": {"size": 9}, "status": {"phase": "Done"}}));
    let patched = api.patch_status("t", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!((&patched.data["spec"]["size"], &patched.data["status"]["phase"]), (&json!(1), &json!("Done")));
    assert_eq!(patched.metadata.generation, Some(1));
    let patched = api
        .patch("t", &PatchParams::default(), &Patch::Merge(json!({"spec": {"size": 2}, "status": null})))
        .await
        .unwrap();
    assert_eq!(patched.data["status"]["phase"], "Done");
    assert_eq!(patched.metadata.generation, Some(2));
}

#[tokio::test]
async fn a_write_with_an_old_version_is_a_conflict() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    simulator.store().create(config_map("n", "c")).unwrap();
    let api: Api<ConfigMap> = Api::namespaced(client(&simulator), "n");
    let first = api.get("c").await.unwrap();
    let mut changed = first.clone();
    changed.data.as_mut().unwrap().insert("a".into(), "c".into());
    let written = api.replace("c", &PostParams::default(), &changed).await.unwrap();
    assert_ne!(written.resource_version(), first.resource_version());
    let refused = api.replace("c", &PostParams::default(), &changed).await.unwrap_err();
    assert_eq!(code(&refused), 409);
    let same = api.replace("c", &PostParams::default(), &written).await.unwrap();
    assert_eq!(same.resource_version(), written.resource_version());
}

#[tokio::test]
async fn dry_runs_leave_nothing() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    let api: Api<ConfigMap> = Api::namespaced(client(&simulator), "n");
    let object: ConfigMap = serde_json::from_value(config_map("n", "c")).unwrap();
    let version = simulator.store().version();
    api.create(&PostParams { dry_run: true, ..PostParams::default() }, &object).await.unwrap();
    let params = PatchParams::apply("me").dry_run();
    api.patch("c", &params, &Patch::Apply(&object)).await.unwrap();
    assert_eq!(simulator.store().version(), version);
}

#[tokio::test]
async fn many_appliers_of_one_object_all_come_through() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    let api: Api<ConfigMap> = Api::namespaced(client(&simulator), "n");
    let applied = (0..40).map(|index| {
        let api = api.clone();
        tokio::spawn(async move {
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {format!("k{index}"): "v"}});
            api.patch("c", &PatchParams::apply(&format!("manager-{index}")), &Patch::Apply(object)).await.unwrap();
        })
    });
    futures::future::join_all(applied).await.into_iter().for_each(|done| done.unwrap());
    assert_eq!(api.get("c").await.unwrap().data.unwrap().len(), 40);
}

#[tokio::test]
async fn lists_come_in_pages_that_hold_every_object_once() {
    let simulator = simulator().await;
    for place in ["n", "n-1", "n0"] {
        namespace(&simulator, place).await;
        (0..10).for_each(|index| drop(simulator.store().create(config_map(place, &format!("c{index}"))).unwrap()));
    }
    let api: Api<ConfigMap> = Api::all(client(&simulator));
    let (mut seen, mut params) = (Vec::new(), ListParams::default().limit(7));
    loop {
        let page = api.list(&params).await.unwrap();
        seen.extend(page.items.iter().map(|one| (one.namespace(), one.name_any())));
        let Some(token) = page.metadata.continue_.filter(|token| !token.is_empty()) else { break };
        params = params.continue_token(&token);
    }
    let all = simulator.store().list("", "configmaps", None).0.len();
    assert!(all >= 30);
    assert_eq!((seen.len(), seen.iter().collect::<BTreeSet<_>>().len()), (all, all));
}

#[tokio::test]
async fn a_watch_tells_what_enters_and_leaves_its_selection() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    let store = simulator.store().clone();
    store.create(config_map("n", "c")).unwrap();
    let api: Api<ConfigMap> = Api::namespaced(client(&simulator), "n");
    let params = WatchParams::default().labels("x=1").timeout(20);
    let mut events = api.watch(&params, &store.version().to_string()).await.unwrap().boxed();
    let key = Key::namespaced("", "configmaps", "n", "c");
    for label in ["1", "1", "2"] {
        store.update(&key, |object| object["metadata"]["labels"] = json!({"x": label})).unwrap();
        store.update(&key, |object| object["data"]["again"] = label.into()).unwrap();
    }
    let mut told = Vec::new();
    while told.len() < 3 {
        match events.try_next().await.unwrap().unwrap() {
            WatchEvent::Added(_) => told.push("added"),
            WatchEvent::Modified(_) => told.push("modified"),
            WatchEvent::Deleted(_) => told.push("deleted"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, ["added", "modified", "deleted"]);
}

#[tokio::test]
async fn a_watch_from_a_forgotten_version_is_told_so() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    let store = simulator.store();
    let before = store.version().to_string();
    store.create(config_map("n", "c")).unwrap();
    store.compact();
    let api: Api<ConfigMap> = Api::namespaced(client(&simulator), "n");
    let mut events = api.watch(&WatchParams::default(), &before).await.unwrap().boxed();
    let Some(WatchEvent::Error(status)) = events.try_next().await.unwrap() else { panic!("an event of another kind") };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
}

#[tokio::test]
async fn a_watch_with_bookmarks_can_be_resumed_where_it_was() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    namespace(&simulator, "other").await;
    let store = simulator.store();
    let api: Api<ConfigMap> = Api::namespaced(client(&simulator), "n");
    let params = WatchParams::default().timeout(20);
    let mut events = api.watch(&params, &store.version().to_string()).await.unwrap().boxed();
    store.create(config_map("other", "c")).unwrap();
    let expected = store.version().to_string();
    let bookmark = tokio::time::timeout(Duration::from_secs(15), events.try_next()).await.unwrap().unwrap();
    let Some(WatchEvent::Bookmark(bookmark)) = bookmark else { panic!("{bookmark:?}") };
    assert_eq!(bookmark.metadata.resource_version, expected);
}

/// Runs a watcher until it has seen `wanted` names.
async fn watched(api: Api<ConfigMap>, config: watcher::Config, wanted: usize) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut events = watcher(api, config).boxed();
    let all = async {
        while seen.len() < wanted {
            if let Some(Ok(watcher::Event::Apply(one) | watcher::Event::InitApply(one))) = events.next().await {
                seen.insert(one.name_any());
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_see_every_object_by_lists_and_by_streams() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    let store = simulator.store().clone();
    (0..20).for_each(|index| drop(store.create(config_map("n", &format!("early{index}"))).unwrap()));
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let api: Api<ConfigMap> = Api::namespaced(client(&simulator), "n");
        let before = store.list("", "configmaps", Some("n")).0.len();
        let watching = tokio::spawn(watched(api, config, before + 20));
        for index in 0..20 {
            store.create(config_map("n", &format!("late-{before}-{index}"))).unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(watching.await.unwrap().len(), before + 20);
    }
}

#[tokio::test]
async fn deletions_say_whether_something_still_holds_the_object() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    let store = simulator.store();
    let mut held = config_map("n", "held");
    held["metadata"]["finalizers"] = json!(["example.com/f"]);
    store.create(held).unwrap();
    store.create(config_map("n", "free")).unwrap();
    let api: Api<ConfigMap> = Api::namespaced(client(&simulator), "n");
    assert!(api.delete("free", &DeleteParams::default()).await.unwrap().is_right());
    let waiting = api.delete("held", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert!(waiting.metadata.deletion_timestamp.is_some());
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("held", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(code(&api.get("held").await.unwrap_err()), 404);
}

#[tokio::test]
async fn a_foreground_deletion_waits_with_its_finalizer() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    // A ConfigMap, since what owns nothing but is of a kind with controllers may go at once.
    simulator.store().create(config_map("n", "c")).unwrap();
    let key = Key::namespaced("", "configmaps", "n", "c");
    let object = simulator.store().delete(&key, Propagation::Foreground).unwrap();
    assert_eq!(object["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let params = DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..DeleteParams::default() };
    let api: Api<Namespace> = Api::all(client(&simulator));
    let deleted = api.delete("n", &params).await.unwrap().left().unwrap();
    assert_eq!(deleted.status.unwrap().phase.as_deref(), Some("Terminating"));
}

#[tokio::test]
async fn collections_are_deleted_by_selector() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    for (name, label) in [("a", "1"), ("b", "1"), ("c", "2")] {
        let mut object = config_map("n", name);
        object["metadata"]["labels"] = json!({"x": label});
        simulator.store().create(object).unwrap();
    }
    let api: Api<ConfigMap> = Api::namespaced(client(&simulator), "n");
    api.delete_collection(&DeleteParams::default(), &ListParams::default().labels("x in (1)")).await.unwrap();
    let left: Vec<_> = api.list(&ListParams::default()).await.unwrap().into_iter().map(|one| one.name_any()).collect();
    assert!(left.contains(&"c".to_owned()) && !left.contains(&"a".to_owned()), "{left:?}");
}

#[tokio::test]
async fn the_template_of_a_job_stays_as_it_is() {
    let simulator = simulator().await;
    namespace(&simulator, "n").await;
    let api: Api<Job> = Api::namespaced(client(&simulator), "n");
    let job = |image: &str| {
        json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "spec": {"suspend": true, "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": image}]}}},
        })
    };
    let params = PatchParams::apply("me").force();
    api.patch("j", &params, &Patch::Apply(job("x"))).await.unwrap();
    api.patch("j", &params, &Patch::Apply(job("x"))).await.unwrap();
    let refused = api.patch("j", &params, &Patch::Apply(job("y"))).await.unwrap_err();
    assert_eq!(code(&refused), 422);
    api.patch("j", &PatchParams::default(), &Patch::Strategic(json!({"spec": {"parallelism": 0}}))).await.unwrap();
}
