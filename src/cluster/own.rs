//! Where this program itself runs, as the Docker engine sees it: on the engine's machine, or in a container of it. In a container
//! the nodes' ports on loopback are out of reach, and paths are others than the engine's.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use serde_json::Value as Json;
use tokio::sync::Mutex;

use crate::child::{Answer, ChildError, Tool, Variable, environment};
use crate::trial::apply::request::text;
use crate::trial::script::Containers;

/// The network that kind puts nodes on.
const KIND: &str = "kind";
/// The variable by which kind takes another.
const OTHER_NETWORK: &str = "KIND_EXPERIMENTAL_DOCKER_NETWORK";
/// How long Docker may take to answer.
const ANSWER: Duration = Duration::from_secs(15);

/// The place of this program.
pub struct Own {
    docker: Tool,
    network: String,
    container: Option<Container>,
    /// Whether we put ourselves on the network: only then we leave it.
    joined: Mutex<bool>,
}

/// Where a server of ours is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// What it listens on.
    pub(crate) listen: IpAddr,
    /// How clusters reach it.
    pub(crate) reached: IpAddr,
}

/// The container that this program runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Container {
    /// The container whose network this program has: its own, or the one that it was started beside.
    owner: String,
    /// Whether that is the machine's network, where loopback is the machine's.
    has_host_network: bool,
    /// Our folders, and where they are on the engine's machine.
    host_paths: Vec<(PathBuf, PathBuf)>,
}

impl Own {
    /// Finds out. A container that the engine does not know is no container of it: an engine inside of it is reached as on a machine.
    pub async fn find(environment: &[Variable], scratch: &Path) -> Self {
        let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let is_container = Path::new("/.dockerenv").exists();
        let guess = owner(&mountinfo).or_else(|| is_container.then(|| hostname.trim().to_owned()));
        Self::find_as(environment, scratch, guess, &mountinfo).await
    }

    /// The same for a process with these mounts, in the container of this id or hostname, if in any.
    pub(crate) async fn find_as(
        environment: &[Variable],
        scratch: &Path,
        guess: Option<String>,
        mountinfo: &str,
    ) -> Self {
        let docker = Tool::new("docker", environment::for_docker(environment), scratch);
        let container = match guess {
            Some(guess) => look(&docker, &guess, mountinfo).await,
            None => None,
        };
        let other = environment.iter().find(|(name, value)| name == OTHER_NETWORK && !value.is_empty());
        let network = other.map_or(KIND.to_owned(), |(_, value)| value.to_string_lossy().into_owned());
        Self { docker, network, container, joined: Mutex::default() }
    }

    /// The network of the clusters.
    #[must_use]
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Takes another network for that of the clusters; before one is joined.
    pub(super) fn set_network(&mut self, network: String) {
        self.network = network;
    }

    /// How script examples are started beside clusters on this network; `None` is Docker's default.
    pub(crate) fn containers(&self, network: Option<String>, labels: Vec<(String, String)>) -> Containers {
        Containers { network, labels, host_paths: self.host_paths().to_vec() }
    }

    /// The engine's running containers, as `docker inspect` tells of them; none if it does not answer.
    pub(super) async fn running(&self) -> Vec<Json> {
        running(&self.docker).await.unwrap_or_default()
    }

    /// Where folders of ours are for the Docker engine; empty if both see the same files.
    #[must_use]
    pub fn host_paths(&self) -> &[(PathBuf, PathBuf)] {
        self.container.as_ref().map_or(&[], |container| &container.host_paths)
    }

    /// Whether clusters are reached on their own network, and by the names of their nodes.
    #[must_use]
    pub fn is_joining(&self) -> bool {
        self.container.as_ref().is_some_and(|container| !container.has_host_network)
    }

    /// Puts our container on the network of the clusters, which must be there. A node must not be on a second one while kind creates it;
    /// so it is we who join.
    ///
    /// # Errors
    /// Docker refuses; why, in one line.
    pub(crate) async fn join(&self) -> Result<(), String> {
        let Some(container) = self.container.as_ref().filter(|_| self.is_joining()) else { return Ok(()) };
        // Several clusters are created at once: the others wait until the first has joined.
        let mut joined = self.joined.lock().await;
        if *joined {
            return Ok(());
        }
        // Who gives up while Docker is at it, or waits in vain for its answer, does not know, and leaves.
        *joined = true;
        let answer = self.docker.ask(&["network", "connect", &self.network, &container.owner], ANSWER).await;
        *joined = answer.as_ref().map_or(true, |answer| answer.succeeded);
        match answer.map_err(|error| error.to_string())? {
            answer if answer.succeeded || answer.err.contains("already exists") => Ok(()),
            answer => Err(answer.last_line().to_owned()),
        }
    }

