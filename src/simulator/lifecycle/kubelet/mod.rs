//! What a kubelet does with a pod: step by step, each a function of the pod and of why it is looked at.

pub(super) mod draft;
mod images;
mod run;

use std::time::Duration;

use serde_json::Value as Json;

use super::action::{Action, Cue, PodCue, pod_key};
use super::needs::missing_volume;
use super::object::{has_ended, is_deleting, list, number, text, uid};
use super::pace::{Delay, Step};
use super::world::World;
use draft::{Draft, Stage, find_container, is_init, is_sidecar, restart_policy};

/// What the kubelet does when a pod of its node has changed.
#[must_use]
pub fn changed(pod: &Json, world: World<'_>) -> Vec<Action> {
    if text(pod, "/spec/nodeName").is_empty() {
        return Vec::new();
    }
    let mut draft = Draft::new(pod);
    if is_deleting(pod) {
        if !world.is_marked(pod, "stopping") {
            stop(&mut draft);
        }
    } else if pod.pointer("/status/startTime").is_none() && !has_ended(pod) && !world.is_marked(pod, "seen") {
        draft.mark("seen");
        draft.later(Delay::Step(Step::See), PodCue::Sync);
        if let Some(seconds) = number(pod, "/spec/activeDeadlineSeconds") {
            let time = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            let cue = Cue::Deadline(String::new());
            draft.actions.push(Action::Later(Delay::Run(time), pod_key(pod), uid(pod).to_owned(), cue));
        }
    }
    draft.actions
}

/// A kubelet's next step with a pod.
#[must_use]
pub fn step(pod: &Json, cue: &PodCue, world: World<'_>) -> Vec<Action> {
    if has_ended(pod) || (is_deleting(pod) && !may_still(cue)) {
        return Vec::new();
    }
    let mut draft = Draft::new(pod);
    match cue {
        PodCue::Sync => {
            draft.arrive();
            draft.commit(Stage::Early);
            mount(&mut draft, world, 0);
        }
        PodCue::Mount(turn) => mount(&mut draft, world, *turn),
        PodCue::Sandbox => {
            draft.address();
            draft.commit(Stage::Alive);
            next(&mut draft, world);
        }
        PodCue::Pull(container, turn) => images::pull(&mut draft, world, container, *turn),
        PodCue::Pulled(container, turn) => images::pulled(&mut draft, world, container, *turn),
        PodCue::PullBackOff(container, turn) => images::hold_back(&mut draft, world, container, *turn),
        PodCue::Create(container, turn) => run::create(&mut draft, world, container, *turn),
        PodCue::Start(container, restart) => run::start(&mut draft, world, container, *restart),
        PodCue::Output(container, restart, text) => {
            draft.actions.push(Action::Print(pod_key(pod), container.clone(), *restart, text.clone()));
        }
        PodCue::Exit(container, restart, end) => run::exit(&mut draft, world, container, *restart, end),
        PodCue::BackOff(container, restart) => run::back_off(&mut draft, container, *restart),
        PodCue::Probe(container, restart, turn) => run::probe(&mut draft, world, container, *restart, *turn),
        PodCue::Finish => finish(&mut draft),
        PodCue::Stopped => stopped(&mut draft),
    }
    draft.actions
}

/// What still happens to a pod that is being deleted.
fn may_still(cue: &PodCue) -> bool {
    matches!(cue, PodCue::Output(..) | PodCue::Exit(..) | PodCue::Finish | PodCue::Stopped)
}

