//! Bytes that are written on one side come out in chunks on the other.

use std::io::{self, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc::Sender;

/// The side that is written to; clones are the same one.
#[derive(Clone)]
pub(super) struct Sink(Arc<Mutex<Inner>>);

struct Inner {
    /// `None` once nothing counts any more.
    give: Option<Sender<io::Result<Bytes>>>,
    filled: BytesMut,
    chunk: usize,
    /// How many bytes were written.
    at: u64,
}

impl Sink {
    /// Gives chunks of so many bytes. An empty one is the end; a channel that ends without it was broken off.
    pub(super) fn new(give: Sender<io::Result<Bytes>>, chunk: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner { give: Some(give), filled: BytesMut::new(), chunk: chunk.max(1), at: 0 })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing that is written from now on is given.
    pub(super) fn discard(&self) -> Option<Sender<io::Result<Bytes>>> {
        self.inner().give.take()
    }

    /// Gives the rest, and the end.
    pub(super) fn finish(&self) {
        let mut inner = self.inner();
        let rest = inner.filled.split().freeze();
        let Some(give) = inner.give.take() else { return };
        // Nobody may be there to take it.
        let _ = if rest.is_empty() { Ok(()) } else { give.blocking_send(Ok(rest)) };
        let _ = give.blocking_send(Ok(Bytes::new()));
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.inner();
        let Inner { give: Some(give), filled, chunk, .. } = &mut *inner else { return Ok(bytes.len()) };
        if filled.capacity() == filled.len() {
            // A small artifact needs no big chunk.
            let least = if filled.is_empty() { bytes.len().max(1 << 16).min(*chunk) } else { *chunk - filled.len() };
            filled.reserve(least);
        }
        let taken = bytes.len().min(*chunk - filled.len());
        filled.extend_from_slice(&bytes[..taken]);
        if filled.len() == *chunk && give.blocking_send(Ok(filled.split().freeze())).is_err() {
            inner.give = None;
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "nobody takes the bytes"));
        }
        inner.at += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Knows its place, but can't leave it; once nothing counts any more, no place is wrong.
impl Seek for Sink {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let inner = self.inner();
        match to {
            SeekFrom::Current(0) | SeekFrom::End(0) => Ok(inner.at),
            SeekFrom::Start(place) if place == inner.at => Ok(place),
            _ if inner.give.is_none() => Ok(inner.at),
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "what is sent can't be changed")),
        }
    }
}
