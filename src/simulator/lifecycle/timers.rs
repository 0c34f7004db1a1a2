//! What happens later, in order; and what time it is.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tokio::time::Instant;

use super::action::Cue;
use super::pace::{Delay, Pace};
use crate::simulator::store::Key;

/// Something that happens later: the object, its uid, why.
#[derive(Debug)]
pub struct Timer {
    /// The object.
    pub key: Key,
    /// The uid that it must still have.
    pub uid: String,
    /// Why it is looked at.
    pub cue: Cue,
}

/// What happens later, in order.
///
/// Its time is that of the cluster's own work: while that lags behind, it stands at what was due last, so that what is
/// shorter still comes first.
#[derive(Debug)]
pub struct Timers {
    pace: Pace,
    now: Instant,
    order: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    waiting: Vec<Option<Timer>>,
    free: Vec<usize>,
    turn: u64,
}

impl Timers {
    /// Nothing to come yet.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self { pace, now: Instant::now(), order: BinaryHeap::new(), waiting: Vec::new(), free: Vec::new(), turn: 0 }
    }

    /// Adds something.
    pub fn add(&mut self, delay: Delay, timer: Timer) {
        let due = self.now + self.pace.time(delay);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.waiting.push(None);
            self.waiting.len() - 1
        });
        self.waiting[slot] = Some(timer);
        self.turn += 1;
        self.order.push(Reverse((due, self.turn, slot)));
    }

    /// When the next is due.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.order.peek().map(|Reverse((due, ..))| *due)
    }

    /// Sets the clock, unless the work lags behind.
    pub fn catch_up(&mut self) {
        let real = Instant::now();
        if self.due().is_none_or(|due| due > real) {
            self.now = self.now.max(real);
        }
    }

    /// The next that is due.
    pub fn pop(&mut self) -> Option<Timer> {
        let due = self.due().filter(|due| *due <= Instant::now())?;
        self.now = self.now.max(due);
        let Reverse((_, _, slot)) = self.order.pop()?;
        self.free.push(slot);
        self.waiting[slot].take()
    }
}
