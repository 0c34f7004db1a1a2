//! What a run does with each example, and why: the plan, or the shard of it that was asked for.

use std::collections::HashMap;

use super::place::Place;
use crate::model::{ExampleId, Tier};
use crate::plan::{Plan, PlanRow};
use crate::settings::Settings;

/// What becomes of one example.
pub enum Choice {
    /// The basic tier judges it.
    Static(String),
    /// It is judged on these versions.
    Cells(Vec<Planned>),
    /// Nothing, for this reason.
    Skipped(String),
}

/// One example on one version, as it is planned.
pub struct Planned {
    /// The version.
    pub kubernetes: String,
    /// How far it is taken.
    pub tier: Tier,
    /// Why.
    pub reason: String,
    /// How long it is expected to take, in milliseconds.
    pub expected_ms: u64,
    /// Why it is not tried there after all.
    pub skipped: Option<String>,
}

/// What becomes of all of them.
pub struct Chosen(HashMap<ExampleId, Choice>);

impl Chosen {
    /// What the plan, or the shard that was asked for, comes to where the examples are judged at `place`.
    pub fn new(plan: &Plan, settings: &Settings, place: &Place) -> Self {
        let mut rows: HashMap<ExampleId, Vec<&PlanRow>> = HashMap::new();
        let of_shard: Vec<&PlanRow> = match settings.selection.shard {
            // What the plan takes nowhere is told once, by the first shard.
            Some(shard) => {
                let left_out = plan.rows.iter().filter(|row| !row.selected && shard.number.get() == 1);
                plan.shard(shard.number.get(), shard.count.get()).into_iter().chain(left_out).collect()
            }
            None => plan.rows.iter().collect(),
        };
        for row in of_shard {
            rows.entry(row.example.clone()).or_default().push(row);
        }
        Self(rows.into_iter().map(|(id, rows)| (id, choice(&rows, place))).collect())
    }

    /// What becomes of an example; `None` if it is not of this shard.
    pub fn of(&self, id: &ExampleId) -> Option<&Choice> {
        self.0.get(id)
    }

    /// The tiers and versions of the cells.
    pub fn cells(&self) -> Vec<(Tier, &str)> {
        let planned = self.0.values().flat_map(|choice| match choice {
            Choice::Cells(planned) => planned.as_slice(),
            Choice::Static(_) | Choice::Skipped(_) => &[],
        });
        planned.map(|cell| (cell.tier, cell.kubernetes.as_str())).collect()
    }

    /// Why the basic tier judges it, if it does.
    pub fn judged(&self, id: &ExampleId) -> Option<String> {
        match self.of(id)? {
            Choice::Static(reason) => Some(reason.clone()),
            Choice::Cells(cells) => cells.first().map(|cell| cell.reason.clone()),
            Choice::Skipped(_) => None,
        }
    }
}

fn choice(rows: &[&PlanRow], place: &Place) -> Choice {
    let reason = rows.first().map(|row| row.reason.clone()).unwrap_or_default();
    if !rows.iter().any(|row| row.basic) {
        return Choice::Skipped(reason);
    }
    let cells: Vec<_> = rows
        .iter()
        .filter_map(|row| {
            let kubernetes = row.kubernetes.clone()?;
            let skipped = if row.selected { place.not_judged(&kubernetes) } else { Some(row.reason.clone()) };
            Some(Planned {
                kubernetes,
                tier: row.tier,
                reason: row.reason.clone(),
                expected_ms: row.expected_ms,
                skipped,
            })
        })
        .collect();
    if cells.is_empty() { Choice::Static(reason) } else { Choice::Cells(cells) }
}
