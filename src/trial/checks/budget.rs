//! `resources`: budgets for what the pods use.
//!
//! A maximum is held against the most that all pods of the example used together at one moment. What is exceeded is exceeded, by
//! one sample already (CPU by more than what the measurement may be off by: below that the check is inconclusive); that it is not needs
//! at least [`ENOUGH`] samples of every container, and so does an efficiency: with fewer the check is inconclusive. A container that
//! the kernel killed for its memory did not get by with its limit: no memory budget is kept by that.

use super::{Failure, Finding};
use crate::config::Check;
use crate::quantity::{Quantity, cpu, memory};
use crate::report::{ContainerUse, Resources};
use crate::trial::resources::ENOUGH;

/// The most containers that a message names.
const NAMED: usize = 3;
/// By how much a measured rate of CPU may be off, in hundredths: clocks of kubelets tell whole seconds, samples are 10 seconds apart.
const CPU_ERROR: u64 = 10;
const EVIDENCE: &str = "resources.json in the evidence has every sample";

/// Evaluates a `resources` check.
pub(super) fn evaluate(check: &Check, used: Option<&Resources>) -> Finding {
    let Check::Resources { max_memory, max_cpu, min_cpu_efficiency, min_memory_efficiency } = check else {
        return Finding::Inconclusive("not a resources check".to_owned());
    };
    let Some(used) = used else {
        return Finding::Inconclusive("no container of it was seen to run".to_owned());
    };
    let shares = [
        Share { what: "CPU", reason: "CpuInefficient", least: *min_cpu_efficiency, used: used.cpu_efficiency },
        Share {
            what: "memory",
            reason: "MemoryInefficient",
            least: *min_memory_efficiency,
            used: used.memory_efficiency,
        },
    ];
    let budget = Budget { max_memory: *max_memory, max_cpu: *max_cpu, shares, used };
    if let Some(failure) = budget.failure() {
        return Finding::Failed(failure);
    }
    budget.doubt().map_or_else(|| budget.kept(), Finding::Inconclusive)
}

/// What a check asks, and what was measured.
struct Budget<'u> {
    max_memory: Option<Quantity>,
    max_cpu: Option<Quantity>,
    shares: [Share; 2],
    used: &'u Resources,
}

/// The share of what is requested that has to be used, and that is.
#[derive(Clone, Copy)]
struct Share {
    what: &'static str,
    reason: &'static str,
    least: Option<f64>,
    used: Option<f64>,
}

impl Budget<'_> {
    /// What is broken for certain.
    fn failure(&self) -> Option<Failure> {
        let used = self.used;
        let memory_over = self.max_memory.and_then(|most| over_memory(most, used));
        let over = memory_over.or_else(|| self.max_cpu.and_then(|most| over_cpu(most, used)));
        if over.is_some() || used.samples < ENOUGH {
            return over;
        }
        self.shares.into_iter().find_map(|Share { what, reason, least, used: share }| {
            let (least, share) = least.zip(share)?;
            (share < least).then(|| inefficient(what, least, share, reason, used))
        })
    }

    /// Why it can't be told whether all of it is kept.
    fn doubt(&self) -> Option<String> {
        let used = self.used;
        if let Some(why) = self.max_memory.and_then(|_| killed_by_the_node(used)) {
            return Some(why);
        }
        if let Some(why) = self.max_cpu.and_then(|most| perhaps_over_cpu(most, used)) {
            return Some(why);
        }
        if used.truncated && (self.max_memory.is_some() || self.max_cpu.is_some()) {
            return Some(format!("the sums lack some containers: {}", used.note));
        }
        if used.samples < ENOUGH {
            return Some(too_few(used));
        }
        let unasked = self.shares.iter().find(|share| share.least.is_some() && share.used.is_none())?;
        Some(format!("no container requests any {}, so that there is no share to use", unasked.what))
    }

    /// By how much all of it is kept.
    fn kept(&self) -> Finding {
        let Self { max_memory, max_cpu, shares, used } = self;
        let mut parts = Vec::new();
        parts.extend(
            max_memory.map(|most| format!("memory {} of {}", memory(used.memory_peak_bytes), memory(units(most)))),
        );
        parts.extend(max_cpu.map(|most| format!("cpu {} of {}", cpu(used.cpu_peak_milli), cpu(millis(most)))));
        parts.extend(shares.iter().filter_map(|Share { what, least, used: share, .. }| {
            let (least, share) = least.zip(*share)?;
            Some(format!("{what} efficiency {share:.2} of at least {least}"))
        }));
        let maxima = [max_memory.map(|_| number(used.memory_peak_bytes)), max_cpu.map(|_| number(used.cpu_peak_milli))];
        let minima = shares.iter().map(|share| share.least.and(share.used));
        let value = maxima.into_iter().chain(minima).flatten().next();
        Finding::Passed { message: format!("{} ({} samples)", parts.join(", "), used.samples), value }
    }
}

