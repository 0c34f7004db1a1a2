//! The schemas of custom resources, read from the CustomResourceDefinitions that the store holds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;

use crate::diagnostic::Source;
use crate::lint::schemas::Schemas;
use crate::simulator::store::{Key, Kind, Store, text};

/// What a CustomResourceDefinition says of its kind.
#[derive(Debug, Default)]
pub struct Definition {
    /// The version of the definition that was read.
    read: String,
    /// For the checks of the basic tier.
    pub schemas: Schemas,
    /// `openAPIV3Schema` by version.
    open_api: HashMap<String, Json>,
}

impl Definition {
    fn read(definition: &Json) -> Self {
        let source = Source::new(text(definition, "/metadata/name"), definition.to_string());
        let versions = definition.pointer("/spec/versions").and_then(Json::as_array);
        let open_api = versions.into_iter().flatten().filter_map(|version| {
            let schema = version.pointer("/schema/openAPIV3Schema")?;
            Some((text(version, "/name").to_owned(), schema.clone()))
        });
        Self {
            read: text(definition, "/metadata/resourceVersion").to_owned(),
            schemas: Schemas::load(vec![source]).0,
            open_api: open_api.collect(),
        }
    }

    /// The schema of a version.
    pub fn schema(&self, version: &str) -> Option<&Json> {
        self.open_api.get(version)
    }
}

/// The definitions that were read so far; read again when they have changed.
#[derive(Debug, Default)]
pub struct Definitions {
    built_in: Arc<Definition>,
    custom: Mutex<HashMap<(String, String), Arc<Definition>>>,
}

impl Definitions {
    /// What is known of a kind; of a built-in one only what the basic tier knows.
    pub fn of(&self, kind: &Kind, store: &Store) -> Arc<Definition> {
        if !kind.custom {
            return Arc::clone(&self.built_in);
        }
        let name = format!("{}.{}", kind.plural, kind.group);
        let key = Key::cluster("apiextensions.k8s.io", "customresourcedefinitions", &name);
        let Some(definition) = store.get(&key) else { return Arc::clone(&self.built_in) };
        let id = (kind.group.clone(), kind.kind.clone());
        let known = self.custom.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(known) = known.filter(|known| known.read == text(&definition, "/metadata/resourceVersion")) {
            return known;
        }
        let read = Arc::new(Definition::read(&definition));
        self.custom.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&read));
        read
    }
}

/// Fills in what the schema has a default for.
pub fn fill_defaults(schema: &Json, value: &mut Json) {
    match value {
        Json::Object(fields) => {
            let properties = schema.get("properties").and_then(Json::as_object);
            for (name, property) in properties.into_iter().flatten() {
                let is_dropped = fields.get(name).is_some_and(Json::is_null) && property["nullable"] != true;
                if is_dropped && property.get("default").is_some() {
                    fields.shift_remove(name);
                }
                if let Some(default) = property.get("default")
                    && !fields.contains_key(name)
                {
                    fields.insert(name.clone(), default.clone());
                }
                if let Some(field) = fields.get_mut(name) {
                    fill_defaults(property, field);
                }
            }
            if let Some(others) = schema.get("additionalProperties").filter(|others| others.is_object()) {
                fields.values_mut().for_each(|field| fill_defaults(others, field));
            }
        }
        Json::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    fill_defaults(schema, item);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_are_filled_in_where_nothing_or_null_stands() {
        let schema = json!({"properties": {
            "a": {"default": 1},
            "b": {"default": {}, "properties": {"c": {"default": "x"}}},
            "list": {"items": {"properties": {"d": {"default": true}}}},
            "map": {"additionalProperties": {"properties": {"e": {"default": 2}}}},
        }});
        let mut value = json!({"a": null, "list": [{}, {"d": false}], "map": {"k": {}}});
        fill_defaults(&schema, &mut value);
        assert_eq!(
            value,
            json!({"a": 1, "b": {"c": "x"}, "list": [{"d": true}, {"d": false}], "map": {"k": {"e": 2}}})
        );
    }
}
