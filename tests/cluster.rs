//! Every recorded scenario of built-in kinds, as an example of a small repository that the program judges on a cluster: that of
//! the kubeconfig in `EXAMPLE_VALIDATOR_TEST_KUBECONFIG`, with the image in `EXAMPLE_VALIDATOR_TEST_IMAGE` (any that has a POSIX
//! shell and is on the node; default `docker.io/library/busybox:1.37.0`), or without it, unchanged, that of
//! `example-validator simulate`.
//!
//! All scenarios are judged by one run, side by side; each test looks at its own row.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what can't be set up is a failure of the test")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, ResourceExt};
use serde_json::Value as Json;

/// What stands for the image in the manifests.
const PLACEHOLDER: &str = "example.test/shell:1";
const BUSYBOX: &str = "docker.io/library/busybox:1.37.0";
/// Shorter graces than the default, so that the suite ends within a minute or two; timeouts that a slow node keeps.
const CONFIG: &str = "\
version: 1
retries: 0
examples:
  - {paths: ['*.yaml'], tier: full, timeout: 5m}
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

/// What containers print: scenario, the end of the log's path in the evidence, its text.
const LOGS: [(&str, &str, &str); 10] = [
    ("indexed-job", "main.log", "shard-"),
    ("init-container-fails", "download.log", "nothing to download\n"),
    ("job-crash-loops", "main.log", "boom\n"),
    ("job-crash-loops", "main.restart-1.log", "boom\n"),
    ("job-fails-exit-3", "main.log", "boom\n"),
    ("job-retries-then-fails", "main.log", "boom\n"),
    ("job-succeeds", "main.log", "training\naccuracy=0.93\n"),
    ("native-sidecar", "proxy.log", "proxy\n"),
    ("ttl-deletes-job", "main.log", "training\naccuracy=0.93\n"),
    ("two-containers-one-fails", "helper.log", "no helper\n"),
];

/// The run that judges all scenarios.
struct Run {
    report: Json,
    /// What its archive of evidence holds.
    evidence: BTreeMap<String, String>,
    /// The namespaces of the run that are still there after it.
    left: Vec<String>,
    console: String,
}

static RUN: LazyLock<Run> = LazyLock::new(|| {
    if let Some(kubeconfig) = real_cluster() {
        return judge_all(&kubeconfig);
    }
    let simulator = Simulator::start();
    judge_all(&simulator.kubeconfig)
});

fn real_cluster() -> Option<PathBuf> {
    std::env::var_os("EXAMPLE_VALIDATOR_TEST_KUBECONFIG").map(PathBuf::from)
}

/// `example-validator simulate`, which ends with this value.
struct Simulator {
    process: Child,
    kubeconfig: PathBuf,
}

impl Simulator {
    fn start() -> Self {
        let program = common::program(Path::new(".")).arg("simulate").stdout(Stdio::piped()).spawn();
        let mut simulator = Self { process: program.unwrap(), kubeconfig: PathBuf::new() };
        let output = simulator.process.stdout.as_mut().unwrap();
        let line = BufReader::new(output).lines().map(Result::unwrap).find_map(|line| {
            let path = line.trim().strip_prefix("kubeconfig")?.trim();
            Some(PathBuf::from(path))
        });
        simulator.kubeconfig = line.expect("it tells where its kubeconfig is");
        simulator
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let id = self.process.id().to_string();
        // By SIGTERM, so that it takes its kubeconfig along; by force if that fails.
        if !Command::new("kill").arg(id).status().is_ok_and(|status| status.success()) {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

fn judge_all(kubeconfig: &Path) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let image = std::env::var("EXAMPLE_VALIDATOR_TEST_IMAGE").unwrap_or_else(|_| BUSYBOX.to_owned());
    for path in examples() {
        let text = std::fs::read_to_string(&path).unwrap().replace(PLACEHOLDER, &image);
        std::fs::write(folder.path().join(path.file_name().unwrap()), text).unwrap();
    }
    std::fs::write(folder.path().join("config.yml"), CONFIG).unwrap();
    let kubeconfig = std::path::absolute(kubeconfig).unwrap();
    let flags = ["run", "--config", "config.yml", "--no-color", "--output", "report", "--cluster", "existing"];
    let arguments: Vec<_> = flags.into_iter().chain(["--kubeconfig", kubeconfig.to_str().unwrap()]).collect();
    // Examples fail, so that the run does.
    let done = common::run(folder.path(), &arguments, 1);
    let console = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    println!("{console}");
    let report: Json =
        serde_json::from_slice(&std::fs::read(folder.path().join("report/report.json")).unwrap()).unwrap();
    let left = left(&kubeconfig, report["run"]["id"].as_str().unwrap());
    Run { evidence: evidence(&folder.path().join("report/evidence.zip")), report, left, console }
}

fn examples() -> impl Iterator<Item = PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/examples");
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())
}

