//! The built-in kinds of one Kubernetes version, as k8s-openapi describes them.

use std::sync::{LazyLock, OnceLock};

use k8s_openapi::schemars::JsonSchema;
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope, Resource};

use super::Scope;
use crate::schema::Schema;

/// A built-in kind.
pub(super) struct BuiltIn {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub scope: Scope,
    /// Whether this program also has what an API server validates in code for this kind.
    pub validated: bool,
    compiled: OnceLock<Schema>,
    compile: fn() -> Schema,
}

impl BuiltIn {
    fn of<T>(validated: bool) -> Self
    where
        T: Resource + JsonSchema,
        T::Scope: Scoped,
    {
        Self {
            group: T::GROUP,
            version: T::VERSION,
            kind: T::KIND,
            scope: T::Scope::SCOPE,
            validated,
            compiled: OnceLock::new(),
            compile: Schema::of_go_type::<T>,
        }
    }

    /// Its schema, compiled when it is first asked for.
    pub fn schema(&self) -> &Schema {
        self.compiled.get_or_init(self.compile)
    }

    /// `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// The scope of a Go type as a value.
trait Scoped {
    const SCOPE: Scope;
}

impl Scoped for NamespaceResourceScope {
    const SCOPE: Scope = Scope::Namespaced;
}

impl Scoped for ClusterResourceScope {
    const SCOPE: Scope = Scope::Cluster;
}

/// The kind of this group (empty for the core group), version and name.
pub(super) fn find(group: &str, version: &str, kind: &str) -> Option<&'static BuiltIn> {
    versions(group, kind).find(|known| known.version == version)
}

/// A kind in all its versions.
pub(super) fn versions(group: &str, kind: &str) -> impl Iterator<Item = &'static BuiltIn> {
    KINDS.iter().filter(move |known| known.group == group && known.kind == kind)
}

/// The names of a group and version's kinds.
pub(super) fn kinds(group: &str, version: &str) -> impl Iterator<Item = &'static str> {
    KINDS.iter().filter(move |known| known.group == group && known.version == version).map(|known| known.kind)
}

/// Every kind.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = &'static BuiltIn> {
    KINDS.iter()
}

/// Lists kinds by module; `validated` ones are also validated in code.
macro_rules! kinds {
    (validated) => { true };
    (decoded) => { false };
    ($($($module:ident)::+ [$flag:ident]: $($kind:ident),+;)+) => {
        static KINDS: LazyLock<Box<[BuiltIn]>> = LazyLock::new(|| {
            let modules = [$({
                use $($module)::+ as module;
                vec![$(BuiltIn::of::<module::$kind>(kinds!($flag))),+]
            }),+];
            modules.into_iter().flatten().collect()
        });
    };
}

kinds! {
    k8s_openapi::api::core::v1 [validated]: ConfigMap, Endpoints, LimitRange, Namespace, PersistentVolumeClaim, Pod, PodTemplate, ReplicationController, ResourceQuota, Secret, Service, ServiceAccount;
    k8s_openapi::api::core::v1 [decoded]: Binding, Event, Node, PersistentVolume;
    k8s_openapi::api::apps::v1 [validated]: DaemonSet, Deployment, ReplicaSet, StatefulSet;
    k8s_openapi::api::apps::v1 [decoded]: ControllerRevision;
    k8s_openapi::api::batch::v1 [validated]: CronJob, Job;
    k8s_openapi::api::autoscaling::v1 [validated]: HorizontalPodAutoscaler;
    k8s_openapi::api::autoscaling::v2 [validated]: HorizontalPodAutoscaler;
    k8s_openapi::api::policy::v1 [validated]: PodDisruptionBudget;
    k8s_openapi::api::networking::v1 [validated]: Ingress, IngressClass, NetworkPolicy;
    k8s_openapi::api::networking::v1 [decoded]: IPAddress, ServiceCIDR;
    k8s_openapi::api::rbac::v1 [validated]: ClusterRole, ClusterRoleBinding, Role, RoleBinding;
    k8s_openapi::api::storage::v1 [validated]: StorageClass;
    k8s_openapi::api::storage::v1 [decoded]: CSIDriver, CSINode, CSIStorageCapacity, VolumeAttachment, VolumeAttributesClass;
    k8s_openapi::api::scheduling::v1 [validated]: PriorityClass;
    k8s_openapi::api::scheduling::v1alpha3 [decoded]: CompositePodGroup, PodGroup, Workload;
    k8s_openapi::api::scheduling::v1beta1 [decoded]: PodGroup, Workload;
    k8s_openapi::api::coordination::v1 [validated]: Lease;
    k8s_openapi::api::coordination::v1alpha2 [decoded]: LeaseCandidate;
    k8s_openapi::api::coordination::v1beta1 [decoded]: LeaseCandidate;
    k8s_openapi::api::node::v1 [validated]: RuntimeClass;
    k8s_openapi::api::discovery::v1 [validated]: EndpointSlice;
    k8s_openapi::api::events::v1 [decoded]: Event;
    k8s_openapi::api::flowcontrol::v1 [decoded]: FlowSchema, PriorityLevelConfiguration;
    k8s_openapi::api::certificates::v1 [decoded]: CertificateSigningRequest, ClusterTrustBundle, PodCertificateRequest;
    k8s_openapi::api::certificates::v1beta1 [decoded]: ClusterTrustBundle, PodCertificateRequest;
    k8s_openapi::api::admissionregistration::v1 [decoded]: MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration;
    k8s_openapi::api::admissionregistration::v1alpha1 [decoded]: MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding;
    k8s_openapi::api::admissionregistration::v1beta1 [decoded]: MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding;
    k8s_openapi::api::resource::v1 [decoded]: DeviceClass, DeviceTaintRule, ResourceClaim, ResourceClaimTemplate, ResourceSlice;
    k8s_openapi::api::resource::v1alpha3 [decoded]: DeviceTaintRule, ResourcePoolStatusRequest;
    k8s_openapi::api::resource::v1beta1 [decoded]: DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice;
    k8s_openapi::api::resource::v1beta2 [decoded]: DeviceClass, DeviceTaintRule, ResourceClaim, ResourceClaimTemplate, ResourceSlice;
    k8s_openapi::api::lifecycle::v1alpha1 [decoded]: Eviction, EvictionRequest;
    k8s_openapi::api::authentication::v1 [decoded]: SelfSubjectReview, TokenReview;
    k8s_openapi::api::authorization::v1 [decoded]: LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview;
    k8s_openapi::api::storagemigration::v1 [decoded]: StorageVersionMigration;
    k8s_openapi::api::storagemigration::v1beta1 [decoded]: StorageVersionMigration;
    k8s_openapi::api::apiserverinternal::v1alpha1 [decoded]: StorageVersion;
    k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 [decoded]: CustomResourceDefinition;
    k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 [decoded]: APIService;
}
