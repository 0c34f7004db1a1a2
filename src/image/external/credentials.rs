//! The credentials of registries, as the Docker CLI keeps them: `config.json` and the helpers that it names.
//!
//! Sources: <https://docs.docker.com/reference/cli/docker/login/> and
//! <https://github.com/docker/docker-credential-helpers>: the helper `docker-credential-NAME get` reads a server's address and writes
//! JSON. Docker Hub is kept under the address of its first API.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::child::{Tool, environment};
use crate::image_reference::DEFAULT_REGISTRY;

/// How Docker Hub is called there.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// How long a helper may take; some ask a server of a cloud.
const HELPER: Duration = Duration::from_secs(20);
/// What a helper says that works, and has none.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The user name of a secret that is an identity token.
const TOKEN_USER: &str = "<token>";

/// Who somebody is for a registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// A user's name and password.
    Password { user: String, password: String },
    /// A token that is exchanged for one that pulls.
    Identity(String),
}

impl std::fmt::Debug for Credentials {
    /// Nothing that is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

/// Where credentials are looked up.
#[derive(Clone, Debug, Default)]
pub(super) struct Keyring {
    config: DockerConfig,
    environment: Vec<(OsString, OsString)>,
    folder: PathBuf,
    /// Registries whose helper was already said to fail.
    told: Arc<Mutex<BTreeSet<String>>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entry")
    }
}

/// What a helper writes.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

