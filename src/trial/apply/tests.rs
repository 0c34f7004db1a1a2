use std::time::Duration;

use kube::{Client, Config};
use serde_json::{Value as Json, json};
use wiremock::matchers::{body_partial_json, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::catalog::Example;
use crate::model::{CauseClass, Outcome};
use crate::trial::isolate::tests::{example, identity};
use crate::trial::isolate::{RUN, Scopes, isolate};

/// A client of a loopback server, without the client's own retries.
pub(crate) fn client(server: &MockServer) -> Client {
    let mut config = Config::new(server.uri().parse().unwrap());
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

fn resource(plural: &str, kind: &str, namespaced: bool) -> Json {
    json!({"name": plural, "singularName": "", "namespaced": namespaced, "kind": kind,
        "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"]})
}

fn answer(code: u16, body: &Json) -> ResponseTemplate {
    ResponseTemplate::new(code).set_body_json(body)
}

pub(crate) fn status(code: u16, reason: &str, message: &str) -> Json {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code})
}

/// An API server that serves a few kinds, and takes every namespace.
pub(crate) async fn server() -> MockServer {
    let server = MockServer::start().await;
    for (at, group_version, resources) in [
        (
            "/api/v1",
            "v1",
            json!([
                resource("pods", "Pod", true),
                resource("services", "Service", true),
                resource("namespaces", "Namespace", false),
                resource("persistentvolumes", "PersistentVolume", false)
            ]),
        ),
        ("/apis/batch/v1", "batch/v1", json!([resource("jobs", "Job", true)])),
        ("/apis/kubeflow.org/v1", "kubeflow.org/v1", json!([resource("pytorchjobs", "PyTorchJob", true)])),
    ] {
        let list = json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": resources});
        Mock::given(path(at)).respond_with(answer(200, &list)).mount(&server).await;
    }
    let groups = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [
        {"name": "batch", "versions": [{"groupVersion": "batch/v1", "version": "v1"}],
            "preferredVersion": {"groupVersion": "batch/v1", "version": "v1"}}]});
    Mock::given(path("/apis")).respond_with(answer(200, &groups)).mount(&server).await;
    let created = Mock::given(method("POST")).and(path("/api/v1/namespaces"));
    created.respond_with(answer(201, &json!({"kind": "Namespace"}))).mount(&server).await;
    server
}

/// The `default` ServiceAccount is there.
async fn account(server: &MockServer, namespace: &str) {
    let at = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default");
    Mock::given(method("GET"))
        .and(path(at))
        .respond_with(answer(200, &json!({"kind": "ServiceAccount"})))
        .mount(server)
        .await;
}

fn limits() -> Limits {
    Limits { transient: Duration::from_secs(2), lagging: Duration::from_millis(200) }
}

async fn run(server: &MockServer, example: &Example) -> Result<Applied, Box<Refused>> {
    let mut scopes = Scopes::default();
    scopes.insert("v1", "PersistentVolume", false);
    let isolated = isolate(example, &[], &identity(example), &scopes).unwrap();
    let target = Target { limits: limits(), ..Target::new(client(server)) };
    apply(&target, &isolated).await
}

fn namespace(example: &Example) -> String {
    identity(example).namespace()
}

const JOB: &str = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: a\nspec:\n  suspend: true\n";
const TORCH: &str = "apiVersion: kubeflow.org/v1\nkind: PyTorchJob\nmetadata: {name: a}\nspec:\n  pytorchReplicaSpecs:\n    Master:\n      \
    template:\n        spec:\n          containers:\n          - name: other\n";

fn job_path(example: &Example, kind: &str) -> String {
    let namespace = namespace(example);
    match kind {
        "PyTorchJob" => format!("/apis/kubeflow.org/v1/namespaces/{namespace}/pytorchjobs/a"),
        _ => format!("/apis/batch/v1/namespaces/{namespace}/jobs/a"),
    }
}

