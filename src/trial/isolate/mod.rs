//! Isolation: how the objects of an example, and of what it needs, become objects of one namespace. Pure.
//!
//! Whatever namespaces the manifests set, every namespaced object goes into the attempt's own; what refers to an object
//! of the example by its namespace follows it there ([`references`]), Services' DNS names too ([`dns`]). Objects of the whole cluster
//! keep their names and are labelled, so that they are known as ours.

mod admission;
mod dns;
mod home;
mod locks;
mod names;
mod order;
mod references;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::catalog::{Catalog, Example, Object};
use crate::diagnostic::Source;
use crate::lint::isolation::is_cluster_scoped;
use crate::model::{Cause, CauseClass, ExampleId};
use crate::yaml::{Node, Span};

use home::Home;
pub(in crate::trial) use locks::clashes;
pub use locks::lock_keys;
pub use names::{label_value, namespace_name};
pub(crate) use order::rank;
use references::Moved;

/// The label of everything of ours, unless a manifest sets it to something else.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The label with the run, by which leftovers are found.
pub const RUN: &str = "example-validator.dev/run";
/// The label with a short form of the example's id, and the annotation with all of it.
pub const EXAMPLE: &str = "example-validator.dev/example";
/// The annotation with the number of the attempt, from 1.
pub const ATTEMPT: &str = "example-validator.dev/attempt";
/// The annotation with the attempt's namespace, on objects of the whole cluster.
pub const NAMESPACE: &str = "example-validator.dev/namespace";
/// The label by which an object whose name the server makes up is found again.
pub const OBJECT: &str = "example-validator.dev/object";

/// Whose objects they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The run.
    pub run: &'a str,
    /// The example.
    pub example: &'a ExampleId,
    /// The Kubernetes version, where the plan names one.
    pub kubernetes: Option<&'a str>,
    /// The number of the attempt, from 1.
    pub attempt: u32,
}

impl Identity<'_> {
    /// The attempt's namespace.
    #[must_use]
    pub fn namespace(&self) -> String {
        namespace_name(self.example, self.kubernetes, self.run, self.attempt)
    }

    /// The labels of everything of the attempt.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        let slug = names::slug(self.example.as_str());
        [(MANAGED_BY, "example-validator".to_owned()), (RUN, label_value(self.run)), (EXAMPLE, slug)]
            .map(|(key, value)| (key.to_owned(), value))
            .into()
    }

    /// The annotations of everything of the attempt.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let attempt = self.attempt.to_string();
        [(EXAMPLE, self.example.as_str().to_owned()), (ATTEMPT, attempt), (NAMESPACE, self.namespace())]
            .map(|(key, value)| (key.to_owned(), value))
            .into()
    }
}

/// Whether kinds live in namespaces, as far as that is known.
#[derive(Clone, Debug, Default)]
pub struct Scopes(HashMap<String, HashMap<String, bool>>);

impl Scopes {
    /// Notes a kind of an `apiVersion`.
    pub fn insert(&mut self, api_version: &str, kind: &str, namespaced: bool) {
        self.0.entry(api_version.to_owned()).or_default().insert(kind.to_owned(), namespaced);
    }

    /// Whether the object's kind lives in namespaces; `None` if that is not known.
    #[must_use]
    pub fn namespaced(&self, object: &Object) -> Option<bool> {
        self.0.get(&object.api_version)?.get(&object.kind).copied()
    }

    /// Adds the kinds that CRDs among `objects` are about to define.
    fn with_definitions<'a>(mut self, objects: impl Iterator<Item = &'a Object>) -> Self {
        for object in objects.filter(|object| is_definition(object)) {
            let text = |keys: &[&str]| object.root.at(keys).and_then(Node::as_str);
            let (group, kind) = (text(&["spec", "group"]), text(&["spec", "names", "kind"]));
            let (Some(group), Some(kind)) = (group, kind) else { continue };
            let namespaced = text(&["spec", "scope"]) != Some("Cluster");
            let versions = object.root.at(&["spec", "versions"]).into_iter().flat_map(Node::items);
            for version in versions.filter_map(|version| version.get("name")?.as_str()) {
                self.insert(&format!("{group}/{version}"), kind, namespaced);
            }
        }
        self
    }

    fn is_cluster_scoped(&self, object: &Object) -> bool {
        is_cluster_scoped(object, self.namespaced(object))
    }
}

/// Whether this is a `CustomResourceDefinition`.
#[must_use]
pub fn is_definition(object: &Object) -> bool {
    object.kind == "CustomResourceDefinition" && object.group() == "apiextensions.k8s.io"
}

fn is_namespace(object: &Object) -> bool {
    object.kind == "Namespace" && object.api_version == "v1"
}

