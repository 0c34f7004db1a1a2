//! Containers that don't start, end badly, or come and go.

use super::*;

fn waiting(reason: &str, message: &str) -> String {
    job_pod(
        "Never",
        "Pending",
        &format!("restartCount: 0, state: {{waiting: {{reason: {reason}, message: {}}}}}", json!(message)),
    )
}

#[test]
fn a_missing_secret_key_is_told_after_its_grace() {
    let mut stage = job();
    stage.see(1.0, &waiting("CreateContainerConfigError", "couldn't find key password in Secret ns/db"));
    stage.ends(
        "failed runtime CreateContainerConfigError @ 11",
        &["password", "optional", "container `main` of Pod/j-1"],
    );
}

#[test]
fn a_configuration_that_appears_in_time_is_forgotten() {
    let mut stage = job();
    stage.see(1.0, &waiting("CreateContainerConfigError", "secret \"db\" not found"));
    stage.see(9.0, &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}"));
    stage.see(40.0, JOB_COMPLETE).ends("passed @ 40", &[]);
}

#[test]
fn an_image_that_would_run_as_root_is_told() {
    let mut stage = job();
    let message = "container has runAsNonRoot and image will run as root (pod: \"j-1_ns(1)\", container: main)";
    stage.see(1.0, &waiting("CreateContainerConfigError", message));
    stage.ends("failed runtime CreateContainerConfigError @ 11", &["runAsNonRoot", "runAsUser"]);
}

#[test]
fn a_sub_path_that_cannot_be_prepared_is_told() {
    let mut stage = job();
    stage.see(
        1.0,
        &waiting("CreateContainerConfigError", "failed to prepare subPath for volumeMount \"v\" of container \"main\""),
    );
    stage.ends("failed runtime CreateContainerConfigError @ 11", &["subPath"]);
}

#[test]
fn a_program_that_cannot_be_executed_is_told_without_waiting_for_the_retries() {
    let mut stage = job();
    let ended = "restartCount: 0, state: {terminated: {exitCode: 128, reason: StartError, message: 'exec: \"/run.sh\": permission denied'}}";
    stage.see(1.0, &job_pod("Never", "Failed", ended));
    stage.ends("failed runtime StartError @ 11", &["/run.sh", "permission denied"]);
}

#[test]
fn a_program_that_can_be_executed_by_the_next_pod_is_no_verdict() {
    let mut stage = job();
    let ended = "restartCount: 0, state: {terminated: {exitCode: 128, reason: StartError, message: 'context deadline exceeded'}}";
    stage.see(1.0, &job_pod("Never", "Failed", ended));
    let next = pod("batch/v1 Job/j", "j-2", "restartPolicy: Never", "phase: Running");
    stage.see(8.0, &next).see(200.0, JOB_COMPLETE).ends("passed @ 200", &[]);
}

#[test]
fn a_registry_that_comes_back_is_waited_for() {
    let mut stage = job();
    let message =
        "unexpected status from HEAD request to https://r.example/v2/a/manifests/1: 500 Internal Server Error";
    stage.see(1.0, &waiting("ErrImagePull", message));
    stage.see(15.0, &waiting("ImagePullBackOff", &format!("Back-off pulling image \"a:1\": ErrImagePull: {message}")));
    stage.event(100.0, "Normal", "Pod/j-1{main}", "Pulled", "Successfully pulled image \"a:1\"");
    stage.see(101.0, &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}"));
    stage.see(300.0, JOB_COMPLETE).ends("passed @ 300", &[]);
}

#[test]
fn a_registry_that_stays_away_is_no_fault_of_the_example() {
    let mut stage = job();
    stage.see(1.0, &waiting("ErrImagePull", "toomanyrequests: You have reached your pull rate limit."));
    stage.ends("errored image ErrImagePull @ 121", &["rate limit", "try again"]);
}

#[test]
fn why_a_pull_failed_is_kept_while_an_older_kubelet_only_says_that_it_backs_off() {
    let mut stage = job();
    stage.warn(
        1.0,
        "Pod/j-1{main}",
        "Failed",
        "Failed to pull image \"a:1\": rpc error: code = Unknown desc = unauthorized: authentication required",
    );
    stage.see(1.1, &job_pod("Never", "Pending", "restartCount: 0, state: {waiting: {reason: ContainerCreating}}"));
    stage.see(2.0, &waiting("ImagePullBackOff", "Back-off pulling image \"a:1\""));
    stage.ends("failed image ErrImagePull @ 11.1", &["unauthorized", "pull-secrets"]);
}

#[test]
fn a_pull_that_takes_minutes_does_not_count_as_time_of_the_example() {
    let mut stage = Stage::with(&["batch/v1 Job/j"], |subject| subject.timeout = Duration::from_secs(60));
    stage.see(0.0, JOB);
    stage.see(1.0, &job_pod("Never", "Pending", "restartCount: 0, state: {waiting: {reason: ContainerCreating}}"));
    stage.event(2.0, "Normal", "Pod/j-1{main}", "Pulling", "Pulling image \"a:1\"");
    stage.is_open();
    stage.event(400.0, "Normal", "Pod/j-1{main}", "Pulled", "Successfully pulled image \"a:1\" in 6m38s");
    stage.see(401.0, &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}"));
    stage.ends("timed-out timeout Timeout @ 459", &["1m", "Job/j to end", "1 of 1 pods run"]);
}

