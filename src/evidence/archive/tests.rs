//! The archive holds the evidence, safely named and redacted, and the folder is empty afterwards.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value as Json;

use super::*;
use crate::evidence::{Evidence, Journal};
use crate::model::{Cause, CauseClass, ExampleId, Outcome, Tier};
use crate::report::Tool;

const CANARY: &str = "canary-9f2c";

fn row(evidence: &Evidence, example: &str, outcome: Outcome) -> Row {
    let example = ExampleId::new(example);
    let cause = (outcome != Outcome::Passed).then(|| Cause {
        class: CauseClass::Runtime,
        reason: "Error".into(),
        message: format!("it said {CANARY}\u{1b}[31m"),
        hint: String::new(),
        object: "Pod/x".into(),
        file: String::new(),
        line: 0,
    });
    Row {
        evidence: Some(evidence.cell("v1.34.0", &example)),
        example,
        framework: None,
        objects: vec![],
        support: false,
        tier: Tier::Full,
        kubernetes: Some("v1.34.0".into()),
        outcome,
        quarantined: false,
        duration_ms: 1,
        cause,
        reason: String::new(),
        attempts: vec![],
        checks: vec![],
        diagnostics: vec![],
        resources: None,
        log: None,
        health: None,
    }
}

fn entries(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut zip = zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap();
    (0..zip.len())
        .map(|n| {
            let mut file = zip.by_index(n).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            (file.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

/// An output folder with evidence in it.
struct Scene {
    root: tempfile::TempDir,
    evidence: Evidence,
    redactor: Redactor,
}

impl Scene {
    fn new() -> Self {
        Self::within(Limits::default())
    }

    fn within(limits: Limits) -> Self {
        let root = tempfile::tempdir().unwrap();
        let redactor = Redactor::new();
        let evidence = Evidence::new(&root.path().join("evidence"), limits, redactor.clone());
        Self { root, evidence, redactor }
    }

    fn zip(&self) -> PathBuf {
        self.root.path().join("evidence.zip")
    }

    fn archive(&self, rows: &[Row]) -> (Archived, BTreeMap<String, Vec<u8>>) {
        let run = Run { id: "run-1".into(), simulated: true, ..Run::default() };
        let archived = archive(&Contents { evidence: &self.evidence, run: &run, rows }, &self.zip()).unwrap();
        (archived, entries(&self.zip()))
    }
}

#[test]
fn an_archive_has_every_file_and_an_index_and_leaves_nothing_behind() {
    let scene = Scene::new();
    let rows =
        [row(&scene.evidence, "examples/a.yaml", Outcome::Passed), row(&scene.evidence, "examples/b", Outcome::Failed)];
    for row in &rows {
        let folder = scene.evidence.attempt("v1.34.0", &row.example, 1);
        folder.write("events.json", b"[]").unwrap();
        let mut log = folder.log("pod", "main", 0).unwrap();
        log.write(b"hello\n").unwrap();
        log.close().unwrap();
    }
    scene.evidence.other("operator").write("x.log", b"up\n").unwrap();
    let (archived, files) = scene.archive(&rows);
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "index.json",
            "index.txt",
            "operator/x.log",
            "v1.34.0/examples/a.yaml/attempt-1/events.json",
            "v1.34.0/examples/a.yaml/attempt-1/pod.main.log",
            "v1.34.0/examples/b/attempt-1/events.json",
            "v1.34.0/examples/b/attempt-1/pod.main.log",
        ]
    );
    assert_eq!((archived.files, archived.bytes, archived.left_out.len()), (5, 19, 0));
    assert_eq!(archived.size, fs::metadata(scene.zip()).unwrap().len());
    assert!(!scene.evidence.dir().exists());
    let index: Json = serde_json::from_slice(&files["index.json"]).unwrap();
    assert_eq!(index["cells"][1]["cause"]["reason"], "Error");
    assert_eq!(index["cells"][0]["files"][1]["bytes"], 6);
    assert_eq!(index["other"][0]["file"], "operator/x.log");
    let text = String::from_utf8(files["index.txt"].clone()).unwrap();
    assert!(text.find("examples/b").unwrap() < text.find("examples/a.yaml").unwrap(), "{text}");
    assert!(text.contains("SIMULATED") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn the_same_evidence_gives_the_same_archive() {
    let archives: Vec<_> = (0..2)
        .map(|_| {
            let scene = Scene::new();
            for n in 0..50 {
                let folder = scene.evidence.attempt("v1", &ExampleId::new(format!("e{n}")), 1);
                folder.write("x.txt", format!("{n}\n").repeat(n * 300).as_bytes()).unwrap();
            }
            scene.archive(&[]);
            fs::read(scene.zip()).unwrap()
        })
        .collect();
    assert!(archives[0] == archives[1]);
}

#[test]
fn a_canary_is_nowhere_even_if_it_became_known_late() {
    let scene = Scene::new();
    let hostile = format!("../../{CANARY}/\u{1b}[2J/..\\x: y");
    let rows = [row(&scene.evidence, &hostile, Outcome::Failed)];
    let folder = scene.evidence.attempt("v1.34.0", &ExampleId::new(&hostile), 1);
    folder.write("early.txt", format!("a {CANARY} b").as_bytes()).unwrap();
    let mut log = folder.log(&format!("pod-{CANARY}"), "../main", 1).unwrap();
    log.write(format!("{CANARY}\ntoken ghp_{}\n", "a1".repeat(20)).as_bytes()).unwrap();
    log.close().unwrap();
    // What others put in the place of a file of ours is redacted like theirs.
    let ours = folder.write("ours.txt", b"nothing").unwrap();
    fs::write(scene.evidence.dir().join(ours), format!("password={0}{0}", "a1a1a1")).unwrap();
    // What a script of the example's own left, with a name of its own, a link out, and bytes that are no text.
    let own = folder.create().unwrap();
    fs::write(own.join(format!("{CANARY}.bin")), [b"\0\0", CANARY.as_bytes(), b"://a:b@"].concat()).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", own.join("link")).unwrap();
    scene.redactor.learn(&serde_json::json!({"kind": "Secret", "stringData": {"key": CANARY}}));

    let (archived, files) = scene.archive(&rows);
    let raw = fs::read(scene.zip()).unwrap();
    assert!(memchr::memmem::find(&raw, CANARY.as_bytes()).is_none(), "in a name");
    for (name, bytes) in &files {
        for secret in [CANARY.as_bytes(), b"a1a1a1", b"root:"] {
            assert!(memchr::memmem::find(bytes, secret).is_none(), "{name}");
        }
        assert!(!name.starts_with('/') && !name.contains(['\\', '\u{1b}', ':']), "{name}");
        assert!(name.split('/').all(|part| part != ".." && part != "." && !part.is_empty()), "{name}");
    }
    assert!(
        files.values().any(|bytes| bytes == b"\0\0***://a:b@"),
        "bytes that are no text keep what only looks secret"
    );
    assert_eq!(archived.left_out.len(), 1, "the link: {:?}", archived.left_out);
}

#[test]
fn what_is_too_big_is_left_out_and_told() {
    let scene = Scene::within(Limits { head: 100, tail: 900, run: 1000, last: 10 });
    let folder = scene.evidence.attempt("v1", &ExampleId::new("e"), 1);
    folder.write("model.bin", &vec![1; 20_000]).unwrap();
    for n in 0..4 {
        folder.write(&format!("{n}.txt"), &[b'x'; 400]).unwrap();
    }
    let (archived, files) = scene.archive(&[]);
    assert_eq!(files.len(), 2 + 3);
    assert_eq!(archived.left_out.len(), 2);
    assert!(folder.path().join("model.bin").exists(), "what is not in the archive stays");
    assert!(String::from_utf8_lossy(&files["index.txt"]).contains("left out\n          v1/e/attempt-1/"));
}

#[test]
fn the_evidence_of_a_killed_run_is_archived_from_its_journal() {
    let scene = Scene::new();
    let limits = Limits { head: 100, tail: 1000, run: 1 << 20, last: 10 };
    let evidence = Evidence::new(scene.evidence.dir(), limits, Redactor::new());
    let tool = Tool { name: "example-validator".into(), version: "0".into(), schemas: None };
    let header = journal::Header { tool, run: Run { id: "killed".into(), ..Run::default() } };
    let journal = Journal::create(scene.root.path(), &header).unwrap();
    journal.append(&row(&evidence, "a", Outcome::Failed)).unwrap();
    let mut log = evidence.attempt("v1.34.0", &ExampleId::new("a"), 1).log("p", "main", 0).unwrap();
    log.write(&b"0123456789\n".repeat(5000)).unwrap();
    log.flush().unwrap();
    // Killed: nothing runs that would close the log.
    std::mem::forget(log);
    std::mem::forget(journal);

    let archived = archive_left(scene.root.path(), evidence.dir(), &scene.zip(), limits).unwrap().unwrap();
    let files = entries(&scene.zip());
    assert_eq!((archived.files, archived.left_out.len()), (1, 0));
    let log = &files["v1.34.0/a/attempt-1/p.main.log"];
    assert!(log.starts_with(b"0123456789\n") && log.len() > 1100 && log.len() < 1300, "{}", log.len());
    let index: Json = serde_json::from_slice(&files["index.json"]).unwrap();
    assert_eq!(index["run"]["id"], "killed");
    assert_eq!(archive_left(&scene.root.path().join("none"), evidence.dir(), &scene.zip(), limits).unwrap(), None);
}

#[test]
fn nothing_is_lost_if_the_archive_cannot_be_written() {
    let scene = Scene::new();
    let folder = scene.evidence.attempt("v1", &ExampleId::new("e"), 1);
    folder.write("x.txt", b"x").unwrap();
    fs::create_dir(scene.zip()).unwrap();
    let contents = Contents { evidence: &scene.evidence, run: &Run::default(), rows: &[] };
    assert!(archive(&contents, &scene.zip()).is_err());
    assert!(folder.path().join("x.txt").exists());
    assert_eq!(fs::read_dir(scene.root.path()).unwrap().count(), 2, "and nothing is left half written");
}

#[test]
fn no_evidence_is_an_archive_with_an_index() {
    let scene = Scene::new();
    let (archived, files) = scene.archive(&[]);
    assert_eq!((archived.files, files.len()), (0, 2));
}
