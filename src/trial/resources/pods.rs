//! What a pod object says of its containers: what they ask for, whether they ran, whether the kernel killed them.

use serde_json::Value as Json;

use crate::quantity::Quantity;
use crate::trial::apply::request::text;

/// The most containers of one pod that are looked at.
const MOST: usize = 100;

/// A pod, as far as it is of interest here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// Empty before it has one.
    pub node: String,
    /// In the order of their names.
    pub containers: Vec<ContainerFacts>,
    /// It has more of them than are looked at.
    pub truncated: bool,
}

/// A container of it. Amounts of 0: none was set, neither for it nor for its pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerFacts {
    pub name: String,
    /// Whether it ends before the others begin.
    pub is_init: bool,
    pub cpu_request_milli: u64,
    pub cpu_limit_milli: u64,
    pub memory_request_bytes: u64,
    pub memory_limit_bytes: u64,
    pub life: Life,
    /// The kernel killed it for its memory at some time.
    pub oom_killed: bool,
}

/// How far a container is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// It never ran.
    #[default]
    Ahead,
    /// It ran, and does not at present.
    Over,
    /// It runs, by the last status that was seen.
    Runs,
}

impl PodFacts {
    /// What a pod says now, on top of what it said before.
    pub fn of(pod: &Json, before: Option<&Self>) -> Self {
        let list = |pointer: &str| pod.pointer(pointer).and_then(Json::as_array).into_iter().flatten();
        let statuses = || list("/status/containerStatuses").chain(list("/status/initContainerStatuses"));
        let inits =
            list("/spec/initContainers").map(|container| (container, text(container, "/restartPolicy") != "Always"));
        let all = inits.chain(list("/spec/containers").map(|container| (container, false)));
        let is_alone = list("/spec/containers").count() == 1
            && !list("/spec/initContainers").any(|container| text(container, "/restartPolicy") == "Always");
        let of_pod = pod.pointer("/spec").unwrap_or(&Json::Null);
        // What the pod as a whole may use holds for each of its containers that has no limit of its own; what is set aside for it can
        // be said of one alone.
        let limit = |spec: &Json, resource: &str, unit: fn(Quantity) -> i64| {
            let of = |spec: &Json| amount(spec, resource, unit, &["limits"]);
            Some(of(spec)).filter(|own| *own > 0).unwrap_or_else(|| of(of_pod))
        };
        let request = |spec: &Json, resource: &str, unit: fn(Quantity) -> i64, is_init: bool| {
            let of = |spec: &Json| amount(spec, resource, unit, &["requests", "limits"]);
            let own = of(spec);
            if own == 0 && is_alone && !is_init { of(of_pod) } else { own }
        };
        let is_over = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
        let container = |(spec, is_init): (&Json, bool)| {
            let name = text(spec, "/name");
            let known = before.and_then(|before| before.containers.iter().find(|known| known.name == name));
            let status = statuses().find(|status| text(status, "/name") == name);
            let has = |pointer: &str| status.is_some_and(|status| status.pointer(pointer).is_some());
            let ended = |state: &str| status.map_or("", |status| text(status, &format!("/{state}/terminated/reason")));
            let ends = [ended("state"), ended("lastState")];
            let has_run = |reason: &&str| !reason.is_empty() && *reason != "StartError";
            let life = if has("/state/running") && !is_over {
                Life::Runs
            } else if ends.iter().any(has_run) || known.is_some_and(|known| known.life != Life::Ahead) {
                Life::Over
            } else {
                Life::Ahead
            };
            ContainerFacts {
                is_init,
                cpu_request_milli: request(spec, "cpu", Quantity::milli, is_init),
                cpu_limit_milli: limit(spec, "cpu", Quantity::milli),
                memory_request_bytes: request(spec, "memory", Quantity::units, is_init),
                memory_limit_bytes: limit(spec, "memory", Quantity::units),
                life,
                oom_killed: ends.contains(&"OOMKilled") || known.is_some_and(|known| known.oom_killed),
                name: name.to_owned(),
            }
        };
        let mut all = all.map(container);
        let mut containers: Vec<_> = all.by_ref().take(MOST).collect();
        let truncated = all.next().is_some();
        containers.sort_by(|one, other| one.name.cmp(&other.name));
        Self { node: text(pod, "/spec/nodeName").to_owned(), containers, truncated }
    }

