//! A history through the real program: what enters it, what a plan takes from it, and what of it can go wrong without harm.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "github/node.rs"]
#[expect(dead_code, reason = "nothing is run here: files of packages are read")]
mod node;
#[path = "common/program.rs"]
mod program;
#[path = "github/rest_branches.rs"]
#[expect(dead_code, reason = "nobody writes at once here")]
mod rest_branches;
#[path = "github/rest_description.rs"]
mod rest_description;
#[path = "github/rest_server.rs"]
#[expect(dead_code, reason = "each suite uses a part")]
mod rest_server;

use std::path::Path;
use std::process::{Command, Output};

use example_validator::history::{Record, lines};
use example_validator::model::{ExampleId, Outcome, Tier};
use example_validator::plan::Plan;
use rest_server::{Github, REPOSITORY, TOKEN};
use serde_json::{Value, json};

const FILE: &str = "history.jsonl";
const BRANCH: &str = "example-validator-history";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A repository of Jobs with these names.
fn repository(names: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("examples")).unwrap();
    for name in names {
        let text = format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      \
             containers: [{{name: main, image: 'docker.io/library/busybox:1.37.0', command: [sh, -c, exit 0]}}]\n"
        );
        std::fs::write(root.path().join(format!("examples/{name}.yaml")), text).unwrap();
    }
    root
}

fn done(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    let shown = || format!("{}\n{}", String::from_utf8_lossy(&output.stdout), said(&output));
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{}", shown());
    assert!(!shown().contains(TOKEN), "a secret was printed:\n{}", shown());
    output
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs the basic tier with the history in a file.
fn run(root: &Path) -> Output {
    done(program::program(root).args(["run", "--tier", "basic", "--history", FILE]), 0)
}

fn records(root: &Path) -> Vec<Record> {
    read(&std::fs::read(root.join(FILE)).unwrap())
}

fn read(text: &[u8]) -> Vec<Record> {
    let read = lines::read(text, jiff::Timestamp::now());
    assert_eq!(read.skipped, None);
    read.records
}

fn runs(records: &[Record]) -> Vec<(&str, &str)> {
    records.iter().map(|record| (record.example.as_str(), &*record.run)).collect()
}

fn past(example: &str, hours_ago: i64, duration_ms: u64) -> Record {
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours_ago);
    Record {
        at,
        run: hours_ago.to_string().into(),
        attempt: 1,
        commit: COMMIT.into(),
        example: ExampleId::new(format!("examples/{example}.yaml")),
        framework: Some("job".into()),
        kubernetes: Some("v1.34.0".into()),
        tier: Tier::Full,
        outcome: Outcome::Passed,
        class: None,
        reason: String::new(),
        duration_ms,
        cpu_efficiency: None,
        memory_efficiency: None,
    }
}

fn remember(root: &Path, records: &[Record]) {
    std::fs::write(root.join(FILE), lines::text(records)).unwrap();
}

fn plan(command: &mut Command) -> Plan {
    let output = done(command.args(["--format", "json"]), 0);
    Plan::read(std::str::from_utf8(&output.stdout).unwrap()).unwrap()
}

#[test]
fn each_run_adds_its_lines_and_a_report_made_again_adds_none() {
    let root = repository(&["a", "b"]);
    let first = said(&run(root.path()));
    assert!(first.contains("there is no history in history.jsonl yet"), "{first}");
    assert_eq!(said(&run(root.path())), "");
    let records = records(root.path());
    let examples: Vec<_> = records.iter().map(|record| record.example.as_str()).collect();
    assert_eq!(examples, ["examples/a.yaml", "examples/b.yaml", "examples/a.yaml", "examples/b.yaml"]);
    assert_eq!((&records[0].run, records[0].outcome), (&records[1].run, Outcome::Passed));
    assert_ne!(records[1].run, records[2].run);
    assert!(records.iter().all(|record| record.kubernetes.is_none() && record.tier == Tier::Basic));
    let badge = std::fs::read_to_string(root.path().join("history.badge.json")).unwrap();
    let badge: Value = serde_json::from_str(&badge).unwrap();
    assert_eq!((&badge["schemaVersion"], &badge["label"]), (&json!(1), &json!("examples")));

    let before = std::fs::read(root.path().join(FILE)).unwrap();
    done(program::program(root.path()).args(["report", "--history", FILE]), 0);
    assert_eq!(std::fs::read(root.path().join(FILE)).unwrap(), before);
}

