use std::time::Duration;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::diagnostic::Severity;
use crate::model::ExampleId;
use crate::report::{FirstBad, Group, Resources, sample};

const VERSION: &str = "v1.34.0";
const MINUTE: u64 = 60_000;

fn now() -> Timestamp {
    "2026-11-23T20:00:00Z".parse().unwrap()
}

/// A record of so many hours ago.
fn record(hours: i64, commit: &str, outcome: Outcome) -> Record {
    let mut row = row(outcome);
    row.duration_ms = MINUTE;
    let run = Run { id: format!("run-{hours}"), commit: commit.to_owned(), ..Run::default() };
    Record::of(&row, &run, now() - SignedDuration::from_hours(hours))
}

fn row(outcome: Outcome) -> Row {
    let mut row = sample::row("examples/a.yaml", outcome);
    (row.kubernetes, row.tier, row.duration_ms) = (Some(VERSION.to_owned()), Tier::Full, MINUTE);
    row
}

fn history(outcomes: &[Outcome]) -> History {
    let count = i64::try_from(outcomes.len()).unwrap();
    History::new((0..).zip(outcomes).map(|(index, outcome)| record(count - index, &format!("c{index}"), *outcome)))
}

fn assessed(rows: Vec<Row>, history: &History) -> Report {
    let run =
        Run { id: "run-now".to_owned(), commit: "now".to_owned(), started_at: now().to_string(), ..Run::default() };
    let mut report = Report::new(run, vec![], vec![], rows, &[]);
    assess(&mut report, history, now());
    report
}

fn health_of(row: Row, history: &History) -> Health {
    assessed(vec![row], history).results.remove(0).health.unwrap()
}

use Outcome::{Errored, Failed, Flaky, Passed, Skipped, TimedOut};

#[test]
fn the_example_of_the_documentation_comes_to_what_it_says() {
    let mut row = row(Passed);
    row.resources = Some(Resources { cpu_efficiency: Some(0.2), memory_efficiency: Some(0.4), ..Resources::default() });
    let health = health_of(row, &history(&[Passed, Failed, Passed, Flaky]));
    let parts: Vec<_> = health.parts.iter().map(|part| (part.name.as_str(), part.points, part.of)).collect();
    assert_eq!(
        parts,
        [
            ("pass-rate", 45.24, 55.56),
            ("flake-rate", 9.56, 16.67),
            ("efficiency", 6.67, 11.11),
            ("freshness", 11.11, 11.11),
            ("pinning", 5.56, 5.56)
        ]
    );
    assert_eq!((health.score, health.pass_rate, health.flake_rate), (Some(78), Some(0.81), Some(0.21)));
    let document = include_str!("../../../docs/health.md");
    for (name, points) in PARTS {
        assert!(document.contains(&format!("| `{name}` | {points} |")), "{name}");
    }
    for (name, points, of) in parts {
        assert!(document.contains(&format!("| `{name}` | {points:.2} of {of:.2} |")), "{name}");
    }
    let whys: Vec<_> = health.parts.iter().map(|part| part.why.as_str()).collect();
    assert_eq!(
        whys,
        [
            "4 of 5 runs passed, 81 % by weight",
            "1 of 5 runs flaky, 21 % by weight",
            "uses 20 % of the CPU and 40 % of the memory that it requests",
            "taken to a cluster within the last day",
            "every image has a tag that stays"
        ]
    );
}

#[test]
fn all_points_together_are_a_hundred() {
    assert_eq!(PARTS.iter().map(|(_, points)| points).sum::<f64>().to_string(), "100");
}

#[test]
fn of_a_new_example_nothing_is_known() {
    let health = health_of(row(Passed), &history(&[Passed]));
    assert_eq!((health.score, health.trend.as_str(), health.parts.len()), (None, "unknown", 0));
    assert_eq!(health_of(row(Passed), &history(&[Passed, Passed])).score, Some(100));
    let other = ExampleId::new("examples/b.yaml");
    let report = assessed(vec![Row { example: other, ..row(Passed) }], &history(&[Passed; 9]));
    let overall = report.health.unwrap();
    assert_eq!((overall.score, overall.scored, overall.unknown), (None, 0, 1));
}

#[test]
fn without_a_history_nothing_is_said() {
    let report = assessed(vec![row(Passed)], &History::default());
    assert_eq!((report.health, report.results[0].health.clone()), (None, None));
}

