//! Clusters of a fake kind on a fake engine, with the simulator, or a scripted API server, behind their kubeconfigs.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio_util::sync::CancellationToken;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::names::cluster_name;
use super::testing::World;
use super::*;
use crate::model::Cause;
use crate::simulator::{Options, Simulator};

fn config() -> ClusterConfig {
    ClusterConfig::read(None, Path::new("."), &[]).unwrap()
}

async fn simulated(world: &World) -> Simulator {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    world.says("kubeconfig", &simulator.kubeconfig_yaml());
    simulator
}

async fn create(world: &World, kind: &Kind, within: Duration) -> Result<Created, Failure> {
    let (config, logs) = (config(), world.path("logs"));
    let spec = Spec { within, ..World::spec(&config, &logs) };
    kind.create(&spec, &CancellationToken::new()).await
}

const LONG: Duration = Duration::from_secs(60);

async fn failure(world: &World, within: Duration) -> Cause {
    match create(world, &world.kind().await, within).await {
        Err(Failure::Cluster(cause)) => *cause,
        other => panic!("{:?}", other.map(|created| created.version)),
    }
}

#[tokio::test]
async fn a_cluster_is_created_with_files_of_its_own() {
    let world = World::new();
    let _simulator = simulated(&world).await;
    world.says("create", "env >\"$state/env\"; cp \"$8\" \"$state/config\"; ready");
    let kind = world.kind().await;
    let created = create(&world, &kind, LONG).await.unwrap();
    assert_eq!((created.cluster.kubernetes.as_str(), created.version.as_str()), ("default", "v1.36.2"));
    assert!(!created.cluster.nodes.is_empty() && created.first_failure.is_none());
    let scratch = world.path("scratch");
    let folder = scratch.join("ev-1");
    let expected = format!(
        "kind create cluster --name ev-1 --kubeconfig {0}/kubeconfig --config {0}/kind.yaml --retain --wait 0s",
        folder.display()
    );
    assert_eq!(world.calls(), [expected]);
    let environment = std::fs::read_to_string(world.path("state/env")).unwrap();
    assert!(environment.contains(&format!("TMPDIR={}\n", scratch.display())), "{environment}");
    assert!(!environment.contains("GITHUB_TOKEN") && !environment.contains("KUBECONFIG="), "{environment}");
    assert_eq!(std::fs::read_to_string(world.path("state/config")).unwrap(), config().text);
    assert!(created.cluster.kubeconfig.starts_with(folder));
}

#[tokio::test]
async fn a_node_image_is_passed_on() {
    let world = World::new();
    let _simulator = simulated(&world).await;
    let (config, logs) = (config(), world.path("logs"));
    let spec = Spec { image: Some("kindest/node:v1"), kubernetes: "v1.34", ..World::spec(&config, &logs) };
    let created = world.kind().await.create(&spec, &CancellationToken::new()).await.unwrap();
    assert_eq!(created.cluster.kubernetes, "v1.34");
    assert!(world.calls()[0].ends_with("--image kindest/node:v1"));
}

/// An API server that says this of its only node, and has the ServiceAccount after so many questions.
async fn api(world: &World, node: &'static [&'static str], account_after: u64) -> MockServer {
    let server = MockServer::start().await;
    let answer = |body: Json| ResponseTemplate::new(200).set_body_json(body);
    let version = json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "", "goVersion": "", "compiler": "", "platform": ""});
    Mock::given(path("/version")).respond_with(answer(version)).mount(&server).await;
    for (at, status) in node.iter().enumerate() {
        let items = json!({"items": [{"metadata": {"name": "n"}, "status": {
            "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": status, "message": "cni plugin not initialized"}]}}]});
        let mock = Mock::given(path("/api/v1/nodes")).respond_with(answer(items));
        // The first look counts what the nodes offer.
        let mock = if at + 1 < node.len() { mock.up_to_n_times(2) } else { mock };
        mock.mount(&server).await;
    }
    for list in ["pods", "namespaces"] {
        Mock::given(path(format!("/api/v1/{list}"))).respond_with(answer(json!({"items": []}))).mount(&server).await;
    }
    let account = "/api/v1/namespaces/default/serviceaccounts/default";
    if account_after > 0 {
        let missing = crate::trial::apply::tests::status(404, "NotFound", "serviceaccounts \"default\" not found");
        let mock = Mock::given(path(account)).respond_with(ResponseTemplate::new(404).set_body_json(missing));
        mock.up_to_n_times(account_after).expect(account_after).mount(&server).await;
    }
    Mock::given(path(account)).respond_with(answer(json!({"metadata": {"name": "default"}}))).mount(&server).await;
    let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server.uri()}}], "users": [{"name": "u", "user": {}}]});
    world.says("kubeconfig", &kubeconfig.to_string());
    server
}

