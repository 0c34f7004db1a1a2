//! Queries of a Prometheus.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::absent::Absent;
use super::exposition::{self, Sample, quoted, series};
use super::proxy::Endpoint;
use super::read::{Query, Reading, Scrape, Unread};
use crate::metric_selector::Selector;

const ACCEPT: &str = "application/json";

/// The frame of every answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<T> {
    status: String,
    data: Option<T>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_type: String,
    /// Go writes a list that was never filled as `null`.
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

/// What a target says of a metric.
#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "type")]
    kind: String,
}

/// What a query comes to. The type stands in front of the result, so that nothing has to be kept twice.
#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Scalar(Value),
    Vector(Vec<Item>),
    Matrix(IgnoredAny),
    String(IgnoredAny),
}

/// When it was asked, in seconds since 1970, and the value as Go writes it.
#[derive(Deserialize)]
struct Value(f64, String);

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    /// `None` of histograms.
    value: Option<Value>,
}

/// The values of an instant vector by series, or of a scalar. Of a selector also how old they are.
pub(super) async fn read(endpoint: &Endpoint, query: &Query) -> Result<Reading, Unread> {
    let (samples, doubt) = samples(endpoint, &query.text).await?;
    let may_fall = match &query.selector {
        Ok(selector) => is_no_counter(endpoint, &selector.name).await,
        // What PromQL computed.
        Err(_) => true,
    };
    let is_absent = samples.is_empty();
    let values = samples.into_iter().map(|sample| (series(&sample.name, &sample.labels), sample.value)).collect();
    let scrape = match &query.selector {
        // What is absent was not scraped; but its metric may have been.
        Ok(selector) if is_absent => Some(scrape(endpoint, &by_name(selector)).await?),
        Ok(_) => Some(scrape(endpoint, &query.text).await?),
        Err(_) => None,
    };
    Ok(Reading { values, may_fall, doubt, scrape, ..Reading::default() })
}

/// Whether a target says that a metric is none that only rises. Where nobody says anything it is held for a counter.
async fn is_no_counter(endpoint: &Endpoint, name: &str) -> bool {
    let path = format!("/api/v1/metadata?metric={}", utf8_percent_encode(name, NON_ALPHANUMERIC));
    let told = ask::<BTreeMap<String, Vec<Metadata>>>(endpoint, &path).await;
    told.is_ok_and(|(told, _)| told.values().flatten().any(|of| exposition::may_fall(&of.kind)))
}

/// When what a selector means was scraped last.
async fn scrape(endpoint: &Endpoint, selector: &str) -> Result<Scrape, Unread> {
    let of = |query: String| async move { ask::<Data>(endpoint, &path(&query)).await };
    let Data::Scalar(Value(asked, _)) = of("scalar(vector(0))".to_owned()).await?.0 else {
        return Err(Unread::lasting(format!("{} does not answer as a Prometheus does", endpoint.told())));
    };
    let data = of(format!("min(timestamp({selector}))")).await?.0;
    Ok(Scrape { asked, scraped: self::values(data)?.first().map(|sample| sample.value) })
}

fn by_name(selector: &Selector) -> String {
    format!("{{__name__={}}}", quoted(&selector.name))
}

/// What there is where a selector means nothing.
pub(super) async fn others(endpoint: &Endpoint, selector: &Selector) -> Result<Absent, Unread> {
    let (samples, doubt) = samples(endpoint, &by_name(selector)).await?;
    if let Some(doubt) = doubt {
        return Err(Unread::new(doubt));
    }
    if let Some(absent) = Absent::same_metric(selector, &samples) {
        return Ok(absent);
    }
    let names = ask::<BTreeSet<String>>(endpoint, "/api/v1/label/__name__/values").await?.0;
    Ok(Absent::other_metrics(&selector.name, &names))
}

fn path(query: &str) -> String {
    format!("/api/v1/query?query={}", utf8_percent_encode(query, NON_ALPHANUMERIC))
}

/// The samples, and why they may not be all.
async fn samples(endpoint: &Endpoint, query: &str) -> Result<(Vec<Sample>, Option<String>), Unread> {
    // What it has to say of the query itself begins so.
    const OF_QUERY: &str = "PromQL ";
    let (data, warnings) = ask::<Data>(endpoint, &path(query)).await?;
    let samples = values(data)?;
    match warnings.first() {
        Some(warning) if samples.is_empty() => {
            Err(Unread::new(format!("Prometheus found nothing, and warns: {warning}")))
        }
        // A store behind it did not answer, say.
        _ => {
            let warning = warnings.iter().find(|warning| !warning.starts_with(OF_QUERY));
            Ok((samples, warning.map(|warning| format!("Prometheus warns: {warning}"))))
        }
    }
}

