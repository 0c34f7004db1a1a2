//! Where in the config a mistake stands.

use std::cell::RefCell;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Source};
use crate::yaml::{Node, Span};

/// The mistakes that were found in one config.
#[derive(Debug)]
pub(super) struct Problems {
    source: Arc<Source>,
    found: RefCell<Vec<Diagnostic>>,
}

/// A field of the config: its path, and its node, or that of the nearest field above it that the file has.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    problems: &'a Problems,
    node: Option<&'a Node>,
    span: Span,
    path: String,
}

impl Problems {
    pub fn new(source: &Arc<Source>) -> Self {
        Self { source: Arc::clone(source), found: RefCell::default() }
    }

    /// The place of the whole file.
    pub fn root<'a>(&'a self, root: Option<&'a Node>) -> Place<'a> {
        Place { problems: self, node: root, span: root.map(|node| node.span).unwrap_or_default(), path: String::new() }
    }

    /// What was found, in the order of the file.
    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|problem| problem.location.as_ref().map(|location| location.span.start));
        found
    }
}

impl<'a> Place<'a> {
    /// The place of a field below this one.
    pub fn key(&self, key: &str) -> Self {
        let separator = if self.path.is_empty() { "" } else { "." };
        self.below(self.node.and_then(|node| node.get(key)), format!("{}{separator}{key}", self.path))
    }

    /// The place of an item below this one.
    pub fn item(&self, index: usize) -> Self {
        let node = self.node.and_then(|node| node.as_seq()?.get(index));
        self.below(node, format!("{}[{index}]", self.path))
    }

    /// The places of `items`, with them.
    pub fn items<T>(&self, items: impl IntoIterator<Item = T>) -> impl Iterator<Item = (Self, T)> {
        items.into_iter().enumerate().map(|(index, item)| (self.item(index), item))
    }

    fn below(&self, node: Option<&'a Node>, path: String) -> Self {
        Self { problems: self.problems, node, span: node.map_or(self.span, |node| node.span), path }
    }

    /// The place of this field's key, where a mistake is in the key itself.
    pub fn at_key_of(&self, parent: &Self, key: &str) -> Self {
        let span = parent.node.and_then(|node| node.entry(key)).map_or(self.span, |entry| entry.key_span);
        Self { span, ..self.clone() }
    }

    /// The field's own text in the file; empty if the file does not have it.
    pub fn text(&self) -> &'a str {
        self.node.and_then(|node| self.problems.source.text.get(node.span.range())).unwrap_or_default()
    }

    /// Notes a mistake here.
    pub fn error(&self, message: impl AsRef<str>) {
        self.push(self.diagnostic(message.as_ref()));
    }

    /// Notes a mistake here, and what to do about it.
    pub fn error_with_help(&self, message: impl AsRef<str>, help: impl Into<String>) {
        self.push(self.diagnostic(message.as_ref()).with_help(help));
    }

    /// The value, or a mistake that is noted.
    pub fn ok<T>(&self, value: Result<T, String>) -> Option<T> {
        value.map_err(|message| self.error(message)).ok()
    }

    fn diagnostic(&self, message: &str) -> Diagnostic {
        let message = if self.path.is_empty() { message.to_owned() } else { format!("{}: {message}", self.path) };
        Diagnostic::error(message).at(&self.problems.source, self.span)
    }

    fn push(&self, diagnostic: Diagnostic) {
        self.problems.found.borrow_mut().push(diagnostic);
    }
}
