//! Reports as a project of training jobs has them, for the tests of the page, its benchmark and its picture.

#[path = "trouble.rs"]
mod trouble;

use example_validator::model::Outcome;
use example_validator::report::{Advice, ContainerUse, Curve, Health, Part, Past, Report, Resources, Row};
use serde_json::{Value, json};

pub const VERSIONS: [&str; 4] = ["v1.31.12", "v1.32.8", "v1.33.4", "v1.34.0"];
const COMMIT: &str = "8f3c1e0b7a52d94c6e1f0a3b5d7c9e8f01234567";
pub const GIB: u64 = 1 << 30;
const FRAMEWORKS: [(&str, &str); 7] = [
    ("pytorchjob", "PyTorchJob"),
    ("tfjob", "TFJob"),
    ("mpijob", "MPIJob"),
    ("trainjob", "TrainJob"),
    ("xgboostjob", "XGBoostJob"),
    ("jaxjob", "JAXJob"),
    ("paddlejob", "PaddleJob"),
];
const EXAMPLES: [(usize, &str); 30] = [
    (0, "examples/pytorch/simple.yaml"),
    (0, "examples/pytorch/mnist/v1/pytorch_job_mnist_gloo.yaml"),
    (0, "examples/pytorch/mnist/v1/pytorch_job_mnist_mpi.yaml"),
    (0, "examples/pytorch/elastic/echo/echo.yaml"),
    (0, "examples/pytorch/elastic/imagenet/imagenet.yaml"),
    (0, "examples/pytorch/cpu-demo/demo.yaml"),
    (0, "examples/pytorch/image-classification/create-pytorchjob.ipynb"),
    (0, "examples/pytorch/text-classification/Fine-Tune-BERT-LLM.ipynb"),
    (1, "examples/tensorflow/simple.yaml"),
    (1, "examples/tensorflow/dist-mnist/tf_job_mnist.yaml"),
    (1, "examples/tensorflow/mnist_with_summaries/tf_job_mnist.yaml"),
    (1, "examples/tensorflow/distribution_strategy/keras-API/multi_worker_tfjob.yaml"),
    (1, "examples/tensorflow/distribution_strategy/estimator-API/tfjob.yaml"),
    (1, "examples/tensorflow/image-classification/create-tfjob.ipynb"),
    (2, "examples/mpi/tensorflow-mnist.yaml"),
    (2, "examples/mpi/pi/pi.yaml"),
    (2, "examples/mpi/pi/pi-intel.yaml"),
    (3, "examples/v2/pytorch/image-classification/mnist.ipynb"),
    (3, "examples/v2/pytorch/question-answering/fine-tune-distilbert.ipynb"),
    (3, "examples/v2/torchtune/qwen2_5/trainjob.yaml"),
    (3, "examples/v2/deepspeed/text-summarization/T5-Fine-Tuning.ipynb"),
    (3, "examples/v2/mlx/image-classification/mnist.ipynb"),
    (3, "manifests/samples/torch-distributed.yaml"),
    (4, "examples/xgboost/xgboostjob.yaml"),
    (4, "examples/xgboost/lightgbm-dist/xgboostjob_v1_lightgbm_dist_train.yaml"),
    (4, "examples/xgboost/smoke-dist/xgboostjob_v1_rabit_test.yaml"),
    (5, "examples/jax/jax-dist-spmd-mnist/jaxjob_dist_spmd_mnist_gloo.yaml"),
    (5, "examples/jax/cpu-demo/demo.yaml"),
    (6, "examples/paddlepaddle/simple-cpu.yaml"),
    (6, "examples/paddlepaddle/simple-gpu.yaml"),
];

/// A number from 0 to `below`, always the same for the same seed.
pub fn dice(seed: u64, below: u64) -> u64 {
    let mixed = (seed.wrapping_add(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 32)) % below
}

/// When it was, so many minutes before or after the run began.
pub fn at(minutes: i64) -> String {
    let began: jiff::Timestamp = "2026-11-28T06:12:00Z".parse().unwrap();
    (began + jiff::SignedDuration::from_mins(minutes)).to_string()
}

