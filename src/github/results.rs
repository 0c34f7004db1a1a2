//! The results service that is behind artifacts and cache: Twirp over HTTP, and blobs by signed addresses.
//!
//! Protocol: <https://github.com/actions/toolkit/tree/main/packages/artifact/src>; Twirp:
//! <https://twitchtv.github.io/twirp/docs/spec_v7.html>. Requests are in snake case; answers come in snake case from GitHub and in camel
//! case from stand-ins, with 64-bit numbers as text from both.

mod answer;
mod blob;
mod call;
mod scope;
#[cfg(test)]
mod tests;

use std::time::Duration;

use reqwest::Url;

pub use answer::{number, text};
pub use blob::{BadDigest, BlobError, Blobs, BlobsError, Download, Part, Sent, SignedUrl, Upload};
pub use call::CallError;
pub use scope::BackendIds;

use super::retry::Patience;
use crate::http_client;
use crate::settings::{Secret, Services};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Why there is no results service. Each is a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Absent {
    /// Not under GitHub Actions, or under a runner that names no service.
    #[error("there is no results service here: ACTIONS_RESULTS_URL is not set, which GitHub's runner does in its jobs")]
    Outside,
    /// An Enterprise Server.
    #[error("{0} is a GitHub Enterprise Server, which has no artifacts of version 4")]
    EnterpriseServer(String),
    /// The runner gave no token.
    #[error("the results service can't be used: ACTIONS_RUNTIME_TOKEN is not set")]
    NoToken,
    /// The address is none.
    #[error("the results service can't be used: ACTIONS_RESULTS_URL is not an address ({0})")]
    BadUrl(String),
    /// The token does not say which run and job it is for.
    #[error("the results service can't be used: ACTIONS_RUNTIME_TOKEN names no run and job ({0})")]
    NoScope(&'static str),
    /// No client.
    #[error("the results service can't be used: {0}")]
    NoClient(String),
}

/// How the service takes the blocks of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As Azure does: by their ids, in any order, so that several can be on their way.
    ById,
    /// As act's server does: as they come, whatever their ids say, so that they must come one by one and never twice.
    ByArrival,
}

/// The results service of this run.
#[derive(Clone, Debug)]
pub struct Results {
    http: reqwest::Client,
    /// The address without a path.
    origin: Url,
    token: Secret,
    ids: BackendIds,
    patience: Patience,
    blobs: Blobs,
    order: Order,
}

impl Results {
    /// The service that the runner names, of the site at `server_url`.
    ///
    /// # Errors
    /// Why there is none.
    pub fn new(services: &Services, server_url: &str) -> Result<Self, Absent> {
        if let Some(host) = enterprise_server(server_url) {
            return Err(Absent::EnterpriseServer(host));
        }
        let given = services.results_url.as_deref().ok_or(Absent::Outside)?;
        let token = services.token.clone().ok_or(Absent::NoToken)?;
        let bad = |why: &str| Absent::BadUrl(why.to_owned());
        let url = Url::parse(given).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(bad("expected http or https, and a host"));
        }
        let origin = Url::parse(&url.origin().ascii_serialization()).map_err(|error| bad(&error.to_string()))?;
        let ids = scope::ids(token.reveal()).map_err(Absent::NoScope)?;
        let no_client = |error: reqwest::Error| Absent::NoClient(crate::registry::chain(&error));
        let http = client().build().map_err(no_client)?;
        let patience = Patience::default();
        let blobs = Blobs::new(patience).map_err(|error| Absent::NoClient(error.to_string()))?;
        // GitHub's own is never without TLS; act's server is never with it.
        let order = if origin.scheme() == "https" { Order::ById } else { Order::ByArrival };
        Ok(Self { http, origin, token, ids, patience, blobs, order })
    }

    /// The same with another patience.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { blobs: self.blobs.with_patience(patience), patience, ..self }
    }

    /// The same with another opinion of how the service takes blocks.
    #[must_use]
    pub fn with_order(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// The ids of this run and job.
    #[must_use]
    pub fn ids(&self) -> &BackendIds {
        &self.ids
    }

    /// How the service takes the blocks of a blob.
    #[must_use]
    pub fn order(&self) -> Order {
        self.order
    }

    /// The blobs by signed addresses.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }
}

/// The host of an Enterprise Server; `None` for GitHub itself, also with a company's own data residency.
pub(crate) fn enterprise_server(server_url: &str) -> Option<String> {
    let url = Url::parse(server_url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or(server_url).trim_end_matches('.').to_lowercase();
    let is_github = host == "github.com" || host.ends_with(".ghe.com") || host.ends_with(".localhost");
    (!is_github).then_some(host)
}

/// What all clients of this room are: no redirect is followed, since what goes with a request is meant for its first address.
fn client() -> reqwest::ClientBuilder {
    http_client::builder().connect_timeout(CONNECT).redirect(reqwest::redirect::Policy::none())
}

/// The start of a text of others, in one line, for a message.
fn brief(text: &str) -> String {
    const MOST: usize = 300;
    let line: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    let line = line.trim();
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
