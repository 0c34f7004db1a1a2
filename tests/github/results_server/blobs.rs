//! Blobs by signed addresses, as Azure has them: <https://learn.microsoft.com/rest/api/storageservices/put-block>.

use std::collections::HashMap;

use axum::body::{Body, Bytes};
use axum::http::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::{Asked, Mode, World, empty, response};

/// Where blobs are.
pub const PATH: &str = "/blobs/";

/// How a blob may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In blocks alone.
    Blocks,
    /// In blocks, or at once.
    Any,
}

#[derive(Default)]
pub struct Blobs {
    all: HashMap<String, Blob>,
    made: usize,
}

struct Blob {
    kind: Kind,
    /// The signatures, for writing and for reading.
    signatures: (String, String),
    blocks: Vec<(String, Bytes)>,
    committed: Option<Vec<u8>>,
}

impl Blobs {
    /// Begins a blob; gives its name and the address to which it is sent.
    pub fn begin(&mut self, server: &str, name: &str, kind: Kind) -> (String, String) {
        self.made += 1;
        let name = format!("{}-{}", self.made, name.replace(' ', "-"));
        // With characters that have to stay as they are.
        let signatures = (format!("w+{}/=", self.made), format!("r+{}/=", self.made));
        let url = address(server, &name, "cw", &signatures.0);
        self.all.insert(name.clone(), Blob { kind, signatures, blocks: Vec::new(), committed: None });
        (name, url)
    }

    /// The address from which a blob is read.
    pub fn to_read(&self, server: &str, name: &str) -> String {
        address(server, name, "r", &self.all[name].signatures.1)
    }

    /// The bytes of a blob that is whole.
    pub fn committed(&self, name: &str) -> Option<&[u8]> {
        self.all.get(name)?.committed.as_deref()
    }

    /// Puts other bytes in the place of a blob's.
    pub fn replace(&mut self, name: &str, bytes: Vec<u8>) {
        self.all.get_mut(name).unwrap().committed = Some(bytes);
    }
}

fn address(server: &str, name: &str, permission: &str, signature: &str) -> String {
    let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    format!("{server}{PATH}{name}?sv=2025-01-05&se=2036-07-01T10%3A00%3A00Z&sr=b&sp={permission}&sig={signature}")
}

