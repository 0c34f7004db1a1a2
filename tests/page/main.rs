//! `report.html`: what others wrote stays text in it, it stays small, and a real browser shows it as it is meant.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod browser;
mod hostile;
#[path = "../github/node.rs"]
mod node;
mod sample;

use example_validator::report::comment::{About, RunPage};
use example_validator::report::html::{LIMIT, render};
use example_validator::report::{Details, Report};

fn about() -> About {
    About {
        server_url: "https://github.com".to_owned(),
        run: Some(RunPage { id: "4711".to_owned(), attempt: 1 }),
        arguments: vec!["--cluster".to_owned(), "kind".to_owned()],
        ..About::default()
    }
}

fn page(report: &Report) -> String {
    render(report, &Details::default(), &about()).unwrap()
}

#[test]
fn a_thousand_examples_on_four_versions_stay_below_the_limit_and_failures_are_told_in_full() {
    let text = page(&sample::crowd(1_000));
    assert!(text.len() <= LIMIT, "{}", text.len());
    assert_eq!(text.matches("<tr role=\"row\" class=\"bad\"").count(), 100);
    assert_eq!(
        text.matches("<tr role=\"row\" class=\"ok\"").count() + text.matches("<tr role=\"row\" class=\"warn\"").count(),
        900
    );
    assert_eq!(text.matches("<pre class=\"log\"").count(), 400);
    assert!(text.contains("examples are told in short to keep this page small"));
}

#[test]
fn a_small_report_is_told_in_full() {
    let text = page(&sample::kubeflow(false));
    assert!(!text.contains("told in short"));
    assert!(text.matches("<svg class=\"curve\"").count() > 200);
    assert!(text.contains(
        "https://github.com/kubeflow/training-operator/blob/8f3c1e0b7a52d94c6e1f0a3b5d7c9e8f01234567/examples/"
    ));
}

#[test]
fn texts_of_a_megabyte_are_cut() {
    let text = hostile::page(&"y".repeat(1 << 20));
    assert!(text.len() < 2_000_000, "{}", text.len());
}
