//! A cluster in containers beside our own: one that an earlier step made (kind, k3d, minikube). Its kubeconfig is for the engine's
//! machine. The loopback there is not ours, and Docker lets no bridge reach another: so we join the cluster's network, and meet the
//! API server there.

use std::net::IpAddr;
use std::time::Duration;

use kube::config::{Cluster, Kubeconfig};
use reqwest::Url;
use serde_json::{Map, Value as Json};

use super::own::Own;
use crate::model::{Cause, CauseClass};
use crate::trial::apply::request::text;
use crate::trial::script::is_loopback;

/// Docker's default network: no names resolve there.
const BRIDGE: &str = "bridge";
/// Networks by which nothing is reached.
const NO_NETWORKS: [&str; 2] = ["host", "none"];
/// How long a port on loopback may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// What to do where loopback leads nowhere.
pub(super) const HINT: &str = "this is a container, as the action always is, and its loopback is not the machine's; no container of the Docker \
     engine publishes this port: give a kubeconfig with an address that containers reach, or run the program itself on the machine";

/// How the API server of a kubeconfig is reached.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As the kubeconfig says.
    Direct,
    /// On this Docker network, where we are now. The kubeconfig says how.
    Network(String),
    /// Hardly: it is on loopback, where nothing answers us, and no container publishes its port.
    Nowhere,
}

/// Finds the container of the API server, where we need its network, joins that, and puts the server's address there into the kubeconfig.
///
/// # Errors
/// The network can't be joined.
pub(super) async fn reach(own: &mut Own, kubeconfig: &mut Kubeconfig, context: &str) -> Result<Way, Box<Cause>> {
    let Some(url) = own.is_joining().then(|| server(cluster_of(kubeconfig, context)?)).flatten() else {
        return Ok(Way::Direct);
    };
    let is_local = is_loopback(url.as_str());
    // What answers there shares the network with us: a forwarded port, or the job's own container.
    let is_address = host(&url).parse::<IpAddr>().is_ok();
    if (is_local || is_address) && answers(&url).await {
        return Ok(Way::Direct);
    }
    let containers = own.running().await;
    let Some(Behind { network, address }) = behind(&containers, &url) else {
        return Ok(if is_local { Way::Nowhere } else { Way::Direct });
    };
    own.set_network(network.clone());
    own.join().await.map_err(|why| Box::new(not_joined(&url, &network, &why)))?;
    if let Some((host, port)) = address {
        rewrite(kubeconfig, context, &host, port);
    }
    Ok(Way::Network(network))
}

/// The cluster of a context, in whose place another may be put.
fn cluster_of<'k>(kubeconfig: &'k mut Kubeconfig, context: &str) -> Option<&'k mut Cluster> {
    let context = kubeconfig.contexts.iter().find(|known| known.name == context)?.context.as_ref()?;
    kubeconfig.clusters.iter_mut().find(|known| known.name == context.cluster)?.cluster.as_mut()
}

/// The API server of a cluster; `None` where there is none, or a proxy has to find it.
fn server(cluster: &Cluster) -> Option<Url> {
    Url::parse(cluster.server.as_deref()?).ok().filter(|_| cluster.proxy_url.is_none())
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_matches(['[', ']'])
}

async fn answers(url: &Url) -> bool {
    let address = (host(url), url.port_or_known_default().unwrap_or_default());
    matches!(tokio::time::timeout(ANSWER, tokio::net::TcpStream::connect(address)).await, Ok(Ok(_)))
}

/// The container that an API server is in.
#[derive(Debug, PartialEq, Eq)]
struct Behind {
    /// A network that it is on.
    network: String,
    /// Host and port there, where they are others than the kubeconfig's.
    address: Option<(String, u16)>,
}

/// The one of these containers (as `docker inspect` tells of them) that publishes the port of a URL on loopback, or has the URL's host as its
/// name or address.
fn behind(containers: &[Json], url: &Url) -> Option<Behind> {
    let (host, port, is_local) = (host(url), url.port_or_known_default()?, is_loopback(url.as_str()));
    containers.iter().find_map(|container| {
        let networks = container.pointer("/NetworkSettings/Networks")?.as_object()?;
        let name = text(container, "/Name").trim_start_matches('/');
        if is_local {
            let port = published(container, port)?;
            let network = network_of(networks)?;
            let host = if network == BRIDGE { text(&networks[network], "/IPAddress") } else { name };
            return Some(Behind { network: network.to_owned(), address: Some((host.to_owned(), port)) });
        }
        let by_address = || {
            host.parse::<IpAddr>().ok()?;
            networks.iter().find(|(_, network)| text(network, "/IPAddress") == host).map(|(name, _)| name.as_str())
        };
        let network =
            if name == host { network_of(networks).filter(|network| *network != BRIDGE) } else { by_address() };
        network.map(|network| Behind { network: network.to_owned(), address: None })
    })
}

