//! Troubles of the cluster, of the operator and of what the example needs.

use super::*;

#[test]
fn a_node_that_stays_not_ready_is_the_cluster_s() {
    let mut stage = job();
    stage.see(1.0, &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}"));
    let node = |status: &str| {
        format!(
            "{{kind: Node, metadata: {{name: node-1}}, status: {{conditions: [{{type: Ready, status: '{status}', message: Kubelet stopped posting node status.}}]}}}}"
        )
    };
    stage.see(10.0, &node("Unknown")).see(20.0, &node("True")).see(30.0, &node("Unknown"));
    stage.ends("errored cluster NodeNotReady @ 70", &["Node/node-1", "Kubelet stopped"]);
}

#[test]
fn a_node_that_is_removed_with_what_ran_on_it_is_the_cluster_s() {
    let mut stage = job();
    let node = |name: &str| format!("{{kind: Node, metadata: {{name: {name}}}}}");
    stage.see(1.0, &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}"));
    stage.gone(5.0, &node("other")).gone(10.0, &node("node-1"));
    stage.ends("errored cluster NodeNotReady @ 50", &["Node/node-1", "removed from the cluster"]);
}

#[test]
fn a_node_on_which_nothing_of_the_example_runs_does_not_matter() {
    let mut stage = job();
    stage.see(1.0, &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}"));
    stage.see(2.0, "{kind: Node, metadata: {name: other}, status: {conditions: [{type: Ready, status: Unknown}]}}");
    stage.see(100.0, JOB_COMPLETE).ends("passed @ 100", &[]);
}

#[test]
fn while_the_api_server_is_away_silence_is_no_sign() {
    let mut stage = job();
    stage.see(
        1.0,
        &job_pod("Never", "Pending", "restartCount: 0, state: {waiting: {reason: ErrImagePull, message: not found}}"),
    );
    stage.around(5.0, |around| around.api_reachable = false);
    stage.until(40.0);
    stage.is_open();
    stage.around(40.0, |around| around.api_reachable = true);
    stage.see(42.0, &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}"));
    stage.see(60.0, JOB_COMPLETE).ends("passed @ 60", &[]);
    let mut gone = job();
    gone.around(5.0, |around| around.api_reachable = false);
    gone.ends("errored cluster ApiServerUnreachable @ 65", &["API server"]);
}

#[test]
fn an_operator_in_trouble_is_to_blame_for_what_it_does_not_do() {
    let mut stage = Stage::new(&["kubeflow.org/v1 PyTorchJob/t"]);
    stage.see(1.0, "{apiVersion: kubeflow.org/v1, kind: PyTorchJob, metadata: {name: t}}");
    stage.around(2.0, |around| around.operator_trouble = Some("Pod/training-operator-1 restarted".to_owned()));
    stage.ends("errored operator OperatorTrouble @ 601", &["training-operator-1 restarted"]);
    let mut own = job();
    own.around(0.0, |around| around.operator_trouble = Some("restarted".to_owned()));
    own.see(1.0, &job_pod("Never", "Failed", "restartCount: 0, state: {terminated: {exitCode: 1, reason: Error}}"))
        .see(2.0, JOB_FAILED);
    own.ends("failed runtime Error @ 2", &["exit code 1"]);
}

#[test]
fn what_the_example_needs_is_not_judged_but_told() {
    let mut stage = job();
    let etcd = pod(
        "apps/v1 ReplicaSet/etcd-1",
        "etcd-1-x",
        "containers: [{name: etcd}]",
        "phase: Pending, containerStatuses: [{name: etcd, restartCount: 0, state: {waiting: {reason: ErrImagePull, message: manifest unknown}}}]",
    );
    stage.see(0.5, &etcd).see(1.0, &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}"));
    stage.until(100.0);
    stage.is_open();
    stage
        .see(101.0, &job_pod("Never", "Failed", "restartCount: 0, state: {terminated: {exitCode: 1, reason: Error}}"))
        .see(102.0, JOB_FAILED);
    stage.ends("failed runtime Error @ 102", &["exit code 1", "Pod/etcd-1-x", "manifest unknown"]);
    let mut well = job();
    well.see(0.5, &etcd).see(60.0, JOB_COMPLETE).ends("passed @ 60", &[]);
}

#[test]
fn the_nodes_trouble_that_the_driver_knows_is_the_cluster_s() {
    let mut stage = job();
    stage.around(10.0, |around| around.node_trouble = Some("the kubelet of Node/n is down".to_owned()));
    stage.ends("errored cluster NodeNotReady @ 50", &["kubelet of Node/n"]);
}
