//! How counts, times and outcomes are put into words.

use std::collections::BTreeSet;

use super::{CheckResult, Report, Row};
use crate::diagnostic::Severity;
use crate::model::Outcome;

/// What has to be said wherever simulated results are shown.
pub(super) const SIMULATED: &str =
    "Simulated: no real cluster was used, so that nothing here says whether the examples work.";
/// How to have real ones.
pub(super) const FOR_REAL: &str =
    "For real: `--cluster kind` (needs a Docker engine), or `--cluster existing` (needs a kubeconfig).";

/// `1 example`, `2 examples`.
#[must_use]
pub fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list<T: AsRef<str>>(words: &[T]) -> String {
    match words {
        [] => String::new(),
        [word] => word.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

/// Milliseconds as seconds with three places, `0.005`.
pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// Milliseconds as a person says them: `5 ms`, `12 s`, `15 min 2 s`, `2 h 5 min`; to the nearest of the last unit, so that 59.6 s are
/// `1 min 0 s`.
pub(crate) fn duration(ms: u64) -> String {
    if ms < 1000 {
        return format!("{ms} ms");
    }
    let s = ms.saturating_add(500) / 1000;
    let min = s.saturating_add(30) / 60;
    match s {
        ..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", min / 60, min % 60),
    }
}

/// Orders versions by their numbers: `v1.9.0` before `v1.34.0`; what has no numbers by its text.
pub(super) fn version_key(version: &str) -> (Vec<u64>, &str) {
    let numbers = version.trim_start_matches('v').split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect();
    (numbers, version)
}

/// The versions that rows were judged on, in order.
pub(super) fn versions(rows: &[Row]) -> Vec<&str> {
    // There are few versions and many rows.
    let versions: BTreeSet<_> = rows.iter().filter_map(|row| row.kubernetes.as_deref()).collect();
    let mut versions: Vec<_> = versions.into_iter().collect();
    versions.sort_by_key(|version| version_key(version));
    versions
}

/// How many examples there are rows of.
pub(super) fn examples<'a>(rows: impl IntoIterator<Item = &'a Row>) -> usize {
    rows.into_iter().map(|row| &row.example).collect::<BTreeSet<_>>().len()
}

/// What was judged: `31 examples`, or `31 examples on v1.33.4 and v1.34.0 (62 results)`.
pub(super) fn scope(report: &Report) -> String {
    let rows = &report.results;
    let examples = examples(rows);
    let versions = versions(rows);
    let mut text = plural(examples, "example");
    if !versions.is_empty() {
        text.push_str(&format!(" on {}", list(&versions)));
    }
    if rows.len() != examples {
        text.push_str(&format!(" ({})", plural(rows.len(), "result")));
    }
    text
}

/// `29 passed, 2 failed (1 quarantined), 0 skipped`; what is rarer is named only where there is some.
pub(super) fn counts(rows: &[Row]) -> String {
    const ALWAYS: [Outcome; 3] = [Outcome::Passed, Outcome::Failed, Outcome::Skipped];
    const ORDER: [Outcome; 6] =
        [Outcome::Passed, Outcome::Flaky, Outcome::Failed, Outcome::TimedOut, Outcome::Errored, Outcome::Skipped];
    let part = |outcome: Outcome| {
        let count = rows.iter().filter(|row| row.outcome == outcome).count();
        let spared = rows.iter().filter(|row| row.outcome == outcome && row.is_bad() && row.quarantined).count();
        let mark = if spared > 0 { format!(" ({spared} quarantined)") } else { String::new() };
        (count > 0 || ALWAYS.contains(&outcome)).then(|| format!("{count} {}{mark}", past(outcome)))
    };
    ORDER.into_iter().filter_map(part).collect::<Vec<_>>().join(", ")
}

/// A text up to its first line end.
pub(super) fn first_line(text: &str) -> &str {
    text.split(['\n', '\r']).next().unwrap_or_default()
}

/// What an example is: its framework, or that it is a support file, or both; nothing is known of a script.
pub(super) fn role(row: &Row) -> String {
    match (row.framework.as_deref(), row.support) {
        (Some(framework), true) => format!("{framework} (support file)"),
        (Some(framework), false) => framework.to_owned(),
        (None, true) => "support file".to_owned(),
        (None, false) => String::new(),
    }
}

/// The outcome as it is said of an example.
pub(super) fn past(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::TimedOut => "timed out",
        other => other.as_str(),
    }
}

