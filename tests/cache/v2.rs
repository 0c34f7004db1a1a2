//! The second version of the protocol, as GitHub speaks it, and stricter: the calls, and the storage behind signed addresses.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::{post, put};
use serde_json::{Value as Json, json};

use super::server::{Entry, Server, Shared, World, is_authorized, reply};

const SIGNATURE: &str = "sig=s%2Bs";

pub async fn start() -> Server {
    let routes = Router::new()
        .route("/twirp/github.actions.results.api.v1.CacheService/{method}", post(call))
        .route("/upload/{id}", put(upload))
        .layer(axum::extract::DefaultBodyLimit::disable());
    Server::start(routes).await
}

async fn call(State(world): State<Shared>, Path(method): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let mut world = world.lock().unwrap();
    if !is_authorized(&headers) {
        return world.refuse("no token, or another");
    }
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
        return world.refuse("a call of another type");
    }
    let Ok(Json::Object(fields)) = serde_json::from_slice(&body) else { return world.refuse("no object") };
    let expected: &[&str] = match method.as_str() {
        "CreateCacheEntry" => &["key", "version"],
        "FinalizeCacheEntryUpload" => &["key", "size_bytes", "version"],
        "GetCacheEntryDownloadURL" => &["key", "restore_keys", "version"],
        _ => return world.refuse(format!("no method {method}")),
    };
    let mut found: Vec<_> = fields.keys().map(String::as_str).collect();
    found.sort_unstable();
    let text = |name: &str| fields.get(name).and_then(Json::as_str).map(str::to_owned);
    let (Some(key), Some(version)) = (text("key"), text("version")) else {
        return world.refuse(format!("fields {found:?}"));
    };
    // What is empty is left out.
    let is_complete = expected.iter().all(|name| found.contains(name) || *name == "restore_keys");
    if !is_complete || found.iter().any(|name| !expected.contains(name)) || key.len() > 512 || key.contains(',') {
        return world.refuse(format!("fields {found:?} of {method}, not {expected:?}"));
    }
    match method.as_str() {
        "CreateCacheEntry" => create(&mut world, key, version),
        "FinalizeCacheEntryUpload" => finalize(&mut world, &key, &version, text("size_bytes").as_deref()),
        _ => find(&mut world, key, &version, fields.get("restore_keys")),
    }
}

fn create(world: &mut World, key: String, version: String) -> Response {
    if world.entries.iter().any(|entry| entry.key == key && entry.version == version) {
        let msg = "cache entry with the same key, version, and scope already exists";
        return reply(StatusCode::CONFLICT, &json!({"code": "already_exists", "msg": msg}));
    }
    world.entries.push(Entry { key, version, ..Entry::default() });
    let url = format!("{}/upload/{}?{SIGNATURE}", world.url, world.entries.len() - 1);
    reply(StatusCode::OK, &json!({"ok": true, "signed_upload_url": url}))
}

fn finalize(world: &mut World, key: &str, version: &str, size: Option<&str>) -> Response {
    let entry = world.entries.iter_mut().enumerate().find(|(_, entry)| entry.key == key && entry.version == version);
    let Some((id, entry)) = entry.filter(|(_, entry)| !entry.is_whole) else {
        return world.refuse(format!("{key} is not being saved"));
    };
    if size != Some(entry.content.len().to_string().as_str()) {
        let there = entry.content.len();
        return world.refuse(format!("an end after {size:?} bytes, of which {there} are there"));
    }
    entry.is_whole = true;
    reply(StatusCode::OK, &json!({"ok": true, "entry_id": (id + 1).to_string()}))
}

fn find(world: &mut World, key: String, version: &str, restore_keys: Option<&Json>) -> Response {
    let more = restore_keys.and_then(Json::as_array).into_iter().flatten();
    let keys: Vec<String> =
        std::iter::once(key).chain(more.filter_map(|key| key.as_str().map(str::to_owned))).collect();
    if keys.len() > 10 {
        return world.refuse(format!("{} keys", keys.len()));
    }
    match world.find(&keys, version) {
        None => reply(StatusCode::OK, &json!({"ok": false, "signed_download_url": "", "matched_key": ""})),
        Some((id, entry)) => {
            let url = format!("{}/blob/{id}?{SIGNATURE}", world.url);
            reply(StatusCode::OK, &json!({"ok": true, "signed_download_url": url, "matched_key": entry.key}))
        }
    }
}

/// Azure's Put Blob (as the official client sends what is small), Put Block and Put Block List.
async fn upload(
    State(world): State<Shared>,
    Path(id): Path<usize>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut world = world.lock().unwrap();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if headers.contains_key(header::AUTHORIZATION) {
        return world.refuse("a blob was sent with a token");
    }
    if text("x-ms-version").is_empty() || text("content-length") != body.len().to_string() {
        return world.refuse("no version of the protocol, or no length");
    }
    let query = query.unwrap_or_default();
    let Some(more) = query.strip_prefix(SIGNATURE) else { return world.refuse(format!("another signature: {query}")) };
    let url = reqwest::Url::parse(&format!("http://x/?{more}")).unwrap();
    let pairs: Vec<_> = url.query_pairs().collect();
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| (name.as_ref(), value.as_ref()))
        .filter(|(name, _)| !name.is_empty())
        .collect();
    if world.entries[id].is_whole {
        return world.refuse("an entry was changed");
    }
    match &pairs[..] {
        [] if text("x-ms-blob-type") == "BlockBlob" => world.entries[id].content = body,
        [("comp", "block"), ("blockid", block)] => {
            let is_alike = world.entries[id].blocks.keys().all(|other| other.len() == block.len());
            if !is_alike || body.is_empty() {
                return world.refuse("ids of blocks that are not alike, or an empty block");
            }
            world.entries[id].blocks.insert((*block).to_owned(), body);
        }
        [("comp", "blocklist")] => {
            let list = String::from_utf8(body.to_vec()).unwrap();
            let ids: Vec<_> = list.split("<Latest>").skip(1).filter_map(|rest| rest.split_once('<')).collect();
            let blocks: Option<Vec<_>> =
                ids.iter().map(|(block, _)| world.entries[id].blocks.get(*block).cloned()).collect();
            let Some(blocks) = blocks else { return world.refuse("a list of blocks that are not there") };
            if blocks.len() != world.entries[id].blocks.len() {
                return world.refuse("a block that is not in the list");
            }
            world.entries[id].content = blocks.iter().map(Bytes::as_ref).collect::<Vec<_>>().concat().into();
        }
        other => return world.refuse(format!("a blob with {other:?}")),
    }
    Response::builder().status(201).body(Body::empty()).unwrap()
}
