//! Recordings of real API servers, replayed through the verdict engine event by event, each at its moment.
//!
//! A folder of recordings has, for each scenario, the manifest that was applied and every watch event; `expected.json` says
//! how a cell with that manifest must be judged. Besides the recordings next to this repository, those in the folder that
//! `EXAMPLE_VALIDATOR_TEST_RECORDINGS` names are replayed.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a broken recording is a failure of the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use example_validator::catalog::{self, Overrides};
use example_validator::config::{Config, Graces};
use example_validator::framework::Frameworks;
use example_validator::model::Outcome;
use example_validator::trial::judge::{Judge, JudgedObject, Subject};
use example_validator::trial::{Change, Moment, Verdict};
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value as Json;

/// `expected.json`.
#[derive(Deserialize)]
struct Expectations {
    scenarios: BTreeMap<String, Expected>,
}

#[derive(Deserialize)]
struct Expected {
    outcome: String,
    class: Option<String>,
    #[serde(default)]
    reason: Vec<String>,
    mentions: Option<String>,
}

/// A line of `watch.jsonl`.
#[derive(Deserialize)]
struct Line {
    t: f64,
    #[serde(rename = "type")]
    kind: String,
    object: Json,
}

struct Scenario {
    subject: Subject,
    changes: Vec<(Moment, Change)>,
}

fn folders() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings");
    let named = std::env::var_os("EXAMPLE_VALIDATOR_TEST_RECORDINGS").map(PathBuf::from);
    if let Some(named) = &named {
        assert!(named.join("expected.json").is_file(), "{} has no expected.json", named.display());
    }
    let found: Vec<_> = std::iter::once(own).filter(|own| own.join("expected.json").is_file()).chain(named).collect();
    if found.is_empty() {
        eprintln!(
            "skipped: there are no recordings beside this repository, and EXAMPLE_VALIDATOR_TEST_RECORDINGS is not set"
        );
    }
    found
}

fn expectations(folder: &Path) -> BTreeMap<String, Expected> {
    let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    serde_json::from_str::<Expectations>(&text).unwrap().scenarios
}

fn read(folder: &Path, frameworks: &Frameworks) -> Scenario {
    let watch = std::fs::read_to_string(folder.join("watch.jsonl")).unwrap();
    let lines =
        watch.lines().filter(|line| !line.trim().is_empty()).map(|line| serde_json::from_str::<Line>(line).unwrap());
    let change = |line: Line| {
        let object = Arc::new(line.object);
        let change = match line.kind.as_str() {
            "ADDED" | "MODIFIED" => Change::Seen(object),
            "DELETED" => Change::Gone(object),
            "BOOKMARK" | "ERROR" => return None,
            other => panic!("a watch event of type {other}"),
        };
        Some((Duration::from_secs_f64(line.t), change))
    };
    Scenario { subject: subject(folder, frameworks), changes: lines.filter_map(change).collect() }
}

/// The subject of a cell with the manifest in this folder.
fn subject(folder: &Path, frameworks: &Frameworks) -> Subject {
    let config = Config::default();
    let overrides = Overrides { paths: vec![folder.join("manifest.yaml")], ..Overrides::default() };
    let catalog = catalog::load(folder, &config, &overrides, frameworks).unwrap();
    let example = &catalog.examples[0];
    let judged = example.judged.iter().map(|index| {
        let object = &example.objects[*index];
        JudgedObject {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
            name: object.name.clone(),
            framework: frameworks.find(object).or_else(|| frameworks.generic(object)).unwrap(),
        }
    });
    let judged = judged.collect();
    let (expect, timeout, graces) = (example.settings.expect, example.settings.timeout, config.graces);
    Subject { judged, companion: false, expect, timeout, graces, frameworks: frameworks.clone() }
}

