//! What a container's requests and limits should be instead.

use super::ENOUGH;
use crate::quantity::{cpu, memory};
use crate::report::{Advice, ContainerUse};

/// A peak below this part of the request: most of what is set aside is never used. In hundredths.
const OVER_PROVISIONED: u64 = 20;
/// A peak above this part of the limit leaves no room. In hundredths.
const NEAR_LIMIT: u64 = 90;
const MI: u64 = 1 << 20;

/// What is to be said of a container.
///
/// - `over-provisioned`: the peak is below 20 % of the request, by at least three samples. By the peak and not the average, of CPU
///   too: what is needed only for a moment is needed.
/// - `near-limit`: the peak is above 90 % of the limit. Of CPU that means that it is throttled.
/// - `oom-killed`: the kernel killed it; what it would have used is not known, but it is more than its limit.
///
/// A suggestion is a quarter more than the peak (of memory; of CPU the peak, unless a limit is near), rounded up to a step that a
/// person would write.
pub fn advice(used: &ContainerUse) -> Vec<Advice> {
    let mut all = Vec::new();
    all.extend(if used.oom_killed { Some(oom_killed(used)) } else { memory_near_limit(used) });
    all.extend(cpu_near_limit(used));
    if used.samples >= ENOUGH {
        all.extend(memory_over_provisioned(used));
        all.extend(cpu_over_provisioned(used));
    }
    all
}

fn oom_killed(used: &ContainerUse) -> Advice {
    let limit = used.memory_limit_bytes;
    let (message, suggested) = match limit.max(used.memory_peak_bytes) {
        0 => ("was killed for its memory, for the node had no more".to_owned(), String::new()),
        most if limit > 0 => {
            (format!("was killed for its memory: it needs more than its limit of {}", memory(limit)), memory_step(most))
        }
        most => (format!("was killed for its memory, of which it used {} or more", memory(most)), memory_step(most)),
    };
    say("oom-killed", "memory", message, suggested)
}

fn memory_near_limit(used: &ContainerUse) -> Option<Advice> {
    let (peak, limit) = (used.memory_peak_bytes, used.memory_limit_bytes);
    let message = format!("uses {} of the {} that is its limit", memory(peak), memory(limit));
    is_near(peak, limit).then(|| say("near-limit", "memory", message, memory_step(peak)))
}

fn cpu_near_limit(used: &ContainerUse) -> Option<Advice> {
    let (peak, limit) = (used.cpu_peak_milli, used.cpu_limit_milli);
    let message = format!("uses {} of the {} CPU that is its limit: it is throttled", cpu(peak.min(limit)), cpu(limit));
    is_near(peak, limit).then(|| say("near-limit", "cpu", message, cpu_step(with_room(peak.max(limit)))))
}

fn memory_over_provisioned(used: &ContainerUse) -> Option<Advice> {
    let (peak, request) = (used.memory_peak_bytes, used.memory_request_bytes);
    let suggested = memory_step(peak);
    let message = format!("uses at most {} of the {} that it requests", memory(peak), memory(request));
    let helps = is_little(peak, request) && rounded_memory(peak) < request;
    helps.then(|| say("over-provisioned", "memory", message, suggested))
}

fn cpu_over_provisioned(used: &ContainerUse) -> Option<Advice> {
    let (peak, request) = (used.cpu_peak_milli, used.cpu_request_milli);
    let message = format!("uses at most {} of the {} CPU that it requests", cpu(peak), cpu(request));
    let helps = is_little(peak, request) && rounded_cpu(peak) < request;
    helps.then(|| say("over-provisioned", "cpu", message, cpu_step(peak)))
}

fn say(kind: &str, resource: &str, message: String, suggested: String) -> Advice {
    Advice { kind: kind.to_owned(), resource: resource.to_owned(), message, suggested }
}

fn is_little(peak: u64, request: u64) -> bool {
    peak.saturating_mul(100) < request.saturating_mul(OVER_PROVISIONED)
}

fn is_near(peak: u64, limit: u64) -> bool {
    limit > 0 && peak.saturating_mul(100) > limit.saturating_mul(NEAR_LIMIT)
}

/// A quarter more.
fn with_room(amount: u64) -> u64 {
    amount.saturating_add(amount / 4)
}

