//! Where a run judges: on the cluster that is there, on clusters of kind, on simulated ones, or without any.

use std::collections::BTreeSet;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::ground::{Ground, Machine, cause};
use crate::cluster::Cluster;
use crate::cluster::existing::{Access, Unconnected, connect_from};
use crate::cluster::own::Own;
use crate::commands::workspace::Workspace;
use crate::config::{ClusterKind, Config, KubernetesVersion};
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::{Error, Result};
use crate::model::{Cause, Tier};
use crate::plan::{DEFAULT_KUBERNETES, Plan};
use crate::report;
use crate::settings::{RunContext, Settings};
use crate::trial::script::Containers;

/// Where a run judges.
pub enum Place {
    /// Without a cluster, for this reason.
    Nowhere(String),
    /// On the cluster of a kubeconfig; or why it can't be used.
    Existing(Result<Box<There>, Box<Cause>>),
    /// On a kind cluster for each version; or why there can be none.
    Kind(Result<Box<Ground>, Box<Cause>>),
    /// On a simulator for each version.
    Simulated,
    /// On a cluster, had the run not been cancelled before that was found.
    Cancelled,
}

/// A cluster that was there before.
pub struct There {
    /// The cluster.
    pub cluster: Cluster,
    /// Where this program itself is.
    own: Own,
    /// The Docker network on which containers reach it, if they need one.
    network: Option<String>,
}

