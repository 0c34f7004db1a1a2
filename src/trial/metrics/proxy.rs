//! Requests to a Service through the API server's service proxy:
//! `/api/v1/namespaces/NAMESPACE/services/[https:]NAME:PORT/proxy/PATH`.
//!
//! Whether a port speaks HTTP or HTTPS nobody says: the likelier is tried, then the other if the answer tells so, and what worked is
//! remembered. Certificates of the target are not verified by the API server.
//!
//! The service proxy picks one of the ready pods at random: where there are several each is asked by the pod proxy,
//! `/api/v1/namespaces/NAMESPACE/pods/[https:]NAME:PORT/proxy/PATH`.
//!
//! Source: `pkg/registry/core/service/storage/storage.go` (`ResourceLocation`) and `apimachinery/pkg/util/proxy/transport.go`.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use axum::body::Bytes;
use futures::StreamExt;
use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use http::{Request, StatusCode};
use kube::Client;
use kube::api::ListParams;
use kube::client::Body;
use kube::core::Status;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value as Json;

use super::exposition::MAX_BODY;
use super::read::Unread;
use crate::trial::apply::request::{Objects, text};
use crate::trial::apply::{Limits, persist};
use crate::trial::hub::resource;

/// How long a source may fail to answer.
const LIMITS: Limits = Limits { transient: Duration::from_secs(10), lagging: Duration::from_secs(1) };

/// How long one request may take.
pub(super) const REQUEST: Duration = Duration::from_secs(8);
/// Most bytes of what is read as a refusal.
const REFUSAL: usize = 64 << 10;
/// Most pods behind a Service that are asked.
const MAX_PODS: usize = 32;

/// What a path and its query can't hold as it is.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A port of a Service, or of one of its pods.
pub(super) struct Endpoint {
    client: Client,
    kind: Kind,
    namespace: String,
    name: String,
    port: String,
    /// Whether it is where a Prometheus is asked.
    is_prometheus: bool,
    /// What it speaks, once that is known.
    speaks: Mutex<Option<Scheme>>,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Service,
    Pod,
}

impl Kind {
    fn plural(self) -> &'static str {
        match self {
            Self::Service => "services",
            Self::Pod => "pods",
        }
    }
}

/// What a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

/// What the Service, or the API server in its stead, answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) content_type: String,
    /// Where it says to go on, if it does.
    location: String,
    pub(super) body: Bytes,
    /// It has more than is read; then nothing of it is kept.
    is_too_long: bool,
}

impl Answer {
    /// The API server's own answer, if it is that.
    fn of_api_server(&self) -> Option<Status> {
        if self.code < 400 || self.body.len() > REFUSAL {
            return None;
        }
        let value: Json = serde_json::from_slice(&self.body).ok()?;
        (value["kind"] == "Status").then(|| serde_json::from_value(value).ok()).flatten()
    }

    /// The beginning of what it says.
    fn page(&self) -> String {
        let status = self.of_api_server().map(|status| status.message);
        status.unwrap_or_else(|| String::from_utf8_lossy(&self.body[..self.body.len().min(4 << 10)]).into_owned())
    }

    /// The first line of it, or the API server's own message.
    fn text(&self) -> String {
        if let Some(status) = self.of_api_server() {
            return status.message;
        }
        self.page().lines().find(|line| !line.trim().is_empty()).unwrap_or_default().chars().take(200).collect()
    }

    /// Whether the target turned out to speak the other one. Of an answer that broke off it is only likely.
    fn speaks_other(&self, scheme: Scheme) -> bool {
        const HTTPS: [&str; 3] = ["HTTP request to an HTTPS server", "sent to HTTPS port", "malformed HTTP response"];
        const HTTP: [&str; 2] = ["server gave HTTP response to HTTPS client", "does not look like a TLS handshake"];
        const BROKEN: [&str; 2] = ["EOF", "connection reset"];
        if self.code < 400 {
            return false;
        }
        let signs = if scheme == Scheme::Http { &HTTPS[..] } else { &HTTP[..] };
        // A page of HTML says it somewhere below its first line.
        let (page, text) = (self.page(), self.text());
        signs.iter().any(|sign| page.contains(sign)) || BROKEN.iter().any(|sign| text.contains(sign))
    }
}

impl Endpoint {
    /// The port of a Service, `namespace/name:port`.
    pub(super) fn new(client: Client, service: &str, is_prometheus: bool) -> Self {
        let (namespace, rest) = service.split_once('/').unwrap_or_default();
        let (name, port) = rest.rsplit_once(':').unwrap_or((rest, ""));
        let [namespace, name, port] = [namespace, name, port].map(str::to_owned);
        Self { client, kind: Kind::Service, namespace, name, port, is_prometheus, speaks: Mutex::default() }
    }

