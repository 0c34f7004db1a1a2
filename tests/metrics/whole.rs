//! Metrics checks through the real program, on the cluster of the kubeconfig in `EXAMPLE_VALIDATOR_TEST_KUBECONFIG`, or without it on
//! simulated ones. What needs the operators that the simulator plays is skipped, and says so, on a real one.

use std::path::{Path, PathBuf};
use std::process::Output;

use example_validator::simulator::Options;
use serde_json::Value as Json;

use crate::program::program;
use crate::repository::{Simulated, report, write};

fn real_cluster() -> Option<PathBuf> {
    std::env::var_os("EXAMPLE_VALIDATOR_TEST_KUBECONFIG").map(|path| std::path::absolute(path).unwrap())
}

/// Whether a test that needs the pretended operators has to be skipped.
fn is_skipped() -> bool {
    let is_real = real_cluster().is_some();
    if is_real {
        println!("skipped on a real cluster: it needs the operators that the simulator plays");
    }
    is_real
}

/// A PyTorchJob that succeeds at once.
fn job(name: &str, more: &str) -> String {
    format!(
        "{more}apiVersion: kubeflow.org/v1\nkind: PyTorchJob\nmetadata: {{name: {name}}}\nspec:\n  pytorchReplicaSpecs:\n    Master:\n      \
         replicas: 1\n      template:\n        spec: {{containers: [{{name: pytorch, image: 'example.com/a:1', command: [sh, -c, 'echo trained']}}]}}\n"
    )
}

/// Runs the program in a repository with this config and these examples; its report, and what it printed.
fn run(config: &str, examples: &[(&str, String)], arguments: &[&str], code: i32) -> (Json, String) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "config.yml", config);
    for (path, text) in examples {
        write(folder.path(), path, text);
    }
    let definition = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/crds/pytorchjobs.yaml");
    write(folder.path(), "crds/pytorchjobs.yaml", &std::fs::read_to_string(definition).unwrap());
    let flags = ["run", "--config", "config.yml", "--no-color", "--output", "report"];
    let output: Output = program(folder.path()).args(flags.iter().chain(arguments)).output().unwrap();
    let shown = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{shown}");
    (report(&folder.path().join("report")), shown)
}

fn row<'a>(report: &'a Json, example: &str) -> &'a Json {
    report["results"].as_array().unwrap().iter().find(|row| row["example"] == example).unwrap()
}

const CONFIG: &str = "\
version: 1
kubernetes: [v1.34.0]
cluster: simulated
crds: [crds]
retries: 0
parallel: 8
metrics: {service: kubeflow/training-operator:8080}
examples:
  - {paths: ['examples/*.yaml'], tier: full, timeout: 1m}
  - paths: [examples/rises.yaml]
    checks:
      - metrics: {query: 'training_operator_jobs_created_total{job_namespace=\"{namespace}\"}', increase: 1, max-increase: 1}
      - metrics: {query: 'training_operator_jobs_successful_total{job_namespace=~\"{namespace}\",framework!=\"mpi\"}', equals: 1}
  - paths: [examples/still.yaml]
    checks: [{metrics: {query: 'controller_runtime_reconcile_errors_total{controller=\"pytorchjob-controller\"}', increase: 1, wait: 1s}}]
  - paths: [examples/absent.yaml]
    checks: [{metrics: {query: 'training_operator_job_created_total{job_namespace=\"{namespace}\"}', increase: 1, wait: 1s}}]
  - paths: [examples/other.yaml]
    checks: [{metrics: {query: 'training_operator_jobs_created_total{job_namespace=\"nobody\"}', increase: 1, wait: 1s}}]
checks:
  - metrics: {query: controller_runtime_reconcile_errors_total, max-increase: 0}
";

