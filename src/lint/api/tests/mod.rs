//! Help for the tests of this room, and agreement with a recorded API server.

mod containers;
mod kinds;
mod metadata;
mod pods;
mod storage;
mod workloads;

use std::path::Path;
use std::sync::Arc;

use crate::catalog::Object;
use crate::diagnostic::{Diagnostic, Source};
use crate::lint::findings::Findings;
use crate::yaml;

/// The findings in the first document of `text`.
pub(super) fn check(text: &str) -> Vec<Diagnostic> {
    let source = Source::new("test.yaml", text);
    let parsed = yaml::parse(text);
    assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
    let root = parsed.documents.into_iter().next().expect("a document").root;
    let field = |path: &[&str]| root.at(path).and_then(yaml::Node::as_str).unwrap_or_default().to_owned();
    let object = Object {
        api_version: field(&["apiVersion"]),
        kind: field(&["kind"]),
        name: field(&["metadata", "name"]),
        namespace: None,
        root,
    };
    let source: &Arc<Source> = &source;
    let mut findings = Findings::new(source, &object.root);
    super::check(&object, &mut findings);
    findings.diagnostics
}

/// Asserts that each fragment, put into the place of `@` in `manifest`, is refused with this code at this path.
fn refuses(manifest: &str, cases: &[(&str, &str, &str)]) {
    for (fragment, code, path) in cases {
        let found = check(&manifest.replace('@', fragment));
        let hit = found.iter().any(|diagnostic| {
            diagnostic.is_refusal() && diagnostic.code == Some(*code) && diagnostic.message.starts_with(path)
        });
        assert!(hit, "expected {code} at `{path}` for `{fragment}`, found {:#?}", messages(&found));
    }
}

/// Asserts that nothing is found when each fragment is put into the place of `@` in `manifest`.
fn accepts(manifest: &str, fragments: &[&str]) {
    for fragment in fragments {
        let found = check(&manifest.replace('@', fragment));
        assert!(found.is_empty(), "expected nothing for `{fragment}`, found {:#?}", messages(&found));
    }
}

fn messages(found: &[Diagnostic]) -> Vec<String> {
    found.iter().map(|diagnostic| format!("{:?} {}", diagnostic.code, diagnostic.message)).collect()
}

/// A row of the recording: a manifest that was broken at random, and the server's answer.
#[derive(serde::Deserialize)]
struct Answer {
    file: String,
    status: u16,
    message: Option<String>,
}

#[test]
fn a_real_server_refuses_the_same_manifests_for_their_values() {
    let folder = Path::new("../shared/recordings/mutants-builtin");
    let Ok(rows) = std::fs::read_to_string(folder.join("oracle.jsonl")) else {
        eprintln!("skipped: {} is absent", folder.display());
        return;
    };
    let mut wrong = Vec::new();
    for row in rows.lines() {
        let answer: Answer = serde_json::from_str(row).expect("a row of the recording");
        let text = std::fs::read_to_string(folder.join(&answer.file)).expect("a manifest of the recording");
        let accepted = match answer.status {
            201 => true,
            422 => false,
            _ => continue,
        };
        let found = check(&text);
        if found.is_empty() != accepted {
            let found: Vec<String> = found.into_iter().map(|diagnostic| diagnostic.message).collect();
            wrong.push(format!("{}: server {:?}, here {found:?}", answer.file, answer.message));
        }
    }
    assert!(wrong.is_empty(), "{} disagreements:\n{}", wrong.len(), wrong.join("\n"));
}
