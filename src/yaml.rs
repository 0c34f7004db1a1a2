//! YAML as Kubernetes reads it: documents as trees of nodes, each with its place in the source.
//!
//! `kubectl` turns YAML into JSON with Go's `sigs.k8s.io/yaml`, which follows YAML 1.1: `yes` and `on` are booleans,
//! `0644` is octal, `<<` merges. This module gives the same values, and rejects what that library rejects (a key that is
//! set twice) or what would cost too much (the limits below). It is the only user of the YAML crate.
//!
//! Source of the scalar rules: `resolve.go` of <https://github.com/kubernetes-sigs/yaml> (its fork of go-yaml v2).

mod anchor;
mod chunks;
mod json;
mod loader;
mod scalar;
mod tabs;

use std::fmt;
use std::ops::Range;

pub use anchor::Anchor;
use chunks::Chunk;
use loader::Loader;

/// Largest file that is read, in bytes.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Deepest nesting of mappings and sequences.
pub const MAX_DEPTH: usize = 128;
/// Most nodes that the aliases of one file may add.
pub const MAX_ALIAS_NODES: usize = 1_000_000;

/// A half-open range of bytes in the source text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span of `start..end`; offsets beyond `u32::MAX` are clamped (files are at most [`MAX_BYTES`]).
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        let clamp = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: clamp(start), end: clamp(end.max(start)) }
    }

    /// The same range as indices into the source text.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The bytes of the value; for an alias those of the anchored value's user (`*name`).
    pub span: Span,
    /// What stands there.
    pub value: Value,
}

/// A YAML value after resolution to JSON's types.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing at all.
    Null,
    /// A boolean, YAML 1.1's spellings included.
    Bool(bool),
    /// A whole number, also one that was written as `1.0` or `1e3` (Go's JSON writes those as whole numbers too).
    Int(i64),
    /// Any other number; whole numbers beyond `i64` as well.
    Float(f64),
    /// A string.
    String(Box<str>),
    /// A sequence.
    Seq(Vec<Node>),
    /// A mapping, in the order of the source.
    Map(Mapping),
}

/// The entries of a mapping, in the order of the source, each key once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapping {
    entries: Vec<Entry>,
}

/// One key of a mapping with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key as a string, as JSON has it (`1:` is `"1"`, `yes:` is `"true"`).
    pub key: Box<str>,
    /// Where the key stands.
    pub key_span: Span,
    /// Its value.
    pub value: Node,
}

impl Mapping {
    /// The value under `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of `key`.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| &*entry.key == key)
    }

    /// The entries in the order of the source.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<'a> IntoIterator for &'a Mapping {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Node {
    /// The value under `key`, if this is a mapping that has it. A `null` is returned as such.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key)
    }

    /// The entry of `key` (key's place and value), if this is a mapping that has it.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.as_map()?.entry(key)
    }

    /// The value at the end of a path of keys: `node.at(&["metadata", "name"])`.
    #[must_use]
    pub fn at(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The string, if this is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if this is one.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self.value {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }

    /// The boolean, if this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(flag) => Some(flag),
            _ => None,
        }
    }

    /// The items, if this is a sequence.
    #[must_use]
    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// The mapping, if this is one.
    #[must_use]
    pub fn as_map(&self) -> Option<&Mapping> {
        match &self.value {
            Value::Map(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The items of a sequence; nothing for anything else.
    pub fn items(&self) -> impl Iterator<Item = &Node> {
        self.as_seq().unwrap_or_default().iter()
    }

    /// The entries of a mapping; nothing for anything else.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.as_map().into_iter().flatten()
    }

    /// Whether this is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// What JSON calls this type: `null`, `boolean`, `integer`, `number`, `string`, `array` or `object`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Int(_) => "integer",
            Value::Float(_) => "number",
            Value::String(_) => "string",
            Value::Seq(_) => "array",
            Value::Map(_) => "object",
        }
    }

    /// The same value as JSON. Numbers that JSON cannot hold (`.inf`, `.nan`) become `null`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(flag) => Json::Bool(*flag),
            Value::Int(number) => Json::from(*number),
            Value::Float(number) => Json::from(*number),
            Value::String(text) => Json::String(text.to_string()),
            Value::Seq(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(mapping) => {
                Json::Object(mapping.iter().map(|entry| (entry.key.to_string(), entry.value.to_json())).collect())
            }
        }
    }

    /// The path from this node down to `target` (by identity) as Kubernetes writes field paths, `spec.containers[0].name`;
    /// empty if `target` is this node or not below it. Walks the tree: meant for messages, not for hot paths.
    #[must_use]
    pub fn path_to(&self, target: &Node) -> String {
        fn walk(node: &Node, target: &Node, path: &mut Vec<String>) -> bool {
            if std::ptr::eq(node, target) {
                return true;
            }
            let children: Box<dyn Iterator<Item = (String, &Node)>> = match &node.value {
                Value::Seq(items) => {
                    Box::new(items.iter().enumerate().map(|(index, item)| (format!("[{index}]"), item)))
                }
                Value::Map(mapping) => Box::new(mapping.iter().map(|entry| (path_key(&entry.key), &entry.value))),
                _ => return false,
            };
            for (segment, child) in children {
                path.push(segment);
                if walk(child, target, path) {
                    return true;
                }
                path.pop();
            }
            false
        }
        let mut path = Vec::new();
        walk(self, target, &mut path);
        join_path(&path)
    }
}

