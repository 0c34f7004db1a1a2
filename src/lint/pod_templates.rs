//! Pod templates inside custom resources: what their operator, or the API server when the operator creates the pods, will
//! refuse. Built-in kinds get the same as `EV1xx`, since there the API server itself looks.

use std::collections::HashMap;

use super::code;
use super::findings::{Anchor, Findings};
use super::images::images_of;
use super::versions::is_builtin_group;
use crate::catalog::Object;
use crate::diagnostic::Severity;
use crate::framework::Framework;
use crate::pod_template::{PodTemplate, pod_templates};
use crate::yaml::{Node, Span};

/// Checks the pod templates of a custom resource: `EV202`, `EV203`, `EV204`, `EV211`. `framework` is the one that describes
/// this object. `refusals` puts into the findings what an API server would refuse of a pod with the template's spec; its
/// errors become `EV203` warnings, since an operator may still fill things in.
pub fn check(
    object: &Object,
    framework: Option<&Framework>,
    refusals: impl Fn(&PodTemplate<'_>, &mut Findings<'_>),
    findings: &mut Findings<'_>,
) {
    if is_builtin_group(object.group()) || object.kind == "CustomResourceDefinition" {
        return;
    }
    let elsewhere = volumes_of_the_operator(&object.root);
    for template in pod_templates(&object.root).iter().filter(|template| !is_partial(object, template)) {
        container_name(template, framework, findings);
        let given = mounts(template, &elsewhere, findings);
        duplicate_names(template, findings);
        duplicate_ports(template, findings);
        let told = findings.diagnostics.len();
        refusals(template, findings);
        soften(findings, told, &given);
    }
}

/// Whether the template only overrides parts of another one, or is filled in by whoever uses it: then what is missing here
/// may well be there. A container without an image, in an object that names images outside of its containers, gets one of
/// those from its operator (a SparkApplication's driver).
fn is_partial(object: &Object, template: &PodTemplate<'_>) -> bool {
    let overrides = template.path.split('.').any(|segment| {
        let segment = segment.to_ascii_lowercase();
        segment.contains("override") || segment.contains("patch")
    });
    let lacks_image = template.containers().any(|container| container.get("image").is_none());
    let is_filled_in = || images_of(object).iter().any(|image| image.container.is_none());
    overrides || object.kind.ends_with("Runtime") || (lacks_image && is_filled_in())
}

fn container_name(template: &PodTemplate<'_>, framework: Option<&Framework>, findings: &mut Findings<'_>) {
    let Some(framework) = framework.filter(|framework| framework.container_required) else { return };
    let Some(required) = framework.container.as_deref() else { return };
    let name = |container: &Node| container.get("name").and_then(Node::as_str).unwrap_or_default().to_owned();
    let names: Vec<_> = template.containers().map(name).collect();
    if names.iter().any(|name| name == required) {
        return;
    }
    let Some(containers) = template.spec.entry("containers") else { return };
    let first_name = template.containers().next().and_then(|container| container.get("name"));
    let anchor = first_name.map_or(Anchor::Key(containers), Anchor::Value);
    let found = if names.is_empty() { "there is none".to_owned() } else { format!("found `{}`", names.join("`, `")) };
    let kind = &framework.matches.kind;
    findings
        .error(code::CONTAINER_NAME, anchor, format!("a {kind} must have a container named `{required}`; {found}"))
        .help =
        Some(format!("name the container that does the work `{required}`: the operator refuses the {kind} otherwise"));
}

/// The volumes that the object names outside of its pod templates, for its operator to put into the pods: in lists of
/// `volumes`, and as templates of claims.
fn volumes_of_the_operator(root: &Node) -> Vec<&str> {
    let mut names = Vec::new();
    let mut waiting = vec![root];
    while let Some(node) = waiting.pop() {
        let is_pod = node.get("containers").is_some();
        for entry in node.entries() {
            match &*entry.key {
                "volumes" if !is_pod => {
                    names.extend(entry.value.items().filter_map(|volume| volume.get("name")?.as_str()));
                }
                "volumeClaimTemplates" => names.extend(entry.value.items().filter_map(name_of)),
                _ => {}
            }
            waiting.push(&entry.value);
        }
        if node.at(&["spec", "accessModes"]).is_some() {
            names.extend(name_of(node));
        }
        waiting.extend(node.items());
    }
    names
}

