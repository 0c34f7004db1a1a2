//! The simulated cluster's lifecycle against recordings of a real one: a scenario's manifest goes through the same judged
//! states, its containers through the same states, and the same kinds of events are told.

#![expect(clippy::unwrap_used, reason = "a broken recording is a failure of the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use example_validator::framework::{Frameworks, State};
use example_validator::simulator::lifecycle::{Options, Pace, start};
use example_validator::simulator::store::{Changes, Event, Key, Propagation, Store};
use serde_json::{Value as Json, json};

/// Kinds that the recorded cluster had from operators: group, version, kind, resource.
const CUSTOM: &[(&str, &str, &str, &str)] = &[
    ("kubeflow.org", "v1", "PyTorchJob", "pytorchjobs"),
    ("kubeflow.org", "v1", "TFJob", "tfjobs"),
    ("kubeflow.org", "v1", "MPIJob", "mpijobs"),
    ("kubeflow.org", "v1", "XGBoostJob", "xgboostjobs"),
    ("kubeflow.org", "v1", "PaddleJob", "paddlejobs"),
    ("kubeflow.org", "v1", "JAXJob", "jaxjobs"),
    ("trainer.kubeflow.org", "v1alpha1", "TrainJob", "trainjobs"),
    ("jobset.x-k8s.io", "v1alpha2", "JobSet", "jobsets"),
];

/// What a run showed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// By judged object, the states that it went through.
    states: BTreeMap<String, Vec<State>>,
    /// What pods and containers said of themselves.
    pods: BTreeSet<String>,
    /// What events told: kind of object, type, reason.
    events: BTreeSet<String>,
}

fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    path.exists().then_some(path)
}

fn text<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

fn list<'a>(object: &'a Json, pointer: &str) -> &'a [Json] {
    object.pointer(pointer).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

impl Seen {
    fn take(&mut self, frameworks: &Frameworks, judged: &[(String, String)], object: &Json) {
        let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
        let (group, version) = text(object, "/apiVersion").split_once('/').unwrap_or(("", text(object, "/apiVersion")));
        match kind {
            "Event" => {
                let about = text(object, "/involvedObject/kind");
                self.events.insert(format!("{about} {} {}", text(object, "/type"), text(object, "/reason")));
            }
            "Pod" => self.pods.extend(facts(object)),
            _ => {}
        }
        if judged.iter().any(|(judged_kind, judged_name)| judged_kind == kind && judged_name == name)
            && let Some(framework) = frameworks.describe(group, version, kind)
        {
            let state = framework.state(object).unwrap();
            let states = self.states.entry(format!("{kind}/{name}")).or_default();
            if states.last() != Some(&state) {
                states.push(state);
            }
        }
    }
}

/// What a pod and its containers say of themselves, without what differs from run to run.
fn facts(pod: &Json) -> Vec<String> {
    let mut facts = vec![format!("pod {}", text(pod, "/status/phase"))];
    for condition in list(pod, "/status/conditions").iter().filter(|condition| text(condition, "/status") == "False") {
        facts.push(format!("pod {} {}", text(condition, "/type"), text(condition, "/reason")));
    }
    for place in ["/status/initContainerStatuses", "/status/containerStatuses"] {
        for status in list(pod, place) {
            let name = text(status, "/name");
            for (state, detail) in status["state"].as_object().into_iter().flatten() {
                facts.push(format!("{name} {state} {} {}", text(detail, "/reason"), detail["exitCode"]));
            }
        }
    }
    facts
}

/// The objects of a scenario's manifest.
fn manifest(folder: &Path) -> Vec<Json> {
    let parsed = example_validator::yaml::parse(&std::fs::read_to_string(folder.join("manifest.yaml")).unwrap());
    parsed.documents.iter().map(|document| document.root.to_json()).collect()
}

/// The objects that a scenario is judged by.
fn judged(objects: &[Json], frameworks: &Frameworks) -> Vec<(String, String)> {
    let known = |object: &&Json| {
        let (group, version) = text(object, "/apiVersion").split_once('/').unwrap_or(("", text(object, "/apiVersion")));
        frameworks.describe(group, version, text(object, "/kind")).is_some()
    };
    let found = objects.iter().filter(known);
    found.map(|object| (text(object, "/kind").to_owned(), text(object, "/metadata/name").to_owned())).collect()
}

