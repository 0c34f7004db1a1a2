//! A blob is sent in blocks, several at once, and put together at its end.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream::{Stream, StreamExt as _, TryStreamExt as _};
use http::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{RequestBuilder, Url};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use super::super::Order;
use super::blocks::blocks;
use super::{BlobError, Blobs, SignedUrl, broken, refused};
use crate::github::retry::{self, Patience};
use crate::hex::hex;

/// How long it may take to send a block, as the official client has it.
const TIME: Duration = Duration::from_secs(300);
/// The version of the protocol, the newest that every account knows for certain that signs addresses of today.
const VERSION: (&str, &str) = ("x-ms-version", "2021-12-02");
/// Most blocks of a blob.
const MOST: usize = 50_000;

/// How a blob is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The length of its blocks in bytes; about so much memory is needed for each that is on its way, and for two more.
    pub block: usize,
    /// How many blocks are on their way at once; one if they count by arrival.
    pub in_flight: usize,
    /// How the storage takes blocks.
    pub order: Order,
    /// What the blob is.
    pub content_type: &'static str,
}

impl Upload {
    /// As artifacts are sent: 8 MiB blocks, four at once.
    #[must_use]
    pub fn artifact(order: Order) -> Self {
        Self { block: 8 << 20, in_flight: 4, order, content_type: "application/zip" }
    }
}

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// How many bytes.
    pub size: u64,
    /// Their SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// What is known of the bytes that went by.
#[derive(Default)]
struct Tally {
    size: u64,
    ids: Vec<String>,
}

impl Blobs {
    /// Sends what the source gives, which may be of any length, nothing included. Each block is tried again by itself, but where
    /// blocks count by arrival: there a second time would be a second block.
    ///
    /// # Errors
    /// The source's, or the storage's. The blob is not there then.
    pub async fn upload(
        &self,
        url: &SignedUrl,
        source: impl Stream<Item = io::Result<Bytes>> + Send,
        how: &Upload,
    ) -> Result<Sent, BlobError> {
        let (in_flight, patience) = match how.order {
            Order::ById => (how.in_flight.max(1), self.patience),
            Order::ByArrival => (1, Patience::once()),
        };
        // Blocks of a blob have ids of one length; what is random keeps those of another upload apart.
        let prefix = format!("{:016x}", rand::random::<u64>());
        let mut tally = Tally::default();
        let mut hash = Hash::start();
        blocks(source, how.block.max(1))
            .map(|block| {
                let block = block.map_err(BlobError::Source)?;
                let id = tally.count(&prefix, &block)?;
                Ok((id, hash.turn(), block))
            })
            .map_ok(|(id, turn, block)| async move {
                // A block is counted in while it is on its way.
                tokio::try_join!(turn.take(block.clone()), self.put_block(url, id, block, patience)).map(drop)
            })
            .try_buffer_unordered(in_flight)
            .try_for_each(|()| async { Ok(()) })
            .await?;
        self.put_list(url, &tally.ids, how.content_type).await?;
        Ok(Sent { size: tally.size, sha256: hash.finish().await? })
    }

    async fn put_block(&self, url: &SignedUrl, id: String, block: Bytes, patience: Patience) -> Result<(), BlobError> {
        let url = url.with(&[("comp", "block"), ("blockid", &id)]);
        self.put(&url, &patience, "a block", |request| {
            request.header(CONTENT_TYPE, "application/octet-stream").body(block.clone())
        })
        .await
    }

    async fn put_list(&self, url: &SignedUrl, ids: &[String], content_type: &str) -> Result<(), BlobError> {
        let mut list = String::from(r#"<?xml version="1.0" encoding="utf-8"?><BlockList>"#);
        for id in ids {
            let _ = write!(list, "<Latest>{id}</Latest>");
        }
        list.push_str("</BlockList>");
        let (url, list) = (url.with(&[("comp", "blocklist")]), Bytes::from(list));
        // The same list twice is the same blob.
        self.put(&url, &self.patience, "the list of blocks", |request| {
            request
                .header(CONTENT_TYPE, "application/xml")
                .header("x-ms-blob-content-type", content_type)
                .body(list.clone())
        })
        .await
    }

    /// Sends one request, with patience.
    async fn put(
        &self,
        url: &Url,
        patience: &Patience,
        what: &str,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<(), BlobError> {
        retry::patiently(patience, what, |_| {
            let request = self.http.put(url.clone()).header(VERSION.0, VERSION.1).header(ACCEPT, "application/xml");
            let request = fill(request.timeout(TIME));
            async move {
                let response = request.send().await.map_err(|error| broken(&error))?;
                let (status, headers) = (response.status(), response.headers().clone());
                // Read to its end, so that the connection can be used again.
                let read = response.bytes().await;
                if status.is_success() {
                    read.map(drop).map_err(|error| broken(&error))
                } else {
                    Err(refused(status, &headers))
                }
            }
        })
        .await
    }
}

impl Tally {
    /// Counts a block, and gives it its id.
    fn count(&mut self, prefix: &str, block: &Bytes) -> Result<String, BlobError> {
        if self.ids.len() == MOST {
            return Err(BlobError::TooBig { limit: self.size });
        }
        let id = STANDARD.encode(format!("{prefix}{:032}", self.ids.len()));
        self.ids.push(id.clone());
        self.size += block.len() as u64;
        Ok(id)
    }
}

/// A hash that goes from block to block in their order.
struct Hash(oneshot::Receiver<Sha256>);

/// The turn of one block: from whom the hash comes, and to whom it goes.
struct Turn {
    from: oneshot::Receiver<Sha256>,
    to: oneshot::Sender<Sha256>,
}

impl Hash {
    fn start() -> Self {
        let (to, from) = oneshot::channel();
        // The other end is here.
        let _ = to.send(Sha256::new());
        Self(from)
    }

    fn turn(&mut self) -> Turn {
        let (to, next) = oneshot::channel();
        Turn { from: std::mem::replace(&mut self.0, next), to }
    }

    async fn finish(self) -> Result<String, BlobError> {
        self.0.await.map(|hasher| hex(&hasher.finalize())).map_err(not_counted)
    }
}

impl Turn {
    /// Counts a block in, on a thread where that holds up nothing else.
    async fn take(self, block: Bytes) -> Result<(), BlobError> {
        let mut hasher = self.from.await.map_err(not_counted)?;
        let work = move || {
            hasher.update(&block);
            hasher
        };
        let hasher = tokio::task::spawn_blocking(work).await.map_err(not_counted)?;
        // Nobody waits for it once another block has failed.
        let _ = self.to.send(hasher);
        Ok(())
    }
}

fn not_counted(error: impl std::error::Error + Send + Sync + 'static) -> BlobError {
    BlobError::Source(io::Error::other(error))
}
