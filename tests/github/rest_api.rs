//! The client itself: what is tried again, what an answer means, where the token goes.

use axum::http::Method;
use example_validator::github::api::{Downloaded, Error};
use serde_json::{Value, json};

use super::rest_server::{Fault, Github};

const ROUTE: &str = "/repos/o/r/pulls/7";

fn answer(status: u16, headers: &[(&'static str, &str)], message: &str) -> Fault {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Fault::Answer(status, headers, json!({"message": message}).to_string())
}

async fn started() -> Github {
    let github = Github::start().await;
    github.answers(ROUTE, json!({"number": 7}));
    github
}

#[tokio::test]
async fn a_get_is_tried_again_when_the_server_fails_or_the_line_is_cut() {
    let github = started().await;
    github.fault(Method::GET, ROUTE, answer(502, &[], "x"));
    github.fault(Method::GET, ROUTE, Fault::Cut);
    github.fault(Method::GET, ROUTE, answer(429, &[("retry-after", "0")], "slower"));
    assert_eq!(github.api().get::<Value>(ROUTE).await, Ok(json!({"number": 7})));
    assert_eq!(github.requests().len(), 4);
    github.finish();
}

#[tokio::test]
async fn a_get_that_always_fails_ends() {
    let github = started().await;
    for _ in 0..4 {
        github.fault(Method::GET, ROUTE, answer(503, &[], "No server is currently available"));
    }
    let error = github.api().get::<Value>(ROUTE).await.unwrap_err();
    assert_eq!(error.to_string(), "GitHub answers 503: No server is currently available");
    github.finish();
}

#[tokio::test]
async fn a_post_is_tried_again_only_when_it_was_refused() {
    let github = started().await;
    let route = "/repos/o/r/issues/7/comments";
    github.fault(Method::POST, route, answer(403, &[("retry-after", "0")], "You have exceeded a secondary rate limit"));
    github.fault(Method::POST, route, Fault::Done(502));
    let error = github.api().post::<_, Value>(route, &json!({"body": "x"})).await.unwrap_err();
    assert!(error.may_have_been_done(), "{error}");
    assert_eq!(github.requests().len(), 2);
    github.finish();
}

#[tokio::test]
async fn a_limit_that_lasts_says_until_when() {
    let github = started().await;
    let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "4102444800")];
    github.fault(Method::GET, ROUTE, answer(403, &headers, "API rate limit exceeded"));
    let error = github.api().get::<Value>(ROUTE).await.unwrap_err();
    assert_eq!(error.to_string(), "GitHub's rate limit is met until 2100-01-01T00:00:00Z: API rate limit exceeded");
    github.finish();
}

#[tokio::test]
async fn nobody_there_is_said_so() {
    let github = Github::nowhere().await;
    let error = github.api().get::<Value>(ROUTE).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { sent: false, .. }) && !error.may_have_been_done(), "{error}");
}

#[tokio::test]
async fn an_enterprise_server_is_asked_below_its_own_path() {
    let github = Github::start_below("/api/v3").await;
    github.answers(ROUTE, json!({"number": 7}));
    assert_eq!(github.api().get::<Value>(ROUTE).await, Ok(json!({"number": 7})));
    assert_eq!(github.api().viewer().await.as_deref(), Ok("github-actions[bot]"));
    github.finish();
}

#[tokio::test]
async fn a_renamed_repository_is_followed_on_its_own_server() {
    let github = started().await;
    let elsewhere = format!("{}/repos/new/r/issues/comments/1", github.url());
    github.answers("/repos/new/r/pulls/7", json!({"number": 8}));
    github.fault(Method::GET, ROUTE, answer(301, &[("location", "/repos/new/r/pulls/7")], "Moved Permanently"));
    assert_eq!(github.api().get::<Value>(ROUTE).await, Ok(json!({"number": 8})));
    // A request that writes is repeated as it is.
    github.fault(Method::PATCH, "/repos/o/r/issues/comments/1", answer(307, &[("location", &elsewhere)], "Moved"));
    let error =
        github.api().patch::<_, Value>("/repos/o/r/issues/comments/1", &json!({"body": "x"})).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert_eq!(github.requests()[2..], ["PATCH /repos/o/r/issues/comments/1", "PATCH /repos/new/r/issues/comments/1"]);
    github.finish();
}

