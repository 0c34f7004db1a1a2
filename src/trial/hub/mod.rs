//! Watches that all attempts on a cluster share: one a kind, over all namespaces, whose changes are handed to the attempt whose
//! namespace they are in. A hundred attempts cost the API server no more watches than one does.
//!
//! A watch that is closed, cut, answered with 410 or silent for too long is started again: what is listed then is handed on
//! as seen, and what is no longer listed as gone, so that an attempt misses nothing but time.

mod rooms;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;
use kube::core::ApiResource;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use super::Change;
use crate::model::{Cause, CauseClass};
use rooms::Rooms;
use watch::Watch;

/// The watches of one cluster.
#[derive(Clone)]
pub struct Hub {
    client: Client,
    rooms: Arc<Rooms>,
    watches: Arc<Mutex<HashMap<Kind, Watch>>>,
    stop: CancellationToken,
}

/// What tells kinds apart: the group, its version and the kind.
type Kind = (String, String, String);

/// Why a kind can't be watched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("can't watch {kind}: {message}")]
pub struct WatchError {
    /// The kind, `Pod`.
    pub kind: String,
    /// What the API server (or the connection) said.
    pub message: String,
    /// Whether the API server itself refused, so that trying again is of no use.
    pub refused: bool,
}

impl WatchError {
    /// Why what it was to tell of can't be judged.
    #[must_use]
    pub fn cause(&self) -> Cause {
        let hint = if self.refused {
            "the identity of the kubeconfig needs list and watch on this kind in all namespaces"
        } else {
            "is the API server well, and reachable from here?"
        };
        Cause {
            class: CauseClass::Cluster,
            reason: "WatchFailed".to_owned(),
            message: self.to_string(),
            hint: hint.to_owned(),
            object: String::new(),
            file: String::new(),
            line: 0,
        }
    }
}

/// An attempt's share: the changes in its namespace, from now on. Dropped, it leaves.
pub struct Subscription {
    namespace: String,
    rooms: Arc<Rooms>,
    changes: UnboundedReceiver<Change>,
}

impl Hub {
    /// A hub without watches; each is started when it is first needed, and lives as long as the hub.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, rooms: Arc::default(), watches: Arc::default(), stop: CancellationToken::new() }
    }

    /// Takes part in what happens in `namespace`, which should not exist yet: what is there already is told only by watches
    /// that start later. Cluster-scoped objects that are watched (nodes) are told to everybody.
    #[must_use]
    pub fn join(&self, namespace: &str) -> Subscription {
        let changes = self.rooms.open(namespace);
        Subscription { namespace: namespace.to_owned(), rooms: Arc::clone(&self.rooms), changes }
    }

    /// Watches these kinds from now on, and waits until each has been listed once.
    ///
    /// # Errors
    /// The API server refuses, or does not answer within `patience`.
    pub async fn watch(&self, kinds: &[ApiResource], patience: Duration) -> Result<(), WatchError> {
        let started: Vec<_> = {
            let mut watches = locked(&self.watches);
            kinds.iter().map(|kind| self.started(&mut watches, kind)).collect()
        };
        for watch in started {
            watch.listed(patience).await?;
        }
        Ok(())
    }

    /// Watches a kind if it is not watched yet, without waiting for anything.
    pub fn also_watch(&self, kind: &ApiResource) {
        self.started(&mut locked(&self.watches), kind);
    }

    /// For how long some watch has had nothing but errors, and its last one; `None` while all are well.
    #[must_use]
    pub fn trouble(&self) -> Option<(Duration, WatchError)> {
        locked(&self.watches).values().filter_map(Watch::trouble).max_by_key(|(lasting, _)| *lasting)
    }

    /// Ends all watches.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    fn started(&self, watches: &mut HashMap<Kind, Watch>, kind: &ApiResource) -> Watch {
        let key = (kind.group.clone(), kind.version.clone(), kind.kind.clone());
        let start = || Watch::start(self.client.clone(), kind.clone(), Arc::clone(&self.rooms), self.stop.clone());
        watches.entry(key).or_insert_with(start).clone()
    }
}

impl Subscription {
    /// The next change; `None` only when the hub is gone.
    pub async fn next(&mut self) -> Option<Change> {
        self.changes.recv().await
    }

    /// A change that is already there.
    pub fn ready(&mut self) -> Option<Change> {
        self.changes.try_recv().ok()
    }

    /// The last state of every object of the namespace that is watched, by kind and name.
    #[must_use]
    pub fn objects(&self) -> Vec<Arc<serde_json::Value>> {
        self.rooms.objects(&self.namespace)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.rooms.close(&self.namespace);
    }
}

/// A panic elsewhere leaves plain data behind: it can be used.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
