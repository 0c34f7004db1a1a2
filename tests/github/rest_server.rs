//! A strict GitHub on this machine: it has comments that can be listed, made and changed, and answers that a test gave it. Whatever
//! a test sends must have the token, the headers that GitHub asks for, and a place in GitHub's description of its API.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use axum::response::Response;
use example_validator::github::api::{Api, Patience};
use example_validator::settings::{RunContext, Secret};
use serde_json::{Value, json};

use super::rest_branches::Branches;
use super::rest_description;

/// The token that the server knows.
pub const TOKEN: &str = "ghs_canary";
/// The repository that it has.
pub const REPOSITORY: &str = "o/r";
/// The pull request that has comments.
pub const NUMBER: u64 = 7;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    /// Without the address of the API.
    pub path: String,
    pub query: Vec<(String, String)>,
    pub body: Option<Value>,
    pub authorized: bool,
}

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is answered so, and not carried out.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// It is carried out, and answered so.
    Done(u16),
    /// It is carried out, and the connection is cut within the answer.
    DoneAndCut,
    /// The connection is cut within the answer.
    Cut,
}

/// Whom the token speaks for, and who tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// A job's own token: GraphQL tells.
    Actions,
    /// The same where GraphQL does not answer.
    Unsaid,
    /// A user's token where GraphQL does not answer.
    User(&'static str),
}

#[derive(Debug)]
struct World {
    base: &'static str,
    viewer: Viewer,
    comments: Vec<Value>,
    branches: Branches,
    /// By method and path.
    faults: Vec<(Method, String, Fault)>,
    /// By path: an object as it is, a list in pages.
    answers: BTreeMap<String, Value>,
    seen: Vec<Seen>,
    wrong: Vec<String>,
}

/// The running server.
#[derive(Clone, Debug)]
pub struct Github {
    world: Arc<Mutex<World>>,
    pub address: SocketAddr,
}

impl Github {
    /// Starts one whose API is at the root, as GitHub's own is.
    pub async fn start() -> Self {
        Self::start_below("").await
    }

    /// Starts one whose API is at `base`: an Enterprise Server's is at `/api/v3`.
    pub async fn start_below(base: &'static str) -> Self {
        let world = World {
            base,
            viewer: Viewer::Actions,
            comments: vec![],
            branches: Branches::default(),
            faults: vec![],
            answers: BTreeMap::new(),
            seen: vec![],
            wrong: vec![],
        };
        let world = Arc::new(Mutex::new(world));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(serve).with_state(Arc::clone(&world));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { world, address }
    }

    /// One that is not there any more.
    pub async fn nowhere() -> Self {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { address: free.local_addr().unwrap(), ..Self::start().await }
    }

    /// The API as a client of ours sees it; it does not pause but for limits.
    pub fn api(&self) -> Api {
        let context = RunContext { api_url: self.url(), ..RunContext::default() };
        let patience = Patience { tries: 4, first: Duration::ZERO, limit: Duration::from_secs(90) };
        Api::with_patience(&context, &Secret::new(TOKEN.to_owned()), patience).unwrap()
    }

    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.with(|world| world.base))
    }

    pub fn speaks_for(&self, viewer: Viewer) {
        self.with(|world| world.viewer = viewer);
    }

    /// Lets the next request of this method and path go wrong; those that are added later go wrong later.
    pub fn fault(&self, method: Method, path: &str, fault: Fault) {
        self.with(|world| world.faults.push((method, path.to_owned(), fault)));
    }

    /// Answers `GET path`.
    pub fn answers(&self, path: &str, answer: Value) {
        self.with(|world| world.answers.insert(path.to_owned(), answer));
    }

    /// Lets a test look at the branches, or change them behind everybody's back.
    pub fn branches<T>(&self, work: impl FnOnce(&mut Branches) -> T) -> T {
        self.with(|world| work(&mut world.branches))
    }

    /// Adds a comment by `login`, and gives its id.
    pub fn comment(&self, login: &str, body: &str) -> u64 {
        self.with(|world| world.comment(login, body)["id"].as_u64().unwrap())
    }

    /// Deletes a comment behind everybody's back.
    pub fn delete_comment(&self, id: u64) {
        self.with(|world| world.comments.retain(|comment| comment["id"] != id));
    }

    /// The comments' texts whose author is `login`, in order.
    pub fn comments_of(&self, login: &str) -> Vec<String> {
        let all = self.with(|world| world.comments.clone());
        let ours = all.into_iter().filter(|comment| comment["user"]["login"] == login);
        ours.map(|comment| comment["body"].as_str().unwrap().to_owned()).collect()
    }

    /// The requests, as method and path, but for those that ask who we are.
    pub fn requests(&self) -> Vec<String> {
        let seen = self.with(|world| world.seen.clone());
        let others = seen.into_iter().filter(|seen| seen.path != "/graphql" && seen.path != "/user");
        others.map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.with(|world| world.seen.clone())
    }

    /// Nothing was asked that GitHub would not understand, and all that should go wrong did.
    pub fn finish(&self) {
        let (seen, wrong, faults) = self.with(|world| (world.seen.clone(), world.wrong.clone(), world.faults.len()));
        assert_eq!((wrong, faults), (vec![], 0), "{seen:#?}");
        for request in seen {
            assert!(request.authorized, "{request:?}");
            assert_eq!(rest_description::complaint(&request), None, "{request:?}");
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        work(&mut self.world.lock().unwrap())
    }
}

