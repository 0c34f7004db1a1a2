//! `report.json`.

use super::Report;
use crate::error::Error;

/// The only `schemaVersion` that there is.
pub const SCHEMA_VERSION: u32 = 1;

/// The report as indented JSON, with a line end at its end.
///
/// # Errors
/// [`Error::Internal`] if it can't be written, which plain data does not meet.
pub fn render(report: &Report) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(report).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(text + "\n")
}

/// The report that [`render`] wrote.
///
/// # Errors
/// Says what was found and what was expected, in one line.
pub fn parse(text: &str) -> Result<Report, String> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let version = &value["schemaVersion"];
    if *version != SCHEMA_VERSION {
        return Err(format!(
            "`schemaVersion` is {version}, expected {SCHEMA_VERSION}: merge reports with the version of example-validator that wrote them"
        ));
    }
    // From the text, not from the value: serde then says where it stumbled.
    serde_json::from_str(text).map_err(|error| format!("not a report of example-validator: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use serde_json::json;

    #[test]
    fn the_fields_are_those_of_the_contract() {
        let text = render(&sample::report()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(keys(&value), "schemaVersion tool run clusters images results health summary");
        assert_eq!(keys(&value["tool"]), "name version schemas");
        assert_eq!(keys(&value["run"]), "id startedAt durationMs repository commit event pullRequest simulated shard");
        assert_eq!(
            keys(&value["clusters"][0]),
            "kubernetes provider outcome cause startedAt operatorStartedAt phases checks"
        );
        assert_eq!(keys(&value["images"][0]), "name digest cacheKey cache startedAt buildMs");
        assert_eq!(keys(&value["summary"]), "passed failed timedOut flaky skipped errored conclusion");
        let row = &value["results"][0];
        assert_eq!(
            keys(row),
            "example framework objects support tier kubernetes outcome quarantined durationMs cause reason attempts checks \
             diagnostics resources log health evidence"
        );
        assert_eq!(keys(&row["cause"]), "class reason message hint object file line");
        assert_eq!(keys(&row["attempts"][0]), "outcome namespace startedAt phases");
        assert_eq!(keys(&row["checks"][0]), "check outcome message value");
        assert_eq!(keys(&row["diagnostics"][0]), "code severity message help file line column");
        assert_eq!((&row["outcome"], &row["cause"]["class"]), (&json!("timed-out"), &json!("timeout")));
    }

    #[test]
    fn a_report_is_read_back_as_it_was() {
        let report = sample::report();
        assert_eq!(parse(&render(&report).unwrap()), Ok(report));
    }

    #[test]
    fn what_is_not_a_report_is_refused_with_what_was_expected() {
        assert!(parse("{").unwrap_err().starts_with("not JSON: "));
        assert!(parse(r#"{"schemaVersion": 2}"#).unwrap_err().contains("is 2, expected 1"));
        assert!(parse("[]").unwrap_err().contains("is null, expected 1"));
        assert!(parse(r#"{"schemaVersion": 1}"#).unwrap_err().contains("missing field `tool`"));
    }
}
