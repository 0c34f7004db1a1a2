//! The parts of a score.

use super::{HALVED, Known, Seen, counts};
use crate::diagnostic::code;
use crate::model::{Outcome, Tier};
use crate::report::{Part, Row, SLOW, SLOW_MS, plural, time_in_words};

/// What a score is made of: a part's name, and the points that it can have, 100 together.
///
/// | Part | Its share of the points |
/// |---|---|
/// | `pass-rate` | the weighted share of runs that passed, at once or when tried again |
/// | `flake-rate` | 1 where no run was flaky, 0 where a weighted share of [`MOST_FLAKY`] was, in proportion between |
/// | `duration` | of the newest run that passed, against the median of those before it: 1 up to [`QUICK`] times (or [`SLOW_MS`] more), 0 from [`SLOW`] times on |
/// | `efficiency` | of what is requested, the part of CPU that is used on average and of memory at the peak: 1 from [`EFFICIENT`] on; the mean of both |
/// | `freshness` | since it was last taken to a cluster in full or as a periodic example: 1 and 0 up to and from the ages of [`ages`], the better of both |
/// | `pinning` | 1 if every image has a tag that stays (no `EV302`), else 0 |
pub const PARTS: [(&str, f64); 6] = [
    ("pass-rate", 50.0),
    ("flake-rate", 15.0),
    ("duration", 10.0),
    ("efficiency", 10.0),
    ("freshness", 10.0),
    ("pinning", 5.0),
];

/// From which share of flaky runs on there are no points. With a half a flaky run still costs less than a failed one.
const MOST_FLAKY: f64 = 0.5;
/// The fewest passed runs that a median stands on.
const FOR_MEDIAN: usize = 5;
/// Up to how many times its median a duration is as usual.
const QUICK: f64 = 1.25;
/// From which part of what is requested on that much is well requested.
const EFFICIENT: f64 = 0.5;

/// Up to which age, in days, a run is fresh, and from which on it says nothing any more. A periodic one is due but now and then.
const fn ages(tier: Tier) -> (f64, f64) {
    match tier {
        Tier::Periodic => (14.0, 60.0),
        Tier::Basic | Tier::Full => (7.0, 30.0),
    }
}

/// The weighted shares of runs that passed (also when they were tried again), and that passed only then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rates {
    pub(super) passed: f64,
    pub(super) flaky: f64,
}

