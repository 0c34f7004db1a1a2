//! Images: malformed references, references that may change their meaning, pull policies that defeat a build.

use std::collections::HashSet;

use super::code;
use super::findings::Findings;
use super::placeholders::fills_in_templates;
use super::versions::is_builtin_group;
use crate::catalog::Object;
use crate::config::ImageBuild;
use crate::diagnostic::Severity;
use crate::image_reference::{ImageReference, ImageReferenceError};
use crate::pod_template::pod_templates;
use crate::yaml::Node;

/// A place in an object that names an image.
#[derive(Clone, Copy, Debug)]
pub struct ImageUse<'a> {
    /// The reference's string.
    pub node: &'a Node,
    /// The reference as it is written.
    pub text: &'a str,
    /// The container that uses it; `None` for an image that another field of a custom resource names.
    pub container: Option<&'a Node>,
    /// Whether the pod brings credentials (`imagePullSecrets`).
    pub has_pull_secrets: bool,
}

/// The images that an object names: of the containers of its pod templates, and in a custom resource of any other field
/// `image` that holds a string, as a SparkApplication, an Argo Workflow or a TrainJob have it.
#[must_use]
pub fn images_of(object: &Object) -> Vec<ImageUse<'_>> {
    let mut found = Vec::new();
    if object.kind == "CustomResourceDefinition" {
        return found;
    }
    for template in pod_templates(&object.root) {
        let secrets = template.spec.get("imagePullSecrets").is_some_and(|secrets| secrets.items().next().is_some());
        for container in template.all_containers() {
            if let Some(node) = container.get("image")
                && let Some(text) = node.as_str()
            {
                found.push(ImageUse { node, text, container: Some(container), has_pull_secrets: secrets });
            }
        }
    }
    if !is_builtin_group(object.group()) {
        other_images(&object.root, &mut found);
    }
    found
}

/// Keys beside `image` that hold the rest of the reference.
const REST_OF_REFERENCE: [&str; 4] = ["tag", "imageTag", "digest", "sha"];

/// Any other string under a key `image`, in the order of the source. One whose tag stands beside it is half a reference, and
/// that of a block device (`rbd`) is none.
fn other_images<'a>(node: &'a Node, found: &mut Vec<ImageUse<'a>>) {
    let is_half = REST_OF_REFERENCE.iter().any(|key| node.get(key).is_some());
    for entry in node.entries().filter(|entry| &*entry.key != "rbd") {
        let node = &entry.value;
        let Some(text) = node.as_str() else {
            other_images(node, found);
            continue;
        };
        if &*entry.key == "image" && !is_half && !found.iter().any(|known| std::ptr::eq(known.node, node)) {
            found.push(ImageUse { node, text, container: None, has_pull_secrets: false });
        }
    }
    node.items().for_each(|item| other_images(item, found));
}

/// The build of the config that makes the image which `reference` names, if one does.
#[must_use]
pub fn build_of<'a>(reference: &ImageReference, builds: &'a [ImageBuild]) -> Option<&'a ImageBuild> {
    let name = reference.name();
    builds.iter().find(|build| build.is_meant_by(&name))
}

/// Checks the images of an object: `EV301`, `EV302`, `EV303`. `builds` are the images that the config builds.
pub fn check(object: &Object, builds: &[ImageBuild], findings: &mut Findings<'_>) {
    let mut told = HashSet::new();
    for image in images_of(object).iter().filter(|image| !image.text.is_empty()) {
        let reference = match ImageReference::parse(image.text) {
            Ok(reference) => reference,
            Err(reason) => {
                malformed(object, image, &reason, findings);
                continue;
            }
        };
        if build_of(&reference, builds).is_some() {
            always(image, &reference, findings);
        } else if reference.is_latest() && told.insert(image.text) {
            unpinned(image, &reference, findings);
        }
    }
}

fn malformed(object: &Object, image: &ImageUse<'_>, reason: &ImageReferenceError, findings: &mut Findings<'_>) {
    if is_template(image.text) && fills_in_templates(object) {
        return;
    }
    let severity = if image.container.is_some() { Severity::Error } else { Severity::Warning };
    let message = format!("`{}` is not an image reference: {reason}", image.text);
    findings.add(code::IMAGE_REFERENCE, severity, image.node, message).help = Some(malformed_help(image.text));
}

/// Whether somebody was to fill the text in; no image reference has these characters.
fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains('$')
}

fn malformed_help(text: &str) -> String {
    if is_template(text) || text.contains('<') {
        return "this looks like a template that was not filled in; write the image that the example uses".to_owned();
    }
    if text.contains("://") {
        return "leave the `https://` out; an image reference starts with the registry's host".to_owned();
    }
    "the form is `[registry[:port]/]name[:tag][@digest]`; the kubelet reports InvalidImageName otherwise".to_owned()
}

fn unpinned(image: &ImageUse<'_>, reference: &ImageReference, findings: &mut Findings<'_>) {
    let what = if reference.tag.is_none() { "has no tag, which means `:latest`" } else { "has the tag `:latest`" };
    let message = format!("`{}` {what}: tomorrow it may be another image", image.text);
    findings.warning(code::IMAGE_UNPINNED, image.node, message).help = Some(
        "name a version (`:v1.2.3`) or a digest (`@sha256:...`), so that the example works the same next year"
            .to_owned(),
    );
}