fn over_memory(most: Quantity, used: &Resources) -> Option<Failure> {
    let peak = used.memory_peak_bytes;
    let at_its_limit = used.pods.iter().find(|used| used.oom_killed && used.memory_limit_bytes > 0);
    let message = match at_its_limit {
        Some(killed) => format!(
            "container `{}` of Pod/{} (limit {}) was killed for its memory: what it needs is not known",
            killed.container,
            killed.pod,
            memory(killed.memory_limit_bytes)
        ),
        None if peak > units(most) => format!(
            "its pods use {} of memory at once, the budget is {}: {}",
            memory(peak),
            memory(units(most)),
            largest(used, |used| used.memory_peak_bytes, memory)
        ),
        None => return None,
    };
    let hint = format!("raise `max-memory`, or see what needs it: {EVIDENCE}");
    Some(Failure { reason: "MemoryOverBudget", message, hint, value: Some(number(peak)) })
}

/// That a container without a limit was killed: the node had no more memory, for which others may be to blame.
fn killed_by_the_node(used: &Resources) -> Option<String> {
    let killed = used.pods.iter().find(|used| used.oom_killed && used.memory_limit_bytes == 0)?;
    Some(format!(
        "container `{}` of Pod/{} has no memory limit and was killed for the node had no more, whoever used it: what it needs is not known",
        killed.container, killed.pod
    ))
}

fn over_cpu(most: Quantity, used: &Resources) -> Option<Failure> {
    let peak = used.cpu_peak_milli;
    let message = format!("{}: {}", cpu_at_once(most, used), largest(used, |used| used.cpu_peak_milli, cpu));
    let hint = format!("raise `max-cpu`, or see what needs it: {EVIDENCE}");
    let is_over = peak > within_error(millis(most));
    is_over.then(|| Failure { reason: "CpuOverBudget", message, hint, value: Some(number(peak)) })
}

/// That the budget is exceeded by no more than the measurement may be off by.
fn perhaps_over_cpu(most: Quantity, used: &Resources) -> Option<String> {
    let (peak, most_milli) = (used.cpu_peak_milli, millis(most));
    let is_near = peak > most_milli && peak <= within_error(most_milli);
    is_near.then(|| format!("{}, which the measurement may be off by (up to {CPU_ERROR} %)", cpu_at_once(most, used)))
}

fn within_error(most_milli: u64) -> u64 {
    most_milli.saturating_add(most_milli.saturating_mul(CPU_ERROR) / 100)
}

fn cpu_at_once(most: Quantity, used: &Resources) -> String {
    format!("its pods use {} CPU at once, the budget is {}", cpu(used.cpu_peak_milli), cpu(millis(most)))
}

fn inefficient(what: &str, least: f64, share: f64, reason: &'static str, used: &Resources) -> Failure {
    let is_cpu = what == "CPU";
    let figures = |used: &ContainerUse| {
        if is_cpu {
            (used.cpu_request_milli, format!("{} of {}", cpu(used.cpu_avg_milli), cpu(used.cpu_request_milli)))
        } else {
            (
                used.memory_request_bytes,
                format!("{} of {}", memory(used.memory_peak_bytes), memory(used.memory_request_bytes)),
            )
        }
    };
    let mut wasteful: Vec<_> =
        used.pods.iter().map(|used| (figures(used), used)).filter(|((request, _), _)| *request > 0).collect();
    wasteful.sort_by_key(|((request, _), _)| std::cmp::Reverse(*request));
    let named = wasteful.iter().take(NAMED).map(|((_, text), used)| format!("{} {text}", name(used)));
    let message = format!(
        "uses {share:.2} of the {what} that it requests, less than {least}: {}",
        named.collect::<Vec<_>>().join(", ")
    );
    let resource = if is_cpu { "cpu" } else { "memory" };
    let advised = used.pods.iter().find_map(|used| {
        let advice =
            used.advice.iter().find(|advice| advice.kind == "over-provisioned" && advice.resource == resource)?;
        Some(format!("request {} for container `{}`", advice.suggested, used.container))
    });
    Failure { reason, message, hint: advised.unwrap_or_else(|| "request less".to_owned()), value: Some(share) }
}

