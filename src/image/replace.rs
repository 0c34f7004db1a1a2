//! Image references in objects, replaced by what they mean in this run: an image that the project builds, or one that the config
//! puts in another's place. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::image_reference::{ImageReference, normalised_name};

/// What a reference becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The new reference. Without a tag and a digest it is a name alone, and the tag of the reference that it replaces stays, as
    /// kustomize's `newName` does it.
    pub reference: String,
    /// Whether the image is loaded into the nodes: then a container must not pull it (`imagePullPolicy: IfNotPresent`; `Always`,
    /// which `:latest` means too, would ignore what was loaded).
    pub loaded: bool,
}

/// Which images are replaced, by their normalised names (`docker.io/library/ubuntu`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Replacements(BTreeMap<String, Target>);

impl Replacements {
    /// Replaces an image from now on, whatever its tag or digest. A name that is no image reference replaces nothing.
    pub fn insert(&mut self, name: &str, target: Target) {
        if let Some(name) = normalised_name(name) {
            self.0.insert(name, target);
        }
    }

    /// Whether nothing is replaced.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a reference becomes, and whether that is loaded; `None` if it stays as it is.
    #[must_use]
    pub fn of(&self, reference: &str) -> Option<(String, bool)> {
        let parsed = ImageReference::parse(reference).ok()?;
        let target = self.0.get(&parsed.name())?;
        Some((target.in_place_of(&parsed), target.loaded))
    }

    /// Replaces the references in an object: the values of every `image` and `...Image`, wherever they stand (pod templates of any
    /// kind, a TrainJob's `trainer.image`, a SparkApplication's `image`). Says whether there was any.
    pub fn apply(&self, object: &mut Json) -> bool {
        match object {
            Json::Object(fields) => {
                let mut replaced = false;
                let mut loaded = false;
                for (key, value) in fields.iter_mut() {
                    match value {
                        Json::String(text) if is_reference(key) => {
                            if let Some((new, is_loaded)) = self.of(text) {
                                *text = new;
                                replaced = true;
                                loaded |= is_loaded && key == "image";
                            }
                        }
                        _ => replaced |= self.apply(value),
                    }
                }
                // What has an image and a name is a container; only those, and what sets a policy anyway, know the field.
                if loaded && (fields.contains_key("name") || fields.contains_key("imagePullPolicy")) {
                    fields.insert("imagePullPolicy".to_owned(), Json::from("IfNotPresent"));
                }
                replaced
            }
            Json::Array(items) => {
                let mut replaced = false;
                for item in items {
                    replaced |= self.apply(item);
                }
                replaced
            }
            _ => false,
        }
    }
}

/// Whether a string under this key is an image's reference.
pub(super) fn is_reference(key: &str) -> bool {
    key == "image" || key.ends_with("Image")
}

impl Target {
    fn in_place_of(&self, old: &ImageReference) -> String {
        let is_whole =
            ImageReference::parse(&self.reference).is_ok_and(|new| new.tag.is_some() || new.digest.is_some());
        if is_whole {
            return self.reference.clone();
        }
        let tag = old.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = old.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
        format!("{}{tag}{digest}", self.reference)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn replacements() -> Replacements {
        let mut replacements = Replacements::default();
        let target = |reference: &str, loaded| Target { reference: reference.to_owned(), loaded };
        replacements.insert("kubeflowkatib/mnist", target("example/mnist:ev-1", true));
        replacements.insert("ghcr.io/a/operator", target("ghcr.io/b/operator", false));
        replacements
    }

    #[test]
    fn a_container_of_an_image_that_is_loaded_must_not_pull_it() {
        let mut job = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "a", "image": "docker.io/kubeflowkatib/mnist:latest", "imagePullPolicy": "Always"},
            {"name": "b", "image": "busybox"}]}}}});
        assert!(replacements().apply(&mut job));
        let expected = json!([{"name": "a", "image": "example/mnist:ev-1", "imagePullPolicy": "IfNotPresent"},
            {"name": "b", "image": "busybox"}]);
        assert_eq!(job["spec"]["template"]["spec"]["containers"], expected);
    }

    #[test]
    fn a_field_of_another_kind_gets_no_policy_that_it_does_not_know() {
        let mut job = json!({"spec": {"trainer": {"image": "kubeflowkatib/mnist", "numNodes": 1}, "initImage": "kubeflowkatib/mnist"}});
        assert!(replacements().apply(&mut job));
        let expected =
            json!({"trainer": {"image": "example/mnist:ev-1", "numNodes": 1}, "initImage": "example/mnist:ev-1"});
        assert_eq!(job["spec"], expected);
    }

    #[test]
    fn a_name_alone_keeps_the_tag_and_sets_no_policy() {
        let mut pod =
            json!({"containers": [{"name": "m", "image": "ghcr.io/a/operator:v1", "imagePullPolicy": "Always"}]});
        assert!(replacements().apply(&mut pod));
        let expected = json!({"name": "m", "image": "ghcr.io/b/operator:v1", "imagePullPolicy": "Always"});
        assert_eq!(pod["containers"][0], expected);
    }

    #[test]
    fn what_is_not_meant_stays_as_it_is() {
        let mut object = json!({"image": "kubeflowkatib/mnist-other", "args": ["kubeflowkatib/mnist"], "images": 3, "x": {"image": 1}});
        let before = object.clone();
        assert!(!replacements().apply(&mut object));
        assert_eq!(object, before);
    }
}
