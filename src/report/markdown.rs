//! Texts of others in Markdown, as GitHub renders it: nothing in them acts as Markdown or HTML, mentions a person, or links.
//!
//! Sources: the GitHub Flavored Markdown Spec, <https://github.github.com/gfm/>; GitHub adds mentions, issue references and
//! mathematics (`$`) on top of it.

use std::fmt;

use crate::diagnostic::inert::inert;

/// A character that shows nothing and parts what GitHub would else take for a mention, a reference or a link. It cannot come
/// from a text itself: there it is made visible.
const APART: char = '\u{200b}';

/// A piece of Markdown that is safe to put into a document. Only this module makes one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Markdown(String);

impl fmt::Display for Markdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Markdown {
    /// Prose of one line. What stands between two backticks becomes code. Not for the start of a line, where a dash or a
    /// number would begin a list.
    #[must_use]
    pub fn text(text: &str) -> Self {
        let text = inert(text);
        let mut out = String::with_capacity(text.len() + 16);
        let mut rest: &str = &text;
        while let Some((before, after)) = rest.split_once('`') {
            prose(before, &mut out);
            match after.split_once('`') {
                Some((inside, following)) if !inside.is_empty() => {
                    // A run of backticks would be taken as one delimiter.
                    if out.ends_with('`') {
                        out.push(APART);
                    }
                    out.push_str(&Self::code(inside).0);
                    rest = following;
                }
                Some((_, following)) => {
                    out.push_str("\\`\\`");
                    rest = following;
                }
                None => {
                    out.push_str("\\`");
                    rest = after;
                }
            }
        }
        prose(rest, &mut out);
        Self(out)
    }

    /// Code of one line: paths, names, versions. Not for tables.
    #[must_use]
    pub fn code(text: &str) -> Self {
        let text = inert(text);
        if text.is_empty() {
            return Self::default();
        }
        let fence = "`".repeat(longest_run(&text) + 1);
        // One space is taken off each end again where both have one, unless there is nothing else; backticks need it, too.
        let is_space = |c: char| c == ' ' || c == '`';
        let needs_pad = text.starts_with(is_space) || text.ends_with(is_space);
        let pad = if needs_pad && text.contains(|c| c != ' ') { " " } else { "" };
        Self(format!("{fence}{pad}{text}{pad}{fence}"))
    }

    /// Code for the cell of a table, where a pipe would end the cell even in code.
    #[must_use]
    pub fn cell(text: &str) -> Self {
        Self(Self::code(text).0.replace('|', "\\|"))
    }

    /// A block of code of several lines, each made inert, to be set on lines of its own.
    #[must_use]
    pub fn block(text: &str) -> Self {
        let lines: Vec<_> = text.trim_end().lines().map(inert).collect();
        let text = lines.join("\n");
        let fence = "`".repeat(longest_run(&text).max(2) + 1);
        Self(format!("{fence}text\n{text}\n{fence}"))
    }
}

/// The length of the longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Appends prose, without backticks in it.
fn prose(text: &str, out: &mut String) {
    let mut before: Option<char> = None;
    for (index, c) in text.char_indices() {
        let after = &text[index + c.len_utf8()..];
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '$' => out.push_str("<span>$</span>"),
            // Inside of a word GitHub takes an underscore as it is.
            '_' if before.is_some_and(char::is_alphanumeric) && after.starts_with(char::is_alphanumeric) => out.push(c),
            '\\' | '*' | '_' | '[' | ']' | '|' | '~' => out.extend(['\\', c]),
            '@' | '#' => out.extend([c, APART]),
            ':' if after.starts_with("//") => out.extend([c, APART]),
            '.' if is_www(&text[..index]) => out.extend([APART, c]),
            _ => out.push(c),
        }
        before = Some(c);
    }
}

