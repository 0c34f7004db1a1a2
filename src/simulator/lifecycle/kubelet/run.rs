//! Running containers: creating, starting, probing, ending, starting again.

use std::time::Duration;

use serde_json::Value as Json;

use super::super::action::{Action, PodCue, pod_key};
use super::super::needs::{expand, surroundings};
use super::super::object::{is_deleting, list, number, text};
use super::super::pace::{Delay, Step};
use super::super::play::{End, Play};
use super::super::script::{Act, start_error};
use super::super::shell::{Surroundings, play_command};
use super::super::world::World;
use super::draft::{Draft, Stage, pod_id};
use super::{find_container, is_init, is_sidecar, next, restart_policy, settle};

/// Creates a container, for the n-th time.
pub(super) fn create(draft: &mut Draft<'_>, world: World<'_>, name: &str, turn: u32) {
    let Some(container) = find_container(draft.pod, name) else { return };
    let Err(why) = surroundings(world.store, draft.pod, container) else {
        draft.tell(false, "Created", "Container created", Some(name));
        draft.later(Delay::Step(Step::Start), PodCue::Start(name.to_owned(), 0));
        return;
    };
    draft.tell(true, "Failed", format!("Error: {why}"), Some(name));
    if turn == 0 {
        draft.wait(name, "CreateContainerConfigError", &why);
        draft.commit(Stage::Alive);
        if !is_init(draft.pod, name) {
            next(draft, world);
        }
    }
    draft.later(Delay::Again(Duration::from_secs(12), turn), PodCue::Create(name.to_owned(), turn + 1));
}

/// Starts a container that was started `restart` times before.
pub(super) fn start(draft: &mut Draft<'_>, world: World<'_>, name: &str, restart: u32) {
    let pod = draft.pod;
    let Some(container) = find_container(pod, name) else { return };
    if restart > 0 {
        let image = text(container, "/image");
        let message = format!("Container image \"{image}\" already present on machine and can be accessed by the pod");
        draft.tell(false, "Pulled", message, Some(name));
        draft.tell(false, "Created", "Container created", Some(name));
    }
    let play = play(pod, container, world);
    if let End::StartError { message } = &play.end {
        draft.tell(true, "Failed", format!("Error: {message}"), Some(name));
        draft.end(name, restart, 128, "StartError", Some(message));
        draft.actions.push(Action::EndLog(pod_key(pod), name.to_owned(), restart));
        after_end(draft, world, name, restart, false);
        return;
    }
    draft.tell(false, "Started", "Container started", Some(name));
    let is_probed = ["/readinessProbe", "/startupProbe"].iter().any(|probe| container.pointer(probe).is_some());
    let never_ready = world.script(pod, name) == Some(Act::NeverReady);
    let is_plain_init = is_init(pod, name) && !is_sidecar(container);
    // Before anybody can know that it runs.
    draft.actions.push(Action::Begin(pod_key(pod), name.to_owned(), restart, play.end.clone()));
    draft.run(name, restart, !is_plain_init && !is_probed && !never_ready);
    draft.commit(Stage::Alive);
    if is_probed || never_ready {
        let delay = seconds(container, "/readinessProbe/initialDelaySeconds", 0);
        draft.later(Delay::Wait(delay), PodCue::Probe(name.to_owned(), restart, 0));
    }
    for (at, text) in play.output {
        // By the same clock as its exit, so that the end of a log never overtakes its lines.
        draft.later(Delay::Run(at), PodCue::Output(name.to_owned(), restart, text));
    }
    if let End::Exit { after, .. } | End::OutOfMemory { after } = play.end {
        draft.later(Delay::Run(after), PodCue::Exit(name.to_owned(), restart, play.end));
    }
    if restart == 0 && (!is_init(pod, name) || is_sidecar(container)) {
        next(draft, world);
    }
}

/// What a container does once it is started.
fn play(pod: &Json, container: &Json, world: World<'_>) -> Play {
    let name = text(container, "/name");
    let scripted = if is_init(pod, name) { None } else { world.script(pod, name) };
    match scripted {
        Some(Act::Run(play)) => return play,
        Some(Act::Flaky(times)) => {
            let code = i32::from(world.tries_before(pod) < times);
            let text = format!("simulated: it {}\n", if code == 0 { "succeeds" } else { "fails this time" });
            return Play { output: vec![(Duration::ZERO, text)], end: End::Exit { code, after: Duration::ZERO } };
        }
        Some(Act::NeverReady) => return Play { output: Vec::new(), end: End::Never },
        Some(Act::Image(_)) | None => {}
    }
    let found = surroundings(world.store, pod, container).unwrap_or_default();
    let surroundings = Surroundings { serves: restart_policy(pod) == "Always" || is_sidecar(container), ..found };
    let words = ["/command", "/args"].iter().flat_map(|place| list(container, place)).filter_map(Json::as_str);
    let argv: Vec<_> = words.map(|word| expand(word, &surroundings.variables)).collect();
    match argv.first() {
        Some(command) if command.starts_with("/no/such") => {
            Play { output: Vec::new(), end: End::StartError { message: start_error(command) } }
        }
        Some(_) => play_command(&argv, &surroundings),
        None => play_command(&[text(container, "/image").to_owned()], &surroundings),
    }
}

