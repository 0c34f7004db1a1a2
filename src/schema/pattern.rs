//! Regular expressions as Go reads them, for the regex crate.

use std::hash::{Hash, Hasher};
use std::iter::Peekable;
use std::str::Chars;
use std::sync::OnceLock;

use regex::Regex;

/// A `pattern` of a schema, compiled when it is first needed.
#[derive(Debug)]
pub(super) struct Pattern {
    source: Box<str>,
    regex: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub fn new(source: &str) -> Self {
        Self { source: source.into(), regex: OnceLock::new() }
    }

    /// The pattern as the schema has it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether `text` has a match somewhere. A pattern that cannot be compiled matches everything: no API server would
    /// have taken the schema.
    pub fn matches(&self, text: &str) -> bool {
        let regex = self.regex.get_or_init(|| Regex::new(&translate(&self.source)).ok());
        regex.as_ref().is_none_or(|regex| regex.is_match(text))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
    }
}

/// Go's syntax (RE2) in terms of the regex crate. They differ in few places: Go's `\d`, `\w`, `\s` and `\b` know ASCII
/// alone; a `[` inside a class, and a `{` that starts no repetition, are plain characters; `\Q...\E` quotes.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(character) = rest.next() {
        match character {
            '\\' => escape(&mut rest, in_class, &mut out),
            '[' if in_class && rest.peek() == Some(&':') => {
                out.push('[');
                copy_until(":]", &mut rest, &mut out);
            }
            '[' if in_class => out.push_str(r"\["),
            '[' => {
                in_class = true;
                out.push('[');
                if rest.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if rest.next_if_eq(&']').is_some() {
                    out.push_str(r"\]");
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => out.extend(['\\', character]),
            '-' if in_class && rest.peek() == Some(&'-') => out.push_str(r"\-"),
            '{' if !in_class && !starts_repetition(rest.clone()) => out.push_str(r"\{"),
            _ => out.push(character),
        }
    }
    out
}

/// What follows a backslash.
fn escape(rest: &mut Peekable<Chars<'_>>, in_class: bool, out: &mut String) {
    let ascii = match rest.next() {
        Some('d') => "[0-9]",
        Some('D') => "[^0-9]",
        Some('w') => "[0-9A-Za-z_]",
        Some('W') => "[^0-9A-Za-z_]",
        Some('s') => r"[\t\n\x0C\r ]",
        Some('S') => r"[^\t\n\x0C\r ]",
        Some('b') if !in_class => r"(?-u:\b)",
        Some('Q') => return quoted(rest, out),
        Some(other) => {
            out.extend(['\\', other]);
            if matches!(other, 'p' | 'P' | 'x') && rest.peek() == Some(&'{') {
                copy_until("}", rest, out);
            }
            return;
        }
        None => r"\\",
    };
    out.push_str(ascii);
}

/// The text between `\Q` and `\E`, or the end.
fn quoted(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    let mut text = String::new();
    for character in rest.by_ref() {
        text.push(character);
        if text.ends_with(r"\E") {
            text.truncate(text.len() - 2);
            break;
        }
    }
    out.push_str(&regex::escape(&text));
}

/// Copies up to and with `end`, or to the end of the pattern.
fn copy_until(end: &str, rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    for character in rest.by_ref() {
        out.push(character);
        if out.ends_with(end) {
            break;
        }
    }
}

/// Whether what follows a `{` is `n}`, `n,}` or `n,m}`.
fn starts_repetition(rest: Peekable<Chars<'_>>) -> bool {
    let inner: String = rest.take_while(|character| *character != '}').take(12).collect();
    let (least, most) = inner.split_once(',').unwrap_or((&inner, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let pattern = Pattern::new(pattern);
        let found = pattern.matches(text);
        assert!(pattern.regex.get().unwrap().is_some(), "{} does not compile", pattern.source);
        found
    }

    #[test]
    fn classes_know_ascii_alone() {
        assert!(matches(r"^\d+$", "42"));
        assert!(!matches(r"^\d+$", "٤٢"));
        assert!(!matches(r"^\w+$", "é"));
        assert!(matches(r"^[\w-]+$", "a-b"));
        assert!(matches(r"^[^\s]+$", "\u{a0}"));
        assert!(matches(r"^[\D]$", "x"));
    }

    #[test]
    fn go_takes_brackets_and_braces_as_they_come() {
        assert!(matches(r"^[^[]+$", "abc"));
        assert!(!matches(r"^[^[]+$", "a["));
        assert!(matches(r"^[]a]+$", "]a"));
        assert!(matches(r"^{x}$", "{x}"));
        assert!(matches(r"^\$\{[a-z]+\}$", "${abc}"));
        assert!(matches(r"^a{2,3}$", "aaa"));
        assert!(matches(r"^[[:alpha:]_]+$", "ab_"));
        assert!(matches(r"^\p{Lu}$", "É"));
        assert!(matches(r"^\x{41}$", "A"));
        assert!(matches(r"^\Qa.b\E+$", "a.bb"));
        assert!(matches(r"^[a&&b]+$", "a&b"));
    }

    proptest! {
        #[test]
        fn no_pattern_makes_it_panic(pattern in r"[\[\]\\{}^$.*+?()|:a-c0-9,QEdwsb&~-]{0,20}", text in ".{0,8}") {
            Pattern::new(&pattern).matches(&text);
        }
    }
}
