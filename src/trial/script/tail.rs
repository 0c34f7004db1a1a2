//! The end of an output, kept while it passes by.

use std::borrow::Cow;

/// Most bytes that are kept: enough for the longest traceback that is worth reading.
const KEPT: usize = 64 * 1024;
/// Most characters of a line that goes into a cause.
const LINE: usize = 300;

/// The last bytes of a stream of any length.
#[derive(Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    /// Takes the next bytes. At most twice what is kept is held, so that not every chunk moves the rest.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        let chunk = &chunk[chunk.len().saturating_sub(KEPT)..];
        if self.bytes.len() + chunk.len() > 2 * KEPT {
            let excess = (self.bytes.len() + chunk.len()).saturating_sub(KEPT).min(self.bytes.len());
            self.bytes.drain(..excess);
        }
        self.bytes.extend_from_slice(chunk);
    }

    /// The text, from the beginning of a line where one begins in it.
    pub(super) fn text(&self) -> String {
        let start = self.bytes.len().saturating_sub(KEPT);
        let cut = self.bytes[start..].iter().position(|byte| *byte == b'\n').filter(|_| start > 0);
        String::from_utf8_lossy(&self.bytes[start + cut.map_or(0, |at| at + 1)..]).into_owned()
    }
}

/// The last line of an output that says something: colours and rules of dashes left out, cut at 300 characters; `None` if there
/// is none.
#[must_use]
pub fn last_line(output: &str) -> Option<String> {
    let plain = anstream::adapter::strip_str(output).to_string();
    let line = plain.split(['\n', '\r']).map(str::trim).rfind(|line| line.contains(char::is_alphanumeric))?;
    Some(cut(line).into_owned())
}

/// A line that is short enough for a cause.
pub(super) fn cut(line: &str) -> Cow<'_, str> {
    match line.char_indices().nth(LINE) {
        Some((at, _)) => format!("{}...", &line[..at]).into(),
        None => line.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_line_is_the_one_that_says_something() {
        for (output, expected) in [
            ("a\nb\n", Some("b")),
            ("ValueError: boom\n\n-----------\n", Some("ValueError: boom")),
            ("\u{1b}[0;31mValueError\u{1b}[0m: boom\u{1b}[0m\r\n\u{1b}[0m", Some("ValueError: boom")),
            ("Executing:  50%\rExecuting: 100%\r\n", Some("Executing: 100%")),
            ("東京\n", Some("東京")),
            ("\n \n==\n", None),
        ] {
            assert_eq!(last_line(output).as_deref(), expected, "{output:?}");
        }
        assert_eq!(last_line(&"é".repeat(400)).unwrap(), format!("{}...", "é".repeat(300)));
    }

    #[test]
    fn a_long_output_is_kept_from_the_beginning_of_a_line() {
        let mut tail = Tail::default();
        for number in 0..100_000 {
            tail.push(format!("line {number}\n").as_bytes());
        }
        let text = tail.text();
        assert!(text.ends_with("line 99999\n") && text.starts_with("line ") && text.len() <= KEPT, "{}", text.len());
    }

    proptest! {
        #[test]
        fn the_end_is_kept_however_it_is_cut(sizes in proptest::collection::vec(0_usize..100_000, 0..8)) {
            let whole: Vec<u8> = (0..sizes.iter().sum::<usize>()).map(|n| b'a' + u8::try_from(n % 23).unwrap()).collect();
            let (mut tail, mut rest) = (Tail::default(), whole.as_slice());
            for size in sizes {
                let (chunk, after) = rest.split_at(size);
                tail.push(chunk);
                prop_assert!(tail.bytes.len() <= 2 * KEPT);
                rest = after;
            }
            let expected = &whole[whole.len().saturating_sub(KEPT)..];
            let text = tail.text();
            prop_assert_eq!(text.as_bytes(), expected);
        }
    }
}
