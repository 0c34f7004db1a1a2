//! Budgets: the most that an example may use, and the least.

use super::super::Check;
use super::super::place::Place;
use super::super::raw::{RawBudget, RawQuantity};
use super::examples::written;
use crate::quantity::Quantity;

/// What no container stays below, in bytes: 1Mi. A budget below it has the wrong unit.
const LEAST_MEMORY: i64 = 1 << 20;

/// A `resources` check.
pub(super) fn budget(raw: &RawBudget, at: &Place<'_>) -> Check {
    let shares = [("min-cpu-efficiency", raw.min_cpu_efficiency), ("min-memory-efficiency", raw.min_memory_efficiency)];
    for (key, share) in shares {
        if let Some(share) = share.filter(|share| !(0.0..=1.0).contains(share)) {
            at.key(key).error(format!("{share}: expected a part of what is requested, from 0 to 1"));
        }
    }
    if raw.max_memory.is_none() && raw.max_cpu.is_none() && shares.iter().all(|(_, share)| share.is_none()) {
        at.error("limits nothing: expected max-memory, max-cpu, min-cpu-efficiency or min-memory-efficiency");
    }
    Check::Resources {
        max_memory: raw.max_memory.as_ref().and_then(|memory| amount(memory, Kind::Memory, &at.key("max-memory"))),
        max_cpu: raw.max_cpu.as_ref().and_then(|cpu| amount(cpu, Kind::Cpu, &at.key("max-cpu"))),
        min_cpu_efficiency: raw.min_cpu_efficiency,
        min_memory_efficiency: raw.min_memory_efficiency,
    }
}

/// What an amount is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cpu,
    Memory,
}

fn amount(raw: &RawQuantity, kind: Kind, at: &Place<'_>) -> Option<Quantity> {
    at.ok(read(&written(raw), kind))
}

/// The amount that a text writes.
fn read(text: &str, kind: Kind) -> Result<Quantity, String> {
    let asked = |meant: Option<String>| meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
    let Some(amount) = Quantity::parse(text).filter(|amount| !amount.is_negative()) else {
        let (expected, meant) = match kind {
            Kind::Cpu => ("CPUs, like 2 or 500m", meant_cpu(text)),
            Kind::Memory => ("bytes, like 512Mi or 4Gi", meant_memory(text)),
        };
        return Err(format!("`{text}` is not a quantity: expected {expected}{}", asked(meant)));
    };
    if kind == Kind::Memory && amount.units() < LEAST_MEMORY {
        return Err(format!(
            "{text} is {}, and no container takes so little{}",
            bytes(amount),
            asked(meant_memory(text))
        ));
    }
    Ok(amount)
}

/// An amount in bytes, parts of one included: `0.512 bytes`.
fn bytes(amount: Quantity) -> String {
    if amount.is_whole() {
        return crate::report::plural(usize::try_from(amount.units()).unwrap_or(usize::MAX), "byte");
    }
    let nano = amount.nano();
    let digits = format!("{:09}", nano % 1_000_000_000);
    format!("{}.{} bytes", nano / 1_000_000_000, digits.trim_end_matches('0'))
}

/// The number that a text begins with, and what follows it.
fn parts(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    number.parse::<f64>().is_ok_and(|number| number > 0.0).then_some((number, unit.trim()))
}

/// What an amount of memory was probably meant to be: `512m` is `512Mi`, `2GB` is `2Gi`, and a small number without a unit counts Gi.
fn meant_memory(text: &str) -> Option<String> {
    const SMALL: f64 = 64.0;
    let (number, unit) = parts(text)?;
    let unit = match unit.chars().next().map(|first| first.to_ascii_uppercase()) {
        None if number.parse::<f64>().is_ok_and(|number| number < SMALL) => 'G',
        None => 'M',
        Some(first) if "KMGT".contains(first) => first,
        Some(_) => return None,
    };
    let meant = format!("{number}{unit}i");
    Quantity::parse(&meant).filter(|amount| amount.units() >= LEAST_MEMORY).map(|_| meant)
}

/// What an amount of CPU was probably meant to be: `1 core` is `1`, `500 millicores` is `500m`.
fn meant_cpu(text: &str) -> Option<String> {
    let (number, unit) = parts(text)?;
    let unit = if unit.to_ascii_lowercase().starts_with('m') { "m" } else { "" };
    Some(format!("{number}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_of_memory_that_nothing_stays_below_is_refused() {
        for (text, message) in [
            ("512m", "512m is 0.512 bytes, and no container takes so little; did you mean 512Mi?"),
            ("2", "2 is 2 bytes, and no container takes so little; did you mean 2Gi?"),
            ("512", "512 is 512 bytes, and no container takes so little; did you mean 512Mi?"),
            ("8k", "8k is 8000 bytes, and no container takes so little"),
            ("0", "0 is 0 bytes, and no container takes so little"),
            ("2GB", "`2GB` is not a quantity: expected bytes, like 512Mi or 4Gi; did you mean 2Gi?"),
            ("512 mb", "`512 mb` is not a quantity: expected bytes, like 512Mi or 4Gi; did you mean 512Mi?"),
            ("-1Gi", "`-1Gi` is not a quantity: expected bytes, like 512Mi or 4Gi"),
            ("lots", "`lots` is not a quantity: expected bytes, like 512Mi or 4Gi"),
        ] {
            assert_eq!(read(text, Kind::Memory), Err(message.to_owned()));
        }
        for text in ["1Mi", "512Mi", "4Gi", "1e9", "2000000"] {
            assert!(read(text, Kind::Memory).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_budget_of_cpu_is_explained_in_cpus() {
        for (text, message) in [
            ("1 core", "`1 core` is not a quantity: expected CPUs, like 2 or 500m; did you mean 1?"),
            ("500 millicores", "`500 millicores` is not a quantity: expected CPUs, like 2 or 500m; did you mean 500m?"),
            ("much", "`much` is not a quantity: expected CPUs, like 2 or 500m"),
        ] {
            assert_eq!(read(text, Kind::Cpu), Err(message.to_owned()));
        }
        assert!(read("500m", Kind::Cpu).is_ok() && read("0", Kind::Cpu).is_ok());
    }
}
