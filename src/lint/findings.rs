//! Where rules put what they find in one object.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Location, Severity, Source};
pub use crate::yaml::Anchor;
use crate::yaml::Node;

/// The findings of one object, in the order in which rules found them.
#[derive(Debug)]
pub struct Findings<'a> {
    source: &'a Arc<Source>,
    root: &'a Node,
    /// What was found so far.
    pub diagnostics: Vec<Diagnostic>,
}

impl<'a> Findings<'a> {
    /// Nothing found yet in the object at `root` of `source`.
    #[must_use]
    pub fn new(source: &'a Arc<Source>, root: &'a Node) -> Self {
        Self { source, root, diagnostics: Vec::new() }
    }

    /// The text that it stands in.
    #[must_use]
    pub fn text(&self) -> &'a str {
        &self.source.text
    }

    /// The object.
    #[must_use]
    pub fn root(&self) -> &'a Node {
        self.root
    }

    /// Adds a finding at `anchor`. The message is prefixed with the field's path, `spec.containers[0].name: ...`, which is
    /// found by the anchor's identity, so that rules need not carry paths along. Returns it, for `help` to be added.
    pub fn add<'n>(
        &mut self,
        code: &'static str,
        severity: Severity,
        anchor: impl Into<Anchor<'n>>,
        message: impl AsRef<str>,
    ) -> &mut Diagnostic {
        let anchor = anchor.into();
        let path = self.root.path_to(anchor.node());
        let message = message.as_ref();
        let message = if path.is_empty() { message.to_owned() } else { format!("{path}: {message}") };
        self.diagnostics.push(Diagnostic {
            code: Some(code),
            severity,
            message,
            help: None,
            location: Some(Location { source: Arc::clone(self.source), span: anchor.span() }),
        });
        let last = self.diagnostics.len() - 1;
        &mut self.diagnostics[last]
    }

    /// Adds an error; see [`Findings::add`].
    pub fn error<'n>(
        &mut self,
        code: &'static str,
        anchor: impl Into<Anchor<'n>>,
        message: impl AsRef<str>,
    ) -> &mut Diagnostic {
        self.add(code, Severity::Error, anchor, message)
    }

    /// Adds a warning; see [`Findings::add`].
    pub fn warning<'n>(
        &mut self,
        code: &'static str,
        anchor: impl Into<Anchor<'n>>,
        message: impl AsRef<str>,
    ) -> &mut Diagnostic {
        self.add(code, Severity::Warning, anchor, message)
    }

    /// Adds a note; see [`Findings::add`].
    pub fn note<'n>(
        &mut self,
        code: &'static str,
        anchor: impl Into<Anchor<'n>>,
        message: impl AsRef<str>,
    ) -> &mut Diagnostic {
        self.add(code, Severity::Note, anchor, message)
    }

    /// Whether the API server would refuse the object for what was found so far.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_refusal)
    }
}
