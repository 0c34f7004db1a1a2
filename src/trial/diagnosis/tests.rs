//! Diagnosis against realistic logs: each sample names the pattern that must know it.

use proptest::prelude::*;

use super::*;
use crate::yaml;

mod several;

/// Logs as programs write them, a file a family. Keys: `pattern` (whose it is), `log`, `exit`, `says` (in the message), `hint` (in
/// the hint), `not` (not in the message).
const SAMPLES: [&str; 5] = [
    include_str!("samples/python.yaml"),
    include_str!("samples/distributed.yaml"),
    include_str!("samples/native.yaml"),
    include_str!("samples/shell.yaml"),
    include_str!("samples/logs.yaml"),
];

struct Sample {
    pattern: Option<String>,
    log: String,
    exit: i32,
    says: Vec<String>,
    hint: String,
    not: Option<String>,
}

fn samples() -> Vec<Sample> {
    let documents = SAMPLES.iter().flat_map(|text| {
        let parsed = yaml::parse(text);
        assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
        parsed.documents
    });
    let items = documents.flat_map(|document| document.root.to_json().as_array().unwrap().clone());
    let sample = |item: serde_json::Value| {
        let text = |key: &str| item.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        let says = match &item["says"] {
            serde_json::Value::Array(all) => all.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
            one => vec![one.as_str().unwrap_or_else(|| panic!("{item}")).to_owned()],
        };
        Sample {
            pattern: text("pattern"),
            log: text("log").unwrap_or_else(|| panic!("{item}")),
            exit: item["exit"].as_i64().map_or(1, |code| i32::try_from(code).unwrap()),
            says,
            hint: text("hint").unwrap_or_default(),
            not: text("not"),
        }
    };
    items.map(sample).collect()
}

/// The cause of a container that ended with this code, as the judge gives it.
fn ended(code: i32) -> Cause {
    Cause {
        class: CauseClass::Runtime,
        reason: "Error".to_owned(),
        message: format!("container `main` of Pod/x ended with exit code {code}"),
        hint: String::new(),
        object: "Pod/x".to_owned(),
        file: "examples/x.yaml".to_owned(),
        line: 3,
    }
}

fn container(log: &str, code: i32) -> ContainerEvidence<'_> {
    ContainerEvidence { pod: "x", container: "main", exit_code: Some(code), log, ..ContainerEvidence::default() }
}

fn diagnosed(log: &str, code: i32) -> Cause {
    diagnose(ended(code), &Evidence { culprit: Some(container(log, code)), ..Evidence::default() })
}

