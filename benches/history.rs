//! Two hundred runs of a thousand examples: read before a plan, and added to after a report.

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use example_validator::history::{self, History, RUNS, Record, lines};
use example_validator::model::{CauseClass, ExampleId, Outcome, Tier};
use jiff::{SignedDuration, Timestamp};

const EXAMPLES: usize = 1_000;

fn record(run: usize, example: usize) -> Record {
    let failed = (run * 31 + example * 17).is_multiple_of(23);
    Record {
        at: Timestamp::UNIX_EPOCH
            + SignedDuration::from_millis(1_700_000_000_123 + 3_600_000 * i64::try_from(run).unwrap()),
        run: (17_000_000_000 + run).to_string().into(),
        attempt: 1,
        commit: format!("{:040x}", run * 7_919).into(),
        example: ExampleId::new(format!(
            "examples/framework-{:02}/group-{:02}/train-{example:04}.yaml",
            example % 7,
            example / 20
        )),
        framework: Some("pytorchjob".into()),
        kubernetes: Some("v1.34.0".into()),
        tier: Tier::Full,
        outcome: if failed { Outcome::Failed } else { Outcome::Passed },
        class: failed.then_some(CauseClass::Runtime),
        reason: if failed { "OOMKilled".to_owned() } else { String::new() },
        duration_ms: 60_000 + u64::try_from((run * 13 + example * 7) % 30_000).unwrap(),
        cpu_efficiency: Some(0.4321),
        memory_efficiency: Some(0.5),
    }
}

fn run(number: usize) -> Vec<Record> {
    (0..EXAMPLES).map(|example| record(number, example)).collect()
}

fn two_hundred_runs(criterion: &mut Criterion) {
    let text: String = (0..RUNS).map(|number| lines::text(&run(number))).collect();
    let text = text.as_bytes();
    let read = lines::read(text, Timestamp::MAX);
    assert_eq!((read.records.len(), read.skipped), (RUNS * EXAMPLES, None));
    let mut group = criterion.benchmark_group("history");
    group.sample_size(10).measurement_time(Duration::from_secs(5)).throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("200 runs of 1,000 examples are read", |bencher| {
        bencher.iter_with_large_drop(|| History::read(black_box(text), Timestamp::MAX));
    });
    let (known, _) = History::read(text, Timestamp::MAX);
    group.bench_function("durations and last runs for a plan", |bencher| {
        bencher.iter(|| (history::durations(black_box(&known)), history::last_on_cluster(&known)));
    });
    let new = run(RUNS);
    group.bench_function("another run is added", |bencher| {
        bencher.iter(|| history::add(black_box(text), &new, usize::MAX, Timestamp::MAX).text.len());
    });
    group.finish();
}

criterion_group!(benches, two_hundred_runs);
criterion_main!(benches);
