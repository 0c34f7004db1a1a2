//! What sampling costs: 50 attempts with a pod each on one node, whose kubelet answers at length.
//!
//! A plain program: the CPU time of many readings, as the kernel counts it for this process alone (the kubelet is another one), divided
//! by their number. At the default distance between two readings that must be less than a hundredth of a core. `cargo bench --bench sampling`.

#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use example_validator::trial::Change;
use example_validator::trial::resources::{Rhythm, Sampler};
use kube::{Client, Config};
use serde_json::{Value as Json, json};
use tokio::time::Instant;

const PODS: usize = 50;
/// Of a core.
const MOST: f64 = 0.01;
/// For how long readings follow each other without a pause.
const MEASURED: Duration = Duration::from_secs(10);
/// How the kernel counts CPU time: ticks a second (`USER_HZ`).
const TICKS: f64 = 100.0;

/// What stands for the time in an answer.
const TIME: &str = "TTTTTTTTTTTTTTTTTTTT";

/// A kubelet's summary with all that it may hold.
fn summary() -> String {
    let time = TIME;
    let disk = |used: usize| {
        json!({"time": time, "availableBytes": 52_000_000_000_u64, "capacityBytes": 101_000_000_000_u64, "usedBytes": used,
            "inodesFree": 5_900_000, "inodes": 6_300_000, "inodesUsed": 41})
    };
    let cpu = |share: usize| {
        json!({"time": time, "usageNanoCores": 100_000_000 + share, "usageCoreNanoSeconds": 700_000_000 + share,
        "psi": {"full": {"total": 0, "avg10": 0, "avg60": 0, "avg300": 0}, "some": {"total": 17, "avg10": 0, "avg60": 0, "avg300": 0}}})
    };
    let memory = |share: usize| {
        json!({"time": time, "availableBytes": 40_000_000, "usageBytes": 80_000_000 + share, "workingSetBytes": 64_000_000 + share,
        "rssBytes": 60_000_000, "pageFaults": 4_242, "majorPageFaults": 3})
    };
    let pod = |index: usize| {
        let container = |name: &str| {
            json!({"name": name, "startTime": "2026-01-01T00:00:00Z", "cpu": cpu(index), "memory": memory(index),
            "rootfs": disk(40_960), "logs": disk(8_192), "swap": {"time": time, "swapUsageBytes": 0}})
        };
        json!({"podRef": {"name": format!("job-{index}-x7k2p"), "namespace": format!("ev-{index}"), "uid": format!("uid-{index}")},
            "startTime": "2026-01-01T00:00:00Z", "containers": [container("main"), container("sidecar")], "cpu": cpu(index), "memory": memory(index),
            "network": {"time": time, "name": "eth0", "rxBytes": 123_456, "rxErrors": 0, "txBytes": 65_432, "txErrors": 0,
                "interfaces": [{"name": "eth0", "rxBytes": 123_456, "rxErrors": 0, "txBytes": 65_432, "txErrors": 0}]},
            "volume": [{"name": "kube-api-access-abcde", "time": time, "usedBytes": 12_288, "capacityBytes": 1_000_000_000, "inodes": 9, "inodesUsed": 9}],
            "ephemeral-storage": disk(49_152), "process_stats": {"process_count": 0}})
    };
    let pods: Vec<_> = (0..PODS).map(pod).collect();
    json!({"node": {"nodeName": "node-1", "systemContainers": [], "startTime": "2026-01-01T00:00:00Z", "cpu": cpu(0), "memory": memory(0)},
        "pods": pods}).to_string()
}

/// Plays the kubelet behind an API server: another answer each time, and how often it was asked.
async fn serve() {
    let (template, asked) = (summary(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    let answer = move || async move {
        let second = asked.fetch_add(1, Ordering::Relaxed);
        let time = format!("2026-01-01T{:02}:{:02}:{:02}Z", second / 3600 % 24, second / 60 % 60, second % 60);
        template.replace(TIME, &time)
    };
    let app = Router::new()
        .route("/api/v1/nodes/node-1/proxy/stats/summary", get(answer))
        .route("/asked", get(move || async move { count.load(Ordering::Relaxed).to_string() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    axum::serve(listener, app).await.unwrap();
}

/// The kubelet in a process of its own; it ends with this value.
struct Kubelet(Child, String);

impl Kubelet {
    fn start() -> Self {
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program).arg("serve").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self(child, format!("http://{}", line.trim()))
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The CPU time of this process so far, in seconds.
fn cpu_time() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / TICKS
}

fn pod(index: usize) -> Json {
    let container = |name: &str| json!({"name": name, "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}});
    let running = |name: &str| json!({"name": name, "state": {"running": {}}});
    json!({"kind": "Pod", "metadata": {"name": format!("job-{index}-x7k2p"), "namespace": format!("ev-{index}"), "uid": format!("uid-{index}")},
        "spec": {"nodeName": "node-1", "containers": [container("main"), container("sidecar")]},
        "status": {"phase": "Running", "containerStatuses": [running("main"), running("sidecar")]}})
}

/// The CPU seconds of one reading, and how many there were.
async fn cost(kubelet: &Kubelet) -> (f64, usize) {
    let client = Client::try_from(Config::new(kubelet.1.parse().unwrap())).unwrap();
    let at_once = Duration::from_micros(1);
    let sampler = Sampler::start(client.clone(), Rhythm { least: at_once, most: at_once, metrics_server: at_once });
    let asked = async || {
        let request = http::Request::get("/asked").body(Vec::new()).unwrap();
        client.request_text(request).await.unwrap().parse::<usize>().unwrap()
    };
    let shares: Vec<_> = (0..PODS).map(|index| sampler.join(&format!("ev-{index}"), Instant::now())).collect();
    for (index, share) in shares.iter().enumerate() {
        share.told(&Change::Seen(Arc::new(pod(index))));
    }
    while asked().await < 100 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before = (asked().await, cpu_time());
    tokio::time::sleep(MEASURED).await;
    let (readings, spent) = (asked().await - before.0, cpu_time() - before.1);
    let used = shares[PODS - 1].figures().unwrap();
    assert!(used.source == "kubelet" && used.samples > 100 && used.note.is_empty(), "{used:?}");
    (spent / readings as f64, readings)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if std::env::args().any(|argument| argument == "serve") {
        return runtime.block_on(serve());
    }
    let kubelet = Kubelet::start();
    let (each, readings) = runtime.block_on(cost(&kubelet));
    println!(
        "{PODS} pods, an answer of {} KiB, {readings} readings: {:.2} ms of CPU time each",
        summary().len() / 1024,
        each * 1e3
    );
    let share = |every: Duration| each / every.as_secs_f64();
    let (usual, quickest) = (share(Rhythm::REAL.most), share(Rhythm::REAL.least));
    println!(
        "that is {:.3} % of a core at the default distance of {} s, and {:.3} % while something is so young that it is 1 s",
        usual * 100.0,
        Rhythm::REAL.most.as_secs(),
        quickest * 100.0
    );
    assert!(usual < MOST, "missed: {:.2} % of a core, allowed is {} %", usual * 100.0, MOST * 100.0);
}