/// A quarter more than the peak, in bytes, rounded up to 8 Mi, above 128 Mi to 32 Mi, above 1 Gi to 128 Mi, above 8 Gi to 512 Mi.
fn rounded_memory(peak: u64) -> u64 {
    let amount = with_room(peak).max(1);
    let step = match amount / MI {
        0..128 => 8,
        128..1024 => 32,
        1024..8192 => 128,
        _ => 512,
    };
    amount.div_ceil(step * MI).saturating_mul(step * MI)
}

fn memory_step(peak: u64) -> String {
    let mebi = rounded_memory(peak) / MI;
    if mebi.is_multiple_of(1024) { format!("{}Gi", mebi / 1024) } else { format!("{mebi}Mi") }
}

/// Thousandths of a core, rounded up to 10, above 200 to 50.
fn rounded_cpu(milli: u64) -> u64 {
    let step = if milli <= 200 { 10 } else { 50 };
    milli.max(1).div_ceil(step).saturating_mul(step)
}

fn cpu_step(milli: u64) -> String {
    cpu(rounded_cpu(milli))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quantity::Quantity;

    const GI: u64 = 1 << 30;

    fn told(used: &ContainerUse) -> Vec<String> {
        let line =
            |advice: Advice| format!("{} {}: {} -> {}", advice.kind, advice.resource, advice.message, advice.suggested);
        advice(used).into_iter().map(line).collect()
    }

    #[test]
    fn what_is_never_used_need_not_be_requested() {
        let used = ContainerUse {
            samples: 3,
            cpu_peak_milli: 63,
            cpu_request_milli: 500,
            memory_peak_bytes: 180 * MI,
            memory_request_bytes: 4 * GI,
            ..ContainerUse::default()
        };
        assert_eq!(
            told(&used),
            [
                "over-provisioned memory: uses at most 180Mi of the 4Gi that it requests -> 256Mi",
                "over-provisioned cpu: uses at most 63m of the 500m CPU that it requests -> 70m"
            ]
        );
        assert!(told(&ContainerUse { samples: 2, ..used.clone() }).is_empty());
        // A fifth of it is enough, and a suggestion has to be less.
        let enough = ContainerUse { cpu_peak_milli: 100, memory_peak_bytes: 4 * GI / 5 + 1, ..used.clone() };
        assert!(told(&enough).is_empty());
        let small = ContainerUse {
            cpu_peak_milli: 0,
            cpu_request_milli: 10,
            memory_peak_bytes: MI,
            memory_request_bytes: 8 * MI,
            ..used
        };
        assert!(told(&small).is_empty());
    }

    #[test]
    fn who_is_near_a_limit_is_told_by_how_much() {
        let used = ContainerUse {
            samples: 1,
            cpu_peak_milli: 1004,
            cpu_limit_milli: 1000,
            memory_peak_bytes: 950 * MI,
            memory_limit_bytes: GI,
            ..ContainerUse::default()
        };
        assert_eq!(
            told(&used),
            [
                "near-limit memory: uses 950Mi of the 1Gi that is its limit -> 1280Mi",
                "near-limit cpu: uses 1 of the 1 CPU that is its limit: it is throttled -> 1300m"
            ]
        );
        let within = ContainerUse { cpu_peak_milli: 900, memory_peak_bytes: 900 * MI, ..used };
        assert!(told(&within).is_empty());
    }

    #[test]
    fn a_container_that_was_killed_needs_more_than_its_limit() {
        let used = ContainerUse { oom_killed: true, memory_limit_bytes: 64 * MI, ..ContainerUse::default() };
        assert_eq!(
            told(&used),
            ["oom-killed memory: was killed for its memory: it needs more than its limit of 64Mi -> 80Mi"]
        );
        let unlimited = ContainerUse { memory_limit_bytes: 0, memory_peak_bytes: 100 * MI, ..used.clone() };
        assert_eq!(
            told(&unlimited),
            ["oom-killed memory: was killed for its memory, of which it used 100Mi or more -> 128Mi"]
        );
        assert_eq!(told(&ContainerUse { memory_limit_bytes: 0, ..used })[0].rsplit(' ').next(), Some(""));
    }

    proptest! {
        #[test]
        fn a_suggestion_is_a_quantity_that_holds_the_peak(memory in 0..1_u64 << 50, milli in 0..1_u64 << 40) {
            let bytes = Quantity::parse(&memory_step(memory)).unwrap().units();
            prop_assert!(u64::try_from(bytes).unwrap() >= memory);
            let cpu = Quantity::parse(&cpu_step(milli)).unwrap().milli();
            prop_assert!(u64::try_from(cpu).unwrap() >= milli);
        }
    }
}
