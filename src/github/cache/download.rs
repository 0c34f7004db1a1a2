//! Downloads an entry by its address: parts of it at once where the server gives parts, handed out in their order.

use std::io::{self, Read};
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use tokio::sync::mpsc;

use super::error::CacheError;
use super::http::{Http, Try, bounded, meaning};
use crate::github::retry::{Failed, patiently};
use crate::registry::chain;

/// Bytes of a part, and how many parts are on their way, or here and not taken, at once.
const PART: u64 = 4 << 20;
const AT_ONCE: usize = 6;
/// How long one part may take.
const PATIENCE: Duration = Duration::from_secs(2 * 60);
/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// What is downloaded, to be read on a thread that may wait for it.
#[derive(Debug)]
pub struct Incoming {
    chunks: mpsc::Receiver<Bytes>,
    current: Bytes,
}

/// Where a download goes in, and where it comes out.
pub(super) fn pipe() -> (mpsc::Sender<Bytes>, Incoming) {
    let (into, chunks) = mpsc::channel(1);
    (into, Incoming { chunks, current: Bytes::new() })
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let taken = self.current.split_to(buffer.len().min(self.current.len()));
        buffer[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

/// The beginning of what is downloaded.
enum Begun {
    /// Its first part, and the size of the whole.
    Part(Bytes, u64),
    /// All of it, as it comes: the server knows no parts.
    Whole(Response),
}

/// Downloads what is there, at most `most` bytes. It ends early, without an error, where nobody takes it any more.
pub(super) async fn download(http: &Http, url: &str, most: u64, into: mpsc::Sender<Bytes>) -> Result<(), CacheError> {
    let start = patiently(&http.patience, "downloading from the cache", |_| begin(http, url)).await?;
    let (first, size) = match start {
        Begun::Whole(response) => return whole(response, most, &into).await,
        Begun::Part(first, size) => (first, size),
    };
    if size > most {
        return Err(CacheError::TooLarge { size, most });
    }
    let there = first.len() as u64;
    if into.send(first).await.is_err() {
        return Ok(());
    }
    let starts = (0..).map(|part| there + part * PART).take_while(|start| *start < size);
    let ranges = starts.map(|start| start..(start + PART).min(size));
    let mut parts = stream::iter(ranges).map(|range| part(http, url, range, size)).buffered(AT_ONCE);
    while let Some(part) = parts.next().await {
        if into.send(part?).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn begin(http: &Http, url: &str) -> Try<Begun> {
    let response = ask(http, url, &(0..PART)).await?;
    if response.status() == StatusCode::OK {
        return Ok(Begun::Whole(response));
    }
    let size = content_range(&response).filter(|(start, _)| *start == 0).map(|(_, size)| size);
    let size =
        size.ok_or_else(|| Failed::Final(CacheError::Failed("it gives other parts than those asked for".into())))?;
    let first = read(response, PART.min(size)).await?;
    Ok(Begun::Part(first, size))
}

async fn part(http: &Http, url: &str, range: Range<u64>, size: u64) -> Result<Bytes, CacheError> {
    patiently(&http.patience, "downloading a part from the cache", |_| async {
        let response = ask(http, url, &range).await?;
        if content_range(&response) != Some((range.start, size)) {
            return Err(Failed::Final(CacheError::Failed("it gives other parts than those asked for".into())));
        }
        read(response, range.end - range.start).await
    })
    .await
}

async fn ask(http: &Http, url: &str, range: &Range<u64>) -> Try<Response> {
    let range = format!("bytes={}-{}", range.start, range.end - 1);
    let sent = tokio::time::timeout(SILENCE, http.blobs.get(url).header(RANGE, range).send()).await;
    let response = match sent {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(Failed::passing(CacheError::Failed(chain(&error)))),
        Err(_) => return Err(Failed::passing(silent())),
    };
    let status = response.status();
    if matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
        return Ok(response);
    }
    let error = match meaning(status, "") {
        // An address that has expired: not the token's fault.
        CacheError::Denied(why) => CacheError::Failed(why),
        other => other,
    };
    Err(Failed::of_answer(status, response.headers(), "", error))
}

/// A part of exactly this length.
async fn read(response: Response, length: u64) -> Try<Bytes> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let body = tokio::time::timeout(PATIENCE, bounded(response, length)).await;
    let body = body.map_err(|_| Failed::passing(silent()))??;
    if body.len() == length {
        return Ok(body.into());
    }
    Err(Failed::passing(CacheError::Failed(format!("it gave {} bytes instead of {length}", body.len()))))
}

async fn whole(mut response: Response, most: u64, into: &mpsc::Sender<Bytes>) -> Result<(), CacheError> {
    let mut size = response.content_length().unwrap_or_default();
    let mut read = 0;
    loop {
        if size > most {
            return Err(CacheError::TooLarge { size, most });
        }
        let chunk = tokio::time::timeout(SILENCE, response.chunk()).await.map_err(|_| silent())?;
        let Some(chunk) = chunk.map_err(|error| CacheError::Failed(chain(&error)))? else { return Ok(()) };
        read += chunk.len() as u64;
        size = size.max(read);
        if into.send(chunk).await.is_err() {
            return Ok(());
        }
    }
}

fn silent() -> CacheError {
    CacheError::Failed("no answer in time".to_owned())
}

/// Where a part begins, and the size of the whole: `bytes 0-9/100`.
fn content_range(response: &Response) -> Option<(u64, u64)> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return None;
    }
    let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.parse().ok()?, size.parse().ok()?))
}
