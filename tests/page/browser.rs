//! The page in a real Chromium, without a head: `tests/npm/page.mjs` says what is looked at.

use std::path::{Path, PathBuf};

use example_validator::diagnostic::Severity;
use example_validator::model::{Cause, CauseClass, Conclusion, Outcome};
use example_validator::report::{CheckResult, Finding, LogTail, Report, Run};

use super::{hostile, node, page, sample};

/// Names a folder in which the pages and their pictures are left to be looked at; `docs/report.png` is one of them.
const PICTURES: &str = "EXAMPLE_VALIDATOR_TEST_PICTURES";

/// Chromium, if there is one. Without it the test says so and has nothing to do, but not where everything has to be tested.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found =
        std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|file| file.is_file());
    if found.is_none() {
        let missing = "there is no Chromium; .ci/install installs one";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        eprintln!("skipped: {missing}");
    }
    found
}

/// The same examples as a run without clusters has them.
fn statically(mut report: Report) -> Report {
    report.results.retain(|row| row.kubernetes.as_deref() == Some("v1.34.0"));
    for row in &mut report.results {
        (row.kubernetes, row.duration_ms, row.resources, row.evidence, row.log) = (None, 12, None, None, None);
        row.attempts.clear();
        row.checks.clear();
        row.health = None;
        if row.is_bad() {
            let message = "spec.pytorchReplicaSpecs.Worker.replica: unknown field, did you mean `replicas`?";
            row.outcome = Outcome::Failed;
            row.cause = row.cause.take().map(|cause| Cause {
                class: CauseClass::Manifest,
                reason: "EV105".to_owned(),
                message: message.to_owned(),
                hint: "rename it to `replicas`".to_owned(),
                ..cause
            });
            row.diagnostics = vec![Finding {
                code: "EV105".to_owned(),
                severity: Severity::Error,
                message: message.to_owned(),
                help: "rename it to `replicas`".to_owned(),
                file: row.example.to_string(),
                line: 23,
                column: 9,
            }];
        }
    }
    let run = Run { duration_ms: 2_300, ..report.run };
    Report::new(run, vec![], vec![], report.results, &[Outcome::Failed])
}

/// The same examples on twenty versions; the newest is the only one on which `simple-cpu` failed, and its log has tabs and colours.
fn on_twenty(mut report: Report) -> Report {
    let newest: Vec<_> =
        report.results.iter().filter(|row| row.kubernetes.as_deref() == Some("v1.34.0")).cloned().collect();
    let rows = newest.iter().flat_map(|row| {
        (15..35).map(|minor| {
            let mut row = row.clone();
            row.kubernetes = Some(format!("v1.{minor}.0"));
            if row.example.as_str().contains("simple-cpu") {
                let is_bad = minor == 34;
                row.outcome = if is_bad { Outcome::Failed } else { Outcome::Passed };
                row.cause = is_bad.then(|| Cause {
                    class: CauseClass::Manifest,
                    reason: "Error".to_owned(),
                    message: "container `paddle` exited with 2: goroutine 1 panicked".to_owned(),
                    hint: String::new(),
                    object: "Pod/simple-cpu-0".to_owned(),
                    file: row.example.to_string(),
                    line: 12,
                });
                let lines = ["panic: no route", "\tmain.go:12 +0x1d", "a\tb\tc", "\u{1b}[31mred\u{1b}[0m \u{7f}"];
                row.log = is_bad.then(|| LogTail {
                    of: "Pod/simple-cpu-0, container paddle".to_owned(),
                    lines: lines.map(str::to_owned).to_vec(),
                });
            }
            row
        })
    });
    let check = |outcome: &str, message: &str| CheckResult {
        check: "metrics".to_owned(),
        outcome: outcome.to_owned(),
        message: message.to_owned(),
        value: None,
    };
    report.clusters[0].checks =
        vec![check("failed", "controller_runtime_reconcile_errors_total rose by 2 (6 -> 8), expected at most 0")];
    report.clusters[1].checks = vec![check("passed", "no rise"), check("inconclusive", "there is no Service a/b:1")];
    Report::new(report.run, report.clusters, report.images, rows.collect(), &[Outcome::Failed])
}

#[test]
fn a_browser_shows_it_as_it_is_meant() {
    let (Some(clients), Some(chromium)) = (node::clients(), chromium()) else { return };
    let kept = std::env::var_os(PICTURES).map(PathBuf::from);
    let folder = tempfile::tempdir().unwrap();
    let folder = kept.as_deref().unwrap_or(folder.path());
    std::fs::create_dir_all(folder).unwrap();
    let mut simulated = sample::kubeflow(false);
    simulated.run.simulated = true;
    simulated.summary.conclusion = Conclusion::Simulated;
    let pages = [
        ("kubeflow", page(&sample::kubeflow(false))),
        ("good", page(&sample::kubeflow(true))),
        ("static", page(&statically(sample::kubeflow(false)))),
        ("simulated", page(&simulated)),
        ("twenty", page(&on_twenty(sample::kubeflow(false)))),
        ("nothing", page(&Report::new(Run::default(), vec![], vec![], vec![], &[]))),
        ("crowd", page(&sample::crowd(1_000))),
        ("hostile", hostile::page(&hostile::EVIL.join("\n"))),
    ];
    for (name, text) in pages {
        std::fs::write(folder.join(format!("{name}.html")), text).unwrap();
    }
    let home = folder.display().to_string();
    let pictures = if kept.is_some() { "yes" } else { "" };
    let output =
        node::run(&clients, "page.mjs", &[folder, Path::new(&chromium)], &[("HOME", &home), ("PICTURES", pictures)]);
    println!("{}", String::from_utf8_lossy(&output.stdout));
}
