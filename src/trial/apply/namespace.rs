//! The attempt's namespace, with all that pods need to be made in it.

use std::time::Duration;

use kube::Client;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::answer::{is_already_there, is_gone};
use super::pull_secrets::PullSecret;
use super::refused::{Refused, of_request};
use super::request::{Objects, text};
use super::retry::{Limits, pauses, persist};
use crate::model::CauseClass;
use crate::trial::isolate::{ATTEMPT, Isolated, NAMESPACE};

/// How long the `default` ServiceAccount may take. On a fresh cluster 3 to 5 s were seen.
const SERVICE_ACCOUNT: Duration = Duration::from_secs(60);
/// Not our usual manager: an example that brings the ServiceAccount itself must not take its secrets away.
const SECRETS_MANAGER: &str = "example-validator-pull-secrets";

/// Creates the namespace, and waits until pods can be made in it.
pub(super) async fn create(
    client: &Client,
    isolated: &Isolated<'_>,
    secrets: &[PullSecret],
    limits: Limits,
) -> Result<(), Refused> {
    let namespaces = Objects::core(client, "namespaces", None);
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": isolated.namespace,
        "labels": isolated.namespace_labels, "annotations": isolated.namespace_annotations}});
    let reference = format!("Namespace/{}", isolated.namespace);
    let answer = persist(limits, || namespaces.create(&body)).await;
    match answer {
        Ok(_) => {}
        // The answer to our own request may have been lost, and it was sent again.
        Err(error) if is_already_there(&error) => {
            let found = persist(limits, || namespaces.get(&isolated.namespace)).await;
            let found = found.map_err(|error| of_request(&reference, &error))?;
            if !is_ours(&found, isolated) {
                return Err(in_the_way(isolated, reference));
            }
        }
        Err(error) => return Err(of_request(&reference, &error)),
    }
    service_account(client, isolated, limits).await?;
    give_secrets(client, isolated, secrets, limits).await
}

fn is_ours(found: &Json, isolated: &Isolated<'_>) -> bool {
    let annotations = &found["metadata"]["annotations"];
    let same =
        |key: &str| annotations.get(key).and_then(Json::as_str) == isolated.annotations.get(key).map(String::as_str);
    same(NAMESPACE) && same(ATTEMPT) && found["metadata"]["deletionTimestamp"].is_null()
}

fn in_the_way(isolated: &Isolated<'_>, reference: String) -> Refused {
    let message = format!("the namespace {} is there already, or still being deleted", isolated.namespace);
    let hint = "`example-validator clean` deletes what earlier runs left behind";
    Refused::errored(CauseClass::Cluster, "AlreadyExists", message, hint, reference)
}

/// Waits for the `default` ServiceAccount: without it a bare Pod is refused.
async fn service_account(client: &Client, isolated: &Isolated<'_>, limits: Limits) -> Result<(), Refused> {
    let accounts = Objects::core(client, "serviceaccounts", Some(&isolated.namespace));
    let until = Instant::now() + SERVICE_ACCOUNT;
    for pause in std::iter::once(Duration::from_millis(20)).chain(pauses()) {
        // What is absent is no fault yet, so it must not be waited for as one.
        let found = persist(limits, || async {
            match accounts.get("default").await {
                Err(error) if is_gone(&error) => Ok(false),
                answer => answer.map(|_| true),
            }
        });
        if found.await.map_err(|error| of_request("ServiceAccount/default", &error))? {
            return Ok(());
        }
        if Instant::now() + pause > until {
            break;
        }
        tokio::time::sleep(pause.min(Duration::from_secs(1))).await;
    }
    let message = format!("the ServiceAccount `default` did not appear in {} s", SERVICE_ACCOUNT.as_secs());
    let hint = "the cluster's controller manager makes it: is it running?";
    Err(Refused::errored(
        CauseClass::Cluster,
        "ServiceAccountMissing",
        message,
        hint,
        "ServiceAccount/default".to_owned(),
    ))
}

/// Puts the pull secrets into the namespace, and has its `default` ServiceAccount use them.
async fn give_secrets(
    client: &Client,
    isolated: &Isolated<'_>,
    secrets: &[PullSecret],
    limits: Limits,
) -> Result<(), Refused> {
    if secrets.is_empty() {
        return Ok(());
    }
    let namespace = Some(isolated.namespace.as_str());
    let objects = Objects::core(client, "secrets", namespace);
    for secret in secrets {
        let mut body = secret.body();
        body["metadata"] =
            json!({"name": secret.name(), "labels": isolated.labels, "annotations": isolated.annotations});
        let applied = persist(limits, || objects.apply(secret.name(), &body, SECRETS_MANAGER)).await;
        applied.map_err(|error| of_request(&format!("Secret/{}", secret.name()), &error))?;
    }
    let names: Vec<_> = secrets.iter().map(|secret| json!({"name": secret.name()})).collect();
    let body = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}, "imagePullSecrets": names});
    let accounts = Objects::core(client, "serviceaccounts", namespace);
    let applied = persist(limits, || accounts.apply("default", &body, SECRETS_MANAGER)).await;
    let applied = applied.map_err(|error| of_request("ServiceAccount/default", &error))?;
    tracing::debug!("{} uses {} pull secrets", text(&applied, "/metadata/namespace"), names.len());
    Ok(())
}
