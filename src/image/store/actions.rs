//! The store of a run under GitHub Actions: its cache. An entry is downloaded into a folder of the run's own; what was built is
//! uploaded beside everything else.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Kept, layers, places};
use crate::diagnostic::{Diagnostic, Severity};
use crate::github::cache::packed::{Packed, Packer};
use crate::github::cache::policy::{Access, Caps};
use crate::github::cache::{Cache, CacheError, Entry, FOLDER, Incoming, Kind, Saved, unpack};
use crate::image::archive::{self, Written};
use crate::image::build::LayerFolder;

/// How long one image may take on its way here; to build it may be quicker then.
const RESTORE: Duration = Duration::from_secs(10 * 60);
/// How long the cache may take to say whether it has something, tries included.
const LOOK_UP: Duration = Duration::from_secs(60);
/// Most bytes of an entry that is read: more than we save, since a workflow may share it for more.
const MOST: u64 = 4 << 30;
/// Longest file with a sum.
const MAX_SUM: u64 = 4096;
const MIB: u64 = 1 << 20;

/// The Actions cache of a run.
#[derive(Debug)]
pub struct Actions {
    cache: Arc<Cache>,
    access: Access,
    caps: Caps,
    /// Where what was restored is kept.
    folder: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What is being saved.
    saving: JoinSet<()>,
    /// Whether the cache could not be asked, in spite of all patience: it is not asked again, since every image would wait for it.
    is_down: bool,
    /// How many bytes were saved, or are being saved.
    bytes: u64,
    /// What a person should know, each kind of it once.
    remarks: BTreeMap<Remark, Diagnostic>,
}

/// The kinds of remarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Remark {
    Restoring(Kind),
    Saving(Kind),
    EntryCap,
    RunCap,
    Unfinished,
}

impl Actions {
    /// A store that keeps what it restores in `folder`.
    #[must_use]
    pub fn new(cache: Cache, access: Access, caps: Caps, folder: PathBuf) -> Self {
        Self { cache: Arc::new(cache), access, caps, folder, state: Arc::default() }
    }

    /// The archive of a key. What goes wrong is remarked, and as good as a miss.
    pub(super) async fn get(&self, key: &str) -> Kept {
        if !self.access.reads {
            return Kept::Miss;
        }
        let restored = tokio::time::timeout(RESTORE, self.restore(key)).await;
        let restored = restored.unwrap_or_else(|_| {
            Err(CacheError::Failed(format!("the entry was not here after {} s", RESTORE.as_secs())))
        });
        match restored {
            Ok(Some(file)) => Kept::Hit(file),
            Ok(None) => Kept::Miss,
            Err(CacheError::Broken(why)) => {
                let what = format!("the entry {key} of the Actions cache can't be used: {why}");
                let help = format!("an entry can't be replaced: delete it (`gh cache delete {key}`)");
                self.remark(Remark::Restoring(Kind::Broken), Diagnostic::error(what).with_help(help));
                Kept::Broken(why)
            }
            Err(error) => {
                self.failed(Remark::Restoring(error.kind()), "asking the Actions cache for an image", &error);
                Kept::Miss
            }
        }
    }

    async fn restore(&self, key: &str) -> Result<Option<PathBuf>, CacheError> {
        let Some(entry) = self.look_up(key, &[]).await? else { return Ok(None) };
        // A key finds also what only begins with it. Services don't agree on whether capitals count.
        if !entry.key.eq_ignore_ascii_case(key) {
            return Ok(None);
        }
        let (key, folder) = (key.to_owned(), self.folder.clone());
        let file = self.cache.read(&entry, MOST, move |incoming| received(incoming, &key, &folder)).await?;
        Ok(Some(file))
    }

    async fn look_up(&self, key: &str, restore_keys: &[&str]) -> Result<Option<Entry>, CacheError> {
        if self.lock().is_down {
            return Ok(None);
        }
        let found = tokio::time::timeout(LOOK_UP, self.cache.look_up(key, restore_keys)).await;
        let found = found.unwrap_or_else(|_| Err(CacheError::Failed(format!("no answer in {} s", LOOK_UP.as_secs()))));
        if matches!(found, Err(CacheError::Failed(_) | CacheError::Busy(_))) {
            self.lock().is_down = true;
        }
        found
    }

    /// Begins to save an archive, if this run does that and it is not too large.
    pub(super) fn put(&self, key: &str, archive: &Written) -> io::Result<()> {
        if !self.access.saves {
            tracing::debug!("this run does not save to the Actions cache: {key}");
            return Ok(());
        }
        self.save(key, packed(key, archive)?);
        Ok(())
    }

    fn save(&self, key: &str, packed: Packed) {
        if !self.has_room(key, packed.size()) {
            return;
        }
        let (cache, state, key) = (Arc::clone(&self.cache), Arc::clone(&self.state), key.to_owned());
        self.lock().saving.spawn(async move {
            match cache.save(&key, &packed).await {
                Ok(Saved::New) => tracing::debug!("saved to the Actions cache: {key}"),
                Ok(Saved::Known) => tracing::debug!("the Actions cache has it already: {key}"),
                Err(error) => {
                    failed(&state, Remark::Saving(error.kind()), "saving to the Actions cache", &error);
                }
            }
        });
    }

    /// Where layers of an image are put, if this run does anything with them.
    pub(super) fn layers(&self, image: &str) -> Option<LayerFolder> {
        let Access { reads, saves } = self.access;
        (reads || saves).then(|| LayerFolder { path: layers::place(&self.folder, image), is_written: saves })
    }

