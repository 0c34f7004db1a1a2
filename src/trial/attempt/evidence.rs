//! What is kept of an attempt besides its logs: events, objects, and what was made of them.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::{Trial, Tried};
use crate::error::Result;
use crate::evidence::Folder;

/// The files of an attempt.
const VERDICT: &str = "verdict.json";
const EVENTS: &str = "events.json";
const RESOURCES: &str = "resources.json";
const NOTES: &str = "notes.txt";

impl Trial<'_, '_> {
    /// Writes what is known of the attempt. A file that can't be written changes no verdict.
    pub(super) fn keep(&self, tried: &Tried, watched: &[Arc<Json>]) {
        if let Err(error) = write(self.folder, tried, watched, self.samples.samples()) {
            tracing::warn!("evidence of {} is missing: {error}", self.cell.example.id);
        }
    }
}

fn write(folder: &Folder, tried: &Tried, watched: &[Arc<Json>], samples: Option<Json>) -> Result<()> {
    let verdict = json!({"outcome": tried.verdict.outcome, "cause": tried.verdict.cause, "checks": tried.checks,
        "phases": super::phases(&tried.phases)});
    folder.write_json(VERDICT, &verdict)?;
    let is_event = |object: &&Arc<Json>| text(object, "/kind") == "Event";
    let mut events: Vec<_> = watched.iter().filter(is_event).collect();
    if !events.is_empty() {
        events.sort_by_key(|event| when(event).to_owned());
        folder.write_json(EVENTS, &Json::Array(events.into_iter().map(|event| (**event).clone()).collect()))?;
    }
    let seen: HashSet<&str> = watched.iter().map(|object| text(object, "/metadata/uid")).collect();
    let unseen = tried.applied.iter().filter(|object| !seen.contains(text(object, "/metadata/uid")));
    let objects = watched.iter().filter(|object| !is_event(object) && !text(object, "/metadata/namespace").is_empty());
    for object in objects.chain(unseen) {
        let name = format!("objects/{}-{}.json", text(object, "/kind"), text(object, "/metadata/name"));
        folder.write_json(&name, object)?;
    }
    if let Some(samples) = samples {
        folder.write_json(RESOURCES, &samples)?;
    }
    if !tried.notes.is_empty() {
        folder.write(NOTES, (tried.notes.join("\n") + "\n").as_bytes())?;
    }
    Ok(())
}

/// When an event was last seen, in RFC 3339; what is sorted by it needs no more.
fn when(event: &Json) -> &str {
    let times = ["/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
    times.into_iter().map(|pointer| text(event, pointer)).find(|time| !time.is_empty()).unwrap_or_default()
}

fn text<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}
