//! Whether a cluster can take work. kind itself does not know: its `--wait` ends with exit code 0 when its time is up, and looks at
//! nothing but one condition of the nodes.

use std::time::Duration;

use kube::Client;
use kube::api::ListParams;
use serde_json::Value as Json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::trial::apply::request::{Objects, text};

/// Between two looks. What is waited for comes from several controllers; one look costs two small requests.
const LOOK: Duration = Duration::from_millis(250);
/// How long one look may take.
const ANSWER: Duration = Duration::from_secs(10);

/// What a cluster must have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// How many nodes.
    pub(super) nodes: usize,
    /// Whether they must be Ready; without a network of pods they never are.
    pub(super) has_network: bool,
}

/// How waiting ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// It can take work.
    Ready,
    /// The deadline came first; this was missing last.
    TimedOut(String),
    /// The run was cancelled.
    Cancelled,
}

/// Waits until every node is Ready and the namespace `default` has its ServiceAccount, without which a pod is refused: it comes some
/// seconds after kind has ended.
pub(super) async fn wait(client: &Client, wanted: Wanted, deadline: Instant, cancel: &CancellationToken) -> Waited {
    let mut missing = "the API server did not answer".to_owned();
    let looks = async {
        loop {
            match tokio::time::timeout(ANSWER, look(client, wanted)).await {
                Ok(Ok(None)) => return,
                Ok(Ok(Some(found))) => missing = found,
                Ok(Err(error)) => missing = format!("the API server can't be asked: {}", chain(&error)),
                Err(_) => "the API server does not answer".clone_into(&mut missing),
            }
            tracing::debug!("the cluster is not ready: {missing}");
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => Waited::Cancelled,
        () = looks => Waited::Ready,
        () = tokio::time::sleep_until(deadline) => Waited::TimedOut(missing),
    }
}

/// What is missing; `None` if nothing is.
async fn look(client: &Client, wanted: Wanted) -> Result<Option<String>, kube::Error> {
    let nodes = Objects::core(client, "nodes", None).list(&ListParams::default()).await?;
    if let Some(missing) = missing_of_nodes(&nodes, wanted) {
        return Ok(Some(missing));
    }
    match Objects::core(client, "serviceaccounts", Some("default")).get("default").await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.code == 404 => {
            Ok(Some("the namespace `default` has no ServiceAccount yet".to_owned()))
        }
        Err(error) => Err(error),
    }
}

/// What the nodes lack. Pure.
fn missing_of_nodes(nodes: &[Json], wanted: Wanted) -> Option<String> {
    if nodes.len() < wanted.nodes {
        return Some(format!("{} of {} nodes have registered", nodes.len(), wanted.nodes));
    }
    nodes.iter().filter(|_| wanted.has_network).find_map(|node| {
        let conditions = node.pointer("/status/conditions").and_then(Json::as_array);
        let ready = conditions.into_iter().flatten().find(|condition| text(condition, "/type") == "Ready");
        let name = text(node, "/metadata/name");
        match ready {
            Some(ready) if text(ready, "/status") == "True" => None,
            Some(ready) if !text(ready, "/message").is_empty() => {
                Some(format!("the node {name} is not Ready: {}", text(ready, "/message")))
            }
            _ => Some(format!("the node {name} is not Ready")),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ONE: Wanted = Wanted { nodes: 1, has_network: true };

    fn node(status: &str) -> Json {
        // The order of conditions is nobody's promise.
        json!({"metadata": {"name": "n"}, "status": {"conditions": [
            {"type": "Ready", "status": status, "message": "cni plugin not initialized"}, {"type": "DiskPressure", "status": "False"}]}})
    }

    #[test]
    fn a_node_is_ready_by_its_ready_condition_alone() {
        assert_eq!(missing_of_nodes(&[node("True")], ONE), None);
        for status in ["False", "Unknown"] {
            let missing = missing_of_nodes(&[node(status)], ONE);
            assert_eq!(missing.as_deref(), Some("the node n is not Ready: cni plugin not initialized"));
        }
        assert_eq!(
            missing_of_nodes(&[json!({"metadata": {"name": "n"}})], ONE).as_deref(),
            Some("the node n is not Ready")
        );
    }

    #[test]
    fn nodes_that_have_not_registered_are_waited_for() {
        assert_eq!(missing_of_nodes(&[], ONE).as_deref(), Some("0 of 1 nodes have registered"));
        let two = Wanted { nodes: 2, ..ONE };
        assert_eq!(missing_of_nodes(&[node("True")], two).as_deref(), Some("1 of 2 nodes have registered"));
        assert!(missing_of_nodes(&[node("True"), node("False")], two).is_some());
    }

    #[test]
    fn without_a_network_of_pods_nodes_need_not_be_ready() {
        assert_eq!(missing_of_nodes(&[node("False")], Wanted { has_network: false, ..ONE }), None);
    }
}
