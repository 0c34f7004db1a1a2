//! Any other custom resource with pod templates: a pod for each copy that it asks for, and a status that says what became
//! of them.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::super::action::{Action, CreatePod, Cue};
use super::super::controllers::workload::set_condition;
use super::super::object::{is_deleting, is_ready, is_true, name, namespace, number, owner_reference, text, uid};
use super::super::world::World;
use crate::simulator::store::Key;

/// What the stand-in operator calls itself in events.
const OPERATOR: &str = "simulated-operator";

/// Kinds that hold pod templates for others to use.
const TEMPLATES: &[&str] =
    &["TrainingRuntime", "ClusterTrainingRuntime", "WorkflowTemplate", "ClusterWorkflowTemplate", "Trial"];

/// How a kind says that it runs, succeeded or failed, besides conditions: the kind, where, the three words.
const WORDS: &[(&str, &str, [&str; 3])] = &[
    ("RayJob", "jobStatus", ["RUNNING", "SUCCEEDED", "FAILED"]),
    ("RayCluster", "state", ["", "ready", "failed"]),
    ("RayService", "serviceStatus", ["", "Running", ""]),
    ("Job", "state.phase", ["Running", "Completed", "Failed"]),
    ("SparkApplication", "applicationState.state", ["RUNNING", "COMPLETED", "FAILED"]),
    ("Workflow", "phase", ["Running", "Succeeded", "Failed"]),
];

/// What the pods make of the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Succeeded,
    Failed,
}

/// What becomes of such a resource.
#[must_use]
pub(super) fn reconcile(object: &Json, key: &Key, cue: &Cue, world: World<'_>) -> Vec<Action> {
    let suspended = is_true(object, "/spec/suspend") || is_true(object, "/spec/runPolicy/suspend");
    if is_deleting(object) || suspended || TEMPLATES.contains(&text(object, "/kind")) || key.namespace.is_none() {
        return Vec::new();
    }
    let mut wanted = Vec::new();
    templates(object, 1, &mut Vec::new(), &mut wanted);
    if wanted.is_empty() {
        return Vec::new();
    }
    let pods = world.pods(object);
    let turn = if let Cue::Again(turn) = cue { *turn } else { 0 };
    let mut actions = Vec::new();
    for (path, template, copies) in &wanted {
        for index in 0..*copies {
            let own = pod_name(object, path, index);
            let is_refused = world.is_marked(object, &format!("created {own}"));
            if (turn > 0 || !is_refused) && !pods.iter().any(|pod| name(pod) == own) {
                actions.push(Action::Mark(uid(object).to_owned(), format!("created {own}")));
                let done = ("SuccessfulCreate", "Created pod: {}");
                let how = CreatePod { owner: object.clone(), by: OPERATOR, done, turn };
                actions.push(Action::CreatePod(pod(object, template, &own), how));
            }
        }
    }
    let total = wanted.iter().map(|(_, _, copies)| copies).sum();
    if let Some(state) = state(&pods, total) {
        actions.push(Action::Status(key.clone(), status(object, state)));
    }
    actions
}

/// The pod templates of an object: where each is, what it holds, how many copies.
fn templates<'a>(node: &'a Json, copies: u64, path: &mut Vec<String>, found: &mut Vec<(String, &'a Json, u64)>) {
    match node {
        Json::Object(map) => {
            let count =
                ["replicas", "numNodes", "parallelism"].iter().find_map(|field| number(node, &format!("/{field}")));
            let copies = copies.saturating_mul(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(1)).min(100);
            if node.pointer("/spec/containers").is_some_and(Json::is_array) {
                let words = path.iter().filter(|word| !["spec", "template"].contains(&word.to_lowercase().as_str()));
                found.push((words.cloned().collect::<Vec<_>>().join("-"), node, copies));
                return;
            }
            for (key, value) in map.iter().filter(|(key, _)| *key != "status" && *key != "metadata") {
                path.push(word(key));
                templates(value, copies, path, found);
                path.pop();
            }
        }
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                templates(item, copies, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

/// A field's name as a part of a pod's name: `headGroupSpec` is `head`.
fn word(field: &str) -> String {
    let lower = field.to_lowercase();
    for end in ["groupspecs", "groupspec", "replicaspecs", "specs", "spec"] {
        if let Some(start) = lower.strip_suffix(end).filter(|start| !start.is_empty()) {
            return start.to_owned();
        }
    }
    lower
}

fn pod_name(object: &Json, path: &str, index: u64) -> String {
    let middle = if path.is_empty() { String::new() } else { format!("{path}-") };
    let start: String = name(object).chars().take(40).collect();
    format!("{start}-{middle}{index}").chars().take(63).collect()
}

fn pod(object: &Json, template: &Json, own: &str) -> Json {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": template["spec"]});
    if template["metadata"].is_object() {
        pod["metadata"] = template["metadata"].clone();
    }
    pod["metadata"]["name"] = own.into();
    pod["metadata"]["namespace"] = namespace(object).into();
    pod["metadata"]["ownerReferences"] = json!([owner_reference(object)]);
    if text(&pod, "/spec/restartPolicy").is_empty() {
        pod["spec"]["restartPolicy"] = "Never".into();
    }
    pod
}

/// What the pods make of their owner: failed once one has failed, succeeded once all have; those that restart for ever are
/// done when they are ready.
fn state(pods: &[Arc<Json>], total: u64) -> Option<State> {
    let is = |pod: &Json, phase: &str| text(pod, "/status/phase") == phase;
    let serves = |pod: &Json| text(pod, "/spec/restartPolicy") == "Always" && is_ready(pod);
    if pods.iter().any(|pod| is(pod, "Failed")) {
        return Some(State::Failed);
    }
    let done = pods.iter().filter(|pod| is(pod, "Succeeded") || serves(pod)).count();
    if done as u64 >= total {
        return Some(State::Succeeded);
    }
    pods.iter().any(|pod| is(pod, "Running")).then_some(State::Running)
}

fn status(object: &Json, state: State) -> Json {
    let mut status = object.get("status").filter(|status| status.is_object()).cloned().unwrap_or_else(|| json!({}));
    let (kind, index) = match state {
        State::Running => ("Running", 0),
        State::Succeeded => ("Succeeded", 1),
        State::Failed => ("Failed", 2),
    };
    let message = format!("simulated: {} is {}", name(object), kind.to_lowercase());
    if state != State::Running && status.pointer("/conditions").is_some() {
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            if text(condition, "/type") == "Running" {
                condition["status"] = "False".into();
            }
        }
    }
    set_condition(&mut status, kind, "True", kind, &message);
    let known = WORDS.iter().find(|(known, ..)| *known == text(object, "/kind"));
    if let Some((_, place, words)) = known.filter(|(_, _, words)| !words[index].is_empty()) {
        match place.split_once('.') {
            Some((outer, inner)) => status[outer][inner] = words[index].into(),
            None => status[*place] = words[index].into(),
        }
    }
    status
}
