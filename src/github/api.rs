//! GitHub's REST API, through octocrab.
//!
//! octocrab composes requests (base address, token, API version) over the HTTP client that the rest of the program uses, proxies of
//! the environment included. What it would do by itself is left out and done here, where it can be seen: it tries every
//! request again at once (which posts a comment twice), and it follows redirects.
//!
//! Sources: <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>,
//! <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>.

mod answer;
mod download;
mod error;
mod pages;
mod patience;
mod route;
#[cfg(test)]
mod tests;

use std::time::Duration;

use http::header::ACCEPT;
use http::{HeaderValue, Method};
use jiff::Timestamp;
use octocrab::Octocrab;
use reqwest::{Client, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::http_client;
use crate::settings::{RunContext, Secret};
use answer::Answer;
pub use download::Downloaded;
pub use error::{Error, Result};
pub use pages::Pages;
pub use patience::Patience;
pub use route::{query, repository_route};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a request for JSON may take as a whole.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a request is sent on to another address of the same server.
const MAX_REDIRECTS: usize = 3;
/// The form of answers that GitHub recommends.
const MEDIA_TYPE: &str = "application/vnd.github+json";
/// The form of answers that are a file's bytes, whatever its size.
const RAW_MEDIA_TYPE: &str = "application/vnd.github.raw+json";

/// The REST API, as one token sees it.
#[derive(Clone, Debug)]
pub struct Api {
    crab: Octocrab,
    /// The same token at GraphQL, which is beside the REST API.
    graph: Octocrab,
    /// The client below both, which knows no token: for signed addresses elsewhere.
    bare: Client,
    base: Url,
    patience: Patience,
}

impl Api {
    /// The API at `context.api_url`: GitHub's own, an Enterprise Server's (`https://host/api/v3`), or one on this machine.
    ///
    /// # Errors
    /// [`Error::Unusable`] when the address is none, when the token can't be in a header, and outside a Tokio runtime (octocrab needs
    /// one).
    pub fn new(context: &RunContext, token: &Secret) -> Result<Self> {
        Self::with_patience(context, token, Patience::default())
    }

    /// The same, with another measure of patience.
    ///
    /// # Errors
    /// As [`Api::new`].
    pub fn with_patience(context: &RunContext, token: &Secret, patience: Patience) -> Result<Self> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::Unusable("it was asked for outside a Tokio runtime".to_owned()));
        }
        let base = base(&context.api_url)?;
        let token = token.reveal().trim();
        // With such a one octocrab would panic.
        if token.is_empty() || HeaderValue::from_str(&format!("Bearer {token}")).is_err() {
            return Err(Error::Unusable("the token is empty, or holds what no header can".to_owned()));
        }
        let client = client()?;
        Ok(Self {
            crab: crab(&base, token, client.clone())?,
            graph: crab(&graph_base(&base), token, client.clone())?,
            bare: client,
            base,
            patience,
        })
    }

    /// What `GET route` answers. A route begins with `/` and may have a query, see [`repository_route`] and [`query`].
    ///
    /// # Errors
    /// As [`Error`] tells them; tried again while that may help.
    pub async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T> {
        self.send(Method::GET, route, None::<&()>).await?.json(route)
    }

    /// The bytes of the file or blob that `GET route` answers, at most 64 MiB.
    ///
    /// # Errors
    /// As [`Error`] tells them; tried again while that may help.
    pub async fn raw(&self, route: &str) -> Result<Vec<u8>> {
        self.send_for(RAW_MEDIA_TYPE, Method::GET, route, None::<&()>).await.map(|answer| answer.body)
    }

    /// What `PATCH route` answers. It is tried again: the body says what shall be, so that twice is as good as once.
    ///
    /// # Errors
    /// As [`Error`] tells them.
    pub async fn patch<B: Serialize + Sync, T: DeserializeOwned>(&self, route: &str, body: &B) -> Result<T> {
        self.send(Method::PATCH, route, Some(body)).await?.json(route)
    }

    /// What `POST route` answers. It is tried again only when it can't have been carried out: ask the error
    /// ([`Error::may_have_been_done`]) before posting the same again.
    ///
    /// # Errors
    /// As [`Error`] tells them.
    pub async fn post<B: Serialize + Sync, T: DeserializeOwned>(&self, route: &str, body: &B) -> Result<T> {
        self.send(Method::POST, route, Some(body)).await?.json(route)
    }

    /// Deletes what is at `route`.
    ///
    /// # Errors
    /// As [`Error`] tells them. [`Error::NotFound`] may mean that a first try did it whose answer was lost.
    pub async fn delete(&self, route: &str) -> Result<()> {
        self.send(Method::DELETE, route, None::<&()>).await.map(drop)
    }

    /// The login of whom the token speaks for: a user, or an app (`github-actions[bot]` for a job's own token). REST tells users alone.
    ///
    /// Source: <https://docs.github.com/en/graphql/reference/queries#viewer>.
    ///
    /// # Errors
    /// As [`Error`] tells them.
    pub async fn viewer(&self) -> Result<String> {
        let graph = Self { crab: self.graph.clone(), ..self.clone() };
        let answer: Value = graph.post("/graphql", &json!({"query": "query { viewer { login } }"})).await?;
        let login = answer.pointer("/data/viewer/login").and_then(Value::as_str);
        login
            .map(str::to_owned)
            .ok_or_else(|| Error::Unreadable { route: "/graphql".to_owned(), message: "it names no viewer".to_owned() })
    }

    /// How patient it is.
    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    /// A request until it is answered, or until trying again can't help.
    async fn send<B: Serialize + Sync>(&self, method: Method, route: &str, body: Option<&B>) -> Result<Answer> {
        self.send_for(MEDIA_TYPE, method, route, body).await
    }

    /// The same, for an answer in this form.
    async fn send_for<B: Serialize + Sync>(
        &self,
        form: &'static str,
        method: Method,
        route: &str,
        body: Option<&B>,
    ) -> Result<Answer> {
        let mut tried = 0;
        loop {
            let error = match self.once(form, &method, route, body).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            tried += 1;
            let pause = self.patience.pause(&error, method.is_idempotent() || method == Method::PATCH, tried);
            let Some(pause) = pause else { return Err(error) };
            tracing::debug!("{method} {route}: {error}; trying again in {pause:?}");
            tokio::time::sleep(pause).await;
        }
    }

    /// One request, sent on to where its server says that the thing is now: a renamed repository.
    async fn once<B: Serialize + Sync>(
        &self,
        form: &'static str,
        method: &Method,
        route: &str,
        body: Option<&B>,
    ) -> Result<Answer> {
        let mut address = route.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let request = self.ask(form, method, &address, body);
            let answer = tokio::time::timeout(REQUEST_TIMEOUT, async { Answer::read(request.await?).await }).await;
            let answer = answer.unwrap_or_else(|_| Err(Error::timeout()))?;
            match answer.moved_to(&self.base) {
                Some(elsewhere) => address = elsewhere,
                None => return answer.good(route, Timestamp::now()),
            }
        }
        Err(Error::Answered { status: 310, message: format!("{route} is sent from one address to another") })
    }

    /// A single request, whose answer is still to be read.
    async fn ask<B: Serialize + Sync>(
        &self,
        form: &'static str,
        method: &Method,
        address: &str,
        body: Option<&B>,
    ) -> Result<reqwest::Response> {
        let builder = http::request::Builder::new().method(method.clone()).uri(address).header(ACCEPT, form);
        let request = self.crab.build_request(builder, body).map_err(|error| Error::Unusable(error.to_string()))?;
        let response = self.crab.execute(request).await.map_err(|error| Error::unreachable(&error))?;
        Ok(reqwest::Response::from(response.map(reqwest::Body::wrap)))
    }
}

