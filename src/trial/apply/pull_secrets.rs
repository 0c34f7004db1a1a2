//! Credentials of registries: read once a cluster, put into each attempt's namespace, and given to its ServiceAccounts.

use std::path::Path;

use k8s_openapi::ByteString;
use kube::Client;
use serde_json::{Value as Json, json};

use super::answer::is_gone;
use super::refused::of_request;
use super::request::{Objects, text};
use super::retry::{Limits, persist};
use crate::model::{Cause, CauseClass};

/// The namespace from which pull secrets are copied.
const SOURCE: &str = "default";
const DOCKER_TYPE: &str = "kubernetes.io/dockerconfigjson";

/// A pull secret that was found.
#[derive(Clone, PartialEq, Eq)]
pub struct PullSecret {
    name: String,
    kind: String,
    data: Json,
}

impl std::fmt::Debug for PullSecret {
    /// Its name alone: the rest is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PullSecret").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PullSecret {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Secret, its metadata left out.
    pub(super) fn body(&self) -> Json {
        json!({"apiVersion": "v1", "kind": "Secret", "type": self.kind, "data": self.data})
    }
}

/// Has a `ServiceAccount` use these secrets, besides those that it names itself. It is merged here, since the API server takes
/// `imagePullSecrets` as a whole; a list that is none is left for it to refuse.
pub(super) fn give(secrets: &[PullSecret], account: &mut Json) {
    let Some(account) = account.as_object_mut().filter(|_| !secrets.is_empty()) else { return };
    let named = account.entry("imagePullSecrets").or_insert(Json::Null);
    if named.is_null() {
        *named = json!([]);
    }
    if let Some(named) = named.as_array_mut() {
        for secret in secrets.iter().map(|secret| json!({"name": secret.name()})) {
            if !named.contains(&secret) {
                named.push(secret);
            }
        }
    }
}

/// Finds the pull secrets of these names in the cluster's namespace `default`; those that are not there are made from the
/// Docker config in the folder `docker_config`, if there is one.
///
/// # Errors
/// The cause of an `errored`: a secret is nowhere, or the cluster could not be asked.
pub async fn find(
    client: &Client,
    names: &[String],
    docker_config: Option<&Path>,
    limits: Limits,
) -> Result<Vec<PullSecret>, Box<Cause>> {
    let secrets = Objects::core(client, "secrets", Some(SOURCE));
    let mut found = Vec::new();
    for name in names {
        let answer = persist(limits, || async {
            match secrets.get(name).await {
                Err(error) if is_gone(&error) => Ok(None),
                answer => answer.map(Some),
            }
        });
        let secret = match answer.await {
            Ok(Some(secret)) => copied(name, &secret)?,
            Ok(None) => made(name, docker_config)?,
            Err(error) => return Err(Box::new(of_request(&format!("Secret/{name}"), &error).cause)),
        };
        found.push(secret);
    }
    Ok(found)
}

fn copied(name: &str, secret: &Json) -> Result<PullSecret, Box<Cause>> {
    let kind = text(secret, "/type");
    if ![DOCKER_TYPE, "kubernetes.io/dockercfg"].contains(&kind) {
        let message =
            format!("the Secret `{name}` in the namespace `{SOURCE}` is of type `{kind}`, which is no pull secret");
        return Err(Box::new(cause(name, message, "make it with `kubectl create secret docker-registry`")));
    }
    Ok(PullSecret { name: name.to_owned(), kind: kind.to_owned(), data: secret["data"].clone() })
}

/// A pull secret of the credentials in a Docker config.
fn made(name: &str, folder: Option<&Path>) -> Result<PullSecret, Box<Cause>> {
    let hint = "create it in the cluster's namespace `default`, or log in with `docker login` where DOCKER_CONFIG says";
    let Some(folder) = folder else {
        return Err(Box::new(cause(
            name,
            format!("the pull secret `{name}` is not in the namespace `{SOURCE}`"),
            hint,
        )));
    };
    let path = folder.join("config.json");
    let bad = |what: &str| {
        let message =
            format!("the pull secret `{name}` is not in the namespace `{SOURCE}`, and {} {what}", path.display());
        Box::new(cause(name, message, hint))
    };
    let bytes = std::fs::read(&path).map_err(|error| bad(&format!("can't be read: {error}")))?;
    let config: Json = serde_json::from_slice(&bytes).map_err(|_| bad("is not JSON"))?;
    let inline = |entry: &Json| {
        ["auth", "password", "identitytoken"].iter().any(|key| !text(entry, &format!("/{key}")).is_empty())
    };
    let auths: serde_json::Map<_, _> = config["auths"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, entry)| inline(entry))
        .map(|(host, entry)| (host.clone(), entry.clone()))
        .collect();
    if auths.is_empty() {
        return Err(bad("holds no credentials itself (a credential helper keeps them, or nobody logged in)"));
    }
    // Nothing but the credentials: helpers and proxies of this machine mean nothing to a kubelet.
    let content = ByteString(json!({"auths": auths}).to_string().into_bytes());
    Ok(PullSecret { name: name.to_owned(), kind: DOCKER_TYPE.to_owned(), data: json!({".dockerconfigjson": content}) })
}

fn cause(name: &str, message: String, hint: &str) -> Cause {
    Cause {
        hint: hint.to_owned(),
        object: format!("Secret/{name}"),
        ..Cause::new(CauseClass::Cluster, "PullSecretMissing", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_of_the_credentials_alone() {
        let folder = tempfile::tempdir().unwrap();
        let config = r#"{"auths": {"ghcr.io": {"auth": "dTpw"}, "quay.io": {}}, "credHelpers": {"x": "y"}}"#;
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let secret = made("regcred", Some(folder.path())).unwrap();
        assert_eq!(secret.body()["data"][".dockerconfigjson"], "eyJhdXRocyI6eyJnaGNyLmlvIjp7ImF1dGgiOiJkVHB3In19fQ==");
        assert_eq!(format!("{secret:?}"), "PullSecret { name: \"regcred\", .. }");
    }

    #[test]
    fn an_account_uses_them_besides_its_own() {
        let secret = |name: &str| PullSecret { name: name.to_owned(), kind: String::new(), data: Json::Null };
        let given = |mut account: Json| {
            give(&[secret("a"), secret("b")], &mut account);
            account["imagePullSecrets"].take()
        };
        let both = json!([{"name": "a"}, {"name": "b"}]);
        assert_eq!(given(json!({})), both);
        assert_eq!(given(json!({"imagePullSecrets": null})), both);
        assert_eq!(
            given(json!({"imagePullSecrets": [{"name": "own"}, {"name": "b"}]})),
            json!([{"name": "own"}, {"name": "b"}, {"name": "a"}])
        );
        assert_eq!(given(json!({"imagePullSecrets": "a"})), "a");
        let mut untouched = json!({});
        give(&[], &mut untouched);
        assert_eq!(untouched, json!({}));
    }

    #[test]
    fn a_secret_that_is_nowhere_is_told_with_where_it_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        assert!(made("r", None).unwrap_err().message.contains("`r` is not in the namespace `default`"));
        assert!(made("r", Some(folder.path())).unwrap_err().message.contains("config.json can't be read"));
        std::fs::write(folder.path().join("config.json"), r#"{"credsStore": "desktop", "auths": {"a": {}}}"#).unwrap();
        assert!(made("r", Some(folder.path())).unwrap_err().message.contains("credential helper"));
        assert!(copied("r", &json!({"type": "Opaque"})).unwrap_err().message.contains("`Opaque`"));
    }
}
