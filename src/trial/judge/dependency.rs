//! What comes and goes for want of another pod: a server whose image is still pulled, a database that still makes its files.
//! Such a crash is no verdict before those pods are there and it was seen once more after that.

use super::Judge;
use super::finding::{Cure, Slot, Trouble};
use super::pod::{Pod, Role, containers};
use super::read::text;
use super::time::START_LIMIT;
use crate::trial::Moment;

/// What crashes: a container, or a succession of pods.
struct Crash {
    /// When the last run (or pod) that crashed began.
    began: Moment,
    /// When the first crash was seen.
    first: Moment,
}

/// Whether something that crashes may still be waiting for a pod.
enum Arrival {
    /// It waits, and nobody knows how long.
    OnItsWay,
    /// It was there, or counts as being there, from this moment on.
    At(Moment),
    /// It does not come, and that is known at this moment.
    Never(Moment),
    /// Nothing waits for it.
    Irrelevant,
}

impl Judge {
    /// From when on a crash is a verdict as far as the attempt's other pods are concerned, those of what the example needs among
    /// them; `None` while one of them is on its way, or came after what crashed last had begun. `judged` is what crashes.
    pub(super) fn crash_counts_from(&self, id: &str, place: &str, judged: usize) -> Option<Moment> {
        let Some(crash) = self.crash(id, place) else { return Some(Moment::ZERO) };
        let mut from = Moment::ZERO;
        for (index, other) in self.pods.iter().enumerate() {
            let own = other.identity == id || self.ownership.owner(&other.identity).is_some_and(|of| of.uid == id);
            if own {
                continue;
            }
            match self.arrival(index, &crash, judged) {
                Arrival::OnItsWay => return None,
                Arrival::At(at) if crash.began < at => return None,
                Arrival::Never(at) => from = from.max(at),
                Arrival::At(_) | Arrival::Irrelevant => {}
            }
        }
        Some(from)
    }

    /// What crashes, if it is tried again.
    fn crash(&self, id: &str, place: &str) -> Option<Crash> {
        let Some(&pod) = self.pod_index.get(id) else {
            let failed = self.failures.get(&format!("{id} {place}"))?;
            let began = self.pods.iter().filter(|pod| failed.contains_key(&pod.identity)).map(|pod| pod.first_seen);
            return Some(Crash { began: began.max()?, first: *failed.values().min()? });
        };
        let pod = &self.pods[pod];
        let is_main = containers(&pod.object).any(|of| of.name == place && of.role == Role::Main);
        let runs = pod.runs.get(place).filter(|_| !is_main || text(&pod.object, "/spec/restartPolicy") != "Never")?;
        Some(Crash { began: runs.ended_began(), first: runs.first_end? })
    }

    fn arrival(&self, index: usize, crash: &Crash, judged: usize) -> Arrival {
        let pod = &self.pods[index];
        if let Some(up) = pod.up {
            // Without a probe it was ready as soon as it was started. Replicas of one object don't make each other wait so long.
            let failed = pod.has_crashed() || (pod.is_over() && pod.succeeded.is_none());
            let same = self.whose_pod(index) == Some(judged);
            let early = up <= crash.first || pod.is_probed() || failed || same;
            let at = if early { up } else { up.saturating_add(START_LIMIT) };
            return Arrival::At(pod.succeeded.map_or(at, |done| at.min(done)));
        }
        if pod.is_over() || !pod.stays() || pod.has_crashed() || self.follows_failures(pod) {
            return Arrival::Irrelevant;
        }
        if !pod.pulling.is_empty() {
            return Arrival::OnItsWay;
        }
        let troubles = self.troubles.iter().filter(|((of, _), _)| *of == pod.identity).map(|(_, trouble)| trouble);
        let ends = |trouble: &Trouble| match trouble.cure {
            Cure::Room | Cure::Queue if self.around.others_hold_room => None,
            _ => Some(trouble.since.saturating_add(trouble.grace)),
        };
        let mut troubles = troubles.peekable();
        if troubles.peek().is_some() {
            return troubles.filter_map(ends).min().map_or(Arrival::OnItsWay, Arrival::Never);
        }
        pod.started.map_or(Arrival::OnItsWay, |at| Arrival::At(at.saturating_add(START_LIMIT)))
    }

    /// Whether a pod is there for one that failed.
    fn follows_failures(&self, pod: &Pod) -> bool {
        let key = |(owner, place): (super::ownership::Named, String)| format!("{} {place}", owner.uid);
        self.succession(pod).is_some_and(|of| self.failures.contains_key(&key(of)))
    }

    /// The pods with pulls during which the attempt's time stands still: those of the judged objects, and all while something
    /// crashes that may wait for them.
    pub(super) fn awaited_pulls(&self) -> impl Iterator<Item = usize> {
        let pulls = |index: &usize| !self.pods[*index].pulling.is_empty();
        let is_awaited = |index: &usize| {
            let mut troubles = self.troubles.iter();
            self.whose_pod(*index).is_some()
                || troubles.any(|((id, slot), _)| matches!(slot, Slot::Crash(_)) && self.counts(id, slot).is_some())
        };
        (0..self.pods.len()).filter(pulls).filter(is_awaited)
    }

    /// The crash that goes on when the time is up: nothing runs now of what crashes.
    pub(super) fn lasting_crash(&self) -> Option<&Trouble> {
        let runs = |id: &str, place: &str| match self.pod_index.get(id) {
            Some(&pod) => self.pods[pod].runs.get(place).is_some_and(|runs| runs.running),
            None => self.pods.iter().any(|pod| {
                pod.phase() == "Running"
                    && !pod.is_over()
                    && self.ownership.owner(&pod.identity).is_some_and(|owner| owner.uid == id)
            }),
        };
        let lasting = self.troubles.iter().filter(|((id, slot), _)| match slot {
            Slot::Crash(place) => self.counts(id, slot).is_some() && !runs(id, place),
            _ => false,
        });
        lasting.min_by_key(|(key, trouble)| (trouble.since, (*key).clone())).map(|(_, trouble)| trouble)
    }
}
