//! The cells of a run, on the clusters of its place.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::{Map, Value as Json};

use super::chosen::{Choice, Chosen, Planned};
use super::outputs::Outputs;
use super::place::Place;
use crate::cancel::Signals;
use crate::cluster::{self, Cluster};
use crate::commands::judge::Start;
use crate::commands::workspace::Workspace;
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::Result;
use crate::evidence::FollowContext;
use crate::image::replace::Replacements;
use crate::model::{Cause, CauseClass, ExampleId, Outcome};
use crate::report::{self, LogTail, Row};
use crate::settings::Settings;
use crate::trial::apply::{self, Limits as Patience, Target};
use crate::trial::attempt::{World, attempt};
use crate::trial::cells::{self, Cell, Limits};
use crate::trial::cleanup::Removed;
use crate::trial::hub::Hub;
use crate::trial::isolate;
use crate::trial::janitor::Janitor;
use crate::trial::script::Containers;

/// How long the watches that every attempt needs may take to begin.
const WATCHES: Duration = Duration::from_secs(30);
/// How long what attempts left may take to be deleted at the end of a run, and at the end of a cancelled one.
const LEAVING: Duration = Duration::from_secs(100);
const LEAVING_CANCELLED: Duration = Duration::from_secs(4);
/// Logs that are followed at once on one cluster.
const FOLLOWS: usize = 256;
/// Clusters at once, unless it is said otherwise.
const CLUSTERS: usize = 4;

/// What is to be judged, and with what.
pub struct Work<'a, 'o> {
    pub settings: &'a Settings,
    pub workspace: &'a Workspace,
    pub chosen: &'a Chosen,
    pub start: &'a Start,
    /// Examples that no cluster has to be asked about.
    pub settled: &'a HashSet<ExampleId>,
    pub place: &'a Place,
    /// What identifies the run on a cluster.
    pub run_id: &'a str,
    /// A private folder.
    pub scratch: &'a Path,
    pub outputs: &'a Outputs<'o>,
    pub signals: &'a Signals,
}

/// What was found out.
#[derive(Default)]
pub struct Judged {
    pub rows: Vec<Row>,
    pub clusters: Vec<report::Cluster>,
    /// What concerns no single example.
    pub remarks: Vec<Diagnostic>,
    /// The ends of telling logs, by example and version.
    pub logs: Vec<(ExampleId, String, LogTail)>,
}

impl Judged {
    fn add(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.clusters.extend(other.clusters);
        self.remarks.extend(other.remarks);
        self.logs.extend(other.logs);
    }
}

impl<'a> Work<'a, '_> {
    /// Judges what is to be judged on clusters. `rows` are those of the basic tier, one an example; those of examples with cells
    /// become rows of their versions.
    ///
    /// # Errors
    /// A simulator can't be started.
    pub async fn judge(&self, rows: Vec<Row>) -> Result<Judged> {
        let mut judged = Judged::default();
        let mut versions: BTreeMap<&str, Vec<Cell<'_>>> = BTreeMap::new();
        for row in rows {
            let Some(Choice::Cells(planned)) = self.chosen.of(&row.example) else {
                judged.rows.push(row);
                continue;
            };
            for cell in planned {
                match self.cell(&row, cell) {
                    Err(row) => judged.rows.push(*row),
                    Ok(ready) => versions.entry(&cell.kubernetes).or_default().push(ready),
                }
            }
        }
        for row in &judged.rows {
            self.outputs.finished(row);
        }
        let at_once = self.settings.cluster.parallel.map_or(CLUSTERS, std::num::NonZeroUsize::get);
        let shared = Shared {
            work: self,
            definitions: match self.place {
                Place::Simulated => self.workspace.definitions(&self.outputs.root),
                _ => Vec::new(),
            },
            images: Replacements::default(),
            failures: Arc::new(AtomicUsize::new(0)),
            environment: std::env::vars_os().collect(),
            logs: Mutex::default(),
        };
        let versions = versions.into_iter().map(|(kubernetes, cells)| shared.on_version(kubernetes, cells));
        let mut results = futures::stream::iter(versions).buffered(at_once.max(1));
        while let Some(result) = results.next().await {
            judged.add(result?);
        }
        drop(results);
        judged.logs = shared.logs.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(judged)
    }

    /// A cell that is ready to be tried, or the row of one that is not.
    fn cell(&self, row: &Row, planned: &'a Planned) -> std::result::Result<Cell<'a>, Box<Row>> {
        let example = self.workspace.catalog.get(&row.example);
        let on_version =
            |row: &Row| Row { kubernetes: Some(planned.kubernetes.clone()), tier: planned.tier, ..row.clone() };
        // Without any cluster the basic tier has the last word.
        let is_known = matches!(self.place, Place::Nowhere(_)) && row.outcome != Outcome::Passed;
        if let Some(why) = planned.skipped.as_ref().filter(|_| !is_known) {
            let skipped = Row { outcome: Outcome::Skipped, cause: None, reason: why.clone(), ..on_version(row) };
            return Err(Box::new(skipped));
        }
        let Some(example) = example.filter(|example| !is_known && !self.settled.contains(&example.id)) else {
            return Err(Box::new(on_version(row)));
        };
        Ok(Cell {
            example,
            kubernetes: &planned.kubernetes,
            tier: planned.tier,
            reason: planned.reason.clone(),
            expected: Duration::from_millis(planned.expected_ms),
            diagnostics: row.diagnostics.clone(),
            locks: std::collections::BTreeSet::new(),
            request: example.settings.resources,
            pods: cells::packing::pods(example),
            gates: Vec::new(),
        })
    }
}

