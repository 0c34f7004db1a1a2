//! Where archives of built images are kept between runs, by the key of their build.
//!
//! A folder holds `<key>.tar.zst` and `<key>.tar.zst.sha256`, as `sha256sum` writes it: `sha256sum -c` checks the whole folder.
//! The sum is written last, so that an archive without one is one whose writing was broken off. An entry of the Actions cache is
//! such a folder, with the two files of its key.

mod actions;
mod layers;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::archive::{self, Written};
use super::build::LayerFolder;
use crate::diagnostic::Diagnostic;
use crate::github::cache::Cache;
use crate::github::cache::policy::{Access, Caps};
use crate::github::retry::Patience;
use crate::settings::{CacheMode, CacheSettings, RunContext};

pub use actions::Actions;

/// How often and how long the cache is asked: what it has is only worth so much waiting.
const PATIENCE: Patience =
    Patience { tries: 4, first: Duration::from_secs(2), growth: 1.5, longest: Duration::from_secs(30) };

/// A store. Clones share it.
#[derive(Clone, Debug)]
pub enum Store {
    /// A folder of this machine.
    Folder {
        /// Which.
        path: PathBuf,
        /// Whether it is also written.
        is_written: bool,
    },
    /// The Actions cache.
    Actions(Arc<Actions>),
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
    /// The store that the settings describe: the folder that they name, which is the user's to keep; else, under GitHub Actions,
    /// its cache. `on_pull_request` is the config's `cache.on-pull-request`, `scratch` a private folder.
    #[must_use]
    pub fn new(settings: &CacheSettings, context: &RunContext, on_pull_request: bool, scratch: &Path) -> Self {
        match (&settings.dir, settings.mode) {
            (_, CacheMode::Off) => Self::None,
            (Some(path), mode) => Self::Folder { path: path.clone(), is_written: mode == CacheMode::On },
            (None, mode) if context.github_actions => {
                let Some(cache) = Cache::find(&context.services, &context.server_url, PATIENCE) else {
                    tracing::debug!("the runner offers no cache: images are built");
                    return Self::None;
                };
                let access = Access::new(mode, on_pull_request, context);
                if !access.reads && !access.saves {
                    tracing::debug!("the runner lets this run do nothing with its cache: images are built");
                    return Self::None;
                }
                Self::Actions(Arc::new(Actions::new(cache, access, Caps::default(), scratch.join("restored"))))
            }
            (None, _) => Self::None,
        }
    }

    /// Whether there is one at all; without one a report says `off`.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Where buildx may keep layers of an image between runs: beside the archives. See [`Self::get_layers`].
    #[must_use]
    pub fn layers(&self, image: &str) -> Option<LayerFolder> {
        match self {
            Self::Folder { path, is_written: true } => {
                Some(LayerFolder { path: layers::place(path, image), is_written: true })
            }
            Self::Actions(actions) => actions.layers(image),
            Self::Folder { .. } | Self::None => None,
        }
    }

    /// Fetches layers of this build, or else of the newest of the same image, into their folder. `key` is the archive's.
    pub async fn get_layers(&self, key: &str, folder: &LayerFolder) {
        if let Self::Actions(actions) = self {
            actions.get_layers(key, &folder.path).await;
        }
    }

    /// Keeps the layers of a folder, as [`Self::put`] does an archive. `key` is the archive's.
    ///
    /// # Errors
    /// They can't be read.
    pub fn put_layers(&self, key: &str, folder: &LayerFolder) -> io::Result<()> {
        match self {
            Self::Actions(actions) => actions.put_layers(key, &folder.path),
            Self::Folder { .. } | Self::None => Ok(()),
        }
    }

    /// The archive of a key. It is read to its end: what is not as it was written is not used.
    pub async fn get(&self, key: &str) -> Kept {
        match self {
            Self::None => Kept::Miss,
            Self::Actions(actions) => actions.get(key).await,
            Self::Folder { path, .. } => {
                let (folder, key) = (path.clone(), key.to_owned());
                let got = tokio::task::spawn_blocking(move || get(&folder, &key)).await;
                got.unwrap_or_else(|error| Kept::Broken(error.to_string()))
            }
        }
    }

