//! What values before and after come to. Pure.

use super::Values;
use super::read::Reading;

/// How far a value may be from what it should equal, in parts of that: a decimal fraction is not exact in binary.
const TOLERANCE: f64 = 1e-9;

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

impl Bounds {
    /// Whether there has to be a value from before.
    pub(super) fn compares(&self) -> bool {
        self.increase.is_some() || self.max_increase.is_some()
    }

    /// Whether a metric that counted nothing would do.
    pub(super) fn take_nothing(&self) -> bool {
        let value = self.broken_by_value(0.0).is_none();
        value && self.broken_by_rise(0.0).is_none()
    }

    /// The reason and the expectation that a value does not meet. NaN meets none.
    fn broken_by_value(&self, value: f64) -> Option<(&'static str, String)> {
        let equals = self.equals.filter(|equals| !is_same(value, *equals));
        let min = self.min.filter(|min| !is_at_least(value, *min));
        let max = self.max.filter(|max| !is_at_least(*max, value));
        let nan = value.is_nan().then_some("MetricNotANumber");
        let told = [
            equals.map(|equals| (if value < equals { LOW } else { HIGH }, format!("exactly {equals}"))),
            min.map(|min| (LOW, format!("at least {min}"))),
            max.map(|max| (HIGH, format!("at most {max}"))),
        ];
        told.into_iter().flatten().next().map(|(reason, expected)| (nan.unwrap_or(reason), expected))
    }

    fn broken_by_rise(&self, rise: f64) -> Option<(&'static str, String)> {
        let least = self.increase.filter(|least| !is_at_least(rise, *least));
        let most = self.max_increase.filter(|most| !is_at_least(*most, rise));
        let least = least.map(|least| ("MetricDidNotRise", format!("at least {least}")));
        least.or_else(|| most.map(|most| ("MetricRose", format!("at most {most}"))))
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

/// How a check stands at one reading.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Standing {
    Holds {
        message: String,
        value: Option<f64>,
    },
    Falls {
        reason: &'static str,
        message: String,
        value: Option<f64>,
    },
    /// There is no such series.
    Absent,
}

/// How much a metric rose, all its series together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rise {
    by: f64,
    /// A counter began anew: its program restarted.
    was_reset: bool,
}

/// Compares. A series that was not there before counts from 0; one that went down, and is no gauge, was reset, and counts from 0 too.
fn rise(before: &Values, after: &Reading) -> Rise {
    let mut rise = Rise::default();
    for (series, value) in &after.values {
        let earlier = before.get(series).copied().unwrap_or(0.0);
        let is_reset = *value < earlier && !after.is_gauge;
        rise.was_reset |= is_reset;
        rise.by += if is_reset { *value } else { value - earlier };
    }
    rise
}

/// The sum of all series. That of none is 0, where Rust's own sum is -0.
fn total(values: &Values) -> f64 {
    values.values().fold(0.0, |sum, value| sum + value)
}

