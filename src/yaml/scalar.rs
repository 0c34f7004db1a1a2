//! Scalars without quotes, as YAML 1.1 and Go read them.

use granit_parser::ScalarStyle;

use super::Value;

/// The value of a scalar by its style, its tag and YAML 1.1's rules.
pub(super) fn scalar(text: &str, style: ScalarStyle, tag: Option<&str>) -> Value {
    match tag {
        Some("str" | "binary") => return Value::String(text.into()),
        Some("int" | "float" | "bool" | "null") => return plain(text),
        _ => {}
    }
    if style == ScalarStyle::Plain { plain(text) } else { Value::String(text.into()) }
}

/// A scalar without quotes.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    let first = text.as_bytes()[0];
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return Value::String(text.into());
    }
    number(text).unwrap_or_else(|| Value::String(text.into()))
}

/// A number as Go's `strconv.ParseInt(text, 0, 64)` and then YAML's float pattern read it, underscores left out.
fn number(text: &str) -> Option<Value> {
    let digits: String = text.chars().filter(|&character| character != '_').collect();
    let (negative, magnitude) = match digits.as_bytes().first()? {
        b'-' => (true, &digits[1..]),
        b'+' => (false, &digits[1..]),
        _ => (false, digits.as_str()),
    };
    if let Some(value) = whole_number(magnitude) {
        let signed = if negative { -value } else { value };
        return Some(i64::try_from(signed).map_or_else(|_| Value::Float(as_float(signed)), Value::Int));
    }
    if !is_yaml_float(magnitude) {
        return None;
    }
    let float: f64 = digits.parse().ok()?;
    Some(whole(float).map_or(Value::Float(float), Value::Int))
}

#[expect(clippy::cast_precision_loss, reason = "JSON has no whole numbers beyond 64 bits; Go rounds the same way")]
fn as_float(value: i128) -> f64 {
    value as f64
}

/// `float` as a whole number, where Go's JSON encoder would write it without a fraction or an exponent.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
fn whole(float: f64) -> Option<i64> {
    (float.fract() == 0.0 && float.abs() < 9.2e18).then_some(float as i64)
}

fn whole_number(magnitude: &str) -> Option<i128> {
    let radix = |prefix: [&str; 2], base: u32| {
        prefix.iter().find_map(|start| magnitude.strip_prefix(start)).map(|rest| {
            (rest.starts_with(|first: char| first.is_digit(base)))
                .then(|| i128::from_str_radix(rest, base).ok())
                .flatten()
        })
    };
    for (prefix, base) in [(["0x", "0X"], 16), (["0b", "0B"], 2), (["0o", "0O"], 8)] {
        if let Some(value) = radix(prefix, base) {
            return value;
        }
    }
    if magnitude.is_empty() || !magnitude.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let base = if magnitude.len() > 1 && magnitude.starts_with('0') { 8 } else { 10 };
    i128::from_str_radix(magnitude, base).ok()
}

/// YAML's pattern for floats, after the sign: `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
fn is_yaml_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    let mut rest = &text[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let count = digits(fraction);
        if whole == 0 && count == 0 {
            return false;
        }
        rest = &fraction[count..];
    } else if whole == 0 {
        return false;
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let count = digits(exponent);
        return count > 0 && count == exponent.len();
    }
    rest.is_empty()
}
