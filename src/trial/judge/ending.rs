//! Why a judged object ended badly: from its pods, its conditions and its troubles to one cause.

use serde_json::Value as Json;

use super::Judge;
use super::finding::Finding;
use super::pod::{BadEnd, Container, Pod, Role, container_spec};
use super::read::{self, key, list, text};
use super::starting::{self, Said};
use crate::config::Graces;
use crate::model::CauseClass::{Admission, Cluster, Runtime, Scheduling};
use crate::model::{CauseClass, Outcome};

/// What a pod's `status.reason` means, where the pod did not fail by its containers; a prefix is enough.
const POD_REASONS: [(&str, Outcome, CauseClass, &str); 12] = [
    ("NodeLost", Outcome::Errored, Cluster, "its node was lost: try again"),
    ("NodeShutdown", Outcome::Errored, Cluster, "its node was shut down: try again"),
    ("Shutdown", Outcome::Errored, Cluster, "its node was shut down: try again"),
    ("Terminated", Outcome::Errored, Cluster, "its node was shut down: try again"),
    ("Preempt", Outcome::Errored, Cluster, "something of higher priority took its place: try again"),
    ("OutOf", Outcome::Errored, Cluster, "its node was full when it came: try again"),
    (
        "UnexpectedAdmissionError",
        Outcome::Errored,
        Cluster,
        "its node refused it: look at the kubelet and its device plugins",
    ),
    (
        "Evicted",
        Outcome::Errored,
        Cluster,
        "its node ran out of something: give the cluster larger nodes, or try again",
    ),
    ("NodeAffinity", Outcome::Failed, Scheduling, "its node does not match its nodeSelector or affinity"),
    ("NodePorts", Outcome::Failed, Scheduling, "its host port is taken on the node: drop hostPort, or use another"),
    ("SysctlForbidden", Outcome::Failed, Admission, "the kubelet does not allow this sysctl: drop it"),
    ("AppArmor", Outcome::Failed, Admission, "the node cannot enforce its AppArmor profile: change it"),
];

/// Messages of evictions for which the pod itself is to blame.
const OWN_LIMIT: [&str; 4] = [
    "local storage usage exceeds",
    "exceeded its local ephemeral storage limit",
    "usage of EmptyDir volume",
    "Usage of EmptyDir volume",
];

impl Judge {
    /// Why a judged object ended badly, and whether all is known of it: where nothing explains it, its pods' news may still
    /// be under way.
    pub(super) fn ending(&self, index: usize) -> (Finding, bool) {
        let Some(object) = self.explaining(index) else {
            let reference = self.reference(index);
            return (Finding::failed(Runtime, "Failed", format!("{reference} failed"), "").of(reference), false);
        };
        let (reason, message) = verdict_of(object);
        let reference = read::reference(object);
        let said = format!("{reference} failed: {}", if message.is_empty() { &reason } else { &message });
        let trouble = || self.worst_trouble(Some(index)).map(|trouble| trouble.finding.clone());
        let container = || self.bad_container(index, &message);
        if is_deadline(&reason, &message) {
            return (
                trouble().map_or_else(|| deadline(object, &message, container()), |found| with(found, &said)),
                true,
            );
        }
        let finishes = self.judged[index].object.framework.finishes || key(object, "kind") == "Pod";
        let found = if finishes { container().or_else(trouble) } else { trouble().or_else(container) };
        if let Some(found) = found {
            return (with(found, &said), true);
        }
        if let Some(found) = self.pods_of(index).filter_map(disrupted).last() {
            return (with(found, &said), true);
        }
        let probe =
            self.pods_of(index).find_map(|pod| pod.probes.iter().next().map(|(container, why)| (pod, container, why)));
        let unready = probe.filter(|_| !finishes);
        let said = unready.map_or(said.clone(), |(pod, container, why)| {
            format!("{said}; container `{container}` of {} is not ready: {why}", pod.reference())
        });
        let culprit = unready.map(|(pod, container, _)| pod.culprit(container));
        let known = unready.is_some() || !finishes;
        let refused =
            ["Valid", "Invalid", "NotSupported", "Rejected", "Forbidden"].iter().any(|word| reason.contains(word));
        let (class, hint) = if refused {
            (Admission, "the operator refuses the specification: correct what the message names")
        } else if unready.is_some() {
            (Runtime, "correct the probe, or what it asks")
        } else {
            (Runtime, "read the log of its pods, and of the operator that serves it")
        };
        (Finding::failed(class, &reason, said, hint).of(reference).by(culprit), known)
    }

