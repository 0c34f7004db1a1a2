//! Known values, found anywhere in a text.

use std::collections::HashSet;
use std::sync::Arc;

use aho_corasick::AhoCorasick;

use super::scan::Masks;

/// The longest needle, in bytes. Longer values are known by overlapping pieces of this length, which together cover them.
pub(super) const LONGEST: usize = 1024;

/// All values so far.
#[derive(Default)]
pub(super) struct Known {
    needles: HashSet<Arc<[u8]>>,
    values: Arc<Values>,
}

/// The automata that find the values: a few, each at least twice as big as the next, so that adding a value one at a time
/// stays cheap (each value is built into a new automaton only about log2 n times).
#[derive(Clone, Default)]
pub(super) struct Values {
    levels: Vec<Arc<Level>>,
}

struct Level {
    needles: Vec<Arc<[u8]>>,
    automaton: AhoCorasick,
}

impl Known {
    /// Whether all of them are known, so that nobody need wait for the lock that writes.
    pub(super) fn has_all(&self, forms: &[Vec<u8>]) -> bool {
        forms.iter().flat_map(|form| pieces(form)).all(|piece| self.needles.contains(piece))
    }

    /// Adds what is new among them; whether anything was.
    pub(super) fn add(&mut self, forms: &[Vec<u8>]) -> bool {
        let mut new: Vec<Arc<[u8]>> = Vec::new();
        for form in forms {
            for piece in pieces(form) {
                let piece: Arc<[u8]> = piece.into();
                if self.needles.insert(Arc::clone(&piece)) {
                    new.push(piece);
                }
            }
        }
        if new.is_empty() {
            return false;
        }
        let mut levels = self.values.levels.clone();
        while let Some(last) = levels.pop_if(|last| last.needles.len() <= 2 * new.len()) {
            new.extend(last.needles.iter().cloned());
        }
        levels.extend(Level::of(new).map(Arc::new));
        self.values = Arc::new(Values { levels });
        true
    }

    pub(super) fn values(&self) -> Arc<Values> {
        Arc::clone(&self.values)
    }
}

impl Level {
    /// `None` for more text than an automaton can hold (gigabytes), which a cluster's Secrets can't be.
    fn of(needles: Vec<Arc<[u8]>>) -> Option<Self> {
        let automaton = AhoCorasick::new(&needles).ok()?;
        Some(Self { needles, automaton })
    }
}

impl Values {
    /// Marks every occurrence in `text[from..]`, overlapping ones too.
    pub(super) fn find(&self, text: &[u8], from: usize, masks: &mut Masks) {
        for level in &self.levels {
            // The first search is the fast one; most texts have no occurrence.
            let Some(first) = level.automaton.find(&text[from..]) else { continue };
            let from = (from + first.end()).saturating_sub(LONGEST).max(from);
            for found in level.automaton.find_overlapping_iter(&text[from..]) {
                masks.hide(from + found.start(), from + found.end());
            }
        }
    }
}

/// The needles of a value: itself, or pieces that cover it.
fn pieces(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = value.chunks(LONGEST).filter(move |chunk| chunk.len() == LONGEST || value.len() < LONGEST);
    let rest = (value.len() > LONGEST && !value.len().is_multiple_of(LONGEST)).then(|| &value[value.len() - LONGEST..]);
    whole.chain(rest)
}
