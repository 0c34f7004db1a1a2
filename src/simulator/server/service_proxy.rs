//! `services/[SCHEME:]NAME[:PORT]/proxy/PATH`, and the same of pods.
//!
//! The pods of the simulated cluster have no network: what answers is the operators that the simulator plays, at `/metrics`. They do so
//! behind every Service that leads to a ready pod, as what the project deploys is played by them; and, since nobody has to deploy
//! them here, as `kubeflow/training-operator:8080`. Of several pods with the same labels the first is the leader, which alone counts; a
//! Service leads to that one. A port that is called `https`, and 443 and 8443, speak HTTPS.
//!
//! Source of the refusals: `pkg/registry/core/service/storage/storage.go` (`ResourceLocation`), `proxy/transport.go`.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, header};
use serde_json::Value as Json;

use super::request::Request;
use super::{Server, answer};
use crate::simulator::lifecycle::{Counters, is_ready, selects};
use crate::simulator::store::{Key, Status, text};

/// The Service of the operator that nobody has to deploy.
const OPERATOR: (&str, &str, u64) = ("kubeflow", "training-operator", 8080);

/// Where a request is to go.
struct Place<'a> {
    namespace: &'a str,
    name: &'a str,
    port: &'a str,
    https: bool,
}

impl Server {
    /// Answers a request for what a Service serves; `None` for any other.
    pub(super) fn service_proxy(&self, request: &Request) -> Option<Response<Body>> {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let ["api", "v1", "namespaces", namespace, kind @ ("services" | "pods"), id, "proxy", page @ ..] =
            path.as_slice()
        else {
            return None;
        };
        let answered = place(namespace, id).and_then(|place| {
            let (target, counters) =
                if *kind == "pods" { self.reach_pod(&place)? } else { (self.reach(&place)?, self.counters.clone()) };
            Ok(match target {
                Target::Tls => answer::plain(400, "Client sent an HTTP request to an HTTPS server.\n"),
                Target::Pages if page == ["metrics"] && request.method == Method::GET => metrics(&counters),
                Target::Pages => answer::no_page(),
            })
        });
        Some(answered.unwrap_or_else(|status| answer::refusal(&status)))
    }

    /// What a pod serves, and what it has counted.
    fn reach_pod(&self, place: &Place<'_>) -> Result<(Target, Counters), Status> {
        let Place { namespace, name, port, https } = *place;
        let Some(pod) = self.store.get(&Key::namespaced("", "pods", namespace, name)) else {
            let kind = self.store.kind("", "pods").unwrap_or_default();
            return Err(Status::not_found(&kind, name));
        };
        if !is_ready(&pod) {
            return Err(unavailable("error trying to reach service: connect: connection refused".to_owned()));
        }
        let pods = self.store.list("", "pods", Some(namespace)).0;
        let alike =
            pods.iter().filter(|other| other["metadata"]["labels"] == pod["metadata"]["labels"] && is_ready(other));
        let leads = alike.map(|other| text(other, "/metadata/name")).min() == Some(name);
        let counters = if leads { self.counters.clone() } else { Counters::default() };
        Ok((speaks(["443", "8443"].contains(&port), https)?, counters))
    }

    fn reach(&self, place: &Place<'_>) -> Result<Target, Status> {
        let Place { namespace, name, .. } = *place;
        let key = Key::namespaced("", "services", namespace, name);
        let port = match self.store.get(&key) {
            Some(service) => self.port_of(&service, place)?,
            None if (namespace, name) == (OPERATOR.0, OPERATOR.1) && place.port == OPERATOR.2.to_string() => {
                (String::new(), OPERATOR.2)
            }
            None => {
                let kind = self.store.kind("", "services").unwrap_or_default();
                return Err(Status::not_found(&kind, name));
            }
        };
        let speaks_https = port.0.starts_with("https") || [443, 8443].contains(&port.1);
        speaks(speaks_https, place.https)
    }

    /// The name and the number of the port that is meant, if a ready pod is behind it.
    fn port_of(&self, service: &Json, place: &Place<'_>) -> Result<(String, u64), Status> {
        let ports = service.pointer("/spec/ports").and_then(Json::as_array).into_iter().flatten();
        let mut ports = ports.map(|port| (text(port, "/name").to_owned(), port["port"].as_u64().unwrap_or(0)));
        let number = place.port.parse::<u64>().ok();
        let found = ports.find(|(name, port)| number.map_or(*name == place.port, |number| *port == number));
        let name = place.name;
        let none = || unavailable(format!("no endpoints available for service \"{name}\""));
        let found = match (found, number) {
            (Some(found), _) => found,
            (None, Some(number)) => {
                return Err(unavailable(format!("no service port {number} found for service \"{name}\"")));
            }
            (None, None) => return Err(none()),
        };
        let selector = serde_json::json!({"matchLabels": service["spec"]["selector"]});
        let has_selector = service.pointer("/spec/selector").is_some_and(Json::is_object);
        let pods = self.store.list("", "pods", Some(place.namespace)).0;
        let is_behind = |pod: &Json| selects(&selector, pod.pointer("/metadata/labels")) && is_ready(pod);
        if has_selector && pods.iter().any(|pod| is_behind(pod)) { Ok(found) } else { Err(none()) }
    }
}

/// The answer to a request for metrics.
fn metrics(counters: &Counters) -> Response<Body> {
    let mut response = answer::plain(200, counters.exposition());
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8; escaping=values");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What is at the other end of a port that expects TLS or not.
fn speaks(https: bool, asked: bool) -> Result<Target, Status> {
    match (https, asked) {
        (true, false) => Ok(Target::Tls),
        (false, true) => {
            let why = "error trying to reach service: http: server gave HTTP response to HTTPS client";
            Err(unavailable(why.to_owned()))
        }
        _ => Ok(Target::Pages),
    }
}

/// What is at the other end.
enum Target {
    Pages,
    /// Something that expects TLS and gets none.
    Tls,
}

fn place<'a>(namespace: &'a str, id: &'a str) -> Result<Place<'a>, Status> {
    let parts: Vec<_> = id.split(':').collect();
    let (scheme, name, port) = match parts.as_slice() {
        [name] => ("", *name, ""),
        [name, port] => ("", *name, *port),
        [scheme, name, port] => (*scheme, *name, *port),
        _ => ("?", "", ""),
    };
    if !["", "http", "https"].contains(&scheme) || name.is_empty() {
        return Err(Status::bad_request(format!("invalid service request \"{id}\"")));
    }
    Ok(Place { namespace, name, port, https: scheme == "https" })
}

fn unavailable(message: String) -> Status {
    Status::new(503, "ServiceUnavailable", message)
}
