//! A container's log on disk: redacted, and within the limits, however much the container prints.
//!
//! A log goes to one file until that is as long as head and tail together may be. What follows goes to parts beside it
//! (`main.log.part-<where it starts>`), of which the last two are kept; closing puts head and tail together. A run that was
//! killed leaves the parts, and [`assemble`] does the same for them.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::{Ledger, Limits};
use super::redact::{Redactor, Stream};

/// How much is gathered before it is written.
const BUFFER: usize = 8 * 1024;
const PART: &str = ".part-";

/// A log that is being written.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    relative: String,
    limits: Limits,
    ledger: Arc<Ledger>,
    stream: Stream,
    /// What the redactor knew at the start.
    generation: u64,
    /// Redacted, and not written yet.
    pending: Vec<u8>,
    seen: u64,
    /// How much redacted text was written.
    position: u64,
    main: File,
    part: Option<Part>,
    /// The run's evidence was full: only the last bytes are kept from there on.
    starved: bool,
    closed: bool,
}

/// The part that is being written, and the one before it.
#[derive(Debug)]
struct Part {
    file: File,
    path: PathBuf,
    length: u64,
    before: Option<PathBuf>,
}

/// What was kept of a log, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// What the container printed.
    pub seen: u64,
    /// What is kept of it, redacted.
    pub kept: u64,
    /// What was cut out of its middle.
    pub cut: u64,
    /// Whether it was cut because the run had no more room for evidence.
    pub starved: bool,
}

