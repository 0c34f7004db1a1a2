//! Who owns whom: from a pod up to the judged object, by `ownerReferences`, whatever order the objects are seen in.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value as Json;

use super::read::{group, identity, key, list, text};

/// No chain of owners is longer; a cycle ends here.
const DEEPEST: usize = 16;

/// The kinds of built-in objects that built-in kinds own: where a chain is broken (the kind between is not watched), a name
/// alone links only these.
const CHILDREN: [(&str, &str); 3] = [("Deployment", "ReplicaSet"), ("CronJob", "Job"), ("ReplicaSet", "Pod")];
const BUILT_IN: [&str; 8] =
    ["Pod", "Job", "CronJob", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController"];

/// An object as an owner reference, or an event, names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub uid: String,
    pub api_version: String,
    pub kind: String,
    pub name: String,
}

impl Named {
    /// An object, as a reference would name it.
    pub fn of(object: &Json) -> Self {
        Self {
            uid: identity(object),
            api_version: key(object, "apiVersion").to_owned(),
            kind: key(object, "kind").to_owned(),
            name: text(object, "/metadata/name").to_owned(),
        }
    }

    /// Reads an owner reference, or the reference of an event.
    pub fn read(reference: &Json) -> Self {
        let field = |name: &str| key(reference, name).to_owned();
        Self { uid: field("uid"), api_version: field("apiVersion"), kind: field("kind"), name: field("name") }
    }
}

/// A judged object, as far as ownership is concerned.
#[derive(Clone, Debug, Default)]
pub struct Target {
    pub uid: String,
    pub group: String,
    pub kind: String,
    pub name: String,
}

impl Target {
    /// Whether a reference means this object. A uid decides where both have one.
    fn is(&self, named: &Named) -> bool {
        let same_name = self.kind == named.kind
            && self.name == named.name
            && (named.api_version.is_empty() || group(&named.api_version) == self.group);
        same_name && (self.uid.is_empty() || named.uid.is_empty() || self.uid == named.uid)
    }

    /// Whether an object whose owners are unknown can be one of this object's by its name.
    fn may_own(&self, named: &Named) -> bool {
        let prefixed = named.name.strip_prefix(&self.name).is_some_and(|rest| rest.starts_with('-'));
        prefixed && (!BUILT_IN.contains(&self.kind.as_str()) || CHILDREN.contains(&(&self.kind, &named.kind)))
    }
}

/// The owners of all objects seen.
#[derive(Debug, Default)]
pub struct Ownership {
    owners: HashMap<String, (Named, Vec<Named>)>,
    referenced: BTreeSet<(String, String)>,
}

impl Ownership {
    /// Takes note of an object; says whether it is the first time.
    pub fn note(&mut self, object: &Json) -> bool {
        let references = list(object, "/metadata/ownerReferences");
        let controller = |owner: &&Json| owner.get("controller").and_then(Json::as_bool) == Some(true);
        // The controller goes first: a pod may have other owners besides.
        let (first, rest): (Vec<_>, Vec<_>) = references.iter().partition(controller);
        let owners: Vec<_> = first.into_iter().chain(rest).map(Named::read).collect();
        for owner in owners.iter().filter(|owner| !owner.kind.is_empty() && owner.kind != "Node") {
            self.referenced.insert((owner.api_version.clone(), owner.kind.clone()));
        }
        let named = Named::of(object);
        self.owners.insert(named.uid.clone(), (named, owners)).is_none()
    }

    /// The first owner of an object that was seen.
    pub fn owner(&self, identity: &str) -> Option<&Named> {
        self.owners.get(identity).and_then(|(_, owners)| owners.first())
    }

    /// An object that was seen, as a reference would name it.
    pub fn named(&self, identity: &str) -> Option<&Named> {
        self.owners.get(identity).map(|(named, _)| named)
    }

    /// The kinds that were named as owners, as (`apiVersion`, kind).
    pub fn referenced(&self) -> &BTreeSet<(String, String)> {
        &self.referenced
    }

    /// Which of the judged objects `named` is, or is owned by.
    pub fn judged(&self, named: &Named, targets: &[Target]) -> Option<usize> {
        self.climb(named, targets, 0)
    }

    fn climb(&self, named: &Named, targets: &[Target], depth: usize) -> Option<usize> {
        if let Some(index) = targets.iter().position(|target| target.is(named)) {
            return Some(index);
        }
        match self.owners.get(&named.uid) {
            Some((_, owners)) if depth < DEEPEST => {
                owners.iter().find_map(|owner| self.climb(owner, targets, depth + 1))
            }
            Some(_) => None,
            // Nobody saw it: its name is all there is. The longest name that fits is meant.
            None => {
                let fits = targets.iter().enumerate().filter(|(_, target)| target.may_own(named));
                fits.max_by_key(|(_, target)| target.name.len()).map(|(index, _)| index)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(kind: &str, name: &str, owner: Option<(&str, &str)>) -> Json {
        let owners: Vec<_> = owner
            .map(|(kind, name)| json!({"apiVersion": "x/v1", "kind": kind, "name": name, "uid": format!("{kind}-{name}")}))
            .into_iter()
            .collect();
        json!({"apiVersion": "x/v1", "kind": kind,
            "metadata": {"name": name, "uid": format!("{kind}-{name}"), "ownerReferences": owners}})
    }

    fn named(kind: &str, name: &str) -> Named {
        Named { uid: format!("{kind}-{name}"), api_version: "x/v1".into(), kind: kind.into(), name: name.into() }
    }

    fn target(kind: &str, name: &str) -> Target {
        Target { uid: String::new(), group: "x".into(), kind: kind.into(), name: name.into() }
    }

    #[test]
    fn a_pod_belongs_to_what_its_owners_belong_to_in_any_order() {
        let mut ownership = Ownership::default();
        let targets = [target("TrainJob", "a"), target("TrainJob", "b")];
        ownership.note(&object("Pod", "b-node-0-x", Some(("Job", "b-node-0"))));
        let pod = named("Pod", "b-node-0-x");
        assert_eq!(ownership.judged(&pod, &targets), Some(1), "by its owner's name, while nothing else is known");
        ownership.note(&object("Job", "b-node-0", Some(("JobSet", "b"))));
        ownership.note(&object("JobSet", "b", Some(("TrainJob", "b"))));
        assert_eq!(ownership.judged(&pod, &targets), Some(1));
        assert!(ownership.referenced().contains(&("x/v1".to_owned(), "JobSet".to_owned())));
    }

    #[test]
    fn what_something_else_owns_is_not_judged_whatever_its_name() {
        let mut ownership = Ownership::default();
        let targets = [target("Job", "etcd"), target("PyTorchJob", "train")];
        ownership.note(&object("Deployment", "train-etcd", None));
        ownership.note(&object("ReplicaSet", "train-etcd-1", Some(("Deployment", "train-etcd"))));
        ownership.note(&object("Pod", "train-etcd-1-x", Some(("ReplicaSet", "train-etcd-1"))));
        assert_eq!(ownership.judged(&named("Pod", "train-etcd-1-x"), &targets), None);
        assert_eq!(ownership.judged(&named("ReplicaSet", "etcd-5d9"), &targets), None, "a Job owns no ReplicaSet");
    }

    #[test]
    fn owners_in_a_circle_end() {
        let mut ownership = Ownership::default();
        ownership.note(&object("A", "a", Some(("B", "b"))));
        ownership.note(&object("B", "b", Some(("A", "a"))));
        assert_eq!(ownership.judged(&named("A", "a"), &[target("C", "c")]), None);
    }
}
