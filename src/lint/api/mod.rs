//! What the Kubernetes API server checks in code, beyond the schemas: it answers `422 Invalid` to what breaks these rules.
//!
//! The rules are those of Kubernetes v1.36, applied after its defaults, to objects that are created. What has the wrong
//! type is left to the schema. Each file holds a group of kinds and names the sources that it follows.

mod autoscaling;
mod claims;
mod config;
mod crd;
mod cron;
mod forms;
mod jobs;
mod meta;
mod network;
mod pod;
mod policy;
mod quotas;
mod rbac;
mod read;
mod report;
mod services;
mod workloads;

#[cfg(test)]
mod tests;

use forms::Form;

use crate::catalog::Object;
use crate::lint::findings::Findings;
use crate::yaml::Node;

/// What is known of a built-in kind.
struct Kind {
    group: &'static str,
    /// Its name, within the group.
    called: &'static str,
    /// The form of the names of its objects.
    name: Form,
    /// Its own rules.
    rules: fn(&Node, &mut Findings<'_>),
}

const fn kind(group: &'static str, called: &'static str, name: Form, rules: fn(&Node, &mut Findings<'_>)) -> Kind {
    Kind { group, called, name, rules }
}

const RBAC: &str = "rbac.authorization.k8s.io";

/// The built-in kinds that have rules of their own, or names of another form than a DNS subdomain.
const KINDS: [Kind; 35] = [
    kind("", "Pod", forms::dns_subdomain, pod::check),
    kind("", "PodTemplate", forms::dns_subdomain, pod::check_pod_template),
    kind("", "ReplicationController", forms::dns_subdomain, workloads::replication_controller),
    kind("apps", "ReplicaSet", forms::dns_subdomain, workloads::replica_set),
    kind("apps", "Deployment", forms::dns_subdomain, workloads::deployment),
    kind("apps", "StatefulSet", forms::dns_label, workloads::stateful_set),
    kind("apps", "DaemonSet", forms::dns_subdomain, workloads::daemon_set),
    kind("batch", "Job", forms::dns_subdomain, jobs::job),
    kind("batch", "CronJob", forms::dns_subdomain, jobs::cron_job),
    kind("", "Service", forms::dns_label, services::check),
    kind("", "Endpoints", forms::dns_subdomain, network::endpoints),
    kind("discovery.k8s.io", "EndpointSlice", forms::dns_subdomain, network::endpoint_slice),
    kind("networking.k8s.io", "NetworkPolicy", forms::dns_subdomain, network::network_policy),
    kind("networking.k8s.io", "Ingress", forms::dns_subdomain, network::ingress),
    kind("networking.k8s.io", "IngressClass", forms::dns_subdomain, network::ingress_class),
    kind("", "ConfigMap", forms::dns_subdomain, config::config_map),
    kind("", "Secret", forms::dns_subdomain, config::secret),
    kind("", "PersistentVolumeClaim", forms::dns_subdomain, claims::claim),
    kind("", "PersistentVolume", forms::dns_subdomain, claims::volume),
    kind("storage.k8s.io", "StorageClass", forms::dns_subdomain, claims::storage_class),
    kind("", "ServiceAccount", forms::dns_subdomain, policy::nothing_more),
    kind("", "Namespace", forms::dns_label, policy::namespace),
    kind("", "ResourceQuota", forms::dns_subdomain, quotas::resource_quota),
    kind("", "LimitRange", forms::dns_subdomain, quotas::limit_range),
    kind("scheduling.k8s.io", "PriorityClass", forms::dns_subdomain, policy::priority_class),
    kind("node.k8s.io", "RuntimeClass", forms::dns_subdomain, policy::runtime_class),
    kind(RBAC, "Role", forms::path_segment, rbac::role),
    kind(RBAC, "ClusterRole", forms::path_segment, rbac::cluster_role),
    kind(RBAC, "RoleBinding", forms::path_segment, rbac::role_binding),
    kind(RBAC, "ClusterRoleBinding", forms::path_segment, rbac::cluster_role_binding),
    kind("autoscaling", "HorizontalPodAutoscaler", forms::dns_subdomain, autoscaling::check),
    kind("policy", "PodDisruptionBudget", forms::path_segment, policy::disruption_budget),
    kind("coordination.k8s.io", "Lease", forms::dns_subdomain, policy::lease),
    kind("apiextensions.k8s.io", "CustomResourceDefinition", forms::dns_subdomain, crd::check),
    kind("", "Event", forms::dns_subdomain, policy::nothing_more),
];

/// Reports what the API server would refuse in `object`: the rules for the metadata of every object, custom resources
/// included, and those of its own kind if it is a built-in one.
pub fn check(object: &Object, findings: &mut Findings<'_>) {
    let known = KINDS.iter().find(|kind| kind.called == object.kind && kind.group == object.group());
    let name = known.map_or(forms::dns_subdomain as Form, |kind| kind.name);
    meta::check(&object.root, name, known.is_some(), findings);
    if let Some(kind) = known {
        (kind.rules)(&object.root, findings);
    }
}

/// Reports what the API server would refuse in a pod template, wherever it stands: `spec` is the pod's spec, and
/// `template_metadata` the template's metadata.
pub fn check_pod_template_spec(template_metadata: Option<&Node>, spec: &Node, findings: &mut Findings<'_>) {
    pod::template_spec(template_metadata, spec, &[], findings);
}
