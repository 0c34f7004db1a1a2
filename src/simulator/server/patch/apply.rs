//! Server-side apply: what a manager wants is merged into what is there, and each field has its owners.
//!
//! Source: `sigs.k8s.io/structured-merge-diff/v6/merge` (`Updater.Apply`, `Updater.Update`).

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::fields::Fields;
use super::lists::{Merge, Shape};
use crate::simulator::store::{Status, StatusCause, metadata, now};

/// Who applies, and how.
#[derive(Clone, Copy, Debug)]
pub struct Applier<'a> {
    /// The manager.
    pub manager: &'a str,
    /// Whether fields of other managers are taken over.
    pub force: bool,
    /// The version in which fields are told.
    pub api_version: &'a str,
    /// What is known of the kind.
    pub shape: Shape<'a>,
}

/// One entry of `managedFields`.
#[derive(Clone, Debug)]
struct Managed {
    manager: String,
    operation: String,
    subresource: String,
    fields: Fields,
    entry: Json,
}

/// Fields that nobody owns: what the object is called, and what the server fills in.
const UNOWNED: [&[&str]; 11] = [
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "uid"],
    &["metadata", "resourceVersion"],
    &["metadata", "generation"],
    &["metadata", "creationTimestamp"],
    &["metadata", "deletionTimestamp"],
    &["metadata", "managedFields"],
    &["metadata", "selfLink"],
];

fn owned(object: &Json, shape: Shape<'_>) -> Fields {
    let mut fields = Fields::of(object, shape);
    for path in UNOWNED {
        fields.drop_path(path);
    }
    // Without any field of its own it is the set that has nothing, not the set that has the root.
    Fields { own: false, ..fields }
}

fn managers(object: &Json) -> Vec<Managed> {
    let text = |entry: &Json, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let entries = object.pointer("/metadata/managedFields").and_then(Json::as_array);
    let read = |entry: &Json| Managed {
        manager: text(entry, "manager"),
        operation: text(entry, "operation"),
        subresource: text(entry, "subresource"),
        fields: Fields::from_json(&entry["fieldsV1"]),
        entry: entry.clone(),
    };
    entries.into_iter().flatten().map(read).collect()
}

/// Writes the managers back; an entry keeps its time unless its fields have changed.
fn set_managers(object: &mut Json, managers: Vec<Managed>, api_version: &str) {
    let entries: Vec<_> = managers
        .into_iter()
        .filter(|managed| !managed.fields.is_empty())
        .map(|managed| {
            let fields = managed.fields.to_json();
            if managed.entry["fieldsV1"] == fields {
                return managed.entry;
            }
            let mut entry = json!({
                "manager": managed.manager, "operation": managed.operation, "apiVersion": api_version,
                "time": now(), "fieldsType": "FieldsV1", "fieldsV1": fields,
            });
            if !managed.subresource.is_empty() {
                entry["subresource"] = managed.subresource.into();
            }
            entry
        })
        .collect();
    metadata(object).insert("managedFields".to_owned(), entries.into());
}

/// The entry of one manager and operation, made if there is none.
fn entry<'m>(managers: &'m mut Vec<Managed>, manager: &str, operation: &str) -> &'m mut Managed {
    let found = managers
        .iter()
        .position(|known| known.manager == manager && known.operation == operation && known.subresource.is_empty());
    let index = found.unwrap_or_else(|| {
        managers.push(Managed {
            manager: manager.to_owned(),
            operation: operation.to_owned(),
            subresource: String::new(),
            fields: Fields::default(),
            entry: Json::Null,
        });
        managers.len() - 1
    });
    &mut managers[index]
}