/// What is made of a scenario, and how many of its changes it took.
fn replay(scenario: &Scenario) -> (Verdict, usize) {
    let mut judge = Judge::new(scenario.subject.clone());
    for (seen, (at, change)) in scenario.changes.iter().enumerate() {
        if let Some(wake) = judge.wake_at().filter(|wake| wake <= at) {
            return (judge.tick(wake).expect("there is a verdict at the moment that was told"), seen);
        }
        if seen == 0 {
            assert_eq!(judge.applied(*at), None);
        }
        if let Some(verdict) = judge.observe(*at, change) {
            return (verdict, seen + 1);
        }
    }
    let wake = judge.wake_at().expect("the clock alone brings a verdict");
    (judge.tick(wake).expect("there is a verdict at the moment that was told"), scenario.changes.len())
}

/// What is wrong with a verdict.
fn differences(name: &str, expected: &Expected, verdict: &Verdict) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |what: &str, holds: bool| {
        if !holds {
            wrong.push(format!("{name}: {what}: {verdict:?}"));
        }
    };
    check("outcome", verdict.outcome.as_str() == expected.outcome);
    check("a cause says why it did not pass", verdict.cause.is_none() == (verdict.outcome == Outcome::Passed));
    let Some(cause) = &verdict.cause else { return wrong };
    check("class", expected.class.as_deref().is_none_or(|class| class == cause.class.as_str()));
    check("reason", expected.reason.is_empty() || expected.reason.contains(&cause.reason));
    let mentions = expected.mentions.as_deref().unwrap_or_default();
    check("mentions", cause.message.contains(mentions) || cause.hint.contains(mentions));
    check("one line", !cause.message.contains('\n') && !cause.message.is_empty() && !cause.hint.contains('\n'));
    check(
        "an object as Kind/name",
        cause.object.split_once('/').is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty()),
    );
    wrong
}

/// All scenarios of all folders, each with what is expected of it.
fn scenarios() -> &'static [(String, Expected, Scenario)] {
    static ALL: LazyLock<Vec<(String, Expected, Scenario)>> = LazyLock::new(read_all);
    &ALL
}

fn read_all() -> Vec<(String, Expected, Scenario)> {
    let frameworks = Frameworks::default();
    let all = folders().into_iter().flat_map(|folder| {
        expectations(&folder).into_iter().map(move |(name, expected)| (folder.join(&name), name, expected))
    });
    let all: Vec<_> = all.collect();
    let read = |(folder, name, expected): (PathBuf, String, Expected)| (name, expected, read(&folder, &frameworks));
    all.into_par_iter().map(read).collect()
}

/// The last moment for a verdict on a bad sign: its grace, and two seconds.
fn latest(sign: Moment, grace: Duration) -> Moment {
    sign + grace + Duration::from_secs(2)
}

/// When a scenario must have been judged, as far as its first bad sign tells; only kinds of trouble whose first sign is plain.
fn bound(scenario: &Scenario, reason: &str) -> Option<Moment> {
    let graces = Graces::default();
    let first = |texts: &[&str]| {
        let says = |change: &Change| {
            let text = change.object().to_string();
            texts.iter().any(|sign| text.contains(sign))
        };
        scenario.changes.iter().find(|(_, change)| says(change)).map(|(at, _)| *at)
    };
    let transient = ["429 Too", "503 Service", "connection refused", "tls: "];
    let image = if first(&transient).is_some() { graces.image_transient } else { graces.image_not_found };
    let (signs, grace): (&[&str], Duration) = match reason {
        "ErrImagePull" | "ImagePullBackOff" => {
            (&["Failed to pull image", "\"ErrImagePull\"", "\"ImagePullBackOff\""], image)
        }
        "InvalidImageName" => (&["\"InvalidImageName\""], graces.image_not_found),
        "ErrImageNeverPull" => (&["\"reason\":\"ErrImageNeverPull\""], graces.image_not_found),
        "CreateContainerConfigError" => (&["\"CreateContainerConfigError\""], graces.config_missing),
        "FailedMount" => (&["\"FailedMount\""], graces.config_missing),
        "FailedCreate" => (&["\"FailedCreate\""], graces.create_failed),
        "FailedCreateService" => (&["\"FailedCreateService\""], graces.create_failed),
        "MPIJobFailedValidation" => (&["\"MPIJobFailedValidation\""], graces.create_failed),
        "Unschedulable" if first(&["persistentvolumeclaim", "persistent volumes"]).is_some() => {
            (&["\"Unschedulable\""], graces.claim_unbound)
        }
        "Unschedulable" => (&["\"Unschedulable\""], graces.unschedulable),
        "CrashLoopBackOff" => (&["\"restartCount\":3"], Duration::ZERO),
        "Suspended" => (&["\"type\":\"Suspended\",\"status\":\"True\"", "\"suspend\":true"], graces.suspended),
        "Error" | "OOMKilled" | "DeadlineExceeded" | "StartError" => {
            (&["\"type\":\"FailureTarget\"", "\"status\":\"True\",\"type\":\"Failed\""], Duration::ZERO)
        }
        "ProgressDeadlineExceeded" => (&["\"ProgressDeadlineExceeded\""], Duration::ZERO),
        _ => return None,
    };
    first(signs).map(|sign| latest(sign, grace))
}

