//! Which requests are tried again, and when.
//!
//! As the official clients do it: <https://github.com/actions/toolkit/tree/main/packages/artifact/src/internal/shared>. Everything is
//! bounded: so many tries, and no pause is longer than [`Patience::longest`].

use std::future::Future;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// The words by which the service says that an account's storage is used up: no later try helps.
const QUOTA: &str = "insufficient usage";

/// How often something is tried, and how long the pauses are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patience {
    /// Most tries, the first included.
    pub tries: u32,
    /// The first pause.
    pub first: Duration,
    /// By what the pauses grow.
    pub growth: f64,
    /// The longest pause. Who asks us to wait for longer has refused.
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { tries: 5, first: Duration::from_secs(3), growth: 1.5, longest: Duration::from_secs(60) }
    }
}

impl Patience {
    /// As many tries, without a pause between them: for tests.
    #[must_use]
    pub fn without_pauses() -> Self {
        Self { first: Duration::ZERO, longest: Duration::ZERO, ..Self::default() }
    }

    /// One try.
    #[must_use]
    pub fn once() -> Self {
        Self { tries: 1, ..Self::default() }
    }

    /// The pause after so many failed tries, at least one: between the pause of its turn and that of the next, where `chance`
    /// (from 0 to 1) says, so that many jobs that failed together don't come back together.
    #[must_use]
    pub fn pause(&self, failed: u32, chance: f64) -> Duration {
        let turn = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.first.as_secs_f64() * self.growth.powi(turn) * (1.0 + (self.growth - 1.0) * chance);
        Duration::try_from_secs_f64(seconds).unwrap_or(self.longest).min(self.longest)
    }

    /// The pause after so many failed tries, if there is to be another: what the server asked for, or [`Self::pause`]. `None`
    /// ends it.
    #[must_use]
    pub fn next(&self, failed: u32, asked: Option<Duration>, chance: f64) -> Option<Duration> {
        if failed >= self.tries {
            return None;
        }
        match asked {
            // Without pauses there is no asking either.
            Some(_) if self.longest.is_zero() => Some(Duration::ZERO),
            Some(asked) => (asked <= self.longest).then_some(asked),
            None => Some(self.pause(failed, chance)),
        }
    }
}

/// Why one try came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed<E> {
    /// It may pass; after how long, if the server said so.
    Passing(E, Option<Duration>),
    /// It will not.
    Final(E),
}

impl<E> Failed<E> {
    /// What an answer that is no success means: its status says whether it may pass, its headers when, its text whether it is
    /// final all the same.
    #[must_use]
    pub fn of_answer(status: StatusCode, headers: &HeaderMap, text: &str, error: E) -> Self {
        if is_passing(status) && !is_quota(text) {
            Self::Passing(error, retry_after(headers, Timestamp::now()))
        } else {
            Self::Final(error)
        }
    }

    /// A connection that failed, or an answer that can't be read: it may pass.
    #[must_use]
    pub fn passing(error: E) -> Self {
        Self::Passing(error, None)
    }

    /// The error itself.
    #[must_use]
    pub fn into_error(self) -> E {
        match self {
            Self::Passing(error, _) | Self::Final(error) => error,
        }
    }
}

/// Whether an answer with this status may be another one later.
#[must_use]
pub fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// Whether an answer says that the storage of the account is used up.
#[must_use]
pub fn is_quota(text: &str) -> bool {
    text.to_lowercase().contains(QUOTA)
}

