//! Which objects of an example are judged, and by which framework.

use std::sync::Arc;
use std::time::Duration;

use super::Object;
use crate::diagnostic::{Diagnostic, Severity, Source, code};
use crate::framework::{Framework, Frameworks};

/// The judged objects of an example: indices into its objects, each with its framework.
pub type Judged = Vec<(usize, Arc<Framework>)>;

/// The batch kinds if there are any, else everything that only becomes ready; where nothing is described, custom
/// resources that look as if they ran something, by generic conditions.
#[must_use]
pub fn judged(objects: &[Object], frameworks: &Frameworks) -> Judged {
    let by = |describe: &dyn Fn(&Object) -> Option<Arc<Framework>>| -> Judged {
        objects.iter().enumerate().filter_map(|(index, object)| Some((index, describe(object)?))).collect()
    };
    let described = by(&|object| frameworks.find(object));
    if described.is_empty() {
        return by(&|object| frameworks.generic(object));
    }
    let batch: Judged = described.iter().filter(|(_, framework)| framework.finishes).cloned().collect();
    if batch.is_empty() { described } else { batch }
}

/// Notes on the custom resources of an example in which nothing is judged: it may be meant to run, and is not tried.
#[must_use]
pub fn unjudged(objects: &[Object], frameworks: &Frameworks, source: &Arc<Source>) -> Vec<Diagnostic> {
    let undescribed = objects.iter().filter(|object| frameworks.is_undescribed(object));
    let note = |object: &Object| {
        let message = format!(
            "{} is checked, but not tried on a cluster: no framework describes {} {}",
            object.reference(),
            object.api_version,
            object.kind
        );
        let anchor = object.root.get("kind").unwrap_or(&object.root);
        let help = "say under `frameworks` in the config when it has succeeded; or, if it only helps others, set `support: true`";
        let found = Diagnostic::error(message).with_severity(Severity::Note).at(source, anchor.span).with_help(help);
        Diagnostic { code: Some(code::UNJUDGED), ..found }
    };
    undescribed.map(note).collect()
}

/// How long an attempt may take: as long as the slowest of them may, for they run side by side.
#[must_use]
pub fn timeout(judged: &Judged) -> Option<Duration> {
    judged.iter().map(|(_, framework)| framework.timeout).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::objects::objects;
    use crate::diagnostic::Source;
    use crate::yaml::parse;

    fn names(kinds: &[&str]) -> Vec<String> {
        let pod = "spec: {template: {spec: {containers: [{name: a}]}}}";
        let documents: Vec<_> = kinds
            .iter()
            .map(|kind| {
                let (api_version, kind) = kind.rsplit_once(' ').unwrap();
                format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: x}}\n{pod}\n")
            })
            .collect();
        let text = documents.join("---\n");
        let (objects, _) = objects(parse(&text).documents, &Source::new("a.yaml", text.clone()));
        judged(&objects, &Frameworks::default())
            .into_iter()
            .map(|(index, framework)| format!("{index} {}", framework.name))
            .collect()
    }

    #[test]
    fn batch_kinds_go_before_what_only_becomes_ready() {
        assert_eq!(
            names(&["apps/v1 Deployment", "batch/v1 Job", "v1 Service", "kubeflow.org/v1 TFJob"]),
            ["1 job", "3 tfjob"]
        );
        assert_eq!(names(&["v1 Pod", "apps/v1 DaemonSet", "v1 ConfigMap"]), ["0 pod", "1 daemonset"]);
    }

    #[test]
    fn a_kind_that_nobody_described_is_judged_only_where_nothing_else_is() {
        assert_eq!(names(&["example.com/v1 Training", "v1 ConfigMap"]), ["0 training"]);
        assert_eq!(names(&["example.com/v1 Training", "batch/v1 Job"]), ["1 job"]);
    }

    #[test]
    fn a_custom_resource_that_nobody_can_judge_is_noted_and_one_that_helps_others_is_not() {
        let text = "apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {name: p}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: \
                    {name: c}\n---\napiVersion: serving.kserve.io/v1alpha1\nkind: ServingRuntime\nmetadata: {name: s}\n---\napiVersion: \
                    rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r}\n";
        let source = Source::new("a.yaml", text);
        let (objects, _) = objects(parse(text).documents, &source);
        let found = unjudged(&objects, &Frameworks::default(), &source);
        let told: Vec<_> = found.iter().map(|note| (note.severity, note.code, note.message.as_str())).collect();
        let message =
            "PipelineRun/p is checked, but not tried on a cluster: no framework describes tekton.dev/v1 PipelineRun";
        assert_eq!(told, [(Severity::Note, Some(code::UNJUDGED), message)]);
    }

    #[test]
    fn what_runs_nothing_is_not_judged() {
        for kind in [
            "v1 ConfigMap",
            "v1 Service",
            "v1 PersistentVolumeClaim",
            "rbac.authorization.k8s.io/v1 Role",
            "apiextensions.k8s.io/v1 CustomResourceDefinition",
            "v1 Namespace",
            "v1 PodTemplate",
            "trainer.kubeflow.org/v1alpha1 ClusterTrainingRuntime",
        ] {
            assert_eq!(names(&[kind]), [""; 0], "{kind}");
        }
        let text = "apiVersion: example.com/v1\nkind: Queue\nmetadata: {name: x}\nspec: {size: 3}\n";
        let (objects, _) = objects(parse(text).documents, &Source::new("a.yaml", text));
        assert!(judged(&objects, &Frameworks::default()).is_empty());
    }
}
