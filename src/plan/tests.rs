//! What holds for whole plans.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::testing::{World, example, job, job_with};
use super::{Plan, PlanRow, json};
use crate::config::Selection;
use crate::model::{ExampleId, Outcome, Tier};

fn row<'a>(plan: &'a Plan, id: &str) -> &'a PlanRow {
    plan.rows.iter().find(|row| row.example.as_str() == id).unwrap()
}

#[test]
fn an_example_has_a_row_for_each_version_or_one_without() {
    let mut world = World::jobs(&["a.yaml", "b.yaml"]).change(&["a.yaml"]);
    world.kubernetes = ["v1.34.0", "v1.33.4", "v1.34.0"].map(str::to_owned).to_vec();
    let plan = world.plan();
    let rows: Vec<_> =
        plan.rows.iter().map(|row| (row.example.as_str(), row.tier, row.kubernetes.as_deref())).collect();
    assert_eq!(
        rows,
        [
            ("a.yaml", Tier::Full, Some("v1.34.0")),
            ("a.yaml", Tier::Full, Some("v1.33.4")),
            ("b.yaml", Tier::Basic, None)
        ]
    );
    assert!(plan.rows.iter().all(|row| row.selected && row.basic && row.outcome.is_none()));
}

#[test]
fn the_basic_tier_asked_for_takes_no_example_to_a_cluster() {
    let mut world = World::jobs(&["a.yaml"]).on("push");
    world.tier = Some(Tier::Basic);
    assert_eq!(world.on_cluster(), []);
    assert_eq!(world.reason("a.yaml"), "--tier basic runs no full examples");
}

#[test]
fn the_periodic_tier_asked_for_takes_everything() {
    let mut world = World::jobs(&["basic.yaml", "full.yaml", "periodic.yaml"]);
    world.example("basic.yaml").settings.tier = Tier::Basic;
    world.example("periodic.yaml").settings.tier = Tier::Periodic;
    world.tier = Some(Tier::Periodic);
    let reason = |tier: &str| (format!("{tier}.yaml"), format!("--tier periodic runs all {tier} examples"));
    assert_eq!(world.on_cluster(), [reason("full"), reason("periodic")]);
    assert_eq!(world.reason("basic.yaml"), "its tier is basic: never on a cluster");
    world.tier = None;
    assert_eq!(world.reason("periodic.yaml"), "event pull_request runs no periodic examples");
}

#[test]
fn a_support_file_says_what_it_is_applied_with() {
    let pv = "kind: PersistentVolume\n";
    let mut world = World::new(vec![example("a.yaml", &job(1)), example("pv.yaml", pv), example("x.yaml", pv)]);
    world.example("a.yaml").settings.needs = vec![ExampleId::new("pv.yaml")];
    assert_eq!(world.reason("pv.yaml"), "support file: applied with a.yaml");
    assert_eq!(world.reason("x.yaml"), "support file: nothing in it is judged, and no example needs it");
    assert_eq!(row(&world.plan(), "pv.yaml").kubernetes, None);
}

#[test]
fn what_no_node_offers_is_skipped_but_still_checked_statically() {
    let gpu = job_with("resources: {limits: {nvidia.com/gpu: 1}}");
    let mut world = World::new(vec![example("gpu.yaml", &gpu)]).on("workflow_dispatch");
    world.kubernetes = vec!["v1.33.4".to_owned(), "v1.34.0".to_owned()];
    let plan = world.plan();
    assert_eq!(plan.rows.len(), 2);
    for row in &plan.rows {
        assert_eq!((row.selected, row.basic, row.outcome), (false, true, Some(Outcome::Skipped)));
    }
}

#[test]
fn whatever_runs_on_a_cluster_passes_the_basic_tier_first() {
    let mut world = World::new(vec![
        example("a.yaml", &job(1)),
        example("b.yaml", &job(1)),
        example("pv.yaml", "kind: PersistentVolume\n"),
    ])
    .change(&["a.yaml"]);
    world.example("a.yaml").settings.needs = vec![ExampleId::new("pv.yaml")];
    world.config.tiers.get_mut("pull_request").unwrap().insert(Tier::Basic, Selection::None);
    let plan = world.plan();
    let checked: Vec<_> = plan.rows.iter().filter(|row| row.basic).map(|row| row.example.as_str()).collect();
    assert_eq!(checked, ["a.yaml", "pv.yaml"]);
    assert_eq!(row(&plan, "b.yaml").outcome, Some(Outcome::Skipped));
    assert_eq!(row(&plan, "b.yaml").reason, "event pull_request runs no basic examples; not changed");
}

