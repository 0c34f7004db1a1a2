//! The reader against an API server on loopback that answers as a real one's service proxy does.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::*;

/// What the proxy answers, in turn; the last answer stays.
#[derive(Clone, Default)]
struct Proxy {
    answers: Arc<Mutex<Vec<(u16, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
    /// The `EndpointSlices` and the Service that it may see; nothing may be seen of them otherwise.
    cluster: Arc<Mutex<Option<[serde_json::Value; 2]>>>,
    /// How the first questions for `EndpointSlices` are refused.
    refused: Arc<Mutex<Vec<u16>>>,
}

impl Proxy {
    async fn serve(answers: &[(u16, &str)]) -> (Self, kube::Client) {
        let proxy = Self::default();
        let all: Vec<_> = answers.iter().rev().map(|(code, body)| (*code, (*body).to_owned())).collect();
        *proxy.answers.lock().unwrap() = all;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(answer).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        crate::http_client::choose_cryptography();
        let mut config = kube::Config::new(format!("http://{address}").parse().unwrap());
        // As `cluster::existing` has it: what is tried again is decided here.
        config.default_retry = false;
        (proxy, kube::Client::try_from(config).unwrap())
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(State(proxy): State<Proxy>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    if let Some(code) = proxy.refused.lock().unwrap().pop_if(|_| path.ends_with("/endpointslices")) {
        return (StatusCode::from_u16(code).unwrap(), status(code, "not now")).into_response();
    }
    if path.ends_with("/endpointslices") || path == "/api/v1/namespaces/kubeflow/services/op" {
        let cluster = proxy.cluster.lock().unwrap().clone();
        let [slices, service] = cluster.map_or([None, None], |cluster| cluster.map(Some));
        let found = if path.ends_with("/endpointslices") { slices } else { service };
        let refusal = status(403, "endpointslices is forbidden");
        return match found {
            Some(found) => (StatusCode::OK, found.to_string()).into_response(),
            None => (StatusCode::FORBIDDEN, refusal).into_response(),
        };
    }
    let accept = headers["accept"].to_str().unwrap();
    assert!(accept.starts_with("text/plain;") && accept.contains("application/openmetrics-text"), "{accept}");
    proxy.asked.lock().unwrap().push(uri.to_string());
    let mut answers = proxy.answers.lock().unwrap();
    let (code, body) = if answers.len() > 1 { answers.pop().unwrap() } else { answers[0].clone() };
    let location = [("location", "/elsewhere")];
    (StatusCode::from_u16(code).unwrap(), location, body).into_response()
}

fn check(query: &str, increase: Option<f64>, max: Option<f64>, wait: Duration) -> Check {
    let (query, wait) = (query.to_owned(), Some(wait));
    Check::Metrics { query, min: None, max, equals: None, increase, max_increase: None, wait }
}

const AT_ONCE: Duration = Duration::ZERO;

fn service(port: &str) -> MetricsSource {
    MetricsSource::Service { service: format!("kubeflow/op:{port}"), path: "/metrics?a=b c".to_owned() }
}

/// Reads before and after, as an attempt does.
async fn asked(answers: &[(u16, &str)], check: Check) -> (Answer, Vec<String>) {
    let (proxy, client) = Proxy::serve(answers).await;
    let meter = Meter::new(client, service("8080"));
    let checks = [check];
    let before = Before::read(&meter, &checks, "ev-1").await;
    let answer = ask(&meter, &checks[0], "ev-1", &before, &CancellationToken::new()).await;
    (answer, proxy.asked())
}

fn status(code: u16, message: &str) -> String {
    serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code})
        .to_string()
}

fn inconclusive(answer: Answer) -> String {
    match answer {
        Answer::Inconclusive(why) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_series_that_appears_late_is_waited_for() {
    let jobs = "jobs_total{n=\"ev-2\"} 7\njobs_total{n=\"ev-1\",k=\"b\"} 1\njobs_total{k=\"a\",n=\"ev-1\"} 1\n";
    let answers = [(200, "other 1\n"), (200, "other 1\n"), (200, jobs)];
    let check = check("jobs_total{n=\"{namespace}\"}", Some(2.0), None, Duration::from_secs(30));
    let (answer, asked) = asked(&answers, check).await;
    let message = "rose by 2 (0 -> 2) (the sum of 2 series): jobs_total{n=\"ev-1\"}".to_owned();
    assert_eq!(answer, Answer::Passed { message, value: Some(2.0) });
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0], "/api/v1/namespaces/kubeflow/services/op:8080/proxy/metrics?a=b%20c");
}

#[tokio::test]
async fn what_does_not_rise_fails_with_what_was_observed() {
    let (answer, _) = asked(&[(200, "jobs_total 3\n")], check("jobs_total", Some(1.0), None, AT_ONCE)).await;
    let Answer::Failed { reason, message, value, .. } = answer else { panic!("{answer:?}") };
    assert_eq!((reason, value), ("MetricDidNotRise", Some(0.0)));
    assert!(message.ends_with("rose by 0 (3 -> 3), expected at least 1: jobs_total"), "{message}");
}

#[tokio::test]
async fn a_series_that_is_absent_is_told_apart_from_zero() {
    let there = [(200, "jobs_created_total{n=\"a\"} 3\n")];
    let missing = |query, increase, max| asked(&there, check(query, increase, max, AT_ONCE));
    let (answer, _) = missing("jobs_creatd_total", Some(1.0), None).await;
    let Answer::Failed { reason, message, hint, value } = answer else { panic!("{answer:?}") };
    assert_eq!((reason, value, hint.as_str()), ("MetricAbsent", None, "did you mean `jobs_created_total`?"));
    assert!(message.starts_with("no series jobs_creatd_total; there are: jobs_created_total"), "{message}");
    // A bound from above is met by what counted nothing, if it is known that the metric is that.
    let (answer, _) = missing("jobs_created_total{n=\"{namespace}\"}", None, Some(0.0)).await;
    let Answer::Passed { message, value } = answer else { panic!("{answer:?}") };
    assert!(message.starts_with("counted as 0: ") && value == Some(0.0), "{message}");
    for query in ["jobs_created_total{n=\"b\"}", "jobs_created_total{m=\"{namespace}\"}", "jobs_failed_total"] {
        assert!(inconclusive(missing(query, None, Some(0.0)).await.0).contains("or be misspelt"), "{query}");
    }
}

#[tokio::test]
async fn a_bound_from_above_has_to_hold_for_the_whole_wait() {
    let answers = [(200, "jobs_total 3\n"), (200, "jobs_total 3\n"), (200, "jobs_total 4\n")];
    let (answer, asked) = asked(&answers, check("jobs_total", None, Some(3.0), Duration::from_secs(60))).await;
    let Answer::Failed { reason, message, value, .. } = answer else { panic!("{answer:?}") };
    assert_eq!((reason, message.as_str(), value), ("MetricTooHigh", "is 4, expected at most 3: jobs_total", Some(4.0)));
    assert_eq!(asked.len(), 3, "what is too high once is not waited for any longer");
}

#[tokio::test]
async fn without_a_wait_a_bound_from_above_has_to_hold_for_a_moment() {
    let (proxy, client) = Proxy::serve(&[(200, "jobs_total 3\n")]).await;
    let meter = Meter::new(client, service("8080"));
    let Check::Metrics { query, max, .. } = check("jobs_total", None, Some(3.0), AT_ONCE) else { unreachable!() };
    let check = Check::Metrics { query, min: None, max, equals: None, increase: None, max_increase: None, wait: None };
    let begun = Instant::now();
    let answer = ask(&meter, &check, "", &Before::default(), &CancellationToken::new()).await;
    assert!(matches!(answer, Answer::Passed { .. }), "{answer:?}");
    assert!(begun.elapsed() >= SETTLE && proxy.asked().len() >= 2, "{:?}", proxy.asked());
}

#[tokio::test]
async fn what_an_operator_that_restarted_had_counted_is_lost() {
    let at = |jobs: u64, started: u64| format!("jobs_total{{n=\"x\"}} {jobs}\nprocess_start_time_seconds {started}\n");
    let (before, same, anew) = (at(3, 100), at(3, 100), at(3, 200));
    for (after, is_known) in [(&same, true), (&anew, false)] {
        let answers = [(200, before.as_str()), (200, after.as_str())];
        let (most, _) = asked(&answers, check("jobs_total", None, Some(3.0), AT_ONCE)).await;
        let (least, _) = asked(&answers, check("jobs_total", Some(1.0), None, AT_ONCE)).await;
        if is_known {
            assert!(matches!((&most, &least), (Answer::Passed { .. }, Answer::Failed { .. })), "{most:?} {least:?}");
        } else {
            for answer in [most, least] {
                assert!(inconclusive(answer).starts_with("the operator restarted: what it had counted is lost; "));
            }
        }
    }
}

#[tokio::test]
async fn a_line_that_may_be_of_the_metric_and_can_t_be_read_leaves_it_open() {
    let text = "other 1\njobs_total{n=\"a\" x\njobs_total{n=\"b\"} 1\n";
    for (query, most) in [("jobs_total", Some(5.0)), ("jobs_total{n=\"c\"}", None)] {
        let increase = most.is_none().then_some(1.0);
        let why = inconclusive(asked(&[(200, text)], check(query, increase, most, AT_ONCE)).await.0);
        assert!(why.starts_with("line 2 is no sample: "), "{query}: {why}");
    }
    let (answer, _) = asked(&[(200, text)], check("other", None, Some(1.0), AT_ONCE)).await;
    assert!(matches!(answer, Answer::Passed { .. }), "{answer:?}");
}

#[tokio::test]
async fn what_is_no_number_and_what_there_is_nothing_of_is_inconclusive() {
    let why = inconclusive(asked(&[(200, "up NaN\n")], check("up", None, Some(1.0), AT_ONCE)).await.0);
    assert_eq!(why, "is NaN, which can't be compared: up");
    for body in ["", "# HELP up Whether it is up\n"] {
        let why = inconclusive(asked(&[(200, body)], check("up", None, Some(1.0), AT_ONCE)).await.0);
        assert!(why.contains("there is not a single one"), "{why}");
    }
}

#[tokio::test]
async fn several_pods_behind_a_service_are_each_asked_and_summed_up() {
    let (proxy, client) = Proxy::serve(&[(200, "jobs_total 3\n"), (200, "jobs_total 4\n")]).await;
    let [slices, found] = behind(&["op-a", "op-b"]);
    *proxy.cluster.lock().unwrap() = Some([slices.clone(), found]);
    let meter = Meter::new(client.clone(), service("8080"));
    let reading = meter.read_one(&Query::new("jobs_total", "")).await.unwrap();
    let each = [("op-a\0jobs_total".to_owned(), 3.0), ("op-b\0jobs_total".to_owned(), 4.0)];
    assert_eq!(reading.values, Values::from(each));
    assert_eq!(reading.started.keys().collect::<Vec<_>>(), ["op-a", "op-b"]);
    let pods = "/api/v1/namespaces/kubeflow/pods";
    let expected = ["op-a", "op-b"].map(|pod| format!("{pods}/{pod}:9090/proxy/metrics?a=b%20c"));
    assert_eq!(proxy.asked(), expected);
    // A port that nobody knows must not lead to any one of them.
    *proxy.cluster.lock().unwrap() = Some([slices, serde_json::json!({"spec": {"ports": []}})]);
    let unread = meter.read_one(&Query::new("jobs_total", "")).await.unwrap_err().to_string();
    assert!(unread.starts_with("2 pods are behind Service kubeflow/op:8080, and each counts for itself"), "{unread}");
}

/// The `EndpointSlices` and the Service that these pods are behind.
fn behind(pods: &[&str]) -> [serde_json::Value; 2] {
    let endpoint = |name: &&str| serde_json::json!({"conditions": {"ready": true}, "targetRef": {"name": name}});
    let endpoints: Vec<_> = pods.iter().map(endpoint).collect();
    let ports = serde_json::json!([{"name": "web", "port": 8443}, {"name": "metrics", "port": 9090}]);
    [
        serde_json::json!({"items": [{"endpoints": endpoints, "ports": ports}]}),
        serde_json::json!({"spec": {"ports": [{"name": "metrics", "port": 8080}]}}),
    ]
}

/// What becomes of a check where these pods are behind the Service before and after, and answer in turn.
async fn of_pods(before: &[&str], after: &[&str], answers: &[(u16, &str)], check: Check) -> Answer {
    let (proxy, client) = Proxy::serve(answers).await;
    let meter = Meter::new(client, service("8080"));
    *proxy.cluster.lock().unwrap() = Some(behind(before));
    let checks = [check];
    let read = Before::read(&meter, &checks, "").await;
    *proxy.cluster.lock().unwrap() = Some(behind(after));
    ask(&meter, &checks[0], "", &read, &CancellationToken::new()).await
}

fn rises_at_most(query: &str, most: f64) -> Check {
    let (query, max_increase, wait) = (query.to_owned(), Some(most), Some(AT_ONCE));
    Check::Metrics { query, min: None, max: None, equals: None, increase: None, max_increase, wait }
}

#[tokio::test]
async fn one_of_several_pods_that_restarts_does_not_charge_the_others_with_all_that_they_ever_counted() {
    let answers = ["errors_total 100\n", "errors_total 40\n", "errors_total 0\n", "errors_total 40\n"];
    let (answers, pods) = (answers.map(|body| (200, body)), ["op-a", "op-b"]);
    for check in [check("errors_total", Some(40.0), None, AT_ONCE), rises_at_most("errors_total", 0.0)] {
        let why = inconclusive(of_pods(&pods, &pods, &answers, check).await);
        assert!(why.starts_with("a counter was reset: what it had counted is lost; rose by 0 (140 -> 40"), "{why}");
    }
}

#[tokio::test]
async fn what_a_pod_that_is_new_had_counted_before_is_not_charged_to_the_example() {
    let answers = |a: &'static str| [(200, "errors_total 3\n"), (200, a), (200, "errors_total 4\n")];
    let joins = |a, check| async move { of_pods(&["op-a"], &["op-a", "op-b"], &answers(a), check).await };
    for check in [check("errors_total", Some(4.0), None, AT_ONCE), rises_at_most("errors_total", 0.0)] {
        let why = inconclusive(joins("errors_total 3\n", check).await);
        assert!(
            why.starts_with("a pod of the operator is new: what it had counted before is not known; rose by 4"),
            "{why}"
        );
    }
    // What the other one counted is enough.
    let answer = joins("errors_total 7\n", check("errors_total", Some(4.0), None, AT_ONCE)).await;
    assert!(matches!(answer, Answer::Passed { .. }), "{answer:?}");
    let answer = joins("errors_total 7\n", rises_at_most("errors_total", 0.0)).await;
    assert!(matches!(answer, Answer::Failed { reason: "MetricRose", .. }), "{answer:?}");
}

#[tokio::test]
async fn a_pod_is_never_asked_for_all_since_they_could_not_be_listed_at_once() {
    let (proxy, client) = Proxy::serve(&[(200, "jobs_total 3\n"), (200, "jobs_total 4\n")]).await;
    *proxy.cluster.lock().unwrap() = Some(behind(&["op-a", "op-b"]));
    let meter = Meter::new(client, service("8080"));
    *proxy.refused.lock().unwrap() = vec![500];
    assert_eq!(meter.read_one(&Query::new("jobs_total", "")).await.unwrap().values.len(), 2);
    *proxy.refused.lock().unwrap() = vec![400];
    let unread = meter.read_one(&Query::new("jobs_total", "")).await.unwrap_err();
    assert!(unread.to_string().starts_with("the pods behind Service kubeflow/op:8080 can't be listed"), "{unread}");
    assert!(!unread.is_final);
}

#[tokio::test]
async fn a_pod_that_is_gone_and_a_connection_that_breaks_once_are_asked_again() {
    let gone = status(404, "pods \"op-b\" not found");
    let up = (200, "jobs_total 1\n");
    let answers = [up, up, up, (404, gone.as_str()), up];
    let check = check("jobs_total", None, Some(2.0), Duration::from_secs(2));
    let pods = ["op-a", "op-b"];
    let answer = of_pods(&pods, &pods, &answers, check.clone()).await;
    assert!(matches!(answer, Answer::Passed { .. }), "{answer:?}");
    let (_, client) = Proxy::serve(&[up, (503, &status(503, "error trying to reach service: EOF")), up]).await;
    let meter = Meter::new(client, service("8080"));
    for _ in 0..2 {
        assert_eq!(meter.read_one(&Query::new("jobs_total", "")).await.unwrap().values.len(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_asked_for_once() {
    let long = format!("a{{l=\"{}\"}} 1\n", "x".repeat(exposition::MAX_BODY));
    let (answer, asked) = asked(&[(200, &long)], check("up", None, Some(1.0), Duration::from_secs(60))).await;
    let why = inconclusive(answer);
    assert!(why.contains("serves more than 32 MiB at /metrics"), "{why}");
    assert_eq!(asked.len(), 2, "once before, once after");
}

#[tokio::test]
async fn a_line_that_could_not_be_read_before_leaves_a_rise_open() {
    let answers = [(200, "jobs_total{n=\"a\" x\nother 1\n"), (200, "jobs_total{n=\"a\"} 9\nother 1\n")];
    for check in [check("jobs_total", Some(1.0), None, AT_ONCE), rises_at_most("jobs_total", 0.0)] {
        let why = inconclusive(asked(&answers, check).await.0);
        assert!(why.starts_with("before the example: line 1 is no sample: "), "{why}");
    }
    let (answer, _) = asked(&answers, check("jobs_total", None, Some(10.0), AT_ONCE)).await;
    assert!(matches!(answer, Answer::Passed { .. }), "nothing is compared: {answer:?}");
}

#[tokio::test]
async fn https_is_found_out_by_a_page_that_says_it_below_its_first_line() {
    let page = "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n";
    let (_, client) = Proxy::serve(&[(400, page), (200, "up 1\n")]).await;
    let reading = Meter::new(client, service("8080")).read_one(&Query::new("up", "")).await.unwrap();
    assert_eq!(reading.values.len(), 1);
}

#[tokio::test]
async fn https_is_found_out_and_remembered() {
    let tls = (400, "Client sent an HTTP request to an HTTPS server.\n");
    let (proxy, client) = Proxy::serve(&[tls, (200, "up 1\n")]).await;
    let meter = Meter::new(client.clone(), service("8080"));
    for _ in 0..2 {
        assert_eq!(meter.read_one(&Query::new("up", "")).await.unwrap().values.get("up"), Some(&1.0));
    }
    let paths: Vec<_> = proxy.asked().iter().map(|uri| uri.split('/').nth(6).unwrap().to_owned()).collect();
    assert_eq!(paths, ["op:8080", "https:op:8080", "https:op:8080"]);
    let no_tls = status(503, "error trying to reach service: http: server gave HTTP response to HTTPS client");
    let (proxy, client) = Proxy::serve(&[(503, &no_tls), (200, "up 1\n")]).await;
    Meter::new(client, service("https-metrics")).read_one(&Query::new("up", "")).await.unwrap();
    let asked = proxy.asked();
    assert!(asked[0].contains("/https:op:https-metrics/") && asked[1].contains("/op:https-metrics/"), "{asked:?}");
}

#[tokio::test]
async fn what_can_t_be_read_is_inconclusive_and_says_why() {
    let forbidden = status(403, "services \"op:8080\" is forbidden: User \"x\" cannot get resource \"services/proxy\"");
    let absent = status(404, "services \"op\" not found");
    let port = status(503, "no service port 8080 found for service \"op\"");
    for (code, body, words) in [
        (401, "Unauthorized", "asks for credentials of its own (HTTP 401)"),
        (403, "Authorization denied", "asks for credentials of its own (HTTP 403)"),
        (403, forbidden.as_str(), "may not `get` `services/proxy` in the namespace kubeflow"),
        (404, absent.as_str(), "there is no Service kubeflow/op:8080"),
        (404, "404 page not found", "serves nothing at /metrics"),
        (503, port.as_str(), "no service port 8080"),
        (200, "<html><body>hello</body></html>", "serves no metrics at /metrics"),
        (302, "", "sends on from /metrics?a=b c to /elsewhere (HTTP 302)"),
        (204, "", "serves no metrics at /metrics"),
        (418, "short and stout", "HTTP 418 I'm a teapot: short and stout"),
    ] {
        for increase in [Some(1.0), None] {
            let check = check("up", increase, increase.is_none().then_some(1.0), Duration::from_secs(60));
            let why = inconclusive(asked(&[(code, body)], check).await.0);
            assert!(why.contains(words), "{code} {body}: {why}");
            assert_eq!(why.starts_with("the metric could not be read before the example"), increase.is_some(), "{why}");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again() {
    let busy = status(503, "no endpoints available for service \"op\"");
    let answers = [(503, busy.as_str()), (429, "slow down"), (200, "up 1\n")];
    let (answer, asked) = asked(&answers, check("up", None, Some(1.0), AT_ONCE)).await;
    assert!(matches!(answer, Answer::Passed { .. }), "{answer:?}");
    // Three times before, and once after.
    assert_eq!(asked.len(), 4);
}

#[tokio::test]
async fn a_run_that_is_cancelled_is_not_waited_for() {
    let (_, client) = Proxy::serve(&[(200, "up 0\n")]).await;
    let meter = Meter::new(client, service("8080"));
    let (check, cancel) = (check("up", None, Some(1.0), Duration::from_secs(600)), CancellationToken::new());
    let before = Before::default();
    let (answer, ()) = tokio::join!(ask(&meter, &check, "", &before, &cancel), async { cancel.cancel() });
    assert_eq!(inconclusive(answer), "the run was cancelled, or its deadline came");
}

#[test]
fn a_query_that_names_no_namespace_is_shared() {
    let of = |query: &str| check(query, Some(1.0), None, AT_ONCE);
    assert!(!are_shared(&[of("a{n=\"{namespace}\"}"), Check::Cel("true".to_owned())]));
    assert!(are_shared(&[of("a{n=\"{namespace}\"}"), of("a")]));
    assert!(are_shared(&[of("a{n!=\"{namespace}\"}")]), "it is about all others");
}
