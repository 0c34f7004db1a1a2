//! What is wrong with some of the examples.

use example_validator::model::Outcome;
use example_validator::report::{Advice, FirstBad, LogTail, Row};
use serde_json::{Value, json};

use super::{GIB, at, dice, health};

fn cause(class: &str, reason: &str, message: &str, hint: &str, object: &str, (file, line): (&str, u32)) -> Value {
    json!({"class": class, "reason": reason, "message": message, "hint": hint, "object": object, "file": file, "line": line})
}

/// Who is to blame is `object`, with these last lines.
fn log(object: &str, container: &str, lines: &[&str]) -> LogTail {
    LogTail {
        of: format!("{object}, container {container}"),
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
    }
}

fn fail(row: &mut Row, outcome: Outcome, cause: Value) {
    row.outcome = outcome;
    row.cause = serde_json::from_value(cause).unwrap();
    row.checks.clear();
    row.attempts[0].outcome = if outcome == Outcome::Flaky { Outcome::Failed } else { outcome };
}

/// Another attempt, which ended so.
fn again(row: &mut Row, outcome: Outcome) {
    let mut attempt = row.attempts[0].clone();
    let began: jiff::Timestamp = attempt.started_at.parse().unwrap();
    attempt.started_at = (began + std::time::Duration::from_millis(row.duration_ms)).to_string();
    attempt.outcome = outcome;
    row.attempts.push(attempt);
    row.duration_ms *= 2;
}

/// What is wrong with this one on this version, if anything is.
pub fn spoil(row: &mut Row) {
    let (name, version) = (row.example.as_str().to_owned(), row.kubernetes.clone().unwrap());
    match name.as_str() {
        "examples/pytorch/mnist/v1/pytorch_job_mnist_mpi.yaml" => killed(row, &name),
        "examples/v2/torchtune/qwen2_5/trainjob.yaml" if version == "v1.34.0" => {
            let message = "`ghcr.io/kubeflow/trainer/torchtune-trainer:v2.2`: manifest unknown, the tag does not exist";
            let hint = "check the tag; `v2.1` exists";
            fail(
                row,
                Outcome::Failed,
                cause("image", "ImagePullBackOff", message, hint, "Pod/qwen2-5-node-0-0", (&name, 23)),
            );
            row.resources = None;
        }
        "examples/tensorflow/distribution_strategy/estimator-API/tfjob.yaml" if version != "v1.32.8" => {
            slow(row, &name);
        }
        "examples/jax/jax-dist-spmd-mnist/jaxjob_dist_spmd_mnist_gloo.yaml" => silent(row, &name),
        "examples/tensorflow/dist-mnist/tf_job_mnist.yaml" if version == "v1.33.4" => flaky(row, &name),
        "examples/xgboost/xgboostjob.yaml" if version == "v1.33.4" => {
            let message = "Pod/xgboost-worker-1: the node is not ready: kubelet stopped posting its status";
            fail(
                row,
                Outcome::Errored,
                cause("cluster", "NodeLost", message, "not the example's fault; run it again", "", ("", 0)),
            );
        }
        "examples/paddlepaddle/simple-gpu.yaml" | "examples/v2/mlx/image-classification/mnist.ipynb" => {
            row.outcome = Outcome::Skipped;
            "needs nvidia.com/gpu: 1, which no node of this run offers".clone_into(&mut row.reason);
            (row.duration_ms, row.resources, row.evidence) = (0, None, None);
            row.attempts.clear();
            row.checks.clear();
        }
        "examples/v2/deepspeed/text-summarization/T5-Fine-Tuning.ipynb" => {
            let message = "image `deepspeed/deepspeed` has no tag: what it is may change at any time";
            row.diagnostics =
                serde_json::from_value(json!([{"code": "EV302", "severity": "warning", "message": message,
                "help": "pin it by tag or digest", "file": name, "line": 41, "column": 18}]))
                .unwrap();
        }
        _ => {}
    }
}

