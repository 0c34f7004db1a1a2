//! What earlier runs left behind, found by its labels.

use jiff::Timestamp;
use kube::api::ListParams;
use serde_json::Value as Json;

use super::{Doomed, Patience, Removed, doom, finish};
use crate::trial::apply::request::{Objects, text};
use crate::trial::apply::{Target, persist};
use crate::trial::isolate::{EXAMPLE, MANAGED_BY, NAMESPACE, RUN, label_value};

/// Something that a run left behind.
pub struct Leftover {
    doomed: Doomed,
    /// The run, as its label has it.
    pub run: String,
    /// The example that it was made for; empty if that is not known.
    pub example: String,
    /// When it was made.
    pub created: Option<Timestamp>,
}

impl Leftover {
    /// `Namespace/ev-a-...`.
    #[must_use]
    pub fn reference(&self) -> String {
        self.doomed.reference()
    }
}

/// Everything of ours on a cluster: namespaces, and objects of the whole cluster (CRDs are never ours to delete); of one run, or of all.
///
/// # Errors
/// The API server could not be asked.
pub async fn find(target: &Target, run: Option<&str>) -> Result<Vec<Leftover>, kube::Error> {
    let run = run.map(label_value);
    let kinds = persist(target.limits, || target.discovery.listable()).await?;
    let mut found = Vec::new();
    for served in kinds.into_iter().filter(|served| !served.namespaced) {
        if served.resource.kind == "CustomResourceDefinition" {
            continue;
        }
        let is_namespace = served.resource.group.is_empty() && served.resource.kind == "Namespace";
        let objects = Objects::new(&target.client, &served.resource, None);
        let items = match persist(target.limits, || of_run(&objects, run.as_deref())).await {
            Ok(items) => items,
            Err(error) if is_namespace => return Err(error),
            // An identity that may not list a kind has made none of it.
            Err(error) => {
                tracing::debug!("{} can't be listed: {error}", served.resource.plural);
                continue;
            }
        };
        let ours = items.into_iter().filter(|item| is_ours(item, is_namespace));
        found.extend(ours.map(|item| leftover(objects.clone(), &served.resource.kind, &item)));
    }
    // Namespaces first: what belongs to the whole cluster may be held by what is in them.
    found.sort_by_key(|leftover| (leftover.doomed.kind != "Namespace", leftover.reference()));
    Ok(found)
}

/// The objects of a kind that carry a run's label, or any.
pub(super) async fn of_run(objects: &Objects, run: Option<&str>) -> Result<Vec<Json>, kube::Error> {
    let selector = run.map_or_else(|| RUN.to_owned(), |run| format!("{RUN}={run}"));
    objects.list(&ListParams::default().labels(&selector)).await
}

/// A label can be copied by controllers; the annotation says for which attempt a thing was made.
fn is_ours(item: &Json, is_namespace: bool) -> bool {
    let annotation = item["metadata"]["annotations"].get(NAMESPACE).and_then(Json::as_str);
    match annotation {
        Some(namespace) if is_namespace => {
            namespace == text(item, "/metadata/name")
                && item["metadata"]["labels"].get(MANAGED_BY).and_then(Json::as_str) == Some("example-validator")
        }
        Some(_) => true,
        None => false,
    }
}

fn leftover(objects: Objects, kind: &str, item: &Json) -> Leftover {
    let metadata = &item["metadata"];
    let of = |field: &str, key: &str| metadata[field].get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    Leftover {
        doomed: doom(objects, kind, item),
        run: of("labels", RUN),
        example: of("annotations", EXAMPLE),
        created: text(item, "/metadata/creationTimestamp").parse().ok(),
    }
}

/// Deletes what was found, all at once, and waits until it is gone.
pub async fn remove(target: &Target, leftovers: Vec<Leftover>, patience: Patience) -> Removed {
    let mut removed = Removed::default();
    finish(target, leftovers.into_iter().map(|leftover| leftover.doomed).collect(), patience, &mut removed).await;
    removed
}
