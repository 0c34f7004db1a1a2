//! Objects and lists.

use serde_json::Value as Json;

use super::check::{Checker, shorten};
use super::resource::META_FIELDS;
use super::shape::{Additional, Id, Limits, List, Shape};
use super::suggest::closest;
use super::{Dialect, ViolationKind};
use crate::yaml::{Anchor, Entry, Mapping, Node, Value};

impl<'n> Checker<'_, 'n> {
    /// The fields of an object.
    pub fn object(&mut self, shape: &Shape, mapping: &'n Mapping, anchor: Anchor<'n>) {
        let is_root = self.is_root(anchor);
        if shape.is_resource {
            self.resource(shape, mapping, anchor);
        }
        let mut present = 0;
        for entry in mapping {
            let is_meta = shape.is_resource && META_FIELDS.contains(&&*entry.key);
            if let Some(child) = shape.property(&entry.key) {
                present += u64::from(self.field(child, entry, is_root, is_meta));
            } else if is_meta {
                present += 1;
            } else {
                present += u64::from(self.other_field(shape, entry));
            }
        }
        let defaults = shape.properties.iter().filter(|property| {
            self.default_of(property.shape).is_some() && self.is_absent(mapping, &property.name, property.shape)
        });
        present += defaults.count() as u64;
        self.required(shape, mapping, anchor);
        if let Some(limits) = &shape.limits {
            self.count("field", present, limits.min_properties, limits.max_properties, anchor);
        }
    }

    /// A known field. False if it counts as absent.
    fn field(&mut self, child: Id, entry: &'n Entry, is_root: bool, is_meta: bool) -> bool {
        if entry.value.is_null() && self.schema.drops_null(child, self.dialect) {
            return false;
        }
        let is_status = is_root && &*entry.key == "status";
        let (values, unknown, dialect) = (self.tells_values, self.tells_unknown, self.dialect);
        if is_status && self.schema.drops_status {
            self.tells_values = false;
        }
        if is_status && self.dialect == Dialect::GoTypeRequired {
            self.dialect = Dialect::GoType;
        }
        if is_meta {
            self.tells_unknown = false;
        }
        self.check(child, Anchor::Key(entry));
        (self.tells_values, self.tells_unknown, self.dialect) = (values, unknown, dialect);
        true
    }

    /// A field that is not among the properties. False if it counts as absent.
    fn other_field(&mut self, shape: &Shape, entry: &'n Entry) -> bool {
        match shape.additional {
            Additional::Shape(child) => {
                if entry.value.is_null() && self.schema.drops_null(child, self.dialect) {
                    return self.dialect.is_go() || self.default_of(child).is_some();
                }
                self.check(child, Anchor::Key(entry));
            }
            Additional::Any if self.dialect == Dialect::CustomResource && !shape.preserves_unknown => {
                self.unknown_below(&entry.value);
            }
            Additional::Any => {}
            Additional::Nothing => self.unknown(shape, entry),
            Additional::Unsaid => {
                // A Go type of several forms knows its fields by those forms.
                let by_branches = self.dialect.is_go() && shape.branches.is_some();
                if self.dialect != Dialect::Document && !shape.preserves_unknown && !by_branches {
                    self.unknown(shape, entry);
                }
            }
        }
        true
    }

    /// `additionalProperties: true` allows scalars and lists; pruning knows no field of an object there.
    fn unknown_below(&mut self, node: &'n Node) {
        for entry in node.entries() {
            self.unknown(&Shape::default(), entry);
        }
        for item in node.items() {
            self.unknown_below(item);
        }
    }

    /// The unknown fields of a value whose own type is not told: pruning goes by what is there.
    pub fn unknown_in_wrong_type(&mut self, shape: &Shape, node: &'n Node) {
        let is_map = shape.additional != Additional::Unsaid;
        for entry in node.entries().filter(|entry| !is_map && shape.property(&entry.key).is_none()) {
            self.unknown(shape, entry);
        }
        for item in node.items() {
            self.unknown_below(item);
        }
    }

    fn unknown(&mut self, shape: &Shape, entry: &'n Entry) {
        if !self.tells_unknown {
            return;
        }
        let known = || shape.properties.iter().map(|property| &*property.name);
        let mut message = format!("unknown field `{}`", entry.key);
        let near = closest(&entry.key, known());
        if let Some(near) = near {
            message.push_str(&format!(", did you mean `{near}`?"));
        }
        let help = match (near, known().count()) {
            (Some(_), _) | (None, 0) => None,
            (None, count) => {
                let names: Vec<_> = known().take(20).collect();
                let rest = if count > names.len() { ", ..." } else { "" };
                Some(format!("known fields here: {}{rest}", names.join(", ")))
            }
        };
        self.tell(ViolationKind::UnknownField, entry, message).help = help;
    }

    fn required(&mut self, shape: &Shape, mapping: &'n Mapping, anchor: Anchor<'n>) {
        if self.dialect == Dialect::GoType {
            return;
        }
        for name in &shape.required {
            let child = shape.property(name);
            let null = mapping.entry(name).filter(|entry| entry.value.is_null());
            let absent = match child {
                Some(child) => self.is_absent(mapping, name, child) && self.default_of(child).is_none(),
                None => mapping.get(name).is_none(),
            };
            match (absent, null) {
                (true, Some(entry)) => {
                    self.tell(ViolationKind::Required, entry, format!("required field `{name}` is empty"));
                }
                (true, None) => {
                    self.tell(ViolationKind::Required, anchor, format!("required field `{name}` is missing"));
                }
                (false, _) => {}
            }
        }
    }

    /// The items of a list.
    pub fn list(&mut self, shape: &Shape, items: &'n [Node], anchor: Anchor<'n>) {
        if let Some(child) = shape.items {
            for item in items {
                let defaulted = item.is_null() && !self.shape(child).is_nullable() && self.default_of(child).is_some();
                if !defaulted {
                    self.check(child, Anchor::Value(item));
                }
            }
        }
        if let Some(limits) = &shape.limits {
            self.count("item", items.len() as u64, limits.min_items, limits.max_items, anchor);
        }
        self.unique(shape, items);
    }

    /// No two items of a set are equal, and no two of a map have the same keys.
    fn unique(&mut self, shape: &Shape, items: &'n [Node]) {
        if self.dialect != Dialect::CustomResource && shape.limits.as_ref().is_none_or(|limits| !limits.unique_items) {
            return;
        }
        let whole = shape.limits.as_ref().is_some_and(|limits| limits.unique_items);
        let key_of = |item: &Node| match (&shape.list, shape.items) {
            (List::Map(keys), Some(child)) => Some(self.map_key(keys, child, item)),
            (List::Set, Some(child)) => Some(self.schema.effective(child, item)),
            _ if whole => Some(item.to_json()),
            _ => None,
        };
        let keys: Vec<_> = items.iter().map_while(key_of).collect();
        let mut seen = std::collections::HashMap::new();
        for (item, key) in items.iter().zip(&keys) {
            let times = seen.entry(key).or_insert(0);
            *times += 1;
            if *times == 2 {
                let mut message = format!("two items with the same {}", describe_key(&shape.list, key));
                if matches!(shape.list, List::Atomic | List::Set) {
                    message = format!("`{}` is in the list twice", shorten(&key.to_string()));
                }
                self.tell(ViolationKind::Duplicate, item, message);
            }
        }
    }

    /// The keys that tell an item of a map from the others, with their defaults.
    fn map_key(&self, keys: &[Box<str>], child: Id, item: &Node) -> Json {
        let shape = self.shape(child);
        let value = |name: &str| {
            let property = shape.property(name);
            match item.get(name) {
                Some(node) if !node.is_null() => Some(node.to_json()),
                _ => property.and_then(|property| self.default_of(property)).cloned(),
            }
        };
        Json::Object(keys.iter().filter_map(|name| Some((name.to_string(), value(name)?))).collect())
    }

    /// Tells when a count is out of its range.
    fn count(&mut self, what: &str, count: u64, least: Option<u64>, most: Option<u64>, anchor: Anchor<'n>) {
        let plural = |number: u64| if number == 1 { "" } else { "s" };
        if let Some(least) = least.filter(|least| count < *least) {
            let message = format!("{count} {what}{} found, at least {least} expected", plural(count));
            self.tell(ViolationKind::Range, anchor, message);
        }
        if let Some(most) = most.filter(|most| count > *most) {
            let message = format!("{count} {what}{} found, at most {most} expected", plural(count));
            self.tell(ViolationKind::Range, anchor, message);
        }
    }

    /// The value that fills an absent field. Only custom resources have such defaults.
    pub fn default_of(&self, id: Id) -> Option<&Json> {
        if self.dialect == Dialect::CustomResource { self.shape(id).default.as_deref() } else { None }
    }

    fn is_absent(&self, mapping: &Mapping, name: &str, id: Id) -> bool {
        mapping.get(name).is_none_or(|node| node.is_null() && self.schema.drops_null(id, self.dialect))
    }

    /// Whether the value is one of those that are allowed.
    pub fn allowed(&mut self, limits: &Limits, anchor: Anchor<'n>) {
        let node = anchor.node();
        if limits.allowed.is_empty() || node.is_null() && self.dialect != Dialect::CustomResource {
            return;
        }
        if limits.allowed.iter().any(|allowed| equals(node, allowed)) {
            return;
        }
        let named = limits.allowed.iter().filter(|json| !json.is_null());
        let words: Vec<_> = named.map(|json| json.as_str().map_or_else(|| json.to_string(), str::to_owned)).collect();
        let near = node.as_str().and_then(|text| closest(text, words.iter().map(String::as_str)));
        let suggestion = near.map_or(String::new(), |near| format!(", did you mean `{near}`?"));
        let found = node.as_str().map_or_else(|| node.to_json().to_string(), str::to_owned);
        let message = format!("`{}` is not allowed{suggestion}", shorten(&found));
        self.tell(ViolationKind::NotAllowed, anchor, message).help = Some(format!("allowed: {}", words.join(", ")));
    }
}

/// Whether a value is the one that a schema names; `1` and `1.0` are the same number.
fn equals(node: &Node, json: &Json) -> bool {
    match (&node.value, json) {
        (Value::Int(_) | Value::Float(_), Json::Number(number)) => node.to_json().as_f64() == number.as_f64(),
        _ => node.to_json() == *json,
    }
}

fn describe_key(list: &List, key: &Json) -> String {
    let List::Map(names) = list else { return "value".to_owned() };
    let parts: Vec<_> = names
        .iter()
        .filter_map(|name| {
            Some(format!(
                "{name} `{}`",
                key.get(&**name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))?
            ))
        })
        .collect();
    if parts.is_empty() { format!("(absent) {}", names.join(", ")) } else { parts.join(", ") }
}
