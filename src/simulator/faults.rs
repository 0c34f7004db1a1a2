//! Faults on request: what a cluster in trouble does to its clients.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use super::store::{Random, Status};

/// The faults that are wanted; none by default. Shares are in thousandths of the requests or watches concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Faults {
    /// The seed of all chances: the same seed and the same order of requests meet the same faults.
    pub seed: u64,
    /// How long each request waits before it is looked at, in milliseconds.
    pub latency_ms: u64,
    /// How much longer it waits at most, by chance.
    pub jitter_ms: u64,
    /// Requests that are answered with an error, and not done.
    pub errors: u32,
    /// Requests that are done, and answered with an error all the same.
    pub lost: u32,
    /// The codes of those errors; empty for 500, 503 and 429.
    pub codes: Vec<u16>,
    /// What `Retry-After` says, in seconds.
    pub retry_after: u64,
    /// Watches that end after this many events.
    pub cut_after_events: Option<u32>,
    /// Watches that end after this many milliseconds.
    pub cut_after_ms: Option<u64>,
    /// Watches that stay open and say nothing.
    pub stalled: u32,
    /// What the node proxy answers with, instead of what a kubelet would.
    pub node_proxy: Option<u16>,
    /// Watches from a version on that are answered with 410.
    pub gone: u32,
}

/// What becomes of one request.
#[derive(Clone, Debug, Default)]
pub struct RequestFaults {
    /// How long it waits.
    pub latency: Duration,
    /// The error with which it is answered instead of being done.
    pub refusal: Option<Status>,
    /// The error with which it is answered after it was done.
    pub loss: Option<Status>,
}

/// What becomes of one watch.
#[derive(Clone, Debug, Default)]
pub struct WatchFaults {
    /// It is answered with 410.
    pub gone: bool,
    /// It says nothing.
    pub stalled: bool,
    /// When it ends.
    pub cut_at: Option<Instant>,
    /// After how many more events it ends.
    pub events: Option<u32>,
}

impl WatchFaults {
    /// Counts one event; true if it was the last one.
    pub fn counts_down(&mut self) -> bool {
        let Some(events) = &mut self.events else { return false };
        *events = events.saturating_sub(1);
        *events == 0
    }
}

/// The faults of a running simulator; they can be changed at any time.
#[derive(Debug)]
pub struct Mischief {
    state: Mutex<(Faults, Random)>,
}

impl Mischief {
    /// Starts with these faults.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        let random = Random::new(faults.seed);
        Self { state: Mutex::new((faults, random)) }
    }

    /// The faults of now.
    #[must_use]
    pub fn get(&self) -> Faults {
        self.with(|faults, _| faults.clone())
    }

    /// Other faults from now on.
    pub fn set(&self, faults: Faults) {
        self.with(|old, random| {
            *random = Random::new(faults.seed);
            *old = faults;
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Faults, &mut Random) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (faults, random) = &mut *state;
        work(faults, random)
    }

    /// Draws what becomes of a request.
    #[must_use]
    pub fn request(&self) -> RequestFaults {
        self.with(|faults, random| {
            let jitter = if faults.jitter_ms > 0 { random.below(faults.jitter_ms + 1) } else { 0 };
            RequestFaults {
                latency: Duration::from_millis(faults.latency_ms + jitter),
                refusal: (faults.errors > 0 && random.chance(faults.errors)).then(|| error(faults, random)),
                loss: (faults.lost > 0 && random.chance(faults.lost)).then(|| error(faults, random)),
            }
        })
    }

    /// Draws what becomes of a watch.
    #[must_use]
    pub fn watch(&self) -> WatchFaults {
        self.with(|faults, random| WatchFaults {
            gone: faults.gone > 0 && random.chance(faults.gone),
            stalled: faults.stalled > 0 && random.chance(faults.stalled),
            cut_at: faults.cut_after_ms.map(|after| Instant::now() + Duration::from_millis(after)),
            events: faults.cut_after_events,
        })
    }
}

/// An error of one of the codes that are wanted, with the texts of a real API server.
fn error(faults: &Faults, random: &mut Random) -> Status {
    const USUAL: [u16; 3] = [500, 503, 429];
    let codes = if faults.codes.is_empty() { &USUAL[..] } else { &faults.codes };
    let index = usize::try_from(random.below(codes.len() as u64)).unwrap_or(0);
    let code = codes.get(index).copied().unwrap_or(500);
    let (reason, message) = match code {
        429 => ("TooManyRequests", "Too many requests, please try again later."),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => ("Timeout", "Timeout: request did not complete within requested timeout - context deadline exceeded"),
        _ => ("InternalError", "Internal error occurred: etcdserver: request timed out"),
    };
    let mut status = Status::new(code, reason, message);
    if matches!(code, 429 | 503) {
        status.details = Some(Box::new(json!({"retryAfterSeconds": faults.retry_after})));
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_meets_the_same_faults() {
        let drawn = || {
            let mischief = Mischief::new(Faults { seed: 7, errors: 300, lost: 100, ..Faults::default() });
            (0..200).map(|_| mischief.request()).map(|faults| (faults.refusal, faults.loss)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(), drawn());
        let refused = drawn().iter().filter(|(refusal, _)| refusal.is_some()).count();
        assert!((30..90).contains(&refused), "{refused} of 200");
    }

    #[test]
    fn without_faults_nothing_happens() {
        let mischief = Mischief::new(Faults::default());
        let faults = mischief.request();
        assert!(faults.latency.is_zero() && faults.refusal.is_none() && faults.loss.is_none());
        let watch = mischief.watch();
        assert!(!watch.gone && !watch.stalled && watch.cut_at.is_none() && watch.events.is_none());
    }

    #[test]
    fn a_misspelt_fault_is_refused() {
        assert!(serde_json::from_str::<Faults>(r#"{"latency": 5}"#).is_err());
        assert_eq!(serde_json::from_str::<Faults>(r#"{"latencyMs": 5}"#).unwrap().latency_ms, 5);
    }
}
