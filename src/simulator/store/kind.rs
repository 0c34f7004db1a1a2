//! The kinds that are served: Kubernetes' own, and those that CustomResourceDefinitions add.

use std::collections::HashMap;
use std::sync::Arc;

/// A kind of object, and the resource under which it is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "what discovery says of a resource is a list of such")]
pub struct Kind {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version in which its objects are stored.
    pub version: String,
    /// All versions that are served, the stored one among them if it is served.
    pub served: Vec<String>,
    /// `PyTorchJob`.
    pub kind: String,
    /// `pytorchjobs`.
    pub plural: String,
    /// `pytorchjob`.
    pub singular: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What `kubectl` may call it too.
    pub short_names: Vec<String>,
    /// Groups of kinds that `kubectl get` may name, such as `all`.
    pub categories: Vec<String>,
    /// Whether its status is written through a subresource alone.
    pub status: bool,
    /// Whether it has a `scale` subresource.
    pub scale: bool,
    /// Whether its objects count their generations.
    pub generation: bool,
    /// Whether a CustomResourceDefinition brought it.
    pub custom: bool,
}

impl Kind {
    /// `batch/v1`, or `v1` for the core group: the stored version.
    #[must_use]
    pub fn api_version(&self) -> String {
        group_version(&self.group, &self.version)
    }

    /// `jobs.batch`, or `pods` for the core group: how messages name the resource.
    #[must_use]
    pub fn resource(&self) -> String {
        dotted(&self.plural, &self.group)
    }

    /// `Job.batch`, or `Pod` for the core group: how messages of validation name the kind.
    #[must_use]
    pub fn group_kind(&self) -> String {
        dotted(&self.kind, &self.group)
    }

    /// Whether it is the kind called `kind` of `group`.
    #[must_use]
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }
}

/// `group/version`, or the version alone for the core group.
#[must_use]
pub fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn dotted(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// The group and the version of an `apiVersion`.
#[must_use]
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// Kubernetes' own kinds. Flags: `n` namespaced, `s` status, `c` scale, `g` generation, `a` category `all`.
/// Source: the discovery documents of Kubernetes v1.36.
const BUILT_IN: &[(&str, &str, &str, &str, &str, &str)] = &[
    ("", "v1", "ConfigMap", "configmaps", "n", "cm"),
    ("", "v1", "Endpoints", "endpoints", "n", "ep"),
    ("", "v1", "Event", "events", "n", "ev"),
    ("", "v1", "LimitRange", "limitranges", "n", "limits"),
    ("", "v1", "Namespace", "namespaces", "s", "ns"),
    ("", "v1", "Node", "nodes", "s", "no"),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "ns", "pvc"),
    ("", "v1", "PersistentVolume", "persistentvolumes", "s", "pv"),
    ("", "v1", "Pod", "pods", "nsga", "po"),
    ("", "v1", "PodTemplate", "podtemplates", "ng", ""),
    ("", "v1", "ReplicationController", "replicationcontrollers", "nscga", "rc"),
    ("", "v1", "ResourceQuota", "resourcequotas", "ns", "quota"),
    ("", "v1", "Secret", "secrets", "n", ""),
    ("", "v1", "ServiceAccount", "serviceaccounts", "n", "sa"),
    ("", "v1", "Service", "services", "nsa", "svc"),
    ("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", "g", ""),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", "sg", ""),
    (
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        "g",
        "",
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        "g",
        "",
    ),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", "sg", "crd,crds"),
    ("apiregistration.k8s.io", "v1", "APIService", "apiservices", "s", ""),
    ("apps", "v1", "ControllerRevision", "controllerrevisions", "n", ""),
    ("apps", "v1", "DaemonSet", "daemonsets", "nsga", "ds"),
    ("apps", "v1", "Deployment", "deployments", "nscga", "deploy"),
    ("apps", "v1", "ReplicaSet", "replicasets", "nscga", "rs"),
    ("apps", "v1", "StatefulSet", "statefulsets", "nscga", "sts"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "nsa", "hpa"),
    ("batch", "v1", "CronJob", "cronjobs", "nsga", "cj"),
    ("batch", "v1", "Job", "jobs", "nsga", ""),
    ("certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", "s", "csr"),
    ("coordination.k8s.io", "v1", "Lease", "leases", "n", ""),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "ng", ""),
    ("networking.k8s.io", "v1", "Ingress", "ingresses", "nsg", "ing"),
    ("networking.k8s.io", "v1", "IngressClass", "ingressclasses", "g", ""),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "ng", "netpol"),
    ("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", "", ""),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", "nsg", "pdb"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", "", ""),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", "", ""),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles", "n", ""),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", "n", ""),
    ("resource.k8s.io", "v1", "DeviceClass", "deviceclasses", "g", ""),
    ("resource.k8s.io", "v1", "ResourceClaim", "resourceclaims", "ns", ""),
    ("resource.k8s.io", "v1", "ResourceClaimTemplate", "resourceclaimtemplates", "n", ""),
    ("resource.k8s.io", "v1", "ResourceSlice", "resourceslices", "g", ""),
    ("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "g", "pc"),
    ("storage.k8s.io", "v1", "CSIDriver", "csidrivers", "", ""),
    ("storage.k8s.io", "v1", "CSINode", "csinodes", "", ""),
    ("storage.k8s.io", "v1", "StorageClass", "storageclasses", "", "sc"),
    ("storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", "sg", ""),
];

/// Every kind that is served, by its names.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    by_plural: HashMap<(String, String), Arc<Kind>>,
    by_kind: HashMap<(String, String), Arc<Kind>>,
}

impl Kinds {
    pub(super) fn built_in() -> Self {
        let mut kinds = Self::default();
        for &(group, version, kind, plural, flags, short_names) in BUILT_IN {
            let has = |flag| flags.contains(flag);
            let words = |text: &str| text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
            kinds.add(Kind {
                group: group.to_owned(),
                version: version.to_owned(),
                served: vec![version.to_owned()],
                kind: kind.to_owned(),
                plural: plural.to_owned(),
                singular: kind.to_lowercase(),
                namespaced: has('n'),
                short_names: words(short_names),
                categories: words(if has('a') { "all" } else { "" }),
                status: has('s'),
                scale: has('c'),
                generation: has('g'),
                custom: false,
            });
        }
        kinds
    }

    pub(super) fn add(&mut self, kind: Kind) -> Arc<Kind> {
        let kind = Arc::new(kind);
        self.by_plural.insert((kind.group.clone(), kind.plural.clone()), Arc::clone(&kind));
        self.by_kind.insert((kind.group.clone(), kind.kind.clone()), Arc::clone(&kind));
        kind
    }

    pub(super) fn remove(&mut self, group: &str, plural: &str) -> Option<Arc<Kind>> {
        let kind = self.by_plural.remove(&(group.to_owned(), plural.to_owned()))?;
        self.by_kind.remove(&(group.to_owned(), kind.kind.clone()));
        Some(kind)
    }

    pub(super) fn by_plural(&self, group: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.by_plural.get(&(group.to_owned(), plural.to_owned()))
    }

    pub(super) fn by_kind(&self, group: &str, kind: &str) -> Option<&Arc<Kind>> {
        self.by_kind.get(&(group.to_owned(), kind.to_owned()))
    }

    /// All of them, by group, then by resource.
    pub(super) fn all(&self) -> Vec<Arc<Kind>> {
        let mut kinds: Vec<_> = self.by_plural.values().cloned().collect();
        kinds.sort_by(|a, b| (&a.group, &a.plural).cmp(&(&b.group, &b.plural)));
        kinds
    }
}
