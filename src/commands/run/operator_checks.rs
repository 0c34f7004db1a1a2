//! Run-wide checks: what the config expects of the operator over all cells of a cluster, and that its pods stayed up, which is always
//! expected of one that this program deployed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::AsyncBufReadExt;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, LogParams};
use serde_json::Value as Json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Check;
use crate::model::ExampleId;
use crate::operator::{Operator, Reference};
use crate::report::{CheckResult, Row};
use crate::trial::apply::request::{Objects, text};
use crate::trial::attempt::World;
use crate::trial::checks::{self, Checks, Facts, LogScan, Metering, RunContext};
use crate::trial::hub::resource;
use crate::trial::metrics::Before;

/// How long one program may take.
const PROGRAM: Duration = Duration::from_secs(300);
/// How long events, objects and logs may take to be read.
const READING: Duration = Duration::from_secs(60);
/// Most containers whose logs are read, and most bytes of each.
const LOGS: usize = 32;
const LOG_BYTES: usize = 16 << 20;
/// How long what examples leave may take to be deleted, which may still be counted.
const LEAVING: Duration = Duration::from_secs(30);

/// How often each container of a pod had restarted; by the pod's UID, with its name.
type Pods = BTreeMap<String, (String, BTreeMap<String, i32>)>;

/// The state before the first cell.
pub(super) struct OperatorChecks<'w, 'a> {
    world: &'w World<'a>,
    /// What the operator consists of, as far as it is known.
    workloads: Vec<Reference>,
    before: Before,
    /// The operator's pods then, if checks are about their logs.
    pods: Option<Pods>,
    /// The events that there were, if checks are about them; why they are not known.
    events: Result<BTreeSet<String>, String>,
    began: Instant,
}

impl<'w, 'a> OperatorChecks<'w, 'a> {
    /// Takes note of how things stand before the first cell.
    pub(super) async fn begin(world: &'w World<'a>, operator: Option<&Operator>, cancel: &CancellationToken) -> Self {
        let named = world.config.operator_ready.deployments.iter().filter_map(|named| deployment(named));
        let mut workloads: Vec<_> = named.collect();
        workloads.extend(operator.iter().flat_map(|operator| operator.installed().workloads()).cloned());
        let mut begun = Self {
            world,
            workloads,
            before: Before::default(),
            pods: None,
            events: Ok(BTreeSet::new()),
            began: Instant::now(),
        };
        let before = async {
            let metrics = async {
                match &world.meter {
                    Some(meter) => Before::read(meter, &world.config.checks, "").await,
                    None => Before::default(),
                }
            };
            let pods = async {
                let pods = if begun.reads_logs() { in_time(begun.pods()).await.ok()?.ok()? } else { return None };
                Some(pods.iter().map(|(_, pod)| counted(pod)).collect::<Pods>())
            };
            let (metrics, pods) = tokio::join!(metrics, pods);
            // Last, since metrics may be waited for, and what happens until then is not the examples'.
            let events = if begun.reads_events() { begun.all_events().await } else { Ok(Vec::new()) };
            (metrics, pods, events.map(|events| events.iter().map(version).collect::<BTreeSet<_>>()))
        };
        let before = tokio::select! {
            before = before => Some(before),
            () = cancel.cancelled() => None,
        };
        if let Some((before, pods, events)) = before {
            (begun.before, begun.pods, begun.events) = (before, pods, events);
        }
        begun.began = Instant::now();
        begun
    }

    /// What became of them, after the last cell, whose rows these are; what was not decided at the deadline nobody can tell. Nothing can
    /// be said of a run that was cancelled.
    pub(super) async fn end(
        &self,
        kubernetes: &str,
        rows: &[Row],
        deadline: Option<Instant>,
        cancel: &CancellationToken,
    ) -> Vec<CheckResult> {
        if cancel.is_cancelled() {
            return Vec::new();
        }
        let mut results: Vec<_> = self.restarts().into_iter().collect();
        if !self.world.config.checks.is_empty() {
            let over = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let (incomplete, mut decided) = (incomplete(rows), Vec::new());
            let why = tokio::select! {
                biased;
                end = self.configured(kubernetes, incomplete.as_deref(), cancel, &mut decided) => end.err(),
                () = cancel.cancelled() => Some("the run was cancelled".to_owned()),
                () = over => Some("the deadline of the run came before it could be decided".to_owned()),
            };
            results.extend(completed(decided, &self.world.config.checks, &why.unwrap_or_default()));
        }
        results.into_iter().map(|result| self.world.redacted_check(result)).collect()
    }

