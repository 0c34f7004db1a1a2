//! The images that the project builds, made beside the clusters: each once a run, and loaded into every cluster as soon as both
//! are there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use tokio::sync::watch;

use super::ground::Ground;
use super::on_clusters::Work;
use crate::commands::judge::Span;
use crate::config::{ImageBuild, OperatorStep};
use crate::image::build::{Build, Builder, Built, Driver};
use crate::image::digest::{Identity, identify};
use crate::image::replace::Replacements;
use crate::image::{self, Engine, Kept, Store};
use crate::model::{Cause, CauseClass, Outcome};
use crate::report;
use crate::trial::cells::{Blocked, Cell, Gate};

/// How long one build may take.
const BUILD: Duration = Duration::from_secs(60 * 60);
/// How long one archive may take into the nodes of one cluster.
const LOAD: Duration = Duration::from_secs(15 * 60);
/// Builds at once: a build uses more than one core by itself.
const AT_ONCE: usize = 2;

/// An archive that is made, or why there will never be one.
type Archive = watch::Sender<Option<Result<Arc<PathBuf>, Arc<Blocked>>>>;

/// The images that a run builds.
pub struct Builds<'a> {
    engine: Engine,
    store: Store,
    root: &'a Path,
    scratch: &'a Path,
    images: Vec<Image<'a>>,
}

struct Image<'a> {
    /// Its place in the config.
    place: usize,
    build: &'a ImageBuild,
    identity: Result<Identity, Arc<Blocked>>,
    /// Whether a script of an example runs in it.
    is_run_here: bool,
    archive: Archive,
    /// `hit`, `miss` or `off`, and when and how long it was built.
    told: Mutex<(&'static str, Option<Span>)>,
}

/// What becomes of the images on one cluster.
pub struct Loads<'b> {
    /// By the place in the config, what opens once the image is in every node.
    pub gates: BTreeMap<usize, Gate>,
    /// Loads them; to be polled until it ends, or until nothing needs them any more.
    pub loading: futures::future::BoxFuture<'b, ()>,
}

impl<'a> Builds<'a> {
    /// None at all: what is there stays as it is.
    pub fn none(work: &Work<'a, '_>) -> Self {
        let engine = Engine::new(&[], work.scratch);
        Self { engine, store: Store::None, root: &work.outputs.root, scratch: work.scratch, images: Vec::new() }
    }

