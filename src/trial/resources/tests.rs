//! The sampler against a server that answers as it is told.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::Instant;
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::ask::{Ask, Failure};
use super::desk::Desk;
use super::doors::Doors;
use super::*;
use crate::report::Resources;
use crate::trial::Change;
use crate::trial::apply::tests::{client, status};

const QUICK: Rhythm = Rhythm {
    least: Duration::from_millis(5),
    most: Duration::from_millis(20),
    metrics_server: Duration::from_millis(5),
};
const MI: u64 = 1 << 20;

fn pod(namespace: &str, name: &str, state: &str) -> Change {
    Change::Seen(Arc::new(
        json!({"kind": "Pod", "metadata": {"name": name, "uid": format!("uid-{name}"), "namespace": namespace},
        "spec": {"nodeName": "node-1", "containers": [{"name": "main", "resources": {"requests": {"memory": "64Mi"}}}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "main", "state": {state: {}}}]}}),
    ))
}

/// A kubelet's n-th sample: it takes one every ten seconds.
fn summary(number: u64) -> Json {
    let second = number * 10;
    let time = format!("2026-01-01T00:00:{second:02}Z");
    let pod = |namespace: &str, name: &str, memory: u64| {
        json!({"podRef": {"name": name, "namespace": namespace, "uid": format!("uid-{name}")},
            "containers": [{"name": "main", "startTime": "2026-01-01T00:00:00Z",
                "cpu": {"time": time, "usageNanoCores": 100_000_000, "usageCoreNanoSeconds": second * 100_000_000},
                "memory": {"time": time, "workingSetBytes": memory}}]})
    };
    json!({"node": {"nodeName": "node-1"}, "pods": [pod("ev-1", "a", (10 + number) * MI), pod("kube-system", "dns", 1)]})
}

const KUBELET: &str = "/api/v1/nodes/node-1/proxy/stats/summary";
const METRICS_SERVER: &str = "/apis/metrics.k8s.io/v1beta1/namespaces/ev-1/pods";

async fn answers(server: &MockServer, at: &str, code: u16, body: &Json) {
    let answer = ResponseTemplate::new(code).set_body_json(body);
    Mock::given(method("GET")).and(path(at)).respond_with(answer).mount(server).await;
}

/// Answers once, before what is mounted later.
async fn answers_once(server: &MockServer, answer: ResponseTemplate) {
    Mock::given(path(KUBELET)).respond_with(answer).up_to_n_times(1).mount(server).await;
}