#[tokio::test]
async fn the_token_never_goes_to_another_server() {
    let (github, other) = (started().await, Github::start().await);
    let elsewhere = format!("{}/stolen", other.url());
    for status in [301, 302, 307, 308] {
        github.fault(Method::GET, ROUTE, answer(status, &[("location", &elsewhere)], "Moved"));
        let error = github.api().get::<Value>(ROUTE).await.unwrap_err();
        assert_eq!(error, Error::Answered { status, message: "Moved".to_owned() });
    }
    assert_eq!(other.seen().len(), 0);
    github.finish();
}

#[tokio::test]
async fn pages_are_read_to_their_end_or_to_a_bound() {
    let github = Github::start().await;
    let files: Vec<_> = (0..250).map(|number| json!(number)).collect();
    github.answers("/repos/o/r/pulls/7/files", json!(files));
    let route = "/repos/o/r/pulls/7/files";
    let all = github.api().pages::<u64>(route, None, 3).await.unwrap();
    assert_eq!((all.items, all.complete), ((0..250).collect(), true));
    let some = github.api().pages::<u64>(route, None, 2).await.unwrap();
    assert_eq!((some.items.len(), some.complete), (200, false));
    let pages: Vec<_> = github.seen().into_iter().map(|seen| seen.query).collect();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(pages[..2], [vec![pair("per_page", "100")], vec![pair("per_page", "100"), pair("page", "2")]]);
    github.finish();
}

const ZIP: &str = "/repos/o/r/actions/artifacts/3/zip";

fn signed(storage: &Github) -> Fault {
    Fault::Answer(302, vec![("location", format!("{}/blob?sig=secret", storage.url()))], String::new())
}

#[tokio::test]
async fn a_download_comes_from_a_signed_address_without_the_token() {
    let (github, storage, folder) = (Github::start().await, Github::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("a.zip");
    github.fault(Method::GET, ZIP, signed(&storage));
    storage.answers("/blob", json!("zip"));
    let downloaded = github.api().download(ZIP, 5, &file).await.unwrap();
    // sha256sum of the five bytes.
    let digest = "sha256:732dc7ead24dfd0cd8a7e660764d5b6205a7b8e63d29b149c0aeb8f7b6b7b9de";
    assert_eq!(downloaded, Downloaded { bytes: 5, digest: digest.to_owned() });
    assert_eq!(std::fs::read(&file).unwrap(), b"\"zip\"");
    assert!(storage.seen().iter().all(|seen| !seen.authorized));
    github.finish();
}

#[tokio::test]
async fn a_cut_download_is_begun_anew_with_a_new_address() {
    let (github, storage, folder) = (Github::start().await, Github::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("a.zip");
    for _ in 0..3 {
        github.fault(Method::GET, ZIP, signed(&storage));
    }
    storage.fault(Method::GET, "/blob", Fault::Cut);
    storage.fault(Method::GET, "/blob", answer(503, &[], "Server Busy"));
    storage.answers("/blob", json!("zip"));
    assert_eq!(github.api().download(ZIP, 100, &file).await.map(|downloaded| downloaded.bytes), Ok(5));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    github.finish();
}

#[tokio::test]
async fn a_download_leaves_nothing_when_it_is_too_large_or_gone() {
    let (github, storage, folder) = (Github::start().await, Github::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("a.zip");
    storage.answers("/blob", json!("zip"));
    github.fault(Method::GET, ZIP, signed(&storage));
    let error = github.api().download(ZIP, 4, &file).await.unwrap_err();
    assert_eq!(error, Error::TooLarge { what: ZIP.to_owned(), limit: 4 });
    github.fault(Method::GET, ZIP, answer(410, &[], "Artifact has expired"));
    let error = github.api().download(ZIP, 4, &file).await.unwrap_err();
    assert_eq!(error, Error::Gone { message: "Artifact has expired".to_owned() });
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    github.finish();
}

#[tokio::test]
async fn no_error_of_a_download_tells_its_signed_address() {
    let (github, folder) = (Github::start().await, tempfile::tempdir().unwrap());
    let nowhere = format!("{}/blob?sig=secret", Github::nowhere().await.url());
    for _ in 0..4 {
        github.fault(Method::GET, ZIP, answer(302, &[("location", &nowhere)], ""));
    }
    let error = github.api().download(ZIP, 4, &folder.path().join("a.zip")).await.unwrap_err();
    assert!(
        matches!(error, Error::Unreachable { .. }) && !format!("{error} {error:?}").contains("secret"),
        "{error:?}"
    );
    github.finish();
}
