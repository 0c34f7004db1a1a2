//! From the parser's events to a tree of nodes: anchors, merge keys, duplicate keys, limits.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, StrInput, Tag};

use super::scalar::scalar;
use super::tabs::Tabs;
use super::{Entry, MAX_ALIAS_NODES, MAX_DEPTH, Mapping, Node, Span, Value, YamlError, YamlErrorKind};

/// The tags that YAML itself defines.
const CORE: &str = "tag:yaml.org,2002:";

/// Builds documents from the parser's events.
pub(super) struct Loader<'a> {
    text: &'a str,
    /// The part that is read, and where it begins in the text.
    parser: Parser<'a, StrInput<'a>>,
    part: Range<usize>,
    /// What is known of tabs, if there is any in the part.
    tabs: Option<Tabs>,
    /// Anchored values of the current document by the parser's anchor id, with their number of nodes.
    anchors: HashMap<usize, (Node, usize)>,
    alias_nodes: usize,
    pub(super) errors: Vec<YamlError>,
}

/// An event that the loader asked for, with its place.
type Step<'a> = Result<(Event<'a>, Span), YamlError>;

/// The entries of a mapping while it is read, and which of them it set itself (where), rather than by a merge.
#[derive(Default)]
struct Building {
    entries: Vec<Entry>,
    places: HashMap<Box<str>, (usize, Option<Span>)>,
}

impl Building {
    /// Sets a key, whatever it was before.
    fn put(&mut self, entry: Entry, own: Option<Span>) {
        if let Some((index, _)) = self.places.get(&entry.key) {
            let index = *index;
            self.places.insert(entry.key.clone(), (index, own));
            self.entries[index] = entry;
        } else {
            self.places.insert(entry.key.clone(), (self.entries.len(), own));
            self.entries.push(entry);
        }
    }

    /// Where the mapping itself set a key.
    fn own(&self, key: &str) -> Option<Span> {
        self.places.get(key)?.1
    }
}

fn parser(text: &str) -> Parser<'_, StrInput<'_>> {
    let mut options = Options::default();
    options.emit_comments = false;
    Parser::new_from_str_with_options(text, options)
}

/// The tab that an error is about: the parser points behind it, or at the token before it.
fn tab_near(text: &str, offset: usize) -> usize {
    match (text.get(..offset), text.get(offset..)) {
        (Some(before), _) if before.ends_with('\t') => offset - 1,
        (_, Some(rest)) => offset + rest.find('\t').unwrap_or_default(),
        _ => offset,
    }
}

fn refused(span: Span, message: impl Into<String>) -> YamlError {
    YamlError { kind: YamlErrorKind::Refused, span, message: message.into() }
}

