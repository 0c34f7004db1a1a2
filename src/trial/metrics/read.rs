//! Reads what queries come to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kube::Client;

use super::Values;
use super::absent::Absent;
use super::exposition::{self, Exposition, series};
use super::prometheus;
use super::proxy::Endpoint;
use crate::config::MetricsSource;
use crate::metric_selector::{Selector, filled, names_namespace};

/// The text format first: client libraries rename counters (`foo` to `foo_total`) where they are asked for OpenMetrics.
const ACCEPT: &str = "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.9,text/plain;version=0.0.4;q=0.8,\
    application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1";

/// When a program started, in seconds since 1970; client libraries of most languages serve it.
const STARTED: &str = "process_start_time_seconds";

/// Reads metrics of one cluster.
pub struct Meter {
    source: MetricsSource,
    endpoint: Endpoint,
}

/// A query about one namespace.
#[derive(Clone, Debug)]
pub(super) struct Query {
    /// The query with the namespace in it.
    pub(super) text: String,
    /// What it means without a Prometheus; why not if it is PromQL.
    pub(super) selector: Result<Selector, String>,
    /// Whether it is about that namespace alone: nothing of it was counted before there was one.
    pub(super) names_namespace: bool,
}

impl Query {
    pub(super) fn new(query: &str, namespace: &str) -> Self {
        Self {
            text: filled(query, namespace),
            selector: Selector::of_namespace(query, namespace),
            names_namespace: names_namespace(query),
        }
    }
}

/// What a query comes to now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The value of each series that it means, of each program for itself ([`pod_of`]).
    pub values: Values,
    /// Whether it is no counter: a gauge, or what PromQL computed.
    pub may_fall: bool,
    /// When each program that was asked started, in seconds since 1970, by its pod; 0 where it does not say.
    pub started: BTreeMap<String, f64>,
    /// Why it may not be all.
    pub doubt: Option<String>,
    /// With a Prometheus.
    pub scrape: Option<Scrape>,
}

/// How old a reading of a Prometheus is; seconds since 1970 by its clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scrape {
    /// When it was asked.
    pub asked: f64,
    /// When the metric was scraped last; of several targets, the one that waits longest. `None` if it never was.
    pub scraped: Option<f64>,
}

/// Why a metric can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    pub(super) message: String,
    /// Trying again changes nothing.
    pub(super) is_final: bool,
}

impl Unread {
    /// One that may pass.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_final: false }
    }

    /// One that stays.
    pub(super) fn lasting(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_final: true }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What one program serves; by its pod, if that is known.
struct Served {
    pod: String,
    exposition: Exposition,
}

impl Meter {
    /// One that reads from this source, through this API server.
    #[must_use]
    pub fn new(client: Client, source: MetricsSource) -> Self {
        let (MetricsSource::Service { service, .. } | MetricsSource::Prometheus(service)) = &source;
        Self { endpoint: Endpoint::new(client, service, matches!(source, MetricsSource::Prometheus(_))), source }
    }

    /// Where it reads.
    #[must_use]
    pub fn source(&self) -> &MetricsSource {
        &self.source
    }

    /// What each query comes to, in their order; a Service is asked once for all of them.
    pub(super) async fn read(&self, queries: &[&Query]) -> Vec<Result<Reading, Unread>> {
        if queries.is_empty() {
            return Vec::new();
        }
        match &self.source {
            MetricsSource::Service { path, .. } => match self.expose(path, queries).await {
                Ok(served) => queries.iter().map(|query| selected(query, &served)).collect(),
                Err(unread) => vec![Err(unread); queries.len()],
            },
            MetricsSource::Prometheus(_) => {
                let mut readings = Vec::with_capacity(queries.len());
                for query in queries {
                    readings.push(prometheus::read(&self.endpoint, query).await);
                }
                readings
            }
        }
    }

    /// What a query comes to.
    pub(super) async fn read_one(&self, query: &Query) -> Result<Reading, Unread> {
        self.read(&[query]).await.pop().unwrap_or_else(|| Err(Unread::new("nothing was read")))
    }

