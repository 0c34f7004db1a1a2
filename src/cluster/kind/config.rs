//! kind's own config file: the user's, held to kind's schema before anything is created, with what we need put in. Pure but for
//! the reading.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value as Json, json};

use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::error::{Error, Result};
use crate::schema::{Dialect, Schema, Violation, ViolationKind};
use crate::trial::script::host_path;
use crate::yaml::{self, Node};

/// Lets containerd read `/etc/containerd/certs.d`, where mirrors are told per registry. Up to containerd 2.1 it does not by itself,
/// and a `version` in the patch would be taken over by kind 0.31 and older.
const REGISTRIES: &str =
    "[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"/etc/containerd/certs.d\"\n";
/// Settings of containerd that exclude `config_path`, or are it.
const OWN_REGISTRIES: [&str; 3] = ["config_path", "registry.mirrors", "registry.configs"];

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let parsed = yaml::parse(include_str!("config.schema.yaml"));
    let json = parsed.documents.first().map(|document| document.root.to_json()).unwrap_or_default();
    Schema::of_json_schema(&json)
});

/// The config that kind is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// The whole file. JSON is YAML.
    pub text: String,
    /// How many nodes there will be.
    pub nodes: usize,
    /// Whether kind installs the network of pods; without it no node becomes Ready.
    pub has_network: bool,
    /// Whether containerd reads `/etc/containerd/certs.d`; it does not where the user's own patches tell it about registries.
    pub reads_mirrors: bool,
    /// What the user should know: what of the file is not obeyed.
    pub notes: Vec<Diagnostic>,
}

impl ClusterConfig {
    /// Reads the user's file, if there is one; its path is relative to the root.
    ///
    /// `host_paths` are as in [`crate::trial::script::Containers`]: where folders of ours are for the Docker engine.
    ///
    /// # Errors
    /// [`Error::Usage`] with everything that kind would refuse.
    pub fn read(path: Option<&Path>, root: &Path, host_paths: &[(PathBuf, PathBuf)]) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::made(Map::new(), Vec::new())) };
        let file = root.join(path);
        let text = std::fs::read_to_string(&file).map_err(|error| {
            let found = Diagnostic::error(format!("can't read kind's config `{}`: {error}", path.display()));
            Error::usage(found.with_help("`kind.config` names the file, relative to the root"))
        })?;
        let source = Source::new(path.display().to_string(), text);
        let root = std::path::absolute(root).map_err(|error| Error::io("find", root, error))?;
        Self::of(&source, &root, host_paths).map_err(Error::Usage)
    }

    fn of(source: &Arc<Source>, root: &Path, host_paths: &[(PathBuf, PathBuf)]) -> Result<Self, Vec<Diagnostic>> {
        let parsed = yaml::parse(&source.text);
        let mut found: Vec<_> =
            parsed.errors.iter().map(|error| Diagnostic::error(&error.message).at(source, error.span)).collect();
        if let Some(second) = parsed.documents.get(1) {
            found.push(
                Diagnostic::error("a second document: kind's config is one document").at(source, second.root.span),
            );
        }
        let Some(document) = parsed.documents.first() else {
            found.push(Diagnostic::error(format!("kind's config `{}` is empty", source.path)));
            return Err(found);
        };
        found.extend(mistakes(source, &document.root));
        if !found.is_empty() {
            return Err(found);
        }
        let Json::Object(mut config) = document.root.to_json() else { return Err(found) };
        let mut notes = Vec::new();
        if config.shift_remove("name").is_some()
            && let Some(entry) = document.root.entry("name")
        {
            let note =
                Diagnostic::error("the cluster's `name` is not obeyed: every cluster of a run has one of its own");
            notes.push(note.with_severity(Severity::Note).at(source, entry.key_span));
        }
        place_mounts(&mut config, root, host_paths);
        Ok(Self::made(config, notes))
    }

    /// Puts our own settings into a config that is right.
    fn made(mut config: Map<String, Json>, notes: Vec<Diagnostic>) -> Self {
        config.insert("kind".to_owned(), json!("Cluster"));
        config.insert("apiVersion".to_owned(), json!("kind.x-k8s.io/v1alpha4"));
        let reads_mirrors = !has_own_registries(&config);
        if reads_mirrors {
            let patches = config.entry("containerdConfigPatches").or_insert_with(|| json!([]));
            if patches.is_null() {
                *patches = json!([]);
            }
            if let Json::Array(patches) = patches {
                // Before the user's, so that theirs has the last word.
                patches.insert(0, json!(REGISTRIES));
            }
        }
        let count = config.get("nodes").and_then(Json::as_array).map_or(0, Vec::len).max(1);
        let has_network = config.get("networking").and_then(|it| it.get("disableDefaultCNI")) != Some(&json!(true));
        let text = format!("{:#}\n", Json::Object(config));
        Self { text, nodes: count, has_network, reads_mirrors, notes }
    }
}

