//! From an attempt's samples to the figures of its report.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::advice::advice;
use super::pods::{ContainerFacts, Life};
use super::room::{PODS, Room, SERIES};
use super::series::Series;
use crate::report::{ContainerUse, Resources, plural};

/// The most containers that a report tells apart.
const SHOWN: usize = 100;

impl Room {
    /// What the pods used until `at`; `None` if no container of them ever ran.
    #[must_use]
    pub fn figures(&self, at: Duration) -> Option<Resources> {
        let ran = self.ran_containers();
        let pods: Vec<_> = ran.iter().map(|(_, used)| used).collect();
        // An init container is over when what the others request is used.
        let lasting: Vec<_> = ran.iter().filter(|(facts, _)| !facts.is_init).map(|(_, used)| used).collect();
        let fewest = |of: &[&ContainerUse]| of.iter().map(|used| used.samples).min();
        let samples = fewest(&lasting).or_else(|| fewest(&pods))?;
        let killed = pods.iter().filter(|used| used.oom_killed);
        let killed_at = killed.map(|used| used.memory_limit_bytes).max().unwrap_or(0);
        let note = self.told(pods.len());
        Some(Resources {
            source: self.source().to_owned(),
            resolution_ms: millis(self.resolution()),
            samples,
            note,
            cpu_efficiency: efficiency(&lasting, |used| (used.cpu_avg_milli, used.cpu_request_milli)),
            memory_efficiency: efficiency(&lasting, |used| (used.memory_peak_bytes, used.memory_request_bytes)),
            cpu_peak_milli: self.peak.0,
            // Whom the kernel killed had come to its limit, whether that was sampled or not.
            memory_peak_bytes: self.peak.1.max(killed_at),
            ran_ms: millis(self.ran(at)),
            truncated: self.is_truncated(),
            pods: shown(&pods),
        })
    }

    /// What each container used that ever ran, in the order of the names.
    fn ran_containers(&self) -> Vec<(&ContainerFacts, ContainerUse)> {
        let silent = Series::default();
        let mut ran = Vec::new();
        for (id, pod) in &self.pods {
            for facts in &pod.containers {
                let series = self.series.get(&(id.clone(), facts.name.clone())).unwrap_or(&silent);
                if facts.life != Life::Ahead || series.samples() > 0 {
                    ran.push((facts, of_container(&id.0, facts, series)));
                }
            }
        }
        ran
    }

    fn source(&self) -> &'static str {
        match (self.from_kubelet, self.from_metrics_server) {
            (true, _) => "kubelet",
            (false, true) => "metrics.k8s.io",
            (false, false) => "",
        }
    }

    /// The median of the distances between two samples of a container.
    fn resolution(&self) -> Duration {
        let mut distances: Vec<_> = self.series.values().flat_map(Series::distances).collect();
        let middle = distances.len() / 2;
        if distances.is_empty() { Duration::ZERO } else { *distances.select_nth_unstable(middle).1 }
    }

    /// What there is to say besides the figures.
    fn told(&self, containers: usize) -> String {
        let mut parts = Vec::new();
        if !self.note.is_empty() {
            parts.push(self.note.clone());
        }
        let (missed, why) = &self.missed;
        if *missed > 0 && self.note.is_empty() {
            let times = if *missed == 1 { "once".to_owned() } else { format!("{missed} times") };
            parts.push(format!("{times} there was no answer: {why}"));
        }
        let halves = self.series.values().fold(0_u32, |sum, series| sum.saturating_add(series.halves()));
        if halves > 0 {
            let samples = plural(usize::try_from(halves).unwrap_or(usize::MAX), "sample");
            parts.push(format!("{samples} told CPU or memory alone, and did not count"));
        }
        if self.is_truncated() {
            parts.push(format!(
                "there were too many containers to tell them all apart (at most {PODS} pods, {SERIES} containers)"
            ));
        }
        if containers > SHOWN {
            parts.push(format!("{SHOWN} of {containers} containers are shown"));
        }
        parts.join("; ")
    }

    /// Whether something ran of which nothing is kept.
    fn is_truncated(&self) -> bool {
        self.left_out > 0 || self.pods.values().any(|pod| pod.truncated)
    }

    /// All samples, for the evidence; `None` if there are none.
    #[must_use]
    pub fn samples(&self) -> Option<Json> {
        let of_series = |(((pod, _), container), series): (&((String, String), String), &Series)| {
            let points = series.points();
            let list = |value: fn(&super::series::Point) -> u64| points.iter().map(value).collect::<Vec<_>>();
            json!({"pod": pod, "container": container, "samples": series.samples(),
                "atMs": list(|point| millis(point.at)),
                "cpuMilli": list(|point| point.cpu_milli),
                "memoryBytes": list(|point| point.memory_bytes)})
        };
        let series: Vec<_> = self.series.iter().map(of_series).collect();
        (!series.is_empty()).then(|| json!({"source": self.source(), "containers": series}))
    }
}

