//! Where a log was left off, so that a connection that was cut can go on there. Pure.
//!
//! A log is asked for with timestamps: the kubelet puts one before each line (RFC 3339 with nanoseconds, a space), which is
//! taken off again. After a cut the log is asked for from the second of the last line on, and what was had of it is
//! skipped. A server that gives no timestamps is asked for the whole log, and what was had is skipped by its length.

use jiff::Timestamp;

/// The longest timestamp: `2006-01-02T15:04:05.000000000+07:00`, and its space.
const LONGEST_STAMP: usize = 36;

/// The longest remark that is recognised.
const LONGEST_REMARK: usize = 300;

/// What the kubelet writes into a log's stream when it can't read (on) the log, answering 200 all the same.
const REMARKS: &[&str] = &[
    "unable to retrieve container logs for ",
    "failed to create fsnotify watcher",
    "failed to watch ",
    "failed to try resolving symlinks in path",
    "failed to open log file ",
    "failed to get logs from ",
    "rpc error: code = ",
];

/// What was had of a log.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// Whether the server gives timestamps; `None` before the first line.
    stamped: Option<bool>,
    /// The latest timestamp: not always the last line's, since what a container prints on its two outputs is stamped apart.
    newest: Option<Timestamp>,
    /// How many lines had a timestamp in the same second as `newest`: those come again, first and in this order.
    again: u64,
    /// Whether the last line is one of them, and how many of its bytes were had.
    counted: bool,
    within: u64,
    /// Whether the last line was had whole.
    whole: bool,
    /// All bytes that were had.
    total: u64,
}

impl Position {
    /// From when on the log is to be asked for; in whole seconds, rounded down, since servers know no finer.
    pub(super) fn since(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.newest?.as_second()).ok()
    }

    /// Whether anything was had.
    pub(super) fn is_started(&self) -> bool {
        self.total > 0
    }
}

/// One connection's part of a log.
#[derive(Debug)]
pub(super) struct Part<'a> {
    position: &'a mut Position,
    /// The start of a line, until it is known what it is.
    start: Vec<u8>,
    inside: bool,
    skip: Skip,
    remark: Option<String>,
}

/// What of a connection's text was had before.
#[derive(Debug, PartialEq, Eq)]
enum Skip {
    /// Nothing more.
    Nothing,
    /// So many lines; the last of them perhaps only in part.
    Lines(u64),
    /// So many bytes: of a line, or of the whole log where there are no timestamps.
    Bytes(u64),
    /// The rest of a line that was had.
    Line,
}

impl<'a> Part<'a> {
    pub(super) fn new(position: &'a mut Position) -> Self {
        let skip = match (position.stamped, position.again) {
            (Some(true), again @ 1..) => Skip::Lines(again),
            (Some(false), _) => Skip::Bytes(position.total),
            _ => Skip::Nothing,
        };
        Self { position, start: Vec::new(), inside: false, skip, remark: None }
    }

    /// Takes a chunk; appends to `out` what the container printed in it and was not had before.
    pub(super) fn push(&mut self, mut chunk: &[u8], out: &mut Vec<u8>) {
        while !chunk.is_empty() {
            if self.inside {
                let length = memchr::memchr(b'\n', chunk).map_or(chunk.len(), |newline| newline + 1);
                self.content(&chunk[..length], out);
                chunk = &chunk[length..];
                continue;
            }
            // The start of a line is gathered until it can be told what it is.
            let most = (LONGEST_REMARK - self.start.len()).min(chunk.len());
            let newline = memchr::memchr(b'\n', &chunk[..most]).map(|newline| newline + 1);
            let length =
                newline.unwrap_or(if self.start.len() < LONGEST_STAMP { most.min(LONGEST_STAMP) } else { most });
            self.start.extend_from_slice(&chunk[..length]);
            chunk = &chunk[length..];
            if newline.is_some() || !self.is_open() {
                self.begin(out);
            }
        }
    }