/// The same in seconds after it.
fn after(seconds: u64) -> String {
    let began: jiff::Timestamp = "2026-11-28T06:12:00Z".parse().unwrap();
    (began + jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap())).to_string()
}

/// A cell that passed, with everything that is known of one. `start` is in seconds after the run's.
fn cell(name: &str, framework: usize, version: &str, seed: u64, start: u64) -> Row {
    let took = 25_000 + dice(seed, 160_000) + if name.contains(".ipynb") { 190_000 } else { 0 };
    let (word, kind) = FRAMEWORKS[framework];
    let job = name.rsplit('/').next().unwrap().split('.').next().unwrap().to_lowercase().replace('_', "-");
    let phases = json!({"applyMs": 400 + dice(seed + 1, 900), "scheduledMs": 1_900 + dice(seed + 2, 3_000),
        "runningMs": 7_000 + dice(seed + 3, 11_000), "finishedMs": took - 600});
    let mut row: Row = serde_json::from_value(json!({
        "example": name, "framework": word, "objects": [format!("{kind}/{job}")], "tier": "full", "kubernetes": version,
        "outcome": "passed", "quarantined": false, "durationMs": took, "cause": null, "reason": "full: all examples run on push",
        "attempts": [{"outcome": "passed", "namespace": format!("ev-{:06x}", dice(seed, 0xff_ffff)), "startedAt": after(start), "phases": phases}],
        "checks": [{"check": "logs", "outcome": "passed", "message": "a line matches `accuracy=(?P<accuracy>[0-9.]+)`", "value": null},
            {"check": "value", "outcome": "passed", "message": "accuracy is at least 0.9", "value": 0.9731}],
        "diagnostics": [], "resources": null, "health": null, "evidence": format!("{version}/{name}/attempt-1")
    }))
    .unwrap();
    row.resources = Some(resources(&job, seed, took));
    row.health = Some(health(seed, took, &[]));
    row
}

fn resources(job: &str, seed: u64, took: u64) -> Resources {
    let pods =
        (0..2).map(|index| container(&format!("{job}-{}", ["master-0", "worker-0"][index]), seed + index as u64, took));
    let pods: Vec<_> = pods.collect();
    let (asked, used) =
        pods.iter().fold((0, 0), |(asked, used), one| (asked + one.cpu_request_milli, used + one.cpu_avg_milli));
    let (wanted, held) = pods
        .iter()
        .fold((0, 0), |(wanted, held), one| (wanted + one.memory_request_bytes, held + one.memory_peak_bytes));
    Resources {
        source: "kubelet".to_owned(),
        resolution_ms: 5_000,
        samples: u32::try_from(took / 5_000).unwrap(),
        pods,
        cpu_efficiency: Some(used as f64 / asked as f64),
        memory_efficiency: Some(held as f64 / wanted as f64),
        ..Resources::default()
    }
}

fn container(pod: &str, seed: u64, took: u64) -> ContainerUse {
    let request = [500, 1_000, 2_000, 4_000][dice(seed + 5, 4) as usize];
    let memory_request = [GIB, 2 * GIB, 4 * GIB][dice(seed + 6, 3) as usize];
    let height = request * (10 + dice(seed + 7, 85)) / 100;
    let held = memory_request / 100 * (12 + dice(seed + 8, 80));
    let mut curve = Curve::default();
    for point in 0..40_u64 {
        let rise = (point * 100 / 8).min(100);
        curve.at_ms.push(8_000 + point * (took.max(12_000) - 10_000) / 40);
        curve.cpu_milli.push(height * rise / 100 * (80 + dice(seed * 77 + point, 40)) / 100);
        curve
            .memory_bytes
            .push(held / 100 * (30 + 70 * (point * 100 / 25).min(100) / 100) + dice(seed + point, held / 40 + 1));
    }
    let mean = |all: &[u64]| all.iter().sum::<u64>() / all.len() as u64;
    let (cpu_avg, memory_avg) = (mean(&curve.cpu_milli), mean(&curve.memory_bytes));
    let advice = (cpu_avg * 5 < request).then(|| Advice {
        kind: "over-provisioned".to_owned(),
        resource: "cpu".to_owned(),
        message: format!("It used {cpu_avg}m on average of the {request}m that it requests."),
        suggested: format!("{}m", (height * 12 / 10).div_ceil(50) * 50),
    });
    ContainerUse {
        pod: pod.to_owned(),
        container: "pytorch".to_owned(),
        samples: u32::try_from(took / 5_000).unwrap(),
        cpu_avg_milli: cpu_avg,
        cpu_peak_milli: curve.cpu_milli.iter().copied().max().unwrap(),
        memory_avg_bytes: memory_avg,
        memory_peak_bytes: curve.memory_bytes.iter().copied().max().unwrap(),
        cpu_request_milli: request,
        cpu_limit_milli: request * 2,
        memory_request_bytes: memory_request,
        memory_limit_bytes: memory_request * 3 / 2,
        oom_killed: false,
        advice: advice.into_iter().collect(),
        curve: Some(curve),
    }
}

