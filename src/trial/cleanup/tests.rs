use std::time::Duration;

use serde_json::{Value as Json, json};
use wiremock::matchers::{body_partial_json, body_string_contains, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::trial::apply::tests::{client, server, status};
use crate::trial::isolate::isolate;
use crate::trial::isolate::tests::{example, identity};
use crate::trial::isolate::{MANAGED_BY, Scopes};

const EV: &str = "ev-a-1";

fn patience(force: bool) -> Patience {
    Patience { wait: Duration::from_millis(150), force: force.then_some(Duration::from_millis(600)), spares: false }
}

fn target(server: &MockServer) -> Target {
    let limits = Limits { transient: Duration::from_millis(300), lagging: Duration::ZERO };
    Target { limits, ..Target::new(client(server)) }
}

fn traces(objects: Vec<Trace>) -> Traces {
    Traces { run: "42".to_owned(), namespace: EV.to_owned(), objects }
}

fn metadata(name: &str, run: &str) -> Json {
    json!({"name": name, "uid": "u1", "labels": {RUN: run, MANAGED_BY: "example-validator"}, "annotations": {NAMESPACE: EV}})
}

fn ok(body: &Json) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn gone() -> ResponseTemplate {
    ResponseTemplate::new(404).set_body_json(status(404, "NotFound", "not found"))
}

fn namespace_path() -> String {
    format!("/api/v1/namespaces/{EV}")
}

async fn deletable(server: &MockServer, at: &str, times: u64) {
    let deleted =
        Mock::given(method("DELETE")).and(path(at)).and(body_partial_json(json!({"preconditions": {"uid": "u1"}})));
    deleted.respond_with(ok(&json!({"kind": "Status"}))).expect(times).mount(server).await;
}

async fn pods_can_be_hurried(server: &MockServer) {
    let pods = Mock::given(method("DELETE")).and(path(format!("{}/pods", namespace_path())));
    pods.respond_with(ok(&json!({"kind": "PodList", "items": []}))).mount(server).await;
}

#[tokio::test]
async fn a_namespace_is_deleted_and_awaited() {
    let server = server().await;
    deletable(&server, &namespace_path(), 1).await;
    pods_can_be_hurried(&server).await;
    let there = ok(&json!({"metadata": metadata(EV, "42")}));
    Mock::given(method("GET")).and(path(namespace_path())).respond_with(there).up_to_n_times(2).mount(&server).await;
    Mock::given(method("GET")).and(path(namespace_path())).respond_with(gone()).mount(&server).await;
    let removed = remove(&target(&server), &traces(Vec::new()), Patience::on("kind")).await;
    assert_eq!(removed, Removed { gone: vec![format!("Namespace/{EV}")], ..Removed::default() });
}

#[tokio::test]
async fn a_namespace_that_is_not_ours_is_left_as_it_is() {
    let server = server().await;
    let foreign = ok(&json!({"metadata": {"name": EV, "uid": "u1"}}));
    Mock::given(method("GET")).and(path(namespace_path())).respond_with(foreign).mount(&server).await;
    deletable(&server, &namespace_path(), 0).await;
    let removed = remove(&target(&server), &traces(Vec::new()), patience(true)).await;
    assert_eq!(removed.warnings, [format!("the namespace {EV} is not ours: it is left as it is")]);
}

/// A namespace that holds a pod and a Job, of which both are seen so many times.
async fn stuck(server: &MockServer, times: u64) {
    stuck_by(server, times, "a.b/c").await;
}

/// The same, by this finalizer.
async fn stuck_by(server: &MockServer, times: u64, finalizer: &str) {
    let mut metadata = metadata(EV, "42");
    metadata["deletionTimestamp"] = json!("2026-11-23T16:21:08Z");
    let there = ok(&json!({"kind": "Namespace", "metadata": metadata, "spec": {"finalizers": ["kubernetes"]}}));
    Mock::given(method("GET")).and(path(namespace_path())).respond_with(there).mount(server).await;
    deletable(server, &namespace_path(), 1).await;
    pods_can_be_hurried(server).await;
    let pods = json!({"items": [{"metadata": {"name": "alive"}}]});
    Mock::given(method("GET"))
        .and(path(format!("{}/pods", namespace_path())))
        .respond_with(ok(&pods))
        .up_to_n_times(times)
        .mount(server)
        .await;
    let held = json!({"items": [{"metadata": {"name": "j", "deletionTimestamp": "2026-11-23T16:21:08Z", "finalizers": [finalizer]}}]});
    let jobs = format!("/apis/batch/v1/namespaces/{EV}/jobs");
    Mock::given(method("GET")).and(path(&jobs)).respond_with(ok(&held)).up_to_n_times(times).mount(server).await;
    for at in [format!("{}/pods", namespace_path()), jobs] {
        Mock::given(method("GET")).and(path(at)).respond_with(ok(&json!({"items": []}))).mount(server).await;
    }
}

#[tokio::test]
async fn what_is_stuck_is_told_with_what_it_waits_for() {
    let server = server().await;
    stuck(&server, 99).await;
    let removed = remove(&target(&server), &traces(Vec::new()), patience(false)).await;
    assert_eq!(
        removed.warnings,
        [format!(
            "Namespace/{EV} is not gone: Job/j in it waits for the finalizer a.b/c; if nobody is left to do that: \
             kubectl patch -n {EV} jobs.batch j --type=merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'"
        )]
    );
    assert_eq!(removed.left, [format!("Namespace/{EV}")]);
    let requests = server.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| !["PATCH", "PUT"].contains(&request.method.as_str())));
}

