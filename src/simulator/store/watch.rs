//! Learning of changes: all of them for controllers, those of one resource for watches.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use tokio::sync::mpsc;

use super::history::{Change, Event};
use super::{Inner, Status, Store};

/// Every change of the store from one moment on, in order, none left out.
#[derive(Debug)]
pub struct Changes {
    receiver: mpsc::UnboundedReceiver<Arc<Change>>,
}

impl Changes {
    /// Waits for the next change; `None` once the store is gone.
    pub async fn next(&mut self) -> Option<Arc<Change>> {
        self.receiver.recv().await
    }

    /// The next change, if there is one already.
    pub fn try_next(&mut self) -> Option<Arc<Change>> {
        self.receiver.try_recv().ok()
    }
}

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the objects that are there, as if each had just been added.
    Existing,
    /// With the changes after this version.
    After(u64),
}

/// A watch on one resource, in one namespace or in all.
#[derive(Debug)]
pub struct Watch {
    /// The store's version when the watch began: what happened up to it is in [`Watch::backlog`].
    pub version: u64,
    /// What there was to tell when the watch began.
    pub backlog: VecDeque<Arc<Change>>,
    receiver: mpsc::Receiver<Arc<Change>>,
    id: u64,
    group: String,
    plural: String,
    namespace: Option<String>,
    inner: Weak<Inner>,
}

impl Watch {
    /// Waits for the next change, the backlog first; `None` if the watch was too slow, or the store is gone.
    pub async fn next(&mut self) -> Option<Arc<Change>> {
        match self.backlog.pop_front() {
            Some(change) => Some(change),
            None => self.receiver.recv().await,
        }
    }

    /// The next change, if there is one already.
    pub fn try_next(&mut self) -> Option<Arc<Change>> {
        self.backlog.pop_front().or_else(|| self.receiver.try_recv().ok())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            let mut state = inner.lock();
            state.resource_mut(&self.group, &self.plural).history.unsubscribe(self.id, self.namespace.as_deref());
        }
    }
}

impl Store {
    /// Every change from now on, for controllers. Nothing is lost, however slowly they are read.
    #[must_use]
    pub fn changes(&self) -> Changes {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lock().changes.push(sender);
        Changes { receiver }
    }

    /// Watches a resource from after a version on.
    ///
    /// # Errors
    /// 410 if some of the changes since then are no longer known.
    pub fn watch_from(
        &self,
        group: &str,
        plural: &str,
        namespace: Option<&str>,
        version: u64,
    ) -> Result<Watch, Status> {
        self.watch(group, plural, namespace, Start::After(version))
    }

    /// Watches a resource.
    ///
    /// # Errors
    /// 410 if some of the changes that it would have to begin with are no longer known.
    pub fn watch(&self, group: &str, plural: &str, namespace: Option<&str>, start: Start) -> Result<Watch, Status> {
        let kind = self.kind(group, plural).unwrap_or_default();
        let mut state = self.lock();
        let version = state.version;
        state.next_watch += 1;
        let id = state.next_watch;
        let resource = state.resource_mut(group, plural);
        let backlog = match start {
            Start::Existing => {
                let added = |stored| Change::new(version, Event::Added, &kind, &stored, None);
                resource.list(namespace).into_iter().map(added).collect()
            }
            Start::After(after) => {
                resource.history.since(&kind, after, namespace).ok_or_else(|| too_old(after, version))?
            }
        };
        let receiver = resource.history.subscribe(id, namespace);
        Ok(Watch {
            version,
            backlog,
            receiver,
            id,
            group: group.to_owned(),
            plural: plural.to_owned(),
            namespace: namespace.map(str::to_owned),
            inner: Arc::downgrade(&self.inner),
        })
    }

    /// Forgets all recent changes, as a real API server does after some minutes: watches that come back must list again.
    pub fn compact(&self) {
        let mut state = self.lock();
        let version = state.version;
        let all: Vec<_> = state.kinds.all();
        for kind in all {
            state.resource_mut(&kind.group, &kind.plural).history.forget(version);
        }
    }
}

fn too_old(asked: u64, version: u64) -> Status {
    Status::expired(format!("too old resource version: {asked} ({version})"))
}
