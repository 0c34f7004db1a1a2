//! What follows the objects of an example into its namespace: references that name a namespace, and DNS names.
//!
//! A name that can be nothing else than a Service's (`etcd.kubeflow.svc`) is rewritten in every text, those in ConfigMaps among them;
//! a shorter one (`etcd.kubeflow`) where containers are told what to do, and where it is all of a text.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::{Note, dns, home};
use crate::catalog::Object;
use crate::diagnostic::Source;
use crate::yaml::{Entry, Node};

/// Mappings whose keys are the user's own: nothing in them is a reference, but texts may hold DNS names.
const OPAQUE: [&str; 4] = ["data", "stringData", "annotations", "properties"];
/// Mappings that hold neither.
const SKIPPED: [&str; 4] = ["binaryData", "labels", "matchLabels", "nodeSelector"];
/// Keys whose lists name namespaces: of pod affinity, of Prometheus' monitors.
const LISTS: [&str; 2] = ["namespaces", "matchNames"];
/// Keys of containers (and of a TrainJob's trainer) whose texts may hold short DNS names.
const TEXTS: [&str; 2] = ["command", "args"];
/// The label by which selectors name a namespace.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The objects that move into the attempt's namespace.
pub(super) struct Moved<'a> {
    /// The kinds of the moved objects, by namespace and name.
    kinds: HashMap<(&'a str, &'a str), Vec<&'a str>>,
    /// The namespaces that they come from.
    homes: HashSet<&'a str>,
    /// The namespaces that the example brings itself: everything in them moves.
    own: HashSet<&'a str>,
    target: &'a str,
}

/// One object while it is rewritten.
struct Rewriting<'a> {
    moved: &'a Moved<'a>,
    source: &'a Source,
    notes: &'a mut Vec<Note>,
}

impl<'a> Moved<'a> {
    /// What moves to the namespace `target`: the namespaced `objects`, and all that is in the namespaces `brought`.
    pub fn new<'b: 'a>(
        objects: impl Iterator<Item = &'b Object>,
        brought: impl Iterator<Item = &'b Object>,
        target: &'a str,
    ) -> Self {
        let own = brought.map(|namespace| namespace.name.as_str()).collect();
        let mut moved = Self { kinds: HashMap::new(), homes: HashSet::new(), own, target };
        for object in objects {
            moved.kinds.entry((home(object), &object.name)).or_default().push(&object.kind);
            moved.homes.insert(home(object));
        }
        moved
    }

    /// Rewrites the references in `json`, which is `object`'s root as JSON, and notes what is left as it is.
    pub fn rewrite(&self, object: &Object, source: &Source, json: &mut Json, notes: &mut Vec<Note>) {
        let mut rewriting = Rewriting { moved: self, source, notes };
        for entry in object.root.entries() {
            let Some(value) = json.get_mut(&*entry.key) else { continue };
            match &*entry.key {
                // The object's own namespace is set when it is applied.
                "metadata" => {
                    if let (Some(node), Some(value)) = (entry.value.get("annotations"), value.get_mut("annotations")) {
                        rewriting.texts("annotations", node, value);
                    }
                }
                // In base64.
                "data" if object.kind == "Secret" => {}
                _ => rewriting.entry("", entry, value),
            }
        }
    }

    /// Whether everything in a namespace that manifests name moves, or at least the example's part of it.
    fn is_left(&self, namespace: &str) -> bool {
        self.own.contains(namespace) || self.homes.contains(namespace)
    }

    /// Whether the object that is meant moves. Without a kind any object of that name is meant, without a name any of that kind.
    fn takes(&self, namespace: &str, kind: Option<&str>, name: Option<&str>) -> bool {
        let is_kind = |kinds: &Vec<&str>| kind.is_none_or(|kind| kinds.contains(&kind));
        match name {
            _ if self.own.contains(namespace) => true,
            Some("default") if kind == Some("ServiceAccount") => self.homes.contains(namespace),
            Some(name) => self.kinds.get(&(namespace, name)).is_some_and(is_kind),
            None => self.kinds.iter().any(|((home, _), kinds)| *home == namespace && is_kind(kinds)),
        }
    }

    /// Whether one of the example's own Services is meant, and no other object.
    fn has_service(&self, host: &dns::Host<'_>) -> bool {
        let kinds = self.kinds.get(&(host.namespace, host.service));
        kinds.is_some_and(|kinds| kinds.contains(&"Service"))
    }

    /// Whether a Service moves: one of the example's, or one that a controller makes for its object (`job-master-0`).
    fn takes_service(&self, host: &dns::Host<'_>) -> bool {
        let (namespace, service) = (host.namespace, host.service);
        let is_made_for =
            |name: &str| service.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        self.takes(namespace, Some("Service"), Some(service))
            || (host.certain && self.kinds.keys().any(|(home, name)| *home == namespace && is_made_for(name)))
    }
}

