//! A cluster that is there: found by a kubeconfig, or from inside of it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::ByteString;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value as Json, json};

use super::beside::{self, Way};
use super::own::Own;
use super::{Cluster, nodes};
use crate::diagnostic::Diagnostic;
use crate::error::{Error, chain};
use crate::model::{Cause, CauseClass};
use crate::simulator;
use crate::trial::apply::{Limits, of_request, persist};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection may be silent: longer than any watch (290 s), and than most pauses of a log that is followed.
const SILENCE: Duration = Duration::from_secs(900);
/// How long a cluster may take to say its version, its first troubles included.
const GREETING: Limits = Limits { transient: Duration::from_secs(10), lagging: Duration::ZERO };
/// How long the count of what its nodes have to offer may take.
const COUNTING: Duration = Duration::from_secs(30);
/// The reason where nothing answers.
const UNREACHABLE: &str = "Unreachable";
/// Where a pod finds its own credentials.
const IN_CLUSTER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Which cluster, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `--kubeconfig`; else `KUBECONFIG`, `~/.kube/config`, the pod's own credentials.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`; else the kubeconfig's current one.
    pub context: Option<String>,
}

/// Why there is no cluster.
#[derive(Debug)]
pub enum Unconnected {
    /// The user's mistake.
    Usage(Error),
    /// The cluster's fault: its examples are `errored`.
    Cluster(Box<Cause>),
}

/// Connects to a cluster. A kubeconfig for child processes that holds this access alone is written into `folder`, for the owner's
/// eyes only.
///
/// # Errors
/// There is no such kubeconfig or context; the cluster does not answer, or does not know us.
pub async fn connect(access: &Access, folder: &Path) -> Result<Cluster, Unconnected> {
    let found = find(access).map_err(|found| Unconnected::Usage(Error::usage(found)))?;
    connect_to(&found, folder).await
}

/// The same from where `own` is: in a container it joins the network of a cluster in containers beside it. That is left ([`Own::leave`])
/// by the caller, also after an error. With the network on which other containers reach the cluster, if it was needed.
///
/// # Errors
/// Those of [`connect`].
pub async fn connect_from(
    access: &Access,
    folder: &Path,
    own: &mut Own,
) -> Result<(Cluster, Option<String>), Unconnected> {
    let mut found = find(access).map_err(|found| Unconnected::Usage(Error::usage(found)))?;
    let way = match &mut found {
        Found::Pod => Way::Direct,
        Found::Context(kubeconfig, name) => beside::reach(own, kubeconfig, name).await.map_err(Unconnected::Cluster)?,
    };
    match (connect_to(&found, folder).await, way) {
        (Ok(cluster), Way::Network(network)) => Ok((cluster, Some(network))),
        (Ok(cluster), Way::Direct | Way::Nowhere) => Ok((cluster, None)),
        (Err(Unconnected::Cluster(cause)), Way::Nowhere) if cause.reason == UNREACHABLE => {
            Err(Unconnected::Cluster(Box::new(Cause { hint: beside::HINT.to_owned(), ..*cause })))
        }
        (Err(error), _) => Err(error),
    }
}

