//! From the file's text to a validated config, with every mistake at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::place::Problems;
use super::raw::RawConfig;
use super::{Config, validate};
use crate::diagnostic::{Diagnostic, Source};
use crate::error::{Error, Result};
use crate::schema::{Dialect, Schema, Violation, ViolationKind};
use crate::yaml::{self, Node, Value};

/// The config that is read when none is named, relative to the root.
pub const DEFAULT_PATH: &str = ".github/example-validator.yml";

/// Reads the config of the repository at `root`: the file that was `asked` for, which must be there, else
/// [`DEFAULT_PATH`], and with no such file the defaults.
///
/// # Errors
/// [`Error::Usage`] with everything that is wrong, a missing root among it.
pub fn read(root: &Path, asked: Option<&Path>) -> Result<Config> {
    if !root.is_dir() {
        return Err(Error::usage(
            Diagnostic::error(format!("the root `{}` is not a folder", root.display()))
                .with_help("`--root` names the folder of the repository"),
        ));
    }
    let path = asked.map_or_else(|| root.join(DEFAULT_PATH), PathBuf::from);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if asked.is_none() && error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            let what = format!("the config `{}` is not UTF-8 text", path.display());
            return Err(Error::usage(Diagnostic::error(what).with_help("save the file as UTF-8")));
        }
        Err(error) => {
            let what = format!("can't read the config `{}`: {error}", path.display());
            let help = format!("`--config` names the file; without it `{DEFAULT_PATH}` is read if it is there");
            return Err(Error::usage(Diagnostic::error(what).with_help(help)));
        }
    };
    let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
    load(&Source::new(shown, text)).map_err(Error::Usage)
}

/// Reads and validates a config. An empty one has every default.
///
/// # Errors
/// Every mistake in it, in the order of the file: those of its structure, or, where there are none, those of its meaning.
pub fn load(source: &Arc<Source>) -> std::result::Result<Config, Vec<Diagnostic>> {
    let parsed = yaml::parse(&source.text);
    let mut found: Vec<_> =
        parsed.errors.iter().map(|error| Diagnostic::error(&error.message).at(source, error.span)).collect();
    if let Some(second) = parsed.documents.get(1) {
        found.push(
            Diagnostic::error("a second document: the config is one document")
                .at(source, second.root.span)
                .with_help("take out the `---` line"),
        );
    }
    let root = parsed.documents.first().map(|document| &document.root).filter(|root| !root.is_null());
    match read_document(source, root) {
        Ok(config) if found.is_empty() => Ok(config),
        Ok(_) => Err(found),
        Err(mistakes) => {
            found.extend(mistakes);
            Err(found)
        }
    }
}

fn read_document(source: &Arc<Source>, root: Option<&Node>) -> std::result::Result<Config, Vec<Diagnostic>> {
    let raw = match root {
        None => RawConfig::default(),
        Some(root) => {
            let mistakes = structure(source, root);
            if !mistakes.is_empty() {
                return Err(mistakes);
            }
            // The schema is made from the raw form, so that what passes it can be read; what can't is told all the same.
            RawConfig::deserialize(&root.to_json())
                .map_err(|error| vec![Diagnostic::error(error.to_string()).at(source, root.span)])?
        }
    };
    let problems = Problems::new(source);
    let config = validate::config(raw, &problems.root(root));
    let found = problems.into_diagnostics();
    if found.is_empty() { Ok(config) } else { Err(found) }
}

/// What to do about a value of the wrong type that means something plain in its place: a time without its unit, a version that YAML takes
/// for a number, a history by its name.
fn advice(path: &str, node: &Node, text: &str) -> Option<String> {
    let is_number = matches!(node.value, Value::Int(_) | Value::Float(_));
    let written = text.get(node.span.range()).filter(|written| !written.is_empty() && written.len() < 20)?;
    let last = path.rsplit('.').next().unwrap_or(path);
    let is_time = matches!(last, "timeout" | "every" | "wait") || path.starts_with("graces.");
    if is_number && is_time {
        return Some(format!("add a unit: {written}s"));
    }
    if is_number && path.starts_with("kubernetes[") {
        return Some(format!("write v{written}"));
    }
    match (path, &node.value) {
        ("history", Value::String(name)) => {
            let branch = name.strip_prefix("branch:").unwrap_or(name);
            Some(format!("write {{branch: {branch}}}, or {{file: PATH}}"))
        }
        _ => None,
    }
}

/// What the config's own schema finds wrong.
fn structure(source: &Arc<Source>, root: &Node) -> Vec<Diagnostic> {
    let schema = Schema::of_json_schema(&super::json_schema());
    let tell = |violation: Violation<'_>| {
        let path = root.path_to(violation.anchor.node());
        let separator = if path.is_empty() { "" } else { ": " };
        let diagnostic = Diagnostic::error(format!("{path}{separator}{}", violation.message));
        let span = match violation.kind {
            ViolationKind::UnknownField => violation.anchor.span(),
            _ => violation.anchor.node().span,
        };
        let help = advice(&path, violation.anchor.node(), &source.text).or_else(|| violation.help_in(&source.text));
        Diagnostic { help, ..diagnostic.at(source, span) }
    };
    schema.check(root, Dialect::Document).into_iter().map(tell).collect()
}
