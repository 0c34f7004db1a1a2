use std::cell::{Cell as Counter, RefCell};
use std::collections::BTreeMap;

use super::testing::{example, node};
use super::*;
use crate::config::Quarantine;
use crate::model::Outcome::{Errored, Failed, Passed, Skipped, TimedOut};
use crate::model::{Cause, CauseClass};
use crate::report::{self, Attempt, CheckResult};

const JOB: &str = "# a comment\napiVersion: batch/v1\nkind: Job\nmetadata: {name: train}\n";
const FAIL_ON: &[Outcome] = &[Outcome::Failed, Outcome::TimedOut, Outcome::Errored];

/// How an attempt ends.
type End = (Outcome, Option<CauseClass>);

const PASSED: End = (Outcome::Passed, None);
const FAILED: End = (Outcome::Failed, Some(CauseClass::Runtime));
const ERRORED: End = (Outcome::Errored, Some(CauseClass::Cluster));
const TIMED_OUT: End = (Outcome::TimedOut, Some(CauseClass::Timeout));

fn cause(class: CauseClass, message: &str) -> Cause {
    Cause {
        class,
        reason: "Reason".to_owned(),
        message: message.to_owned(),
        hint: String::new(),
        object: "Pod/train-x7".to_owned(),
        file: String::new(),
        line: 0,
    }
}

fn attempted((outcome, class): End, number: u32, seconds: u64) -> Attempted {
    Attempted {
        attempt: Attempt {
            outcome,
            namespace: format!("ev-{number}"),
            started_at: String::new(),
            phases: serde_json::Map::new(),
        },
        cause: class.map(|class| cause(class, &format!("attempt {number}"))),
        checks: vec![CheckResult {
            check: "logs".to_owned(),
            outcome: "passed".to_owned(),
            message: format!("of attempt {number}"),
            value: None,
        }],
        resources: Some(report::Resources { samples: number, ..report::Resources::default() }),
        duration: Duration::from_secs(seconds),
        evidence: Some(format!("v1/{number}")),
    }
}

fn limits() -> Limits<'static> {
    Limits {
        parallel: NonZeroUsize::new(4),
        max_fail: None,
        failures: Arc::default(),
        fail_on: FAIL_ON,
        deadline: None,
        today: "2026-11-24".parse().unwrap(),
    }
}

fn examples(count: usize) -> Vec<Example> {
    (0..count).map(|index| example(&format!("{index:04}.yaml"), JOB)).collect()
}

fn cells(examples: &[Example]) -> Vec<Cell<'_>> {
    let cell = |example| Cell {
        example,
        kubernetes: "v1.34.0",
        tier: Tier::Full,
        reason: "full: all".to_owned(),
        expected: Duration::from_secs(10),
        diagnostics: Vec::new(),
        locks: BTreeSet::new(),
        alone: false,
        request: Resources::default(),
        pods: 1,
        gates: Vec::new(),
    };
    examples.iter().map(cell).collect()
}

/// Runs cells whose attempts each take ten seconds and end as `ends` says for the cell's id; without an entry they pass.
async fn played(cells: &[Cell<'_>], limits: &Limits<'_>, ends: &BTreeMap<&str, Vec<End>>) -> Vec<Row> {
    let attempt = async |cell: &Cell<'_>, turn: Turn| {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let number = turn.number as usize;
        let end = ends.get(cell.example.id.as_str()).map_or(PASSED, |ends| ends[number - 1]);
        attempted(end, turn.number, 10)
    };
    run(cells, &[], limits, &CancellationToken::new(), attempt, |_| {}).await
}

/// The row of one cell whose attempts end so.
async fn row_of(retries: u32, ends: &[End]) -> Row {
    let mut examples = examples(1);
    examples[0].settings.retries = retries;
    let ends = BTreeMap::from([("0000.yaml", ends.to_vec())]);
    played(&cells(&examples), &limits(), &ends).await.remove(0)
}

fn outcomes(rows: &[Row]) -> Vec<Outcome> {
    rows.iter().map(|row| row.outcome).collect()
}

