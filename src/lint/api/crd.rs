//! CustomResourceDefinitions, as far as their names, scope and versions go.
//!
//! Source: `apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go` of Kubernetes.

use std::collections::HashSet;

use super::forms;
use super::read::{at, flag, get, structs, text};
use super::report::{has_form, repeated, require, require_form, require_map, require_one_of, required};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

/// A CustomResourceDefinition.
pub(super) fn check(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = require_map(out, root, "spec") else { return };
    require_form(out, spec, "group", forms::dns_subdomain);
    let group = text(spec, "group");
    if let Some(value) = get(spec, "group").filter(|_| !group.is_empty() && !group.contains('.')) {
        out.error(code::FORMAT, value, "must be a domain with at least one dot");
    }
    require_one_of(out, spec, "scope", &["Cluster", "Namespaced"]);
    if let Some(names) = require_map(out, spec, "names") {
        check_names(root, group, names, out);
    }
    require(out, spec, "versions");
    check_versions(spec, out);
}

fn check_names(root: &Node, group: &str, names: &Node, out: &mut Findings<'_>) {
    require_form(out, names, "plural", forms::dns_1035_label);
    has_form(out, names, "singular", forms::dns_1035_label);
    if require(out, names, "kind")
        && let Some(kind) = get(names, "kind")
        && let Some(complaint) = kind.as_str().and_then(|kind| forms::dns_1035_label(&kind.to_lowercase()))
    {
        out.error(code::NAME, kind, format!("`{}` {complaint}", text(names, "kind")));
    }
    let expected = format!("{}.{group}", text(names, "plural"));
    if let Some(name) = at(root, &["metadata", "name"])
        && name.as_str().is_some_and(|name| name != expected)
    {
        let message = format!("must be `{expected}`: the plural name, a dot and the group");
        out.error(code::NAME, name, message);
    }
}

fn check_versions(spec: &Node, out: &mut Findings<'_>) {
    let mut seen = HashSet::new();
    let mut stored = 0;
    for version in structs(spec, "versions") {
        require_form(out, version, "name", forms::dns_1035_label);
        let name = text(version, "name");
        if !name.is_empty() && !seen.insert(name) {
            repeated(out, version, "name", "name");
        }
        stored += usize::from(flag(version, "storage"));
        let schema = get(version, "schema").and_then(|schema| get(schema, "openAPIV3Schema"));
        match schema {
            None => required(out, version, "schema", ": its `openAPIV3Schema`"),
            Some(schema) if schema.as_map().is_some() && text(schema, "type") != "object" => {
                out.error(code::INVALID, schema, "its `type` must be `object`");
            }
            Some(_) => {}
        }
    }
    if let Some(versions) = spec.get("versions").filter(|_| stored != 1) {
        out.error(code::INVALID, versions, format!("exactly one version must have `storage: true`, found {stored}"));
    }
}
