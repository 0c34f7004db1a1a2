//! The text of a history: a line of JSON a record.
//!
//! It is read as it was found: by hand, by another version of this program, or cut in the middle of a line. What can't be read is counted,
//! and costs nothing else.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::Record;
use crate::model::{CauseClass, ExampleId, Outcome, Tier};

/// The longest line that is read, in bytes.
const LONGEST: usize = 16 << 10;
/// What a line of ours has at least, in bytes: most have some 230.
const USUAL: usize = 180;
/// How much of a text one thread reads at a time, in bytes.
const PIECE: usize = 1 << 20;

/// How far ahead of the clock that reads it a record may be: clocks differ, but by no day.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// What was read of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// The records, in the order of their lines.
    pub records: Vec<Record>,
    /// The lines that are no records, if there are any.
    pub skipped: Option<Skipped>,
}

/// Lines that are no records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// How many there are.
    pub count: usize,
    /// The number of the first, from 1.
    pub line: usize,
    /// Why it is none.
    pub why: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "line {} is no record, and is skipped: {}", self.line, self.why),
            count => {
                write!(
                    f,
                    "{count} lines are no records, and are skipped; the first is line {}: {}",
                    self.line, self.why
                )
            }
        }
    }
}

/// What one piece of a text holds.
struct Piece {
    records: Vec<Record>,
    lines: usize,
    /// As in [`Skipped`], the line counted within the piece.
    skipped: Option<Skipped>,
}

/// Reads a text, whatever it is. What is more than a day later than `now` is no record: nothing would ever be newer.
#[must_use]
pub fn read(text: &[u8], now: Timestamp) -> Read {
    let (pieces, skipped) = read_pieces(text, now);
    Read { records: pieces.into_iter().flatten().collect(), skipped }
}

/// The same, the records in as many parts as they were read in: to put large ones together takes as long as to read them.
pub(super) fn read_pieces(text: &[u8], now: Timestamp) -> (Vec<Vec<Record>>, Option<Skipped>) {
    let latest = latest(now);
    let pieces: Vec<Piece> =
        pieces(without_mark(text)).into_par_iter().map(|piece| read_piece(piece, latest)).collect();
    let (mut before, mut skipped) = (0, None);
    let mut records = Vec::with_capacity(pieces.len());
    for piece in pieces {
        records.push(piece.records);
        skipped = match (skipped, piece.skipped) {
            (None, found) => found.map(|found| Skipped { line: before + found.line, ..found }),
            (first, None) => first,
            (Some(first), Some(more)) => Some(Skipped { count: first.count + more.count, ..first }),
        };
        before += piece.lines;
    }
    (records, skipped)
}

fn latest(now: Timestamp) -> Timestamp {
    now.checked_add(AHEAD).unwrap_or(Timestamp::MAX)
}

/// A text without the mark of its byte order, which some editors begin files with.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Whether a text holds something, and no line of ours, of whatever time and version: then somebody named the wrong file, which must not be
/// overwritten. It is read up to the first that is.
#[must_use]
pub fn is_something_else(text: &[u8]) -> bool {
    let lines = without_mark(text).split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut lines = lines.filter(|line| !line.is_empty()).peekable();
    let mut words = Words::default();
    let is_ours =
        |line: &[u8]| matches!(record(line, Timestamp::MAX, &mut words), Some(Ok(_))) || Strange::of(line).is_some();
    lines.peek().is_some() && !lines.any(is_ours)
}

/// What a history holds that stays when it is written again.
#[derive(Debug, Default)]
pub(super) struct Stored<'t> {
    /// The records in the order of their lines, each with its text if that is one: it may say more than this version reads.
    pub records: Vec<(Record, Option<&'t str>)>,
    pub strange: Vec<Strange<'t>>,
}

/// A line that is no record to this version and at this time: a later version wrote it, or a clock is wrong.
#[derive(Debug)]
pub(super) struct Strange<'t> {
    pub text: &'t str,
    pub at: Timestamp,
    pub run: String,
    pub example: String,
    attempt: Option<Value>,
    kubernetes: Option<Value>,
}

/// What a line of any version has.
#[derive(Deserialize)]
struct Label {
    at: Timestamp,
    run: String,
    example: String,
    #[serde(default)]
    attempt: Option<Value>,
    #[serde(default)]
    kubernetes: Option<Value>,
}

