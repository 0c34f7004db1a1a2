//! A kubeconfig of its own for each attempt: the current context alone, with the attempt's namespace as its default, so that a
//! plain `kubectl apply -f` or a Python client lands there.

use std::io::Write;
use std::path::Path;

use k8s_openapi::ByteString;
use serde_json::{Map, Value as Json, json};
use tempfile::NamedTempFile;

use crate::yaml;

/// The fields that name a file: the entry, the field, and the field that holds the content instead.
const FILES: [(&str, &str, &str); 4] = [
    ("cluster", "certificate-authority", "certificate-authority-data"),
    ("user", "client-certificate", "client-certificate-data"),
    ("user", "client-key", "client-key-data"),
    ("user", "tokenFile", "token"),
];

/// What becomes of the files that a kubeconfig names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// They are named by their absolute paths: a token that is renewed stays new.
    Named,
    /// Their content is put in their place: inside a container there is no such file.
    Embedded,
}

/// A copy on disk, readable by this user alone; it is deleted when it is dropped.
pub(super) struct Copy {
    pub(super) file: NamedTempFile,
    /// The API server's URL.
    pub(super) server: String,
}

/// Writes the copy of the kubeconfig at `path` into the folder `scratch`. The error is for a person.
pub(super) fn copy(path: &Path, namespace: &str, files: Files, scratch: &Path) -> Result<Copy, String> {
    let at = |error: String| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| at(error.to_string()))?;
    let mut config = narrowed(&text, namespace).map_err(at)?;
    let path = std::path::absolute(path).map_err(|error| at(error.to_string()))?;
    settle(&mut config, path.parent().unwrap_or(Path::new("/")), files)?;
    let server = config.pointer("/clusters/0/cluster/server").and_then(Json::as_str).unwrap_or_default().to_owned();
    let write = || {
        let mut file = tempfile::Builder::new().prefix("kubeconfig-").tempfile_in(scratch)?;
        file.write_all(config.to_string().as_bytes())?;
        file.flush()?;
        Ok(file)
    };
    let file = write().map_err(|error: std::io::Error| format!("{}: {error}", scratch.display()))?;
    Ok(Copy { file, server })
}

/// The current context of a kubeconfig, with its cluster and its user, and `namespace` as its default. JSON is YAML: every client
/// reads it.
fn narrowed(text: &str, namespace: &str) -> Result<Json, String> {
    let parsed = yaml::parse(text);
    if let Some(found) = parsed.errors.first() {
        return Err(format!("it is not YAML: {}", found.message));
    }
    let whole = parsed.documents.first().map(|document| document.root.to_json()).unwrap_or_default();
    let current =
        whole["current-context"].as_str().filter(|name| !name.is_empty()).ok_or("it has no current context")?;
    let mut context = entry(&whole, "contexts", "context", current)?;
    context.insert("namespace".to_owned(), namespace.into());
    let named = |list: &str, what: &str| -> Result<Json, String> {
        let Some(name) = context.get(what).and_then(Json::as_str).filter(|name| !name.is_empty()) else {
            return Ok(json!([]));
        };
        Ok(json!([{"name": name, what: entry(&whole, list, what, name)?}]))
    };
    let (clusters, users) = (named("clusters", "cluster")?, named("users", "user")?);
    Ok(json!({
        "apiVersion": "v1", "kind": "Config", "current-context": current,
        "contexts": [{"name": current, "context": context}], "clusters": clusters, "users": users,
    }))
}

/// The entry `name` of one of a kubeconfig's lists.
fn entry(whole: &Json, list: &str, what: &str, name: &str) -> Result<Map<String, Json>, String> {
    let entries = whole[list].as_array().into_iter().flatten();
    let found = entries.filter(|entry| entry["name"] == name).find_map(|entry| entry[what].as_object());
    found.cloned().ok_or_else(|| format!("it has no {what} `{name}`"))
}

/// Deals with the files that the config names; their paths are relative to its `folder`.
fn settle(config: &mut Json, folder: &Path, files: Files) -> Result<(), String> {
    for (what, field, data) in FILES {
        let pointer = format!("/{what}s/0/{what}");
        let Some(entry) = config.pointer_mut(&pointer).and_then(Json::as_object_mut) else { continue };
        let Some(path) = entry.get(field).and_then(Json::as_str).filter(|path| !path.is_empty()) else { continue };
        let path = folder.join(path);
        if files == Files::Named {
            entry.insert(field.to_owned(), path.to_string_lossy().into());
            continue;
        }
        entry.remove(field);
        // As kubectl has it: of both, the content counts. Of tokens the file does, and it is read first.
        if entry.contains_key(data) && data != "token" {
            continue;
        }
        let content = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        entry.insert(data.to_owned(), content_of(data, content)?);
    }
    let command = config.pointer_mut("/users/0/user/exec/command");
    if let Some(Json::String(command)) = command
        && command.contains('/')
    {
        *command = folder.join(&*command).to_string_lossy().into_owned();
    }
    Ok(())
}

