//! The walk: a value and its shape, side by side.

use super::format::Format;
use super::rules::{Rules, Verdict};
use super::shape::{Id, Shape, Types};
use super::{Dialect, Schema, Violation, ViolationKind};
use crate::yaml::{Anchor, Node, Value};

/// One check of one value.
pub(super) struct Checker<'s, 'n> {
    pub schema: &'s Schema,
    pub dialect: Dialect,
    /// The value at the top.
    pub root: &'n Node,
    pub found: Vec<Violation<'n>>,
    /// Whether unknown fields are told here: not inside combinations, where they are somebody else's.
    pub tells_unknown: bool,
    /// Whether the value has its defaults already.
    pub is_complete: bool,
    /// Whether anything else is told here: not below a status that is dropped.
    pub tells_values: bool,
    /// The values that CEL rules are about; they are evaluated last.
    rules: Vec<(&'s Rules, Id, Anchor<'n>)>,
}

impl<'s, 'n> Checker<'s, 'n> {
    pub fn new(schema: &'s Schema, dialect: Dialect, root: &'n Node) -> Self {
        Self {
            schema,
            dialect,
            root,
            found: Vec::new(),
            tells_unknown: true,
            tells_values: true,
            is_complete: false,
            rules: Vec::new(),
        }
    }

    /// The violations, those of CEL rules included. Rules are left out while the value is broken in a way that they rely
    /// on, as an API server does.
    pub fn finish(mut self) -> Vec<Violation<'n>> {
        if self.found.iter().all(|violation| matches!(violation.kind, ViolationKind::Format | ViolationKind::Duplicate))
        {
            for (rules, id, anchor) in std::mem::take(&mut self.rules) {
                let mut value = self.schema.effective(id, anchor.node());
                if let Some(fields) = value.as_object_mut().filter(|_| self.is_root(anchor) && self.schema.drops_status)
                {
                    fields.remove("status");
                }
                for verdict in rules.evaluate(&value) {
                    self.tell_rule(anchor, verdict);
                }
            }
        }
        self.found
    }

    fn tell_rule(&mut self, anchor: Anchor<'n>, verdict: Verdict) {
        match verdict {
            Verdict::Broken { message, rule } => {
                self.tell(ViolationKind::Rule, anchor, message).help =
                    Some(format!("the rule is `{}`", one_line(&rule)));
            }
            Verdict::Unknown { message, rule } => {
                let text = format!("the rule `{}` of the schema was not checked: {message}", one_line(&rule));
                self.tell(ViolationKind::RuleUnknown, anchor, text);
            }
        }
    }

    /// Whether this is the value at the top.
    pub fn is_root(&self, anchor: Anchor<'n>) -> bool {
        std::ptr::eq(anchor.node(), self.root)
    }

    /// Adds a violation. Returns it, for help to be added.
    pub fn tell(
        &mut self,
        kind: ViolationKind,
        anchor: impl Into<Anchor<'n>>,
        message: impl Into<String>,
    ) -> &mut Violation<'n> {
        self.found.push(Violation {
            kind,
            anchor: anchor.into(),
            message: message.into(),
            help: None,
            is_unquoted: false,
        });
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    /// The shape at `id`.
    pub fn shape(&self, id: Id) -> &'s Shape {
        self.schema.shape(id)
    }

    /// Checks one value.
    pub fn check(&mut self, id: Id, anchor: Anchor<'n>) {
        let before = self.found.len();
        self.check_value(id, anchor);
        if !self.tells_values {
            let own = self.found.split_off(before);
            self.found.extend(own.into_iter().filter(|violation| violation.kind == ViolationKind::UnknownField));
        }
    }

    fn check_value(&mut self, id: Id, anchor: Anchor<'n>) {
        let shape = self.shape(id);
        let node = anchor.node();
        if shape.format == Format::Json {
            return;
        }
        if !self.has_right_type(shape, anchor) {
            if !self.tells_values {
                self.unknown_in_wrong_type(shape, node);
            }
            return;
        }
        match &node.value {
            Value::Map(mapping) => self.object(shape, mapping, anchor),
            Value::Seq(items) => self.list(shape, items, anchor),
            Value::Null => {}
            _ => self.scalar(shape, anchor),
        }
        if let Some(limits) = &shape.limits {
            self.allowed(limits, anchor);
        }
        if let Some(branches) = &shape.branches
            && !node.is_null()
        {
            self.combinations(id, branches, anchor);
        }
        if let Some(rules) = shape.rules.as_deref()
            && self.tells_values
            && !node.is_null()
        {
            self.rules.push((rules, id, anchor));
        }
    }

    /// Whether the value has a type that the shape allows; if not, that is told.
    fn has_right_type(&mut self, shape: &Shape, anchor: Anchor<'n>) -> bool {
        let node = anchor.node();
        let fits = match (&node.value, shape.format) {
            (Value::Null, _) => self.dialect.is_go() || shape.is_nullable() || shape.types.is_any(),
            (value, Format::Quantity) => matches!(value, Value::String(_) | Value::Int(_) | Value::Float(_)),
            (value, Format::IntOrString) => matches!(value, Value::String(_) | Value::Int(_)),
            (value, Format::Time) => matches!(value, Value::String(_)),
            // An API server's type check lets a list pass where a string of a known form is expected.
            (Value::Seq(_), Format::Text(_)) if self.dialect == Dialect::CustomResource => true,
            (value, _) => shape.types.is_any() || shape.types.has(types_of(value)),
        };
        if !fits {
            self.wrong_type(shape, anchor);
        }
        fits
    }

    fn wrong_type(&mut self, shape: &Shape, anchor: Anchor<'n>) {
        let node = anchor.node();
        let expected = match shape.format {
            Format::Quantity => "a quantity (string or number)".to_owned(),
            Format::IntOrString => "integer or string".to_owned(),
            Format::Time => "a date and time (string)".to_owned(),
            _ => shape.types.describe(),
        };
        let help = advice(shape, node);
        let told =
            self.tell(ViolationKind::WrongType, anchor, format!("expected {expected}, found {}", describe(node)));
        told.help = help;
        told.is_unquoted = shape.types.has(Types::STRING);
    }
}

