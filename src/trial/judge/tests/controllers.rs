//! What controllers and operators do, or do not do.

use super::*;

fn kubeflow_pod(kind: &str, name: &str, uid: &str, phase: &str, status: &str) -> String {
    pod(
        &format!("kubeflow.org/v1 {kind}/t"),
        &format!("{name}, uid: {uid}"),
        "restartPolicy: Never, containers: [{name: pytorch}]",
        &format!("phase: {phase}, containerStatuses: [{{name: pytorch, restartCount: 0, state: {status}}}]"),
    )
}

const FAILED_130: &str = "{terminated: {exitCode: 130, reason: Error}}";

#[test]
fn a_replica_that_is_replaced_for_ever_is_a_crash_loop() {
    let mut stage = Stage::new(&["kubeflow.org/v1 PyTorchJob/t"]);
    stage.see(0.0, "{apiVersion: kubeflow.org/v1, kind: PyTorchJob, metadata: {name: t}}");
    for round in 0..3 {
        let (at, uid) = (f64::from(round) * 10.0, format!("u{round}"));
        stage.see(at + 1.0, &kubeflow_pod("PyTorchJob", "t-master-0", &uid, "Running", "{running: {}}"));
        stage.see(at + 5.0, &kubeflow_pod("PyTorchJob", "t-master-0", &uid, "Failed", FAILED_130));
        stage.gone(at + 6.0, &kubeflow_pod("PyTorchJob", "t-master-0", &uid, "Failed", FAILED_130));
        stage.is_open();
    }
    stage.see(
        31.0,
        &kubeflow_pod("PyTorchJob", "t-master-0", "u3", "Pending", "{waiting: {reason: ContainerCreating}}"),
    );
    stage.ends("failed runtime Error @ 31", &["exit code 130", "3 pods", "Pod/t-master-0"]);
}

#[test]
fn the_first_of_several_replicas_that_failed_is_to_blame() {
    let mut stage = Stage::new(&["kubeflow.org/v1 PyTorchJob/t"]);
    stage.see(0.0, "{apiVersion: kubeflow.org/v1, kind: PyTorchJob, metadata: {name: t}}");
    stage.see(1.0, &kubeflow_pod("PyTorchJob", "t-master-0", "m", "Running", "{running: {}}"));
    stage.see(
        9.0,
        &kubeflow_pod("PyTorchJob", "t-worker-1", "w", "Failed", "{terminated: {exitCode: 7, reason: Error}}"),
    );
    stage.see(
        9.5,
        &kubeflow_pod("PyTorchJob", "t-master-0", "m", "Failed", "{terminated: {exitCode: 1, reason: Error}}"),
    );
    stage.see(10.0, "{apiVersion: kubeflow.org/v1, kind: PyTorchJob, metadata: {name: t}, status: {conditions: [{type: Failed, status: 'True', reason: PyTorchJobFailed, message: 2 replicas failed}]}}");
    stage.ends("failed runtime Error @ 10", &["t-worker-1", "exit code 7"]);
}

#[test]
fn containers_that_were_killed_with_their_pods_are_not_to_blame() {
    let mut stage = Stage::new(&["kubeflow.org/v1 PyTorchJob/t"]);
    stage.see(0.0, "{apiVersion: kubeflow.org/v1, kind: PyTorchJob, metadata: {name: t}}");
    let killed = kubeflow_pod(
        "PyTorchJob",
        "t-worker-0, deletionTimestamp: x",
        "w",
        "Running",
        "{terminated: {exitCode: 143, reason: Error}}",
    );
    stage.see(8.0, &killed);
    stage.see(
        9.0,
        &kubeflow_pod("PyTorchJob", "t-master-0", "m", "Failed", "{terminated: {exitCode: 1, reason: Error}}"),
    );
    stage.see(10.0, "{apiVersion: kubeflow.org/v1, kind: PyTorchJob, metadata: {name: t}, status: {conditions: [{type: Failed, status: 'True'}]}}");
    stage.ends("failed runtime Error @ 10", &["t-master-0", "exit code 1"]);
}

