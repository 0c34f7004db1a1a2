//! Which of the project's images a change touches, and which examples use them.

use std::collections::HashMap;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::PlanInputs;
use super::changed::ChangedFiles;
use super::paths::{below_root, normal};
use crate::catalog::Example;
use crate::config::{ImageBuild, OperatorStep};
use crate::yaml::Node;

/// The registry of references that name none, and its other name.
const DEFAULT_REGISTRIES: [&str; 2] = ["docker.io/", "index.docker.io/"];

/// An image whose build would not be the same any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct TouchedImage<'a> {
    pub(super) image: &'a ImageBuild,
    /// The first file that changed.
    pub(super) file: &'a str,
}

/// The images of the config that the changed files are part of, in the config's order.
pub(super) fn touched<'a>(inputs: &PlanInputs<'a>, changed: &'a ChangedFiles) -> Vec<TouchedImage<'a>> {
    let images = &inputs.config.images;
    let mut first: Vec<Option<&'a str>> = images.iter().map(|image| outside_inputs(inputs, changed, image)).collect();
    let (globs, owners) = input_globs(images);
    for file in changed.iter() {
        for glob in globs.matches(file) {
            first[owners[glob]].get_or_insert(file);
        }
    }
    images.iter().zip(first).filter_map(|(image, file)| file.map(|file| TouchedImage { image, file })).collect()
}

/// The Dockerfile, and the whole context unless the config says what the image depends on.
fn outside_inputs<'a>(inputs: &PlanInputs, changed: &'a ChangedFiles, image: &ImageBuild) -> Option<&'a str> {
    let context = below_root(inputs.root, &image.context);
    let dockerfile = below_root(inputs.root, &image.context.join(&image.dockerfile));
    let whole = if image.inputs.is_empty() { changed.below(&context) } else { changed.file(&context) };
    whole.or_else(|| changed.file(&dockerfile))
}

/// One set for the inputs of all images, and for each glob the place of its image. An input without a pattern is a file, or
/// a folder as a whole. A glob that can't be read stands for everything.
fn input_globs(images: &[ImageBuild]) -> (GlobSet, Vec<usize>) {
    let mut builder = GlobSetBuilder::new();
    let mut owners = Vec::new();
    for (owner, image) in images.iter().enumerate() {
        for input in &image.inputs {
            let input = normal(input);
            for pattern in [input.clone(), format!("{input}/**")] {
                let glob = GlobBuilder::new(&pattern).literal_separator(true).build();
                let Some(glob) = glob.or_else(|_| GlobBuilder::new("**").build()).ok() else { continue };
                builder.add(glob);
                owners.push(owner);
            }
        }
    }
    (builder.build().unwrap_or_else(|_| GlobSet::empty()), owners)
}

/// Finds the touched image that an example uses; each repository is compared once, however many examples name it.
pub(super) struct Users<'a> {
    touched: &'a [TouchedImage<'a>],
    known: HashMap<String, Option<usize>>,
    used: Vec<bool>,
}

impl<'a> Users<'a> {
    pub(super) fn new(touched: &'a [TouchedImage<'a>]) -> Self {
        Self { touched, known: HashMap::new(), used: vec![false; touched.len()] }
    }

    /// The first touched image that the example names, in its objects or as the image that its script runs in.
    pub(super) fn used_by(&mut self, example: &Example) -> Option<TouchedImage<'a>> {
        if self.touched.is_empty() {
            return None;
        }
        let mut references = Vec::new();
        example.objects.iter().for_each(|object| image_fields(&object.root, &mut references));
        references.extend(example.settings.run.as_ref().and_then(|run| run.image.as_deref()));
        let places: Vec<usize> = references.into_iter().filter_map(|reference| self.place(reference)).collect();
        for place in &places {
            self.used[*place] = true;
        }
        places.first().map(|place| self.touched[*place])
    }

    /// The touched image that the operator uses: one that a step of its deployment names, or one that no example names,
    /// since what the steps render may name it.
    pub(super) fn used_by_operator(&mut self, steps: &[OperatorStep]) -> Option<TouchedImage<'a>> {
        let overrides = steps.iter().flat_map(|step| match step {
            OperatorStep::Kustomize { images, .. }
            | OperatorStep::Helm { images, .. }
            | OperatorStep::Manifests { images, .. } => images.values(),
        });
        let named = overrides.filter_map(|reference| self.place(reference)).min();
        let unnamed = || self.used.iter().position(|used| !used).filter(|_| !steps.is_empty());
        named.or_else(unnamed).map(|place| self.touched[place])
    }

    fn place(&mut self, reference: &str) -> Option<usize> {
        let repository = repository(reference);
        if let Some(known) = self.known.get(repository) {
            return *known;
        }
        let spellings = spellings(repository);
        let means = |image: &ImageBuild| spellings.iter().any(|spelling| image.is_meant_by(spelling));
        let place = self.touched.iter().position(|touched| means(touched.image));
        self.known.insert(repository.to_owned(), place);
        place
    }
}

/// The texts under `image` anywhere in an object: in its pod templates, and where objects name the image of pods that they
/// make from a template elsewhere.
fn image_fields<'a>(node: &'a Node, found: &mut Vec<&'a str>) {
    for entry in node.entries() {
        match entry.value.as_str() {
            Some(reference) if &*entry.key == "image" => found.push(reference),
            _ => image_fields(&entry.value, found),
        }
    }
    node.items().for_each(|item| image_fields(item, found));
}

/// A reference without its tag and digest.
fn repository(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// The ways to write the same repository: on the default registry its host and the folder `library` may be left out.
fn spellings(repository: &str) -> Vec<String> {
    let on_default = DEFAULT_REGISTRIES.iter().find_map(|registry| repository.strip_prefix(registry));
    let host = repository.split_once('/').map_or("", |(host, _)| host);
    if on_default.is_none() && (host.contains(['.', ':']) || host == "localhost") {
        return vec![repository.to_owned()];
    }
    let path = on_default.unwrap_or(repository);
    let short = path.strip_prefix("library/").unwrap_or(path);
    let long = if short.contains('/') { short.to_owned() } else { format!("library/{short}") };
    let full = [short, &long].into_iter().flat_map(|path| DEFAULT_REGISTRIES.map(|host| format!("{host}{path}")));
    full.chain([short.to_owned(), long.clone()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_a_reference_without_tag_and_digest() {
        for (reference, expected) in [
            ("a/b:1", "a/b"),
            ("localhost:5000/a", "localhost:5000/a"),
            ("localhost:5000/a:2@sha256:00", "localhost:5000/a"),
            ("busybox", "busybox"),
        ] {
            assert_eq!(repository(reference), expected);
        }
    }

    #[test]
    fn the_default_registry_may_be_left_out_on_either_side() {
        for (used, declared, same) in [
            ("kubeflow/mnist", "docker.io/kubeflow/mnist", true),
            ("docker.io/kubeflow/mnist", "kubeflow/mnist", true),
            ("busybox", "docker.io/library/busybox", true),
            ("index.docker.io/library/busybox", "busybox", true),
            ("ghcr.io/kubeflow/mnist", "kubeflow/mnist", false),
            ("localhost/mnist", "docker.io/localhost/mnist", false),
            ("kubeflow/mnist", "kubeflow/mnist-v2", false),
        ] {
            assert_eq!(spellings(used).iter().any(|spelling| spelling == declared), same, "{used} {declared}");
        }
    }
}
