//! `value`: bounds of what a named group caught.

use std::collections::BTreeMap;

use super::scan::Caught;
use super::{Facts, Failure, Finding};

/// How far a value may be from what it should equal, in parts of that: a decimal fraction is not exact in binary.
const TOLERANCE: f64 = 1e-9;

/// `min`, `max`, `equals`.
type Bounds = (Option<f64>, Option<f64>, Option<f64>);

/// Evaluates a `value` check by all that was caught.
pub(super) fn evaluate(name: &str, bounds: Bounds, caught: &BTreeMap<String, Caught>, facts: &Facts<'_>) -> Finding {
    let Some(found) = caught.get(name) else { return missing(name, caught, facts) };
    let place = format!("(caught in Pod/{} container `{}`)", found.pod, found.container);
    let Some(value) = number(&found.text) else {
        let message = format!("value `{name}` is `{}`, which is no number {place}", found.text);
        return Finding::failed("ValueNotANumber", message, "let the group catch the number alone");
    };
    if fits(value, bounds) {
        return Finding::Passed { message: format!("value `{name}` is {value} {place}"), value: Some(value) };
    }
    let message = format!("value `{name}` is {value}, expected {} {place}", expected(bounds));
    Finding::Failed(Failure { reason: "ValueOutOfBounds", message, hint: String::new(), value: Some(value) })
}

fn missing(name: &str, caught: &BTreeMap<String, Caught>, facts: &Facts<'_>) -> Finding {
    let others: Vec<_> = caught.iter().map(|(name, caught)| format!("`{name}` = `{}`", caught.text)).collect();
    let others =
        if others.is_empty() { "no value was".to_owned() } else { format!("caught were {}", others.join(", ")) };
    let message = format!("value `{name}` was not caught in any log; {others}");
    match facts.logs_lost {
        Some(lost) => Finding::Inconclusive(format!("{message}, but the logs are not whole: {lost}")),
        None => Finding::failed(
            "ValueMissing",
            message,
            format!("let the `logs` check with the group `{name}` match what is logged"),
        ),
    }
}

/// A number as programs log it: `0.97`, `97%` (0.97), `1e-3`, `1,024`, `1_024`, `+5`, with white space, brackets or punctuation around
/// it. `None` for anything else, `nan` and infinities.
pub(super) fn number(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || "()[]{},;:'\"=".contains(c));
    let (text, factor) = match text.strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 0.01),
        None => (text, 1.0),
    };
    // The full stop of a sentence.
    let text = text.strip_suffix('.').unwrap_or(text);
    let plain = if has_thousands(text, ',') || has_thousands(text, '_') {
        text.replace([',', '_'], "")
    } else {
        text.to_owned()
    };
    let value: f64 = plain.parse().ok()?;
    // Dividing keeps 97% the same number as 0.97.
    let value = if factor < 1.0 { value / 100.0 } else { value };
    value.is_finite().then_some(value)
}

/// Whether `mark` stands between groups of three digits, and nowhere else.
fn has_thousands(text: &str, mark: char) -> bool {
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole).trim_start_matches(['+', '-']);
    let mut groups = whole.split(mark);
    let is_number = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let first = groups.next().is_some_and(|group| (1..=3).contains(&group.len()) && is_number(group));
    let rest: Vec<&str> = groups.collect();
    first && !rest.is_empty() && rest.iter().all(|group| group.len() == 3 && is_number(group))
}

fn fits(value: f64, (min, max, equals): Bounds) -> bool {
    let same = |expected: f64| (value - expected).abs() <= TOLERANCE * expected.abs().max(1.0);
    min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max) && equals.is_none_or(same)
}

fn expected((min, max, equals): Bounds) -> String {
    let parts = [
        equals.map(|equals| format!("exactly {equals}")),
        min.map(|min| format!("at least {min}")),
        max.map(|max| format!("at most {max}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_read_as_programs_log_them() {
        for (text, expected) in [
            ("0.97", 0.97),
            (" 97% ", 0.97),
            ("97.5 %", 0.975),
            ("1e-3", 1e-3),
            ("1,024", 1024.0),
            ("-1,234,567.5", -1_234_567.5),
            ("1_024", 1024.0),
            ("+5", 5.0),
            ("0.98.", 0.98),
            ("(3)", 3.0),
            ("0.5,", 0.5),
        ] {
            assert_eq!(number(text), Some(expected), "{text}");
        }
        for text in ["", "nan", "inf", "abc", "1,02", "1.2.3", "%", "0x10", "1,0244"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn bounds_are_inclusive_and_equality_forgives_rounding() {
        assert!(fits(0.9, (Some(0.9), Some(0.9), None)));
        assert!(!fits(0.899, (Some(0.9), None, None)));
        assert!(fits(0.1 + 0.2, (None, None, Some(0.3))));
        assert!(!fits(0.31, (None, None, Some(0.3))));
        assert_eq!(expected((Some(1.0), Some(2.0), None)), "at least 1 and at most 2");
    }

    proptest! {
        #[test]
        fn any_text_is_a_number_or_not(text in "(?s).{0,40}") {
            prop_assert!(number(&text).is_none_or(f64::is_finite));
        }

        #[test]
        fn what_is_printed_is_read_back(value in -1e12f64..1e12) {
            prop_assert_eq!(number(&value.to_string()), Some(value));
        }
    }
}
