//! The examples of a report in the order in which a maintainer wants to see them.

use super::look::urgency;
use crate::model::Outcome;
use crate::report::{Health, Report, Row};

/// An example with its rows, one a version.
#[derive(Clone, Copy)]
pub(super) struct Example<'a> {
    /// Its place on the page, from 1.
    pub(super) number: usize,
    /// Never empty; the versions in order.
    pub(super) rows: &'a [Row],
    /// Whether the run was a rehearsal, which is no part of a history.
    pub(super) simulated: bool,
}

/// All examples: what failed first, then what failed in quarantine, then the rest; each by name.
pub(super) fn examples(report: &Report) -> Vec<Example<'_>> {
    // Rows are in the order of their examples.
    let chunks = report.results.chunk_by(|a, b| a.example == b.example);
    let mut examples: Vec<_> =
        chunks.map(|rows| Example { number: 0, rows, simulated: report.run.simulated }).collect();
    examples.sort_by_cached_key(|example| {
        let kind = |row: &Row| match (row.is_bad(), row.quarantined) {
            (true, false) => 0,
            (true, true) => 1,
            (false, _) => 2,
        };
        let first = example.rows.iter().map(|row| (kind(row), urgency(row.outcome))).min();
        (first, natural(example.name()))
    });
    for (index, example) in examples.iter_mut().enumerate() {
        example.number = index + 1;
    }
    examples
}

/// A name whose numbers count as numbers: `job-2` is before `job-10`.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(text);
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (number, after) = after.split_at(digits);
        parts.push((word.to_owned(), number.parse().unwrap_or(u64::MAX)));
        rest = after;
    }
    parts
}

impl<'a> Example<'a> {
    /// Its path.
    pub(super) fn name(&self) -> &'a str {
        self.rows[0].example.as_str()
    }

    /// Its path's folder, with the slash, and what is in it.
    pub(super) fn parts(&self) -> (&'a str, &'a str) {
        let name = self.name();
        let end = name.trim_end_matches('/').rfind('/').map_or(0, |slash| slash + 1);
        name.split_at(end)
    }

    /// The row that is looked at first: the worst of those that count, else a failure in quarantine, else the least good.
    pub(super) fn worst(&self) -> &'a Row {
        let worst = self.rows.iter().min_by_key(|row| (!row.is_bad(), row.quarantined, urgency(row.outcome)));
        worst.unwrap_or(&self.rows[0])
    }

    /// How much it matters that it is on the page, 0 the most: a failure that counts, one in quarantine, a flaky one, a good one.
    pub(super) fn weight(&self) -> u8 {
        match (self.rows.iter().any(|row| row.is_bad() && !row.quarantined), self.is_bad(), self.is_flaky()) {
            (true, ..) => 0,
            (false, true, _) => 1,
            (false, false, true) => 2,
            _ => 3,
        }
    }

    /// What this run adds to the history of a row; nothing if it was a rehearsal.
    pub(super) fn now(&self, row: &Row) -> Option<(Outcome, u64)> {
        (!self.simulated).then_some((row.outcome, row.duration_ms))
    }

    pub(super) fn is_bad(&self) -> bool {
        self.rows.iter().any(Row::is_bad)
    }

    pub(super) fn is_flaky(&self) -> bool {
        self.rows.iter().any(|row| row.outcome == Outcome::Flaky)
    }

    /// The longest that it took on a version.
    pub(super) fn duration_ms(&self) -> u64 {
        self.rows.iter().map(|row| row.duration_ms).max().unwrap_or(0)
    }

    /// The row whose health is worst, with it: the lowest score, else any that is known of.
    pub(super) fn health(&self) -> Option<(&'a Row, &'a Health)> {
        let known = self.rows.iter().filter_map(|row| Some((row, row.health.as_ref()?)));
        known.min_by_key(|(_, health)| (health.score.unwrap_or(u8::MAX), std::cmp::Reverse(health.past.len())))
    }

    /// Where its details are on the page; those of one of its rows.
    pub(super) fn anchor(&self) -> String {
        format!("x{}", self.number)
    }

    pub(super) fn anchor_of(&self, row: &Row) -> String {
        let place = self.rows.iter().position(|own| own.kubernetes == row.kubernetes).unwrap_or(0);
        format!("x{}-{}", self.number, place + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Run, sample};

    fn order(rows: Vec<Row>) -> Vec<String> {
        let report = Report::new(Run::default(), vec![], vec![], rows, &[]);
        examples(&report).iter().map(|example| example.name().to_owned()).collect()
    }

    #[test]
    fn failures_come_first_then_those_in_quarantine_and_names_are_in_natural_order() {
        let mut spared = sample::row("a/spared", Outcome::Failed);
        spared.quarantined = true;
        let rows = vec![
            sample::row("a/job-10", Outcome::Passed),
            sample::row("a/job-9", Outcome::Passed),
            sample::row("a/skipped", Outcome::Skipped),
            spared,
            sample::row("a/flaky", Outcome::Flaky),
            sample::row("a/errored", Outcome::Errored),
            sample::row("z/failed", Outcome::Failed),
        ];
        let shown = order(rows);
        assert_eq!(
            shown,
            ["z/failed", "a/errored", "a/spared", "a/flaky", "a/job-9", "a/job-10", "a/skipped"].map(str::to_owned)
        );
    }

    #[test]
    fn a_path_is_parted_before_its_last_name() {
        let parts = |name: &str| {
            let rows = [sample::row(name, Outcome::Passed)];
            let (folder, file) = Example { number: 1, rows: &rows, simulated: false }.parts();
            (folder.to_owned(), file.to_owned())
        };
        assert_eq!(parts("a/b/c.yaml"), ("a/b/".to_owned(), "c.yaml".to_owned()));
        assert_eq!(parts("a/kustomize/"), ("a/".to_owned(), "kustomize/".to_owned()));
        assert_eq!(parts("c.yaml"), (String::new(), "c.yaml".to_owned()));
    }
}