#[test]
fn a_train_job_whose_runtime_is_missing_is_refused_in_its_conditions() {
    let mut stage = Stage::new(&["trainer.kubeflow.org/v1alpha1 TrainJob/t"]);
    stage.see(1.0, "{apiVersion: trainer.kubeflow.org/v1alpha1, kind: TrainJob, metadata: {name: t}, status: {conditions: [{type: Failed, status: 'True', reason: TrainingRuntimeNotSupported, message: 'runtime not supported'}]}}");
    stage.ends("failed admission TrainingRuntimeNotSupported @ 2", &["TrainJob/t", "not supported"]);
    let mut silent = Stage::new(&["trainer.kubeflow.org/v1alpha1 TrainJob/t"]);
    silent.see(1.0, "{apiVersion: trainer.kubeflow.org/v1alpha1, kind: TrainJob, metadata: {name: t}}");
    silent.warn(2.0, "TrainJob/t", "TrainJobResourcesCreationFailed", "not found specified TrainingRuntime");
    silent.ends("failed admission TrainJobResourcesCreationFailed @ 17", &["TrainingRuntime"]);
}

#[test]
fn what_is_made_after_all_ends_the_failure_to_make_it() {
    let mut stage = Stage::new(&["trainer.kubeflow.org/v1alpha1 TrainJob/t"]);
    stage.see(1.0, "{apiVersion: trainer.kubeflow.org/v1alpha1, kind: TrainJob, metadata: {name: t}}");
    stage.warn(2.0, "TrainJob/t", "TrainJobResourcesCreationFailed", "not found specified TrainingRuntime");
    stage.see(8.0, "{apiVersion: jobset.x-k8s.io/v1alpha2, kind: JobSet, metadata: {name: t, ownerReferences: [{apiVersion: trainer.kubeflow.org/v1alpha1, kind: TrainJob, name: t, uid: TrainJob-t}]}}");
    stage.ends("timed-out timeout Timeout @ 601", &["no pod"]);
    let mut job = job();
    job.warn(
        1.0,
        "Job/j",
        "FailedCreate",
        "Error creating: Internal error occurred: failed calling webhook \"a.b\": connection refused",
    );
    job.event(9.0, "Normal", "Job/j", "SuccessfulCreate", "Created pod: j-1");
    job.see(60.0, JOB_COMPLETE).ends("passed @ 60", &[]);
}

#[test]
fn a_webhook_that_never_answers_is_the_operator_s() {
    let mut stage = job();
    stage.warn(1.0, "Job/j", "FailedCreate", "Error creating: Internal error occurred: failed calling webhook \"pods.a.b\": failed to call webhook: Post \"https://a.b.svc:443/\": dial tcp 10.0.0.1:443: connect: connection refused");
    stage.ends("errored operator FailedCreate @ 16", &["webhook"]);
}

#[test]
fn a_quota_that_the_job_s_own_pods_fill_is_waited_for() {
    let mut stage = job();
    let running = job_pod("Never", "Running", "restartCount: 0, state: {running: {}}");
    stage.see(1.0, &running);
    stage.warn(2.0, "Job/j", "FailedCreate", "Error creating: pods \"j-2\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1");
    stage.until(200.0);
    stage.is_open();
    stage.see(200.0, &job_pod("Never", "Succeeded", "restartCount: 0, state: {terminated: {exitCode: 0}}"));
    stage.event(200.1, "Normal", "Job/j", "SuccessfulCreate", "Created pod: j-3");
    stage.ends("failed admission FailedCreate @ 200", &["quota"]);
}

#[test]
fn a_replica_set_that_may_not_make_pods_is_told_though_nobody_watches_it() {
    let mut stage = Stage::new(&["apps/v1 Deployment/web"]);
    stage.see(0.0, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1}}");
    stage.warn(1.0, "ReplicaSet/web-5d9c", "FailedCreate", "Error creating: pods \"web-5d9c-x\" is forbidden: maximum memory usage per Container is 64Mi, but limit is 1Gi");
    stage.ends("failed admission FailedCreate @ 16", &["64Mi", "LimitRange"]);
}

const READY: &str = "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {replicas: 1}, status: {observedGeneration: 1, updatedReplicas: 1, readyReplicas: 1}}";

#[test]
fn a_stateful_set_whose_pod_is_ready_between_crashes_does_not_pass() {
    let mut stage = Stage::new(&["apps/v1 StatefulSet/db"]);
    let (unready, member) = (READY.replace("readyReplicas: 1", "readyReplicas: 0"), |status: &str| {
        pod("apps/v1 StatefulSet/db", "db-0", "restartPolicy: Always, containers: [{name: main}]", status)
    });
    stage.see(0.0, &unready);
    for restarts in 0..4 {
        let at = 1.0 + f64::from(restarts) * 20.0;
        let last = if restarts == 0 { "" } else { ", lastState: {terminated: {exitCode: 1, reason: Error}}" };
        stage.see(at, &member(&format!("phase: Running, containerStatuses: [{{name: main, restartCount: {restarts}, state: {{running: {{}}}}{last}}}]")));
        stage.see(at, READY);
        stage.see(at + 0.9, &member(&format!("phase: Running, containerStatuses: [{{name: main, restartCount: {restarts}, state: {{terminated: {{exitCode: 1, reason: Error}}}}{last}}}]")));
        stage.see(at + 0.9, &unready);
    }
    stage.ends("failed runtime CrashLoopBackOff @ 61.9", &["Pod/db-0", "3 times"]);
}

