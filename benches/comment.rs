//! The comment on a pull request: a thousand examples that failed on four versions, each for a cause of its own.

#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use example_validator::model::{Cause, CauseClass, ExampleId, Outcome, Tier};
use example_validator::report::comment::{About, LIMIT, State, render};
use example_validator::report::{Details, LogTail, Report, Row, Run};

const EXAMPLES: usize = 1_000;
const VERSIONS: [&str; 4] = ["v1.31.12", "v1.32.8", "v1.33.4", "v1.34.0"];

fn row(index: usize, version: &str) -> Row {
    let example = format!("examples/framework-{:02}/group-{:02}/train-{index:04}.yaml", index % 7, index / 20);
    let reason = ["Error", "OOMKilled", "CrashLoopBackOff"][index % 3];
    let message = format!("container trainer of worker {index} exited with 1 on {version}: ModuleNotFoundError: torch");
    let cause = Cause {
        hint: "look at the last lines of its log".to_owned(),
        object: format!("Pod/train-{index}-worker-0"),
        file: example.clone(),
        line: 12,
        ..Cause::new(CauseClass::Runtime, reason, message)
    };
    Row {
        example: ExampleId::new(&example),
        framework: Some("pytorchjob".to_owned()),
        objects: vec![format!("PyTorchJob/train-{index}")],
        support: false,
        tier: Tier::Full,
        kubernetes: Some(version.to_owned()),
        outcome: Outcome::Failed,
        quarantined: false,
        duration_ms: 90_000,
        cause: Some(cause),
        reason: "full: all".to_owned(),
        attempts: vec![],
        checks: vec![],
        diagnostics: vec![],
        resources: None,
        log: None,
        health: None,
        evidence: Some(format!("{version}/{example}")),
    }
}

fn report() -> (Report, Details) {
    let mut rows = Vec::new();
    for index in 0..EXAMPLES {
        for version in VERSIONS {
            let mut row = row(index, version);
            let lines = vec!["  File \"/opt/train.py\", line 3, in <module>".to_owned(); 20];
            let of = "Pod/train-worker-0, container trainer".to_owned();
            row.log = Some(LogTail { of, lines });
            rows.push(row);
        }
    }
    let run = Run { repository: "o/r".to_owned(), commit: "0123abc".to_owned(), ..Run::default() };
    (Report::new(run, vec![], vec![], rows, &[Outcome::Failed]), Details::default())
}

fn comment(criterion: &mut Criterion) {
    let (report, details) = report();
    let about = About { server_url: "https://github.com".to_owned(), key: "default".to_owned(), ..About::default() };
    let before = State::of(&report, "fedcba9");
    let text = render(&report, &details, &about, Some(&before)).unwrap();
    assert!(text.len() <= LIMIT && State::read(&text).is_some());
    let mut group = criterion.benchmark_group("comment");
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    group.bench_function("1,000 examples on 4 versions, all failed", |bencher| {
        bencher.iter(|| render(&report, &details, &about, Some(&before)).unwrap().len());
    });
    group.finish();
}

criterion_group!(benches, comment);
criterion_main!(benches);
