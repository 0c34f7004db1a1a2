//! Cells on the simulator: how long a verdict takes once its event is there, how long a run takes, and how much memory.
//!
//! A plain program and no statistics: each figure is a run of seconds, and one that misses its bound fails. `cargo bench
//! --bench trials`; how many cells a whole run has may be given (`-- 200 2000`).

#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)]

use std::collections::HashMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use example_validator::catalog::{self, Catalog, Overrides};
use example_validator::cluster::existing::{self, Access};
use example_validator::config::Config;
use example_validator::evidence::{Evidence, FollowContext, Limits as Room, Redactor};
use example_validator::framework::Frameworks;
use example_validator::image::replace::Replacements;
use example_validator::model::{Outcome, Tier};
use example_validator::report::Row;
use example_validator::simulator::lifecycle::{self, Pace};
use example_validator::simulator::store::Store;
use example_validator::simulator::{Options, Simulator};
use example_validator::trial::apply::Target;
use example_validator::trial::attempt::{World, attempt};
use example_validator::trial::cells::{self, Cell, Limits};
use example_validator::trial::cleanup::Patience;
use example_validator::trial::hub::Hub;
use example_validator::trial::janitor::Janitor;
use example_validator::trial::resources::{Rhythm, Sampler};
use example_validator::trial::script::Containers;
use jiff::Timestamp;
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;

/// Cells at once where the time to a verdict is measured, and how many there are.
const IN_FLIGHT: usize = 100;
const CELLS: usize = 400;
/// From the event that decides to the verdict, for 99 of 100 cells.
const VERDICT: Duration = Duration::from_millis(50);
/// What the smaller of the whole runs may take, and how much memory; and how many times its time ten times the cells may take.
const RUN: Duration = Duration::from_secs(5);
const MEMORY_MIB: u64 = 100;
const TENFOLD: f64 = 10.5;
/// Every so manieth example fails.
const FAILING: usize = 4;

/// A Job that sleeps for a while, and then succeeds or fails.
fn manifest(index: usize, sleep: usize) -> String {
    let end = usize::from(fails(index));
    format!(
        "# example-validator: retries=0\napiVersion: batch/v1\nkind: Job\nmetadata:\n  name: job-{index}\nspec:\n  backoffLimit: 0\n  \
         template:\n    spec:\n      restartPolicy: Never\n      containers:\n        - name: main\n          image: busybox:1.37\n          \
         command: [sh, -c, \"echo step {index}; sleep {sleep}; echo end; exit {end}\"]\n          resources:\n            \
         requests: {{cpu: 10m, memory: 16Mi}}\n"
    )
}

fn fails(index: usize) -> bool {
    index % FAILING == FAILING - 1
}

/// Writes the examples of a repository; each sleeps between 0 and `longest` seconds.
fn repository(root: &Path, count: usize, longest: usize) {
    let examples = root.join("examples");
    fs::create_dir_all(&examples).unwrap();
    for index in 0..count {
        let sleep = if longest == 0 { 0 } else { index * 7919 % longest };
        fs::write(examples.join(format!("job-{index:05}.yaml")), manifest(index, sleep)).unwrap();
    }
    let config = "version: 1\ncluster: simulated\nexamples:\n  - paths: [examples/**/*.yaml]\n    tier: full\n";
    fs::create_dir_all(root.join(".github")).unwrap();
    fs::write(root.join(".github/example-validator.yml"), config).unwrap();
}

/// The number of an example, from its path.
fn number(example: &str) -> usize {
    example.trim_end_matches(".yaml").rsplit('-').next().unwrap().parse().unwrap()
}

fn assert_right(rows: &[Row]) {
    for row in rows {
        let expected = if fails(number(&row.example.to_string())) { Outcome::Failed } else { Outcome::Passed };
        assert_eq!(row.outcome, expected, "{}: {:?}", row.example, row.cause);
    }
}

type Moments = Arc<Mutex<HashMap<String, Timestamp>>>;

