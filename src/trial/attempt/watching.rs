//! From the first change to the verdict: what the watches tell goes to the judge, and what the judge has to wait for is waited for.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::logs::LogDesk;
use crate::cluster::discovery::{Discovery, Lookup};
use crate::trial::hub::{Hub, Subscription};
use crate::trial::judge::{Judge, Surroundings};
use crate::trial::resources::Share;
use crate::trial::{Change, Moment, Verdict};

/// How often it is looked whether the API server still answers.
const PULSE: Duration = Duration::from_secs(2);
/// An API server that has answered nothing for this long is gone.
const GONE: Duration = Duration::from_secs(45);

/// An attempt that is being watched.
pub struct Watching<'a> {
    /// What decides.
    pub judge: &'a mut Judge,
    /// What is told of the attempt's namespace.
    pub changes: &'a mut Subscription,
    /// Who follows the logs.
    pub logs: &'a LogDesk,
    /// What the pods use.
    pub samples: &'a Share,
    /// The watches, for kinds that turn out to stand between a pod and its example.
    pub hub: &'a Hub,
    /// What kinds the cluster serves.
    pub discovery: &'a Discovery,
    /// When the attempt started.
    pub started: Instant,
    /// Whether other cells of ours hold room.
    pub others_hold_room: tokio::sync::watch::Receiver<bool>,
    /// The kinds between pods and their example that are watched already.
    pub between: HashSet<(String, String)>,
    /// Ends the attempt without a verdict.
    pub cancel: &'a CancellationToken,
}

impl Watching<'_> {
    /// Watches until there is a verdict; `None` if the run was cancelled first.
    pub async fn verdict(&mut self) -> Option<Verdict> {
        let mut pulse = tokio::time::interval(PULSE);
        pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let room = *self.others_hold_room.borrow_and_update();
        let mut surroundings = Surroundings { others_hold_room: room, ..Surroundings::default() };
        let mut verdict = self.judge.surroundings(self.now(), surroundings.clone());
        while verdict.is_none() {
            let wake = self.judge.wake_at().map(|moment| self.started + moment);
            verdict = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return None,
                // What is already told goes before what the clock says.
                Some(change) = self.changes.next() => self.told(&change),
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => self.judge.tick(self.now()),
                Ok(()) = self.others_hold_room.changed() => {
                    surroundings.others_hold_room = *self.others_hold_room.borrow_and_update();
                    self.judge.surroundings(self.now(), surroundings.clone())
                }
                _ = pulse.tick() => {
                    // A watch that was cut and has nothing to tell looks like one in trouble until it is listed again.
                    surroundings.api_reachable = self.hub.trouble().is_none_or(|(lasting, _)| lasting < GONE);
                    self.judge.surroundings(self.now(), surroundings.clone())
                }
            };
        }
        verdict
    }

    /// Goes on watching after the verdict, until `enough` or for so long.
    pub async fn look_on(&mut self, patience: Duration, enough: impl Fn(&Judge) -> bool) {
        let until = Instant::now() + patience;
        while !enough(self.judge) {
            tokio::select! {
                () = self.cancel.cancelled() => return,
                () = sleep_until(until) => return,
                change = self.changes.next() => match change {
                    Some(change) => {
                        self.told(&change);
                    }
                    None => return,
                }
            }
        }
    }

    fn told(&mut self, change: &Change) -> Option<Verdict> {
        if let Change::Seen(object) = change
            && object.get("kind").and_then(serde_json::Value::as_str) == Some("Pod")
        {
            self.logs.pod(object);
        }
        self.samples.told(change);
        let verdict = self.judge.observe(self.now(), change);
        for (api_version, kind) in self.judge.kinds_to_watch() {
            if !self.between.insert((api_version.clone(), kind.clone())) {
                continue;
            }
            let (hub, discovery) = (self.hub.clone(), self.discovery.clone());
            tokio::spawn(async move {
                if let Ok(Lookup::Found(served)) = discovery.find(&api_version, &kind).await {
                    hub.also_watch(&served.resource);
                }
            });
        }
        verdict
    }

    fn now(&self) -> Moment {
        self.started.elapsed()
    }
}