#[test]
fn fifty_runs_have_the_right_first_bad_commit() {
    let mut outcomes = [Passed; 50];
    (outcomes[3], outcomes[20], outcomes[30], outcomes[31]) = (Failed, TimedOut, Errored, Skipped);
    outcomes[41] = Flaky;
    outcomes[42..].fill(Failed);
    (outcomes[44], outcomes[46], outcomes[47]) = (Errored, Skipped, TimedOut);
    let health = health_of(row(Failed), &history(&outcomes));
    let first = FirstBad {
        commit: "c42".to_owned(),
        at: "2026-11-23T12:00:00Z".to_owned(),
        last_good: "c41".to_owned(),
        runs: 7,
    };
    assert_eq!(health.first_bad, Some(first.clone()));
    assert_eq!(health.trend, "declining");
    // What could not be judged now is still known to be broken.
    assert_eq!(health_of(row(Errored), &history(&outcomes)).first_bad, Some(FirstBad { runs: 6, ..first }));
    assert_eq!(health_of(row(Flaky), &history(&outcomes)).first_bad, None);
}

#[test]
fn what_never_passed_has_no_first_bad_commit_and_what_broke_now_has_this_one() {
    assert_eq!(health_of(row(Failed), &history(&[Failed; 9])).first_bad, None);
    let first = health_of(row(Failed), &history(&[Failed, Passed])).first_bad.unwrap();
    assert_eq!((first.commit.as_str(), first.last_good.as_str(), first.runs), ("now", "c1", 1));
}

#[test]
fn the_trend_compares_the_halves_and_lets_chance_be() {
    let trend = |outcomes: &[Outcome], now| health_of(row(now), &history(outcomes)).trend;
    assert_eq!(trend(&[Failed, Failed, Passed, Passed], Passed), "unknown");
    assert_eq!(trend(&[Failed, Failed, Passed, Passed, Passed], Passed), "improving");
    assert_eq!(trend(&[Passed, Passed, Passed, Passed, Failed], Failed), "declining");
    let mut one = [Passed; 19];
    one[15] = Failed;
    assert_eq!(trend(&one, Passed), "steady");
    one[16] = Failed;
    assert_eq!(trend(&one, Passed), "declining");
    assert_eq!(trend(&[[Failed; 20], [Passed; 20]].concat(), Passed), "steady", "what is long ago is no trend");
}

#[test]
fn a_duration_is_held_against_its_own_median() {
    let slow = |ms: u64, attempts: usize, outcome| {
        let mut row = row(outcome);
        row.duration_ms = ms;
        row.attempts = vec![sample::slow("a", VERSION).attempts.remove(0); attempts];
        health_of(row, &history(&[Passed, Failed, Passed, Passed, Passed, Passed]))
    };
    let points =
        |health: &Health| health.parts.iter().find(|part| part.name == "duration").map(|part| part.points / part.of);
    assert_eq!((slow(2 * MINUTE, 1, Passed).slowdown, points(&slow(2 * MINUTE, 1, Passed))), (Some(2.0), Some(0.0)));
    assert_eq!(points(&slow(75_000, 1, Passed)), Some(1.0));
    // What failed says nothing of how fast it is, but how long it took is told; its newest pass counts, with too few before it.
    assert_eq!((slow(9 * MINUTE, 3, TimedOut).slowdown, points(&slow(MINUTE, 1, Failed))), (Some(3.0), None));
    assert_eq!(slow(9 * MINUTE, 1, Errored).slowdown, None);
    assert_eq!(health_of(row(Passed), &history(&[Passed; 4])).slowdown, None, "too few");
}

#[test]
fn a_second_more_or_less_is_the_machines() {
    let records = (1..9).map(|hours| Record { duration_ms: 100, ..record(hours, "c", Passed) });
    let mut row = row(Passed);
    row.duration_ms = 900;
    let health = health_of(row, &History::new(records));
    assert_eq!((health.score, health.slowdown), (Some(100), Some(9.0)));
}

#[test]
fn a_simulated_run_is_not_counted_and_a_static_one_has_a_history_of_its_own() {
    let history = history(&[Passed; 5]);
    let run = Run { simulated: true, ..Run::default() };
    let mut report = Report::new(run, vec![], vec![], vec![row(Failed)], &[]);
    assess(&mut report, &history, now());
    let health = report.results[0].health.as_ref().unwrap();
    assert_eq!(
        (health.score, health.pass_rate, health.slowdown, &health.first_bad),
        (Some(100), Some(1.0), None, &None)
    );
    let statically = Row { kubernetes: None, tier: Tier::Basic, ..row(Failed) };
    assert_eq!(health_of(statically, &history).score, None);
}

