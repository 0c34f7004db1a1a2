//! The first version of the protocol, as GitHub Enterprise Server speaks it, and stricter.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, patch, post};
use serde_json::{Value as Json, json};

use super::server::{Entry, Server, Shared, World, is_authorized, reply};

pub async fn start() -> Server {
    let routes = Router::new()
        .route("/base/_apis/artifactcache/cache", get(find))
        .route("/base/_apis/artifactcache/caches", post(reserve))
        .route("/base/_apis/artifactcache/caches/{id}", patch(send).post(commit))
        .layer(axum::extract::DefaultBodyLimit::disable());
    Server::start(routes).await
}

/// What `ACTIONS_CACHE_URL` would be.
pub fn url(server: &Server) -> String {
    format!("{}/base/", server.url)
}

/// What every request has to say.
fn wrong(headers: &HeaderMap) -> Option<&'static str> {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if !is_authorized(headers) {
        Some("no token, or another")
    } else if accept != Some("application/json;api-version=6.0-preview.1") {
        Some("another Accept")
    } else if headers.get(header::USER_AGENT).is_none() {
        Some("no User-Agent")
    } else {
        None
    }
}

/// The fields of a JSON body, which are these and no others.
fn fields(headers: &HeaderMap, body: &[u8], expected: &[&str]) -> Result<Json, String> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/json") {
        return Err(format!("a body of the type {kind}"));
    }
    let json: Json = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let mut found: Vec<_> = json.as_object().ok_or("no object")?.keys().map(String::as_str).collect();
    found.sort_unstable();
    if found == expected { Ok(json) } else { Err(format!("fields {found:?}, not {expected:?}")) }
}

async fn find(State(world): State<Shared>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let mut world = world.lock().unwrap();
    if let Some(wrong) = wrong(&headers) {
        return world.refuse(wrong);
    }
    let url = reqwest::Url::parse(&format!("http://x/?{}", query.unwrap_or_default())).unwrap();
    let pairs: Vec<_> = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    let [(keys, keys_value), (version, version_value)] = &pairs[..] else {
        return world.refuse(format!("a query of {pairs:?}"));
    };
    let keys_given: Vec<String> = keys_value.split(',').map(str::to_owned).collect();
    if keys != "keys" || version != "version" || version_value.len() != 64 || keys_given.len() > 10 {
        return world.refuse(format!("a query of {pairs:?}"));
    }
    let Some((id, entry)) = world.find(&keys_given, version_value) else {
        return Response::builder().status(204).body(axum::body::Body::empty()).unwrap();
    };
    let location = format!("{}/blob/{id}?sig=s%2Bs", world.url);
    reply(StatusCode::OK, &json!({"cacheKey": entry.key, "archiveLocation": location, "scope": "refs/heads/main"}))
}

async fn reserve(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let mut world = world.lock().unwrap();
    if let Some(wrong) = wrong(&headers) {
        return world.refuse(wrong);
    }
    let json = match fields(&headers, &body, &["cacheSize", "key", "version"]) {
        Ok(json) => json,
        Err(why) => return world.refuse(why),
    };
    let (Some(key), Some(version), Some(size)) =
        (json["key"].as_str(), json["version"].as_str(), json["cacheSize"].as_u64())
    else {
        return world.refuse(format!("fields {json}"));
    };
    if key.len() > 512 || key.contains(',') || version.len() != 64 {
        return world.refuse(format!("fields {json}"));
    }
    if world.entries.iter().any(|entry| entry.key == key && entry.version == version) {
        let message = format!("Cache already exists. Scope: refs/heads/main, Key: {key}, Version: {version}");
        return reply(
            StatusCode::CONFLICT,
            &json!({"message": message, "typeKey": "ArtifactCacheItemAlreadyExistsException"}),
        );
    }
    world.entries.push(Entry { key: key.to_owned(), version: version.to_owned(), size, ..Entry::default() });
    reply(StatusCode::CREATED, &json!({"cacheId": world.entries.len()}))
}

fn open_entry(world: &mut World, id: usize) -> Option<&mut Entry> {
    world.entries.get_mut(id.checked_sub(1)?).filter(|entry| !entry.is_whole)
}

async fn send(State(world): State<Shared>, Path(id): Path<usize>, headers: HeaderMap, body: Bytes) -> Response {
    let mut world = world.lock().unwrap();
    if let Some(wrong) = wrong(&headers) {
        return world.refuse(wrong);
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if text(header::CONTENT_TYPE) != "application/octet-stream" {
        return world.refuse("a part of another type");
    }
    let range = text(header::CONTENT_RANGE).strip_prefix("bytes ").and_then(|range| range.strip_suffix("/*"));
    let range = range.and_then(|range| range.split_once('-'));
    let Some((start, end)) = range.and_then(|(start, end)| Some((start.parse().ok()?, end.parse::<u64>().ok()?)))
    else {
        return world.refuse(format!("a Content-Range of {:?}", text(header::CONTENT_RANGE)));
    };
    let length = body.len() as u64;
    if end + 1 - start != length || text(header::CONTENT_LENGTH) != length.to_string() || length > 32 << 20 {
        return world
            .refuse(format!("{length} bytes for {start}-{end}, Content-Length {}", text(header::CONTENT_LENGTH)));
    }
    let Some(entry) = open_entry(&mut world, id) else { return world.refuse(format!("no open entry {id}")) };
    let overlaps =
        |(other, part): (&u64, &Bytes)| *other != start && *other < end + 1 && start < other + part.len() as u64;
    if entry.parts.iter().any(overlaps) || end >= entry.size {
        return world.refuse(format!("{start}-{end} overlaps, or is beyond the end"));
    }
    entry.parts.insert(start, body);
    Response::builder().status(204).body(axum::body::Body::empty()).unwrap()
}

async fn commit(State(world): State<Shared>, Path(id): Path<usize>, headers: HeaderMap, body: Bytes) -> Response {
    let mut world = world.lock().unwrap();
    if let Some(wrong) = wrong(&headers) {
        return world.refuse(wrong);
    }
    let size = match fields(&headers, &body, &["size"]) {
        Ok(json) => json["size"].as_u64(),
        Err(why) => return world.refuse(why),
    };
    let Some(entry) = open_entry(&mut world, id) else { return world.refuse(format!("no open entry {id}")) };
    let content = Bytes::from(entry.parts.values().map(Bytes::as_ref).collect::<Vec<_>>().concat());
    if size != Some(entry.size) || content.len() as u64 != entry.size {
        return world.refuse(format!("a commit of {size:?} bytes, of which {} are there", content.len()));
    }
    (entry.content, entry.is_whole) = (content, true);
    Response::builder().status(204).body(axum::body::Body::empty()).unwrap()
}
