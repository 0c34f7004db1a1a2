//! How fast the simulated cluster works.

use std::time::Duration;

/// How fast the simulated cluster works.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Pace {
    /// At once: steps take no time, and what waits (sleeps, deadlines, back-offs) takes a thousandth of it, so that what
    /// is shorter still comes first. What sleeps for longer than [`LONG`] is taken for something that serves until it is
    /// stopped, and sleeps as long as it says.
    #[default]
    Instant,
    /// As a small real cluster does: steps take their usual time, and what waits takes this part of its time.
    Real(f64),
}

/// What sleeps for longer is not waited for at [`Pace::Instant`].
pub const LONG: Duration = Duration::from_secs(299);

/// How much faster than time [`Pace::Instant`] is.
const FASTER: u32 = 1_000;

/// Why something does not happen at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// A step of the cluster's own work.
    Step(Step),
    /// What the example asks for: a sleep, a deadline for what sleeps.
    Run(Duration),
    /// What the cluster waits for: a back-off, a deadline, a probe's period.
    Wait(Duration),
    /// The same for the n-th time: at [`Pace::Instant`] what goes round for ever goes round slower and slower.
    Again(Duration, u32),
    /// What follows when an example is over: its logs can still be read for a moment.
    After(Duration),
}

/// A step of the cluster's own work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Seeing something.
    See,
    /// Finding a node.
    Schedule,
    /// Making a pod's sandbox.
    Sandbox,
    /// Pulling an image.
    Pull,
    /// Starting a container.
    Start,
    /// Noticing that a container has ended.
    Relist,
}

impl Step {
    /// What it takes on a small real cluster (medians of recordings of kind, one node).
    fn usual(self) -> Duration {
        Duration::from_millis(match self {
            Self::See => 10,
            Self::Schedule => 20,
            Self::Sandbox => 500,
            Self::Pull => 200,
            Self::Start => 300,
            Self::Relist => 800,
        })
    }
}

impl Pace {
    /// How long it takes in real time.
    #[must_use]
    pub fn time(self, delay: Delay) -> Duration {
        match (self, delay) {
            (Self::Instant, Delay::Step(_)) => Duration::ZERO,
            (Self::Instant, Delay::Run(time)) if time > LONG => time,
            (Self::Instant, Delay::Run(time) | Delay::Wait(time)) => time / FASTER,
            (Self::Instant, Delay::Again(time, turn)) => {
                let slower = 1_u32 << turn.saturating_sub(5).min(6);
                (time / FASTER * slower).clamp(Duration::from_millis(2), Duration::from_secs(5))
            }
            (Self::Instant, Delay::After(time)) => (time / FASTER).max(Duration::from_millis(100)),
            (Self::Real(_), Delay::Step(step)) => step.usual(),
            (Self::Real(part), Delay::Run(time) | Delay::Wait(time) | Delay::Again(time, _) | Delay::After(time)) => {
                Duration::try_from_secs_f64(time.as_secs_f64() * part).unwrap_or(time)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn at_once_what_is_shorter_still_comes_first() {
        let times: Vec<_> = [1, 5, 8, 60, 299, 300, 600, 3600]
            .iter()
            .map(|time| Pace::Instant.time(Delay::Run(seconds(*time))))
            .collect();
        assert!(times.is_sorted());
        assert!(times[4] < seconds(1));
        assert_eq!(times[7], seconds(3600));
    }

    #[test]
    fn what_goes_round_for_ever_gets_slower_and_never_spins() {
        let times: Vec<_> = (0..40).map(|turn| Pace::Instant.time(Delay::Again(seconds(10), turn))).collect();
        assert!(times.is_sorted());
        assert!(times[0] >= Duration::from_millis(2) && times[39] >= Duration::from_millis(500));
    }

    #[test]
    fn a_real_pace_takes_a_part_of_the_time() {
        assert_eq!(Pace::Real(0.1).time(Delay::Run(seconds(20))), seconds(2));
        assert_eq!(Pace::Real(0.1).time(Delay::Step(Step::Start)), Duration::from_millis(300));
    }
}
