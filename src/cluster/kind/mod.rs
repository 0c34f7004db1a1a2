//! Clusters of kind, driven by its command line: created until they can take work, deleted until nothing is left.
//!
//! kind is not a program that can be trusted to have done what its exit code says: it ends with 0 when its wait timed out, it dies
//! at once when it is told to end and leaves its children running, and a delete right after that deletes nothing that lasts. So
//! readiness is asked of the API server ([`ready`]), and deletion is looked at ([`delete`]).

pub mod config;
mod create;
mod delete;
mod failure;
pub mod names;
pub mod node_image;
mod ready;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::child::{Answer, ChildError, Tool, Variable, environment};
use crate::trial::script::Containers;

use super::own::Own;
pub use config::ClusterConfig;
pub use create::{Created, DEADLINE, Failure, Spec};
pub use delete::{Leftover, end_orphans};

/// The label of a node's container that names its cluster.
const CLUSTER: &str = "io.x-k8s.kind.cluster";
/// The label that says what a container of a cluster is for.
const ROLE: &str = "io.x-k8s.kind.role";
/// How long a short question to kind or Docker may take.
const ANSWER: Duration = Duration::from_secs(15);
/// How long the export of a cluster's logs may take.
const EXPORT: Duration = Duration::from_secs(60);

/// kind, and the Docker engine that it drives.
pub struct Kind {
    cli: Tool,
    docker: Tool,
    own: Own,
    /// Where kubeconfigs and temporary files are.
    scratch: PathBuf,
    patience: delete::Patience,
    /// Clusters of which kind did not say that it had finished creating them: more of them may appear after a delete.
    unsettled: Mutex<HashSet<String>>,
}

impl Kind {
    /// The kind of this `program` (a file, or a name on the PATH), with what an allow-list leaves of our `environment`. Everything
    /// that it writes on this machine is inside of `scratch`, an absolute path.
    #[must_use]
    pub fn new(program: &Path, environment: &[Variable], scratch: &Path, own: Own) -> Self {
        let allowed = environment::for_docker(environment);
        let cli = Tool::new(program, allowed.clone(), scratch).with("TMPDIR", scratch);
        let docker = Tool::new("docker", allowed, scratch);
        Self {
            cli,
            docker,
            own,
            scratch: scratch.to_owned(),
            patience: delete::Patience::default(),
            unsettled: Mutex::default(),
        }
    }

    /// The kubeconfig that kind writes for a cluster. It is this cluster's alone: a lock that a killed kind left on a shared one would
    /// stop every other.
    #[must_use]
    pub fn kubeconfig(&self, name: &str) -> PathBuf {
        self.folder(name).join("kubeconfig")
    }

    /// The containers of a cluster's nodes, in the order of their names.
    ///
    /// # Errors
    /// Docker does not answer; why, in one line.
    pub async fn nodes(&self, name: &str) -> Result<Vec<String>, String> {
        let filter = format!("label={CLUSTER}={name}");
        let format = format!("{{{{.Names}}}}\t{{{{.Label \"{ROLE}\"}}}}");
        let listed = told(self.docker.ask(&["ps", "-a", "--filter", &filter, "--format", &format], ANSWER).await)?;
        let is_node = |role: &str| matches!(role.trim(), "control-plane" | "worker");
        let nodes = listed.lines().filter_map(|line| line.split_once('\t').filter(|(_, role)| is_node(role)));
        let mut nodes: Vec<_> = nodes.map(|(node, _)| node.to_owned()).collect();
        nodes.sort();
        Ok(nodes)
    }

    /// Writes the logs of a cluster's nodes into `folder`, also of one that is only half built.
    ///
    /// # Errors
    /// Some could not be had; why, in one line. The others are there.
    pub async fn export_logs(&self, name: &str, folder: &Path) -> Result<(), String> {
        let folder = std::path::absolute(folder).map_err(|error| error.to_string())?;
        let shown = folder.to_string_lossy();
        told(self.cli.ask(&["export", "logs", &shown, "--name", name], EXPORT).await).map(drop)
    }

    /// How script examples are started beside its clusters.
    #[must_use]
    pub fn containers(&self, labels: Vec<(String, String)>) -> Containers {
        let network = self.own.is_joining().then(|| self.own.network().to_owned());
        self.own.containers(network, labels)
    }

    /// Where this program itself runs.
    pub(crate) fn own(&self) -> &Own {
        &self.own
    }

    /// Takes this program's own container off the network of the clusters, if it was put there.
    ///
    /// # Errors
    /// Why it could not, in one line.
    pub async fn leave(&self) -> Result<(), String> {
        self.own.leave().await
    }

    /// A cluster's folder for private files.
    fn folder(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    fn is_unsettled(&self, name: &str) -> bool {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    fn set_unsettled(&self, name: &str, is_unsettled: bool) {
        let mut names = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        if is_unsettled {
            names.insert(name.to_owned());
        } else {
            names.remove(name);
        }
    }
}

/// What a program answered, or why it did not, in one line.
fn told(answer: Result<Answer, ChildError>) -> Result<String, String> {
    match answer {
        Ok(answer) if answer.succeeded => Ok(answer.out),
        Ok(answer) => Err(answer.last_line().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
