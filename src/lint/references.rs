//! References from an object to others by name: whether the example itself, or what it `needs`, brings them.
//!
//! Namespaces are not compared: an attempt gets a namespace of its own, into which everything of the example is put.

mod collect;

use std::collections::{HashMap, HashSet};

use super::code;
use super::findings::Findings;
use crate::catalog::{Catalog, Example, Object};
use crate::diagnostic::Severity;
use crate::model::ExampleId;
use crate::yaml::Node;
use collect::{Purpose, Reference, references};

/// What is known of a kind that others refer to.
struct Target {
    kind: &'static str,
    code: &'static str,
    /// Objects of this kind that every cluster, and every namespace of it, has.
    existing: &'static [&'static str],
    /// Whether an operator's own objects of this kind can be used from everywhere.
    cluster_scoped: bool,
    /// What becomes of the pods without it.
    consequence: &'static str,
}

/// The kinds that references may name. `standard` is the storage class of kind.
const TARGETS: [Target; 10] = [
    target("ConfigMap", code::CONFIG_MAP, &["kube-root-ca.crt"], false, "the pods wait for it and never start"),
    target("Secret", code::SECRET, &[], false, "the pods wait for it and never start"),
    target("PersistentVolumeClaim", code::CLAIM, &[], false, "the pods stay Pending"),
    target("ServiceAccount", code::SERVICE_ACCOUNT, &["default"], false, "no pod can be created"),
    target(
        "PriorityClass",
        code::PRIORITY_CLASS,
        &["system-cluster-critical", "system-node-critical"],
        true,
        "no pod can be created",
    ),
    target("ClusterTrainingRuntime", code::RUNTIME, &[], true, "the job is refused"),
    target("TrainingRuntime", code::RUNTIME, &[], false, "the job is refused"),
    target("RuntimeClass", code::RUNTIME, &[], true, "no pod can be created"),
    target("StorageClass", code::RUNTIME, &["standard", ""], true, "the claim stays Pending"),
    target("LocalQueue", code::RUNTIME, &[], false, "the job stays suspended"),
];

const fn target(
    kind: &'static str,
    code: &'static str,
    existing: &'static [&'static str],
    cluster_scoped: bool,
    consequence: &'static str,
) -> Target {
    Target { kind, code, existing, cluster_scoped, consequence }
}

/// Who brings what, over a whole catalog.
pub struct Index<'a> {
    examples: HashMap<&'a ExampleId, &'a Example>,
    /// The examples that bring an object, by kind and name.
    bringers: HashMap<(&'a str, &'a str), Vec<&'a Example>>,
    /// What the operator's steps bring, by kind and name; `None` if that is not known.
    operator: Option<HashSet<(&'a str, &'a str)>>,
    pull_secrets: &'a [String],
}

impl<'a> Index<'a> {
    /// An index of `catalog`. `operator` are the objects that the operator's steps bring; `None` if there are steps that could
    /// not be rendered, so that nothing can be said of cluster-scoped objects. `pull_secrets` are the config's.
    #[must_use]
    pub fn new(catalog: &'a Catalog, operator: Option<&'a [Object]>, pull_secrets: &'a [String]) -> Self {
        let mut bringers: HashMap<_, Vec<_>> = HashMap::new();
        for example in &catalog.examples {
            for object in &example.objects {
                bringers.entry(identity(object)).or_default().push(example);
            }
        }
        Self {
            examples: catalog.examples.iter().map(|example| (&example.id, example)).collect(),
            bringers,
            operator: operator.map(|objects| objects.iter().map(identity).collect()),
            pull_secrets,
        }
    }

