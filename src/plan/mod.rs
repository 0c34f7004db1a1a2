//! The plan: which examples run in which tier on which Kubernetes version, which don't, and why. All pure, but for
//! [`kustomize_deps`] and [`workflows`], which read files so that [`make`] need not.

mod changed;
mod cost;
mod file;
mod images;
pub mod kustomize_deps;
pub(crate) mod paths;
mod render;
mod select;
mod shards;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tiers;
mod touched;
pub mod workflows;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Example};
use crate::config::{ClusterKind, Config, Selection};
use crate::model::{ExampleId, Outcome, Tier};

pub use changed::Changes;
pub use render::{github_matrix, json, table};
pub(crate) use shards::MAX_JOBS;
pub use touched::Dependencies;

use cost::{Estimates, STATIC_MS};
use select::{Choice, Selector};
use tiers::Policy;

/// The version of `plan.json`.
pub const SCHEMA_VERSION: u32 = 1;
/// What stands for the version where none was asked for: kind's own default.
pub const DEFAULT_KUBERNETES: &str = "default";

/// Everything that a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct PlanInputs<'a> {
    /// The examples, ordered by id.
    pub catalog: &'a Catalog,
    /// The validated config.
    pub config: &'a Config,
    /// The config's file, relative to the root; `None` if there is none.
    pub config_path: Option<&'a str>,
    /// The root, absolute: what absolute paths of the config are compared with.
    pub root: &'a Path,
    /// The tier that was asked for; `None` is `auto`.
    pub tier: Option<Tier>,
    /// The event's name; outside Actions `workflow_dispatch`.
    pub event: &'a str,
    /// Whether this is outside Actions, so that nobody sent the event.
    pub is_local: bool,
    /// The versions to run on; empty means kind's own default.
    pub kubernetes: &'a [String],
    /// Where clusters come from, after flags and config were merged.
    pub cluster: ClusterKind,
    /// The number of shards that was asked for; `None` lets the plan choose.
    pub shards: Option<usize>,
    /// The changed files.
    pub changes: Changes<'a>,
    /// What kustomize folders (examples, the operator's, the CRDs') read outside themselves.
    pub dependencies: &'a Dependencies,
    /// The changed workflow files that use this action, relative to the root.
    pub workflows: &'a BTreeSet<String>,
    /// Recorded durations on a cluster, in milliseconds.
    pub durations: &'a BTreeMap<ExampleId, u64>,
    /// When each periodic example last ran on a cluster.
    pub last_periodic: &'a BTreeMap<ExampleId, Timestamp>,
    /// Now.
    pub now: Timestamp,
}

/// The plan: `plan.json`, `schemaVersion` 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// 1.
    pub schema_version: u32,
    /// `sha256:...` of the compact JSON of everything else, in the order of the fields.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// The event.
    pub event: String,
    /// The tier that was asked for: a tier, or `auto`.
    pub tier: String,
    /// What each tier runs: `all`, `changed`, `representative`, `due` or `none`.
    pub tiers: BTreeMap<Tier, String>,
    /// The versions, in the order in which they were asked for; `default` is kind's own.
    pub kubernetes: Vec<String>,
    /// The number of shards that the matrix has jobs for.
    pub shards: usize,
    /// What holds for the plan as a whole, in sentences.
    pub notes: Vec<String>,
    /// The rows, ordered by example, then by version.
    pub rows: Vec<PlanRow>,
}

/// What becomes of one example: on one version, or (without a version) where it is judged statically alone. An example has
/// either a row for every version or one row without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanRow {
    /// The example.
    pub example: ExampleId,
    /// How far it is taken; `basic` without a version.
    pub tier: Tier,
    /// The version of the cluster.
    pub kubernetes: Option<String>,
    /// Whether it is taken there.
    pub selected: bool,
    /// Whether the basic tier judges it in this run; true of every selected row, and possible of one that is skipped.
    pub basic: bool,
    /// The outcome that is known before anything runs: `skipped` if it is not selected.
    pub outcome: Option<Outcome>,
    /// Why, in words.
    pub reason: String,
    /// How long it is expected to take, in milliseconds; 0 if it is not selected.
    pub expected_ms: u64,
}

