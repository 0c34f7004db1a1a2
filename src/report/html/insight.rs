//! The examples that stand out: the slowest, the flakiest, the least efficient; and the health of each framework.

use super::chart::spark;
use super::example::Example;
use super::look;
use super::text::{Html, Text};
use crate::model::Outcome;
use crate::report::{Health, Overall, Row, words};

/// Examples of a list, and frameworks.
const TOP: usize = 5;
const FRAMEWORKS: usize = 12;
/// How many times its median an example takes, from which that is told.
const SLOWER: f64 = 1.5;

/// A list with its heading.
pub(super) struct List {
    pub(super) title: &'static str,
    /// What is listed and by which measure.
    pub(super) note: &'static str,
    pub(super) items: Vec<Item>,
    /// What is said instead, where there is nothing.
    pub(super) nothing: &'static str,
}

pub(super) struct Item {
    pub(super) anchor: String,
    pub(super) folder: Text,
    pub(super) file: Text,
    pub(super) version: Text,
    pub(super) value: String,
    pub(super) note: Text,
    pub(super) chart: Html,
}

/// A framework's health.
pub(super) struct Framework {
    pub(super) name: Text,
    pub(super) score: Option<u8>,
    pub(super) examples: String,
    pub(super) chart: Html,
}

/// The lists.
pub(super) fn lists(examples: &[Example<'_>]) -> Vec<List> {
    vec![slowest(examples), flakiest(examples), least_efficient(examples)]
}

/// The frameworks in the order of their names.
pub(super) fn frameworks(overall: Option<&Overall>) -> Vec<Framework> {
    let groups = overall.map_or(&[][..], |overall| &overall.frameworks);
    let framework = |group: &crate::report::Group| Framework {
        name: Text::clipped(&group.name, 60),
        score: group.score,
        examples: words::plural(group.examples as usize, "example"),
        chart: spark::level(f64::from(group.score.unwrap_or(0).min(100)) / 100.0),
    };
    groups.iter().take(FRAMEWORKS).map(framework).collect()
}

/// The rows that rank highest, one an example: each with how high.
fn top<'a>(examples: &[Example<'a>], rank: impl Fn(&'a Row) -> Option<f64>) -> Vec<(Example<'a>, &'a Row, f64)> {
    let best = |example: &Example<'a>| {
        let ranked = example.rows.iter().filter_map(|row| Some((row, rank(row).filter(|rank| rank.is_finite())?)));
        let (row, rank) = ranked.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
        Some((*example, row, rank))
    };
    let mut all: Vec<_> = examples.iter().filter_map(best).collect();
    all.sort_by(|(_, _, a), (_, _, b)| b.total_cmp(a));
    all.truncate(TOP);
    all
}

fn item(example: &Example<'_>, row: &Row, value: String, note: &str, chart: Html) -> Item {
    let (folder, file) = example.parts();
    Item {
        anchor: example.anchor_of(row),
        folder: Text::clipped(folder, 80),
        file: Text::clipped(file, 80),
        version: super::grid::version(row.kubernetes.as_deref()),
        value,
        note: Text::clipped(note, 160),
        chart,
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a run are exact in 53 bits")]
fn slowest(examples: &[Example<'_>]) -> List {
    let top = top(examples, |row| (!row.attempts.is_empty()).then_some(row.duration_ms as f64));
    let longest = top.first().map_or(1.0, |(_, _, ms)| ms.max(1.0));
    let items = top.iter().map(|(example, row, ms)| {
        let slower = row.health.as_ref().and_then(|health| health.slowdown).filter(|slow| *slow >= SLOWER);
        let note = slower.map(|slow| format!("{slow:.1}x its median")).unwrap_or_default();
        item(example, row, words::duration(row.duration_ms), &note, spark::level(ms / longest))
    });
    List {
        title: "Slowest",
        note: "all attempts of a cell",
        items: items.collect(),
        nothing: "Nothing ran on a cluster.",
    }
}

fn flakiest(examples: &[Example<'_>]) -> List {
    let rank = |row: &Row| {
        let rate = row.health.as_ref().and_then(|health| health.flake_rate).unwrap_or(0.0);
        let now = if row.outcome == Outcome::Flaky { 0.001 } else { 0.0 };
        Some(rate + now).filter(|rank| *rank > 0.0)
    };
    let items = top(examples, rank).into_iter().map(|(example, row, _)| {
        let rate = row.health.as_ref().and_then(|health| health.flake_rate);
        let value = rate.map_or_else(|| "flaky now".to_owned(), look::percent);
        let past = row.health.as_ref().map_or(&[][..], |health: &Health| &health.past);
        let note = if row.outcome == Outcome::Flaky { "flaky in this run" } else { "" };
        item(&example, row, value, note, spark::small(past, example.now(row).map(|(outcome, _)| outcome)))
    });
    List {
        title: "Flakiest",
        note: "runs that passed only when tried again",
        items: items.collect(),
        nothing: "None was flaky.",
    }
}

fn least_efficient(examples: &[Example<'_>]) -> List {
    let efficiency = |row: &Row| {
        let resources = row.resources.as_ref()?;
        let known = [resources.cpu_efficiency, resources.memory_efficiency].into_iter().flatten();
        known.reduce(f64::min)
    };
    let items = top(examples, |row| efficiency(row).map(|least| -least)).into_iter().map(|(example, row, least)| {
        let all = row.resources.as_ref().map_or(&[][..], |resources| &resources.pods);
        let advice = all.iter().flat_map(|one| &one.advice).find(|advice| !advice.suggested.is_empty());
        let note =
            advice.map(|advice| format!("request {} of {}", advice.suggested, advice.resource)).unwrap_or_default();
        item(&example, row, look::percent(-least), &note, spark::level((-least).clamp(0.0, 1.0)))
    });
    List {
        title: "Least efficient",
        note: "what was used of what was requested",
        items: items.collect(),
        nothing: "No use of resources is known.",
    }
}
