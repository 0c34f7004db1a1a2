//! Which schema holds for an object, and what it says: custom resources by the CRDs that were given, built-in kinds by
//! the schemas of one Kubernetes version that are part of this program.

mod builtin;
mod custom;

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use crate::catalog::Object;
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::schema::{Dialect, ViolationKind, closest};
use builtin::BuiltIn;
use custom::{CustomKind, Version};

/// Every schema that is known.
#[derive(Debug, Default)]
pub struct Schemas {
    /// By group, then kind.
    custom: HashMap<String, HashMap<String, CustomKind>>,
}

/// What is known of an object's kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// A custom resource: it was checked against its CRD.
    Custom,
    /// A built-in kind: it was checked against the schema of [`Schemas::BUILTIN_VERSION`].
    BuiltIn,
    /// The kind is known, but not in this version. Holds the versions that are served, such as `apps/v1`; never empty for
    /// a built-in kind.
    NotServed(Vec<String>),
    /// No schema is known for it.
    Unknown,
}

/// Whether a kind's objects live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each object lives in a namespace.
    Namespaced,
    /// Objects are shared by the whole cluster.
    Cluster,
}

impl Schemas {
    /// The Kubernetes version whose built-in kinds this program knows.
    pub const BUILTIN_VERSION: &'static str = "v1.37";

    /// Reads CustomResourceDefinitions: any number a file, with any number of versions each; documents of other kinds are
    /// left out. Returns what could be read, and diagnostics of what is broken. Files are read in parallel.
    #[must_use]
    pub fn load(sources: Vec<Arc<Source>>) -> (Self, Vec<Diagnostic>) {
        let loaded: Vec<_> = sources.into_par_iter().map(|source| custom::load(&source)).collect();
        let mut schemas = Self::default();
        let mut diagnostics = Vec::new();
        for (kinds, broken) in loaded {
            diagnostics.extend(broken);
            for kind in kinds {
                schemas.custom.entry(kind.group.clone()).or_default().insert(kind.kind.clone(), kind);
            }
        }
        (schemas, diagnostics)
    }

    /// Checks an object against the schema of its kind, and tells what an API server would refuse in its structure: codes
    /// `EV105` to `EV119`. What an API server checks in code beyond that is not part of any schema.
    pub fn check(&self, object: &Object, findings: &mut Findings<'_>) -> Known {
        if let Some(kind) = self.custom_kind(object) {
            return check_custom(kind, object, findings);
        }
        if let Some(found) = builtin::find(object.group(), object.version(), &object.kind) {
            let dialect = if found.validated { Dialect::GoType } else { Dialect::GoTypeRequired };
            report(found.schema().check(findings.root(), dialect), findings);
            return Known::BuiltIn;
        }
        let served: Vec<_> = builtin::versions(object.group(), &object.kind).map(BuiltIn::api_version).collect();
        if !served.is_empty() {
            not_served_by_kubernetes(object, &served, findings);
            return Known::NotServed(served);
        }
        misspelt_kind(object, findings);
        Known::Unknown
    }

    /// Whether objects of this kind live in namespaces; `None` if no schema is known for it.
    #[must_use]
    pub fn scope(&self, object: &Object) -> Option<Scope> {
        let built_in = || builtin::versions(object.group(), &object.kind).next().map(|kind| kind.scope);
        self.custom_kind(object).map(|kind| kind.scope).or_else(built_in)
    }

    fn custom_kind(&self, object: &Object) -> Option<&CustomKind> {
        self.custom.get(object.group())?.get(&object.kind)
    }
}

fn check_custom(kind: &CustomKind, object: &Object, findings: &mut Findings<'_>) -> Known {
    let found = kind.versions.iter().find(|version| version.served && version.name == object.version());
    let Some(Version { schema, scale, .. }) = found else {
        let served = kind.versions.iter().filter(|version| version.served);
        let served: Vec<_> = served.map(|version| format!("{}/{}", kind.group, version.name)).collect();
        not_served(object, "the CRD of this kind", &served, findings);
        return Known::NotServed(served);
    };
    if let Some(schema) = schema {
        report(schema.check(findings.root(), Dialect::CustomResource), findings);
    }
    if let Some(scale) = scale {
        scale.check(findings);
    }
    Known::Custom
}

/// An alpha or beta version may be served by an older cluster: those are judged by the versions of the plan. Any other
/// version never was.
fn not_served_by_kubernetes(object: &Object, served: &[String], findings: &mut Findings<'_>) {
    if !is_preview(object) {
        not_served(object, "Kubernetes", served, findings);
    }
}

fn not_served(object: &Object, who: &str, served: &[String], findings: &mut Findings<'_>) {
    let message = format!("{who} does not serve {} {}", object.api_version, object.kind);
    let help = (!served.is_empty()).then(|| format!("served: {}", served.join(", ")));
    tell_at(findings, "apiVersion", &message).help = help;
}

/// Whether the version is one that Kubernetes may withdraw.
fn is_preview(object: &Object) -> bool {
    object.version().contains("alpha") || object.version().contains("beta")
}

/// A built-in group and version have no such kind: no API server knows it. Kinds of alpha and beta versions come and go.
fn misspelt_kind(object: &Object, findings: &mut Findings<'_>) {
    let mut kinds = builtin::kinds(object.group(), object.version()).peekable();
    let may_exist = is_preview(object) || object.kind.is_empty() || object.kind.ends_with("List");
    if may_exist || kinds.peek().is_none() {
        return;
    }
    let near = closest(&object.kind, kinds).map_or(String::new(), |near| format!(", did you mean `{near}`?"));
    tell_at(findings, "kind", &format!("{} has no kind `{}`{near}", object.api_version, object.kind));
}

/// An error of code `EV118` at a field of the root.
fn tell_at<'f>(findings: &'f mut Findings<'_>, field: &str, message: &str) -> &'f mut Diagnostic {
    let root = findings.root();
    match root.get(field) {
        Some(node) => findings.error(code::NOT_SERVED, node, message),
        None => findings.error(code::NOT_SERVED, root, message),
    }
}

/// Turns violations into findings.
fn report(violations: Vec<crate::schema::Violation<'_>>, findings: &mut Findings<'_>) {
    for violation in violations {
        let (code, severity) = code_of(violation.kind);
        let help = violation.help_in(findings.text());
        findings.add(code, severity, violation.anchor, &violation.message).help = help;
    }
}

/// The code of each kind of violation. What could not be checked is only a warning.
fn code_of(kind: ViolationKind) -> (&'static str, Severity) {
    let code = match kind {
        ViolationKind::UnknownField => code::UNKNOWN_FIELD,
        ViolationKind::WrongType => code::WRONG_TYPE,
        ViolationKind::Required => code::REQUIRED,
        ViolationKind::NotAllowed => code::NOT_ALLOWED,
        ViolationKind::Format => code::FORMAT,
        ViolationKind::Range => code::RANGE,
        ViolationKind::Quantity => code::QUANTITY,
        ViolationKind::Duplicate => code::DUPLICATE,
        ViolationKind::Alternative => code::INVALID,
        ViolationKind::Rule => code::CEL_RULE,
        ViolationKind::RuleUnknown => return (code::CEL_RULE, Severity::Warning),
    };
    (code, Severity::Error)
}

#[cfg(test)]
mod tests;
