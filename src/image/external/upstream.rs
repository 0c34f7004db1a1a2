//! Asks registries for manifests and blobs: a mirror first, then the registry itself, with credentials.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, Response, StatusCode, Url};

use super::credentials::{Credentials, Keyring};
use crate::registry::challenge::{Challenge, Token};
use crate::registry::{FORMS, base_of_mirror, chain, own_base};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may be silent, a blob's content included.
const SILENCE: Duration = Duration::from_secs(60);
/// Most bytes of a refusal that are passed on.
const MAX_WORDS: usize = 16 << 10;

/// A thing on a registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Thing {
    /// The registry's host with its port.
    pub(super) registry: String,
    /// The path on it.
    pub(super) repository: String,
    pub(super) what: What,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    /// By tag or digest.
    Manifest(String),
    /// By digest.
    Blob(String),
}

/// Why a thing is not to be had.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// The registry's own answer.
    Answer { status: StatusCode, retry_after: Option<String>, content_type: Option<String>, words: Vec<u8> },
    /// There is no answer, or it was broken off; why.
    Broken(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answer { status, .. } => write!(f, "{status}"),
            Self::Broken(why) => f.write_str(why),
        }
    }
}

/// Asks registries, and remembers tokens.
#[derive(Debug)]
pub(super) struct Upstream {
    http: reqwest::Client,
    mirrors: BTreeMap<String, String>,
    keyring: Keyring,
    tokens: Mutex<HashMap<String, Authorization>>,
}

/// What goes with a request.
#[derive(Clone, Debug)]
enum Authorization {
    Bearer(String),
    Basic { user: String, password: String },
}

impl Upstream {
    /// A client with these mirrors and credentials. `Err` is a reason in one line.
    pub(super) fn new(mirrors: BTreeMap<String, String>, keyring: Keyring) -> Result<Self, String> {
        // An error means that another part of the program has already chosen, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("example-validator/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .build()
            .map_err(|error| format!("no client could be made: {}", chain(&error)))?;
        Ok(Self { http, mirrors, keyring, tokens: Mutex::default() })
    }

    /// The answer with the thing in it. What a mirror says counts only if it has the thing: the truth is the registry's.
    pub(super) async fn get(&self, thing: &Thing) -> Result<Response, Refusal> {
        if let Some(mirror) = self.mirrors.get(&thing.registry) {
            let found = match base_of_mirror(mirror) {
                Ok(base) => {
                    let host = Url::parse(&base).ok().map(|url| authority(&url)).unwrap_or_default();
                    self.get_from(&base, &host, thing).await
                }
                Err(reason) => Err(Refusal::Broken(reason)),
            };
            match found {
                Ok(found) => return Ok(found),
                Err(refusal) => tracing::debug!("the mirror {mirror} has no {thing:?}: {refusal}"),
            }
        }
        self.get_from(&own_base(&thing.registry), &thing.registry, thing).await
    }

    async fn get_from(&self, base: &str, host: &str, thing: &Thing) -> Result<Response, Refusal> {
        let path = match &thing.what {
            What::Manifest(reference) => format!("manifests/{reference}"),
            What::Blob(digest) => format!("blobs/{digest}"),
        };
        let url = format!("{base}/v2/{}/{path}", thing.repository);
        let url = Url::parse(&url).map_err(|error| Refusal::Broken(format!("`{url}` is not a URL: {error}")))?;
        let request = || match thing.what {
            What::Manifest(_) => self.http.get(url.clone()).header(ACCEPT, FORMS),
            What::Blob(_) => self.http.get(url.clone()),
        };
        let key = format!("{base}/{}", thing.repository);
        let known = self.tokens.lock().ok().and_then(|tokens| tokens.get(&key).cloned());
        let mut response = sent(with(request(), known.as_ref())).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(authorization) = self.authorization(&response, host, &thing.repository).await?
        {
            if let Ok(mut tokens) = self.tokens.lock() {
                tokens.insert(key, authorization.clone());
            }
            response = sent(with(request(), Some(&authorization))).await?;
        }
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    /// What the registry's challenge asks for; `None` if nobody can give it.
    async fn authorization(
        &self,
        response: &Response,
        host: &str,
        repository: &str,
    ) -> Result<Option<Authorization>, Refusal> {
        let headers: Vec<&str> =
            response.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|header| header.to_str().ok()).collect();
        let credentials = self.keyring.of(host).await;
        if let Some(challenge) = headers.iter().find_map(|header| Challenge::parse(header)) {
            return self.token(&challenge, credentials, repository).await.map(Some);
        }
        let is_basic = headers.iter().any(|header| header.to_ascii_lowercase().starts_with("basic"));
        Ok(match credentials {
            Some(Credentials::Password { user, password }) if is_basic => Some(Authorization::Basic { user, password }),
            _ => None,
        })
    }

    async fn token(
        &self,
        challenge: &Challenge,
        credentials: Option<Credentials>,
        repository: &str,
    ) -> Result<Authorization, Refusal> {
        let url = challenge.token_url(repository).map_err(Refusal::Broken)?;
        let request = match credentials {
            None => self.http.get(url),
            Some(Credentials::Password { user, password }) => self.http.get(url).basic_auth(user, Some(password)),
            Some(Credentials::Identity(token)) => {
                let fields =
                    [("grant_type", "refresh_token"), ("client_id", "example-validator"), ("refresh_token", &token)];
                let mut form = url.clone();
                form.query_pairs_mut().extend_pairs(fields);
                let body = form.query().unwrap_or_default().to_owned();
                let mut url = url;
                url.set_query(None);
                self.http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
            }
        };
        let response = sent(request).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let token: Token = response
            .json()
            .await
            .map_err(|error| Refusal::Broken(format!("the registry's token can't be read: {}", chain(&error))))?;
        let token = token.into_text().ok_or_else(|| Refusal::Broken("the token server gave no token".to_owned()))?;
        Ok(Authorization::Bearer(token))
    }
}

fn with(request: RequestBuilder, authorization: Option<&Authorization>) -> RequestBuilder {
    match authorization {
        None => request,
        Some(Authorization::Bearer(token)) => request.bearer_auth(token),
        Some(Authorization::Basic { user, password }) => request.basic_auth(user, Some(password)),
    }
}

async fn sent(request: RequestBuilder) -> Result<Response, Refusal> {
    request.send().await.map_err(|error| Refusal::Broken(chain(&error)))
}

async fn refusal(mut response: Response) -> Refusal {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    let (status, retry_after, content_type) = (response.status(), header(RETRY_AFTER), header(CONTENT_TYPE));
    let mut words = Vec::new();
    while words.len() < MAX_WORDS {
        match response.chunk().await {
            Ok(Some(chunk)) => words.extend_from_slice(&chunk),
            _ => break,
        }
    }
    words.truncate(MAX_WORDS);
    Refusal::Answer { status, retry_after, content_type, words }
}

/// Host and port, as registries are named.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
