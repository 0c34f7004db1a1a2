//! Cancellation at any moment: a report every time, soon, and nothing left on the cluster that is not named.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "common/program.rs"]
mod program;
#[path = "common/repository.rs"]
mod repository;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use example_validator::simulator::lifecycle::{self, Pace};
use example_validator::simulator::store::Random;
use example_validator::simulator::{Options, faults::Faults};
use repository::{Simulated, job};
use serde_json::Value as Json;

/// How many runs are cancelled, how many of them at a time, and up to when after their start.
const MOMENTS: usize = 50;
const AT_ONCE: usize = 3;
const LATEST: u64 = 3_500;
/// A runner kills what is still there 10 s after its first signal, and 8 s are what a run may take. The program's own limits leave 6.5 s
/// to a cluster that does not answer: a build without optimisation on a busy machine needs more than the rest for all else.
const BOUND: Duration = Duration::from_secs(if cfg!(debug_assertions) { 25 } else { 8 });

const CONFIG: &str = "\
version: 1
cluster: existing
parallel: 4
retries: 1
examples:
  - {paths: ['examples/*.yaml'], tier: full, timeout: 1m}
graces: {image-not-found: 1s}
";

fn repository() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| repository::write(root.path(), path, text);
    write("config.yml", CONFIG);
    for index in 0..6 {
        write(&format!("examples/good-{index}.yaml"), &job("good", "echo working; sleep 1; echo done", ""));
    }
    write("examples/bad.yaml", &job("bad", "echo no; exit 3", ""));
    write("examples/hangs.yaml", &job("hangs", "echo endless; sleep 100000", ""));
    let class =
        "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: cancelled-class}\nvalue: 7\n---\n";
    write("examples/owner-a.yaml", &format!("{class}{}", job("owner", "sleep 1", "")));
    write("examples/owner-b.yaml", &format!("{class}{}", job("owner", "sleep 1", "")));
    root
}

async fn cluster() -> Simulated {
    Simulated::start(Options {
        lifecycle: lifecycle::Options { pace: Pace::Real(0.2), ..lifecycle::Options::default() },
        faults: Faults { latency_ms: 5, jitter_ms: 20, ..Faults::default() },
        ..Options::default()
    })
    .await
}

fn start(root: &Path, kubeconfig: &Path, output: &str) -> Child {
    let mut command: Command = program::program(root);
    command.args(["run", "--config", "config.yml", "--no-color", "--output", output, "--kubeconfig"]).arg(kubeconfig);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Waits for a child that was told to end; its output, and how long it took.
fn ended(child: Child) -> (Output, Duration) {
    let asked = Instant::now();
    let output = child.wait_with_output().unwrap();
    (output, asked.elapsed())
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits until the program listens for signals: before that the system ends it, as any program.
fn listening(child: &Child) {
    let status = format!("/proc/{}/status", child.id());
    let until = Instant::now() + Duration::from_secs(30);
    while Instant::now() < until {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).map(str::trim);
        let caught = caught.and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0);
        // SIGINT is 2, SIGTERM 15.
        if caught & (1 << 1) != 0 && caught & (1 << 14) != 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("it never listened for signals");
}

/// Waits until something shows that the run has come so far.
fn until(what: &str, seen: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !seen() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Cancels one run, and says what it left that its output does not name.
fn cancelled_after(root: &Path, kubeconfig: &Path, index: usize, after: Duration, by: &str) -> bool {
    let output = format!("out-{index}");
    let mut child = start(root, kubeconfig, &output);
    listening(&child);
    std::thread::sleep(after);
    let was_done = child.try_wait().unwrap().is_some();
    if !was_done {
        signal(&child, by);
    }
    let (ended, took) = ended(child);
    let said = said(&ended);
    let moment = format!("run {index}, {by} after {} ms", after.as_millis());
    assert!(took < BOUND, "{moment}: it took {took:?}\n{said}");
    let report = repository::report(&root.join(&output));
    let conclusion = report["summary"]["conclusion"].as_str().unwrap();
    let code = ended.status.code();
    if code == Some(1) {
        // It was done when the signal came.
        assert_eq!(conclusion, "simulated", "{moment}\n{said}");
    } else {
        assert_eq!(conclusion, "cancelled", "{moment}\n{said}");
        assert_eq!(code, Some(if by == "INT" { 130 } else { 143 }), "{moment}\n{said}");
    }
    let rows = report["results"].as_array().unwrap();
    assert_eq!(rows.len(), 10, "{moment}: {rows:#?}");
    assert!(!root.join(&output).join("journal.jsonl").exists(), "{moment}: the journal is still there");
    if rows.iter().any(|row| row["evidence"].is_string()) {
        assert!(!repository::members(&root.join(&output)).is_empty(), "{moment}");
    }
    for row in rows.iter().filter(|row| conclusion == "cancelled" && row["outcome"] == "errored") {
        assert_eq!(row["cause"]["reason"], "Cancelled", "{moment}: {row:#}");
    }
    said.contains("not deleted yet")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_cancelled_at_any_moment_reports_soon_and_leaves_nothing_unnamed() {
    let (cluster, root) = (cluster().await, repository());
    let random = std::sync::Mutex::new(Random::new(50));
    let next = std::sync::atomic::AtomicUsize::new(0);
    let names_leftovers = std::sync::atomic::AtomicBool::new(false);
    let work = || {
        loop {
            let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if index >= MOMENTS {
                return;
            }
            // The first come before the first cell.
            let after = if index < 5 { 0 } else { random.lock().unwrap().below(LATEST) };
            let by = if index.is_multiple_of(2) { "INT" } else { "TERM" };
            let named = cancelled_after(root.path(), &cluster.kubeconfig, index, Duration::from_millis(after), by);
            names_leftovers.fetch_or(named, std::sync::atomic::Ordering::Relaxed);
        }
    };
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(work);
            }
        });
    });
    if names_leftovers.into_inner() {
        clean(root.path(), &cluster.kubeconfig);
    }
    assert_eq!(cluster.left(), Vec::<String>::new());
}