    /// The end of the connection. Returns what the server said in the log's place.
    pub(super) fn end(mut self, out: &mut Vec<u8>) -> Option<String> {
        if !self.start.is_empty() {
            self.begin(out);
        }
        self.remark
    }

    /// Whether the start of a line could still become anything.
    fn is_open(&self) -> bool {
        self.start.len() < LONGEST_STAMP
            || (self.start.len() < LONGEST_REMARK && stamp_of(&self.start).is_none() && may_be_remark(&self.start))
    }

    /// A line's start is known.
    fn begin(&mut self, out: &mut Vec<u8>) {
        let start = std::mem::take(&mut self.start);
        self.inside = true;
        let stamp = if self.position.stamped == Some(false) { None } else { stamp_of(&start) };
        let may_be_remark = self.position.stamped != Some(false) || !self.position.is_started();
        if let Some((stamp, length)) = stamp {
            self.position.stamped = Some(true);
            self.line(stamp, out);
            self.content(&start[length..], out);
        } else if may_be_remark && is_remark(&start) {
            self.remark = Some(String::from_utf8_lossy(start.trim_ascii_end()).into_owned());
            self.inside = !start.ends_with(b"\n");
            if self.inside {
                self.skip = Skip::Line;
            }
        } else {
            self.position.stamped.get_or_insert(false);
            self.content(&start, out);
        }
    }

    /// A line with a timestamp begins: decides whether it was had.
    fn line(&mut self, stamp: Timestamp, out: &mut Vec<u8>) {
        let newest = self.position.newest;
        if let Skip::Lines(left) = &mut self.skip {
            if newest.is_some_and(|newest| stamp <= newest) {
                *left -= 1;
                if *left == 0 {
                    self.skip = if self.position.counted { Skip::Bytes(self.position.within) } else { Skip::Line };
                }
                return;
            }
            // The last line that was had is gone from the server: what was had of it stays a line of its own.
            if !self.position.whole {
                out.push(b'\n');
            }
        }
        self.skip = Skip::Nothing;
        let position = &mut *self.position;
        let second = newest.map(Timestamp::as_second);
        position.counted = second.is_none_or(|second| stamp.as_second() >= second);
        if second != Some(stamp.as_second()) && position.counted {
            position.again = 0;
        }
        position.again += u64::from(position.counted);
        position.newest = newest.max(Some(stamp));
        position.within = 0;
    }

    /// Bytes of one line, its end perhaps among them.
    fn content(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let ends = bytes.ends_with(b"\n");
        let had = match &mut self.skip {
            Skip::Nothing => 0,
            Skip::Lines(_) | Skip::Line => bytes.len(),
            Skip::Bytes(left) => {
                let had = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= had as u64;
                had
            }
        };
        let new = &bytes[had..];
        out.extend_from_slice(new);
        self.position.within += new.len() as u64;
        self.position.total += new.len() as u64;
        if !new.is_empty() {
            self.position.whole = ends;
        }
        self.inside = !ends;
        if ends && (self.skip == Skip::Line || (self.position.stamped == Some(true) && self.skip == Skip::Bytes(0))) {
            self.skip = Skip::Nothing;
        }
    }
}

/// The timestamp at the start of a line, and how long it is with its space.
fn stamp_of(line: &[u8]) -> Option<(Timestamp, usize)> {
    let end = line.iter().take(LONGEST_STAMP).position(|byte| matches!(byte, b' ' | b'\n'))?;
    if end < 20 || line[10] != b'T' {
        return None;
    }
    let stamp = std::str::from_utf8(&line[..end]).ok()?.parse().ok()?;
    Some((stamp, end + usize::from(line[end] == b' ')))
}

/// Whether a line's start may be that of a remark.
fn may_be_remark(start: &[u8]) -> bool {
    is_remark(start) || REMARKS.iter().any(|remark| remark.as_bytes().starts_with(start))
}

