//! The comment: found among many, made once, kept up to date.

use axum::http::Method;
use example_validator::github::comment::{Body, Error, Existing, Published, What, find, publish};
use example_validator::report::comment::marker;
use serde_json::json;

use super::rest_server::{Fault, Github, NUMBER, REPOSITORY, Viewer};

const ACTIONS: &str = "github-actions[bot]";
const COMMENTS: &str = "/repos/o/r/issues/7/comments";

fn text(what: &str) -> String {
    format!("{}\n{what}", marker("k"))
}

fn body(what: &str) -> Body {
    Body::new("k", text(what)).unwrap()
}

async fn found(github: &Github) -> Option<Existing> {
    find(&github.api(), REPOSITORY, NUMBER, "k").await.unwrap()
}

async fn published(github: &Github, what: &str) -> Result<Published, Error> {
    let existing = found(github).await;
    publish(&github.api(), REPOSITORY, NUMBER, existing.as_ref(), &body(what)).await
}

fn refusal(status: u16, message: &str) -> Fault {
    Fault::Answer(status, vec![], json!({"message": message}).to_string())
}

#[tokio::test]
async fn one_comment_is_created_and_then_kept_up_to_date() {
    let github = Github::start().await;
    for (what, expected) in [("a", What::Created), ("b", What::Updated), ("b", What::Unchanged), ("c", What::Updated)] {
        let published = published(&github, what).await.unwrap();
        assert_eq!((published.what, published.url.contains("#issuecomment-1000")), (expected, true));
    }
    assert_eq!(github.comments_of(ACTIONS), [text("c")]);
    github.finish();
}

#[tokio::test]
async fn ours_is_found_among_three_hundred_and_others_that_have_its_marker() {
    let github = Github::start().await;
    github.comment("mallory", &text("forged"));
    github.comment("other-app[bot]", &text("quoted"));
    github.comment(ACTIONS, &format!("> {}", text("quoted by ourselves")));
    github.comment(ACTIONS, &format!("{}\nanother workflow's", marker("k2")));
    for number in 0..290 {
        github.comment("someone", &format!("comment {number}"));
    }
    let ours = github.comment(ACTIONS, &text("old"));
    github.comment(ACTIONS, &text("a duplicate"));
    for number in 0..4 {
        github.comment("someone", &format!("comment {number}"));
    }
    let existing = found(&github).await.unwrap();
    assert_eq!((existing.id, existing.body.as_str(), existing.others), (ours, &*text("old"), 1));
    assert_eq!(github.requests(), ["GET /repos/o/r/issues/7/comments"; 3]);

    assert_eq!(published(&github, "new").await.map(|published| published.what), Ok(What::Updated));
    assert_eq!(github.comments_of("mallory"), [text("forged")]);
    assert_eq!(github.comments_of("other-app[bot]"), [text("quoted")]);
    assert_eq!(github.comments_of(ACTIONS)[2..], [text("new"), text("a duplicate")]);
    github.finish();
}

#[tokio::test]
async fn a_user_s_token_finds_the_user_s_comment() {
    let github = Github::start().await;
    github.speaks_for(Viewer::User("alice"));
    github.comment(ACTIONS, &text("another token's"));
    github.comment("mallory", &text("forged"));
    let ours = github.comment("Alice", &text("ours"));
    assert_eq!(found(&github).await.map(|existing| existing.id), Some(ours));
    github.finish();
}

#[tokio::test]
async fn where_nothing_tells_whose_the_token_is_an_app_s_comment_is_ours() {
    let github = Github::start().await;
    github.speaks_for(Viewer::Unsaid);
    github.comment("mallory", &text("forged"));
    let ours = github.comment(ACTIONS, &text("ours"));
    assert_eq!(found(&github).await.map(|existing| existing.id), Some(ours));
    github.finish();
}

#[tokio::test]
async fn a_comment_whose_answer_was_lost_is_not_made_twice() {
    for fault in [Fault::Done(502), Fault::DoneAndCut, Fault::Done(200)] {
        let github = Github::start().await;
        github.comment("mallory", &text("a"));
        github.fault(Method::POST, COMMENTS, fault.clone());
        let published = published(&github, "a").await.unwrap();
        assert_eq!((published.what, github.comments_of(ACTIONS)), (What::Created, vec![text("a")]), "{fault:?}");
        github.finish();
    }
}

#[tokio::test]
async fn a_comment_that_was_not_made_is_posted_again_and_not_for_ever() {
    let github = Github::start().await;
    github.fault(Method::POST, COMMENTS, refusal(500, "x"));
    github.fault(Method::POST, COMMENTS, Fault::Cut);
    assert_eq!(published(&github, "a").await.map(|published| published.what), Ok(What::Created));
    assert_eq!(github.comments_of(ACTIONS), [text("a")]);
    github.finish();

    let github = Github::start().await;
    for _ in 0..3 {
        github.fault(Method::POST, COMMENTS, refusal(502, "Bad Gateway"));
    }
    assert!(matches!(published(&github, "a").await, Err(Error::Api(_))));
    assert_eq!(github.requests().iter().filter(|request| request.starts_with("POST")).count(), 3);
    github.finish();
}

#[tokio::test]
async fn a_comment_that_was_deleted_meanwhile_is_made_anew() {
    let github = Github::start().await;
    let gone = github.comment(ACTIONS, &text("old"));
    let existing = found(&github).await;
    github.delete_comment(gone);
    let published = publish(&github.api(), REPOSITORY, NUMBER, existing.as_ref(), &body("new")).await.unwrap();
    assert_eq!((published.what, github.comments_of(ACTIONS)), (What::Created, vec![text("new")]));
    github.finish();
}

#[tokio::test]
async fn an_update_is_tried_again() {
    let github = Github::start().await;
    let id = github.comment(ACTIONS, &text("old"));
    github.fault(Method::PATCH, &format!("/repos/o/r/issues/comments/{id}"), Fault::DoneAndCut);
    assert_eq!(published(&github, "new").await.map(|published| published.what), Ok(What::Updated));
    assert_eq!(github.comments_of(ACTIONS), [text("new")]);
    github.finish();
}

#[tokio::test]
async fn what_keeps_a_comment_from_being_made_is_told_apart() {
    let integration = "Resource not accessible by integration";
    let locked = "Unable to create comment because issue is locked.";
    for (status, message, expected) in [
        (403, integration, Error::Denied { message: integration.to_owned() }),
        (403, locked, Error::Locked { message: locked.to_owned() }),
        (410, "Issues are disabled", Error::Gone { message: "Issues are disabled".to_owned() }),
        (422, "Validation Failed", Error::Refused { message: "Validation Failed".to_owned() }),
        (404, "Not Found", Error::Absent { repository: REPOSITORY.to_owned(), number: NUMBER }),
    ] {
        let github = Github::start().await;
        github.fault(Method::POST, COMMENTS, refusal(status, message));
        assert_eq!(published(&github, "a").await, Err(expected));
        assert_eq!(github.requests().len(), 2, "{status} {message}");
        github.finish();
    }
}

#[tokio::test]
async fn a_read_only_token_is_refused_where_the_comment_is_there_already() {
    let github = Github::start().await;
    let id = github.comment(ACTIONS, &text("old"));
    let message = "Resource not accessible by integration";
    github.fault(Method::PATCH, &format!("/repos/o/r/issues/comments/{id}"), refusal(403, message));
    assert_eq!(published(&github, "new").await, Err(Error::Denied { message: message.to_owned() }));
    github.finish();
}
