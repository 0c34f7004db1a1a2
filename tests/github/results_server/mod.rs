//! The results service on this machine: Twirp calls, and blobs by signed addresses. It does what GitHub does, or act's server, and
//! refuses what either would only suffer.

pub mod artifacts;
pub mod blobs;
mod twirp;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use example_validator::settings::{Secret, Services};
use serde_json::{Value as Json, json};

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// GitHub's: snake case, blocks by their ids.
    GitHub,
    /// act's: camel case, blocks as they come, no ranges, names that may be taken twice.
    Act,
}

/// What goes wrong with one request. It is named by its method (`CreateArtifact`), or what it does with a blob: `block`,
/// `blocklist`, `blob`, `get`.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status, nothing done.
    Status(u16),
    /// A status that asks to wait for so many seconds, nothing done.
    Wait(u16, u32),
    /// An error as Twirp has it, nothing done.
    Twirp(u16, &'static str, &'static str),
    /// Done, but the answer gets lost on its way.
    Lost,
    /// Done, but the answer is broken: cut off after so many bytes.
    Cut(usize),
    /// Another answer, nothing done.
    Text(u16, &'static str),
}

/// A request, read whole.
pub struct Asked {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The pairs of the query, decoded.
    pub fn query(&self) -> HashMap<String, String> {
        let url = reqwest::Url::parse(&format!("http://x{}", self.uri)).unwrap();
        url.query_pairs().into_owned().collect()
    }
}

/// What the server knows. A service adds its own.
pub struct World {
    pub mode: Mode,
    pub url: String,
    pub token: String,
    pub run: String,
    pub job: String,
    pub blobs: blobs::Blobs,
    pub artifacts: artifacts::Artifacts,
    faults: HashMap<String, VecDeque<Fault>>,
    /// What was asked for, in turn.
    pub asked: Vec<String>,
    /// What was wrong with requests, other than what a fault made of them.
    pub complaints: Vec<String>,
}

impl World {
    /// Notes what is wrong with a request.
    pub fn complain(&mut self, what: impl Into<String>) {
        self.complaints.push(what.into());
    }
}

/// The server. It ends with the runtime.
pub struct Server {
    world: Arc<Mutex<World>>,
    gate: Arc<Gate>,
}

/// Lets blocks in only in company, if that is asked for, and counts how many are there at once.
#[derive(Default)]
struct Gate {
    company: Mutex<Option<Arc<tokio::sync::Barrier>>>,
    now: Mutex<(usize, usize)>,
}

impl Server {
    pub async fn start(mode: Mode) -> Self {
        Self::start_as(mode, "job").await
    }

