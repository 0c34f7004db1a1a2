//! Where Helm keeps its caches and finds repositories, credentials and plugins: folders of ours, unless the chart means a repository
//! by the name that the user gave it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::child::{Tool, Variable};
use crate::yaml::{self, Node};

/// The tool with the folders that a chart needs.
pub(super) fn chosen(tool: Tool, environment: &[Variable], scratch: &Path, chart: &str, folder: Option<&Path>) -> Tool {
    let by_name = match folder {
        Some(folder) => dependencies(folder).iter().any(|dependency| is_name(&dependency.repository)),
        None => !chart.contains("://") && Path::new(chart).extension().is_none_or(|extension| extension != "tgz"),
    };
    if by_name {
        return tool;
    }
    let registry = home(environment, "HELM_CONFIG_HOME", "XDG_CONFIG_HOME", ".config").join("registry/config.json");
    let credentials = value(environment, "HELM_REGISTRY_CONFIG").map_or(registry, PathBuf::from);
    let mut tool = tool;
    for (name, folder) in [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")] {
        tool = tool.with(name, scratch.join(folder));
    }
    tool = tool.with("HELM_PLUGINS", plugins(environment));
    if credentials.is_file() { tool.with("HELM_REGISTRY_CONFIG", credentials) } else { tool }
}

/// Where the user's plugins are.
pub(super) fn plugins(environment: &[Variable]) -> OsString {
    let default = || home(environment, "HELM_DATA_HOME", "XDG_DATA_HOME", ".local/share").join("plugins");
    value(environment, "HELM_PLUGINS").map_or_else(|| default().into_os_string(), OsStr::to_owned)
}

fn home(environment: &[Variable], own: &str, xdg: &str, below: &str) -> PathBuf {
    let own = value(environment, own).map(PathBuf::from);
    let by_xdg = || value(environment, xdg).map(|folder| Path::new(folder).join("helm"));
    let by_home = || Path::new(value(environment, "HOME").unwrap_or_default()).join(below).join("helm");
    own.or_else(by_xdg).unwrap_or_else(by_home)
}

fn value<'a>(environment: &'a [Variable], name: &str) -> Option<&'a OsStr> {
    let found = environment.iter().find(|(known, _)| known == OsStr::new(name)).map(|(_, value)| value.as_os_str());
    found.filter(|value| !value.is_empty())
}

/// Whether a repository is meant by a name: `@bitnami`, `alias:bitnami`.
fn is_name(repository: &str) -> bool {
    repository.starts_with('@') || repository.starts_with("alias:")
}

/// Another chart that a chart needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    pub name: String,
    pub repository: String,
}

/// What a chart needs: `Chart.yaml`, in older ones `requirements.yaml`.
pub(super) fn dependencies(chart: &Path) -> Vec<Dependency> {
    let texts = ["Chart.yaml", "requirements.yaml"].map(|name| std::fs::read_to_string(chart.join(name)));
    let documents = texts.into_iter().flatten().flat_map(|text| yaml::parse(&text).documents);
    let mut found = Vec::new();
    for document in documents {
        for item in document.root.get("dependencies").into_iter().flat_map(Node::items) {
            let text = |key: &str| item.get(key).and_then(Node::as_str).unwrap_or_default().to_owned();
            found.push(Dependency { name: text("name"), repository: text("repository") });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Vec<Variable> {
        [("HOME", "/home/u"), ("XDG_DATA_HOME", "/data"), ("HELM_CONFIG_HOME", "/helm")]
            .map(|(name, value)| (name.into(), value.into()))
            .into()
    }

    #[test]
    fn the_user_s_folders_are_found_as_helm_finds_them() {
        assert_eq!(plugins(&environment()), "/data/helm/plugins");
        assert_eq!(home(&environment(), "HELM_CONFIG_HOME", "XDG_CONFIG_HOME", ".config"), Path::new("/helm"));
        assert_eq!(home(&environment(), "X", "XDG_CONFIG_HOME", ".config"), Path::new("/home/u/.config/helm"));
    }

    #[test]
    fn only_a_chart_that_names_a_repository_gets_the_user_s() {
        let own = |chart: &str| {
            let tool = chosen(Tool::new("helm", Vec::new(), "/"), &environment(), Path::new("/scratch"), chart, None);
            format!("{tool:?}").contains("/scratch/config")
        };
        assert!(own("oci://example.test/charts/op"));
        assert!(own("op-1.0.0.tgz"));
        assert!(!own("bitnami/op"));
    }

    #[test]
    fn dependencies_are_read_off_the_chart() {
        let chart = tempfile::tempdir().unwrap();
        let text = "apiVersion: v2\nname: a\ndependencies:\n- {name: jobset, version: 0.1.x, repository: 'oci://example.test'}\n- name: b\n";
        std::fs::write(chart.path().join("Chart.yaml"), text).unwrap();
        let found: Vec<_> =
            dependencies(chart.path()).into_iter().map(|found| (found.name, found.repository)).collect();
        assert_eq!(found, [("jobset".into(), "oci://example.test".into()), ("b".into(), String::new())]);
    }
}
