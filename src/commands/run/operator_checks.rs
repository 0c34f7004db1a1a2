//! Run-wide checks: what the config expects of the operator over all cells of a cluster, and that its pods stayed up, which is always
//! expected of one that this program deployed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::AsyncBufReadExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, LogParams};
use serde_json::Value as Json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Check;
use crate::model::ExampleId;
use crate::operator::{Operator, Reference};
use crate::report::CheckResult;
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
const LOG_BYTES: i64 = 16 << 20;

/// The state before the first cell.
pub(super) struct OperatorChecks<'w, 'a> {
    world: &'w World<'a>,
    /// What the operator consists of, as far as it is known.
    workloads: Vec<Reference>,
    before: Before,
    began: Instant,
    at: Timestamp,
}

impl<'w, 'a> OperatorChecks<'w, 'a> {
    /// Takes note of how things stand before the first cell.
    pub(super) async fn begin(world: &'w World<'a>, operator: Option<&Operator>, cancel: &CancellationToken) -> Self {
        let before = async {
            match &world.meter {
                Some(meter) => Before::read(meter, &world.config.checks, "").await,
                None => Before::default(),
            }
        };
        let before = tokio::select! {
            before = before => before,
            () = cancel.cancelled() => Before::default(),
        };
        let named = world.config.operator_ready.deployments.iter().filter_map(|named| deployment(named));
        let mut workloads: Vec<_> = named.collect();
        workloads.extend(operator.iter().flat_map(|operator| operator.installed().workloads()).cloned());
        Self { world, workloads, before, began: Instant::now(), at: Timestamp::now() }
    }

    /// What became of them, after the last cell. Nothing can be said of a run that was cancelled.
    pub(super) async fn end(&self, kubernetes: &str, cancel: &CancellationToken) -> Vec<CheckResult> {
        if cancel.is_cancelled() {
            return Vec::new();
        }
        let mut results: Vec<_> = self.restarts().into_iter().collect();
        if !self.world.config.checks.is_empty() {
            results.extend(self.configured(kubernetes, cancel).await);
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

    async fn configured(&self, kubernetes: &str, cancel: &CancellationToken) -> Vec<CheckResult> {
        let world = self.world;
        let checks = match Checks::new(&world.config.checks) {
            Ok(checks) => checks,
            Err(error) => return self.undecided(&error.to_string()),
        };
        let folder = world.evidence.other(&format!("{kubernetes}/run-wide"));
        if let Err(error) = folder.create() {
            return self.undecided(&error.to_string());
        }
        let asks = |wanted: fn(&Check) -> bool| world.config.checks.iter().any(wanted);
        let logs_lost = if asks(|check| matches!(check, Check::Logs { .. } | Check::Value { .. })) {
            in_time(self.scan_logs(&checks.scan())).await.and_then(|read| read).err()
        } else {
            None
        };
        let events =
            if asks(|check| matches!(check, Check::Event { .. })) { self.events().await } else { Ok(Vec::new()) };
        let events = match events {
            Ok(events) => events,
            Err(why) => return self.undecided(&why),
        };
        let object = if asks(|check| matches!(check, Check::Cel(_))) { self.object().await } else { None };
        let facts =
            Facts { object: object.as_ref(), events: &events, logs_lost: logs_lost.as_deref(), ..Facts::default() };
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
        checks.evaluate(&facts, &context).await.0
    }

    /// All checks of the config, of which nobody can tell.
    fn undecided(&self, why: &str) -> Vec<CheckResult> {
        let checks = self.world.config.checks.iter();
        let result = |check: &Check| CheckResult {
            check: checks::kind(check).to_owned(),
            outcome: "inconclusive".to_owned(),
            message: why.to_owned(),
            value: None,
        };
        checks.map(result).collect()
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

    /// The events of the operator's namespaces since the first cell began.
    async fn events(&self) -> Result<Vec<Arc<Json>>, String> {
        let mut events = Vec::new();
        for namespace in self.namespaces() {
            let objects = Objects::core(&self.world.cluster.client, "events", Some(namespace));
            let found = in_time(objects.list(&ListParams::default())).await?;
            let found = found.map_err(|error| format!("the events of {namespace} can't be read: {error}"))?;
            events.extend(found.into_iter().filter(|event| self.is_recent(event)).map(Arc::new));
        }
        Ok(events)
    }

    /// Whether an event was seen since then. Times of events are to the second.
    fn is_recent(&self, event: &Json) -> bool {
        let fields = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
        let times = fields.into_iter().filter_map(|field| text(event, field).parse::<Timestamp>().ok());
        times.max().is_none_or(|at| at.as_second() >= self.at.as_second())
    }

    /// Lets checks see what the operator's containers have printed since then.
    async fn scan_logs(&self, scan: &LogScan) -> Result<(), String> {
        let mut read = 0;
        for namespace in self.namespaces() {
            let pods: Api<Pod> = Api::namespaced(self.world.cluster.client.clone(), namespace);
            let found = pods.list(&ListParams::default()).await;
            let found = found.map_err(|error| format!("the pods of {namespace} can't be listed: {error}"))?;
            for pod in found {
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                for container in pod.spec.iter().flat_map(|spec| &spec.containers) {
                    if read == LOGS {
                        return Err(format!("there are more than {LOGS} containers"));
                    }
                    read += 1;
                    let lines = self.lines(&pods, name, &container.name, scan).await;
                    lines.map_err(|why| format!("the log of Pod/{name} can't be read: {why}"))?;
                }
            }
        }
        Ok(())
    }

    async fn lines(&self, pods: &Api<Pod>, pod: &str, container: &str, scan: &LogScan) -> Result<(), String> {
        let parameters = LogParams {
            container: Some(container.to_owned()),
            since_time: Some(self.at),
            limit_bytes: Some(LOG_BYTES),
            ..LogParams::default()
        };
        let log = pods.log_stream(pod, &parameters).await.map_err(|error| error.to_string())?;
        let (mut log, mut line) = (std::pin::pin!(log), Vec::new());
        while log.read_until(b'\n', &mut line).await.map_err(|error| error.to_string())? > 0 {
            scan.line(pod, container, String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
            line.clear();
        }
        Ok(())
    }
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
