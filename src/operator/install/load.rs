//! The objects of a step, from its files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::super::installed::Reference;
use super::super::offline::{Offline, read_paths};
use super::failed;
use crate::catalog::{Object, objects};
use crate::diagnostic::{Diagnostic, Source};
use crate::image::replace::Replacements;
use crate::kustomize;
use crate::model::Cause;
use crate::trial::isolate::IsolatedObject;
use crate::yaml;

/// The namespace of what sets none, as kubectl has it.
const DEFAULT_NAMESPACE: &str = "default";

/// An object of a step.
#[derive(Debug)]
pub(in super::super) struct Item {
    /// The object as it stands in its source.
    pub object: Object,
    /// Its source.
    pub source: Arc<Source>,
    /// What is applied: the same with its images replaced.
    pub json: Json,
    /// Whether it is there already just so, not ours, and stays as it is.
    pub stays: bool,
}

impl Item {
    /// Its names, as far as they are known without a cluster: the kinds that count here are known to live in none.
    pub(in super::super) fn reference(&self) -> Reference {
        let reference = Reference::in_manifest(&self.object, Some(DEFAULT_NAMESPACE));
        let is_whole = reference.is_webhook_configuration() || reference.is_definition();
        if is_whole { Reference { namespace: None, ..reference } } else { reference }
    }

    /// The same for the table of what answers mean, which finds the place in the source.
    pub(super) fn placed(&self) -> IsolatedObject<'_> {
        IsolatedObject {
            object: &self.object,
            source: &self.source,
            indices: Vec::new(),
            json: Json::Null,
            cluster_scoped: false,
        }
    }

    /// What is applied: in its namespace, or in none.
    pub(super) fn body(&self, namespaced: bool) -> (Json, Option<String>) {
        let namespace = self.object.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        let namespace = namespaced.then_some(namespace);
        let mut body = self.json.clone();
        if let Some(metadata) = body.get_mut("metadata").and_then(Json::as_object_mut) {
            match &namespace {
                Some(namespace) => drop(metadata.insert("namespace".to_owned(), json!(namespace))),
                None => drop(metadata.shift_remove("namespace")),
            }
        }
        (body, namespace)
    }
}

/// What a kustomize folder renders to.
pub(super) async fn kustomize(root: &Path, path: &Path, replacements: &Replacements) -> Result<Vec<Item>, Box<Cause>> {
    let folder = root.join(path);
    let rendered = tokio::task::spawn_blocking(move || kustomize::render(&folder)).await;
    let shown = path.display().to_string();
    let why = match rendered {
        Ok(Ok(text)) => return items(&[Source::new(shown, text)], replacements),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    let hint = "`kubectl kustomize` of this folder has to work on this machine";
    Err(failed("RenderFailed", format!("the operator's step `{shown}` can't be rendered: {why}"), hint, shown, 0)
        .into())
}

/// What files and folders hold.
pub(super) fn manifests(root: &Path, paths: &[PathBuf], replacements: &Replacements) -> Result<Vec<Item>, Box<Cause>> {
    let Offline { sources, diagnostics, .. } = read_paths(root, paths);
    if let Some(found) = diagnostics.first() {
        let message = format!("a manifest of the operator is missing: {}", found.message);
        return Err(failed("ManifestMissing", message, "correct the path in `operator`", String::new(), 0).into());
    }
    items(&sources, replacements)
}

fn items(sources: &[Arc<Source>], replacements: &Replacements) -> Result<Vec<Item>, Box<Cause>> {
    let mut items = Vec::new();
    for source in sources {
        let parsed = yaml::parse(&source.text);
        if let Some(error) = parsed.errors.first() {
            let line = source.position(error.span.start).0;
            let message = format!("a manifest of the operator can't be read: {}", error.message);
            return Err(failed("InvalidManifest", message, "", source.path.clone(), line).into());
        }
        let (found, diagnostics) = objects(parsed.documents, source);
        if let Some(found) = diagnostics.first() {
            return Err(no_object(found).into());
        }
        for object in found {
            let mut json = object.root.to_json();
            replacements.apply(&mut json);
            items.push(Item { object, source: Arc::clone(source), json, stays: false });
        }
    }
    Ok(items)
}

fn no_object(found: &Diagnostic) -> Cause {
    let (file, line) = found.position().map_or((String::new(), 0), |(file, line, _)| (file.to_owned(), line));
    let message = format!("a manifest of the operator is {}", found.message);
    failed("InvalidManifest", message, found.help.as_deref().unwrap_or_default(), file, line)
}