/// As many as are shown, in their order: those that checks look for first, which the kernel killed (at their limit, or without one).
fn shown(pods: &[&ContainerUse]) -> Vec<ContainerUse> {
    let mut chosen: Vec<_> = pods.iter().enumerate().collect();
    chosen.sort_by_key(|(_, used)| (!used.oom_killed, used.oom_killed && used.memory_limit_bytes == 0));
    chosen.truncate(SHOWN);
    chosen.sort_by_key(|(index, _)| *index);
    chosen.into_iter().map(|(_, used)| (*used).clone()).collect()
}

fn of_container(pod: &str, facts: &ContainerFacts, series: &Series) -> ContainerUse {
    let mut used = ContainerUse {
        pod: pod.to_owned(),
        container: facts.name.clone(),
        samples: series.samples(),
        cpu_avg_milli: series.cpu_average(),
        cpu_peak_milli: series.cpu_peak(),
        memory_avg_bytes: series.memory_average(),
        memory_peak_bytes: series.memory_peak(),
        cpu_request_milli: facts.cpu_request_milli,
        cpu_limit_milli: facts.cpu_limit_milli,
        memory_request_bytes: facts.memory_request_bytes,
        memory_limit_bytes: facts.memory_limit_bytes,
        oom_killed: facts.oom_killed,
        advice: Vec::new(),
        curve: series.curve(),
    };
    used.advice = advice(&used);
    used
}

