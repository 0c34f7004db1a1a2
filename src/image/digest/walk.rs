//! Finds what goes into a build, and hashes it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use globset::{GlobSet, GlobSetBuilder};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::Places;
use super::form::{Entry, Kind};
use super::ignore::{Ignore, Matches};
use crate::image::inputs;

/// How much of a file is read at once.
const CHUNK: usize = 256 * 1024;

/// What a walk found: the path that is hashed, and where it is. A map, so that it is in order and nothing is there twice.
pub(super) type Found = BTreeMap<OsString, (PathBuf, FileType)>;

/// A path and what the system said of it.
pub(super) type Failed = (PathBuf, io::Error);

/// The context, as Docker sends it.
pub(super) fn context(places: &Places) -> Result<Found, Failed> {
    let ignore = ignore_of(places)?;
    let mut found = Found::new();
    descend(&places.context, OsStr::new(""), &ignore, &Matches::default(), &mut found)?;
    // Docker sends these whatever the patterns say.
    for file in [&places.dockerfile, &places.context.join(".dockerignore")] {
        if let (Ok(path), Ok(about)) = (file.strip_prefix(&places.context), fs::symlink_metadata(file)) {
            found.insert(path.as_os_str().to_owned(), (file.clone(), about.file_type()));
        }
    }
    Ok(found)
}

/// The patterns of `<Dockerfile>.dockerignore`, else of the context's `.dockerignore`, else none.
fn ignore_of(places: &Places) -> Result<Ignore, Failed> {
    let mut own = places.dockerfile.clone().into_os_string();
    own.push(".dockerignore");
    for file in [PathBuf::from(own), places.context.join(".dockerignore")] {
        match fs::read(&file) {
            Ok(text) => return Ok(Ignore::parse(&String::from_utf8_lossy(&text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err((file, error)),
        }
    }
    Ok(Ignore::default())
}

fn descend(
    folder: &Path,
    below: &OsStr,
    ignore: &Ignore,
    folder_matches: &Matches,
    found: &mut Found,
) -> Result<(), Failed> {
    for (name, kind) in listing(folder)? {
        let path = joined(below, &name);
        let (is_out, matches) = ignore.look(&path.to_string_lossy(), folder_matches);
        let file = folder.join(&name);
        if kind.is_dir() && (!is_out || ignore.has_exceptions()) {
            descend(&file, &path, ignore, &matches, found)?;
        }
        if !is_out {
            found.insert(path, (file, kind));
        }
    }
    Ok(())
}

/// What the inputs match; folders count only by what is in them.
pub(super) fn inputs(root: &Path, inputs: &[String]) -> Result<Found, Failed> {
    let mut builder = GlobSetBuilder::new();
    inputs.iter().flat_map(|input| inputs::globs(input)).for_each(|glob| {
        builder.add(glob);
    });
    let globs = builder.build().unwrap_or_else(|_| GlobSet::empty());
    let mut found = Found::new();
    for start in inputs.iter().map(|input| inputs::start(input)).collect::<BTreeSet<_>>() {
        let path = root.join(&start);
        match fs::symlink_metadata(&path) {
            Ok(about) => matching(&path, OsStr::new(&start), about.file_type(), &globs, &mut found)?,
            // An input may match nothing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err((path, error)),
        }
    }
    Ok(found)
}

fn matching(file: &Path, path: &OsStr, kind: FileType, globs: &GlobSet, found: &mut Found) -> Result<(), Failed> {
    if !kind.is_dir() {
        if globs.is_match(Path::new(path)) {
            found.insert(path.to_owned(), (file.to_owned(), kind));
        }
        return Ok(());
    }
    for (name, kind) in listing(file)? {
        matching(&file.join(&name), &joined(path, &name), kind, globs, found)?;
    }
    Ok(())
}

fn listing(folder: &Path) -> Result<Vec<(OsString, FileType)>, Failed> {
    let failed = |error| (folder.to_owned(), error);
    let entries = fs::read_dir(folder).map_err(failed)?;
    entries.map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?))).map_err(failed)).collect()
}

fn joined(folder: &OsStr, name: &OsStr) -> OsString {
    let mut path = folder.to_owned();
    if !path.is_empty() {
        path.push("/");
    }
    path.push(name);
    path
}

/// Hashes what was found, on all cores. Sockets, pipes and devices are not sent, or have no content: they are left out.
pub(super) fn hashed(found: Found) -> Result<Vec<Entry>, Failed> {
    let found: Vec<_> = found.into_iter().collect();
    let entries = found
        .into_par_iter()
        .with_max_len(16)
        .map(|(path, (file, kind))| entry(path, &file, kind).map_err(|error| (file, error)));
    let entries: Result<Vec<Option<Entry>>, Failed> = entries.collect();
    Ok(entries?.into_iter().flatten().collect())
}

fn entry(path: OsString, file: &Path, kind: FileType) -> io::Result<Option<Entry>> {
    if kind.is_symlink() {
        let target = fs::read_link(file)?.into_os_string();
        return Ok(Some(Entry { path, kind: Kind::Link { target }, size: 0 }));
    }
    if kind.is_dir() {
        return Ok(Some(Entry { path, kind: Kind::Folder, size: 0 }));
    }
    if !kind.is_file() {
        return Ok(None);
    }
    let mut content = File::open(file)?;
    let is_executable = is_executable(&content.metadata()?);
    let mut hasher = Sha256::new();
    let mut size = 0;
    let mut chunk = vec![0; CHUNK];
    loop {
        match content.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => {
                hasher.update(&chunk[..length]);
                size += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(Entry { path, kind: Kind::File { is_executable, hash: hasher.finalize().into() }, size }))
}

fn is_executable(about: &Metadata) -> bool {
    about.permissions().mode() & 0o100 != 0
}