/// The policy of a container that does not set one is Always for `:latest`, else IfNotPresent.
fn always(image: &ImageUse<'_>, reference: &ImageReference, findings: &mut Findings<'_>) {
    let Some(container) = image.container else { return };
    let policy = container.entry("imagePullPolicy").filter(|policy| !policy.value.is_null());
    match policy {
        Some(policy) if policy.value.as_str() == Some("Always") => {
            let message =
                format!("`Always` pulls `{}` from its registry, but the config builds this image", image.text);
            findings.warning(code::IMAGE_ALWAYS, &policy.value, message).help = Some(
                "set `imagePullPolicy: IfNotPresent`; the image that was just built is ignored otherwise".to_owned(),
            );
        }
        None if reference.is_latest() => {
            let message = format!(
                "`{}` is always pulled from its registry (`:latest` without an `imagePullPolicy`), but the config builds \
                 this image",
                image.text
            );
            findings.warning(code::IMAGE_ALWAYS, image.node, message).help =
                Some("set `imagePullPolicy: IfNotPresent`, or give the image a tag other than `:latest`".to_owned());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::*;
    use crate::lint::fixture;

    fn build(name: &str, replaces: &[&str]) -> ImageBuild {
        ImageBuild {
            name: name.to_owned(),
            context: PathBuf::from("."),
            dockerfile: PathBuf::from("Dockerfile"),
            args: BTreeMap::new(),
            target: None,
            inputs: Vec::new(),
            replaces: replaces.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn found(container: &str, builds: &[ImageBuild]) -> Vec<String> {
        let text = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n  containers:\n  - {container}\n");
        fixture::lines(&fixture::example("a.yaml", &text), |object, findings| check(object, builds, findings))
    }

    #[test]
    fn a_malformed_reference_is_an_error() {
        let lines = found("{name: a, image: 'ghcr.io/Kubeflow/x:1'}", &[]);
        assert_eq!(
            lines,
            [
                "EV301 error 6 spec.containers[0].image: `ghcr.io/Kubeflow/x:1` is not an image reference: `Kubeflow` has \
              upper-case letters; the name must be lower case"
            ]
        );
    }

    #[test]
    fn an_image_that_an_operator_fills_in_is_left_alone() {
        let text = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: {templates: [{container: {image: '{{inputs.parameters.image}}'}}]}\n";
        let found = |text: &str| {
            fixture::lines(&fixture::example("a.yaml", text), |object, findings| check(object, &[], findings))
        };
        assert!(found(text).is_empty());
        assert_eq!(found(&text.replace("argoproj.io", "example.com")).len(), 1);
        assert_eq!(found(&text.replace("{{inputs.parameters.image}}", "A B")).len(), 1);
    }

    #[test]
    fn a_pinned_reference_is_fine() {
        assert!(found("{name: a, image: 'ghcr.io/kubeflow/x:1'}", &[]).is_empty());
        assert!(found(&format!("{{name: a, image: 'x@sha256:{}'}}", "a".repeat(64)), &[]).is_empty());
    }

    #[test]
    fn no_tag_and_latest_are_warnings() {
        for image in ["busybox", "busybox:latest", "localhost:5000/busybox"] {
            let lines = found(&format!("{{name: a, image: '{image}'}}"), &[]);
            assert!(lines.len() == 1 && lines[0].starts_with("EV302 warning"), "{lines:?}");
        }
    }

    #[test]
    fn one_image_in_two_containers_is_told_once() {
        assert_eq!(found("{name: a, image: x}\n  - {name: b, image: x}", &[]).len(), 1);
    }

    #[test]
    fn always_on_an_image_that_the_config_builds_is_told() {
        let builds = [build("example/mnist", &["docker.io/kubeflowkatib/pytorch-mnist"])];
        for container in [
            "{name: a, image: 'example/mnist:v1', imagePullPolicy: Always}",
            "{name: a, image: 'docker.io/example/mnist', imagePullPolicy: Always}",
            "{name: a, image: 'kubeflowkatib/pytorch-mnist:v1', imagePullPolicy: Always}",
            "{name: a, image: 'example/mnist:latest'}",
            "{name: a, image: 'example/mnist'}",
        ] {
            let lines = found(container, &builds);
            assert!(lines.len() == 1 && lines[0].starts_with("EV303 warning"), "{container}: {lines:?}");
        }
    }

    #[test]
    fn a_built_image_with_another_policy_is_fine() {
        let builds = [build("example/mnist", &[])];
        for container in [
            "{name: a, image: 'example/mnist:v1'}",
            "{name: a, image: 'example/mnist:latest', imagePullPolicy: IfNotPresent}",
            "{name: a, image: 'example/mnist', imagePullPolicy: Never}",
            "{name: a, image: 'example/mnist-other:v1', imagePullPolicy: Always}",
        ] {
            assert!(found(container, &builds).is_empty(), "{container}");
        }
    }

    #[test]
    fn images_outside_of_containers_count_in_custom_resources_alone() {
        let images = |text: &str| {
            let example = fixture::example("a.yaml", text);
            images_of(&example.objects[0]).iter().map(|image| image.text.to_owned()).collect::<Vec<_>>()
        };
        let spark = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nspec: {image: 'spark:3', driver: {image: 'spark:4'}}\n";
        assert_eq!(images(spark), ["spark:3", "spark:4"]);
        let loop_items = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: {withItems: [{image: debian, tag: '9.1'}, {image: b}]}\n";
        assert_eq!(images(loop_items), ["b"]);
        let device = "apiVersion: x.io/v1\nkind: X\nspec: {volumes: [{rbd: {image: Disk}}]}\n";
        assert!(images(device).is_empty());
        let config = "apiVersion: v1\nkind: ConfigMap\ndata: {image: 'Not An Image'}\n";
        assert!(images(config).is_empty());
        let job = "apiVersion: x.io/v1\nkind: X\nspec: {template: {spec: {containers: [{image: a}], initContainers: [{image: b}]}}}\n";
        assert_eq!(images(job), ["b", "a"]);
    }
}
