//! From a file to what stands in it: text, objects, comment settings, and everything that was wrong.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::comment::{self, Comment};
use super::objects::{looks_like_an_object, objects};
use super::{ExampleKind, Object};
use crate::diagnostic::code;
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::kustomize::{self, RenderError};
use crate::yaml::{self, MAX_BYTES, Span, YamlError, YamlErrorKind};

/// An example before its settings are known.
#[derive(Debug)]
pub struct Draft {
    /// Its path from the root.
    pub id: String,
    /// The path from the root of its file: its kustomization, if it is a folder.
    pub file: String,
    /// What it is.
    pub kind: ExampleKind,
    /// The file or kustomize folder.
    pub path: PathBuf,
    /// Its text, or what it rendered to.
    pub source: Arc<Source>,
    /// The text that its comment line stands in: the kustomization's, if it is a folder.
    pub own_text: Arc<Source>,
    /// Its objects.
    pub objects: Vec<Object>,
    /// What was wrong.
    pub diagnostics: Vec<Diagnostic>,
    /// Its own settings.
    pub comment: Comment,
}

/// A manifest file. `None` for one that was only found, and turns out to be something else than Kubernetes objects.
#[must_use]
pub fn manifest(id: &str, path: &Path, named: bool) -> Option<Draft> {
    let (source, unread) = text(id, path);
    let unreadable = unread.is_some();
    let parsed = if unreadable { yaml::Parsed::default() } else { yaml::parse(&source.text) };
    if !named && !unreadable && !is_example(path, &source.text, &parsed) {
        return None;
    }
    let mut draft = draft(id, ExampleKind::Manifest, path, source);
    draft.diagnostics.extend(unread);
    fill(&mut draft, parsed);
    if draft.objects.is_empty() && draft.diagnostics.is_empty() {
        let empty = error(code::NOT_AN_OBJECT, "the file holds no Kubernetes object".to_owned());
        let help = "expected at least one object with `apiVersion` and `kind`";
        draft.diagnostics.push(empty.with_help(help).at(&draft.source, Span::default()));
    }
    Some(draft)
}

/// A script or notebook: its text alone, if it is small enough to hold comment settings.
#[must_use]
pub fn script(id: &str, path: &Path) -> Draft {
    let (source, unread) = text(id, path);
    let mut draft = draft(id, ExampleKind::Script, path, source);
    // A notebook may well be larger than a manifest is allowed to be; only one that is not there is wrong.
    draft.diagnostics.extend(unread.filter(|_| !path.is_file()));
    draft
}

/// A kustomize folder: `id` is the folder's; `file` and `path` are those of its kustomization.
#[must_use]
pub fn kustomization(id: &str, file: &str, path: &Path) -> Draft {
    let folder = path.parent().unwrap_or(path);
    let (own, unread) = text(file, path);
    let rendered = if unread.is_some() { Ok(String::new()) } else { kustomize::render(folder) };
    let (rendered, failed) = match rendered {
        Ok(rendered) => (rendered, None),
        Err(error) => (String::new(), Some(render_error(&error, id, &own))),
    };
    let mut draft = draft(id, ExampleKind::Kustomize, folder, Source::new(id, rendered));
    file.clone_into(&mut draft.file);
    draft.comment = comment::read(&own);
    draft.own_text = own;
    draft.diagnostics.extend(unread.into_iter().chain(failed));
    let parsed = yaml::parse(&draft.source.text);
    fill(&mut draft, parsed);
    draft
}

fn draft(id: &str, kind: ExampleKind, path: &Path, source: Arc<Source>) -> Draft {
    let comment = comment::read(&source);
    Draft {
        id: id.to_owned(),
        file: id.to_owned(),
        kind,
        path: path.to_owned(),
        own_text: Arc::clone(&source),
        source,
        objects: Vec::new(),
        diagnostics: Vec::new(),
        comment,
    }
}

/// Adds what was parsed: errors of the text, then objects and what is none.
fn fill(draft: &mut Draft, parsed: yaml::Parsed) {
    draft.diagnostics.extend(parsed.errors.iter().map(|error| yaml_error(error, &draft.source)));
    let (objects, wrong) = objects(parsed.documents, &draft.source);
    draft.objects = objects;
    draft.diagnostics.extend(wrong);
}

