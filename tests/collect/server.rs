//! GitHub's side of a fan-out, strict: the results service, the storage behind signed addresses, and the REST API. What it does not
//! expect is noted, and fails the test that asks for it.

use std::collections::HashMap;
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use serde_json::{Value, json};

pub const TOKEN: &str = "ghs_canary";
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub const RUN: u64 = 7;

/// An artifact that is there.
struct Stored {
    id: u64,
    name: String,
    zip: Vec<u8>,
    expired: bool,
    /// Whether the results service does not list it.
    unlisted: bool,
    /// Whether the results service says that it knows nothing of its workflow run.
    forgotten: bool,
}

impl Stored {
    fn new(id: u64, name: String, zip: Vec<u8>) -> Self {
        Self { id, name, zip, expired: false, unlisted: false, forgotten: false }
    }
}

/// A comment on a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    pub number: u64,
    pub body: String,
}

#[derive(Default)]
struct State {
    url: String,
    artifacts: Vec<Stored>,
    /// What is being sent, by its name.
    uploads: HashMap<String, Vec<u8>>,
    /// Answers of the REST API, by path and query.
    answers: HashMap<String, Value>,
    comments: Vec<Comment>,
    /// Whether the storage knows parts.
    parts: bool,
    /// Whether the results service is there.
    results: bool,
    strange: Vec<String>,
    asked: Vec<String>,
    served: usize,
}

pub struct Server {
    pub url: String,
    state: Arc<Mutex<State>>,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = State { url: url.clone(), parts: true, results: true, ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let app = axum::Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let shared = Arc::clone(&shared);
            async move { answer(&mut shared.lock().unwrap(), &method, &uri, &headers, &body) }
        });
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, state, _runtime: runtime }
    }

    /// The storage has no parts to give.
    pub fn without_parts(self) -> Self {
        self.state.lock().unwrap().parts = false;
        self
    }

    /// There is no results service.
    pub fn without_results(self) -> Self {
        self.state.lock().unwrap().results = false;
        self
    }

    /// Has an artifact; later ones have greater numbers.
    pub fn has(&self, name: &str, zip: Vec<u8>) {
        let mut state = self.state.lock().unwrap();
        let id = 100 + state.artifacts.len() as u64;
        state.artifacts.push(Stored::new(id, name.to_owned(), zip));
    }

    /// The artifact is known, its content is gone.
    pub fn expires(&self, name: &str) {
        let mut state = self.state.lock().unwrap();
        state.artifacts.iter_mut().filter(|stored| stored.name == name).for_each(|stored| stored.expired = true);
    }

    /// The results service lists the artifact, and does not find its workflow run: so it is said to answer of what the attempt before left.
    pub fn forgets(&self, name: &str) {
        let mut state = self.state.lock().unwrap();
        state.artifacts.iter_mut().filter(|stored| stored.name == name).for_each(|stored| stored.forgotten = true);
    }

    /// The results service does not even list it.
    pub fn lists_not(&self, name: &str) {
        let mut state = self.state.lock().unwrap();
        state.artifacts.iter_mut().filter(|stored| stored.name == name).for_each(|stored| stored.unlisted = true);
    }

    /// The comments that were written.
    pub fn comments(&self) -> Vec<Comment> {
        self.state.lock().unwrap().comments.clone()
    }

    /// Answers a request to the REST API (its path after `/repos/o/r`, and its query) with this.
    pub fn answers(&self, route: &str, answer: Value) {
        self.state.lock().unwrap().answers.insert(route.to_owned(), answer);
    }

    pub fn names(&self) -> Vec<String> {
        self.state.lock().unwrap().artifacts.iter().map(|stored| stored.name.clone()).collect()
    }

    /// Every request that came, as method and path.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    /// How many bytes of artifacts were served.
    pub fn served(&self) -> usize {
        self.state.lock().unwrap().served
    }

    /// Nothing came that was not expected.
    pub fn assert_content(&self) {
        assert_eq!(self.state.lock().unwrap().strange, [""; 0]);
    }

    /// The program as a step of workflow run 7 of `o/r`, in `root`.
    pub fn step(&self, root: &Path, event: &str, payload: &Value) -> Command {
        let path = root.join("event.json");
        std::fs::write(&path, payload.to_string()).unwrap();
        let mut command = crate::program::program(root);
        command
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_EVENT_NAME", event)
            .env("GITHUB_EVENT_PATH", path)
            .env("GITHUB_REPOSITORY", "o/r")
            .env("GITHUB_SHA", COMMIT)
            .env("GITHUB_RUN_ID", RUN.to_string())
            .env("GITHUB_WORKSPACE", root)
            .env("GITHUB_SERVER_URL", "https://github.com")
            .env("GITHUB_API_URL", format!("{}/api", self.url))
            .env("ACTIONS_RESULTS_URL", format!("{}/", self.url))
            .env("ACTIONS_RUNTIME_TOKEN", runtime_token());
        command
    }
}

