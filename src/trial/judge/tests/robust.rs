//! Whatever comes, in whatever order: no panic, one verdict, and the same one.

use proptest::prelude::*;

use super::*;

fn junk() -> impl Strategy<Value = Json> {
    let words = prop::sample::select(vec![
        "",
        "Pod",
        "Event",
        "Job",
        "Node",
        "DaemonSet",
        "v1",
        "batch/v1",
        "j",
        "j-1",
        "True",
        "False",
        "Failed",
        "Pending",
        "Running",
        "Warning",
        "FailedMount",
        "PodScheduled",
        "ErrImagePull",
        "Always",
        "é\u{0}…",
        "Pulling",
        "Job-j",
        "Unschedulable",
    ]);
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        words.prop_map(Json::from),
        ".{0,12}".prop_map(Json::from),
    ];
    let keys = prop::sample::select(vec![
        "apiVersion",
        "kind",
        "metadata",
        "name",
        "uid",
        "status",
        "spec",
        "conditions",
        "type",
        "reason",
        "message",
        "containerStatuses",
        "initContainerStatuses",
        "state",
        "lastState",
        "waiting",
        "terminated",
        "running",
        "exitCode",
        "restartCount",
        "ownerReferences",
        "involvedObject",
        "regarding",
        "fieldPath",
        "phase",
        "labels",
        "nodeName",
        "deletionTimestamp",
        "completions",
        "count",
        "volumes",
    ]);
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((keys.clone(), inner), 0..9).prop_map(|entries| Json::Object(
                entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

/// Junk that looks like something: the kinds and names that are judged.
fn disguised() -> impl Strategy<Value = Json> {
    let kinds = prop::sample::select(vec![
        ("v1", "Pod"),
        ("batch/v1", "Job"),
        ("v1", "Event"),
        ("v1", "Node"),
        ("apps/v1", "DaemonSet"),
    ]);
    (junk(), kinds, prop::sample::select(vec!["j", "j-1", "d"])).prop_map(|(mut object, (api_version, kind), name)| {
        if let Some(fields) = object.as_object_mut() {
            fields.insert("apiVersion".into(), json!(api_version));
            fields.insert("kind".into(), json!(kind));
            let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
            if let Some(metadata) = metadata.as_object_mut() {
                metadata.insert("name".into(), json!(name));
            }
        }
        object
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn junk_never_panics(objects in prop::collection::vec((prop_oneof![junk(), disguised()], any::<bool>()), 0..12), companion: bool) {
        let mut stage = Stage::with(&["batch/v1 Job/j", "apps/v1 DaemonSet/d"], |subject| subject.companion = companion);
        stage.judge.applied(s(0.0));
        for (second, (object, gone)) in objects.into_iter().enumerate() {
            let object = Arc::new(object);
            let change = if gone { Change::Gone(object) } else { Change::Seen(object) };
            stage.change(f64::from(u32::try_from(second).unwrap()), &change);
            let _ = stage.judge.waiting_for();
        }
        stage.until(1e7);
        prop_assert!(companion || stage.verdict.is_some(), "an attempt always comes to an end");
    }

    #[test]
    fn a_moment_that_is_told_is_never_before_what_was_seen_when_nothing_is_due(seconds in 0u32..500) {
        let mut stage = job();
        stage.see(f64::from(seconds), &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}"));
        prop_assert!(stage.judge.wake_at().unwrap() > s(f64::from(seconds)));
        prop_assert_eq!(stage.judge.tick(s(f64::from(seconds))), None);
    }
}

#[test]
fn enormous_graces_and_moments_do_not_overflow() {
    let mut stage = Stage::with(&["batch/v1 Job/j"], |subject| {
        subject.graces.image_not_found = Duration::MAX;
        subject.timeout = Duration::MAX;
    });
    stage.see(1.0, JOB).see(
        2.0,
        &job_pod("Never", "Pending", "restartCount: 0, state: {waiting: {reason: ErrImagePull, message: not found}}"),
    );
    assert_eq!(stage.end().0, "none");
}

#[test]
fn an_event_that_comes_before_its_pod_counts_from_the_pod() {
    let mut stage = job();
    stage.warn(
        1.0,
        "Pod/j-1",
        "FailedMount",
        "MountVolume.SetUp failed for volume \"v\" : configmap \"nope\" not found",
    );
    stage.see(3.0, &job_pod("Never", "Pending", "restartCount: 0, state: {waiting: {reason: ContainerCreating}}"));
    stage.ends("failed runtime FailedMount @ 13", &["nope"]);
}

#[test]
fn an_event_of_the_newer_group_is_read_too() {
    let mut stage = job();
    stage.see(1.0, "{apiVersion: events.k8s.io/v1, kind: Event, metadata: {name: e}, type: Warning, reason: FailedCreate, \
                    note: 'Error creating: pods \"j-1\" is forbidden: denied the request', regarding: {kind: Job, name: j, uid: Job-j}}");
    stage.ends("failed admission FailedCreate @ 16", &["denied"]);
}

#[test]
fn a_stale_event_that_is_listed_again_does_not_count() {
    let mut stage = job();
    stage.see(1.0, &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}"));
    stage.warn(2.0, "Pod/j-1{main}", "Failed", "Failed to pull image \"a:1\": not found");
    stage.warn(
        2.0,
        "Pod/j-1",
        "FailedMount",
        "MountVolume.SetUp failed for volume \"v\" : configmap \"nope\" not found",
    );
    stage.event(2.0, "Normal", "Pod/j-1{main}", "Pulling", "Pulling image \"a:1\"");
    stage.warn(2.0, "Pod/j-1", "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.");
    stage.see(100.0, JOB_COMPLETE).ends("passed @ 100", &[]);
}

#[test]
fn the_verdict_is_given_once() {
    let mut stage = job();
    stage.see(2.0, JOB_COMPLETE);
    assert!(stage.verdict.is_some());
    assert_eq!(stage.judge.observe(s(3.0), &Change::Seen(object(JOB_FAILED))), None);
    assert_eq!((stage.judge.tick(s(4.0)), stage.judge.wake_at()), (None, None));
}

#[test]
fn a_thousand_pods_are_judged_in_time() {
    let mut stage = job();
    let started = std::time::Instant::now();
    for index in 0..1000 {
        let name = format!("j-{index}, labels: {{batch.kubernetes.io/job-completion-index: '{index}'}}");
        stage.see(
            1.0,
            &pod(
                "batch/v1 Job/j",
                &name,
                "restartPolicy: Never",
                "phase: Running, containerStatuses: [{name: main, state: {running: {}}}]",
            ),
        );
    }
    stage.see(2.0, JOB_COMPLETE).ends("passed @ 2", &[]);
    // Generous, for slow machines and unoptimised builds: quadratic work with a large factor would take minutes.
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}
