//! The one task in which everything happens: it learns of changes, asks the reconcilers, and does what they decide.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use serde_json::Value as Json;

use super::action::{Action, CreatePod, Cue, Happening, pod_key};
use super::index::Index;
use super::object::{controller, has_ended, is_deleting, list, name, namespace, text, uid};
use super::pace::{Delay, Step};
use super::play::End;
use super::recorder::Recorder;
use super::timers::{Timer, Timers};
use super::world::{Memory, World};
use super::{Counted, Counters, Options, admission, controllers, reconcile, seed};
use crate::simulator::store::{Change, Changes, Event, Key, Propagation, Run, Store};

/// The state of the task.
pub(super) struct Engine {
    store: Store,
    options: Options,
    changes: Changes,
    timers: Timers,
    memory: Memory,
    recorder: Recorder,
    counters: Counters,
    index: Index,
    /// What is to be looked at, each once.
    queue: VecDeque<Key>,
    queued: HashSet<Key>,
    /// Pods that no node takes.
    unschedulable: BTreeSet<Key>,
    room: bool,
}

impl Engine {
    /// Learns of changes from now on, makes what every cluster has, and takes over what there is.
    pub fn new(store: Store, options: Options, counters: Counters) -> Self {
        let mut engine = Self {
            changes: store.changes(),
            timers: Timers::new(options.pace),
            memory: Memory::default(),
            recorder: Recorder::default(),
            counters,
            index: Index::default(),
            queue: VecDeque::new(),
            queued: HashSet::new(),
            unschedulable: BTreeSet::new(),
            room: false,
            store,
            options,
        };
        for kind in engine.store.kinds() {
            for object in engine.store.list(&kind.group, &kind.plural, None).0 {
                engine.adopt(Key::of(&kind, &object), &object);
            }
        }
        seed::plant(&engine.store, &engine.options);
        engine
    }

    fn adopt(&mut self, key: Key, object: &Json) {
        self.index.add(key.clone(), object);
        if key.plural == "pods" && key.group.is_empty() {
            self.memory.note(object);
            self.schedule_soon(&key, object);
        }
        self.enqueue(key);
    }

    fn schedule_soon(&mut self, key: &Key, pod: &Json) {
        let timer = Timer { key: key.clone(), uid: uid(pod).to_owned(), cue: Cue::Schedule };
        self.timers.add(Delay::Step(Step::Schedule), timer);
    }

