//! What kind clusters stand on: a machine with a Docker engine, and on it the tools, looked at before anything is created.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::catalog::Catalog;
use crate::child::Variable;
use crate::cluster::Cluster;
use crate::cluster::kind::node_image::{default_of, node_image};
use crate::cluster::kind::{ClusterConfig, Kind};
use crate::cluster::own::Own;
use crate::cluster::preflight::{Facts, Needs};
use crate::cluster::tools::{Foreseen, Found, ToolError, Toolbox, Wanted, cache_dir};
use crate::config::{Config, KubernetesVersion, OperatorStep};
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::{Error, Result};
use crate::image::Engine;
use crate::model::{Cause, CauseClass};
use crate::plan::Plan;
use crate::settings::{RunContext, Settings};

/// A machine on which clusters can be made, as far as was looked.
pub struct Machine {
    environment: Vec<Variable>,
    scratch: PathBuf,
    toolbox: Toolbox,
    facts: Facts,
}

/// What kind clusters stand on.
pub struct Ground {
    /// kind.
    pub kind: Kind,
    /// The version of kind, `v0.33.0`.
    pub version: String,
    /// The config of every cluster.
    pub config: ClusterConfig,
    /// The Docker engine.
    pub engine: Engine,
    /// The platform of its containers, `linux/amd64`.
    pub platform: String,
    /// Folders on the disks that fill: the engine's, as far as it can be seen from here, and our own.
    pub disks: Vec<PathBuf>,
    /// How many clusters the machine bears at once.
    pub clusters_at_once: usize,
}

/// Helm, if a step of the operator is a chart: where there is none to be had, its absence is told when it is needed.
pub async fn helm(settings: &Settings, context: &RunContext, config: &Config, scratch: &Path) -> PathBuf {
    let named = PathBuf::from("helm");
    if !config.operator.iter().any(|step| matches!(step, OperatorStep::Helm { .. })) {
        return named;
    }
    match toolbox(settings, &context.environment, scratch).find(Wanted::Helm, None).await {
        Ok(found) => found.path,
        Err(error) => {
            tracing::warn!("{error}: {}", error.hint());
            named
        }
    }
}

/// The tools of a run, on the PATH or from their releases.
fn toolbox(settings: &Settings, environment: &[Variable], scratch: &Path) -> Toolbox {
    let cache = cache_dir(settings.cache.tool_dir.as_deref(), environment, scratch);
    Toolbox::new(environment, cache, settings.cache.tool_mirror.clone())
}

impl Machine {
    /// Looks at it. `Err` says that there is no Docker engine, and why.
    pub async fn look(
        settings: &Settings,
        context: &RunContext,
        config: &Config,
        scratch: &Path,
    ) -> std::result::Result<Self, Diagnostic> {
        let environment = context.environment.clone();
        let toolbox = toolbox(settings, &environment, scratch);
        let mut facts = Facts::look(&environment, &toolbox, config.kind.version.as_deref()).await;
        tracing::debug!("{}", facts.summary());
        facts.docker = Ok(facts.docker?);
        Ok(Self { environment, scratch: scratch.to_owned(), toolbox, facts })
    }