impl Schema {
    /// Whether `null` here means that the field is not there at all.
    pub(super) fn drops_null(&self, id: Id, dialect: Dialect) -> bool {
        match dialect {
            Dialect::CustomResource | Dialect::Document => !self.shape(id).is_nullable(),
            Dialect::GoType | Dialect::GoTypeRequired => true,
        }
    }
}

/// The types that a value counts as.
pub(super) fn types_of(value: &Value) -> Types {
    match value {
        Value::Null => Types::NULL,
        Value::Bool(_) => Types::BOOLEAN,
        Value::Int(_) => Types::INTEGER.with(Types::NUMBER),
        Value::Float(_) => Types::NUMBER,
        Value::String(_) => Types::STRING,
        Value::Seq(_) => Types::ARRAY,
        Value::Map(_) => Types::OBJECT,
    }
}

/// A value as a message shows it: its type, and a scalar's text.
pub(super) fn describe(node: &Node) -> String {
    match &node.value {
        Value::Bool(flag) => format!("boolean `{flag}`"),
        Value::Int(number) => format!("integer `{number}`"),
        Value::Float(number) => format!("number `{number}`"),
        Value::String(text) => format!("string `{}`", shorten(text)),
        Value::Null | Value::Seq(_) | Value::Map(_) => node.type_name().to_owned(),
    }
}

/// The start of a text, in one line.
pub(super) fn shorten(text: &str) -> String {
    const MOST: usize = 60;
    let line = one_line(text);
    if line.chars().count() <= MOST { line } else { line.chars().take(MOST).chain(['…']).collect() }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The advice to put a number or a boolean in quotes as it was written; `None` if what was written is not the value itself (an alias,
/// a tag).
pub(super) fn in_quotes(written: &str, node: &Node) -> Option<String> {
    let plain =
        |written: &str| !written.is_empty() && written.chars().all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c));
    if !plain(written) {
        return None;
    }
    match &node.value {
        Value::Int(_) | Value::Float(_) => Some(format!("put it in quotes: \"{written}\"")),
        Value::Bool(_) => {
            Some(format!("put it in quotes: \"{written}\" (in YAML, yes, no, on and off are booleans as well)"))
        }
        _ => None,
    }
}

/// What to do about a value of the wrong type, where that is plain.
fn advice(shape: &Shape, node: &Node) -> Option<String> {
    let expects = |types| shape.types.has(types);
    match &node.value {
        Value::Int(number) if expects(Types::STRING) => in_quotes(&number.to_string(), node),
        Value::Float(number) if expects(Types::STRING) => in_quotes(&number.to_string(), node),
        Value::Bool(flag) if expects(Types::STRING) => in_quotes(if *flag { "true" } else { "false" }, node),
        Value::String(text) if expects(Types::NUMBER) && text.ends_with('%') => {
            let percent =
                text.trim_end_matches('%').trim().parse::<f64>().ok().filter(|percent| percent.is_finite())?;
            Some(format!("write {}", percent / 100.0))
        }
        Value::String(text) if expects(Types::INTEGER) && text.parse::<i64>().is_ok() => {
            Some(format!("leave out the quotes: {text}"))
        }
        Value::String(text) if expects(Types::BOOLEAN) && matches!(&**text, "true" | "false") => {
            Some(format!("leave out the quotes: {text}"))
        }
        Value::Map(_) if expects(Types::ARRAY) => Some("start each item with `- `".to_owned()),
        Value::Seq(items) if expects(Types::OBJECT) && items.len() == 1 => Some("leave out the `- `".to_owned()),
        Value::Null => Some("leave the field out, or give it a value".to_owned()),
        _ => None,
    }
}