/// Whether a file that was only found is meant to be an example: it holds an object, or it is broken YAML (broken JSON
/// only if it speaks of objects: many programs have JSON of their own, some with comments).
fn is_example(path: &Path, text: &str, parsed: &yaml::Parsed) -> bool {
    let refused = |kind| matches!(kind, YamlErrorKind::DuplicateKey | YamlErrorKind::Refused);
    let broken = parsed.errors.iter().any(|error| !refused(error.kind));
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let speaks_of_objects = || text.contains("\"apiVersion\"") && text.contains("\"kind\"");
    parsed.documents.iter().any(|document| looks_like_an_object(&document.root))
        || (broken && (!is_json || speaks_of_objects()))
}

/// The text of a file, and why it could not be read (as a whole, or at all).
fn text(id: &str, path: &Path) -> (Arc<Source>, Option<Diagnostic>) {
    let failed = |diagnostic: Diagnostic, text: String| {
        let source = Source::new(id, text);
        let diagnostic =
            if diagnostic.location.is_none() { diagnostic.at(&source, Span::default()) } else { diagnostic };
        (source, Some(diagnostic))
    };
    let unreadable = |error: &std::io::Error| error_unreadable(&error.to_string());
    match path.metadata() {
        Err(error) => return failed(unreadable(&error), String::new()),
        Ok(found) if !found.is_file() => return failed(error_unreadable("it is not a regular file"), String::new()),
        Ok(found) if found.len() > MAX_BYTES as u64 => {
            let message = format!("the file has {} bytes; at most {MAX_BYTES} are read", found.len());
            let help = "an example that large can't be applied in one request either; split it";
            return failed(error(code::LIMIT, message).with_help(help), String::new());
        }
        Ok(_) => {}
    }
    match std::fs::read(path) {
        Err(error) => failed(unreadable(&error), String::new()),
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => (Source::new(id, text), None),
            Err(invalid) => {
                let at = invalid.utf8_error().valid_up_to();
                // Up to there the text is as it stands in the file, so the place is right.
                let text = String::from_utf8_lossy(invalid.as_bytes()).into_owned();
                let source = Source::new(id, text);
                let told = error(code::SYNTAX, format!("byte {at} is not UTF-8"))
                    .with_help("save the file as UTF-8")
                    .at(&source, Span::new(at, at + char::REPLACEMENT_CHARACTER.len_utf8()));
                (source, Some(told))
            }
        },
    }
}

fn yaml_error(error: &YamlError, source: &Arc<Source>) -> Diagnostic {
    let code = match error.kind {
        YamlErrorKind::Syntax | YamlErrorKind::Refused => code::SYNTAX,
        YamlErrorKind::Limit => code::LIMIT,
        YamlErrorKind::DuplicateKey => code::DUPLICATE_KEY,
    };
    self::error(code, error.message.clone()).at(source, error.span)
}

fn render_error(error: &RenderError, id: &str, kustomization: &Arc<Source>) -> Diagnostic {
    let (code, help) = match error {
        RenderError::Failed(_) => (Some(code::INVALID), format!("try it: kubectl kustomize {id}")),
        RenderError::Missing => {
            let help = "install kubectl, or leave the folder out with `exclude` in the config's `examples`";
            (None, help.to_owned())
        }
        RenderError::Timeout => {
            (None, "bases from the network make a render slow: keep a copy of them in the repository".to_owned())
        }
        RenderError::Start(_) => (None, "check the kubectl on the PATH: kubectl version --client".to_owned()),
    };
    Diagnostic { code, ..Diagnostic::error(error.to_string()) }.with_help(help).at(kustomization, Span::default())
}

fn error_unreadable(why: &str) -> Diagnostic {
    error(code::SYNTAX, format!("the file can't be read: {why}"))
        .with_help("check that it exists, where it links to, and its permissions")
}

fn error(code: &'static str, message: String) -> Diagnostic {
    Diagnostic { code: Some(code), severity: Severity::Error, message, help: None, location: None }
}
