//! Every recorded scenario of built-in kinds, as an example of a small repository that the program judges on a cluster: on the
//! simulator, or unchanged on the cluster of the kubeconfig in `EXAMPLE_VALIDATOR_TEST_KUBECONFIG`, with the image in
//! `EXAMPLE_VALIDATOR_TEST_IMAGE` (any that has a POSIX shell; default `docker.io/library/busybox:1.37.0`).
//!
//! All scenarios are judged by one run, side by side; each test looks at its own row.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value as Json;

/// What stands for the image in the manifests.
const PLACEHOLDER: &str = "example.test/shell:1";
const BUSYBOX: &str = "docker.io/library/busybox:1.37.0";
/// Shorter graces than the default, so that the suite ends in about a minute and a half on a real cluster.
const CONFIG: &str = "\
version: 1
retries: 0
examples:
  - {paths: ['*.yaml'], tier: full, timeout: 3m}
graces: {image-transient: 20s, claim-unbound: 20s, unschedulable: 10s, suspended: 10s}
";

/// Scenarios that a real cluster can't show, and why.
const NOT_ON_A_REAL_CLUSTER: [(&str, &str); 6] = [
    ("image-registry-absent", REGISTRY),
    ("image-registry-auth", REGISTRY),
    ("image-registry-denied", REGISTRY),
    ("image-registry-down", REGISTRY),
    ("image-registry-limited", REGISTRY),
    ("image-registry-tls", REGISTRY),
];
const REGISTRY: &str = "a registry that gives this answer would have to listen on the node";

fn kubeconfig() -> Option<PathBuf> {
    std::env::var_os("EXAMPLE_VALIDATOR_TEST_KUBECONFIG").map(PathBuf::from)
}

/// What became of the one run that judges all scenarios.
static REPORT: LazyLock<Json> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let image = std::env::var("EXAMPLE_VALIDATOR_TEST_IMAGE").unwrap_or_else(|_| BUSYBOX.to_owned());
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/examples");
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap().replace(PLACEHOLDER, &image);
        std::fs::write(folder.path().join(path.file_name().unwrap()), text).unwrap();
    }
    std::fs::write(folder.path().join("config.yml"), CONFIG).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_example-validator"));
    program.current_dir(folder.path()).args(["run", "--config", "config.yml", "--no-color", "--output", "report"]);
    match kubeconfig() {
        Some(path) => program.args(["--cluster", "existing", "--kubeconfig"]).arg(path),
        None => program.args(["--cluster", "simulated"]),
    };
    let done = program.output().unwrap();
    let text = std::fs::read_to_string(folder.path().join("report/report.json"));
    let text = text.unwrap_or_else(|_| panic!("no report: {}", String::from_utf8_lossy(&done.stderr)));
    println!("{}", String::from_utf8_lossy(&done.stdout));
    serde_json::from_str(&text).unwrap()
});

/// Asserts what the scenario was judged as; `class` and `reasons` are empty for one that passes.
fn judged(scenario: &str, outcome: &str, class: &str, reasons: &[&str], mention: &str) {
    if kubeconfig().is_some()
        && let Some((_, why)) = NOT_ON_A_REAL_CLUSTER.iter().find(|(name, _)| *name == scenario)
    {
        eprintln!("skipped on a real cluster: {scenario}: {why}");
        return;
    }
    let rows = REPORT["results"].as_array().unwrap();
    let example = format!("{scenario}.yaml");
    let mine: Vec<_> = rows.iter().filter(|row| row["example"] == example.as_str()).collect();
    assert_eq!(mine.len(), 1, "{scenario}: {rows:#?}");
    let (row, cause) = (mine[0], &mine[0]["cause"]);
    assert_eq!(row["outcome"], outcome, "{cause:#}");
    assert!(row["kubernetes"].is_string(), "{row:#}");
    if outcome == "passed" {
        assert!(cause.is_null(), "{cause:#}");
        return;
    }
    assert_eq!(cause["class"], class, "{cause:#}");
    assert!(reasons.contains(&cause["reason"].as_str().unwrap()), "expected one of {reasons:?}: {cause:#}");
    let text = format!("{} {}", cause["message"].as_str().unwrap(), cause["hint"].as_str().unwrap());
    assert!(text.contains(mention), "expected `{mention}` in {cause:#}");
}

/// One test a scenario.
macro_rules! scenarios {
    ($($test:ident: $name:literal => $outcome:literal $(, $class:literal, [$($reason:literal),+], $mention:literal)?;)+) => {
        $(
            #[test]
            fn $test() {
                let (class, reasons, mention): (&str, &[&str], &str) = ("", &[], "");
                $(let (class, reasons, mention): (&str, &[&str], &str) = ($class, &[$($reason),+], $mention);)?
                judged($name, $outcome, class, reasons, mention);
            }
        )+

        #[test]
        fn every_example_of_the_folder_is_a_scenario() {
            let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/examples");
            let names = [$($name),+];
            for entry in std::fs::read_dir(examples).unwrap() {
                let path = entry.unwrap().path();
                assert!(names.contains(&path.file_stem().unwrap().to_str().unwrap()), "{}", path.display());
            }
        }
    };
}

