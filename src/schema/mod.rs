//! Structural schemas: does a value have the fields, types and forms that a schema asks for?
//!
//! One engine serves three readers. What a schema says is the same for all; what differs is the [`Dialect`]: an API
//! server that checks a custom resource, Go's JSON decoder that fills the struct of a built-in kind, and this program's
//! own config. Sources: `apiextensions-apiserver/pkg/apiserver/schema` (pruning, defaulting, list types),
//! `kube-openapi/pkg/validation/validate` (values), `sigs.k8s.io/json` (strict decoding).

mod check;
mod combine;
mod compile;
mod container;
mod effective;
mod format;
mod go;
mod pattern;
mod resource;
mod rules;
mod scalar;
mod shape;
mod suggest;

use k8s_openapi::schemars::{JsonSchema as GoSchema, generate::SchemaSettings};
use serde_json::Value as Json;

use crate::yaml::{Anchor, Node};
use check::Checker;
use compile::{Compiler, Language};
use shape::{Id, Shape};
pub use suggest::closest;

/// A compiled schema.
#[derive(Debug)]
pub struct Schema {
    shapes: Box<[Shape]>,
    root: Id,
    /// Whether values of the root's `status` are dropped before they are checked (its unknown fields are not).
    drops_status: bool,
}

/// By whose rules a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// An API server checks a custom resource on creation, with strict field validation: unknown fields are refused, a
    /// `null` that the schema does not allow is dropped, defaults are filled in, then the values and CEL rules are checked.
    CustomResource,
    /// Go's strict JSON decoder fills a struct: unknown fields and wrong types are refused, `null` is always nothing.
    /// Required fields are left to the validation in code, which knows better when a field is required.
    GoType,
    /// As [`Dialect::GoType`], for kinds whose validation in code this program does not have: required texts and objects
    /// are asked for, outside `status`.
    GoTypeRequired,
    /// The program's own config: unknown fields are refused where the schema says so, `null` is "not given".
    Document,
}

/// What a violation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViolationKind {
    /// A field that the schema does not know.
    UnknownField,
    /// A value of the wrong type.
    WrongType,
    /// A required field is missing.
    Required,
    /// A value that is not among the allowed ones.
    NotAllowed,
    /// A string without the required form, or of the wrong length.
    Format,
    /// A number, or a count of items or fields, out of its range.
    Range,
    /// Not a quantity.
    Quantity,
    /// Two items where one is allowed.
    Duplicate,
    /// None of several alternatives fits, or more than one does.
    Alternative,
    /// A CEL rule is broken.
    Rule,
    /// A CEL rule could not be evaluated here; an API server may well refuse the value.
    RuleUnknown,
}

/// One thing that is wrong with a value.
#[derive(Clone, Debug)]
pub struct Violation<'n> {
    /// What it is about.
    pub kind: ViolationKind,
    /// Where: the key for a field that should not be there, else the value.
    pub anchor: Anchor<'n>,
    /// What was found and what was expected, in one line, without the field's path.
    pub message: String,
    /// What to do about it, if that is known.
    pub help: Option<String>,
    /// Whether it is a number or a boolean that should be a string: [`Violation::help_in`] then knows better.
    pub is_unquoted: bool,
}

impl Violation<'_> {
    /// What to do about it, where it stands in this text: what is to be put in quotes is what was written (`1.30`), not what it was
    /// read as (`1.3`).
    #[must_use]
    pub fn help_in(&self, text: &str) -> Option<String> {
        let node = self.anchor.node();
        let written = text.get(node.span.range()).filter(|_| self.is_unquoted);
        written.and_then(|written| check::in_quotes(written, node)).or_else(|| self.help.clone())
    }
}

impl Schema {
    /// The schema of a custom resource, from `openAPIV3Schema`. With `drops_status` the kind has a status subresource: a
    /// status in a manifest is dropped before its values are checked.
    #[must_use]
    pub fn of_custom_resource(open_api: &Json, drops_status: bool) -> Self {
        let (shapes, root) = Compiler::compile(open_api, Language::OpenApi);
        Self { shapes, root, drops_status }
    }

    /// A JSON Schema as schemars writes it (`$defs`, `anyOf` with `null`, lists of types, enumerations as `oneOf`).
    #[must_use]
    pub fn of_json_schema(json: &Json) -> Self {
        let (shapes, root) = Compiler::compile(json, Language::JsonSchema);
        Self { shapes, root, drops_status: false }
    }

    /// The schema of a Go type of Kubernetes, as k8s-openapi describes it.
    #[must_use]
    pub fn of_go_type<T: GoSchema>() -> Self {
        let generator = SchemaSettings::draft2020_12().into_generator();
        let (shapes, root) = Compiler::compile(generator.into_root_schema_for::<T>().as_value(), Language::GoType);
        Self { shapes, root, drops_status: false }
    }

    /// What is wrong with `node`, in the order of the source where that is possible.
    #[must_use]
    pub fn check<'n>(&self, node: &'n Node, dialect: Dialect) -> Vec<Violation<'n>> {
        let mut checker = Checker::new(self, dialect, node);
        checker.check(self.root, Anchor::Value(node));
        checker.finish()
    }

    fn shape(&self, id: Id) -> &Shape {
        &self.shapes[id as usize]
    }
}

impl Dialect {
    /// Whether this is Go's decoder.
    fn is_go(self) -> bool {
        matches!(self, Self::GoType | Self::GoTypeRequired)
    }
}

#[cfg(test)]
mod tests;
