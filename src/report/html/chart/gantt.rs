//! Where the time of a run went: a lane each for builds, clusters, operators and examples, all on one scale.

use super::super::look;
use super::super::text::{Html, Text};
use super::svg::{Drawing, share};
use crate::report::timeline::Bar;
use crate::report::words;

/// Most bars of a lane that are drawn, and of all lanes together; and most that are drawn above each other.
const MOST: usize = 240;
const ALL: usize = 2_000;
const DEEP: usize = 14;
/// Most lanes: four a version of ten versions, and the builds.
const LANES: usize = 41;
/// Pixels of a bar, and to the next below.
const BAR: u32 = 7;
const STEP: u32 = 9;
/// A bar is never narrower than this share of the chart, in percents, so that it can be seen.
const THIN: f64 = 0.15;

/// A lane with its chart.
pub(in crate::report::html) struct Lane {
    pub(in crate::report::html) name: Text,
    /// `12 bars, 2 min 3 s`.
    pub(in crate::report::html) told: Text,
    pub(in crate::report::html) chart: Html,
}

/// The whole chart; no lanes if nothing is known to have taken time.
pub(in crate::report::html) struct Gantt {
    pub(in crate::report::html) axis: Html,
    pub(in crate::report::html) lanes: Vec<Lane>,
}

/// The chart of bars, which are in the order of their lanes.
pub(in crate::report::html) fn gantt(bars: &[Bar], run_ms: u64) -> Gantt {
    let end = bars.iter().map(|bar| bar.start_ms.saturating_add(bar.length_ms)).max().unwrap_or(0);
    let whole = end.max(run_ms).max(1);
    let ticks = ticks(whole);
    let lanes: Vec<_> = bars.chunk_by(|a, b| a.lane == b.lane).take(LANES).collect();
    let most = MOST.min(ALL / lanes.len().max(1));
    let lanes = lanes.into_iter().map(|bars| lane(bars, most, whole, &ticks)).collect();
    let mut axis = Drawing::wide("axis", 18, "");
    for tick in &ticks {
        let x = share(*tick, whole) * 100.0;
        let anchor = if *tick == 0 {
            "start"
        } else if x > 97.0 {
            "end"
        } else {
            "middle"
        };
        axis.text(x, 12, anchor, &look::tick(*tick));
    }
    Gantt { axis: axis.done(), lanes }
}

fn lane(bars: &[Bar], most: usize, whole: u64, ticks: &[u64]) -> Lane {
    let name = bars[0].lane.to_string();
    let total = bars.iter().fold(0_u64, |sum, bar| sum.saturating_add(bar.length_ms));
    let mut shown: Vec<_> = bars.iter().collect();
    if shown.len() > most {
        shown.sort_by_key(|bar| std::cmp::Reverse(bar.length_ms));
        shown.truncate(most);
        shown.sort_by_key(|bar| bar.start_ms);
    }
    let placed = placed(&shown);
    let depth = placed.iter().map(|(depth, _)| depth + 1).max().unwrap_or(1);
    let count = words::plural(bars.len(), unit(&bars[0]));
    let mut drawing = Drawing::wide("lane", depth * STEP + 4, &format!("{name}: {count}, {}", words::duration(total)));
    for tick in ticks {
        drawing.rule("tick", share(*tick, whole) * 100.0);
    }
    for (depth, bar) in placed {
        let x = share(bar.start_ms, whole) * 100.0;
        let width = (share(bar.length_ms, whole) * 100.0).clamp(THIN, (100.0 - x).max(THIN));
        let class = bar.outcome.map_or("n", look::letter);
        let outcome = bar.outcome.map(|outcome| format!("{} in ", words::past(outcome))).unwrap_or_default();
        let title = format!("{}: {outcome}{}", bar.label, words::duration(bar.length_ms));
        drawing.bar(class, x, width, (depth * STEP + 3, BAR), &title);
    }
    let left_out = bars.len().saturating_sub(most);
    let left_out = if left_out > 0 { format!(", the {left_out} shortest are not drawn") } else { String::new() };
    let told = if bars.len() == 1 {
        words::duration(total)
    } else {
        format!("{count}, {} in all{left_out}", words::duration(total))
    };
    Lane { name: Text::new(&name), told: Text::new(&told), chart: drawing.done() }
}

fn unit(bar: &Bar) -> &'static str {
    use crate::report::timeline::Lane as Of;
    match bar.lane {
        Of::Build => "image",
        Of::Cluster(_) => "cluster",
        Of::Operator(_) => "deployment",
        Of::Examples(_) => "attempt",
    }
}

/// Each bar with its depth: the first at which nothing is in its way, bars being in the order of their starts. What would be too deep is
/// drawn over what is at the bottom.
fn placed<'a>(bars: &[&'a Bar]) -> Vec<(u32, &'a Bar)> {
    let mut ends: Vec<u64> = Vec::new();
    let place = |bar: &&'a Bar| {
        let free = ends.iter().position(|end| *end <= bar.start_ms);
        let depth = free.unwrap_or(ends.len()).min(DEEP - 1);
        let end = bar.start_ms.saturating_add(bar.length_ms);
        match ends.get_mut(depth) {
            Some(last) => *last = end.max(*last),
            None => ends.push(end),
        }
        (u32::try_from(depth).unwrap_or(0), *bar)
    };
    bars.iter().map(place).collect()
}

/// The moments that the axis names: four to nine of them, at whole seconds, minutes, hours or days.
pub(super) fn ticks(whole: u64) -> Vec<u64> {
    const SECOND: u64 = 1_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const STEPS: [u64; 24] = [
        1,
        5,
        20,
        100,
        200,
        SECOND / 2,
        SECOND,
        2 * SECOND,
        5 * SECOND,
        10 * SECOND,
        15 * SECOND,
        30 * SECOND,
        MINUTE,
        2 * MINUTE,
        5 * MINUTE,
        10 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        HOUR,
        2 * HOUR,
        6 * HOUR,
        24 * HOUR,
        72 * HOUR,
        240 * HOUR,
    ];
    let step = STEPS.into_iter().find(|step| whole / step <= 8).unwrap_or(whole.max(8) / 8);
    (0..=whole / step).take(10).map(|count| count * step).collect()
}
