//! The built-in frameworks against literal statuses, and against what real clusters recorded.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::*;
use crate::yaml;

/// The state that the built-in framework of its kind sees in an object of this apiVersion and kind, with `rest` as its
/// other keys in YAML.
fn state(api_version: &str, kind: &str, rest: &str) -> State {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let framework = Frameworks::default().describe(group, version, kind).unwrap();
    let object = yaml::parse(rest).documents.first().map_or(json!({}), |document| document.root.to_json());
    framework.state(&object).unwrap_or_else(|error| panic!("{kind} {rest}: {error}"))
}

/// `status.conditions` of these types, True unless marked with `!`.
fn conditions(types: &str) -> String {
    let items = types.split_whitespace().map(|word| match word.strip_prefix('!') {
        Some(name) => format!("{{type: {name}, status: 'False', reason: Any}}"),
        None => format!("{{type: {word}, status: 'True', reason: Any}}"),
    });
    format!("status: {{conditions: [{}]}}", items.collect::<Vec<_>>().join(", "))
}

#[track_caller]
fn states(api_version: &str, kind: &str, cases: &[(&str, State)]) {
    for (rest, expected) in cases {
        assert_eq!(state(api_version, kind, rest), *expected, "{kind}: {rest}");
    }
    assert_eq!(state(api_version, kind, "spec: {}"), State::Pending, "{kind} without a status");
}

#[test]
fn training_operator_jobs_are_judged_by_condition_types_and_failed_wins() {
    for (version, kind) in [
        ("v1", "PyTorchJob"),
        ("v1", "TFJob"),
        ("v1", "XGBoostJob"),
        ("v1", "PaddleJob"),
        ("v1", "JAXJob"),
        ("v1", "MPIJob"),
        ("v2beta1", "MPIJob"),
    ] {
        states(
            &format!("kubeflow.org/{version}"),
            kind,
            &[
                (&conditions("Created"), State::Pending),
                (&conditions("Created Running"), State::Running),
                (&conditions("Created !Running Succeeded"), State::Succeeded),
                (&conditions("Created !Running Failed"), State::Failed),
                (&conditions("Created !Running Succeeded Failed"), State::Failed),
                (&conditions("Created !Running Restarting"), State::Pending),
                (&conditions("Created Suspended"), State::Suspended),
                (&conditions("Created !Suspended Running"), State::Running),
                ("spec: {runPolicy: {suspend: true}}", State::Suspended),
                ("spec: {runPolicy: {suspend: false}}", State::Pending),
            ],
        );
    }
}

#[test]
fn kueue_holds_a_job_back_until_it_is_unsuspended() {
    let queued = "metadata: {labels: {kueue.x-k8s.io/queue-name: user-queue}}\nspec: {suspend: true}\n";
    let gated = "metadata: {labels: {kueue.x-k8s.io/queue-name: q}}\n\
                 spec: {schedulingGates: [{name: kueue.x-k8s.io/admission}]}\nstatus: {phase: Pending}\n";
    assert_eq!(state("batch/v1", "Job", queued), State::Suspended);
    assert_eq!(state("jobset.x-k8s.io/v1alpha2", "JobSet", queued), State::Suspended);
    assert_eq!(state("batch/v1", "Job", &queued.replace("true", "false")), State::Pending);
    assert_eq!(state("v1", "Pod", gated), State::Suspended);
}

#[test]
fn jobs_finish_by_complete_and_fail_as_soon_as_their_failure_is_certain() {
    states(
        "batch/v1",
        "Job",
        &[
            ("status: {active: 1, ready: 0}", State::Pending),
            ("status: {active: 1, ready: 1}", State::Running),
            (&conditions("SuccessCriteriaMet Complete"), State::Succeeded),
            (&conditions("SuccessCriteriaMet"), State::Pending),
            (&conditions("FailureTarget"), State::Failed),
            (&conditions("FailureTarget Failed"), State::Failed),
            (&format!("spec: {{suspend: true}}\n{}", conditions("Complete")), State::Succeeded),
            (&conditions("Suspended"), State::Suspended),
        ],
    );
}

#[test]
fn a_cron_job_succeeds_with_its_first_job() {
    states(
        "batch/v1",
        "CronJob",
        &[
            ("status: {lastScheduleTime: x, active: [{name: a}]}", State::Running),
            ("status: {lastScheduleTime: x}", State::Pending),
            ("status: {lastScheduleTime: x, lastSuccessfulTime: y}", State::Succeeded),
            ("spec: {suspend: true}", State::Suspended),
        ],
    );
}