impl There {
    /// How script examples are started beside it.
    pub fn containers(&self, labels: Vec<(String, String)>) -> Containers {
        self.own.containers(self.network.clone(), labels)
    }
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
        let kind = match config.cluster {
            ClusterKind::Simulated => return Ok(Self::Place(Place::Simulated)),
            ClusterKind::Existing => return existing(settings, context, scratch, cancel).await.map(Self::Place),
            // The plan has no cells then.
            _ if settings.selection.tier == Some(Tier::Basic) => {
                return Ok(Self::Place(Place::Nowhere("the basic tier alone".to_owned())));
            }
            kind => kind,
        };
        let found = tokio::select! {
            found = Machine::look(settings, context, config, scratch) => found,
            () = cancel.cancelled() => return Ok(Self::Place(Place::Cancelled)),
        };
        Ok(match found {
            Ok(machine) => Self::Machine(Box::new(machine)),
            Err(why) if kind == ClusterKind::Auto && !context.ci => Self::Place(Place::Nowhere(why.message)),
            Err(why) => Self::Place(Place::Kind(Err(Box::new(cause("NoDockerEngine", why))))),
        })
    }

    /// The only version that there is, where it is the cluster, or kind, that says so.
    pub fn version(&self, config: &Config) -> Option<&str> {
        match self {
            Self::Place(Place::Existing(Ok(there))) => Some(&there.cluster.kubernetes),
            Self::Machine(machine) if config.kubernetes.is_empty() => machine.default_version(),
            _ => None,
        }
    }

    /// What of the versions that were asked for is not judged, because there is one cluster and it has another one. A plan that was made
    /// before has versions of its own: see [`Place::not_judged`].
    ///
    /// # Errors
    /// The user's mistake: `--kubernetes` asks for other versions alone.
    pub fn unlike(&self, settings: &Settings, config: &Config) -> Result<Option<Diagnostic>> {
        match self {
            Self::Place(Place::Existing(Ok(there))) if settings.selection.plan.is_none() => {
                unlike(&there.cluster.kubernetes, settings.selection.kubernetes.as_deref(), &config.kubernetes)
            }
            _ => Ok(None),
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

async fn existing(
    settings: &Settings,
    context: &RunContext,
    scratch: &Path,
    cancel: &CancellationToken,
) -> Result<Place> {
    let access = Access { kubeconfig: settings.cluster.kubeconfig.clone(), context: settings.cluster.context.clone() };
    tokio::select! {
        own = Own::find(&context.environment, scratch) => connected(&access, scratch, own, cancel).await,
        () = cancel.cancelled() => Ok(Place::Cancelled),
    }
}

/// The cluster, as it is reached from where `own` is. Only with it a network stays joined.
async fn connected(access: &Access, scratch: &Path, mut own: Own, cancel: &CancellationToken) -> Result<Place> {
    let connected = tokio::select! {
        connected = connect_from(access, scratch, &mut own) => connected.map_err(Some),
        () = cancel.cancelled() => Err(None),
    };
    let why = match connected {
        Ok((cluster, network)) => return Ok(Place::Existing(Ok(Box::new(There { cluster, own, network })))),
        Err(why) => why,
    };
    if let Err(left) = own.leave().await {
        tracing::warn!("{left}");
    }
    match why {
        None => Ok(Place::Cancelled),
        Some(Unconnected::Cluster(cause)) => Ok(Place::Existing(Err(cause))),
        Some(Unconnected::Usage(error)) => Err(error),
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
            Self::Existing(Ok(there)) => there.cluster.provider == "simulated",
            Self::Existing(Err(_)) | Self::Kind(_) | Self::Nowhere(_) | Self::Cancelled => false,
        }
    }

    /// Why a version of the plan is not judged here: there is no cluster, or (a plan that was made before knew of none) another one.
    pub fn not_judged(&self, kubernetes: &str) -> Option<String> {
        match self {
            Self::Nowhere(why) => Some(why.clone()),
            Self::Existing(Ok(there)) => (kubernetes != DEFAULT_KUBERNETES
                && !means(kubernetes, &there.cluster.kubernetes))
            .then(|| format!("the existing cluster is {}, not {kubernetes}", there.cluster.kubernetes)),
            _ => None,
        }
    }

    /// Leaves what was joined for the run's time; what could not be left.
    pub async fn leave(&self) -> Option<Diagnostic> {
        let left = match self {
            Self::Kind(Ok(ground)) => ground.kind.leave().await,
            Self::Existing(Ok(there)) => there.own.leave().await,
            _ => return None,
        };
        let why = left.err()?;
        Some(Diagnostic::error(why).with_severity(Severity::Warning))
    }
}

/// What of these versions is not judged on a cluster of version `there`. `flag` is what `--kubernetes` asks for, `wanted` what flag or config
/// do.
fn unlike(there: &str, flag: Option<&[KubernetesVersion]>, wanted: &[KubernetesVersion]) -> Result<Option<Diagnostic>> {
    let others: Vec<_> =
        wanted.iter().map(|wanted| wanted.version.as_str()).filter(|version| !means(version, there)).collect();
    if others.is_empty() {
        return Ok(None);
    }
    let named = others.join(", ");
    if flag.is_some_and(|flag| flag.len() == others.len()) {
        let message = format!("`--kubernetes {named}`: the existing cluster is {there}");
        let help = "leave `--kubernetes` out to judge on that cluster, name its version, or choose another one with `--context`";
        return Err(Error::usage(Diagnostic::error(message).with_help(help)));
    }
    let verb = if others.len() == 1 { "is" } else { "are" };
    let message = format!("the existing cluster is {there}; {named} of `kubernetes` {verb} not judged");
    let help = "other versions need clusters of their own: `--cluster kind`";
    Ok(Some(Diagnostic::error(message).with_severity(Severity::Warning).with_help(help)))
}

/// Whether who asks for `wanted` means a cluster of version `there`: `v1.33` is any patch of it, and a distributor's suffix
/// (`v1.33.4+k3s1`, `v1.33.4-gke.100`) parts nothing.
fn means(wanted: &str, there: &str) -> bool {
    let is_minor = wanted.split('.').count() == 2;
    there.strip_prefix(wanted).is_some_and(|rest| match rest.chars().next() {
        None | Some('+' | '-') => true,
        Some('.') => is_minor,
        Some(_) => false,
    })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::kind::testing::World;
    use crate::simulator::{Options, Simulator};

    /// A container of ours beside one that publishes its `port` as 1, and a kubeconfig that names it so.
    async fn beside(world: &World, port: u16) -> (Access, Own) {
        let found = json!([{"Id": "abc", "Name": "/localhost", "HostConfig": {"NetworkMode": "bridge"},
            "NetworkSettings": {"Networks": {"kind": {"IPAddress": "172.18.0.2"}},
                "Ports": {format!("{port}/tcp"): [{"HostIp": "127.0.0.1", "HostPort": "1"}]}}}]);
        world.says("inspect", &format!("echo '{found}'"));
        world.says("ps", "echo abc");
        let kubeconfig = world.path("config");
        let text = "current-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nusers: [{name: a, user: {}}]\n\
                    clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}]\n";
        std::fs::write(&kubeconfig, text).unwrap();
        let own = Own::find_as(world.environment(), &world.path("scratch"), Some("abc".to_owned()), "").await;
        (Access { kubeconfig: Some(kubeconfig), context: None }, own)
    }

    #[tokio::test]
    async fn the_network_of_a_cluster_that_was_there_is_left_at_the_end() {
        let (world, simulator) = (World::new(), Simulator::start(Options::default()).await.unwrap());
        world.says("network", ":");
        let port = simulator.url().rsplit_once(':').unwrap().1.trim_end_matches('/').parse().unwrap();
        let (access, own) = beside(&world, port).await;
        let place = connected(&access, &world.path("scratch"), own, &CancellationToken::new()).await.unwrap();
        let Place::Existing(Ok(there)) = &place else { panic!("it is not reached") };
        assert_eq!(there.containers(Vec::new()).network.as_deref(), Some("kind"));
        assert_eq!((world.count("docker network connect"), world.count("docker network disconnect")), (1, 0));
        assert!(place.leave().await.is_none());
        assert_eq!(world.count("docker network disconnect kind abc"), 1);
    }

    #[tokio::test]
    async fn a_network_that_is_being_joined_when_the_run_is_cancelled_is_left() {
        let (world, cancel) = (World::new(), CancellationToken::new());
        world.says("network", "[ \"$2\" = disconnect ] || sleep 1000");
        let (access, own) = beside(&world, 6443).await;
        let scratch = world.path("scratch");
        let cancelling = async {
            while world.count("docker network connect") == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            cancel.cancel();
        };
        let (place, ()) = tokio::join!(connected(&access, &scratch, own, &cancel), cancelling);
        assert!(matches!(place.unwrap(), Place::Cancelled));
        assert_eq!(world.count("docker network disconnect kind abc"), 1);
    }

    fn versions(texts: &[&str]) -> Vec<KubernetesVersion> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_version_means_its_patches_and_what_distributors_add() {
        for (wanted, there, is_meant) in [
            ("v1.33", "v1.33.4", true),
            ("v1.33.4", "v1.33.4", true),
            ("v1.33.4", "v1.33.4+k3s1", true),
            ("v1.33.4", "v1.33.4-gke.100", true),
            ("v1.33", "v1.330.4", false),
            ("v1.33.4", "v1.33.40", false),
            ("v1.33.4", "v1.33", false),
            ("v1.34.0", "v1.33.4", false),
        ] {
            assert_eq!(means(wanted, there), is_meant, "{wanted} {there}");
        }
    }

    #[test]
    fn versions_of_the_config_that_the_cluster_has_not_are_told() {
        let told = |texts: &[&str]| unlike("v1.33.4", None, &versions(texts)).unwrap().map(|told| told.message);
        assert_eq!(told(&[]), None);
        assert_eq!(told(&["v1.33"]), None);
        assert_eq!(
            told(&["v1.33.4", "v1.34.0"]).unwrap(),
            "the existing cluster is v1.33.4; v1.34.0 of `kubernetes` is not judged"
        );
        assert_eq!(
            told(&["v1.32", "v1.34.0"]).unwrap(),
            "the existing cluster is v1.33.4; v1.32, v1.34.0 of `kubernetes` are not judged"
        );
    }

    #[test]
    fn a_flag_that_asks_for_other_versions_alone_is_a_mistake() {
        let asked = |texts: &[&str]| {
            let versions = versions(texts);
            unlike("v1.33.4", Some(&versions), &versions)
        };
        assert!(asked(&["v1.33"]).unwrap().is_none());
        assert!(asked(&["v1.33.4", "v1.34"]).unwrap().unwrap().message.contains("v1.34 of `kubernetes` is not judged"));
        let Err(Error::Usage(told)) = asked(&["v1.34"]) else { panic!("it is refused") };
        assert_eq!(told[0].message, "`--kubernetes v1.34`: the existing cluster is v1.33.4");
    }
}