fn name_of(object: &Node) -> Option<&str> {
    object.at(&["metadata", "name"])?.as_str()
}

/// Tells mounts without a volume; the places of those whose volume the operator brings.
fn mounts(template: &PodTemplate<'_>, elsewhere: &[&str], findings: &mut Findings<'_>) -> Vec<Span> {
    let mut given = Vec::new();
    let volumes: Vec<_> = list(template.spec, "volumes").filter_map(|volume| volume.get("name")?.as_str()).collect();
    for container in template.all_containers() {
        let names = ["volumeMounts", "volumeDevices"]
            .into_iter()
            .flat_map(|key| list(container, key))
            .filter_map(|mount| mount.get("name"));
        for node in names {
            let Some(name) = node.as_str() else { continue };
            if volumes.contains(&name) || told_at(findings, node.span) {
                continue;
            }
            if elsewhere.contains(&name) {
                given.push(node.span);
                continue;
            }
            let found = if volumes.is_empty() {
                "the template has no volumes".to_owned()
            } else {
                format!("the template has `{}`", volumes.join("`, `"))
            };
            findings.warning(code::MOUNT, node, format!("no volume is named `{name}`; {found}")).help =
                Some(format!("add a volume `{name}` beside `containers`, or mount one that is there"));
        }
    }
    given
}

fn duplicate_names(template: &PodTemplate<'_>, findings: &mut Findings<'_>) {
    let mut seen = HashMap::new();
    for node in template.all_containers().filter_map(|container| container.get("name")) {
        let Some(name) = node.as_str() else { continue };
        if seen.insert(name, node).is_some() && !told_at(findings, node.span) {
            findings
                .warning(code::TEMPLATE_DUPLICATE, node, format!("two containers of one pod are named `{name}`"))
                .help = Some("give each container, init containers too, a name of its own".to_owned());
        }
    }
}

/// Two ports of one pod with the same number and protocol, or of one container with the same name. Init containers run
/// before the others and may listen where these do.
fn duplicate_ports(template: &PodTemplate<'_>, findings: &mut Findings<'_>) {
    let mut numbers = HashMap::new();
    for container in template.containers() {
        let mut names = HashMap::new();
        for port in list(container, "ports") {
            if told_at(findings, port.span) {
                continue;
            }
            if let Some(node) = port.get("containerPort")
                && let Some(number) = node.as_i64()
            {
                let protocol = port.get("protocol").and_then(Node::as_str).unwrap_or("TCP");
                if numbers.insert((number, protocol), node).is_some() && !told_at(findings, node.span) {
                    let message = format!("port {number}/{protocol} stands twice in one pod");
                    findings.warning(code::TEMPLATE_DUPLICATE, node, message).help =
                        Some("the containers of a pod share one network: leave one of the two out".to_owned());
                }
            }
            if let Some(node) = port.get("name")
                && let Some(name) = node.as_str()
                && names.insert(name, node).is_some()
                && !told_at(findings, node.span)
            {
                let message = format!("two ports of one container are named `{name}`");
                findings.warning(code::TEMPLATE_DUPLICATE, node, message).help =
                    Some("give each port a name of its own".to_owned());
            }
        }
    }
}

/// Turns the errors from `told` on into `EV203` warnings, without those that other codes already told at the same place, and
/// without those at `given`, places that the operator mends.
fn soften(findings: &mut Findings<'_>, told: usize, given: &[Span]) {
    let new = findings.diagnostics.split_off(told);
    for mut diagnostic in new {
        let span = diagnostic.location.as_ref().map(|location| location.span);
        if span.is_some_and(|span| told_at(findings, span) || given.contains(&span)) {
            continue;
        }
        if diagnostic.severity == Severity::Error {
            diagnostic.code = Some(code::POD_TEMPLATE);
            diagnostic.severity = Severity::Warning;
            diagnostic.message.push_str(" (the pods will be refused)");
        }
        findings.diagnostics.push(diagnostic);
    }
}