    /// Where a server of ours can be reached from the clusters: at the gateway of their network, which is this machine, or at our
    /// container's own address there. `None` as long as there is no such network.
    ///
    /// # Errors
    /// Docker does not say; why, in one line.
    pub(crate) async fn place(&self) -> Result<Option<Place>, String> {
        const GATEWAYS: &str = "{{range .IPAM.Config}}{{.Gateway}} {{end}}";
        let answer = self.docker.ask(&["network", "inspect", &self.network, "--format", GATEWAYS], ANSWER).await;
        let answer = answer.map_err(|error| error.to_string())?;
        if !answer.succeeded {
            let is_absent = answer.err.contains("not found") || answer.err.contains("No such network");
            return if is_absent { Ok(None) } else { Err(answer.last_line().to_owned()) };
        }
        let Some(container) = self.container.as_ref().filter(|_| self.is_joining()) else {
            let gateway = v4(&answer.out).ok_or("the network of the clusters has no gateway")?;
            return Ok(Some(Place { listen: gateway, reached: gateway }));
        };
        self.join().await?;
        let own =
            format!("{{{{with index .NetworkSettings.Networks \"{}\"}}}}{{{{.IPAddress}}}}{{{{end}}}}", self.network);
        let answer =
            self.docker.ask(&["inspect", "--type", "container", "--format", &own, &container.owner], ANSWER).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let reached = v4(&answer.out).ok_or("this container has no address on the network of the clusters")?;
        Ok(Some(Place { listen: IpAddr::V4(Ipv4Addr::UNSPECIFIED), reached }))
    }

    /// Leaves the network, if we joined it.
    ///
    /// # Errors
    /// Docker refuses; why, in one line.
    pub async fn leave(&self) -> Result<(), String> {
        let mut joined = self.joined.lock().await;
        let Some(container) = self.container.as_ref().filter(|_| *joined) else { return Ok(()) };
        let answer = self.docker.ask(&["network", "disconnect", &self.network, &container.owner], ANSWER).await;
        match answer.map_err(|error| error.to_string())? {
            answer if answer.succeeded || answer.err.contains("is not connected") => {
                *joined = false;
                Ok(())
            }
            answer => Err(format!(
                "the container {} is still on the network {}: {}",
                container.owner,
                self.network,
                answer.last_line()
            )),
        }
    }
}