    /// The example and everything that it needs, directly or not.
    #[must_use]
    pub fn closure(&self, example: &'a Example) -> Vec<&'a Example> {
        let mut closure = vec![example];
        let mut next = 0;
        while let Some(current) = closure.get(next).copied() {
            for need in current.settings.needs.iter().filter_map(|id| self.examples.get(id).copied()) {
                if !closure.iter().any(|known| known.id == need.id) {
                    closure.push(need);
                }
            }
            next += 1;
        }
        closure
    }

    /// Checks the references of an object of `example`: `EV205` to `EV210`, each missing object once.
    pub fn check(&self, example: &'a Example, object: &Object, findings: &mut Findings<'_>) {
        let references = references(object);
        if references.is_empty() {
            return;
        }
        let closure = self.closure(example);
        let mut told = HashSet::new();
        for reference in references.iter().filter(|reference| !reference.optional) {
            let Some(target) = TARGETS.iter().find(|target| target.kind == reference.kind) else { continue };
            if self.is_there(target, reference) || !is_name(reference.name) {
                continue;
            }
            let found = brought(&closure, reference);
            if found.is_empty() {
                let generated =
                    closure.iter().flat_map(|example| &example.objects).any(|own| generates(own, reference));
                if !generated && told.insert((reference.kind, reference.name)) {
                    self.missing(example, target, reference, findings);
                }
            } else {
                missing_keys(target, reference, &found, findings);
            }
        }
    }

    /// Whether every cluster has the object, or the operator's steps or the config bring it, or nothing can be said.
    fn is_there(&self, target: &Target, reference: &Reference<'_>) -> bool {
        let by_operator = target.cluster_scoped
            && self.operator.as_ref().is_none_or(|objects| objects.contains(&(reference.kind, reference.name)));
        target.existing.contains(&reference.name)
            || by_operator
            || (reference.kind == "Secret" && self.pull_secrets.iter().any(|name| name == reference.name))
    }

    fn missing(&self, example: &Example, target: &Target, reference: &Reference<'_>, findings: &mut Findings<'_>) {
        let (kind, name) = (reference.kind, reference.name);
        let message = format!("neither this example nor its `needs` bring the {kind} `{name}`");
        let elsewhere = self.bringers.get(&(kind, name)).into_iter().flatten();
        // What is needed is no longer judged by itself, so a file that holds nothing to judge is the better advice.
        let nearest = elsewhere
            .filter(|other| other.id != example.id)
            .max_by_key(|other| (other.settings.support, common_prefix(other.id.as_str(), example.id.as_str())));
        let (severity, consequence) = match reference.purpose {
            Purpose::Use => (Severity::Warning, target.consequence),
            Purpose::Pull => (Severity::Note, "images are pulled without credentials"),
        };
        let help = match nearest {
            Some(other) => format!("{} brings it: add it to this example's `needs`", other.id),
            None if target.cluster_scoped => {
                format!("add it to the example, or have the operator's steps bring it; {consequence} otherwise")
            }
            None => format!("add it to the example, or name a file that brings it in `needs`; {consequence} otherwise"),
        };
        findings.add(target.code, severity, reference.node, message).help = Some(help);
    }
}

fn identity(object: &Object) -> (&str, &str) {
    (&object.kind, &object.name)
}

/// Whether a text can be a name at all: an empty one means the default, and what can't be a name is told by other rules.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
}

fn common_prefix(one: &str, other: &str) -> usize {
    one.split('/').zip(other.split('/')).take_while(|(left, right)| left == right).count()
}

fn brought<'o>(closure: &[&'o Example], reference: &Reference<'_>) -> Vec<&'o Object> {
    closure
        .iter()
        .flat_map(|example| &example.objects)
        .filter(|object| identity(object) == (reference.kind, reference.name))
        .collect()
}

