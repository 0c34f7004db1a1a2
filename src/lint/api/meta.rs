//! Metadata, labels and label selectors: what every object shares.
//!
//! Source: `apimachinery/pkg/api/validation/objectmeta.go`, `pkg/apis/meta/v1/validation` and
//! `apiserver/pkg/registry/rest/create.go` of Kubernetes.

use super::forms::{self, Form};
use super::read::{at, entries, flag, get, is_missing, list, pairs, strings, structs, text};
use super::report::{
    allowed_value, each_has_form, expect, has_form, non_negative, one_of, require_form, require_map, require_one_of,
    required,
};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

/// Most bytes that the annotations of an object may take, keys and values together.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// The metadata of an object whose name must have the form `name`. `builtin`: whether Kubernetes itself serves the kind,
/// in which case finalizers need a domain.
pub(super) fn check(root: &Node, name: Form, builtin: bool, out: &mut Findings<'_>) {
    let Some(metadata) = require_map(out, root, "metadata") else { return };
    names(metadata, name, out);
    has_form(out, metadata, "namespace", forms::dns_label);
    non_negative(out, metadata, &["generation"]);
    if !matches!(text(metadata, "resourceVersion"), "" | "0") {
        let entry = metadata.entry("resourceVersion");
        let message = "must not be set on an object that is created";
        if let Some(entry) = entry {
            out.error(code::FORBIDDEN, entry, message).help = Some("remove the field".to_owned());
        }
    }
    labels(metadata, "labels", out);
    annotations(metadata, out);
    each_has_form(out, metadata, "finalizers", if builtin { forms::kube_finalizer } else { forms::qualified_name });
    let both = |name: &str| strings(metadata, "finalizers").any(|(_, found)| found == name);
    if both("orphan") && both("foregroundDeletion") {
        let finalizers = metadata.get("finalizers").unwrap_or(metadata);
        out.error(code::FORBIDDEN, finalizers, "`orphan` and `foregroundDeletion` must not both be set");
    }
    owner_references(metadata, out);
    for managed in structs(metadata, "managedFields") {
        require_one_of(out, managed, "operation", &["Apply", "Update"]);
        one_of(out, managed, "fieldsType", &["FieldsV1"]);
    }
}

/// `name`, or `generateName`, to which the server adds five characters.
fn names(metadata: &Node, form: Form, out: &mut Findings<'_>) {
    if let Some(prefix) = get(metadata, "generateName").and_then(Node::as_str).filter(|prefix| !prefix.is_empty()) {
        let sample = match prefix.char_indices().nth_back(1) {
            Some((end, _)) if prefix.ends_with('-') => format!("{}a", &prefix[..end]),
            _ => prefix.to_owned(),
        };
        if let (Some(complaint), Some(value)) = (form(&sample), metadata.get("generateName")) {
            out.error(code::NAME, value, format!("`{prefix}` {complaint}"));
        }
        return has_form(out, metadata, "name", form);
    }
    if is_missing(metadata, "name") {
        required(out, metadata, "name", " (or `generateName`)");
    } else {
        has_form(out, metadata, "name", form);
    }
}

fn owner_references(metadata: &Node, out: &mut Findings<'_>) {
    let mut controllers = 0;
    for owner in structs(metadata, "ownerReferences") {
        let version = text(owner, "apiVersion");
        if version.is_empty() || version.ends_with('/') || version.matches('/').count() > 1 {
            required(out, owner, "apiVersion", ": a group and a version, as in `apps/v1`");
        }
        for key in ["kind", "name", "uid"] {
            if is_missing(owner, key) {
                required(out, owner, key, " of an owner");
            }
        }
        if version == "v1" && text(owner, "kind") == "Event" {
            out.error(code::FORBIDDEN, owner, "an Event must not be an owner");
        }
        controllers += usize::from(flag(owner, "controller"));
        if controllers == 2 && flag(owner, "controller") {
            out.error(code::FORBIDDEN, owner, "only one owner may have `controller: true`");
        }
    }
}

/// The map of labels under `key`.
pub(super) fn labels(node: &Node, key: &str, out: &mut Findings<'_>) {
    for (entry, value) in pairs(node, key) {
        expect(out, entry, &entry.key, forms::qualified_name);
        expect(out, &entry.value, value, forms::label_value);
    }
}