/// The port of the container that is published as this one on the machine's loopback.
fn published(container: &Json, port: u16) -> Option<u16> {
    let port = port.to_string();
    // An address of the machine's own is not its loopback.
    let on_loopback =
        |ip: &str| ip.is_empty() || ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified());
    let is_it = |binding: &Json| text(binding, "/HostPort") == port && on_loopback(text(binding, "/HostIp"));
    let ports = container.pointer("/NetworkSettings/Ports")?.as_object()?;
    let (inside, _) = ports.iter().find(|(inside, bindings)| {
        inside.ends_with("/tcp") && bindings.as_array().is_some_and(|bindings| bindings.iter().any(is_it))
    })?;
    inside.trim_end_matches("/tcp").parse().ok()
}

/// A network to meet a container on: one that resolves its name, else Docker's default.
fn network_of(networks: &Map<String, Json>) -> Option<&str> {
    let mut names = networks.keys().map(String::as_str).filter(|name| !NO_NETWORKS.contains(name));
    let of_a_user = names.clone().find(|name| *name != BRIDGE);
    of_a_user.or_else(|| names.find(|name| !text(&networks[*name], "/IPAddress").is_empty()))
}

/// Puts another address into a context's cluster. Its certificate is still held to the old one, which it was made for.
fn rewrite(kubeconfig: &mut Kubeconfig, context: &str, to: &str, port: u16) {
    let Some(cluster) = cluster_of(kubeconfig, context) else { return };
    let Some(mut url) = server(cluster) else { return };
    let old = host(&url).to_owned();
    if url.set_host(Some(to)).is_err() || url.set_port(Some(port)).is_err() {
        return;
    }
    cluster.server = Some(url.as_str().trim_end_matches('/').to_owned());
    if url.scheme() == "https" {
        cluster.tls_server_name.get_or_insert(old);
    }
}

