//! Diagnostics for the terminal, as rustc prints them.

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Padding, Renderer, Snippet};

use super::inert::{inert, visible};
use super::{Diagnostic, Location, Severity};

/// Longest line, in bytes, that is shown; the renderer trims it to the terminal around what is meant.
const MAX_LINE: usize = 20_000;

/// Errors and warnings with their source line and a caret, parted by empty lines; notes in one line each. Ends with a line
/// end unless there are no diagnostics. Texts of others are made inert; with `colored` the renderer's own escape sequences
/// are in the text.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], colored: bool) -> String {
    let renderer = if colored { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    let mut after_block = false;
    for diagnostic in diagnostics {
        let is_block = diagnostic.severity != Severity::Note;
        if !text.is_empty() && (is_block || after_block) {
            text.push('\n');
        }
        if is_block {
            text.push_str(&block(diagnostic, &renderer));
        } else {
            text.push_str(&compact(diagnostic));
        }
        text.push('\n');
        after_block = is_block;
    }
    text
}

/// A diagnostic in one line, without colours: `note[EV501]: a.yaml:5:14: the namespace ... (help: ...)`.
#[must_use]
pub fn compact(diagnostic: &Diagnostic) -> String {
    let mut text = label(diagnostic.severity, diagnostic.code.unwrap_or_default());
    text.push_str(": ");
    if let Some((path, line, column)) = diagnostic.position() {
        text.push_str(&format!("{}:{line}:{column}: ", inert(path)));
    }
    text.push_str(&inert(&diagnostic.message));
    if let Some(help) = &diagnostic.help {
        text.push_str(&format!(" (help: {})", inert(help)));
    }
    text
}

/// `error[EV105]`, or `error` where there is no code.
#[must_use]
pub fn label(severity: Severity, code: &str) -> String {
    let word = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    if code.is_empty() { word.to_owned() } else { format!("{word}[{code}]") }
}

/// A diagnostic with its source line, without a line end.
fn block(diagnostic: &Diagnostic, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut title = level.primary_title(inert(&diagnostic.message));
    if let Some(code) = diagnostic.code {
        title = title.id(code);
    }
    let mut elements: Vec<Element<'_>> = diagnostic.location.iter().map(place).collect();
    if let Some(help) = &diagnostic.help {
        if diagnostic.location.is_some() {
            elements.push(Padding.into());
        }
        elements.push(Level::HELP.message(inert(help)).into());
    }
    renderer.render(&[Group::with_title(title).elements(elements)])
}

/// The place with its line, inert; what goes on over several lines is underlined in its first. The place alone where the
/// line is too long to be of use.
fn place(location: &Location) -> Element<'_> {
    let path = inert(&location.source.path);
    let (line, column) = location.source.position(location.span.start);
    let (text, line_start) = location.source.line_at(location.span.start);
    if text.len() > MAX_LINE {
        return Origin::path(path).line(line as usize).char_column(column as usize).into();
    }
    let inside = |offset: u32| floor(text, (offset as usize).saturating_sub(line_start));
    let (start, end) = (inside(location.span.start), inside(location.span.end));
    let before = visible_line(&text[..start]);
    let meant = visible_line(&text[start..end]);
    let span = before.len()..before.len() + meant.trim_end().len();
    Snippet::source(before + &meant + &visible_line(&text[end..]))
        .line_start(line as usize)
        .path(path)
        .annotation(AnnotationKind::Primary.span(span))
        .into()
}