    /// Finds out which images the cells and the operator need, and what each is called. Nothing is built yet.
    pub fn plan(work: &Work<'a, '_>, cells: &[&Cell<'a>], ground: &Ground) -> Self {
        let config = &work.workspace.config;
        let catalog = &work.workspace.catalog;
        let needed = cells.iter().flat_map(|cell| image::needed_by(cell.example, catalog, &config.images));
        let needed: BTreeSet<_> = needed.chain(perhaps_of_operator(work)).collect();
        let runs = |build: &ImageBuild| {
            let images = cells.iter().filter_map(|cell| cell.example.settings.run.as_ref()?.image.as_deref());
            images.filter_map(crate::image_reference::normalised_name).any(|name| build.is_meant_by(&name))
        };
        let root = work.outputs.root.as_path();
        let images = needed.into_iter().map(|place| {
            let build = &config.images[place];
            // It reads whole contexts: not in the way of what else this thread has to do.
            let identity = tokio::task::block_in_place(|| identify(build, root, &ground.platform));
            let identity = identity.map_err(|error| blocked(Outcome::Failed, error.cause()));
            let identity = match image::base_of_ours(build, root, &config.images) {
                Some(cause) => Err(blocked(Outcome::Failed, cause)),
                None => identity,
            };
            let first = identity.as_ref().err().map(|why| Err(Arc::clone(why)));
            let told = Mutex::new((if work.store.is_on() { "miss" } else { "off" }, None));
            Image { place, build, identity, is_run_here: runs(build), archive: watch::Sender::new(first), told }
        });
        let engine = ground.engine.clone();
        Self { engine, store: work.store.clone(), root, scratch: work.scratch, images: images.collect() }
    }

    /// What the references to them become. One that can't be named stays as it is: what needs it is not tried.
    pub fn replacements(&self) -> Replacements {
        let named = self.images.iter().filter_map(|image| Some((image.build, image.identity.as_ref().ok()?)));
        image::replacements(named)
    }

    /// Takes each from the store, or builds it.
    pub async fn run(&self, work: &Work<'_, '_>) {
        if self.images.iter().all(|image| image.identity.is_err()) {
            return;
        }
        let builder = Builder::find(&self.engine).await;
        let each = futures::stream::iter(&self.images);
        each.for_each_concurrent(AT_ONCE, |image| async {
            let Ok(identity) = &image.identity else { return };
            let mut made = self.archive(work, &builder, image, identity).await;
            if let (Ok(archive), true) = (&made, image.is_run_here)
                && let Err(cause) = self.engine.import(archive, LOAD).await
            {
                made = Err(blocked(Outcome::Errored, *cause));
            }
            image.archive.send_replace(Some(made));
        })
        .await;
    }

    async fn archive(
        &self,
        work: &Work<'_, '_>,
        builder: &Builder,
        image: &Image<'_>,
        identity: &Identity,
    ) -> Result<Arc<PathBuf>, Arc<Blocked>> {
        match self.store.get(&identity.key).await {
            Kept::Hit(path) => {
                image.told.lock().unwrap_or_else(PoisonError::into_inner).0 = "hit";
                return Ok(Arc::new(path));
            }
            Kept::Broken(why) => tracing::warn!("the cached image is built again: {why}"),
            Kept::Miss => {}
        }
        let layers = self.store.layers(&image.build.name).filter(|_| builder.driver() == Driver::Outside);
        if let Some(layers) = &layers {
            self.store.get_layers(&identity.key, layers).await;
        }
        let archive = self.scratch.join(format!("image-{}.tar.zst", image.place));
        let order = Build {
            image: image.build,
            root: self.root,
            identity,
            archive: &archive,
            layers: layers.as_ref(),
            bound: BUILD,
        };
        let began = Instant::now();
        let mut log = work.outputs.evidence.other("images").log(&image.build.name.replace('/', "-"), "build", 0).ok();
        let mut sink = |bytes: &[u8]| {
            if let Some(Err(error)) = log.as_mut().map(|log| log.write(bytes)) {
                tracing::warn!("the log of a build is not whole: {error}");
                log = None;
            }
        };
        let built = builder.build(&order, &mut sink).await;
        if let Some(Err(error)) = log.map(crate::evidence::LogFile::close) {
            tracing::warn!("the log of a build is not whole: {error}");
        }
        image.told.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(work.start.span(began));
        match built {
            Built::Ready { archive, .. } => {
                let mut kept = self.store.put(&identity.key, &archive).await;
                if let Some(layers) = &layers {
                    kept = kept.and_then(|()| self.store.put_layers(&identity.key, layers));
                }
                if let Err(error) = kept {
                    tracing::warn!("the image {} is not kept for the next run: {error}", image.build.name);
                }
                Ok(Arc::new(archive.path))
            }
            Built::Not { outcome, cause, .. } => Err(blocked(outcome, *cause)),
        }
    }

    /// Loads them into the nodes of a cluster, each as soon as it is made.
    pub fn load_into<'b>(&'b self, nodes: &'b [String]) -> Loads<'b> {
        let mut gates = BTreeMap::new();
        let mut loads = Vec::new();
        for image in &self.images {
            let (opens, gate) = watch::channel(None);
            gates.insert(image.place, gate);
            let mut made = image.archive.subscribe();
            let tag = image.identity.as_ref().map_or("", |identity| identity.tag.as_str());
            loads.push(async move {
                let made = match made.wait_for(Option::is_some).await {
                    Ok(made) => made.clone(),
                    Err(_) => None,
                };
                let loaded = match made {
                    Some(Ok(archive)) => image::load(&self.engine, nodes, &archive, tag, LOAD)
                        .await
                        .map_err(|cause| blocked(Outcome::Errored, *cause)),
                    Some(Err(why)) => Err(why),
                    None => return,
                };
                opens.send_replace(Some(loaded));
            });
        }
        Loads { gates, loading: Box::pin(async { drop(join_all(loads).await) }) }
    }

    /// The images as the report has them.
    pub fn told(&self) -> Vec<report::Image> {
        let image = |image: &Image<'_>| {
            let identity = image.identity.as_ref().ok()?;
            let (cache, built) = *image.told.lock().unwrap_or_else(PoisonError::into_inner);
            Some(report::Image {
                name: image.build.name.clone(),
                digest: identity.digest.clone(),
                cache_key: identity.key.clone(),
                cache: cache.to_owned(),
                started_at: built.map_or_else(String::new, |built| built.began.to_string()),
                build_ms: built.map_or(0, |built| built.millis()),
            })
        };
        self.images.iter().filter_map(image).collect()
    }

