//! Where patterns match in a text that may not be whole yet, and what comes out of it.

use memchr::{memchr, memrchr};

use super::MASK;
use super::patterns::{self, OVERLAP};

/// The longest part of a line that is looked at in one piece, beside [`OVERLAP`].
const BLOCK: usize = 16 * 1024;

/// The most bytes of a private key: an RSA key of 16,384 bits, with room for what stands before each line of a log.
const LONGEST_KEY: usize = 24 * 1024;

/// Which bytes of a buffer are hidden.
#[derive(Clone, Default)]
pub(super) struct Masks {
    spans: Vec<(usize, usize)>,
    /// The last byte that was emitted was hidden: what follows at once belongs to the same mask.
    open: bool,
}

impl Masks {
    pub(super) fn hide(&mut self, start: usize, end: usize) {
        match self.spans.last_mut() {
            Some(last) if start >= last.0 && start <= last.1 => last.1 = last.1.max(end),
            _ if start < end => self.spans.push((start, end)),
            _ => {}
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Writes `buffer[from..to]` with its hidden bytes masked. Marks that reach beyond `to` stay for the next call.
    pub(super) fn emit(&mut self, buffer: &[u8], from: usize, to: usize, out: &mut Vec<u8>) {
        self.spans.sort_unstable();
        let mut at = from;
        for &(start, end) in &self.spans {
            let (start, end) = (start.max(at), end.min(to));
            if start >= end {
                continue;
            }
            self.open &= start == at;
            out.extend_from_slice(&buffer[at..start]);
            if !self.open {
                out.extend_from_slice(MASK.as_bytes());
            }
            self.open = true;
            at = end;
        }
        if at < to {
            self.open = false;
            out.extend_from_slice(&buffer[at..to]);
        }
        self.spans.retain(|span| span.1 > to);
    }

    /// The buffer lost its first `count` bytes.
    pub(super) fn shift(&mut self, count: usize) {
        for span in &mut self.spans {
            *span = (span.0.saturating_sub(count), span.1.saturating_sub(count));
        }
    }
}

/// Goes through a buffer once, line by line; a long line in blocks, counted from its start.
#[derive(Clone, Default)]
pub(super) struct Scanner {
    /// Where the next line or block starts.
    next: usize,
    /// Whether it is a block that goes on a line.
    inside: bool,
    /// How many bytes a private key that was begun may still have; 0 outside of one.
    key: usize,
    /// A match was cut by the end of its window: it goes on from here to the next delimiter.
    cut: Option<usize>,
}

/// A line, or a block of one: what starts in `start..end` is looked for in `start..window`.
struct Unit {
    start: usize,
    end: usize,
    window: usize,
    /// The line goes on behind the window.
    goes_on: bool,
}

impl Scanner {
    /// Marks the matches in `buffer`, as far as they are certain; in all of it if no more follows.
    pub(super) fn scan(&mut self, buffer: &[u8], last: bool, masks: &mut Masks) {
        loop {
            if !self.inside && self.key == 0 {
                self.skip(buffer);
            }
            let Some(unit) = self.unit(buffer, last) else { return };
            self.go_on(buffer, &unit, masks);
            self.private_keys(buffer, &unit, masks);
            let context = unit.start - usize::from(self.inside);
            let cut = patterns::find(buffer, context, &(unit.start..unit.end), unit.window, masks);
            if cut && unit.goes_on {
                self.cut = Some(unit.window);
            }
            self.inside = buffer[unit.end - 1] != b'\n';
            self.next = unit.end;
        }
    }

    /// Goes over everything, without a look.
    pub(super) fn pass(&mut self, length: usize) {
        self.next = length;
    }

    /// What has been scanned, and what is needed of it again.
    pub(super) fn done(&self) -> (usize, usize) {
        (self.next, self.next - usize::from(self.inside))
    }

    /// The buffer lost its first `count` bytes.
    pub(super) fn shift(&mut self, count: usize) {
        self.next -= count;
        self.cut = self.cut.map(|at| at - count);
    }

    /// Goes to the next line that may have a match, over all complete lines that can't.
    fn skip(&mut self, buffer: &[u8]) {
        let Some(newline) = memrchr(b'\n', &buffer[self.next..]) else { return };
        let lines = &buffer[self.next..=self.next + newline];
        self.next += match patterns::trigger(lines) {
            None => lines.len(),
            Some(at) => memrchr(b'\n', &lines[..at]).map_or(0, |newline| newline + 1),
        };
    }

    /// The next unit, if enough of it is there.
    fn unit(&self, buffer: &[u8], last: bool) -> Option<Unit> {
        let start = self.next;
        let rest = &buffer[start..buffer.len().min(start + BLOCK + OVERLAP)];
        let unit = |end, window, goes_on| Some(Unit { start, end: start + end, window: start + window, goes_on });
        match memchr(b'\n', rest) {
            Some(newline) if newline < BLOCK => unit(newline + 1, newline, false),
            Some(newline) => unit(BLOCK, newline, false),
            None if rest.len() == BLOCK + OVERLAP => unit(BLOCK, rest.len(), true),
            None if last && !rest.is_empty() => unit(rest.len().min(BLOCK), rest.len(), false),
            None => None,
        }
    }

    /// Hides the rest of a match that the window before cut.
    fn go_on(&mut self, buffer: &[u8], unit: &Unit, masks: &mut Masks) {
        let Some(from) = self.cut.take() else { return };
        let rest = &buffer[from..unit.window];
        let length = rest.iter().position(|&byte| patterns::ends_token(byte)).unwrap_or(rest.len());
        masks.hide(from, from + length);
        if length == rest.len() && unit.goes_on {
            self.cut = Some(unit.window);
        }
    }

    /// Hides what stands between the first and the last line of a private key, which may be this line too.
    fn private_keys(&mut self, buffer: &[u8], unit: &Unit, masks: &mut Masks) {
        let mut at = unit.start;
        loop {
            if self.key == 0 {
                let Some(begin) = patterns::private_key_begins(&buffer[at..unit.window]) else { return };
                if at + begin.start >= unit.end {
                    return;
                }
                at += begin.end;
                self.key = LONGEST_KEY;
            }
            if let Some(end) = patterns::private_key_ends(&buffer[at..unit.window]) {
                masks.hide(at, at + end.start);
                at += end.end;
                self.key = 0;
            } else {
                masks.hide(at, unit.end);
                self.key = self.key.saturating_sub(unit.end.saturating_sub(at));
                return;
            }
        }
    }
}
