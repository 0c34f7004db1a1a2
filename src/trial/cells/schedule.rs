//! Whose turn it is: the longest first, smaller ones into the gaps, nobody waiting for ever. Pure; [`super::run`] drives it.
//!
//! - Cells are taken in the order of their expected duration, the longest first, so that none is left to run alone at the end.
//! - The first one that finds no room keeps a reservation. What comes after it may start if the reserved cell would still fit
//!   once everything that was there before has ended; [`MAX_OVERTAKES`] times also if it would not, so that one long neighbour
//!   does not leave the nodes idle.
//! - A cell that would not fit on empty nodes comes last, and runs alone: the cluster's own scheduler judges it.
//! - Of the cells that share a lock one runs at a time, in the same order.
//! - A cell that is to run alone comes last too: nothing is begun beside it, and it begins when nothing runs.
//!
//! Cells that ask for the same form a class: if the first of a class does not fit, none does, so that a step costs a look at
//! each class, not at each cell.

#[cfg(test)]
mod tests;

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
    /// Nothing may run beside it.
    pub alone: bool,
    /// It waits for more than its turn: it is no candidate before it is [pushed](Schedule::push).
    pub held: bool,
}

/// The order of turns: what runs alone last, the longest first, then by arrival. The last part is the cell's place.
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
    /// They run alone: they are to, or would not fit on empty nodes.
    alone: bool,
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
    alone: bool,
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
    /// All tasks, waiting; those that are held are no candidates yet. At most `parallel` of them run at once.
    #[must_use]
    pub fn new(tasks: impl IntoIterator<Item = Task>, nodes: Packing, parallel: usize) -> Self {
        let (mut classes, mut locks) = (Numbers::default(), Numbers::default());
        let mut candidates = Vec::new();
        let entry = |(place, task): (usize, Task)| {
            if !task.held {
                candidates.push(place);
            }
            Entry {
                expected: task.expected,
                class: classes.of((task.demand, task.alone)),
                locks: task.locks.into_iter().map(|lock| locks.of(lock)).collect(),
                waits: false,
            }
        };
        let entries: Vec<_> = tasks.into_iter().enumerate().map(entry).collect();
        let class = |(demand, alone): (Demand, bool)| {
            let alone = alone || nodes.fit(&demand).is_none();
            Class { alone, demand, ready: BTreeSet::new() }
        };
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
        for task in candidates {
            schedule.push(task);
        }
        schedule
    }

    /// Lets a task wait for its turn (again).
    pub fn push(&mut self, task: usize) {
        let entry = &mut self.entries[task];
        entry.waits = true;
        let key = (self.classes[entry.class].alone, Reverse(entry.expected), self.arrivals, task);
        self.arrivals += 1;
        for lock in &self.entries[task].locks {
            self.locks[*lock].wanted.insert(key);
        }
        self.ready_if_unlocked(key);
    }

    /// The task whose turn it is; it runs from now on. `None` if nothing may start before something ends.
    pub fn start(&mut self) -> Option<usize> {
        if self.running.len() >= self.parallel || self.running.values().any(|running| running.alone) {
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
        let Class { demand, alone, .. } = &self.classes[class];
        if *alone {
            let is_idle = self.running.is_empty();
            return is_idle.then(|| Running { placement: Placement::default(), alone: true, beside: None });
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
        Some(Running { placement, alone: false, beside })
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
