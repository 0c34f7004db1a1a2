//! What a real API server said of manifests broken at random, as causes: each is the example's own failure, and has its line.

#![expect(clippy::unwrap_used, reason = "a broken recording is a failure of the test")]

use std::path::{Path, PathBuf};

use example_validator::catalog::objects_of;
use example_validator::diagnostic::Source;
use example_validator::model::{CauseClass, Outcome};
use example_validator::trial::apply::of_object;
use example_validator::trial::isolate::IsolatedObject;
use kube::core::Status;

#[derive(serde::Deserialize)]
struct Answer {
    file: String,
    accepted: bool,
    status: u16,
    message: Option<String>,
}

fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings").join(path);
    path.exists().then_some(path)
}

/// How many of the refused manifests have a place of their own, and how many there are.
fn placed(folder: &Path) -> (usize, usize) {
    let answers = std::fs::read_to_string(folder.join("oracle.jsonl")).unwrap();
    let (mut placed, mut all) = (0, 0);
    for line in answers.lines() {
        let answer: Answer = serde_json::from_str(line).unwrap();
        let text = std::fs::read_to_string(folder.join(&answer.file)).unwrap();
        let source = Source::new(answer.file.clone(), text);
        let objects = objects_of(&source);
        let (false, [object]) = (answer.accepted, objects.as_slice()) else { continue };
        let json = object.root.to_json();
        let item = IsolatedObject { object, source: &source, indices: vec![0], json, cluster_scoped: false };
        let message = answer.message.unwrap_or_default();
        let error = kube::Error::Api(Status::failure(&message, "").with_code(answer.status).boxed());
        let refused = of_object(&item, &error);
        let cause = refused.cause;
        assert_eq!(
            (refused.outcome, cause.class),
            (Outcome::Failed, CauseClass::Admission),
            "{}: {message}",
            answer.file
        );
        assert!(!cause.message.is_empty() && !cause.message.contains('\n') && cause.message.chars().count() <= 601);
        let kind = object.root.get("kind").map_or(0, |kind| source.position(kind.span.start).0);
        assert!(cause.line > 0, "{}: {message}", answer.file);
        all += 1;
        if cause.line == kind {
            eprintln!("no place of its own: {} {message}", answer.file);
        } else {
            placed += 1;
        }
    }
    (placed, all)
}

#[test]
fn recorded_refusals_are_failures_with_a_line() {
    for (folder, least) in [("mutants-builtin", 0.8), ("mutants-kubeflow-v1", 0.8)] {
        let Some(folder) = shared(folder) else { continue };
        let (placed, all) = placed(&folder);
        #[expect(clippy::cast_precision_loss, reason = "hundreds")]
        let part = placed as f64 / all as f64;
        assert!(all > 50 && part >= least, "{}: {placed} of {all}", folder.display());
    }
}