/// A key as a segment of a field path: `name`, or `[example.com/x]` when it holds a dot.
fn path_key(key: &str) -> String {
    if key.contains(['.', '/', '[']) { format!("[{key}]") } else { key.to_owned() }
}

fn join_path(segments: &[String]) -> String {
    let mut path = String::new();
    for segment in segments {
        if !path.is_empty() && !segment.starts_with('[') {
            path.push('.');
        }
        path.push_str(segment);
    }
    path
}

/// One document of a file that is neither empty nor only comments.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its place among the file's documents that hold something, from 0.
    pub index: usize,
    /// The value.
    pub root: Node,
}

/// What could be read of a file, and what could not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The documents that were read to their end.
    pub documents: Vec<Document>,
    /// What was wrong, in the order of the source.
    pub errors: Vec<YamlError>,
}

/// What kind of thing was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum YamlErrorKind {
    /// Not YAML.
    Syntax,
    /// A limit of this module was met.
    Limit,
    /// A key stands twice in one mapping.
    DuplicateKey,
    /// It could be read, but Kubernetes' own reader refuses it.
    Refused,
}

/// Why a document could not be read, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct YamlError {
    /// Which kind.
    pub kind: YamlErrorKind,
    /// Where.
    pub span: Span,
    /// What was found, in one line.
    pub message: String,
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Reads every document of `text`. JSON is YAML here. A document that is broken is reported and left out; the others are
/// kept. A duplicate key is an error, but its document is kept with the first value.
#[must_use]
pub fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    if text.len() > MAX_BYTES {
        parsed.errors.push(YamlError {
            kind: YamlErrorKind::Limit,
            span: Span::new(0, 0),
            message: format!("the file has {} bytes; at most {MAX_BYTES} are read", text.len()),
        });
        return parsed;
    }
    let mut loader = Loader::new(text);
    for chunk in chunks::chunks(text) {
        let found = match chunk {
            Chunk::Document(range) => loader.document(range),
            Chunk::BadSeparator(range) => Err(YamlError {
                kind: YamlErrorKind::Syntax,
                span: Span::new(range.start, range.end),
                message: "kubectl takes only a comment after `---` in the same line".to_owned(),
            }),
        };
        match found {
            Ok(Some(root)) => {
                let index = parsed.documents.len();
                parsed.documents.push(Document { index, root });
            }
            Ok(None) => {}
            Err(error) => {
                let fatal = error.kind == YamlErrorKind::Limit;
                loader.errors.push(error);
                if fatal {
                    break;
                }
            }
        }
    }
    parsed.errors = loader.errors;
    parsed
}

#[cfg(test)]
mod tests;
