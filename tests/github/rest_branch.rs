//! Files on a branch: begun, read, and written by several at once.

use axum::http::Method;
use example_validator::github::api::{Error, Result};
use example_validator::github::branch::{Branch, Change, Commit};
use serde_json::json;

use super::rest_branches::Meanwhile;
use super::rest_server::{Fault, Github, REPOSITORY, Seen};

const FILE: &str = "history.jsonl";
const BADGE: &str = "badge.json";
const HEAD: &str = "/repos/o/r/git/refs/heads/kept/history";
const REFS: &str = "/repos/o/r/git/refs";
/// With a slash, as names of branches may have one.
const BRANCH: &str = "kept/history";

/// Adds a line, unless it is there already.
async fn add(github: &Github, line: &str) -> Result<()> {
    update(github, line, &[], |stored, _| {
        let stored = String::from_utf8(stored.to_vec()).unwrap();
        if stored.lines().any(|there| there == line) {
            return Change::Same;
        }
        Change::To(format!("{stored}{line}\n").into_bytes())
    })
    .await
}

async fn update(
    github: &Github,
    what: &str,
    beside: &[(&str, &str)],
    change: impl FnMut(&[u8], usize) -> Change,
) -> Result<()> {
    let message = &format!("Record {what}");
    let commit = Commit { message, file: FILE, beside, first: &[("README.md", "what this is")] };
    Branch::new(&github.api(), REPOSITORY, BRANCH).update(&commit, 4 << 20, change).await
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

/// How often somebody tried to move the branch, or to make it.
fn writes(github: &Github) -> usize {
    let moves = |seen: &Seen| seen.method == Method::PATCH || (seen.method == Method::POST && seen.path == REFS);
    github.seen().iter().filter(|seen| moves(seen)).count()
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
    assert_eq!(writes(&github), 1 + 3);
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
        github.fault(Method::PATCH, HEAD, fault.clone());
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
    github.fault(Method::PATCH, HEAD, refusal(500, "x"));
    github.fault(Method::PATCH, HEAD, Fault::Cut);
    for made in ["blobs", "trees", "commits"] {
        github.fault(Method::POST, &format!("/repos/o/r/git/{made}"), refusal(502, "x"));
    }
    add(&github, "b").await.unwrap();
    assert_eq!(stored(&github).await.as_deref(), Some("a\nb\n"));
    github.finish();

    let github = Github::start().await;
    for _ in 0..5 {
        github.fault(Method::POST, REFS, refusal(503, "No server is currently available"));
    }
    let error = add(&github, "a").await.unwrap_err();
    assert!(matches!(error, Error::Answered { status: 503, .. }), "{error}");
    github.finish();
}

#[tokio::test]
async fn what_can_not_be_read_for_a_moment_costs_no_line() {
    let github = begun().await;
    let head = github.branches(|branches| branches.head(BRANCH));
    // Its head moved away, and a server that fails for longer than one request is worth.
    github.fault(Method::GET, &format!("/repos/o/r/git/commits/{head}"), refusal(404, "Not Found"));
    for _ in 0..9 {
        github.fault(Method::GET, "/repos/o/r/git/ref/heads/kept/history", refusal(502, "x"));
    }
    add(&github, "b").await.unwrap();
    assert_eq!(stored(&github).await.as_deref(), Some("a\nb\n"));
    github.finish();

    let github = begun().await;
    for _ in 0..(4 * 5) {
        github.fault(Method::GET, "/repos/o/r/git/ref/heads/kept/history", refusal(503, "x"));
    }
    let error = add(&github, "b").await.unwrap_err();
    assert!(matches!(error, Error::Answered { status: 503, .. }), "{error}");
    github.finish();
}

#[tokio::test]
async fn a_file_may_be_written_alone() {
    let github = begun().await;
    let alone = |stored: &[u8], _| Change::Alone([stored, b"b\n"].concat());
    update(&github, "b", &[(BADGE, "1")], alone).await.unwrap();
    assert_eq!(stored(&github).await.as_deref(), Some("a\nb\n"));
    github.branches(|branches| assert_eq!(branches.file(BRANCH, BADGE), None));
    github.finish();
}

#[tokio::test]
async fn a_token_that_can_only_read_is_refused_at_once() {
    let message = "Resource not accessible by integration".to_owned();
    let github = begun().await;
    github.branches(|branches| branches.read_only = true);
    assert_eq!(add(&github, "b").await, Err(Error::Denied { message: message.clone() }));
    let posted = github.seen().iter().filter(|seen| seen.path.ends_with("/git/blobs")).count();
    assert_eq!((posted, writes(&github)), (2, 1));
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
    assert_eq!(writes(&github), 1 + 5);
    github.finish();
}

#[tokio::test]
async fn a_rule_that_forbids_new_branches_is_told_at_once() {
    let github = Github::start().await;
    github.branches(|branches| branches.protected = true);
    let error = add(&github, "a").await.unwrap_err();
    assert!(error.to_string().contains("creations being restricted"), "{error}");
    assert_eq!(writes(&github), 1);
    github.finish();
}

#[tokio::test]
async fn all_files_are_one_commit_and_none_if_nothing_differs() {
    let github = Github::start().await;
    let same = |stored: &[u8], _| if stored.is_empty() { Change::To(b"a\n".to_vec()) } else { Change::Same };
    for (what, badge) in [("a", "1"), ("b", "1"), ("c", "2")] {
        update(&github, what, &[(BADGE, badge)], same).await.unwrap();
        github.branches(|branches| assert_eq!(branches.file(BRANCH, BADGE), Some(badge)));
    }
    assert_eq!(messages(&github), ["Record a", "Record c"]);
    assert_eq!(stored(&github).await.as_deref(), Some("a\n"));

    update(&github, "d", &[(BADGE, "3")], |_, _| Change::Leave).await.unwrap();
    assert_eq!(messages(&github).len(), 2);
    github.finish();
}

#[tokio::test]
async fn a_head_that_keeps_moving_is_followed() {
    let github = begun().await;
    // By another file each time: the branch counts, not what is written.
    let theirs = (0..12).map(|number| Meanwhile::Writes(BRANCH, "other", number.to_string()));
    github.branches(|branches| branches.meanwhile = theirs.collect());
    add(&github, "b").await.unwrap();
    assert_eq!(stored(&github).await.as_deref(), Some("a\nb\n"));
    github.branches(|branches| assert_eq!(branches.file(BRANCH, "other"), Some("11")));
    github.finish();
}

#[tokio::test]
async fn what_github_finds_too_large_is_made_smaller() {
    let (github, mut asked) = (Github::start().await, Vec::new());
    github.branches(|branches| branches.largest = Some(3 << 20));
    let fill = |_: &[u8], most: usize| {
        asked.push(most >> 20);
        Change::To(vec![b'x'; most])
    };
    update(&github, "much", &[], fill).await.unwrap();
    assert_eq!(asked, [4, 2]);
    assert_eq!(stored(&github).await.map(|text| text.len()), Some(2 << 20));

    github.branches(|branches| branches.largest = Some(0));
    let error = update(&github, "more", &[], |_, most| Change::To(vec![b'y'; most])).await.unwrap_err();
    assert!(error.to_string().contains("too large to be processed"), "{error}");
    github.finish();
}

#[tokio::test]
async fn a_repository_that_can_not_be_read_is_no_new_branch() {
    let github = begun().await;
    github.branches(|branches| branches.unreadable = true);
    let message = "the token can't read o/r, it needs `contents: read`".to_owned();
    let read = Branch::new(&github.api(), REPOSITORY, BRANCH).read(FILE).await;
    assert_eq!(read, Err(Error::Denied { message: message.clone() }));
    assert_eq!(add(&github, "b").await, Err(Error::Denied { message }));
    assert_eq!(writes(&github), 1);
    github.finish();
}

#[tokio::test]
async fn a_name_can_not_become_another_route() {
    let github = Github::start().await;
    github.branches(|branches| branches.write("a%2F#b", FILE, "x".to_owned(), "by hand"));
    assert_eq!(Branch::new(&github.api(), REPOSITORY, "a%2F#b").read(FILE).await, Ok(None));
    assert!(
        github.requests().contains(&"GET /repos/o/r/git/ref/heads/a%252F%23b".to_owned()),
        "{:?}",
        github.requests()
    );
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