/// What was used of what was requested, over the containers that request some and were sampled.
fn efficiency(pods: &[&ContainerUse], of: fn(&ContainerUse) -> (u64, u64)) -> Option<f64> {
    let counted = pods.iter().filter(|used| used.samples > 0).map(|used| of(used)).filter(|(_, request)| *request > 0);
    let (used, requested) =
        counted.fold((0_u128, 0_u128), |sum, (used, request)| (sum.0 + u128::from(used), sum.1 + u128::from(request)));
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than three digits")]
    let share = used as f64 / requested as f64;
    (requested > 0).then_some(share)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::room::Source;
    use super::super::room::tests::{pod, samples};
    use super::*;

    const MI: u64 = 1 << 20;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Two pods; `a` is sampled four times, `b` three times.
    fn sampled() -> Room {
        let mut room = Room::default();
        let asks = json!({"requests": {"cpu": "500m", "memory": "256Mi"}, "limits": {"memory": "256Mi"}});
        room.pod(at(1), &pod("a", "running", &asks));
        room.pod(at(1), &pod("b", "running", &json!({})));
        for (second, cpu, memory) in [(1_u32, 50, 40), (6, 100, 60), (11, 150, 50), (16, 100, 240)] {
            let mut told = vec![samples("a", second.into(), cpu, memory * MI)];
            if second > 1 {
                told.push(samples("b", second.into(), 10, 10 * MI));
            }
            room.take(at(second.into()), Source::Kubelet("n"), &told.iter().collect::<Vec<_>>());
        }
        room
    }

    #[test]
    fn the_figures_of_an_attempt_are_those_of_its_containers_and_of_their_sum() {
        let used = sampled().figures(at(20)).unwrap();
        assert_eq!(
            (used.source.as_str(), used.resolution_ms, used.samples, used.note.as_str()),
            ("kubelet", 5_000, 3, "")
        );
        assert_eq!((used.cpu_peak_milli, used.memory_peak_bytes, used.ran_ms), (160, 250 * MI, 19_000));
        assert_eq!((used.cpu_efficiency, used.memory_efficiency), (Some(0.2), Some(240.0 / 256.0)));
        let [a, b] = &used.pods[..] else { panic!("{used:?}") };
        assert_eq!((a.pod.as_str(), a.samples, a.cpu_avg_milli, a.cpu_peak_milli), ("a", 4, 100, 150));
        assert_eq!((a.memory_peak_bytes, a.memory_limit_bytes), (240 * MI, 256 * MI));
        assert_eq!(a.advice.iter().map(|advice| advice.kind.as_str()).collect::<Vec<_>>(), ["near-limit"]);
        assert_eq!(a.curve.as_ref().unwrap().at_ms, [1_000, 6_000, 11_000, 16_000]);
        assert_eq!((b.samples, b.cpu_request_milli, b.advice.len()), (3, 0, 0));
    }

    #[test]
    fn a_container_without_samples_leaves_none_to_stand_on() {
        let mut room = sampled();
        room.pod(at(17), &pod("short", "terminated", &json!({})));
        let used = room.figures(at(20)).unwrap();
        assert_eq!((used.samples, used.pods.len()), (0, 3));
        assert_eq!(used.pods[2].curve, None);
        // One that never ran does not count.
        let mut room = sampled();
        room.pod(at(17), &pod("waits", "waiting", &json!({})));
        assert_eq!(room.figures(at(20)).unwrap().samples, 3);
    }

    #[test]
    fn cpu_that_was_never_told_is_not_zero() {
        let mut room = Room::default();
        room.pod(at(1), &pod("a", "running", &json!({"requests": {"cpu": "500m", "memory": "64Mi"}})));
        for second in [1_u32, 11, 21] {
            let mut told = samples("a", second.into(), 0, 60 * MI);
            told.containers[0].1.cpu = None;
            room.take(at(second.into()), Source::Kubelet("n"), &[&told]);
        }
        let used = room.figures(at(30)).unwrap();
        assert_eq!((used.samples, used.cpu_efficiency, used.memory_peak_bytes), (0, None, 60 * MI));
        assert_eq!(used.note, "3 samples told CPU or memory alone, and did not count");
        assert!(used.pods[0].advice.is_empty(), "{:?}", used.pods[0].advice);
    }

    #[test]
    fn without_pods_that_ran_there_are_no_figures() {
        let mut room = Room::default();
        assert_eq!(room.figures(at(1)), None);
        room.pod(at(1), &pod("a", "waiting", &json!({})));
        assert_eq!((room.figures(at(1)), room.samples()), (None, None));
    }

    #[test]
    fn who_was_killed_had_come_to_its_limit() {
        let mut room = Room::default();
        let mut killed = pod("a", "terminated", &json!({"limits": {"memory": "64Mi"}}));
        killed["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] = "OOMKilled".into();
        room.pod(at(1), &killed);
        let used = room.figures(at(2)).unwrap();
        assert_eq!((used.memory_peak_bytes, used.samples, used.source.as_str()), (64 * MI, 0, ""));
        assert!(used.pods[0].oom_killed);
    }

    #[test]
    fn who_was_killed_is_not_lost_among_many_and_what_is_left_out_is_said() {
        let mut room = Room::default();
        for number in 0..SHOWN + 5 {
            room.pod(at(1), &pod(&format!("a{number:03}"), "running", &json!({"limits": {"memory": "1Gi"}})));
        }
        let mut killed = pod("z", "terminated", &json!({}));
        killed["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] = "OOMKilled".into();
        room.pod(at(1), &killed);
        let used = room.figures(at(2)).unwrap();
        assert_eq!((used.pods.len(), used.truncated), (SHOWN, false));
        assert!(used.pods[SHOWN - 1].oom_killed && used.pods.is_sorted_by_key(|used| &used.pod));
        assert_eq!(used.note, "100 of 106 containers are shown");
        for number in 0..PODS {
            room.pod(at(1), &pod(&format!("b{number:03}"), "running", &json!({})));
        }
        let used = room.figures(at(2)).unwrap();
        assert!(used.truncated && used.note.contains("too many containers to tell them all apart"), "{}", used.note);
    }

    #[test]
    fn an_init_container_is_shown_and_counts_for_nothing() {
        let mut room = sampled();
        let mut with_init = pod("c", "running", &json!({}));
        with_init["spec"]["initContainers"] =
            json!([{"name": "setup", "resources": {"requests": {"cpu": "8", "memory": "8Gi"}}}]);
        with_init["status"]["initContainerStatuses"] =
            json!([{"name": "setup", "state": {"terminated": {"reason": "Completed"}}}]);
        room.pod(at(2), &with_init);
        for second in [2, 7, 12] {
            room.take(at(second), Source::MetricsServer, &[&samples("c", i64::try_from(second).unwrap(), 1, 1)]);
        }
        let used = room.figures(at(20)).unwrap();
        assert_eq!((used.samples, used.cpu_efficiency), (3, Some(0.2)));
        assert_eq!(used.pods.iter().filter(|used| used.container == "setup").count(), 1);
    }

    #[test]
    fn what_was_missed_is_said() {
        let mut room = sampled();
        room.missed("429");
        room.missed("timed out");
        assert_eq!(room.figures(at(20)).unwrap().note, "2 times there was no answer: timed out");
        room.remark("nobody may ask");
        assert_eq!(room.figures(at(20)).unwrap().note, "nobody may ask");
        let evidence = room.samples().unwrap();
        assert_eq!(evidence["containers"][0]["atMs"], json!([1000, 6000, 11_000, 16_000]));
    }
}
