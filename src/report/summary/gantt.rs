//! Where the time of a run went, as a Gantt chart of Mermaid, which GitHub draws: <https://mermaid.js.org/syntax/gantt.html>.

use std::cmp::Reverse;

use jiff::ToSpan as _;
use jiff::civil::date;

use super::parts;
use crate::model::Outcome;
use crate::report::Report;
use crate::report::timeline::{Bar, Lane, bars};

/// Most attempts at examples with a bar of their own, and most of what is done besides: builds, clusters, deployments.
const ATTEMPTS: usize = 40;
const STEPS: usize = 12;
/// Most sections: eight versions of three, or so. With the bars this stays far below the 50,000 characters that Mermaid draws.
const SECTIONS: usize = 25;
/// Most characters of a name: its end, by which examples differ.
const NAME: usize = 60;
/// How a chart begins, with room for the names of sections.
const HEAD: &str = r#"```mermaid
%%{init: {"gantt": {"leftPadding": 130}}}%%
gantt
    dateFormat YYYY-MM-DD HH:mm:ss.SSS
"#;
/// A day has so many milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// The chart in a block of its own, with a sentence if it does not show everything; empty if nothing is known to have taken time.
pub(super) fn chart(report: &Report) -> String {
    let bars = bars(report);
    let Some(last) = bars.iter().map(end).max() else { return String::new() };
    let is_shown = longest(&bars);
    // Mermaid reads times as the reader's own, and shows them so: a day of theirs that begins at midnight, then.
    let axis = if last < DAY { "%H:%M:%S" } else { "day %-j %H:%M" };
    let mut text = format!("{HEAD}    axisFormat {axis}\n    todayMarker off\n");
    let all: Vec<_> = bars.into_iter().zip(is_shown).collect();
    let sections = all.chunk_by(|(a, _), (b, _)| a.lane == b.lane);
    for section in sections.take(SECTIONS) {
        text.push_str(&format!("    section {}\n", plain(&section[0].0.lane.to_string())));
        let (shown, others): (Vec<_>, Vec<_>) = section.iter().partition(|(_, is_shown)| *is_shown);
        for (bar, _) in shown {
            let sign = bar.outcome.map_or("▪", |outcome| parts::sign(outcome, report));
            let tag = tag(bar.outcome, report.run.simulated);
            text.push_str(&line(&format!("{sign} {}", plain(&bar.label)), tag, bar.start_ms, end(bar)));
        }
        let starts = others.iter().map(|(bar, _)| bar.start_ms).min();
        if let Some((start, end)) = starts.zip(others.iter().map(|(bar, _)| end(bar)).max()) {
            text.push_str(&line(&format!("... and {} more", others.len()), "", start, end));
        }
    }
    text.push_str("```");
    let attempts = all.iter().filter(|(bar, _)| matches!(bar.lane, Lane::Examples(_))).count();
    if attempts > ATTEMPTS {
        text.push_str(&format!("\n\nThe {ATTEMPTS} longest of {attempts} attempts have a bar of their own."));
    }
    text
}

fn end(bar: &Bar) -> u64 {
    bar.start_ms.saturating_add(bar.length_ms)
}

/// Which bars are long enough to be shown.
fn longest(bars: &[Bar]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..bars.len()).collect();
    order.sort_by_key(|index| (Reverse(bars[*index].length_ms), *index));
    let (mut attempts, mut steps) = (ATTEMPTS, STEPS);
    let mut is_shown = vec![false; bars.len()];
    for index in order {
        let left = if matches!(bars[index].lane, Lane::Examples(_)) { &mut attempts } else { &mut steps };
        is_shown[index] = *left > 0;
        *left = left.saturating_sub(1);
    }
    is_shown
}

/// What Mermaid has a colour for. Nothing is done where no cluster was.
fn tag(outcome: Option<Outcome>, simulated: bool) -> &'static str {
    match outcome {
        Some(Outcome::Failed | Outcome::TimedOut | Outcome::Errored) => "crit, ",
        Some(Outcome::Flaky) => "active, ",
        Some(Outcome::Passed) if !simulated => "done, ",
        Some(Outcome::Passed | Outcome::Skipped) | None => "",
    }
}

/// A name with nothing in it that means something to Mermaid, to HTML or to the block that it stands in: letters, digits and the few
/// signs that paths are made of.
fn plain(name: &str) -> String {
    let count = name.chars().count();
    let end = name.chars().skip(count.saturating_sub(NAME));
    let end = end.map(|c| if c.is_alphanumeric() || " /._-+()".contains(c) { c } else { '_' });
    if count > NAME { ['…'].into_iter().chain(end).collect() } else { end.collect() }
}

/// A bar. Its name begins with a sign, and so with no keyword.
fn line(name: &str, tag: &str, start: u64, end: u64) -> String {
    let length = end.saturating_sub(start).max(1);
    format!("    {name} :{tag}{}, {length}ms\n", moment(start))
}

