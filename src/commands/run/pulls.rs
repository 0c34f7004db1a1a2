//! The images of others: fetched once a run, by a registry of our own that the nodes ask first, and ahead while clusters boot.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::ground::Ground;
use super::on_clusters::Work;
use crate::diagnostic::{Diagnostic, Severity};
use crate::image::disk;
use crate::image::external::{Proxy, Stats, install};
use crate::image_reference::ImageReference;
use crate::lint::registry::images_to_ask;
use crate::report;
use crate::trial::cells::Cell;
use crate::trial::isolate;

/// How long a cluster that is there waits for the registry, at most.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks for the clusters' network: kind makes it once it has the first node image.
const LOOK: Duration = Duration::from_millis(300);
/// Between two looks at the disk.
const DISK: Duration = Duration::from_secs(20);

/// The registry of a run, once it is known whether there is one.
pub struct Pulls {
    images: BTreeSet<ImageReference>,
    /// How long they took to be fetched ahead.
    took: OnceLock<Duration>,
    proxy: watch::Sender<Option<Result<Served, String>>>,
}

/// The registry, and where nodes reach it.
type Served = (Arc<Proxy>, SocketAddr);

impl Pulls {
    /// What the cells and the operator are known to need of others.
    pub fn plan(work: &Work<'_, '_>, cells: &[&Cell<'_>]) -> Self {
        let workspace = work.workspace;
        let examples = cells
            .iter()
            .flat_map(|cell| isolate::needs(cell.example, &workspace.catalog).into_iter().chain([cell.example]));
        let mut images = images_to_ask(examples, &workspace.config.images);
        let operator = workspace.operator.iter().flatten();
        images.extend(crate::lint::registry::images_of_objects(operator, &workspace.config.images));
        Self { images, ..Self::none() }
    }

    /// Nothing: there are no nodes of ours.
    pub fn none() -> Self {
        Self { images: BTreeSet::new(), took: OnceLock::new(), proxy: watch::Sender::new(None) }
    }

    /// Starts the registry as soon as the clusters have a network, and fetches what is needed.
    pub async fn run(&self, work: &Work<'_, '_>, ground: &Ground, platform: &str) {
        let started = start(work, ground).await;
        if let Err(why) = &started {
            tracing::warn!("the nodes pull images by themselves, each its own copy: {why}");
        }
        let ahead = started.as_ref().ok().map(|(proxy, _)| proxy.ahead());
        self.proxy.send_replace(Some(started));
        if let Some(ahead) = ahead.filter(|_| !self.images.is_empty()) {
            let began = Instant::now();
            ahead.fetch(self.images.clone(), platform).await;
            let _ = self.took.set(began.elapsed());
        }
    }

    /// Puts the time that fetching took into the phases of the clusters, which it served alike.
    pub fn told(&self, clusters: &mut [report::Cluster]) {
        let Some(took) = self.took.get() else { return };
        for cluster in clusters {
            let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            cluster.phases.insert("pullMs".to_owned(), took.into());
        }
    }

    /// Makes the nodes of a cluster ask our registry first.
    pub async fn serve(&self, ground: &Ground, nodes: &[String]) {
        if !ground.config.reads_mirrors {
            return tracing::warn!("kind's config says where nodes find registries: they pull by themselves");
        }
        let mut proxy = self.proxy.subscribe();
        let Ok(Ok(known)) = tokio::time::timeout(PATIENCE, proxy.wait_for(Option::is_some)).await else { return };
        let Some(Ok((proxy, address))) = &*known else { return };
        let (address, direct) = (*address, proxy.direct());
        drop(known);
        let installs = nodes.iter().map(|node| install(&ground.engine, node, address, &direct));
        for why in futures::future::join_all(installs).await.into_iter().filter_map(Result::err) {
            tracing::warn!("{why}");
        }
    }

    /// Gives back what nobody needs whenever the engine's disk is nearly full, as long as this is polled.
    pub async fn watch_disk(&self, ground: &Ground, nodes: &[String]) -> Infallible {
        loop {
            tokio::time::sleep(DISK).await;
            let known = self.proxy.borrow().as_ref().and_then(|known| Some(Arc::clone(&known.as_ref().ok()?.0)));
            for disk in &ground.disks {
                match disk::relieve(disk, &ground.engine, known.as_deref(), nodes).await {
                    Ok(told) => told.into_iter().for_each(|told| tracing::warn!("{told}")),
                    Err(error) => tracing::debug!("the disk can't be watched: {error}"),
                }
            }
        }
    }

    /// What was pulled.
    pub fn stats(&self) -> Option<Stats> {
        self.proxy.borrow().as_ref()?.as_ref().ok().map(|(proxy, _)| proxy.stats())
    }

    /// What a person should know of it: images that did not come, in one line each.
    pub fn remarks(&self) -> Vec<Diagnostic> {
        let stats = self.stats().unwrap_or_default();
        let missing = stats.images.into_iter().filter_map(|pulled| Some((pulled.image, pulled.problem?)));
        let remark = |(image, why): (String, String)| {
            Diagnostic::error(format!("{image} was not fetched ahead: {why}")).with_severity(Severity::Note)
        };
        missing.map(remark).collect()
    }
}

/// Starts the registry where nodes reach it.
async fn start(work: &Work<'_, '_>, ground: &Ground) -> Result<Served, String> {
    let place = loop {
        match ground.kind.own().place().await? {
            Some(place) => break place,
            None => tokio::time::sleep(LOOK).await,
        }
    };
    let folder = Path::join(work.scratch, "pulled");
    let registries = &work.workspace.config.registries;
    let proxy = Proxy::start(SocketAddr::new(place.listen, 0), registries, work.environment, &folder).await?;
    let address = SocketAddr::new(place.reached, proxy.address().port());
    Ok((Arc::new(proxy), address))
}
