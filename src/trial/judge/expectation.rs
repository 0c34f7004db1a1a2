//! From what is due to a verdict, by what the example was expected to do.

use super::Judge;
use super::agenda::Due;
use super::finding::{Cure, Finding, Trouble};
use super::{pod, starting};
use crate::duration;
use crate::framework::State;
use crate::model::{CauseClass, Expect, Outcome};
use crate::trial::{Culprit, Moment, Verdict};

impl Judge {
    /// The verdict on what is due.
    pub(super) fn decide(&self, at: Moment, due: &Due) -> Verdict {
        let found = match due {
            Due::Passed => return self.succeeded(at),
            Due::Ended(index) => self.ending(*index).0,
            Due::Trouble((id, slot)) => match self.troubles.get(id, slot.clone()) {
                Some(trouble) => trouble.finding.clone(),
                None => self.time_up(),
            },
            Due::Pulling { pod, container } => self.pulls_too_long(*pod, container),
            Due::ApiGone => Finding::errored(
                CauseClass::Cluster,
                "ApiServerUnreachable",
                "the API server does not answer".to_owned(),
                "look at the cluster's control plane",
            ),
            Due::NodeIll(node) => {
                let why = self.ill_nodes.get(node).map_or("", |(_, why)| why);
                ill(&format!("Node/{node} is not ready: {why}")).of(format!("Node/{node}"))
            }
            Due::NodesIll => ill(self.around.node_trouble.as_deref().unwrap_or("the nodes are in trouble")),
            Due::TimeUp => self.time_up(),
        };
        self.conclude(at, found)
    }

    /// All judged objects succeeded (or run, where that was asked for).
    fn succeeded(&self, at: Moment) -> Verdict {
        if self.subject.expect != Expect::Failed {
            return Verdict { outcome: Outcome::Passed, cause: None, culprit: None, at };
        }
        let all: Vec<_> = (0..self.judged.len()).map(|index| self.reference(index)).collect();
        let text = format!("{} succeeded, and was expected to fail", all.join(", "));
        let hint = "correct `expect`, or the example";
        let object = all.first().cloned().unwrap_or_default();
        self.verdict_of(at, Finding::failed(CauseClass::Assertion, "Succeeded", text, hint).of(object))
    }

    /// The API server accepted what it was expected to refuse.
    pub(super) fn accepted(&self, at: Moment) -> Verdict {
        let all: Vec<_> = (0..self.judged.len()).map(|index| self.reference(index)).collect();
        let what = if all.is_empty() { "the example".to_owned() } else { all.join(", ") };
        let text = format!("the API server accepted {what}, and was expected to refuse it");
        let hint = "correct `expect`, or see that the webhook or schema that should refuse it is installed";
        let object = all.first().cloned().unwrap_or_default();
        self.verdict_of(at, Finding::failed(CauseClass::Assertion, "Accepted", text, hint).of(object))
    }

    /// A finding becomes a verdict, unless it is what was expected.
    fn conclude(&self, at: Moment, mut found: Finding) -> Verdict {
        // What is said by no container may come of an operator that is not there to act.
        let of_containers =
            found.culprit.is_some() || matches!(found.class, CauseClass::Image | CauseClass::Scheduling);
        if let Some(trouble) = self.around.operator_trouble.as_deref().filter(|_| !of_containers) {
            let text = format!("{trouble}; meanwhile: {}", found.message);
            let hint = "the operator, not the example, is at fault: read its log";
            found = Finding::errored(CauseClass::Operator, "OperatorTrouble", text, hint).of(found.object);
        }
        if self.subject.expect == Expect::Failed && found.outcome == Outcome::Failed {
            if found.class == CauseClass::Runtime && is_own_failure(&found) {
                return Verdict { outcome: Outcome::Passed, cause: None, culprit: None, at };
            }
            let note = "it was expected to fail, but by what its containers do, and they did not come to it";
            found.hint = if found.hint.is_empty() { note.to_owned() } else { format!("{}; {note}", found.hint) };
        }
        self.verdict_of(at, found)
    }

    fn verdict_of(&self, at: Moment, mut found: Finding) -> Verdict {
        if let Some(trouble) = self.support_trouble().filter(|_| found.outcome != Outcome::Errored) {
            let note = format!("what the example needs is not well either: {}", trouble.finding.message);
            found.hint = if found.hint.is_empty() { note } else { format!("{}; {note}", found.hint) };
        }
        Verdict { outcome: found.outcome, cause: Some(found.cause()), culprit: found.culprit, at }
    }

    fn pulls_too_long(&self, pod: usize, container: &str) -> Finding {
        let reference = self.pods[pod].reference();
        let limit = duration::format(super::time::PULL_LIMIT);
        let text = format!("the image of container `{container}` of {reference} is still being pulled after {limit}");
        let hint = "load the image beforehand, use a mirror with `registries.mirrors`, or a smaller image";
        Finding::errored(CauseClass::Image, "PullTimeout", text, hint).of(reference)
    }