fn moment(ms: u64) -> String {
    let zero = date(2000, 1, 1).at(0, 0, 0, 0);
    let at = i64::try_from(ms).ok().and_then(|ms| zero.checked_add(ms.milliseconds()).ok()).unwrap_or(zero);
    at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Cluster, Image, Row, Run, sample};
    use insta::assert_snapshot;
    use serde_json::json;

    const ZERO: &str = "2026-11-23T20:00:00Z";

    fn attempt(example: &str, kubernetes: &str, second: usize, outcome: Outcome) -> Row {
        let mut row = sample::slow(example, kubernetes);
        row.attempts.truncate(1);
        row.attempts[0].started_at = format!("2026-11-23T20:{:02}:{:02}Z", second / 60, second % 60);
        (row.attempts[0].outcome, row.duration_ms) = (outcome, 1_000 + second as u64);
        row
    }

    fn report(rows: Vec<Row>) -> Report {
        let cluster = Cluster {
            started_at: "2026-11-23T20:00:01Z".to_owned(),
            operator_started_at: "2026-11-23T20:00:41Z".to_owned(),
            phases: json!({"createMs": 40_000, "operatorMs": 9_500}).as_object().cloned().unwrap(),
            ..sample::report().clusters.remove(0)
        };
        let image = Image { started_at: ZERO.to_owned(), build_ms: 12_000, ..sample::report().images.remove(0) };
        Report::new(Run { started_at: ZERO.to_owned(), ..Run::default() }, vec![cluster], vec![image], rows, &[])
    }

    #[test]
    fn what_took_time_has_a_bar_by_lane() {
        let rows = vec![
            attempt("a.yaml", "v1.34.0", 60, Outcome::Passed),
            attempt("b.yaml", "v1.34.0", 61, Outcome::TimedOut),
            attempt("c.yaml", "v1.34.0", 62, Outcome::Flaky),
        ];
        assert_snapshot!(chart(&report(rows)), @r#"
        ```mermaid
        %%{init: {"gantt": {"leftPadding": 130}}}%%
        gantt
            dateFormat YYYY-MM-DD HH:mm:ss.SSS
            axisFormat %H:%M:%S
            todayMarker off
            section Build
            ▪ example/mnist :2000-01-01 00:00:00.000, 12000ms
            section Cluster v1.34.0
            ▪ create :2000-01-01 00:00:01.000, 40000ms
            section Operator v1.34.0
            ▪ deploy :2000-01-01 00:00:41.000, 9500ms
            section Examples v1.34.0
            ✅ a.yaml :done, 2000-01-01 00:01:00.000, 1060ms
            ⏰ b.yaml :crit, 2000-01-01 00:01:01.000, 1061ms
            🔁 c.yaml :active, 2000-01-01 00:01:02.000, 1062ms
        ```
        "#);
        assert_eq!(
            chart(&Report::new(Run::default(), vec![], vec![], vec![sample::row("a", Outcome::Passed)], &[])),
            ""
        );
    }

    #[test]
    fn nothing_is_done_in_a_simulated_run() {
        let rows = [Outcome::Passed, Outcome::Failed].map(|outcome| attempt("a.yaml", "v1.34.0", 60, outcome));
        let mut report = report(rows.to_vec());
        report.run.simulated = true;
        let text = chart(&report);
        assert!(text.contains("    🧪 a.yaml :2000-") && text.contains("    ❌ a.yaml :crit, 2000-"), "{text}");
        assert!(!text.contains("done") && !text.contains('✅'), "{text}");
    }

    #[test]
    fn nothing_in_a_name_means_anything() {
        let hostile = "a:b;c#35;d\"e\nf`g```\n%%{init: {}}%%<script>@team,\u{202e}é/中";
        let row = attempt(hostile, "v1:2;<b>\nclick x", 60, Outcome::Failed);
        let text = chart(&report(vec![row]));
        assert!(text.contains("    section Examples v1_2__b__click x\n"), "{text}");
        assert!(text.contains("    ❌ a_b_c_35_d_e_f_g_______init_ ______script__team__é/中 :crit, 2000-"), "{text}");
        let long = chart(&report(vec![attempt(&"long/".repeat(100), "v1.34.0", 60, Outcome::Failed)]));
        assert!(long.lines().all(|line| line.chars().count() < 120), "{long}");
    }

    #[test]
    fn a_thousand_examples_are_the_longest_and_the_others() {
        let rows = (0..1_000).flat_map(|index| {
            ["v1.31.0", "v1.32.0", "v1.33.0", "v1.34.0"]
                .map(|version| attempt(&format!("{index:04}.yaml"), version, index, Outcome::Passed))
        });
        let text = chart(&report(rows.collect()));
        assert!(text.len() < 10_000, "{}", text.len());
        assert_eq!(text.matches(".yaml :done").count(), ATTEMPTS);
        assert!(text.contains("    ... and 990 more :2000-01-01 00:00:00.000, 990989ms\n"), "{text}");
        assert!(text.ends_with("```\n\nThe 40 longest of 4000 attempts have a bar of their own."));
    }

    #[test]
    fn days_are_counted_and_no_number_of_versions_is_too_many() {
        let mut long = attempt("a.yaml", "v1.34.0", 1, Outcome::Passed);
        long.duration_ms = u64::MAX;
        let text = chart(&report(vec![long]));
        assert!(text.contains("axisFormat day %-j %H:%M\n") && text.contains("000, 3024000000ms\n"), "{text}");
        let many = (0..3_000).map(|index| attempt("a.yaml", &format!("v1.{index}.0"), 1, Outcome::Passed));
        assert!(chart(&report(many.collect())).len() < 10_000);
    }
}