#[test]
fn what_was_not_tried_lately_is_stale() {
    let stale = |days: i64, tier| {
        let old = (0..5).map(|index| Record { tier, ..record(days * 24 + index, "c", Passed) });
        let row = Row { tier, ..row(Skipped) };
        let health = health_of(row, &History::new(old));
        let part = health.parts.into_iter().find(|part| part.name == "freshness").unwrap();
        (score::rounded(part.points / part.of), part.why)
    };
    assert_eq!(stale(0, Tier::Full), (1.0, "taken to a cluster within the last day".to_owned()));
    assert_eq!(stale(1, Tier::Full), (1.0, "last taken to a cluster 1 day ago".to_owned()));
    assert_eq!(stale(30, Tier::Full), (0.0, "last taken to a cluster 30 days ago".to_owned()));
    assert_eq!(stale(37, Tier::Periodic), (0.5, "last taken to a cluster 37 days ago".to_owned()));
}

#[test]
fn a_static_row_is_as_fresh_as_its_example_is_on_any_version() {
    let statically = Row { kubernetes: None, tier: Tier::Basic, ..row(Passed) };
    let basic = (1..4).map(|hours| Record { kubernetes: None, tier: Tier::Basic, ..record(hours, "c", Passed) });
    let freshness = |records: Vec<Record>| {
        let parts = health_of(statically.clone(), &History::new(records)).parts;
        parts.into_iter().find(|part| part.name == "freshness").map(|part| part.points)
    };
    assert_eq!(freshness(basic.clone().collect()), None);
    assert_eq!(freshness(basic.chain([record(24 * 90, "c", Passed)]).collect()), Some(0.0));
}

#[test]
fn what_its_own_manifest_settled_was_on_no_cluster() {
    let settled = |mut row: Row| {
        row.cause = Some(crate::model::Cause::new(CauseClass::Manifest, "EV201", ""));
        row
    };
    let records = (0..5).map(|index| Record {
        class: (index < 4).then_some(CauseClass::Manifest),
        ..record(24 * 10 + index, "c", if index < 4 { Failed } else { Passed })
    });
    let health = health_of(settled(row(Failed)), &History::new(records));
    let part = health.parts.into_iter().find(|part| part.name == "freshness").unwrap();
    assert_eq!(part.why, "last taken to a cluster 10 days ago");
}

#[test]
fn what_was_taken_off_clusters_is_as_healthy_as_its_static_checks() {
    let basic = Row { kubernetes: None, tier: Tier::Basic, ..row(Passed) };
    let of_report = |days: i64| {
        let broken = (0..9).map(|index| record(24 * days - index, "c", Failed));
        let checks = (1..9).map(|hours| Record { kubernetes: None, tier: Tier::Basic, ..record(hours, "c", Passed) });
        assessed(vec![basic.clone()], &History::new(broken.chain(checks))).health.unwrap().score
    };
    assert!(of_report(59).is_some_and(|score| score < 50), "{:?}", of_report(59));
    // How long ago it was on one is told still.
    assert_eq!(of_report(61), Some(89));
}

#[test]
fn loose_images_cost_their_points() {
    let mut row = row(Passed);
    row.diagnostics = vec![sample::finding("EV302", Severity::Warning, "a.yaml", 1, "image `x` has no tag")];
    let health = health_of(row, &history(&[Passed; 5]));
    assert_eq!(health.score, Some(94));
    assert_eq!(health.parts.last().map(|part| part.why.as_str()), Some("1 image without a tag that stays"));
}

#[test]
fn the_records_of_this_run_are_no_past_of_it() {
    let run = Run { id: "run-now".to_owned(), commit: "now".to_owned(), ..Run::default() };
    let first_try = Record::of(&row(Failed), &run, now());
    let records = history(&[Passed; 3]).of(&row(Passed).example).to_vec();
    let health = health_of(row(Passed), &History::new(records.into_iter().chain([first_try])));
    assert_eq!((health.pass_rate, health.past.len()), (Some(1.0), 3));
}

