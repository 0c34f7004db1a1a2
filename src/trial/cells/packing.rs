//! Which cells fit beside each other on the nodes. Pure: what the scheduler will do is foreseen here, not asked.
//!
//! The forecast may be wrong (a node that is busier than it says, a scheduler that spreads where this packs): a pod that then
//! finds no room waits for a neighbour to end, since its attempt is told that there is one. It only must not be systematically
//! wrong, and no cell may wait for ever.

use crate::catalog::{Example, ExampleKind, Object, pod_request};
use crate::cluster;
use crate::config::Resources;
use crate::framework::Frameworks;
use crate::pod_template::pod_templates;
use crate::quantity::Quantity;
use crate::yaml::Node;

/// Fewest cells at once that `auto` gives: a run on the smallest machine still overlaps its waiting.
const MIN_PARALLEL: usize = 4;
/// Cells at once for each core of the nodes: examples request little, and most of their time is spent on pulls and on the
/// operator.
const PARALLEL_PER_CORE: usize = 4;
/// Most cells at once that `auto` gives: beyond it the API server and the operator are what is being measured.
const MAX_PARALLEL: usize = 100;

/// Cells at once where the user does not say: 4 for each whole core of the nodes, at least 4 and at most 100. Pods and
/// requests bound them further, cell by cell.
#[must_use]
pub fn auto_parallel(nodes: &[cluster::Node]) -> usize {
    let cores = nodes.iter().fold(Quantity::default(), |sum, node| sum.plus(node.cpu)).milli() / 1_000;
    let cores = usize::try_from(cores).unwrap_or(0);
    cores.saturating_mul(PARALLEL_PER_CORE).clamp(MIN_PARALLEL, MAX_PARALLEL)
}

/// How many pods an example has at once, as far as its manifest says: those of its pod templates; of a judged object without
/// any, as many as its `spec.trainer.numNodes` (a TrainJob), else one. One for a script, of which nothing is known.
#[must_use]
pub fn pods(example: &Example) -> u64 {
    let nodes = |object: &Object| object.root.at(&["spec", "trainer", "numNodes"]).and_then(Node::as_i64);
    let of = |(index, object): (usize, &Object)| {
        let templates = pod_templates(&object.root);
        match templates.as_slice() {
            [] if example.judged.contains(&index) => nodes(object).and_then(|nodes| nodes.try_into().ok()).unwrap_or(1),
            templates => templates.iter().fold(0u64, |sum, pod| sum.saturating_add(pod.replicas)),
        }
    };
    if example.kind == ExampleKind::Script {
        return 1;
    }
    let objects = example.objects.iter().enumerate().filter(|(_, object)| !Frameworks::is_template(object));
    objects.map(of).fold(0, u64::saturating_add)
}

/// Pods that request the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pods {
    /// Millicores of each.
    cpu: i64,
    /// Bytes of each.
    memory: i64,
    /// How many.
    count: u64,
}

/// What a cell asks of the nodes at once, the largest pods first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Demand(Vec<Pods>);

impl Demand {
    /// `pods` pods that share `request` evenly; at least one pod if anything is requested.
    #[must_use]
    pub fn even(request: Resources, pods: u64) -> Self {
        let pods = if request.cpu.is_zero() && request.memory.is_zero() { pods } else { pods.max(1) };
        if pods == 0 {
            return Self::default();
        }
        let count = i64::try_from(pods).unwrap_or(i64::MAX);
        let each = |amount: i64| amount.max(0) / count + i64::from(amount.max(0) % count != 0);
        Self(vec![Pods { cpu: each(request.cpu.milli()), memory: each(request.memory.units()), count: pods }])
    }

    /// What a cell asks for: the pods of its manifest as they are, if `request` and `pods` are their sum; else (it is
    /// configured, or others come with it) `pods` pods that share `request` evenly.
    #[must_use]
    pub fn of(example: &Example, request: Resources, pods: u64) -> Self {
        let objects = example.objects.iter().filter(|object| !Frameworks::is_template(object));
        let templates: Vec<_> = objects.flat_map(|object| pod_templates(&object.root)).collect();
        let requests: Vec<_> = templates.iter().map(|pod| (pod_request(pod), pod.replicas)).collect();
        let sum = |of: fn(&Resources) -> Quantity| {
            requests.iter().fold(Quantity::default(), |sum, (each, count)| sum.plus(of(each).times(*count)))
        };
        let count = requests.iter().fold(0u64, |sum, (_, count)| sum.saturating_add(*count));
        if (sum(|each| each.cpu), sum(|each| each.memory), count) != (request.cpu, request.memory, pods) {
            return Self::even(request, pods);
        }
        let pods = requests.iter().filter(|(_, count)| *count > 0).map(|(each, count)| Pods {
            cpu: each.cpu.milli().max(0),
            memory: each.memory.units().max(0),
            count: *count,
        });
        let mut pods: Vec<_> = pods.collect();
        pods.sort_unstable_by(|one, other| other.cmp(one));
        Self(pods)
    }
}

