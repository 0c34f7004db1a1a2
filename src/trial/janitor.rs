//! Who deletes what attempts leave, beside the attempts that go on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::apply::Target;
use super::cleanup::{Patience, Removed, Traces, holding, remove};

/// How long it may take to see who holds what is left.
const WHY: Duration = Duration::from_secs(5);
/// How many namespaces are looked into at once.
const AT_ONCE: usize = 8;

/// Deletes in the background, and knows what is still there.
pub struct Janitor {
    target: Target,
    patience: Patience,
    inner: Mutex<Inner>,
    /// How many namespaces are being deleted.
    busy: watch::Sender<usize>,
}

/// One more is being deleted, as long as this lives.
struct Busy(watch::Sender<usize>);

impl Busy {
    fn new(busy: &watch::Sender<usize>) -> Self {
        busy.send_modify(|deleting| *deleting += 1);
        Self(busy.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|deleting| *deleting = deleting.saturating_sub(1));
    }
}

#[derive(Default)]
struct Inner {
    running: JoinSet<Removed>,
    /// The namespaces that are being deleted.
    pending: Arc<Mutex<Vec<String>>>,
    done: Removed,
}

impl Janitor {
    /// One who deletes on this cluster, with so much patience for each attempt.
    #[must_use]
    pub fn new(target: Target, patience: Patience) -> Self {
        Self { target, patience, inner: Mutex::default(), busy: watch::Sender::new(0) }
    }

    /// Takes over what an attempt may have made. Returns at once, or (`wait`) when it is gone: objects of the whole cluster must be
    /// before another example may bring them.
    pub async fn take(&self, traces: Option<Traces>, wait: bool) {
        let Some(traces) = traces else { return };
        let (finished, waiter) = tokio::sync::oneshot::channel::<()>();
        {
            let mut inner = self.inner();
            let pending = Arc::clone(&inner.pending);
            let (target, patience, busy) = (self.target.clone(), self.patience, Busy::new(&self.busy));
            pending.lock().unwrap_or_else(PoisonError::into_inner).push(traces.namespace.clone());
            inner.running.spawn(async move {
                let _busy = busy;
                let removed = remove(&target, &traces, patience).await;
                pending.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != traces.namespace);
                // Nobody may be waiting.
                let _ = finished.send(());
                removed
            });
            while let Some(Ok(removed)) = inner.running.try_join_next() {
                inner.note(removed);
            }
        }
        if wait {
            // The task that sends may only have panicked.
            let _ = waiter.await;
        }
    }

    /// Waits until nothing is being deleted.
    pub async fn idle(&self) {
        // The sender lives as long as this does.
        let _ = self.busy.subscribe().wait_for(|deleting| *deleting == 0).await;
    }

    /// Waits until everything is deleted, no longer than `patience`; what is then left is named, and who holds it, for which the
    /// last of that time is kept.
    pub async fn finish(&self, patience: Duration) -> Removed {
        let mut running = std::mem::take(&mut self.inner().running);
        let all = async {
            while let Some(removed) = running.join_next().await {
                if let Ok(removed) = removed {
                    self.inner().note(removed);
                }
            }
        };
        let until = Instant::now() + patience;
        let _ = tokio::time::timeout_at(until - WHY.min(patience / 5), all).await;
        let (mut done, pending) = {
            let mut inner = self.inner();
            let pending = inner.pending.lock().unwrap_or_else(PoisonError::into_inner).clone();
            (std::mem::take(&mut inner.done), pending)
        };
        done.left.extend(pending.iter().map(|namespace| format!("Namespace/{namespace}")));
        let held = stream::iter(&pending).map(|namespace| holding(&self.target, namespace)).buffered(AT_ONCE);
        let mut held = std::pin::pin!(held);
        while let Ok(Some(lines)) = tokio::time::timeout_at(until, held.next()).await {
            done.warnings.extend(lines);
        }
        done
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn note(&mut self, removed: Removed) {
        self.done.left.extend(removed.left);
        self.done.warnings.extend(removed.warnings);
    }
}
