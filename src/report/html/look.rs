//! How outcomes, times and amounts look on the page.

use crate::model::Outcome;

/// An outcome's letter: the class of what is of it, and the name of its sign.
pub(super) fn letter(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "p",
        Outcome::Failed => "f",
        Outcome::TimedOut => "t",
        Outcome::Flaky => "y",
        Outcome::Skipped => "s",
        Outcome::Errored => "e",
    }
}

/// What is looked at first: the lower, the earlier.
pub(super) fn urgency(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Failed => 0,
        Outcome::TimedOut => 1,
        Outcome::Errored => 2,
        Outcome::Flaky => 3,
        Outcome::Passed => 4,
        Outcome::Skipped => 5,
    }
}

/// A time for a narrow place: `5ms`, `12s`, `2m 3s`, `1h 5m`; rounded as [`crate::report::words::duration`] rounds it.
pub(super) fn short(ms: u64) -> String {
    let s = ms.saturating_add(500) / 1000;
    let min = s.saturating_add(30) / 60;
    match s {
        _ if ms < 1000 => format!("{ms}ms"),
        ..60 => format!("{s}s"),
        60..3600 => format!("{}m {}s", s / 60, s % 60),
        _ => format!("{}h {}m", min / 60, min % 60),
    }
}

/// A moment of an axis, in its largest unit that is whole: `0`, `30 s`, `5 min`, `2 h`.
pub(super) fn tick(ms: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms")];
    let unit = units.iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit));
    unit.map_or_else(|| "0".to_owned(), |(unit, name)| format!("{} {name}", ms / unit))
}

/// Thousandths of a core: `250m`, `1.5 cores`.
pub(super) fn cpu(milli: u64) -> String {
    match milli {
        0..1_000 => format!("{milli}m"),
        1_000 => "1 core".to_owned(),
        _ => format!("{} cores", rounded(milli, 1_000)),
    }
}

/// Bytes: `512 MiB`, `1.5 GiB`.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..0x10_0000 => format!("{} KiB", rounded(bytes, 1 << 10)),
        0x10_0000..0x4000_0000 => format!("{} MiB", rounded(bytes, 1 << 20)),
        _ => format!("{} GiB", rounded(bytes, 1 << 30)),
    }
}

/// So many units, with one place where that says something.
fn rounded(amount: u64, unit: u64) -> String {
    let tenths = u128::from(amount) * 10 / u128::from(unit);
    if tenths >= 100 || tenths % 10 == 0 {
        format!("{}", tenths / 10)
    } else {
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

/// A share as whole percents; nothing of what is no share.
pub(super) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.0} %", (share * 100.0).clamp(0.0, 9_999.0)) } else { "unknown".to_owned() }
}

/// The sign of a trend, and the word for it; nothing of one that is not known.
pub(super) fn trend(word: &str) -> Option<(&'static str, &'static str)> {
    match word {
        "improving" => Some(("↗", "improving")),
        "steady" => Some(("→", "steady")),
        "declining" => Some(("↘", "declining")),
        _ => None,
    }
}

/// How good a score is, as a class.
pub(super) fn grade(score: Option<u8>) -> &'static str {
    match score {
        None => "unknown",
        Some(80..) => "good",
        Some(50..80) => "fair",
        Some(_) => "poor",
    }
}

/// A moment as a person says it, `28 Nov 2026, 16:52 UTC`; the text itself if it is none.
pub(super) fn moment(text: &str) -> String {
    let parsed = text.parse::<jiff::Timestamp>();
    parsed.map_or_else(|_| text.to_owned(), |at| at.strftime("%-d %b %Y, %H:%M UTC").to_string())
}

/// The day of a moment.
pub(super) fn day(text: &str) -> String {
    let parsed = text.parse::<jiff::Timestamp>();
    parsed.map_or_else(|_| text.to_owned(), |at| at.strftime("%-d %b %Y").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_a_unit_that_fits() {
        assert_eq!(
            [5, 2_859, 12_300, 59_600, 123_000, 3_900_000].map(short),
            ["5ms", "3s", "12s", "1m 0s", "2m 3s", "1h 5m"]
        );
        assert_eq!([0, 500, 30_000, 90_000, 7_200_000].map(tick), ["0", "500 ms", "30 s", "90 s", "2 h"]);
        assert_eq!([0, 250, 1_000, 1_530, 16_000].map(cpu), ["0m", "250m", "1 core", "1.5 cores", "16 cores"]);
        assert_eq!(
            [12, 2_048, 536_870_912, 1_610_612_736, u64::MAX].map(bytes),
            ["12 B", "2 KiB", "512 MiB", "1.5 GiB", "17179869183 GiB"]
        );
        assert_eq!([0.042, 1.5, f64::NAN, -1.0].map(percent), ["4 %", "150 %", "unknown", "0 %"]);
    }

    #[test]
    fn moments_are_told_in_utc() {
        assert_eq!(moment("2026-11-28T16:52:00+02:00"), "28 Nov 2026, 14:52 UTC");
        assert_eq!(moment("soon"), "soon");
        assert_eq!(day("2026-11-03T16:52:00Z"), "3 Nov 2026");
    }
}