/// Whether a controller makes the object that is meant from `object`.
fn generates(object: &Object, reference: &Reference<'_>) -> bool {
    let name = reference.name;
    let text = |path: &[&str]| object.root.at(path).and_then(Node::as_str);
    let numbered = |prefix: String| {
        name.strip_prefix(&prefix)
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    match (reference.kind, object.kind.as_str()) {
        ("Secret", "SealedSecret") => object.name == name,
        ("Secret", "ExternalSecret") => text(&["spec", "target", "name"]).unwrap_or(&object.name) == name,
        ("Secret", "Certificate") => text(&["spec", "secretName"]) == Some(name),
        ("PersistentVolumeClaim", "StatefulSet") => {
            let templates = object.root.at(&["spec", "volumeClaimTemplates"]);
            templates
                .into_iter()
                .flat_map(Node::items)
                .filter_map(|claim| claim.at(&["metadata", "name"])?.as_str())
                .any(|claim| numbered(format!("{claim}-{}-", object.name)))
        }
        ("PersistentVolumeClaim", "Pod") => {
            let volumes = object.root.at(&["spec", "volumes"]);
            volumes
                .into_iter()
                .flat_map(Node::items)
                .filter(|volume| volume.get("ephemeral").is_some())
                .filter_map(|volume| volume.get("name")?.as_str())
                .any(|volume| name == format!("{}-{volume}", object.name))
        }
        ("StorageClass", "PersistentVolume") => text(&["spec", "storageClassName"]) == Some(name),
        _ => false,
    }
}

/// A key of a ConfigMap or Secret that the objects which are brought do not have.
fn missing_keys(target: &Target, reference: &Reference<'_>, objects: &[&Object], findings: &mut Findings<'_>) {
    let filled_in = |object: &&Object| {
        object.root.get("type").and_then(Node::as_str) == Some("kubernetes.io/service-account-token")
    };
    if objects.iter().any(filled_in) {
        return;
    }
    let data = |object: &'_ &Object| -> Vec<String> {
        ["data", "binaryData", "stringData"]
            .into_iter()
            .filter_map(|part| object.root.get(part))
            .flat_map(Node::entries)
            .map(|entry| entry.key.to_string())
            .collect()
    };
    let known: Vec<_> = objects.iter().flat_map(data).collect();
    for node in &reference.keys {
        let Some(key) = node.as_str().filter(|key| !known.iter().any(|one| one == key)) else { continue };
        let found = if known.is_empty() { "no keys".to_owned() } else { format!("`{}`", known.join("`, `")) };
        let message = format!("the {} `{}` has no key `{key}`; it has {found}", reference.kind, reference.name);
        findings.warning(target.code, *node, message).help =
            Some(format!("add the key, or name one that is there; {} otherwise", target.consequence));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::fixture::{catalog, example, example_with_needs, lines};

    /// What is found in the first of the examples.
    fn found_among(examples: Vec<Example>, operator: Option<&[Object]>, pull_secrets: &[String]) -> Vec<String> {
        let first = examples[0].id.clone();
        let catalog = catalog(examples);
        let index = Index::new(&catalog, operator, pull_secrets);
        let example = catalog.examples.iter().find(|example| example.id == first).unwrap();
        lines(example, |object, findings| {
            let own = example.objects.iter().find(|own| own.root == object.root).unwrap();
            index.check(example, own, findings);
        })
    }

    fn found(text: &str) -> Vec<String> {
        found_among(vec![example("a.yaml", text)], Some(&[]), &[])
    }

    fn pod(spec: &str) -> String {
        format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {spec}\n")
    }

    fn brings(kind: &str, name: &str, more: &str) -> String {
        format!("---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n{more}\n")
    }

    /// Each way to refer to an object, the kind and the code.
    const WAYS: [(&str, &str, &str); 14] = [
        ("{containers: [{env: [{valueFrom: {configMapKeyRef: {name: x, key: k}}}]}]}", "ConfigMap", "EV205"),
        ("{containers: [{envFrom: [{configMapRef: {name: x}}]}]}", "ConfigMap", "EV205"),
        ("{volumes: [{configMap: {name: x}}], containers: []}", "ConfigMap", "EV205"),
        ("{volumes: [{projected: {sources: [{configMap: {name: x}}]}}], containers: []}", "ConfigMap", "EV205"),
        ("{containers: [{env: [{valueFrom: {secretKeyRef: {name: x, key: k}}}]}]}", "Secret", "EV206"),
        ("{containers: [], initContainers: [{envFrom: [{secretRef: {name: x}}]}]}", "Secret", "EV206"),
        ("{volumes: [{secret: {secretName: x}}], containers: []}", "Secret", "EV206"),
        ("{volumes: [{projected: {sources: [{secret: {name: x}}]}}], containers: []}", "Secret", "EV206"),
        ("{volumes: [{persistentVolumeClaim: {claimName: x}}], containers: []}", "PersistentVolumeClaim", "EV207"),
        ("{serviceAccountName: x, containers: []}", "ServiceAccount", "EV208"),
        ("{serviceAccount: x, containers: []}", "ServiceAccount", "EV208"),
        ("{priorityClassName: x, containers: []}", "PriorityClass", "EV209"),
        ("{runtimeClassName: x, containers: []}", "RuntimeClass", "EV210"),
        (
            "{volumes: [{ephemeral: {volumeClaimTemplate: {spec: {storageClassName: x}}}}], containers: []}",
            "StorageClass",
            "EV210",
        ),
    ];

    #[test]
    fn what_nobody_brings_is_told_once_for_each_way_to_refer_to_it() {
        for (spec, kind, code) in WAYS {
            let lines = found(&pod(spec));
            assert_eq!(lines.len(), 1, "{spec}: {lines:?}");
            assert!(lines[0].starts_with(&format!("{code} warning")), "{spec}: {lines:?}");
            assert!(lines[0].ends_with(&format!("bring the {kind} `x`")), "{spec}: {lines:?}");
        }
    }

    #[test]
    fn what_the_example_or_its_needs_bring_is_fine() {
        for (spec, kind, _) in WAYS {
            let object = brings(kind, "x", "data: {k: v}");
            assert!(found(&format!("{}{object}", pod(spec))).is_empty(), "{spec}");
            let needing = example_with_needs("a.yaml", &pod(spec), &["b.yaml"]);
            let through = example_with_needs("b.yaml", "", &["c.yaml"]);
            assert!(
                found_among(vec![needing, through, example("c.yaml", &object)], Some(&[]), &[]).is_empty(),
                "{spec}"
            );
        }
    }

    #[test]
    fn what_every_cluster_has_and_what_is_optional_is_fine() {
        for spec in [
            "{serviceAccountName: default, containers: []}",
            "{priorityClassName: system-node-critical, containers: []}",
            "{volumes: [{configMap: {name: kube-root-ca.crt}}], containers: []}",
            "{volumes: [{configMap: {name: x, optional: true}}], containers: []}",
            "{volumes: [{secret: {secretName: x, optional: true}}], containers: []}",
            "{containers: [{envFrom: [{secretRef: {name: x, optional: true}}]}]}",
            "{containers: [{env: [{valueFrom: {configMapKeyRef: {name: x, key: k, optional: true}}}]}]}",
            "{volumes: [{ephemeral: {volumeClaimTemplate: {spec: {storageClassName: standard}}}}], containers: []}",
        ] {
            assert!(found(&pod(spec)).is_empty(), "{spec}");
        }
    }

    #[test]
    fn the_help_names_the_nearest_example_that_brings_it() {
        let user = example("x/job.yaml", &pod("{volumes: [{persistentVolumeClaim: {claimName: x}}], containers: []}"));
        let claim = brings("PersistentVolumeClaim", "x", "");
        let catalog = catalog(vec![user, example("x/pvc.yaml", &claim), example("y/pvc.yaml", &claim)]);
        let index = Index::new(&catalog, Some(&[]), &[]);
        let example = &catalog.examples[0];
        let mut findings = Findings::new(&example.source, &example.objects[0].root);
        index.check(example, &example.objects[0], &mut findings);
        assert_eq!(
            findings.diagnostics[0].help.as_deref(),
            Some("x/pvc.yaml brings it: add it to this example's `needs`")
        );
    }

    #[test]
    fn a_key_that_the_config_map_does_not_have_is_told() {
        let user = pod("{containers: [{env: [{valueFrom: {configMapKeyRef: {name: x, key: k}}}]}]}");
        let lines = found(&format!("{user}{}", brings("ConfigMap", "x", "data: {other: v}")));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("EV205") && lines[0].ends_with("has no key `k`; it has `other`"), "{lines:?}");
        let volume = pod("{volumes: [{secret: {secretName: x, items: [{key: k, path: p}]}}], containers: []}");
        assert_eq!(found(&format!("{volume}{}", brings("Secret", "x", "stringData: {a: b}"))).len(), 1);
        assert!(found(&format!("{volume}{}", brings("Secret", "x", "stringData: {k: b}"))).is_empty());
        let token = brings("Secret", "x", "type: kubernetes.io/service-account-token");
        assert!(found(&format!("{volume}{token}")).is_empty());
    }

    #[test]
    fn a_missing_pull_secret_is_a_note_since_public_images_need_none() {
        let lines = found(&pod("{imagePullSecrets: [{name: x}], containers: []}"));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("EV206 note"), "{lines:?}");
    }

    #[test]
    fn an_empty_name_means_the_default() {
        for spec in ["{serviceAccount: '', containers: []}", "{priorityClassName: '', containers: []}"] {
            assert!(found(&pod(spec)).is_empty(), "{spec}");
        }
    }

    #[test]
    fn a_volume_that_a_claim_template_replaces_refers_to_nothing() {
        let set = |claim: &str| {
            format!(
                "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: db}}\nspec: {{volumeClaimTemplates: [{{metadata: \
                 {{name: {claim}}}}}], template: {{spec: {{containers: [], volumes: [{{name: data, persistentVolumeClaim: \
                 {{claimName: data}}}}]}}}}}}\n"
            )
        };
        assert!(found(&set("data")).is_empty());
        assert_eq!(found(&set("other")).len(), 1);
    }

    #[test]
    fn the_help_names_a_file_without_a_job_before_one_with_a_job() {
        let user = example("jobs/a.yaml", &pod("{serviceAccountName: x, containers: []}"));
        let account = brings("ServiceAccount", "x", "");
        let job = example("jobs/b.yaml", &format!("{}{account}", pod("{containers: []}")));
        let mut setup = example("setup/c.yaml", &account);
        setup.settings.support = true;
        let catalog = catalog(vec![user, job, setup]);
        let index = Index::new(&catalog, Some(&[]), &[]);
        let example = &catalog.examples[0];
        let mut findings = Findings::new(&example.source, &example.objects[0].root);
        index.check(example, &example.objects[0], &mut findings);
        let help = findings.diagnostics[0].help.clone().unwrap();
        assert!(help.starts_with("setup/c.yaml brings it"), "{help}");
    }

    #[test]
    fn a_pull_secret_of_the_config_is_fine() {
        let text = pod("{imagePullSecrets: [{name: x}], containers: []}");
        assert!(found_among(vec![example("a.yaml", &text)], Some(&[]), &["x".to_owned()]).is_empty());
    }

    #[test]
    fn a_training_runtime_may_come_from_the_operator() {
        let job = "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: TrainJob\nspec: {runtimeRef: {name: torch}}\n";
        let lines = found(job);
        assert!(
            lines.len() == 1 && lines[0].starts_with("EV210") && lines[0].contains("ClusterTrainingRuntime `torch`")
        );
        let operator = example("operator", &brings("ClusterTrainingRuntime", "torch", "")).objects;
        assert!(found_among(vec![example("a.yaml", job)], Some(&operator), &[]).is_empty());
        assert!(found_among(vec![example("a.yaml", job)], None, &[]).is_empty());
        let own = job.replace("{name: torch}", "{name: torch, kind: TrainingRuntime}");
        assert_eq!(found(&own).len(), 1);
        assert!(found(&format!("{own}{}", brings("TrainingRuntime", "torch", ""))).is_empty());
    }

    #[test]
    fn a_queue_that_nobody_brings_is_told() {
        let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {labels: {kueue.x-k8s.io/queue-name: q}}\n";
        assert!(found(job)[0].contains("LocalQueue `q`"));
        assert!(found(&format!("{job}{}", brings("LocalQueue", "q", ""))).is_empty());
    }

    #[test]
    fn what_a_controller_makes_is_fine() {
        let claim = |name: &str| {
            pod(&format!("{{volumes: [{{persistentVolumeClaim: {{claimName: {name}}}}}], containers: []}}"))
        };
        let set = brings("StatefulSet", "db", "spec: {volumeClaimTemplates: [{metadata: {name: data}}]}");
        assert!(found(&format!("{}{set}", claim("data-db-0"))).is_empty());
        assert_eq!(found(&format!("{}{set}", claim("data-db-x"))).len(), 1);
        let other = brings("Pod", "q", "spec: {containers: [], volumes: [{name: v, ephemeral: {}}]}");
        assert!(found(&format!("{}{other}", claim("q-v"))).is_empty());
        let secret = pod("{volumes: [{secret: {secretName: x}}], containers: []}");
        assert!(found(&format!("{secret}{}", brings("SealedSecret", "x", ""))).is_empty());
        assert!(found(&format!("{secret}{}", brings("Certificate", "y", "spec: {secretName: x}"))).is_empty());
    }

    #[test]
    fn a_storage_class_of_a_volume_that_is_brought_is_fine() {
        let claim = brings("PersistentVolumeClaim", "c", "spec: {storageClassName: manual}");
        assert_eq!(found(&claim).len(), 1);
        assert!(
            found(&format!("{claim}{}", brings("PersistentVolume", "v", "spec: {storageClassName: manual}")))
                .is_empty()
        );
    }

    #[test]
    fn a_name_that_is_a_template_is_left_to_other_rules() {
        assert!(found(&pod("{serviceAccountName: '${SA}', containers: []}")).is_empty());
    }

    #[test]
    fn the_missing_claims_of_kubeflows_examples_are_told() {
        let Some(catalog) = crate::lint::fixture::folder("../shared/kubeflow-v1/examples") else { return };
        let index = Index::new(&catalog, Some(&[]), &[]);
        let mut claims = Vec::new();
        for example in &catalog.examples {
            for object in &example.objects {
                let mut findings = Findings::new(&example.source, &object.root);
                index.check(example, object, &mut findings);
                claims.extend(
                    findings.diagnostics.iter().map(|found| (example.id.as_str(), found.code, found.help.clone())),
                );
            }
        }
        let with_help = claims
            .iter()
            .filter(|(_, _, help)| help.as_deref().is_some_and(|help| help.contains("brings it: add")))
            .count();
        assert_eq!(claims.len(), 4, "{claims:#?}");
        assert_eq!(with_help, 2, "{claims:#?}");
    }
}