impl<'a> Loader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let (anchors, errors) = (HashMap::new(), Vec::new());
        Self { text, parser: parser(text), part: 0..text.len(), tabs: None, anchors, alias_nodes: 0, errors }
    }

    fn next_event(&mut self) -> Step<'a> {
        let (base, end) = (self.part.start, self.part.end);
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let range = span.byte_range().unwrap_or(0..0);
                let span = Span::new(base + range.start, base + range.end);
                if let Some(tabs) = &mut self.tabs {
                    tabs.see(self.text, &event, span);
                }
                Ok((event, span))
            }
            Some(Err(error)) => {
                let offset = error.marker().byte_offset().map_or(end, |offset| (base + offset).min(end));
                let mut message = error.info();
                let is_tab = message.contains("tab");
                let offset = if is_tab { tab_near(&self.text[..end], offset) } else { offset };
                if is_tab {
                    message.push_str(": indent with spaces");
                }
                Err(YamlError { kind: YamlErrorKind::Syntax, span: Span::new(offset, offset), message })
            }
            None => Ok((Event::StreamEnd, Span::new(end, end))),
        }
    }

    /// The document of a part of the text, if it holds something. What follows it there, kubectl does not read.
    pub(super) fn document(&mut self, part: Range<usize>) -> Result<Option<Node>, YamlError> {
        let text = &self.text[part.clone()];
        self.parser = parser(text);
        self.tabs = text.contains('\t').then(Tabs::default);
        self.part = part;
        self.anchors.clear();
        if let Some(directive) = self.directive() {
            let message = "kubectl does not read directives (`%` before `---`): leave the line out";
            return Err(refused(directive, message));
        }
        let mut found = None;
        loop {
            match self.next_event()? {
                (Event::StreamEnd, _) => {
                    let tab = self.tabs.take().and_then(|tabs| tabs.refused(self.text, &self.part));
                    self.errors.extend(tab.filter(|_| found.is_some()));
                    return Ok(found);
                }
                (Event::DocumentStart(..), _) => {
                    let (event, span) = self.next_event()?;
                    let root = self.node(event, span, 0)?.0;
                    if root.is_null() {
                        continue;
                    }
                    if found.is_some() {
                        let first = Span { start: root.span.start, end: root.span.start };
                        self.errors
                            .push(refused(first, "kubectl does not read what follows `...`: put `---` before it"));
                        return Ok(found);
                    }
                    found = Some(root);
                }
                _ => {}
            }
        }
    }

    /// The directive that the part begins with.
    fn directive(&self) -> Option<Span> {
        let mut at = self.part.start;
        for line in self.text[self.part.clone()].split_inclusive('\n') {
            if line.starts_with('%') {
                return Some(Span::new(at, at + line.trim_end().len()));
            }
            at += line.len();
            let plain = line.trim_start_matches('\u{feff}').trim();
            if !(plain.is_empty() || plain.starts_with('#')) {
                return None;
            }
        }
        None
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
                let tag = tag.as_ref().map(|tag| tag.suffix_in_namespace(CORE).unwrap_or_default());
                let value = scalar(&text, style, tag.as_deref()).unwrap_or_else(|message| {
                    self.errors.push(refused(span, message));
                    Value::Null
                });
                (Node { span, value }, 1)
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
        let mut building = Building::default();
        let mut last = None;
        let mut count = 1;
        loop {
            let (event, key_span) = self.next_event()?;
            if matches!(event, Event::MappingEnd) {
                let end = collection_end(key_span, last);
                let span = Span { start: start.start, end: end.max(start.start) };
                return Ok((Node { span, value: Value::Map(Mapping { entries: building.entries }) }, count));
            }
            let is_merge = is_merge(&event);
            let (key, _) = self.node(event, key_span, depth + 1)?;
            let (event, span) = self.next_event()?;
            let (value, nodes) = self.node(event, span, depth + 1)?;
            count += nodes;
            last = Some(value.span);
            if is_merge {
                merge_sources(value)?.into_iter().for_each(|entry| building.put(entry, None));
                continue;
            }
            let key = key_text(&key)?;
            if let Some(first) = building.own(&key) {
                let line = self.text[..first.start as usize].matches('\n').count() + 1;
                self.errors.push(YamlError {
                    kind: YamlErrorKind::DuplicateKey,
                    span: key_span,
                    message: format!("key `{key}` is already set in this mapping, at line {line}"),
                });
                continue;
            }
            building.put(Entry { key, key_span, value }, Some(key_span));
        }
    }
}

/// Whether a key is YAML 1.1's merge key.
fn is_merge(key: &Event<'_>) -> bool {
    let is_merge_tag = |tag: &Tag| tag.suffix_in_namespace(CORE).is_some_and(|suffix| suffix == "merge");
    match key {
        Event::Scalar(text, style, _, tag) if text == "<<" => match tag {
            None => *style == ScalarStyle::Plain,
            Some(tag) => is_merge_tag(tag),
        },
        _ => false,
    }
}

/// Where a collection ends: after its last child (block style) or after its closing bracket (flow style).
fn collection_end(end: Span, last: Option<Span>) -> u32 {
    if end.end > end.start { end.end } else { last.map_or(end.end, |span| span.end) }
}

/// The entries that `<<: value` brings, the strongest last: of one mapping, or of several of which the first is the strongest.
/// Go's reader puts them where the `<<` stands, so that they win over keys before it, and keys after it win over them.
fn merge_sources(value: Node) -> Result<Vec<Entry>, YamlError> {
    let span = value.span;
    match value.value {
        Value::Map(mapping) => Ok(mapping.entries),
        Value::Seq(items) => {
            let mut entries = Vec::new();
            for item in items.into_iter().rev() {
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
