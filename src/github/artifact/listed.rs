//! What a listing says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::ArtifactError;
use crate::github::results::{BackendIds, number, text};

/// An artifact of this run, of whichever of its jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Whose it is: by these it is fetched and deleted.
    pub ids: BackendIds,
    pub name: String,
    /// Its id at the REST API.
    pub id: u64,
    /// Its zip's size in bytes.
    pub size: u64,
    /// Its zip's digest, `sha256:` and hexadecimal digits, if the service knows it.
    pub digest: Option<String>,
    /// When it was begun.
    pub created_at: Option<Timestamp>,
}

/// Of each name the newest artifact, in the order of the names.
pub(super) fn newest(answer: &Json) -> Result<Vec<Listed>, ArtifactError> {
    let mut newest: BTreeMap<String, Listed> = BTreeMap::new();
    for artifact in answer["artifacts"].as_array().into_iter().flatten() {
        let found = read(artifact).ok_or(ArtifactError::Answer { method: "ListArtifacts", what: "ids and names" })?;
        if newest.get(&found.name).is_none_or(|known| known.id < found.id) {
            newest.insert(found.name.clone(), found);
        }
    }
    Ok(newest.into_values().collect())
}

fn read(artifact: &Json) -> Option<Listed> {
    let field = |name| text(&artifact[name]).map(str::to_owned);
    Some(Listed {
        ids: BackendIds { run: field("workflow_run_backend_id")?, job: field("workflow_job_run_backend_id")? },
        name: field("name")?,
        id: number(&artifact["database_id"])?,
        size: number(&artifact["size"])?,
        digest: field("digest"),
        created_at: field("created_at").and_then(|time| time.parse().ok()),
    })
}
