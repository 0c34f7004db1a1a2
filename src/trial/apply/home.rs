//! The labels of the namespace for which an example was written: webhooks, sidecar injection, queues and policies go by them.

use std::time::Duration;

use serde_json::Value as Json;

use super::Target;
use super::request::Objects;
use crate::error::chain;
use crate::trial::isolate::Isolated;

/// How long the answer is waited for: an example can be tried without it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Has the attempt's namespace take the labels of the namespace that the example names, if the cluster has that one. Nothing comes
/// of it where that can't be read.
pub async fn adopt_labels(target: &Target, isolated: &mut Isolated<'_>) {
    let Some(home) = isolated.home() else { return };
    let namespaces = Objects::core(&target.client, "namespaces", None);
    match tokio::time::timeout(PATIENCE, namespaces.get(home)).await {
        Ok(Ok(found)) => {
            let labels = found.pointer("/metadata/labels").and_then(Json::as_object).into_iter().flatten();
            isolated.adopt(labels.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))));
        }
        Ok(Err(error)) => tracing::debug!("the labels of the namespace {home} are not taken over: {}", chain(&error)),
        Err(_) => tracing::debug!("the labels of the namespace {home} are not taken over: no answer"),
    }
}
