//! A score as a ring.

use super::super::look::grade;
use super::super::text::Html;
use super::svg::Drawing;

/// A score from 0 to 100 as a ring that is filled as far; an open one where it is not known. The figure is in its middle.
pub(in crate::report::html) fn ring(score: Option<u8>) -> Html {
    let label = match score {
        Some(score) => format!("health {score} of 100"),
        None => "health unknown".to_owned(),
    };
    let mut drawing = Drawing::stretched("ring", 40, 40, &label);
    drawing.raw(r#"<circle class="way" cx="20" cy="20" r="16" pathLength="100"/>"#);
    if let Some(score) = score.map(|score| score.min(100)).filter(|score| *score > 0) {
        let grade = grade(Some(score));
        drawing.raw(&format!(
            r#"<circle class="{grade}" cx="20" cy="20" r="16" pathLength="100" stroke-dasharray="{score} 100" transform="rotate(-90 20 20)"/>"#
        ));
    }
    let text = score.map_or_else(|| "–".to_owned(), |score| score.min(100).to_string());
    drawing.raw(&format!(r#"<text x="20" y="24.5" text-anchor="middle">{text}</text>"#));
    drawing.done()
}
