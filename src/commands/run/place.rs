//! Where a run judges: on the cluster that is there, on simulated ones, or without any.

use std::collections::BTreeSet;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::cluster::existing::{self, Access, Unconnected};
use crate::config::{ClusterKind, Config};
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::{Error, Result};
use crate::model::Cause;
use crate::plan::Plan;
use crate::report;
use crate::settings::Settings;

/// Where a run judges.
pub enum Place {
    /// Without a cluster.
    Nowhere,
    /// On the cluster of a kubeconfig; or why it can't be used.
    Existing(Result<Box<Cluster>, Box<Cause>>),
    /// On a simulator for each version.
    Simulated,
    /// On the cluster of a kubeconfig, had the run not been cancelled before that answered.
    Cancelled,
}

impl Place {
    /// Reaches the cluster, if there is to be one; gives up when `cancel` is cancelled.
    ///
    /// # Errors
    /// The user's mistakes: no such kubeconfig, no such context.
    pub async fn reach(
        settings: &Settings,
        config: &Config,
        scratch: &Path,
        cancel: &CancellationToken,
    ) -> Result<Self> {
        match config.cluster {
            ClusterKind::Auto | ClusterKind::Kind => Ok(Self::Nowhere),
            ClusterKind::Simulated => Ok(Self::Simulated),
            ClusterKind::Existing if settings.cluster.install_operator => Err(Error::usage(
                Diagnostic::error("--install-operator: this version does not deploy operators")
                    .with_help("deploy the operator in a step before, and leave the flag out"),
            )),
            ClusterKind::Existing => {
                let access = Access {
                    kubeconfig: settings.cluster.kubeconfig.clone(),
                    context: settings.cluster.context.clone(),
                };
                let connected = tokio::select! {
                    connected = existing::connect(&access, scratch) => connected,
                    () = cancel.cancelled() => return Ok(Self::Cancelled),
                };
                match connected {
                    Ok(cluster) => Ok(Self::Existing(Ok(Box::new(cluster)))),
                    Err(Unconnected::Cluster(cause)) => Ok(Self::Existing(Err(cause))),
                    Err(Unconnected::Usage(error)) => Err(error),
                }
            }
        }
    }

    /// The only version that there is, where it is the cluster that says so.
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Existing(Ok(cluster)) => Some(&cluster.kubernetes),
            _ => None,
        }
    }

    /// Whether cells are judged.
    pub fn has_clusters(&self) -> bool {
        !matches!(self, Self::Nowhere)
    }

    /// Whether what is found out proves nothing.
    pub fn is_simulated(&self) -> bool {
        match self {
            Self::Simulated => true,
            Self::Existing(Ok(cluster)) => cluster.provider == "simulated",
            Self::Existing(Err(_)) | Self::Nowhere | Self::Cancelled => false,
        }
    }

    /// Why a version of the plan can't be judged here: a plan that was made before may have several.
    pub fn not_there(&self, kubernetes: &str, plan: &Plan) -> Option<String> {
        let actual = self.version()?;
        (plan.kubernetes.len() > 1 && actual != kubernetes)
            .then(|| format!("the existing cluster is {actual}, not {kubernetes}"))
    }

    /// What a person should know before the results.
    pub fn remarks(&self, plan: &Plan) -> Option<Diagnostic> {
        let cells: Vec<_> = plan.selected().filter(|row| row.kubernetes.is_some()).collect();
        let message = match self {
            Self::Nowhere if !cells.is_empty() => {
                let versions: BTreeSet<_> = cells.iter().filter_map(|row| row.kubernetes.as_deref()).collect();
                let examples: BTreeSet<_> = cells.iter().map(|row| &row.example).collect();
                format!(
                    "this version creates no clusters: {} planned for {} are checked statically alone; `--cluster existing` judges \
                     them on the cluster of your kubeconfig",
                    report::plural(examples.len(), "example"),
                    versions.into_iter().collect::<Vec<_>>().join(", ")
                )
            }
            _ => return None,
        };
        Some(Diagnostic::error(message).with_severity(Severity::Note))
    }
}
