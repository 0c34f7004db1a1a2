//! The store of a run that has the Actions cache.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use example_validator::diagnostic::{Diagnostic, Severity};
use example_validator::github::cache::packed::Packer;
use example_validator::github::cache::policy::{Access, Caps};
use example_validator::github::cache::{Cache, FOLDER, version};
use example_validator::image::{Actions, Kept, Store, Written};
use example_validator::settings::{CacheMode, CacheSettings, RunContext, Services};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::server::{Answer, Server, status};
use super::{both, bytes, cache, cache_of, services, v1, v2};

const KEY: &str = "ev-image-v2-example-linux-amd64-0123";
const BOTH: Access = Access { reads: true, saves: true };
const BOUND: Duration = Duration::from_secs(60);

/// A run: its store and its private folder.
pub struct Run {
    folder: tempfile::TempDir,
    pub store: Store,
}

impl Run {
    pub fn new(cache: Cache, access: Access, caps: Caps) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let actions = Actions::new(cache, access, caps, folder.path().join("restored"));
        Self { store: Store::Actions(Arc::new(actions)), folder }
    }

    pub fn archive(&self, content: &[u8]) -> Written {
        let path = self.folder.path().join(format!("{}.tar.zst", content.len()));
        std::fs::write(&path, content).unwrap();
        let size = content.len() as u64;
        Written { path, size, unpacked: size, sha256: sha256(content) }
    }

    pub async fn put(&self, key: &str, content: &[u8]) {
        self.store.put(key, &self.archive(content)).await.unwrap();
    }

    pub async fn finish(&self) -> Vec<String> {
        self.store.finish(BOUND, &CancellationToken::new()).await;
        self.said()
    }

    fn said(&self) -> Vec<String> {
        let remarks = self.store.remarks();
        assert!(remarks.iter().all(|remark| remark.severity == Severity::Warning));
        remarks.iter().map(told).collect()
    }
}

