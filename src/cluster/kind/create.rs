//! From a version to a cluster that can take work.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::failure::{self, Judged};
use super::ready::{self, Waited, Wanted};
use super::{ANSWER, ClusterConfig, Kind, told};
use crate::child::{ChildError, Logged};
use crate::cluster::existing::{self, Access, Unconnected};
use crate::cluster::{Cluster, nodes};
use crate::error::chain;
use crate::model::{Cause, CauseClass};

/// How long a cluster may take until it can take work, its second try included. A node image is a gigabyte, and several may be pulled at
/// once over a slow line.
pub const DEADLINE: Duration = Duration::from_secs(600);
/// A second try is not begun with less time left than this: kubeadm alone takes 15 s where all goes well.
const WORTHWHILE: Duration = Duration::from_secs(20);
/// A failed create is tried once more.
const TRIES: u32 = 2;

/// A cluster to create.
#[derive(Clone, Copy, Debug)]
pub struct Spec<'a> {
    /// Its name, of [`super::names::cluster_name`].
    pub name: &'a str,
    /// The version by which plan and report name it.
    pub kubernetes: &'a str,
    /// The node image, of [`super::node_image::node_image`]; `None` is kind's own.
    pub image: Option<&'a str>,
    /// Its config.
    pub config: &'a ClusterConfig,
    /// The folder for kind's own words, `create-1.log`, and for the logs of a cluster that came to nothing, `attempt-1/`.
    pub logs: &'a Path,
    /// How long it may take in all.
    pub within: Duration,
}

/// A cluster that can take work.
pub struct Created {
    /// The cluster.
    pub cluster: Cluster,
    /// What its API server says that it is: `v1.34.0`.
    pub version: String,
    /// How long it took, from the start of the first try.
    pub took: Duration,
    /// Why the first try failed, if there was a second.
    pub first_failure: Option<Cause>,
}

/// Why there is no cluster. Nothing of it is left, or `clean` finds it.
#[derive(Debug)]
pub enum Failure {
    /// The run was cancelled.
    Cancelled,
    /// Its examples are `errored` for this.
    Cluster(Box<Cause>),
}

/// How a try ended that made no cluster.
enum Tried {
    Cancelled,
    Failed(Box<Judged>),
}

impl Kind {
    /// Creates a cluster and waits until it can take work. What fails is deleted, its logs kept; it is tried once more where that may
    /// help.
    ///
    /// # Errors
    /// There is no cluster.
    pub async fn create(&self, spec: &Spec<'_>, cancel: &CancellationToken) -> Result<Created, Failure> {
        let start = Instant::now();
        let deadline = start + spec.within;
        let mut first_failure = None;
        let mut number = 1;
        loop {
            let judged = match self.attempt(spec, number, deadline, cancel).await {
                Ok((cluster, version)) => {
                    return Ok(Created { cluster, version, took: start.elapsed(), first_failure });
                }
                Err(Tried::Cancelled) => {
                    self.cleared(spec.name).await;
                    return Err(Failure::Cancelled);
                }
                Err(Tried::Failed(judged)) => judged,
            };
            let Judged { mut cause, again } = *judged;
            // Another's cluster is not ours to look into, nor to delete.
            if cause.reason == failure::EXISTS && number == 1 {
                self.set_unsettled(spec.name, false);
                return Err(Failure::Cluster(Box::new(cause)));
            }
            let logs = spec.logs.join(format!("attempt-{number}"));
            if !cancel.is_cancelled() {
                cause = self.explained(spec.name, cause, &logs, cancel).await;
            }
            self.cleared(spec.name).await;
            if cancel.is_cancelled() {
                return Err(Failure::Cancelled);
            }
            if !again || number == TRIES || deadline.saturating_duration_since(Instant::now()) < WORTHWHILE {
                return Err(Failure::Cluster(Box::new(cause)));
            }
            tracing::warn!("{}: trying once more", cause.message);
            first_failure = Some(cause);
            number += 1;
        }
    }

