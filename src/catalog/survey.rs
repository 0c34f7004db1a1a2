//! What a repository has that `init` can build on: examples, CRDs, operators, images.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;

use super::paths::Root;
use super::{judge, read, walk};
use crate::error::{Error, Result};
use crate::framework::Frameworks;
use crate::kustomize::is_kustomization;
use crate::pod_template::pod_templates;
use crate::yaml::Node;

/// Folder names that hold examples.
const EXAMPLE_FOLDERS: [&str; 5] = ["examples", "example", "samples", "demo", "demos"];

/// Names of kustomize folders that deploy an operator, the best first.
const OVERLAYS: [&str; 6] = ["standalone", "manager", "default", "kind", "dev", "kubeflow"];

/// What was found in a repository, each list in the order of usefulness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Folders with examples.
    pub examples: Vec<ExampleFolder>,
    /// Folders with CustomResourceDefinitions.
    pub crds: Vec<String>,
    /// Kustomize folders that deploy something, the likeliest operator first.
    pub overlays: Vec<String>,
    /// Helm charts.
    pub charts: Vec<String>,
    /// Images that can be built from the repository.
    pub images: Vec<Image>,
    /// The default branch.
    pub branch: String,
    /// Files of `init` that exist already.
    pub existing: Vec<String>,
}

/// A folder with examples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExampleFolder {
    /// Its path from the root.
    pub path: String,
    /// Files with manifests.
    pub manifests: usize,
    /// How many of them each framework judges.
    pub frameworks: BTreeMap<String, usize>,
    /// Endings of scripts and notebooks that are there: `sh`, `ipynb`.
    pub scripts: BTreeSet<String>,
}

/// An image that the repository can build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The build context, relative to the root.
    pub context: String,
    /// The Dockerfile, relative to the context.
    pub dockerfile: String,
    /// The name that manifests beside it use, if there is just one.
    pub name: Option<String>,
}

/// A file of the repository: its id, split at the slashes, and its place.
struct File<'a> {
    id: &'a str,
    folder: &'a str,
    name: &'a str,
    path: &'a Path,
}

impl File<'_> {
    /// What its name ends in: `yaml`.
    fn ending(&self) -> &str {
        self.path.extension().and_then(|ending| ending.to_str()).unwrap_or_default()
    }
}

/// Looks through the repository at `root`. Nothing is run, and nothing is written.
///
/// # Errors
/// The current directory cannot be told.
pub fn survey(root: &Path, frameworks: &Frameworks) -> Result<Survey> {
    let place = Root::new(root).map_err(|error| Error::io("find", root, error))?;
    let mut seen = walk::files(&place, root);
    seen.sort();
    let files: Vec<File<'_>> = seen
        .iter()
        .map(|(id, path)| {
            let (folder, name) = id.rsplit_once('/').unwrap_or((".", id));
            File { id, folder, name, path }
        })
        .collect();
    let (inside, outside): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| example_folder(file.id).is_some());
    let existing = super::init::FILES.into_iter().filter(|file| root.join(file).exists()).map(str::to_owned).collect();
    Ok(Survey {
        examples: examples(&inside, frameworks),
        crds: crds(&outside),
        overlays: overlays(&outside),
        charts: folders(&outside, |file| file.name == "Chart.yaml" && !file.folder.contains("/charts/")),
        images: inside.iter().filter_map(|file| image(file, &inside)).collect(),
        branch: default_branch(root),
        existing,
    })
}

/// The folder of examples that a file lies in: the first of its folders with such a name.
fn example_folder(id: &str) -> Option<&str> {
    let mut end = 0;
    for part in id.split('/') {
        end += part.len();
        if end < id.len() && EXAMPLE_FOLDERS.contains(&part) {
            return Some(&id[..end]);
        }
        end += 1;
    }
    None
}

/// The folders of examples that hold something to judge, the largest first.
fn examples(files: &[File<'_>], frameworks: &Frameworks) -> Vec<ExampleFolder> {
    let manifest = |file: &File<'_>| {
        let known = ["yaml", "yml", "json"].contains(&file.ending());
        let draft = if known { read::manifest(file.id, file.path, false) } else { None }?;
        Some(judge::judged(&draft.objects, frameworks).first().map(|(_, framework)| framework.name.clone()))
    };
    let read: Vec<_> = files.par_iter().map(|file| (file, manifest(file))).collect();
    let mut folders: BTreeMap<&str, ExampleFolder> = BTreeMap::new();
    for (file, manifest) in read {
        let Some(path) = example_folder(file.id) else { continue };
        let folder = folders.entry(path).or_default();
        path.clone_into(&mut folder.path);
        if let Some(judged) = manifest {
            folder.manifests += 1;
            if let Some(framework) = judged {
                *folder.frameworks.entry(framework).or_default() += 1;
            }
        }
        if let Some(ending) = ["sh", "ipynb"].into_iter().find(|ending| *ending == file.ending()) {
            folder.scripts.insert(ending.to_owned());
        }
    }
    let mut found: Vec<_> = folders.into_values().filter(|folder| !folder.frameworks.is_empty()).collect();
    found.sort_by_key(|folder| std::cmp::Reverse(folder.manifests));
    found
}

