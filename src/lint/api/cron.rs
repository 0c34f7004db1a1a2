//! Schedules of CronJobs, time zones, and lists of indexes.
//!
//! Source of the grammar: `parser.go` of <https://github.com/robfig/cron> v3, as `ParseStandard` uses it.

use super::forms::{self, Complaint};

/// A field of a schedule: what it is called, its lowest and highest number, and names that stand for numbers.
struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", low: 0, high: 59, names: &[] },
    Field { name: "hour", low: 0, high: 23, names: &[] },
    Field { name: "day of the month", low: 1, high: 31, names: &[] },
    Field {
        name: "month",
        low: 1,
        high: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    Field { name: "day of the week", low: 0, high: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];
const DESCRIPTORS: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
const DURATION_UNITS: [&str; 7] = ["ns", "us", "µs", "ms", "s", "m", "h"];
/// The first parts of the names of time zones.
const REGIONS: [&str; 16] = [
    "africa",
    "america",
    "antarctica",
    "arctic",
    "asia",
    "atlantic",
    "australia",
    "brazil",
    "canada",
    "chile",
    "etc",
    "europe",
    "indian",
    "mexico",
    "pacific",
    "us",
];
/// The names of time zones that have one part.
const ZONES: &str = "utc gmt gmt0 gmt+0 gmt-0 uct universal zulu greenwich cet cst6cdt eet est est5edt hst met mst \
                     mst7mdt pst8pdt wet cuba egypt eire factory gb gb-eire hongkong iceland iran israel jamaica japan \
                     kwajalein libya navajo nz nz-chat poland portugal prc roc rok singapore turkey w-su";

/// Reads a schedule of five fields, `@daily` and the like, or `@every 1h`.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn parse(schedule: &str) -> Result<(), String> {
    let schedule = match schedule.split_once(' ') {
        Some((zone, rest)) if zone.starts_with("TZ=") || zone.starts_with("CRON_TZ=") => rest.trim(),
        _ => schedule,
    };
    if let Some(duration) = schedule.strip_prefix("@every ") {
        return is_duration(duration)
            .then_some(())
            .ok_or_else(|| format!("`{duration}` is not a duration, as in `1h30m`"));
    }
    if schedule.starts_with('@') {
        let known = DESCRIPTORS.contains(&schedule);
        return known.then_some(()).ok_or_else(|| format!("expected one of {} or @every", DESCRIPTORS.join(", ")));
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(format!("expected five fields (minute, hour, day, month, weekday), found {}", fields.len()));
    }
    fields.iter().zip(&FIELDS).try_for_each(|(text, field)| {
        text.split(',').filter(|part| !part.is_empty()).try_for_each(|part| check_part(part, field))
    })
}

/// `*`, `5`, `1-5`, `*/10`, `1-5/2`.
fn check_part(part: &str, field: &Field) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("`{part}` is not a valid {}: {what}", field.name));
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (part, None),
    };
    let number = |text: &str| {
        let named = field.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let named = named.and_then(|index| u32::try_from(index).ok()).map(|index| index + field.low);
        named.or_else(|| text.strip_prefix('+').unwrap_or(text).parse().ok())
    };
    let (low, high) = match range.split_once('-') {
        _ if range == "*" || range == "?" => (Some(field.low), Some(field.high)),
        Some((low, high)) => (number(low), number(high)),
        None => (number(range), if step.is_some() { Some(field.high) } else { number(range) }),
    };
    let (Some(low), Some(high)) = (low, high) else { return wrong("expected a number, a range or `*`") };
    if low < field.low || high > field.high {
        return wrong(&format!("expected {} to {}", field.low, field.high));
    }
    if low > high {
        return wrong("the range ends before it starts");
    }
    if step.is_some_and(|step| !step.parse::<u32>().is_ok_and(|step| step > 0)) {
        return wrong("the step after `/` must be a positive number");
    }
    Ok(())
}

/// A duration as Go writes it: `1h30m`, `-1.5s`.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (digits, tail) = rest.split_at(number);
        let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let dots = digits.matches('.').count();
        if digits.len() == dots || dots > 1 || !DURATION_UNITS.contains(&unit) {
            return false;
        }
        rest = tail;
    }
    true
}

/// The name of a time zone, as far as its form and its first part tell.
pub(super) fn time_zone(text: &str) -> Option<Complaint> {
    let part = |part: &str| {
        !part.is_empty()
            && part.len() <= 14
            && !matches!(part, "." | "..")
            && !part.starts_with('-')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte))
    };
    let name = text.to_lowercase();
    let known = match name.split_once('/') {
        Some((region, _)) => REGIONS.contains(&region),
        None => ZONES.split_whitespace().any(|zone| zone == name),
    };
    (!text.split('/').all(part) || !known)
        .then_some(forms::form("is not a time zone of the IANA database, as in `Europe/Berlin`"))
}

/// How many indexes a list like `0,2-4` names, if they rise and stay below `completions`.
pub(super) fn count_indexes(text: &str, completions: i64) -> Option<i64> {
    let mut last = -1;
    let mut total = 0;
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let (low, high): (i64, i64) = (low.parse().ok()?, high.parse().ok()?);
        if low <= last || high < low || (part.contains('-') && low == high) || high >= completions {
            return None;
        }
        total += high - low + 1;
        last = high;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn schedules_of_five_fields_and_descriptors_are_read() {
        for schedule in
            ["*/5 * * * *", "0 0 1-15/2 jan,DEC mon-fri", "? 3 * * 0", "5/15 * * * *", "@daily", "@every 1h30m"]
        {
            assert_eq!(parse(schedule), Ok(()), "{schedule}");
        }
    }

    #[test]
    fn anything_else_is_no_schedule() {
        for schedule in
            ["", "* * * *", "60 * * * *", "* * * * 7", "5-1 * * * *", "*/0 * * * *", "a * * * *", "@soon", "@every x"]
        {
            assert!(parse(schedule).is_err(), "{schedule}");
        }
    }

    #[test]
    fn time_zones_have_a_region_or_are_among_the_short_ones() {
        for zone in ["UTC", "Etc/UTC", "Europe/Berlin", "America/Argentina/Ushuaia"] {
            assert_eq!(time_zone(zone), None, "{zone}");
        }
        for zone in ["", "Local", "Mars/Base", "PST", "Europe//Berlin", "Europe", "-x"] {
            assert!(time_zone(zone).is_some(), "{zone}");
        }
    }

    #[test]
    fn indexes_are_counted_if_they_rise_below_the_completions() {
        assert_eq!(count_indexes("0,2-4", 5), Some(4));
        for text in ["2,1", "0-5", "x", "3-2", "1,1"] {
            assert_eq!(count_indexes(text, 5), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,40}") {
            let _ = (parse(&text), parse(&format!("@every {text}")), time_zone(&text), count_indexes(&text, 9));
        }
    }
}
