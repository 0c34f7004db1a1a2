use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use futures::stream;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use wiremock::matchers::{any, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::image_reference::ImageReference;

fn digest(content: &[u8]) -> String {
    let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A proxy for a registry on loopback, and what asks it as a node does.
struct World {
    proxy: Proxy,
    registry: String,
    http: reqwest::Client,
    folder: tempfile::TempDir,
}

impl World {
    /// `upstream` is the URL of a server.
    async fn new(upstream: &str) -> Self {
        Self::with(upstream, BTreeMap::new(), None).await
    }

    async fn with(upstream: &str, mirrors: BTreeMap<String, String>, config: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if let Some(config) = config {
            std::fs::write(folder.path().join("config.json"), config).unwrap();
        }
        let environment =
            [("CREDENTIALS".into(), folder.path().into()), ("PATH".into(), std::env::var_os("PATH").unwrap())];
        let registries = Registries { mirrors, auth: Some("CREDENTIALS".to_owned()) };
        let listen = "127.0.0.1:0".parse().unwrap();
        let proxy = Proxy::start(listen, &registries, &environment, &folder.path().join("blobs")).await.unwrap();
        let registry = upstream.trim_start_matches("http://").to_owned();
        Self { proxy, registry, http: reqwest::Client::new(), folder }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/v2/{path}?ns={}", self.proxy.address(), self.registry.replace(':', "%3A"))
    }

    async fn get(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        self.http.get(self.url(path)).send().await
    }

    async fn status(&self, path: &str) -> u16 {
        self.get(path).await.unwrap().status().as_u16()
    }

    async fn ahead(&self, image: &str) -> Pulled {
        let image = ImageReference::parse(&format!("{}/{image}", self.registry)).unwrap();
        self.proxy.ahead().fetch(BTreeSet::from([image.clone()]), "linux/amd64").await;
        self.proxy.stats().images.into_iter().find(|pulled| pulled.image == image.to_string()).unwrap()
    }
}

async fn answering(template: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(template).mount(&server).await;
    server
}

/// A server that answers every connection with the same bytes, and then closes it.
async fn raw(answer: Vec<u8>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(&answer).await;
            });
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_registrys_own_status_goes_on_unchanged_and_is_not_remembered() {
    for (status, words) in [(404, "unknown"), (403, "denied"), (429, "slow down"), (500, ""), (503, "busy")] {
        let answer = ResponseTemplate::new(status).set_body_string(words).insert_header("retry-after", "7");
        let server = answering(answer).await;
        let world = World::new(&server.uri()).await;
        let response = world.get("a/b/manifests/v1").await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (status, &"7".parse().unwrap()));
        assert_eq!(response.text().await.unwrap(), words);
        assert_eq!(world.status(&format!("a/b/blobs/{}", digest(b"x"))).await, status);
        server.reset().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string("x")).mount(&server).await;
        assert_eq!(world.status("a/b/manifests/v1").await, 200);
        assert_eq!(world.status(&format!("a/b/blobs/{}", digest(b"x"))).await, 200);
    }
}

#[tokio::test]
async fn a_challenge_that_nobody_can_meet_is_not_passed_on() {
    let server = answering(ResponseTemplate::new(401).insert_header("www-authenticate", "Basic realm=\"x\"")).await;
    let world = World::new(&server.uri()).await;
    let response = world.get("a/b/manifests/v1").await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers().get("www-authenticate")), (401, None));
}

#[tokio::test]
async fn without_an_answer_there_is_none_and_the_registry_is_left_to_the_nodes() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let world = World::new(&closed).await;
    let error = world.get("a/b/manifests/v1").await.unwrap_err();
    assert!(error.is_request() && error.status().is_none(), "{error:?}");
    let pulled = world.ahead("a/b:v1").await;
    assert!(pulled.is_unreachable && pulled.problem.unwrap().contains("refused"));
    assert_eq!(world.proxy.direct(), BTreeSet::from([world.registry.clone()]));
    let server = answering(ResponseTemplate::new(404)).await;
    let world = World::new(&server.uri()).await;
    assert_eq!(world.ahead("a/b:v1").await.problem.as_deref(), Some("404 Not Found"));
    assert_eq!(world.proxy.direct(), BTreeSet::new());
}

