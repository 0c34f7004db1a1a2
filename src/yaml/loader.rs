//! From the parser's events to a tree of nodes: anchors, merge keys, duplicate keys, limits.

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, StrInput};

use super::scalar::scalar;
use super::{Entry, MAX_ALIAS_NODES, MAX_DEPTH, Mapping, Node, Span, Value, YamlError, YamlErrorKind};

/// Builds documents from the parser's events.
pub(super) struct Loader<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    /// Anchored values of the current document by the parser's anchor id, with their number of nodes.
    anchors: HashMap<usize, (Node, usize)>,
    alias_nodes: usize,
    pub(super) errors: Vec<YamlError>,
}

/// An event that the loader asked for, with its place.
type Step<'a> = Result<(Event<'a>, Span), YamlError>;

impl<'a> Loader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut options = Options::default();
        options.emit_comments = false;
        Self {
            text,
            parser: Parser::new_from_str_with_options(text, options),
            anchors: HashMap::new(),
            alias_nodes: 0,
            errors: Vec::new(),
        }
    }

    /// Skips to the next document after an error; false at the end of the file.
    pub(super) fn recover(&mut self) -> bool {
        self.anchors.clear();
        matches!(self.parser.proceed_next_document(), Ok(true))
    }

    fn next_event(&mut self) -> Step<'a> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let range = span.byte_range().unwrap_or(0..0);
                Ok((event, Span::new(range.start, range.end)))
            }
            Some(Err(error)) => {
                let offset = error.marker().byte_offset().unwrap_or(self.text.len()).min(self.text.len());
                Err(YamlError { kind: YamlErrorKind::Syntax, span: Span::new(offset, offset), message: error.info() })
            }
            None => Ok((Event::StreamEnd, Span::new(self.text.len(), self.text.len()))),
        }
    }

    /// The next document that holds something.
    pub(super) fn next_document(&mut self) -> Result<Option<Node>, YamlError> {
        loop {
            match self.next_event()? {
                (Event::StreamEnd, _) => return Ok(None),
                (Event::DocumentStart(..), _) => {
                    self.anchors.clear();
                    let (event, span) = self.next_event()?;
                    let root = self.node(event, span, 0)?.0;
                    if !root.is_null() {
                        return Ok(Some(root));
                    }
                }
                _ => {}
            }
        }
    }

    /// The node that starts with `event`, and how many nodes it holds.
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<(Node, usize), YamlError> {
        if depth > MAX_DEPTH {
            return Err(YamlError {
                kind: YamlErrorKind::Limit,
                span,
                message: format!("nested more than {MAX_DEPTH} levels deep"),
            });
        }
        let anchor = event.anchor_id();
        let (node, count) = match event {
            Event::Alias(id) => return self.alias(id, span),
            Event::Scalar(text, style, _, tag) => {
                let tag = tag.as_ref().and_then(|tag| tag.core_suffix());
                (Node { span, value: scalar(&text, style, tag) }, 1)
            }
            Event::SequenceStart(..) => self.sequence(span, depth)?,
            Event::MappingStart(..) => self.mapping(span, depth)?,
            _ => (Node { span, value: Value::Null }, 1),
        };
        if let Some(id) = anchor {
            self.anchors.insert(id, (node.clone(), count));
        }
        Ok((node, count))
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<(Node, usize), YamlError> {
        let Some((node, count)) = self.anchors.get(&id) else {
            return Err(YamlError {
                kind: YamlErrorKind::Syntax,
                span,
                message: "the alias stands inside its own anchor".to_owned(),
            });
        };
        self.alias_nodes += count;
        if self.alias_nodes > MAX_ALIAS_NODES {
            return Err(YamlError {
                kind: YamlErrorKind::Limit,
                span,
                message: format!("aliases expand to more than {MAX_ALIAS_NODES} nodes"),
            });
        }
        Ok((node.clone(), *count))
    }

    fn sequence(&mut self, start: Span, depth: usize) -> Result<(Node, usize), YamlError> {
        let mut items = Vec::new();
        let mut count = 1;
        loop {
            let (event, span) = self.next_event()?;
            if matches!(event, Event::SequenceEnd) {
                let end = collection_end(span, items.last().map(|item: &Node| item.span));
                let first = items.first().map_or(start.start, |item: &Node| item.span.start.min(start.start));
                return Ok((
                    Node { span: Span { start: first, end: end.max(first) }, value: Value::Seq(items) },
                    count,
                ));
            }
            let (item, nodes) = self.node(event, span, depth + 1)?;
            count += nodes;
            items.push(item);
        }
    }

    fn mapping(&mut self, start: Span, depth: usize) -> Result<(Node, usize), YamlError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        let mut seen: HashMap<Box<str>, Span> = HashMap::new();
        let mut count = 1;
        loop {
            let (event, key_span) = self.next_event()?;
            if matches!(event, Event::MappingEnd) {
                let end = collection_end(key_span, entries.last().map(|entry| entry.value.span));
                merge_into(&mut entries, merged);
                let span = Span { start: start.start, end: end.max(start.start) };
                return Ok((Node { span, value: Value::Map(Mapping { entries }) }, count));
            }
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let (key, _) = self.node(event, key_span, depth + 1)?;
            let (event, span) = self.next_event()?;
            let (value, nodes) = self.node(event, span, depth + 1)?;
            count += nodes;
            if is_merge {
                merged.extend(merge_sources(value)?);
                continue;
            }
            let key = key_text(&key)?;
            if let Some(first) = seen.get(&key) {
                let line = self.text[..first.start as usize].matches('\n').count() + 1;
                self.errors.push(YamlError {
                    kind: YamlErrorKind::DuplicateKey,
                    span: key_span,
                    message: format!("key `{key}` is already set in this mapping, at line {line}"),
                });
                continue;
            }
            seen.insert(key.clone(), key_span);
            entries.push(Entry { key, key_span, value });
        }
    }
}