impl<'t> Strange<'t> {
    fn of(line: &'t [u8]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok().filter(|text| text.len() <= LONGEST)?;
        let Label { at, run, example, attempt, kubernetes } = serde_json::from_str(text).ok()?;
        Some(Self { text, at, run, example, attempt, kubernetes })
    }

    /// Whether a record is of the same attempt at a run, example and version.
    pub fn is_of(&self, record: &Record) -> bool {
        let attempt = self.attempt.as_ref().map_or(Some(1), Value::as_u64);
        self.run == *record.run
            && self.example == record.example.as_str()
            && attempt == Some(u64::from(record.attempt))
            && self.kubernetes.as_ref().and_then(Value::as_str) == record.kubernetes.as_deref()
    }
}

/// What of a text stays when it is written again; `now` as in [`read`].
pub(super) fn stored(text: &[u8], now: Timestamp) -> Stored<'_> {
    let latest = latest(now);
    let of_piece = |piece| {
        let (mut stored, mut words) = (Stored::default(), Words::default());
        for line in <[u8]>::split(piece, |byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
            match record(line, latest, &mut words) {
                None => {}
                Some(Ok(record)) => stored.records.push((record, std::str::from_utf8(line).ok())),
                Some(Err(_)) => stored.strange.extend(Strange::of(line)),
            }
        }
        stored
    };
    let pieces: Vec<Stored<'_>> = pieces(without_mark(text)).into_par_iter().map(of_piece).collect();
    let mut all = Stored::default();
    for piece in pieces {
        all.records.extend(piece.records);
        all.strange.extend(piece.strange);
    }
    all
}

/// The text in pieces, each but the last ending with a line.
fn pieces(mut text: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while text.len() > PIECE {
        let Some(end) = memchr::memchr(b'\n', &text[PIECE..]) else { break };
        let (piece, rest) = text.split_at(PIECE + end + 1);
        pieces.push(piece);
        text = rest;
    }
    if !text.is_empty() {
        pieces.push(text);
    }
    pieces
}

fn read_piece(text: &[u8], latest: Timestamp) -> Piece {
    let mut piece = Piece { records: Vec::with_capacity(text.len() / USUAL), lines: 0, skipped: None };
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let (mut start, mut words) = (0, Words::default());
    for end in memchr::memchr_iter(b'\n', text).chain([text.len()]) {
        piece.lines += 1;
        let line = text[start..end].trim_ascii();
        start = end + 1;
        match record(line, latest, &mut words) {
            None => {}
            Some(Ok(record)) => piece.records.push(record),
            Some(Err(why)) => match &mut piece.skipped {
                Some(skipped) => skipped.count += 1,
                none => *none = Some(Skipped { count: 1, line: piece.lines, why }),
            },
        }
    }
    piece
}

/// A record as its line has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'l> {
    #[serde(borrow)]
    at: Cow<'l, str>,
    #[serde(borrow)]
    run: Cow<'l, str>,
    attempt: Option<u32>,
    #[serde(borrow, default)]
    commit: Cow<'l, str>,
    example: ExampleId,
    #[serde(borrow)]
    framework: Option<Text<'l>>,
    #[serde(borrow)]
    kubernetes: Option<Text<'l>>,
    tier: Tier,
    outcome: Outcome,
    class: Option<CauseClass>,
    #[serde(default)]
    reason: String,
    duration_ms: u64,
    cpu_efficiency: Option<f64>,
    memory_efficiency: Option<f64>,
}

/// A text that is copied only if it has escapes: of an optional one serde would copy all.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'l>(#[serde(borrow)] Cow<'l, str>);

/// The texts of the last line. Those of one run follow each other, and differ in the example alone: to allocate the same again for each takes
/// longer than to read it.
#[derive(Default)]
struct Words {
    /// The time of the last line, as it is written and what that means.
    at: Option<(String, Timestamp)>,
    run: Arc<str>,
    commit: Arc<str>,
    framework: Arc<str>,
    kubernetes: Arc<str>,
}