pub fn zip<'a>(files: impl Iterator<Item = (&'a str, Vec<u8>)>) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(&content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn runtime_token() -> String {
    let payload = json!({"scp": "Actions.Results:run-be:job-be"}).to_string();
    format!("e30.{}.sig", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload))
}

fn answer(state: &mut State, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
    let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
    state.asked.push(format!("{method} {path}"));
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let bearer = |token: &str| authorization.as_deref() == Some(&format!("Bearer {token}"));
    let found = match (method, path.as_str()) {
        (&Method::POST, path) if path.starts_with("/twirp/") && bearer(&runtime_token()) => results(state, path, body),
        (&Method::GET, path) if path.starts_with("/blob/") && authorization.is_none() => {
            blob(state, path, &query, headers)
        }
        (&Method::PUT, path) if path.starts_with("/upload/") && authorization.is_none() => {
            upload(state, path, &query, body)
        }
        (&Method::POST, "/api/graphql") if bearer(TOKEN) => {
            Some(text(&json!({"data": {"viewer": {"login": "github-actions[bot]"}}})))
        }
        (_, path) if path.starts_with("/api/repos/o/r/issues/") && bearer(TOKEN) => comment(state, method, path, body),
        (&Method::GET, path) if path.starts_with("/api/") && bearer(TOKEN) => rest(state, path, &query),
        _ => None,
    };
    found.unwrap_or_else(|| {
        state.strange.push(format!("{method} {uri} {authorization:?}"));
        StatusCode::NOT_FOUND.into_response()
    })
}

