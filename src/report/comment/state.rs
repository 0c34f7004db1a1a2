//! What a comment knows of the run that wrote it, in a hidden line at its end, so that the next run can say what changed.
//!
//! The line is `<!-- example-validator-state: v1 <base64> -->`; the base64 is that of raw deflate of JSON ([`Packed`]).
//! Examples are known by a hash of their path, those that fared alike together: a thousand on eight versions take a few
//! kilobytes whatever their paths are.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::hex::hex;
use crate::model::{ExampleId, Outcome};
use crate::report::details::cause_name;
use crate::report::{Report, Row, words};

const BEFORE: &str = "<!-- example-validator-state: v1 ";
const AFTER: &str = " -->";
/// Most bytes of the line that is written. A state that is larger knows less.
const MAX_LINE: usize = 16_384;
/// Most bytes that are taken from a line that is read, before and after it is inflated.
const MAX_READ: u64 = 1 << 20;
/// Most cells that are read.
const MAX_CELLS: usize = 1 << 20;
/// Most bytes of a cause's name that are kept.
const MAX_CAUSE: usize = 80;

/// The outcomes of a run, as far as its comment keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The commit that was judged.
    pub commit: String,
    /// The same for two runs whose results are the same, cause and all. It is that of all results, whatever is kept.
    pub digest: String,
    /// Whether the run was simulated: not to be compared with one that was not.
    pub simulated: bool,
    kept: Kept,
    /// The columns; the empty one for what was judged statically alone.
    versions: Vec<String>,
    causes: Vec<String>,
    /// By the hash of an example, its outcome in each column.
    examples: BTreeMap<u32, Vec<Option<Cell>>>,
}

/// What is kept of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kept {
    /// Everything.
    #[serde(rename = "a")]
    All,
    /// The examples that are not good somewhere: any other one was, or was not judged.
    #[serde(rename = "b")]
    Bad,
    /// Some of those.
    #[serde(rename = "p")]
    Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    outcome: Outcome,
    /// The cause's index.
    cause: Option<usize>,
}

/// What is known of a cell of the run before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Was<'a> {
    /// Its outcome, and the name of its cause; empty without one.
    Known(Outcome, &'a str),
    /// It was not judged.
    Absent,
    /// It was not bad; whether it was judged is not known.
    NotBad,
    /// Nothing.
    Unknown,
}

/// The state as JSON, with short names for each byte counts.
#[derive(Serialize, Deserialize)]
struct Packed {
    #[serde(rename = "c")]
    commit: String,
    #[serde(rename = "d")]
    digest: String,
    #[serde(rename = "s")]
    simulated: bool,
    #[serde(rename = "k")]
    kept: Kept,
    #[serde(rename = "v")]
    versions: Vec<String>,
    #[serde(rename = "r")]
    causes: Vec<String>,
    /// By how examples fared, a word a column (`pf0-`), their hashes: four bytes each, big-endian, in base64.
    #[serde(rename = "e")]
    examples: BTreeMap<String, String>,
}

impl State {
    /// The state of a run that judged this commit.
    #[must_use]
    pub fn of(report: &Report, commit: &str) -> Self {
        let rows = &report.results;
        let versions = columns(rows);
        let mut state = Self {
            commit: commit.chars().take(64).collect(),
            digest: digest(rows),
            simulated: report.run.simulated,
            kept: Kept::All,
            causes: causes(rows),
            examples: BTreeMap::new(),
            versions,
        };
        for row in rows {
            let column = state.column(row);
            let cause = cause_of(row).and_then(|cause| state.causes.binary_search(&cause).ok());
            let cells = state.examples.entry(hash(&row.example)).or_insert_with(|| vec![None; state.versions.len()]);
            if let Some(cell) = column.and_then(|column| cells.get_mut(column)) {
                *cell = Some(Cell { outcome: row.outcome, cause });
            }
        }
        state
    }