impl World {
    fn login(&self) -> &'static str {
        if let Viewer::User(login) = self.viewer { login } else { "github-actions[bot]" }
    }

    fn comment(&mut self, login: &str, body: &str) -> Value {
        let id = 1000 + self.comments.len() as u64;
        let kind = if login.ends_with("[bot]") { "Bot" } else { "User" };
        let comment = json!({
            "id": id, "body": body, "user": {"login": login, "type": kind},
            "html_url": format!("https://github.com/{REPOSITORY}/pull/{NUMBER}#issuecomment-{id}"),
        });
        self.comments.push(comment.clone());
        comment
    }

    fn fault(&mut self, method: &Method, path: &str) -> Option<Fault> {
        let place = self.faults.iter().position(|(of, at, _)| of == method && at == path)?;
        Some(self.faults.remove(place).2)
    }

    /// Does what a request asks for.
    fn carry_out(&mut self, seen: &Seen, url: &str) -> (StatusCode, HeaderMap, Value) {
        let comments = format!("/repos/{REPOSITORY}/issues/{NUMBER}/comments");
        let one = seen.path.strip_prefix(&format!("/repos/{REPOSITORY}/issues/comments/")).map(str::to_owned);
        let text = |seen: &Seen| seen.body.as_ref().unwrap()["body"].as_str().unwrap().to_owned();
        let plain = |status, value| (status, HeaderMap::new(), value);
        if let Some((status, value)) = self.branches.carry_out(seen) {
            return plain(status, value);
        }
        match (seen.method.as_str(), seen.path.as_str(), self.viewer) {
            ("GET", path, _) if path == comments => page(self.comments.clone(), seen, url),
            ("POST", path, _) if path == comments => {
                plain(StatusCode::CREATED, self.comment(self.login(), &text(seen)))
            }
            ("PATCH", _, _) if one.is_some() => {
                match self.comments.iter_mut().find(|comment| Some(comment["id"].to_string()) == one) {
                    None => absent(),
                    Some(comment) => {
                        comment["body"] = json!(text(seen));
                        plain(StatusCode::OK, comment.clone())
                    }
                }
            }
            ("POST", "/graphql", Viewer::Actions) => {
                plain(StatusCode::OK, json!({"data": {"viewer": {"login": "github-actions[bot]"}}}))
            }
            ("GET", "/user", Viewer::User(login)) => plain(StatusCode::OK, json!({"login": login, "type": "User"})),
            ("GET", "/user", _) => {
                plain(StatusCode::FORBIDDEN, json!({"message": "Resource not accessible by integration"}))
            }
            ("GET", path, _) => match self.answers.get(path) {
                Some(Value::Array(list)) => page(list.clone(), seen, url),
                Some(value) => plain(StatusCode::OK, value.clone()),
                None => absent(),
            },
            _ => absent(),
        }
    }
}

fn absent() -> (StatusCode, HeaderMap, Value) {
    (StatusCode::NOT_FOUND, HeaderMap::new(), json!({"message": "Not Found"}))
}

