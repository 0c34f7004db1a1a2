//! Getting the steps onto a cluster, one after the other.

mod apply;
mod claim;
mod helm;
mod load;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tokio::time::Instant;

use super::installed::Reference;
use crate::config::OperatorStep;
use crate::image::replace::{Replacements, Target as ImageTarget};
use crate::model::{Cause, CauseClass};
use crate::trial::apply::Target;
use crate::trial::apply::request::text;
use helm::{Described, Release};
pub use helm::{Helm, post_render};
pub(super) use load::Item;

/// A step that was read as far as it can be without a cluster.
pub(super) enum Step {
    /// Objects to apply.
    Objects(Vec<Item>),
    /// A chart to install.
    Release(Box<Release>),
}

/// Reads a step; nothing is changed anywhere.
///
/// # Errors
/// What the user's files have wrong, or what is missing to read them.
pub(super) async fn read(
    root: &Path,
    step: &OperatorStep,
    built: &Replacements,
    helm: Helm<'_>,
) -> Result<Step, Box<Cause>> {
    match step {
        OperatorStep::Kustomize { path, images } => {
            let replacements = replacements(images, built);
            load::kustomize(root, path, &replacements).await.map(Step::Objects)
        }
        OperatorStep::Manifests { paths, images } => {
            load::manifests(root, paths, &replacements(images, built)).map(Step::Objects)
        }
        OperatorStep::Helm { chart, release, namespace, values, set, images } => {
            let described = Described { chart, release, namespace, values, set };
            Ok(Step::Release(Box::new(Release::read(root, &described, replacements(images, built), helm))))
        }
    }
}

impl Step {
    /// What it is known to bring.
    pub(super) fn brings(&self) -> Vec<Reference> {
        match self {
            Self::Objects(items) => items.iter().map(Item::reference).collect(),
            // Only Helm knows, once it is installed.
            Self::Release(_) => Vec::new(),
        }
    }

    /// The namespaces in which pods and endpoints of it are known to be.
    pub(super) fn namespaces(&self) -> BTreeSet<String> {
        match self {
            Self::Objects(items) => items.iter().flat_map(namespaces).collect(),
            Self::Release(release) => release.namespaces(),
        }
    }

    /// Makes sure, before anything is changed on a cluster that is not this run's own, that it would change nothing but what is ours.
    ///
    /// # Errors
    /// What is there and is not ours.
    pub(super) async fn claim(&mut self, target: &Target) -> Result<(), Box<Cause>> {
        match self {
            Self::Objects(items) => claim::claim(target, items).await,
            Self::Release(release) => release.claim().await,
        }
    }

    /// Installs it.
    ///
    /// # Errors
    /// Why it can't be: at once where trying again is of no use, else once the deadline is over.
    pub(super) async fn install(&self, target: &Target, deadline: Instant) -> Result<Vec<Reference>, Box<Cause>> {
        match self {
            Self::Objects(items) => apply::apply(target, items, deadline).await,
            Self::Release(release) => release.install(target, deadline).await,
        }
    }
}

/// The namespace of a workload, and those of a webhook configuration's Services.
fn namespaces(item: &Item) -> Vec<String> {
    let reference = item.reference();
    if reference.is_workload() {
        return reference.namespace.into_iter().collect();
    }
    if !reference.is_webhook_configuration() {
        return Vec::new();
    }
    let webhooks = item.json["webhooks"].as_array().into_iter().flatten();
    let services = webhooks.map(|webhook| text(webhook, "/clientConfig/service/namespace"));
    services.filter(|namespace| !namespace.is_empty()).map(str::to_owned).collect()
}

/// What a step's objects refer to in this run: its overrides, then the images that the run has built, for what an override leads to
/// too.
fn replacements(images: &BTreeMap<String, String>, built: &Replacements) -> Replacements {
    let mut all = built.clone();
    for (from, to) in images {
        let target = match built.of(to) {
            Some((reference, loaded)) => ImageTarget { reference, loaded },
            None => ImageTarget { reference: to.clone(), loaded: false },
        };
        all.insert(from, target);
    }
    all
}

/// Something is on a cluster that is not this run's own, and was not put there by an earlier one.
fn not_ours(what: &str, object: String) -> Cause {
    let message =
        format!("the operator can't be installed: {what} is there already, and example-validator has not put it there");
    let hint = "run without --install-operator to use the operator that is there, or use a cluster without one";
    let cause = Cause::new(CauseClass::Operator, "NotOurs", message);
    Cause { hint: hint.to_owned(), object, ..cause }
}

/// Why a step can't be installed: it has no place in the cluster, but perhaps one in the repository.
fn failed(reason: &str, message: String, hint: &str, file: String, line: u32) -> Cause {
    let cause = Cause::new(CauseClass::Operator, reason, message);
    Cause { hint: hint.to_owned(), file, line, ..cause }
}