impl Drop for Own {
    /// Leaves the network where an error kept anybody from doing so.
    fn drop(&mut self) {
        let Some(container) = self.container.as_ref().filter(|_| *self.joined.get_mut()) else { return };
        let arguments = ["network", "disconnect", &self.network, &container.owner].map(OsString::from).to_vec();
        let mut command = self.docker.program(arguments).command().into_std();
        // Nobody is left who could be told.
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The first IPv4 address of several.
fn v4(addresses: &str) -> Option<IpAddr> {
    addresses.split_whitespace().find_map(|address| address.parse().ok().map(IpAddr::V4))
}

/// The container whose network this process has: Docker mounts its `hostname` file.
fn owner(mountinfo: &str) -> Option<String> {
    static MOUNTED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("/containers/([0-9a-f]{64})/hostname").ok());
    Some(MOUNTED.as_ref()?.captures(mountinfo)?[1].to_owned())
}

async fn look(docker: &Tool, guess: &str, mountinfo: &str) -> Option<Container> {
    let mut found = inspect(docker, &[guess]).await?;
    let mut owner = found.pop()?;
    // The hostname may be that of the container that we were started beside.
    if let Some(beside) = text(&owner, "/HostConfig/NetworkMode").strip_prefix("container:") {
        owner = inspect(docker, &[beside]).await?.pop()?;
    }
    let own = if has_our_root(&owner, mountinfo) { None } else { own(docker, mountinfo).await };
    Some(Container {
        owner: text(&owner, "/Id").to_owned(),
        has_host_network: text(&owner, "/HostConfig/NetworkMode") == "host",
        host_paths: host_paths(own.as_ref().unwrap_or(&owner)),
    })
}

/// Our own container among those that run; `None` if that can't be told.
async fn own(docker: &Tool, mountinfo: &str) -> Option<Json> {
    running(docker).await?.into_iter().find(|container| has_our_root(container, mountinfo))
}

async fn running(docker: &Tool) -> Option<Vec<Json>> {
    let running = answered(docker.ask(&["ps", "--quiet", "--no-trunc"], ANSWER).await)?;
    inspect(docker, &running.out.split_whitespace().collect::<Vec<_>>()).await
}

/// Those of these containers that there are: one may have gone since it was listed.
async fn inspect(docker: &Tool, ids: &[&str]) -> Option<Vec<Json>> {
    let arguments: Vec<_> = ["inspect", "--type", "container"].iter().chain(ids).copied().collect();
    serde_json::from_str(&docker.ask(&arguments, ANSWER).await.ok()?.out).ok()
}

fn answered(answer: Result<Answer, ChildError>) -> Option<Answer> {
    answer.ok().filter(|answer| answer.succeeded)
}

/// Whether the container's own layer is where our root is.
fn has_our_root(container: &Json, mountinfo: &str) -> bool {
    let layer = text(container, "/GraphDriver/Data/UpperDir");
    !layer.is_empty() && mountinfo.contains(&format!("upperdir={layer}"))
}

fn host_paths(container: &Json) -> Vec<(PathBuf, PathBuf)> {
    let mounts = container.get("Mounts").and_then(Json::as_array).into_iter().flatten();
    let paths = mounts.map(|mount| (text(mount, "/Destination"), text(mount, "/Source")));
    paths.filter(|(ours, theirs)| !ours.is_empty() && !theirs.is_empty()).map(|(a, b)| (a.into(), b.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::kind::testing::World;

    const MINE: &str = "11 1 0:1 / / rw - overlay overlay rw,upperdir=/docker/mine/diff,workdir=/docker/mine/work\n";

    async fn own(world: &World, mountinfo: &str) -> Own {
        Own::find_as(world.environment(), &world.path("scratch"), Some("abc".to_owned()), mountinfo).await
    }

    #[test]
    fn the_owner_of_the_network_is_known_by_its_hostname_file() {
        let id = "0123456789abcdef".repeat(4);
        let line = format!("22 21 8:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n");
        assert_eq!(owner(&(MINE.to_owned() + &line)), Some(id));
        assert_eq!(owner(MINE), None);
    }

    #[tokio::test]
    async fn on_the_machine_itself_nothing_is_joined() {
        let world = World::new();
        let own = Own::find_as(world.environment(), &world.path("scratch"), None, "").await;
        own.join().await.unwrap();
        own.leave().await.unwrap();
        assert!(!own.is_joining() && own.host_paths().is_empty() && world.calls().is_empty());
    }

    #[tokio::test]
    async fn a_container_that_the_engine_does_not_know_is_a_machine() {
        let world = World::new();
        world.says("inspect", "echo 'Error: No such container: abc' >&2; exit 1");
        assert!(!own(&world, MINE).await.is_joining());
    }

    #[tokio::test]
    async fn the_machine_s_network_needs_no_joining() {
        let world = World::new();
        world.says("inspect", r#"echo '[{"Id":"abc","HostConfig":{"NetworkMode":"host"},"Mounts":[{"Source":"/h","Destination":"/o"}]}]'"#);
        let own = own(&world, MINE).await;
        own.join().await.unwrap();
        assert!(!own.is_joining() && own.host_paths() == [("/o".into(), "/h".into())]);
        assert_eq!(world.count("docker network"), 0);
    }

    #[tokio::test]
    async fn a_container_beside_another_joins_with_the_other_and_has_its_own_folders() {
        let world = World::new();
        // As act starts an action: `--network container:job`.
        world.says(
            "inspect",
            r#"case "$*" in
  *" mine"*) echo '[{"Id":"job","GraphDriver":{"Data":{"UpperDir":"/docker/job/diff"}}},{"Id":"mine","GraphDriver":{"Data":{"UpperDir":"/docker/mine/diff"}},"Mounts":[{"Source":"/work","Destination":"/github/workspace"}]}]' ;;
  *) echo '[{"Id":"job","HostConfig":{"NetworkMode":"bridge"},"GraphDriver":{"Data":{"UpperDir":"/docker/job/diff"}},"Mounts":[{"Source":"/job","Destination":"/job"}]}]' ;;
esac"#,
        );
        world.says("ps", "echo job; echo mine");
        world.says("network", ":");
        let own = own(&world, MINE).await;
        own.join().await.unwrap();
        assert_eq!(own.host_paths(), [("/github/workspace".into(), "/work".into())]);
        assert!(world.calls().contains(&"docker network connect kind job".to_owned()), "{:?}", world.calls());
    }

    #[tokio::test]
    async fn it_is_joined_once_and_left_only_by_who_joined() {
        let world = World::new();
        world.says_we_are_in_a_container();
        let own = own(&world, "").await;
        let (first, second) = tokio::join!(own.join(), own.join());
        first.and(second).unwrap();
        assert_eq!(world.count("docker network connect"), 1);
        let other = self::own(&world, "").await;
        world.says(
            "network",
            "echo 'Error response from daemon: endpoint with name x already exists in network kind' >&2; exit 1",
        );
        other.join().await.unwrap();
        other.leave().await.unwrap();
        assert_eq!(world.count("docker network disconnect"), 0);
        world.says("network", "echo 'Error response from daemon: network kind not found' >&2; exit 1");
        assert!(other.join().await.unwrap_err().contains("network kind not found"));
    }
    #[tokio::test]
    async fn what_an_error_keeps_from_leaving_leaves_all_the_same() {
        let world = World::new();
        world.says_we_are_in_a_container();
        let own = own(&world, "").await;
        own.join().await.unwrap();
        drop(own);
        assert_eq!(world.count("docker network disconnect kind abc"), 1);
        let left = self::own(&world, "").await;
        left.join().await.unwrap();
        left.leave().await.unwrap();
        drop(left);
        assert_eq!(world.count("docker network disconnect kind abc"), 2);
    }
}
