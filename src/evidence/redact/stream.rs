//! A text that comes in chunks.

use std::sync::Arc;

use super::Redactor;
use super::scan::{Masks, Scanner};
use super::values::{LONGEST, Values};

/// How much is gathered before it is looked at.
const BATCH: usize = 32 * 1024;

/// Redacts a text that comes in chunks, as [`Redactor::bytes`] would redact the whole, however it is cut. It holds back at
/// most some 100 KiB, whatever the text: what it has not decided on yet, at least the last 1,023 bytes, so that a value that is
/// learnt before it has come whole is hidden too.
#[derive(Clone)]
pub struct Stream {
    redactor: Redactor,
    patterns: bool,
    generation: u64,
    values: Arc<Values>,
    /// What is not written yet, and what the scanner needs of what is.
    buffer: Vec<u8>,
    written: usize,
    searched: usize,
    scanner: Scanner,
    masks: Masks,
}

impl std::fmt::Debug for Stream {
    /// Without the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("held", &self.buffer.len()).finish_non_exhaustive()
    }
}

impl Stream {
    pub(super) fn new(redactor: Redactor, patterns: bool) -> Self {
        Self {
            patterns,
            generation: redactor.generation(),
            values: redactor.values(),
            redactor,
            buffer: Vec::new(),
            written: 0,
            searched: 0,
            scanner: Scanner::default(),
            masks: Masks::default(),
        }
    }

    /// Takes a chunk, and appends to `out` what is certain.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        for chunk in chunk.chunks(BATCH) {
            self.buffer.extend_from_slice(chunk);
            if self.buffer.len() - self.written >= BATCH {
                self.work(false, out);
            }
        }
    }

    /// Appends to `out` what is certain of all that has come so far: [`Stream::push`] waits for more at once.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.work(false, out);
    }

    /// The end of the text: appends the rest to `out`. The stream may then be used for another text.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.work(true, out);
        *self = Self::new(self.redactor.clone(), self.patterns);
    }

    fn work(&mut self, last: bool, out: &mut Vec<u8>) {
        if self.generation != self.redactor.generation() {
            self.generation = self.redactor.generation();
            self.values = self.redactor.values();
            self.searched = 0;
        }
        let length = self.buffer.len();
        if self.patterns {
            self.scanner.scan(&self.buffer, last, &mut self.masks);
        } else {
            self.scanner.pass(length);
        }
        // An occurrence that ends in what is new starts less than the longest needle's length before it.
        let from = self.searched.saturating_sub(LONGEST - 1);
        self.values.find(&self.buffer, from, &mut self.masks);
        self.searched = length;

        let (scanned, needed) = self.scanner.done();
        let certain = if last { length } else { scanned.min((length + 1).saturating_sub(LONGEST)) };
        if certain > self.written {
            self.masks.emit(&self.buffer, self.written, certain, out);
            self.written = certain;
        }
        let gone = self.written.min(needed);
        self.buffer.drain(..gone);
        self.written -= gone;
        self.searched -= gone;
        self.scanner.shift(gone);
        self.masks.shift(gone);
    }
}
