//! What to ask for an event's changed files. Pure.

use serde_json::Value;

use crate::github::pull_request::is_sha;

/// What to ask the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The files of a pull request.
    PullRequest {
        /// Its number.
        number: u64,
        /// The commit that the event is about: its branch may have moved since.
        head: String,
    },
    /// What differs between two commits.
    Compare {
        /// The older one.
        base: String,
        /// The newer one.
        head: String,
    },
}

/// What to ask for the changed files of an event; `None` where no change is what it is about, or its payload does not say which.
pub fn question(event: &str, payload: &Value) -> Option<Question> {
    let sha = |pointer: &str| payload.pointer(pointer)?.as_str().filter(|text| is_sha(text)).map(str::to_owned);
    match event {
        "merge_group" => {
            Some(Question::Compare { base: sha("/merge_group/base_sha")?, head: sha("/merge_group/head_sha")? })
        }
        "push" => of_push(payload, &sha("/before")?, sha("/after")?),
        _ => Some(Question::PullRequest {
            number: payload.pointer("/pull_request/number")?.as_u64()?,
            head: sha("/pull_request/head/sha")?,
        }),
    }
}

fn of_push(payload: &Value, before: &str, after: String) -> Option<Question> {
    if is_none(&after) {
        return None;
    }
    if !is_none(before) {
        return Some(Question::Compare { base: before.to_owned(), head: after });
    }
    // A new branch or tag: what it has beyond the default branch, unless that is the new one.
    let branch = payload.pointer("/repository/default_branch")?.as_str()?;
    let is_default = payload["ref"].as_str()?.strip_prefix("refs/heads/") == Some(branch);
    let fits = |character: char| character.is_ascii_alphanumeric() || "-_./".contains(character);
    let is_plain = branch.chars().all(fits) && !branch.contains("..");
    (!is_default && is_plain && !branch.is_empty()).then(|| Question::Compare { base: branch.to_owned(), head: after })
}

/// Whether a push event says "no commit" with this id.
fn is_none(sha: &str) -> bool {
    sha.bytes().all(|byte| byte == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    #[expect(clippy::unnecessary_wraps, reason = "compared with, or given as, what may be none")]
    fn compare(base: &str, head: &str) -> Option<Question> {
        Some(Question::Compare { base: base.to_owned(), head: head.to_owned() })
    }

    #[test]
    fn a_pull_request_is_asked_for_by_number_and_commit() {
        let payload = json!({"pull_request": {"number": 7, "head": {"sha": A}}});
        let expected = Question::PullRequest { number: 7, head: A.to_owned() };
        for event in ["pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment"] {
            assert_eq!(question(event, &payload), Some(expected.clone()), "{event}");
        }
    }

    #[test]
    fn a_merge_group_and_a_push_are_comparisons() {
        let group = json!({"merge_group": {"base_sha": A, "head_sha": B}});
        assert_eq!(question("merge_group", &group), compare(A, B));
        assert_eq!(question("push", &json!({"before": A, "after": B, "ref": "refs/heads/main"})), compare(A, B));
    }

    #[test]
    fn a_new_branch_is_compared_with_the_default_one() {
        let push = |reference: &str, default: &str, after: &str| {
            let repository = json!({"default_branch": default});
            question("push", &json!({"before": ZERO, "after": after, "ref": reference, "repository": repository}))
        };
        assert_eq!(push("refs/heads/topic", "main", B), compare("main", B));
        assert_eq!(push("refs/tags/main", "release/v1", B), compare("release/v1", B));
        for (reference, default, after) in [
            ("refs/heads/main", "main", B),
            ("refs/heads/topic", "main", ZERO),
            ("refs/heads/topic", "a..b", B),
            ("refs/heads/topic", "a?b", B),
            ("refs/heads/topic", "", B),
        ] {
            assert_eq!(push(reference, default, after), None, "{reference} {default} {after}");
        }
    }

    #[test]
    fn other_events_change_nothing() {
        for event in ["workflow_dispatch", "schedule", "workflow_run", "issue_comment", "push", "merge_group"] {
            assert_eq!(
                question(event, &json!({"issue": {"number": 1}, "before": "x", "after": "main"})),
                None,
                "{event}"
            );
        }
    }
}
