//! A fan-out from end to end, through the real program: a plan that its shards find among the run's artifacts, and the report of what they
//! left, in this run or another, by the results service or the REST API.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "common/program.rs"]
mod program;
#[path = "collect/server.rs"]
mod server;

use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use serde_json::{Value, json};
use server::{COMMIT, RUN, Server, TOKEN, zip};

/// A repository with `count` good examples and one that is refused.
fn repository(count: usize) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("examples")).unwrap();
    let write = |name: &str, object: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {object}}}\nspec: {{containers: [{{name: main, image: 'docker.io/library/busybox:1.37.0'}}]}}\n"
        );
        std::fs::write(root.path().join("examples").join(name), text).unwrap();
    };
    for index in 0..count {
        write(&format!("good-{index}.yaml"), &format!("good-{index}"));
    }
    write("refused.yaml", "Refused");
    root
}

fn run(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    let shown = || format!("{}\n{}", String::from_utf8_lossy(&output.stdout), said(&output));
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{}", shown());
    assert!(!shown().contains(TOKEN) && !shown().contains("sig="), "a secret was printed:\n{}", shown());
    output
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn push() -> Value {
    json!({"repository": {"full_name": "o/r", "default_branch": "main"}})
}

/// Plans three shards of the basic tier; the plan's digest.
fn plan(server: &Server, root: &Path) -> String {
    run(server.step(root, "push", &push()).args(["plan", "--tier", "basic", "--shard", "1/3"]), 0);
    let plan = json_of(&root.join("example-validator-report/plan.json"));
    plan["digest"].as_str().unwrap().to_owned()
}

/// What the artifact of a plan is called.
fn plan_name(digest: &str) -> String {
    format!("example-validator-plan-{}", &digest["sha256:".len()..][..12])
}

/// Runs a shard as a step of a job, and leaves its artifact.
fn shard(server: &Server, root: &Path, digest: &str, number: usize) {
    let (shard, output) = (format!("{number}/3"), format!("out/{number}"));
    let mut step = server.step(root, "push", &push());
    step.args(["run", "--plan", digest, "--shard", &shard, "--output", &output]);
    assert!(matches!(step.output().unwrap().status.code(), Some(0 | 1)), "{step:?}");
}

fn merged(root: &Path) -> Value {
    json_of(&root.join("merged/report.json"))
}

fn outcomes(report: &Value, outcome: &str) -> Vec<String> {
    let rows = report["results"].as_array().unwrap().iter().filter(|row| row["outcome"] == outcome);
    rows.map(|row| row["example"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn shards_find_their_plan_and_their_report_names_the_one_that_is_missing() {
    let (server, root) = (Server::start(), repository(7));
    let digest = plan(&server, root.path());
    assert_eq!(server.names(), [plan_name(&digest)]);
    for number in [1, 2] {
        shard(&server, root.path(), &digest, number);
    }
    let mut step = server.step(root.path(), "push", &push());
    let output = run(step.args(["report", "--output", "merged"]), 1);
    assert!(said(&output).contains("shard 3/3 is missing"), "{}", said(&output));
    let report = merged(root.path());
    let (passed, errored, failed) =
        (outcomes(&report, "passed"), outcomes(&report, "errored"), outcomes(&report, "failed"));
    assert_eq!(passed.len() + errored.len() + failed.len(), 8);
    assert!(!errored.is_empty(), "what shard 3 had to judge");
    assert_eq!(json_of(&root.path().join("merged/plan.json"))["digest"], digest);

    shard(&server, root.path(), &digest, 3);
    run(server.step(root.path(), "push", &push()).args(["report", "--plan", &digest, "--output", "merged"]), 1);
    let report = merged(root.path());
    assert_eq!(
        (outcomes(&report, "passed").len(), outcomes(&report, "failed")),
        (7, vec!["examples/refused.yaml".to_owned()])
    );
    assert_eq!((&report["run"]["id"], &report["run"]["shard"]), (&json!("7"), &Value::Null));
    server.assert_content();
}

#[test]
fn a_report_without_any_shard_says_that_all_are_missing() {
    let (server, root) = (Server::start(), repository(2));
    plan(&server, root.path());
    let output = run(server.step(root.path(), "push", &push()).args(["report", "--output", "merged"]), 3);
    for shard in ["1/3", "2/3", "3/3"] {
        assert!(said(&output).contains(&format!("shard {shard} is missing")), "{}", said(&output));
    }
    assert_eq!(merged(root.path())["summary"]["conclusion"], "error");
    assert_eq!(outcomes(&merged(root.path()), "errored").len(), 3);
}

#[test]
fn the_attempt_that_was_run_again_holds_and_the_rest_api_stands_in_for_the_results_service() {
    let (server, root) = (Server::start().without_parts(), repository(2));
    let digest = plan(&server, root.path());
    (1..=3).for_each(|number| shard(&server, root.path(), &digest, number));
    // Shard 2 was run again: what its first attempt left is never asked for.
    shard(&server, root.path(), &digest, 2);
    let server = server.without_results();
    server.answers(&format!("/commits/{COMMIT}/pulls?per_page=100"), json!([]));
    let mut step = server.step(root.path(), "push", &push());
    step.env("INPUT_GITHUB-TOKEN", TOKEN).args(["report", "--output", "merged"]);
    run(&mut step, 1);
    assert_eq!(
        (outcomes(&merged(root.path()), "passed").len(), outcomes(&merged(root.path()), "failed").len()),
        (2, 1)
    );
    let asked = server.asked();
    assert!(asked.contains(&"GET /api/repos/o/r/actions/artifacts/104/zip".to_owned()), "{asked:?}");
    assert!(!asked.contains(&"GET /api/repos/o/r/actions/artifacts/102/zip".to_owned()), "{asked:?}");
    server.assert_content();
}

#[test]
fn what_the_results_service_forgot_of_the_attempt_before_the_rest_api_still_has() {
    let (server, root) = (Server::start(), repository(2));
    let digest = plan(&server, root.path());
    server.forgets(&plan_name(&digest));
    let again = |output: &str| {
        let mut step = server.step(root.path(), "push", &push());
        step.args(["run", "--plan", &digest, "--shard", "2/3", "--output", output]);
        step
    };
    let output = run(&mut again("out/none"), 2);
    assert!(said(&output).contains("workflow run not found"), "{}", said(&output));
    (1..=3).for_each(|number| {
        let output = format!("out/{number}");
        let mut step = server.step(root.path(), "push", &push());
        step.env("INPUT_GITHUB-TOKEN", TOKEN).env("INPUT_COMMENT", "never");
        step.args(["run", "--plan", &digest, "--shard", &format!("{number}/3"), "--output", &output]);
        assert!(matches!(step.output().unwrap().status.code(), Some(0 | 1)), "{step:?}");
        assert_eq!(json_of(&root.path().join(output).join("plan.json"))["digest"], digest);
    });
    // The report, too, takes each from where it can be had: the plan is not even listed any more.
    server.lists_not(&plan_name(&digest));
    server.forgets("example-validator-report-1-of-3");
    let reported = |token: &str| {
        let mut step = server.step(root.path(), "push", &push());
        step.env("INPUT_GITHUB-TOKEN", token).env("INPUT_COMMENT", "never");
        said(&run(step.args(["report", "--plan", &digest, "--output", "merged"]), 1))
    };
    let told = reported("");
    assert!(told.contains("shard 1/3 is missing") && told.contains("workflow run not found"), "{told}");
    let told = reported(TOKEN);
    assert!(!told.contains("is missing") && !told.contains("is not used"), "{told}");
    let of = |outcome| outcomes(&merged(root.path()), outcome).len();
    assert_eq!((of("passed"), of("failed"), of("errored")), (2, 1, 0));
    assert!(server.asked().contains(&"GET /api/repos/o/r/actions/artifacts/100/zip".to_owned()));
    server.assert_content();
}

/// Runs all three shards of a fan-out whose artifacts are called so.
fn fan_out(server: &Server, root: &Path, digest: &str, name: &str) {
    for number in 1..=3 {
        let mut step = server.step(root, "push", &push());
        step.env("INPUT_ARTIFACT-NAME", name).args(["run", "--plan", digest, "--output", &format!("out/{number}")]);
        step.args(["--shard", &format!("{number}/3")]);
        assert!(matches!(step.output().unwrap().status.code(), Some(0 | 1)), "{step:?}");
    }
}

#[test]
fn two_fan_outs_of_one_run_keep_their_plans_and_results_apart() {
    let (server, one, other) = (Server::start(), repository(7), repository(2));
    let report = |root: &Path, name: &str, plan: &[&str], code: i32| {
        let mut step = server.step(root, "push", &push());
        step.env("INPUT_ARTIFACT-NAME", name).args(["report", "--output", "merged"]).args(plan);
        said(&run(&mut step, code))
    };
    let (of_one, of_other) = (plan(&server, one.path()), plan(&server, other.path()));
    let names = [plan_name(&of_one), plan_name(&of_other)];
    assert_eq!(server.names(), names);
    // None has arrived: whose are missing?
    let told = report(one.path(), "a", &[], 2);
    assert!(names.iter().all(|name| told.contains(name)) && told.contains("plan: ${{"), "{told}");

    // By their names.
    fan_out(&server, one.path(), &of_one, "a");
    fan_out(&server, other.path(), &of_other, "b");
    for (root, name, count) in [(&one, "a", 7), (&other, "b", 2)] {
        let told = report(root.path(), name, &[], 1);
        assert!(!told.contains("is missing") && !told.contains("left out"), "{told}");
        assert_eq!(outcomes(&merged(root.path()), "passed").len(), count);
    }

    // Under one name they are told apart by their plans, and by nothing else.
    fan_out(&server, one.path(), &of_one, "same");
    fan_out(&server, other.path(), &of_other, "same");
    for (root, digest, count) in [(&one, &of_one, 7), (&other, &of_other, 2)] {
        let told = report(root.path(), "same", &["--plan", digest], 1);
        assert!(!told.contains("is missing"), "{told}");
        assert_eq!(outcomes(&merged(root.path()), "passed").len(), count);
        assert_eq!(json_of(&root.path().join("merged/plan.json"))["digest"], **digest);
    }
    assert!(
        report(one.path(), "same", &["--plan", &of_one], 1)
            .contains("results of another plan are left out (same-1-of-3-2,")
    );
    server.has("same-1-of-3-3", zip([("report.json", b"{}".to_vec())].into_iter()));
    let told = report(one.path(), "same", &["--plan", &of_one], 1);
    assert!(told.contains("shard 1/3 is missing"), "what can't be read may be the newest of ours: {told}");
    server.assert_content();
}

#[test]
fn the_merge_queue_has_a_comment_and_a_commit_of_its_own() {
    let (server, root) = (Server::start(), repository(1));
    let head = "e".repeat(40);
    let side = |sha: &str| json!({"sha": sha, "ref": "x", "repo": {"id": 1, "full_name": "o/r"}});
    let pull_request = json!({"number": 6, "state": "open", "html_url": "u", "head": side(&head), "base": side("b")});
    server.answers("/pulls/6", pull_request.clone());
    let repository = json!({"full_name": "o/r", "default_branch": "main"});
    let own = json!({"pull_request": pull_request, "repository": repository});
    let queued = json!({
        "merge_group": {"head_ref": format!("refs/heads/gh-readonly-queue/main/pr-6-{}", "b".repeat(40)), "head_sha": COMMIT},
        "repository": repository
    });
    let judged = |event: &str, payload: &Value, sha: &str| {
        let mut step = server.step(root.path(), event, payload);
        step.env("INPUT_GITHUB-TOKEN", TOKEN).env("GITHUB_SHA", sha);
        run(step.args(["run", "--tier", "basic", "--changed-files", "off", "--output", "out"]), 1);
        server.comments()
    };
    let [mine] = <[_; 1]>::try_from(judged("pull_request", &own, &"d".repeat(40))).unwrap();
    assert!(mine.number == 6 && mine.body.contains(&format!("/commit/{head}")), "{}", mine.body);
    let [still, group] = <[_; 2]>::try_from(judged("merge_group", &queued, COMMIT)).unwrap();
    assert_eq!(still, mine);
    assert!(group.body.starts_with("<!-- example-validator: default/merge-queue -->\n"), "{}", group.body);
    assert!(group.body.contains("This is of the merge queue"), "{}", group.body);
    assert!(group.body.contains(&format!("/commit/{COMMIT}")) && !group.body.contains(&head), "{}", group.body);
    // The next group's is compared with this one.
    let later = "c".repeat(40);
    let [still, group] = <[_; 2]>::try_from(judged("merge_group", &queued, &later)).unwrap();
    assert_eq!(still, mine);
    assert!(group.body.contains(&format!("/commit/{later}")), "{}", group.body);
    server.assert_content();
}

#[test]
fn a_plan_of_another_digest_is_refused_before_anything_is_created() {
    let (server, root) = (Server::start(), repository(1));
    let digest = plan(&server, root.path());
    let other = format!("sha256:{}", "f".repeat(64));
    let output = run(server.step(root.path(), "push", &push()).args(["run", "--plan", &other, "--output", "out"]), 2);
    assert!(said(&output).contains(&plan_name(&digest)) && said(&output).contains(&other), "{}", said(&output));
    assert!(!root.path().join("out").exists());
    let output = run(program::program(root.path()).args(["run", "--plan", &digest]), 2);
    assert!(said(&output).contains("name the plan's file instead"), "{}", said(&output));
    server.assert_content();
}

/// The event of a workflow that follows the run of a fork's pull request.
fn followed(conclusion: &str) -> Value {
    let run = json!({
        "id": RUN, "head_sha": COMMIT, "head_branch": "topic", "event": "pull_request", "status": "completed",
        "conclusion": conclusion, "html_url": "https://github.com/o/r/actions/runs/7", "pull_requests": [],
        "repository": {"id": 1, "full_name": "o/r"},
        "head_repository": {"id": 2, "full_name": "f/r", "owner": {"login": "f"}}
    });
    json!({"workflow_run": run, "repository": {"id": 1, "full_name": "o/r"}})
}

/// A step of that workflow, which is another run than the one that it reports on.
fn following(server: &Server, root: &Path, conclusion: &str) -> Command {
    let mut step = server.step(root, "workflow_run", &followed(conclusion));
    // What is commented, and how, is another suite's.
    step.env("GITHUB_RUN_ID", "8").env("INPUT_GITHUB-TOKEN", TOKEN).env("INPUT_COMMENT", "never");
    step.args(["report", "--from-run", "7", "--output", "merged"]);
    step
}

fn pull_request(sha: &str) -> Value {
    json!([{
        "number": 5, "state": "open", "html_url": "u", "user": {"login": "f"},
        "head": {"ref": "topic", "sha": sha, "repo": {"id": 2, "full_name": "f/r"}},
        "base": {"ref": "main", "sha": "b", "repo": {"id": 1, "full_name": "o/r"}}
    }])
}

const OF_BRANCH: &str = "/pulls?state=all&head=f%3Atopic&sort=updated&direction=desc&per_page=100";

#[test]
fn the_run_of_a_fork_is_reported_with_what_github_says_of_it_and_without_what_is_hostile() {
    let (server, root) = (Server::start(), repository(5));
    let digest = plan(&server, root.path());
    (1..=3).for_each(|number| shard(&server, root.path(), &digest, number));
    let lying = |number: usize, change: &dyn Fn(&mut Value)| {
        let mut report = json_of(&root.path().join(format!("out/{number}/report.json")));
        change(&mut report);
        let files = [("report.json", report.to_string().into_bytes())];
        server.has(&format!("example-validator-report-{number}-of-3"), zip(files.into_iter()));
    };
    // Evidence as large as it gets is not fetched for a few kilobytes of results.
    let mut files = vec![("evidence/log", vec![0; 0])];
    files.push(("report.json", std::fs::read(root.path().join("out/1/report.json")).unwrap()));
    let noise: Vec<u8> =
        (0..12_000_000_u32).map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
    files.insert(0, ("evidence/noise", noise));
    server.has("example-validator-report-1-of-3", zip(files.into_iter()));
    lying(2, &|report| report["run"]["id"] = json!("999"));
    server.has("example-validator-report-3-of-3", zip([("../##[error]report.json", b"{}".to_vec())].into_iter()));
    server.answers(OF_BRANCH, pull_request(COMMIT));
    server.answers("/contents/.github/example-validator.yml?ref=main", Value::Null);
    server.answers("/pulls/5", json!({"number": 5, "changed_files": 1, "head": {"sha": COMMIT}, "base": {"sha": "b"}}));
    server.answers("/pulls/5/files?per_page=100", json!([{"filename": ".github/example-validator.yml"}]));
    let config = base64::engine::general_purpose::STANDARD.encode("fail-on: [failed]\n");
    server.answers(
        &format!("/contents/.github/example-validator.yml?ref={COMMIT}"),
        json!({"content": config, "encoding": "base64"}),
    );

    let output = run(&mut following(&server, root.path(), "failure"), 3);
    let said = said(&output);
    for expected in [
        "example-validator-report-2-of-3 of shard 2/3 is not used: its report says that it is of run 999, and not 7",
        "example-validator-report-3-of-3 of shard 3/3 is not used: its entry \"../## [error]report.json\" has a name that leads out",
        "shard 2/3 is missing",
        "shard 3/3 is missing",
        "this change changes `fail-on` from failed, timed-out, errored to failed",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    assert!(!root.path().join("report.json").exists());
    let report = merged(root.path());
    let of = |key: &str| report["run"][key].clone();
    assert_eq!((of("id"), of("repository"), of("event")), (json!("7"), json!("o/r"), json!("pull_request")));
    assert_eq!((of("commit"), of("pullRequest")), (json!(COMMIT), json!(5)));
    assert_ne!(report["summary"]["conclusion"], "success");
    assert!(server.served() < 8_000_000, "{} bytes", server.served());
    server.assert_content();
}

#[test]
fn a_pull_request_that_has_moved_on_gets_nothing_and_an_expired_artifact_is_told() {
    let (server, root) = (Server::start(), repository(2));
    let digest = plan(&server, root.path());
    (1..=3).for_each(|number| shard(&server, root.path(), &digest, number));
    server.expires("example-validator-report-2-of-3");
    server.answers(OF_BRANCH, pull_request(&"e".repeat(40)));
    let mut step = following(&server, root.path(), "success");
    let output = step.output().unwrap();
    assert_ne!(output.status.code(), Some(0));
    let said = said(&output);
    assert!(said.contains("no pull request is at its commit"), "{said}");
    assert!(said.contains("of shard 2/3 is not used: it has expired: run it again"), "{said}");
    assert_eq!(merged(root.path())["run"]["pullRequest"], Value::Null);
    server.assert_content();
}

#[test]
fn a_run_that_never_ran_has_nothing_to_report_and_a_cancelled_one_is_cancelled() {
    let (server, root) = (Server::start(), repository(1));
    let digest = plan(&server, root.path());
    for conclusion in ["skipped", "action_required", "startup_failure"] {
        let output = run(&mut following(&server, root.path(), conclusion), 0);
        assert!(said(&output).contains("workflow run 7 has no results"), "{}", said(&output));
    }
    assert!(!root.path().join("merged").exists());
    shard(&server, root.path(), &digest, 1);
    server.answers(OF_BRANCH, pull_request(COMMIT));
    server.answers("/pulls/5", json!({"number": 5, "changed_files": 0, "head": {"sha": COMMIT}, "base": {"sha": "b"}}));
    server.answers("/pulls/5/files?per_page=100", json!([]));
    run(&mut following(&server, root.path(), "cancelled"), 130);
    assert_eq!(merged(root.path())["summary"]["conclusion"], "cancelled");
    server.assert_content();
}

#[test]
fn the_change_of_a_fork_is_refused_where_the_token_can_write() {
    let (server, root) = (Server::start(), repository(1));
    let repository = |name: &str| json!({"repo": {"id": 1, "full_name": name}, "sha": COMMIT, "ref": "x"});
    let target = json!({
        "pull_request": {"number": 5, "head": repository("f/r"), "base": repository("o/r")}, "repository": {"full_name": "o/r"}
    });
    for command in ["run", "lint", "plan"] {
        for (event, payload) in [("pull_request_target", target.clone()), ("workflow_run", followed("success"))] {
            let output = run(server.step(root.path(), event, &payload).args([command, "--output", "out"]), 2);
            assert!(said(&output).contains("allow-untrusted: true"), "{}", said(&output));
        }
    }
    assert!(!root.path().join("out").exists());
    assert_eq!(server.asked(), [""; 0]);
    let mut allowed = server.step(root.path(), "pull_request_target", &target);
    run(allowed.env("INPUT_ALLOW-UNTRUSTED", "true").arg("lint"), 1);
}

#[test]
fn the_api_tells_the_changed_files_where_there_is_no_clone_and_both_reasons_are_said_where_nobody_can() {
    let (server, root) = (Server::start(), repository(3));
    std::fs::create_dir(root.path().join(".github")).unwrap();
    std::fs::write(root.path().join(".github/example-validator.yml"), "retries: 0\n").unwrap();
    let base = "b".repeat(40);
    let side = |sha: &str| json!({"sha": sha, "ref": "x", "repo": {"id": 1, "full_name": "o/r"}});
    let payload = json!({
        "pull_request": {"number": 5, "head": side(COMMIT), "base": side(&base)}, "repository": {"full_name": "o/r"}
    });
    let planned = |server: &Server| {
        let mut step = server.step(root.path(), "pull_request", &payload);
        step.env("GITHUB_BASE_REF", "main").env("INPUT_GITHUB-TOKEN", TOKEN).args(["plan", "--format", "json"]);
        let output = run(&mut step, 0);
        (serde_json::from_slice::<Value>(&output.stdout).unwrap(), said(&output))
    };
    let (plan, _) = planned(&server);
    let note = plan["notes"][0].as_str().unwrap();
    assert!(note.contains("not inside a git repository") && note.contains("by the API: "), "{note}");

    server
        .answers("/pulls/5", json!({"number": 5, "changed_files": 1, "head": {"sha": COMMIT}, "base": {"sha": base}}));
    server.answers("/pulls/5/files?per_page=100", json!([{"filename": "examples/good-1.yaml", "status": "modified"}]));
    server.answers(&format!("/contents/.github/example-validator.yml?ref={base}"), Value::Null);
    let (plan, said) = planned(&server);
    let on_cluster = plan["rows"].as_array().unwrap().iter().filter(|row| row["kubernetes"].is_string());
    let examples: Vec<_> = on_cluster.map(|row| row["example"].as_str().unwrap().to_owned()).collect();
    assert_eq!(examples, ["examples/good-1.yaml"]);
    assert!(said.contains("this change changes `retries`"), "{said}");
}
