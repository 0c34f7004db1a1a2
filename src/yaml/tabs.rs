//! Tabs where Kubernetes' reader takes none: as indentation, and after `-`. The parser that we use lets some of them pass.
//!
//! Source: `yaml_parser_scan_to_next_token`, `yaml_parser_scan_plain_scalar` and `yaml_parser_scan_block_scalar_breaks` of
//! `scannerc.go` in <https://github.com/kubernetes-sigs/yaml> (its fork of go-yaml v2).

use std::ops::Range;

use granit_parser::{Event, ScalarStyle};

use super::{Span, YamlError, YamlErrorKind};

/// What was read last before a tab, for it decides what the tab means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// A scalar without quotes, which goes on where a line is indented as far as this.
    Plain(usize),
    /// A scalar after `|` or `>`.
    Block,
    /// A scalar in quotes, or a collection in brackets: inside, tabs are free.
    Closed,
}

/// Watches the parser's events of one document.
#[derive(Debug, Default)]
pub(super) struct Tabs {
    tokens: Vec<(Span, Before)>,
    /// The collections that are open: where one in brackets begins, else the column of one in block style.
    open: Vec<Result<u32, usize>>,
}

impl Tabs {
    /// Remembers an event, if it matters here.
    pub(super) fn see(&mut self, text: &str, event: &Event<'_>, span: Span) {
        match event {
            Event::Scalar(_, style, ..) => {
                let indent = self.open.iter().rev().find_map(|open| open.err()).map_or(0, |column| column + 1);
                let before = match style {
                    ScalarStyle::Plain => Before::Plain(indent),
                    ScalarStyle::Literal | ScalarStyle::Folded => Before::Block,
                    _ => Before::Closed,
                };
                if self.brackets().is_none() && span.end > span.start {
                    self.tokens.push((span, before));
                }
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                let is_flow = self.brackets().is_some() || text[span.range()].starts_with(['[', '{']);
                let start = span.start as usize;
                let line = line_start(text, start);
                // A list in block style is indented as far as its dashes, wherever the parser says that it begins.
                let dash = if matches!(event, Event::SequenceStart(..)) {
                    text[line..].get(..=start - line).and_then(|line| line.rfind('-'))
                } else {
                    None
                };
                self.open.push(if is_flow { Ok(span.start) } else { Err(dash.unwrap_or(start - line)) });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Ok(start)) = self.open.pop()
                    && self.brackets().is_none()
                {
                    self.tokens.push((Span { start, end: span.end }, Before::Closed));
                }
            }
            _ => {}
        }
    }

    fn brackets(&self) -> Option<u32> {
        self.open.last().and_then(|open| open.ok())
    }

    /// The first tab of the part that Kubernetes' reader refuses.
    pub(super) fn refused(&self, text: &str, part: &Range<usize>) -> Option<YamlError> {
        let mut at = part.start;
        for line in text[part.clone()].split_inclusive('\n') {
            let start = at;
            at += line.len();
            let indented = line.trim_start_matches(' ');
            let column = line.len() - indented.len();
            let found = if indented.starts_with('\t') {
                self.refuses_indentation(text, start + column, column).then_some(start + column)
            } else {
                after_dash(indented).map(|offset| start + column + offset).filter(|_| !self.covers(start + column))
            };
            if let Some(tab) = found {
                let message = "found a tab where only spaces are allowed: indent with spaces".to_owned();
                return Some(YamlError { kind: YamlErrorKind::Refused, span: Span::new(tab, tab + 1), message });
            }
        }
        None
    }

    /// The last token that begins before a place.
    fn before(&self, place: usize) -> Option<(Span, Before)> {
        let after = self.tokens.partition_point(|(span, _)| (span.start as usize) < place);
        after.checked_sub(1).map(|index| self.tokens[index])
    }

    /// Whether a place is inside of a token.
    fn covers(&self, place: usize) -> bool {
        self.before(place + 1).is_some_and(|(span, _)| place < span.end as usize)
    }

    fn refuses_indentation(&self, text: &str, tab: usize, column: usize) -> bool {
        let Some((span, before)) = self.before(tab) else { return true };
        let since = text.get(span.end as usize..tab).unwrap_or_default();
        match before {
            Before::Closed => tab >= span.end as usize,
            Before::Plain(indent) => column < indent || !since.trim().is_empty(),
            Before::Block => column < block_indent(text, span, tab).unwrap_or(usize::MAX),
        }
    }
}

/// The indentation of a block scalar: that of its first line (before `end`) that is not blank.
fn block_indent(text: &str, scalar: Span, end: usize) -> Option<usize> {
    let start = scalar.start as usize;
    let has_header = text[start..].starts_with(['|', '>']);
    let lines = text[line_start(text, start)..end].split('\n').skip(usize::from(has_header));
    let line = lines.into_iter().find(|line| !line.trim().is_empty())?;
    Some(line.len() - line.trim_start_matches(' ').len())
}

fn line_start(text: &str, place: usize) -> usize {
    text[..place].rfind('\n').map_or(0, |end| end + 1)
}

/// Where a tab follows the `-` of a list's item, perhaps of one in another.
fn after_dash(line: &str) -> Option<usize> {
    let mut rest = line;
    while let Some(item) = rest.strip_prefix('-') {
        let content = item.trim_start_matches(' ');
        if content.starts_with('\t') {
            return Some(line.len() - content.len());
        }
        if content.len() == item.len() {
            return None;
        }
        rest = content;
    }
    None
}
