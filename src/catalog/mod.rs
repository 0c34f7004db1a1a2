//! The catalog: from the files of a repository to its examples.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Check, Quarantine, Resources, Run};
use crate::diagnostic::{Diagnostic, Source};
use crate::framework::Framework;
use crate::model::{ExampleId, Expect, Tier};
use crate::yaml::Node;

/// The examples of a repository, ordered by id.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Every example, support files too, ordered by id.
    pub examples: Vec<Example>,
}

/// What a user of the project would apply or run.
#[derive(Clone, Debug)]
pub struct Example {
    /// Its path from the root.
    pub id: ExampleId,
    /// What it is.
    pub kind: ExampleKind,
    /// The file (or kustomize folder) on disk.
    pub path: PathBuf,
    /// The text that spans and diagnostics point into; for a kustomize folder what it rendered to.
    pub source: Arc<Source>,
    /// Its objects, in the order of the source, the items of a `List` in its place.
    pub objects: Vec<Object>,
    /// What was wrong while it was read (`EV101` to `EV104`), settings of the comment line included.
    pub diagnostics: Vec<Diagnostic>,
    /// The framework of its first judged object.
    pub framework: Option<Arc<Framework>>,
    /// Indices into `objects` of those that are judged.
    pub judged: Vec<usize>,
    /// What holds for it, merged in the order of strength.
    pub settings: ExampleSettings,
}

/// The three forms of an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExampleKind {
    /// A YAML or JSON file.
    Manifest,
    /// A kustomize directory.
    Kustomize,
    /// A script or a notebook.
    Script,
}

/// One Kubernetes object of an example.
#[derive(Clone, Debug)]
pub struct Object {
    /// `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// Its name, or its `generateName`; empty if it has none.
    pub name: String,
    /// The namespace that the manifest sets.
    pub namespace: Option<String>,
    /// The whole object.
    pub root: Node,
}

impl Object {
    /// The API group: `apps`, empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// The API version without its group: `v1`.
    #[must_use]
    pub fn version(&self) -> &str {
        self.api_version.split_once('/').map_or(self.api_version.as_str(), |(_, version)| version)
    }

    /// `Kind/name`, as reports name objects.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// What holds for an example, after flag or input, comment line, config, framework and default were merged.
#[derive(Clone, Debug)]
pub struct ExampleSettings {
    /// The tier up to which it is taken.
    pub tier: Tier,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// Tries after the first.
    pub retries: u32,
    /// What it has to do to pass.
    pub expect: Expect,
    /// The examples that are applied first.
    pub needs: Vec<ExampleId>,
    /// What it requests of the nodes, summed over its pods or as configured.
    pub resources: Resources,
    /// A support file: no judged object, or named in some `needs`, or marked.
    pub support: bool,
    /// Chosen for its framework instead of the cheapest.
    pub representative: bool,
    /// Runs and is reported, but does not fail the run.
    pub quarantine: Option<Quarantine>,
    /// What must hold besides its success.
    pub checks: Vec<Check>,
    /// How a script example is run.
    pub run: Option<Run>,
}
