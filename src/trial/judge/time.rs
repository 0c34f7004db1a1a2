//! The attempt's own time: it runs from the moment at which its pods could run, and stands still while they wait for what is
//! not theirs to hasten.

use std::time::Duration;

use super::Surroundings;
use crate::trial::Moment;

/// How long a change of another object may still be under way: watches are independent, so that a job's failure can be seen
/// before its pod's.
pub const SETTLE: Duration = Duration::from_secs(1);

/// How long what only becomes ready has to stay so: the container of a Deployment without a readiness probe is ready in the
/// second in which it crashes.
pub const READY_SETTLE: Duration = Duration::from_secs(2);

/// How long sidecars may take to end after the work was done, before the work counts without them. (A sidecar that ignores
/// SIGTERM takes its whole termination grace period, which says nothing of the example.)
pub const SIDECAR_SETTLE: Duration = Duration::from_secs(2);

/// How long a judged object that was deleted may take to appear again.
pub const REAPPEAR: Duration = Duration::from_secs(5);

/// How long something that was started may take to do what it was started for, where nothing says that it does: a database
/// makes its files first.
pub const START_LIMIT: Duration = Duration::from_secs(60);

/// How long one pull of an image may take. It is generous: images for training weigh 10 GiB and more, and while one is pulled
/// the attempt's time stands still.
pub const PULL_LIMIT: Duration = Duration::from_secs(20 * 60);

/// How long the API server may be out of reach.
pub const API_LIMIT: Duration = Duration::from_secs(60);

/// How long a node may be not ready: 40 s is what the node controller itself allows between two signs of life.
pub const NODE_LIMIT: Duration = Duration::from_secs(40);

/// After the API server was out of reach, how long the watches may take to show what was missed.
pub const CATCH_UP: Duration = Duration::from_secs(5);

/// When the attempt began, and how long its time stood still.
#[derive(Debug, Default)]
pub struct Clock {
    begun: Option<Moment>,
    stood: Duration,
    standing: Option<Moment>,
    /// Since when no other cell holds room.
    pub room: Moment,
    /// Since when the API server answers, or does not.
    pub reach: Moment,
    /// Since when the nodes are in trouble.
    pub nodes: Option<Moment>,
}

impl Clock {
    /// Something happens at this moment; the first one begins the attempt's time.
    pub fn begin(&mut self, at: Moment) {
        self.begun.get_or_insert(at);
    }

    /// The attempt's pods could run from this moment on: its time starts anew.
    pub fn restart(&mut self, at: Moment) {
        self.begun = Some(at);
        self.stood = Duration::ZERO;
        self.standing = self.standing.map(|_| at);
    }

    /// The time stands still, or goes on.
    pub fn pause(&mut self, at: Moment, still: bool) {
        match (self.standing, still) {
            (None, true) => self.standing = Some(at),
            (Some(since), false) => {
                self.stood = self.stood.saturating_add(at.saturating_sub(since));
                self.standing = None;
            }
            _ => {}
        }
    }

    /// The surroundings change from `old` to `new`.
    pub fn surround(&mut self, at: Moment, old: &Surroundings, new: &Surroundings) {
        if old.others_hold_room && !new.others_hold_room {
            self.room = at;
        }
        if old.api_reachable != new.api_reachable {
            self.reach = at;
        }
        self.nodes = new.node_trouble.as_ref().map(|_| self.nodes.unwrap_or(at));
    }

    /// When `timeout` is over; `None` while the time stands still, or has not begun.
    pub fn end(&self, timeout: Duration) -> Option<Moment> {
        let begun = self.begun.filter(|_| self.standing.is_none())?;
        Some(begun.saturating_add(timeout).saturating_add(self.stood))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_stands_still_does_not_count() {
        let seconds = Duration::from_secs;
        let mut clock = Clock::default();
        assert_eq!(clock.end(seconds(60)), None);
        clock.begin(seconds(1));
        clock.begin(seconds(5));
        assert_eq!(clock.end(seconds(60)), Some(seconds(61)));
        clock.pause(seconds(10), true);
        clock.pause(seconds(15), true);
        assert_eq!(clock.end(seconds(60)), None);
        clock.pause(seconds(20), false);
        assert_eq!(clock.end(seconds(60)), Some(seconds(71)));
        clock.restart(seconds(30));
        assert_eq!(clock.end(seconds(60)), Some(seconds(90)));
    }
}