    /// Works until the store is gone or the task is stopped.
    pub async fn work(mut self) {
        loop {
            let due = self.timers.due();
            let timer = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let change = tokio::select! {
                change = self.changes.next() => Some(change),
                () = timer => None,
            };
            self.timers.catch_up();
            match change {
                Some(Some(change)) => self.observe(&change),
                Some(None) => return,
                None => {}
            }
            let mut turns = 0;
            while self.turn() {
                turns += 1;
                if turns % 64 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Does one thing; false if there is nothing to do now.
    fn turn(&mut self) -> bool {
        if let Some(change) = self.changes.try_next() {
            self.observe(&change);
            return true;
        }
        if let Some(key) = self.queue.pop_front() {
            self.queued.remove(&key);
            self.look(&key, None, &Cue::Changed);
            return true;
        }
        if std::mem::take(&mut self.room) {
            for key in std::mem::take(&mut self.unschedulable) {
                self.look(&key, None, &Cue::Schedule);
            }
            return true;
        }
        let Some(timer) = self.timers.pop() else { return false };
        self.look(&timer.key, Some(&timer.uid), &timer.cue);
        true
    }

    fn enqueue(&mut self, key: Key) {
        if self.queued.insert(key.clone()) {
            self.queue.push_back(key);
        }
    }

    /// Takes note of a change, and of what has to be looked at for it.
    fn observe(&mut self, change: &Change) {
        self.index.note(change);
        self.counters.note(change);
        let key = Key::of(&change.kind, &change.object);
        let is_event = change.kind.is("", "Event");
        if change.event == Event::Deleted {
            self.memory.forget(uid(&change.object));
            if is_event {
                self.recorder.forget(&key);
            }
            self.collect_owned(uid(&change.object));
            for owner in list(&change.object, "/metadata/ownerReferences") {
                self.enqueue_owner(&change.object, owner);
            }
            self.enqueue_namespace(&change.object);
        }
        if is_event {
            return;
        }
        if let Some(owner) = controller(&change.object).cloned() {
            self.enqueue_owner(&change.object, &owner);
        }
        self.wake(change);
        if change.event == Event::Deleted {
            return;
        }
        if change.kind.is("", "Pod") {
            self.memory.note(&change.object);
        }
        if change.event == Event::Added {
            self.disown_lost(&key, &change.object);
            if change.kind.is("", "Pod") {
                self.schedule_soon(&key, &change.object);
            }
        }
        if is_deleting(&change.object) {
            self.end_of_owner(&key, &change.object);
            self.enqueue_namespace(&change.object);
        }
        self.enqueue(key);
    }

    /// Looks again at what may wait for such a change.
    fn wake(&mut self, change: &Change) {
        let object = &change.object;
        match (change.kind.group.as_str(), change.kind.kind.as_str()) {
            ("", "Pod") => {
                let made_room = change.event == Event::Deleted || has_ended(object);
                self.room |= made_room && !self.unschedulable.is_empty();
                self.enqueue_claims(object);
                self.enqueue_all("", "services", Some(namespace(object)));
                let was_gated = change
                    .previous
                    .as_ref()
                    .is_some_and(|previous| !list(previous, "/spec/schedulingGates").is_empty());
                if was_gated && list(object, "/spec/schedulingGates").is_empty() {
                    self.unschedulable.insert(pod_key(object));
                    self.room = true;
                }
            }
            ("", "PersistentVolumeClaim") => {
                self.room |= !self.unschedulable.is_empty();
                let volume = text(object, "/spec/volumeName");
                if change.event == Event::Deleted && !volume.is_empty() {
                    self.enqueue(Key::cluster("", "persistentvolumes", volume));
                }
            }
            ("discovery.k8s.io", "EndpointSlice") => {
                for plural in ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"] {
                    self.enqueue_all("admissionregistration.k8s.io", plural, None);
                }
            }
            ("", "Node") => self.room |= !self.unschedulable.is_empty(),
            _ => {}
        }
    }

    fn enqueue_claims(&mut self, pod: &Json) {
        for volume in list(pod, "/spec/volumes") {
            let claim = text(volume, "/persistentVolumeClaim/claimName");
            if !claim.is_empty() {
                self.enqueue(Key::namespaced("", "persistentvolumeclaims", namespace(pod), claim));
            }
        }
    }

    /// Looks again at every object of a resource.
    fn enqueue_all(&mut self, group: &str, plural: &str, namespace: Option<&str>) {
        for object in self.store.list(group, plural, namespace).0 {
            if let Some(key) = self.store.key_of(&object) {
                self.enqueue(key);
            }
        }
    }

    fn enqueue_owner(&mut self, object: &Json, owner: &Json) {
        let Some(kind) = self.store.kind_of(text(owner, "/apiVersion"), text(owner, "/kind")) else { return };
        let mut key = Key::cluster(&kind.group, &kind.plural, text(owner, "/name"));
        key.namespace = kind.namespaced.then(|| namespace(object).to_owned());
        self.enqueue(key);
    }

    fn enqueue_namespace(&mut self, object: &Json) {
        if !namespace(object).is_empty() {
            let key = Key::cluster("", "namespaces", namespace(object));
            if self.store.get(&key).is_some_and(|found| is_deleting(&found)) {
                self.enqueue(key);
            }
        }
    }

    /// Looks at an object, and does what is decided.
    fn look(&mut self, key: &Key, expected: Option<&str>, cue: &Cue) {
        let Some(object) = self.store.get(key) else { return };
        if expected.is_some_and(|expected| expected != uid(&object)) {
            return;
        }
        if key.plural == "namespaces" && key.group.is_empty() && is_deleting(&object) {
            let actions = controllers::namespace::end(&object, &self.contents(name(&object)));
            return self.apply(actions);
        }
        if is_deleting(&object) {
            self.let_go(key, &object);
        }
        if *cue == Cue::Schedule {
            self.unschedulable.remove(key);
        }
        let world = World { store: &self.store, options: &self.options, memory: &self.memory };
        let actions = reconcile(&object, key, cue, world);
        if *cue == Cue::Schedule && actions.iter().any(|action| matches!(action, Action::Status(..))) {
            self.unschedulable.insert(key.clone());
        }
        self.apply(actions);
    }

    fn contents(&self, namespace: &str) -> Vec<(Key, Arc<Json>)> {
        let found = |key: Key| self.store.get(&key).map(|object| (key, object));
        self.index.within(namespace).into_iter().filter_map(found).collect()
    }

    fn apply(&mut self, actions: Vec<Action>) {
        for action in actions {
            self.act(action);
        }
    }

    /// Does one thing. What can't be done since the object is gone, or there already, is done.
    fn act(&mut self, action: Action) {
        match action {
            Action::Create(object) => drop(self.store.create(object)),
            Action::CreatePod(pod, how) => self.create_pod(pod, &how),
            Action::Status(key, status) => drop(self.store.update(&key, |object| object["status"] = status)),
            Action::Edit(key, edit) => drop(self.store.update(&key, edit)),
            Action::Delete(key, propagation) => drop(self.store.delete(&key, propagation)),
            Action::DeleteNow(key) => drop(self.store.delete_now(&key)),
            Action::Tell(happening) => self.recorder.tell(&self.store, happening),
            Action::Later(delay, key, uid, cue) => self.timers.add(delay, Timer { key, uid, cue }),
            Action::Print(key, container, restart, text) => {
                let namespace = key.namespace.unwrap_or_default();
                self.store.logs().append(&namespace, &key.name, &container, restart, text.as_bytes());
            }
            Action::Begin(key, container, restart, end) => self.begin(&key, &container, restart, &end),
            Action::EndLog(key, container, restart) => {
                self.store.ended(&key, &container, restart);
                let namespace = key.namespace.unwrap_or_default();
                self.store.logs().end(&namespace, &key.name, &container, restart);
            }
            Action::Count(counted, object) => self.counters.add(counted, &object),
            Action::Mark(uid, mark) => self.memory.mark(uid, mark),
        }
    }

    /// Notes that a run of a container begins.
    fn begin(&self, key: &Key, container: &str, restart: u32, end: &End) {
        let length = match end {
            End::Exit { after, .. } | End::OutOfMemory { after } => Some(self.options.pace.time(Delay::Run(*after))),
            End::StartError { .. } | End::Never => None,
        };
        let takes_all = matches!(end, End::OutOfMemory { .. });
        let since = tokio::time::Instant::now();
        self.store.began(key, container, Run { restart, since, length, takes_all });
    }

    /// Creates a pod as a controller does: through admission, with an event, and again later if it is refused.
    fn create_pod(&mut self, mut pod: Json, how: &CreatePod) {
        if name(&pod).is_empty() {
            let name = format!("{}{}", text(&pod, "/metadata/generateName"), self.store.suffix(5));
            pod["metadata"]["name"] = name.into();
        }
        let created = match admission::refusal(&pod, &self.store) {
            Some(why) => Err(why),
            None => self.store.create(pod).map_err(|status| status.message),
        };
        let by = how.by;
        match created {
            Ok(pod) => {
                let message = how.done.1.replace("{}", name(&pod)).replace("{owner}", name(&how.owner));
                self.recorder.tell(&self.store, Happening::normal(&how.owner, by, how.done.0, message));
            }
            Err(why) => {
                self.counters.add(Counted::ReconcileError(by), &how.owner);
                let reason = if how.done.0 == "SuccessfulCreatePod" { "FailedCreatePod" } else { "FailedCreate" };
                let message = format!("Error creating: {why}");
                self.recorder.tell(&self.store, Happening::warning(&how.owner, by, reason, message));
                let Some(key) = self.store.key_of(&how.owner) else { return };
                let wait = std::time::Duration::from_secs(1 << how.turn.min(8));
                let timer = Timer { key, uid: uid(&how.owner).to_owned(), cue: Cue::Again(how.turn + 1) };
                self.timers.add(Delay::Again(wait, how.turn), timer);
            }
        }
    }
}

/// Garbage collection (`pkg/controller/garbagecollector`).
impl Engine {
    /// Deletes what an owner that is gone owned, unless somebody else owns it too.
    fn collect_owned(&mut self, owner: &str) {
        for key in self.index.owned_by(owner) {
            let Some(object) = self.store.get(&key) else { continue };
            self.disown_lost(&key, &object);
        }
    }

    /// Deletes an object whose owners are all gone.
    fn disown_lost(&self, key: &Key, object: &Json) {
        let owners = list(object, "/metadata/ownerReferences");
        let is_lost = !owners.is_empty() && !owners.iter().any(|owner| self.index.is_there(text(owner, "/uid")));
        if is_lost && !is_deleting(object) {
            drop(self.store.delete(key, Propagation::Background));
        }
    }

    /// An owner waits for its end: in the foreground what it owns goes first; else it is left behind.
    fn end_of_owner(&self, key: &Key, owner: &Json) {
        let finalizers: Vec<_> = list(owner, "/metadata/finalizers").iter().filter_map(Json::as_str).collect();
        let dependents = self.index.owned_by(uid(owner));
        if finalizers.contains(&"orphan") {
            for key in &dependents {
                drop(self.store.update(key, |object| {
                    if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
                        owners.retain(|reference| text(reference, "/uid") != uid(owner));
                    }
                }));
            }
            self.take_finalizer(key, "orphan");
        }
        if finalizers.contains(&"foregroundDeletion") {
            for key in &dependents {
                if self.store.get(key).is_some_and(|object| !is_deleting(&object)) {
                    drop(self.store.delete(key, Propagation::Foreground));
                }
            }
        }
    }

    /// Lets an owner go that waited for what it owned, once that is gone.
    fn let_go(&self, key: &Key, owner: &Json) {
        let waits = list(owner, "/metadata/finalizers").iter().any(|finalizer| finalizer == "foregroundDeletion");
        if waits && is_deleting(owner) && self.index.owned_by(uid(owner)).is_empty() {
            self.take_finalizer(key, "foregroundDeletion");
        }
    }

    fn take_finalizer(&self, key: &Key, finalizer: &str) {
        drop(self.store.update(key, |object| {
            if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
                finalizers.retain(|found| found != finalizer);
            }
        }));
    }
}
