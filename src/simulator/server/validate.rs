//! What is refused: the basic tier's findings, told as an API server tells them.
//!
//! The basic tier refuses what a real API server refuses (`tests/agreement.rs`); here its findings become the statuses
//! with which a real one answers: 400 for what can't be decoded, 500 for what can't be typed (server-side apply), 422 for
//! what is invalid. Reasons and fields are the real ones; sentences are, where programs read them.

use std::sync::{Arc, LazyLock};

use serde_json::Value as Json;

use super::definitions::Definition;
use super::patch::{Shape, twins};
use super::path;
use crate::catalog::Object;
use crate::diagnostic::Source;
use crate::lint::{self, code, findings::Findings};
use crate::quantity::Quantity;
use crate::simulator::store::{Kind, Status, StatusCause, text};
use crate::yaml::{Node, Span};

/// What becomes of fields that the schema does not know (`fieldValidation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// They are dropped in silence.
    Ignored,
    /// They are dropped, and told in `Warning` headers.
    Warned,
    /// The request is refused.
    Refused,
}

impl Unknown {
    /// Reads `fieldValidation`.
    ///
    /// # Errors
    /// 400 for any other word.
    pub fn parse(word: &str) -> Result<Self, Status> {
        match word {
            "Ignore" => Ok(Self::Ignored),
            "" | "Warn" => Ok(Self::Warned),
            "Strict" => Ok(Self::Refused),
            other => Err(Status::bad_request(format!(
                "fieldValidation: Unsupported value: \"{other}\": supported values: \"Ignore\", \"Strict\", \"Warn\""
            ))),
        }
    }
}

/// One finding of the basic tier.
#[derive(PartialEq)]
struct Problem {
    code: &'static str,
    field: String,
    message: String,
}

static SOURCE: LazyLock<Arc<Source>> = LazyLock::new(|| Source::new("", ""));

/// What the server itself wrote into the metadata of an object that exists: the basic tier judges objects that are created.
const SERVER_OWNED: [&str; 7] = [
    "resourceVersion",
    "uid",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
];

fn problems(object: &Json, definition: &Definition) -> Vec<Problem> {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) {
        metadata.retain(|field, _| !SERVER_OWNED.contains(&field.as_str()));
    }
    let object = &object;
    let root = Node::from_json(object, Span::default());
    let object_of = Object {
        api_version: text(object, "/apiVersion").to_owned(),
        kind: text(object, "/kind").to_owned(),
        name: text(object, "/metadata/name").to_owned(),
        namespace: None,
        root,
    };
    let mut findings = Findings::new(&SOURCE, &object_of.root);
    lint::refusals(&object_of, &definition.schemas, &mut findings);
    let refusals = findings.diagnostics.iter().filter(|found| found.is_refusal());
    refusals
        .map(|found| {
            let (field, message) = path::split(&found.message, object);
            Problem { code: found.code.unwrap_or(code::INVALID), field: field.to_owned(), message: message.to_owned() }
        })
        .collect()
}

/// The problems of an object that were not there before: what was let in once, or made by the server itself, stays.
fn new_problems(object: &Json, before: Option<&Json>, definition: &Definition) -> Vec<Problem> {
    let mut found = problems(object, definition);
    if let (Some(before), false) = (before, found.is_empty()) {
        let known = problems(before, definition);
        found.retain(|problem| !known.contains(problem));
    }
    found
}

/// Checks an object that was sent, in place of what was there `before`; takes away the fields that nobody knows. Returns
/// warnings.
///
/// # Errors
/// What an API server answers.
pub fn decoded(
    kind: &Kind,
    version: &str,
    definition: &Definition,
    object: &mut Json,
    before: Option<&Json>,
    unknown: Unknown,
) -> Result<Vec<String>, Status> {
    let (strange, rest): (Vec<_>, Vec<_>) =
        new_problems(object, before, definition).into_iter().partition(|problem| problem.code == code::UNKNOWN_FIELD);
    let cannot = |why: &str| {
        let name = &kind.kind;
        Status::bad_request(format!("{name} in version \"{version}\" cannot be handled as a {name}: {why}"))
    };
    if let Some(problem) = rest.iter().find(|problem| is_decoding(kind, object, problem)) {
        return Err(cannot(&decoding_error(kind, object, problem)));
    }
    let told: Vec<_> = strange.iter().map(|problem| format!("unknown field \"{}\"", problem.field)).collect();
    if unknown == Unknown::Refused && !told.is_empty() {
        return Err(cannot(&format!("strict decoding error: {}", told.join(", "))));
    }
    if !rest.is_empty() {
        return Err(invalid(kind, object, &rest));
    }
    for problem in &strange {
        path::remove(object, &problem.field);
    }
    Ok(if unknown == Unknown::Warned { told } else { Vec::new() })
}

/// Checks what a manager applies: all of it must be declared in the schema, of its type, and items of lists must differ in their keys.
///
/// # Errors
/// 500, as a real API server answers.
pub fn typed(kind: &Kind, definition: &Definition, applied: &Json, shape: Shape<'_>) -> Result<(), Status> {
    let problems = problems(applied, definition);
    let wrong = problems.iter().filter_map(|problem| typing_error(applied, problem));
    let wrong: Vec<_> = wrong.chain(twins(applied, shape)).collect();
    let list = match wrong.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        several => {
            format!("errors:\n{}", several.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"))
        }
    };
    let (namespace, name) = (text(applied, "/metadata/namespace"), text(applied, "/metadata/name"));
    let api_version = text(applied, "/apiVersion");
    let message =
        format!("failed to create typed patch object ({namespace}/{name}; {api_version}, Kind={}): {list}", kind.kind);
    Err(Status::new(500, "", message))
}

