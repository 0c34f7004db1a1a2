//! Jobs (`pkg/controller/job`).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::super::action::{Action, CreatePod, Cue, Happening, pod_key};
use super::super::object::{
    condition, has_ended, is_deleting, is_ready, is_true, list, name, namespace, now, number, owner_reference, text,
    uid,
};
use super::super::pace::{Delay, Step};
use super::super::world::World;
use crate::simulator::store::{Key, Propagation};

/// What the controller calls itself in events.
const CONTROLLER: &str = "job-controller";

/// The label and annotation of a pod's index.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// The longest that a Job waits before it tries again.
const LONGEST_WAIT: u64 = 360;

fn key(job: &Json) -> Key {
    Key::namespaced("batch", "jobs", namespace(job), name(job))
}

/// What becomes of a Job.
#[must_use]
pub fn reconcile(job: &Json, cue: &Cue, world: World<'_>) -> Vec<Action> {
    if is_deleting(job) {
        return Vec::new();
    }
    if is_over(job) {
        return after(job, cue);
    }
    let pods = world.pods(job);
    let mut sync = Sync::new(job, &pods);
    if ["FailureTarget", "SuccessCriteriaMet"].iter().any(|kind| condition(job, kind) == "True") {
        sync.conclude();
        return sync.actions;
    }
    match cue {
        Cue::Deadline(start) if start == text(job, "/status/startTime") => {
            sync.fail("DeadlineExceeded", "Job was active longer than specified deadline");
        }

        _ if is_true(job, "/spec/suspend") => sync.suspend(),
        _ => sync.run(cue, world),
    }
    sync.actions
}

fn is_over(job: &Json) -> bool {
    ["Complete", "Failed"].iter().any(|kind| condition(job, kind) == "True")
}

/// What follows a Job's end: it is deleted when its time to live is over.
fn after(job: &Json, cue: &Cue) -> Vec<Action> {
    match (number(job, "/spec/ttlSecondsAfterFinished"), cue) {
        (Some(_), Cue::Expired) => vec![Action::Delete(key(job), Propagation::Foreground)],
        (Some(seconds), Cue::Changed) => {
            let time = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            vec![Action::Later(Delay::After(time), key(job), uid(job).to_owned(), Cue::Expired)]
        }
        _ => Vec::new(),
    }
}

/// One look at a Job and its pods.
struct Sync<'a> {
    job: &'a Json,
    pods: &'a [Arc<Json>],
    status: Json,
    actions: Vec<Action>,
}

impl<'a> Sync<'a> {
    fn new(job: &'a Json, pods: &'a [Arc<Json>]) -> Self {
        let status = job.get("status").cloned().unwrap_or_else(|| json!({}));
        Self { job, pods, status, actions: Vec::new() }
    }

    fn count(&self, phase: &str) -> usize {
        self.pods.iter().filter(|pod| text(pod, "/status/phase") == phase).count()
    }

