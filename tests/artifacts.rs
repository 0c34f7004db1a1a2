//! Artifacts against a server that is as strict as GitHub's, and against one that does as act's does.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod github;

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use example_validator::github::artifact::{self, ArtifactError, Contents, NewArtifact};
use example_validator::github::results::{Order, Results, Sent, SignedUrl, Upload};
use example_validator::github::retry::Patience;
use github::results_server::{Fault, Mode, Server, blobs};

/// The service of a server, without pauses.
fn results(server: &Server) -> Results {
    let mode = server.world().mode;
    let order = if mode == Mode::Act { Order::ByArrival } else { Order::ById };
    let results = Results::new(&server.services(), "https://github.com").unwrap();
    results.with_patience(Patience::without_pauses()).with_order(order)
}

/// An output folder with a report, and evidence that is hard to compress, of so many bytes.
fn output(evidence: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("report.json"), r#"{"schemaVersion": 1}"#).unwrap();
    fs::write(folder.path().join("summary.md"), "# 12 passed\n".repeat(1000)).unwrap();
    fs::write(folder.path().join("journal.jsonl"), "{}").unwrap();
    let file = fs::File::create(folder.path().join("evidence.zip")).unwrap();
    let mut zip = zip::ZipWriter::new(file);
    zip.start_file("index.txt", zip::write::SimpleFileOptions::DEFAULT).unwrap();
    zip.write_all(b"what is here\n").unwrap();
    let stored = zip::write::SimpleFileOptions::DEFAULT.compression_method(zip::CompressionMethod::Stored);
    zip.start_file("v1.34.0/examples/a.yaml/attempt-1/pod.main.log", stored).unwrap();
    let bytes: Vec<u8> = (0..evidence as u64).map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect();
    zip.write_all(&bytes).unwrap();
    zip.finish().unwrap();
    folder
}

fn contents(folder: &tempfile::TempDir) -> Contents {
    Contents::of_output(folder.path()).unwrap()
}

fn named(name: &str) -> NewArtifact<'_> {
    NewArtifact { name, ..NewArtifact::default() }
}

/// The names in a zip.
fn names(zip: &Path) -> Vec<String> {
    let mut zip = zip::ZipArchive::new(fs::File::open(zip).unwrap()).unwrap();
    (0..zip.len()).map(|index| zip.by_index(index).unwrap().name().unwrap().into_owned()).collect()
}

const EVERYTHING: [&str; 4] =
    ["report.json", "summary.md", "evidence/index.txt", "evidence/v1.34.0/examples/a.yaml/attempt-1/pod.main.log"];

#[tokio::test]
async fn an_artifact_is_sent_listed_fetched_and_deleted() {
    let (server, folder) = (Server::start(Mode::GitHub).await, output(1000));
    let results = results(&server);
    let new = NewArtifact { retention_days: Some(30), longest_days: Some(7), ..named("report 1") };
    let uploaded = artifact::upload(&results, &new, contents(&folder)).await.unwrap();
    assert_eq!(server.asked(), ["CreateArtifact", "block", "blocklist", "FinalizeArtifact"]);
    {
        let world = server.world();
        let kept = world.artifacts.named("report 1").unwrap();
        assert_eq!(kept.finished, Some((uploaded.id, uploaded.digest.clone())));
        let hours = kept.expires_at.unwrap().duration_since(jiff::Timestamp::now()).as_hours();
        assert!((7 * 24 - 1..=7 * 24).contains(&hours), "{hours}");
    }

    artifact::upload(&results, &named("other"), Contents::default()).await.unwrap();
    let listed = artifact::list(&results, "report").await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].id, listed[0].size), (uploaded.id, uploaded.size));
    assert_eq!(listed[0].digest.as_deref(), Some(uploaded.digest.as_str()));
    let target = folder.path().join("fetched.zip");
    assert_eq!(artifact::download(&results, &listed[0], &target, 1 << 20).await.unwrap(), uploaded.size);
    assert_eq!(names(&target), EVERYTHING);

    artifact::delete(&results, &listed[0]).await.unwrap();
    artifact::delete(&results, &listed[0]).await.unwrap();
    assert_eq!(artifact::list(&results, "report").await.unwrap(), []);
    server.assert_satisfied();
}