    /// The server as a job of this id sees it.
    pub async fn start_as(mode: Mode, job: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (run, job) = if mode == Mode::Act { ("1", "1") } else { ("ce7f54c7-61c7", job) };
        let world = Arc::new(Mutex::new(World {
            mode,
            url,
            token: token(run, job),
            run: run.to_owned(),
            job: job.to_owned(),
            blobs: blobs::Blobs::default(),
            artifacts: artifacts::Artifacts::default(),
            faults: HashMap::new(),
            asked: Vec::new(),
            complaints: Vec::new(),
        }));
        let gate = Arc::new(Gate::default());
        let app = Router::new().fallback(answer).with_state((Arc::clone(&world), Arc::clone(&gate)));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { world, gate }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// What the runner gives a job.
    pub fn services(&self) -> Services {
        let world = self.world();
        Services {
            token: Some(Secret::new(world.token.clone())),
            results_url: Some(format!("{}/", world.url)),
            ..Services::default()
        }
    }

    /// Lets the next requests of this name go wrong, one fault each.
    pub fn fail(&self, name: &str, faults: impl IntoIterator<Item = Fault>) {
        self.world().faults.entry(name.to_owned()).or_default().extend(faults);
    }

    /// Answers no block before so many are there for the first time.
    pub fn hold_blocks_until(&self, count: usize) {
        *self.gate.company.lock().unwrap() = Some(Arc::new(tokio::sync::Barrier::new(count)));
    }

    /// Most blocks that were there at once.
    pub fn most_blocks_at_once(&self) -> usize {
        self.gate.now.lock().unwrap().1
    }

    /// The names of the requests so far, in turn.
    pub fn asked(&self) -> Vec<String> {
        self.world().asked.clone()
    }

    /// That no request was wrong, and that every fault that was wished for has happened.
    pub fn assert_satisfied(&self) {
        let world = self.world();
        assert_eq!(world.complaints, Vec::<String>::new());
        assert!(world.faults.values().all(VecDeque::is_empty), "faults that never happened: {:?}", world.faults);
    }
}

/// A token as the runner gives it.
pub fn token(run: &str, job: &str) -> String {
    let payload = json!({"scp": format!("Actions.GenericRead:0 Actions.Results:{run}:{job}"), "exp": 1});
    format!("eyJhbGciOiJSUzI1NiJ9.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(payload.to_string()))
}

type Shared = (Arc<Mutex<World>>, Arc<Gate>);

async fn answer(State((world, gate)): State<Shared>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let asked = Asked { method: parts.method, uri: parts.uri, headers: parts.headers, body };
    let name = name(&asked);
    if name == "block" {
        gate.enter().await;
    }
    let response = decide(&mut world.lock().unwrap(), &name, &asked);
    if name == "block" {
        gate.now.lock().unwrap().0 -= 1;
    }
    response
}

impl Gate {
    async fn enter(&self) {
        {
            let mut now = self.now.lock().unwrap();
            now.0 += 1;
            now.1 = now.1.max(now.0);
        }
        let company = self.company.lock().unwrap().clone();
        if let Some(company) = company {
            company.wait().await;
            *self.company.lock().unwrap() = None;
        }
    }
}

/// What a request is called in faults and in the list of what was asked for.
fn name(asked: &Asked) -> String {
    let path = asked.uri.path();
    if !path.starts_with(blobs::PATH) {
        return path.rsplit('/').next().unwrap().to_owned();
    }
    match (asked.method.as_str(), asked.query().get("comp")) {
        ("PUT", Some(comp)) => comp.clone(),
        ("PUT", None) => "blob".to_owned(),
        (method, _) => method.to_lowercase(),
    }
}

fn decide(world: &mut World, name: &str, asked: &Asked) -> Response<Body> {
    world.asked.push(name.to_owned());
    let fault = world.faults.get_mut(name).and_then(VecDeque::pop_front);
    let (status, text) = match &fault {
        None | Some(Fault::Lost | Fault::Cut(_)) => {
            let done = route(world, asked);
            return match fault {
                Some(Fault::Lost) => empty(502),
                Some(Fault::Cut(after)) => cut(done, after),
                _ => done,
            };
        }
        Some(Fault::Status(status)) => (*status, String::new()),
        Some(Fault::Wait(status, seconds)) => {
            let mut response = empty(*status);
            response.headers_mut().insert("retry-after", seconds.to_string().parse().unwrap());
            return response;
        }
        Some(Fault::Twirp(status, code, message)) => return twirp_error(*status, code, message),
        Some(Fault::Text(status, text)) => (*status, (*text).to_owned()),
    };
    response(status, Body::from(text))
}

fn route(world: &mut World, asked: &Asked) -> Response<Body> {
    if asked.uri.path().starts_with(blobs::PATH) {
        return blobs::answer(world, asked);
    }
    twirp::answer(world, asked)
}

pub fn response(status: u16, body: Body) -> Response<Body> {
    Response::builder().status(StatusCode::from_u16(status).unwrap()).body(body).unwrap()
}

pub fn empty(status: u16) -> Response<Body> {
    response(status, Body::empty())
}

/// An answer of Twirp's, in the spelling of the server.
pub fn twirp_answer(mode: Mode, answer: Json) -> Response<Body> {
    let answer = if mode == Mode::Act { twirp::in_camel_case(answer) } else { answer };
    let mut response = response(200, Body::from(answer.to_string()));
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    response
}

/// An error of Twirp's.
pub fn twirp_error(status: u16, code: &str, message: &str) -> Response<Body> {
    let mut response = response(status, Body::from(json!({"code": code, "msg": message}).to_string()));
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    response
}

/// The same answer, broken off.
fn cut(response: Response<Body>, after: usize) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let chunks = futures::StreamExt::flat_map(body.into_data_stream(), move |chunk| {
        let chunk = chunk.unwrap();
        let start = chunk.slice(..after.min(chunk.len()));
        futures::stream::iter([Ok(start), Err(std::io::Error::other("cut"))])
    });
    Response::from_parts(parts, Body::from_stream(chunks))
}
