//! Checks from their config to their results.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::Command;
use crate::model::ExampleId;

/// A workspace in which `run` checks start.
struct World {
    folder: tempfile::TempDir,
    example: ExampleId,
    environment: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    cancel: CancellationToken,
    timeout: Duration,
}

const KUBECONFIG: &str = "current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n\
                          clusters: [{name: c, cluster: {server: 'https://127.0.0.1:6443'}}]\nusers: [{name: u, user: {}}]\n";

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for inside in ["root", "scratch", "evidence"] {
            std::fs::create_dir(folder.path().join(inside)).unwrap();
        }
        std::fs::write(folder.path().join("config"), KUBECONFIG).unwrap();
        std::fs::write(folder.path().join("root/a.yaml"), "kind: Job\n").unwrap();
        let mut environment: Vec<_> = std::env::vars_os().collect();
        environment.push(("GITHUB_TOKEN".into(), "hidden".into()));
        let (example, cancel) = (ExampleId::new("a.yaml"), CancellationToken::new());
        Self { folder, example, environment, cancel, timeout: Duration::from_secs(30) }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    async fn evaluate(&self, checks: &Checks, facts: &Facts<'_>) -> (Vec<CheckResult>, Option<Cause>) {
        let mut results = Vec::new();
        let cause = self.evaluate_each(checks, facts, |result| results.push(result)).await;
        (results, cause)
    }

    async fn evaluate_each(
        &self,
        checks: &Checks,
        facts: &Facts<'_>,
        decided: impl FnMut(CheckResult),
    ) -> Option<Cause> {
        let (root, path, config) = (self.path("root"), self.path("root/a.yaml"), self.path("config"));
        let (evidence, scratch) = (self.path("evidence"), self.path("scratch"));
        let context = RunContext {
            example: &self.example,
            path: &path,
            root: &root,
            namespace: "ev-a",
            kubeconfig: &config,
            evidence: &evidence,
            scratch: &scratch,
            environment: &self.environment,
            metrics: None,
            timeout: self.timeout,
            cancel: &self.cancel,
            redact: &|text| text.replace("s3cret", "***"),
        };
        checks.evaluate_each(facts, &context, decided).await
    }
}

fn logs(container: Option<&str>, matches: Option<&str>, absent: Option<&str>) -> Check {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Check::Logs { container: owned(container), matches: owned(matches), absent: owned(absent) }
}

fn at_least(name: &str, min: f64) -> Check {
    Check::Value { name: name.to_owned(), min: Some(min), max: None, equals: None }
}

fn event(reason: &str, absent: bool) -> Check {
    Check::Event { reason: reason.to_owned(), absent }
}

fn sh(line: &str) -> Check {
    Check::Run(Command::Shell(line.to_owned()))
}

/// The only result of one check, after these lines of pod, container and text.
async fn one(check: Check, lines: &[(&str, &str, &str)], facts: &Facts<'_>) -> (CheckResult, Option<Cause>) {
    let (mut results, cause) = all(vec![check], lines, facts).await;
    assert_eq!(results.len(), 1);
    (results.remove(0), cause)
}

async fn all(checks: Vec<Check>, lines: &[(&str, &str, &str)], facts: &Facts<'_>) -> (Vec<CheckResult>, Option<Cause>) {
    let checks = Checks::new(&checks).unwrap();
    for (pod, container, line) in lines {
        checks.scan().line(pod, container, line);
    }
    World::new().evaluate(&checks, facts).await
}

const ACCURACY: &str = r"accuracy=(?P<accuracy>\S+)";

#[tokio::test]
async fn a_value_out_of_bounds_fails_with_value_bound_and_place() {
    let checks = vec![logs(None, Some(ACCURACY), None), at_least("accuracy", 0.9)];
    let lines = [("x", "pytorch", "accuracy=0.95"), ("x", "pytorch", "\x1b[32maccuracy=0.87\x1b[0m")];
    let object = json!({"kind": "PyTorchJob", "metadata": {"name": "train"}});
    let (results, cause) = all(checks, &lines, &Facts { object: Some(&object), ..Facts::default() }).await;
    let outcomes: Vec<_> =
        results.iter().map(|result| (result.check.as_str(), result.outcome.as_str(), result.value)).collect();
    assert_eq!(outcomes, [("logs", "passed", Some(0.87)), ("value", "failed", Some(0.87))]);
    let cause = cause.unwrap();
    assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Assertion, "ValueOutOfBounds"));
    assert_eq!(cause.message, "value `accuracy` is 0.87, expected at least 0.9 (caught in Pod/x container `pytorch`)");
    assert_eq!((cause.object.as_str(), cause.file.as_str()), ("PyTorchJob/train", "a.yaml"));
}