/// What kind's decoder would refuse, in the user's file.
fn mistakes(source: &Arc<Source>, root: &Node) -> Vec<Diagnostic> {
    if root.as_map().is_none() {
        let found = format!("kind's config is {}, not a mapping with `kind: Cluster`", root.type_name());
        return vec![Diagnostic::error(found).at(source, root.span)];
    }
    let tell = |violation: Violation<'_>| {
        let path = root.path_to(violation.anchor.node());
        let separator = if path.is_empty() { "" } else { ": " };
        let span = match violation.kind {
            ViolationKind::UnknownField => violation.anchor.span(),
            _ => violation.anchor.node().span,
        };
        let found = Diagnostic::error(format!("{path}{separator}{}", violation.message)).at(source, span);
        let help = violation
            .help
            .unwrap_or_else(|| "this is a file of kind: https://kind.sigs.k8s.io/docs/user/configuration/".to_owned());
        found.with_help(help)
    };
    SCHEMA.check(root, Dialect::Document).into_iter().map(tell).collect()
}

/// Whether patches of the user's tell containerd about registries: together with ours it would not start.
fn has_own_registries(config: &Map<String, Json>) -> bool {
    let patches = ["containerdConfigPatches", "containerdConfigPatchesJSON6902"].into_iter();
    let texts = patches.filter_map(|key| config.get(key)?.as_array()).flatten().filter_map(Json::as_str);
    let told = |text: &str| {
        // `"registry"."mirrors"` and `/registry/mirrors` mean the same.
        let plain: String = text.chars().filter(|c| !matches!(c, '"' | '\'' | ' ')).collect();
        OWN_REGISTRIES.iter().any(|setting| plain.replace('/', ".").contains(setting))
    };
    texts.into_iter().any(told)
}

