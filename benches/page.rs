//! `report.html` of a thousand examples on four versions, a hundred of which failed on all of them, with logs, curves and histories.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

#[path = "../tests/page/sample.rs"]
mod sample;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use example_validator::report::Details;
use example_validator::report::comment::About;
use example_validator::report::html::{LIMIT, render};

fn page(criterion: &mut Criterion) {
    let about = About { server_url: "https://github.com".to_owned(), ..About::default() };
    let mut group = criterion.benchmark_group("page");
    group.sample_size(10).measurement_time(Duration::from_secs(8));
    for (name, report) in
        [("30 examples on 3 versions", sample::kubeflow(false)), ("1,000 examples on 4 versions", sample::crowd(1_000))]
    {
        let details = Details::default();
        let text = render(&report, &details, &about).unwrap();
        assert!(text.len() <= LIMIT);
        println!("{name}: {} KB", text.len() / 1_000);
        group.bench_function(name, |bencher| bencher.iter(|| render(&report, &details, &about).unwrap().len()));
    }
    group.finish();
}

criterion_group!(benches, page);
criterion_main!(benches);
