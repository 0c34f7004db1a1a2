//! The journal of a run: its finished cells, one JSON line each, so that a killed run still yields its report.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::report::{Cluster, Row, Run, Tool};

/// The journal's name in the output folder.
pub const NAME: &str = "journal.jsonl";
/// How many lines that can't be read are told.
const MOST_WARNINGS: usize = 100;

/// What is known before the first cell ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// This program.
    pub tool: Tool,
    /// The run; its duration is not known yet.
    pub run: Run,
}

/// A line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Line {
    Header(Header),
    Cluster(Cluster),
    Row(Box<Row>),
}

/// A line that is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Entry<'a> {
    Header(&'a Header),
    Cluster(&'a Cluster),
    Row(&'a Row),
}

/// What a journal holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Journalled {
    pub header: Header,
    /// The clusters, the last word on each.
    pub clusters: Vec<Cluster>,
    /// The finished cells, in the order in which they ended; of a cell that ended twice, the last.
    pub rows: Vec<Row>,
    /// What could not be read.
    pub warnings: Vec<String>,
}

/// The journal of a running run. There is one exactly while the run has no report yet: [`Journal::remove`] it then.
///
/// A line is written whole before [`Journal::append`] returns, so a killed program loses none; a thread of its own brings it
/// to the disk at once after, so that no cell waits for that.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Mutex<Arc<File>>,
    /// Wakes the thread that syncs; dropped to end it.
    written: Option<SyncSender<()>>,
    syncing: Option<JoinHandle<()>>,
}

impl Journal {
    /// Starts a journal in the folder, in the place of one that is there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(dir: &Path, header: &Header) -> Result<Self> {
        let path = dir.join(NAME);
        let create = || -> io::Result<Arc<File>> {
            fs::create_dir_all(dir)?;
            let readable = fs::Permissions::from_mode(0o644);
            let mut new = tempfile::Builder::new().prefix(".journal-").permissions(readable).tempfile_in(dir)?;
            new.write_all(&line(&Entry::Header(header))?)?;
            Ok(Arc::new(new.persist(&path).map_err(|error| error.error)?))
        };
        let file = create().map_err(|error| Error::io("write", &path, error))?;
        let (written, wake) = sync_channel::<()>(1);
        let synced = Arc::clone(&file);
        let syncing = std::thread::spawn(move || {
            while wake.recv().is_ok() {
                // A disk that can't be synced is not the run's fault, and the line is in the file.
                let _ = synced.sync_data();
            }
        });
        let journal = Self { path, file: Mutex::new(file), written: Some(written), syncing: Some(syncing) };
        journal.wake();
        Ok(journal)
    }

    /// Adds a finished cell.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn append(&self, row: &Row) -> Result<()> {
        self.add(&Entry::Row(row))
    }

    /// Adds what is known of a cluster now.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn cluster(&self, cluster: &Cluster) -> Result<()> {
        self.add(&Entry::Cluster(cluster))
    }

    fn add(&self, entry: &Entry<'_>) -> Result<()> {
        let written = line(entry).and_then(|line| {
            let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            (&**file).write_all(&line)
        });
        written.map_err(|error| Error::io("write", &self.path, error))?;
        self.wake();
        Ok(())
    }

    /// Has the file synced; if that is about to happen, it need not happen twice.
    fn wake(&self) {
        if let Some(written) = &self.written {
            let _ = written.try_send(());
        }
    }

    /// Removes the journal: the report is written.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove(self) -> Result<()> {
        fs::remove_file(&self.path).map_err(|error| Error::io("remove", &self.path, error))
    }

    /// Reads the journal that a killed run left in the folder. `None` if there is none, or none with a header that can be
    /// read. Lines that can't be read are told; a last line that is torn is what the run was writing when it was killed.
    #[must_use]
    pub fn read(dir: &Path) -> Option<Journalled> {
        Self::parse(&fs::read(dir.join(NAME)).ok()?)
    }

    /// What the content of a journal says; see [`Journal::read`].
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Journalled> {
        let (mut header, mut warnings) = (None, Vec::new());
        let (mut clusters, mut rows) = (Vec::<Cluster>::new(), Vec::<Option<Row>>::new());
        let mut places = BTreeMap::new();
        let mut lines = bytes.split_inclusive(|&byte| byte == b'\n').enumerate().peekable();
        while let Some((index, line)) = lines.next() {
            let torn = lines.peek().is_none() && !line.ends_with(b"\n");
            match serde_json::from_slice(line) {
                Ok(Line::Header(first)) if header.is_none() => header = Some(first),
                Ok(Line::Header(_)) => warnings.push(format!("{NAME}:{}: a second header was left out", index + 1)),
                Ok(Line::Cluster(cluster)) => {
                    clusters.retain(|known| known.kubernetes != cluster.kubernetes);
                    clusters.push(cluster);
                }
                Ok(Line::Row(row)) => {
                    let cell = (row.example.clone(), row.kubernetes.clone());
                    if let Some(before) = places.insert(cell, rows.len()) {
                        rows[before] = None;
                    }
                    rows.push(Some(*row));
                }
                Err(_) if torn => {
                    warnings.push(format!("{NAME}:{}: the last line is torn and was left out", index + 1));
                }
                Err(why) => warnings.push(format!("{NAME}:{}: the line was left out: {why}", index + 1)),
            }
        }
        warnings.truncate(MOST_WARNINGS);
        Some(Journalled { header: header?, clusters, rows: rows.into_iter().flatten().collect(), warnings })
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.written = None;
        if let Some(syncing) = self.syncing.take() {
            // It can't have panicked; if it had, nothing would be lost.
            let _ = syncing.join();
        }
    }
}

