//! CronJobs (`pkg/controller/cronjob`). What is due every minute is due at once, so that nobody waits for one to pass; any other time does not
//! come.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::super::action::{Action, Cue, Happening};
use super::super::object::{condition, is_deleting, is_true, list, name, namespace, now, owner_reference, text, uid};
use super::super::pace::Delay;
use super::super::world::World;
use crate::simulator::store::Key;

/// What the controller calls itself in events.
const CONTROLLER: &str = "cronjob-controller";

/// How far the times of a schedule are apart.
const PERIOD: Duration = Duration::from_secs(60);

/// What becomes of a CronJob.
#[must_use]
pub fn reconcile(cron: &Json, cue: &Cue, world: World<'_>) -> Vec<Action> {
    if is_deleting(cron) || is_true(cron, "/spec/suspend") {
        return Vec::new();
    }
    let key = Key::namespaced("batch", "cronjobs", namespace(cron), name(cron));
    let jobs = world.owned("batch", "jobs", cron);
    let mut status = cron.get("status").filter(|status| status.is_object()).cloned().unwrap_or_else(|| json!({}));
    let mut actions = Vec::new();
    for job in &jobs {
        let is_known = list(&status, "/active").iter().any(|active| text(active, "/uid") == uid(job));
        let over = ["Complete", "Failed"].into_iter().find(|kind| condition(job, kind) == "True");
        let by_hand = text(job, "/metadata/annotations/cronjob.kubernetes.io~1instantiate") == "manual";
        match over {
            Some(kind) if is_known => {
                let message = format!("Saw completed job: {}, condition: {kind}", name(job));
                actions.push(Happening::normal(cron, CONTROLLER, "SawCompletedJob", message).into());
                if kind == "Complete" {
                    status["lastSuccessfulTime"] = job.pointer("/status/completionTime").cloned().unwrap_or_default();
                }
                set_active(&mut status, uid(job), None);
            }
            // One that somebody else made is taken note of when it has succeeded, if none has before.
            Some("Complete") if by_hand && status.get("lastSuccessfulTime").is_none() => {
                status["lastSuccessfulTime"] = job.pointer("/status/completionTime").cloned().unwrap_or_default();
            }
            None if by_hand => {
                let mark = format!("unexpected {}", uid(job));
                if !world.is_marked(cron, &mark) {
                    let message = format!("Saw a job that the controller did not create or forgot: {}", name(job));
                    actions.push(Happening::warning(cron, CONTROLLER, "UnexpectedJob", message).into());
                    actions.push(Action::Mark(uid(cron).to_owned(), mark));
                }
            }
            None if !is_known => set_active(&mut status, uid(job), Some(job)),
            _ => {}
        }
    }
    let is_first = is_due_every_minute(text(cron, "/spec/schedule")) && !world.is_marked(cron, "begun");
    let is_next = matches!(cue, Cue::Again(_)) && !is_busy(cron, &status);
    if is_first {
        actions.push(Action::Mark(uid(cron).to_owned(), "begun".to_owned()));
    }
    if is_first || matches!(cue, Cue::Again(_)) {
        let turn = if let Cue::Again(turn) = cue { *turn } else { 0 };
        // The first time comes at once; those after it only show that it goes on.
        let delay = Delay::Again(PERIOD * 10, turn);
        actions.push(Action::Later(delay, key.clone(), uid(cron).to_owned(), Cue::Again(turn + 1)));
        if is_first || is_next {
            let job = job(cron, turn);
            let message = format!("Created job {}", name(&job));
            actions.push(Action::Create(job));
            actions.push(Happening::normal(cron, CONTROLLER, "SuccessfulCreate", message).into());
            status["lastScheduleTime"] = now().into();
        }
    }
    actions.push(Action::Status(key, status));
    actions
}

fn is_due_every_minute(schedule: &str) -> bool {
    schedule.split_whitespace().all(|field| matches!(field, "*" | "*/1"))
}

/// Whether a job is at work that another one must not run beside.
fn is_busy(cron: &Json, status: &Json) -> bool {
    text(cron, "/spec/concurrencyPolicy") == "Forbid" && !list(status, "/active").is_empty()
}

fn set_active(status: &mut Json, uid: &str, job: Option<&Json>) {
    let mut active = list(status, "/active").to_vec();
    active.retain(|other| text(other, "/uid") != uid);
    if let Some(job) = job {
        active.push(json!({"kind": "Job", "namespace": namespace(job), "name": name(job), "uid": uid,
            "apiVersion": "batch/v1", "resourceVersion": text(job, "/metadata/resourceVersion")}));
    }
    match (active.is_empty(), status.as_object_mut()) {
        (true, Some(status)) => drop(status.shift_remove("active")),
        _ => status["active"] = active.into(),
    }
}

fn job(cron: &Json, turn: u32) -> Json {
    let template = &cron["spec"]["jobTemplate"];
    // Jobs are named by the minute that they are for.
    let minutes = jiff::Timestamp::now().as_second() / 60 + i64::from(turn);
    let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {}, "spec": template["spec"]});
    if template["metadata"].is_object() {
        job["metadata"] = template["metadata"].clone();
    }
    job["metadata"]["name"] = format!("{}-{minutes}", name(cron)).into();
    job["metadata"]["namespace"] = namespace(cron).into();
    job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"] = now().into();
    job["metadata"]["ownerReferences"] = json!([owner_reference(cron)]);
    job
}
