//! What an example asks of a cluster: devices, pods, time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::catalog::{Example, Object};
use crate::model::ExampleId;
use crate::pod_template::pod_templates;

/// An example that never ran is expected to take this part of its timeout: timeouts are set with room to spare.
const TIMEOUT_SHARE: u32 = 4;
/// What one static check is expected to take, in milliseconds.
pub(super) const STATIC_MS: u64 = 5;
/// One core weighs as much as this many bytes of memory (4 GiB, the ratio of GitHub's own runners).
const BYTES_PER_CORE: u64 = 4 << 30;

/// How dear an example is: requested cores and memory as one weight, then its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cost {
    /// Millicores, with memory counted as cores.
    weight: u64,
    /// Pods at once.
    pods: u64,
}

impl Cost {
    pub(super) fn of(example: &Example) -> Self {
        let requested = example.settings.resources;
        let cpu = u64::try_from(requested.cpu.milli()).unwrap_or(0);
        let memory = u128::try_from(requested.memory.units()).unwrap_or(0) * 1_000 / u128::from(BYTES_PER_CORE);
        let pods = example.judged.iter().filter_map(|index| example.objects.get(*index)).map(pods);
        Self {
            weight: cpu.saturating_add(u64::try_from(memory).unwrap_or(u64::MAX)),
            pods: pods.fold(0, u64::saturating_add),
        }
    }

    /// `2 pods, 200m CPU, 1Gi memory`, with what is not requested left out.
    pub(super) fn describe(self, example: &Example) -> String {
        let requested = example.settings.resources;
        let mut words = vec![format!("{} {}", self.pods, if self.pods == 1 { "pod" } else { "pods" })];
        if !requested.cpu.is_zero() {
            words.push(format!("{}m CPU", requested.cpu.milli()));
        }
        if !requested.memory.is_zero() {
            words.push(format!("{}Mi memory", requested.memory.units() >> 20));
        }
        words.join(", ")
    }
}

/// The pods that an object asks for at once; 1 where it has no pod template of its own.
fn pods(object: &Object) -> u64 {
    let templates = pod_templates(&object.root);
    if templates.is_empty() {
        return 1;
    }
    templates.iter().map(|template| template.replicas).fold(0, u64::saturating_add)
}

/// Expected durations: the recorded one, else the median of the recorded ones of the same framework, else a quarter of the
/// timeout.
pub(super) struct Estimates<'a> {
    recorded: &'a BTreeMap<ExampleId, u64>,
    medians: BTreeMap<&'a str, u64>,
}

impl<'a> Estimates<'a> {
    pub(super) fn new(examples: &'a [Example], recorded: &'a BTreeMap<ExampleId, u64>) -> Self {
        let mut by_framework: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for example in examples {
            if let (Some(framework), Some(duration)) = (&example.framework, recorded.get(&example.id)) {
                by_framework.entry(&framework.name).or_default().push(*duration);
            }
        }
        let median = |mut durations: Vec<u64>| {
            durations.sort_unstable();
            durations[durations.len() / 2]
        };
        Self { recorded, medians: by_framework.into_iter().map(|(name, all)| (name, median(all))).collect() }
    }

    /// Milliseconds on a cluster.
    pub(super) fn of(&self, example: &Example) -> u64 {
        let recorded = self.recorded.get(&example.id).copied();
        let similar =
            || example.framework.as_ref().and_then(|framework| self.medians.get(framework.name.as_str()).copied());
        recorded.or_else(similar).unwrap_or_else(|| millis(example.settings.timeout / TIMEOUT_SHARE)).max(1)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::{example, job};
    use crate::quantity::Quantity;

    #[test]
    fn cores_and_memory_weigh_before_pods() {
        let cheap = example("a.yaml", &job(3));
        let mut dear = example("b.yaml", &job(1));
        dear.settings.resources.memory = Quantity::from_units(1 << 30);
        assert!(Cost::of(&cheap) < Cost::of(&dear));
        assert!(Cost::of(&example("c.yaml", &job(1))) < Cost::of(&cheap));
        assert_eq!(Cost::of(&dear).describe(&dear), "1 pod, 1024Mi memory");
    }

    #[test]
    fn what_was_recorded_wins_over_its_kind_and_over_the_timeout() {
        let examples = ["a", "b", "c"].map(|id| example(id, &job(1)));
        let recorded = BTreeMap::from([(ExampleId::new("a"), 7_000)]);
        let estimates = Estimates::new(&examples, &recorded);
        assert_eq!(examples.each_ref().map(|example| estimates.of(example)), [7_000, 7_000, 7_000]);
        let nothing = BTreeMap::new();
        assert_eq!(Estimates::new(&examples, &nothing).of(&examples[1]), 600_000 / 4);
    }
}
