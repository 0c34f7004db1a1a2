//! Which of the project's images a change touches, and which examples use them.

use std::collections::HashMap;

use globset::{GlobSet, GlobSetBuilder};

use super::PlanInputs;
use super::changed::ChangedFiles;
use super::paths::below_root;
use crate::catalog::Example;
use crate::config::{ImageBuild, OperatorStep};
use crate::image::inputs::globs;
use crate::image_reference::normalised_name;
use crate::lint::images::images_of;

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

/// One set for the inputs of all images, and for each glob the place of its image.
fn input_globs(images: &[ImageBuild]) -> (GlobSet, Vec<usize>) {
    let mut builder = GlobSetBuilder::new();
    let mut owners = Vec::new();
    for (owner, image) in images.iter().enumerate() {
        for input in &image.inputs {
            for glob in globs(input) {
                builder.add(glob);
                owners.push(owner);
            }
        }
    }
    (builder.build().unwrap_or_else(|_| GlobSet::empty()), owners)
}

/// Finds the touched image that an example uses; each reference is compared once, however many examples name it.
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
        let mut references: Vec<&str> = example.objects.iter().flat_map(images_of).map(|image| image.text).collect();
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
        if let Some(known) = self.known.get(reference) {
            return *known;
        }
        let name = normalised_name(reference);
        let means = |image: &ImageBuild| name.as_deref().is_some_and(|name| image.is_meant_by(name));
        let place = self.touched.iter().position(|touched| means(touched.image));
        self.known.insert(reference.to_owned(), place);
        place
    }
}

#[cfg(test)]
mod tests {
    use crate::image_reference::normalised_name;
    use crate::plan::testing::image;

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
            let build = image(declared, "context");
            assert_eq!(build.is_meant_by(&normalised_name(used).unwrap()), same, "{used} {declared}");
        }
    }
}
