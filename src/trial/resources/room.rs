//! What is known of one attempt's pods: what they ask for, and what they use.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value as Json;

use super::pods::{Life, PodFacts};
use super::series::Series;
use super::summary::PodSamples;
use crate::trial::apply::request::text;

/// The most pods and containers that are told apart; of others nothing is kept.
pub(super) const PODS: usize = 500;
pub(super) const SERIES: usize = 1_000;

/// A pod: its name and its uid, since a name may be used again.
type PodId = (String, String);

/// What is known of one attempt's pods. All moments are times since the attempt started.
#[derive(Clone, Debug, Default)]
pub struct Room {
    pub(super) pods: BTreeMap<PodId, PodFacts>,
    pub(super) series: BTreeMap<(PodId, String), Series>,
    /// The containers that the last answer for their node had, and when they were seen to run.
    present: BTreeSet<(PodId, String)>,
    pub(super) from_kubelet: bool,
    pub(super) from_metrics_server: bool,
    /// The most that was used at one moment: thousandths of a core, bytes.
    pub(super) peak: (u64, u64),
    /// How often it was not told what there is, and why the last time.
    pub(super) missed: (u32, String),
    /// What there is to say of its sources.
    pub(super) note: String,
    /// How often something was told of pods or containers that were too many to be kept apart.
    pub(super) left_out: u32,
    /// Since when something of it runs.
    running: Option<Duration>,
    /// For how long something of it ran before that.
    ran: Duration,
}

/// Who told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// The kubelet of this node: what it does not name does not run there.
    Kubelet(&'a str),
    /// The metrics server.
    MetricsServer,
}

