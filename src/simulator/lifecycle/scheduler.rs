//! The scheduler: which node takes a pod, or why none does. Texts as those of kube-scheduler v1.36 (recordings of kind).

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::action::{Action, Happening, pod_key};
use super::kubelet::draft::{State, settle};
use super::object::{has_ended, is_deleting, list, meets, name, namespace, selects, text};
use super::world::World;
use crate::quantity::Quantity;
use crate::simulator::store::Key;

/// What the scheduler calls itself in events.
const SCHEDULER: &str = "default-scheduler";

/// What `FailedScheduling` says after the reasons.
const PREEMPTION: &str =
    "no new claims to deallocate, preemption: 0/N nodes are available: N Preemption is not helpful for scheduling.";

/// What a pod asks a node for, by resource.
pub type Amounts = BTreeMap<String, Quantity>;

/// Finds a node for a pod that has none.
#[must_use]
pub fn schedule(pod: &Json, world: World<'_>) -> Vec<Action> {
    if !text(pod, "/spec/nodeName").is_empty() || is_deleting(pod) || has_ended(pod) {
        return Vec::new();
    }
    if !list(pod, "/spec/schedulingGates").is_empty() {
        let why = "Scheduling is blocked due to non-empty scheduling gates".to_owned();
        return vec![condition(pod, &State::new(false, "SchedulingGated", why))];
    }
    match find(pod, world) {
        Ok(node) => assign(pod, &node),
        Err(why) => vec![
            Happening::warning(pod, SCHEDULER, "FailedScheduling", why.clone()).into(),
            condition(pod, &State::new(false, "Unschedulable", why)),
        ],
    }
}

fn assign(pod: &Json, node: &str) -> Vec<Action> {
    let key = pod_key(pod);
    let message = format!("Successfully assigned {}/{} to {node}", namespace(pod), name(pod));
    let chosen = node.to_owned();
    let scheduled = settle(&pod["status"]["conditions"], pod, "PodScheduled", &State::new(true, "", String::new()));
    let assign = Action::Edit(
        key,
        Box::new(move |pod| {
            pod["spec"]["nodeName"] = chosen.into();
            pod["status"]["conditions"] = json!([scheduled]);
        }),
    );
    vec![assign, Happening::normal(pod, SCHEDULER, "Scheduled", message).into()]
}

fn condition(pod: &Json, state: &State) -> Action {
    let mut status = pod.get("status").cloned().unwrap_or_else(|| json!({"phase": "Pending"}));
    status["conditions"] = json!([settle(&status["conditions"], pod, "PodScheduled", state)]);
    Action::Status(pod_key(pod), status)
}