/// The digest of bytes, as the service writes it.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// An error of Azure's, with what it must never be asked for in its text.
fn refuse(status: u16, code: &str) -> Response<Body> {
    let mut response =
        response(status, Body::from(format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>")));
    response.headers_mut().insert("x-ms-error-code", code.parse().unwrap());
    response
}

pub fn answer(world: &mut World, asked: &Asked) -> Response<Body> {
    let name = asked.uri.path().strip_prefix(PATH).unwrap_or_default().to_owned();
    let query = asked.query();
    let Some(blob) = world.blobs.all.get(&name) else { return refuse(404, "BlobNotFound") };
    let (write, kind) = (asked.method == "PUT", blob.kind);
    let signature = if write { &blob.signatures.0 } else { &blob.signatures.1 };
    if query.get("sig") != Some(signature) {
        return refuse(403, "AuthenticationFailed");
    }
    let complain = |world: &mut World, code: &str, what: String| {
        world.complain(format!("{} of a blob: {what}", asked.method));
        refuse(400, code)
    };
    if asked.header("authorization").is_some() {
        return complain(world, "InvalidAuthenticationInfo", "a token went along".to_owned());
    }
    let known = ["sv", "se", "sr", "sp", "sig", "comp", "blockid"];
    if let Some(name) = query.keys().find(|name| !known.contains(&name.as_str())) {
        return complain(world, "InvalidQueryParameterValue", format!("`{name}` is unknown"));
    }
    if !write {
        return read(world, asked, &name);
    }
    if asked.header("content-length") != Some(asked.body.len().to_string().as_str()) {
        return complain(world, "MissingContentLengthHeader", format!("{:?}", asked.headers));
    }
    if asked.header("x-ms-version").is_none_or(|version| version.len() != 10 || version < "2019-12-12") {
        return complain(world, "InvalidHeaderValue", "x-ms-version".to_owned());
    }
    let result = match query.get("comp").map(String::as_str) {
        Some("block") => block(world, &name, asked, query.get("blockid")),
        Some("blocklist") => list(world, &name, asked),
        None => whole(world, &name, asked, kind),
        Some(other) => Err(format!("comp={other}")),
    };
    result.unwrap_or_else(|what| complain(world, "InvalidInput", what))
}

fn block(world: &mut World, name: &str, asked: &Asked, id: Option<&String>) -> Result<Response<Body>, String> {
    let id = id.ok_or("no blockid")?;
    let decoded = STANDARD.decode(id).map_err(|_| format!("the id {id} is not base64"))?;
    if decoded.is_empty() || decoded.len() > 64 || asked.body.is_empty() || asked.header("x-ms-blob-type").is_some() {
        return Err(format!("a block {id} of {} bytes, {:?}", asked.body.len(), asked.headers));
    }
    let mode = world.mode;
    let blob = world.blobs.all.get_mut(name).ok_or("no blob")?;
    if mode == Mode::Act {
        blob.committed.get_or_insert_default().extend_from_slice(&asked.body);
        return Ok(empty(201));
    }
    if blob.blocks.iter().any(|(known, _)| known.len() != id.len()) {
        return Err(format!("the id {id} has another length than those before"));
    }
    blob.blocks.retain(|(known, _)| known != id);
    blob.blocks.push((id.clone(), asked.body.clone()));
    Ok(empty(201))
}

fn list(world: &mut World, name: &str, asked: &Asked) -> Result<Response<Body>, String> {
    let text = std::str::from_utf8(&asked.body).map_err(|error| error.to_string())?;
    let (head, list) = text.split_once("<BlockList>").ok_or("no list")?;
    let mut list = list.strip_suffix("</BlockList>").ok_or("the list does not end")?;
    let typed = asked.header("content-type") == Some("application/xml") && head.starts_with("<?xml version=\"1.0\"");
    if !typed || asked.header("x-ms-blob-content-type").is_none() {
        return Err(format!("a list with {:?}", asked.headers));
    }
    let mode = world.mode;
    let blob = world.blobs.all.get_mut(name).ok_or("no blob")?;
    let mut bytes = Vec::new();
    let mut listed = 0;
    while !list.is_empty() {
        let (id, rest) = list.strip_prefix("<Latest>").and_then(|rest| rest.split_once("</Latest>")).ok_or(text)?;
        list = rest;
        listed += 1;
        if mode == Mode::GitHub {
            let (_, block) =
                blob.blocks.iter().find(|(known, _)| known == id).ok_or(format!("the id {id} is unknown"))?;
            bytes.extend_from_slice(block);
        }
    }
    if mode == Mode::Act {
        blob.committed.get_or_insert_default();
        return Ok(empty(201));
    }
    if listed != blob.blocks.len() {
        return Err(format!("{listed} blocks are listed, {} were sent", blob.blocks.len()));
    }
    // The blocks stay: the same list may come again, and means the same.
    blob.committed = Some(bytes);
    Ok(empty(201))
}

fn whole(world: &mut World, name: &str, asked: &Asked, kind: Kind) -> Result<Response<Body>, String> {
    if kind != Kind::Any || asked.header("x-ms-blob-type") != Some("BlockBlob") {
        return Err(format!("at once, with {:?}", asked.headers));
    }
    if world.mode == Mode::GitHub {
        world.blobs.replace(name, asked.body.to_vec());
    }
    Ok(empty(201))
}

fn read(world: &mut World, asked: &Asked, name: &str) -> Response<Body> {
    let Some(bytes) = world.blobs.committed(name).map(Bytes::copy_from_slice) else {
        return refuse(404, "BlobNotFound");
    };
    if world.mode == Mode::Act {
        return response(200, Body::from(bytes));
    }
    let tag = format!("\"{}\"", &digest(&bytes)[7..20]);
    if asked.header("if-match").is_some_and(|wanted| wanted != tag) {
        return refuse(412, "ConditionNotMet");
    }
    let start = match asked.header("range") {
        None => 0,
        Some(range) => {
            let start = range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')?.parse::<usize>().ok());
            let Some(start) = start else {
                world.complain(format!("the range {range}"));
                return refuse(400, "InvalidHeaderValue");
            };
            if start >= bytes.len() {
                let mut refused = refuse(416, "InvalidRange");
                refused.headers_mut().insert("content-range", format!("bytes */{}", bytes.len()).parse().unwrap());
                return refused;
            }
            start
        }
    };
    let partial = asked.header("range").is_some();
    let length = bytes.len();
    let mut response = response(if partial { 206 } else { 200 }, Body::from(bytes.slice(start..)));
    let headers = response.headers_mut();
    headers.insert("etag", tag.parse().unwrap());
    headers.insert("content-type", "application/zip".parse().unwrap());
    headers.insert("content-length", (length - start).to_string().parse().unwrap());
    if partial {
        headers.insert("content-range", format!("bytes {start}-{}/{length}", length - 1).parse().unwrap());
    }
    response
}
