//! The folder of an attempt's evidence on disk.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;

use super::log::LogFile;
use super::names;
use super::redact::Redactor;
use crate::error::{Error, Result};
use crate::model::ExampleId;

/// How much is kept, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The start of a log.
    pub head: u64,
    /// The end of a log.
    pub tail: u64,
    /// All evidence of a run. Once there is that much, logs keep what they have, and of the rest only the end.
    pub run: u64,
    /// That end.
    pub last: u64,
}

impl Default for Limits {
    /// The design's: a log's first 1 MiB and last 63 MiB, 2 GiB a run; then the last 64 KiB of each log.
    fn default() -> Self {
        Self { head: 1 << 20, tail: 63 << 20, run: 2 << 30, last: 64 << 10 }
    }
}

/// What a run has kept so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    bytes: AtomicU64,
    /// The files that were written redacted, by their path inside the evidence.
    written: Mutex<HashMap<String, Written>>,
}

/// A file that was written redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Written {
    /// What the redactor knew then.
    generation: u64,
    length: u64,
}

/// What a file still needs on its way into the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Everything: others may have written it.
    All,
    /// The values that were learnt since it was written.
    Values,
    Nothing,
}

impl Ledger {
    /// Counts what is kept in any case.
    pub(super) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts as many of `bytes` as the limit leaves room for; how many those are.
    pub(super) fn reserve(&self, bytes: u64, limit: u64) -> u64 {
        let fits = |used: u64| bytes.min(limit.saturating_sub(used));
        let before = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used + fits(used)));
        fits(before.unwrap_or(limit))
    }

    /// Notes that a file of this length was redacted with what was known at `generation`.
    pub(super) fn wrote(&self, relative: String, generation: u64, length: u64) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert(relative, Written { generation, length });
    }
}

/// The evidence of a run. Clones share its limits.
#[derive(Clone, Debug)]
pub struct Evidence {
    dir: PathBuf,
    limits: Limits,
    redactor: Redactor,
    ledger: Arc<Ledger>,
}

impl Evidence {
    /// The evidence in a folder, which is made when something is first put into it.
    #[must_use]
    pub fn new(dir: &Path, limits: Limits, redactor: Redactor) -> Self {
        Self { dir: dir.to_owned(), limits, redactor, ledger: Arc::default() }
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it is redacted with.
    #[must_use]
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The path of a cell inside the evidence (`v1.34.0/examples/job.yaml`), as the report names it.
    #[must_use]
    pub fn cell(&self, kubernetes: &str, example: &ExampleId) -> String {
        let version = names::segment(&self.redactor.text(kubernetes));
        format!("{version}/{}", names::path(&self.redactor.text(example.as_str())))
    }

    /// The folder of an attempt at a cell: `<version>/<example>/attempt-<number>`.
    #[must_use]
    pub fn attempt(&self, kubernetes: &str, example: &ExampleId, number: u32) -> Folder {
        self.folder(format!("{}/attempt-{number}", self.cell(kubernetes, example)))
    }

    /// A folder for what belongs to no cell: the operator's logs, a build's.
    #[must_use]
    pub fn other(&self, name: &str) -> Folder {
        self.folder(names::path(&self.redactor.text(name)))
    }

    /// What a file needs on its way into the archive, by its path inside the evidence and its length.
    pub(super) fn needs(&self, relative: &str, length: u64) -> Needs {
        let written = self.ledger.written.lock().unwrap_or_else(PoisonError::into_inner).get(relative).copied();
        match written.filter(|written| written.length == length) {
            None => Needs::All,
            Some(written) if written.generation == self.redactor.generation() => Needs::Nothing,
            Some(_) => Needs::Values,
        }
    }

    /// How much is kept.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    fn folder(&self, relative: String) -> Folder {
        Folder { evidence: self.clone(), path: self.dir.join(&relative), relative }
    }
}

/// A folder of evidence: what is put into it is redacted.
#[derive(Clone, Debug)]
pub struct Folder {
    evidence: Evidence,
    path: PathBuf,
    relative: String,
}

impl Folder {
    /// Where it is; it may not exist yet.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same inside the evidence and its archive, with `/`.
    #[must_use]
    pub fn relative(&self) -> &str {
        &self.relative
    }

    /// A folder inside of it.
    #[must_use]
    pub fn within(&self, name: &str) -> Self {
        self.evidence.folder(format!("{}/{}", self.relative, names::path(&self.evidence.redactor.text(name))))
    }