#[tokio::test]
async fn what_a_tag_means_is_asked_once_and_a_head_has_all_that_containerd_wants() {
    let server = MockServer::start().await;
    let body = b"{\"schemaVersion\": 2}";
    let answer = ResponseTemplate::new(200).set_body_raw(body.as_slice(), "application/vnd.oci.image.index.v1+json");
    Mock::given(method("GET")).and(path("/v2/a/b/manifests/v1")).respond_with(answer).expect(1).mount(&server).await;
    let world = World::new(&server.uri()).await;
    let heads = (0..4).map(|_| world.http.head(world.url("a/b/manifests/v1")).send());
    for head in futures::future::join_all(heads).await {
        let head = head.unwrap();
        assert_eq!(head.headers()["docker-content-digest"], digest(body).as_str());
        assert_eq!(head.headers()["content-length"], body.len().to_string().as_str());
        assert_eq!(head.headers()["content-type"], "application/vnd.oci.image.index.v1+json");
    }
    let by_digest = world.get(&format!("a/b/manifests/{}", digest(body))).await.unwrap();
    assert_eq!(by_digest.bytes().await.unwrap(), body.as_slice());
}

#[tokio::test]
async fn one_download_serves_all_who_ask_while_it_still_comes() {
    let requests = Arc::new(AtomicUsize::new(0));
    let go_on = Arc::new(Notify::new());
    let (first, second) = (Bytes::from(vec![1; 600_000]), Bytes::from(vec![2; 600_000]));
    let whole = [first.clone(), second.clone()].concat();
    let (counted, waited) = (Arc::clone(&requests), Arc::clone(&go_on));
    let handler = move |_: Uri| {
        counted.fetch_add(1, Ordering::Relaxed);
        let (first, second, go_on) = (first.clone(), second.clone(), Arc::clone(&waited));
        async move {
            let parts = stream::unfold(0, move |part| {
                let (first, second, go_on) = (first.clone(), second.clone(), Arc::clone(&go_on));
                async move {
                    match part {
                        0 => Some((Ok::<_, std::io::Error>(first), 1)),
                        1 => {
                            go_on.notified().await;
                            Some((Ok(second), 2))
                        }
                        _ => None,
                    }
                }
            });
            Response::builder().header("content-length", 1_200_000).body(Body::from_stream(parts)).unwrap()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(handler)).await });
    let world = World::new(&format!("http://{address}")).await;
    let blob = format!("a/b/blobs/{}", digest(&whole));
    let mut one = world.get(&blob).await.unwrap();
    let other = world.get(&blob).await.unwrap();
    assert_eq!(other.content_length(), Some(1_200_000));
    // Something is there before the registry has sent the rest.
    assert_eq!(one.chunk().await.unwrap().unwrap()[0], 1);
    go_on.notify_one();
    assert!(other.bytes().await.unwrap() == whole);
    while one.chunk().await.unwrap().is_some() {}
    let later = world.get(&blob).await.unwrap().bytes().await.unwrap();
    assert!(later == whole);
    assert_eq!(requests.load(Ordering::Relaxed), 1);
    let stats = world.proxy.stats();
    assert_eq!((stats.downloads, stats.bytes), (1, 1_200_000));
}

#[tokio::test]
async fn a_blob_that_is_not_what_its_digest_says_ends_no_reader_well_and_is_deleted() {
    let server = answering(ResponseTemplate::new(200).set_body_bytes(vec![7; 1_000_000])).await;
    let world = World::new(&server.uri()).await;
    let response = world.get(&format!("a/b/blobs/{}", digest(b"other"))).await.unwrap();
    assert!(response.bytes().await.is_err());
    assert_eq!(world.proxy.drop_unused(), 0);
    assert_eq!(std::fs::read_dir(world.folder.path().join("blobs")).unwrap().count(), 0);
    assert!(world.get(&format!("a/b/manifests/{}", digest(b"other"))).await.is_err());
}

#[tokio::test]
async fn a_body_that_is_cut_breaks_the_readers_and_the_next_one_gets_a_new_download() {
    let mut cut = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".to_vec();
    cut.extend([b'x'; 500]);
    let world = World::new(&raw(cut).await).await;
    for downloads in 1..=2 {
        let response = world.get(&format!("a/b/blobs/{}", digest(&[b'x'; 1000]))).await.unwrap();
        assert!(response.bytes().await.is_err());
        assert_eq!(world.proxy.stats().downloads, downloads);
    }
}

