//! `junit.xml`, for the tools that read it: a suite a Kubernetes version (or `basic`), a case an example.

use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::details::{Details, cause_name, facts};
use super::{Report, Row, words};
use crate::diagnostic::inert::inert;
use crate::error::{Error, Result};
use crate::model::Outcome;

/// The suite of the rows without a version.
const BASIC: &str = "basic";
/// The class of an example that has no framework and is no support file, such as a script.
const NO_FRAMEWORK: &str = "example";
/// The class of a run-wide check.
const RUN_WIDE: &str = "run-wide check";
/// What the name of every suite of a simulated run ends in.
const SIMULATED: &str = " (simulated)";

/// The report as JUnit XML. `details` holds the findings with their sources, for the text of failures.
///
/// A quarantined failure is a skipped case: readers of JUnit know no failure that does not count.
///
/// # Errors
/// [`Error::Internal`] if the XML can't be written, which clean strings in memory do not meet.
pub fn render(report: &Report, details: &Details) -> Result<String> {
    let mut junit = quick_junit::Report::new(env!("CARGO_PKG_NAME"));
    junit.set_time(Duration::from_millis(report.run.duration_ms));
    let statically = report.results.iter().any(|row| row.kubernetes.is_none()).then_some(None);
    for version in statically.into_iter().chain(words::versions(&report.results).into_iter().map(Some)) {
        let simulated = if report.run.simulated { SIMULATED } else { "" };
        let mut suite = TestSuite::new(clean(version.unwrap_or(BASIC)) + simulated);
        let rows = report.results.iter().filter(|row| row.kubernetes.as_deref() == version);
        let mut total = Duration::ZERO;
        suite.add_test_cases(run_wide(report, version));
        for row in rows {
            total += Duration::from_millis(row.duration_ms);
            suite.add_test_case(case(row, report, details));
        }
        suite.set_time(total);
        junit.add_test_suite(suite);
    }
    junit.to_string().map_err(|error| Error::Internal(error.to_string()))
}

/// The run-wide checks of a version, a case each. One of which nobody can tell is a skipped case.
fn run_wide<'r>(report: &'r Report, version: Option<&'r str>) -> impl Iterator<Item = TestCase> + 'r {
    let clusters = report.clusters.iter().filter(move |cluster| Some(cluster.kubernetes.as_str()) == version);
    clusters.flat_map(|cluster| &cluster.checks).map(|check| {
        let mut status = match check.outcome.as_str() {
            "passed" => TestCaseStatus::success(),
            "failed" => TestCaseStatus::non_success(NonSuccessKind::Failure),
            _ => TestCaseStatus::skipped(),
        };
        if check.outcome != "passed" {
            status.set_message(clean(&check.message));
        }
        let mut case = TestCase::new(clean(&check.check), status);
        case.set_classname(RUN_WIDE);
        case
    })
}

fn case(row: &Row, report: &Report, details: &Details) -> TestCase {
    let mut case = TestCase::new(clean(row.example.as_str()), status(row, report, details));
    if let Some((title, lines)) = row.shown_log() {
        case.set_system_out(format!("{title}\n{}\n", lines.join("\n")));
    }
    case.set_classname(clean(&class(row)));
    case.set_time(Duration::from_millis(row.duration_ms));
    case
}

fn class(row: &Row) -> String {
    let role = words::role(row);
    if role.is_empty() { NO_FRAMEWORK.to_owned() } else { role }
}

fn status(row: &Row, report: &Report, details: &Details) -> TestCaseStatus {
    let message = message(row);
    let description = || description(row, report, details);
    match row.outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Flaky => {
            let mut status = TestCaseStatus::success();
            status.add_reruns(reruns(row));
            status
        }
        Outcome::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(clean(&row.reason));
            status
        }
        _ if row.quarantined => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(clean(&format!("quarantined, {}: {message}", words::past(row.outcome))));
            status.set_description(description());
            status
        }
        Outcome::Failed | Outcome::TimedOut | Outcome::Errored => {
            let is_error = row.outcome == Outcome::Errored;
            let kind = if is_error { NonSuccessKind::Error } else { NonSuccessKind::Failure };
            let mut status = TestCaseStatus::non_success(kind);
            status.set_message(message);
            status.set_type(clean(&cause_name(row)));
            status.set_description(description());
            status.add_reruns(reruns(row));
            status
        }
    }
}

