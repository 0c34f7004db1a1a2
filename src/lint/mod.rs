//! The basic tier: what can be said about an example without a cluster.
//!
//! [`check`] runs every rule over a catalog. Rules are pure functions of an object; what they need to know of other
//! objects is indexed first. Only [`registry`] asks the network, and only when it was asked to.

pub mod api;
pub mod capacity;
pub use crate::diagnostic::code;
pub mod explain;
pub mod findings;
#[cfg(test)]
mod fixture;
pub mod images;
pub mod isolation;
pub mod placeholders;
pub mod pod_templates;
pub mod references;
pub mod registry;
pub mod schemas;
pub mod versions;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::catalog::{Catalog, Example, Object, pod_request};
use crate::config::Config;
use crate::diagnostic::{Diagnostic, Severity};
use crate::framework::Frameworks;
use findings::Findings;
use schemas::{Known, Schemas, Scope};
use versions::Minor;

/// What the rules have to know besides the examples.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The validated config, with flags and inputs put over it.
    pub config: &'a Config,
    /// The user's frameworks and the built-in ones.
    pub frameworks: &'a Frameworks,
    /// CRDs and built-in kinds.
    pub schemas: &'a Schemas,
    /// The objects that the operator's steps bring; `None` if some step could not be rendered.
    pub operator: Option<&'a [Object]>,
    /// What the registries said of the images; empty if they were not asked.
    pub registries: &'a registry::Answers,
}

/// What was found in one example.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// In the order of the source; what was found while it was read is among it.
    pub diagnostics: Vec<Diagnostic>,
    /// How long the checks took.
    pub duration: Duration,
}

/// Checks every example; the results are in the order of the catalog. Examples are checked in parallel.
#[must_use]
pub fn check(catalog: &Catalog, context: &Context<'_>) -> Vec<Checked> {
    let rules = Rules::new(catalog, context);
    catalog.examples.par_iter().map(|example| rules.example(example)).collect()
}

/// What an API server itself would refuse of an object, as `EV1xx` errors: the schema of its kind, and what a server
/// checks in code.
pub fn refusals(object: &Object, schemas: &Schemas, findings: &mut Findings<'_>) -> Known {
    let known = schemas.check(object, findings);
    api::check(object, findings);
    known
}

/// The rules with what they were told and what they looked up before.
struct Rules<'a> {
    context: &'a Context<'a>,
    planned: Vec<Minor>,
    identities: isolation::Index<'a>,
    references: references::Index<'a>,
}

impl<'a> Rules<'a> {
    fn new(catalog: &'a Catalog, context: &'a Context<'a>) -> Self {
        let config = context.config;
        Self {
            context,
            planned: config.kubernetes.iter().filter_map(crate::config::KubernetesVersion::minor).collect(),
            identities: isolation::Index::new(catalog),
            references: references::Index::new(catalog, context.operator, &config.pull_secrets),
        }
    }

    fn example(&self, example: &'a Example) -> Checked {
        let started = Instant::now();
        let span = tracing::debug_span!("example", id = %example.id);
        let _entered = span.enter();
        let mut diagnostics = example.diagnostics.clone();
        diagnostics.extend(placeholders::check_unparsed(example));
        for object in &example.objects {
            diagnostics.extend(self.object(example, object));
        }
        diagnostics.sort_by_key(|diagnostic| diagnostic.location.as_ref().map(|location| location.span.start));
        let duration = started.elapsed();
        tracing::debug!(objects = example.objects.len(), found = diagnostics.len(), ?duration, "checked");
        Checked { diagnostics, duration }
    }

    fn object(&self, example: &'a Example, object: &'a Object) -> Vec<Diagnostic> {
        let mut findings = Findings::new(&example.source, &object.root);
        let known = refusals(object, self.context.schemas, &mut findings);
        unknown_kind(object, &known, &mut findings);
        let framework = self.context.frameworks.find(object);
        let template = |template: &crate::pod_template::PodTemplate<'_>, findings: &mut Findings<'_>| {
            api::check_pod_template_spec(template.metadata, template.spec, findings);
        };
        pod_templates::check(object, framework.as_deref(), template, &mut findings);
        self.references.check(example, object, &mut findings);
        images::check(object, &self.context.config.images, &mut findings);
        registry::check(object, self.context.registries, self.has_pull_secrets(), &mut findings);
        versions::check(object, &self.planned, &mut findings);
        let namespaced = self.context.schemas.scope(object).map(|scope| scope == Scope::Namespaced);
        isolation::check(example, object, namespaced, &self.identities, &self.references, &mut findings);
        capacity::check(example, object, self.context.config.cluster, pod_request, &mut findings);
        placeholders::check(object, &mut findings);
        once(findings.diagnostics)
    }

    /// Whether the cluster will have credentials, so that a registry may well have an image that it denies to strangers.
    fn has_pull_secrets(&self) -> bool {
        !self.context.config.pull_secrets.is_empty() || self.context.config.registries.auth.is_some()
    }
}

/// A kind without a schema is told, never passed over in silence.
fn unknown_kind(object: &Object, known: &Known, findings: &mut Findings<'_>) {
    let is_unknown = *known == Known::Unknown && !findings.is_refused();
    if !is_unknown || versions::is_known_removed(&object.api_version, &object.kind) {
        return;
    }
    let message =
        format!("no schema is known for {} {}: only general rules were checked", object.api_version, object.kind);
    let anchor = object.root.get("kind").unwrap_or(&object.root);
    let help = if versions::is_builtin_group(object.group()) {
        "Kubernetes itself owns this group: look at the spelling of `apiVersion` and `kind`"
    } else {
        "name the project's CRDs with `crds:` in the config, or with --crds"
    };
    findings.warning(code::NO_SCHEMA, anchor, message).help = Some(help.to_owned());
}

/// The diagnostics without those that say the same of the same place, and without a warning where the same code is an
/// error.
fn once(diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let place = |diagnostic: &Diagnostic| (diagnostic.code, diagnostic.location.as_ref().map(|location| location.span));
    let errors: HashSet<_> = diagnostics.iter().filter(|found| found.severity == Severity::Error).map(place).collect();
    let mut seen = HashSet::new();
    diagnostics
        .into_iter()
        .filter(|found| found.severity == Severity::Error || !errors.contains(&place(found)))
        .filter(|found| seen.insert((place(found), found.message.clone())))
        .collect()
}
