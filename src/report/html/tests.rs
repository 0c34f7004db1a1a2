//! The page as text: its policy, what is told where space is short, and how it is written.

use super::*;
use crate::model::Outcome;
use crate::report::{
    CheckResult, Cluster, FirstBad, Health, Image, LogTail, Overall, Past, Resources, Row, Run, sample,
};

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
    let policy = policy(&style(0));
    assert!(text.contains(&format!("content=\"{policy}\"")));
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    assert!(!text.contains(" style=\"") && !text.contains(" onclick="));
}

#[test]
fn how_many_frameworks_the_filter_leaves_out_is_said() {
    let of = |count: usize| {
        let framework = |index| Row { framework: Some(format!("framework-{index:02}")), ..good(index) };
        page((0..count).map(framework).collect(), LIMIT)
    };
    assert!(!of(60).contains("search for them"));
    assert!(of(70).contains("<option disabled>and 10 more: search for them</option>"));
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
fn evidence_is_told_where_it_lies_and_what_was_not_measured_has_no_amount() {
    let mut row = bad(1);
    let container = crate::report::ContainerUse { pod: "x".to_owned(), ..crate::report::ContainerUse::default() };
    row.resources = Some(Resources { pods: vec![container], ..Resources::default() });
    let mut cluster = sample::report().clusters.remove(0);
    cluster.provider = "existing".to_owned();
    let run = Run { id: "local-1-2".to_owned(), event: "workflow_dispatch".to_owned(), ..Run::default() };
    let report = Report::new(run, vec![cluster], vec![], vec![row], &[Outcome::TimedOut]);
    let shown = |about: &About| render_within(&report, &Details::default(), about, LIMIT).unwrap();
    let text = shown(&About::default());
    assert!(text.contains("evidence.zip: v1.34.0/examples/bad-001.yaml"), "{text}");
    assert!(text.contains("not measured") && !text.contains("average 0m"), "{text}");
    assert!(text.contains("a local run") && !text.contains("workflow_dispatch"), "{text}");
    assert!(text.contains("operator in") && !text.contains("created in"), "{text}");
    let page = crate::report::comment::RunPage { id: "7".to_owned(), attempt: 1 };
    assert!(shown(&About { run: Some(page), ..About::default() }).contains(">evidence/v1.34.0/examples/bad-001.yaml<"));
}

/// An example on twenty versions, with this outcome on the last.
fn on_twenty(name: &str, outcome: Outcome, quarantined: bool) -> Vec<Row> {
    let row = |minor| {
        let mut row = sample::slow(name, &format!("v1.{}.0", minor + 20));
        if minor == 19 && outcome != Outcome::Passed {
            (row.outcome, row.quarantined) = (outcome, quarantined);
        } else {
            (row.outcome, row.cause) = (Outcome::Passed, None);
        }
        row
    };
    (0..20).map(row).collect()
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

/// How many lines of the grid are of each tone: bad, spared, warn, ok.
fn tones(text: &str) -> [usize; 4] {
    ["bad", "spared", "warn", "ok"].map(|tone| count(text, &format!("<tr role=\"row\" class=\"{tone}\"")))
}

#[test]
fn where_space_is_short_what_is_good_is_told_in_short_first_then_left_out_and_counted() {
    let rows = || (0..20).map(bad).chain((0..200).map(good)).collect::<Vec<_>>();
    let whole = page(rows(), LIMIT);
    assert!(!whole.contains("told in short"));
    let logs = |text: &str| count(text, "boom");
    let (mut before, mut has_lost) = ((usize::MAX, [usize::MAX; 4]), false);
    let frame = page(vec![], LIMIT).len();
    let room = whole.len() - frame;
    for limit in
        [whole.len() - 1, frame + room / 2, frame + room / 3, frame + room / 5, frame + room / 10, frame + room / 50]
    {
        let text = page(rows(), limit);
        assert!(text.len() <= limit, "{} of {limit}", text.len());
        assert!(text.contains("told in short") || text.contains("more are not on it"), "{limit}");
        let [bad, _, _, ok] = tones(&text);
        assert!(logs(&text) <= before.0 && tones(&text) <= before.1, "{limit}");
        before = (logs(&text), tones(&text));
        assert_eq!(bad + ok < 220, text.contains("more are not on it"), "{limit}");
        assert!(ok == 0 || bad == 20, "{limit}: a good one is there and a failure is not");
        // What is left where not even every name has a place is less than two logs take.
        assert!(bad + ok == 220 || count(&text, "<pre class=\"log\"") < 2, "{limit}");
        has_lost |= ok < 200;
    }
    assert!(has_lost && before.1[0] < 20, "{before:?}");
    let short = page(rows(), whole.len() - 1);
    assert_eq!((logs(&short), tones(&short)), (logs(&whole), tones(&whole)));
}

#[test]
fn failures_in_quarantine_are_kept_before_flaky_and_good_ones_and_a_large_one_hides_no_small_one() {
    let named = |kind: &str, index: usize| format!("examples/{kind}-{index:02}.yaml");
    let of = |kind: &'static str, outcome, quarantined| {
        (0..4).flat_map(move |index| on_twenty(&named(kind, index), outcome, quarantined))
    };
    let mut rows: Vec<_> = of("a-good", Outcome::Passed, false)
        .chain(of("b-bad", Outcome::TimedOut, false))
        .chain(of("c-flaky", Outcome::Flaky, false))
        .chain(of("d-spared", Outcome::Failed, true))
        .collect();
    // The first of the failures is larger than all others.
    rows.iter_mut().filter(|row| row.example.as_str() == named("b-bad", 0)).for_each(|row| {
        row.cause.iter_mut().for_each(|cause| cause.hint = "&".repeat(300));
        row.framework = Some("&".repeat(140));
    });
    let whole = page(rows.clone(), LIMIT);
    assert_eq!(tones(&whole), [4; 4]);
    // What the page has without an example.
    let least = page(rows.clone(), 0).len();
    let (mut seen, mut has_skipped) = (std::collections::BTreeSet::new(), false);
    for step in 0..80 {
        let limit = least + step * 1_000;
        let text = page(rows.clone(), limit);
        let shown = tones(&text);
        let [bad, spared, flaky, ok] = shown;
        assert!(text.len() <= limit, "{} of {limit}", text.len());
        assert!((bad, spared) == (4, 4) || (ok, flaky) == (0, 0), "{limit}: {shown:?}");
        // Whoever is there is there with the cause, in the grid and in the details.
        assert_eq!(count(&text, "<small>not finished after 15m"), bad + spared + flaky, "{limit}");
        assert_eq!(count(&text, "<p class=\"msg\">not finished after 15m"), bad + spared + flaky, "{limit}");
        let lost = 8 - bad - spared;
        assert_eq!(lost > 0, text.contains(&format!(", {lost} of which failed")), "{limit}: {shown:?}");
        // The order is that of the whole page.
        let grid = text.split("<tbody").nth(1).and_then(|rest| rest.split("</tbody>").next()).unwrap();
        let place = |kind| grid.find(&format!("<b>{kind}"));
        assert!(place("b-bad").is_none() || place("d-spared").is_none() || place("b-bad") < place("d-spared"));
        seen.insert((bad, spared, ok > 0));
        has_skipped |= bad > 0 && !grid.contains("<b>b-bad-00.yaml");
    }
    // Pages of all kinds were seen, one with a smaller failure while the large one had no place among them.
    assert!(seen.contains(&(4, 2, false)) && seen.contains(&(4, 4, false)) && seen.contains(&(4, 4, true)), "{seen:?}");
    assert!(has_skipped);
}

#[test]
fn every_version_has_a_column_and_of_too_many_those_on_which_something_failed() {
    let text = page(on_twenty("a.yaml", Outcome::TimedOut, false), LIMIT);
    let heads = |text: &str| count(text, "scope=\"col\" class=\"o\">");
    assert_eq!(heads(&text), 20);
    assert!(text.contains("class=\"o\">v1.39.0</th>") && text.contains("<option>v1.39.0</option>"));
    assert!(text.contains("data-o=\"pt\"") && !text.contains("have no column here"));
    assert!(text.contains("#grid{--os:repeat(20,var(--o))}") && text.contains("many wide"));
    let many = |bad: &dyn Fn(usize) -> bool| {
        let row = |minor: usize| {
            let mut row = sample::slow("a.yaml", &format!("v1.{minor}.0"));
            if !bad(minor) {
                (row.outcome, row.cause) = (Outcome::Passed, None);
            }
            row
        };
        page((0..100).map(row).collect(), LIMIT)
    };
    let text = many(&|minor| minor == 3);
    assert_eq!(heads(&text), 30);
    assert!(text.contains("class=\"o\">v1.3.0</th>") && text.contains("class=\"o\">v1.99.0</th>"));
    assert!(text.contains("70 versions more have no column here, nothing failed on any"));
    let text = many(&|minor| minor % 2 == 0);
    assert_eq!(heads(&text), 50);
    assert!((0..100).step_by(2).all(|minor| text.contains(&format!("class=\"o\">v1.{minor}.0</th>"))));
    let text = many(&|_| true);
    assert_eq!(heads(&text), 60);
    assert!(text.contains("something failed on 40 of them"));
}

#[test]
fn what_surrounds_the_examples_is_small_whatever_a_report_says() {
    let evil = |seed: usize| format!("{seed}{}", "\"&'".repeat(700));
    let moment = "2026-11-23T20:00:00Z".to_owned();
    let mut report = sample::report();
    let (row, cluster, image) = (report.results.remove(0), report.clusters.remove(0), report.images.remove(0));
    report.clusters = (0..100)
        .map(|index| Cluster {
            kubernetes: evil(index),
            provider: evil(0),
            outcome: evil(0),
            cause: row.cause.clone().map(|cause| crate::model::Cause { message: evil(0), hint: evil(1), ..cause }),
            checks: vec![CheckResult { outcome: "failed".to_owned(), ..sample::check(&evil(0), "", &evil(0)) }; 100],
            started_at: moment.clone(),
            ..cluster.clone()
        })
        .collect();
    report.images = (0..10_000)
        .map(|index| Image {
            name: if index < 5 { "'".repeat(1 << 20) } else { evil(index) },
            cache: evil(0),
            started_at: moment.clone(),
            build_ms: 1_000,
            ..image.clone()
        })
        .collect();
    report.results = (0..100)
        .flat_map(|version| (0..60).map(move |index| (version, index)))
        .map(|(version, index)| {
            let mut row = row.clone();
            row.example = crate::model::ExampleId::new(format!("{index}/{}", evil(index)));
            (row.kubernetes, row.framework) = (Some(evil(version)), Some(evil(index)));
            row.attempts = vec![row.attempts[0].clone(); 5];
            let past = Past { at: moment.clone(), commit: evil(0), outcome: Outcome::Failed, duration_ms: 1 };
            row.health = Some(Health { flake_rate: Some(1.0), past: vec![past; 3], ..Health::default() });
            row
        })
        .collect();
    report.results.sort_by(|a, b| a.example.cmp(&b.example));
    let groups = (0..1_000).map(|index| crate::report::Group { name: evil(index), score: Some(1), examples: 1 });
    report.health = Some(Overall { frameworks: groups.collect(), ..Overall::default() });
    report.run.repository = evil(0);
    report.run.id = evil(0);
    report.run.event = evil(0);
    report.run.shard = Some(evil(0));
    report.tool.name = evil(0);
    let about = About {
        server_url: format!("https://{}", evil(0)),
        repository: evil(0),
        commit: evil(0),
        notices: vec![evil(0); 100],
        ..About::default()
    };
    let details = Details::default();
    let frame = page::page(Told { report: &report, details: &details, about: &about }).render().unwrap();
    assert!(frame.len() < 1_000_000, "{}", frame.len());
    assert!(frame.contains("more images, in report.json") && frame.contains("shortest are not drawn"));
    let text = render_within(&report, &details, &about, 1_500_000).unwrap();
    assert!(text.len() <= 1_500_000 && text.contains("more are not on it"), "{}", text.len());
}

#[test]
fn a_rehearsal_is_no_part_of_a_history() {
    let told = |simulated, past: usize| {
        let mut row = bad(1);
        let run = Past { at: String::new(), commit: String::new(), outcome: Outcome::Passed, duration_ms: 9 };
        row.health = Some(Health { past: vec![run; past], flake_rate: Some(0.5), ..Health::default() });
        let report = Report::new(Run { simulated, ..Run::default() }, vec![], vec![], vec![row], &[]);
        render(&report, &Details::default(), &About::default()).unwrap()
    };
    let (real, simulated) = (told(false, 7), told(true, 7));
    // In the grid, among the flakiest, and in the details.
    assert_eq!(count(&real, "aria-label=\"the last 8 runs: 7 passed, 1 timed out\""), 3);
    assert_eq!(count(&simulated, "aria-label=\"the last 7 runs: 7 passed\""), 3);
    assert!(real.contains("How long the last 8 runs took, this one at the right"));
    assert!(simulated.contains("How long the last 7 runs took, the newest at the right"));
    assert!(!told(true, 0).contains("class=\"spark\""));
}

#[test]
fn the_first_bad_commit_of_a_pull_request_that_broke_it_is_no_merge_commit() {
    let told = |pull_request, runs| {
        let mut row = bad(1);
        let first_bad =
            FirstBad { commit: "badbadbad".to_owned(), at: String::new(), last_good: "900d".to_owned(), runs };
        row.health = Some(Health { first_bad: Some(first_bad), ..Health::default() });
        let run = Run { pull_request, commit: "badbadbad".to_owned(), ..Run::default() };
        let report = Report::new(run, vec![], vec![], vec![row], &[]);
        render(&report, &Details::default(), &About::default()).unwrap()
    };
    let own = told(Some(7), 1);
    assert!(own.contains("with this change") && own.contains("900d") && !own.contains("First bad commit"));
    for other in [told(Some(7), 2), told(None, 1)] {
        assert!(other.contains("First bad commit") && !other.contains("with this change"));
    }
}

#[test]
fn run_wide_checks_are_told_and_those_that_failed_are_named_at_the_top() {
    let checks = vec![
        sample::check("restarts", "passed", "the pods stayed up"),
        sample::check("errors", "inconclusive", "there is no Service <a>"),
        sample::check("metrics", "failed", "errors rose by 2 <b>"),
    ];
    let clusters = vec![Cluster { checks, ..sample::report().clusters.remove(0) }];
    let rows = vec![sample::row("a.yaml", Outcome::Passed)];
    let report = Report::new(Run::default(), clusters, vec![], rows, &[Outcome::Failed]);
    let text = render(&report, &Details::default(), &About::default()).unwrap();
    let (top, rest) = text.split_once("<main>").unwrap();
    assert!(
        top.contains("Run-wide check failed on v1.34.0:</b> <code>metrics</code> errors rose by 2 &#60;b&#62;"),
        "{top}"
    );
    assert!(!top.contains("there is no Service"));
    assert!(rest.contains("1 of 3 passed"));
    let failed = rest.find("<li class=\"f\"><span class=\"out\">failed").unwrap();
    let unknown = rest.find("<li class=\"y\"><span class=\"out\">inconclusive").unwrap();
    assert!(failed < unknown && !rest.contains("the pods stayed up"));
}

#[test]
fn what_all_pods_used_together_is_told() {
    let mut row = good(1);
    row.resources = Some(Resources {
        note: "two samples".to_owned(),
        cpu_peak_milli: 1_500,
        memory_peak_bytes: 512 << 20,
        ran_ms: 61_000,
        ..Resources::default()
    });
    let text = page(vec![row], LIMIT);
    let ran = crate::report::words::duration(61_000);
    let told = format!("1.5 cores and 512 MiB at most, all pods together · ran for {ran} · two samples");
    assert!(text.contains(&told), "{told}");
}

#[test]
fn a_tab_in_a_log_is_white_space_and_no_other_control_character_is_left() {
    let mut row = bad(1);
    row.log =
        Some(LogTail { of: "x".to_owned(), lines: vec!["\tmain.go:3\t+0x1".to_owned(), "\u{1b}[31mred".to_owned()] });
    let text = page(vec![row], LIMIT);
    assert!(text.contains("    main.go:3   +0x1\n^[[31mred"));
    assert!(!text.contains(|c: char| ('\u{2400}'..='\u{2421}').contains(&c)));
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