/// Applies what a manager wants to an object that is there.
///
/// # Errors
/// 409 with every field that another manager owns and would lose.
pub fn apply(live: &mut Json, wish: &Json, applier: Applier<'_>) -> Result<(), Status> {
    let shape = applier.shape;
    let wanted = owned(wish, shape);
    let mut merged = live.clone();
    merge(&mut merged, wish, shape, "");
    let changed = changed(live, &merged, shape, "");
    let mut managers = managers(live);
    let own = |managed: &Managed| {
        managed.manager == applier.manager && managed.operation == "Apply" && managed.subresource.is_empty()
    };
    check_conflicts(&mut managers, &changed, applier, own)?;
    let others = managers
        .iter()
        .filter(|managed| !own(managed))
        .fold(Fields::default(), |all, managed| all.and(&managed.fields));
    let mine = entry(&mut managers, applier.manager, "Apply");
    let given_up = mine.fields.without(&wanted).without(&others);
    mine.fields = wanted;
    remove(&mut merged, &given_up, shape, "");
    *live = merged;
    set_managers(live, managers, applier.api_version);
    Ok(())
}

/// Makes a new object of what a manager applies.
pub fn begin(wish: &Json, applier: Applier<'_>) -> Json {
    let mut object = wish.clone();
    let mut managers = Vec::new();
    entry(&mut managers, applier.manager, "Apply").fields = owned(wish, applier.shape);
    set_managers(&mut object, managers, applier.api_version);
    object
}

/// Takes fields over from others if that is wanted, else tells who owns them.
fn check_conflicts(
    managers: &mut [Managed],
    changed: &Fields,
    applier: Applier<'_>,
    own: impl Fn(&Managed) -> bool,
) -> Result<(), Status> {
    let mut causes = Vec::new();
    for managed in managers.iter_mut().filter(|managed| !own(managed)) {
        let lost = managed.fields.shared(changed);
        if applier.force {
            managed.fields = managed.fields.without(&lost);
            continue;
        }
        let using = match managed.operation.as_str() {
            "Apply" => String::new(),
            _ => format!(" using {}", managed.entry["apiVersion"].as_str().unwrap_or(applier.api_version)),
        };
        causes.extend(lost.paths().into_iter().map(|field| StatusCause {
            reason: "FieldManagerConflict",
            message: format!("conflict with \"{}\"{using}", managed.manager),
            field,
        }));
    }
    if causes.is_empty() { Ok(()) } else { Err(conflict(&causes)) }
}

fn conflict(causes: &[StatusCause]) -> Status {
    let list = match causes {
        [one] => format!("conflict: {}: {}", one.message, one.field),
        several => {
            let mut text = "conflicts: ".to_owned();
            let mut last = "";
            for (index, cause) in several.iter().enumerate() {
                if cause.message != last {
                    text.push_str(if index > 0 { "\n" } else { "" });
                    text.push_str(&format!("{}:", cause.message.replace("conflict with", "conflicts with")));
                    last = &cause.message;
                }
                text.push_str(&format!("\n- {}", cause.field));
            }
            text
        }
    };
    let message = format!("Apply failed with {} {list}", causes.len());
    Status::new(409, "Conflict", message).with_causes(causes)
}

