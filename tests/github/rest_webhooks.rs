//! Payloads as GitHub sends them (`@octokit/webhooks-examples`): what an event says about its pull request and its changes.

use example_validator::github::changed::{Question, question};
use example_validator::github::pull_request::{Lookup, lookup};
use serde_json::Value;

use super::rest_description::of_octokit;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the runner's variables do not say of a payload: each event's examples.
fn payloads() -> Vec<(String, Value)> {
    let events = of_octokit("webhooks-examples/api.github.com/index.json");
    let events = events.into_iter().flat_map(|events| events.as_array().unwrap().clone());
    let each = events.flat_map(|event| {
        let name = event["name"].as_str().unwrap().to_owned();
        event["examples"].as_array().unwrap().iter().map(|payload| (name.clone(), payload.clone())).collect::<Vec<_>>()
    });
    each.collect()
}

#[test]
fn events_of_pull_requests_give_the_right_number() {
    let all = payloads();
    let mut counts = [0; 4];
    for (event, payload) in &all {
        let found = lookup(event, payload, Some(SHA));
        let number = payload["pull_request"]["number"].as_u64();
        match (event.as_str(), number) {
            ("pull_request" | "pull_request_review" | "pull_request_review_comment", Some(number)) => {
                counts[0] += 1;
                let Lookup::Known(found) = found else { panic!("{event}: {found:?}") };
                assert_eq!(
                    (found.number, Some(found.head_sha.as_str())),
                    (number, payload["pull_request"]["head"]["sha"].as_str())
                );
                assert!(!found.url.is_empty() && !found.base_ref.is_empty());
            }
            ("issue_comment", _) => {
                counts[1] += 1;
                let is_pull_request = payload["issue"]["pull_request"].is_object();
                let expected = payload["issue"]["number"].as_u64().filter(|_| is_pull_request);
                assert_eq!(matches!(found, Lookup::Number(number) if Some(number) == expected), is_pull_request);
            }
            ("merge_group", _) => {
                counts[2] += 1;
                let reference = payload["merge_group"]["head_ref"].as_str().unwrap();
                let Lookup::Number(number) = found else { panic!("{reference}: {found:?}") };
                assert!(reference.contains(&format!("/pr-{number}-")), "{reference}");
            }
            ("workflow_run" | "check_run" | "check_suite", _) => {
                counts[3] += 1;
                let about = &payload[event.as_str()];
                let named: Vec<_> = about["pull_requests"].as_array().into_iter().flatten().collect();
                let sha = about["head_sha"].as_str().unwrap();
                match found {
                    Lookup::Numbers { numbers, head } => {
                        assert_eq!((Some(numbers[0]), head.sha.as_str()), (named[0]["number"].as_u64(), sha));
                    }
                    Lookup::Branch { head, .. } => assert_eq!(head.sha, sha),
                    Lookup::Commit(commit) => assert_eq!(commit, sha),
                    other => panic!("{event}: {other:?}"),
                }
            }
            _ => {}
        }
    }
    assert!(all.is_empty() || counts.iter().all(|count| *count > 0), "{counts:?} of {}", all.len());
}

#[test]
fn events_with_changes_give_a_question() {
    let all = payloads();
    let mut asked = Vec::new();
    for (event, payload) in &all {
        match question(event, payload) {
            Some(Question::PullRequest { number, head }) => {
                assert_eq!(payload["pull_request"]["number"].as_u64(), Some(number), "{event}");
                assert_eq!(payload["pull_request"]["head"]["sha"].as_str(), Some(head.as_str()), "{event}");
            }
            Some(Question::Compare { head, .. }) => {
                let after = if event == "push" { &payload["after"] } else { &payload["merge_group"]["head_sha"] };
                assert_eq!(after.as_str(), Some(head.as_str()), "{event}");
            }
            None => continue,
        }
        asked.push(event.as_str());
    }
    for event in ["pull_request", "pull_request_review", "push", "merge_group"] {
        assert!(all.is_empty() || asked.contains(&event), "{event}");
    }
}
