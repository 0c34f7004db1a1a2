//! The last known state of what is watched.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::super::installed::Reference;
use crate::trial::Change;
use crate::trial::apply::request::text;

/// Objects by kind, namespace and name.
#[derive(Debug, Default)]
pub(in super::super) struct World(BTreeMap<(String, String, String), Arc<Json>>);

impl World {
    /// Takes note of a change; returns the state before it.
    pub(in super::super) fn take(&mut self, change: &Change) -> Option<Arc<Json>> {
        let object = change.object();
        let field = |pointer| text(object, pointer).to_owned();
        let key = (field("/kind"), field("/metadata/namespace"), field("/metadata/name"));
        match change {
            Change::Seen(object) => self.0.insert(key, Arc::clone(object)),
            // Another one of that name may have been seen already.
            Change::Gone(gone) => {
                let is_it = self.0.get(&key).is_some_and(|known| known["metadata"]["uid"] == gone["metadata"]["uid"]);
                if is_it { self.0.remove(&key) } else { None }
            }
        }
    }

    /// An object.
    pub(in super::super) fn get(&self, reference: &Reference) -> Option<&Arc<Json>> {
        let namespace = reference.namespace.clone().unwrap_or_default();
        self.0.get(&(reference.kind.clone(), namespace, reference.name.clone()))
    }

    /// The objects of a kind in a namespace.
    pub(in super::super) fn list<'a>(&'a self, kind: &str, namespace: &str) -> impl Iterator<Item = &'a Arc<Json>> {
        let start = (kind.to_owned(), namespace.to_owned(), String::new());
        let (kind, namespace) = (kind.to_owned(), namespace.to_owned());
        let is_here = move |key: &(String, String, String)| key.0 == kind && key.1 == namespace;
        self.0.range(start..).take_while(move |(key, _)| is_here(key)).map(|(_, object)| object)
    }

    /// Every object.
    pub(in super::super) fn all(&self) -> impl Iterator<Item = &Arc<Json>> {
        self.0.values()
    }
}