#[test]
fn an_example_is_held_to_what_the_operator_counts() {
    if is_skipped() {
        return;
    }
    let names = ["rises", "still", "absent", "other", "plain-1", "plain-2"];
    let examples = names.map(|name| (format!("examples/{name}.yaml"), job(name, "")));
    let examples: Vec<_> = examples.iter().map(|(path, text)| (path.as_str(), text.clone())).collect();
    let (report, shown) = run(CONFIG, &examples, &[], 1);

    let rises = row(&report, "examples/rises.yaml");
    assert_eq!(rises["outcome"], "passed", "{rises:#}");
    assert_eq!((&rises["checks"][0]["outcome"], &rises["checks"][0]["value"]), (&"passed".into(), &1.0.into()));
    assert_eq!((&rises["checks"][1]["outcome"], &rises["checks"][1]["value"]), (&"passed".into(), &1.0.into()));

    let told = |example: &str| {
        let row = row(&report, example);
        assert_eq!((&row["outcome"], &row["cause"]["class"]), (&"failed".into(), &"assertion".into()), "{row:#}");
        let text = |pointer: &str| row.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        (text("/cause/reason"), text("/cause/message"), text("/cause/hint"))
    };
    let (reason, message, _) = told("examples/still.yaml");
    assert_eq!(reason, "MetricDidNotRise");
    assert!(message.contains("rose by 0 (0 -> 0), expected at least 1"), "{message}");
    let (reason, message, hint) = told("examples/absent.yaml");
    assert_eq!(
        (reason.as_str(), hint.as_str()),
        ("MetricAbsent", "did you mean `training_operator_jobs_created_total`?")
    );
    assert!(message.contains("there are: training_operator_jobs_created_total"), "{message}");
    let (reason, message, _) = told("examples/other.yaml");
    assert_eq!(reason, "MetricAbsent");
    assert!(
        message.contains("there are: training_operator_jobs_created_total{framework=\"pytorch\",job_namespace=\"ev-"),
        "{message}"
    );

    let checks = report["clusters"][0]["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 1, "{checks:#?}");
    assert_eq!((&checks[0]["check"], &checks[0]["outcome"]), (&"metrics".into(), &"passed".into()), "{checks:#?}");
    assert!(!shown.contains("Run-wide check"), "what passed is not told: {shown}");
}

/// When the only attempt of a row began, and when it had ended, in milliseconds.
fn span(row: &Json) -> (i64, i64) {
    let began: jiff::Timestamp = row["attempts"][0]["startedAt"].as_str().unwrap().parse().unwrap();
    (began.as_millisecond(), began.as_millisecond() + row["durationMs"].as_i64().unwrap())
}

#[test]
fn a_check_that_names_no_namespace_runs_alone() {
    if is_skipped() {
        return;
    }
    let config = CONFIG.replace(
        "controller_runtime_reconcile_errors_total{controller=\"pytorchjob-controller\"}', increase: 1, wait: 1s",
        "training_operator_jobs_created_total', increase: 1, max-increase: 1",
    );
    let names = ["still", "plain-1", "plain-2", "plain-3", "plain-4"];
    let examples = names.map(|name| (format!("examples/{name}.yaml"), job(name, "")));
    let examples: Vec<_> = examples.iter().map(|(path, text)| (path.as_str(), text.clone())).collect();
    // It passes only if no other example's job was counted meanwhile.
    let (report, _) = run(&config, &examples, &[], 0);
    let (began, _) = span(row(&report, "examples/still.yaml"));
    for other in &names[1..] {
        let (_, ended) = span(row(&report, &format!("examples/{other}.yaml")));
        assert!(ended <= began, "{other} ended at {ended}, and it began at {began}");
    }
}

#[test]
fn a_run_wide_check_that_fails_fails_the_run() {
    if is_skipped() {
        return;
    }
    let quota = "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: none}\nspec: {hard: {pods: '0'}}\n---\n";
    let config = CONFIG.to_owned()
        + "  - run: echo said >&2; test \"$NAMESPACE\" = default\n  - metrics: {query: nothing_like_it, max: 0, wait: 1s}\n";
    let config = config.replace(
        "  - paths: [examples/rises.yaml]",
        "  - {paths: [examples/refused.yaml], quarantine: {until: 2099-12-31, reason: it makes the operator err}}\n  - paths: [examples/rises.yaml]",
    );
    let examples = [("examples/good.yaml", job("good", "")), ("examples/refused.yaml", job("refused", quota))];
    let (report, shown) = run(&config, &examples, &[], 1);
    assert_eq!(row(&report, "examples/good.yaml")["outcome"], "passed", "{shown}");
    let checks = report["clusters"][0]["checks"].as_array().unwrap();
    let outcomes: Vec<_> = checks.iter().map(|check| check["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["failed", "passed", "inconclusive"], "{checks:#?}");
    assert!(checks[0]["message"].as_str().unwrap().contains("expected at most 0"), "{checks:#?}");
    assert!(checks[0]["value"].as_f64().unwrap() >= 1.0, "{checks:#?}");
    assert!(
        shown.contains("Run-wide check on v1.34.0: metrics failed: rose by ")
            && shown.contains("expected at most 0: controller_runtime_reconcile_errors_total"),
        "{shown}"
    );
    assert!(shown.contains("Run-wide check on v1.34.0: metrics inconclusive: it may have counted nothing yet, or be misspelt: no series nothing_like_it"), "{shown}");
}

/// An operator that serves metrics from a file.
const OPERATOR: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: ev-test-metrics}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: op, namespace: ev-test-metrics}
spec:
  replicas: 2
  selector: {matchLabels: {app: op}}
  template:
    metadata: {labels: {app: op}}
    spec:
      containers:
      - name: manager
        image: IMAGE
        imagePullPolicy: IfNotPresent
        command: [sh, -c, 'mkdir -p /www; echo \"controller_runtime_reconcile_errors_total 0\" > /www/metrics; echo started; httpd -f -p 8080 -h /www; sleep 100000']
---
apiVersion: v1
kind: Service
metadata: {name: op, namespace: ev-test-metrics}
spec: {selector: {app: op}, ports: [{name: metrics, port: 80, targetPort: 8080}]}
";

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_of_ours_is_held_to_its_run_wide_checks() {
    let simulated = if real_cluster().is_none() { Some(Simulated::start(Options::default()).await) } else { None };
    let kubeconfig = real_cluster().or_else(|| Some(simulated.as_ref()?.kubeconfig.clone())).unwrap();
    let image =
        std::env::var("EXAMPLE_VALIDATOR_TEST_IMAGE").unwrap_or_else(|_| "docker.io/library/busybox:1.37.0".to_owned());
    let config = "\
version: 1
retries: 0
operator: [{manifests: [operator.yaml]}]
metrics: {service: ev-test-metrics/op:metrics}
examples: [{paths: ['examples/*.yaml'], tier: full, timeout: 2m}]
checks:
  - metrics: {query: controller_runtime_reconcile_errors_total, max-increase: 0, max: 0}
  - cel: object.kind == 'Deployment' && object.status.availableReplicas == 2
  - event: {reason: BackOff, absent: true}
  - logs: {absent: panic}
  - logs: {matches: 'never printed'}
";
    let job = crate::repository::job("good", "echo done", "").replace("docker.io/library/busybox:1.37.0", &image);
    let job = job.replace("name: main", "imagePullPolicy: IfNotPresent\n        name: main");
    let examples = [("operator.yaml", OPERATOR.replace("IMAGE", &image)), ("examples/good.yaml", job)];
    let flags = ["--cluster", "existing", "--install-operator", "--kubeconfig", kubeconfig.to_str().unwrap()];
    let (report, shown) = tokio::task::block_in_place(|| run(config, &examples, &flags, 1));
    assert_eq!(row(&report, "examples/good.yaml")["outcome"], "passed", "{shown}");
    let checks = report["clusters"][0]["checks"].as_array().unwrap();
    let outcomes: Vec<_> =
        checks.iter().map(|check| (check["check"].as_str().unwrap(), check["outcome"].as_str().unwrap())).collect();
    let expected = [
        ("restarts", "passed"),
        ("metrics", "passed"),
        ("cel", "passed"),
        ("event", "passed"),
        ("logs", "passed"),
        ("logs", "failed"),
    ];
    assert_eq!(outcomes, expected, "{checks:#?}\n{shown}");
    if let Some(kubeconfig) = real_cluster() {
        let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
        let gone = std::process::Command::new("kubectl")
            .args([&kubeconfig, "delete", "namespace", "ev-test-metrics", "--wait=false"])
            .status();
        assert!(gone.is_ok_and(|gone| gone.success()), "the namespace ev-test-metrics is left");
    }
}
