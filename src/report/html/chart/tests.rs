//! Charts of figures that make sense, and of figures that do not.

use proptest::prelude::*;

use super::curve::{Use, curve};
use super::gantt::{gantt, ticks};
use super::{phases, ring, spark};
use crate::model::Outcome;
use crate::report::timeline::{Bar, Lane};
use crate::report::{Attempt, Past};

fn past(outcome: Outcome, duration_ms: u64) -> Past {
    Past { at: "2026-11-28T06:12:00Z".to_owned(), commit: "c0ffee".to_owned(), outcome, duration_ms }
}

fn bar(lane: Lane, label: &str, start_ms: u64, length_ms: u64) -> Bar {
    Bar { lane, label: label.to_owned(), start_ms, length_ms, outcome: Some(Outcome::Failed) }
}

/// All numbers of coordinates in a drawing.
fn numbers(svg: &str) -> Vec<f64> {
    let attributes = regex::Regex::new(r#" (?:x|y|width|height|d|cx|cy|x1|x2)="([^"]*)""#).unwrap();
    let number = regex::Regex::new(r"-?[0-9.]+").unwrap();
    let texts = attributes.captures_iter(svg).map(|found| found[1].to_owned()).collect::<Vec<_>>();
    texts
        .iter()
        .flat_map(|text| number.find_iter(text).map(|one| one.as_str().parse().unwrap()).collect::<Vec<_>>())
        .collect()
}

#[test]
fn a_history_tells_outcomes_by_height_and_in_words() {
    let runs = [past(Outcome::Passed, 1), past(Outcome::Flaky, 1)];
    let svg = spark::small(&runs, Some(Outcome::Failed)).to_string();
    assert!(svg.contains(r#"aria-label="the last 3 runs: 1 passed, 1 failed, 1 flaky""#), "{svg}");
    assert!(
        svg.contains(r#"<path class="p" d="M2 14v-6"/>"#) && svg.contains(r#"<path class="f" d="M10 14v-14"/>"#),
        "{svg}"
    );
    assert!(spark::small(&[], None).is_empty());
}

#[test]
fn a_curve_shows_its_request_and_a_limit_that_is_near() {
    let drawn = |limit| {
        let amounts = [50, 100, 80];
        curve(Use { at_ms: &[0, 500, 1_000], amounts: &amounts, request: 200, limit }, "CPU").to_string()
    };
    let near = drawn(400);
    assert!(near.contains(r#"class="request""#) && near.contains(r#"class="limit""#), "{near}");
    let far = drawn(4_000);
    assert!(far.contains(r#"class="request""#) && !far.contains(r#"class="limit""#), "{far}");
    assert!(curve(Use { at_ms: &[1], amounts: &[1], request: 0, limit: 0 }, "CPU").is_empty());
}

#[test]
fn phases_follow_each_other_and_what_is_not_known_ends_with_the_attempt() {
    let attempt = |phases: serde_json::Value| Attempt {
        outcome: Outcome::Passed,
        namespace: String::new(),
        started_at: String::new(),
        phases: phases.as_object().cloned().unwrap(),
    };
    let whole = attempt(serde_json::json!({"applyMs": 100, "scheduledMs": 200, "runningMs": 500, "finishedMs": 1_000}));
    assert_eq!(phases::length(&whole), 1_000);
    let svg = phases::phases(&whole, None, 1_000).to_string();
    assert!(
        svg.contains(r#"aria-label="applied 100 ms, waited for a node 100 ms, started 300 ms, ran 500 ms""#),
        "{svg}"
    );
    assert!(svg.contains(r#"<rect class="run" x="50%" width="50%""#), "{svg}");
    let stuck = phases::phases(&attempt(serde_json::json!({"applyMs": 100})), Some(900), 1_000).to_string();
    assert!(stuck.contains("waited for a node 800 ms"), "{stuck}");
    let never = |seen: serde_json::Value| phases::phases(&attempt(seen), None, 1_000).to_string();
    let unscheduled = never(serde_json::json!({"applyMs": 100, "finishedMs": 1_000}));
    assert!(unscheduled.contains(r#"aria-label="applied 100 ms, waited for a node 900 ms""#), "{unscheduled}");
    let unstarted = never(serde_json::json!({"applyMs": 100, "scheduledMs": 200, "finishedMs": 1_000}));
    assert!(unstarted.contains("waited for a node 100 ms, started 800 ms"), "{unstarted}");
}

#[test]
fn what_ran_at_once_is_drawn_above_each_other_on_one_scale() {
    let lane = || Lane::Examples("v1.34.0".to_owned());
    let bars = [
        bar(Lane::Build, "image", 0, 500),
        bar(lane(), "a", 500, 400),
        bar(lane(), "b", 600, 400),
        bar(lane(), "c", 950, 50),
    ];
    let chart = gantt(&bars, 1_000);
    assert_eq!(chart.lanes.len(), 2);
    let svg = chart.lanes[1].chart.to_string();
    assert!(svg.contains(r#"aria-label="Examples v1.34.0: 3 attempts, 850 ms""#), "{svg}");
    let place = |title: &str| {
        let rect = svg.split("<rect").find(|rect| rect.contains(title)).unwrap();
        rect.split(" y=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    assert_eq!([place(">a:"), place(">b:"), place(">c:")], ["3", "12", "3"]);
}

#[test]
fn lanes_share_the_room_and_what_does_not_fit_is_counted() {
    let lane = |index: usize, count: u64| {
        let of = Lane::Examples(format!("v1.{index}.0"));
        (0..count).map(move |start| bar(of.clone(), &"'".repeat(500), start, start + 1))
    };
    let bars: Vec<_> = lane(0, 1).chain((1..=100).flat_map(|index| lane(index, 300))).collect();
    let chart = gantt(&bars, 1_000);
    let bytes: usize = chart.lanes.iter().map(|lane| lane.chart.len()).sum();
    assert!(bytes < 300_000, "{bytes}");
    assert_eq!((chart.lanes.len(), chart.left_out), (91, 10));
    let drawn = |place: usize| chart.lanes[place].chart.to_string().matches("<rect").count();
    assert!(drawn(0) == 1 && drawn(1) >= 3 && drawn(1) == drawn(90), "{} {}", drawn(1), drawn(90));
    let told = chart.lanes[1].told.to_string();
    assert!(told.ends_with(&format!("the {} shortest are not drawn", 300 - drawn(1))), "{told}");
    // Of few there are all, up to the most.
    let bars: Vec<_> = lane(1, 239).collect();
    assert_eq!(gantt(&bars, 1_000).lanes[0].chart.to_string().matches("<rect").count(), 239);
}

#[test]
fn the_axis_has_whole_units() {
    assert_eq!(ticks(2_031_000), (0..=6).map(|count| count * 300_000).collect::<Vec<_>>());
    assert_eq!(ticks(1), [0, 1]);
    for whole in [1, 9, 40, 999, 60_000, 86_400_000, 3_024_000_000] {
        let ticks = ticks(whole);
        assert!((2..=10).contains(&ticks.len()) && ticks.iter().all(|tick| *tick <= whole), "{whole}: {ticks:?}");
    }
}

#[test]
fn an_unknown_score_is_no_number() {
    assert!(ring::ring(None).to_string().contains(r#"aria-label="health unknown""#));
    let full = ring::ring(Some(200)).to_string();
    assert!(full.contains(r#"stroke-dasharray="100 100""#) && full.contains(">100</text>"), "{full}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_figures_leave_the_drawing(
        points in proptest::collection::vec((any::<u64>(), any::<u64>()), 0..50), request: u64, limit: u64, score: Option<u8>,
    ) {
        let (at_ms, amounts): (Vec<_>, Vec<_>) = points.iter().copied().unzip();
        let mut drawn = vec![curve(Use { at_ms: &at_ms, amounts: &amounts, request, limit }, "x").to_string(), ring::ring(score).to_string()];
        let runs: Vec<_> = points.iter().take(50).map(|(_, took)| past(Outcome::TimedOut, *took)).collect();
        drawn.push(spark::durations(&runs, Some((Outcome::Passed, limit))).to_string());
        let bars: Vec<_> = points.iter().map(|(start, length)| bar(Lane::Build, "x", start / 4, length / 4)).collect();
        drawn.extend(gantt(&bars, request / 4).lanes.iter().map(|lane| lane.chart.to_string()));
        for svg in drawn {
            prop_assert!(numbers(&svg).iter().all(|number| (-200.0..=1_300.0).contains(number)), "{}", svg);
        }
    }

    #[test]
    fn labels_are_text(label in "[<>\"'&a-z/]{1,20}") {
        let chart = gantt(&[bar(Lane::Cluster(label.clone()), &label, 0, 1)], 1);
        let svg = chart.lanes[0].chart.to_string();
        prop_assert_eq!(svg.matches('<').count(), gantt(&[bar(Lane::Cluster("x".to_owned()), "x", 0, 1)], 1).lanes[0].chart.to_string().matches('<').count());
    }
}