#[tokio::test]
async fn four_blocks_are_on_their_way_at_once_and_come_together_in_their_order() {
    let (server, folder) = (Server::start(Mode::GitHub).await, output(1 << 20));
    // None is answered before four are there.
    server.hold_blocks_until(4);
    let how = Upload { block: 100_000, ..Upload::artifact(Order::ById) };
    let (blob, sent) = send(&server, &folder, how).await;
    assert_eq!(server.most_blocks_at_once(), 4);
    assert_eq!(server.asked().iter().filter(|name| *name == "block").count(), 11);
    let world = server.world();
    let zip = world.blobs.committed(&blob).unwrap();
    assert_eq!((sent.size, format!("sha256:{}", sent.sha256)), (zip.len() as u64, blobs::digest(zip)));
    drop(world);
    server.assert_satisfied();
}

#[tokio::test]
async fn acts_server_gets_blocks_one_by_one() {
    let (server, folder) = (Server::start(Mode::Act).await, output(1 << 20));
    let how = Upload { block: 100_000, ..Upload::artifact(Order::ByArrival) };
    let (blob, sent) = send(&server, &folder, how).await;
    assert_eq!(server.most_blocks_at_once(), 1);
    assert_eq!(server.asked().iter().filter(|name| *name == "block").count(), 11);
    assert_eq!(format!("sha256:{}", sent.sha256), blobs::digest(server.world().blobs.committed(&blob).unwrap()));
    server.assert_satisfied();
}

/// Sends an output as a blob of the server's; gives the blob's name.
async fn send(server: &Server, folder: &tempfile::TempDir, how: Upload) -> (String, Sent) {
    let (blob, url) = {
        let mut world = server.world();
        let url = world.url.clone();
        world.blobs.begin(&url, "a.zip", blobs::Kind::Blocks)
    };
    let url = SignedUrl::parse(&url).unwrap();
    // Chunks that are no blocks.
    let sent = results(server).blobs().upload(&url, contents(folder).stream(77_777), &how).await.unwrap();
    (blob, sent)
}

#[tokio::test]
async fn an_artifact_goes_to_acts_server_and_comes_back() {
    let (server, folder) = (Server::start(Mode::Act).await, output(9 << 20));
    // Without TLS it is known for act's by itself.
    let results = Results::new(&server.services(), "https://github.com").unwrap();
    let new = NewArtifact { overwrite: true, retention_days: Some(5), ..named("report") };
    for contents in [Contents::default(), contents(&folder)] {
        let uploaded = artifact::upload(&results, &new, contents).await.unwrap();
        let world = server.world();
        let zip = world.blobs.committed(&world.artifacts.named("report").unwrap().blob).unwrap();
        assert_eq!((uploaded.size, uploaded.digest), (zip.len() as u64, blobs::digest(zip)));
    }
    let listed = artifact::list(&results, "").await.unwrap();
    assert_eq!((listed.len(), listed[0].ids.run.as_str(), listed[0].digest.as_deref()), (1, "1", None));
    let target = folder.path().join("fetched.zip");
    artifact::download(&results, &listed[0], &target, 1 << 30).await.unwrap();
    assert_eq!(names(&target), EVERYTHING);
    server.assert_satisfied();
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    for mode in [Mode::GitHub, Mode::Act] {
        let server = Server::start(mode).await;
        let (blob, url) = {
            let mut world = server.world();
            let url = world.url.clone();
            world.blobs.begin(&url, "nothing", blobs::Kind::Any)
        };
        let url = SignedUrl::parse(&url).unwrap();
        let results = results(&server);
        let how = Upload::artifact(results.order());
        let sent = results.blobs().upload(&url, futures::stream::empty(), &how).await.unwrap();
        assert_eq!((sent.size, &sent.sha256[..8]), (0, "e3b0c442"));
        assert_eq!(server.world().blobs.committed(&blob), Some([].as_slice()));
        server.assert_satisfied();
    }
}

