//! What pods ask for, against what a runner has.

use std::collections::{BTreeMap, BTreeSet};

use super::code;
use super::findings::Findings;
use crate::catalog::{Example, Object};
use crate::config::{ClusterKind, Resources};
use crate::model::{Expect, Tier};
use crate::pod_template::{PodTemplate, pod_templates};
use crate::quantity::Quantity;
use crate::yaml::{Entry, Node, Value};

/// Thousandths of a core of a standard GitHub-hosted Linux runner (public repositories), of which kind's node sees all.
/// Source: <https://docs.github.com/en/actions/reference/runners/github-hosted-runners>.
pub const RUNNER_CPU_MILLI: i64 = 4_000;
/// Bytes of memory of the same runner.
pub const RUNNER_MEMORY_BYTES: i64 = 16 << 30;
/// What kind's own pods request: API server 250m, controller manager 200m, scheduler, etcd and kindnet 100m each, two
/// CoreDNS 100m each.
pub const KIND_CPU_MILLI: i64 = 950;
/// What they request of memory: etcd 100 Mi, kindnet 50 Mi, two CoreDNS 70 Mi each.
pub const KIND_MEMORY_BYTES: i64 = 290 << 20;

/// What is left for examples on a node of the default runner.
#[must_use]
pub fn free() -> (i64, i64) {
    (RUNNER_CPU_MILLI - KIND_CPU_MILLI, RUNNER_MEMORY_BYTES - KIND_MEMORY_BYTES)
}

fn quantity(node: &Node) -> Option<Quantity> {
    match &node.value {
        Value::Int(number) => Some(Quantity::from_units(*number)),
        Value::Float(number) => Quantity::parse(&number.to_string()),
        Value::String(text) => Quantity::parse(text),
        _ => None,
    }
}

/// The extended resources (GPUs, other devices, huge pages) that the pods of an object request, each at its first place:
/// in `requests` and `limits` of any `resources`, or of a field like `resourcesPerNode` from which an operator makes them.
/// Amounts of zero, and pods without replicas, don't count.
#[must_use]
pub fn extended_resources(object: &Object) -> BTreeMap<&str, &Entry> {
    let mut found = BTreeMap::new();
    if object.kind != "CustomResourceDefinition" {
        let templates = pod_templates(&object.root);
        let idle: Vec<_> = templates.iter().filter(|pod| pod.replicas == 0).map(|pod| pod.spec).collect();
        collect_extended(&object.root, &idle, &mut found);
    }
    found
}

fn collect_extended<'a>(node: &'a Node, idle: &[&Node], found: &mut BTreeMap<&'a str, &'a Entry>) {
    if idle.iter().any(|pod| std::ptr::eq(*pod, node)) {
        return;
    }
    for entry in node.entries() {
        if entry.key.to_ascii_lowercase().contains("resources") {
            for amount in
                ["requests", "limits"].into_iter().filter_map(|key| entry.value.get(key)).flat_map(Node::entries)
            {
                if is_extended(&amount.key) && quantity(&amount.value).is_some_and(|quantity| !quantity.is_zero()) {
                    found.entry(&amount.key).or_insert(amount);
                }
            }
        }
        collect_extended(&entry.value, idle, found);
    }
    node.items().for_each(|item| collect_extended(item, idle, found));
}

/// A resource that a node only has if somebody gave it to it. Source: `IsNativeResource` in
/// <https://github.com/kubernetes/component-helpers/blob/master/resource/helpers.go> (`kubernetes.io/` anywhere is native).
fn is_extended(name: &str) -> bool {
    name.starts_with("hugepages-") || (name.contains('/') && !name.contains("kubernetes.io/"))
}

/// Why an example can't run on a kind cluster, if it asks for extended resources: the reason that the plan gives for
/// skipping it, and `EV504` announces.
#[must_use]
pub fn extended_resource_reason(example: &Example) -> Option<String> {
    let names: BTreeSet<_> = example.objects.iter().flat_map(|object| extended_resources(object).into_keys()).collect();
    let names: Vec<_> = names.into_iter().collect();
    (!names.is_empty()).then(|| asks_for(&names.join(" and ")))
}

fn asks_for(names: &str) -> String {
    format!("asks for {names}, which no node of a kind cluster has")
}

/// Whether the pods of an example ever get to a node of a runner: not on a cluster that was there before, whose nodes nobody
/// knows, and not if the example is judged statically alone or is to be refused.
#[must_use]
pub fn runs_on_a_runner(example: &Example, cluster: ClusterKind) -> bool {
    let settings = &example.settings;
    cluster != ClusterKind::Existing && settings.tier != Tier::Basic && settings.expect != Expect::Rejected
}