#[tokio::test]
async fn a_job_is_applied_once_its_namespace_has_a_service_account() {
    let (server, example) = (server().await, example("a.yaml", JOB));
    let account_path = format!("/api/v1/namespaces/{}/serviceaccounts/default", namespace(&example));
    let missing = answer(404, &status(404, "NotFound", "serviceaccounts \"default\" not found"));
    Mock::given(path(account_path)).respond_with(missing).up_to_n_times(2).mount(&server).await;
    account(&server, &namespace(&example)).await;
    let made = json!({"kind": "Job", "metadata": {"name": "a", "uid": "u1", "managedFields": []}});
    Mock::given(method("PATCH"))
        .and(path(job_path(&example, "Job")))
        .and(query_param("fieldManager", "example-validator"))
        .and(query_param("fieldValidation", "Strict"))
        .and(query_param("force", "true"))
        .and(body_partial_json(
            json!({"metadata": {"namespace": namespace(&example), "labels": {RUN: "42"}}, "spec": {"suspend": true}}),
        ))
        .respond_with(answer(201, &made))
        .expect(1)
        .mount(&server)
        .await;
    let applied = run(&server, &example).await.unwrap();
    let job = &applied.objects[0];
    assert_eq!((job.name.as_str(), job.uid.as_str(), job.resource.plural.as_str()), ("a", "u1", "jobs"));
    assert_eq!((job.indices.as_slice(), job.ours, job.namespaced), ([0].as_slice(), true, true));
    assert_eq!(job.object["metadata"].get("managedFields"), None);
}

#[tokio::test]
async fn a_webhook_that_denies_fails_the_example_at_the_line_of_its_field() {
    let (server, example) = (server().await, example("a.yaml", TORCH));
    account(&server, &namespace(&example)).await;
    let message = "admission webhook \"validator.pytorchjob.training-operator.kubeflow.org\" denied the request: \
        spec.pytorchReplicaSpecs[Master].template.spec.containers: Required value: must have at least one container with name pytorch";
    let denied = answer(403, &status(403, "Forbidden", message));
    Mock::given(path(job_path(&example, "PyTorchJob"))).respond_with(denied).expect(1).mount(&server).await;
    let refused = run(&server, &example).await.unwrap_err();
    assert!(refused.is_rejection());
    let cause = refused.cause;
    assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Admission, "Forbidden"));
    assert_eq!((cause.file.as_str(), cause.line, cause.object.as_str()), ("a.yaml", 9, "PyTorchJob/a"));
    assert!(cause.message.contains("must have at least one container with name pytorch"));
}

#[tokio::test]
async fn a_webhook_that_can_t_be_reached_is_the_operator_s_fault_once_the_time_is_up() {
    let (server, example) = (server().await, example("a.yaml", TORCH));
    account(&server, &namespace(&example)).await;
    let message = "Internal error occurred: failed calling webhook \"v.rec.test\": failed to call webhook: Post \
        \"https://hook.dryrun.svc:443/v?timeout=10s\": dial tcp 10.96.94.89:443: connect: connection refused";
    let down = answer(500, &status(500, "InternalError", message));
    Mock::given(path(job_path(&example, "PyTorchJob"))).respond_with(down).expect(2..).mount(&server).await;
    let refused = run(&server, &example).await.unwrap_err();
    assert_eq!((refused.outcome, refused.cause.class), (Outcome::Errored, CauseClass::Operator));
    assert_eq!(refused.cause.reason, "WebhookUnreachable");
    assert!(!refused.cause.hint.is_empty());
}

