//! Texts of others, made harmless for a terminal: what comes from a manifest, a log or a title may hold escape sequences,
//! line ends or characters that reorder or hide what follows.

use std::borrow::Cow;

/// The same text with a visible character in the place of each one that would act on a terminal or hide from the eye:
/// control characters, line and paragraph separators, marks of writing direction, zero-width characters, non-characters.
/// The text has one line afterwards, and as many characters as before.
#[must_use]
pub fn inert(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| visible(c) != c) {
        text.chars().map(visible).collect::<String>().into()
    } else {
        text.into()
    }
}

/// A character as it can be shown: itself, or a picture of it.
pub(crate) fn visible(c: char) -> char {
    match c {
        // Unicode has pictures of the ASCII control characters in the same order.
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\x7f' => '\u{2421}',
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fdd0}'..='\u{fdef}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => char::REPLACEMENT_CHARACTER,
        // The last two code points of every plane are not characters.
        _ if u32::from(c) & 0xfffe == 0xfffe => char::REPLACEMENT_CHARACTER,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_and_line_ends_become_visible() {
        assert_eq!(inert("\u{1b}[31mred\r\n\tx\u{7f}"), "␛[31mred␍␊␉x␡");
        assert_eq!(inert("a\u{202e}b\u{200b}c\u{2028}d\u{85}e\u{feff}\u{ffff}"), "a�b�c�d�e��");
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        for text in ["", "spec.containers[0].image: `a/b:1`", "Zürich 東京 🚀"] {
            assert!(matches!(inert(text), Cow::Borrowed(same) if same == text));
        }
    }

    proptest! {
        #[test]
        fn no_control_character_is_left_and_none_is_lost(text in any::<String>()) {
            let shown = inert(&text);
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert_eq!(shown.chars().count(), text.chars().count());
            prop_assert_eq!(inert(&shown), shown.as_ref());
        }
    }
}
