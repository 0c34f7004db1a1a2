//! Places that findings point at.

use super::{Entry, Node, Span};

/// What a finding points at.
#[derive(Clone, Copy, Debug)]
pub enum Anchor<'a> {
    /// A value, or a collection as a whole.
    Value(&'a Node),
    /// A key with its value; the key is underlined.
    Key(&'a Entry),
}

impl<'a> From<&'a Node> for Anchor<'a> {
    fn from(node: &'a Node) -> Self {
        Self::Value(node)
    }
}

impl<'a> From<&'a Entry> for Anchor<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self::Key(entry)
    }
}

impl<'a> Anchor<'a> {
    /// The value.
    #[must_use]
    pub fn node(self) -> &'a Node {
        match self {
            Self::Value(node) => node,
            Self::Key(entry) => &entry.value,
        }
    }

    /// The bytes that are meant.
    #[must_use]
    pub fn span(self) -> Span {
        match self {
            Self::Value(node) => node.span,
            Self::Key(entry) => entry.key_span,
        }
    }
}