/// The rates of runs, the oldest first; `None` without any.
pub(super) fn rates(runs: &[Seen<'_>]) -> Option<Rates> {
    let fading = (-1.0 / f64::from(HALVED)).exp2();
    let (mut weight, mut all, mut passed, mut flaky) = (1.0, 0.0, 0.0, 0.0);
    for run in runs.iter().rev() {
        all += weight;
        passed += if run.is_good() { weight } else { 0.0 };
        flaky += if run.outcome == Outcome::Flaky { weight } else { 0.0 };
        weight *= fading;
    }
    (all > 0.0).then(|| Rates { passed: passed / all, flaky: flaky / all })
}

/// The parts that are known, scaled so that they could have 100 points together.
pub(super) fn parts(row: &Row, known: &Known<'_>) -> Vec<Part> {
    let shares = [
        pass_rate(known),
        flake_rate(known),
        duration(known),
        efficiency(row, known),
        freshness(known),
        Some(pinning(row)),
    ];
    let of: f64 = PARTS.iter().zip(&shares).filter(|(_, share)| share.is_some()).map(|((_, points), _)| points).sum();
    let part = |((name, points), share): (&(&str, f64), Option<(f64, String)>)| {
        let (share, why) = share?;
        let scaled = points * 100.0 / of;
        Some(Part {
            name: (*name).to_owned(),
            points: rounded(share.clamp(0.0, 1.0) * scaled),
            of: rounded(scaled),
            why,
        })
    };
    PARTS.iter().zip(shares).filter_map(part).collect()
}

/// The points of parts together, from 0 to 100; `None` without any.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100")]
pub(super) fn total(parts: &[Part]) -> Option<u8> {
    let points: f64 = parts.iter().map(|part| part.points).sum();
    (!parts.is_empty()).then(|| points.round().clamp(0.0, 100.0) as u8)
}

fn pass_rate(known: &Known<'_>) -> Option<(f64, String)> {
    let rates = rates(&known.runs)?;
    let good = known.runs.iter().filter(|run| run.is_good()).count();
    let all = plural(known.runs.len(), "run");
    Some((rates.passed, format!("{good} of {all} passed, {} by weight", percent(rates.passed))))
}

fn flake_rate(known: &Known<'_>) -> Option<(f64, String)> {
    let rates = rates(&known.runs)?;
    let flaky = known.runs.iter().filter(|run| run.outcome == Outcome::Flaky).count();
    let why = match flaky {
        0 => "no run was flaky".to_owned(),
        _ => format!("{flaky} of {} flaky, {} by weight", plural(known.runs.len(), "run"), percent(rates.flaky)),
    };
    Some((1.0 - rates.flaky / MOST_FLAKY, why))
}

fn duration(known: &Known<'_>) -> Option<(f64, String)> {
    let passed = known.passed();
    let (newest, before) = passed.split_last()?;
    let median = median(before)?;
    let times = ratio(*newest, median);
    let as_usual = newest.saturating_sub(median) < SLOW_MS;
    let share = if as_usual { 1.0 } else { falling(times, QUICK, SLOW) };
    Some((share, format!("{}, its median is {}", time_in_words(*newest), time_in_words(median))))
}

fn efficiency(row: &Row, known: &Known<'_>) -> Option<(f64, String)> {
    let own =
        row.resources.as_ref().filter(|_| known.is_counted).map(|used| [used.cpu_efficiency, used.memory_efficiency]);
    let earlier = known
        .earlier
        .iter()
        .rev()
        .filter(|record| counts(record.outcome))
        .map(|record| [record.cpu_efficiency, record.memory_efficiency]);
    let found = own.into_iter().chain(earlier).find(|both| both.iter().any(Option::is_some))?;
    let used = |part: Option<f64>| part.filter(|part| part.is_finite()).map(|part| part.max(0.0));
    let [cpu, memory] = found.map(used);
    let share = mean([cpu, memory].into_iter().flatten().map(|used| (used / EFFICIENT).min(1.0)))?;
    let told = [("CPU", cpu), ("memory", memory)];
    let told = told.iter().filter_map(|(what, used)| Some(format!("{} of the {what}", percent((*used)?))));
    Some((share, format!("uses {} that it requests", told.collect::<Vec<_>>().join(" and "))))
}

fn freshness(known: &Known<'_>) -> Option<(f64, String)> {
    let share = |(tier, hours): &(Tier, f64)| {
        let (fresh, stale) = ages(*tier);
        (falling(hours / 24.0, fresh, stale), *hours)
    };
    let best = |a: (f64, f64), b: (f64, f64)| if b.0 > a.0 || (b.0 >= a.0 && b.1 < a.1) { b } else { a };
    let (share, hours) = known.age.iter().map(share).reduce(best)?;
    let days = (hours / 24.0).floor();
    let why = match days {
        ..1.0 => "taken to a cluster within the last day".to_owned(),
        1.0 => "last taken to a cluster 1 day ago".to_owned(),
        _ => format!("last taken to a cluster {days} days ago"),
    };
    Some((share, why))
}

fn pinning(row: &Row) -> (f64, String) {
    let loose = row.diagnostics.iter().filter(|finding| finding.code == code::IMAGE_UNPINNED).count();
    match loose {
        0 => (1.0, "every image has a tag that stays".to_owned()),
        _ => (0.0, format!("{} without a tag that stays", plural(loose, "image"))),
    }
}

/// 1 up to `full`, 0 from `none` on, in proportion between.
fn falling(value: f64, full: f64, none: f64) -> f64 {
    ((none - value) / (none - full)).clamp(0.0, 1.0)
}

/// The middle one of at least [`FOR_MEDIAN`] durations, of two the lower; `None` if it is 0, by which nothing can be measured.
pub(super) fn median(durations: &[u64]) -> Option<u64> {
    let mut sorted = durations.to_vec();
    let middle = sorted.len().checked_sub(1).filter(|_| sorted.len() >= FOR_MEDIAN)? / 2;
    let (_, median, _) = sorted.select_nth_unstable(middle);
    Some(*median).filter(|median| *median > 0)
}

/// How many times `median` a duration is.
#[expect(clippy::cast_precision_loss, reason = "milliseconds; beyond 2^53 of them nobody counts")]
pub(super) fn ratio(duration: u64, median: u64) -> f64 {
    duration as f64 / median as f64
}

/// The mean; `None` of nothing.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// A number as the report has it, with two places.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