/// Free room of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    cpu: i64,
    memory: i64,
    pods: u64,
}

impl Room {
    /// How many of these pods go into it.
    fn holds(&self, pods: Pods) -> u64 {
        let by = |free: i64, each: i64| if each == 0 { u64::MAX } else { u64::try_from(free / each).unwrap_or(0) };
        self.pods.min(by(self.cpu, pods.cpu)).min(by(self.memory, pods.memory)).min(pods.count)
    }

    /// The room less (or, where they go, plus) these pods.
    fn change(&mut self, pods: Pods, goes: bool) {
        let sign = if goes { 1 } else { -1 };
        let count = i64::try_from(pods.count).unwrap_or(i64::MAX).saturating_mul(sign);
        self.cpu = self.cpu.saturating_add(pods.cpu.saturating_mul(count));
        self.memory = self.memory.saturating_add(pods.memory.saturating_mul(count));
        self.pods = if goes { self.pods.saturating_add(pods.count) } else { self.pods.saturating_sub(pods.count) };
    }
}

/// Where the pods of a cell go: pods that are alike, by the node's place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement(Vec<(usize, Pods)>);

/// The free room of the nodes.
#[derive(Clone, Debug)]
pub struct Packing {
    /// `None` where nothing is known of the nodes: everything then fits.
    free: Option<Vec<Room>>,
}

impl Packing {
    /// Empty nodes. Of a cluster that names none nothing is known, and nothing bounds it.
    #[must_use]
    pub fn new(nodes: &[cluster::Node]) -> Self {
        let room = |node: &cluster::Node| Room {
            cpu: node.cpu.milli().max(0),
            memory: node.memory.units().max(0),
            pods: node.pods,
        };
        Self { free: (!nodes.is_empty()).then(|| nodes.iter().map(room).collect()) }
    }

    /// Where the pods would go, the largest first, each on the first node that has room for it; `None` if one has none.
    #[must_use]
    pub fn fit(&self, demand: &Demand) -> Option<Placement> {
        let Some(free) = &self.free else { return Some(Placement(Vec::new())) };
        let mut placed: Vec<(usize, Pods)> = Vec::new();
        for pods in &demand.0 {
            let mut left = *pods;
            for (place, room) in free.iter().enumerate() {
                let mut room = *room;
                placed.iter().filter(|(at, _)| *at == place).for_each(|(_, taken)| room.change(*taken, false));
                let here = Pods { count: room.holds(left), ..*pods };
                if here.count > 0 {
                    placed.push((place, here));
                    left.count -= here.count;
                }
                if left.count == 0 {
                    break;
                }
            }
            if left.count > 0 {
                return None;
            }
        }
        Some(Placement(placed))
    }

    /// Takes the room of a placement.
    pub fn take(&mut self, placement: &Placement) {
        self.change(placement, false);
    }

    /// Gives it back.
    pub fn give_back(&mut self, placement: &Placement) {
        self.change(placement, true);
    }