/// The attempts that did not pass, without the last one: that is the case itself.
fn reruns(row: &Row) -> Vec<TestRerun> {
    let earlier = row.attempts.len().saturating_sub(1);
    let rerun = |attempt: &super::Attempt| {
        let is_error = attempt.outcome == Outcome::Errored;
        let mut rerun = TestRerun::new(if is_error { NonSuccessKind::Error } else { NonSuccessKind::Failure });
        rerun.set_message(format!("{} in namespace {}", words::past(attempt.outcome), clean(&attempt.namespace)));
        rerun.set_type(clean(&cause_name(row)));
        if let Some(finished) = attempt.phases.get("finishedMs").and_then(serde_json::Value::as_u64) {
            rerun.set_time(Duration::from_millis(finished));
        }
        rerun
    };
    row.attempts[..earlier].iter().filter(|attempt| attempt.outcome != Outcome::Passed).map(rerun).collect()
}

/// The cause in one line.
fn message(row: &Row) -> String {
    clean(row.cause.as_ref().map_or(words::past(row.outcome), |cause| &cause.message))
}

/// All that is known, in lines.
fn description(row: &Row, report: &Report, details: &Details) -> String {
    let mut text: String =
        facts(row, report, true).iter().map(|fact| format!("{}: {}\n", fact.label, clean(&fact.text))).collect();
    text.push_str(&details.errors(row, false));
    text
}

