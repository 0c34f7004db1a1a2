//! From a schema's JSON to shapes.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use serde_json::{Map, Value as Json};

use super::format::Format;
use super::pattern::Pattern;
use super::rules::Rules;
use super::shape::{Additional, Bound, Branches, Id, Limits, List, Number, Property, Shape, Types};

/// Which dialect of JSON Schema is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// `openAPIV3Schema` of a CustomResourceDefinition.
    OpenApi,
    /// What schemars writes for a Rust type.
    JsonSchema,
    /// What schemars writes for a Go type of Kubernetes, as k8s-openapi has it.
    GoType,
}

/// Deepest nesting of a schema that is read; what is deeper allows anything.
const MAX_DEPTH: usize = 100;

/// Turns JSON into shapes, equal ones once.
pub(super) struct Compiler<'j> {
    language: Language,
    definitions: Option<&'j Map<String, Json>>,
    /// The shapes of definitions, reserved before they are read: a definition may refer to itself.
    defined: HashMap<&'j str, Id>,
    shapes: Vec<Shape>,
    known: HashMap<u64, Id>,
    hasher: RandomState,
}

impl<'j> Compiler<'j> {
    /// Compiles `root`, whose `$defs` are its definitions. Returns the arena and the root's place in it.
    pub fn compile(root: &'j Json, language: Language) -> (Box<[Shape]>, Id) {
        let mut compiler = Self {
            language,
            // A CRD has none; whatever stands there is not followed.
            definitions: root.get("$defs").filter(|_| language != Language::OpenApi).and_then(Json::as_object),
            defined: HashMap::new(),
            shapes: Vec::new(),
            known: HashMap::new(),
            hasher: RandomState::new(),
        };
        let root = match (language, root.as_object()) {
            // The root of a custom resource is always a resource, whether its schema says so or not.
            (Language::OpenApi, Some(schema)) => {
                let shape = Shape { is_resource: true, ..compiler.shape(schema, 0) };
                compiler.intern(shape)
            }
            _ => compiler.schema(root, 0),
        };
        (compiler.shapes.into(), root)
    }

    /// The place of this shape, which is stored unless an equal one is.
    fn intern(&mut self, shape: Shape) -> Id {
        let hash = self.hasher.hash_one(&shape);
        if let Some(&id) = self.known.get(&hash)
            && self.shapes[id as usize] == shape
        {
            return id;
        }
        let id = self.push(shape);
        self.known.insert(hash, id);
        id
    }

    fn push(&mut self, shape: Shape) -> Id {
        let id = Id::try_from(self.shapes.len()).unwrap_or(Id::MAX);
        self.shapes.push(shape);
        id
    }

    /// The shape of a subschema; `true`, and whatever is no schema, allow anything.
    fn schema(&mut self, json: &'j Json, depth: usize) -> Id {
        match json.as_object() {
            Some(schema) if depth < MAX_DEPTH => {
                if let Some(id) = self.reference(schema, depth) {
                    return id;
                }
                let shape = self.shape(schema, depth);
                self.intern(shape)
            }
            _ => self.intern(anything()),
        }
    }

    /// The shape of the definition that `$ref` names.
    fn reference(&mut self, schema: &'j Map<String, Json>, depth: usize) -> Option<Id> {
        let name = schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
        if let Some(&id) = self.defined.get(name) {
            return Some(id);
        }
        let (name, definition) = self.definitions?.get_key_value(name)?;
        let id = self.push(Shape::default());
        self.defined.insert(name, id);
        let shape = match go_type(name) {
            Some(shape) if self.language == Language::GoType => shape,
            _ => definition.as_object().map_or_else(anything, |schema| match self.reference(schema, depth + 1) {
                Some(target) => Shape { branches: Some(Box::new(all_of(target))), ..Shape::default() },
                None => self.shape(schema, depth + 1),
            }),
        };
        self.shapes[id as usize] = shape;
        Some(id)
    }

    fn shape(&mut self, schema: &'j Map<String, Json>, depth: usize) -> Shape {
        let flag = |key: &str| schema.get(key) == Some(&Json::Bool(true));
        let (types, only_integer_or_string) = types(schema);
        let format =
            schema.get("format").and_then(Json::as_str).map_or(Format::None, |name| Format::named(name, types));
        let mut shape = Shape {
            types,
            properties: self.properties(schema, depth),
            required: Box::default(),
            additional: self.additional(schema, depth),
            items: schema.get("items").map(|items| self.schema(items, depth + 1)),
            default: schema.get("default").filter(|default| !default.is_null()).cloned().map(Box::new),
            list: list(schema),
            format: self.translate(format),
            preserves_unknown: flag("x-kubernetes-preserve-unknown-fields"),
            is_resource: flag("x-kubernetes-embedded-resource"),
            limits: limits(schema),
            branches: None,
            rules: if self.language == Language::OpenApi { Rules::of(schema) } else { None },
        };
        shape.required = self.required(schema, &shape);
        self.branches(schema, only_integer_or_string, depth, &mut shape);
        shape
    }

