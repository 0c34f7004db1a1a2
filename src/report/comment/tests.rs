mod hostile;
mod ladder;

use super::*;
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::model::{Cause, CauseClass, ExampleId, Outcome};
use crate::report::{LogTail, Row, Run, sample};
use crate::yaml::Span;

const VERSIONS: [&str; 3] = ["v1.32.8", "v1.33.4", "v1.34.0"];
const DEFAULT: &[Outcome] = &[Outcome::Failed, Outcome::TimedOut, Outcome::Errored];

fn about() -> About {
    About {
        key: "default".to_owned(),
        server_url: "https://github.com".to_owned(),
        repository: "kubeflow/trainer".to_owned(),
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        run: Some(RunPage { id: "4711".to_owned(), attempt: 1 }),
        artifact: Some(Artifact {
            name: "example-validator-report".to_owned(),
            url: Some("https://github.com/kubeflow/trainer/actions/runs/4711/artifacts/99".to_owned()),
        }),
        pull_request: Some(12),
        ..About::default()
    }
}

fn report(rows: Vec<Row>) -> Report {
    let run = Run { duration_ms: 754_000, ..sample::report().run };
    Report::new(run, vec![], vec![], rows, DEFAULT).with_schemas("v1.37")
}

fn cell(example: &str, version: &str, outcome: Outcome) -> Row {
    let mut row = sample::slow(example, version);
    row.diagnostics.clear();
    row.checks.clear();
    row.outcome = outcome;
    row.attempts.truncate(1);
    if matches!(outcome, Outcome::Passed | Outcome::Skipped) {
        row.cause = None;
    }
    row
}

fn because(mut row: Row, class: CauseClass, reason: &str, message: &str, hint: &str, line: u32) -> Row {
    row.cause = Some(Cause {
        hint: hint.to_owned(),
        object: "Pod/mnist-worker-0".to_owned(),
        file: row.example.as_str().to_owned(),
        line,
        ..Cause::new(class, reason, message)
    });
    row
}

/// Forty examples on three versions: four failed for causes of their own, one is flaky, two were skipped, one is quarantined,
/// and one, when it is not `now`, failed that passes now.
fn forty(now: bool) -> Report {
    let mut rows = Vec::new();
    for index in 0..31 {
        let name = format!("examples/{}/train-{index:02}.yaml", ["pytorch", "tensorflow", "jax"][index % 3]);
        rows.extend(VERSIONS.map(|version| cell(&name, version, Outcome::Passed)));
    }
    let [first, second, third] = VERSIONS;
    for version in VERSIONS {
        let bad = version == third && now;
        let pull = cell("examples/pytorch/mnist.yaml", version, if bad { Outcome::Failed } else { Outcome::Passed });
        let message = "`docker.io/kubeflowkatib/pytorch-mnist:v1.35`: manifest unknown, the tag does not exist";
        let hint = "check the tag; `v1.34` exists";
        rows.push(if bad { because(pull, CauseClass::Image, "ImagePullBackOff", message, hint, 17) } else { pull });

        let mut slow = cell("examples/tensorflow/dist-mnist.yaml", version, Outcome::TimedOut);
        slow.attempts = sample::slow("x", version).attempts;
        rows.push(because(
            slow,
            CauseClass::Timeout,
            "Timeout",
            "not finished after 15m: 1 of 2 workers still runs",
            "raise `timeout`, or look at the log of the worker",
            1,
        ));

        let crash =
            cell("examples/jax/spmd.yaml", version, if version == first { Outcome::Passed } else { Outcome::Failed });
        rows.push(if version == first {
            crash
        } else {
            let message = "container jax exited with 1: ModuleNotFoundError: No module named 'jax'";
            Row { log: Some(log()), ..because(crash, CauseClass::Runtime, "Error", message, "", 9) }
        });

        let mut spared = because(
            cell("examples/pytorch/elastic.yaml", version, Outcome::Failed),
            CauseClass::Assertion,
            "LogsDoNotMatch",
            "no line of container pytorch matches `accuracy=([0-9.]+)`",
            "look at what it prints",
            3,
        );
        spared.quarantined = true;
        rows.push(spared);

        let mut gpu = cell("examples/gpu/bert.yaml", version, Outcome::Skipped);
        gpu.reason = "needs nvidia.com/gpu, which no node has".to_owned();
        rows.push(gpu);
        let mut periodic = cell("examples/large/llama.yaml", version, Outcome::Skipped);
        periodic.reason = "tier periodic: not due before 2026-11-30".to_owned();
        rows.push(periodic);

        rows.push(cell(
            "examples/xgboost/iris.yaml",
            version,
            if now || version != second { Outcome::Passed } else { Outcome::Failed },
        ));
        let mut flaky =
            cell("examples/mpi/pi.yaml", version, if version == second { Outcome::Flaky } else { Outcome::Passed });
        if version == second {
            flaky.attempts = sample::slow("x", version).attempts;
            flaky.attempts[0].outcome = Outcome::Failed;
            flaky.attempts[1].outcome = Outcome::Passed;
            flaky = because(
                flaky,
                CauseClass::Scheduling,
                "Unschedulable",
                "0/1 nodes are available: insufficient cpu",
                "",
                1,
            );
        }
        rows.push(flaky);
    }
    let mut broken = sample::broken("examples/pytorch/v2/trainjob.yaml");
    broken.tier = crate::model::Tier::Full;
    rows.push(broken);
    let remark =
        sample::finding("EV302", Severity::Warning, "examples/pytorch/train-00.yaml", 12, "image `x` has no tag");
    rows[0].diagnostics.push(remark);
    report(rows)
}

