//! Fields that may not change once an object is there.
//!
//! Source: `ValidateUpdate` of the kinds' strategies in `k8s.io/kubernetes/pkg/registry`.

use serde_json::Value as Json;

use super::path;
use crate::simulator::store::{Kind, StatusCause};

/// The kinds with the paths that are fixed; `spec` is compared without the fields that are named after it.
const FIXED: &[(&str, &str, &str, &[&str])] = &[
    ("batch", "Job", "spec.template.spec", &[]),
    ("batch", "Job", "spec.selector", &[]),
    ("batch", "Job", "spec.completionMode", &[]),
    ("batch", "Job", "spec.podFailurePolicy", &[]),
    ("batch", "Job", "spec.backoffLimitPerIndex", &[]),
    ("batch", "Job", "spec.managedBy", &[]),
    ("apps", "Deployment", "spec.selector", &[]),
    ("apps", "ReplicaSet", "spec.selector", &[]),
    ("apps", "DaemonSet", "spec.selector", &[]),
    (
        "apps",
        "StatefulSet",
        "spec",
        &[
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
        ],
    ),
    (
        "",
        "Pod",
        "spec",
        &[
            "containers",
            "initContainers",
            "ephemeralContainers",
            "activeDeadlineSeconds",
            "terminationGracePeriodSeconds",
            "tolerations",
            "nodeName",
            "schedulingGates",
            "resources",
        ],
    ),
    ("", "PersistentVolumeClaim", "spec", &["resources", "volumeAttributesClassName", "volumeName"]),
    ("rbac.authorization.k8s.io", "RoleBinding", "roleRef", &[]),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", "roleRef", &[]),
    ("storage.k8s.io", "StorageClass", "provisioner", &[]),
    ("storage.k8s.io", "StorageClass", "parameters", &[]),
    ("scheduling.k8s.io", "PriorityClass", "value", &[]),
];

/// What of a suspended Job's template may change.
const SCHEDULING: [&str; 4] = ["nodeSelector", "tolerations", "affinity", "schedulingGates"];

/// What of the change is not allowed.
pub fn check(kind: &Kind, old: &Json, new: &Json) -> Vec<StatusCause> {
    let mut causes: Vec<_> = FIXED
        .iter()
        .filter(|(group, name, ..)| kind.is(group, name))
        .filter(|(_, name, at, free)| {
            // Where a suspended Job is to run can still be told.
            let is_waiting = *name == "Job" && old["spec"]["suspend"] == true;
            let free = if is_waiting { &SCHEDULING[..] } else { free };
            fixed(old, at, free) != fixed(new, at, free)
        })
        .map(|(_, name, at, free)| refused(name, new, at, free))
        .collect();
    let is_marked = kind.is("", "ConfigMap") || kind.is("", "Secret");
    if is_marked && old["immutable"] == true {
        let changed =
            ["data", "binaryData", "stringData", "immutable"].into_iter().filter(|field| old[*field] != new[*field]);
        causes.extend(changed.map(|field| StatusCause {
            reason: "FieldValueForbidden",
            message: "Forbidden: field is immutable when `immutable` is set".to_owned(),
            field: field.to_owned(),
        }));
    }
    causes
}

fn fixed(object: &Json, at: &str, free: &[&str]) -> Json {
    let mut value = path::get(object, at).cloned().unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|key, _| !free.contains(&key.as_str()));
    }
    value
}

fn refused(kind: &str, new: &Json, at: &str, free: &[&str]) -> StatusCause {
    let field = at.to_owned();
    if free.is_empty() {
        let value = path::get(new, at).cloned().unwrap_or_default();
        return StatusCause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value}: field is immutable"),
            field,
        };
    }
    let free: Vec<_> = free.iter().map(|field| format!("'{field}'")).collect();
    let message = format!(
        "Forbidden: updates to {} spec for fields other than {} are forbidden",
        kind.to_lowercase(),
        free.join(", ")
    );
    StatusCause { reason: "FieldValueForbidden", message, field }
}
