//! What the steps have put onto a cluster.

use std::fmt;

use serde_json::Value as Json;

use crate::catalog::Object;
use crate::trial::apply::request::text;

/// An object of a cluster, by its names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// Its namespace; `None` for one of the whole cluster.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl Reference {
    /// The reference of an object that a cluster has answered with.
    #[must_use]
    pub fn of(object: &Json) -> Self {
        let namespace = Some(text(object, "/metadata/namespace")).filter(|namespace| !namespace.is_empty());
        Self {
            api_version: text(object, "/apiVersion").to_owned(),
            kind: text(object, "/kind").to_owned(),
            namespace: namespace.map(str::to_owned),
            name: text(object, "/metadata/name").to_owned(),
        }
    }

    /// The reference of an object of a manifest. One that sets no namespace is put into `namespace`; `None` for what lives in none.
    #[must_use]
    pub fn in_manifest(object: &Object, namespace: Option<&str>) -> Self {
        Self {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
            namespace: namespace.map(|namespace| object.namespace.clone().unwrap_or_else(|| namespace.to_owned())),
            name: object.name.clone(),
        }
    }

    /// `Kind/name`, as causes name objects.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// Whether it runs pods that are there to stay: a Deployment, a StatefulSet, a DaemonSet.
    #[must_use]
    pub fn is_workload(&self) -> bool {
        self.group() == "apps" && ["Deployment", "StatefulSet", "DaemonSet"].contains(&self.kind.as_str())
    }

    /// Whether it tells the API server of admission webhooks.
    #[must_use]
    pub fn is_webhook_configuration(&self) -> bool {
        self.group() == "admissionregistration.k8s.io" && self.kind.ends_with("WebhookConfiguration")
    }

    /// Whether it defines a kind.
    #[must_use]
    pub fn is_definition(&self) -> bool {
        self.group() == "apiextensions.k8s.io" && self.kind == "CustomResourceDefinition"
    }
}

impl fmt::Display for Reference {
    /// `Deployment kubeflow/training-operator`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// What the steps have put onto a cluster, in the order in which it was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// Every object.
    pub objects: Vec<Reference>,
}

impl Installed {
    /// The Deployments, StatefulSets and DaemonSets.
    pub fn workloads(&self) -> impl Iterator<Item = &Reference> {
        self.objects.iter().filter(|object| object.is_workload())
    }

    /// The configurations of admission webhooks.
    pub fn webhook_configurations(&self) -> impl Iterator<Item = &Reference> {
        self.objects.iter().filter(|object| object.is_webhook_configuration())
    }

    /// The CRDs.
    pub fn definitions(&self) -> impl Iterator<Item = &Reference> {
        self.objects.iter().filter(|object| object.is_definition())
    }
}