    /// Takes out of the engine what the builds left there.
    pub async fn forget(&self) {
        let tags = self.images.iter().filter_map(|image| Some(&image.identity.as_ref().ok()?.tag));
        join_all(tags.map(|tag| self.engine.forget(tag))).await;
    }
}

/// The images that the operator may mean. What a chart renders is not known yet: it may mean all of them.
fn perhaps_of_operator(work: &Work<'_, '_>) -> BTreeSet<usize> {
    let config = &work.workspace.config;
    if config.operator.iter().any(|step| matches!(step, OperatorStep::Helm { .. })) {
        return (0..config.images.len()).collect();
    }
    of_operator(work)
}

/// The images that the operator's steps are known to mean: in their objects, and in what they put in place of others. Those that
/// only a chart's templates name are not known.
fn of_operator(work: &Work<'_, '_>) -> BTreeSet<usize> {
    let config = &work.workspace.config;
    if config.images.is_empty() {
        return BTreeSet::new();
    }
    let overrides = config.operator.iter().flat_map(|step| match step {
        OperatorStep::Kustomize { images, .. }
        | OperatorStep::Manifests { images, .. }
        | OperatorStep::Helm { images, .. } => images.values(),
    });
    let values = config.operator.iter().flat_map(|step| match step {
        OperatorStep::Helm { set, .. } => set.values().collect(),
        _ => Vec::new(),
    });
    let overrides = overrides.chain(values);
    let overrides = overrides.filter_map(|image| crate::image_reference::normalised_name(image));
    let overrides = overrides.filter_map(|name| config.images.iter().position(|build| build.is_meant_by(&name)));
    let objects = work.workspace.operator.iter().flatten();
    objects
        .flat_map(|object| image::needed_by_object(&object.root.to_json(), &config.images))
        .chain(overrides)
        .collect()
}

fn blocked(outcome: Outcome, cause: Cause) -> Arc<Blocked> {
    Arc::new(Blocked { outcome, cause })
}

/// Waits until the images that the operator means, or may mean, are in the nodes.
///
/// # Errors
/// The cause of the operator's not being deployed: one that it is known to mean never will be.
pub async fn all_loaded(work: &Work<'_, '_>, gates: &BTreeMap<usize, Gate>) -> Result<(), Box<Cause>> {
    let known = of_operator(work);
    for place in perhaps_of_operator(work) {
        let Some(gate) = gates.get(&place) else { continue };
        let loaded = gate.clone().wait_for(Option::is_some).await.map(|loaded| loaded.clone());
        if let Ok(Some(Err(why))) = loaded
            && known.contains(&place)
        {
            let message = format!("an image that the operator needs is not there: {}", why.cause.message);
            let cause = Cause::new(CauseClass::Operator, why.cause.reason.clone(), message);
            return Err(Box::new(Cause { hint: why.cause.hint.clone(), ..cause }));
        }
    }
    Ok(())
}