    /// The container that made a judged object fail. Of a Job's pods the last one decided; of the pods of a distributed job
    /// the first, since the others fail for want of it.
    fn bad_container(&self, index: usize, message: &str) -> Option<Finding> {
        let main = self.main_container(index);
        let of_job = |pod: &Pod| self.ownership.owner(&pod.identity).is_some_and(|owner| owner.kind == "Job");
        let mut bad: Vec<(&Pod, &String, &BadEnd)> = Vec::new();
        for pod in self.pods_of(index).filter(|pod| pod.phase() != "Succeeded") {
            bad.extend(pod.bad_ends.iter().filter(|(_, bad)| !bad.killed).map(|(name, bad)| (pod, name, bad)));
        }
        let (pod, name, bad) = bad.into_iter().min_by_key(|(pod, name, bad)| {
            let named = !pod.name().is_empty() && message.contains(pod.name());
            let order = if of_job(pod) { u128::MAX - bad.first.as_nanos() } else { bad.first.as_nanos() };
            (bad.role == Role::Sidecar, !named, order, *name != main, bad.role, (*name).clone())
        })?;
        Some(disrupted(pod).unwrap_or_else(|| ended(pod, name, bad)))
    }
}

/// A finding, with what the judged object said of its own end.
fn with(mut found: Finding, said: &str) -> Finding {
    if !found.message.contains(said) {
        found.message = format!("{}; {said}", found.message);
    }
    found
}

/// What an object says of its bad end: a reason and a message, either of which may be empty.
pub fn verdict_of(object: &Json) -> (String, String) {
    let conditions = list(object, "/status/conditions");
    let of = |kind: &str, status: &str| {
        conditions.iter().find(|found| key(found, "type") == kind && key(found, "status") == status)
    };
    let failing = [
        ("Failed", "True"),
        ("FailureTarget", "True"),
        ("Progressing", "False"),
        ("Complete", "False"),
        ("Succeeded", "False"),
    ];
    let condition = failing.iter().find_map(|(kind, status)| of(kind, status));
    let either = |first: &str, pointers: &[&str]| {
        let texts = pointers.iter().map(|pointer| text(object, pointer));
        std::iter::once(first).chain(texts).find(|text| !text.is_empty()).unwrap_or_default().to_owned()
    };
    let field = |name: &str| condition.map_or("", |condition| key(condition, name));
    let states = [
        "/status/reason",
        "/status/jobStatus",
        "/status/phase",
        "/status/state/phase",
        "/status/applicationState/state",
    ];
    let messages = ["/status/message", "/status/state/message", "/status/applicationState/errorMessage"];
    let reason = either(field("reason"), &states);
    (if reason.is_empty() { "Failed".to_owned() } else { reason }, either(field("message"), &messages))
}

fn is_deadline(reason: &str, message: &str) -> bool {
    reason == "DeadlineExceeded"
        || message.contains("longer than specified deadline")
        || message.contains("longer than the specified deadline")
}

fn deadline(object: &Json, message: &str, container: Option<Finding>) -> Finding {
    let at = ["/spec/activeDeadlineSeconds", "/spec/runPolicy/activeDeadlineSeconds"];
    let seconds = at.iter().find_map(|pointer| object.pointer(pointer)?.as_u64());
    let limit = seconds.map_or_else(String::new, |seconds| format!(" (activeDeadlineSeconds: {seconds})"));
    let reference = read::reference(object);
    let mut text = format!("{reference} did not end before its deadline{limit}: {message}");
    let culprit = container.as_ref().and_then(|found| found.culprit.clone());
    if let Some(found) = container {
        text.push_str(&format!("; {}", found.message));
    }
    Finding::failed(Runtime, "DeadlineExceeded", text, "raise activeDeadlineSeconds, or make it faster")
        .of(reference)
        .by(culprit)
}

/// Why a pod ended, where something else than its containers ended it.
pub fn disrupted(pod: &Pod) -> Option<Finding> {
    let (reason, message) = (text(&pod.object, "/status/reason"), text(&pod.object, "/status/message"));
    let reference = pod.reference();
    let say = |reason: &str, message: &str| {
        format!("{reference} was ended by something else than its containers: {reason}: {message}")
    };
    if is_deadline(reason, message) {
        return Some(deadline(&pod.object, message, None));
    }
    if OWN_LIMIT.iter().any(|text| message.contains(text)) {
        let text = format!("{reference} was evicted for using more than its own limit: {message}");
        return Some(Finding::failed(Runtime, "Evicted", text, "raise the limit, or write less").of(reference));
    }
    if let Some((_, outcome, class, hint)) = POD_REASONS.iter().find(|(known, ..)| reason.starts_with(known)) {
        let found = Finding::failed(*class, reason, say(reason, message), hint).of(reference.clone());
        return Some(Finding { outcome: *outcome, ..found });
    }
    let condition = pod.disruption()?;
    let (reason, message) = (key(condition, "reason"), key(condition, "message"));
    let hint = "the cluster, not the example, is at fault: try again";
    Some(Finding::errored(Cluster, reason, say(reason, message), hint).of(reference.clone()))
}

