//! Who is told what: the namespaces that somebody takes part in, and the last state of what is in them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Kind, locked};
use crate::trial::Change;

/// The namespaces that somebody takes part in.
#[derive(Default)]
pub struct Rooms {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    open: HashMap<String, Room>,
    /// Cluster-scoped objects: everybody is told of them.
    common: HashMap<Id, Arc<Json>>,
}

struct Room {
    changes: UnboundedSender<Change>,
    objects: HashMap<Id, Arc<Json>>,
}

/// An object: its kind, its uid.
type Id = (Kind, String);

/// What a listing showed, by uid, in rooms that were open.
#[derive(Default)]
pub struct Listing(HashSet<String>);

impl Rooms {
    /// Opens a room; it begins with the cluster-scoped objects.
    pub fn open(&self, namespace: &str) -> UnboundedReceiver<Change> {
        let (changes, receiver) = unbounded_channel();
        let mut inner = locked(&self.inner);
        for object in inner.common.values() {
            let _ = changes.send(Change::Seen(Arc::clone(object)));
        }
        inner.open.insert(namespace.to_owned(), Room { changes, objects: HashMap::new() });
        receiver
    }

    /// Closes a room and forgets what was in it.
    pub fn close(&self, namespace: &str) {
        locked(&self.inner).open.remove(namespace);
    }

    /// Whether anybody wants to know of this namespace; of what is in none, everybody does.
    pub fn wants(&self, namespace: Option<&str>) -> bool {
        namespace.is_none_or(|namespace| locked(&self.inner).open.contains_key(namespace))
    }

    /// Tells that an object is there, in this state.
    pub fn seen(&self, kind: &Kind, object: Json, listing: Option<&mut Listing>) {
        let Some(id) = id(kind, &object) else { return };
        if let Some(listing) = listing {
            listing.0.insert(id.1.clone());
        }
        let mut inner = locked(&self.inner);
        match namespace_of(&object) {
            Some(namespace) => {
                let Some(room) = inner.open.get_mut(namespace) else { return };
                let object = Arc::new(object);
                let before = room.objects.insert(id, Arc::clone(&object));
                // A listing shows again what a watch has shown.
                if before.is_none_or(|before| !same_version(&before, &object)) {
                    let _ = room.changes.send(Change::Seen(object));
                }
            }
            None => inner.tell_all(id, &Arc::new(object)),
        }
    }

    /// Tells that an object is gone.
    pub fn gone(&self, kind: &Kind, object: Json) {
        let Some(id) = id(kind, &object) else { return };
        let mut inner = locked(&self.inner);
        let Some(namespace) = namespace_of(&object) else {
            if inner.common.remove(&id).is_some() {
                inner.send_all(&Change::Gone(Arc::new(object)));
            }
            return;
        };
        if let Some(room) = inner.open.get_mut(namespace) {
            room.objects.remove(&id);
            let _ = room.changes.send(Change::Gone(Arc::new(object)));
        }
    }

    /// Tells what a full listing of a kind no longer shows.
    pub fn listed(&self, kind: &Kind, listing: &Listing) {
        let mut inner = locked(&self.inner);
        let is_left = |(of, uid): &Id| of == kind && !listing.0.contains(uid);
        let left: Vec<_> = inner.common.keys().filter(|id| is_left(id)).cloned().collect();
        for object in left.iter().filter_map(|id| inner.common.remove(id)).collect::<Vec<_>>() {
            inner.send_all(&Change::Gone(object));
        }
        for room in inner.open.values_mut() {
            let Room { changes, objects } = room;
            objects.retain(|id, object| {
                let kept = !is_left(id);
                if !kept {
                    let _ = changes.send(Change::Gone(Arc::clone(object)));
                }
                kept
            });
        }
    }

    /// The last state of everything in a room, by kind and name.
    pub fn objects(&self, namespace: &str) -> Vec<Arc<Json>> {
        let inner = locked(&self.inner);
        let objects = inner.open.get(namespace).into_iter().flat_map(|room| &room.objects);
        let name =
            |object: &Json| object.pointer("/metadata/name").and_then(Json::as_str).unwrap_or_default().to_owned();
        let sorted: BTreeMap<_, _> =
            objects.map(|((kind, uid), object)| ((&kind.2, name(object), uid), Arc::clone(object))).collect();
        sorted.into_values().collect()
    }
}

impl Inner {
    /// Nodes report every few seconds; only a change of what matters for pods is told.
    fn tell_all(&mut self, id: Id, object: &Arc<Json>) {
        let is_node = id.0.2 == "Node";
        let before = self.common.insert(id, Arc::clone(object));
        // Nodes change all the time in what is of no interest here.
        let is_known = |before: Arc<Json>| {
            if is_node { availability(&before) == availability(object) } else { same_version(&before, object) }
        };
        if before.is_some_and(is_known) {
            return;
        }
        self.send_all(&Change::Seen(Arc::clone(object)));
    }

    fn send_all(&self, change: &Change) {
        for room in self.open.values() {
            let _ = room.changes.send(change.clone());
        }
    }
}

