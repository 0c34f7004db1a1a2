//! All frameworks of a run, and which one describes an object.

use std::sync::{Arc, LazyLock};

use super::expression::Expression;
use super::raw::{DEFAULT_TIMEOUT, RawFramework};
use super::{Framework, Match, States, generic};
use crate::catalog::Object;
use crate::pod_template::pod_templates;
use crate::yaml;

const BUILTIN: &str = include_str!("builtin.yaml");

/// Kinds that hold pod templates and yet run nothing by themselves: something else uses them.
const TEMPLATES: [(&str, &str); 9] = [
    ("trainer.kubeflow.org", "TrainingRuntime"),
    ("trainer.kubeflow.org", "ClusterTrainingRuntime"),
    ("argoproj.io", "WorkflowTemplate"),
    ("argoproj.io", "ClusterWorkflowTemplate"),
    ("argoproj.io", "WorkflowEventBinding"),
    ("serving.kserve.io", "ServingRuntime"),
    ("serving.kserve.io", "ClusterServingRuntime"),
    ("kubeflow.org", "PodDefault"),
    ("apps.kruise.io", "SidecarSet"),
];

/// The frameworks of a run: the user's first, then the built-in ones.
#[derive(Clone, Debug)]
pub struct Frameworks {
    all: Vec<Arc<Framework>>,
}

impl Default for Frameworks {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Frameworks {
    /// The user's frameworks, with the built-in ones behind them.
    #[must_use]
    pub fn new(user: &[Framework]) -> Self {
        let builtin = builtin_raw().iter().filter_map(|raw| {
            // A test shows that every built-in framework can be built.
            raw.clone().build(|text| Ok(Expression::trusted(text))).ok()
        });
        Self { all: user.iter().cloned().chain(builtin).map(Arc::new).collect() }
    }

    /// The framework that describes the kind of `object`, if one does.
    #[must_use]
    pub fn find(&self, object: &Object) -> Option<Arc<Framework>> {
        self.describe(object.group(), object.version(), &object.kind)
    }

    /// The framework that describes a kind, if one does.
    #[must_use]
    pub fn describe(&self, group: &str, version: &str, kind: &str) -> Option<Arc<Framework>> {
        self.all.iter().find(|framework| framework.matches.covers(group, version, kind)).cloned()
    }

    /// A framework of generic conditions for an object that none describes, where it can be meant to run: a custom
    /// resource (its group has a domain that is not Kubernetes' own) that holds a pod template or shows conditions.
    #[must_use]
    pub fn generic(&self, object: &Object) -> Option<Arc<Framework>> {
        let group = object.group();
        if !self.is_undescribed(object) {
            return None;
        }
        let shows_conditions = object.root.at(&["status", "conditions"]).is_some_and(|found| found.as_seq().is_some());
        (shows_conditions || !pod_templates(&object.root).is_empty()).then(|| {
            Arc::new(Framework {
                name: object.kind.to_lowercase(),
                matches: Match { group: group.to_owned(), version: None, kind: object.kind.clone() },
                finishes: true,
                pods: None,
                container: None,
                container_required: false,
                timeout: DEFAULT_TIMEOUT,
                states: States {
                    failed: Expression::trusted(generic::FAILED),
                    succeeded: Expression::trusted(generic::SUCCEEDED),
                    suspended: Expression::trusted(generic::SUSPENDED),
                    running: Expression::trusted(generic::RUNNING),
                },
            })
        })
    }

    /// Whether it is a custom resource that may run something, and no framework describes its kind.
    #[must_use]
    pub fn is_undescribed(&self, object: &Object) -> bool {
        let group = object.group();
        let custom = group.contains('.') && (!group.ends_with(".k8s.io") || group.ends_with(".x-k8s.io"));
        custom && !Self::is_template(object) && self.find(object).is_none()
    }

    /// Whether the object only holds pod templates for others to use: nothing runs because of it.
    #[must_use]
    pub fn is_template(object: &Object) -> bool {
        TEMPLATES.contains(&(object.group(), &object.kind))
    }

    /// Every framework, in the order in which they are asked.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Framework>> {
        self.all.iter()
    }
}

/// The entries of `builtin.yaml`.
pub(super) fn builtin_raw() -> &'static [RawFramework] {
    static RAW: LazyLock<Vec<RawFramework>> = LazyLock::new(|| {
        let parsed = yaml::parse(BUILTIN);
        let entries = parsed.documents.first().map(|document| document.root.to_json());
        entries.and_then(|entries| serde_json::from_value(entries).ok()).unwrap_or_default()
    });
    &RAW
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_framework_can_be_read_and_its_expressions_compile() {
        let parsed = yaml::parse(BUILTIN);
        assert_eq!(parsed.errors, []);
        let raw: Vec<RawFramework> = serde_json::from_value(parsed.documents[0].root.to_json()).unwrap();
        assert_eq!(raw.len(), Frameworks::default().iter().count());
        for framework in raw {
            let name = framework.name.clone();
            assert!(Framework::try_from(framework).is_ok(), "{name}");
        }
        for text in [generic::FAILED, generic::SUCCEEDED, generic::SUSPENDED, generic::RUNNING] {
            assert_eq!(Expression::compile(text).map(|_| ()), Ok(()));
        }
    }

    #[test]
    fn names_are_unique() {
        let frameworks = Frameworks::default();
        let mut names: Vec<_> = frameworks.iter().map(|framework| framework.name.clone()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), frameworks.iter().count());
    }
}