/// The address of an API, as the runner gives it.
fn base(address: &str) -> Result<Url> {
    let unusable = |what: &str| Error::Unusable(format!("`{address}` {what}"));
    let url = Url::parse(address).map_err(|error| unusable(&format!("is not a URL: {error}")))?;
    match (url.scheme(), url.host_str()) {
        ("https" | "http", Some(_)) if url.query().is_none() => Ok(url),
        _ => Err(unusable("is not an API's address: expected `https://host` and a path")),
    }
}

/// Where GraphQL is: an Enterprise Server has it beside the REST API, not below it.
fn graph_base(base: &Url) -> Url {
    let mut graph = base.clone();
    if let Some(above) = base.path().trim_end_matches('/').strip_suffix("/v3") {
        graph.set_path(above);
    }
    graph
}

fn crab(base: &Url, token: &str, client: Client) -> Result<Octocrab> {
    let builder = Octocrab::builder()
        .base_uri(base.as_str())
        .map(|builder| builder.personal_token(token.to_owned()).build_with_reqwest(client));
    builder.flatten().map_err(|error| Error::Unusable(crate::error::chain(&error)))
}

fn client() -> Result<Client> {
    http_client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(SILENCE)
        .redirect(reqwest::redirect::Policy::none())
        // Another patience than ours would hide what was tried.
        .retry(reqwest::retry::never())
        .build()
        .map_err(|error| Error::Unusable(crate::error::chain(&error)))
}
