//! Durations as users write them: `90s`, `15m`, `1h30m`, `7d`.

use std::time::Duration;

/// The units, longest first, as seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Reads `90s`, `15m`, `1h30m` or `7d`: whole numbers, each with its unit, in falling order of units.
///
/// # Errors
/// Says what was found and what is expected.
pub fn parse(text: &str) -> Result<Duration, String> {
    let expected = || format!("`{text}` is not a duration: expected a number with a unit, like 90s, 15m, 1h30m or 7d");
    let mut rest = text.trim();
    let mut seconds: u64 = 0;
    let mut units = UNITS.iter();
    if rest.is_empty() {
        return Err(expected());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| expected())?;
        let unit = rest[digits..].chars().next().ok_or_else(expected)?;
        let (_, factor) = units.find(|(name, _)| *name == unit).ok_or_else(expected)?;
        seconds = number.checked_mul(*factor).and_then(|add| seconds.checked_add(add)).ok_or_else(expected)?;
        rest = &rest[digits + unit.len_utf8()..];
    }
    Ok(Duration::from_secs(seconds))
}

/// Writes a duration as [`parse`] reads it, `1h30m`; parts of a second are dropped, and zero is `0s`.
#[must_use]
pub fn format(duration: Duration) -> String {
    let mut seconds = duration.as_secs();
    if seconds == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, factor) in UNITS {
        if seconds >= factor {
            text.push_str(&format!("{}{unit}", seconds / factor));
            seconds %= factor;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("1h30m", 5_400), ("7d", 604_800), ("0s", 0)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_form_that_is_expected() {
        for text in ["", "15", "m", "1m1h", "1.5h", "-1s", "1w", "99999999999999999999s", "1é"] {
            assert!(parse(text).unwrap_err().contains("15m"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in 0u64..10_000_000) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }
    }
}
