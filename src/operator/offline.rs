//! What the operator's steps and the CRD paths bring, found without a cluster.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::OperatorStep;
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::kustomize;

/// The texts of the operator's steps.
#[derive(Debug, Default)]
pub struct Offline {
    /// Manifests, one or many documents each.
    pub sources: Vec<Arc<Source>>,
    /// Whether every step could be read: a Helm chart's templates can't, without Helm.
    pub complete: bool,
    /// What could not be read, as warnings: the examples can still be judged, with less knowledge.
    pub diagnostics: Vec<Diagnostic>,
}

/// What the steps bring: kustomize folders as `kubectl kustomize` renders them, manifests as they are, of a Helm chart the
/// `crds` folder.
#[must_use]
pub fn offline(root: &Path, steps: &[OperatorStep]) -> Offline {
    let mut found = Offline { complete: true, ..Offline::default() };
    for step in steps {
        match step {
            OperatorStep::Kustomize { path, .. } => found.render(root, path),
            OperatorStep::Manifests { paths, .. } => paths.iter().for_each(|path| found.read(root, path)),
            OperatorStep::Helm { chart, .. } => {
                found.complete = false;
                let crds = Path::new(chart).join("crds");
                if root.join(&crds).is_dir() {
                    found.read(root, &crds);
                }
            }
        }
    }
    found
}

/// The texts that may hold CRDs below `paths`: files, every manifest of a folder, and kustomize folders that hold no CRD
/// themselves as they render. The patches of a kustomize folder (kubebuilder's `config/crd/patches`) are no CRDs.
#[must_use]
pub fn crds(root: &Path, paths: &[PathBuf]) -> Offline {
    let mut found = Offline { complete: true, ..Offline::default() };
    for path in paths {
        let before = found.sources.len();
        found.read(root, path);
        let is_kustomize = kustomize::FILE_NAMES.iter().any(|name| root.join(path).join(name).is_file());
        if is_kustomize {
            let read = found.sources.split_off(before);
            found.sources.extend(read.into_iter().filter(|source| !is_patch_of_crd(&source.text)));
        }
        let holds_crds = found.sources[before..].iter().any(|source| source.text.contains("CustomResourceDefinition"));
        if !holds_crds && is_kustomize {
            found.sources.truncate(before);
            found.render(root, path);
        }
    }
    found
}

/// The texts of files, and of every manifest of folders.
pub(super) fn read_paths(root: &Path, paths: &[PathBuf]) -> Offline {
    let mut found = Offline { complete: true, ..Offline::default() };
    for path in paths {
        found.read(root, path);
    }
    found
}

impl Offline {
    fn render(&mut self, root: &Path, path: &Path) {
        match kustomize::render(&root.join(path)) {
            Ok(text) => self.sources.push(Source::new(path.display().to_string(), text)),
            Err(error) => self.warn(format!("{}: {error}", path.display())),
        }
    }

    /// A file, or every manifest below a folder in the order of their paths.
    fn read(&mut self, root: &Path, path: &Path) {
        let full = root.join(path);
        if !full.is_dir() {
            return self.read_file(&full, path);
        }
        let walk = ignore::WalkBuilder::new(&full).standard_filters(false).sort_by_file_path(Ord::cmp).build();
        for entry in walk.flatten().filter(|entry| is_manifest(entry.path()) && entry.path().is_file()) {
            let shown = entry.path().strip_prefix(root).unwrap_or(entry.path()).to_owned();
            self.read_file(entry.path(), &shown);
        }
    }

    fn read_file(&mut self, full: &Path, shown: &Path) {
        match std::fs::read_to_string(full) {
            Ok(text) => self.sources.push(Source::new(shown.display().to_string(), text)),
            Err(error) => self.warn(format!("can't read {}: {error}", shown.display())),
        }
    }

    fn warn(&mut self, message: String) {
        self.complete = false;
        self.diagnostics.push(
            Diagnostic::error(message)
                .with_severity(Severity::Warning)
                .with_help("its CRDs and objects are not known to the checks of this run"),
        );
    }
}

/// Whether a file of a kustomize folder only adds to CRDs: it has no `versions`, which every CRD has.
fn is_patch_of_crd(text: &str) -> bool {
    text.contains("CustomResourceDefinition") && !text.contains("versions")
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
    let is_kustomization = path.file_name().and_then(std::ffi::OsStr::to_str).is_some_and(kustomize::is_kustomization);
    matches!(extension, "yaml" | "yml" | "json") && !is_kustomization
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patches_of_a_kustomize_folder_are_no_crds() {
        let root = tempfile::tempdir().unwrap();
        let crd = "kind: CustomResourceDefinition\n";
        write(root.path(), "crd/kustomization.yaml", "resources: [bases/a.yaml]\n");
        write(root.path(), "crd/bases/a.yaml", &format!("{crd}spec: {{versions: []}}\n"));
        write(root.path(), "crd/patches/ca.yaml", &format!("{crd}metadata: {{annotations: {{a: b}}}}\n"));
        let names = |path: &str| {
            let found = crds(root.path(), &[PathBuf::from(path)]);
            found.sources.iter().map(|source| source.path.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names("crd"), ["crd/bases/a.yaml"]);
        assert_eq!(names("crd/patches"), ["crd/patches/ca.yaml"]);
    }

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    const CRD: &str = "kind: CustomResourceDefinition\nspec: {versions: []}\n";

    #[test]
    fn a_folder_brings_every_manifest_below_it_in_order() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "crds/b.yaml", CRD);
        write(root.path(), "crds/a/a.yml", CRD);
        write(root.path(), "crds/kustomization.yaml", "resources: [b.yaml]\n");
        write(root.path(), "crds/notes.txt", "no manifest");
        let found = crds(root.path(), &["crds".into()]);
        let paths: Vec<_> = found.sources.iter().map(|source| source.path.as_str()).collect();
        assert_eq!(paths, ["crds/a/a.yml", "crds/b.yaml"]);
        assert!(found.complete);
    }

    #[test]
    fn a_path_that_is_not_there_is_a_warning_that_names_it() {
        let root = tempfile::tempdir().unwrap();
        let found = crds(root.path(), &["nowhere".into()]);
        assert!(!found.complete);
        assert!(found.diagnostics[0].message.contains("nowhere"), "{:?}", found.diagnostics);
    }

    #[test]
    fn a_chart_brings_its_crds_and_is_not_complete() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "charts/op/crds/crd.yaml", CRD);
        let step = OperatorStep::Helm {
            chart: "charts/op".to_owned(),
            release: "op".to_owned(),
            namespace: "op".to_owned(),
            values: Vec::new(),
            set: std::collections::BTreeMap::new(),
            images: std::collections::BTreeMap::new(),
        };
        let found = offline(root.path(), &[step]);
        assert_eq!((found.sources.len(), found.complete), (1, false));
    }
}
