//! A drawing: elements with classes, which the page's style sheet colours. No text gets into it but through here.

use super::super::text::{Html, Text, escaped};

/// Most characters of a label.
const LABEL: usize = 160;

/// An SVG in the making.
pub(super) struct Drawing {
    open: String,
    body: String,
}

impl Drawing {
    /// A drawing that is stretched to its box: coordinates are of this many units each way. `label` is what is said of it to who does
    /// not see it; without one it is hidden from them.
    pub(super) fn stretched(class: &'static str, width: u32, height: u32, label: &str) -> Self {
        let view = format!(r#" viewBox="0 0 {width} {height}" preserveAspectRatio="none""#);
        Self::begun(class, &view, label)
    }

    /// A drawing of this size in pixels.
    pub(super) fn sized(class: &'static str, width: u32, height: u32, label: &str) -> Self {
        Self::begun(class, &format!(r#" width="{width}" height="{height}""#), label)
    }

    /// A drawing as wide as its box, whose horizontal coordinates are percents and whose vertical ones are pixels.
    pub(super) fn wide(class: &'static str, height: u32, label: &str) -> Self {
        Self::begun(class, &format!(r#" width="100%" height="{height}""#), label)
    }

    fn begun(class: &'static str, size: &str, label: &str) -> Self {
        let said = match Text::clipped(label, LABEL) {
            label if label.is_empty() => r#" aria-hidden="true""#.to_owned(),
            label => format!(r#" role="img" aria-label="{}""#, escaped(label.as_str())),
        };
        Self { open: format!(r#"<svg class="{class}"{size}{said}>"#), body: String::new() }
    }

    /// A path.
    pub(super) fn path(&mut self, class: &'static str, d: &Path) {
        if !d.0.is_empty() {
            self.body.push_str(&format!(r#"<path class="{class}" d="{}"/>"#, d.0));
        }
    }

    /// A bar from `x` to `x + width`, in percents, with what is said of it when one points at it.
    pub(super) fn bar(&mut self, class: &str, x: f64, width: f64, (y, height): (u32, u32), title: &str) {
        let (x, width, class) = (number(x), number(width), escaped(class));
        let title = Text::clipped(title, LABEL);
        self.body.push_str(&format!(
            r#"<rect class="{class}" x="{x}%" width="{width}%" y="{y}" height="{height}"><title>{}</title></rect>"#,
            escaped(title.as_str())
        ));
    }

    /// A vertical rule over the whole height, at a percentage.
    pub(super) fn rule(&mut self, class: &'static str, x: f64) {
        let x = number(x);
        self.body.push_str(&format!(r#"<line class="{class}" x1="{x}%" x2="{x}%" y1="0" y2="100%"/>"#));
    }

    /// A text at a percentage; `anchor` is `start`, `middle` or `end`.
    pub(super) fn text(&mut self, x: f64, y: u32, anchor: &'static str, text: &str) {
        let text = Text::clipped(text, LABEL);
        let (x, text) = (number(x), escaped(text.as_str()));
        self.body.push_str(&format!(r#"<text x="{x}%" y="{y}" text-anchor="{anchor}">{text}</text>"#));
    }

    /// Markup of this room.
    pub(super) fn raw(&mut self, markup: &str) {
        self.body.push_str(markup);
    }

    pub(super) fn done(self) -> Html {
        Html::made(format!("{}{}</svg>", self.open, self.body))
    }
}

/// The way of a pen.
#[derive(Default)]
pub(super) struct Path(String);

impl Path {
    pub(super) fn to(&mut self, x: f64, y: f64) {
        let letter = if self.0.is_empty() { 'M' } else { 'L' };
        self.0.push_str(&format!("{letter}{} {}", number(x), number(y)));
    }

    /// A vertical line of its own, up from a point.
    pub(super) fn stick(&mut self, x: f64, y: f64, up: f64) {
        self.0.push_str(&format!("M{} {}v{}", number(x), number(y), number(-up)));
    }

    /// A filled column that stands on a point.
    pub(super) fn column(&mut self, x: f64, y: f64, width: f64, up: f64) {
        let (x, y, width, up) = (number(x), number(y), number(width), number(-up));
        self.0.push_str(&format!("M{x} {y}h{width}v{up}h-{width}z"));
    }

    pub(super) fn close(&mut self) {
        self.0.push('Z');
    }
}

/// A coordinate with at most two places; 0 for what is no number.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "0".to_owned();
    }
    let text = format!("{:.2}", value.clamp(-100_000.0, 100_000.0));
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A part of a whole, from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "what is drawn has a thousand points at most")]
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) }
}