    /// The ready pods behind the Service, by their names. Empty where nobody can tell: then the service proxy has to do.
    ///
    /// # Errors
    /// Nobody could say in time, or there are several, and the port or its number is not known.
    pub(super) async fn pods(&self) -> Result<Vec<(String, Self)>, Unread> {
        let namespace = Some(self.namespace.as_str());
        let slices = resource(("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"));
        let slices = Objects::new(&self.client, &slices, namespace);
        let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={}", self.name));
        let slices = match persist(LIMITS, || in_time(slices.list(&of_service))).await {
            Ok(slices) => slices,
            // An identity that may not list them, or an API server that has none.
            Err(kube::Error::Api(status)) if [401, 403, 404].contains(&status.code) => return Ok(Vec::new()),
            // Without them one pod would be asked, or all of them, as it happens.
            Err(error) => return Err(Unread::new(format!("the pods behind {} can't be listed: {error}", self.told()))),
        };
        let known = ready(&slices, None);
        let Some(first) = known.keys().next() else { return Ok(Vec::new()) };
        if known.len() == 1 {
            return Ok(vec![(first.clone(), self.of_pod(first, 0))]);
        }
        if known.len() > MAX_PODS {
            return Err(Unread::lasting(format!("more than {MAX_PODS} pods are behind {}", self.told())));
        }
        let several = |why: &str| {
            Unread::lasting(format!(
                "{} pods are behind {}, and each counts for itself: {why}",
                known.len(),
                self.told()
            ))
        };
        let service = Objects::core(&self.client, "services", namespace);
        let service = match persist(LIMITS, || in_time(service.get(&self.name))).await {
            Ok(service) => service,
            Err(error) => {
                let is_final = matches!(&error, kube::Error::Api(status) if status.code < 500);
                return Err(Unread { is_final, ..several(&format!("the Service can't be read: {error}")) });
            }
        };
        let Some(port) = port_name(&service, &self.port) else {
            return Err(several("the Service has no such port"));
        };
        let ported = ready(&slices, Some(&port));
        if ported.values().any(Option::is_none) {
            return Err(several("the port of one of them is not known"));
        }
        Ok(ported.into_iter().map(|(pod, port)| (pod.clone(), self.of_pod(&pod, port.unwrap_or(0)))).collect())
    }

    fn of_pod(&self, pod: &str, port: u64) -> Self {
        let Self { client, namespace, .. } = self;
        Self {
            client: client.clone(),
            kind: Kind::Pod,
            namespace: namespace.clone(),
            name: pod.to_owned(),
            port: port.to_string(),
            is_prometheus: self.is_prometheus,
            speaks: Mutex::new(*self.known()),
        }
    }

    /// Remembers what another port of the same program speaks.
    pub(super) fn learn(&self, other: &Self) {
        let speaks = *other.known();
        *self.known() = speaks;
    }

    /// GETs a path, which may have a query.
    pub(super) async fn get(&self, path: &str, accept: &str) -> Result<Answer, Unread> {
        self.get_with_errors(path, accept, |_| false).await
    }

    /// The same, where bodies of refusals that `is_answer` knows are answers too.
    pub(super) async fn get_with_errors(
        &self,
        path: &str,
        accept: &str,
        is_answer: fn(&[u8]) -> bool,
    ) -> Result<Answer, Unread> {
        let mut first = None;
        for scheme in self.schemes() {
            let answer = persist(LIMITS, || in_time(self.ask(scheme, path, accept, is_answer))).await;
            let answer = answer.or_else(|error| self.unanswered(error))?;
            if answer.is_too_long {
                let most = MAX_BODY >> 20;
                return Err(Unread::lasting(format!("{} serves more than {most} MiB at {path}", self.told())));
            }
            if answer.speaks_other(scheme) {
                first.get_or_insert(answer);
                continue;
            }
            if answer.code == 200 || is_refusal(&answer, is_answer) {
                *self.known() = Some(scheme);
                return Ok(answer);
            }
            // The first knew of no such scheme, and the second no such page: the second has understood.
            return Err(self.refused(&answer, path));
        }
        Err(self.refused(&first.unwrap_or_default(), path))
    }

