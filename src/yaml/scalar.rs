//! Scalars without quotes, as YAML 1.1 and Go read them.

use granit_parser::ScalarStyle;

use super::Value;

/// The value of a scalar by its style, its tag (the name of a tag of YAML's own, empty for any other) and YAML 1.1's rules.
///
/// # Errors
/// The text is no value of its tag, or none that JSON has.
pub(super) fn scalar(text: &str, style: ScalarStyle, tag: Option<&str>) -> Result<Value, String> {
    let value = match tag {
        None if style == ScalarStyle::Plain => plain(text),
        Some("binary") => Value::String(base64(text).ok_or("`!!binary` takes base64")?.into()),
        Some("int" | "float" | "bool" | "null") => plain(text),
        _ => Value::String(text.into()),
    };
    let fits = match tag {
        Some("int") => matches!(value, Value::Int(_)) || matches!(value, Value::Float(float) if float.fract() == 0.0),
        Some("float") => matches!(value, Value::Int(_) | Value::Float(_)),
        Some("bool") => matches!(value, Value::Bool(_)),
        Some("null") => matches!(value, Value::Null),
        _ => true,
    };
    match (tag, &value) {
        (Some(tag), _) if !fits => Err(format!("`{text}` is no value for the tag `!!{tag}`")),
        (_, Value::Float(float)) if !float.is_finite() => {
            Err(format!("`{text}` is a number that JSON does not have: quote it if it is a string"))
        }
        _ => Ok(value),
    }
}

/// What base64 stands for; bytes that are no text are replaced, as Go's JSON does. Line breaks are skipped.
fn base64(text: &str) -> Option<String> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let mut bytes = Vec::new();
    let groups = text.len() / 4;
    for (index, group) in text.chunks(4).enumerate() {
        let padding = group.iter().rev().take_while(|byte| **byte == b'=').count();
        if group.len() < 4 || padding > 2 || (padding > 0 && index + 1 < groups) {
            return None;
        }
        let mut bits = 0_u32;
        for byte in &group[..4 - padding] {
            let digit = DIGITS.iter().position(|digit| digit == byte)?;
            bits = (bits << 6) | u32::try_from(digit).ok()?;
        }
        bits <<= 6 * padding;
        bytes.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
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
    // One that is too large for a float is a string to Go.
    let float: f64 = digits.parse().ok().filter(|float: &f64| float.is_finite())?;
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