    async fn attempt(
        &self,
        spec: &Spec<'_>,
        number: u32,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<(Cluster, String), Tried> {
        let log = spec.logs.join(format!("create-{number}.log"));
        self.run_create(spec, &log, deadline, cancel).await?;
        let work = async {
            let kubeconfig = self.reachable(spec.name).await.map_err(Tried::failed)?;
            let access = Access { kubeconfig: Some(kubeconfig), context: None };
            existing::connect(&access, &self.folder(spec.name)).await.map_err(|error| Tried::failed(unconnected(error)))
        };
        let mut cluster = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Tried::Cancelled),
            cluster = work => cluster?,
        };
        let wanted = Wanted { nodes: spec.config.nodes, has_network: spec.config.has_network };
        match ready::wait(&cluster.client, wanted, deadline, cancel).await {
            Waited::Ready => {}
            Waited::Cancelled => return Err(Tried::Cancelled),
            Waited::TimedOut(missing) => return Err(Tried::failed(not_in_time(spec, &missing))),
        }
        // It was counted when it was connected to, before its nodes were ready.
        match nodes::capacity(&cluster.client).await {
            Ok(nodes) => cluster.nodes = nodes,
            Err(error) => {
                tracing::warn!("the nodes' capacity is not known, so examples are not packed by it: {}", chain(&error));
            }
        }
        let version = std::mem::replace(&mut cluster.kubernetes, spec.kubernetes.to_owned());
        // A simulated API server is none of kind's, wherever it runs.
        if cluster.provider == "existing" {
            cluster.provider = "kind";
        }
        Ok((cluster, version))
    }

    /// Runs `kind create cluster` to its end.
    async fn run_create(
        &self,
        spec: &Spec<'_>,
        log: &Path,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<(), Tried> {
        let config = self.prepare(spec).map_err(|error| {
            let what = format!("can't write into {}: {error}", self.folder(spec.name).display());
            Tried::failed(Cause::new(CauseClass::Internal, "Io", what))
        })?;
        let (kubeconfig, config) = (self.kubeconfig(spec.name), config.to_string_lossy().into_owned());
        let kubeconfig = kubeconfig.to_string_lossy();
        // kind's own wait is no use: it lies. The half-built cluster is retained for its logs.
        let mut arguments = vec!["create", "cluster", "--name", spec.name, "--kubeconfig", &kubeconfig];
        arguments.extend(["--config", &config, "--retain", "--wait", "0s"]);
        arguments.extend(spec.image.into_iter().flat_map(|image| ["--image", image]));
        self.set_unsettled(spec.name, true);
        let bound = deadline.saturating_duration_since(Instant::now());
        match self.cli.run_logged(&arguments, log, bound, cancel).await {
            Ok(Logged::Exited(Some(0))) => {
                self.set_unsettled(spec.name, false);
                Ok(())
            }
            Ok(Logged::Cancelled) => Err(Tried::Cancelled),
            Ok(Logged::TimedOut) => Err(Tried::failed(not_in_time(spec, &last_step(&said(log))))),
            Ok(Logged::Exited(_)) => Err(Tried::Failed(Box::new(failure::judge(&said(log))))),
            Err(error) => Err(Tried::Failed(Box::new(Judged { cause: no_kind(&error), again: false }))),
        }
    }

    /// Makes the cluster's folder and writes its config there.
    fn prepare(&self, spec: &Spec<'_>) -> io::Result<PathBuf> {
        let folder = self.folder(spec.name);
        std::fs::create_dir_all(&folder)?;
        let config = folder.join("kind.yaml");
        std::fs::write(&config, &spec.config.text)?;
        Ok(config)
    }

    /// A kubeconfig by which this program reaches the cluster. In a container the port on loopback is the host's: the cluster is
    /// reached by its node's name, on its network.
    async fn reachable(&self, name: &str) -> Result<PathBuf, Cause> {
        if !self.own.is_joining() {
            return Ok(self.kubeconfig(name));
        }
        let failed = |why: String| Cause {
            hint:
                "the container that this runs in must be on the network of the clusters: may it use the Docker engine?"
                    .to_owned(),
            ..Cause::new(
                CauseClass::Cluster,
                "Unreachable",
                format!("the cluster {name} can't be reached from here: {why}"),
            )
        };
        self.own.join().await.map_err(failed)?;
        let internal = told(self.cli.ask(&["get", "kubeconfig", "--internal", "--name", name], ANSWER).await);
        let path = self.folder(name).join("kubeconfig-internal");
        let written = internal.and_then(|text| private(&path, &text).map_err(|error| error.to_string()));
        written.map(|()| path).map_err(failed)
    }

    /// The cause with what the half-built cluster's logs say. They are kept in `logs`.
    async fn explained(&self, name: &str, cause: Cause, logs: &Path, cancel: &CancellationToken) -> Cause {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return cause,
            exported = self.export_logs(name, logs) => {
                if let Err(why) = exported {
                    tracing::debug!("some logs of the cluster {name} could not be had: {why}");
                }
            }
        }
        let nodes = std::fs::read_dir(logs).into_iter().flatten().flatten();
        let kubelet = nodes.filter_map(|node| std::fs::read(node.path().join("kubelet.log")).ok());
        kubelet.fold(cause, |cause, log| failure::with_kubelet(cause, &String::from_utf8_lossy(&log)))
    }

    /// Deletes what a try left.
    async fn cleared(&self, name: &str) {
        if let Err(why) = self.delete(name).await {
            tracing::warn!("{why}");
        }
    }
}

