//! What is on a cluster that is not this run's own: nothing of it is changed that we have not put there.

use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value as Json;

use super::super::installed::Reference;
use super::apply::blame;
use super::load::Item;
use super::not_ours;
use crate::cluster::discovery::Lookup;
use crate::model::Cause;
use crate::trial::apply::answer::is_gone;
use crate::trial::apply::request::{Objects, text};
use crate::trial::apply::{FIELD_MANAGER, Target, of_object};
use crate::trial::isolate::is_definition;

/// How many objects are read at once.
const AT_ONCE: usize = 8;
/// The annotation of what was put onto a cluster of others.
const MARK: &str = "example-validator.dev/installed-by";
/// What the API server and operators fill in where a CRD does not say it.
const FILLED_IN: [&str; 5] = ["conversion", "listKind", "singular", "caBundle", "port"];

/// Whose an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// Nobody's (it is not there), or ours.
    Us,
    /// A definition that is not ours, but just what is wanted.
    Alike,
}

/// Looks at all objects of a step before the first is applied. Definitions that are there just so stay as they are.
///
/// # Errors
/// The first object that is there and is not ours, or what can't be read.
pub(super) async fn claim(target: &Target, items: &mut [Item]) -> Result<(), Box<Cause>> {
    let looks = stream::iter(items.iter()).map(|item| owner(target, item)).buffered(AT_ONCE);
    let owners: Vec<_> = looks.try_collect().await?;
    for (item, owner) in items.iter_mut().zip(owners) {
        item.stays = owner == Owner::Alike;
        mark(&mut item.json);
    }
    Ok(())
}

/// Gives an object a field of ours: of one that has only a name (a Namespace, a Secret to be filled) there would be none to know it by.
fn mark(object: &mut Json) {
    let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) else { return };
    let annotations = metadata.entry("annotations").or_insert(Json::Null);
    if annotations.is_null() {
        *annotations = Json::Object(serde_json::Map::new());
    }
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(MARK.to_owned(), FIELD_MANAGER.into());
    }
}

async fn owner(target: &Target, item: &Item) -> Result<Owner, Box<Cause>> {
    let object = &item.object;
    let unreadable = |error: &kube::Error| Box::new(blame(&of_object(&item.placed(), error), ""));
    let served = match target.discovery.find(&object.api_version, &object.kind).await {
        Ok(Lookup::Found(served)) => served,
        // Of a kind that is not served there is no object.
        Ok(Lookup::Absent { .. }) => return Ok(Owner::Us),
        Err(error) => return Err(unreadable(&error)),
    };
    let (body, namespace) = item.body(served.namespaced);
    let name = text(&body, "/metadata/name");
    if name.is_empty() {
        return Ok(Owner::Us);
    }
    let objects = Objects::new(&target.client, &served.resource, namespace.as_deref());
    let found = match objects.get(name).await {
        Ok(found) => found,
        Err(error) if is_gone(&error) => return Ok(Owner::Us),
        Err(error) => return Err(unreadable(&error)),
    };
    if is_ours(&found) {
        return Ok(Owner::Us);
    }
    if is_definition(object) && is_alike(&body["spec"], &found["spec"]) {
        return Ok(Owner::Alike);
    }
    let reference = Reference::in_manifest(object, namespace.as_deref());
    Err(Box::new(not_ours(&reference.to_string(), reference.short())))
}

/// Whether fields of an object were set by this program.
fn is_ours(object: &Json) -> bool {
    let mut managers = object.pointer("/metadata/managedFields").and_then(Json::as_array).into_iter().flatten();
    managers.any(|entry| text(entry, "/manager") == FIELD_MANAGER)
}

/// Whether a definition that is there is the one that is wanted, but for what is filled in and what says nothing.
fn is_alike(wanted: &Json, found: &Json) -> bool {
    match (wanted, found) {
        (Json::Object(wanted), Json::Object(found)) => {
            let of = |known: &serde_json::Map<String, Json>, key: &str| known.get(key).cloned().unwrap_or_default();
            wanted.keys().chain(found.keys()).all(|key| {
                let (wanted, found) = (of(wanted, key), of(found, key));
                let is_filled_in = FILLED_IN.contains(&key.as_str()) && (says_nothing(&wanted) || key == "caBundle");
                is_filled_in || is_alike(&wanted, &found)
            })
        }
        (Json::Array(wanted), Json::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(wanted, found)| is_alike(wanted, found))
        }
        _ => wanted == found || (says_nothing(wanted) && says_nothing(found)),
    }
}

/// Whether a field might as well not be set.
fn says_nothing(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Bool(value) => !value,
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_definition_is_alike_but_for_what_is_filled_in() {
        let wanted = json!({"names": {"kind": "A"}, "preserveUnknownFields": false, "versions": [{"name": "v1"}]});
        let mut found = json!({"names": {"kind": "A", "listKind": "AList", "singular": "a"},
            "conversion": {"strategy": "None"}, "versions": [{"name": "v1"}]});
        assert!(is_alike(&wanted, &found));
        found["versions"][0]["served"] = json!(true);
        assert!(!is_alike(&wanted, &found));
    }

    #[test]
    fn an_object_is_ours_by_its_field_manager() {
        let by = |manager: &str| json!({"metadata": {"managedFields": [{"manager": manager}]}});
        assert!(is_ours(&by("example-validator")) && !is_ours(&by("kubectl")) && !is_ours(&json!({})));
    }
}
