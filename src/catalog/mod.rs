//! The catalog: from the files of a repository to its examples.
//!
//! Files are found (`walk`) by the entries of the config (`rules`), read in parallel (`read`, `objects`) with
//! the settings that they carry themselves (`comment`), told apart (`judge`, `needs`) and summed up (`resources`).

mod comment;
pub mod init;
mod judge;
mod load;
mod needs;
mod objects;
mod paths;
mod read;
mod resources;
mod rules;
pub mod survey;
#[cfg(test)]
mod tests;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use objects::objects;
pub use objects::objects_of;
pub use resources::pod_request;

use crate::config::{Check, Config, Quarantine, Resources, Run};
use crate::diagnostic::{Diagnostic, Source};
use crate::error::Result;
use crate::framework::{Framework, Frameworks};
use crate::model::{ExampleId, Expect, Tier};
use crate::yaml::{Node, Span};

/// Most examples of one run.
pub const MAX_EXAMPLES: usize = 10_000;

/// The examples of a repository, ordered by id.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Every example, support files too, ordered by id.
    pub examples: Vec<Example>,
    /// What concerns no single example: entries and paths that match nothing, links in circles.
    pub diagnostics: Vec<Diagnostic>,
}

impl Catalog {
    /// The example of this id.
    #[must_use]
    pub fn get(&self, id: &ExampleId) -> Option<&Example> {
        let place = self.examples.binary_search_by(|example| example.id.cmp(id)).ok()?;
        self.examples.get(place)
    }
}

/// What flags and inputs say about examples; it goes before everything else.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// PATHS: where to look instead of the config's `examples`, relative to the current directory or the root.
    pub paths: Vec<PathBuf>,
    /// `--examples`: globs over ids; what none of them means is left out, unless it is needed.
    pub examples: Vec<String>,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--retries`.
    pub retries: Option<u32>,
}

/// Finds and reads the examples of the repository at `root`.
///
/// # Errors
/// The user's mistakes that keep it from looking: a path that does not exist, a glob that is none, more examples than one
/// run takes ([`Error::Usage`](crate::error::Error::Usage)). Whatever is wrong with an example is a diagnostic of that example.
pub fn load(root: &Path, config: &Config, overrides: &Overrides, frameworks: &Frameworks) -> Result<Catalog> {
    load::load(root, config, overrides, frameworks)
}

/// The word among `known` that `word` was probably meant to be.
fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|other| (strsim::normalized_damerau_levenshtein(word, other), other));
    scored.filter(|(score, _)| *score >= 0.6).max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, other)| other)
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

impl Example {
    /// What kept a kustomize folder from being rendered though the folder is not at fault: kubectl is missing, or took too
    /// long. Such an example can't be judged.
    #[must_use]
    pub fn unrendered(&self) -> Option<&Diagnostic> {
        let is_whole = |found: &Diagnostic| found.location.as_ref().is_some_and(|at| at.span == Span::default());
        let tool = |found: &&Diagnostic| found.code.is_none() && is_whole(found);
        let is_empty = self.kind == ExampleKind::Kustomize && self.objects.is_empty();
        self.diagnostics.iter().find(tool).filter(|_| is_empty)
    }
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
