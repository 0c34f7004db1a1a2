//! Queries of a Prometheus that is made up of what it tells at each question.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Query as Parameters, State};
use axum::http::Uri;
use serde_json::{Value as Json, json};

use super::*;

/// What it knows at one moment. Each question for the metric leads to the next moment; the last one stays.
#[derive(Clone, Copy, Debug)]
struct Moment {
    now: u32,
    scraped: u32,
    value: f64,
}

const fn moment(now: u32, scraped: u32, value: f64) -> Moment {
    Moment { now, scraped, value }
}

#[derive(Clone)]
struct Prometheus {
    /// What is still to come, the next one last.
    moments: Arc<Mutex<Vec<Moment>>>,
    present: Arc<Mutex<Moment>>,
    /// What the metric is said to be; nothing, if it is not known.
    kind: &'static str,
    warnings: Json,
}

impl Prometheus {
    async fn serve(moments: &[Moment], kind: &'static str, warnings: Json) -> Meter {
        let present = Arc::new(Mutex::new(moments[0]));
        let moments = Arc::new(Mutex::new(moments.iter().rev().copied().collect()));
        let app = Router::new().fallback(answer).with_state(Self { moments, present, kind, warnings });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        crate::http_client::choose_cryptography();
        let mut config = kube::Config::new(format!("http://{address}").parse().unwrap());
        config.default_retry = false;
        let source = MetricsSource::Prometheus("monitoring/prometheus:web".to_owned());
        Meter::new(kube::Client::try_from(config).unwrap(), source)
    }
}

async fn answer(
    State(prometheus): State<Prometheus>,
    uri: Uri,
    Parameters(asked): Parameters<BTreeMap<String, String>>,
) -> String {
    if uri.path().ends_with("/api/v1/metadata") {
        let known = json!({asked["metric"].clone(): [{"type": prometheus.kind, "help": "", "unit": ""}]});
        let data = if prometheus.kind.is_empty() { json!({}) } else { known };
        return json!({"status": "success", "data": data}).to_string();
    }
    let query = asked["query"].as_str();
    let is_about_it = !query.starts_with("scalar(vector") && !query.starts_with("min(timestamp");
    if is_about_it && let Some(next) = prometheus.moments.lock().unwrap().pop() {
        *prometheus.present.lock().unwrap() = next;
    }
    let Moment { now, scraped, value } = *prometheus.present.lock().unwrap();
    let vector = |metric: Json, value: String| json!({"resultType": "vector", "result": [{"metric": metric, "value": [now, value]}]});
    let data = if is_about_it {
        vector(json!({"__name__": query}), value.to_string())
    } else if query.starts_with("scalar") {
        json!({"resultType": "scalar", "result": [now, "0"]})
    } else {
        vector(json!({}), scraped.to_string())
    };
    json!({"status": "success", "data": data, "warnings": prometheus.warnings}).to_string()
}

fn check(query: &str, max: Option<f64>, increase: Option<f64>, wait: u64) -> Check {
    let (query, wait) = (query.to_owned(), Some(Duration::from_secs(wait)));
    Check::Metrics { query, min: None, max, equals: None, increase, max_increase: None, wait }
}

/// What becomes of a check, whose metric is read before only if it compares.
async fn judged(moments: &[Moment], kind: &'static str, warnings: Json, check: Check) -> Answer {
    let meter = Prometheus::serve(moments, kind, warnings).await;
    let compares = matches!(check, Check::Metrics { increase: Some(_), .. });
    let checks = [check];
    let before = if compares { Before::read(&meter, &checks, "").await } else { Before::default() };
    ask(&meter, &checks[0], "", &before, &CancellationToken::new()).await
}

