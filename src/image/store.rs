//! Where archives of built images are kept between runs, by the key of their build.
//!
//! A folder holds `<key>.tar.zst` and `<key>.tar.zst.sha256`, as `sha256sum` writes it: `sha256sum -c` checks the whole folder.
//! The sum is written last, so that an archive without one is one whose writing was broken off.

use std::io;
use std::path::{Path, PathBuf};

use super::archive::{self, Written};
use crate::settings::{CacheMode, CacheSettings};

/// A store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// A folder of this machine.
    Folder {
        /// Which.
        path: PathBuf,
        /// Whether it is also written.
        is_written: bool,
    },
    /// None: every image is built.
    None,
}

/// What a store said of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The archive, which is whole.
    Hit(PathBuf),
    /// It has none.
    Miss,
    /// It has one that can't be used, and why: as good as none, and worth a warning.
    Broken(String),
}

impl Store {
    /// The store that the settings describe.
    #[must_use]
    pub fn new(settings: &CacheSettings) -> Self {
        match (&settings.dir, settings.mode) {
            (Some(path), CacheMode::On) => Self::Folder { path: path.clone(), is_written: true },
            (Some(path), CacheMode::Read) => Self::Folder { path: path.clone(), is_written: false },
            (_, CacheMode::Off) | (None, _) => Self::None,
        }
    }

    /// Whether there is one at all; without one a report says `off`.
    #[must_use]
    pub fn is_on(&self) -> bool {
        *self != Self::None
    }

    /// Where buildx may keep layers between runs: beside the archives.
    #[must_use]
    pub fn layers(&self) -> Option<PathBuf> {
        match self {
            Self::Folder { path, is_written: true } => Some(path.join("layers")),
            _ => None,
        }
    }

    /// The archive of a key. It is read to its end: what is not as it was written is not used.
    #[must_use]
    pub fn get(&self, key: &str) -> Kept {
        let Self::Folder { path: folder, .. } = self else { return Kept::Miss };
        let (file, sum) = places(folder, key);
        match (std::fs::read_to_string(&sum), file.is_file()) {
            (Ok(sum), true) => match archive::sha256(&file) {
                Ok((found, _)) if sum.split_whitespace().next() == Some(found.as_str()) => Kept::Hit(file),
                Ok(_) => Kept::Broken(format!("{} is not as it was written", file.display())),
                Err(error) => Kept::Broken(format!("{} can't be read: {error}", file.display())),
            },
            (Err(error), true) if error.kind() == io::ErrorKind::NotFound => {
                Kept::Broken(format!("{} was not written to its end", file.display()))
            }
            (Err(error), true) => Kept::Broken(format!("{} can't be read: {error}", sum.display())),
            (_, false) => Kept::Miss,
        }
    }

    /// Keeps an archive. A store that is not written, and one that has the key already, stays as it is.
    ///
    /// # Errors
    /// It could not be written: a warning, since the run has the archive all the same.
    pub fn put(&self, key: &str, archive: &Written) -> io::Result<()> {
        let Self::Folder { path: folder, is_written: true } = self else { return Ok(()) };
        std::fs::create_dir_all(folder)?;
        let (file, sum) = places(folder, key);
        // A sum of an older archive must not stand beside the new one, not even for a moment; and a rename onto a link to the
        // same file does nothing.
        remove(&sum)?;
        remove(&file)?;
        let beside = tempfile::Builder::new().prefix(".archive-").tempfile_in(folder)?.into_temp_path();
        remove(&beside)?;
        if std::fs::hard_link(&archive.path, &beside).is_err() {
            std::fs::copy(&archive.path, &beside)?;
        }
        beside.persist(&file).map_err(|error| error.error)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let mut out = tempfile::Builder::new().prefix(".sum-").tempfile_in(folder)?;
        io::Write::write_all(&mut out, format!("{}  {name}\n", archive.sha256).as_bytes())?;
        out.persist(&sum).map_err(|error| error.error)?;
        Ok(())
    }
}

fn places(folder: &Path, key: &str) -> (PathBuf, PathBuf) {
    (folder.join(format!("{key}.tar.zst")), folder.join(format!("{key}.tar.zst.sha256")))
}

fn remove(file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &Path, mode: CacheMode) -> Store {
        Store::new(&CacheSettings { dir: Some(folder.join("cache")), mode, tool_mirror: None, tool_dir: None })
    }

    fn archive(folder: &Path) -> Written {
        let target = folder.join("x.tar.zst");
        archive::compress(&b"an image"[..], &target).unwrap().keep(&target).unwrap()
    }

    #[test]
    fn what_was_put_is_there_in_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(folder.path());
        let on = store(folder.path(), CacheMode::On);
        assert_eq!(on.get("key"), Kept::Miss);
        on.put("key", &archive).unwrap();
        on.put("key", &archive).unwrap();
        std::fs::remove_file(&archive.path).unwrap();
        let Kept::Hit(file) = store(folder.path(), CacheMode::Read).get("key") else { panic!("no hit") };
        assert_eq!(archive::sha256(&file).unwrap().0, archive.sha256);
        assert_eq!(std::fs::read_dir(folder.path().join("cache")).unwrap().count(), 2);
    }

    #[test]
    fn a_broken_archive_is_told_and_put_anew() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(folder.path());
        let on = store(folder.path(), CacheMode::On);
        on.put("key", &archive).unwrap();
        let kept = folder.path().join("cache/key.tar.zst");
        std::fs::remove_file(&kept).unwrap();
        std::fs::write(&kept, "an").unwrap();
        assert!(matches!(on.get("key"), Kept::Broken(why) if why.contains("not as it was written")));
        std::fs::remove_file(folder.path().join("cache/key.tar.zst.sha256")).unwrap();
        assert!(matches!(on.get("key"), Kept::Broken(why) if why.contains("not written to its end")));
        on.put("key", &archive).unwrap();
        assert!(matches!(on.get("key"), Kept::Hit(_)));
    }

    #[test]
    fn a_store_that_is_read_or_off_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(folder.path());
        for mode in [CacheMode::Read, CacheMode::Off] {
            store(folder.path(), mode).put("key", &archive).unwrap();
        }
        assert!(!folder.path().join("cache").exists());
        assert!(!store(folder.path(), CacheMode::Off).is_on());
    }
}