#[tokio::test]
async fn a_block_is_not_sent_twice_to_who_would_count_it_twice() {
    let (server, folder) = (Server::start(Mode::Act).await, output(1000));
    server.fail("block", [Fault::Lost]);
    let error = artifact::upload(&results(&server), &named("a"), contents(&folder)).await.unwrap_err();
    assert!(error.to_string().starts_with("artifact `a`: the storage answers with status 502"), "{error}");
    assert_eq!(server.asked(), ["CreateArtifact", "block"]);
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let (server, folder) = (Server::start(Mode::GitHub).await, output(9 << 20));
    server.fail(
        "CreateArtifact",
        [Fault::Status(429), Fault::Wait(503, 7), Fault::Text(200, "<html>"), Fault::Status(500)],
    );
    server.fail("block", [Fault::Status(500), Fault::Lost, Fault::Status(503), Fault::Wait(429, 1)]);
    server.fail("blocklist", [Fault::Lost, Fault::Status(504)]);
    server.fail("FinalizeArtifact", [Fault::Status(502), Fault::Text(500, "oops")]);
    let uploaded = artifact::upload(&results(&server), &named("a"), contents(&folder)).await.unwrap();
    let world = server.world();
    let zip = world.blobs.committed(&world.artifacts.named("a").unwrap().blob).unwrap();
    assert_eq!((uploaded.size, uploaded.digest), (zip.len() as u64, blobs::digest(zip)));
    drop(world);
    server.assert_satisfied();
}

#[tokio::test]
async fn five_tries_are_all() {
    let (server, folder) = (Server::start(Mode::GitHub).await, output(100));
    server.fail("CreateArtifact", std::iter::repeat_n(Fault::Twirp(500, "internal", "try later"), 5));
    let error = artifact::upload(&results(&server), &named("a"), contents(&folder)).await.unwrap_err();
    assert_eq!(error.to_string(), "CreateArtifact failed: status 500, internal, try later");
    server.fail("block", std::iter::repeat_n(Fault::Status(503), 5));
    let error = artifact::upload(&results(&server), &named("b"), contents(&folder)).await.unwrap_err();
    assert_eq!(error.to_string(), "artifact `b`: the storage answers with status 503");
    server.assert_satisfied();
}

#[tokio::test]
async fn what_is_final_is_not_tried_again() {
    let (server, folder) = (Server::start(Mode::GitHub).await, output(100));
    let results = results(&server);
    let used_up = Fault::Twirp(429, "resource_exhausted", "insufficient usage to create artifact");
    server.fail("CreateArtifact", [used_up]);
    let error = artifact::upload(&results, &named("a"), contents(&folder)).await.unwrap_err();
    assert!(matches!(error, ArtifactError::Quota), "{error}");
    server.fail("CreateArtifact", [Fault::Text(404, "404 page not found")]);
    let error = artifact::upload(&results, &named("a"), contents(&folder)).await.unwrap_err();
    let ArtifactError::Call(error) = error else { panic!("{error}") };
    assert!(error.is_absent() && !error.is_conflict(), "{error}");
    assert_eq!(server.asked(), ["CreateArtifact", "CreateArtifact"]);
    // A server that sends the caller on to another gets no second request, let alone another the token.
    server.fail("CreateArtifact", [Fault::Status(307)]);
    assert!(artifact::upload(&results, &named("a"), contents(&folder)).await.is_err());
    server.assert_satisfied();
}

#[tokio::test]
async fn a_name_is_taken_unless_it_may_be_overwritten() {
    let (server, folder) = (Server::start(Mode::GitHub).await, output(100));
    let results = results(&server);
    let first = artifact::upload(&results, &named("a"), contents(&folder)).await.unwrap();
    let error = artifact::upload(&results, &named("a"), contents(&folder)).await.unwrap_err();
    assert!(matches!(&error, ArtifactError::Taken(name) if name == "a"), "{error}");
    let new = NewArtifact { overwrite: true, ..named("a") };
    let second = artifact::upload(&results, &new, Contents::default()).await.unwrap();
    assert!(second.id > first.id && second.digest != first.digest);
    assert_eq!(artifact::list(&results, "").await.unwrap().len(), 1);
    let error = artifact::upload(&results, &named("a/b"), contents(&folder)).await.unwrap_err();
    assert_eq!(error.to_string(), "`a/b`: an artifact's name can't hold '/'");
    server.assert_satisfied();
}

#[tokio::test]
async fn what_a_lost_answer_did_is_understood() {
    let (server, folder) = (Server::start(Mode::GitHub).await, output(100));
    let results = results(&server);
    server.fail("CreateArtifact", [Fault::Lost]);
    server.fail("FinalizeArtifact", [Fault::Cut(3)]);
    let new = NewArtifact { overwrite: true, ..named("a") };
    let uploaded = artifact::upload(&results, &new, contents(&folder)).await.unwrap();
    assert_eq!(
        server.asked(),
        [
            "ListArtifacts",
            "CreateArtifact",
            "CreateArtifact",
            "ListArtifacts",
            "DeleteArtifact",
            "CreateArtifact",
            "block",
            "blocklist",
            "FinalizeArtifact",
            "FinalizeArtifact",
            "ListArtifacts"
        ]
    );
    assert_eq!(server.world().artifacts.named("a").unwrap().finished, Some((uploaded.id, uploaded.digest)));
    // Without `overwrite` one that is there is another's, whatever got lost.
    server.fail("CreateArtifact", [Fault::Status(502)]);
    let error = artifact::upload(&results, &named("a"), contents(&folder)).await.unwrap_err();
    assert!(matches!(error, ArtifactError::Taken(_)), "{error}");
    server.assert_satisfied();
}

