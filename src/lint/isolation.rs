//! Isolation: each attempt gets a namespace of its own. What reaches beyond it, or keeps anything from running in it.

use std::collections::{HashMap, HashSet};

use super::code;
use super::findings::{Anchor, Findings};
use super::references::Index as References;
use super::versions::is_builtin_group;
use crate::catalog::{Catalog, Example, ExampleKind, Object};
use crate::diagnostic::Severity;
use crate::model::{ExampleId, Tier};
use crate::yaml::Node;

/// The label of a job that Kueue holds back until there is room.
const QUEUE_LABEL: &str = "kueue.x-k8s.io/queue-name";

/// Kinds of Kubernetes itself that belonged to the whole cluster, and that no schema is known for any more.
const CLUSTER_SCOPED: [&str; 5] =
    ["AuditSink", "ComponentStatus", "InitializerConfiguration", "PodSecurityPolicy", "ResourceClass"];

/// Whether an object belongs to the whole cluster: as its schema says (`namespaced`); a custom
/// resource without a schema is taken for namespaced unless its kind begins with `Cluster`.
#[must_use]
pub fn is_cluster_scoped(object: &Object, namespaced: Option<bool>) -> bool {
    match namespaced {
        Some(namespaced) => !namespaced,
        None if is_builtin_group(object.group()) => CLUSTER_SCOPED.contains(&object.kind.as_str()),
        None => object.kind.starts_with("Cluster") && object.kind != "Cluster",
    }
}

/// What makes an object itself and no other: group, kind, namespace, name.
type Identity<'a> = (&'a str, &'a str, &'a str, &'a str);

/// Which examples hold which objects, over a whole catalog.
pub struct Index<'a> {
    holders: HashMap<Identity<'a>, Vec<&'a Example>>,
    needed: HashSet<&'a ExampleId>,
}

impl<'a> Index<'a> {
    /// An index of `catalog`.
    #[must_use]
    pub fn new(catalog: &'a Catalog) -> Self {
        let mut holders: HashMap<_, Vec<_>> = HashMap::new();
        for example in &catalog.examples {
            for identity in example.objects.iter().filter_map(identity) {
                holders.entry(identity).or_default().push(example);
            }
        }
        let needed = catalog.examples.iter().flat_map(|example| &example.settings.needs).collect();
        Self { holders, needed }
    }

    /// Whether the example is ever applied to a cluster: for itself, or because another one needs it.
    fn is_applied(&self, example: &Example) -> bool {
        let itself = !example.settings.support && example.settings.tier > Tier::Basic;
        itself || self.needed.contains(&example.id)
    }

    /// The other examples that hold the same object. A kustomize folder is often rendered from files that are examples
    /// themselves, so none of its objects count.
    fn others(&self, example: &Example, object: &'a Object) -> Vec<&'a Example> {
        let holders = identity(object).and_then(|identity| self.holders.get(&identity));
        let plain = |other: &&Example| other.kind == ExampleKind::Manifest && other.id != example.id;
        if example.kind == ExampleKind::Manifest {
            holders.into_iter().flatten().copied().filter(plain).collect()
        } else {
            Vec::new()
        }
    }
}

fn identity(object: &Object) -> Option<Identity<'_>> {
    let name = object.root.at(&["metadata", "name"]).and_then(Node::as_str).filter(|name| !name.is_empty())?;
    Some((object.group(), &object.kind, object.namespace.as_deref().unwrap_or("default"), name))
}

