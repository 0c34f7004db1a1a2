//! Kinds that CustomResourceDefinitions bring.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::object::{child, now, text};
use super::{Key, Kind, State};

/// Whether the kind is that of CustomResourceDefinitions.
pub(super) fn is_definition(kind: &Kind) -> bool {
    kind.is("apiextensions.k8s.io", "CustomResourceDefinition")
}

/// The kind that a definition describes; `None` if it describes none that can be served.
fn described(definition: &Json) -> Option<Kind> {
    let spec = |pointer: &str| text(definition, &format!("/spec{pointer}")).to_owned();
    let words = |pointer| {
        let list = definition.pointer(pointer).and_then(Json::as_array);
        list.into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
    };
    let versions = definition.pointer("/spec/versions")?.as_array()?;
    let is = |version: &Json, key| version.get(key).and_then(Json::as_bool).unwrap_or(false);
    let storage = versions.iter().find(|version| is(version, "storage"))?;
    let served: Vec<_> = versions.iter().filter(|version| is(version, "served")).collect();
    let has = |name| served.iter().any(|version| version.pointer(&format!("/subresources/{name}")).is_some());
    let kind = Kind {
        group: spec("/group"),
        version: text(storage, "/name").to_owned(),
        served: served.iter().map(|version| text(version, "/name").to_owned()).collect(),
        kind: spec("/names/kind"),
        plural: spec("/names/plural"),
        singular: Some(spec("/names/singular"))
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| spec("/names/kind").to_lowercase()),
        namespaced: spec("/scope") == "Namespaced",
        short_names: words("/spec/names/shortNames"),
        categories: words("/spec/names/categories"),
        status: has("status"),
        scale: has("scale"),
        generation: true,
        custom: true,
    };
    let is_whole = ![&kind.group, &kind.kind, &kind.plural, &kind.version].iter().any(|part| part.is_empty());
    is_whole.then_some(kind)
}

/// Fills in the status that a definition has once its kind is served.
pub(super) fn establish(definition: &mut Json) {
    let Some(kind) = described(definition) else { return };
    let list_kind = Some(text(definition, "/spec/names/listKind").to_owned()).filter(|name| !name.is_empty());
    let list_kind = list_kind.unwrap_or_else(|| format!("{}List", kind.kind));
    let mut names = json!({"plural": kind.plural, "singular": kind.singular, "kind": kind.kind, "listKind": list_kind});
    for (key, words) in [("shortNames", &kind.short_names), ("categories", &kind.categories)] {
        if !words.is_empty() {
            names[key] = words.clone().into();
        }
    }
    if definition.pointer("/status/conditions").is_none() {
        let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now(), "reason": reason, "message": message});
        definition["status"]["conditions"] = json!([
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ]);
    }
    if let Some(slot) = definition.pointer_mut("/spec/names").and_then(Json::as_object_mut) {
        slot.entry("singular").or_insert_with(|| kind.singular.clone().into());
        slot.entry("listKind").or_insert_with(|| list_kind.into());
    }
    child(definition, "spec").entry("conversion").or_insert_with(|| json!({"strategy": "None"}));
    let status = child(definition, "status");
    status.insert("acceptedNames".to_owned(), names);
    status.insert("storedVersions".to_owned(), json!([kind.version]));
}

impl State {
    /// Serves the kind that a definition describes.
    pub(super) fn serve(&mut self, definition: &Json) {
        if let Some(kind) = described(definition) {
            self.kinds.add(kind);
        }
    }

    /// Serves the kind of a definition that is gone no longer; its objects go with it.
    pub(super) fn withdraw(&mut self, definition: &Json) {
        let Some(kind) = described(definition).and_then(|kind| self.kinds.remove(&kind.group, &kind.plural)) else {
            return;
        };
        let objects = self.resource(&kind.group, &kind.plural).map(|resource| resource.list(None)).unwrap_or_default();
        for stored in objects {
            let object = Json::clone(stored.object());
            let key = Key::of(&kind, &object);
            self.remove(&Arc::clone(&kind), &key, object);
        }
    }
}
