//! What was found in a file: one type for terminal, annotation and report.

pub mod code;
pub mod inert;
pub mod render;

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::yaml::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The example cannot work.
    Error,
    /// It may not work, or not for long.
    Warning,
    /// Good to know.
    Note,
}

/// A text that diagnostics point into: a file of the repository, or something that was rendered from one.
#[derive(Debug)]
pub struct Source {
    /// The path as the user knows it, relative to the root.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// The offset at which each line starts, once somebody asked: a file may have many findings.
    line_starts: OnceLock<Vec<usize>>,
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.text == other.text
    }
}

impl Eq for Source {}

/// A place in a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The source.
    pub source: Arc<Source>,
    /// The bytes that are meant.
    pub span: Span,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its stable code (`EV105`); `explain` documents it. Findings in config and settings have none.
    pub code: Option<&'static str>,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line, with the field's path where there is one.
    pub message: String,
    /// What to do about it, if that is known.
    pub help: Option<String>,
    /// Where, if it has a place.
    pub location: Option<Location>,
}

impl Source {
    /// A source that diagnostics can share.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { path: path.into(), text: text.into(), line_starts: OnceLock::new() })
    }

    /// Line and column of a byte offset, both from 1; columns count characters.
    #[must_use]
    pub fn position(&self, offset: u32) -> (u32, u32) {
        let offset = self.char_boundary(offset);
        let line = self.line_of(offset);
        let column = self.text[self.starts()[line]..offset].chars().count() + 1;
        (u32::try_from(line + 1).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }

    /// The line that a byte offset is on, without its line end (`\n` or `\r\n`), and the offset at which it starts.
    #[must_use]
    pub fn line_at(&self, offset: u32) -> (&str, usize) {
        let starts = self.starts();
        let line = self.line_of(self.char_boundary(offset));
        let end = starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
        let text = &self.text[starts[line]..end];
        (text.strip_suffix('\r').unwrap_or(text), starts[line])
    }

    /// The offset itself, or the start of the character that it is inside of; never beyond the text.
    fn char_boundary(&self, offset: u32) -> usize {
        let mut offset = (offset as usize).min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }

    /// The line, from 0, of an offset within the text.
    fn line_of(&self, offset: usize) -> usize {
        self.starts().partition_point(|start| *start <= offset) - 1
    }

    /// Where each line starts; the first one always at 0.
    fn starts(&self) -> &[usize] {
        self.line_starts.get_or_init(|| {
            let after_ends = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(after_ends).collect()
        })
    }
}

impl Diagnostic {
    /// A finding without a code, as in config and settings.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self { code: None, severity: Severity::Error, message: message.into(), help: None, location: None }
    }

    /// The same finding with a place.
    #[must_use]
    pub fn at(mut self, source: &Arc<Source>, span: Span) -> Self {
        self.location = Some(Location { source: Arc::clone(source), span });
        self
    }

    /// The same finding with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same finding, as severe as this.
    #[must_use]
    pub fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// File, line and column (from 1), if it has a place.
    #[must_use]
    pub fn position(&self) -> Option<(&str, u32, u32)> {
        let location = self.location.as_ref()?;
        let (line, column) = location.source.position(location.span.start);
        Some((&location.source.path, line, column))
    }

    /// Whether it is about what the example says to this tool (its comment line, its `needs`) or about reading it at all, so that
    /// no cluster can tell more: an error without a code.
    #[must_use]
    pub fn is_mistake(&self) -> bool {
        self.severity == Severity::Error && self.code.is_none()
    }

    /// Whether an API server itself would refuse the object (`EV1xx`, as an error).
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.severity == Severity::Error && self.code.is_some_and(|code| code.starts_with("EV1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let source = Source::new("a.yaml", "aé: 1\nb: 2\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(3), (1, 3));
        assert_eq!(source.position(7), (2, 1));
        assert_eq!(source.position(999), (3, 1));
    }

    #[test]
    fn a_line_is_given_without_its_line_end() {
        let source = Source::new("a.yaml", "a: 1\r\nb: 2\n");
        assert_eq!(source.line_at(2), ("a: 1", 0));
        assert_eq!(source.line_at(5), ("a: 1", 0));
        assert_eq!(source.line_at(6), ("b: 2", 6));
        assert_eq!(source.line_at(999), ("", 11));
        assert_eq!(Source::new("b.yaml", "").line_at(0), ("", 0));
    }
}
