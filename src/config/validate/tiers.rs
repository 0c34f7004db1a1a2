//! What each event runs.

use std::collections::BTreeMap;

use super::super::Selection;
use super::super::place::Place;
use super::super::raw::RawTiers;
use crate::model::Tier;
use crate::schema::closest;

type Table = BTreeMap<String, BTreeMap<Tier, Selection>>;

/// Events that follow what `pull_request` says unless they have an entry of their own.
const LIKE_PULL_REQUEST: [&str; 2] = ["merge_group", "pull_request_target"];

/// Source: <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>.
const EVENTS: [&str; 36] = [
    "branch_protection_rule",
    "check_run",
    "check_suite",
    "create",
    "delete",
    "deployment",
    "deployment_status",
    "discussion",
    "discussion_comment",
    "fork",
    "gollum",
    "image_version",
    "issue_comment",
    "issues",
    "label",
    "merge_group",
    "milestone",
    "page_build",
    "project",
    "project_card",
    "project_column",
    "public",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_target",
    "push",
    "registry_package",
    "release",
    "repository_dispatch",
    "schedule",
    "status",
    "watch",
    "workflow_call",
    "workflow_dispatch",
    "workflow_run",
];

/// The design's table.
pub(in crate::config) fn defaults() -> Table {
    use Selection::{All, Changed, Due, Representative};
    let mut table: Table = [
        ("pull_request", vec![(Tier::Basic, All), (Tier::Full, Changed)]),
        ("push", vec![(Tier::Basic, All), (Tier::Full, Representative)]),
        ("schedule", vec![(Tier::Basic, All), (Tier::Full, All), (Tier::Periodic, Due)]),
        ("workflow_dispatch", vec![(Tier::Basic, All), (Tier::Full, All)]),
    ]
    .into_iter()
    .map(|(event, tiers)| (event.to_owned(), tiers.into_iter().collect()))
    .collect();
    follow_pull_request(&mut table, &Table::new());
    table
}

/// The defaults with the user's events put over them, each as a whole.
pub(super) fn table(raw: BTreeMap<String, RawTiers>, at: &Place<'_>) -> Table {
    for event in raw.keys().filter(|event| !EVENTS.contains(&event.as_str())) {
        let place = at.key(event).at_key_of(at, event);
        let message = "is not an event of GitHub Actions";
        match closest(event, EVENTS.into_iter()) {
            Some(near) => place.error_with_help(message, format!("did you mean `{near}`?")),
            None => place.error_with_help(message, "events are named as in a workflow's `on`"),
        }
    }
    let given: Table = raw.into_iter().map(|(event, tiers)| (event, selections(&tiers))).collect();
    let mut table = defaults();
    table.extend(given.clone());
    follow_pull_request(&mut table, &given);
    table
}

fn selections(raw: &RawTiers) -> BTreeMap<Tier, Selection> {
    let tiers = [(Tier::Basic, raw.basic), (Tier::Full, raw.full), (Tier::Periodic, raw.periodic)];
    tiers.into_iter().filter_map(|(tier, selection)| Some((tier, selection?))).collect()
}

fn follow_pull_request(table: &mut Table, given: &Table) {
    let Some(pull_request) = table.get("pull_request").cloned() else { return };
    for event in LIKE_PULL_REQUEST.into_iter().filter(|event| !given.contains_key(*event)) {
        table.insert(event.to_owned(), pull_request.clone());
    }
}
