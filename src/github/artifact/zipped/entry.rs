//! A file as an entry of a zip that is ready: its sizes and its sum are known before its bytes are read.
//!
//! The file is read twice, first to be measured; the second time must come to the same. Format:
//! <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>, section 4.3.7.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek as _, SeekFrom};
use std::path::Path;

use flate2::bufread::DeflateEncoder;
use flate2::{Compression, Crc};
use zip::read::{ZipFile, read_zipfile_from_stream};
use zip::result::ZipResult;

use super::READ;

/// How hard files are compressed: see the evidence's archive.
const LEVEL: u32 = 4;
/// How files begin that hold what is compressed already: zip, gzip, zstd, xz, bzip2, PNG, JPEG.
const COMPRESSED: [&[u8]; 7] = [
    b"PK\x03\x04",
    &[0x1f, 0x8b],
    &[0x28, 0xb5, 0x2f, 0xfd],
    &[0xfd, b'7', b'z', b'X', b'Z', 0],
    b"BZh",
    &[0x89, b'P', b'N', b'G'],
    &[0xff, 0xd8, 0xff],
];

/// A file's bytes as they are in the zip.
enum Body {
    Stored(Summed),
    Deflated(Box<DeflateEncoder<BufReader<Summed>>>),
}

/// A file whose sum is made while it is read.
struct Summed {
    file: File,
    sum: Crc,
    /// How many bytes were read: the sum counts only 32 bits of them.
    read: u64,
}

/// The sizes and the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Measures {
    /// In the zip.
    packed: u64,
    plain: u64,
    sum: u32,
}

/// An entry: its header, then its bytes.
pub(super) struct Entry {
    header: Cursor<Vec<u8>>,
    body: Body,
    expected: Measures,
    packed: u64,
}

impl Entry {
    /// Measures a file.
    pub(super) fn open(name: &str, path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut start = Vec::new();
        Read::by_ref(&mut file).take(8).read_to_end(&mut start)?;
        let stored = COMPRESSED.iter().any(|magic| start.starts_with(magic));
        let mut body = Body::new(file, stored)?;
        let packed = io::copy(&mut body, &mut io::sink())?;
        let (plain, sum) = body.read_so_far();
        let expected = Measures { packed, plain, sum };
        let header = Cursor::new(header(name, stored, expected)?);
        Ok(Self { header, body: Body::new(body.into_file(), stored)?, expected, packed: 0 })
    }

    /// The entry, for the library to copy.
    pub(super) fn zipped(&mut self) -> ZipResult<ZipFile<'_, Self>> {
        let file = read_zipfile_from_stream(self)?;
        file.ok_or(zip::result::ZipError::FileNotFound)
    }

    /// Whether what was copied is what was measured.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let more = self.body.read(&mut [0])?;
        let (plain, sum) = self.body.read_so_far();
        let found = Measures { packed: self.packed, plain, sum };
        if more == 0 && found == self.expected { Ok(()) } else { Err(changed()) }
    }
}

impl Read for Entry {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let of_header = self.header.read(buffer)?;
        if of_header > 0 || buffer.is_empty() {
            return Ok(of_header);
        }
        let count = self.body.read(buffer)?;
        self.packed += count as u64;
        if count == 0 && self.packed < self.expected.packed { Err(changed()) } else { Ok(count) }
    }
}

impl Body {
    fn new(mut file: File, stored: bool) -> io::Result<Self> {
        file.seek(SeekFrom::Start(0))?;
        let summed = Summed { file, sum: Crc::new(), read: 0 };
        Ok(if stored {
            Self::Stored(summed)
        } else {
            let buffered = BufReader::with_capacity(READ, summed);
            Self::Deflated(Box::new(DeflateEncoder::new(buffered, Compression::new(LEVEL))))
        })
    }

    fn summed(&self) -> &Summed {
        match self {
            Self::Stored(summed) => summed,
            Self::Deflated(encoder) => encoder.get_ref().get_ref(),
        }
    }

    /// The plain bytes that were read, and their sum.
    fn read_so_far(&self) -> (u64, u32) {
        let summed = self.summed();
        (summed.read, summed.sum.sum())
    }

    fn into_file(self) -> File {
        match self {
            Self::Stored(summed) => summed.file,
            Self::Deflated(encoder) => encoder.into_inner().into_inner().file,
        }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stored(summed) => summed.read(buffer),
            Self::Deflated(encoder) => encoder.read(buffer),
        }
    }
}

impl Read for Summed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.sum.update(&buffer[..count]);
        self.read += count as u64;
        Ok(count)
    }
}

/// A local file header, with 64-bit sizes in its extra field where 32 bits don't do.
fn header(name: &str, stored: bool, measures: Measures) -> io::Result<Vec<u8>> {
    const UTF_8: u16 = 1 << 11;
    let narrow = |size: u64| u32::try_from(size).ok().filter(|size| *size < u32::MAX);
    let sizes = narrow(measures.packed).zip(narrow(measures.plain));
    let (packed, plain) = sizes.unwrap_or((u32::MAX, u32::MAX));
    let length = u16::try_from(name.len()).map_err(io::Error::other)?;
    let mut header = Vec::with_capacity(64 + name.len());
    header.extend_from_slice(b"PK\x03\x04");
    // Made on Unix, so that its permissions are those that are given with it.
    let version: u16 = (3 << 8) | if sizes.is_some() { 20 } else { 45 };
    // Version, flags, method, time, date.
    for field in [version, UTF_8, if stored { 0 } else { 8 }, 0, 0x21] {
        header.extend_from_slice(&field.to_le_bytes());
    }
    for field in [measures.sum, packed, plain] {
        header.extend_from_slice(&field.to_le_bytes());
    }
    for field in [length, if sizes.is_some() { 0 } else { 20 }] {
        header.extend_from_slice(&field.to_le_bytes());
    }
    header.extend_from_slice(name.as_bytes());
    if sizes.is_none() {
        header.extend_from_slice(&[1, 0, 16, 0]);
        header.extend_from_slice(&measures.plain.to_le_bytes());
        header.extend_from_slice(&measures.packed.to_le_bytes());
    }
    Ok(header)
}

fn changed() -> io::Error {
    io::Error::other("it has changed while it was read")
}
