//! Reading: one object, or a list in pages.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use k8s_openapi::ByteString;
use serde_json::{Value as Json, json};

use super::request::{Request, Target};
use super::{Server, answer};
use crate::simulator::store::{Status, Stored, text};

/// Where the next page of a list begins.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Continue {
    v: String,
    rv: i64,
    start: String,
}

impl Server {
    /// Answers a GET of one object.
    ///
    /// # Errors
    /// 404 if it is not there.
    pub fn get(&self, target: &Target) -> Result<Response<Body>, Status> {
        let stored = self.store.get_stored(&target.key()).ok_or_else(|| absent(target))?;
        Ok(answer::answer(200, answer::encoded(&stored, target)))
    }

    /// Answers a GET of a collection.
    ///
    /// # Errors
    /// 400 for a selector or token that can't be read, 410 for a token that is too old, 504 for a version that is not
    /// there yet.
    pub fn list(&self, request: &Request, target: &Target) -> Result<Response<Body>, Status> {
        let selector = request.selector()?;
        let asked = request.resource_version()?;
        let (group, plural) = (&target.kind.group, &target.kind.plural);
        let (mut objects, mut version) = self.store.list_stored(group, plural, target.namespace.as_deref());
        if let Some(asked) = asked.filter(|asked| *asked > version) {
            return Err(too_large(asked, version));
        }
        let token = request.param("continue");
        if !token.is_empty() {
            let token = Continue::read(token)?;
            if token.rv >= 0 {
                version = self.check_token(target, &token)?;
            }
            objects.retain(|stored| place(stored.object()) >= token.place());
        }
        objects.retain(|stored| selector.matches(stored.object()));
        let limit = request.number("limit").and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
        let rest = limit.filter(|limit| objects.len() > *limit).map(|limit| objects.split_off(limit));
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if let Some(rest) = rest {
            let start = rest.first().map(|stored| place(stored.object())).unwrap_or_default();
            metadata["continue"] = Continue::new(version, start).write().into();
            if selector.is_empty() {
                metadata["remainingItemCount"] = rest.len().into();
            }
        }
        Ok(answer::answer(200, list_text(&objects, &metadata, target)))
    }

    /// The version of the list that a token goes on with.
    fn check_token(&self, target: &Target, token: &Continue) -> Result<u64, Status> {
        let version = u64::try_from(token.rv).unwrap_or(0);
        let (group, plural) = (&target.kind.group, &target.kind.plural);
        if self.store.watch_from(group, plural, target.namespace.as_deref(), version).is_ok() {
            return Ok(version);
        }
        let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";
        let fresh = Continue { v: token.v.clone(), rv: -1, start: token.start.clone() };
        Err(Status { next: Some(fresh.write()), ..Status::expired(message) })
    }
}

/// 404 for the object that a target means.
pub fn absent(target: &Target) -> Status {
    Status::not_found(&target.kind, &target.key().name)
}

/// The JSON text of a list, put together from those of its items.
fn list_text(objects: &[Arc<Stored>], metadata: &Json, target: &Target) -> Vec<u8> {
    let head =
        json!({"kind": format!("{}List", target.kind.kind), "apiVersion": target.api_version(), "metadata": metadata});
    let mut text = head.to_string().into_bytes();
    text.pop();
    text.extend_from_slice(b",\"items\":[");
    for (index, stored) in objects.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        text.extend_from_slice(&answer::encoded(stored, target));
    }
    text.extend_from_slice(b"]}");
    text
}

/// Where an object stands in a list: by namespace, then by name.
fn place(object: &Json) -> (&str, &str) {
    (text(object, "/metadata/namespace"), text(object, "/metadata/name"))
}

fn too_large(asked: u64, version: u64) -> Status {
    let message = format!("Too large resource version: {asked}, current: {version}");
    let mut status = Status::new(504, "Timeout", format!("Timeout: {message}"));
    let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
    status.details = Some(Box::new(json!({"causes": [cause], "retryAfterSeconds": 1})));
    status
}

impl Continue {
    fn new(version: u64, (namespace, name): (&str, &str)) -> Self {
        let start = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
        Self { v: "meta.k8s.io/v1".to_owned(), rv: i64::try_from(version).unwrap_or(i64::MAX), start }
    }

    /// The first object of the page.
    fn place(&self) -> (&str, &str) {
        // A real server's token names the last object of the page before, and a byte more.
        self.start.trim_start_matches('/').split_once('/').unwrap_or(("", &self.start))
    }

    /// As base64 for URLs, without padding.
    fn write(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let text = serde_json::to_value(ByteString(json)).unwrap_or_default();
        text.as_str().unwrap_or_default().trim_end_matches('=').replace('+', "-").replace('/', "_")
    }

    fn read(token: &str) -> Result<Self, Status> {
        let mut padded = token.trim_end_matches('=').replace('-', "+").replace('_', "/");
        while !padded.len().is_multiple_of(4) {
            padded.push('=');
        }
        let bytes =
            serde_json::from_value::<ByteString>(padded.into()).map(|ByteString(bytes)| bytes).unwrap_or_default();
        serde_json::from_slice(&bytes)
            .map_err(|error| Status::bad_request(format!("continue key is not valid: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_survives_the_way_there_and_back(version in 0..1_000_000_000i64, namespace in "[a-z0-9-]{0,9}", name in "[a-z.]{1,9}") {
            let place = (namespace.as_str(), name.as_str());
            let read = Continue::read(&Continue::new(version.unsigned_abs(), place).write()).unwrap();
            prop_assert_eq!(read.rv, version);
            prop_assert_eq!(read.place(), place);
        }

        #[test]
        fn any_other_text_is_refused(token in "\\PC{0,40}") {
            let _ = Continue::read(&token);
        }
    }

    #[test]
    fn the_token_of_a_real_server_is_read() {
        let token = Continue::read("eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhXHUwMDAwIn0").unwrap();
        assert_eq!((token.rv, token.start.as_str()), (1, "a\0"));
    }
}