    /// `Service namespace/name:port`.
    pub(super) fn told(&self) -> String {
        format!("{:?} {}/{}:{}", self.kind, self.namespace, self.name, self.port)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Scheme>> {
        self.speaks.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What is tried, in this order.
    fn schemes(&self) -> Vec<Scheme> {
        let is_https = ["443", "8443"].contains(&self.port.as_str()) || self.port.starts_with("https");
        match *self.known() {
            Some(scheme) => vec![scheme],
            None if is_https => vec![Scheme::Https, Scheme::Http],
            None => vec![Scheme::Http, Scheme::Https],
        }
    }

    async fn ask(
        &self,
        scheme: Scheme,
        path: &str,
        accept: &str,
        is_answer: fn(&[u8]) -> bool,
    ) -> Result<Answer, kube::Error> {
        let scheme_part = if scheme == Scheme::Https { "https:" } else { "" };
        let Self { namespace, name, port, .. } = self;
        let kind = self.kind.plural();
        let path = utf8_percent_encode(path, PATH);
        let uri = format!("/api/v1/namespaces/{namespace}/{kind}/{scheme_part}{name}:{port}/proxy{path}");
        let request = Request::get(uri).header(ACCEPT, accept).body(Body::empty()).map_err(kube::Error::HttpError)?;
        let (parts, body) = self.client.send(request).await?.into_parts();
        let header =
            |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let (content_type, location) = (header(CONTENT_TYPE), header(LOCATION));
        let body = read_up_to(MAX_BODY, body).await?;
        let is_too_long = body.is_none();
        let body = body.unwrap_or_default();
        let answer = Answer { code: parts.status.as_u16(), content_type, location, body, is_too_long };
        let passes = [429, 500, 502, 503, 504].contains(&answer.code) && !is_refusal(&answer, is_answer);
        let status = answer.of_api_server();
        // That there is no such port, or that it speaks something else, does not change. Of one that has answered before it does not
        // mean that.
        let is_known = self.known().is_some();
        let stays = (!is_known && answer.speaks_other(scheme)) || answer.text().starts_with("no service port");
        if passes && !stays {
            let plain = || Status::failure(&answer.text(), "").with_code(answer.code);
            return Err(kube::Error::Api(status.unwrap_or_else(plain).boxed()));
        }
        Ok(answer)
    }

    /// What became of requests that were tried again in vain.
    fn unanswered(&self, error: kube::Error) -> Result<Answer, Unread> {
        match error {
            kube::Error::Api(status) => {
                let code = status.code;
                let body = serde_json::json!({"kind": "Status", "message": status.message, "code": code});
                Ok(Answer { code, body: body.to_string().into(), ..Answer::default() })
            }
            error => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                Err(Unread::new(format!("{} did not answer: {error}{cause}", self.told())))
            }
        }
    }

    /// What an answer means that is no answer to the question.
    fn refused(&self, answer: &Answer, path: &str) -> Unread {
        let (told, text) = (self.told(), answer.text());
        let namespace = &self.namespace;
        let is_own = answer.of_api_server().is_some();
        let kind = self.kind.plural();
        let unread = match (answer.code, is_own) {
            (204, _) => format!("{told} serves no metrics at {path}: its answer is empty"),
            (code @ 300..=399, _) => {
                let to = if answer.location.is_empty() { "elsewhere" } else { answer.location.as_str() };
                format!(
                    "{told} sends on from {path} to {to} (HTTP {code}): set `metrics.path` to where they are served"
                )
            }
            (404, true) => format!("there is no {told}: {text}"),
            (401 | 403, true) => {
                format!("this identity may not `get` `{kind}/proxy` in the namespace {namespace}: {text}")
            }
            (code @ (401 | 403), false) if self.is_prometheus => format!(
                "{told} asks for credentials of its own (HTTP {code}), which can't be passed on through the API server: let it \
                 answer without"
            ),
            (code @ (401 | 403), false) => format!(
                "{told} asks for credentials of its own (HTTP {code}), which can't be passed on through the API server: serve its \
                 metrics without, or let a Prometheus scrape them and set `metrics.prometheus`"
            ),
            (503, _) if text.starts_with("no endpoints available") => format!("no ready pod is behind {told}: {text}"),
            (404, false) => format!("{told} serves nothing at {path}"),
            (code, _) => {
                let meaning = StatusCode::from_u16(code).ok().and_then(|code| code.canonical_reason());
                format!("{told} answered HTTP {code} {}: {text}", meaning.unwrap_or_default())
            }
        };
        // Pods come and go; what is refused stays so.
        let is_gone = self.kind == Kind::Pod && answer.code == 404 && is_own;
        let is_final = !is_gone && (answer.code < 500 || text.starts_with("no service port"));
        Unread { is_final, ..Unread::new(unread) }
    }
}

/// What a request comes to, unless it takes too long.
async fn in_time<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    let late = |_| Err(kube::Error::Service(format!("no answer in {} s", REQUEST.as_secs()).into()));
    tokio::time::timeout(REQUEST, request).await.unwrap_or_else(late)
}