#[tokio::test]
async fn jobs_of_a_run_see_the_artifacts_of_each_other() {
    let (server, folder) = (Server::start_as(Mode::GitHub, "first").await, output(100));
    for shard in ["shard-1", "shard-2"] {
        artifact::upload(&results(&server), &named(shard), contents(&folder)).await.unwrap();
        let mut world = server.world();
        world.job = "second".to_owned();
        world.token = github::results_server::token(&world.run, "second");
    }
    let found = artifact::list(&results(&server), "shard-").await.unwrap();
    let shown: Vec<_> = found.iter().map(|found| (found.name.as_str(), found.ids.job.as_str())).collect();
    assert_eq!(shown, [("shard-1", "first"), ("shard-2", "second")]);
    let target = folder.path().join("fetched.zip");
    artifact::download(&results(&server), &found[0], &target, 1 << 20).await.unwrap();
    server.assert_satisfied();
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke_off() {
    let (server, folder) = (Server::start(Mode::GitHub).await, output(3 << 20));
    let results = results(&server);
    let uploaded = artifact::upload(&results, &named("a"), contents(&folder)).await.unwrap();
    let listed = artifact::list(&results, "a").await.unwrap().remove(0);
    let target = folder.path().join("fetched.zip");
    server.fail("get", [Fault::Status(503), Fault::Cut(1 << 20), Fault::Cut(0), Fault::Cut(1 << 20)]);
    assert_eq!(artifact::download(&results, &listed, &target, uploaded.size).await.unwrap(), uploaded.size);
    assert_eq!(names(&target), EVERYTHING);
    assert_eq!(server.asked().iter().filter(|name| *name == "get").count(), 5);

    fs::remove_file(&target).unwrap();
    server.fail("get", std::iter::repeat_n(Fault::Cut(100), 5));
    let error = artifact::download(&results, &listed, &target, uploaded.size).await.unwrap_err();
    assert!(error.to_string().contains("can't be heard"), "{error}");
    assert!(!target.exists(), "whole, or not at all");
    server.assert_satisfied();
}

#[tokio::test]
async fn a_download_from_a_server_without_ranges_skips_what_it_has() {
    let (server, folder) = (Server::start(Mode::Act).await, output(3 << 20));
    let results = results(&server);
    artifact::upload(&results, &named("a"), contents(&folder)).await.unwrap();
    let listed = artifact::list(&results, "a").await.unwrap().remove(0);
    let target = folder.path().join("fetched.zip");
    server.fail("get", [Fault::Cut(1 << 20)]);
    artifact::download(&results, &listed, &target, 1 << 30).await.unwrap();
    assert_eq!(names(&target), EVERYTHING);
    server.assert_satisfied();
}

#[tokio::test]
async fn what_is_too_big_or_not_what_was_sent_is_refused() {
    let (server, folder) = (Server::start(Mode::GitHub).await, output(1 << 20));
    let results = results(&server);
    let uploaded = artifact::upload(&results, &named("a"), contents(&folder)).await.unwrap();
    let listed = artifact::list(&results, "a").await.unwrap().remove(0);
    let target = folder.path().join("fetched.zip");
    let error = artifact::download(&results, &listed, &target, uploaded.size - 1).await.unwrap_err();
    assert_eq!(error.to_string(), format!("artifact `a`: it has more than {} bytes", uploaded.size - 1));
    let blob = server.world().artifacts.named("a").unwrap().blob.clone();
    server.world().blobs.replace(&blob, b"another".to_vec());
    let error = artifact::download(&results, &listed, &target, uploaded.size).await.unwrap_err();
    assert!(error.to_string().starts_with("artifact `a`: what came has the digest sha256:"), "{error}");
    let left: Vec<PathBuf> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!left.iter().any(|path| path.ends_with("fetched.zip") || path.display().to_string().contains(".blob-")));
    server.assert_satisfied();
}

