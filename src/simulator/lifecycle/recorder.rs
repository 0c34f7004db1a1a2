//! `Event` objects: the same thing told again raises a count (`client-go/tools/record/events_cache.go`).

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use super::action::Happening;
use super::object::{now, number, text};
use crate::simulator::store::{Key, Store};

/// What makes two happenings the same.
type Sameness = (String, String, bool, String, String, &'static str);

/// Writes down what happens.
#[derive(Debug, Default)]
pub struct Recorder {
    known: HashMap<Sameness, Key>,
    by_key: HashMap<Key, Sameness>,
}

impl Recorder {
    /// Tells of something.
    pub fn tell(&mut self, store: &Store, happening: Happening) {
        let about = &happening.about;
        let sameness = (
            text(about, "/uid").to_owned(),
            text(about, "/fieldPath").to_owned(),
            happening.warning,
            happening.reason.clone(),
            happening.message.clone(),
            happening.by,
        );
        if let Some(key) = self.known.get(&sameness) {
            let told = store.update(key, |event| {
                event["count"] = (number(event, "/count").unwrap_or(1) + 1).into();
                event["lastTimestamp"] = now().into();
            });
            if told.is_ok() {
                return;
            }
        }
        // In a namespace that is going nothing more is told.
        let Ok(event) = store.create(event(store, happening)) else { return };
        if let Some(key) = store.key_of(&event) {
            self.by_key.insert(key.clone(), sameness.clone());
            self.known.insert(sameness, key);
        }
    }

    /// Forgets an event that is gone.
    pub fn forget(&mut self, key: &Key) {
        if let Some(sameness) = self.by_key.remove(key) {
            self.known.remove(&sameness);
        }
    }
}

fn event(store: &Store, happening: Happening) -> Json {
    let Happening { about, warning, reason, message, by, host } = happening;
    let namespace = match text(&about, "/namespace") {
        "" => "default",
        namespace => namespace,
    };
    let mut source = json!({"component": by});
    if !host.is_empty() {
        source["host"] = host.clone().into();
    }
    let name = format!("{}.{}", text(&about, "/name"), store.suffix(16));
    json!({"kind": "Event", "apiVersion": "v1", "metadata": {"name": name, "namespace": namespace},
        "involvedObject": about, "reason": reason, "message": message, "source": source,
        "firstTimestamp": now(), "lastTimestamp": now(), "count": 1,
        "type": if warning { "Warning" } else { "Normal" }, "eventTime": null,
        "reportingComponent": by, "reportingInstance": host})
}