/// Checks what reaches beyond an example's own namespace: `EV501`, `EV502`, `EV503`, and `EV506`. `namespaced` is what the
/// object's schema says, if it has one.
pub fn check<'a>(
    example: &'a Example,
    object: &'a Object,
    namespaced: Option<bool>,
    index: &Index<'a>,
    references: &References<'a>,
    findings: &mut Findings<'_>,
) {
    let cluster_scoped = is_cluster_scoped(object, namespaced);
    if cluster_scoped {
        let anchor = object.root.get("kind").unwrap_or(&object.root);
        let article = if object.kind.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" };
        let message = format!("{article} {} belongs to the whole cluster, not to a namespace", object.kind);
        findings.note(code::CLUSTER_SCOPED, anchor, message).help = Some(
            "examples that run at the same time share it; it is deleted after the example, unless it was there before"
                .to_owned(),
        );
    } else {
        namespace(object, findings);
    }
    same_identity(example, object, cluster_scoped, index, references, findings);
    if example.settings.tier != Tier::Basic {
        suspended(object, findings);
    }
}

fn namespace(object: &Object, findings: &mut Findings<'_>) {
    let node = object.root.at(&["metadata", "namespace"]);
    if let Some(node) = node
        && let Some(name) = node.as_str().filter(|name| !name.is_empty())
    {
        let message = format!("the namespace `{name}` is hard-coded; it is rewritten to the namespace of the attempt");
        findings.note(code::NAMESPACE, node, message).help =
            Some("leave `namespace` out, so that users can apply the example anywhere with `kubectl -n`".to_owned());
    }
}

fn same_identity<'a>(
    example: &'a Example,
    object: &'a Object,
    cluster_scoped: bool,
    index: &Index<'a>,
    references: &References<'a>,
    findings: &mut Findings<'_>,
) {
    let Some(node) = object.root.at(&["metadata", "name"]) else { return };
    let Some(own) = identity(object) else { return };
    let earlier = example.objects.iter().take_while(|other| !std::ptr::eq(*other, object));
    if earlier.filter_map(identity).any(|other| other == own) {
        let message = format!("{} stands twice in this example; the second one replaces the first", object.reference());
        findings.warning(code::SAME_IDENTITY, node, message).help = Some("give one of the two another name".to_owned());
        return;
    }
    let needs = |one: &'a Example, other: &'a Example| {
        !one.settings.needs.is_empty() && references.closure(one).iter().any(|needed| needed.id == other.id)
    };
    let mut others = index.others(example, object);
    if others.is_empty() {
        return;
    }
    others.retain(|other| !needs(example, other) && !needs(other, example));
    others.dedup_by(|one, other| one.id == other.id);
    let Some(first) = others.first() else { return };
    let more = match others.len() - 1 {
        0 => String::new(),
        count => format!(" (and {count} more)"),
    };
    // Only what is applied in this project's own runs can meet there.
    let meets = |other: &&Example| index.is_applied(example) && index.is_applied(other);
    let (severity, help) = match cluster_scoped {
        true if others.iter().any(meets) => {
            (Severity::Warning, "the two can't be on one cluster at the same time: give one of them another name")
        }
        true => (
            Severity::Note,
            "whoever applies both replaces one with the other: give one of them another name, if that matters",
        ),
        false => (
            Severity::Note,
            "whoever applies both to one namespace replaces one with the other: give one of them another name",
        ),
    };
    let message = format!("{} stands in {} too{more}", object.reference(), first.id);
    findings.add(code::SAME_IDENTITY, severity, node, message).help = Some(help.to_owned());
}

