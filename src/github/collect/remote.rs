//! An archive that is elsewhere, read in parts: the results of a shard are a few kilobytes beside gigabytes of evidence.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;

/// How long a part is, in bytes.
pub(super) const PART: u64 = 1 << 20;
/// How many parts are kept.
const KEPT: usize = 16;
/// The most that is fetched of one archive, in bytes: three files at their limits, and its directory.
const MOST: u64 = 256 << 20;

/// Bytes that `fetch` gets, part by part. It is given where a part starts and how long it is, and gives exactly that.
pub(super) struct Remote<F> {
    fetch: F,
    size: u64,
    at: u64,
    parts: BTreeMap<u64, Bytes>,
    left: u64,
}

impl<F: FnMut(u64, u64) -> io::Result<Bytes>> Remote<F> {
    /// The archive of `size` bytes, of which the first part is known already.
    pub(super) fn new(first: Bytes, size: u64, fetch: F) -> Self {
        let parts = if first.len() as u64 == size.min(PART) { BTreeMap::from([(0, first)]) } else { BTreeMap::new() };
        Self { fetch, size, at: 0, parts, left: MOST }
    }

    /// The part that starts there.
    fn part(&mut self, start: u64) -> io::Result<&Bytes> {
        if !self.parts.contains_key(&start) {
            let length = PART.min(self.size - start);
            self.left =
                self.left.checked_sub(length).ok_or_else(|| io::Error::other("too much of it would be fetched"))?;
            let part = (self.fetch)(start, length)?;
            if part.len() as u64 != length {
                return Err(io::Error::other("a part of it is of another length"));
            }
            if self.parts.len() >= KEPT {
                // The one that is farthest away: archives are read from their ends inwards, then file by file.
                let farthest = self.parts.keys().copied().max_by_key(|known| known.abs_diff(start));
                farthest.and_then(|known| self.parts.remove(&known));
            }
            self.parts.insert(start, part);
        }
        self.parts.get(&start).ok_or_else(|| io::Error::other("a part of it is lost"))
    }
}

impl<F: FnMut(u64, u64) -> io::Result<Bytes>> Read for Remote<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        let start = self.at - self.at % PART;
        let inside = usize::try_from(self.at - start).map_err(io::Error::other)?;
        let part = &self.part(start)?[inside..];
        let length = part.len().min(buffer.len());
        buffer[..length].copy_from_slice(&part[..length]);
        self.at += length as u64;
        Ok(length)
    }
}

impl<F> Seek for Remote<F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a place before its start"))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn blob(size: u64) -> Vec<u8> {
        (0..size).map(|index| u8::try_from(index * 31 % 251).unwrap()).collect()
    }

    fn cut(blob: &[u8], start: u64, length: u64) -> Bytes {
        let (start, length) = (usize::try_from(start).unwrap(), usize::try_from(length).unwrap());
        Bytes::copy_from_slice(&blob[start..start + length])
    }

    #[test]
    fn it_reads_like_the_file_and_fetches_each_part_once() {
        let blob = blob(3 * PART + 7);
        let asked = RefCell::new(Vec::new());
        let fetch = |start, length| {
            asked.borrow_mut().push((start / PART, length));
            Ok(cut(&blob, start, length))
        };
        let mut remote = Remote::new(cut(&blob, 0, PART), blob.len() as u64, fetch);
        let mut end = [0; 10];
        remote.seek(SeekFrom::End(-10)).unwrap();
        remote.read_exact(&mut end).unwrap();
        assert_eq!(end, blob[blob.len() - 10..]);
        assert_eq!(remote.read(&mut end).unwrap(), 0);
        remote.seek(SeekFrom::Start(0)).unwrap();
        let mut all = Vec::new();
        remote.read_to_end(&mut all).unwrap();
        assert!(all == blob);
        assert_eq!(*asked.borrow(), [(2, PART), (3, 7), (1, PART)]);
    }

    #[test]
    fn what_is_fetched_has_an_end() {
        let size = 4 * MOST;
        let mut fetched = 0;
        let fetch = |_, length: u64| {
            fetched += length;
            Ok(Bytes::from(vec![0; usize::try_from(length).unwrap()]))
        };
        let mut remote = Remote::new(Bytes::new(), size, fetch);
        let error = io::copy(&mut remote, &mut io::sink()).unwrap_err();
        assert_eq!(error.to_string(), "too much of it would be fetched");
        assert_eq!(fetched, MOST);
    }

    #[test]
    fn a_part_of_another_length_and_a_place_before_the_start_are_refused() {
        let mut remote = Remote::new(Bytes::new(), 100, |_, _| Ok(Bytes::from_static(b"short")));
        assert!(remote.read(&mut [0; 4]).is_err());
        assert!(remote.seek(SeekFrom::Current(-1)).is_err());
        assert_eq!(remote.seek(SeekFrom::End(5)).unwrap(), 105);
        assert_eq!(remote.read(&mut [0; 4]).unwrap(), 0);
    }
}
