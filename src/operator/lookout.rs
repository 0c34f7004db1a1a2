//! Looks out for the operator from its first object to the end of the run: what is missing until it is ready, whether it can't become
//! so, which Secrets its pods have to be given anew, what they print, and whether they restart.

mod eye;
mod pods;

use std::collections::BTreeSet;
use std::time::Duration;

use kube::Client;
use kube::api::ApiResource;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::installed::Reference;
use super::ready::Expected;
use super::restarts::Restarts;
use crate::config::Graces;
use crate::evidence::Folder;
use crate::model::Cause;
use crate::trial::Change;
use crate::trial::hub::{Hub, resource};
use eye::Eye;

/// How long a kind may take to be listed for the first time.
const LISTING: Duration = Duration::from_secs(30);

/// How long an operator without readiness probes has to stay up before it counts as ready.
const STABLE: Duration = Duration::from_secs(2);

/// What is told to the eye.
enum Told {
    Change(Change),
    /// This has to be ready, from now on.
    Expect(Expected),
    /// It is ready: from now on only pods are watched.
    Settled,
    /// Nothing more is told.
    End,
}

/// What the eye sees.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// How often it was told what to expect.
    pub(super) told: u32,
    /// What is missing, each with its object.
    pub(super) missing: Vec<(Reference, String)>,
    /// What its pods wait for, in the judge's words.
    pub(super) waiting: Vec<String>,
    /// Whether its containers have readiness probes, all of them.
    pub(super) probed: bool,
    /// How often its containers have started anew or ended.
    pub(super) ends: i64,
    /// Why it can't become ready.
    pub(super) hopeless: Option<Cause>,
}

/// The watches, and the task that follows them. Ends when it is dropped.
pub(super) struct Lookout {
    client: Client,
    told: UnboundedSender<Told>,
    expected: u32,
    sight: watch::Receiver<Sight>,
    task: Option<JoinHandle<Eye>>,
    namespaces: BTreeSet<String>,
    /// Hubs that watch pods alone, to the end.
    lasting: Vec<Hub>,
    /// Hubs that watch the rest, until the operator is ready.
    passing: Vec<Hub>,
    /// Hands on what the hubs tell.
    forwarding: JoinSet<()>,
    restarts: Restarts,
}

impl Lookout {
    /// One that sees nothing yet; what it learns goes into `folder`.
    pub(super) fn new(client: Client, graces: &Graces, folder: &Folder) -> Self {
        let (told, changes) = unbounded_channel();
        let (sight, seen) = watch::channel(Sight::default());
        let restarts = Restarts::default();
        let eye = Eye::new(client.clone(), graces, folder.clone(), restarts.clone(), sight);
        let task = Some(tokio::spawn(eye.watch(changes)));
        let (namespaces, forwarding) = (BTreeSet::new(), JoinSet::new());
        let (lasting, passing) = (Vec::new(), Vec::new());
        Self { client, told, expected: 0, sight: seen, task, namespaces, lasting, passing, forwarding, restarts }
    }

    /// Watches these namespaces too, whether they exist or not.
    pub(super) async fn join(&mut self, namespaces: &BTreeSet<String>) -> Result<(), Box<Cause>> {
        let new: Vec<_> = namespaces.difference(&self.namespaces).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let (lasting, passing) = (Hub::new(self.client.clone()), Hub::new(self.client.clone()));
        for namespace in &new {
            self.forward(&lasting, namespace);
            self.forward(&passing, namespace);
        }
        self.namespaces.extend(new);
        // Without Secrets the operator only takes longer.
        passing.also_watch(&resource(("", "v1", "Secret", "secrets")));
        let (pods, others) = ([resource(("", "v1", "Pod", "pods"))], others());
        let listed = tokio::try_join!(passing.watch(&others, LISTING), lasting.watch(&pods, LISTING));
        self.lasting.push(lasting);
        self.passing.push(passing);
        listed.map(|_| ()).map_err(|error| Box::new(error.cause()))
    }

    fn forward(&mut self, hub: &Hub, namespace: &str) {
        let (mut changes, told) = (hub.join(namespace), self.told.clone());
        self.forwarding.spawn(async move {
            while let Some(change) = changes.next().await {
                if told.send(Told::Change(change)).is_err() {
                    return;
                }
            }
        });
    }

    /// What has to be ready.
    pub(super) fn expect(&mut self, expected: Expected) {
        self.expected += 1;
        // The task ends only when this does, or panics.
        let _ = self.told.send(Told::Expect(expected));
    }

    /// Waits until it is certain that the operator can't become ready.
    pub(super) async fn hopeless(&self) -> Cause {
        let mut sight = self.sight.clone();
        match sight.wait_for(|sight| sight.hopeless.is_some()).await {
            Ok(seen) => seen.hopeless.clone(),
            Err(_) => None,
        }
        .unwrap_or_else(|| {
            Cause::new(crate::model::CauseClass::Internal, "Panic", "the watch of the operator has ended")
        })
    }

    /// Waits until nothing is missing.
    pub(super) async fn complete(&self) {
        let mut sight = self.sight.clone();
        if sight.wait_for(|sight| self.is_complete(sight)).await.is_err() {
            // The task is gone, and `hopeless` says so.
            std::future::pending::<()>().await;
        }
    }

    /// Whether it stays complete for a moment, without a container that ends. Where probes say what is ready there is no need to wait.
    pub(super) async fn stays(&self) -> bool {
        let mut sight = self.sight.clone();
        let first = sight.borrow_and_update().clone();
        if first.probed {
            return true;
        }
        let is_over = |now: &Sight| !self.is_complete(now) || now.ends != first.ends;
        tokio::time::timeout(STABLE, sight.wait_for(is_over)).await.is_err()
    }

    fn is_complete(&self, sight: &Sight) -> bool {
        sight.told >= self.expected && sight.missing.is_empty()
    }

    /// What is seen now.
    pub(super) fn sight(&self) -> Sight {
        self.sight.borrow().clone()
    }

    /// What its pods do from the moment at which it is ready.
    pub(super) fn restarts(&self) -> Restarts {
        self.restarts.clone()
    }

    /// It is ready.
    pub(super) fn settle(&mut self) {
        let _ = self.told.send(Told::Settled);
        self.passing.drain(..).for_each(|hub| hub.stop());
    }

    /// The end: brings logs, events and objects to disk, in about so long.
    pub(super) async fn finish(mut self, patience: Duration) {
        let _ = self.told.send(Told::End);
        self.lasting.drain(..).chain(self.passing.drain(..)).for_each(|hub| hub.stop());
        let Some(task) = self.task.take() else { return };
        match tokio::time::timeout(patience, task).await {
            Ok(Ok(eye)) => eye.close(patience).await,
            Ok(Err(error)) => tracing::warn!("the evidence of the operator is missing: {error}"),
            Err(_) => tracing::warn!("the evidence of the operator could not be gathered in time"),
        }
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.lasting.iter().chain(&self.passing).for_each(Hub::stop);
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// What shows whether an operator is ready, besides its pods.
fn others() -> [ApiResource; 8] {
    const WEBHOOKS: &str = "admissionregistration.k8s.io";
    [
        resource(("", "v1", "Event", "events")),
        resource(("apps", "v1", "Deployment", "deployments")),
        resource(("apps", "v1", "ReplicaSet", "replicasets")),
        resource(("apps", "v1", "StatefulSet", "statefulsets")),
        resource(("apps", "v1", "DaemonSet", "daemonsets")),
        resource(("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")),
        resource((WEBHOOKS, "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations")),
        resource((WEBHOOKS, "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations")),
    ]
}
