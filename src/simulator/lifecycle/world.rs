//! What reconcilers see of the cluster.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value as Json;

use super::Options;
use super::object::{controller, has_ended, is_controlled_by, name, namespace, text, uid};
use super::scheduler::{Amounts, add, requests};
use super::script;
use crate::simulator::store::{Key, Store};

/// What reconcilers see of the cluster. They change nothing in it.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The objects.
    pub store: &'a Store,
    /// What the cluster is like.
    pub options: &'a Options,
    /// What was remembered.
    pub memory: &'a Memory,
}

/// What is remembered besides the objects.
#[derive(Debug, Default)]
pub struct Memory {
    /// By uid.
    marks: HashMap<String, HashSet<String>>,
    /// In which namespaces an example of this name was tried, in order.
    tries: RefCell<HashMap<String, Vec<String>>>,
    /// What pods request of their nodes, by uid.
    taken: HashMap<String, (String, Amounts)>,
}

impl Memory {
    /// Remembers something of an object.
    pub fn mark(&mut self, uid: String, mark: String) {
        self.marks.entry(uid).or_default().insert(mark);
    }

    /// Forgets an object.
    pub fn forget(&mut self, uid: &str) {
        self.marks.remove(uid);
        self.taken.remove(uid);
    }

    /// Takes note of what a pod takes from its node.
    pub fn note(&mut self, pod: &Json) {
        let node = text(pod, "/spec/nodeName");
        if node.is_empty() || has_ended(pod) {
            self.taken.remove(uid(pod));
        } else if !self.taken.contains_key(uid(pod)) {
            self.taken.insert(uid(pod).to_owned(), (node.to_owned(), requests(pod)));
        }
    }

    /// What the pods of a node request together, and how many they are.
    #[must_use]
    pub fn taken(&self, node: &str) -> (Amounts, usize) {
        let mut sum = Amounts::new();
        let here = self.taken.values().filter(|(of, _)| of == node);
        let count = here.inspect(|(_, amounts)| add(&mut sum, amounts)).count();
        (sum, count)
    }
}

impl World<'_> {
    /// Whether something was remembered of an object.
    #[must_use]
    pub fn is_marked(&self, object: &Json, mark: &str) -> bool {
        self.memory.marks.get(uid(object)).is_some_and(|marks| marks.contains(mark))
    }

    /// The objects of a resource in a namespace.
    #[must_use]
    pub fn list(&self, group: &str, plural: &str, namespace: &str) -> Vec<Arc<Json>> {
        self.store.list(group, plural, Some(namespace)).0
    }

    /// The objects of a resource that `owner` controls, oldest first.
    #[must_use]
    pub fn owned(&self, group: &str, plural: &str, owner: &Json) -> Vec<Arc<Json>> {
        let mut found = self.list(group, plural, namespace(owner));
        found.retain(|object| is_controlled_by(object, owner));
        found.sort_by_key(|object| version_of_birth(object));
        found
    }

    /// The pods that `owner` controls, oldest first.
    #[must_use]
    pub fn pods(&self, owner: &Json) -> Vec<Arc<Json>> {
        self.owned("", "pods", owner)
    }

    /// The object that controls another one.
    #[must_use]
    pub fn controller(&self, object: &Json) -> Option<Arc<Json>> {
        let reference = controller(object)?;
        let kind = self.store.kind_of(text(reference, "/apiVersion"), text(reference, "/kind"))?;
        let key = Key {
            group: kind.group.clone(),
            plural: kind.plural.clone(),
            namespace: kind.namespaced.then(|| namespace(object).to_owned()),
            name: text(reference, "/name").to_owned(),
        };
        self.store.get(&key).filter(|found| uid(found) == text(reference, "/uid"))
    }

    /// The script that was chosen for a pod's container, by an annotation of the pod or of what owns it.
    #[must_use]
    pub fn script(&self, pod: &Json, container: &str) -> Option<script::Act> {
        let own = |object: &Json| script::annotation(object).and_then(|value| script::act(value, container));
        let mut found = own(pod);
        let mut owner = self.controller(pod);
        while let (None, Some(object)) = (&found, &owner) {
            found = own(object);
            owner = self.controller(object);
        }
        found
    }

    /// How many namespaces an example was tried in before the pod's: examples are the same if what owns their pods has the
    /// same kind and name.
    #[must_use]
    pub fn tries_before(&self, pod: &Json) -> usize {
        let mut root = Arc::new(pod.clone());
        while let Some(owner) = self.controller(&root) {
            root = owner;
        }
        let mut tries = self.memory.tries.borrow_mut();
        let namespaces = tries.entry(format!("{}/{}", text(&root, "/kind"), name(&root))).or_default();
        let here = namespace(pod);
        namespaces.iter().position(|namespace| namespace == here).unwrap_or_else(|| {
            namespaces.push(here.to_owned());
            namespaces.len() - 1
        })
    }
}

/// Sorts by creation: times are to the second, so that names decide among those of one second.
fn version_of_birth(object: &Json) -> (String, String) {
    (text(object, "/metadata/creationTimestamp").to_owned(), name(object).to_owned())
}