#[test]
fn the_badge_has_the_score_of_the_repository_and_not_of_what_a_run_selects() {
    let root = repository(&["broken", "works"]);
    let on = |version: &str, example: &str, hours, outcome| Record {
        kubernetes: Some(version.into()),
        outcome,
        ..past(example, hours, 60_000)
    };
    // The jobs of one workflow run, each on a version of its own.
    let job = |version: &'static str, broken: Outcome| {
        let of = move |hours| [on(version, "broken", hours, broken), on(version, "works", hours, Outcome::Passed)];
        (1..=4).rev().flat_map(of)
    };
    let all: Vec<_> = job("v1.33.4", Outcome::Failed).chain(job("v1.34.0", Outcome::Passed)).collect();
    remember(root.path(), &all);
    run(root.path());
    // 0 of 50 points for what passes, all of 15, 10 and 5 for flakes, freshness and images: 38 of 100. The other has 100.
    let badge = std::fs::read_to_string(root.path().join("history.badge.json")).unwrap();
    let badge: Value = serde_json::from_str(&badge).unwrap();
    assert_eq!((&badge["message"], &badge["color"]), (&json!("69"), &json!("yellow")));
    let of_run = records(root.path()).iter().filter(|record| &*record.run == "4").count();
    assert_eq!(of_run, 4, "one of each example and version");
}