/// The node that takes the pod, or why none does.
fn find(pod: &Json, world: World<'_>) -> Result<String, String> {
    let (nodes, _) = world.store.list("", "nodes", None);
    let all = nodes.len();
    claims(pod, world, all)?;
    let wanted = requests(pod);
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for node in &nodes {
        let (used, count) = world.memory.taken(name(node));
        let why = refusals(pod, node, &wanted, &used, count);
        if why.is_empty() {
            return Ok(name(node).to_owned());
        }
        for reason in why {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    if all == 0 {
        return Err("no nodes available to schedule pods".to_owned());
    }
    let mut told: Vec<_> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    told.sort();
    let preemption = PREEMPTION.replace('N', &all.to_string());
    Err(format!("0/{all} nodes are available: {}. {preemption}", told.join(", ")))
}

/// Why the claims of a pod keep it from every node.
fn claims(pod: &Json, world: World<'_>, nodes: usize) -> Result<(), String> {
    for volume in list(pod, "/spec/volumes") {
        let claim = text(volume, "/persistentVolumeClaim/claimName");
        if claim.is_empty() {
            continue;
        }
        let Some(found) = world.store.get(&Key::namespaced("", "persistentvolumeclaims", namespace(pod), claim)) else {
            return Err(format!(
                "0/{nodes} nodes are available: persistentvolumeclaim \"{claim}\" not found. not found"
            ));
        };
        if text(&found, "/status/phase") == "Bound" {
            continue;
        }
        let class = text(&found, "/spec/storageClassName");
        let known = world.store.get(&Key::cluster("storage.k8s.io", "storageclasses", class));
        let waits = known.as_ref().is_some_and(|class| text(class, "/volumeBindingMode") == "WaitForFirstConsumer");
        let preemption = PREEMPTION.replace('N', &nodes.to_string());
        if !waits {
            return Err(format!(
                "0/{nodes} nodes are available: pod has unbound immediate PersistentVolumeClaims. {preemption}"
            ));
        }
        if !world.options.provisions {
            return Err(format!(
                "0/{nodes} nodes are available: {nodes} node(s) didn't find available persistent volumes to bind. {preemption}"
            ));
        }
    }
    Ok(())
}

/// Why a node does not take the pod.
fn refusals(pod: &Json, node: &Json, wanted: &Amounts, used: &Amounts, count: usize) -> Vec<String> {
    if node.pointer("/spec/unschedulable").and_then(Json::as_bool) == Some(true) {
        return vec!["node(s) were unschedulable".to_owned()];
    }
    for taint in list(node, "/spec/taints") {
        if text(taint, "/effect") != "PreferNoSchedule" && !is_tolerated(pod, taint) {
            return vec!["node(s) had untolerated taint(s)".to_owned()];
        }
    }
    if !is_selected(pod, node) {
        return vec!["node(s) didn't match Pod's node affinity/selector".to_owned()];
    }
    let offered = |resource: &str| {
        let text = node.pointer("/status/allocatable").and_then(|all| all.get(resource)).and_then(Json::as_str);
        text.and_then(Quantity::parse).unwrap_or_default()
    };
    let mut reasons = Vec::new();
    if i64::try_from(count).unwrap_or(i64::MAX) >= offered("pods").units() {
        reasons.push("Too many pods".to_owned());
    }
    for (resource, amount) in wanted {
        let taken = used.get(resource).copied().unwrap_or_default();
        if !amount.is_zero() && amount.plus(taken) > offered(resource) {
            reasons.push(format!("Insufficient {resource}"));
        }
    }
    reasons
}

fn is_tolerated(pod: &Json, taint: &Json) -> bool {
    list(pod, "/spec/tolerations").iter().any(|toleration| {
        let (key, effect) = (text(toleration, "/key"), text(toleration, "/effect"));
        (effect.is_empty() || effect == text(taint, "/effect"))
            && match text(toleration, "/operator") {
                "Exists" => key.is_empty() || key == text(taint, "/key"),
                _ => key == text(taint, "/key") && text(toleration, "/value") == text(taint, "/value"),
            }
    })
}

fn is_selected(pod: &Json, node: &Json) -> bool {
    let labels = node.pointer("/metadata/labels");
    let selector = json!({"matchLabels": pod.pointer("/spec/nodeSelector").cloned().unwrap_or_default()});
    let required = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let terms = list(pod, required);
    let fits = |term: &Json| {
        list(term, "/matchFields").iter().all(|field| meets(field, Some(name(node))))
            && selects(&json!({"matchExpressions": term["matchExpressions"]}), labels)
    };
    selects(&selector, labels) && (terms.is_empty() || terms.iter().any(fits))
}

/// Adds amounts to a sum.
pub fn add(sum: &mut Amounts, more: &Amounts) {
    for (resource, amount) in more {
        let slot = sum.entry(resource.clone()).or_default();
        *slot = slot.plus(*amount);
    }
}

/// What a pod requests: its containers and sidecars together, or its largest init container if that is more. A limit
/// without a request is a request.
#[must_use]
pub fn requests(pod: &Json) -> Amounts {
    let mut sum = Amounts::new();
    for container in list(pod, "/spec/containers") {
        add(&mut sum, &amounts(container, &["limits", "requests"]));
    }
    let mut largest = Amounts::new();
    for container in list(pod, "/spec/initContainers") {
        let own = amounts(container, &["limits", "requests"]);
        if text(container, "/restartPolicy") == "Always" {
            add(&mut sum, &own);
            continue;
        }
        for (resource, amount) in own {
            let slot = largest.entry(resource).or_default();
            *slot = (*slot).max(amount);
        }
    }
    for (resource, amount) in largest {
        let slot = sum.entry(resource).or_default();
        *slot = (*slot).max(amount);
    }
    sum
}

/// What a container asks for, the later of `kinds` going before the earlier.
#[must_use]
pub fn amounts(container: &Json, kinds: &[&str]) -> Amounts {
    let mut found = Amounts::new();
    for kind in kinds {
        let asked = container.pointer(&format!("/resources/{kind}")).and_then(Json::as_object);
        for (resource, amount) in asked.into_iter().flatten() {
            let amount = match amount {
                Json::String(text) => Quantity::parse(text),
                other => other.as_i64().map(Quantity::from_units),
            };
            found.insert(resource.clone(), amount.unwrap_or_default());
        }
    }
    found
}
