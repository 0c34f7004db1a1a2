//! Hundreds of cells on a cluster in trouble: every verdict is what it is without trouble, memory stays flat, nothing stays.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "common/program.rs"]
mod program;
#[path = "common/repository.rs"]
mod repository;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use example_validator::simulator::{Options, faults::Faults};
use repository::{Simulated, job};
use serde_json::Value as Json;

/// The cells of the long run, and of the short one that it is compared with.
const CELLS: [usize; 2] = [500, 100];
/// How much more memory the long run may need, in KiB: rows, journal and schedule grow with the cells, nothing else may.
const GROWTH: u64 = 48 << 10;
/// What no run of small examples needs, in KiB, in a build without optimisation.
const MOST: u64 = 250 << 10;

const CONFIG: &str = "\
version: 1
cluster: existing
retries: 0
parallel: 12
crds: [crds]
examples:
  - {paths: ['examples/**/*.yaml'], tier: full, timeout: 10m}
  - {paths: ['examples/*-serves.yaml'], expect: running}
  - paths: ['examples/*-check-*.yaml']
    checks:
      - logs: {container: main, matches: 'accuracy=(?P<accuracy>[0-9.]+)'}
      - value: {name: accuracy, min: 0.9}
graces: {image-not-found: 1s, image-transient: 1s, crash-loop-restarts: 3, unschedulable: 1s, create-failed: 1s, config-missing: 1s, running-stable: 1s, suspended: 1s}
";

/// What becomes of a kind of example: outcome, and class and reasons of its cause.
type Expected = (&'static str, &'static str, &'static [&'static str]);

/// The kinds of examples: a name, what it is, what becomes of it.
fn kinds() -> Vec<(&'static str, String, Expected)> {
    const GOOD: Expected = ("passed", "", &[]);
    let image =
        |name: &str, image: &str| job(name, "echo never", "").replace("docker.io/library/busybox:1.37.0", image);
    let pod = |name: &str, spec: &str| format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {spec}\n");
    let main = "image: 'docker.io/library/busybox:1.37.0', name: main";
    vec![
        ("good", job("good", "echo one; echo two", ""), GOOD),
        ("code", job("code", "echo no >&2; exit 3", ""), ("failed", "runtime", &["Error"])),
        (
            "loops",
            job("loops", "exit 1", "")
                .replace("backoffLimit: 0", "backoffLimit: 6")
                .replace("Policy: Never", "Policy: OnFailure"),
            ("failed", "runtime", &["CrashLoopBackOff", "Error"]),
        ),
        (
            "absent",
            image("absent", "127.0.0.1:5055/absent/x:1"),
            ("failed", "image", &["ErrImagePull", "ImagePullBackOff"]),
        ),
        (
            "limited",
            image("limited", "127.0.0.1:5055/limited/x:1"),
            ("errored", "image", &["ErrImagePull", "ImagePullBackOff"]),
        ),
        ("check-holds", job("check-holds", "echo accuracy=0.95", ""), GOOD),
        ("check-fails", job("check-fails", "echo accuracy=0.5", ""), ("failed", "assertion", &[])),
        (
            "serves",
            format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: serves}}\nspec:\n  selector: {{matchLabels: {{app: serves}}}}\n  \
                 template:\n    metadata: {{labels: {{app: serves}}}}\n    spec: {{containers: [{{{main}, command: [sleep, '100000']}}]}}\n"
            ),
            GOOD,
        ),
        (
            "pod",
            pod("bare", &format!("{{restartPolicy: Never, containers: [{{{main}, command: [sh, -c, 'echo bare']}}]}}")),
            GOOD,
        ),
        (
            "huge",
            pod(
                "huge",
                &format!("{{restartPolicy: Never, containers: [{{{main}, resources: {{requests: {{cpu: '900'}}}}}}]}}"),
            ),
            ("failed", "scheduling", &["Unschedulable"]),
        ),
        (
            "config",
            pod(
                "config",
                &format!(
                    "{{restartPolicy: Never, containers: [{{{main}, envFrom: [{{configMapRef: {{name: none}}}}]}}]}}"
                ),
            ),
            ("failed", "runtime", &["CreateContainerConfigError"]),
        ),
        (
            "suspended",
            job("asleep", "echo never", "  suspend: true\n"),
            ("failed", "scheduling", &["Suspended", "JobSuspended"]),
        ),
        (
            "torch",
            format!(
                "apiVersion: kubeflow.org/v1\nkind: PyTorchJob\nmetadata: {{name: torch}}\nspec:\n  pytorchReplicaSpecs:\n    Master:\n      \
                 replicas: 1\n      restartPolicy: Never\n      template:\n        spec: {{containers: [{{{}, command: [sh, -c, 'echo trained']}}]}}\n",
                main.replace("name: main", "name: pytorch")
            ),
            GOOD,
        ),
        (
            "class",
            format!(
                "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {{name: INDEX}}\nvalue: 7\n---\n{}",
                job("classy", "echo ok", "")
            ),
            GOOD,
        ),
    ]
}