/// A text without the characters that XML cannot hold, on one line. (The crate drops most of them, but not all.)
fn clean(text: &str) -> String {
    inert(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Cluster, LogTail, Run, sample};
    use insta::assert_snapshot;
    use proptest::prelude::*;

    fn xml(rows: Vec<Row>) -> String {
        let run = Run { duration_ms: 21, ..Run::default() };
        render(&Report::new(run, vec![], vec![], rows, &[]), &Details::default()).unwrap()
    }

    #[test]
    fn each_outcome_has_its_form() {
        let mut skipped = sample::row("skipped.yaml", Outcome::Skipped);
        skipped.reason = "needs a GPU".to_owned();
        let mut spared = sample::broken("spared.yaml");
        spared.quarantined = true;
        let mut errored = sample::slow("errored.yaml", "v1.34.0");
        errored.outcome = Outcome::Errored;
        errored.checks.clear();
        let mut flaky = sample::slow("flaky.yaml", "v1.34.0");
        flaky.outcome = Outcome::Flaky;
        flaky.attempts[1].outcome = Outcome::Passed;
        let mut support = sample::row("support.yaml", Outcome::Passed);
        support.framework = None;
        support.support = true;
        assert_snapshot!(xml(vec![sample::broken("broken.yaml"), skipped, spared, errored, flaky, support]), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="example-validator" tests="6" skipped="2" failures="1" errors="1" time="0.021">
            <testsuite name="basic" tests="4" skipped="2" errors="0" failures="1" time="0.020">
                <testcase name="broken.yaml" classname="pytorchjob" time="0.005">
                    <failure message="spec.x: unknown field" type="manifest/EV105">error[EV105]: broken.yaml:3:5: spec.x: unknown field (help: remove it)
        </failure>
                </testcase>
                <testcase name="skipped.yaml" classname="pytorchjob" time="0.005">
                    <skipped message="needs a GPU"/>
                </testcase>
                <testcase name="spared.yaml" classname="pytorchjob" time="0.005">
                    <skipped message="quarantined, failed: spec.x: unknown field">error[EV105]: spared.yaml:3:5: spec.x: unknown field (help: remove it)
        </skipped>
                </testcase>
                <testcase name="support.yaml" classname="support file" time="0.005"/>
            </testsuite>
            <testsuite name="v1.34.0" tests="2" skipped="0" errors="1" failures="0" time="1800.240">
                <testcase name="errored.yaml" classname="pytorchjob" time="900.120">
                    <error message="not finished after 15m" type="timeout/Timeout">cause: timeout/Timeout: not finished after 15m
        hint: raise `timeout`
        object: Pod/x-worker-0
        at: errored.yaml:1
        attempts: timed out, then timed out
        evidence: v1.34.0/errored.yaml
        </error>
                    <rerunFailure message="timed out in namespace ev-1" type="timeout/Timeout">
                    </rerunFailure>
                </testcase>
                <testcase name="flaky.yaml" classname="pytorchjob" time="900.120">
                    <flakyFailure message="timed out in namespace ev-1" type="timeout/Timeout">
                    </flakyFailure>
                </testcase>
            </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn a_simulated_run_is_named_so_and_logs_are_output() {
        let run = Run { simulated: true, ..Run::default() };
        let mut row = sample::slow("a.yaml", "v1.34.0");
        row.log = Some(LogTail { of: "Pod/x, container main".to_owned(), lines: vec!["boom \u{1b} ]]>".to_owned()] });
        row.attempts[0].phases.insert("finishedMs".to_owned(), 1_500.into());
        let text = render(&Report::new(run, vec![], vec![], vec![row], &[]), &Details::default()).unwrap();
        assert_snapshot!(text, @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="example-validator" tests="1" skipped="0" failures="1" errors="0" time="0.000">
            <testsuite name="v1.34.0 (simulated)" tests="1" skipped="0" errors="0" failures="1" time="900.120">
                <testcase name="a.yaml" classname="pytorchjob" time="900.120">
                    <failure message="not finished after 15m" type="timeout/Timeout">cause: timeout/Timeout: not finished after 15m
        hint: raise `timeout`
        object: Pod/x-worker-0
        at: a.yaml:1
        attempts: timed out, then timed out
        check: logs failed: no line matches
        evidence: v1.34.0/a.yaml
        </failure>
                    <rerunFailure time="1.500" message="timed out in namespace ev-1" type="timeout/Timeout">
                    </rerunFailure>
                    <system-out>the last line of Pod/x, container main
        boom ␛ ]]&gt;
        </system-out>
                </testcase>
            </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn run_wide_checks_are_cases_of_their_version() {
        let checks = vec![
            sample::check("restarts", "passed", "up"),
            sample::check("metrics", "failed", "errors rose by 2"),
            sample::check("logs", "inconclusive", "there was no time"),
        ];
        let clusters = vec![Cluster { checks, ..sample::report().clusters.remove(0) }];
        let row = Row { kubernetes: Some("v1.34.0".to_owned()), ..sample::row("a.yaml", Outcome::Passed) };
        let report =
            Report::new(Run::default(), clusters, vec![], vec![row, sample::row("b.yaml", Outcome::Passed)], &[]);
        let text = render(&report, &Details::default()).unwrap();
        assert_snapshot!(text, @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="example-validator" tests="5" skipped="1" failures="1" errors="0" time="0.000">
            <testsuite name="basic" tests="1" skipped="0" errors="0" failures="0" time="0.005">
                <testcase name="b.yaml" classname="pytorchjob" time="0.005"/>
            </testsuite>
            <testsuite name="v1.34.0" tests="4" skipped="1" errors="0" failures="1" time="0.005">
                <testcase name="restarts" classname="run-wide check"/>
                <testcase name="metrics" classname="run-wide check">
                    <failure message="errors rose by 2"/>
                </testcase>
                <testcase name="logs" classname="run-wide check">
                    <skipped message="there was no time"/>
                </testcase>
                <testcase name="a.yaml" classname="pytorchjob" time="0.005"/>
            </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn versions_are_suites_in_order() {
        let text = xml(vec![sample::slow("a.yaml", "v1.34.0"), sample::slow("a.yaml", "v1.9.0")]);
        let suites: Vec<_> = text.lines().filter(|line| line.contains("<testsuite ")).collect();
        assert_eq!(suites.len(), 2);
        assert!(suites[0].contains("name=\"v1.9.0\" tests=\"1\" skipped=\"0\" errors=\"0\" failures=\"1\""));
    }

    /// What XML 1.0 calls a `Char`: <https://www.w3.org/TR/xml/#charsets>.
    fn is_xml(c: char) -> bool {
        matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
    }

    proptest! {
        #[test]
        fn texts_of_others_leave_the_xml_well_formed(text in any::<String>()) {
            let mut row = sample::broken(&text);
            row.framework = Some(text.clone());
            row.diagnostics[0].message = text.clone();
            let written = xml(vec![row]);
            prop_assert!(written.chars().all(is_xml));
            let read = quick_junit::Report::deserialize_from_str(&written).unwrap();
            prop_assert_eq!(read.test_suites[0].test_cases[0].name.as_str(), clean(&text));
        }
    }
}
