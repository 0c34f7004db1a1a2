//! What one container used over time: the sums that averages need, peaks, and points for a curve.

use std::collections::VecDeque;
use std::time::Duration;

use super::summary::Sample;
use crate::report::{CURVE, Curve};

/// The most points that are kept; when there are more, two become one.
const POINTS: usize = 240;
/// The distances between samples that the median is taken of: the newest.
const DISTANCES: usize = 64;
/// Over a shorter time no peak is taken from the difference of two counters: an answer may be late by up to 2 seconds, and clocks tell
/// whole ones.
const STEADY: Duration = Duration::from_secs(5);
/// Node clocks tell whole seconds, so that a distance of theirs may be off by as much: 10 seconds may have been 10.9.
const GRAIN: Duration = Duration::from_secs(1);

/// What one container used over time.
#[derive(Clone, Debug, Default)]
pub struct Series {
    last: Option<(Duration, Sample)>,
    /// When the last sample was read that told both CPU and memory, and its memory.
    whole: Option<(Duration, u64)>,
    /// How many told both, and how many one of them.
    samples: u32,
    halves: u32,
    /// The run whose counter is read at present.
    run: Option<Run>,
    /// Core-nanoseconds that were used between the first and the last sample of each run before, and the time between them.
    used: u128,
    used_over: Duration,
    /// The sum and the number of the averages that the source told.
    told: (u128, u32),
    /// Byte-milliseconds, and the time that they stand for.
    held: u128,
    held_over: u128,
    cpu_peak: u64,
    memory_peak: u64,
    now: (u64, u64),
    points: Vec<Point>,
    distances: VecDeque<Duration>,
}

/// Samples of one counter: a container that is started anew has a new one.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: (Duration, Sample),
    last: (Duration, Sample),
    /// From where the next rate is taken.
    mark: (Duration, Sample),
}

/// What was used at one time; one that stands for several has the most of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Since the attempt started.
    pub at: Duration,
    /// Thousandths of a core.
    pub cpu_milli: u64,
    /// Bytes.
    pub memory_bytes: u64,
}

impl Series {
    /// Takes a sample that was read at this moment; whether it is a new one, and not the last one told again. One that tells CPU or
    /// memory alone counts for peaks, and for nothing that needs to know that there was no more.
    pub fn take(&mut self, at: Duration, sample: Sample) -> bool {
        let is_again = |last: Sample| sample == last || sample.time < last.time || is_told_by_another(last, sample);
        let is_old = self.last.is_some_and(|(_, last)| is_again(last));
        if is_old || (sample.cpu.is_none() && sample.cpu_total.is_none() && sample.memory.is_none()) {
            return false;
        }
        let told = sample.cpu.map(milli);
        if let Some(cpu) = sample.cpu {
            self.told = (self.told.0 + u128::from(cpu), self.told.1 + 1);
        }
        let (rate, is_new) = self.count(at, sample);
        // The source knows to the nanosecond between what its average is; a placeholder for one is 0.
        let cpu = match (told.filter(|told| *told > 0), rate) {
            (Some(told), _) => told,
            (None, Some(rate)) => rate,
            (None, None) if told.is_some() || is_new => 0,
            (None, None) => self.now.0,
        };
        let memory = sample.memory.unwrap_or(self.now.1);
        self.cpu_peak = self.cpu_peak.max(cpu);
        self.memory_peak = self.memory_peak.max(memory);
        self.now = (cpu, memory);
        self.last = Some((at, sample));
        if sample.is_whole() {
            self.keep(at, cpu, memory);
        } else {
            self.halves = self.halves.saturating_add(1);
        }
        true
    }