/// Checks what the pods of an object ask for: `EV504`, `EV505`. `pod_request` is what the scheduler reserves for one pod;
/// what all pods of the example request together is among its settings.
pub fn check(
    example: &Example,
    object: &Object,
    cluster: ClusterKind,
    pod_request: impl Fn(&PodTemplate<'_>) -> Resources,
    findings: &mut Findings<'_>,
) {
    if !runs_on_a_runner(example, cluster) {
        return;
    }
    for (name, entry) in extended_resources(object) {
        let message = format!("{}: the full tier will skip this example", asks_for(&format!("`{name}`")));
        findings.note(code::EXTENDED_RESOURCE, entry, message).help = Some(
            "run it on a cluster that has it (`cluster: existing`), or ship a variant that runs on CPUs".to_owned(),
        );
    }
    let excess_of = |template: &PodTemplate<'_>| excess(pod_request(template));
    for template in pod_templates(&object.root) {
        let Some(containers) = template.spec.entry("containers") else { continue };
        let Some(excess) = excess_of(&template) else { continue };
        let message = format!("a pod asks for {excess} of a standard runner: it will not be scheduled there");
        findings.warning(code::TOO_LARGE, containers, message).help =
            Some("ask for less, or run the example on a larger runner or cluster".to_owned());
    }
    too_large_together(example, object, excess_of, findings);
}

/// All pods together, where each alone has room; told at the first pod of the example.
fn too_large_together(
    example: &Example,
    object: &Object,
    excess_of: impl Fn(&PodTemplate<'_>) -> Option<String>,
    findings: &mut Findings<'_>,
) {
    let Some(excess) = excess(example.settings.resources) else { return };
    let templates = |object| pod_templates(object).into_iter();
    let first = example.objects.iter().find(|other| templates(&other.root).next().is_some());
    let has_large_pod =
        example.objects.iter().flat_map(|other| templates(&other.root)).any(|pod| excess_of(&pod).is_some());
    if has_large_pod || !first.is_some_and(|first| std::ptr::eq(first, object)) {
        return;
    }
    let pod = templates(&object.root).next();
    let Some(containers) = pod.as_ref().and_then(|pod| pod.spec.entry("containers")) else { return };
    let message =
        format!("the pods of this example together ask for {excess} of a standard runner: some will wait for others");
    findings.note(code::TOO_LARGE, containers, message).help =
        Some("fewer replicas or smaller requests let them run at once".to_owned());
}

/// `5 CPUs, but a node has 3.05 free`; `None` if it fits.
fn excess(request: Resources) -> Option<String> {
    let (cpu, memory) = free();
    if request.cpu.milli() > cpu {
        return Some(format!(
            "{} CPUs, more than the {} that are free on a node",
            cores(request.cpu.milli()),
            cores(cpu)
        ));
    }
    if request.memory.units() > memory {
        let (asked, free) = (gibibytes(request.memory.units()), gibibytes(memory));
        return Some(format!("{asked} GiB of memory, more than the {free} GiB that are free on a node"));
    }
    None
}

fn cores(milli: i64) -> String {
    let text = format!("{}.{:03}", milli / 1_000, milli % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Gibibytes with one digit after the point, rounded down.
fn gibibytes(bytes: i64) -> String {
    let tenths = bytes / ((1 << 30) / 10);
    format!("{}.{}", tenths / 10, tenths % 10).trim_end_matches(".0").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::fixture::{self, example};

    /// What the first container of a pod requests.
    fn pod_request(pod: &PodTemplate<'_>) -> Resources {
        let container = pod.containers().next();
        let amount = |name: &str| {
            container
                .and_then(|first| first.at(&["resources", "requests", name]))
                .and_then(quantity)
                .unwrap_or_default()
        };
        Resources { cpu: amount("cpu"), memory: amount("memory") }
    }

    fn found_with(text: &str, cores: i64) -> Vec<String> {
        let mut example = example("a.yaml", text);
        example.settings.resources.cpu = Quantity::from_units(cores);
        let mut lines = Vec::new();
        for object in &example.objects {
            let mut findings = Findings::new(&example.source, &object.root);
            check(&example, object, ClusterKind::Auto, pod_request, &mut findings);
            lines.extend(findings.diagnostics.iter().map(fixture::line));
        }
        lines
    }

    fn found(text: &str) -> Vec<String> {
        found_with(text, 0)
    }

    fn job(replicas: u32, resources: &str) -> String {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nspec:\n  replicas: {replicas}\n  template:\n    spec:\n      containers:\n      - {{name: a, resources: {resources}}}\n"
        )
    }

    #[test]
    fn a_gpu_is_a_note_and_a_reason() {
        let text = job(1, "{limits: {nvidia.com/gpu: 2}}");
        assert_eq!(
            found(&text),
            [
                "EV504 note 8 spec.template.spec.containers[0].resources.limits[nvidia.com/gpu]: asks for `nvidia.com/gpu`, \
              which no node of a kind cluster has: the full tier will skip this example"
            ]
        );
        assert_eq!(
            extended_resource_reason(&example("a.yaml", &text)).as_deref(),
            Some("asks for nvidia.com/gpu, which no node of a kind cluster has")
        );
    }

    #[test]
    fn devices_and_huge_pages_count_and_zero_does_not() {
        for resources in ["{requests: {hugepages-2Mi: 1Gi}}", "{limits: {rdma/hca: 1}}", "{limits: {amd.com/gpu: '1'}}"]
        {
            assert_eq!(found(&job(1, resources)).len(), 1, "{resources}");
        }
        for resources in ["{limits: {nvidia.com/gpu: 0}}", "{limits: {cpu: 1, memory: 1Gi, ephemeral-storage: 1Gi}}"] {
            assert!(found(&job(1, resources)).is_empty(), "{resources}");
            assert_eq!(extended_resource_reason(&example("a.yaml", &job(1, resources))), None);
        }
    }

    #[test]
    fn extended_resources_outside_of_pod_templates_count() {
        let text = "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: TrainJob\nspec: {trainer: {resourcesPerNode: {limits: {nvidia.com/gpu: 1}}}}\n";
        assert_eq!(found(text).len(), 1);
    }

    #[test]
    fn what_never_gets_to_a_runner_is_not_compared_with_one() {
        let text = job(1, "{requests: {cpu: 4}, limits: {nvidia.com/gpu: 1}}");
        let found = |cluster: ClusterKind, change: &dyn Fn(&mut Example)| {
            let mut example = example("a.yaml", &text);
            change(&mut example);
            fixture::lines(&example, |object, findings| check(&example, object, cluster, pod_request, findings)).len()
        };
        assert_eq!(found(ClusterKind::Auto, &|_| ()), 2);
        assert_eq!(found(ClusterKind::Existing, &|_| ()), 0);
        assert_eq!(found(ClusterKind::Auto, &|example| example.settings.tier = Tier::Basic), 0);
        assert_eq!(found(ClusterKind::Auto, &|example| example.settings.expect = Expect::Rejected), 0);
    }

    #[test]
    fn what_no_pod_requests_does_not_count() {
        for text in [
            "apiVersion: ray.io/v1\nkind: RayCluster\nspec: {workers: [{replicas: 0, template: {spec: {containers: [{name: a, resources: {limits: {nvidia.com/gpu: 1}}}]}}}]}\n",
            "apiVersion: karpenter.sh/v1\nkind: NodePool\nspec: {limits: {nvidia.com/gpu: 8}}\n",
            "apiVersion: resource.k8s.io/v1\nkind: ResourceClaimTemplate\nspec: {spec: {devices: {requests: [{exactly: {capacity: {requests: {gpu.example.com/memory: 1Gi}}}}]}}}\n",
            "apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, resources: {limits: {node.kubernetes.io/x: 1}}}]}\n",
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_pod_that_no_runner_holds_is_a_warning() {
        let lines = found(&job(1, "{requests: {cpu: 4}}"));
        assert_eq!(
            lines,
            [
                "EV505 warning 7 spec.template.spec.containers: a pod asks for 4 CPUs, more than the 3.05 that are free on a \
              node of a standard runner: it will not be scheduled there"
            ]
        );
        assert!(found(&job(1, "{requests: {memory: 32Gi}}"))[0].contains("32 GiB of memory, more than the 15.7 GiB"));
        assert!(found(&job(1, "{requests: {cpu: 3, memory: 15Gi}}")).is_empty());
    }

    #[test]
    fn pods_that_fit_one_by_one_but_not_together_are_a_note() {
        let lines = found_with(&job(2, "{requests: {cpu: 2}}"), 4);
        assert!(lines.len() == 1 && lines[0].starts_with("EV505 note") && lines[0].contains("4 CPUs"), "{lines:?}");
        let two = format!("{}---\n{}", job(1, "{requests: {cpu: 2}}"), job(1, "{requests: {cpu: 2}}"));
        assert_eq!(found_with(&two, 4).len(), 1);
        assert!(found_with(&job(1, "{requests: {cpu: 2}}"), 2).is_empty());
    }

    #[test]
    fn a_pod_that_is_too_large_alone_is_told_once() {
        let lines = found_with(&job(2, "{requests: {cpu: 4}}"), 8);
        assert!(lines.len() == 1 && lines[0].starts_with("EV505 warning"), "{lines:?}");
    }

    #[test]
    fn kubeflows_gpu_examples_are_told() {
        let Some(catalog) = fixture::folder("../shared/kubeflow-v1/examples") else { return };
        let skipped: Vec<_> = catalog
            .examples
            .iter()
            .filter(|example| extended_resource_reason(example).is_some())
            .map(|example| example.id.as_str())
            .collect();
        assert_eq!(
            skipped,
            [
                "paddlepaddle/simple-gpu.yaml",
                "pytorch/deepspeed-demo/pytorch_deepspeed_demo.yaml",
                "pytorch/mnist/v1/pytorch_job_mnist_gloo.yaml",
                "pytorch/mnist/v1/pytorch_job_mnist_mpi.yaml",
                "pytorch/mnist/v1/pytorch_job_mnist_nccl.yaml",
                "tensorflow/distribution_strategy/multi_worker_tfjob.yaml",
            ]
        );
    }
}