#[test]
fn a_daemon_set_that_is_meant_for_no_node_is_told() {
    let mut stage = Stage::new(&["apps/v1 DaemonSet/d"]);
    stage.see(1.0, "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: d}, status: {observedGeneration: 1, desiredNumberScheduled: 0, numberAvailable: 0}}");
    stage.ends("failed scheduling Unschedulable @ 31", &["no node", "nodeSelector"]);
}

#[test]
fn a_paused_deployment_is_told_as_suspended() {
    let mut stage = Stage::new(&["apps/v1 Deployment/web"]);
    stage.see(1.0, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1, paused: true}}");
    stage.ends("failed scheduling DeploymentPaused @ 31", &["paused"]);
}

#[test]
fn a_deployment_s_deadline_is_explained_by_its_pods_trouble() {
    let mut stage =
        Stage::with(&["apps/v1 Deployment/web"], |subject| subject.graces.image_transient = Duration::from_secs(900));
    stage.see(0.0, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1}}");
    stage.see(1.0, &pod("apps/v1 ReplicaSet/web-1", "web-1-x", "containers: [{name: main}]", "phase: Pending, containerStatuses: [{name: main, restartCount: 0, state: {waiting: {reason: ErrImagePull, message: '503 Service Unavailable'}}}]"));
    stage.see(30.0, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, status: {conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded, message: timed out progressing}]}}");
    stage.ends("errored image ErrImagePull @ 30", &["503", "timed out progressing"]);
}

/// A Job that belongs to the CronJob `c`.
fn job_of_cron_job(name: &str, status: &str) -> String {
    format!(
        "{{apiVersion: batch/v1, kind: Job, metadata: {{name: {name}, ownerReferences: [{{apiVersion: batch/v1, kind: CronJob, name: c, uid: CronJob-c, controller: true}}]}}, status: {{{status}}}}}"
    )
}

#[test]
fn a_cron_job_fails_with_its_job_and_waits_while_suspended() {
    let mut stage = Stage::new(&["batch/v1 CronJob/c"]);
    stage.see(0.0, "{apiVersion: batch/v1, kind: CronJob, metadata: {name: c}, spec: {suspend: false}}");
    let child = |status: &str| job_of_cron_job("c-1", status);
    stage.see(40.0, &child("active: 1"));
    stage.see(
        41.0,
        &pod(
            "batch/v1 Job/c-1",
            "c-1-x",
            "restartPolicy: Never",
            "phase: Failed, containerStatuses: [{name: main, state: {terminated: {exitCode: 5, reason: Error}}}]",
        ),
    );
    stage.see(
        42.0,
        &child("conditions: [{type: Failed, status: 'True', reason: BackoffLimitExceeded, message: limit}]"),
    );
    stage.ends("failed runtime Error @ 42", &["exit code 5", "Job/c-1 failed"]);
    let mut suspended = Stage::new(&["batch/v1 CronJob/c"]);
    suspended.see(1.0, "{apiVersion: batch/v1, kind: CronJob, metadata: {name: c}, spec: {suspend: true}}");
    suspended.ends("failed scheduling Suspended @ 31", &["CronJob/c is suspended"]);
}

#[test]
fn a_job_that_kueue_does_not_admit_says_so() {
    let mut stage = Stage::new(&["batch/v1 Job/j"]);
    stage.see(1.0, "{apiVersion: batch/v1, kind: Job, metadata: {name: j, labels: {kueue.x-k8s.io/queue-name: user}}, spec: {suspend: true}}");
    stage.ends("failed scheduling Suspended @ 31", &["Kueue"]);
}