/// A whole body; `None` if it is longer than that.
async fn read_up_to(most: usize, body: Body) -> Result<Option<Bytes>, kube::Error> {
    let (mut chunks, mut whole) = (axum::body::Body::new(body).into_data_stream(), Vec::new());
    while let Some(chunk) = chunks.next().await {
        whole.extend_from_slice(&chunk.map_err(|error| kube::Error::Service(error.into()))?);
        if whole.len() > most {
            return Ok(None);
        }
    }
    Ok(Some(whole.into()))
}

/// Whether the target's own refusal is an answer.
fn is_refusal(answer: &Answer, is_answer: fn(&[u8]) -> bool) -> bool {
    answer.code >= 400 && answer.body.len() <= REFUSAL && is_answer(&answer.body)
}

/// The name of a Service's port, which is empty if it has none; it is given by name or by number.
fn port_name(service: &Json, port: &str) -> Option<String> {
    let ports = service.pointer("/spec/ports").and_then(Json::as_array)?;
    let number = port.parse::<u64>().ok();
    let is_meant = |of: &&Json| number.map_or_else(|| text(of, "/name") == port, |number| of["port"] == number);
    ports.iter().find(is_meant).map(|port| text(port, "/name").to_owned())
}

/// The ready pods of some `EndpointSlices`, each with the number of the port of this name.
fn ready(slices: &[Json], port: Option<&str>) -> BTreeMap<String, Option<u64>> {
    let list = |of: &Json, pointer: &str| of.pointer(pointer).and_then(Json::as_array).cloned().unwrap_or_default();
    let mut pods = BTreeMap::new();
    for slice in slices {
        let ports = list(slice, "/ports");
        let number = ports.iter().find(|of| port == Some(text(of, "/name"))).and_then(|of| of["port"].as_u64());
        for endpoint in list(slice, "/endpoints") {
            let pod = text(&endpoint, "/targetRef/name");
            if endpoint.pointer("/conditions/ready") != Some(&Json::Bool(false)) && !pod.is_empty() {
                // A Service of two address families has a slice for each.
                let known = pods.entry(pod.to_owned()).or_insert(None);
                *known = known.or(number);
            }
        }
    }
    pods
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_ready_pods_of_a_service_and_their_ports_are_known() {
        let endpoint = |name: &str, ready: Json| json!({"conditions": {"ready": ready}, "targetRef": {"kind": "Pod", "name": name}});
        let slice = json!({"endpoints": [endpoint("a", true.into()), endpoint("b", false.into()), endpoint("c", Json::Null)],
            "ports": [{"name": "web", "port": 9}, {"name": "metrics", "port": 8080}]});
        let ready = |port| ready(&[slice.clone(), slice.clone()], port).into_iter().collect::<Vec<_>>();
        assert_eq!(ready(Some("metrics")), [("a".to_owned(), Some(8080)), ("c".to_owned(), Some(8080))]);
        assert_eq!(ready(Some("other"))[0].1, None);
        let service = json!({"spec": {"ports": [{"name": "metrics", "port": 80, "targetPort": 8080}]}});
        for port in ["80", "metrics"] {
            assert_eq!(port_name(&service, port).as_deref(), Some("metrics"));
        }
        assert_eq!((port_name(&service, "8080"), port_name(&service, "web")), (None, None));
        assert_eq!(port_name(&json!({"spec": {"ports": [{"port": 80}]}}), "80").as_deref(), Some(""));
    }

    fn answer(code: u16, body: &str) -> Answer {
        Answer { code, body: body.to_owned().into(), ..Answer::default() }
    }

    #[test]
    fn a_target_tells_that_it_speaks_the_other_one() {
        let tls = answer(400, "Client sent an HTTP request to an HTTPS server.\n");
        assert!(tls.speaks_other(Scheme::Http) && !tls.speaks_other(Scheme::Https));
        let status = r#"{"kind": "Status", "code": 503, "message": "error trying to reach service: WHY"}"#;
        let broken = |why: &str| answer(503, &status.replace("WHY", why));
        assert!(
            broken("net/http: HTTP/1.x transport connection broken: malformed HTTP response")
                .speaks_other(Scheme::Http)
        );
        assert!(broken("http: server gave HTTP response to HTTPS client").speaks_other(Scheme::Https));
        assert!(broken("tls: first record does not look like a TLS handshake").speaks_other(Scheme::Https));
        assert!(!broken("dial tcp 10.0.0.1:8080: connect: connection refused").speaks_other(Scheme::Http));
        assert!(!answer(200, "# HELP a malformed HTTP response, EOF\n").speaks_other(Scheme::Http));
        let nginx = "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n";
        assert!(answer(400, nginx).speaks_other(Scheme::Http));
        assert!(!answer(500, "<html>\nconnection reset\n").speaks_other(Scheme::Http));
    }
}