/// What the clusters of a run share.
struct Shared<'s, 'a, 'o> {
    work: &'s Work<'a, 'o>,
    /// The project's definitions, for simulated clusters.
    definitions: Vec<Json>,
    /// What the images mean that the project builds.
    images: Replacements,
    failures: Arc<AtomicUsize>,
    environment: Vec<(OsString, OsString)>,
    logs: Mutex<Vec<(ExampleId, String, LogTail)>>,
}

impl Shared<'_, '_, '_> {
    /// Brings up what is needed for one version, and judges its cells there.
    async fn on_version(&self, kubernetes: &str, cells: Vec<Cell<'_>>) -> Result<Judged> {
        let began = Instant::now();
        match self.work.place {
            Place::Cancelled => Ok(self.cancelled(&cells).await),
            Place::Nowhere => Ok(self.without(
                kubernetes,
                &cells,
                "none",
                &Cause::new(CauseClass::Internal, "NoCluster", "there is no cluster"),
            )),
            Place::Existing(Err(cause)) => Ok(self.without(kubernetes, &cells, "existing", cause)),
            Place::Existing(Ok(cluster)) => Ok(self.on_cluster(kubernetes, cells, cluster, began).await),
            Place::Simulated => {
                let (simulator, cluster) =
                    cluster::simulated::start(kubernetes, &self.definitions, self.work.scratch).await?;
                let judged = self.on_cluster(kubernetes, cells, &cluster, began).await;
                simulator.shutdown().await;
                Ok(judged)
            }
        }
    }

    /// The rows of cells whose cluster is not to be had.
    fn without(&self, kubernetes: &str, cells: &[Cell<'_>], provider: &str, cause: &Cause) -> Judged {
        let today = self.work.start.today();
        let rows: Vec<_> = cells.iter().map(|cell| cells::errored(cell, cause.clone(), today)).collect();
        for row in &rows {
            self.work.outputs.finished(row);
        }
        let cluster = described(kubernetes, provider, Err(cause), Duration::ZERO);
        self.work.outputs.cluster(&cluster);
        Judged { rows, clusters: vec![cluster], ..Judged::default() }
    }

    /// The rows of cells of a run that was cancelled before any of them could begin.
    async fn cancelled(&self, cells: &[Cell<'_>]) -> Judged {
        let finished = |row: &Row| self.work.outputs.finished(row);
        let cancel = &self.work.signals.cancel;
        let rows = cells::run(cells, &[], &self.limits(), cancel, |_, _| std::future::pending(), finished).await;
        Judged { rows, ..Judged::default() }
    }

    async fn on_cluster(
        &self,
        kubernetes: &str,
        mut cells: Vec<Cell<'_>>,
        cluster: &Cluster,
        began: Instant,
    ) -> Judged {
        let cancel = &self.work.signals.cancel;
        let ready = async {
            let world = self.world(cluster).await?;
            lock(&mut cells, &world).await;
            Ok::<_, Box<Cause>>(world)
        };
        let ready = tokio::select! {
            ready = ready => ready,
            () = cancel.cancelled() => return self.cancelled(&cells).await,
        };
        let world = match ready {
            Ok(world) => world,
            Err(cause) => return self.without(kubernetes, &cells, cluster.provider, &cause),
        };
        if cells.iter().any(|cell| cell.example.settings.run.is_some()) {
            world.watch_what_scripts_may_create().await;
        }
        let described = described(kubernetes, cluster.provider, Ok(()), began.elapsed());
        self.work.outputs.cluster(&described);
        let limits = self.limits();
        let finished = |row: &Row| self.work.outputs.finished(row);
        let rows =
            cells::run(&cells, &cluster.nodes, &limits, cancel, |cell, turn| attempt(&world, cell, turn), finished)
                .await;
        let patience = if cancel.is_cancelled() { LEAVING_CANCELLED } else { LEAVING };
        let removed = world.janitor.finish(patience).await;
        world.hub.stop();
        Judged { rows, clusters: vec![described], remarks: leftovers(&removed), ..Judged::default() }
    }

    /// What the attempts share, with the watches that all of them need.
    async fn world<'w>(&'w self, cluster: &'w Cluster) -> std::result::Result<World<'w>, Box<Cause>> {
        let (work, workspace) = (self.work, self.work.workspace);
        let mut target = Target::new(cluster.client.clone());
        let docker_config = std::env::var_os("DOCKER_CONFIG").map(std::path::PathBuf::from);
        let names = &workspace.config.pull_secrets;
        let secrets =
            apply::pull_secrets(&cluster.client, names, docker_config.as_deref(), Patience::default()).await?;
        target.pull_secrets = secrets.into();
        let world = World {
            cluster,
            janitor: Janitor::new(target.clone()),
            target,
            hub: Hub::new(cluster.client.clone()),
            config: &workspace.config,
            frameworks: &workspace.frameworks,
            catalog: &workspace.catalog,
            root: &work.outputs.root,
            run_id: work.run_id,
            images: &self.images,
            containers: Containers {
                labels: vec![(isolate::RUN.to_owned(), work.run_id.to_owned())],
                ..Containers::default()
            },
            follow: FollowContext::new(cluster.client.clone(), FOLLOWS),
            evidence: &work.outputs.evidence,
            redactor: &work.outputs.redactor,
            environment: &self.environment,
            scratch: work.scratch,
            logs: &self.logs,
        };
        world.watch(WATCHES).await.map_err(|error| Box::new(error.cause()))?;
        Ok(world)
    }

    fn limits(&self) -> Limits<'_> {
        let (limits, config) = (&self.work.settings.limits, &self.work.workspace.config);
        let began = tokio::time::Instant::now().checked_sub(self.work.start.clock.elapsed());
        Limits {
            parallel: config.parallel,
            max_fail: limits.max_fail,
            failures: Arc::clone(&self.failures),
            fail_on: &config.fail_on,
            deadline: limits.deadline.and_then(|deadline| began?.checked_add(deadline)),
            today: self.work.start.today(),
        }
    }
}

