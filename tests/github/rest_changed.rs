//! The changed files, as the API tells them.

use axum::http::Method;
use example_validator::github::changed::{Question, files};
use serde_json::{Value, json};

use super::rest_server::{Fault, Github, REPOSITORY};

const OLD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const NEW: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const LATER: &str = "cccccccccccccccccccccccccccccccccccccccc";

fn of_pull_request(head: &str) -> Question {
    Question::PullRequest { number: 7, head: head.to_owned() }
}

fn between(base: &str, head: &str) -> Question {
    Question::Compare { base: base.to_owned(), head: head.to_owned() }
}

fn numbered(count: usize) -> Vec<Value> {
    (0..count).map(|number| json!({"filename": format!("f{number:04}"), "status": "modified"})).collect()
}

fn pull_request(github: &Github, head: &str, count: usize, listed: &[Value]) {
    let answer = json!({"number": 7, "changed_files": count, "head": {"sha": head}, "base": {"sha": OLD}});
    github.answers("/repos/o/r/pulls/7", answer);
    github.answers("/repos/o/r/pulls/7/files", json!(listed));
}

fn comparison(github: &Github, base: &str, head: &str, status: &str, listed: &[Value]) {
    github.answers(&format!("/repos/o/r/compare/{base}...{head}"), json!({"status": status, "files": listed}));
}

async fn ask(github: &Github, question: &Question) -> Result<Vec<String>, String> {
    files(&github.api(), REPOSITORY, question).await
}

#[tokio::test]
async fn the_files_of_a_pull_request_come_from_all_pages_and_with_both_names() {
    let github = Github::start().await;
    let mut listed = numbered(249);
    listed.push(json!({"filename": "a/new", "previous_filename": "z/old", "status": "renamed"}));
    pull_request(&github, NEW, 250, &listed);
    let found = ask(&github, &of_pull_request(NEW)).await.unwrap();
    assert_eq!((found.len(), found[0].as_str(), found[250].as_str()), (251, "a/new", "z/old"));
    github.finish();
}

#[tokio::test]
async fn more_files_than_github_tells_are_as_good_as_unknown() {
    let github = Github::start().await;
    pull_request(&github, NEW, 3001, &numbered(3000));
    let reason = ask(&github, &of_pull_request(NEW)).await.unwrap_err();
    assert_eq!(reason, "pull request 7 changes 3001 files, GitHub tells 3000 of them");
    assert_eq!(github.requests().len(), 1);
    pull_request(&github, NEW, 3000, &numbered(3000));
    assert_eq!(ask(&github, &of_pull_request(NEW)).await.map(|found| found.len()), Ok(3000));
    pull_request(&github, NEW, 200, &numbered(150));
    let reason = ask(&github, &of_pull_request(NEW)).await.unwrap_err();
    assert_eq!(reason, "pull request 7 changes 200 files, GitHub tells 150 of them");
    github.finish();
}

#[tokio::test]
async fn a_pull_request_that_has_moved_is_compared_at_the_event_s_commit() {
    let github = Github::start().await;
    pull_request(&github, LATER, 9, &numbered(9));
    comparison(&github, OLD, NEW, "ahead", &numbered(2));
    assert_eq!(ask(&github, &of_pull_request(NEW)).await, Ok(vec!["f0000".to_owned(), "f0001".to_owned()]));
    github.finish();
}

#[tokio::test]
async fn a_push_is_a_comparison_and_a_forced_one_is_two() {
    let github = Github::start().await;
    comparison(&github, OLD, NEW, "ahead", &numbered(1));
    assert_eq!(ask(&github, &between(OLD, NEW)).await, Ok(vec!["f0000".to_owned()]));
    comparison(&github, OLD, NEW, "diverged", &numbered(1));
    comparison(&github, NEW, OLD, "diverged", &[json!({"filename": "reverted"})]);
    assert_eq!(ask(&github, &between(OLD, NEW)).await, Ok(vec!["f0000".to_owned(), "reverted".to_owned()]));
    comparison(&github, "release%2Fv1", NEW, "identical", &[]);
    assert_eq!(ask(&github, &between("release/v1", NEW)).await, Ok(vec![]));
    github.finish();
}

#[tokio::test]
async fn a_comparison_at_its_limit_is_unknown() {
    let github = Github::start().await;
    comparison(&github, OLD, NEW, "ahead", &numbered(299));
    assert_eq!(ask(&github, &between(OLD, NEW)).await.map(|found| found.len()), Ok(299));
    comparison(&github, OLD, NEW, "ahead", &numbered(300));
    let reason = ask(&github, &between(OLD, NEW)).await.unwrap_err();
    assert!(reason.ends_with("changes 300 files or more: GitHub tells no more than these"), "{reason}");
    github.finish();
}

#[tokio::test]
async fn why_nothing_is_known_is_said() {
    let github = Github::start().await;
    let reason = ask(&github, &between(OLD, NEW)).await.unwrap_err();
    assert!(reason.contains("one of them is gone"), "{reason}");
    let denied = json!({"message": "Resource not accessible by integration"}).to_string();
    github.fault(Method::GET, "/repos/o/r/pulls/7", Fault::Answer(403, vec![], denied));
    let reason = ask(&github, &of_pull_request(NEW)).await.unwrap_err();
    assert!(reason.contains("not accessible") && reason.contains("`pull-requests: read`"), "{reason}");
    github.finish();
}
