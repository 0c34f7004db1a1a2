//! Files on a branch: begun, read, and written by several at once.

use axum::http::Method;
use example_validator::github::api::{Error, Result};
use example_validator::github::branch::Branch;
use serde_json::json;

use super::rest_branches::Meanwhile;
use super::rest_server::{Fault, Github, REPOSITORY};

const FILE: &str = "history.jsonl";
const CONTENTS: &str = "/repos/o/r/contents/history.jsonl";
const REFS: &str = "/repos/o/r/git/refs";
/// With a slash, as names of branches may have one.
const BRANCH: &str = "kept/history";

/// Adds a line, unless it is there already.
async fn add(github: &Github, line: &str) -> Result<()> {
    let api = github.api();
    let change = |stored: &[u8]| {
        let stored = String::from_utf8(stored.to_vec()).unwrap();
        (!stored.lines().any(|there| there == line)).then(|| format!("{stored}{line}\n").into_bytes())
    };
    let first = [("README.md", "what this is")];
    Branch::new(&api, REPOSITORY, BRANCH).update(FILE, &format!("Record {line}"), &first, change).await
}

async fn stored(github: &Github) -> Option<String> {
    let read = Branch::new(&github.api(), REPOSITORY, BRANCH).read(FILE).await.unwrap();
    read.map(|bytes| String::from_utf8(bytes).unwrap())
}

/// A server whose branch holds the line `a`.
async fn begun() -> Github {
    let github = Github::start().await;
    add(&github, "a").await.unwrap();
    github
}

fn messages(github: &Github) -> Vec<String> {
    github.branches(|branches| branches.messages(BRANCH).into_iter().map(str::to_owned).collect())
}

fn writes(github: &Github) -> usize {
    github.seen().iter().filter(|seen| seen.method == Method::PUT).count()
}

fn refusal(status: u16, message: &str) -> Fault {
    Fault::Answer(status, vec![], json!({"message": message}).to_string())
}

#[tokio::test]
async fn a_branch_begins_without_a_parent_and_grows_by_commits() {
    let github = Github::start().await;
    assert_eq!(stored(&github).await, None);
    for line in ["a", "b", "b"] {
        add(&github, line).await.unwrap();
    }
    assert_eq!(stored(&github).await.as_deref(), Some("a\nb\n"));
    github.branches(|branches| {
        assert_eq!(branches.messages(BRANCH), ["Record a", "Record b"]);
        let parents: Vec<_> = branches.named[BRANCH].iter().map(|commit| commit.has_parent).collect();
        assert_eq!(parents, [false, true]);
        assert_eq!(branches.file(BRANCH, "README.md"), Some("what this is"));
    });
    github.finish();
}

#[tokio::test]
async fn what_another_wrote_meanwhile_is_not_lost() {
    let github = begun().await;
    let theirs = |text: &str| Meanwhile::Writes(BRANCH, FILE, text.to_owned());
    github.branches(|branches| branches.meanwhile = [theirs("a\nx\n"), theirs("a\nx\ny\n")].into());
    add(&github, "b").await.unwrap();
    assert_eq!(stored(&github).await.as_deref(), Some("a\nx\ny\nb\n"));
    assert_eq!(writes(&github), 3);
    github.finish();
}

#[tokio::test]
async fn a_branch_or_a_file_that_another_begins_meanwhile_is_added_to() {
    for there in [false, true] {
        let github = Github::start().await;
        if there {
            github.branches(|branches| branches.write(BRANCH, "README.md", String::new(), "by hand"));
        }
        let theirs = Meanwhile::Writes(BRANCH, FILE, "x\n".to_owned());
        github.branches(|branches| branches.meanwhile = [theirs].into());
        add(&github, "a").await.unwrap();
        assert_eq!(stored(&github).await.as_deref(), Some("x\na\n"), "{there}");
        github.finish();
    }
}