/// `2 attempts, 1 error, 1 warning, 2 notes, 1 check inconclusive`; empty if there is nothing to remark.
pub(super) fn remarks(row: &Row) -> String {
    let count = |severity| row.remarks().filter(|finding| finding.severity == severity).count();
    let attempts = if row.attempts.len() > 1 { row.attempts.len() } else { 0 };
    let parts = [
        (attempts, "attempt"),
        (count(Severity::Error), "error"),
        (count(Severity::Warning), "warning"),
        (count(Severity::Note), "note"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, noun)| plural(*count, noun));
    parts.chain(inconclusive(row)).collect::<Vec<_>>().join(", ")
}

/// `1 check inconclusive`, if that is so.
pub(super) fn inconclusive(row: &Row) -> Option<String> {
    let count = undecided(row).count();
    (count > 0).then(|| format!("{} inconclusive", plural(count, "check")))
}

/// The checks of a row that did not come to a result.
pub(super) fn undecided(row: &Row) -> impl Iterator<Item = &CheckResult> {
    row.checks.iter().filter(|check| check.outcome == "inconclusive")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn one_is_singular_and_all_else_plural() {
        assert_eq!([0, 1, 2].map(|count| plural(count, "example")), ["0 examples", "1 example", "2 examples"]);
    }

    #[test]
    fn lists_read_as_a_sentence() {
        assert_eq!(list::<&str>(&[]), "");
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
    }

    #[test]
    fn times_have_three_places() {
        assert_eq!([0, 5, 61_234].map(seconds), ["0.000", "0.005", "61.234"]);
    }

    #[test]
    fn durations_have_two_units() {
        let shown = [5, 999, 12_345, 902_000, 7_500_000].map(duration);
        assert_eq!(shown, ["5 ms", "999 ms", "12 s", "15 min 2 s", "2 h 5 min"]);
        let rounded = [1_499, 50_907, 59_499, 59_600, 3_599_600, 7_199_000, u64::MAX].map(duration);
        assert_eq!(rounded[..6], ["1 s", "51 s", "59 s", "1 min 0 s", "1 h 0 min", "2 h 0 min"]);
    }

    #[test]
    fn errors_and_checks_without_a_result_are_remarked() {
        let mut row = sample::row("a", Outcome::Passed);
        row.diagnostics = vec![
            sample::finding("EV302", Severity::Warning, "a", 1, "x"),
            sample::finding("EV202", Severity::Error, "a", 1, "x"),
        ];
        assert_eq!(remarks(&row), "1 error, 1 warning");
        row.checks = vec![sample::check("logs", "inconclusive", "the logs are not whole")];
        assert_eq!(remarks(&row), "1 error, 1 warning, 1 check inconclusive");
    }

    #[test]
    fn versions_are_ordered_by_number() {
        let mut versions = ["v1.34.0", "v1.9.3", "main", "v1.34.0-rc.1"];
        versions.sort_by_key(|version| version_key(version));
        assert_eq!(versions, ["main", "v1.9.3", "v1.34.0", "v1.34.0-rc.1"]);
    }

    #[test]
    fn the_rare_counts_are_named_where_there_are_some() {
        let mut rows = vec![sample::row("a", Outcome::Passed), sample::row("b", Outcome::Failed)];
        assert_eq!(counts(&rows), "1 passed, 1 failed, 0 skipped");
        rows[1].quarantined = true;
        rows.push(sample::row("c", Outcome::Errored));
        rows.push(sample::row("d", Outcome::Flaky));
        assert_eq!(counts(&rows), "1 passed, 1 flaky, 1 failed (1 quarantined), 1 errored, 0 skipped");
    }
}
