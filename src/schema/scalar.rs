//! Numbers and strings.

use super::check::{Checker, shorten};
use super::format::{Format, is_quantity};
use super::go;
use super::shape::{Bound, Limits, Shape};
use super::{Dialect, ViolationKind};
use crate::yaml::{Anchor, Value};

impl<'n> Checker<'_, 'n> {
    /// The form and the bounds of a scalar that has the right type.
    pub fn scalar(&mut self, shape: &Shape, anchor: Anchor<'n>) {
        match &anchor.node().value {
            Value::Int(number) => self.integer(shape, *number, anchor),
            Value::Float(number) => self.float(shape, *number, anchor),
            Value::String(text) => self.text(shape, text, anchor),
            _ => {}
        }
    }

    fn integer(&mut self, shape: &Shape, number: i64, anchor: Anchor<'n>) {
        let (least, most) = shape.format.integer_range();
        if !(least..=most).contains(&i128::from(number)) {
            let message = format!("{number} does not fit into {}", shape.format.describe());
            self.tell(ViolationKind::Range, anchor, message).help = Some(format!("between {least} and {most}"));
            return;
        }
        if let Some(limits) = &shape.limits {
            self.number(limits, Exact::Int(number), anchor);
            self.bounds_that_do_not_fit(shape.format, limits, anchor);
        }
    }

    fn float(&mut self, shape: &Shape, number: f64, anchor: Anchor<'n>) {
        if shape.format == Format::Float32 && number.is_finite() && number.abs() > f64::from(f32::MAX) {
            self.tell(ViolationKind::Range, anchor, format!("{number} does not fit into a 32-bit float"));
        }
        if !number.is_finite() {
            self.tell(ViolationKind::WrongType, anchor, format!("expected a finite number, found `{number}`"));
        }
        if let Some(limits) = &shape.limits {
            self.number(limits, Exact::Float(number), anchor);
        }
    }

    fn number(&mut self, limits: &Limits, number: Exact, anchor: Anchor<'n>) {
        if let Some(bound) = limits.minimum.filter(|bound| number.is_below(*bound)) {
            let word = if bound.exclusive { "more than" } else { "at least" };
            self.tell(
                ViolationKind::Range,
                anchor,
                format!("{} is too small, {word} {} expected", number.text(), bound.value.0),
            );
        }
        if let Some(bound) = limits.maximum.filter(|bound| number.is_above(*bound)) {
            let word = if bound.exclusive { "less than" } else { "at most" };
            self.tell(
                ViolationKind::Range,
                anchor,
                format!("{} is too large, {word} {} expected", number.text(), bound.value.0),
            );
        }
        if let Some(factor) = limits.multiple_of.filter(|factor| !number.is_multiple_of(factor.0)) {
            self.tell(ViolationKind::Range, anchor, format!("{} is not a multiple of {}", number.text(), factor.0));
        }
    }

    /// An API server refuses every number under a bound that its own type cannot hold, such as a maximum of 4294967295
    /// for an `int32`.
    fn bounds_that_do_not_fit(&mut self, format: Format, limits: &Limits, anchor: Anchor<'n>) {
        if self.dialect != Dialect::CustomResource || !matches!(format, Format::Integer { .. }) {
            return;
        }
        let (least, most) = format.integer_range();
        let bounds = [limits.minimum, limits.maximum].into_iter().flatten().map(|bound| bound.value);
        for bound in bounds.chain(limits.multiple_of) {
            if !(as_float(least)..=as_float(most)).contains(&bound.0) {
                let message = format!(
                    "the schema's bound {} does not fit into {}: no value is accepted",
                    bound.0,
                    format.describe()
                );
                self.tell(ViolationKind::Range, anchor, message);
            }
        }
    }

    fn text(&mut self, shape: &Shape, text: &str, anchor: Anchor<'n>) {
        let fits = match shape.format {
            Format::Text(format) => format.accepts(text),
            Format::Quantity => is_quantity(text),
            Format::Time => go::is_timestamp(text),
            Format::Bytes => go::is_base64(text),
            Format::None | Format::Integer { .. } | Format::Float32 | Format::IntOrString | Format::Json => true,
        };
        if !fits {
            let kind = if shape.format == Format::Quantity { ViolationKind::Quantity } else { ViolationKind::Format };
            let message = format!("`{}` is not {}", shorten(text), shape.format.describe());
            self.tell(kind, anchor, message).help = match shape.format {
                Format::Quantity => Some("a number with an optional suffix: 500m, 2, 1.5Gi, 10M".to_owned()),
                Format::Bytes => {
                    Some("encode it with `base64 -w0`; a Secret's plain text goes under `stringData`".to_owned())
                }
                _ => None,
            };
        }
        if let Some(limits) = &shape.limits {
            self.lengths(limits, text, anchor);
        }
    }

    fn lengths(&mut self, limits: &Limits, text: &str, anchor: Anchor<'n>) {
        let count = || text.chars().count() as u64;
        if let Some(least) = limits.min_length.filter(|least| count() < *least) {
            let found =
                if text.is_empty() { "the text is empty".to_owned() } else { format!("{} characters found", count()) };
            self.tell(ViolationKind::Format, anchor, format!("{found}, at least {least} expected"));
        }
        if let Some(most) = limits.max_length.filter(|most| count() > *most) {
            self.tell(ViolationKind::Format, anchor, format!("{} characters found, at most {most} expected", count()));
        }
        if let Some(pattern) = limits.pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
            let message = format!("`{}` does not match the pattern `{}`", shorten(text), pattern.source());
            self.tell(ViolationKind::Format, anchor, message);
        }
    }
}

/// A number as it was written.
#[derive(Clone, Copy)]
enum Exact {
    Int(i64),
    Float(f64),
}

impl Exact {
    fn text(self) -> String {
        match self {
            Self::Int(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
        }
    }

    /// Whole numbers are compared with the bound's whole part, as an API server does.
    fn is_below(self, bound: Bound) -> bool {
        match self {
            Self::Int(number) if bound.exclusive => number <= whole(bound.value.0),
            Self::Int(number) => number < whole(bound.value.0),
            Self::Float(number) if bound.exclusive => number <= bound.value.0,
            Self::Float(number) => number < bound.value.0,
        }
    }

    fn is_above(self, bound: Bound) -> bool {
        match self {
            Self::Int(number) if bound.exclusive => number >= whole(bound.value.0),
            Self::Int(number) => number > whole(bound.value.0),
            Self::Float(number) if bound.exclusive => number >= bound.value.0,
            Self::Float(number) => number > bound.value.0,
        }
    }

    fn is_multiple_of(self, factor: f64) -> bool {
        match self {
            Self::Int(number) if whole(factor) != 0 => number % whole(factor) == 0,
            Self::Int(number) => is_whole(as_float(i128::from(number)) / factor),
            Self::Float(number) if factor < 1.0 => is_whole(1.0 / factor * number),
            Self::Float(number) => is_whole(number / factor),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "Go's conversion of a bound; out of range it saturates")]
fn whole(bound: f64) -> i64 {
    bound as i64
}

#[expect(clippy::cast_precision_loss, reason = "bounds are floats in the schema already")]
fn as_float(number: i128) -> f64 {
    number as f64
}

/// Whether a float is a whole number but for rounding. Source: `swag.IsFloat64AJSONInteger`.
fn is_whole(number: f64) -> bool {
    let near = (number - number.round()).abs();
    number.is_finite() && near <= f64::EPSILON * number.abs().max(1.0)
}