#[tokio::test]
async fn a_branch_that_is_deleted_meanwhile_begins_anew() {
    let github = begun().await;
    github.branches(|branches| branches.meanwhile = [Meanwhile::Deletes(BRANCH)].into());
    add(&github, "b").await.unwrap();
    assert_eq!(stored(&github).await.as_deref(), Some("b\n"));
    github.finish();
}

#[tokio::test]
async fn eight_that_write_at_once_lose_nothing() {
    let github = Github::start().await;
    let lines: Vec<_> = (0..8).map(|number| format!("line {number}")).collect();
    let all = futures::future::join_all(lines.iter().map(|line| add(&github, line))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    let text = stored(&github).await.unwrap();
    let mut there: Vec<_> = text.lines().collect();
    there.sort_unstable();
    assert_eq!(there, lines);
    assert_eq!(messages(&github).len(), 8);
    github.finish();
}

#[tokio::test]
async fn what_was_written_though_its_answer_was_lost_is_not_written_twice() {
    for fault in [Fault::Done(502), Fault::DoneAndCut, Fault::Done(200)] {
        let github = begun().await;
        github.fault(Method::PUT, CONTENTS, fault.clone());
        add(&github, "b").await.unwrap();
        assert_eq!(stored(&github).await.as_deref(), Some("a\nb\n"), "{fault:?}");
        assert_eq!(messages(&github), ["Record a", "Record b"], "{fault:?}");
        github.finish();

        let github = Github::start().await;
        github.fault(Method::POST, REFS, fault.clone());
        add(&github, "a").await.unwrap();
        assert_eq!(stored(&github).await.as_deref(), Some("a\n"), "{fault:?}");
        assert_eq!(messages(&github), ["Record a"], "{fault:?}");
        github.finish();
    }
}

#[tokio::test]
async fn a_server_that_fails_is_tried_again_and_not_for_ever() {
    let github = begun().await;
    github.fault(Method::PUT, CONTENTS, refusal(500, "x"));
    github.fault(Method::PUT, CONTENTS, Fault::Cut);
    add(&github, "b").await.unwrap();
    assert_eq!(stored(&github).await.as_deref(), Some("a\nb\n"));
    github.finish();

    let github = Github::start().await;
    for _ in 0..10 {
        github.fault(Method::POST, REFS, refusal(503, "No server is currently available"));
    }
    let error = add(&github, "a").await.unwrap_err();
    assert!(matches!(error, Error::Answered { status: 503, .. }), "{error}");
    github.finish();
}

#[tokio::test]
async fn a_token_that_can_only_read_is_refused_at_once() {
    let message = "Resource not accessible by integration".to_owned();
    let github = begun().await;
    github.branches(|branches| branches.read_only = true);
    assert_eq!(add(&github, "b").await, Err(Error::Denied { message: message.clone() }));
    assert_eq!(writes(&github), 1);
    assert_eq!(stored(&github).await.as_deref(), Some("a\n"));
    github.finish();

    let github = Github::start().await;
    github.branches(|branches| branches.read_only = true);
    assert_eq!(add(&github, "a").await, Err(Error::Denied { message }));
    github.finish();
}

#[tokio::test]
async fn a_rule_that_forbids_writing_is_told_in_githubs_words() {
    let github = begun().await;
    github.branches(|branches| branches.protected = true);
    let error = add(&github, "b").await.unwrap_err();
    assert!(error.to_string().contains("Changes must be made through a pull request"), "{error}");
    assert_eq!(writes(&github), 4);
    github.finish();
}

#[tokio::test]
async fn a_file_beyond_every_bound_is_not_fetched() {
    let github = begun().await;
    github.branches(|branches| branches.pretended_size = Some(100 << 20));
    let error = Branch::new(&github.api(), REPOSITORY, BRANCH).read(FILE).await.unwrap_err();
    assert_eq!(error.to_string(), "history.jsonl on the branch kept/history is larger than 62914560 bytes");
    github.finish();
}