/// Waits until the figures are so.
async fn figures(share: &Share, are: impl Fn(&Resources) -> bool) -> Resources {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match share.figures() {
            Some(figures) if are(&figures) => return figures,
            figures => assert!(Instant::now() < until, "{figures:?}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn an_attempt_is_given_the_samples_of_its_namespace_and_nobody_is_asked_while_nothing_runs() {
    let server = MockServer::start().await;
    for second in 1..4 {
        answers_once(&server, ResponseTemplate::new(200).set_body_json(summary(second))).await;
    }
    answers(&server, KUBELET, 200, &summary(4)).await;
    let sampler = Sampler::start(client(&server), QUICK);
    let (mine, other) = (sampler.join("ev-1", Instant::now()), sampler.join("ev-2", Instant::now()));
    mine.told(&pod("ev-1", "a", "waiting"));
    assert_eq!(mine.figures(), None);
    mine.told(&pod("ev-1", "a", "running"));
    let used = figures(&mine, |used| used.samples == 4).await;
    assert_eq!((used.source.as_str(), used.note.as_str()), ("kubelet", ""));
    assert_eq!((used.pods[0].memory_peak_bytes, used.pods[0].cpu_avg_milli), (14 * MI, 100));
    assert_eq!((other.figures(), other.samples()), (None, None));
    let asked = server.received_requests().await.unwrap();
    assert!(asked.iter().all(|request| request.url.query() == Some("only_cpu_and_memory=true")), "{asked:?}");
    // The same answer again and again is one sample.
    mine.told(&pod("ev-1", "a", "terminated"));
    assert_eq!(mine.figures().unwrap().samples, 4);
    drop(mine);
    assert_eq!(sampler.join("ev-1", Instant::now()).figures(), None);
}

#[tokio::test]
async fn errors_of_a_moment_and_answers_that_are_none_cost_a_sample_and_nothing_else() {
    let server = MockServer::start().await;
    let busy = status(429, "TooManyRequests", "later");
    answers_once(&server, ResponseTemplate::new(429).set_body_json(busy)).await;
    answers_once(&server, ResponseTemplate::new(200).set_body_string("no JSON at all")).await;
    answers_once(&server, ResponseTemplate::new(503).set_body_string("<html>unavailable")).await;
    answers(&server, KUBELET, 200, &summary(1)).await;
    let sampler = Sampler::start(client(&server), QUICK);
    let share = sampler.join("ev-1", Instant::now());
    share.told(&pod("ev-1", "a", "running"));
    let used = figures(&share, |used| used.samples == 1).await;
    assert_eq!(used.source, "kubelet");
    assert!(used.note.starts_with("3 times there was no answer: 503"), "{}", used.note);
}

#[tokio::test]
async fn a_token_that_is_renewed_and_a_slow_request_shut_no_door() {
    let server = MockServer::start().await;
    for code in [401, 401, 401, 408, 408, 408, 400] {
        let answer = status(code, "Moment", "not now");
        answers_once(&server, ResponseTemplate::new(code).set_body_json(answer)).await;
    }
    answers(&server, KUBELET, 200, &summary(1)).await;
    let sampler = Sampler::start(client(&server), QUICK);
    let share = sampler.join("ev-1", Instant::now());
    share.told(&pod("ev-1", "a", "running"));
    let used = figures(&share, |used| used.samples == 1).await;
    assert_eq!(used.source, "kubelet");
    assert!(used.note.starts_with("7 times there was no answer: 400"), "{}", used.note);
}

#[tokio::test]
async fn a_kubelet_whose_short_answer_names_no_container_is_asked_for_all_that_it_tells() {
    let server = MockServer::start().await;
    let mut bare = summary(1);
    for pod in bare["pods"].as_array_mut().unwrap() {
        pod["containers"] = Json::Null;
    }
    let short = Mock::given(path(KUBELET)).and(query_param("only_cpu_and_memory", "true"));
    short.respond_with(ResponseTemplate::new(200).set_body_json(bare)).mount(&server).await;
    // More than is read at once beside other work.
    let mut whole = summary(2);
    whole["node"]["padding"] = "x".repeat(2 << 20).into();
    answers(&server, KUBELET, 200, &whole).await;
    let sampler = Sampler::start(client(&server), QUICK);
    let share = sampler.join("ev-1", Instant::now());
    share.told(&pod("ev-1", "a", "running"));
    let used = figures(&share, |used| used.samples == 1).await;
    assert_eq!((used.source.as_str(), used.note.as_str(), used.memory_peak_bytes), ("kubelet", "", 12 * MI));
    let asked = server.received_requests().await.unwrap();
    let short = asked.iter().filter(|request| request.url.query().is_some()).count();
    assert_eq!(short, 1, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sampled_for_a_while_is_no_longer_said_to_be_once_it_is() {
    let (desk, mut doors, start) = (Arc::new(Desk::default()), Doors::default(), Instant::now());
    let share = desk.open("ev-1", start);
    share.told(&pod("ev-1", "a", "running"));
    let node = Ask::Node("node-1".to_owned());
    let (refused, broken) = (Failure::Refused("404".to_owned()), Failure::Broken("502".to_owned()));
    doors.heard(&Ask::Namespace("ev-1".to_owned()), start, Some(&refused));
    let fail = |doors: &mut Doors, now| (0..3).for_each(|_| doors.heard(&node, now, Some(&broken)));
    let said_of = |doors: &Doors, now| {
        desk.plan(now, Rhythm::REAL, doors, &HashSet::new());
        share.figures().unwrap().note
    };
    fail(&mut doors, start);
    assert!(said_of(&doors, start).starts_with("not sampled: "));
    // Asked again after the pause, it answers.
    let later = start + Duration::from_secs(60);
    assert_eq!(said_of(&doors, later), "");
    desk.hear(&node, later, &desk.read(&node, false, summary(1).to_string().as_bytes()));
    fail(&mut doors, later);
    let said = said_of(&doors, later);
    assert!(said.starts_with("sampled in part: ") && share.figures().unwrap().samples == 1, "{said}");
    // What has ended is not said to have been sampled.
    share.told(&pod("ev-1", "a", "terminated"));
    assert!(said_of(&doors, later + Duration::from_secs(60)).starts_with("sampled in part: "));
}

#[tokio::test]
async fn where_the_node_proxy_is_refused_the_metrics_server_is_asked() {
    for (code, answer) in [(403, 403), (404, 404), (502, 502)] {
        let server = MockServer::start().await;
        answers(&server, KUBELET, code, &status(answer, "Refused", "not through here")).await;
        let list = json!({"items": [{"metadata": {"name": "a", "namespace": "ev-1"}, "timestamp": "2026-01-01T00:00:10Z",
            "containers": [{"name": "main", "usage": {"cpu": "20m", "memory": "16Mi"}}]}]});
        answers(&server, METRICS_SERVER, 200, &list).await;
        let sampler = Sampler::start(client(&server), QUICK);
        let share = sampler.join("ev-1", Instant::now());
        share.told(&pod("ev-1", "a", "running"));
        let used = figures(&share, |used| used.samples == 1).await;
        assert_eq!(
            (used.source.as_str(), used.memory_peak_bytes, used.cpu_peak_milli),
            ("metrics.k8s.io", 16 * MI, 20)
        );
        assert!(used.note.contains(&format!("{code}: not through here")), "{}", used.note);
        assert_eq!(used.memory_efficiency, Some(0.25));
    }
}

#[tokio::test]
async fn where_nobody_answers_it_is_said_and_they_are_left_alone() {
    let server = MockServer::start().await;
    answers(&server, KUBELET, 403, &status(403, "Forbidden", "cannot get nodes/proxy")).await;
    answers(&server, METRICS_SERVER, 404, &status(404, "NotFound", "no such resource")).await;
    let sampler = Sampler::start(client(&server), QUICK);
    let share = sampler.join("ev-1", Instant::now());
    share.told(&pod("ev-1", "a", "running"));
    let used = figures(&share, |used| used.note.starts_with("not sampled")).await;
    assert_eq!((used.source.as_str(), used.samples, used.cpu_efficiency), ("", 0, None));
    assert!(used.note.contains("403: cannot get nodes/proxy") && used.note.contains("404: no such"), "{}", used.note);
    share.hurry();
    share.told(&pod("ev-1", "b", "running"));
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_metrics_server_that_is_asked_gets_no_namespace_but_ours() {
    let server = MockServer::start().await;
    Mock::given(query_param("only_cpu_and_memory", "true"))
        .respond_with(ResponseTemplate::new(405))
        .mount(&server)
        .await;
    answers(&server, METRICS_SERVER, 200, &json!({"items": []})).await;
    let sampler = Sampler::start(client(&server), QUICK);
    let share = sampler.join("ev-1", Instant::now());
    share.told(&pod("ev-1", "../../secrets", "running"));
    let used = figures(&share, |used| used.source == "metrics.k8s.io").await;
    assert_eq!(used.samples, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_young_is_asked_for_sooner_and_no_kubelet_too_often() {
    let desk = Arc::new(Desk::default());
    let (rhythm, mut doors, start) = (Rhythm::REAL, Doors::default(), Instant::now());
    let shares: Vec<_> = (0..50).map(|number| desk.open(&format!("ev-{number}"), start)).collect();
    assert_eq!(desk.plan(start, rhythm, &doors, &HashSet::new()).next, None);
    let node = Ask::Node("node-1".to_owned());
    let mut asked = Vec::new();
    // A new attempt begins every 100 ms.
    for tick in 0..400_u64 {
        let now = Instant::now();
        if let Some(share) = shares.get(usize::try_from(tick).unwrap()) {
            share.told(&pod(&format!("ev-{tick}"), "a", "running"));
        }
        let plan = desk.plan(now, rhythm, &doors, &HashSet::new());
        assert!(plan.next.is_some_and(|next| next > now));
        if plan.asks.contains(&node) {
            doors.ask(&node, now);
            let heard = desk.read(&node, false, summary(1).to_string().as_bytes());
            assert!(heard.is_ok());
            desk.hear(&node, now, &heard);
            asked.push((now - start).as_millis());
        }
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    // Once a second while some are young, every five seconds when none is.
    assert_eq!(asked[..6], [0, 1_000, 2_000, 3_000, 4_000, 5_000]);
    assert!(
        asked.iter().rev().zip(asked.iter().rev().skip(1)).take(4).all(|(late, early)| late - early == 5_000),
        "{asked:?}"
    );
    assert!(desk.plan(start, rhythm, &doors, &HashSet::from([node])).asks.is_empty());
}
