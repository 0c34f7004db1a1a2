//! The page as text: its policy, what is told where space is short, and how it is written.

use super::*;
use crate::model::Outcome;
use crate::report::{LogTail, Row, Run, sample};

fn page(rows: Vec<Row>, limit: usize) -> String {
    let run = Run { repository: "o/r".to_owned(), ..Run::default() };
    let report = Report::new(run, vec![], vec![], rows, &[Outcome::TimedOut]);
    let about = About { server_url: "https://github.com".to_owned(), commit: "abc".to_owned(), ..About::default() };
    render_within(&report, &Details::default(), &about, limit).unwrap()
}

fn bad(index: usize) -> Row {
    let mut row = sample::slow(&format!("examples/bad-{index:03}.yaml"), "v1.34.0");
    row.log = Some(LogTail { of: "Pod/x, container main".to_owned(), lines: vec!["boom".repeat(20); 20] });
    row
}

fn good(index: usize) -> Row {
    let mut row = sample::slow(&format!("examples/good-{index:03}.yaml"), "v1.34.0");
    (row.outcome, row.cause) = (Outcome::Passed, None);
    row
}

#[test]
fn neither_style_nor_script_ends_its_element() {
    for text in [STYLE, SCRIPT] {
        let text = text.to_lowercase();
        assert!(!text.contains("</") && !text.contains("<!--"), "{text}");
    }
}

#[test]
fn the_policy_names_what_is_in_the_page() {
    let text = page(vec![], LIMIT);
    let policy = policy();
    assert!(text.contains(&format!("content=\"{policy}\"")));
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    assert!(!text.contains(" style=\"") && !text.contains(" onclick="));
}

#[test]
fn a_failure_is_told_with_its_cause_place_log_and_command() {
    let text = page(vec![bad(1)], LIMIT);
    for part in [
        "<code>timeout/Timeout</code>",
        "not finished after 15m",
        "<b>Hint</b>raise `timeout`",
        "https://github.com/o/r/blob/abc/examples/bad-001.yaml#L1",
        "The last 20 lines of Pod/x, container main",
        "example-validator run --kubernetes v1.34.0 --examples examples/bad-001.yaml",
        "Timeline of 2 attempts",
        "no line matches",
    ] {
        assert!(text.contains(part), "{part}");
    }
}

#[test]
fn where_space_is_short_what_is_good_is_told_in_short_first_then_left_out_and_counted() {
    let rows = || (0..20).map(bad).chain((0..200).map(good)).collect::<Vec<_>>();
    let whole = page(rows(), LIMIT);
    assert!(!whole.contains("told in short"));
    let (logs, lines) =
        (|text: &str| text.matches("boom").count(), |text: &str| text.matches("<tr role=\"row\" class=").count());
    let mut before = (usize::MAX, usize::MAX);
    for limit in [whole.len() - 1, whole.len() / 2, 200_000, 120_000, 90_000] {
        let text = page(rows(), limit);
        assert!(text.len() <= limit, "{} of {limit}", text.len());
        assert!(text.contains("told in short") || text.contains("more are not on it"), "{limit}");
        assert!(logs(&text) <= before.0 && lines(&text) <= before.1);
        before = (logs(&text), lines(&text));
        let lost = text.matches("<tr role=\"row\" class=\"ok\"").count() < 200;
        assert_eq!(lost, text.contains("more are not on it"), "{limit}");
        assert!(!lost || logs(&text) == 0 || limit > 100_000);
    }
    let short = page(rows(), whole.len() - 1);
    assert_eq!((logs(&short), lines(&short)), (logs(&whole), lines(&whole)));
}

#[test]
fn a_static_run_has_one_column_and_a_simulated_one_says_so() {
    let text = page(vec![sample::broken("a.yaml"), sample::row("b.yaml", Outcome::Passed)], LIMIT);
    assert_eq!(text.matches("scope=\"col\" class=\"o\">").count(), 1);
    assert!(text.contains("error[EV105]: a.yaml:3:5: spec.x: unknown field (help: remove it)"));
    assert!(!text.contains("class=\"banner\""));
    let run = Run { simulated: true, ..Run::default() };
    let report = Report::new(run, vec![], vec![], vec![sample::row("b.yaml", Outcome::Passed)], &[]);
    let text = render(&report, &Details::default(), &About::default()).unwrap();
    assert!(text.contains("<body class=\"sim\">") && text.contains("<b>Simulated.</b>"));
    // Without a page nothing is linked.
    assert!(!text.contains("href=\"http"));
}