#[tokio::test]
async fn kind_s_success_is_no_readiness() {
    let world = World::new();
    let _server = api(&world, &["False", "Unknown", "True"], 0).await;
    // This is what it says when its own wait timed out.
    world.says("create", "echo ' • WARNING: Timed out waiting for Ready ⚠️' >&2; ready");
    let created = create(&world, &world.kind().await, LONG).await.unwrap();
    assert_eq!((created.cluster.provider, created.version.as_str()), ("kind", "v1.34.0"));
    assert_eq!(created.cluster.nodes.len(), 1, "its capacity is that of nodes that are ready");
}

#[tokio::test]
async fn the_default_service_account_is_waited_for() {
    let world = World::new();
    let server = api(&world, &["True"], 3).await;
    create(&world, &world.kind().await, LONG).await.unwrap();
    server.verify().await;
}

#[tokio::test]
async fn a_cluster_that_does_not_become_ready_is_told_and_deleted() {
    let world = World::new();
    let _server = api(&world, &["False"], 0).await;
    let cause = failure(&world, Duration::from_secs(8)).await;
    assert_eq!(cause.reason, "NotReady");
    assert!(cause.message.ends_with("the node n is not Ready: cni plugin not initialized"), "{}", cause.message);
    assert!(world.is_empty() && world.path("logs/attempt-1/ev-1-control-plane/kubelet.log").exists());
}

#[tokio::test]
async fn a_create_that_hangs_is_ended_by_the_deadline() {
    let world = World::new();
    world.says("create", "up; echo ' • Preparing nodes 📦 ...' >&2; sleep 1000");
    let cause = failure(&world, Duration::from_secs(5)).await;
    assert_eq!(cause.reason, "NotReady");
    assert!(cause.message.ends_with("kind was at \"Preparing nodes\""), "{}", cause.message);
    assert!(world.is_empty());
}

#[tokio::test]
async fn a_failed_create_is_tried_once_more_where_that_may_help() {
    for (text, reason, tries) in [
        ("Bind for 127.0.0.1:44521 failed: port is already allocated", "PortTaken", 2),
        ("could not find a log line that matches \"Reached target .*Multi-User System.*\"", "NodeDidNotStart", 2),
        ("failed to init node with kubeadm: exit status 1", "KubeadmFailed", 2),
        ("failed to pull image \"nope/node:v1\": command \"docker pull nope/node:v1\" failed", "NodeImagePull", 2),
        ("something else", "CreateFailed", 2),
        ("unable to decode config: yaml: unmarshal errors:", "BadKindConfig", 1),
        ("'X_Y' is not a valid cluster name, cluster names must match", "BadName", 1),
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", "DockerUnavailable", 1),
    ] {
        let world = World::new();
        world.says("create", &format!("up; fail '{}'", text.replace('\'', "'\\''")));
        let cause = failure(&world, LONG).await;
        assert_eq!((cause.reason.as_str(), world.count("kind create")), (reason, tries), "{text}");
        assert!(world.is_empty(), "{text}");
    }
}

