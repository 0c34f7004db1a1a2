//! What containers use, as kubelets and a metrics server tell it: `nodes/NAME/proxy/stats/summary`, and `metrics.k8s.io`.
//!
//! As with cAdvisor, a container is measured when it starts and so often from then on as [`Measuring::every`] says; in between the last
//! measurement is told again.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::request::Request;
use super::{Server, answer};
use crate::simulator::Options;
use crate::simulator::lifecycle::pace::Delay;
use crate::simulator::lifecycle::usage::{Usage, usage};
use crate::simulator::store::{Key, Run, Status, at, text};

/// Who measures what containers use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measuring {
    /// How often a kubelet does.
    pub every: Duration,
    /// Whether there is a metrics server, which asks it.
    pub for_metrics_server: bool,
}

impl Measuring {
    /// As these options have it.
    pub fn of(options: &Options) -> Self {
        let Options { lifecycle, metrics_server, .. } = options;
        let every = lifecycle.pace.time(Delay::Wait(lifecycle.housekeeping));
        Self { every, for_metrics_server: *metrics_server }
    }
}

/// A container that was measured.
struct Measured<'a> {
    name: &'a str,
    time: Timestamp,
    started: Timestamp,
    usage: Usage,
    /// Whether it was measured twice, so that there is something to make an average of.
    again: bool,
}

impl Server {
    /// Answers a request for what containers use; `None` if it is for something else.
    pub fn about_usage(&self, request: &Request) -> Option<Response<Body>> {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let answered = match path.as_slice() {
            ["api", "v1", "nodes", node, "proxy", "stats", "summary"] => self.summary(node),
            ["apis", "metrics.k8s.io", "v1beta1", "namespaces", namespace, "pods"]
                if self.measuring.for_metrics_server =>
            {
                Ok(self.pod_metrics(namespace))
            }
            _ => return None,
        };
        let is_get = request.method == Method::GET;
        let answered = if is_get { answered } else { Err(super::not_allowed()) };
        Some(answered.map_or_else(|status| answer::refusal(&status), |found| answer::value(200, &found)))
    }

    fn summary(&self, node: &str) -> Result<Json, Status> {
        if let Some(code) = self.faults.get().node_proxy {
            let why = format!(
                "nodes \"{node}\" is forbidden: User \"simulated\" cannot get resource \"nodes/proxy\" in API group \"\" at the cluster scope"
            );
            let (reason, message) = match code {
                403 => ("Forbidden", why),
                404 => ("NotFound", "the server could not find the requested resource".to_owned()),
                _ => (
                    "ServiceUnavailable",
                    "error trying to reach service: dial tcp 10.0.0.2:10250: connect: connection refused".to_owned(),
                ),
            };
            return Err(Status::new(code, reason, message));
        }
        let kind = self.store.kind("", "nodes").ok_or_else(super::nowhere)?;
        if self.store.get(&Key::cluster("", "nodes", node)).is_none() {
            return Err(Status::not_found(&kind, node));
        }
        let pods = self.store.list("", "pods", None).0;
        let here = pods.iter().filter(|pod| text(pod, "/spec/nodeName") == node);
        let told: Vec<_> = here.filter_map(|pod| self.pod_stats(pod)).collect();
        Ok(json!({"node": {"nodeName": node, "startTime": at(Timestamp::now())}, "pods": told}))
    }

    fn pod_stats(&self, pod: &Json) -> Option<Json> {
        let containers = self.measured(pod);
        let stats = |measured: &Measured<'_>| {
            let time = at(measured.time);
            let Usage { cpu, cpu_total, memory } = measured.usage;
            let mut stats = json!({"name": measured.name, "startTime": at(measured.started),
                "cpu": {"time": time, "usageCoreNanoSeconds": cpu_total},
                "memory": {"time": time, "usageBytes": memory, "workingSetBytes": memory, "rssBytes": memory}});
            if measured.again {
                stats["cpu"]["usageNanoCores"] = cpu.into();
            }
            stats
        };
        let told: Vec<_> = containers.iter().map(stats).collect();
        let reference = json!({"name": text(pod, "/metadata/name"), "namespace": text(pod, "/metadata/namespace"),
            "uid": text(pod, "/metadata/uid")});
        (!told.is_empty())
            .then(|| json!({"podRef": reference, "startTime": pod["status"]["startTime"], "containers": told}))
    }

    fn pod_metrics(&self, namespace: &str) -> Json {
        let of_pod = |pod: &Json| {
            let containers = self.measured(pod);
            let time = containers.iter().map(|measured| measured.time).max()?;
            let usage = |measured: &Measured<'_>| {
                json!({"name": measured.name, "usage": {"cpu": format!("{}n", measured.usage.cpu),
                    "memory": format!("{}Ki", measured.usage.memory / 1024)}})
            };
            Some(json!({"metadata": {"name": text(pod, "/metadata/name"), "namespace": namespace},
                "timestamp": at(time), "window": "15s", "containers": containers.iter().map(usage).collect::<Vec<_>>()}))
        };
        let items: Vec<_> =
            self.store.list("", "pods", Some(namespace)).0.iter().filter_map(|pod| of_pod(pod)).collect();
        json!({"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items})
    }

    /// The containers of a pod that run, as they were measured last.
    fn measured<'a>(&self, pod: &'a Json) -> Vec<Measured<'a>> {
        let containers = ["/spec/initContainers", "/spec/containers"]
            .into_iter()
            .flat_map(|place| pod.pointer(place).and_then(Json::as_array).into_iter().flatten());
        let measured = containers.filter_map(|container| {
            let name = text(container, "/name");
            let run = self.store.run_of(text(pod, "/metadata/namespace"), text(pod, "/metadata/name"), name)?;
            let (age, measured_at) = self.last_measured(run);
            let back =
                |by: Duration| SignedDuration::try_from(by).ok().and_then(|by| Timestamp::now().checked_sub(by).ok());
            Some(Measured {
                name,
                time: back(age.saturating_sub(measured_at))?,
                started: back(age)?,
                usage: usage(pod, container, run, measured_at),
                again: !measured_at.is_zero(),
            })
        });
        measured.collect()
    }

    /// How old a run is, and how old it was when it was measured last.
    fn last_measured(&self, run: Run) -> (Duration, Duration) {
        let age = Instant::now().saturating_duration_since(run.since);
        let period = self.measuring.every.as_nanos().max(1);
        let whole = age.as_nanos() / period * period;
        (age, Duration::from_nanos(u64::try_from(whole).unwrap_or(u64::MAX)))
    }
}
