//! What values before and after come to. Pure.

use super::Values;
use super::read::{Reading, pod_of};

/// How far a value may be from what it should equal, in parts of that: a decimal fraction is not exact in binary.
const TOLERANCE: f64 = 1e-9;
/// From here on numbers are written with an exponent, and below this.
const LARGE: f64 = 1e15;
const SMALL: f64 = 1e-6;

/// What a check expects.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Bounds {
    /// The value is at least, at most, exactly this.
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) equals: Option<f64>,
    /// It rose by at least, at most this.
    pub(super) increase: Option<f64>,
    pub(super) max_increase: Option<f64>,
}

/// A reason, and what was expected.
type Broken = (&'static str, String);

impl Bounds {
    /// Whether there has to be a value from before.
    pub(super) fn compares(&self) -> bool {
        self.increase.is_some() || self.max_increase.is_some()
    }

    /// Whether a value may be too high: then one that holds now says nothing of the next moment.
    pub(super) fn has_upper(&self) -> bool {
        self.max.is_some() || self.max_increase.is_some() || self.equals.is_some()
    }

    /// Whether a value may be too low, and still come.
    pub(super) fn has_lower(&self) -> bool {
        self.min.is_some() || self.increase.is_some() || self.equals.is_some()
    }

    /// Whether a metric that counted nothing would do.
    pub(super) fn take_nothing(&self) -> bool {
        self.exceeded_by(0.0, Some(0.0)).is_none() && self.missed_by(0.0, Some(0.0)).is_none()
    }

    /// The bound from above that is broken, and whether by the rise.
    fn exceeded_by(&self, value: f64, rise: Option<f64>) -> Option<(Broken, bool)> {
        let most = self.max_increase.zip(rise).filter(|(most, rise)| !is_at_least(*most, *rise));
        let max = self.max.filter(|max| !is_at_least(*max, value));
        let most = most.map(|(most, _)| (("MetricRose", format!("at most {}", number(most))), true));
        most.or_else(|| max.map(|max| ((HIGH, format!("at most {}", number(max))), false)))
    }

    /// The bound that is not met, and may still be; and whether by the rise.
    fn missed_by(&self, value: f64, rise: Option<f64>) -> Option<(Broken, bool)> {
        let least = self.increase.zip(rise).filter(|(least, rise)| !is_at_least(*rise, *least));
        let equals = self.equals.filter(|equals| !is_same(value, *equals));
        let min = self.min.filter(|min| !is_at_least(value, *min));
        let exactly = |equals: f64| (if value < equals { LOW } else { HIGH }, format!("exactly {}", number(equals)));
        least
            .map(|(least, _)| (("MetricDidNotRise", format!("at least {}", number(least))), true))
            .or_else(|| equals.map(|equals| (exactly(equals), false)))
            .or_else(|| min.map(|min| ((LOW, format!("at least {}", number(min))), false)))
    }
}

const LOW: &str = "MetricTooLow";
const HIGH: &str = "MetricTooHigh";

fn is_same(value: f64, expected: f64) -> bool {
    value.to_bits() == expected.to_bits() || (value - expected).abs() <= TOLERANCE * expected.abs().max(1.0)
}

fn is_at_least(value: f64, least: f64) -> bool {
    value >= least || is_same(value, least)
}

/// A number as a person reads it: no rows of digits that mean nothing.
fn number(value: f64) -> String {
    let size = value.abs();
    let is_plain = size == 0.0 || (SMALL..LARGE).contains(&size) || !value.is_finite();
    if is_plain { value.to_string() } else { format!("{value:e}") }
}

/// How a check stands at one reading.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Standing {
    Holds {
        message: String,
        value: Option<f64>,
    },
    /// It is higher than it may be.
    Exceeds {
        reason: &'static str,
        message: String,
        value: Option<f64>,
    },
    /// It is not yet what it should be.
    Misses {
        reason: &'static str,
        message: String,
        value: Option<f64>,
    },
    /// There is no such series.
    Absent,
    /// It is no number.
    Unknown(String),
}

/// How much a metric rose, all its series together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rise {
    by: f64,
    /// The part of it that there is for certain: without what may have been counted before, where nobody could see it.
    least: f64,
    /// A counter began anew: its program restarted.
    was_reset: bool,
}

/// Compares. A series that was not there before counts from 0; a counter that went down was reset, and counts from 0 too. Of what may
/// fall one that is gone fell to 0.
fn rise(before: &Reading, after: &Reading) -> Rise {
    let mut rise = Rise::default();
    for (series, value) in &after.values {
        let known = before.values.get(series).copied();
        let earlier = known.unwrap_or(0.0);
        let is_reset = *value < earlier && !after.may_fall;
        rise.was_reset |= is_reset;
        let by = if is_reset { *value } else { value - earlier };
        rise.by += by;
        let is_all_seen = known.is_some() || before.doubt.is_none();
        let is_certain = is_all_seen && (after.may_fall || is_known(before, after, pod_of(series)));
        rise.least += if is_certain { by } else { by.min(0.0) };
    }
    if after.may_fall {
        let gone = before.values.iter().filter(|(series, _)| !after.values.contains_key(*series));
        let gone = gone.map(|(_, value)| value).sum::<f64>();
        rise.by -= gone;
        rise.least -= gone;
    }
    rise
}