/// The files of the archive that are texts.
fn evidence(path: &Path) -> BTreeMap<String, String> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let names: Vec<_> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    let texts = names.into_iter().map(|name| {
        let text = std::io::read_to_string(archive.by_name(&name).unwrap()).unwrap();
        (name, text)
    });
    texts.collect()
}

/// The namespaces with the label of the run.
fn left(kubeconfig: &Path, run: &str) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let file = Kubeconfig::read_from(kubeconfig).unwrap();
        let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
        let namespaces: Api<Namespace> = Api::all(Client::try_from(config).unwrap());
        let of_run = ListParams::default().labels(&format!("example-validator.dev/run={run}"));
        namespaces.list(&of_run).await.unwrap().iter().map(ResourceExt::name_any).collect()
    })
}

fn is_skipped(scenario: &str) -> bool {
    let why = NOT_ON_A_REAL_CLUSTER.iter().find(|(name, _)| *name == scenario).filter(|_| real_cluster().is_some());
    if let Some((_, why)) = why {
        println!("skipped on a real cluster: {scenario}: {why}");
    }
    why.is_some()
}

/// A cause: its class, its reason (one of these), and what its message or hint mentions.
type Why = (&'static str, &'static [&'static str], &'static str);

/// Asserts what the scenario was judged as, and why if it did not pass.
fn judged(scenario: &str, outcome: &str, why: Option<&Why>) {
    if is_skipped(scenario) {
        return;
    }
    let rows = RUN.report["results"].as_array().unwrap();
    let example = format!("{scenario}.yaml");
    let mine: Vec<_> = rows.iter().filter(|row| row["example"] == example.as_str()).collect();
    assert_eq!(mine.len(), 1, "{scenario}: {rows:#?}");
    let (row, cause) = (mine[0], &mine[0]["cause"]);
    assert_eq!(row["outcome"], outcome, "{cause:#}");
    assert!(row["kubernetes"].is_string(), "{row:#}");
    let Some((class, reasons, mention)) = why else {
        assert!(cause.is_null(), "{cause:#}");
        return;
    };
    assert_eq!(cause["class"], *class, "{cause:#}");
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
                let why: &[Why] = &[$(($class, &[$($reason),+], $mention))?];
                judged($name, $outcome, why.first());
            }
        )+

        #[test]
        fn every_example_of_the_folder_is_a_scenario() {
            let names = [$($name),+];
            for path in examples() {
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
    a_cron_job_whose_time_is_far_is_started_by_hand: "cronjob-nightly" => "passed";
    a_daemon_set_passes_when_ready: "daemonset-ready" => "passed";
    a_job_past_its_own_deadline_fails: "deadline-exceeded" => "failed", "runtime", ["DeadlineExceeded"], "5";
    a_deployment_passes_when_available: "deployment-available" => "passed";
    a_deployment_that_never_gets_ready_fails: "deployment-never-ready" => "failed", "runtime", ["ProgressDeadlineExceeded"], "web";
    an_image_of_an_unknown_host_fails: "image-absent" => "failed", "image", ["ErrImagePull", "ImagePullBackOff"], "no such host";
    an_image_name_that_is_none_fails: "image-name-invalid" => "failed", "image", ["InvalidImageName"], "UPPER";
    an_image_that_is_absent_and_never_pulled_fails: "image-never-pull" => "failed", "image", ["ErrImageNeverPull"], "example.test/none:1";
    an_image_that_its_registry_does_not_have_fails: "image-registry-absent" => "failed", "image", ["ErrImagePull", "ImagePullBackOff"], "not found";
    an_image_that_needs_a_login_fails: "image-registry-auth" => "failed", "image", ["ErrImagePull", "ImagePullBackOff"], "denied";
    an_image_that_is_denied_fails: "image-registry-denied" => "failed", "image", ["ErrImagePull", "ImagePullBackOff"], "403";
    a_registry_that_is_down_is_not_the_examples_fault: "image-registry-down" => "errored", "image", ["ErrImagePull", "ImagePullBackOff"], "503";
    a_registry_that_limits_pulls_is_not_the_examples_fault: "image-registry-limited" => "errored", "image", ["ErrImagePull", "ImagePullBackOff"], "429";
    a_registry_that_refuses_connections_is_not_the_examples_fault: "image-registry-refused" => "errored", "image", ["ErrImagePull", "ImagePullBackOff"], "refused";
    a_registry_without_tls_is_not_the_examples_fault: "image-registry-tls" => "errored", "image", ["ErrImagePull", "ImagePullBackOff"], "tls";
    an_indexed_job_passes: "indexed-job" => "passed";
    an_init_container_that_fails_fails: "init-container-fails" => "failed", "runtime", ["Error"], "download";
    an_init_containers_absent_image_fails: "init-image-absent" => "failed", "image", ["ErrImagePull", "ImagePullBackOff"], "setup";
    a_crash_loop_fails: "job-crash-loops" => "failed", "runtime", ["CrashLoopBackOff"], "exit code 1";
    an_exit_code_is_named: "job-fails-exit-3" => "failed", "runtime", ["Error"], "exit code 3";
    a_job_fails_after_its_retries: "job-retries-then-fails" => "failed", "runtime", ["Error"], "exit code 1";
    a_job_that_completes_passes: "job-succeeds" => "passed";
    a_native_sidecar_keeps_no_job_from_passing: "native-sidecar" => "passed";
    a_container_out_of_memory_fails: "oom-killed" => "failed", "runtime", ["OOMKilled"], "32Mi";
    a_job_that_runs_for_a_while_passes: "resources-sampled" => "passed";
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

#[test]
fn what_containers_print_is_evidence() {
    for (scenario, log, text) in LOGS {
        let start = format!("/{scenario}.yaml/attempt-1/");
        let mine: Vec<_> = RUN
            .evidence
            .iter()
            .filter(|(path, _)| path.contains(&start) && path.ends_with(&format!(".{log}")))
            .collect();
        assert!(!mine.is_empty(), "{scenario} has no {log}: {:?}", RUN.evidence.keys());
        assert!(mine.iter().all(|(_, found)| found.starts_with(text)), "{scenario}: {mine:?}");
    }
}

#[test]
fn what_a_failed_container_printed_last_is_its_cause() {
    for (scenario, line) in [("job-fails-exit-3", "boom"), ("init-container-fails", "nothing to download")] {
        let rows = RUN.report["results"].as_array().unwrap();
        let row = rows.iter().find(|row| row["example"] == format!("{scenario}.yaml")).unwrap();
        assert!(row["cause"]["message"].as_str().unwrap().contains(line), "{row:#}");
    }
}

#[test]
fn every_attempt_leaves_its_objects_events_and_verdict() {
    for row in RUN.report["results"].as_array().unwrap() {
        let folder = row["evidence"].as_str().unwrap();
        for file in ["events.json", "verdict.json", "objects/"] {
            let start = format!("{folder}/{file}");
            assert!(RUN.evidence.keys().any(|path| path.starts_with(&start)), "{start}: {:?}", RUN.evidence.keys());
        }
    }
}

#[test]
fn samples_are_really_read_from_the_kubelet() {
    let rows = RUN.report["results"].as_array().unwrap();
    let row = rows.iter().find(|row| row["example"] == "resources-sampled.yaml").unwrap();
    let used = &row["resources"];
    assert_eq!((&used["source"], &used["note"]), (&"kubelet".into(), &"".into()), "{used:#}");
    assert!(used["samples"].as_u64().unwrap() > 0 && used["memoryPeakBytes"].as_u64().unwrap() > 0, "{used:#}");
    let main = &used["pods"][0];
    assert_eq!((&main["container"], &main["memoryRequestBytes"]), (&"main".into(), &(16 << 20).into()));
    assert!(main["memoryPeakBytes"].as_u64().unwrap() > 0, "{main:#}");
    let evidence = format!("{}/resources.json", row["evidence"].as_str().unwrap());
    assert!(RUN.evidence[&evidence].contains("\"memoryBytes\""));
}

#[test]
fn a_simulated_cluster_is_told_even_where_it_is_reached_by_a_kubeconfig() {
    let is_simulated = real_cluster().is_none();
    assert_eq!(RUN.report["run"]["simulated"], is_simulated);
    assert_eq!(RUN.report["summary"]["conclusion"], if is_simulated { "simulated" } else { "failure" });
    assert_eq!(RUN.console.contains("Simulated: "), is_simulated, "{}", RUN.console);
}

#[test]
fn no_namespace_of_the_run_is_left() {
    assert!(RUN.left.is_empty(), "{:?}", RUN.left);
    assert!(!RUN.console.contains("not deleted yet"), "{}", RUN.console);
}
