//! What both servers share: entries that never change, faults that are ordered beforehand, and a list of everything that a client
//! did against the rules.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use bytes::Bytes;
use futures::stream;

/// Largest body of a request.
const MAX_BODY: usize = 256 << 20;

/// A server that answers on the loopback until it is dropped.
pub struct Server {
    pub url: String,
    pub world: Shared,
}

pub type Shared = Arc<Mutex<World>>;

/// What the server has, and what it was told to do.
#[derive(Default)]
pub struct World {
    pub url: String,
    pub entries: Vec<Entry>,
    faults: Vec<Fault>,
    /// `METHOD /path` of every request, without the query.
    pub log: Vec<String>,
    /// What was against the rules.
    pub wrong: Vec<String>,
    /// Whether blobs are given in parts.
    pub no_ranges: bool,
}

/// An entry, or the beginning of one.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    pub key: String,
    pub version: String,
    pub size: u64,
    pub is_whole: bool,
    /// Parts by where they begin (version 1) or blocks by their ids (version 2).
    pub parts: BTreeMap<u64, Bytes>,
    pub blocks: BTreeMap<String, Bytes>,
    pub content: Bytes,
}

/// What is answered instead.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A status with headers and a text.
    Status(u16, Vec<(&'static str, String)>, String),
    /// A beginning of what was promised, and the connection is broken off.
    BrokenOff,
}

struct Fault {
    method: Method,
    path: String,
    left: usize,
    answer: Answer,
}

/// An answer with a status and a text.
pub fn status(status: u16, text: &str) -> Answer {
    Answer::Status(status, Vec::new(), text.to_owned())
}

impl Server {
    /// Starts one with these routes, faults in front of them, and the blobs' downloads.
    pub async fn start(routes: Router<Shared>) -> Self {
        let world = Shared::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        world.lock().unwrap().url.clone_from(&url);
        let routes = routes
            .route("/blob/{id}", axum::routing::get(blob))
            .layer(middleware::from_fn_with_state(Arc::clone(&world), in_front))
            .with_state(Arc::clone(&world));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, world }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The next `times` requests of this kind whose path holds `path` are answered so.
    pub fn fault(&self, method: &str, path: &str, times: usize, answer: Answer) {
        let fault = Fault { method: method.parse().unwrap(), path: path.to_owned(), left: times, answer };
        self.world().faults.push(fault);
    }

    /// How many requests there were of this kind whose path holds `path`.
    pub fn count(&self, method: &str, path: &str) -> usize {
        let begin = format!("{method} ");
        self.world().log.iter().filter(|line| line.starts_with(&begin) && line.contains(path)).count()
    }

    /// Puts an entry there.
    pub fn keep(&self, key: &str, version: &str, content: Vec<u8>) {
        let size = content.len() as u64;
        let (key, version) = (key.to_owned(), version.to_owned());
        self.world().entries.push(Entry {
            key,
            version,
            size,
            is_whole: true,
            content: content.into(),
            ..Entry::default()
        });
    }

    /// The content of an entry that is whole.
    pub fn content(&self, key: &str) -> Option<Bytes> {
        let world = self.world();
        world.entries.iter().find(|entry| entry.is_whole && entry.key == key).map(|entry| entry.content.clone())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.world().wrong, Vec::<String>::new());
        }
    }
}

impl World {
    /// What an API server answers to what is against the rules.
    pub fn refuse(&mut self, what: impl Into<String>) -> Response {
        let what = what.into();
        self.wrong.push(what.clone());
        reply(StatusCode::BAD_REQUEST, &serde_json::json!({"message": what, "msg": what, "code": "invalid_argument"}))
    }

    /// For each key in its order: the entry that has it, else the newest that begins with it.
    pub fn find(&self, keys: &[String], version: &str) -> Option<(usize, &Entry)> {
        let whole = || self.entries.iter().enumerate().filter(|(_, entry)| entry.is_whole && entry.version == version);
        keys.iter().find_map(|key| {
            let exact = whole().find(|(_, entry)| entry.key == *key);
            exact.or_else(|| whole().filter(|(_, entry)| entry.key.starts_with(key.as_str())).last())
        })
    }
}

pub fn reply(status: StatusCode, json: &serde_json::Value) -> Response {
    let body = Body::from(json.to_string());
    Response::builder().status(status).header(header::CONTENT_TYPE, "application/json").body(body).unwrap()
}

/// Whether the token is there, and no other.
pub fn is_authorized(headers: &HeaderMap) -> bool {
    headers.get(header::AUTHORIZATION).is_some_and(|token| *token == format!("Bearer {}", super::token()))
}

/// Writes every request down, and answers those that a fault was ordered for. Bodies are read first: what is answered before would
/// be broken off.
async fn in_front(State(world): State<Shared>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY).await.unwrap();
    let fault = {
        let mut world = world.lock().unwrap();
        world.log.push(format!("{} {}", parts.method, parts.uri.path()));
        let fault = world
            .faults
            .iter_mut()
            .find(|fault| fault.left > 0 && fault.method == parts.method && parts.uri.path().contains(&fault.path));
        fault.map(|fault| {
            fault.left -= 1;
            fault.answer.clone()
        })
    };
    match fault {
        None => next.run(Request::from_parts(parts, body.into())).await,
        Some(Answer::Status(status, headers, text)) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(text.into()).unwrap()
        }
        Some(Answer::BrokenOff) => {
            let response = next.run(Request::from_parts(parts, body.into())).await;
            let (parts, body) = response.into_parts();
            let body = axum::body::to_bytes(body, MAX_BODY).await.unwrap();
            let half = body.slice(..body.len() / 2);
            let pieces = [Ok(half), Err(std::io::Error::other("broken off"))];
            Response::from_parts(parts, Body::from_stream(stream::iter(pieces)))
        }
    }
}

/// A blob's download: by its signature, never with the token.
async fn blob(State(world): State<Shared>, Path(id): Path<usize>, request: Request) -> Response {
    let mut world = world.lock().unwrap();
    let headers = request.headers();
    if headers.contains_key(header::AUTHORIZATION) {
        return world.refuse("a blob was asked for with a token");
    }
    if request.uri().query() != Some("sig=s%2Bs") {
        return world.refuse(format!("a blob was asked for with {:?}", request.uri().query()));
    }
    let content = world.entries[id].content.clone();
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok()?.strip_prefix("bytes="));
    let Some((start, end)) = range.filter(|_| !world.no_ranges).and_then(|range| range.split_once('-')) else {
        return Response::new(content.into());
    };
    let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
    let end = (end + 1).min(content.len());
    if start >= end {
        return Response::builder().status(416).body(Body::empty()).unwrap();
    }
    Response::builder()
        .status(206)
        .header(header::CONTENT_RANGE, format!("bytes {start}-{}/{}", end - 1, content.len()))
        .body(content.slice(start..end).into())
        .unwrap()
}
