//! How the operator is deployed, when it is ready, and where its metrics are.

use std::collections::BTreeMap;

use super::super::place::Place;
use super::super::raw::{RawHelm, RawMetrics, RawOperatorReady, RawOperatorStep};
use super::super::{MetricsSource, OperatorReady, OperatorStep, forms};
use super::{path, paths, scalars, time};

/// Every step.
pub(super) fn steps(raw: Vec<RawOperatorStep>, at: &Place<'_>) -> Vec<OperatorStep> {
    at.items(raw).filter_map(|(at, step)| self::step(step, &at)).collect()
}

fn step(raw: RawOperatorStep, at: &Place<'_>) -> Option<OperatorStep> {
    let images = images(raw.images.unwrap_or_default(), &at.key("images"));
    match (raw.kustomize, raw.helm, raw.manifests) {
        (Some(folder), None, None) => {
            Some(OperatorStep::Kustomize { path: path(&folder, &at.key("kustomize")), images })
        }
        (None, Some(chart), None) => Some(helm(chart, images, &at.key("helm"))),
        (None, None, Some(files)) => {
            if files.is_empty() {
                at.key("manifests").error("is empty: expected at least one file");
            }
            Some(OperatorStep::Manifests { paths: paths(Some(files), &at.key("manifests")), images })
        }
        _ => {
            at.error("expected exactly one of kustomize, helm and manifests");
            None
        }
    }
}

fn helm(raw: RawHelm, images: BTreeMap<String, String>, at: &Place<'_>) -> OperatorStep {
    OperatorStep::Helm {
        chart: at.key("chart").ok(forms::text(&raw.chart)).unwrap_or_default(),
        release: at.key("release").ok(forms::object_name(&raw.release)).unwrap_or_default(),
        namespace: at.key("namespace").ok(forms::object_name(&raw.namespace)).unwrap_or_default(),
        values: paths(raw.values, &at.key("values")),
        set: scalars(raw.set, &at.key("set")),
        images,
    }
}

/// Image overrides: what is replaced, by what.
fn images(raw: BTreeMap<String, String>, at: &Place<'_>) -> BTreeMap<String, String> {
    for (from, to) in &raw {
        let place = at.key(from);
        place.ok(forms::image(to));
        place.at_key_of(at, from).ok(forms::image(from));
    }
    raw
}

/// When the operator is ready.
pub(super) fn ready(raw: RawOperatorReady, at: &Place<'_>) -> OperatorReady {
    OperatorReady {
        timeout: time(raw.timeout, &at.key("timeout")).unwrap_or(OperatorReady::default().timeout),
        deployments: at
            .key("deployments")
            .items(raw.deployments.unwrap_or_default())
            .filter_map(|(at, name)| at.ok(forms::namespaced(&name)))
            .collect(),
    }
}

/// Where metrics are read. Something is returned even for a mistake, so that the checks that ask are not blamed too.
pub(super) fn metrics(raw: RawMetrics, at: &Place<'_>) -> MetricsSource {
    if raw.service.is_some() == raw.prometheus.is_some() {
        at.error("expected exactly one of `service` and `prometheus`");
    }
    for (key, service) in [("service", &raw.service), ("prometheus", &raw.prometheus)] {
        if let Some(service) = service {
            at.key(key).ok(forms::service(service));
        }
    }
    if let Some(path) = raw.path.as_ref().filter(|path| !path.starts_with('/')) {
        at.key("path").error(format!("`{path}`: expected a path from the server's root, like /metrics"));
    }
    match raw.prometheus {
        Some(_) if raw.path.is_some() => {
            at.key("path").error("belongs to `service`: a Prometheus is asked at its own address");
            MetricsSource::Prometheus(String::new())
        }
        Some(prometheus) => MetricsSource::Prometheus(prometheus),
        None => MetricsSource::Service {
            service: raw.service.unwrap_or_default(),
            path: raw.path.unwrap_or_else(|| "/metrics".to_owned()),
        },
    }
}