impl Words {
    /// The record of a line that is no later than `latest`.
    fn record(&mut self, line: Line<'_>, latest: Timestamp) -> Result<Record, String> {
        let at = match &self.at {
            Some((text, at)) if *text == line.at => *at,
            _ => {
                let at = line.at.parse().map_err(|error| format!("`at` is no time: {error}"))?;
                self.at.insert((line.at.into_owned(), at)).1
            }
        };
        if at > latest {
            return Err(format!("it is of the future: {at}"));
        }
        Ok(Record {
            at,
            run: shared(&mut self.run, &line.run),
            attempt: line.attempt.unwrap_or(1),
            commit: shared(&mut self.commit, &line.commit),
            example: line.example,
            framework: line.framework.map(|Text(text)| shared(&mut self.framework, &text)),
            kubernetes: line.kubernetes.map(|Text(text)| shared(&mut self.kubernetes, &text)),
            tier: line.tier,
            outcome: line.outcome,
            class: line.class,
            reason: line.reason,
            duration_ms: line.duration_ms,
            cpu_efficiency: line.cpu_efficiency,
            memory_efficiency: line.memory_efficiency,
        })
    }
}

/// The last text, if it is this one; else this one, which is then the last.
fn shared(last: &mut Arc<str>, text: &str) -> Arc<str> {
    if **last != *text {
        *last = text.into();
    }
    Arc::clone(last)
}

/// The record of a line without white space around it, no later than `latest`; `None` if it is empty.
fn record(line: &[u8], latest: Timestamp, words: &mut Words) -> Option<Result<Record, String>> {
    if line.is_empty() {
        return None;
    }
    if line.len() > LONGEST {
        return Some(Err(format!("it has {} bytes, and {LONGEST} at most are read", line.len())));
    }
    let Ok(text) = std::str::from_utf8(line) else { return Some(Err("it is no text in UTF-8".to_owned())) };
    let line = serde_json::from_str::<Line<'_>>(text).map_err(|error| why(&error));
    Some(line.and_then(|line| words.record(line, latest)))
}

/// What is wrong with a line, without serde's own count of lines: it sees one.
fn why(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(what) => format!("{what} at column {}", error.column()),
        None => text,
    }
}

/// A record as its line, with the end of the line.
#[must_use]
pub fn line(record: &Record) -> String {
    // A record is texts, numbers and words, all of which have a form in JSON.
    let mut line = serde_json::to_string(record).unwrap_or_default();
    line.push('\n');
    line
}

