//! Roles and their bindings.
//!
//! Source: `pkg/apis/rbac/validation/validation.go` of Kubernetes.

use super::read::{get, is_missing, structs, text};
use super::report::{allowed_value, forbid, has_form, require, require_map, require_one_of, required};
use super::{forms, meta};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

const GROUP: &str = "rbac.authorization.k8s.io";

/// A Role.
pub(super) fn role(root: &Node, out: &mut Findings<'_>) {
    rules(root, true, out);
}

/// A ClusterRole.
pub(super) fn cluster_role(root: &Node, out: &mut Findings<'_>) {
    rules(root, false, out);
    let Some(aggregation) = get(root, "aggregationRule") else { return };
    require(out, aggregation, "clusterRoleSelectors");
    for selector in structs(aggregation, "clusterRoleSelectors") {
        meta::selector_itself(selector, out);
    }
}

fn rules(root: &Node, namespaced: bool, out: &mut Findings<'_>) {
    for rule in structs(root, "rules") {
        require(out, rule, "verbs");
        if is_missing(rule, "nonResourceURLs") {
            require(out, rule, "apiGroups");
            require(out, rule, "resources");
            continue;
        }
        if namespaced {
            forbid(out, rule, "nonResourceURLs", "in a Role: only a ClusterRole can allow them");
        }
        if ["apiGroups", "resources", "resourceNames"].iter().any(|key| !is_missing(rule, key)) {
            out.error(code::FORBIDDEN, rule, "`nonResourceURLs` must not be used together with resources");
        }
    }
}

/// A RoleBinding.
pub(super) fn role_binding(root: &Node, out: &mut Findings<'_>) {
    binding(root, &["ClusterRole", "Role"], out);
}

/// A ClusterRoleBinding, whose service accounts need a namespace.
pub(super) fn cluster_role_binding(root: &Node, out: &mut Findings<'_>) {
    binding(root, &["ClusterRole"], out);
    for subject in structs(root, "subjects") {
        if text(subject, "kind") == "ServiceAccount" && is_missing(subject, "namespace") {
            required(out, subject, "namespace", " of a ServiceAccount");
        }
    }
}

fn binding(root: &Node, kinds: &[&str], out: &mut Findings<'_>) {
    if let Some(reference) = require_map(out, root, "roleRef") {
        group(reference, &[GROUP], out);
        require_one_of(out, reference, "kind", kinds);
        require(out, reference, "name");
        has_form(out, reference, "name", forms::path_segment);
    }
    for subject in structs(root, "subjects") {
        require(out, subject, "name");
        match text(subject, "kind") {
            "ServiceAccount" => {
                has_form(out, subject, "name", forms::dns_subdomain);
                group(subject, &[""], out);
            }
            "User" | "Group" => group(subject, &[GROUP], out),
            _ => require_one_of(out, subject, "kind", &["ServiceAccount", "User", "Group"]),
        }
    }
}

/// The API group of a reference, which is set when it is not there.
fn group(reference: &Node, allowed: &[&str], out: &mut Findings<'_>) {
    if let Some(value) = get(reference, "apiGroup")
        && let Some(found) = value.as_str().filter(|found| !found.is_empty())
    {
        allowed_value(out, value, found, allowed);
    }
}
