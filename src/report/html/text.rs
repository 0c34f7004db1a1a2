//! Texts of others on the page. What is a [`Text`] has one line, nothing invisible in it, and a length that a person would read;
//! the template escapes it for HTML. What is an [`Html`] is markup, and only this room makes one.

use std::fmt;

use crate::diagnostic::inert::inert;

/// Most characters of a text, where no other bound is given.
const MOST: usize = 1_000;

/// A text that may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text(String);

impl Text {
    /// One line of at most 1,000 characters.
    pub(super) fn new(text: &str) -> Self {
        Self::clipped(text, MOST)
    }

    /// One line of at most so many characters.
    pub(super) fn clipped(text: &str, most: usize) -> Self {
        match text.char_indices().nth(most) {
            Some((end, _)) => Self(format!("{}…", drawn(text[..end].trim_end()))),
            None => Self(drawn(text)),
        }
    }

    /// Lines as they are, at most so many of them, each bounded.
    pub(super) fn lines<'a>(lines: impl IntoIterator<Item = &'a str>, most: usize) -> Self {
        let lines: Vec<_> = lines.into_iter().take(most).map(|line| Self::new(line).0).collect();
        Self(lines.join("\n"))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text as fonts can draw it: a tab as white space up to its stop, the end of a line as a space, other control characters as
/// terminals write them (`^[`), since few fonts have the pictures that Unicode has of them; what hides as U+FFFD.
fn drawn(text: &str) -> String {
    const STOP: usize = 4;
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    let text = text.replace("\r\n", "\n");
    for c in inert(&text).chars() {
        let from = out.len();
        match u32::from(c) {
            0x2409 => (0..STOP - column % STOP).for_each(|_| out.push(' ')),
            0x240a => out.push(' '),
            picture @ 0x2400..=0x241f => {
                out.push('^');
                out.extend(char::from_u32(picture - 0x2400 + 0x40));
            }
            0x2421 => out.push_str("^?"),
            _ => out.push(c),
        }
        column += out[from..].chars().count();
    }
    out
}

/// Markup that was made here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    /// Markup of which every text was escaped when it was put in.
    pub(super) fn made(markup: String) -> Self {
        Self(markup)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Html {}

/// A text inside of an element or a quoted attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Some text and where it leads, if it leads anywhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    pub(super) text: Text,
    pub(super) href: Option<Text>,
}

impl Link {
    /// Only pages lead somewhere: an address that is not `http` or `https` is left out.
    pub(super) fn new(text: &str, address: &str) -> Self {
        let is_page =
            ["https://", "http://"].iter().any(|scheme| address.starts_with(scheme)) && address.len() <= 4_096;
        Self { text: Text::new(text), href: is_page.then(|| Text(inert(address).into_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_without_what_hides_and_is_bounded() {
        assert_eq!(Text::new("a\u{202e}b\n\u{1b}[31m\u{7f}").to_string(), "a�b ^[[31m^?");
        assert_eq!(Text::new("\ta\tbcd\t\te\r\nf\0").to_string(), "    a   bcd     e f^@");
        assert_eq!(Text::clipped("éé éé", 3).to_string(), "éé…");
        assert_eq!(Text::new(&"x".repeat(1 << 20)).as_str().chars().count(), MOST + 1);
        assert_eq!(Text::lines(["a", "b\r", "c"], 2).to_string(), "a\nb^M");
    }

    #[test]
    fn only_pages_are_linked() {
        let leads = |address: &str| Link::new("x", address).href.map(|href| href.to_string());
        assert_eq!(leads("https://github.com/o/r").as_deref(), Some("https://github.com/o/r"));
        for address in ["", "javascript:alert(1)", "data:text/html,x", " https://x", "//x", "HTTPS://x"] {
            assert_eq!(leads(address), None, "{address}");
        }
    }

    #[test]
    fn markup_characters_are_escaped() {
        assert_eq!(escaped(r#"<a href='x' b="y">&"#), "&lt;a href=&#39;x&#39; b=&quot;y&quot;&gt;&amp;");
    }
}