async fn connect_to(found: &Found, folder: &Path) -> Result<Cluster, Unconnected> {
    // The client's TLS needs one, and only the first counts.
    crate::http_client::choose_cryptography();
    let mut config = configure(found).await.map_err(|found| Unconnected::Usage(Error::usage(found)))?;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    // What is worth another try is tried by who asks (`persist`, the watches), with bounds of their own: a second, hidden loop
    // below them let a watch that was refused once come back half a minute late.
    config.default_retry = false;
    let kubeconfig = private(found, folder).map_err(Unconnected::Usage)?;
    let server = config.cluster_url.to_string();
    let client =
        Client::try_from(config).map_err(|error| Unconnected::Cluster(Box::new(unreachable(&server, &error))))?;
    let version = persist(GREETING, || client.apiserver_version()).await;
    let version = version.map_err(|error| Unconnected::Cluster(Box::new(unreachable(&server, &error))))?;
    let nodes = match tokio::time::timeout(COUNTING, nodes::capacity(&client)).await {
        Ok(Ok(nodes)) => nodes,
        answer => {
            let why = answer.map_or_else(
                |_| "no answer in time".to_owned(),
                |answer| answer.err().map_or_else(String::new, |error| chain(&error)),
            );
            tracing::warn!("the nodes' capacity is not known, so examples are not packed by it: {why}");
            Vec::new()
        }
    };
    // `example-validator simulate` is no less simulated for being reached by a kubeconfig.
    let provider = if version.git_tree_state == simulator::TREE_STATE { "simulated" } else { "existing" };
    Ok(Cluster { kubernetes: short(&version.git_version), provider, client, kubeconfig, nodes })
}

/// An access that was found.
enum Found {
    /// A context of a kubeconfig.
    Context(Box<Kubeconfig>, String),
    /// The pod that we run in.
    Pod,
}

fn find(access: &Access) -> Result<Found, Diagnostic> {
    let (kubeconfig, origin) = match &access.kubeconfig {
        Some(path) => {
            let read =
                Kubeconfig::read_from(path).map_err(|error| bad_kubeconfig(&format!("{}", path.display()), &error))?;
            (read, path.display().to_string())
        }
        None => match Kubeconfig::read() {
            Ok(read) => (read, "the kubeconfig".to_owned()),
            Err(_) if access.context.is_none() && Config::incluster().is_ok() => return Ok(Found::Pod),
            Err(error) => return Err(bad_kubeconfig("the kubeconfig", &error)),
        },
    };
    let known: Vec<&str> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
    let help = || match known.as_slice() {
        [] => "it has no contexts at all".to_owned(),
        known => format!("it has {}", known.join(", ")),
    };
    let Some(name) =
        access.context.clone().or_else(|| kubeconfig.current_context.clone()).filter(|name| !name.is_empty())
    else {
        return Err(Diagnostic::error(format!("{origin} has no current context"))
            .with_help(format!("name one with --context; {}", help())));
    };
    if !known.contains(&name.as_str()) {
        return Err(Diagnostic::error(format!("{origin} has no context `{name}`")).with_help(help()));
    }
    Ok(Found::Context(Box::new(kubeconfig), name))
}

fn bad_kubeconfig(origin: &str, error: &dyn std::error::Error) -> Diagnostic {
    // The library quotes what is quoted already: `from '"nope"'`.
    let why = chain(error).replace("'\"", "'").replace("\"'", "'");
    Diagnostic::error(format!("can't use {origin}: {why}"))
        .with_help("name the kubeconfig of a cluster with --kubeconfig, or in KUBECONFIG")
}

