//! Archives of images: what `docker save` writes, as one zstd frame with a checksum.

use crate::hex;
use std::fs::File;
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use zstd::stream::raw::CParameter;

/// The fastest level that is worth its name: an image is packed once and unpacked once a node, and layers barely get smaller
/// above it.
const LEVEL: i32 = 1;
/// Most threads that pack; more than these do not get more out of a pipe.
const MAX_THREADS: u32 = 4;
/// How much is moved at once.
const CHUNK: usize = 256 * 1024;

/// An archive that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub size: u64,
    /// The size of what is in it.
    pub unpacked: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// An archive that was written to its end, beside its place.
#[derive(Debug)]
pub(super) struct Packed {
    file: NamedTempFile,
    size: u64,
    unpacked: u64,
    sha256: String,
}

impl Packed {
    /// Puts it where it belongs, whole.
    pub(super) fn keep(self, target: &Path) -> io::Result<Written> {
        self.file.persist(target).map_err(|error| error.error)?;
        Ok(Written { path: target.to_owned(), size: self.size, unpacked: self.unpacked, sha256: self.sha256 })
    }
}

/// Packs a stream into a file in the folder of `target`.
pub(super) fn compress(source: impl Read, target: &Path) -> io::Result<Packed> {
    let folder = target.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let file = tempfile::Builder::new().prefix(".archive-").tempfile_in(folder)?;
    let out = Hashed { inner: file.as_file(), hasher: Sha256::new(), size: 0 };
    let mut encoder = zstd::Encoder::new(out, LEVEL)?;
    encoder.include_checksum(true)?;
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    encoder.set_parameter(CParameter::NbWorkers(u32::try_from(threads).unwrap_or(1).min(MAX_THREADS)))?;
    let unpacked = moved(source, &mut encoder)?;
    let out = encoder.finish()?;
    let (size, sha256) = (out.size, hex(out.hasher));
    Ok(Packed { file, size, unpacked, sha256 })
}

/// Unpacks an archive into a stream; says how much came out. One that is not whole, or was changed, is an error.
pub(super) fn decompress(archive: File, mut target: impl Write) -> io::Result<u64> {
    moved(zstd::Decoder::new(archive)?, &mut target)
}

/// Writes what comes into a file in `folder`, as it is; with its SHA-256.
pub(super) fn received(source: impl Read, folder: &Path) -> io::Result<(NamedTempFile, String)> {
    let file = tempfile::Builder::new().prefix(".archive-").tempfile_in(folder)?;
    let mut out = Hashed { inner: file.as_file(), hasher: Sha256::new(), size: 0 };
    moved(source, &mut out)?;
    let sha256 = hex(out.hasher);
    Ok((file, sha256))
}

/// The SHA-256 of a file and its size.
pub(super) fn sha256(file: &Path) -> io::Result<(String, u64)> {
    let mut hashed = Hashed { inner: io::sink(), hasher: Sha256::new(), size: 0 };
    moved(File::open(file)?, &mut hashed)?;
    Ok((hex(hashed.hasher), hashed.size))
}

fn hex(hasher: Sha256) -> String {
    hex::hex(&hasher.finalize())
}

fn moved(mut source: impl Read, target: &mut impl Write) -> io::Result<u64> {
    let mut chunk = vec![0; CHUNK];
    let mut total = 0;
    loop {
        match source.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => {
                target.write_all(&chunk[..length])?;
                total += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    target.flush()?;
    Ok(total)
}

/// A writer that hashes what goes through it.
struct Hashed<W> {
    inner: W,
    hasher: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        self.size += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(folder: &Path, content: &[u8]) -> Written {
        let target = folder.join("a/x.tar.zst");
        compress(content, &target).unwrap().keep(&target).unwrap()
    }

    #[test]
    fn what_was_packed_comes_out_again() {
        let folder = tempfile::tempdir().unwrap();
        let content = b"layer ".repeat(500_000);
        let written = archive(folder.path(), &content);
        assert_eq!(sha256(&written.path).unwrap(), (written.sha256.clone(), written.size));
        assert!(written.unpacked == content.len() as u64 && written.size < written.unpacked / 10);
        let mut out = Vec::new();
        decompress(File::open(&written.path).unwrap(), &mut out).unwrap();
        assert!(out == content);
    }

    #[test]
    fn an_archive_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x.tar.zst");
        drop(compress(&b"x"[..], &target).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_archive_that_was_cut_or_changed_does_not_come_out() {
        let folder = tempfile::tempdir().unwrap();
        let written = archive(folder.path(), &b"layer ".repeat(500_000));
        let whole = std::fs::read(&written.path).unwrap();
        let mut changed = whole.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        for bytes in [&whole[..whole.len() / 2], &changed, b"no archive"] {
            std::fs::write(&written.path, bytes).unwrap();
            assert!(decompress(File::open(&written.path).unwrap(), &mut io::sink()).is_err());
        }
    }
}
