//! Agreement with a real API server: manifests broken at random, and the server's answer to each.
//!
//! `oracle.jsonl` has, for every file, whether a dry-run POST with strict field validation was accepted. This program has
//! to refuse (an error with an `EV1xx` code) exactly what the server refused.

#![expect(clippy::unwrap_used, reason = "a broken recording is a failure of the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use example_validator::catalog::Object;
use example_validator::diagnostic::{Diagnostic, Source};
use example_validator::lint::schemas::Schemas;
use example_validator::lint::{self, findings::Findings};
use example_validator::yaml::{Node, parse};

/// One answer of the server.
#[derive(serde::Deserialize)]
struct Answer {
    file: String,
    accepted: bool,
    message: Option<String>,
}

/// The server's answer to one object of an unbroken example.
#[derive(serde::Deserialize)]
struct Answered {
    status: u16,
}

/// A file on which this program and the server differ.
struct Disagreement {
    file: String,
    server: String,
    own: String,
}

fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    path.exists().then_some(path)
}

fn read(path: &Path) -> Arc<Source> {
    Source::new(path.display().to_string(), std::fs::read_to_string(path).unwrap())
}

fn schemas(folder: &Path) -> Schemas {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let (schemas, diagnostics) = Schemas::load(paths.iter().map(|path| read(path)).collect());
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    schemas
}

fn object(root: &Node) -> Object {
    let text = |keys: &[&str]| root.at(keys).and_then(Node::as_str).unwrap_or_default().to_owned();
    Object {
        api_version: text(&["apiVersion"]),
        kind: text(&["kind"]),
        name: text(&["metadata", "name"]),
        namespace: None,
        root: root.clone(),
    }
}

/// What the basic tier says about one file.
fn judge(schemas: &Schemas, path: &Path) -> Vec<Diagnostic> {
    let source = read(path);
    let parsed = parse(&source.text);
    let mut diagnostics = Vec::new();
    for document in &parsed.documents {
        let object = object(&document.root);
        let mut findings = Findings::new(&source, &object.root);
        lint::refusals(&object, schemas, &mut findings);
        diagnostics.extend(findings.diagnostics);
    }
    diagnostics
}

/// How many answers there are, and those that this program disagrees with.
fn disagreements(corpus: &Path, schemas: &Schemas) -> (usize, Vec<Disagreement>) {
    let oracle = std::fs::read_to_string(corpus.join("oracle.jsonl")).unwrap();
    let answers: Vec<Answer> = oracle.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let differing = answers.iter().filter_map(|answer| {
        let diagnostics = judge(schemas, &corpus.join(&answer.file));
        let refusal = diagnostics.iter().find(|diagnostic| diagnostic.is_refusal());
        (refusal.is_some() == answer.accepted).then(|| Disagreement {
            file: answer.file.clone(),
            server: answer.message.clone().unwrap_or_else(|| "accepted".to_owned()),
            own: refusal.map_or_else(|| "accepted".to_owned(), |diagnostic| diagnostic.message.clone()),
        })
    });
    let differing = differing.collect();
    (answers.len(), differing)
}

/// Fails if less than `least` per cent of `total` agree; prints what differs in any case.
fn expect_agreement(name: &str, least: usize, (total, differing): (usize, Vec<Disagreement>)) {
    for row in &differing {
        println!("{name}/{}\n  server: {}\n  here:   {}", row.file, row.server, row.own);
    }
    println!("{name}: {} of {total} differ", differing.len());
    assert!(total > 0, "{name} has no answers");
    let bound = total * (100 - least) / 100;
    assert!(differing.len() <= bound, "{name}: {} of {total} differ, at most {bound} may", differing.len());
}

#[test]
fn custom_resources_are_judged_as_a_real_api_server_does() {
    let (Some(corpus), Some(crds)) =
        (shared("recordings/mutants-kubeflow-v1"), shared("kubeflow-v1/manifests/base/crds"))
    else {
        println!("skipped: the shared recordings are not here");
        return;
    };
    expect_agreement("mutants-kubeflow-v1", 99, disagreements(&corpus, &schemas(&crds)));
}

#[test]
fn the_examples_of_kubeflow_are_refused_exactly_where_the_server_refuses_them() {
    let (Some(recording), Some(examples), Some(crds)) = (
        shared("recordings/kubeflow-v1-dry-run.json"),
        shared("kubeflow-v1/examples"),
        shared("kubeflow-v1/manifests/base/crds"),
    ) else {
        println!("skipped: the shared recordings are not here");
        return;
    };
    let schemas = schemas(&crds);
    let recorded: BTreeMap<String, Vec<Answered>> =
        serde_json::from_str(&std::fs::read_to_string(recording).unwrap()).unwrap();
    for (file, answers) in &recorded {
        let refused = judge(&schemas, &examples.join(file)).iter().any(Diagnostic::is_refusal);
        let expected = answers.iter().any(|answer| answer.status >= 400);
        assert_eq!(refused, expected, "{file}");
    }
}

#[test]
fn built_in_kinds_are_judged_as_a_real_api_server_does() {
    let Some(corpus) = shared("recordings/mutants-builtin") else {
        println!("skipped: the shared recordings are not here");
        return;
    };
    expect_agreement("mutants-builtin", 97, disagreements(&corpus, &Schemas::default()));
}
