//! The logs of an attempt's pods, followed beside the judging: nothing that takes time here delays a verdict.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use serde_json::Value as Json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::evidence::{LogFollower, LogSummary, Redactor};
use crate::trial::Culprit;

/// Hands pods on to the follower of their logs.
pub struct LogDesk {
    open: Mutex<Option<Open>>,
}

struct Open {
    pods: UnboundedSender<Arc<Json>>,
    task: JoinHandle<LogFollower>,
}

/// The logs of an attempt, on disk.
#[derive(Default)]
pub struct Logs {
    read: Vec<LogSummary>,
    /// Why there may be others, if there may.
    cut: Option<String>,
}

impl LogDesk {
    /// Opens it. Before the first log of a pod is followed, the Secrets of its namespace are learnt, so that the log is redacted from
    /// its first line on.
    pub fn open(secrets: Api<Secret>, redactor: Redactor, follower: LogFollower) -> Self {
        let (pods, receiver) = unbounded_channel();
        let task = tokio::spawn(follow(receiver, secrets, redactor, follower));
        Self { open: Mutex::new(Some(Open { pods, task })) }
    }

    /// Tells of a pod's state, until the desk is closed.
    pub fn pod(&self, pod: &Arc<Json>) {
        if let Some(open) = &*self.open.lock().unwrap_or_else(PoisonError::into_inner) {
            // The task ends when this desk is closed, or panics.
            let _ = open.pods.send(Arc::clone(pod));
        }
    }

    /// Waits until the logs of what has ended are whole, no longer than `patience` nor until `hurry` is over; what still runs
    /// is cut off.
    pub async fn close(&self, patience: Duration, hurry: impl Future<Output = ()>) -> Logs {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Open { pods, task }) = open else { return Logs::default() };
        drop(pods);
        let all = async {
            let follower = tokio::time::timeout(patience, task).await.ok()?.ok()?;
            Some(follower.finish(patience).await)
        };
        let read = tokio::select! {
            read = all => read,
            () = hurry => None,
        };
        let cut = read.is_none().then(|| "there was no time to read the logs to their end".to_owned());
        Logs { read: read.unwrap_or_default(), cut }
    }
}

impl Logs {
    /// The ends of the logs, the culprit's first, of at most `most` others.
    pub fn tails(&self, bytes: u64, most: usize, culprit: Option<&Culprit>) -> Vec<(Culprit, String)> {
        let is_culprit = |log: &&LogSummary| {
            culprit.is_some_and(|of| of.pod == log.pod && of.container == log.container && of.restart == log.restart)
        };
        let others = self.read.iter().filter(|log| !is_culprit(log)).take(most);
        self.read
            .iter()
            .filter(is_culprit)
            .chain(others)
            .filter_map(|log| {
                let of = Culprit { pod: log.pod.clone(), container: log.container.clone(), restart: log.restart };
                Some((of, log.tail(bytes).ok()?))
            })
            .collect()
    }

    /// Why they are not whole, if they are not.
    pub fn lost(&self) -> Option<String> {
        self.cut.clone().or_else(|| self.read.iter().find_map(|log| log.note.clone()))
    }
}

async fn follow(
    mut pods: UnboundedReceiver<Arc<Json>>,
    secrets: Api<Secret>,
    redactor: Redactor,
    follower: LogFollower,
) -> LogFollower {
    let mut known: HashSet<String> = HashSet::new();
    while let Some(pod) = pods.recv().await {
        let name = pod.pointer("/metadata/name").and_then(Json::as_str).unwrap_or_default();
        if known.insert(name.to_owned()) {
            learn(&secrets, &redactor).await;
        }
        follower.pod(&pod);
    }
    follower
}

async fn learn(secrets: &Api<Secret>, redactor: &Redactor) {
    match secrets.list(&ListParams::default()).await {
        Ok(found) => found.iter().filter_map(|secret| serde_json::to_value(secret).ok()).for_each(|secret| {
            redactor.learn(&secret);
        }),
        Err(error) => tracing::debug!("can't list the Secrets of a namespace: {error}"),
    }
}
