//! Crashes that come of another pod that is not there yet, and those that don't.

use super::*;

const WEB: &str = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: app}, spec: {replicas: 1}, status: {observedGeneration: 1}}";
const AVAILABLE: &str = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: app}, spec: {replicas: 1}, status: {updatedReplicas: 1, \
                         availableReplicas: 1, conditions: [{type: Available, status: 'True'}]}}";

fn app(name: &str, run: u32, state: &str) -> String {
    let last = if run == 0 { "" } else { ", lastState: {terminated: {exitCode: 1, reason: Error}}" };
    pod(
        "apps/v1 ReplicaSet/app-1",
        name,
        "restartPolicy: Always, containers: [{name: main}]",
        &format!("phase: Running, containerStatuses: [{{name: main, restartCount: {run}, state: {state}{last}}}]"),
    )
}

/// The runs of a container begin at these moments, each half a second long, as the kubelet's back-off spaces them.
const RUNS: [f64; 6] = [1.0, 2.0, 13.0, 34.0, 75.0, 156.0];

/// The container of a pod of Deployment/app crashes in these of its runs.
fn crashes(stage: &mut Stage, name: &str, runs: std::ops::Range<u32>) {
    for run in runs {
        let at = RUNS[run as usize];
        stage.see(at, &app(name, run, "{running: {}}"));
        let waiting = app(name, run, "{waiting: {reason: CrashLoopBackOff}}");
        let ended = "lastState: {terminated: {exitCode: 1, reason: Error}}";
        let waiting = if run == 0 { waiting.replace("}}}]", &format!("}}}}, {ended}}}]")) } else { waiting };
        stage.see(at + 0.5, &waiting);
    }
}

fn stage() -> Stage {
    let mut stage = Stage::new(&["apps/v1 Deployment/app"]);
    stage.see(0.0, WEB);
    stage
}

/// A pod of the database that the example needs.
fn db(probe: &str, status: &str) -> String {
    pod("apps/v1 ReplicaSet/db-1", "db-1-x", &format!("containers: [{{name: db{probe}}}]"), status)
}

const PROBE: &str = ", readinessProbe: {tcpSocket: {port: 5432}}";
const CREATED: &str =
    "phase: Pending, containerStatuses: [{name: db, restartCount: 0, state: {waiting: {reason: ContainerCreating}}}]";
const STARTED: &str = "phase: Running, conditions: [{type: Ready, status: 'False'}], containerStatuses: [{name: db, restartCount: 0, state: {running: {}}}]";
const READY: &str = "phase: Running, conditions: [{type: Ready, status: 'True'}], containerStatuses: [{name: db, restartCount: 0, state: {running: {}}}]";

#[test]
fn a_crash_for_want_of_a_database_that_is_pulled_and_makes_its_files_waits_for_it() {
    let mut stage = stage();
    stage.see(0.5, &db("", CREATED)).event(0.6, "Normal", "Pod/db-1-x{db}", "Pulling", "Pulling image \"mysql:8\"");
    crashes(&mut stage, "app-1-x", 0..4);
    stage.event(60.0, "Normal", "Pod/db-1-x{db}", "Pulled", "Successfully pulled image \"mysql:8\" in 59s");
    stage.see(61.0, &db("", READY));
    crashes(&mut stage, "app-1-x", 4..5);
    stage.is_open();
    stage.see(156.0, &app("app-1-x", 5, "{running: {}}")).see(157.0, AVAILABLE).ends("passed @ 176", &[]);
}

#[test]
fn a_crash_after_the_database_is_ready_is_told_at_once() {
    let mut stage = stage();
    stage.see(0.5, &db(PROBE, CREATED));
    crashes(&mut stage, "app-1-x", 0..4);
    stage.see(40.0, &db(PROBE, STARTED)).see(66.0, &db(PROBE, READY));
    crashes(&mut stage, "app-1-x", 4..5);
    stage.ends("failed runtime CrashLoopBackOff @ 75.5", &["4 times", "exit code 1"]);
}

