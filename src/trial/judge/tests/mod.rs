//! Scenarios that no recording has: what a cluster would send, in the words of its components, and what it comes to.

mod cluster;
mod containers;
mod controllers;
mod dependency;
mod pods;
mod robust;
mod rules;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{Judge, JudgedObject, Subject, Surroundings};
use crate::config::Graces;
use crate::framework::Frameworks;
use crate::model::Expect;
use crate::trial::{Change, Moment, Verdict};

/// A moment, in seconds.
fn s(seconds: f64) -> Moment {
    Duration::from_secs_f64(seconds)
}

/// An attempt on a stage: objects are given as YAML, in which `uid` is derived from kind and name unless it is given.
struct Stage {
    judge: Judge,
    verdict: Option<Verdict>,
}

impl Stage {
    /// An attempt that judges these objects, each `apiVersion Kind/name`.
    fn new(judged: &[&str]) -> Self {
        Self::with(judged, |_| {})
    }

    fn with(judged: &[&str], change: impl FnOnce(&mut Subject)) -> Self {
        let frameworks = Frameworks::default();
        let object = |text: &&str| {
            let (api_version, rest) = text.split_once(' ').unwrap();
            let (kind, name) = rest.split_once('/').unwrap();
            let framework =
                frameworks.describe(super::read::group(api_version), super::read::version(api_version), kind).unwrap();
            JudgedObject { api_version: api_version.into(), kind: kind.into(), name: name.into(), framework }
        };
        let mut subject = Subject {
            judged: judged.iter().map(object).collect(),
            companion: false,
            expect: Expect::Succeeded,
            timeout: Duration::from_secs(600),
            graces: Graces::default(),
            frameworks: frameworks.clone(),
        };
        change(&mut subject);
        Self { judge: Judge::new(subject), verdict: None }
    }

    /// Lets the clock run up to this moment.
    fn until(&mut self, at: f64) {
        while let Some(wake) = self.judge.wake_at().filter(|wake| *wake <= s(at)) {
            let verdict = self.judge.tick(wake);
            assert!(verdict.is_some(), "nothing is said at the moment that was told: {wake:?}");
            self.verdict = self.verdict.take().or(verdict);
        }
    }

    /// Something is seen.
    fn see(&mut self, at: f64, yaml: &str) -> &mut Self {
        let object = object(yaml);
        self.change(at, &Change::Seen(object))
    }

    /// Something is deleted.
    fn gone(&mut self, at: f64, yaml: &str) -> &mut Self {
        let object = object(yaml);
        self.change(at, &Change::Gone(object))
    }

    fn change(&mut self, at: f64, change: &Change) -> &mut Self {
        self.until(at);
        let verdict = self.judge.observe(s(at), change);
        self.verdict = self.verdict.take().or(verdict);
        self
    }

    /// An event; `about` is `Kind/name` or `Kind/name{container}`.
    fn event(&mut self, at: f64, kind: &str, about: &str, reason: &str, message: &str) -> &mut Self {
        let (about, container) = about.split_once('{').unwrap_or((about, ""));
        let (of, name) = about.split_once('/').unwrap();
        let path = if container.is_empty() { String::new() } else { format!("spec.containers{{{container}") };
        let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": format!("{name}.{reason}")},
            "involvedObject": {"kind": of, "name": name, "uid": format!("{of}-{name}"), "fieldPath": path},
            "reason": reason, "message": message, "type": kind});
        self.change(at, &Change::Seen(Arc::new(event)))
    }

    fn warn(&mut self, at: f64, about: &str, reason: &str, message: &str) -> &mut Self {
        self.event(at, "Warning", about, reason, message)
    }

    fn around(&mut self, at: f64, change: impl FnOnce(&mut Surroundings)) -> &mut Self {
        self.until(at);
        let mut around = self.judge.around.clone();
        change(&mut around);
        let verdict = self.judge.surroundings(s(at), around);
        self.verdict = self.verdict.take().or(verdict);
        self
    }

    /// The verdict, the clock running on for an hour: `outcome class reason @ seconds`, and the message with the hint.
    fn end(&mut self) -> (String, String) {
        self.until(3600.0);
        let Some(verdict) = &self.verdict else { return ("none".into(), self.judge.waiting_for()) };
        // Moments are compared to a tenth of a second.
        let at = (verdict.at.as_secs_f64() * 10.0).round() / 10.0;
        match &verdict.cause {
            None => (format!("{} @ {at}", verdict.outcome), String::new()),
            Some(cause) => (
                format!("{} {} {} @ {at}", verdict.outcome, cause.class, cause.reason),
                format!("{} [{}] {}", cause.message, cause.hint, cause.object),
            ),
        }
    }

    /// Asserts the verdict, and that message, hint or object say all of `mentions`.
    #[track_caller]
    fn ends(&mut self, expected: &str, mentions: &[&str]) {
        let (verdict, text) = self.end();
        assert_eq!(verdict, expected, "{text}");
        for mention in mentions {
            assert!(text.contains(mention), "`{mention}` is not in: {text}");
        }
    }

    #[track_caller]
    fn is_open(&mut self) {
        assert_eq!(self.verdict, None);
    }
}

/// An object in YAML; its `uid` and `apiVersion` are made up where they are missing.
fn object(yaml: &str) -> Arc<Json> {
    let parsed = crate::yaml::parse(yaml);
    assert_eq!(parsed.errors, [], "{yaml}");
    let mut object = parsed.documents[0].root.to_json();
    let (kind, name) =
        (object["kind"].as_str().unwrap().to_owned(), object["metadata"]["name"].as_str().unwrap().to_owned());
    if object["metadata"].get("uid").is_none() {
        object["metadata"]["uid"] = json!(format!("{kind}-{name}"));
    }
    if object.get("apiVersion").is_none() {
        object["apiVersion"] = json!("v1");
    }
    Arc::new(object)
}

/// A pod of `owner` (`apiVersion Kind/name`), on a node, with this status and this specification of its pod.
fn pod(owner: &str, name: &str, spec: &str, status: &str) -> String {
    let owners = owner.split_once(' ').map_or_else(String::new, |(api_version, rest)| {
        let (kind, of) = rest.split_once('/').unwrap();
        format!(
            ", ownerReferences: [{{apiVersion: {api_version}, kind: {kind}, name: {of}, uid: {kind}-{of}, controller: true}}]"
        )
    });
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}{owners}}}\nspec: {{nodeName: node-1, {spec}}}\nstatus: {{{status}}}\n"
    )
}

/// A pod of Job/j, in which the container `main` has this status.
fn job_pod(policy: &str, phase: &str, main: &str) -> String {
    pod(
        "batch/v1 Job/j",
        "j-1",
        &format!("restartPolicy: {policy}, containers: [{{name: main, image: \"a:1\"}}]"),
        &format!("phase: {phase}, containerStatuses: [{{name: main, {main}}}]"),
    )
}

const JOB: &str = "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {completions: 1, backoffLimit: 6}, status: {active: 1}}";

/// A stage on which Job/j has just been made.
fn job() -> Stage {
    let mut stage = Stage::new(&["batch/v1 Job/j"]);
    stage.see(0.0, JOB);
    stage
}

const JOB_FAILED: &str = "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, status: {failed: 1, conditions: [{type: Failed, \
                          status: 'True', reason: BackoffLimitExceeded, message: Job has reached the specified backoff limit}]}}";
const JOB_COMPLETE: &str =
    "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, status: {conditions: [{type: Complete, status: 'True'}]}}";
