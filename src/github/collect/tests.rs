//! What artifacts are held to, without a network; `tests/collect.rs` has one.

use std::io::{Cursor, Write};

use serde_json::{Value, json};

use super::*;
use crate::plan::testing::World;

const WANTED: Wanted<'_> = Wanted {
    base: "r",
    plan: None,
    run: "7",
    repository: "o/r",
    commit: Some("abc"),
    fail_on: &[],
    server_url: "https://github.com",
};

fn report(shard: Option<&str>) -> Value {
    let row = |example: &str, evidence: Option<&str>| {
        json!({
            "example": example, "framework": null, "objects": [], "tier": "full", "kubernetes": "v1.34.0", "outcome": "failed",
            "quarantined": false, "durationMs": 1, "cause": null, "reason": "", "attempts": [], "checks": [], "diagnostics": [],
            "resources": null, "health": null, "evidence": evidence
        })
    };
    json!({
        "schemaVersion": 1, "tool": {"name": "example-validator", "version": "1"}, "clusters": [], "images": [],
        "run": {"id": "7", "startedAt": "2026-11-23T20:00:00Z", "durationMs": 1, "repository": "o/r", "commit": "abc",
                "event": "push", "pullRequest": null, "simulated": false, "shard": shard},
        "results": [row("a", Some("v1.34.0/a")), row("b", None)],
        "summary": {"passed": 0, "failed": 2, "timedOut": 0, "flaky": 0, "skipped": 0, "errored": 0, "conclusion": "failure"}
    })
}

fn unpacked(files: &[(&str, &str)]) -> Unpacked {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    unpack::unpack(writer.finish().unwrap()).unwrap()
}

fn of_report(kind: Kind, report: &Value) -> Result<Taken, String> {
    taken(kind, unpacked(&[("report.json", &report.to_string())]), &WANTED)
}

fn refusal(change: impl FnOnce(&mut Value)) -> String {
    let mut report = report(Some("1/2"));
    change(&mut report["run"]);
    of_report(Kind::Shard(1, 2), &report).unwrap_err()
}

#[test]
fn a_report_of_another_run_repository_commit_or_shard_is_left_out() {
    assert!(of_report(Kind::Shard(1, 2), &report(Some("1/2"))).is_ok());
    assert!(of_report(Kind::Whole(1), &report(None)).is_ok());
    assert_eq!(refusal(|run| run["id"] = json!("8")), "its report says that it is of run 8, and not 7");
    assert_eq!(refusal(|run| run["id"] = json!("")), "its report says that it is of run none, and not 7");
    assert_eq!(refusal(|run| run["repository"] = json!("x/y")), "its report says that it is of x/y, and not o/r");
    assert_eq!(refusal(|run| run["commit"] = json!("def")), "its report says that it is of commit def, and not abc");
    assert_eq!(refusal(|run| run["shard"] = json!("2/2")), "its report says that it is of shard 2/2");
    assert_eq!(refusal(|run| run["shard"] = Value::Null), "its report says that it is of shard none");
    // A pull request's merge commit is known to nobody afterwards.
    let wanted = Wanted { commit: None, ..WANTED };
    let report = unpacked(&[("report.json", &report(None).to_string())]);
    assert!(taken(Kind::Whole(1), report, &wanted).is_ok());
}

#[test]
fn a_killed_run_has_its_journal_and_a_report_holds_unless_that_is_newer() {
    let journal = |started_at: &str| {
        let mut run = report(None)["run"].clone();
        run["startedAt"] = json!(started_at);
        json!({"header": {"tool": {"name": "", "version": ""}, "run": run}}).to_string() + "\n"
    };
    let of = |files: &[(&str, &str)]| taken(Kind::Whole(1), unpacked(files), &WANTED).map(|taken| taken.killed);
    let text = report(None).to_string();
    assert_eq!(of(&[("journal.jsonl", &journal("2026-11-23T19:00:00Z"))]), Ok(true));
    assert_eq!(of(&[("report.json", &text), ("journal.jsonl", &journal("2026-11-23T19:00:00Z"))]), Ok(false));
    assert_eq!(of(&[("report.json", &text), ("journal.jsonl", &journal("2026-11-23T21:00:00Z"))]), Ok(true));
    assert_eq!(of(&[("report.html", "")]), Err("it holds no report.json".to_owned()));
}

#[test]
fn the_plan_that_the_results_name_holds_else_the_only_one() {
    // Each with the number of an artifact.
    let numbered =
        |all: &[(&str, u64)]| all.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect::<BTreeMap<_, _>>();
    let meant = |plans: &[(&str, u64)], named: &[(&str, u64)]| gathering::meant(&numbered(plans), &numbered(named));
    let only = |name: &str| Ok(Some(name.to_owned()));
    assert_eq!(meant(&[("a", 1)], &[]), only("a"));
    assert_eq!(meant(&[("a", 1), ("b", 2)], &[("b", 3)]), only("b"));
    // Shards whose plan was passed on as a file.
    assert_eq!(meant(&[("a", 1)], &[("x", 2)]), only("x"));
    assert_eq!(meant(&[("a", 1), ("b", 2)], &[("b", 3), ("x", 9)]), only("b"));
    // The legs of a matrix, beside a fan-out.
    assert_eq!(meant(&[("a", 1)], &[("x", 2), ("y", 3)]), Ok(None));
    assert_eq!(meant(&[], &[]), Ok(None));
    // All jobs were run again, with a plan of its own.
    assert_eq!(meant(&[("b", 1), ("a", 5)], &[("b", 4), ("a", 6)]), only("a"));
    // Two fan-outs at once.
    let several = Err(Uncollected::SeveralPlans(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(meant(&[("a", 1), ("b", 2)], &[]), several);
    assert_eq!(meant(&[("a", 1), ("b", 2), ("c", 3)], &[("b", 4), ("a", 5), ("x", 6)]), several);
}

#[test]
fn a_plan_that_was_changed_is_none() {
    let plan = World::jobs(&["a.yaml"]).plan();
    let text = crate::plan::json(&plan);
    let taken = |text: &str| taken(Kind::Plan, unpacked(&[("plan.json", text)]), &WANTED);
    assert_eq!(taken(&text).unwrap().plan, Some(plan));
    assert!(taken(&text.replace("a.yaml", "c.yaml")).unwrap_err().contains("changed after it was made"));
}

#[test]
fn a_row_leads_to_the_artifact_that_holds_its_evidence() {
    let mut collected = Collected::default();
    for (number, name) in ["r-1-of-2", "r-2-of-2"].into_iter().enumerate() {
        let mut report = report(Some(&format!("{}/2", number + 1)));
        if number == 1 {
            // Another shard tells of the same cell, and has nothing to show for it.
            report["results"][0]["evidence"] = Value::Null;
            report["results"][1]["evidence"] = json!("v1.34.0/b");
        }
        let kind = Kind::Shard(number + 1, 2);
        let taken = of_report(kind, &report).unwrap();
        let listed = names::Listed { id: 40 + number as u64, name: name.to_owned(), size: 1, expired: false };
        collected.add(kind, &listed, taken, &WANTED);
    }
    let rows = &collected.reports[0].results;
    let names: Vec<_> =
        rows.iter().map(|row| collected.artifact_of(row).map(|artifact| artifact.name.as_str())).collect();
    assert_eq!(names, [Some("r-1-of-2"), Some("r-2-of-2")]);
    assert_eq!(collected.artifacts[1].url, "https://github.com/o/r/actions/runs/7/artifacts/41");
}
