use std::time::Duration;

use serde_json::{Value as Json, json};

use super::object::{condition, list, text};
use super::{Lifecycle, Options, start};
use crate::simulator::store::{Key, Propagation, Store};

/// A cluster at work at once, with a namespace `ns`. Time is paused: waiting takes none.
async fn cluster() -> (Store, Lifecycle) {
    let store = Store::with(1, 10);
    let lifecycle = start(store.clone(), Options::default());
    apply(&store, "{apiVersion: v1, kind: Namespace, metadata: {name: ns}, spec: {finalizers: [kubernetes]}}");
    wait(1).await;
    (store, lifecycle)
}

async fn wait(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Creates the objects of a manifest in `ns`.
fn apply(store: &Store, yaml: &str) {
    for document in &crate::yaml::parse(yaml).documents {
        let mut object = document.root.to_json();
        if text(&object, "/kind") != "Namespace" && text(&object, "/kind") != "CustomResourceDefinition" {
            object["metadata"]["namespace"] = "ns".into();
        }
        store.create(object).unwrap();
    }
}

fn get(store: &Store, group: &str, plural: &str, name: &str) -> Json {
    let found = store.get(&Key::namespaced(group, plural, "ns", name));
    found.map(|found| Json::clone(&found)).unwrap_or_default()
}

fn pods(store: &Store) -> Vec<String> {
    let (pods, _) = store.list("", "pods", Some("ns"));
    pods.iter().map(|pod| text(pod, "/status/phase").to_owned()).collect()
}

/// A Job of one container with this script of the annotation.
fn job(script: &str) -> String {
    format!(
        "{{apiVersion: batch/v1, kind: Job, metadata: {{name: j, annotations: {{example-validator.dev/simulate: '{script}'}}}}, \
         spec: {{backoffLimit: 0, template: {{spec: {{restartPolicy: Never, containers: [{{name: main, image: x}}]}}}}}}}}"
    )
}

#[tokio::test(start_paused = true)]
async fn an_annotation_decides_what_becomes_of_a_job() {
    for (script, end) in [
        ("succeed", "Complete"),
        ("fail:3", "Failed"),
        ("oom", "Failed"),
        ("start-error", "Failed"),
        ("sleep:2s", "Complete"),
        ("hang", ""),
        ("image-limited", ""),
    ] {
        let (store, _lifecycle) = cluster().await;
        apply(&store, &job(script));
        wait(1).await;
        let job = get(&store, "batch", "jobs", "j");
        let found = ["Complete", "Failed"].into_iter().find(|kind| condition(&job, kind) == "True");
        assert_eq!(found.unwrap_or_default(), end, "{script}: {job:#}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flaky_example_succeeds_in_its_second_namespace() {
    let (store, _lifecycle) = cluster().await;
    apply(&store, &job("flaky"));
    wait(1).await;
    assert_eq!(condition(&get(&store, "batch", "jobs", "j"), "Failed"), "True");
    store.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "second"}})).unwrap();
    let mut again = crate::yaml::parse(&job("flaky")).documents[0].root.to_json();
    again["metadata"]["namespace"] = "second".into();
    store.create(again).unwrap();
    wait(1).await;
    let job = store.get(&Key::namespaced("batch", "jobs", "second", "j")).unwrap();
    assert_eq!(condition(&job, "Complete"), "True");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_with_all_that_is_in_it() {
    let (store, _lifecycle) = cluster().await;
    apply(&store, &job("hang"));
    apply(&store, "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}");
    wait(1).await;
    assert_eq!(pods(&store), ["Running"]);
    store.delete(&Key::cluster("", "namespaces", "ns"), Propagation::Background).unwrap();
    wait(1).await;
    assert!(store.get(&Key::cluster("", "namespaces", "ns")).is_none());
    assert_eq!(store.list("", "configmaps", Some("ns")).0.len() + store.list("", "events", Some("ns")).0.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_that_nobody_takes_away_keeps_a_namespace() {
    let (store, _lifecycle) = cluster().await;
    apply(&store, "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, finalizers: [example.com/block]}}");
    store.delete(&Key::cluster("", "namespaces", "ns"), Propagation::Background).unwrap();
    wait(1).await;
    let namespace = store.get(&Key::cluster("", "namespaces", "ns")).unwrap();
    assert_eq!(text(&namespace, "/status/phase"), "Terminating");
    let conditions = list(&namespace, "/status/conditions");
    let told = conditions.iter().find(|condition| text(condition, "/type") == "NamespaceFinalizersRemaining").unwrap();
    assert_eq!(
        text(told, "/message"),
        "Some content in the namespace has finalizers remaining: example.com/block in 1 resource instances"
    );
    store
        .update(&Key::namespaced("", "configmaps", "ns", "c"), |object| object["metadata"]["finalizers"] = json!([]))
        .unwrap();
    wait(1).await;
    assert!(store.get(&Key::cluster("", "namespaces", "ns")).is_none());
}

#[tokio::test(start_paused = true)]
async fn what_an_owner_owns_goes_with_it_before_it_or_stays() {
    for (propagation, is_left) in
        [(Propagation::Background, false), (Propagation::Foreground, false), (Propagation::Orphan, true)]
    {
        let (store, _lifecycle) = cluster().await;
        apply(&store, &job("hang"));
        wait(1).await;
        store.delete(&Key::namespaced("batch", "jobs", "ns", "j"), propagation).unwrap();
        wait(1).await;
        assert!(store.get(&Key::namespaced("batch", "jobs", "ns", "j")).is_none(), "{propagation:?}");
        assert_eq!(!pods(&store).is_empty(), is_left, "{propagation:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_statefulset_gets_its_pods_in_order_with_their_claims() {
    let (store, _lifecycle) = cluster().await;
    apply(
        &store,
        "apiVersion: apps/v1
kind: StatefulSet
metadata: {name: s}
spec:
  replicas: 2
  serviceName: s
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec: {containers: [{name: main, image: nginx, volumeMounts: [{name: data, mountPath: /data}]}]}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]
",
    );
    wait(1).await;
    let set = get(&store, "apps", "statefulsets", "s");
    assert_eq!((&set["status"]["readyReplicas"], &set["status"]["updatedReplicas"]), (&json!(2), &json!(2)));
    let claim = get(&store, "", "persistentvolumeclaims", "data-s-1");
    assert_eq!(text(&claim, "/status/phase"), "Bound");
}

#[tokio::test(start_paused = true)]
async fn a_deployment_whose_template_changes_is_rolled_over() {
    let (store, _lifecycle) = cluster().await;
    apply(
        &store,
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {replicas: 2, selector: {matchLabels: {a: b}}, \
         template: {metadata: {labels: {a: b}}, spec: {containers: [{name: main, image: nginx}]}}}}",
    );
    wait(1).await;
    let key = Key::namespaced("apps", "deployments", "ns", "d");
    store
        .update(&key, |object| object["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:2".into())
        .unwrap();
    wait(1).await;
    let status = &get(&store, "apps", "deployments", "d")["status"];
    assert_eq!(
        (&status["replicas"], &status["updatedReplicas"], &status["availableReplicas"]),
        (&json!(2), &json!(2), &json!(2))
    );
    assert_eq!(status["observedGeneration"], 2);
    assert_eq!(pods(&store).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_container_whose_configuration_comes_late_starts_then() {
    let (store, _lifecycle) = cluster().await;
    apply(
        &store,
        "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {restartPolicy: Never, containers: [{name: main, image: x, \
         command: [sh, -c, 'test $A = 1'], envFrom: [{configMapRef: {name: late}}]}]}}",
    );
    wait(1).await;
    let reason = "/status/containerStatuses/0/state/waiting/reason";
    assert_eq!(text(&get(&store, "", "pods", "p"), reason), "CreateContainerConfigError");
    apply(&store, "{apiVersion: v1, kind: ConfigMap, metadata: {name: late}, data: {A: '1'}}");
    wait(5).await;
    assert_eq!(pods(&store), ["Succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn a_custom_resource_with_pod_templates_runs_them() {
    let (store, _lifecycle) = cluster().await;
    apply(
        &store,
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: rayjobs.ray.io}
spec:
  group: ray.io
  scope: Namespaced
  names: {plural: rayjobs, kind: RayJob}
  versions: [{name: v1, served: true, storage: true, subresources: {status: {}}}]
",
    );
    apply(
        &store,
        "apiVersion: ray.io/v1
kind: RayJob
metadata: {name: r}
spec:
  rayClusterSpec:
    headGroupSpec: {template: {spec: {containers: [{name: ray-head, image: ray}]}}}
    workerGroupSpecs: [{replicas: 2, template: {spec: {containers: [{name: ray-worker, image: ray}]}}}]
",
    );
    wait(1).await;
    let ray = get(&store, "ray.io", "rayjobs", "r");
    assert_eq!(text(&ray, "/status/jobStatus"), "SUCCEEDED", "{ray:#}");
    let (found, _) = store.list("", "pods", Some("ns"));
    let names: Vec<_> = found.iter().map(|pod| text(pod, "/metadata/name")).collect();
    assert_eq!(names, ["r-raycluster-head-0", "r-raycluster-worker-0-0", "r-raycluster-worker-0-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_waits_for_room_and_gets_it() {
    let (store, _lifecycle) = cluster().await;
    let pod = |name: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{restartPolicy: Never, containers: [{{name: main, image: x, \
             command: [sleep, '100'], resources: {{requests: {{cpu: '20'}}}}}}]}}}}"
        )
    };
    apply(&store, &pod("a"));
    apply(&store, &pod("b"));
    tokio::time::sleep(Duration::from_millis(20)).await;
    let waiting = get(&store, "", "pods", "b");
    assert_eq!(condition(&waiting, "PodScheduled"), "False", "{waiting:#}");
    wait(1).await;
    assert_eq!(pods(&store), ["Succeeded", "Succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn a_trainjob_runs_where_jobsets_are_not_served() {
    let (store, _lifecycle) = cluster().await;
    apply(
        &store,
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: trainjobs.trainer.kubeflow.org}
spec:
  group: trainer.kubeflow.org
  scope: Namespaced
  names: {plural: trainjobs, kind: TrainJob}
  versions: [{name: v1alpha1, served: true, storage: true, subresources: {status: {}}}]
",
    );
    apply(
        &store,
        "{apiVersion: trainer.kubeflow.org/v1alpha1, kind: TrainJob, metadata: {name: t}, spec: {runtimeRef: {name: torch-distributed}, \
         trainer: {numNodes: 2, image: x, command: [sh, -c, 'test $PET_NNODES = 2']}}}",
    );
    wait(1).await;
    let train = get(&store, "trainer.kubeflow.org", "trainjobs", "t");
    assert_eq!(condition(&train, "Complete"), "True", "{train:#}");
    assert_eq!(train["status"]["jobsStatus"][0]["succeeded"], 1);
    assert_eq!(pods(&store), ["Succeeded", "Succeeded"]);
}