#[tokio::test(start_paused = true)]
async fn a_row_tells_the_cell_and_what_became_of_it() {
    let row = row_of(0, &[FAILED]).await;
    assert_eq!((row.example.as_str(), row.kubernetes.as_deref(), row.tier), ("0000.yaml", Some("v1.34.0"), Tier::Full));
    assert_eq!((row.reason.as_str(), row.objects.as_slice()), ("full: all", &["Job/train".to_owned()][..]));
    assert_eq!((row.outcome, row.duration_ms, row.attempts.len()), (Outcome::Failed, 10_000, 1));
    assert_eq!((row.checks.len(), row.evidence.as_deref()), (1, Some("v1/1")));
    let cause = row.cause.unwrap();
    assert_eq!((cause.file.as_str(), cause.line, cause.object.as_str()), ("0000.yaml", 2, "Pod/train-x7"));
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_several_attempts_follows_the_design() {
    for (ends, outcome, told) in [
        (&[PASSED][..], Outcome::Passed, None),
        (&[FAILED, PASSED], Outcome::Flaky, Some("attempt 1")),
        (&[TIMED_OUT, PASSED], Outcome::Flaky, Some("attempt 1")),
        (&[ERRORED, PASSED], Outcome::Passed, None),
        (&[FAILED, ERRORED, PASSED], Outcome::Flaky, Some("attempt 1")),
        (&[FAILED, TIMED_OUT, FAILED], Outcome::Failed, Some("attempt 3")),
        (&[FAILED, ERRORED, ERRORED], Outcome::Failed, Some("attempt 1")),
        (&[ERRORED, ERRORED, TIMED_OUT], Outcome::TimedOut, Some("attempt 3")),
        (&[ERRORED, ERRORED, ERRORED], Outcome::Errored, Some("attempt 3")),
    ] {
        let row = row_of(2, ends).await;
        assert_eq!((row.outcome, row.attempts.len()), (outcome, ends.len()), "{ends:?}");
        assert_eq!(row.cause.map(|cause| cause.message).as_deref(), told, "{ends:?}");
        assert_eq!(row.duration_ms, 10_000 * ends.len() as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn a_flaky_row_has_the_evidence_of_its_failure_and_the_checks_of_its_pass() {
    let row = row_of(1, &[FAILED, PASSED]).await;
    assert_eq!((row.evidence.as_deref(), row.checks[0].message.as_str()), (Some("v1/1"), "of attempt 2"));
    assert_eq!(row.resources.unwrap().samples, 2);
}

#[tokio::test(start_paused = true)]
async fn only_what_a_retry_may_mend_is_tried_again() {
    for class in CauseClass::ALL {
        let again = matches!(class, CauseClass::Runtime | CauseClass::Timeout | CauseClass::Assertion);
        for outcome in [Outcome::Failed, Outcome::TimedOut] {
            let row = row_of(1, &[(outcome, Some(*class)), PASSED]).await;
            assert_eq!(row.attempts.len(), if again { 2 } else { 1 }, "{outcome} {class}");
        }
        let row = row_of(1, &[(Outcome::Errored, Some(*class)), PASSED]).await;
        assert_eq!(row.attempts.len(), 2, "errored {class}");
    }
    assert_eq!(row_of(0, &[FAILED]).await.attempts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cause_of_the_cluster_points_at_no_line_of_a_manifest() {
    let cause = row_of(0, &[ERRORED]).await.cause.unwrap();
    assert_eq!((cause.file.as_str(), cause.line), ("", 0));
}

#[tokio::test(start_paused = true)]
async fn of_several_objects_the_one_that_the_pod_came_from_is_pointed_at() {
    let text = "kind: Job\nmetadata: {name: a}\n---\nkind: Job\nmetadata: {name: train}\n---\nkind: Job\nmetadata: {name: train-x}\n";
    let examples = vec![example("0000.yaml", text)];
    let ends = BTreeMap::from([("0000.yaml", vec![FAILED, FAILED])]);
    let rows = played(&cells(&examples), &limits(), &ends).await;
    assert_eq!(rows[0].cause.as_ref().map(|cause| cause.line), Some(4));
}

#[tokio::test(start_paused = true)]
async fn no_more_cells_run_at_once_than_may_and_each_knows_of_the_others() {
    let examples = examples(9);
    let cells = cells(&examples);
    let (now, most) = (Counter::new(0), Counter::new(0));
    let last_alone = Counter::new(false);
    let attempt = async |cell: &Cell<'_>, turn: Turn| {
        now.set(now.get() + 1);
        most.set(most.get().max(now.get()));
        let longest = cell.example.id.as_str() == "0008.yaml";
        tokio::time::sleep(Duration::from_secs(10)).await;
        let mut others = turn.others_hold_room;
        if longest {
            // It began beside others; at the end it hears that they are gone.
            others.wait_for(|others| !others).await.unwrap();
            last_alone.set(now.get() == 1);
        }
        now.set(now.get() - 1);
        attempted(PASSED, 1, 10)
    };
    let mut seen = Vec::new();
    let cancel = CancellationToken::new();
    let rows = run(&cells, &[], &limits(), &cancel, attempt, |row| seen.push(row.example.as_str().to_owned())).await;
    assert_eq!((most.get(), rows.len(), seen.len()), (4, 9, 9));
    assert!(last_alone.get());
    assert_eq!(seen.last().map(String::as_str), Some("0008.yaml"));
    assert!(rows.is_sorted_by_key(|row| row.example.clone()), "rows are in the order of the cells");
}

#[tokio::test(start_paused = true)]
async fn cells_are_packed_onto_the_nodes_and_serialised_by_their_locks() {
    let examples = examples(4);
    let mut cells = cells(&examples);
    cells[0].request.cpu = crate::quantity::Quantity::from_units(3);
    cells[1].request.cpu = crate::quantity::Quantity::from_units(3);
    cells[2].locks.insert("ClusterRole/x".to_owned());
    cells[3].locks.insert("ClusterRole/x".to_owned());
    let starts = RefCell::new(BTreeMap::new());
    let began = Instant::now();
    let attempt = async |cell: &Cell<'_>, turn: Turn| {
        starts.borrow_mut().insert(cell.example.id.to_string(), began.elapsed().as_secs());
        tokio::time::sleep(Duration::from_secs(10)).await;
        attempted(PASSED, turn.number, 10)
    };
    run(&cells, &[node(4_000, 1_024, 110)], &limits(), &CancellationToken::new(), attempt, |_| {}).await;
    assert_eq!(starts.into_inner().into_values().collect::<Vec<_>>(), [0, 10, 0, 10]);
}

#[tokio::test(start_paused = true)]
async fn after_so_many_failures_nothing_is_begun_and_what_runs_ends() {
    let mut examples = examples(12);
    for example in &mut examples {
        example.settings.retries = 0;
    }
    let ends = ["0000.yaml", "0001.yaml", "0004.yaml"].map(|id| (id, vec![FAILED])).into_iter().collect();
    let mut limits = limits();
    limits.max_fail = NonZeroUsize::new(2);
    let rows = played(&cells(&examples), &limits, &ends).await;
    assert_eq!(outcomes(&rows)[..5], [Failed, Failed, Passed, Passed, Failed]);
    for row in &rows[5..] {
        assert_eq!(row.outcome, Outcome::Skipped);
        assert_eq!(row.reason, "not begun: 2 failed before its turn (--max-fail 2)");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_count_ends_no_run() {
    let mut examples = examples(8);
    let until = "2026-11-24".parse().unwrap();
    examples[0].settings.quarantine = Some(Quarantine { until, reason: "issue 1".to_owned() });
    let ends = BTreeMap::from([("0000.yaml", vec![FAILED, FAILED]), ("0001.yaml", vec![FAILED, PASSED])]);
    let mut limits = limits();
    limits.max_fail = NonZeroUsize::new(1);
    let rows = played(&cells(&examples), &limits, &ends).await;
    assert_eq!((rows[0].outcome, rows[0].quarantined, rows[1].outcome), (Outcome::Failed, true, Outcome::Flaky));
    assert!(rows[2..].iter().all(|row| row.outcome == Outcome::Passed));
    // Of the same run another cluster has used up what may fail.
    limits.failures.store(1, Ordering::Relaxed);
    let rows = played(&cells(&examples), &limits, &ends).await;
    assert!(rows.iter().all(|row| row.outcome == Outcome::Skipped));
}

/// An attempt that takes its seconds, unless it is told to stop: then it takes one more to clean up.
async fn stoppable(turn: &Turn, seconds: u64, end: End) -> Attempted {
    let began = Instant::now();
    let ended = tokio::time::timeout(Duration::from_secs(seconds), turn.stop.cancelled()).await;
    let ran = began.elapsed().as_secs();
    if ended.is_err() {
        return attempted(end, turn.number, ran);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    Attempted { cause: None, ..attempted((Outcome::Errored, None), turn.number, ran) }
}

/// Runs five cells, two at once, in the order of their places: the first fails after 5 s, all others take 30 s.
async fn interrupted(limits: &Limits<'_>, cancel: &CancellationToken) -> Vec<Row> {
    let examples = examples(5);
    let limits = Limits { parallel: NonZeroUsize::new(2), ..limits.clone() };
    let mut cells = cells(&examples);
    cells[0].expected = Duration::from_secs(99);
    let attempt = async |cell: &Cell<'_>, turn: Turn| {
        if cell.example.id.as_str() == "0000.yaml" && turn.number == 1 {
            return stoppable(&turn, 5, FAILED).await;
        }
        stoppable(&turn, 30, PASSED).await
    };
    run(&cells, &[], &limits, cancel, attempt, |_| {}).await
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_loses_no_verdict_and_begins_nothing() {
    let cancel = CancellationToken::new();
    let began = Instant::now();
    let limits = limits();
    let (rows, ()) = tokio::join!(interrupted(&limits, &cancel), async {
        tokio::time::sleep(Duration::from_secs(12)).await;
        cancel.cancel();
    });
    assert_eq!(began.elapsed(), Duration::from_secs(13), "what runs is awaited, and cleans up");
    assert_eq!(outcomes(&rows), [Failed, Errored, Skipped, Skipped, Skipped]);
    // The second try at the first cell was cut short: its first verdict stands.
    assert_eq!(
        (rows[0].attempts.len(), rows[0].cause.as_ref().map(|cause| cause.class)),
        (2, Some(CauseClass::Runtime))
    );
    let cause = rows[1].cause.as_ref().unwrap();
    assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Internal, "Cancelled"));
    assert_eq!(cause.message, "the run was cancelled after it had run for 12s");
    assert_eq!(rows[4].reason, "cancelled before its turn");
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_what_runs_is_out_of_time_and_what_waits_is_skipped() {
    let limits = Limits { deadline: Some(Instant::now() + Duration::from_secs(3)), ..limits() };
    let rows = interrupted(&limits, &CancellationToken::new()).await;
    assert_eq!(outcomes(&rows), [TimedOut, TimedOut, Skipped, Skipped, Skipped]);
    let cause = rows[0].cause.as_ref().unwrap();
    assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Timeout, "DeadlineReached"));
    assert_eq!(rows[0].attempts.len(), 1, "there is no time for a retry");
    assert_eq!(rows[4].reason, "the run's deadline was reached before its turn");
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_gets_no_turn_leaves_the_failure_and_says_so() {
    let examples = examples(3);
    let cells = cells(&examples);
    let limits =
        Limits { parallel: NonZeroUsize::new(2), deadline: Some(Instant::now() + Duration::from_secs(10)), ..limits() };
    // The first one fails early, and its retry waits behind the third one.
    let attempt = async |cell: &Cell<'_>, turn: Turn| {
        let fails = cell.example.id.as_str() == "0000.yaml";
        stoppable(&turn, if fails { 5 } else { 30 }, FAILED).await
    };
    let rows = run(&cells, &[], &limits, &CancellationToken::new(), attempt, |_| {}).await;
    assert_eq!((rows[0].outcome, rows[0].attempts.len()), (Outcome::Failed, 1));
    assert_eq!(rows[0].reason, "full: all; not tried again: the run's deadline was reached before its turn");
}

#[tokio::test(start_paused = true)]
async fn what_the_cluster_is_to_blame_for_stays_that_when_a_run_is_cancelled() {
    let examples = examples(1);
    let cells = cells(&examples);
    let cancel = CancellationToken::new();
    let attempt = async |_: &Cell<'_>, turn: Turn| {
        turn.stop.cancelled().await;
        attempted(ERRORED, 1, 3)
    };
    let limits = limits();
    let (rows, ()) = tokio::join!(run(&cells, &[], &limits, &cancel, attempt, |_| {}), async { cancel.cancel() });
    assert_eq!(rows[0].cause.as_ref().map(|cause| cause.class), Some(CauseClass::Cluster));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_before_it_begins_skips_everything() {
    let examples = examples(3);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let attempt = async |_: &Cell<'_>, _: Turn| -> Attempted { panic!("nothing may be tried") };
    let mut told = 0;
    let rows = run(&cells(&examples), &[], &limits(), &cancel, attempt, |_| told += 1).await;
    assert_eq!((outcomes(&rows), told), (vec![Outcome::Skipped; 3], 3));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_error_of_ours_and_stops_nothing_else() {
    let examples = examples(3);
    let attempt = async |cell: &Cell<'_>, turn: Turn| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(cell.example.id.as_str() != "0001.yaml", "lost the thread");
        attempted(PASSED, turn.number, 1)
    };
    let rows = run(&cells(&examples), &[], &limits(), &CancellationToken::new(), attempt, |_| {}).await;
    assert_eq!(outcomes(&rows), [Outcome::Passed, Outcome::Errored, Outcome::Passed]);
    let cause = rows[1].cause.as_ref().unwrap();
    assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Internal, "Panic"));
    assert!(cause.message.ends_with(": lost the thread"), "{}", cause.message);
    assert_eq!((rows[1].attempts.len(), rows[1].duration_ms), (2, 2_000));
}

#[tokio::test(start_paused = true)]
async fn thousands_of_cells_come_to_an_end() {
    let examples = examples(2_000);
    let mut cells = cells(&examples);
    for (place, cell) in cells.iter_mut().enumerate() {
        cell.expected = Duration::from_secs(place as u64 % 7);
        cell.request.cpu = crate::quantity::Quantity::from_units(i64::try_from(place % 5).unwrap());
    }
    let ends = BTreeMap::from([("0001.yaml", vec![FAILED, PASSED])]);
    let attempt = async |cell: &Cell<'_>, turn: Turn| {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let end = ends.get(cell.example.id.as_str()).map_or(PASSED, |ends| ends[turn.number as usize - 1]);
        attempted(end, turn.number, 1)
    };
    let nodes = [node(4_000, 1_024, 110)];
    let rows = run(&cells, &nodes, &limits(), &CancellationToken::new(), attempt, |_| {}).await;
    assert_eq!(rows.iter().filter(|row| row.outcome == Outcome::Passed).count(), 1_999);
}

#[tokio::test(start_paused = true)]
async fn a_cell_waits_for_its_gates_and_others_do_not_wait_for_it() {
    let examples = examples(2);
    let mut cells = cells(&examples);
    let (opens, gate) = watch::channel(None);
    cells[0].gates.push(gate);
    let begun = RefCell::new(Vec::new());
    let attempt = |cell: &Cell<'_>, turn: Turn| {
        begun.borrow_mut().push(cell.example.id.as_str().to_owned());
        // What the first waits for comes while the second runs.
        opens.send_replace(Some(Ok(())));
        async move { attempted(PASSED, turn.number, 10) }
    };
    let rows = run(&cells, &[], &limits(), &CancellationToken::new(), attempt, |_| {}).await;
    assert_eq!(outcomes(&rows), [Outcome::Passed; 2]);
    assert_eq!(*begun.borrow(), ["0001.yaml", "0000.yaml"]);
}