/// Where a collection ends: after its last child (block style) or after its closing bracket (flow style).
fn collection_end(end: Span, last: Option<Span>) -> u32 {
    if end.end > end.start { end.end } else { last.map_or(end.end, |span| span.end) }
}

/// The entries that `<<: value` brings: of one mapping, or of several in order of strength.
fn merge_sources(value: Node) -> Result<Vec<Entry>, YamlError> {
    let span = value.span;
    match value.value {
        Value::Map(mapping) => Ok(mapping.entries),
        Value::Seq(items) => {
            let mut entries = Vec::new();
            for item in items {
                match item.value {
                    Value::Map(mapping) => entries.extend(mapping.entries),
                    _ => return Err(merge_error(item.span)),
                }
            }
            Ok(entries)
        }
        _ => Err(merge_error(span)),
    }
}

fn merge_error(span: Span) -> YamlError {
    YamlError { kind: YamlErrorKind::Syntax, span, message: "`<<` takes a mapping or a list of mappings".to_owned() }
}

/// Adds merged entries whose keys the mapping does not set itself; the first source of a key wins.
fn merge_into(entries: &mut Vec<Entry>, merged: Vec<Entry>) {
    for entry in merged {
        if !entries.iter().any(|own| own.key == entry.key) {
            entries.push(entry);
        }
    }
}

/// A key as JSON has it.
fn key_text(key: &Node) -> Result<Box<str>, YamlError> {
    match &key.value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string().into()),
        Value::Int(number) => Ok(number.to_string().into()),
        Value::Float(number) => Ok(number.to_string().into()),
        Value::Null | Value::Seq(_) | Value::Map(_) => Err(YamlError {
            kind: YamlErrorKind::Syntax,
            span: key.span,
            message: format!("a key must be a string, not {}", key.type_name()),
        }),
    }
}