/// A run of a container has ended.
pub(super) fn exit(draft: &mut Draft<'_>, world: World<'_>, name: &str, restart: u32, end: &End) {
    let Some(status) = draft.container(name) else { return };
    let is_this = number(status, "/restartCount") == Some(i64::from(restart));
    if !is_this || status.pointer("/state/running").is_none() {
        return;
    }
    let (code, reason) = match end {
        End::Exit { code: 0, .. } => (0, "Completed"),
        End::Exit { code, .. } => (*code, "Error"),
        End::OutOfMemory { .. } => (137, "OOMKilled"),
        End::StartError { .. } | End::Never => return,
    };
    draft.end(name, restart, code, reason, None);
    draft.actions.push(Action::EndLog(pod_key(draft.pod), name.to_owned(), restart));
    if is_deleting(draft.pod) {
        draft.commit(Stage::Alive);
        return;
    }
    after_end(draft, world, name, restart, code == 0);
}

/// Goes on after a container has ended: with the next one, with the pod's end, or with the same one again.
fn after_end(draft: &mut Draft<'_>, world: World<'_>, name: &str, restart: u32, well: bool) {
    let Some(container) = find_container(draft.pod, name) else { return };
    let is_plain_init = is_init(draft.pod, name) && !is_sidecar(container);
    if is_plain_init && well {
        // The next container's image is looked at before the status is written, as the recordings have it.
        next(draft, world);
        draft.commit(Stage::Alive);
        return;
    }
    let again = match restart_policy(draft.pod) {
        _ if is_sidecar(container) => true,
        "Always" => true,
        "OnFailure" => !well,
        _ => false,
    };
    if !again {
        settle(draft);
    } else if restart == 0 {
        draft.commit(Stage::Alive);
        draft.later(Delay::Step(Step::Relist), PodCue::Start(name.to_owned(), 1));
    } else {
        tell_back_off(draft, name);
        draft.commit(Stage::Alive);
        draft.later(Delay::Step(Step::Relist), PodCue::BackOff(name.to_owned(), restart));
    }
}

fn tell_back_off(draft: &mut Draft<'_>, name: &str) {
    let message = format!("Back-off restarting failed container {name} in pod {}", pod_id(draft.pod));
    draft.tell(true, "BackOff", message, Some(name));
}

/// A container waits before it is started again.
pub(super) fn back_off(draft: &mut Draft<'_>, name: &str, restart: u32) {
    let Some(status) = draft.container(name) else { return };
    if status.pointer("/state/terminated").is_none() {
        return;
    }
    let seconds = (10_u64 << (restart - 1).min(5)).min(300);
    let shown = match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    };
    let message = format!("back-off {shown} restarting failed container={name} pod={}", pod_id(draft.pod));
    tell_back_off(draft, name);
    draft.wait(name, "CrashLoopBackOff", &message);
    draft.commit(Stage::Alive);
    draft.later(Delay::Again(Duration::from_secs(seconds), restart), PodCue::Start(name.to_owned(), restart + 1));
}

/// Asks a container whether it is ready.
pub(super) fn probe(draft: &mut Draft<'_>, world: World<'_>, name: &str, restart: u32, turn: u32) {
    let Some(container) = find_container(draft.pod, name) else { return };
    let Some(status) = draft.container(name) else { return };
    if status.pointer("/state/running").is_none() || number(status, "/restartCount") != Some(i64::from(restart)) {
        return;
    }
    let failing = ["startupProbe", "readinessProbe"].into_iter().find_map(|kind| {
        let command = list(container.get(kind)?, "/exec/command");
        let argv: Vec<_> = command.iter().filter_map(Json::as_str).map(str::to_owned).collect();
        let found = surroundings(world.store, draft.pod, container).unwrap_or_default();
        let play = play_command(&argv, &found);
        let is_well = argv.is_empty() || matches!(play.end, End::Exit { code: 0, .. });
        let output: String = play.output.into_iter().map(|(_, text)| text).collect();
        (!is_well).then_some((kind, output))
    });
    let never = world.script(draft.pod, name) == Some(Act::NeverReady);
    let Some((kind, output)) = failing.or_else(|| never.then(|| ("readinessProbe", "simulated\n".to_owned()))) else {
        draft.ready(name);
        draft.commit(Stage::Alive);
        return;
    };
    let what = if kind == "startupProbe" { "Startup" } else { "Readiness" };
    draft.tell(true, "Unhealthy", format!("{what} probe failed: {}", output.trim_end()), Some(name));
    let threshold = number(container, "/startupProbe/failureThreshold").unwrap_or(3);
    if kind == "startupProbe" && i64::from(turn) + 1 >= threshold {
        let message = format!("Container {name} failed startup probe, will be restarted");
        draft.tell(false, "Killing", message, Some(name));
        draft.later(
            Delay::Step(Step::Relist),
            PodCue::Exit(name.to_owned(), restart, End::Exit { code: 137, after: Duration::ZERO }),
        );
        return;
    }
    let period = seconds(container, &format!("/{kind}/periodSeconds"), 10);
    draft.later(Delay::Again(period, turn), PodCue::Probe(name.to_owned(), restart, turn + 1));
}

fn seconds(container: &Json, pointer: &str, otherwise: u64) -> Duration {
    let seconds = number(container, pointer).and_then(|seconds| u64::try_from(seconds).ok());
    Duration::from_secs(seconds.unwrap_or(otherwise))
}