/// It needed more memory than its limit, as it has since a commit.
fn killed(row: &mut Row, name: &str) {
    let object = "Pod/mnist-mpi-worker-0";
    let message =
        "container `pytorch` of Pod/mnist-mpi-worker-0 was killed: it used more than its limit of 1 GiB of memory";
    let hint = "raise the memory limit to about 1.5Gi, or lower --batch-size";
    fail(row, Outcome::Failed, cause("runtime", "OOMKilled", message, hint, object, (name, 23)));
    again(row, Outcome::Failed);
    row.log = Some(log(
        object,
        "pytorch",
        &[
            "2026-11-28T06:31:02Z INFO Using backend: mpi, world size 2",
            "2026-11-28T06:31:04Z INFO Reading /data/train-images-idx3-ubyte.gz",
            "Train Epoch: 1 [0/60000 (0%)]\tloss=2.3000",
            "Train Epoch: 1 [12800/60000 (21%)]\tloss=1.1184",
            "Train Epoch: 1 [25600/60000 (43%)]\tloss=0.6012",
            "Killed",
        ],
    ));
    let last = [Outcome::Passed, Outcome::Failed, Outcome::Failed, Outcome::Failed];
    let mut health = health(7, row.duration_ms, &last);
    health.score = Some(41);
    health.first_bad = Some(FirstBad {
        commit: "c41d09be52f7a6".to_owned(),
        at: at(-3 * 1_440),
        last_good: "1b7e3d90aa41".to_owned(),
        runs: 4,
    });
    row.health = Some(health);
    let worker = &mut row.resources.as_mut().unwrap().pods[1];
    (worker.memory_request_bytes, worker.memory_limit_bytes, worker.oom_killed) = (GIB / 2, GIB, true);
    let curve = worker.curve.as_mut().unwrap();
    for (point, held) in curve.memory_bytes.iter_mut().enumerate() {
        *held = GIB / 40 * (8 + point as u64 * 4 / 5) + dice(point as u64, GIB / 60);
    }
    worker.memory_peak_bytes = GIB - (1 << 20);
    worker.memory_avg_bytes = GIB / 2;
    worker.advice = vec![Advice {
        kind: "oom-killed".to_owned(),
        resource: "memory".to_owned(),
        message: "The kernel killed it at its limit of 1 GiB.".to_owned(),
        suggested: "1536Mi".to_owned(),
    }];
}

/// It did not finish in time.
fn slow(row: &mut Row, name: &str) {
    let (message, object) = ("not finished after 15 min: 1 of 3 pods still runs", "Pod/estimator-worker-1");
    let hint = "raise `timeout`, or look at the log of the worker";
    fail(row, Outcome::TimedOut, cause("timeout", "Timeout", message, hint, object, (name, 23)));
    row.duration_ms = 900_300;
    row.attempts[0].phases.remove("finishedMs");
    row.log = Some(log(object, "tensorflow", &["INFO:tensorflow:Waiting for the chief to write a checkpoint."; 2]));
    row.health.as_mut().unwrap().slowdown = Some(4.2);
}

/// It printed nothing of what a check looks for, and is in quarantine.
fn silent(row: &mut Row, name: &str) {
    let message = "no line of container `jax` matches `accuracy=(?P<accuracy>[0-9.]+)`";
    let object = "JAXJob/jaxjob-mnist";
    fail(
        row,
        Outcome::Failed,
        cause("assertion", "LogsDoNotMatch", message, "look at what it prints", object, (name, 23)),
    );
    row.checks = serde_json::from_value(json!([
        {"check": "logs", "outcome": "failed", "message": message, "value": null},
        {"check": "metrics", "outcome": "passed", "message": "training_operator_jobs_created_total rose by 1", "value": 1.0},
        {"check": "resources", "outcome": "inconclusive", "message": "2 samples say nothing of max-memory", "value": null}
    ]))
    .unwrap();
    row.quarantined = true;
}

/// It passed when it was tried again.
fn flaky(row: &mut Row, name: &str) {
    let object = "Pod/dist-mnist-worker-0";
    let message = format!(
        "container `tensorflow` of {object} ended with exit code 1: UnavailableError: failed to connect to all addresses"
    );
    let hint = "the worker starts before its parameter server listens";
    fail(row, Outcome::Flaky, cause("runtime", "Error", &message, hint, object, (name, 23)));
    again(row, Outcome::Passed);
    let health = row.health.as_mut().unwrap();
    (health.flake_rate, health.score) = (Some(0.17), Some(68));
}

/// It lacks a module, on whatever version.
pub fn crash(row: &mut Row, index: usize) {
    let (name, object) = (row.example.as_str().to_owned(), format!("Pod/train-{index}-worker-0"));
    let message =
        format!("container `trainer` of {object} ended with exit code 1: ModuleNotFoundError: No module named 'torch'");
    fail(row, Outcome::Failed, cause("runtime", "Error", &message, "read its log", &object, (&name, 12)));
    again(row, Outcome::Failed);
    row.log = Some(log(&object, "trainer", &["  File \"/opt/train.py\", line 3, in <module>"; 20]));
}
