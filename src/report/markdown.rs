//! Texts of others in Markdown, as GitHub renders it: nothing in them acts as Markdown or HTML, mentions a person, or links.
//!
//! Sources: the GitHub Flavored Markdown Spec, <https://github.github.com/gfm/>; GitHub adds mentions, issue references and
//! mathematics (`$`) on top of it. A hash of a commit of the repository stays a link to it, which does nobody harm.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::diagnostic::inert::inert;

/// A character that shows nothing and parts what GitHub would else take for a mention, a reference or a link. It cannot come
/// from a text itself: there it is made visible.
const APART: char = '\u{200b}';

/// What an address can't hold as it is inside of `[](<here>)`: what is no part of one, and what would end the link.
const UNSAFE: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

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
        let text = uncommented(&text);
        let fence = "`".repeat(longest_run(&text) + 1);
        // One space is taken off each end again where both have one, unless there is nothing else; backticks need it, too.
        let is_space = |c: char| c == ' ' || c == '`';
        let needs_pad = text.starts_with(is_space) || text.ends_with(is_space);
        let pad = if needs_pad && text.contains(|c| c != ' ') { " " } else { "" };
        Self(format!("{fence}{pad}{text}{pad}{fence}"))
    }

    /// Code for the cell of a table, where a pipe would end the cell even in code, and where a backslash before the escape
    /// of that pipe would undo it.
    #[must_use]
    pub fn cell(text: &str) -> Self {
        Self::code(text).in_cell()
    }

    /// Code, or a link with a label of code, as it stands in the cell of a table.
    #[must_use]
    pub fn in_cell(self) -> Self {
        if !self.0.contains('|') {
            return self;
        }
        Self(self.0.replace("\\|", &format!("\\{APART}|")).replace('|', "\\|"))
    }

    /// The same at the start of a line, in a list or a quotation: it begins nothing there.
    #[must_use]
    pub fn at_start(self) -> Self {
        let text = self.0.trim_start();
        let begins = |c: char| c.is_ascii_digit() || "-+=".contains(c);
        Self(if text.starts_with(begins) { format!("{APART}{text}") } else { text.to_owned() })
    }

    /// Prose inside of an HTML element, where Markdown is not read but mentions and references are.
    #[must_use]
    pub fn html(text: &str) -> Self {
        let mut out = String::with_capacity(text.len() + 16);
        each(
            &inert(text),
            |c, _| match c {
                '"' => Some("&quot;"),
                _ => None,
            },
            &mut out,
        );
        Self(out)
    }

    /// A link, if the address is one of the web; else the label alone.
    #[must_use]
    pub fn link(label: &Self, address: &str) -> Self {
        if !(address.starts_with("https://") || address.starts_with("http://")) {
            return label.clone();
        }
        Self(format!("[{label}](<{}>)", utf8_percent_encode(address, UNSAFE)))
    }

    /// A block of code of several lines, each made inert, to be set on lines of its own.
    #[must_use]
    pub fn block(text: &str) -> Self {
        let lines: Vec<_> = text.trim_end().lines().map(inert).collect();
        let text = lines.join("\n");
        let text = uncommented(&text);
        Self::fenced(&text, "text")
    }

    /// A command of one line, as a block of code of its own, which GitHub lets one copy.
    #[must_use]
    pub fn shell(line: &str) -> Self {
        Self::fenced(&uncommented(&inert(line)), "sh")
    }

    /// The same and another piece, with this text of ours between them, unless one of them is empty.
    #[must_use]
    pub fn and(self, between: &'static str, other: &Self) -> Self {
        match (self.0.is_empty(), other.0.is_empty()) {
            (_, true) => self,
            (true, false) => other.clone(),
            (false, false) => Self(format!("{self}{between}{other}")),
        }
    }

    fn fenced(text: &str, language: &str) -> Self {
        let fence = "`".repeat(longest_run(text).max(2) + 1);
        Self(format!("{fence}{language}\n{text}\n{fence}"))
    }
}

