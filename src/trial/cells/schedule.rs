//! Whose turn it is: the longest first, smaller ones into the gaps, nobody waiting for ever. Pure; [`super::run`] drives it.
//!
//! - Cells are taken in the order of their expected duration, the longest first, so that none is left to run alone at the end.
//! - The first one that finds no room keeps a reservation. What comes after it may start if the reserved cell would still fit
//!   once everything that was there before has ended; [`MAX_OVERTAKES`] times also if it would not, so that one long neighbour
//!   does not leave the nodes idle.
//! - A cell that would not fit on empty nodes comes last, and runs alone: the cluster's own scheduler judges it.
//! - Of the cells that share a lock one runs at a time, in the same order.
//!
//! Cells that ask for the same form a class: if the first of a class does not fit, none does, so that a step costs a look at
//! each class, not at each cell.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::packing::{Demand, Packing, Placement};

/// How often a cell that waits for room may be overtaken by one that takes away what it waits for.
pub const MAX_OVERTAKES: u32 = 8;

/// What a cell is to the schedule. Cells are named by their place.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// How long it is expected to take.
    pub expected: Duration,
    /// What it asks of the nodes.
    pub demand: Demand,
    /// What only one cell at a time may have.
    pub locks: BTreeSet<String>,
}

/// The order of turns: what fits on no empty node last, the longest first, then by arrival. The last part is the cell's place.
type Key = (bool, Reverse<Duration>, u64, usize);

/// The cells that wait, and the room that the running ones take.
#[derive(Debug)]
pub struct Schedule {
    entries: Vec<Entry>,
    classes: Vec<Class>,
    locks: Vec<Lock>,
    empty: Packing,
    free: Packing,
    parallel: usize,
    running: HashMap<usize, Running>,
    reservation: Option<Reservation>,
    arrivals: u64,
    reservations: u64,
}

#[derive(Debug)]
struct Entry {
    expected: Duration,
    class: usize,
    locks: Vec<usize>,
    waits: bool,
}

/// The cells that ask for the same.
#[derive(Debug)]
struct Class {
    demand: Demand,
    /// It would not fit on empty nodes.
    oversize: bool,
    /// Those that wait for nothing but room.
    ready: BTreeSet<Key>,
}

#[derive(Debug, Default)]
struct Lock {
    held: bool,
    /// Everything that waits and wants it, ready or not.
    wanted: BTreeSet<Key>,
}

#[derive(Debug)]
struct Running {
    placement: Placement,
    oversize: bool,
    /// The reservation that it overtook without harm.
    beside: Option<u64>,
}

/// The first cell that found no room.
#[derive(Debug)]
struct Reservation {
    key: Key,
    class: usize,
    /// Tells reservations apart.
    number: u64,
    /// The nodes as they will be for it: empty, but for those that overtook it without harm.
    room: Packing,
    overtakes: u32,
}

impl Schedule {
    /// All tasks, waiting. At most `parallel` of them run at once.
    #[must_use]
    pub fn new(tasks: impl IntoIterator<Item = Task>, nodes: Packing, parallel: usize) -> Self {
        let (mut classes, mut locks) = (Numbers::default(), Numbers::default());
        let entry = |task: Task| Entry {
            expected: task.expected,
            class: classes.of(task.demand),
            locks: task.locks.into_iter().map(|lock| locks.of(lock)).collect(),
            waits: false,
        };
        let entries: Vec<_> = tasks.into_iter().map(entry).collect();
        let class = |demand: Demand| Class { oversize: nodes.fit(&demand).is_none(), demand, ready: BTreeSet::new() };
        let mut schedule = Self {
            classes: classes.in_order().into_iter().map(class).collect(),
            locks: locks.in_order().iter().map(|_| Lock::default()).collect(),
            free: nodes.clone(),
            empty: nodes,
            parallel: parallel.max(1),
            running: HashMap::new(),
            reservation: None,
            arrivals: 0,
            reservations: 0,
            entries,
        };
        (0..schedule.entries.len()).for_each(|task| schedule.push(task));
        schedule
    }

    /// Lets a task wait for its turn (again).
    pub fn push(&mut self, task: usize) {
        let entry = &mut self.entries[task];
        entry.waits = true;
        let key = (self.classes[entry.class].oversize, Reverse(entry.expected), self.arrivals, task);
        self.arrivals += 1;
        for lock in &self.entries[task].locks {
            self.locks[*lock].wanted.insert(key);
        }
        self.ready_if_unlocked(key);
    }

    /// The task whose turn it is; it runs from now on. `None` if nothing may start before something ends.
    pub fn start(&mut self) -> Option<usize> {
        if self.running.len() >= self.parallel || self.running.values().any(|running| running.oversize) {
            return None;
        }
        if self.running.is_empty() {
            self.reservation = None;
        }
        let mut full = vec![false; self.classes.len()];
        while let Some((class, key)) = self.first(&full) {
            if !self.is_unlocked(key) {
                // Something before it wants the same lock by now: it is looked at again when that is done.
                self.classes[class].ready.remove(&key);
            } else if let Some(running) = self.admit(class, key) {
                self.begin(class, key, running);
                return Some(key.3);
            } else {
                full[class] = true;
            }
        }
        None
    }