    /// What there is where a query comes to nothing.
    pub(super) async fn others(&self, query: &Query) -> Result<Absent, Unread> {
        match (&self.source, &query.selector) {
            (MetricsSource::Service { path, .. }, Ok(selector)) => {
                let served = self.expose(path, &[query]).await?;
                let samples: Vec<_> = served.iter().flat_map(|one| one.exposition.samples.clone()).collect();
                let names: BTreeSet<_> = served.iter().flat_map(|one| one.exposition.names.clone()).collect();
                let mut absent = Absent::same_metric(selector, &samples)
                    .unwrap_or_else(|| Absent::other_metrics(&selector.name, &names));
                if let Some(trouble) = served.iter().find_map(|one| one.exposition.trouble()) {
                    absent.there_are.push_str(&format!("; {trouble}"));
                }
                Ok(absent)
            }
            (MetricsSource::Prometheus(_), Ok(selector)) => prometheus::others(&self.endpoint, selector).await,
            (_, Err(_)) => Ok(Absent::default()),
        }
    }

    /// What the one program behind the Service serves, or each of those behind it.
    async fn expose(&self, path: &str, queries: &[&Query]) -> Result<Vec<Served>, Unread> {
        let names = queries.iter().filter_map(|query| query.selector.as_ref().ok());
        let mut wanted: BTreeSet<_> = names.map(|selector| selector.name.as_str()).collect();
        wanted.insert(STARTED);
        let pods = self.endpoint.pods().await?;
        if pods.len() < 2 {
            let pod = pods.into_iter().next().map(|(pod, _)| pod).unwrap_or_default();
            let exposition = expose(&self.endpoint, path, &wanted).await?;
            return Ok(vec![Served { pod, exposition }]);
        }
        let mut served = Vec::with_capacity(pods.len());
        for (pod, endpoint) in pods {
            let exposition = expose(&endpoint, path, &wanted).await?;
            self.endpoint.learn(&endpoint);
            served.push(Served { pod, exposition });
        }
        Ok(served)
    }
}

async fn expose(endpoint: &Endpoint, path: &str, wanted: &BTreeSet<&str>) -> Result<Exposition, Unread> {
    let answer = endpoint.get(path, ACCEPT).await?;
    let exposition = exposition::parse_only(&answer.body, wanted);
    if !exposition.names.is_empty() {
        return Ok(exposition);
    }
    let (told, kind) = (endpoint.told(), answer.content_type);
    match exposition.trouble() {
        Some(trouble) => Err(Unread::lasting(format!("{told} serves no metrics at {path} (`{kind}`): {trouble}"))),
        // It may not have begun yet.
        None => Err(Unread::new(format!("{told} serves no metrics at {path}: there is not a single one"))),
    }
}

/// A series as [`Values`] have it: behind the pod whose program serves it, if that is known. It is never shown.
fn key(pod: &str, series: String) -> String {
    if pod.is_empty() { series } else { format!("{pod}\0{series}") }
}

/// The pod of a key of [`Values`]; empty if it is not known.
pub(super) fn pod_of(key: &str) -> &str {
    // No pod's name holds a brace; a label of a series without a pod may hold anything.
    key.split_once('\0').map_or("", |(pod, _)| if pod.contains('{') { "" } else { pod })
}

/// What a query comes to; each program counts for itself, since each may start anew.
fn selected(query: &Query, served: &[Served]) -> Result<Reading, Unread> {
    let why = |why: &String| Unread::lasting(format!("`{}` {why}", query.text));
    let selector = query.selector.as_ref().map_err(why)?;
    let mut reading = Reading::default();
    for Served { pod, exposition } in served {
        for sample in exposition.samples.iter().filter(|sample| selector.is_met(&sample.name, &sample.labels)) {
            let mut labels = sample.labels.clone();
            labels.sort();
            reading.values.insert(key(pod, series(&sample.name, &labels)), sample.value);
        }
        let started = exposition.samples.iter().filter(|sample| sample.name == STARTED).map(|sample| sample.value);
        reading.started.insert(pod.clone(), started.fold(0.0, f64::max));
        reading.may_fall |= exposition.may_fall(&selector.name);
        if reading.doubt.is_none() {
            reading.doubt = exposition.doubt(&selector.name);
        }
    }
    Ok(reading)
}