fn line(entry: &Entry<'_>) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ExampleId, Outcome, Tier};

    fn row(example: &str, outcome: Outcome) -> Row {
        Row {
            example: ExampleId::new(example),
            framework: None,
            objects: vec![],
            support: false,
            tier: Tier::Full,
            kubernetes: Some("v1.34.0".into()),
            outcome,
            quarantined: false,
            duration_ms: 1,
            cause: None,
            reason: "it says \"\n\"".into(),
            attempts: vec![],
            checks: vec![],
            diagnostics: vec![],
            resources: None,
            log: None,
            health: None,
            evidence: None,
        }
    }

    fn header() -> Header {
        let tool = Tool { name: "example-validator".into(), version: "0".into(), schemas: None };
        Header { tool, run: Run { id: "run-1".into(), ..Run::default() } }
    }

    #[test]
    fn a_journal_gives_back_its_cells() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::create(dir.path(), &header()).unwrap();
        let cluster = |outcome: &str| Cluster {
            kubernetes: "v1.34.0".into(),
            provider: "kind".into(),
            outcome: outcome.into(),
            cause: None,
            started_at: String::new(),
            operator_started_at: String::new(),
            phases: serde_json::Map::new(),
            checks: vec![],
        };
        std::thread::scope(|scope| {
            for n in 0..20 {
                let journal = &journal;
                scope.spawn(move || journal.append(&row(&format!("e{n}"), Outcome::Failed)).unwrap());
            }
        });
        journal.cluster(&cluster("creating")).unwrap();
        journal.cluster(&cluster("ready")).unwrap();
        journal.append(&row("e3", Outcome::Passed)).unwrap();
        let read = Journal::read(dir.path()).unwrap();
        assert_eq!((read.header, read.rows.len(), read.warnings), (header(), 20, vec![]));
        assert_eq!(read.rows.last(), Some(&row("e3", Outcome::Passed)));
        assert_eq!(read.clusters, [cluster("ready")]);
        journal.remove().unwrap();
        assert_eq!(Journal::read(dir.path()), None);
    }

    #[test]
    fn a_journal_that_is_cut_anywhere_gives_back_its_whole_lines() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::create(dir.path(), &header()).unwrap();
        for example in ["a", "b", "c"] {
            journal.append(&row(example, Outcome::Passed)).unwrap();
        }
        drop(journal);
        let path = dir.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            // A line without its end may already be whole.
            let lines = memchr::memchr_iter(b'\n', &whole[..length]).count() + usize::from(whole[length] == b'\n');
            let read = Journal::read(dir.path());
            assert_eq!(read.as_ref().map_or(0, |read| read.rows.len() + 1), lines, "cut at {length}");
            if let Some(read) = read {
                let torn = whole[length] != b'\n' && whole[length - 1] != b'\n';
                assert_eq!(read.warnings.len(), usize::from(torn), "cut at {length}");
            }
        }
    }

    #[test]
    fn a_line_that_is_no_entry_is_told_and_costs_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::create(dir.path(), &header()).unwrap();
        (&**journal.file.lock().unwrap()).write_all(b"{\"row\": 1}\n\xff\xfe\n").unwrap();
        journal.append(&row("a", Outcome::Passed)).unwrap();
        let read = Journal::read(dir.path()).unwrap();
        assert_eq!((read.rows.len(), read.warnings.len()), (1, 2));
        assert!(read.warnings[0].starts_with("journal.jsonl:2: the line was left out: "), "{:?}", read.warnings);
    }
}