fn not_joined(server: &Url, network: &str, why: &str) -> Cause {
    let message =
        format!("the cluster at {server} is on the Docker network {network}, which this container can't join: {why}");
    Cause {
        hint: format!("`docker network connect {network} CONTAINER` by hand shows whether the engine is well"),
        ..Cause::new(CauseClass::Cluster, "Unreachable", message)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::kind::testing::World;

    const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
current-context: kind-chart-testing
contexts:
- {name: kind-chart-testing, context: {cluster: kind-chart-testing, user: u}}
- {name: other, context: {cluster: other, user: u}}
clusters:
- {name: kind-chart-testing, cluster: {server: 'https://127.0.0.1:44321', certificate-authority-data: AAAA}}
- {name: other, cluster: {server: 'https://127.0.0.1:44321', proxy-url: 'http://proxy:1'}}
users: [{name: u, user: {token: t}}]
";

    fn kubeconfig(text: &str) -> Kubeconfig {
        Kubeconfig::from_yaml(text).unwrap()
    }

    fn of_kind() -> Json {
        json!({"Name": "/chart-testing-control-plane", "NetworkSettings": {
            "Ports": {"80/tcp": null, "6443/udp": [{"HostIp": "", "HostPort": "44321"}], "6443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "44321"}]},
            "Networks": {"kind": {"IPAddress": "172.18.0.2"}}}})
    }

    fn found(container: &Json, url: &str) -> Option<(String, Option<(String, u16)>)> {
        let others = json!({"Name": "/web", "NetworkSettings": {
            "Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}, "Networks": {"bridge": {"IPAddress": "172.17.0.5"}}}});
        let behind = behind(&[others, container.clone()], &Url::parse(url).unwrap())?;
        Some((behind.network, behind.address))
    }

    #[test]
    fn the_container_that_publishes_a_port_is_met_on_its_network() {
        let node = || Some(("chart-testing-control-plane".to_owned(), 6443));
        for url in
            ["https://127.0.0.1:44321", "https://localhost:44321", "https://0.0.0.0:44321", "https://[::1]:44321"]
        {
            assert_eq!(found(&of_kind(), url), Some(("kind".to_owned(), node())), "{url}");
        }
        assert_eq!(found(&of_kind(), "https://127.0.0.1:6443"), None);
        // Of two networks the one that resolves names; on Docker's default none does.
        let mut container = of_kind();
        container["NetworkSettings"]["Networks"] =
            json!({"bridge": {"IPAddress": "172.17.0.2"}, "k3d-a": {"IPAddress": "172.20.0.3"}});
        assert_eq!(found(&container, "https://0.0.0.0:44321"), Some(("k3d-a".to_owned(), node())));
        container["NetworkSettings"]["Networks"] = json!({"bridge": {"IPAddress": "172.17.0.2"}});
        let by_address = Some(("172.17.0.2".to_owned(), 6443));
        assert_eq!(found(&container, "https://127.0.0.1:44321"), Some(("bridge".to_owned(), by_address)));
        container["NetworkSettings"]["Networks"] = json!({"host": {"IPAddress": ""}});
        assert_eq!(found(&container, "https://127.0.0.1:44321"), None);
    }

    #[test]
    fn an_address_that_is_a_container_s_own_is_kept() {
        // minikube names the address of its container.
        for url in ["https://172.18.0.2:8443", "https://chart-testing-control-plane:6443"] {
            assert_eq!(found(&of_kind(), url), Some(("kind".to_owned(), None)), "{url}");
        }
        for url in ["https://172.18.0.20:8443", "https://k8s.example", "https://control-plane:6443"] {
            assert_eq!(found(&of_kind(), url), None, "{url}");
        }
    }

    #[test]
    fn the_address_changes_and_the_certificate_is_held_to_the_old_one() {
        let mut config = kubeconfig(KUBECONFIG);
        rewrite(&mut config, "kind-chart-testing", "chart-testing-control-plane", 6443);
        let written = serde_json::to_value(&config).unwrap();
        assert_eq!(
            written["clusters"][0]["cluster"],
            json!({"server": "https://chart-testing-control-plane:6443", "tls-server-name": "127.0.0.1",
                "certificate-authority-data": "AAAA"})
        );
        assert_eq!(written["clusters"][1]["cluster"]["server"], "https://127.0.0.1:44321");
        // A name that the kubeconfig gives counts, and without TLS there is none.
        for (from, to, name) in [
            ("server: 'https://127.0.0.1:44321', tls-server-name: api", "https://n:6443", json!("api")),
            ("server: 'http://0.0.0.0:44321'", "http://n:6443", Json::Null),
            ("server: 'https://[::1]:44321/k8s'", "https://n:6443/k8s", json!("::1")),
        ] {
            let mut config = kubeconfig(
                &KUBECONFIG.replace("server: 'https://127.0.0.1:44321', certificate-authority-data: AAAA", from),
            );
            rewrite(&mut config, "kind-chart-testing", "n", 6443);
            let written = serde_json::to_value(&config).unwrap();
            let cluster = &written["clusters"][0]["cluster"];
            assert_eq!((&cluster["server"], &cluster["tls-server-name"]), (&json!(to), &name), "{from}");
        }
    }

    #[tokio::test]
    async fn a_client_takes_an_address_as_the_name_of_a_certificate() {
        crate::http_client::choose_cryptography();
        for old in ["127.0.0.1", "0.0.0.0", "[::1]", "localhost"] {
            let text = KUBECONFIG.replace("127.0.0.1", old).replace(", certificate-authority-data: AAAA", "");
            let mut config = kubeconfig(&text);
            rewrite(&mut config, "kind-chart-testing", "k3d_a-serverlb", 6443);
            let config = kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default())
                .await
                .unwrap();
            assert_eq!(config.tls_server_name.as_deref(), Some(old.trim_matches(['[', ']'])));
            kube::Client::try_from(config).unwrap();
        }
    }

    async fn own(world: &World) -> Own {
        Own::find_as(world.environment(), &world.path("scratch"), Some("abc".to_owned()), "").await
    }

    #[tokio::test]
    async fn what_needs_no_other_network_joins_none() {
        let world = World::new();
        world.says_we_are_in_a_container();
        world.says("ps", "echo abc");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = listener.local_addr().unwrap().to_string();
        for (server, context, expected) in [
            // Port 0 is nobody's.
            ("127.0.0.1:0", "kind-chart-testing", Way::Nowhere),
            (ours.as_str(), "kind-chart-testing", Way::Direct),
            ("k8s.example", "kind-chart-testing", Way::Direct),
            ("127.0.0.1:0", "other", Way::Direct),
        ] {
            let mut config = kubeconfig(&KUBECONFIG.replace("127.0.0.1:44321", server));
            let before = serde_json::to_value(&config).unwrap();
            let way = reach(&mut own(&world).await, &mut config, context).await.unwrap();
            assert_eq!((way, serde_json::to_value(&config).unwrap()), (expected, before), "{server} {context}");
        }
        assert_eq!(world.count("docker network"), 0);
    }

    #[tokio::test]
    async fn a_network_that_can_not_be_joined_is_told() {
        let world = World::new();
        let node = json!([{"Id": "abc", "HostConfig": {"NetworkMode": "bridge"}, "Name": of_kind()["Name"],
            "NetworkSettings": of_kind()["NetworkSettings"]}]);
        world.says("inspect", &format!("echo '{}'", node.to_string().replace("44321", "1")));
        world.says("ps", "echo abc");
        world.says("network", "echo 'Error response from daemon: no more addresses' >&2; exit 1");
        let mut config = kubeconfig(&KUBECONFIG.replace("44321", "1"));
        let mut own = own(&world).await;
        let cause = reach(&mut own, &mut config, "kind-chart-testing").await.unwrap_err();
        assert!(
            cause.message.contains("Docker network kind") && cause.message.ends_with("no more addresses"),
            "{cause:?}"
        );
        own.leave().await.unwrap();
        assert_eq!(world.count("docker network disconnect"), 0);
    }
}