/// The health of an example that passed in most of its runs; `last` is what became of the last of them.
pub fn health(seed: u64, took: u64, last: &[Outcome]) -> Health {
    let past = (0..30_u64).map(|index| {
        let place = index as usize + last.len();
        let outcome = match place.checked_sub(30) {
            Some(place) => last[place],
            None if dice(seed * 31 + index, 26) == 0 => Outcome::Flaky,
            None if dice(seed * 17 + index, 60) == 0 => Outcome::Failed,
            None => Outcome::Passed,
        };
        Past {
            at: at(-(30 - i64::try_from(index).unwrap()) * 1_440),
            commit: format!("{:08x}{:08x}", dice(index + 900, 0xffff_ffff), dice(index, 0xffff_ffff)),
            outcome,
            duration_ms: took / 100 * (85 + dice(seed + index * 13, 30)),
        }
    });
    let past: Vec<_> = past.collect();
    let count = |outcome: Outcome| past.iter().filter(|run| run.outcome == outcome).count() as f64 / 30.0;
    let (flaky, good) = (count(Outcome::Flaky), count(Outcome::Passed) + count(Outcome::Flaky));
    let points = [
        ("pass-rate", 45.0 * good, 45.0, format!("{:.0} % of the runs passed, the newest counting most", good * 100.0)),
        (
            "flake-rate",
            20.0 * (1.0 - 4.0 * flaky).max(0.0),
            20.0,
            format!("{:.0} % passed only when tried again", flaky * 100.0),
        ),
        ("duration", 12.0, 12.0, "as long as its median".to_owned()),
        ("efficiency", 3.0 + dice(seed, 6) as f64, 10.0, "34 % of the requested CPU was used".to_owned()),
        ("freshness", 8.0, 8.0, "the last full run is a day old".to_owned()),
        ("pinning", 5.0, 5.0, "every image is pinned".to_owned()),
    ];
    let score: f64 = points.iter().map(|(_, points, ..)| points).sum();
    let one = |(name, points, of, why): &(&str, f64, f64, String)| Part {
        name: (*name).to_owned(),
        points: *points,
        of: *of,
        why: why.clone(),
    };
    Health {
        score: Some(score.round() as u8),
        pass_rate: Some(good),
        flake_rate: Some(flaky),
        trend: if last.is_empty() { ["steady", "steady", "improving"][dice(seed, 3) as usize] } else { "declining" }
            .to_owned(),
        parts: points.iter().map(one).collect(),
        first_bad: None,
        slowdown: Some(1.0),
        past,
    }
}

fn rounded(report: Value, rows: Vec<Row>) -> Report {
    let mut report: Report = serde_json::from_value(report).unwrap();
    let (run, clusters, images, health) = (report.run, report.clusters, report.images, report.health);
    let fail_on = [Outcome::Failed, Outcome::TimedOut, Outcome::Errored];
    report = Report::new(run, clusters, images, rows, &fail_on).with_schemas("v1.37");
    report.health = health;
    report
}