/// The containers with the most, with how much that is.
fn largest(used: &Resources, of: fn(&ContainerUse) -> u64, shown: fn(u64) -> String) -> String {
    let mut pods: Vec<_> = used.pods.iter().collect();
    pods.sort_by_key(|used| std::cmp::Reverse(of(used)));
    let named: Vec<_> = pods.iter().take(NAMED).map(|used| format!("{} {}", name(used), shown(of(used)))).collect();
    let more = pods.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(", and {more} more") };
    format!("{}{more}", named.join(", "))
}

fn name(used: &ContainerUse) -> String {
    format!("Pod/{} ({})", used.pod, used.container)
}

/// That there are too few samples, with all that can be known of why.
fn too_few(used: &Resources) -> String {
    let samples = match used.samples {
        0 => "no samples".to_owned(),
        1 => "1 sample".to_owned(),
        count => format!("{count} samples"),
    };
    let every =
        if used.resolution_ms > 0 { format!(", one every {}", seconds(used.resolution_ms)) } else { String::new() };
    let why = if used.note.is_empty() { String::new() } else { format!("; {}", used.note) };
    format!(
        "{samples} of what ran for {}{every}: at least {ENOUGH} of each container are needed{why}",
        seconds(used.ran_ms)
    )
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

fn units(quantity: Quantity) -> u64 {
    u64::try_from(quantity.units()).unwrap_or(0)
}

fn millis(quantity: Quantity) -> u64 {
    u64::try_from(quantity.milli()).unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "to be shown")]
