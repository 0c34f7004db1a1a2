//! Makes a node's containerd use the proxy.
//!
//! Source: <https://github.com/containerd/containerd/blob/main/docs/hosts.md>. The files are read at every pull, so nothing is
//! started anew; that containerd reads the folder at all (`config_path`) is set when the cluster is created.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::image::engine::Engine;
use crate::registry::own_base;

/// Where containerd looks for what a registry's hosts are.
const FOLDER: &str = "/etc/containerd/certs.d";
/// Tries to connect, and is told the address as `$0` and `$1`: no shell reads what we put together.
const PROBE: &str = "exec 3<>/dev/tcp/$0/$1";

/// What says that all registries have this mirror. Without a `server`, the registry itself is asked after it.
#[must_use]
pub fn hosts_toml(proxy: SocketAddr) -> String {
    format!("[host.\"http://{proxy}\"]\n  capabilities = [\"pull\", \"resolve\"]\n")
}

/// Makes a node ask the proxy for all registries but those that are `direct`.
///
/// # Errors
/// A reason in one line: the node does not reach the proxy, or could not be written to. It then pulls by itself.
pub async fn install(engine: &Engine, node: &str, proxy: SocketAddr, direct: &BTreeSet<String>) -> Result<(), String> {
    let (host, port) = (proxy.ip().to_string(), proxy.port().to_string());
    let probe = engine.ask(&["exec", node, "timeout", "2", "bash", "-c", PROBE, &host, &port]).await;
    if !probe.map_err(|error| error.to_string())?.succeeded {
        return Err(format!("the node {node} does not reach {proxy}"));
    }
    for registry in direct {
        let own = format!("server = \"{}\"\n", own_base(registry));
        write(engine, node, &format!("{FOLDER}/{registry}/hosts.toml"), &own).await?;
    }
    write(engine, node, &format!("{FOLDER}/_default/hosts.toml"), &hosts_toml(proxy)).await
}

async fn write(engine: &Engine, node: &str, path: &str, content: &str) -> Result<(), String> {
    let arguments = ["exec", "-i", node, "install", "-D", "-m", "644", "/dev/stdin", path];
    let answer = engine.ask_with(&arguments, content.as_bytes()).await.map_err(|error| error.to_string())?;
    if answer.succeeded {
        Ok(())
    } else {
        Err(format!("{path} of the node {node} can't be written: {}", answer.last_line()))
    }
}