impl Tried {
    fn failed(cause: Cause) -> Self {
        Self::Failed(Box::new(Judged { cause, again: true }))
    }
}

fn private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    let folder = path.parent().unwrap_or(Path::new("."));
    // A temporary file is its owner's alone.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

/// What a try wrote.
fn said(log: &Path) -> String {
    std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The step that kind was at: ` • Preparing nodes 📦  ...`.
fn last_step(said: &str) -> String {
    let mut steps = said.lines().filter_map(|line| line.trim_start().strip_prefix("• "));
    let step = steps
        .next_back()
        .map(|step| step.trim_end_matches(['.', ' ']).trim_end_matches(|c: char| !c.is_ascii()).trim());
    step.map_or_else(|| "kind had not begun".to_owned(), |step| format!("kind was at \"{step}\""))
}

fn not_in_time(spec: &Spec<'_>, missing: &str) -> Cause {
    let message = format!("no cluster could be made: it was not ready within {} s: {missing}", spec.within.as_secs());
    let hint =
        "is the machine overloaded, or the node image slow to pull? The cluster's logs are in the evidence".to_owned();
    Cause { hint, ..Cause::new(CauseClass::Cluster, "NotReady", message) }
}

fn no_kind(error: &ChildError) -> Cause {
    let hint =
        "install kind (https://kind.sigs.k8s.io), or let it be downloaded: see --tool-dir and --tool-mirror".to_owned();
    Cause { hint, ..Cause::new(CauseClass::Cluster, "KindNotFound", format!("no cluster could be made: {error}")) }
}

fn unconnected(error: Unconnected) -> Cause {
    match error {
        Unconnected::Usage(error) => Cause::new(CauseClass::Cluster, "BadKubeconfig", chain(&error)),
        Unconnected::Cluster(cause) => *cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_at_which_time_was_up_is_told() {
        let said = "Creating cluster \"x\" ...\n • Ensuring node image (kindest/node:v1) 🖼  ...\n ✓ Ensuring node image (kindest/node:v1) 🖼\n \
            • Preparing nodes 📦   ...\n";
        assert_eq!(last_step(said), "kind was at \"Preparing nodes\"");
        assert_eq!(last_step(""), "kind had not begun");
    }
}
