//! Events about a job's pods.

use super::super::super::action::{Action, Happening};
use super::super::super::object::{has_ended, is_deleting, list, name, namespace, number, text, uid};
use super::super::super::world::World;
use super::Sync;

impl Sync<'_> {
    /// Tells of pods that wait or fail, and of exit codes.
    pub(super) fn tell_pods(&mut self, world: World<'_>) {
        if self.training.kind == "MPIJob" {
            return;
        }
        for pod in self.pods.iter().filter(|pod| !is_deleting(pod)) {
            for status in list(pod, "/status/containerStatuses") {
                let (container, restart) = (text(status, "/name"), number(status, "/restartCount").unwrap_or(0));
                let about = format!("Error pod {} container {container}", name(pod));
                let (reason, message, warning) = if let Some(ended) = status.pointer("/state/terminated") {
                    let code = number(ended, "/exitCode").unwrap_or(0);
                    if code != 0 && !has_ended(pod) {
                        let message =
                            format!("{about} exitCode: {code} terminated message: {}", text(ended, "/message"));
                        self.tell_once(
                            world,
                            &format!("{} error {restart}", uid(pod)),
                            text(ended, "/reason"),
                            message,
                            true,
                        );
                    }
                    if container != self.training.container {
                        continue;
                    }
                    let message = format!("Pod: {}.{} exited with code {code}", namespace(pod), name(pod));
                    ("ExitedWithCode".to_owned(), message, false)
                } else {
                    let (why, message) =
                        (text(status, "/state/waiting/reason"), text(status, "/state/waiting/message"));
                    if message.is_empty() {
                        continue;
                    }
                    (why.to_owned(), format!("{about} waiting message: {message}"), true)
                };
                let mark = format!("{} {reason} {restart} {}", uid(pod), text(pod, "/status/phase"));
                self.tell_once(world, &mark, &reason, message, warning);
            }
        }
    }

    pub(super) fn tell_once(&mut self, world: World<'_>, mark: &str, reason: &str, message: String, warning: bool) {
        if world.is_marked(self.job, mark) {
            return;
        }
        let mut happening = Happening::normal(self.job, self.training.by, reason, message);
        happening.warning = warning;
        self.actions.push(Action::Mark(uid(self.job).to_owned(), mark.to_owned()));
        self.actions.push(happening.into());
    }
}