/// What a run came to.
struct Ran {
    rows: BTreeMap<String, Json>,
    /// Its greatest resident size, in KiB.
    peak: u64,
}

/// Judges so many examples of all kinds, on a cluster with these faults.
async fn judged(cells: usize, faults: Faults) -> (Ran, Simulated, BTreeMap<String, Expected>) {
    let cluster = Simulated::start(Options { faults, ..Options::default() }).await;
    let root = tempfile::tempdir().unwrap();
    repository::write(root.path(), "config.yml", CONFIG);
    let definition = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/crds/pytorchjobs.yaml");
    repository::write(root.path(), "crds/pytorchjobs.yaml", &std::fs::read_to_string(definition).unwrap());
    let (kinds, mut expected) = (kinds(), BTreeMap::new());
    for index in 0..cells {
        let (name, text, becomes) = &kinds[index % kinds.len()];
        let path = format!("examples/{index:03}-{name}.yaml");
        repository::write(root.path(), &path, &text.replace("INDEX", &format!("class-{index}")));
        expected.insert(path, *becomes);
    }
    let (folder, kubeconfig) = (root.path().to_owned(), cluster.kubeconfig.clone());
    let ran = tokio::task::spawn_blocking(move || run(&folder, &kubeconfig)).await.unwrap();
    (ran, cluster, expected)
}

fn run(root: &Path, kubeconfig: &Path) -> Ran {
    let mut command = program::program(root);
    command.args(["run", "--config", "config.yml", "--quiet", "--no-color", "--output", "out", "--kubeconfig"]);
    let mut child = command.arg(kubeconfig).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let code = loop {
        if let Some(code) = child.try_wait().unwrap() {
            break code;
        }
        // The kernel keeps the greatest size, so that seldom looking misses nothing but the very end.
        peak = peak.max(high_water_mark(&std::fs::read_to_string(&status).unwrap_or_default()));
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(code.code(), Some(1));
    assert!(!root.join("out/journal.jsonl").exists());
    assert!(!repository::members(&root.join("out")).is_empty());
    let report = repository::report(&root.join("out"));
    let rows = report["results"].as_array().unwrap().iter();
    Ran { rows: rows.map(|row| (row["example"].as_str().unwrap().to_owned(), row.clone())).collect(), peak }
}

fn high_water_mark(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn assert_as_expected(ran: &Ran, expected: &BTreeMap<String, Expected>) {
    assert_eq!(ran.rows.len(), expected.len());
    let mut wrong = Vec::new();
    for (example, (outcome, class, reasons)) in expected {
        let row = &ran.rows[example];
        let cause = &row["cause"];
        let as_it_is = if class.is_empty() {
            cause.is_null()
        } else {
            cause["class"] == **class
                && (reasons.is_empty() || reasons.contains(&cause["reason"].as_str().unwrap_or_default()))
        };
        if row["outcome"] != **outcome || !as_it_is || row["attempts"].as_array().unwrap().len() != 1 {
            wrong.push(format!("{example}: {} {cause}", row["outcome"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), expected.len(), wrong.join("\n"));
}

/// A cluster in trouble.
fn trouble(seed: u64) -> Faults {
    Faults {
        seed,
        latency_ms: 1,
        jitter_ms: 10,
        errors: 40,
        lost: 20,
        cut_after_events: Some(400),
        cut_after_ms: Some(10_000),
        gone: 200,
        ..Faults::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_cells_on_a_cluster_in_trouble_are_judged_right_and_leave_nothing() {
    let (long, cluster, expected) = judged(CELLS[0], trouble(1)).await;
    assert_as_expected(&long, &expected);
    assert_eq!(cluster.left(), Vec::<String>::new());
    drop(cluster);
    // Without trouble, and shorter: the same verdicts, and as much memory.
    let (short, cluster, expected) = judged(CELLS[1], Faults::default()).await;
    assert_as_expected(&short, &expected);
    assert_eq!(cluster.left(), Vec::<String>::new());
    println!("{} KiB for {} cells, {} KiB for {}", long.peak, CELLS[0], short.peak, CELLS[1]);
    assert!(long.peak < MOST && long.peak < short.peak + GROWTH, "{} KiB, {} KiB", long.peak, short.peak);
}