#[tokio::test]
async fn a_value_that_was_not_caught_fails_with_those_that_were() {
    let checks = vec![logs(None, Some(r"loss=(?P<loss>\S+)"), None), at_least("accuracy", 0.9)];
    let (results, _) = all(checks, &[("x", "main", "loss=0.3")], &Facts::default()).await;
    assert_eq!(results[1].message, "value `accuracy` was not caught in any log; caught were `loss` = `0.3`");
    let checks = vec![logs(None, Some(ACCURACY), None), at_least("accuracy", 0.9)];
    let (results, _) = all(checks, &[("x", "main", "accuracy=high")], &Facts::default()).await;
    assert!(results[1].message.contains("`high`, which is no number"), "{}", results[1].message);
}

#[tokio::test]
async fn logs_that_do_not_match_say_what_was_searched_and_what_came_near() {
    let check = || logs(None, Some(ACCURACY), None);
    let lines = [("x", "main", "starting"), ("x", "main", "Accuracy: 0.93"), ("y", "proxy", "ready")];
    let (result, cause) = one(check(), &lines, &Facts::default()).await;
    assert_eq!(
        result.message,
        format!("no line matched `{ACCURACY}` in 3 lines of `main`, `proxy`; the nearest is `Accuracy: 0.93`")
    );
    assert_eq!(cause.unwrap().reason, "LogsDidNotMatch");
    let (result, cause) = one(check(), &[], &Facts::default()).await;
    assert_eq!(result.message, format!("no line matched `{ACCURACY}` in 0 lines"));
    assert!(cause.unwrap().hint.contains("PYTHONUNBUFFERED"));
}

#[tokio::test]
async fn a_container_narrows_the_search() {
    let lines = [("x", "sidecar", "Traceback"), ("x", "main", "done")];
    let (any, _) = one(logs(None, None, Some("Traceback")), &lines, &Facts::default()).await;
    assert_eq!(
        (any.outcome.as_str(), any.message.as_str()),
        ("failed", "container `sidecar` of Pod/x logged `Traceback`, which `absent: Traceback` forbids")
    );
    let (main, _) = one(logs(Some("main"), None, Some("Traceback")), &lines, &Facts::default()).await;
    assert_eq!((main.outcome.as_str(), main.message.as_str()), ("passed", "not in 1 line of `main`"));
}

#[tokio::test]
async fn a_container_that_no_pod_has_never_passes() {
    let pods = [Arc::new(json!({"spec": {"containers": [{"name": "pytorch"}], "initContainers": [{"name": "init"}]}}))];
    let facts = Facts { pods: &pods, ..Facts::default() };
    let (result, cause) = one(logs(Some("pytroch"), None, Some("Traceback")), &[("x", "pytorch", "a")], &facts).await;
    assert_eq!(result.message, "no pod has a container `pytroch`; there are `init`, `pytorch`");
    assert_eq!(cause.unwrap().hint, "did you mean `pytorch`?");
    let (silent, _) = one(logs(Some("init"), None, Some("Traceback")), &[("x", "pytorch", "a")], &facts).await;
    assert_eq!(silent.outcome, "passed");
}

#[tokio::test]
async fn lost_logs_make_what_was_not_found_inconclusive() {
    let facts = Facts { logs_lost: Some("Pod/x was deleted"), ..Facts::default() };
    let checks = vec![
        logs(None, Some(ACCURACY), None),
        at_least("accuracy", 0.9),
        logs(None, None, Some("Traceback")),
        logs(None, Some("done"), None),
        logs(None, None, Some("done")),
    ];
    let (results, cause) = all(checks, &[("x", "main", "done")], &facts).await;
    let outcomes: Vec<_> = results.iter().map(|result| result.outcome.as_str()).collect();
    assert_eq!(outcomes, ["inconclusive", "inconclusive", "inconclusive", "passed", "failed"]);
    assert_eq!(cause.unwrap().reason, "LogsForbidden");
}

