//! Which requests are tried again, and when.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::error::Error;

/// How often a request is tried, and how long it is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How many times at most.
    pub tries: u32,
    /// The pause before the second try; each further one is twice as long, and up to a quarter more so that jobs don't come together.
    pub first: Duration,
    /// The longest pause that a rate limit is worth. A limit that ends later is an error.
    pub limit: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { tries: 4, first: Duration::from_secs(1), limit: Duration::from_secs(90) }
    }
}

impl Patience {
    /// How long to wait before the next try, after `tried` of them ended in `error`; `None` to give up. `repeatable` says whether
    /// doing it twice is as good as once.
    pub(super) fn pause(&self, error: &Error, repeatable: bool, tried: u32) -> Option<Duration> {
        if tried >= self.tries {
            return None;
        }
        match error {
            // GitHub has refused it: it was not carried out.
            Error::Limited { until, .. } => {
                let wait = Timestamp::now().duration_until(*until).max(SignedDuration::ZERO).unsigned_abs();
                (wait <= self.limit).then_some(wait)
            }
            Error::Unreachable { sent, .. } => (repeatable || !sent).then(|| self.growing(tried)),
            Error::Answered { status: 408 | 500.., .. } => repeatable.then(|| self.growing(tried)),
            _ => None,
        }
    }

    /// The pause after so many tries.
    pub(in crate::github) fn growing(&self, tried: u32) -> Duration {
        let pause = self.first.saturating_mul(1 << tried.saturating_sub(1).min(10));
        pause.mul_f64(1.0 + rand::random::<f64>() / 4.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worth(error: &Error, repeatable: bool) -> bool {
        Patience::default().pause(error, repeatable, 1).is_some()
    }

    #[test]
    fn what_may_have_been_done_is_tried_again_only_where_twice_is_as_good_as_once() {
        let lost = Error::timeout();
        let failed = Error::Answered { status: 502, message: String::new() };
        let no_connection = Error::Unreachable { message: String::new(), sent: false };
        for (error, repeatable, single) in [(&lost, true, false), (&failed, true, false), (&no_connection, true, true)]
        {
            assert_eq!((worth(error, true), worth(error, false)), (repeatable, single), "{error}");
        }
    }

    #[test]
    fn what_github_decided_is_not_asked_again() {
        for error in [
            Error::Denied { message: String::new() },
            Error::NotFound { route: String::new() },
            Error::Gone { message: String::new() },
            Error::Answered { status: 422, message: String::new() },
        ] {
            assert!(!worth(&error, true), "{error}");
        }
    }

    #[test]
    fn a_limit_is_waited_for_when_it_ends_soon() {
        let limited = |seconds| Error::Limited {
            until: Timestamp::now() + SignedDuration::from_secs(seconds),
            message: String::new(),
        };
        let pause = |seconds| Patience::default().pause(&limited(seconds), false, 1);
        assert!(pause(60).is_some_and(|wait| wait > Duration::from_secs(55) && wait <= Duration::from_secs(60)));
        assert_eq!((pause(-5), pause(600)), (Some(Duration::ZERO), None));
    }

    #[test]
    fn pauses_grow_and_end() {
        let patience = Patience::default();
        for (tried, least) in [(1, 1), (2, 2), (3, 4)] {
            let pause = patience.pause(&Error::timeout(), true, tried).unwrap();
            assert!(pause >= Duration::from_secs(least) && pause <= Duration::from_secs(least) * 5 / 4, "{pause:?}");
        }
        assert_eq!(patience.pause(&Error::timeout(), true, 4), None);
        assert!(patience.growing(u32::MAX) > Duration::ZERO);
    }
}