/// The text of records, in their order.
#[must_use]
pub fn text(records: &[Record]) -> String {
    records.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::testing::{any_records, record};

    fn read(text: &[u8]) -> Read {
        super::read(text, Timestamp::MAX)
    }

    #[test]
    fn what_is_of_the_future_is_no_record_and_what_a_clock_is_wrong_by_is_one() {
        let text = ["2026-11-20T12:00:00Z", "2026-11-21T11:59:59Z", "2026-11-21T12:00:01Z"]
            .map(|at| line(&record("a", "7", at)))
            .concat();
        let read = super::read(text.as_bytes(), "2026-11-20T12:00:00Z".parse().unwrap());
        assert_eq!(read.records.len(), 2);
        let skipped = read.skipped.unwrap().to_string();
        assert_eq!(skipped, "line 3 is no record, and is skipped: it is of the future: 2026-11-21T12:00:01Z");
    }

    #[test]
    fn a_line_without_an_attempt_is_of_the_first_and_a_second_says_so() {
        let second = Record { attempt: 2, ..record("a", "7", "2026-11-20T12:00:00Z") };
        let text = line(&second);
        assert!(text.contains(r#""run":"7","attempt":2,"commit""#), "{text}");
        assert_eq!(read(text.as_bytes()).records, [second]);
        assert_eq!(read(text.replace(r#""attempt":2,"#, "").as_bytes()).records[0].attempt, 1);
    }

    #[test]
    fn a_line_has_these_fields() {
        let mut one = record("examples/a.yaml", "7", "2026-11-20T12:00:00Z");
        one.cpu_efficiency = Some(0.4);
        let expected = r#"{"at":"2026-11-20T12:00:00Z","run":"7","commit":"c7","example":"examples/a.yaml","framework":"job","kubernetes":"v1.34.0","tier":"full","outcome":"passed","durationMs":1000,"cpuEfficiency":0.4}"#;
        assert_eq!(line(&one), format!("{expected}\n"));
        assert_eq!(read(expected.as_bytes()), Read { records: vec![one], skipped: None });
    }

    #[test]
    fn what_a_later_version_adds_is_no_obstacle() {
        let one = record("a", "7", "2026-11-20T12:00:00Z");
        let text = line(&one).replace("\"run\"", "\"new\":[1],\"run\"");
        assert_eq!(read(text.as_bytes()), Read { records: vec![one], skipped: None });
    }

    #[test]
    fn lines_that_are_no_records_are_counted_and_the_first_is_named() {
        let good = line(&record("a", "7", "2026-11-20T12:00:00Z"));
        let unknown = good.replace("passed", "splendid");
        let text = [good.as_bytes(), b"\r\n\n", unknown.as_bytes(), b"{\"at\n\xff\xfe\n", good.as_bytes()].concat();
        let read = read(&text);
        assert_eq!(read.records.len(), 2);
        let skipped = read.skipped.unwrap();
        assert_eq!((skipped.count, skipped.line), (3, 4));
        assert!(skipped.why.contains("unknown variant `splendid`") && skipped.why.contains("at column"), "{skipped}");
        assert!(skipped.to_string().starts_with("3 lines are no records, and are skipped; the first is line 4: "));
    }

    #[test]
    fn a_line_without_end_is_not_read() {
        let mut endless = record("a", "7", "2026-11-20T12:00:00Z");
        endless.reason = "x".repeat(LONGEST);
        let text = line(&endless) + &line(&record("b", "7", "2026-11-20T12:00:00Z"));
        let read = read(text.as_bytes());
        assert_eq!(read.records.len(), 1);
        let skipped = read.skipped.unwrap().to_string();
        assert!(skipped.starts_with("line 1 is no record, and is skipped: it has 16"), "{skipped}");
    }

    #[test]
    fn the_mark_of_a_byte_order_costs_no_record() {
        let one = record("a", "7", "2026-11-20T12:00:00Z");
        let text = format!("\u{feff}{}", line(&one));
        assert_eq!(read(text.as_bytes()), Read { records: vec![one], skipped: None });
        assert!(!is_something_else(text.as_bytes()));
    }

    #[test]
    fn a_file_of_another_program_is_something_else_and_one_of_a_later_version_is_not() {
        let good = line(&record("a", "7", "2026-11-20T12:00:00Z"));
        for (text, expected) in [
            (String::new(), false),
            (good.replace("2026-11-20T12:00:00Z", ""), true),
            (" \n\r\n".to_owned(), false),
            ("{\"at\": 1}\n[1]\n".to_owned(), true),
            (format!("<<<<<<< HEAD\n\n{good}"), false),
            (good.replace("passed", "splendid"), false),
        ] {
            assert_eq!(is_something_else(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_text_of_many_pieces_is_read_in_its_order_and_its_lines_are_counted_through() {
        let ids: Vec<String> = (0..20_000).map(|number| format!("example-{number}")).collect();
        let mut lines: Vec<String> = ids.iter().map(|id| line(&record(id, "7", "2026-11-20T12:00:00Z"))).collect();
        lines.insert(15_000, "<<<<<<< HEAD\n".to_owned());
        let text = lines.concat();
        assert!(text.len() > 2 * PIECE);
        let read = read(text.as_bytes());
        assert!(read.records.iter().map(|record| record.example.as_str()).eq(ids.iter().map(String::as_str)));
        assert_eq!(read.skipped.map(|skipped| (skipped.count, skipped.line)), Some((1, 15_001)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(records in any_records()) {
            prop_assert_eq!(read(text(&records).as_bytes()), Read { records, skipped: None });
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let lines = bytes.split(|byte| *byte == b'\n').count();
            let read = read(&bytes);
            prop_assert!(read.records.len() + read.skipped.map_or(0, |skipped| skipped.count) <= lines);
        }

        #[test]
        fn a_history_that_was_cut_loses_its_last_line_alone(records in any_records(), more in any_records(), cut in 1_usize..60) {
            prop_assume!(!records.is_empty());
            let whole = text(&records);
            let last = line(records.last().unwrap()).len();
            // A part of the last line is there, and then another history.
            let kept = whole.len() - cut.min(last - 1).max(2);
            let mut joined = whole.as_bytes()[..kept].to_vec();
            joined.push(b'\n');
            joined.extend_from_slice(text(&more).as_bytes());
            let read = read(&joined);
            let expected: Vec<_> = records[..records.len() - 1].iter().chain(&more).cloned().collect();
            prop_assert_eq!(read.records, expected);
            prop_assert_eq!(read.skipped.map(|skipped| (skipped.count, skipped.line)), Some((1, records.len())));
        }
    }
}
