//! However much there is to tell, it fits, and no name is lost.

use proptest::prelude::*;

use super::*;

/// Whether a name is in a text: whole, or a folder and the rest of it.
fn is_named(text: &str, name: &str) -> bool {
    let code = |part: &str| Markdown::code(part).to_string();
    let parts = name.match_indices('/').map(|(at, _)| name.split_at(at + 1));
    let in_folder = |(folder, rest): (&str, &str)| {
        let heading = format!("{}: ", code(folder));
        text.lines().any(|line| line.split("; ").any(|part| part.contains(&heading) && part.contains(&code(rest))))
    };
    text.contains(&code(name)) || text.contains(&format!("`{name}:")) || parts.into_iter().any(in_folder)
}

/// The names in a text, whole or of a folder and a rest, where none holds a backtick.
fn all_named(text: &str) -> std::collections::BTreeSet<String> {
    let mut named = std::collections::BTreeSet::new();
    for part in text.lines().flat_map(|line| line.split("; ")) {
        let codes: Vec<_> = part.split('`').skip(1).step_by(2).collect();
        let folder = codes.iter().find(|code| code.ends_with('/')).copied().unwrap_or_default();
        for code in codes {
            let code = code.split_once(':').map_or(code, |(file, _)| file);
            named.extend([code.to_owned(), format!("{folder}{code}")]);
        }
    }
    named
}

fn failures(examples: usize, versions: usize, message: usize) -> Report {
    let rows = (0..examples).flat_map(|index| {
        (0..versions).map(move |version| {
            let name = format!("examples/pytorch/group-{:02}/train-job-{index:04}.yaml", index / 20);
            let row = cell(&name, &format!("v1.{}.0", 30 + version), Outcome::Failed);
            let message = format!("{index} {version} {}", "because of this ".repeat(message));
            because(
                row,
                CauseClass::Runtime,
                ["Error", "OOMKilled", "Panic"][(index + version) % 3],
                &message,
                "try",
                7,
            )
        })
    });
    report(rows.collect())
}

fn names(report: &Report) -> Vec<&str> {
    let mut names: Vec<_> = report.results.iter().filter(|row| row.is_bad()).map(|row| row.example.as_str()).collect();
    names.dedup();
    names
}

#[test]
fn a_thousand_examples_that_failed_on_four_versions_are_all_named() {
    let report = failures(1_000, 4, 20);
    let text = render(&report, &Details::default(), &about(), Some(&State::of(&report, "abc"))).unwrap();
    assert!(text.len() <= LIMIT, "{}", text.len());
    let named = all_named(&text);
    assert_eq!(names(&report).into_iter().find(|name| !named.contains(*name)), None);
    assert!(text.matches("\n### ❌ `").count() > 10, "the first are told in full");
    assert_eq!(State::read(&text), Some(State::of(&report, &about().commit)));
}

/// A health with everything in it.
fn health(seed: usize) -> crate::report::Health {
    let past = |index: usize| crate::report::Past {
        at: "2026-11-23T20:00:00Z".to_owned(),
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        outcome: Outcome::ALL[(seed + index) % Outcome::ALL.len()],
        duration_ms: 60_000,
    };
    crate::report::Health {
        score: (!seed.is_multiple_of(9)).then(|| u8::try_from(seed % 101).unwrap()),
        flake_rate: Some(0.25),
        trend: ["improving", "steady", "declining", "unknown"][seed % 4].to_owned(),
        first_bad: (!seed.is_multiple_of(3)).then(|| crate::report::FirstBad {
            commit: format!("{seed:040x}"),
            last_good: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            runs: 7,
            ..crate::report::FirstBad::default()
        }),
        slowdown: Some(2.5),
        past: (0..crate::report::PAST).map(past).collect(),
        ..crate::report::Health::default()
    }
}

