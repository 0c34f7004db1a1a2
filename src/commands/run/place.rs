//! Where a run judges: on the cluster that is there, on clusters of kind, on simulated ones, or without any.

use std::collections::BTreeSet;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::ground::{Ground, NO_ENGINE};
use crate::cluster::Cluster;
use crate::cluster::existing::{self, Access, Unconnected};
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

impl Place {
    /// Finds out where there is a cluster, and reaches the one of a kubeconfig; gives up when `cancel` is cancelled. Nothing is
    /// created.
    ///
    /// # Errors
    /// The user's mistakes: no such kubeconfig, no such context, a bad config of kind.
    pub async fn reach(
        settings: &Settings,
        context: &RunContext,
        config: &Config,
        scratch: &Path,
        cancel: &CancellationToken,
    ) -> Result<Self> {
        let found = async {
            match config.cluster {
                ClusterKind::Simulated => Ok(Self::Simulated),
                ClusterKind::Existing => Self::existing(settings, scratch).await,
                // The plan has no cells then.
                _ if settings.selection.tier == Some(Tier::Basic) => {
                    Ok(Self::Nowhere("the basic tier alone".to_owned()))
                }
                kind => Self::kind(settings, config, scratch, kind == ClusterKind::Auto && !context.ci).await,
            }
        };
        tokio::select! {
            found = found => found,
            () = cancel.cancelled() => Ok(Self::Cancelled),
        }
    }

    async fn existing(settings: &Settings, scratch: &Path) -> Result<Self> {
        let access =
            Access { kubeconfig: settings.cluster.kubeconfig.clone(), context: settings.cluster.context.clone() };
        match existing::connect(&access, scratch).await {
            Ok(cluster) => Ok(Self::Existing(Ok(Box::new(cluster)))),
            Err(Unconnected::Cluster(cause)) => Ok(Self::Existing(Err(cause))),
            Err(Unconnected::Usage(error)) => Err(error),
        }
    }

    /// kind, if there is an engine; `or_nowhere` says whether the run does without where there is none.
    async fn kind(settings: &Settings, config: &Config, scratch: &Path, or_nowhere: bool) -> Result<Self> {
        match Ground::find(settings, config, scratch).await? {
            Ok(ground) => Ok(Self::Kind(Ok(Box::new(ground)))),
            Err(cause) if or_nowhere && cause.reason == NO_ENGINE => Ok(Self::Nowhere(cause.message)),
            Err(cause) => Ok(Self::Kind(Err(cause))),
        }
    }

    /// The only version that there is, where it is the cluster, or kind, that says so.
    pub fn version(&self, config: &Config) -> Option<&str> {
        match self {
            Self::Existing(Ok(cluster)) => Some(&cluster.kubernetes),
            Self::Kind(Ok(ground)) if config.kubernetes.is_empty() => ground.default_version(),
            _ => None,
        }
    }

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
            Self::Nowhere(why) => Some(format!("not tried on a cluster: {why}")),
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

    /// What a person should know before the results.
    pub fn remarks(&self, plan: &Plan) -> Vec<Diagnostic> {
        match self {
            Self::Nowhere(why) => nowhere(why, plan).into_iter().collect(),
            Self::Kind(Ok(ground)) => ground.config.notes.clone(),
            _ => Vec::new(),
        }
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