#[test]
fn the_basic_tier_follows_changes_where_the_config_says_so() {
    let mut world = World::jobs(&["a.yaml", "b.yaml", "c.yaml"]).change(&["a.yaml", "b.yaml"]);
    world.example("a.yaml").settings.tier = Tier::Basic;
    world.config.tiers.get_mut("pull_request").unwrap().insert(Tier::Basic, Selection::Changed);
    let plan = world.plan();
    assert_eq!(row(&plan, "a.yaml").reason, "changed: a.yaml; its tier is basic: never on a cluster");
    assert!(row(&plan, "a.yaml").selected && row(&plan, "b.yaml").basic);
    assert_eq!((row(&plan, "c.yaml").basic, row(&plan, "c.yaml").reason.as_str()), (false, "not changed"));
}

#[test]
fn an_empty_catalog_gives_an_empty_plan() {
    let plan = World::jobs(&[]).plan();
    assert_eq!(plan.rows, []);
    assert_eq!(plan.shard(1, 1), Vec::<&PlanRow>::new());
}

#[test]
fn a_shard_outside_the_plan_is_empty() {
    let plan = World::jobs(&["a.yaml"]).on("workflow_dispatch").plan();
    assert_eq!(plan.shard(1, 1).len(), 1);
    assert_eq!([plan.shard(0, 1).len(), plan.shard(2, 1).len(), plan.shard(1, 0).len()], [0, 0, 0]);
}

fn any_world() -> impl Strategy<Value = World> {
    let examples = proptest::collection::btree_map(0u16..200, (1u32..4, 0usize..3, 0u64..9_000, any::<bool>()), 0..30);
    let event = prop_oneof![Just("pull_request"), Just("push"), Just("schedule"), Just("workflow_dispatch")];
    (examples, event, 0usize..4).prop_map(|(examples, event, versions)| {
        let id = |number: &u16| format!("{number}.yaml");
        let mut world =
            World::new(examples.iter().map(|(number, (pods, ..))| example(&id(number), &job(*pods))).collect());
        for (number, (_, tier, ms, changed)) in &examples {
            world.example(&id(number)).settings.tier = Tier::ALL[*tier];
            world.durations.insert(ExampleId::new(id(number)), *ms);
            world.changed.as_mut().unwrap().extend(changed.then(|| id(number)));
        }
        world.kubernetes = (0..versions).map(|version| format!("v1.{version}")).collect();
        world.on(event)
    })
}

proptest! {
    #[test]
    fn every_selected_cell_is_in_exactly_one_shard(world in any_world(), n in 1usize..40) {
        let plan = world.plan();
        let cell = |row: &PlanRow| (row.example.clone(), row.kubernetes.clone());
        let mut from_shards: Vec<_> = (1..=n).flat_map(|m| plan.shard(m, n)).map(cell).collect();
        let mut selected: Vec<_> = plan.selected().map(cell).collect();
        from_shards.sort();
        selected.sort();
        prop_assert_eq!(from_shards, selected);
    }

    #[test]
    fn the_order_of_the_changed_files_does_not_matter(mut world in any_world()) {
        let plan = world.plan();
        world.changed.as_mut().unwrap().reverse();
        prop_assert_eq!(world.plan(), plan);
    }

    #[test]
    fn a_plan_survives_its_file_with_the_same_shards(world in any_world(), n in 1usize..10) {
        let plan = world.plan();
        let read = Plan::read(&json(&plan)).unwrap();
        prop_assert_eq!(&read, &plan);
        prop_assert_eq!(read.shard(1, n), plan.shard(1, n));
    }

    #[test]
    fn every_row_has_a_reason_and_every_example_a_row(world in any_world()) {
        let plan = world.plan();
        prop_assert!(plan.rows.iter().all(|row| !row.reason.is_empty()));
        prop_assert!(plan.rows.iter().all(|row| row.selected == row.outcome.is_none()));
        let rows: BTreeSet<_> = plan.rows.iter().map(|row| &row.example).collect();
        prop_assert_eq!(rows.len(), world.catalog.examples.len());
    }
}