/// Whether a program of which there is something now was seen before, so that all it has now was counted on top of what it had then, or
/// since it started anew. Where nobody knows the pods another start may be that of another pod.
fn is_known(before: &Reading, after: &Reading, pod: &str) -> bool {
    match (before.started.get(pod), after.started.get(pod)) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(earlier), Some(now)) => earlier.to_bits() == now.to_bits() || !pod.is_empty(),
    }
}

/// Whether a bound on the rise that holds, or is broken, is so for certain.
pub(super) fn is_certain(bounds: &Bounds, before: Option<&Reading>, after: &Reading, standing: &Standing) -> bool {
    let least = before.filter(|_| bounds.compares()).map(|before| rise(before, after).least);
    let value = total(&after.values);
    match standing {
        Standing::Holds { .. } => bounds.missed_by(value, least).is_none(),
        Standing::Exceeds { .. } => bounds.exceeded_by(value, least).is_some(),
        _ => true,
    }
}

/// The sum of all series. That of none is 0, where Rust's own sum is -0.
fn total(values: &Values) -> f64 {
    values.values().fold(0.0, |sum, value| sum + value)
}

/// Why what was counted since before may not all be there: a program that starts anew counts from 0. `None` of what may fall.
pub(super) fn lost(before: &Reading, after: &Reading) -> Option<&'static str> {
    if before.may_fall || after.may_fall {
        return None;
    }
    let is_same = |(pod, at): (&String, &f64)| after.started.get(pod) == Some(at);
    if !before.started.iter().all(is_same) {
        return Some("the operator restarted: what it had counted is lost");
    }
    if before.started.len() < after.started.len() {
        return Some("a pod of the operator is new: what it had counted before is not known");
    }
    // One that goes on may leave out what it has no use for any more.
    let goes_on = !after.started.is_empty() && after.started.values().all(|at| *at > 0.0);
    let is_lost = |(series, earlier): (&String, &f64)| match after.values.get(series) {
        Some(value) => value < earlier,
        None => !goes_on,
    };
    before.values.iter().any(is_lost).then_some("a counter was reset: what it had counted is lost")
}