/// `suspend: true` where workloads have it.
fn suspended(object: &Object, findings: &mut Findings<'_>) {
    const PATHS: [&[&str]; 3] = [&["spec"], &["spec", "runPolicy"], &["spec", "jobTemplate", "spec"]];
    let entries = PATHS.iter().filter_map(|path| object.root.at(path)?.entry("suspend"));
    for entry in entries.filter(|entry| entry.value.as_bool() == Some(true)) {
        let queued = object.root.at(&["metadata", "labels", QUEUE_LABEL]).is_some();
        let anchor = Anchor::Value(&entry.value);
        if queued {
            let message = "suspended until its Kueue queue admits it; the cluster needs Kueue for this";
            findings.note(code::SUSPENDED, anchor, message);
        } else {
            let message = "nothing runs until somebody sets this to false, so the example can't succeed";
            findings.warning(code::SUSPENDED, anchor, message).help =
                Some("leave `suspend` out; if it belongs to the example, mark it with `tier: basic`".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::fixture::{self, catalog, example, example_with_needs};
    use crate::lint::schemas::{Schemas, Scope};

    /// What is found in an example; without `namespaced`, the schemas of built-in kinds say it.
    fn found_in(catalog: &Catalog, id: &str, namespaced: Option<bool>) -> Vec<String> {
        let schemas = Schemas::default();
        let (index, references) = (Index::new(catalog), References::new(catalog, Some(&[]), &[]));
        let example = catalog.examples.iter().find(|example| example.id == ExampleId::new(id)).unwrap();
        let mut lines = Vec::new();
        for object in &example.objects {
            let mut findings = Findings::new(&example.source, &object.root);
            let namespaced = namespaced.or_else(|| Some(schemas.scope(object)? == Scope::Namespaced));
            check(example, object, namespaced, &index, &references, &mut findings);
            lines.extend(findings.diagnostics.iter().map(fixture::line));
        }
        lines
    }

    fn found(text: &str) -> Vec<String> {
        found_in(&catalog(vec![example("a.yaml", text)]), "a.yaml", None)
    }

    const JOB: &str = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\n";
    const CLASS: &str = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: a}\n";

    #[test]
    fn a_hard_coded_namespace_is_a_note() {
        assert_eq!(
            found("apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: a\n  namespace: kubeflow\n"),
            [
                "EV501 note 5 metadata.namespace: the namespace `kubeflow` is hard-coded; it is rewritten to the namespace \
              of the attempt"
            ]
        );
        assert!(found(JOB).is_empty());
    }

    #[test]
    fn an_object_of_the_whole_cluster_is_a_note() {
        for kind in [
            "v1\nkind: PersistentVolume",
            "storage.k8s.io/v1beta1\nkind: VolumeAttributesClass",
            "v1\nkind: Namespace",
            "policy/v1beta1\nkind: PodSecurityPolicy",
            "resource.k8s.io/v1alpha2\nkind: ResourceClass",
        ] {
            let lines = found(&format!("apiVersion: {kind}\nmetadata: {{name: a}}\n"));
            assert!(lines.len() == 1 && lines[0].starts_with("EV503 note 2"), "{lines:?}");
        }
        assert!(found("apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: a}\n").is_empty());
    }

    #[test]
    fn the_schema_knows_the_scope_better_than_the_name() {
        let runtime = "apiVersion: x.io/v1\nkind: ClusterThing\nmetadata: {name: a}\n";
        let catalog = catalog(vec![example("a.yaml", runtime)]);
        assert_eq!(found_in(&catalog, "a.yaml", Some(true)), [""; 0]);
        assert_eq!(found_in(&catalog, "a.yaml", Some(false)).len(), 1);
        assert_eq!(found_in(&catalog, "a.yaml", None).len(), 1);
    }

    #[test]
    fn the_same_object_in_two_examples_is_a_note_in_both() {
        let catalog = catalog(vec![example("a.yaml", JOB), example("b.yaml", JOB)]);
        assert_eq!(found_in(&catalog, "a.yaml", None), ["EV502 note 3 metadata.name: Job/a stands in b.yaml too"]);
        assert_eq!(found_in(&catalog, "b.yaml", None).len(), 1);
    }

    #[test]
    fn the_same_cluster_scoped_object_in_two_examples_is_a_warning() {
        let catalog = catalog(vec![example("a.yaml", CLASS), example("b.yaml", CLASS)]);
        assert!(found_in(&catalog, "a.yaml", None).iter().any(|line| line.starts_with("EV502 warning")));
    }

    #[test]
    fn alternatives_that_nothing_applies_cannot_meet_on_a_cluster() {
        let mut examples = vec![example("a.yaml", CLASS), example("b.yaml", CLASS)];
        for example in &mut examples {
            example.settings.support = true;
        }
        let apart = catalog(examples.clone());
        assert!(found_in(&apart, "a.yaml", None).iter().any(|line| line.starts_with("EV502 note")));
        examples.push(example_with_needs("x.yaml", JOB, &["a.yaml"]));
        examples.push(example_with_needs("y.yaml", JOB, &["b.yaml"]));
        let together = catalog(examples);
        assert!(found_in(&together, "a.yaml", None).iter().any(|line| line.starts_with("EV502 warning")));
    }

    #[test]
    fn a_kind_has_the_article_that_it_is_spoken_with() {
        let lines = found("apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: a}\n");
        assert!(lines[0].contains("an APIService belongs"), "{lines:?}");
    }

    #[test]
    fn another_namespace_another_kind_or_a_generated_name_is_another_object() {
        for other in [
            "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a, namespace: b}\n",
            "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: a}\n",
            "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: a}\n",
        ] {
            let catalog = catalog(vec![example("a.yaml", JOB), example("b.yaml", other)]);
            assert!(found_in(&catalog, "a.yaml", None).is_empty(), "{other}");
        }
    }

    #[test]
    fn an_object_that_an_example_needs_may_stand_in_it_too() {
        let catalog = catalog(vec![example_with_needs("a.yaml", JOB, &["b.yaml"]), example("b.yaml", JOB)]);
        assert!(found_in(&catalog, "a.yaml", None).is_empty());
        assert!(found_in(&catalog, "b.yaml", None).is_empty());
    }

    #[test]
    fn what_a_kustomize_folder_renders_is_no_second_object() {
        let mut folder = example("overlay", JOB);
        folder.kind = ExampleKind::Kustomize;
        let catalog = catalog(vec![example("a.yaml", JOB), folder]);
        assert!(found_in(&catalog, "a.yaml", None).is_empty());
        assert!(found_in(&catalog, "overlay", None).is_empty());
    }

    #[test]
    fn an_object_that_stands_twice_in_one_file_is_a_warning() {
        let lines = found(&format!("{JOB}---\n{JOB}"));
        assert!(lines.len() == 1 && lines[0].starts_with("EV502 warning 7"), "{lines:?}");
    }

    #[test]
    fn a_suspended_workload_is_a_warning() {
        for spec in ["{suspend: true}", "{runPolicy: {suspend: true}}", "{jobTemplate: {spec: {suspend: true}}}"] {
            let lines = found(&format!("{JOB}spec: {spec}\n"));
            assert!(lines.len() == 1 && lines[0].starts_with("EV506 warning 4"), "{spec}: {lines:?}");
        }
        assert!(found(&format!("{JOB}spec: {{suspend: false}}\n")).is_empty());
    }

    #[test]
    fn a_suspended_example_that_never_runs_is_fine() {
        let mut example = example("a.yaml", &format!("{JOB}spec: {{suspend: true}}\n"));
        example.settings.tier = Tier::Basic;
        assert!(found_in(&catalog(vec![example]), "a.yaml", None).is_empty());
    }

    #[test]
    fn a_job_in_a_queue_is_meant_to_be_suspended() {
        let text = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a, labels: {kueue.x-k8s.io/queue-name: q}}\nspec: {suspend: true}\n";
        let lines = found(text);
        assert!(lines.len() == 1 && lines[0].starts_with("EV506 note"), "{lines:?}");
    }

    #[test]
    fn kubeflows_namespaces_volumes_and_names_are_told() {
        let Some(catalog) = fixture::folder("../shared/kubeflow-v1/examples") else { return };
        let lines: Vec<_> =
            catalog.examples.iter().flat_map(|example| found_in(&catalog, example.id.as_str(), None)).collect();
        let count = |code: &str| lines.iter().filter(|line| line.starts_with(code)).count();
        assert_eq!((count("EV501"), count("EV502"), count("EV503")), (8, 4, 1), "{lines:#?}");
        for name in ["xgboost-dist-test", "xgboost-dist-iris-test-train"] {
            assert!(lines.iter().any(|line| line.contains(&format!("/{name} stands in"))), "{lines:#?}");
        }
    }
}
