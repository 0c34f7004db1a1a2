//! The cells of one version: the cluster that they get, what is deployed there, and their rows.

use std::ffi::OsString;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;

use super::builds::Builds;
use super::on_clusters::{Judged, Work};
use super::operator_checks::OperatorChecks;
use super::place::{Place, There};
use super::pulls::Pulls;
use crate::cluster::{self, Cluster};
use crate::commands::judge::Span;
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::Result;
use crate::evidence::FollowContext;
use crate::image::replace::Replacements;
use crate::model::{Cause, CauseClass, ExampleId, Outcome};
use crate::operator::{self, Helm, Operator};
use crate::report::{self, LogTail, Row};
use crate::trial::apply::{self, Limits as Patience, Target};
use crate::trial::attempt::{World, attempt};
use crate::trial::cells::{self, Cell, Limits};
use crate::trial::cleanup::{self, Removed};
use crate::trial::hub::Hub;
use crate::trial::isolate;
use crate::trial::janitor::Janitor;
use crate::trial::metrics::Meter;
use crate::trial::resources::{Rhythm, Sampler};
use crate::trial::script::Containers;

/// How long the watches that every attempt needs may take to begin.
const WATCHES: Duration = Duration::from_secs(30);
/// How long what attempts left may take to be deleted at the end of a run, and at the end of a cancelled one.
const LEAVING: Duration = Duration::from_secs(100);
const LEAVING_CANCELLED: Duration = Duration::from_secs(4);
/// How long the operator's logs may take to come to disk.
const OPERATOR_LOGS: Duration = Duration::from_secs(2);
/// Logs that are followed at once on one cluster.
const FOLLOWS: usize = 256;

/// What the clusters of a run share.
pub(super) struct Shared<'s, 'a, 'o> {
    pub(super) work: &'s Work<'a, 'o>,
    /// The project's definitions, for simulated clusters.
    pub(super) definitions: Vec<Json>,
    /// What the images mean that the project builds.
    pub(super) images: Replacements,
    /// Those images, as they are built.
    pub(super) builds: &'s Builds<'a>,
    /// The images of others.
    pub(super) pulls: &'s Pulls,
    /// Cancelled with the run, and at its deadline: nothing that cells would have to wait for is worth its time then.
    pub(super) stop: CancellationToken,
    pub(super) failures: Arc<AtomicUsize>,
    pub(super) environment: Vec<(OsString, OsString)>,
    /// The ends of telling logs, by example and version.
    pub(super) logs: Mutex<Vec<(ExampleId, String, LogTail)>>,
}

/// A cluster that can take work, and what was done to it before.
pub(super) struct Brought<'c> {
    /// The cluster.
    pub(super) cluster: &'c Cluster,
    /// When and how long it was brought up; `None` while that goes on.
    pub(super) created: Option<Span>,
    /// The operator that was deployed there.
    pub(super) operator: Option<Operator>,
    /// When it was deployed, and how long that took, waiting for images left aside.
    pub(super) deployed: Option<Span>,
    /// How containers of scripts are started beside it.
    pub(super) containers: Containers,
    /// Whether it is deleted when its cells are done: then nobody has to wait until namespaces are gone.
    pub(super) goes: bool,
}

impl<'a> Shared<'_, 'a, '_> {
    /// Brings up what is needed for one version, and judges its cells there.
    pub(super) async fn on_version(&self, kubernetes: &str, cells: Vec<Cell<'a>>) -> Result<Judged> {
        let began = Instant::now();
        match self.work.place {
            Place::Cancelled => Ok(self.cancelled(&cells).await),
            Place::Nowhere(why) => {
                Ok(self.without(kubernetes, &cells, "none", &Cause::new(CauseClass::Internal, "NoCluster", why)))
            }
            Place::Existing(Err(cause)) => Ok(self.without(kubernetes, &cells, "existing", cause)),
            Place::Existing(Ok(there)) => Ok(self.on_existing(kubernetes, cells, there, began).await),
            Place::Kind(Err(cause)) => Ok(self.without(kubernetes, &cells, "kind", cause)),
            Place::Kind(Ok(ground)) => Ok(self.on_kind_whatever_happens(kubernetes, cells, ground).await),
            Place::Simulated => {
                let (simulator, cluster) =
                    cluster::simulated::start(kubernetes, &self.definitions, self.work.scratch).await?;
                let brought = Brought { created: Some(self.work.start.span(began)), ..self.brought(&cluster) };
                let judged = self.on_cluster(kubernetes, cells, &brought).await;
                simulator.shutdown().await;
                Ok(judged)
            }
        }
    }