    /// Keeps an archive. A store that is not written, and one that has the key already, stays as it is. Into the Actions cache it
    /// goes beside what else is done: see [`Self::finish`].
    ///
    /// # Errors
    /// It could not be written: a warning, since the run has the archive all the same.
    pub async fn put(&self, key: &str, archive: &Written) -> io::Result<()> {
        match self {
            Self::Folder { path, is_written: true } => {
                let (folder, key, archive) = (path.clone(), key.to_owned(), archive.clone());
                tokio::task::spawn_blocking(move || put(&folder, &key, &archive)).await.map_err(io::Error::other)?
            }
            Self::Actions(actions) => actions.put(key, archive),
            Self::Folder { .. } | Self::None => Ok(()),
        }
    }

    /// Waits until what was put is where it goes, at most so long; not at all once the run is cancelled.
    pub async fn finish(&self, within: Duration, cancel: &CancellationToken) {
        if let Self::Actions(actions) = self {
            actions.finish(within, cancel).await;
        }
    }

    /// What a person should know of it: each kind of trouble once. None of it fails a run.
    #[must_use]
    pub fn remarks(&self) -> Vec<Diagnostic> {
        match self {
            Self::Actions(actions) => actions.remarks(),
            Self::Folder { .. } | Self::None => Vec::new(),
        }
    }
}

fn get(folder: &Path, key: &str) -> Kept {
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

fn put(folder: &Path, key: &str, archive: &Written) -> io::Result<()> {
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
    io::Write::write_all(&mut out, sum_line(&archive.sha256, &name).as_bytes())?;
    out.persist(&sum).map_err(|error| error.error)?;
    Ok(())
}

/// The line that `sha256sum` writes and checks.
fn sum_line(sha256: &str, name: &str) -> String {
    format!("{sha256}  {name}\n")
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
        let settings = CacheSettings { dir: Some(folder.join("cache")), mode, tool_mirror: None, tool_dir: None };
        Store::new(&settings, &RunContext::default(), false, folder)
    }

    fn archive(folder: &Path) -> Written {
        let target = folder.join("x.tar.zst");
        archive::compress(&b"an image"[..], &target).unwrap().keep(&target).unwrap()
    }

    #[tokio::test]
    async fn what_was_put_is_there_in_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(folder.path());
        let on = store(folder.path(), CacheMode::On);
        assert_eq!(on.get("key").await, Kept::Miss);
        on.put("key", &archive).await.unwrap();
        on.put("key", &archive).await.unwrap();
        std::fs::remove_file(&archive.path).unwrap();
        let Kept::Hit(file) = store(folder.path(), CacheMode::Read).get("key").await else { panic!("no hit") };
        assert_eq!(archive::sha256(&file).unwrap().0, archive.sha256);
        assert_eq!(std::fs::read_dir(folder.path().join("cache")).unwrap().count(), 2);
    }

    #[tokio::test]
    async fn a_broken_archive_is_told_and_put_anew() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(folder.path());
        let on = store(folder.path(), CacheMode::On);
        on.put("key", &archive).await.unwrap();
        let kept = folder.path().join("cache/key.tar.zst");
        std::fs::remove_file(&kept).unwrap();
        std::fs::write(&kept, "an").unwrap();
        assert!(matches!(on.get("key").await, Kept::Broken(why) if why.contains("not as it was written")));
        std::fs::remove_file(folder.path().join("cache/key.tar.zst.sha256")).unwrap();
        assert!(matches!(on.get("key").await, Kept::Broken(why) if why.contains("not written to its end")));
        on.put("key", &archive).await.unwrap();
        assert!(matches!(on.get("key").await, Kept::Hit(_)));
    }

    #[tokio::test]
    async fn a_store_that_is_read_or_off_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(folder.path());
        for mode in [CacheMode::Read, CacheMode::Off] {
            store(folder.path(), mode).put("key", &archive).await.unwrap();
        }
        assert!(!folder.path().join("cache").exists());
        assert!(!store(folder.path(), CacheMode::Off).is_on());
    }
}