fn number(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MI: u64 = 1 << 20;

    fn budget(max_memory: &str, max_cpu: &str, cpu: Option<f64>, memory: Option<f64>) -> Check {
        Check::Resources {
            max_memory: Quantity::parse(max_memory),
            max_cpu: Quantity::parse(max_cpu),
            min_cpu_efficiency: cpu,
            min_memory_efficiency: memory,
        }
    }

    fn used() -> Resources {
        let container = |pod: &str, memory_peak_bytes, cpu_peak_milli| ContainerUse {
            pod: pod.to_owned(),
            container: "main".to_owned(),
            samples: 4,
            cpu_peak_milli,
            cpu_avg_milli: cpu_peak_milli / 2,
            cpu_request_milli: 1000,
            memory_peak_bytes,
            memory_request_bytes: 1024 * MI,
            ..ContainerUse::default()
        };
        Resources {
            source: "kubelet".to_owned(),
            resolution_ms: 5_000,
            samples: 4,
            pods: vec![container("a", 200 * MI, 300), container("b", 400 * MI, 100)],
            cpu_efficiency: Some(0.1),
            memory_efficiency: Some(0.3),
            cpu_peak_milli: 400,
            memory_peak_bytes: 590 * MI,
            ran_ms: 20_300,
            ..Resources::default()
        }
    }

    fn failed(check: &Check, used: &Resources) -> (&'static str, String) {
        match evaluate(check, Some(used)) {
            Finding::Failed(failure) => (failure.reason, failure.message),
            other => panic!("{other:?}"),
        }
    }

    fn inconclusive(check: &Check, used: Option<&Resources>) -> String {
        match evaluate(check, used) {
            Finding::Inconclusive(message) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_all_pods_use_at_once_is_held_against_a_maximum() {
        let message =
            "its pods use 590Mi of memory at once, the budget is 512Mi: Pod/b (main) 400Mi, Pod/a (main) 200Mi";
        assert_eq!(failed(&budget("512Mi", "", None, None), &used()), ("MemoryOverBudget", message.to_owned()));
        let message = "its pods use 400m CPU at once, the budget is 350m: Pod/a (main) 300m, Pod/b (main) 100m";
        assert_eq!(failed(&budget("1Gi", "350m", None, None), &used()), ("CpuOverBudget", message.to_owned()));
        let passed = evaluate(&budget("1Gi", "1", Some(0.1), Some(0.2)), Some(&used()));
        let message = "memory 590Mi of 1Gi, cpu 400m of 1, CPU efficiency 0.10 of at least 0.1, memory efficiency 0.30 of at least 0.2 (4 samples)";
        assert_eq!(passed, Finding::Passed { message: message.to_owned(), value: Some(number(590 * MI)) });
    }

    #[test]
    fn too_little_use_of_what_is_requested_fails() {
        let (reason, message) = failed(&budget("", "", Some(0.2), None), &used());
        assert_eq!(reason, "CpuInefficient");
        assert_eq!(
            message,
            "uses 0.10 of the CPU that it requests, less than 0.2: Pod/a (main) 150m of 1, Pod/b (main) 50m of 1"
        );
        assert_eq!(failed(&budget("", "", None, Some(0.5)), &used()).0, "MemoryInefficient");
        let unasked = Resources { cpu_efficiency: None, ..used() };
        assert!(
            inconclusive(&budget("", "", Some(0.2), None), Some(&unasked)).contains("no container requests any CPU")
        );
    }

    #[test]
    fn with_too_few_samples_nothing_passes_and_what_is_exceeded_fails_all_the_same() {
        let few = Resources { samples: 2, ..used() };
        let message = "2 samples of what ran for 20.3 s, one every 5.0 s: at least 3 of each container are needed";
        assert_eq!(inconclusive(&budget("1Gi", "", None, None), Some(&few)), message);
        assert_eq!(inconclusive(&budget("", "", Some(0.9), None), Some(&few)), message);
        assert_eq!(failed(&budget("512Mi", "", None, None), &few).0, "MemoryOverBudget");
        let none = Resources { samples: 0, resolution_ms: 0, note: "nobody answers".to_owned(), ..used() };
        let message = "no samples of what ran for 20.3 s: at least 3 of each container are needed; nobody answers";
        assert_eq!(inconclusive(&budget("1Gi", "", None, None), Some(&none)), message);
        assert!(inconclusive(&budget("1Gi", "", None, None), None).contains("no container"));
    }

    #[test]
    fn no_memory_budget_is_kept_by_being_killed() {
        let mut killed = used();
        killed.pods[0].oom_killed = true;
        killed.pods[0].memory_limit_bytes = 256 * MI;
        let (reason, message) = failed(&budget("10Gi", "", None, None), &killed);
        assert_eq!(reason, "MemoryOverBudget");
        assert_eq!(
            message,
            "container `main` of Pod/a (limit 256Mi) was killed for its memory: what it needs is not known"
        );
        assert!(matches!(evaluate(&budget("", "4", None, None), Some(&killed)), Finding::Passed { .. }));
    }
    #[test]
    fn what_the_measurement_may_be_off_by_neither_fails_nor_passes() {
        let near = |cpu_peak_milli| Resources { cpu_peak_milli, ..used() };
        let one = budget("", "1", None, None);
        let message =
            "its pods use 1090m CPU at once, the budget is 1, which the measurement may be off by (up to 10 %)";
        assert_eq!(inconclusive(&one, Some(&near(1090))), message);
        assert!(inconclusive(&one, Some(&near(1100))).contains("off by"));
        assert_eq!(failed(&one, &near(1101)).0, "CpuOverBudget");
        assert!(matches!(evaluate(&one, Some(&near(1000))), Finding::Passed { .. }));
        // What else is broken is broken.
        assert_eq!(failed(&budget("", "1", Some(0.5), None), &near(1090)).0, "CpuInefficient");
        assert_eq!(failed(&budget("512Mi", "1", None, None), &near(1090)).0, "MemoryOverBudget");
    }

    #[test]
    fn who_was_killed_without_a_limit_may_have_kept_the_budget_or_not() {
        let mut killed = used();
        killed.pods[0].oom_killed = true;
        let message = inconclusive(&budget("1Gi", "", None, None), Some(&killed));
        assert!(message.starts_with("container `main` of Pod/a has no memory limit and was killed"), "{message}");
        assert_eq!(failed(&budget("512Mi", "", None, None), &killed).0, "MemoryOverBudget");
        assert!(matches!(evaluate(&budget("", "4", None, None), Some(&killed)), Finding::Passed { .. }));
        // One at its limit weighs more.
        killed.pods[1].oom_killed = true;
        killed.pods[1].memory_limit_bytes = 512 * MI;
        assert!(
            failed(&budget("1Gi", "", None, None), &killed).1.starts_with("container `main` of Pod/b (limit 512Mi)")
        );
    }

    #[test]
    fn a_sum_that_lacks_something_keeps_no_maximum() {
        let cut = Resources { truncated: true, note: "more than 500 pods".to_owned(), ..used() };
        let message = "the sums lack some containers: more than 500 pods";
        assert_eq!(inconclusive(&budget("1Gi", "", None, None), Some(&cut)), message);
        assert_eq!(inconclusive(&budget("", "4", None, None), Some(&cut)), message);
        assert_eq!(failed(&budget("512Mi", "", None, None), &cut).0, "MemoryOverBudget");
        assert!(matches!(evaluate(&budget("", "", Some(0.1), None), Some(&cut)), Finding::Passed { .. }));
    }
}
