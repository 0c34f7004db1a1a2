//! GitHub's own examples of answers, from its description: they are read.

use axum::http::Method;
use example_validator::github::branch::Branch;
use example_validator::github::changed::{Question, files};
use example_validator::github::comment::{self, Body};
use example_validator::github::pull_request::{Head, Lookup, find};
use example_validator::report::comment::marker;
use serde_json::Value;

use super::rest_description::{description, resolved};
use super::rest_server::{Fault, Github, NUMBER, REPOSITORY};

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

/// An example of what an operation answers, with the status of a success.
fn example(template: &str, status: &str) -> Value {
    let operation = &description().unwrap()["paths"][template]["get"];
    let examples = &operation["responses"][status]["content"]["application/json"]["examples"];
    resolved(examples.as_object().unwrap().values().next().unwrap())["value"].clone()
}

#[tokio::test]
async fn the_examples_of_pull_requests_are_read() {
    if description().is_none() {
        return;
    }
    let github = Github::start().await;
    let one = example("/repos/{owner}/{repo}/pulls/{pull_number}", "200");
    let sha = one["head"]["sha"].as_str().unwrap();
    github.answers("/repos/o/r/pulls/7", one.clone());
    let found = find(&github.api(), REPOSITORY, Lookup::Number(7)).await.unwrap().unwrap();
    assert_eq!(Some(found.number), one["number"].as_u64());
    assert_eq!(
        (found.head_sha.as_str(), found.head_repository.as_deref()),
        (sha, one["head"]["repo"]["full_name"].as_str())
    );

    github.answers("/repos/o/r/pulls", example("/repos/{owner}/{repo}/pulls", "200"));
    let head = Head { sha: sha.to_owned(), repository: None };
    let branch = Lookup::Branch { owner: "octocat".to_owned(), branch: "new-topic".to_owned(), head };
    assert!(find(&github.api(), REPOSITORY, branch).await.unwrap().is_some());

    let listed = example("/repos/{owner}/{repo}/commits/{commit_sha}/pulls", "200");
    github.answers(&format!("/repos/o/r/commits/{SHA}/pulls"), listed);
    assert_eq!(find(&github.api(), REPOSITORY, Lookup::Commit(SHA.to_owned())).await, Ok(None));
    github.finish();
}

#[tokio::test]
async fn the_examples_of_changed_files_are_read() {
    if description().is_none() {
        return;
    }
    let github = Github::start().await;
    let mut one = example("/repos/{owner}/{repo}/pulls/{pull_number}", "200");
    let listed = example("/repos/{owner}/{repo}/pulls/{pull_number}/files", "200");
    one["changed_files"] = listed.as_array().unwrap().len().into();
    let head = one["head"]["sha"].as_str().unwrap().to_owned();
    let name = listed[0]["filename"].as_str().unwrap().to_owned();
    github.answers("/repos/o/r/pulls/7", one);
    github.answers("/repos/o/r/pulls/7/files", listed);
    let question = Question::PullRequest { number: 7, head };
    assert_eq!(files(&github.api(), REPOSITORY, &question).await, Ok(vec![name.clone()]));

    let compared = example("/repos/{owner}/{repo}/compare/{basehead}", "200");
    for (base, head) in [(SHA, "main"), ("main", SHA)] {
        github.answers(&format!("/repos/o/r/compare/{base}...{head}"), compared.clone());
    }
    let question = Question::Compare { base: SHA.to_owned(), head: "main".to_owned() };
    assert_eq!(files(&github.api(), REPOSITORY, &question).await, Ok(vec![name]));
    github.finish();
}

#[tokio::test]
async fn the_examples_of_branches_are_read() {
    if description().is_none() {
        return;
    }
    let github = Github::start().await;
    let git = |what: &str| example(&format!("/repos/{{owner}}/{{repo}}/git/{what}"), "200");
    let (reference, commit, tree) = (git("ref/{ref}"), git("commits/{commit_sha}"), git("trees/{tree_sha}"));
    let file = tree["tree"].as_array().unwrap().iter().find(|entry| entry["type"] == "blob").unwrap();
    let sha = |value: &Value| value["sha"].as_str().unwrap().to_owned();
    let answers = |place: String, text: String| {
        github.fault(Method::GET, &format!("/repos/o/r/git/{place}"), Fault::Answer(200, vec![], text));
    };
    answers("ref/heads/main".to_owned(), reference.to_string());
    answers(format!("commits/{}", sha(&reference["object"])), commit.to_string());
    answers(format!("trees/{}", sha(&commit["tree"])), tree.to_string());
    answers(format!("blobs/{}", sha(file)), "text".to_owned());
    let api = github.api();
    let read = Branch::new(&api, REPOSITORY, "main").read(file["path"].as_str().unwrap()).await;
    assert_eq!(read, Ok(Some(b"text".to_vec())));
    github.finish();
}

#[tokio::test]
async fn the_examples_of_comments_are_read() {
    if description().is_none() {
        return;
    }
    let github = Github::start().await;
    let listed = example("/repos/{owner}/{repo}/issues/{issue_number}/comments", "200");
    assert!(!listed.as_array().unwrap().is_empty());
    github.answers("/repos/o/r/issues/8/comments", listed);
    assert_eq!(comment::find(&github.api(), REPOSITORY, 8, "k").await, Ok(None));
    let body = Body::new("k", marker("k")).unwrap();
    comment::publish(&github.api(), REPOSITORY, NUMBER, None, &body).await.unwrap();
    github.finish();
}
