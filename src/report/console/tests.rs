use super::*;
use crate::diagnostic::{Diagnostic, Source};
use crate::model::{ExampleId, Tier};
use crate::report::{LogTail, Run, sample};
use crate::yaml::Span;
use insta::assert_snapshot;

fn shown(rows: Vec<Row>, details: &Details, options: Options<'_>) -> String {
    let run = Run { duration_ms: 21, ..Run::default() };
    let report = Report::new(run, vec![], vec![], rows, &[Outcome::Failed, Outcome::TimedOut]);
    let mut out = Vec::new();
    write(&mut out, &report.with_schemas("v1.37"), details, options).unwrap();
    String::from_utf8(out).unwrap()
}

fn rows() -> Vec<Row> {
    let mut remarked = sample::row("examples/remarked.yaml", Outcome::Passed);
    let warning = |line| sample::finding("EV302", Severity::Warning, "examples/remarked.yaml", line, "no tag");
    let note = sample::finding("EV501", Severity::Note, "examples/remarked.yaml", 4, "namespace is rewritten");
    remarked.diagnostics = vec![warning(12), note, warning(30), warning(48)];
    let mut support = sample::row("examples/etcd.yaml", Outcome::Passed);
    support.objects.clear();
    support.support = true;
    let mut spared = sample::broken("examples/spared.yaml");
    spared.quarantined = true;
    let mut skipped = sample::row("examples/gpu.yaml", Outcome::Skipped);
    skipped.reason = "needs nvidia.com/gpu, which no node of this run has".to_owned();
    vec![sample::broken("examples/broken.yaml"), remarked, support, spared, skipped]
}

fn details() -> Details {
    let source = Source::new("examples/broken.yaml", "kind: X\nspec:\n    x: 1\n");
    let mut error = Diagnostic::error("spec.x: unknown field").at(&source, Span::new(18, 19)).with_help("remove it");
    error.code = Some("EV105");
    let mut details = Details::default();
    details.add(ExampleId::new("examples/broken.yaml"), vec![error]);
    details
}