#[tokio::test]
async fn a_token_is_asked_for_with_the_credentials_of_the_config() {
    let server = MockServer::start().await;
    let challenge = format!("Bearer realm=\"{}/token\",service=\"s\"", server.uri());
    let token = ResponseTemplate::new(200).set_body_json(json!({"access_token": "T"}));
    Mock::given(path("/token"))
        .and(header("authorization", "Basic dTpw"))
        .respond_with(token)
        .expect(1)
        .mount(&server)
        .await;
    let found = ResponseTemplate::new(200).set_body_string("x");
    Mock::given(header("authorization", "Bearer T")).respond_with(found).with_priority(1).mount(&server).await;
    let refused = ResponseTemplate::new(401).insert_header("www-authenticate", challenge.as_str());
    Mock::given(any()).respond_with(refused).with_priority(9).mount(&server).await;
    let config = json!({"auths": {server.uri().trim_start_matches("http://"): {"auth": "dTpw"}}}).to_string();
    let world = World::with(&server.uri(), BTreeMap::new(), Some(&config)).await;
    assert_eq!(world.status("a/b/manifests/v1").await, 200);
    assert_eq!(world.status("a/b/manifests/v2").await, 200);
}

#[tokio::test]
async fn basic_credentials_go_only_to_who_asks_for_them() {
    let server = MockServer::start().await;
    let found = ResponseTemplate::new(200).set_body_string("x");
    Mock::given(header("authorization", "Basic dTpw")).respond_with(found).with_priority(1).mount(&server).await;
    let refused = ResponseTemplate::new(401).insert_header("www-authenticate", "Basic realm=\"x\"");
    Mock::given(any()).respond_with(refused).with_priority(9).mount(&server).await;
    let config = json!({"auths": {server.uri(): {"username": "u", "password": "p"}}}).to_string();
    let world = World::with(&server.uri(), BTreeMap::new(), Some(&config)).await;
    assert_eq!(world.status("a/b/manifests/v1").await, 200);
    let requests = server.received_requests().await.unwrap();
    assert!(!requests[0].headers.contains_key("authorization") && requests.len() == 2);
}

#[tokio::test]
async fn a_mirror_goes_first_and_what_it_lacks_is_asked_of_the_registry_itself() {
    let mirror = MockServer::start().await;
    let found = |words: &str| ResponseTemplate::new(200).set_body_string(words.to_owned());
    Mock::given(path("/v2/a/b/manifests/both")).respond_with(found("mirror")).mount(&mirror).await;
    Mock::given(any()).respond_with(ResponseTemplate::new(503)).with_priority(9).mount(&mirror).await;
    let registry = MockServer::start().await;
    for tag in ["both", "own"] {
        Mock::given(path(format!("/v2/a/b/manifests/{tag}"))).respond_with(found("own")).mount(&registry).await;
    }
    let host = registry.uri().trim_start_matches("http://").to_owned();
    let world = World::with(&registry.uri(), BTreeMap::from([(host, mirror.uri())]), None).await;
    for (tag, expected) in [("both", "mirror"), ("own", "own")] {
        assert_eq!(world.get(&format!("a/b/manifests/{tag}")).await.unwrap().text().await.unwrap(), expected);
    }
    // The truth is the registry's, not the mirror's.
    assert_eq!(world.status("a/b/manifests/none").await, 404);
}

