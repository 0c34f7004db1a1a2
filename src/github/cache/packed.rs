//! An entry of the cache as it goes over the wire, without its being anywhere: a tar in a zstd frame whose blocks are stored, not
//! compressed, since what is kept is compressed already. So every byte of it has a known place in the files that it is made of,
//! its size is known before the first is read, and any part of it can be sent, beside others and again.
//!
//! Frame: <https://www.rfc-editor.org/rfc/rfc8878>, sections 3.1.1 and 3.1.1.2. The tar is what `actions/cache` writes for a
//! folder: its own entry first, then what is in it, all under its name.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, Stream};
use tar::{Builder, EntryType, Header};

/// The magic number; a descriptor that promises eight bytes of content size, no checksum and no dictionary; a window of 128 KiB.
const FRAME: [u8; 6] = [0x28, 0xb5, 0x2f, 0xfd, 0xc0, 0x38];
/// The frame's head with the content's size.
const HEAD: u64 = FRAME.len() as u64 + 8;
/// Most bytes of a block, by the format.
const BLOCK: u64 = 128 * 1024;
/// Bytes before each block.
const BLOCK_HEAD: u64 = 3;
/// How much of a part is in memory at once while it is sent.
const PIECE: u64 = 512 * 1024;
/// Of what a tar is made.
const RECORD: u64 = 512;

/// What goes into an entry, in the order in which it was given.
pub struct Packer {
    folder: String,
    /// The time that each file gets, in seconds since 1970.
    time: u64,
    pieces: Vec<Piece>,
    length: u64,
}

/// An entry that can be read anywhere.
#[derive(Clone, Debug)]
pub struct Packed {
    /// Pieces of the tar, one after the other.
    pieces: Arc<[Piece]>,
    /// The tar's size.
    length: u64,
}

#[derive(Clone, Debug)]
struct Piece {
    /// Where in the tar it begins.
    start: u64,
    length: u64,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Bytes(Vec<u8>),
    File(Arc<File>),
}

impl Packer {
    /// An entry of nothing but a folder. `time` is in seconds since 1970.
    ///
    /// # Errors
    /// The name is none for a tar.
    pub fn new(folder: &str, time: u64) -> io::Result<Self> {
        let mut packer = Self { folder: folder.to_owned(), time, pieces: Vec::new(), length: 0 };
        let head = packer.header(&format!("{folder}/"), EntryType::Directory, 0o755, 0)?;
        packer.push(head.len() as u64, Content::Bytes(head));
        Ok(packer)
    }

    /// A file of the folder, `length` bytes of which are packed, once they are asked for.
    ///
    /// # Errors
    /// The name is none for a tar.
    pub fn file(&mut self, name: &str, file: File, length: u64) -> io::Result<()> {
        self.add(name, length, Content::File(Arc::new(file)))
    }

    /// A small file of the folder.
    ///
    /// # Errors
    /// The name is none for a tar.
    pub fn bytes(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.add(name, content.len() as u64, Content::Bytes(content.to_owned()))
    }

    /// The entry.
    #[must_use]
    pub fn finish(mut self) -> Packed {
        let end = 2 * RECORD;
        self.push(end, Content::Bytes(vec![0; usize::try_from(end).unwrap_or_default()]));
        Packed { pieces: self.pieces.into(), length: self.length }
    }

    fn add(&mut self, name: &str, length: u64, content: Content) -> io::Result<()> {
        let head = self.header(&format!("{}/{name}", self.folder), EntryType::Regular, 0o644, length)?;
        self.push(head.len() as u64, Content::Bytes(head));
        self.push(length, content);
        let rest = length.next_multiple_of(RECORD) - length;
        self.push(rest, Content::Bytes(vec![0; usize::try_from(rest).unwrap_or_default()]));
        Ok(())
    }

    /// A header, with the one before it that a long name needs.
    fn header(&self, path: &str, kind: EntryType, mode: u32, length: u64) -> io::Result<Vec<u8>> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(self.time);
        header.set_size(length);
        header.set_uid(0);
        header.set_gid(0);
        let mut builder = Builder::new(Vec::new());
        builder.append_data(&mut header, path, io::empty())?;
        // The end of a tar is written by `into_inner`, and by dropping; this is only its beginning.
        Ok(std::mem::take(builder.get_mut()))
    }

    fn push(&mut self, length: u64, content: Content) {
        if length > 0 {
            self.pieces.push(Piece { start: self.length, length, content });
            self.length += length;
        }
    }
}

