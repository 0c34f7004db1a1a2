//! The basic tier as its users meet it: a cold process that reads, checks and reports a corpus.
//!
//! Needs Kubeflow's CRDs in `../shared` for the corpora, and says so where they are missing.

#![allow(missing_docs, clippy::unwrap_used)]

mod corpus;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

const PROGRAM: &str = env!("CARGO_BIN_EXE_example-validator");

fn cold(arguments: &[&str]) {
    let status = Command::new(PROGRAM).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{arguments:?}: {status}");
}

fn start(criterion: &mut Criterion) {
    criterion.bench_function("--version", |bencher| bencher.iter(|| cold(&["--version"])));
}

fn corpora(criterion: &mut Criterion) {
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/kubeflow-v1/manifests/base/crds");
    if !crds.exists() {
        eprintln!("skipped: {} is not here", crds.display());
        return;
    }
    let mut group = criterion.benchmark_group("lint");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    for count in [1_000, 2_000] {
        let folder = tempfile::tempdir().unwrap();
        corpus::write(folder.path(), count).unwrap();
        let (root, crds) = (folder.path().to_str().unwrap(), crds.to_str().unwrap());
        group.bench_function(format!("{count} manifests"), |bencher| {
            bencher.iter(|| cold(&["lint", "--root", root, "--crds", crds, root]));
        });
    }
    group.finish();
}

criterion_group!(benches, start, corpora);
criterion_main!(benches);