    /// The state in a comment; `None` if there is none that can be read: no line, another version, cut off, or not ours.
    #[must_use]
    pub fn read(body: &str) -> Option<Self> {
        let line = body.trim_end().lines().next_back()?;
        let encoded = line.strip_prefix(BEFORE)?.strip_suffix(AFTER)?;
        if encoded.len() as u64 > MAX_READ {
            return None;
        }
        let deflated = STANDARD.decode(encoded).ok()?;
        let mut json = Vec::new();
        DeflateDecoder::new(deflated.as_slice()).take(MAX_READ + 1).read_to_end(&mut json).ok()?;
        if json.len() as u64 > MAX_READ {
            return None;
        }
        unpacked(serde_json::from_slice(&json).ok()?)
    }

    /// The hidden line, without a line end, of at most 16 KiB.
    #[must_use]
    pub fn line(&self) -> String {
        let line = |state: &Self| format!("{BEFORE}{}{AFTER}", STANDARD.encode(deflated(&state.packed())));
        let mut text = line(self);
        if text.len() <= MAX_LINE {
            return text;
        }
        let mut state = self.clone();
        state.kept = Kept::Bad;
        state.examples.retain(|_, cells| cells.iter().flatten().any(|cell| is_bad(cell.outcome)));
        text = line(&state);
        while text.len() > MAX_LINE && !state.examples.is_empty() {
            state.kept = Kept::Part;
            // What is dropped is chosen by hash, so by chance.
            let half = state.examples.len() / 2;
            state.examples = std::mem::take(&mut state.examples).into_iter().take(half).collect();
            state.forget_causes();
            if half == 0 {
                state.versions.clear();
            }
            text = line(&state);
        }
        text
    }

    /// What is known of the cell of a row.
    pub(super) fn was(&self, row: &Row) -> Was<'_> {
        let cells = self.examples.get(&hash(&row.example));
        let cell = self.column(row).and_then(|column| cells?.get(column).copied().flatten());
        match (cell, self.kept) {
            (Some(Cell { outcome, cause }), _) => {
                Was::Known(outcome, cause.and_then(|cause| self.causes.get(cause)).map_or("", String::as_str))
            }
            (None, Kept::All) => Was::Absent,
            (None, Kept::Bad) => Was::NotBad,
            (None, Kept::Part) if cells.is_some() => Was::Absent,
            (None, Kept::Part) => Was::Unknown,
        }
    }

    fn column(&self, row: &Row) -> Option<usize> {
        let version = row.kubernetes.as_deref().unwrap_or_default();
        self.versions.iter().position(|other| other == version)
    }

    /// Drops the causes that no cell names.
    fn forget_causes(&mut self) {
        let used: BTreeSet<_> = self.examples.values().flatten().flatten().filter_map(|cell| cell.cause).collect();
        let used: Vec<_> = used.into_iter().collect();
        self.causes = used.iter().map(|cause| self.causes[*cause].clone()).collect();
        for cell in self.examples.values_mut().flatten().flatten() {
            cell.cause = cell.cause.and_then(|cause| used.binary_search(&cause).ok());
        }
    }

    fn packed(&self) -> Packed {
        let mut alike: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (hash, cells) in &self.examples {
            let words: Vec<_> = cells.iter().map(|cell| word(*cell)).collect();
            alike.entry(words.concat()).or_default().extend(hash.to_be_bytes());
        }
        Packed {
            commit: self.commit.clone(),
            digest: self.digest.clone(),
            simulated: self.simulated,
            kept: self.kept,
            versions: self.versions.clone(),
            causes: self.causes.clone(),
            examples: alike.into_iter().map(|(words, hashes)| (words, STANDARD_NO_PAD.encode(hashes))).collect(),
        }
    }
}