/// The annotations of `metadata`.
pub(super) fn annotations(metadata: &Node, out: &mut Findings<'_>) {
    let mut size = 0;
    for (entry, value) in pairs(metadata, "annotations") {
        expect(out, entry, &entry.key, forms::annotation_key);
        size += entry.key.len() + value.len();
    }
    if let Some(all) = metadata.get("annotations").filter(|_| size > MAX_ANNOTATIONS) {
        out.error(code::RANGE, all, format!("{size} bytes are too many, at most {MAX_ANNOTATIONS} are allowed"));
    }
}

/// Labels and annotations of a template's metadata; nothing else of it is looked at.
pub(super) fn template(metadata: Option<&Node>, out: &mut Findings<'_>) {
    if let Some(metadata) = metadata {
        labels(metadata, "labels", out);
        annotations(metadata, out);
    }
}

/// The label selector under `key`, if there is one.
pub(super) fn selector(node: &Node, key: &str, out: &mut Findings<'_>) {
    if let Some(selector) = get(node, key) {
        selector_itself(selector, out);
    }
}

/// A label selector.
pub(super) fn selector_itself(selector: &Node, out: &mut Findings<'_>) {
    labels(selector, "matchLabels", out);
    for requirement in structs(selector, "matchExpressions") {
        selector_requirement(requirement, out);
    }
}

fn selector_requirement(requirement: &Node, out: &mut Findings<'_>) {
    require_form(out, requirement, "key", forms::qualified_name);
    match text(requirement, "operator") {
        "In" | "NotIn" if list(requirement, "values").is_empty() => {
            required(out, requirement, "values", " when `operator` is `In` or `NotIn`");
        }
        "Exists" | "DoesNotExist" if !list(requirement, "values").is_empty() => {
            out.error(
                code::FORBIDDEN,
                requirement,
                "`values` must be empty when `operator` is `Exists` or `DoesNotExist`",
            );
        }
        "" => required(out, requirement, "operator", ""),
        found => {
            let value = requirement.get("operator").unwrap_or(requirement);
            allowed_value(out, value, found, &["In", "NotIn", "Exists", "DoesNotExist"]);
        }
    }
    each_has_form(out, requirement, "values", forms::label_value);
}

/// The required selector of a workload: there, not empty, well formed, and matching the labels of its own template.
pub(super) fn workload_selector(spec: &Node, out: &mut Findings<'_>) {
    let Some(found) = require_map(out, spec, "selector") else { return };
    let before = out.diagnostics.len();
    selector(spec, "selector", out);
    if is_missing(found, "matchLabels") && is_missing(found, "matchExpressions") {
        out.error(code::REQUIRED, found, "must not be empty: it would match no pod").help =
            Some("add `matchLabels` with labels of the template".to_owned());
    } else if out.diagnostics.len() == before {
        matches_template(found, spec, out);
    }
}

/// Reports a selector that does not match the labels of the template of `spec`.
pub(super) fn matches_template(selector: &Node, spec: &Node, out: &mut Findings<'_>) {
    let metadata = at(spec, &["template", "metadata"]);
    let label = |key: &str| metadata.and_then(|metadata| find_label(metadata, key));
    if !selects(selector, &label) {
        let template = at(spec, &["template", "metadata", "labels"]).or_else(|| at(spec, &["template"]));
        out.error(code::SELECTOR, selector, "does not match the labels of `template`").help = Some(match template {
            Some(_) => "give the template's metadata the labels that the selector asks for".to_owned(),
            None => "add a `template` whose labels the selector matches".to_owned(),
        });
    }
}

/// Whether a well-formed selector matches the labels that `label` looks up.
pub(super) fn selects<'n>(selector: &'n Node, label: &impl Fn(&str) -> Option<&'n str>) -> bool {
    pairs(selector, "matchLabels").all(|(entry, value)| label(&entry.key) == Some(value))
        && structs(selector, "matchExpressions").all(|requirement| {
            let found = label(text(requirement, "key"));
            let among = || strings(requirement, "values").any(|(_, value)| found == Some(value));
            match text(requirement, "operator") {
                "In" => among(),
                "NotIn" => !among(),
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => true,
            }
        })
}

fn find_label<'n>(metadata: &'n Node, key: &str) -> Option<&'n str> {
    pairs(metadata, "labels").find(|(entry, _)| &*entry.key == key).map(|(_, value)| value)
}

/// The annotation `key` of an object or template with this metadata.
pub(super) fn annotation<'n>(metadata: &'n Node, key: &str) -> Option<&'n Node> {
    entries(metadata, "annotations").find(|entry| &*entry.key == key).map(|entry| &entry.value)
}