#[tokio::test]
async fn cel_says_what_was_there() {
    let object = json!({"status": {"replicaStatuses": {"Worker": {"succeeded": 0}}, "conditions": [{"type": "Running", "status": "True"}]}});
    let facts = Facts { object: Some(&object), ..Facts::default() };
    for (text, reason, message) in [
        (
            "object.status.replicaStatuses.Worker.succeeded == 1",
            "CelNotTrue",
            "is false: `object.status.replicaStatuses.Worker.succeeded` is 0",
        ),
        (
            "object.status.replicaStatuses.Master.succeeded == 1",
            "CelKeyMissing",
            "`object.status.replicaStatuses` has no `Master`, it has Worker",
        ),
        ("conditions.Succeeded == 'True'", "CelKeyMissing", "no `Succeeded`, it has Running: True"),
        (
            "object.status.conditions[3].type == 'x'",
            "CelKeyMissing",
            "`object.status.conditions` has no `3`, it has 1 item",
        ),
        ("object.status > 1", "CelFailed", "`object.status` is {"),
        ("object.status.conditions.exists(c, c.type == 'Done')", "CelNotTrue", "`object.status.conditions` is [{"),
    ] {
        let (result, cause) = one(Check::Cel(text.to_owned()), &[], &facts).await;
        assert!(result.message.contains(message), "{text}: {}", result.message);
        assert_eq!(cause.unwrap().reason, reason, "{text}");
    }
    let holds = Check::Cel("object.status.replicaStatuses.Worker.succeeded == 0".to_owned());
    assert_eq!(one(holds.clone(), &[], &facts).await.0.outcome, "passed");
    assert_eq!(one(holds, &[], &Facts::default()).await.0.outcome, "failed");
}

#[tokio::test]
async fn events_are_looked_for_among_all() {
    let events = [
        Arc::new(
            json!({"reason": "PyTorchJobSucceeded", "involvedObject": {"kind": "PyTorchJob", "name": "t"}, "message": "done"}),
        ),
        Arc::new(json!({"reason": "FailedMount", "regarding": {"kind": "Pod", "name": "p"}, "note": "no volume"})),
    ];
    let facts = Facts { events: &events, ..Facts::default() };
    assert_eq!(
        one(event("PyTorchJobSucceeded", false), &[], &facts).await.0.message,
        "`PyTorchJobSucceeded` of PyTorchJob/t: done"
    );
    let (result, cause) = one(event("PyTorchJobSuceeded", false), &[], &facts).await;
    assert!(result.message.ends_with("seen were FailedMount, PyTorchJobSucceeded"), "{}", result.message);
    assert_eq!(cause.unwrap().hint, "did you mean `PyTorchJobSucceeded`?");
    let (result, _) = one(event("FailedMount", true), &[], &facts).await;
    assert_eq!(
        (result.outcome.as_str(), result.message.as_str()),
        ("failed", "there was an event that must not be: `FailedMount` of Pod/p: no volume")
    );
    let checks = Checks::new(&[event("Later", false), event("Never", true)]).unwrap();
    assert!(checks.awaits_event(&events));
    assert!(!Checks::new(&[event("FailedMount", false)]).unwrap().awaits_event(&events));
}

#[tokio::test]
async fn a_program_sees_its_variables_and_no_token() {
    let world = World::new();
    let checks = Checks::new(&[
        sh("test -f \"$KUBECONFIG\" && test -d \"$EVIDENCE_DIR\" && pwd && echo $NAMESPACE $EXAMPLE ${GITHUB_TOKEN:-none} s3cret"),
        Check::Run(Command::Argv(vec!["sh".to_owned(), "-c".to_owned(), "echo first; echo s3cret why >&2; exit 3".to_owned()])),
        sh("sh -c 'exit 0'"),
    ])
    .unwrap();
    let (results, cause) = world.evaluate(&checks, &Facts::default()).await;
    assert_eq!((results[0].outcome.as_str(), results[0].message.as_str()), ("passed", "ev-a a.yaml none ***"));
    let cause = cause.unwrap();
    assert_eq!(cause.reason, "CheckExited");
    assert!(cause.message.ends_with("ended with exit code 3: *** why"), "{}", cause.message);
    assert_eq!(results[2].outcome, "passed");
    let output = std::fs::read_to_string(world.path("evidence/check-2.log")).unwrap();
    assert_eq!(output, "first\n*** why\n");
    assert!(std::fs::read_to_string(world.path("evidence/check-1.log")).unwrap().contains("root\n"));
}

