//! What was expected, when the time is up, what disappears, what accompanies a script.

use super::*;
use crate::model::Outcome;

const FAILED_POD: &str = "restartCount: 0, state: {terminated: {exitCode: 1, reason: Error}}";

fn expecting(expect: Expect) -> Stage {
    let mut stage = Stage::with(&["batch/v1 Job/j"], |subject| subject.expect = expect);
    stage.see(0.0, JOB);
    stage
}

#[test]
fn an_example_that_shall_fail_passes_when_its_containers_do() {
    let mut stage = expecting(Expect::Failed);
    stage.see(1.0, &job_pod("Never", "Failed", FAILED_POD)).see(2.0, JOB_FAILED).ends("passed @ 2", &[]);
    expecting(Expect::Failed).see(2.0, JOB_COMPLETE).ends("failed assertion Succeeded @ 2", &["expected to fail"]);
}

#[test]
fn an_example_that_shall_fail_does_not_pass_for_what_its_author_did_not_mean() {
    for (reason, message, verdict) in [
        ("ErrImagePull", "manifest unknown", "failed image ErrImagePull @ 11"),
        ("CreateContainerConfigError", "configmap nope not found", "failed runtime CreateContainerConfigError @ 11"),
    ] {
        let mut stage = expecting(Expect::Failed);
        stage.see(
            1.0,
            &job_pod(
                "Never",
                "Pending",
                &format!("restartCount: 0, state: {{waiting: {{reason: {reason}, message: {message}}}}}"),
            ),
        );
        stage.ends(verdict, &["was expected to fail"]);
    }
}

#[test]
fn what_shall_run_has_to_run_for_the_grace() {
    let mut stage = expecting(Expect::Running);
    let running = JOB.replace("active: 1", "active: 1, ready: 1");
    stage.see(1.0, &job_pod("OnFailure", "Running", "restartCount: 0, state: {running: {}}")).see(2.0, &running);
    stage.see(
        10.0,
        &job_pod(
            "OnFailure",
            "Running",
            "restartCount: 1, state: {running: {}}, lastState: {terminated: {exitCode: 1}}",
        ),
    );
    stage.ends("passed @ 30", &[]);
}

#[test]
fn what_shall_run_may_also_end_well() {
    let mut stage = expecting(Expect::Running);
    stage.see(2.0, JOB_COMPLETE).ends("passed @ 2", &[]);
}

#[test]
fn a_deployment_that_shall_run_has_to_be_ready_all_the_time() {
    let mut stage = Stage::with(&["apps/v1 Deployment/web"], |subject| subject.expect = Expect::Running);
    let web = |available: &str, ready: u32| {
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web}}, spec: {{replicas: 2}}, status: {{readyReplicas: {ready}, \
                 updatedReplicas: 2, availableReplicas: {ready}, conditions: [{{type: Available, status: '{available}'}}]}}}}"
        )
    };
    stage.see(1.0, &web("False", 1)).see(5.0, &web("True", 2)).see(10.0, &web("False", 1)).see(12.0, &web("True", 2));
    stage.ends("passed @ 32", &[]);
}

#[test]
fn what_shall_be_refused_fails_when_it_is_accepted() {
    let mut stage = expecting(Expect::Rejected);
    let verdict = stage.judge.applied(s(1.0)).unwrap();
    let cause = verdict.cause.unwrap();
    assert_eq!((verdict.outcome, cause.class.as_str(), cause.object.as_str()), (Outcome::Failed, "assertion", "Job/j"));
    assert!(cause.message.contains("expected to refuse"));
}

#[test]
fn all_judged_objects_have_to_pass_and_one_that_fails_ends_it() {
    let mut stage = Stage::new(&["batch/v1 Job/j", "batch/v1 Job/k"]);
    stage.see(1.0, JOB_COMPLETE).see(2.0, JOB);
    stage.is_open();
    let other = JOB_COMPLETE.replace("name: j", "name: k");
    stage.see(3.0, JOB_COMPLETE).see(5.0, &other).ends("passed @ 5", &[]);
    let mut failing = Stage::new(&["batch/v1 Job/j", "batch/v1 Job/k"]);
    failing.see(1.0, JOB).see(3.0, &JOB_FAILED.replace("name: j", "name: k"));
    failing.ends("failed runtime BackoffLimitExceeded @ 4", &["Job/k"]);
}

#[test]
fn troubles_of_what_has_succeeded_do_not_matter() {
    let mut stage = Stage::new(&["batch/v1 Job/j", "batch/v1 Job/k"]);
    stage.see(0.0, JOB).see(
        1.0,
        &job_pod("Never", "Pending", "restartCount: 0, state: {waiting: {reason: ErrImagePull, message: not found}}"),
    );
    stage.see(5.0, JOB_COMPLETE).see(60.0, &JOB_COMPLETE.replace("name: j", "name: k")).ends("passed @ 60", &[]);
}