    /// The time is up. If nothing of it ever ran, what it waited for is the cause.
    fn time_up(&self) -> Finding {
        let after = duration::format(self.subject.timeout);
        let ran = self.own_pods().any(|pod| pod.ran);
        let object = if self.judged.is_empty() { String::new() } else { self.reference(0) };
        if let Some((node, why)) = self.ill_node_of_pods() {
            return ill(&format!("time is up ({after}), and Node/{node} is not ready: {why}"))
                .of(format!("Node/{node}"));
        }
        let is_full =
            |trouble: &Trouble| matches!(trouble.cure, Cure::Room | Cure::Queue) && self.around.others_hold_room;
        let waits = || self.worst_trouble(None).filter(|trouble| !ran || is_full(trouble));
        if let Some(trouble) = self.lasting_crash().or_else(waits) {
            let mut found = trouble.finding.clone();
            found.message = format!("time is up ({after}): {}", found.message);
            if is_full(trouble) {
                (found.outcome, found.class) = (Outcome::Errored, CauseClass::Cluster);
                "other examples of this run fill the cluster: run fewer at once with `--parallel`"
                    .clone_into(&mut found.hint);
            }
            return found;
        }
        let text = format!("time is up ({after}): {}", self.waiting_for());
        let why = self.crashing().or_else(|| self.unready());
        let hint = if let Some((hint, _)) = &why {
            hint.as_str()
        } else if ran {
            "give it more time with `timeout`, or less to do"
        } else if self.own_pods().next().is_none() {
            "no pod was ever made: see that the operator that serves it is installed, and read its log"
        } else {
            "read the events of its pods"
        };
        let culprit = self.own_pods().find(|pod| pod.ran && !pod.is_over()).and_then(|pod| {
            let running = pod::containers(&pod.object).find(|container| container.running)?.name.to_owned();
            Some(pod.culprit(&running))
        });
        let culprit = why.as_ref().and_then(|(_, of)| of.clone()).or(culprit);
        Finding { outcome: Outcome::TimedOut, ..Finding::failed(CauseClass::Timeout, "Timeout", text, hint) }
            .of(object)
            .by(culprit)
    }

    /// A container that is started again and again, as a hint.
    fn crashing(&self) -> Option<(String, Option<Culprit>)> {
        let open = self.own_pods().filter(|pod| !pod.is_over());
        let found = open.flat_map(|pod| pod::containers(&pod.object).map(move |container| (pod, container)));
        let (pod, container) = found.into_iter().find(|(_, container)| container.crashes())?;
        let what = match container.ended_before.or(container.ended) {
            Some(end) if end.code == 0 => "ends each time that it is started (exit code 0), and is to stay".to_owned(),
            Some(end) => format!("crashes each time that it is started (exit code {})", end.code),
            None => "crashes each time that it is started".to_owned(),
        };
        let hint = format!("container `{}` of {} {what}: read its log", container.name, pod.reference());
        Some((hint, Some(pod.culprit(container.name))))
    }

    /// A container that runs, and is not found ready by its probe, as a hint; where that is what is waited for.
    fn unready(&self) -> Option<(String, Option<Culprit>)> {
        let waits = |index: usize| {
            let judged = &self.judged[index];
            judged.state != State::Succeeded && !judged.object.framework.finishes
        };
        let pods = (0..self.judged.len()).filter(|index| waits(*index)).flat_map(|index| self.pods_of(index));
        let (pod, name) = pods.filter(|pod| !pod.is_over()).find_map(|pod| {
            let unready = pod::containers(&pod.object).find(|container| {
                let probe =
                    pod::container_spec(&pod.object, container.name).and_then(|spec| spec.get("readinessProbe"));
                container.running && !container.ready && probe.is_some_and(|probe| !probe.is_null())
            });
            Some((pod, unready?.name.to_owned()))
        })?;
        let hint = format!(
            "container `{name}` of {} runs, but its readiness probe fails: see the probe, and its log",
            pod.reference()
        );
        Some((hint, Some(pod.culprit(&name))))
    }
}

fn ill(message: &str) -> Finding {
    let hint = "the cluster, not the example, is at fault: look at the node's kubelet";
    Finding::errored(CauseClass::Cluster, "NodeNotReady", message.to_owned(), hint)
}

/// Whether a runtime failure is of something that ran (or was to run and could not be executed): what `expect: failed` means.
/// A ConfigMap that was forgotten is not what its author meant.
fn is_own_failure(found: &Finding) -> bool {
    let configured = starting::is_start_reason(&found.reason)
        && !matches!(found.reason.as_str(), "StartError" | "RunContainerError" | "ContainerCannotRun");
    !configured
        && !matches!(
            found.reason.as_str(),
            "FailedMount" | "FailedMapVolume" | "FailedAttachVolume" | "FailedCreatePodSandBox"
        )
}
