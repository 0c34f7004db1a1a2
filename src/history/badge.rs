//! The badge: what <https://shields.io/badges/endpoint-badge> reads.

use serde_json::json;

use crate::report::Report;

/// What stands left of the score.
const LABEL: &str = "examples";

/// The badge of a report, as JSON: the score of the repository, or `unknown` while there is none.
#[must_use]
pub fn badge(report: &Report) -> String {
    let score = report.health.as_ref().and_then(|health| health.score);
    let message = score.map_or_else(|| "unknown".to_owned(), |score| score.to_string());
    let color = color(score);
    format!("{}\n", json!({"schemaVersion": 1, "label": LABEL, "message": message, "color": color}))
}

fn color(score: Option<u8>) -> &'static str {
    match score {
        None => "lightgrey",
        Some(90..) => "brightgreen",
        Some(75..) => "green",
        Some(60..) => "yellow",
        Some(40..) => "orange",
        Some(_) => "red",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Overall, Run};

    fn of(health: Option<Overall>) -> String {
        badge(&Report { health, ..Report::new(Run::default(), vec![], vec![], vec![], &[]) })
    }

    #[test]
    fn a_badge_says_the_score_and_an_unknown_one_is_no_praise() {
        let scored = |score| Some(Overall { score, ..Overall::default() });
        let expected = |message: &str, color: &str| {
            format!(r#"{{"schemaVersion":1,"label":"examples","message":"{message}","color":"{color}"}}"#) + "\n"
        };
        assert_eq!(of(scored(Some(92))), expected("92", "brightgreen"));
        assert_eq!(of(scored(Some(0))), expected("0", "red"));
        assert_eq!(of(scored(None)), expected("unknown", "lightgrey"));
        assert_eq!(of(None), expected("unknown", "lightgrey"));
    }
}