    /// Keeps what a sample that is whole says.
    fn keep(&mut self, at: Duration, cpu: u64, memory: u64) {
        if let Some((before, held)) = self.whole {
            let over = at.saturating_sub(before);
            self.held += u128::midpoint(held.into(), memory.into()) * over.as_millis();
            self.held_over += over.as_millis();
            self.distances.truncate(DISTANCES - 1);
            self.distances.push_front(over);
        }
        self.whole = Some((at, memory));
        self.samples = self.samples.saturating_add(1);
        self.points.push(Point { at, cpu_milli: cpu, memory_bytes: memory });
        if self.points.len() > POINTS {
            self.points = thinned(&self.points, POINTS / 2);
        }
    }

    /// Reads the counter: what was used at least since the last time that it was asked this, in thousandths of a core, if that is long
    /// enough ago; and whether the counter is a new one.
    fn count(&mut self, at: Duration, sample: Sample) -> (Option<u64>, bool) {
        let Some(total) = sample.cpu_total else { return (None, false) };
        let now = (at, sample);
        let goes_on = |run: &&mut Run| {
            let last = run.last.1;
            last.started == sample.started && last.cpu_total.is_some_and(|last| last <= total)
        };
        let Some(run) = self.run.as_mut().filter(goes_on) else {
            (self.used, self.used_over) = self.counted();
            self.run = Some(Run { first: now, last: now, mark: now });
            return (None, true);
        };
        run.last = now;
        let over = apart(run.mark, now);
        if over < STEADY {
            return (None, false);
        }
        let rate = rate(used(run.mark, now), over + GRAIN);
        run.mark = now;
        (Some(rate), false)
    }

    /// Core-nanoseconds that were used between the first and the last sample of each run, and the time between them.
    fn counted(&self) -> (u128, Duration) {
        let of_run = self.run.map(|run| (used(run.first, run.last), apart(run.first, run.last)));
        let (used, over) = of_run.filter(|(_, over)| !over.is_zero()).unwrap_or_default();
        (self.used + used, self.used_over.saturating_add(over))
    }

    /// How many samples there were that told both CPU and memory.
    pub fn samples(&self) -> u32 {
        self.samples
    }

    /// How many told one of them alone.
    pub fn halves(&self) -> u32 {
        self.halves
    }

    /// Thousandths of a core: what was used between the first sample and the last one (of each run), as far as clocks tell, else the
    /// mean of what the source told, else what a single sample says of the time since the start.
    pub fn cpu_average(&self) -> u64 {
        let (used, over) = self.counted();
        if !over.is_zero() {
            let average = rate(used, over);
            // What is more than each average that was told, and need not be, is the grain of the clock.
            return if self.told.0 > 0 { average.min(self.cpu_peak.max(rate(used, over + GRAIN))) } else { average };
        }
        if self.told.1 > 0 {
            return milli(u64::try_from(self.told.0 / u128::from(self.told.1)).unwrap_or(u64::MAX));
        }
        let since_start = self.run.and_then(|Run { last: (_, last), .. }| {
            let lived = last.time?.duration_since(last.started?).max(jiff::SignedDuration::from_secs(1));
            Some(u128::from(last.cpu_total?) * 1000 / u128::try_from(lived.as_nanos()).ok()?)
        });
        since_start.map_or(0, |rate| u64::try_from(rate).unwrap_or(u64::MAX))
    }

    /// Thousandths of a core: the largest average that the source told, or what the counter says at least; never less than the
    /// average.
    pub fn cpu_peak(&self) -> u64 {
        self.cpu_peak.max(self.cpu_average())
    }