/// What the recording shows, and how long it is.
fn recorded(folder: &Path) -> (Seen, Duration) {
    let frameworks = Frameworks::default();
    let judged = judged(&manifest(folder), &frameworks);
    let (mut seen, mut last) = (Seen::default(), 0.0);
    for line in std::fs::read_to_string(folder.join("watch.jsonl")).unwrap().lines() {
        let change: Json = serde_json::from_str(line).unwrap();
        if text(&change, "/type") != "BOOKMARK" && text(&change, "/type") != "DELETED" {
            last = change["t"].as_f64().unwrap();
            seen.take(&frameworks, &judged, &change["object"]);
        }
    }
    (seen, Duration::from_secs_f64(last))
}

/// What the simulated cluster shows for the same manifest in that time.
async fn played(folder: &Path, pace: Pace, time: Duration) -> Seen {
    let store = Store::with(1, 10);
    for (group, version, kind, plural) in CUSTOM {
        store
            .create(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": format!("{plural}.{group}")},
                "spec": {"group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": kind},
                    "versions": [{"name": version, "served": true, "storage": true, "subresources": {"status": {}}}]}}))
            .unwrap();
    }
    let mut changes = store.changes();
    let present = ["local/jobimg:1", "alpine:3.10", "ghcr.io/kubeflow/training-v1/*"].map(str::to_owned);
    let options = Options { pace, present_images: present.into(), provisions: false, ..Options::default() };
    let lifecycle = start(store.clone(), options);
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let enforced = if name == "pod-security-refused" { "restricted" } else { "privileged" };
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "rec",
        "labels": {"pod-security.kubernetes.io/enforce": enforced}}, "spec": {"finalizers": ["kubernetes"]}});
    store.create(namespace).unwrap();
    while store.get(&Key::namespaced("", "serviceaccounts", "rec", "default")).is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (frameworks, objects) = (Frameworks::default(), manifest(folder));
    for mut object in objects.clone() {
        object["metadata"]["namespace"] = "rec".into();
        store.create(object).unwrap();
    }
    let resumed = name.ends_with("then-resumed");
    tokio::time::sleep(if resumed { Duration::from_secs(6) } else { time }).await;
    if resumed {
        let key = Key::namespaced("kubeflow.org", "pytorchjobs", "rec", "sus");
        store.update(&key, |object| object["spec"]["runPolicy"]["suspend"] = false.into()).unwrap();
        tokio::time::sleep(time).await;
    }
    drop(lifecycle);
    collect(&mut changes, &frameworks, &judged(&objects, &frameworks))
}

fn collect(changes: &mut Changes, frameworks: &Frameworks, judged: &[(String, String)]) -> Seen {
    let mut seen = Seen::default();
    while let Some(change) = changes.try_next() {
        if change.event != Event::Deleted {
            let object: Arc<Json> = Arc::clone(&change.object);
            seen.take(frameworks, judged, &object);
        }
    }
    seen
}

/// Facts that a recording has and the simulated cluster has not, or the other way round, and why that is no fault.
const TOLERATED: &[(&str, &str)] = &[
    // The operator raced with itself; nobody relies on that.
    ("pytorchjob-ttl", "FailedCreateService"),
    // The recorded operator slept through the moment in which a pod had an exit code and was not over yet.
    ("tfjob-succeeded-and-failed", "TFJob Warning Error"),
];

/// How much longer than the recording the simulated cluster is watched: it is not as quick in everything.
const SLACK: Duration = Duration::from_secs(2);

/// Whether the objects went through the same states, as far as the recording goes. How often something restarted by then is
/// a matter of moments: Running and Pending in turns count once.
fn is_same_way(own: &BTreeMap<String, Vec<State>>, real: &BTreeMap<String, Vec<State>>) -> bool {
    own.len() == real.len()
        && real.iter().all(|(object, real)| {
            let (own, real) = (own.get(object).map(|own| without_turns(own)).unwrap_or_default(), without_turns(real));
            own.starts_with(&real)
        })
}

/// Scenarios in which a pod ran and ended between two looks of the recorded operator.
const QUICK: &[&str] = &["mpijob-invalid"];

fn without_turns(states: &[State]) -> Vec<State> {
    let mut kept: Vec<State> = Vec::new();
    for state in states {
        kept.push(*state);
        if let [.., a, b, c, d] = kept[..]
            && a == c
            && b == d
        {
            kept.truncate(kept.len() - 2);
        }
    }
    kept
}

