//! Several containers, several ranks, and time that is up.

use super::*;

const VALUE_ERROR: &str = "Traceback (most recent call last):\n  File \"/app/train.py\", line 9, in <module>\n    main()\n\
                           ValueError: batch 3 is empty\n";
const PEER: &str = "Traceback (most recent call last):\n  File \"/app/train.py\", line 20, in <module>\n    sync()\n\
                    RuntimeError: [../gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.2]:41522\n";

fn of_pod<'a>(pod: &'a str, log: &'a str, code: i32, at: &'a str) -> ContainerEvidence<'a> {
    ContainerEvidence { pod, finished_at: Some(at), ..container(log, code) }
}

#[test]
fn an_echo_leads_to_the_pod_that_failed_first() {
    let culprit = of_pod("x", PEER, 1, "2026-11-23T10:00:05Z");
    let others = [
        of_pod("w-2", "Traceback\nOSError: later\n", 1, "2026-11-23T10:00:09Z"),
        of_pod("w-0", PEER, 1, "2026-11-23T10:00:01Z"),
        of_pod("w-1", VALUE_ERROR, 1, "2026-11-23T10:00:03Z"),
        of_pod("w-3", "TypeError: but it passed\n", 0, "2026-11-23T09:00:00Z"),
    ];
    let cause = diagnose(ended(1), &Evidence { culprit: Some(culprit), others: &others, ..Evidence::default() });
    assert!(cause.message.contains("by peer [10.0.0.2]"), "{}", cause.message);
    let first = "container `main` of Pod/w-1 failed first: ValueError: batch 3 is empty (at /app/train.py:9)";
    assert!(cause.message.ends_with(first), "{}", cause.message);
}

#[test]
fn the_culprits_own_error_comes_first() {
    let culprit = of_pod("x", VALUE_ERROR, 1, "2026-11-23T10:00:05Z");
    let others = [of_pod("w-0", "OSError: something\n", 1, "2026-11-23T10:00:01Z")];
    let cause = diagnose(ended(1), &Evidence { culprit: Some(culprit), others: &others, ..Evidence::default() });
    assert!(
        cause.message.ends_with("exit code 1: ValueError: batch 3 is empty (at /app/train.py:9)"),
        "{}",
        cause.message
    );
}

#[test]
fn of_mixed_ranks_the_one_that_failed_first_is_shown() {
    let both: String =
        VALUE_ERROR.lines().zip(PEER.lines()).map(|(one, two)| format!("[rank1]: {one}\n[rank0]: {two}\n")).collect();
    let cause = diagnosed(&both, 1);
    assert!(cause.message.contains("ValueError: batch 3 is empty (at /app/train.py:9)"), "{}", cause.message);
    let other = VALUE_ERROR.replace("batch 3", "batch 4");
    let root = "Root Cause (first observed failure):\n[0]:\n  time      : 2026-11-23_10:00:00\n  host      : x\n  \
                rank      : 1 (local_rank: 1)\n  exitcode  : 1 (pid: 88)\n";
    let mixed: String = VALUE_ERROR
        .lines()
        .map(|line| format!("[rank1]: {line}\n"))
        .chain(other.lines().map(|line| format!("[rank0]: {line}\n")))
        .chain([root.to_owned()])
        .collect();
    assert!(diagnosed(&mixed, 1).message.contains("batch 3"));
}

#[test]
fn a_timeout_says_what_was_being_done() {
    let cause = Cause {
        class: CauseClass::Timeout,
        reason: "Timeout".to_owned(),
        message: "not finished after 5m".to_owned(),
        ..ended(0)
    };
    let of = |log: &'static str, code: Option<i32>| {
        let container = ContainerEvidence { pod: "p", container: "main", exit_code: code, log, ..Default::default() };
        diagnose(cause.clone(), &Evidence { others: &[container], ..Evidence::default() }).message
    };
    assert_eq!(
        of("ERROR: retrying\nEpoch 3\rEpoch 4 ", None),
        "not finished after 5m: container `main` of Pod/p last logged `Epoch 4`"
    );
    assert_eq!(of("", None), "not finished after 5m: nothing was logged");
    assert!(of(VALUE_ERROR, None).contains("says: ValueError"));
    assert_eq!(diagnose(cause.clone(), &Evidence::default()).message, "not finished after 5m");
}

#[test]
fn the_owners_stand_behind_the_pods_name() {
    let evidence =
        Evidence { culprit: Some(container("boom", 1)), owners: "Pod/x of PyTorchJob/train", ..Evidence::default() };
    assert_eq!(
        diagnose(ended(1), &evidence).message,
        "container `main` of Pod/x of PyTorchJob/train ended with exit code 1: it last logged `boom`"
    );
    let longer = Cause { message: "Pod/x-1 ended".to_owned(), ..ended(1) };
    assert!(diagnose(longer, &evidence).message.starts_with("Pod/x-1 ended"));
}

#[test]
fn a_long_message_stays_in_front_and_a_long_error_is_cut() {
    let long = format!(
        "Traceback (most recent call last):\n  File \"/app/t.py\", line 1, in f\n    x\nValueError: {}\n",
        "y".repeat(5000)
    );
    let cause = diagnosed(&long, 1);
    assert!(cause.message.starts_with("container `main` of Pod/x ended with exit code 1: ValueError: yy"));
    assert!(
        cause.message.ends_with("(at /app/t.py:1)") && cause.message.chars().count() <= LONGEST,
        "{}",
        cause.message
    );
}

#[test]
fn hostile_logs_are_made_inert() {
    let cause = diagnosed("ValueError: \x1b]0;title\x07\u{202e}evil ::error::x\n", 1);
    assert!(!cause.message.contains(['\x1b', '\x07', '\u{202e}']), "{:?}", cause.message);
}