#[test]
fn a_pod_that_restarts_always_passes_when_it_is_ready_and_others_when_they_end() {
    let ready = conditions("Ready").replace("{conditions", "{phase: Running, conditions");
    states(
        "v1",
        "Pod",
        &[
            ("status: {phase: Running}", State::Running),
            ("status: {phase: Succeeded}", State::Succeeded),
            ("status: {phase: Failed}", State::Failed),
            (&format!("spec: {{}}\n{ready}"), State::Succeeded),
            (&format!("spec: {{restartPolicy: Always}}\n{ready}"), State::Succeeded),
            (&format!("spec: {{restartPolicy: Never}}\n{ready}"), State::Running),
            (&format!("spec: {{restartPolicy: OnFailure}}\n{ready}"), State::Running),
        ],
    );
}

#[test]
fn workloads_that_do_not_finish_succeed_when_all_of_their_pods_are_ready() {
    states(
        "apps/v1",
        "Deployment",
        &[
            (
                "spec: {replicas: 2}\nstatus: {updatedReplicas: 2, readyReplicas: 1, availableReplicas: 1, conditions: \
                 [{type: Available, status: 'True'}]}",
                State::Running,
            ),
            (
                "spec: {replicas: 2}\nstatus: {updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2, conditions: \
                 [{type: Available, status: 'True'}]}",
                State::Succeeded,
            ),
            (&format!("spec: {{replicas: 0}}\n{}", conditions("Available Progressing")), State::Succeeded),
            (&format!("spec: {{replicas: 1}}\n{}", conditions("!Available !Progressing")), State::Failed),
        ],
    );
    states(
        "apps/v1",
        "StatefulSet",
        &[
            (
                "spec: {replicas: 2}\nstatus: {observedGeneration: 1, readyReplicas: 1, updatedReplicas: 2}",
                State::Running,
            ),
            (
                "spec: {replicas: 2}\nstatus: {observedGeneration: 1, readyReplicas: 2, updatedReplicas: 2}",
                State::Succeeded,
            ),
            ("spec: {replicas: 0}\nstatus: {replicas: 0, availableReplicas: 0}", State::Pending),
        ],
    );
    states(
        "apps/v1",
        "DaemonSet",
        &[
            (
                "status: {desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberReady: 1, numberAvailable: 1}",
                State::Running,
            ),
            ("status: {desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2}", State::Succeeded),
            ("status: {desiredNumberScheduled: 0, updatedNumberScheduled: 0, numberAvailable: 0}", State::Pending),
        ],
    );
    for (api_version, kind) in [("apps/v1", "ReplicaSet"), ("v1", "ReplicationController")] {
        states(
            api_version,
            kind,
            &[
                ("spec: {replicas: 1}\nstatus: {observedGeneration: 1, readyReplicas: 1}", State::Running),
                ("spec: {replicas: 1}\nstatus: {observedGeneration: 1, availableReplicas: 1}", State::Succeeded),
                (&conditions("ReplicaFailure"), State::Pending),
            ],
        );
    }
}

#[test]
fn a_train_job_runs_while_its_jobs_are_ready() {
    states(
        "trainer.kubeflow.org/v1alpha1",
        "TrainJob",
        &[
            ("status: {jobsStatus: [{name: node, active: 1, ready: 0}]}", State::Pending),
            ("status: {jobsStatus: [{name: init, ready: 0}, {name: node, ready: 1}]}", State::Running),
            (&conditions("Suspended"), State::Suspended),
            (&conditions("!Suspended Complete"), State::Succeeded),
            (&conditions("Failed"), State::Failed),
        ],
    );
}

#[test]
fn a_job_set_completes_fails_or_is_suspended() {
    states(
        "jobset.x-k8s.io/v1alpha2",
        "JobSet",
        &[
            ("status: {replicatedJobsStatus: [{name: w, ready: 2}]}", State::Running),
            (&conditions("StartupPolicyCompleted"), State::Pending),
            (&conditions("Completed"), State::Succeeded),
            (&conditions("Failed"), State::Failed),
            (&conditions("Suspended"), State::Suspended),
        ],
    );
}