/// The data of an answer, and the warnings.
async fn ask<T: DeserializeOwned>(endpoint: &Endpoint, path: &str) -> Result<(T, Vec<String>), Unread> {
    let answer = endpoint.get_with_errors(path, ACCEPT, is_error).await?;
    match serde_json::from_slice::<Answer<T>>(&answer.body) {
        Ok(Answer { status, data: Some(data), warnings, .. }) if status == "success" => {
            Ok((data, warnings.unwrap_or_default()))
        }
        Ok(answer) if answer.status == "error" => {
            Err(Unread::lasting(format!("Prometheus refuses the query: {}", answer.error)))
        }
        _ => Err(Unread::lasting(format!("{} does not answer as a Prometheus does", endpoint.told()))),
    }
}

/// Whether a refusal is Prometheus' own, and stays: then its message says why.
fn is_error(body: &[u8]) -> bool {
    const PASSING: [&str; 3] = ["timeout", "canceled", "unavailable"];
    serde_json::from_slice::<Answer<IgnoredAny>>(body).is_ok_and(|answer| {
        answer.status == "error" && !answer.error.is_empty() && !PASSING.contains(&answer.error_type.as_str())
    })
}

/// The samples of a result.
fn values(data: Data) -> Result<Vec<Sample>, Unread> {
    let unexpected =
        |what: &str| Err(Unread::lasting(format!("the query comes to {what}, expected a number or series of numbers")));
    // Go writes infinities as `+Inf`, which Rust reads too.
    let number = |Value(_, text): &Value| text.parse::<f64>().ok();
    match data {
        Data::Scalar(value) => match number(&value) {
            Some(value) => Ok(vec![Sample { name: String::new(), labels: Vec::new(), value }]),
            None => unexpected("no number"),
        },
        Data::Vector(items) => {
            let mut samples = Vec::with_capacity(items.len());
            for Item { mut metric, value } in items {
                let Some(value) = value.as_ref().and_then(number) else { return unexpected("histograms") };
                let name = metric.remove("__name__").unwrap_or_default();
                samples.push(Sample { name, labels: metric.into_iter().collect(), value });
            }
            Ok(samples)
        }
        Data::Matrix(_) => unexpected("a range of values (as in `x[5m]`)"),
        Data::String(_) => unexpected("a text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn read(data: Json) -> Result<Vec<Sample>, Unread> {
        values(serde_json::from_value(data).unwrap())
    }

    #[test]
    fn vectors_and_scalars_are_read_and_nothing_else() {
        let item = |metric: Json, value: &str| json!({"metric": metric, "value": [1_700_000_000.1, value]});
        let vector = json!({"resultType": "vector", "result": [
            item(json!({"__name__": "a", "l": "v"}), "1.5"), item(json!({}), "+Inf"), item(json!({"l": "w"}), "NaN")]});
        let read_samples = read(vector).unwrap();
        assert_eq!(series(&read_samples[0].name, &read_samples[0].labels), "a{l=\"v\"}");
        assert_eq!((read_samples[0].value, read_samples[1].value), (1.5, f64::INFINITY));
        assert!(read_samples[2].value.is_nan());
        let scalar = read(json!({"resultType": "scalar", "result": [1, "2"]})).unwrap();
        assert_eq!(scalar, [Sample { name: String::new(), labels: Vec::new(), value: 2.0 }]);
        assert_eq!(read(json!({"resultType": "vector", "result": []})).unwrap(), []);
        for (data, why) in [
            (json!({"resultType": "matrix", "result": []}), "a range of values"),
            (json!({"resultType": "string", "result": [1, "x"]}), "a text"),
            (json!({"resultType": "scalar", "result": [1, "x"]}), "no number"),
            (json!({"resultType": "vector", "result": [{"metric": {}, "histogram": []}]}), "histograms"),
        ] {
            assert!(read(data.clone()).unwrap_err().to_string().contains(why), "{data}");
        }
    }

    #[test]
    fn what_prometheus_refuses_stays_and_what_it_could_not_do_in_time_does_not() {
        let error = |kind: &str| json!({"status": "error", "errorType": kind, "error": "why"}).to_string();
        assert!(is_error(error("bad_data").as_bytes()));
        for passing in ["timeout", "canceled", "unavailable"] {
            assert!(!is_error(error(passing).as_bytes()), "{passing}");
        }
    }
}
