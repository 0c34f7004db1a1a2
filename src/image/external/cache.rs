//! What was fetched, and what is being fetched: one download a thing, however many ask for it.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use futures::future::{BoxFuture, FutureExt as _, Shared};
use futures::stream::{self, Stream};
use reqwest::header::CONTENT_TYPE;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

use super::upstream::{Refusal, Thing, Upstream, What};
use crate::hex::hex;
use crate::registry::is_near_registry;

/// Largest manifest; registries allow 4 MiB.
const MAX_MANIFEST: usize = 8 << 20;
/// How much of a blob is handed out at once.
const CHUNK: u64 = 256 << 10;
/// The only algorithm in use; what has another one is left to whoever asked.
const ALGORITHM: &str = "sha256:";

/// A manifest or an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) body: Bytes,
    pub(super) content_type: String,
    pub(super) digest: String,
}

type Fetched = Result<Arc<Manifest>, Refusal>;

/// Manifests in memory, blobs in a folder.
#[derive(Debug)]
pub(super) struct Cache {
    upstream: Upstream,
    folder: PathBuf,
    manifests: Mutex<HashMap<Thing, Shared<BoxFuture<'static, Fetched>>>>,
    blobs: Mutex<HashMap<String, Arc<Blob>>>,
    /// Registries of the plan's images.
    planned: Mutex<BTreeSet<String>>,
    /// Blobs that were asked of a registry.
    pub(super) downloads: AtomicU64,
    /// Bytes of blobs that came from registries.
    pub(super) downloaded: AtomicU64,
}

/// A blob that is there, or on its way.
#[derive(Debug)]
pub(super) struct Blob {
    path: PathBuf,
    state: watch::Receiver<State>,
}

#[derive(Clone, Debug)]
enum State {
    /// The registry has not answered yet.
    Asked,
    /// So many bytes may be read.
    Coming { ready: u64, total: Option<u64> },
    /// It is whole and as its digest says.
    Whole { size: u64 },
    /// It will never be.
    Failed(Refusal),
}

impl Cache {
    /// An empty one; the folder is there.
    pub(super) fn new(upstream: Upstream, folder: PathBuf) -> Arc<Self> {
        let (manifests, blobs) = (Mutex::default(), Mutex::default());
        Arc::new(Self {
            upstream,
            folder,
            manifests,
            blobs,
            planned: Mutex::default(),
            downloads: AtomicU64::new(0),
            downloaded: AtomicU64::new(0),
        })
    }

    /// Notes that the plan has images of a registry.
    pub(super) fn plan(&self, registry: &str) {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).insert(registry.to_owned());
    }

    /// Whether a registry may be asked. What is near to this machine is only if somebody meant it: else any pod could ask with
    /// our address what listens here for us alone.
    pub(super) fn may_ask(&self, registry: &str) -> bool {
        !is_near_registry(registry)
            || self.upstream.has_mirror(registry)
            || self.planned.lock().unwrap_or_else(PoisonError::into_inner).contains(registry)
    }

    /// Whether only we may get something of a registry, and not a node by itself.
    pub(super) async fn is_ours(&self, registry: &str) -> bool {
        self.upstream.is_ours(registry).await
    }

    /// A manifest; what a tag means is asked once a run. A refusal is not remembered: it may be another one in a minute.
    pub(super) async fn manifest(self: &Arc<Self>, thing: &Thing) -> Fetched {
        let pending = {
            let mut manifests = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = || {
                let (cache, wanted) = (Arc::clone(self), thing.clone());
                // A task of its own: who asked first may go away.
                let task = tokio::spawn(async move { cache.fetch_manifest(&wanted).await });
                let ended = |end: Result<Fetched, _>| end.unwrap_or_else(|_| Err(broken("the download was stopped")));
                task.map(ended).boxed().shared()
            };
            manifests.entry(thing.clone()).or_insert_with(begin).clone()
        };
        let found = pending.clone().await;
        let mut manifests = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        match &found {
            Ok(manifest) => {
                let by_digest = Thing { what: What::Manifest(manifest.digest.clone()), ..thing.clone() };
                manifests.entry(by_digest).or_insert(pending);
            }
            Err(_) if manifests.get(thing).is_some_and(|known| known.ptr_eq(&pending)) => {
                manifests.remove(thing);
            }
            Err(_) => {}
        }
        found
    }

    async fn fetch_manifest(&self, thing: &Thing) -> Fetched {
        let mut response = self.upstream.get(thing).await?;
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or("application/vnd.oci.image.manifest.v1+json").to_owned();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| broken(&crate::registry::chain(&error)))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_MANIFEST {
                return Err(broken("the manifest is too large"));
            }
        }
        // A page for people, or what some other server says, is no image.
        if serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&body).is_err() {
            return Err(broken("the answer is no manifest"));
        }
        let digest = format!("{ALGORITHM}{}", hex(Sha256::digest(&body).as_slice()));
        match &thing.what {
            What::Manifest(reference) if reference.contains(':') && *reference != digest => {
                Err(broken("the manifest is not what its digest says"))
            }
            _ => Ok(Arc::new(Manifest { body: body.into(), content_type, digest })),
        }
    }

    /// A blob. It is asked for if nobody has asked for it yet, or what was asked for failed.
    pub(super) fn blob(self: &Arc<Self>, thing: &Thing, digest: &str) -> Arc<Blob> {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = blobs.get(digest).filter(|known| !known.has_failed()) {
            return Arc::clone(known);
        }
        let serial = self.downloads.fetch_add(1, Ordering::Relaxed);
        // A failed download may still be deleting its file: this one has another name.
        let path = self.folder.join(format!("{}-{serial}", digest.trim_start_matches(ALGORITHM)));
        let (sender, state) = watch::channel(State::Asked);
        let blob = Arc::new(Blob { path: path.clone(), state });
        blobs.insert(digest.to_owned(), Arc::clone(&blob));
        let (cache, thing, digest) = (Arc::clone(self), thing.clone(), digest.to_owned());
        tokio::spawn(async move {
            let end = match cache.download(&thing, &digest, &path, &sender).await {
                Ok(size) => State::Whole { size },
                Err(refusal) => {
                    // Readers have it open, and are told below that it will never be whole.
                    let _ = tokio::fs::remove_file(&path).await;
                    State::Failed(refusal)
                }
            };
            sender.send_replace(end);
        });
        blob
    }

    async fn download(
        &self,
        thing: &Thing,
        digest: &str,
        path: &Path,
        state: &watch::Sender<State>,
    ) -> Result<u64, Refusal> {
        let expected = digest.strip_prefix(ALGORITHM).ok_or_else(|| broken("its digest is not a SHA-256"))?;
        let failed = |error: io::Error| broken(&format!("{} can't be written: {error}", path.display()));
        let mut response = self.upstream.get(thing).await?;
        let total = response.content_length();
        let mut file = tokio::fs::File::create(path).await.map_err(failed)?;
        let (mut hasher, mut size) = (Sha256::new(), 0);
        state.send_replace(State::Coming { ready: 0, total });
        while let Some(chunk) = response.chunk().await.map_err(|error| broken(&crate::registry::chain(&error)))? {
            file.flush().await.map_err(failed)?;
            // The last chunk is not shown before all of it was checked: no reader ends with what is not as it should be.
            state.send_replace(State::Coming { ready: size, total });
            file.write_all(&chunk).await.map_err(failed)?;
            hasher.update(&chunk);
            size += chunk.len() as u64;
            self.downloaded.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
        file.flush().await.map_err(failed)?;
        if hex(hasher.finalize().as_slice()) == expected {
            Ok(size)
        } else {
            Err(broken("the blob is not what its digest says"))
        }
    }

    /// Deletes the blobs that are whole and that nobody reads; says how many bytes that gave back. Who needs one again gets it
    /// again.
    pub(super) fn drop_unused(&self) -> u64 {
        let mut freed = 0;
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.retain(|_, blob| {
            let size = blob.whole().filter(|_| Arc::strong_count(blob) == 1);
            let is_gone = size.is_some() && std::fs::remove_file(&blob.path).is_ok();
            freed += size.filter(|_| is_gone).unwrap_or(0);
            !is_gone
        });
        freed
    }
}

