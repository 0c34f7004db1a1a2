//! Images of others, fetched once a run and not once a cluster: a registry inside of this program, which pulls through.
//!
//! The nodes' containerd uses it as a mirror of every registry (`hosts.toml` under `_default`); it gets each manifest and each blob
//! once, from the config's mirror or from the registry itself, with the machine's credentials, and streams it to all who ask while
//! it still comes. The other way would be that the engine pulls and every node is loaded (`docker pull`, `docker save`, `ctr images
//! import`): that writes each image three times, knows only what the manifests say and nothing of what operators create,
//! and gives an image another digest than it has on its registry.
//!
//! # What it answers when the registry does not
//!
//! The truth must stay the registry's. containerd asks this mirror first and the registry itself after any failure, and of all
//! errors reports the one of the highest rank, the first of that rank: transport, then 404, then any other status
//! (`core/remotes/docker/resolver.go` of containerd 2). Hence:
//!
//! - A registry's own status goes on unchanged (404, 403, 429 with its `Retry-After`, 5xx): what the node hears from the registry
//!   itself is then the same. Of a 401 the challenge is left out: a node would send the pod's pull secrets here.
//! - Without an answer from the registry the connection is ended without an answer, which is of the lowest rank: a 502 would
//!   hide the 404 that the node itself may get. What a node then reports if it gets no answer either is our `EOF`, which is judged
//!   as what it is, a trouble of the way and not of the example. A registry to which there was no way while images were fetched
//!   ahead (its host does not exist, say) is left out of the mirror (`Proxy::direct`), so that the node tells the reason itself.
//!
//! # Security
//!
//! It listens on the address that it is given, the bridge of the clusters, as long as the run lasts; it answers GET and HEAD for
//! images and nothing else. Whatever runs on the clusters can pull with it what the credentials of `registries` can pull.

mod cache;
mod credentials;
mod node;
mod prefetch;
mod server;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::task::AbortOnDropHandle;

use self::cache::Cache;
use self::credentials::Keyring;
use self::upstream::Upstream;
use crate::config::Registries;

pub use node::{hosts_toml, install};
pub use prefetch::{Ahead, Pulled};

/// A registry that pulls through. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    cache: Arc<Cache>,
    address: SocketAddr,
    pulled: Arc<Mutex<BTreeMap<String, Pulled>>>,
    _server: AbortOnDropHandle<std::convert::Infallible>,
}

/// What was pulled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The images that were fetched ahead, in the order of their names.
    pub images: Vec<Pulled>,
    /// Blobs that were asked of registries, by whoever needed them.
    pub downloads: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Proxy {
    /// Starts it on an address; port 0 is any. `environment` holds the variable that `registries.auth` names and what credential
    /// helpers need; `folder` keeps the blobs, and belongs to the run.
    ///
    /// # Errors
    /// A reason in one line: the address is taken, the credentials can't be read. The nodes then pull by themselves.
    pub async fn start(
        listen: SocketAddr,
        registries: &Registries,
        environment: &[(OsString, OsString)],
        folder: &Path,
    ) -> Result<Self, String> {
        let written = |error: std::io::Error| format!("{} can't be written: {error}", folder.display());
        tokio::fs::create_dir_all(folder).await.map_err(written)?;
        let config = credentials::folder(registries.auth.as_deref(), environment);
        let keyring = Keyring::read(config.as_deref(), environment, folder)?;
        let upstream = Upstream::new(registries.mirrors.clone(), keyring)?;
        let cache = Cache::new(upstream, folder.to_owned());
        let (listener, address) =
            server::bind(listen).await.map_err(|error| format!("{listen} can't be listened on: {error}"))?;
        let server = AbortOnDropHandle::new(tokio::spawn(server::serve(listener, Arc::clone(&cache))));
        Ok(Self { cache, address, pulled: Arc::default(), _server: server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The fetching ahead of images; what it comes to is in [`Proxy::stats`].
    #[must_use]
    pub fn ahead(&self) -> Ahead {
        Ahead::new(Arc::clone(&self.cache), Arc::clone(&self.pulled))
    }

    /// What was pulled so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let pulled = self.pulled.lock().unwrap_or_else(PoisonError::into_inner);
        Stats {
            images: pulled.values().cloned().collect(),
            downloads: self.cache.downloads.load(Ordering::Relaxed),
            bytes: self.cache.downloaded.load(Ordering::Relaxed),
        }
    }

    /// The registries to which there was no way, for the nodes to ask by themselves.
    #[must_use]
    pub fn direct(&self) -> BTreeSet<String> {
        let pulled = self.pulled.lock().unwrap_or_else(PoisonError::into_inner);
        pulled.values().filter(|pulled| pulled.is_unreachable).map(|pulled| pulled.registry.clone()).collect()
    }

    /// Deletes what nobody reads at the moment; says how many bytes that gave back.
    #[must_use]
    pub fn drop_unused(&self) -> u64 {
        self.cache.drop_unused()
    }
}

#[cfg(test)]
mod tests;