impl Rewriting<'_> {
    /// Walks a value that stands under `key`, in the manifest and in JSON at once: both have the same shape.
    fn walk(&mut self, key: &str, node: &Node, json: &mut Json) {
        match json {
            Json::Object(_) => self.mapping(key, node, json),
            Json::Array(items) => {
                for (item, json) in node.items().zip(items) {
                    match json {
                        Json::String(text) if TEXTS.contains(&key) => self.text(item, text, true),
                        Json::String(name) if LISTS.contains(&key) && self.moved.is_left(name) => {
                            self.moved.target.clone_into(name);
                        }
                        _ => self.walk(key, item, json),
                    }
                }
            }
            Json::String(text) => self.whole(key, node, text),
            _ => {}
        }
    }

    fn mapping(&mut self, key: &str, node: &Node, json: &mut Json) {
        self.reference(key, node, json);
        self.selector(node, json);
        for entry in node.entries() {
            let Some(value) = json.get_mut(&*entry.key) else { continue };
            self.entry(key, entry, value);
        }
    }

    /// An entry of the mapping that stands under `key`.
    fn entry(&mut self, key: &str, entry: &Entry, json: &mut Json) {
        match (&*entry.key, json) {
            ("value", Json::String(text)) if key == "env" => self.text(&entry.value, text, true),
            (skipped, _) if SKIPPED.contains(&skipped) => {}
            (opaque, json) if OPAQUE.contains(&opaque) => self.texts(opaque, &entry.value, json),
            (own, json) => self.walk(own, &entry.value, json),
        }
    }

    /// The texts of a value in which nothing is a reference.
    fn texts(&mut self, key: &str, node: &Node, json: &mut Json) {
        match json {
            Json::Object(_) => {
                for entry in node.entries() {
                    let Some(value) = json.get_mut(&*entry.key) else { continue };
                    self.texts(&entry.key, &entry.value, value);
                }
            }
            Json::Array(items) => node.items().zip(items).for_each(|(item, json)| self.texts(key, item, json)),
            Json::String(text) => self.whole(key, node, text),
            _ => {}
        }
    }

    /// A text of which nothing is known: what is not certain must be all of it (`etcd.kubeflow:2379`), and no name of an object.
    fn whole(&mut self, key: &str, node: &Node, text: &mut String) {
        if text.contains(".svc") {
            self.text(node, text, false);
        } else if !is_name(key) && dns::whole(text).is_some_and(|host| self.moved.has_service(&host)) {
            self.text(node, text, true);
        }
    }

    /// `namespace` beside a name or a kind; in the metadata of a template, the template's own.
    fn reference(&mut self, key: &str, node: &Node, json: &mut Json) {
        let text = |key: &str| node.get(key).and_then(Node::as_str).filter(|text| !text.is_empty());
        let (Some(namespace), kind, name) = (text("namespace"), text("kind"), text("name")) else { return };
        let template = key == "metadata";
        let moves = match (template, kind, name) {
            (true, ..) => self.moved.is_left(namespace),
            (false, None, None) => return,
            (false, ..) => self.moved.takes(namespace, kind, name),
        };
        if moves {
            json["namespace"] = Json::from(self.moved.target);
        } else if !template {
            let what = [kind, name].into_iter().flatten().collect::<Vec<_>>().join("/");
            self.note(
                node.get("namespace"),
                format!("{what} in the namespace `{namespace}` is not the example's: the reference stays"),
            );
        }
    }

    /// Selectors of namespaces by their name.
    fn selector(&mut self, node: &Node, json: &mut Json) {
        if let Some(name) = json.pointer_mut("/matchLabels").and_then(|labels| labels.get_mut(NAME_LABEL)) {
            self.moved_name(name);
        }
        if node.get("key").and_then(Node::as_str) == Some(NAME_LABEL)
            && let Some(values) = json.get_mut("values").and_then(Json::as_array_mut)
        {
            for value in values {
                self.moved_name(value);
            }
        }
    }

    fn moved_name(&self, name: &mut Json) {
        if name.as_str().is_some_and(|name| self.moved.is_left(name)) {
            *name = Json::from(self.moved.target);
        }
    }

    /// DNS names of the example's own Services follow them, short ones too if it is `loose`; others stay, and are told.
    fn text(&mut self, node: &Node, text: &mut String, loose: bool) {
        let mut moved = text.clone();
        // From the right, so that the places of those before stay true.
        let is_meant = |host: &dns::Host<'_>| (loose || host.certain) && host.namespace != self.moved.target;
        let hosts: Vec<_> = dns::hosts(text).filter(is_meant).collect();
        for host in hosts.iter().rev() {
            let name = format!("{}.{}", host.service, host.namespace);
            if self.moved.takes_service(host) {
                moved.replace_range(host.range.clone(), self.moved.target);
                self.note(
                    Some(node),
                    format!("the Service `{name}` is the example's own: its namespace is rewritten to the attempt's"),
                );
            } else if host.certain && name != "kubernetes.default" {
                self.note(
                    Some(node),
                    format!("the Service `{name}` is outside of the attempt's namespace, and none of the example's"),
                );
            }
        }
        *text = moved;
    }

    fn note(&mut self, at: Option<&Node>, message: String) {
        let Some(at) = at else { return };
        let note = Note::new(message, self.source, at.span);
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// Whether the values of a key are names of objects (`name`, `secretName`, `key`), which may look like a short DNS name.
fn is_name(key: &str) -> bool {
    ["name", "generateName", "key"].contains(&key)
        || (key.ends_with("Name") && !["hostName", "serverName"].contains(&key))
}