#[test]
fn what_kueue_holds_back_waits_while_other_cells_fill_its_queue() {
    let suspended = "{apiVersion: batch/v1, kind: Job, metadata: {name: j, labels: {kueue.x-k8s.io/queue-name: user}}, spec: {suspend: true}}";
    let gated = "{apiVersion: v1, kind: Pod, metadata: {name: p, labels: {kueue.x-k8s.io/queue-name: user}}, \
                 spec: {schedulingGates: [{name: kueue.x-k8s.io/admission}]}, status: {phase: Pending, conditions: [{type: PodScheduled, \
                 status: 'False', reason: SchedulingGated, message: non-empty scheduling gates}]}}";
    for (judged, waits, reason) in [("batch/v1 Job/j", suspended, "Suspended"), ("v1 Pod/p", gated, "SchedulingGated")]
    {
        let mut stage = Stage::new(&[judged]);
        stage.around(0.0, |around| around.others_hold_room = true).see(1.0, waits);
        stage.until(200.0);
        stage.is_open();
        stage.around(200.0, |around| around.others_hold_room = false);
        stage.ends(&format!("failed scheduling {reason} @ 230"), &[]);
        // Two that nothing ever admits hold no room of each other's for ever.
        let mut stage = Stage::new(&[judged]);
        stage.around(0.0, |around| around.others_hold_room = true).see(1.0, waits);
        stage.ends(&format!("errored cluster {reason} @ 600"), &["time is up"]);
    }
}

#[test]
fn time_that_is_up_while_other_cells_fill_the_queue_is_the_cluster_s() {
    let mut stage = Stage::new(&["batch/v1 Job/j", "batch/v1 Job/k"]);
    stage.around(0.0, |around| around.others_hold_room = true);
    stage.see(1.0, JOB).see(1.0, "{apiVersion: batch/v1, kind: Job, metadata: {name: k, labels: {kueue.x-k8s.io/queue-name: user}}, spec: {suspend: true}}");
    stage.see(2.0, &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}")).see(9.0, JOB_COMPLETE);
    stage.ends("errored cluster Suspended @ 602", &["time is up", "Job/k", "--parallel"]);
}

#[test]
fn what_is_suspended_without_a_queue_waits_for_nobody() {
    let mut stage = Stage::new(&["batch/v1 Job/j"]);
    stage.around(0.0, |around| around.others_hold_room = true);
    stage.see(1.0, "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {suspend: true}}");
    stage.ends("failed scheduling Suspended @ 31", &["nobody resumes it"]);
}

#[test]
fn a_cron_job_s_warning_of_a_job_that_was_made_by_hand_says_nothing() {
    let mut stage = Stage::new(&["batch/v1 CronJob/c"]);
    stage.see(0.0, "{apiVersion: batch/v1, kind: CronJob, metadata: {name: c}, spec: {suspend: false}}");
    let child = |status: &str| job_of_cron_job("by-hand", status);
    stage.see(1.0, &child("active: 1"));
    stage.warn(1.0, "CronJob/c", "UnexpectedJob", "Saw a job that the controller did not create or forgot: by-hand");
    stage.until(60.0);
    stage.is_open();
    stage.see(
        61.0,
        &child("conditions: [{type: Failed, status: 'True', reason: BackoffLimitExceeded, message: limit}]"),
    );
    stage.ends("failed runtime BackoffLimitExceeded @ 62", &["Job/by-hand failed"]);
}

#[test]
fn a_pod_failure_policy_is_told_with_the_exit_code() {
    let mut stage = job();
    stage.see(1.0, &job_pod("Never", "Failed", "restartCount: 0, state: {terminated: {exitCode: 42, reason: Error}}"));
    stage.see(2.0, "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, status: {conditions: [{type: FailureTarget, status: 'True', reason: PodFailurePolicy, message: Container main for pod ns/j-1 failed with exit code 42 matching FailJob rule at index 0}]}}");
    stage.ends("failed runtime Error @ 2", &["exit code 42", "FailJob rule at index 0"]);
}

fn failed(name: &str) -> String {
    pod(
        "batch/v1 Job/j",
        name,
        "restartPolicy: Never",
        "phase: Failed, containerStatuses: [{name: main, state: {terminated: {exitCode: 1, reason: Error}}}]",
    )
}

#[test]
fn pods_that_succeed_between_those_that_fail_begin_the_count_anew() {
    let mut stage = job();
    let succeeded = pod("batch/v1 Job/j", "j-ok", "restartPolicy: Never", "phase: Succeeded");
    stage.see(2.0, &failed("j-1")).see(3.0, &failed("j-2")).see(4.0, &failed("j-3")).see(5.0, &succeeded);
    // What is told again of those before it is not counted again.
    stage.see(6.0, &failed("j-1")).see(7.0, &failed("j-4")).see(8.0, &failed("j-5")).see(9.0, &failed("j-6"));
    stage.see(10.0, &succeeded).see(11.0, &failed("j-2"));
    stage.is_open();
    stage.see(12.0, &failed("j-7"));
    stage.ends("failed runtime Error @ 12", &["4 pods", "Pod/j-7"]);
}