/// How a container of a pod ended badly.
fn ended(pod: &Pod, name: &str, bad: &BadEnd) -> Finding {
    let reference = pod.reference();
    let end = &bad.end;
    let culprit =
        Some(crate::trial::Culprit { pod: pod.name().to_owned(), container: name.to_owned(), restart: bad.restart });
    if starting::is_start_reason(&end.reason) {
        let said = Said { container: name, pod: &reference, image: "", reason: &end.reason, message: &end.message };
        return starting::start(&said, &Graces::default()).1.by(culprit);
    }
    if end.reason == "OOMKilled" {
        return out_of_memory(pod, name).by(culprit);
    }
    let reason = if end.reason.is_empty() { "Error" } else { &end.reason };
    let text = format!(
        "{} of {reference} ended with exit code {}{}",
        called(name, bad.role),
        end.code,
        details(pod, name, &end.message)
    );
    Finding::failed(Runtime, reason, text, "read its log").of(reference).by(culprit)
}

/// How a container is called in a message.
fn called(name: &str, role: Role) -> String {
    match role {
        Role::Main => format!("container `{name}`"),
        Role::Init => format!("init container `{name}`"),
        Role::Sidecar => format!("sidecar `{name}`"),
    }
}

/// What else is known of a container's end: its termination message, the probe that killed it.
fn details(pod: &Pod, name: &str, message: &str) -> String {
    let mut text = String::new();
    if !message.trim().is_empty() {
        text.push_str(&format!(": {}", read::one_line(message)));
    }
    if let Some(probe) =
        pod.probes.get(name).filter(|probe| probe.starts_with("Liveness") || probe.starts_with("Startup"))
    {
        text.push_str(&format!(" ({})", read::one_line(probe)));
    }
    text
}

fn out_of_memory(pod: &Pod, name: &str) -> Finding {
    let limit = container_spec(&pod.object, name).map_or("", |spec| text(spec, "/resources/limits/memory"));
    let limit = if limit.is_empty() { text(&pod.object, "/spec/resources/limits/memory") } else { limit };
    let reference = pod.reference();
    let (text, hint) = if limit.is_empty() {
        (
            "was killed for lack of memory, though it has no limit of its own".to_owned(),
            "use less memory, or give the cluster larger nodes",
        )
    } else {
        (format!("was killed for using more memory than its limit of {limit}"), "raise its memory limit, or use less")
    };
    Finding::failed(Runtime, "OOMKilled", format!("container `{name}` of {reference} {text} (OOMKilled)"), hint)
        .of(reference)
}

/// A container that restarts too often.
pub fn crashes(pod: &Pod, container: &Container<'_>, graces: &Graces) -> Finding {
    let (name, reference) = (container.name, pod.reference());
    let culprit = Some(pod.culprit(name));
    let known = pod.bad_ends.get(name).map(|bad| &bad.end);
    let times = format!("has restarted {} times", container.restarts);
    let (code, details) = match known {
        Some(end) if end.reason == "OOMKilled" => {
            let found = out_of_memory(pod, name);
            return Finding { message: format!("{}, and {times}", found.message), culprit, ..found };
        }
        Some(end) if starting::is_start_reason(&end.reason) => {
            let said = Said { container: name, pod: &reference, image: "", reason: &end.reason, message: &end.message };
            return starting::start(&said, graces).1.by(culprit);
        }
        Some(end) => (end.code, details(pod, name, &end.message)),
        None => (0, details(pod, name, "")),
    };
    let hint = if pod.probes.get(name).is_some_and(|why| why.starts_with("Liveness") || why.starts_with("Startup")) {
        "read its log, and give the probe more time if it only starts slowly"
    } else if code == 0 {
        "it ends, and is restarted for ever: give it something to do, or another restartPolicy"
    } else {
        "read its log"
    };
    let text = format!(
        "{} of {reference} {times}, and last ended with exit code {code}{details}",
        called(name, container.role)
    );
    Finding::failed(Runtime, "CrashLoopBackOff", text, hint).of(reference).by(culprit)
}

/// A container that ended badly in a pod whose other containers run on.
pub fn half_dead(pod: &Pod, container: &str) -> Finding {
    let found = pod.bad_ends.get(container).map(|bad| ended(pod, container, bad));
    let found = found.unwrap_or_else(|| {
        Finding::failed(Runtime, "Error", format!("container `{container}` failed"), "read its log")
    });
    let message = format!("{}; the pod can only fail, and its other containers run on", found.message);
    Finding { message, ..found }.of(pod.reference())
}

/// A pod that failed, as did those that it replaced.
pub fn replaced(pod: &Pod, failures: usize) -> Finding {
    let bad = pod.bad_ends.iter().filter(|(_, bad)| !bad.killed).min_by_key(|(name, bad)| (bad.role, (*name).clone()));
    let found = disrupted(pod).or_else(|| bad.map(|(name, bad)| ended(pod, name, bad)));
    let found = found.unwrap_or_else(|| {
        let text = format!("{} failed", pod.reference());
        Finding::failed(Runtime, "Error", text, "read its log").of(pod.reference())
    });
    let message = format!("{}; {failures} pods failed like it, and are replaced again and again", found.message);
    Finding { message, ..found }
}
