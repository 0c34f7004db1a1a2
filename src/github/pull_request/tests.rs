use serde_json::json;

use super::*;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER: &str = "ffffffffffffffffffffffffffffffffffffffff";

fn pull_request(head: &Value) -> Value {
    json!({
        "number": 7, "state": "open", "html_url": "https://github.com/o/r/pull/7", "user": {"login": "someone"},
        "head": {"ref": "topic", "sha": SHA, "repo": head},
        "base": {"ref": "main", "sha": OTHER, "repo": {"id": 1, "full_name": "o/r"}},
    })
}

fn own() -> Value {
    pull_request(&json!({"id": 1, "full_name": "o/r"}))
}

fn known(payload: &Value) -> PullRequest {
    match lookup("pull_request", payload, None) {
        Lookup::Known(found) => *found,
        other => panic!("{other:?}"),
    }
}

fn head(repository: Option<&str>) -> Head {
    Head { sha: SHA.to_owned(), repository: repository.map(str::to_owned) }
}

#[test]
fn a_pull_request_event_brings_it_whole() {
    let expected = PullRequest {
        number: 7,
        head_sha: SHA.to_owned(),
        head_repository: Some("o/r".to_owned()),
        base_ref: "main".to_owned(),
        is_fork: false,
        is_dependabot: false,
        is_open: true,
        url: "https://github.com/o/r/pull/7".to_owned(),
    };
    let payload = json!({"number": 7, "pull_request": own()});
    for event in ["pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment"] {
        assert_eq!(lookup(event, &payload, Some(OTHER)), Lookup::Known(Box::new(expected.clone())), "{event}");
    }
}

#[test]
fn forks_and_dependabot_are_known_as_such() {
    let fork = known(&json!({"pull_request": pull_request(&json!({"id": 2, "full_name": "f/r"}))}));
    let deleted = known(&json!({"pull_request": pull_request(&Value::Null)}));
    assert_eq!((fork.is_fork, fork.head_repository.as_deref(), fork.is_read_only()), (true, Some("f/r"), true));
    assert_eq!((deleted.is_fork, deleted.head_repository), (true, None));

    let mut of_bot = own();
    of_bot["user"]["login"] = json!("dependabot[bot]");
    let of_bot = known(&json!({"pull_request": of_bot}));
    assert_eq!((of_bot.is_fork, of_bot.is_dependabot, of_bot.is_read_only()), (false, true, true));
    assert!(!known(&json!({"pull_request": own()})).is_read_only());
}

#[test]
fn a_comment_counts_when_its_issue_is_a_pull_request() {
    let with = |issue: Value| lookup("issue_comment", &json!({"issue": issue}), Some(SHA));
    assert_eq!(with(json!({"number": 3, "pull_request": {"url": "x"}})), Lookup::Number(3));
    assert!(matches!(with(json!({"number": 3})), Lookup::None(_)));
    assert!(matches!(with(json!({"number": 3, "pull_request": null})), Lookup::None(_)));
}

#[test]
fn a_merge_group_names_its_pull_request_in_its_branch() {
    let with = |reference: &str| lookup("merge_group", &json!({"merge_group": {"head_ref": reference}}), Some(SHA));
    assert_eq!(with(&format!("refs/heads/gh-readonly-queue/main/pr-104-{SHA}")), Lookup::Number(104));
    assert_eq!(with(&format!("refs/heads/gh-readonly-queue/release/v1/pr-9-x/pr-104-{SHA}")), Lookup::Number(104));
    for odd in ["", "refs/heads/main", "refs/heads/gh-readonly-queue/main/pr-x-y", &format!("refs/heads/pr-104-{SHA}")]
    {
        assert!(matches!(with(odd), Lookup::None(_)), "{odd}");
    }
}

#[test]
fn a_workflow_run_leads_to_the_pull_request_of_the_run_that_it_follows() {
    let listed = |base: u64| json!({"number": 5, "base": {"repo": {"id": base}}});
    let run = |event: &str, pull_requests: Value, repository: Value| {
        let payload = json!({"repository": {"id": 1}, "workflow_run": {
            "event": event, "head_sha": SHA, "head_branch": "topic", "pull_requests": pull_requests, "head_repository": repository,
        }});
        lookup("workflow_run", &payload, Some(OTHER))
    };
    let fork = json!({"full_name": "f/r", "owner": {"login": "f"}});
    let here = json!({"full_name": "o/r", "owner": {"login": "o"}});
    assert_eq!(
        run("pull_request", json!([listed(1)]), here),
        Lookup::Numbers { numbers: vec![5], head: head(Some("o/r")) }
    );
    // One of a fork's own, and one into this repository's origin, are other repositories' pull requests.
    let branch = Lookup::Branch { owner: "f".to_owned(), branch: "topic".to_owned(), head: head(Some("f/r")) };
    assert_eq!(run("pull_request", json!([listed(2)]), fork.clone()), branch);
    assert_eq!(run("pull_request", json!([]), fork.clone()), branch);
    assert!(matches!(run("pull_request", json!([]), Value::Null), Lookup::None(_)));
    assert_eq!(run("push", json!([]), fork), Lookup::Commit(SHA.to_owned()));

    let queued = format!("gh-readonly-queue/main/pr-8-{OTHER}");
    let payload = json!({"workflow_run": {"event": "merge_group", "head_sha": SHA, "head_branch": queued}});
    assert_eq!(lookup("workflow_run", &payload, None), Lookup::Number(8));
}

#[test]
fn everything_else_is_looked_up_by_its_commit() {
    for event in ["push", "workflow_dispatch", "schedule", "deployment", "status", "never_heard_of"] {
        assert_eq!(lookup(event, &json!({}), Some(SHA)), Lookup::Commit(SHA.to_owned()), "{event}");
        for odd in [None, Some(""), Some("main"), Some("../../user")] {
            assert!(matches!(lookup(event, &json!({"pull_request": null}), odd), Lookup::None(_)), "{event} {odd:?}");
        }
    }
    let check = json!({"repository": {"id": 1}, "check_run": {"head_sha": SHA, "pull_requests": []}});
    assert_eq!(lookup("check_run", &check, None), Lookup::Commit(SHA.to_owned()));
}

#[test]
fn a_head_is_that_of_one_repository() {
    let found = known(&json!({"pull_request": own()}));
    assert!(head(None).is_of(&found) && head(Some("O/R")).is_of(&found));
    assert!(!head(Some("f/r")).is_of(&found));
    assert!(!Head { sha: OTHER.to_owned(), repository: None }.is_of(&found));
}

#[test]
fn no_payload_makes_it_panic() {
    let odd =
        [json!(null), json!([]), json!("x"), json!({"pull_request": {}}), json!({"workflow_run": {"head_sha": 1}})];
    for event in ["pull_request", "issue_comment", "merge_group", "workflow_run", "check_suite", "check_run", "push"] {
        for payload in &odd {
            assert!(!matches!(lookup(event, payload, None), Lookup::Known(_)), "{event} {payload}");
        }
    }
}