#[tokio::test]
async fn an_error_shows_neither_token_nor_signature() {
    let (server, folder) = (Server::start(Mode::GitHub).await, output(100));
    let token = server.world().token.clone();
    server.fail("block", [Fault::Status(403)]);
    let refused = artifact::upload(&results(&server), &named("a"), contents(&folder)).await.unwrap_err();
    let mut lost = server.services();
    lost.results_url = Some("http://127.0.0.1:1/".to_owned());
    let lost = Results::new(&lost, "https://github.com").unwrap().with_patience(Patience::without_pauses());
    let unheard = artifact::list(&lost, "").await.unwrap_err();
    for shown in [format!("{refused} {refused:?}"), format!("{unheard} {unheard:?} {lost:?}")] {
        assert!(!shown.contains(&token) && !shown.contains("sig") && !shown.contains("w+1"), "{shown}");
    }
    assert!(unheard.to_string().starts_with("ListArtifacts failed: "), "{unheard}");
}

/// The files of a folder, by their paths below it.
fn files(folder: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().display().to_string(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// The files in a zip.
fn zipped(bytes: &[u8]) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    (0..zip.len())
        .map(|index| {
            let mut file = zip.by_index(index).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            (file.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_reads_what_we_write_and_we_what_it_writes() {
    let Some(clients) = github::node::clients() else { return };
    let (server, folder) = (Server::start(Mode::GitHub).await, output(9 << 20));
    fs::write(folder.path().join("chart.png"), [b"\x89PNG\r\n\x1a\n".as_slice(), &[7; 5000]].concat()).unwrap();
    fs::write(folder.path().join("empty.txt"), "").unwrap();
    let results = results(&server);
    let uploaded = artifact::upload(&results, &named("ours"), contents(&folder)).await.unwrap();
    let (url, token) = (format!("{}/", server.world().url), server.world().token.clone());
    let fetched = tempfile::tempdir().unwrap();
    let (their, theirs) = (fetched.path().to_owned(), folder.path().join("summary.md"));
    let output = tokio::task::spawn_blocking(move || {
        let variables = [("ACTIONS_RESULTS_URL", url.as_str()), ("ACTIONS_RUNTIME_TOKEN", token.as_str())];
        github::node::run(&clients, "artifact.mjs", &[&their, &theirs], &variables)
    });
    let output = String::from_utf8(output.await.unwrap().stdout).unwrap();
    let said: serde_json::Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
    assert_eq!(said["ours"]["id"], uploaded.id);
    assert_eq!(said["ours"]["size"], uploaded.size);
    assert_eq!(said["ours"]["digest"], uploaded.digest);
    assert_eq!(said["digestMismatch"], false);

    let sent = {
        let world = server.world();
        zipped(world.blobs.committed(&world.artifacts.named("ours").unwrap().blob).unwrap())
    };
    assert_eq!(sent.len(), EVERYTHING.len() + 2);
    assert!(files(fetched.path()) == sent, "{:?} {:?}", files(fetched.path()).keys(), sent.keys());

    let listed = artifact::list(&results, "theirs").await.unwrap().remove(0);
    let target = folder.path().join("theirs.zip");
    artifact::download(&results, &listed, &target, 1 << 20).await.unwrap();
    assert_eq!(zipped(&fs::read(&target).unwrap())["summary.md"], fs::read(folder.path().join("summary.md")).unwrap());
    server.assert_satisfied();
}

#[tokio::test]
async fn other_programs_can_unzip_it() {
    let (server, folder) = (Server::start(Mode::GitHub).await, output(2 << 20));
    let results = results(&server);
    artifact::upload(&results, &named("a"), contents(&folder)).await.unwrap();
    let listed = artifact::list(&results, "a").await.unwrap().remove(0);
    let target = folder.path().join("a.zip");
    artifact::download(&results, &listed, &target, 1 << 30).await.unwrap();
    let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
                  assert all(e.flag_bits & 8 == 0 for e in z.infolist())\nprint(*z.namelist(), sep='\\n')";
    match std::process::Command::new("python3").args(["-c", script]).arg(&target).output() {
        Ok(output) => {
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert_eq!(out.lines().collect::<Vec<_>>(), EVERYTHING, "{err}");
        }
        Err(error) => eprintln!("skipped: python3 can't be started: {error}"),
    }
}
