//! Records that the tests of this room share.

use std::sync::Arc;

use proptest::prelude::*;

use super::Record;
use crate::model::{CauseClass, ExampleId, Outcome, Tier};

/// A record of an example that passed on a cluster within a second.
pub(crate) fn record(example: &str, run: &str, at: &str) -> Record {
    Record {
        at: at.parse().unwrap(),
        run: run.into(),
        attempt: 1,
        commit: format!("c{run}").into(),
        example: ExampleId::new(example),
        framework: Some("job".into()),
        kubernetes: Some("v1.34.0".into()),
        tier: Tier::Full,
        outcome: Outcome::Passed,
        class: None,
        reason: String::new(),
        duration_ms: 1_000,
        cpu_efficiency: None,
        memory_efficiency: None,
    }
}

/// Some records, of few examples and runs so that they meet.
pub(crate) fn any_records() -> impl Strategy<Value = Vec<Record>> {
    proptest::collection::vec(any_record(), 0..20)
}

fn any_record() -> impl Strategy<Value = Record> {
    let version = proptest::option::of(prop_oneof![Just("v1.33.4"), Just("v1.34.0")].prop_map(Arc::from));
    let texts = (prop_oneof!["[ab]", "\\PC{1,12}"], "[1-4]", "\\PC{0,12}", version);
    let words = (
        proptest::sample::select(Tier::ALL),
        proptest::sample::select(Outcome::ALL),
        proptest::option::of(proptest::sample::select(CauseClass::ALL)),
    );
    let numbers = (0_i64..5, any::<u64>(), proptest::option::of(0_u32..=10_000));
    (texts, words, numbers).prop_map(|(texts, words, numbers)| {
        let ((example, run, reason, kubernetes), (tier, outcome, class)) = (texts, words);
        let (minute, duration_ms, efficiency) = numbers;
        let at = jiff::Timestamp::from_second(1_800_000_000 + minute * 60).unwrap().to_string();
        let efficiency = efficiency.map(|share| f64::from(share) / 10_000.0);
        let record = record(&example, &run, &at);
        Record { kubernetes, tier, outcome, class, reason, duration_ms, cpu_efficiency: efficiency, ..record }
    })
}
