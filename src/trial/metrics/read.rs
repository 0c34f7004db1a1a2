//! Reads what queries come to.

use std::collections::BTreeSet;
use std::fmt;

use kube::Client;

use super::Values;
use super::absent::Absent;
use super::exposition::{self, Exposition, series};
use super::prometheus;
use super::proxy::Endpoint;
use crate::config::MetricsSource;
use crate::metric_selector::Selector;

/// Both formats, the newer one first, as Prometheus asks for them.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// Reads metrics of one cluster.
pub struct Meter {
    source: MetricsSource,
    endpoint: Endpoint,
}

/// What a query comes to now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The value of each series that it means.
    pub values: Values,
    /// Whether it is said to be a gauge, which may go down.
    pub is_gauge: bool,
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

impl Meter {
    /// One that reads from this source, through this API server.
    #[must_use]
    pub fn new(client: Client, source: MetricsSource) -> Self {
        let (MetricsSource::Service { service, .. } | MetricsSource::Prometheus(service)) = &source;
        Self { endpoint: Endpoint::new(client, service), source }
    }

    /// Where it reads.
    #[must_use]
    pub fn source(&self) -> &MetricsSource {
        &self.source
    }

    /// What each query comes to, in their order; a Service is asked once for all of them.
    pub(super) async fn read(&self, queries: &[String]) -> Vec<Result<Reading, Unread>> {
        if queries.is_empty() {
            return Vec::new();
        }
        match &self.source {
            MetricsSource::Service { path, .. } => match self.expose(path).await {
                Ok(exposition) => queries.iter().map(|query| selected(query, &exposition)).collect(),
                Err(unread) => vec![Err(unread); queries.len()],
            },
            MetricsSource::Prometheus(_) => {
                let mut readings = Vec::with_capacity(queries.len());
                for query in queries {
                    let values = prometheus::query(&self.endpoint, query).await;
                    readings.push(values.map(|values| Reading { values, is_gauge: false }));
                }
                readings
            }
        }
    }

    /// What a query comes to.
    pub(super) async fn read_one(&self, query: &str) -> Result<Reading, Unread> {
        let nothing = || Err(Unread::new("nothing was read"));
        self.read(std::slice::from_ref(&query.to_owned())).await.pop().unwrap_or_else(nothing)
    }

    /// What there is where a query comes to nothing.
    pub(super) async fn others(&self, query: &str) -> Result<Absent, Unread> {
        match (&self.source, Selector::parse(query)) {
            (MetricsSource::Service { path, .. }, Ok(selector)) => {
                let exposition = self.expose(path).await?;
                let names: BTreeSet<_> = exposition.samples.iter().map(|sample| sample.name.as_str()).collect();
                let mut absent = Absent::same_metric(&selector, &exposition.samples)
                    .unwrap_or_else(|| Absent::other_metrics(&selector.name, &names));
                if let Some(trouble) = exposition.trouble() {
                    absent.there_are.push_str(&format!("; {trouble}"));
                }
                Ok(absent)
            }
            (MetricsSource::Prometheus(_), Ok(selector)) => prometheus::others(&self.endpoint, &selector).await,
            (_, Err(_)) => Ok(Absent::default()),
        }
    }

    async fn expose(&self, path: &str) -> Result<Exposition, Unread> {
        let answer = self.endpoint.get(path, ACCEPT).await?;
        let exposition = exposition::parse(&answer.body);
        match exposition.trouble() {
            Some(trouble) if exposition.samples.is_empty() => {
                let (told, kind) = (self.endpoint.told(), answer.content_type);
                Err(Unread::lasting(format!("{told} serves no metrics at {path} (`{kind}`): {trouble}")))
            }
            _ => Ok(exposition),
        }
    }
}

fn selected(query: &str, exposition: &Exposition) -> Result<Reading, Unread> {
    let selector = Selector::parse(query).map_err(|why| Unread::lasting(format!("`{query}` {why}")))?;
    let meant = exposition.samples.iter().filter(|sample| selector.is_met(&sample.name, &sample.labels));
    let values = meant.map(|sample| {
        let mut labels = sample.labels.clone();
        labels.sort();
        (series(&sample.name, &labels), sample.value)
    });
    Ok(Reading { values: values.collect(), is_gauge: exposition.is_gauge(&selector.name) })
}