    /// The version of Kubernetes that its kind takes where it is told none.
    pub fn default_version(&self) -> Option<&'static str> {
        match self.facts.kind.as_ref().ok()? {
            Foreseen::OnPath(Found { version, .. }) | Foreseen::Release(version) => default_of(version),
        }
    }

    /// kubectl, where the PATH has none that can be used.
    pub async fn kubectl(&self) -> Option<PathBuf> {
        let Ok(Foreseen::Release(_)) = &self.facts.kubectl else { return None };
        match self.toolbox.find(Wanted::Kubectl, None).await {
            Ok(found) => Some(found.path),
            Err(error) => {
                tracing::warn!("{error}: {}", error.hint());
                None
            }
        }
    }

    /// Holds the machine to what the plan needs, and gets the tools. The inner error is why there can be no cluster.
    ///
    /// # Errors
    /// The user's mistakes in kind's config, and in the versions that are asked for.
    pub async fn prepare(
        self,
        settings: &Settings,
        config: &Config,
        catalog: &Catalog,
        plan: &Plan,
    ) -> Result<(std::result::Result<Ground, Box<Cause>>, Vec<Diagnostic>)> {
        let root = settings.root.canonicalize().map_err(|error| Error::io("find", &settings.root, error))?;
        let own = Own::find(&self.environment, &self.scratch).await;
        let cluster = ClusterConfig::read(config.kind.config.as_deref(), &root, own.host_paths())?;
        let versions: BTreeSet<_> = plan.selected().filter_map(|row| row.kubernetes.as_deref()).collect();
        for version in &versions {
            image_of(config, version, "").map_err(Error::usage)?;
        }
        let memory =
            plan.selected().filter_map(|row| Some(catalog.get(&row.example)?.settings.resources.memory.units())).max();
        let memory = memory.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default();
        let bearable = self.facts.cluster_parallel(versions.len(), memory);
        let clusters_at_once = settings.cluster.parallel.map_or(bearable, |given| given.get().min(versions.len()));
        let minor = |version: &&str| KubernetesVersion { version: (*version).to_owned(), image: None }.minor();
        let needs = Needs {
            clusters: clusters_at_once,
            example_memory: memory,
            minors: versions.iter().filter_map(minor).collect(),
        };
        if let Err(error) = &self.facts.kind
            && error.is_usage()
        {
            return Err(Error::usage(missing(error)));
        }
        let engine_disk = self.facts.docker.as_ref().map(|docker| docker.root.clone()).unwrap_or_default();
        let problems = self.facts.problems(&needs);
        let (errors, mut warnings): (Vec<_>, Vec<_>) =
            problems.into_iter().partition(|problem| problem.severity == Severity::Error);
        let mut errors = errors.into_iter();
        if let Some(error) = errors.next() {
            warnings.splice(..0, errors);
            return Ok((Err(Box::new(cause("Preflight", error))), warnings));
        }
        let found = match self.toolbox.find(Wanted::Kind, config.kind.version.as_deref()).await {
            Ok(found) => found,
            Err(error) => return Ok((Err(Box::new(cause("ToolMissing", missing(&error)))), warnings)),
        };
        let engine = Engine::new(&self.environment, &self.scratch);
        let platform = match engine.platform().await {
            Ok(platform) => platform,
            Err(cause) => return Ok((Err(cause), warnings)),
        };
        let kind = Kind::new(&found.path, &self.environment, &self.scratch, own);
        let notes = cluster.notes.iter().cloned();
        let warnings = warnings.into_iter().chain(notes).collect();
        let engine_disk = if engine_disk.is_dir() { engine_disk } else { PathBuf::from("/") };
        let disks = vec![engine_disk, self.scratch];
        let ground =
            Ground { kind, version: found.version, config: cluster, engine, platform, disks, clusters_at_once };
        Ok((Ok(ground), warnings))
    }
}

impl Ground {
    /// Leaves a cluster its part of the machine: each of its nodes believes that it has all of it.
    pub fn share(&self, cluster: &mut Cluster) {
        let parts = self.clusters_at_once.max(1) * cluster.nodes.len().max(1);
        for node in &mut cluster.nodes {
            node.cpu = node.cpu.divided_by(parts);
            node.memory = node.memory.divided_by(parts);
        }
    }

    /// The node image of a version of the plan; `None` is kind's own.
    ///
    /// # Errors
    /// Nobody knows which it is.
    pub fn node_image(&self, kubernetes: &str, config: &Config) -> std::result::Result<Option<String>, Diagnostic> {
        image_of(config, kubernetes, &self.version)
    }
}

fn image_of(config: &Config, kubernetes: &str, kind: &str) -> std::result::Result<Option<String>, Diagnostic> {
    let named = config.kubernetes.iter().find(|version| version.version == kubernetes);
    node_image(kubernetes, named.and_then(|version| version.image.as_deref()), kind)
}

fn missing(error: &ToolError) -> Diagnostic {
    Diagnostic::error(error.to_string()).with_help(error.hint())
}

/// What was found as the cause of cells that can't be tried.
pub fn cause(reason: &str, found: Diagnostic) -> Cause {
    Cause { hint: found.help.unwrap_or_default(), ..Cause::new(CauseClass::Cluster, reason, found.message) }
}
