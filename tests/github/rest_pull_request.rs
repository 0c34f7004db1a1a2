//! The pull request of a run.

use axum::http::Method;
use example_validator::github::pull_request::{Head, Lookup, PullRequest, Unconfirmed, confirm, find};
use serde_json::{Value, json};

use super::rest_server::{Fault, Github, REPOSITORY};

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER: &str = "ffffffffffffffffffffffffffffffffffffffff";

fn pull_request(number: u64, sha: &str, repository: &str, state: &str) -> Value {
    let id = if repository == REPOSITORY { 1 } else { 2 };
    json!({
        "number": number, "state": state, "html_url": format!("https://github.com/o/r/pull/{number}"),
        "user": {"login": "someone"},
        "head": {"ref": "topic", "sha": sha, "repo": {"id": id, "full_name": repository}},
        "base": {"ref": "main", "sha": OTHER, "repo": {"id": 1, "full_name": REPOSITORY}},
    })
}

fn head(repository: &str) -> Head {
    Head { sha: SHA.to_owned(), repository: Some(repository.to_owned()) }
}

async fn number(github: &Github, lookup: Lookup) -> Option<u64> {
    find(&github.api(), REPOSITORY, lookup).await.unwrap().map(|found| found.number)
}

#[tokio::test]
async fn a_number_that_github_told_is_looked_up() {
    let github = Github::start().await;
    github.answers("/repos/o/r/pulls/7", pull_request(7, SHA, "f/r", "open"));
    let expected = PullRequest {
        number: 7,
        head_sha: SHA.to_owned(),
        head_repository: Some("f/r".to_owned()),
        base_ref: "main".to_owned(),
        is_fork: true,
        is_dependabot: false,
        is_open: true,
        url: "https://github.com/o/r/pull/7".to_owned(),
    };
    assert_eq!(find(&github.api(), REPOSITORY, Lookup::Number(7)).await, Ok(Some(expected.clone())));
    assert_eq!(number(&github, Lookup::Number(8)).await, None);
    assert_eq!(number(&github, Lookup::None("")).await, None);
    assert_eq!(number(&github, Lookup::Known(Box::new(expected))).await, Some(7));
    assert_eq!(github.requests().len(), 2);
    github.finish();
}

#[tokio::test]
async fn of_several_the_one_at_the_commit_of_the_run_is_meant() {
    let github = Github::start().await;
    github.answers("/repos/o/r/pulls/5", pull_request(5, OTHER, REPOSITORY, "open"));
    github.answers("/repos/o/r/pulls/6", pull_request(6, SHA, REPOSITORY, "open"));
    let of = |numbers: &[u64]| Lookup::Numbers { numbers: numbers.to_vec(), head: head(REPOSITORY) };
    assert_eq!(number(&github, of(&[4, 5, 6])).await, Some(6));
    assert_eq!(number(&github, of(&[5])).await, None);
    github.finish();
}

#[tokio::test]
async fn a_fork_s_pull_request_is_found_by_its_branch() {
    let github = Github::start().await;
    github.answers(
        "/repos/o/r/pulls",
        json!([
            pull_request(3, SHA, "f/r", "closed"),
            pull_request(4, OTHER, "f/r", "open"),
            pull_request(5, SHA, "g/r", "open"),
            pull_request(6, SHA, "f/r", "open"),
        ]),
    );
    let branch =
        |owner: &str| Lookup::Branch { owner: owner.to_owned(), branch: "a/b c&d".to_owned(), head: head("f/r") };
    assert_eq!(number(&github, branch("f")).await, Some(6));
    let query = github.seen().remove(0).query;
    assert!(query.contains(&("head".to_owned(), "f:a/b c&d".to_owned())), "{query:?}");

    github.answers("/repos/o/r/pulls", json!([pull_request(3, SHA, "f/r", "closed")]));
    assert_eq!(number(&github, branch("f")).await, Some(3));
    github.answers("/repos/o/r/pulls", json!([pull_request(4, OTHER, "f/r", "open")]));
    assert_eq!(number(&github, branch("f")).await, None);
    github.finish();
}

#[tokio::test]
async fn a_commit_belongs_to_the_open_pull_request_that_ends_with_it() {
    let github = Github::start().await;
    let route = format!("/repos/o/r/commits/{SHA}/pulls");
    github.answers(
        &route,
        json!([
            pull_request(3, SHA, REPOSITORY, "closed"),
            pull_request(4, OTHER, REPOSITORY, "open"),
            pull_request(5, SHA, REPOSITORY, "open"),
        ]),
    );
    assert_eq!(number(&github, Lookup::Commit(SHA.to_owned())).await, Some(5));
    github.answers(&route, json!([pull_request(3, SHA, REPOSITORY, "closed")]));
    assert_eq!(number(&github, Lookup::Commit(SHA.to_owned())).await, None);
    let unknown = Fault::Answer(422, vec![], json!({"message": format!("No commit found for SHA: {SHA}")}).to_string());
    github.fault(Method::GET, &route, unknown);
    assert_eq!(number(&github, Lookup::Commit(SHA.to_owned())).await, None);
    github.finish();
}

#[tokio::test]
async fn a_number_that_is_not_trusted_is_confirmed_or_not_believed() {
    let github = Github::start().await;
    github.answers("/repos/o/r/pulls/7", pull_request(7, SHA, "f/r", "open"));
    let api = github.api();
    assert_eq!(confirm(&api, REPOSITORY, 7, SHA, Some("f/r")).await.map(|found| found.number), Ok(7));
    assert_eq!(confirm(&api, REPOSITORY, 7, SHA, None).await.map(|found| found.number), Ok(7));
    assert_eq!(confirm(&api, REPOSITORY, 8, SHA, None).await, Err(Unconfirmed::Absent { number: 8 }));
    for (sha, repository) in [(OTHER, None), (SHA, Some("mallory/r"))] {
        let error = confirm(&api, REPOSITORY, 7, sha, repository).await.unwrap_err();
        assert!(matches!(error, Unconfirmed::OtherHead { .. }), "{error}");
    }
    github.finish();
}
