//! What a container uses: a pure function of its spec, an annotation, and of how long it has been running.
//!
//! `example-validator.dev/simulate-usage` on a pod or its template: `cpu=200m,memory=64Mi..512Mi` for all containers,
//! `main/cpu=200m` for one. A range is gone through in the first half of a run (in the first minute, of one that does not end), and
//! its end is held from then on. What is not said is half of the request, else a quarter of the limit, else a little.

use std::time::Duration;

use serde_json::Value as Json;

use super::object::text;
use crate::quantity::Quantity;
use crate::simulator::store::Run;

/// The annotation that says what a container uses.
pub const ANNOTATION: &str = "example-validator.dev/simulate-usage";

/// What is used where nothing is said or set: cores in nano-units, bytes.
const CPU: u64 = 50_000_000;
const MEMORY: u64 = 32 << 20;
/// For how long a run without an end goes through a range.
const RISE: Duration = Duration::from_secs(60);

/// What a container uses at one moment, and has used until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Nanocores.
    pub cpu: u64,
    /// Core-nanoseconds since the run began.
    pub cpu_total: u64,
    /// Bytes.
    pub memory: u64,
}

/// From one amount to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    from: u64,
    to: u64,
}

/// What a container uses when its run is this old.
#[must_use]
pub fn usage(pod: &Json, container: &Json, run: Run, age: Duration) -> Usage {
    let rise = run.length.map_or(RISE, |length| length / 2);
    let (cpu, memory) = (range(pod, container, "cpu"), range(pod, container, "memory"));
    let all = amount(container, "limits", "memory").filter(|_| run.takes_all);
    Usage { cpu: cpu.at(age, rise), cpu_total: cpu.sum(age, rise), memory: all.unwrap_or_else(|| memory.at(age, rise)) }
}

impl Range {
    fn at(self, age: Duration, rise: Duration) -> u64 {
        if age >= rise {
            return self.to;
        }
        let (age, rise) = (age.as_nanos(), rise.as_nanos().max(1));
        let amount = (u128::from(self.from) * (rise - age) + u128::from(self.to) * age) / rise;
        u64::try_from(amount).unwrap_or(u64::MAX)
    }

    /// The sum until then, in units times seconds.
    fn sum(self, age: Duration, rise: Duration) -> u64 {
        let rising = age.min(rise);
        let mean = u128::midpoint(self.from.into(), self.at(rising, rise).into());
        let nanos = mean * rising.as_nanos() + u128::from(self.to) * age.saturating_sub(rise).as_nanos();
        u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX)
    }
}

fn range(pod: &Json, container: &Json, resource: &str) -> Range {
    let annotations = pod.pointer("/metadata/annotations");
    let said = annotations.and_then(|all| all.get(ANNOTATION)).and_then(Json::as_str).unwrap_or_default();
    let own = format!("{}/{resource}", text(container, "/name"));
    let entries = || said.split(',').filter_map(|entry| entry.split_once('='));
    let find =
        |key: &str| entries().find(|(found, _)| found.trim() == key).and_then(|(_, value)| parse(value, resource));
    find(&own).or_else(|| find(resource)).unwrap_or_else(|| {
        let half = amount(container, "requests", resource).map(|amount| amount / 2);
        let quarter = amount(container, "limits", resource).map(|amount| amount / 4);
        let otherwise = if resource == "cpu" { CPU } else { MEMORY };
        let amount = half.or(quarter).unwrap_or(otherwise);
        Range { from: amount, to: amount }
    })
}

fn parse(value: &str, resource: &str) -> Option<Range> {
    let (from, to) = value.split_once("..").unwrap_or((value, value));
    Some(Range { from: units(from.trim(), resource)?, to: units(to.trim(), resource)? })
}

fn amount(container: &Json, kind: &str, resource: &str) -> Option<u64> {
    units(container.pointer(&format!("/resources/{kind}/{resource}"))?.as_str()?, resource)
}

/// Nanocores of CPU, bytes of memory.
fn units(quantity: &str, resource: &str) -> Option<u64> {
    let quantity = Quantity::parse(quantity)?;
    let units = if resource == "cpu" { quantity.nano() } else { quantity.units() };
    u64::try_from(units).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::time::Instant;

    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn used(annotation: &str, resources: &Json, length: Option<u64>, age: u64) -> Usage {
        let pod = json!({"metadata": {"annotations": {ANNOTATION: annotation}}});
        let run = Run { restart: 0, since: Instant::now(), length: length.map(seconds), takes_all: false };
        usage(&pod, &json!({"name": "main", "resources": resources}), run, seconds(age))
    }

    #[test]
    fn a_range_is_gone_through_in_the_first_half_of_a_run() {
        let at = |age| used("cpu=100m..300m, memory=64Mi..512Mi", &json!({}), Some(20), age);
        assert_eq!(at(0), Usage { cpu: 100_000_000, cpu_total: 0, memory: 64 << 20 });
        assert_eq!(at(5), Usage { cpu: 200_000_000, cpu_total: 750_000_000, memory: 288 << 20 });
        assert_eq!(at(20), Usage { cpu: 300_000_000, cpu_total: 5_000_000_000, memory: 512 << 20 });
        assert_eq!(used("memory=0..60Mi", &json!({}), None, 30).memory, 30 << 20);
    }

    #[test]
    fn what_is_not_said_follows_from_what_is_set() {
        let set = json!({"requests": {"cpu": "200m"}, "limits": {"cpu": "1", "memory": "256Mi"}});
        let found = used("helper/cpu=2", &set, None, 10);
        assert_eq!((found.cpu, found.cpu_total, found.memory), (100_000_000, 1_000_000_000, 64 << 20));
        let found = used("cpu=1,main/cpu=2,memory=?", &json!({}), None, 1);
        assert_eq!((found.cpu, found.memory), (2_000_000_000, MEMORY));
    }

    #[test]
    fn what_will_be_killed_takes_all_that_it_may_have() {
        let run = Run { restart: 0, since: Instant::now(), length: None, takes_all: true };
        let container = json!({"name": "main", "resources": {"limits": {"memory": "64Mi"}}});
        assert_eq!(usage(&json!({}), &container, run, seconds(1)).memory, 64 << 20);
    }
}
