//! Log lines as a person reads them: without colours, progress bars, timestamps and the prefixes that launchers put before
//! the output of each rank; and texts of logs as one bounded line.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use crate::diagnostic::inert::inert;

/// Longest line, in bytes, that is looked at; what is beyond says nothing that a person could read.
const LONGEST: usize = 16 * 1024;

/// A cleaned line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Whose output it is, where a launcher says so: `rank0`, `1,0`. Lines of several ranks are mixed in one log.
    pub(super) stream: Option<&'a str>,
    /// The text, with its indentation.
    pub(super) text: Cow<'a, str>,
}

impl Line<'_> {
    /// The rank in the name of its stream: 1 of `rank1`, `default1` and `1`; of Open MPI's `job,rank` the second.
    pub(super) fn rank(&self) -> Option<u32> {
        let digits = self.stream?.rsplit(|c: char| !c.is_ascii_digit()).find(|digits| !digits.is_empty());
        digits?.parse().ok()
    }
}

/// What stands before the text of a line: the kubelet's timestamp, then the name of the stream. Torch writes `[rank0]:`, torchrun
/// `[default0]:`, Open MPI `[1,0]<stderr>:`, Horovod `[0]<stderr>:`, Ray `(train pid=7)`.
static PREFIX: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) )?",
        r"(?:\[(?P<bracket>rank\d{1,9}|default\d{1,9}|\d{1,9}(?:,\d{1,9})?)\](?:<std(?:err|out|diag)>)?: ?|",
        r"\((?P<ray>[\w.:() ]{1,80}pid=\d{1,9})[^()]{0,80}\) )?"
    ))
    .ok()
});

/// Escape sequences: CSI, OSC (titles, links), and the others of two characters.
static ESCAPE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]|\u{9b}[0-?]*[ -/]*[@-~]")
        .ok()
});

/// What the kubelet gives instead of a log that is gone.
const GONE: &str = "unable to retrieve container logs for ";

/// The lines of a log, cleaned. The first one may have lost its beginning.
pub(super) fn lines(log: &str) -> impl DoubleEndedIterator<Item = Line<'_>> {
    log.split('\n').filter(|line| !line.starts_with(GONE)).map(line)
}

/// Cleans one line.
pub(super) fn line(raw: &str) -> Line<'_> {
    let raw = cut(raw, LONGEST);
    let prefix = PREFIX.as_ref().and_then(|prefix| prefix.captures(raw));
    let (stream, rest) = prefix.map_or((None, raw), |found| {
        let stream = found.name("bracket").or_else(|| found.name("ray")).map(|name| name.as_str());
        (stream, &raw[found.get(0).map_or(0, |all| all.end())..])
    });
    Line { stream, text: visible(rest) }
}

/// What of a line is seen in a terminal in the end: no escape sequences, and of a progress bar only its last state.
fn visible(text: &str) -> Cow<'_, str> {
    fn last(text: &str) -> &str {
        text.split('\r').rfind(|part| !part.trim().is_empty()).unwrap_or_default().trim_end()
    }
    match without_escapes(text) {
        Cow::Borrowed(text) => Cow::Borrowed(last(text)),
        Cow::Owned(text) => Cow::Owned(last(&text).to_owned()),
    }
}

/// The text without escape sequences, as checks see a line.
pub(crate) fn without_escapes(text: &str) -> Cow<'_, str> {
    match ESCAPE.as_ref() {
        Some(escape) if text.contains(['\x1b', '\u{9b}']) => escape.replace_all(text, ""),
        _ => Cow::Borrowed(text),
    }
}

/// Any text as one line: white space folded, what would act on a terminal made visible, at most `most` characters. Of a
/// longer text the middle is left out, since errors say what at their start and why at their end.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    // White space is folded for a little more than is shown: a text may be megabytes long.
    let bounded = if text.len() > LONGEST {
        Cow::Owned(format!("{} {}", cut(text, LONGEST), tail(text, 1024)))
    } else {
        text.into()
    };
    let folded = without_escapes(&bounded).split_whitespace().collect::<Vec<_>>().join(" ");
    shorten(&inert(&folded), most)
}

/// At most `most` characters of `text`: two thirds of them from its start, the others from its end.
pub(super) fn shorten(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let kept = most.saturating_sub(3);
    let head: String = text.chars().take(kept - kept / 3).collect();
    let tail: String = text.chars().skip(count - kept / 3).collect();
    format!("{} … {}", head.trim_end(), tail.trim_start())
}

/// The first bytes of a text, to the end of a character.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

/// The last bytes of a text, from the start of a character.
fn tail(text: &str, most: usize) -> &str {
    let start = (text.len().saturating_sub(most)..=text.len()).find(|at| text.is_char_boundary(*at));
    &text[start.unwrap_or_default()..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cleaned(raw: &str) -> (Option<&str>, String) {
        let line = line(raw);
        (line.stream, line.text.into_owned())
    }

    #[test]
    fn the_prefixes_of_launchers_become_streams() {
        for (raw, stream, text) in [
            ("2026-11-23T16:18:13.244683996Z hello", None, "hello"),
            ("2026-11-23T16:18:13Z [rank1]: Traceback", Some("rank1"), "Traceback"),
            ("[rank0]:   File \"a.py\"", Some("rank0"), "  File \"a.py\""),
            ("[1,3]<stderr>:  indented", Some("1,3"), " indented"),
            ("[1,3]", None, "[1,3]"),
            ("[0]<stderr>:x", Some("0"), "x"),
            ("[default7]:x", Some("default7"), "x"),
            ("(RayTrainWorker pid=12, ip=10.0.0.1) x", Some("RayTrainWorker pid=12"), "x"),
            ("[INFO] x", None, "[INFO] x"),
            ("(a) x", None, "(a) x"),
        ] {
            assert_eq!(cleaned(raw), (stream, text.to_owned()), "{raw}");
        }
    }

    #[test]
    fn a_stream_tells_its_rank() {
        for (raw, rank) in
            [("[rank12]: x", Some(12)), ("[1,3]<stderr>:x", Some(3)), ("[default0]:x", Some(0)), ("x", None)]
        {
            assert_eq!(line(raw).rank(), rank, "{raw}");
        }
    }

    #[test]
    fn colours_and_progress_bars_are_gone() {
        assert_eq!(cleaned("\x1b[1;31mError\x1b[0m: no\x1b]8;;http://x\x07link\x1b]8;;\x07").1, "Error: nolink");
        assert_eq!(cleaned(" 10%|#   |\r 50%|##  |\r100%|####|\r").1, "100%|####|");
        assert_eq!(cleaned("windows\r").1, "windows");
        assert_eq!(cleaned("\x1b[2K\rdone").1, "done");
    }

    #[test]
    fn a_long_text_keeps_its_start_and_its_end() {
        let text = one_line(&format!("start {} end", "x ".repeat(500)), 60);
        assert!(text.starts_with("start x") && text.ends_with("x end") && text.contains(" … "), "{text}");
        assert!(text.chars().count() <= 60);
        assert_eq!(one_line("a\n  b\tc\u{7}", 60), "a b c␇");
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_bounded_line(text in "(?s).{0,200}", most in 0usize..80) {
            let line = one_line(&text, most);
            prop_assert!(!line.chars().any(char::is_control));
            prop_assert!(line.chars().count() <= most.max(3));
            for cleaned in lines(&text) {
                prop_assert!(!cleaned.text.contains(['\n', '\r']));
            }
        }
    }
}
