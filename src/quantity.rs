//! Kubernetes quantities: `500m`, `2Gi`, `1e3`.
//!
//! Source of the grammar: `apimachinery/pkg/api/resource/quantity.go`.

/// Nano-units in one unit: the finest step that Kubernetes keeps.
const NANO: i128 = 1_000_000_000;

/// An amount of CPU (cores), memory (bytes) or anything else that is counted, exact to a nano-unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity {
    nano: i128,
}

impl Quantity {
    /// The quantity that `text` writes; `None` if it is not one. Digits finer than a nano-unit are rounded up, as
    /// Kubernetes does, and amounts beyond `i128` nano-units are held at that bound.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let whole_len = digits(unsigned);
        let (whole, mut rest) = unsigned.split_at(whole_len);
        let mut fraction = "";
        if let Some(after) = rest.strip_prefix('.') {
            let (found, tail) = after.split_at(digits(after));
            (fraction, rest) = (found, tail);
        }
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (base, exponent) = suffix(rest)?;
        let magnitude = scale(whole, fraction, base, exponent);
        Some(Self { nano: if negative { magnitude.saturating_neg() } else { magnitude } })
    }

    /// A whole number of units.
    #[must_use]
    pub fn from_units(units: i64) -> Self {
        Self { nano: i128::from(units) * NANO }
    }

    /// One of so many equal parts, of at least one.
    #[must_use]
    pub fn divided_by(self, parts: usize) -> Self {
        Self { nano: self.nano / i128::try_from(parts.max(1)).unwrap_or(i128::MAX) }
    }

    /// Thousand-millionths of a unit: nanocores of a CPU quantity.
    #[must_use]
    pub fn nano(self) -> i64 {
        clamp(self.nano)
    }

    /// Thousandths of a unit, rounded up: millicores of a CPU quantity.
    #[must_use]
    pub fn milli(self) -> i64 {
        clamp(ceil_div(self.nano, NANO / 1_000))
    }

    /// Whole units, rounded up: bytes of a memory quantity.
    #[must_use]
    pub fn units(self) -> i64 {
        clamp(ceil_div(self.nano, NANO))
    }

    /// Whether this is a whole number of units, as counts of devices must be.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.nano % NANO == 0
    }

    /// Less than zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.nano < 0
    }

    /// Exactly zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.nano == 0
    }

    /// The sum, held at the bounds.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { nano: self.nano.saturating_add(other.nano) }
    }

    /// This amount `count` times, held at the bounds.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self { nano: self.nano.saturating_mul(i128::from(count)) }
    }
}

/// An amount of memory as a person writes it, rounded up: `4Gi`, `1.5Gi`, `180Mi`, `12Ki`, `0`.
#[must_use]
pub fn memory(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")];
    let (unit, suffix) = UNITS.into_iter().find(|(unit, _)| bytes > unit - unit / 1024).unwrap_or((1 << 10, "Ki"));
    let tenths = (u128::from(bytes) * 10).div_ceil(u128::from(unit));
    match (tenths / 10, tenths % 10) {
        (0, 0) => "0".to_owned(),
        (whole, 0) => format!("{whole}{suffix}"),
        (whole, _) if whole >= 10 && suffix != "Gi" => format!("{}{suffix}", whole + 1),
        (whole, tenth) => format!("{whole}.{tenth}{suffix}"),
    }
}

/// Thousandths of a core as Kubernetes writes them: `200m`, `1500m`, `2`.
#[must_use]
pub fn cpu(milli: u64) -> String {
    if milli.is_multiple_of(1000) { (milli / 1000).to_string() } else { format!("{milli}m") }
}

fn ceil_div(value: i128, divisor: i128) -> i128 {
    value.div_euclid(divisor) + i128::from(value.rem_euclid(divisor) != 0)
}

fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// The factor that a suffix stands for, as base and exponent.
fn suffix(text: &str) -> Option<(i128, i32)> {
    Some(match text {
        "" => (10, 0),
        "n" => (10, -9),
        "u" => (10, -6),
        "m" => (10, -3),
        "k" => (10, 3),
        "M" => (10, 6),
        "G" => (10, 9),
        "T" => (10, 12),
        "P" => (10, 15),
        "E" => (10, 18),
        "Ki" => (2, 10),
        "Mi" => (2, 20),
        "Gi" => (2, 30),
        "Ti" => (2, 40),
        "Pi" => (2, 50),
        "Ei" => (2, 60),
        _ => {
            let exponent = text.strip_prefix(['e', 'E'])?;
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            (10, exponent.parse().ok()?)
        }
    })
}

/// `whole.fraction * base^exponent` in nano-units, rounded up, held at the bound.
fn scale(whole: &str, fraction: &str, base: i128, exponent: i32) -> i128 {
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return 0;
    }
    let shift = 9 - i32::try_from(fraction.len()).unwrap_or(i32::MAX);
    let Ok(mut value) = digits.parse::<i128>() else { return i128::MAX };
    let decimal = if base == 10 { exponent.saturating_add(shift) } else { shift };
    if base == 2 {
        value = value.saturating_mul(1 << exponent);
    }
    if decimal >= 0 {
        (0..decimal.min(40)).fold(value, |value, _| value.saturating_mul(10))
    } else {
        let divisor = (0..decimal.saturating_neg().min(38)).fold(1_i128, |divisor, _| divisor * 10);
        ceil_div(value, divisor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities_are_read_with_their_suffixes() {
        for (text, milli) in [
            ("500m", 500),
            ("2", 2_000),
            ("1.5", 1_500),
            (".5", 500),
            ("5.", 5_000),
            ("1Ki", 1_024_000),
            ("0.5Gi", 536_870_912_000),
            ("1e3", 1_000_000),
            ("1E-3", 1),
            ("1n", 1),
            ("-1", -1_000),
            ("1E", 1_000_000_000_000_000_000_000_i128.min(i128::from(i64::MAX))),
        ] {
            assert_eq!(Quantity::parse(text).map(|quantity| i128::from(quantity.milli())), Some(milli), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_quantity_is_refused() {
        for text in ["", "Gi", "1GB", "1 Gi", "1gi", "1ee3", "1e", "1.2.3", "--1", "0x10", "1KI", "."] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }

    #[test]
    fn amounts_are_written_as_a_person_writes_them() {
        let texts =
            [0, 12 << 10, 3 << 19, (180 << 20) - 5, 1023 << 20, 1 << 30, (1 << 30) + 1, 3 << 29, 4 << 30].map(memory);
        assert_eq!(texts, ["0", "12Ki", "1.5Mi", "180Mi", "1023Mi", "1Gi", "1.1Gi", "1.5Gi", "4Gi"]);
        assert_eq!([0, 5, 200, 1000, 1500, 2000].map(cpu), ["0", "5m", "200m", "1", "1500m", "2"]);
        assert_eq!(memory(u64::MAX), "17179869184Gi");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_no_less_and_not_much_more(bytes in 0..1_u64 << 50, milli in 0..1_u64 << 40) {
            let read = Quantity::parse(&memory(bytes)).unwrap().units();
            let bytes = i64::try_from(bytes).unwrap();
            prop_assert!(read >= bytes && read - bytes <= (bytes / 10).max(1 << 10), "{read} {bytes}");
            prop_assert_eq!(Quantity::parse(&cpu(milli)).unwrap().milli(), i64::try_from(milli).unwrap());
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+]?[0-9.]{0,45}[a-zA-Z]{0,2}[-+]?[0-9]{0,12}") {
            let _ = Quantity::parse(&text).map(|quantity| (quantity.milli(), quantity.units()));
        }
    }
}
