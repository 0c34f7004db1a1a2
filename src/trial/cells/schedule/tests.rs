use super::*;
use crate::config::Resources;
use crate::quantity::Quantity;
use crate::trial::cells::testing::node;
use proptest::prelude::*;

fn task(seconds: u64, cores: i64) -> Task {
    let request = Resources { cpu: Quantity::from_units(cores), memory: Quantity::default() };
    Task {
        expected: Duration::from_secs(seconds),
        demand: Demand::even(request, 1),
        locks: BTreeSet::new(),
        alone: false,
        held: false,
    }
}

fn locked(seconds: u64, locks: &[&str]) -> Task {
    Task { locks: locks.iter().map(|lock| (*lock).to_owned()).collect(), ..task(seconds, 0) }
}

fn on(cores: i64, parallel: usize, tasks: Vec<Task>) -> Schedule {
    Schedule::new(tasks, Packing::new(&[node(cores * 1_000, 1, 110)]), parallel)
}

fn start_all(schedule: &mut Schedule) -> Vec<usize> {
    std::iter::from_fn(|| schedule.start()).collect()
}

#[test]
fn the_longest_come_first_and_no_more_than_may_run_at_once() {
    let mut schedule = on(4, 2, vec![task(1, 0), task(9, 0), task(5, 0), task(9, 0)]);
    assert_eq!(start_all(&mut schedule), [1, 3]);
    schedule.finish(1);
    assert_eq!(start_all(&mut schedule), [2]);
    assert_eq!((schedule.running(), schedule.drain()), (2, vec![0]));
    assert_eq!(schedule.start(), None);
}

#[test]
fn what_fits_goes_past_what_does_not() {
    let mut schedule = on(4, 9, vec![task(9, 3), task(8, 3), task(7, 1), task(6, 0)]);
    assert_eq!(start_all(&mut schedule), [0, 2, 3]);
    schedule.finish(0);
    assert_eq!(start_all(&mut schedule), [1]);
}

#[test]
fn what_fits_nowhere_runs_alone_and_last() {
    let mut schedule = on(4, 9, vec![task(9, 5), task(1, 1), task(8, 6)]);
    assert_eq!(start_all(&mut schedule), [1]);
    schedule.finish(1);
    assert_eq!(start_all(&mut schedule), [0]);
    schedule.finish(0);
    assert_eq!(start_all(&mut schedule), [2]);
}

#[test]
fn what_is_to_run_alone_does_when_all_others_are_done() {
    let alone = |seconds| Task { alone: true, ..task(seconds, 0) };
    let mut schedule = on(4, 9, vec![alone(99), task(1, 1), alone(5), task(2, 1)]);
    assert_eq!(start_all(&mut schedule), [3, 1]);
    schedule.finish(3);
    assert_eq!(schedule.start(), None, "it waits for the last one");
    schedule.finish(1);
    assert_eq!(start_all(&mut schedule), [0]);
    // What waits for its retry meanwhile does not begin beside it, and goes before the next that is to run alone.
    schedule.push(1);
    assert_eq!(schedule.start(), None);
    schedule.finish(0);
    assert_eq!(start_all(&mut schedule), [1]);
    schedule.finish(1);
    assert_eq!(start_all(&mut schedule), [2]);
}

#[test]
fn a_big_one_is_overtaken_so_often_and_no_more_by_what_takes_its_room() {
    let small = 100;
    let mut tasks = vec![task(100, 3), task(50, 4)];
    tasks.extend((0..small).map(|_| task(1, 1)));
    let mut schedule = on(4, 100, tasks);
    assert_eq!(start_all(&mut schedule), [0, 2]);
    let mut overtakes = 1;
    for running in 2.. {
        schedule.finish(running);
        match start_all(&mut schedule).as_slice() {
            [] => break,
            [next] => assert_eq!(*next, running + 1),
            more => panic!("{more:?}"),
        }
        overtakes += 1;
    }
    assert_eq!(overtakes, MAX_OVERTAKES);
    schedule.finish(0);
    assert_eq!(start_all(&mut schedule), [1], "the big one, and nothing beside it");
}

#[test]
fn what_takes_nothing_from_a_big_one_goes_past_it_freely() {
    let mut tasks = vec![task(100, 3), task(50, 4)];
    tasks.extend((0..50).map(|_| task(1, 0)));
    let mut schedule = on(4, 100, tasks);
    assert_eq!(start_all(&mut schedule).len(), 51);
    schedule.finish(0);
    assert_eq!(start_all(&mut schedule), [1]);
}