scenarios! {
    a_bare_pod_that_succeeds_passes: "bare-pod-succeeds" => "passed";
    a_command_that_is_not_there_fails: "command-not-found" => "failed", "runtime", ["StartError", "RunContainerError"], "/no/such/program";
    a_missing_config_map_fails: "configmap-key-missing" => "failed", "runtime", ["CreateContainerConfigError"], "absent-settings";
    a_cron_job_passes_by_its_first_job: "cronjob" => "passed";
    a_daemon_set_passes_when_ready: "daemonset-ready" => "passed";
    a_job_past_its_own_deadline_fails: "deadline-exceeded" => "failed", "runtime", ["DeadlineExceeded"], "5";
    a_deployment_passes_when_available: "deployment-available" => "passed";
    a_deployment_that_never_gets_ready_fails: "deployment-never-ready" => "failed", "runtime", ["ProgressDeadlineExceeded"], "web";
    an_image_of_an_unknown_host_fails: "image-absent" => "failed", "image", ["ErrImagePull", "ImagePullBackOff"], "no such host";
    an_image_name_that_is_none_fails: "image-name-invalid" => "failed", "image", ["InvalidImageName"], "UPPER";
    an_image_that_is_absent_and_never_pulled_fails: "image-never-pull" => "failed", "image", ["ErrImageNeverPull"], "example.test/none:1";
    an_image_that_its_registry_does_not_have_fails: "image-registry-absent" => "failed", "image", ["ErrImagePull", "ImagePullBackOff"], "not found";
    an_image_that_needs_a_login_fails: "image-registry-auth" => "failed", "image", ["ErrImagePull", "ImagePullBackOff"], "";
    an_image_that_is_denied_fails: "image-registry-denied" => "failed", "image", ["ErrImagePull", "ImagePullBackOff"], "403";
    a_registry_that_is_down_is_not_the_examples_fault: "image-registry-down" => "errored", "image", ["ErrImagePull", "ImagePullBackOff"], "503";
    a_registry_that_limits_pulls_is_not_the_examples_fault: "image-registry-limited" => "errored", "image", ["ErrImagePull", "ImagePullBackOff"], "429";
    a_registry_that_refuses_connections_is_not_the_examples_fault: "image-registry-refused" => "errored", "image", ["ErrImagePull", "ImagePullBackOff"], "refused";
    a_registry_without_tls_is_not_the_examples_fault: "image-registry-tls" => "errored", "image", ["ErrImagePull", "ImagePullBackOff"], "";
    an_indexed_job_passes: "indexed-job" => "passed";
    an_init_container_that_fails_fails: "init-container-fails" => "failed", "runtime", ["Error"], "download";
    an_init_containers_absent_image_fails: "init-image-absent" => "failed", "image", ["ErrImagePull", "ImagePullBackOff"], "setup";
    a_crash_loop_fails: "job-crash-loops" => "failed", "runtime", ["CrashLoopBackOff"], "exit code 1";
    an_exit_code_is_named: "job-fails-exit-3" => "failed", "runtime", ["Error"], "exit code 3";
    a_job_fails_after_its_retries: "job-retries-then-fails" => "failed", "runtime", ["Error"], "exit code 1";
    a_job_that_completes_passes: "job-succeeds" => "passed";
    a_native_sidecar_keeps_no_job_from_passing: "native-sidecar" => "passed";
    a_container_out_of_memory_fails: "oom-killed" => "failed", "runtime", ["OOMKilled"], "32Mi";
    what_pod_security_refuses_fails: "pod-security-refused" => "failed", "admission", ["FailedCreate"], "PodSecurity";
    a_claim_that_does_not_exist_fails: "pvc-missing" => "failed", "scheduling", ["Unschedulable"], "absent-claim";
    a_claim_that_nobody_provisions_fails: "pvc-unbound" => "failed", "scheduling", ["Unschedulable"], "data";
    a_quota_that_is_exceeded_fails: "quota-exceeded" => "failed", "admission", ["FailedCreate"], "quota";
    a_service_account_that_does_not_exist_fails: "service-account-missing" => "failed", "admission", ["FailedCreate"], "absent-account";
    a_stateful_set_passes_when_ready: "statefulset-ready" => "passed";
    a_job_that_nobody_resumes_fails: "suspended" => "failed", "scheduling", ["Suspended", "JobSuspended"], "suspend";
    a_job_that_is_deleted_after_its_end_passes: "ttl-deletes-job" => "passed";
    one_of_two_containers_that_fails_is_named: "two-containers-one-fails" => "failed", "runtime", ["Error"], "helper";
    a_pod_larger_than_every_node_fails: "unschedulable-cpu" => "failed", "scheduling", ["Unschedulable"], "cpu";
    a_pod_that_needs_a_gpu_fails_where_there_is_none: "unschedulable-gpu" => "failed", "scheduling", ["Unschedulable"], "nvidia.com/gpu";
    a_volume_of_a_missing_config_map_fails: "volume-configmap-missing" => "failed", "runtime", ["FailedMount"], "absent-files";
}