impl Packed {
    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        HEAD + self.blocks() * BLOCK_HEAD + self.length
    }

    /// Fills `buffer` with what begins at `offset`.
    ///
    /// # Errors
    /// A file can't be read, or got shorter; `UnexpectedEof` beyond the end.
    pub fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        let head = self.head();
        while !buffer.is_empty() {
            let taken = if offset < HEAD {
                copied(&head, offset, buffer)
            } else {
                let (block, within) = ((offset - HEAD) / (BLOCK + BLOCK_HEAD), (offset - HEAD) % (BLOCK + BLOCK_HEAD));
                if block >= self.blocks() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                if within < BLOCK_HEAD {
                    copied(&self.block_head(block), within, buffer)
                } else {
                    let start = block * BLOCK + within - BLOCK_HEAD;
                    let left = self.block_end(block).saturating_sub(start);
                    let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.read_tar(start, &mut buffer[..length])?;
                    length
                }
            };
            if taken == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            offset += taken as u64;
            buffer = &mut buffer[taken..];
        }
        Ok(())
    }

    /// All of it, read while it is taken.
    pub fn stream(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        self.part(0, self.size())
    }

    /// A part of it, read while it is taken.
    pub fn part(&self, start: u64, length: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let end = start + length;
        stream::try_unfold((self.clone(), start), move |(packed, offset)| async move {
            let length = PIECE.min(end.saturating_sub(offset));
            if length == 0 {
                return Ok(None);
            }
            let reading = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; usize::try_from(length).unwrap_or_default()];
                packed.read_at(offset, &mut piece)?;
                Ok::<_, io::Error>((piece, packed))
            });
            let (piece, packed) = reading.await.map_err(io::Error::other)??;
            Ok(Some((Bytes::from(piece), (packed, offset + length))))
        })
    }

    fn read_tar(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        let first = self.pieces.partition_point(|piece| piece.start + piece.length <= offset);
        for piece in &self.pieces[first..] {
            if buffer.is_empty() {
                return Ok(());
            }
            let within = offset - piece.start;
            let length = buffer.len().min(usize::try_from(piece.length - within).unwrap_or(usize::MAX));
            let (now, later) = buffer.split_at_mut(length);
            match &piece.content {
                Content::Bytes(bytes) => {
                    copied(bytes, within, now);
                }
                Content::File(file) => file.read_exact_at(now, within)?,
            }
            offset += length as u64;
            buffer = later;
        }
        if buffer.is_empty() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn blocks(&self) -> u64 {
        self.length.div_ceil(BLOCK)
    }

    /// Where in the tar a block ends.
    fn block_end(&self, block: u64) -> u64 {
        ((block + 1) * BLOCK).min(self.length)
    }

    fn head(&self) -> Vec<u8> {
        [&FRAME[..], &self.length.to_le_bytes()].concat()
    }

    /// Whether it is the last, that it is stored, its size.
    fn block_head(&self, block: u64) -> [u8; 3] {
        let size = self.block_end(block) - block * BLOCK;
        let bits = size << 3 | u64::from(block + 1 == self.blocks());
        let [first, second, third, ..] = bits.to_le_bytes();
        [first, second, third]
    }
}

/// Copies what begins at `offset` of `from`, and says how much it was.
fn copied(from: &[u8], offset: u64, to: &mut [u8]) -> usize {
    let from = usize::try_from(offset).ok().and_then(|offset| from.get(offset..)).unwrap_or_default();
    let length = from.len().min(to.len());
    to[..length].copy_from_slice(&from[..length]);
    length
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use proptest::prelude::*;

    use super::*;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn all(packed: &Packed) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(packed.size()).unwrap()];
        packed.read_at(0, &mut bytes).unwrap();
        bytes
    }

    fn packed(content: &[u8], name: &str) -> Packed {
        let mut packer = Packer::new(".kept", 1_700_000_000).unwrap();
        packer.file(name, file(content), content.len() as u64).unwrap();
        packer.bytes("sum", b"a sum\n").unwrap();
        packer.finish()
    }

    #[test]
    fn zstd_and_tar_read_what_was_packed() {
        let content: Vec<u8> = (0..300_000_u32).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
        let name = format!("{}.tar.zst", "k".repeat(280));
        let tar = zstd::decode_all(&all(&packed(&content, &name))[..]).unwrap();
        let mut archive = tar::Archive::new(&tar[..]);
        let found: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap(), content)
            })
            .collect();
        let expected = [
            (".kept/".to_owned(), 0o755, Vec::new()),
            (format!(".kept/{name}"), 0o644, content),
            (".kept/sum".to_owned(), 0o644, b"a sum\n".to_vec()),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_file_that_got_shorter_is_an_error() {
        let mut packer = Packer::new(".kept", 0).unwrap();
        packer.file("x", file(b"short"), 1000).unwrap();
        let whole = packer.finish();
        let mut bytes = vec![0; usize::try_from(whole.size()).unwrap()];
        assert_eq!(whole.read_at(0, &mut bytes).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(whole.read_at(whole.size(), &mut [0]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    proptest! {
        #[test]
        fn every_part_is_the_same_part_of_the_whole(length in 0_usize..400_000, at in 0.0..1.0_f64, part in 1_usize..200_000) {
            let content = vec![b'x'; length];
            let packed = packed(&content, "x");
            let whole = all(&packed);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let start = (at * whole.len() as f64) as usize;
            let end = (start + part).min(whole.len());
            let mut bytes = vec![0; end - start];
            packed.read_at(start as u64, &mut bytes).unwrap();
            prop_assert!(bytes == whole[start..end]);
            prop_assert_eq!(zstd::decode_all(&whole[..]).unwrap().len() as u64, packed.length);
        }
    }
}
