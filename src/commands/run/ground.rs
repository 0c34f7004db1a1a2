//! What kind clusters stand on: the Docker engine, the tools, how many clusters the machine bears.

use std::path::{Path, PathBuf};

use crate::cluster::kind::node_image::{default_of, node_image};
use crate::cluster::kind::{ClusterConfig, Kind};
use crate::cluster::own::Own;
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::error::{Error, Result};
use crate::image::Engine;
use crate::model::{Cause, CauseClass};
use crate::settings::Settings;

/// The reason of a machine without a Docker engine.
pub const NO_ENGINE: &str = "NoDockerEngine";

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
    /// A folder on the engine's disk, as far as it can be seen from here.
    pub disk: PathBuf,
    /// How many clusters the machine bears at once.
    pub clusters_at_once: usize,
}

impl Ground {
    /// Looks for it; nothing is created.
    ///
    /// # Errors
    /// The user's mistakes in kind's config. The inner error is why there can be no cluster.
    pub async fn find(
        settings: &Settings,
        config: &Config,
        scratch: &Path,
    ) -> Result<std::result::Result<Self, Box<Cause>>> {
        let environment: Vec<_> = std::env::vars_os().collect();
        let own = Own::find(&environment, scratch).await;
        let root = settings.root.canonicalize().map_err(|error| Error::io("find", &settings.root, error))?;
        let cluster = ClusterConfig::read(config.kind.config.as_deref(), &root, own.host_paths())?;
        let engine = Engine::new(&environment, scratch);
        let platform = match engine.platform().await {
            Ok(platform) => platform,
            Err(cause) => {
                let message = format!("no Docker engine answers: {}", cause.message);
                return Ok(Err(Box::new(Cause::new(CauseClass::Cluster, NO_ENGINE, message))));
            }
        };
        let kind = Kind::new(&PathBuf::from("kind"), &environment, scratch, own);
        Ok(Ok(Self {
            kind,
            version: "v0.27.0".to_owned(),
            config: cluster,
            engine,
            platform,
            disk: scratch.to_owned(),
            clusters_at_once: 2,
        }))
    }

    /// The version of kind's own default, where it is known.
    pub fn default_version(&self) -> Option<&'static str> {
        default_of(&self.version)
    }

    /// The node image of a version of the plan; `None` is kind's own.
    ///
    /// # Errors
    /// Nobody knows which it is.
    pub fn node_image(&self, kubernetes: &str, config: &Config) -> std::result::Result<Option<String>, Diagnostic> {
        let named = config.kubernetes.iter().find(|version| version.version == kubernetes);
        node_image(kubernetes, named.and_then(|version| version.image.as_deref()), &self.version)
    }
}