#[test]
fn what_hangs_outside_of_a_cluster_that_is_not_ours_is_left() {
    let leaves = |provider, kind, finalizer: &str| Patience::on(provider).leaves(kind, &[finalizer.to_owned()]);
    for (kind, finalizer, left) in [
        ("Service", "service.kubernetes.io/load-balancer-cleanup", true),
        ("Service", "service.k8s.aws/resources", true),
        ("Ingress", "networking.gke.io/ingress-finalizer-V2", true),
        ("PersistentVolume", "kubernetes.io/pv-protection", true),
        ("Widget", "training.example.com/cleanup", false),
        ("Job", "foregroundDeletion", false),
    ] {
        assert_eq!(leaves("existing", kind, finalizer), left, "{finalizer}");
        assert!(!leaves("kind", kind, finalizer) && !leaves("simulated", kind, finalizer), "{finalizer}");
    }
}

#[tokio::test]
async fn a_load_balancer_is_waited_for_and_never_forced_where_it_may_be_real() {
    let server = server().await;
    stuck_by(&server, 99, "service.kubernetes.io/load-balancer-cleanup").await;
    let patience = Patience { spares: true, ..patience(true) };
    let removed = remove(&target(&server), &traces(Vec::new()), patience).await;
    assert_eq!(removed.left, [format!("Namespace/{EV}")]);
    assert!(
        removed.warnings[0].contains("load-balancer-cleanup; if nobody is left to do that: kubectl patch"),
        "{removed:?}"
    );
    let requests = server.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| !["PATCH", "PUT"].contains(&request.method.as_str())));
}

#[tokio::test]
async fn at_the_end_it_is_told_who_holds_what_is_still_being_deleted() {
    let server = server().await;
    stuck(&server, 99).await;
    let janitor = crate::trial::janitor::Janitor::new(target(&server), Patience::on("existing"));
    janitor.take(Some(traces(Vec::new())), false).await;
    let removed = janitor.finish(Duration::from_secs(15)).await;
    assert_eq!(removed.left, [format!("Namespace/{EV}")]);
    assert!(removed.warnings[0].contains("Job/j in it waits for the finalizer a.b/c"), "{:?}", removed.warnings);
}

#[tokio::test]
async fn what_is_stuck_is_forced_in_the_end() {
    let server = server().await;
    stuck(&server, 2).await;
    let job = Mock::given(method("PATCH")).and(path(format!("/apis/batch/v1/namespaces/{EV}/jobs/j")));
    let freed = job.and(body_partial_json(json!({"metadata": {"finalizers": null}})));
    freed.respond_with(ok(&json!({}))).expect(1).mount(&server).await;
    let finalized = Mock::given(method("PUT")).and(path(format!("{}/finalize", namespace_path())));
    let finalized = finalized.and(body_string_contains("\"finalizers\":[]"));
    finalized.respond_with(ok(&json!({}))).expect(1).mount(&server).await;
    let removed = remove(&target(&server), &traces(Vec::new()), patience(true)).await;
    assert!(removed.warnings.iter().any(|text| text.contains("Job/j in ev-a-1 was forced")), "{:?}", removed.warnings);
    assert!(removed.warnings.iter().any(|text| text.contains("it was finalized")), "{:?}", removed.warnings);
}

#[tokio::test]
async fn a_namespace_that_still_holds_something_is_not_let_go() {
    let server = server().await;
    stuck(&server, 99).await;
    let job = Mock::given(method("PATCH")).and(path(format!("/apis/batch/v1/namespaces/{EV}/jobs/j")));
    job.respond_with(ok(&json!({}))).mount(&server).await;
    let finalized = Mock::given(method("PUT")).and(path(format!("{}/finalize", namespace_path())));
    finalized.respond_with(ok(&json!({}))).expect(0).mount(&server).await;
    let removed = remove(&target(&server), &traces(Vec::new()), patience(true)).await;
    assert_eq!(removed.left, [format!("Namespace/{EV}")]);
}

fn volume(name: Option<&str>) -> Trace {
    Trace { api_version: "v1".to_owned(), kind: "PersistentVolume".to_owned(), name: name.map(str::to_owned) }
}