async fn configure(found: &Found) -> Result<Config, Diagnostic> {
    let (kubeconfig, name) = match found {
        Found::Pod => return Config::incluster().map_err(|error| bad_kubeconfig("the pod's own credentials", &error)),
        Found::Context(kubeconfig, name) => (kubeconfig, name),
    };
    let options = KubeConfigOptions { context: Some(name.clone()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig((**kubeconfig).clone(), &options).await;
    let mut config = config.map_err(|error| bad_kubeconfig(&format!("the context `{name}`"), &error))?;
    // A proxy is used where the kubeconfig names one. HTTPS_PROXY is meant for the world outside, and clusters are mostly not there.
    let cluster = kubeconfig.contexts.iter().find(|known| known.name == *name).and_then(|known| known.context.as_ref());
    let own = kubeconfig.clusters.iter().find(|known| cluster.is_some_and(|context| context.cluster == known.name));
    if own.and_then(|known| known.cluster.as_ref()?.proxy_url.as_ref()).is_none() {
        config.proxy_url = None;
    }
    Ok(config)
}

fn unreachable(server: &str, error: &kube::Error) -> Cause {
    let cause = of_request("", error).cause;
    let (reason, hint) = match error {
        kube::Error::Api(status) if status.code == 401 => ("Unauthorized", cause.hint.as_str()),
        kube::Error::Api(status) if status.code == 403 => {
            ("Forbidden", "give the identity of the kubeconfig access to the cluster")
        }
        kube::Error::Auth(_) => {
            ("Unauthorized", "the kubeconfig's credentials could not be had: does its login program work?")
        }
        _ => (UNREACHABLE, "is the cluster running, and does the kubeconfig name the right one?"),
    };
    let why = match error {
        // Its own name tells nobody anything.
        kube::Error::Service(inner) => chain(inner.as_ref()),
        other => chain(other),
    };
    Cause {
        class: CauseClass::Cluster,
        reason: reason.to_owned(),
        message: format!("the cluster at {server} can't be used: {why}"),
        hint: hint.to_owned(),
        ..cause
    }
}

/// A version without what distributions add: `v1.33.4` of `v1.33.4+k3s1`.
fn short(version: &str) -> String {
    version.split(['+', '-']).next().unwrap_or(version).to_owned()
}

/// Writes the kubeconfig for child processes.
fn private(found: &Found, folder: &Path) -> Result<PathBuf, Error> {
    let content = match found {
        Found::Pod => pod(),
        Found::Context(kubeconfig, name) => minified(kubeconfig, name)?,
    };
    let io = |error| Error::io("write a kubeconfig into", folder, error);
    // A temporary file is its owner's alone.
    let mut file = tempfile::Builder::new().prefix("kubeconfig-").tempfile_in(folder).map_err(io)?;
    // JSON is YAML.
    file.write_all(content.to_string().as_bytes()).map_err(io)?;
    let (_, path) = file.keep().map_err(|kept| io(kept.error))?;
    Ok(path)
}

/// One context of a kubeconfig, with the content of the files that it names: children may run where those are not.
fn minified(kubeconfig: &Kubeconfig, name: &str) -> Result<Json, Error> {
    let all = serde_json::to_value(kubeconfig)
        .map_err(|error| Error::Internal(format!("can't write a kubeconfig: {error}")))?;
    let named = |list: &str, name: &Json| {
        let items = all[list].as_array().into_iter().flatten();
        items.filter(|item| item["name"] == *name).take(1).cloned().collect::<Vec<_>>()
    };
    let contexts = named("contexts", &json!(name));
    let of = |key: &str| contexts.first().map(|context| context["context"][key].clone()).unwrap_or_default();
    let (mut clusters, mut users) = (named("clusters", &of("cluster")), named("users", &of("user")));
    for cluster in &mut clusters {
        embed(&mut cluster["cluster"], "certificate-authority")?;
    }
    for user in &mut users {
        embed(&mut user["user"], "client-certificate")?;
        embed(&mut user["user"], "client-key")?;
    }
    Ok(
        json!({"apiVersion": "v1", "kind": "Config", "current-context": name, "contexts": contexts, "clusters": clusters, "users": users}),
    )
}

/// Puts the content of the file that `key` names under `<key>-data`, unless there is some already.
fn embed(entry: &mut Json, key: &str) -> Result<(), Error> {
    let data = format!("{key}-data");
    let Some(fields) = entry.as_object_mut() else { return Ok(()) };
    if let Some(Json::String(path)) = fields.shift_remove(key)
        && !fields.get(&data).is_some_and(Json::is_string)
    {
        let bytes = std::fs::read(&path).map_err(|error| Error::io("read", &path, error))?;
        fields.insert(data, json!(ByteString(bytes)));
    }
    Ok(())
}

/// A kubeconfig of the pod's own credentials. Their files stay files: the token in them is replaced from time to time.
fn pod() -> Json {
    let host = |name: &str| std::env::var(name).unwrap_or_default();
    let server = match (host("KUBERNETES_SERVICE_HOST"), host("KUBERNETES_SERVICE_PORT")) {
        (address, port) if address.contains(':') => format!("https://[{address}]:{port}"),
        (address, port) => format!("https://{address}:{port}"),
    };
    json!({"apiVersion": "v1", "kind": "Config", "current-context": "pod",
        "contexts": [{"name": "pod", "context": {"cluster": "pod", "user": "pod"}}],
        "clusters": [{"name": "pod", "cluster": {"server": server, "certificate-authority": format!("{IN_CLUSTER}/ca.crt")}}],
        "users": [{"name": "pod", "user": {"tokenFile": format!("{IN_CLUSTER}/token")}}]})
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use wiremock::matchers::path;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::cluster::kind::testing::World;
    use crate::simulator::{Options, Simulator};

    fn kubeconfig(folder: &Path, server: &str) -> PathBuf {
        let path = folder.join("config");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: one\ncontexts:\n- {{name: one, context: {{cluster: c, user: u}}}}\n\
             - {{name: two, context: {{cluster: other, user: other}}}}\nclusters:\n- {{name: c, cluster: {{server: '{server}'}}}}\n\
             - {{name: other, cluster: {{server: 'https://other'}}}}\nusers:\n- {{name: u, user: {{token: secret-token}}}}\n\
             - {{name: other, user: {{token: other-token}}}}\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn connected(server: &str, context: Option<&str>) -> (Result<Cluster, Unconnected>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let access =
            Access { kubeconfig: Some(kubeconfig(folder.path(), server)), context: context.map(str::to_owned) };
        (connect(&access, folder.path()).await, folder)
    }

    #[tokio::test]
    async fn a_cluster_says_its_version_and_children_get_this_context_alone() {
        let server = MockServer::start().await;
        let version = json!({"major": "1", "minor": "33", "gitVersion": "v1.33.4+k3s1", "gitCommit": "", "gitTreeState": "",
            "buildDate": "", "goVersion": "", "compiler": "", "platform": ""});
        Mock::given(path("/version"))
            .respond_with(ResponseTemplate::new(200).set_body_json(version))
            .mount(&server)
            .await;
        let (cluster, _folder) = connected(&server.uri(), None).await;
        let cluster = cluster.unwrap();
        assert_eq!((cluster.kubernetes.as_str(), cluster.provider), ("v1.33.4", "existing"));
        let written = std::fs::read_to_string(&cluster.kubeconfig).unwrap();
        assert!(written.contains("secret-token") && !written.contains("other"), "{written}");
        assert_eq!(std::fs::metadata(&cluster.kubeconfig).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Kubeconfig::read_from(&cluster.kubeconfig).is_ok());
    }

    /// Connects from a container on Docker's default network.
    async fn connected_from(world: &World, server: &str) -> (Result<(Cluster, Option<String>), Unconnected>, Own) {
        let scratch = world.path("scratch");
        let mut own = Own::find_as(world.environment(), &scratch, Some("abc".to_owned()), "").await;
        let access = Access { kubeconfig: Some(kubeconfig(&world.path("."), server)), context: None };
        let connected = connect_from(&access, &scratch, &mut own).await;
        (connected, own)
    }

    #[tokio::test]
    async fn from_a_container_a_cluster_beside_it_is_reached_on_its_network() {
        let (world, simulator) = (World::new(), Simulator::start(Options::default()).await.unwrap());
        let port = reqwest::Url::parse(&simulator.url()).unwrap().port().unwrap();
        // Its name resolves, as a container's does on its network. Port 1 of our own loopback is nobody's.
        let node = json!({"Name": "/localhost", "NetworkSettings": {"Networks": {"k3d-a": {"IPAddress": "172.20.0.3"}},
            "Ports": {format!("{port}/tcp"): [{"HostIp": "0.0.0.0", "HostPort": "1"}]}}});
        world.says(
            "inspect",
            &format!(
                r#"case "$*" in
  *node*) echo '[{node}]'; echo 'Error: No such container: gone' >&2; exit 1 ;;
  *) echo '[{{"Id":"abc","HostConfig":{{"NetworkMode":"bridge"}},"Mounts":[{{"Source":"/h","Destination":"/o"}}]}}]' ;;
esac"#
            ),
        );
        world.says("ps", "echo node; echo gone");
        world.says("network", ":");
        let (connected, own) = connected_from(&world, "http://0.0.0.0:1").await;
        let (cluster, network) = connected.unwrap();
        assert_eq!(network.as_deref(), Some("k3d-a"));
        let written = std::fs::read_to_string(&cluster.kubeconfig).unwrap();
        assert!(written.contains(&format!("http://localhost:{port}\"")) && !written.contains("0.0.0.0"), "{written}");
        let containers = own.containers(network, Vec::new());
        assert_eq!((containers.network.as_deref(), containers.host_paths.len()), (Some("k3d-a"), 1));
        own.leave().await.unwrap();
        let networks: Vec<_> = world.calls().into_iter().filter(|call| call.starts_with("docker network")).collect();
        assert_eq!(networks, ["docker network connect k3d-a abc", "docker network disconnect k3d-a abc"]);
    }

    #[tokio::test]
    async fn from_a_container_a_port_that_no_container_publishes_is_explained() {
        let world = World::new();
        world.says_we_are_in_a_container();
        world.says("ps", "echo abc");
        let (connected, _) = connected_from(&world, "https://127.0.0.1:1").await;
        let Err(Unconnected::Cluster(cause)) = connected.map(|_| ()) else { panic!("no cause") };
        assert!(cause.reason == "Unreachable" && cause.hint.contains("loopback is not the machine's"), "{cause:?}");
    }

    #[tokio::test]
    async fn an_unknown_context_names_the_known_ones() {
        let (cluster, _folder) = connected("http://127.0.0.1:1", Some("three")).await;
        let Err(Unconnected::Usage(Error::Usage(found))) = cluster.map(|_| ()) else { panic!("no usage error") };
        assert!(found[0].message.ends_with("has no context `three`"), "{}", found[0].message);
        assert_eq!(found[0].help.as_deref(), Some("it has one, two"));
    }

    #[tokio::test]
    async fn a_kubeconfig_that_is_not_there_is_the_user_s_mistake() {
        let access = Access { kubeconfig: Some(PathBuf::from("/nowhere/config")), context: None };
        let cluster = connect(&access, Path::new("/nowhere")).await;
        let Err(Unconnected::Usage(error)) = cluster.map(|_| ()) else { panic!("no usage error") };
        assert!(error.exit_code() == 2 && error.to_string().contains("/nowhere/config"), "{error}");
    }

    #[tokio::test]
    async fn credentials_that_are_not_valid_are_told() {
        let server = MockServer::start().await;
        let denied = crate::trial::apply::tests::status(401, "Unauthorized", "Unauthorized");
        Mock::given(path("/version"))
            .respond_with(ResponseTemplate::new(401).set_body_json(denied))
            .expect(1)
            .mount(&server)
            .await;
        let (cluster, _folder) = connected(&server.uri(), None).await;
        let Err(Unconnected::Cluster(cause)) = cluster.map(|_| ()) else { panic!("no cause") };
        assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Cluster, "Unauthorized"));
        assert!(cause.hint.contains("log in again"), "{}", cause.hint);
    }

    #[test]
    fn files_of_a_context_are_embedded() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.crt");
        std::fs::write(&file, "PEM").unwrap();
        let mut entry = json!({"server": "x", "certificate-authority": file});
        embed(&mut entry, "certificate-authority").unwrap();
        assert_eq!(entry, json!({"server": "x", "certificate-authority-data": "UEVN"}));
    }
}
