//! A compiled schema: shapes in one arena, so that equal subschemas are stored once and recursion is an index.

use std::hash::{Hash, Hasher};

use serde_json::Value as Json;

use super::format::Format;
use super::pattern::Pattern;
use super::rules::Rules;

/// The place of a shape in its schema's arena.
pub(super) type Id = u32;

/// What one level of a schema says.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    /// The allowed types.
    pub types: Types,
    /// The known fields, sorted by name.
    pub properties: Box<[Property]>,
    /// The fields that must be there.
    pub required: Box<[Box<str>]>,
    /// What holds for other fields.
    pub additional: Additional,
    /// The items of a list.
    pub items: Option<Id>,
    /// The value that an absent field gets.
    pub default: Option<Box<Json>>,
    /// How the items of a list are told apart.
    pub list: List,
    /// The form of a scalar beyond its type.
    pub format: Format,
    /// Unknown fields are kept instead of refused.
    pub preserves_unknown: bool,
    /// A whole Kubernetes object: `apiVersion`, `kind` and `metadata` are known and checked as such.
    pub is_resource: bool,
    /// Bounds of the value; few shapes have any.
    pub limits: Option<Box<Limits>>,
    /// Combinations of other shapes.
    pub branches: Option<Box<Branches>>,
    /// CEL rules.
    pub rules: Option<Box<Rules>>,
}

/// A known field.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Property {
    pub name: Box<str>,
    pub shape: Id,
}

/// What holds for the fields of an object that are not among its properties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Additional {
    /// Nothing is said: unknown in a Kubernetes schema, allowed in JSON Schema.
    #[default]
    Unsaid,
    /// Any value.
    Any,
    /// None may be there.
    Nothing,
    /// Each has this shape.
    Shape(Id),
}

/// How the items of a list are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum List {
    /// By their place.
    #[default]
    Atomic,
    /// By their whole value: no two are equal.
    Set,
    /// By these keys: no two have the same.
    Map(Box<[Box<str>]>),
}

/// Bounds of a value.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Limits {
    /// The allowed values; empty for any.
    pub allowed: Box<[Json]>,
    pub minimum: Option<Bound>,
    pub maximum: Option<Bound>,
    pub multiple_of: Option<Number>,
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub pattern: Option<Pattern>,
    pub min_items: Option<u64>,
    pub max_items: Option<u64>,
    pub unique_items: bool,
    pub min_properties: Option<u64>,
    pub max_properties: Option<u64>,
}

/// A least or greatest number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bound {
    pub value: Number,
    pub exclusive: bool,
}

/// A finite number of a schema, comparable by its bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number(pub f64);

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// Combinations of other shapes.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Branches {
    pub all: Box<[Id]>,
    pub any: Box<[Id]>,
    pub one: Box<[Id]>,
    pub not: Option<Id>,
}

/// A set of JSON types; the empty set stands for "any".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Types(u8);

impl Types {
    pub const NULL: Self = Self(1);
    pub const BOOLEAN: Self = Self(2);
    pub const INTEGER: Self = Self(4);
    pub const NUMBER: Self = Self(8);
    pub const STRING: Self = Self(16);
    pub const ARRAY: Self = Self(32);
    pub const OBJECT: Self = Self(64);

    /// Every single type with its name.
    const NAMES: [(Self, &'static str); 7] = [
        (Self::STRING, "string"),
        (Self::INTEGER, "integer"),
        (Self::NUMBER, "number"),
        (Self::BOOLEAN, "boolean"),
        (Self::OBJECT, "object"),
        (Self::ARRAY, "array"),
        (Self::NULL, "null"),
    ];

    /// The type of this name; the empty set if there is none.
    pub fn named(name: &str) -> Self {
        Self::NAMES.iter().find(|(_, known)| *known == name).map_or(Self(0), |(types, _)| *types)
    }

    /// Both sets together.
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets have a type in common.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing is said of the type (`null` alone says nothing of what else there may be).
    pub fn is_any(self) -> bool {
        self.0 & !Self::NULL.0 == 0
    }

    /// The types as a reader expects them: `string or integer`. `null` is left out.
    pub fn describe(self) -> String {
        let names: Vec<_> = Self::NAMES
            .iter()
            .filter(|(types, _)| self.has(*types) && *types != Self::NULL)
            .map(|(_, name)| *name)
            .collect();
        names.join(" or ")
    }
}

impl Shape {
    /// The shape of a known field.
    pub fn property(&self, name: &str) -> Option<Id> {
        self.properties
            .binary_search_by(|property| (*property.name).cmp(name))
            .ok()
            .map(|index| self.properties[index].shape)
    }

    /// Whether `null` is a value of its own here.
    pub fn is_nullable(&self) -> bool {
        self.types.has(Types::NULL)
    }
}
