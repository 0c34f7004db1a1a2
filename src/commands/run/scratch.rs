//! A run's private folder: kubeconfigs, archives, blobs. It goes with the run; that of a killed run is known by a lock that nobody
//! holds any more.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::error::{Error, Result};

/// How its name begins.
const PREFIX: &str = "example-validator-";
/// The file that is locked as long as the run lives.
const LOCK: &str = "lock";

/// The folder of a run that is at work.
pub struct Scratch {
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes it: in the job's folder for temporary files, if there is one, since what containers of scripts are given must be on
    /// a volume that the action's own container shares with the runner.
    ///
    /// # Errors
    /// Nothing can be written where temporary files go.
    pub fn new(runner_temp: Option<&Path>) -> Result<Self> {
        let failed = |error| Error::io("create", "a temporary folder", error);
        let mut named = tempfile::Builder::new();
        named.prefix(PREFIX);
        let shared = runner_temp.and_then(|folder| named.tempdir_in(folder).ok());
        let folder = shared.map_or_else(|| named.tempdir(), Ok).map_err(failed)?;
        let lock = File::create(folder.path().join(LOCK)).map_err(failed)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| failed(error.into()))?;
        Ok(Self { folder, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Deletes the folders that killed runs of this user left below `folder`; those that are gone.
pub fn remove_abandoned(folder: &Path) -> Vec<PathBuf> {
    let us = rustix::process::getuid().as_raw();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    let ours = named.filter(|entry| entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == us));
    ours.map(|entry| entry.path())
        .filter(|path| is_abandoned(path).unwrap_or(false))
        .filter(|path| std::fs::remove_dir_all(path).is_ok())
        .collect()
}

fn is_abandoned(folder: &Path) -> io::Result<bool> {
    let lock = File::open(folder.join(LOCK))?;
    Ok(flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_where_a_job_has_its_temporary_files_if_that_can_be_written() {
        let runner_temp = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(Some(runner_temp.path())).unwrap();
        assert_eq!(scratch.path().parent(), Some(runner_temp.path()));
        let gone = runner_temp.path().join("gone");
        for elsewhere in [None, Some(gone.as_path())] {
            let scratch = Scratch::new(elsewhere).unwrap();
            assert_eq!(scratch.path().parent(), Some(std::env::temp_dir().as_path()));
        }
    }

    #[test]
    fn only_what_nobody_holds_any_more_is_deleted() {
        let place = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = place.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        let (held, abandoned) = (folder("example-validator-a"), folder("example-validator-b"));
        let (others, no_lock) = (folder("somebody"), folder("example-validator-c"));
        let lock = File::create(held.join(LOCK)).unwrap();
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        for path in [&abandoned, &others] {
            File::create(path.join(LOCK)).unwrap();
        }
        assert_eq!(remove_abandoned(place.path()), std::slice::from_ref(&abandoned));
        assert!(held.exists() && others.exists() && no_lock.exists() && !abandoned.exists());
    }
}