/// What the kubelet does when a pod was active for too long.
#[must_use]
pub fn deadline(pod: &Json) -> Vec<Action> {
    if has_ended(pod) || is_deleting(pod) {
        return Vec::new();
    }
    let mut draft = Draft::new(pod);
    draft.tell(false, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline", None);
    kill_all(&mut draft);
    draft.commit(Stage::Over { well: false });
    if let Some(Action::Status(_, status)) =
        draft.actions.iter_mut().rev().find(|action| matches!(action, Action::Status(..)))
    {
        status["reason"] = "DeadlineExceeded".into();
        status["message"] = "Pod was active on the node longer than the specified deadline".into();
    }
    draft.actions
}

fn mount(draft: &mut Draft<'_>, world: World<'_>, turn: u32) {
    let Some(why) = missing_volume(world.store, draft.pod) else {
        draft.later(Delay::Step(Step::Sandbox), PodCue::Sandbox);
        return;
    };
    draft.tell(true, "FailedMount", why, None);
    let wait = Duration::from_millis(500 << turn.min(8)).min(Duration::from_secs(122));
    draft.later(Delay::Again(wait, turn), PodCue::Mount(turn + 1));
}

/// Goes on with the next container: init containers one after the other, then the others.
fn next(draft: &mut Draft<'_>, world: World<'_>) {
    let pod = draft.pod;
    let is_waiting = |draft: &Draft<'_>, name: &str| {
        let reason = draft.container(name).map_or("", |status| text(status, "/state/waiting/reason")).to_owned();
        matches!(reason.as_str(), "PodInitializing" | "ContainerCreating")
    };
    for container in list(pod, "/spec/initContainers") {
        let name = text(container, "/name");
        let status = draft.container(name).cloned().unwrap_or_default();
        let is_done = number(&status, "/state/terminated/exitCode") == Some(0)
            || (is_sidecar(container) && status.pointer("/state/running").is_some());
        if is_done {
            continue;
        }
        if is_waiting(draft, name) {
            begin(draft, world, name);
        }
        return;
    }
    for container in list(pod, "/spec/containers") {
        let name = text(container, "/name");
        if is_waiting(draft, name) && !world.is_marked(pod, &format!("begun {name}")) {
            begin(draft, world, name);
            return;
        }
    }
}

fn begin(draft: &mut Draft<'_>, world: World<'_>, name: &str) {
    if !world.is_marked(draft.pod, &format!("begun {name}")) {
        draft.mark(format!("begun {name}"));
        images::look(draft, world, name, 0);
    }
}

/// Ends the pod once all its containers have ended for good; tells sidecars to stop.
fn settle(draft: &mut Draft<'_>) {
    let Some(well) = draft.ending() else {
        draft.commit(Stage::Alive);
        return;
    };
    let sidecars = running(draft);
    if sidecars.is_empty() {
        draft.commit(Stage::Ended { well });
        draft.later(Delay::Step(Step::Relist), PodCue::Finish);
        return;
    }
    for name in sidecars {
        draft.tell(false, "Killing", format!("Stopping container {name}"), Some(&name));
    }
    draft.commit(Stage::Alive);
    draft.later(Delay::Wait(grace(draft.pod)), PodCue::Finish);
}

fn finish(draft: &mut Draft<'_>) {
    let Some(well) = draft.ending() else { return };
    kill_all(draft);
    draft.commit(Stage::Over { well });
}

/// The containers that run.
fn running(draft: &Draft<'_>) -> Vec<String> {
    let all = list(draft.pod, "/spec/initContainers").iter().chain(list(draft.pod, "/spec/containers"));
    let names = all.map(|container| text(container, "/name").to_owned());
    names
        .filter(|name| draft.container(name).is_some_and(|status| status.pointer("/state/running").is_some()))
        .collect()
}

fn kill_all(draft: &mut Draft<'_>) {
    for name in running(draft) {
        let restart = draft.container(&name).and_then(|status| number(status, "/restartCount")).unwrap_or(0);
        let restart = u32::try_from(restart).unwrap_or(0);
        draft.end(&name, restart, 137, "Error", None);
        draft.actions.push(Action::EndLog(pod_key(draft.pod), name, restart));
    }
}

fn grace(pod: &Json) -> Duration {
    let seconds = number(pod, "/metadata/deletionGracePeriodSeconds")
        .or_else(|| number(pod, "/spec/terminationGracePeriodSeconds"))
        .unwrap_or(30);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(30))
}

/// A pod was deleted: its containers are told to stop, and get their grace.
fn stop(draft: &mut Draft<'_>) {
    draft.mark("stopping");
    let names = running(draft);
    for name in &names {
        draft.tell(false, "Killing", format!("Stopping container {name}"), Some(name));
    }
    let delay = if names.is_empty() { Delay::Step(Step::Relist) } else { Delay::Wait(grace(draft.pod)) };
    draft.later(delay, PodCue::Stopped);
}

fn stopped(draft: &mut Draft<'_>) {
    if draft.pod.pointer("/status/containerStatuses").is_some() {
        kill_all(draft);
        let well = draft.ending().unwrap_or(false);
        draft.commit(Stage::Over { well });
    }
    draft.actions.push(Action::DeleteNow(pod_key(draft.pod)));
}