#[test]
fn a_pull_has_a_bound_of_its_own() {
    let mut stage = job();
    stage.see(1.0, &job_pod("Never", "Pending", "restartCount: 0, state: {waiting: {reason: ContainerCreating}}"));
    stage.event(2.0, "Normal", "Pod/j-1{main}", "Pulling", "Pulling image \"a:1\"");
    stage.ends("errored image PullTimeout @ 1202", &["20m", "`main`"]);
}

fn crashed(policy: &str, restarts: u32, code: i32, reason: &str) -> String {
    job_pod(
        policy,
        "Running",
        &format!(
            "restartCount: {restarts}, state: {{waiting: {{reason: CrashLoopBackOff, message: back-off}}}}, \
        lastState: {{terminated: {{exitCode: {code}, reason: {reason}}}}}"
        ),
    )
}

#[test]
fn a_container_that_runs_out_of_memory_again_and_again_is_told_as_that() {
    let mut stage = job();
    stage.see(5.0, &crashed("OnFailure", 1, 137, "OOMKilled"));
    stage.is_open();
    stage.see(50.0, &crashed("OnFailure", 3, 137, "OOMKilled"));
    stage.ends("failed runtime OOMKilled @ 50", &["memory", "3 times"]);
}

#[test]
fn a_liveness_probe_that_kills_is_named() {
    let mut stage = job();
    stage.see(1.0, &job_pod("OnFailure", "Running", "restartCount: 0, state: {running: {}}"));
    stage.warn(30.0, "Pod/j-1{main}", "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500");
    stage.see(150.0, &crashed("OnFailure", 3, 137, "Error"));
    stage.ends("failed runtime CrashLoopBackOff @ 150", &["exit code 137", "statuscode: 500", "probe"]);
}

#[test]
fn a_crash_loop_at_the_end_of_the_time_needs_no_more_of_it() {
    let mut stage = Stage::with(&["batch/v1 Job/j"], |subject| subject.timeout = Duration::from_secs(20));
    stage.see(0.0, JOB).see(5.0, &crashed("OnFailure", 1, 3, "Error"));
    let (verdict, text) = stage.end();
    assert_eq!(verdict, "timed-out timeout Timeout @ 25", "{text}");
    for mention in
        ["crashes each time that it is started (exit code 3): read its log", "0 of 1 pods run, 1 in a crash loop"]
    {
        assert!(text.contains(mention), "`{mention}` is not in: {text}");
    }
    assert!(!text.contains("give it more time"), "{text}");
    assert_eq!(stage.verdict.unwrap().culprit.unwrap().container, "main");
}

#[test]
fn pods_that_run_and_are_not_ready_hint_at_their_probe() {
    let mut stage = Stage::with(&["apps/v1 Deployment/web"], |subject| subject.timeout = Duration::from_secs(20));
    let web = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1}, status: {observedGeneration: 1, replicas: 1, unavailableReplicas: 1}}";
    stage.see(0.0, web).see(
        5.0,
        &pod(
            "apps/v1 Deployment/web",
            "web-1",
            "containers: [{name: main, image: \"a:1\", readinessProbe: {httpGet: {port: 80}}}]",
            "phase: Running, containerStatuses: [{name: main, ready: false, restartCount: 0, state: {running: {}}}]",
        ),
    );
    stage
        .ends("timed-out timeout Timeout @ 25", &["container `main` of Pod/web-1 runs, but its readiness probe fails"]);
}

#[test]
fn a_container_that_ends_well_after_restarts_passes() {
    let mut stage = job();
    stage.see(5.0, &crashed("OnFailure", 2, 1, "Error"));
    stage.see(
        40.0,
        &job_pod(
            "OnFailure",
            "Running",
            "restartCount: 3, state: {running: {}}, lastState: {terminated: {exitCode: 1}}",
        ),
    );
    stage.see(
        40.5,
        &job_pod("OnFailure", "Succeeded", "restartCount: 3, state: {terminated: {exitCode: 0, reason: Completed}}"),
    );
    stage.see(42.0, JOB_COMPLETE).ends("passed @ 42", &[]);
}

const SIDECAR: &str =
    "restartPolicy: Never, initContainers: [{name: proxy, restartPolicy: Always}], containers: [{name: main}]";

#[test]
fn a_sidecar_that_crashes_beside_the_work_is_no_verdict() {
    let mut stage = job();
    let status = "phase: Running, initContainerStatuses: [{name: proxy, restartCount: 5, state: {waiting: {reason: CrashLoopBackOff}}, \
        lastState: {terminated: {exitCode: 1, reason: Error}}}], containerStatuses: [{name: main, restartCount: 0, state: {running: {}}}]";
    stage.see(60.0, &pod("batch/v1 Job/j", "j-1", SIDECAR, status));
    stage.see(300.0, JOB_COMPLETE).ends("passed @ 300", &[]);
}

