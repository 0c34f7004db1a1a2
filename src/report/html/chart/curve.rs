//! What a container used over time, against what it requested and was limited to.

use super::super::text::Html;
use super::svg::{Drawing, Path, number, share};

/// Units of the drawing, which is stretched to its box.
const WIDTH: u32 = 1_000;
const HEIGHT: u32 = 200;
/// A limit further away than this many times what is else to be seen is told, not drawn: the curve would be flat.
const FAR: u64 = 3;

/// A curve with its bounds; amounts of 0 were not set.
#[derive(Clone, Copy)]
pub(in crate::report::html) struct Use<'a> {
    /// Milliseconds, and the amounts then.
    pub(in crate::report::html) at_ms: &'a [u64],
    pub(in crate::report::html) amounts: &'a [u64],
    pub(in crate::report::html) request: u64,
    pub(in crate::report::html) limit: u64,
}

/// The curve; nothing without two points.
pub(in crate::report::html) fn curve(one: Use<'_>, label: &str) -> Html {
    let points: Vec<_> =
        one.at_ms.iter().copied().zip(one.amounts.iter().copied()).take(crate::report::CURVE).collect();
    let [(first, _), .., (last, _)] = points[..] else { return Html::default() };
    let peak = points.iter().map(|(_, amount)| *amount).max().unwrap_or(0);
    let seen = peak.max(one.request).max(1);
    let top = if one.limit <= seen.saturating_mul(FAR) { seen.max(one.limit) } else { seen };
    // Some air above the highest.
    let top = top.saturating_add(top / 10).max(1);
    let (width, height) = (f64::from(WIDTH), f64::from(HEIGHT));
    // Whole units are finer than pixels, and short.
    let y = |amount: u64| (height - share(amount, top) * height).round();
    let x = |at: u64| (share(at.saturating_sub(first), last.saturating_sub(first)) * width).round();
    let (mut line, mut area) = (Path::default(), Path::default());
    area.to(0.0, height);
    for (at, amount) in &points {
        line.to(x(*at), y(*amount));
        area.to(x(*at), y(*amount));
    }
    area.to(x(last), height);
    area.close();
    let mut drawing = Drawing::stretched("curve", WIDTH, HEIGHT, label);
    drawing.path("area", &area);
    for (class, bound) in [("request", one.request), ("limit", one.limit)] {
        if bound > 0 && bound <= top {
            let y = number(y(bound));
            drawing.raw(&format!(r#"<path class="{class}" d="M0 {y}H{WIDTH}"/>"#));
        }
    }
    drawing.path("line", &line);
    drawing.done()
}
