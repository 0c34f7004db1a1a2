//! What an example asks of a cluster: devices, pods, time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::catalog::{Example, Object};
use crate::model::ExampleId;
use crate::pod_template::pod_templates;
use crate::quantity::Quantity;
use crate::yaml::{Node, Value};

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

/// The extended resources (`nvidia.com/gpu`) that an example requests: no node of kind offers any. Looks at `requests` and
/// `limits` of its pod templates that have replicas, and of `resourcesPerNode`, which objects that make their pods from a
/// template elsewhere use.
///
/// Source of the rule: `IsExtendedResourceName` in `k8s.io/component-helpers/resource` (`pkg/apis/core/v1/helper`).
#[must_use]
pub fn extended_resources(example: &Example) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for object in &example.objects {
        for template in pod_templates(&object.root).iter().filter(|template| template.replicas > 0) {
            let holders = template.all_containers().chain([template.spec]);
            holders.filter_map(|holder| holder.get("resources")).for_each(|node| collect(node, &mut found));
        }
        per_node(&object.root, &mut found);
    }
    found
}

fn per_node<'a>(node: &'a Node, found: &mut BTreeSet<&'a str>) {
    for entry in node.entries() {
        if &*entry.key == "resourcesPerNode" {
            collect(&entry.value, found);
        }
        per_node(&entry.value, found);
    }
    node.items().for_each(|item| per_node(item, found));
}

fn collect<'a>(resources: &'a Node, found: &mut BTreeSet<&'a str>) {
    let lists = ["requests", "limits"].into_iter().filter_map(|key| resources.get(key));
    for entry in lists.flat_map(Node::entries) {
        if is_extended(&entry.key) && !is_zero(&entry.value) {
            found.insert(&entry.key);
        }
    }
}

fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/")
}

fn is_zero(amount: &Node) -> bool {
    match &amount.value {
        Value::Int(number) => *number == 0,
        Value::String(text) => Quantity::parse(text).is_some_and(Quantity::is_zero),
        _ => false,
    }
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
    use crate::plan::testing::{example, job, job_with};

    #[test]
    fn devices_of_a_domain_are_extended_resources() {
        for (resources, expected) in [
            ("{limits: {nvidia.com/gpu: 1}}", vec!["nvidia.com/gpu"]),
            ("{requests: {amd.com/gpu: '2', cpu: 1}}", vec!["amd.com/gpu"]),
            ("{limits: {nvidia.com/gpu: 0}}", vec![]),
            ("{limits: {cpu: 1, memory: 1Gi, ephemeral-storage: 1Gi}}", vec![]),
            ("{limits: {node.kubernetes.io/x: 1}}", vec![]),
        ] {
            let example = example("a.yaml", &job_with(&format!("resources: {resources}")));
            assert_eq!(extended_resources(&example).into_iter().collect::<Vec<_>>(), expected, "{resources}");
        }
    }

    #[test]
    fn a_device_is_found_where_pods_come_from_a_template_elsewhere() {
        let text = "kind: TrainJob\nspec: {trainer: {resourcesPerNode: {limits: {nvidia.com/gpu: 1}}}}\n";
        assert!(extended_resources(&example("a.yaml", text)).contains("nvidia.com/gpu"));
    }

    #[test]
    fn a_template_without_replicas_asks_for_nothing() {
        let text = "kind: RayCluster\nspec: {workers: [{replicas: 0, template: {spec: {containers: [{name: a, \
                    resources: {limits: {nvidia.com/gpu: 1}}}]}}}]}\n";
        assert!(extended_resources(&example("a.yaml", text)).is_empty());
    }

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