#[tokio::test]
async fn a_program_that_misses_another_fails_and_says_where_it_ran() {
    let world = World::new();
    for (line, told) in
        [("no-such-program-of-ours | cat; exit 127", true), ("no-such-program-of-ours", true), ("exit 126", false)]
    {
        let (results, cause) = world.evaluate(&Checks::new(&[sh(line)]).unwrap(), &Facts::default()).await;
        let cause = cause.unwrap();
        assert_eq!((results[0].outcome.as_str(), cause.reason.as_str()), ("failed", "CheckExited"), "{line}");
        assert_eq!(cause.hint.contains("a program was not found"), told, "{line}: {}", cause.hint);
    }
}

#[tokio::test]
async fn a_program_that_does_not_end_is_killed_with_what_it_started() {
    let mut world = World::new();
    world.timeout = Duration::from_secs(5);
    let checks = Checks::new(&[sh("echo begun; sleep 300 & sleep 300; echo never")]).unwrap();
    let began = Instant::now();
    let (results, _) = world.evaluate(&checks, &Facts::default()).await;
    assert_eq!(results[0].outcome, "failed");
    assert!(results[0].message.ends_with("did not end within 5s: begun"), "{}", results[0].message);
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn cancelling_ends_a_program_without_a_verdict() {
    let world = World::new();
    world.cancel.cancel();
    let checks = Checks::new(&[sh("sleep 300")]).unwrap();
    let (results, cause) = world.evaluate(&checks, &Facts::default()).await;
    assert_eq!((results[0].outcome.as_str(), cause), ("inconclusive", None));
}

#[tokio::test]
async fn what_was_decided_is_known_though_the_rest_never_is() {
    let world = World::new();
    let checks = Checks::new(&[sh("exit 4"), sh("sleep 300"), sh("true")]).unwrap();
    let (results, is_decided) = (std::cell::RefCell::new(Vec::new()), tokio::sync::Notify::new());
    let facts = Facts::default();
    let all = world.evaluate_each(&checks, &facts, |result| {
        results.borrow_mut().push(result.outcome);
        is_decided.notify_one();
    });
    tokio::select! {
        _ = all => panic!("one of them never ends"),
        () = is_decided.notified() => {}
    }
    assert_eq!(results.into_inner(), ["failed"]);
}

#[test]
fn many_tasks_may_scan_at_once() {
    let checks = Checks::new(&[logs(Some("main"), Some("end=(?P<end>true)"), Some("Traceback"))]).unwrap();
    std::thread::scope(|scope| {
        for pod in 0..8 {
            let scan = checks.scan();
            scope.spawn(move || {
                for line in 0..1_000 {
                    scan.line(&format!("pod-{pod}"), "main", if line == 999 { "end=true" } else { "step" });
                }
            });
        }
    });
    let seen = checks.scan.seen(0);
    assert_eq!((seen.lines["main"], seen.forbidden), (8_000, None));
    assert_eq!(checks.scan.caught()["end"].text, "true");
}

#[test]
fn a_bad_pattern_is_an_error_of_ours() {
    assert!(Checks::new(&[logs(None, Some("("), None)]).is_err());
    assert!(Checks::new(&[Check::Cel("object.".to_owned())]).is_err());
    assert!(Checks::new(&[]).unwrap().scan().is_empty());
}

proptest! {
    #[test]
    fn any_line_can_be_scanned(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let scan = LogScan::new(&[logs(None, Some("(?s)(?P<all>.*)"), Some(r"\x00"))]).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for line in text.split('\n') {
            scan.line(&text, line, line);
        }
        let seen = scan.seen(0);
        prop_assert!(seen.matched.is_some_and(|place| place.line.chars().count() <= 160));
        prop_assert!(scan.caught()["all"].text.chars().count() <= 200);
    }
}

#[test]
fn what_did_not_happen_says_nothing_where_not_everything_could() {
    let why = Some("2 of 3 examples were not tried");
    for reason in ["MetricDidNotRise", "MetricAbsent", "LogsDidNotMatch", "EventMissing"] {
        let found = Finding::failed(reason, "none", "");
        assert_eq!(
            found.clone().excused(why),
            Finding::Inconclusive("2 of 3 examples were not tried; none".to_owned())
        );
        assert_eq!(found.clone().excused(None), found);
    }
    for reason in ["MetricRose", "LogsForbidden", "EventForbidden"] {
        let found = Finding::failed(reason, "there", "");
        assert_eq!(found.clone().excused(why), found, "{reason} did happen");
    }
}