#[test]
fn a_thousand_examples_with_their_health_fit_into_comment_and_summary() {
    let mut rows = failures(1_000, 4, 20).results;
    for (index, row) in rows.iter_mut().enumerate() {
        row.health = Some(health(index));
        row.outcome = Outcome::ALL[index / 4 % Outcome::ALL.len()];
        row.attempts.iter_mut().for_each(|attempt| attempt.started_at = "2026-11-23T20:01:00Z".to_owned());
    }
    let report = report(rows);
    let before = State::of(&report, "abc");
    let text = render(&report, &Details::default(), &about(), Some(&before)).unwrap();
    assert!(text.len() <= LIMIT, "{}", text.len());
    let named = all_named(&text);
    assert_eq!(names(&report).into_iter().find(|name| !named.contains(*name)), None);
    assert!(text.contains("\nHealth: **") && text.contains("broken since [`"));
    let mut charts = std::collections::BTreeSet::new();
    for limit in [4_000_000, crate::report::summary::STEP_LIMIT, 20_000] {
        let text =
            crate::report::summary::render_about(&report, &Details::default(), &about(), Some(&before), limit).unwrap();
        assert!(text.len() <= limit, "{} of {limit}", text.len());
        charts.insert(text.contains("```mermaid\n"));
        assert_ne!(text.contains("```mermaid\n"), text.contains("the chart of where the time went"));
    }
    assert_eq!(charts.len(), 2, "there is a chart where there is room");
}

#[test]
fn of_ten_thousand_those_without_room_are_counted() {
    let report = failures(10_000, 1, 1);
    let text = render(&report, &Details::default(), &about(), None).unwrap();
    assert!(text.len() <= LIMIT, "{}", text.len());
    let named = all_named(&text);
    let missing = names(&report).iter().filter(|name| !named.contains(**name)).count();
    assert!(
        missing < 9_000 && text.contains(&format!("\n- ... and {missing} more examples, all of them in ")),
        "{missing}"
    );
    assert!(State::read(&text).is_some());
}

#[test]
fn the_steps_of_the_ladder_lose_detail_and_no_name() {
    let mut seen = std::collections::BTreeSet::new();
    for examples in [5, 60, 120, 300, 500, 1_000] {
        let report = failures(examples, 2, 3);
        let text = render(&report, &Details::default(), &about(), None).unwrap();
        assert!(text.len() <= LIMIT, "{}", text.len());
        let named = all_named(&text);
        assert_eq!(names(&report).into_iter().find(|name| !named.contains(*name)), None, "{examples}");
        let (full, short) = (text.matches("\n### ❌ ").count(), text.matches(", in short").count());
        seen.insert((full.min(1), short, text.contains("- causes: "), text.contains("\n- ❌ ")));
        assert!(full > 0, "{examples}");
    }
    assert!(seen.len() >= 3, "{seen:?}");
}

prop_compose! {
    fn some_row()(
        example in "[a-c]{1,2}(/[a-z`|<\\- ]{1,40}){0,3}",
        version in prop::option::weighted(0.8, 30..34_u8),
        outcome in prop::sample::select(Outcome::ALL),
        message in ".{0,200}",
        quarantined in any::<bool>(),
        copies in 1..25_usize,
        healthy in prop::option::of(0..1_000_usize),
    ) -> Vec<Row> {
        (0..copies).map(|copy| {
            let mut row = because(
                cell(&format!("{example}-{copy}"), "x", outcome), CauseClass::Runtime, "Error", &message, &message, 3,
            );
            row.kubernetes = version.map(|minor| format!("v1.{minor}.0"));
            row.quarantined = quarantined;
            row.health = healthy.map(|seed| health(seed + copy));
            if !row.is_bad() && outcome != Outcome::Flaky {
                row.cause = None;
            }
            row
        }).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_the_report_it_fits_and_ends_with_its_state(
        rows in prop::collection::vec(some_row(), 0..30),
        was in prop::collection::vec(some_row(), 0..5),
        limit in 24_000..LIMIT,
    ) {
        let report = report(rows.concat());
        let before = State::of(&super::report(was.concat()), "abc");
        let text = render_within(&report, &Details::default(), &about(), Some(&before), limit).unwrap();
        prop_assert!(text.len() <= limit, "{} of {}", text.len(), limit);
        let state = State::of(&report, &about().commit);
        let end = format!("</sub>\n\n{}\n", state.line());
        prop_assert!(text.ends_with(&end));
        prop_assert!(text.starts_with("<!-- example-validator: default -->\n## "));
        if !text.contains("\n- ... and ") {
            for name in names(&report) {
                prop_assert!(is_named(&text, name), "{:?}", name);
            }
        }
    }
}
