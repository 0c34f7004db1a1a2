//! Takes secrets out of what is kept and shown: values that the run has seen, and what looks like one.
//!
//! [`Redactor`] knows values (of Secrets, of credentials that the run was given) and patterns (tokens, keys, `password=...`).
//! A byte is hidden when an occurrence of a value or a match of a pattern covers it; each run of hidden bytes becomes
//! [`MASK`]. Values are found anywhere, also across lines. Patterns are matched line by line, and inside a very long line block
//! by block, so that what is hidden depends on the text alone and never on how it was cut into chunks.

mod json;
mod learn;
mod patterns;
mod scan;
mod stream;
#[cfg(test)]
mod tests;
mod values;

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value as Json;

use scan::{Masks, Scanner};
pub use stream::Stream;
use values::{Known, Values};

/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// What is known to be secret in this run. Clones share it; values are only ever added.
///
/// Not every value is hidden, since hiding `true` would make nonsense of everything else: a value needs four characters
/// (six if it has digits alone), and must not be one of a few words that are everywhere (`true`, `default`, `admin`, ...).
#[derive(Clone, Default)]
pub struct Redactor {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    known: RwLock<Known>,
    /// Counts the changes of `known`, so that streams can see cheaply that there was one.
    generation: AtomicU64,
}

impl std::fmt::Debug for Redactor {
    /// Without the values.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("generation", &self.generation()).finish()
    }
}

impl Redactor {
    /// One that knows patterns, and no value yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Hides this value from now on, in the forms that it is likely to be printed in: as it is, in base64, in a JSON string,
    /// percent-encoded, and, if it has several lines, each line alone.
    pub fn add(&self, value: &str) {
        self.add_forms(&learn::forms(value.as_bytes()));
    }

    /// Hides what a Secret holds (`data`, `stringData`; the credentials inside of those that are JSON, as those for
    /// registries are), and the token of a `TokenRequest`. Other objects teach nothing. Lists are taken apart.
    pub fn learn(&self, object: &Json) {
        self.add_forms(&learn::of_object(object));
    }

    fn add_forms(&self, forms: &[Vec<u8>]) {
        let seen = self.shared.known.read().unwrap_or_else(PoisonError::into_inner).has_all(forms);
        if !seen && self.shared.known.write().unwrap_or_else(PoisonError::into_inner).add(forms) {
            self.shared.generation.fetch_add(1, Ordering::Release);
        }
    }

    /// Grows with each value that is learnt.
    pub(super) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    fn values(&self) -> Arc<Values> {
        self.shared.known.read().unwrap_or_else(PoisonError::into_inner).values()
    }

    /// The text with its secrets hidden.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(
                String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
            ),
        }
    }

    /// The bytes with their secrets hidden.
    #[must_use]
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut masks = Masks::default();
        Scanner::default().scan(bytes, true, &mut masks);
        self.values().find(bytes, 0, &mut masks);
        if masks.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut out = Vec::with_capacity(bytes.len());
        masks.emit(bytes, 0, bytes.len(), &mut out);
        Cow::Owned(out)
    }

    /// The JSON value with secrets hidden in every text and key; in whole in a Secret's data, in environment variables whose
    /// names speak of a secret (`DB_PASSWORD`), and under such keys.
    #[must_use]
    pub fn json(&self, value: &Json) -> Json {
        json::redact(self, value)
    }

    /// Starts a text that comes in chunks.
    #[must_use]
    pub fn stream(&self) -> Stream {
        Stream::new(self.clone(), true)
    }

    /// Starts bytes that are no text, in which only values are hidden: what a pattern matches there is chance.
    #[must_use]
    pub fn binary_stream(&self) -> Stream {
        Stream::new(self.clone(), false)
    }
}
