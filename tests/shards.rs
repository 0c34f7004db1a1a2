//! A plan that is made once, run in shards, and reported as one.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

const SHARDS: usize = 3;

/// A repository with `count` good examples and one that is refused.
fn repository(count: usize) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |name: String, name_of_object: String| {
        let path = root.path().join("examples").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name_of_object}}}\nspec: {{containers: [{{name: main, image: 'docker.io/library/busybox:1.37.0'}}]}}\n")).unwrap();
    };
    for index in 0..count {
        write(format!("good-{index}.yaml"), format!("good-{index}"));
    }
    write("refused.yaml".to_owned(), "Refused".to_owned());
    root
}

fn plan(root: &Path) -> Value {
    let output = common::run(root, &["plan", "--format", "json", "--kubernetes", "v1.33.4,v1.34.0"], 0);
    std::fs::write(root.join("plan.json"), &output.stdout).unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs shard `number` of the plan; its report is in the folder of that name.
fn shard(root: &Path, number: usize) -> Value {
    let (shard, output) = (format!("{number}/{SHARDS}"), format!("out/{number}"));
    let mut command = common::program(root);
    command.args(["run", "--plan", "plan.json", "--shard", &shard, "--output", &output]);
    assert!(matches!(command.output().unwrap().status.code(), Some(0 | 1)), "{command:?}");
    json(&root.join(output).join("report.json"))
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn examples(report: &Value) -> BTreeSet<String> {
    report["results"].as_array().unwrap().iter().map(|row| row["example"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_shards_of_a_plan_add_up_to_the_whole() {
    let root = repository(7);
    let planned = plan(root.path());
    let reports: Vec<_> = (1..=SHARDS).map(|number| shard(root.path(), number)).collect();
    let all: BTreeSet<_> = reports.iter().flat_map(examples).collect();
    assert_eq!(all.len(), 8);
    assert!(reports.iter().all(|report| report["run"]["shard"].is_string()));

    common::run(root.path(), &["report", "--plan", "plan.json", "--output", "merged", "out"], 1);
    let merged = json(&root.path().join("merged/report.json"));
    assert_eq!(examples(&merged), all);
    // Without a cluster the basic tier has the last word, on each version.
    assert_eq!(merged["summary"]["failed"], 2);
    assert_eq!(merged["summary"]["conclusion"], "failure");
    assert_eq!(json(&root.path().join("merged/plan.json"))["digest"], planned["digest"]);
}

#[test]
fn a_missing_shard_is_named_and_nothing_is_called_good_for_it() {
    let root = repository(7);
    plan(root.path());
    for number in 1..SHARDS {
        shard(root.path(), number);
    }
    let mut command = common::program(root.path());
    let output = command.args(["report", "--plan", "plan.json", "--output", "merged", "out"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("3/3"), "{said}");
    assert_ne!(output.status.code(), Some(0));
    assert_ne!(json(&root.path().join("merged/report.json"))["summary"]["conclusion"], "success");
}

#[test]
fn a_plan_that_was_changed_by_hand_is_refused() {
    let root = repository(1);
    plan(root.path());
    let path = root.path().join("plan.json");
    let text = std::fs::read_to_string(&path).unwrap().replace("good-0", "good-1");
    std::fs::write(&path, text).unwrap();
    let output = common::run(root.path(), &["run", "--plan", "plan.json"], 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("digest"));
}

#[test]
fn a_plan_whose_examples_are_gone_is_refused() {
    let root = repository(1);
    plan(root.path());
    std::fs::remove_file(root.path().join("examples/good-0.yaml")).unwrap();
    let output = common::run(root.path(), &["run", "--plan", "plan.json"], 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("examples/good-0.yaml"));
}

#[test]
fn the_matrix_has_a_job_for_every_shard_and_stops_at_256() {
    let root = repository(7);
    let matrix = |shard: &str, code| {
        let arguments = ["plan", "--format", "github-matrix", "--kubernetes", "v1.33.4,v1.34.0", "--shard", shard];
        common::run(root.path(), &arguments, code)
    };
    let jobs: Value = serde_json::from_slice(&matrix("1/4", 0).stdout).unwrap();
    let jobs = jobs["include"].as_array().unwrap().clone();
    assert_eq!(jobs.len(), 4);
    for job in &jobs {
        let keys: BTreeSet<_> = job.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, BTreeSet::from(["kubernetes", "plan", "shard"]));
    }
    let refused = matrix("1/257", 2);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("256"));
}
