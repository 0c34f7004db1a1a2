//! The comment on a pull request: a thousand examples that failed on four versions, each for a cause of its own; and how they have
//! been doing over the last two hundred runs.

#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use example_validator::history::{History, RUNS, Record, health};
use example_validator::model::{Cause, CauseClass, ExampleId, Outcome, Tier};
use example_validator::report::comment::{About, LIMIT, State, render};
use example_validator::report::{Details, LogTail, Report, Row, Run};
use jiff::{SignedDuration, Timestamp};

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

/// The last runs of every example on every version, of which every seventh failed.
fn history(report: &Report, now: Timestamp) -> History {
    let records = report.results.iter().flat_map(|row| {
        (1..=RUNS).map(move |back| {
            let run = Run { id: back.to_string(), commit: format!("{back:040x}"), ..Run::default() };
            let hours = i64::try_from(back).unwrap();
            let outcome = if back % 7 == 0 { Outcome::Failed } else { Outcome::Passed };
            Record { outcome, ..Record::of(row, &run, now - SignedDuration::from_hours(hours)) }
        })
    });
    History::new(records)
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
    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(500_000);
    let history = history(&report, now);
    let mut healthy = report.clone();
    health::assess(&mut healthy, &history, now);
    let text = render(&healthy, &details, &about, Some(&before)).unwrap();
    assert!(text.len() <= LIMIT && text.contains("newly failing") && text.contains("Health: **"));
    group.bench_function("the same with their health", |bencher| {
        bencher.iter(|| render(&healthy, &details, &about, Some(&before)).unwrap().len());
    });
    group.bench_function("their health of 200 runs each", |bencher| {
        bencher.iter(|| health::assess(&mut healthy, &history, now));
    });
    group.finish();
}

criterion_group!(benches, comment);
criterion_main!(benches);
