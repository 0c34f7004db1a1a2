//! What follows the objects of an example into its namespace: references that name a namespace, and DNS names.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::{Note, dns, home};
use crate::catalog::Object;
use crate::diagnostic::Source;
use crate::yaml::Node;

/// Mappings whose keys are the user's own: nothing in them is a reference.
const OPAQUE: [&str; 7] = ["data", "stringData", "binaryData", "labels", "annotations", "nodeSelector", "properties"];
/// Keys whose lists name namespaces: of pod affinity, of Prometheus' monitors.
const LISTS: [&str; 2] = ["namespaces", "matchNames"];
/// Keys of containers (and of a TrainJob's trainer) whose texts may hold DNS names.
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
        for entry in object.root.entries().filter(|entry| !OPAQUE.contains(&&*entry.key)) {
            let Some(value) = json.get_mut(&*entry.key) else { continue };
            // The object's own namespace is set when it is applied.
            if &*entry.key != "metadata" {
                rewriting.walk(&entry.key, &entry.value, value);
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
                        Json::String(text) if TEXTS.contains(&key) => self.text(item, text),
                        Json::String(name) if LISTS.contains(&key) && self.moved.is_left(name) => {
                            self.moved.target.clone_into(name);
                        }
                        _ => self.walk(key, item, json),
                    }
                }
            }
            _ => {}
        }
    }

    fn mapping(&mut self, key: &str, node: &Node, json: &mut Json) {
        self.reference(key, node, json);
        self.selector(node, json);
        for entry in node.entries() {
            let Some(value) = json.get_mut(&*entry.key) else { continue };
            match value {
                Json::String(text) if key == "env" && &*entry.key == "value" => self.text(&entry.value, text),
                _ if OPAQUE.contains(&&*entry.key) => {}
                _ => self.walk(&entry.key, &entry.value, value),
            }
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

    /// DNS names of the example's own Services follow them; others stay, and are told.
    fn text(&mut self, node: &Node, text: &mut String) {
        let mut moved = text.clone();
        // From the right, so that the places of those before stay true.
        let hosts: Vec<_> = dns::hosts(text).filter(|host| host.namespace != self.moved.target).collect();
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