    /// Bytes, weighted by time.
    pub fn memory_average(&self) -> u64 {
        let mean = self.held.checked_div(self.held_over);
        mean.map_or(self.now.1, |mean| u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// Bytes.
    pub fn memory_peak(&self) -> u64 {
        self.memory_peak
    }

    /// What it uses by its last sample: thousandths of a core, and bytes.
    pub fn now(&self) -> (u64, u64) {
        self.now
    }

    /// The distances between its samples.
    pub fn distances(&self) -> impl Iterator<Item = Duration> {
        self.distances.iter().copied()
    }

    /// Its points, the oldest first.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Its curve, of at most [`CURVE`] points; `None` with fewer than two samples.
    pub fn curve(&self) -> Option<Curve> {
        let points = thinned(&self.points, CURVE);
        let curve = Curve {
            at_ms: points.iter().map(|point| u64::try_from(point.at.as_millis()).unwrap_or(u64::MAX)).collect(),
            cpu_milli: points.iter().map(|point| point.cpu_milli).collect(),
            memory_bytes: points.iter().map(|point| point.memory_bytes).collect(),
        };
        (points.len() > 1).then_some(curve)
    }
}

/// Whether a sample is the same measurement as the last one, told by the metrics server, which passes on what the kubelet measured and
/// knows no counter, or by the kubelet after it.
fn is_told_by_another(last: Sample, sample: Sample) -> bool {
    let is_same = sample.time.is_some() && sample.time == last.time && last.is_whole();
    is_same && sample.cpu_total.is_some() != last.cpu_total.is_some()
}

/// The time between two samples. Over a short one ours is finer, if the node's clock agrees with it (as far as that goes); else a
/// kubelet told what it had taken some time before, and the node's clock counts.
fn apart((read_last, last): (Duration, Sample), (read, sample): (Duration, Sample)) -> Duration {
    let by_us = read.saturating_sub(read_last);
    let by_node = last.time.zip(sample.time).and_then(|(last, time)| time.duration_since(last).try_into().ok());
    match by_node {
        Some(by_node) if by_node >= STEADY || by_us.abs_diff(by_node) > GRAIN => by_node,
        _ => by_us,
    }
}

/// Core-nanoseconds that were used between two samples of one run.
fn used((_, last): (Duration, Sample), (_, sample): (Duration, Sample)) -> u128 {
    sample.cpu_total.unwrap_or(0).saturating_sub(last.cpu_total.unwrap_or(0)).into()
}

/// Core-nanoseconds over some time, in thousandths of a core.
fn rate(used: u128, over: Duration) -> u64 {
    let rate = used.saturating_mul(1000).checked_div(over.as_nanos()).unwrap_or(0);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// As few points as asked for, each with the most of those that it stands for, at the time of the most memory.
fn thinned(points: &[Point], most: usize) -> Vec<Point> {
    let size = points.len().div_ceil(most.max(1)).max(1);
    let highest = |points: &[Point]| {
        // Of equal ones the last: what is held is held until then.
        let by_memory = points.iter().max_by_key(|point| point.memory_bytes)?;
        let cpu_milli = points.iter().map(|point| point.cpu_milli).max()?;
        Some(Point { cpu_milli, ..*by_memory })
    };
    points.chunks(size).filter_map(highest).collect()
}

/// Nanocores in thousandths of a core, rounded up.
fn milli(nanocores: u64) -> u64 {
    nanocores.div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A sample that was taken so many seconds after the start, of a run that began `started` seconds after it.
    fn sample(at: i64, started: i64, cpu_total: u64, memory: u64) -> Sample {
        let moment = |second| Some(Timestamp::from_second(1_800_000_000 + second).unwrap());
        Sample {
            time: moment(at),
            started: moment(started),
            cpu: None,
            cpu_total: Some(cpu_total),
            memory: Some(memory),
        }
    }

    fn taken(samples: &[(u64, Sample)]) -> Series {
        let mut series = Series::default();
        for (at, sample) in samples {
            series.take(Duration::from_secs(*at), *sample);
        }
        series
    }

    #[test]
    fn the_average_of_cpu_is_what_the_counter_says_and_the_peak_what_its_steepest_part_says_at_least() {
        let series = taken(&[
            (10, sample(10, 0, 2 * SECOND, 100)),
            (20, sample(20, 0, 3 * SECOND, 300)),
            (30, sample(30, 0, 9 * SECOND, 200)),
        ]);
        assert_eq!((series.samples(), series.cpu_average(), series.cpu_peak()), (3, 350, 545));
        assert_eq!((series.memory_average(), series.memory_peak()), (225, 300));
        let curve = series.curve().unwrap();
        assert_eq!(curve.at_ms, [10_000, 20_000, 30_000]);
        assert_eq!((curve.cpu_milli, curve.memory_bytes), (vec![0, 90, 545], vec![100, 300, 200]));
        assert_eq!(series.distances().collect::<Vec<_>>(), [Duration::from_secs(10); 2]);
    }

    #[test]
    fn a_sample_that_is_told_again_counts_once() {
        let same = sample(10, 0, SECOND, 5);
        let series = taken(&[(11, same), (16, same), (21, sample(20, 0, 2 * SECOND, 5)), (26, sample(10, 0, 0, 1))]);
        assert_eq!((series.samples(), series.cpu_average()), (2, 100));
    }

    #[test]
    fn one_measurement_that_two_sources_tell_counts_once() {
        let by_kubelet = |at| Sample { cpu: Some(1), ..sample(at, 0, SECOND, 5) };
        let by_server = |at| Sample { started: None, cpu_total: None, ..by_kubelet(at) };
        let told = [
            (11, by_kubelet(10)),
            (12, by_server(10)),
            (13, by_kubelet(10)),
            (21, by_server(20)),
            (22, by_kubelet(20)),
        ];
        assert_eq!(taken(&told).samples(), 2);
    }

    #[test]
    fn a_sample_that_tells_cpu_or_memory_alone_does_not_count() {
        let memory_alone = |at, memory| Sample { cpu_total: None, ..sample(at, 0, 0, memory) };
        let series = taken(&[(10, memory_alone(10, 7)), (20, memory_alone(20, 9)), (30, memory_alone(30, 8))]);
        assert_eq!((series.samples(), series.halves(), series.memory_peak(), series.curve()), (0, 3, 9, None));
        // What was told is not lost, and what was not is no zero between.
        let cpu_alone = |at, total| Sample { memory: None, ..sample(at, 0, total, 0) };
        let series = taken(&[
            (10, cpu_alone(10, 0)),
            (20, sample(20, 0, SECOND, 100)),
            (30, cpu_alone(30, 2 * SECOND)),
            (40, sample(40, 0, 3 * SECOND, 100)),
        ]);
        assert_eq!((series.samples(), series.cpu_average(), series.memory_average()), (2, 100, 100));
        assert_eq!(series.distances().collect::<Vec<_>>(), [Duration::from_secs(20)]);
    }

    #[test]
    fn a_container_that_starts_anew_is_not_charged_for_the_time_between() {
        let series = taken(&[
            (10, sample(10, 0, 5 * SECOND, 1)),
            (20, sample(20, 0, 6 * SECOND, 1)),
            (30, sample(30, 25, 4 * SECOND, 1)),
            (40, sample(40, 25, 5 * SECOND, 1)),
            // The counter alone shows it.
            (50, sample(50, 25, SECOND, 1)),
        ]);
        assert_eq!((series.samples(), series.cpu_average(), series.cpu_peak()), (5, 100, 100));
    }

    #[test]
    fn without_a_counter_the_told_averages_count() {
        let told = |cpu| Sample { cpu: Some(cpu), cpu_total: None, ..sample(0, 0, 0, 7) };
        let later = Sample { time: sample(5, 0, 0, 0).time, ..told(300_000_000) };
        let series = taken(&[(1, told(100_000_000)), (6, later)]);
        assert_eq!((series.cpu_average(), series.cpu_peak(), series.samples()), (200, 300, 2));
        assert_eq!(taken(&[(1, told(1))]).curve(), None);
        assert_eq!(taken(&[(10, sample(10, 0, 5 * SECOND, 1))]).cpu_average(), 500);
        assert_eq!(Series::default().cpu_average(), 0);
    }

    #[test]
    fn whole_seconds_of_the_node_do_not_blur_what_our_clock_tells() {
        // 1.9 seconds apart, which the node tells as 1.
        let (first, second) = (sample(10, 0, 0, 1), sample(11, 0, 1_900_000_000, 1));
        let mut series = Series::default();
        series.take(Duration::from_secs(10), first);
        series.take(Duration::from_millis(11_900), second);
        assert_eq!(series.cpu_average(), 1000);
        // Read 2 seconds apart, taken 10 apart.
        let series = taken(&[(10, sample(1, 0, 0, 1)), (12, sample(11, 0, 5 * SECOND, 1))]);
        assert_eq!(series.cpu_average(), 500);
    }

    #[test]
    fn who_is_held_at_one_core_is_not_told_to_use_more_by_a_clock_of_whole_seconds() {
        // Taken every 10.9 seconds, by a clock that tells 10 of the first: all in all 10.9 core-seconds each.
        let told = |at, total, cpu| Sample { cpu: Some(cpu), ..sample(at, 0, total, 1) };
        let read = |cpu: u64| {
            let totals = [(0, 0), (10, 10_900_000_000), (21, 21_800_000_000), (32, 32_700_000_000)];
            let mut series = Series::default();
            let mut most = 0;
            for (at, total) in totals {
                series.take(Duration::from_secs(at), told(i64::try_from(at).unwrap(), total, cpu));
                most = most.max(series.now().0);
            }
            (most, series.cpu_peak(), series.cpu_average())
        };
        // The source's own average is exact; where it is a placeholder, the counter says what it was at least.
        assert_eq!(read(1_000_000_000), (1000, 1000, 1000));
        let (most, ..) = read(0);
        assert!((900..=1000).contains(&most), "{most}");
    }

    #[test]
    fn an_answer_that_was_late_doubles_no_rate() {
        // A core's worth, told every second; the answer of the second 2 came a second late, and the next in time.
        let reads = [(0, 0), (1_000, 1), (2_900, 2), (3_100, 3), (4_000, 4), (5_000, 5), (6_100, 6)];
        let mut series = Series::default();
        let mut most = 0;
        for (at, second) in reads {
            let total = u64::try_from(second).unwrap() * SECOND;
            series.take(Duration::from_millis(at), Sample { time: None, ..sample(second, 0, total, 1) });
            most = most.max(series.now().0);
        }
        // From the seconds 0 to 5 by our clock.
        assert_eq!((most, series.samples()), (833, 7));
    }

    #[test]
    fn a_long_series_is_thinned_out_and_keeps_its_peaks() {
        let mut series = Series::default();
        for second in 0..10_000_i64 {
            let memory = if second == 7_777 { 1_000_000 } else { 1_000 };
            let at = Duration::from_secs(u64::try_from(second).unwrap());
            series.take(at, sample(second, 0, u64::try_from(second).unwrap() * SECOND / 4, memory));
        }
        assert_eq!((series.samples(), series.cpu_average(), series.memory_peak()), (10_000, 250, 1_000_000));
        assert!(series.points().len() <= POINTS);
        let curve = series.curve().unwrap();
        assert!(curve.at_ms.len() <= CURVE && curve.at_ms.is_sorted());
        let peak = curve.memory_bytes.iter().position(|memory| *memory == 1_000_000).unwrap();
        assert_eq!(curve.at_ms[peak], 7_777_000);
    }

    proptest! {
        #[test]
        fn no_samples_make_it_panic_and_no_average_is_above_its_peak(
            samples in prop::collection::vec((any::<u32>(), any::<i32>(), any::<Option<u64>>(), any::<Option<u64>>(), any::<Option<u64>>()), 0..300)
        ) {
            let mut series = Series::default();
            for (at, time, cpu, cpu_total, memory) in samples {
                let time = Timestamp::from_second(time.into()).ok();
                series.take(Duration::from_millis(at.into()), Sample { time, started: None, cpu, cpu_total, memory });
            }
            prop_assert!(series.cpu_average() <= series.cpu_peak());
            prop_assert!(series.memory_average() <= series.memory_peak());
            prop_assert!(series.points().len() <= POINTS);
        }
    }
}
