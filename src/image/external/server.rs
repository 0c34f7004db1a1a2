//! What the nodes' containerd asks, and what it is answered.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::cache::Cache;
use super::upstream::{Refusal, Thing, What};
use crate::image_reference::{DEFAULT_REGISTRY, ImageReference};

/// The connection is ended without an answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Abort(String);

/// Answers connections until it is dropped.
pub(super) async fn serve(listener: TcpListener, cache: Arc<Cache>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        // What can't be accepted (no file handle is left) may be the next time; those that ended give theirs back.
        if let Ok((stream, peer)) = listener.accept().await {
            connections.spawn(connection(stream, peer, Arc::clone(&cache)));
        } else {
            tokio::task::yield_now().await;
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: tokio::net::TcpStream, peer: SocketAddr, cache: Arc<Cache>) {
    let service = service_fn(move |request| {
        let cache = Arc::clone(&cache);
        async move { answer(&cache, &request).await }
    });
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!("the connection of {peer} ended: {}", crate::error::chain(&error));
    }
}

async fn answer(cache: &Arc<Cache>, request: &Request<Incoming>) -> Result<Response<Body>, Abort> {
    let is_head = match *request.method() {
        Method::GET => false,
        Method::HEAD => true,
        _ => return Ok(plain(StatusCode::METHOD_NOT_ALLOWED)),
    };
    let path = request.uri().path();
    if matches!(path, "/v2" | "/v2/") {
        return Ok(plain(StatusCode::OK));
    }
    let Some(thing) = thing(path, request.uri().query().unwrap_or_default()) else {
        return Ok(plain(StatusCode::NOT_FOUND));
    };
    let answered = match &thing.what {
        What::Manifest(_) => manifest(cache, &thing, is_head).await,
        What::Blob(digest) => blob(cache, &thing, digest, is_head).await,
    };
    answered.or_else(|refusal| refused(&thing, refusal))
}

async fn manifest(cache: &Arc<Cache>, thing: &Thing, is_head: bool) -> Result<Response<Body>, Refusal> {
    let manifest = cache.manifest(thing).await?;
    let body = if is_head { Body::empty() } else { Body::from(manifest.body.clone()) };
    let mut response = Response::new(body);
    put(&mut response, header::CONTENT_TYPE, &manifest.content_type);
    put(&mut response, header::CONTENT_LENGTH, &manifest.body.len().to_string());
    put(&mut response, header::HeaderName::from_static("docker-content-digest"), &manifest.digest);
    Ok(response)
}

async fn blob(cache: &Arc<Cache>, thing: &Thing, digest: &str, is_head: bool) -> Result<Response<Body>, Refusal> {
    let blob = cache.blob(thing, digest);
    let size = blob.size().await?;
    let mut response = Response::new(if is_head { Body::empty() } else { Body::from_stream(blob.content()) });
    put(&mut response, header::CONTENT_TYPE, "application/octet-stream");
    put(&mut response, header::HeaderName::from_static("docker-content-digest"), digest);
    if let Some(size) = size {
        put(&mut response, header::CONTENT_LENGTH, &size.to_string());
    }
    Ok(response)
}

/// The registry's own answer goes on unchanged, but for its challenge: credentials of pods must not come here. Where there is no
/// answer there is none here either; the folder's page says why.
fn refused(thing: &Thing, refusal: Refusal) -> Result<Response<Body>, Abort> {
    match refusal {
        Refusal::Answer { status, retry_after, content_type, words } if status.as_u16() >= 400 => {
            let mut response = Response::new(Body::from(words));
            *response.status_mut() = status;
            for (name, value) in [(header::RETRY_AFTER, retry_after), (header::CONTENT_TYPE, content_type)] {
                if let Some(value) = value {
                    put(&mut response, name, &value);
                }
            }
            Ok(response)
        }
        refusal => {
            tracing::debug!("{thing:?} is not to be had: {refusal}");
            Err(Abort(refusal.to_string()))
        }
    }
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn put(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// What a path of the protocol asks for: `/v2/<name>/manifests/<reference>?ns=<registry>`. `None` if it is no such path, or
/// what it names is no image: nothing else is ever asked of anyone.
fn thing(path: &str, query: &str) -> Option<Thing> {
    let rest = path.strip_prefix("/v2/")?;
    let (front, reference) = rest.rsplit_once('/')?;
    let (repository, kind) = front.rsplit_once('/')?;
    let registry = query.split('&').find_map(|pair| pair.strip_prefix("ns="));
    let registry =
        registry.map_or(DEFAULT_REGISTRY.to_owned(), |registry| registry.replace("%3A", ":").replace("%3a", ":"));
    let separator = if reference.contains(':') { '@' } else { ':' };
    let parsed = ImageReference::parse(&format!("{registry}/{repository}{separator}{reference}")).ok()?;
    let is_same = parsed.registry == registry && parsed.repository == repository;
    let what = match kind {
        "manifests" => What::Manifest(reference.to_owned()),
        "blobs" if reference.contains(':') => What::Blob(reference.to_owned()),
        _ => return None,
    };
    is_same.then(|| Thing { registry, repository: repository.to_owned(), what })
}

/// Binds the address.
pub(super) async fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_images_are_read() {
        let read = |path: &str, query: &str| thing(path, query).map(|thing| (thing.registry, thing.repository));
        let some = |registry: &str, repository: &str| Some((registry.to_owned(), repository.to_owned()));
        let digest = format!("sha256:{}", "0".repeat(64));
        for (path, query, expected) in [
            ("/v2/library/busybox/manifests/1.36", "ns=docker.io", some("docker.io", "library/busybox")),
            ("/v2/library/busybox/manifests/1.36", "", some("docker.io", "library/busybox")),
            ("/v2/a/b/c/manifests/x", "x=1&ns=localhost%3A5000", some("localhost:5000", "a/b/c")),
            (&format!("/v2/a/b/blobs/{digest}"), "ns=ghcr.io", some("ghcr.io", "a/b")),
            (&format!("/v2/manifests/manifests/{digest}"), "ns=ghcr.io", some("ghcr.io", "manifests")),
            ("/v2/a/b/blobs/tag", "ns=ghcr.io", None),
            ("/v2/a/b/tags/list", "ns=ghcr.io", None),
            ("/v2/../b/manifests/1", "ns=ghcr.io", None),
            ("/v2/a/b/manifests/1", "ns=ghcr.io/evil", None),
            ("/v2/a/b/manifests/1", "ns=user%40host", None),
            ("/v2/a/b/manifests/..%2f..%2fadmin", "ns=ghcr.io", None),
            ("/metrics", "", None),
        ] {
            assert_eq!(read(path, query), expected, "{path}?{query}");
        }
    }
}