fn typing_error(applied: &Json, problem: &Problem) -> Option<String> {
    match problem.code {
        code::UNKNOWN_FIELD => Some(format!(".{}: field not declared in schema", problem.field)),
        code::WRONG_TYPE => {
            let found = path::get(applied, &problem.field).map_or("null", type_name);
            let expected = match expected_type(&problem.message) {
                "integer" | "number" => "numeric (int or float)",
                "array" => "list",
                "object" => "map",
                other => other,
            };
            Some(format!(".{}: expected {expected}, got {found}", problem.field))
        }
        _ => None,
    }
}

/// Checks an object as it is to be kept, in place of what was there `before`.
///
/// # Errors
/// 422 with a cause for each thing that is wrong.
pub fn valid(kind: &Kind, definition: &Definition, object: &Json, before: Option<&Json>) -> Result<(), Status> {
    let mut problems = new_problems(object, before, definition);
    problems.retain(|problem| problem.code != code::UNKNOWN_FIELD);
    if problems.is_empty() { Ok(()) } else { Err(invalid(kind, object, &problems)) }
}

/// Whether Go's decoder fails on it, before anything is validated.
fn is_decoding(kind: &Kind, object: &Json, problem: &Problem) -> bool {
    let is_no_quantity = || {
        let value = path::get(object, &problem.field);
        value.and_then(Json::as_str).is_some_and(|text| Quantity::parse(text).is_none())
    };
    !kind.custom
        && match problem.code {
            code::WRONG_TYPE => true,
            code::QUANTITY => is_no_quantity(),
            _ => false,
        }
}

fn decoding_error(kind: &Kind, object: &Json, problem: &Problem) -> String {
    if problem.code == code::QUANTITY {
        return "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            .to_owned();
    }
    let found = path::get(object, &problem.field).map_or("null", type_name);
    let expected = match expected_type(&problem.message) {
        "integer" => "int32",
        "boolean" => "bool",
        other => other,
    };
    format!("json: cannot unmarshal {found} into Go struct field {}.{} of type {expected}", kind.kind, problem.field)
}

/// The type that a message of the schema engine asks for: `expected integer, found string`.
fn expected_type(message: &str) -> &str {
    let rest = message.split_once("expected ").map_or(message, |(_, rest)| rest);
    rest.split([',', ' ']).next().unwrap_or(rest)
}

fn type_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

fn invalid(kind: &Kind, object: &Json, problems: &[Problem]) -> Status {
    let mut causes: Vec<_> = problems.iter().map(|problem| cause(kind, object, problem)).collect();
    let blocks = |cause: &StatusCause| matches!(cause.reason, "FieldValueTypeInvalid" | "FieldValueRequired");
    if kind.custom && causes.iter().any(blocks) {
        let message = "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
        causes.push(StatusCause {
            reason: "FieldValueInvalid",
            message: message.to_owned(),
            field: "<nil>".to_owned(),
        });
    }
    Status::invalid(kind, text(object, "/metadata/name"), &causes)
}

fn cause(kind: &Kind, object: &Json, problem: &Problem) -> StatusCause {
    let Problem { code, field, message } = problem;
    let value = path::get(object, field).cloned().unwrap_or_default();
    let (reason, message) = match *code {
        code::REQUIRED => return required(field, message),
        code::NOT_ALLOWED => {
            let allowed: Vec<_> = quoted(message.split_once("expected").map_or("", |(_, list)| list));
            let allowed = allowed.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
            ("FieldValueNotSupported", format!("Unsupported value: {value}: supported values: {allowed}"))
        }
        code::DUPLICATE => ("FieldValueDuplicate", format!("Duplicate value: {value}")),
        code::FORBIDDEN => ("FieldValueForbidden", format!("Forbidden: {message}")),
        code::NOT_FOUND => ("FieldValueNotFound", format!("Not found: {value}")),
        code::WRONG_TYPE => {
            let found = type_name(&value);
            let expected = expected_type(message);
            let text = format!("Invalid value: \"{found}\": {field} in body must be of type {expected}: \"{found}\"");
            ("FieldValueTypeInvalid", text)
        }
        code::NAME if field == "metadata.name" => {
            ("FieldValueInvalid", format!("Invalid value: {value}: {}", name_rule(kind, message)))
        }
        _ => ("FieldValueInvalid", format!("Invalid value: {value}: {message}")),
    };
    StatusCause { reason, message, field: field.clone() }
}

/// What is missing stands in the message: the finding is about the mapping that lacks it.
fn required(field: &str, message: &str) -> StatusCause {
    let name = quoted(message).first().copied().unwrap_or_default();
    let is_missing = message.contains("is missing") || message.starts_with('`');
    let field = match (is_missing, field.is_empty()) {
        (true, true) => name.to_owned(),
        (true, false) => format!("{field}.{name}"),
        _ => field.to_owned(),
    };
    StatusCause { reason: "FieldValueRequired", message: "Required value".to_owned(), field }
}

/// What stands between backticks.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// The sentence of a real API server on a name that is no DNS subdomain or label; any other is the basic tier's.
fn name_rule<'m>(kind: &Kind, message: &'m str) -> &'m str {
    const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    if message.contains("longer") || message.contains("more than") {
        message
    } else if ["Service", "Namespace", "StatefulSet"].contains(&kind.kind.as_str()) && !kind.custom {
        LABEL
    } else {
        SUBDOMAIN
    }
}
