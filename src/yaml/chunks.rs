//! Where one document ends and the next begins, as `kubectl` sees it: it splits the text before any YAML is read.
//!
//! Source: `YAMLReader` and `YAMLOrJSONDecoder` in <https://github.com/kubernetes/apimachinery> (`pkg/util/yaml/decoder.go`).

use std::ops::Range;

use serde::de::IgnoredAny;

/// What stands between documents.
const SEPARATOR: &str = "---";

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// What is read as one document.
    Document(Range<usize>),
    /// A line that begins as a separator and goes on as something else.
    BadSeparator(Range<usize>),
}

/// The parts of a text: between lines that begin with `---`, and there each JSON value that follows another.
pub(super) fn chunks(text: &str) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        let (begin, end) = (at, at + line.len());
        at = end;
        // A byte order mark counts at the very beginning alone.
        let line = if begin == 0 { line.trim_start_matches('\u{feff}') } else { line };
        let Some(rest) = line.strip_prefix(SEPARATOR).map(str::trim) else { continue };
        documents(text, start..begin, &mut chunks);
        start = end;
        if !(rest.is_empty() || rest.starts_with('#')) {
            let from = end - line.len();
            chunks.push(Chunk::BadSeparator(from..from + line.trim_end().len()));
        }
    }
    documents(text, start..text.len(), &mut chunks);
    chunks
}

/// Adds a part; of one that begins as JSON each value by itself, and what is none as the rest.
fn documents(text: &str, part: Range<usize>, chunks: &mut Vec<Chunk>) {
    let mut start = part.start;
    if text[part.clone()].trim_start().starts_with('{') {
        let mut values = serde_json::Deserializer::from_str(&text[part.clone()]).into_iter::<IgnoredAny>();
        while let Some(Ok(_)) = values.next() {
            let end = part.start + values.byte_offset();
            chunks.push(Chunk::Document(start..end));
            start = end;
        }
    }
    if !text[start..part.end].trim().is_empty() {
        chunks.push(Chunk::Document(start..part.end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<&str> {
        let part = |chunk| match chunk {
            Chunk::Document(range) | Chunk::BadSeparator(range) => &text[range],
        };
        chunks(text).into_iter().map(part).collect()
    }

    #[test]
    fn documents_stand_between_separators() {
        assert_eq!(parts("a\n---\nb\n--- # c\r\nd\n---"), ["a\n", "b\n", "d\n"]);
        assert_eq!(parts("\u{feff}---\na\n ---\nb"), ["a\n ---\nb"]);
        assert_eq!(parts("---\n---\n\n"), [""; 0]);
    }

    #[test]
    fn a_separator_with_content_is_told_apart() {
        assert_eq!(chunks("a\n--- b\nc"), [Chunk::Document(0..2), Chunk::BadSeparator(2..7), Chunk::Document(8..9)]);
        assert_eq!(parts("\u{feff}----\r\n"), ["----"]);
    }

    #[test]
    fn json_values_may_follow_each_other() {
        assert_eq!(parts("{\"a\": 1}{}\n{}\n---\n{}\n"), ["{\"a\": 1}", "{}", "\n{}", "{}"]);
        assert_eq!(parts("{a: 1}\n"), ["{a: 1}\n"]);
        assert_eq!(parts("{} x"), ["{}", " x"]);
    }
}
