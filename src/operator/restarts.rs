//! Whether the operator stayed up: what its pods did since a moment. A cell that ends badly while they restart can't be judged.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;
use tokio::time::Instant;

use crate::model::{Cause, CauseClass};
use crate::trial::Change;
use crate::trial::apply::request::text;

/// What the operator's pods did, for whoever wants to know. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Restarts(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    /// Whether it counts yet: before the operator is ready, its pods may do as they like.
    counts: bool,
    happened: Vec<(Instant, Happened)>,
    pods: HashMap<String, Known>,
}

/// Something that the operator's pods must not do while cells run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Happened {
    /// Whether it is the end of a container or a pod; else it is a sign of one, or of a server that hangs.
    is_end: bool,
    pod: String,
    text: String,
}

/// What is known of a pod.
#[derive(Clone, Debug, Default)]
struct Known {
    restarts: HashMap<String, i64>,
    ready: bool,
    over: bool,
}

impl Restarts {
    /// Why what happened from `moment` on can't be laid to an example's charge: a pod of the operator ended, restarted or was not
    /// ready since then, or is not ready now. `None` if all of them were well.
    #[must_use]
    pub fn since(&self, moment: Instant) -> Option<Cause> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = || log.happened.iter().filter(|(at, _)| *at >= moment).map(|(_, happened)| happened);
        // Not ready now, and since before that moment.
        let down =
            || log.happened.iter().rev().map(|(_, happened)| happened).find(|happened| log.is_down(&happened.pod));
        let happened = recent().find(|happened| happened.is_end).or_else(|| recent().next()).or_else(down)?;
        let cause = Cause::new(
            CauseClass::Operator,
            "OperatorRestarted",
            format!("the operator was not up all the time: {}", happened.text),
        );
        let hint = "its logs and events are in the evidence of the operator".to_owned();
        Some(Cause { hint, object: format!("Pod/{}", happened.pod), ..cause })
    }

    /// From now on it counts what the pods do.
    pub(super) fn begin(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).counts = true;
    }

    /// Takes note of what became of a pod of the operator.
    pub(super) fn take(&self, at: Instant, change: &Change) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(at, change);
    }
}

impl Log {
    fn is_down(&self, pod: &str) -> bool {
        self.pods.iter().any(|(key, known)| key.ends_with(&format!("/{pod}")) && !known.ready && !known.over)
    }

    fn take(&mut self, at: Instant, change: &Change) {
        let pod = change.object();
        let name = text(pod, "/metadata/name").to_owned();
        let key = format!("{}/{name}", text(pod, "/metadata/uid"));
        let before = self.pods.get(&key).cloned();
        let is_gone = matches!(change, Change::Gone(_));
        let now = known(pod, is_gone);
        let news = before.map_or_else(Vec::new, |before| news(pod, &name, &before, &now, is_gone));
        if is_gone {
            self.pods.remove(&key);
        } else {
            self.pods.insert(key, now);
        }
        if self.counts {
            self.happened.extend(news.into_iter().map(|happened| (at, happened)));
        }
    }
}

fn known(pod: &Json, is_gone: bool) -> Known {
    let counts = statuses(pod).map(|status| {
        let count = status["restartCount"].as_i64().unwrap_or(0);
        (text(status, "/name").to_owned(), count)
    });
    let mut conditions = pod.pointer("/status/conditions").and_then(Json::as_array).into_iter().flatten();
    let is_going = pod.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null());
    Known {
        restarts: counts.collect(),
        ready: conditions.any(|found| text(found, "/type") == "Ready" && text(found, "/status") == "True"),
        over: is_gone || is_going || ["Failed", "Succeeded"].contains(&text(pod, "/status/phase")),
    }
}

fn statuses(pod: &Json) -> impl Iterator<Item = &Json> {
    ["/status/initContainerStatuses", "/status/containerStatuses"]
        .into_iter()
        .flat_map(|pointer| pod.pointer(pointer).and_then(Json::as_array).into_iter().flatten())
}