/// A page of a list, with the links that GitHub gives: their paths are of its own kind.
fn page(list: Vec<Value>, seen: &Seen, url: &str) -> (StatusCode, HeaderMap, Value) {
    let number = |name: &str, usual: usize| {
        let value = seen.query.iter().find(|(key, _)| key == name);
        value.map_or(usual, |(_, value)| value.parse().unwrap())
    };
    let (size, at) = (number("per_page", 30), number("page", 1));
    let mut headers = HeaderMap::new();
    if at * size < list.len() {
        let filter = seen.query.iter().filter(|(key, _)| key != "page").map(|(key, value)| format!("{key}={value}&"));
        let next =
            format!("<{url}/repositories/1{}?{}page={}>; rel=\"next\"", seen.path, filter.collect::<String>(), at + 1);
        headers.insert(header::LINK, format!("{next}, <{url}/x?page=9>; rel=\"last\"").parse().unwrap());
    }
    (StatusCode::OK, headers, list.into_iter().skip((at - 1) * size).take(size).collect())
}

async fn serve(State(world): State<Arc<Mutex<World>>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 16 << 20).await.unwrap();
    let mut world = world.lock().unwrap();
    let base = world.base;
    let seen = seen(base, &parts.method, &parts.uri, &parts.headers, &body);
    world.seen.push(seen.clone());
    world.wrong.extend(wrong(&seen, &parts.headers));
    let host = parts.headers[header::HOST].to_str().unwrap();
    let url = format!("http://{host}{base}");
    match world.fault(&seen.method, &seen.path) {
        Some(Fault::Answer(status, headers, body)) => {
            let builder = headers
                .iter()
                .fold(Response::builder().status(status), |builder, (name, value)| builder.header(*name, value));
            builder.body(body.into()).unwrap()
        }
        Some(Fault::Done(status)) => {
            world.carry_out(&seen, &url);
            Response::builder().status(status).body("<html>".into()).unwrap()
        }
        Some(Fault::DoneAndCut) => {
            world.carry_out(&seen, &url);
            cut()
        }
        Some(Fault::Cut) => cut(),
        None => {
            let (status, headers, value) = world.carry_out(&seen, &url);
            let text = match value {
                // As its bytes.
                Value::String(text) if is_blob(&seen) => text,
                value => value.to_string(),
            };
            let mut response = Response::new(Body::from(text));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            response
        }
    }
}

/// An answer that ends before its end.
fn cut() -> Response {
    let pieces = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("cut"))];
    let body = Body::from_stream(futures::stream::iter(pieces));
    Response::builder().status(200).header("content-length", "100").body(body).unwrap()
}

fn seen(base: &str, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Seen {
    let graph = base.strip_suffix("/v3").unwrap_or(base);
    // GraphQL is beside the REST API.
    let path = match uri.path().strip_prefix(graph) {
        Some("/graphql") => "/graphql".to_owned(),
        _ => uri.path().strip_prefix(base).unwrap_or("outside the API").to_owned(),
    };
    let address = reqwest::Url::parse(&format!("http://host{uri}")).unwrap();
    Seen {
        method: method.clone(),
        path,
        query: address.query_pairs().into_owned().collect(),
        body: (!body.is_empty()).then(|| serde_json::from_slice(body).unwrap()),
        authorized: headers.get_all(header::AUTHORIZATION).iter().eq([&*format!("Bearer {TOKEN}")]),
    }
}

/// Whether it asks for a file by its id.
fn is_blob(seen: &Seen) -> bool {
    seen.path.contains("/git/blobs/")
}

/// What GitHub would not like, or what its documentation asks for and is not there.
fn wrong(seen: &Seen, headers: &HeaderMap) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut must = |name: &str, expected: &str| {
        let all: Vec<_> = headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
        if all != [expected] {
            wrong.push(format!("{} {}: {name} is {all:?}", seen.method, seen.path));
        }
    };
    must("accept", if is_blob(seen) { "application/vnd.github.raw+json" } else { "application/vnd.github+json" });
    must("x-github-api-version", "2022-11-28");
    must("user-agent", "octocrab");
    if seen.body.is_some() {
        must("content-type", "application/json");
    }
    wrong
}
