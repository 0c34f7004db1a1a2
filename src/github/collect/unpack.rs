//! What is taken out of an artifact: three files, by their names, and only where the archive is one that we could have written.
//!
//! An artifact of another run is written by whoever wrote the change, so nothing of it reaches the disk: what is wanted is
//! unpacked into memory, within bounds that hold whatever its headers say, and everything else is left alone (archives inside it
//! among that). An archive with a name that would lead out of a folder is refused as a whole: it is not ours.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use zip::{CompressionMethod, ZipArchive};

const MIB: u64 = 1 << 20;
/// What an archive may be like as a whole. Each entry costs its reader several times what it is in the directory.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// The most entries. Evidence has some twenty files a cell.
    entries: usize,
    /// The most that is read to learn what it holds, in bytes.
    directory: u64,
}

const BOUNDS: Bounds = Bounds { entries: 200_000, directory: 48 * MIB };
/// The longest name of an entry, in bytes.
const MAX_NAME: usize = 4_096;
/// What JSON shrinks to at most: reports of thousands of rows that differ in a name were seen at 1:60.
const MAX_RATIO: u64 = 400;
/// Below this size, in bytes, a file may shrink to anything.
const RATIO_FROM: u64 = MIB;

/// The files that are taken, and how long each may be, in bytes.
const WANTED: [(&str, u64); 3] = [("report.json", 64 * MIB), ("journal.jsonl", 64 * MIB), ("plan.json", 32 * MIB)];

/// The wanted files of an archive that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unpacked(BTreeMap<&'static str, Vec<u8>>);

impl Unpacked {
    /// How much it is.
    pub(super) fn bytes(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// The content of the file, `report.json` for one.
    pub(super) fn take(&mut self, name: &str) -> Option<Vec<u8>> {
        self.0.remove(name)
    }
}

/// Why an archive is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("it is not a zip archive that can be read: {0}")]
    NotZip(String),
    #[error("it has more than {0} entries")]
    TooManyEntries(usize),
    #[error("two of its entries have the same name")]
    SameNames,
    #[error("its entry {0:?} {1}")]
    Entry(String, &'static str),
    #[error("its {0} {1}")]
    File(&'static str, String),
}

/// Unpacks what is wanted of an archive.
///
/// # Errors
/// [`Refused`], if the archive is damaged, or not one that this program writes.
pub(super) fn unpack(archive: impl Read + Seek) -> Result<Unpacked, Refused> {
    within(BOUNDS, archive)
}

fn within(bounds: Bounds, archive: impl Read + Seek) -> Result<Unpacked, Refused> {
    let budget = Rc::new(Cell::new(bounds.directory));
    let budgeted = Budgeted { inner: archive, left: Rc::clone(&budget) };
    let mut archive = ZipArchive::new(budgeted).map_err(|error| Refused::NotZip(error.to_string()))?;
    if archive.len() > bounds.entries {
        return Err(Refused::TooManyEntries(bounds.entries));
    }
    if archive.has_duplicate_names() {
        return Err(Refused::SameNames);
    }
    let mut found = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(|error| Refused::NotZip(error.to_string()))?;
        let raw = entry.name_raw();
        let refuse = |why| Refused::Entry(String::from_utf8_lossy(&raw[..raw.len().min(MAX_NAME)]).into_owned(), why);
        let name = std::str::from_utf8(raw).map_err(|_| refuse("has a name that is not UTF-8"))?;
        is_plain(name.strip_suffix('/').unwrap_or(name)).map_err(refuse)?;
        if !matches!(entry.unix_mode().unwrap_or(0) & 0o170_000, 0 | 0o100_000 | 0o040_000) {
            return Err(refuse("is neither a file nor a folder"));
        }
        if let Some((wanted, limit)) = WANTED.iter().find(|(wanted, _)| *wanted == name) {
            found.push((index, *wanted, *limit));
        }
    }
    let mut unpacked = Unpacked::default();
    for (index, name, limit) in found {
        // The headers before the content, and what a decoder reads ahead.
        budget.set(limit + MIB);
        unpacked.0.insert(name, read(&mut archive, index, name, limit)?);
    }
    Ok(unpacked)
}

/// Whether a path stays below the folder that it is relative to, on every system, and can be shown.
pub(super) fn is_plain(path: &str) -> Result<(), &'static str> {
    let bytes = path.as_bytes();
    if path.is_empty() || path.len() > MAX_NAME {
        return Err("has a name of no sensible length");
    }
    if path.chars().any(char::is_control) {
        return Err("has control characters in its name");
    }
    if path.starts_with('/') || path.contains('\\') || (bytes[0].is_ascii_alphabetic() && bytes.get(1) == Some(&b':')) {
        return Err("has a name that is no relative path");
    }
    if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("has a name that leads out of its folder");
    }
    Ok(())
}

/// The content of an entry, within its limit.
fn read<R: Read + Seek>(
    archive: &mut ZipArchive<Budgeted<R>>,
    index: usize,
    name: &'static str,
    limit: u64,
) -> Result<Vec<u8>, Refused> {
    let refuse = |why: String| Refused::File(name, why);
    let entry = archive.by_index_data(index).map_err(|error| refuse(error.to_string()))?;
    let (packed, size) = (entry.compressed_size(), entry.size());
    if entry.encrypted() {
        return Err(refuse("is encrypted".to_owned()));
    }
    if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
        return Err(refuse("is compressed in a way that artifacts are not".to_owned()));
    }
    let most = limit.min(packed.saturating_mul(MAX_RATIO).max(RATIO_FROM));
    let too_long = || refuse(format!("unpacks to more than {most} bytes"));
    if size > most {
        return Err(too_long());
    }
    let mut content = Vec::new();
    let entry = archive.by_index(index).map_err(|error| refuse(error.to_string()))?;
    entry.take(most + 1).read_to_end(&mut content).map_err(|error| refuse(format!("can't be unpacked: {error}")))?;
    match content.len() as u64 {
        length if length > most => Err(too_long()),
        length if length != size => Err(refuse(format!("has {length} bytes, and not the {size} that it should have"))),
        _ => Ok(content),
    }
}

/// A reader of which only so much may be read. Opening an archive reads its directory, whose length only the archive tells.
struct Budgeted<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Budgeted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.get() == 0 && !buffer.is_empty() {
            return Err(io::Error::other("it takes more to read than an archive of ours"));
        }
        let most = usize::try_from(self.left.get()).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.inner.read(&mut buffer[..most])?;
        self.left.set(self.left.get() - read as u64);
        Ok(read)
    }
}

impl<R: Seek> Seek for Budgeted<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

#[cfg(test)]
mod tests;