    /// Whether the pods of an operator of ours stayed up.
    fn restarts(&self) -> Option<CheckResult> {
        let cause = self.world.operator.as_ref()?.since(self.began);
        let (outcome, message) = match cause {
            Some(cause) => ("failed", cause.message),
            None => ("passed", "the operator's pods stayed up".to_owned()),
        };
        Some(CheckResult { check: "restarts".to_owned(), outcome: outcome.to_owned(), message, value: None })
    }

    /// Evaluates the checks of the config, and hands out each result once it is decided.
    ///
    /// # Errors
    /// Why none could be.
    async fn configured(
        &self,
        kubernetes: &str,
        incomplete: Option<&str>,
        cancel: &CancellationToken,
        decided: &mut Vec<CheckResult>,
    ) -> Result<(), String> {
        let world = self.world;
        // What stays longer than that is counted or not.
        let _ = tokio::time::timeout(LEAVING, world.janitor.idle()).await;
        let checks = Checks::new(&world.config.checks).map_err(|error| error.to_string())?;
        let folder = world.evidence.other(&format!("{kubernetes}/run-wide"));
        folder.create().map_err(|error| error.to_string())?;
        let asks = |wanted: fn(&Check) -> bool| world.config.checks.iter().any(wanted);
        let logs_lost =
            if self.reads_logs() { in_time(self.scan_logs(&checks.scan())).await.unwrap_or_else(Some) } else { None };
        let events = if self.reads_events() { self.events().await } else { Ok(Vec::new()) };
        let (events, events_lost) = match events {
            Ok(events) => (events, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        let object = if asks(|check| matches!(check, Check::Cel(_))) { self.object().await } else { None };
        let facts = Facts {
            object: object.as_ref(),
            events: &events,
            logs_lost: logs_lost.as_deref(),
            incomplete,
            ..Facts::default()
        };
        let redact = |text: &str| world.redactor.text(text).into_owned();
        let namespace = self.namespaces().first().map_or("default", |namespace| *namespace).to_owned();
        let context = RunContext {
            example: &ExampleId::new(""),
            path: world.root,
            root: world.root,
            namespace: &namespace,
            kubeconfig: &world.cluster.kubeconfig,
            evidence: folder.path(),
            scratch: world.scratch,
            environment: world.environment,
            metrics: world.meter.as_ref().map(|meter| Metering { meter, before: &self.before }),
            timeout: PROGRAM,
            cancel,
            redact: &redact,
        };
        let mut all = world.config.checks.iter();
        let keep = |result| match (all.next(), &events_lost) {
            (Some(check @ Check::Event { .. }), Some(why)) => decided.push(undecided(check, why)),
            _ => decided.push(result),
        };
        checks.evaluate_each(&facts, &context, keep).await;
        Ok(())
    }

    fn namespaces(&self) -> BTreeSet<&str> {
        self.workloads.iter().filter_map(|workload| workload.namespace.as_deref()).collect()
    }

    /// The last state of what the operator mainly is.
    async fn object(&self) -> Option<Json> {
        let workload = self.workloads.first()?;
        let plural = format!("{}s", workload.kind.to_lowercase());
        let kind = resource(("apps", "v1", &workload.kind, &plural));
        let objects = Objects::new(&self.world.cluster.client, &kind, workload.namespace.as_deref());
        in_time(objects.get(&workload.name)).await.ok()?.ok()
    }

    /// The events of the operator's namespaces since the first cell began: those that were not there then, or not as they are now. No
    /// clock is asked: that of the cluster is another one.
    async fn events(&self) -> Result<Vec<Arc<Json>>, String> {
        let before = self.events.as_ref().map_err(|why| format!("before the first example: {why}"))?;
        let all = self.all_events().await?;
        Ok(all.into_iter().filter(|event| !before.contains(&version(event))).map(Arc::new).collect())
    }

    /// All events of the operator's namespaces.
    async fn all_events(&self) -> Result<Vec<Json>, String> {
        let mut events = Vec::new();
        for namespace in self.namespaces() {
            let objects = Objects::core(&self.world.cluster.client, "events", Some(namespace));
            let found = in_time(objects.list(&ListParams::default())).await?;
            let found = found.map_err(|error| format!("the events of {namespace} can't be read: {error}"))?;
            events.extend(found);
        }
        Ok(events)
    }

    fn reads_events(&self) -> bool {
        self.world.config.checks.iter().any(|check| matches!(check, Check::Event { .. }))
    }

    fn reads_logs(&self) -> bool {
        self.world.config.checks.iter().any(|check| matches!(check, Check::Logs { .. } | Check::Value { .. }))
    }

    /// The pods of the operator's namespaces, each with what asks for its logs.
    async fn pods(&self) -> Result<Vec<(Api<Pod>, Pod)>, String> {
        let mut all = Vec::new();
        for namespace in self.namespaces() {
            let pods: Api<Pod> = Api::namespaced(self.world.cluster.client.clone(), namespace);
            let found = pods.list(&ListParams::default()).await;
            let found = found.map_err(|error| format!("the pods of {namespace} can't be listed: {error}"))?;
            all.extend(found.into_iter().map(|pod| (pods.clone(), pod)));
        }
        Ok(all)
    }

    /// Lets checks see what the operator's containers have printed since then; returns what of it is lost.
    async fn scan_logs(&self, scan: &LogScan) -> Option<String> {
        let pods = match self.pods().await {
            Ok(pods) => pods,
            Err(why) => return Some(why),
        };
        let now: Pods = pods.iter().map(|(_, pod)| counted(pod)).collect();
        let mut lost = gone(self.pods.as_ref(), &now);
        let mut read = 0;
        for (api, pod) in &pods {
            let (uid, (name, restarts)) = counted(pod);
            let earlier = self.pods.as_ref().and_then(|pods| pods.get(&uid)).map(|(_, restarts)| restarts);
            let spec = pod.spec.iter();
            let containers = spec.flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
            for container in containers.map(|container| container.name.as_str()) {
                if read == LOGS {
                    return Some(format!("there are more than {LOGS} containers"));
                }
                read += 1;
                let count = |restarts: &BTreeMap<String, i32>| restarts.get(container).copied().unwrap_or(0);
                let (restarts, earlier) = (count(&restarts), earlier.map_or(0, count));
                // Of all earlier runs the kubelet keeps the last one.
                if restarts > 0 {
                    let why = self.lines(api, &name, container, true, scan).await.err();
                    lost = lost.or_else(|| why.filter(|_| restarts > earlier));
                }
                let why = self.lines(api, &name, container, false, scan).await.err();
                lost = lost.or(why);
            }
        }
        lost
    }

    async fn lines(
        &self,
        pods: &Api<Pod>,
        pod: &str,
        container: &str,
        previous: bool,
        scan: &LogScan,
    ) -> Result<(), String> {
        let parameters = LogParams {
            container: Some(container.to_owned()),
            // By the node's own clock. It counts whole seconds.
            since_seconds: i64::try_from(self.began.elapsed().as_secs() + 1).ok(),
            limit_bytes: i64::try_from(LOG_BYTES).ok(),
            previous,
            ..LogParams::default()
        };
        let unread = |error: String| format!("the log of Pod/{pod}, container {container}, can't be read: {error}");
        let log = pods.log_stream(pod, &parameters).await.map_err(|error| unread(error.to_string()))?;
        let (mut log, mut line, mut bytes) = (std::pin::pin!(log), Vec::new(), 0);
        while log.read_until(b'\n', &mut line).await.map_err(|error| unread(error.to_string()))? > 0 {
            bytes += line.len();
            scan.line(pod, container, String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
            line.clear();
        }
        if bytes < LOG_BYTES {
            return Ok(());
        }
        Err(format!("Pod/{pod}, container {container}, logged more than {} MiB", LOG_BYTES >> 20))
    }
}

/// An event as it is remembered: one that happens again is written anew.
fn version(event: &Json) -> String {
    format!("{}@{}", text(event, "/metadata/uid"), text(event, "/metadata/resourceVersion"))
}

/// What was decided, which are the first of the checks, and the others, of which nobody can tell.
fn completed(mut decided: Vec<CheckResult>, checks: &[Check], why: &str) -> Vec<CheckResult> {
    let rest = checks.iter().skip(decided.len());
    decided.extend(rest.map(|check| undecided(check, why)));
    decided
}

/// A check of which nobody can tell.
fn undecided(check: &Check, why: &str) -> CheckResult {
    CheckResult {
        check: checks::kind(check).to_owned(),
        outcome: "inconclusive".to_owned(),
        message: why.to_owned(),
        value: None,
    }
}

/// A pod as it is remembered.
fn counted(pod: &Pod) -> (String, (String, BTreeMap<String, i32>)) {
    let statuses = pod.status.iter().flat_map(|status| {
        status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
    });
    let restarts = statuses.map(|status| (status.name.clone(), status.restart_count)).collect();
    let [uid, name] = [&pod.metadata.uid, &pod.metadata.name].map(|text| text.clone().unwrap_or_default());
    (uid, (name, restarts))
}

/// Whose logs are gone: pods that are there no more, and runs of containers before the last two.
fn gone(before: Option<&Pods>, now: &Pods) -> Option<String> {
    let Some(before) = before else {
        return Some("the operator's pods were not known before the first example".to_owned());
    };
    before.iter().find_map(|(uid, (name, restarts))| {
        let Some((_, later)) = now.get(uid) else { return Some(format!("Pod/{name} is there no more")) };
        let again = later.iter().find(|(container, count)| **count > restarts.get(*container).unwrap_or(&0) + 1)?;
        Some(format!("container {} of Pod/{name} restarted more than once", again.0))
    })
}

/// Why less happened than was planned.
fn incomplete(rows: &[Row]) -> Option<String> {
    let tried = rows.iter().filter(|row| !row.attempts.is_empty()).count();
    (tried == 0 || tried < rows.len())
        .then(|| format!("{} of {} examples were not tried", rows.len() - tried, rows.len()))
}

async fn in_time<T>(reading: impl Future<Output = T>) -> Result<T, String> {
    let late = |_| format!("no answer within {} s", READING.as_secs());
    tokio::time::timeout(READING, reading).await.map_err(late)
}

/// The Deployment that `namespace/name` means.
fn deployment(named: &str) -> Option<Reference> {
    let (namespace, name) = named.split_once('/')?;
    Some(Reference {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods(pods: &[(&str, i32)]) -> Pods {
        let restarts = |count| BTreeMap::from([("manager".to_owned(), count)]);
        pods.iter().map(|(uid, count)| ((*uid).to_owned(), (format!("op-{uid}"), restarts(*count)))).collect()
    }

    #[test]
    fn what_was_decided_when_the_deadline_came_is_kept() {
        let checks = ["true", "false", "1 == 1"].map(|text| Check::Cel(text.to_owned()));
        let failed = CheckResult { outcome: "failed".to_owned(), ..undecided(&checks[0], "it is false") };
        let all = completed(vec![failed], &checks, "too late");
        let told: Vec<_> = all.iter().map(|result| (result.outcome.as_str(), result.message.as_str())).collect();
        let late = ("inconclusive", "too late");
        assert_eq!(told, [("failed", "it is false"), late, late]);
    }

    #[test]
    fn an_event_that_happens_again_is_another_one() {
        let event = |uid: &str, version: u32| serde_json::json!({"metadata": {"uid": uid, "resourceVersion": version.to_string()}});
        assert_eq!(version(&event("a", 1)), version(&event("a", 1)));
        assert_ne!(version(&event("a", 1)), version(&event("a", 2)));
        assert_ne!(version(&event("a", 1)), version(&event("b", 1)));
    }

    #[test]
    fn logs_of_pods_that_were_replaced_and_of_earlier_runs_are_gone() {
        let before = pods(&[("a", 1)]);
        assert_eq!(gone(Some(&before), &pods(&[("a", 1)])), None);
        assert_eq!(gone(Some(&before), &pods(&[("a", 2), ("b", 5)])), None, "the run before is kept");
        assert_eq!(
            gone(Some(&before), &pods(&[("a", 3)])).unwrap(),
            "container manager of Pod/op-a restarted more than once"
        );
        assert_eq!(gone(Some(&before), &pods(&[("b", 0)])).unwrap(), "Pod/op-a is there no more");
        assert!(gone(None, &before).is_some());
    }
}