/// How the check stands. `before` is there if it compares. What it is judged by is in the value: the rise, or else the value.
pub(super) fn judge(query: &str, bounds: &Bounds, before: Option<&Reading>, after: &Reading) -> Standing {
    if after.values.is_empty() {
        return Standing::Absent;
    }
    let count = after.values.len();
    let of = if count > 1 { format!(" (the sum of {count} series)") } else { String::new() };
    let value = total(&after.values);
    let rose = before.filter(|_| bounds.compares()).map(|before| (rise(before, after), total(&before.values)));
    let by = rose.map(|(rise, _)| rise.by);
    let is = format!("is {}{of}", number(value));
    let told = rose.map(|(rise, earlier)| {
        let reset = if rise.was_reset { ", a counter was reset: its program restarted" } else { "" };
        format!("rose by {} ({} -> {}{reset}){of}", number(rise.by), number(earlier), number(value))
    });
    if value.is_nan() || by.is_some_and(f64::is_nan) {
        return Standing::Unknown(format!("{}, which can't be compared: {query}", told.unwrap_or(is)));
    }
    let finite = |value: f64| Some(value).filter(|value| value.is_finite());
    let tell = |(broken, is_rise): (Broken, bool)| {
        let ((reason, expected), told) = (broken, if is_rise { told.as_ref() } else { None });
        let judged = if is_rise { by.unwrap_or(value) } else { value };
        (reason, format!("{}, expected {expected}: {query}", told.unwrap_or(&is)), finite(judged))
    };
    if let Some((reason, message, value)) = bounds.exceeded_by(value, by).map(tell) {
        return Standing::Exceeds { reason, message, value };
    }
    if let Some((reason, message, value)) = bounds.missed_by(value, by).map(tell) {
        return Standing::Misses { reason, message, value };
    }
    Standing::Holds {
        message: format!("{}: {query}", told.as_ref().unwrap_or(&is)),
        value: finite(by.unwrap_or(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[(&str, f64)]) -> Values {
        values.iter().map(|(series, value)| ((*series).to_owned(), *value)).collect()
    }

    fn reading(of: &[(&str, f64)], may_fall: bool, started: &[(&str, f64)]) -> Reading {
        Reading { values: values(of), may_fall, started: values(started), ..Reading::default() }
    }

    fn judged(bounds: Bounds, before: Option<&[(&str, f64)]>, after: &[(&str, f64)], may_fall: bool) -> Standing {
        let before = before.map(|before| reading(before, may_fall, &[]));
        judge("m", &bounds, before.as_ref(), &reading(after, may_fall, &[]))
    }

    fn told(standing: Standing) -> (&'static str, String, Option<f64>) {
        match standing {
            Standing::Holds { message, value } => ("", message, value),
            Standing::Exceeds { reason, message, value } | Standing::Misses { reason, message, value } => {
                (reason, message, value)
            }
            Standing::Absent => ("absent", String::new(), None),
            Standing::Unknown(why) => ("unknown", why, None),
        }
    }

    #[test]
    fn a_value_is_held_to_its_bounds() {
        let one = |bounds| told(judged(bounds, None, &[("m", 3.0)], false));
        let bounds = Bounds::default();
        assert_eq!(one(Bounds { min: Some(3.0), max: Some(3.0), ..bounds }), ("", "is 3: m".to_owned(), Some(3.0)));
        let low = ("MetricTooLow", "is 3, expected at least 4: m".to_owned(), Some(3.0));
        assert_eq!(one(Bounds { min: Some(4.0), ..bounds }), low);
        let high = ("MetricTooHigh", "is 3, expected at most 2.5: m".to_owned(), Some(3.0));
        assert_eq!(one(Bounds { max: Some(2.5), ..bounds }), high);
        assert_eq!(one(Bounds { equals: Some(2.0), ..bounds }).0, "MetricTooHigh");
        assert_eq!(one(Bounds { equals: Some(4.0), ..bounds }).1, "is 3, expected exactly 4: m");
        let sum = told(judged(Bounds { equals: Some(0.3), ..bounds }, None, &[("a", 0.1), ("b", 0.2)], false));
        assert_eq!(sum.0, "", "{sum:?}");
        assert!(sum.1.ends_with("(the sum of 2 series): m"), "{sum:?}");
    }

    #[test]
    fn only_a_bound_from_above_is_broken_for_good() {
        let bounds = Bounds { min: Some(9.0), max: Some(2.0), ..Bounds::default() };
        assert!(matches!(judged(bounds, None, &[("m", 3.0)], false), Standing::Exceeds { .. }));
        let equals = Bounds { equals: Some(2.0), ..Bounds::default() };
        assert!(matches!(judged(equals, None, &[("m", 3.0)], false), Standing::Misses { .. }));
    }

    #[test]
    fn a_rise_counts_from_before_and_a_new_series_from_nothing() {
        let bounds = Bounds { increase: Some(1.0), ..Bounds::default() };
        let rose = |before: &[(&str, f64)], after: &[(&str, f64)]| told(judged(bounds, Some(before), after, false));
        let still = ("MetricDidNotRise", "rose by 0 (3 -> 3), expected at least 1: m".to_owned(), Some(0.0));
        assert_eq!(rose(&[("a", 3.0)], &[("a", 3.0)]), still);
        assert_eq!(rose(&[], &[("a", 1.0)]), ("", "rose by 1 (0 -> 1): m".to_owned(), Some(1.0)));
        assert_eq!(rose(&[("a", 3.0)], &[("a", 3.0), ("b", 2.0)]).2, Some(2.0));
        assert_eq!(rose(&[], &[]).0, "absent");
        let most = Bounds { max_increase: Some(0.0), ..Bounds::default() };
        let errors = told(judged(most, Some(&[("a", 6.0)]), &[("a", 8.0)], false));
        assert_eq!(errors, ("MetricRose", "rose by 2 (6 -> 8), expected at most 0: m".to_owned(), Some(2.0)));
        assert_eq!(told(judged(most, Some(&[("a", 6.0)]), &[("a", 6.0)], false)).0, "");
    }

    #[test]
    fn a_counter_that_went_down_was_reset_and_a_gauge_went_down() {
        let bounds = Bounds { increase: Some(2.0), ..Bounds::default() };
        let reset = told(judged(bounds, Some(&[("a", 9.0), ("b", 4.0)]), &[("a", 1.0), ("b", 5.0)], false));
        assert_eq!(reset.2, Some(2.0));
        assert!(reset.1.starts_with("rose by 2 (13 -> 6, a counter was reset: its program restarted)"), "{reset:?}");
        assert_eq!(told(judged(bounds, Some(&[("a", 9.0)]), &[("a", 1.0)], true)).2, Some(-8.0));
        assert_eq!(told(judged(bounds, Some(&[("a", 9.0)]), &[("b", 1.0)], true)).2, Some(-8.0));
    }

    #[test]
    fn a_program_that_restarted_has_lost_what_it_counted() {
        let at = |value: f64, started: f64| reading(&[("a", value)], false, &[("", started)]);
        assert_eq!(lost(&at(3.0, 100.0), &at(4.0, 100.0)), None);
        assert!(lost(&at(3.0, 100.0), &at(4.0, 200.0)).unwrap().starts_with("the operator restarted"));
        assert!(lost(&at(3.0, 0.0), &at(2.0, 0.0)).unwrap().starts_with("a counter was reset"));
        let gone = |started| reading(&[], false, &[("", started)]);
        assert!(lost(&at(3.0, 0.0), &gone(0.0)).is_some());
        assert_eq!(lost(&at(3.0, 100.0), &gone(100.0)), None, "it goes on");
        assert_eq!(
            lost(&reading(&[("a", 3.0)], true, &[("", 1.0)]), &reading(&[("a", 2.0)], true, &[("", 2.0)])),
            None
        );
    }

    #[test]
    fn what_a_new_program_has_may_have_been_counted_before() {
        let (a, b) = ("op-a\0m", "op-b\0m");
        let before = reading(&[(a, 3.0)], false, &[("op-a", 100.0)]);
        let both = [("op-a", 100.0), ("op-b", 50.0)];
        let certain = |before: &Reading, after: &Reading, bounds: Bounds| {
            is_certain(&bounds, Some(before), after, &judge("m", &bounds, Some(before), after))
        };
        let (least, most) = (
            Bounds { increase: Some(4.0), ..Bounds::default() },
            Bounds { max_increase: Some(3.0), ..Bounds::default() },
        );
        let joined = reading(&[(a, 3.0), (b, 4.0)], false, &both);
        assert!(lost(&before, &joined).unwrap().starts_with("a pod of the operator is new"));
        assert!(!certain(&before, &joined, least) && !certain(&before, &joined, most));
        // What the other one counted alone is enough.
        let risen = reading(&[(a, 7.0), (b, 4.0)], false, &both);
        assert!(certain(&before, &risen, least) && certain(&before, &risen, most));
        // One that is known and started anew has counted all that it has since then.
        let anew = reading(&[(a, 4.0)], false, &[("op-a", 200.0)]);
        assert!(certain(&reading(&[(a, 9.0)], false, &[("op-a", 100.0)]), &anew, least));
        // Where the pods are not known it may be another one.
        let (one, other) = (reading(&[], false, &[("", 100.0)]), reading(&[("m", 4.0)], false, &[("", 200.0)]));
        assert!(!certain(&one, &other, least));
        // A line that could not be read may have been of it.
        let doubtful = Reading { doubt: Some("line 1".to_owned()), ..reading(&[], false, &[("op-a", 100.0)]) };
        let after = reading(&[(a, 4.0)], false, &[("op-a", 100.0)]);
        assert!(!certain(&doubtful, &after, least) && !certain(&doubtful, &after, most));
    }

    #[test]
    fn what_is_no_number_can_t_be_compared() {
        let bounds = Bounds::default();
        for bounds in [
            Bounds { min: Some(0.0), ..bounds },
            Bounds { max: Some(0.0), ..bounds },
            Bounds { equals: Some(0.0), ..bounds },
        ] {
            assert_eq!(told(judged(bounds, None, &[("a", f64::NAN)], false)).0, "unknown");
        }
        let most = Bounds { max_increase: Some(0.0), ..bounds };
        let infinite = [("a", f64::INFINITY)];
        assert_eq!(told(judged(most, Some(&infinite), &infinite, false)).0, "unknown");
        assert_eq!(told(judged(most, Some(&[("a", f64::NAN)]), &[("a", 1.0)], false)).0, "unknown");
        let infinite = told(judged(Bounds { min: Some(1.0), ..bounds }, None, &infinite, false));
        assert_eq!((infinite.0, infinite.1.as_str(), infinite.2), ("", "is inf: m", None));
    }

    #[test]
    fn large_and_small_numbers_are_written_with_an_exponent() {
        assert_eq!(
            [1e14, 1e15, -2.5e300, 0.0, 1e-300, 0.25].map(number),
            ["100000000000000", "1e15", "-2.5e300", "0", "1e-300", "0.25"]
        );
    }

    #[test]
    fn what_counted_nothing_does_for_bounds_from_above_alone() {
        let bounds = Bounds::default();
        assert!(Bounds { max: Some(0.0), ..bounds }.take_nothing());
        assert!(Bounds { max_increase: Some(0.0), ..bounds }.take_nothing());
        assert!(Bounds { equals: Some(0.0), ..bounds }.take_nothing());
        assert!(!Bounds { increase: Some(1.0), ..bounds }.take_nothing());
        assert!(!Bounds { min: Some(1.0), max: Some(2.0), ..bounds }.take_nothing());
    }
}