#[test]
fn a_run_that_began_before_the_database_was_ready_says_nothing() {
    let mut stage = stage();
    stage.see(0.5, &db(PROBE, CREATED)).see(20.0, &db(PROBE, STARTED));
    crashes(&mut stage, "app-1-x", 0..4);
    stage.see(75.0, &app("app-1-x", 4, "{running: {}}")).see(76.0, &db(PROBE, READY));
    stage.see(77.0, &app("app-1-x", 4, "{waiting: {reason: CrashLoopBackOff}}"));
    stage.is_open();
    stage.see(156.0, &app("app-1-x", 5, "{running: {}}")).see(157.0, AVAILABLE).ends("passed @ 176", &[]);
}

#[test]
fn a_database_that_is_never_ready_is_not_waited_for_long() {
    let mut stage = stage();
    stage.see(0.5, &db(PROBE, CREATED)).see(20.0, &db(PROBE, STARTED));
    crashes(&mut stage, "app-1-x", 0..6);
    stage.ends("failed runtime CrashLoopBackOff @ 156.5", &["5 times"]);
}

#[test]
fn a_database_that_can_never_start_is_waited_for_as_long_as_its_trouble_may_pass() {
    let waits = |message: &str| CREATED.replace("ContainerCreating", &format!("ErrImagePull, message: '{message}'"));
    let mut stage = stage();
    stage.see(0.5, &db("", &waits("manifest unknown")));
    crashes(&mut stage, "app-1-x", 0..4);
    stage.ends("failed runtime CrashLoopBackOff @ 34.5", &["manifest unknown"]);
    let mut passing = self::stage();
    passing.see(0.5, &db("", &waits("503 Service Unavailable")));
    crashes(&mut passing, "app-1-x", 0..4);
    passing.ends("failed runtime CrashLoopBackOff @ 120.5", &["503"]);
}

#[test]
fn a_crash_while_everything_else_is_up_or_done_is_told_at_once() {
    let mut up = stage();
    up.see(0.5, &db("", READY));
    crashes(&mut up, "app-1-x", 0..4);
    up.ends("failed runtime CrashLoopBackOff @ 34.5", &["3 times"]);
    let mut done = stage();
    done.see(0.5, &db("", CREATED)).see(20.0, &db("", "phase: Succeeded"));
    crashes(&mut done, "app-1-x", 0..4);
    done.ends("failed runtime CrashLoopBackOff @ 34.5", &["3 times"]);
    let mut gone = stage();
    gone.see(0.5, &db("", CREATED)).gone(20.0, &db("", CREATED));
    crashes(&mut gone, "app-1-x", 0..4);
    gone.ends("failed runtime CrashLoopBackOff @ 34.5", &["3 times"]);
}

#[test]
fn pods_that_all_crash_do_not_wait_for_each_other() {
    let mut stage = stage();
    for run in 0..4 {
        for name in ["app-1-x", "app-1-y"] {
            stage.see(RUNS[run as usize], &app(name, run, "{running: {}}"));
        }
        stage.see(RUNS[run as usize] + 0.5, &app("app-1-y", run, "{terminated: {exitCode: 1, reason: Error}}"));
        stage.see(RUNS[run as usize] + 0.5, &app("app-1-x", run, "{terminated: {exitCode: 1, reason: Error}}"));
    }
    stage.ends("failed runtime CrashLoopBackOff @ 34.5", &["3 times"]);
    let other = |state: &str| {
        let status = format!(
            "phase: Running, conditions: [{{type: Ready, status: 'True'}}], containerStatuses: [{{name: main, restartCount: 0, state: {state}}}]"
        );
        pod("apps/v1 ReplicaSet/other-1", "other-1-x", "containers: [{name: main}]", &status)
    };
    let mut late = self::stage();
    crashes(&mut late, "app-1-x", 0..2);
    late.see(5.0, &other("{running: {}}")).see(6.0, &other("{terminated: {exitCode: 1, reason: Error}}"));
    crashes(&mut late, "app-1-x", 2..4);
    late.ends("failed runtime CrashLoopBackOff @ 34.5", &["Pod/app-1-x"]);
}

#[test]
fn time_that_is_up_while_a_crash_waits_is_told_by_the_crash() {
    let mut stage = Stage::with(&["apps/v1 Deployment/app"], |subject| subject.timeout = Duration::from_secs(100));
    stage.see(0.0, WEB).see(0.5, &db("", CREATED));
    crashes(&mut stage, "app-1-x", 0..5);
    stage.ends("failed runtime CrashLoopBackOff @ 101", &["time is up (1m40s)", "exit code 1", "4 times"]);
}