/// What happened between two states of a pod.
fn news(pod: &Json, name: &str, before: &Known, now: &Known, is_gone: bool) -> Vec<Happened> {
    let happened = |is_end, text: String| Happened { is_end, pod: name.to_owned(), text };
    let mut news = Vec::new();
    for status in statuses(pod) {
        let container = text(status, "/name");
        let (count, known) = (now.restarts.get(container).copied(), before.restarts.get(container).copied());
        if count > known && known.is_some() {
            let ended = [&status["lastState"]["terminated"], &status["state"]["terminated"]];
            let ended = ended.into_iter().find(|ended| ended.is_object());
            let how = ended.map_or(String::new(), |ended| {
                format!(" ({}, exit code {})", text(ended, "/reason"), ended["exitCode"])
            });
            news.push(happened(true, format!("container `{container}` of Pod/{name} restarted{how}")));
        }
    }
    if now.over && !before.over {
        let why = [text(pod, "/status/reason"), text(pod, "/status/message")].join(" ");
        let how = if is_gone || text(pod, "/status/phase") == "Running" { "was deleted" } else { "ended" };
        news.push(happened(true, format!("Pod/{name} {how} {why}").trim_end().to_owned()));
    } else if before.ready && !now.ready {
        news.push(happened(false, format!("Pod/{name} was not ready")));
    }
    news
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(restarts: i64, ready: &str, more: &Json) -> Change {
        let mut pod = json!({"kind": "Pod", "metadata": {"name": "op-1", "namespace": "a", "uid": "u"}, "status": {"phase": "Running",
            "conditions": [{"type": "Ready", "status": ready}], "containerStatuses": [{"name": "manager", "restartCount": restarts,
                "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]}});
        for (key, value) in more.as_object().unwrap() {
            pod["metadata"][key] = value.clone();
        }
        Change::Seen(pod.into())
    }

    fn told(changes: &[Change]) -> (Restarts, Instant) {
        let restarts = Restarts::default();
        let start = Instant::now();
        restarts.take(start, &pod(1, "True", &json!({})));
        restarts.begin();
        for change in changes {
            restarts.take(Instant::now(), change);
        }
        (restarts, start)
    }

    fn message(restarts: &Restarts, since: Instant) -> Option<String> {
        restarts
            .since(since)
            .map(|cause| cause.message.trim_start_matches("the operator was not up all the time: ").to_owned())
    }

    #[test]
    fn a_container_that_restarts_is_told_with_its_end() {
        let (restarts, start) = told(&[pod(1, "False", &json!({})), pod(2, "True", &json!({}))]);
        let expected = "container `manager` of Pod/op-1 restarted (OOMKilled, exit code 137)";
        assert_eq!(message(&restarts, start).as_deref(), Some(expected));
        let cause = restarts.since(start).unwrap();
        assert_eq!((cause.class, cause.object.as_str()), (CauseClass::Operator, "Pod/op-1"));
    }

    #[test]
    fn what_was_before_the_moment_and_is_well_again_does_not_count() {
        let (restarts, _) = told(&[pod(2, "True", &json!({}))]);
        assert_eq!(message(&restarts, Instant::now() + std::time::Duration::from_millis(1)), None);
        assert_eq!(message(&told(&[pod(1, "True", &json!({}))]).0, Instant::now()), None);
    }

    #[test]
    fn a_pod_that_is_not_ready_now_counts_whenever_it_began() {
        let (restarts, _) = told(&[pod(1, "False", &json!({}))]);
        let later = Instant::now() + std::time::Duration::from_millis(1);
        assert_eq!(message(&restarts, later).as_deref(), Some("Pod/op-1 was not ready"));
    }

    #[test]
    fn a_pod_that_is_replaced_is_told() {
        let (restarts, start) = told(&[pod(1, "True", &json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}))]);
        assert_eq!(message(&restarts, start).as_deref(), Some("Pod/op-1 was deleted"));
    }
}
