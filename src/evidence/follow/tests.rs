//! The follower against a server that does what real ones do.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use serde_json::json;

use super::*;
use crate::evidence::{Evidence, Limits, Redactor};
use crate::model::ExampleId;

/// One answer: a status, chunks of text, and how it ends.
#[derive(Clone)]
enum Answer {
    Text(Vec<u8>),
    /// Text, and then the connection is cut.
    Cut(&'static str),
    /// Text, and then nothing for ever.
    Silent(&'static str),
    /// Text, again and again.
    Endless(&'static str),
    Status(u16, &'static str),
}

/// The answers of each container (`container`, `container/previous`), in their order; the last is repeated.
#[derive(Default)]
struct Script {
    answers: Mutex<BTreeMap<String, VecDeque<Answer>>>,
    asked: Mutex<Vec<String>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

async fn log(
    Extract(script): Extract<Arc<Script>>,
    Path((_, _pod)): Path<(String, String)>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let is = |name: &str| query.get(name).is_some_and(|value| value == "true");
    let key = format!("{}{}", query["container"], if is("previous") { "/previous" } else { "" });
    let since = query.get("sinceTime").map(|since| format!(" since {since}")).unwrap_or_default();
    script.asked.lock().unwrap().push(format!("{key}{}{since}", if is("follow") { " follow" } else { "" }));
    let answer = {
        let mut answers = script.answers.lock().unwrap();
        let queue = answers.get_mut(&key).expect("a container of the script");
        if queue.len() > 1 { queue.pop_front().unwrap() } else { queue[0].clone() }
    };
    let text = |text: &[u8]| stream::iter([Ok(Bytes::copy_from_slice(text))]);
    match answer {
        Answer::Text(bytes) => {
            let open = script.open.fetch_add(1, Ordering::SeqCst) + 1;
            script.most_open.fetch_max(open, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
            script.open.fetch_sub(1, Ordering::SeqCst);
            bytes.into_response()
        }
        Answer::Cut(bytes) => {
            let cut = stream::once(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(io::Error::other("cut"))
            });
            Body::from_stream(text(bytes.as_bytes()).chain(cut)).into_response()
        }
        Answer::Endless(bytes) => {
            let more = stream::unfold((), move |()| async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Some((Ok::<_, io::Error>(Bytes::from_static(bytes.as_bytes())), ()))
            });
            Body::from_stream(more).into_response()
        }
        Answer::Silent(bytes) => Body::from_stream(text(bytes.as_bytes()).chain(stream::pending())).into_response(),
        Answer::Status(code, message) => {
            let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": message, "reason": "BadRequest", "code": code});
            (StatusCode::from_u16(code).unwrap(), body.to_string()).into_response()
        }
    }
}

/// A follower of such a server, the folder that it writes into, and the lines that it told.
struct Scene {
    root: tempfile::TempDir,
    script: Arc<Script>,
    follower: LogFollower,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Scene {
    async fn new(answers: &[(&str, &[Answer])], most: usize) -> Self {
        let script = Arc::new(Script::default());
        for (key, answers) in answers {
            script.answers.lock().unwrap().insert((*key).into(), answers.iter().cloned().collect());
        }
        let app = axum::Router::new()
            .route("/api/v1/namespaces/{namespace}/pods/{pod}/log", axum::routing::get(log))
            .with_state(Arc::clone(&script));
        let address = serve(app).await;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = kube::Config::new(format!("http://{address}").parse().unwrap());
        let context = FollowContext::new(Client::try_from(config).unwrap(), most);
        let root = tempfile::tempdir().unwrap();
        let redactor = Redactor::new();
        redactor.add("canary-value");
        let evidence = Evidence::new(root.path(), Limits::default(), redactor);
        let folder = evidence.attempt("v1", &ExampleId::new("e"), 1);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&lines);
        let on_line: OnLine = Arc::new(move |line: &LogLine<'_>| {
            told.lock().unwrap().push(format!("{}/{}/{}: {}", line.pod, line.container, line.restart, line.text));
        });
        let follower = LogFollower::new(&context, "ns", folder, Some(on_line));
        Self { root, script, follower, lines }
    }

    fn pod(&self, container: &str, restarts: u32, state: &str, last: bool) {
        let last = if last { json!({"terminated": {"exitCode": 1}}) } else { json!({}) };
        self.follower.pod(&json!({"metadata": {"name": "p", "uid": "u"}, "status": {"containerStatuses": [
            {"name": container, "restartCount": restarts, "state": {state: {}}, "lastState": last}]}}));
    }

    /// Waits until so many lines were told.
    async fn told(&self, lines: usize) {
        let told = || self.lines.lock().unwrap().len();
        let come = async {
            while told() < lines {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let end = tokio::time::timeout(Duration::from_secs(60), come).await;
        assert!(end.is_ok(), "{} of {lines} lines came", told());
    }

    async fn finish(self) -> (Vec<LogSummary>, Vec<Vec<u8>>, Vec<String>, Vec<String>) {
        let logs = self.follower.finish(Duration::from_secs(60)).await;
        let files: Vec<_> =
            logs.iter().map(|log| std::fs::read(self.root.path().join(&log.relative)).unwrap()).collect();
        for (log, file) in logs.iter().zip::<&Vec<Vec<u8>>>(&files) {
            assert_eq!(log.tail(3).unwrap(), String::from_utf8_lossy(&file[file.len().saturating_sub(3)..]));
        }
        let asked = self.script.asked.lock().unwrap().clone();
        let lines = self.lines.lock().unwrap().clone();
        (logs, files, asked, lines)
    }
}

async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

fn text(text: &str) -> Answer {
    Answer::Text(text.as_bytes().to_vec())
}

#[tokio::test]
async fn a_log_is_followed_to_its_end_redacted_and_its_lines_told_raw() {
    let scene =
        Scene::new(&[("main", &[text("2026-11-23T16:18:07Z is canary-value\n2026-11-23T16:18:08Z end")])], 9).await;
    scene.pod("main", 0, "running", false);
    // The second one has no end yet.
    scene.told(1).await;
    scene.pod("main", 0, "terminated", false);
    let (logs, files, asked, lines) = scene.finish().await;
    assert_eq!(files, [b"is ***\nend"]);
    assert_eq!(lines, ["p/main/0: is canary-value", "p/main/0: end"]);
    assert_eq!(asked, ["main follow"]);
    assert!(logs[0].complete && logs[0].note.is_none(), "{logs:?}");
}

#[tokio::test]
async fn a_cut_connection_goes_on_where_it_was() {
    let answers = [
        Answer::Status(400, "container \"main\" in pod \"p\" is waiting to start: ContainerCreating"),
        Answer::Cut("2026-11-23T16:18:07.1Z one\n2026-11-23T16:18:07.2Z tw"),
        Answer::Status(500, "etcd"),
        text("2026-11-23T16:18:07.1Z one\n2026-11-23T16:18:07.2Z two\n2026-11-23T16:18:09Z three\n"),
    ];
    let scene = Scene::new(&[("main", &answers)], 9).await;
    scene.pod("main", 0, "running", false);
    scene.told(3).await;
    scene.pod("main", 0, "terminated", false);
    let (logs, files, asked, lines) = scene.finish().await;
    assert_eq!(files, [b"one\ntwo\nthree\n"]);
    assert_eq!(lines, ["p/main/0: one", "p/main/0: two", "p/main/0: three"]);
    assert_eq!(asked[2], "main follow since 2026-11-23T16:18:07Z");
    assert!(logs[0].complete, "{logs:?}");
}

#[tokio::test]
async fn restarts_have_files_of_their_own_and_a_missed_one_is_fetched() {
    let scene = Scene::new(&[("main", &[text("now\n")]), ("main/previous", &[text("before\n")])], 9).await;
    scene.pod("main", 3, "running", true);
    scene.told(2).await;
    scene.pod("main", 3, "terminated", true);
    let (logs, files, _, _) = scene.finish().await;
    let runs: Vec<_> = logs.iter().map(|log| (log.restart, log.relative.as_str(), log.complete)).collect();
    assert_eq!(
        runs,
        [(2, "v1/e/attempt-1/p.main.restart-2.log", true), (3, "v1/e/attempt-1/p.main.restart-3.log", true)]
    );
    assert_eq!(files, [b"before\n".as_slice(), b"now\n"]);
}

#[tokio::test]
async fn a_silent_container_that_goes_on_is_left_with_what_it_said() {
    let scene = Scene::new(&[("main", &[Answer::Silent("2026-11-23T16:18:07Z up\n")])], 9).await;
    scene.pod("main", 0, "running", false);
    scene.told(1).await;
    let started = std::time::Instant::now();
    let (logs, files, _, _) = scene.finish().await;
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(files, [b"up\n"]);
    assert!(!logs[0].complete);
}

#[tokio::test]
async fn a_container_that_prints_without_end_does_not_use_up_the_deadline() {
    let scene = Scene::new(&[("main", &[Answer::Endless("2026-11-23T16:18:07Z step\n")])], 9).await;
    scene.pod("main", 0, "running", false);
    scene.told(2).await;
    let started = std::time::Instant::now();
    let (logs, files, _, _) = scene.finish().await;
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(files[0].starts_with(b"step\nstep\n") && logs[0].note.is_none());
}

#[tokio::test]
async fn a_pod_that_is_gone_and_an_empty_log_still_have_files() {
    let gone = Answer::Status(404, "pods \"p\" not found");
    let lost = text("unable to retrieve container logs for containerd://b588");
    let scene = Scene::new(&[("gone", &[gone]), ("empty", &[text("")]), ("lost", &[lost])], 9).await;
    for container in ["gone", "empty", "lost"] {
        scene.pod(container, 0, "terminated", false);
    }
    let (logs, files, _, _) = scene.finish().await;
    assert_eq!(files, [b"", b"", b""]);
    let complete: Vec<_> = logs.iter().map(|log| (log.container.as_str(), log.complete, log.note.is_some())).collect();
    assert_eq!(complete, [("empty", true, false), ("gone", false, true), ("lost", false, true)]);
}

#[tokio::test]
async fn who_finds_no_place_to_follow_is_fetched_at_the_end() {
    let names: Vec<String> = (0..30).map(|n| format!("c{n:02}")).collect();
    let hog = Answer::Silent("2026-11-23T16:18:07Z hog\n");
    let mut answers: BTreeMap<&str, Vec<Answer>> = BTreeMap::from([("a", vec![hog])]);
    answers.extend(names.iter().map(|name| (name.as_str(), vec![text("2026-11-23T16:18:07Z hello\n")])));
    let answers: Vec<(&str, &[Answer])> = answers.iter().map(|(name, answers)| (*name, answers.as_slice())).collect();
    let scene = Scene::new(&answers, 1).await;
    scene.pod("a", 0, "running", false);
    scene.told(1).await;
    for (n, name) in names.iter().enumerate() {
        scene.pod(name, 0, if n % 2 == 0 { "running" } else { "terminated" }, false);
    }
    let (logs, files, asked, _) = scene.finish().await;
    assert_eq!(logs.len(), 31);
    assert!(files[1..].iter().all(|file| file == b"hello\n"), "{files:?}");
    assert_eq!(asked.iter().filter(|asked| asked.contains("follow")).count(), 1);
}

#[tokio::test]
async fn a_server_that_only_fails_is_given_up_at_the_deadline() {
    let scene = Scene::new(&[("main", &[Answer::Status(503, "down")])], 9).await;
    scene.pod("main", 0, "terminated", false);
    let logs = scene.follower.finish(Duration::from_millis(300)).await;
    assert!(!logs[0].complete && logs[0].note.is_some(), "{logs:?}");
}

#[tokio::test]
async fn many_bytes_without_order_are_kept_within_the_limits() {
    let noise: Vec<u8> = (0..8_000_000_u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let scene = Scene::new(&[("main", &[Answer::Text(noise.clone())])], 9).await;
    scene.pod("main", 0, "terminated", false);
    let (logs, files, _, _) = scene.finish().await;
    assert!(logs[0].complete);
    assert_eq!((files[0].len(), logs[0].kept.seen), (noise.len(), noise.len() as u64));
}
