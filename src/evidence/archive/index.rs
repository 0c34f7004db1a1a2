//! The index at the top of the archive: for machines, and for people.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;

use super::{Contents, LeftOut, Source};
use crate::diagnostic::inert::inert;
use crate::evidence::redact::Redactor;
use crate::model::{Cause, ExampleId, Outcome};
use crate::report::{Row, Run};

/// The index's names.
pub(super) const NAMES: [&str; 2] = ["index.json", "index.txt"];

/// A file of the archive.
pub(super) struct Entry<'a> {
    pub source: &'a Source,
    pub bytes: u64,
}

/// `index.json`, `schemaVersion` 1.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u32,
    run: &'a Run,
    cells: Vec<Cell<'a>>,
    /// The files of no cell.
    other: Vec<File<'a>>,
    left_out: &'a [LeftOut],
}

#[derive(Serialize)]
struct Cell<'a> {
    example: &'a ExampleId,
    kubernetes: Option<&'a str>,
    outcome: Outcome,
    cause: Option<&'a Cause>,
    evidence: Option<&'a str>,
    files: Vec<File<'a>>,
}

#[derive(Clone, Serialize)]
struct File<'a> {
    file: &'a str,
    bytes: u64,
}

/// The files of the index.
pub(super) fn render(
    contents: &Contents<'_>,
    entries: &[Entry<'_>],
    left_out: &[LeftOut],
    redactor: &Redactor,
) -> io::Result<[(&'static str, String); 2]> {
    let mut by_place: Vec<_> = entries.iter().collect();
    by_place.sort_by(|a, b| a.source.relative.cmp(&b.source.relative));
    let mut owned = vec![false; by_place.len()];
    let cells = contents.rows.iter().map(|row| cell(row, &by_place, &mut owned)).collect();
    let of_nobody = by_place.iter().zip(&owned).filter(|(_, owned)| !**owned).map(|(entry, _)| file(entry));
    let index = Index { schema_version: 1, run: contents.run, cells, other: of_nobody.collect(), left_out };
    let json = redactor.json(&serde_json::to_value(&index)?);
    Ok([(NAMES[0], format!("{json:#}\n")), (NAMES[1], redactor.text(&people(&index)).into_owned())])
}

/// A cell with its files: those below its folder. `entries` are in the order of their places.
fn cell<'a>(row: &'a Row, entries: &[&'a Entry<'a>], owned: &mut [bool]) -> Cell<'a> {
    let mut files = Vec::new();
    if let Some(folder) = row.evidence.as_deref() {
        let folder = format!("{}/", folder.trim_end_matches('/'));
        let from = entries.partition_point(|entry| entry.source.relative < folder);
        let below = entries[from..].iter().take_while(|entry| entry.source.relative.starts_with(&folder));
        for (entry, owned) in below.zip(&mut owned[from..]) {
            *owned = true;
            files.push(file(entry));
        }
    }
    Cell {
        example: &row.example,
        kubernetes: row.kubernetes.as_deref(),
        outcome: row.outcome,
        cause: row.cause.as_ref(),
        evidence: row.evidence.as_deref(),
        files,
    }
}

fn file<'a>(entry: &Entry<'a>) -> File<'a> {
    File { file: &entry.source.name, bytes: entry.bytes }
}

/// The index as plain text: what went wrong first. Nothing in it acts on a terminal.
fn people(index: &Index<'_>) -> String {
    let run = index.run;
    let mut text = String::from("Evidence of a run of example-validator\n");
    for (what, value) in
        [("run", &run.id), ("started", &run.started_at), ("repository", &run.repository), ("commit", &run.commit)]
    {
        if !value.is_empty() {
            let _ = writeln!(text, "{what:>10}: {}", inert(value));
        }
    }
    if run.simulated {
        text.push_str("\nSIMULATED: nothing here ran on a real cluster.\n");
    }
    let (passed, others): (Vec<_>, Vec<_>) = index.cells.iter().partition(|cell| cell.outcome == Outcome::Passed);
    for cell in others.into_iter().chain(passed) {
        let version = cell.kubernetes.unwrap_or("static checks only");
        let _ = writeln!(text, "\n{:<10}{} ({})", cell.outcome, inert(cell.example.as_str()), inert(version));
        if let Some(cause) = cell.cause {
            let object = if cause.object.is_empty() { String::new() } else { format!(" ({})", cause.object) };
            let _ = writeln!(text, "          {}", inert(&format!("{}: {}{object}", cause.reason, cause.message)));
        }
        list(&mut text, &cell.files);
    }
    if !index.other.is_empty() {
        text.push_str("\nof no example\n");
        list(&mut text, &index.other);
    }
    if !index.left_out.is_empty() {
        text.push_str("\nleft out\n");
        for left in index.left_out {
            let _ = writeln!(text, "          {}: {}", inert(&left.file), inert(&left.why));
        }
    }
    text
}

fn list(text: &mut String, files: &[File<'_>]) {
    for file in files {
        let _ = writeln!(text, "{:>14}  {}", file.bytes, inert(file.file));
    }
}
