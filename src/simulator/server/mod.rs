//! The API server: HTTP requests upon the store.

mod answer;
mod definitions;
mod discovery;
mod immutable;
mod log;
mod patch;
mod path;
mod protobuf;
mod read;
mod request;
mod select;
mod service_proxy;
mod update;
pub mod usage;
mod validate;
mod watch;
mod webhooks;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Method, Response};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::faults::{Mischief, RequestFaults};
use super::lifecycle::Counters;
use super::store::{Status, Store};
use definitions::Definitions;
use request::{Request, Target};
use serde_json::Value as Json;
use usage::Measuring;

/// Largest body that is read, in bytes: as much as a real API server takes (`MaxRequestBodyBytes`).
const MAX_BODY: usize = 3 * 1024 * 1024;

/// What serves requests.
#[derive(Debug)]
pub struct Server {
    /// What the cluster holds.
    pub store: Store,
    /// What goes wrong.
    pub faults: Mischief,
    /// The Kubernetes version that is claimed.
    pub version: String,
    /// Where it listens, as `host:port`.
    pub address: String,
    /// Cancelled when the server is to end: watches and followed logs end then.
    pub closing: CancellationToken,
    /// Who is let in.
    pub admission: Admission,
    /// What its operators count, which they serve as metrics.
    pub counters: Counters,
    /// Who measures what containers use.
    pub measuring: Measuring,
    definitions: Definitions,
}

/// What is filled in, and asked for, beyond schemas when an object is created.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// Fills in defaults, in an object that has its uid.
    pub complete: fn(&mut Json),
    /// Why a pod is refused, as the whole message of the answer.
    pub refusal: fn(&Json, &Store) -> Option<String>,
}

impl Server {
    /// A server upon this store.
    pub fn new(
        (store, counters): (Store, Counters),
        faults: Mischief,
        version: String,
        address: String,
        admission: Admission,
    ) -> Self {
        store.complete_with(admission.complete);
        let (closing, definitions) = (CancellationToken::new(), Definitions::default());
        let measuring = Measuring::default();
        Self { store, faults, version, address, closing, admission, counters, measuring, definitions }
    }

    /// Serves until `closing` is cancelled.
    ///
    /// # Errors
    /// What keeps the listener from accepting connections.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> std::io::Result<()> {
        let closing = self.closing.clone();
        let app = Router::new().fallback(handle).with_state(self);
        // A watch's events must not wait for more bytes to send.
        let listener = listener.tap_io(|connection| {
            let _ = connection.set_nodelay(true);
        });
        axum::serve(listener, app).with_graceful_shutdown(closing.cancelled_owned()).await
    }

    /// Answers a request that was read whole.
    fn respond(&self, request: &Request, body: &[u8]) -> Response<Body> {
        let found = self.about_usage(request).or_else(|| self.about_itself(request, body));
        if let Some(found) = found.or_else(|| self.service_proxy(request)) {
            return found;
        }
        let Some(target) = request.target(&self.store) else { return answer::no_page() };
        self.dispatch(request, &target, body).unwrap_or_else(|status| answer::refusal(&status))
    }

    fn dispatch(&self, request: &Request, target: &Target, body: &[u8]) -> Result<Response<Body>, Status> {
        let (has_name, sub) = (target.name.is_some(), target.subresource.as_str());
        let is_log = sub == "log" && target.kind.is("", "Pod");
        let writes = match sub {
            "" | "status" => sub.is_empty() || target.kind.status,
            "scale" => target.kind.scale,
            "finalize" => target.kind.is("", "Namespace"),
            _ => false,
        };
        match (&request.method, has_name) {
            (&Method::GET, true) if is_log => self.log(request, target),
            (&Method::GET, _) if request.flag("watch") && sub.is_empty() => self.watch(request, target),
            (&Method::GET, true) if sub.is_empty() => self.get(target),
            (&Method::GET, true) => self.get_sub(target),
            (&Method::GET, false) => self.list(request, target),
            (&Method::POST, false) => self.create(request, target, body),
            (&Method::POST, true) if !sub.is_empty() => self.create_sub(request, target, body),
            (&Method::PUT, true) if writes => self.replace(request, target, body),
            (&Method::PATCH, true) if writes => self.patch(request, target, body),
            (&Method::DELETE, true) if sub.is_empty() => self.delete(request, target, body),
            (&Method::DELETE, false) => self.delete_collection(request, target, body),
            (_, true) if !sub.is_empty() => Err(nowhere()),
            _ => Err(not_allowed()),
        }
    }

    /// What is no object: discovery, health, reviews, and the simulator's own controls.
    fn about_itself(&self, request: &Request, body: &[u8]) -> Option<Response<Body>> {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let store = &self.store;
        let found = match (request.method.as_str(), path.as_slice()) {
            (_, ["simulator", "faults"]) => return Some(self.control(request, body)),
            ("POST", ["apis", "authorization.k8s.io" | "authentication.k8s.io", "v1", _]) => {
                let review = request.body(body).map(|sent| answer::value(201, &write::review(sent)));
                return Some(review.unwrap_or_else(|status| answer::refusal(&status)));
            }
            ("GET", ["healthz" | "livez" | "readyz"]) => return Some(answer::plain(200, "ok")),
            ("GET", ["version"]) => discovery::version(&self.version),
            ("GET", ["api"]) => discovery::core_versions(&self.address),
            ("GET", ["apis"]) => discovery::group_list(store),
            ("GET", ["apis", group]) => discovery::group(store, group)?,
            ("GET", ["api", version]) => discovery::resources(store, "", version)?,
            ("GET", ["apis", group, version]) => discovery::resources(store, group, version)?,
            ("GET", ["openapi", "v3"]) => discovery::open_api_index(store),
            ("GET", ["openapi", "v3", "api", version]) => discovery::open_api(store, "", version),
            ("GET", ["openapi", "v3", "apis", group, version]) => discovery::open_api(store, group, version),
            _ => return None,
        };
        Some(answer::value(200, &found))
    }

    /// `/simulator/faults`: GET tells the faults, PUT sets others.
    fn control(&self, request: &Request, body: &[u8]) -> Response<Body> {
        if request.method == Method::PUT {
            match serde_json::from_slice(body) {
                Ok(faults) => self.faults.set(faults),
                Err(error) => return answer::refusal(&Status::bad_request(error.to_string())),
            }
        }
        answer::value(200, &serde_json::to_value(self.faults.get()).unwrap_or_default())
    }
}

/// 405: the resource has no such verb.
fn not_allowed() -> Status {
    Status::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
}

/// 404: there is no such resource.
fn nowhere() -> Status {
    Status::new(404, "NotFound", "the server could not find the requested resource")
}

async fn handle(State(server): State<Arc<Server>>, request: axum::extract::Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let request = Request::new(parts.method, &parts.uri, parts.headers);
    let is_control = request.path.first().is_some_and(|first| first == "simulator");
    let faults = if is_control { RequestFaults::default() } else { server.faults.request() };
    if !faults.latency.is_zero() {
        tokio::time::sleep(faults.latency).await;
    }
    if let Some(refusal) = faults.refusal {
        return answer::refusal(&refusal);
    }
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        let message = "Request entity too large: limit is 3145728";
        return answer::refusal(&Status::new(413, "RequestEntityTooLarge", message));
    };
    let response = server.respond(&request, &body);
    tracing::debug!(method = %request.method, path = %parts.uri, code = response.status().as_u16(), "answered");
    match faults.loss {
        Some(loss) => answer::refusal(&loss),
        None => response,
    }
}
