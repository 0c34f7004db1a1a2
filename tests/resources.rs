//! What pods use, from a simulated kubelet to the report: budgets, advice, curves, and what is said where nobody can be asked.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "common/judge.rs"]
mod judge;
#[path = "common/program.rs"]
mod program;
#[path = "common/repository.rs"]
mod repository;

use std::time::Duration;

use example_validator::simulator::faults::Faults;
use example_validator::simulator::lifecycle::{self, Pace};
use example_validator::simulator::store::{Event, Key};
use example_validator::simulator::{Options, Simulator};
use judge::judge;
use repository::{Simulated, job, members, write};
use serde_json::Value as Json;

const MI: u64 = 1 << 20;

const CONFIG: &str = "\
version: 1
cluster: existing
retries: 0
examples:
  - {paths: ['examples/*.yaml'], tier: full, timeout: 2m}
  - {paths: [examples/peaks.yaml], checks: [{resources: {max-memory: 512Mi}}]}
  - {paths: [examples/short.yaml], checks: [{resources: {max-memory: 1Gi}}]}
  - {paths: [examples/good.yaml], checks: [{resources: {max-memory: 200Mi, max-cpu: 500m, min-cpu-efficiency: 0.4}}]}
  - {paths: [examples/wasteful.yaml], checks: [{resources: {min-memory-efficiency: 0.5}}]}
";

/// A Job that runs for so long, asks for this, and uses this on a simulated cluster.
fn example(name: &str, script: &str, resources: &str, usage: &str) -> String {
    let text = job(name, script, &format!("        resources: {resources}\n"));
    let annotated =
        format!("metadata: {{annotations: {{example-validator.dev/simulate-usage: '{usage}'}}}}\n    spec:\n");
    text.replacen("spec:\n      restartPolicy", &format!("{annotated}      restartPolicy"), 1)
}

/// Six seconds at a tenth of time. Samples come when it begins to run, and 1, 2 and 4 s after that: there are three, and one of its second
/// half, in which it uses the most, even if the last of them comes almost two seconds late.
const RUNS: &str = "sleep 60";

/// What a run of examples came to.
struct Ran {
    rows: Vec<Json>,
    console: String,
    files: Vec<(String, Vec<u8>)>,
}

impl Ran {
    fn row(&self, name: &str) -> &Json {
        let path = format!("examples/{name}.yaml");
        self.rows.iter().find(|row| row["example"] == path.as_str()).unwrap()
    }
}