#[tokio::test]
async fn an_unknown_field_is_refused_at_once_though_the_answer_is_500() {
    let (server, example) = (server().await, example("a.yaml", TORCH));
    account(&server, &namespace(&example)).await;
    let message = "failed to create typed patch object (/a; kubeflow.org/v1, Kind=PyTorchJob): .spec.pytorchReplicaSpecs.Master.template: field not declared in schema";
    let mut body = status(500, "", message);
    body.as_object_mut().unwrap().remove("reason");
    Mock::given(path(job_path(&example, "PyTorchJob"))).respond_with(answer(500, &body)).expect(1).mount(&server).await;
    let refused = run(&server, &example).await.unwrap_err();
    assert_eq!(
        (refused.outcome, refused.cause.reason.as_str(), refused.cause.line),
        (Outcome::Failed, "UnknownField", 7)
    );
}

#[tokio::test]
async fn a_port_that_the_example_itself_has_taken_is_its_own_failure_and_any_other_not() {
    let service = |name: &str, port: u32| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  ports:\n  - {{port: 80, nodePort: {port}}}\n---\n"
        )
    };
    for (second, outcome, class) in
        [(30080, Outcome::Failed, CauseClass::Admission), (30081, Outcome::Errored, CauseClass::Cluster)]
    {
        let (server, example) = (server().await, example("a.yaml", &(service("a", 30080) + &service("b", second))));
        account(&server, &namespace(&example)).await;
        let services = format!("/api/v1/namespaces/{}/services", namespace(&example));
        let made = json!({"kind": "Service", "metadata": {"name": "a", "uid": "u1"}});
        Mock::given(path(format!("{services}/a"))).respond_with(answer(200, &made)).mount(&server).await;
        let message = "Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated";
        let taken = answer(422, &status(422, "Invalid", message));
        Mock::given(path(format!("{services}/b"))).respond_with(taken).mount(&server).await;
        let refused = run(&server, &example).await.unwrap_err();
        assert_eq!((refused.outcome, refused.cause.class), (outcome, class), "{refused:?}");
        if outcome == Outcome::Failed {
            assert_eq!(refused.cause.line, 13, "{refused:?}");
        }
    }
}

#[tokio::test]
async fn a_kind_that_is_not_served_says_what_is_missing() {
    let (server, example) =
        (server().await, example("a.yaml", "apiVersion: batch/v2\nkind: Job\nmetadata: {name: a}\n"));
    account(&server, &namespace(&example)).await;
    let refused = run(&server, &example).await.unwrap_err();
    assert_eq!((refused.outcome, refused.cause.line), (Outcome::Failed, 1));
    assert_eq!(refused.cause.message, "no matches for kind `Job` in version `batch/v2`");
    assert!(refused.cause.hint.contains("in v1"), "{}", refused.cause.hint);
}

#[tokio::test]
async fn a_name_of_the_server_s_choice_is_asked_for_and_not_twice_if_an_answer_was_lost() {
    let (server, example) =
        (server().await, example("a.yaml", "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: a-}\n"));
    account(&server, &namespace(&example)).await;
    let at = format!("/apis/batch/v1/namespaces/{}/jobs", namespace(&example));
    let lost = ResponseTemplate::new(502).set_body_string("bad gateway");
    Mock::given(method("POST")).and(path(&at)).respond_with(lost).expect(1).mount(&server).await;
    let made = json!({"kind": "JobList", "items": [{"kind": "Job", "metadata": {"name": "a-x7f2q", "uid": "u"}}]});
    Mock::given(method("GET")).and(path(&at)).respond_with(answer(200, &made)).expect(1).mount(&server).await;
    let applied = run(&server, &example).await.unwrap();
    assert_eq!(applied.objects[0].name, "a-x7f2q");
}

const VOLUME: &str = "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: shared}\n";

async fn volume(server: &MockServer, found: Json) {
    let there = answer(409, &status(409, "AlreadyExists", "persistentvolumes \"shared\" already exists"));
    let create = Mock::given(method("POST"))
        .and(path("/api/v1/persistentvolumes"))
        .and(query_param("fieldValidation", "Strict"));
    create.respond_with(there).mount(server).await;
    let at = path("/api/v1/persistentvolumes/shared");
    Mock::given(method("GET")).and(at).respond_with(answer(200, &found)).mount(server).await;
}

