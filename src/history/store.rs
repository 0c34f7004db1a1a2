//! A history in a file. Several processes may append to it at once, and none loses what another wrote: each holds a lock while it reads the
//! file, and puts the new one into its place whole.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tempfile::NamedTempFile;

use super::{Added, Record, add, lines};
use crate::error::{Error, Result};

/// The most that a file keeps, in bytes.
const MOST: usize = 256 << 20;
/// The largest file that is read: files may be joined by hand.
const MOST_READ: u64 = 2 * MOST as u64;
/// How long another process may hold the file. One that works needs a second.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether it still does.
const PAUSE: Duration = Duration::from_millis(20);
/// How long to wait until a file that was replaced is opened again.
const SHORT_PAUSE: Duration = Duration::from_millis(1);

/// The text of a history; `None` if there is no file yet.
///
/// # Errors
/// The file is a folder, too large, or can't be read.
pub fn read(file: &Path) -> Result<Option<Vec<u8>>> {
    match File::open(file) {
        Ok(opened) => whole(opened).map(Some).map_err(|error| Error::io("read", file, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", file, error)),
    }
}

fn whole(opened: File) -> io::Result<Vec<u8>> {
    let expected = opened.metadata()?.len().min(MOST_READ);
    let mut text = Vec::with_capacity(usize::try_from(expected).unwrap_or(0).saturating_add(1));
    opened.take(MOST_READ + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MOST_READ {
        return Err(io::Error::other(format!("it has more than {} MiB", MOST_READ >> 20)));
    }
    Ok(text)
}

/// Adds records to the history in a file, which is created, with its folder, if it is missing; then puts the badge, if there is one, beside
/// it, unless the file knows a newer run. What the file holds that is no line of a history goes; `now` as in [`add`].
///
/// # Errors
/// The file can't be read or written, or another process holds it for too long; it is then as it was.
pub fn append(file: &Path, new: &[Record], badge: Option<&str>, now: Timestamp) -> Result<()> {
    append_within(file, new, badge, now, PATIENCE)
}

fn append_within(file: &Path, new: &[Record], badge: Option<&str>, now: Timestamp, patience: Duration) -> Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|error| Error::io("create the folder", folder, error))?;
    let failed = |error| Error::io("write", file, error);
    let (locked, place) = lock(file, patience).map_err(failed)?;
    let stored = locked.try_clone().and_then(whole).map_err(|error| Error::io("read", file, error))?;
    if lines::is_something_else(&stored) {
        let why = "it holds something else, and no line of a history: name another file, or delete this one";
        return Err(failed(io::Error::other(why)));
    }
    let Added { text, is_newest, .. } = add(&stored, new, MOST, now);
    if text.as_bytes() != stored {
        replace(&place, text.as_bytes(), Some(&locked)).map_err(failed)?;
    }
    let Some(badge) = badge.filter(|_| is_newest) else { return Ok(()) };
    let beside = badge_of(&place);
    replace(&beside, badge.as_bytes(), None).map_err(|error| Error::io("write", &beside, error))
}

/// Where the badge of a history in a file is: `history.badge.json` beside `history.jsonl`.
#[must_use]
pub fn badge_of(file: &Path) -> PathBuf {
    file.with_extension("badge.json")
}

/// Opens the file and locks it, and gives its place behind symbolic links. The lock ends with the file.
fn lock(file: &Path, patience: Duration) -> io::Result<(File, PathBuf)> {
    lock_if(file, patience, is_at)
}

fn lock_if(
    file: &Path,
    patience: Duration,
    is_at: impl Fn(&File, &Path) -> io::Result<bool>,
) -> io::Result<(File, PathBuf)> {
    let until = Instant::now() + patience;
    loop {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(file)?;
        match opened.try_lock() {
            // While it was waited for, another process may have put a new file in its place.
            Ok(()) if is_at(&opened, file)? => return Ok((opened, file.canonicalize()?)),
            Ok(()) if Instant::now() < until => {
                std::thread::sleep(SHORT_PAUSE);
                continue;
            }
            // On some file systems that is how it looks for ever.
            Ok(()) => return Err(io::Error::other("another file is in its place each time that it is opened")),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {}
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("another process holds it")),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        std::thread::sleep(PAUSE);
    }
}

fn is_at(opened: &File, file: &Path) -> io::Result<bool> {
    let ours = opened.metadata()?;
    match fs::metadata(file) {
        Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Puts a new text into a file's place, whole or not at all, with the permissions of the `old` one.
fn replace(file: &Path, text: &[u8], old: Option<&File>) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = NamedTempFile::new_in(folder)?;
    beside.write_all(text)?;
    let permissions = match old {
        Some(old) => old.metadata()?.permissions(),
        None => fs::Permissions::from_mode(0o644),
    };
    beside.as_file().set_permissions(permissions)?;
    beside.as_file().sync_all()?;
    beside.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::record;

    const BADGE: Option<&str> = Some("{}\n");

    fn one(run: usize) -> Record {
        record("a", &run.to_string(), &format!("2026-11-20T12:{:02}:{:02}Z", run / 60, run % 60))
    }

    fn stored(file: &Path) -> Vec<String> {
        let read = lines::read(&read(file).unwrap().unwrap(), Timestamp::MAX);
        assert_eq!(read.skipped, None);
        read.records.into_iter().map(|record| record.run.to_string()).collect()
    }

    #[test]
    fn a_file_begins_with_its_folder_and_grows_by_what_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kept/here/history.jsonl");
        assert_eq!(read(&file).unwrap(), None);
        for run in [1, 2, 2, 0] {
            append(&file, &[one(run)], BADGE, Timestamp::MAX).unwrap();
        }
        assert_eq!(stored(&file), ["0", "1", "2"]);
        assert_eq!(fs::read_to_string(folder.path().join("kept/here/history.badge.json")).unwrap(), BADGE.unwrap());
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 2);
    }

    #[test]
    fn those_that_append_at_once_lose_nothing() {
        const WRITERS: usize = 8;
        const EACH: usize = 6;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.jsonl");
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let file = &file;
                scope.spawn(move || {
                    for turn in 0..EACH {
                        append(file, &[one(writer * EACH + turn)], BADGE, Timestamp::MAX).unwrap();
                        // Whoever reads meanwhile sees a whole history.
                        assert!(!stored(file).is_empty());
                    }
                });
            }
        });
        let expected: Vec<_> = (0..WRITERS * EACH).map(|run| run.to_string()).collect();
        assert_eq!(stored(&file), expected);
    }

    #[test]
    fn a_file_that_is_held_is_waited_for_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.jsonl");
        append(&file, &[one(1)], BADGE, Timestamp::MAX).unwrap();
        let held = File::open(&file).unwrap();
        held.lock().unwrap();
        let error = append_within(&file, &[one(2)], BADGE, Timestamp::MAX, Duration::ZERO).unwrap_err();
        assert!(crate::error::chain(&error).contains("another process holds it"), "{error}");
        assert_eq!(stored(&file), ["1"]);
        drop(held);
        append_within(&file, &[one(2)], BADGE, Timestamp::MAX, Duration::ZERO).unwrap();
        assert_eq!(stored(&file), ["1", "2"]);
    }

    #[test]
    fn a_file_that_never_is_where_it_was_opened_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.jsonl");
        let error = lock_if(&file, Duration::ZERO, |_, _| Ok(false)).unwrap_err();
        assert!(error.to_string().contains("another file is in its place"), "{error}");
    }

    #[test]
    fn the_badge_stays_where_a_run_is_not_the_newest_or_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.jsonl");
        let told = |run, badge| {
            append(&file, &[one(run)], badge, Timestamp::MAX).unwrap();
            fs::read_to_string(badge_of(&file)).unwrap()
        };
        assert_eq!(told(2, Some("2")), "2");
        assert_eq!((told(1, Some("1")), told(3, None), told(4, Some("4"))), ("2".into(), "2".into(), "4".into()));
        assert_eq!(stored(&file), ["1", "2", "3", "4"]);
    }

    #[test]
    fn a_link_stays_a_link_and_permissions_stay() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("history.jsonl"), folder.path().join("link"));
        append(&file, &[one(1)], BADGE, Timestamp::MAX).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        append(&link, &[one(2)], BADGE, Timestamp::MAX).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(stored(&file), ["1", "2"]);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_can_not_be_written_stays_and_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(append(folder.path(), &[one(1)], BADGE, Timestamp::MAX).is_err());
        assert!(read(folder.path()).is_err());
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = append(&file.join("history.jsonl"), &[one(1)], BADGE, Timestamp::MAX).unwrap_err();
        assert!(error.to_string().starts_with("can't create the folder"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_history_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("package.json");
        fs::write(&file, "{\n  \"name\": \"mine\"\n}\n").unwrap();
        let error = append(&file, &[one(1)], BADGE, Timestamp::MAX).unwrap_err();
        assert!(crate::error::chain(&error).contains("it holds something else"), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "{\n  \"name\": \"mine\"\n}\n");
        assert!(!folder.path().join("package.badge.json").exists());
    }

    #[test]
    fn what_is_no_record_goes_when_the_file_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.jsonl");
        fs::write(&file, "<<<<<<< HEAD\n".to_owned() + &lines::line(&one(1))).unwrap();
        append(&file, &[one(2)], BADGE, Timestamp::MAX).unwrap();
        assert_eq!(stored(&file), ["1", "2"]);
    }
}
