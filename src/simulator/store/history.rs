//! Changes of one resource: the recent ones, and who is told of new ones.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use serde_json::Value as Json;
use tokio::sync::mpsc;

use super::kind::Kind;
use super::object::text;

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// It is new.
    Added,
    /// It changed.
    Modified,
    /// It is gone.
    Deleted,
}

impl Event {
    /// The word that a watch uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// An object as it is kept, with its JSON text once somebody has asked for that.
#[derive(Debug)]
pub struct Stored {
    object: Arc<Json>,
    encoded: OnceLock<Bytes>,
}

impl Stored {
    pub(super) fn new(object: Json) -> Arc<Self> {
        Arc::new(Self { object: Arc::new(object), encoded: OnceLock::new() })
    }

    /// The object.
    #[must_use]
    pub fn object(&self) -> &Arc<Json> {
        &self.object
    }

    /// Its JSON text, made once and shared by all who ask.
    #[must_use]
    pub fn encoded(&self) -> Bytes {
        // A JSON value always becomes text.
        self.encoded.get_or_init(|| serde_json::to_vec(&*self.object).unwrap_or_default().into()).clone()
    }
}

/// One change of one object.
#[derive(Debug)]
pub struct Change {
    /// The version of the whole store that this change made; the object's own is the same.
    pub resource_version: u64,
    /// What became of it.
    pub event: Event,
    /// The object's kind.
    pub kind: Arc<Kind>,
    /// The object, as it is now; of a deleted one the last state.
    pub object: Arc<Json>,
    /// What it was before; `None` if it is new.
    pub previous: Option<Arc<Json>>,
    stored: Arc<Stored>,
}

impl Change {
    pub(super) fn new(
        resource_version: u64,
        event: Event,
        kind: &Arc<Kind>,
        stored: &Arc<Stored>,
        previous: Option<Arc<Json>>,
    ) -> Arc<Self> {
        let object = Arc::clone(stored.object());
        Arc::new(Self { resource_version, event, kind: Arc::clone(kind), object, previous, stored: Arc::clone(stored) })
    }

    /// The JSON text of the object, made once and shared.
    #[must_use]
    pub fn encoded(&self) -> Bytes {
        self.stored.encoded()
    }

    /// The object's namespace; empty for one without.
    #[must_use]
    pub fn namespace(&self) -> &str {
        text(&self.object, "/metadata/namespace")
    }
}

/// A change as it is remembered: as texts, which take a fraction of the memory of the objects.
#[derive(Debug)]
struct Memory {
    version: u64,
    event: Event,
    namespace: Box<str>,
    object: Bytes,
    previous: Option<Bytes>,
}

impl Memory {
    fn recall(&self, kind: &Arc<Kind>) -> Arc<Change> {
        // They were made from JSON values.
        let read = |text: &Bytes| serde_json::from_slice(text).unwrap_or_default();
        let stored = Stored { object: Arc::new(read(&self.object)), encoded: OnceLock::from(self.object.clone()) };
        let previous = self.previous.as_ref().map(|text| Arc::new(read(text)));
        Change::new(self.version, self.event, kind, &Arc::new(stored), previous)
    }
}

/// The recent changes of one resource, bounded, and the watches on it.
#[derive(Debug, Default)]
pub(super) struct History {
    recent: VecDeque<Memory>,
    /// The version of the newest change that is no longer kept.
    floor: u64,
    everywhere: HashMap<u64, mpsc::Sender<Arc<Change>>>,
    by_namespace: HashMap<String, HashMap<u64, mpsc::Sender<Arc<Change>>>>,
}

/// How many changes may wait for a watch that does not read; one more ends it, as a real API server ends slow watches.
const WATCH_BACKLOG: usize = 4096;

impl History {
    /// Keeps a change, and tells those who watch its namespace or all namespaces.
    pub(super) fn push(&mut self, change: &Arc<Change>, previous: Option<&Stored>, kept: usize) {
        self.recent.push_back(Memory {
            version: change.resource_version,
            event: change.event,
            namespace: change.namespace().into(),
            object: change.encoded(),
            previous: previous.map(Stored::encoded),
        });
        while self.recent.len() > kept {
            self.forget_oldest();
        }
        let tell = |watches: &mut HashMap<u64, mpsc::Sender<_>>| {
            watches.retain(|_, watch| watch.try_send(Arc::clone(change)).is_ok());
        };
        tell(&mut self.everywhere);
        if let Some(watches) = self.by_namespace.get_mut(change.namespace()) {
            tell(watches);
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.recent.pop_front() {
            self.floor = oldest.version;
        }
    }

    /// Forgets all changes up to `version`.
    pub(super) fn forget(&mut self, version: u64) {
        self.recent.clear();
        self.floor = version;
    }

    /// The changes after `version`, oldest first; `None` if some of them are no longer known.
    pub(super) fn since(
        &self,
        kind: &Arc<Kind>,
        version: u64,
        namespace: Option<&str>,
    ) -> Option<VecDeque<Arc<Change>>> {
        if version < self.floor {
            return None;
        }
        let start = self.recent.partition_point(|memory| memory.version <= version);
        let wanted = |memory: &&Memory| namespace.is_none_or(|namespace| *memory.namespace == *namespace);
        Some(self.recent.range(start..).filter(wanted).map(|memory| memory.recall(kind)).collect())
    }

    pub(super) fn subscribe(&mut self, id: u64, namespace: Option<&str>) -> mpsc::Receiver<Arc<Change>> {
        let (sender, receiver) = mpsc::channel(WATCH_BACKLOG);
        match namespace {
            None => self.everywhere.insert(id, sender),
            Some(namespace) => self.by_namespace.entry(namespace.to_owned()).or_default().insert(id, sender),
        };
        receiver
    }

    /// Whether nobody watches.
    #[cfg(test)]
    pub(super) fn is_unwatched(&self) -> bool {
        self.everywhere.is_empty() && self.by_namespace.is_empty()
    }

    pub(super) fn unsubscribe(&mut self, id: u64, namespace: Option<&str>) {
        let Some(namespace) = namespace else {
            self.everywhere.remove(&id);
            return;
        };
        if let Some(watches) = self.by_namespace.get_mut(namespace) {
            watches.remove(&id);
            if watches.is_empty() {
                self.by_namespace.remove(namespace);
            }
        }
    }
}