    /// Fetches layers. Without them a build is slower, and nothing else.
    pub(super) async fn get_layers(&self, key: &str, folder: &Path) {
        let Some(keys) = layers::Keys::new(key).filter(|_| self.access.reads) else { return };
        let fetching = async {
            let Some(entry) = self.look_up(&keys.key, &[&keys.restore]).await? else { return Ok(()) };
            tracing::debug!("layers from the Actions cache: {}", entry.key);
            let folder = folder.to_owned();
            self.cache.read(&entry, MOST, move |incoming| layers::received(incoming, &folder, MOST)).await
        };
        match tokio::time::timeout(RESTORE, fetching).await {
            // Somebody else's, or broken: the next build's will be the newest.
            Ok(Err(CacheError::Broken(why))) => tracing::debug!("layers from the Actions cache can't be used: {why}"),
            Ok(Err(error)) => {
                self.failed(Remark::Restoring(error.kind()), "asking the Actions cache for layers", &error);
            }
            Ok(Ok(())) => {}
            Err(_) => tracing::debug!("layers from the Actions cache were not here after {} s", RESTORE.as_secs()),
        }
    }

    /// Begins to save layers.
    pub(super) fn put_layers(&self, key: &str, folder: &Path) -> io::Result<()> {
        let Some(keys) = layers::Keys::new(key).filter(|_| self.access.saves) else { return Ok(()) };
        if let Some(packed) = layers::packed(folder, now())? {
            self.save(&keys.key, packed);
        }
        Ok(())
    }

    /// Whether so much more may be saved; that it is, is remembered.
    fn has_room(&self, key: &str, size: u64) -> bool {
        let mib = |bytes: u64| bytes.div_ceil(MIB);
        let Caps { entry, run } = self.caps;
        let mut state = self.lock();
        let (kind, what) = if size > entry {
            let what = format!("is not saved to the Actions cache: it has {} MiB, more than {}", mib(size), mib(entry));
            (Remark::EntryCap, what)
        } else if state.bytes + size > run {
            let what = format!(
                "({} MiB) is not saved to the Actions cache: this run has already saved {} MiB of at most {}",
                mib(size),
                mib(state.bytes),
                mib(run)
            );
            (Remark::RunCap, what)
        } else {
            state.bytes += size;
            return true;
        };
        let help = "a repository has 10 GB for all its caches; `cache-dir` with a cache of your own has no such bounds";
        state.remark(kind, Diagnostic::error(format!("{key} {what}")).with_help(help));
        false
    }

    /// Waits for what is being saved, at most so long, and not once the run is cancelled.
    pub(super) async fn finish(&self, within: Duration, cancel: &CancellationToken) {
        let mut saving = std::mem::take(&mut self.lock().saving);
        let all = async { while saving.join_next().await.is_some() {} };
        let is_done = tokio::select! {
            done = tokio::time::timeout(within, all) => done.is_ok(),
            () = cancel.cancelled() => return,
        };
        if !is_done {
            let what =
                format!("saving to the Actions cache was not done after {} s, and was given up", within.as_secs());
            self.remark(Remark::Unfinished, Diagnostic::error(what));
        }
    }

    /// What a person should know, so far.
    pub(super) fn remarks(&self) -> Vec<Diagnostic> {
        self.lock().remarks.values().cloned().collect()
    }

    fn failed(&self, kind: Remark, doing: &str, error: &CacheError) {
        failed(&self.state, kind, doing, error);
    }

    fn remark(&self, kind: Remark, diagnostic: Diagnostic) {
        self.lock().remark(kind, diagnostic);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remark(&mut self, kind: Remark, diagnostic: Diagnostic) {
        self.remarks.entry(kind).or_insert_with(|| diagnostic.with_severity(Severity::Warning));
    }
}

/// A failure is a warning, but what is as it should be only shows in details.
fn failed(state: &Mutex<State>, kind: Remark, doing: &str, error: &CacheError) {
    tracing::debug!("{doing}: {error}");
    if !error.is_expected() {
        let diagnostic = Diagnostic::error(format!("{doing} failed: {error}"));
        state.lock().unwrap_or_else(PoisonError::into_inner).remark(kind, diagnostic);
    }
}

/// An entry with an archive and its sum: the same files as in a folder.
fn packed(key: &str, archive: &Written) -> io::Result<Packed> {
    let file = File::open(&archive.path)?;
    let mut packer = Packer::new(FOLDER, now())?;
    let (name, sum_name) = names(key);
    packer.file(&name, file, archive.size)?;
    packer.bytes(&sum_name, super::sum_line(&archive.sha256, &name).as_bytes())?;
    Ok(packer.finish())
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Takes an archive out of an entry, if it is as its sum says.
fn received(incoming: Incoming, key: &str, folder: &Path) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let (name, sum_name) = names(key);
    let (mut archive, mut sum) = (None, None);
    unpack::files(incoming, FOLDER, MOST, |found, size, content| {
        if found == name {
            archive = Some(archive::received(content, folder)?);
        } else if found == sum_name && size <= MAX_SUM {
            let mut text = String::new();
            content.read_to_string(&mut text)?;
            sum = text.split_whitespace().next().map(str::to_owned);
        }
        Ok(())
    })?;
    let (Some((file, found)), Some(sum)) = (archive, sum) else {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("it does not hold {FOLDER}/{name} and its sum")));
    };
    if found != sum {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{name} is not as it was written")));
    }
    let (target, _) = places(folder, key);
    file.persist(&target).map_err(|error| error.error)?;
    Ok(target)
}

fn names(key: &str) -> (String, String) {
    (format!("{key}.tar.zst"), format!("{key}.tar.zst.sha256"))
}
