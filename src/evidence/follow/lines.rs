//! A log's text as lines. Pure.

/// The longest line that is told, in bytes; the rest of a longer one is left out.
pub(super) const LONGEST: usize = 16 * 1024;

/// Cuts a text that comes in chunks into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Tells the lines that are complete, without their ends.
    pub(super) fn push(&mut self, mut chunk: &[u8], mut tell: impl FnMut(&str)) {
        while let Some(newline) = memchr::memchr(b'\n', chunk) {
            if self.partial.is_empty() {
                tell_line(&chunk[..newline.min(LONGEST)], &mut tell);
            } else {
                self.keep(&chunk[..newline]);
                tell_line(&self.partial, &mut tell);
                self.partial.clear();
            }
            chunk = &chunk[newline + 1..];
        }
        self.keep(chunk);
    }

    /// Tells the last line, which had no end.
    pub(super) fn end(&mut self, mut tell: impl FnMut(&str)) {
        if !self.partial.is_empty() {
            tell_line(&self.partial, &mut tell);
            self.partial = Vec::new();
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LONGEST - self.partial.len();
        self.partial.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }
}

fn tell_line(line: &[u8], tell: &mut impl FnMut(&str)) {
    tell(&String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_whole_whatever_the_chunks() {
        let text = b"one\r\n\ntw\xffo\nlast".as_slice();
        for size in 1..=text.len() {
            let (mut lines, mut told) = (Lines::default(), Vec::new());
            text.chunks(size).for_each(|chunk| lines.push(chunk, |line| told.push(line.to_owned())));
            lines.end(|line| told.push(line.to_owned()));
            assert_eq!(told, ["one", "", "tw\u{fffd}o", "last"], "chunks of {size}");
        }
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let (mut lines, mut told) = (Lines::default(), Vec::new());
        for _ in 0..100 {
            lines.push(&[b'x'; 1000], |line| told.push(line.len()));
        }
        lines.push(b"\nnext\n", |line| told.push(line.len()));
        assert_eq!(told, [LONGEST, 4]);
    }
}
