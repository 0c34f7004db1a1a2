//! Fetches what the plan needs while the clusters boot. It is never an error: who needs an image asks for it again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt as _};
use serde_json::Value as Json;

use super::cache::{Cache, Manifest};
use super::upstream::{Refusal, Thing, What};
use crate::image_reference::ImageReference;

/// Images at once.
const IMAGES: usize = 3;
/// Blobs of an image at once, as containerd does it.
const BLOBS: usize = 3;

/// What fetching an image ahead came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The reference, complete.
    pub image: String,
    /// Its registry.
    pub registry: String,
    /// How long it took, what was waited for with others included.
    pub time: Duration,
    /// The bytes of its blobs for the platform, those that another image has too included.
    pub bytes: u64,
    /// Why it did not come; `None` if it did.
    pub problem: Option<String>,
    /// Whether there was no way to the registry, and a node that tries by itself lacks nothing that we have: it has neither a
    /// mirror nor credentials.
    pub is_unreachable: bool,
}

/// Fetches ahead.
#[derive(Clone, Debug)]
pub struct Ahead {
    cache: Arc<Cache>,
    pulled: Arc<Mutex<BTreeMap<String, Pulled>>>,
}

impl Ahead {
    pub(super) fn new(cache: Arc<Cache>, pulled: Arc<Mutex<BTreeMap<String, Pulled>>>) -> Self {
        Self { cache, pulled }
    }

    /// Fetches images for a platform (`linux/amd64`), a few at a time. May be dropped: what is on its way still comes.
    pub async fn fetch(self, images: BTreeSet<ImageReference>, platform: &str) {
        let each = |image: ImageReference| {
            let ahead = self.clone();
            async move {
                let pulled = ahead.pull(&image, platform).await;
                ahead.pulled.lock().unwrap_or_else(PoisonError::into_inner).insert(pulled.image.clone(), pulled);
            }
        };
        for image in &images {
            self.cache.plan(&image.registry);
        }
        stream::iter(images).for_each_concurrent(IMAGES, each).await;
    }

    async fn pull(&self, image: &ImageReference, platform: &str) -> Pulled {
        let start = Instant::now();
        let ended = self.blobs(image, platform).await;
        let (bytes, problem) = match &ended {
            Ok(bytes) => (*bytes, None),
            Err(refusal) => (0, Some(refusal.to_string())),
        };
        let is_unreachable =
            matches!(ended, Err(Refusal::Unreachable(_))) && !self.cache.is_ours(&image.registry).await;
        Pulled {
            image: image.to_string(),
            registry: image.registry.clone(),
            time: start.elapsed(),
            bytes,
            problem,
            is_unreachable,
        }
    }

    async fn blobs(&self, image: &ImageReference, platform: &str) -> Result<u64, Refusal> {
        let thing = |what| Thing { registry: image.registry.clone(), repository: image.repository.clone(), what };
        let mut manifest = self.cache.manifest(&thing(What::Manifest(image.manifest().to_owned()))).await?;
        if let Some(digest) = of_platform(&manifest, platform) {
            manifest = self.cache.manifest(&thing(What::Manifest(digest))).await?;
        }
        let downloads = stream::iter(blobs_of(&manifest)).map(|digest| {
            let blob = thing(What::Blob(digest.clone()));
            async move { self.cache.blob(&blob, &digest).finished().await }
        });
        let sizes: Vec<Result<u64, Refusal>> = downloads.buffer_unordered(BLOBS).collect().await;
        sizes.into_iter().sum()
    }
}

/// The digest of the manifest that an index has for a platform; `None` if it is no index, or has none.
fn of_platform(manifest: &Manifest, platform: &str) -> Option<String> {
    let index: Json = serde_json::from_slice(&manifest.body).ok()?;
    let (system, architecture) = platform.split_once('/')?;
    let fits = |entry: &&Json| entry["platform"]["os"] == system && entry["platform"]["architecture"] == architecture;
    let entry = index["manifests"].as_array()?.iter().find(fits)?;
    entry["digest"].as_str().map(ToOwned::to_owned)
}

/// The digests of a manifest's config and layers, each once.
fn blobs_of(manifest: &Manifest) -> BTreeSet<String> {
    let manifest: Json = serde_json::from_slice(&manifest.body).unwrap_or_default();
    let layers = manifest["layers"].as_array().into_iter().flatten();
    let parts = std::iter::once(&manifest["config"]).chain(layers);
    parts.filter_map(|part| part["digest"].as_str()).map(ToOwned::to_owned).collect()
}