/// The examples that `example` needs, directly or not, each after those that it needs itself.
#[must_use]
pub fn needs<'a>(example: &'a Example, catalog: &'a Catalog) -> Vec<&'a Example> {
    fn visit<'a>(
        example: &'a Example,
        catalog: &'a Catalog,
        seen: &mut BTreeSet<&'a ExampleId>,
        found: &mut Vec<&'a Example>,
    ) {
        for need in &example.settings.needs {
            let Ok(at) = catalog.examples.binary_search_by(|other| other.id.cmp(need)) else { continue };
            if seen.insert(need) {
                visit(&catalog.examples[at], catalog, seen, found);
                found.push(&catalog.examples[at]);
            }
        }
    }
    let mut found = Vec::new();
    visit(example, catalog, &mut BTreeSet::from([&example.id]), &mut found);
    found
}

/// Something that a person who reads the evidence should know of the isolation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What was done, or not done.
    pub message: String,
    /// The file.
    pub file: String,
    /// The line in it, from 1.
    pub line: u32,
}

impl Note {
    fn new(message: String, source: &Source, span: Span) -> Self {
        Self { message, file: source.path.clone(), line: source.position(span.start).0 }
    }
}

/// One object as it is applied.
#[derive(Clone, Debug)]
pub struct IsolatedObject<'a> {
    /// The object in its manifest.
    pub object: &'a Object,
    /// The manifest, into which the object's spans point.
    pub source: &'a Arc<Source>,
    /// The indices into the example's `objects` that it stands for; none where it is of something that the example needs.
    pub indices: Vec<usize>,
    /// What is applied. `metadata.namespace` is set, or taken out, when it is.
    pub json: Json,
    /// Whether it belongs to the whole cluster, as far as is known.
    pub cluster_scoped: bool,
}

/// An example that is ready to be applied.
#[derive(Clone, Debug)]
pub struct Isolated<'a> {
    /// Its namespace.
    pub namespace: String,
    /// The labels of the namespace: ours, those of the example's own `Namespace` objects, and those that were
    /// [adopted](Isolated::adopt).
    pub namespace_labels: BTreeMap<String, String>,
    /// The annotations of the namespace, likewise.
    pub namespace_annotations: BTreeMap<String, String>,
    /// The labels of everything of ours.
    pub labels: BTreeMap<String, String>,
    /// The annotations of everything of ours.
    pub annotations: BTreeMap<String, String>,
    /// The objects in the order in which they are applied: what is needed first, then by [kind](order).
    pub objects: Vec<IsolatedObject<'a>>,
    /// What a person should know.
    pub notes: Vec<Note>,
    /// The namespace for which it was written.
    home: Option<Home>,
}

/// Where an object comes from: its example, and its index there if that is the one that is judged.
#[derive(Clone, Copy)]
struct Origin<'a> {
    object: &'a Object,
    source: &'a Arc<Source>,
    index: Option<usize>,
}

/// Puts the objects of `example`, and before them those of `needs` (in their order), into the attempt's namespace.
///
/// # Errors
/// The cause of an `errored`: two different objects of the same kind and name, kept apart by their namespaces in the
/// manifests, can't both be in one namespace.
pub fn isolate<'a>(
    example: &'a Example,
    needs: &[&'a Example],
    identity: &Identity<'_>,
    scopes: &Scopes,
) -> Result<Isolated<'a>, Box<Cause>> {
    let parts: Vec<Vec<Origin<'a>>> =
        needs.iter().map(|need| origins(need, false)).chain([origins(example, true)]).collect();
    let scopes = scopes.clone().with_definitions(parts.iter().flatten().map(|origin| origin.object));
    let mut isolated = empty(identity);
    let all = || parts.iter().flatten();
    carry_over(all().copied().filter(|origin| is_namespace(origin.object)), &mut isolated);
    let namespaced = all().filter(|origin| !is_namespace(origin.object) && !scopes.is_cluster_scoped(origin.object));
    tell_namespaces(namespaced.clone(), &mut isolated);
    isolated.home = Home::of(example, namespaced.clone());
    let brought = all().map(|origin| origin.object).filter(|object| is_namespace(object));
    let target = isolated.namespace.clone();
    let moved = Moved::new(namespaced.map(|origin| origin.object), brought, &target);
    for part in &parts {
        let mut part: Vec<_> = part.iter().filter(|origin| !is_namespace(origin.object)).collect();
        part.sort_by_key(|origin| order::rank(origin.object));
        for origin in part {
            add(origin, scopes.is_cluster_scoped(origin.object), &moved, &mut isolated)?;
        }
    }
    Ok(isolated)
}

fn empty<'a>(identity: &Identity<'_>) -> Isolated<'a> {
    let (labels, annotations) = (identity.labels(), identity.annotations());
    Isolated {
        namespace: identity.namespace(),
        namespace_labels: labels.clone(),
        namespace_annotations: annotations.clone(),
        labels,
        annotations,
        objects: Vec::new(),
        notes: Vec::new(),
        home: None,
    }
}

fn origins(example: &Example, judged: bool) -> Vec<Origin<'_>> {
    let of = |(index, object)| Origin { object, source: &example.source, index: judged.then_some(index) };
    example.objects.iter().enumerate().map(of).collect()
}

