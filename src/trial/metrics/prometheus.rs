//! Queries of a Prometheus.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value as Json;

use super::Values;
use super::absent::Absent;
use super::exposition::{Sample, series};
use super::proxy::Endpoint;
use super::read::Unread;
use crate::metric_selector::Selector;

const ACCEPT: &str = "application/json";

/// The frame of every answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status: String,
    #[serde(default)]
    data: Json,
    #[serde(default)]
    error: String,
}

/// The values of an instant vector by series, or of a scalar.
pub(super) async fn query(endpoint: &Endpoint, query: &str) -> Result<Values, Unread> {
    let samples = samples(endpoint, query).await?;
    let named = samples.into_iter().map(|sample| (series(&sample.name, &sample.labels), sample.value));
    Ok(named.collect())
}

/// What there is where a selector means nothing.
pub(super) async fn others(endpoint: &Endpoint, selector: &Selector) -> Result<Absent, Unread> {
    let by_name = format!("{{__name__={}}}", super::exposition::quoted(&selector.name));
    if let Some(absent) = Absent::same_metric(selector, &samples(endpoint, &by_name).await?) {
        return Ok(absent);
    }
    let names = ask(endpoint, "/api/v1/label/__name__/values").await?;
    let names: BTreeSet<_> = names.as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    Ok(Absent::other_metrics(&selector.name, &names))
}

async fn samples(endpoint: &Endpoint, query: &str) -> Result<Vec<Sample>, Unread> {
    let encoded = utf8_percent_encode(query, NON_ALPHANUMERIC);
    read(&ask(endpoint, &format!("/api/v1/query?query={encoded}")).await?)
}

/// The data of an answer.
async fn ask(endpoint: &Endpoint, path: &str) -> Result<Json, Unread> {
    let answer = endpoint.get_with_errors(path, ACCEPT, is_error).await?;
    let parsed: Result<Answer, _> = serde_json::from_slice(&answer.body);
    match parsed {
        Ok(answer) if answer.status == "success" => Ok(answer.data),
        Ok(answer) => Err(Unread::lasting(format!("Prometheus refuses the query: {}", answer.error))),
        Err(_) => Err(Unread::lasting(format!("{} does not answer as a Prometheus does", endpoint.told()))),
    }
}

/// Whether a refusal is Prometheus' own: then its message says why.
fn is_error(body: &[u8]) -> bool {
    serde_json::from_slice::<Answer>(body).is_ok_and(|answer| answer.status == "error" && !answer.error.is_empty())
}

/// The samples of a result.
fn read(data: &Json) -> Result<Vec<Sample>, Unread> {
    let unexpected =
        |what: &str| Err(Unread::lasting(format!("the query comes to {what}, expected a number or series of numbers")));
    match data["resultType"].as_str().unwrap_or_default() {
        "scalar" => match value(&data["result"]) {
            Some(value) => Ok(vec![Sample { name: String::new(), labels: Vec::new(), value }]),
            None => unexpected("no number"),
        },
        "vector" => {
            let mut samples = Vec::new();
            for item in data["result"].as_array().into_iter().flatten() {
                let Some(value) = value(&item["value"]) else { return unexpected("histograms") };
                let labels: BTreeMap<String, String> =
                    serde_json::from_value(item["metric"].clone()).unwrap_or_default();
                let name = labels.get("__name__").cloned().unwrap_or_default();
                let labels = labels.into_iter().filter(|(label, _)| label != "__name__");
                samples.push(Sample { name, labels: labels.collect(), value });
            }
            Ok(samples)
        }
        "matrix" => unexpected("a range of values (as in `x[5m]`)"),
        "string" => unexpected("a text"),
        _ => unexpected("something unknown"),
    }
}

/// The value of `[time, "value"]`.
fn value(pair: &Json) -> Option<f64> {
    // Go writes infinities as `+Inf`, which Rust reads too.
    pair.get(1)?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn vectors_and_scalars_are_read_and_nothing_else() {
        let item = |metric: Json, value: &str| json!({"metric": metric, "value": [1_700_000_000.1, value]});
        let vector = json!({"resultType": "vector", "result": [
            item(json!({"__name__": "a", "l": "v"}), "1.5"), item(json!({}), "+Inf"), item(json!({"l": "w"}), "NaN")]});
        let read_samples = read(&vector).unwrap();
        assert_eq!(series(&read_samples[0].name, &read_samples[0].labels), "a{l=\"v\"}");
        assert_eq!((read_samples[0].value, read_samples[1].value), (1.5, f64::INFINITY));
        assert!(read_samples[2].value.is_nan());
        let scalar = read(&json!({"resultType": "scalar", "result": [1, "2"]})).unwrap();
        assert_eq!(scalar, [Sample { name: String::new(), labels: Vec::new(), value: 2.0 }]);
        assert_eq!(read(&json!({"resultType": "vector", "result": []})).unwrap(), []);
        for (data, why) in [
            (json!({"resultType": "matrix", "result": []}), "a range of values"),
            (json!({"resultType": "string", "result": [1, "x"]}), "a text"),
            (json!({"resultType": "scalar", "result": [1, "x"]}), "no number"),
            (json!({"resultType": "vector", "result": [{"metric": {}, "histogram": []}]}), "histograms"),
            (json!(null), "something unknown"),
        ] {
            assert!(read(&data).unwrap_err().to_string().contains(why), "{data}");
        }
    }
}
