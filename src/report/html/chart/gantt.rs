//! Where the time of a run went: a lane each for builds, clusters, operators and examples, all on one scale.

use super::super::look;
use super::super::text::{Html, Text, escaped};
use super::svg::{Drawing, share};
use crate::report::timeline::Bar;
use crate::report::words;

/// Most bars of a lane that are drawn, and most bytes of the bars of all lanes; and most that are drawn above each other.
const MOST: usize = 240;
const BYTES: usize = 240_000;
const DEEP: usize = 14;
/// Most lanes: three a version of thirty versions, and the builds.
const LANES: usize = 91;
/// Most characters of a lane's name, and of a bar's.
const NAME: usize = 60;
const LABEL: usize = 100;
/// Bytes of a bar besides what is said of it.
const RECT: usize = 110;
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
    /// How many lanes are not drawn.
    pub(in crate::report::html) left_out: usize,
}

/// The chart of bars, which are in the order of their lanes.
pub(in crate::report::html) fn gantt(bars: &[Bar], run_ms: u64) -> Gantt {
    let end = bars.iter().map(|bar| bar.start_ms.saturating_add(bar.length_ms)).max().unwrap_or(0);
    let whole = end.max(run_ms).max(1);
    let ticks = ticks(whole);
    let all: Vec<_> = bars.chunk_by(|a, b| a.lane == b.lane).collect();
    let lanes: Vec<_> = all.iter().take(LANES).map(|bars| longest(bars)).collect();
    let costs: Vec<usize> = lanes.iter().map(|bars| bars.iter().map(|bar| cost(bar)).sum()).collect();
    let rooms = rooms(&costs, BYTES);
    let drawn =
        all.iter().zip(lanes).zip(rooms).map(|((all, longest), room)| lane(all, longest, room, (whole, &ticks)));
    let lanes: Vec<_> = drawn.collect();
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
    Gantt { axis: axis.done(), left_out: all.len() - lanes.len(), lanes }
}

/// The longest bars of a lane, as many as may be drawn, the longest first.
fn longest(bars: &[Bar]) -> Vec<&Bar> {
    let mut longest: Vec<_> = bars.iter().collect();
    longest.sort_by_key(|bar| std::cmp::Reverse(bar.length_ms));
    longest.truncate(MOST);
    longest
}

/// What is said of a bar.
fn title(bar: &Bar) -> String {
    let outcome = bar.outcome.map(|outcome| format!("{} in ", words::past(outcome))).unwrap_or_default();
    format!("{}: {outcome}{}", Text::clipped(&bar.label, LABEL), words::duration(bar.length_ms))
}

/// The bytes of a bar on the page.
fn cost(bar: &Bar) -> usize {
    RECT + escaped(&title(bar)).len()
}

/// How much of `all` each gets that would like so much: the same for all, but what one does not need is there for the others.
fn rooms(costs: &[usize], all: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..costs.len()).collect();
    order.sort_by_key(|place| costs[*place]);
    let (mut rooms, mut spare) = (vec![0; costs.len()], all);
    for (done, place) in order.into_iter().enumerate() {
        rooms[place] = costs[place].min(spare / (costs.len() - done));
        spare -= rooms[place];
    }
    rooms
}

/// A lane of all these bars, of which the longest are drawn that fit into `room` bytes.
fn lane(bars: &[Bar], longest: Vec<&Bar>, room: usize, (whole, ticks): (u64, &[u64])) -> Lane {
    let name = Text::clipped(&bars[0].lane.to_string(), NAME);
    let total = bars.iter().fold(0_u64, |sum, bar| sum.saturating_add(bar.length_ms));
    let mut spare = room;
    let fits = |bar: &&Bar| spare.checked_sub(cost(bar)).map(|left| spare = left).is_some();
    let mut shown: Vec<_> = longest.into_iter().take_while(fits).collect();
    shown.sort_by_key(|bar| bar.start_ms);
    let left_out = bars.len() - shown.len();
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
        drawing.bar(class, x, width, (depth * STEP + 3, BAR), &title(bar));
    }
    let left_out = if left_out > 0 { format!(", the {left_out} shortest are not drawn") } else { String::new() };
    let told = if bars.len() == 1 {
        words::duration(total)
    } else {
        format!("{count}, {} in all{left_out}", words::duration(total))
    };
    Lane { name, told: Text::new(&told), chart: drawing.done() }
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
