//! Which of the project's images an example needs, and what its references become. Pure.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::digest::Identity;
use super::replace::{Replacements, Target, handed_on, is_containers, is_reference};
use crate::catalog::{Catalog, Example};
use crate::config::ImageBuild;
use crate::image_reference::normalised_name;

/// What the references to built images become: the tag of the build, which is loaded into the nodes.
pub fn replacements<'a>(built: impl IntoIterator<Item = (&'a ImageBuild, &'a Identity)>) -> Replacements {
    let mut replacements = Replacements::default();
    for (build, identity) in built {
        for name in std::iter::once(&build.name).chain(&build.replaces) {
            replacements.insert(name, Target { reference: identity.tag.clone(), loaded: true });
        }
    }
    replacements
}

/// The builds, by their places in the config, that an example needs: those that its objects name wherever a reference is
/// replaced, the image that its script runs in, and those of all the examples that it needs. Its cells wait for these alone, and a
/// build of these that failed is their cause.
#[must_use]
pub fn needed_by(example: &Example, catalog: &Catalog, builds: &[ImageBuild]) -> BTreeSet<usize> {
    let mut needed = BTreeSet::new();
    // Most projects build none, and have many examples.
    if builds.is_empty() {
        return needed;
    }
    let mut seen = BTreeSet::new();
    let mut open = vec![example];
    while let Some(example) = open.pop() {
        if !seen.insert(&example.id) {
            continue;
        }
        for object in &example.objects {
            meant_by(&object.root.to_json(), builds, &mut needed);
        }
        let script = example.settings.run.as_ref().and_then(|run| run.image.as_deref());
        needed.extend(script.and_then(|image| place(image, builds)));
        open.extend(example.settings.needs.iter().filter_map(|id| catalog.get(id)));
    }
    needed
}

/// The builds that an object means, as the operator's steps render them.
#[must_use]
pub fn needed_by_object(object: &Json, builds: &[ImageBuild]) -> BTreeSet<usize> {
    let mut needed = BTreeSet::new();
    meant_by(object, builds, &mut needed);
    needed
}

fn meant_by(node: &Json, builds: &[ImageBuild], needed: &mut BTreeSet<usize>) {
    match node {
        Json::Object(fields) => {
            for (key, value) in fields {
                if is_containers(key) {
                    for mut container in value.as_array().into_iter().flatten().filter_map(Json::as_object).cloned() {
                        handed_on(&mut container, &mut |text| {
                            needed.extend(place(text, builds));
                            None
                        });
                    }
                }
                match value {
                    Json::String(text) if is_reference(key) => needed.extend(place(text, builds)),
                    _ => meant_by(value, builds, needed),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| meant_by(item, builds, needed)),
        _ => {}
    }
}

fn place(reference: &str, builds: &[ImageBuild]) -> Option<usize> {
    let name = normalised_name(reference)?;
    builds.iter().position(|build| build.is_meant_by(&name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{Command, Run};
    use crate::model::ExampleId;
    use crate::plan::testing::{World, example, image, job_with};

    #[test]
    fn an_example_needs_the_images_of_its_objects_its_script_and_its_needs() {
        let uses = |image: &str| job_with(&format!("image: '{image}'"));
        let mut world = World::new(vec![
            example("a.yaml", &uses("docker.io/upstream/one:v1")),
            example("b.yaml", &uses("busybox")),
            example("c.yaml", "apiVersion: x.y/v1\nkind: X\nspec: {initImage: example/two}\n"),
        ]);
        world.example("b.yaml").settings.needs = vec![ExampleId::new("a.yaml"), ExampleId::new("c.yaml")];
        world.example("a.yaml").settings.needs = vec![ExampleId::new("b.yaml")];
        let command = Command::Argv(vec!["x".to_owned()]);
        world.example("c.yaml").settings.run = Some(Run { image: Some("example/three:ci".to_owned()), command });
        let mut builds = vec![image("example/one", "1"), image("example/two", "2"), image("example/three", "3")];
        builds[0].replaces = vec!["upstream/one".to_owned()];
        let mut needed = |id: &str| {
            let example = world.example(id).clone();
            needed_by(&example, &world.catalog, &builds).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(needed("c.yaml"), [1, 2]);
        assert_eq!(needed("b.yaml"), [0, 1, 2]);
        assert_eq!(needed("a.yaml"), [0, 1, 2]);
        let object = json!({"spec": {"containers": [{"name": "x", "image": "example/two@sha256:0"}]}});
        assert!(needed_by_object(&object, &builds).is_empty());
        let object =
            json!({"containers": [{"args": ["--image=example/two:v1"], "env": [{"value": "example/one:v1"}]}]});
        assert_eq!(needed_by_object(&object, &builds), BTreeSet::from([0, 1]));
        let object = json!([{"image": "example/two:v1"}, {"image": 3}]);
        assert_eq!(needed_by_object(&object, &builds), BTreeSet::from([1]));
    }

    #[test]
    fn a_built_image_takes_the_place_of_all_that_mean_it() {
        let mut build = image("example/one", "1");
        build.replaces = vec!["docker.io/upstream/one".to_owned()];
        let identity = Identity {
            digest: String::new(),
            key: String::new(),
            tag: "example/one:ev-0".to_owned(),
            files: 0,
            bytes: 0,
        };
        let replacements = replacements([(&build, &identity)]);
        for reference in ["example/one", "upstream/one:v3"] {
            assert_eq!(replacements.of(reference), Some(("example/one:ev-0".to_owned(), true)));
        }
    }
}
