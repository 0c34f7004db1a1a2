//! A report of an artifact, once it is one that this program could have written: of the right form, with names that are names
//! and texts of bounded length. What it *says* is not made true by that: whoever changes the code that a run runs can have it
//! say anything.

use serde::Deserialize as _;
use serde_json::Value;

use super::unpack::is_plain;
use crate::evidence::Journal;
use crate::model::Outcome;
use crate::plan::Plan;
use crate::report::{CURVE, Curve, LogTail, Report, Row, json};

/// The most rows of a report: the most examples of a run on ten versions.
const MAX_ROWS: usize = 100_000;
/// The longest text of a report, in bytes. A cause and a finding are a line each; nothing else is longer.
const MAX_TEXT: usize = 16 << 10;
/// The longest name of an example, in bytes.
const MAX_ID: usize = 1_024;
/// The most containers of an example, and pieces of advice on one.
const MAX_CONTAINERS: usize = 1_000;
const MAX_ADVICE: usize = 8;
/// The longest name of a version, a commit, a repository, in bytes.
const MAX_WORD: usize = 256;

/// The report in the bytes of a `report.json`.
///
/// # Errors
/// Why it is not used, in one line.
pub(super) fn report(bytes: &[u8]) -> Result<Report, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())?;
    checked(json::parse(text)?)
}

/// The report of a killed run, in the bytes of its `journal.jsonl`.
///
/// # Errors
/// As [`report`].
pub(super) fn journal(bytes: &[u8], fail_on: &[Outcome]) -> Result<Report, String> {
    let read = Journal::parse(bytes).ok_or_else(|| "a journal without a header".to_owned())?;
    checked(Report::of_killed(read.header.run, read.clusters, read.rows, fail_on))
}

/// The plan in the bytes of a `plan.json`, its digest being that of its content.
///
/// # Errors
/// As [`report`].
pub(super) fn plan(bytes: &[u8]) -> Result<Plan, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())?;
    let plan = Plan::read(text).map_err(|error| error.to_string())?;
    if plan.rows.len() > MAX_ROWS {
        return Err(format!("{} rows are more than {MAX_ROWS}", plan.rows.len()));
    }
    plan.rows.iter().try_for_each(|row| id(row.example.as_str()))?;
    plan.kubernetes.iter().try_for_each(|version| word("version", version))?;
    Ok(plan)
}

fn checked(report: Report) -> Result<Report, String> {
    if report.results.len() > MAX_ROWS {
        return Err(format!("{} rows are more than {MAX_ROWS}", report.results.len()));
    }
    for row in &report.results {
        id(row.example.as_str())?;
    }
    let versions = report.results.iter().filter_map(|row| row.kubernetes.as_deref());
    let clusters = report.clusters.iter().map(|cluster| cluster.kubernetes.as_str());
    versions.chain(clusters).try_for_each(|version| word("version", version))?;
    let run = &report.run;
    for (what, text) in
        [("run", &run.id), ("commit", &run.commit), ("repository", &run.repository), ("event", &run.event)]
    {
        word(what, text)?;
    }
    let mut report = bounded(report)?;
    report.results.iter_mut().for_each(lead_nowhere_else);
    report.results.iter_mut().for_each(tell_no_more);
    report.health = None;
    Ok(report)
}

fn id(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > MAX_ID || text.chars().any(char::is_control) {
        let shown: String = text.chars().take(40).collect();
        return Err(format!("{shown:?} is not the name of an example"));
    }
    Ok(())
}

/// Names that are part of sentences and addresses.
fn word(what: &str, text: &str) -> Result<(), String> {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_./:@+".contains(c);
    if text.len() <= MAX_WORD && text.chars().all(known) {
        return Ok(());
    }
    let shown: String = text.chars().take(40).collect();
    Err(format!("{shown:?} is not the name of a {what}"))
}

/// Paths that become links must stay below what they are relative to: the archive, the repository (the root may be a folder
/// of it).
fn lead_nowhere_else(row: &mut Row) {
    row.evidence.take_if(|path| is_plain(path.trim_end_matches('/')).is_err());
    let is_file = |path: &str| is_plain(path.trim_start_matches("../")).is_ok();
    for finding in &mut row.diagnostics {
        if !is_file(&finding.file) {
            finding.file.clear();
        }
    }
    if let Some(cause) = &mut row.cause
        && !is_file(&cause.file)
    {
        cause.file.clear();
    }
}

