//! What the simulated cluster holds: objects by resource, namespace and name, in versions, with their changes.
//!
//! A [`Store`] is cheap to clone: all clones are one store. Nothing in here waits: each call takes the lock, does its work
//! and gives it back. Controllers write through the same calls as the API server, and learn of changes from
//! [`Store::changes`].

mod custom;
mod history;
mod kind;
mod logs;
mod object;
mod random;
mod runs;
mod status;
#[cfg(test)]
mod tests;
mod watch;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;
use tokio::sync::mpsc;

pub use history::{Change, Event, Stored};
pub use kind::{Kind, group_version, split_api_version};
pub use logs::{Line, LogReader, Logs};
pub use object::{at, child, has_finalizers, has_grace, is_deleting, metadata, now, text};
pub use random::Random;
pub use runs::Run;
pub use status::{Status, StatusCause};
pub use watch::{Changes, Start, Watch};
pub use write::{DeleteOptions, Deletion, Propagation};

use history::History;
use kind::Kinds;

/// Where an object is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource: `pods`.
    pub plural: String,
    /// The namespace; `None` for an object of the whole cluster.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl Key {
    /// The key of an object in a namespace.
    #[must_use]
    pub fn namespaced(group: &str, plural: &str, namespace: &str, name: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..Self::cluster(group, plural, name) }
    }

    /// The key of an object of the whole cluster.
    #[must_use]
    pub fn cluster(group: &str, plural: &str, name: &str) -> Self {
        Self { group: group.to_owned(), plural: plural.to_owned(), namespace: None, name: name.to_owned() }
    }

    /// The key of an object of this kind.
    #[must_use]
    pub fn of(kind: &Kind, object: &Json) -> Self {
        let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
        if kind.namespaced {
            Self::namespaced(&kind.group, &kind.plural, namespace, name)
        } else {
            Self::cluster(&kind.group, &kind.plural, name)
        }
    }

    /// The part of the resource's objects that it stands in: the namespace, or empty.
    fn part(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }
}

/// The objects of a simulated cluster. Clones share them.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    kinds: Kinds,
    /// By group, then by resource.
    resources: HashMap<String, HashMap<String, Resource>>,
    version: u64,
    random: Random,
    logs: logs::PodLogs,
    runs: runs::PodRuns,
    changes: Vec<mpsc::UnboundedSender<Arc<Change>>>,
    next_watch: u64,
    /// How many changes of each resource are kept.
    kept: usize,
    /// Fills in the defaults of a new object.
    complete: fn(&mut Json),
}

/// The objects of one resource, by namespace (empty for those of the whole cluster), then by name.
#[derive(Debug, Default)]
struct Resource {
    objects: BTreeMap<String, BTreeMap<String, Arc<Stored>>>,
    history: History,
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// How many changes of each resource are kept for watches that come back, unless it is said otherwise.
    pub const HISTORY: usize = 1000;

    /// An empty store that knows Kubernetes' own kinds; names are random.
    #[must_use]
    pub fn new() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self::with(RandomState::new().hash_one(0), Self::HISTORY)
    }

    /// An empty store whose generated names and uids follow from `seed`, and which keeps `history` changes of each
    /// resource.
    #[must_use]
    pub fn with(seed: u64, history: usize) -> Self {
        let state = State {
            kinds: Kinds::built_in(),
            resources: HashMap::new(),
            version: 1,
            random: Random::new(seed),
            logs: HashMap::new(),
            runs: HashMap::new(),
            changes: Vec::new(),
            next_watch: 0,
            kept: history,
            complete: |_| {},
        };
        Self { inner: Arc::new(Inner { state: Mutex::new(state) }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.lock()
    }

    /// The object, if it is there.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Json>> {
        self.lock().stored(key).map(|stored| Arc::clone(stored.object()))
    }

    /// The object with its shared JSON text, if it is there.
    #[must_use]
    pub fn get_stored(&self, key: &Key) -> Option<Arc<Stored>> {
        self.lock().stored(key).cloned()
    }

    /// The objects of a resource in one namespace or in all, by namespace and name, and the store's version.
    #[must_use]
    pub fn list(&self, group: &str, plural: &str, namespace: Option<&str>) -> (Vec<Arc<Json>>, u64) {
        let (stored, version) = self.list_stored(group, plural, namespace);
        (stored.iter().map(|stored| Arc::clone(stored.object())).collect(), version)
    }

    /// As [`Store::list`], with the shared JSON texts.
    #[must_use]
    pub fn list_stored(&self, group: &str, plural: &str, namespace: Option<&str>) -> (Vec<Arc<Stored>>, u64) {
        let state = self.lock();
        let found = state.resource(group, plural).map(|resource| resource.list(namespace)).unwrap_or_default();
        (found, state.version)
    }

    /// The store's version: that of its newest change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// The kind that is served as this resource.
    #[must_use]
    pub fn kind(&self, group: &str, plural: &str) -> Option<Arc<Kind>> {
        self.lock().kinds.by_plural(group, plural).cloned()
    }

    /// The kind of an object, by its `apiVersion` and `kind`.
    #[must_use]
    pub fn kind_of(&self, api_version: &str, kind: &str) -> Option<Arc<Kind>> {
        self.lock().kinds.by_kind(split_api_version(api_version).0, kind).cloned()
    }

    /// Where an object belongs; `None` if its kind is not served.
    #[must_use]
    pub fn key_of(&self, object: &Json) -> Option<Key> {
        let kind = self.kind_of(text(object, "/apiVersion"), text(object, "/kind"))?;
        Some(Key::of(&kind, object))
    }

    /// Every kind that is served, by group and resource.
    #[must_use]
    pub fn kinds(&self) -> Vec<Arc<Kind>> {
        self.lock().kinds.all()
    }

    /// Fills every new object in with this from now on, once it has its name and uid and before anybody sees it.
    pub fn complete_with(&self, complete: fn(&mut Json)) {
        self.lock().complete = complete;
    }

    /// Draws `length` letters and digits, as generated names end.
    #[must_use]
    pub fn suffix(&self, length: usize) -> String {
        self.lock().random.suffix(length)
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is only changed by steps that can't be left half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn resource(&self, group: &str, plural: &str) -> Option<&Resource> {
        self.resources.get(group)?.get(plural)
    }

    fn resource_mut(&mut self, group: &str, plural: &str) -> &mut Resource {
        self.resources.entry(group.to_owned()).or_default().entry(plural.to_owned()).or_default()
    }

    fn stored(&self, key: &Key) -> Option<&Arc<Stored>> {
        self.resource(&key.group, &key.plural)?.objects.get(key.part())?.get(&key.name)
    }
}

impl Resource {
    fn list(&self, namespace: Option<&str>) -> Vec<Arc<Stored>> {
        match namespace {
            Some(namespace) => self.objects.get(namespace).into_iter().flat_map(BTreeMap::values).cloned().collect(),
            None => self.objects.values().flat_map(BTreeMap::values).cloned().collect(),
        }
    }
}
