//! Ten thousand examples planned into sixteen shards.

#![allow(missing_docs, clippy::unwrap_used)]

mod corpus;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use example_validator::catalog::{self, Catalog, Overrides};
use example_validator::config::Config;
use example_validator::framework::Frameworks;
use example_validator::plan::{self, Changes, PlanInputs};

const EXAMPLES: usize = 10_000;
const SHARDS: usize = 16;

fn examples() -> Catalog {
    let folder = tempfile::tempdir().unwrap();
    corpus::write(folder.path(), EXAMPLES).unwrap();
    let overrides = Overrides { paths: vec![folder.path().to_owned()], ..Overrides::default() };
    catalog::load(folder.path(), &Config::default(), &overrides, &Frameworks::default()).unwrap()
}

fn shards(criterion: &mut Criterion) {
    let (catalog, config) = (examples(), Config::default());
    assert_eq!(catalog.examples.len(), EXAMPLES);
    let kubernetes = ["v1.33.4".to_owned(), "v1.34.0".to_owned()];
    let inputs = PlanInputs {
        catalog: &catalog,
        config: &config,
        config_path: None,
        root: Path::new("/"),
        tier: None,
        event: "workflow_dispatch",
        is_local: false,
        kubernetes: &kubernetes,
        cluster: config.cluster,
        shards: Some(SHARDS),
        changes: Changes::Unknown("not asked"),
        dependencies: &BTreeMap::new(),
        workflows: &BTreeSet::new(),
        durations: &BTreeMap::new(),
        last_periodic: &BTreeMap::new(),
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let mut group = criterion.benchmark_group("plan");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    group.bench_function("10,000 examples into 16 shards", |bencher| {
        bencher.iter(|| {
            let plan = plan::make(&inputs);
            (1..=SHARDS).map(|number| plan.shard(number, SHARDS).len()).sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, shards);
criterion_main!(benches);
