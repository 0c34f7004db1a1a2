//! Recordings of real API servers, replayed through the verdict engine event by event, each at its moment.
//!
//! A folder of recordings has, for each scenario, the manifest that was applied and every watch event; `expected.json` says
//! how a cell with that manifest must be judged. Besides the recordings next to this repository, those in the folder that
//! `EXAMPLE_VALIDATOR_TEST_RECORDINGS` names are replayed.

#![expect(clippy::unwrap_used, reason = "a broken recording is a failure of the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use example_validator::catalog::{self, Overrides};
use example_validator::config::Config;
use example_validator::framework::Frameworks;
use example_validator::model::Outcome;
use example_validator::trial::judge::{Judge, JudgedObject, Subject};
use example_validator::trial::{Change, Moment, Verdict};
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

fn read(folder: &Path) -> Scenario {
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
    Scenario { subject: subject(folder), changes: lines.filter_map(change).collect() }
}

/// The subject of a cell with the manifest in this folder.
fn subject(folder: &Path) -> Subject {
    let (config, frameworks) = (Config::default(), Frameworks::default());
    let overrides = Overrides { paths: vec![folder.join("manifest.yaml")], ..Overrides::default() };
    let catalog = catalog::load(folder, &config, &overrides, &frameworks).unwrap();
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
    Subject { judged, companion: false, expect, timeout, graces, frameworks }
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

#[test]
fn every_recorded_scenario_is_judged_as_expected() {
    let mut wrong = Vec::new();
    for folder in folders() {
        for (name, expected) in expectations(&folder) {
            let (verdict, _) = replay(&read(&folder.join(&name)));
            wrong.extend(differences(&name, &expected, &verdict));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
