//! What is served: versions, groups, resources, and the OpenAPI documents that `kubectl` looks into.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::simulator::TREE_STATE;
use crate::simulator::store::{Kind, Store, group_version};

/// The answer to `/version`.
pub fn version(git_version: &str) -> Json {
    let mut parts = git_version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or("1"), parts.next().unwrap_or_default());
    json!({
        "major": major,
        "minor": minor,
        "gitVersion": git_version,
        "gitCommit": "",
        "gitTreeState": TREE_STATE,
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "simulated",
    })
}

/// The answer to `/api`.
pub fn core_versions(address: &str) -> Json {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// The versions of each group, the core group left out; the stored one of its first kind is preferred.
fn groups(store: &Store) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for kind in store.kinds().iter().filter(|kind| !kind.group.is_empty()) {
        let versions = groups.entry(kind.group.clone()).or_default();
        for version in
            std::iter::once(&kind.version).filter(|version| kind.served.contains(version)).chain(&kind.served)
        {
            if !versions.contains(version) {
                versions.push(version.clone());
            }
        }
    }
    for group in ["authorization.k8s.io", "authentication.k8s.io"] {
        groups.insert(group.to_owned(), vec!["v1".to_owned()]);
    }
    groups.retain(|_, versions| !versions.is_empty());
    groups
}

fn group_json(name: &str, versions: &[String]) -> Json {
    let version = |version: &String| json!({"groupVersion": group_version(name, version), "version": version});
    let preferred = versions.first().map(version);
    json!({"name": name, "versions": versions.iter().map(version).collect::<Vec<_>>(), "preferredVersion": preferred})
}

/// The answer to `/apis`.
pub fn group_list(store: &Store) -> Json {
    let groups: Vec<_> = groups(store).iter().map(|(name, versions)| group_json(name, versions)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// The answer to `/apis/GROUP`.
pub fn group(store: &Store, name: &str) -> Option<Json> {
    let mut found = group_json(name, groups(store).get(name)?);
    found["kind"] = "APIGroup".into();
    found["apiVersion"] = "v1".into();
    Some(found)
}

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// Subresources of single kinds: the resource, its name, the group, version and kind that it speaks, and its verbs.
type Subresource = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static [&'static str]);

const SUBRESOURCES: [Subresource; 4] = [
    ("namespaces", "finalize", "", "", "Namespace", &["update"]),
    ("pods", "eviction", "policy", "v1", "Eviction", &["create"]),
    ("pods", "log", "", "", "Pod", &["get"]),
    ("serviceaccounts", "token", "authentication.k8s.io", "v1", "TokenRequest", &["create"]),
];

/// Reviews: kinds that are only ever created, and never kept.
const REVIEWS: [(&str, &str, &str, bool); 4] = [
    ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview", false),
    ("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", false),
    ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", false),
];

/// The answer to `/api/v1` and `/apis/GROUP/VERSION`.
pub fn resources(store: &Store, group: &str, version: &str) -> Option<Json> {
    let mut list = Vec::new();
    for kind in served(store, group, version) {
        list.push(resource(&kind));
        let sub = |name: &str, of: &str, verbs: &[&str]| json!({"name": format!("{}/{name}", kind.plural), "singularName": "", "namespaced": kind.namespaced, "kind": of, "verbs": verbs});
        if kind.status {
            list.push(sub("status", &kind.kind, &["get", "patch", "update"]));
        }
        if kind.scale {
            let mut scale = sub("scale", "Scale", &["get", "patch", "update"]);
            scale["group"] = "autoscaling".into();
            scale["version"] = "v1".into();
            list.push(scale);
        }
        for (_, name, group, version, of, verbs) in
            SUBRESOURCES.iter().filter(|sub| kind.group.is_empty() && sub.0 == kind.plural)
        {
            let mut found = sub(name, of, verbs);
            for (key, value) in [("group", group), ("version", version)] {
                if !value.is_empty() {
                    found[key] = (*value).into();
                }
            }
            list.push(found);
        }
    }
    for (_, plural, kind, namespaced) in REVIEWS.iter().filter(|review| review.0 == group && version == "v1") {
        list.push(json!({"name": plural, "singularName": kind.to_lowercase(), "namespaced": namespaced, "kind": kind, "verbs": ["create"]}));
    }
    if list.is_empty() {
        return None;
    }
    Some(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version(group, version), "resources": list}),
    )
}

fn served(store: &Store, group: &str, version: &str) -> Vec<Arc<Kind>> {
    let mut kinds = store.kinds();
    kinds.retain(|kind| kind.group == group && kind.served.iter().any(|served| served == version));
    kinds
}

fn resource(kind: &Kind) -> Json {
    let mut found = json!({
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": VERBS.iter().filter(|verb| !kind.is("", "Namespace") || **verb != "deletecollection").collect::<Vec<_>>(),
    });
    for (key, words) in [("shortNames", &kind.short_names), ("categories", &kind.categories)] {
        if !words.is_empty() {
            found[key] = words.clone().into();
        }
    }
    found
}

/// The answer to `/openapi/v3`: where the documents of the groups are.
pub fn open_api_index(store: &Store) -> Json {
    let mut paths = json!({"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=simulated"}});
    for (group, versions) in groups(store) {
        for version in versions {
            let path = format!("apis/{group}/{version}");
            paths[&path] = json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash=simulated")});
        }
    }
    json!({"paths": paths})
}

/// The OpenAPI document of a group and version: as much as lets `kubectl` see that the server validates fields itself.
/// It has no schemas.
pub fn open_api(store: &Store, group: &str, version: &str) -> Json {
    let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let mut paths = json!({});
    for kind in served(store, group, version) {
        let namespace = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
        let parameters: Vec<_> = ["dryRun", "fieldManager", "fieldValidation", "force"]
            .iter()
            .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}))
            .collect();
        paths[format!("{root}{namespace}/{}/{{name}}", kind.plural)] = json!({"patch": {
            "operationId": format!("patch{}", kind.kind),
            "parameters": parameters,
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": {"group": kind.group, "version": version, "kind": kind.kind},
        }});
    }
    json!({"openapi": "3.0.0", "info": {"title": "Kubernetes, simulated", "version": version}, "paths": paths, "components": {"schemas": {}}})
}