    fn active(&self) -> Vec<&'a Json> {
        self.pods.iter().map(Arc::as_ref).filter(|pod| !has_ended(pod) && !is_deleting(pod)).collect()
    }

    fn wanted(&self, field: &str) -> Option<usize> {
        number(self.job, &format!("/spec/{field}")).and_then(|number| usize::try_from(number).ok())
    }

    fn is_indexed(&self) -> bool {
        text(self.job, "/spec/completionMode") == "Indexed"
    }

    /// Writes the status down with the counts of the pods, `extra` of them about to be there.
    fn commit(&mut self, extra: usize) {
        let active = self.active();
        let ready = active.iter().filter(|pod| is_ready(pod)).count();
        let going = self.pods.iter().filter(|pod| is_deleting(pod) && !has_ended(pod)).count();
        let counts =
            [("active", active.len() + extra), ("succeeded", self.succeeded()), ("failed", self.count("Failed"))];
        for (field, count) in counts {
            self.set_count(field, count);
        }
        self.status["terminating"] = going.into();
        if self.is_indexed() {
            self.set_indexes();
        }
        self.status["uncountedTerminatedPods"] = json!({});
        self.status["ready"] = ready.into();
        self.actions.push(Action::Status(key(self.job), self.status.clone()));
    }

    fn set_count(&mut self, field: &str, count: usize) {
        match (count, self.status.as_object_mut()) {
            (0, Some(status)) => drop(status.shift_remove(field)),
            _ => self.status[field] = count.into(),
        }
    }

    /// How many completions there are: of an indexed Job, the indexes that are done.
    fn succeeded(&self) -> usize {
        if self.is_indexed() { self.indexes("Succeeded").len() } else { self.count("Succeeded") }
    }

    /// The indexes with a pod in this phase, in order, each once.
    fn indexes(&self, phase: &str) -> Vec<usize> {
        let pods = self.pods.iter().filter(|pod| text(pod, "/status/phase") == phase);
        let mut found: Vec<_> = pods.filter_map(|pod| index_of(pod)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn set_indexes(&mut self) {
        let done = self.indexes("Succeeded");
        match (done.is_empty(), self.status.as_object_mut()) {
            (true, Some(status)) => drop(status.shift_remove("completedIndexes")),
            _ => self.status["completedIndexes"] = ranges(&done).into(),
        }
    }

    fn condition(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let condition = json!({"type": kind, "status": status, "lastProbeTime": now(), "lastTransitionTime": now(),
            "reason": reason, "message": message});
        let conditions = &mut self.status["conditions"];
        if !conditions.is_array() {
            *conditions = json!([]);
        }
        let Some(list) = conditions.as_array_mut() else { return };
        list.retain(|old| text(old, "/type") != kind);
        list.push(condition);
    }

    fn delete_active(&mut self) {
        for pod in self.active() {
            let message = format!("Deleted pod: {}", name(pod));
            self.actions.push(Action::Delete(pod_key(pod), Propagation::Background));
            self.actions.push(Happening::normal(self.job, CONTROLLER, "SuccessfulDelete", message).into());
        }
    }

    fn suspend(&mut self) {
        self.delete_active();
        let is_new = condition(self.job, "Suspended") != "True";
        if is_new {
            self.condition("Suspended", "True", "JobSuspended", "Job suspended");
            if let Some(status) = self.status.as_object_mut() {
                status.shift_remove("startTime");
            }
        }
        self.commit(0);
        if is_new {
            self.actions.push(Happening::normal(self.job, CONTROLLER, "Suspended", "Job suspended").into());
        }
    }

    fn run(&mut self, cue: &Cue, world: World<'_>) {
        if condition(self.job, "Suspended") == "True" {
            self.condition("Suspended", "False", "JobResumed", "Job resumed");
            self.actions.push(Happening::normal(self.job, CONTROLLER, "Resumed", "Job resumed").into());
        }
        if text(&self.status, "/startTime").is_empty() {
            self.begin();
        }
        let limit = self.wanted("backoffLimit").unwrap_or(6);
        if self.count("Failed") + self.restarts() > limit {
            return self.fail("BackoffLimitExceeded", "Job has reached the specified backoff limit");
        }
        let done = self.succeeded();
        let is_complete = match self.wanted("completions") {
            Some(completions) => done >= completions,
            None => done > 0 && self.active().is_empty(),
        };
        if is_complete {
            return self.succeed();
        }
        self.create_missing(cue, world, done);
    }

    fn begin(&mut self) {
        let start = now();
        if let Some(seconds) = number(self.job, "/spec/activeDeadlineSeconds") {
            let time = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            let cue = Cue::Deadline(start.clone());
            self.actions.push(Action::Later(Delay::Run(time), key(self.job), uid(self.job).to_owned(), cue));
        }
        self.status["startTime"] = start.into();
    }

    /// Restarts inside of pods count as failures too, once they reach the limit.
    fn restarts(&self) -> usize {
        let limit = self.wanted("backoffLimit").unwrap_or(6);
        let statuses = self.pods.iter().flat_map(|pod| {
            list(pod, "/status/initContainerStatuses").iter().chain(list(pod, "/status/containerStatuses"))
        });
        let restarts: i64 = statuses.filter_map(|status| number(status, "/restartCount")).sum();
        let restarts = usize::try_from(restarts).unwrap_or(0);
        let is_on_failure = text(self.job, "/spec/template/spec/restartPolicy") == "OnFailure";
        let is_reached = if limit == 0 { restarts > 0 } else { restarts >= limit };
        if is_on_failure && is_reached { limit + 1 } else { 0 }
    }

    fn create_missing(&mut self, cue: &Cue, world: World<'_>, done: usize) {
        let active = self.active().len();
        let parallelism = self.wanted("parallelism").unwrap_or(1);
        let left = match self.wanted("completions") {
            Some(completions) => completions.saturating_sub(done),
            None if done > 0 => 0,
            None => parallelism,
        };
        let missing = parallelism.min(left).saturating_sub(active);
        let failed = self.count("Failed");
        let turn = if let Cue::Again(turn) = cue { Some(*turn) } else { None };
        let is_held = missing > 0 && turn.is_none() && (failed > 0 || world.is_marked(self.job, "refused"));
        if is_held {
            let mark = format!("retry {failed}");
            if failed > 0 && !world.is_marked(self.job, &mark) {
                self.actions.push(Action::Mark(uid(self.job).to_owned(), mark));
                let seconds = (10_u64 << (failed - 1).min(10)).min(LONGEST_WAIT);
                let delay = Delay::Wait(Duration::from_secs(seconds));
                self.actions.push(Action::Later(delay, key(self.job), uid(self.job).to_owned(), Cue::Again(0)));
            }
            return self.commit(0);
        }
        let mut refused = false;
        let indexes = self.open_indexes(missing);
        for slot in 0..missing {
            let pod = self.pod(indexes.get(slot).copied());
            refused = super::super::admission::refusal(&pod, world.store).is_some();
            let done = ("SuccessfulCreate", "Created pod: {}");
            let how = CreatePod { owner: self.job.clone(), by: CONTROLLER, done, turn: turn.unwrap_or(0) };
            self.actions.push(Action::CreatePod(pod, how));
            if refused {
                self.actions.push(Action::Mark(uid(self.job).to_owned(), "refused".to_owned()));
                break;
            }
        }
        self.commit(if refused { 0 } else { missing });
    }

    /// The indexes that have neither a pod at work nor a completion.
    fn open_indexes(&self, count: usize) -> Vec<usize> {
        if !self.is_indexed() {
            return Vec::new();
        }
        let done = self.indexes("Succeeded");
        let active: Vec<_> = self.active().iter().filter_map(|pod| index_of(pod)).collect();
        let all = 0..self.wanted("completions").unwrap_or(0);
        all.filter(|index| !done.contains(index) && !active.contains(index)).take(count).collect()
    }

    fn pod(&self, index: Option<usize>) -> Json {
        let template = &self.job["spec"]["template"];
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": template["spec"]});
        if template["metadata"].is_object() {
            pod["metadata"] = template["metadata"].clone();
        }
        let own = name(self.job);
        pod["metadata"]["generateName"] = match index {
            Some(index) => format!("{own}-{index}-"),
            None => format!("{own}-"),
        }
        .into();
        pod["metadata"]["namespace"] = namespace(self.job).into();
        pod["metadata"]["ownerReferences"] = json!([owner_reference(self.job)]);
        if let Some(index) = index {
            number_pod(&mut pod, own, index);
        }
        pod
    }

    fn succeed(&mut self) {
        self.delete_active();
        let message = "Reached expected number of succeeded pods";
        self.condition("SuccessCriteriaMet", "True", "CompletionsReached", message);
        self.commit(0);
        self.come_back();
    }

    fn fail(&mut self, reason: &str, message: &str) {
        self.delete_active();
        self.condition("FailureTarget", "True", reason, message);
        self.commit(0);
        self.come_back();
    }

    fn come_back(&mut self) {
        let (id, delay) = (uid(self.job).to_owned(), Delay::Step(Step::See));
        self.actions.push(Action::Later(delay, key(self.job), id, Cue::Changed));
    }

    /// The last condition, once all pods have ended.
    fn conclude(&mut self) {
        if self.pods.iter().any(|pod| !has_ended(pod)) {
            return self.commit(0);
        }
        let is_failed = condition(self.job, "FailureTarget") == "True";
        let target = if is_failed { "FailureTarget" } else { "SuccessCriteriaMet" };
        let found = list(self.job, "/status/conditions").iter().find(|condition| text(condition, "/type") == target);
        let (reason, message) = found.map_or(("", ""), |found| (text(found, "/reason"), text(found, "/message")));
        let failed = number(&self.status, "/failed");
        if is_failed {
            self.condition("Failed", "True", reason, message);
            self.commit(0);
            if let (Some(failed), Some(Action::Status(_, status))) = (failed, self.actions.last_mut()) {
                status["failed"] = failed.max(number(status, "/failed").unwrap_or(0)).into();
            }
            self.actions.push(Happening::warning(self.job, CONTROLLER, reason, message).into());
        } else {
            self.status["completionTime"] = now().into();
            self.condition("Complete", "True", reason, message);
            self.commit(0);
            self.actions.push(Happening::normal(self.job, CONTROLLER, "Completed", "Job completed").into());
        }
    }
}

fn index_of(pod: &Json) -> Option<usize> {
    pod.pointer("/metadata/annotations")?.get(INDEX)?.as_str()?.parse().ok()
}

fn number_pod(pod: &mut Json, job: &str, index: usize) {
    let text_index = index.to_string();
    pod["metadata"]["labels"][INDEX] = text_index.clone().into();
    pod["metadata"]["annotations"][INDEX] = text_index.into();
    pod["spec"]["hostname"] = format!("{job}-{index}").into();
    let variable = json!({"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"apiVersion": "v1",
        "fieldPath": format!("metadata.labels['{INDEX}']")}}});
    for kind in ["initContainers", "containers"] {
        for container in pod["spec"].get_mut(kind).and_then(Json::as_array_mut).into_iter().flatten() {
            match container["env"].as_array_mut() {
                Some(list) => list.push(variable.clone()),
                None => container["env"] = json!([variable]),
            }
        }
    }
}

/// Numbers as Jobs write them: three and more in a row as `0-2`.
fn ranges(numbers: &[usize]) -> String {
    let mut told: Vec<String> = Vec::new();
    for run in numbers.chunk_by(|a, b| a + 1 == *b) {
        match run {
            [first, .., last] if run.len() > 2 => told.push(format!("{first}-{last}")),
            _ => told.extend(run.iter().map(usize::to_string)),
        }
    }
    told.join(",")
}

#[cfg(test)]
mod tests {
    #[test]
    fn completed_indexes_are_written_as_ranges() {
        assert_eq!(super::ranges(&[0, 1]), "0,1");
        assert_eq!(super::ranges(&[0, 1, 2, 5, 7, 8]), "0-2,5,7,8");
    }
}