/// How long an answer asks to wait: `Retry-After`, as seconds or as a date.
///
/// <https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// Tries something, which is told how many tries have failed before, until it succeeds, fails for good, or patience ends.
///
/// # Errors
/// That of the last try.
pub async fn patiently<T, E, F>(patience: &Patience, what: &str, mut attempt: impl FnMut(u32) -> F) -> Result<T, E>
where
    E: std::fmt::Display,
    F: Future<Output = Result<T, Failed<E>>>,
{
    let mut failed = 0;
    loop {
        let (error, asked) = match attempt(failed).await {
            Ok(value) => return Ok(value),
            Err(Failed::Final(error)) => return Err(error),
            Err(Failed::Passing(error, asked)) => (error, asked),
        };
        failed += 1;
        let Some(pause) = patience.next(failed, asked, rand::random()) else { return Err(error) };
        tracing::debug!("{what} failed, try {failed} of {}: {error}; once more in {pause:?}", patience.tries);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())])
    }

    #[test]
    fn pauses_grow_by_half_from_three_seconds() {
        let patience = Patience::default();
        let pauses: Vec<_> = (1..5).map(|failed| patience.pause(failed, 0.0).as_secs_f64()).collect();
        assert_eq!(pauses, [3.0, 4.5, 6.75, 10.125]);
        assert_eq!(patience.pause(1, 1.0), Duration::from_millis(4500));
        assert_eq!(patience.pause(u32::MAX, 0.5), patience.longest);
    }

    #[test]
    fn a_server_says_how_long_to_wait_but_not_for_ever() {
        let patience = Patience::default();
        let asked = |seconds| patience.next(1, Some(Duration::from_secs(seconds)), 0.0);
        assert_eq!(asked(20), Some(Duration::from_secs(20)));
        assert_eq!(asked(61), None, "it has refused");
        assert_eq!(patience.next(5, None, 0.0), None, "five tries");
        assert_eq!(Patience::without_pauses().next(1, Some(Duration::from_secs(9)), 0.5), Some(Duration::ZERO));
    }

    #[test]
    fn the_time_to_wait_is_read_as_seconds_and_as_a_date() {
        let now: Timestamp = "2026-07-01T10:00:00Z".parse().unwrap();
        let read = |text: &str| retry_after(&headers(text), now).map(|pause| pause.as_secs());
        assert_eq!(read(" 17 "), Some(17));
        assert_eq!(read("Wed, 01 Jul 2026 10:00:30 GMT"), Some(30));
        assert_eq!(read("Wed, 01 Jul 2026 09:00:00 GMT"), Some(0), "it has passed");
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let of =
            |status: u16, text| Failed::of_answer(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), text, ());
        for status in [429, 500, 502, 503, 504] {
            assert_eq!(of(status, ""), Failed::Passing((), None), "{status}");
        }
        for status in [301, 400, 401, 403, 404, 409, 412, 501] {
            assert_eq!(of(status, ""), Failed::Final(()), "{status}");
        }
        assert_eq!(of(429, r#"{"msg": "Insufficient usage to create artifact"}"#), Failed::Final(()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_tried_five_times_with_pauses() {
        let (tried, start) = (Cell::new(0), tokio::time::Instant::now());
        let failing = |failed| {
            tried.set(failed + 1);
            async { Err::<(), _>(Failed::passing("no")) }
        };
        assert_eq!(patiently(&Patience::default(), "it", failing).await, Err("no"));
        assert_eq!(tried.get(), 5);
        assert!(start.elapsed() >= Duration::from_secs_f64(24.375), "{:?}", start.elapsed());
        assert!(start.elapsed() <= Duration::from_secs_f64(24.375 * 1.5) + Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn the_third_try_may_succeed_and_what_is_final_ends_it() {
        let third = |failed| async move { if failed < 2 { Err(Failed::passing("no")) } else { Ok(failed) } };
        assert_eq!(patiently(&Patience::default(), "it", third).await, Ok(2));
        let refused = |failed| async move {
            if failed == 0 { Err::<(), _>(Failed::passing("no")) } else { Err(Failed::Final("never")) }
        };
        assert_eq!(patiently(&Patience::default(), "it", refused).await, Err("never"));
    }

    proptest! {
        #[test]
        fn no_pause_is_longer_than_the_longest(failed in 0_u32.., asked in proptest::option::of(0_u64..), chance in 0.0..=1.0) {
            let patience = Patience::default();
            if let Some(pause) = patience.next(failed, asked.map(Duration::from_secs), chance) {
                prop_assert!(pause <= patience.longest && failed < patience.tries);
            }
        }
    }
}