/// Puts what is applied over what is there.
fn merge(live: &mut Json, applied: &Json, shape: Shape<'_>, name: &str) {
    match (live, applied) {
        (Json::Object(live), Json::Object(applied)) if !shape.is_atomic_map(name) => {
            for (key, value) in applied {
                match live.get_mut(key) {
                    Some(slot) => merge(slot, value, shape.field(key), key),
                    None => {
                        live.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (Json::Array(live), Json::Array(applied)) => match shape.merge(name, applied) {
            Merge::Atomic => live.clone_from(applied),
            Merge::Set => live.extend(applied.iter().filter(|item| !live.contains(item)).cloned().collect::<Vec<_>>()),
            Merge::Keys(keys) => {
                let item_shape = shape.item();
                for item in applied {
                    let identity = item_shape.identity(item, &keys);
                    match live.iter_mut().find(|known| item_shape.identity(known, &keys) == identity) {
                        Some(slot) => merge(slot, item, item_shape, ""),
                        None => live.push(item.clone()),
                    }
                }
            }
        },
        (live, applied) => *live = applied.clone(),
    }
}

/// The fields in which two states of an object differ: changed, new, or gone.
fn changed(old: &Json, new: &Json, shape: Shape<'_>, name: &str) -> Fields {
    let mut found = Fields::default();
    match (old, new) {
        _ if old == new => {}
        (Json::Object(old), Json::Object(new)) if !shape.is_atomic_map(name) => {
            for key in old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))) {
                let below = differing(old.get(key), new.get(key), shape.field(key), key);
                if !below.is_empty() {
                    found.below.insert(format!("f:{key}"), below);
                }
            }
        }
        (Json::Array(old), Json::Array(new)) => return changed_list(old, new, shape, name),
        _ => found.own = true,
    }
    found
}

fn differing(old: Option<&Json>, new: Option<&Json>, shape: Shape<'_>, name: &str) -> Fields {
    match (old, new) {
        (Some(old), Some(new)) => changed(old, new, shape, name),
        (None, Some(one)) | (Some(one), None) => Fields::of_field(one, shape, name),
        (None, None) => Fields::default(),
    }
}

fn changed_list(old: &[Json], new: &[Json], shape: Shape<'_>, name: &str) -> Fields {
    let mut found = Fields::default();
    match shape.merge(name, if new.is_empty() { old } else { new }) {
        Merge::Atomic => found.own = true,
        Merge::Set => {
            let lonely = |one: &[Json], other: &[Json]| {
                one.iter().filter(|item| !other.contains(item)).cloned().collect::<Vec<_>>()
            };
            for item in lonely(old, new).into_iter().chain(lonely(new, old)) {
                found.below.insert(format!("v:{item}"), Fields { own: true, ..Fields::default() });
            }
        }
        Merge::Keys(keys) => {
            let item_shape = shape.item();
            let named = |items: &[Json]| -> BTreeMap<String, Json> {
                items.iter().map(|item| (item_shape.identity(item, &keys), item.clone())).collect()
            };
            let (old, new) = (named(old), named(new));
            for identity in old.keys().chain(new.keys().filter(|identity| !old.contains_key(*identity))) {
                let (before, after) = (old.get(identity), new.get(identity));
                let mut below = differing(before, after, item_shape, "");
                below.own |= before.is_none() || after.is_none();
                if !below.is_empty() {
                    found.below.insert(format!("k:{identity}"), below);
                }
            }
        }
    }
    found
}

/// Takes away the fields of a set; a map or list that has lost everything goes too.
fn remove(value: &mut Json, fields: &Fields, shape: Shape<'_>, name: &str) {
    match value {
        Json::Object(map) => {
            for (segment, below) in &fields.below {
                let Some(key) = segment.strip_prefix("f:") else { continue };
                let Some(slot) = map.get_mut(key) else { continue };
                let was_filled = !is_hollow(slot);
                remove(slot, below, shape.field(key), key);
                if (below.own && below.below.is_empty()) || (was_filled && is_hollow(slot)) {
                    map.shift_remove(key);
                }
            }
        }
        Json::Array(items) => match shape.merge(name, items) {
            Merge::Keys(keys) => {
                let item_shape = shape.item();
                let of = |item: &Json| fields.below.get(&format!("k:{}", item_shape.identity(item, &keys)));
                items.retain(|item| of(item).is_none_or(|below| !below.own));
                for item in items.iter_mut() {
                    if let Some(below) = of(item) {
                        remove(item, below, item_shape, "");
                    }
                }
            }
            Merge::Set => items.retain(|item| !fields.below.contains_key(&format!("v:{item}"))),
            Merge::Atomic => {}
        },
        _ => {}
    }
}

fn is_hollow(value: &Json) -> bool {
    match value {
        Json::Object(map) => map.is_empty(),
        Json::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Notes who changed an object by any other means than apply: what differs is the manager's own from now on.
pub fn track(old: &Json, new: &mut Json, manager: &str, api_version: &str, shape: Shape<'_>) {
    let mut changed = changed(old, new, shape, "");
    for path in UNOWNED {
        changed.drop_path(path);
    }
    changed.drop_path(&["status"]);
    if changed.is_empty() {
        return;
    }
    let present = owned(new, shape);
    let gained = changed.shared(&present);
    let mut managers = managers(old);
    for managed in &mut managers {
        managed.fields = managed.fields.without(&changed);
    }
    let mine = entry(&mut managers, manager, "Update");
    mine.fields = std::mem::take(&mut mine.fields).and(&gained);
    set_managers(new, managers, api_version);
}

#[cfg(test)]
mod tests;