#[test]
fn a_static_run_reads_from_the_list_to_what_is_to_be_done() {
    assert_snapshot!(shown(rows(), &details(), Options::default()), @"
        FAIL [   0.005s] basic  examples/broken.yaml (PyTorchJob/x)  1 error
             error[EV105] line 3: spec.x: unknown field
        PASS [   0.005s] basic  examples/etcd.yaml (support file)
        SKIP [   0.005s] basic  examples/gpu.yaml (PyTorchJob/x)
             needs nvidia.com/gpu, which no node of this run has
        PASS [   0.005s] basic  examples/remarked.yaml (PyTorchJob/x)  3 warnings, 1 note
             warning[EV302] line 12: no tag (and 2 more, at lines 30 and 48)
             note[EV501] line 4: namespace is rewritten
        FAIL [   0.005s] basic  examples/spared.yaml (PyTorchJob/x) [quarantined]  1 error
             error[EV105] line 3: spec.x: unknown field

        FAIL [   0.005s] basic  examples/spared.yaml (PyTorchJob/x) [quarantined]  1 error
    error[EV105]: examples/spared.yaml:3:5: spec.x: unknown field (help: remove it)

        FAIL [   0.005s] basic  examples/broken.yaml (PyTorchJob/x)  1 error
    error[EV105]: spec.x: unknown field
     --> examples/broken.yaml:3:5
      |
    3 |     x: 1
      |     ^
      |
      = help: remove it
    ────────────
     Summary [   0.021s] 5 examples: 2 passed, 2 failed (1 quarantined), 1 skipped
             1 quarantined failure does not count.
             What it means and how to mend it: example-validator explain EV105
             Built-in kinds were checked by the schemas of Kubernetes v1.37.
    ");
}

#[test]
fn what_the_manifest_has_wrong_is_told_once_for_all_versions() {
    let on =
        |kubernetes: &str| Row { kubernetes: Some(kubernetes.to_owned()), ..sample::broken("examples/broken.yaml") };
    let options = Options { quiet: true, ..Options::default() };
    assert_snapshot!(shown(vec![on("v1.33.4"), on("v1.34.0")], &Details::default(), options), @"
        FAIL [   0.005s] basic  v1.33.4  examples/broken.yaml (PyTorchJob/x)  1 error
        FAIL [   0.005s] basic  v1.34.0  examples/broken.yaml (PyTorchJob/x)  1 error
    error[EV105]: examples/broken.yaml:3:5: spec.x: unknown field (help: remove it)
    ────────────
     Summary [   0.021s] 1 example on v1.33.4 and v1.34.0 (2 results): 0 passed, 2 failed, 0 skipped
             What it means and how to mend it: example-validator explain EV105
             Built-in kinds were checked by the schemas of Kubernetes v1.37.
    ");
}

#[test]
fn quiet_leaves_failures_and_the_summary() {
    let options = Options { quiet: true, ..Options::default() };
    assert_snapshot!(shown(rows(), &Details::default(), options), @"
        FAIL [   0.005s] basic  examples/spared.yaml (PyTorchJob/x) [quarantined]  1 error
    error[EV105]: examples/spared.yaml:3:5: spec.x: unknown field (help: remove it)

        FAIL [   0.005s] basic  examples/broken.yaml (PyTorchJob/x)  1 error
    error[EV105]: examples/broken.yaml:3:5: spec.x: unknown field (help: remove it)
    ────────────
     Summary [   0.021s] 5 examples: 2 passed, 2 failed (1 quarantined), 1 skipped
             1 quarantined failure does not count.
             What it means and how to mend it: example-validator explain EV105
             Built-in kinds were checked by the schemas of Kubernetes v1.37.
    ");
}

#[test]
fn cells_show_their_version_and_what_holds_for_all_versions_once() {
    let mut basic = sample::row("examples/a.yaml", Outcome::Passed);
    basic.objects.push("Job/y".to_owned());
    basic.support = true;
    let mut flaky = sample::slow("examples/slow.yaml", "v1.34.0");
    (flaky.outcome, flaky.attempts[1].outcome) = (Outcome::Flaky, Outcome::Passed);
    flaky.tier = Tier::Periodic;
    let rows = vec![basic, sample::slow("examples/slow.yaml", "v1.9.0"), flaky];
    assert_snapshot!(shown(rows, &Details::default(), Options::default()), @"
        PASS [   0.005s] basic     -        examples/a.yaml (PyTorchJob/x and 1 more, support file)
     TIMEOUT [ 900.120s] full      v1.9.0   examples/slow.yaml (PyTorchJob/x)  2 attempts, 1 warning
             warning[EV302] line 9: image `x` has no tag
       FLAKY [ 900.120s] periodic  v1.34.0  examples/slow.yaml (PyTorchJob/x)  2 attempts, 1 warning

       FLAKY [ 900.120s] periodic  v1.34.0  examples/slow.yaml (PyTorchJob/x)  2 attempts, 1 warning
       cause: timeout/Timeout: not finished after 15m
        hint: raise `timeout`
      object: Pod/x-worker-0
          at: examples/slow.yaml:1
    attempts: timed out, then passed
       check: logs failed: no line matches
    evidence: v1.34.0/examples/slow.yaml

     TIMEOUT [ 900.120s] full      v1.9.0   examples/slow.yaml (PyTorchJob/x)  2 attempts, 1 warning
       cause: timeout/Timeout: not finished after 15m
        hint: raise `timeout`
      object: Pod/x-worker-0
          at: examples/slow.yaml:1
    attempts: timed out, then timed out
    versions: timed out on v1.9.0 alone, passed on v1.34.0
       check: logs failed: no line matches
    evidence: v1.9.0/examples/slow.yaml
    ────────────
     Summary [   0.021s] 2 examples on v1.9.0 and v1.34.0 (3 results): 1 passed, 1 flaky, 0 failed, 1 timed out, 0 skipped
             Logs, events and objects are in evidence.zip of the output folder, under the paths named above.
             Built-in kinds were checked by the schemas of Kubernetes v1.37.
    ");
}

#[test]
fn a_log_has_groups_and_annotations_and_obeys_no_text_of_others() {
    let mut row = sample::broken("examples/##[group]x.yaml");
    row.diagnostics[0].message = "\u{1b}[31m\n::error::x".to_owned();
    let options = Options { github: Some(""), ..Options::default() };
    assert_snapshot!(shown(vec![row], &Details::default(), options), @"
    ::group::1 example
        FAIL [   0.005s] basic  examples/## [group]x.yaml (PyTorchJob/x)  1 error
             error[EV105] line 3: ␛[31m␊::error::x
    ::endgroup::

        FAIL [   0.005s] basic  examples/## [group]x.yaml (PyTorchJob/x)  1 error
       cause: manifest/EV105: spec.x: unknown field
        hint: remove it
      object: PyTorchJob/x
          at: examples/## [group]x.yaml:3
    error[EV105]: examples/## [group]x.yaml:3:5: ␛[31m␊::error::x (help: remove it)
    ::error file=examples/##[group]x.yaml,line=3,endLine=3,col=5,title=EV105::␛[31m␊::error::x%0Ahelp: remove it
    ────────────
     Summary [   0.021s] 1 example: 0 passed, 1 failed, 0 skipped
             What it means and how to mend it: example-validator explain EV105
             Built-in kinds were checked by the schemas of Kubernetes v1.37.
    ");
}

fn on_two_versions() -> Vec<Row> {
    let mut passed = sample::slow("examples/slow.yaml", "v1.9.0");
    (passed.outcome, passed.cause) = (Outcome::Passed, None);
    let mut flaky = sample::slow("examples/flaky.yaml", "v1.34.0");
    (flaky.outcome, flaky.attempts[1].outcome) = (Outcome::Flaky, Outcome::Passed);
    flaky.checks.clear();
    let mut cancelled = sample::slow("examples/z.yaml", "v1.34.0");
    (cancelled.outcome, cancelled.reason) = (Outcome::Skipped, "cancelled before its turn".to_owned());
    (cancelled.cause, cancelled.evidence) = (None, None);
    cancelled.attempts.clear();
    vec![passed, sample::slow("examples/slow.yaml", "v1.34.0"), flaky, cancelled]
}

#[test]
fn a_simulated_run_of_cells_that_were_told_leaves_the_rest_with_logs_and_says_what_it_is() {
    let run = Run { duration_ms: 21, simulated: true, ..Run::default() };
    let lines = vec!["Traceback (most recent call last):".to_owned(), "::error::\u{1b}[31mboom".to_owned()];
    let log = LogTail { of: "Pod/x-worker-0, container pytorch".to_owned(), lines };
    let mut rows = on_two_versions();
    let blamed =
        |row: &&mut Row| row.example.as_str() == "examples/slow.yaml" && row.kubernetes.as_deref() == Some("v1.34.0");
    rows.iter_mut().filter(blamed).for_each(|row| row.log = Some(log.clone()));
    let report = Report::new(run, vec![], vec![], rows, &[Outcome::TimedOut]).cancelled();
    let mut out = Vec::new();
    write_rest(&mut out, &report, &Details::default(), Options::default()).unwrap();
    assert_snapshot!(String::from_utf8(out).unwrap(), @"
        SKIP [ 900.120s] full  v1.34.0  examples/z.yaml (PyTorchJob/x)  1 warning
             cancelled before its turn
             warning[EV302] line 9: image `x` has no tag

       FLAKY [ 900.120s] full  v1.34.0  examples/flaky.yaml (PyTorchJob/x)  2 attempts, 1 warning
       cause: timeout/Timeout: not finished after 15m
        hint: raise `timeout`
      object: Pod/x-worker-0
          at: examples/flaky.yaml:1
    attempts: timed out, then passed
    evidence: v1.34.0/examples/flaky.yaml

     TIMEOUT [ 900.120s] full  v1.34.0  examples/slow.yaml (PyTorchJob/x)  2 attempts, 1 warning
       cause: timeout/Timeout: not finished after 15m
        hint: raise `timeout`
      object: Pod/x-worker-0
          at: examples/slow.yaml:1
    attempts: timed out, then timed out
    versions: timed out on v1.34.0 alone, passed on v1.9.0
       check: logs failed: no line matches
    evidence: v1.34.0/examples/slow.yaml
         log: the last 2 lines of Pod/x-worker-0, container pytorch
             | Traceback (most recent call last):
             | ::error::␛[31mboom
    ────────────
     Summary [   0.021s] 3 examples on v1.9.0 and v1.34.0 (4 results): 1 passed, 1 flaky, 0 failed, 1 timed out, 1 skipped
             The run was cancelled: what is missing here was not judged.
             Simulated: no real cluster was used, so that nothing here says whether the examples work.
             For real: `--cluster kind` (needs a Docker engine), or `--cluster existing` (needs a kubeconfig).
             Logs, events and objects are in evidence.zip of the output folder, under the paths named above.
    ");
    let mut out = Vec::new();
    write(&mut out, &report, &Details::default(), Options { quiet: true, ..Options::default() }).unwrap();
    assert!(String::from_utf8(out).unwrap().starts_with("Simulated: no real cluster was used"));
}

#[test]
fn no_examples_are_told_with_what_to_do() {
    assert_snapshot!(shown(vec![], &Details::default(), Options::default()), @"
    ────────────
     Summary [   0.021s] 0 examples: 0 passed, 0 failed, 0 skipped
             No examples were found: see `examples` in the config, or name files and folders as arguments.
             Built-in kinds were checked by the schemas of Kubernetes v1.37.
    ");
}

#[test]
fn that_nothing_ran_on_a_cluster_stands_at_the_end() {
    let mut row = sample::row("examples/a.yaml", Outcome::Skipped);
    (row.kubernetes, row.reason) = (Some("v1.34.0".to_owned()), "no cluster can be made: no `docker`".to_owned());
    let text = shown(vec![row.clone()], &Details::default(), Options { quiet: true, ..Options::default() });
    assert!(text.contains("Nothing ran on a cluster: no cluster can be made: no `docker`"), "{text}");
    row.attempts = sample::slow("b", "v1.34.0").attempts;
    let text = shown(vec![row], &Details::default(), Options::default());
    assert!(!text.contains("Nothing ran on a cluster"), "{text}");
}

#[test]
fn waiting_for_namespaces_to_go_is_told_where_it_took_long() {
    let shown = |waited: u64| {
        let mut report = sample::report();
        report.clusters[0].phases.insert("cleanupMs".to_owned(), waited.into());
        let mut out = Vec::new();
        write(&mut out, &report, &Details::default(), Options::default()).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert!(shown(35_100).contains("35 s of it waiting for namespaces to be deleted."));
    assert!(!shown(900).contains("namespaces"));
}

#[test]
fn colours_are_only_there_when_asked_for() {
    let options = Options { colored: true, ..Options::default() };
    assert!(shown(rows(), &details(), options).contains("\u{1b}[1m\u{1b}[31m    FAIL\u{1b}[0m ["));
    assert!(!shown(rows(), &details(), Options::default()).contains('\u{1b}'));
}