fn frame(duration_ms: u64, versions: &[&str]) -> Value {
    let clusters: Vec<_> = versions
        .iter()
        .enumerate()
        .map(|(index, version)| {
            json!({"kubernetes": version, "provider": "kind", "outcome": "ready", "cause": null, "startedAt": after(4 + index as u64 * 9),
                "operatorStartedAt": after(52 + index as u64 * 11),
                "phases": {"createMs": 41_000 + index * 3_000, "operatorMs": 33_000 + index * 5_000, "pullMs": 61_000}})
        })
        .collect();
    let image = |name: &str, cache: &str, start: u64, build: u64| {
        json!({"name": name, "digest": format!("sha256:{:016x}", dice(build + 3, u64::MAX)), "cacheKey": "k", "cache": cache,
            "startedAt": if build > 0 { after(start) } else { String::new() }, "buildMs": build})
    };
    json!({
        "schemaVersion": 1, "tool": {"name": "example-validator", "version": "0.1.0"},
        "run": {"id": "4711", "startedAt": after(0), "durationMs": duration_ms, "repository": "kubeflow/training-operator",
            "commit": COMMIT, "event": "pull_request", "pullRequest": 2_318, "simulated": false, "shard": null},
        "clusters": clusters,
        "images": [image("kubeflow/training-operator:ci", "miss", 2, 96_000), image("example/pytorch-mnist:ci", "hit", 0, 0),
            image("example/tf-dist-mnist:ci", "hit", 0, 0), image("example/papermill:ci", "miss", 3, 58_000), image("example/jax:ci", "hit", 0, 0)],
        "results": [], "summary": {"passed": 0, "failed": 0, "timedOut": 0, "flaky": 0, "skipped": 0, "errored": 0, "conclusion": "success"},
        "health": {"score": 84, "trend": "improving", "scored": 29, "unknown": 1, "frameworks": [
            {"name": "jaxjob", "score": 71, "examples": 2}, {"name": "mpijob", "score": 93, "examples": 3}, {"name": "paddlejob", "score": null, "examples": 2},
            {"name": "pytorchjob", "score": 82, "examples": 8}, {"name": "tfjob", "score": 79, "examples": 6}, {"name": "trainjob", "score": 88, "examples": 6}, {"name": "xgboostjob", "score": 90, "examples": 3}]}
    })
}

/// Thirty examples on three versions. With `is_good` nothing is wrong with any.
pub fn kubeflow(is_good: bool) -> Report {
    let versions = &VERSIONS[1..];
    let mut rows = Vec::new();
    for (column, version) in versions.iter().enumerate() {
        // Four at once on each cluster.
        let mut free = [95 + column as u64 * 12; 4];
        for (index, (framework, name)) in EXAMPLES.iter().enumerate() {
            let turn = (0..4).min_by_key(|turn| free[*turn]).unwrap();
            let seed = index as u64 * 100 + column as u64 * 7;
            let mut row = cell(name, *framework, version, seed, free[turn]);
            if !is_good {
                trouble::spoil(&mut row);
            }
            free[turn] += row.duration_ms / 1_000 + 2;
            rows.push(row);
        }
    }
    rounded(frame(2_031_000, versions), rows)
}

/// So many examples on four versions, every tenth of which failed on all of them, with logs, curves and histories.
pub fn crowd(examples: usize) -> Report {
    let mut rows = Vec::new();
    for index in 0..examples {
        let framework = index % FRAMEWORKS.len();
        let name = format!("examples/{}/group-{:02}/train-{index:04}.yaml", FRAMEWORKS[framework].0, index / 25);
        for (column, version) in VERSIONS.iter().enumerate() {
            let seed = index as u64 * 100 + column as u64 * 7;
            let mut row = cell(&name, framework, version, seed, 90 + index as u64 * 9);
            if index % 10 == 3 {
                trouble::crash(&mut row, index);
            }
            rows.push(row);
        }
    }
    rounded(frame(9_400_000, &VERSIONS), rows)
}