fn clean(root: &Path, kubeconfig: &Path) -> String {
    let mut command = program::program(root);
    let output = command.args(["clean", "--no-color", "--kubeconfig"]).arg(kubeconfig).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A run that has finished two cells at least, and is in the middle of others.
fn in_the_middle(root: &Path, kubeconfig: &Path) -> Child {
    let child = start(root, kubeconfig, "out");
    until("no cell ended", || {
        let journal = std::fs::read_to_string(root.join("out/journal.jsonl")).unwrap_or_default();
        journal.lines().filter(|line| line.contains("\"row\"")).count() >= 2
    });
    child
}

/// The journal of a run that was ended at once gives a report, with the evidence in an archive; `clean` deletes the rest.
fn reported_from_its_journal(root: &Path, cluster: &Simulated) {
    assert!(root.join("out/journal.jsonl").exists(), "the journal is gone");
    assert!(!root.join("out/report.json").exists());
    let output = program::program(root)
        .args(["report", "out", "--config", "config.yml", "--no-color", "--output", "merged"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    let report: Json = repository::report(&root.join("merged"));
    assert_eq!(report["summary"]["conclusion"], "cancelled");
    let rows = report["results"].as_array().unwrap();
    assert!(rows.len() >= 2, "{rows:#?}");
    let members = repository::members(&root.join("out"));
    for row in rows.iter().filter(|row| row["evidence"].is_string()) {
        let folder = row["evidence"].as_str().unwrap();
        assert!(members.iter().any(|(name, _)| name.starts_with(folder)), "{folder} is not archived");
    }
    assert!(!cluster.left().is_empty(), "what it made is gone: there is nothing to clean");
    assert!(clean(root, &cluster.kubeconfig).contains("deleted Namespace/ev-"));
    assert_eq!(cluster.left(), Vec::<String>::new());
    assert!(clean(root, &cluster.kubeconfig).contains("nothing to delete"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_run_is_reported_from_its_journal() {
    let (cluster, root) = (cluster().await, repository());
    tokio::task::block_in_place(|| {
        let mut child = in_the_middle(root.path(), &cluster.kubeconfig);
        child.kill().unwrap();
        child.wait().unwrap();
        reported_from_its_journal(root.path(), &cluster);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_sigint_leaves_at_once_and_the_journal_tells_what_was_known() {
    let (cluster, root) = (cluster().await, repository());
    tokio::task::block_in_place(|| {
        let mut child = in_the_middle(root.path(), &cluster.kubeconfig);
        // Every request takes longer than the run may: it can't end in good order before the second signal.
        cluster.simulator.faults().set(Faults { latency_ms: 20_000, ..Faults::default() });
        signal(&child, "INT");
        let asked = Instant::now();
        // Signals of one kind that come together are one to the system: the second is sent until it is heard.
        for turn in 0..50 {
            std::thread::sleep(Duration::from_millis(200));
            let is_done = child.try_wait().unwrap().is_some();
            assert!(turn > 0 || !is_done, "it was done already");
            if is_done {
                break;
            }
            signal(&child, "INT");
        }
        let (output, _) = ended(child);
        let took = asked.elapsed();
        // In good order it is 6 s at least.
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert_eq!(output.status.code(), Some(130));
        assert!(said(&output).contains("leaving at once"));
        cluster.simulator.faults().set(Faults::default());
        reported_from_its_journal(root.path(), &cluster);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_no_longer_answers_keeps_no_cancelled_run() {
    let (cluster, root) = (cluster().await, repository());
    tokio::task::block_in_place(|| {
        let child = in_the_middle(root.path(), &cluster.kubeconfig);
        cluster.simulator.faults().set(Faults { latency_ms: 60_000, ..Faults::default() });
        signal(&child, "INT");
        let (output, took) = ended(child);
        assert!(took < BOUND, "{took:?}");
        assert_eq!(output.status.code(), Some(130), "{}", said(&output));
        assert!(said(&output).contains("not deleted yet: Namespace/ev-"), "{}", said(&output));
        assert_eq!(repository::report(&root.path().join("out"))["summary"]["conclusion"], "cancelled");
        cluster.simulator.faults().set(Faults::default());
        clean(root.path(), &cluster.kubeconfig);
        assert_eq!(cluster.left(), Vec::<String>::new());
    });
}
