//! A simulated cluster in this process.

use std::path::Path;

use serde_json::Value as Json;

use super::Cluster;
use super::existing::{self, Access, Unconnected};
use crate::error::{Error, Result};
use crate::plan::DEFAULT_KUBERNETES;
use crate::simulator::{Options, Simulator};

/// Starts a simulator that claims to be this version, at a pace without waiting, with these CustomResourceDefinitions, and
/// connects to it. Its kubeconfig is written into a folder of its own inside `folder`.
///
/// # Errors
/// Nothing can be listened on, or written.
pub async fn start(kubernetes: &str, definitions: &[Json], folder: &Path) -> Result<(Simulator, Cluster)> {
    let mut options = Options::default();
    if kubernetes != DEFAULT_KUBERNETES {
        kubernetes.clone_into(&mut options.kubernetes);
    }
    let simulator = Simulator::start(options).await?;
    for definition in definitions {
        if let Err(status) = simulator.store().create(definition.clone()) {
            tracing::warn!("the simulated cluster does without a definition: {}", status.message);
        }
    }
    let folder = folder.join(format!("simulated-{}", kubernetes.replace(['/', ':', '@'], "-")));
    let leads_here = folder.join("simulator");
    let written =
        std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&leads_here, simulator.kubeconfig_yaml()));
    written.map_err(|error| Error::io("write", &leads_here, error))?;
    let access = Access { kubeconfig: Some(leads_here), context: None };
    match existing::connect(&access, &folder).await {
        Ok(cluster) => Ok((simulator, Cluster { provider: "simulated", kubernetes: kubernetes.to_owned(), ..cluster })),
        Err(Unconnected::Usage(error)) => Err(error),
        Err(Unconnected::Cluster(cause)) => Err(Error::Internal(cause.message)),
    }
}
