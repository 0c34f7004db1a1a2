//! The archive of a run's evidence: one zip, with an index at its top.

mod compress;
mod index;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use zip::ZipWriter;
use zip::result::ZipError;

use super::folder::{Evidence, Limits, Needs};
use super::redact::Redactor;
use super::{journal, log, names};
use crate::error::{Error, Result};
use crate::report::{Row, Run};

/// The folder inside the output folder in which evidence is collected until it is archived.
pub const COLLECTED: &str = "evidence";
/// The archive's name in the output folder.
pub const ARCHIVE: &str = "evidence.zip";

/// What goes into an archive.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    pub evidence: &'a Evidence,
    pub run: &'a Run,
    /// The cells; what lies below the folder that a row names as its evidence belongs to it.
    pub rows: &'a [Row],
}

/// What was archived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archived {
    /// How many files, the index left out, and their bytes.
    pub files: u64,
    pub bytes: u64,
    /// The archive's size in bytes.
    pub size: u64,
    /// What is not in it, and why.
    pub left_out: Vec<LeftOut>,
}

/// A file that is not in the archive. It stays on disk.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LeftOut {
    pub file: String,
    pub why: String,
}

/// A file that is to be archived.
struct Source {
    path: PathBuf,
    /// Its path below the folder, with `/`.
    relative: String,
    /// Its name in the archive.
    name: String,
    length: u64,
    needs: Needs,
}

/// Archives the evidence. The archive appears whole, under its name; only then are the files that it holds deleted. Each
/// file is redacted on its way, if others wrote it or a value has become known since it was written, and compressed on a thread
/// of its own; memory stays flat. Files are in the order of their names, with no times, so the same evidence gives the same archive.
///
/// Symbolic links are not followed. A file that is longer than a log may be is left out, and so is what goes beyond a run's
/// evidence by a quarter; the index says so.
///
/// # Errors
/// [`Error::Io`] if the archive can't be written; the evidence is then as it was. A single file that can't be read is no
/// error: it is left out.
pub fn archive(contents: &Contents<'_>, zip_path: &Path) -> Result<Archived> {
    let dir = contents.evidence.dir();
    let mut left_out = Vec::new();
    let found = collect(contents.evidence, &mut left_out).map_err(|error| Error::io("read", dir, error))?;
    let written = write(contents, &found, zip_path, left_out);
    let (archived, kept) = written.map_err(|error| Error::io("write", zip_path, error))?;
    found.par_iter().zip(kept).filter(|(_, kept)| *kept).for_each(|(source, _)| {
        // The archive has it; what can't be deleted does no harm.
        let _ = fs::remove_file(&source.path);
    });
    remove_empty(dir);
    Ok(archived)
}

/// Archives what a killed run left: its journal is in `output`, its evidence in `dir`. `None` if there is no journal, or
/// nothing of evidence.
///
/// # Errors
/// As [`archive`].
pub fn archive_left(output: &Path, dir: &Path, zip_path: &Path, limits: Limits) -> Result<Option<Archived>> {
    let Some(left) = journal::Journal::read(output).filter(|_| dir.is_dir()) else { return Ok(None) };
    let evidence = Evidence::new(dir, limits, Redactor::new());
    archive(&Contents { evidence: &evidence, run: &left.header.run, rows: &left.rows }, zip_path).map(Some)
}

