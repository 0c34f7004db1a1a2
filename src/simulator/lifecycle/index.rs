//! What there is, by uid, by owner and by namespace: what garbage collection and the end of namespaces need to know.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value as Json;

use super::object::{list, namespace, text, uid};
use crate::simulator::store::{Change, Event, Key};

/// What there is.
#[derive(Debug, Default)]
pub struct Index {
    places: HashMap<String, Key>,
    owned: HashMap<String, BTreeSet<Key>>,
    contents: HashMap<String, BTreeSet<Key>>,
}

impl Index {
    /// Takes note of a change.
    pub fn note(&mut self, change: &Change) {
        let key = Key::of(&change.kind, &change.object);
        if let Some(previous) = &change.previous {
            self.disown(previous, &key);
        }
        if change.event == Event::Deleted {
            self.places.remove(uid(&change.object));
            self.disown(&change.object, &key);
            if let Some(keys) = self.contents.get_mut(namespace(&change.object)) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.contents.remove(namespace(&change.object));
                }
            }
            return;
        }
        self.add(key, &change.object);
    }

    /// Takes note of an object that is there.
    pub fn add(&mut self, key: Key, object: &Json) {
        self.places.insert(uid(object).to_owned(), key.clone());
        for owner in list(object, "/metadata/ownerReferences") {
            self.owned.entry(text(owner, "/uid").to_owned()).or_default().insert(key.clone());
        }
        if let Some(namespace) = &key.namespace {
            self.contents.entry(namespace.clone()).or_default().insert(key);
        }
    }

    fn disown(&mut self, object: &Arc<Json>, key: &Key) {
        for owner in list(object, "/metadata/ownerReferences") {
            let owner = text(owner, "/uid");
            if let Some(keys) = self.owned.get_mut(owner) {
                keys.remove(key);
                if keys.is_empty() {
                    self.owned.remove(owner);
                }
            }
        }
    }

    /// Whether there is an object with this uid.
    #[must_use]
    pub fn is_there(&self, uid: &str) -> bool {
        self.places.contains_key(uid)
    }

    /// What an owner owns.
    #[must_use]
    pub fn owned_by(&self, uid: &str) -> Vec<Key> {
        self.owned.get(uid).into_iter().flatten().cloned().collect()
    }

    /// What stands in a namespace.
    #[must_use]
    pub fn within(&self, namespace: &str) -> Vec<Key> {
        self.contents.get(namespace).into_iter().flatten().cloned().collect()
    }
}