impl LogFile {
    pub(super) fn create(
        path: PathBuf,
        relative: String,
        limits: Limits,
        ledger: Arc<Ledger>,
        redactor: &Redactor,
    ) -> io::Result<Self> {
        let main = File::options().create(true).truncate(true).read(true).write(true).open(&path)?;
        let (generation, stream) = (redactor.generation(), redactor.stream());
        let (pending, part) = (Vec::new(), None);
        let (seen, position, starved, closed) = (0, 0, false, false);
        Ok(Self {
            path,
            relative,
            limits,
            ledger,
            stream,
            generation,
            pending,
            seen,
            position,
            main,
            part,
            starved,
            closed,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same inside the evidence.
    #[must_use]
    pub fn relative(&self) -> &str {
        &self.relative
    }

    /// Takes what a container printed.
    ///
    /// # Errors
    /// What the disk answered.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.seen += bytes.len() as u64;
        for bytes in bytes.chunks(64 * 1024) {
            self.stream.push(bytes, &mut self.pending);
            if self.pending.len() >= BUFFER {
                self.store()?;
            }
        }
        Ok(())
    }

    /// Brings to disk what is certain: for when nothing more comes for a while.
    ///
    /// # Errors
    /// What the disk answered.
    pub fn flush(&mut self) -> io::Result<()> {
        self.stream.flush(&mut self.pending);
        self.store()
    }

    /// The last `count` bytes so far, redacted.
    ///
    /// # Errors
    /// What the disk answered.
    pub fn tail(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut end = self.pending.clone();
        self.stream.clone().finish(&mut end);
        let mut files: Vec<&Path> = vec![&self.path];
        if let Some(part) = &self.part {
            files.extend(part.before.as_deref());
            files.push(&part.path);
        }
        for path in files.into_iter().rev() {
            let missing = count.saturating_sub(end.len());
            if missing == 0 {
                break;
            }
            end.splice(0..0, last_bytes(&mut File::open(path)?, missing as u64)?);
        }
        Ok(end.split_off(end.len().saturating_sub(count)))
    }

    /// The end of the log: puts together what is kept.
    ///
    /// # Errors
    /// What the disk answered; what was kept until then stays.
    pub fn close(mut self) -> io::Result<Kept> {
        self.end()
    }

    fn end(&mut self) -> io::Result<Kept> {
        self.closed = true;
        self.stream.finish(&mut self.pending);
        self.store()?;
        let (kept, cut) = match self.part.take() {
            None => (self.position, 0),
            Some(_) if self.starved => assemble(&self.path, self.main.metadata()?.len(), self.limits.last)?,
            Some(_) => assemble(&self.path, self.limits.head, self.limits.tail)?,
        };
        if self.starved {
            self.ledger.add(kept.min(self.limits.last));
        }
        let length = fs::metadata(&self.path)?.len();
        self.ledger.wrote(self.relative.clone(), self.generation, length);
        Ok(Kept { seen: self.seen, kept, cut, starved: self.starved && cut > 0 })
    }

    fn store(&mut self) -> io::Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let mut rest: &[u8] = &pending;
        while !rest.is_empty() {
            let length = if self.part.is_some() { self.store_in_part(rest)? } else { self.store_in_main(rest)? };
            if length == 0 {
                self.next_part()?;
            }
            self.position += length as u64;
            rest = &rest[length..];
        }
        // The buffer is used again.
        self.pending = pending;
        self.pending.clear();
        Ok(())
    }

    /// Writes what the first file has room for: the whole log, as long as it is short enough. How much that was.
    fn store_in_main(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = shorter(bytes, self.limits.head + self.limits.tail - self.position);
        let length = shorter(bytes, self.ledger.reserve(room as u64, self.limits.run));
        self.starved = room > 0 && length == 0;
        self.main.write_all(&bytes[..length])?;
        Ok(length)
    }

    /// Writes what the part has room for. How much that was.
    fn store_in_part(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = if self.starved { self.limits.last } else { self.limits.tail };
        let Some(part) = &mut self.part else { return Ok(0) };
        let length = shorter(bytes, most - part.length);
        part.file.write_all(&bytes[..length])?;
        part.length += length as u64;
        Ok(length)
    }

    /// Starts a part, and drops the one before the last.
    fn next_part(&mut self) -> io::Result<()> {
        let path = beside(&self.path, &format!("{PART}{:020}", self.position));
        let file = File::options().create(true).truncate(true).write(true).open(&path)?;
        let before = match self.part.take() {
            None => None,
            Some(old) => {
                match old.before {
                    Some(oldest) => fs::remove_file(oldest)?,
                    // A part is as long as the tail, so what the first file has of it is no longer needed.
                    None if !self.starved => self.main.set_len(self.limits.head)?,
                    None => {}
                }
                Some(old.path)
            }
        };
        self.part = Some(Part { file, path, length: 0, before });
        Ok(())
    }
}

impl Drop for LogFile {
    /// A log that is given up, since its run was cancelled, is still put together.
    fn drop(&mut self) {
        if !self.closed {
            // Nobody is left to tell.
            let _ = self.end();
        }
    }
}

/// Puts together the parts of a log that a killed run left.
pub(super) fn recover(path: &Path, limits: Limits) -> io::Result<()> {
    // The first part begins where the first file was full, or where the run was.
    let length = fs::metadata(path)?.len();
    let head = if length >= limits.head + limits.tail { limits.head } else { length };
    assemble(path, head, limits.tail).map(|_| ())
}

/// Puts the parts of a log together: its first `head` bytes, a line that tells what is missing, and its last `tail` bytes.
/// Returns what is kept and what was cut, in bytes.
fn assemble(path: &Path, head: u64, tail: u64) -> io::Result<(u64, u64)> {
    let parts = parts(path)?;
    let mut main = File::open(path)?;
    let mut sources = vec![(0, main.metadata()?.len(), path.to_owned())];
    for (start, path) in &parts {
        sources.push((*start, fs::metadata(path)?.len(), path.clone()));
    }
    let end = sources.iter().map(|(start, length, _)| start + length).max().unwrap_or(0);
    let from = end.saturating_sub(tail).max(head);
    // A killed run may have lost more than it had to.
    let from = first_whole(&sources, from);
    let mut whole = tempfile::Builder::new().prefix(".log-").tempfile_in(path.parent().unwrap_or(Path::new(".")))?;
    io::copy(&mut (&mut main).take(head), &mut whole)?;
    if from > head {
        let cut = from - head;
        write!(
            whole,
            "\n[example-validator: {cut} bytes of this log were cut out here: its start and its end are kept]\n"
        )?;
    }
    for (start, length, source) in &sources {
        let skip = from.saturating_sub(*start);
        if skip < *length {
            let mut file = File::open(source)?;
            file.seek(SeekFrom::Start(skip))?;
            io::copy(&mut file, &mut whole)?;
        }
    }
    whole.persist(path).map_err(|error| error.error)?;
    for (_, part) in parts {
        fs::remove_file(part)?;
    }
    Ok((head + end - from, from - head))
}

/// The first place from `from` on, from which there is no gap up to the end.
fn first_whole(sources: &[(u64, u64, PathBuf)], from: u64) -> u64 {
    let mut first = from;
    for pair in sources.windows(2) {
        if pair[0].0 + pair[0].1 < pair[1].0 {
            first = first.max(pair[1].0);
        }
    }
    first
}

/// The parts beside a log, in their order, with where they start.
fn parts(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let prefix = beside(path, PART);
    let mut parts = Vec::new();
    for entry in fs::read_dir(path.parent().unwrap_or(Path::new(".")))? {
        let part = entry?.path();
        if let Some(start) = part.to_str().and_then(|part| part.strip_prefix(prefix.to_str()?)?.parse().ok()) {
            parts.push((start, part));
        }
    }
    parts.sort();
    Ok(parts)
}

/// The log that a part belongs to.
pub(super) fn log_of_part(path: &Path) -> Option<PathBuf> {
    let (log, start) = path.to_str()?.rsplit_once(PART)?;
    (start.len() == 20 && start.bytes().all(|byte| byte.is_ascii_digit())).then(|| log.into())
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn shorter(bytes: &[u8], most: u64) -> usize {
    usize::try_from(most).unwrap_or(usize::MAX).min(bytes.len())
}

/// The last bytes of a file, at most `count`.
pub(super) fn last_bytes(file: &mut File, count: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(count)))?;
    let mut bytes = Vec::new();
    file.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SMALL: Limits = Limits { head: 100, tail: 1000, run: 1 << 30, last: 50 };