/// The folders that hold CRDs; a folder within another that does is left to it.
fn crds(files: &[File<'_>]) -> Vec<String> {
    let yaml: Vec<&File<'_>> = files.iter().filter(|file| ["yaml", "yml"].contains(&file.ending())).collect();
    let defines = |file: &&&File<'_>| {
        let small = file.path.metadata().is_ok_and(|found| found.len() <= crate::yaml::MAX_BYTES as u64);
        let text = if small { std::fs::read_to_string(file.path).unwrap_or_default() } else { String::new() };
        text.lines().any(|line| line.trim_end() == "kind: CustomResourceDefinition")
    };
    let found: BTreeSet<&str> = yaml.par_iter().filter(defines).map(|file| file.folder).collect();
    let covered = |folder: &str| found.iter().any(|other| *other != folder && folder.starts_with(&format!("{other}/")));
    // Test data and copies of other projects' CRDs are no source of schemas.
    let foreign = |folder: &str| {
        folder
            .split('/')
            .any(|part| ["vendor", "testdata", "test", "tests", "third_party", "node_modules"].contains(&part))
    };
    found.iter().filter(|folder| !covered(folder) && !foreign(folder)).map(|folder| (*folder).to_owned()).collect()
}

/// Kustomize folders below `overlays`, and kubebuilder's `config/default`, the likeliest operator first.
fn overlays(files: &[File<'_>]) -> Vec<String> {
    let mut found = folders(files, |file| {
        let parts: Vec<_> = file.folder.split('/').collect();
        is_kustomization(file.name) && (parts.contains(&"overlays") || file.folder.ends_with("config/default"))
    });
    found.sort_by_key(|folder| {
        let name = folder.rsplit('/').next().unwrap_or_default();
        (OVERLAYS.iter().position(|known| *known == name).unwrap_or(OVERLAYS.len()), folder.clone())
    });
    found
}

fn folders(files: &[File<'_>], wanted: impl Fn(&File<'_>) -> bool) -> Vec<String> {
    let found: BTreeSet<_> = files.iter().filter(|file| wanted(file)).map(|file| file.folder.to_owned()).collect();
    found.into_iter().collect()
}

/// The image that a Dockerfile builds, named as the manifests of its folder name theirs.
fn image(dockerfile: &File<'_>, files: &[File<'_>]) -> Option<Image> {
    if dockerfile.name != "Dockerfile" && !dockerfile.name.starts_with("Dockerfile.") {
        return None;
    }
    let beside = files
        .iter()
        .filter(|file| file.folder == dockerfile.folder || file.folder.starts_with(&format!("{}/", dockerfile.folder)));
    let mut names = BTreeSet::new();
    for draft in beside
        .filter(|file| ["yaml", "yml"].contains(&file.ending()))
        .filter_map(|file| read::manifest(file.id, file.path, false))
    {
        for object in &draft.objects {
            let pods = pod_templates(&object.root);
            let images = pods.iter().flat_map(|pod| pod.containers().filter_map(|container| container.get("image")));
            names.extend(images.filter_map(Node::as_str).map(repository).map(str::to_owned));
        }
    }
    Some(Image {
        context: dockerfile.folder.to_owned(),
        dockerfile: dockerfile.name.to_owned(),
        name: names.pop_first().filter(|_| names.is_empty()),
    })
}

/// An image reference without its tag and digest.
fn repository(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    match name.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') => before,
        _ => name,
    }
}

/// What the remote calls its default branch, as a clone records it; `main` if nothing is recorded.
fn default_branch(root: &Path) -> String {
    let head = std::fs::read_to_string(root.join(".git/refs/remotes/origin/HEAD")).unwrap_or_default();
    let branch = head.trim().strip_prefix("ref: refs/remotes/origin/").unwrap_or_default();
    if branch.is_empty() { "main".to_owned() } else { branch.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const JOB: &str =
        "apiVersion: batch/v1\nkind: Job\nspec: {template: {spec: {containers: [{image: 'org/mnist:v1'}]}}}\n";

    #[test]
    fn a_repository_is_surveyed_without_running_anything() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("examples/mnist/job.yaml", JOB),
            ("examples/mnist/Dockerfile", "FROM scratch\n"),
            ("examples/run.sh", "true\n"),
            ("examples/values.yaml", "a: 1\n"),
            ("docs/samples/job.yaml", JOB),
            ("docs/demo/readme.md", ""),
            ("config/crd/bases/x.yaml", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"),
            ("config/default/kustomization.yaml", "resources: [../crd]\n"),
            ("vendor/crds/x.yaml", "kind: CustomResourceDefinition\n"),
            ("manifests/overlays/kubeflow/kustomization.yaml", ""),
            ("manifests/overlays/standalone/kustomization.yaml", ""),
            ("charts/trainer/Chart.yaml", "name: trainer\n"),
            (".git/refs/remotes/origin/HEAD", "ref: refs/remotes/origin/master\n"),
            (".github/example-validator.yml", "version: 1\n"),
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found = survey(dir.path(), &Frameworks::default()).unwrap();
        let paths: Vec<_> = found.examples.iter().map(|folder| (folder.path.as_str(), folder.manifests)).collect();
        assert_eq!(paths, [("docs/samples", 1), ("examples", 1)]);
        assert_eq!(found.examples[1].frameworks, [("job".to_owned(), 1)].into());
        assert_eq!(found.examples[1].scripts, ["sh".to_owned()].into());
        assert_eq!(found.crds, ["config/crd/bases"]);
        assert_eq!(found.overlays, ["manifests/overlays/standalone", "config/default", "manifests/overlays/kubeflow"]);
        assert_eq!(found.charts, ["charts/trainer"]);
        let image =
            Image { context: "examples/mnist".into(), dockerfile: "Dockerfile".into(), name: Some("org/mnist".into()) };
        assert_eq!(found.images, [image]);
        assert_eq!(found.branch, "master");
        assert_eq!(found.existing, [".github/example-validator.yml"]);
    }

    #[test]
    fn image_names_lose_their_tag_and_digest_but_not_their_port() {
        for (reference, expected) in
            [("a/b:v1", "a/b"), ("host:5000/a", "host:5000/a"), ("host:5000/a:v1@sha256:0", "host:5000/a"), ("a", "a")]
        {
            assert_eq!(repository(reference), expected);
        }
    }
}