fn told(remark: &Diagnostic) -> String {
    remark.message.clone()
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn new(server: &Server) -> Cache {
    cache(Some(server), None)
}

pub fn hit(kept: Kept) -> PathBuf {
    match kept {
        Kept::Hit(path) => path,
        other => panic!("no hit: {other:?}"),
    }
}

#[tokio::test]
async fn what_one_run_built_the_next_one_has() {
    let content = bytes(3 << 20);
    for (server, cache) in both().await {
        let first = Run::new(cache, BOTH, Caps::default());
        assert_eq!(first.store.get(KEY).await, Kept::Miss);
        first.put(KEY, &content).await;
        // The cells go on: what they need of it may be gone before it is saved.
        std::fs::remove_file(first.archive(&content).path).unwrap();
        assert_eq!(first.finish().await, Vec::<String>::new());

        let next = Run::new(cache_of(&server), BOTH, Caps::default());
        let file = hit(next.store.get(KEY).await);
        assert_eq!(file, next.folder.path().join("restored").join(format!("{KEY}.tar.zst")));
        assert!(std::fs::read(file).unwrap() == content);
        assert_eq!(next.store.get("ev-image-v2-example-linux-amd64-01").await, Kept::Miss, "a key is no prefix");
        assert_eq!(next.finish().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn nothing_is_asked_and_nothing_saved_without_the_right_to_it() {
    let server = v2::start().await;
    let none = Run::new(new(&server), Access { reads: false, saves: false }, Caps::default());
    assert_eq!(none.store.get(KEY).await, Kept::Miss);
    none.put(KEY, b"x").await;
    assert_eq!(none.finish().await, Vec::<String>::new());
    assert_eq!(server.world().log, Vec::<String>::new());
}

#[tokio::test]
async fn a_token_that_only_reads_is_no_trouble() {
    let server = v2::start().await;
    server.fault("POST", "CreateCacheEntry", 9, status(403, r#"{"msg": "cache write denied: read-only"}"#));
    let run = Run::new(new(&server), BOTH, Caps::default());
    run.put(KEY, b"x").await;
    run.put("other", b"x").await;
    assert_eq!(run.finish().await, Vec::<String>::new());
    assert_eq!(server.count("POST", "CreateCacheEntry"), 2);
}

#[tokio::test]
async fn each_kind_of_trouble_is_told_once_and_fails_nothing() {
    let server = v2::start().await;
    server.fault("POST", "GetCacheEntryDownloadURL", 99, status(500, ""));
    let quota =
        Answer::Status(429, vec![("retry-after", "3600".to_owned())], r#"{"msg": "insufficient usage"}"#.to_owned());
    server.fault("POST", "CreateCacheEntry", 99, quota);
    let run = Run::new(new(&server), BOTH, Caps::default());
    for key in ["a", "b", "c"] {
        assert_eq!(run.store.get(key).await, Kept::Miss);
        run.put(key, b"x").await;
    }
    let asking = "asking the Actions cache for an image failed: it answers 500 Internal Server Error";
    let saving = "saving to the Actions cache failed: the storage is used up: it answers 429 Too Many Requests: \
        insufficient usage";
    assert_eq!(run.finish().await, [asking, saving]);
    // What is down is asked for the first image, as often as patience has it, and not for every other one again.
    assert_eq!(server.count("POST", "GetCacheEntryDownloadURL"), 5);
    assert_eq!(server.count("POST", "CreateCacheEntry"), 3);
}

#[tokio::test]
async fn a_service_that_is_not_there_any_more_is_a_warning() {
    let server = v1::start().await;
    let cache = cache(None, Some(&server));
    server.fault("GET", "/cache", 99, status(502, "bad gateway"));
    let run = Run::new(cache, BOTH, Caps::default());
    assert_eq!(run.store.get(KEY).await, Kept::Miss);
    assert_eq!(
        run.finish().await,
        ["asking the Actions cache for an image failed: it answers 502 Bad Gateway: bad gateway"]
    );
}

#[tokio::test]
async fn nothing_is_saved_above_the_caps() {
    let server = v2::start().await;
    let run = Run::new(new(&server), BOTH, Caps { entry: 3 << 20, run: 5 << 20 });
    for (key, length) in [("large", 4), ("first", 2), ("second", 2), ("third", 2), ("fourth", 2)] {
        run.put(key, &bytes(length << 20)).await;
    }
    assert_eq!(
        run.finish().await,
        [
            "large is not saved to the Actions cache: it has 5 MiB, more than 3",
            "third (3 MiB) is not saved to the Actions cache: this run has already saved 5 MiB of at most 5",
        ]
    );
    let kept = ["large", "first", "second", "third", "fourth"].map(|key| server.content(key).is_some());
    assert_eq!(kept, [false, true, true, false, false]);
}

/// An entry as somebody else may have made it.
fn entry(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut packer = Packer::new(FOLDER, 1_700_000_000).unwrap();
    for (name, content) in files {
        packer.bytes(name, content).unwrap();
    }
    let whole = packer.finish();
    let mut bytes = vec![0; usize::try_from(whole.size()).unwrap()];
    whole.read_at(0, &mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn an_entry_that_can_not_be_used_is_told_with_what_to_do() {
    let (name, sum_name) = (format!("{KEY}.tar.zst"), format!("{KEY}.tar.zst.sha256"));
    let wrong_sum = format!("{}  {name}\n", sha256(b"other"));
    let right_sum = format!("{}  {name}\n", sha256(b"an image"));
    let good = entry(&[(&name, b"an image"), (&sum_name, right_sum.as_bytes())]);
    for (content, why) in [
        (entry(&[(&name, b"an image"), (&sum_name, wrong_sum.as_bytes())]), "is not as it was written"),
        (entry(&[(&name, b"an image")]), "it does not hold"),
        (entry(&[("other", b"an image")]), "it does not hold"),
        (entry(&[(&name, b"an image"), (&sum_name, &[b'x'; 10_000])]), "it does not hold"),
        (good[..good.len() / 2].to_vec(), ""),
        (b"no entry".to_vec(), ""),
    ] {
        let server = v2::start().await;
        server.keep(KEY, &version(), content);
        let run = Run::new(new(&server), BOTH, Caps::default());
        let kept = run.store.get(KEY).await;
        assert!(matches!(&kept, Kept::Broken(told) if told.contains(why)), "{kept:?}, not {why}");
        let remarks = run.store.remarks();
        assert!(remarks[0].message.contains(KEY) && remarks[0].help.as_ref().unwrap().contains("gh cache delete"));
        let restored = run.folder.path().join("restored");
        assert!(std::fs::read_dir(restored).unwrap().next().is_none(), "nothing is left of it");
    }
}

#[tokio::test]
async fn a_cancelled_run_does_not_wait_and_a_slow_service_is_given_up() {
    let server = v2::start().await;
    let run = Run::new(new(&server), BOTH, Caps::default());
    run.put(KEY, b"x").await;
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    run.store.finish(BOUND, &cancelled).await;
    assert_eq!(run.said(), Vec::<String>::new());

    // One that takes the connection and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let results = format!("http://{}/", silent.local_addr().unwrap());
    let services = Services { results_url: Some(results), ..services(None, None) };
    let patience = example_validator::github::retry::Patience::without_pauses();
    let run = Run::new(Cache::find(&services, "https://github.com", patience).unwrap(), BOTH, Caps::default());
    run.put(KEY, b"x").await;
    run.store.finish(Duration::ZERO, &CancellationToken::new()).await;
    assert_eq!(run.said(), ["saving to the Actions cache was not done after 0 s, and was given up"]);
}

fn context(server: &Server, event: &str, reference: &str) -> RunContext {
    RunContext {
        github_actions: true,
        event_name: Some(event.to_owned()),
        reference: Some(reference.to_owned()),
        event_payload: json!({"repository": {"default_branch": "main"}}),
        server_url: "https://github.com".to_owned(),
        services: services(Some(server), None),
        ..RunContext::default()
    }
}

fn settings(dir: Option<&Path>, mode: CacheMode) -> CacheSettings {
    CacheSettings { dir: dir.map(Path::to_owned), mode, tool_mirror: None, tool_dir: None }
}

#[tokio::test]
async fn a_run_saves_by_its_event_and_reads_whatever_that_is() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("x");
    std::fs::write(&archive, "x").unwrap();
    let archive = Written { path: archive, size: 1, unpacked: 1, sha256: sha256(b"x") };
    for (mode, event, reference, on_pull_request, is_saved) in [
        (CacheMode::On, "push", "refs/heads/main", false, true),
        (CacheMode::On, "push", "refs/heads/topic", false, false),
        (CacheMode::On, "pull_request", "refs/pull/1/merge", false, false),
        (CacheMode::On, "pull_request", "refs/pull/1/merge", true, true),
        (CacheMode::On, "pull_request_target", "refs/heads/main", true, false),
        (CacheMode::Read, "push", "refs/heads/main", false, false),
    ] {
        let server = v2::start().await;
        let context = context(&server, event, reference);
        let store = Store::new(&settings(None, mode), &context, on_pull_request, folder.path());
        assert!(store.is_on());
        assert_eq!(store.get(KEY).await, Kept::Miss);
        store.put(KEY, &archive).await.unwrap();
        store.finish(BOUND, &CancellationToken::new()).await;
        assert_eq!(server.content(KEY).is_some(), is_saved, "{event} on {reference}");
        assert_eq!(server.count("POST", "GetCacheEntryDownloadURL"), 1);
    }
}

#[tokio::test]
async fn a_folder_that_was_named_goes_before_the_actions_cache() {
    let (server, folder) = (v2::start().await, tempfile::tempdir().unwrap());
    let context = context(&server, "push", "refs/heads/main");
    let store = |dir, mode| Store::new(&settings(dir, mode), &context, false, folder.path());
    assert!(matches!(store(Some(folder.path()), CacheMode::On), Store::Folder { is_written: true, .. }));
    assert!(matches!(store(Some(folder.path()), CacheMode::Read), Store::Folder { is_written: false, .. }));
    assert!(matches!(store(None, CacheMode::On), Store::Actions(_)));
    assert!(!store(None, CacheMode::Off).is_on());
    let outside = RunContext { github_actions: false, ..context.clone() };
    assert!(!Store::new(&settings(None, CacheMode::On), &outside, false, folder.path()).is_on());
    let services = Services { cache_mode: Some("none".to_owned()), ..context.services.clone() };
    let forbidden = RunContext { services, ..context.clone() };
    assert!(!Store::new(&settings(None, CacheMode::On), &forbidden, false, folder.path()).is_on());
    let without = RunContext { services: Services::default(), ..context.clone() };
    assert!(!Store::new(&settings(None, CacheMode::On), &without, false, folder.path()).is_on());
}

/// A folder of layers as buildx writes it: an index, blobs by their digests, and what it needs for itself.
fn write_layers(folder: &Path, blobs: &[&[u8]]) {
    std::fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    std::fs::create_dir_all(folder.join("ingest")).unwrap();
    std::fs::write(folder.join("index.json.lock"), "").unwrap();
    std::fs::write(folder.join("index.json"), format!("{} blobs", blobs.len())).unwrap();
    for blob in blobs {
        std::fs::write(folder.join("blobs/sha256").join(sha256(blob)), blob).unwrap();
    }
}

/// What is in it, by name.
fn layers_in(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = vec![("index".to_owned(), std::fs::read(folder.join("index.json")).unwrap())];
    for blob in std::fs::read_dir(folder.join("blobs/sha256")).unwrap() {
        let blob = blob.unwrap();
        found.push((blob.file_name().into_string().unwrap(), std::fs::read(blob.path()).unwrap()));
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_pull_requests_build_stands_on_the_layers_of_the_default_branchs_newest() {
    const IMAGE: &str = "ghcr.io/example/mnist";
    let key = |build: u32| format!("ev-image-v2-ghcr.io-example-mnist-linux-amd64-{build:04}");
    for (server, cache) in both().await {
        let first = Run::new(cache, BOTH, Caps::default());
        let folder = first.store.layers(IMAGE).unwrap();
        assert!(folder.is_written && folder.path.ends_with("layers/ghcr.io-example-mnist"));
        first.store.get_layers(&key(1), &folder).await;
        assert!(!folder.path.exists());
        first.store.put_layers(&key(1), &folder).unwrap();
        let large = bytes(5 << 20);
        for (build, blobs) in [(1, [&b"base"[..], b"old"]), (2, [b"base", &large])] {
            std::fs::remove_dir_all(&folder.path).unwrap_or_default();
            write_layers(&folder.path, &blobs);
            first.store.put_layers(&key(build), &folder).unwrap();
            assert_eq!(first.finish().await, Vec::<String>::new());
        }

        let next = Run::new(cache_of(&server), Access { reads: true, saves: false }, Caps::default());
        let there = next.store.layers(IMAGE).unwrap();
        assert!(!there.is_written);
        next.store.get_layers(&key(3), &there).await;
        let mut expected = [
            ("index".to_owned(), b"2 blobs".to_vec()),
            (sha256(b"base"), b"base".to_vec()),
            (sha256(&large), large.clone()),
        ];
        expected.sort();
        assert_eq!(layers_in(&there.path), expected);
        next.store.put_layers(&key(3), &there).unwrap();
        assert_eq!(next.finish().await, Vec::<String>::new());
        let keys: Vec<_> = server.world().entries.iter().map(|entry| entry.key.clone()).collect();
        assert_eq!(keys, [1, 2].map(|build| key(build).replace("image", "layers")));
    }
}

#[tokio::test]
async fn layers_that_are_not_what_they_should_be_are_not_used_and_nobody_is_bothered() {
    let blob = format!("layers/x/blobs/sha256/{}", sha256(b"blob"));
    for files in [
        vec![(blob.as_str(), &b"another"[..]), ("layers/x/index.json", b"{}")],
        vec![(blob.as_str(), b"blob")],
        vec![("layers/y/index.json", b"{}")],
        vec![("layers/x/blobs/sha256/index", b"x")],
    ] {
        let server = v2::start().await;
        server.keep("ev-layers-v2-x-linux-amd64-1", &version(), entry(&files));
        let run = Run::new(new(&server), BOTH, Caps::default());
        let folder = run.store.layers("x").unwrap();
        run.store.get_layers("ev-image-v2-x-linux-amd64-2", &folder).await;
        assert!(!folder.path.exists());
        assert_eq!(std::fs::read_dir(folder.path.parent().unwrap()).unwrap().count(), 0, "nothing is left of it");
        assert_eq!(run.finish().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn without_the_cache_there_are_layers_only_in_a_folder_that_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = |mode| Store::new(&settings(Some(folder.path()), mode), &RunContext::default(), false, folder.path());
    let layers = store(CacheMode::On).layers("a/b").unwrap();
    assert_eq!((layers.path, layers.is_written), (folder.path().join("layers/a-b"), true));
    assert_eq!(store(CacheMode::Read).layers("a/b"), None);
    let server = v2::start().await;
    assert_eq!(Run::new(new(&server), Access { reads: false, saves: false }, Caps::default()).store.layers("a"), None);
}