fn inconclusive(answer: Answer) -> String {
    match answer {
        Answer::Inconclusive(why) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_gauge_that_falls_falls_and_what_nobody_knows_is_a_counter() {
    let moments = [moment(10, 9, 8.0), moment(11, 11, 8.0), moment(20, 19, 5.0), moment(21, 21, 5.0)];
    for (kind, told) in [("gauge", "rose by -3 (8 -> 5)"), ("summary", "rose by -3 (8 -> 5)")] {
        let answer = judged(&moments, kind, json!([]), check("queue", None, Some(1.0), 2)).await;
        let Answer::Failed { reason, message, .. } = answer else { panic!("{answer:?}") };
        assert!(reason == "MetricDidNotRise" && message.contains(told), "{message}");
    }
    for kind in ["counter", ""] {
        let answer = judged(&moments, kind, json!([]), check("queue", None, Some(6.0), 1)).await;
        let why = inconclusive(answer);
        assert!(why.starts_with("a counter was reset: what it had counted is lost; rose by 5 (8 -> 5"), "{why}");
    }
}

#[tokio::test]
async fn a_gauge_is_not_judged_by_what_was_scraped_before_the_example_ended() {
    let old = moment(20, 19, 9.0);
    // High when it was scraped last, and low after the example's end.
    let fell = [old, moment(21, 19, 9.0), moment(22, 21, 2.0)];
    let answer = judged(&fell, "gauge", Json::Null, check("queue", Some(3.0), None, 3)).await;
    assert!(matches!(answer, Answer::Passed { value: Some(2.0), .. }), "{answer:?}");
    let least = Check::Metrics {
        query: "queue".to_owned(),
        min: Some(5.0),
        max: None,
        equals: None,
        increase: None,
        max_increase: None,
        wait: Some(Duration::from_secs(1)),
    };
    for check in [check("queue", Some(3.0), None, 1), least] {
        let why = inconclusive(judged(&[old], "gauge", json!([]), check).await);
        assert!(why.starts_with("the last scrape is older than the example's end; is 9"), "{why}");
    }
    // What only rises is no lower now.
    let answer = judged(&[old], "counter", json!([]), check("queue", Some(3.0), None, 60)).await;
    assert!(matches!(answer, Answer::Failed { reason: "MetricTooHigh", .. }), "{answer:?}");
}

#[tokio::test]
async fn a_second_check_of_the_same_query_takes_nothing_from_the_first() {
    // The first answer is of the time before the last example ended; `increase` waits for the next scrape.
    let moments = [moment(10, 9, 5.0), moment(10, 9, 5.0), moment(11, 11, 7.0)];
    let meter = Prometheus::serve(&moments, "counter", json!([])).await;
    let checks = [check("jobs_total", None, Some(1.0), 1), check("jobs_total", Some(9.0), None, 1)];
    let before = Before::read(&meter, &checks, "").await;
    let reading = before.0["jobs_total"].as_ref().unwrap();
    assert_eq!(reading.values["jobs_total"].to_bits(), 7.0_f64.to_bits());
}

#[tokio::test]
async fn an_answer_in_part_leaves_open_what_only_seems_to_hold() {
    let fresh = [moment(20, 19, 2.0), moment(21, 21, 2.0)];
    let at_most = || check("jobs_total", Some(3.0), None, 1);
    let missing = json!(["store sidecar-1 unavailable"]);
    let why = inconclusive(judged(&fresh, "counter", missing.clone(), at_most()).await);
    assert!(why.starts_with("Prometheus warns: store sidecar-1 unavailable; is 2"), "{why}");
    // Of what PromQL makes of a part nothing can be told.
    let why = inconclusive(judged(&fresh, "", missing, check("sum(jobs_total)", Some(1.0), None, 1)).await);
    assert!(why.starts_with("Prometheus warns: store sidecar-1 unavailable; is 2"), "{why}");
    for harmless in [json!(["PromQL warning: metric might not be a counter"]), Json::Null] {
        let answer = judged(&fresh, "counter", harmless, at_most()).await;
        assert!(matches!(answer, Answer::Passed { .. }), "{answer:?}");
    }
}