#[test]
fn the_past_is_the_newest_of_what_was_tried() {
    let mut outcomes = [Passed; 60];
    (outcomes[58], outcomes[59]) = (Errored, Skipped);
    let past = health_of(row(Failed), &history(&outcomes)).past;
    assert_eq!(past.len(), PAST);
    let ends = [&past[0], &past[PAST - 1]].map(|past| (past.commit.as_str(), past.outcome));
    assert_eq!(ends, [("c9", Passed), ("c58", Errored)]);
}

#[test]
fn an_example_is_as_healthy_as_on_its_worst_version_and_a_repository_as_its_examples_are() {
    let of = |example: &str, version: &str, framework: Option<&str>, outcome| Row {
        example: ExampleId::new(example),
        kubernetes: Some(version.into()),
        framework: framework.map(str::to_owned),
        ..row(outcome)
    };
    let rows = vec![
        of("a", "v1.33.4", Some("job"), Passed),
        of("a", VERSION, Some("job"), Failed),
        of("b", VERSION, Some("pytorchjob"), Passed),
        of("c", VERSION, None, Passed),
        of("new", VERSION, Some("job"), Passed),
        Row { quarantined: true, ..of("q", VERSION, Some("job"), Failed) },
        Row { support: true, ..of("s", VERSION, None, Passed) },
    ];
    let known = rows.iter().filter(|row| row.example.as_str() != "new");
    let records = known.flat_map(|row| {
        (1..9).map(|hours| Record {
            example: row.example.clone(),
            kubernetes: row.kubernetes.as_deref().map(Into::into),
            ..record(hours, "c", row.outcome)
        })
    });
    let report = assessed(rows.clone(), &History::new(records));
    let overall = report.health.unwrap();
    let bad = report.results[1].health.as_ref().unwrap().score;
    assert!(bad.is_some_and(|score| score < 50), "{bad:?}");
    assert_eq!(overall.score, Some(u8::try_from((u32::from(bad.unwrap()) + 201) / 3).unwrap()));
    assert_eq!((overall.scored, overall.unknown, overall.trend.as_str()), (3, 1, "steady"));
    let group = |name: &str, score, examples| Group { name: name.to_owned(), score, examples };
    assert_eq!(overall.frameworks, [group("job", bad, 2), group("pytorchjob", Some(100), 1)]);
    assert!(report.results.iter().all(|row| row.health.is_some()), "what is quarantined has its health, too");
}

#[test]
fn a_repository_is_as_healthy_as_its_examples_whatever_a_run_selects() {
    let of = |example: &str, version: Option<&str>, outcome| Row {
        example: ExampleId::new(example),
        kubernetes: version.map(Into::into),
        ..row(outcome)
    };
    let records = |example: &str, version: Option<&str>, outcome, since: i64| {
        let row = of(example, version, outcome);
        let run = |hours: i64| Run { id: format!("run-{hours}"), commit: "c".to_owned(), ..Run::default() };
        (since..since + 9)
            .map(|hours| Record::of(&row, &run(hours), now() - SignedDuration::from_hours(hours)))
            .collect::<Vec<_>>()
    };
    let old = "v1.30.0";
    let history = History::new(
        [
            records("a", Some(VERSION), Failed, 1),
            records("a", None, Passed, 1),
            records("b", Some(VERSION), Passed, 1),
            records("b", Some("v1.33.4"), Failed, 1),
            records("b", Some(old), Failed, 100),
            records("busy", Some(VERSION), Passed, 1),
            records("busy", Some(VERSION), Passed, 10),
            records("busy", Some(VERSION), Passed, 19),
            records("checked", None, Passed, 1),
            records("gone", Some(VERSION), Failed, 1),
        ]
        .concat(),
    );
    // A push tries b on one version, and checks the others statically.
    let rows = ["a", "busy", "checked"].map(|example| Row { tier: Tier::Basic, ..of(example, None, Passed) });
    let rows: Vec<_> = rows.into_iter().chain([of("b", Some(VERSION), Passed)]).collect();
    let of_push = assessed(rows.clone(), &history).health.unwrap();
    // A night tries everything everywhere.
    let nightly = vec![
        of("a", Some(VERSION), Skipped),
        of("b", Some(VERSION), Passed),
        of("b", Some("v1.33.4"), Skipped),
        of("busy", Some(VERSION), Skipped),
        of("checked", None, Passed),
    ];
    let of_night = assessed(nightly, &history).health.unwrap();
    assert_eq!(of_push, of_night);
    assert_eq!((of_push.scored, of_push.unknown), (4, 0));
    assert!(of_push.score.unwrap() < 80, "{of_push:?}");

    // Those that were not asked for are not gone.
    let run = Run { id: "run-now".to_owned(), started_at: now().to_string(), ..Run::default() };
    let mut part = Report::new(run, vec![], vec![], rows[..1].to_vec(), &[]);
    assess_within(Scope::Part, &mut part, &history, now());
    assert_eq!(part.health.map(|health| health.scored), Some(5));
}