/// The largest character boundary of `text` that is not beyond `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// A part of a source line, inert; its tabs are left for the renderer, which widens them.
fn visible_line(text: &str) -> String {
    text.chars().map(|c| if c == '\t' { c } else { visible(c) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Source;
    use crate::yaml::Span;
    use insta::assert_snapshot;
    use proptest::prelude::*;

    fn finding(code: &'static str, message: &str, text: &str, meant: &str) -> Diagnostic {
        let start = text.find(meant).unwrap();
        let mut diagnostic =
            Diagnostic::error(message).at(&Source::new("a.yaml", text), Span::new(start, start + meant.len()));
        diagnostic.code = Some(code);
        diagnostic
    }

    #[test]
    fn an_error_shows_its_line_a_caret_and_help() {
        let error = finding("EV105", "spec.replica: unknown field", "spec:\n  replica: 1\n", "replica")
            .with_help("did you mean `replicas`?");
        assert_snapshot!(render(&[error], false), @"
        error[EV105]: spec.replica: unknown field
         --> a.yaml:2:3
          |
        2 |   replica: 1
          |   ^^^^^^^
          |
          = help: did you mean `replicas`?
        ");
    }

    #[test]
    fn several_of_one_line_are_shown_one_after_the_other_and_notes_stay_compact() {
        let text = "a: {b: 1, c: 2}\n";
        let warning = finding("EV302", "no tag", text, "c").with_severity(Severity::Warning);
        let note = finding("EV501", "rewritten", text, "a").with_severity(Severity::Note).with_help("leave it out");
        let other = finding("EV503", "shared", text, "b").with_severity(Severity::Note);
        assert_snapshot!(render(&[finding("EV105", "unknown", text, "b"), warning, note, other], false), @"
        error[EV105]: unknown
         --> a.yaml:1:5
          |
        1 | a: {b: 1, c: 2}
          |     ^

        warning[EV302]: no tag
         --> a.yaml:1:11
          |
        1 | a: {b: 1, c: 2}
          |           ^

        note[EV501]: a.yaml:1:1: rewritten (help: leave it out)
        note[EV503]: a.yaml:1:5: shared
        ");
    }

    #[test]
    fn windows_line_ends_are_not_part_of_the_line() {
        assert_snapshot!(render(&[finding("EV106", "wrong", "a: 1\r\nb: x\r\nc: 2\r\n", "x")], false), @"
        error[EV106]: wrong
         --> a.yaml:2:4
          |
        2 | b: x
          |    ^
        ");
    }

    #[test]
    fn what_spans_several_lines_is_underlined_in_its_first() {
        let text = "spec:\n  a: 1\n  b: 2\nkind: X\n";
        assert_snapshot!(render(&[finding("EV107", "missing", text, "a: 1\n  b: 2\n")], false), @"
        error[EV107]: missing
         --> a.yaml:2:3
          |
        2 |   a: 1
          |   ^^^^
        ");
    }

    #[test]
    fn the_end_of_the_file_can_be_meant() {
        let at_end = |text: &str| {
            let end = text.len();
            render(&[Diagnostic::error("unexpected end").at(&Source::new("a.yaml", text), Span::new(end, end))], false)
        };
        assert_snapshot!(at_end("a: [1"), @"
        error: unexpected end
         --> a.yaml:1:6
          |
        1 | a: [1
          |      ^
        ");
        assert_snapshot!(at_end("a: [1\n"), @"
        error: unexpected end
         --> a.yaml:2:1
          |
        2 |
          | ^
        ");
        assert_snapshot!(at_end(""), @"
        error: unexpected end
         --> a.yaml:1:1
          |
        1 |
          | ^
        ");
    }

    #[test]
    fn without_a_place_there_is_no_snippet() {
        assert_snapshot!(render(&[Diagnostic::error("no such folder").with_help("create it")], false), @"
        error: no such folder
         |
         = help: create it
        ");
        assert_snapshot!(render(&[Diagnostic::error("no such folder")], false), @"
        error: no such folder
        ");
    }

    #[test]
    fn texts_of_others_cannot_act_on_the_terminal() {
        let text = "a: \"\u{1b}]0;title\u{7}\"\t# \u{202e}x\n";
        let shown = render(&[finding("EV109", "bad value `\u{1b}[2J\n::error::x`", text, "a")], false);
        assert_snapshot!(shown, @r#"
        error[EV109]: bad value `␛[2J␊::error::x`
         --> a.yaml:1:1
          |
        1 | a: "␛]0;title␇"    # �x
          | ^
        "#);
    }

    #[test]
    fn a_long_line_is_trimmed_around_what_is_meant() {
        let text = |length| format!("{}: {{wrong: 1, {}: 2}}\n", "a".repeat(length), "b".repeat(length));
        assert_snapshot!(render(&[finding("EV105", "too long", &text(30_000), "wrong")], false), @"
        error[EV105]: too long
        --> a.yaml:1:30004
        ");
        assert_snapshot!(render(&[finding("EV105", "unknown", &text(3_000), "wrong")], false), @"
        error[EV105]: unknown
         --> a.yaml:1:3004
          |
        1 | ...aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: {wrong: 1, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb...
          |                                                                  ^^^^^
        ");
    }

    #[test]
    fn colours_are_only_there_when_asked_for() {
        let error = [finding("EV105", "unknown", "a: 1\n", "a")];
        assert!(render(&error, true).contains("\u{1b}["));
        assert!(!render(&error, false).contains('\u{1b}'));
    }

    proptest! {
        #[test]
        fn no_text_and_no_span_make_it_panic(text in "[a-zé\t\r\n🚀\u{1b}]{0,40}", start in 0usize..50, length in 0usize..50) {
            let source = Source::new("a.yaml", text);
            let shown = render(&[Diagnostic::error("x").at(&source, Span::new(start, start + length))], false);
            prop_assert!(!shown.contains(char::from(0x1b)));
        }
    }
}
