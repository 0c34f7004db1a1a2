//! The zip that is an artifact, made while it is sent: neither on disk nor in memory is there a second copy.
//!
//! What is in it has its sizes and its sum in front, never behind, so that everyone can read it who reads zips, also from a
//! stream. The library writes the zip; each file comes to it as an entry that is ready.

mod channel;
mod entry;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream::{self, Stream};
use zip::result::ZipError;
use zip::{DateTime, ZipArchive, ZipWriter};

use crate::evidence::{archive, journal, names};

/// How much is read at once.
const READ: usize = 1 << 18;
/// How many chunks may wait to be taken.
const WAITING: usize = 2;

/// What goes into an artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Files under their names in the artifact.
    files: Vec<(String, PathBuf)>,
    /// A zip whose entries are put below a folder of the artifact, and that folder.
    unfolded: Option<(PathBuf, String)>,
}

impl Contents {
    /// What an output folder has to show: the files at its top, and what is in its evidence archive, below `evidence/`. Left out
    /// are the journal and what is hidden, which are of use to a run alone.
    ///
    /// # Errors
    /// The folder can't be read.
    pub fn of_output(folder: &Path) -> io::Result<Self> {
        let mut contents = Self::default();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !entry.file_type()?.is_file() || name.starts_with('.') || name == journal::NAME {
                continue;
            }
            if name == archive::ARCHIVE && ZipArchive::new(BufReader::new(File::open(entry.path())?)).is_ok() {
                contents.unfolded = Some((entry.path(), format!("{}/", archive::COLLECTED)));
            } else {
                contents.files.push((names::segment(&name), entry.path()));
            }
        }
        contents.files.sort();
        Ok(contents)
    }

    /// One file, under its own name.
    #[must_use]
    pub fn of_file(file: &Path) -> Self {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        Self { files: vec![(names::segment(&name), file.to_owned())], unfolded: None }
    }

    /// The zip, in chunks of so many bytes; the last is shorter. It is made on a thread of its own, which is at most three chunks
    /// ahead, and ends when the stream is dropped. An error is the last item.
    pub fn stream(self, chunk: usize) -> impl Stream<Item = io::Result<Bytes>> + Send {
        let (give, take) = tokio::sync::mpsc::channel(WAITING);
        tokio::task::spawn_blocking(move || self.write(&channel::Sink::new(give, chunk)));
        stream::unfold(Some(take), |take| async move {
            let mut take = take?;
            match take.recv().await {
                Some(Ok(chunk)) if chunk.is_empty() => None,
                Some(Ok(chunk)) => Some((Ok(chunk), Some(take))),
                Some(Err(error)) => Some((Err(error), None)),
                None => Some((Err(io::Error::other("the zip was not written to its end")), None)),
            }
        })
    }

    /// Writes the zip, to its end or until an error, which is given too.
    fn write(&self, sink: &channel::Sink) {
        // The library takes it for a file in which it could go back, and does not put sizes behind. It never has to go back,
        // since all entries are ready.
        let mut zip = ZipWriter::new(sink.clone());
        match self.fill(&mut zip).and_then(|()| zip.finish().map(drop).map_err(as_io)) {
            Ok(()) => sink.finish(),
            Err(error) => {
                // What the library writes when it is dropped counts for nothing.
                if let Some(give) = sink.discard() {
                    // Nobody may be there to take it.
                    let _ = give.blocking_send(Err(error));
                }
            }
        }
    }

    fn fill(&self, zip: &mut ZipWriter<channel::Sink>) -> io::Result<()> {
        for (name, path) in &self.files {
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            let mut entry = entry::Entry::open(name, path).map_err(named)?;
            let file = entry.zipped().map_err(as_io)?;
            zip.raw_copy_file_touch(file, DateTime::default(), Some(0o644)).map_err(as_io).map_err(named)?;
            entry.finish().map_err(named)?;
        }
        if let Some((path, folder)) = &self.unfolded {
            let mut inner = ZipArchive::new(BufReader::with_capacity(READ, File::open(path)?)).map_err(as_io)?;
            for index in 0..inner.len() {
                let file = inner.by_index_raw(index).map_err(as_io)?;
                let name = format!("{folder}{}", file.name().map_err(as_io)?);
                zip.raw_copy_file_rename(file, name).map_err(as_io)?;
            }
        }
        Ok(())
    }
}

fn as_io(error: ZipError) -> io::Error {
    match error {
        ZipError::Io(error) => error,
        other => io::Error::other(other),
    }
}