/// Judges examples on a cluster that measures its containers every fifth of a second, and plays at a tenth of time.
async fn judged(examples: &[(&str, String)], faults: Faults, metrics_server: bool, exit_code: i32) -> Ran {
    let lifecycle = lifecycle::Options {
        pace: Pace::Real(0.1),
        housekeeping: Duration::from_secs(2),
        ..lifecycle::Options::default()
    };
    let cluster = Simulated::start(Options { faults, metrics_server, lifecycle, ..Options::default() }).await;
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "config.yml", CONFIG);
    for (name, text) in examples {
        write(root.path(), &format!("examples/{name}.yaml"), text);
    }
    let output = judge(program::program(root.path()), &cluster.kubeconfig).await;
    let console = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(exit_code), "{console}");
    let report = repository::report(&root.path().join("out"));
    assert_eq!(cluster.left(), Vec::<String>::new());
    Ran { rows: report["results"].as_array().unwrap().clone(), console, files: members(&root.path().join("out")) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budgets_are_held_against_what_the_kubelet_tells() {
    let examples = [
        ("peaks", example("peaks", RUNS, "{requests: {memory: 256Mi}}", "memory=64Mi..600Mi")),
        ("short", example("short", "echo done", "{}", "memory=64Mi")),
        ("good", example("good", RUNS, "{requests: {cpu: 500m, memory: 256Mi}}", "cpu=250m,memory=64Mi..128Mi")),
        ("wasteful", example("wasteful", RUNS, "{requests: {cpu: 2, memory: 4Gi}}", "cpu=50m,memory=100Mi")),
    ];
    let ran = judged(&examples, Faults::default(), false, 1).await;

    let peaks = ran.row("peaks");
    assert_eq!((&peaks["outcome"], &peaks["cause"]["class"]), (&"failed".into(), &"assertion".into()), "{peaks:#}");
    assert_eq!(peaks["cause"]["reason"], "MemoryOverBudget");
    let message = peaks["cause"]["message"].as_str().unwrap();
    assert!(message.starts_with("its pods use 600Mi of memory at once, the budget is 512Mi: Pod/peaks-"), "{message}");
    assert_eq!(peaks["resources"]["pods"][0]["memoryPeakBytes"], 600 * MI);
    assert!(peaks["resources"]["pods"][0]["curve"]["memoryBytes"].as_array().unwrap().contains(&(600 * MI).into()));

    let short = ran.row("short");
    assert_eq!(
        (&short["outcome"], &short["checks"][0]["outcome"]),
        (&"passed".into(), &"inconclusive".into()),
        "{short:#}"
    );
    assert!(short["checks"][0]["message"].as_str().unwrap().contains("at least 3 of each container are needed"));

    let good = ran.row("good");
    assert_eq!((&good["outcome"], &good["checks"][0]["outcome"]), (&"passed".into(), &"passed".into()), "{good:#}");
    let used = &good["resources"];
    assert_eq!((&used["source"], &used["memoryEfficiency"]), (&"kubelet".into(), &0.5.into()));
    assert!(used["samples"].as_u64().unwrap() >= 3 && used["resolutionMs"].as_u64().unwrap() >= 100, "{used:#}");
    let curve = &used["pods"][0]["curve"];
    let at: Vec<_> = curve["atMs"].as_array().unwrap().iter().map(|at| at.as_u64().unwrap()).collect();
    assert!(at.len() >= 3 && at.is_sorted() && at[0] >= good["attempts"][0]["phases"]["applyMs"].as_u64().unwrap());
    assert_eq!(curve["cpuMilli"].as_array().unwrap().len(), at.len());

    let wasteful = ran.row("wasteful");
    assert_eq!(wasteful["cause"]["reason"], "MemoryInefficient", "{wasteful:#}");
    assert_eq!(wasteful["cause"]["hint"], "request 128Mi for container `main`");
    let advice = &wasteful["resources"]["pods"][0]["advice"];
    assert_eq!(advice[0]["message"], "uses at most 100Mi of the 4Gi that it requests");
    assert_eq!((&advice[1]["resource"], &advice[1]["kind"]), (&"cpu".into(), &"over-provisioned".into()));
    assert!(ran.console.contains("memory 100Mi of 4Gi (2 %), "), "{}", ran.console);

    let evidence = format!("{}/resources.json", good["evidence"].as_str().unwrap());
    let (_, samples) = ran.files.iter().find(|(name, _)| *name == evidence).unwrap();
    let samples: Json = serde_json::from_slice(samples).unwrap();
    assert_eq!(samples["containers"][0]["container"], "main");
    assert!(samples["containers"][0]["memoryBytes"].as_array().unwrap().len() >= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_node_proxy_a_metrics_server_will_do_and_without_both_it_is_said() {
    let good = || [("good", example("good", RUNS, "{requests: {cpu: 500m, memory: 256Mi}}", "cpu=250m,memory=128Mi"))];
    let refused = || Faults { node_proxy: Some(403), ..Faults::default() };
    let ran = judged(&good(), refused(), true, 0).await;
    let row = ran.row("good");
    assert_eq!(row["resources"]["source"], "metrics.k8s.io", "{row:#}");
    assert_eq!(row["resources"]["memoryPeakBytes"], 128 * MI);
    let ran = judged(&good(), refused(), false, 0).await;
    let row = ran.row("good");
    assert_eq!(
        (&row["resources"]["source"], &row["checks"][0]["outcome"]),
        (&"".into(), &"inconclusive".into()),
        "{row:#}"
    );
    let note = row["resources"]["note"].as_str().unwrap();
    assert!(note.contains("cannot get resource \"nodes/proxy\"") && note.contains("metrics.k8s.io"), "{note}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_lone_example_waits_for_before_it_begins_is_no_part_of_its_duration() {
    // Slow enough that what is left of the first example is still there when the turn of the second one comes.
    let faults = Faults { latency_ms: 200, ..Faults::default() };
    let cluster = Simulated::start(Options { faults, ..Options::default() }).await;
    let root = tempfile::tempdir().unwrap();
    let config = "version: 1\ncluster: existing\nretries: 0\nmetrics: {service: kubeflow/training-operator:8080}\n\
        examples:\n  - {paths: ['examples/*.yaml'], tier: full, timeout: 2m}\n  - paths: [examples/lone.yaml]\n    \
        checks: [{metrics: {query: controller_runtime_reconcile_errors_total, max-increase: 0, wait: 1s}}]\n";
    write(root.path(), "config.yml", config);
    for name in ["first", "lone"] {
        write(root.path(), &format!("examples/{name}.yaml"), &job(name, "echo done", ""));
    }
    let mut changes = cluster.simulator.store().changes();
    let output = judge(program::program(root.path()), &cluster.kubeconfig).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = repository::report(&root.path().join("out"));
    let row = |name: &str| {
        let path = format!("examples/{name}.yaml");
        let rows = report["results"].as_array().unwrap();
        rows.iter().find(|row| row["example"] == path.as_str()).unwrap().clone()
    };
    let (first, lone) = (row("first"), row("lone"));

    let namespace = |row: &Json| row["attempts"][0]["namespace"].as_str().unwrap().to_owned();
    let mut order = std::iter::from_fn(|| changes.try_next()).filter(|change| change.kind.plural == "namespaces");
    assert!(
        order.any(|gone| {
            gone.event == Event::Deleted && gone.object["metadata"]["name"] == namespace(&first).as_str()
        })
    );
    assert!(
        order
            .any(|made| { made.event == Event::Added && made.object["metadata"]["name"] == namespace(&lone).as_str() })
    );

    // The first one was done before its namespace was deleted and the metrics were read, which are requests of 200 ms each.
    let started = |row: &Json| row["attempts"][0]["startedAt"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let done = started(&first) + Duration::from_millis(first["durationMs"].as_u64().unwrap());
    let waited = started(&lone).duration_since(done);
    assert!(waited.as_millis() >= 400, "{waited:?}");
    assert!(lone["attempts"][0]["phases"]["applyMs"].as_u64().unwrap() >= 200, "{report:#}");
}

#[tokio::test]
async fn a_simulated_kubelet_answers_for_its_own_pods_and_no_other() {
    let simulator = Simulator::start(Options { metrics_server: true, ..Options::default() }).await.unwrap();
    let client = kube::Client::try_from(kube::Config::new(simulator.url().parse().unwrap())).unwrap();
    let get = async |path: &str| match client.request::<Json>(http::Request::get(path).body(Vec::new()).unwrap()).await
    {
        Ok(answer) => (200, answer),
        Err(kube::Error::Api(status)) => (status.code, Json::Null),
        Err(error) => panic!("{path}: {error}"),
    };
    let pod = serde_json::json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default", "annotations": {"example-validator.dev/simulate-usage": "memory=64Mi"}},
        "spec": {"containers": [{"name": "main", "image": "busybox", "command": ["sleep", "100000"]}]}});
    simulator.store().create(pod).unwrap();
    let key = Key::namespaced("", "pods", "default", "p");
    while simulator.store().get(&key).is_none_or(|pod| pod["status"]["phase"] != "Running") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (code, summary) = get("/api/v1/nodes/simulated-control-plane/proxy/stats/summary").await;
    assert_eq!((code, &summary["node"]["nodeName"]), (200, &"simulated-control-plane".into()));
    let told = &summary["pods"][0];
    assert_eq!(
        (&told["podRef"]["name"], &told["containers"][0]["memory"]["workingSetBytes"]),
        (&"p".into(), &(64 * MI).into())
    );
    assert_eq!(get("/api/v1/nodes/other/proxy/stats/summary").await.0, 404);
    let (code, list) = get("/apis/metrics.k8s.io/v1beta1/namespaces/default/pods").await;
    assert_eq!((code, list["kind"].as_str()), (200, Some("PodMetricsList")));
    assert_eq!(list["items"][0]["containers"][0]["usage"]["memory"], "65536Ki");
    simulator.faults().set(Faults { node_proxy: Some(404), ..Faults::default() });
    assert_eq!(get("/api/v1/nodes/simulated-control-plane/proxy/stats/summary").await.0, 404);
}
