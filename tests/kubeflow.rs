//! Kubeflow's own examples through the real binary, held to what a real API server said of each.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A path in the shared data, if it is here; says so if not.
fn shared(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    if !found.exists() {
        println!("skipped: ../shared/{path} is not here");
        return None;
    }
    Some(found)
}

/// The rows of `lint` over Kubeflow's examples, by their path below `examples/`.
fn rows() -> Option<BTreeMap<String, Value>> {
    let root = shared("kubeflow-v1")?;
    let arguments = ["lint", "--format", "json", "--crds", "manifests/base/crds", "examples"];
    let output = common::run(&root, &arguments, 1);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = |row: &Value| {
        let id = row["example"].as_str().unwrap();
        (id.strip_prefix("examples/").unwrap().to_owned(), row.clone())
    };
    Some(report["results"].as_array().unwrap().iter().map(row).collect())
}

/// The examples that have a finding of this code.
fn with_code(rows: &BTreeMap<String, Value>, code: &str) -> BTreeSet<String> {
    let has = |row: &Value| row["diagnostics"].as_array().unwrap().iter().any(|finding| finding["code"] == code);
    rows.iter().filter(|(_, row)| has(row)).map(|(id, _)| id.clone()).collect()
}

#[test]
fn exactly_the_files_that_a_real_api_server_refuses_fail() {
    let (Some(rows), Some(recording)) = (rows(), shared("recordings/kubeflow-v1-dry-run.json")) else { return };
    assert_eq!(rows.len(), 31);
    let recorded: BTreeMap<String, Vec<Value>> =
        serde_json::from_str(&std::fs::read_to_string(recording).unwrap()).unwrap();
    let refused: BTreeSet<_> = recorded
        .iter()
        .filter(|(_, answers)| answers.iter().any(|answer| answer["status"].as_u64().unwrap() >= 400))
        .map(|(file, _)| file.clone())
        .collect();
    let failed: BTreeSet<_> =
        rows.iter().filter(|(_, row)| row["outcome"] == "failed").map(|(id, _)| id.clone()).collect();
    assert_eq!(failed, refused);
    assert_eq!(refused.len(), 2);
}

#[test]
fn each_error_stands_at_its_line() {
    let Some(rows) = rows() else { return };
    let lines = |id: &str| -> Vec<u64> {
        let findings = rows[id]["diagnostics"].as_array().unwrap();
        let errors = findings.iter().filter(|finding| finding["severity"] == "error");
        errors.map(|finding| finding["line"].as_u64().unwrap()).collect()
    };
    assert_eq!(lines("xgboost/smoke-dist/xgboostjob_v1alpha1_rabit_test.yaml"), [11, 12, 25, 26]);
    assert_eq!(lines("tensorflow/distribution_strategy/pvc.yaml"), [8]);
}

#[test]
fn what_will_matter_on_a_cluster_is_told() {
    let Some(rows) = rows() else { return };
    assert_eq!(with_code(&rows, "EV501").len(), 8, "hard-coded namespaces: seven jobs and a claim");
    assert_eq!(with_code(&rows, "EV502").len(), 4, "two pairs of files with an object of the same name");
    assert_eq!(with_code(&rows, "EV503"), BTreeSet::from([PV.to_owned()]), "the volume belongs to the whole cluster");
    assert_eq!(with_code(&rows, "EV504").len(), 6, "GPUs");
    assert_eq!(with_code(&rows, "EV207").len(), 4, "claims that no example brings");
    assert_eq!(with_code(&rows, "EV507").len(), 1, "`Your storageClassName`");
    assert_eq!(with_code(&rows, "EV201").len(), 0, "every kind has a schema");
}

const PV: &str = "tensorflow/mnist_with_summaries/tfevent-volume/tfevent-pv.yaml";

#[test]
fn without_their_crds_the_jobs_are_told_to_have_no_schema() {
    let Some(root) = shared("kubeflow-v1") else { return };
    let output = common::run(Path::new(&root), &["lint", "--format", "json", "examples/jax"], 0);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for row in report["results"].as_array().unwrap() {
        assert!(row["diagnostics"].as_array().unwrap().iter().any(|finding| finding["code"] == "EV201"), "{row}");
    }
}