#[test]
fn of_those_that_share_a_lock_one_runs_and_the_others_keep_no_one_back() {
    let tasks = vec![locked(9, &["a"]), locked(8, &["a", "b"]), locked(7, &["b"]), locked(6, &["c"]), task(1, 0)];
    let mut schedule = on(4, 9, tasks);
    // The third waits for the second, which waits for the first: each lock is given in the order of turns.
    assert_eq!(start_all(&mut schedule), [0, 3, 4]);
    schedule.finish(0);
    assert_eq!(start_all(&mut schedule), [1]);
    schedule.push(0);
    schedule.finish(1);
    assert_eq!(start_all(&mut schedule), [0, 2]);
}

#[test]
fn a_retry_takes_its_turn_by_its_length() {
    let mut schedule = on(4, 1, vec![task(9, 0), task(8, 0)]);
    assert_eq!(start_all(&mut schedule), [0]);
    schedule.finish(0);
    schedule.push(0);
    assert_eq!(start_all(&mut schedule), [0]);
}

/// A task as a property draws it: expected seconds, real seconds, millicores, MiB, pods, locks, tries.
type Drawn = (u64, u64, i64, i64, u64, BTreeSet<usize>, u32);

fn drawn() -> impl Strategy<Value = Drawn> {
    let locks = prop_oneof![4 => Just(BTreeSet::new()), 1 => proptest::collection::btree_set(0usize..4, 1..3)];
    (0u64..30, 1u64..30, 0i64..5_000, 0i64..5_000, 0u64..6, locks, 1u32..3)
}

/// Some of those that are drawn are to run alone.
fn is_alone(drawn: &Drawn) -> bool {
    drawn.0 == 7
}

fn to_task(drawn: &Drawn) -> Task {
    let (expected, _, milli, mebi, pods, locks, _) = drawn;
    let cpu = Quantity::parse(&format!("{milli}m")).unwrap();
    let request = Resources { cpu, memory: Quantity::from_units(*mebi << 20) };
    let locks = locks.iter().map(ToString::to_string).collect();
    let demand = Demand::even(request, *pods);
    Task { expected: Duration::from_secs(*expected), demand, locks, alone: is_alone(drawn), held: false }
}

/// Plays a schedule to its end; `check` sees what runs after each step.
fn play(drawn: &[Drawn], packing: Packing, parallel: usize, mut check: impl FnMut(&[usize])) -> Vec<u32> {
    let mut schedule = Schedule::new(drawn.iter().map(to_task), packing, parallel);
    let mut tries = vec![0; drawn.len()];
    let mut running: BTreeSet<(u64, usize)> = BTreeSet::new();
    let mut now = 0;
    loop {
        for task in start_all(&mut schedule) {
            tries[task] += 1;
            running.insert((now + drawn[task].1, task));
        }
        check(&running.iter().map(|(_, task)| *task).collect::<Vec<_>>());
        let Some((end, task)) = running.pop_first() else { return tries };
        now = end;
        schedule.finish(task);
        if tries[task] < drawn[task].6 {
            schedule.push(task);
        }
    }
}

proptest! {
    #[test]
    fn everything_runs_within_the_nodes_and_its_locks(
        drawn in proptest::collection::vec(drawn(), 0..60),
        nodes in proptest::collection::vec((0i64..6_000, 0i64..6_000, 1u64..12), 1..4),
        parallel in 1usize..12,
    ) {
        let nodes: Vec<_> = nodes.into_iter().map(|(cpu, memory, pods)| node(cpu, memory, pods)).collect();
        let empty = Packing::new(&nodes);
        let total = |of: fn(&crate::cluster::Node) -> i64| nodes.iter().map(of).sum::<i64>();
        let (cpu, memory) = (total(|node| node.cpu.milli()), total(|node| node.memory.units() >> 20));
        let pods: u64 = nodes.iter().map(|node| node.pods).sum();
        let tries = play(&drawn, empty.clone(), parallel, |running| {
            assert!(running.len() <= parallel);
            let locks: Vec<_> = running.iter().flat_map(|task| &drawn[*task].5).collect();
            assert_eq!(locks.iter().collect::<BTreeSet<_>>().len(), locks.len(), "a lock is held twice");
            let fits_nowhere = |task: &usize| empty.fit(&to_task(&drawn[*task]).demand).is_none();
            if running.iter().any(|task| fits_nowhere(task) || is_alone(&drawn[*task])) {
                assert_eq!(running.len(), 1, "what fits nowhere or is to run alone does");
            } else {
                assert!(running.iter().map(|task| drawn[*task].2).sum::<i64>() <= cpu);
                assert!(running.iter().map(|task| drawn[*task].3).sum::<i64>() <= memory);
                assert!(running.iter().map(|task| drawn[*task].4).sum::<u64>() <= pods);
            }
        });
        prop_assert_eq!(tries, drawn.iter().map(|drawn| drawn.6).collect::<Vec<_>>());
    }
}
