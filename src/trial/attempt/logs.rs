//! The logs of an attempt's pods, followed beside the judging: nothing that takes time here delays a verdict.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Api;
use kube::api::ListParams;
use serde_json::Value as Json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::evidence::{LogFollower, LogSummary, Redactor};
use crate::trial::Culprit;
use crate::trial::apply::{Limits, persist};

/// How long the Secrets of a namespace may take to be learnt before a log is followed all the same.
const SECRETS: Duration = Duration::from_secs(5);

/// Hands pods on to the follower of their logs.
pub struct LogDesk {
    open: Mutex<Option<Open>>,
    /// Why there may be pods that it was not told of, if there may.
    unseen: Mutex<Option<String>>,
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
        Self { open: Mutex::new(Some(Open { pods, task })), unseen: Mutex::default() }
    }

    /// Tells of a pod's state, until the desk is closed.
    pub fn pod(&self, pod: &Arc<Json>) {
        if let Some(open) = &*self.open.lock().unwrap_or_else(PoisonError::into_inner) {
            // The task ends when this desk is closed, or panics.
            let _ = open.pods.send(Arc::clone(pod));
        }
    }

    /// Looks at the pods once more: an object may be told of before its pods are, whose logs must not be lost. An API server in
    /// trouble is asked again within `patience`; what it does not tell by then makes the logs incomplete.
    pub async fn look(&self, pods: &Api<Pod>, patience: Duration) {
        let limits = Limits { transient: patience, lagging: Duration::ZERO };
        let listed = persist(limits, || async { pods.list(&ListParams::default()).await });
        let why = match tokio::time::timeout(patience, listed).await {
            Ok(Ok(pods)) => {
                for pod in pods.items.iter().filter_map(|pod| serde_json::to_value(pod).ok()) {
                    self.pod(&Arc::new(pod));
                }
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        *self.unseen.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("can't list the pods: {why}"));
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
        let unseen = self.unseen.lock().unwrap_or_else(PoisonError::into_inner).take();
        let cut = read.is_none().then(|| "there was no time to read the logs to their end".to_owned()).or(unseen);
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
    let limits = Limits { transient: SECRETS, lagging: Duration::ZERO };
    match persist(limits, || async { secrets.list(&ListParams::default()).await }).await {
        Ok(found) => found.iter().filter_map(|secret| serde_json::to_value(secret).ok()).for_each(|secret| {
            redactor.learn(&secret);
        }),
        Err(error) => tracing::debug!("can't list the Secrets of a namespace: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use kube::Client;
    use serde_json::json;
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::evidence::{Evidence, FollowContext, Limits as Sizes};

    const PODS: &str = "/api/v1/namespaces/ns/pods";

    /// A cluster with one pod that has ended, whose pods are listed only after so many errors.
    async fn cluster(errors: u64) -> MockServer {
        let server = MockServer::start().await;
        let answers = |at: &str, answer| Mock::given(method("GET")).and(path(at)).respond_with(answer);
        let trouble =
            json!({"kind": "Status", "status": "Failure", "message": "etcdserver: request timed out", "code": 500});
        answers(PODS, ResponseTemplate::new(500).set_body_json(trouble)).up_to_n_times(errors).mount(&server).await;
        let pod = json!({"metadata": {"name": "p", "uid": "u"}, "status": {"containerStatuses": [{"name": "main",
            "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 0}}}]}});
        let list = |items: Json| json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items});
        let at = "2026-01-01T00:00:00.000000000Z";
        answers(PODS, ResponseTemplate::new(200).set_body_json(list(json!([pod])))).mount(&server).await;
        answers("/api/v1/namespaces/ns/secrets", ResponseTemplate::new(200).set_body_json(list(json!([]))))
            .mount(&server)
            .await;
        let log = ResponseTemplate::new(200).set_body_string(format!("{at} accuracy=0.95\n"));
        answers(&format!("{PODS}/p/log"), log).mount(&server).await;
        server
    }

    /// What is read of it when nothing was told of the pod before.
    async fn read(errors: u64, patience: Duration) -> Logs {
        let server = cluster(errors).await;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap();
        let root = tempfile::tempdir().unwrap();
        let redactor = Redactor::new();
        let evidence = Evidence::new(root.path(), Sizes::default(), redactor.clone());
        let folder = evidence.attempt("v1.34.0", &crate::model::ExampleId::new("a.yaml"), 1);
        let follower = LogFollower::new(&FollowContext::new(client.clone(), 4), "ns", folder, None);
        let desk = LogDesk::open(Api::namespaced(client.clone(), "ns"), redactor, follower);
        desk.look(&Api::namespaced(client, "ns"), patience).await;
        let mut logs = desk.close(Duration::from_secs(10), std::future::pending()).await;
        for log in &mut logs.read {
            assert_eq!(log.tail(100).unwrap(), "accuracy=0.95\n");
        }
        logs
    }

    #[tokio::test]
    async fn pods_that_an_api_server_in_trouble_does_not_list_at_once_are_listed_again() {
        let logs = read(2, Duration::from_secs(30)).await;
        assert_eq!((logs.read.len(), logs.lost()), (1, None));
    }

    #[tokio::test]
    async fn pods_that_could_not_be_listed_make_the_logs_incomplete() {
        let logs = read(1_000, Duration::from_millis(300)).await;
        assert_eq!(logs.read.len(), 0);
        assert!(logs.lost().unwrap().starts_with("can't list the pods: "), "{:?}", logs.lost());
    }
}
