//! The order in which objects are applied: what others depend on comes first.

use crate::catalog::Object;

/// The kinds that come before others, from first to last; an empty group is the core group. Kinds that are not here come after,
/// in the order of their source, and [`LAST`] at the end.
const FIRST: &[&[(&str, &str)]] = &[
    &[("apiextensions.k8s.io", "CustomResourceDefinition")],
    &[
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "StorageClass"),
        ("node.k8s.io", "RuntimeClass"),
        ("networking.k8s.io", "IngressClass"),
        ("", "PersistentVolume"),
    ],
    &[("", "ResourceQuota"), ("", "LimitRange")],
    &[("", "ServiceAccount")],
    &[("", "Secret")],
    &[("", "ConfigMap")],
    &[("rbac.authorization.k8s.io", "ClusterRole"), ("rbac.authorization.k8s.io", "Role")],
    &[("rbac.authorization.k8s.io", "ClusterRoleBinding"), ("rbac.authorization.k8s.io", "RoleBinding")],
    &[("", "PersistentVolumeClaim")],
    &[("", "Service")],
    &[
        ("kueue.x-k8s.io", "ResourceFlavor"),
        ("kueue.x-k8s.io", "Topology"),
        ("kueue.x-k8s.io", "WorkloadPriorityClass"),
        ("kueue.x-k8s.io", "Cohort"),
        ("kueue.x-k8s.io", "AdmissionCheck"),
    ],
    &[("kueue.x-k8s.io", "ClusterQueue")],
    &[("kueue.x-k8s.io", "LocalQueue")],
    &[
        ("trainer.kubeflow.org", "ClusterTrainingRuntime"),
        ("trainer.kubeflow.org", "TrainingRuntime"),
        ("serving.kserve.io", "ClusterServingRuntime"),
        ("serving.kserve.io", "ServingRuntime"),
        ("", "PodTemplate"),
        ("argoproj.io", "WorkflowTemplate"),
        ("argoproj.io", "ClusterWorkflowTemplate"),
    ],
];

/// What would stand in the way of everything else while the servers behind it are not up.
const LAST: &[(&str, &str)] = &[
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("apiregistration.k8s.io", "APIService"),
];

/// The place of an object's kind in the order, from 0.
pub(crate) fn rank(object: &Object) -> usize {
    let kind = (object.group(), object.kind.as_str());
    let last = usize::from(LAST.contains(&kind));
    FIRST.iter().position(|kinds| kinds.contains(&kind)).unwrap_or(FIRST.len() + last)
}