    /// The fields that must be there. Go's decoder asks for none, and a number, a flag or a list may well be left out;
    /// what is text or an object of its own is hardly ever valid when empty. Names are looked at elsewhere.
    fn required(&self, schema: &'j Map<String, Json>, shape: &Shape) -> Box<[Box<str>]> {
        let mut required = strings(schema.get("required")).into_vec();
        if self.language == Language::GoType {
            required.retain(|name| {
                let field = shape.property(name).map(|id| &self.shapes[id as usize]);
                let is_text = |field: &Shape| field.types.has(Types::STRING) && field.format == Format::None;
                &**name != "metadata" && field.is_some_and(|field| is_text(field) || !field.properties.is_empty())
            });
        }
        required.into()
    }

    /// The format as this language means it. A Go type's strings are checked while they are decoded, not by format.
    fn translate(&self, format: Format) -> Format {
        use super::format::TextFormat;
        match (self.language, format) {
            (Language::GoType, Format::Text(TextFormat::Byte)) => Format::Bytes,
            (Language::GoType, Format::Text(TextFormat::DateTime)) => Format::Time,
            (Language::GoType, Format::Text(_)) => Format::None,
            // An API server knows no other formats of whole numbers.
            (Language::OpenApi, Format::Integer { bits, signed }) if bits < 32 || !signed => Format::None,
            _ => format,
        }
    }

    fn properties(&mut self, schema: &'j Map<String, Json>, depth: usize) -> Box<[Property]> {
        let known = schema.get("properties").and_then(Json::as_object);
        let mut properties: Vec<_> = known
            .into_iter()
            .flatten()
            .map(|(name, schema)| Property { name: name.as_str().into(), shape: self.schema(schema, depth + 1) })
            .collect();
        properties.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        properties.into()
    }

    fn additional(&mut self, schema: &'j Map<String, Json>, depth: usize) -> Additional {
        match schema.get("additionalProperties") {
            None => Additional::Unsaid,
            Some(Json::Bool(true)) => Additional::Any,
            Some(Json::Bool(false)) => Additional::Nothing,
            Some(json) => Additional::Shape(self.schema(json, depth + 1)),
        }
    }

    /// Combinations, reduced where they only spell a simpler shape: `null` as an alternative, one alternative alone, and
    /// alternatives that are words.
    fn branches(&mut self, schema: &'j Map<String, Json>, skip_any: bool, depth: usize, shape: &mut Shape) {
        let mut branches = Branches::default();
        let all = schemas(schema, "allOf");
        branches.all = all.iter().map(|json| self.schema(json, depth + 1)).collect();
        branches.not = schema.get("not").map(|json| self.schema(json, depth + 1));
        let mut words: Vec<Json> = Vec::new();
        for (key, target) in [("anyOf", &mut branches.any), ("oneOf", &mut branches.one)] {
            let mut alternatives: Vec<&'j Json> =
                if key == "anyOf" && skip_any { vec![] } else { schemas(schema, key) };
            let before = alternatives.len();
            alternatives.retain(|json| json.get("type").and_then(Json::as_str) != Some("null"));
            if alternatives.len() < before {
                shape.types = shape.types.with(Types::NULL);
            }
            if let Some(found) = all_words(&alternatives) {
                words = found;
                continue;
            }
            *target = alternatives.iter().map(|json| self.schema(json, depth + 1)).collect();
        }
        if !words.is_empty() {
            shape.types = shape.types.with(Types::STRING);
            shape.limits.get_or_insert_default().allowed = words.into();
        }
        if branches != Branches::default() {
            shape.branches = Some(Box::new(branches));
        }
    }
}

/// The shape that allows any value.
fn anything() -> Shape {
    Shape { types: Types::NULL, preserves_unknown: true, additional: Additional::Any, ..Shape::default() }
}

fn all_of(target: Id) -> Branches {
    Branches { all: [target].into(), ..Branches::default() }
}