#[tokio::test]
async fn an_image_is_fetched_ahead_for_its_platform_alone_and_dropped_when_nobody_reads_it() {
    let server = MockServer::start().await;
    let (config, layer) = (b"{}".to_vec(), vec![9; 100_000]);
    let manifest = json!({"schemaVersion": 2, "config": {"digest": digest(&config)},
        "layers": [{"digest": digest(&layer)}, {"digest": digest(&layer)}]})
    .to_string();
    let other = json!({"config": {"digest": digest(b"never")}}).to_string();
    let index = json!({"manifests": [
        {"digest": digest(other.as_bytes()), "platform": {"os": "linux", "architecture": "arm64"}},
        {"digest": digest(manifest.as_bytes()), "platform": {"os": "linux", "architecture": "amd64"}}]})
    .to_string();
    for (place, body) in [
        ("manifests/v1".to_owned(), index.into_bytes()),
        (format!("manifests/{}", digest(manifest.as_bytes())), manifest.clone().into_bytes()),
        (format!("blobs/{}", digest(&config)), config.clone()),
        (format!("blobs/{}", digest(&layer)), layer.clone()),
    ] {
        let answer = ResponseTemplate::new(200).set_body_bytes(body);
        Mock::given(path(format!("/v2/a/b/{place}"))).respond_with(answer).expect(1..=2).mount(&server).await;
    }
    let world = World::new(&server.uri()).await;
    let pulled = world.ahead("a/b:v1").await;
    assert_eq!((pulled.problem, pulled.bytes), (None, 100_002));
    assert_eq!(world.status(&format!("a/b/blobs/{}", digest(&layer))).await, 200);
    assert_eq!((world.proxy.stats().downloads, world.proxy.stats().bytes), (2, 100_002));
    assert!(world.proxy.drop_unused() >= 2);
    assert_eq!(world.get(&format!("a/b/blobs/{}", digest(&layer))).await.unwrap().bytes().await.unwrap(), layer);
}

#[tokio::test]
async fn it_answers_nothing_but_reads_of_images_and_ends_with_the_run() {
    let server = answering(ResponseTemplate::new(200)).await;
    let world = World::new(&server.uri()).await;
    let base = format!("http://{}", world.proxy.address());
    assert_eq!(world.http.get(format!("{base}/v2/")).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.http.get(format!("{base}/other")).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let put = world.http.put(world.url("a/b/manifests/v1")).headers(HeaderMap::new()).send().await.unwrap();
    assert_eq!(put.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(server.received_requests().await.unwrap().is_empty());
    drop(world.proxy);
    let gone = async {
        while world.http.get(format!("{base}/v2/")).send().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
}

#[test]
fn a_nodes_file_names_the_mirror_and_no_server() {
    let toml = hosts_toml("172.18.0.1:5000".parse().unwrap());
    assert_eq!(toml, "[host.\"http://172.18.0.1:5000\"]\n  capabilities = [\"pull\", \"resolve\"]\n");
}

/// The real thing: containerd pulls an image of a real registry through the proxy, twice, with one download.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs `ctr`, a containerd (EXAMPLE_VALIDATOR_TEST_CONTAINERD) and an image on a registry (EXAMPLE_VALIDATOR_TEST_IMAGE)"]
async fn a_real_containerd_pulls_through_with_one_download() {
    let variable = |name: &str| std::env::var(format!("EXAMPLE_VALIDATOR_TEST_{name}")).unwrap();
    let (socket, image) = (variable("CONTAINERD"), variable("IMAGE"));
    let reference = ImageReference::parse(&image).unwrap();
    let world = World::new(&format!("http://{}", reference.registry)).await;
    let hosts = world.folder.path().join("certs.d/_default");
    std::fs::create_dir_all(&hosts).unwrap();
    std::fs::write(hosts.join("hosts.toml"), hosts_toml(world.proxy.address())).unwrap();
    let hosts = world.folder.path().join("certs.d").display().to_string();
    let ctr = |arguments: Vec<String>| {
        let output =
            std::process::Command::new("ctr").args(["--address", &socket, "images"]).args(arguments).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let pull =
        |image: &str| ctr(["pull", "--hosts-dir", &hosts, "--snapshotter", "native", image].map(str::to_owned).into());
    let mut downloads = Vec::new();
    for _ in 0..2 {
        let (image, start) = (image.clone(), std::time::Instant::now());
        let (pulled, said) = tokio::task::block_in_place(|| pull(&image));
        assert!(pulled, "{said}");
        println!("pulled in {:?}; {:?}", start.elapsed(), world.proxy.stats());
        downloads.push(world.proxy.stats().downloads);
        assert!(ctr(["rm", "--sync", &image].map(str::to_owned).into()).0);
    }
    assert!(downloads[0] >= 2 && downloads[0] == downloads[1], "{downloads:?}");
    let absent = format!("{}:absent", reference.name());
    let (pulled, said) = tokio::task::block_in_place(|| pull(&absent));
    assert!(!pulled && said.contains("absent: not found"), "{said}");
}