#[test]
fn a_job_that_says_how_often_it_may_fail_is_left_to_its_controller() {
    for patience in ["backoffLimit: 20", "backoffLimit: 6, backoffLimitPerIndex: 1", "podFailurePolicy: {rules: []}"] {
        let mut stage = Stage::with(&["batch/v1 Job/j"], |subject| subject.timeout = Duration::from_secs(60));
        stage.see(0.0, &JOB.replace("backoffLimit: 6", patience));
        for index in 1..7_u8 {
            stage.see(f64::from(index), &failed(&format!("j-{index}")));
        }
        stage.is_open();
        let mut late = Stage::with(&["batch/v1 Job/j"], |subject| subject.timeout = Duration::from_secs(60));
        late.see(0.0, &JOB.replace("backoffLimit: 6", patience));
        for index in 1..7_u8 {
            late.see(f64::from(index), &failed(&format!("j-{index}")));
        }
        late.ends("failed runtime Error @ 61", &["time is up", "6 pods", "exit code 1"]);
        stage.see(9.0, JOB_FAILED).ends("failed runtime Error @ 9", &["exit code 1", "backoff limit"]);
    }
}

#[test]
fn a_job_that_retries_is_not_failed_until_its_pods_fail_like_a_crash_loop() {
    let mut stage = job();
    stage.see(2.0, &failed("j-1")).see(14.0, &failed("j-2")).see(36.0, &failed("j-3"));
    stage.is_open();
    stage.see(78.0, &failed("j-4"));
    stage.ends("failed runtime Error @ 78", &["4 pods", "exit code 1", "Pod/j-4"]);
}

#[test]
fn different_indexes_of_a_job_are_counted_apart() {
    let mut stage = job();
    for index in 0..6 {
        let name = format!("j-{index}, labels: {{batch.kubernetes.io/job-completion-index: '{index}'}}");
        stage.see(
            f64::from(index),
            &pod(
                "batch/v1 Job/j",
                &name,
                "restartPolicy: Never",
                "phase: Failed, containerStatuses: [{name: main, state: {terminated: {exitCode: 1, reason: Error}}}]",
            ),
        );
    }
    stage.see(60.0, JOB_COMPLETE).ends("passed @ 60", &[]);
}

#[test]
fn a_warning_of_an_unknown_kind_counts_only_where_nothing_else_happens() {
    let mut stage = Stage::new(&["ray.io/v1 RayJob/r"]);
    stage.see(0.0, "{apiVersion: ray.io/v1, kind: RayJob, metadata: {name: r}}");
    stage.warn(1.0, "RayJob/r", "ReconcileError", "rayClusterSpec is missing");
    stage.ends("failed admission ReconcileError @ 16", &["rayClusterSpec", "operator"]);
    let mut busy = Stage::new(&["ray.io/v1 RayJob/r"]);
    busy.see(0.0, "{apiVersion: ray.io/v1, kind: RayJob, metadata: {name: r}}");
    busy.warn(1.0, "RayJob/r", "ReconcileError", "the object is not ready yet");
    busy.see(5.0, "{apiVersion: ray.io/v1, kind: RayJob, metadata: {name: r}, status: {jobStatus: RUNNING}}");
    busy.see(100.0, "{apiVersion: ray.io/v1, kind: RayJob, metadata: {name: r}, status: {jobStatus: SUCCEEDED}}");
    busy.ends("passed @ 100", &[]);
}

#[test]
fn pods_are_found_by_a_framework_s_selector() {
    let mut stage = Stage::new(&["ray.io/v1 RayJob/r"]);
    stage
        .see(0.0, "{apiVersion: ray.io/v1, kind: RayJob, metadata: {name: r}, status: {rayClusterName: r-raycluster}}");
    stage.see(1.0, &pod("", "head, labels: {ray.io/cluster: r-raycluster}", "containers: [{name: ray-head}]", "phase: Pending, containerStatuses: [{name: ray-head, restartCount: 0, state: {waiting: {reason: ErrImagePull, message: 'manifest unknown'}}}]"));
    stage.ends("failed image ErrImagePull @ 11", &["Pod/head"]);
}

#[test]
fn an_operator_that_does_nothing_is_told_when_time_is_up() {
    let mut stage = Stage::new(&["kubeflow.org/v1 PyTorchJob/t"]);
    stage.see(1.0, "{apiVersion: kubeflow.org/v1, kind: PyTorchJob, metadata: {name: t}}");
    stage.ends("timed-out timeout Timeout @ 601", &["PyTorchJob/t to end (it has no pods)", "operator"]);
}