/// The state, if each of its parts fits the others.
fn unpacked(packed: Packed) -> Option<State> {
    let mut examples = BTreeMap::new();
    let mut count = 0;
    for (words, hashes) in packed.examples {
        let cells = cells(&words, packed.causes.len())?;
        let hashes = STANDARD_NO_PAD.decode(hashes).ok()?;
        let (hashes, rest) = hashes.as_chunks::<4>();
        count += cells.len() * hashes.len();
        if cells.len() != packed.versions.len() || !rest.is_empty() || count > MAX_CELLS {
            return None;
        }
        examples.extend(hashes.iter().map(|hash| (u32::from_be_bytes(*hash), cells.clone())));
    }
    Some(State {
        commit: packed.commit,
        digest: packed.digest,
        simulated: packed.simulated,
        kept: packed.kept,
        versions: packed.versions,
        causes: packed.causes,
        examples,
    })
}

/// A letter for each outcome.
const LETTERS: [(char, Outcome); 6] = [
    ('p', Outcome::Passed),
    ('f', Outcome::Failed),
    ('t', Outcome::TimedOut),
    ('k', Outcome::Flaky),
    ('s', Outcome::Skipped),
    ('e', Outcome::Errored),
];

fn word(cell: Option<Cell>) -> String {
    let Some(Cell { outcome, cause }) = cell else { return "-".to_owned() };
    let letter = LETTERS.iter().find(|(_, of)| *of == outcome).map_or('-', |(letter, _)| *letter);
    cause.map_or_else(|| letter.to_string(), |cause| format!("{letter}{cause}"))
}

/// What words say of the cells of an example; `None` if one is no word of ours.
fn cells(words: &str, causes: usize) -> Option<Vec<Option<Cell>>> {
    let mut cells = Vec::new();
    let mut rest = words;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        let index = &after[..after.len() - rest.len()];
        let cause = match index {
            "" => None,
            index => Some(index.parse().ok().filter(|index| *index < causes)?),
        };
        let letter = LETTERS.iter().find(|(letter, _)| *letter == first);
        cells.push(match letter {
            Some((_, outcome)) => Some(Cell { outcome: *outcome, cause }),
            None if first == '-' && cause.is_none() => None,
            None => return None,
        });
    }
    Some(cells)
}

fn deflated(packed: &Packed) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    // Neither strings and numbers nor a buffer in memory fail.
    let written = serde_json::to_vec(packed).is_ok_and(|json| encoder.write_all(&json).is_ok());
    if written { encoder.finish().unwrap_or_default() } else { Vec::new() }
}

fn columns(rows: &[Row]) -> Vec<String> {
    let statically = rows.iter().any(|row| row.kubernetes.is_none()).then(String::new);
    statically.into_iter().chain(words::versions(rows).into_iter().map(str::to_owned)).collect()
}

/// The names of the causes, sorted.
fn causes(rows: &[Row]) -> Vec<String> {
    rows.iter().filter_map(cause_of).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The name of the cause of a row that is bad.
fn cause_of(row: &Row) -> Option<String> {
    let name = clipped(cause_name(row));
    (row.is_bad() && !name.is_empty()).then_some(name)
}

fn clipped(name: String) -> String {
    match name.char_indices().nth(MAX_CAUSE) {
        Some((end, _)) => name[..end].to_owned(),
        None => name,
    }
}

fn is_bad(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Failed | Outcome::TimedOut | Outcome::Errored)
}

/// A hash of an example's path. Two that share one are taken for each other, in a remark on what changed alone.
fn hash(example: &ExampleId) -> u32 {
    let digest = Sha256::digest(example.as_str());
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// 16 hexadecimal digits over every result: example, version, outcome, cause.
fn digest(rows: &[Row]) -> String {
    let mut hasher = Sha256::new();
    for row in rows {
        let version = row.kubernetes.as_deref().unwrap_or_default();
        let quarantined = if row.quarantined { "quarantined" } else { "" };
        for part in [row.example.as_str(), version, row.outcome.as_str(), &cause_name(row), quarantined] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
    }
    hex(&hasher.finalize()[..8])
}

#[cfg(test)]
mod tests;