/// Notes, on a thread of its own, when each Job is first said to be over: by its name.
fn note_ends(store: &Store) -> Moments {
    let (moments, mut changes) = (Moments::default(), store.changes());
    let noted = Arc::clone(&moments);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        while let Some(change) = runtime.block_on(changes.next()) {
            let at = Timestamp::now();
            let text = |pointer: &str| change.object.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
            let conditions = change.object.pointer("/status/conditions").and_then(Json::as_array);
            let is_over = conditions.into_iter().flatten().any(|condition| {
                condition["status"] == "True" && (condition["type"] == "Complete" || condition["type"] == "Failed")
            });
            if is_over && text("/kind") == "Job" {
                noted.lock().unwrap().entry(text("/metadata/name").to_owned()).or_insert(at);
            }
        }
    });
    moments
}

/// How long after the event each verdict was, shortest first. `phases` are in whole milliseconds, rounded down, so that one
/// is added.
fn latencies(rows: &[Row], ends: &Moments) -> Vec<Duration> {
    let ends = ends.lock().unwrap();
    let mut found: Vec<_> = rows
        .iter()
        .map(|row| {
            let attempt = row.attempts.last().unwrap();
            let started: Timestamp = attempt.started_at.parse().unwrap();
            let finished = i64::try_from(attempt.phases["finishedMs"].as_u64().unwrap()).unwrap();
            let verdict = started + jiff::SignedDuration::from_millis(finished + 1);
            let end = ends[&format!("job-{}", number(&row.example.to_string()))];
            verdict.duration_since(end).try_into().unwrap_or_default()
        })
        .collect();
    found.sort_unstable();
    found
}

/// Runs all examples of a catalog at once on a simulated cluster of this pace.
async fn cells_of(catalog: &Catalog, root: &Path, pace: Pace) -> (Vec<Row>, Moments) {
    let options =
        Options { lifecycle: lifecycle::Options { pace, ..lifecycle::Options::default() }, ..Options::default() };
    let simulator = Simulator::start(options).await.unwrap();
    let ends = note_ends(simulator.store());
    let kubeconfig = root.join("kubeconfig");
    fs::write(&kubeconfig, simulator.kubeconfig_yaml()).unwrap();
    let access = Access { kubeconfig: Some(kubeconfig), context: None };
    let Ok(cluster) = existing::connect(&access, root).await else { panic!("the simulator can't be reached") };
    let (config, frameworks, redactor) = (Config::default(), Frameworks::default(), Redactor::new());
    let evidence = Evidence::new(&root.join("evidence"), Room::default(), redactor.clone());
    let target = Target::new(cluster.client.clone());
    let logs = Mutex::default();
    let world = World {
        cluster: &cluster,
        janitor: Janitor::new(target.clone(), Patience::on("simulated")),
        target,
        hub: Hub::new(cluster.client.clone()),
        sampler: Sampler::start(cluster.client.clone(), Rhythm::of(cluster.provider)),
        config: &config,
        frameworks: &frameworks,
        catalog,
        root,
        run_id: "bench",
        images: &Replacements::default(),
        meter: None,
        operator: None,
        containers: Containers::default(),
        follow: FollowContext::new(cluster.client.clone(), 256),
        evidence: &evidence,
        redactor: &redactor,
        environment: &[],
        scratch: root,
        logs: &logs,
    };
    world.watch(Duration::from_secs(30)).await.unwrap();
    let cells: Vec<_> = catalog
        .examples
        .iter()
        .map(|example| Cell {
            example,
            kubernetes: "v1.36.2",
            tier: Tier::Full,
            reason: String::new(),
            expected: Duration::from_secs(1),
            diagnostics: Vec::new(),
            alone: false,
            locks: std::collections::BTreeSet::new(),
            request: example.settings.resources,
            pods: cells::packing::pods(example),
            gates: Vec::new(),
        })
        .collect();
    let limits = Limits {
        parallel: NonZeroUsize::new(IN_FLIGHT),
        max_fail: None,
        failures: Arc::default(),
        fail_on: &[],
        deadline: None,
        today: jiff::civil::date(2026, 1, 1),
    };
    let cancel = CancellationToken::new();
    let rows =
        cells::run(&cells, &cluster.nodes, &limits, &cancel, |cell, turn| attempt(&world, cell, turn), |_| {}).await;
    let removed = world.janitor.finish(Duration::from_secs(100)).await;
    assert!(removed.left.is_empty(), "left: {:?}", removed.left);
    world.hub.stop();
    simulator.shutdown().await;
    (rows, ends)
}

