//! The value that an API server has at hand when it checks: without the nulls that it dropped.

use serde_json::Value as Json;

use super::shape::{Additional, Id};
use super::{Dialect, Schema};
use crate::yaml::{Node, Value};

impl Schema {
    /// The value as JSON, without the nulls that count as absent. Defaults are left to whoever reads it.
    pub(super) fn effective(&self, id: Id, node: &Node) -> Json {
        let shape = self.shape(id);
        match &node.value {
            Value::Map(mapping) => {
                let fields = mapping.iter().filter_map(|entry| {
                    let child = shape.property(&entry.key).or(match shape.additional {
                        Additional::Shape(child) => Some(child),
                        _ => None,
                    });
                    let value = match child {
                        Some(child) if entry.value.is_null() && self.drops_null(child, Dialect::CustomResource) => {
                            return None;
                        }
                        Some(child) => self.effective(child, &entry.value),
                        None => entry.value.to_json(),
                    };
                    Some((entry.key.to_string(), value))
                });
                Json::Object(fields.collect())
            }
            Value::Seq(items) => match shape.items {
                Some(child) => Json::Array(items.iter().map(|item| self.effective(child, item)).collect()),
                None => node.to_json(),
            },
            _ => node.to_json(),
        }
    }
}
