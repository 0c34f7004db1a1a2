//! The reader against an API server on loopback that answers as a real one's service proxy does.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};

use super::*;

/// What the proxy answers, in turn; the last answer stays.
#[derive(Clone, Default)]
struct Proxy {
    answers: Arc<Mutex<Vec<(u16, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
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

async fn answer(State(proxy): State<Proxy>, uri: Uri, headers: HeaderMap) -> (StatusCode, String) {
    assert!(headers["accept"].to_str().unwrap().contains("text/plain;version=0.0.4"), "{headers:?}");
    proxy.asked.lock().unwrap().push(uri.to_string());
    let mut answers = proxy.answers.lock().unwrap();
    let (code, body) = if answers.len() > 1 { answers.pop().unwrap() } else { answers[0].clone() };
    (StatusCode::from_u16(code).unwrap(), body)
}

fn check(query: &str, increase: Option<f64>, max: Option<f64>, wait: Duration) -> Check {
    let (query, wait) = (query.to_owned(), Some(wait));
    Check::Metrics { query, min: None, max, equals: None, increase, max_increase: None, wait }
}

const AT_ONCE: Duration = Duration::from_millis(1);

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
    let message = "jobs_total{n=\"ev-1\"} rose by 2 (0 -> 2) (the sum of 2 series)".to_owned();
    assert_eq!(answer, Answer::Passed { message, value: Some(2.0) });
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0], "/api/v1/namespaces/kubeflow/services/op:8080/proxy/metrics?a=b%20c");
}

#[tokio::test]
async fn what_does_not_rise_fails_with_what_was_observed() {
    let (answer, _) = asked(&[(200, "jobs_total 3\n")], check("jobs_total", Some(1.0), None, AT_ONCE)).await;
    let Answer::Failed { reason, message, value, .. } = answer else { panic!("{answer:?}") };
    assert_eq!((reason, value), ("MetricDidNotRise", Some(0.0)));
    assert!(message.starts_with("jobs_total rose by 0 (3 -> 3), expected at least 1"), "{message}");
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
    let (answer, _) = missing("jobs_created_total{n=\"b\"}", None, Some(0.0)).await;
    let Answer::Passed { message, value } = answer else { panic!("{answer:?}") };
    assert!(message.ends_with("counted as 0") && value == Some(0.0), "{message}");
    for query in ["jobs_created_total{m=\"b\"}", "jobs_failed_total"] {
        assert!(inconclusive(missing(query, None, Some(0.0)).await.0).contains("or be misspelt"), "{query}");
    }
}

#[tokio::test]
async fn https_is_found_out_and_remembered() {
    let tls = (400, "Client sent an HTTP request to an HTTPS server.\n");
    let (proxy, client) = Proxy::serve(&[tls, (200, "up 1\n")]).await;
    let meter = Meter::new(client.clone(), service("8080"));
    for _ in 0..2 {
        assert_eq!(meter.read_one("up").await.unwrap().values.get("up"), Some(&1.0));
    }
    let paths: Vec<_> = proxy.asked().iter().map(|uri| uri.split('/').nth(6).unwrap().to_owned()).collect();
    assert_eq!(paths, ["op:8080", "https:op:8080", "https:op:8080"]);
    let no_tls = status(503, "error trying to reach service: http: server gave HTTP response to HTTPS client");
    let (proxy, client) = Proxy::serve(&[(503, &no_tls), (200, "up 1\n")]).await;
    Meter::new(client, service("https-metrics")).read_one("up").await.unwrap();
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
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn a_run_that_is_cancelled_is_not_waited_for() {
    let (_, client) = Proxy::serve(&[(200, "up 0\n")]).await;
    let meter = Meter::new(client, service("8080"));
    let (check, cancel) = (check("up", None, Some(-1.0), Duration::from_secs(600)), CancellationToken::new());
    let before = Before::default();
    let (answer, ()) = tokio::join!(ask(&meter, &check, "", &before, &cancel), async { cancel.cancel() });
    assert_eq!(inconclusive(answer), "the run was cancelled");
}

#[test]
fn a_query_that_names_no_namespace_is_shared() {
    let of = |query: &str| check(query, Some(1.0), None, AT_ONCE);
    assert!(!are_shared(&[of("a{n=\"{namespace}\"}"), Check::Cel("true".to_owned())]));
    assert!(are_shared(&[of("a{n=\"{namespace}\"}"), of("a")]));
}
