//! What a build writes: handed out as it comes, its last lines kept.

use std::collections::VecDeque;
use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

/// Lines that are kept for the diagnosis.
const KEPT: usize = 200;
/// Lines of them that go into a report.
const SHOWN: usize = 40;
/// Most letters that are kept of a line.
const MAX_LINE: usize = 1000;
/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// The last lines of an output.
#[derive(Debug, Default)]
pub(super) struct Tail {
    lines: VecDeque<String>,
    /// The last line that names a step of the builder without BuildKit, however much the step wrote since.
    pub(super) step: Option<String>,
    open: Vec<u8>,
}

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.open.len() < 4 * MAX_LINE {
                self.open.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                self.close();
            }
        }
    }

    /// Ends the line that is open.
    pub(super) fn close(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let line = plain(&String::from_utf8_lossy(&std::mem::take(&mut self.open)));
        if line.starts_with("Step ") && line.contains(" : ") {
            self.step = Some(line.clone());
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub(super) fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// What a report shows.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.lines.iter().skip(self.lines.len().saturating_sub(SHOWN)).cloned().collect()
    }
}

/// A line without colours, and without what a progress bar wrote over.
fn plain(line: &str) -> String {
    let line = line.trim_end();
    let last = line.rsplit('\r').next().unwrap_or(line);
    let mut out = String::new();
    let mut rest = last.chars();
    while let Some(letter) = rest.next() {
        match letter {
            // A control sequence ends with a letter (ECMA-48, 5.4).
            '\u{1b}' => {
                let _ = rest.by_ref().find(char::is_ascii_alphabetic);
            }
            letter if letter.is_control() && letter != '\t' => {}
            letter => out.push(letter),
        }
    }
    out.chars().take(MAX_LINE).collect()
}

/// Reads a pipe to its end.
pub(super) async fn follow(pipe: PipeReader, tail: &mut Tail, sink: &mut (impl FnMut(&[u8]) + Send)) -> io::Result<()> {
    let mut pipe = Receiver::from_owned_fd(OwnedFd::from(pipe))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match pipe.read(&mut chunk).await? {
            0 => break,
            length => {
                sink(&chunk[..length]);
                tail.push(&chunk[..length]);
            }
        }
    }
    tail.close();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_plain_and_the_step_however_old_it_is() {
        let mut tail = Tail::default();
        tail.push(b"Step 2/3 : RUN x\n\x1b[91moo");
        tail.push(b"ps\x1b[0m\n10%\r20%\r100%\n");
        (0..1000).for_each(|line| tail.push(format!("{line}\n").as_bytes()));
        assert_eq!(tail.step.as_deref(), Some("Step 2/3 : RUN x"));
        assert_eq!((tail.last_lines().len(), tail.last_lines().last().unwrap().as_str()), (SHOWN, "999"));
        let mut tail = Tail::default();
        tail.push(b"\x1b[91moops\x1b[0m\n10%\r100%\nopen");
        tail.close();
        assert_eq!(tail.last_lines(), ["oops", "100%", "open"]);
        tail.push(&vec![b'x'; 100_000]);
        tail.close();
        assert_eq!(tail.last_lines()[3].len(), MAX_LINE);
    }
}