/// Makes the plan. Equal inputs give equal plans; the order of the changed files does not matter.
#[must_use]
pub fn make(inputs: &PlanInputs) -> Plan {
    let examples = &inputs.catalog.examples;
    let policy = Policy::new(&inputs.config.tiers, inputs.event, inputs.is_local, inputs.tier);
    let selector = Selector::new(inputs, &policy);
    let cluster = cluster_choices(examples, &selector);
    let basic = basic_choices(examples, &selector, &cluster);
    let kubernetes = versions(inputs.kubernetes);
    let estimates = Estimates::new(examples, inputs.durations);
    let unremarkable = policy.runs_all(Tier::Basic);
    let rows: Vec<PlanRow> = examples
        .iter()
        .zip(cluster)
        .zip(&basic)
        .flat_map(|((example, cluster), basic)| {
            let beyond = if cluster.selected { selector.beyond_cluster(example) } else { None };
            match beyond {
                Some(reason) => on_versions(example, &kubernetes, &Choice::no(reason), basic.selected, 0),
                None if cluster.selected => on_versions(example, &kubernetes, &cluster, true, estimates.of(example)),
                None => vec![static_row(example, cluster.reason, basic, &unremarkable)],
            }
        })
        .collect();
    let mut plan = Plan {
        schema_version: SCHEMA_VERSION,
        digest: String::new(),
        event: inputs.event.to_owned(),
        tier: inputs.tier.map_or("auto", Tier::as_str).to_owned(),
        tiers: policy.words(),
        kubernetes,
        shards: inputs.shards.unwrap_or_else(|| shards::default_count(&rows)),
        notes: notes(inputs, &policy, &selector),
        rows,
    };
    plan.digest = plan.content_digest();
    plan
}

/// Whether each example runs on a cluster.
fn cluster_choices(examples: &[Example], selector: &Selector) -> Vec<Choice> {
    let supports = supported(examples);
    let mut choices: Vec<Choice> = examples
        .iter()
        .map(|example| {
            let support = || support_reason(supports.get(&example.id).map_or(&[], Vec::as_slice));
            let basic = || "its tier is basic: never on a cluster".to_owned();
            Choice::no(if example.settings.support { support() } else { basic() })
        })
        .collect();
    for tier in [Tier::Full, Tier::Periodic] {
        let members = examples
            .iter()
            .enumerate()
            .filter(|(_, example)| example.settings.tier == tier && !example.settings.support);
        let places: Vec<usize> = members.map(|(place, _)| place).collect();
        for (place, choice) in selector.choose(tier, &places) {
            choices[place] = choice;
        }
    }
    choices
}

/// Whether the basic tier judges each example: as the policy says, and whatever takes part on a cluster, support files too.
fn basic_choices(examples: &[Example], selector: &Selector, cluster: &[Choice]) -> Vec<Choice> {
    let places: Vec<usize> = (0..examples.len()).collect();
    let mut choices: Vec<Choice> =
        selector.choose(Tier::Basic, &places).into_iter().map(|(_, choice)| choice).collect();
    let by_id: BTreeMap<&ExampleId, usize> = places.iter().map(|place| (&examples[*place].id, *place)).collect();
    let mut queue: Vec<usize> = places.into_iter().filter(|place| cluster[*place].selected).collect();
    let mut seen: BTreeSet<usize> = queue.iter().copied().collect();
    while let Some(place) = queue.pop() {
        if !choices[place].selected {
            choices[place] = Choice::yes(cluster[place].reason.clone());
        }
        let needs = examples[place].settings.needs.iter().filter_map(|need| by_id.get(need).copied());
        queue.extend(needs.filter(|need| seen.insert(*need)));
    }
    choices
}

/// The examples that each support file is applied with.
fn supported(examples: &[Example]) -> BTreeMap<&ExampleId, Vec<&ExampleId>> {
    let mut dependents: BTreeMap<&ExampleId, Vec<&ExampleId>> = BTreeMap::new();
    for example in examples {
        for need in &example.settings.needs {
            dependents.entry(need).or_default().push(&example.id);
        }
    }
    dependents
}

fn support_reason(dependents: &[&ExampleId]) -> String {
    match dependents {
        [] => "support file: nothing in it is judged, and no example needs it".to_owned(),
        [one] => format!("support file: applied with {one}"),
        [one, other] => format!("support file: applied with {one} and {other}"),
        [one, rest @ ..] => format!("support file: applied with {one} and {} more", rest.len()),
    }
}