    /// On the cluster that is there; the operator is deployed where that was asked for, and stays.
    async fn on_existing(&self, kubernetes: &str, cells: Vec<Cell<'a>>, there: &There, began: Instant) -> Judged {
        let nothing = self.brought(&there.cluster);
        let containers = there.containers(nothing.containers.labels);
        let mut brought =
            Brought { created: Some(self.work.start.span(began)), containers, ..self.brought(&there.cluster) };
        if self.work.settings.cluster.install_operator
            && let Err(judged) = self.bring_operator(kubernetes, &cells, &mut brought, async { Ok(()) }).await
        {
            return judged;
        }
        let judged = self.on_cluster(kubernetes, cells, &brought).await;
        finish(brought.operator).await;
        judged
    }

    /// A cluster to which nothing was done.
    pub(super) fn brought<'c>(&self, cluster: &'c Cluster) -> Brought<'c> {
        let labels = vec![(isolate::RUN.to_owned(), self.work.run_id.to_owned())];
        Brought {
            cluster,
            created: None,
            operator: None,
            deployed: None,
            containers: Containers { labels, ..Containers::default() },
            goes: false,
        }
    }

    /// Deploys the operator, if there is one, once `ready` says that it can be.
    ///
    /// # Errors
    /// It is not ready, or the run was cancelled: the rows of the cells.
    pub(super) async fn bring_operator(
        &self,
        kubernetes: &str,
        cells: &[Cell<'_>],
        brought: &mut Brought<'_>,
        ready: impl Future<Output = std::result::Result<(), Box<Cause>>>,
    ) -> std::result::Result<(), Judged> {
        let config = &self.work.workspace.config;
        if config.operator.is_empty() {
            return Ok(());
        }
        let cancel = &self.stop;
        let folder = self.work.outputs.evidence.other(&format!("{kubernetes}/operator"));
        let scratch = self.work.scratch.join(format!("helm-{}", kubernetes.replace(['/', ':', '@'], "-")));
        let renderer = std::env::current_exe().unwrap_or_default();
        let deployment = operator::Deployment {
            steps: &config.operator,
            ready: &config.operator_ready,
            graces: &config.graces,
            root: &self.work.outputs.root,
            built: &self.images,
            own_cluster: brought.cluster.provider != "existing",
            folder: &folder,
            helm: Helm {
                program: &self.work.helm,
                kubeconfig: &brought.cluster.kubeconfig,
                scratch: &scratch,
                environment: &self.environment,
                renderer: &renderer,
            },
        };
        let target = Target::new(brought.cluster.client.clone());
        let deployed = async {
            ready.await?;
            let began = Instant::now();
            let deployed = operator::deploy(&target, &deployment, cancel).await;
            brought.deployed = Some(self.work.start.span(began));
            deployed
        };
        let deployed = tokio::select! {
            deployed = deployed => deployed,
            () = cancel.cancelled() => return Err(self.cancelled(cells).await),
        };
        match deployed {
            Ok(operator) => brought.operator = Some(operator),
            Err(_) if cancel.is_cancelled() => return Err(self.cancelled(cells).await),
            Err(cause) => return Err(self.errored(cells, &cause, described(kubernetes, brought, Some(&cause)))),
        }
        Ok(())
    }

    /// The rows of cells whose cluster is not to be had.
    pub(super) fn without(&self, kubernetes: &str, cells: &[Cell<'_>], provider: &str, cause: &Cause) -> Judged {
        self.errored(cells, cause, cluster(kubernetes, provider, [None; 2], Some(cause)))
    }

    /// The rows of cells whose cluster could not be created, which was tried since `began`.
    pub(super) fn not_created(&self, kubernetes: &str, cells: &[Cell<'_>], cause: &Cause, began: Instant) -> Judged {
        let tried = Some(self.work.start.span(began));
        self.errored(cells, cause, cluster(kubernetes, "kind", [tried, None], Some(cause)))
    }

    fn errored(&self, cells: &[Cell<'_>], cause: &Cause, cluster: report::Cluster) -> Judged {
        let today = self.work.start.today();
        let rows: Vec<_> = cells.iter().map(|cell| cells::errored(cell, cause.clone(), today)).collect();
        for row in &rows {
            self.work.outputs.finished(row);
        }
        self.work.outputs.cluster(&cluster);
        Judged { rows, clusters: vec![cluster], ..Judged::default() }
    }

    /// The rows of cells of a run that was cancelled before any of them could begin.
    pub(super) async fn cancelled(&self, cells: &[Cell<'_>]) -> Judged {
        let finished = |row: &Row| self.work.outputs.finished(row);
        let cancel = &self.work.signals.cancel;
        let rows = cells::run(cells, &[], &self.limits(), cancel, |_, _| std::future::pending(), finished).await;
        Judged { rows, ..Judged::default() }
    }

    pub(super) async fn on_cluster(&self, kubernetes: &str, mut cells: Vec<Cell<'_>>, brought: &Brought<'_>) -> Judged {
        let cluster = brought.cluster;
        let cancel = &self.work.signals.cancel;
        let ready = async {
            let world = self.world(brought).await?;
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
        let mut described = described(kubernetes, brought, None);
        self.work.outputs.cluster(&described);
        let run_wide = Box::pin(OperatorChecks::begin(&world, brought.operator.as_ref(), cancel)).await;
        let limits = self.limits();
        let finished = |row: &Row| self.work.outputs.finished(&self.with_log(row.clone()));
        let rows =
            cells::run(&cells, &cluster.nodes, &limits, cancel, |cell, turn| attempt(&world, cell, turn), finished)
                .await;
        described.checks = Box::pin(run_wide.end(kubernetes, &rows, limits.deadline, cancel)).await;
        self.work.outputs.cluster(&described);
        let rows = rows.into_iter().map(|row| self.with_log(row)).collect();
        let remarks = if brought.goes {
            Vec::new()
        } else {
            let patience = if cancel.is_cancelled() { LEAVING_CANCELLED } else { LEAVING };
            let begun = std::time::Instant::now();
            let left = leftovers(&world.janitor.finish(patience).await);
            let waited = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            described.phases.insert("cleanupMs".to_owned(), waited.into());
            left
        };
        world.hub.stop();
        Judged { rows, clusters: vec![described], remarks, ..Judged::default() }
    }

    /// What the attempts share, with the watches that all of them need.
    async fn world<'w>(&'w self, brought: &'w Brought<'w>) -> std::result::Result<World<'w>, Box<Cause>> {
        let cluster = brought.cluster;
        let (work, workspace) = (self.work, self.work.workspace);
        let mut target = Target::new(cluster.client.clone());
        let docker_config = std::env::var_os("DOCKER_CONFIG").map(std::path::PathBuf::from);
        let names = &workspace.config.pull_secrets;
        let secrets =
            apply::pull_secrets(&cluster.client, names, docker_config.as_deref(), Patience::default()).await?;
        target.pull_secrets = secrets.into();
        let world = World {
            cluster,
            janitor: Janitor::new(target.clone(), cleanup::Patience::on(cluster.provider)),
            target,
            hub: Hub::new(cluster.client.clone()),
            sampler: Sampler::start(cluster.client.clone(), Rhythm::of(cluster.provider)),
            config: &workspace.config,
            frameworks: &workspace.frameworks,
            catalog: &workspace.catalog,
            root: &work.outputs.root,
            run_id: work.run_id,
            images: &self.images,
            meter: workspace.config.metrics.clone().map(|source| Meter::new(cluster.client.clone(), source)),
            operator: brought.operator.as_ref().map(Operator::restarts),
            containers: brought.containers.clone(),
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

    /// The row with the end of the log of who is to blame: that of its last attempt that has one.
    fn with_log(&self, row: Row) -> Row {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let is_of = |example: &ExampleId, version: &str| {
            *example == row.example && row.kubernetes.as_deref() == Some(version) && row.outcome != Outcome::Passed
        };
        let log = logs.iter().rev().find(|(example, version, _)| is_of(example, version));
        Row { log: log.map(|(.., log)| log.clone().bounded()), ..row }
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
        cell.locks = isolate::lock_keys(cell.example, &needs, &scopes);
    }
}

/// A cluster as the report has it; `cause` is why no cell could be tried there.
fn described(kubernetes: &str, brought: &Brought<'_>, cause: Option<&Cause>) -> report::Cluster {
    cluster(kubernetes, brought.cluster.provider, [brought.created, brought.deployed], cause)
}

/// A cluster as the report has it, and when it was created and given the operator.
fn cluster(kubernetes: &str, provider: &str, spans: [Option<Span>; 2], cause: Option<&Cause>) -> report::Cluster {
    let took = ["createMs", "operatorMs"].into_iter().zip(spans);
    let took = took.filter_map(|(phase, span)| Some((phase.to_owned(), Json::from(span?.millis()))));
    let [started_at, operator_started_at] =
        spans.map(|span| span.map_or_else(String::new, |span| span.began.to_string()));
    report::Cluster {
        kubernetes: kubernetes.to_owned(),
        provider: provider.to_owned(),
        outcome: if cause.is_none() { "ready" } else { "failed" }.to_owned(),
        cause: cause.cloned(),
        started_at,
        operator_started_at,
        phases: took.collect(),
        checks: Vec::new(),
    }
}

/// Brings the operator's last words to disk.
pub(super) async fn finish(operator: Option<Operator>) {
    if let Some(operator) = operator {
        operator.finish(OPERATOR_LOGS).await;
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
