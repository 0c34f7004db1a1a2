//! Asks registries for manifests and blobs: a mirror first, then the registry itself, with credentials.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, Response, StatusCode, Url};

use super::credentials::{Credentials, Keyring};
use crate::http_client;
use crate::registry::challenge::{Challenge, Token};
use crate::registry::{FORMS, base_of_mirror, chain, is_near, own_base};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may be silent, a blob's content included.
const SILENCE: Duration = Duration::from_secs(60);
/// Most times that a registry may send us on.
const MAX_REDIRECTS: usize = 10;
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
    /// There is no way to the registry: its host has no address, or takes no connection; why.
    Unreachable(String),
    /// There is no answer, or it was broken off, or is none that counts; why.
    Broken(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answer { status, .. } => write!(f, "{status}"),
            Self::Unreachable(why) | Self::Broken(why) => f.write_str(why),
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
        let http = http_client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::custom(redirect))
            .build()
            .map_err(|error| format!("no client could be made: {}", chain(&error)))?;
        Ok(Self { http, mirrors, keyring, tokens: Mutex::default() })
    }

    /// Whether only we may get something of a registry: the nodes have neither its mirror nor its credentials.
    pub(super) async fn is_ours(&self, registry: &str) -> bool {
        self.has_mirror(registry) || self.keyring.of(registry).await.is_some()
    }

    /// Whether the config has a mirror of it.
    pub(super) fn has_mirror(&self, registry: &str) -> bool {
        self.mirrors.contains_key(registry)
    }

    /// The answer with the thing in it. What a mirror says counts only if it has the thing, or nobody else says anything: the
    /// truth is the registry's.
    pub(super) async fn get(&self, thing: &Thing) -> Result<Response, Refusal> {
        let mut of_mirror = None;
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
                Err(refusal) => {
                    tracing::debug!("the mirror {mirror} has no {thing:?}: {refusal}");
                    of_mirror = Some(refusal);
                }
            }
        }
        match (self.get_from(&own_base(&thing.registry), &thing.registry, thing).await, of_mirror) {
            (Err(Refusal::Unreachable(_) | Refusal::Broken(_)), Some(answer @ Refusal::Answer { .. })) => Err(answer),
            (found, _) => found,
        }
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
        // Who the registry sent us on to does not get what is the registry's.
        if response.status() == StatusCode::UNAUTHORIZED
            && response.url().origin() == url.origin()
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
        // Who gives out tokens may be another host: no way to it says nothing of the registry.
        let response = sent(request).await.map_err(|refusal| match refusal {
            Refusal::Unreachable(why) => Refusal::Broken(format!("the token server gives no answer: {why}")),
            refusal => refusal,
        })?;
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
    let (client, request) = request.build_split();
    let request = request.map_err(|error| Refusal::Broken(chain(&error)))?;
    let asked = request.url().origin();
    client.execute(request).await.map_err(|error| {
        // The host that it sends us on to may be the one to which there is no way.
        let is_its_own = error.url().is_none_or(|url| url.origin() == asked);
        if error.is_connect() && is_its_own {
            Refusal::Unreachable(chain(&error))
        } else {
            Refusal::Broken(chain(&error))
        }
    })
}

/// Where a registry may send us on to: anywhere over a safe line, over an open one only to itself; and never to this machine or what
/// only this machine sees (metadata of a cloud), unless it is there itself.
fn redirect(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error("too many redirects");
    }
    let is_fine = attempt.previous().first().is_some_and(|first| may_follow(first, attempt.url()));
    if is_fine { attempt.follow() } else { attempt.error("it sends on to an address that is not safe to ask") }
}

fn may_follow(first: &Url, next: &Url) -> bool {
    let is_safe = match next.scheme() {
        "https" => true,
        "http" => first.scheme() == "http" && first.host_str() == next.host_str(),
        _ => false,
    };
    is_safe && (!is_near(next) || is_near(first))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_sends_on_only_over_safe_lines_and_never_into_this_machine() {
        for (first, next, expected) in [
            ("https://a.example/x", "https://cdn.example/y", true),
            ("https://a.example/x", "http://a.example/y", false),
            ("https://a.example/x", "https://169.254.169.254/latest", false),
            ("https://a.example/x", "https://localhost:6443/", false),
            ("https://a.example/x", "https://[::ffff:127.0.0.1]/", false),
            ("https://a.example/x", "file:///etc/passwd", false),
            ("http://127.0.0.1:5000/x", "http://127.0.0.1:5001/y", true),
            ("http://127.0.0.1:5000/x", "http://cdn.example/y", false),
        ] {
            let url = |text: &str| Url::parse(text).unwrap();
            assert_eq!(may_follow(&url(first), &url(next)), expected, "{first} -> {next}");
        }
    }
}