#[tokio::test]
async fn what_belongs_to_the_cluster_and_is_not_ours_is_neither_changed_nor_deleted() {
    let (server, example) = (server().await, example("a.yaml", VOLUME));
    account(&server, &namespace(&example)).await;
    volume(&server, json!({"kind": "PersistentVolume", "metadata": {"name": "shared", "uid": "u"}})).await;
    let refused = run(&server, &example).await.unwrap_err();
    assert_eq!((refused.outcome, refused.cause.class), (Outcome::Errored, CauseClass::Cluster));
    assert!(refused.cause.message.contains("is there already"), "{}", refused.cause.message);
    let requests = server.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| !["PATCH", "PUT", "DELETE"].contains(&request.method.as_str())));
}

#[tokio::test]
async fn what_an_earlier_attempt_left_is_deleted_and_another_run_s_is_not() {
    let (server, example) = (server().await, example("a.yaml", VOLUME));
    account(&server, &namespace(&example)).await;
    let of = |run: &str| json!({"metadata": {"name": "shared", "uid": "u", "labels": {RUN: run}, "annotations": {"example-validator.dev/namespace": "ev-old"}}});
    let created = Mock::given(method("POST")).and(path("/api/v1/persistentvolumes"));
    let there = answer(409, &status(409, "AlreadyExists", "already exists"));
    created.respond_with(there).up_to_n_times(1).mount(&server).await;
    let found = Mock::given(method("GET")).and(path("/api/v1/persistentvolumes/shared"));
    found.respond_with(answer(200, &of("42"))).mount(&server).await;
    let deleted = Mock::given(method("DELETE")).and(path("/api/v1/persistentvolumes/shared"));
    deleted.respond_with(answer(200, &json!({"kind": "Status"}))).expect(1).mount(&server).await;
    let created = Mock::given(method("POST")).and(path("/api/v1/persistentvolumes"));
    created.respond_with(answer(201, &json!({"metadata": {"name": "shared", "uid": "new"}}))).mount(&server).await;
    let applied = run(&server, &example).await.unwrap();
    assert_eq!((applied.objects[0].uid.as_str(), applied.objects[0].namespaced), ("new", false));

    let server = self::server().await;
    account(&server, &namespace(&example)).await;
    volume(&server, of("41")).await;
    let refused = run(&server, &example).await.unwrap_err();
    assert!(refused.cause.message.contains("the run 41 has made it"), "{}", refused.cause.message);
}

#[tokio::test]
async fn pull_secrets_are_used_by_the_default_service_account() {
    let (server, example) = (server().await, example("a.yaml", JOB));
    account(&server, &namespace(&example)).await;
    let secret =
        json!({"kind": "Secret", "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30="}});
    let source = Mock::given(method("GET")).and(path("/api/v1/namespaces/default/secrets/regcred"));
    source.respond_with(answer(200, &secret)).mount(&server).await;
    let at = |rest: &str| format!("/api/v1/namespaces/{}/{rest}", namespace(&example));
    let copied = json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30="}});
    for (rest, body) in
        [("secrets/regcred", copied), ("serviceaccounts/default", json!({"imagePullSecrets": [{"name": "regcred"}]}))]
    {
        let patched = Mock::given(method("PATCH")).and(path(at(rest))).and(body_partial_json(body));
        patched.respond_with(answer(200, &json!({}))).expect(1).mount(&server).await;
    }
    Mock::given(method("PATCH"))
        .and(path(job_path(&example, "Job")))
        .respond_with(answer(201, &json!({"metadata": {"name": "a"}})))
        .mount(&server)
        .await;
    let found = pull_secrets(&client(&server), &["regcred".to_owned()], None, limits()).await.unwrap();
    let isolated = isolate(&example, &[], &identity(&example), &Scopes::default()).unwrap();
    let target = Target { pull_secrets: found.into(), limits: limits(), ..Target::new(client(&server)) };
    apply(&target, &isolated).await.unwrap();
}
