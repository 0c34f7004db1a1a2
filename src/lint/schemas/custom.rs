//! CustomResourceDefinitions.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::Scope;
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::schema::Schema;
use crate::yaml::{Node, Value, parse};

/// A kind that a CRD defines.
#[derive(Debug)]
pub(super) struct CustomKind {
    pub group: String,
    pub kind: String,
    pub scope: Scope,
    pub versions: Vec<Version>,
}

/// One version of it.
#[derive(Debug)]
pub(super) struct Version {
    pub name: String,
    /// Whether the API server serves it.
    pub served: bool,
    /// Absent if the CRD has none for this version.
    pub schema: Option<Schema>,
    pub scale: Option<Scale>,
}

/// The fields that the scale subresource reads. An API server wants them to be replica counts, whatever the schema says.
#[derive(Debug)]
pub(super) struct Scale {
    counts: Vec<String>,
}

/// The kinds that a file defines, and what is wrong with it.
pub(super) fn load(source: &Arc<Source>) -> (Vec<CustomKind>, Vec<Diagnostic>) {
    let parsed = parse(&source.text);
    let mut diagnostics: Vec<_> =
        parsed.errors.iter().map(|error| Diagnostic::error(&error.message).at(source, error.span)).collect();
    let mut kinds = Vec::new();
    for document in &parsed.documents {
        for node in definitions(&document.root) {
            match custom_kind(node) {
                Ok(kind) => kinds.push(kind),
                Err(problem) => diagnostics.push(problem.diagnostic(source)),
            }
        }
    }
    (kinds, diagnostics)
}

/// The CRDs of a document: itself, or the items of a list.
fn definitions(root: &Node) -> Vec<&Node> {
    let text = |node: &Node, key: &str| node.get(key).and_then(Node::as_str).unwrap_or_default().to_owned();
    let candidates: Vec<&Node> = if text(root, "kind").ends_with("List") {
        root.get("items").map(|items| items.items().collect()).unwrap_or_default()
    } else {
        vec![root]
    };
    candidates
        .into_iter()
        .filter(|node| {
            text(node, "kind") == "CustomResourceDefinition"
                && text(node, "apiVersion").starts_with("apiextensions.k8s.io/")
        })
        .collect()
}

/// Why a CRD cannot be used.
struct Problem<'n> {
    node: &'n Node,
    message: String,
    severity: Severity,
}

impl<'n> Problem<'n> {
    fn new(node: &'n Node, message: impl Into<String>) -> Self {
        Self { node, message: message.into(), severity: Severity::Error }
    }

    fn diagnostic(self, source: &Arc<Source>) -> Diagnostic {
        Diagnostic::error(self.message).with_severity(self.severity).at(source, self.node.span)
    }
}

fn custom_kind(root: &Node) -> Result<CustomKind, Problem<'_>> {
    if let Some(version) = root.get("apiVersion").filter(|version| version.as_str() != Some("apiextensions.k8s.io/v1"))
    {
        let message = "CustomResourceDefinitions are served as apiextensions.k8s.io/v1 only; this one is left out";
        return Err(Problem { severity: Severity::Warning, ..Problem::new(version, message) });
    }
    let text = |keys: &[&str]| {
        let value = root.at(keys).and_then(Node::as_str).filter(|value| !value.is_empty());
        let missing = || Problem::new(root, format!("the CustomResourceDefinition has no `{}`", keys.join(".")));
        value.map(str::to_owned).ok_or_else(missing)
    };
    let versions = root.at(&["spec", "versions"]).and_then(Node::as_seq).unwrap_or_default();
    if versions.is_empty() {
        return Err(Problem::new(root, "the CustomResourceDefinition has no `spec.versions`"));
    }
    Ok(CustomKind {
        group: text(&["spec", "group"])?,
        kind: text(&["spec", "names", "kind"])?,
        scope: if text(&["spec", "scope"])? == "Cluster" { Scope::Cluster } else { Scope::Namespaced },
        versions: versions.iter().map(version).collect::<Result<_, _>>()?,
    })
}

fn version(node: &Node) -> Result<Version, Problem<'_>> {
    let Some(name) = node.get("name").and_then(Node::as_str) else {
        return Err(Problem::new(node, "the version of the CustomResourceDefinition has no `name`"));
    };
    let present = |keys: &[&str]| node.at(keys).filter(|node| !node.is_null());
    let schema = present(&["schema", "openAPIV3Schema"]);
    if let Some(broken) = schema.filter(|schema| schema.as_map().is_none()) {
        return Err(Problem::new(broken, "`openAPIV3Schema` is not a mapping"));
    }
    let drops_status = present(&["subresources", "status"]).is_some();
    Ok(Version {
        name: name.to_owned(),
        served: node.get("served").and_then(Node::as_bool).unwrap_or(false),
        schema: schema.map(|schema| Schema::of_custom_resource(&schema_json(schema), drops_status)),
        scale: present(&["subresources", "scale"]).map(scale),
    })
}

/// `statusReplicasPath` is left out: a manifest's status is dropped before it is read.
fn scale(node: &Node) -> Scale {
    let path = node.get("specReplicasPath").and_then(Node::as_str);
    Scale { counts: path.into_iter().map(|path| path.trim_start_matches('.').to_owned()).collect() }
}

impl Scale {
    /// Tells a count that is no count.
    pub fn check(&self, findings: &mut Findings<'_>) {
        for path in &self.counts {
            let keys: Vec<_> = path.split('.').collect();
            let Some(node) = findings.root().at(&keys) else { continue };
            let problem = match &node.value {
                Value::Int(count) if *count < 0 => format!("{count} is less than 0"),
                Value::Int(count) if *count > i64::from(i32::MAX) => format!("{count} is more than {}", i32::MAX),
                // A null was dropped; any other type is the schema's to tell, and told here only if it did not.
                Value::Int(_) | Value::Null => continue,
                _ if findings.is_refused() => continue,
                _ => format!("expected integer, found {}", node.type_name()),
            };
            findings.error(code::RANGE, node, format!("{problem}: this field is a number of replicas"));
        }
    }
}

/// A schema as JSON without its prose, which is most of it.
fn schema_json(node: &Node) -> Json {
    let Value::Map(mapping) = &node.value else { return node.to_json() };
    let fields = mapping.iter().filter_map(|entry| {
        let value = match &*entry.key {
            "description" | "title" | "example" | "externalDocs" => return None,
            "properties" => named_schemas(&entry.value),
            "items" | "additionalProperties" | "not" => schema_json(&entry.value),
            "allOf" | "anyOf" | "oneOf" => Json::Array(entry.value.items().map(schema_json).collect()),
            _ => entry.value.to_json(),
        };
        Some((entry.key.to_string(), value))
    });
    Json::Object(fields.collect())
}

fn named_schemas(node: &Node) -> Json {
    let fields = node.entries().map(|entry| (entry.key.to_string(), schema_json(&entry.value)));
    Json::Object(fields.collect::<Map<_, _>>())
}