#[test]
fn every_recorded_scenario_is_judged_as_expected() {
    let mut wrong = Vec::new();
    for (name, expected, scenario) in scenarios() {
        wrong.extend(differences(name, expected, &replay(scenario).0));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_bad_end_is_told_at_most_two_seconds_after_its_first_sign_and_its_grace() {
    let mut late = Vec::new();
    for (name, expected, scenario) in scenarios().iter().filter(|(_, expected, _)| expected.outcome != "passed") {
        let (verdict, _) = replay(scenario);
        let reason = verdict.cause.as_ref().map_or("", |cause| &cause.reason);
        let bound = bound(scenario, reason);
        let known = !expected.reason.iter().any(|reason| reason == "ImagePullBackOff") || bound.is_some();
        if !known || bound.is_some_and(|bound| verdict.at > bound) {
            late.push(format!("{name}: judged at {:?}, and {bound:?} was the last moment", verdict.at));
        }
        if name == "image-absent" {
            let applied = scenario.changes[0].0;
            assert!(
                verdict.at.saturating_sub(applied) <= Duration::from_secs(20),
                "image-absent took until {:?}",
                verdict.at
            );
        }
    }
    assert!(late.is_empty(), "{}", late.join("\n"));
}

#[test]
fn no_later_change_is_needed_for_a_verdict() {
    for (name, _, scenario) in scenarios() {
        let (verdict, taken) = replay(scenario);
        let cut = Scenario { subject: scenario.subject.clone(), changes: scenario.changes[..taken].to_vec() };
        assert_eq!(replay(&cut).0, verdict, "{name}");
    }
}

#[test]
fn a_change_that_is_told_twice_changes_nothing() {
    for (name, _, scenario) in scenarios() {
        let twice = scenario.changes.iter().flat_map(|change| [change.clone(), change.clone()]).collect();
        let twice = Scenario { subject: scenario.subject.clone(), changes: twice };
        assert_eq!(replay(&twice).0, replay(scenario).0, "{name}");
    }
}

#[test]
fn what_is_listed_at_once_after_a_cut_watch_is_judged_with_the_same_outcome() {
    for (name, expected, scenario) in scenarios() {
        // Everything of the last second before the verdict comes in one list, sorted by kind: pods last.
        let (verdict, taken) = replay(scenario);
        let mut cut = scenario.changes[..taken].to_vec();
        let listed = verdict.at.saturating_sub(Duration::from_secs(1));
        let from = cut.iter().position(|(at, _)| *at >= listed).unwrap_or(cut.len());
        let kind = |change: &Change| change.object()["kind"].as_str().unwrap_or_default().to_owned();
        cut[from..].sort_by_key(|(_, change)| kind(change) == "Pod");
        let last = cut.last().map_or(verdict.at, |(at, _)| *at);
        cut[from..].iter_mut().for_each(|(at, _)| *at = last);
        let late = replay(&Scenario { subject: scenario.subject.clone(), changes: cut }).0;
        assert_eq!(differences(name, expected, &late), [""; 0]);
    }
}
