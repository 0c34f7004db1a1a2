//! What the pods of an example used, against what they requested.

use super::chart::curve::{Use, curve};
use super::fit::Level;
use super::look::{bytes, cpu, percent};
use super::text::{Html, Text};
use crate::report::{ContainerUse, Resources, words};

/// Most containers and pieces of advice that are shown; fewer containers where space is short.
const CONTAINERS: usize = 12;
const FEW: usize = 4;
const ADVICE: usize = 8;

pub(super) struct Usage {
    pub(super) told: Text,
    pub(super) containers: Vec<Container>,
    pub(super) more: usize,
}

impl Usage {
    pub(super) fn has_curves(&self) -> bool {
        self.containers.iter().any(|one| one.charts().iter().any(|chart| !chart.drawing.is_empty()))
    }
}

/// A container of a pod.
pub(super) struct Container {
    pub(super) name: Text,
    pub(super) oom_killed: bool,
    cpu: Chart,
    memory: Chart,
    pub(super) advice: Vec<(Text, Text)>,
}

impl Container {
    pub(super) fn charts(&self) -> [&Chart; 2] {
        [&self.cpu, &self.memory]
    }
}

/// One resource of a container; without a chart where no curve is known.
pub(super) struct Chart {
    pub(super) name: &'static str,
    pub(super) told: String,
    pub(super) drawing: Html,
}

/// What is shown of resources; nothing if there is nothing to say.
pub(super) fn usage(resources: &Resources, level: Level) -> Option<Usage> {
    if resources.pods.is_empty() && resources.note.is_empty() {
        return None;
    }
    let most = if level == Level::Full { CONTAINERS } else { FEW };
    let containers = resources.pods.iter().take(most).map(|one| container(one, level)).collect();
    Some(Usage { told: Text::new(&told(resources)), containers, more: resources.pods.len().saturating_sub(most) })
}

/// How it was measured, and what it comes to.
fn told(resources: &Resources) -> String {
    let mut parts = Vec::new();
    let share = |efficiency: Option<f64>, what: &str| {
        efficiency.map(|efficiency| format!("{} of the requested {what} was used", percent(efficiency)))
    };
    parts.extend(share(resources.cpu_efficiency, "CPU"));
    parts.extend(share(resources.memory_efficiency, "memory"));
    let most = [(resources.cpu_peak_milli, cpu as fn(u64) -> String), (resources.memory_peak_bytes, bytes)];
    let most: Vec<_> = most.into_iter().filter(|(peak, _)| *peak > 0).map(|(peak, shown)| shown(peak)).collect();
    if !most.is_empty() {
        parts.push(format!("{} at most, all pods together", most.join(" and ")));
    }
    if resources.ran_ms > 0 {
        parts.push(format!("ran for {}", words::duration(resources.ran_ms)));
    }
    if resources.samples > 0 {
        let every = words::duration(resources.resolution_ms);
        let source = match resources.source.as_str() {
            "" => String::new(),
            source => format!(", from {source}"),
        };
        let at = if resources.resolution_ms > 0 { format!(", one every {every}") } else { String::new() };
        parts.push(format!("{}{at}{source}", words::plural(resources.samples as usize, "sample")));
    }
    parts.extend(Some(resources.note.clone()).filter(|note| !note.is_empty()));
    parts.join(" · ")
}

fn container(one: &ContainerUse, level: Level) -> Container {
    let (curves, no_points) = (one.curve.as_ref().filter(|_| level == Level::Full), &[][..]);
    let at_ms = curves.map_or(no_points, |curve| &curve.at_ms);
    let name = match (one.pod.as_str(), one.container.as_str()) {
        (pod, "") => pod.to_owned(),
        (pod, container) => format!("{pod} / {container}"),
    };
    let amounts = |told: [u64; 4], shown: fn(u64) -> String| {
        let [average, peak, request, limit] = told;
        let set = |what: &str, amount: u64| (amount > 0).then(|| format!("{what} {}", shown(amount)));
        let parts = if one.samples == 0 {
            [Some("not measured".to_owned()), None]
        } else {
            [Some(format!("average {}", shown(average))), Some(format!("peak {}", shown(peak)))]
        };
        let parts = parts.into_iter().chain([set("request", request), set("limit", limit)]);
        parts.flatten().collect::<Vec<_>>().join(" · ")
    };
    let cpu_told = amounts([one.cpu_avg_milli, one.cpu_peak_milli, one.cpu_request_milli, one.cpu_limit_milli], cpu);
    let memory_told =
        amounts([one.memory_avg_bytes, one.memory_peak_bytes, one.memory_request_bytes, one.memory_limit_bytes], bytes);
    let drawn = |amounts: &[u64], request, limit, label: String| curve(Use { at_ms, amounts, request, limit }, &label);
    let milli = curves.map_or(no_points, |curve| &curve.cpu_milli);
    let held = curves.map_or(no_points, |curve| &curve.memory_bytes);
    Container {
        name: Text::new(&name),
        oom_killed: one.oom_killed,
        cpu: Chart {
            name: "CPU",
            drawing: drawn(milli, one.cpu_request_milli, one.cpu_limit_milli, format!("CPU over time: {cpu_told}")),
            told: cpu_told,
        },
        memory: Chart {
            name: "Memory",
            drawing: drawn(
                held,
                one.memory_request_bytes,
                one.memory_limit_bytes,
                format!("memory over time: {memory_told}"),
            ),
            told: memory_told,
        },
        advice: one
            .advice
            .iter()
            .take(ADVICE)
            .map(|advice| (Text::new(&advice.message), Text::clipped(&advice.suggested, 40)))
            .collect(),
    }
}