/// The folder of Docker's `config.json`: what the variable that `registries.auth` names holds, else DOCKER_CONFIG. Never
/// `~/.docker`: every pod of the clusters can pull what the credentials can, so somebody must have meant them for this.
pub(super) fn folder(auth: Option<&str>, environment: &[(OsString, OsString)]) -> Option<PathBuf> {
    let value = |name: &str| environment.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let set = |name: &str| value(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    match auth {
        Some(variable) => set(variable),
        None => set("DOCKER_CONFIG"),
    }
}

impl Keyring {
    /// Reads the `config.json` of a folder. One that is not there holds nothing; `Err` is why one can't be read.
    pub(super) fn read(
        folder: Option<&Path>,
        environment: &[(OsString, OsString)],
        start: &Path,
    ) -> Result<Self, String> {
        let keyring =
            |config| Self { config, environment: environment.to_vec(), folder: start.to_owned(), told: Arc::default() };
        let Some(path) = folder.map(|folder| folder.join("config.json")) else {
            return Ok(keyring(DockerConfig::default()));
        };
        match std::fs::read(&path) {
            Ok(bytes) => {
                let config = serde_json::from_slice(&bytes);
                // What the parser says may quote a secret.
                config.map(keyring).map_err(|_| format!("{} is not a Docker config", path.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(keyring(DockerConfig::default())),
            Err(error) => Err(format!("{} can't be read: {error}", path.display())),
        }
    }

    /// The credentials for a registry (`docker.io`, `ghcr.io`, `localhost:5000`), if there are any. A helper that fails has none,
    /// which is warned about once.
    pub(super) async fn of(&self, registry: &str) -> Option<Credentials> {
        let server = if registry == DEFAULT_REGISTRY { DOCKER_HUB } else { registry };
        let helper = self.config.cred_helpers.iter().find(|(host, _)| host_of(host) == host_of(server));
        let helper =
            helper.map(|(_, helper)| helper).or(Some(&self.config.creds_store).filter(|name| !name.is_empty()));
        if let Some(helper) = helper {
            match self.helped(helper, server).await {
                Ok(Some(found)) => return Some(found),
                Ok(None) => {}
                Err(why) => self.warn(registry, helper, &why),
            }
        }
        let mut entries = self.config.auths.iter().filter(|(host, _)| host_of(host) == host_of(server));
        entries.find_map(|(_, entry)| entry.credentials())
    }

    fn warn(&self, registry: &str, helper: &str, why: &str) {
        let is_new = self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(registry.to_owned());
        if is_new {
            tracing::warn!("the helper `{helper}` gives no credentials for {registry}: {why}");
        }
    }

    /// What a helper has; `Err` is why it can't say.
    async fn helped(&self, helper: &str, server: &str) -> Result<Option<Credentials>, String> {
        // A name, and never a path.
        let is_name = helper.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
        if !is_name {
            return Err("it is not the name of a program".to_owned());
        }
        let program = format!("docker-credential-{helper}");
        let tool = Tool::new(program, for_helper(&self.environment), &self.folder);
        let answer = tool.ask_with(&["get"], server.as_bytes(), HELPER).await.map_err(|error| error.to_string())?;
        if !answer.succeeded {
            // Helpers write their errors to the standard output.
            let said = if answer.out.trim().is_empty() { answer.last_line() } else { answer.out.trim() };
            return if said.contains(NOT_FOUND) { Ok(None) } else { Err(said.to_owned()) };
        }
        // What the parser says may quote a secret.
        let found: Helped = serde_json::from_str(&answer.out).map_err(|_| "it did not write credentials".to_owned())?;
        Ok(Some(match found.username.as_str() {
            TOKEN_USER => Credentials::Identity(found.secret),
            _ => Credentials::Password { user: found.username, password: found.secret },
        }))
    }
}

/// What a helper may see: what Docker's CLI may, and who we are for the clouds whose registries the helpers of Amazon, Google and
/// Azure serve. No other child gets these; but whoever names such a helper in the config means it to use them.
fn for_helper(environment: &[(OsString, OsString)]) -> Vec<(OsString, OsString)> {
    let is_clouds = |name: &str| {
        name == "GOOGLE_APPLICATION_CREDENTIALS"
            || ["AWS_", "CLOUDSDK_", "AZURE_"].iter().any(|family| name.starts_with(family))
    };
    let of_clouds = environment.iter().filter(|(name, _)| name.to_str().is_some_and(is_clouds)).cloned();
    environment::for_docker(environment).into_iter().chain(of_clouds).collect()
}

impl Entry {
    fn credentials(&self) -> Option<Credentials> {
        if !self.identitytoken.is_empty() {
            return Some(Credentials::Identity(self.identitytoken.clone()));
        }
        if !self.auth.is_empty() {
            let text = String::from_utf8(STANDARD.decode(self.auth.trim()).ok()?).ok()?;
            let (user, password) = text.split_once(':')?;
            return Some(Credentials::Password { user: user.to_owned(), password: password.to_owned() });
        }
        let (user, password) = (self.username.clone(), self.password.clone());
        (!user.is_empty()).then_some(Credentials::Password { user, password })
    }
}

/// The host of an address: keys are hosts, or URLs of an API. Docker Hub has several names.
fn host_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    match rest.split('/').next().unwrap_or(rest) {
        "docker.io" | "registry-1.docker.io" => "index.docker.io",
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(user: &str, password: &str) -> Credentials {
        Credentials::Password { user: user.to_owned(), password: password.to_owned() }
    }

    fn keyring(folder: &Path, config: &str) -> Keyring {
        std::fs::write(folder.join("config.json"), config).unwrap();
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        Keyring::read(Some(folder), &[("PATH".into(), path.into())], folder).unwrap()
    }

    #[tokio::test]
    async fn credentials_in_the_file_are_found_under_all_names_of_a_registry() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = keyring(
            folder.path(),
            r#"{"auths": {"https://index.docker.io/v1/": {"auth": "dTpwOnA="}, "ghcr.io": {"username": "a", "password": "b"},
                "https://quay.io/v2/": {"identitytoken": "t"}, "empty.example": {}}, "HttpHeaders": {}}"#,
        );
        assert_eq!(keyring.of("docker.io").await, Some(password("u", "p:p")));
        assert_eq!(keyring.of("ghcr.io").await, Some(password("a", "b")));
        assert_eq!(keyring.of("quay.io").await, Some(Credentials::Identity("t".to_owned())));
        assert_eq!(keyring.of("empty.example").await, None);
        assert_eq!(keyring.of("other.example").await, None);
        assert_eq!(format!("{:?}", keyring.config.auths["ghcr.io"]), "Entry");
    }

    #[tokio::test]
    async fn a_helper_is_asked_for_its_own_registries_and_the_store_for_all_others() {
        let folder = tempfile::tempdir().unwrap();
        for (name, script) in [
            (
                "one",
                "read -r server; echo \"{\\\"ServerURL\\\": \\\"\\\", \\\"Username\\\": \\\"$server\\\", \\\"Secret\\\": \\\"s\\\"}\"",
            ),
            ("all", "echo '{\"Username\": \"<token>\", \"Secret\": \"t\"}'"),
            ("bad", "echo 'credentials not found'; exit 1"),
            ("none", "echo 'credentials not found in native keychain'; exit 1"),
        ] {
            let file = folder.path().join(format!("docker-credential-{name}"));
            crate::child::testing::program(&file, &format!("#!/bin/sh\n[ \"$1\" = get ] || exit 9\n{script}\n"));
        }
        let config = r#"{"credHelpers": {"ghcr.io": "one", "gcr.io": "bad", "x.io": "../one", "a.io": "none",
            "b.io": "absent"}, "credsStore": "all",
            "auths": {"gcr.io": {"auth": "dTpw"}}}"#;
        let keyring = keyring(folder.path(), config);
        assert_eq!(keyring.of("ghcr.io").await, Some(password("ghcr.io", "s")));
        assert_eq!(keyring.of("docker.io").await, Some(Credentials::Identity("t".to_owned())));
        assert_eq!(keyring.of("gcr.io").await, Some(password("u", "p")));
        for registry in ["x.io", "a.io", "b.io", "b.io"] {
            assert_eq!(keyring.of(registry).await, None);
        }
        // One that works and has none is nothing to speak of.
        let told: Vec<_> = keyring.told.lock().unwrap().iter().cloned().collect();
        assert_eq!(told, ["b.io", "gcr.io", "x.io"]);
    }

    #[test]
    fn a_helper_sees_who_we_are_for_clouds_and_no_other_secret() {
        let environment: Vec<(OsString, OsString)> =
            ["AWS_REGION", "AZURE_CLIENT_ID", "GITHUB_TOKEN", "PATH", "GOOGLE_X"]
                .map(|name| (name.into(), "x".into()))
                .into();
        let seen = for_helper(&environment);
        let has = |name: &str| seen.iter().any(|(known, _)| known == name);
        assert!(has("AWS_REGION") && has("AZURE_CLIENT_ID") && has("PATH"));
        assert!(!has("GITHUB_TOKEN") && !has("GOOGLE_X"));
    }

    #[test]
    fn the_folder_is_one_that_somebody_named_and_never_that_of_the_home() {
        let environment: Vec<(OsString, OsString)> =
            vec![("HOME".into(), "/h".into()), ("MINE".into(), "/m".into()), ("DOCKER_CONFIG".into(), "".into())];
        assert_eq!(folder(Some("MINE"), &environment), Some("/m".into()));
        assert_eq!(folder(Some("OTHER"), &environment), None);
        assert_eq!(folder(None, &environment), None);
        let set = [("DOCKER_CONFIG".into(), "/d".into())];
        assert_eq!(folder(None, &set), Some("/d".into()));
    }

    #[test]
    fn a_file_that_is_not_there_holds_nothing_and_a_broken_one_is_told_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Keyring::read(Some(folder.path()), &[], folder.path()).is_ok());
        std::fs::write(folder.path().join("config.json"), "{\"auths\": {\"secret").unwrap();
        let error = Keyring::read(Some(folder.path()), &[], folder.path()).unwrap_err();
        assert!(error.ends_with("is not a Docker config"), "{error}");
    }
}
