//! Queries of Debian's Prometheus, which scrapes a target on loopback; it is asked through an API server on loopback that passes the
//! path of the service proxy on.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use example_validator::config::{Check, MetricsSource};
use example_validator::trial::metrics::{Answer, Before, Meter, ask};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A Prometheus that ends with this value.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Prometheus {
    /// One that scrapes a target every second; `None` if there is none on the PATH.
    fn start(folder: &Path, port: u16, target: SocketAddr) -> Option<Self> {
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs: [{{job_name: operator, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        std::fs::write(folder.join("prometheus.yml"), config).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let started = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        match started {
            Ok(process) => Some(Self(process)),
            Err(error) => {
                assert!(
                    std::env::var_os("CI").is_none(),
                    "prometheus can't be started: {error}; .ci/install brings it"
                );
                println!("skipped: prometheus can't be started: {error}");
                None
            }
        }
    }
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// What the API server's proxy does for the one Service that there is.
async fn pass_on(State(port): State<u16>, uri: Uri) -> (StatusCode, Bytes) {
    let service = "/api/v1/namespaces/monitoring/services/prometheus:web/proxy";
    let Some(path) = uri.path_and_query().unwrap().as_str().strip_prefix(service) else {
        let status = r#"{"kind": "Status", "apiVersion": "v1", "code": 404, "message": "services not found"}"#;
        return (StatusCode::NOT_FOUND, status.into());
    };
    match reqwest::get(format!("http://127.0.0.1:{port}{path}")).await {
        Ok(answer) => (answer.status(), answer.bytes().await.unwrap()),
        Err(error) => {
            let message = format!("error trying to reach service: {error}");
            let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "code": 503, "message": message});
            (StatusCode::SERVICE_UNAVAILABLE, status.to_string().into())
        }
    }
}

fn check(query: &str, wait: u64) -> Check {
    let (query, wait) = (query.to_owned(), Some(Duration::from_secs(wait)));
    Check::Metrics { query, min: None, max: None, equals: None, increase: None, max_increase: None, wait }
}

fn at_least(query: &str, least: f64, wait: u64) -> Check {
    let Check::Metrics { query, wait, .. } = check(query, wait) else { unreachable!() };
    Check::Metrics { query, min: Some(least), max: None, equals: None, increase: None, max_increase: None, wait }
}

const HIGH: &str = "MetricTooHigh";

fn at_most(query: &str, most: f64, wait: u64) -> Check {
    let Check::Metrics { query, wait, .. } = check(query, wait) else { unreachable!() };
    Check::Metrics { query, min: None, max: Some(most), equals: None, increase: None, max_increase: None, wait }
}

fn rises(query: &str, by: f64, wait: u64) -> Check {
    let Check::Metrics { query, wait, .. } = check(query, wait) else { unreachable!() };
    Check::Metrics { query, min: None, max: None, equals: None, increase: Some(by), max_increase: None, wait }
}

/// A Prometheus with its target, and what asks it.
struct Scene {
    jobs: Arc<AtomicU64>,
    meter: Meter,
    _prometheus: Prometheus,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Option<Self> {
        let jobs = Arc::new(AtomicU64::new(3));
        let served = Arc::clone(&jobs);
        let metrics = get(async move || {
            let count = served.load(Ordering::SeqCst);
            format!(
                "# TYPE jobs_total counter\njobs_total{{n=\"ev-1\",k=\"a\"}} {count}\njobs_total{{n=\"ev-1\",k=\"b\"}} 1\n\
                 # TYPE queue_length gauge\nqueue_length {}\n",
                100 - count
            )
        });
        let target = serve(Router::new().route("/metrics", metrics)).await;
        let folder = tempfile::tempdir().unwrap();
        let mut port = free_port().await;
        let mut prometheus = Prometheus::start(folder.path(), port, target)?;
        let deadline = Instant::now() + Duration::from_secs(60);
        while !reqwest::get(format!("http://127.0.0.1:{port}/-/ready")).await.is_ok_and(|answer| answer.status() == 200)
        {
            let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
            assert!(Instant::now() < deadline, "Prometheus does not come up: {log}");
            tokio::time::sleep(Duration::from_millis(100)).await;
            if prometheus.0.try_wait().unwrap().is_some() {
                // Somebody else may have got the port in between.
                port = free_port().await;
                prometheus = Prometheus::start(folder.path(), port, target)?;
            }
        }
        let api_server = serve(Router::new().fallback(pass_on).with_state(port)).await;
        let mut config = kube::Config::new(format!("http://{api_server}").parse().unwrap());
        config.default_retry = false;
        let source = MetricsSource::Prometheus("monitoring/prometheus:web".to_owned());
        let meter = Meter::new(kube::Client::try_from(config).unwrap(), source);
        Some(Self { jobs, meter, _prometheus: prometheus, _folder: folder })
    }

    async fn before(&self, check: &Check) -> Before {
        Before::read(&self.meter, std::slice::from_ref(check), "ev-1").await
    }

    async fn ask(&self, check: &Check, before: &Before) -> Answer {
        ask(&self.meter, check, "ev-1", before, &CancellationToken::new()).await
    }

    /// What becomes of a check when nothing happens.
    async fn judged(&self, check: Check) -> Answer {
        let before = self.before(&check).await;
        self.ask(&check, &before).await
    }

    /// The verdict on a check that is made with a wait: a longer one if nothing was scraped in a short one.
    async fn verdict(&self, check: impl Fn(u64) -> Check) -> Answer {
        for wait in [3, 20] {
            let answer = self.judged(check(wait)).await;
            if !matches!(answer, Answer::Inconclusive(_)) {
                return answer;
            }
        }
        self.judged(check(60)).await
    }
}

fn failed(answer: Answer) -> (&'static str, String, String) {
    match answer {
        Answer::Failed { reason, message, hint, .. } => (reason, message, hint),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn promql_is_asked_of_a_real_prometheus() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Some(scene) = Scene::new().await else { return };

    // It is scraped at some time: that is what the wait is for.
    let sum = "sum by (n) (jobs_total{n=\"{namespace}\"})";
    let answer = scene.judged(at_least(sum, 4.0, 60)).await;
    let message = "is 4: sum by (n) (jobs_total{n=\"ev-1\"})".to_owned();
    assert_eq!(answer, Answer::Passed { message, value: Some(4.0) });

    let check = rises("jobs_total{n=\"{namespace}\"}", 2.0, 60);
    let before = scene.before(&check).await;
    scene.jobs.fetch_add(2, Ordering::SeqCst);
    let answer = scene.ask(&check, &before).await;
    let message = "rose by 2 (4 -> 6) (the sum of 2 series): jobs_total{n=\"ev-1\"}".to_owned();
    assert_eq!(answer, Answer::Passed { message, value: Some(2.0) });

    // What is scraped only after the example's end is waited for, and one that ends before that is left open.
    let check = at_most("jobs_total{n=\"{namespace}\"}", 8.0, 60);
    let before = scene.before(&check).await;
    scene.jobs.fetch_add(4, Ordering::SeqCst);
    let (reason, message, _) = failed(scene.ask(&check, &before).await);
    assert_eq!(
        (reason, message.as_str()),
        (HIGH, "is 10 (the sum of 2 series), expected at most 8: jobs_total{n=\"ev-1\"}")
    );
    let passes = scene.verdict(|wait| at_most("jobs_total{n=\"{namespace}\"}", 10.0, wait)).await;
    assert!(matches!(passes, Answer::Passed { .. }), "{passes:?}");
    // Seldom it is scraped just between the questions of one reading.
    let mut answer = passes;
    for _ in 0..20 {
        answer = scene.judged(at_most("jobs_total{n=\"{namespace}\"}", 10.0, 0)).await;
        if matches!(answer, Answer::Inconclusive(_)) {
            break;
        }
    }
    match answer {
        Answer::Inconclusive(why) => {
            assert!(why.starts_with("the last scrape is older than the example's end"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    match scene.judged(rises("jobs_of_nobody_total", 1.0, 1)).await {
        Answer::Inconclusive(why) => assert!(why.contains("nothing of it had been scraped yet"), "{why}"),
        other => panic!("{other:?}"),
    }

    let (reason, message, _) = failed(scene.verdict(|wait| rises("scalar(sum(jobs_total))", 1.0, wait)).await);
    assert_eq!(reason, "MetricDidNotRise");
    assert!(message.contains("rose by 0 (10 -> 10), expected at least 1"), "{message}");

    // It is known which metrics are gauges: one that falls was not reset.
    let check = rises("queue_length", 1.0, 10);
    let before = scene.before(&check).await;
    scene.jobs.fetch_add(2, Ordering::SeqCst);
    let (reason, message, _) = failed(scene.ask(&check, &before).await);
    assert_eq!(reason, "MetricDidNotRise");
    assert!(message.contains("rose by -2 (91 -> 89), expected at least 1"), "{message}");

    let (reason, message, hint) = failed(scene.verdict(|wait| at_least("jobs_totl", 1.0, wait)).await);
    assert_eq!((reason, hint.as_str()), ("MetricAbsent", "did you mean `jobs_total`?"));
    assert!(message.starts_with("no series jobs_totl; there are: jobs_total"), "{message}");

    let (reason, message, _) = failed(scene.verdict(|wait| at_least("jobs_total{n=\"x\"}", 1.0, wait)).await);
    assert_eq!(reason, "MetricAbsent");
    let (has_a, has_n) = (message.contains("k=\"a\""), message.contains("n=\"ev-1\""));
    assert!(
        message.starts_with("no series jobs_total{n=\"x\"}; there are: jobs_total{") && has_a && has_n,
        "{message}"
    );

    for (query, why) in [
        ("sum(jobs_total", "Prometheus refuses the query: invalid parameter \"query\""),
        ("sum(jobs_total)(", "parse error"),
        ("jobs_total[5m]", "comes to a range of values"),
    ] {
        match scene.judged(at_least(query, 1.0, 60)).await {
            Answer::Inconclusive(told) => assert!(told.contains(why), "{query}: {told}"),
            other => panic!("{query}: {other:?}"),
        }
    }
}