fn difference(scenario: &str, own: &BTreeSet<String>, real: &BTreeSet<String>) -> Vec<String> {
    let is_fault = |fact: &&String| !TOLERATED.iter().any(|(name, known)| *name == scenario && fact.contains(known));
    let missing = real.difference(own).filter(is_fault).map(|fact| format!("- {fact}"));
    let surplus = own.difference(real).filter(is_fault).map(|fact| format!("+ {fact}"));
    missing.chain(surplus).collect()
}

#[tokio::test(start_paused = true)]
async fn every_scenario_goes_the_way_that_was_recorded() {
    let Some(folder) = shared("recordings") else {
        println!("skipped: the shared recordings are not here");
        return;
    };
    let mut folders: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("watch.jsonl").exists() && !folder.ends_with("pytorchjob-rejected-by-webhook"));
    folders.sort();
    let mut faults = Vec::new();
    for folder in &folders {
        let (real, time) = recorded(folder);
        let own = played(folder, Pace::Real(1.0), time + SLACK).await;
        let name = folder.file_name().unwrap().to_string_lossy();
        let mut states = own.states.clone();
        if QUICK.contains(&name.as_ref()) {
            for states in states.values_mut() {
                states.retain(|state| *state != State::Running);
            }
        }
        if !is_same_way(&states, &real.states) {
            faults.push(format!("{name}: states {:?} instead of {:?}", own.states, real.states));
        }
        for (what, own, real) in [("pods", &own.pods, &real.pods), ("events", &own.events, &real.events)] {
            let difference = difference(&name, own, real);
            if !difference.is_empty() {
                faults.push(format!("{name}: {what} {difference:#?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults in {} scenarios:\n{}", faults.len(), folders.len(), faults.join("\n"));
}

/// What the recorded manifests come to at once: the last state of each judged object is that of the recording, where that
/// was for good.
#[tokio::test(start_paused = true)]
async fn at_once_every_scenario_ends_as_it_was_recorded() {
    let Some(folder) = shared("recordings") else {
        println!("skipped: the shared recordings are not here");
        return;
    };
    let mut faults = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.join("watch.jsonl").exists() || folder.ends_with("pytorchjob-rejected-by-webhook") {
            continue;
        }
        let (real, _) = recorded(&folder);
        // The longest that a recorded example waited for its end was six minutes.
        let own = played(&folder, Pace::Instant, Duration::from_secs(2)).await;
        for (object, states) in &real.states {
            let (real, own) = (states.last(), own.states.get(object).and_then(|states| states.last()));
            let is_final = matches!(real, Some(State::Succeeded | State::Failed | State::Suspended));
            if is_final && own != real {
                faults.push(format!("{} {object}: {own:?} instead of {real:?}", folder.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Real time, since this is about it.
#[tokio::test]
async fn two_hundred_namespaces_come_and_go_in_a_moment() {
    const MANIFEST: &str = r#"{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "ok"}, "spec": {"template":
        {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox",
        "command": ["sh", "-c", "echo hello; sleep 1; echo accuracy=0.97"]}]}}}}"#;
    let store = Store::with(1, 10);
    let _lifecycle = start(store.clone(), Options::default());
    let begin = std::time::Instant::now();
    let names: Vec<_> = (0..200).map(|number| format!("cell-{number}")).collect();
    for name in &names {
        store
            .create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name},
                "spec": {"finalizers": ["kubernetes"]}}))
            .unwrap();
        let mut job: Json = serde_json::from_str(MANIFEST).unwrap();
        job["metadata"]["namespace"] = name.as_str().into();
        store.create(job).unwrap();
    }
    let is_complete = |name: &String| {
        let job = store.get(&Key::namespaced("batch", "jobs", name, "ok"));
        job.is_some_and(|job| {
            list(&job, "/status/conditions").iter().any(|condition| text(condition, "/type") == "Complete")
        })
    };
    while !names.iter().all(is_complete) {
        assert!(begin.elapsed() < Duration::from_secs(60), "not done after a minute");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let done = begin.elapsed();
    for name in &names {
        store.delete(&Key::cluster("", "namespaces", name), Propagation::Background).unwrap();
    }
    while names.iter().any(|name| store.get(&Key::cluster("", "namespaces", name)).is_some()) {
        assert!(begin.elapsed() < Duration::from_secs(120), "not gone after two minutes");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("done after {done:?}, gone after {:?}", begin.elapsed());
    assert_eq!(store.list("", "pods", None).0.len(), 0);
    assert_eq!(store.list("", "events", None).0.len(), 0);
}
