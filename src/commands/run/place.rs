//! Where a run judges: on the cluster that is there, on clusters of kind, on simulated ones, or without any.

use std::collections::BTreeSet;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::ground::{Ground, Machine, cause};
use crate::cluster::Cluster;
use crate::cluster::existing::{self, Access, Unconnected};
use crate::commands::workspace::Workspace;
use crate::config::{ClusterKind, Config};
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::Result;
use crate::model::{Cause, Tier};
use crate::plan::Plan;
use crate::report;
use crate::settings::{RunContext, Settings};

/// Where a run judges.
pub enum Place {
    /// Without a cluster, for this reason.
    Nowhere(String),
    /// On the cluster of a kubeconfig; or why it can't be used.
    Existing(Result<Box<Cluster>, Box<Cause>>),
    /// On a kind cluster for each version; or why there can be none.
    Kind(Result<Box<Ground>, Box<Cause>>),
    /// On a simulator for each version.
    Simulated,
    /// On a cluster, had the run not been cancelled before that was found.
    Cancelled,
}

/// What is known of the place before there is a plan.
pub enum Reached {
    /// All of it.
    Place(Place),
    /// The machine on which clusters can be made: which, the plan says.
    Machine(Box<Machine>),
}

impl Reached {
    /// Finds out where there is a cluster, and reaches the one of a kubeconfig; gives up when `cancel` is cancelled. Nothing is
    /// created.
    ///
    /// # Errors
    /// The user's mistakes: no such kubeconfig, no such context.
    pub async fn find(
        settings: &Settings,
        context: &RunContext,
        config: &Config,
        scratch: &Path,
        cancel: &CancellationToken,
    ) -> Result<Self> {
        let found = async {
            match config.cluster {
                ClusterKind::Simulated => Ok(Self::Place(Place::Simulated)),
                ClusterKind::Existing => existing(settings, scratch).await.map(Self::Place),
                // The plan has no cells then.
                _ if settings.selection.tier == Some(Tier::Basic) => {
                    Ok(Self::Place(Place::Nowhere("the basic tier alone".to_owned())))
                }
                kind => match Machine::look(settings, context, config, scratch).await {
                    Ok(machine) => Ok(Self::Machine(Box::new(machine))),
                    Err(why) if kind == ClusterKind::Auto && !context.ci => {
                        Ok(Self::Place(Place::Nowhere(why.message)))
                    }
                    Err(why) => Ok(Self::Place(Place::Kind(Err(Box::new(cause("NoDockerEngine", why)))))),
                },
            }
        };
        tokio::select! {
            found = found => found,
            () = cancel.cancelled() => Ok(Self::Place(Place::Cancelled)),
        }
    }

    /// The only version that there is, where it is the cluster, or kind, that says so.
    pub fn version(&self, config: &Config) -> Option<&str> {
        match self {
            Self::Place(Place::Existing(Ok(cluster))) => Some(&cluster.kubernetes),
            Self::Machine(machine) if config.kubernetes.is_empty() => machine.default_version(),
            _ => None,
        }
    }

    /// The place of this plan, with what a person should know before the results. Nothing is created yet.
    ///
    /// # Errors
    /// The user's mistakes: a version that nobody knows, a bad config of kind.
    pub async fn settle(
        self,
        settings: &Settings,
        workspace: &Workspace,
        plan: &Plan,
        cancel: &CancellationToken,
    ) -> Result<(Place, Vec<Diagnostic>)> {
        let machine = match self {
            Self::Machine(machine) => machine,
            Self::Place(Place::Nowhere(why)) => {
                let note = nowhere(&why, plan);
                return Ok((Place::Nowhere(why), note.into_iter().collect()));
            }
            Self::Place(place) => return Ok((place, Vec::new())),
        };
        if plan.selected().all(|row| row.kubernetes.is_none()) {
            return Ok((Place::Nowhere("nothing is planned for a cluster".to_owned()), Vec::new()));
        }
        tokio::select! {
            ground = machine.prepare(settings, &workspace.config, &workspace.catalog, plan) => {
                let (ground, remarks) = ground?;
                Ok((Place::Kind(ground.map(Box::new)), remarks))
            }
            () = cancel.cancelled() => Ok((Place::Cancelled, Vec::new())),
        }
    }
}

async fn existing(settings: &Settings, scratch: &Path) -> Result<Place> {
    let access = Access { kubeconfig: settings.cluster.kubeconfig.clone(), context: settings.cluster.context.clone() };
    match existing::connect(&access, scratch).await {
        Ok(cluster) => Ok(Place::Existing(Ok(Box::new(cluster)))),
        Err(Unconnected::Cluster(cause)) => Ok(Place::Existing(Err(cause))),
        Err(Unconnected::Usage(error)) => Err(error),
    }
}

impl Place {
    /// Whether cells are judged.
    pub fn has_clusters(&self) -> bool {
        !matches!(self, Self::Nowhere(_))
    }

    /// Whether what is found out proves nothing.
    pub fn is_simulated(&self) -> bool {
        match self {
            Self::Simulated => true,
            Self::Existing(Ok(cluster)) => cluster.provider == "simulated",
            Self::Existing(Err(_)) | Self::Kind(_) | Self::Nowhere(_) | Self::Cancelled => false,
        }
    }

    /// Why a version of the plan is not judged here: there is no cluster, or (a plan that was made before may have several versions)
    /// another one.
    pub fn not_judged(&self, kubernetes: &str, plan: &Plan) -> Option<String> {
        match self {
            Self::Nowhere(why) => Some(why.clone()),
            Self::Existing(Ok(cluster)) => (plan.kubernetes.len() > 1 && cluster.kubernetes != kubernetes)
                .then(|| format!("the existing cluster is {}, not {kubernetes}", cluster.kubernetes)),
            _ => None,
        }
    }

    /// Leaves what was joined for the run's time; what could not be left.
    pub async fn leave(&self) -> Option<Diagnostic> {
        let Self::Kind(Ok(ground)) = self else { return None };
        let why = ground.kind.leave().await.err()?;
        Some(Diagnostic::error(why).with_severity(Severity::Warning))
    }
}

/// That planned cells are not tried.
fn nowhere(why: &str, plan: &Plan) -> Option<Diagnostic> {
    let cells: Vec<_> = plan.selected().filter(|row| row.kubernetes.is_some()).collect();
    let versions: BTreeSet<_> = cells.iter().filter_map(|row| row.kubernetes.as_deref()).collect();
    let examples: BTreeSet<_> = cells.iter().map(|row| &row.example).collect();
    let message = format!(
        "{why}; the basic tier alone judges {}, planned for {}",
        report::plural(examples.len(), "example"),
        versions.into_iter().collect::<Vec<_>>().join(", ")
    );
    let help = "start a Docker engine (`docker info` must answer), or judge on the cluster of your kubeconfig: `--cluster existing`";
    (!cells.is_empty()).then(|| Diagnostic::error(message).with_severity(Severity::Note).with_help(help))
}