/// Whether something was already found at exactly this place.
fn told_at(findings: &Findings<'_>, span: Span) -> bool {
    findings.diagnostics.iter().any(|diagnostic| diagnostic.location.as_ref().is_some_and(|place| place.span == span))
}

fn list<'a>(node: &'a Node, key: &str) -> impl Iterator<Item = &'a Node> + use<'a> {
    node.get(key).and_then(Node::as_seq).unwrap_or_default().iter()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::framework::Frameworks;
    use crate::lint::fixture;

    fn pytorch() -> Arc<Framework> {
        Frameworks::new(&[]).describe("kubeflow.org", "v1", "PyTorchJob").unwrap()
    }

    fn job(pod: &str) -> String {
        format!(
            "apiVersion: kubeflow.org/v1\nkind: PyTorchJob\nmetadata: {{name: a}}\nspec:\n  pytorchReplicaSpecs:\n    Master:\n      template:\n        spec:\n          {pod}\n"
        )
    }

    fn found(text: &str) -> Vec<String> {
        let framework = pytorch();
        fixture::lines(&fixture::example("a.yaml", text), |object, findings| {
            check(object, Some(&framework), |_, _| {}, findings);
        })
    }

    #[test]
    fn a_template_without_the_required_container_is_an_error_at_the_name() {
        assert_eq!(
            found(&job("containers: [{name: main, image: a}]")),
            [
                "EV202 error 9 spec.pytorchReplicaSpecs.Master.template.spec.containers[0].name: a PyTorchJob must have a \
              container named `pytorch`; found `main`"
            ]
        );
        assert_eq!(found(&job("containers: []")).len(), 1);
    }

    #[test]
    fn the_required_container_may_stand_at_any_place() {
        assert!(found(&job("containers: [{name: side, image: a}, {name: pytorch, image: a}]")).is_empty());
    }

    #[test]
    fn nothing_is_required_of_a_framework_that_does_not_enforce_it() {
        // The operator of MPIJob has no webhook.
        let framework = Frameworks::new(&[]).describe("kubeflow.org", "v1", "MPIJob").unwrap();
        let example = fixture::example("a.yaml", &job("containers: [{name: main, image: a}]"));
        assert!(
            fixture::lines(&example, |object, findings| check(object, Some(&framework), |_, _| {}, findings))
                .is_empty()
        );
    }

    #[test]
    fn a_mount_without_a_volume_is_told() {
        let lines = found(&job("containers: [{name: pytorch, volumeMounts: [{name: data, mountPath: /d}]}]"));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("EV204 warning") && lines[0].contains("the template has no volumes"), "{lines:?}");
    }

    #[test]
    fn a_mount_of_a_volume_or_of_a_claim_template_is_fine() {
        let mount = "containers: [{name: pytorch, volumeMounts: [{name: data, mountPath: /d}]}]";
        assert!(found(&job(&format!("{mount}\n          volumes: [{{name: data, emptyDir: {{}}}}]"))).is_empty());
        assert!(found(&job(&format!("{mount}\n  volumeClaimTemplates: [{{metadata: {{name: data}}}}]"))).is_empty());
    }

    #[test]
    fn a_mount_of_a_volume_that_the_object_names_outside_of_its_pods_is_fine() {
        let refuse = |template: &PodTemplate<'_>, findings: &mut Findings<'_>| {
            for mount in template.containers().filter_map(|container| container.get("volumeMounts")) {
                findings.error(code::NOT_FOUND, mount.items().next().unwrap().get("name").unwrap(), "refused");
            }
        };
        let lines = |more: &str| {
            let mount = "containers: [{name: pytorch, volumeMounts: [{name: data, mountPath: /d}]}]";
            fixture::lines(&fixture::example("a.yaml", &job(&format!("{mount}\n  {more}"))), |object, findings| {
                check(object, None, refuse, findings);
            })
        };
        assert!(lines("volumes: [{name: data, emptyDir: {}}]").is_empty());
        let claim = "{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}}";
        assert!(lines(&format!("volumeClaimPolicies: [{{templates: [{claim}]}}]")).is_empty());
        let other = "other: {spec: {containers: [], volumes: [{name: data, emptyDir: {}}]}}";
        assert_eq!(lines(other).len(), 1);
    }

    #[test]
    fn a_template_without_an_image_is_filled_in_from_an_image_of_the_object() {
        let spark = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nspec:\n  image: spark:4\n  driver: {template: {spec: {containers: [{name: driver, volumeMounts: [{name: data, mountPath: /d}]}]}}}\n";
        assert!(found(spark).is_empty());
        assert!(!found(&spark.replace("  image: spark:4\n", "")).is_empty());
    }

    #[test]
    fn overrides_are_not_taken_for_whole_templates() {
        let text = "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: TrainJob\nspec:\n  podTemplateOverrides:\n  - spec:\n      containers: [{name: node, volumeMounts: [{name: data, mountPath: /d}]}]\n";
        assert!(found(text).is_empty());
    }

    #[test]
    fn two_containers_with_one_name_are_told() {
        let lines = found(&job("containers: [{name: pytorch}, {name: pytorch}]"));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("EV211 warning 9") && lines[0].contains("containers[1].name"), "{lines:?}");
        let init = found(&job("initContainers: [{name: pytorch}]\n          containers: [{name: pytorch}]"));
        assert_eq!(init.len(), 1);
        assert!(found(&job("containers: [{name: pytorch}, {name: other}]")).is_empty());
    }

    #[test]
    fn two_ports_with_one_number_or_one_name_are_told() {
        let ports = |ports: &str| found(&job(&format!("containers: [{{name: pytorch, ports: [{ports}]}}]")));
        assert_eq!(ports("{containerPort: 1}, {containerPort: 1}").len(), 1);
        assert_eq!(ports("{containerPort: 1, name: a}, {containerPort: 2, name: a}").len(), 1);
        assert!(ports("{containerPort: 1, name: a}, {containerPort: 1, protocol: UDP, name: b}").is_empty());
        let across =
            "containers: [{name: pytorch, ports: [{containerPort: 1}]}, {name: b, ports: [{containerPort: 1}]}]";
        assert_eq!(found(&job(across)).len(), 1);
    }

    #[test]
    fn built_in_kinds_are_left_to_the_api_servers_own_rules() {
        let text = "apiVersion: batch/v1\nkind: Job\nspec: {template: {spec: {containers: [{name: a}, {name: a}]}}}\n";
        assert!(found(text).is_empty());
    }

    #[test]
    fn what_the_api_server_would_refuse_of_the_pods_becomes_a_warning_once() {
        let framework = pytorch();
        let refuse = |template: &PodTemplate<'_>, findings: &mut Findings<'_>| {
            for name in template.containers().filter_map(|container| container.get("name")) {
                findings.error(code::DUPLICATE, name, "refused");
            }
        };
        let lines = |pod: &str| {
            fixture::lines(&fixture::example("a.yaml", &job(pod)), |object, findings| {
                check(object, Some(&framework), refuse, findings);
            })
        };
        let single = lines("containers: [{name: pytorch}]");
        assert_eq!(single.len(), 1);
        assert!(
            single[0].starts_with("EV203 warning") && single[0].ends_with("(the pods will be refused)"),
            "{single:?}"
        );
        let twice = lines("containers: [{name: pytorch}, {name: pytorch}]");
        assert_eq!(twice.iter().filter(|line| line.contains("containers[1]")).count(), 1, "{twice:?}");
    }

    #[test]
    fn kubeflows_examples_have_the_containers_that_their_operator_requires() {
        let Some(catalog) = fixture::folder("../shared/kubeflow-v1/examples") else { return };
        let frameworks = Frameworks::default();
        for example in &catalog.examples {
            let lines = fixture::lines(example, |object, findings| {
                check(object, frameworks.find(object).as_deref(), |_, _| {}, findings);
            });
            assert_eq!(lines, [""; 0], "{}", example.id);
        }
    }
}