#[test]
fn every_sample_is_explained() {
    let mut wrong = Vec::new();
    for sample in samples() {
        let cause = diagnosed(&sample.log, sample.exit);
        let found = findings::best(&sample.log, Some(sample.exit));
        let pattern = found.as_ref().and_then(|found| found.pattern);
        let right = cause.message.contains(&format!("exit code {}", sample.exit))
            && sample.says.iter().all(|says| cause.message.contains(says.as_str()))
            && cause.hint.contains(&sample.hint)
            && sample.pattern.as_deref().is_none_or(|name| pattern == Some(name))
            && !sample.not.as_ref().is_some_and(|not| cause.message.contains(not));
        if !right {
            wrong.push(format!(
                "{:?} {:?}: found {pattern:?}\n  {}\n  hint: {}\n",
                sample.pattern, sample.says, cause.message, cause.hint
            ));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_pattern_compiles_has_a_name_of_its_own_and_a_sample() {
    let samples = samples();
    let mut names = std::collections::BTreeSet::new();
    for pattern in patterns::all() {
        Regex::new(pattern.regex).unwrap_or_else(|error| panic!("{}: {error}", pattern.name));
        assert!(names.insert(pattern.name), "{} is there twice", pattern.name);
        let is_shown = samples.iter().any(|sample| sample.pattern.as_deref() == Some(pattern.name));
        assert!(is_shown, "{} has no sample", pattern.name);
    }
    assert!(patterns::explain("panic: x").is_some(), "the set compiles as a whole");
}

#[test]
fn exit_codes_are_explained_where_they_stand() {
    let cause = diagnosed("", 139);
    assert_eq!(cause.message, "container `main` of Pod/x ended with exit code 139 (SIGSEGV, segmentation fault)");
    assert!(cause.hint.contains("native"));
    assert_eq!(diagnosed("", 3).message, "container `main` of Pod/x ended with exit code 3");
    let other = Cause { message: "container `main` of Pod/x failed".to_owned(), ..ended(1) };
    let evidence = Evidence { culprit: Some(container("", 143)), ..Evidence::default() };
    assert!(diagnose(other, &evidence).message.starts_with("container `main` of Pod/x failed (exit code 143: SIGTERM"));
}

#[test]
fn what_the_owner_says_of_a_containers_end_comes_last() {
    let base = "container `main` of Pod/a ended with exit code 3";
    let owner = "; Job/a failed: Job has reached the specified backoff limit";
    assert_eq!(said(&format!("{base}{owner}"), "ValueError: x"), format!("{base}: ValueError: x{owner}"));
    assert_eq!(said(&format!("{base}; a/b failed"), "ValueError: x"), format!("{base}; a/b failed: ValueError: x"));
}

#[test]
fn a_log_without_an_error_gives_its_last_line() {
    let log = "2026-11-23T17:00:43.274177129Z starting\n2026-11-23T17:00:43.274177129Z boom\n2026-11-23T17:00:44Z \n";
    assert_eq!(diagnosed(log, 3).message, "container `main` of Pod/x ended with exit code 3: it last logged `boom`");
}

#[test]
fn out_of_memory_says_what_was_being_done_and_keeps_the_hint() {
    let oom = Cause {
        reason: "OOMKilled".to_owned(),
        message: "container `main` of Pod/x was killed for exceeding its memory limit of 32Mi".to_owned(),
        hint: "raise resources.limits.memory".to_owned(),
        ..ended(137)
    };
    let log = "ERROR tracker: offline\nloading 4000 shards\n";
    let cause = diagnose(oom, &Evidence { culprit: Some(container(log, 137)), ..Evidence::default() });
    assert!(
        cause.message.contains("32Mi") && cause.message.ends_with("it last logged `loading 4000 shards`"),
        "{}",
        cause.message
    );
    assert_eq!(cause.hint, "raise resources.limits.memory");
}

#[test]
fn a_termination_message_serves_where_there_is_no_log() {
    let culprit = ContainerEvidence { termination_message: "ValueError: bad shape\n", ..container("", 1) };
    let cause = diagnose(ended(1), &Evidence { culprit: Some(culprit), ..Evidence::default() });
    assert!(cause.message.ends_with(": ValueError: bad shape"), "{}", cause.message);
}

#[test]
fn without_evidence_the_cause_stays_as_it_is() {
    assert_eq!(diagnose(ended(1), &Evidence::default()), ended(1));
    let image = Cause { class: CauseClass::Image, message: "pull\nfailed".to_owned(), ..ended(1) };
    let evidence = Evidence { culprit: Some(container("Traceback", 1)), ..Evidence::default() };
    assert_eq!(diagnose(image, &evidence).message, "pull failed");
}

#[test]
fn the_excerpt_is_the_end_of_the_log_with_its_indentation() {
    let log = "one\n\x1b[31mtwo\x1b[0m\n\n    three\u{7}\n\n";
    assert_eq!(excerpt(log, 2), ["two", "    three␇"]);
    assert_eq!(excerpt(log, 9).len(), 3);
    assert_eq!(excerpt("", 5), Vec::<String>::new());
}

#[test]
fn a_trace_of_any_length_is_read_once() {
    let frames = "  File \"/app/a.py\", line 3, in f\n    f()\n".repeat(30_000);
    let began = std::time::Instant::now();
    let whole = format!("Traceback (most recent call last):\n{frames}");
    assert!(diagnosed(&whole, 1).message.ends_with("of which the log has only the start (at /app/a.py:3)"));
    assert!(diagnosed(&format!("{frames}the end\n"), 1).message.ends_with("it last logged `the end`"));
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

#[test]
fn every_recorded_log_leaves_a_message_that_says_more() {
    let logs = [
        ("boom", 1, "it last logged `boom`"),
        ("no data", 7, "it last logged `no data`"),
        ("w0\nboom", 1, "it last logged `boom`"),
        ("Traceback", 1, "it last logged `Traceback`"),
    ];
    let gone = "unable to retrieve container logs for containerd://bb88bc426d4df15c";
    assert!(diagnosed(gone, 3).message.ends_with("exit code 3"));
    for (log, code, says) in logs {
        assert!(diagnosed(log, code).message.contains(says), "{log}");
    }
}

proptest! {
    // Each case diagnoses a log a dozen times.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_log_gives_one_bounded_line(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        message in "(?s).{0,500}",
        code in proptest::option::of(any::<i32>()),
    ) {
        check_bounds(&String::from_utf8_lossy(&bytes), &message, code)?;
    }

    /// Parts of real errors in any order reach further into the readers than noise does.
    #[test]
    fn broken_traces_give_one_bounded_line(parts in proptest::collection::vec(0..PARTS.len(), 0..24), code in any::<i32>()) {
        let log: String = parts.iter().map(|part| PARTS[*part]).collect();
        check_bounds(&log, "container failed", Some(code))?;
    }
}

const PARTS: [&str; 22] = [
    "Traceback (most recent call last):\n",
    "  File \"/app/a.py\", line 3, in f\n",
    "    x = 1\n",
    "ValueError: é\n",
    "RuntimeError:\n",
    "\n",
    "During handling of the above exception, another exception occurred:\n",
    "The above exception was the direct cause of the following exception:\n",
    "[rank0]: ",
    "KeyError   Traceback (most recent call last)\n",
    "KeyError: 'A_B'\n",
    "panic: x\n",
    "goroutine 1 [running]:\n",
    "\t/app/main.go:3 +0x1\n",
    "java.lang.Error: x\n",
    "\tat a.B.c(B.java:1)\n",
    "Caused by: y\n",
    "thread 'main' panicked at src/a.rs:1:1:\n",
    "Root Cause (first observed failure):\n",
    "  rank : 1\n  exitcode : -2147483648\n",
    "Exception ignored in: <x>\n",
    "  | + \n",
];

fn check_bounds(log: &str, message: &str, code: Option<i32>) -> Result<(), TestCaseError> {
    let container = ContainerEvidence {
        exit_code: code,
        log,
        termination_message: log,
        pod: log,
        container: log,
        ..Default::default()
    };
    for class in [CauseClass::Runtime, CauseClass::Timeout, CauseClass::Image] {
        let cause = Cause { class, message: message.to_owned(), hint: message.to_owned(), ..ended(1) };
        for culprit in [Some(container), None] {
            let cause = diagnose(cause.clone(), &Evidence { culprit, others: &[container, container], owners: log });
            prop_assert!(cause.message.chars().count() <= WHOLE && cause.hint.chars().count() <= WHOLE);
            let shown = format!("{}{}", cause.message, cause.hint);
            prop_assert_eq!(crate::diagnostic::inert::inert(&shown), shown.as_str());
        }
    }
    prop_assert!(excerpt(log, 5).iter().all(|line| line.chars().count() <= 320 && !line.contains('\n')));
    Ok(())
}