fn text(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn results(state: &mut State, path: &str, body: &[u8]) -> Option<Response> {
    if !state.results {
        return Some(StatusCode::NOT_FOUND.into_response());
    }
    let method = path.strip_prefix("/twirp/github.actions.results.api.v1.ArtifactService/")?;
    let body: Value = serde_json::from_slice(body).ok()?;
    let name = body["name"].as_str().map(str::to_owned);
    let ids = (body["workflow_run_backend_id"].as_str()?, body["workflow_job_run_backend_id"].as_str()?);
    match method {
        "ListArtifacts" if ids == ("run-be", "job-be") => {
            let listed = state.artifacts.iter().filter(|stored| !stored.unlisted).map(|stored| {
                json!({"workflowRunBackendId": "run-be", "workflowJobRunBackendId": format!("job-{}", stored.id),
                    "databaseId": stored.id.to_string(), "name": stored.name, "size": stored.zip.len().to_string()})
            });
            Some(text(&json!({"artifacts": listed.collect::<Vec<_>>()})))
        }
        "GetSignedArtifactURL" => {
            let stored = state.artifacts.iter().find(|stored| ids.1 == format!("job-{}", stored.id))?;
            assert_eq!(name.as_deref(), Some(stored.name.as_str()));
            if stored.forgotten {
                let unknown = json!({"code": "not_found", "msg": "workflow run not found"});
                return Some((StatusCode::NOT_FOUND, text(&unknown)).into_response());
            }
            Some(text(&json!({"signedUrl": format!("{}/blob/{}?sig=s%2F{}", state.url, stored.id, stored.id)})))
        }
        "CreateArtifact" if body["version"] == 4 => {
            let name = name?;
            if state.artifacts.iter().any(|stored| stored.name == name) {
                let taken = json!({"code": "already_exists", "msg": "an artifact with this name already exists"});
                return Some((StatusCode::CONFLICT, text(&taken)).into_response());
            }
            state.uploads.insert(name.clone(), Vec::new());
            Some(text(&json!({"ok": true, "signedUploadUrl": format!("{}/upload/{name}?sig=up", state.url)})))
        }
        "FinalizeArtifact" => {
            let zip = state.uploads.remove(&name.clone()?)?;
            assert_eq!(body["size"], zip.len().to_string());
            let id = 100 + state.artifacts.len() as u64;
            state.artifacts.push(Stored::new(id, name?, zip));
            Some(text(&json!({"ok": true, "artifactId": id.to_string()})))
        }
        _ => None,
    }
}

fn upload(state: &mut State, path: &str, query: &str, body: &[u8]) -> Option<Response> {
    let sent = state.uploads.get_mut(path.strip_prefix("/upload/")?).filter(|_| query.contains("sig=up"))?;
    if query.contains("comp=block&") || query.ends_with("comp=block") {
        sent.extend_from_slice(body);
    } else if !query.contains("comp=blocklist") {
        return None;
    }
    Some(StatusCode::CREATED.into_response())
}

fn blob(state: &mut State, path: &str, query: &str, headers: &HeaderMap) -> Option<Response> {
    let id: u64 = path.strip_prefix("/blob/")?.parse().ok()?;
    if query != format!("sig=s%2F{id}") {
        return Some(StatusCode::FORBIDDEN.into_response());
    }
    let zip = &state.artifacts.iter().find(|stored| stored.id == id)?.zip;
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok()).filter(|_| state.parts);
    let Some(range) = range else {
        state.served += zip.len();
        return Some(zip.clone().into_response());
    };
    let (start, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (start, last): (usize, usize) = (start.parse().ok()?, last.parse().ok()?);
    if start >= zip.len() || headers.get(header::IF_MATCH).is_some_and(|tag| tag != "\"v1\"") {
        return Some(StatusCode::RANGE_NOT_SATISFIABLE.into_response());
    }
    let last = last.min(zip.len() - 1);
    state.served += last + 1 - start;
    let range = format!("bytes {start}-{last}/{}", zip.len());
    let headers = [(header::CONTENT_RANGE, range), (header::ETAG, "\"v1\"".to_owned())];
    Some((StatusCode::PARTIAL_CONTENT, headers, zip[start..=last].to_vec()).into_response())
}

/// Two artifacts a page, so that pages matter.
fn rest(state: &State, path: &str, query: &str) -> Option<Response> {
    let route = path.strip_prefix("/api/repos/o/r")?;
    if route == format!("/actions/runs/{RUN}/artifacts") {
        assert!(query.contains("per_page=100"), "{query}");
        let page: usize =
            query.split('&').find_map(|pair| pair.strip_prefix("page=")).map_or(1, |page| page.parse().unwrap());
        let listed = state.artifacts.iter().rev().skip(2 * (page - 1)).take(2).map(|stored| {
            json!({"id": stored.id, "name": stored.name, "size_in_bytes": stored.zip.len(), "expired": stored.expired})
        });
        let body = text(&json!({"total_count": state.artifacts.len(), "artifacts": listed.collect::<Vec<_>>()}));
        if 2 * page >= state.artifacts.len() {
            return Some(body);
        }
        let next = format!("<{}{path}?per_page=100&page={}>; rel=\"next\"", state.url, page + 1);
        return Some(([(header::LINK, next)], body).into_response());
    }
    if let Some(id) = route.strip_prefix("/actions/artifacts/").and_then(|rest| rest.strip_suffix("/zip")) {
        let stored = state.artifacts.iter().find(|stored| stored.id.to_string() == id)?;
        if stored.expired {
            return Some((StatusCode::GONE, text(&json!({"message": "Artifact has expired"}))).into_response());
        }
        let location = format!("{}/blob/{id}?sig=s%2F{id}", state.url);
        return Some((StatusCode::FOUND, [(header::LOCATION, location)]).into_response());
    }
    let asked = if query.is_empty() { route.to_owned() } else { format!("{route}?{query}") };
    match state.answers.get(&asked) {
        Some(Value::Null) => Some((StatusCode::NOT_FOUND, text(&json!({"message": "Not Found"}))).into_response()),
        answer => answer.map(text),
    }
}

fn comment(state: &mut State, method: &Method, path: &str, body: &[u8]) -> Option<Response> {
    let route = path.strip_prefix("/api/repos/o/r/issues/")?;
    let told = |id: usize, comment: &Comment| {
        let user = json!({"login": "github-actions[bot]", "type": "Bot"});
        json!({"id": id, "html_url": format!("https://github.com/c/{id}"), "body": comment.body, "user": user})
    };
    let text_of = |body: &[u8]| Some(serde_json::from_slice::<Value>(body).ok()?["body"].as_str()?.to_owned());
    if let (&Method::PATCH, Some(id)) = (method, route.strip_prefix("comments/")) {
        let id: usize = id.parse().ok()?;
        state.comments.get_mut(id)?.body = text_of(body)?;
        return Some(text(&told(id, &state.comments[id])));
    }
    let number: u64 = route.strip_suffix("/comments")?.parse().ok()?;
    let all = state.comments.iter().enumerate().filter(|(_, comment)| comment.number == number);
    match *method {
        Method::GET => Some(text(&all.map(|(id, comment)| told(id, comment)).collect())),
        Method::POST => {
            state.comments.push(Comment { number, body: text_of(body)? });
            let id = state.comments.len() - 1;
            Some((StatusCode::CREATED, text(&told(id, &state.comments[id]))).into_response())
        }
        _ => None,
    }
}