#[test]
fn processes_that_end_at_once_lose_nothing() {
    let root = repository(&["a", "b"]);
    let start = |number: usize| {
        let mut command = program::program(root.path());
        let output = format!("out-{number}");
        command.args(["run", "--tier", "basic", "--history", FILE, "--output", &output]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
    };
    let started: Vec<_> = (0..6).map(start).collect();
    for mut child in started {
        assert!(child.wait().unwrap().success());
    }
    let records = records(root.path());
    let mut ids: Vec<_> = records.iter().map(|record| &*record.run).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((records.len(), ids.len()), (12, 6));
}

#[test]
fn a_simulated_run_never_enters_and_says_so() {
    let root = repository(&["a"]);
    let simulated = ["run", "--cluster", "simulated", "--kubernetes", "v1.34.0", "--history", FILE];
    let output = done(program::program(root.path()).args(simulated), 0);
    assert!(
        said(&output).contains("the history in history.jsonl gets no line: a simulated run never enters it"),
        "{}",
        said(&output)
    );
    assert!(!root.path().join(FILE).exists());
    // Nor does its report.
    done(program::program(root.path()).args(["report", "--history", FILE]), 0);
    assert!(!root.path().join(FILE).exists());
}

#[test]
fn shards_enter_when_they_are_merged_and_once() {
    let root = repository(&["a", "b", "c", "d"]);
    let text = done(program::program(root.path()).args(["plan", "--tier", "basic", "--format", "json"]), 0).stdout;
    std::fs::write(root.path().join("plan.json"), text).unwrap();
    for number in 1..=2 {
        let (shard, output) = (format!("{number}/2"), format!("out/{number}"));
        let arguments = ["run", "--plan", "plan.json", "--shard", &shard, "--output", &output, "--history", FILE];
        done(program::program(root.path()).args(arguments), 0);
        assert!(!root.path().join(FILE).exists());
    }
    for _ in 0..2 {
        let report = ["report", "--plan", "plan.json", "--output", "merged", "--history", FILE, "out"];
        done(program::program(root.path()).args(report), 0);
        let records = records(root.path());
        assert_eq!(records.len(), 4);
        assert!(records.iter().all(|record| record.run == records[0].run));
    }
}

#[test]
fn what_is_no_record_is_told_once_and_harms_no_plan() {
    let root = repository(&["a"]);
    let good = lines::line(&past("a", 1, 7_000));
    let text = ["<<<<<<< HEAD\n".as_bytes(), good.as_bytes(), b"{\"at\": 1}\n\xff\n", &good.as_bytes()[..50]].concat();
    std::fs::write(root.path().join(FILE), text).unwrap();
    let mut command = program::program(root.path());
    let output = done(command.args(["plan", "--kubernetes", "v1.34.0", "--format", "json", "--history", FILE]), 0);
    let told = said(&output);
    assert!(told.contains("history.jsonl: 4 lines are no records, and are skipped; the first is line 1: "), "{told}");
    assert_eq!(told.matches("warning").count(), 1, "{told}");
    let plan = Plan::read(std::str::from_utf8(&output.stdout).unwrap()).unwrap();
    assert_eq!(plan.rows[0].expected_ms, 7_000);
}

#[test]
fn a_plan_expects_what_was_recorded_and_spreads_it() {
    let root = repository(&["a", "b", "c", "slow"]);
    let mut all: Vec<_> = ["a", "b", "c"].map(|name| past(name, 1, 1_000)).into();
    all.extend([past("slow", 3, 400_000), past("slow", 2, 500_000), past("slow", 1, 900_000)]);
    remember(root.path(), &all);
    // From the config: relative to the root.
    std::fs::create_dir(root.path().join(".github")).unwrap();
    let config = format!("version: 1\nhistory: {{file: {FILE}}}\n");
    std::fs::write(root.path().join(".github/example-validator.yml"), config).unwrap();
    let plan = |history: &[&str]| {
        plan(program::program(root.path()).args(["plan", "--kubernetes", "v1.34.0", "--shard", "1/2"]).args(history))
    };
    let planned = plan(&[]);
    let expected: Vec<_> = planned.rows.iter().map(|row| row.expected_ms).collect();
    assert_eq!(expected, [1_000, 1_000, 1_000, 500_000]);
    let shards = |plan: &Plan| {
        let mut sizes: Vec<_> = (1..=2).map(|number| plan.shard(number, 2).len()).collect();
        sizes.sort_unstable();
        sizes
    };
    assert_eq!(shards(&planned), [1, 3]);
    assert_eq!(shards(&plan(&["--history", "off"])), [2, 2]);
}

#[test]
fn what_ran_lately_is_not_due() {
    let root = repository(&["late", "never", "recent", "unjudged"]);
    std::fs::create_dir(root.path().join(".github")).unwrap();
    let config = "version: 1\nexamples: [{paths: ['examples/*.yaml'], tier: periodic}]\nperiodic: {every: 7d}\n";
    std::fs::write(root.path().join(".github/example-validator.yml"), config).unwrap();
    let unjudged = Record { outcome: Outcome::Errored, ..past("unjudged", 24, 1) };
    remember(root.path(), &[past("late", 24 * 9, 1), past("recent", 24 * 2, 1), unjudged]);
    let mut command = program::program(root.path());
    command.args(["plan", "--history", FILE]).envs([("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_NAME", "schedule")]);
    let plan = plan(&mut command);
    let reasons: Vec<_> = plan.rows.iter().map(|row| (row.kubernetes.is_some(), row.reason.as_str())).collect();
    let expected = [
        (true, "due: last run 9d ago, every 7d"),
        (true, "due: never run"),
        (false, "not due: last run 2d ago, every 7d"),
        (true, "due: never run"),
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn a_history_that_can_not_be_kept_costs_no_verdict() {
    let root = repository(&["a"]);
    std::fs::write(root.path().join("file"), "").unwrap();
    let arguments = ["run", "--tier", "basic", "--history", "file/history.jsonl"];
    let told = said(&done(program::program(root.path()).args(arguments), 0));
    assert!(
        told.contains("warning: the history in file/history.jsonl is not written: can't create the folder"),
        "{told}"
    );
    assert!(root.path().join("example-validator-report/report.json").exists());

    let refused = done(program::program(root.path()).args(["run", "--tier", "basic", "--history", "examples"]), 2);
    assert!(said(&refused).contains("the history can't be kept in `examples`: it is a folder"), "{}", said(&refused));
}

/// The program as a step of a workflow run of the repository, with the history on a branch.
fn step(github: &Github, root: &Path, event: &str, reference: &str, payload: &Value) -> Command {
    let path = root.join("event.json");
    std::fs::write(&path, payload.to_string()).unwrap();
    let mut command = program::program(root);
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_EVENT_NAME", event)
        .env("GITHUB_EVENT_PATH", path)
        .env("GITHUB_REPOSITORY", REPOSITORY)
        .env("GITHUB_REF", reference)
        .env("GITHUB_SHA", COMMIT)
        .env("GITHUB_RUN_ID", "7")
        .env("GITHUB_WORKSPACE", root)
        .env("GITHUB_API_URL", github.url())
        .env("GITHUB_STEP_SUMMARY", root.join("step-summary.md"))
        .env("INPUT_GITHUB-TOKEN", TOKEN)
        .env("INPUT_COMMENT", "never")
        .env("INPUT_HISTORY", format!("branch:{BRANCH}"));
    command
}

fn push(github: &Github, root: &Path) -> Command {
    let payload = json!({"repository": {"full_name": REPOSITORY, "default_branch": "main"}});
    step(github, root, "push", "refs/heads/main", &payload)
}

fn on_branch(github: &Github) -> Vec<Record> {
    github.branches(|branches| read(branches.file(BRANCH, FILE).unwrap().as_bytes()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_to_the_default_branch_begins_the_branch_and_adds_to_it() {
    let (github, root) = (Github::start().await, repository(&["a", "b"]));
    // The second attempt at a run is a try of its own; another job of that attempt tells the same again.
    for (run, attempt) in [("7", "1"), ("8", "1"), ("8", "2"), ("8", "2")] {
        let mut command = push(&github, root.path());
        command.env("GITHUB_RUN_ID", run).env("GITHUB_RUN_ATTEMPT", attempt);
        done(command.args(["run", "--tier", "basic"]), 0);
    }
    let records = on_branch(&github);
    let (a, b) = ("examples/a.yaml", "examples/b.yaml");
    assert_eq!(runs(&records), [(a, "7"), (b, "7"), (a, "8"), (b, "8"), (a, "8"), (b, "8")]);
    assert_eq!(records.iter().map(|record| record.attempt).collect::<Vec<_>>(), [1, 1, 1, 1, 2, 2]);
    assert!(records.iter().all(|record| &*record.commit == COMMIT));
    github.branches(|branches| {
        let message = |run: &str| format!("Record run {run} of o/r at 0123456 [skip ci]");
        assert_eq!(branches.messages(BRANCH), [message("7"), message("8"), message("8"), message("8")]);
        assert!(branches.file(BRANCH, "README.md").unwrap().contains("history.jsonl"));
        let badge: Value = serde_json::from_str(branches.file(BRANCH, "badge.json").unwrap()).unwrap();
        assert_eq!(badge["label"], "examples");
    });
    github.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_could_not_be_read_leaves_the_badge_as_it_is() {
    let (github, root) = (Github::start().await, repository(&["a"]));
    let recorded: Vec<_> =
        (1..=4).rev().map(|hours| Record { run: (10 - hours).to_string().into(), ..past("a", hours, 1) }).collect();
    github.branches(|branches| {
        branches.write(BRANCH, FILE, lines::text(&recorded), "a run's");
        branches.write(BRANCH, "badge.json", "92".to_owned(), "a run's");
    });
    let denied = json!({"message": "Resource not accessible by integration"}).to_string();
    let reference = format!("/repos/{REPOSITORY}/git/ref/heads/{BRANCH}");
    github.fault(axum::http::Method::GET, &reference, rest_server::Fault::Answer(403, vec![], denied));
    let mut command = push(&github, root.path());
    let told = said(&done(command.env("GITHUB_RUN_ID", "10").args(["run", "--tier", "basic"]), 0));
    assert!(told.contains("is not read: GitHub denies it"), "{told}");
    assert_eq!(on_branch(&github).len(), 5);
    github.branches(|branches| assert_eq!(branches.file(BRANCH, "badge.json"), Some("92")));

    // An old run that is tried again knows less than what is there.
    let mut command = push(&github, root.path());
    command.env("GITHUB_RUN_ID", "9").env("GITHUB_RUN_ATTEMPT", "2");
    done(command.args(["run", "--tier", "basic"]), 0);
    assert_eq!(on_branch(&github).len(), 6);
    github.branches(|branches| assert_eq!(branches.file(BRANCH, "badge.json"), Some("92")));

    done(push(&github, root.path()).env("GITHUB_RUN_ID", "11").args(["run", "--tier", "basic"]), 0);
    github.branches(|branches| assert!(branches.file(BRANCH, "badge.json").unwrap().contains("schemaVersion")));
    github.finish();
}

#[test]
fn a_run_in_a_clone_is_of_the_commit_that_is_checked_out() {
    let root = repository(&["a"]);
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
        done(Command::new("git").current_dir(root.path()).args(identity).args(arguments), 0)
    };
    git(&["init", "--quiet"]);
    git(&["add", "examples"]);
    git(&["commit", "--quiet", "-m", "x"]);
    let head = String::from_utf8(git(&["rev-parse", "HEAD"]).stdout).unwrap();
    run(root.path());
    assert_eq!(records(root.path())[0].commit.as_ref(), head.trim());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_badge_is_replaced_beside_the_history() {
    let (github, root) = (Github::start().await, repository(&["a"]));
    github.branches(|branches| branches.write(BRANCH, "badge.json", "old".to_owned(), "by hand"));
    done(push(&github, root.path()).args(["run", "--tier", "basic"]), 0);
    github.branches(|branches| {
        assert!(branches.file(BRANCH, "badge.json").unwrap().contains("schemaVersion"));
        assert_eq!(branches.messages(BRANCH).len(), 2);
    });
    github.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_that_holds_something_else_is_left_alone() {
    let (github, root) = (Github::start().await, repository(&["a"]));
    github.branches(|branches| branches.write(BRANCH, FILE, "{\"not\": \"ours\"}\n".to_owned(), "another's"));
    let told = said(&done(push(&github, root.path()).args(["run", "--tier", "basic"]), 0));
    assert!(told.contains("is not written: its history.jsonl holds something else"), "{told}");
    github.branches(|branches| assert_eq!(branches.messages(BRANCH), ["another's"]));
    github.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_of_another_commit_does_not_write() {
    let (github, root) = (Github::start().await, repository(&["a"]));
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
        done(Command::new("git").current_dir(root.path()).args(identity).args(arguments), 0)
    };
    git(&["init", "--quiet"]);
    git(&["commit", "--quiet", "--allow-empty", "-m", "x"]);
    let head = String::from_utf8(git(&["rev-parse", "HEAD"]).stdout).unwrap();
    let told = said(&done(push(&github, root.path()).args(["run", "--tier", "basic"]), 0));
    assert!(told.contains("stays as it is: what is checked out is not the event's commit"), "{told}");
    github.branches(|branches| assert!(branches.messages(BRANCH).is_empty()));

    done(push(&github, root.path()).args(["run", "--tier", "basic"]).env("GITHUB_SHA", head.trim()), 0);
    assert_eq!(on_branch(&github)[0].commit.as_ref(), head.trim());
    github.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_of_another_run_are_merged_and_not_written() {
    let (github, root) = (Github::start().await, repository(&["a", "b"]));
    for shard in ["1/2", "2/2"] {
        let output = format!("shard-{}", &shard[..1]);
        done(push(&github, root.path()).args(["run", "--tier", "basic", "--shard", shard, "--output", &output]), 0);
    }
    let merge = ["report", "shard-1", "shard-2", "--output", "merged"];
    let told = said(&done(push(&github, root.path()).args(merge).env("GITHUB_RUN_ID", "8"), 0));
    assert!(told.contains("stays as it is: a report that is merged is of another workflow run"), "{told}");
    github.branches(|branches| assert!(branches.messages(BRANCH).is_empty()));

    done(push(&github, root.path()).args(merge), 0);
    assert_eq!(on_branch(&github).len(), 2);
    github.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_against_new_branches_says_what_it_would_take() {
    let (github, root) = (Github::start().await, repository(&["a"]));
    github.branches(|branches| branches.protected = true);
    let told = said(&done(push(&github, root.path()).args(["run", "--tier", "basic"]), 0));
    assert!(told.contains("creations being restricted") && told.contains("contents: write"), "{told}");
    assert!(told.contains("ruleset"), "{told}");
    github.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_reads_the_history_and_does_not_write() {
    let (github, root) = (Github::start().await, repository(&["a", "b"]));
    let recorded = lines::line(&past("a", 1, 7_000));
    github.branches(|branches| branches.write(BRANCH, FILE, recorded.clone(), "a run's"));
    let repo = json!({"full_name": REPOSITORY});
    let payload = json!({
        "number": 7,
        "pull_request": {
            "number": 7, "state": "open", "draft": false, "title": "t", "changed_files": 1,
            "head": {"sha": COMMIT, "ref": "topic", "repo": repo}, "base": {"sha": COMMIT, "ref": "main", "repo": repo},
            "user": {"login": "someone"}
        },
        "repository": {"full_name": REPOSITORY, "default_branch": "main"}
    });
    let pull_request = || step(&github, root.path(), "pull_request", "refs/pull/7/merge", &payload);
    let arguments = ["plan", "--changed-files", "off", "--kubernetes", "v1.34.0"];
    assert_eq!(plan(pull_request().args(arguments)).rows[0].expected_ms, 7_000);
    let output = done(pull_request().args(["run", "--tier", "basic"]), 0);
    assert!(!said(&output).contains("history"), "{}", said(&output));
    github.branches(|branches| {
        assert_eq!((branches.messages(BRANCH), branches.file(BRANCH, FILE)), (vec!["a run's"], Some(&*recorded)));
    });
    assert!(github.seen().iter().all(|seen| seen.method == "GET"), "{:?}", github.requests());
    assert!(github.requests().iter().any(|request| request.contains("/git/blobs/")), "{:?}", github.requests());
    github.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_can_only_read_says_what_it_would_take() {
    let (github, root) = (Github::start().await, repository(&["a"]));
    github.branches(|branches| branches.read_only = true);
    let told = said(&done(push(&github, root.path()).args(["run", "--tier", "basic"]), 0));
    let expected = "the history in the branch example-validator-history is not written: GitHub denies it: Resource not accessible by integration";
    assert!(told.contains(expected) && told.contains("permissions: {contents: write}"), "{told}");
    let summary = std::fs::read_to_string(root.path().join("step-summary.md")).unwrap();
    assert!(summary.contains("contents: write"), "{summary}");
    github.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_token_or_a_network_the_plan_is_made_all_the_same() {
    let (github, root) = (Github::nowhere().await, repository(&["a"]));
    let mut command = push(&github, root.path());
    let told = said(&done(command.env_remove("INPUT_GITHUB-TOKEN").args(["plan", "--tier", "basic"]), 0));
    assert!(told.contains("is not read: GitHub's API can't be used: the input `github-token` is empty"), "{told}");

    let told = said(&done(push(&github, root.path()).args(["plan", "--tier", "basic"]), 0));
    assert!(told.contains("example-validator-history is not read: GitHub can't be reached"), "{told}");
    assert!(told.contains("durations are estimated"), "{told}");
}