#[test]
fn the_pull_that_a_crash_waits_for_has_the_bound_of_a_pull_and_no_time_runs() {
    let mut stage = Stage::with(&["apps/v1 Deployment/app"], |subject| subject.timeout = Duration::from_secs(100));
    stage.see(0.0, WEB).see(0.5, &db("", CREATED));
    stage.event(0.6, "Normal", "Pod/db-1-x{db}", "Pulling", "Pulling image \"mysql:8\"");
    crashes(&mut stage, "app-1-x", 0..6);
    stage.ends("errored image PullTimeout @ 1200.6", &["Pod/db-1-x"]);
}

/// A pod of Job/j whose init container asks for the database.
fn asks(name: &str, failed: bool) -> String {
    let (phase, state) =
        if failed { ("Failed", "{terminated: {exitCode: 1, reason: Error}}") } else { ("Pending", "{running: {}}") };
    pod(
        "batch/v1 Job/j",
        name,
        "restartPolicy: Never, initContainers: [{name: wait}], containers: [{name: main}]",
        &format!("phase: {phase}, initContainerStatuses: [{{name: wait, restartCount: 0, state: {state}}}]"),
    )
}

#[test]
fn pods_that_fail_for_want_of_a_database_wait_for_it_like_containers() {
    let until_up = || {
        let mut stage = job();
        stage.see(0.5, &db(PROBE, CREATED));
        stage.event(0.6, "Normal", "Pod/db-1-x{db}", "Pulling", "Pulling image \"mysql:8\"");
        for (name, at) in [("j-1", 1.0), ("j-2", 12.0), ("j-3", 33.0), ("j-4", 74.0)] {
            stage.see(at, &asks(name, false)).see(at + 1.0, &asks(name, true));
        }
        stage.see(90.0, &db(PROBE, READY));
        stage.is_open();
        stage
    };
    until_up().see(156.0, &asks("j-5", false)).see(200.0, JOB_COMPLETE).ends("passed @ 200", &[]);
    let mut failing = until_up();
    failing.see(156.0, &asks("j-5", false)).see(157.0, &asks("j-5", true));
    failing.ends("failed runtime Error @ 157", &["5 pods", "init container `wait`"]);
}

#[test]
fn a_launcher_waits_for_its_workers_that_are_still_pulled() {
    let member = |name: &str, status: &str| {
        let spec = "restartPolicy: OnFailure, containers: [{name: mpi}]";
        pod("kubeflow.org/v1 MPIJob/m", name, spec, &format!("{status}}}]")).replace("db", "mpi")
    };
    let launcher = |run: u32, state: &str| {
        let last = if run == 0 { "" } else { ", lastState: {terminated: {exitCode: 1, reason: Error}}" };
        member(
            "m-launcher",
            &format!("phase: Running, containerStatuses: [{{name: mpi, restartCount: {run}, state: {state}{last}"),
        )
    };
    let worker = |status: &str| member("m-worker-0", status.trim_end_matches("}]"));
    let mut stage = Stage::new(&["kubeflow.org/v1 MPIJob/m"]);
    stage.see(0.0, "{apiVersion: kubeflow.org/v1, kind: MPIJob, metadata: {name: m}}").see(0.5, &worker(CREATED));
    stage.event(0.6, "Normal", "Pod/m-worker-0{mpi}", "Pulling", "Pulling image \"mpi:1\"");
    for run in 0..4 {
        stage.see(RUNS[run as usize], &launcher(run, "{running: {}}"));
        stage.see(RUNS[run as usize] + 0.5, &launcher(run, "{terminated: {exitCode: 1, reason: Error}}"));
    }
    stage.see(60.0, &worker(READY)).see(75.0, &launcher(4, "{running: {}}"));
    stage.is_open();
    let done = "{apiVersion: kubeflow.org/v1, kind: MPIJob, metadata: {name: m}, status: {conditions: [{type: Succeeded, status: 'True'}]}}";
    stage.see(100.0, done).ends("passed @ 100", &[]);
}