#[test]
fn a_success_counts_though_the_object_is_deleted_after_it() {
    let mut stage = Stage::new(&["batch/v1 Job/j", "batch/v1 Job/k"]);
    stage.see(1.0, JOB_COMPLETE).gone(2.0, JOB_COMPLETE).see(30.0, &JOB_COMPLETE.replace("name: j", "name: k"));
    stage.ends("passed @ 30", &[]);
}

#[test]
fn an_object_that_is_deleted_before_it_ends_is_told() {
    let mut stage = job();
    stage.gone(10.0, JOB).ends("errored cluster Deleted @ 15", &["Job/j was deleted"]);
    let mut again = job();
    again
        .gone(10.0, JOB)
        .see(12.0, &JOB.replace("name: j", "name: j, uid: second"))
        .see(60.0, &JOB_COMPLETE.replace("name: j", "name: j, uid: second"));
    again.ends("passed @ 60", &[]);
}

#[test]
fn the_time_counts_from_the_first_node_and_tells_what_was_waited_for() {
    let mut stage = job();
    stage.see(100.0, &job_pod("Never", "Running", "restartCount: 0, ready: false, state: {running: {}}"));
    stage.warn(
        110.0,
        "Pod/j-1{main}",
        "Unhealthy",
        "Readiness probe failed: dial tcp 10.0.0.1:80: connect: connection refused",
    );
    stage.ends("timed-out timeout Timeout @ 700", &["10m", "Job/j to end", "Readiness probe failed"]);
    assert_eq!(stage.verdict.unwrap().culprit.unwrap().container, "main");
}

#[test]
fn time_that_is_up_before_anything_ran_is_told_by_what_was_waited_for() {
    let mut stage = Stage::with(&["batch/v1 Job/j"], |subject| subject.timeout = Duration::from_secs(20));
    stage.see(0.0, JOB).see(
        1.0,
        &job_pod("Never", "Pending", "restartCount: 0, state: {waiting: {reason: ErrImagePull, message: i/o timeout}}"),
    );
    stage.ends("errored image ErrImagePull @ 21", &["time is up (20s)", "i/o timeout"]);
}

#[test]
fn phases_are_noted_once() {
    let mut stage = job();
    stage.judge.applied(s(0.2));
    stage.see(1.0, &job_pod("Never", "Pending", "restartCount: 0, state: {waiting: {reason: ContainerCreating}}"));
    stage.see(2.0, &JOB.replace("active: 1", "active: 1, ready: 1"));
    stage
        .see(3.0, &job_pod("Never", "Succeeded", "restartCount: 0, state: {terminated: {exitCode: 0}}"))
        .see(4.0, JOB_COMPLETE);
    let phases = stage.judge.phases();
    assert_eq!(
        [phases.applied, phases.scheduled, phases.running, phases.finished].map(Option::unwrap),
        [s(0.2), s(1.0), s(2.0), s(4.0)]
    );
}

fn companion() -> Stage {
    Stage::with(&[], |subject| subject.companion = true)
}

#[test]
fn a_script_s_objects_are_judged_by_failure_alone() {
    let mut stage = companion();
    stage.see(1.0, JOB).see(2.0, JOB_COMPLETE);
    assert_eq!(stage.end().0, "none");
    let mut failing = companion();
    failing.see(1.0, JOB).see(2.0, &job_pod("Never", "Failed", FAILED_POD)).see(3.0, JOB_FAILED);
    failing.ends("failed runtime Error @ 3", &["exit code 1", "Pod/j-1"]);
    let mut stuck = companion();
    stuck.see(1.0, JOB).see(
        2.0,
        &job_pod("Never", "Pending", "restartCount: 0, state: {waiting: {reason: ErrImagePull, message: not found}}"),
    );
    stuck.ends("failed image ErrImagePull @ 12", &[]);
}

#[test]
fn what_a_script_deletes_is_forgotten() {
    let mut stage = companion();
    stage.see(1.0, JOB).see(
        2.0,
        &job_pod("Never", "Pending", "restartCount: 0, state: {waiting: {reason: ErrImagePull, message: not found}}"),
    );
    stage.gone(5.0, JOB);
    assert_eq!(stage.end().0, "none");
}

#[test]
fn the_end_shows_judged_objects_their_pods_and_all_events() {
    let mut stage = job();
    stage.see(1.0, &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}"));
    stage.see(1.0, &pod("apps/v1 ReplicaSet/other-1", "other", "", "phase: Running"));
    stage.event(1.5, "Normal", "Pod/j-1{main}", "Started", "Container started");
    stage
        .see(2.0, JOB_COMPLETE)
        .see(3.0, &job_pod("Never", "Succeeded", "restartCount: 0, state: {terminated: {exitCode: 0}}"));
    assert_eq!(stage.judge.judged().len(), 1);
    let pods = stage.judge.pods();
    assert_eq!(pods.len(), 1);
    assert_eq!(pods[0]["status"]["phase"], "Succeeded", "states after the verdict are noted too");
    assert_eq!(stage.judge.events().len(), 1);
    assert!(stage.judge.kinds_to_watch().contains(&("batch/v1".to_owned(), "Job".to_owned())));
}