impl Blob {
    fn has_failed(&self) -> bool {
        matches!(*self.state.borrow(), State::Failed(_))
    }

    fn whole(&self) -> Option<u64> {
        match *self.state.borrow() {
            State::Whole { size } => Some(size),
            _ => None,
        }
    }

    /// Its size, as soon as the registry has answered; `None` where the registry does not say.
    pub(super) async fn size(&self) -> Result<Option<u64>, Refusal> {
        match self.until(|state| !matches!(state, State::Asked)).await {
            State::Failed(refusal) => Err(refusal),
            State::Whole { size } => Ok(Some(size)),
            State::Coming { total, .. } => Ok(total),
            State::Asked => Ok(None),
        }
    }

    /// Waits until it is whole; says its size.
    pub(super) async fn finished(&self) -> Result<u64, Refusal> {
        match self.until(|state| matches!(state, State::Whole { .. } | State::Failed(_))).await {
            State::Whole { size } => Ok(size),
            State::Failed(refusal) => Err(refusal),
            State::Asked | State::Coming { .. } => Err(broken("the download was stopped")),
        }
    }

    async fn until(&self, is_enough: impl FnMut(&State) -> bool) -> State {
        let mut state = self.state.clone();
        // Without a sender left there is nothing more to come.
        let found = state.wait_for(is_enough).await.map(|state| state.clone());
        found.unwrap_or_else(|_| State::Failed(broken("the download was stopped")))
    }

    /// Its content, as it comes; an error where it turns out not to be what it should.
    pub(super) fn content(self: Arc<Self>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let begin: (Arc<Self>, Option<tokio::fs::File>, u64) = (self, None, 0);
        stream::try_unfold(begin, |(blob, file, offset)| async move {
            let is_more = |state: &State| match state {
                State::Coming { ready, .. } => *ready > offset,
                State::Whole { .. } | State::Failed(_) => true,
                State::Asked => false,
            };
            let ready = match blob.until(is_more).await {
                State::Failed(refusal) => return Err(io::Error::other(refusal.to_string())),
                State::Whole { size } => size,
                State::Coming { ready, .. } => ready,
                State::Asked => offset,
            };
            if ready <= offset {
                return Ok(None);
            }
            let mut file = match file {
                Some(file) => file,
                None => tokio::fs::File::open(&blob.path).await?,
            };
            let mut chunk = vec![0; usize::try_from((ready - offset).min(CHUNK)).unwrap_or(0)];
            file.seek(io::SeekFrom::Start(offset)).await?;
            file.read_exact(&mut chunk).await?;
            let offset = offset + chunk.len() as u64;
            Ok(Some((Bytes::from(chunk), (blob, Some(file), offset))))
        })
    }
}

fn broken(why: &str) -> Refusal {
    Refusal::Broken(why.to_owned())
}
