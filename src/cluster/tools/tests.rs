//! Releases of a loopback server, into a cache of their own.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

const KIND: &str = "#!/bin/sh\necho 'kind v9.9.9 go1 linux/amd64'\n";

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn toolbox(folder: &Path, mirror: &str, content: &[u8]) -> Toolbox {
    let table: String = ["kind", "kubectl", "helm"]
        .map(|tool| format!("{tool}:\n- {{version: v9.9.9, amd64: '{0}', arm64: '{0}'}}\n", sum(content)))
        .concat();
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let environment = [("PATH".into(), bin.into())];
    Toolbox::new(&environment, folder.join("cache"), Some(mirror.to_owned())).with_sums(Sums::read(&table))
}

/// Puts a program on the toolbox's PATH.
fn install(folder: &Path, name: &str, text: &str) {
    crate::child::testing::program(&folder.join("bin").join(name), text);
}

fn kind_path(toolbox: &Toolbox) -> String {
    format!("/kubernetes-sigs/kind/releases/download/v9.9.9/kind-linux-{}", toolbox.arch)
}

#[tokio::test]
async fn a_release_is_downloaded_once_and_checked_each_time() {
    let (folder, server) = (tempfile::tempdir().unwrap(), MockServer::start().await);
    let toolbox = toolbox(folder.path(), &format!("{}/", server.uri()), KIND.as_bytes());
    let answer = ResponseTemplate::new(200).set_body_bytes(KIND);
    Mock::given(path(kind_path(&toolbox))).respond_with(answer).expect(2).mount(&server).await;
    let found = toolbox.find(Wanted::Kind, None).await.unwrap();
    assert_eq!((found.version.as_str(), found.origin), ("v9.9.9", Origin::Download));
    assert_eq!(std::fs::metadata(&found.path).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(toolbox.find(Wanted::Kind, Some("v9.9.9")).await.unwrap().origin, Origin::Cache);
    std::fs::write(&found.path, "#!/bin/sh\necho evil\n").unwrap();
    assert_eq!(toolbox.find(Wanted::Kind, None).await.unwrap().origin, Origin::Download);
    assert_eq!(std::fs::read_to_string(&found.path).unwrap(), KIND);
    assert_eq!(std::fs::read_dir(found.path.parent().unwrap()).unwrap().count(), 1, "no half file is left");
}

#[tokio::test]
async fn helm_comes_out_of_its_archive() {
    let (folder, server) = (tempfile::tempdir().unwrap(), MockServer::start().await);
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, text) in [("linux-amd64/README.md", "helm"), ("linux-amd64/helm", "#!/bin/sh\necho v9.9.9\n")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        archive.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    let content = archive.into_inner().unwrap().finish().unwrap();
    let toolbox = toolbox(folder.path(), &server.uri(), &content);
    let url = format!("/helm-v9.9.9-linux-{}.tar.gz", toolbox.arch);
    Mock::given(path(url))
        .respond_with(ResponseTemplate::new(200).set_body_bytes(content))
        .expect(1)
        .mount(&server)
        .await;
    for origin in [Origin::Download, Origin::Cache] {
        let found = toolbox.find(Wanted::Helm, None).await.unwrap();
        assert_eq!(found.origin, origin);
        assert_eq!(std::fs::read_to_string(&found.path).unwrap(), "#!/bin/sh\necho v9.9.9\n");
    }
}

#[tokio::test]
async fn a_wrong_sum_is_refused_and_leaves_nothing() {
    let (folder, server) = (tempfile::tempdir().unwrap(), MockServer::start().await);
    let toolbox = toolbox(folder.path(), &server.uri(), KIND.as_bytes());
    Mock::given(path(kind_path(&toolbox)))
        .respond_with(ResponseTemplate::new(200).set_body_string("evil"))
        .expect(1)
        .mount(&server)
        .await;
    let error = toolbox.find(Wanted::Kind, None).await.unwrap_err();
    assert!(matches!(&error, ToolError::WrongSum { found, .. } if *found == sum(b"evil")), "{error}");
    assert!(error.to_string().contains(&server.uri()) && error.hint().contains("--tool-mirror"));
    let cached = folder.path().join("cache/kind/v9.9.9").join(toolbox.arch);
    assert_eq!(std::fs::read_dir(cached).unwrap().count(), 0);
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_will_not_is_told_at_once() {
    let (folder, server) = (tempfile::tempdir().unwrap(), MockServer::start().await);
    let toolbox = toolbox(folder.path(), &server.uri(), KIND.as_bytes());
    let busy = Mock::given(path(kind_path(&toolbox))).respond_with(ResponseTemplate::new(503)).up_to_n_times(1);
    busy.expect(1).mount(&server).await;
    let answer = ResponseTemplate::new(200).set_body_bytes(KIND);
    Mock::given(path(kind_path(&toolbox))).respond_with(answer).expect(1).mount(&server).await;
    assert_eq!(toolbox.find(Wanted::Kind, None).await.unwrap().origin, Origin::Download);
    // Nothing is mounted there: 404, once.
    let error = toolbox.find(Wanted::Kubectl, None).await.unwrap_err();
    assert!(error.to_string().contains("/release/v9.9.9/bin/linux/") && error.to_string().contains("404"), "{error}");
    let asked = server.received_requests().await.unwrap();
    assert_eq!(asked.iter().filter(|request| request.url.path().ends_with("/kubectl")).count(), 1);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("http://{}", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        for (count, connection) in listener.incoming().take(2).enumerate() {
            let mut connection = connection.unwrap();
            let _ = std::io::Read::read(&mut connection, &mut [0; 4096]);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", KIND.len());
            connection.write_all(head.as_bytes()).unwrap();
            connection.write_all(&KIND.as_bytes()[..if count == 0 { 7 } else { KIND.len() }]).unwrap();
        }
    });
    let found = toolbox(folder.path(), &mirror, KIND.as_bytes()).find(Wanted::Kind, None).await.unwrap();
    assert_eq!(std::fs::read_to_string(found.path).unwrap(), KIND);
    serving.join().unwrap();
}

#[tokio::test]
async fn a_version_without_a_sum_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = toolbox(folder.path(), "http://127.0.0.1:1", b"").find(Wanted::Kind, Some("v0.1.0")).await.unwrap_err();
    assert!(error.is_usage() && error.to_string().starts_with("kind v0.1.0 for "), "{error}");
    assert!(error.hint().ends_with("like v9.9.9"), "{}", error.hint());
}