/// Whether a line is a remark of the kubelet's.
fn is_remark(line: &[u8]) -> bool {
    REMARKS.iter().any(|remark| line.starts_with(remark.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(position: &mut Position, chunks: &[&[u8]]) -> (String, Option<String>) {
        let mut out = Vec::new();
        let mut part = Part::new(position);
        for chunk in chunks {
            part.push(chunk, &mut out);
        }
        let remark = part.end(&mut out);
        (String::from_utf8_lossy(&out).into_owned(), remark)
    }

    #[test]
    fn timestamps_are_taken_off() {
        let text =
            b"2026-11-23T16:18:07.867204808Z hello\n2026-11-23T16:18:08Z \n2026-11-23T16:18:08.877654966+01:00 no end";
        assert_eq!(read(&mut Position::default(), &[text]), ("hello\n\nno end".into(), None));
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(read(&mut Position::default(), &bytes).0, "hello\n\nno end");
    }

    #[test]
    fn what_the_kubelet_says_in_the_place_of_a_log_is_no_line_of_it() {
        let text = b"unable to retrieve container logs for containerd://b588ffe8";
        let (out, remark) = read(&mut Position::default(), &[text]);
        assert_eq!((out.as_str(), remark.is_some()), ("", true));
        let mut position = Position::default();
        let text = b"2026-11-23T16:18:07Z a\nfailed to create fsnotify watcher: too many open files";
        assert_eq!(read(&mut position, &[text]).0, "a\n");
        assert_eq!(read(&mut position, &[b"2026-11-23T16:18:07Z a\n2026-11-23T16:18:08Z b\n"]).0, "b\n");
    }

    #[test]
    fn a_server_without_timestamps_is_read_on_by_length() {
        let mut position = Position::default();
        assert_eq!(read(&mut position, &[b"one\ntw"]).0, "one\ntw");
        assert_eq!(position.since(), None);
        assert_eq!(read(&mut position, &[b"one\ntwo\n", b"three"]).0, "o\nthree");
    }

    #[test]
    fn a_line_that_is_gone_from_the_server_is_not_continued_by_another() {
        let mut position = Position::default();
        assert_eq!(read(&mut position, &[b"2026-11-23T16:18:07Z hal"]).0, "hal");
        assert_eq!(read(&mut position, &[b"2026-11-23T16:18:09Z next\n"]).0, "\nnext\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

        #[test]
        fn cuts_lose_and_double_nothing(
            lines in prop::collection::vec((0_u32..4, "[a-z\u{e9}\\r ]{0,12}|failed to watch"), 0..30),
            ends in any::<bool>(),
            stamped in any::<bool>(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            chunk in 1_usize..60,
        ) {
            // The server's log: lines with their seconds, some in the same.
            let mut second = 0;
            let mut log = Vec::new();
            for (more, text) in &lines {
                second += more / 2;
                log.push((second, format!("2026-11-23T16:18:{second:02}.{:09}Z ", more % 2), format!("x{text}\n")));
            }
            if let Some(last) = log.last_mut().filter(|_| !ends) {
                last.2.pop();
            }
            let whole: String = log.iter().map(|line| line.2.as_str()).collect();
            let serve = |since: Option<Timestamp>| -> Vec<u8> {
                let since = since.map_or(0, |since| since.as_second() % 60);
                log.iter().filter(|line| !stamped || i64::from(line.0) >= since)
                    .flat_map(|line| format!("{}{}", if stamped { &line.1 } else { "" }, line.2).into_bytes()).collect()
            };
            let mut position = Position::default();
            let mut had = String::new();
            let mut out = Vec::new();
            for cut in cuts.iter().map(Some).chain([None]) {
                let text = serve(position.since());
                let text = cut.map_or(&text[..], |cut| &text[..cut.index(text.len() + 1)]);
                // A timestamp that was cut can't be told from text, so a cut comes after one.
                let line = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
                let text = if stamped && text.len() < line + 31 { &text[..line] } else { text };
                let mut part = Part::new(&mut position);
                text.chunks(chunk).for_each(|chunk| part.push(chunk, &mut out));
                prop_assert_eq!(part.end(&mut out), None);
            }
            had.push_str(&String::from_utf8_lossy(&out));
            prop_assert_eq!(had, whole);
        }
    }
}
