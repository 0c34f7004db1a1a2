//! Requests that are tried again while their answer may still change.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::Instant;

use super::answer::{Meaning, meaning, retry_after};

/// How long one request may take; a webhook has at most 30 s of it.
const REQUEST: Duration = Duration::from_secs(40);

/// How long an answer may take to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What is nobody's fault yet: an unreachable webhook, a busy API server.
    pub transient: Duration,
    /// What is refused, but may only not have been seen yet.
    pub lagging: Duration,
}

impl Default for Limits {
    /// Two minutes, and fifteen seconds: caches of admission lag by seconds.
    fn default() -> Self {
        Self { transient: Duration::from_secs(120), lagging: Duration::from_secs(15) }
    }
}

/// Sends requests until one is answered for good, or the limits are reached; then the last answer is returned.
///
/// # Errors
/// The last answer, if it is an error.
pub async fn persist<T, F>(limits: Limits, mut request: impl FnMut() -> F) -> Result<T, kube::Error>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    let start = Instant::now();
    let mut pauses = pauses();
    loop {
        let error = match tokio::time::timeout(REQUEST, request()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => kube::Error::Service(format!("no answer in {} s", REQUEST.as_secs()).into()),
        };
        let limit = match meaning(&error) {
            Meaning::Transient(_) => limits.transient,
            Meaning::Lagging => limits.lagging,
            Meaning::Refused | Meaning::Fault(_) => return Err(error),
        };
        let pause = pauses.next().unwrap_or(LONGEST).max(retry_after(&error).unwrap_or_default());
        if start.elapsed() + pause > limit {
            return Err(error);
        }
        tracing::debug!("trying again in {} ms: {error}", pause.as_millis());
        tokio::time::sleep(pause).await;
    }
}

/// The longest pause between two tries.
const LONGEST: Duration = Duration::from_secs(3);

/// Growing pauses, from a tenth of a second on.
pub fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(LONGEST)
        .with_factor(1.7)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use kube::core::Status;

    use super::*;

    fn answer(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Status::failure(message, "").with_code(code).boxed())
    }

    async fn tries(limits: Limits, error: impl Fn() -> kube::Error, good_after: u32) -> (u32, bool, Duration) {
        let (count, start) = (Cell::new(0), Instant::now());
        let result = persist(limits, || {
            count.set(count.get() + 1);
            let answer = if count.get() > good_after { Ok(()) } else { Err(error()) };
            async move { answer }
        })
        .await;
        (count.get(), result.is_ok(), start.elapsed())
    }

    #[tokio::test]
    async fn transient_answers_are_tried_again_until_they_pass() {
        let (count, good, _) = tries(Limits::default(), || answer(503, "etcdserver: leader changed"), 2).await;
        assert_eq!((count, good), (3, true));
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_ends_it_and_the_server_s_wish_is_heard() {
        let limits = Limits { transient: Duration::from_millis(1_300), lagging: Duration::from_millis(500) };
        let (count, good, _) = tries(limits, || answer(429, "slow down"), 99).await;
        assert_eq!((count, good), (2, false));
        let lagging = || answer(400, "runtime must be created before the TrainJob");
        let (count, good, took) = tries(limits, lagging, 99).await;
        // The clock goes on by whole milliseconds.
        let most = limits.lagging + Duration::from_millis(5);
        assert!(!good && count > 1 && took <= most, "{count} {took:?}");
    }

    #[tokio::test]
    async fn a_refusal_is_not_tried_again() {
        let (count, good, _) = tries(Limits::default(), || answer(422, "is invalid"), 99).await;
        assert_eq!((count, good), (1, false));
    }
}
