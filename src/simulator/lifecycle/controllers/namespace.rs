//! Namespaces: what they begin with, and how they end (`pkg/controller/namespace/deletion`).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::super::action::{Action, Cue};
use super::super::object::{is_deleting, list, name, now, text, uid};
use super::super::pace::{Delay, Step};
use super::super::world::World;
use crate::simulator::store::{Key, Propagation};

/// What a namespace's ConfigMap of root certificates says of itself.
const ABOUT_ROOT: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

/// Gives a namespace what every namespace has, a moment after it was made.
#[must_use]
pub fn begin(object: &Json, cue: &Cue, world: World<'_>) -> Vec<Action> {
    let key = Key::cluster("", "namespaces", name(object));
    match cue {
        Cue::Changed if !world.is_marked(object, "begun") => vec![
            Action::Mark(uid(object).to_owned(), "begun".to_owned()),
            Action::Later(Delay::Step(Step::See), key, uid(object).to_owned(), Cue::Again(0)),
        ],
        Cue::Again(_) => vec![
            Action::Create(json!({"apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": "default", "namespace": name(object)}})),
            Action::Create(json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "kube-root-ca.crt", "namespace": name(object),
                    "annotations": {"kubernetes.io/description": ABOUT_ROOT}},
                "data": {"ca.crt": "-----BEGIN CERTIFICATE-----\nsimulated\n-----END CERTIFICATE-----\n"}})),
        ],
        _ => Vec::new(),
    }
}

/// Deletes what stands in a namespace that is going, then lets it go; says what it waits for.
#[must_use]
pub fn end(namespace: &Json, contents: &[(Key, Arc<Json>)]) -> Vec<Action> {
    let key = Key::cluster("", "namespaces", name(namespace));
    if contents.is_empty() {
        let edit = |object: &mut Json| {
            if let Some(finalizers) = object["spec"]["finalizers"].as_array_mut() {
                finalizers.retain(|finalizer| finalizer != "kubernetes");
            }
        };
        return vec![Action::Edit(key, Box::new(edit))];
    }
    let mut actions: Vec<Action> = Vec::new();
    for (key, _) in contents.iter().filter(|(_, object)| !is_deleting(object)) {
        actions.push(Action::Delete(key.clone(), Propagation::Background));
    }
    if actions.is_empty() {
        let mut status = namespace["status"].clone();
        status["conditions"] = conditions(&status["conditions"], contents);
        actions.push(Action::Status(key, status));
    }
    actions
}

fn conditions(before: &Json, contents: &[(Key, Arc<Json>)]) -> Json {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut finalizers: BTreeMap<String, usize> = BTreeMap::new();
    for (key, object) in contents {
        *kinds.entry(format!("{}.{}", key.plural, key.group)).or_default() += 1;
        for finalizer in list(object, "/metadata/finalizers").iter().filter_map(Json::as_str) {
            *finalizers.entry(finalizer.to_owned()).or_default() += 1;
        }
    }
    let waited: Vec<_> =
        finalizers.iter().map(|(what, count)| format!("{what} in {count} resource instances")).collect();
    let remaining: Vec<_> =
        kinds.iter().map(|(kind, count)| format!("{kind} has {count} resource instances")).collect();
    let mut table = vec![
        (
            "NamespaceDeletionDiscoveryFailure",
            "False",
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned(),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".to_owned(),
        ),
        (
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization".to_owned(),
        ),
        (
            "NamespaceContentRemaining",
            "True",
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", remaining.join(", ")),
        ),
    ];
    table.push(if finalizers.is_empty() {
        (
            "NamespaceFinalizersRemaining",
            "False",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished".to_owned(),
        )
    } else {
        (
            "NamespaceFinalizersRemaining",
            "True",
            "SomeFinalizersRemain",
            format!("Some content in the namespace has finalizers remaining: {}", waited.join(", ")),
        )
    });
    let since = |kind: &str, status: &str| {
        let old = before.as_array().into_iter().flatten().find(|condition| text(condition, "/type") == kind);
        old.filter(|old| text(old, "/status") == status)
            .map_or_else(|| now().into(), |old| old["lastTransitionTime"].clone())
    };
    table
        .into_iter()
        .map(|(kind, status, reason, message)| {
            json!({"type": kind, "status": status, "lastTransitionTime": since(kind, status), "reason": reason, "message": message})
        })
        .collect()
}