/// Measures the time to verdicts at a pace; whether the bound holds.
fn verdicts(what: &str, pace: Pace, longest: usize) -> bool {
    let root = tempfile::tempdir().unwrap();
    repository(root.path(), CELLS, longest);
    let overrides = Overrides { paths: vec![root.path().join("examples")], ..Overrides::default() };
    let catalog = catalog::load(root.path(), &Config::default(), &overrides, &Frameworks::default()).unwrap();
    assert_eq!(catalog.examples.len(), CELLS);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let start = Instant::now();
    let (rows, ends) = runtime.block_on(cells_of(&catalog, root.path(), pace));
    let took = start.elapsed();
    assert_eq!(rows.len(), CELLS);
    assert_right(&rows);
    let found = latencies(&rows, &ends);
    let part = |percent: usize| found[(found.len() * percent).div_ceil(100) - 1].as_secs_f64() * 1e3;
    println!(
        "{what:<46} {:>6.2} s; event to verdict: p50 {:.0} ms, p90 {:.0} ms, p99 {:.0} ms, longest {:.0} ms",
        took.as_secs_f64(),
        part(50),
        part(90),
        part(99),
        part(100)
    );
    part(99) < VERDICT.as_secs_f64() * 1e3
}

/// Runs the program on so many examples: its time, and its peak of memory in MiB.
fn whole_run(count: usize) -> (Duration, u64) {
    let root = tempfile::tempdir().unwrap();
    repository(root.path(), count, 0);
    let start = Instant::now();
    let mut program = Command::new(env!("CARGO_BIN_EXE_example-validator"))
        .args(["run", "--tier", "full", "--retries", "0"])
        .current_dir(root.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (status, mut peak) = (format!("/proc/{}/status", program.id()), 0);
    let code = loop {
        peak = peak.max(peak_of(&status));
        if let Some(code) = program.try_wait().unwrap() {
            break code;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let took = start.elapsed();
    assert_eq!(code.code(), Some(1), "a quarter of the examples fail");
    let report = fs::read(root.path().join("example-validator-report/report.json")).unwrap();
    let report: Json = serde_json::from_slice(&report).unwrap();
    let failing = (0..count).filter(|index| fails(*index)).count();
    assert_eq!(report["summary"]["failed"], failing, "{}", report["summary"]);
    assert_eq!(report["summary"]["passed"], count - failing, "{}", report["summary"]);
    println!(
        "{:<46} {:>6.2} s; peak memory {peak} MiB",
        format!("{count} cells, the whole program"),
        took.as_secs_f64()
    );
    (took, peak)
}

/// The peak of a process's memory so far, in MiB.
fn peak_of(status: &str) -> u64 {
    let status = fs::read_to_string(status).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn main() {
    let counts: Vec<usize> = std::env::args().skip(1).filter_map(|count| count.parse().ok()).collect();
    let counts = if counts.is_empty() { vec![200, 2000] } else { counts };
    let mut missed = Vec::new();
    if !verdicts("100 cells in flight, as fast as a real cluster", Pace::Real(1.0), 10) {
        missed.push("the time to a verdict".to_owned());
    }
    // Both processors are busy all the time: told, and not bounded.
    verdicts("100 cells in flight, without any waiting", Pace::Instant, 200);
    let runs: Vec<_> = counts.iter().map(|count| (*count, whole_run(*count))).collect();
    if let Some((count, (took, peak))) = runs.first() {
        let allowed = RUN.mul_f64((*count as f64 / 200.0).max(1.0));
        if *took > allowed || *peak > MEMORY_MIB {
            missed
                .push(format!("{count} cells: {took:?} and {peak} MiB, allowed are {allowed:?} and {MEMORY_MIB} MiB"));
        }
    }
    if let [(few, (short, _)), .., (many, (long, _))] = runs.as_slice() {
        let (ratio, allowed) = (long.as_secs_f64() / short.as_secs_f64(), TENFOLD * (many / few) as f64 / 10.0);
        println!("{many} cells take {ratio:.2} times the time of {few}");
        if ratio > allowed {
            missed.push(format!("{many} cells take {ratio:.2} times the time of {few}, allowed is {allowed:.2}"));
        }
    }
    assert!(missed.is_empty(), "missed: {}", missed.join("; "));
}
