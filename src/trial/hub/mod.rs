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

/// A kind that every cluster serves, by its group, version, kind and plural.
pub(crate) fn resource((group, version, kind, plural): (&str, &str, &str, &str)) -> ApiResource {
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
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
        Cause { hint: hint.to_owned(), ..Cause::new(CauseClass::Cluster, "WatchFailed", self.to_string()) }
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

    /// For how long no watch has had anything but errors, and the last one; `None` while one is well. A single kind may fail for
    /// reasons of its own (a conversion webhook that is down), and one that we may not see always does.
    #[must_use]
    pub fn trouble(&self) -> Option<(Duration, WatchError)> {
        let watches = locked(&self.watches);
        let troubles: Option<Vec<_>> =
            watches.values().filter(|watch| !watch.is_refused()).map(Watch::trouble).collect();
        troubles?.into_iter().min_by_key(|(lasting, _)| *lasting)
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

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};
    use wiremock::matchers::{path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::trial::apply::tests::{client, status};

    const PATIENCE: Duration = Duration::from_secs(10);

    fn kind(kind: &str, plural: &str) -> ApiResource {
        ApiResource {
            group: String::new(),
            version: "v1".to_owned(),
            api_version: "v1".to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }

    async fn serve(server: &MockServer, plural: &str, code: u16, body: &Json) {
        let at = format!("/api/v1/{plural}");
        let quiet = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
        Mock::given(path(&at)).and(query_param("watch", "true")).respond_with(quiet).mount(server).await;
        Mock::given(path(&at)).respond_with(ResponseTemplate::new(code).set_body_json(body)).mount(server).await;
    }

    fn list() -> Json {
        json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []})
    }

    #[tokio::test]
    async fn a_kind_that_we_may_not_see_says_nothing_of_the_server() {
        let server = MockServer::start().await;
        serve(&server, "pods", 200, &list()).await;
        serve(&server, "nodes", 403, &status(403, "Forbidden", "nodes is forbidden")).await;
        let hub = Hub::new(client(&server));
        let refused = hub.watch(&[kind("Node", "nodes")], PATIENCE).await.unwrap_err();
        assert!(refused.refused, "{refused}");
        assert_eq!(hub.trouble(), None);
        hub.watch(&[kind("Pod", "pods")], PATIENCE).await.unwrap();
        assert_eq!(hub.trouble(), None);
        hub.stop();
    }

    #[tokio::test]
    async fn only_a_server_that_answers_nothing_is_in_trouble() {
        let server = MockServer::start().await;
        serve(&server, "pods", 200, &list()).await;
        serve(&server, "widgets", 500, &status(500, "InternalError", "conversion webhook for a.b/v1 failed")).await;
        let hub = Hub::new(client(&server));
        let patience = Duration::from_millis(400);
        let failed = hub.watch(&[kind("Widget", "widgets")], patience).await.unwrap_err();
        assert!(failed.message.contains("conversion webhook") && !failed.refused, "{failed}");
        // It lasts from one try to the next.
        assert!(hub.trouble().is_some_and(|(lasting, _)| lasting > patience / 2));
        hub.watch(&[kind("Pod", "pods")], PATIENCE).await.unwrap();
        assert_eq!(hub.trouble(), None);
        hub.stop();
    }
}
