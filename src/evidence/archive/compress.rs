//! Compresses files on several threads, and hands them over in their order.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use tempfile::SpooledTempFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::{Source, as_io};
use crate::evidence::folder::Needs;
use crate::evidence::redact::Redactor;

/// A compressed file stays in memory up to this size, in bytes.
const IN_MEMORY: usize = 1 << 20;
/// How many files each thread may be ahead of the archive.
const AHEAD: usize = 4;
/// How much is read at once.
const CHUNK: usize = 64 * 1024;
const MOST_THREADS: usize = 8;

/// A compressed file: an archive of one entry.
pub(super) struct Packed {
    pub zip: ZipArchive<SpooledTempFile>,
    /// Its bytes before they were compressed, redacted.
    pub bytes: u64,
}

/// How every entry is written: with no time; of zlib-rs's levels, the one that comes to about the size of `zip -6` at half its
/// cost.
pub(super) fn options() -> SimpleFileOptions {
    SimpleFileOptions::DEFAULT
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(4))
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o644)
}

/// Compresses the files, and calls `take` with each in turn. What grows too big for memory is kept in `spool` meanwhile.
///
/// # Errors
/// What `take` returns, which ends it all.
pub(super) fn all<'a>(
    sources: &'a [Source],
    redactor: &Redactor,
    spool: &Path,
    mut take: impl FnMut(&'a Source, io::Result<Packed>) -> io::Result<()>,
) -> io::Result<()> {
    let threads = thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(1, MOST_THREADS);
    let (give, tokens) = channel();
    (0..threads * AHEAD).for_each(|_| {
        // The other end is in this function.
        let _ = give.send(());
    });
    let jobs = Mutex::new((sources.iter().enumerate(), tokens));
    let (done, results) = channel();
    thread::scope(|scope| {
        for _ in 0..threads {
            let (done, jobs) = (done.clone(), &jobs);
            scope.spawn(move || {
                while let Some((index, source)) = next(jobs) {
                    if done.send((index, pack(source, redactor, spool))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        // Dropping `give` and the results ends the threads, also when `take` fails.
        let (give, results): (_, Receiver<(usize, io::Result<Packed>)>) = (give, results);
        let mut early = BTreeMap::new();
        let mut expected = 0;
        for (index, packed) in results {
            early.insert(index, packed);
            while let Some(packed) = early.remove(&expected) {
                take(&sources[expected], packed)?;
                expected += 1;
                let _ = give.send(());
            }
        }
        Ok(())
    })
}

/// The next file, as soon as the archive is not too far behind.
fn next<T>(jobs: &Mutex<(impl Iterator<Item = T>, Receiver<()>)>) -> Option<T> {
    let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
    jobs.1.recv().ok()?;
    jobs.0.next()
}

fn pack(source: &Source, redactor: &Redactor, spool: &Path) -> io::Result<Packed> {
    let mut file = File::open(&source.path)?;
    let mut zip = ZipWriter::new(tempfile::spooled_tempfile_in(IN_MEMORY, spool));
    zip.start_file(&source.name, options()).map_err(as_io)?;
    let mut chunk = vec![0; CHUNK.min(usize::try_from(source.length).unwrap_or(CHUNK)).max(1)];
    let (mut out, mut bytes, mut stream) = (Vec::new(), 0, None);
    loop {
        let length = file.read(&mut chunk)?;
        let read = &chunk[..length];
        let stream = stream.get_or_insert_with(|| match source.needs {
            Needs::Nothing => None,
            Needs::All if !read[..length.min(8192)].contains(&0) => Some(redactor.stream()),
            Needs::All | Needs::Values => Some(redactor.binary_stream()),
        });
        match stream {
            None => out.extend_from_slice(read),
            Some(stream) if length == 0 => stream.finish(&mut out),
            Some(stream) => stream.push(read, &mut out),
        }
        zip.write_all(&out)?;
        bytes += out.len() as u64;
        out.clear();
        if length == 0 {
            break;
        }
    }
    let zip = ZipArchive::new(zip.finish().map_err(as_io)?).map_err(as_io)?;
    Ok(Packed { zip, bytes })
}