#[test]
fn a_sidecar_that_keeps_the_work_from_starting_is_one() {
    let mut stage = job();
    let status = "phase: Pending, initContainerStatuses: [{name: proxy, restartCount: 3, state: {waiting: {reason: CrashLoopBackOff}}, \
        lastState: {terminated: {exitCode: 1, reason: Error}}}], containerStatuses: [{name: main, restartCount: 0, state: {waiting: {reason: PodInitializing}}}]";
    stage.see(60.0, &pod("batch/v1 Job/j", "j-1", SIDECAR, status));
    stage.ends("failed runtime CrashLoopBackOff @ 60", &["sidecar `proxy`", "3 times"]);
}

#[test]
fn work_that_is_done_passes_though_a_sidecar_lingers() {
    let mut stage = job();
    let status = "phase: Running, initContainerStatuses: [{name: proxy, restartCount: 0, state: {running: {}}}], \
        containerStatuses: [{name: main, restartCount: 0, state: {terminated: {exitCode: 0, reason: Completed}}}]";
    stage.see(60.0, &pod("batch/v1 Job/j", "j-1", SIDECAR, status));
    stage.ends("passed @ 62", &[]);
}

#[test]
fn an_init_container_that_crash_loops_is_told_with_its_name() {
    let mut stage = job();
    let status = "phase: Pending, initContainerStatuses: [{name: setup, restartCount: 3, state: {waiting: {reason: CrashLoopBackOff}}, \
        lastState: {terminated: {exitCode: 2, reason: Error}}}], containerStatuses: [{name: main, restartCount: 0, state: {waiting: {reason: PodInitializing}}}]";
    stage.see(
        60.0,
        &pod(
            "batch/v1 Job/j",
            "j-1",
            "restartPolicy: OnFailure, initContainers: [{name: setup}], containers: [{name: main}]",
            status,
        ),
    );
    stage.ends("failed runtime CrashLoopBackOff @ 60", &["init container `setup`", "exit code 2"]);
}

#[test]
fn a_container_that_fails_beside_one_that_never_ends_is_told() {
    let spec = "restartPolicy: Never, containers: [{name: helper}, {name: main}]";
    let status = "phase: Running, containerStatuses: [{name: helper, restartCount: 0, state: {terminated: {exitCode: 2, reason: Error}}}, \
        {name: main, restartCount: 0, state: {running: {}}}]";
    let mut stage = Stage::new(&["batch/v1 Job/j"]);
    stage.see(0.0, &JOB.replace("backoffLimit: 6", "backoffLimit: 0"));
    stage.see(1.0, &pod("batch/v1 Job/j", "j-1", spec, status));
    stage.ends("failed runtime Error @ 21", &["`helper`", "exit code 2", "run on"]);
    let mut retried = job();
    retried.see(1.0, &pod("batch/v1 Job/j", "j-1", spec, status)).see(300.0, JOB_COMPLETE);
    retried.ends("passed @ 300", &[]);
}

#[test]
fn the_termination_message_is_told() {
    let mut stage = job();
    let ended = "restartCount: 0, state: {terminated: {exitCode: 4, reason: Error, message: \"no data\\nat all\\n\"}}";
    stage.see(1.0, &job_pod("Never", "Failed", ended)).see(2.0, JOB_FAILED);
    stage.ends("failed runtime Error @ 2", &["exit code 4: no data at all", "backoff limit"]);
    let culprit = stage.verdict.unwrap().culprit.unwrap();
    assert_eq!((culprit.pod.as_str(), culprit.container.as_str(), culprit.restart), ("j-1", "main", 0));
}

#[test]
fn a_job_s_failure_that_is_seen_before_its_pod_s_waits_a_moment_for_it() {
    let mut stage = job();
    stage.see(1.0, &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}"));
    stage.see(2.0, JOB_FAILED);
    stage.is_open();
    stage.see(2.3, &job_pod("Never", "Failed", "restartCount: 0, state: {terminated: {exitCode: 9, reason: Error}}"));
    stage.ends("failed runtime Error @ 2.3", &["exit code 9"]);
    let mut silent = job();
    silent.see(2.0, JOB_FAILED).ends("failed runtime BackoffLimitExceeded @ 3", &["Job/j failed"]);
}

#[test]
fn a_pull_that_is_tried_again_and_takes_long_is_waited_for() {
    let mut stage = job();
    stage.see(1.0, &waiting("ErrImagePull", "failed to pull: unexpected EOF"));
    stage.event(15.0, "Normal", "Pod/j-1{main}", "Pulling", "Pulling image \"a:1\"");
    stage.see(400.0, &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}"));
    stage.see(410.0, JOB_COMPLETE).ends("passed @ 410", &[]);
    let mut again = job();
    again.see(1.0, &waiting("ErrImagePull", "failed to pull: unexpected EOF"));
    again.event(15.0, "Normal", "Pod/j-1{main}", "Pulling", "Pulling image \"a:1\"");
    again.see(300.0, &waiting("ErrImagePull", "failed to pull: unexpected EOF"));
    again.ends("errored image ErrImagePull @ 300", &["unexpected EOF"]);
}