/// Go types that read JSON in a way of their own.
fn go_type(name: &str) -> Option<Shape> {
    let format = match name.strip_prefix("io.k8s.")? {
        "apimachinery.pkg.api.resource.Quantity" => Format::Quantity,
        "apimachinery.pkg.util.intstr.IntOrString" => Format::IntOrString,
        "apimachinery.pkg.apis.meta.v1.Time" | "apimachinery.pkg.apis.meta.v1.MicroTime" => Format::Time,
        "apimachinery.pkg.apis.meta.v1.FieldsV1"
        | "apimachinery.pkg.runtime.RawExtension"
        | "apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON" => Format::Json,
        _ => return None,
    };
    Some(Shape { format, ..Shape::default() })
}

/// The types of a schema, and whether its `anyOf` only says again that it is an integer or a string.
fn types(schema: &Map<String, Json>) -> (Types, bool) {
    let flag = |key: &str| schema.get(key) == Some(&Json::Bool(true));
    let int_or_string = flag("x-kubernetes-int-or-string");
    let mut types = match schema.get("type") {
        _ if int_or_string => Types::INTEGER.with(Types::STRING),
        Some(Json::String(name)) => Types::named(name),
        Some(Json::Array(names)) => {
            names.iter().filter_map(Json::as_str).fold(Types::default(), |types, name| types.with(Types::named(name)))
        }
        _ => Types::default(),
    };
    if flag("nullable") {
        types = types.with(Types::NULL);
    }
    (types, int_or_string)
}

fn list(schema: &Map<String, Json>) -> List {
    match schema.get("x-kubernetes-list-type").and_then(Json::as_str) {
        Some("set") => List::Set,
        Some("map") => List::Map(strings(schema.get("x-kubernetes-list-map-keys"))),
        _ => List::Atomic,
    }
}

fn strings(json: Option<&Json>) -> Box<[Box<str>]> {
    json.and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).map(Into::into).collect()
}

fn schemas<'j>(schema: &'j Map<String, Json>, key: &str) -> Vec<&'j Json> {
    schema.get(key).and_then(Json::as_array).into_iter().flatten().collect()
}

/// The words that the alternatives stand for, if each is a constant or an enumeration of strings.
fn all_words(alternatives: &[&Json]) -> Option<Vec<Json>> {
    let mut words = Vec::new();
    for alternative in alternatives {
        match (alternative.get("const"), alternative.get("enum").and_then(Json::as_array)) {
            (Some(word @ Json::String(_)), _) => words.push(word.clone()),
            (None, Some(several)) if several.iter().all(Json::is_string) => words.extend(several.iter().cloned()),
            _ => return None,
        }
    }
    (!words.is_empty()).then_some(words)
}

fn limits(schema: &Map<String, Json>) -> Option<Box<Limits>> {
    let count = |key: &str| schema.get(key).and_then(Json::as_f64).filter(|count| *count >= 0.0).map(whole);
    let allowed = match (schema.get("const"), schema.get("enum").and_then(Json::as_array)) {
        (Some(constant), _) => vec![constant.clone()],
        (None, Some(values)) => values.clone(),
        (None, None) => Vec::new(),
    };
    let limits = Limits {
        allowed: allowed.into(),
        minimum: bound(schema, "minimum", "exclusiveMinimum"),
        maximum: bound(schema, "maximum", "exclusiveMaximum"),
        multiple_of: schema.get("multipleOf").and_then(Json::as_f64).filter(|factor| *factor > 0.0).map(Number),
        min_length: count("minLength"),
        max_length: count("maxLength"),
        pattern: schema.get("pattern").and_then(Json::as_str).filter(|text| !text.is_empty()).map(Pattern::new),
        min_items: count("minItems"),
        max_items: count("maxItems"),
        unique_items: schema.get("uniqueItems") == Some(&Json::Bool(true)),
        min_properties: count("minProperties"),
        max_properties: count("maxProperties"),
    };
    (limits != Limits::default()).then(|| Box::new(limits))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count; the cast saturates")]
fn whole(count: f64) -> u64 {
    count as u64
}

/// A bound in `OpenAPI`'s form, where `exclusiveMinimum` is a flag, or in JSON Schema's, where it is a number.
fn bound(schema: &Map<String, Json>, inclusive: &str, exclusive: &str) -> Option<Bound> {
    if let Some(value) = schema.get(exclusive).and_then(Json::as_f64) {
        return Some(Bound { value: Number(value), exclusive: true });
    }
    let value = Number(schema.get(inclusive)?.as_f64()?);
    Some(Bound { value, exclusive: schema.get(exclusive) == Some(&Json::Bool(true)) })
}