#[tokio::test]
async fn the_logs_of_the_first_try_are_kept_and_the_second_may_succeed() {
    let world = World::new();
    let _simulator = simulated(&world).await;
    world.says("kubelet.log", "x kubelet[1]: E1128 10:00:01.0 7 run.go:72] \"command failed\" err=\"kubelet is configured to not run on a host using cgroup v1\"\n");
    world.says(
        "create",
        "if [ \"$(nth tries)\" -eq 1 ]; then up; fail 'failed to init node with kubeadm: x'; fi; ready",
    );
    let created = create(&world, &world.kind().await, LONG).await.unwrap();
    let first = created.first_failure.unwrap();
    assert!(
        first.message.contains("not run on a host using cgroup v1") && first.hint.contains("cgroup v2"),
        "{first:?}"
    );
    assert!(world.path("logs/attempt-1/ev-1-control-plane/kubelet.log").exists());
    assert!(std::fs::read_to_string(world.path("logs/create-1.log")).unwrap().contains("kubeadm"));
    assert!(world.path("logs/create-2.log").exists());
    let calls = world.calls();
    let order: Vec<_> = calls.iter().map(|call| call.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    let at = |call: &str| order.iter().position(|known| known == call).unwrap();
    assert!(at("kind export") < at("kind delete"), "{order:?}");
}

#[tokio::test]
async fn a_cluster_of_others_with_that_name_is_left_alone() {
    let world = World::new();
    world.says("create", "up; fail 'node(s) already exist for a cluster with the name \"ev-1\"'");
    assert_eq!(failure(&world, LONG).await.reason, "ClusterExists");
    assert_eq!((world.is_empty(), world.count("kind delete"), world.count("kind create")), (false, 0, 1));
}

#[tokio::test]
async fn without_kind_nothing_is_tried_twice() {
    let world = World::new();
    let mut kind = world.kind().await;
    kind.cli = crate::child::Tool::new("/no/such/kind", Vec::new(), "/");
    let Err(Failure::Cluster(cause)) = create(&world, &kind, LONG).await.map(|_| ()) else { panic!("no failure") };
    assert_eq!(cause.reason, "KindNotFound");
}

/// Cancels a create once the fake kind has written its first line.
async fn cancelled(world: &World, kind: &Kind) {
    let (config, logs, cancel) = (config(), world.path("logs"), CancellationToken::new());
    let spec = World::spec(&config, &logs);
    let log = logs.join("create-1.log");
    let watch = async {
        while !std::fs::read_to_string(&log).is_ok_and(|text| text.ends_with('\n')) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.cancel();
    };
    let (created, ()) = tokio::join!(kind.create(&spec, &cancel), watch);
    assert!(matches!(created.map(|_| ()), Err(Failure::Cancelled)));
}

#[tokio::test]
async fn a_cancelled_create_leaves_neither_children_nor_containers() {
    let world = World::new();
    world.says("create", "up; sh -c 'trap \"\" INT TERM; echo $$; while :; do sleep 0.1; done' & wait");
    cancelled(&world, &world.kind().await).await;
    let child = std::fs::read_to_string(world.path("logs/create-1.log")).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    assert!(world.is_empty());
}

#[tokio::test]
async fn a_container_that_comes_back_after_the_delete_is_deleted_too() {
    let world = World::new();
    world.says("create", "up; echo begun; sleep 1000");
    // The second look finds what the engine was still at work on: it is the first of those that wait for what comes back, and there
    // is always one, however slow the machine is.
    world.says("ps", "[ \"$(nth looks)\" -ne 2 ] || up; ls \"$state/containers/$name\" 2>/dev/null || :");
    cancelled(&world, &world.kind().await).await;
    assert!(world.is_empty() && world.count("kind delete") >= 2, "{:?}", world.calls());
}

#[tokio::test]
async fn a_cluster_that_was_whole_is_deleted_with_one_look() {
    let world = World::new();
    let _simulator = simulated(&world).await;
    let kind = world.kind().await;
    create(&world, &kind, LONG).await.unwrap();
    kind.delete("ev-1").await.unwrap();
    assert_eq!((world.count("kind delete"), world.count("docker")), (1, 1), "{:?}", world.calls());
    assert!(world.is_empty());
    kind.delete("no-such").await.unwrap();
}

#[tokio::test]
async fn a_lock_that_a_killed_kind_left_stops_no_delete() {
    let world = World::new();
    let _simulator = simulated(&world).await;
    let kind = world.kind().await;
    create(&world, &kind, LONG).await.unwrap();
    world.says(
        "delete",
        "down; [ ! -e \"$kubeconfig.lock\" ] || { echo \"ERROR: failed to lock config file\" >&2; exit 1; }",
    );
    std::fs::write(world.path("scratch/ev-1/kubeconfig.lock"), "").unwrap();
    kind.delete("ev-1").await.unwrap();
    assert_eq!(world.count("docker"), 1, "{:?}", world.calls());
}

#[tokio::test]
async fn docker_deletes_what_kind_does_not() {
    for says in ["exit 1", ":"] {
        let world = World::new();
        let _simulator = simulated(&world).await;
        let kind = world.kind().await;
        create(&world, &kind, LONG).await.unwrap();
        world.says("delete", says);
        kind.delete("ev-1").await.unwrap();
        assert!(world.is_empty() && world.calls().contains(&"docker rm -f -v ev-1-control-plane".to_owned()), "{says}");
    }
}

#[tokio::test]
async fn what_can_t_be_deleted_is_told_in_the_end() {
    let world = World::new();
    world.says("ps", "echo 'Cannot connect to the Docker daemon' >&2; exit 1");
    let why = world.hasty_kind().await.delete("ev-1").await.unwrap_err();
    assert_eq!(why, "the cluster ev-1 could not be deleted: Cannot connect to the Docker daemon");
}

#[tokio::test]
async fn leftovers_are_clusters_with_names_of_ours() {
    let (world, ours) = (World::new(), cluster_name("1", "v1.34.0"));
    world.says(
        "ps",
        &format!(
            "printf '{ours}\\t2026-11-28 10:32:38 +0000 UTC\\n{ours}\\t2026-11-28 10:32:30 +0000 UTC\\nev-mine\\t2026-11-28 10:32:38 +0000 UTC\\n'"
        ),
    );
    let created = "2026-11-28T10:32:30Z".parse().ok();
    assert_eq!(world.kind().await.leftovers().await.unwrap(), [Leftover { name: ours, created }]);
}

#[tokio::test]
async fn nodes_are_told_without_the_load_balancer() {
    let world = World::new();
    world.says("ps", "printf 'c-worker\\tworker\\nc-control-plane\\tcontrol-plane\\nc-external-load-balancer\\texternal-load-balancer\\n'");
    assert_eq!(world.kind().await.nodes("c").await.unwrap(), ["c-control-plane", "c-worker"]);
    world.says("ps", ":");
    assert!(world.kind().await.nodes("c").await.unwrap().is_empty());
}

#[tokio::test]
async fn in_a_container_the_cluster_is_reached_on_its_own_network() {
    let world = World::new();
    let _simulator = simulated(&world).await;
    world.says(
        "inspect",
        r#"echo '[{"Id":"abc","HostConfig":{"NetworkMode":"bridge"},"Mounts":[{"Source":"/h","Destination":"/o"}]}]'"#,
    );
    world.says("network", ":");
    // The one that kind writes is of no use there.
    world.says("create", "up; echo no >\"$kubeconfig\"");
    let own = Own::find_as(world.environment(), &world.path("scratch"), Some("abc".to_owned()), "").await;
    let kind = world.kind_at(own);
    create(&world, &kind, LONG).await.unwrap();
    let containers = kind.containers(Vec::new());
    assert_eq!((containers.network.as_deref(), containers.host_paths.len()), (Some("kind"), 1));
    assert!(world.calls().contains(&"docker network connect kind abc".to_owned()));
    assert!(world.calls().contains(&"kind get kubeconfig --internal --name ev-1".to_owned()));
    kind.leave().await.unwrap();
    kind.leave().await.unwrap();
    assert_eq!(world.count("docker network disconnect kind abc"), 1);
}