/// Whether a text ends in `www`, which a dot would turn into a link.
fn is_www(text: &str) -> bool {
    text.len() >= 3 && text.as_bytes()[text.len() - 3..].eq_ignore_ascii_case(b"www")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(raw: &str) -> String {
        Markdown::text(raw).to_string()
    }

    #[test]
    fn plain_prose_and_code_stay_as_they_are() {
        for same in [
            "spec.template: unknown field `apiVersion`, did you mean `api_version`?",
            "a_b-c (x) 1.5, 100%",
            "slow.yaml",
            "",
        ] {
            assert_eq!(text(same), same);
        }
    }

    #[test]
    fn what_would_act_is_escaped() {
        for (raw, escaped) in [
            ("<img src=x>&amp;", "&lt;img src=x&gt;&amp;amp;"),
            ("*a* _b_ ~~c~~ \\d", "\\*a\\* \\_b\\_ \\~\\~c\\~\\~ \\\\d"),
            ("[x](y) ![z](w)", "\\[x\\](y) !\\[z\\](w)"),
            ("a|b", "a\\|b"),
            ("cc @team, see #12", "cc @\u{200b}team, see #\u{200b}12"),
            ("https://evil.example www.evil.example", "https:\u{200b}//evil.example www\u{200b}.evil.example"),
            ("costs $1 or $2", "costs <span>$</span>1 or <span>$</span>2"),
            ("an open ` tick", "an open \\` tick"),
            ("`` and `a``b`", "\\`\\` and `a`\u{200b}`b`"),
            ("a\nb\u{1b}[0m", "a␊b␛\\[0m"),
        ] {
            assert_eq!(text(raw), escaped, "{raw}");
        }
    }

    #[test]
    fn code_is_fenced_by_more_backticks_than_it_holds() {
        assert_eq!(Markdown::code("examples/a_b*.yaml").to_string(), "`examples/a_b*.yaml`");
        assert_eq!(Markdown::code("a`` b").to_string(), "```a`` b```");
        assert_eq!(Markdown::code("`a").to_string(), "`` `a ``");
        assert_eq!(Markdown::code("").to_string(), "");
        assert_eq!(Markdown::cell("a|b").to_string(), "`a\\|b`");
    }

    #[test]
    fn a_block_keeps_its_lines_and_cannot_be_left() {
        assert_eq!(Markdown::block("a\n  b\n").to_string(), "```text\na\n  b\n```");
        assert_eq!(Markdown::block("```\n<b>\r\n").to_string(), "````text\n```\n<b>\n````");
    }

    /// What GitHub shows for a line of Markdown that holds nothing but text, escapes and code; `None` if anything else acts.
    fn shown(markdown: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = markdown;
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            rest = match c {
                '`' => {
                    let length = rest.len() - rest.trim_start_matches('`').len();
                    let (code, following) = code_span(&rest[length..], length)?;
                    out.push_str(code);
                    following
                }
                '\\' => {
                    let escaped = after.chars().next().filter(char::is_ascii_punctuation)?;
                    out.push(escaped);
                    &after[1..]
                }
                '&' | '<' => {
                    let known = [("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"), ("<span>$</span>", "$")];
                    let (markup, meaning) = known.iter().find(|(markup, _)| rest.starts_with(markup))?;
                    out.push_str(meaning);
                    &rest[markup.len()..]
                }
                '>' | '[' | ']' | '*' | '|' | '~' | '$' => return None,
                '@' | '#' if !after.starts_with(APART) => return None,
                ':' if after.starts_with("//") => return None,
                '_' => {
                    let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
                    if !inside(out.chars().next_back()) || !inside(after.chars().next()) {
                        return None;
                    }
                    out.push(c);
                    after
                }
                APART => after,
                _ => {
                    out.push(c);
                    after
                }
            };
        }
        Some(out)
    }

    /// The contents of a code span that `length` backticks opened, and what follows it.
    fn code_span(text: &str, length: usize) -> Option<(&str, &str)> {
        let mut from = 0;
        loop {
            let start = from + text[from..].find('`')?;
            let run = text[start..].len() - text[start..].trim_start_matches('`').len();
            if run == length {
                let code = &text[..start];
                let padded = code.starts_with(' ') && code.ends_with(' ') && !code.trim().is_empty();
                return Some((if padded { &code[1..code.len() - 1] } else { code }, &text[start + run..]));
            }
            from = start + run;
        }
    }

    proptest! {
        #[test]
        fn a_text_shows_as_itself_and_nothing_in_it_acts(raw in "[a-z0-9 `*_<>&@#:/.|$~\\\\\\[\\]\\(\\)!\\-w\u{200b}\n]{0,30}") {
            let expected = inert(&raw).replace('`', "");
            let got = shown(&text(&raw)).map(|shown| shown.replace('`', ""));
            prop_assert_eq!(got, Some(expected));
        }

        #[test]
        fn code_shows_as_itself(raw in "[a`| <@\\\\]{1,12}") {
            let markdown = Markdown::code(&raw).to_string();
            let length = longest_run(&raw) + 1;
            let (code, rest) = code_span(&markdown[length..], length).unwrap();
            prop_assert_eq!(rest, "");
            prop_assert_eq!(code.trim_matches(' '), raw.trim_matches(' '));
        }

        #[test]
        fn no_cell_has_a_pipe_of_its_own(raw in "[a|`\\\\]{0,12}") {
            let cell = Markdown::cell(&raw).to_string();
            let bytes = cell.as_bytes();
            prop_assert!((0..bytes.len()).all(|at| bytes[at] != b'|' || at > 0 && bytes[at - 1] == b'\\'));
        }
    }
}