/// The files below the folder in the order of their names. Logs that were not closed are put together first.
fn collect(evidence: &Evidence, left_out: &mut Vec<LeftOut>) -> io::Result<Vec<Source>> {
    let (limits, mut files) = (evidence.limits(), Vec::new());
    if evidence.dir().is_dir() {
        walk(evidence.dir(), "", &mut files, left_out)?;
    }
    let parts: std::collections::BTreeSet<_> = files.iter().filter_map(|(path, _)| log::log_of_part(path)).collect();
    for log in parts {
        if let Err(error) = log::recover(&log, limits) {
            left_out.push(LeftOut { file: log.display().to_string(), why: format!("can't be put together: {error}") });
        }
    }
    let most = limits.head + limits.tail + 4096;
    let mut room = limits.run.saturating_add(limits.run / 4);
    let mut sources = Vec::new();
    for (path, relative) in files {
        // A part is gone once its log is put together.
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let name = name_of(&relative, evidence.redactor());
        let length = metadata.len();
        let why = if length > most {
            Some(format!("{length} bytes are more than the {most} that one file may have"))
        } else if length > room {
            Some("the run has no more room for evidence".into())
        } else {
            None
        };
        if let Some(why) = why {
            left_out.push(LeftOut { file: name, why });
        } else {
            room -= length;
            let needs = evidence.needs(&relative, length);
            sources.push(Source { path, relative, name, length, needs });
        }
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    sources.dedup_by(|a, b| a.name == b.name);
    Ok(sources)
}

/// A file's name in the archive: safe wherever it is unpacked, redacted, and never the index's.
fn name_of(relative: &str, redactor: &Redactor) -> String {
    let name = names::path(&redactor.text(relative));
    if index::NAMES.contains(&name.as_str()) { format!("files/{name}") } else { name }
}

fn walk(dir: &Path, below: &str, files: &mut Vec<(PathBuf, String)>, left_out: &mut Vec<LeftOut>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), &format!("{name}/"), files, left_out)?;
        } else if kind.is_file() {
            files.push((entry.path(), name));
        } else {
            left_out.push(LeftOut { file: names::path(&name), why: "it is no ordinary file".into() });
        }
    }
    Ok(())
}

/// Writes the archive beside its place and renames it. Returns what is in it, and of each file whether it is.
fn write(
    contents: &Contents<'_>,
    sources: &[Source],
    zip_path: &Path,
    left_out: Vec<LeftOut>,
) -> io::Result<(Archived, Vec<bool>)> {
    let redactor = contents.evidence.redactor();
    let folder = zip_path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let permissions = fs::Permissions::from_mode(0o644);
    let temporary = tempfile::Builder::new().prefix(".evidence-").permissions(permissions).tempfile_in(folder)?;
    let mut zip = ZipWriter::new(BufWriter::with_capacity(1 << 18, temporary));
    let mut archived = Archived { left_out, ..Archived::default() };
    let mut kept = Vec::with_capacity(sources.len());
    let mut entries = Vec::new();
    compress::all(sources, redactor, folder, |source, packed| {
        match packed {
            Ok(packed) => {
                archived.files += 1;
                archived.bytes += packed.bytes;
                entries.push(index::Entry { source, bytes: packed.bytes });
                zip.merge_archive(packed.zip).map_err(as_io)?;
                kept.push(true);
            }
            Err(error) => {
                archived.left_out.push(LeftOut { file: source.name.clone(), why: format!("can't be read: {error}") });
                kept.push(false);
            }
        }
        Ok(())
    })?;
    for (name, text) in index::render(contents, &entries, &archived.left_out, redactor)? {
        zip.start_file(name, compress::options()).map_err(as_io)?;
        zip.write_all(text.as_bytes())?;
    }
    let temporary = zip.finish().map_err(as_io)?.into_inner().map_err(io::IntoInnerError::into_error)?;
    archived.size = temporary.as_file().metadata()?.len();
    temporary.persist(zip_path).map_err(|error| error.error)?;
    Ok((archived, kept))
}

/// Removes the folders in which nothing is left; several at once, since each may have to wait for the disk.
fn remove_empty(dir: &Path) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let folders: Vec<_> = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).collect();
    folders.par_iter().for_each(|folder| remove_empty(&folder.path()));
    // Fails where something is left, as it should.
    let _ = fs::remove_dir(dir);
}

fn as_io(error: ZipError) -> io::Error {
    match error {
        ZipError::Io(error) => error,
        other => io::Error::other(other),
    }
}
