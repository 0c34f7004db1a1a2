//! Rows and reports that the tests of this room share.

use serde_json::json;

use super::{Attempt, CheckResult, Cluster, Finding, Image, Report, Row, Run};
use crate::diagnostic::Severity;
use crate::model::{Cause, CauseClass, ExampleId, Outcome, Tier};

/// A row of an example judged statically, with nothing to say.
pub(crate) fn row(example: &str, outcome: Outcome) -> Row {
    Row {
        example: ExampleId::new(example),
        framework: Some("pytorchjob".to_owned()),
        objects: vec!["PyTorchJob/x".to_owned()],
        support: false,
        tier: Tier::Basic,
        kubernetes: None,
        outcome,
        quarantined: false,
        duration_ms: 5,
        cause: None,
        reason: "basic: all".to_owned(),
        attempts: vec![],
        checks: vec![],
        diagnostics: vec![],
        resources: None,
        log: None,
        health: None,
        evidence: None,
    }
}

/// A finding in a file.
pub(crate) fn finding(code: &str, severity: Severity, file: &str, line: u32, message: &str) -> Finding {
    let (code, message, file) = (code.to_owned(), message.to_owned(), file.to_owned());
    Finding { code, severity, message, help: String::new(), file, line, column: 5 }
}

/// A row that failed for an unknown field.
pub(crate) fn broken(example: &str) -> Row {
    let mut row = row(example, Outcome::Failed);
    let mut error = finding("EV105", Severity::Error, example, 3, "spec.x: unknown field");
    error.help = "remove it".to_owned();
    row.cause = Some(Cause {
        class: CauseClass::Manifest,
        reason: error.code.clone(),
        message: error.message.clone(),
        hint: error.help.clone(),
        object: "PyTorchJob/x".to_owned(),
        file: error.file.clone(),
        line: error.line,
    });
    row.diagnostics.push(error);
    row
}

/// A row of a cell that ran out of time twice; when, and how it has been doing, is not known.
pub(crate) fn slow(example: &str, kubernetes: &str) -> Row {
    let attempt = Attempt {
        outcome: Outcome::TimedOut,
        namespace: "ev-1".to_owned(),
        started_at: String::new(),
        phases: json!({"applyMs": 3}).as_object().cloned().unwrap_or_default(),
    };
    let mut row = row(example, Outcome::TimedOut);
    row.tier = Tier::Full;
    row.kubernetes = Some(kubernetes.to_owned());
    row.duration_ms = 900_120;
    row.cause = Some(Cause {
        class: CauseClass::Timeout,
        reason: "Timeout".to_owned(),
        message: "not finished after 15m".to_owned(),
        hint: "raise `timeout`".to_owned(),
        object: "Pod/x-worker-0".to_owned(),
        file: example.to_owned(),
        line: 1,
    });
    row.attempts = vec![attempt.clone(), attempt];
    row.checks = vec![CheckResult {
        check: "logs".to_owned(),
        outcome: "failed".to_owned(),
        message: "no line matches".to_owned(),
        value: Some(0.5),
    }];
    row.diagnostics = vec![finding("EV302", Severity::Warning, example, 9, "image `x` has no tag")];
    row.evidence = Some(format!("{kubernetes}/{example}"));
    row
}

/// A report in which every structure occurs.
pub(crate) fn report() -> Report {
    let cluster = Cluster {
        kubernetes: "v1.34.0".to_owned(),
        provider: "kind".to_owned(),
        outcome: "ready".to_owned(),
        cause: None,
        started_at: "2026-11-23T19:59:58Z".to_owned(),
        operator_started_at: "2026-11-23T19:59:59Z".to_owned(),
        phases: json!({"createMs": 1, "operatorMs": 2}).as_object().cloned().unwrap_or_default(),
        checks: Vec::new(),
    };
    let image = Image {
        name: "example/mnist".to_owned(),
        digest: "sha256:00".to_owned(),
        cache_key: "k".to_owned(),
        cache: "hit".to_owned(),
        started_at: String::new(),
        build_ms: 0,
    };
    let run = Run {
        id: "7".to_owned(),
        started_at: "2026-11-23T20:00:00Z".to_owned(),
        duration_ms: 900_200,
        repository: "kubeflow/trainer".to_owned(),
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        event: "pull_request".to_owned(),
        pull_request: Some(12),
        ..Run::default()
    };
    let mut rows = vec![slow("examples/slow.yaml", "v1.34.0")];
    rows[0].attempts.iter_mut().for_each(|attempt| attempt.started_at = "2026-11-23T20:00:00Z".to_owned());
    rows[0].health = Some(super::Health { score: Some(92), ..super::Health::default() });
    Report::new(run, vec![cluster], vec![image], rows, &[Outcome::TimedOut]).with_schemas("v1.37")
}

/// What became of a check.
pub fn check(check: &str, outcome: &str, message: &str) -> CheckResult {
    CheckResult { check: check.to_owned(), outcome: outcome.to_owned(), message: message.to_owned(), value: None }
}