/// What of a node decides whether pods run there: its spec (taints), and the status of each condition by type.
type Availability<'a> = (Option<&'a Json>, Vec<(Option<&'a Json>, Option<&'a Json>)>);

fn availability(node: &Json) -> Availability<'_> {
    let conditions = node.pointer("/status/conditions").and_then(Json::as_array);
    (
        node.pointer("/spec"),
        conditions.into_iter().flatten().map(|found| (found.get("type"), found.get("status"))).collect(),
    )
}

fn id(kind: &Kind, object: &Json) -> Option<Id> {
    Some((kind.clone(), object.pointer("/metadata/uid")?.as_str()?.to_owned()))
}

fn namespace_of(object: &Json) -> Option<&str> {
    object.pointer("/metadata/namespace").and_then(Json::as_str)
}

fn same_version(one: &Json, other: &Json) -> bool {
    let version = one.pointer("/metadata/resourceVersion");
    version.is_some() && version == other.pointer("/metadata/resourceVersion")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(name: &str) -> Kind {
        (String::new(), "v1".to_owned(), name.to_owned())
    }

    fn pod(namespace: &str, uid: &str, version: &str) -> Json {
        json!({"metadata": {"namespace": namespace, "name": uid, "uid": uid, "resourceVersion": version}})
    }

    fn told(receiver: &mut UnboundedReceiver<Change>) -> Vec<String> {
        let name = |object: &Json| object.pointer("/metadata/name").unwrap().as_str().unwrap().to_owned();
        std::iter::from_fn(|| receiver.try_recv().ok())
            .map(|change| match change {
                Change::Seen(object) => format!("seen {}", name(&object)),
                Change::Gone(object) => format!("gone {}", name(&object)),
            })
            .collect()
    }

    #[test]
    fn only_the_namespace_that_was_joined_is_told_of() {
        let rooms = Rooms::default();
        let mut mine = rooms.open("mine");
        rooms.seen(&kind("Pod"), pod("mine", "a", "1"), None);
        rooms.seen(&kind("Pod"), pod("other", "b", "1"), None);
        assert_eq!(told(&mut mine), ["seen a"]);
        assert_eq!(rooms.objects("mine").len(), 1);
        rooms.close("mine");
        assert!(!rooms.wants(Some("mine")));
        assert_eq!(rooms.objects("mine").len(), 0);
    }

    #[test]
    fn what_a_listing_no_longer_shows_is_gone_and_what_it_shows_again_is_not_told_twice() {
        let rooms = Rooms::default();
        let mut mine = rooms.open("mine");
        rooms.seen(&kind("Pod"), pod("mine", "stays", "1"), None);
        rooms.seen(&kind("Pod"), pod("mine", "leaves", "1"), None);
        rooms.seen(&kind("Event"), pod("mine", "event", "1"), None);
        assert_eq!(told(&mut mine).len(), 3);
        let mut listing = Listing::default();
        rooms.seen(&kind("Pod"), pod("mine", "stays", "1"), Some(&mut listing));
        rooms.seen(&kind("Pod"), pod("mine", "new", "2"), Some(&mut listing));
        rooms.listed(&kind("Pod"), &listing);
        assert_eq!(told(&mut mine), ["seen new", "gone leaves"]);
    }

    #[test]
    fn a_node_is_told_to_everybody_when_what_matters_of_it_changes() {
        let rooms = Rooms::default();
        let node = |status: &str, beat: &str| json!({"metadata": {"name": "n", "uid": "n"}, "status": {"conditions": [{"type": "Ready", "status": status, "lastHeartbeatTime": beat}]}});
        rooms.seen(&kind("Node"), node("True", "1"), None);
        let (mut one, mut other) = (rooms.open("one"), rooms.open("other"));
        rooms.seen(&kind("Node"), node("True", "2"), None);
        rooms.seen(&kind("Node"), node("Unknown", "3"), None);
        assert_eq!(told(&mut one), ["seen n", "seen n"]);
        assert_eq!(told(&mut other), ["seen n", "seen n"]);
    }

    #[test]
    fn everybody_is_told_once_that_a_node_is_gone_by_a_watch_or_a_listing() {
        let rooms = Rooms::default();
        let node = |name: &str| json!({"metadata": {"name": name, "uid": name}});
        for name in ["stays", "deleted", "unlisted"] {
            rooms.seen(&kind("Node"), node(name), None);
        }
        let (mut one, mut other) = (rooms.open("one"), rooms.open("other"));
        assert_eq!((told(&mut one).len(), told(&mut other).len()), (3, 3));
        rooms.gone(&kind("Node"), node("deleted"));
        rooms.gone(&kind("Node"), node("deleted"));
        let mut listing = Listing::default();
        rooms.seen(&kind("Node"), node("stays"), Some(&mut listing));
        rooms.listed(&kind("StorageClass"), &Listing::default());
        rooms.listed(&kind("Node"), &listing);
        assert_eq!(told(&mut one), ["gone deleted", "gone unlisted"]);
        assert_eq!(told(&mut other), ["gone deleted", "gone unlisted"]);
        assert_eq!(told(&mut rooms.open("new")), ["seen stays"]);
    }
}