    fn log(dir: &Path, limits: Limits, ledger: &Arc<Ledger>) -> LogFile {
        LogFile::create(dir.join("main.log"), "main.log".into(), limits, Arc::clone(ledger), &Redactor::new()).unwrap()
    }

    /// Numbered lines of ten bytes each.
    fn text(lines: usize) -> Vec<u8> {
        (0..lines).flat_map(|n| format!("line {n:04}\n").into_bytes()).collect()
    }

    fn only_file(dir: &Path) -> Vec<u8> {
        let files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files, [dir.join("main.log")]);
        fs::read(&files[0]).unwrap()
    }

    #[test]
    fn an_empty_log_is_an_empty_file() {
        let dir = tempfile::tempdir().unwrap();
        let kept = log(dir.path(), SMALL, &Arc::default()).close().unwrap();
        assert_eq!(kept, Kept::default());
        assert_eq!(only_file(dir.path()), b"");
    }

    #[test]
    fn a_log_is_redacted_across_writes() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(dir.path(), SMALL, &Arc::default());
        for chunk in ["pass", "word=hun", "ter2 no", " newline"] {
            log.write(chunk.as_bytes()).unwrap();
        }
        assert_eq!(log.tail(8).unwrap(), b" newline");
        assert_eq!(log.tail(100).unwrap(), b"password=*** no newline");
        log.close().unwrap();
        assert_eq!(only_file(dir.path()), b"password=*** no newline");
    }

    #[test]
    fn a_full_run_leaves_the_end_of_each_log_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let used = Arc::default();
        let limits = Limits { tail: 100_000, run: 2_000, ..SMALL };
        let mut log = log(dir.path(), limits, &used);
        for line in text(600).chunks(10) {
            log.write(line).unwrap();
            log.flush().unwrap();
        }
        let kept = log.close().unwrap();
        assert_eq!((kept.starved, kept.seen, kept.kept, kept.cut), (true, 6_000, 2_050, 3_950));
        let file = only_file(dir.path());
        assert!(file.starts_with(&text(200)) && file.ends_with(b"cut out here: its start and its end are kept]\nline 0595\nline 0596\nline 0597\nline 0598\nline 0599\n"));

        let mut next = self::log(dir.path(), limits, &used);
        next.write(&text(600)).unwrap();
        assert_eq!(next.close().unwrap().kept, 50);
    }

    #[test]
    fn what_a_killed_run_left_is_put_together() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(dir.path(), SMALL, &Arc::default());
        log.write(&text(4000)).unwrap();
        log.flush().unwrap();
        let position = log.position;
        // Killed: nothing is closed.
        let copy = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(dir.path()).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
        recover(&copy.path().join("main.log"), SMALL).unwrap();
        let cut = position - 1100;
        let marker = format!(
            "\n[example-validator: {cut} bytes of this log were cut out here: its start and its end are kept]\n"
        );
        let text = text(4000);
        let end = usize::try_from(position).unwrap();
        assert_eq!(only_file(copy.path()), [&text[..100], marker.as_bytes(), &text[end - 1000..end]].concat());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn head_and_tail_are_kept_whatever_the_length_and_the_chunks(lines in 0_usize..600, chunk in 1_usize..700) {
            let dir = tempfile::tempdir().unwrap();
            let (used, text) = (Arc::default(), text(lines));
            let mut log = log(dir.path(), SMALL, &used);
            for (n, chunk) in text.chunks(chunk).enumerate() {
                log.write(chunk).unwrap();
                if n % 3 == 0 {
                    log.flush().unwrap();
                    let disk: u64 = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
                    prop_assert!(disk <= 100 + 3 * 1000);
                }
            }
            let tail = log.tail(70).unwrap();
            prop_assert_eq!(&tail[..], &text[text.len().saturating_sub(70)..]);
            let kept = log.close().unwrap();
            let file = only_file(dir.path());
            if text.len() <= 1100 {
                prop_assert_eq!(&file, &text);
                prop_assert_eq!(kept, Kept { seen: text.len() as u64, kept: text.len() as u64, cut: 0, starved: false });
            } else {
                let cut = text.len() - 1100;
                let marker =
                    format!("\n[example-validator: {cut} bytes of this log were cut out here: its start and its end are kept]\n");
                let expected = [&text[..100], marker.as_bytes(), &text[text.len() - 1000..]].concat();
                prop_assert_eq!(file, expected);
                prop_assert_eq!((kept.kept, kept.cut), (1100, cut as u64));
            }
        }
    }
}
