//! Scalars as Go's standard library reads them.

use std::sync::LazyLock;

use jiff::civil::Date;
use regex::Regex;

static TIMESTAMP: LazyLock<Regex> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "a literal that the tests compile")]
    Regex::new(r"^([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,][0-9]+)?(?:Z|[+-]([0-9]{2}):([0-9]{2}))$")
        .expect("the pattern is a literal that compiles")
});

/// Whether `time.Parse("2006-01-02", text)` succeeds.
pub(super) fn is_date(text: &str) -> bool {
    text.len() == 10 && text.is_ascii() && Date::strptime("%Y-%m-%d", text).is_ok()
}

/// Whether `time.Parse(time.RFC3339, text)` succeeds.
pub(super) fn is_timestamp(text: &str) -> bool {
    let below = |part: &str, bound: u8| part.parse::<u8>().is_ok_and(|number| number < bound);
    TIMESTAMP.captures(text).is_some_and(|parts| {
        is_date(&parts[1])
            && below(&parts[2], 24)
            && below(&parts[3], 60)
            && below(&parts[4], 60)
            && parts.get(5).is_none_or(|hours| below(hours.as_str(), 25))
            && parts.get(6).is_none_or(|minutes| below(minutes.as_str(), 61))
    })
}

/// Whether `time.ParseDuration(text)` succeeds: `1h30m`, `-1.5s`, `0`.
pub(super) fn is_duration(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned == "0" {
        return true;
    }
    let mut rest = unsigned;
    while !rest.is_empty() {
        let number = rest.find(|character: char| !character.is_ascii_digit() && character != '.');
        let Some(end) = number else { return false };
        let digits = &rest[..end];
        if digits.matches('.').count() > 1 || !digits.contains(|character: char| character.is_ascii_digit()) {
            return false;
        }
        rest = &rest[end..];
        let units = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"];
        let Some(unit) = units.iter().find(|unit| {
            rest.strip_prefix(**unit).is_some_and(|after| {
                after.is_empty() || after.starts_with(|next: char| next.is_ascii_digit() || next == '.')
            })
        }) else {
            return false;
        };
        rest = &rest[unit.len()..];
    }
    !unsigned.is_empty()
}

/// Whether `base64.StdEncoding.DecodeString(text)` succeeds: line breaks are skipped, the padding must be there.
pub(super) fn is_base64(text: &str) -> bool {
    let bytes: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let padding = bytes.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    bytes.len().is_multiple_of(4)
        && bytes[..bytes.len() - padding].iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn timestamps_are_those_of_rfc_3339() {
        for good in ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.123456+02:00"] {
            assert!(is_timestamp(good), "{good}");
        }
        for bad in ["2026-01-31", "2026-02-30T12:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31 12:00:00Z", ""] {
            assert!(!is_timestamp(bad), "{bad}");
        }
    }

    #[test]
    fn durations_need_units() {
        for good in ["1h30m", "-1.5s", "0", "100ms", ".5s", "1us", "1µs"] {
            assert!(is_duration(good), "{good}");
        }
        for bad in ["", "1", "1d", "h", "1h 30m", ".s", "1..5s", "-"] {
            assert!(!is_duration(bad), "{bad}");
        }
    }

    #[test]
    fn base64_is_padded() {
        for good in ["", "aGk=", "aGVsbG8=", "aGVs\nbG8=", "YQ=="] {
            assert!(is_base64(good), "{good:?}");
        }
        for bad in ["aGk", "a===", "a-b_", "plain text"] {
            assert!(!is_base64(bad), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(text in "[-+0-9.,:TZhmsµ= a-z\n]{0,30}") {
            let _ = (is_date(&text), is_timestamp(&text), is_duration(&text), is_base64(&text));
        }
    }
}