/// Makes the paths of mounts absolute, from the root on, and tells them as the Docker engine sees them.
fn place_mounts(config: &mut Map<String, Json>, root: &Path, host_paths: &[(PathBuf, PathBuf)]) {
    let nodes = config.get_mut("nodes").and_then(Json::as_array_mut).into_iter().flatten();
    let mounts = nodes.filter_map(|node| node.get_mut("extraMounts")?.as_array_mut()).flatten();
    for path in mounts.filter_map(|mount| mount.get_mut("hostPath")) {
        if let Some(given) = path.as_str() {
            let ours = root.join(given);
            // A path that is no folder of ours is the host's: `/dev`, `/var/run/docker.sock`.
            let seen = host_path(&ours, host_paths).unwrap_or(ours);
            *path = json!(seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n";

    fn config(text: &str) -> Result<(ClusterConfig, Json), Vec<Diagnostic>> {
        let paths = [(PathBuf::from("/github/workspace"), PathBuf::from("/home/runner/work/r/r"))];
        let source = Source::new("hack/kind.yaml", format!("{HEAD}{text}"));
        let config = ClusterConfig::of(&source, Path::new("/github/workspace"), &paths)?;
        let written = yaml::parse(&config.text).documents[0].root.to_json();
        Ok((config, written))
    }

    #[test]
    fn without_a_file_there_is_one_node_that_reads_mirrors() {
        let config = ClusterConfig::read(None, Path::new("."), &[]).unwrap();
        assert_eq!((config.nodes, config.has_network, config.reads_mirrors), (1, true, true));
        let written = yaml::parse(&config.text).documents[0].root.to_json();
        assert_eq!(
            written,
            json!({"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "containerdConfigPatches": [REGISTRIES]})
        );
    }

    #[test]
    fn what_the_user_says_is_kept() {
        let text = "nodes:\n- role: control-plane\n  labels: {a: b}\n- role: worker\nnetworking: {disableDefaultCNI: true}\n\
            containerdConfigPatches:\n- '[plugins.x]'\nkubeadmConfigPatches: ['a: 1']\n";
        let (config, written) = config(text).unwrap();
        assert_eq!((config.nodes, config.has_network), (2, false));
        assert_eq!(written["containerdConfigPatches"], json!([REGISTRIES, "[plugins.x]"]));
        assert_eq!(
            (&written["nodes"][0]["labels"]["a"], &written["kubeadmConfigPatches"][0]),
            (&json!("b"), &json!("a: 1"))
        );
    }

    #[test]
    fn registries_of_the_user_s_own_keep_ours_out() {
        for patch in [
            "[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"docker.io\"]\n  endpoint = [\"x\"]",
            "[plugins.\"io.containerd.grpc.v1.cri\".\"registry\".\"mirrors\"]",
            "[plugins.'io.containerd.cri.v1.images'.registry]\n config_path = '/mine'",
            "[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.\"x\".tls]",
        ] {
            let (config, written) = config(&format!("containerdConfigPatches: [{}]", json!(patch))).unwrap();
            assert!(!config.reads_mirrors, "{patch}");
            assert_eq!(written["containerdConfigPatches"], json!([patch]));
        }
        let json6902 = r#"[{"op":"add","path":"/plugins/io.containerd.grpc.v1.cri/registry/mirrors/x","value":{}}]"#;
        let (config, _) = config(&format!("containerdConfigPatchesJSON6902: [{}]", json!(json6902))).unwrap();
        assert!(!config.reads_mirrors);
    }

    #[test]
    fn the_name_is_not_obeyed_and_that_is_told() {
        let (config, written) = config("name: mine\n").unwrap();
        assert_eq!(written.get("name"), None);
        assert_eq!(config.notes[0].position(), Some(("hack/kind.yaml", 3, 1)));
    }

    #[test]
    fn mounts_are_told_as_the_engine_sees_them() {
        let text = "nodes:\n- extraMounts:\n  - {hostPath: data, containerPath: /data}\n  - {hostPath: /dev, containerPath: /d}\n";
        let (_, written) = config(text).unwrap();
        let mounts = &written["nodes"][0]["extraMounts"];
        assert_eq!(
            (&mounts[0]["hostPath"], &mounts[1]["hostPath"]),
            (&json!("/home/runner/work/r/r/data"), &json!("/dev"))
        );
        assert_eq!(mounts[0]["containerPath"], "/data");
    }

    #[test]
    fn what_kind_would_refuse_is_told_with_its_place() {
        for (text, line, expected) in [
            ("foo: 1\n", 3, "foo"),
            ("nodes:\n- rolle: worker\n", 4, "rolle"),
            ("nodes:\n- role: master\n", 4, "master"),
            ("nodes: {}\n", 3, "nodes"),
            ("nodes: [\n", 3, ""),
            ("name: a\nname: b\n", 4, "name"),
            ("---\nkind: Cluster\n", 4, "second document"),
        ] {
            let found = config(text).unwrap_err();
            let (path, at, _) = found[0].position().unwrap();
            assert_eq!((path, at), ("hack/kind.yaml", line), "{text}: {found:?}");
            assert!(found[0].message.contains(expected), "{text}: {}", found[0].message);
        }
        let other = Source::new("k.yaml", "kind: Deployment\napiVersion: apps/v1\n");
        let found = ClusterConfig::of(&other, Path::new("/"), &[]).unwrap_err();
        assert!(found[0].message.contains("`Deployment`"), "{}", found[0].message);
        assert!(ClusterConfig::of(&Source::new("k.yaml", ""), Path::new("/"), &[]).is_err());
        assert!(ClusterConfig::of(&Source::new("k.yaml", "- a\n"), Path::new("/"), &[]).is_err());
    }

    #[test]
    fn a_file_that_is_not_there_is_the_user_s_mistake() {
        let error = ClusterConfig::read(Some(Path::new("nope.yaml")), Path::new("/nowhere"), &[]).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains("`nope.yaml`"), "{error}");
    }
}
