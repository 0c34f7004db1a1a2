//! The value that an API server has at hand when it checks: without the nulls that it dropped, with the defaults that it
//! filled in. Source: `apiextensions-apiserver/pkg/apiserver/schema/defaulting`.

use serde_json::{Map, Value as Json};

use super::shape::{Additional, Id, Shape};
use super::{Dialect, Schema};
use crate::yaml::Node;

impl Schema {
    /// The value as JSON, as an API server completes it.
    pub(super) fn effective(&self, id: Id, node: &Node) -> Json {
        let mut value = node.to_json();
        self.complete(id, &mut value);
        value
    }

    fn complete(&self, id: Id, value: &mut Json) {
        let shape = self.shape(id);
        match value {
            Json::Object(fields) => self.complete_fields(shape, fields),
            Json::Array(items) => {
                let Some(child) = shape.items else { return };
                for item in items {
                    if item.is_null() && !self.shape(child).is_nullable() {
                        *item = self.shape(child).default.as_deref().cloned().unwrap_or_default();
                    }
                    self.complete(child, item);
                }
            }
            _ => {}
        }
    }

    fn complete_fields(&self, shape: &Shape, fields: &mut Map<String, Json>) {
        let child_of = |name: &str| match (shape.property(name), shape.additional) {
            (Some(child), _) | (None, Additional::Shape(child)) => Some(child),
            (None, _) => None,
        };
        fields.retain(|name, value| {
            !(value.is_null() && child_of(name).is_some_and(|child| self.drops_null(child, Dialect::CustomResource)))
        });
        for property in &shape.properties {
            if let Some(default) = &self.shape(property.shape).default
                && !fields.contains_key(&*property.name)
            {
                fields.insert(property.name.to_string(), (**default).clone());
            }
        }
        for (name, value) in fields.iter_mut() {
            if let Some(child) = child_of(name) {
                self.complete(child, value);
            }
        }
    }
}