/// A file's content as its field holds it: a token as it is, everything else in base64.
fn content_of(field: &str, content: Vec<u8>) -> Result<Json, String> {
    if field == "token" {
        return Ok(String::from_utf8_lossy(&content).trim().into());
    }
    serde_json::to_value(ByteString(content)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const TWO: &str = "
apiVersion: v1
kind: Config
current-context: b
contexts:
- {name: a, context: {cluster: ca, user: ua, namespace: prod}}
- {name: b, context: {cluster: cb, user: ub, namespace: default}}
clusters:
- {name: ca, cluster: {server: 'https://a:6443'}}
- {name: cb, cluster: {server: 'https://127.0.0.1:6443', certificate-authority: pki/ca.crt, tls-server-name: x}}
users:
- {name: ua, user: {token: secret-of-a}}
- {name: ub, user: {client-certificate-data: AAAA, client-certificate: c.crt, tokenFile: token, exec: {command: ./bin/auth}}}
";

    fn on_disk(files: Files) -> (Json, Copy, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("pki")).unwrap();
        for (name, text) in [("config", TWO), ("pki/ca.crt", "CERT"), ("token", "t0ken\n")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let copy = copy(&folder.path().join("config"), "ev-x", files, folder.path()).unwrap();
        let written = serde_json::from_slice(&std::fs::read(copy.file.path()).unwrap()).unwrap();
        (written, copy, folder)
    }

    #[test]
    fn the_current_context_alone_is_left_and_points_at_the_namespace() {
        let (config, copy, _folder) = on_disk(Files::Named);
        assert_eq!(
            config["contexts"],
            json!([{"name": "b", "context": {"cluster": "cb", "user": "ub", "namespace": "ev-x"}}])
        );
        assert_eq!(config["clusters"][0]["cluster"]["tls-server-name"], "x");
        assert!(!config.to_string().contains("secret-of-a") && config["users"].as_array().unwrap().len() == 1);
        assert_eq!(copy.server, "https://127.0.0.1:6443");
    }

    #[test]
    fn files_are_named_by_their_absolute_paths() {
        let (config, _copy, folder) = on_disk(Files::Named);
        let at = |path: &str| folder.path().join(path).display().to_string();
        assert_eq!(config["clusters"][0]["cluster"]["certificate-authority"], at("pki/ca.crt"));
        assert_eq!(config["users"][0]["user"]["tokenFile"], at("token"));
        assert_eq!(config["users"][0]["user"]["exec"]["command"], at("./bin/auth"));
    }

    #[test]
    fn for_a_container_the_content_of_files_is_put_in() {
        let (config, ..) = on_disk(Files::Embedded);
        let (cluster, user) = (&config["clusters"][0]["cluster"], &config["users"][0]["user"]);
        assert_eq!(cluster["certificate-authority-data"], "Q0VSVA==");
        assert_eq!((&user["token"], &user["client-certificate-data"]), (&json!("t0ken"), &json!("AAAA")));
        for gone in ["certificate-authority", "tokenFile", "client-certificate"] {
            assert!(cluster.get(gone).is_none() && user.get(gone).is_none(), "{gone}");
        }
    }

    #[test]
    fn only_this_user_reads_the_copy_and_it_does_not_outlive_its_use() {
        let (_, copy, _folder) = on_disk(Files::Named);
        let path = copy.file.path().to_owned();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(copy);
        assert!(!path.exists());
    }

    #[test]
    fn a_kubeconfig_that_leads_nowhere_is_told() {
        for (text, expected) in [
            ("", "no current context"),
            ("current-context: ''", "no current context"),
            ("current-context: x", "no context `x`"),
            ("current-context: x\ncontexts: [{name: x, context: {cluster: gone}}]", "no cluster `gone`"),
            ("a: [", "not YAML"),
        ] {
            assert!(narrowed(text, "n").unwrap_err().contains(expected), "{text}");
        }
    }
}