    /// What it is redacted with.
    #[must_use]
    pub fn redactor(&self) -> &Redactor {
        &self.evidence.redactor
    }

    /// Makes the folder, for others to write into (`EVIDENCE_DIR`).
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(&self) -> Result<&Path> {
        fs::create_dir_all(&self.path).map_err(|error| Error::io("create the folder", &self.path, error))?;
        Ok(&self.path)
    }

    /// Writes a file; the name may have `/`. Returns its path inside the evidence.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, name: &str, contents: &[u8]) -> Result<String> {
        let (path, relative) = self.place(name)?;
        let Evidence { redactor, ledger, .. } = &self.evidence;
        let generation = redactor.generation();
        let contents = redactor.bytes(contents);
        let length = contents.len() as u64;
        ledger.add(length);
        fs::write(&path, contents).map_err(|error| Error::io("write", &path, error))?;
        ledger.wrote(relative.clone(), generation, length);
        Ok(relative)
    }

    /// Writes JSON, redacted by its structure (see [`Redactor::json`]), for people to read.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_json(&self, name: &str, value: &Json) -> Result<String> {
        let mut text = format!("{:#}", self.evidence.redactor.json(value));
        text.push('\n');
        self.write(name, text.as_bytes())
    }

    /// Starts the log of a container's run: `<pod>.<container>.log`, with the number of the restart if it is one. (Names of
    /// containers have no dots.)
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn log(&self, pod: &str, container: &str, restart: u32) -> Result<LogFile> {
        let redactor = &self.evidence.redactor;
        let (pod, container) = (names::segment(&redactor.text(pod)), names::segment(&redactor.text(container)));
        let number = if restart == 0 { String::new() } else { format!(".restart-{restart}") };
        let (path, relative) = self.place(&format!("{pod}.{container}{number}.log"))?;
        let ledger = Arc::clone(&self.evidence.ledger);
        LogFile::create(path.clone(), relative, self.evidence.limits, ledger, redactor)
            .map_err(|error| Error::io("write", path, error))
    }

    /// The place of a file, whose folder is made.
    fn place(&self, name: &str) -> Result<(PathBuf, String)> {
        let name = names::path(&self.evidence.redactor.text(name));
        let path = self.path.join(&name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| Error::io("create the folder", folder, error))?;
        }
        Ok((path, format!("{}/{name}", self.relative)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_laid_out_by_version_and_example_and_stays_inside() {
        let root = tempfile::tempdir().unwrap();
        let redactor = Redactor::new();
        redactor.add("canary-value");
        let evidence = Evidence::new(&root.path().join("a/b"), Limits::default(), redactor);
        let folder = evidence.attempt("v1.34.0", &ExampleId::new("examples/job.yaml"), 2);
        assert_eq!(folder.relative(), "v1.34.0/examples/job.yaml/attempt-2");
        assert_eq!(folder.write("a/../../../x", b"1").unwrap().matches("..").count(), 0);
        for id in ["../../x", "/etc/passwd", r"..\x", "a/./b", "canary-value.yaml", "a\nb"] {
            let folder = evidence.attempt("../v1", &ExampleId::new(id), 1);
            folder.write("x.txt", b"canary-value").unwrap();
            assert!(fs::canonicalize(folder.path()).unwrap().starts_with(fs::canonicalize(evidence.dir()).unwrap()));
            assert!(!folder.relative().contains("canary-value"));
            assert_eq!(fs::read(folder.path().join("x.txt")).unwrap(), b"***");
        }
        let around = fs::read_dir(root.path()).unwrap().chain(fs::read_dir(root.path().join("a")).unwrap());
        assert_eq!(around.count(), 2, "nothing is written beside it");
    }

    #[test]
    fn json_is_redacted_and_indented() {
        let root = tempfile::tempdir().unwrap();
        let evidence = Evidence::new(root.path(), Limits::default(), Redactor::new());
        let secret = serde_json::json!({"kind": "Secret", "data": {"a": "eA=="}});
        let relative = evidence.other("operator").write_json("secret.json", &secret).unwrap();
        let text = fs::read_to_string(root.path().join(relative)).unwrap();
        assert_eq!(text, "{\n  \"kind\": \"Secret\",\n  \"data\": {\n    \"a\": \"***\"\n  }\n}\n");
    }
}