/// How the check stands. `before` is there if it compares. What it is judged by is in the value: the rise, or else the value.
pub(super) fn judge(query: &str, bounds: &Bounds, before: Option<&Values>, after: &Reading) -> Standing {
    if after.values.is_empty() {
        return Standing::Absent;
    }
    let count = after.values.len();
    let of = if count > 1 { format!(" (the sum of {count} series)") } else { String::new() };
    let value = total(&after.values);
    let rose = before.map(|before| (rise(before, after), total(before)));
    let told = rose.map(|(rise, earlier)| {
        let reset = if rise.was_reset { ", a counter was reset: its program restarted" } else { "" };
        format!("{query} rose by {} ({earlier} -> {value}{reset}){of}", rise.by)
    });
    let finite = |value: f64| Some(value).filter(|value| value.is_finite());
    let broken = rose.and_then(|(rise, _)| bounds.broken_by_rise(rise.by));
    if let (Some((reason, expected)), Some(told), Some((rise, _))) = (broken, &told, rose) {
        return Standing::Falls { reason, message: format!("{told}, expected {expected}"), value: finite(rise.by) };
    }
    if let Some((reason, expected)) = bounds.broken_by_value(value) {
        let message = format!("{query} is {value}{of}, expected {expected}");
        return Standing::Falls { reason, message, value: finite(value) };
    }
    let message = told.unwrap_or_else(|| format!("{query} is {value}{of}"));
    Standing::Holds { message, value: finite(rose.map_or(value, |(rise, _)| rise.by)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[(&str, f64)]) -> Values {
        values.iter().map(|(series, value)| ((*series).to_owned(), *value)).collect()
    }

    fn judged(bounds: Bounds, before: Option<&[(&str, f64)]>, after: &[(&str, f64)], is_gauge: bool) -> Standing {
        let before = before.map(values);
        judge("m", &bounds, before.as_ref(), &Reading { values: values(after), is_gauge })
    }

    fn told(standing: Standing) -> (&'static str, String, Option<f64>) {
        match standing {
            Standing::Holds { message, value } => ("", message, value),
            Standing::Falls { reason, message, value } => (reason, message, value),
            Standing::Absent => ("absent", String::new(), None),
        }
    }

    #[test]
    fn a_value_is_held_to_its_bounds() {
        let one = |bounds| told(judged(bounds, None, &[("m", 3.0)], false));
        let bounds = Bounds::default();
        assert_eq!(one(Bounds { min: Some(3.0), max: Some(3.0), ..bounds }), ("", "m is 3".to_owned(), Some(3.0)));
        let low = ("MetricTooLow", "m is 3, expected at least 4".to_owned(), Some(3.0));
        assert_eq!(one(Bounds { min: Some(4.0), ..bounds }), low);
        let high = ("MetricTooHigh", "m is 3, expected at most 2.5".to_owned(), Some(3.0));
        assert_eq!(one(Bounds { max: Some(2.5), ..bounds }), high);
        assert_eq!(one(Bounds { equals: Some(2.0), ..bounds }).0, "MetricTooHigh");
        assert_eq!(one(Bounds { equals: Some(4.0), ..bounds }).1, "m is 3, expected exactly 4");
        let sum = told(judged(Bounds { equals: Some(0.3), ..bounds }, None, &[("a", 0.1), ("b", 0.2)], false));
        assert_eq!(sum.0, "", "{sum:?}");
        assert!(sum.1.ends_with("(the sum of 2 series)"), "{sum:?}");
    }

    #[test]
    fn a_rise_counts_from_before_and_a_new_series_from_nothing() {
        let bounds = Bounds { increase: Some(1.0), ..Bounds::default() };
        let rose = |before: &[(&str, f64)], after: &[(&str, f64)]| told(judged(bounds, Some(before), after, false));
        let still = ("MetricDidNotRise", "m rose by 0 (3 -> 3), expected at least 1".to_owned(), Some(0.0));
        assert_eq!(rose(&[("a", 3.0)], &[("a", 3.0)]), still);
        assert_eq!(rose(&[], &[("a", 1.0)]), ("", "m rose by 1 (0 -> 1)".to_owned(), Some(1.0)));
        assert_eq!(rose(&[("a", 3.0)], &[("a", 3.0), ("b", 2.0)]).2, Some(2.0));
        assert_eq!(rose(&[], &[]).0, "absent");
        let most = Bounds { max_increase: Some(0.0), ..Bounds::default() };
        let errors = told(judged(most, Some(&[("a", 6.0)]), &[("a", 8.0)], false));
        assert_eq!(errors, ("MetricRose", "m rose by 2 (6 -> 8), expected at most 0".to_owned(), Some(2.0)));
        assert_eq!(told(judged(most, Some(&[("a", 6.0)]), &[("a", 6.0)], false)).0, "");
    }

    #[test]
    fn a_counter_that_went_down_was_reset_and_a_gauge_went_down() {
        let bounds = Bounds { increase: Some(2.0), ..Bounds::default() };
        let reset = told(judged(bounds, Some(&[("a", 9.0), ("b", 4.0)]), &[("a", 1.0), ("b", 5.0)], false));
        assert_eq!(reset.2, Some(2.0));
        assert!(reset.1.starts_with("m rose by 2 (13 -> 6, a counter was reset: its program restarted)"), "{reset:?}");
        assert_eq!(told(judged(bounds, Some(&[("a", 9.0)]), &[("a", 1.0)], true)).2, Some(-8.0));
    }

    #[test]
    fn what_is_no_number_meets_no_bound() {
        for bounds in [
            Bounds { min: Some(0.0), ..Bounds::default() },
            Bounds { max: Some(0.0), ..Bounds::default() },
            Bounds { equals: Some(0.0), ..Bounds::default() },
        ] {
            let nan = told(judged(bounds, None, &[("a", f64::NAN)], false));
            assert_eq!((nan.0, nan.2), ("MetricNotANumber", None));
        }
        let infinite =
            told(judged(Bounds { min: Some(1.0), ..Bounds::default() }, None, &[("a", f64::INFINITY)], false));
        assert_eq!((infinite.0, infinite.1.as_str(), infinite.2), ("", "m is inf", None));
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
