//! The action's inputs, `INPUT_*`: the same options as the flags, and a few of their own.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::cli::Options;
use crate::diagnostic::Diagnostic;

/// What the runner sets before an input's name.
const PREFIX: &str = "INPUT_";
/// Inputs that the runner itself reads for a container action.
const RUNNERS_OWN: [&str; 2] = ["args", "entrypoint"];

/// The inputs that are no flags, as text.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct ActionInputs {
    /// What to do: run, lint, plan, report, init, clean or schema
    #[schemars(extend("default" = "run"))]
    command: Option<String>,
    /// The token for comments, changed files and artifacts
    #[schemars(extend("default" = "${{ github.token }}"))]
    github_token: Option<String>,
    /// When to comment on the pull request: always, on-failure, on-change or never
    #[schemars(extend("default" = "always"))]
    comment: Option<String>,
    /// Tells the comments of two workflows, or of the jobs of a matrix, apart
    #[schemars(extend("default" = "default"))]
    comment_key: Option<String>,
    /// The name of the artifact with the reports and the evidence
    #[schemars(extend("default" = "example-validator-report"))]
    artifact_name: Option<String>,
    /// How many days the artifact is kept
    #[schemars(extend("default" = "the repository's"))]
    retention_days: Option<String>,
    /// Run code of pull requests from forks where the token can write
    #[schemars(extend("default" = "false"))]
    allow_untrusted: Option<String>,
}

/// An input of the action, for its documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// `kubernetes`.
    pub name: String,
    /// What it means.
    pub description: String,
    /// What holds without it, where that is one thing.
    pub default: Option<String>,
}

/// Every input of the action, the flags first.
#[must_use]
pub fn inputs() -> Vec<Input> {
    let mut generator = SchemaGenerator::default();
    let mut found = described(&Options::json_schema(&mut generator));
    found.extend(described(&ActionInputs::json_schema(&mut generator)));
    found
}

fn described(schema: &Schema) -> Vec<Input> {
    let properties = schema.get("properties").and_then(serde_json::Value::as_object);
    let text = |property: &serde_json::Value, key: &str| property.get(key)?.as_str().map(str::to_owned);
    properties
        .into_iter()
        .flatten()
        .map(|(name, property)| Input {
            name: name.clone(),
            description: text(property, "description").unwrap_or_default(),
            default: text(property, "default"),
        })
        .collect()
}

/// The defaults of the options that have one, by name.
pub(super) fn defaults() -> BTreeMap<String, String> {
    inputs().into_iter().filter_map(|input| Some((input.name, input.default?))).collect()
}

/// The action's inputs as a table, `dist/inputs.md`.
#[must_use]
pub fn inputs_markdown() -> String {
    let mut text = String::from("| Input | Meaning | Default |\n|---|---|---|\n");
    for Input { name, description, default } in inputs() {
        let is_literal = |default: &str| !default.starts_with("the ") && !default.starts_with("their ");
        let default = match default {
            Some(default) if is_literal(&default) => format!("`{default}`"),
            other => other.unwrap_or_default(),
        };
        text.push_str(&format!("| `{name}` | {description} | {default} |\n"));
    }
    text
}

/// The `inputs:` of `action.yml`.
///
/// A default of ours is only told, not set: what is set would arrive as if the workflow's author had written it, and win over the config.
#[must_use]
pub fn inputs_yaml() -> String {
    let mut text = String::from("inputs:\n");
    for Input { name, description, default } in inputs() {
        let set = default.as_deref().filter(|default| default.starts_with("${{"));
        let description = match (&default, set) {
            (Some(default), None) => format!("{description} [default: {default}]"),
            _ => description,
        };
        text.push_str(&format!("  {name}:\n    description: {}\n", quoted(&description)));
        if let Some(default) = set {
            text.push_str(&format!("    default: {default}\n"));
        }
    }
    text
}

/// A text as a YAML scalar, in quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Reads the inputs that are not empty: those that are flags too, and the others.
pub(super) fn read(env: &BTreeMap<String, String>, problems: &mut Vec<Diagnostic>) -> (Options, ActionInputs) {
    let given: Vec<(String, String)> = env
        .iter()
        .filter(|(name, value)| name.starts_with(PREFIX) && !value.trim().is_empty())
        .map(|(name, value)| (name.clone(), value.trim().to_owned()))
        .collect();
    problems.extend(unknown(env));
    (from_env(&given, problems), from_env(&given, problems))
}

fn from_env<T: DeserializeOwned + Default>(given: &[(String, String)], problems: &mut Vec<Diagnostic>) -> T {
    envy::prefixed(PREFIX).from_iter(given.iter().cloned()).unwrap_or_else(|error| {
        problems.push(Diagnostic::error(format!("can't read the action's inputs: {error}")));
        T::default()
    })
}

/// A diagnostic for each input that this action does not have, empty ones too: they are misspelt all the same.
fn unknown(env: &BTreeMap<String, String>) -> Vec<Diagnostic> {
    let known: Vec<String> = inputs().into_iter().map(|input| input.name).collect();
    env.keys()
        .filter_map(|name| name.strip_prefix(PREFIX))
        .map(str::to_lowercase)
        .filter(|name| !known.contains(name) && !RUNNERS_OWN.contains(&name.as_str()))
        .map(|name| {
            let error = Diagnostic::error(format!("unknown input `{name}`"));
            match crate::schema::closest(&name, known.iter().map(String::as_str)) {
                Some(near) => error.with_help(format!("did you mean `{near}`?")),
                None => error.with_help(format!("the inputs are {}", known.join(", "))),
            }
        })
        .collect()
}