    /// A running task has ended: its room and its locks are free.
    pub fn finish(&mut self, task: usize) {
        let Some(Running { placement, beside, .. }) = self.running.remove(&task) else { return };
        self.free.give_back(&placement);
        if let Some(reservation) = self.reservation.as_mut().filter(|one| Some(one.number) == beside) {
            reservation.room.give_back(&placement);
        }
        let locks = self.entries[task].locks.clone();
        for lock in &locks {
            self.locks[*lock].held = false;
        }
        for lock in locks {
            if let Some(key) = self.locks[lock].wanted.first().copied() {
                self.ready_if_unlocked(key);
            }
        }
    }

    /// How many run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Takes away everything that waits, in the order of the tasks.
    pub fn drain(&mut self) -> Vec<usize> {
        self.classes.iter_mut().for_each(|class| class.ready.clear());
        self.locks.iter_mut().for_each(|lock| lock.wanted.clear());
        self.reservation = None;
        let mut entries = self.entries.iter_mut().enumerate();
        std::iter::from_fn(|| entries.find_map(|(task, entry)| std::mem::take(&mut entry.waits).then_some(task)))
            .collect()
    }

    /// The first ready task of the classes that are not full.
    fn first(&self, full: &[bool]) -> Option<(usize, Key)> {
        let heads = self.classes.iter().enumerate().filter(|(class, _)| !full[*class]);
        heads.filter_map(|(number, class)| Some((number, *class.ready.first()?))).min_by_key(|(_, key)| *key)
    }

    /// Whether all locks of the waiting task are free, and nothing before it wants one of them.
    fn is_unlocked(&self, key: Key) -> bool {
        let mut locks = self.entries[key.3].locks.iter().map(|lock| &self.locks[*lock]);
        locks.all(|lock| !lock.held && lock.wanted.first() == Some(&key))
    }

    fn ready_if_unlocked(&mut self, key: Key) {
        if self.is_unlocked(key) {
            self.classes[self.entries[key.3].class].ready.insert(key);
        }
    }

    /// How the task would run now; `None` if it may not.
    fn admit(&mut self, class: usize, key: Key) -> Option<Running> {
        let Class { demand, oversize, .. } = &self.classes[class];
        if *oversize {
            let alone = self.running.is_empty();
            return alone.then(|| Running { placement: Placement::default(), oversize: true, beside: None });
        }
        let Some(placement) = self.free.fit(demand) else {
            self.reserve(class, key);
            return None;
        };
        let mut beside = None;
        if let Some(reservation) = self.reservation.as_mut().filter(|one| one.key < key) {
            reservation.room.take(&placement);
            if reservation.room.fit(&self.classes[reservation.class].demand).is_some() {
                beside = Some(reservation.number);
            } else {
                reservation.room.give_back(&placement);
                if reservation.overtakes == MAX_OVERTAKES {
                    return None;
                }
                reservation.overtakes += 1;
            }
        }
        Some(Running { placement, oversize: false, beside })
    }

    /// Keeps room for the task, unless one before it has a reservation.
    fn reserve(&mut self, class: usize, key: Key) {
        if self.reservation.as_ref().is_some_and(|reservation| reservation.key <= key) {
            return;
        }
        let number = self.reservations;
        self.reservations += 1;
        self.reservation = Some(Reservation { key, class, number, room: self.empty.clone(), overtakes: 0 });
    }

    fn begin(&mut self, class: usize, key: Key, running: Running) {
        let task = key.3;
        self.classes[class].ready.remove(&key);
        self.entries[task].waits = false;
        for lock in &self.entries[task].locks {
            self.locks[*lock].held = true;
            self.locks[*lock].wanted.remove(&key);
        }
        if self.reservation.as_ref().is_some_and(|reservation| reservation.key == key) {
            self.reservation = None;
        }
        self.free.take(&running.placement);
        self.running.insert(task, running);
    }
}

/// Numbers for things that are equal, from 0.
#[derive(Debug)]
struct Numbers<T>(BTreeMap<T, usize>);

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Ord> Numbers<T> {
    fn of(&mut self, thing: T) -> usize {
        let next = self.0.len();
        *self.0.entry(thing).or_insert(next)
    }

    fn in_order(self) -> Vec<T> {
        let mut things: Vec<_> = self.0.into_iter().collect();
        things.sort_by_key(|(_, number)| *number);
        things.into_iter().map(|(thing, _)| thing).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Resources;
    use crate::quantity::Quantity;
    use crate::trial::cells::testing::node;
    use proptest::prelude::*;

    fn task(seconds: u64, cores: i64) -> Task {
        let request = Resources { cpu: Quantity::from_units(cores), memory: Quantity::default() };
        Task { expected: Duration::from_secs(seconds), demand: Demand::even(request, 1), locks: BTreeSet::new() }
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

    fn to_task((expected, _, milli, mebi, pods, locks, _): &Drawn) -> Task {
        let cpu = Quantity::parse(&format!("{milli}m")).unwrap();
        let request = Resources { cpu, memory: Quantity::from_units(*mebi << 20) };
        let locks = locks.iter().map(ToString::to_string).collect();
        Task { expected: Duration::from_secs(*expected), demand: Demand::even(request, *pods), locks }
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
                if running.iter().any(fits_nowhere) {
                    assert_eq!(running.len(), 1, "what fits nowhere runs alone");
                } else {
                    assert!(running.iter().map(|task| drawn[*task].2).sum::<i64>() <= cpu);
                    assert!(running.iter().map(|task| drawn[*task].3).sum::<i64>() <= memory);
                    assert!(running.iter().map(|task| drawn[*task].4).sum::<u64>() <= pods);
                }
            });
            prop_assert_eq!(tries, drawn.iter().map(|drawn| drawn.6).collect::<Vec<_>>());
        }
    }
}
