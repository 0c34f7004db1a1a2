//! The task that asks for samples.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use kube::Client;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::ask::{Ask, Failure, ask};
use super::desk::{Desk, Share};
use super::doors::Doors;
use super::summary::PodSamples;

/// The most requests at once.
const AT_ONCE: usize = 8;

/// A longer answer (of some 250 pods) takes more than 10 milliseconds to be read, in which this thread has others to serve.
const LONG: usize = 1 << 20;

/// How often it is asked. What has just begun to run is asked for soon again, then at twice its age each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// The shortest time between two questions to one kubelet.
    pub least: Duration,
    /// The longest.
    pub most: Duration,
    /// The shortest time between two questions to the metrics server about one namespace.
    pub metrics_server: Duration,
}

impl Rhythm {
    /// Of a real cluster. Kubelets have new samples every 10 to 15 seconds where cAdvisor takes them, and at any time where the
    /// container runtime does; a metrics server every 15.
    pub const REAL: Self =
        Self { least: Duration::from_secs(1), most: Duration::from_secs(5), metrics_server: Duration::from_secs(10) };
    /// Of a simulated one, whose pods live for milliseconds.
    pub const SIMULATED: Self = Self {
        least: Duration::from_millis(100),
        most: Duration::from_millis(500),
        metrics_server: Duration::from_millis(500),
    };

    /// Of a cluster that this provides.
    #[must_use]
    pub fn of(provider: &str) -> Self {
        if provider == "simulated" { Self::SIMULATED } else { Self::REAL }
    }
}

/// Samples the pods of the attempts that take part. It asks nobody while nothing of them runs, and ends when it is dropped.
#[derive(Debug)]
pub struct Sampler {
    desk: Arc<Desk>,
    _task: AbortOnDropHandle<()>,
}

impl Sampler {
    /// Starts it. Must be called within a Tokio runtime.
    #[must_use]
    pub fn start(client: Client, rhythm: Rhythm) -> Self {
        let desk = Arc::new(Desk::default());
        let task = tokio::spawn(sample(Arc::clone(&desk), client, rhythm));
        Self { desk, _task: AbortOnDropHandle::new(task) }
    }

    /// Takes part with the pods of a namespace, for an attempt that started at this moment.
    #[must_use]
    pub fn join(&self, namespace: &str, started: Instant) -> Share {
        self.desk.open(namespace, started)
    }
}

async fn sample(desk: Arc<Desk>, client: Client, rhythm: Rhythm) {
    let (mut doors, mut busy, mut asking) = (Doors::default(), HashSet::new(), FuturesUnordered::new());
    loop {
        let now = Instant::now();
        let plan = desk.plan(now, rhythm, &doors, &busy);
        for whom in plan.asks.into_iter().take(AT_ONCE.saturating_sub(busy.len())) {
            doors.ask(&whom, now);
            busy.insert(whom.clone());
            asking.push(answered(Arc::clone(&desk), client.clone(), doors.tells_all(&whom), whom));
        }
        tokio::select! {
            Some((whom, heard)) = asking.next(), if !asking.is_empty() => {
                busy.remove(&whom);
                let now = Instant::now();
                desk.hear(&whom, now, &heard);
                if let Err(failure) = &heard {
                    tracing::debug!("no samples from {whom:?}: {}", failure.message());
                }
                doors.heard(&whom, now, heard.err().as_ref());
            }
            () = desk.wake.notified() => {}
            () = sleep_until(plan.next.unwrap_or(now)), if plan.next.is_some() => {}
        }
    }
}

/// Asks, and reads the answer.
async fn answered(
    desk: Arc<Desk>,
    client: Client,
    tells_all: bool,
    whom: Ask,
) -> (Ask, Result<Vec<PodSamples>, Failure>) {
    let answer = match ask(client, &whom, tells_all).await {
        Ok(answer) => answer,
        Err(failure) => return (whom, Err(failure)),
    };
    let heard = if answer.len() > LONG {
        let asked = whom.clone();
        let reading = tokio::task::spawn_blocking(move || desk.read(&asked, tells_all, &answer));
        reading.await.unwrap_or_else(|error| Err(Failure::Broken(error.to_string())))
    } else {
        desk.read(&whom, tells_all, &answer)
    };
    (whom, heard)
}
