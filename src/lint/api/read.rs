//! Reading nodes as Go's decoder does: `null` is absent, and so is what has another type than the field (the schema
//! speaks about that).

use crate::quantity::Quantity;
use crate::yaml::{Entry, Node, Value};

/// The value of `key`, unless it is `null`.
pub(super) fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    node.get(key).filter(|value| !value.is_null())
}

/// The value at the end of a path of keys, unless it or one on its way is `null`.
pub(super) fn at<'n>(node: &'n Node, keys: &[&str]) -> Option<&'n Node> {
    keys.iter().try_fold(node, |node, key| get(node, key))
}

/// The string under `key`; empty if there is none.
pub(super) fn text<'n>(node: &'n Node, key: &str) -> &'n str {
    node.get(key).and_then(Node::as_str).unwrap_or_default()
}

/// The whole number under `key`.
pub(super) fn int(node: &Node, key: &str) -> Option<i64> {
    node.get(key).and_then(Node::as_i64)
}

/// Whether `key` is `true`.
pub(super) fn flag(node: &Node, key: &str) -> bool {
    node.get(key).and_then(Node::as_bool) == Some(true)
}

/// The structures listed under `key`; a `null` among them is an empty structure.
pub(super) fn structs<'n>(node: &'n Node, key: &str) -> impl Iterator<Item = &'n Node> + use<'n> {
    list(node, key).iter().filter(|item| matches!(item.value, Value::Map(_) | Value::Null))
}

/// The items listed under `key`.
pub(super) fn list<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    node.get(key).and_then(Node::as_seq).unwrap_or_default()
}

/// The strings listed under `key`; a `null` among them is an empty string.
pub(super) fn strings<'n>(node: &'n Node, key: &str) -> impl Iterator<Item = (&'n Node, &'n str)> + use<'n> {
    list(node, key).iter().filter_map(|item| Some((item, string(item)?)))
}

/// The entries of the map of strings under `key`; a `null` among its values is an empty string.
pub(super) fn pairs<'n>(node: &'n Node, key: &str) -> impl Iterator<Item = (&'n Entry, &'n str)> + use<'n> {
    entries(node, key).filter_map(|entry| Some((entry, string(&entry.value)?)))
}

/// The entries of the mapping under `key`.
pub(super) fn entries<'n>(node: &'n Node, key: &str) -> impl Iterator<Item = &'n Entry> + use<'n> {
    node.get(key).and_then(Node::as_map).into_iter().flatten()
}

/// The entry of `key`, unless it is `null`.
pub(super) fn entry<'n>(node: &'n Node, key: &str) -> Option<&'n Entry> {
    node.entry(key).filter(|entry| !entry.value.is_null())
}

/// Whether nothing stands under `key`: absent, `null`, or an empty string, list or mapping.
pub(super) fn is_missing(node: &Node, key: &str) -> bool {
    node.get(key).is_none_or(|value| match &value.value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Seq(items) => items.is_empty(),
        Value::Map(mapping) => mapping.is_empty(),
        _ => false,
    })
}

/// The quantity that a node writes; `null` is zero, as Go reads it. `None` if it is not one.
pub(super) fn quantity(node: &Node) -> Option<Quantity> {
    match &node.value {
        Value::Null => Some(Quantity::default()),
        Value::String(text) => Quantity::parse(text),
        Value::Int(number) => Some(Quantity::from_units(*number)),
        Value::Float(number) => Quantity::parse(&number.to_string()),
        _ => None,
    }
}

/// A number, or a string that names one: Kubernetes' `IntOrString`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IntOrString<'n> {
    /// A number; also what is absent.
    Int(i64),
    /// A string.
    Text(&'n str),
}

impl<'n> IntOrString<'n> {
    /// What `node` holds; `None` for any other type than number, string and `null`.
    pub(super) fn of(node: &'n Node) -> Option<Self> {
        match &node.value {
            Value::Null => Some(Self::Int(0)),
            Value::Int(number) => Some(Self::Int(*number)),
            Value::String(text) => Some(Self::Text(text)),
            _ => None,
        }
    }

    /// The number, or that of a percentage; 0 for anything else.
    pub(super) fn amount(self) -> i64 {
        match self {
            Self::Int(number) => number,
            Self::Text(text) => text.strip_suffix('%').unwrap_or(text).parse().unwrap_or(0),
        }
    }
}

fn string(node: &Node) -> Option<&str> {
    if node.is_null() { Some("") } else { node.as_str() }
}