/// Finds out which cells must not be tried at the same time.
async fn lock(cells: &mut [Cell<'_>], world: &World<'_>) {
    for cell in cells {
        let needs = isolate::needs(cell.example, world.catalog);
        let objects = needs.iter().copied().chain([cell.example]).flat_map(|part| &part.objects);
        // A cluster that can't be asked will say so when the example is applied.
        let scopes = world.target.discovery.scopes(objects).await.unwrap_or_default();
        cell.locks = isolate::cluster_scoped_keys(cell.example, &needs, &scopes);
    }
}

/// A cluster as the report has it.
fn described(
    kubernetes: &str,
    provider: &str,
    outcome: std::result::Result<(), &Cause>,
    created: Duration,
) -> report::Cluster {
    let mut phases = Map::new();
    phases.insert("createMs".to_owned(), Json::from(u64::try_from(created.as_millis()).unwrap_or(u64::MAX)));
    report::Cluster {
        kubernetes: kubernetes.to_owned(),
        provider: provider.to_owned(),
        outcome: if outcome.is_ok() { "ready" } else { "failed" }.to_owned(),
        cause: outcome.err().cloned(),
        phases,
    }
}

/// What a person should know of what is still there.
fn leftovers(removed: &Removed) -> Vec<Diagnostic> {
    let warning = |text: &String| Diagnostic::error(text.clone()).with_severity(Severity::Warning);
    let left = (!removed.left.is_empty()).then(|| {
        Diagnostic::error(format!("not deleted yet: {}", removed.left.join(", ")))
            .with_severity(Severity::Warning)
            .with_help("`example-validator clean` deletes what is left")
    });
    removed.warnings.iter().map(warning).chain(left).collect()
}