/// The versions, each once, in their order.
fn versions(asked: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let versions: Vec<String> = asked.iter().filter(|version| seen.insert(*version)).cloned().collect();
    if versions.is_empty() { vec![DEFAULT_KUBERNETES.to_owned()] } else { versions }
}

fn on_versions(example: &Example, versions: &[String], choice: &Choice, basic: bool, expected_ms: u64) -> Vec<PlanRow> {
    let row = |version: &String| PlanRow {
        example: example.id.clone(),
        tier: example.settings.tier,
        kubernetes: Some(version.clone()),
        selected: choice.selected,
        basic,
        outcome: (!choice.selected).then_some(Outcome::Skipped),
        reason: choice.reason.clone(),
        expected_ms,
    };
    versions.iter().map(row).collect()
}

/// That the basic tier takes everything goes without saying; any other reason of its own is told before the reason why the
/// example is not on a cluster.
fn static_row(example: &Example, not_on_cluster: String, basic: &Choice, unremarkable: &str) -> PlanRow {
    let reason = if basic.reason == unremarkable || basic.reason == not_on_cluster {
        not_on_cluster
    } else {
        format!("{}; {not_on_cluster}", basic.reason)
    };
    PlanRow {
        example: example.id.clone(),
        tier: Tier::Basic,
        kubernetes: None,
        selected: basic.selected,
        basic: basic.selected,
        outcome: (!basic.selected).then_some(Outcome::Skipped),
        reason,
        expected_ms: if basic.selected { STATIC_MS } else { 0 },
    }
}

/// What a reader should know before the rows: what the changed files come to, where anything is chosen by them.
fn notes(inputs: &PlanInputs, policy: &Policy, selector: &Selector) -> Vec<String> {
    if Tier::ALL.iter().all(|tier| policy.selection(*tier) != Selection::Changed) {
        return Vec::new();
    }
    let touched = selector.touched();
    let note = match (inputs.changes, &touched.everything) {
        (_, Some(reason)) => reason.clone(),
        (Changes::Known([]), None) => "no file changed: nothing runs because of a change".to_owned(),
        (Changes::Known(files), None) if touched.each.iter().all(Option::is_none) => {
            let (files, them) = match files.len() {
                1 => ("1 file".to_owned(), "it"),
                count => (format!("{count} files"), "any of them"),
            };
            format!("{files} changed, and no example depends on {them}: nothing runs because of a change")
        }
        _ => return Vec::new(),
    };
    vec![note]
}

impl Plan {
    /// The rows that are taken somewhere.
    pub fn selected(&self) -> impl Iterator<Item = &PlanRow> {
        self.rows.iter().filter(|row| row.selected)
    }

    /// The selected rows of shard `m` of `n` (both from 1), in the plan's order. Every selected row is in exactly one of the
    /// `n` shards; a number outside them has none. Rows that are not selected are in no shard.
    ///
    /// With at least as many shards as versions, each shard has cells of one version alone, so that it needs one cluster;
    /// with fewer, each version's cells stay together in one shard. Rows without a version fill up where there is least to do.
    #[must_use]
    pub fn shard(&self, m: usize, n: usize) -> Vec<&PlanRow> {
        let numbers = shards::assign(&self.rows, n);
        self.rows.iter().zip(numbers).filter(|(_, number)| *number == Some(m)).map(|(row, _)| row).collect()
    }

    /// The shards of `n` that have anything to do, by their number, and the versions of their cells in the plan's order; a
    /// shard with none checks statically alone.
    #[must_use]
    pub fn shards_with_work(&self, n: usize) -> BTreeMap<usize, Vec<&str>> {
        let mut used: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (row, shard) in self.rows.iter().zip(shards::assign(&self.rows, n)) {
            if let Some(shard) = shard {
                let version = self.kubernetes.iter().position(|version| Some(version) == row.kubernetes.as_ref());
                used.entry(shard).or_default().extend(version);
            }
        }
        let names = |places: BTreeSet<usize>| places.into_iter().map(|place| self.kubernetes[place].as_str()).collect();
        used.into_iter().map(|(shard, places)| (shard, names(places))).collect()
    }
}