impl Room {
    /// Takes note of a pod's state.
    pub fn pod(&mut self, at: Duration, pod: &Json) {
        let id = (text(pod, "/metadata/name").to_owned(), text(pod, "/metadata/uid").to_owned());
        let before = self.pods.get(&id);
        if before.is_none() && self.pods.len() >= PODS {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        let facts = PodFacts::of(pod, before);
        self.pods.insert(id, facts);
        self.note_running(at);
    }

    /// Takes note that a pod is gone.
    pub fn pod_gone(&mut self, at: Duration, pod: &Json) {
        self.pod(at, pod);
        let id = (text(pod, "/metadata/name").to_owned(), text(pod, "/metadata/uid").to_owned());
        if let Some(facts) = self.pods.get_mut(&id) {
            facts.stop();
        }
        self.note_running(at);
    }

    fn note_running(&mut self, at: Duration) {
        match (self.running, self.pods.values().any(PodFacts::runs)) {
            (None, true) => self.running = Some(at),
            (Some(since), false) => {
                self.ran += at.saturating_sub(since);
                self.running = None;
            }
            _ => {}
        }
    }

    /// Since when something of it runs.
    pub fn running_since(&self) -> Option<Duration> {
        self.running
    }

    /// For how long something of it ran until `at`.
    pub fn ran(&self, at: Duration) -> Duration {
        self.ran + self.running.map_or(Duration::ZERO, |since| at.saturating_sub(since))
    }

    /// The nodes on which something of it runs.
    pub fn nodes(&self) -> BTreeSet<&str> {
        let running = self.pods.values().filter(|pod| pod.runs() && !pod.node.is_empty());
        running.map(|pod| pod.node.as_str()).collect()
    }

    /// Takes what one answer says of its pods.
    pub fn take(&mut self, at: Duration, source: Source<'_>, samples: &[&PodSamples]) {
        match source {
            Source::Kubelet(node) => {
                self.from_kubelet = true;
                let elsewhere = |id: &PodId| self.pods.get(id).is_some_and(|pod| pod.node != node);
                self.present.retain(|(id, _)| elsewhere(id));
            }
            Source::MetricsServer => self.from_metrics_server = true,
        }
        for pod in samples {
            let id = self.id_of(pod);
            for (container, sample) in &pod.containers {
                let key = (id.clone(), container.clone());
                if !self.series.contains_key(&key) && self.series.len() >= SERIES {
                    self.left_out = self.left_out.saturating_add(1);
                    continue;
                }
                self.series.entry(key.clone()).or_default().take(at, *sample);
                self.present.insert(key);
            }
        }
        self.note_peak();
    }

    /// The pod that samples are of; a source that knows no uid means the pod that runs, of several of one name.
    fn id_of(&self, samples: &PodSamples) -> PodId {
        let first = (samples.name.clone(), String::new());
        let same_name = self.pods.range(first..).take_while(|((name, _), _)| *name == samples.name);
        let known = same_name.filter(|_| samples.uid.is_empty()).max_by_key(|(_, pod)| pod.runs()).map(|(id, _)| id);
        known.cloned().unwrap_or_else(|| (samples.name.clone(), samples.uid.clone()))
    }

    /// Adds up what runs now.
    fn note_peak(&mut self) {
        let runs = |(id, container): &&(PodId, String)| {
            let facts = self.pods.get(id).and_then(|pod| pod.container(container));
            facts.is_none_or(|facts| facts.life == Life::Runs)
        };
        let (mut cpu, mut memory) = (0_u64, 0_u64);
        for series in self.present.iter().filter(runs).filter_map(|key| self.series.get(key)) {
            let now = series.now();
            (cpu, memory) = (cpu.saturating_add(now.0), memory.saturating_add(now.1));
        }
        self.peak = (self.peak.0.max(cpu), self.peak.1.max(memory));
    }

    /// Whether there is any sample.
    pub fn is_sampled(&self) -> bool {
        self.series.values().any(|series| series.samples() > 0)
    }

    /// Takes note that it was not told what there is.
    pub fn missed(&mut self, why: &str) {
        self.missed = (self.missed.0.saturating_add(1), why.to_owned());
    }

    /// Takes note of what there is to say of its sources; nothing, if all is well again.
    pub fn remark(&mut self, note: &str) {
        if self.note != note {
            note.clone_into(&mut self.note);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::super::summary::Sample;
    use super::*;

    /// A pod whose container `main` is in this state.
    pub fn pod(name: &str, state: &str, resources: &Json) -> Json {
        let phase = if state == "terminated" { "Succeeded" } else { "Running" };
        json!({"kind": "Pod", "metadata": {"name": name, "uid": format!("uid-{name}"), "namespace": "ev-1"},
            "spec": {"nodeName": "n", "containers": [{"name": "main", "resources": resources}]},
            "status": {"phase": phase, "containerStatuses": [{"name": "main", "state": {state: {"reason": "Completed"}}}]}})
    }

    /// What a kubelet says of that container.
    pub fn samples(name: &str, second: i64, cpu_milli: u64, memory: u64) -> PodSamples {
        let time = jiff::Timestamp::from_second(1_800_000_000 + second).ok();
        let sample = Sample { time, cpu: Some(cpu_milli * 1_000_000), memory: Some(memory), ..Sample::default() };
        PodSamples {
            namespace: "ev-1".to_owned(),
            name: name.to_owned(),
            uid: format!("uid-{name}"),
            containers: vec![("main".to_owned(), sample)],
        }
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_peak_is_the_sum_of_what_runs_at_one_moment() {
        let mut room = Room::default();
        for name in ["a", "b", "c"] {
            room.pod(at(1), &pod(name, "running", &json!({})));
        }
        let (a, b) = (samples("a", 1, 100, 600), samples("b", 1, 100, 300));
        room.take(at(1), Source::Kubelet("n"), &[&a, &b]);
        assert_eq!(room.peak, (200, 900));
        // What the kubelet no longer names is no longer there.
        let c = samples("c", 5, 150, 500);
        room.take(at(5), Source::Kubelet("n"), &[&c]);
        assert_eq!(room.peak, (200, 900));
        // What has ended holds nothing, whatever is still said of it.
        room.pod(at(6), &pod("c", "terminated", &json!({})));
        let (late, b) = (samples("c", 6, 150, 500), samples("b", 6, 100, 899));
        room.take(at(6), Source::Kubelet("n"), &[&late, &b]);
        assert_eq!(room.peak, (200, 900));
        assert_eq!(room.nodes().into_iter().collect::<Vec<_>>(), ["n"]);
    }

    #[test]
    fn it_ran_as_long_as_any_of_its_containers_did() {
        let mut room = Room::default();
        assert_eq!(room.running_since(), None);
        room.pod(at(2), &pod("a", "waiting", &json!({})));
        room.pod(at(3), &pod("a", "running", &json!({})));
        room.pod(at(5), &pod("b", "running", &json!({})));
        room.pod(at(7), &pod("a", "terminated", &json!({})));
        room.pod_gone(at(9), &pod("b", "running", &json!({})));
        assert_eq!((room.ran(at(20)), room.running_since()), (at(6), None));
        room.pod(at(30), &pod("c", "running", &json!({})));
        assert_eq!((room.ran(at(31)), room.running_since()), (at(7), Some(at(30))));
    }

    #[test]
    fn samples_without_a_uid_are_those_of_the_pod_that_runs() {
        let mut room = Room::default();
        let mut old = pod("a", "terminated", &json!({}));
        old["metadata"]["uid"] = "zzz".into();
        room.pod(at(1), &old);
        room.pod(at(1), &pod("a", "running", &json!({})));
        let told = PodSamples { uid: String::new(), ..samples("a", 1, 100, 600) };
        room.take(at(1), Source::MetricsServer, &[&told]);
        let keys: Vec<_> = room.series.keys().map(|((_, uid), container)| (uid.as_str(), container.as_str())).collect();
        assert_eq!(keys, [("uid-a", "main")]);
        assert_eq!(room.peak, (100, 600));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut room = Room::default();
        for number in 0..PODS + 100 {
            room.pod(at(1), &pod(&format!("p{number}"), "running", &json!({})));
        }
        let many: Vec<_> = (0..SERIES + 7).map(|number| samples(&format!("p{number}"), 1, 1, 1)).collect();
        room.take(at(1), Source::Kubelet("n"), &many.iter().collect::<Vec<_>>());
        assert_eq!((room.pods.len(), room.series.len(), room.left_out), (PODS, SERIES, 107));
    }
}