fn details() -> Details {
    let mut details = Details::default();
    let source = Source::new("examples/pytorch/v2/trainjob.yaml", "kind: X\nspec:\n    x: 1\n");
    let error = Diagnostic::error("spec.x: unknown field").at(&source, Span::new(18, 19)).with_help("remove it");
    details.add(ExampleId::new("examples/pytorch/v2/trainjob.yaml"), vec![error]);
    details
}

fn log() -> LogTail {
    let lines = [
        "Traceback (most recent call last):",
        "  File \"/opt/spmd.py\", line 3, in <module>",
        "    import jax",
        "ModuleNotFoundError: No module named 'jax'",
    ];
    LogTail { of: "Pod/spmd-worker-0, container jax".to_owned(), lines: lines.map(str::to_owned).to_vec() }
}

/// A comment without what differs from release to release, and with a short state.
fn shown(text: &str) -> String {
    let state = text.rfind("<!-- example-validator-state: v1 ").unwrap();
    assert!(State::read(text).is_some());
    format!("{}<!-- state -->", &text[..state]).replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

#[test]
fn a_reviewer_sees_what_failed_where_and_what_is_new() {
    let before = State::of(&forty(false), "fedcba9876543210fedcba9876543210fedcba98");
    let notices = vec!["This pull request changes `fail-on` in .github/example-validator.yml.".to_owned()];
    let about = About { notices, ..about() };
    let text = render(&forty(true), &details(), &about, Some(&before)).unwrap();
    insta::assert_snapshot!(shown(&text));
}

#[test]
fn a_good_run_is_short() {
    let row = cell("a.yaml", "v1.34.0", Outcome::Passed);
    insta::assert_snapshot!(shown(&render(&report(vec![row]), &Details::default(), &About::default(), None).unwrap()));
}

#[test]
fn what_failed_for_one_cause_is_told_once() {
    let failed = |index: usize| {
        let row = cell(&format!("examples/{index:02}.yaml"), "v1.34.0", Outcome::Errored);
        let mut row =
            because(row, CauseClass::Cluster, "NotReady", "no node became ready within 5m", "free some disk", 0);
        row.evidence = None;
        row
    };
    let other =
        because(cell("examples/x.yaml", "v1.34.0", Outcome::Failed), CauseClass::Runtime, "Error", "exit 1", "", 0);
    let run = |count| {
        let rows = (0..count).map(failed).chain([other.clone()]).collect();
        shown(&render(&report(rows), &Details::default(), &about(), None).unwrap())
    };
    insta::assert_snapshot!("one_cause_of_three", run(3));
    insta::assert_snapshot!("one_cause_of_twenty", run(20));
}

#[test]
fn a_simulated_run_is_never_green() {
    let run = Run { simulated: true, ..Run::default() };
    let mut rows = vec![cell("a.yaml", "v1.34.0", Outcome::Passed), cell("b.yaml", "v1.34.0", Outcome::Failed)];
    rows.push(cell("b.yaml", "v1.33.4", Outcome::Passed));
    let simulated = Report::new(run, vec![], vec![], rows, DEFAULT);
    let text = render(&simulated, &Details::default(), &About::default(), None).unwrap();
    assert!(
        text.contains("\n## 🧪 Simulated, without a real cluster: 1 of 2 examples failed, only on v1.34.0\n"),
        "{text}"
    );
    assert!(text.contains("| `b.yaml` | 🧪 | ❌ failed |") && !text.contains('✅'), "{text}");
    assert!(text.contains("> Simulated: no real cluster was used"), "{text}");
    assert!(text.contains("run --kubernetes v1.34.0 --cluster simulated --examples b.yaml"), "{text}");
}

#[test]
fn notices_cannot_crowd_out_the_rest() {
    let notices = vec!["$".repeat(10_000), "x".to_owned(), "$".repeat(400), "y".to_owned()];
    let about = About { notices, ..about() };
    let text = render(&report(vec![]), &Details::default(), &about, None).unwrap();
    assert!(text.contains(" ...\n> - x\n> - and 2 more notices, too long to be shown\n\n"), "{text}");
    assert!(text.len() < 10_000);
}

#[test]
fn the_mark_is_the_first_line_whatever_the_key() {
    assert_eq!(marker("e2e"), "<!-- example-validator: e2e -->");
    assert_eq!(marker("e2e/merge-queue"), "<!-- example-validator: e2e/merge-queue -->");
    assert_eq!(marker("a-->b--\n---c"), "<!-- example-validator: a-b-c -->");
    let text = render(&report(vec![]), &Details::default(), &about(), None).unwrap();
    assert_eq!(text.lines().next(), Some("<!-- example-validator: default -->"));
}

#[test]
fn the_summary_has_the_same_links_commands_and_changes() {
    let before = State::of(&forty(false), "");
    let limit = crate::report::summary::STEP_LIMIT;
    let text = crate::report::summary::render_about(&forty(true), &details(), &about(), Some(&before), limit).unwrap();
    insta::assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}