    /// Whether any container of it runs.
    pub fn runs(&self) -> bool {
        self.containers.iter().any(|container| container.life == Life::Runs)
    }

    /// The container of this name.
    pub fn container(&self, name: &str) -> Option<&ContainerFacts> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// It is gone: nothing of it runs.
    pub fn stop(&mut self) {
        for container in &mut self.containers {
            if container.life == Life::Runs {
                container.life = Life::Over;
            }
        }
    }
}

/// What a container, or a pod, sets of a resource, by the first of these keys that has it. An API server fills a missing request in with the
/// limit.
fn amount(container: &Json, resource: &str, unit: fn(Quantity) -> i64, keys: &[&str]) -> u64 {
    let set = keys.iter().find_map(|key| {
        let value = container.pointer(&format!("/resources/{key}/{resource}"))?;
        // JSON manifests may have numbers.
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Quantity::parse(&text)
    });
    set.map_or(0, |quantity| u64::try_from(unit(quantity)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_container_without_a_limit_of_its_own_is_held_to_that_of_its_pod() {
        let of_pod = json!({"requests": {"memory": "64Mi"}, "limits": {"cpu": 1, "memory": "128Mi"}});
        let amounts = |containers: Json| {
            let spec = json!({"resources": of_pod, "initContainers": [{"name": "z"}], "containers": containers});
            let facts = PodFacts::of(&json!({"spec": spec}), None);
            let mebi = |found: &ContainerFacts| (found.memory_request_bytes >> 20, found.memory_limit_bytes >> 20);
            facts.containers.iter().map(|found| (mebi(found), found.cpu_limit_milli)).collect::<Vec<_>>()
        };
        assert_eq!(amounts(json!([{"name": "a"}])), [((64, 128), 1000), ((0, 128), 1000)]);
        let own = json!({"name": "b", "resources": {"limits": {"memory": "32Mi"}}});
        let several = amounts(json!([{"name": "a"}, own]));
        assert_eq!(several, [((0, 128), 1000), ((32, 32), 1000), ((0, 128), 1000)]);
    }

    #[test]
    fn requests_limits_and_kills_are_read_and_what_was_seen_once_is_not_forgotten() {
        let pod = |state: &Json, last: &Json| {
            json!({"spec": {"nodeName": "n",
                "initContainers": [{"name": "setup"}, {"name": "proxy", "restartPolicy": "Always", "resources": {"requests": {"cpu": 1}}}],
                "containers": [{"name": "main", "resources": {"requests": {"memory": "64Mi"}, "limits": {"cpu": "250m", "memory": "128Mi"}}}]},
                "status": {"phase": "Running", "containerStatuses": [{"name": "main", "state": state, "lastState": last}]}})
        };
        let killed = pod(&json!({"terminated": {"reason": "OOMKilled", "exitCode": 137}}), &json!({}));
        let facts = PodFacts::of(&killed, None);
        let names: Vec<_> = facts.containers.iter().map(|found| (found.name.as_str(), found.is_init)).collect();
        assert_eq!(names, [("main", false), ("proxy", false), ("setup", true)]);
        let main = &facts.containers[0];
        assert_eq!((main.cpu_request_milli, main.cpu_limit_milli), (250, 250));
        assert_eq!((main.memory_request_bytes, main.memory_limit_bytes), (64 << 20, 128 << 20));
        assert!(main.oom_killed && main.life == Life::Over && !facts.runs());
        assert_eq!(facts.containers[1].cpu_request_milli, 1000);
        let again = PodFacts::of(&pod(&json!({"running": {}}), &json!({})), Some(&facts));
        assert!(again.runs() && again.containers[0].oom_killed);
        let never = PodFacts::of(&pod(&json!({"terminated": {"reason": "StartError"}}), &json!({})), None);
        assert_eq!(never.containers[0].life, Life::Ahead);
        let many: Vec<_> = (0..=MOST).map(|number| json!({"name": number.to_string()})).collect();
        let crowd = PodFacts::of(&json!({"spec": {"containers": many}}), None);
        assert_eq!((crowd.containers.len(), crowd.truncated, facts.truncated), (MOST, true, false));
    }
}
