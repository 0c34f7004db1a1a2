//! Zips that are read back.

use std::io::{Read as _, Write as _};

use futures::StreamExt as _;
use zip::write::SimpleFileOptions;

use super::*;

/// An output folder with what a run leaves in it, and things that are none of others' business.
fn output() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    put("report.json", "{\"schemaVersion\": 1}\n".repeat(5000).as_bytes());
    put("junit.xml", b"<testsuites/>");
    put("empty.txt", b"");
    put("shot.png", &[&[0x89, b'P', b'N', b'G'], noise(100_000).as_slice()].concat());
    put(journal::NAME, b"{}");
    put(".example-validator-x", b"half");
    fs::create_dir(folder.path().join(archive::COLLECTED)).unwrap();
    put("evidence/left.txt", b"left");
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
    let mut evidence = ZipWriter::new(File::create(folder.path().join(archive::ARCHIVE)).unwrap());
    for name in ["index.json", "v1.34.0/examples/a.yaml/attempt-1/pod.main.log"] {
        evidence.start_file(name, SimpleFileOptions::DEFAULT.unix_permissions(0o644)).unwrap();
        evidence.write_all(name.repeat(3000).as_bytes()).unwrap();
    }
    evidence.finish().unwrap();
    folder
}

/// Bytes that can't be compressed.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

async fn zip_of(contents: Contents, chunk: usize) -> Vec<u8> {
    let chunks: Vec<_> = contents.stream(chunk).map(Result::unwrap).collect().await;
    assert!(chunks.iter().rev().skip(1).all(|bytes| bytes.len() == chunk), "only the last is shorter");
    chunks.concat()
}

#[tokio::test]
async fn an_artifact_has_the_output_and_the_evidence_unfolded() {
    let folder = output();
    let zipped = zip_of(Contents::of_output(folder.path()).unwrap(), 1000).await;
    let mut zip = ZipArchive::new(io::Cursor::new(&zipped)).unwrap();
    let names: Vec<_> = (0..zip.len()).map(|index| zip.by_index(index).unwrap().name().unwrap().into_owned()).collect();
    assert_eq!(
        names,
        [
            "empty.txt",
            "junit.xml",
            "report.json",
            "shot.png",
            "evidence/index.json",
            "evidence/v1.34.0/examples/a.yaml/attempt-1/pod.main.log"
        ]
    );
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).unwrap();
        let name = file.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        // Checks its sum as well.
        file.read_to_end(&mut bytes).unwrap();
        let expected = match name.strip_prefix("evidence/") {
            Some(inner) => inner.repeat(3000).into_bytes(),
            None => fs::read(folder.path().join(&name)).unwrap(),
        };
        assert!(bytes == expected, "{name}");
        assert_eq!(file.unix_mode().unwrap() & 0o777, 0o644, "{name}");
    }
    assert_eq!(zip.by_name("shot.png").unwrap().compression(), zip::CompressionMethod::Stored);
    assert!(zip.by_name("report.json").unwrap().compressed_size() < 2000);
}

#[tokio::test]
async fn sizes_are_in_front_so_that_a_stream_can_be_read() {
    let folder = output();
    let zipped = zip_of(Contents::of_output(folder.path()).unwrap(), 1 << 20).await;
    let mut stream = zipped.as_slice();
    let mut names = Vec::new();
    // Refuses an entry whose sizes come behind it.
    while let Some(mut file) = zip::read::read_zipfile_from_stream(&mut stream).unwrap() {
        names.push(file.name().unwrap().into_owned());
        io::copy(&mut file, &mut io::sink()).unwrap();
    }
    assert_eq!(names.len(), 6);
}

#[tokio::test]
async fn the_same_output_is_the_same_artifact() {
    let folder = output();
    let contents = Contents::of_output(folder.path()).unwrap();
    assert!(zip_of(contents.clone(), 999).await == zip_of(contents, 1 << 23).await);
}

#[tokio::test]
async fn one_file_is_an_artifact_and_so_is_nothing() {
    let folder = output();
    let zipped = zip_of(Contents::of_file(&folder.path().join("report.json")), 1 << 20).await;
    let zip = ZipArchive::new(io::Cursor::new(zipped)).unwrap();
    assert_eq!(zip.file_names_raw().collect::<Vec<_>>(), [b"report.json"]);
    let nothing = zip_of(Contents::default(), 1 << 20).await;
    assert!(ZipArchive::new(io::Cursor::new(nothing)).unwrap().is_empty());
}

#[tokio::test]
async fn an_archive_of_evidence_that_is_broken_goes_as_it_is() {
    let folder = output();
    fs::write(folder.path().join(archive::ARCHIVE), b"PK\x03\x04 broken").unwrap();
    let zipped = zip_of(Contents::of_output(folder.path()).unwrap(), 1 << 20).await;
    let mut zip = ZipArchive::new(io::Cursor::new(zipped)).unwrap();
    assert_eq!(zip.by_name("evidence.zip").unwrap().compression(), zip::CompressionMethod::Stored);
}

#[tokio::test]
async fn a_file_that_is_gone_is_an_error_and_the_last_item() {
    let folder = output();
    let contents = Contents::of_output(folder.path()).unwrap();
    fs::remove_file(folder.path().join("report.json")).unwrap();
    let items: Vec<_> = contents.stream(16).collect().await;
    let (last, before) = items.split_last().unwrap();
    assert!(before.iter().all(Result::is_ok));
    assert!(last.as_ref().unwrap_err().to_string().contains("report.json"));
}

#[test]
fn a_file_that_changes_meanwhile_is_an_error() {
    let folder = output();
    for (name, change) in
        [("junit.xml", "<testsuitez/>"), ("junit.xml", "<"), ("shot.png", "short"), ("empty.txt", "more")]
    {
        let path = folder.path().join(name);
        let mut entry = entry::Entry::open(name, &path).unwrap();
        fs::write(&path, change).unwrap();
        let copied = io::copy(&mut entry, &mut io::sink());
        assert!(copied.is_err() || entry.finish().is_err(), "{name}");
    }
}

#[tokio::test]
async fn nobody_who_takes_the_bytes_ends_it() {
    let folder = output();
    let mut stream = Box::pin(Contents::of_output(folder.path()).unwrap().stream(10));
    assert!(stream.next().await.unwrap().is_ok());
    drop(stream);
    // The runtime waits for its blocking threads when it is dropped: this test would not end.
}