/// Lists no longer than this program makes them, and nothing of how the example has been doing: that speaks of the default branch, and
/// only who reads its history says it.
fn tell_no_more(row: &mut Row) {
    if let Some(resources) = &mut row.resources {
        resources.pods.truncate(MAX_CONTAINERS);
        for container in &mut resources.pods {
            container.advice.truncate(MAX_ADVICE);
            let is_curve = |curve: &Curve| {
                let points = curve.at_ms.len();
                points <= CURVE && curve.cpu_milli.len() == points && curve.memory_bytes.len() == points
            };
            container.curve.take_if(|curve| !is_curve(curve));
        }
    }
    row.log = row.log.take().map(LogTail::bounded);
    row.health = None;
}

/// The report with every text cut to its bound.
fn bounded(report: Report) -> Result<Report, String> {
    let mut value = serde_json::to_value(report).map_err(|error| error.to_string())?;
    cut(&mut value)?;
    Report::deserialize(value).map_err(|error| error.to_string())
}

fn cut(value: &mut Value) -> Result<(), String> {
    match value {
        Value::String(text) if text.len() > MAX_TEXT => {
            let end = (0..=MAX_TEXT).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or(0));
            text.push('…');
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(cut),
        Value::Object(fields) => match fields.keys().find(|key| key.len() > MAX_WORD) {
            Some(key) => Err(format!("a key of {} bytes", key.len())),
            None => fields.values_mut().try_for_each(cut),
        },
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(example: &str) -> Value {
        json!({
            "example": example, "framework": null, "objects": [], "tier": "full", "kubernetes": "v1.34.0", "outcome": "failed",
            "quarantined": false, "durationMs": 1, "reason": "", "attempts": [], "checks": [], "resources": null, "health": null,
            "cause": {"class": "runtime", "reason": "Error", "message": "m", "hint": "", "object": "", "file": "a.yaml", "line": 1},
            "diagnostics": [], "evidence": "v1.34.0/examples/a.yaml"
        })
    }

    fn text(change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut report = json!({
            "schemaVersion": 1, "tool": {"name": "example-validator", "version": "1"}, "clusters": [], "images": [],
            "run": {"id": "7", "startedAt": "2026-11-23T20:00:00Z", "durationMs": 1, "repository": "o/r", "commit": "abc",
                    "event": "pull_request", "pullRequest": null, "simulated": false, "shard": "1/2"},
            "results": [row("examples/a.yaml")],
            "summary": {"passed": 1, "failed": 0, "timedOut": 0, "flaky": 0, "skipped": 0, "errored": 0, "conclusion": "success"}
        });
        change(&mut report);
        report.to_string().into_bytes()
    }

    fn refusal(change: impl FnOnce(&mut Value)) -> String {
        report(&text(change)).unwrap_err()
    }

    #[test]
    fn a_report_of_ours_stays_as_it_is() {
        let bytes = text(|_| {});
        let plain = json::parse(std::str::from_utf8(&bytes).unwrap()).unwrap();
        assert_eq!(report(&bytes), Ok(plain));
    }

    #[test]
    fn what_has_not_the_form_of_a_report_is_refused() {
        assert_eq!(report(b"\xff").unwrap_err(), "not UTF-8 text");
        assert!(report(b"[1").unwrap_err().starts_with("not JSON"));
        assert!(refusal(|report| report["schemaVersion"] = json!(9)).contains("expected 1"));
        assert!(refusal(|report| report["results"][0]["outcome"] = json!("great")).starts_with("not a report"));
        assert!(refusal(|report| report["results"][0]["durationMs"] = json!(-1)).starts_with("not a report"));
        let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        assert!(report(deep.as_bytes()).is_err());
    }

    #[test]
    fn names_that_are_none_are_refused() {
        for id in ["", "a\nb", "\u{1b}[31m", &"x".repeat(2_000)] {
            let message = refusal(|report| report["results"][0]["example"] = json!(id));
            assert!(message.ends_with("is not the name of an example"), "{message}");
        }
        let message = refusal(|report| report["results"][0]["kubernetes"] = json!("v1](https://x)"));
        assert_eq!(message, "\"v1](https://x)\" is not the name of a version");
        for field in ["id", "commit", "repository", "event"] {
            assert!(
                refusal(|report| report["run"][field] = json!("a b<script>")).contains("is not the name of a"),
                "{field}"
            );
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_lead_nowhere() {
        let read = report(&text(|report| {
            let row = &mut report["results"][0];
            row["evidence"] = json!("../../x");
            row["cause"]["file"] = json!("https://evil.example/x");
            row["diagnostics"] = json!([
                {"code": "", "severity": "error", "message": "", "help": "", "file": "/etc/passwd", "line": 1, "column": 1},
                {"code": "", "severity": "error", "message": "", "help": "", "file": "../shared/x.yaml", "line": 1, "column": 1}
            ]);
        }))
        .unwrap();
        let row = &read.results[0];
        let files: Vec<_> = row.diagnostics.iter().map(|finding| finding.file.as_str()).collect();
        assert_eq!((row.evidence.as_deref(), files), (None, vec!["", "../shared/x.yaml"]));
        assert_eq!(row.cause.as_ref().map(|cause| cause.file.as_str()), Some(""));
    }

    #[test]
    fn texts_are_cut_and_keys_are_short() {
        let read = report(&text(|report| {
            report["results"][0]["cause"]["message"] = json!("é".repeat(1 << 20));
            report["results"][0]["resources"] = json!({"note": "x".repeat(1 << 20)});
        }))
        .unwrap();
        let message = &read.results[0].cause.as_ref().unwrap().message;
        assert!(message.len() <= MAX_TEXT + 3 && message.ends_with("é…"), "{}", message.len());
        assert!(read.results[0].resources.as_ref().unwrap().note.len() < MAX_TEXT + 100);
        let attempt =
            |key: String| json!([{"outcome": "passed", "namespace": "", "startedAt": "", "phases": {key: 1}}]);
        assert!(refusal(|report| report["results"][0]["attempts"] = attempt("k".repeat(999))).contains("999 bytes"));
    }

    #[test]
    fn lists_are_no_longer_than_this_program_makes_them() {
        let curve = |points: usize| json!({"atMs": vec![1; points], "cpuMilli": vec![1; points], "memoryBytes": [1]});
        let read = report(&text(|report| {
            report["results"][0]["resources"] =
                json!({"pods": [{"curve": curve(1)}, {"curve": curve(2)}, {"curve": curve(900)}]});
            report["results"][0]["log"] = json!({"of": "x", "lines": vec!["y".repeat(5_000); 900]});
        }))
        .unwrap();
        let curves: Vec<_> =
            read.results[0].resources.iter().flat_map(|all| &all.pods).map(|one| one.curve.is_some()).collect();
        assert_eq!(curves, [true, false, false]);
        let log = read.results[0].log.as_ref().unwrap();
        assert_eq!((log.lines.len(), log.lines[0].len()), (20, 504));
    }

    #[test]
    fn what_it_says_of_the_default_branch_is_not_believed() {
        let past = json!({"at": "", "commit": "", "outcome": "failed", "durationMs": 1});
        let read = report(&text(|report| {
            report["results"][0]["health"] = json!({"score": 100, "trend": "improving", "past": [past]});
            report["health"] = json!({"score": 100, "frameworks": [{"name": "x"}]});
        }))
        .unwrap();
        assert_eq!((&read.results[0].health, &read.health), (&None, &None));
    }

    #[test]
    fn a_journal_is_held_to_the_same() {
        let header = json!({"header": {"tool": {"name": "", "version": ""}, "run": {"id": "7", "startedAt": "", "durationMs": 0,
            "repository": "o/r", "commit": "", "event": "push", "pullRequest": null, "simulated": false, "shard": null}}});
        let lines = |rows: &[Value]| {
            let rows = rows.iter().map(|row| json!({"row": row}));
            let lines: Vec<_> = std::iter::once(header.clone()).chain(rows).map(|line| line.to_string()).collect();
            (lines.join("\n") + "\n").into_bytes()
        };
        assert_eq!(journal(&lines(&[row("a"), row("b")]), &[]).unwrap().results.len(), 2);
        assert!(journal(&lines(&[row("a\u{7}")]), &[]).unwrap_err().contains("is not the name of an example"));
        assert!(journal(b"{}\n", &[]).unwrap_err().contains("without a header"));
    }
}