fn some_records() -> impl Strategy<Value = Vec<Record>> {
    let outcome = prop::sample::select(Outcome::ALL);
    let efficiency = prop::option::of(prop::num::f64::ANY);
    let one = (outcome, any::<u64>(), 0..100_000_i64, efficiency, prop::option::weighted(0.9, Just(VERSION)));
    let record = |(outcome, duration_ms, hours, cpu_efficiency, version): (_, _, _, _, Option<&str>)| Record {
        duration_ms,
        cpu_efficiency,
        kubernetes: version.map(Into::into),
        ..record(hours, "c", outcome)
    };
    prop::collection::vec(one.prop_map(record), 0..60)
}

proptest! {
    #[test]
    fn whatever_happened_a_score_is_the_sum_of_its_parts(
        records in some_records(), outcome in prop::sample::select(Outcome::ALL), duration in any::<u64>(),
    ) {
        let mut row = row(outcome);
        row.duration_ms = duration;
        let report = assessed(vec![row], &History::new(records.clone()));
        let Some(health) = report.results[0].health.as_ref() else {
            prop_assert!(records.is_empty());
            return Ok(());
        };
        let (points, of): (Vec<_>, Vec<_>) = health.parts.iter().map(|part| (part.points, part.of)).unzip();
        prop_assert!(points.iter().zip(&of).all(|(points, of)| (0.0..=*of).contains(points)));
        let sum: f64 = points.iter().sum();
        prop_assert_eq!(health.score.is_some(), !points.is_empty());
        if let Some(score) = health.score {
            prop_assert!(score <= 100 && (f64::from(score) - sum).abs() <= 0.55, "{} {}", score, sum);
            prop_assert!((of.iter().sum::<f64>() - 100.0).abs() < 0.05);
        }
        for rate in [health.pass_rate, health.flake_rate].into_iter().flatten() {
            prop_assert!((0.0..=1.0).contains(&rate));
        }
        prop_assert!(health.past.len() <= PAST);
        let json = serde_json::to_string(&report).unwrap();
        prop_assert!(crate::report::json::parse(&json).is_ok(), "it is read again");
    }

    #[test]
    fn a_failure_less_never_costs_points(
        outcomes in prop::collection::vec(prop::sample::select(Outcome::ALL), 1..80),
        at in any::<prop::sample::Index>(),
        better in prop::sample::select(&[Passed, Flaky]),
        now in prop::sample::select(Outcome::ALL),
    ) {
        let mut improved = outcomes.clone();
        let at = at.index(outcomes.len());
        prop_assume!(matches!(outcomes[at], Failed | TimedOut));
        improved[at] = better;
        let score = |outcomes: &[Outcome]| health_of(row(now), &history(outcomes)).score;
        prop_assert!(score(&improved) >= score(&outcomes));
    }

    #[test]
    fn runs_that_say_nothing_change_nothing(
        outcomes in prop::collection::vec(prop::sample::select(Outcome::ALL), 2..60),
        silent in prop::collection::vec((0..90_u64, prop::sample::select(&[Errored, Skipped])), 0..20),
        now in prop::sample::select(Outcome::ALL),
    ) {
        let told = history(&outcomes);
        let example = row(now).example;
        let others = silent.iter().map(|(hours, outcome)| Record {
            cpu_efficiency: Some(0.01),
            duration_ms: 1,
            at: super::tests::now() - Duration::from_secs(hours * 3_600),
            run: format!("silent-{hours}").into(),
            ..record(1, "silent", *outcome)
        });
        let all = History::new(told.of(&example).iter().cloned().chain(others));
        let [told, all] = [told, all].map(|history| Health { past: vec![], ..health_of(row(now), &history) });
        prop_assert_eq!(told, all);
    }
}