/// An example's own `Namespace` objects become the attempt's: their labels (PodSecurity, injection of sidecars) and annotations
/// are carried over, where they don't collide with ours.
fn carry_over<'a>(own: impl Iterator<Item = Origin<'a>>, isolated: &mut Isolated<'_>) {
    for Origin { object, source, .. } in own {
        let Isolated { namespace, namespace_labels, namespace_annotations, notes, .. } = &mut *isolated;
        let message = format!(
            "Namespace/{} is not created: its objects go into {namespace}, which takes its labels",
            object.name
        );
        notes.push(Note::new(message, source, anchor(object)));
        for (field, target) in [("labels", namespace_labels), ("annotations", namespace_annotations)] {
            for entry in object.root.at(&["metadata", field]).into_iter().flat_map(Node::entries) {
                let Some(value) = entry.value.as_str().filter(|_| &*entry.key != "kubernetes.io/metadata.name") else {
                    continue;
                };
                let kept = target.entry(entry.key.to_string()).or_insert_with(|| value.to_owned());
                if kept != value {
                    let message = format!("the namespace's {} stays `{kept}`: `{value}` is not taken over", entry.key);
                    notes.push(Note::new(message, source, entry.key_span));
                }
            }
        }
    }
}

/// One note for each namespace that manifests set.
fn tell_namespaces<'a, 'b: 'a>(namespaced: impl Iterator<Item = &'a Origin<'b>>, isolated: &mut Isolated<'_>) {
    let mut told = BTreeSet::new();
    for Origin { object, source, .. } in namespaced {
        let Some(node) = object.root.at(&["metadata", "namespace"]) else { continue };
        if let Some(name) = node.as_str().filter(|name| !name.is_empty())
            && told.insert(name)
        {
            let message = format!("the namespace `{name}` becomes `{}`", isolated.namespace);
            isolated.notes.push(Note::new(message, source, node.span));
        }
    }
}

/// Where an object begins, for what concerns all of it.
fn anchor(object: &Object) -> Span {
    object.root.get("kind").unwrap_or(&object.root).span
}

fn add<'a>(
    origin: &Origin<'a>,
    cluster_scoped: bool,
    moved: &Moved<'_>,
    isolated: &mut Isolated<'a>,
) -> Result<(), Box<Cause>> {
    let Origin { object, source, index } = *origin;
    let mut json = object.root.to_json();
    moved.rewrite(object, source, &mut json, &mut isolated.notes);
    if admission::confine(object, &mut json, &isolated.namespace) {
        let message = format!("{} acts on objects of {} alone", object.reference(), isolated.namespace);
        isolated.notes.push(Note::new(message, source, anchor(object)));
    }
    label(&mut json, "labels", &isolated.labels);
    label(&mut json, "annotations", &isolated.annotations);
    if let Some(metadata) = json.get_mut("metadata").and_then(Json::as_object_mut) {
        metadata.shift_remove("namespace");
    }
    if let Some(twin) = isolated.objects.iter_mut().find(|other| is_same(other.object, object)) {
        if twin.json == json {
            twin.indices.extend(index);
            return Ok(());
        }
        if !cluster_scoped && home(twin.object) != home(object) {
            return Err(Box::new(clash(twin.object, object, source)));
        }
    }
    isolated.objects.push(IsolatedObject {
        object,
        source,
        indices: index.into_iter().collect(),
        json,
        cluster_scoped,
    });
    Ok(())
}

/// Whether two objects would be one in one namespace.
fn is_same(one: &Object, other: &Object) -> bool {
    let named = |object: &Object| object.root.at(&["metadata", "name"]).is_some();
    one.kind == other.kind && one.name == other.name && one.group() == other.group() && named(one) && named(other)
}

/// The namespace in which a user would find the object: without one of its own the current one, usually `default`.
fn home(object: &Object) -> &str {
    object.namespace.as_deref().filter(|name| !name.is_empty()).unwrap_or("default")
}

fn clash(one: &Object, other: &Object, source: &Source) -> Cause {
    let span = other.root.at(&["metadata", "namespace"]).map_or(anchor(other), |found| found.span);
    let note = Note::new(
        format!(
            "{} is in the namespaces `{}` and `{}`, and both can't be in one",
            other.reference(),
            home(one),
            home(other)
        ),
        source,
        span,
    );
    Cause {
        class: CauseClass::Internal,
        reason: "NamespacesClash".to_owned(),
        message: note.message,
        hint: "give the two objects different names: an attempt has one namespace".to_owned(),
        object: other.reference(),
        file: note.file,
        line: note.line,
    }
}

/// Puts our labels (or annotations) on an object. What a manifest sets itself stays; metadata that is no mapping is left for the
/// API server to refuse.
fn label(json: &mut Json, field: &str, values: &BTreeMap<String, String>) {
    let Some(metadata) = json.get_mut("metadata").and_then(Json::as_object_mut) else { return };
    let target = metadata.entry(field).or_insert(Json::Null);
    if target.is_null() {
        *target = Json::Object(Map::new());
    }
    if let Some(target) = target.as_object_mut() {
        for (key, value) in values {
            target.entry(key.clone()).or_insert_with(|| Json::String(value.clone()));
        }
    }
}