#[test]
fn ray_kinds_are_judged_by_their_status_words() {
    states(
        "ray.io/v1",
        "RayJob",
        &[
            ("status: {jobDeploymentStatus: Initializing}", State::Pending),
            ("status: {jobStatus: RUNNING, jobDeploymentStatus: Running}", State::Running),
            ("status: {jobStatus: SUCCEEDED, jobDeploymentStatus: Complete}", State::Succeeded),
            ("status: {jobStatus: FAILED}", State::Failed),
            ("status: {jobStatus: STOPPED, jobDeploymentStatus: Complete}", State::Failed),
            ("status: {jobStatus: FAILED, jobDeploymentStatus: Retrying}", State::Pending),
            ("status: {jobDeploymentStatus: ValidationFailed}", State::Failed),
            ("spec: {suspend: true}", State::Suspended),
            ("spec: {suspend: false}\nstatus: {jobDeploymentStatus: Suspended}", State::Suspended),
        ],
    );
    states(
        "ray.io/v1",
        "RayCluster",
        &[
            (&conditions("HeadPodReady !RayClusterProvisioned"), State::Running),
            (&conditions("HeadPodReady RayClusterProvisioned"), State::Succeeded),
            ("status: {state: ready}", State::Succeeded),
            ("status: {state: failed}", State::Failed),
            ("status: {state: suspended}", State::Suspended),
        ],
    );
    states(
        "ray.io/v1",
        "RayService",
        &[
            ("status: {activeServiceStatus: {rayClusterName: a}}", State::Running),
            ("status: {serviceStatus: Running}", State::Succeeded),
            (&conditions("Ready"), State::Succeeded),
            ("status: {pendingServiceStatus: {applicationStatuses: {app: {status: DEPLOY_FAILED}}}}", State::Failed),
            ("status: {pendingServiceStatus: {applicationStatuses: {app: {status: DEPLOYING}}}}", State::Pending),
            ("status: {activeServiceStatus: {applicationStatuses: {app: {status: DEPLOY_FAILED}}}}", State::Failed),
        ],
    );
}

#[test]
fn volcano_spark_katib_and_argo_are_judged_in_their_own_words() {
    states(
        "batch.volcano.sh/v1alpha1",
        "Job",
        &[
            ("status: {state: {phase: Pending}}", State::Pending),
            ("status: {state: {phase: Running}}", State::Running),
            ("status: {state: {phase: Completed}}", State::Succeeded),
            ("status: {state: {phase: Aborted}}", State::Failed),
            ("status: {state: {phase: Failed}}", State::Failed),
        ],
    );
    states(
        "sparkoperator.k8s.io/v1beta2",
        "SparkApplication",
        &[
            ("status: {applicationState: {state: SUBMITTED}}", State::Pending),
            ("status: {applicationState: {state: RUNNING}}", State::Running),
            ("status: {applicationState: {state: COMPLETED}}", State::Succeeded),
            ("status: {applicationState: {state: FAILING}}", State::Pending),
            ("status: {applicationState: {state: FAILED}}", State::Failed),
            ("spec: {suspend: true}", State::Suspended),
        ],
    );
    states(
        "kubeflow.org/v1beta1",
        "Experiment",
        &[
            (&conditions("Created Running"), State::Running),
            (&conditions("Created !Running Succeeded"), State::Succeeded),
            (&conditions("Created !Running Failed"), State::Failed),
        ],
    );
    states(
        "argoproj.io/v1alpha1",
        "Workflow",
        &[
            ("status: {phase: Running}", State::Running),
            ("status: {phase: Succeeded}", State::Succeeded),
            ("status: {phase: Error}", State::Failed),
            ("status: {phase: Failed}", State::Failed),
            ("spec: {suspend: true}\nstatus: {phase: Running}", State::Suspended),
        ],
    );
}

#[test]
fn the_mpi_job_of_each_version_has_its_own_container() {
    let container = |version: &str| {
        let framework = Frameworks::default().describe("kubeflow.org", version, "MPIJob").unwrap();
        (framework.container.clone().unwrap(), framework.container_required)
    };
    assert_eq!(container("v1"), ("mpi".to_owned(), false));
    assert_eq!(container("v2beta1"), ("mpi-launcher".to_owned(), false));
    let pytorch = Frameworks::default().describe("kubeflow.org", "v1", "PyTorchJob").unwrap();
    assert_eq!((pytorch.container.as_deref(), pytorch.container_required), (Some("pytorch"), true));
}

#[test]
fn a_user_framework_goes_first_and_inherits_what_it_leaves_out() {
    let raw = |json: Json| serde_json::from_value::<RawFramework>(json).unwrap();
    let slow = raw(json!({"name": "slow", "match": {"group": "kubeflow.org", "kind": "PyTorchJob"}, "timeout": "2h"}));
    let own = raw(
        json!({"name": "own", "match": {"group": "example.com", "kind": "Train"}, "succeeded": "object.status.n == 1"}),
    );
    let user = [Framework::try_from(slow).unwrap(), Framework::try_from(own).unwrap()];
    let frameworks = Frameworks::new(&user);
    let slow = frameworks.describe("kubeflow.org", "v1", "PyTorchJob").unwrap();
    assert_eq!(
        (slow.name.as_str(), slow.container.as_deref(), slow.timeout.as_secs()),
        ("slow", Some("pytorch"), 7200)
    );
    assert_eq!(
        slow.state(&json!({"status": {"conditions": [{"type": "Failed", "status": "True"}]}})),
        Ok(State::Failed)
    );
    let own = frameworks.describe("example.com", "v7", "Train").unwrap();
    assert!(own.finishes);
    assert_eq!(own.state(&json!({"status": {"n": 1}})), Ok(State::Succeeded));
    assert_eq!(own.state(&json!({"status": {"n": 2, "phase": "Failed"}})), Ok(State::Failed));
}

