//! The rooms of all attempts of a cluster, and whom to ask for them next.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::ask::{Ask, Failure};
use super::doors::Doors;
use super::room::{Room, Source};
use super::sampler::Rhythm;
use super::summary::{self, PodSamples};
use crate::report::Resources;
use crate::trial::Change;

/// The rooms of all attempts of a cluster.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// By namespace.
    rooms: Mutex<HashMap<String, Entry>>,
    /// Something may be due that was not before.
    pub(super) wake: Notify,
}

#[derive(Debug)]
struct Entry {
    started: Instant,
    room: Room,
    /// When it was last told something, or that there is nothing: by node, and by the metrics server under no name.
    read: HashMap<String, Instant>,
}

/// What to do next.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Whom to ask now.
    pub(super) asks: Vec<Ask>,
    /// When to look again, if nothing happens.
    pub(super) next: Option<Instant>,
}

/// An attempt's part: its pods go in, their figures come out. Dropped, it leaves.
#[derive(Debug)]
pub struct Share {
    desk: Arc<Desk>,
    namespace: String,
}

impl Desk {
    pub(super) fn open(self: &Arc<Self>, namespace: &str, started: Instant) -> Share {
        let entry = Entry { started, room: Room::default(), read: HashMap::new() };
        self.lock().insert(namespace.to_owned(), entry);
        Share { desk: Arc::clone(self), namespace: namespace.to_owned() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whom to ask now, and when to look again. Who is `busy` with an answer is not asked twice.
    pub(super) fn plan(&self, now: Instant, rhythm: Rhythm, doors: &Doors, busy: &HashSet<Ask>) -> Plan {
        let mut due: BTreeMap<Ask, Instant> = BTreeMap::new();
        let mut add = |ask: Ask, at: Instant| {
            due.entry(ask).and_modify(|known| *known = at.min(*known)).or_insert(at);
        };
        let mut runs = false;
        for (namespace, entry) in self.lock().iter_mut() {
            let mut refused = None;
            for node in entry.room.nodes() {
                runs = true;
                match doors.why_not_kubelet(node, now) {
                    None => {
                        let at = entry.due(node, rhythm, rhythm.least);
                        let floor = doors.asked(node).map_or(at, |asked| asked + rhythm.least);
                        add(Ask::Node(node.to_owned()), at.max(floor));
                    }
                    Some(why) => refused = Some(why),
                }
            }
            let Some(why) = refused else {
                // Who did not answer for a while is asked again. Of what has ended stays said why it was not sampled.
                if !entry.room.nodes().is_empty() {
                    entry.room.remark("");
                }
                continue;
            };
            let kubelet = format!("the node proxy does not lead to the kubelet ({why})");
            if let Some(nor) = doors.why_not_metrics_server(now) {
                let how = if entry.room.is_sampled() { "sampled in part" } else { "not sampled" };
                entry.room.remark(&format!("{how}: {kubelet}, and metrics.k8s.io does not answer ({nor})"));
            } else {
                entry.room.remark(&format!("sampled by metrics.k8s.io: {kubelet}"));
                add(Ask::Namespace(namespace.clone()), entry.due("", rhythm, rhythm.metrics_server));
            }
        }
        let mut plan = Plan { asks: Vec::new(), next: runs.then(|| now + rhythm.most) };
        for (ask, at) in due.into_iter().filter(|(ask, _)| !busy.contains(ask)) {
            if at <= now {
                plan.asks.push(ask);
            } else {
                plan.next = plan.next.map(|next| next.min(at));
            }
        }
        plan
    }

    /// Hands on what an answer was read to say.
    pub(super) fn hear(&self, ask: &Ask, now: Instant, heard: &Result<Vec<PodSamples>, Failure>) {
        match heard {
            Ok(pods) => self.hand_on(ask, now, pods),
            // It is asked again at once, in other words.
            Err(Failure::Bare(_)) => {}
            Err(failure) => self.tell_missed(ask, now, failure),
        }
    }

    /// What an answer says of our namespaces, to a kubelet that `tells_all` or to the short question. It is read while nobody is kept
    /// waiting.
    pub(super) fn read(&self, ask: &Ask, tells_all: bool, answer: &[u8]) -> Result<Vec<PodSamples>, Failure> {
        let broken = |error: String| Failure::Broken(format!("the answer can't be read: {error}"));
        let Ask::Node(node) = ask else { return summary::of_metrics_server(answer).map_err(broken) };
        let ours: HashSet<String> = self.lock().keys().cloned().collect();
        let told = summary::of_kubelet(answer, |namespace| ours.contains(namespace)).map_err(broken)?;
        let lacks_ours =
            || told.pods.iter().any(|pod| self.lock().get(&pod.namespace).is_some_and(|entry| entry.runs_on(node)));
        if !tells_all && !told.has_containers && lacks_ours() {
            return Err(Failure::Bare("it names no container".to_owned()));
        }
        Ok(told.pods)
    }

    fn hand_on(&self, ask: &Ask, now: Instant, pods: &[PodSamples]) {
        let mut by_namespace: HashMap<&str, Vec<&PodSamples>> = HashMap::new();
        for pod in pods {
            by_namespace.entry(&pod.namespace).or_default().push(pod);
        }
        for (namespace, entry) in self.lock().iter_mut() {
            let found = by_namespace.get(namespace.as_str()).map_or(&[][..], Vec::as_slice);
            let at = now.saturating_duration_since(entry.started);
            match ask {
                Ask::Node(node) if entry.room.nodes().contains(node.as_str()) || !found.is_empty() => {
                    entry.room.take(at, Source::Kubelet(node), found);
                    entry.read.insert(node.clone(), now);
                }
                Ask::Namespace(asked) if asked == namespace => {
                    entry.room.take(at, Source::MetricsServer, found);
                    entry.read.insert(String::new(), now);
                }
                _ => {}
            }
        }
    }

    fn tell_missed(&self, ask: &Ask, now: Instant, failure: &Failure) {
        for (namespace, entry) in self.lock().iter_mut() {
            let key = match ask {
                Ask::Node(node) if entry.room.nodes().contains(node.as_str()) => node.clone(),
                Ask::Namespace(asked) if asked == namespace => String::new(),
                _ => continue,
            };
            entry.room.missed(failure.message());
            entry.read.insert(key, now);
        }
    }
}

impl Entry {
    fn runs_on(&self, node: &str) -> bool {
        self.room.nodes().contains(node)
    }

    /// When it wants to be told again: the younger what runs is, the sooner.
    fn due(&self, whom: &str, rhythm: Rhythm, least: std::time::Duration) -> Instant {
        let since = self.started + self.room.running_since().unwrap_or_default();
        match self.read.get(whom) {
            None => since,
            Some(read) => {
                let age = read.saturating_duration_since(since);
                *read + age.clamp(rhythm.least, rhythm.most).max(least)
            }
        }
    }
}

impl Share {
    /// The attempt starts at this moment, and not when it joined.
    pub fn starts(&self, at: Instant) {
        self.with(|entry| entry.started = at);
    }

    /// Takes note of a change, if it is one of a pod.
    pub fn told(&self, change: &Change) {
        let pod = change.object();
        if pod.get("kind").and_then(Json::as_str) != Some("Pod") {
            return;
        }
        self.with(|entry| {
            let at = entry.started.elapsed();
            let before = entry.room.nodes().len();
            match change {
                Change::Seen(pod) => entry.room.pod(at, pod),
                Change::Gone(pod) => entry.room.pod_gone(at, pod),
            }
            if entry.room.nodes().len() > before {
                self.desk.wake.notify_one();
            }
        });
    }

    /// It is about to end: what still runs is asked for once more, if that is soon enough. Nobody waits for it.
    pub fn hurry(&self) {
        self.with(|entry| entry.read.clear());
        self.desk.wake.notify_one();
    }

    /// What the pods used until now; `None` if no container of them ever ran.
    #[must_use]
    pub fn figures(&self) -> Option<Resources> {
        self.with(|entry| entry.room.figures(entry.started.elapsed())).flatten()
    }

    /// All samples, for the evidence; `None` if there are none.
    #[must_use]
    pub fn samples(&self) -> Option<Json> {
        self.with(|entry| entry.room.samples()).flatten()
    }

    fn with<T>(&self, work: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        self.desk.lock().get_mut(&self.namespace).map(work)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.desk.lock().remove(&self.namespace);
    }
}