#[tokio::test(start_paused = true)]
async fn a_cell_whose_gate_never_opens_is_told_why_and_not_tried() {
    let examples = examples(3);
    let mut cells = cells(&examples);
    let cause = Cause::new(CauseClass::Image, "BuildFailed", "RUN make: exit code 2");
    let blocked = Arc::new(Blocked { outcome: Outcome::Failed, cause });
    cells[0].gates.push(watch::channel(Some(Err(blocked))).1);
    // Whoever should have opened this one is gone.
    cells[1].gates.push(watch::channel(None).1);
    let rows = played(&cells, &limits(), &BTreeMap::new()).await;
    assert_eq!(outcomes(&rows), [Outcome::Failed, Outcome::Errored, Outcome::Passed]);
    assert_eq!(rows[0].cause.as_ref().map(|cause| cause.reason.as_str()), Some("BuildFailed"));
    assert!(rows[0].attempts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_does_not_wait_for_gates() {
    let examples = examples(1);
    let mut cells = cells(&examples);
    let (_opens, gate) = watch::channel(None);
    cells[0].gates.push(gate);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let attempt = |_: &Cell<'_>, _: Turn| std::future::pending::<Attempted>();
    let rows = run(&cells, &[], &limits(), &cancel, attempt, |_| {}).await;
    assert_eq!(outcomes(&rows), [Outcome::Skipped]);
}
