//! What kustomize folders and Helm charts read outside themselves: bases, components, patches, generated files, charts.
//!
//! A kustomization file is read as data: every text in it that leads out of the folder, or to another kustomize folder, is a
//! dependency, whatever the field is called. That finds more than kustomize would read, never less. Charts name the charts
//! beside them as `file://../common`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::paths::{join, normal};
use super::touched::{Dependencies, shared_paths};
use crate::catalog::{Catalog, ExampleKind};
use crate::config::Config;
use crate::kustomize;

/// The file of a chart that refers to others.
const CHART: &str = "Chart.yaml";
/// How a chart names one beside it.
const BESIDE: &str = "file://";

/// Reads what a plan has to know: the kustomize folders among the examples, and all that the config names.
#[must_use]
pub fn read_all(root: &Path, catalog: &Catalog, config: &Config) -> Dependencies {
    let shared = shared_paths(root, config);
    let examples = catalog.examples.iter().filter(|example| example.kind == ExampleKind::Kustomize);
    let folders = examples.map(|example| example.id.as_str()).chain(shared.iter().map(|(_, path)| path.as_str()));
    read(root, folders)
}

/// Reads the folders (paths relative to `root`) and all that they build on. A path that is neither a kustomize folder nor a
/// chart has no dependencies; neither has what can't be read: a change that breaks it lies inside the folder itself.
#[must_use]
pub fn read<'a>(root: &Path, folders: impl IntoIterator<Item = &'a str>) -> Dependencies {
    let mut direct: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let folders: BTreeSet<String> = folders.into_iter().map(normal).collect();
    let mut queue: Vec<String> = folders.iter().cloned().collect();
    while let Some(folder) = queue.pop() {
        if direct.contains_key(&folder) {
            continue;
        }
        let read = references(root, &folder);
        queue.extend(read.iter().cloned());
        direct.insert(folder, read);
    }
    folders.into_iter().map(|folder| (closure(&folder, &direct), folder)).filter_map(non_empty).collect()
}

fn non_empty((reads, folder): (Vec<String>, String)) -> Option<(String, Vec<String>)> {
    (!reads.is_empty()).then_some((folder, reads))
}

/// Everything that can be reached from `folder` and does not lie inside it, or inside a folder that is named already.
fn closure(folder: &str, direct: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut reached = BTreeSet::new();
    let mut queue = vec![folder];
    while let Some(from) = queue.pop() {
        for path in direct.get(from).into_iter().flatten() {
            if reached.insert(path.as_str()) {
                queue.push(path);
            }
        }
    }
    let mut outside: Vec<String> = Vec::new();
    for path in reached.into_iter().filter(|path| !is_below(path, folder)) {
        if !outside.iter().any(|named| is_below(path, named)) {
            outside.push(path.to_owned());
        }
    }
    outside
}

/// What one folder's kustomization refers to: files and folders outside, whether they exist or not, and folders inside.
fn references(root: &Path, folder: &str) -> BTreeSet<String> {
    let mut names = kustomize::FILE_NAMES.into_iter().chain([CHART]);
    let Some(text) = names.find_map(|name| std::fs::read_to_string(root.join(folder).join(name)).ok()) else {
        return BTreeSet::new();
    };
    let texts = kustomize::mentioned(&text);
    let local = texts.iter().map(|text| text.strip_prefix(BESIDE).unwrap_or(text)).filter(|text| is_local(text));
    let paths = local.map(|text| join(folder, text));
    paths.filter(|path| path != folder && (!is_below(path, folder) || root.join(path).is_dir())).collect()
}

/// Whether a text may be a path in this repository: not a URL, not absolute (kustomize refuses those).
fn is_local(text: &str) -> bool {
    !text.is_empty() && !text.contains("://") && !text.starts_with('/')
}

fn is_below(path: &str, folder: &str) -> bool {
    let inside = path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    path == folder || inside || (folder.is_empty() && path.split('/').next() != Some(".."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OperatorStep;
    use crate::plan::testing::World;

    fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn bases_patches_components_and_generators_are_followed() {
        let root = repository(&[
            (
                "overlays/a/kustomization.yaml",
                "resources: [../../base, sub]\npatches: [{path: ../patches/p.yaml}]\ncomponents: [../../components/c]\n\
                 configMapGenerator: [{name: x, files: [conf=../../conf/x.ini]}]\n",
            ),
            ("overlays/a/sub/kustomization.yml", "resources: [../../../other]\n"),
            ("base/kustomization.yaml", "resources: [x.yaml, ../crds]\n"),
            ("crds/Kustomization", "resources: [crd.yaml]\n"),
        ]);
        let found = read(root.path(), ["overlays/a/"]);
        let expected =
            ["base", "components/c", "conf/x.ini", "crds", "other", "overlays/patches/p.yaml"].map(str::to_owned);
        assert_eq!(found, Dependencies::from([("overlays/a".to_owned(), expected.to_vec())]));
    }

    #[test]
    fn a_chart_builds_on_the_charts_beside_it() {
        let root = repository(&[(
            "charts/a/Chart.yaml",
            "name: a\ndependencies:\n- {name: common, repository: 'file://../common'}\n- {name: x, repository: 'https://x.example'}\n",
        )]);
        assert_eq!(read(root.path(), ["charts/a"])["charts/a"], ["charts/common"]);
    }

    #[test]
    fn the_folders_of_examples_and_of_the_config_are_read() {
        let root = repository(&[
            ("examples/k/kustomization.yaml", "resources: [../../base]\n"),
            ("operator/kustomization.yaml", "resources: [../crds]\n"),
        ]);
        let mut world = World::jobs(&["examples/k"]);
        world.example("examples/k").kind = ExampleKind::Kustomize;
        let step = OperatorStep::Kustomize { path: root.path().join("operator"), images: BTreeMap::new() };
        world.config.operator = vec![step];
        let found = read_all(root.path(), &world.catalog, &world.config);
        assert_eq!(found["examples/k"], ["base"]);
        assert_eq!(found["operator"], ["crds"]);
    }

    #[test]
    fn circles_and_remote_bases_end() {
        let root = repository(&[
            ("a/kustomization.yaml", "resources: [../b, 'https://github.com/org/x//base?ref=v1']\n"),
            ("b/kustomization.yaml", "resources: [../a]\n"),
        ]);
        assert_eq!(
            read(root.path(), ["a", "b"]),
            Dependencies::from([("a".to_owned(), vec!["b".to_owned()]), ("b".to_owned(), vec!["a".to_owned()])])
        );
    }

    #[test]
    fn what_lies_inside_or_is_no_kustomize_folder_adds_nothing() {
        let root = repository(&[
            ("a/kustomization.yaml", "namespace: kubeflow\nresources: [x.yaml]\nimages: [{name: org/x, newTag: v1}]\n"),
            ("b/x.yaml", "kind: Pod\n"),
            ("c/kustomization.yaml", "resources: [\n"),
        ]);
        assert_eq!(read(root.path(), ["a", "b", "c", "missing"]), Dependencies::new());
    }

    #[test]
    fn kubeflows_overlays_are_followed_to_their_base() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/kubeflow-v1");
        if !root.exists() {
            println!("skipped: there is no {}", root.display());
            return;
        }
        let overlay = "manifests/overlays/standalone";
        let found = read(&root, [overlay]);
        assert_eq!(found[overlay], ["manifests/base"]);
    }
}