#[tokio::test]
async fn of_the_cluster_s_own_only_what_the_attempt_made_is_deleted() {
    let server = server().await;
    Mock::given(method("GET")).and(path(namespace_path())).respond_with(gone()).mount(&server).await;
    for (name, found) in [
        ("mine", metadata("mine", "42")),
        ("other-run", metadata("other-run", "41")),
        ("foreign", json!({"name": "foreign"})),
    ] {
        let at = format!("/api/v1/persistentvolumes/{name}");
        let there =
            Mock::given(method("GET")).and(path(&at)).respond_with(ok(&json!({"metadata": found}))).up_to_n_times(1);
        there.mount(&server).await;
        Mock::given(method("GET")).and(path(&at)).respond_with(gone()).mount(&server).await;
        deletable(&server, &at, u64::from(name == "mine")).await;
    }
    let names = ["mine", "other-run", "foreign"].map(|name| volume(Some(name)));
    let removed = remove(&target(&server), &traces(names.to_vec()), patience(false)).await;
    assert_eq!(removed, Removed { gone: vec!["PersistentVolume/mine".to_owned()], ..Removed::default() });
}

#[tokio::test]
async fn a_deletion_that_is_refused_is_a_warning() {
    let server = server().await;
    let there = ok(&json!({"metadata": metadata(EV, "42")}));
    Mock::given(method("GET")).and(path(namespace_path())).respond_with(there).mount(&server).await;
    let denied =
        ResponseTemplate::new(403).set_body_json(status(403, "Forbidden", "User \"x\" cannot delete resource"));
    Mock::given(method("DELETE")).respond_with(denied).mount(&server).await;
    let removed = remove(&target(&server), &traces(Vec::new()), patience(true)).await;
    assert_eq!(removed.left, [format!("Namespace/{EV}")]);
    assert!(
        removed.warnings[0].contains("could not be deleted") && removed.warnings[0].contains("cannot delete"),
        "{:?}",
        removed.warnings
    );
}

#[tokio::test]
async fn leftovers_are_found_by_their_labels_and_annotations() {
    let server = server().await;
    let mut copied = metadata("ev-copied", "42");
    copied["annotations"] = json!({});
    let mut ours = metadata(EV, "42");
    ours["annotations"]["example-validator.dev/example"] = json!("a.yaml");
    ours["creationTimestamp"] = json!("2026-11-23T16:21:08Z");
    let namespaces = json!({"items": [{"metadata": ours}, {"metadata": copied}]});
    let volumes = json!({"items": [{"metadata": metadata("v", "42")}]});
    for (plural, items) in [("namespaces", &namespaces), ("persistentvolumes", &volumes)] {
        let listed = Mock::given(method("GET")).and(path(format!("/api/v1/{plural}")));
        listed
            .and(query_param("labelSelector", "example-validator.dev/run=42"))
            .respond_with(ok(items))
            .mount(&server)
            .await;
    }
    let found = leftovers(&target(&server), Some("42")).await.unwrap();
    let names: Vec<_> = found.iter().map(Leftover::reference).collect();
    assert_eq!(names, [format!("Namespace/{EV}"), "PersistentVolume/v".to_owned()]);
    assert_eq!((found[0].run.as_str(), found[0].example.as_str()), ("42", "a.yaml"));
    assert!(found[0].created.is_some());
}

#[test]
fn traces_are_what_an_attempt_may_have_made_without_crds() {
    let text = "{apiVersion: v1, kind: PersistentVolume, metadata: {name: v}}\n---\n{apiVersion: v1, kind: PersistentVolume, metadata: {generateName: g-}}\n---\n\
        {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: c}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: p}}\n";
    let example = example("a.yaml", text);
    let mut scopes = Scopes::default();
    scopes.insert("v1", "PersistentVolume", false);
    let isolated = isolate(&example, &[], &identity(&example), &scopes).unwrap();
    let found = Traces::of(&isolated);
    let volumes: Vec<_> = found.objects.iter().filter(|trace| trace.kind == "PersistentVolume").cloned().collect();
    assert_eq!(volumes, [volume(Some("v")), volume(None)]);
    assert!(found.objects.iter().all(|trace| trace.kind != "CustomResourceDefinition"));
    assert_eq!((found.run.as_str(), found.namespace), ("42", isolated.namespace));
}

#[tokio::test]
async fn removals_and_applies_can_be_spawned() {
    fn is_send<T: Send>(_: &T) {}
    let server = server().await;
    let (target, traces) = (target(&server), traces(Vec::new()));
    is_send(&remove(&target, &traces, patience(true)));
    let example = example("a.yaml", "");
    let isolated = isolate(&example, &[], &identity(&example), &Scopes::default()).unwrap();
    is_send(&crate::trial::apply::apply(&target, &isolated));
}
