//! Whole Kubernetes objects inside a schema: the root of a custom resource, and `x-kubernetes-embedded-resource`.

use std::sync::LazyLock;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::check::{Checker, describe};
use super::shape::Shape;
use super::{Dialect, Schema, ViolationKind};
use crate::yaml::{Anchor, Mapping};

/// The fields of every object, which no schema has to name.
pub(super) const META_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

static OBJECT_META: LazyLock<Schema> = LazyLock::new(Schema::of_go_type::<ObjectMeta>);

impl<'n> Checker<'_, 'n> {
    /// `apiVersion` and `kind` are texts; below the root both must be there. `metadata` is decoded into its Go type.
    pub fn resource(&mut self, shape: &Shape, mapping: &'n Mapping, anchor: Anchor<'n>) {
        let is_root = self.is_root(anchor);
        let schema = self.schema;
        // Where the schema has a type of its own for the field, that one tells.
        let is_typed = |name| shape.property(name).is_some_and(|id| !schema.shape(id).types.is_any());
        for name in ["apiVersion", "kind"] {
            match mapping.entry(name) {
                Some(entry) if entry.value.as_str().is_none() && !is_typed(name) => {
                    let message = format!("expected string, found {}", describe(&entry.value));
                    self.tell(ViolationKind::WrongType, entry, message);
                }
                Some(entry) if !is_root && entry.value.as_str() == Some("") => {
                    self.tell(ViolationKind::Required, entry, format!("required field `{name}` is empty"));
                }
                None if !is_root => {
                    self.tell(ViolationKind::Required, anchor, format!("required field `{name}` is missing"));
                }
                _ => {}
            }
        }
        if let Some(entry) = mapping.entry("metadata")
            && (entry.value.as_map().is_some() || !is_typed("metadata"))
        {
            let mut checker = Checker::new(&OBJECT_META, Dialect::GoType, &entry.value);
            checker.check(OBJECT_META.root, Anchor::Key(entry));
            self.found.extend(checker.finish());
        }
    }
}