#[test]
fn a_bad_framework_is_refused_with_the_key_that_is_wrong() {
    let key = |change: Json| {
        let mut json = json!({"name": "x", "match": {"group": "example.com", "kind": "X"}});
        json.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Framework::try_from(serde_json::from_value::<RawFramework>(json).unwrap()).map(|_| ()).unwrap_err().key
    };
    assert_eq!(key(json!({"name": " "})), "name");
    assert_eq!(key(json!({"match": {"kind": ""}})), "match");
    assert_eq!(key(json!({"match": {"group": "ray.io/v1", "kind": "X"}})), "match");
    assert_eq!(key(json!({"succeeded": "object.status.phase ="})), "succeeded");
    assert_eq!(key(json!({"suspended": "self.spec.suspend"})), "suspended");
    assert_eq!(key(json!({"timeout": "soon"})), "timeout");
    assert_eq!(key(json!({"pods": "a={status.b"})), "pods");
}

#[test]
fn unknown_keys_of_a_framework_are_refused() {
    let json = json!({"name": "x", "match": {"kind": "X"}, "suceeded": "true"});
    assert!(serde_json::from_value::<RawFramework>(json).unwrap_err().to_string().contains("`suceeded`"));
}

#[test]
fn the_pod_selector_is_filled_in_from_the_object() {
    let framework = Frameworks::default().describe("ray.io", "v1", "RayJob").unwrap();
    let object = json!({"status": {"rayClusterName": "raycluster-x"}});
    assert_eq!(framework.pod_selector(&object).as_deref(), Some("ray.io/cluster=raycluster-x"));
    assert_eq!(framework.pod_selector(&json!({"status": {}})), None);
    assert_eq!(Frameworks::default().describe("batch", "v1", "Job").unwrap().pod_selector(&object), None);
}

/// The last state of each object of a recording that a framework describes, keyed `Kind/name`.
fn recorded(folder: &Path) -> BTreeMap<String, State> {
    let frameworks = Frameworks::default();
    let text = std::fs::read_to_string(folder.join("watch.jsonl")).unwrap();
    let mut states = BTreeMap::new();
    for line in text.lines() {
        let record: Json = serde_json::from_str(line).unwrap();
        let object = &record["object"];
        let word = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        let (api_version, kind) = (word(&object["apiVersion"]), word(&object["kind"]));
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        if record["type"] == "BOOKMARK" {
            continue;
        }
        if let Some(framework) = frameworks.describe(group, version, &kind) {
            let state = framework.state(object).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            states.insert(format!("{kind}/{}", word(&object["metadata"]["name"])), state);
        }
    }
    states
}

/// Scenarios that their own object does not decide: its pods, or the API server's refusal, do.
const DECIDED_ELSEWHERE: &[&str] = &["native-sidecar", "mpijob-invalid"];

#[test]
fn recorded_objects_end_in_the_state_that_their_scenario_expects() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings");
    let Ok(expected) = std::fs::read_to_string(root.join("expected.json")) else {
        eprintln!("skipped: no ../shared/recordings");
        return;
    };
    let expected: Json = serde_json::from_str(&expected).unwrap();
    let (mut passed, mut others) = (0, 0);
    for (name, scenario) in expected["scenarios"].as_object().unwrap() {
        let folder = root.join(name);
        if DECIDED_ELSEWHERE.contains(&name.as_str()) || !folder.join("watch.jsonl").exists() {
            continue;
        }
        let manifest = yaml::parse(&std::fs::read_to_string(folder.join("manifest.yaml")).unwrap());
        let states = recorded(&folder);
        for document in &manifest.documents {
            let word = |keys: &[&str]| document.root.at(keys).and_then(yaml::Node::as_str).unwrap_or_default();
            let Some(state) = states.get(&format!("{}/{}", word(&["kind"]), word(&["metadata", "name"]))) else {
                continue;
            };
            if scenario["outcome"] == "passed" {
                assert_eq!(*state, State::Succeeded, "{name}");
                passed += 1;
            } else {
                assert_ne!(*state, State::Succeeded, "{name}");
                others += 1;
            }
            if name.ends_with("suspended") {
                assert_eq!(*state, State::Suspended, "{name}");
            }
        }
    }
    assert!(passed >= 20 && others >= 25, "only {passed} passed and {others} other objects were seen");
}