#[tokio::test]
async fn the_tool_of_the_path_is_used_unless_it_is_too_old_or_another_is_asked_for() {
    let (folder, server) = (tempfile::tempdir().unwrap(), MockServer::start().await);
    let toolbox = toolbox(folder.path(), &server.uri(), KIND.as_bytes());
    let answer = ResponseTemplate::new(200).set_body_bytes(KIND);
    Mock::given(path(kind_path(&toolbox))).respond_with(answer).mount(&server).await;
    install(folder.path(), "kind", "#!/bin/sh\necho 'kind v0.30.0 go1.24 linux/amd64'\n");
    let found = toolbox.find(Wanted::Kind, None).await.unwrap();
    assert_eq!((found.version.as_str(), found.origin), ("v0.30.0", Origin::Path));
    assert_eq!(toolbox.find(Wanted::Kind, Some("v0.30.0")).await.unwrap().origin, Origin::Path);
    assert_eq!(toolbox.find(Wanted::Kind, Some("v9.9.9")).await.unwrap().origin, Origin::Download);
    install(folder.path(), "kind", "#!/bin/sh\necho 'kind v0.9.0 go1.14 linux/amd64'\n");
    assert_eq!(toolbox.find(Wanted::Kind, None).await.unwrap().version, "v9.9.9");
    install(folder.path(), "kind", "#!/bin/sh\nexit 1\n");
    assert_eq!(toolbox.find(Wanted::Kind, None).await.unwrap().version, "v9.9.9");
}

#[test]
fn versions_are_read_as_each_tool_writes_them() {
    for (text, expected) in [
        ("kind v0.27.0 go1.24.4 linux/amd64\n", "v0.27.0"),
        ("Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0\n", "v1.32.4-dispatcher"),
        ("v3.19.0", "v3.19.0"),
        ("v3.19.0+g3d8990f", "v3.19.0"),
    ] {
        assert_eq!(version_in(text).as_deref(), Some(expected));
    }
    assert_eq!(version_in("very vague"), None);
}

#[test]
fn the_cache_is_where_it_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let (runner, home, scratch) = (folder.path().join("runner"), folder.path().join("home"), folder.path().join("s"));
    std::fs::create_dir(&runner).unwrap();
    let with = |pairs: &[(&str, &Path)]| {
        let environment: Vec<Variable> = pairs.iter().map(|(name, path)| ((*name).into(), (*path).into())).collect();
        cache_dir(None, &environment, &scratch)
    };
    assert_eq!(with(&[("RUNNER_TOOL_CACHE", &runner), ("HOME", &home)]), runner.join("example-validator"));
    assert_eq!(
        with(&[("RUNNER_TOOL_CACHE", Path::new("/no/such")), ("HOME", &home)]),
        home.join(".cache/example-validator/tools")
    );
    assert_eq!(with(&[("HOME", &home), ("XDG_CACHE_HOME", &runner)]), runner.join("example-validator/tools"));
    assert_eq!(with(&[]), scratch.join("tools"));
    assert_eq!(cache_dir(Some(Path::new("/mine")), &[], &scratch), Path::new("/mine"));
}
