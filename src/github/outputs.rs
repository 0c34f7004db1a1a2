//! The outputs of the action's step.
//!
//! Protocol: <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#multiline-strings>.

use std::io::{self, Write};
use std::path::Path;

use crate::model::Conclusion;
use crate::report::{Report, Row};

/// An output's name and value.
pub type Output = (&'static str, String);

/// What a report comes to, as outputs. What is not known (a health score without a history) is empty.
#[must_use]
pub fn of_report(report: &Report) -> Vec<Output> {
    let summary = &report.summary;
    let count = |name, count: u64| (name, count.to_string());
    let keys: Vec<_> = report.images.iter().filter(|image| image.cache != "off").collect();
    vec![
        ("conclusion", conclusion(summary.conclusion)),
        count("passed", summary.passed),
        count("failed", summary.failed),
        count("timed-out", summary.timed_out),
        count("flaky", summary.flaky),
        count("skipped", summary.skipped),
        count("errored", summary.errored),
        ("cache-hit", (!keys.is_empty() && keys.iter().all(|image| image.cache == "hit")).to_string()),
        ("cache-keys", keys.iter().map(|image| image.cache_key.as_str()).collect::<Vec<_>>().join("\n")),
        ("health-score", health(&report.results).map(|score| score.to_string()).unwrap_or_default()),
    ]
}

fn conclusion(conclusion: Conclusion) -> String {
    conclusion.as_str().to_owned()
}

/// The mean of the scores that are known, from 0 to 100.
fn health(rows: &[Row]) -> Option<u64> {
    let score = |row: &Row| row.health.as_ref()?.score.map(u64::from);
    let known: Vec<_> = rows.iter().filter_map(score).collect();
    let count = u64::try_from(known.len()).ok().filter(|count| *count > 0)?;
    Some((known.iter().sum::<u64>() + count / 2) / count)
}

/// Appends outputs to the file that the runner reads them from (`GITHUB_OUTPUT`).
///
/// # Errors
/// The file can't be written.
pub fn append(file: &Path, outputs: &[Output]) -> io::Result<()> {
    let text: String = outputs.iter().map(|(name, value)| assignment(name, value, rand::random())).collect();
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(text.as_bytes())
}

/// One output, between two lines that its value does not hold.
fn assignment(name: &str, value: &str, mut random: u128) -> String {
    let mut delimiter = format!("ev_{random:032x}");
    while value.contains(&delimiter) {
        random = random.wrapping_add(1);
        delimiter = format!("ev_{random:032x}");
    }
    format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;
    use crate::report::{Image, Run, sample};
    use proptest::prelude::*;

    /// What the runner reads, as its `FileCommandManager` does.
    fn read(text: &str) -> Vec<(String, String)> {
        let mut lines = text.lines();
        let mut found = Vec::new();
        while let Some((name, delimiter)) = lines.next().and_then(|line| line.split_once("<<")) {
            let value: Vec<_> = lines.by_ref().take_while(|line| *line != delimiter).collect();
            found.push((name.to_owned(), value.join("\n")));
        }
        found
    }

    fn image(cache: &str) -> Image {
        Image {
            name: "a".to_owned(),
            digest: String::new(),
            cache_key: format!("key-{cache}"),
            cache: cache.to_owned(),
            started_at: String::new(),
            build_ms: 0,
        }
    }

    fn output(report: &Report, name: &str) -> String {
        of_report(report).into_iter().find(|(found, _)| *found == name).map(|(_, value)| value).unwrap()
    }

    #[test]
    fn the_outputs_of_a_report_count_its_rows() {
        let rows = vec![sample::broken("a.yaml"), sample::row("b.yaml", Outcome::Passed)];
        let report = Report::new(Run::default(), vec![], vec![image("hit")], rows, &[Outcome::Failed]);
        let shown: Vec<_> = of_report(&report).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            shown,
            [
                "conclusion=failure",
                "passed=1",
                "failed=1",
                "timed-out=0",
                "flaky=0",
                "skipped=0",
                "errored=0",
                "cache-hit=true",
                "cache-keys=key-hit",
                "health-score="
            ]
        );
    }

    #[test]
    fn a_hit_is_one_of_every_image() {
        let report = |images| Report::new(Run::default(), vec![], images, vec![], &[]);
        assert_eq!(output(&report(vec![image("hit"), image("miss")]), "cache-hit"), "false");
        assert_eq!(output(&report(vec![image("hit"), image("miss")]), "cache-keys"), "key-hit\nkey-miss");
        assert_eq!(output(&report(vec![image("off")]), "cache-hit"), "false");
        assert_eq!(output(&report(vec![image("off")]), "cache-keys"), "");
    }

    #[test]
    fn the_health_score_is_the_mean_of_the_known_ones() {
        let scored = |score: Option<u8>| {
            let mut row = sample::row("a", Outcome::Passed);
            row.health = Some(crate::report::Health { score, ..crate::report::Health::default() });
            row
        };
        assert_eq!(health(&[scored(Some(92)), scored(None), scored(Some(81))]), Some(87));
        assert_eq!(health(&[scored(None)]), None);
    }

    #[test]
    fn outputs_are_appended_to_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("output");
        append(&file, &[("a", "1".to_owned())]).unwrap();
        append(&file, &[("b", "x\ny<<z".to_owned())]).unwrap();
        let found = read(&std::fs::read_to_string(file).unwrap());
        assert_eq!(found, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "x\ny<<z".to_owned())]);
    }

    proptest! {
        #[test]
        fn no_value_ends_itself(value in "(ev_0{31}[0-2]|b<<ev|[a-c\n])*", random in 0_u128..3) {
            let text = assignment("a", &value, random) + &assignment("b", "2", random);
            prop_assert_eq!(read(&text), [("a".to_owned(), value), ("b".to_owned(), "2".to_owned())]);
        }
    }
}