    fn change(&mut self, placement: &Placement, goes: bool) {
        let Some(free) = &mut self.free else { return };
        for (place, pods) in &placement.0 {
            free[*place].change(*pods, goes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::cells::testing::{example, node};
    use proptest::prelude::*;

    fn resources(milli: i64, mebi: i64) -> Resources {
        let cpu = Quantity::parse(&format!("{milli}m")).unwrap();
        Resources { cpu, memory: Quantity::from_units(mebi << 20) }
    }

    #[test]
    fn auto_follows_the_cores_between_its_bounds() {
        let nodes = |cores: &[i64]| cores.iter().map(|cores| node(cores * 1_000, 1, 110)).collect::<Vec<_>>();
        for (cores, cells) in
            [(&[][..], 4), (&[0], 4), (&[1], 4), (&[2], 8), (&[4], 16), (&[4, 4], 32), (&[64], 100), (&[500, 500], 100)]
        {
            assert_eq!(auto_parallel(&nodes(cores)), cells, "{cores:?}");
        }
    }

    #[test]
    fn a_pod_needs_one_node_and_a_cell_may_use_several() {
        let packing = Packing::new(&[node(2_000, 1_024, 10), node(2_000, 1_024, 10)]);
        assert!(packing.fit(&Demand::even(resources(4_000, 0), 2)).is_some());
        assert!(packing.fit(&Demand::even(resources(3_000, 0), 1)).is_none());
        assert!(packing.fit(&Demand::even(resources(0, 2_048), 2)).is_some());
        assert!(packing.fit(&Demand::even(resources(0, 2_049), 2)).is_none());
    }

    #[test]
    fn pods_are_counted_even_if_they_request_nothing() {
        let mut packing = Packing::new(&[node(2_000, 1_024, 3)]);
        let two = packing.fit(&Demand::even(Resources::default(), 2)).unwrap();
        packing.take(&two);
        assert!(packing.fit(&Demand::even(Resources::default(), 2)).is_none());
        assert!(packing.fit(&Demand::even(Resources::default(), 1)).is_some());
        assert!(packing.fit(&Demand::even(Resources::default(), 0)).is_some());
        packing.give_back(&two);
        assert!(packing.fit(&Demand::even(Resources::default(), 3)).is_some());
    }

    #[test]
    fn the_pods_of_an_example_are_counted_by_its_manifest() {
        let job = "kind: PyTorchJob\nspec:\n  pytorchReplicaSpecs:\n    Master: {template: {spec: {containers: []}}}\n    \
                   Worker: {replicas: 3, template: {spec: {containers: []}}}\n";
        let train = "kind: TrainJob\nspec: {trainer: {numNodes: 4}}\n---\nkind: TrainJob\nspec: {}\n";
        assert_eq!([job, train, ""].map(|text| pods(&example("a.yaml", text))), [4, 5, 0]);
        let script = Example { kind: ExampleKind::Script, ..example("a.sh", "") };
        assert_eq!(pods(&script), 1);
    }

    #[test]
    fn of_nodes_that_are_not_known_nothing_bounds_a_cell() {
        assert!(Packing::new(&[]).fit(&Demand::even(resources(1_000_000, 0), 1_000)).is_some());
    }

    #[test]
    fn the_pods_of_a_manifest_are_packed_as_they_are() {
        let text = "apiVersion: kubeflow.org/v1\nkind: PyTorchJob\nspec:\n  pytorchReplicaSpecs:\n    \
                    Master: {template: {spec: {containers: [{resources: {requests: {cpu: 100m}}}]}}}\n    \
                    Worker: {replicas: 2, template: {spec: {containers: [{resources: {requests: {cpu: 1900m}}}]}}}\n";
        let example = example("a.yaml", text);
        let two = Packing::new(&[node(2_000, 1_024, 10), node(2_000, 1_024, 10)]);
        assert!(two.fit(&Demand::of(&example, resources(3_900, 0), 3)).is_some());
        let other_way = Packing::new(&[node(1_300, 1_024, 10), node(1_300, 1_024, 10), node(1_300, 1_024, 10)]);
        assert!(other_way.fit(&Demand::of(&example, resources(3_900, 0), 3)).is_none());
        // Configured amounts say nothing of single pods: they are shared.
        assert!(other_way.fit(&Demand::of(&example, resources(3_600, 0), 3)).is_some());
    }

    proptest! {
        #[test]
        fn what_is_placed_was_free_and_comes_back_whole(
            nodes in proptest::collection::vec((0i64..8_000, 0i64..8_192, 0u64..20), 1..5),
            demands in proptest::collection::vec((0i64..9_000, 0i64..9_000, 0u64..12), 0..12),
        ) {
            let nodes: Vec<_> = nodes.into_iter().map(|(cpu, memory, pods)| node(cpu, memory, pods)).collect();
            let empty = Packing::new(&nodes);
            let mut packing = empty.clone();
            let mut placed = Vec::new();
            for (cpu, memory, pods) in demands {
                let demand = Demand::even(resources(cpu, memory), pods);
                if let Some(placement) = packing.fit(&demand) {
                    let asked: u64 = demand.0.iter().map(|pods| pods.count).sum();
                    prop_assert_eq!(placement.0.iter().map(|(_, pods)| pods.count).sum::<u64>(), asked);
                    packing.take(&placement);
                    placed.push(placement);
                }
                for room in packing.free.iter().flatten() {
                    prop_assert!(room.cpu >= 0 && room.memory >= 0);
                }
            }
            let pods: u64 = placed.iter().flat_map(|placement| &placement.0).map(|(_, pods)| pods.count).sum();
            let free: u64 = packing.free.iter().flatten().map(|room| room.pods).sum();
            prop_assert_eq!(free + pods, nodes.iter().map(|node| node.pods).sum::<u64>());
            for placement in &placed {
                packing.give_back(placement);
            }
            prop_assert_eq!(packing.free, empty.free);
        }
    }
}
