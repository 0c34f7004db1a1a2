//! The four kinds of patches.

pub mod apply;
mod fields;
mod lists;
mod strategic;
mod twins;

pub use lists::Shape;
pub use twins::twins;

use serde_json::Value as Json;

use super::request::{json, unsupported};
use crate::simulator::store::Status;

/// A patch that changes what is there.
#[derive(Clone, Debug)]
pub enum Patch {
    /// RFC 6902.
    Json(json_patch::Patch),
    /// RFC 7386.
    Merge(Json),
    /// Kubernetes' own.
    Strategic(Json),
}

/// The media type of server-side apply.
pub const APPLY: &str = "application/apply-patch+yaml";

impl Patch {
    /// Reads a patch of a media type; strategic ones exist for built-in kinds alone.
    ///
    /// # Errors
    /// 415 for another media type, 400 for what can't be read.
    pub fn read(content_type: &str, body: &[u8], is_custom: bool) -> Result<Self, Status> {
        let accepted = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
        match content_type {
            "application/json-patch+json" => {
                serde_json::from_slice(body).map(Self::Json).map_err(|error| Status::bad_request(error.to_string()))
            }
            "application/merge-patch+json" => Ok(Self::Merge(json(body)?)),
            "application/strategic-merge-patch+json" if !is_custom => Ok(Self::Strategic(json(body)?)),
            other => Err(unsupported(other, accepted)),
        }
    }

    /// Changes an object.
    ///
    /// # Errors
    /// 422 if it does not fit the object.
    pub fn apply_to(&self, object: &mut Json) -> Result<(), Status> {
        match self {
            Self::Json(patch) => json_patch::patch(object, patch).map_err(|error| {
                Status::new(
                    422,
                    "Invalid",
                    format!("the server rejected our request due to an error in our request: {error}"),
                )
            })?,
            Self::Merge(patch) => json_patch::merge(object, patch),
            Self::Strategic(patch) => strategic::patch(object, patch),
        }
        if object.is_object() { Ok(()) } else { Err(Status::bad_request("the patch leaves no object")) }
    }

    /// The version that the patch wants the object to have; empty if it names none.
    pub fn resource_version(&self) -> &str {
        match self {
            Self::Json(_) => "",
            Self::Merge(patch) | Self::Strategic(patch) => {
                crate::simulator::store::text(patch, "/metadata/resourceVersion")
            }
        }
    }
}