/// The length of the longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Code without the start of a comment: what looks for a comment of ours in a text looks at its lines, code or not.
fn uncommented(text: &str) -> Cow<'_, str> {
    if text.contains("<!--") { text.replace("<!--", &format!("<{APART}!--")).into() } else { text.into() }
}

/// Appends prose, without backticks in it.
fn prose(text: &str, out: &mut String) {
    let mut before: Option<char> = None;
    let escape = |c: char, after: &str| {
        let inside_word = before.is_some_and(char::is_alphanumeric) && after.starts_with(char::is_alphanumeric);
        before = Some(c);
        Some(match c {
            '\\' => "\\\\",
            '*' => "\\*",
            // Inside of a word GitHub takes an underscore as it is.
            '_' if !inside_word => "\\_",
            '[' => "\\[",
            ']' => "\\]",
            '|' => "\\|",
            '~' => "\\~",
            '$' => "<span>\\$</span>",
            _ => return None,
        })
    };
    each(text, escape, out);
}

/// Appends a text, each character as `escape` has it; what HTML and GitHub would take for theirs is escaped in any case.
/// `escape` is told the character and what follows it.
fn each<'a>(text: &'a str, mut escape: impl FnMut(char, &'a str) -> Option<&'static str>, out: &mut String) {
    for (index, c) in text.char_indices() {
        let after = &text[index + c.len_utf8()..];
        if let Some(escaped) = escape(c, after) {
            out.push_str(escaped);
            continue;
        }
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // A dollar sign of its own, however mathematics are looked for: in the text or in what it became.
            '$' => out.push_str("<span>$</span>"),
            '@' | '#' => out.extend([c, APART]),
            ':' if after.starts_with("//") => out.extend([c, APART]),
            '.' if ends_in(&text[..index], "www") => out.extend([APART, c]),
            // `GH-12` is issue 12.
            '-' if after.starts_with(|c: char| c.is_ascii_digit()) && ends_in(&text[..index], "gh") => {
                out.extend([c, APART]);
            }
            _ => out.push(c),
        }
    }
}

/// Whether a text ends in this word of lower case, however it is written.
fn ends_in(text: &str, word: &str) -> bool {
    text.len() >= word.len() && text.as_bytes()[text.len() - word.len()..].eq_ignore_ascii_case(word.as_bytes())
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
            ("GH-12, gh-1, GH-x", "GH-\u{200b}12, gh-\u{200b}1, GH-x"),
            ("costs $1 or $2", "costs <span>\\$</span>1 or <span>\\$</span>2"),
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
        assert_eq!(Markdown::cell("a\\|b").to_string(), "`a\\\u{200b}\\|b`");
        assert_eq!(Markdown::code("<!-- x").to_string(), "`<\u{200b}!-- x`");
    }

    #[test]
    fn a_link_goes_where_it_says_and_nowhere_else() {
        let label = Markdown::code("a.yaml");
        let link = |address: &str| Markdown::link(&label, address).to_string();
        assert_eq!(link("https://github.com/a/b"), "[`a.yaml`](<https://github.com/a/b>)");
        assert_eq!(link("https://x/a b>(`c`)\n"), "[`a.yaml`](<https://x/a%20b%3E(%60c%60)%0A>)");
        assert_eq!(link("javascript:alert(1)"), "`a.yaml`");
        assert_eq!(link(""), "`a.yaml`");
    }

    #[test]
    fn a_line_begins_nothing_and_html_stays_text() {
        for (raw, line) in [("- x", "\u{200b}- x"), (" 1. x", "\u{200b}1. x"), ("# x", "#\u{200b} x"), ("x", "x")] {
            assert_eq!(Markdown::text(raw).at_start().to_string(), line);
        }
        let html = Markdown::html("</summary> `*` @team #1 \"$x$\"\n").to_string();
        let expected = "&lt;/summary&gt; `*` @\u{200b}team #\u{200b}1 &quot;<span>$</span>x<span>$</span>&quot;␊";
        assert_eq!(html, expected);
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
                    let known = [("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"), ("<span>\\$</span>", "$")];
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
            let got = shown(&text(&raw)).map(|shown| shown.replace(['`', APART], ""));
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
